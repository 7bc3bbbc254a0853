#include "auth/policy.h"

#include "tests/unit/auth/policy_fixture.h"

#define ID POLICY_IDENTITY

#define CONDITION \
	"{\"Effect\":\"%s\",\"Action\":\"*\",\"Resource\":\"*\"," \
	"\"Condition\":%s}"

/* Does the condition hold, as an Allow and as a Deny sees it? */
static bool
holds_for(const char *effect, const char *condition,
    const struct policy_request *request)
{
	char text[2048];

	(void)snprintf(text, sizeof(text), DOC(CONDITION), effect, condition);
	return (verdict(ID, text, request) != POLICY_SILENT);
}

/* The key aws:ResourceTag/v has ${value}; NULL: is missing. */
static bool
tag_holds(
    const char *effect, const char *op, const char *values, const char *value)
{
	struct policy_request r = request_of(&build);
	struct name_value tag = { SPAN("v"), span_of(value) };
	char condition[1024];

	r.resource_tags = &tag;
	r.n_resource_tags = value != NULL;
	(void)snprintf(condition, sizeof(condition),
	    "{\"%s\":{\"aws:ResourceTag/v\":%s}}", op, values);
	return (holds_for(effect, condition, &r));
}

struct truth {
	const char *op, *values, *value;
	bool holds;
};

static void
truths_check(const struct truth *t, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (tag_holds("Allow", t[i].op, t[i].values, t[i].value) !=
		    t[i].holds)
			fail_msg("%s %s of %s", t[i].op, t[i].values,
			    t[i].value != NULL ? t[i].value : "(missing)");
}

#define TRUTHS(...) \
	do { \
		static const struct truth truths[] = { __VA_ARGS__ }; \
		(void)state; \
		truths_check(truths, ARRAY_LEN(truths)); \
	} while (0)

static void
strings_compare(void **state)
{
	TRUTHS({ "StringEquals", "\"abc\"", "abc", true },
	    { "StringEquals", "\"abc\"", "ABC", false },
	    { "StringEquals", "\"abc\"", "abcd", false },
	    { "StringEquals", "\"a*c\"", "abc", false },
	    { "StringEquals", "\"a*c\"", "a*c", true },
	    { "StringEquals", "\"\"", "", true },
	    { "StringEquals", "\"\"", "x", false },
	    { "StringEquals", "[\"x\",\"abc\"]", "abc", true },
	    { "StringEquals", "[\"x\",\"y\"]", "abc", false },
	    { "StringEquals", "7", "7", true },
	    { "StringEquals", "true", "true", true },
	    { "stringequals", "\"abc\"", "abc", true },
	    { "StringNotEquals", "\"abc\"", "abc", false },
	    { "StringNotEquals", "\"abc\"", "ABC", true },
	    { "StringNotEquals", "[\"x\",\"abc\"]", "abc", false },
	    { "StringNotEquals", "[\"x\",\"y\"]", "abc", true },
	    { "StringEqualsIgnoreCase", "\"aBc\"", "AbC", true },
	    { "StringEqualsIgnoreCase", "\"abc\"", "abd", false },
	    { "StringNotEqualsIgnoreCase", "\"aBc\"", "AbC", false },
	    { "StringNotEqualsIgnoreCase", "\"abc\"", "abd", true },
	    { "StringLike", "\"a*c\"", "abc", true },
	    { "StringLike", "\"a*c\"", "ABC", false },
	    { "StringLike", "\"a?c\"", "abc", true },
	    { "StringLike", "\"a?c\"", "ac", false },
	    { "StringLike", "\"*\"", "", true },
	    { "StringLike", "\"?\"", "\xc3\xa9", true },
	    { "StringLike", "\"??\"", "\xc3\xa9", false },
	    { "StringLike", "\"*??\"", "x\xc3\xa9", true },
	    { "StringLike", "[\"x*\",\"*c\"]", "abc", true },
	    { "StringNotLike", "\"a*c\"", "abc", false },
	    { "StringNotLike", "\"a*c\"", "abd", true });
}

static void
numbers_compare(void **state)
{
	TRUTHS({ "NumericEquals", "\"5\"", "5", true },
	    { "NumericEquals", "5", "5", true },
	    { "NumericEquals", "5", "005.00", true },
	    { "NumericEquals", "5", "+5", true },
	    { "NumericEquals", "0", "-0.0", true },
	    { "NumericEquals", "5", "6", false },
	    { "NumericEquals", "[4,5]", "5", true },
	    { "NumericEquals", "0.1", "0.1", true },
	    { "NumericEquals", "\"12345678901234567890123\"",
		"12345678901234567890124", false },
	    { "NumericEquals", "5", "five", false },
	    { "NumericEquals", "5", "", false },
	    { "NumericNotEquals", "5", "6", true },
	    { "NumericNotEquals", "5", "5.0", false },
	    { "NumericNotEquals", "[4,5]", "5", false },
	    { "NumericNotEquals", "5", "five", false },
	    { "NumericLessThan", "10", "9", true },
	    { "NumericLessThan", "10", "10", false },
	    { "NumericLessThan", "10", "-11", true },
	    { "NumericLessThan", "-10", "-11", true },
	    { "NumericLessThan", "-10", "-9", false },
	    { "NumericLessThan", "1.5", "1.49", true },
	    { "NumericLessThan", "1.5", "1.51", false },
	    { "NumericLessThan", "1.5", "1.5", false },
	    { "NumericLessThanEquals", "10", "10", true },
	    { "NumericLessThanEquals", "10", "10.01", false },
	    { "NumericGreaterThan", "10", "11", true },
	    { "NumericGreaterThan", "9", "10", true },
	    { "NumericGreaterThan", "10", "10", false },
	    { "NumericGreaterThanEquals", "10", "10", true },
	    { "NumericGreaterThanEquals", "10", "9.999", false });
}

