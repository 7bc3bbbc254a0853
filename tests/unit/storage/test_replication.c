#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/deleted.h"
#include "storage/images.h"
#include "storage/meta_ops_int.h"
#include "storage/replication.h"
#include "storage/upload.h"

/*
 * What is to be sent to other registries: which pushes queue something, in
 * which order it is due, what becomes of it, and what is told of an image.
 */
#define APP SPAN("app")
#define WEST SPAN("us-west-2/111122223333")
#define EAST SPAN("us-east-1/111122223333")
#define UNDELETE_MS INT64_C(3600000)

/* --- short words --------------------------------------------------------- */

static int
setup(void **state)
{

	log_set_level(LOG_LVL_ERROR);
	return (mt_setup(state));
}

/* To ${n} of the two destinations. */
static struct digest
push(struct mt *t, const char *text, const char *tag, size_t n, int64_t now_ms)
{
	const struct span both[] = { WEST, EAST };
	return (mt_image(t, &(struct mt_image){
				.repo = "app",
				.text = text,
				.tag = tag,
				.destinations = both,
				.n_destinations = n,
				.now_ms = now_ms,
			    }));
}

static uint64_t
waiting(struct mt *t)
{
	uint64_t n;

	assert_int_equal(meta_replication_count(t->m, &n), RC_OK);
	return (n);
}

struct tasks {
	struct replication_task *rows;
	size_t n;
};

static struct tasks
due(struct mt *t, int64_t due_ms)
{
	struct tasks tasks;

	assert_int_equal(meta_replication_page(t->m, 0, 0, due_ms, 99,
			     &t->arena, &tasks.rows, &tasks.n),
	    RC_OK);
	return (tasks);
}

/* The only one. */
static struct replication_task
task(struct mt *t)
{
	struct tasks tasks = due(t, INT64_MAX);

	assert_int_equal(tasks.n, 1);
	return (tasks.rows[0]);
}

static struct replication_status
status(struct mt *t, const struct digest *d, struct span destination)
{
	struct replication_status *rows;
	size_t n, i;

	assert_int_equal(
	    meta_replication_status(t->m, APP, d, &t->arena, &rows, &n), RC_OK);
	for (i = 0; i < n; i++)
		if (span_eq(rows[i].destination, destination))
			return (rows[i]);
	return ((struct replication_status){ 0 });
}

static size_t
statuses(struct mt *t, struct span repository, const struct digest *d)
{
	struct replication_status *rows;
	size_t n;

	assert_int_equal(
	    meta_replication_status(t->m, repository, d, &t->arena, &rows, &n),
	    RC_OK);
	return (n);
}

static void
complete(struct mt *t, const struct replication_task *of, int64_t now_ms)
{

	assert_int_equal(meta_replication_end(t->m, of, REPLICATION_COMPLETE,
			     SPAN_NONE, SPAN_NONE, now_ms),
	    RC_OK);
	mt_check(t);
}

static void
give_up(struct mt *t, const struct replication_task *of, int64_t now_ms)
{

	assert_int_equal(meta_replication_end(t->m, of, REPLICATION_FAILED,
			     SPAN("Denied"), SPAN("not allowed"), now_ms),
	    RC_OK);
	mt_check(t);
}

static uint64_t
rows_of(struct mt *t, enum meta_table table)
{
	struct meta_txn m;
	uint64_t n;

	assert_int_equal(meta_read_begin(t->m, &m), RC_OK);
	n = kv_count(&m, table);
	meta_read_end(&m);
	return (n);
}

static void
image_delete_of(struct mt *t, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(meta_manifest_delete(t->m, APP, d, &holding), RC_OK);
}

/* --- pushing ------------------------------------------------------------- */

