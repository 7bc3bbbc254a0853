#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "api_tools.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/jobs.h"
#include "registryd/service_int.h"
#include "storage/images.h"
#include "storage/lifecycles.h"

/*
 * The lifecycle thread, a round at a time: whose policy is carried out when,
 * and what is told of it.  The calendar of this program is its own; it can go
 * on by itself with each look at it.
 */

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* 2026-01-01T12:00:00Z */
#define NOON ((int64_t)1767268800000)

/* Read by the threads of the service, too. */
static _Atomic int64_t calendar_ms = NOON, calendar_step_ms;

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t now_ms;

	if (id != CLOCK_REALTIME)
		return ((int)syscall(SYS_clock_gettime, id, t));
	now_ms = atomic_fetch_add(&calendar_ms, calendar_step_ms);
	t->tv_sec = (time_t)(now_ms / 1000);
	t->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return (0);
}

#define COUNT_ONE \
	"{\"rules\":[{\"rulePriority\":7,\"selection\":{\"tagStatus\":" \
	"\"any\",\"countType\":\"imageCountMoreThan\",\"countNumber\":1}," \
	"\"action\":{\"type\":\"expire\"}}]}"

#define ARCHIVE_OLD \
	"{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":" \
	"\"any\",\"countType\":\"sinceImagePulled\",\"countUnit\":\"days\"," \
	"\"countNumber\":1},\"action\":{\"type\":\"transition\"," \
	"\"targetStorageClass\":\"archive\"}}]}"

#define EXTENDED \
	"{\"keepLast\":1,\"rules\":[{\"rulePriority\":1,\"selection\":{" \
	"\"tagStatus\":\"any\",\"countType\":\"imageCountMoreThan\"," \
	"\"countNumber\":1},\"action\":{\"type\":\"expire\"}}]}"

/* --- a service ----------------------------------------------------------- */

static struct api api;
static struct service svc;
static struct settings *settings;

/* ${pairs}: names of variables and their values, NULL behind. */
static struct settings *
settings_make(const char *const *pairs)
{
	struct settings_flags flags = { .data = api.dir };
	char why[SETTINGS_WHY_BYTES];
	struct settings *s;
	size_t i;

	for (i = 0; pairs[i] != NULL; i += 2)
		assert_int_equal(setenv(pairs[i], pairs[i + 1], 1), 0);
	if (settings_load(&flags, why, &s) != RC_OK)
		fail_msg("%s", why);
	for (i = 0; pairs[i] != NULL; i += 2)
		assert_int_equal(unsetenv(pairs[i]), 0);
	return (s);
}

#define BEGIN(...) begin((const char *const[]){ __VA_ARGS__, NULL })
#define INTERVAL "REGISTRYD_LIFECYCLE_INTERVAL", "24h"
#define NO_JITTER "REGISTRYD_LIFECYCLE_JITTER", "0"
#define NO_RATE "REGISTRYD_LIFECYCLE_RATE", "0"
#define WINDOW(text) "REGISTRYD_LIFECYCLE_WINDOW", text

/* One that has been there for a while. */
static void
begin(const char *const *pairs)
{
	char why[SERVICE_WHY_BYTES];

	calendar_ms = NOON;
	calendar_step_ms = 0;
	api_open(&api);
	settings = settings_make(pairs);
	service_init(&svc, api.store, settings);
	assert_int_equal(service_audit_open(&svc, why), RC_OK);
	svc.lifecycle_from_ns = 0;
}

static void
end(void)
{
	service_fini(&svc);
	settings_unref(&settings);
	api_close(&api);
}

static void
images_push(const char *repository, size_t n)
{
	char seed[64], digest[DIGEST_STR_BYTES];
	size_t i;

	for (i = 0; i < n; i++) {
		(void)snprintf(seed, sizeof(seed), "%s-%zu", repository, i);
		calendar_ms += SECOND;
		api_image(&api, repository, NULL, seed, digest);
	}
}

static void
policy_set(const char *repository, const char *text)
{
	assert_int_equal(
	    meta_lifecycle_set(store_meta(api.store), span_of(repository),
		span_of(text), clock_real_ms(), NULL),
	    RC_OK);
}