static void
dates_compare(void **state)
{
	TRUTHS({ "DateEquals", "\"2026-01-31T12:00:00Z\"",
		   "2026-01-31T12:00:00Z", true },
	    { "DateEquals", "\"2026-01-31T12:00:00Z\"", "1769860800", true },
	    { "DateEquals", "1769860800", "2026-01-31T13:00:00+01:00", true },
	    { "DateEquals", "\"2026-01-31T12:00Z\"", "2026-01-31T07:00:00-0500",
		true },
	    { "DateEquals", "\"2026-01-31\"", "2026-01-31T00:00:00.000Z",
		true },
	    { "DateEquals", "0", "1970-01-01", true },
	    { "DateEquals", "951782400", "2000-02-29", true },
	    { "DateEquals", "\"1969-12-31T23:59:59.999Z\"",
		"1969-12-31T23:59:59.999Z", true },
	    { "DateLessThan", "0", "1969-12-31T23:59:59.999Z", true },
	    { "DateLessThan", "0", "0000-01-01", true },
	    { "DateEquals", "0", "0", true },
	    { "DateEquals", "0", "tomorrow", false },
	    { "DateNotEquals", "0", "tomorrow", false },
	    { "DateNotEquals", "0", "2001-02-29", false },
	    { "DateNotEquals", "0", "1", true },
	    { "DateNotEquals", "1", "1", false },
	    { "DateLessThan", "\"2026-01-31T12:00:00Z\"",
		"2026-01-31T11:59:59.999Z", true },
	    { "DateLessThan", "\"2026-01-31T12:00:00Z\"",
		"2026-01-31T12:00:00Z", false },
	    { "DateLessThanEquals", "\"2026-01-31T12:00:00Z\"",
		"2026-01-31T12:00:00Z", true },
	    { "DateLessThanEquals", "\"2026-01-31T12:00:00Z\"",
		"2026-01-31T12:00:00.001Z", false },
	    { "DateGreaterThan", "\"2026-01-31T12:00:00Z\"",
		"2026-02-01T00:00:00Z", true },
	    { "DateGreaterThan", "\"2026-01-31T12:00:00Z\"",
		"2026-01-31T12:00:00Z", false },
	    { "DateGreaterThanEquals", "\"2026-01-31T12:00:00Z\"",
		"2026-01-31T12:00:00Z", true },
	    { "DateGreaterThanEquals", "\"2026-01-31T12:00:00Z\"",
		"2025-12-31T12:00:00Z", false });
}

static void
truth_values_bytes_and_arns_compare(void **state)
{
	TRUTHS({ "Bool", "\"true\"", "true", true },
	    { "Bool", "true", "TRUE", true },
	    { "Bool", "\"True\"", "true", true },
	    { "Bool", "\"false\"", "true", false },
	    { "Bool", "\"false\"", "false", true },
	    { "Bool", "\"true\"", "yes", false },
	    { "Bool", "[\"true\",\"false\"]", "false", true },
	    { "BinaryEquals", "\"YWJj\"", "YWJj", true },
	    { "BinaryEquals", "\"YWJj\"", "YWJk", false },
	    { "BinaryEquals", "\"YWJj\"", "abc", false },
	    { "ArnEquals", "\"arn:aws:iam::1:user/x\"", "arn:aws:iam::1:user/x",
		true },
	    { "ArnEquals", "\"arn:aws:iam::*:user/?\"", "arn:aws:iam::1:user/x",
		true },
	    { "ArnLike", "\"arn:aws:iam::*:user/*\"", "arn:aws:iam::1:user/x",
		true },
	    { "ArnLike", "\"arn:aws:iam::*:user/*\"", "arn:aws:iam::1:role/x",
		false },
	    { "ArnLike", "\"arn:aws:iam::*\"", "arn:aws:iam::1:role/x", true },
	    { "ArnLike", "\"*\"", "arn:aws:iam::1:role/x", true },
	    { "ArnLike", "\"*\"", "no arn", false },
	    /* A part's wildcard stays in its part. */
	    { "ArnLike", "\"arn:aws:*:a:1:x\"", "arn:aws:iam:b:a:1:x", false },
	    { "ArnLike", "\"arn:aws:iam:*:1:x\"", "arn:aws:iam:a:b:1:x",
		false },
	    { "ArnLike", "\"arn:aws:ecr:eu-west-1:1:repository/x\"",
		"arn:aws:ecr:us-east-1:1:repository/x", true },
	    { "ArnNotEquals", "\"arn:aws:iam::1:user/x\"",
		"arn:aws:iam::1:user/x", false },
	    { "ArnNotEquals", "\"arn:aws:iam::1:user/x\"",
		"arn:aws:iam::1:user/y", true },
	    { "ArnNotLike", "\"arn:aws:iam::*:user/*\"",
		"arn:aws:iam::1:user/x", false },
	    { "ArnNotLike", "\"arn:aws:iam::*:user/*\"", "no arn", false });
}

