#include "auth/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/hex.h"
#include "base/obj.h"
#include "tests/unit/auth/sigv4_tools.h"

/*
 * Requests signed by botocore, as they are and changed in every way a thief
 * could change them.
 */
#define MISMATCH \
	"The request signature we calculated does not match the signature " \
	"you provided. Check your AWS Secret Access Key and signing method. " \
	"Consult the service documentation for details."
#define EMPTY_HASH \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BRACES_HASH \
	"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

#define TOKEN_LIST \
	"content-type;host;x-amz-date;x-amz-security-token;x-amz-target"

/* With a session token, in the header form. */
static void
token_request(struct signed_request *s)
{
	signed_request_init(s, "POST", "/", "{}");
	signed_request_header(s, "Host", "127.0.0.1:5601");
	signed_request_header(s, "Content-Type", "application/x-amz-json-1.1");
	signed_request_header(s, "X-Amz-Target", "T.Op");
	signed_request_header(s, "X-Amz-Date", V_TIME);
	signed_request_header(s, "X-Amz-Security-Token", "tok+/=en");
	signed_request_authorize(s, TOKEN_LIST,
	    "2ab3213535b53c0cdb7962eedceb3595"
	    "2b1b3f844e1a30c462474735cc128786");
}

#define PRESIGNED_HEAD \
	"/?Action=GetCallerIdentity&Version=2011-06-15" \
	"&X-Amz-Algorithm=AWS4-HMAC-SHA256" \
	"&X-Amz-Credential=AKIAVECTORSOFOURS123%2F20261121" \
	"%2Feu-central-1%2Fecr%2Faws4_request" \
	"&X-Amz-Date=" V_TIME
#define PRESIGNED_TAIL \
	"&X-Amz-SignedHeaders=host" \
	"&X-Amz-Signature=" \
	"f20af386c294db4fe22a870b502924254511c0cd42ea0814a6f55dcaddd8925e"
#define PRESIGNED PRESIGNED_HEAD "&X-Amz-Expires=600" PRESIGNED_TAIL

#define PRESIGNED_WEEK \
	"/?X-Amz-Algorithm=AWS4-HMAC-SHA256" \
	"&X-Amz-Credential=AKIAVECTORSOFOURS123%2F20261121" \
	"%2Feu-central-1%2Fecr%2Faws4_request" \
	"&X-Amz-Date=" V_TIME "&X-Amz-Expires=604800" \
	"&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tok%2B%2F%3Den" \
	"&X-Amz-Signature=" \
	"558cdcb06b1d9278a9710fc3630a10dd4d76e340cc0e2f6ed08c1dafcb97dfe9"

static void
presigned_request(struct signed_request *s, const char *target)
{
	signed_request_init(s, "GET", target, "");
	signed_request_header(s, "Host", "sts.example:8080");
}

static void
assert_check(const struct signed_request *s, int64_t now_ms, const char *want)
{
	char why[SIGV4_WHY_BYTES];
	enum sigv4_error e;

	e = signed_request_check(s, now_ms, why);
	if (want == NULL && e != SIGV4_OK)
		fail_msg("refused: %s", why);
	if (want != NULL && e != SIGV4_INVALID && e != SIGV4_MISMATCH)
		fail_msg("%d instead of: %s", (int)e, want);
	assert_string_equal(why, want != NULL ? want : "");
}

static void
a_request_of_botocore_verifies(void **state)
{
	struct signed_request s;

	(void)state;
	token_request(&s);
	assert_check(&s, V_TIME_MS, NULL);
	presigned_request(&s, PRESIGNED);
	assert_check(&s, V_TIME_MS, NULL);
	presigned_request(&s, PRESIGNED_WEEK);
	assert_check(&s, V_TIME_MS, NULL);
}

static void
a_date_header_does_where_there_is_no_other(void **state)
{
	struct signed_request s;

	(void)state;
	signed_request_init(&s, "POST", "/", "{}");
	signed_request_header(&s, "Host", "127.0.0.1:5601");
	signed_request_header(&s, "Content-Type", "application/x-amz-json-1.1");
	signed_request_header(&s, "X-Amz-Target", "T.Op");
	signed_request_header(&s, "Date", "Sat, 21 Nov 2026 08:03:17 -0000");
	signed_request_authorize(&s, "content-type;date;host;x-amz-target",
	    "93771b6137128b6c14134a3dd4175e7b"
	    "4d49702ded991a7a92c260547d6fe4e1");
	assert_check(&s, V_TIME_MS, NULL);
	signed_request_set(&s, "date", "Sat, 21 Nov 2026 08:03:18 -0000");
	assert_check(&s, V_TIME_MS, MISMATCH);
}

