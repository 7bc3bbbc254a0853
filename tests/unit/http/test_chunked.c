#include "registryd/http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"

/* Decode ${text} in pieces of ${piece} bytes, each at its own address. */
static enum chunked_result
decode(const char *text, size_t n, size_t piece, char *out, size_t *n_out_r,
    size_t *used_r)
{
	enum chunked_result r = CHUNKED_MORE;
	size_t i, len, used, data;
	struct chunked c;
	char *copy;

	chunked_init(&c);
	*n_out_r = 0;
	for (i = 0; i < n && r == CHUNKED_MORE; i += used) {
		len = n - i < piece ? n - i : piece;
		copy = xmalloc(len);
		memcpy(copy, text + i, len);
		r = chunked_decode(&c, copy, len, &used, &data);
		memcpy(out + *n_out_r, copy, data);
		*n_out_r += data;
		free(copy);
	}
	*used_r = i;
	return (r);
}

struct vector {
	const char *text;
	enum chunked_result result;
	const char *data;
	const char *rest;
};

static const struct vector vectors[] = {
	{ "0\r\n\r\n", CHUNKED_END, "", "" },
	{ "5\r\nhello\r\n0\r\n\r\n", CHUNKED_END, "hello", "" },
	{ "5\r\nhello\r\n0\r\n\r\nGET /", CHUNKED_END, "hello", "GET /" },
	{ "1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n", CHUNKED_END, "a0123456789",
	    "" },
	{ "00000005\r\nhello\r\n000\r\n\r\n", CHUNKED_END, "hello", "" },
	{ "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", CHUNKED_END, "hello", "" },
	{ "5;\r\nhello\r\n0\r\n\r\n", CHUNKED_END, "hello", "" },
	{ "0\r\nA: b\r\nC:\r\n\r\n", CHUNKED_END, "", "" },
	{ "5\r\nhel", CHUNKED_MORE, "hel", "" },
	{ "", CHUNKED_MORE, "", "" },
	{ "5\r\n\r\n\r\n\r\r\n0\r\n\r\n", CHUNKED_END, "\r\n\r\n\r", "" },
	{ "\r\n", CHUNKED_BAD, "", NULL },
	{ " 5\r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "5 \r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "5 ;a\r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "0x5\r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "+5\r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "-5\r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "g\r\n", CHUNKED_BAD, "", NULL },
	{ ";a\r\nhello", CHUNKED_BAD, "", NULL },
	{ "5\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "5\rhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "5;a\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "5;a\x01\r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "5\r\nhelloX\r\n0\r\n\r\n", CHUNKED_BAD, "hello", NULL },
	{ "5\r\nhello\n0\r\n\r\n", CHUNKED_BAD, "hello", NULL },
	{ "5\r\nhello\r0\r\n\r\n", CHUNKED_BAD, "hello", NULL },
	{ "5\r\nhello0\r\n\r\n", CHUNKED_BAD, "hello", NULL },
	{ "0\r\n\n", CHUNKED_BAD, "", NULL },
	{ "0\r\n\rX", CHUNKED_BAD, "", NULL },
	{ "0\n\r\n", CHUNKED_BAD, "", NULL },
	{ "0\r\nA b: c\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "0\r\n folded\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "0\r\nA: b\n\r\n", CHUNKED_BAD, "", NULL },
	{ "0\r\nA: b\r\n c\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "0\r\nA\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "00000000000000005\r\nhello\r\n0\r\n\r\n", CHUNKED_BAD, "", NULL },
	{ "8000000000000000\r\n", CHUNKED_BAD, "", NULL },
	{ "ffffffffffffffff\r\n", CHUNKED_BAD, "", NULL },
	{ "fffffffffffffffff\r\n", CHUNKED_BAD, "", NULL },
};

static void
vectors_decode_the_same_in_pieces_of_any_size(void **state)
{
	size_t i, piece, n, used;
	char out[256];

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];

		for (piece = 1; piece <= 64; piece++) {
			enum chunked_result r;

			r = decode(
			    v->text, strlen(v->text), piece, out, &n, &used);
			if (r != v->result || n != strlen(v->data) ||
			    memcmp(out, v->data, n) != 0)
				fail_msg("%s: %d, \"%.*s\"", v->text, (int)r,
				    (int)n, out);
			if (v->rest != NULL)
				assert_string_equal(v->text + used, v->rest);
		}
	}
}

static void
a_large_chunk_passes_through(void **state)
{
	size_t size = 300000, n, used;
	char *text = xmalloc(size + 32), *out = xmalloc(size);
	int head;

	(void)state;
	head = snprintf(text, 32, "%zX\r\n", size);
	memset(text + head, 'z', size);
	memcpy(text + head + size, "\r\n0\r\n\r\n", 7);
	assert_int_equal(
	    decode(text, (size_t)head + size + 7, 4093, out, &n, &used),
	    CHUNKED_END);
	assert_int_equal(n, size);
	assert_int_equal(out[size - 1], 'z');
	free(text);
	free(out);
}

/* How often ${line} may be repeated behind ${front} before it is too much. */
static size_t
endure(const char *front, const char *line, size_t max)
{
	enum chunked_result r;
	char copy[512];
	struct chunked c;
	size_t i, used, data;

	chunked_init(&c);
	memcpy(copy, front, strlen(front));
	r = chunked_decode(&c, copy, strlen(front), &used, &data);
	for (i = 0; i < max && r == CHUNKED_MORE; i++) {
		memcpy(copy, line, strlen(line));
		r = chunked_decode(&c, copy, strlen(line), &used, &data);
	}
	return (i);
}

static void
what_is_dropped_is_bounded(void **state)
{
	char line[400];

	(void)state;
	/* one extension */
	assert_in_range(endure("5;", "x", 100000), 257, 257);
	/* all extensions of a body */
	snprintf(line, sizeof(line), "1;%0200d\r\na\r\n", 0);
	assert_in_range(endure("", line, 100000), 82, 82);
	/* which are cheaper with much data */
	snprintf(line, sizeof(line), "40;%04d\r\n%064d\r\n", 0, 0);
	assert_int_equal(endure("", line, 100000), 100000);
	/* trailers */
	assert_in_range(endure("0\r\n", "A: b\r\n", 100000), 1300, 1700);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_decode_the_same_in_pieces_of_any_size),
		cmocka_unit_test(a_large_chunk_passes_through),
		cmocka_unit_test(what_is_dropped_is_bounded),
	};

	return (cmocka_run_group_tests_name("http/chunked", tests, NULL, NULL));
}