static void
addresses_lie_in_ranges(void **state)
{
	TRUTHS({ "IpAddress", "\"203.0.113.0/24\"", "203.0.113.7", true },
	    { "IpAddress", "\"203.0.113.0/24\"", "203.0.114.7", false },
	    { "IpAddress", "\"203.0.113.99/24\"", "203.0.113.7", true },
	    { "IpAddress", "\"203.0.113.7\"", "203.0.113.7", true },
	    { "IpAddress", "\"203.0.113.7\"", "203.0.113.8", false },
	    { "IpAddress", "\"203.0.113.0/29\"", "203.0.113.7", true },
	    { "IpAddress", "\"203.0.113.0/29\"", "203.0.113.8", false },
	    { "IpAddress", "\"0.0.0.0/0\"", "203.0.113.7", true },
	    { "IpAddress", "\"0.0.0.0/0\"", "2001:db8::1", false },
	    { "IpAddress", "\"::/0\"", "2001:db8::1", true },
	    { "IpAddress", "\"::/0\"", "203.0.113.7", false },
	    { "IpAddress", "\"2001:db8::/33\"", "2001:db8:7fff::1", true },
	    { "IpAddress", "\"2001:db8::/33\"", "2001:db8:8000::1", false },
	    { "IpAddress", "\"2001:DB8::1\"", "2001:db8:0::1", true },
	    { "IpAddress", "\"fe80::/10\"", "fe80::1%eth0", true },
	    /* An IPv4 client on an IPv6 socket. */
	    { "IpAddress", "\"203.0.113.0/24\"", "::ffff:203.0.113.7", true },
	    { "IpAddress", "\"::ffff:203.0.113.0/120\"", "203.0.113.7", true },
	    { "IpAddress", "[\"10.0.0.0/8\",\"203.0.113.0/24\"]", "203.0.113.7",
		true },
	    { "IpAddress", "\"203.0.113.0/24\"", "localhost", false },
	    { "IpAddress", "\"203.0.113.0/24\"", "203.0.113.0/24", false },
	    { "NotIpAddress", "\"203.0.113.0/24\"", "203.0.113.7", false },
	    { "NotIpAddress", "\"203.0.113.0/24\"", "203.0.114.7", true },
	    { "NotIpAddress", "[\"10.0.0.0/8\",\"203.0.113.0/24\"]",
		"203.0.113.7", false },
	    { "NotIpAddress", "\"203.0.113.0/24\"", "localhost", false });
}

static void
a_missing_key_fails_all_but_negations(void **state)
{
	TRUTHS({ "StringEquals", "\"x\"", NULL, false },
	    { "StringEquals", "\"\"", NULL, false },
	    { "StringLike", "\"*\"", NULL, false },
	    { "StringEqualsIgnoreCase", "\"x\"", NULL, false },
	    { "NumericEquals", "0", NULL, false },
	    { "NumericLessThan", "5", NULL, false },
	    { "DateGreaterThan", "0", NULL, false },
	    { "Bool", "\"false\"", NULL, false },
	    { "BinaryEquals", "\"\"", NULL, false },
	    { "IpAddress", "\"0.0.0.0/0\"", NULL, false },
	    { "ArnLike", "\"*\"", NULL, false },
	    { "StringNotEquals", "\"x\"", NULL, true },
	    { "StringNotEqualsIgnoreCase", "\"x\"", NULL, true },
	    { "StringNotLike", "\"*\"", NULL, true },
	    { "NumericNotEquals", "5", NULL, true },
	    { "DateNotEquals", "5", NULL, true },
	    { "NotIpAddress", "\"0.0.0.0/0\"", NULL, true },
	    { "ArnNotLike", "\"*\"", NULL, true },
	    { "ArnNotEquals", "\"*\"", NULL, true });
}