static void
the_hash_of_the_body_may_be_sent_and_must_be_right(void **state)
{
	static const char *const wrong[] = { "UNSIGNED-PAYLOAD", EMPTY_HASH, "",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER" };
	struct signed_request s;
	size_t i;

	(void)state;
	signed_request_init(&s, "POST", "/", "{}");
	signed_request_header(&s, "Host", "127.0.0.1:5601");
	signed_request_header(&s, "X-Amz-Content-SHA256", BRACES_HASH);
	signed_request_header(&s, "X-Amz-Target", "T.Op");
	signed_request_header(&s, "X-Amz-Date", V_TIME);
	signed_request_authorize(&s,
	    "host;x-amz-content-sha256;x-amz-date;x-amz-target",
	    "c3909f19d90b10ba189a4534be493fb7"
	    "476feeffb7d37c126463ed32029ded22");
	assert_check(&s, V_TIME_MS, NULL);
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		signed_request_set(&s, "X-Amz-Content-SHA256", wrong[i]);
		assert_check(&s, V_TIME_MS,
		    "The provided 'x-amz-content-sha256' header does not match "
		    "what was computed.");
	}
	presigned_request(
	    &s, PRESIGNED "&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD");
	assert_check(&s, V_TIME_MS,
	    "The provided 'x-amz-content-sha256' header does not match what "
	    "was computed.");
}

static void
a_changed_request_does_not_verify(void **state)
{
	static const char *const headers[][2] = {
		{ "Host", "127.0.0.1:5602" },
		{ "Host", "127.0.0.1" },
		{ "Content-Type", "application/json" },
		{ "X-Amz-Target", "T.Op2" },
		{ "X-Amz-Target", "T.op" },
		{ "X-Amz-Date", "20261121T080318Z" },
		{ "X-Amz-Security-Token", "tok+/=em" },
		{ "X-Amz-Security-Token", "" },
	};
	static const char *const targets[] = { "/x", "//x", "/?", "/?a",
		"/?a=", "/%20", "/?X-Amz-Expires=600" };
	struct signed_request s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(headers); i++) {
		token_request(&s);
		signed_request_set(&s, headers[i][0], headers[i][1]);
		assert_check(&s, V_TIME_MS, MISMATCH);
	}
	for (i = 0; i < ARRAY_LEN(targets); i++) {
		token_request(&s);
		s.rq.target = span_of(targets[i]);
		/* "/?" has no query: it is the same request. */
		assert_check(&s, V_TIME_MS,
		    strcmp(targets[i], "/?") == 0 ? NULL : MISMATCH);
	}
	token_request(&s);
	s.rq.method = SPAN("PUT");
	assert_check(&s, V_TIME_MS, MISMATCH);
	token_request(&s);
	sigv4_body_hash(SPAN("{} "), s.rq.body_hash);
	assert_check(&s, V_TIME_MS, MISMATCH);
}

static void
a_signed_header_that_is_sent_twice_or_not_at_all_does_not_verify(void **state)
{
	struct signed_request s;

	(void)state;
	token_request(&s);
	signed_request_header(&s, "X-Amz-Target", "T.Other");
	assert_check(&s, V_TIME_MS, MISMATCH);
	token_request(&s);
	signed_request_header(&s, "content-type", "application/json");
	assert_check(&s, V_TIME_MS, MISMATCH);
	token_request(&s);
	s.headers[1].name = SPAN("X-Content-Type");
	assert_check(&s, V_TIME_MS, MISMATCH);
	token_request(&s);
	signed_request_header(&s, "Host", "127.0.0.1:5601");
	assert_check(&s, V_TIME_MS, MISMATCH);
}

static void
a_changed_presigned_request_does_not_verify(void **state)
{
	struct signed_request s;

	(void)state;
	presigned_request(&s, PRESIGNED "&a=b");
	assert_check(&s, V_TIME_MS, MISMATCH);
	presigned_request(&s, PRESIGNED "&Action=GetSessionToken");
	assert_check(&s, V_TIME_MS, MISMATCH);
	presigned_request(
	    &s, PRESIGNED_HEAD "&X-Amz-Expires=6000" PRESIGNED_TAIL);
	assert_check(&s, V_TIME_MS, MISMATCH);
	presigned_request(&s, PRESIGNED);
	s.rq.method = SPAN("POST");
	assert_check(&s, V_TIME_MS, MISMATCH);
	presigned_request(&s, PRESIGNED);
	sigv4_body_hash(SPAN("x"), s.rq.body_hash);
	assert_check(&s, V_TIME_MS, MISMATCH);
	presigned_request(&s, PRESIGNED);
	signed_request_set(&s, "Host", "sts.example:8081");
	assert_check(&s, V_TIME_MS, MISMATCH);
}

