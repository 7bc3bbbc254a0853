#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/obj.h"

static int
sign(int n)
{
	return ((n > 0) - (n < 0));
}

static void
order_is_by_bytes_and_the_shorter_is_first(void **state)
{
	static const struct {
		const char *a, *b;
		int sign;
	} rows[] = {
		{ "", "", 0 },
		{ "", "a", -1 },
		{ "a", "a", 0 },
		{ "a", "b", -1 },
		{ "a", "aa", -1 },
		{ "b", "aa", 1 },
		{ "B", "a", -1 },
		{ "a\x80", "a\x7f", 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
		    sign(span_cmp(span_of(rows[i].a), span_of(rows[i].b))),
		    rows[i].sign);
		assert_int_equal(
		    sign(span_cmp(span_of(rows[i].b), span_of(rows[i].a))),
		    -rows[i].sign);
		assert_int_equal(
		    span_is(span_of(rows[i].a), rows[i].b), rows[i].sign == 0);
	}
	assert_int_equal(span_cmp(SPAN_NONE, SPAN_NONE), 0);
	assert_true(span_cmp(SPAN_NONE, SPAN("a")) < 0);
	assert_true(span_eq(SPAN_NONE, SPAN("")));
	assert_true(span_eq(span_of(NULL), SPAN_NONE));
}

static void
case_is_ignored_for_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(span_eq_nocase(SPAN("Content-TYPE"), SPAN("content-type")));
	assert_false(span_eq_nocase(SPAN("content-typ"), SPAN("content-type")));
	assert_false(span_eq_nocase(SPAN("["), SPAN("{")));
	assert_false(span_eq_nocase(SPAN("@"), SPAN("`")));
	assert_false(span_eq_nocase(SPAN("\xc4"), SPAN("\xe4")));
	assert_true(span_eq_nocase(SPAN_NONE, SPAN("")));
}

static void
prefix_and_suffix_are_found(void **state)
{
	(void)state;
	assert_true(span_has_prefix(SPAN("/v2/x"), SPAN("/v2/")));
	assert_false(span_has_prefix(SPAN("/v2"), SPAN("/v2/")));
	assert_true(span_has_prefix(SPAN("x"), SPAN_NONE));
	assert_true(span_has_prefix(SPAN_NONE, SPAN_NONE));
	assert_true(span_has_suffix(SPAN("a.tar"), SPAN(".tar")));
	assert_false(span_has_suffix(SPAN("a.tar"), SPAN(".zip")));
	assert_false(span_has_suffix(SPAN("tar"), SPAN(".tar")));
	assert_true(span_has_suffix(SPAN("x"), SPAN_NONE));
	assert_true(span_has_suffix(SPAN_NONE, SPAN_NONE));
}

static void
only_optional_white_space_is_trimmed(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ " \t ", "" },
		{ "a", "a" },
		{ "\t a b \t", "a b" },
		{ "\na\r", "\na\r" },
		{ " \v ", "\v" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(
		    span_is(span_trim(span_of(rows[i][0])), rows[i][1]));
	assert_int_equal(span_trim(SPAN_NONE).n, 0);
}

/* The parts of ${text}, each in angle brackets. */
static const char *
parts_of(const char *text, char *out, size_t room)
{
	struct span rest = span_of(text), part;
	size_t n = 0;

	out[0] = '\0';
	while (span_split(&rest, ',', &part))
		n += (size_t)snprintf(
		    out + n, room - n, "<" SPAN_FMT ">", SPAN_ARG(part));
	return (out);
}

static void
split_gives_each_part_once(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "a", "<a>" },
		{ "a,b", "<a><b>" },
		{ ",", "<>" },
		{ "a,", "<a>" },
		{ ",a", "<><a>" },
		{ "a,,b", "<a><><b>" },
	};
	char out[100];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(
		    parts_of(rows[i][0], out, sizeof(out)), rows[i][1]);
}

/* The test values of the algorithm's authors. */
static void
hash_is_fnv_1a(void **state)
{
	(void)state;
	assert_int_equal(span_hash(SPAN_NONE), 0x811c9dc5);
	assert_int_equal(span_hash(SPAN("a")), 0xe40c292c);
	assert_int_equal(span_hash(SPAN("foobar")), 0xbf9cf968);
}

static void
stars_stand_for_any_run_of_bytes(void **state)
{
	static const struct {
		const char *s, *pattern;
		bool matches;
	} rows[] = {
		{ "", "", true },
		{ "", "*", true },
		{ "a", "", false },
		{ "abc", "abc", true },
		{ "abc", "ab", false },
		{ "abc", "*", true },
		{ "abc", "a*", true },
		{ "abc", "*c", true },
		{ "abc", "a*c", true },
		{ "abc", "a*b", false },
		{ "abcbc", "a*bc", true },
		{ "ac", "a**c", true },
		{ "a.c", "a?c", false },
		{ "aXbXc", "a*b*c", true },
		{ "aaab", "*aab", true },
		{ "aaac", "*a*b", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (span_matches(span_of(rows[i].s),
			span_of(rows[i].pattern)) != rows[i].matches)
			fail_msg("row %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_is_fnv_1a),
		cmocka_unit_test(order_is_by_bytes_and_the_shorter_is_first),
		cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
		cmocka_unit_test(prefix_and_suffix_are_found),
		cmocka_unit_test(only_optional_white_space_is_trimmed),
		cmocka_unit_test(split_gives_each_part_once),
		cmocka_unit_test(stars_stand_for_any_run_of_bytes),
	};

	return (cmocka_run_group_tests_name("base/span", tests, NULL, NULL));
}
