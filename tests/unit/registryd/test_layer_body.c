#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/api/layer_body.h"

/* The reader of UploadLayerPart's JSON: what it takes, what it refuses, and
 * that it does not matter how the text is cut. */

static const size_t none[1]; /* no cuts */

struct read {
	enum rc rc;
	const char *why;
	char *rest; /* NULL when refused */
	struct buf blob;
	unsigned n_pieces;
};

static enum rc
blob_add(void *arg, const uint8_t *p, size_t n)
{
	struct read *r = arg;

	assert_true(n > 0 && n <= LAYER_BODY_PIECE_BYTES);
	r->n_pieces++;
	buf_add(&r->blob, p, n);
	return (RC_OK);
}

/* ${text} in pieces that end at ${cuts}[] and at its end. */
static void
read_cut(struct span text, const size_t *cuts, size_t n_cuts, struct read *r)
{
	struct layer_body *b = xmalloc(sizeof(*b));
	struct span rest;
	size_t i, at = 0, end;

	memset(r, 0, sizeof(*r));
	buf_init(&r->blob, SIZE_MAX);
	layer_body_init(b, blob_add, r);
	for (i = 0; i <= n_cuts; i++, at = end) {
		end = i < n_cuts ? cuts[i] : text.n;
		layer_body_feed(b, text.p + at, end - at);
	}
	r->rc = layer_body_end(b, &rest);
	r->why = b->why;
	if (r->rc == RC_OK)
		r->rest = xstrndup(rest.p, rest.n);
	layer_body_free(b);
	free(b);
}

static void
read_free(struct read *r)
{
	buf_free(&r->blob);
	free(r->rest);
}

static void
assert_same(const struct read *a, const struct read *b)
{
	assert_int_equal(a->rc, b->rc);
	assert_ptr_equal(a->why, b->why);
	if (a->rc != RC_OK)
		return;
	assert_string_equal(a->rest, b->rest);
	assert_true(span_eq(buf_as_span(&a->blob), buf_as_span(&b->blob)));
}

/* Cut at every one and every two places, and at all. */
static void
read_every_way(struct span text, struct read *whole)
{
	size_t i, j, cuts[2], *all;
	struct read r;

	read_cut(text, none, 0, whole);
	all = xcalloc(text.n + 1, sizeof(*all));
	for (i = 0; i < text.n; i++)
		all[i] = i + 1;
	read_cut(text, all, text.n, &r);
	assert_same(whole, &r);
	read_free(&r);
	free(all);
	for (i = 0; i <= text.n; i++)
		for (j = i; j <= text.n; j++) {
			cuts[0] = i;
			cuts[1] = j;
			read_cut(text, cuts, 2, &r);
			assert_same(whole, &r);
			read_free(&r);
		}
}

/* Taken, with this blob and this rest. */
static void
assert_read(const char *text, const char *blob, const char *rest)
{
	struct read r;

	read_every_way(span_of(text), &r);
	if (r.rc != RC_OK)
		fail_msg("%s: %s", text, r.why);
	assert_string_equal(r.rest, rest);
	if (!span_is(buf_as_span(&r.blob), blob))
		fail_msg("%s: the blob is \"" SPAN_FMT "\"", text,
		    SPAN_ARG(buf_as_span(&r.blob)));
	read_free(&r);
}

static void
assert_refused(const char *text, enum rc rc, const char *why)
{
	struct read r;

	read_every_way(span_of(text), &r);
	if (r.rc != rc)
		fail_msg("%s: %s, not %s", text, rc_text(r.rc), rc_text(rc));
	assert_non_null(r.why);
	if (strstr(r.why, why) == NULL)
		fail_msg("%s: \"%s\", not \"%s\"", text, r.why, why);
	read_free(&r);
}

/* Taken by the reader, refused by whoever parses the rest. */
static void
assert_left_to_the_parser(const char *text)
{
	char why[JSON_ERROR_BYTES];
	struct read r;
	json_t *doc;

	read_every_way(span_of(text), &r);
	if (r.rc == RC_OK &&
	    json_read(span_of(r.rest), why, &doc) != RC_INVALID)
		fail_msg("%s became %s", text, r.rest);
	read_free(&r);
}

/* --- what is taken ------------------------------------------------------- */

