#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/clock.h"
#include "registryd/scan_again.h"
#include "storage/advisories.h"
#include "storage/findings.h"

/*
 * Which images are looked at again after advisories have come.  Of those here
 * nobody has read the layers, so that one that is, is back in the queue.
 */
#define SYSTEM "debian:bookworm"

static struct api api;
static struct scan_settings settings;
static struct digest digest;

/* An image whose scan was started. */
static int
setup(void **state)
{
	struct scan_start start = { .repository = SPAN("app"),
		.now_ms = clock_real_ms() };
	char text[DIGEST_STR_BYTES];

	(void)state;
	api_open(&api);
	api_image(&api, "app", "v1", "one", text);
	if (digest_parse(span_of(text), &digest) != RC_OK)
		return (-1);
	start.digest = digest;
	return (
	    meta_scan_start(store_meta(api.store), &start) == RC_OK ? 0 : -1);
}

static int
teardown(void **state)
{
	(void)state;
	api_close(&api);
	return (0);
}

static void
scan_complete(uint64_t revision, int64_t completed_ms)
{
	const struct span system = SPAN(SYSTEM);
	const struct scan_findings f = {
		.status = SCAN_COMPLETE,
		.completed_ms = completed_ms,
		.revision = revision,
		.text = SPAN("{\"findings\":[]}"),
		.ecosystems = &system,
		.n_ecosystems = 1,
	};
	struct meta *m = store_meta(api.store);
	struct scan_job job;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	assert_int_equal(meta_scan_next(m, &arena, &job), RC_OK);
	assert_int_equal(meta_scan_complete(m, &job, &f), RC_OK);
	arena_reset(&arena);
}

/* The revision that it makes. */
static uint64_t
import(void)
{
	const struct span system = SPAN(SYSTEM);
	struct advisory_set set = {
		.source = SPAN("debian"),
		.format = SPAN("debian"),
		.imported_ms = clock_real_ms(),
		.ecosystems = &system,
		.n_ecosystems = 1,
	};
	struct meta *m = store_meta(api.store);

	assert_int_equal(meta_advisories_begin(m, &set.id), RC_OK);
	assert_int_equal(meta_advisories_commit(m, &set), RC_OK);
	return (set.revision);
}

static bool
is_queued(void)
{
	return (meta_scan_waiting(store_meta(api.store)) > 0);
}

static uint64_t
round_run(void)
{
	struct scan_again *sa = scan_again_new(api.store);
	uint64_t n;

	while (scan_again_step(sa, &settings, NULL))
		continue;
	n = scan_again_images(sa);
	scan_again_free(&sa);
	return (n);
}

static void
an_image_is_looked_at_again_whatever_its_clock_said(void **state)
{
	(void)state;
	scan_complete(0, clock_real_ms() + INT64_C(1000000));
	(void)import();
	assert_int_equal(round_run(), 1);
	assert_true(is_queued());
	/* That was all of the round. */
	assert_int_equal(round_run(), 0);
}

static void
one_that_knows_these_advisories_is_let_be(void **state)
{
	(void)state;
	scan_complete(import(), 1);
	assert_int_equal(round_run(), 0);
	assert_false(is_queued());
}

static void
advisories_that_came_during_a_scan_count(void **state)
{
	const struct scan_image si = {
		.store = api.store,
		.repository = SPAN("app"),
		.digest = digest,
		.settings = &settings,
		.read_layers = true,
	};
	uint64_t revision = import();

	(void)state;
	/* It began before a second import, whose round goes by. */
	(void)import();
	assert_int_equal(round_run(), 0);
	scan_complete(revision, clock_real_ms());
	assert_false(is_queued());
	scan_again_image(&si);
	assert_true(is_queued());
}

static void
a_scan_during_which_none_came_is_left_as_it_is(void **state)
{
	const struct scan_image si = {
		.store = api.store,
		.repository = SPAN("app"),
		.digest = digest,
		.settings = &settings,
		.read_layers = true,
	};

	(void)state;
	scan_complete(import(), clock_real_ms());
	scan_again_image(&si);
	assert_false(is_queued());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    an_image_is_looked_at_again_whatever_its_clock_said, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    one_that_knows_these_advisories_is_let_be, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    advisories_that_came_during_a_scan_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_scan_during_which_none_came_is_left_as_it_is, setup,
		    teardown),
	};

	return (cmocka_run_group_tests_name("scan again", tests, NULL, NULL));
}
