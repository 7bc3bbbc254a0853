/*
 * push_load [options] PORT: clients that push blobs never seen before.
 *
 *   --floor           to push_floor instead of a registry
 *   --patch           POST, PATCH with the content, PUT (docker, skopeo);
 *                     otherwise POST, PUT with the content (containerd)
 *   --tls             to a registry that speaks it
 *   --size BYTES      of each blob
 *   --clients N       threads, a kept connection each
 *   --count N         blobs for each client, at most
 *   --ms N            no new blob is begun after so long
 *   --repository NAME
 *
 * Digests are known before the clock starts.  Prints one JSON object.
 */

#include <getopt.h>
#include <pthread.h>

#include "base/thread.h"
#include "tests/bench/bench.h"

struct pusher {
	pthread_t thread;
	struct bench_client to;
	uint64_t first; /* serial of its first blob */
	uint64_t done;
	struct bench_times times;
};

static struct {
	bool to_floor, patch, tls;
	uint16_t port;
	uint64_t size, clients, count;
	int64_t ms;
	const char *repository;
} opt = { .size = 1024,
	.clients = 1,
	.count = 1,
	.ms = 3600 * 1000,
	.repository = "bench/push" };

static struct bench_content content;
static char (*digests)[BENCH_DIGEST_BYTES];
static pthread_barrier_t start;
static int64_t began_ns;

static void
push_to_floor(struct bench_client *to, const char *stamp, const char *digest)
{
	uint64_t length = content.size;
	uint8_t md[32], want[32];

	bench_send(to, (const char *)&length, sizeof(length), true);
	bench_content_send(&content, to, stamp);
	if (recv(to->fd, md, sizeof(md), MSG_WAITALL) != sizeof(md) ||
	    hex_decode(span_of(digest + 7), want, sizeof(want)) != RC_OK ||
	    memcmp(md, want, sizeof(md)) != 0)
		bench_die("the floor received something else");
}

static void
push_to_registry(struct bench_client *to, const char *stamp, const char *digest)
{
	bench_upload_open(to, opt.repository);
	bench_upload_head(to, opt.patch ? "PATCH" : "PUT",
	    opt.patch ? NULL : digest, content.size);
	bench_content_send(&content, to, stamp);
	bench_answer(to, opt.patch ? 202 : 201, false);
	if (opt.patch) {
		bench_upload_head(to, "PUT", digest, 0);
		bench_answer(to, 201, false);
	}
}

static void
push_all(void *arg)
{
	struct pusher *p = arg;
	char stamp[BENCH_STAMP_BYTES + 1];
	int64_t t0;

	pthread_barrier_wait(&start);
	for (; p->done < opt.count; p->done++) {
		t0 = clock_mono_ns();
		if ((t0 - began_ns) / 1000000 >= opt.ms)
			break;
		bench_stamp(&content, p->first + p->done, stamp);
		if (opt.to_floor)
			push_to_floor(
			    &p->to, stamp, digests[p->first + p->done]);
		else
			push_to_registry(
			    &p->to, stamp, digests[p->first + p->done]);
		bench_times_add(&p->times, clock_mono_ns() - t0);
	}
}

static void
options_read(int argc, char **argv)
{
	static const struct option table[] = {
		{ "floor", no_argument, NULL, 'f' },
		{ "patch", no_argument, NULL, 'p' },
		{ "tls", no_argument, NULL, 't' },
		{ "size", required_argument, NULL, 's' },
		{ "clients", required_argument, NULL, 'c' },
		{ "count", required_argument, NULL, 'n' },
		{ "ms", required_argument, NULL, 'm' },
		{ "repository", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (o) {
		case 'f':
			opt.to_floor = true;
			break;
		case 'p':
			opt.patch = true;
			break;
		case 't':
			opt.tls = true;
			break;
		case 's':
			opt.size = bench_number(optarg, "--size");
			break;
		case 'c':
			opt.clients = bench_number(optarg, "--clients");
			break;
		case 'n':
			opt.count = bench_number(optarg, "--count");
			break;
		case 'm':
			opt.ms = (int64_t)bench_number(optarg, "--ms");
			break;
		case 'r':
			opt.repository = optarg;
			break;
		default:
			bench_die("usage: push_load [options] PORT");
		}
	}
	if (optind + 1 != argc)
		bench_die("usage: push_load [options] PORT");
	opt.port = (uint16_t)bench_number(argv[optind], "PORT");
}

static void
digests_make(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char stamp[BENCH_STAMP_BYTES + 1];
	uint64_t i;

	digests = xcalloc(opt.clients * opt.count, sizeof(digests[0]));
	for (i = 0; i < opt.clients * opt.count; i++) {
		bench_stamp(&content, i, stamp);
		bench_content_digest(&content, ctx, stamp, digests[i]);
	}
	EVP_MD_CTX_free(ctx);
}

static void
pushers_run(struct pusher *all)
{
	SSL_CTX *tls;
	uint64_t i;

	tls = opt.tls ? bench_tls() : NULL;
	for (i = 0; i < opt.clients; i++) {
		all[i].first = i * opt.count;
		bench_client_open(&all[i].to, opt.port, tls, 1, i);
		if (thread_start("pusher", push_all, &all[i], &all[i].thread) !=
		    RC_OK)
			bench_die("no thread for a client");
	}
	began_ns = clock_mono_ns();
	pthread_barrier_wait(&start);
	for (i = 0; i < opt.clients; i++)
		thread_join(all[i].thread);
}

int
main(int argc, char **argv)
{
	struct pusher *all;
	struct bench_times times = { 0 };
	uint64_t i, pushes = 0;
	double seconds;

	options_read(argc, argv);
	bench_need_files();
	bench_content_init(&content, opt.size);
	digests_make();
	all = xcalloc(opt.clients, sizeof(*all));
	pthread_barrier_init(&start, NULL, (unsigned)opt.clients + 1);
	pushers_run(all);
	seconds = (double)(clock_mono_ns() - began_ns) / 1e9;
	for (i = 0; i < opt.clients; i++) {
		pushes += all[i].done;
		bench_times_join(&times, &all[i].times);
	}
	printf("{\"pushes\": %llu, \"bytes\": %llu, \"seconds\": %.6f, ",
	    (unsigned long long)pushes, (unsigned long long)(pushes * opt.size),
	    seconds);
	bench_times_print(&times);
	printf("}\n");
	return (0);
}
