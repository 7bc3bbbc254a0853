#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/clock.h"
#include "registryd/service_int.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/repositories.h"

/* What the threads of the service do, a round at a time. */

#define POLICY \
	"{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":" \
	"\"any\",\"countType\":\"imageCountMoreThan\",\"countNumber\":1}," \
	"\"action\":{\"type\":\"expire\"}}]}"

/* --- scans and previews -------------------------------------------------- */

#define SCANS 3

/* Images with a scan that was started, and their repositories a preview. */
static void
jobs_start(struct api *api, char digest[SCANS][DIGEST_STR_BYTES])
{
	struct meta *m = store_meta(api->store);
	struct scan_start start = { .now_ms = clock_real_ms() };
	char name[16];
	size_t i;

	for (i = 0; i < SCANS; i++) {
		(void)snprintf(name, sizeof(name), "r%zu", i);
		api_image(api, name, "v1", name, digest[i]);
		start.repository = span_of(name);
		start.now_ms++;
		assert_int_equal(
		    digest_parse(span_of(digest[i]), &start.digest), RC_OK);
		assert_int_equal(meta_scan_start(m, &start), RC_OK);
		assert_int_equal(
		    meta_preview_start(m, start.repository, SPAN(POLICY), 1),
		    RC_OK);
	}
}

static enum scan_status
scan_status(struct api *api, size_t i)
{
	const struct reference ref = { .tag = SPAN("v1") };
	enum scan_status status;
	struct image_row row;
	struct arena arena;
	char name[16];

	(void)snprintf(name, sizeof(name), "r%zu", i);
	arena_init(&arena, 1 << 20);
	assert_int_equal(meta_image_get(store_meta(api->store), span_of(name),
			     &ref, &arena, &row),
	    RC_OK);
	status = row.scan.status;
	if (status == SCAN_FAILED) {
		assert_true(
		    span_is(row.scan.reason, "scans are switched off in this "
					     "registry (scan.jobs is 0)"));
		assert_true(row.scan.ended_ms > 0);
	}
	arena_reset(&arena);
	return (status);
}

static enum preview_status
preview_status(struct api *api, size_t i)
{
	enum preview_status status;
	struct preview_row row;
	struct arena arena;
	char name[16];

	(void)snprintf(name, sizeof(name), "r%zu", i);
	arena_init(&arena, 1 << 20);
	assert_int_equal(meta_preview_get(store_meta(api->store), span_of(name),
			     &arena, &row),
	    RC_OK);
	status = row.status;
	arena_reset(&arena);
	return (status);
}

static size_t
jobs_ended(struct api *api)
{
	size_t i, n = 0;

	for (i = 0; i < SCANS; i++) {
		n += scan_status(api, i) == SCAN_FAILED;
		n += preview_status(api, i) == PREVIEW_COMPLETE;
	}
	return (n);
}

/* A scan would start this program anew. */
static struct settings *
settings_without_scanner(void)
{
	struct settings_flags flags = { .data = "/nowhere" };
	char why[SETTINGS_WHY_BYTES];
	struct settings *settings;

	assert_int_equal(settings_load(&flags, why, &settings), RC_OK);
	settings->scan.jobs = 0;
	return (settings);
}

static void
scans_end_within_their_time_or_later(void **state)
{
	char digest[SCANS][DIGEST_STR_BYTES];
	struct settings *settings;
	struct service service;
	struct api api;

	(void)state;
	api_open(&api);
	jobs_start(&api, digest);
	settings = settings_without_scanner();
	service_init(&service, api.store, settings);
	service_scans_end(&service, 0);
	assert_int_equal(scan_status(&api, 0), SCAN_FAILED);
	assert_int_equal(scan_status(&api, 1), SCAN_IN_PROGRESS);
	service_scans_end(&service, 1000000);
	assert_int_equal(jobs_ended(&api), SCANS);
	/* Nothing is left to do. */
	service_scans_end(&service, 1000000);
	service_fini(&service);
	settings_unref(&settings);
	api_close(&api);
}

static void
previews_are_evaluated_until_none_is_left(void **state)
{
	char digest[SCANS][DIGEST_STR_BYTES];
	struct api api;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	jobs_start(&api, digest);
	assert_true(service_previews_run(&api.service));
	assert_int_equal(jobs_ended(&api), SCANS);
	assert_true(service_previews_run(&api.service));
	api_close(&api);
}

static void
preview_page(struct api *api, struct span name, struct arena *arena,
    struct preview_page *page_r)
{
	const struct preview_query q = { .repository = name,
		.max_rows = PREVIEW_PAGE_ROWS_MAX };

	assert_int_equal(
	    meta_preview_result_page(store_meta(api->store), &q, arena, page_r),
	    RC_OK);
}

/* More images than one page has, and more results than one batch. */
#define IMAGES 1300

static void
a_large_repository_is_evaluated_whole(void **state)
{
	char text[256], digest[DIGEST_STR_BYTES];
	struct preview_page page;
	struct arena arena;
	struct api api;
	size_t i;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	for (i = 0; i < IMAGES; i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
		    "\",\"manifests\":[],\"annotations\":{\"n\":\"%zu\"}}",
		    i);
		api_manifest(&api, "team/app", NULL, text, digest);
	}
	assert_int_equal(meta_preview_start(store_meta(api.store),
			     SPAN("team/app"), SPAN(POLICY), clock_real_ms()),
	    RC_OK);
	assert_true(service_previews_run(&api.service));
	arena_init(&arena, 1 << 20);
	preview_page(&api, SPAN("team/app"), &arena, &page);
	assert_int_equal(page.preview.status, PREVIEW_COMPLETE);
	assert_int_equal(page.preview.sums.expiring, IMAGES - 1);
	assert_int_equal(page.n, PREVIEW_PAGE_ROWS_MAX);
	assert_true(page.more);
	for (i = 1; i < page.n; i++)
		assert_true(
		    page.rows[i - 1].pushed_ms <= page.rows[i].pushed_ms);
	arena_reset(&arena);
	api_close(&api);
}

