#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "mirror/copy.h"
#include "mirror/replicate_int.h"
#include "place_tools.h"
#include "storage/images.h"
#include "storage/repositories.h"
#include "store_rig.h"

/*
 * A store with a queue, and two destinations in memory.
 */
#define APP SPAN("team/app")
#define EAST "east/111111111111"
#define WEST "west/222222222222"
#define WAIT_MS 20000

struct bench {
	struct store_rig rig;
	struct mem *source, *east, *west;
	struct replicator_options o;
	struct replicate_ends ends;
	struct replicator *r;

	pthread_mutex_t lock;
	bool no_repository; /* in the east, until it is created */
	bool can_create;
	bool unknown; /* nobody knows the east */
	unsigned creates, opens;
	unsigned sent, failed;
	char last_why[UPSTREAM_WHY_BYTES];
};

/* --- the other ends ------------------------------------------------------ */

static struct place *
ends_open(void *arg, const struct replication_task *task,
    const atomic_bool *cancel, enum rc *rc_r, struct upstream_error *error)
{
	struct bench *b = arg;
	struct place *place = &b->west->place;
	bool unknown;

	(void)cancel;
	mutex_lock(&b->lock);
	b->opens++;
	unknown = b->unknown;
	mutex_unlock(&b->lock);
	if (span_is(task->destination, EAST))
		place = &b->east->place;
	if (span_is(task->destination, EAST) && unknown) {
		*rc_r = RC_RANGE;
		(void)snprintf(error->why, sizeof(error->why), "unknown");
		return (NULL);
	}
	*rc_r = RC_OK;
	return (place);
}

static enum rc
ends_create(void *arg, const struct replication_task *task,
    const atomic_bool *cancel, struct upstream_error *error)
{
	struct bench *b = arg;
	enum rc rc = RC_UNSUPPORTED;

	(void)task;
	(void)cancel;
	(void)error;
	mutex_lock(&b->lock);
	b->creates++;
	if (b->can_create) {
		mem_fail(b->east, MEM_BLOB_PUT, 1, 0, RC_OK);
		rc = RC_OK;
	}
	mutex_unlock(&b->lock);
	return (rc);
}

static void
ended(void *arg, struct span repository, const struct digest *d,
    struct span tag, struct span destination, bool sent, const char *why)
{
	struct bench *b = arg;

	(void)repository;
	(void)d;
	(void)tag;
	(void)destination;
	mutex_lock(&b->lock);
	if (sent) {
		b->sent++;
		assert_null(why);
	} else {
		b->failed++;
		(void)snprintf(b->last_why, sizeof(b->last_why), "%s", why);
	}
	mutex_unlock(&b->lock);
}

static int
bench_new(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	store_rig_open(&b->rig);
	mutex_init(&b->lock);
	b->source = mem_new("builder");
	b->east = mem_new("east");
	b->west = mem_new("west");
	b->o.ended = ended;
	b->o.arg = b;
	b->ends = (struct replicate_ends){
		.open = ends_open,
		.create = ends_create,
		.arg = b,
	};
	*state = b;
	return (0);
}

static int
bench_free(void **state)
{
	struct bench *b = *state;

	replicator_stop(&b->r);
	mem_free(&b->source);
	mem_free(&b->east);
	mem_free(&b->west);
	store_rig_close(&b->rig);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
	return (0);
}

static void
start(struct bench *b)
{
	b->o.store = b->rig.s;
	assert_int_equal(replicator_start_to(&b->o, &b->ends, &b->r), RC_OK);
}

/* --- pushes and waits ---------------------------------------------------- */

/* To the east, and with ${both} to the west. */
static struct digest
push(struct bench *b, const char *tag, const char *layers, bool both)
{
	const struct span to[] = { SPAN(EAST), SPAN(WEST) };
	const struct place_store_options so = {
		.store = b->rig.s,
		.repository = APP,
		.create = &repository_preset_default,
		.destinations = to,
		.n_destinations = both ? 2 : 1,
	};
	struct digest d = mem_image(b->source, tag, layers);
	const struct reference ref = { .is_digest = true, .digest = d };
	const struct copy_options o = { .referrers = true };
	struct place *place = place_store(&so);
	struct upstream_error error;
	struct copy_result result;

	assert_int_equal(copy_image(&b->source->place, &ref, place,
			     span_of(tag), &o, &result, &error),
	    RC_OK);
	place_free(&place);
	return (d);
}

static void
nap(void)
{
	const struct timespec t = { 0, 5000000 };

	(void)nanosleep(&t, NULL);
}

static uint64_t
waiting(struct bench *b)
{
	uint64_t n;

	assert_int_equal(meta_replication_count(b->rig.m, &n), RC_OK);
	return (n);
}

