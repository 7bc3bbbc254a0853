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

/* What the background thread does, a round at a time. */

#define EMPTY_INDEX \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX \
	"\",\"manifests\":[]}"

/* More rows than one batch removes. */
#define TAGS 700

static void
a_purge_ends_with_its_time_and_goes_on_later(void **state)
{
	struct repository_description d;
	char digest[DIGEST_STR_BYTES], tag[16];
	struct arena arena;
	struct api api;
	size_t i;

	(void)state;
	api_open(&api);
	for (i = 0; i < TAGS; i++) {
		(void)snprintf(tag, sizeof(tag), "t%zu", i);
		api_manifest(&api, "team/app", tag, EMPTY_INDEX, digest);
	}
	arena_init(&arena, SIZE_MAX);
	assert_int_equal(meta_repository_delete(store_meta(api.store),
			     SPAN("team/app"), true, &arena, &d),
	    RC_OK);
	arena_reset(&arena);
	api.service.store = api.store;
	assert_true(service_purge(&api.service, 0));
	for (i = 0; i < TAGS && service_purge(&api.service, 0); i++)
		;
	assert_true(i < TAGS);
	assert_false(service_purge(&api.service, 1000000));
	api_close(&api);
}

static void
a_stopping_server_purges_no_more(void **state)
{
	struct api api;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	atomic_store(&api.service.stopping, true);
	assert_false(service_purge(&api.service, 1000000));
	api_close(&api);
}

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
		    meta_preview_start(m, start.repository, SPAN("{}"), 1),
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
		assert_true(span_is(row.scan.reason,
		    "this version of the registry has no scanner"));
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
jobs_failed(struct api *api)
{
	size_t i, n = 0;

	for (i = 0; i < SCANS; i++) {
		n += scan_status(api, i) == SCAN_FAILED;
		n += preview_status(api, i) == PREVIEW_FAILED;
	}
	return (n);
}

static void
scans_and_previews_end_within_their_time_or_later(void **state)
{
	char digest[SCANS][DIGEST_STR_BYTES];
	struct api api;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	jobs_start(&api, digest);
	service_scans_end(&api.service, 0);
	assert_int_equal(scan_status(&api, 0), SCAN_FAILED);
	assert_int_equal(scan_status(&api, 1), SCAN_IN_PROGRESS);
	service_previews_end(&api.service, 0);
	assert_int_equal(jobs_failed(&api), 2);
	service_scans_end(&api.service, 1000000);
	service_previews_end(&api.service, 1000000);
	assert_int_equal(jobs_failed(&api), 2 * SCANS);
	/* Nothing is left to do. */
	service_scans_end(&api.service, 1000000);
	service_previews_end(&api.service, 1000000);
	api_close(&api);
}

static void
a_stopping_server_ends_no_scans_and_previews(void **state)
{
	char digest[SCANS][DIGEST_STR_BYTES];
	struct api api;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	jobs_start(&api, digest);
	atomic_store(&api.service.stopping, true);
	service_scans_end(&api.service, 1000000);
	service_previews_end(&api.service, 1000000);
	assert_int_equal(jobs_failed(&api), 0);
	api_close(&api);
}

#define PATIENCE_MS ((int64_t)120 * 1000)
#define LOOK_NS (20 * 1000 * 1000)

static void
the_background_thread_ends_what_was_started(void **state)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	char digest[SCANS][DIGEST_STR_BYTES], why[SETTINGS_WHY_BYTES];
	struct settings_flags flags = { .data = "/nowhere" };
	struct settings *settings;
	struct service service;
	struct api api;
	int64_t end_ms;

	(void)state;
	api_open(&api);
	jobs_start(&api, digest);
	assert_int_equal(settings_load(&flags, why, &settings), RC_OK);
	service_init(&service, api.store, settings);
	assert_int_equal(service_background_start(&service), RC_OK);
	end_ms = clock_real_ms() + PATIENCE_MS;
	while (jobs_failed(&api) < 2 * SCANS && clock_real_ms() < end_ms)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(jobs_failed(&api), 2 * SCANS);
	service_background_stop(&service);
	service_fini(&service);
	settings_unref(&settings);
	api_close(&api);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_purge_ends_with_its_time_and_goes_on_later),
		cmocka_unit_test(a_stopping_server_purges_no_more),
		cmocka_unit_test(
		    scans_and_previews_end_within_their_time_or_later),
		cmocka_unit_test(a_stopping_server_ends_no_scans_and_previews),
		cmocka_unit_test(the_background_thread_ends_what_was_started),
	};

	return (cmocka_run_group_tests_name("service", tests, NULL, NULL));
}
