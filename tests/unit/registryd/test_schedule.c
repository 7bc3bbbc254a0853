#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "registryd/schedule.h"

/* When lifecycle policies are due: interval, jitter, and the window. */

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void
zone_set(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

/* 2026-MM-DD hh:mm:ss UTC */
static int64_t
utc(int month, int day, int hour, int minute, int second)
{
	struct tm tm = {
		.tm_year = 126,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_sec = second,
	};

	return ((int64_t)timegm(&tm) * SECOND);
}

static struct lifecycle_settings
window(unsigned from_hour, unsigned to_hour)
{
	return ((struct lifecycle_settings){
	    .windowed = true,
	    .window_from = from_hour * 60,
	    .window_to = to_hour * 60,
	});
}

/* --- interval and jitter ------------------------------------------------- */

static void
without_jitter_a_policy_is_due_one_interval_after_its_basis(void **state)
{
	const struct lifecycle_settings l = { .interval_ms = DAY };

	(void)state;
	assert_int_equal(schedule_due(&l, 1, 5000), 5000 + DAY);
	assert_int_equal(schedule_due(&l, 2, 5000), 5000 + DAY);
}

static void
jitter_stays_the_same_and_spreads_repositories(void **state)
{
	const struct lifecycle_settings l = { .interval_ms = DAY,
		.jitter_ms = HOUR };
	unsigned quarters[4] = { 0 };
	int64_t due;
	uint64_t repo;
	size_t i;

	(void)state;
	for (repo = 1; repo <= 1000; repo++) {
		due = schedule_due(&l, repo, 0);
		assert_int_equal(due, schedule_due(&l, repo, 0));
		assert_in_range(due, DAY, DAY + HOUR);
		i = (size_t)((due - DAY) * 4 / HOUR);
		quarters[i < 4 ? i : 3]++;
	}
	for (i = 0; i < 4; i++)
		assert_in_range(quarters[i], 150, 350);
}

static void
with_an_interval_of_zero_none_is_ever_due(void **state)
{
	const struct lifecycle_settings l = { .jitter_ms = HOUR };

	(void)state;
	assert_true(schedule_due(&l, 1, 5000) == INT64_MAX);
}

/* --- the window ---------------------------------------------------------- */

static void
without_a_window_it_is_always_open(void **state)
{
	const struct lifecycle_settings l = { 0 };

	(void)state;
	assert_true(schedule_open(&l, utc(1, 1, 3, 0, 0)));
	assert_int_equal(schedule_opens(&l, 12345), 12345);
}

static void
a_window_has_its_first_minute_and_not_its_last(void **state)
{
	const struct lifecycle_settings l = window(1, 5);

	(void)state;
	zone_set("UTC0");
	assert_false(schedule_open(&l, utc(1, 1, 0, 59, 59)));
	assert_true(schedule_open(&l, utc(1, 1, 1, 0, 0)));
	assert_true(schedule_open(&l, utc(1, 1, 4, 59, 59)));
	assert_false(schedule_open(&l, utc(1, 1, 5, 0, 0)));
}

static void
a_window_may_cross_midnight(void **state)
{
	const struct lifecycle_settings l = window(22, 4);

	(void)state;
	zone_set("UTC0");
	assert_false(schedule_open(&l, utc(1, 1, 21, 59, 59)));
	assert_true(schedule_open(&l, utc(1, 1, 22, 0, 0)));
	assert_true(schedule_open(&l, utc(1, 1, 23, 59, 59)));
	assert_true(schedule_open(&l, utc(1, 2, 0, 0, 0)));
	assert_true(schedule_open(&l, utc(1, 2, 3, 59, 59)));
	assert_false(schedule_open(&l, utc(1, 2, 4, 0, 0)));
	assert_int_equal(
	    schedule_opens(&l, utc(1, 2, 4, 0, 1)), utc(1, 2, 22, 0, 0));
}

static void
a_window_opens_today_or_tomorrow(void **state)
{
	const struct lifecycle_settings l = window(1, 5);

	(void)state;
	zone_set("UTC0");
	assert_int_equal(
	    schedule_opens(&l, utc(1, 1, 0, 30, 10)), utc(1, 1, 1, 0, 0));
	assert_int_equal(
	    schedule_opens(&l, utc(1, 1, 3, 0, 10)), utc(1, 1, 3, 0, 10));
	assert_int_equal(
	    schedule_opens(&l, utc(1, 31, 5, 0, 0)), utc(2, 1, 1, 0, 0));
}

static void
a_window_is_in_local_time(void **state)
{
	const struct lifecycle_settings l = window(1, 5);

	(void)state;
	zone_set(BERLIN);
	assert_true(schedule_open(&l, utc(1, 1, 0, 30, 0)));
	assert_false(schedule_open(&l, utc(1, 1, 4, 30, 0)));
	assert_true(schedule_open(&l, utc(7, 1, 23, 30, 0)));
	assert_int_equal(
	    schedule_opens(&l, utc(7, 1, 12, 0, 0)), utc(7, 1, 23, 0, 0));
}

/* On March 29th it is 03:00 after 01:59 there, on October 25th 02:00 twice. */
static void
a_window_that_summer_time_takes_away_opens_a_day_later(void **state)
{
	const struct lifecycle_settings l = window(2, 3);

	(void)state;
	zone_set(BERLIN);
	assert_int_equal(
	    schedule_opens(&l, utc(3, 28, 20, 0, 0)), utc(3, 30, 0, 0, 0));
	assert_true(schedule_open(&l, utc(10, 25, 0, 30, 0)));
	assert_true(schedule_open(&l, utc(10, 25, 1, 30, 0)));
	assert_false(schedule_open(&l, utc(10, 25, 2, 30, 0)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    without_jitter_a_policy_is_due_one_interval_after_its_basis),
		cmocka_unit_test(
		    jitter_stays_the_same_and_spreads_repositories),
		cmocka_unit_test(with_an_interval_of_zero_none_is_ever_due),
		cmocka_unit_test(without_a_window_it_is_always_open),
		cmocka_unit_test(
		    a_window_has_its_first_minute_and_not_its_last),
		cmocka_unit_test(a_window_may_cross_midnight),
		cmocka_unit_test(a_window_opens_today_or_tomorrow),
		cmocka_unit_test(a_window_is_in_local_time),
		cmocka_unit_test(
		    a_window_that_summer_time_takes_away_opens_a_day_later),
	};

	return (cmocka_run_group_tests_name("schedule", tests, NULL, NULL));
}
