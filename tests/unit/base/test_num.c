#include "base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/obj.h"

/* Left alone where nothing is read. */
#define UNTOUCHED 4711

struct row {
	const char *text;
	enum rc rc;
	uint64_t n;
};

static void
check(const char *text, enum rc got, enum rc want, uint64_t n, uint64_t want_n)
{
	if (got != want || n != want_n)
		print_error("\"%s\": %s, %llu\n", text, rc_name(got),
		    (unsigned long long)n);
	assert_int_equal(got, want);
	assert_true(n == want_n);
}

static void
decimal_is_the_whole_span_or_nothing(void **state)
{
	static const struct row rows[] = {
		{ "0", RC_OK, 0 },
		{ "7", RC_OK, 7 },
		{ "1000", RC_OK, 1000 },
		{ "1001", RC_RANGE, UNTOUCHED },
		{ "18446744073709551616", RC_RANGE, UNTOUCHED },
		{ "99999999999999999999999999", RC_RANGE, UNTOUCHED },
		{ "99999999999999999999999999x", RC_INVALID, UNTOUCHED },
		{ "", RC_INVALID, UNTOUCHED },
		{ "00", RC_INVALID, UNTOUCHED },
		{ "007", RC_INVALID, UNTOUCHED },
		{ "+1", RC_INVALID, UNTOUCHED },
		{ "-1", RC_INVALID, UNTOUCHED },
		{ " 1", RC_INVALID, UNTOUCHED },
		{ "1 ", RC_INVALID, UNTOUCHED },
		{ "1,2", RC_INVALID, UNTOUCHED },
		{ "1e2", RC_INVALID, UNTOUCHED },
		{ "0x1", RC_INVALID, UNTOUCHED },
		{ "1.0", RC_INVALID, UNTOUCHED },
		{ "\xd9\xa1", RC_INVALID, UNTOUCHED },
	};
	uint64_t n;
	enum rc rc;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		n = UNTOUCHED;
		rc = num_u64(span_of(rows[i].text), 1000, &n);
		check(rows[i].text, rc, rows[i].rc, n, rows[i].n);
	}
	assert_int_equal(
	    num_u64(SPAN("18446744073709551615"), UINT64_MAX, &n), RC_OK);
	assert_true(n == UINT64_MAX);
	assert_int_equal(num_u64(SPAN("1\0"), UINT64_MAX, &n), RC_INVALID);
	assert_int_equal(num_u64(SPAN_NONE, UINT64_MAX, &n), RC_INVALID);
}

static void
leading_zeros_only_where_allowed(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(
	    num_u64_zeros(SPAN("0000000000000000000000000007"), 10, &n), RC_OK);
	assert_true(n == 7);
	assert_int_equal(num_u64_zeros(SPAN("00"), 0, &n), RC_OK);
	assert_true(n == 0);
	assert_int_equal(num_u64_zeros(SPAN("011"), 10, &n), RC_RANGE);
	assert_int_equal(num_u64_zeros(SPAN(""), 10, &n), RC_INVALID);
	assert_int_equal(num_u64_zeros(SPAN("-0"), 10, &n), RC_INVALID);
}

static void
hexadecimal_takes_both_cases_and_zeros(void **state)
{
	static const struct row rows[] = {
		{ "0", RC_OK, 0 },
		{ "fF", RC_OK, 255 },
		{ "00000000000000000000001A", RC_OK, 26 },
		{ "ffffffffffffffff", RC_OK, UINT64_MAX },
		{ "10000000000000000", RC_RANGE, UNTOUCHED },
		{ "", RC_INVALID, UNTOUCHED },
		{ "0x1", RC_INVALID, UNTOUCHED },
		{ "g", RC_INVALID, UNTOUCHED },
		{ "1;", RC_INVALID, UNTOUCHED },
		{ "-1", RC_INVALID, UNTOUCHED },
		{ "fffffffffffffffffffffffg", RC_INVALID, UNTOUCHED },
	};
	uint64_t n;
	enum rc rc;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		n = UNTOUCHED;
		rc = num_hex_u64(span_of(rows[i].text), UINT64_MAX, &n);
		check(rows[i].text, rc, rows[i].rc, n, rows[i].n);
	}
	assert_int_equal(num_hex_u64(SPAN("100"), 255, &n), RC_RANGE);
}