static void
a_policy_that_cannot_be_read_fails_its_preview(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct preview_page page;
	struct arena arena;
	struct api api;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	api_image(&api, "team/app", "v1", "one", digest);
	assert_int_equal(meta_preview_start(store_meta(api.store),
			     SPAN("team/app"), SPAN("{}"), 1),
	    RC_OK);
	assert_true(service_previews_run(&api.service));
	arena_init(&arena, 1 << 20);
	preview_page(&api, SPAN("team/app"), &arena, &page);
	assert_int_equal(page.preview.status, PREVIEW_FAILED);
	assert_int_equal(page.n, 0);
	arena_reset(&arena);
	api_close(&api);
}

static void
previews_of_yesterday_expire(void **state)
{
	const struct preview_sums sums = { 0 };
	struct preview_sweep sweep = { 0 };
	char digest[DIGEST_STR_BYTES];
	struct preview_page page;
	struct preview_job job;
	struct arena arena;
	struct meta *m;
	struct api api;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	m = store_meta(api.store);
	arena_init(&arena, 1 << 20);
	api_image(&api, "team/app", "v1", "one", digest);
	assert_int_equal(
	    meta_preview_start(m, SPAN("team/app"), SPAN(POLICY), 1), RC_OK);
	assert_int_equal(meta_preview_next(m, &arena, &job), RC_OK);
	assert_int_equal(meta_preview_end(m, &job, PREVIEW_COMPLETE, &sums,
			     clock_real_ms() - INT64_C(90000000)),
	    RC_OK);
	assert_false(service_previews_sweep(&api.service, &sweep, 1000000));
	preview_page(&api, SPAN("team/app"), &arena, &page);
	assert_int_equal(page.preview.status, PREVIEW_EXPIRED);
	arena_reset(&arena);
	api_close(&api);
}

static void
a_stopping_server_ends_no_scans_and_previews(void **state)
{
	char digest[SCANS][DIGEST_STR_BYTES];
	struct settings *settings;
	struct service service;
	struct api api;

	(void)state;
	api_open(&api);
	jobs_start(&api, digest);
	settings = settings_without_scanner();
	service_init(&service, api.store, settings);
	atomic_store(&service.stopping, true);
	service_scans_end(&service, 1000000);
	assert_true(service_previews_run(&service));
	assert_int_equal(jobs_ended(&api), 0);
	service_fini(&service);
	settings_unref(&settings);
	api_close(&api);
}

#define PATIENCE_MS ((int64_t)120 * 1000)
#define LOOK_NS (20 * 1000 * 1000)

static void
jobs_wait(struct api *api, size_t n)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	int64_t end_ms = clock_real_ms() + PATIENCE_MS;

	while (jobs_ended(api) < n && clock_real_ms() < end_ms)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(jobs_ended(api), n);
}

static void
threads_end_what_was_started_before_and_after_them(void **state)
{
	char digest[SCANS][DIGEST_STR_BYTES];
	struct settings *settings;
	struct service service;
	struct api api;

	(void)state;
	api_open(&api);
	jobs_start(&api, digest);
	settings = settings_without_scanner();
	service_init(&service, api.store, settings);
	assert_int_equal(service_background_start(&service), RC_OK);
	assert_int_equal(service_scan_start(&service), RC_OK);
	assert_int_equal(service_previews_start(&service), RC_OK);
	jobs_wait(&api, 2 * SCANS);
	assert_int_equal(meta_preview_start(store_meta(api.store), SPAN("r1"),
			     SPAN(POLICY), clock_real_ms()),
	    RC_OK);
	service_previews_wake(&service);
	jobs_wait(&api, 2 * SCANS);
	service_scan_stop(&service);
	service_previews_stop(&service);
	service_background_stop(&service);
	service_fini(&service);
	settings_unref(&settings);
	api_close(&api);
}

static void
an_audit_log_that_cannot_be_opened_names_its_key(void **state)
{
	struct settings_flags flags = { .data = "/nowhere" };
	char why[SERVICE_WHY_BYTES] = "";
	struct settings *settings;
	struct service service;

	(void)state;
	assert_int_equal(
	    setenv("REGISTRYD_AUDIT_LOG", "/nowhere/audit.log", 1), 0);
	assert_int_equal(settings_load(&flags, why, &settings), RC_OK);
	assert_int_equal(unsetenv("REGISTRYD_AUDIT_LOG"), 0);
	service_init(&service, NULL, settings);
	assert_int_equal(service_audit_open(&service, why), RC_IO);
	assert_non_null(
	    strstr(why, "audit-log: cannot open /nowhere/audit.log"));
	assert_null(service.audit);
	service_fini(&service);
	settings_unref(&settings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scans_end_within_their_time_or_later),
		cmocka_unit_test(previews_are_evaluated_until_none_is_left),
		cmocka_unit_test(a_large_repository_is_evaluated_whole),
		cmocka_unit_test(
		    a_policy_that_cannot_be_read_fails_its_preview),
		cmocka_unit_test(previews_of_yesterday_expire),
		cmocka_unit_test(a_stopping_server_ends_no_scans_and_previews),
		cmocka_unit_test(
		    threads_end_what_was_started_before_and_after_them),
		cmocka_unit_test(
		    an_audit_log_that_cannot_be_opened_names_its_key),
	};

	return (cmocka_run_group_tests_name("service", tests, NULL, NULL));
}
