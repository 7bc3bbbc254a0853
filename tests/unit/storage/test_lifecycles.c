#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/lifecycles.h"
#include "storage/meta_int.h"
#include "storage/repositories.h"

/*
 * Lifecycle policies and previews: kept as they were given, and a preview in
 * progress is found until it has ended.
 */

#define APP SPAN("team/app")

static void
create(struct mt *t, const char *name)
{
	const struct repository_create c = { .name = span_of(name),
		.now_ms = 1000 };
	struct repository_row row;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
}

static void
erase(struct mt *t, const char *name)
{
	struct repository_description d;

	assert_int_equal(
	    meta_repository_delete(t->m, span_of(name), true, &t->arena, &d),
	    RC_OK);
}

static uint64_t
rows_of(struct mt *t, enum meta_table table)
{
	struct meta_txn txn;
	uint64_t n;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	n = kv_count(&txn, table);
	meta_read_end(&txn);
	return (n);
}

/* A record of ${table} that nobody can read. */
struct damage {
	enum meta_table table;
	uint64_t repo;
};

static enum rc
spoil(struct meta_txn *t, void *arg)
{
	const struct damage *d = arg;
	struct rec_key k;

	key_repo(&k, d->repo);
	return (kv_put(t, d->table, key_span(&k), SPAN("\377damage")));
}

static void
damage(struct mt *t, enum meta_table table)
{
	struct repository_row row;
	struct damage d = { .table = table };

	assert_int_equal(meta_repository_get(t->m, APP, &row), RC_OK);
	d.repo = row.id;
	assert_int_equal(meta_change(t->m, spoil, &d, 0), RC_OK);
}

/* Policies. */

static enum rc
set(struct mt *t, const char *text, int64_t now_ms)
{
	return (meta_lifecycle_set(t->m, APP, span_of(text), now_ms));
}

static struct lifecycle_row
get(struct mt *t)
{
	struct lifecycle_row row;

	assert_int_equal(meta_lifecycle_get(t->m, APP, &t->arena, &row), RC_OK);
	return (row);
}

static void
a_policy_is_set_replaced_and_deleted(void **state)
{
	struct mt *t = *state;
	struct lifecycle_row row, deleted;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 5000), RC_OK);
	assert_int_equal(get(t).set_ms, 5000);
	assert_int_equal(set(t, "{2}", 6000), RC_OK);
	mt_reopen(t);
	row = get(t);
	assert_true(span_is(row.text, "{2}"));
	assert_int_equal(row.set_ms, 6000);
	assert_int_equal(row.evaluated_ms, 0);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &deleted), RC_OK);
	assert_true(span_is(deleted.text, "{2}"));
	assert_int_equal(deleted.revision, row.revision);
	assert_int_equal(deleted.set_ms, 6000);
	assert_int_equal(
	    meta_lifecycle_get(t->m, APP, &t->arena, &row), RC_MISSING);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_MISSING);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_POLICIES), 0);
}

static void
an_unknown_repository_has_no_policy(void **state)
{
	struct mt *t = *state;
	struct lifecycle_row row;

	assert_int_equal(set(t, "{}", 1), RC_NOTFOUND);
	assert_int_equal(
	    meta_lifecycle_get(t->m, APP, &t->arena, &row), RC_NOTFOUND);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_NOTFOUND);
}

static void
the_same_text_again_changes_nothing(void **state)
{
	struct mt *t = *state;
	struct lifecycle_row before, after;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 5000), RC_OK);
	before = get(t);
	assert_int_equal(set(t, "{1}", 9000), RC_OK);
	after = get(t);
	assert_int_equal(after.revision, before.revision);
	assert_int_equal(after.set_ms, 5000);
}