/* A repository of ${n} images, and a policy that leaves one. */
static void
repository_make(const char *name, size_t n)
{
	images_push(name, n);
	policy_set(name, COUNT_ONE);
}

static uint64_t
images_count(const char *repository)
{
	uint64_t n;

	assert_int_equal(
	    meta_image_count(store_meta(api.store), span_of(repository), &n),
	    RC_OK);
	return (n);
}

/* .why is not to be looked at. */
static struct lifecycle_status
status_of(const char *repository)
{
	struct lifecycle_status row;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(meta_lifecycle_status(store_meta(api.store),
			     span_of(repository), &arena, &row),
	    RC_OK);
	arena_reset(&arena);
	return (row);
}

static char *
audit_read(void)
{
	char path[600], *text;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/audit.log", api.dir);
	f = fopen(path, "re");
	assert_non_null(f);
	text = xcalloc(1, 1 << 20);
	n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return (text);
}

static size_t
occurrences(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text++;
	}
	return (n);
}

static json_t *
job_ask(const char *repository)
{
	struct buf out;
	json_t *o;

	buf_init(&out, 1 << 20);
	assert_int_equal(jobs_run(svc.jobs, span_of(repository), &out), RC_OK);
	o = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	buf_free(&out);
	return (o);
}

/* As it is now; drops ${asked}. */
static json_t *
job_look(json_t *asked)
{
	struct buf out;
	json_t *o;

	buf_init(&out, 1 << 20);
	assert_int_equal(
	    jobs_show(svc.jobs,
		span_of(json_string_value(json_object_get(asked, "id"))), 0,
		&out),
	    RC_OK);
	json_decref(asked);
	o = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
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

static json_int_t
number_of(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return (json_integer_value(json_object_get(o, key)));
}

/* --- when ---------------------------------------------------------------- */

static void
a_new_policy_is_carried_out_one_interval_later(void **state)
{
	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	repository_make("a", 3);
	(void)service_lifecycle_round(&svc);
	calendar_ms += DAY - SECOND;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 3);
	assert_int_equal(status_of("a").last.outcome, LIFECYCLE_NEVER);
	calendar_ms += SECOND;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	assert_int_equal(status_of("a").last.outcome, LIFECYCLE_DONE);
	assert_int_equal(status_of("a").evaluated_ms, calendar_ms);
	end();
}

static void
one_that_changes_waits_anew_and_one_that_ran_for_the_next_time(void **state)
{
	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	repository_make("a", 3);
	repository_make("b", 3);
	calendar_ms += DAY / 2;
	policy_set("a", COUNT_ONE "\n");
	calendar_ms += DAY / 2;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 3);
	assert_int_equal(images_count("b"), 1);
	images_push("b", 5);
	calendar_ms += DAY / 2;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	assert_true(images_count("b") > 1);
	calendar_ms += DAY / 2;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("b"), 1);
	end();
}

static void
jitter_comes_on_top_of_the_interval(void **state)
{
	char name[32];
	size_t i, n = 0;

	(void)state;
	BEGIN(INTERVAL, "REGISTRYD_LIFECYCLE_JITTER", "12h");
	for (i = 0; i < 16; i++) {
		(void)snprintf(name, sizeof(name), "r%zu", i);
		repository_make(name, 2);
	}
	calendar_ms += DAY + DAY / 4;
	(void)service_lifecycle_round(&svc);
	for (i = 0; i < 16; i++) {
		(void)snprintf(name, sizeof(name), "r%zu", i);
		n += images_count(name) == 1;
	}
	assert_in_range(n, 1, 15);
	calendar_ms += DAY / 4;
	(void)service_lifecycle_round(&svc);
	for (i = 0; i < 16; i++) {
		(void)snprintf(name, sizeof(name), "r%zu", i);
		assert_int_equal(images_count(name), 1);
	}
	end();
}

static void
nothing_is_carried_out_at_the_start(void **state)
{
	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	repository_make("a", 3);
	calendar_ms += 30 * DAY;
	service_lifecycle_ready(&svc);
	assert_in_range(service_lifecycle_round(&svc), 1, MINUTE);
	assert_int_equal(images_count("a"), 3);
	svc.lifecycle_from_ns = 0;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	end();
}

