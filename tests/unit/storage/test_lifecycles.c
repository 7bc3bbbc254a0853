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
 * Lifecycle policies and previews: kept as they were given, found when they are
 * due, and a preview in progress is found until it has ended.
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
	return (meta_lifecycle_set(t->m, APP, span_of(text), now_ms, NULL));
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

/* Carrying policies out. */

static enum rc
set_of(struct mt *t, const char *repo, const char *text, int64_t now_ms)
{
	return (meta_lifecycle_set(
	    t->m, span_of(repo), span_of(text), now_ms, NULL));
}

static struct lifecycle_due_page
due(struct mt *t, int64_t before_ms, const struct lifecycle_due *after,
    size_t max)
{
	struct lifecycle_due_page p;

	assert_int_equal(
	    meta_lifecycle_due_page(t->m, before_ms, after, max, &t->arena, &p),
	    RC_OK);
	return (p);
}

/* The names of all that are due before then, in order. */
static void
due_are(struct mt *t, int64_t before_ms, const char *want)
{
	struct lifecycle_due_page p = due(t, before_ms, NULL, 100);
	char names[256] = "";
	size_t i, n = 0;

	for (i = 0; i < p.n; i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n,
		    "%s" SPAN_FMT "@%d", i > 0 ? " " : "",
		    SPAN_ARG(p.rows[i].repository), (int)p.rows[i].basis_ms);
	assert_false(p.more);
	assert_string_equal(names, want);
}

static struct lifecycle_result
result_with(struct mt *t, enum lifecycle_outcome outcome, int64_t started_ms)
{
	return ((struct lifecycle_result){
	    .revision = get(t).revision,
	    .outcome = outcome,
	    .started_ms = started_ms,
	});
}

static enum rc
result_put(struct mt *t, const struct lifecycle_result *result)
{
	return (meta_lifecycle_result_put(t->m, APP, result));
}

static struct lifecycle_status
status(struct mt *t)
{
	struct lifecycle_status row;

	assert_int_equal(
	    meta_lifecycle_status(t->m, APP, &t->arena, &row), RC_OK);
	return (row);
}

static void
a_policy_that_is_set_tells_its_revision(void **state)
{
	struct mt *t = *state;
	uint64_t one, again, other;

	create(t, "team/app");
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{1}"), 1000, &one), RC_OK);
	assert_int_equal(one, get(t).revision);
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{1}"), 2000, &again), RC_OK);
	assert_int_equal(again, one);
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{2}"), 3000, &other), RC_OK);
	assert_int_equal(other, get(t).revision);
	assert_true(other > one);
}

static void
a_run_that_failed_for_what_may_be_over_soon_stays_due(void **state)
{
	struct mt *t = *state;
	struct lifecycle_result result;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	result = result_with(t, LIFECYCLE_FAILED, 5000);
	result.unsettled = true;
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(status(t).last.outcome, LIFECYCLE_FAILED);
	assert_int_equal(status(t).evaluated_ms, 0);
	due_are(t, 10000, "team/app@1000");
	result.unsettled = false;
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(status(t).evaluated_ms, 5000);
	due_are(t, 10000, "team/app@5000");
}

/* More than are taken at once. */
#define FUTURE_MANY 300

static void
times_of_a_clock_that_was_ahead_become_now(void **state)
{
	struct mt *t = *state;
	struct lifecycle_result result;
	struct lifecycle_due_page p;
	char name[16];
	int i;

	create(t, "past");
	create(t, "team/app");
	assert_int_equal(set_of(t, "past", "{1}", 4000), RC_OK);
	assert_int_equal(set(t, "{1}", 3000), RC_OK);
	result = result_with(t, LIFECYCLE_DONE, 900000);
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(meta_lifecycle_future_settle(t->m, 5000), RC_OK);
	assert_int_equal(status(t).set_ms, 3000);
	assert_int_equal(status(t).evaluated_ms, 5000);
	assert_true(span_is(get(t).text, "{1}"));
	due_are(t, INT64_MAX, "past@4000 team/app@5000");
	for (i = 0; i < FUTURE_MANY; i++) {
		(void)snprintf(name, sizeof(name), "r%03d", i);
		create(t, name);
		assert_int_equal(set_of(t, name, "{1}", 800000 + i), RC_OK);
	}
	assert_int_equal(meta_lifecycle_future_settle(t->m, 6000), RC_OK);
	p = due(t, 6000, NULL, 1000);
	assert_int_equal(p.n, FUTURE_MANY + 2);
	assert_int_equal(due(t, INT64_MAX, NULL, 1000).n, FUTURE_MANY + 2);
	assert_int_equal(meta_lifecycle_future_settle(t->m, 6000), RC_OK);
}