static void
until_waiting(struct bench *b, uint64_t n)
{
	int i;

	for (i = 0; waiting(b) != n && i < WAIT_MS / 5; i++)
		nap();
	assert_int_equal(waiting(b), n);
}

static struct replication_status
status_of(struct bench *b, const struct digest *d, const char *destination,
    char code[64])
{
	struct replication_status *rows, row = { 0 };
	struct arena a;
	size_t i, n;

	arena_init(&a, 1 << 20);
	assert_int_equal(
	    meta_replication_status(b->rig.m, APP, d, &a, &rows, &n), RC_OK);
	for (i = 0; i < n; i++)
		if (span_is(rows[i].destination, destination))
			row = rows[i];
	(void)snprintf(code, 64, SPAN_FMT, SPAN_ARG(row.code));
	arena_reset(&a);
	return (row);
}

#define STATE(b, d, destination, is, code_is) \
	do { \
		char code_[64]; \
		struct replication_status row_ = \
		    status_of((b), (d), (destination), code_); \
		assert_int_equal(row_.state, (is)); \
		assert_string_equal(code_, (code_is)); \
	} while (0)

static struct replication_task
only_task(struct bench *b)
{
	struct replication_task *rows, row;
	struct arena a;
	size_t n;

	arena_init(&a, 1 << 20);
	assert_int_equal(
	    meta_replication_page(b->rig.m, 0, 0, INT64_MAX, 9, &a, &rows, &n),
	    RC_OK);
	assert_int_equal(n, 1);
	row = rows[0];
	arena_reset(&a);
	row.repository = row.tag = row.destination = SPAN_NONE;
	return (row);
}

static void
until_attempts(struct bench *b, uint32_t n)
{
	int i;

	for (i = 0; only_task(b).attempts < n && i < WAIT_MS / 5; i++)
		nap();
	assert_true(only_task(b).attempts >= n);
}

/* --- tests --------------------------------------------------------------- */

static void
what_was_pushed_is_sent_to_all_its_destinations(void **state)
{
	struct bench *b = *state;
	struct digest d;

	start(b);
	d = push(b, "1", "a b", true);
	replicator_wake(b->r);
	until_waiting(b, 0);
	assert_true(mem_tag_is(b->east, "1", &d));
	assert_true(mem_tag_is(b->west, "1", &d));
	STATE(b, &d, EAST, REPLICATION_COMPLETE, "");
	STATE(b, &d, WEST, REPLICATION_COMPLETE, "");
	replicator_stop(&b->r);
	assert_int_equal(b->sent, 2);
	assert_int_equal(b->failed, 0);
}

static void
what_waited_since_before_the_start_is_sent_without_being_woken(void **state)
{
	struct bench *b = *state;
	struct digest d = push(b, "1", "a", false);

	store_rig_again(&b->rig);
	start(b);
	until_waiting(b, 0);
	assert_true(mem_tag_is(b->east, "1", &d));
}

static void
many_images_of_one_repository_all_arrive(void **state)
{
	struct bench *b = *state;
	char tag[16];
	int i;

	for (i = 0; i < 70; i++) {
		(void)snprintf(tag, sizeof(tag), "t%d", i);
		(void)push(b, tag, tag, true);
	}
	start(b);
	until_waiting(b, 0);
	assert_int_equal(mem_tags_count(b->east), 70);
	assert_int_equal(mem_tags_count(b->west), 70);
}

static void
referrers_go_along(void **state)
{
	struct bench *b = *state;
	struct digest d = mem_image(b->source, "1", "a"),
		      sig = mem_referrer(b->source, &d, "sig");

	(void)push(b, "1", "a", false);
	start(b);
	until_waiting(b, 0);
	assert_true(mem_has_manifest(b->east, &sig));
}

static void
a_failure_that_may_pass_is_tried_again_later(void **state)
{
	struct bench *b = *state;
	struct replication_task task;
	struct digest d;
	int64_t began_ms = clock_real_ms();

	mem_fail(b->east, MEM_HEAD, 1, 2, RC_IO);
	d = push(b, "1", "a", false);
	start(b);
	until_attempts(b, 1);
	task = only_task(b);
	assert_true(task.due_ms >= began_ms + 1000);
	STATE(b, &d, EAST, REPLICATION_IN_PROGRESS, "");
	until_attempts(b, 2);
	assert_true(only_task(b).due_ms >= began_ms + 3000);
	until_waiting(b, 0);
	assert_true(mem_tag_is(b->east, "1", &d));
	STATE(b, &d, EAST, REPLICATION_COMPLETE, "");
}

static void
the_pause_outlives_the_process(void **state)
{
	struct bench *b = *state;
	int64_t due_ms;

	mem_fail(b->east, MEM_HEAD, 1, 1000, RC_TIMEOUT);
	(void)push(b, "1", "a", false);
	start(b);
	until_attempts(b, 2);
	replicator_stop(&b->r);
	due_ms = only_task(b).due_ms;
	store_rig_again(&b->rig);
	assert_int_equal(only_task(b).attempts, 2);
	assert_int_equal(only_task(b).due_ms, due_ms);
}