static void
with_an_interval_of_zero_nothing_is_carried_out_by_itself(void **state)
{
	(void)state;
	BEGIN("REGISTRYD_LIFECYCLE_INTERVAL", "0");
	repository_make("a", 3);
	calendar_ms += 400 * DAY;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 3);
	json_decref(job_ask("a"));
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	assert_int_equal(
	    service_lifecycle_next(&svc, settings, 1, calendar_ms), 0);
	end();
}

static void
a_clock_that_was_ahead_holds_nothing_up(void **state)
{
	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	images_push("a", 3);
	calendar_ms += 400 * DAY;
	policy_set("a", COUNT_ONE);
	calendar_ms -= 400 * DAY;
	assert_int_equal(
	    service_lifecycle_next(&svc, settings, 1, calendar_ms + 400 * DAY),
	    calendar_ms + DAY);
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 3);
	assert_int_equal(status_of("a").set_ms, calendar_ms);
	calendar_ms += DAY;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	end();
}

/* --- the window ---------------------------------------------------------- */

static void
what_is_due_waits_for_the_window(void **state)
{
	(void)state;
	BEGIN(INTERVAL, NO_JITTER, WINDOW("22:00-04:00"));
	repository_make("a", 3);
	calendar_ms = NOON + DAY + HOUR;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 3);
	assert_int_equal(service_lifecycle_next(&svc, settings, 1, NOON),
	    NOON + DAY + 10 * HOUR);
	calendar_ms = NOON + DAY + 15 * HOUR;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	end();
}

/* More than one batch, so that there is a place to stop at. */
#define MANY 200

static void
a_run_stops_at_the_end_of_the_window_and_goes_on_in_the_next(void **state)
{
	struct lifecycle_status st;
	uint64_t left;
	char *audit;

	(void)state;
	BEGIN(INTERVAL, NO_JITTER, NO_RATE, WINDOW("22:00-22:01"));
	repository_make("a", MANY);
	calendar_ms = NOON + DAY + 10 * HOUR;
	calendar_step_ms = SECOND;
	(void)service_lifecycle_round(&svc);
	calendar_step_ms = 0;
	left = images_count("a");
	assert_in_range(left, 2, MANY - 1);
	st = status_of("a");
	assert_int_equal(st.last.outcome, LIFECYCLE_STOPPED);
	assert_int_equal(st.last.expired, MANY - left);
	assert_int_equal(st.evaluated_ms, 0);
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), left);
	calendar_ms = NOON + 2 * DAY + 10 * HOUR;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	assert_int_equal(status_of("a").last.outcome, LIFECYCLE_DONE);
	audit = audit_read();
	assert_int_equal(occurrences(audit, "\"lifecycle-expire\""), MANY - 1);
	assert_int_equal(occurrences(audit, "\"outcome\":\"stopped\""), 1);
	free(audit);
	end();
}

/* --- what is asked for --------------------------------------------------- */

static void
what_is_asked_for_waits_for_nothing(void **state)
{
	const json_t *one;
	json_t *job;

	(void)state;
	BEGIN(INTERVAL, WINDOW("22:00-04:00"));
	repository_make("a", 3);
	repository_make("b", 5);
	images_push("c", 2);
	service_lifecycle_ready(&svc);
	job = job_ask("");
	assert_string_equal(text_of(job, "kind"), "lifecycle");
	assert_string_equal(text_of(job, "state"), "running");
	(void)service_lifecycle_round(&svc);
	job = job_look(job);
	assert_string_equal(text_of(job, "state"), "done");
	assert_int_equal(number_of(job, "repositories"), 2);
	assert_int_equal(number_of(job, "repositories_total"), 2);
	assert_int_equal(
	    number_of(json_object_get(job, "totals"), "expired"), 6);
	assert_int_equal(number_of(job, "results_next"), 2);
	one = json_array_get(json_object_get(job, "results"), 0);
	assert_string_equal(text_of(one, "repository"), "a");
	assert_string_equal(text_of(one, "outcome"), "done");
	assert_int_equal(number_of(one, "expired"), 2);
	assert_int_equal(number_of(one, "images"), 3);
	assert_int_equal(images_count("c"), 2);
	json_decref(job);
	end();
}

