#include "registryd/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"
#include "registryd/http/framing.h"

#define HEADERS 8

static const struct head_limits limits = { 512, HEADERS, 64 };

struct parsed {
	struct http_request rq;
	struct http_header headers[HEADERS];
	struct head head;
	int status; /* 0: fine */
};

/* As the server does it: the head, then what its headers decide. */
static enum head_result
parse(struct parsed *p, const char *text, size_t n)
{
	enum head_result r;

	memset(p, 0, sizeof(*p));
	head_init(&p->head, &p->rq, p->headers);
	r = head_parse(&p->head, text, n, &limits, &p->rq);
	if (r == HEAD_BAD)
		p->status = p->head.status;
	if (r == HEAD_DONE) {
		const char *why = NULL;

		p->status = framing_decide(&p->rq, &why);
		assert_true((p->status == 0) == (why == NULL));
	}
	return (r);
}

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

struct vector {
	const char *what;
	const char *text;
	int status;
};

static const struct vector refused[] = {
	{ "a bare LF behind the request line",
	    "GET / HTTP/1.1\nHost: a\r\n\r\n", 400 },
	{ "a bare LF behind a header", GET "Host: a\n\r\n", 400 },
	{ "a bare LF at the end", GET HOST "\n", 400 },
	{ "a bare CR in a header", GET "Host: a\rb\r\n\r\n", 400 },
	{ "a bare CR before the colon", GET "Ho\rst: a\r\n\r\n", 400 },
	{ "a bare CR at the start", "\rGET / HTTP/1.1\r\n", 400 },
	{ "two empty lines in front", "\r\n\r\n" GET HOST "\r\n", 400 },
	{ "a space before the colon", GET HOST "A : b\r\n\r\n", 400 },
	{ "a tab before the colon", GET HOST "A\t: b\r\n\r\n", 400 },
	{ "a folded line", GET HOST "A: b\r\n c\r\n\r\n", 400 },
	{ "a folded line with a tab", GET HOST "A: b\r\n\tc\r\n\r\n", 400 },
	{ "a folded line as the first", GET " Host: a\r\n\r\n", 400 },
	{ "a header without a colon", GET HOST "abc\r\n\r\n", 400 },
	{ "a header without a name", GET HOST ": b\r\n\r\n", 400 },
	{ "a header name that is no token", GET HOST "A(b): c\r\n\r\n", 400 },
	{ "a header name beyond ASCII", GET HOST "\xc3\xa4: c\r\n\r\n", 400 },
	{ "DEL in a value", GET HOST "A: b\x7f\r\n\r\n", 400 },
	{ "a control character in a long value",
	    GET HOST "A: 12345678901234567890123456789\x01xyz\r\n\r\n", 400 },
	{ "two spaces behind the method", "GET  / HTTP/1.1\r\n" HOST "\r\n",
	    400 },
	{ "two spaces before the version", "GET /  HTTP/1.1\r\n" HOST "\r\n",
	    400 },
	{ "a tab behind the method", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "a space in front", " GET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "no target", "GET HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "no version", "GET /\r\n" HOST "\r\n", 400 },
	{ "a space behind the version", "GET / HTTP/1.1 \r\n" HOST "\r\n",
	    400 },
	{ "a method that is no token", "G{T / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "a method without end", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	    400 },
	{ "a TLS handshake", "\x16\x03\x01\x02", 400 },
	{ "a target beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
	    400 },
	{ "a control character in the target",
	    "GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "a lower-case protocol", "GET / http/1.1\r\n" HOST "\r\n", 400 },
	{ "a version with two digits", "GET / HTTP/1.10\r\n" HOST "\r\n", 400 },
	{ "a version without a dot", "GET / HTTP/11\r\n" HOST "\r\n", 400 },
	{ "HTTP/2 in words", "GET / HTTP/2\r\n" HOST "\r\n", 400 },
	{ "HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
	{ "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
	{ "HTTP/0.9 with a version", "GET / HTTP/0.9\r\n" HOST "\r\n", 505 },
	{ "HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505 },
	{ "a target that is too long",
	    "GET /345678901234567890123456789012345678901234567890"
	    "123456789012345678901234567890 HTTP/1.1\r\n" HOST "\r\n",
	    414 },
	{ "too many headers",
	    GET "a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\n"
		"i:1\r\n\r\n",
	    431 },
	/* what the headers decide */
	{ "no Host", GET "\r\n", 400 },
	{ "two Hosts", GET HOST "Host: b\r\n\r\n", 400 },
	{ "two equal Hosts", GET HOST HOST "\r\n", 400 },
	{ "an empty Host", GET "Host:\r\n\r\n", 400 },
	{ "a Host that is a list", GET "Host: a, b\r\n\r\n", 400 },
	{ "a Host with a path", GET "Host: a/b\r\n\r\n", 400 },
	{ "a Host with a user", GET "Host: u@a\r\n\r\n", 400 },
	{ "a Host with an empty port", GET "Host: a:\r\n\r\n", 400 },
	{ "a Host with a port out of range", GET "Host: a:65536\r\n\r\n", 400 },
	{ "a Host with half a literal", GET "Host: [::1\r\n\r\n", 400 },
	{ "two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400 },
	{ "both ways of framing",
	    GET HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
	    400 },
	{ "both ways of framing, the other way round",
	    GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
	    400 },
	{ "both, and a coding nobody knows",
	    GET HOST "Transfer-Encoding: x\r\nContent-Length: 4\r\n\r\n", 400 },
	{ "two different lengths",
	    GET HOST "Content-Length: 4\r\nContent-Length: 5\r\n\r\n", 400 },
	{ "two equal lengths",
	    GET HOST "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 400 },
	{ "two lengths in one line", GET HOST "Content-Length: 4, 4\r\n\r\n",
	    400 },
	{ "a length with a plus", GET HOST "Content-Length: +4\r\n\r\n", 400 },
	{ "a length with a minus", GET HOST "Content-Length: -4\r\n\r\n", 400 },
	{ "a length in hexadecimal", GET HOST "Content-Length: 0x4\r\n\r\n",
	    400 },
	{ "an empty length", GET HOST "Content-Length:\r\n\r\n", 400 },
	{ "a length with a space in it", GET HOST "Content-Length: 1 2\r\n\r\n",
	    400 },
	{ "a length beyond 63 bits",
	    GET HOST "Content-Length: 9223372036854775808\r\n\r\n", 400 },
	{ "a coding other than chunked",
	    GET HOST "Transfer-Encoding: gzip\r\n\r\n", 501 },
	{ "chunked and another",
	    GET HOST "Transfer-Encoding: gzip, chunked"
		     "\r\n\r\n",
	    501 },
	{ "chunked twice in a line",
	    GET HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501 },
	{ "chunked in two lines",
	    GET HOST "Transfer-Encoding: chunked\r\n"
		     "Transfer-Encoding: chunked\r\n\r\n",
	    400 },
	{ "identity", GET HOST "Transfer-Encoding: identity\r\n\r\n", 501 },
	{ "an empty coding", GET HOST "Transfer-Encoding:\r\n\r\n", 501 },
	{ "chunked with a parameter",
	    GET HOST "Transfer-Encoding: chunked;a=b\r\n\r\n", 501 },
	{ "chunked behind a vertical tab",
	    GET HOST "Transfer-Encoding: \x0b"
		     "chunked\r\n\r\n",
	    400 },
	{ "chunked in HTTP/1.0",
	    "GET / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
	    400 },
	{ "an expectation nobody knows", GET HOST "Expect: more\r\n\r\n", 417 },
};

static void
what_the_grammar_forbids_is_refused(void **state)
{
	struct parsed p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(refused); i++) {
		const char *text = refused[i].text;

		(void)parse(&p, text, strlen(text));
		if (p.status != refused[i].status)
			fail_msg("%s: %d instead of %d", refused[i].what,
			    p.status, refused[i].status);
	}
}

static void
nul_is_refused_wherever_it_stands(void **state)
{
	static const char text[] =
	    "GET /a HTTP/1.1\r\nHost: abc\r\nAccept: text/plain\r\n\r\n";
	char copy[sizeof(text)];
	struct parsed p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text) - 2; i++) {
		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		(void)parse(&p, copy, sizeof(text) - 1);
		assert_int_equal(p.status, 400);
	}
}

static void
the_verdict_does_not_depend_on_how_the_bytes_were_cut(void **state)
{
	struct parsed whole, cut;
	enum head_result r;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(refused); i++) {
		const char *text = refused[i].text;

		(void)parse(&whole, text, strlen(text));
		memset(&cut, 0, sizeof(cut));
		head_init(&cut.head, &cut.rq, cut.headers);
		r = HEAD_MORE;
		for (n = 1; n <= strlen(text) && r == HEAD_MORE; n++)
			r = head_parse(&cut.head, text, n, &limits, &cut.rq);
		if (r == HEAD_BAD)
			assert_int_equal(cut.head.status, whole.status);
		else
			assert_int_equal(whole.head.status, 0);
	}
}

static void
a_request_is_taken_apart(void **state)
{
	static const char text[] = "PATCH /v2/a?b=c HTTP/1.1\r\n"
				   "hOST:\t[::1]:5000 \r\n"
				   "X:\r\n"
				   "Y: a  \t b\xc3\xa4\r\n"
				   "Content-Length: 007\r\n"
				   "\r\nbody";
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, text, sizeof(text) - 1), HEAD_DONE);
	assert_int_equal(p.status, 0);
	assert_int_equal(p.head.length, sizeof(text) - 1 - 4);
	assert_int_equal(p.rq.method, HTTP_PATCH);
	assert_true(span_is(p.rq.method_text, "PATCH"));
	assert_true(span_is(p.rq.target, "/v2/a?b=c"));
	assert_int_equal(p.rq.minor_version, 1);
	assert_int_equal(p.rq.n_headers, 4);
	assert_true(span_is(p.rq.host, "[::1]:5000"));
	assert_true(span_is(p.headers[1].name, "X"));
	assert_non_null(p.headers[1].value.p);
	assert_int_equal(p.headers[1].value.n, 0);
	assert_true(span_is(p.headers[2].value, "a  \t b\xc3\xa4"));
	assert_int_equal(p.rq.framing, HTTP_BODY_LENGTH);
	assert_int_equal(p.rq.content_length, 7);
	assert_true(p.rq.keep_alive);
	assert_non_null(http_request_header(&p.rq, "x").p);
	assert_null(http_request_header(&p.rq, "z").p);
}

static void
one_empty_line_may_stand_in_front(void **state)
{
	static const char text[] = "\r\n" GET HOST "\r\n";
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, text, sizeof(text) - 1), HEAD_DONE);
	assert_int_equal(p.status, 0);
	assert_int_equal(p.head.length, sizeof(text) - 1);
}

