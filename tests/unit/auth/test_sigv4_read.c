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

#define ALGORITHM "AWS4-HMAC-SHA256 "
#define SIGNED "SignedHeaders=host;x-amz-date"
/* What no message may hold. */
#define SIGNATURE "5167617475726500"
#define COMPLETE ALGORITHM V_CREDENTIAL ", " SIGNED ", Signature=" SIGNATURE
#define FIVE \
	"Credential must have exactly 5 slash-delimited elements, e.g. " \
	"keyid/date/region/service/term."
#define THREE \
	"Authorization header must have the parameters 'Credential', " \
	"'SignedHeaders' and 'Signature', each once, and no others."
#define NAMES \
	"'SignedHeaders' must be a list of at most 64 lower-case header " \
	"names in alphabetical order, separated by ';'."
#define ONCE \
	"A request must be authorized once: by one Authorization header or " \
	"by query-string parameters."

static enum sigv4_error
read_header(const char *authorization, const char *date, char *why)
{
	struct sigv4_claim claim;
	struct signed_request s;
	enum sigv4_error e;

	signed_request_init(&s, "POST", "/", "");
	signed_request_header(&s, "Host", "h");
	if (date != NULL)
		signed_request_header(&s, "X-Amz-Date", date);
	if (authorization != NULL)
		signed_request_header(&s, "Authorization", authorization);
	e = sigv4_read(&s.rq, &claim, why);
	assert_null(strstr(why, SIGNATURE));
	assert_true(strlen(why) < SIGV4_WHY_BYTES);
	if (e != SIGV4_OK)
		assert_int_equal(claim.access_key.n, 0);
	assert_true(e == SIGV4_MISSING || sigv4_present(&s.rq));
	return (e);
}

static void
assert_incomplete(const char *authorization, const char *want)
{
	char why[SIGV4_WHY_BYTES];
	enum sigv4_error e;

	e = read_header(authorization, V_TIME, why);
	if (e != SIGV4_INCOMPLETE)
		fail_msg("\"%s\" gave %d", authorization, (int)e);
	assert_string_equal(why, want);
}

static void
a_header_is_read_into_its_parts(void **state)
{
	static const char *const same[] = {
		COMPLETE,
		ALGORITHM V_CREDENTIAL "," SIGNED ",Signature=" SIGNATURE,
		ALGORITHM "  " SIGNED " ,\tSignature = " SIGNATURE
			  " , " V_CREDENTIAL,
		" " COMPLETE " ",
		COMPLETE ",",
	};
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;
	struct signed_request s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(same); i++) {
		signed_request_init(&s, "POST", "/", "");
		signed_request_header(&s, "Host", "h");
		signed_request_header(&s, "x-amz-date", V_TIME);
		signed_request_header(&s, "X-AMZ-Security-Token", "tok");
		signed_request_header(&s, "authorization", same[i]);
		assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_OK);
		assert_true(span_is(c.access_key, V_ACCESS_KEY));
		assert_true(span_is(c.date, V_DATE));
		assert_true(span_is(c.region, V_REGION));
		assert_true(span_is(c.service, "ecr"));
		assert_true(span_is(c.terminator, "aws4_request"));
		assert_true(span_is(c.timestamp, V_TIME));
		assert_true(span_is(c.session_token, "tok"));
		assert_true(span_is(c.signed_headers, "host;x-amz-date"));
		assert_true(span_is(c.signature, SIGNATURE));
		assert_true(c.signed_ms == V_TIME_MS);
		assert_false(c.presigned);
	}
}

static enum sigv4_error
read_query(const char *target, struct sigv4_claim *c, char *why)
{
	struct signed_request s;
	enum sigv4_error e;

	signed_request_init(&s, "GET", target, "");
	signed_request_header(&s, "Host", "h");
	assert_true(sigv4_present(&s.rq));
	e = sigv4_read(&s.rq, c, why);
	assert_null(strstr(why, SIGNATURE));
	assert_true(strlen(why) < SIGV4_WHY_BYTES);
	return (e);
}