static void
the_blob_is_decoded_and_the_rest_is_kept(void **state)
{
	(void)state;
	assert_read("{\"repositoryName\":\"a/b\",\"partFirstByte\":0,"
		    "\"partLastByte\":4,\"layerPartBlob\":\"aGVsbG8=\"}",
	    "hello",
	    "{\"repositoryName\":\"a/b\",\"partFirstByte\":0,"
	    "\"partLastByte\":4,\"layerPartBlob\":\"\"}");
	assert_read("{\"layerPartBlob\":\"aGVsbG8h\",\"a\":1}", "hello!",
	    "{\"layerPartBlob\":\"\",\"a\":1}");
	assert_read("{\"layerPartBlob\":\"aGVs\",\"b\":true}", "hel",
	    "{\"layerPartBlob\":\"\",\"b\":true}");
	assert_read("{}", "", "{}");
	assert_read("{\"layerPartBlob\":\"\"}", "", "{\"layerPartBlob\":\"\"}");
}

static void
the_padding_may_be_of_any_length(void **state)
{
	(void)state;
	assert_read(
	    "{\"layerPartBlob\":\"YQ==\"}", "a", "{\"layerPartBlob\":\"\"}");
	assert_read(
	    "{\"layerPartBlob\":\"YWI=\"}", "ab", "{\"layerPartBlob\":\"\"}");
	assert_read("{\"layerPartBlob\":\"YWJjZGVmZw==\"}", "abcdefg",
	    "{\"layerPartBlob\":\"\"}");
}

static void
escapes_are_understood(void **state)
{
	(void)state;
	assert_read("{\"layerPartBlob\":\"Pz8\\/\"}", "???",
	    "{\"layerPartBlob\":\"\"}");
	assert_read("{\"layerPartBlob\":\"Pz8\\u002F\\u0050z8\\u002f\"}",
	    "??????", "{\"layerPartBlob\":\"\"}");
	assert_read("{\"layerPartBlob\":\"YWI\\u003d\"}", "ab",
	    "{\"layerPartBlob\":\"\"}");
	assert_read("{\"l\\u0061yerPart\\u0042lob\":\"YWI=\"}", "ab",
	    "{\"l\\u0061yerPart\\u0042lob\":\"\"}");
	assert_read("{\"a\\\"\":\"\\\"}\",\"layerPartBlob\":\"YWI=\"}", "ab",
	    "{\"a\\\"\":\"\\\"}\",\"layerPartBlob\":\"\"}");
}

static void
white_space_is_understood(void **state)
{
	(void)state;
	assert_read(" {\r\n\t\"layerPartBlob\" :\n\"YWI=\" ,\"a\" : 1 } \n",
	    "ab", " {\r\n\t\"layerPartBlob\" :\n\"\" ,\"a\" : 1 } \n");
}

static void
only_the_member_itself_is_the_blob(void **state)
{
	static const char *const texts[] = {
		"{\"a\":{\"layerPartBlob\":\"???\"}}",
		"{\"a\":[\"layerPartBlob\",\"x\"]}",
		"{\"a\":\"layerPartBlob\"}",
		"{\"layerPartBlo\":\"???\"}",
		"{\"layerPartBlobs\":\"???\"}",
		"{\"LayerPartBlob\":\"???\"}",
		"{\"xlayerPartBlob\":\"???\"}",
		"{\"layer\\u0000PartBlob\":\"???\"}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		assert_read(texts[i], "", texts[i]);
}

static void
another_type_is_left_to_the_shape(void **state)
{
	static const char *const texts[] = {
		"{\"layerPartBlob\":null}",
		"{\"layerPartBlob\":1.5e3,\"a\":1}",
		"{\"layerPartBlob\": true }",
		"{\"layerPartBlob\":[\"YWI=\",{\"b\":\"]\"}]}",
		"{\"layerPartBlob\":{\"layerPartBlob\":\"YWI=\"}}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		assert_read(texts[i], "", texts[i]);
}

/* --- what is refused ----------------------------------------------------- */

static void
what_is_not_base64_is_refused(void **state)
{
	static const char *const blobs[] = { "a", "ab", "abc",
		"a===", "====", "YQ=", "YQ",
		"YR==", "YWJ=", "YQ==YQ==", "YQ==YWJj", "YWI=a", "=YWI", "Y=WI",
		"YW I", "YWI=\n", "YWI=\\n", "YW-_", "YWJj!", "\\u0000AAA",
		"\\u0100AAA", "AAA\\ud800", "YW\xc3\xbc", "AAAAAAAA=AAA",
		"YWJj====" };
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(blobs); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"layerPartBlob\":\"%s\",\"a\":1}", blobs[i]);
		assert_refused(text, RC_INVALID, "base64");
	}
}

