#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/obj.h"
#include "registryd/jobs.h"
#include "storage/repositories.h"
#include "storage/store.h"
#include "storage/upload.h"

/* Jobs: how many at once, joined, cancelled, looked at, forgotten. */
static char dir[64];
static struct store *store;
static struct jobs *jobs;

/* Longer than any test: a byte a second. */
static const struct fsck_job_options slow = { .bytes_per_s = 1 };
static const struct fsck_job_options quick = { .skip_content = true };

static json_t *
begin(const struct fsck_job_options *o)
{
	struct buf out;
	json_t *doc;

	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_fsck(jobs, o, &out), RC_OK);
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	buf_free(&out);
	return (doc);
}

static const char *
text_of(const json_t *doc, const char *key)
{
	return (json_string_value(json_object_get(doc, key)));
}

static json_t *
look(const char *id)
{
	struct buf out;
	json_t *doc;

	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_show(jobs, span_of(id), 0, &out), RC_OK);
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	buf_free(&out);
	return (doc);
}

/* The job as it ended. */
static json_t *
wait_for(const char *id)
{
	json_t *doc;
	int i;

	for (i = 0; i < 3000; i++) {
		doc = look(id);
		if (strcmp(text_of(doc, "state"), "running") != 0)
			return (doc);
		json_decref(doc);
		(void)usleep(10000);
	}
	fail_msg("the job does not end");
	return (NULL);
}

static void
a_check_ends_and_stays_to_be_looked_at(void **state)
{
	json_t *began = begin(&quick), *ended;

	(void)state;
	assert_true(json_is_false(json_object_get(began, "joined")));
	assert_string_equal(text_of(began, "kind"), "fsck");
	ended = wait_for(text_of(began, "id"));
	assert_string_equal(text_of(ended, "state"), "done");
	assert_int_equal(
	    json_array_size(json_object_get(ended, "problems")), 0);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(ended, "progress"), "problems")),
	    0);
	json_decref(ended);
	ended = look(text_of(began, "id"));
	assert_string_equal(text_of(ended, "state"), "done");
	json_decref(ended);
	json_decref(began);
}

static void
a_second_check_joins_the_running_one(void **state)
{
	json_t *first = begin(&slow), *second = begin(&slow);

	(void)state;
	assert_true(json_is_true(json_object_get(second, "joined")));
	assert_string_equal(text_of(first, "id"), text_of(second, "id"));
	json_decref(first);
	json_decref(second);
}

static void
one_with_other_options_has_to_wait(void **state)
{
	struct fsck_job_options repair = { .repair = true };
	json_t *first = begin(&slow);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_fsck(jobs, &repair, &out), RC_BUSY);
	assert_int_equal(out.n, 0);
	buf_free(&out);
	json_decref(first);
}

static void
a_cancelled_check_says_so(void **state)
{
	json_t *first = begin(&slow), *ended;
	const char *id = text_of(first, "id");
	bool ends;

	(void)state;
	assert_int_equal(jobs_cancel(jobs, span_of(id), &ends), RC_OK);
	assert_true(ends);
	ended = wait_for(id);
	assert_string_equal(text_of(ended, "state"), "cancelled");
	json_decref(ended);
	json_decref(first);
}

static void
an_unknown_job_is_not_found(void **state)
{
	struct buf out;
	bool ends;

	(void)state;
	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_show(jobs, SPAN("x"), 0, &out), RC_NOTFOUND);
	assert_int_equal(jobs_cancel(jobs, SPAN("x"), &ends), RC_NOTFOUND);
	json_decref(begin(&quick));
	assert_int_equal(jobs_show(jobs, SPAN("x"), 0, &out), RC_NOTFOUND);
	buf_free(&out);
}

static void
the_end_of_the_server_cancels_what_runs(void **state)
{
	(void)state;
	json_decref(begin(&slow));
	jobs_free(&jobs);
	assert_null(jobs);
}

/* --- collections --------------------------------------------------------- */