/* Those of both kinds are taken from one count. */
static void
a_revision_is_never_used_twice(void **state)
{
	struct repository_access access;
	struct lifecycle_row row;
	uint64_t revisions[4];
	struct mt *t = *state;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1), RC_OK);
	revisions[0] = get(t).revision;
	assert_int_equal(
	    meta_repository_policy_set(t->m, APP, SPAN("{1}")), RC_OK);
	assert_int_equal(meta_repository_access(
			     t->m, APP, ACCESS_REVISION, &t->arena, &access),
	    RC_OK);
	revisions[1] = access.policy_revision;
	assert_int_equal(set(t, "{2}", 1), RC_OK);
	revisions[2] = get(t).revision;
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_OK);
	mt_reopen(t);
	assert_int_equal(set(t, "{2}", 1), RC_OK);
	revisions[3] = get(t).revision;
	assert_true(revisions[0] > 0);
	assert_true(revisions[1] > revisions[0]);
	assert_true(revisions[2] > revisions[1]);
	assert_true(revisions[3] > revisions[2]);
}

static void
texts_have_bounds(void **state)
{
	char *text = xcalloc(1, LIFECYCLE_TEXT_MAX_BYTES + 2);
	struct mt *t = *state;

	create(t, "team/app");
	memset(text, 'x', LIFECYCLE_TEXT_MAX_BYTES + 1);
	assert_int_equal(set(t, text, 1), RC_TOOBIG);
	assert_int_equal(
	    meta_preview_start(t->m, APP, span_of(text), 1), RC_TOOBIG);
	assert_int_equal(set(t, "", 1), RC_INVALID);
	assert_int_equal(
	    meta_preview_start(t->m, APP, SPAN_NONE, 1), RC_INVALID);
	text[LIFECYCLE_TEXT_MAX_BYTES] = '\0';
	assert_int_equal(set(t, text, 1), RC_OK);
	assert_int_equal(
	    meta_preview_start(t->m, APP, span_of(text), 1), RC_OK);
	assert_int_equal(get(t).text.n, LIFECYCLE_TEXT_MAX_BYTES);
	free(text);
}

static void
a_damaged_policy_is_told_and_can_be_set_anew(void **state)
{
	struct mt *t = *state;
	struct lifecycle_row row;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1), RC_OK);
	damage(t, TABLE_LIFECYCLE_POLICIES);
	assert_int_equal(
	    meta_lifecycle_get(t->m, APP, &t->arena, &row), RC_CORRUPT);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_CORRUPT);
	assert_int_equal(set(t, "{1}", 2), RC_OK);
	assert_int_equal(get(t).set_ms, 2);
}

/* Previews. */

static enum rc
start(struct mt *t, const char *repo, const char *text, int64_t now_ms)
{
	return (meta_preview_start(t->m, span_of(repo), span_of(text), now_ms));
}

static enum rc
end(struct mt *t, const char *repo, enum preview_status status, int64_t now_ms)
{
	return (meta_preview_end(t->m, span_of(repo), status, now_ms));
}

static struct preview_row
preview(struct mt *t)
{
	struct preview_row row;

	assert_int_equal(meta_preview_get(t->m, APP, &t->arena, &row), RC_OK);
	return (row);
}

/* NULL: none is in progress. */
static bool
next_is(struct mt *t, const char *repo)
{
	struct span name;
	enum rc rc;

	rc = meta_preview_next(t->m, &t->arena, &name);
	if (rc == RC_NOTFOUND)
		return (repo == NULL);
	assert_int_equal(rc, RC_OK);
	return (repo != NULL && span_is(name, repo));
}