static void
if_exists_lets_a_missing_key_pass(void **state)
{
	TRUTHS({ "StringEqualsIfExists", "\"x\"", NULL, true },
	    { "StringEqualsIfExists", "\"x\"", "x", true },
	    { "StringEqualsIfExists", "\"x\"", "y", false },
	    { "StringNotEqualsIfExists", "\"x\"", NULL, true },
	    { "StringNotEqualsIfExists", "\"x\"", "x", false },
	    { "NumericLessThanIfExists", "5", NULL, true },
	    { "NumericLessThanIfExists", "5", "6", false },
	    { "BoolIfExists", "\"true\"", NULL, true },
	    { "BoolIfExists", "\"true\"", "false", false },
	    { "IpAddressIfExists", "\"10.0.0.0/8\"", NULL, true },
	    { "ArnLikeifexists", "\"arn:aws:iam::*\"", NULL, true },
	    { "ForAnyValue:StringEqualsIfExists", "\"x\"", NULL, true });
}

static void
null_asks_whether_the_key_is_there(void **state)
{
	TRUTHS({ "Null", "\"true\"", NULL, true },
	    { "Null", "\"true\"", "x", false },
	    { "Null", "\"false\"", NULL, false },
	    { "Null", "false", "x", true }, { "Null", "\"false\"", "", true },
	    { "Null", "[true,false]", NULL, true },
	    { "Null", "[true,false]", "x", true });
}

static void
a_negation_over_another_type_helps_a_deny_only(void **state)
{
	(void)state;
	assert_false(tag_holds("Allow", "NotIpAddress", "\"10.0.0.0/8\"", "?"));
	assert_true(tag_holds("Deny", "NotIpAddress", "\"10.0.0.0/8\"", "?"));
	assert_false(tag_holds("Deny", "IpAddress", "\"10.0.0.0/8\"", "?"));
	assert_true(tag_holds("Deny", "NumericNotEquals", "5", "?"));
	assert_false(tag_holds("Deny", "NumericEquals", "5", "?"));
	assert_false(tag_holds(
	    "Allow", "StringNotEquals", "\"${aws:PrincipalTag/none}\"", "x"));
	assert_true(tag_holds(
	    "Deny", "StringNotEquals", "\"${aws:PrincipalTag/none}\"", "x"));
	/* One of the others says no already. */
	assert_false(tag_holds("Deny", "StringNotEquals",
	    "[\"${aws:PrincipalTag/none}\",\"x\"]", "x"));
}

/* --- keys of many values ------------------------------------------------- */

static bool
tag_keys_hold(const char *condition, const char *const *names, size_t n)
{
	struct policy_request r = request_of(&build);
	struct name_value tags[4];
	size_t i;

	for (i = 0; i < n; i++)
		tags[i] = (struct name_value){ span_of(names[i]), SPAN("v") };
	r.request_tags = tags;
	r.n_request_tags = n;
	return (holds_for("Allow", condition, &r));
}

static void
quantifiers_weigh_all_values_of_a_key(void **state)
{
	static const char *const ab[] = { "a", "b" };
	static const char *const ax[] = { "a", "x" };
	static const char *const xy[] = { "x", "y" };
	static const struct {
		const char *op;
		bool ab, ax, xy, none;
	} cases[] = {
		/* The policy names a, b, c. */
		{ "ForAllValues:StringEquals", true, false, false, true },
		{ "ForAnyValue:StringEquals", true, true, false, false },
		{ "ForAllValues:StringNotEquals", false, false, true, true },
		{ "ForAnyValue:StringNotEquals", false, true, true, false },
		{ "ForAllValues:StringEqualsIfExists", true, false, false,
		    true },
		{ "ForAnyValue:StringEqualsIfExists", true, true, false, true },
		{ "foranyvalue:stringlike", true, true, false, false },
		/* Without one: is any among them, is none among them? */
		{ "StringEquals", true, true, false, false },
		{ "StringNotEquals", false, false, true, true },
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"%s\":{\"aws:TagKeys\":[\"a\",\"b\",\"c\"]}}",
		    cases[i].op);
		if (tag_keys_hold(text, ab, 2) != cases[i].ab ||
		    tag_keys_hold(text, ax, 2) != cases[i].ax ||
		    tag_keys_hold(text, xy, 2) != cases[i].xy ||
		    tag_keys_hold(text, NULL, 0) != cases[i].none)
			fail_msg("%s", cases[i].op);
	}
	assert_true(
	    tag_keys_hold("{\"Null\":{\"aws:TagKeys\":\"true\"}}", NULL, 0));
	assert_false(
	    tag_keys_hold("{\"Null\":{\"aws:TagKeys\":\"true\"}}", ab, 2));
}

static void
quantifiers_take_one_value_for_a_list(void **state)
{
	TRUTHS({ "ForAllValues:StringEquals", "\"x\"", "x", true },
	    { "ForAllValues:StringEquals", "\"x\"", "y", false },
	    { "ForAllValues:StringEquals", "\"x\"", NULL, true },
	    { "ForAnyValue:StringEquals", "\"x\"", "x", true },
	    { "ForAnyValue:StringEquals", "\"x\"", NULL, false },
	    { "ForAnyValue:StringNotEquals", "\"x\"", NULL, false });
}