static json_t *
collect(bool dry_run)
{
	const struct gc_job_options o = { .dry_run = dry_run };
	struct buf out;
	json_t *doc;

	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_gc(jobs, &o, &out), RC_OK);
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	buf_free(&out);
	return (doc);
}

static void
a_collection_ends_and_stays_to_be_looked_at(void **state)
{
	json_t *began = collect(false), *ended;

	(void)state;
	assert_string_equal(text_of(began, "kind"), "gc");
	assert_true(json_is_false(json_object_get(began, "joined")));
	assert_true(json_is_false(json_object_get(began, "dry_run")));
	ended = wait_for(text_of(began, "id"));
	assert_string_equal(text_of(ended, "state"), "done");
	assert_false(jobs_gc_running(jobs));
	json_decref(ended);
	json_decref(began);
}

static void
one_that_only_looks_is_another_job(void **state)
{
	json_t *look = collect(true), *real = collect(false), *ended;

	(void)state;
	assert_string_not_equal(text_of(look, "id"), text_of(real, "id"));
	ended = wait_for(text_of(look, "id"));
	assert_true(json_is_true(json_object_get(ended, "dry_run")));
	json_decref(ended);
	json_decref(wait_for(text_of(real, "id")));
	json_decref(look);
	json_decref(real);
}

/* Whoever asked can look though the server has begun many others since. */
static void
a_collection_that_nobody_asked_for_displaces_none(void **state)
{
	const struct gc_job_options o = { 0 };
	json_t *asked = collect(false);
	int i;

	(void)state;
	for (i = 0; i < 2 * JOBS_KEPT; i++) {
		json_decref(wait_for(text_of(asked, "id")));
		assert_int_equal(jobs_gc(jobs, &o, NULL), RC_OK);
		while (jobs_gc_running(jobs))
			(void)usleep(1000);
	}
	json_decref(look(text_of(asked, "id")));
	json_decref(asked);
}

static void
the_oldest_that_ended_are_forgotten(void **state)
{
	json_t *first = collect(false), *other;
	struct buf out;
	int i;

	(void)state;
	json_decref(wait_for(text_of(first, "id")));
	for (i = 0; i < JOBS_KEPT; i++) {
		other = collect(false);
		json_decref(wait_for(text_of(other, "id")));
		json_decref(other);
	}
	buf_init(&out, 1 << 20);
	assert_int_equal(
	    jobs_show(jobs, span_of(text_of(first, "id")), 0, &out),
	    RC_NOTFOUND);
	buf_free(&out);
	json_decref(first);
}

/* --- runs of lifecycle policies ------------------------------------------ */

static json_t *
run_ask(const char *repository)
{
	struct buf out;
	json_t *doc;

	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_run(jobs, span_of(repository), &out), RC_OK);
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	buf_free(&out);
	return (doc);
}

static bool
joined(const json_t *doc)
{
	return (json_is_true(json_object_get(doc, "joined")));
}

static void
runs_are_carried_out_in_the_order_in_which_they_were_asked_for(void **state)
{
	static const char *const names[] = { "b", "", "a" };
	struct run_job *job;
	size_t i;

	(void)state;
	assert_null(jobs_run_next(jobs));
	for (i = 0; i < ARRAY_LEN(names); i++)
		json_decref(run_ask(names[i]));
	for (i = 0; i < ARRAY_LEN(names); i++) {
		job = jobs_run_next(jobs);
		assert_non_null(job);
		assert_true(span_is(run_job_repository(job), names[i]));
		run_job_end(job, RC_OK, NULL);
	}
	assert_null(jobs_run_next(jobs));
}

