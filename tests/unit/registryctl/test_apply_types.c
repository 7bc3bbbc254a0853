#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/apply_types.h"

/* The resource types: the normal form, the API's, the template's, and names. */
#define LIFECYCLE \
	"{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":" \
	"\"any\"," \
	"\"countType\":\"imageCountMoreThan\",\"countNumber\":5},\"action\":{" \
	"\"type\":\"expire\"}}]}"
#define LIFECYCLE_TEXT \
	"\"{\\\"rules\\\": [{\\\"rulePriority\\\": 1, \\\"selection\\\": " \
	"{\\\"tagStatus\\\": \\\"any\\\", \\\"countType\\\": " \
	"\\\"imageCountMoreThan\\\", \\\"countNumber\\\": 5}, " \
	"\\\"action\\\": " \
	"{\\\"type\\\": \\\"expire\\\"}}]}\""
#define POLICY \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\"," \
	"\"Principal\":\"*\",\"Action\":\"ecr:BatchGetImage\"}]}"

static const struct apply_registry registry = {
	.account_id = (char *)(uintptr_t) "123456789012",
	.region = (char *)(uintptr_t) "eu-west-1",
	.uri = (char *)(uintptr_t) "reg.example:5000",
};

static char why[APPLY_WHY_BYTES];

static json_t *
read_json(const char *text)
{
	json_error_t wrong;
	json_t *v = json_loads(text, JSON_DECODE_ANY, &wrong);

	if (v == NULL)
		fail_msg("%s: %s", text, wrong.text);
	return (v);
}

/* Takes ${is}. */
static void
expect_json(json_t *is, const char *want)
{
	json_t *wanted = read_json(want);
	char *text = json_dumps(is, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!json_equal(is, wanted))
		fail_msg("%s, want %s", text, want);
	free(text);
	json_decref(wanted);
	json_decref(is);
}

static json_t *
normal(enum resource_kind kind, const char *properties)
{
	json_t *p = read_json(properties), *n = NULL;

	if (resource_normal(kind, p, &registry, &n, why) != RC_OK)
		fail_msg("%s: %s", properties, why);
	json_decref(p);
	return (n);
}

