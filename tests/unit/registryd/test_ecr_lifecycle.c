#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ecr_tools.h"
#include "storage/lifecycles.h"

/* Lifecycle policies and their previews, as far as they are kept and shown:
 * what a policy may say is tested in tests/unit/lifecycle. */

static struct ecr ecr;

static int
setup(void **state)
{
	(void)state;
	ecr_open(&ecr, AUTH_NONE);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	ecr_close(&ecr);
	return (0);
}

#define NOT_FOUND(name) \
	"The repository with name '" name \
	"' does not exist in the registry with id '" ECR_ACCOUNT "'"
#define NO_POLICY(name) \
	"Lifecycle policy does not exist for the repository with name " \
	"'" name "' in the registry with id '" ECR_ACCOUNT "'"
#define NO_PREVIEW(name) \
	"Lifecycle policy preview does not exist for the repository with " \
	"name '" name "' in the registry with id '" ECR_ACCOUNT "'"
#define FAILURE \
	"Invalid parameter at 'LifecyclePolicyText' failed to satisfy " \
	"constraint: 'Lifecycle policy validation failure: "

/* Of which the order of members and all spaces come back. */
#define RULE(priority, status) \
	"{\\\"selection\\\": {\\\"tagStatus\\\": \\\"" status "\\\"," \
	"\\\"countType\\\":\\\"imageCountMoreThan\\\"," \
	"\\\"countNumber\\\": 10},  \\\"rulePriority\\\":" #priority "," \
	"\\\"description\\\":\\\"keep ten\\\"," \
	"\\\"action\\\":{\\\"type\\\":\\\"expire\\\"}}"
#define POLICY "{\\\"rules\\\": [" RULE(2, "any") "," RULE(1, "untagged") "]}"
#define OTHER "{\\\"rules\\\": [" RULE(7, "any") "]}"

static void
create(const char *name)
{
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"%s\"}", name);
}

static void
put(const char *name, const char *policy)
{
	ecr_expect(&ecr, NULL, "", NULL, "PutLifecyclePolicy",
	    "{\"repositoryName\":\"%s\",\"lifecyclePolicyText\":\"%s\"}", name,
	    policy);
}

/* Without the backslashes that a JSON string of it has. */
static const char *
plain(const char *escaped)
{
	static char text[4096];
	size_t i, n = 0;

	for (i = 0; escaped[i] != '\0'; i++)
		if (escaped[i] != '\\')
			text[n++] = escaped[i];
	text[n] = '\0';
	return (text);
}

static void
shown(const struct ecr_reply *r, const char *name, const char *policy)
{
	assert_int_equal(r->status, 200);
	assert_string_equal(ecr_text(r->json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r->json, "repositoryName"), name);
	assert_string_equal(
	    ecr_text(r->json, "lifecyclePolicyText"), plain(policy));
}

/* --- the policy ---------------------------------------------------------- */

static void
a_policy_comes_back_as_it_was_sent(void **state)
{
	static const char *const operations[] = { "PutLifecyclePolicy",
		"GetLifecyclePolicy", "GetLifecyclePolicy",
		"DeleteLifecyclePolicy" };
	struct ecr_reply r;
	size_t i;

	(void)state;
	create("life/a");
	for (i = 0; i < 4; i++) {
		ecr_do(&ecr, NULL, &r, operations[i],
		    "{\"repositoryName\":\"life/a\",\"lifecyclePolicyText\":"
		    "\"" POLICY "\"}");
		shown(&r, "life/a", POLICY);
		ecr_reply_free(&r);
	}
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("life/a"), "GetLifecyclePolicy",
	    "{\"repositoryName\":\"life/a\"}");
}

static void
another_policy_takes_the_place_of_the_first(void **state)
{
	struct ecr_reply r;

	(void)state;
	create("life/b");
	put("life/b", POLICY);
	put("life/b", OTHER);
	ecr_do(&ecr, NULL, &r, "GetLifecyclePolicy",
	    "{\"repositoryName\":\"life/b\"}");
	shown(&r, "life/b", OTHER);
	ecr_reply_free(&r);
}

static void
a_policy_that_never_ran_was_evaluated_at_zero(void **state)
{
	static const char *const operations[] = { "GetLifecyclePolicy",
		"DeleteLifecyclePolicy" };
	struct ecr_reply r;
	size_t i;

	(void)state;
	create("life/never");
	put("life/never", POLICY);
	for (i = 0; i < 2; i++) {
		ecr_do(&ecr, NULL, &r, operations[i],
		    "{\"repositoryName\":\"life/never\"}");
		assert_true(json_is_real(ecr_at(r.json, "lastEvaluatedAt")));
		assert_true(
		    json_real_value(ecr_at(r.json, "lastEvaluatedAt")) == 0.0);
		ecr_reply_free(&r);
	}
}

