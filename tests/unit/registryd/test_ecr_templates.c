#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ecr_tools.h"

/* Repository creation templates, with `auth: none`. */

#define CREATE "CreateRepositoryCreationTemplate"
#define UPDATE "UpdateRepositoryCreationTemplate"
#define DELETE "DeleteRepositoryCreationTemplate"
#define DESCRIBE "DescribeRepositoryCreationTemplates"
#define INVALID "InvalidParameterException"
#define NO_TEMPLATE(prefix) \
	"The repository creation template with prefix '" prefix \
	"' does not exist in the registry with id '" ECR_ACCOUNT "'"
#define PUSH "\"appliedFor\":[\"CREATE_ON_PUSH\"]"

#define POLICY \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":" \
	"[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*\\\"," \
	"\\\"Action\\\":\\\"ecr:BatchGetImage\\\"}]}"
#define LIFECYCLE \
	"{\\\"rules\\\":[{\\\"rulePriority\\\":1,\\\"selection\\\":" \
	"{\\\"tagStatus\\\":\\\"any\\\",\\\"countType\\\":" \
	"\\\"imageCountMoreThan\\\",\\\"countNumber\\\":3}," \
	"\\\"action\\\":{\\\"type\\\":\\\"expire\\\"}}]}"

#define ALL_MEMBERS \
	"{\"prefix\":\"all/of\",\"description\":\"d\",\"unknown\":1," \
	"\"encryptionConfiguration\":{\"encryptionType\":\"KMS\"," \
	"\"kmsKey\":\"arn:aws:kms:us-east-1:" ECR_ACCOUNT \
	":key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"other\":2}," \
	"\"resourceTags\":[{\"Key\":\"b\",\"Value\":\"2\"}," \
	"{\"Key\":\"a\",\"Value\":\"\",\"more\":3}]," \
	"\"imageTagMutability\":\"IMMUTABLE_WITH_EXCLUSION\"," \
	"\"imageTagMutabilityExclusionFilters\":[{\"filterType\":" \
	"\"WILDCARD\",\"filter\":\"dev-*\"}]," \
	"\"repositoryPolicy\":\"" POLICY "\"," \
	"\"lifecyclePolicy\":\"" LIFECYCLE "\"," \
	"\"appliedFor\":[\"PULL_THROUGH_CACHE\",\"CREATE_ON_PUSH\"]," \
	"\"customRoleArn\":\"arn:aws:iam::" ECR_ACCOUNT ":role/r\"}"

static void
create(const char *prefix)
{
	ecr_expect(&ecr, NULL, "", NULL, CREATE, "{\"prefix\":\"%s\"," PUSH "}",
	    prefix);
}

/* The template of that prefix; its reply is the caller's to free. */
static const json_t *
described(const char *prefix, struct ecr_reply *r)
{
	ecr_do(&ecr, NULL, r, DESCRIBE, "{\"prefixes\":[\"%s\"]}", prefix);
	assert_int_equal(r->status, 200);
	assert_int_equal(
	    json_array_size(ecr_at(r->json, "repositoryCreationTemplates")), 1);
	return (ecr_at(r->json, "repositoryCreationTemplates.0"));
}

/* --- creation ------------------------------------------------------------ */

static void
a_new_template_has_ecr_defaults(void **state)
{
	double now = (double)clock_real_ms() / 1000.0;
	struct ecr_reply r;
	const json_t *t;

	(void)state;
	ecr_do(&ecr, NULL, &r, CREATE, "{\"prefix\":\"team\"," PUSH "}");
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	t = ecr_at(r.json, "repositoryCreationTemplate");
	assert_string_equal(ecr_text(t, "prefix"), "team");
	assert_string_equal(ecr_text(t, "imageTagMutability"), "MUTABLE");
	/* Not given: the registry's default, whatever it is by then. */
	assert_null(ecr_at(t, "encryptionConfiguration"));
	assert_string_equal(ecr_text(t, "appliedFor.0"), "CREATE_ON_PUSH");
	assert_true(json_real_value(ecr_at(t, "createdAt")) >= now - 0.01);
	assert_true(json_equal(ecr_at(t, "createdAt"), ecr_at(t, "updatedAt")));
	assert_int_equal(json_object_size(t), 5);
	ecr_reply_free(&r);
}