/* One digit at a time. */
static void
no_other_signature_verifies(void **state)
{
	const char digits[] = "0123456789abcdefABCDEF";
	struct signed_request s;
	size_t at, n, i;
	char was;

	(void)state;
	token_request(&s);
	n = strlen(s.authorization);
	for (at = n - 64; at < n; at++) {
		was = s.authorization[at];
		for (i = 0; i < sizeof(digits) - 1; i++) {
			if (digits[i] == was)
				continue;
			s.authorization[at] = digits[i];
			assert_check(&s, V_TIME_MS, MISMATCH);
		}
		s.authorization[at] = was;
	}
	assert_check(&s, V_TIME_MS, NULL);
	for (at = 1; at < 64; at++) {
		s.headers[s.rq.n_headers - 1].value.n--;
		assert_check(&s, V_TIME_MS, MISMATCH);
	}
}

static void
another_secret_does_not_verify(void **state)
{
	const struct sigv4_expect expect = { .service = SPAN("ecr"),
		.now_ms = V_TIME_MS };
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim claim;
	struct signed_request s;

	(void)state;
	token_request(&s);
	assert_int_equal(sigv4_read(&s.rq, &claim, why), SIGV4_OK);
	assert_int_equal(sigv4_verify(&s.rq, &claim, &expect,
			     SPAN("n0t/A+real=Secret"), why),
	    SIGV4_MISMATCH);
	assert_string_equal(why, MISMATCH);
	assert_int_equal(sigv4_verify(&s.rq, &claim, &expect, SPAN_NONE, why),
	    SIGV4_MISMATCH);
}

static void
a_signature_is_good_for_five_minutes_in_either_direction(void **state)
{
	const int64_t skew_ms = 5 * 60 * 1000;
	struct signed_request s;

	(void)state;
	token_request(&s);
	assert_check(&s, V_TIME_MS + skew_ms, NULL);
	assert_check(&s, V_TIME_MS - skew_ms, NULL);
	/* 08:15:00 */
	assert_check(&s, V_TIME_MS + 703 * 1000,
	    "Signature expired: 20261121T080317Z is now earlier than "
	    "20261121T081000Z (20261121T081500Z - 5 min.)");
	assert_check(&s, V_TIME_MS + skew_ms + 1,
	    "Signature expired: 20261121T080317Z is now earlier than "
	    "20261121T080317Z (20261121T080817Z - 5 min.)");
	assert_check(&s, V_TIME_MS - skew_ms - 1000,
	    "Signature not yet current: 20261121T080317Z is still later than "
	    "20261121T080316Z (20261121T075816Z + 5 min.)");
}

static void
a_presigned_request_is_good_for_as_long_as_it_says(void **state)
{
	const int64_t skew_ms = 5 * 60 * 1000, week_s = 604800;
	struct signed_request s;

	(void)state;
	presigned_request(&s, PRESIGNED);
	assert_check(&s, V_TIME_MS + 600 * 1000, NULL);
	assert_check(&s, V_TIME_MS + 601 * 1000,
	    "Signature expired: 20261121T080317Z is now earlier than "
	    "20261121T080318Z (20261121T081318Z - 10 min.)");
	assert_check(&s, V_TIME_MS - skew_ms, NULL);
	assert_check(&s, V_TIME_MS - skew_ms - 1000,
	    "Signature not yet current: 20261121T080317Z is still later than "
	    "20261121T080316Z (20261121T075816Z + 5 min.)");
	presigned_request(
	    &s, PRESIGNED_HEAD "&X-Amz-Expires=61" PRESIGNED_TAIL);
	assert_check(&s, V_TIME_MS + 62 * 1000,
	    "Signature expired: 20261121T080317Z is now earlier than "
	    "20261121T080318Z (20261121T080419Z - 61 sec.)");
	presigned_request(&s, PRESIGNED_WEEK);
	assert_check(&s, V_TIME_MS + week_s * 1000, NULL);
}

static void
assert_scope(const char *credential, struct span region, const char *want)
{
	const struct sigv4_expect expect = {
		.service = SPAN("ecr"), .region = region, .now_ms = V_TIME_MS
	};
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim claim;
	struct signed_request s;

	token_request(&s);
	(void)snprintf(s.authorization, sizeof(s.authorization),
	    "AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=" TOKEN_LIST
	    ", Signature=00",
	    credential);
	signed_request_set(&s, "Authorization", s.authorization);
	assert_int_equal(sigv4_read(&s.rq, &claim, why), SIGV4_OK);
	assert_int_equal(
	    sigv4_verify(&s.rq, &claim, &expect, SPAN(V_SECRET), why),
	    strcmp(want, MISMATCH) == 0 ? SIGV4_MISMATCH : SIGV4_INVALID);
	assert_string_equal(why, want);
}