static void
a_bad_policy_is_refused_with_its_reason(void **state)
{
	static const char *const operations[] = { "PutLifecyclePolicy",
		"StartLifecyclePolicyPreview" };
	char padding[101];
	size_t i;

	(void)state;
	memset(padding, ' ', 100);
	padding[100] = '\0';
	create("life/bad");
	for (i = 0; i < 2; i++) {
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    FAILURE "Could not map policyString into LifecyclePolicy.*",
		    operations[i],
		    "{\"repositoryName\":\"life/bad\","
		    "\"lifecyclePolicyText\":\"nonsense%s\"}",
		    padding);
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    FAILURE "object has missing required properties "
			    "([\"rules\"])*",
		    operations[i],
		    "{\"repositoryName\":\"life/bad\","
		    "\"lifecyclePolicyText\":\"{}%s\"}",
		    padding);
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    "Invalid parameter at 'lifecyclePolicyText' failed to "
		    "satisfy constraint: 'Member must have length greater than "
		    "or equal to 100'",
		    operations[i],
		    "{\"repositoryName\":\"life/bad\","
		    "\"lifecyclePolicyText\":\"{}\"}");
	}
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("life/bad"), "GetLifecyclePolicy",
	    "{\"repositoryName\":\"life/bad\"}");
	ecr_expect(&ecr, NULL, "LifecyclePolicyPreviewNotFoundException",
	    NO_PREVIEW("life/bad"), "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"life/bad\"}");
}

static void
there_are_as_many_rules_as_the_quota_says(void **state)
{
	(void)state;
	create("life/quota");
	ecr.settings.quotas.lifecycle_rules = 1;
	ecr_expect(&ecr, NULL, "InvalidParameterException", FAILURE "*",
	    "PutLifecyclePolicy",
	    "{\"repositoryName\":\"life/quota\",\"lifecyclePolicyText\":"
	    "\"" POLICY "\"}");
	put("life/quota", OTHER);
	ecr.settings.quotas.lifecycle_rules = 0;
	put("life/quota", POLICY);
}

static void
without_a_policy_there_is_none_to_delete(void **state)
{
	(void)state;
	create("life/without");
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("life/without"), "DeleteLifecyclePolicy",
	    "{\"repositoryName\":\"life/without\"}");
	put("life/without", POLICY);
	ecr_expect(&ecr, NULL, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"life/without\"}");
	create("life/without");
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("life/without"), "GetLifecyclePolicy",
	    "{\"repositoryName\":\"life/without\"}");
}

static void
repositories_that_are_not_there_have_no_policy(void **state)
{
	static const char *const operations[] = { "PutLifecyclePolicy",
		"GetLifecyclePolicy", "DeleteLifecyclePolicy",
		"StartLifecyclePolicyPreview", "GetLifecyclePolicyPreview" };
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
		    NOT_FOUND("life/none"), operations[i],
		    "{\"repositoryName\":\"life/none\","
		    "\"lifecyclePolicyText\":\"" POLICY "\"}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    NOT_FOUND("life/none"), "StartLifecyclePolicyPreview",
	    "{\"repositoryName\":\"life/none\"}");
	create("life/here");
	for (i = 0; i < 5; i++)
		ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
		    "The repository with name 'life/here' does not exist in "
		    "the registry with id '999999999999'",
		    operations[i],
		    "{\"repositoryName\":\"life/here\",\"registryId\":"
		    "\"999999999999\",\"lifecyclePolicyText\":\"" POLICY "\"}");
}

/* --- previews ------------------------------------------------------------ */

static void
preview_start(const char *name, const char *member, const char *policy)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "StartLifecyclePolicyPreview",
	    "{\"repositoryName\":\"%s\"%s}", name, member);
	shown(&r, name, policy);
	assert_string_equal(ecr_text(r.json, "status"), "IN_PROGRESS");
	ecr_reply_free(&r);
}

static void
preview_expect(const char *name, const char *policy, const char *status)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"%s\"}", name);
	shown(&r, name, policy);
	assert_string_equal(ecr_text(r.json, "status"), status);
	assert_int_equal(json_array_size(ecr_at(r.json, "previewResults")), 0);
	assert_true(json_is_object(ecr_at(r.json, "summary")));
	assert_int_equal(json_object_size(ecr_at(r.json, "summary")), 0);
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
}

