#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "registryd/policy_cache.h"

static struct policy *
policy_of(const char *action)
{
	struct policy *policy = NULL;
	char why[POLICY_WHY_BYTES], text[256];

	(void)snprintf(text, sizeof(text),
	    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
	    "\"Principal\":\"*\",\"Action\":\"%s\"}}",
	    action);
	if (policy_parse(POLICY_REPOSITORY, span_of(text), why, &policy) !=
	    RC_OK)
		fail_msg("%s", why);
	return (policy);
}

static void
what_was_put_is_found_by_name_and_revision(void **state)
{
	struct policy_cache *pc = policy_cache_new();
	struct policy *put = policy_of("ecr:PutImage"), *got;

	(void)state;
	policy_cache_put(pc, SPAN("team/app"), 7, put);
	got = policy_cache_get(pc, SPAN("team/app"), 7);
	assert_ptr_equal(got, put);
	policy_unref(&got);
	assert_null(policy_cache_get(pc, SPAN("team/app"), 8));
	assert_null(policy_cache_get(pc, SPAN("team/ap"), 7));
	assert_null(policy_cache_get(pc, SPAN("team/app2"), 7));
	policy_unref(&put);
	policy_cache_free(&pc);
}

/* Whoever shares a place with another must not get its policy. */
static void
many_more_than_fit_never_give_a_policy_of_another(void **state)
{
	struct policy_cache *pc = policy_cache_new();
	struct policy *put[2] = { policy_of("ecr:PutImage"),
		policy_of("ecr:ListImages") };
	struct policy *got;
	char name[32];
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < 5000; i++) {
		n = snprintf(name, sizeof(name), "r%zu", i);
		policy_cache_put(
		    pc, (struct span){ name, (size_t)n }, i + 1, put[i % 2]);
	}
	for (i = 0; i < 5000; i++) {
		n = snprintf(name, sizeof(name), "r%zu", i);
		got = policy_cache_get(
		    pc, (struct span){ name, (size_t)n }, i + 1);
		if (got != NULL)
			assert_ptr_equal(got, put[i % 2]);
		policy_unref(&got);
	}
	policy_unref(&put[0]);
	policy_unref(&put[1]);
	policy_cache_free(&pc);
}

static void
a_policy_outlives_its_place(void **state)
{
	struct policy_cache *pc = policy_cache_new();
	struct policy *put = policy_of("ecr:PutImage"), *got;

	(void)state;
	policy_cache_put(pc, SPAN("a"), 1, put);
	got = policy_cache_get(pc, SPAN("a"), 1);
	policy_unref(&put);
	policy_cache_free(&pc);
	assert_int_equal(policy_statements(got), 1);
	policy_unref(&got);
}

static void
something_is_told_once_of_a_revision(void **state)
{
	struct policy_cache *pc = policy_cache_new();

	(void)state;
	assert_true(policy_cache_tell(pc, SPAN("a"), 1));
	assert_false(policy_cache_tell(pc, SPAN("a"), 1));
	assert_true(policy_cache_tell(pc, SPAN("b"), 2));
	assert_false(policy_cache_tell(pc, SPAN("a"), 1));
	assert_true(policy_cache_tell(pc, SPAN("a"), 3));
	assert_false(policy_cache_tell(pc, SPAN("a"), 3));
	policy_cache_free(&pc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found_by_name_and_revision),
		cmocka_unit_test(
		    many_more_than_fit_never_give_a_policy_of_another),
		cmocka_unit_test(a_policy_outlives_its_place),
		cmocka_unit_test(something_is_told_once_of_a_revision),
	};

	return (cmocka_run_group_tests_name("policy_cache", tests, NULL, NULL));
}