static void
those_that_have_waited_longest_are_due_first(void **state)
{
	struct mt *t = *state;

	create(t, "a");
	create(t, "b");
	create(t, "team/app");
	create(t, "without");
	assert_int_equal(set_of(t, "a", "{1}", 3000), RC_OK);
	assert_int_equal(set_of(t, "b", "{1}", 2000), RC_OK);
	assert_int_equal(set(t, "{1}", 2000), RC_OK);
	due_are(t, 1999, "");
	due_are(t, 2000, "b@2000 team/app@2000");
	mt_reopen(t);
	due_are(t, INT64_MAX, "b@2000 team/app@2000 a@3000");
	mt_check(t);
}

static void
due_ones_come_in_pages(void **state)
{
	struct lifecycle_due_page p = { 0 };
	struct lifecycle_due last = { 0 };
	struct mt *t = *state;
	unsigned i, n = 0;
	char repo[32];

	for (i = 0; i < 25; i++) {
		snprintf(repo, sizeof(repo), "r%u", i);
		create(t, repo);
		assert_int_equal(set_of(t, repo, "{}", 1000 + i / 4), RC_OK);
	}
	do {
		p = due(t, 1005, n > 0 ? &last : NULL, 6);
		for (i = 0; i < p.n; i++, n++) {
			snprintf(repo, sizeof(repo), "r%u", n);
			assert_true(span_is(p.rows[i].repository, repo));
			assert_int_equal(p.rows[i].basis_ms, 1000 + n / 4);
		}
		last = p.rows[p.n - 1];
		assert_int_equal(p.n, 6);
	} while (p.more);
	assert_int_equal(n, 24);
	assert_int_equal(due(t, 1006, &last, 6).n, 1);
	assert_int_equal(due(t, 1006, NULL, 0).n, 0);
}

static void
another_text_moves_a_policy_back(void **state)
{
	struct mt *t = *state;
	struct lifecycle_row row;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	assert_int_equal(set(t, "{1}", 2000), RC_OK);
	due_are(t, INT64_MAX, "team/app@1000");
	assert_int_equal(set(t, "{2}", 3000), RC_OK);
	due_are(t, INT64_MAX, "team/app@3000");
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_QUEUE), 1);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_OK);
	due_are(t, INT64_MAX, "");
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_QUEUE), 0);
	mt_check(t);
}

static void
a_repository_made_with_a_policy_is_due_too(void **state)
{
	struct repository_create c = { .name = APP, .now_ms = 1000 };
	struct repository_row row;
	struct mt *t = *state;

	c.preset.lifecycle_policy = SPAN("{1}");
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	due_are(t, INT64_MAX, "team/app@1000");
	mt_check(t);
}

static void
of_a_deleted_repository_nothing_is_due(void **state)
{
	struct mt *t = *state;

	create(t, "a");
	create(t, "team/app");
	assert_int_equal(set_of(t, "a", "{1}", 1000), RC_OK);
	assert_int_equal(set(t, "{1}", 2000), RC_OK);
	erase(t, "a");
	due_are(t, INT64_MAX, "team/app@2000");
	create(t, "a");
	due_are(t, INT64_MAX, "team/app@2000");
}

