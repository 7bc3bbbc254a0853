#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ecr_tools.h"
#include "storage/lifecycles.h"

/* Lifecycle policies and their previews, as they are kept and shown: what a
 * policy may say, and what it does, is tested in tests/unit/lifecycle. */

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
	ecr_repository(&ecr, "life/a");
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
	ecr_repository(&ecr, "life/b");
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
	ecr_repository(&ecr, "life/never");
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
	ecr_repository(&ecr, "life/bad");
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
	ecr_repository(&ecr, "life/quota");
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
	ecr_repository(&ecr, "life/without");
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("life/without"), "DeleteLifecyclePolicy",
	    "{\"repositoryName\":\"life/without\"}");
	put("life/without", POLICY);
	ecr_expect(&ecr, NULL, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"life/without\"}");
	ecr_repository(&ecr, "life/without");
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
		    ECR_NO_REPOSITORY("life/none"), operations[i],
		    "{\"repositoryName\":\"life/none\","
		    "\"lifecyclePolicyText\":\"" POLICY "\"}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("life/none"), "StartLifecyclePolicyPreview",
	    "{\"repositoryName\":\"life/none\"}");
	ecr_repository(&ecr, "life/here");
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
	ecr_repository(&ecr, "look/a");
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("look/a"), "StartLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/a\"}");
	ecr_expect(&ecr, NULL, "LifecyclePolicyPreviewNotFoundException",
	    NO_PREVIEW("look/a"), "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/a\"}");
	put("look/a", POLICY);
	preview_start("look/a", "", POLICY);
	preview_expect("look/a", POLICY, "IN_PROGRESS");
	ecr_repository(&ecr, "look/b");
	preview_start(
	    "look/b", ",\"lifecyclePolicyText\":\"" OTHER "\"", OTHER);
	preview_expect("look/b", OTHER, "IN_PROGRESS");
	/* It was looked at, not set. */
	ecr_expect(&ecr, NULL, "LifecyclePolicyNotFoundException",
	    NO_POLICY("look/b"), "GetLifecyclePolicy",
	    "{\"repositoryName\":\"look/b\"}");
}

static void
preview_fail(const char *name)
{
	struct meta *m = store_meta(ecr.service.store);
	struct preview_job job = { .repository = span_of(name) };
	struct preview_row row;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(
	    meta_preview_get(m, job.repository, &arena, &row), RC_OK);
	job.run = row.run;
	assert_int_equal(
	    meta_preview_end(m, &job, PREVIEW_FAILED, NULL, clock_real_ms()),
	    RC_OK);
	arena_reset(&arena);
}

static void
one_preview_at_a_time_is_in_progress(void **state)
{
	(void)state;
	ecr_repository(&ecr, "look/busy");
	put("look/busy", POLICY);
	preview_start("look/busy", "", POLICY);
	ecr_expect(&ecr, NULL, "LifecyclePolicyPreviewInProgressException",
	    "Lifecycle policy preview is in progress for the repository with "
	    "name 'look/busy' in the registry with id '" ECR_ACCOUNT "'*",
	    "StartLifecyclePolicyPreview",
	    "{\"repositoryName\":\"look/busy\"}");
	preview_fail("look/busy");
	preview_expect("look/busy", POLICY, "FAILED");
	preview_start(
	    "look/busy", ",\"lifecyclePolicyText\":\"" OTHER "\"", OTHER);
	preview_expect("look/busy", OTHER, "IN_PROGRESS");
}

/* --- results ------------------------------------------------------------- */

#define COUNT_RULE(priority, selection, n, action) \
	"{\\\"rulePriority\\\":" #priority ",\\\"selection\\\":{" selection \
	"," \
	"\\\"countType\\\":\\\"imageCountMoreThan\\\"," \
	"\\\"countNumber\\\":" #n "},\\\"action\\\":{" action "}}"
#define ANY "\\\"tagStatus\\\":\\\"any\\\""
#define PREFIX(text) \
	"\\\"tagStatus\\\":\\\"tagged\\\",\\\"tagPrefixList\\\":[\\\"" text \
	"\\\"]"
#define EXPIRE "\\\"type\\\":\\\"expire\\\""
#define ARCHIVE \
	"\\\"type\\\":\\\"transition\\\",\\\"targetStorageClass\\\":" \
	"\\\"archive\\\""
#define KEEP_ONE "{\\\"rules\\\":[" COUNT_RULE(1, ANY, 1, EXPIRE) "]}"

/* Started and evaluated. */
static void
preview_run(const char *name, const char *policy)
{
	char member[4096];

	(void)snprintf(
	    member, sizeof(member), ",\"lifecyclePolicyText\":\"%s\"", policy);
	preview_start(name, member, policy);
	assert_true(service_previews_run(&ecr.service));
}

static void
results_ask(struct ecr_reply *r, const char *name, const char *more)
{
	ecr_do(&ecr, NULL, r, "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"%s\"%s}", name, more);
	assert_int_equal(r->status, 200);
	assert_string_equal(ecr_text(r->json, "status"), "COMPLETE");
}