static void
a_push_queues_a_task_for_each_destination(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 2, 1500);
	struct tasks tasks = due(t, 1500);

	assert_int_equal(tasks.n, 2);
	assert_int_equal(waiting(t), 2);
	assert_true(span_eq(tasks.rows[0].repository, APP));
	assert_true(digest_eq(&tasks.rows[0].digest, &a));
	assert_true(span_is(tasks.rows[0].tag, "v1"));
	assert_true(span_eq(tasks.rows[0].destination, WEST));
	assert_true(span_eq(tasks.rows[1].destination, EAST));
	assert_true(tasks.rows[0].id < tasks.rows[1].id);
	assert_int_equal(tasks.rows[0].attempts, 0);
	assert_int_equal(tasks.rows[0].queued_ms, 1500);
	assert_int_equal(tasks.rows[0].due_ms, 1500);
	assert_int_equal(statuses(t, APP, &a), 2);
	assert_int_equal(status(t, &a, EAST).state, REPLICATION_IN_PROGRESS);
	assert_int_equal(status(t, &a, EAST).pending, 1);
	assert_int_equal(status(t, &a, EAST).changed_ms, 1500);
	mt_check(t);
}

static void
what_waits_survives_the_process(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 1, 1500);
	uint64_t id = task(t).id;

	mt_reopen(t);
	assert_int_equal(waiting(t), 1);
	assert_int_equal(task(t).id, id);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_IN_PROGRESS);
}

static void
an_image_without_a_tag_is_sent_by_its_digest(void **state)
{
	struct mt *t = *state;

	(void)push(t, "a", NULL, 1, 1500);
	assert_int_equal(task(t).tag.n, 0);
}

static void
a_push_without_destinations_queues_nothing(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 0, 1500);

	assert_int_equal(waiting(t), 0);
	assert_int_equal(statuses(t, APP, &a), 0);
	assert_int_equal(statuses(t, SPAN("none"), &a), 0);
}

static void
a_push_that_changes_nothing_queues_nothing(void **state)
{
	struct mt *t = *state;

	(void)push(t, "a", "v1", 0, 1500);
	(void)push(t, "a", "v1", 2, 2500);
	(void)push(t, "a", NULL, 2, 2500);
	assert_int_equal(waiting(t), 0);
}

static void
a_tag_that_moves_or_is_new_is_sent(void **state)
{
	struct mt *t = *state;
	struct replication_task old;

	(void)push(t, "a", "v1", 0, 1500);
	(void)push(t, "b", "v1", 0, 1500);
	(void)push(t, "a", "v1", 1, 2500);
	old = task(t);
	assert_true(span_is(old.tag, "v1"));
	complete(t, &old, 3000);
	(void)push(t, "a", "v2", 1, 3500);
	assert_true(span_is(task(t).tag, "v2"));
	mt_check(t);
}

static void
an_image_that_comes_back_from_the_archive_is_sent(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 0, 1500);
	const struct reference ref = { .is_digest = true, .digest = a };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, APP, &ref, IMAGE_ARCHIVED,
			     2000, &t->arena, &row, &holding),
	    RC_OK);
	(void)push(t, "a", "v1", 1, 2500);
	assert_true(span_is(task(t).tag, "v1"));
}

static void
a_refused_push_queues_nothing(void **state)
{
	struct manifest_put_result result;
	struct digest d, child = mt_digest("not here");
	const struct descriptor edge = mt_edge(EDGE_LAYER, &child);
	const struct span both[] = { WEST, EAST };
	struct mt *t = *state;

	assert_int_equal(mt_put(t,
			     &(struct mt_image){
				 .repo = "app",
				 .text = "a",
				 .edges = &edge,
				 .n_edges = 1,
				 .destinations = both,
				 .n_destinations = 2,
			     },
			     &d, &result),
	    RC_MISSING);
	assert_int_equal(waiting(t), 0);
	assert_int_equal(rows_of(t, TABLE_REPLICATION_STATUS), 0);
}

