#ifndef POLICY_FIXTURE_H
#define POLICY_FIXTURE_H

/*
 * What the tests of policies and decisions share: users, and a request of one
 * of them.  Each test is one executable, so this is a header of functions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/policy.h"
#include "base/obj.h"

#define OWN "000000000000"
#define OTHER "111122223333"
#define APP "arn:aws:ecr:us-east-1:" OWN ":repository/team/app"
#define PULL "ecr:BatchGetImage"

/* 2026-01-31T12:00:00.123Z */
#define NOON_MS INT64_C(1769860800123)

#define V12 "\"Version\":\"2012-10-17\","
#define DOC(statement) "{" V12 "\"Statement\":[" statement "]}"
#define ALLOW_PULL \
	"\"Effect\":\"Allow\",\"Action\":\"" PULL "\",\"Resource\":\"*\""

static const struct name_value build_tags[] = {
	{ SPAN_INIT("team"), SPAN_INIT("red") },
	{ SPAN_INIT("Level"), SPAN_INIT("7") },
	{ SPAN_INIT("empty"), SPAN_INIT("") },
	{ SPAN_INIT("case"), SPAN_INIT("lower") },
	{ SPAN_INIT("Case"), SPAN_INIT("upper") },
	{ SPAN_INIT("star"), SPAN_INIT("*") },
};

__attribute__((unused)) static const struct principal build = {
	.kind = PRINCIPAL_USER,
	.account = SPAN_INIT(OWN),
	.name = SPAN_INIT("build"),
	.arn = SPAN_INIT("arn:aws:iam::" OWN ":user/build"),
	.id = SPAN_INIT("AIDABUILD"),
	.tags = build_tags,
	.n_tags = sizeof(build_tags) / sizeof(build_tags[0]),
};

__attribute__((unused)) static const struct principal guest = {
	.kind = PRINCIPAL_USER,
	.account = SPAN_INIT(OTHER),
	.name = SPAN_INIT("guest"),
	.arn = SPAN_INIT("arn:aws:iam::" OTHER ":user/guest"),
	.id = SPAN_INIT("AIDAGUEST"),
};

__attribute__((unused)) static const struct principal nobody = {
	.kind = PRINCIPAL_ANONYMOUS,
	.name = SPAN_INIT("anonymous"),
};

static inline struct policy_request
request_of(const struct principal *p)
{
	return ((struct policy_request){
	    .principal = p,
	    .action = SPAN(PULL),
	    .resource = SPAN(APP),
	    .source_ip = SPAN("203.0.113.7"),
	    .user_agent = SPAN("docker/24.0.5 go/go1.20.6"),
	    .secure = true,
	    .now_ms = NOON_MS,
	});
}

static inline struct policy *
parsed(enum policy_kind kind, const char *text)
{
	char why[POLICY_WHY_BYTES];
	struct policy *p;

	if (policy_parse(kind, span_of(text), why, &p) != RC_OK)
		fail_msg("%s\n%s", why, text);
	assert_string_equal(why, "");
	return (p);
}

/* What ${text} says to ${request}. */
static inline struct policy_match
asked(enum policy_kind kind, const char *text,
    const struct policy_request *request)
{
	struct policy *p = parsed(kind, text);
	struct policy_match m;

	policy_evaluate(p, request, &m);
	/* The Sid lives with the policy. */
	m.sid = NULL;
	policy_unref(&p);
	return (m);
}

static inline enum policy_verdict
verdict(enum policy_kind kind, const char *text,
    const struct policy_request *request)
{
	return (asked(kind, text, request).verdict);
}

/* ${text} is refused, and the reason has ${a} and ${b} in it. */
static inline void
refused(enum policy_kind kind, const char *text, const char *a, const char *b)
{
	char why[POLICY_WHY_BYTES];
	struct policy *p;

	memset(why, 'w', sizeof(why));
	if (policy_parse(kind, span_of(text), why, &p) != RC_INVALID)
		fail_msg("taken: %s", text);
	assert_null(p);
	assert_non_null(memchr(why, '\0', sizeof(why)));
	if (strstr(why, a) == NULL || strstr(why, b) == NULL)
		fail_msg("\"%s\" and \"%s\" are not in: %s", a, b, why);
}

#endif
