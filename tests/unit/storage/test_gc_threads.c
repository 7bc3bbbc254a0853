#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/blobs.h"
#include "storage/collect_int.h"
#include "storage/content.h"
#include "storage/upload.h"

/*
 * Pushes, deletions and downloads of the same few layers while the collector
 * runs.  A grace passes again and again, but never between a HEAD and the end
 * of the push that it belongs to: so each such push must succeed, however slow
 * the machine is.
 */
#define GRACE_MS ((int64_t)3600 * 1000)
#define PUSHERS 4
#define ROUNDS 60
#define LAYERS 6
#define LAYERS_OF_IMAGE 2
#define IMAGES 3 /* of each pusher at a time */

/* --- time ---------------------------------------------------------------- */

static _Atomic int64_t ahead_ms;

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	if (syscall(SYS_clock_gettime, clock, t) != 0)
		return (-1);
	t->tv_sec += ahead_ms / 1000;
	return (0);
}

/* --- what is pushed ------------------------------------------------------ */

struct layer {
	char *bytes;
	size_t n;
	struct digest digest;
};

static struct layer layers[LAYERS];
static const char *const repos[] = { "team/one", "team/two" };

struct world {
	struct mt *t;
	pthread_rwlock_t grace; /* shared: none passes */
	_Atomic bool stop;
	_Atomic unsigned told_yes, told_no, mounted, collections;
	struct gc_totals collected;
};

struct pusher {
	struct world *w;
	unsigned n;
	uint32_t dice;
	struct {
		bool there;
		const char *repo;
		struct digest digest;
		unsigned layers[LAYERS_OF_IMAGE];
	} images[IMAGES];
};

static unsigned
roll(struct pusher *p, unsigned sides)
{
	p->dice = p->dice * 1664525U + 1013904223U;
	return ((p->dice >> 16) % sides);
}

static void
layers_make(void)
{
	unsigned i;

	for (i = 0; i < LAYERS; i++) {
		layers[i].n = i % 2 == 0 ? 200 + i : 6000 + i;
		layers[i].bytes = tool_bytes(layers[i].n, i);
		layers[i].digest = tool_digest(layers[i].bytes, layers[i].n);
	}
}

static void
layers_free(void)
{
	unsigned i;

	for (i = 0; i < LAYERS; i++)
		free(layers[i].bytes);
}

/* --- a push -------------------------------------------------------------- */

static void
upload(struct pusher *p, const char *repo, const struct layer *layer)
{
	struct store *s = p->w->t->s;
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	if (roll(p, 2) == 0) {
		must(upload_whole(s, span_of(repo), &layer->digest,
			 (struct span){ layer->bytes, layer->n }, SPAN_NONE,
			 &repository_preset_default) == RC_OK);
		return;
	}
	must(upload_start(s, span_of(repo), DIGEST_SHA256,
		 &repository_preset_default, id) == RC_OK);
	must(upload_acquire(s, span_of(repo), span_of(id), &u) == RC_OK);
	must(upload_write(u, layer->bytes, layer->n) == RC_OK);
	must(upload_finish(&u, &layer->digest, &repository_preset_default) ==
	     RC_OK);
}

static enum rc
head(struct world *w, const char *repo, const struct layer *layer)
{
	struct arena a;
	uint64_t size;
	enum rc rc;

	arena_init(&a, 65536);
	rc = content_stat(
	    w->t->s, span_of(repo), &layer->digest, READ_INLINE, &a, &size);
	if (rc == RC_WOULDBLOCK)
		rc = content_stat(w->t->s, span_of(repo), &layer->digest,
		    READ_BLOCKING, &a, &size);
	arena_reset(&a);
	must(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc);
}

static bool
mount(struct world *w, const char *repo, const struct layer *layer)
{
	const struct blob_mount mount = {
		.from = span_of(repo == repos[0] ? repos[1] : repos[0]),
		.to = span_of(repo),
		.digest = layer->digest,
		.create = &repository_preset_default,
		.now_ms = clock_real_ms(),
	};
	enum rc rc;

	rc = meta_blob_mount(w->t->m, &mount);
	must(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc == RC_OK);
}