#define WRONG_REGION "Credential should be scoped to a valid region."
#define WRONG_SERVICE "Credential should be scoped to correct service: 'ecr'."
#define LONG_REGION \
	"0123456789012345678901234567890123456789012345678901234567890123"

static void
the_scope_is_checked_before_the_signature(void **state)
{
	const struct span any = SPAN_NONE, us = SPAN("us-east-1");

	(void)state;
	assert_scope("K/20261121/us-east-1/ecr/aws4_request", us, MISMATCH);
	assert_scope("K/20261121/mars-north-7/ecr/aws4_request", any, MISMATCH);
	assert_scope(
	    "K/20261121/" LONG_REGION "/ecr/aws4_request", any, MISMATCH);
	assert_scope(
	    "K/20261121/" LONG_REGION "x/ecr/aws4_request", any, WRONG_REGION);
	assert_scope(
	    "K/20261121/mars-north-7/ecr/aws4_request", us, WRONG_REGION);
	assert_scope("K/20261121/us_east/ecr/aws4_request", any, WRONG_REGION);
	assert_scope("K/20261121/us:east/ecr/aws4_request", any, WRONG_REGION);
	assert_scope(
	    "K/20261121/us-east-1/sts/aws4_request", us, WRONG_SERVICE);
	assert_scope(
	    "K/20261121/us-east-1/ECR/aws4_request", us, WRONG_SERVICE);
	assert_scope("K/20261121/us-east-1/ecr/aws4", us,
	    "Credential should be scoped with a valid terminator: "
	    "'aws4_request'.");
	assert_scope("K/20261120/us-east-1/ecr/aws4_request", us,
	    "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
	    "version of date from HTTP, which is '20261121T080317Z'.");
	assert_scope("K/202611210/us-east-1/ecr/aws4_request", us,
	    "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
	    "version of date from HTTP, which is '20261121T080317Z'.");
}

static void
host_and_all_of_amazons_headers_must_be_signed(void **state)
{
	struct signed_request s;

	(void)state;
	token_request(&s);
	signed_request_header(&s, "X-Amz-Extra", "");
	assert_check(&s, V_TIME_MS,
	    "'X-Amz-Extra' must be a 'SignedHeader' in the AWS "
	    "Authorization.");
	/* Proxies of Amazon's add this one. */
	token_request(&s);
	signed_request_header(&s, "X-Amzn-Trace-Id", "Root=1");
	assert_check(&s, V_TIME_MS, NULL);

	signed_request_init(&s, "POST", "/", "{}");
	signed_request_header(&s, "Host", "h");
	signed_request_header(&s, "X-Amz-Date", V_TIME);
	signed_request_authorize(&s, "x-amz-date", "00");
	assert_check(&s, V_TIME_MS,
	    "'Host' or ':authority' must be a 'SignedHeader' in the AWS "
	    "Authorization.");
	presigned_request(&s, PRESIGNED);
	signed_request_header(&s, "x-amz-date", V_TIME);
	assert_check(&s, V_TIME_MS,
	    "'x-amz-date' must be a 'SignedHeader' in the AWS "
	    "Authorization.");
}

static void
the_signing_key_is_the_one_of_the_book(void **state)
{
	uint8_t key[SIGV4_HASH_BYTES];
	char hex[2 * SIGV4_HASH_BYTES + 1];

	(void)state;
	sigv4_key(
	    SPAN(V_SECRET), SPAN(V_DATE), SPAN(V_REGION), SPAN("ecr"), key);
	hex_encode(key, sizeof(key), hex);
	assert_string_equal(hex, "7f1dafcf97086f3d59a5f581114e77ef"
				 "248067f56410c8c21eb5b43ad0ee5832");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_of_botocore_verifies),
		cmocka_unit_test(a_date_header_does_where_there_is_no_other),
		cmocka_unit_test(
		    the_hash_of_the_body_may_be_sent_and_must_be_right),
		cmocka_unit_test(a_changed_request_does_not_verify),
		cmocka_unit_test(
		    a_signed_header_that_is_sent_twice_or_not_at_all_does_not_verify),
		cmocka_unit_test(a_changed_presigned_request_does_not_verify),
		cmocka_unit_test(no_other_signature_verifies),
		cmocka_unit_test(another_secret_does_not_verify),
		cmocka_unit_test(
		    a_signature_is_good_for_five_minutes_in_either_direction),
		cmocka_unit_test(
		    a_presigned_request_is_good_for_as_long_as_it_says),
		cmocka_unit_test(the_scope_is_checked_before_the_signature),
		cmocka_unit_test(
		    host_and_all_of_amazons_headers_must_be_signed),
		cmocka_unit_test(the_signing_key_is_the_one_of_the_book),
	};

	return (cmocka_run_group_tests_name(
	    "auth/sigv4_verify", tests, NULL, NULL));
}
