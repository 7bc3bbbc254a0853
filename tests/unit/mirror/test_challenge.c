#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"
#include "mirror/challenge.h"

static bool
param_is(const struct challenge *c, const char *name, const char *want)
{
	char out[CHALLENGE_TEXT_MAX_BYTES];
	size_t n;

	return (challenge_param(c, name, out, &n) == RC_OK &&
		n == strlen(want) && strcmp(out, want) == 0);
}

static void
test_bearer_of_docker_hub(void **state)
{
	struct span s = SPAN("Bearer realm=\"https://auth.docker.io/token\","
			     "service=\"registry.docker.io\",scope=\""
			     "repository:library/alpine:pull,push\"");
	struct challenge c;

	(void)state;
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_true(span_is(c.scheme, "Bearer"));
	assert_int_equal(c.n_params, 3);
	assert_true(param_is(&c, "realm", "https://auth.docker.io/token"));
	assert_true(param_is(&c, "SERVICE", "registry.docker.io"));
	assert_true(
	    param_is(&c, "scope", "repository:library/alpine:pull,push"));
	assert_false(param_is(&c, "error", ""));
	assert_int_equal(challenge_next(&s, &c), RC_NOTFOUND);
}

static void
test_several_challenges_in_one_value(void **state)
{
	struct span s = SPAN(", Negotiate YII12==, NTLM ,Basic realm=\"a, "
			     "\\\"b\\\"\" , x = y,, Bearer realm=z");
	struct challenge c;

	(void)state;
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_true(span_is(c.scheme, "Negotiate"));
	assert_true(span_is(c.token68, "YII12=="));
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_true(span_is(c.scheme, "NTLM"));
	assert_int_equal(c.n_params, 0);
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_true(span_is(c.scheme, "Basic"));
	assert_true(param_is(&c, "realm", "a, \"b\""));
	assert_true(param_is(&c, "x", "y"));
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_true(span_is(c.scheme, "Bearer"));
	assert_true(param_is(&c, "realm", "z"));
	assert_int_equal(challenge_next(&s, &c), RC_NOTFOUND);
}

static void
test_what_is_no_challenge_is_refused(void **state)
{
	static const char *const bad[] = { "Bearer realm=\"https://x",
		"Bearer realm=\"x\\\"", "Bearer a=1, b=", "Bearer realm=\"a\"b",
		"\"Bearer\" realm=x", "=x", "Bearer\nrealm=x",
		"Bearer a=1,b=\"" };
	static const char *const many = "Bearer a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1"
					",i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1";
	struct challenge c;
	struct span s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		s = span_of(bad[i]);
		assert_int_equal(challenge_next(&s, &c), RC_INVALID);
	}
	s = span_of(many);
	assert_int_equal(challenge_next(&s, &c), RC_INVALID);
}

static void
test_values_that_are_not_clear_are_refused(void **state)
{
	struct span s = SPAN("Bearer a=1, A=2, b=\"x\ty\", c=\"\"");
	char out[CHALLENGE_TEXT_MAX_BYTES];
	struct challenge c;
	size_t n;

	(void)state;
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_int_equal(challenge_param(&c, "a", out, &n), RC_INVALID);
	assert_int_equal(challenge_param(&c, "b", out, &n), RC_INVALID);
	assert_true(param_is(&c, "c", ""));
}

static void
test_values_have_a_limit(void **state)
{
	char text[CHALLENGE_TEXT_MAX_BYTES + 64], out[CHALLENGE_TEXT_MAX_BYTES];
	struct challenge c;
	struct span s;
	size_t n;

	(void)state;
	(void)snprintf(text, sizeof(text), "Bearer realm=\"%0*d\"",
	    CHALLENGE_TEXT_MAX_BYTES - 1, 0);
	s = span_of(text);
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_int_equal(challenge_param(&c, "realm", out, &n), RC_OK);
	(void)snprintf(text, sizeof(text), "Bearer realm=\"%0*d\"",
	    CHALLENGE_TEXT_MAX_BYTES, 0);
	s = span_of(text);
	assert_int_equal(challenge_next(&s, &c), RC_OK);
	assert_int_equal(challenge_param(&c, "realm", out, &n), RC_INVALID);
}