static void
all_members_are_kept_as_given(void **state)
{
	struct ecr_reply r, s;
	const json_t *t;

	(void)state;
	ecr_do(&ecr, NULL, &r, CREATE, "%s", ALL_MEMBERS);
	assert_int_equal(r.status, 200);
	t = described("all/of", &s);
	assert_true(
	    json_equal(t, ecr_at(r.json, "repositoryCreationTemplate")));
	assert_string_equal(ecr_text(s.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(t, "prefix"), "all/of");
	assert_string_equal(ecr_text(t, "description"), "d");
	assert_string_equal(ecr_text(t, "encryptionConfiguration.kmsKey"),
	    "arn:aws:kms:us-east-1:" ECR_ACCOUNT
	    ":key/1234abcd-12ab-34cd-56ef-1234567890ab");
	assert_string_equal(ecr_text(t, "resourceTags.0.Key"), "b");
	assert_string_equal(ecr_text(t, "resourceTags.1.Value"), "");
	assert_string_equal(
	    ecr_text(t, "imageTagMutability"), "IMMUTABLE_WITH_EXCLUSION");
	assert_string_equal(
	    ecr_text(t, "imageTagMutabilityExclusionFilters.0.filter"),
	    "dev-*");
	assert_non_null(
	    strstr(ecr_text(t, "repositoryPolicy"), "ecr:BatchGetImage"));
	assert_non_null(
	    strstr(ecr_text(t, "lifecyclePolicy"), "imageCountMoreThan"));
	assert_string_equal(ecr_text(t, "appliedFor.0"), "PULL_THROUGH_CACHE");
	assert_string_equal(ecr_text(t, "appliedFor.1"), "CREATE_ON_PUSH");
	assert_string_equal(ecr_text(t, "customRoleArn"),
	    "arn:aws:iam::" ECR_ACCOUNT ":role/r");
	/* What the model does not know is not kept. */
	assert_int_equal(json_object_size(t), 12);
	assert_null(ecr_at(t, "encryptionConfiguration.other"));
	assert_null(ecr_at(t, "resourceTags.1.more"));
	ecr_reply_free(&r);
	ecr_reply_free(&s);
}

static void
a_prefix_has_one_template(void **state)
{
	char prefix[256 + 1];

	(void)state;
	create("a/b");
	create("ROOT");
	ecr_expect(&ecr, NULL, "TemplateAlreadyExistsException",
	    "The repository creation template with prefix 'a/b' already "
	    "exists in the registry with id '" ECR_ACCOUNT "'",
	    CREATE, "{\"prefix\":\"a/b\"," PUSH "}");
	/* The '/' is implied, so it is the same one. */
	ecr_expect(&ecr, NULL, "TemplateAlreadyExistsException", NULL, CREATE,
	    "{\"prefix\":\"a/b/\"," PUSH "}");
	ecr_expect(&ecr, NULL, "TemplateAlreadyExistsException", NULL, CREATE,
	    "{\"prefix\":\"ROOT\"," PUSH "}");
	/* As long as one can be. */
	memset(prefix, 'p', 256);
	prefix[256] = '\0';
	create(prefix);
}

static void
a_slash_at_the_end_stays_in_the_answer(void **state)
{
	struct ecr_reply r;

	(void)state;
	create("s/");
	assert_string_equal(ecr_text(described("s", &r), "prefix"), "s/");
	ecr_reply_free(&r);
	assert_string_equal(ecr_text(described("s/", &r), "prefix"), "s/");
	ecr_reply_free(&r);
}

static const struct {
	const char *type, *message, *members;
} bad[] = {
	{ INVALID,
	    ECR_CONSTRAINT("appliedFor",
		"Member must have length greater than or equal to 1"),
	    "\"appliedFor\":[]" },
	{ INVALID, ECR_CONSTRAINT("appliedFor", "REPLICATION stands twice"),
	    "\"appliedFor\":[\"REPLICATION\",\"REPLICATION\"]" },
	{ INVALID, NULL, "\"appliedFor\":[\"EVERYTHING\"]" },
	{ INVALID, NULL, PUSH ",\"imageTagMutability\":\"NO\"" },
	{ INVALID,
	    ECR_CONSTRAINT("imageTagMutabilityExclusionFilters",
		"ImageTagMutabilityExclusionFilters can't be null when "
		"imageTagMutability is set as MUTABLE_WITH_EXCLUSION"),
	    PUSH ",\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"" },
	{ INVALID, NULL,
	    PUSH ",\"imageTagMutability\":\"MUTABLE\","
		 "\"imageTagMutabilityExclusionFilters\":[{\"filterType\":"
		 "\"WILDCARD\",\"filter\":\"x\"}]" },
	{ INVALID, NULL,
	    PUSH ",\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\","
		 "\"imageTagMutabilityExclusionFilters\":[{\"filterType\":"
		 "\"WILDCARD\",\"filter\":\"*x*y*\"}]" },
	{ INVALID, NULL,
	    PUSH ",\"encryptionConfiguration\":{\"encryptionType\":\"ROT\"}" },
	{ INVALID, NULL,
	    PUSH ",\"encryptionConfiguration\":{\"encryptionType\":\"AES256\","
		 "\"kmsKey\":\"arn:aws:kms:us-east-1:" ECR_ACCOUNT
		 ":key/ab\"}" },
	{ "ValidationException", NULL,
	    PUSH ",\"resourceTags\":[{\"Key\":\"\",\"Value\":\"\"}]" },
	{ "ValidationException", NULL,
	    PUSH ",\"resourceTags\":[{\"Key\":\"a\",\"Value\":\"1\"},"
		 "{\"Key\":\"a\",\"Value\":\"2\"}]" },
	{ INVALID,
	    "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
	    "'Invalid repository policy provided*",
	    PUSH ",\"repositoryPolicy\":\"{}\"" },
	{ INVALID,
	    "Invalid parameter at 'LifecyclePolicyText' failed to satisfy "
	    "constraint: 'Lifecycle policy validation failure: *",
	    PUSH ",\"lifecyclePolicy\":\"{}\"" },
};

static void
a_bad_template_is_refused_as_where_it_would_be_used(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ecr_expect(&ecr, NULL, bad[i].type, bad[i].message, CREATE,
		    "{\"prefix\":\"bad\",%s}", bad[i].members);
	ecr_expect(&ecr, NULL, INVALID, NULL, CREATE, "{\"prefix\":\"bad\"}");
	ecr_expect(
	    &ecr, NULL, INVALID, NULL, CREATE, "{\"prefix\":\"Bad\"," PUSH "}");
	ecr_expect(&ecr, NULL, "TemplateNotFoundException", NO_TEMPLATE("bad"),
	    DELETE, "{\"prefix\":\"bad\"}");
	create("bad");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ecr_expect(&ecr, NULL, bad[i].type, bad[i].message, UPDATE,
		    "{\"prefix\":\"bad\",%s}", bad[i].members);
}

static void
empty_texts_are_as_if_not_given(void **state)
{
	struct ecr_reply r;
	const json_t *t;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, CREATE,
	    "{\"prefix\":\"e\"," PUSH
	    ",\"description\":\"\",\"repositoryPolicy\":\"\","
	    "\"lifecyclePolicy\":\"\",\"customRoleArn\":\"\","
	    "\"resourceTags\":[],\"encryptionConfiguration\":"
	    "{\"encryptionType\":\"KMS\",\"kmsKey\":\"\"}}");
	t = described("e", &r);
	assert_int_equal(json_object_size(t), 6);
	assert_int_equal(
	    json_object_size(ecr_at(t, "encryptionConfiguration")), 1);
	ecr_reply_free(&r);
}

static void
there_are_no_more_than_the_quota(void **state)
{
	(void)state;
	ecr.settings.quotas.creation_templates = 2;
	create("one");
	create("two");
	ecr_expect(&ecr, NULL, "LimitExceededException",
	    "The maximum number of repository creation templates (2) in the "
	    "registry with id '" ECR_ACCOUNT "' has been reached",
	    CREATE, "{\"prefix\":\"three\"," PUSH "}");
	ecr_expect(&ecr, NULL, "TemplateAlreadyExistsException", NULL, CREATE,
	    "{\"prefix\":\"two\"," PUSH "}");
	ecr_expect(&ecr, NULL, "", NULL, DELETE, "{\"prefix\":\"one\"}");
	create("three");
}

static void
lifecycle_rules_have_their_quota_here_too(void **state)
{
	(void)state;
	ecr.settings.quotas.lifecycle_rules = 1;
	ecr_expect(&ecr, NULL, INVALID, NULL, CREATE,
	    "{\"prefix\":\"q\"," PUSH ",\"lifecyclePolicy\":\"{\\\"rules\\\":["
	    "{\\\"rulePriority\\\":1,\\\"selection\\\":{\\\"tagStatus\\\":"
	    "\\\"untagged\\\",\\\"countType\\\":\\\"imageCountMoreThan\\\","
	    "\\\"countNumber\\\":3},\\\"action\\\":{\\\"type\\\":"
	    "\\\"expire\\\"}},"
	    "{\\\"rulePriority\\\":2,\\\"selection\\\":{\\\"tagStatus\\\":"
	    "\\\"any\\\",\\\"countType\\\":\\\"imageCountMoreThan\\\","
	    "\\\"countNumber\\\":3},\\\"action\\\":{\\\"type\\\":"
	    "\\\"expire\\\"}}]}\"}");
}

/* --- update and deletion ------------------------------------------------- */

static void
an_update_changes_what_is_given(void **state)
{
	struct ecr_reply r, s;
	const json_t *t;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, CREATE, "%s", ALL_MEMBERS);
	ecr_do(&ecr, NULL, &r, UPDATE,
	    "{\"prefix\":\"all/of\",\"description\":\"other\"}");
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	t = described("all/of", &s);
	assert_true(
	    json_equal(t, ecr_at(r.json, "repositoryCreationTemplate")));
	assert_string_equal(ecr_text(t, "description"), "other");
	assert_int_equal(json_object_size(t), 12);
	assert_string_equal(ecr_text(t, "appliedFor.1"), "CREATE_ON_PUSH");
	assert_true(json_real_value(ecr_at(t, "updatedAt")) >=
		    json_real_value(ecr_at(t, "createdAt")));
	ecr_reply_free(&r);
	ecr_reply_free(&s);
	ecr_expect(&ecr, NULL, "", NULL, UPDATE,
	    "{\"prefix\":\"all/of/\",\"appliedFor\":[\"REPLICATION\"],"
	    "\"encryptionConfiguration\":{\"encryptionType\":\"AES256\"}}");
	t = described("all/of", &s);
	assert_string_equal(ecr_text(t, "prefix"), "all/of");
	assert_int_equal(json_array_size(ecr_at(t, "appliedFor")), 1);
	assert_null(ecr_at(t, "encryptionConfiguration.kmsKey"));
	ecr_reply_free(&s);
}

