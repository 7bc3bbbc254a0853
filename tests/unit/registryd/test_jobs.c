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

/* Jobs of the control socket: one at a time, joined, cancelled, looked at. */
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

	(void)state;
	assert_int_equal(jobs_cancel(jobs, span_of(id)), RC_OK);
	ended = wait_for(id);
	assert_string_equal(text_of(ended, "state"), "cancelled");
	json_decref(ended);
	json_decref(first);
}

static void
an_unknown_job_is_not_found(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_show(jobs, SPAN("x"), 0, &out), RC_NOTFOUND);
	assert_int_equal(jobs_cancel(jobs, SPAN("x")), RC_NOTFOUND);
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
	};

	return (cmocka_run_group_tests_name("jobs", tests, NULL, NULL));
}