static void
one_repository_is_asked_for_alone(void **state)
{
	json_t *job;
	char *audit;

	(void)state;
	BEGIN(INTERVAL);
	repository_make("a", 3);
	repository_make("b", 3);
	job = job_ask("b");
	(void)service_lifecycle_round(&svc);
	job = job_look(job);
	assert_int_equal(number_of(job, "repositories_total"), 1);
	assert_int_equal(images_count("a"), 3);
	assert_int_equal(images_count("b"), 1);
	audit = audit_read();
	assert_int_equal(occurrences(audit, "\"by\":\"local\""), 3);
	assert_int_equal(occurrences(audit, "\"rule\":7"), 2);
	assert_int_equal(occurrences(audit, "\"outcome\":\"done\""), 1);
	free(audit);
	json_decref(job);
	end();
}

static void
a_repository_that_is_gone_fails_its_job(void **state)
{
	json_t *job;

	(void)state;
	BEGIN(INTERVAL);
	job = job_ask("a");
	(void)service_lifecycle_round(&svc);
	job = job_look(job);
	assert_string_equal(text_of(job, "state"), "failed");
	assert_string_equal(
	    text_of(job, "error"), "the repository does not exist any more");
	json_decref(job);
	end();
}

static void
a_cancelled_job_does_nothing(void **state)
{
	json_t *job;
	bool ends;

	(void)state;
	BEGIN(INTERVAL);
	repository_make("a", 3);
	job = job_ask("a");
	assert_int_equal(
	    jobs_cancel(svc.jobs, span_of(text_of(job, "id")), &ends), RC_OK);
	(void)service_lifecycle_round(&svc);
	job = job_look(job);
	assert_string_equal(text_of(job, "state"), "cancelled");
	assert_int_equal(images_count("a"), 3);
	json_decref(job);
	end();
}

/* --- what goes wrong ----------------------------------------------------- */

/* No file of this process grows beyond that. */
static void
files_limit(rlim_t max)
{
	struct rlimit limit;

	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
a_policy_that_a_full_disk_stops_stays_due_and_is_tried_again(void **state)
{
	char *audit;

	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	repository_make("a", 3);
	calendar_ms += DAY;
	files_limit(0);
	assert_in_range(service_lifecycle_round(&svc), 1, MINUTE);
	files_limit(RLIM_INFINITY);
	assert_int_equal(images_count("a"), 3);
	assert_int_equal(status_of("a").evaluated_ms, 0);
	/* Not at once. */
	assert_in_range(service_lifecycle_round(&svc), 1, MINUTE);
	assert_int_equal(images_count("a"), 3);
	svc.lifecycle_again_ns = 0;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 1);
	audit = audit_read();
	assert_int_equal(occurrences(audit, "\"outcome\":\"failed\""), 1);
	assert_int_equal(occurrences(audit, "\"outcome\":\"done\""), 1);
	assert_int_equal(occurrences(audit, "\"lifecycle-expire\""), 2);
	free(audit);
	end();
}

static void
a_policy_that_cannot_be_read_fails_and_others_go_on(void **state)
{
	json_t *job;

	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	images_push("a", 3);
	policy_set("a", "{}");
	repository_make("b", 3);
	calendar_ms += DAY;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(status_of("a").last.outcome, LIFECYCLE_FAILED);
	assert_int_equal(images_count("a"), 3);
	assert_int_equal(images_count("b"), 1);
	assert_int_equal(atomic_load(&svc.counts.runs_failed), 1);
	assert_int_equal(atomic_load(&svc.counts.runs), 1);
	job = job_ask("");
	(void)service_lifecycle_round(&svc);
	job = job_look(job);
	assert_string_equal(text_of(job, "state"), "done");
	assert_int_equal(
	    number_of(json_object_get(job, "totals"), "failed"), 1);
	json_decref(job);
	end();
}

static void
extensions_are_carried_out_only_where_they_are_allowed(void **state)
{
	struct settings *other;

	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	images_push("a", 3);
	policy_set("a", EXTENDED);
	calendar_ms += DAY;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(status_of("a").last.outcome, LIFECYCLE_FAILED);
	other = settings_make((const char *const[]){ INTERVAL, NO_JITTER,
	    "REGISTRYD_LIFECYCLE_EXTENSIONS", "true", NULL });
	settings_unref(&svc.settings);
	svc.settings = other;
	calendar_ms += DAY;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(status_of("a").last.outcome, LIFECYCLE_DONE);
	assert_int_equal(images_count("a"), 1);
	end();
}