static void
a_preview_is_in_progress_until_it_ends(void **state)
{
	struct mt *t = *state;
	struct preview_row row;

	create(t, "team/app");
	assert_int_equal(
	    meta_preview_get(t->m, APP, &t->arena, &row), RC_MISSING);
	assert_true(next_is(t, NULL));
	assert_int_equal(start(t, "team/app", "{1}", 100), RC_OK);
	mt_reopen(t);
	row = preview(t);
	assert_true(span_is(row.text, "{1}"));
	assert_int_equal(row.status, PREVIEW_IN_PROGRESS);
	assert_int_equal(row.started_ms, 100);
	assert_int_equal(row.ended_ms, 0);
	assert_true(next_is(t, "team/app"));
	assert_int_equal(end(t, "team/app", PREVIEW_FAILED, 200), RC_OK);
	mt_reopen(t);
	row = preview(t);
	assert_true(span_is(row.text, "{1}"));
	assert_int_equal(row.status, PREVIEW_FAILED);
	assert_int_equal(row.started_ms, 100);
	assert_int_equal(row.ended_ms, 200);
	assert_true(next_is(t, NULL));
	assert_int_equal(rows_of(t, TABLE_PREVIEW_QUEUE), 0);
}

static void
a_second_preview_waits_for_the_first_and_takes_its_place(void **state)
{
	struct mt *t = *state;
	struct preview_row row;

	create(t, "team/app");
	assert_int_equal(start(t, "team/app", "{1}", 100), RC_OK);
	assert_int_equal(start(t, "team/app", "{2}", 150), RC_BUSY);
	assert_true(span_is(preview(t).text, "{1}"));
	assert_int_equal(end(t, "team/app", PREVIEW_COMPLETE, 200), RC_OK);
	assert_int_equal(preview(t).status, PREVIEW_COMPLETE);
	assert_int_equal(start(t, "team/app", "{2}", 300), RC_OK);
	row = preview(t);
	assert_true(span_is(row.text, "{2}"));
	assert_int_equal(row.status, PREVIEW_IN_PROGRESS);
	assert_int_equal(row.started_ms, 300);
	assert_int_equal(row.ended_ms, 0);
	assert_true(next_is(t, "team/app"));
}

static void
what_is_not_in_progress_does_not_end(void **state)
{
	struct mt *t = *state;
	struct preview_row row;

	assert_int_equal(start(t, "team/app", "{}", 1), RC_NOTFOUND);
	assert_int_equal(
	    meta_preview_get(t->m, APP, &t->arena, &row), RC_NOTFOUND);
	assert_int_equal(end(t, "team/app", PREVIEW_FAILED, 1), RC_NOTFOUND);
	create(t, "team/app");
	assert_int_equal(end(t, "team/app", PREVIEW_FAILED, 1), RC_MISSING);
	assert_int_equal(start(t, "team/app", "{}", 1), RC_OK);
	assert_int_equal(end(t, "team/app", PREVIEW_FAILED, 2), RC_OK);
	assert_int_equal(end(t, "team/app", PREVIEW_COMPLETE, 3), RC_MISSING);
	assert_int_equal(preview(t).status, PREVIEW_FAILED);
	assert_int_equal(preview(t).ended_ms, 2);
}

static void
each_that_is_in_progress_comes_up(void **state)
{
	struct mt *t = *state;
	struct span name;
	char repo[32];
	unsigned i;

	for (i = 0; i < 5; i++) {
		snprintf(repo, sizeof(repo), "r%u", i);
		create(t, repo);
		assert_int_equal(start(t, repo, "{}", 1), RC_OK);
	}
	assert_int_equal(end(t, "r3", PREVIEW_COMPLETE, 2), RC_OK);
	for (i = 0; i < 4; i++) {
		assert_int_equal(
		    meta_preview_next(t->m, &t->arena, &name), RC_OK);
		assert_int_equal(
		    meta_preview_end(t->m, name, PREVIEW_COMPLETE, 2), RC_OK);
	}
	assert_true(next_is(t, NULL));
}