static void
a_query_is_read_into_its_parts(void **state)
{
	static const char target[] =
	    "/?a=b&X-Amz-Algorithm=AWS4-HMAC-SHA256"
	    "&X-Amz-Credential=KEY%2f20261121/r%2Fecr%2Faws4_request"
	    "&X%2DAmz-Date=" V_TIME "&X-Amz-Expires=604800"
	    "&X-Amz-SignedHeaders=host%3Bx-y&X-Amz-Signature=" SIGNATURE
	    "&X-Amz-Security-Token=a%2Bb%3D";
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;

	(void)state;
	assert_int_equal(read_query(target, &c, why), SIGV4_OK);
	assert_true(span_is(c.access_key, "KEY"));
	assert_true(span_is(c.date, V_DATE));
	assert_true(span_is(c.region, "r"));
	assert_true(span_is(c.service, "ecr"));
	assert_true(span_is(c.timestamp, V_TIME));
	assert_true(span_is(c.session_token, "a+b="));
	assert_true(span_is(c.signed_headers, "host;x-y"));
	assert_true(span_is(c.signature, SIGNATURE));
	assert_true(c.presigned);
	assert_true(c.expires_s == 604800);
	assert_true(c.signed_ms == V_TIME_MS);
}

static void
a_request_without_a_signature_misses_one(void **state)
{
	static const char *const none[] = { NULL, "",
		"Basic QVdTOng=", "Bearer AWS4-HMAC-SHA256", "AWSX",
		"AWS3-HTTPS x", "aw" };
	char why[SIGV4_WHY_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(none); i++) {
		assert_int_equal(
		    read_header(none[i], V_TIME, why), SIGV4_MISSING);
		assert_string_equal(why, "Missing Authentication Token");
	}
}

static void
whether_there_is_a_signature_is_seen_without_reading_it(void **state)
{
	static const struct {
		const char *target, *authorization;
		bool present;
	} rows[] = {
		{ "/", NULL, false },
		{ "/", "Basic x", false },
		{ "/", "AWS4-HMAC-SHA256", true },
		{ "/", "aws4-hmac-sha256 x", true },
		{ "/", "AWS k:s", true },
		{ "/?X-Amz-Signature=1", NULL, true },
		{ "/?x=y&X-Amz-Credential", NULL, true },
		{ "/?X%2dAmz%2DAlgorithm=", NULL, true },
		{ "/?x-amz-signature=1", NULL, false },
		{ "/?X-Amz-Date=1", NULL, false },
		{ "/X-Amz-Signature=1", NULL, false },
		{ "/?%=1&X-Amz-Signature=1", "Basic x", true },
	};
	struct signed_request s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		signed_request_init(&s, "GET", rows[i].target, "");
		if (rows[i].authorization != NULL)
			signed_request_header(
			    &s, "Authorization", rows[i].authorization);
		assert_int_equal(sigv4_present(&s.rq), rows[i].present);
	}
}

static void
other_algorithms_are_named_and_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "AWS AKID:" SIGNATURE, "AWS" },
		{ "AWS", "AWS" },
		{ "AWS4-ECDSA-P256-SHA256 " V_CREDENTIAL,
		    "AWS4-ECDSA-P256-SHA256" },
		{ "AWS4-HMAC-SHA512 x", "AWS4-HMAC-SHA512" },
		{ "aws4-hmac-sha256 x", "aws4-hmac-sha256" },
		{ "AWS4-HMAC-SHA256," SIGNATURE, "AWS4-HMAC-SHA256" },
		{ "AWS4-=" SIGNATURE, "AWS4-" },
	};
	char want[SIGV4_WHY_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(want, sizeof(want),
		    "Unsupported AWS 'algorithm': '%s'.", rows[i][1]);
		assert_incomplete(rows[i][0], want);
	}
}

#define HASHED "(Hashed with SHA-256 and encoded with Base64) Authorization="

