#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/decide.h"
#include "auth/policy.h"
#include "base/obj.h"

/*
 * The input is a policy.  As one of each kind it is taken or refused with a
 * reason; what is taken is asked on behalf of everybody, twice, and decided,
 * with and without a cache.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct name_value tags[] = {
	{ SPAN_INIT("team"), SPAN_INIT("red") },
	{ SPAN_INIT("n"), SPAN_INIT("-1.50") },
	{ SPAN_INIT("empty"), SPAN_INIT("") },
	{ SPAN_INIT("date"), SPAN_INIT("2026-01-31T12:00:00Z") },
};

static const struct principal whos[] = {
	{ .kind = PRINCIPAL_USER,
	    .account = SPAN_INIT("000000000000"),
	    .name = SPAN_INIT("build"),
	    .arn = SPAN_INIT("arn:aws:iam::000000000000:user/build"),
	    .id = SPAN_INIT("AIDABUILD"),
	    .tags = tags,
	    .n_tags = ARRAY_LEN(tags) },
	{ .kind = PRINCIPAL_USER,
	    .account = SPAN_INIT("111122223333"),
	    .name = SPAN_INIT("guest"),
	    .arn = SPAN_INIT("arn:aws:iam::111122223333:user/guest") },
	{ .kind = PRINCIPAL_ANONYMOUS, .name = SPAN_INIT("anonymous") },
	{ .kind = PRINCIPAL_EVERYBODY },
};

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A512 A64 A64 A64 A64 A64 A64 A64 A64

static const struct policy_request requests[] = {
	{ .action = SPAN_INIT("ecr:PutImage"),
	    .resource = SPAN_INIT(
		"arn:aws:ecr:us-east-1:000000000000:repository/" A64 A64),
	    .user_agent = SPAN_INIT(A512),
	    .request_tags = tags,
	    .n_request_tags = ARRAY_LEN(tags) },
	{ .action = SPAN_INIT("ecr:BatchGetImage"),
	    .resource = SPAN_INIT(
		"arn:aws:ecr:us-east-1:000000000000:repository/team/app"),
	    .source_ip = SPAN_INIT("203.0.113.7"),
	    .user_agent = SPAN_INIT("docker/24.0.5 aaaaaaaaaaaaaaaaaaaaaaaa"),
	    .secure = true,
	    .now_ms = INT64_C(1769860800123),
	    .resource_tags = tags,
	    .n_resource_tags = ARRAY_LEN(tags),
	    .request_tags = tags,
	    .n_request_tags = ARRAY_LEN(tags) },
	{ .action = SPAN_INIT("sts:GetCallerIdentity"),
	    .resource = SPAN_INIT("*"),
	    .source_ip = SPAN_INIT("2001:db8::1"),
	    .user_agent = SPAN_INIT(A512 "a"), /* too long to be looked at */
	    .now_ms = -1 },
	{ .now_ms = INT64_MAX },
};

static void
match_check(const struct policy *p, struct span text,
    const struct policy_request *request)
{
	struct policy_match a, b;

	policy_evaluate(p, request, &a);
	policy_evaluate(p, request, &b);
	must(memcmp(&a.verdict, &b.verdict, sizeof(a.verdict)) == 0);
	must(a.statement == b.statement && a.sid == b.sid);
	must(a.conditional == b.conditional);
	must(a.statement <= policy_statements(p));
	must((a.verdict == POLICY_SILENT) == (a.statement == 0));
	/* A word that is not in the text, as far as it has no escapes. */
	if (memchr(text.p, '\\', text.n) == NULL) {
		must(a.verdict != POLICY_DENIES ||
		     memmem(text.p, text.n, "Deny", 4) != NULL);
		must(a.verdict != POLICY_ALLOWS ||
		     memmem(text.p, text.n, "Allow", 5) != NULL);
	}
}

static void
decision_check(
    enum policy_kind kind, const struct policy *p, struct decide_input *input)
{
	struct attached_policy attached = { p, "it" };
	struct principal who = *input->request.principal;
	struct decide_cache *cache = decide_cache_new();
	const uint64_t epoch[3] = { 0 };
	char text[DECIDE_MESSAGE_BYTES];
	struct decision plain, cached;
	int turn;

	who.policies = &attached;
	who.n_policies = kind == POLICY_IDENTITY && who.kind == PRINCIPAL_USER;
	input->request.principal = &who;
	input->repository = kind == POLICY_REPOSITORY ? p : NULL;
	input->registry = kind == POLICY_REGISTRY ? p : NULL;
	decide(input, &plain);
	must(!(plain.allowed && plain.explicit_deny));
	must(strlen(decide_message(input, &plain, text)) > 0);
	for (turn = 0; turn < 2; turn++) {
		decide_cached(cache, epoch, input, &cached);
		must(cached.allowed == plain.allowed);
		must(cached.explicit_deny == plain.explicit_deny);
		must(cached.by == plain.by && cached.sid == plain.sid);
		must(cached.statement == plain.statement);
		must(cached.label == plain.label);
	}
	decide_cache_free(&cache);
}

static void
policy_check(enum policy_kind kind, const struct policy *p, struct span text)
{
	struct decide_input input = { .account = SPAN("000000000000") };
	struct policy_request request;
	size_t i, k;

	must(policy_statements(p) > 0);
	for (i = 0; i < ARRAY_LEN(whos); i++)
		for (k = 0; k < ARRAY_LEN(requests); k++) {
			request = requests[k];
			request.principal = &whos[i];
			match_check(p, text, &request);
		}
	input.request = requests[0];
	input.request.principal = &whos[text.n % ARRAY_LEN(whos)];
	decision_check(kind, p, &input);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum policy_kind kinds[] = { POLICY_IDENTITY,
		POLICY_REPOSITORY, POLICY_REGISTRY };
	struct span text = { (const char *)data, size };
	char why[POLICY_WHY_BYTES];
	struct policy *p;
	enum rc rc;
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		memset(why, 'w', sizeof(why));
		rc = policy_parse(kinds[i], text, why, &p);
		must(memchr(why, '\0', sizeof(why)) != NULL);
		must((rc == RC_OK) == (p != NULL));
		must((rc == RC_OK) == (why[0] == '\0'));
		must(rc == RC_OK || rc == RC_INVALID ||
		     (rc == RC_TOOBIG && size > POLICY_TEXT_MAX_BYTES));
		if (rc == RC_OK)
			policy_check(kinds[i], p, text);
		policy_unref(&p);
	}
	return (0);
}
