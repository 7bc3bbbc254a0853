#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/obj.h"
#include "base/thread.h"

static void
what_is_not_strict_json_is_refused(void **state)
{
	static const struct {
		struct span text;
		const char *why; /* NULL: it is fine */
	} rows[] = {
		{ SPAN_INIT("{}"), NULL },
		{ SPAN_INIT(
		      " [1, -2.5e3, true, null, \"\\u00e4\\ud83d\\ude00\"]\n"),
		    NULL },
		{ SPAN_INIT("{\"a\":[],\"b\":{}}"), NULL },
		{ SPAN_INIT("[9223372036854775807,-9223372036854775808]"),
		    NULL },
		{ { NULL, 0 }, "line 1" },
		{ SPAN_INIT(""), "line 1" },
		{ SPAN_INIT("   "), "line 1" },
		{ SPAN_INIT("7"), "'[' or '{' expected" },
		{ SPAN_INIT("\"s\""), "'[' or '{' expected" },
		{ SPAN_INIT("{"), "line 1" },
		{ SPAN_INIT("{} x"), "end of file expected" },
		{ SPAN_INIT("{}{}"), "end of file expected" },
		{ SPAN_INIT("{\"a\":1,\"a\":1}"), "duplicate object key" },
		{ SPAN_INIT("{\"a\":1,\n\"\\u0061\":1}"), "line 2" },
		{ SPAN_INIT("{\"a\":1,}"), "line 1" },
		{ SPAN_INIT("[1,]"), "line 1" },
		{ SPAN_INIT("{a:1}"), "line 1" },
		{ SPAN_INIT("{'a':1}"), "line 1" },
		{ SPAN_INIT("[01]"), "line 1" },
		{ SPAN_INIT("[+1]"), "line 1" },
		{ SPAN_INIT("[.5]"), "line 1" },
		{ SPAN_INIT("[NaN]"), "line 1" },
		{ SPAN_INIT("[1e999]"), "real number overflow" },
		{ SPAN_INIT("[9223372036854775808]"), "too big integer" },
		{ SPAN_INIT("[-9223372036854775809]"),
		    "too big negative integer" },
		{ SPAN_INIT("[\"\\u0000\"]"), "\\u0000 is not allowed" },
		{ SPAN_INIT("[\"\\ud800\"]"), "line 1" },
		{ SPAN_INIT("[\"\t\"]"), "control character" },
		{ SPAN_INIT("[\"\xff\"]"), "unable to decode byte" },
		{ SPAN_INIT("[\"\xc0\xaf\"]"), "unable to decode byte" },
		{ SPAN_INIT("[\"\xed\xa0\x80\"]"), "unable to decode byte" },
		{ SPAN_INIT("{}\0"), "line 1" },
		{ SPAN_INIT("[\"a\0b\"]"), "line 1" },
		{ SPAN_INIT("\xef\xbb\xbf{}"), "line 1" },
		{ SPAN_INIT("/* c */ {}"), "line 1" },
	};
	char why[JSON_ERROR_BYTES];
	json_t *doc;
	size_t i;
	enum rc rc;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		rc = json_read(rows[i].text, why, &doc);
		if ((rc == RC_OK) != (rows[i].why == NULL) ||
		    (rc != RC_OK && strstr(why, rows[i].why) == NULL))
			fail_msg("row %zu: %s: %s", i, rc_name(rc), why);
		assert_true((rc == RC_OK) == (doc != NULL));
		json_decref(doc);
	}
}

/* ${open} ${n} times, ${middle}, ${end} ${n} times. */
static void
nest(struct buf *b, const char *open, const char *middle, const char *end,
    size_t n)
{
	size_t i;

	buf_clear(b);
	for (i = 0; i < n; i++)
		buf_str(b, open);
	buf_str(b, middle);
	for (i = 0; i < n; i++)
		buf_str(b, end);
	assert_true(buf_ok(b));
}

static enum rc
read_buf(const struct buf *b)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc;
	enum rc rc;

	rc = json_read(buf_as_span(b), why, &doc);
	json_decref(doc);
	return (rc);
}

