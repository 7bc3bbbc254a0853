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

/* Account settings, what they do to the registry's policy, and exclusions from
 * the time of the last pull: with users and signatures. */

static struct ecr_key admin, nobody;

#define INVALID "InvalidParameterException"
#define USER_ARN(name) "arn:aws:iam::" ECR_ACCOUNT ":user/" name

static int
setup(void **state)
{
	(void)state;
	ecr_open(&ecr, AUTH_TOKEN);
	ecr_user(&ecr, "admin", ECR_ALLOW("\"*\"", "*"), &admin);
	ecr_user(&ecr, "nobody", NULL, &nobody);
	ecr_expect(&ecr, &admin, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"red/r\"}");
	return (0);
}

/* --- settings ------------------------------------------------------------ */

static void
setting_is(const char *name, const char *value)
{
	struct ecr_reply r;

	ecr_do(
	    &ecr, &admin, &r, "GetAccountSetting", "{\"name\":\"%s\"}", name);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "name"), name);
	assert_string_equal(ecr_text(r.json, "value"), value);
	assert_int_equal(json_object_size(r.json), 2);
	ecr_reply_free(&r);
}

static void
setting_put(const char *name, const char *value)
{
	struct ecr_reply r;

	ecr_do(&ecr, &admin, &r, "PutAccountSetting",
	    "{\"name\":\"%s\",\"value\":\"%s\"}", name, value);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "name"), name);
	assert_string_equal(ecr_text(r.json, "value"), value);
	ecr_reply_free(&r);
}

static void
settings_begin_at_their_defaults(void **state)
{
	(void)state;
	setting_is("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE");
	setting_is("REGISTRY_POLICY_SCOPE", "V1");
	setting_is("BLOB_MOUNTING", "ENABLED");
}

static void
each_setting_is_kept_for_itself(void **state)
{
	(void)state;
	setting_put("BASIC_SCAN_TYPE_VERSION", "CLAIR");
	setting_put("BLOB_MOUNTING", "DISABLED");
	setting_put("REGISTRY_POLICY_SCOPE", "V2");
	setting_is("BASIC_SCAN_TYPE_VERSION", "CLAIR");
	setting_is("BLOB_MOUNTING", "DISABLED");
	setting_is("REGISTRY_POLICY_SCOPE", "V2");
	setting_put("BLOB_MOUNTING", "ENABLED");
	setting_put("REGISTRY_POLICY_SCOPE", "V1");
	setting_is("BASIC_SCAN_TYPE_VERSION", "CLAIR");
	setting_is("BLOB_MOUNTING", "ENABLED");
	setting_is("REGISTRY_POLICY_SCOPE", "V1");
}

static void
unknown_settings_and_values_are_refused_with_what_there_is(void **state)
{
	static const char *const operations[] = { "GetAccountSetting",
		"PutAccountSetting" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++)
		ecr_expect(&ecr, &admin, INVALID,
		    ECR_CONSTRAINT("name",
			"Member must satisfy enum value set: "
			"[BASIC_SCAN_TYPE_VERSION, REGISTRY_POLICY_SCOPE, "
			"BLOB_MOUNTING]"),
		    operations[i],
		    "{\"name\":\"blob_mounting\",\"value\":\"ENABLED\"}");
	ecr_expect(&ecr, &admin, INVALID,
	    ECR_CONSTRAINT("value",
		"Member must satisfy enum value set: [ENABLED, DISABLED]"),
	    "PutAccountSetting",
	    "{\"name\":\"BLOB_MOUNTING\",\"value\":\"V2\"}");
	ecr_expect(&ecr, &admin, INVALID,
	    ECR_CONSTRAINT(
		"value", "Member must satisfy enum value set: [V1, V2]"),
	    "PutAccountSetting",
	    "{\"name\":\"REGISTRY_POLICY_SCOPE\",\"value\":\"\"}");
	ecr_expect(&ecr, &admin, INVALID, NULL, "PutAccountSetting",
	    "{\"name\":\"BLOB_MOUNTING\"}");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "PutAccountSetting",
	    "{\"name\":\"BLOB_MOUNTING\",\"value\":\"DISABLED\"}");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "GetAccountSetting", "{\"name\":\"BLOB_MOUNTING\"}");
	setting_is("BLOB_MOUNTING", "ENABLED");
}

/* --- the scope of the registry's policy ---------------------------------- */

#define PUT_POLICY(effect, user, action, resource) \
	"{\"policyText\":\"{\\\"Version\\\":\\\"2012-10-17\\\"," \
	"\\\"Statement\\\":[{\\\"Effect\\\":\\\"" effect "\\\"," \
	"\\\"Principal\\\":{\\\"AWS\\\":\\\"" user \
	"\\\"},\\\"Action\\\":\\\"" action \
	"\\\",\\\"Resource\\\":\\\"" resource "\\\"}]}\"}"