static void
a_damaged_policy_is_not_due_until_it_is_set_anew(void **state)
{
	struct mt *t = *state;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	damage(t, TABLE_LIFECYCLE_POLICIES);
	due_are(t, INT64_MAX, "");
	assert_int_equal(set(t, "{1}", 2000), RC_OK);
	due_are(t, INT64_MAX, "team/app@2000");
}

static void
a_run_that_is_done_or_failed_is_an_evaluation(void **state)
{
	struct lifecycle_result result;
	struct mt *t = *state;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	result = result_with(t, LIFECYCLE_RUNNING, 2000);
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(get(t).evaluated_ms, 0);
	due_are(t, INT64_MAX, "team/app@1000");
	result = result_with(t, LIFECYCLE_STOPPED, 2000);
	assert_int_equal(result_put(t, &result), RC_OK);
	due_are(t, INT64_MAX, "team/app@1000");
	result = result_with(t, LIFECYCLE_DONE, 2000);
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(get(t).evaluated_ms, 2000);
	assert_true(span_is(get(t).text, "{1}"));
	due_are(t, INT64_MAX, "team/app@2000");
	result = result_with(t, LIFECYCLE_FAILED, 3000);
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(get(t).evaluated_ms, 3000);
	due_are(t, INT64_MAX, "team/app@3000");
	assert_int_equal(get(t).set_ms, 1000);
	mt_check(t);
}

static void
a_run_of_another_policy_is_no_evaluation(void **state)
{
	struct lifecycle_result result;
	struct mt *t = *state;
	struct lifecycle_row row;

	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	result = result_with(t, LIFECYCLE_DONE, 3000);
	assert_int_equal(set(t, "{2}", 2000), RC_OK);
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(get(t).evaluated_ms, 0);
	due_are(t, INT64_MAX, "team/app@2000");
	assert_int_equal(status(t).last.outcome, LIFECYCLE_DONE);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_OK);
	assert_int_equal(result_put(t, &result), RC_OK);
	due_are(t, INT64_MAX, "");
	mt_check(t);
}

static void
the_last_result_is_kept(void **state)
{
	struct mt *t = *state;
	struct lifecycle_result result;
	struct lifecycle_status row;

	create(t, "team/app");
	row = status(t);
	assert_false(row.has_policy);
	assert_int_equal(row.last.outcome, LIFECYCLE_NEVER);
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	result = result_with(t, LIFECYCLE_FAILED, 2000);
	result.ended_ms = 2500;
	result.images = 10;
	result.expired = 4;
	result.archived = 3;
	result.held = 2;
	result.changed = 1;
	result.why = SPAN("the disk was full");
	assert_int_equal(result_put(t, &result), RC_OK);
	mt_reopen(t);
	row = status(t);
	assert_true(row.has_policy);
	assert_true(span_is(row.repository, "team/app"));
	assert_int_equal(row.revision, get(t).revision);
	assert_int_equal(row.set_ms, 1000);
	assert_int_equal(row.evaluated_ms, 2000);
	assert_int_equal(row.last.revision, result.revision);
	assert_int_equal(row.last.outcome, LIFECYCLE_FAILED);
	assert_int_equal(row.last.started_ms, 2000);
	assert_int_equal(row.last.ended_ms, 2500);
	assert_int_equal(row.last.images, 10);
	assert_int_equal(row.last.expired, 4);
	assert_int_equal(row.last.archived, 3);
	assert_int_equal(row.last.held, 2);
	assert_int_equal(row.last.changed, 1);
	assert_true(span_is(row.last.why, "the disk was full"));
}

static void
results_have_bounds_and_a_repository(void **state)
{
	char why[LIFECYCLE_RESULT_WHY_MAX + 1];
	struct lifecycle_result result = { .outcome = LIFECYCLE_STOPPED };
	struct lifecycle_status row;
	struct mt *t = *state;

	assert_int_equal(result_put(t, &result), RC_NOTFOUND);
	assert_int_equal(
	    meta_lifecycle_status(t->m, APP, &t->arena, &row), RC_NOTFOUND);
	create(t, "team/app");
	memset(why, 'x', sizeof(why));
	result.why = (struct span){ why, sizeof(why) };
	assert_int_equal(result_put(t, &result), RC_TOOBIG);
	assert_int_equal(status(t).last.outcome, LIFECYCLE_NEVER);
	result.why.n--;
	assert_int_equal(result_put(t, &result), RC_OK);
	assert_int_equal(status(t).last.why.n, LIFECYCLE_RESULT_WHY_MAX);
}