/* --- all must hold ------------------------------------------------------- */

static void
operators_and_keys_must_all_hold(void **state)
{
	struct policy_request r = request_of(&build);
	static const char both_keys[] =
	    "{\"StringEquals\":{\"aws:username\":\"build\","
	    "\"aws:PrincipalTag/team\":\"red\"}}";
	static const char one_key[] =
	    "{\"StringEquals\":{\"aws:username\":\"build\","
	    "\"aws:PrincipalTag/team\":\"blue\"}}";
	static const char both_operators[] =
	    "{\"StringEquals\":{\"aws:username\":\"build\"},"
	    "\"Bool\":{\"aws:SecureTransport\":\"true\"}}";
	static const char one_operator[] =
	    "{\"StringEquals\":{\"aws:username\":\"build\"},"
	    "\"Bool\":{\"aws:SecureTransport\":\"false\"}}";

	(void)state;
	assert_true(holds_for("Allow", both_keys, &r));
	assert_false(holds_for("Allow", one_key, &r));
	assert_true(holds_for("Allow", both_operators, &r));
	assert_false(holds_for("Allow", one_operator, &r));
	assert_true(holds_for("Allow", "{}", &r));
}

/* --- the keys ------------------------------------------------------------ */

static void
keys_say_what_the_request_says(void **state)
{
	static const struct {
		const char *condition;
		bool build, nobody;
	} cases[] = {
		{ "{\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}", true,
		    true },
		{ "{\"IpAddress\":{\"AWS:SOURCEIP\":\"203.0.113.0/24\"}}", true,
		    true },
		{ "{\"Bool\":{\"aws:SecureTransport\":\"true\"}}", true, true },
		{ "{\"bool\":{\"aws:SecureTransport\":\"false\"}}", false,
		    false },
		{ "{\"ArnLike\":{\"aws:PrincipalArn\":"
		  "\"arn:aws:iam::*:user/b*\"}}",
		    true, false },
		{ "{\"StringEquals\":{\"aws:PrincipalAccount\":\"" OWN "\"}}",
		    true, false },
		{ "{\"StringEquals\":{\"aws:PrincipalType\":\"User\"}}", true,
		    false },
		{ "{\"StringEquals\":{\"aws:PrincipalType\":\"Anonymous\"}}",
		    false, true },
		{ "{\"StringEquals\":{\"aws:PrincipalTag/team\":\"red\"}}",
		    true, false },
		{ "{\"StringEquals\":{\"aws:PrincipalTag/TEAM\":\"red\"}}",
		    true, false },
		{ "{\"Null\":{\"aws:PrincipalTag/empty\":\"false\"}}", true,
		    false },
		{ "{\"NumericGreaterThan\":{\"aws:PrincipalTag/level\":5}}",
		    true, false },
		{ "{\"DateGreaterThan\":{\"aws:CurrentTime\":"
		  "\"2026-01-31T12:00:00.122Z\"}}",
		    true, true },
		{ "{\"DateLessThan\":{\"aws:CurrentTime\":"
		  "\"2026-01-31T12:00:00.124Z\"}}",
		    true, true },
		{ "{\"DateEquals\":{\"aws:EpochTime\":\"1769860800\"}}", true,
		    true },
		{ "{\"NumericLessThan\":{\"aws:EpochTime\":1769860801}}", true,
		    true },
		{ "{\"StringLike\":{\"aws:UserAgent\":\"docker/*\"}}", true,
		    true },
		{ "{\"StringEquals\":{\"aws:username\":\"build\"}}", true,
		    false },
		{ "{\"Null\":{\"aws:username\":\"true\"}}", false, true },
		{ "{\"StringEquals\":{\"aws:userid\":\"AIDABUILD\"}}", true,
		    false },
		{ "{\"StringEquals\":{\"aws:userid\":\"anonymous\"}}", false,
		    true },
		{ "{\"StringEquals\":{\"aws:ResourceAccount\":\"" OWN "\"}}",
		    true, true },
		{ "{\"StringEquals\":{\"aws:RequestedRegion\":\"us-east-1\"}}",
		    true, true },
		{ "{\"StringEquals\":{\"ecr:ResourceTag/env\":\"prod\"}}", true,
		    true },
		{ "{\"StringEquals\":{\"aws:ResourceTag/ENV\":\"prod\"}}", true,
		    true },
		{ "{\"StringEquals\":{\"aws:ResourceTag/none\":\"prod\"}}",
		    false, false },
		{ "{\"StringEquals\":{\"aws:RequestTag/cost\":\"42\"}}", true,
		    true },
		{ "{\"ForAllValues:StringEquals\":{\"aws:TagKeys\":\"cost\"}}",
		    true, true },
		/* Not known here, hence missing. */
		{ "{\"StringLike\":{\"aws:PrincipalOrgID\":\"*\"}}", false,
		    false },
		{ "{\"StringNotLike\":{\"aws:PrincipalOrgID\":\"*\"}}", true,
		    true },
		{ "{\"StringLike\":{\"aws:PrincipalTag/\":\"*\"}}", false,
		    false },
		{ "{\"StringEquals\":{\"aws:PrincipalTag/team\":"
		  "\"${aws:PrincipalTag/team}\"}}",
		    true, false },
		{ "{\"StringLike\":{\"aws:username\":\"${aws:username}*\"}}",
		    true, false },
		{ "{\"Bool\":{\"aws:SecureTransport\":"
		  "\"${aws:SecureTransport}\"}}",
		    true, true },
	};
	static const struct name_value env = { SPAN_INIT("env"),
		SPAN_INIT("prod") };
	static const struct name_value cost = { SPAN_INIT("cost"),
		SPAN_INIT("42") };
	struct policy_request r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		r = request_of(&build);
		r.resource_tags = &env;
		r.request_tags = &cost;
		r.n_resource_tags = r.n_request_tags = 1;
		if (holds_for("Allow", cases[i].condition, &r) !=
		    cases[i].build)
			fail_msg("build: %s", cases[i].condition);
		r.principal = &nobody;
		if (holds_for("Allow", cases[i].condition, &r) !=
		    cases[i].nobody)
			fail_msg("nobody: %s", cases[i].condition);
	}
}