static void
a_preview_is_of_the_repositorys_policy_or_of_another(void **state)
{
	(void)state;
	create("look/a");
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("look/a"), "StartLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/a\"}");
	ecr_expect(&ecr, NULL, "LifecyclePolicyPreviewNotFoundException",
	    NO_PREVIEW("look/a"), "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/a\"}");
	put("look/a", POLICY);
	preview_start("look/a", "", POLICY);
	preview_expect("look/a", POLICY, "IN_PROGRESS");
	create("look/b");
	preview_start(
	    "look/b", ",\"lifecyclePolicyText\":\"" OTHER "\"", OTHER);
	preview_expect("look/b", OTHER, "IN_PROGRESS");
	/* It was looked at, not set. */
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("look/b"), "GetLifecyclePolicy",
	    "{\"repositoryName\":\"look/b\"}");
}

static void
one_preview_at_a_time_is_in_progress(void **state)
{
	(void)state;
	create("look/busy");
	put("look/busy", POLICY);
	preview_start("look/busy", "", POLICY);
	ecr_expect(&ecr, NULL, "LifecyclePolicyPreviewInProgressException",
	    "Lifecycle policy preview is in progress for the repository with "
	    "name 'look/busy' in the registry with id '" ECR_ACCOUNT "'*",
	    "StartLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/busy\"}");
	assert_int_equal(
	    meta_preview_end(store_meta(ecr.service.store), SPAN("look/busy"),
		PREVIEW_FAILED, clock_real_ms()),
	    RC_OK);
	preview_expect("look/busy", POLICY, "FAILED");
	preview_start(
	    "look/busy", ",\"lifecyclePolicyText\":\"" OTHER "\"", OTHER);
	preview_expect("look/busy", OTHER, "IN_PROGRESS");
}

/* Nothing evaluates policies yet. */
static void
the_background_thread_ends_previews_as_failed(void **state)
{
	size_t i;
	char name[32];

	(void)state;
	for (i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "end/%zu", i);
		create(name);
		put(name, POLICY);
		preview_start(name, "", POLICY);
	}
	service_previews_end(&ecr.service, 60 * 1000);
	for (i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "end/%zu", i);
		preview_expect(name, POLICY, "FAILED");
	}
}

static void
a_preview_asked_for_by_images_has_no_pages(void **state)
{
	static const char *const bad[] = {
		"\"imageIds\":[{\"imageTag\":\"a\"}],\"maxResults\":5",
		"\"imageIds\":[{\"imageTag\":\"a\"}],\"nextToken\":\"x\"",
		"\"imageIds\":[{}]",
		"\"imageIds\":[]",
		"\"maxResults\":0",
		"\"maxResults\":101",
		"\"nextToken\":\"x\"",
		"\"filter\":{\"tagStatus\":\"BLUE\"}",
	};
	size_t i;

	(void)state;
	create("look/ids");
	put("look/ids", POLICY);
	preview_start("look/ids", "", POLICY);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
		    "GetLifecyclePolicyPreview",
		    "{\"repositoryName\":\"look/ids\",%s}", bad[i]);
	ecr_expect(&ecr, NULL, "", NULL, "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/ids\",\"imageIds\":"
	    "[{\"imageTag\":\"a\"}],\"filter\":{\"tagStatus\":\"TAGGED\"}}");
	ecr_expect(&ecr, NULL, "", NULL, "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/ids\",\"maxResults\":100,"
	    "\"filter\":{}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_comes_back_as_it_was_sent),
		cmocka_unit_test(another_policy_takes_the_place_of_the_first),
		cmocka_unit_test(a_policy_that_never_ran_was_evaluated_at_zero),
		cmocka_unit_test(a_bad_policy_is_refused_with_its_reason),
		cmocka_unit_test(there_are_as_many_rules_as_the_quota_says),
		cmocka_unit_test(without_a_policy_there_is_none_to_delete),
		cmocka_unit_test(
		    repositories_that_are_not_there_have_no_policy),
		cmocka_unit_test(
		    a_preview_is_of_the_repositorys_policy_or_of_another),
		cmocka_unit_test(one_preview_at_a_time_is_in_progress),
		cmocka_unit_test(the_background_thread_ends_previews_as_failed),
		cmocka_unit_test(a_preview_asked_for_by_images_has_no_pages),
	};

	return (cmocka_run_group_tests_name(
	    "ecr_lifecycle", tests, setup, teardown));
}