static void
an_update_to_nothing_takes_away(void **state)
{
	struct ecr_reply r;
	const json_t *t;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, CREATE, "%s", ALL_MEMBERS);
	ecr_do(&ecr, NULL, &r, UPDATE,
	    "{\"prefix\":\"all/of\",\"description\":\"\","
	    "\"repositoryPolicy\":\"\",\"lifecyclePolicy\":\"\","
	    "\"customRoleArn\":\"\",\"resourceTags\":[]}");
	t = ecr_at(r.json, "repositoryCreationTemplate");
	assert_int_equal(json_object_size(t), 7);
	assert_null(ecr_at(t, "description"));
	assert_null(ecr_at(t, "repositoryPolicy"));
	assert_null(ecr_at(t, "lifecyclePolicy"));
	assert_null(ecr_at(t, "customRoleArn"));
	assert_null(ecr_at(t, "resourceTags"));
	ecr_reply_free(&r);
}

static void
filters_of_tags_go_with_their_mode(void **state)
{
	struct ecr_reply r;
	const json_t *t;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, CREATE, "%s", ALL_MEMBERS);
	/* The other mode with exclusions keeps them. */
	ecr_expect(&ecr, NULL, "", NULL, UPDATE,
	    "{\"prefix\":\"all/of\",\"imageTagMutability\":"
	    "\"MUTABLE_WITH_EXCLUSION\"}");
	t = described("all/of", &r);
	assert_string_equal(
	    ecr_text(t, "imageTagMutabilityExclusionFilters.0.filter"),
	    "dev-*");
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, UPDATE,
	    "{\"prefix\":\"all/of\",\"imageTagMutabilityExclusionFilters\":"
	    "[{\"filterType\":\"WILDCARD\",\"filter\":\"x\"}]}");
	ecr_expect(&ecr, NULL, "", NULL, UPDATE,
	    "{\"prefix\":\"all/of\",\"imageTagMutability\":\"IMMUTABLE\"}");
	t = described("all/of", &r);
	assert_string_equal(ecr_text(t, "imageTagMutability"), "IMMUTABLE");
	assert_null(ecr_at(t, "imageTagMutabilityExclusionFilters"));
	ecr_reply_free(&r);
	/* They do not go with the one that it has now. */
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("imageTagMutabilityExclusionFilters",
		"ImageTagMutabilityExclusionFilters must be null when "
		"imageTagMutability is set as IMMUTABLE"),
	    UPDATE,
	    "{\"prefix\":\"all/of\",\"imageTagMutabilityExclusionFilters\":"
	    "[{\"filterType\":\"WILDCARD\",\"filter\":\"x\"}]}");
	t = described("all/of", &r);
	assert_null(ecr_at(t, "imageTagMutabilityExclusionFilters"));
	ecr_reply_free(&r);
}