static struct lifecycle_status_page
status_page(struct mt *t, struct span after, size_t max)
{
	struct lifecycle_status_page p;

	assert_int_equal(
	    meta_lifecycle_status_page(t->m, after, max, &t->arena, &p), RC_OK);
	return (p);
}

static void
the_status_of_all_comes_in_pages(void **state)
{
	const struct lifecycle_result result = { .outcome = LIFECYCLE_STOPPED };
	struct lifecycle_status_page p;
	struct mt *t = *state;

	create(t, "a");
	create(t, "b");
	create(t, "c");
	create(t, "d");
	create(t, "team/app");
	assert_int_equal(set_of(t, "b", "{1}", 1000), RC_OK);
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	assert_int_equal(
	    meta_lifecycle_result_put(t->m, SPAN("c"), &result), RC_OK);
	p = status_page(t, SPAN_NONE, 2);
	assert_int_equal(p.n, 2);
	assert_true(p.more);
	assert_true(span_is(p.rows[0].repository, "b"));
	assert_true(p.rows[0].has_policy);
	assert_true(span_is(p.rows[1].repository, "c"));
	assert_false(p.rows[1].has_policy);
	assert_int_equal(p.rows[1].last.outcome, LIFECYCLE_STOPPED);
	assert_true(span_is(p.last, "c"));
	p = status_page(t, p.last, 2);
	assert_int_equal(p.n, 1);
	assert_false(p.more);
	assert_true(span_is(p.rows[0].repository, "team/app"));
}

/* However few have a policy. */
static void
a_status_page_looks_at_so_many(void **state)
{
	struct lifecycle_status_page p = { 0 };
	struct span after = SPAN_NONE;
	struct mt *t = *state;
	unsigned i, n = 0;
	char repo[32];

	for (i = 0; i < 1100; i++) {
		snprintf(repo, sizeof(repo), "a%04u", i);
		create(t, repo);
	}
	create(t, "team/app");
	assert_int_equal(set(t, "{1}", 1000), RC_OK);
	p = status_page(t, SPAN_NONE, 10);
	assert_int_equal(p.n, 0);
	assert_true(p.more);
	do {
		p = status_page(t, after, 10);
		after = p.last;
		n += (unsigned)p.n;
	} while (p.more);
	assert_int_equal(n, 1);
}

/* Pulls. */

static int64_t
pulled_ms(struct mt *t, const struct digest *d)
{
	struct manifest_row row;

	assert_int_equal(mt_get_digest(t, "team/app", d, &row), RC_OK);
	return (row.pulled_ms);
}

static void
pulls_that_were_noted_are_settled(void **state)
{
	struct mt *t = *state;
	struct digest d;

	d = mt_plain(t, "team/app", "m", "latest");
	assert_int_equal(meta_pulls_settle(t->m), RC_OK);
	assert_int_equal(pulled_ms(t, &d), 0);
	meta_manifest_pulled(t->m, APP, &d, 5000);
	meta_manifest_pulled(t->m, APP, &d, 4000);
	meta_manifest_pulled(t->m, SPAN("nobody"), &d, 9000);
	assert_int_equal(meta_pulls_settle(t->m), RC_OK);
	assert_int_equal(pulled_ms(t, &d), 5000);
	meta_manifest_pulled(t->m, APP, &d, 6000);
	assert_int_equal(meta_pulls_settle(t->m), RC_OK);
	assert_int_equal(pulled_ms(t, &d), 6000);
}

