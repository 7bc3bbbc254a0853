#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/obj.h"
#include "registryctl/print.h"

static void
bytes_are_shown_in_the_unit_that_fits(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ (1 << 20) - 1, "1.0 MiB" },
		{ 1 << 20, "1.0 MiB" },
		{ (uint64_t)5 << 30, "5.0 GiB" },
		{ (uint64_t)3 << 40, "3.0 TiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char room[PRINT_BYTES_ROOM];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(print_bytes(rows[i].n, room), rows[i].text);
}

static void
durations_are_whole_seconds_in_two_units_at_most(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "0 s" },
		{ 1, "1 s" },
		{ 45000, "45 s" },
		{ 59001, "1 min" },
		{ 90500, "1 min 31 s" },
		{ 3600000, "1 h" },
		{ 5400000, "1 h 30 min" },
		{ 5430000, "1 h 30 min" },
		{ 86400000, "24 h" },
		{ 172800000, "2 d" },
		{ 273600000, "3 d 4 h" },
	};
	char room[PRINT_DURATION_ROOM];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(
		    print_duration(rows[i].ms, room), rows[i].text);
}

static void
a_number_that_is_not_there_is_zero(void **state)
{
	json_t *o = json_pack("{s:i}", "a", 7);

	(void)state;
	assert_int_equal(print_u64(o, "a"), 7);
	assert_int_equal(print_u64(o, "b"), 0);
	assert_int_equal(print_u64(NULL, "a"), 0);
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_shown_in_the_unit_that_fits),
		cmocka_unit_test(
		    durations_are_whole_seconds_in_two_units_at_most),
		cmocka_unit_test(a_number_that_is_not_there_is_zero),
	};

	return (cmocka_run_group_tests_name("print", tests, NULL, NULL));
}
