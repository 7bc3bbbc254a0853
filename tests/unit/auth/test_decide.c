#include "auth/decide.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "tests/unit/auth/policy_fixture.h"

#define STATEMENT(effect, action) \
	"{\"Sid\":\"" effect "\",\"Effect\":\"" effect \
	"\",\"Action\":\"" action "\",\"Resource\":\"*\"}"
#define FOR(effect, who) \
	DOC("{\"Sid\":\"" effect "\",\"Effect\":\"" effect "\",\"Action\":" \
	    "\"ecr:*\",\"Resource\":\"*\",\"Principal\":" who "}")

static const char allow[] = DOC(STATEMENT("Allow", "ecr:*"));
static const char deny[] = DOC(STATEMENT("Deny", "ecr:*"));
static const char other[] = DOC(STATEMENT("Allow", "ecr:PutImage"));

static const char for_all[] = FOR("Allow", "\"*\"");
static const char for_own[] = FOR("Allow", "{\"AWS\":\"" OWN "\"}");
static const char for_build[] =
    FOR("Allow", "{\"AWS\":\"arn:aws:iam::" OWN ":user/build\"}");
static const char for_other[] = FOR("Allow", "{\"AWS\":\"" OTHER "\"}");
static const char for_guest[] =
    FOR("Allow", "{\"AWS\":\"arn:aws:iam::" OTHER ":user/guest\"}");
static const char deny_all[] = FOR("Deny", "\"*\"");
static const char deny_other[] = FOR("Deny", "{\"AWS\":\"" OTHER "\"}");

static const struct principal everybody = {
	.kind = PRINCIPAL_EVERYBODY,
	.account = SPAN_INIT(OWN),
	.name = SPAN_INIT("local"),
	.arn = SPAN_INIT("arn:aws:iam::" OWN ":root"),
};

/* One question, and what it is made of. */
struct question {
	struct principal who;
	struct attached_policy attached[2];
	struct policy *identity[2], *repository, *registry;
	struct decide_input input;
};

static struct policy *
parsed_or_none(enum policy_kind kind, const char *text)
{
	return (text != NULL ? parsed(kind, text) : NULL);
}

static void
question_make(struct question *q, const struct principal *who,
    const char *identity, const char *repository, const char *registry)
{
	*q = (struct question){ .who = *who };
	q->identity[0] = parsed_or_none(POLICY_IDENTITY, identity);
	q->repository = parsed_or_none(POLICY_REPOSITORY, repository);
	q->registry = parsed_or_none(POLICY_REGISTRY, registry);
	q->attached[0] =
	    (struct attached_policy){ q->identity[0], "its policy" };
	q->who.policies = q->attached;
	q->who.n_policies = identity != NULL;
	q->input.request = request_of(&q->who);
	q->input.account = SPAN(OWN);
	q->input.repository = q->repository;
	q->input.registry = q->registry;
}

static void
question_free(struct question *q)
{
	policy_unref(&q->identity[0]);
	policy_unref(&q->identity[1]);
	policy_unref(&q->repository);
	policy_unref(&q->registry);
}

static struct decision
decided(const struct principal *who, const char *identity,
    const char *repository, const char *registry)
{
	struct question q;
	struct decision d;

	question_make(&q, who, identity, repository, registry);
	decide(&q.input, &d);
	d.sid = NULL;
	question_free(&q);
	return (d);
}

/* --- the rules ----------------------------------------------------------- */