static void
empty_spans_are_missing_keys(void **state)
{
	struct policy_request r = request_of(&build);

	(void)state;
	r.source_ip = r.user_agent = SPAN_NONE;
	r.resource = SPAN("*");
	assert_true(
	    holds_for("Allow", "{\"Null\":{\"aws:SourceIp\":\"true\"}}", &r));
	assert_true(
	    holds_for("Allow", "{\"Null\":{\"aws:UserAgent\":\"true\"}}", &r));
	assert_true(holds_for(
	    "Allow", "{\"Null\":{\"aws:ResourceAccount\":\"true\"}}", &r));
	assert_true(holds_for(
	    "Allow", "{\"Null\":{\"aws:RequestedRegion\":\"true\"}}", &r));
}

/* --- what is refused ----------------------------------------------------- */

static void
what_nobody_understands_is_refused(void **state)
{
	static const struct {
		const char *condition, *a, *b;
	} cases[] = {
		{ "{\"StringMatches\":{\"aws:username\":\"x\"}}",
		    "\"StringMatches\"", "not a condition operator" },
		{ "{\"StringEqualsIfExist\":{\"aws:username\":\"x\"}}",
		    "IfExist", "not a condition operator" },
		{ "{\"ForSomeValues:StringEquals\":{\"aws:username\":\"x\"}}",
		    "ForSomeValues", "not a condition operator" },
		{ "{\"StringEqualsIfExistsIfExists\":{\"aws:username\":\"x\"}}",
		    "IfExists", "not a condition operator" },
		{ "{\"\":{\"aws:username\":\"x\"}}", "Condition",
		    "not a condition operator" },
		{ "{\"IfExists\":{\"aws:username\":\"x\"}}", "IfExists",
		    "not a condition operator" },
		{ "{\"NullIfExists\":{\"aws:username\":\"true\"}}",
		    "NullIfExists", "alone" },
		{ "{\"ForAllValues:Null\":{\"aws:username\":\"true\"}}",
		    "ForAllValues:Null", "alone" },
		{ "{\"Bool\":{\"aws:SecureTransport\":\"yes\"}}",
		    "Condition.Bool.aws:SecureTransport: \"yes\"",
		    "true or false" },
		{ "{\"Null\":{\"aws:username\":\"x\"}}",
		    "Condition.Null.aws:username: \"x\"", "true or false" },
		{ "{\"NumericEquals\":{\"aws:EpochTime\":\"1e3\"}}", "\"1e3\"",
		    "number" },
		{ "{\"NumericEquals\":{\"aws:EpochTime\":\"\"}}", "\"\"",
		    "number" },
		{ "{\"NumericEquals\":{\"aws:EpochTime\":\"1.\"}}", "\"1.\"",
		    "number" },
		{ "{\"NumericEquals\":{\"aws:EpochTime\":\"${aws:userid}\"}}",
		    "${aws:userid}", "number" },
		{ "{\"DateEquals\":{\"aws:CurrentTime\":\"2026-02-30\"}}",
		    "2026-02-30", "date" },
		{ "{\"DateEquals\":{\"aws:CurrentTime\":"
		  "\"2026-02-03T04:05:06\"}}",
		    "2026-02-03T04:05:06", "date" },
		{ "{\"DateEquals\":{\"aws:CurrentTime\":"
		  "\"99999999999999999999\"}}",
		    "9999", "date" },
		{ "{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/33\"}}",
		    "10.0.0.0/33", "203.0.113.0/24" },
		{ "{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0\"}}", "10.0.0",
		    "address" },
		{ "{\"IpAddress\":{\"aws:SourceIp\":\"::1/129\"}}", "::1/129",
		    "address" },
		{ "{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/\"}}",
		    "10.0.0.0/", "address" },
		{ "{\"IpAddress\":{\"aws:SourceIp\":\"\"}}", "\"\"",
		    "address" },
		{ "{\"ArnLike\":{\"aws:PrincipalArn\":\"user/x\"}}", "user/x",
		    "ARN" },
		{ "{\"BinaryEquals\":{\"aws:userid\":\"***\"}}", "***",
		    "base64" },
		{ "{\"StringEquals\":{\"username\":\"x\"}}", "\"username\"",
		    "not a condition key" },
		{ "{\"StringEquals\":{\"aws:username\":[]}}",
		    "Condition.StringEquals.aws:username", "empty" },
		{ "{\"StringEquals\":{\"aws:username\":null}}", "null",
		    "string" },
		{ "{\"StringEquals\":{\"aws:username\":[[\"x\"]]}}", "[\"x\"]",
		    "string" },
		{ "{\"StringEquals\":{\"aws:username\":{}}}", "{}", "string" },
		{ "{\"StringEquals\":{}}", "\"StringEquals\"",
		    "no condition key" },
		{ "{\"StringEquals\":\"aws:username\"}", "\"StringEquals\"",
		    "object" },
		{ "[]", "Condition: []", "object" },
		{ "{\"StringLike\":{\"aws:username\":\"${x\"}}", "${x",
		    "variable" },
	};
	char text[1024];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text), DOC(CONDITION), "Allow",
		    cases[i].condition);
		refused(ID, text, cases[i].a, cases[i].b);
		refused(ID, text, "statement 1", "Condition");
	}
}