#define ALL_REPOSITORIES "arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/*"
#define LET_IN \
	PUT_POLICY("Allow", USER_ARN("nobody"), "ecr:GetRepositoryPolicy", \
	    ALL_REPOSITORIES)
#define REPLICATE \
	PUT_POLICY( \
	    "Allow", "111122223333", "ecr:ReplicateImage", ALL_REPOSITORIES)
#define NOT_V1 "REGISTRY_POLICY_SCOPE cannot be set to V1 while *"

static void
scope_v1_takes_three_actions_and_v2_all(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, &admin, &r, "PutRegistryPolicy", "%s", LET_IN);
	assert_string_equal(r.type, INVALID);
	assert_non_null(strstr(r.message, "ecr:GetRepositoryPolicy"));
	assert_non_null(strstr(r.message, "REGISTRY_POLICY_SCOPE V2"));
	ecr_reply_free(&r);
	ecr_expect(
	    &ecr, &admin, "", NULL, "PutRegistryPolicy", "%s", REPLICATE);
	setting_put("REGISTRY_POLICY_SCOPE", "V2");
	ecr_expect(&ecr, &admin, "", NULL, "PutRegistryPolicy", "%s", LET_IN);
	ecr_expect(
	    &ecr, &admin, "", NULL, "PutRegistryPolicy", "%s", REPLICATE);
	ecr_expect(&ecr, &admin, "", NULL, "PutRegistryPolicy", "%s",
	    PUT_POLICY("Allow", "111122223333", "ecr:*", "*"));
	/* Other services' are none of its business in any scope. */
	ecr_expect(&ecr, &admin, INVALID,
	    "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
	    "'Invalid registry policy provided'*",
	    "PutRegistryPolicy", "%s",
	    PUT_POLICY("Allow", "111122223333", "s3:GetObject", "*"));
}

/* What may be put is no secret, but whoever may not put is told that first. */
static void
permission_comes_before_the_scope(void **state)
{
	(void)state;
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "PutRegistryPolicy", "%s", LET_IN);
}

static void
a_policy_of_scope_v2_is_obeyed(void **state)
{
	(void)state;
	setting_put("REGISTRY_POLICY_SCOPE", "V2");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "GetRepositoryPolicy", "{\"repositoryName\":\"red/r\"}");
	ecr_expect(&ecr, &admin, "", NULL, "PutRegistryPolicy", "%s", LET_IN);
	ecr_expect(&ecr, &nobody, "RepositoryPolicyNotFoundException", NULL,
	    "GetRepositoryPolicy", "{\"repositoryName\":\"red/r\"}");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "DeleteRepository", "{\"repositoryName\":\"red/r\"}");
	ecr_expect(&ecr, &admin, "", NULL, "PutRegistryPolicy", "%s",
	    PUT_POLICY("Deny", USER_ARN("admin"), "ecr:DeleteRepository",
		ALL_REPOSITORIES));
	ecr_expect(&ecr, &admin, "AccessDeniedException", NULL,
	    "DeleteRepository", "{\"repositoryName\":\"red/r\"}");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "GetRepositoryPolicy", "{\"repositoryName\":\"red/r\"}");
	ecr_expect(&ecr, &admin, "", NULL, "DeleteRegistryPolicy", "{}");
	ecr_expect(&ecr, &admin, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"red/r\"}");
}

static void
scope_v1_comes_back_when_the_policy_fits_it(void **state)
{
	(void)state;
	setting_put("REGISTRY_POLICY_SCOPE", "V2");
	ecr_expect(&ecr, &admin, "", NULL, "PutRegistryPolicy", "%s", LET_IN);
	ecr_expect(&ecr, &admin, "ValidationException", NOT_V1,
	    "PutAccountSetting",
	    "{\"name\":\"REGISTRY_POLICY_SCOPE\",\"value\":\"V1\"}");
	setting_is("REGISTRY_POLICY_SCOPE", "V2");
	ecr_expect(
	    &ecr, &admin, "", NULL, "PutRegistryPolicy", "%s", REPLICATE);
	setting_put("REGISTRY_POLICY_SCOPE", "V1");
	setting_put("REGISTRY_POLICY_SCOPE", "V2");
	ecr_expect(&ecr, &admin, "", NULL, "PutRegistryPolicy", "%s", LET_IN);
	ecr_expect(&ecr, &admin, "", NULL, "DeleteRegistryPolicy", "{}");
	setting_put("REGISTRY_POLICY_SCOPE", "V1");
	ecr_expect(
	    &ecr, &admin, INVALID, NULL, "PutRegistryPolicy", "%s", LET_IN);
}

/* --- exclusions ---------------------------------------------------------- */

#define REGISTER "RegisterPullTimeUpdateExclusion"
#define DEREGISTER "DeregisterPullTimeUpdateExclusion"
#define LIST "ListPullTimeUpdateExclusions"
#define ROLE(name) "arn:aws:iam::" ECR_ACCOUNT ":role/" name