/* What is asked for has just these results: for each its first tag, or '-'. */
static void
results_are(const char *name, const char *more, const char *want)
{
	char told[1024] = "";
	struct ecr_reply r;
	const json_t *list;
	const char *tag;
	size_t i, n = 0;

	results_ask(&r, name, more);
	list = ecr_at(r.json, "previewResults");
	for (i = 0; i < json_array_size(list); i++) {
		tag = json_string_value(json_array_get(
		    json_object_get(json_array_get(list, i), "imageTags"), 0));
		n += (size_t)snprintf(told + n, sizeof(told) - n, "%s%s",
		    i > 0 ? " " : "", tag != NULL ? tag : "-");
	}
	assert_string_equal(told, want);
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
}

static void
push(const char *name, const char *tag, char out[DIGEST_STR_BYTES])
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	/* Each of a time of its own. */
	(void)nanosleep(&pause, NULL);
	(void)ecr_image(&ecr, name, tag, tag, out);
}

static void
a_complete_preview_tells_what_would_happen_to_which_image(void **state)
{
	char first[DIGEST_STR_BYTES], digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "see/all");
	push("see/all", "old-1", first);
	push("see/all", "dev-1", digest);
	push("see/all", "old-2", digest);
	push("see/all", "new", digest);
	preview_run(
	    "see/all", "{\\\"rules\\\":[" COUNT_RULE(3, PREFIX("old-"), 1,
			   ARCHIVE) "," COUNT_RULE(7, ANY, 2, EXPIRE) "]}");
	results_ask(&r, "see/all", "");
	assert_int_equal(json_array_size(ecr_at(r.json, "previewResults")), 2);
	assert_string_equal(
	    ecr_text(r.json, "previewResults.0.imageDigest"), first);
	assert_string_equal(
	    ecr_text(r.json, "previewResults.0.imageTags.0"), "old-1");
	assert_true(json_number_value(ecr_at(
			r.json, "previewResults.0.imagePushedAt")) > 1e9);
	assert_string_equal(
	    ecr_text(r.json, "previewResults.0.action.type"), "TRANSITION");
	assert_string_equal(
	    ecr_text(r.json, "previewResults.0.action.targetStorageClass"),
	    "ARCHIVE");
	assert_int_equal(json_integer_value(ecr_at(
			     r.json, "previewResults.0.appliedRulePriority")),
	    3);
	assert_string_equal(
	    ecr_text(r.json, "previewResults.0.storageClass"), "STANDARD");
	assert_string_equal(
	    ecr_text(r.json, "previewResults.1.imageTags.0"), "dev-1");
	assert_string_equal(
	    ecr_text(r.json, "previewResults.1.action.type"), "EXPIRE");
	assert_null(
	    ecr_at(r.json, "previewResults.1.action.targetStorageClass"));
	assert_int_equal(json_integer_value(ecr_at(
			     r.json, "previewResults.1.appliedRulePriority")),
	    7);
	assert_int_equal(json_integer_value(
			     ecr_at(r.json, "summary.expiringImageTotalCount")),
	    1);
	assert_int_equal(
	    json_integer_value(ecr_at(r.json,
		"summary.transitioningImageTotalCounts.0.imageTotalCount")),
	    1);
	assert_string_equal(
	    ecr_text(r.json,
		"summary.transitioningImageTotalCounts.0.targetStorageClass"),
	    "ARCHIVE");
	ecr_reply_free(&r);
}

static void
a_preview_of_nothing_has_sums_of_nothing(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "see/none");
	preview_run("see/none", KEEP_ONE);
	results_ask(&r, "see/none", "");
	assert_int_equal(json_array_size(ecr_at(r.json, "previewResults")), 0);
	assert_int_equal(json_integer_value(
			     ecr_at(r.json, "summary.expiringImageTotalCount")),
	    0);
	assert_int_equal(json_array_size(ecr_at(
			     r.json, "summary.transitioningImageTotalCounts")),
	    0);
	ecr_reply_free(&r);
}

#define PAGED 7

static void
results_come_in_pages_in_one_order(void **state)
{
	char digest[DIGEST_STR_BYTES], tag[16], more[2048] = "";
	const char *token;
	struct ecr_reply r;
	size_t i, n = 0;

	(void)state;
	ecr_repository(&ecr, "see/pages");
	for (i = 0; i <= PAGED; i++) {
		(void)snprintf(tag, sizeof(tag), "t%zu", i);
		push("see/pages", tag, digest);
	}
	preview_run("see/pages", KEEP_ONE);
	do {
		char ask[2200];

		(void)snprintf(ask, sizeof(ask), ",\"maxResults\":3%s", more);
		results_ask(&r, "see/pages", ask);
		assert_int_equal(json_integer_value(ecr_at(r.json,
				     "summary.expiringImageTotalCount")),
		    PAGED);
		for (i = 0;
		     i < json_array_size(ecr_at(r.json, "previewResults"));
		     i++) {
			(void)snprintf(more, sizeof(more),
			    "previewResults.%zu.imageTags.0", i);
			(void)snprintf(tag, sizeof(tag), "t%zu", n++);
			assert_string_equal(ecr_text(r.json, more), tag);
		}
		assert_true(i <= 3);
		token = json_string_value(ecr_at(r.json, "nextToken"));
		if (token != NULL)
			(void)snprintf(
			    more, sizeof(more), ",\"nextToken\":\"%s\"", token);
		ecr_reply_free(&r);
	} while (token != NULL && n < 2 * PAGED);
	assert_int_equal(n, PAGED);
}

