#include "base/buf.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

static void
pieces_are_joined(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_str(&b, "n=");
	buf_u64(&b, 0);
	buf_char(&b, ' ');
	buf_u64(&b, UINT64_MAX);
	buf_add(&b, " x\0y", 4);
	buf_span(&b, SPAN_NONE);
	buf_add(&b, NULL, 0);
	buf_str(&b, "");
	buf_printf(&b, "[%s:%d]", "a", -1);
	assert_true(buf_ok(&b));
	assert_true(span_eq(
	    buf_as_span(&b), SPAN("n=0 18446744073709551615 x\0y[a:-1]")));
	buf_free(&b);
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

static void
printf_grows_to_what_it_needs(void **state)
{
	struct buf b;
	size_t n, total = 0;

	(void)state;
	buf_init(&b, SIZE_MAX);
	for (n = 0; n < 3000; n += 37) {
		buf_printf(&b, "%*d", (int)n + 1, 7);
		total += n + 1;
		assert_int_equal(b.n, total);
		assert_int_equal(b.p[b.n - 1], '7');
	}
	assert_true(buf_ok(&b));
	buf_free(&b);
}

static void
the_cap_is_exact_and_failure_sticks(void **state)
{
	static const size_t caps[] = { 1, 10, 127, 128, 255, 256, 257, 5000 };
	char fill[5001];
	struct buf b;
	size_t i;

	(void)state;
	memset(fill, 'f', sizeof(fill));
	for (i = 0; i < ARRAY_LEN(caps); i++) {
		buf_init(&b, caps[i]);
		buf_add(&b, fill, caps[i]);
		assert_true(buf_ok(&b));
		assert_int_equal(b.n, caps[i]);
		buf_char(&b, 'x');
		assert_false(buf_ok(&b));
		buf_add(&b, fill, 0);
		assert_false(buf_ok(&b));
		assert_int_equal(b.n, caps[i]);
		buf_clear(&b);
		assert_true(buf_ok(&b));
		buf_printf(&b, "%*d", (int)caps[i], 1);
		assert_true(buf_ok(&b));
		buf_clear(&b);
		buf_printf(&b, "%*d", (int)caps[i] + 1, 1);
		assert_false(buf_ok(&b));
		assert_int_equal(b.n, 0);
		buf_free(&b);
	}
}

static void
nothing_fits_into_a_cap_of_zero(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_printf(&b, "%s", "");
	buf_str(&b, "");
	assert_true(buf_ok(&b));
	buf_char(&b, 'x');
	assert_false(buf_ok(&b));
	buf_free(&b);
}

static void
taken_bytes_end_with_a_nul(void **state)
{
	struct buf b;
	size_t n;
	char *p;

	(void)state;
	buf_init(&b, 5);
	buf_str(&b, "hello");
	p = buf_take(&b, &n);
	assert_int_equal(n, 5);
	assert_string_equal(p, "hello");
	free(p);
	assert_int_equal(b.n, 0);
	p = buf_take(&b, NULL);
	assert_string_equal(p, "");
	free(p);
	buf_str(&b, "hello!");
	assert_null(buf_take(&b, &n));
	assert_int_equal(n, 0);
	assert_true(buf_ok(&b));
	buf_str(&b, "again");
	assert_true(span_is(buf_as_span(&b), "again"));
	buf_free(&b);
}

#define FFFD "\xef\xbf\xbd"

static void
json_strings_are_escaped(void **state)
{
	static const struct {
		struct span in;
		const char *out;
	} rows[] = {
		{ { "", 0 }, "\"\"" },
		{ { NULL, 0 }, "\"\"" },
		{ { "plain", 5 }, "\"plain\"" },
		{ { "q\"b\\s/", 6 }, "\"q\\\"b\\\\s/\"" },
		{ { "\b\t\n\f\r", 5 }, "\"\\b\\t\\n\\f\\r\"" },
		{ { "\0\1\v\x1f\x7f", 5 },
		    "\"\\u0000\\u0001\\u000b\\u001f\x7f\"" },
		/* 2, 3 and 4 bytes, first and last of each */
		{ { "\xc2\x80\xdf\xbf", 4 }, "\"\xc2\x80\xdf\xbf\"" },
		{ { "\xe0\xa0\x80\xed\x9f\xbf", 6 },
		    "\"\xe0\xa0\x80\xed\x9f\xbf\"" },
		{ { "\xee\x80\x80\xef\xbf\xbf", 6 },
		    "\"\xee\x80\x80\xef\xbf\xbf\"" },
		{ { "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8 },
		    "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"" },
		/* a tail alone, a head alone, cut short */
		{ { "\x80", 1 }, "\"" FFFD "\"" },
		{ { "a\xc3", 2 }, "\"a" FFFD "\"" },
		{ { "\xe2\x82", 2 }, "\"" FFFD FFFD "\"" },
		{ { "\xf0\x9f\x98", 3 }, "\"" FFFD FFFD FFFD "\"" },
		{ { "\xe2\x82x", 3 }, "\"" FFFD FFFD "x\"" },
		/* overlong, surrogate, past the end, no lead at all */
		{ { "\xc0\xaf", 2 }, "\"" FFFD FFFD "\"" },
		{ { "\xe0\x9f\xbf", 3 }, "\"" FFFD FFFD FFFD "\"" },
		{ { "\xed\xa0\x80", 3 }, "\"" FFFD FFFD FFFD "\"" },
		{ { "\xf0\x8f\xbf\xbf", 4 }, "\"" FFFD FFFD FFFD FFFD "\"" },
		{ { "\xf4\x90\x80\x80", 4 }, "\"" FFFD FFFD FFFD FFFD "\"" },
		{ { "\xf5\xff", 2 }, "\"" FFFD FFFD "\"" },
	};
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 1000);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		buf_clear(&b);
		buf_json(&b, rows[i].in);
		assert_true(span_is(buf_as_span(&b), rows[i].out));
	}
	buf_free(&b);
}

/* Whatever the bytes, a JSON reader takes it. */
static void
json_strings_are_valid_for_any_two_bytes(void **state)
{
	char bytes[2];
	struct buf b;
	json_t *v;
	int i;

	(void)state;
	buf_init(&b, 1000);
	for (i = 0; i < 65536; i++) {
		bytes[0] = (char)(i >> 8);
		bytes[1] = (char)i;
		buf_clear(&b);
		buf_json(&b, (struct span){ bytes, 2 });
		v = json_loadb(
		    b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_non_null(v);
		json_decref(v);
	}
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_joined),
		cmocka_unit_test(printf_grows_to_what_it_needs),
		cmocka_unit_test(the_cap_is_exact_and_failure_sticks),
		cmocka_unit_test(nothing_fits_into_a_cap_of_zero),
		cmocka_unit_test(taken_bytes_end_with_a_nul),
		cmocka_unit_test(json_strings_are_escaped),
		cmocka_unit_test(json_strings_are_valid_for_any_two_bytes),
	};

	return (cmocka_run_group_tests_name("base/buf", tests, NULL, NULL));
}