/* --- wildcards meant to cost --------------------------------------------- */

/* Each of these is hopeless for a matcher that tries every star anew. */
/* --- what a client can make long ---------------------------------------- */

static void
a_long_user_agent_is_there_but_unseen(void **state)
{
	static const struct {
		const char *condition;
		bool allow, deny;
	} cases[] = {
		{ "{\"StringLike\":{\"aws:UserAgent\":\"aaa*\"}}", false,
		    true },
		{ "{\"StringLike\":{\"aws:UserAgent\":\"*\"}}", false, true },
		{ "{\"StringLike\":{\"aws:UserAgent\":\"b\"}}", false, true },
		{ "{\"StringEquals\":{\"aws:UserAgent\":\"b\"}}", false, true },
		{ "{\"StringNotLike\":{\"aws:UserAgent\":\"b*\"}}", false,
		    true },
		{ "{\"StringNotLike\":{\"aws:UserAgent\":\"a*\"}}", false,
		    true },
		{ "{\"StringLikeIfExists\":{\"aws:UserAgent\":\"*\"}}", false,
		    true },
		{ "{\"NumericEquals\":{\"aws:UserAgent\":1}}", false, true },
		{ "{\"StringLike\":{\"aws:PrincipalTag/team\":"
		  "\"*${aws:UserAgent}\"}}",
		    false, true },
		{ "{\"StringNotLike\":{\"aws:PrincipalTag/team\":"
		  "\"*${aws:UserAgent, 'x'}\"}}",
		    false, true },
		{ "{\"Null\":{\"aws:UserAgent\":false}}", true, true },
		{ "{\"Null\":{\"aws:UserAgent\":true}}", false, false },
		{ "{\"StringLike\":{\"aws:username\":\"build\"}}", true, true },
	};
	static char agent[POLICY_SEEN_MAX_BYTES + 1];
	struct policy_request r = request_of(&build);
	size_t i;

	(void)state;
	memset(agent, 'a', sizeof(agent));
	r.user_agent = (struct span){ agent, sizeof(agent) };
	for (i = 0; i < ARRAY_LEN(cases); i++)
		if (holds_for("Allow", cases[i].condition, &r) !=
			cases[i].allow ||
		    holds_for("Deny", cases[i].condition, &r) != cases[i].deny)
			fail_msg("%s", cases[i].condition);
	/* As long as may be is looked at. */
	r.user_agent.n--;
	assert_true(holds_for("Allow", cases[0].condition, &r));
	assert_false(holds_for("Deny", cases[2].condition, &r));
	assert_true(holds_for("Allow", cases[4].condition, &r));
}

static void
a_long_tag_of_a_request_is_unseen_beside_others(void **state)
{
	static char text[POLICY_SEEN_MAX_BYTES + 1];
	struct policy_request r = request_of(&build);
	const struct name_value tags[] = {
		{ { text, sizeof(text) }, SPAN("1") },
		{ SPAN("team"), { text, sizeof(text) } },
	};

	(void)state;
	memset(text, 'a', sizeof(text));
	r.request_tags = tags;
	r.n_request_tags = 2;
#define TAG_KEYS(op, value) "{\"" op "\":{\"aws:TagKeys\":\"" value "\"}}"
	assert_true(holds_for(
	    "Allow", TAG_KEYS("ForAnyValue:StringEquals", "team"), &r));
	assert_false(
	    holds_for("Allow", TAG_KEYS("ForAllValues:StringLike", "*"), &r));
	assert_true(
	    holds_for("Deny", TAG_KEYS("ForAnyValue:StringEquals", "x"), &r));
	assert_false(holds_for(
	    "Allow", "{\"StringLike\":{\"aws:RequestTag/team\":\"*\"}}", &r));
	assert_true(holds_for(
	    "Deny", "{\"StringEquals\":{\"aws:RequestTag/team\":\"x\"}}", &r));
}

