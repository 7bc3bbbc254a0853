#include "auth/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"
#include "tests/unit/auth/sigv4_tools.h"

static const struct sigv4_credentials credentials = {
	.access_key = SPAN_INIT(V_ACCESS_KEY),
	.secret = SPAN_INIT(V_SECRET),
	.region = SPAN_INIT(V_REGION),
	.service = SPAN_INIT("ecr"),
};

static void
request_init(struct signed_request *s)
{
	signed_request_init(s, "POST", "/", "{}");
	signed_request_header(s, "X-Amz-Target", "T.Op");
	signed_request_header(s, "Host", "127.0.0.1:5601");
	signed_request_header(s, "Content-Type", "application/x-amz-json-1.1");
}

/* The same as botocore writes for these. */
static void
what_is_signed_equals_botocores(void **state)
{
	struct sigv4_credentials cr = credentials;
	char date[SIGV4_DATE_BYTES], text[512];
	struct signed_request s;

	(void)state;
	request_init(&s);
	cr.session_token = SPAN("tok+/=en");
	assert_int_equal(
	    sigv4_sign(&s.rq, &cr, V_TIME_MS, date, text, sizeof(text)), RC_OK);
	assert_string_equal(date, V_TIME);
	assert_string_equal(text,
	    "AWS4-HMAC-SHA256 " V_CREDENTIAL ", SignedHeaders=content-type;"
	    "host;x-amz-date;x-amz-security-token;x-amz-target, Signature="
	    "2ab3213535b53c0cdb7962eedceb35952b1b3f844e1a30c462474735cc128786");
}

static void
without_headers_of_its_own_a_request_signs_host_and_date(void **state)
{
	char date[SIGV4_DATE_BYTES], text[512];
	struct signed_request s;

	(void)state;
	signed_request_init(&s, "GET", "/", "");
	signed_request_header(&s, "Host", "127.0.0.1:5601");
	assert_int_equal(sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text,
			     sizeof(text)),
	    RC_OK);
	assert_string_equal(text,
	    "AWS4-HMAC-SHA256 " V_CREDENTIAL
	    ", SignedHeaders=host;x-amz-date, Signature="
	    "937ac073c71f5ebc81d41136ea097fd32effd53b64493dc56c830dd86c9f4574");
}

static void
assert_verifies(struct signed_request *s, const char *date, const char *text)
{
	char why[SIGV4_WHY_BYTES];
	enum sigv4_error e;

	signed_request_header(s, "X-Amz-Date", date);
	signed_request_header(s, "Authorization", text);
	e = signed_request_check(s, V_TIME_MS + 1000, why);
	if (e != SIGV4_OK)
		fail_msg("%s", why);
}

static void
what_is_signed_verifies(void **state)
{
	static const char *const targets[] = { "/", "/a%20b/../c//",
		"/?b=%2f&a=+&a", "*" };
	char date[SIGV4_DATE_BYTES], text[512];
	struct signed_request s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(targets); i++) {
		request_init(&s);
		s.rq.target = span_of(targets[i]);
		signed_request_header(&s, "X-Twice", "  a  b ");
		signed_request_header(&s, "x-twice", "");
		signed_request_header(&s, "x-amz-date-too", "");
		assert_int_equal(sigv4_sign(&s.rq, &credentials, V_TIME_MS,
				     date, text, sizeof(text)),
		    RC_OK);
		assert_verifies(&s, date, text);
	}
}

static void
room_that_is_too_small_is_noticed(void **state)
{
	char date[SIGV4_DATE_BYTES], text[512];
	struct signed_request s;
	size_t n;

	(void)state;
	request_init(&s);
	assert_int_equal(sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text,
			     sizeof(text)),
	    RC_OK);
	n = strlen(text);
	assert_int_equal(
	    sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text, n + 1),
	    RC_OK);
	assert_int_equal(
	    sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text, n),
	    RC_TOOBIG);
}

static void
what_cannot_be_signed_is_refused(void **state)
{
	static const char secret[SIGV4_SECRET_MAX_BYTES + 1];
	struct sigv4_credentials cr = credentials;
	struct name_value many[SIGV4_SIGNED_MAX];
	char date[SIGV4_DATE_BYTES], text[512];
	struct signed_request s;
	size_t i;

	(void)state;
	signed_request_init(&s, "GET", "/", "");
	assert_int_equal(sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text,
			     sizeof(text)),
	    RC_INVALID);
	request_init(&s);
	s.rq.target = SPAN("/?%");
	assert_int_equal(sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text,
			     sizeof(text)),
	    RC_INVALID);
	request_init(&s);
	cr.secret = (struct span){ secret, sizeof(secret) };
	assert_int_equal(
	    sigv4_sign(&s.rq, &cr, V_TIME_MS, date, text, sizeof(text)),
	    RC_TOOBIG);
	for (i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct name_value)HEADER("Host", "h");
	s.rq.headers = many;
	s.rq.n_headers = ARRAY_LEN(many) - 1;
	assert_int_equal(sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text,
			     sizeof(text)),
	    RC_TOOBIG);
	s.rq.n_headers--;
	assert_int_equal(sigv4_sign(&s.rq, &credentials, V_TIME_MS, date, text,
			     sizeof(text)),
	    RC_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_signed_equals_botocores),
		cmocka_unit_test(
		    without_headers_of_its_own_a_request_signs_host_and_date),
		cmocka_unit_test(what_is_signed_verifies),
		cmocka_unit_test(room_that_is_too_small_is_noticed),
		cmocka_unit_test(what_cannot_be_signed_is_refused),
	};

	return (
	    cmocka_run_group_tests_name("auth/sigv4_sign", tests, NULL, NULL));
}
