/*
 * image_load [options] PORT: whole images pushed, as many as a registry takes.
 *
 *   --clients N       threads, a kept connection each
 *   --ms N            no new image is begun after so long
 *   --count N         images in all, at most
 *   --layer BYTES     size of the one layer of each image
 *   --manifests       one layer and one configuration serve all: only
 *                     manifests are pushed, each with a tag of its own
 *   --repository NAME
 *
 * An image is a layer and a configuration never seen before and a manifest
 * with a tag of its own, pushed as clients do: HEAD (404), POST, PUT for the
 * layer, the same for the configuration, PUT for the manifest; each waits for
 * the answer to the one before.  Prints one JSON object.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "tests/bench/bench.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

struct blob {
	uint64_t bytes;
	char digest[BENCH_DIGEST_BYTES];
};

struct imager {
	pthread_t thread;
	struct bench_client to;
	EVP_MD_CTX *ctx;
	struct blob layer, config;
	uint64_t done;
	struct bench_times times;
};

static struct {
	bool manifests;
	uint16_t port;
	uint64_t clients, count, layer;
	int64_t ms;
	const char *repository;
} opt = { .clients = 1,
	.count = 1u << 30,
	.layer = 100 * 1024,
	.ms = 3600 * 1000,
	.repository = "bench/images" };

static struct bench_content content;
static _Atomic uint64_t serials;
static pthread_barrier_t start;
static int64_t began_ns;

static void
blob_ask(struct bench_client *to, const char *digest)
{
	char head[1024];
	int n;

	n = snprintf(head, sizeof(head),
	    "HEAD /v2/%s/blobs/%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n",
	    opt.repository, digest, to->port);
	bench_send(to, head, (size_t)n, false);
	bench_answer(to, 404, true);
}

static void
layer_push(struct imager *m, const char *stamp)
{
	m->layer.bytes = content.size;
	bench_content_digest(&content, m->ctx, stamp, m->layer.digest);
	blob_ask(&m->to, m->layer.digest);
	bench_upload_open(&m->to, opt.repository);
	bench_upload_head(&m->to, "PUT", m->layer.digest, content.size);
	bench_content_send(&content, &m->to, stamp);
	bench_answer(&m->to, 201, false);
}

static void
config_push(struct imager *m)
{
	char text[1024];
	int n;

	n = snprintf(text, sizeof(text),
	    "{\"architecture\":\"amd64\",\"os\":\"linux\","
	    "\"config\":{\"Cmd\":[\"/bin/sh\"]},"
	    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
	    m->layer.digest);
	m->config.bytes = (uint64_t)n;
	bench_text_digest(m->ctx, text, (size_t)n, m->config.digest);
	blob_ask(&m->to, m->config.digest);
	bench_upload_open(&m->to, opt.repository);
	bench_upload_head(&m->to, "PUT", m->config.digest, (uint64_t)n);
	bench_send(&m->to, text, (size_t)n, false);
	bench_answer(&m->to, 201, false);
}

static void
manifest_push(struct imager *m, uint64_t serial)
{
	char text[2048], head[1024];
	int n, body;

	body = snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE "\","
	    "\"config\":{\"mediaType\":"
	    "\"application/vnd.oci.image.config.v1+json\","
	    "\"digest\":\"%s\",\"size\":%llu},\"layers\":[{\"mediaType\":"
	    "\"application/vnd.oci.image.layer.v1.tar+gzip\","
	    "\"digest\":\"%s\",\"size\":%llu}],"
	    "\"annotations\":{\"org.opencontainers.image.version\":"
	    "\"%llu\"}}",
	    m->config.digest, (unsigned long long)m->config.bytes,
	    m->layer.digest, (unsigned long long)m->layer.bytes,
	    (unsigned long long)serial);
	n = snprintf(head, sizeof(head),
	    "PUT /v2/%s/manifests/v%llu HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "Content-Type: " MANIFEST_TYPE "\r\nContent-Length: %d\r\n\r\n",
	    opt.repository, (unsigned long long)serial, m->to.port, body);
	bench_send(&m->to, head, (size_t)n, true);
	bench_send(&m->to, text, (size_t)body, false);
	bench_answer(&m->to, 201, false);
}

static void
blobs_push(struct imager *m, uint64_t serial)
{
	char stamp[BENCH_STAMP_BYTES + 1];

	bench_stamp(&content, serial, stamp);
	layer_push(m, stamp);
	config_push(m);
}

static void
image_all(void *arg)
{
	struct imager *m = arg;
	uint64_t serial;
	int64_t t0;

	pthread_barrier_wait(&start);
	while ((serial = atomic_fetch_add(&serials, 1)) < opt.count) {
		t0 = clock_mono_ns();
		if ((t0 - began_ns) / 1000000 >= opt.ms)
			break;
		if (!opt.manifests)
			blobs_push(m, serial);
		manifest_push(m, serial);
		m->done++;
		bench_times_add(&m->times, clock_mono_ns() - t0);
	}
}

static void
options_read(int argc, char **argv)
{
	static const struct option table[] = {
		{ "manifests", no_argument, NULL, 'M' },
		{ "clients", required_argument, NULL, 'c' },
		{ "count", required_argument, NULL, 'n' },
		{ "layer", required_argument, NULL, 'l' },
		{ "ms", required_argument, NULL, 'm' },
		{ "repository", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (o) {
		case 'M':
			opt.manifests = true;
			break;
		case 'c':
			opt.clients = bench_number(optarg, "--clients");
			break;
		case 'n':
			opt.count = bench_number(optarg, "--count");
			break;
		case 'l':
			opt.layer = bench_number(optarg, "--layer");
			break;
		case 'm':
			opt.ms = (int64_t)bench_number(optarg, "--ms");
			break;
		case 'r':
			opt.repository = optarg;
			break;
		default:
			bench_die("usage: image_load [options] PORT");
		}
	}
	if (optind + 1 != argc)
		bench_die("usage: image_load [options] PORT");
	opt.port = (uint16_t)bench_number(argv[optind], "PORT");
}

static void
imagers_run(struct imager *all)
{
	uint64_t i;

	for (i = 0; i < opt.clients; i++) {
		if ((all[i].ctx = EVP_MD_CTX_new()) == NULL)
			bench_die("no digest to be had");
		bench_client_open(&all[i].to, opt.port, NULL, 1, i);
		if (opt.manifests && i == 0)
			blobs_push(&all[0], UINT64_MAX);
		all[i].layer = all[0].layer;
		all[i].config = all[0].config;
		if (thread_start(
			"imager", image_all, &all[i], &all[i].thread) != RC_OK)
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
	struct imager *all;
	struct bench_times times = { 0 };
	uint64_t i, images = 0;
	double seconds;

	options_read(argc, argv);
	bench_content_init(&content, opt.layer);
	all = xcalloc(opt.clients, sizeof(*all));
	pthread_barrier_init(&start, NULL, (unsigned)opt.clients + 1);
	imagers_run(all);
	seconds = (double)(clock_mono_ns() - began_ns) / 1e9;
	for (i = 0; i < opt.clients; i++) {
		images += all[i].done;
		bench_times_join(&times, &all[i].times);
	}
	printf("{\"images\": %llu, \"seconds\": %.6f, ",
	    (unsigned long long)images, seconds);
	bench_times_print(&times);
	printf("}\n");
	return (0);
}