static void
what_is_not_there_is_neither_updated_nor_deleted(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "TemplateNotFoundException", NO_TEMPLATE("no"),
	    UPDATE, "{\"prefix\":\"no\",\"description\":\"x\"}");
	ecr_expect(&ecr, NULL, "TemplateNotFoundException", NO_TEMPLATE("no"),
	    DELETE, "{\"prefix\":\"no\"}");
	ecr_do(&ecr, NULL, &r, DESCRIBE, "{}");
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "repositoryCreationTemplates")), 0);
	ecr_reply_free(&r);
}

static void
a_deletion_tells_what_it_was(void **state)
{
	struct ecr_reply r, s;

	(void)state;
	ecr_do(&ecr, NULL, &r, CREATE, "%s", ALL_MEMBERS);
	ecr_do(&ecr, NULL, &s, DELETE, "{\"prefix\":\"all/of/\"}");
	assert_int_equal(s.status, 200);
	assert_true(json_equal(r.json, s.json));
	ecr_reply_free(&r);
	ecr_reply_free(&s);
	ecr_expect(&ecr, NULL, "TemplateNotFoundException", NULL, DELETE,
	    "{\"prefix\":\"all/of\"}");
}

/* --- lists --------------------------------------------------------------- */

static void
templates_are_listed_page_by_page(void **state)
{
	char token[4096] = "", prefix[16];
	struct ecr_reply r;
	size_t i, k, total = 0;
	const json_t *list;

	(void)state;
	for (i = 0; i < 7; i++) {
		(void)snprintf(prefix, sizeof(prefix), "p%zu", 6 - i);
		create(prefix);
	}
	for (i = 0; i < 4; i++) {
		ecr_do(&ecr, NULL, &r, DESCRIBE, "{\"maxResults\":2%s%s%s}",
		    i > 0 ? ",\"nextToken\":\"" : "", token, i > 0 ? "\"" : "");
		assert_int_equal(r.status, 200);
		list = ecr_at(r.json, "repositoryCreationTemplates");
		for (k = 0; k < json_array_size(list); k++, total++) {
			(void)snprintf(prefix, sizeof(prefix), "p%zu", total);
			assert_string_equal(
			    ecr_text(json_array_get(list, k), "prefix"),
			    prefix);
		}
		if (i < 3)
			(void)snprintf(token, sizeof(token), "%s",
			    ecr_text(r.json, "nextToken"));
		else
			assert_null(ecr_at(r.json, "nextToken"));
		ecr_reply_free(&r);
	}
	assert_int_equal(total, 7);
	ecr_expect(
	    &ecr, NULL, INVALID, NULL, DESCRIBE, "{\"nextToken\":\"made up\"}");
}