static void
a_head_up_to_its_limits_is_fine_and_one_byte_more_is_not(void **state)
{
	char text[600];
	struct parsed p;
	int n, fill;

	(void)state;
	fill = 512 - (int)(sizeof(GET HOST "A: \r\n\r\n") - 1);
	n = snprintf(text, sizeof(text), GET HOST "A: %*s\r\n\r\n", fill, "x");
	assert_int_equal(n, 512);
	assert_int_equal(parse(&p, text, 512), HEAD_DONE);
	n = snprintf(
	    text, sizeof(text), GET HOST "A: %*s\r\n\r\n", fill + 1, "x");
	assert_int_equal(n, 513);
	assert_int_equal(parse(&p, text, 513), HEAD_BAD);
	assert_int_equal(p.status, 431);
	assert_int_equal(parse(&p, text, 511), HEAD_MORE);
	assert_int_equal(parse(&p, text, 512), HEAD_BAD);
}

struct life {
	const char *text;
	bool keep_alive;
};

static void
the_connection_goes_on_as_version_and_header_say(void **state)
{
	static const struct life lives[] = {
		{ GET HOST "\r\n", true },
		{ GET HOST "Connection: close\r\n\r\n", false },
		{ GET HOST "Connection: Keep-Alive\r\n\r\n", true },
		{ GET HOST "Connection: x, CLOSE\r\n\r\n", false },
		{ GET HOST "Connection: \"x, close\r\n\r\n", false },
		{ GET HOST "Connection: x\r\nConnection: close\r\n\r\n",
		    false },
		{ GET HOST "Connection: keep-alive, close\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: closed\r\n\r\n", false },
	};
	struct parsed p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lives); i++) {
		assert_int_equal(
		    parse(&p, lives[i].text, strlen(lives[i].text)), HEAD_DONE);
		assert_int_equal(p.status, 0);
		assert_int_equal(p.rq.keep_alive, lives[i].keep_alive);
	}
}

