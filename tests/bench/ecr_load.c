/*
 * ecr_load [options] PORT: repositories made, as many as asked for.
 *
 *   --clients N       threads, a kept connection each
 *   --count N         repositories in all
 *   --from N          the number of the first one; "bench/r00000042" is 42
 *
 * CreateRepository over AWS JSON 1.1, not signed: the server runs with
 * `auth: none`.  Prints one JSON object.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "tests/bench/bench.h"

struct maker {
	pthread_t thread;
	struct bench_client to;
	struct bench_times times;
};

static struct {
	uint16_t port;
	uint64_t clients, count, from;
} opt = { .clients = 1, .count = 1000 };

static _Atomic uint64_t serials;

static void
repository_create(struct maker *m, uint64_t serial)
{
	char body[128], head[512];
	int n, h;

	n = snprintf(body, sizeof(body),
	    "{\"repositoryName\": \"bench/r%08llu\"}",
	    (unsigned long long)serial);
	h = snprintf(head, sizeof(head),
	    "POST / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "X-Amz-Target: "
	    "AmazonEC2ContainerRegistry_V20150921.CreateRepository\r\n"
	    "Content-Type: application/x-amz-json-1.1\r\n"
	    "Content-Length: %d\r\n\r\n",
	    m->to.port, n);
	bench_send(&m->to, head, (size_t)h, true);
	bench_send(&m->to, body, (size_t)n, false);
	bench_answer(&m->to, 200, false);
}

static void
create_all(void *arg)
{
	struct maker *m = arg;
	uint64_t serial;
	int64_t t0;

	while ((serial = atomic_fetch_add(&serials, 1)) < opt.count) {
		t0 = clock_mono_ns();
		repository_create(m, opt.from + serial);
		bench_times_add(&m->times, clock_mono_ns() - t0);
	}
}

static void
options_read(int argc, char **argv)
{
	static const struct option table[] = {
		{ "clients", required_argument, NULL, 'c' },
		{ "count", required_argument, NULL, 'n' },
		{ "from", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (o) {
		case 'c':
			opt.clients = bench_number(optarg, "--clients");
			break;
		case 'n':
			opt.count = bench_number(optarg, "--count");
			break;
		case 'f':
			opt.from = bench_number(optarg, "--from");
			break;
		default:
			bench_die("usage: ecr_load [options] PORT");
		}
	}
	if (optind + 1 != argc)
		bench_die("usage: ecr_load [options] PORT");
	opt.port = (uint16_t)bench_number(argv[optind], "PORT");
}

int
main(int argc, char **argv)
{
	struct bench_times times = { 0 };
	struct maker *all;
	int64_t began_ns;
	uint64_t i;

	options_read(argc, argv);
	all = xcalloc(opt.clients, sizeof(*all));
	for (i = 0; i < opt.clients; i++)
		bench_client_open(&all[i].to, opt.port, NULL, 1, i);
	began_ns = clock_mono_ns();
	for (i = 0; i < opt.clients; i++)
		if (thread_start(
			"maker", create_all, &all[i], &all[i].thread) != RC_OK)
			bench_die("no thread for a client");
	for (i = 0; i < opt.clients; i++) {
		thread_join(all[i].thread);
		bench_times_join(&times, &all[i].times);
	}
	printf("{\"repositories\": %llu, \"seconds\": %.6f, ",
	    (unsigned long long)opt.count,
	    (double)(clock_mono_ns() - began_ns) / 1e9);
	bench_times_print(&times);
	printf("}\n");
	return (0);
}
