#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_tools.h"
#include "base/clock.h"
#include "registryd/jobs.h"
#include "registryd/mirrors.h"
#include "registryd/mirrors_int.h"

/*
 * Mirrors: when they are due, what is kept of their runs, and which there are.
 * Nothing is fetched: without upstreams every run fails at once.
 */
#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

static struct api api;
static struct settings *settings;
static struct mirrors *mirrors;

static struct mirror_spec
spec_of(const char *name, int64_t interval_ms)
{
	return ((struct mirror_spec){
	    .name = name,
	    .source = "registry.example/app",
	    .destination = "mirror/app",
	    .semver = "",
	    .credential = "",
	    .interval_ms = interval_ms,
	    .referrers = true,
	});
}

/* --- when they are due --------------------------------------------------- */

static void
one_that_never_ran_is_due_soon_after_the_start(void **state)
{
	struct mirror_spec spec = spec_of("a", 6 * HOUR);
	struct mirror_past past = { .n = 0 };
	int64_t start_ms = 1000 * HOUR, due_ms;

	(void)state;
	due_ms = mirror_due_ms(&spec, &past, start_ms, start_ms);
	assert_true(due_ms >= start_ms && due_ms < start_ms + 5 * SECOND);
}

static void
one_that_ran_is_due_after_an_interval_and_up_to_a_tenth_more(void **state)
{
	struct mirror_spec spec = spec_of("a", 10 * HOUR);
	struct mirror_past past = { .n = 3, .started_ms = 1000 * HOUR };
	int64_t now_ms = 1001 * HOUR, due_ms, other_ms;

	(void)state;
	due_ms = mirror_due_ms(&spec, &past, 0, now_ms);
	assert_true(due_ms >= 1010 * HOUR && due_ms < 1011 * HOUR);
	/* Always the same for one name, not for another. */
	assert_true(due_ms == mirror_due_ms(&spec, &past, 0, now_ms));
	spec.name = "another";
	other_ms = mirror_due_ms(&spec, &past, 0, now_ms);
	assert_true(other_ms >= 1010 * HOUR && other_ms < 1011 * HOUR);
	assert_true(other_ms != due_ms);
}

static void
one_without_an_interval_is_never_due(void **state)
{
	struct mirror_spec spec = spec_of("a", 0);
	struct mirror_past past = { .n = 0 };

	(void)state;
	assert_true(mirror_due_ms(&spec, &past, 0, HOUR) == INT64_MAX);
}