static void
the_rules_of_iam(void **state)
{
	static const struct {
		const struct principal *who;
		const char *identity, *repository, *registry;
		bool allowed;
		enum decide_by by;
		bool explicit_deny, resource_silent;
	} cases[] = {
		/* The registry's own account: either side. */
		{ &build, NULL, NULL, NULL, false, DECIDED_BY_NOTHING },
		{ &build, other, NULL, NULL, false, DECIDED_BY_NOTHING },
		{ &build, allow, NULL, NULL, true, DECIDED_BY_IDENTITY },
		{ &build, NULL, for_all, NULL, true, DECIDED_BY_REPOSITORY },
		{ &build, NULL, for_build, NULL, true, DECIDED_BY_REPOSITORY },
		{ &build, NULL, for_own, NULL, false, DECIDED_BY_NOTHING },
		{ &build, NULL, for_other, NULL, false, DECIDED_BY_NOTHING },
		{ &build, NULL, NULL, for_build, true, DECIDED_BY_REGISTRY },
		{ &build, NULL, NULL, for_own, false, DECIDED_BY_NOTHING },
		{ &build, NULL, for_own, for_all, true, DECIDED_BY_REGISTRY },
		{ &build, NULL, for_all, for_own, true, DECIDED_BY_REPOSITORY },
		{ &build, allow, for_own, NULL, true, DECIDED_BY_IDENTITY },
		/* A Deny anywhere. */
		{ &build, deny, for_all, NULL, false, DECIDED_BY_IDENTITY,
		    true },
		{ &build, allow, deny_all, NULL, false, DECIDED_BY_REPOSITORY,
		    true },
		{ &build, allow, for_all, deny_all, false, DECIDED_BY_REGISTRY,
		    true },
		{ &build, allow, deny_other, NULL, true, DECIDED_BY_IDENTITY },
		/* Another account: both sides. */
		{ &guest, NULL, NULL, NULL, false, DECIDED_BY_NOTHING, false,
		    true },
		{ &guest, allow, NULL, NULL, false, DECIDED_BY_NOTHING, false,
		    true },
		{ &guest, NULL, for_other, NULL, false, DECIDED_BY_NOTHING },
		{ &guest, NULL, for_all, NULL, false, DECIDED_BY_NOTHING },
		{ &guest, NULL, for_guest, NULL, false, DECIDED_BY_NOTHING },
		{ &guest, allow, for_own, NULL, false, DECIDED_BY_NOTHING,
		    false, true },
		{ &guest, allow, for_other, NULL, true, DECIDED_BY_REPOSITORY },
		{ &guest, allow, for_guest, NULL, true, DECIDED_BY_REPOSITORY },
		{ &guest, allow, for_all, NULL, true, DECIDED_BY_REPOSITORY },
		{ &guest, allow, NULL, for_other, true, DECIDED_BY_REGISTRY },
		{ &guest, allow, deny_other, for_other, false,
		    DECIDED_BY_REPOSITORY, true },
		{ &guest, deny, for_all, NULL, false, DECIDED_BY_IDENTITY,
		    true },
		/* Nobody in particular. */
		{ &nobody, NULL, NULL, NULL, false, DECIDED_BY_NOTHING, false,
		    true },
		{ &nobody, NULL, for_all, NULL, true, DECIDED_BY_REPOSITORY },
		{ &nobody, NULL, NULL, for_all, true, DECIDED_BY_REGISTRY },
		{ &nobody, NULL, for_own, NULL, false, DECIDED_BY_NOTHING,
		    false, true },
		{ &nobody, NULL, for_all, deny_all, false, DECIDED_BY_REGISTRY,
		    true },
		/* No authentication. */
		{ &everybody, NULL, NULL, NULL, true, DECIDED_BY_AUTH_NONE },
		{ &everybody, NULL, deny_all, NULL, true,
		    DECIDED_BY_AUTH_NONE },
	};
	struct decision d;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		d = decided(cases[i].who, cases[i].identity,
		    cases[i].repository, cases[i].registry);
		if (d.allowed != cases[i].allowed || d.by != cases[i].by ||
		    d.explicit_deny != cases[i].explicit_deny ||
		    d.resource_silent != cases[i].resource_silent)
			fail_msg("case %zu", i);
		assert_int_equal(d.statement,
		    d.by == DECIDED_BY_NOTHING || d.by == DECIDED_BY_AUTH_NONE
			? 0
			: 1);
		assert_int_equal(d.label != NULL, d.by == DECIDED_BY_IDENTITY);
	}
}

static void
a_later_policy_may_deny_what_an_earlier_allows(void **state)
{
	struct question q;
	struct decision d;

	(void)state;
	question_make(&q, &build, allow, NULL, NULL);
	q.identity[1] = parsed(POLICY_IDENTITY, deny);
	q.attached[1] = (struct attached_policy){ q.identity[1], "second" };
	q.who.n_policies = 2;
	decide(&q.input, &d);
	assert_false(d.allowed);
	assert_true(d.explicit_deny);
	assert_string_equal(d.label, "second");
	assert_string_equal(d.sid, "Deny");
	question_free(&q);
}