static void
of_a_deleted_repository_nothing_is_left_to_do(void **state)
{
	struct mt *t = *state;
	struct lifecycle_row lifecycle;
	struct preview_row row;

	create(t, "team/app");
	create(t, "other");
	assert_int_equal(set(t, "{1}", 1), RC_OK);
	assert_int_equal(start(t, "team/app", "{1}", 1), RC_OK);
	assert_int_equal(start(t, "other", "{1}", 1), RC_OK);
	erase(t, "team/app");
	assert_true(next_is(t, "other"));
	create(t, "team/app");
	assert_int_equal(
	    meta_preview_get(t->m, APP, &t->arena, &row), RC_MISSING);
	assert_int_equal(
	    meta_lifecycle_get(t->m, APP, &t->arena, &lifecycle), RC_MISSING);
	assert_int_equal(end(t, "other", PREVIEW_FAILED, 1), RC_OK);
	assert_true(next_is(t, NULL));
}

static void
a_damaged_preview_keeps_nobody_waiting(void **state)
{
	struct mt *t = *state;
	struct preview_row row;

	create(t, "team/app");
	create(t, "other");
	assert_int_equal(start(t, "team/app", "{1}", 1), RC_OK);
	assert_int_equal(start(t, "other", "{1}", 1), RC_OK);
	damage(t, TABLE_LIFECYCLE_PREVIEWS);
	assert_int_equal(
	    meta_preview_get(t->m, APP, &t->arena, &row), RC_CORRUPT);
	assert_int_equal(end(t, "team/app", PREVIEW_FAILED, 2), RC_CORRUPT);
	assert_true(next_is(t, "other"));
	assert_int_equal(start(t, "team/app", "{2}", 3), RC_OK);
	assert_true(next_is(t, "team/app"));
	assert_true(span_is(preview(t).text, "{2}"));
}

static enum rc
queue_stray(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_repo(&k, *(uint64_t *)arg);
	return (kv_put(t, TABLE_PREVIEW_QUEUE, key_span(&k), rec_none()));
}

static void
a_place_in_the_queue_without_a_preview_is_passed_over(void **state)
{
	struct repository_row row;
	struct mt *t = *state;

	create(t, "team/app");
	create(t, "other");
	assert_int_equal(meta_repository_get(t->m, APP, &row), RC_OK);
	assert_int_equal(meta_change(t->m, queue_stray, &row.id, 0), RC_OK);
	assert_true(next_is(t, NULL));
	assert_int_equal(start(t, "other", "{}", 1), RC_OK);
	assert_true(next_is(t, "other"));
}

static void
who_only_reads_changes_nothing(void **state)
{
	struct mt *t = *state;
	struct lifecycle_row row;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1), RC_OK);
	assert_int_equal(start(t, "team/app", "{1}", 1), RC_OK);
	t->options.read_only = true;
	mt_reopen(t);
	assert_int_equal(set(t, "{2}", 1), RC_READONLY);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_READONLY);
	assert_int_equal(start(t, "team/app", "{2}", 1), RC_READONLY);
	assert_int_equal(end(t, "team/app", PREVIEW_FAILED, 1), RC_READONLY);
	assert_true(span_is(get(t).text, "{1}"));
	assert_true(next_is(t, "team/app"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_policy_is_set_replaced_and_deleted),
		TEST(an_unknown_repository_has_no_policy),
		TEST(the_same_text_again_changes_nothing),
		TEST(a_revision_is_never_used_twice),
		TEST(texts_have_bounds),
		TEST(a_damaged_policy_is_told_and_can_be_set_anew),
		TEST(a_preview_is_in_progress_until_it_ends),
		TEST(a_second_preview_waits_for_the_first_and_takes_its_place),
		TEST(what_is_not_in_progress_does_not_end),
		TEST(each_that_is_in_progress_comes_up),
		TEST(of_a_deleted_repository_nothing_is_left_to_do),
		TEST(a_damaged_preview_keeps_nobody_waiting),
		TEST(a_place_in_the_queue_without_a_preview_is_passed_over),
		TEST(who_only_reads_changes_nothing),
	};

	return (cmocka_run_group_tests_name("lifecycles", tests, NULL, NULL));
}