static void
one_that_failed_is_tried_again_later_and_later(void **state)
{
	struct mirror_spec spec = spec_of("a", HOUR);
	struct mirror_past past = { .n = 9, .started_ms = 1000 * HOUR };
	static const int64_t minutes[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
	unsigned i;

	(void)state;
	for (i = 0; i < 9; i++) {
		past.n_failed = i + 1;
		assert_true(mirror_due_ms(&spec, &past, 0, 1000 * HOUR) ==
			    1000 * HOUR + minutes[i] * MINUTE);
	}
	spec.interval_ms = 10 * SECOND;
	assert_true(mirror_due_ms(&spec, &past, 0, 1000 * HOUR) ==
		    1000 * HOUR + 10 * SECOND);
}

static void
a_clock_that_was_ahead_delays_nothing(void **state)
{
	struct mirror_spec spec = spec_of("a", HOUR);
	struct mirror_past past = { .n = 1, .started_ms = 2000 * HOUR };

	(void)state;
	assert_true(mirror_due_ms(&spec, &past, 0, 1000 * HOUR) == 1000 * HOUR);
}

/* --- what is kept -------------------------------------------------------- */

static void
run_add(const char *name, enum mirror_outcome outcome, int64_t started_ms)
{
	const struct mirror_run run = {
		.outcome = outcome,
		.again = outcome == MIRROR_STOPPED,
		.started_ms = started_ms,
		.ended_ms = started_ms + 5,
		.result = { .tags = 9, .selected = 4, .same = 1, .copied = 3 },
		.why = outcome == MIRROR_DONE ? "" : "because",
	};

	assert_int_equal(
	    mirror_state_add(store_meta(api.store), span_of(name), &run),
	    RC_OK);
}

static void
the_last_twenty_runs_are_kept_the_newest_first(void **state)
{
	json_t *runs;
	int i;

	(void)state;
	for (i = 0; i < 25; i++)
		run_add("a", MIRROR_DONE, 1000 + i);
	runs = mirror_state_runs(store_meta(api.store), SPAN("a"));
	assert_int_equal(json_array_size(runs), MIRRORS_RUNS_KEPT);
	assert_int_equal(json_integer_value(json_object_get(
			     json_array_get(runs, 0), "started_ms")),
	    1024);
	assert_int_equal(json_integer_value(json_object_get(
			     json_array_get(runs, 19), "started_ms")),
	    1005);
	assert_int_equal(json_integer_value(json_object_get(
			     json_array_get(runs, 0), "copied")),
	    3);
	json_decref(runs);
}

static void
a_run_that_the_end_of_the_server_stopped_does_not_count(void **state)
{
	struct mirror_past past;
	json_t *runs;

	(void)state;
	run_add("a", MIRROR_DONE, 1000);
	run_add("a", MIRROR_FAILED, 2000);
	run_add("a", MIRROR_INCOMPLETE, 3000);
	run_add("a", MIRROR_STOPPED, 4000);
	runs = mirror_state_runs(store_meta(api.store), SPAN("a"));
	mirror_state_past(runs, &past);
	assert_int_equal(past.n, 3);
	assert_int_equal(past.n_failed, 2);
	assert_int_equal(past.started_ms, 3000);
	json_decref(runs);
	runs = mirror_state_runs(store_meta(api.store), SPAN("b"));
	assert_int_equal(json_array_size(runs), 0);
	json_decref(runs);
}

/* --- which there are ----------------------------------------------------- */

static json_t *
list(void)
{
	struct buf out;
	json_t *o;

	buf_init(&out, 1 << 20);
	assert_int_equal(mirrors_json(mirrors, &out), RC_OK);
	o = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(o);
	buf_free(&out);
	return (o);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return (text);
}

static void
mirrors_of_both_kinds_are_one_list_by_name(void **state)
{
	struct mirror_spec spec = spec_of("b", HOUR);
	struct mirror_spec same = spec_of("configured", HOUR);
	const json_t *first;
	json_t *all;

	(void)state;
	assert_int_equal(mirrors_add(mirrors, &spec), RC_OK);
	assert_int_equal(mirrors_add(mirrors, &spec), RC_EXISTS);
	assert_int_equal(mirrors_add(mirrors, &same), RC_EXISTS);
	spec = spec_of("z", 0);
	assert_int_equal(mirrors_add(mirrors, &spec), RC_OK);
	all = list();
	assert_int_equal(json_array_size(all), 3);
	first = json_array_get(all, 0);
	assert_string_equal(text_of(first, "name"), "b");
	assert_true(json_is_false(json_object_get(first, "configured")));
	assert_true(json_is_null(json_object_get(first, "last")));
	assert_true(json_is_null(json_object_get(first, "running")));
	assert_true(json_is_string(json_object_get(first, "next")));
	assert_string_equal(
	    text_of(json_array_get(all, 1), "name"), "configured");
	assert_true(json_is_true(
	    json_object_get(json_array_get(all, 1), "configured")));
	assert_true(
	    json_is_null(json_object_get(json_array_get(all, 2), "next")));
	json_decref(all);
}

static void
one_of_the_configuration_is_not_removed(void **state)
{
	struct mirror_spec spec = spec_of("b", HOUR);
	struct buf out;

	(void)state;
	assert_int_equal(
	    mirrors_remove(mirrors, SPAN("configured")), RC_REFERENCED);
	assert_int_equal(mirrors_remove(mirrors, SPAN("b")), RC_NOTFOUND);
	assert_int_equal(mirrors_add(mirrors, &spec), RC_OK);
	run_add("b", MIRROR_DONE, 1000);
	assert_int_equal(mirrors_remove(mirrors, SPAN("b")), RC_OK);
	assert_int_equal(mirrors_add(mirrors, &spec), RC_OK);
	/* Its history went with it. */
	buf_init(&out, 1 << 20);
	assert_int_equal(mirrors_history_json(mirrors, SPAN("b"), &out), RC_OK);
	assert_true(span_is(buf_as_span(&out), "[]"));
	assert_int_equal(
	    mirrors_history_json(mirrors, SPAN("c"), &out), RC_NOTFOUND);
	buf_free(&out);
}

/* --- rounds -------------------------------------------------------------- */

static json_t *
history(const char *name)
{
	struct buf out;
	json_t *o;

	buf_init(&out, 1 << 20);
	assert_int_equal(
	    mirrors_history_json(mirrors, span_of(name), &out), RC_OK);
	o = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(o);
	buf_free(&out);
	return (o);
}

static void
a_round_carries_out_what_is_due_and_keeps_what_came_of_it(void **state)
{
	struct mirrors_counts counts;
	int64_t wait_ms;
	json_t *runs;

	(void)state;
	mirrors->start_ms -= HOUR;
	wait_ms = mirrors_round(mirrors);
	assert_true(wait_ms > 0 && wait_ms <= MINUTE);
	runs = history("configured");
	assert_int_equal(json_array_size(runs), 1);
	assert_string_equal(
	    text_of(json_array_get(runs, 0), "outcome"), "failed");
	assert_string_equal(text_of(json_array_get(runs, 0), "by"), "schedule");
	assert_true(strlen(text_of(json_array_get(runs, 0), "why")) > 0);
	assert_true(
	    json_is_string(json_object_get(json_array_get(runs, 0), "ended")));
	json_decref(runs);
	/* Not at once again. */
	(void)mirrors_round(mirrors);
	runs = history("configured");
	assert_int_equal(json_array_size(runs), 1);
	json_decref(runs);
	mirrors_count(mirrors, &counts);
	assert_int_equal(counts.failed, 1);
	assert_int_equal(counts.done, 0);
	assert_false(counts.running);
}

static void
what_is_asked_for_runs_whether_it_is_due_or_not(void **state)
{
	struct mirror_spec spec = spec_of("b", 0);
	struct buf out;
	json_t *job, *runs;

	(void)state;
	mirrors->start_ms += HOUR;
	assert_int_equal(mirrors_add(mirrors, &spec), RC_OK);
	buf_init(&out, 1 << 20);
	assert_int_equal(mirrors_run(mirrors, SPAN("c"), &out), RC_NOTFOUND);
	assert_int_equal(mirrors_run(mirrors, SPAN("b"), &out), RC_OK);
	job = json_loadb(out.p, out.n, 0, NULL);
	assert_true(json_is_true(json_object_get(job, "waiting")));
	assert_true(json_is_false(json_object_get(job, "joined")));
	(void)mirrors_round(mirrors);
	runs = history("b");
	assert_int_equal(json_array_size(runs), 1);
	assert_string_equal(text_of(json_array_get(runs, 0), "by"), "local");
	json_decref(runs);
	buf_clear(&out);
	assert_int_equal(
	    jobs_show(api.service.jobs, span_of(text_of(job, "id")), 0, &out),
	    RC_OK);
	json_decref(job);
	job = json_loadb(out.p, out.n, 0, NULL);
	assert_string_equal(text_of(job, "state"), "failed");
	assert_string_equal(text_of(job, "name"), "b");
	assert_true(strlen(text_of(job, "error")) > 0);
	json_decref(job);
	buf_free(&out);
	runs = history("configured");
	assert_int_equal(json_array_size(runs), 0);
	json_decref(runs);
}

static void
who_asks_twice_waits_for_one_run(void **state)
{
	struct mirror_spec spec = spec_of("b", 0);
	json_t *one, *other, *runs;
	struct buf out;

	(void)state;
	mirrors->start_ms += HOUR;
	assert_int_equal(mirrors_add(mirrors, &spec), RC_OK);
	buf_init(&out, 1 << 20);
	assert_int_equal(mirrors_run(mirrors, SPAN("b"), &out), RC_OK);
	one = json_loadb(out.p, out.n, 0, NULL);
	buf_clear(&out);
	assert_int_equal(mirrors_run(mirrors, SPAN("b"), &out), RC_OK);
	other = json_loadb(out.p, out.n, 0, NULL);
	assert_true(json_is_true(json_object_get(other, "joined")));
	assert_string_equal(text_of(one, "id"), text_of(other, "id"));
	(void)mirrors_round(mirrors);
	runs = history("b");
	assert_int_equal(json_array_size(runs), 1);
	json_decref(runs);
	json_decref(one);
	json_decref(other);
	buf_free(&out);
}

static void
the_thread_begins_and_ends(void **state)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };
	json_t *runs = NULL;
	unsigned i;

	(void)state;
	mirrors->start_ms -= HOUR;
	assert_int_equal(mirrors_start(mirrors), RC_OK);
	for (i = 0; i < 1000; i++) {
		runs = history("configured");
		if (json_array_size(runs) > 0)
			break;
		json_decref(runs);
		runs = NULL;
		(void)nanosleep(&pause, NULL);
	}
	assert_non_null(runs);
	json_decref(runs);
	mirrors_stop(mirrors);
	mirrors_stop(mirrors);
}