/* The hashes were computed apart. */
static void
what_is_missing_is_named(void **state)
{
	char why[SIGV4_WHY_BYTES];

	(void)state;
	assert_incomplete(ALGORITHM V_CREDENTIAL ", " SIGNED,
	    "Authorization header requires 'Signature' parameter. " HASHED
	    "7WQwQTLiWNryEOEfSKoIi680J9Dz+fwSS4jf6g177gs=");
	assert_incomplete(ALGORITHM "Signature=" SIGNATURE,
	    "Authorization header requires 'Credential' parameter. "
	    "Authorization header requires 'SignedHeaders' parameter. " HASHED
	    "4e1tweSzVf+B4rixsJ/F8RS0z92c9kyIjHF9jBy7N/4=");
	assert_incomplete(ALGORITHM "Credential=,Signature=,SignedHeaders=",
	    "Authorization header requires 'Credential' parameter. "
	    "Authorization header requires 'Signature' parameter. "
	    "Authorization header requires 'SignedHeaders' parameter. " HASHED
	    "toUjFW/0EUtHukB+Zsz/Wd1h/TLoVa/R3icrn/kE4cQ=");
	assert_int_equal(
	    read_header("AWS4-HMAC-SHA256", NULL, why), SIGV4_INCOMPLETE);
	assert_string_equal(why,
	    "Authorization header requires 'Credential' parameter. "
	    "Authorization header requires 'Signature' parameter. "
	    "Authorization header requires 'SignedHeaders' parameter. "
	    "Authorization header requires existence of either a "
	    "'X-Amz-Date' or a 'Date' header. " HASHED
	    "YI2YWea8FSxnksZL2ETHbs5elHm9HQufxTLK0W0ffV0=");
	assert_int_equal(read_header(COMPLETE, NULL, why), SIGV4_INCOMPLETE);
	assert_string_equal(why,
	    "Authorization header requires existence of either a "
	    "'X-Amz-Date' or a 'Date' header. " HASHED
	    "MjB/ybVIUikXOcfz8TLtOyc7BZQ9l3YS/+R9uhxIPSc=");
}

static void
a_header_in_disorder_is_incomplete(void **state)
{
	(void)state;
	assert_incomplete(ALGORITHM SIGNATURE,
	    "Authorization header has a part that is not a valid key=value "
	    "pair (missing equal-sign).");
	assert_incomplete(COMPLETE ", Signature=" SIGNATURE, THREE);
	assert_incomplete(COMPLETE ", Extra=1", THREE);
	assert_incomplete(ALGORITHM "credential=a/b/c/d/e", THREE);
	assert_incomplete(ALGORITHM "Credential=a, Credential=", THREE);
}

static void
a_credential_has_five_parts(void **state)
{
	static const char *const bad[] = { "a", "a/b/c/d", "a/b/c/d/e/f",
		"a/b/c/d/e/", "/b/c/d/e", "a//c/d/e", "a/b/c/d/", "////", "/" };
	char header[256];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(header, sizeof(header),
		    ALGORITHM "Credential=%s, " SIGNED ", Signature=" SIGNATURE,
		    bad[i]);
		assert_incomplete(header, FIVE);
	}
}

static void
an_access_key_is_of_bounded_length_and_graphic(void **state)
{
	static const char refused[] =
	    "The access key ID in the credential has characters that no access "
	    "key has, or more than 128 of them.";
	char header[512], why[SIGV4_WHY_BYTES], key[130];
	struct sigv4_claim c;

	(void)state;
	memset(key, 'K', sizeof(key));
	key[129] = '\0';
	(void)snprintf(header, sizeof(header),
	    ALGORITHM "Credential=%s/a/b/c/d, " SIGNED ", Signature=1", key);
	assert_incomplete(header, refused);
	key[128] = '\0';
	(void)snprintf(header, sizeof(header),
	    ALGORITHM "Credential=%s/a/b/c/d, " SIGNED ", Signature=1", key);
	assert_int_equal(read_header(header, V_TIME, why), SIGV4_OK);
	assert_int_equal(
	    read_query("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
		       "K%0AY%2fa%2fb%2fc%2fd&X-Amz-Date=" V_TIME
		       "&X-Amz-Expires=1&X-Amz-SignedHeaders=host"
		       "&X-Amz-Signature=" SIGNATURE,
		&c, why),
	    SIGV4_INCOMPLETE);
	assert_string_equal(why, refused);
}