static void
a_run_is_joined_as_long_as_it_has_not_begun(void **state)
{
	json_t *first = run_ask("a"), *second = run_ask("a"), *other, *third;
	struct run_job *job;

	(void)state;
	assert_false(joined(first));
	assert_true(joined(second));
	assert_string_equal(text_of(first, "id"), text_of(second, "id"));
	other = run_ask("b");
	assert_false(joined(other));
	job = jobs_run_next(jobs);
	third = run_ask("a");
	assert_false(joined(third));
	run_job_end(job, RC_OK, NULL);
	run_job_end(jobs_run_next(jobs), RC_OK, NULL);
	run_job_end(jobs_run_next(jobs), RC_OK, NULL);
	json_decref(first);
	json_decref(second);
	json_decref(other);
	json_decref(third);
}

static void
only_so_many_runs_wait(void **state)
{
	char name[16];
	struct buf out;
	int i;

	(void)state;
	for (i = 0; i < JOBS_RUNS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "r%d", i);
		json_decref(run_ask(name));
	}
	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_run(jobs, SPAN("more"), &out), RC_BUSY);
	assert_int_equal(out.n, 0);
	buf_free(&out);
}

static void
a_run_that_waits_is_cancelled_at_once(void **state)
{
	json_t *asked = run_ask("a"), *now;
	bool ends;

	(void)state;
	assert_int_equal(
	    jobs_cancel(jobs, span_of(text_of(asked, "id")), &ends), RC_OK);
	assert_true(ends);
	now = look(text_of(asked, "id"));
	assert_string_equal(text_of(now, "state"), "cancelled");
	assert_null(jobs_run_next(jobs));
	json_decref(now);
	json_decref(asked);
}

static void
a_run_that_others_joined_is_cancelled_with_the_last_of_them(void **state)
{
	json_t *asked = run_ask("a"), *joined = run_ask("a"), *now;
	struct span id = span_of(text_of(asked, "id"));
	bool ends;

	(void)state;
	assert_string_equal(text_of(joined, "id"), text_of(asked, "id"));
	assert_int_equal(jobs_cancel(jobs, id, &ends), RC_OK);
	assert_false(ends);
	now = look(text_of(asked, "id"));
	assert_string_equal(text_of(now, "state"), "running");
	json_decref(now);
	assert_int_equal(jobs_cancel(jobs, id, &ends), RC_OK);
	assert_true(ends);
	now = look(text_of(asked, "id"));
	assert_string_equal(text_of(now, "state"), "cancelled");
	json_decref(now);
	json_decref(joined);
	json_decref(asked);
}

static int64_t
total_of(const json_t *asked, const char *key)
{
	struct buf out;
	json_t *doc;
	int64_t n;

	buf_init(&out, 1 << 22);
	assert_int_equal(
	    jobs_show(jobs, span_of(text_of(asked, "id")), 0, &out), RC_OK);
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	n = json_integer_value(
	    json_object_get(json_object_get(doc, "totals"), key));
	json_decref(doc);
	buf_free(&out);
	return (n);
}

static void
images_are_counted_while_their_repository_is_at_hand_and_once(void **state)
{
	const struct lifecycle_result r = { .outcome = LIFECYCLE_DONE,
		.images = 9,
		.expired = 2,
		.archived = 1 };
	json_t *asked = run_ask("");
	struct run_job *job = jobs_run_next(jobs);

	(void)state;
	run_job_total(job, 2);
	run_job_acted(job, ACT_EXPIRE);
	run_job_acted(job, ACT_EXPIRE);
	run_job_acted(job, ACT_ARCHIVE);
	assert_int_equal(total_of(asked, "expired"), 2);
	assert_int_equal(total_of(asked, "archived"), 1);
	run_job_result(job, SPAN("team/app"), &r);
	assert_int_equal(total_of(asked, "expired"), 2);
	assert_int_equal(total_of(asked, "archived"), 1);
	run_job_acted(job, ACT_EXPIRE);
	assert_int_equal(total_of(asked, "expired"), 3);
	run_job_end(job, RC_CANCELLED, NULL);
	json_decref(asked);
}