/* ------------------------------------------------------------------------- */

static void
config_write(const char *path)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs("mirrors:\n- name: configured\n"
			  "  source: registry.example/app\n"
			  "  destination: mirror/app\n",
			f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int
setup(void **state)
{
	struct settings_flags flags = { 0 };
	char why[SETTINGS_WHY_BYTES], audit_why[SERVICE_WHY_BYTES];
	char path[600];

	(void)state;
	api_open(&api);
	(void)snprintf(path, sizeof(path), "%s/registryd.yml", api.dir);
	config_write(path);
	flags.data = api.dir;
	flags.config_file = path;
	if (settings_load(&flags, why, &settings) != RC_OK)
		fail_msg("%s", why);
	api_bare(&api);
	service_init(&api.service, api.store, settings);
	assert_int_equal(service_audit_open(&api.service, audit_why), RC_OK);
	mirrors = api.service.mirrors;
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	service_fini(&api.service);
	settings_unref(&settings);
	api_close(&api);
	return (0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    one_that_never_ran_is_due_soon_after_the_start),
		cmocka_unit_test(
		    one_that_ran_is_due_after_an_interval_and_up_to_a_tenth_more),
		cmocka_unit_test(one_without_an_interval_is_never_due),
		cmocka_unit_test(
		    one_that_failed_is_tried_again_later_and_later),
		cmocka_unit_test(a_clock_that_was_ahead_delays_nothing),
		TEST(the_last_twenty_runs_are_kept_the_newest_first),
		TEST(a_run_that_the_end_of_the_server_stopped_does_not_count),
		TEST(mirrors_of_both_kinds_are_one_list_by_name),
		TEST(one_of_the_configuration_is_not_removed),
		TEST(a_round_carries_out_what_is_due_and_keeps_what_came_of_it),
		TEST(what_is_asked_for_runs_whether_it_is_due_or_not),
		TEST(who_asks_twice_waits_for_one_run),
		TEST(the_thread_begins_and_ends),
	};

	return (cmocka_run_group_tests_name("mirrors", tests, NULL, NULL));
}
