#include "registryd/http/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

struct vector {
	const char *text;
	uint64_t size;
	enum range_result result;
	uint64_t offset, length;
};

static const struct vector vectors[] = {
	{ "bytes=0-0", 10, RANGE_SOME, 0, 1 },
	{ "bytes=0-9", 10, RANGE_SOME, 0, 10 },
	{ "bytes=0-", 10, RANGE_SOME, 0, 10 },
	{ "bytes=3-5", 10, RANGE_SOME, 3, 3 },
	{ "bytes=9-", 10, RANGE_SOME, 9, 1 },
	{ "bytes=5-100", 10, RANGE_SOME, 5, 5 },
	{ "bytes=5-99999999999999999999999", 10, RANGE_SOME, 5, 5 },
	{ "bytes=0-18446744073709551615", 10, RANGE_SOME, 0, 10 },
	{ "bytes=-3", 10, RANGE_SOME, 7, 3 },
	{ "bytes=-10", 10, RANGE_SOME, 0, 10 },
	{ "bytes=-11", 10, RANGE_SOME, 0, 10 },
	{ "bytes=-99999999999999999999999", 10, RANGE_SOME, 0, 10 },
	{ "BYTES=0-1", 10, RANGE_SOME, 0, 2 },
	{ "bytes= 0-1 ", 10, RANGE_SOME, 0, 2 },
	{ "bytes=007-8", 10, RANGE_SOME, 7, 2 },
	{ "bytes=10-", 10, RANGE_BEYOND, 0, 0 },
	{ "bytes=10-20", 10, RANGE_BEYOND, 0, 0 },
	{ "bytes=99999999999999999999999-", 10, RANGE_BEYOND, 0, 0 },
	{ "bytes=-0", 10, RANGE_BEYOND, 0, 0 },
	{ "bytes=0-", 0, RANGE_BEYOND, 0, 0 },
	{ "bytes=-5", 0, RANGE_NONE, 0, 0 },
	{ "bytes=5-3", 10, RANGE_BEYOND, 0, 0 },
	{ "bytes=20-11", 10, RANGE_BEYOND, 0, 0 },
	{ "bytes=0-1,3-4", 10, RANGE_NONE, 0, 0 },
	{ "bytes=0-1, -1", 10, RANGE_NONE, 0, 0 },
	{ "bytes=", 10, RANGE_NONE, 0, 0 },
	{ "bytes=-", 10, RANGE_NONE, 0, 0 },
	{ "bytes=a-b", 10, RANGE_NONE, 0, 0 },
	{ "bytes=1", 10, RANGE_NONE, 0, 0 },
	{ "bytes=--1", 10, RANGE_NONE, 0, 0 },
	{ "bytes=+1-2", 10, RANGE_NONE, 0, 0 },
	{ "bytes=1 -2", 10, RANGE_NONE, 0, 0 },
	{ "bytes 0-1", 10, RANGE_NONE, 0, 0 },
	{ "items=0-1", 10, RANGE_NONE, 0, 0 },
	{ "", 10, RANGE_NONE, 0, 0 },
};

static void
one_range_is_found_and_all_else_is_the_whole(void **state)
{
	uint64_t offset, length;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		enum range_result r;

		offset = length = 0;
		r = range_parse(span_of(v->text), v->size, &offset, &length);
		if (r != v->result)
			fail_msg("%s of %d: %d", v->text, (int)v->size, (int)r);
		if (r == RANGE_SOME) {
			assert_int_equal(offset, v->offset);
			assert_int_equal(length, v->length);
		}
	}
}

static enum range_result
ask(const struct http_header *h, size_t n)
{
	struct http_request rq = {
		.headers = (struct http_header *)(uintptr_t)h, .n_headers = n
	};
	uint64_t offset, length;

	return (http_range(&rq, SPAN("\"e\""), 10, &offset, &length));
}

static void
if_range_decides_whether_the_range_counts(void **state)
{
	static const struct http_header same[] = {
		{ { "Range", 5 }, { "bytes=0-1", 9 } },
		{ { "If-Range", 8 }, { "\"e\"", 3 } },
	};
	static const struct http_header other[] = {
		{ { "If-Range", 8 }, { "\"f\"", 3 } },
		{ { "range", 5 }, { "bytes=0-1", 9 } },
	};
	static const struct http_header weak[] = {
		{ { "If-Range", 8 }, { "W/\"e\"", 5 } },
		{ { "Range", 5 }, { "bytes=0-1", 9 } },
	};
	static const struct http_header twice[] = {
		{ { "Range", 5 }, { "bytes=0-1", 9 } },
		{ { "Range", 5 }, { "bytes=0-1", 9 } },
	};

	(void)state;
	assert_int_equal(ask(same, 2), RANGE_SOME);
	assert_int_equal(ask(same, 1), RANGE_SOME);
	assert_int_equal(ask(same, 0), RANGE_NONE);
	assert_int_equal(ask(other, 2), RANGE_NONE);
	assert_int_equal(ask(weak, 2), RANGE_NONE);
	assert_int_equal(ask(twice, 2), RANGE_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_range_is_found_and_all_else_is_the_whole),
		cmocka_unit_test(if_range_decides_whether_the_range_counts),
	};

	return (cmocka_run_group_tests_name("http/range", tests, NULL, NULL));
}