static void
refused(enum resource_kind kind, const char *properties, const char *part)
{
	json_t *p = read_json(properties), *n = NULL;

	assert_int_equal(
	    resource_normal(kind, p, &registry, &n, why), RC_INVALID);
	if (strstr(why, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, why);
	json_decref(p);
}

/* --- the normal form ----------------------------------------------------- */

static void
what_is_not_said_has_its_default(void **state)
{
	(void)state;
	expect_json(normal(RESOURCE_REPOSITORY, "{}"),
	    "{\"ImageTagMutability\":\"MUTABLE\","
	    "\"ImageScanningConfiguration\":{\"ScanOnPush\":false},"
	    "\"EmptyOnDelete\":false}");
	expect_json(
	    normal(RESOURCE_SCANNING, "{\"ScanType\":\"BASIC\",\"Rules\":[]}"),
	    "{\"ScanType\":\"BASIC\",\"Rules\":[]}");
	expect_json(
	    normal(RESOURCE_REPLICATION, "{\"ReplicationConfiguration\":{}}"),
	    "{\"ReplicationConfiguration\":{\"Rules\":[]}}");
}

static void
text_truth_and_order_come_to_one_form(void **state)
{
	(void)state;
	expect_json(
	    normal(RESOURCE_REPOSITORY,
		"{\"RepositoryName\":\"a/b\","
		"\"ImageScanningConfiguration\":{\"scanOnPush\":\"True\"},"
		"\"EmptyOnDelete\":\"false\",\"RepositoryPolicyText\":\"\","
		"\"Tags\":[{\"Key\":\"z\",\"Value\":1},"
		"{\"Key\":\"a\",\"Value\":true}]}"),
	    "{\"RepositoryName\":\"a/b\",\"ImageTagMutability\":\"MUTABLE\","
	    "\"ImageScanningConfiguration\":{\"ScanOnPush\":true},"
	    "\"EmptyOnDelete\":false,"
	    "\"Tags\":[{\"Key\":\"a\",\"Value\":\"true\"},"
	    "{\"Key\":\"z\",\"Value\":\"1\"}]}");
	expect_json(normal(RESOURCE_CREATION_TEMPLATE,
			"{\"Prefix\":\"p\",\"AppliedFor\":[\"REPLICATION\","
			"\"CREATE_ON_PUSH\"],\"ResourceTags\":[]}"),
	    "{\"Prefix\":\"p\",\"ImageTagMutability\":\"MUTABLE\","
	    "\"AppliedFor\":[\"CREATE_ON_PUSH\",\"REPLICATION\"]}");
}

static void
a_policy_is_the_same_as_text_and_as_an_object(void **state)
{
	json_t *a, *b;

	(void)state;
	a = normal(RESOURCE_REPOSITORY,
	    "{\"LifecyclePolicy\":{\"LifecyclePolicyText\":" LIFECYCLE "}}");
	b = normal(RESOURCE_REPOSITORY,
	    "{\"LifecyclePolicy\":{\"LifecyclePolicyText\":" LIFECYCLE_TEXT
	    ",\"RegistryId\":123456789012}}");
	assert_true(json_equal(a, b));
	assert_non_null(json_object_get(a, "LifecyclePolicy"));
	json_decref(a);
	json_decref(b);
	expect_json(normal(RESOURCE_REPOSITORY, "{\"LifecyclePolicy\":{}}"),
	    "{\"ImageTagMutability\":\"MUTABLE\","
	    "\"ImageScanningConfiguration\":{\"ScanOnPush\":false},"
	    "\"EmptyOnDelete\":false}");
}

static void
an_empty_value_of_a_tag_is_one(void **state)
{
	static const char tags[] = "[{\"Key\":\"k\",\"Value\":\"\"}]";
	json_t *n, *api, *back;

	(void)state;
	n = normal(
	    RESOURCE_REPOSITORY, "{\"Tags\":[{\"Key\":\"k\",\"Value\":\"\"}]}");
	api = resource_to_api(RESOURCE_REPOSITORY, n);
	expect_json(json_incref(json_object_get(api, "tags")), tags);
	back = resource_from_api(RESOURCE_REPOSITORY, api);
	assert_true(json_equal(n, back));
	json_decref(n);
	json_decref(api);
	json_decref(back);
}

/* Without quotes in YAML it is a number. */
static void
an_account_may_be_a_number_in_a_policy(void **state)
{
	json_t *n;

	(void)state;
	n = normal(RESOURCE_REPOSITORY,
	    "{\"RepositoryPolicyText\":{\"Statement\":[{\"Effect\":\"Allow\","
	    "\"Principal\":{\"AWS\":123456789012},\"Action\":\"ecr:*\"}]}}");
	expect_json(json_incref(json_object_get(n, "RepositoryPolicyText")),
	    "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":"
	    "\"123456789012\"},\"Action\":\"ecr:*\"}]}");
	json_decref(n);
	n = normal(RESOURCE_REPOSITORY,
	    "{\"RepositoryPolicyText\":{\"Statement\":{\"Effect\":\"Deny\","
	    "\"NotPrincipal\":{\"AWS\":[123456789012,\"*\"]},"
	    "\"Action\":\"ecr:*\",\"Condition\":{\"NumericLessThan\":"
	    "{\"aws:MultiFactorAuthAge\":5}}}}}");
	expect_json(json_incref(json_object_get(n, "RepositoryPolicyText")),
	    "{\"Statement\":{\"Effect\":\"Deny\",\"NotPrincipal\":{\"AWS\":["
	    "\"123456789012\",\"*\"]},\"Action\":\"ecr:*\",\"Condition\":{"
	    "\"NumericLessThan\":{\"aws:MultiFactorAuthAge\":5}}}}");
	json_decref(n);
}

static void
a_rule_may_name_its_upstream_by_either(void **state)
{
	(void)state;
	expect_json(
	    normal(RESOURCE_CACHE_RULE, "{\"EcrRepositoryPrefix\":\"hub\","
					"\"UpstreamRegistry\":\"docker-hub\"}"),
	    "{\"EcrRepositoryPrefix\":\"hub\","
	    "\"UpstreamRegistryUrl\":\"registry-1.docker.io\","
	    "\"UpstreamRegistry\":\"docker-hub\","
	    "\"UpstreamRepositoryPrefix\":\"ROOT\"}");
	refused(RESOURCE_CACHE_RULE,
	    "{\"EcrRepositoryPrefix\":\"a\",\"UpstreamRegistry\":\"ecr\"}",
	    "UpstreamRegistryUrl is missing");
}

static void
what_is_wrong_is_told_with_its_place(void **state)
{
	static const struct {
		enum resource_kind kind;
		const char *properties, *part;
	} rows[] = {
		{ RESOURCE_REPOSITORY, "{\"Name\":\"x\"}",
		    "Properties: there is no property \"Name\"; there are "
		    "RepositoryName" },
		{ RESOURCE_REPOSITORY, "[]", "Properties: is a list" },
		{ RESOURCE_REPOSITORY, "{\"imageTagMutability\":\"MUTABLE\"}",
		    "no property \"imageTagMutability\"" },
		{ RESOURCE_REPOSITORY, "{\"ImageTagMutability\":\"NEVER\"}",
		    "Properties.ImageTagMutability: \"NEVER\" is none of its "
		    "values: MUTABLE, IMMUTABLE" },
		{ RESOURCE_REPOSITORY, "{\"ImageTagMutability\":{}}",
		    "is an object, and not text" },
		{ RESOURCE_REPOSITORY, "{\"RepositoryName\":null}",
		    "is null, and not text" },
		{ RESOURCE_REPOSITORY, "{\"EmptyOnDelete\":\"maybe\"}",
		    "Properties.EmptyOnDelete: is neither true nor false" },
		{ RESOURCE_REPOSITORY, "{\"Tags\":{}}",
		    "Properties.Tags: is an object, and not a list" },
		{ RESOURCE_REPOSITORY, "{\"Tags\":[{\"Key\":\"a\"}]}",
		    "Properties.Tags[0]: Value is missing" },
		{ RESOURCE_REPOSITORY,
		    "{\"Tags\":[{\"Key\":\"a\",\"Value\":\"1\"},"
		    "{\"Key\":\"a\",\"Value\":\"2\"}]}",
		    "Properties.Tags: there are two tags \"a\"" },
		{ RESOURCE_REPOSITORY,
		    "{\"LifecyclePolicy\":{\"LifecyclePolicyText\":\"{\"}}",
		    "Properties.LifecyclePolicy.LifecyclePolicyText: is not "
		    "JSON" },
		{ RESOURCE_REPOSITORY,
		    "{\"LifecyclePolicy\":{\"LifecyclePolicyText\":{}}}",
		    "Lifecycle policy validation failure" },
		{ RESOURCE_REPOSITORY,
		    "{\"LifecyclePolicy\":{\"RegistryId\":\"1\"}}",
		    "is another registry: this one is 123456789012" },
		{ RESOURCE_REPOSITORY,
		    "{\"RepositoryPolicyText\":{\"Statement\":[]}}",
		    "Properties.RepositoryPolicyText: is no policy" },
		{ RESOURCE_REPOSITORY,
		    "{\"EncryptionConfiguration\":{\"KmsKey\":\"k\"}}",
		    "EncryptionType is missing" },
		{ RESOURCE_REPOSITORY,
		    "{\"Tags\":[{\"Key\":\"\",\"Value\":\"1\"}]}",
		    "Properties.Tags[0].Key: is empty" },
		{ RESOURCE_REPOSITORY,
		    "{\"RepositoryPolicyText\":{\"Statement\":[{\"Effect\":"
		    "\"Allow\",\"Principal\":{\"AWS\":[{}]},\"Action\":"
		    "\"ecr:*\"}]}}",
		    "Properties.RepositoryPolicyText: is no policy" },
		{ RESOURCE_REPOSITORY,
		    "{\"ImageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"}",
		    "Properties: ImageTagMutabilityExclusionFilters is "
		    "missing: "
		    "ImageTagMutability is MUTABLE_WITH_EXCLUSION" },
		{ RESOURCE_CREATION_TEMPLATE,
		    "{\"Prefix\":\"p\",\"AppliedFor\":[\"REPLICATION\"],"
		    "\"ImageTagMutabilityExclusionFilters\":[{"
		    "\"ImageTagMutabilityExclusionFilterType\":\"WILDCARD\","
		    "\"ImageTagMutabilityExclusionFilterValue\":\"v*\"}]}",
		    "excludes from nothing: ImageTagMutability is MUTABLE" },
		{ RESOURCE_REPOSITORY,
		    "{\"EncryptionConfiguration\":{\"EncryptionType\":"
		    "\"KMS_DSSE\"}}",
		    "KMS_DSSE promises two layers" },
		{ RESOURCE_REPOSITORY,
		    "{\"EncryptionConfiguration\":{\"EncryptionType\":"
		    "\"AES256\",\"KmsKey\":\"k\"}}",
		    "EncryptionConfiguration.KmsKey: it is only with" },
		{ RESOURCE_REGISTRY_POLICY, "{}", "PolicyText is missing" },
		{ RESOURCE_REGISTRY_POLICY, "{\"PolicyText\":\"\"}",
		    "Properties.PolicyText: is empty" },
		{ RESOURCE_CREATION_TEMPLATE,
		    "{\"Prefix\":\"p\",\"AppliedFor\":[]}",
		    "Properties.AppliedFor: is empty" },
		{ RESOURCE_CREATION_TEMPLATE,
		    "{\"Prefix\":\"p\",\"AppliedFor\":[\"X\"]}",
		    "Properties.AppliedFor[0]: \"X\" is none of its values" },
		{ RESOURCE_REPLICATION,
		    "{\"ReplicationConfiguration\":{\"Rules\":[{"
		    "\"Destinations\":[{\"Region\":\"x\"}]}]}}",
		    "Rules[0].Destinations[0]: RegistryId is missing" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].kind, rows[i].properties, rows[i].part);
}