static void
templates_asked_for_by_name_come_in_that_order(void **state)
{
	struct ecr_reply r;
	const json_t *list;

	(void)state;
	create("x");
	create("y");
	ecr_do(
	    &ecr, NULL, &r, DESCRIBE, "{\"prefixes\":[\"y\",\"none\",\"x\"]}");
	list = ecr_at(r.json, "repositoryCreationTemplates");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(ecr_text(list, "0.prefix"), "y");
	assert_string_equal(ecr_text(list, "1.prefix"), "x");
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, DESCRIBE, "{\"prefixes\":[]}");
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "repositoryCreationTemplates")), 2);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("maxResults",
		"maxResults cannot be used together with prefixes"),
	    DESCRIBE, "{\"prefixes\":[\"x\"],\"maxResults\":1}");
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT(
		"nextToken", "nextToken cannot be used together with prefixes"),
	    DESCRIBE, "{\"prefixes\":[\"x\"],\"nextToken\":\"t\"}");
}

static void
no_more_than_a_hundred_are_asked_for_by_name(void **state)
{
	char text[101 * 4 + 1] = "";
	size_t i, at = 0;

	(void)state;
	for (i = 0; i < 101; i++)
		at += (size_t)snprintf(
		    text + at, sizeof(text) - at, "%s\"x\"", i > 0 ? "," : "");
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("prefixes",
		"Member must have length less than or equal to 100"),
	    DESCRIBE, "{\"prefixes\":[%s]}", text);
	ecr_expect(
	    &ecr, NULL, "", NULL, DESCRIBE, "{\"prefixes\":[%s]}", text + 4);
}