static void
a_push_once_more_takes_the_place_of_what_waits(void **state)
{
	struct mt *t = *state;
	struct replication_task old, new;

	(void)push(t, "a", "v1", 1, 1500);
	old = task(t);
	(void)push(t, "b", "v1", 0, 2000);
	(void)push(t, "a", "v1", 1, 2500);
	new = task(t);
	assert_true(new.id > old.id);
	assert_int_equal(new.due_ms, 2500);
	/* Who sends the old one cannot say that the new one was sent. */
	assert_int_equal(meta_replication_end(t->m, &old, REPLICATION_COMPLETE,
			     SPAN_NONE, SPAN_NONE, 3000),
	    RC_NOTFOUND);
	assert_int_equal(waiting(t), 1);
	mt_check(t);
}

/* --- adding -------------------------------------------------------------- */

static void
a_task_can_be_added_of_what_is_here(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 0, 1500), b = mt_digest("b");
	char long_text[REPLICATION_DESTINATION_MAX_BYTES + 1] = { 0 };
	const struct span too_long = { long_text, sizeof(long_text) };

	assert_int_equal(
	    meta_replication_add(t->m, APP, &a, SPAN("v1"), WEST, 2500), RC_OK);
	assert_int_equal(task(t).queued_ms, 2500);
	assert_int_equal(status(t, &a, WEST).pending, 1);
	assert_int_equal(
	    meta_replication_add(t->m, APP, &b, SPAN_NONE, WEST, 2500),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_replication_add(t->m, SPAN("none"), &a, SPAN_NONE, WEST, 2500),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_replication_add(t->m, APP, &a, SPAN("-"), WEST, 2500),
	    RC_INVALID);
	assert_int_equal(
	    meta_replication_add(t->m, APP, &a, SPAN_NONE, SPAN_NONE, 2500),
	    RC_INVALID);
	assert_int_equal(
	    meta_replication_add(t->m, APP, &a, SPAN_NONE, too_long, 2500),
	    RC_INVALID);
	assert_int_equal(waiting(t), 1);
	mt_check(t);
}

/* --- the queue ----------------------------------------------------------- */

static void
tasks_are_told_in_order_of_when_they_are_due(void **state)
{
	struct mt *t = *state;
	struct replication_task first;
	struct tasks tasks;
	int64_t ms;

	assert_int_equal(meta_replication_due(t->m, &ms), RC_NOTFOUND);
	(void)push(t, "b", "b", 1, 2500);
	(void)push(t, "a", "a", 1, 1500);
	(void)push(t, "c", "c", 1, 3500);
	assert_int_equal(meta_replication_due(t->m, &ms), RC_OK);
	assert_int_equal(ms, 1500);
	assert_int_equal(due(t, 1499).n, 0);
	tasks = due(t, 2500);
	assert_int_equal(tasks.n, 2);
	assert_true(span_is(tasks.rows[0].tag, "a"));
	assert_true(span_is(tasks.rows[1].tag, "b"));
	first = tasks.rows[0];
	assert_int_equal(
	    meta_replication_later(t->m, &first, 3000, SPAN("busy")), RC_OK);
	tasks = due(t, INT64_MAX);
	assert_true(span_is(tasks.rows[0].tag, "b"));
	assert_true(span_is(tasks.rows[1].tag, "a"));
	assert_true(span_is(tasks.rows[2].tag, "c"));
	assert_int_equal(meta_replication_due(t->m, &ms), RC_OK);
	assert_int_equal(ms, 2500);
	mt_check(t);
}

static void
pages_follow_one_another(void **state)
{
	struct mt *t = *state;
	struct tasks p;
	char tag[32];
	int64_t ms = 0;
	uint64_t id = 0;
	unsigned i = 0;

	for (i = 0; i < 1300; i++) {
		(void)snprintf(tag, sizeof(tag), "t%u", i);
		(void)push(t, tag, tag, 1, i < 600 ? 1500 : 1600);
	}
	i = 0;
	do {
		assert_int_equal(meta_replication_page(t->m, ms, id, 1600, 500,
				     &t->arena, &p.rows, &p.n),
		    RC_OK);
		for (size_t j = 0; j < p.n; j++) {
			(void)snprintf(tag, sizeof(tag), "t%u", i++);
			assert_true(span_is(p.rows[j].tag, tag));
			ms = p.rows[j].due_ms;
			id = p.rows[j].id;
		}
	} while (p.n > 0);
	assert_int_equal(i, 1300);
	assert_int_equal(waiting(t), 1300);
}