static void
signed_headers_are_sorted_and_lower_case(void **state)
{
	static const char *const bad[] = { "Host;x-amz-date", "x-amz-date;host",
		"host;host", "host;;x-amz-date", "host;", ";host", ";",
		"host;x amz", "host x-amz-date", "host:", "h\303\266st" };
	char header[256];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(header, sizeof(header),
		    ALGORITHM V_CREDENTIAL
		    ", SignedHeaders=%s, Signature=" SIGNATURE,
		    bad[i]);
		assert_incomplete(header, NAMES);
	}
}

static void
at_most_sixty_four_headers_are_signed(void **state)
{
	char header[1024], list[400], why[SIGV4_WHY_BYTES];
	size_t i, n;

	(void)state;
	for (i = n = 0; i < 64; i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%sa%02zu",
		    i > 0 ? ";" : "", i);
	(void)snprintf(header, sizeof(header),
	    ALGORITHM V_CREDENTIAL ", SignedHeaders=%s, Signature=1", list);
	assert_int_equal(read_header(header, V_TIME, why), SIGV4_OK);
	(void)snprintf(header, sizeof(header),
	    ALGORITHM V_CREDENTIAL ", SignedHeaders=%s;b, Signature=1", list);
	assert_incomplete(header, NAMES);
}

static void
a_date_is_one_and_of_amazons_form(void **state)
{
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;
	struct signed_request s;

	(void)state;
	assert_int_equal(
	    read_header(COMPLETE, "2026-11-21", why), SIGV4_INCOMPLETE);
	assert_string_equal(why,
	    "Date must be in ISO-8601 'basic format'. Got '2026-11-21'. See "
	    "http://en.wikipedia.org/wiki/ISO_8601");
	assert_int_equal(
	    read_header(
		COMPLETE, "\001234567890123456789012345678901234567890", why),
	    SIGV4_INCOMPLETE);
	assert_string_equal(why,
	    "Date must be in ISO-8601 'basic format'. Got "
	    "'?234567890123456789012345678901234567890'. See "
	    "http://en.wikipedia.org/wiki/ISO_8601");
	signed_request_init(&s, "POST", "/", "");
	signed_request_header(&s, "Authorization", COMPLETE);
	signed_request_header(&s, "Date", V_TIME);
	assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_OK);
	assert_true(span_is(c.timestamp, V_TIME));
	signed_request_header(&s, "Date", V_TIME);
	assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_INCOMPLETE);
	assert_string_equal(why, "A request must have one date only.");
	signed_request_header(&s, "X-Amz-Date", V_TIME);
	assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_OK);
	signed_request_header(&s, "X-Amz-Date", V_TIME);
	assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_INCOMPLETE);
}

static void
a_request_is_authorized_once(void **state)
{
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;
	struct signed_request s;

	(void)state;
	signed_request_init(&s, "POST", "/", "");
	signed_request_header(&s, "X-Amz-Date", V_TIME);
	signed_request_header(&s, "Authorization", COMPLETE);
	signed_request_header(&s, "authorization", "Basic x");
	assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_INCOMPLETE);
	assert_string_equal(why, ONCE);
	s.rq.n_headers--;
	s.rq.target = SPAN("/?X-Amz-Signature=1");
	assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_INCOMPLETE);
	assert_string_equal(why, ONCE);
	s.rq.target = SPAN("/");
	signed_request_header(&s, "X-Amz-Security-Token", "a");
	signed_request_header(&s, "X-Amz-Security-Token", "a");
	assert_int_equal(sigv4_read(&s.rq, &c, why), SIGV4_INCOMPLETE);
	assert_string_equal(
	    why, "A request must have one X-Amz-Security-Token only.");
}