/* --- the API ------------------------------------------------------------- */

static void
it_goes_to_the_api_and_back(void **state)
{
	static const char filters[] =
	    "\"ImageTagMutabilityExclusionFilters\":[{"
	    "\"ImageTagMutabilityExclusionFilterType\":\"WILDCARD\","
	    "\"ImageTagMutabilityExclusionFilterValue\":\"latest\"}]";
	char *text =
	    xasprintf("{\"RepositoryName\":\"a\",\"ImageTagMutability\":"
		      "\"IMMUTABLE_WITH_EXCLUSION\",%s,"
		      "\"RepositoryPolicyText\":" POLICY
		      ",\"LifecyclePolicy\":{\"LifecyclePolicyText\":" LIFECYCLE
		      "},\"Tags\":[{\"Key\":\"k\",\"Value\":\"v\"}]}",
		filters);
	json_t *n = normal(RESOURCE_REPOSITORY, text), *api, *back;

	(void)state;
	api = resource_to_api(RESOURCE_REPOSITORY, n);
	assert_null(json_object_get(api, "emptyOnDelete"));
	assert_string_equal(
	    json_string_value(json_object_get(api, "repositoryPolicyText")),
	    POLICY);
	expect_json(json_incref(json_object_get(
			api, "imageTagMutabilityExclusionFilters")),
	    "[{\"filterType\":\"WILDCARD\",\"filter\":\"latest\"}]");
	back = resource_from_api(RESOURCE_REPOSITORY, api);
	assert_true(json_equal(n, back));
	json_decref(n);
	json_decref(api);
	json_decref(back);
	free(text);
}