static void
a_token_and_sts_are_the_callers_own_affair(void **state)
{
	static const char any[] = DOC(STATEMENT("Allow", "*"));
	struct question q;
	struct decision d;

	(void)state;
	question_make(&q, &guest, any, NULL, NULL);
	q.input.request.resource = SPAN("*");
	q.input.request.action = SPAN("ecr:GetAuthorizationToken");
	decide(&q.input, &d);
	assert_true(d.allowed);
	q.input.request.action = SPAN("sts:GetSessionToken");
	decide(&q.input, &d);
	assert_true(d.allowed);
	q.input.request.action = SPAN("ecr:PutRegistryPolicy");
	decide(&q.input, &d);
	assert_false(d.allowed);
	assert_true(d.resource_silent);
	question_free(&q);
}

/* --- in words ------------------------------------------------------------ */

#define SAYS(who, identity, repository, registry, text) \
	do { \
		struct question q_; \
		struct decision d_; \
		char out_[DECIDE_MESSAGE_BYTES]; \
		question_make(&q_, who, identity, repository, registry); \
		decide(&q_.input, &d_); \
		assert_string_equal( \
		    decide_message(&q_.input, &d_, out_), text); \
		question_free(&q_); \
	} while (0)
#define NOT_AUTHORIZED(who) \
	"User: " who " is not authorized to perform: ecr:BatchGetImage on " \
	"resource: " APP
#define BUILD_ARN "arn:aws:iam::" OWN ":user/build"
#define GUEST_ARN "arn:aws:iam::" OTHER ":user/guest"

static void
messages_are_those_of_aws(void **state)
{
	(void)state;
	SAYS(&build, NULL, NULL, NULL,
	    NOT_AUTHORIZED(BUILD_ARN) " because no identity-based policy "
				      "allows the ecr:BatchGetImage action");
	SAYS(&guest, allow, NULL, NULL,
	    NOT_AUTHORIZED(GUEST_ARN) " because no resource-based policy "
				      "allows the ecr:BatchGetImage action");
	SAYS(&guest, NULL, for_other, NULL,
	    NOT_AUTHORIZED(GUEST_ARN) " because no identity-based policy "
				      "allows the ecr:BatchGetImage action");
	SAYS(&build, deny, NULL, NULL,
	    NOT_AUTHORIZED(
		BUILD_ARN) " with an explicit deny in an identity-based "
			   "policy");
	SAYS(&build, allow, deny_all, NULL,
	    NOT_AUTHORIZED(
		BUILD_ARN) " with an explicit deny in a resource-based policy");
	SAYS(&build, allow, NULL, deny_all,
	    NOT_AUTHORIZED(
		BUILD_ARN) " with an explicit deny in a resource-based policy");
	SAYS(&nobody, NULL, NULL, NULL,
	    NOT_AUTHORIZED("anonymous") " because no resource-based policy "
					"allows the ecr:BatchGetImage action");
	SAYS(&build, allow, NULL, NULL,
	    "User: " BUILD_ARN " is authorized to perform: ecr:BatchGetImage "
	    "on resource: " APP);
}

static void
a_message_has_room_for_the_longest_names(void **state)
{
	static char name[4096];
	struct question q;
	struct decision d;
	char out[DECIDE_MESSAGE_BYTES];

	(void)state;
	memset(name, 'n', sizeof(name));
	question_make(&q, &build, NULL, NULL, NULL);
	q.who.arn = (struct span){ name, sizeof(name) };
	q.input.request.action = q.input.request.resource = q.who.arn;
	decide(&q.input, &d);
	(void)decide_message(&q.input, &d, out);
	assert_non_null(strstr(out, " action"));
	question_free(&q);
}

/* --- the cache ----------------------------------------------------------- */

static const uint64_t epoch_1[3] = { 1, 1, 1 };
static const uint64_t epoch_2[3] = { 1, 2, 1 };

static bool
cached(struct decide_cache *c, const uint64_t epoch[3], struct question *q)
{
	struct decision d, plain;

	decide_cached(c, epoch, &q->input, &d);
	decide(&q->input, &plain);
	if (d.allowed == plain.allowed) {
		assert_int_equal(d.by, plain.by);
		assert_int_equal(d.explicit_deny, plain.explicit_deny);
		assert_int_equal(d.resource_silent, plain.resource_silent);
		assert_int_equal(d.statement, plain.statement);
		assert_ptr_equal(d.sid, plain.sid);
		assert_ptr_equal(d.label, plain.label);
	}
	return (d.allowed);
}