/* Else a template would be a way around the right to set a policy. */
static void
who_may_not_set_a_policy_puts_none_into_a_template(void **state)
{
	static const char *const policies[][2] = {
		{ "\"repositoryPolicy\":\"" POLICY "\"",
		    "ecr:SetRepositoryPolicy" },
		{ "\"lifecyclePolicy\":\"" LIFECYCLE "\"",
		    "ecr:PutLifecyclePolicy" },
	};
	struct ecr_key maker, setter;
	char policy[512];
	struct ecr own;
	size_t i;

	(void)state;
	ecr_open(&own, AUTH_TOKEN);
	for (i = 0; i < 2; i++) {
		snprintf(policy, sizeof(policy),
		    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":"
		    "\"Allow\",\"Action\":[\"ecr:*RepositoryCreationTemplate\""
		    ",\"%s\"],\"Resource\":\"*\"}]}",
		    i == 0 ? "ecr:PutImage" : policies[0][1]);
		ecr_user(&own, i == 0 ? "maker" : "setter", policy,
		    i == 0 ? &maker : &setter);
	}
	for (i = 0; i < 2; i++) {
		ecr_expect(&own, &maker, "AccessDeniedException", NULL, CREATE,
		    "{\"prefix\":\"p\"," PUSH ",%s}", policies[i][0]);
		ecr_expect(&own, &maker, "", NULL, CREATE,
		    "{\"prefix\":\"plain%zu\"," PUSH "}", i);
		ecr_expect(&own, &maker, "AccessDeniedException", NULL, UPDATE,
		    "{\"prefix\":\"plain%zu\",%s}", i, policies[i][0]);
		ecr_expect(&own, &setter, i == 0 ? "" : "AccessDeniedException",
		    NULL, CREATE, "{\"prefix\":\"p\"," PUSH ",%s}",
		    policies[i][0]);
	}
	ecr_close(&own);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, ecr_setup, ecr_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_template_has_ecr_defaults),
		TEST(all_members_are_kept_as_given),
		TEST(a_prefix_has_one_template),
		TEST(a_slash_at_the_end_stays_in_the_answer),
		TEST(a_bad_template_is_refused_as_where_it_would_be_used),
		TEST(empty_texts_are_as_if_not_given),
		TEST(there_are_no_more_than_the_quota),
		TEST(lifecycle_rules_have_their_quota_here_too),
		TEST(an_update_changes_what_is_given),
		TEST(an_update_to_nothing_takes_away),
		TEST(filters_of_tags_go_with_their_mode),
		TEST(what_is_not_there_is_neither_updated_nor_deleted),
		TEST(a_deletion_tells_what_it_was),
		TEST(templates_are_listed_page_by_page),
		TEST(templates_asked_for_by_name_come_in_that_order),
		TEST(no_more_than_a_hundred_are_asked_for_by_name),
		TEST(who_may_not_set_a_policy_puts_none_into_a_template),
	};

	return (
	    cmocka_run_group_tests_name("ecr_templates", tests, NULL, NULL));
}