static void
a_token_of_another_preview_is_refused(void **state)
{
	char digest[DIGEST_STR_BYTES], token[1024];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "see/token");
	push("see/token", "a", digest);
	push("see/token", "b", digest);
	push("see/token", "c", digest);
	preview_run("see/token", KEEP_ONE);
	results_ask(&r, "see/token", ",\"maxResults\":1");
	(void)snprintf(
	    token, sizeof(token), "%s", ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	preview_run("see/token", KEEP_ONE);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    "Invalid parameter at 'nextToken' failed to satisfy constraint: "
	    "'the token is of an earlier preview*",
	    "GetLifecyclePolicyPreview",
	    "{\"repositoryName\":\"see/token\",\"nextToken\":\"%s\"}", token);
}

static void
results_are_filtered_by_tags_and_images(void **state)
{
	char a[DIGEST_STR_BYTES], b[DIGEST_STR_BYTES], c[DIGEST_STR_BYTES];
	char more[1024];

	(void)state;
	ecr_repository(&ecr, "see/some");
	push("see/some", "a", a);
	push("see/some", "b", b);
	push("see/some", "c", c);
	/* Then b has no tag any more. */
	push("see/some", "d", c);
	(void)ecr_push(&ecr, "see/some", "b",
	    ecr_image_text(&ecr, "see/some", "other", NULL), c);
	preview_run("see/some", KEEP_ONE);
	results_are("see/some", "", "a - c d");
	results_are(
	    "see/some", ",\"filter\":{\"tagStatus\":\"ANY\"}", "a - c d");
	results_are(
	    "see/some", ",\"filter\":{\"tagStatus\":\"TAGGED\"}", "a c d");
	results_are(
	    "see/some", ",\"filter\":{\"tagStatus\":\"UNTAGGED\"}", "-");
	results_are("see/some",
	    ",\"imageIds\":[{\"imageTag\":\"d\"},{\"imageTag\":\"a\"},"
	    "{\"imageTag\":\"b\"},{\"imageTag\":\"none\"}]",
	    "a d");
	(void)snprintf(more, sizeof(more),
	    ",\"imageIds\":[{\"imageDigest\":\"%s\"},{\"imageDigest\":\"%s\","
	    "\"imageTag\":\"a\"},{\"imageDigest\":\"%s\"},{\"imageDigest\":"
	    "\"%s\",\"imageTag\":\"c\"}]",
	    b, a, a, b);
	results_are("see/some", more, "a -");
	(void)snprintf(more, sizeof(more),
	    ",\"imageIds\":[{\"imageDigest\":\"%s\"}],"
	    "\"filter\":{\"tagStatus\":\"TAGGED\"}",
	    b);
	results_are("see/some", more, "");
	/* Tags are those of now; an image that is gone has none. */
	ecr_expect(&ecr, NULL, "", NULL, "BatchDeleteImage",
	    "{\"repositoryName\":\"see/some\",\"imageIds\":[{\"imageTag\":"
	    "\"a\"}]}");
	results_are("see/some", "", "- - c d");
}

static void
a_preview_that_failed_has_no_results(void **state)
{
	(void)state;
	ecr_repository(&ecr, "see/failed");
	put("see/failed", POLICY);
	preview_start("see/failed", "", POLICY);
	preview_fail("see/failed");
	preview_expect("see/failed", POLICY, "FAILED");
}

static void
an_expired_preview_says_so(void **state)
{
	struct preview_sweep sweep = { 0 };
	char digest[DIGEST_STR_BYTES];
	bool more = true;

	(void)state;
	ecr_repository(&ecr, "see/expired");
	push("see/expired", "a", digest);
	push("see/expired", "b", digest);
	preview_run("see/expired", KEEP_ONE);
	while (more)
		assert_int_equal(
		    meta_preview_sweep(store_meta(ecr.service.store), &sweep,
			INT64_MAX, 1000, &more),
		    RC_OK);
	preview_expect("see/expired", KEEP_ONE, "EXPIRED");
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
	ecr_repository(&ecr, "look/ids");
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
		cmocka_unit_test(
		    a_complete_preview_tells_what_would_happen_to_which_image),
		cmocka_unit_test(a_preview_of_nothing_has_sums_of_nothing),
		cmocka_unit_test(results_come_in_pages_in_one_order),
		cmocka_unit_test(a_token_of_another_preview_is_refused),
		cmocka_unit_test(results_are_filtered_by_tags_and_images),
		cmocka_unit_test(a_preview_that_failed_has_no_results),
		cmocka_unit_test(an_expired_preview_says_so),
		cmocka_unit_test(a_preview_asked_for_by_images_has_no_pages),
	};

	return (cmocka_run_group_tests_name(
	    "ecr_lifecycle", tests, ecr_setup, ecr_teardown));
}