static void
what_the_api_has_beyond_the_properties_is_left_out(void **state)
{
	json_t *o = read_json(
	    "{\"registryId\":\"1\",\"createdAt\":1.5,\"prefix\":\"p\","
	    "\"appliedFor\":[\"REPLICATION\"],\"imageTagMutability\":"
	    "\"SOMETHING_NEW\",\"description\":null,\"lifecyclePolicy\":"
	    "\"not json\"}");

	(void)state;
	expect_json(resource_from_api(RESOURCE_CREATION_TEMPLATE, o),
	    "{\"Prefix\":\"p\",\"AppliedFor\":[\"REPLICATION\"],"
	    "\"ImageTagMutability\":\"SOMETHING_NEW\","
	    "\"LifecyclePolicy\":\"not json\"}");
	json_decref(o);
}

static void
in_a_template_stands_what_is_not_so_by_default(void **state)
{
	json_t *n = normal(RESOURCE_REPOSITORY,
	    "{\"RepositoryName\":\"a\",\"ImageTagMutability\":\"IMMUTABLE\","
	    "\"RepositoryPolicyText\":" POLICY "}");

	(void)state;
	expect_json(resource_to_template(RESOURCE_REPOSITORY, n),
	    "{\"RepositoryName\":\"a\",\"ImageTagMutability\":\"IMMUTABLE\","
	    "\"RepositoryPolicyText\":" POLICY "}");
	json_decref(n);
	n = normal(
	    RESOURCE_SCANNING, "{\"ScanType\":\"ENHANCED\",\"Rules\":[]}");
	expect_json(resource_to_template(RESOURCE_SCANNING, n),
	    "{\"ScanType\":\"ENHANCED\",\"Rules\":[]}");
	json_decref(n);
}

/* --- names --------------------------------------------------------------- */