static void
two_blobs_are_refused(void **state)
{
	(void)state;
	assert_refused(
	    "{\"layerPartBlob\":\"YWI=\",\"layerPartBlob\":\"YWI=\"}",
	    RC_INVALID, "twice");
	assert_refused("{\"layerPartBlob\":null,\"layerPart\\u0042lob\":\"\"}",
	    RC_INVALID, "twice");
}

static void
what_is_no_object_is_refused(void **state)
{
	static const char *const texts[] = { "[]", "1", "\"x\"", "null", "x",
		"[{\"layerPartBlob\":\"YWI=\"}]", "\xef\xbb\xbf{}" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		assert_refused(texts[i], RC_INVALID, "not a JSON object");
	assert_refused("", RC_INVALID, "too early");
	assert_refused("  ", RC_INVALID, "too early");
}

static void
a_text_that_ends_early_is_refused(void **state)
{
	static const char whole[] =
	    "{\"a\":[1,\"x\"],\"layerPartBlob\":\"YWJj\\/w==\",\"b\":1}";
	struct read r;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(whole) - 1; n++) {
		read_every_way((struct span){ whole, n }, &r);
		assert_int_equal(r.rc, RC_INVALID);
		read_free(&r);
	}
	assert_read(whole, "abc\xff",
	    "{\"a\":[1,\"x\"],\"layerPartBlob\":\"\",\"b\":1}");
}