/* --- attempts ------------------------------------------------------------ */

static void
an_attempt_that_fails_is_counted_and_told(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 1, 1500);
	struct replication_task first = task(t), again;

	assert_int_equal(
	    meta_replication_later(t->m, &first, 9000, SPAN("no route")),
	    RC_OK);
	again = task(t);
	assert_int_equal(again.id, first.id);
	assert_int_equal(again.attempts, 1);
	assert_int_equal(again.due_ms, 9000);
	assert_int_equal(again.queued_ms, 1500);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_IN_PROGRESS);
	assert_true(span_is(status(t, &a, WEST).why, "no route"));
	/* It is not where it was any more. */
	assert_int_equal(
	    meta_replication_later(t->m, &first, 9500, SPAN("x")), RC_NOTFOUND);
	assert_int_equal(task(t).attempts, 1);
	mt_check(t);
}

static void
a_reason_is_cut_off_between_characters(void **state)
{
	char why[REPLICATION_WHY_MAX_BYTES + 2];
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 1, 1500);
	struct replication_task one = task(t);

	memset(why, 'x', sizeof(why));
	memcpy(why + REPLICATION_WHY_MAX_BYTES - 1, "\xc3\xa4", 2);
	assert_int_equal(meta_replication_later(t->m, &one, 9000,
			     (struct span){ why, sizeof(why) }),
	    RC_OK);
	assert_int_equal(
	    status(t, &a, WEST).why.n, REPLICATION_WHY_MAX_BYTES - 1);
	one = task(t);
	assert_int_equal(meta_replication_later(
			     t->m, &one, 9000, (struct span){ why, 600 - 100 }),
	    RC_OK);
	assert_int_equal(status(t, &a, WEST).why.n, 500);
}

static void
an_image_is_complete_when_nothing_of_it_is_left_to_send(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 2, 1500);
	struct tasks tasks;

	(void)push(t, "a", "v2", 1, 1600);
	tasks = due(t, INT64_MAX);
	assert_int_equal(tasks.n, 3);
	assert_int_equal(status(t, &a, WEST).pending, 2);
	complete(t, &tasks.rows[0], 2000);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_IN_PROGRESS);
	assert_int_equal(status(t, &a, WEST).pending, 1);
	complete(t, &tasks.rows[2], 3000);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_COMPLETE);
	assert_int_equal(status(t, &a, WEST).pending, 0);
	assert_int_equal(status(t, &a, WEST).changed_ms, 3000);
	/* That is a matter of each destination. */
	assert_int_equal(status(t, &a, EAST).state, REPLICATION_IN_PROGRESS);
	complete(t, &tasks.rows[1], 4000);
	assert_int_equal(status(t, &a, EAST).state, REPLICATION_COMPLETE);
	assert_int_equal(waiting(t), 0);
	assert_int_equal(meta_replication_end(t->m, &tasks.rows[1],
			     REPLICATION_COMPLETE, SPAN_NONE, SPAN_NONE, 5000),
	    RC_NOTFOUND);
}

static void
one_that_failed_is_told_with_its_reason(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 1, 1500);
	struct replication_task one = task(t);
	struct replication_status s;

	give_up(t, &one, 2000);
	s = status(t, &a, WEST);
	assert_int_equal(s.state, REPLICATION_FAILED);
	assert_true(span_is(s.code, "Denied"));
	assert_true(span_is(s.why, "not allowed"));
	assert_int_equal(s.changed_ms, 2000);
	assert_int_equal(waiting(t), 0);
}