static void
many_pulls_are_settled(void **state)
{
	static struct digest d[6000];
	struct mt *t = *state;
	char text[32];
	size_t i;

	for (i = 0; i < ARRAY_LEN(d); i++) {
		snprintf(text, sizeof(text), "m%zu", i);
		d[i] = mt_digest(text);
		if (i % 100 == 0)
			(void)mt_plain(t, "team/app", text, NULL);
	}
	for (i = 0; i < ARRAY_LEN(d); i++)
		meta_manifest_pulled(t->m, APP, &d[i], 5000);
	assert_int_equal(meta_pulls_settle(t->m), RC_OK);
	for (i = 0; i < ARRAY_LEN(d); i += 100)
		assert_int_equal(pulled_ms(t, &d[i]), 5000);
}

/* Previews. */

static enum rc
start(struct mt *t, const char *repo, const char *text, int64_t now_ms)
{
	return (meta_preview_start(t->m, span_of(repo), span_of(text), now_ms));
}

static struct preview_job
job_of(struct mt *t, const char *repo)
{
	struct preview_job job = { .repository = span_of(repo) };
	struct preview_row row;

	if (meta_preview_get(t->m, job.repository, &t->arena, &row) == RC_OK)
		job.run = row.run;
	return (job);
}

static enum rc
end(struct mt *t, const char *repo, enum preview_status status, int64_t now_ms)
{
	const struct preview_job job = job_of(t, repo);
	const struct preview_sums none = { 0 };

	return (meta_preview_end(t->m, &job, status,
	    status == PREVIEW_COMPLETE ? &none : NULL, now_ms));
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
	struct preview_job job;
	enum rc rc;

	rc = meta_preview_next(t->m, &t->arena, &job);
	if (rc == RC_NOTFOUND)
		return (repo == NULL);
	assert_int_equal(rc, RC_OK);
	return (repo != NULL && span_is(job.repository, repo));
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
	const struct preview_sums none = { 0 };
	struct mt *t = *state;
	struct preview_job job;
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
		    meta_preview_next(t->m, &t->arena, &job), RC_OK);
		assert_int_equal(job.started_ms, 1);
		assert_true(span_is(job.text, "{}"));
		assert_int_equal(
		    meta_preview_end(t->m, &job, PREVIEW_COMPLETE, &none, 2),
		    RC_OK);
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

/* Results. */

/* The image of a number. */
static struct preview_result
result_of(size_t i)
{
	struct preview_result row = { .action = i % 3 == 0 ? PREVIEW_TRANSITION
							   : PREVIEW_EXPIRE,
		.status = i % 2 == 0 ? IMAGE_ACTIVE : IMAGE_ARCHIVED,
		.priority = INT64_MAX - (int64_t)i,
		.pushed_ms = 5000 + (int64_t)i };
	char text[32];

	(void)snprintf(text, sizeof(text), "image %zu", i);
	row.digest = mt_digest(text);
	return (row);
}

static enum rc
add(struct mt *t, struct preview_job *job, uint32_t from, size_t n)
{
	struct preview_result *rows = xcalloc(n + 1, sizeof(*rows));
	size_t i;
	enum rc rc;

	for (i = 0; i < n; i++)
		rows[i] = result_of(from + i);
	rc = meta_preview_results_add(t->m, job, from, rows, n);
	free(rows);
	return (rc);
}

/* From the queue. */
static struct preview_job
next(struct mt *t)
{
	struct preview_job job;

	assert_int_equal(meta_preview_next(t->m, &t->arena, &job), RC_OK);
	return (job);
}

static enum rc
complete(struct mt *t, const struct preview_job *job, uint64_t n)
{
	const struct preview_sums sums = { n - (n + 2) / 3, (n + 2) / 3 };

	return (meta_preview_end(t->m, job, PREVIEW_COMPLETE, &sums, 2000));
}

/* Started, evaluated, with so many results. */
static void
evaluate(struct mt *t, const char *repo, size_t n)
{
	struct preview_job job;

	assert_int_equal(start(t, repo, "{}", 1000), RC_OK);
	job = next(t);
	assert_int_equal(add(t, &job, 0, n), RC_OK);
	assert_int_equal(complete(t, &job, n), RC_OK);
}