static void
a_destination_that_is_away_does_not_hold_up_another(void **state)
{
	struct bench *b = *state;
	char tag[16];
	int i;

	mem_fail(b->east, MEM_HEAD, 1, 100000, RC_IO);
	for (i = 0; i < 30; i++) {
		(void)snprintf(tag, sizeof(tag), "t%d", i);
		(void)push(b, tag, tag, true);
	}
	start(b);
	until_waiting(b, 30);
	assert_int_equal(mem_tags_count(b->west), 30);
	replicator_stop(&b->r);
	/* It is not asked for each of them. */
	assert_true(b->east->count[MEM_HEAD] < 20);
}

static void
when_it_is_back_all_that_waited_is_sent(void **state)
{
	struct bench *b = *state;
	char tag[16];
	int i;

	mem_fail(b->east, MEM_HEAD, 1, 1, RC_IO);
	for (i = 0; i < 20; i++) {
		(void)snprintf(tag, sizeof(tag), "t%d", i);
		(void)push(b, tag, tag, false);
	}
	start(b);
	until_waiting(b, 0);
	assert_int_equal(mem_tags_count(b->east), 20);
}

static void
after_so_long_it_is_given_up(void **state)
{
	struct bench *b = *state;
	struct digest d;

	b->o.give_up_ms = 1;
	mem_fail(b->east, MEM_HEAD, 1, 100000, RC_IO);
	d = push(b, "1", "a", false);
	start(b);
	until_waiting(b, 0);
	STATE(b, &d, EAST, REPLICATION_FAILED, REPLICATION_GAVE_UP);
	replicator_stop(&b->r);
	assert_int_equal(b->failed, 1);
	assert_non_null(strstr(b->last_why, "east"));
}

static void
what_will_not_pass_fails_at_once(void **state)
{
	static const struct {
		enum mem_op op;
		enum rc rc;
		const char *code;
	} rows[] = {
		{ MEM_BLOB_PUT, RC_DENIED, REPLICATION_DENIED },
		{ MEM_MANIFEST_PUT, RC_EXISTS, REPLICATION_IMMUTABLE },
		{ MEM_MANIFEST_PUT, RC_NOTFOUND, REPLICATION_NO_REPOSITORY },
		{ MEM_MANIFEST_PUT, RC_FAILED, REPLICATION_REFUSED },
		{ MEM_MANIFEST_PUT, RC_INVALID, REPLICATION_REFUSED },
		{ MEM_BLOB_HAS, RC_DENIED, REPLICATION_DENIED },
	};
	struct bench *b = *state;
	struct digest d;
	char tag[16];
	size_t i;

	start(b);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mem_fail(b->east, rows[i].op, 1, 9, rows[i].rc);
		(void)snprintf(tag, sizeof(tag), "t%zu", i);
		d = push(b, tag, tag, false);
		replicator_wake(b->r);
		until_waiting(b, 0);
		STATE(b, &d, EAST, REPLICATION_FAILED, rows[i].code);
	}
}

static void
an_immutable_tag_over_there_is_told(void **state)
{
	struct bench *b = *state;
	struct digest d, other = mem_image(b->east, "1", "other");

	b->east->immutable = true;
	d = push(b, "1", "a", false);
	start(b);
	until_waiting(b, 0);
	STATE(b, &d, EAST, REPLICATION_FAILED, REPLICATION_IMMUTABLE);
	assert_true(mem_tag_is(b->east, "1", &other));
}

static void
an_unknown_destination_fails_at_once(void **state)
{
	struct bench *b = *state;
	struct digest d;

	b->unknown = true;
	d = push(b, "1", "a", true);
	start(b);
	until_waiting(b, 0);
	STATE(b, &d, EAST, REPLICATION_FAILED, REPLICATION_UNKNOWN_DESTINATION);
	STATE(b, &d, WEST, REPLICATION_COMPLETE, "");
}

static void
a_repository_that_is_not_there_is_made(void **state)
{
	struct bench *b = *state;
	struct digest d;

	b->can_create = true;
	mem_fail(b->east, MEM_BLOB_PUT, 1, 100, RC_NOTFOUND);
	d = push(b, "1", "a", false);
	start(b);
	until_waiting(b, 0);
	assert_true(mem_tag_is(b->east, "1", &d));
	replicator_stop(&b->r);
	assert_int_equal(b->creates, 1);
}