static void
a_principal_is_excluded_once(void **state)
{
	double now = (double)clock_real_ms() / 1000.0;
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, &admin, &r, REGISTER, "{\"principalArn\":\"%s\"}",
	    ROLE("path/scanner"));
	assert_int_equal(r.status, 200);
	assert_string_equal(
	    ecr_text(r.json, "principalArn"), ROLE("path/scanner"));
	assert_true(json_real_value(ecr_at(r.json, "createdAt")) >= now - 0.01);
	ecr_reply_free(&r);
	ecr_expect(&ecr, &admin, "ExclusionAlreadyExistsException",
	    "The pull time update exclusion for the principal '" ROLE(
		"path/scanner") "' already exists in the registry with id "
				"'" ECR_ACCOUNT "'",
	    REGISTER, "{\"principalArn\":\"%s\"}", ROLE("path/scanner"));
	ecr_do(&ecr, &admin, &r, LIST, "{}");
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "pullTimeUpdateExclusions")), 1);
	assert_string_equal(ecr_text(r.json, "pullTimeUpdateExclusions.0"),
	    ROLE("path/scanner"));
	ecr_reply_free(&r);
	ecr_do(&ecr, &admin, &r, DEREGISTER, "{\"principalArn\":\"%s\"}",
	    ROLE("path/scanner"));
	assert_string_equal(
	    ecr_text(r.json, "principalArn"), ROLE("path/scanner"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, &admin, "ExclusionNotFoundException",
	    "The pull time update exclusion for the principal '" ROLE(
		"path/scanner") "' does not exist in the registry with id "
				"'" ECR_ACCOUNT "'",
	    DEREGISTER, "{\"principalArn\":\"%s\"}", ROLE("path/scanner"));
}

static void
only_users_and_roles_are_excluded(void **state)
{
	static const char *const arns[] = { "", "*", "scanner",
		"arn:aws:iam::" ECR_ACCOUNT ":root",
		"arn:aws:iam::" ECR_ACCOUNT ":group/x", "arn:aws:iam::1:user/x",
		USER_ARN("a b"), USER_ARN("x/") };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(arns) / sizeof(arns[0]); i++)
		ecr_expect(&ecr, &admin, INVALID,
		    "Invalid parameter at 'principalArn' *", REGISTER,
		    "{\"principalArn\":\"%s\"}", arns[i]);
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL, REGISTER,
	    "{\"principalArn\":\"%s\"}", USER_ARN("x"));
	ecr_expect(&ecr, &admin, "", NULL, REGISTER,
	    "{\"principalArn\":\"%s\"}", USER_ARN("x"));
}

static void
exclusions_have_a_quota(void **state)
{
	(void)state;
	ecr.settings.quotas.pull_exclusions = 1;
	ecr_expect(&ecr, &admin, "", NULL, REGISTER,
	    "{\"principalArn\":\"%s\"}", USER_ARN("x"));
	ecr_expect(&ecr, &admin, "LimitExceededException",
	    "The maximum number of pull time update exclusions (1) in the "
	    "registry with id '" ECR_ACCOUNT "' has been reached",
	    REGISTER, "{\"principalArn\":\"%s\"}", USER_ARN("y"));
}

/* A page holds 100 by the model, whatever is asked for. */
static void
exclusions_are_listed_page_by_page(void **state)
{
	char token[4096] = "";
	struct ecr_reply r;
	size_t i;

	(void)state;
	for (i = 0; i < 130; i++)
		ecr_expect(&ecr, &admin, "", NULL, REGISTER,
		    "{\"principalArn\":\"%s%03zu\"}", USER_ARN("u"), i);
	ecr_do(&ecr, &admin, &r, LIST, "{\"maxResults\":1000}");
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "pullTimeUpdateExclusions")), 100);
	assert_string_equal(
	    ecr_text(r.json, "pullTimeUpdateExclusions.99"), USER_ARN("u099"));
	(void)snprintf(
	    token, sizeof(token), "%s", ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	ecr_do(&ecr, &admin, &r, LIST, "{\"nextToken\":\"%s\"}", token);
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "pullTimeUpdateExclusions")), 30);
	assert_string_equal(
	    ecr_text(r.json, "pullTimeUpdateExclusions.0"), USER_ARN("u100"));
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, &admin, INVALID, NULL, LIST, "{\"nextToken\":\"x\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, ecr_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings_begin_at_their_defaults),
		TEST(each_setting_is_kept_for_itself),
		TEST(
		    unknown_settings_and_values_are_refused_with_what_there_is),
		TEST(scope_v1_takes_three_actions_and_v2_all),
		TEST(permission_comes_before_the_scope),
		TEST(a_policy_of_scope_v2_is_obeyed),
		TEST(scope_v1_comes_back_when_the_policy_fits_it),
		TEST(a_principal_is_excluded_once),
		TEST(only_users_and_roles_are_excluded),
		TEST(exclusions_have_a_quota),
		TEST(exclusions_are_listed_page_by_page),
	};

	return (cmocka_run_group_tests_name("ecr_account", tests, NULL, NULL));
}