static struct preview_page
page(struct mt *t, uint64_t run, uint32_t from, size_t max_rows)
{
	const struct preview_query q = { APP, run, from, max_rows };
	struct preview_page p;

	assert_int_equal(
	    meta_preview_result_page(t->m, &q, &t->arena, &p), RC_OK);
	return (p);
}

static void
rows_are(const struct preview_page *p, size_t from, size_t n)
{
	struct preview_result want;
	size_t i;

	assert_int_equal(p->n, n);
	for (i = 0; i < n; i++) {
		want = result_of(from + i);
		assert_true(digest_eq(&p->rows[i].digest, &want.digest));
		assert_int_equal(p->rows[i].action, want.action);
		assert_int_equal(p->rows[i].status, want.status);
		assert_int_equal(p->rows[i].priority, want.priority);
		assert_int_equal(p->rows[i].pushed_ms, want.pushed_ms);
		assert_int_equal(p->rows[i].sequence, from + i);
	}
}

static void
results_come_in_pages_when_the_preview_is_complete(void **state)
{
	struct mt *t = *state;
	struct preview_job job;
	struct preview_page p;

	create(t, "team/app");
	assert_int_equal(start(t, "team/app", "{}", 1000), RC_OK);
	job = next(t);
	assert_int_equal(add(t, &job, 0, 300), RC_OK);
	assert_int_equal(add(t, &job, 300, 5), RC_OK);
	p = page(t, 0, 0, 10);
	assert_int_equal(p.preview.status, PREVIEW_IN_PROGRESS);
	assert_int_equal(p.n, 0);
	assert_false(p.more);
	assert_int_equal(complete(t, &job, 305), RC_OK);
	mt_reopen(t);
	p = page(t, 0, 0, 10);
	assert_int_equal(p.preview.status, PREVIEW_COMPLETE);
	assert_int_equal(p.preview.sums.expiring, 203);
	assert_int_equal(p.preview.sums.transitioning, 102);
	rows_are(&p, 0, 10);
	assert_true(p.more);
	p = page(t, p.preview.run, 298, 7);
	rows_are(&p, 298, 7);
	assert_false(p.more);
	p = page(t, p.preview.run, 305, 7);
	rows_are(&p, 305, 0);
	assert_false(p.more);
	mt_check(t);
}

static void
a_page_is_of_the_run_that_was_asked_for(void **state)
{
	struct mt *t = *state;
	struct preview_query q = { .repository = APP, .max_rows = 10 };
	struct preview_page p;

	assert_int_equal(
	    meta_preview_result_page(t->m, &q, &t->arena, &p), RC_NOTFOUND);
	create(t, "team/app");
	assert_int_equal(
	    meta_preview_result_page(t->m, &q, &t->arena, &p), RC_MISSING);
	evaluate(t, "team/app", 3);
	q.run = page(t, 0, 0, 9).preview.run;
	evaluate(t, "team/app", 2);
	assert_int_equal(
	    meta_preview_result_page(t->m, &q, &t->arena, &p), RC_RANGE);
	p = page(t, 0, 0, 9);
	rows_are(&p, 0, 2);
}

static void
an_evaluation_that_begins_again_leaves_nothing_of_the_first(void **state)
{
	struct mt *t = *state;
	struct preview_job job, left;
	struct preview_page p;

	create(t, "team/app");
	assert_int_equal(start(t, "team/app", "{}", 1000), RC_OK);
	left = next(t);
	assert_int_equal(add(t, &left, 0, 5), RC_OK);
	mt_reopen(t);
	job = next(t);
	assert_int_equal(add(t, &job, 0, 2), RC_OK);
	assert_true(job.run > left.run);
	assert_int_equal(add(t, &left, 5, 1), RC_MISSING);
	assert_int_equal(complete(t, &left, 6), RC_MISSING);
	assert_int_equal(complete(t, &job, 2), RC_OK);
	p = page(t, 0, 0, 9);
	rows_are(&p, 0, 2);
	/* And with nothing the second time. */
	assert_int_equal(start(t, "team/app", "{}", 1000), RC_OK);
	job = next(t);
	assert_int_equal(add(t, &job, 0, 5), RC_OK);
	mt_reopen(t);
	job = next(t);
	assert_int_equal(complete(t, &job, 0), RC_OK);
	p = page(t, 0, 0, 9);
	rows_are(&p, 0, 0);
	assert_true(span_is(p.preview.text, "{}"));
	mt_check(t);
}