static void
results_are_told_some_at_a_time_and_summed_all(void **state)
{
	struct lifecycle_result r = {
		.outcome = LIFECYCLE_DONE, .images = 2, .expired = 1
	};
	json_t *asked = run_ask("");
	struct run_job *job = jobs_run_next(jobs);
	struct buf out;
	json_t *doc;
	size_t i;

	(void)state;
	run_job_total(job, RUN_JOB_RESULTS_KEPT + 5);
	for (i = 0; i < RUN_JOB_RESULTS_KEPT + 5; i++)
		run_job_result(job, SPAN("team/app"), &r);
	r.outcome = LIFECYCLE_FAILED;
	r.why = SPAN("\"so\"");
	run_job_result(job, SPAN("bad"), &r);
	run_job_end(job, RC_OK, NULL);
	buf_init(&out, 1 << 22);
	assert_int_equal(jobs_show(jobs, span_of(text_of(asked, "id")),
			     RUN_JOB_RESULTS_KEPT - 3, &out),
	    RC_OK);
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_int_equal(json_array_size(json_object_get(doc, "results")), 3);
	assert_int_equal(
	    json_integer_value(json_object_get(doc, "results_next")),
	    RUN_JOB_RESULTS_KEPT);
	assert_int_equal(
	    json_integer_value(json_object_get(doc, "results_dropped")), 6);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(doc, "totals"), "expired")),
	    RUN_JOB_RESULTS_KEPT + 6);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(doc, "totals"), "failed")),
	    1);
	json_decref(doc);
	buf_clear(&out);
	assert_int_equal(
	    jobs_show(jobs, span_of(text_of(asked, "id")), 0, &out), RC_OK);
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(doc, "results")),
	    RUN_JOB_RESULTS_SHOWN);
	json_decref(doc);
	buf_free(&out);
	json_decref(asked);
}

/* Something to hash. */
static void
blob_put(void)
{
	static const char bytes[1000];
	struct digest d;

	digest_of(DIGEST_SHA256, bytes, sizeof(bytes), &d);
	assert_int_equal(upload_whole(store, SPAN("a"), &d,
			     (struct span){ bytes, sizeof(bytes) }, SPAN_NONE,
			     &repository_preset_default),
	    RC_OK);
}

static int
setup(void **state)
{
	struct store_options o = {
		.dir = dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = 16 << 20,
		.upload_sessions_max = 10,
		.upload_lifetime_ms = 1000,
		.max_threads = 8,
	};
	char why[STORE_WHY_BYTES];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test-jobs-XXXXXX");
	assert_non_null(mkdtemp(dir));
	if (store_open(&o, why, &store) != RC_OK)
		fail_msg("%s", why);
	blob_put();
	jobs = jobs_new(store);
	return (0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return (remove(path));
}

static int
teardown(void **state)
{
	(void)state;
	jobs_free(&jobs);
	store_close(&store);
	return (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_check_ends_and_stays_to_be_looked_at),
		TEST(a_second_check_joins_the_running_one),
		TEST(one_with_other_options_has_to_wait),
		TEST(a_cancelled_check_says_so),
		TEST(an_unknown_job_is_not_found),
		TEST(the_end_of_the_server_cancels_what_runs),
		TEST(a_collection_ends_and_stays_to_be_looked_at),
		TEST(one_that_only_looks_is_another_job),
		TEST(a_collection_that_nobody_asked_for_displaces_none),
		TEST(the_oldest_that_ended_are_forgotten),
		TEST(
		    runs_are_carried_out_in_the_order_in_which_they_were_asked_for),
		TEST(a_run_is_joined_as_long_as_it_has_not_begun),
		TEST(only_so_many_runs_wait),
		TEST(a_run_that_waits_is_cancelled_at_once),
		TEST(
		    a_run_that_others_joined_is_cancelled_with_the_last_of_them),
		TEST(
		    images_are_counted_while_their_repository_is_at_hand_and_once),
		TEST(results_are_told_some_at_a_time_and_summed_all),
	};

	return (cmocka_run_group_tests_name("jobs", tests, NULL, NULL));
}