static void
a_duration_has_one_number_and_one_unit(void **state)
{
	static const struct row rows[] = {
		{ "0", RC_OK, 0 },
		{ "0s", RC_OK, 0 },
		{ "500ms", RC_OK, 500 },
		{ "2s", RC_OK, 2000 },
		{ "10m", RC_OK, 600000 },
		{ "1h", RC_OK, 3600000 },
		{ "30d", RC_OK, UINT64_C(2592000000) },
		{ "9223372036854775807ms", RC_OK, INT64_MAX },
		{ "9223372036854775808ms", RC_RANGE, UNTOUCHED },
		{ "106751991167d", RC_OK, UINT64_C(9223372036828800000) },
		{ "106751991168d", RC_RANGE, UNTOUCHED },
		{ "99999999999999999999s", RC_RANGE, UNTOUCHED },
		{ "", RC_INVALID, UNTOUCHED },
		{ "5", RC_INVALID, UNTOUCHED },
		{ "00", RC_INVALID, UNTOUCHED },
		{ "s", RC_INVALID, UNTOUCHED },
		{ "05s", RC_INVALID, UNTOUCHED },
		{ "5 s", RC_INVALID, UNTOUCHED },
		{ "5S", RC_INVALID, UNTOUCHED },
		{ "5sec", RC_INVALID, UNTOUCHED },
		{ "1h30m", RC_INVALID, UNTOUCHED },
		{ "1.5s", RC_INVALID, UNTOUCHED },
		{ "-1s", RC_INVALID, UNTOUCHED },
		{ "5w", RC_INVALID, UNTOUCHED },
	};
	int64_t ms;
	enum rc rc;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		ms = UNTOUCHED;
		rc = num_duration_ms(span_of(rows[i].text), &ms);
		check(rows[i].text, rc, rows[i].rc, (uint64_t)ms, rows[i].n);
	}
}

static void
a_size_is_bytes_or_a_binary_unit(void **state)
{
	static const struct row rows[] = {
		{ "0", RC_OK, 0 },
		{ "512", RC_OK, 512 },
		{ "64KiB", RC_OK, 65536 },
		{ "4MiB", RC_OK, 4194304 },
		{ "1GiB", RC_OK, UINT64_C(1) << 30 },
		{ "2TiB", RC_OK, UINT64_C(2) << 40 },
		{ "0TiB", RC_OK, 0 },
		{ "18446744073709551615", RC_OK, UINT64_MAX },
		{ "16777215TiB", RC_OK, UINT64_C(16777215) << 40 },
		{ "16777216TiB", RC_RANGE, UNTOUCHED },
		{ "18446744073709551616", RC_RANGE, UNTOUCHED },
		{ "", RC_INVALID, UNTOUCHED },
		{ "KiB", RC_INVALID, UNTOUCHED },
		{ "64K", RC_INVALID, UNTOUCHED },
		{ "64M", RC_INVALID, UNTOUCHED },
		{ "64KB", RC_INVALID, UNTOUCHED },
		{ "64kib", RC_INVALID, UNTOUCHED },
		{ "64 KiB", RC_INVALID, UNTOUCHED },
		{ "064KiB", RC_INVALID, UNTOUCHED },
		{ "1PiB", RC_INVALID, UNTOUCHED },
		{ "-1", RC_INVALID, UNTOUCHED },
		{ "12abc", RC_INVALID, UNTOUCHED },
	};
	uint64_t n;
	enum rc rc;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		n = UNTOUCHED;
		rc = num_size_bytes(span_of(rows[i].text), &n);
		check(rows[i].text, rc, rows[i].rc, n, rows[i].n);
	}
}

static void
a_boolean_is_true_or_false(void **state)
{
	static const char *const wrong_ones[] = { "", "True", "yes", "1", "on",
		"true ", "falsey", "maybe" };
	bool b = false;
	size_t i;

	(void)state;
	assert_int_equal(num_bool(SPAN("true"), &b), RC_OK);
	assert_true(b);
	for (i = 0; i < ARRAY_LEN(wrong_ones); i++)
		assert_int_equal(
		    num_bool(span_of(wrong_ones[i]), &b), RC_INVALID);
	assert_true(b);
	assert_int_equal(num_bool(SPAN("false"), &b), RC_OK);
	assert_false(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimal_is_the_whole_span_or_nothing),
		cmocka_unit_test(leading_zeros_only_where_allowed),
		cmocka_unit_test(hexadecimal_takes_both_cases_and_zeros),
		cmocka_unit_test(a_duration_has_one_number_and_one_unit),
		cmocka_unit_test(a_size_is_bytes_or_a_binary_unit),
		cmocka_unit_test(a_boolean_is_true_or_false),
	};

	return (cmocka_run_group_tests_name("base/num", tests, NULL, NULL));
}