static void
a_repository_that_cannot_be_made_is_told(void **state)
{
	struct bench *b = *state;
	struct digest d;

	mem_fail(b->east, MEM_BLOB_PUT, 1, 100, RC_NOTFOUND);
	d = push(b, "1", "a", false);
	start(b);
	until_waiting(b, 0);
	STATE(b, &d, EAST, REPLICATION_FAILED, REPLICATION_NO_REPOSITORY);
	replicator_stop(&b->r);
	assert_int_equal(b->creates, 1);
}

static void
an_image_that_is_gone_here_is_no_trouble(void **state)
{
	const struct image_delete del = { .repository = APP, .tag = SPAN("1") };
	struct bench *b = *state;
	struct image_deleted gone;
	struct arena a;

	(void)push(b, "1", "a", false);
	arena_init(&a, 1 << 20);
	assert_int_equal(meta_image_delete(b->rig.m, &del, &a, &gone), RC_OK);
	arena_reset(&a);
	start(b);
	until_waiting(b, 0);
	assert_int_equal(b->east->n_manifests, 0);
}

static void
a_tag_that_moved_is_not_moved_back_by_a_late_task(void **state)
{
	struct bench *b = *state;
	struct digest first, second;

	mem_fail(b->east, MEM_HEAD, 1, 1, RC_DIGEST); /* of the first alone */
	first = push(b, "1", "a", false);
	start(b);
	until_attempts(b, 1);
	second = push(b, "1", "b", false);
	replicator_wake(b->r);
	until_waiting(b, 0);
	assert_true(mem_has_manifest(b->east, &first));
	assert_true(mem_tag_is(b->east, "1", &second));
	STATE(b, &first, EAST, REPLICATION_COMPLETE, "");
}

/* --- stopping ------------------------------------------------------------ */

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool reached, open;
};

static void
gate_hold(void *arg, enum mem_op op)
{
	struct gate *g = arg;

	if (op != MEM_BLOB_PUT)
		return;
	mutex_lock(&g->lock);
	g->reached = true;
	(void)pthread_cond_broadcast(&g->changed);
	while (!g->open)
		cond_wait(&g->changed, &g->lock);
	mutex_unlock(&g->lock);
}

static void
stop_now(void *arg)
{
	struct bench *b = arg;

	replicator_stop(&b->r);
}

static void
a_stop_leaves_what_is_under_way_for_the_next_start(void **state)
{
	struct bench *b = *state;
	struct gate g = { .reached = false };
	struct replicator *r;
	pthread_t stopper;
	struct digest d;

	mutex_init(&g.lock);
	cond_init(&g.changed);
	b->east->hook = gate_hold;
	b->east->hook_arg = &g;
	d = push(b, "1", "a b c", false);
	start(b);
	r = b->r;
	mutex_lock(&g.lock);
	while (!g.reached)
		cond_wait(&g.changed, &g.lock);
	mutex_unlock(&g.lock);
	assert_int_equal(thread_start("stop", stop_now, b, &stopper), RC_OK);
	while (!atomic_load(&r->stop)) /* it waits for the gate */
		nap();
	mutex_lock(&g.lock);
	g.open = true;
	(void)pthread_cond_broadcast(&g.changed);
	mutex_unlock(&g.lock);
	thread_join(stopper);
	assert_int_equal(waiting(b), 1);
	assert_int_equal(only_task(b).attempts, 0);
	assert_false(mem_has_tag(b->east, "1"));
	b->east->hook = NULL;
	store_rig_again(&b->rig);
	start(b);
	until_waiting(b, 0);
	assert_true(mem_tag_is(b->east, "1", &d));
	(void)pthread_cond_destroy(&g.changed);
	(void)pthread_mutex_destroy(&g.lock);
}

static void
an_idle_one_stops(void **state)
{
	struct bench *b = *state;

	start(b);
	replicator_stop(&b->r);
	assert_null(b->r);
	replicator_stop(&b->r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, bench_new, bench_free)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(what_was_pushed_is_sent_to_all_its_destinations),
		T(what_waited_since_before_the_start_is_sent_without_being_woken),
		T(many_images_of_one_repository_all_arrive),
		T(referrers_go_along),
		T(a_failure_that_may_pass_is_tried_again_later),
		T(the_pause_outlives_the_process),
		T(a_destination_that_is_away_does_not_hold_up_another),
		T(when_it_is_back_all_that_waited_is_sent),
		T(after_so_long_it_is_given_up),
		T(what_will_not_pass_fails_at_once),
		T(an_immutable_tag_over_there_is_told),
		T(an_unknown_destination_fails_at_once),
		T(a_repository_that_is_not_there_is_made),
		T(a_repository_that_cannot_be_made_is_told),
		T(an_image_that_is_gone_here_is_no_trouble),
		T(a_tag_that_moved_is_not_moved_back_by_a_late_task),
		T(a_stop_leaves_what_is_under_way_for_the_next_start),
		T(an_idle_one_stops),
	};

	return (cmocka_run_group_tests_name("replicate", tests, NULL, NULL));
}