/* The longest that is looked at, and as much to compare it with as fits. */
static enum policy_verdict
hopeless(const char *effect, const char *value, const char *last)
{
	static char agent[POLICY_SEEN_MAX_BYTES];
	char text[POLICY_TEXT_MAX_BYTES + 1];
	struct policy_request r = request_of(&build);
	size_t n;

	memset(agent, 'a', sizeof(agent));
	r.user_agent = (struct span){ agent, sizeof(agent) };
	n = (size_t)snprintf(text, sizeof(text),
	    "{\"Statement\":{\"Effect\":\"%s\",\"Action\":\"*\","
	    "\"Resource\":\"*\",\"Condition\":{\"StringLike\":{"
	    "\"aws:UserAgent\":[",
	    effect);
	while (n + strlen(value) + 32 < sizeof(text))
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "\"%s\",", value);
	(void)snprintf(text + n, sizeof(text) - n, "\"%s\"]}}}}", last);
	return (verdict(ID, text, &r));
}

static void
hopeless_patterns_come_to_an_end(void **state)
{
	static const char *const values[] = {
		"*a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?b*",
		"*baaaaaaaaaaa*", "*?b*"
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(values); i++) {
		assert_int_equal(
		    hopeless("Allow", values[i], "x"), POLICY_SILENT);
		/* The last would match, but nobody comes that far. */
		assert_int_equal(
		    hopeless("Allow", values[i], "*"), POLICY_SILENT);
		assert_int_equal(
		    hopeless("Deny", values[i], "x"), POLICY_DENIES);
	}
	assert_int_equal(hopeless("Allow", "b*", "*"), POLICY_ALLOWS);
	assert_int_equal(hopeless("Deny", "b*", "x"), POLICY_SILENT);
}

static void
stars_find_their_places(void **state)
{
	TRUTHS({ "StringLike", "\"*ab\"", "aab", true },
	    { "StringLike", "\"*ab*ab\"", "ab", false },
	    { "StringLike", "\"*ab*ab\"", "abab", true },
	    { "StringLike", "\"a*a\"", "a", false },
	    { "StringLike", "\"a*a\"", "aa", true },
	    { "StringLike", "\"a**a\"", "aa", true },
	    { "StringLike", "\"*a?b*\"", "xaabaxby", true },
	    { "StringLike", "\"*a?b*\"", "xabab", false },
	    { "StringLike", "\"*?b\"", "b", false },
	    { "StringLike", "\"*?b\"", "abxx", false },
	    { "StringLike", "\"*?b\"", "ab", true },
	    { "StringLike", "\"?*?\"", "a", false },
	    { "StringLike", "\"?*?\"", "ab", true },
	    { "StringLike", "\"*?*?*\"", "ab", true },
	    { "StringLike", "\"*a*b*c*\"", "xxaxxbxxcxx", true },
	    { "StringLike", "\"*a*b*c*\"", "xxaxxcxxbxx", false },
	    { "StringLike", "\"abc*\"", "ab", false },
	    { "StringLike", "\"*abc\"", "bc", false },
	    { "StringLike", "\"ab*bc\"", "abc", false });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_compare),
		cmocka_unit_test(numbers_compare),
		cmocka_unit_test(dates_compare),
		cmocka_unit_test(truth_values_bytes_and_arns_compare),
		cmocka_unit_test(addresses_lie_in_ranges),
		cmocka_unit_test(a_missing_key_fails_all_but_negations),
		cmocka_unit_test(if_exists_lets_a_missing_key_pass),
		cmocka_unit_test(null_asks_whether_the_key_is_there),
		cmocka_unit_test(
		    a_negation_over_another_type_helps_a_deny_only),
		cmocka_unit_test(quantifiers_weigh_all_values_of_a_key),
		cmocka_unit_test(quantifiers_take_one_value_for_a_list),
		cmocka_unit_test(operators_and_keys_must_all_hold),
		cmocka_unit_test(keys_say_what_the_request_says),
		cmocka_unit_test(empty_spans_are_missing_keys),
		cmocka_unit_test(what_nobody_understands_is_refused),
		cmocka_unit_test(a_long_user_agent_is_there_but_unseen),
		cmocka_unit_test(
		    a_long_tag_of_a_request_is_unseen_beside_others),
		cmocka_unit_test(hopeless_patterns_come_to_an_end),
		cmocka_unit_test(stars_find_their_places),
	};

	return (
	    cmocka_run_group_tests_name("policy_condition", tests, NULL, NULL));
}