static void
a_query_names_each_parameter_once(void **state)
{
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;

	(void)state;
	assert_int_equal(
	    read_query(
		"/?X-Amz-Signature=" SIGNATURE "&X-Amz-Date=" V_TIME, &c, why),
	    SIGV4_INCOMPLETE);
	assert_string_equal(why,
	    "AWS query-string parameters must include 'X-Amz-Algorithm', "
	    "'X-Amz-Credential', 'X-Amz-Expires', 'X-Amz-SignedHeaders'. "
	    "Re-examine the query-string parameters.");
	assert_int_equal(
	    read_query(
		"/?X-Amz-Signature=" SIGNATURE "&X%2DAmz-Signature=", &c, why),
	    SIGV4_INCOMPLETE);
	assert_string_equal(why,
	    "AWS query-string parameter 'X-Amz-Signature' must be given once. "
	    "Re-examine the query-string parameters.");
	assert_int_equal(
	    read_query("/?X-Amz-Signature=" SIGNATURE "%4", &c, why),
	    SIGV4_INCOMPLETE);
	assert_string_equal(why,
	    "AWS query-string parameter 'X-Amz-Signature' is malformed or too "
	    "long. Re-examine the query-string parameters.");
}

static void
a_query_that_is_too_long_is_refused(void **state)
{
	static char target[2 * SIGV4_ROOM_BYTES];
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;

	(void)state;
	memset(target, 'x', sizeof(target) - 1);
	memcpy(target, "/?X-Amz-Signature=", 18);
	assert_int_equal(read_query(target, &c, why), SIGV4_INCOMPLETE);
}

static void
a_presigned_request_expires_within_a_week(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = { { "1", true }, { "604800", true }, { "0", false },
		{ "604801", false }, { "-1", false }, { "1.5", false },
		{ "%201", false }, { "99999999999999999999", false } };
	char target[512], why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(target, sizeof(target),
		    "/?X-Amz-Algorithm=AWS4-HMAC-SHA256"
		    "&X-Amz-Credential=KEY/20261121/r/ecr/aws4_request"
		    "&X-Amz-Date=" V_TIME "&X-Amz-Expires=%s"
		    "&X-Amz-SignedHeaders=host&X-Amz-Signature=" SIGNATURE,
		    rows[i].text);
		assert_int_equal(read_query(target, &c, why),
		    rows[i].ok ? SIGV4_OK : SIGV4_INCOMPLETE);
		if (!rows[i].ok)
			assert_string_equal(why,
			    "X-Amz-Expires must be a number of seconds between "
			    "1 and 604800.");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_read_into_its_parts),
		cmocka_unit_test(a_query_is_read_into_its_parts),
		cmocka_unit_test(a_request_without_a_signature_misses_one),
		cmocka_unit_test(
		    whether_there_is_a_signature_is_seen_without_reading_it),
		cmocka_unit_test(other_algorithms_are_named_and_refused),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(a_header_in_disorder_is_incomplete),
		cmocka_unit_test(a_credential_has_five_parts),
		cmocka_unit_test(
		    an_access_key_is_of_bounded_length_and_graphic),
		cmocka_unit_test(signed_headers_are_sorted_and_lower_case),
		cmocka_unit_test(at_most_sixty_four_headers_are_signed),
		cmocka_unit_test(a_date_is_one_and_of_amazons_form),
		cmocka_unit_test(a_request_is_authorized_once),
		cmocka_unit_test(a_query_names_each_parameter_once),
		cmocka_unit_test(a_query_that_is_too_long_is_refused),
		cmocka_unit_test(a_presigned_request_expires_within_a_week),
	};

	return (
	    cmocka_run_group_tests_name("auth/sigv4_read", tests, NULL, NULL));
}