static void
a_stopping_server_carries_out_nothing(void **state)
{
	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	repository_make("a", 3);
	calendar_ms += DAY;
	atomic_store(&svc.stopping, true);
	json_decref(job_ask(""));
	(void)service_lifecycle_round(&svc);
	assert_int_equal(images_count("a"), 3);
	end();
}

/* --- what is told -------------------------------------------------------- */

static void
figures_and_the_audit_log_tell_what_was_done(void **state)
{
	char now[NAME_REPOSITORY_MAX_BYTES + 1], *audit;

	(void)state;
	BEGIN(INTERVAL, NO_JITTER);
	repository_make("a", 3);
	images_push("b", 2);
	policy_set("b", ARCHIVE_OLD);
	repository_make("c", 1);
	calendar_ms += 2 * DAY;
	(void)service_lifecycle_round(&svc);
	assert_int_equal(atomic_load(&svc.counts.runs), 3);
	assert_int_equal(atomic_load(&svc.counts.expired), 2);
	assert_int_equal(atomic_load(&svc.counts.archived), 2);
	assert_int_equal(atomic_load(&svc.counts.ran_ms), calendar_ms);
	service_lifecycle_now(&svc, now);
	assert_string_equal(now, "");
	audit = audit_read();
	assert_int_equal(occurrences(audit, "\"lifecycle-expire\""), 2);
	assert_int_equal(occurrences(audit, "\"lifecycle-archive\""), 2);
	/* Of one of which nothing came there is nothing to tell. */
	assert_int_equal(occurrences(audit, "\"lifecycle-run\""), 2);
	assert_int_equal(occurrences(audit, "\"by\""), 0);
	free(audit);
	end();
}

static void
the_thread_carries_out_what_it_is_woken_for(void **state)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	json_t *job;
	int i;

	(void)state;
	BEGIN(INTERVAL);
	repository_make("a", 3);
	assert_int_equal(service_lifecycle_start(&svc), RC_OK);
	job = job_ask("a");
	service_lifecycle_wake(&svc);
	for (i = 0; i < 6000; i++) {
		job = job_look(job);
		if (strcmp(text_of(job, "state"), "running") != 0)
			break;
		(void)nanosleep(&pause, NULL);
	}
	assert_string_equal(text_of(job, "state"), "done");
	service_lifecycle_stop(&svc);
	assert_int_equal(images_count("a"), 1);
	json_decref(job);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_new_policy_is_carried_out_one_interval_later),
		cmocka_unit_test(
		    one_that_changes_waits_anew_and_one_that_ran_for_the_next_time),
		cmocka_unit_test(jitter_comes_on_top_of_the_interval),
		cmocka_unit_test(nothing_is_carried_out_at_the_start),
		cmocka_unit_test(a_clock_that_was_ahead_holds_nothing_up),
		cmocka_unit_test(
		    a_policy_that_a_full_disk_stops_stays_due_and_is_tried_again),
		cmocka_unit_test(
		    with_an_interval_of_zero_nothing_is_carried_out_by_itself),
		cmocka_unit_test(what_is_due_waits_for_the_window),
		cmocka_unit_test(
		    a_run_stops_at_the_end_of_the_window_and_goes_on_in_the_next),
		cmocka_unit_test(what_is_asked_for_waits_for_nothing),
		cmocka_unit_test(one_repository_is_asked_for_alone),
		cmocka_unit_test(a_repository_that_is_gone_fails_its_job),
		cmocka_unit_test(a_cancelled_job_does_nothing),
		cmocka_unit_test(
		    a_policy_that_cannot_be_read_fails_and_others_go_on),
		cmocka_unit_test(
		    extensions_are_carried_out_only_where_they_are_allowed),
		cmocka_unit_test(a_stopping_server_carries_out_nothing),
		cmocka_unit_test(figures_and_the_audit_log_tell_what_was_done),
		cmocka_unit_test(the_thread_carries_out_what_it_is_woken_for),
	};

	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	return (cmocka_run_group_tests_name("scheduler", tests, NULL, NULL));
}