/* As clients do. */
static void
layer_push(struct pusher *p, const char *repo, const struct layer *layer)
{
	if (head(p->w, repo, layer) == RC_OK) {
		p->w->told_yes++;
		return;
	}
	p->w->told_no++;
	if (roll(p, 3) == 0 && mount(p->w, repo, layer)) {
		p->w->mounted++;
		return;
	}
	upload(p, repo, layer);
}

static enum rc
layer_read(struct world *w, const char *repo, const struct layer *layer)
{
	struct arena a;
	struct content c;
	char got[8192];
	enum rc rc;

	arena_init(&a, 65536);
	rc = content_open(
	    w->t->s, span_of(repo), &layer->digest, READ_BLOCKING, &a, &c);
	if (rc == RC_OK) {
		must(c.size_bytes == layer->n);
		if (c.kind == CONTENT_FILE) {
			must(blob_file_read_all(&c.file, 0, got, layer->n) ==
			     RC_OK);
			content_close(&c);
			c.bytes.p = got;
		}
		must(memcmp(c.bytes.p, layer->bytes, layer->n) == 0);
	}
	arena_reset(&a);
	return (rc);
}

static void
image_check(struct pusher *p, unsigned at)
{
	unsigned i;

	for (i = 0; i < LAYERS_OF_IMAGE; i++)
		must(layer_read(p->w, p->images[at].repo,
			 &layers[p->images[at].layers[i]]) == RC_OK);
}

static void
image_delete(struct pusher *p, unsigned at)
{
	struct holding holding;

	must(meta_manifest_delete(p->w->t->m, span_of(p->images[at].repo),
		 &p->images[at].digest, &holding) == RC_OK);
	p->images[at].there = false;
}

static void
image_push(struct pusher *p, unsigned at, unsigned round)
{
	struct descriptor edges[LAYERS_OF_IMAGE];
	char text[32];
	struct mt_image image = {
		.repo = repos[roll(p, ARRAY_LEN(repos))],
		.text = text,
		.tag = NULL,
		.edges = edges,
		.n_edges = LAYERS_OF_IMAGE,
	};
	struct manifest_put_result result = { 0 };
	unsigned i, first = roll(p, LAYERS);

	for (i = 0; i < LAYERS_OF_IMAGE; i++) {
		p->images[at].layers[i] = (first + i) % LAYERS;
		layer_push(p, image.repo, &layers[(first + i) % LAYERS]);
		edges[i] =
		    mt_edge(EDGE_LAYER, &layers[(first + i) % LAYERS].digest);
	}
	snprintf(text, sizeof(text), "image %u %u", p->n, round);
	image.now_ms = clock_real_ms();
	must(mt_put(p->w->t, &image, &p->images[at].digest, &result) == RC_OK);
	p->images[at].repo = image.repo;
	p->images[at].there = true;
	image_check(p, at);
}

/* --- the threads --------------------------------------------------------- */

static void *
pusher_run(void *arg)
{
	struct pusher *p = arg;
	unsigned round, at;

	for (round = 0; round < ROUNDS; round++) {
		at = roll(p, IMAGES);
		must(pthread_rwlock_rdlock(&p->w->grace) == 0);
		if (p->images[at].there) {
			image_check(p, at);
			image_delete(p, at);
		} else {
			image_push(p, at, round);
		}
		must(pthread_rwlock_unlock(&p->w->grace) == 0);
	}
	for (at = 0; at < IMAGES; at++)
		if (p->images[at].there)
			image_check(p, at);
	return (NULL);
}

static void *
reader_run(void *arg)
{
	struct world *w = arg;
	unsigned i;
	enum rc rc;

	for (i = 0; !w->stop; i++) {
		rc = layer_read(w, repos[i % 2], &layers[i % LAYERS]);
		must(rc == RC_OK || rc == RC_NOTFOUND);
		(void)usleep(500);
	}
	return (NULL);
}

static void *
collector_run(void *arg)
{
	struct world *w = arg;
	struct gc_options options = { 0 };

	while (!w->stop) {
		options.now_ms = clock_real_ms();
		must(gc_run(w->t->s, &options, &w->collected) == RC_OK);
		w->collections++;
	}
	return (NULL);
}