static void
one_of_two_that_failed_is_not_made_good_by_the_other(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 1, 1500);
	struct tasks tasks;

	(void)push(t, "a", "v2", 1, 1600);
	tasks = due(t, INT64_MAX);
	give_up(t, &tasks.rows[0], 2000);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_FAILED);
	assert_int_equal(status(t, &a, WEST).pending, 1);
	complete(t, &tasks.rows[1], 3000);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_FAILED);
	assert_true(span_is(status(t, &a, WEST).code, "Denied"));
	/* A new push is a new attempt. */
	(void)push(t, "a", "v3", 1, 4000);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_IN_PROGRESS);
	assert_int_equal(status(t, &a, WEST).code.n, 0);
	tasks = due(t, INT64_MAX);
	complete(t, &tasks.rows[0], 5000);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_COMPLETE);
	assert_int_equal(status(t, &a, WEST).why.n, 0);
}

/* --- what goes ----------------------------------------------------------- */

static void
what_is_gone_for_good_is_not_sent(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 2, 1500);
	struct replication_task one = due(t, INT64_MAX).rows[0];

	image_delete_of(t, &a);
	assert_int_equal(waiting(t), 0);
	assert_int_equal(statuses(t, APP, &a), 0);
	assert_int_equal(rows_of(t, TABLE_REPLICATION_QUEUE), 0);
	assert_int_equal(rows_of(t, TABLE_REPLICATION_STATUS), 0);
	assert_int_equal(meta_replication_end(t->m, &one, REPLICATION_COMPLETE,
			     SPAN_NONE, SPAN_NONE, 5000),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_replication_later(t->m, &one, 5000, SPAN("x")), RC_NOTFOUND);
	mt_check(t);
}

static void
what_can_be_restored_has_its_status_again(void **state)
{
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 1, 1500);
	const struct reference ref = { .is_digest = true, .digest = a };
	struct replication_task one = task(t);
	struct image_restored restored;

	complete(t, &one, 2000);
	store_undelete_set(t->s, UNDELETE_MS);
	image_delete_of(t, &a);
	assert_int_equal(statuses(t, APP, &a), 0);
	assert_int_equal(
	    meta_replication_add(t->m, APP, &a, SPAN_NONE, WEST, 2500),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_image_undelete(t->m, APP, &ref, 9000, &t->arena, &restored),
	    RC_OK);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_COMPLETE);
	mt_check(t);
}

static void
tasks_of_a_deleted_repository_have_no_name(void **state)
{
	struct repository_description d;
	struct mt *t = *state;
	struct digest a = push(t, "a", "v1", 1, 1500);
	struct replication_task one;

	store_undelete_set(t->s, UNDELETE_MS);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &d), RC_OK);
	one = task(t);
	assert_int_equal(one.repository.n, 0);
	give_up(t, &one, 2000);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(status(t, &a, WEST).state, REPLICATION_FAILED);
	mt_check(t);
}

static void
a_repository_goes_with_what_was_to_be_sent(void **state)
{
	struct repository_description d;
	bool more = true;
	struct mt *t = *state;

	(void)push(t, "a", "v1", 2, 1500);
	(void)push(t, "b", "v2", 2, 1500);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &d), RC_OK);
	while (more) {
		assert_int_equal(
		    meta_repository_purge(t->m, 1, NULL, &more), RC_OK);
		mt_check(t);
	}
	assert_int_equal(waiting(t), 0);
	assert_int_equal(rows_of(t, TABLE_REPLICATION_QUEUE), 0);
	assert_int_equal(rows_of(t, TABLE_REPLICATION_STATUS), 0);
}

/* --- damage -------------------------------------------------------------- */