static void
what_is_remembered_is_what_was_decided(void **state)
{
	static const char *const identity[] = { NULL, allow, deny, other };
	static const char *const repository[] = { NULL, for_all, for_own,
		for_other, deny_all };
	static const struct principal *const who[] = { &build, &guest, &nobody,
		&everybody };
	struct decide_cache *c = decide_cache_new();
	uint64_t epoch[3] = { 0 };
	struct question q;
	size_t i, k, w, turn;

	(void)state;
	for (w = 0; w < ARRAY_LEN(who); w++)
		for (i = 0; i < ARRAY_LEN(identity); i++)
			for (k = 0; k < ARRAY_LEN(repository); k++) {
				question_make(&q, who[w], identity[i],
				    repository[k], NULL);
				epoch[0]++;
				for (turn = 0; turn < 3; turn++)
					(void)cached(c, epoch, &q);
				question_free(&q);
			}
	decide_cache_free(&c);
	assert_null(c);
	decide_cache_free(&c);
}

/* The policy under the same epoch is another: the old answer shows. */
static void
an_answer_is_remembered_until_the_epoch_changes(void **state)
{
	struct decide_cache *c = decide_cache_new();
	struct question q;

	(void)state;
	question_make(&q, &build, NULL, for_all, NULL);
	assert_true(cached(c, epoch_1, &q));
	policy_unref(&q.repository);
	q.input.repository = q.repository =
	    parsed(POLICY_REPOSITORY, for_other);
	assert_true(cached(c, epoch_1, &q));
	assert_false(cached(c, epoch_2, &q));
	assert_false(cached(c, epoch_2, &q));
	assert_false(cached(c, (const uint64_t[3]){ 9, 1, 1 }, &q));
	question_free(&q);
	decide_cache_free(&c);
}

static void
sids_of_a_remembered_answer_are_of_the_askers_policies(void **state)
{
	struct decide_cache *c = decide_cache_new();
	struct question q;
	struct policy *old;

	(void)state;
	question_make(&q, &build, NULL, for_all, NULL);
	assert_true(cached(c, epoch_1, &q));
	/* Parsed again, the first one gone: cached() compares pointers. */
	old = q.repository;
	q.input.repository = q.repository = parsed(POLICY_REPOSITORY, for_all);
	policy_unref(&old);
	assert_true(cached(c, epoch_1, &q));
	question_free(&q);
	decide_cache_free(&c);
}

static void
whatever_differs_is_another_question(void **state)
{
	static const char mine[] =
	    DOC("{\"Effect\":\"Allow\",\"Action\":\"ecr:Batch*Image\","
		"\"Resource\":"
		"\"arn:aws:ecr:*:*:repository/${aws:username}/*\"}");
	struct decide_cache *c = decide_cache_new();
	struct question q, r;

	(void)state;
	question_make(&q, &build, mine, NULL, NULL);
	q.input.request.resource =
	    SPAN("arn:aws:ecr:us-east-1:" OWN ":repository/build/x");
	assert_true(cached(c, epoch_1, &q));
	assert_true(cached(c, epoch_1, &q));
	q.input.request.resource =
	    SPAN("arn:aws:ecr:us-east-1:" OWN ":repository/builx/d");
	assert_false(cached(c, epoch_1, &q));
	q.input.request.resource =
	    SPAN("arn:aws:ecr:us-east-1:" OWN ":repository/build/x");
	q.input.request.action = SPAN("ecr:PutImage");
	assert_false(cached(c, epoch_1, &q));
	q.input.request.action = SPAN(PULL);
	/* The same bytes, cut elsewhere. */
	q.who.name = SPAN("buil");
	assert_false(cached(c, epoch_1, &q));
	q.who.name = build.name;
	assert_true(cached(c, epoch_1, &q));
	/* The same name with other policies. */
	question_make(&r, &build, other, NULL, NULL);
	r.input.request.resource = q.input.request.resource;
	assert_false(cached(c, epoch_1, &r));
	q.input.account = SPAN(OTHER);
	assert_false(cached(c, epoch_1, &q));
	question_free(&q);
	question_free(&r);
	decide_cache_free(&c);
}