static void
what_is_malformed_is_refused(void **state)
{
	static const char *const texts[] = { "{,}", "{a:1}", "{\"a\"1}",
		"{\"a\"}", "{\"a\":}", "{\"a\":,}", "{\"a\":1,}", "{\"a\":1 2}",
		"{\"a\":1}}", "{}{}", "{} x", "{\"a\":1\"b\":2}", "{\"a\":1[}",
		"{\"a\":\"x\"\"y\"}", "{\"a\":{}1}",
		"{\"layerPartBlob\":\"YW\\x\"}",
		"{\"layerPartBlob\":\"YW\\u12g4\"}",
		"{\"layerPartBlob\" \"YWI=\"}", "{\"\\q\":1}",
		"{\"\\u00x\":1}" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		assert_refused(texts[i], RC_INVALID, "malformed");
}

static void
other_faults_are_in_the_rest(void **state)
{
	static const char *const texts[] = { "{\"a\":tru}", "{\"a\":01}",
		"{\"a\":[1,]}", "{\"a\":[}}", "{\"a\":{]}", "{\"a\":[1}",
		"{\"a\":\"\x01\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\xff\"}",
		"{\"\x01\":1}", "{\"a\":1,\"a\":2}", "{\"\xff\":1}",
		"{\"a\":\"\\u0000\"}", "{\"a\":tru,\"layerPartBlob\":\"YWI=\"}",
		"{\"a\":[},\"layerPartBlob\":\"YWI=\"}",
		"{\"layerPartBlob\":\"YWI=\",\"a\":tru}" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		assert_left_to_the_parser(texts[i]);
}

/* --- limits -------------------------------------------------------------- */

static void
the_rest_is_bounded(void **state)
{
	struct span text;
	struct read r;
	struct buf b;
	size_t n, half;

	(void)state;
	for (n = LAYER_BODY_REST_MAX_BYTES - 1;
	     n <= LAYER_BODY_REST_MAX_BYTES + 1; n++) {
		buf_init(&b, SIZE_MAX);
		buf_str(&b, "{\"layerPartBlob\":\"YWI=\"");
		while (b.n < n + 4 - 1)
			buf_char(&b, ' ');
		buf_char(&b, '}');
		text = buf_as_span(&b);
		half = text.n / 2;
		read_cut(text, &half, 1, &r);
		if (n <= LAYER_BODY_REST_MAX_BYTES) {
			assert_int_equal(r.rc, RC_OK);
			assert_int_equal(strlen(r.rest), n);
		} else {
			assert_int_equal(r.rc, RC_TOOBIG);
			assert_non_null(r.why);
		}
		read_free(&r);
		buf_free(&b);
	}
}

static void
deep_nesting_costs_no_stack(void **state)
{
	struct read r;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, SIZE_MAX);
	buf_str(&b, "{\"a\":");
	for (i = 0; i < 30000; i++)
		buf_char(&b, '[');
	for (i = 0; i < 30000; i++)
		buf_char(&b, ']');
	buf_str(&b, ",\"layerPartBlob\":\"YWI=\"}");
	read_cut(buf_as_span(&b), none, 0, &r);
	assert_int_equal(r.rc, RC_OK);
	assert_true(span_is(buf_as_span(&r.blob), "ab"));
	read_free(&r);
	buf_free(&b);
}

/* Longer than what comes out at once, cut at odd places. */
static void
a_long_blob_comes_out_in_pieces(void **state)
{
	enum { N = 3 * LAYER_BODY_PIECE_BYTES + 1000 };
	size_t cuts[64], n_cuts = 0, at;
	uint8_t *blob = xmalloc(N);
	char *text = xmalloc(BASE64_LEN(N) + 1);
	struct read r;
	struct buf b;

	(void)state;
	for (at = 0; at < N; at++)
		blob[at] = (uint8_t)(at * 2654435761u >> 13);
	base64_encode(blob, N, text);
	buf_init(&b, SIZE_MAX);
	buf_printf(&b, "{\"layerPartBlob\":\"%s\"}", text);
	for (at = 7; at < b.n && n_cuts < ARRAY_LEN(cuts); at += 9973)
		cuts[n_cuts++] = at;
	read_cut(buf_as_span(&b), none, 0, &r);
	assert_int_equal(r.n_pieces, 4);
	assert_true(span_eq(
	    buf_as_span(&r.blob), (struct span){ (const char *)blob, N }));
	read_free(&r);
	read_cut(buf_as_span(&b), cuts, n_cuts, &r);
	assert_int_equal(r.rc, RC_OK);
	assert_true(span_eq(
	    buf_as_span(&r.blob), (struct span){ (const char *)blob, N }));
	read_free(&r);
	buf_free(&b);
	free(text);
	free(blob);
}

static enum rc
no_space(void *arg, const uint8_t *p, size_t n)
{
	(void)p;
	(void)n;
	++*(unsigned *)arg;
	return (RC_NOSPACE);
}

static void
what_the_taker_says_ends_it(void **state)
{
	static const char text[] = "{\"layerPartBlob\":\"YWJjZGVm\"}";
	struct layer_body *b = xmalloc(sizeof(*b));
	unsigned n_calls = 0;
	struct span rest;
	size_t i;

	(void)state;
	layer_body_init(b, no_space, &n_calls);
	for (i = 0; i < sizeof(text) - 1; i++)
		layer_body_feed(b, text + i, 1);
	assert_int_equal(layer_body_end(b, &rest), RC_NOSPACE);
	assert_int_equal(n_calls, 1);
	layer_body_free(b);
	free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_blob_is_decoded_and_the_rest_is_kept),
		cmocka_unit_test(the_padding_may_be_of_any_length),
		cmocka_unit_test(escapes_are_understood),
		cmocka_unit_test(white_space_is_understood),
		cmocka_unit_test(only_the_member_itself_is_the_blob),
		cmocka_unit_test(another_type_is_left_to_the_shape),
		cmocka_unit_test(what_is_not_base64_is_refused),
		cmocka_unit_test(two_blobs_are_refused),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(a_text_that_ends_early_is_refused),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(other_faults_are_in_the_rest),
		cmocka_unit_test(the_rest_is_bounded),
		cmocka_unit_test(deep_nesting_costs_no_stack),
		cmocka_unit_test(a_long_blob_comes_out_in_pieces),
		cmocka_unit_test(what_the_taker_says_ends_it),
	};

	return (cmocka_run_group_tests_name("layer_body", tests, NULL, NULL));
}