static void *
time_run(void *arg)
{
	struct world *w = arg;

	while (!w->stop) {
		must(pthread_rwlock_wrlock(&w->grace) == 0);
		ahead_ms += GRACE_MS;
		must(pthread_rwlock_unlock(&w->grace) == 0);
		(void)usleep(2000);
	}
	return (NULL);
}

static int
setup(void **state)
{
	log_set_level(LOG_LVL_ERROR);
	ahead_ms = 0;
	layers_make();
	return (mt_setup(state));
}

static int
teardown(void **state)
{
	layers_free();
	return (mt_teardown(state));
}

static int
file_count(void *arg, uint32_t domain, const struct digest *d, uint64_t size,
    const char *path)
{
	unsigned *n = arg;

	(void)domain;
	(void)d;
	(void)size;
	(void)path;
	++*n;
	return (0);
}

static void
assert_nothing_left(struct mt *t)
{
	struct store_stats st = mt_stats(t);
	unsigned files = 0;

	assert_int_equal(st.blobs, 0);
	assert_int_equal(st.blob_links, 0);
	assert_int_equal(st.idle_links, 0);
	assert_int_equal(st.unreferenced_blobs, 0);
	assert_int_equal(
	    blobs_walk(store_blobs(t->s), file_count, &files), RC_OK);
	assert_int_equal(files, 0);
}

static void
grace_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	assert_int_equal(pthread_rwlockattr_init(&attr), 0);
	assert_int_equal(pthread_rwlockattr_setkind_np(&attr,
			     PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP),
	    0);
	assert_int_equal(pthread_rwlock_init(lock, &attr), 0);
	assert_int_equal(pthread_rwlockattr_destroy(&attr), 0);
}

static void
world_run(struct world *w, struct pusher *pushers)
{
	void *(*const others[])(
	    void *) = { reader_run, collector_run, time_run };
	pthread_t push[PUSHERS], other[ARRAY_LEN(others)];
	unsigned i;

	for (i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(
		    pthread_create(&other[i], NULL, others[i], w), 0);
	for (i = 0; i < PUSHERS; i++) {
		pushers[i] =
		    (struct pusher){ .w = w, .n = i, .dice = 7 * i + 1 };
		assert_int_equal(
		    pthread_create(&push[i], NULL, pusher_run, &pushers[i]), 0);
	}
	for (i = 0; i < PUSHERS; i++)
		assert_int_equal(pthread_join(push[i], NULL), 0);
	/* However fast they were: one that began before, and one behind. */
	for (i = w->collections; w->collections < i + 2;)
		(void)usleep(1000);
	w->stop = true;
	for (i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(pthread_join(other[i], NULL), 0);
}

static void
test_pushes_never_fail_because_of_the_collector(void **state)
{
	struct world w = { .t = *state };
	struct pusher pushers[PUSHERS];
	struct gc_options options = { 0 };
	unsigned i, at;

	grace_init(&w.grace);
	gc_grace_set(w.t->s, GRACE_MS);
	world_run(&w, pushers);
	/* All of it has happened. */
	assert_true(w.told_yes > 0 && w.told_no > 0);
	assert_true(w.collections > 0 && w.collected.blobs > 0);
	mt_check(w.t);

	for (i = 0; i < PUSHERS; i++)
		for (at = 0; at < IMAGES; at++)
			if (pushers[i].images[at].there) {
				image_check(&pushers[i], at);
				image_delete(&pushers[i], at);
			}
	ahead_ms += 2 * GRACE_MS;
	options.now_ms = clock_real_ms();
	assert_int_equal(gc_run(w.t->s, &options, &w.collected), RC_OK);
	mt_check(w.t);
	assert_nothing_left(w.t);
	assert_int_equal(w.collected.orphan_files, 0);
	assert_int_equal(pthread_rwlock_destroy(&w.grace), 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pushes_never_fail_because_of_the_collector),
	};

	return (cmocka_run_group_tests_name("gc_threads", tests, NULL, NULL));
}