static void
id_is(enum resource_kind kind, const char *properties, const char *want)
{
	json_t *p = read_json(properties);
	char *id = resource_id(kind, "MyApp", p, "My_Stack", &registry, why);

	if (want == NULL) {
		assert_null(id);
	} else {
		assert_non_null(id);
		assert_string_equal(id, want);
	}
	free(id);
	json_decref(p);
}

static void
a_resource_is_called_as_its_properties_say(void **state)
{
	(void)state;
	id_is(RESOURCE_REPOSITORY, "{\"RepositoryName\":\"a/b\"}", "a/b");
	id_is(RESOURCE_CACHE_RULE, "{\"EcrRepositoryPrefix\":\"p\"}", "p");
	id_is(RESOURCE_SIGNING, "{}", "123456789012");
	id_is(RESOURCE_REPOSITORY, "{\"RepositoryName\":\"A\"}", NULL);
	assert_non_null(strstr(why, "\"A\" is no name of a repository"));
	id_is(RESOURCE_CACHE_RULE, "{}", NULL);
	assert_non_null(strstr(why, "EcrRepositoryPrefix is missing"));
	assert_true(resource_same(RESOURCE_CACHE_RULE, "a/", "a"));
	assert_false(resource_same(RESOURCE_REPOSITORY, "a/", "a"));
	assert_false(resource_same(RESOURCE_CACHE_RULE, "a", "b"));
}

static void
a_repository_without_a_name_gets_the_same_each_time(void **state)
{
	json_t *none = json_object();
	char *a = resource_id(
	    RESOURCE_REPOSITORY, "MyApp", none, "My_Stack", &registry, why);
	char *b = resource_id(
	    RESOURCE_REPOSITORY, "MyApp", none, "My_Stack", &registry, why);
	char *c = resource_id(
	    RESOURCE_REPOSITORY, "MyApp", none, "my.stack", &registry, why);
	char *end;

	(void)state;
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_memory_equal(a, "my-stack-myapp-", 15);
	assert_int_equal(strlen(a), 15 + 12);
	assert_int_equal(strspn(a + 15, "0123456789abcdef"), 12);
	free(a);
	free(b);
	free(c);
	end = xcalloc(1, 301);
	memset(end, 'x', 300);
	a = resource_id(RESOURCE_REPOSITORY, end, none, "s", &registry, why);
	assert_int_equal(strlen(a), 256);
	free(a);
	free(end);
	json_decref(none);
}

static void
attribute_is(enum resource_kind kind, const char *attribute, const char *want)
{
	char *value =
	    resource_attribute(kind, "a/b", attribute, &registry, why);

	if (want == NULL)
		assert_null(value);
	else
		assert_string_equal(value, want);
	free(value);
}

static void
references_come_to_names_and_addresses(void **state)
{
	(void)state;
	attribute_is(RESOURCE_REPOSITORY, NULL, "a/b");
	attribute_is(RESOURCE_REPOSITORY, "Arn",
	    "arn:aws:ecr:eu-west-1:123456789012:repository/a/b");
	attribute_is(
	    RESOURCE_REPOSITORY, "RepositoryUri", "reg.example:5000/a/b");
	attribute_is(RESOURCE_REGISTRY_POLICY, "RegistryId", "123456789012");
	attribute_is(RESOURCE_REPOSITORY, "RegistryId", NULL);
	assert_non_null(strstr(why, "has no attribute \"RegistryId\""));
	attribute_is(RESOURCE_CACHE_RULE, "Arn", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_said_has_its_default),
		cmocka_unit_test(text_truth_and_order_come_to_one_form),
		cmocka_unit_test(a_policy_is_the_same_as_text_and_as_an_object),
		cmocka_unit_test(an_empty_value_of_a_tag_is_one),
		cmocka_unit_test(an_account_may_be_a_number_in_a_policy),
		cmocka_unit_test(a_rule_may_name_its_upstream_by_either),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(it_goes_to_the_api_and_back),
		cmocka_unit_test(
		    what_the_api_has_beyond_the_properties_is_left_out),
		cmocka_unit_test(
		    in_a_template_stands_what_is_not_so_by_default),
		cmocka_unit_test(a_resource_is_called_as_its_properties_say),
		cmocka_unit_test(
		    a_repository_without_a_name_gets_the_same_each_time),
		cmocka_unit_test(references_come_to_names_and_addresses),
	};

	return (cmocka_run_group_tests_name("apply_types", tests, NULL, NULL));
}