static void
test_content_ranges(void **state)
{
	static const char *const bad[] = { "", "bytes", "bytes 0-9", "0-9/10",
		"bytes 9-0/10", "bytes 0-10/10", "bytes -9/10", "bytes 0-/10",
		"bytes */*", "bytes 0-9/10x", "bytes  0-9/10", "items 0-9/10",
		"bytes 0-99999999999999999999/*" };
	uint64_t first, last, size;
	size_t i;

	(void)state;
	assert_int_equal(
	    content_range_parse(SPAN("bytes 5-9/10"), &first, &last, &size),
	    RC_OK);
	assert_true(first == 5 && last == 9 && size == 10);
	assert_int_equal(
	    content_range_parse(SPAN("Bytes 0-0/*"), &first, &last, &size),
	    RC_OK);
	assert_true(first == 0 && last == 0 && size == UINT64_MAX);
	assert_int_equal(
	    content_range_parse(SPAN("bytes */10"), &first, &last, &size),
	    RC_OK);
	assert_true(first == 1 && last == 0 && size == 10);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
		    content_range_parse(span_of(bad[i]), &first, &last, &size),
		    RC_INVALID);
}

static void
link_is(const char *text, enum rc rc, const char *want)
{
	struct span url = SPAN_NONE;

	assert_int_equal(link_next(span_of(text), &url), rc);
	assert_true(span_is(url, want));
}

static void
test_links(void **state)
{
	(void)state;
	link_is("</v2/x?last=a&n=2>; rel=\"next\"", RC_OK, "/v2/x?last=a&n=2");
	link_is(
	    "<a,b>; rel=prev; title=\"x, <y>\", <c>;rel = NEXT", RC_OK, "c");
	link_is("<a>; rel=\"last next\"; foo", RC_OK, "a");
	link_is("<a>; rel=nextish", RC_NOTFOUND, "");
	link_is("<a>", RC_NOTFOUND, "");
	link_is("", RC_NOTFOUND, "");
	link_is("a; rel=next", RC_INVALID, "");
	link_is("<a; rel=next", RC_INVALID, "");
	link_is("<a>; rel=\"next", RC_INVALID, "");
	link_is("<a> rel=next", RC_INVALID, "");
}

static void
test_retry_after(void **state)
{
	const int64_t now_ms = INT64_C(1769860800000);
	char when[CLOCK_HTTP_BYTES];
	int64_t ms = -1;

	(void)state;
	assert_int_equal(retry_after_parse(SPAN("120"), now_ms, &ms), RC_OK);
	assert_int_equal(ms, 120000);
	assert_int_equal(
	    retry_after_parse(
		span_of(clock_http(now_ms + 7000, when)), now_ms, &ms),
	    RC_OK);
	assert_int_equal(ms, 7000);
	assert_int_equal(
	    retry_after_parse(
		span_of(clock_http(now_ms - 7000, when)), now_ms, &ms),
	    RC_OK);
	assert_int_equal(ms, 0);
	assert_int_equal(
	    retry_after_parse(SPAN("99999999999999999999999"), now_ms, &ms),
	    RC_OK);
	assert_true(ms > 0);
	assert_int_equal(
	    retry_after_parse(SPAN("soon"), now_ms, &ms), RC_INVALID);
	assert_int_equal(retry_after_parse(SPAN(""), now_ms, &ms), RC_INVALID);
	assert_int_equal(
	    retry_after_parse(SPAN("-1"), now_ms, &ms), RC_INVALID);
}

static void
test_rate_limits(void **state)
{
	int64_t n = -1;

	(void)state;
	assert_int_equal(rate_limit_parse(SPAN("100;w=21600"), &n), RC_OK);
	assert_int_equal(n, 100);
	assert_int_equal(rate_limit_parse(SPAN("0"), &n), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(rate_limit_parse(SPAN(";w=1"), &n), RC_INVALID);
	assert_int_equal(rate_limit_parse(SPAN("-1"), &n), RC_INVALID);
	assert_int_equal(rate_limit_parse(SPAN(""), &n), RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bearer_of_docker_hub),
		cmocka_unit_test(test_several_challenges_in_one_value),
		cmocka_unit_test(test_what_is_no_challenge_is_refused),
		cmocka_unit_test(test_values_that_are_not_clear_are_refused),
		cmocka_unit_test(test_values_have_a_limit),
		cmocka_unit_test(test_content_ranges),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_rate_limits),
	};

	return (cmocka_run_group_tests_name("challenge", tests, NULL, NULL));
}