static void
an_expectation_counts_only_with_a_body_and_since_1_1(void **state)
{
	static const char with[] =
	    GET HOST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n";
	static const char without[] = GET HOST "Expect: 100-continue\r\n\r\n";
	static const char old[] = "GET / HTTP/1.0\r\nContent-Length: 1\r\n"
				  "Expect: 100-continue\r\n\r\n";
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, with, sizeof(with) - 1), HEAD_DONE);
	assert_int_equal(p.status, 0);
	assert_true(p.rq.expect_continue);
	assert_int_equal(parse(&p, without, sizeof(without) - 1), HEAD_DONE);
	assert_false(p.rq.expect_continue);
	assert_int_equal(parse(&p, old, sizeof(old) - 1), HEAD_DONE);
	assert_int_equal(p.status, 0);
	assert_false(p.rq.expect_continue);
}

static void
chunked_is_known_in_any_case(void **state)
{
	static const char text[] =
	    "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: CHUNKED \r\n\r\n";
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, text, sizeof(text) - 1), HEAD_DONE);
	assert_int_equal(p.status, 0);
	assert_int_equal(p.rq.framing, HTTP_BODY_CHUNKED);
}

static void
methods_are_case_sensitive(void **state)
{
	static const char text[] = "get / HTTP/1.1\r\n" HOST "\r\n";
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, text, sizeof(text) - 1), HEAD_DONE);
	assert_int_equal(p.rq.method, HTTP_METHOD_OTHER);
	assert_true(span_is(p.rq.method_text, "get"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_grammar_forbids_is_refused),
		cmocka_unit_test(nul_is_refused_wherever_it_stands),
		cmocka_unit_test(
		    the_verdict_does_not_depend_on_how_the_bytes_were_cut),
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(one_empty_line_may_stand_in_front),
		cmocka_unit_test(
		    a_head_up_to_its_limits_is_fine_and_one_byte_more_is_not),
		cmocka_unit_test(
		    the_connection_goes_on_as_version_and_header_say),
		cmocka_unit_test(
		    an_expectation_counts_only_with_a_body_and_since_1_1),
		cmocka_unit_test(chunked_is_known_in_any_case),
		cmocka_unit_test(methods_are_case_sensitive),
	};

	return (cmocka_run_group_tests_name("http/head", tests, NULL, NULL));
}
