#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "base/obj.h"

static void
known_moments_are_written_right(void **state)
{
	static const struct {
		int64_t ms;
		const char *iso;
		const char *http;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z",
		    "Thu, 01 Jan 1970 00:00:00 GMT" },
		{ INT64_C(784111777000), "1994-11-06T08:49:37.000Z",
		    "Sun, 06 Nov 1994 08:49:37 GMT" },
		{ INT64_C(951782400123), "2000-02-29T00:00:00.123Z",
		    "Tue, 29 Feb 2000 00:00:00 GMT" },
		{ INT64_C(1769860800999), "2026-01-31T12:00:00.999Z",
		    "Sat, 31 Jan 2026 12:00:00 GMT" },
		{ INT64_C(4107542399999), "2100-02-28T23:59:59.999Z",
		    "Sun, 28 Feb 2100 23:59:59 GMT" },
		{ INT64_C(4107542400000), "2100-03-01T00:00:00.000Z",
		    "Mon, 01 Mar 2100 00:00:00 GMT" },
		{ INT64_C(253402300799999), "9999-12-31T23:59:59.999Z",
		    "Fri, 31 Dec 9999 23:59:59 GMT" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z",
		    "Fri, 31 Dec 9999 23:59:59 GMT" },
		{ -1, "1970-01-01T00:00:00.000Z",
		    "Thu, 01 Jan 1970 00:00:00 GMT" },
		{ INT64_MIN, "1970-01-01T00:00:00.000Z",
		    "Thu, 01 Jan 1970 00:00:00 GMT" },
	};
	char iso[CLOCK_ISO_BYTES], http[CLOCK_HTTP_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(clock_iso(rows[i].ms, iso), rows[i].iso);
		assert_string_equal(clock_http(rows[i].ms, http), rows[i].http);
	}
}

/* A prime step, so that each hour and day of a year comes up. */
static void
the_calendar_agrees_with_the_c_library(void **state)
{
	char want[CLOCK_ISO_BYTES], iso[CLOCK_ISO_BYTES];
	char want_http[CLOCK_HTTP_BYTES], http[CLOCK_HTTP_BYTES];
	struct tm tm;
	time_t s;

	(void)state;
	for (s = 0; s < INT64_C(16000000000); s += 1000003) {
		gmtime_r(&s, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		strftime(want_http, sizeof(want_http),
		    "%a, %d %b %Y %H:%M:%S GMT", &tm);
		assert_string_equal(clock_iso(s * 1000, iso), want);
		assert_string_equal(clock_http(s * 1000, http), want_http);
	}
}

static void
the_clocks_run(void **state)
{
	int64_t before, after, s;

	(void)state;
	before = time(NULL);
	s = clock_real_ms() / 1000;
	after = time(NULL);
	assert_true(s >= before - 1 && s <= after + 1);
	before = clock_mono_ns();
	nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
	after = clock_mono_ns();
	assert_true(after - before >= 2000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_moments_are_written_right),
		cmocka_unit_test(the_calendar_agrees_with_the_c_library),
		cmocka_unit_test(the_clocks_run),
	};

	return (cmocka_run_group_tests_name("base/clock", tests, NULL, NULL));
}