static void
what_depends_on_the_request_is_decided_anew(void **state)
{
	static const char inside[] =
	    DOC("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
		"\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":"
		"\"203.0.113.0/24\"}}}");
	struct decide_cache *c = decide_cache_new();
	struct question q;

	(void)state;
	question_make(&q, &build, inside, NULL, NULL);
	assert_true(cached(c, epoch_1, &q));
	q.input.request.source_ip = SPAN("198.51.100.1");
	assert_false(cached(c, epoch_1, &q));
	q.input.request.source_ip = SPAN("203.0.113.9");
	assert_true(cached(c, epoch_1, &q));
	question_free(&q);
	decide_cache_free(&c);
}

static void
what_is_too_long_to_remember_is_decided(void **state)
{
	static char name[2048];
	struct decide_cache *c = decide_cache_new();
	struct question q;

	(void)state;
	memset(name, 'n', sizeof(name));
	question_make(&q, &build, allow, NULL, NULL);
	q.input.request.resource = (struct span){ name, sizeof(name) };
	assert_true(cached(c, epoch_1, &q));
	assert_true(cached(c, epoch_1, &q));
	question_free(&q);
	decide_cache_free(&c);
}

/* --- many threads -------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 20000
#define NAMES 9000 /* more than are remembered */

static struct {
	struct decide_cache *cache;
	struct question *q;
	_Atomic unsigned wrong;
} crowd;

static void
crowd_ask(void *arg)
{
	uint32_t x = *(uint32_t *)arg;
	uint64_t epoch[3] = { 1, 1, 1 };
	struct decide_input input = crowd.q->input;
	char resource[128];
	struct decision d;
	unsigned i, n;

	for (i = 0; i < ROUNDS; i++) {
		x = x * 1664525u + 1013904223u;
		/* Half of the time one of a few. */
		n = (x >> 8) % ((x >> 28) & 1 ? NAMES : 50);
		(void)snprintf(resource, sizeof(resource),
		    "arn:aws:ecr:us-east-1:" OWN ":repository/%s/%u",
		    n % 2 == 0 ? "even" : "odd", n);
		input.request.resource = span_of(resource);
		epoch[0] = 1 + i / (ROUNDS / 4);
		decide_cached(crowd.cache, epoch, &input, &d);
		if (d.allowed != (n % 2 == 0) || d.sid == NULL ||
		    strcmp(d.sid, n % 2 == 0 ? "Even" : "Odd") != 0)
			atomic_fetch_add(&crowd.wrong, 1);
	}
}

static void
many_threads_get_their_own_answers(void **state)
{
	static const char even[] =
	    DOC("{\"Sid\":\"Even\",\"Effect\":\"Allow\",\"Action\":\"*\","
		"\"Resource\":\"arn:aws:ecr:*:*:repository/even/*\"},"
		"{\"Sid\":\"Odd\",\"Effect\":\"Deny\",\"Action\":\"*\","
		"\"Resource\":\"arn:aws:ecr:*:*:repository/odd/*\"}");
	uint32_t seeds[THREADS];
	pthread_t threads[THREADS];
	struct question q;
	size_t i;

	(void)state;
	question_make(&q, &build, even, NULL, NULL);
	crowd.q = &q;
	crowd.cache = decide_cache_new();
	for (i = 0; i < THREADS; i++) {
		seeds[i] = (uint32_t)i + 1;
		assert_int_equal(
		    thread_start("crowd", crowd_ask, &seeds[i], &threads[i]),
		    RC_OK);
	}
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	assert_int_equal(crowd.wrong, 0);
	decide_cache_free(&crowd.cache);
	question_free(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rules_of_iam),
		cmocka_unit_test(
		    a_later_policy_may_deny_what_an_earlier_allows),
		cmocka_unit_test(a_token_and_sts_are_the_callers_own_affair),
		cmocka_unit_test(messages_are_those_of_aws),
		cmocka_unit_test(a_message_has_room_for_the_longest_names),
		cmocka_unit_test(what_is_remembered_is_what_was_decided),
		cmocka_unit_test(
		    an_answer_is_remembered_until_the_epoch_changes),
		cmocka_unit_test(
		    sids_of_a_remembered_answer_are_of_the_askers_policies),
		cmocka_unit_test(whatever_differs_is_another_question),
		cmocka_unit_test(what_depends_on_the_request_is_decided_anew),
		cmocka_unit_test(what_is_too_long_to_remember_is_decided),
		cmocka_unit_test(many_threads_get_their_own_answers),
	};

	return (cmocka_run_group_tests_name("decide", tests, NULL, NULL));
}