/* In a thread, for it is there that the stack is small. */
static void
nesting(void *arg)
{
	struct buf b;

	(void)arg;
	buf_init(&b, SIZE_MAX);
	nest(&b, "[", "", "]", JSON_DEPTH_MAX);
	assert_int_equal(read_buf(&b), RC_OK);
	nest(&b, "[", "", "]", JSON_DEPTH_MAX + 1);
	assert_int_equal(read_buf(&b), RC_INVALID);
	nest(&b, "{\"a\":", "1", "}", JSON_DEPTH_MAX);
	assert_int_equal(read_buf(&b), RC_OK);
	nest(&b, "{\"a\":", "1", "}", JSON_DEPTH_MAX + 1);
	assert_int_equal(read_buf(&b), RC_INVALID);
	nest(&b, "[", "", "", 1000000);
	assert_int_equal(read_buf(&b), RC_INVALID);
	nest(&b, "]", "", "", 1000);
	assert_int_equal(read_buf(&b), RC_INVALID);
	/* A string is no nesting, whatever is in it. */
	buf_clear(&b);
	buf_str(&b, "[\"\\\\\\\"");
	while (b.n < 5000)
		buf_char(&b, '[');
	buf_str(&b, "\"]");
	assert_int_equal(read_buf(&b), RC_OK);
	buf_free(&b);
}

static void
deep_nesting_is_refused_before_the_stack_ends(void **state)
{
	pthread_t t;

	(void)state;
	assert_int_equal(thread_start("nesting", nesting, NULL, &t), RC_OK);
	thread_join(t);
}

static void
too_many_values_are_refused_before_memory_ends(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	nest(&b, "[0", ",0", "]", 1);
	assert_int_equal(read_buf(&b), RC_OK);
	buf_clear(&b);
	buf_str(&b, "[0");
	while (b.n < 2 * (size_t)JSON_VALUES_MAX)
		buf_str(&b, ",0");
	buf_str(&b, "]");
	assert_int_equal(read_buf(&b), RC_OK);
	b.n--;
	buf_str(&b, ",0]");
	assert_int_equal(read_buf(&b), RC_INVALID);
	buf_clear(&b);
	buf_str(&b, "[{}");
	while (b.n < 4 << 20)
		buf_str(&b, ",{}");
	buf_str(&b, "]");
	assert_int_equal(read_buf(&b), RC_INVALID);
	buf_free(&b);
}

static void
getters_tell_missing_from_wrong(void **state)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc, *v = NULL;
	struct span s;
	int64_t n;

	(void)state;
	assert_int_equal(json_read(SPAN("{\"s\":\"text\",\"i\":-7,\"r\":1.0,"
					"\"a\":[1],\"o\":{},\"n\":null,"
					"\"b\":true,\"e\":\"\"}"),
			     why, &doc),
	    RC_OK);
	assert_int_equal(json_get_str(doc, "s", &s), RC_OK);
	assert_true(span_is(s, "text"));
	assert_int_equal(json_get_str(doc, "e", &s), RC_OK);
	assert_int_equal(s.n, 0);
	assert_int_equal(json_get_str(doc, "x", &s), RC_NOTFOUND);
	assert_int_equal(json_get_str(doc, "n", &s), RC_NOTFOUND);
	assert_int_equal(json_get_str(doc, "i", &s), RC_INVALID);
	assert_int_equal(json_get_int(doc, "i", &n), RC_OK);
	assert_int_equal(n, -7);
	assert_int_equal(json_get_int(doc, "r", &n), RC_INVALID);
	assert_int_equal(json_get_int(doc, "b", &n), RC_INVALID);
	assert_int_equal(json_get_int(doc, "n", &n), RC_NOTFOUND);
	assert_int_equal(json_get_array(doc, "a", &v), RC_OK);
	assert_int_equal(json_array_size(v), 1);
	assert_int_equal(json_get_array(doc, "o", &v), RC_INVALID);
	assert_int_equal(json_get_object(doc, "o", &v), RC_OK);
	assert_true(json_is_object(v));
	assert_int_equal(json_get_object(doc, "a", &v), RC_INVALID);
	assert_int_equal(json_get_object(NULL, "a", &v), RC_NOTFOUND);
	json_decref(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_strict_json_is_refused),
		cmocka_unit_test(deep_nesting_is_refused_before_the_stack_ends),
		cmocka_unit_test(
		    too_many_values_are_refused_before_memory_ends),
		cmocka_unit_test(getters_tell_missing_from_wrong),
	};

	return (cmocka_run_group_tests_name("base/json", tests, NULL, NULL));
}