static void
results_for_another_preview_are_refused(void **state)
{
	struct mt *t = *state;
	struct preview_job job;

	create(t, "team/app");
	assert_int_equal(start(t, "team/app", "{}", 1000), RC_OK);
	job = next(t);
	assert_int_equal(complete(t, &job, 0), RC_OK);
	assert_int_equal(add(t, &job, 0, 1), RC_MISSING);
	assert_int_equal(start(t, "team/app", "{}", 1000), RC_OK);
	assert_int_equal(add(t, &job, 0, 1), RC_MISSING);
	erase(t, "team/app");
	assert_int_equal(add(t, &job, 0, 1), RC_NOTFOUND);
	create(t, "team/app");
	assert_int_equal(add(t, &job, 0, 1), RC_MISSING);
	assert_int_equal(start(t, "team/app", "{}", 1000), RC_OK);
	assert_int_equal(complete(t, &job, 0), RC_MISSING);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_PREVIEW_RESULTS), 0);
}

/* Until it is through, or only so many batches. */
static unsigned
sweep(struct mt *t, int64_t before_ms, unsigned max_rows)
{
	struct preview_sweep at = { 0 };
	unsigned n = 0;
	bool more;

	do {
		assert_int_equal(
		    meta_preview_sweep(t->m, &at, before_ms, max_rows, &more),
		    RC_OK);
		n++;
	} while (more && n < 1000);
	assert_false(more);
	return (n);
}

static void
what_does_not_count_is_swept_in_batches(void **state)
{
	struct mt *t = *state;
	struct preview_job job;
	struct preview_page p;
	unsigned n;

	create(t, "a");
	create(t, "team/app");
	evaluate(t, "a", 2);
	evaluate(t, "team/app", 25);
	evaluate(t, "team/app", 3);
	evaluate(t, "a", 1);
	/* Failed, with some written. */
	create(t, "z");
	assert_int_equal(start(t, "z", "{}", 1000), RC_OK);
	job = next(t);
	assert_int_equal(add(t, &job, 0, 4), RC_OK);
	assert_int_equal(
	    meta_preview_end(t->m, &job, PREVIEW_FAILED, NULL, 2000), RC_OK);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_PREVIEW_RESULTS), 35);
	n = sweep(t, 2000, 10);
	assert_true(n >= 1 + 3 + 1 + 1);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_PREVIEW_RESULTS), 4);
	p = page(t, 0, 0, 10);
	rows_are(&p, 0, 3);
	mt_check(t);
}

static void
an_unfinished_preview_is_not_swept(void **state)
{
	struct mt *t = *state;
	struct preview_job job;

	create(t, "team/app");
	assert_int_equal(start(t, "team/app", "{}", 1000), RC_OK);
	job = next(t);
	assert_int_equal(add(t, &job, 0, 4), RC_OK);
	(void)sweep(t, INT64_MAX, 10);
	assert_int_equal(preview(t).status, PREVIEW_IN_PROGRESS);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_PREVIEW_RESULTS), 4);
	assert_int_equal(add(t, &job, 4, 1), RC_OK);
}