/* Places in the queue that lead nowhere, and to what cannot be read. */
static enum rc
queue_spoil(struct meta_txn *m, void *arg)
{
	const struct replication_task *of = arg;
	struct rec_key k;
	uint64_t repo;
	struct digest d;
	struct span value;

	key_task_due(&k, of->due_ms, of->id);
	must(kv_get(m, TABLE_REPLICATION_QUEUE, key_span(&k), &value) == RC_OK);
	must(rec_task_of_read(value, &repo, &d));
	must(replication_queue_put(m, repo, &d, 700, of->id) == RC_OK);
	must(replication_queue_put(m, repo, &d, 800, 999) == RC_OK);
	key_task(&k, repo, &d, of->id);
	must(kv_put(m, TABLE_REPLICATION_TASKS, key_span(&k), SPAN("x")) ==
	     RC_OK);
	return (kv_put(m, TABLE_REPLICATION_QUEUE, SPAN("x"), SPAN("x")));
}

static void
what_cannot_be_read_is_not_due_for_ever(void **state)
{
	struct mt *t = *state;
	struct replication_task one;
	struct tasks tasks;
	int64_t ms;

	log_set_level(LOG_LVL_ERROR);
	(void)push(t, "a", "v1", 1, 1500);
	one = task(t);
	(void)push(t, "b", "v2", 1, 1600);
	assert_int_equal(meta_change(t->m, queue_spoil, &one, 0), RC_OK);
	assert_int_equal(meta_replication_due(t->m, &ms), RC_OK);
	assert_int_equal(ms, 700);
	tasks = due(t, 9000);
	assert_int_equal(tasks.n, 1);
	assert_true(span_is(tasks.rows[0].tag, "v2"));
	assert_int_equal(meta_replication_due(t->m, &ms), RC_OK);
	assert_int_equal(ms, 1600);
}

static enum rc
ids_spoil(struct meta_txn *m, void *arg)
{
	(void)arg;
	return (kv_put(m, TABLE_REGISTRY, NUMBER_REPLICATION_ID, SPAN("x")));
}

static void
a_push_does_not_need_the_number_of_the_last_task(void **state)
{
	struct mt *t = *state;
	struct tasks tasks;

	(void)push(t, "a", "v1", 1, 1500);
	assert_int_equal(meta_change(t->m, ids_spoil, NULL, 0), RC_OK);
	(void)push(t, "b", "v2", 2, 1600);
	tasks = due(t, INT64_MAX);
	assert_int_equal(tasks.n, 3);
	assert_true(tasks.rows[0].id < tasks.rows[1].id);
	assert_true(tasks.rows[1].id < tasks.rows[2].id);
	mt_check(t);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_push_queues_a_task_for_each_destination),
		TEST(what_waits_survives_the_process),
		TEST(an_image_without_a_tag_is_sent_by_its_digest),
		TEST(a_push_without_destinations_queues_nothing),
		TEST(a_push_that_changes_nothing_queues_nothing),
		TEST(a_tag_that_moves_or_is_new_is_sent),
		TEST(an_image_that_comes_back_from_the_archive_is_sent),
		TEST(a_refused_push_queues_nothing),
		TEST(a_push_once_more_takes_the_place_of_what_waits),
		TEST(a_task_can_be_added_of_what_is_here),
		TEST(tasks_are_told_in_order_of_when_they_are_due),
		TEST(pages_follow_one_another),
		TEST(an_attempt_that_fails_is_counted_and_told),
		TEST(a_reason_is_cut_off_between_characters),
		TEST(an_image_is_complete_when_nothing_of_it_is_left_to_send),
		TEST(one_that_failed_is_told_with_its_reason),
		TEST(one_of_two_that_failed_is_not_made_good_by_the_other),
		TEST(what_is_gone_for_good_is_not_sent),
		TEST(what_can_be_restored_has_its_status_again),
		TEST(tasks_of_a_deleted_repository_have_no_name),
		TEST(a_repository_goes_with_what_was_to_be_sent),
		TEST(what_cannot_be_read_is_not_due_for_ever),
		TEST(a_push_does_not_need_the_number_of_the_last_task),
	};

	return (cmocka_run_group_tests_name("replication", tests, NULL, NULL));
}