static void
an_old_preview_expires_and_its_results_go(void **state)
{
	struct mt *t = *state;
	struct preview_page p;

	create(t, "team/app");
	evaluate(t, "team/app", 12);
	(void)sweep(t, 2000, 10);
	assert_int_equal(preview(t).status, PREVIEW_COMPLETE);
	(void)sweep(t, 2001, 5);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_PREVIEW_RESULTS), 0);
	p = page(t, 0, 0, 10);
	assert_int_equal(p.preview.status, PREVIEW_EXPIRED);
	assert_int_equal(p.preview.sums.expiring, 0);
	assert_true(span_is(p.preview.text, "{}"));
	rows_are(&p, 0, 0);
	assert_true(next_is(t, NULL));
	evaluate(t, "team/app", 2);
	mt_check(t);
}

static void
many_previews_are_swept_in_several_looks(void **state)
{
	struct mt *t = *state;
	struct preview_row row;
	char repo[32];
	unsigned i;

	for (i = 0; i < 150; i++) {
		snprintf(repo, sizeof(repo), "r%u", i);
		create(t, repo);
		evaluate(t, repo, 1);
	}
	(void)sweep(t, 2001, 1000);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_PREVIEW_RESULTS), 0);
	for (i = 0; i < 150; i++) {
		snprintf(repo, sizeof(repo), "r%u", i);
		assert_int_equal(
		    meta_preview_get(t->m, span_of(repo), &t->arena, &row),
		    RC_OK);
		assert_int_equal(row.status, PREVIEW_EXPIRED);
	}
}

static void
with_nothing_to_sweep_nothing_is_committed(void **state)
{
	struct mt *t = *state;
	uint64_t commits;

	create(t, "team/app");
	evaluate(t, "team/app", 3);
	commits = mt_stats(t).commits;
	(void)sweep(t, 2000, 10);
	assert_int_equal(mt_stats(t).commits, commits);
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
	assert_int_equal(
	    add(t, &(struct preview_job){ .repository = APP }, 0, 1),
	    RC_READONLY);
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
		TEST(those_that_have_waited_longest_are_due_first),
		TEST(a_policy_that_is_set_tells_its_revision),
		TEST(a_run_that_failed_for_what_may_be_over_soon_stays_due),
		TEST(times_of_a_clock_that_was_ahead_become_now),
		TEST(due_ones_come_in_pages),
		TEST(another_text_moves_a_policy_back),
		TEST(a_repository_made_with_a_policy_is_due_too),
		TEST(of_a_deleted_repository_nothing_is_due),
		TEST(a_damaged_policy_is_not_due_until_it_is_set_anew),
		TEST(a_run_that_is_done_or_failed_is_an_evaluation),
		TEST(a_run_of_another_policy_is_no_evaluation),
		TEST(the_last_result_is_kept),
		TEST(results_have_bounds_and_a_repository),
		TEST(the_status_of_all_comes_in_pages),
		TEST(a_status_page_looks_at_so_many),
		TEST(pulls_that_were_noted_are_settled),
		TEST(many_pulls_are_settled),
		TEST(a_preview_is_in_progress_until_it_ends),
		TEST(a_second_preview_waits_for_the_first_and_takes_its_place),
		TEST(what_is_not_in_progress_does_not_end),
		TEST(each_that_is_in_progress_comes_up),
		TEST(of_a_deleted_repository_nothing_is_left_to_do),
		TEST(a_damaged_preview_keeps_nobody_waiting),
		TEST(a_place_in_the_queue_without_a_preview_is_passed_over),
		TEST(results_come_in_pages_when_the_preview_is_complete),
		TEST(a_page_is_of_the_run_that_was_asked_for),
		TEST(
		    an_evaluation_that_begins_again_leaves_nothing_of_the_first),
		TEST(results_for_another_preview_are_refused),
		TEST(what_does_not_count_is_swept_in_batches),
		TEST(an_unfinished_preview_is_not_swept),
		TEST(an_old_preview_expires_and_its_results_go),
		TEST(many_previews_are_swept_in_several_looks),
		TEST(with_nothing_to_sweep_nothing_is_committed),
		TEST(who_only_reads_changes_nothing),
	};

	return (cmocka_run_group_tests_name("lifecycles", tests, NULL, NULL));
}
