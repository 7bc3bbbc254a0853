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

/* Rules of the pull through cache, with `auth: none`. */

#define CREATE "CreatePullThroughCacheRule"
#define UPDATE "UpdatePullThroughCacheRule"
#define DELETE "DeletePullThroughCacheRule"
#define VALIDATE "ValidatePullThroughCacheRule"
#define DESCRIBE "DescribePullThroughCacheRules"
#define INVALID "InvalidParameterException"
#define UNSUPPORTED "UnsupportedUpstreamRegistryException"
#define NOT_FOUND "PullThroughCacheRuleNotFoundException"
#define NO_RULE(prefix) \
	"The pull through cache rule with ecrRepositoryPrefix '" prefix \
	"' does not exist in the registry with id '" ECR_ACCOUNT "'"
#define SECRET(name) \
	"arn:aws:secretsmanager:us-east-1:" ECR_ACCOUNT \
	":secret:ecr-pullthroughcache/" name
#define ROLE(name) "arn:aws:iam::" ECR_ACCOUNT ":role/" name

static void
create(const char *prefix, const char *url)
{
	ecr_expect(&ecr, NULL, "", NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"%s\",\"upstreamRegistryUrl\":\"%s\"}",
	    prefix, url);
}

static const json_t *
described(const char *prefix, struct ecr_reply *r)
{
	ecr_do(&ecr, NULL, r, DESCRIBE, "{\"ecrRepositoryPrefixes\":[\"%s\"]}",
	    prefix);
	assert_int_equal(r->status, 200);
	assert_int_equal(
	    json_array_size(ecr_at(r->json, "pullThroughCacheRules")), 1);
	return (ecr_at(r->json, "pullThroughCacheRules.0"));
}

/* --- creation ------------------------------------------------------------ */

static void
a_new_rule_is_kept_as_given(void **state)
{
	double now = (double)clock_real_ms() / 1000.0;
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_do(&ecr, NULL, &r, CREATE,
	    "{\"ecrRepositoryPrefix\":\"hub\",\"upstreamRegistryUrl\":"
	    "\"registry-1.docker.io\",\"registryId\":\"" ECR_ACCOUNT "\","
	    "\"upstreamRegistry\":\"docker-hub\",\"credentialArn\":\"%s\","
	    "\"customRoleArn\":\"%s\",\"upstreamRepositoryPrefix\":"
	    "\"library\"}",
	    SECRET("hub"), ROLE("r"));
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "ecrRepositoryPrefix"), "hub");
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_true(json_real_value(ecr_at(r.json, "createdAt")) >= now - 0.01);
	assert_null(ecr_at(r.json, "updatedAt"));
	assert_int_equal(json_object_size(r.json), 8);
	ecr_reply_free(&r);
	o = described("hub", &r);
	assert_string_equal(
	    ecr_text(o, "upstreamRegistryUrl"), "registry-1.docker.io");
	assert_string_equal(ecr_text(o, "upstreamRegistry"), "docker-hub");
	assert_string_equal(ecr_text(o, "credentialArn"), SECRET("hub"));
	assert_string_equal(ecr_text(o, "customRoleArn"), ROLE("r"));
	assert_string_equal(ecr_text(o, "upstreamRepositoryPrefix"), "library");
	assert_string_equal(ecr_text(o, "registryId"), ECR_ACCOUNT);
	assert_true(json_equal(ecr_at(o, "createdAt"), ecr_at(o, "updatedAt")));
	assert_int_equal(json_object_size(o), 9);
	ecr_reply_free(&r);
}

static const struct {
	const char *url, *name; /* "": none of AWS's */
} upstreams[] = {
	{ "public.ecr.aws", "ecr-public" },
	{ "quay.io", "quay" },
	{ "registry.k8s.io", "k8s" },
	{ "registry-1.docker.io", "docker-hub" },
	{ "ghcr.io", "github-container-registry" },
	{ "team.azurecr.io", "azure-container-registry" },
	{ "registry.gitlab.com", "gitlab-container-registry" },
	{ "cgr.dev", "chainguard" },
	{ "111122223333.dkr.ecr.eu-west-1.amazonaws.com", "ecr" },
	{ "https://QUAY.io/", "quay" },
	{ "registry.example:5000", "" },
	{ "http://10.0.0.1:5000", "" },
	{ "[::1]:5000", "" },
	{ "https://registry.example", "" },
	{ "bucket.s3.amazonaws.com", "" },
	{ "quay.io.example", "" },
};

static void
any_registry_is_an_upstream_and_known_ones_have_a_name(void **state)
{
	struct ecr_reply r;
	char prefix[16];
	const json_t *o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(upstreams) / sizeof(upstreams[0]); i++) {
		(void)snprintf(prefix, sizeof(prefix), "p%zu", i);
		create(prefix, upstreams[i].url);
		o = described(prefix, &r);
		assert_string_equal(
		    ecr_text(o, "upstreamRegistryUrl"), upstreams[i].url);
		if (upstreams[i].name[0] != '\0')
			assert_string_equal(
			    ecr_text(o, "upstreamRegistry"), upstreams[i].name);
		else
			assert_null(ecr_at(o, "upstreamRegistry"));
		ecr_reply_free(&r);
	}
}

static void
what_is_no_address_of_a_registry_is_refused(void **state)
{
	static const char *const urls[] = { "", "https://", "ftp://quay.io",
		"https://user:word@quay.io", "user@quay.io", "quay.io/team",
		"https://quay.io/v2/", "quay.io?x=1", "quay.io#x", "quay io",
		"quay.io:port", "quay.io:99999", "quay.io//", "\\u00e9.example",
		"quay.io\\n" };
	char longest[300];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		ecr_expect(&ecr, NULL, UNSUPPORTED,
		    "The upstream registry URL '*", CREATE,
		    "{\"ecrRepositoryPrefix\":\"bad\","
		    "\"upstreamRegistryUrl\":\"%s\"}",
		    urls[i]);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ecr_expect(&ecr, NULL, UNSUPPORTED, NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"bad\",\"upstreamRegistryUrl\":\"%s\"}",
	    longest);
	ecr_expect(&ecr, NULL, NOT_FOUND, NO_RULE("bad"), DELETE,
	    "{\"ecrRepositoryPrefix\":\"bad\"}");
}

static void
an_upstream_of_another_name_is_refused(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, UNSUPPORTED,
	    "The upstream registry 'docker-hub' does not have the URL "
	    "'quay.io': expected 'registry-1.docker.io'; *",
	    CREATE,
	    "{\"ecrRepositoryPrefix\":\"bad\",\"upstreamRegistryUrl\":"
	    "\"quay.io\",\"upstreamRegistry\":\"docker-hub\"}");
	ecr_expect(&ecr, NULL, UNSUPPORTED, NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"bad\",\"upstreamRegistryUrl\":"
	    "\"registry.example\",\"upstreamRegistry\":\"quay\"}");
	ecr_expect(&ecr, NULL, INVALID, NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"bad\",\"upstreamRegistryUrl\":"
	    "\"quay.io\",\"upstreamRegistry\":\"elsewhere\"}");
	ecr_expect(&ecr, NULL, "", NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"ok\",\"upstreamRegistryUrl\":"
	    "\"quay.io\",\"upstreamRegistry\":\"quay\"}");
}

static void
a_prefix_has_one_rule(void **state)
{
	(void)state;
	create("q/a", "quay.io");
	create("ROOT", "quay.io");
	ecr_expect(&ecr, NULL, "PullThroughCacheRuleAlreadyExistsException",
	    "A pull through cache rule with ecrRepositoryPrefix 'q/a' already "
	    "exists in the registry with id '" ECR_ACCOUNT "'",
	    CREATE,
	    "{\"ecrRepositoryPrefix\":\"q/a\",\"upstreamRegistryUrl\":"
	    "\"ghcr.io\"}");
	/* The '/' is implied, so it is the same one. */
	ecr_expect(&ecr, NULL, "PullThroughCacheRuleAlreadyExistsException",
	    NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"q/a/\",\"upstreamRegistryUrl\":"
	    "\"ghcr.io\"}");
	ecr_expect(&ecr, NULL, INVALID, NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"Q\",\"upstreamRegistryUrl\":"
	    "\"ghcr.io\"}");
	ecr_expect(&ecr, NULL, INVALID, NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"other\",\"upstreamRegistryUrl\":"
	    "\"ghcr.io\",\"credentialArn\":\"arn:aws:x\"}");
}

static void
there_are_no_more_than_the_quota(void **state)
{
	(void)state;
	ecr.settings.quotas.cache_rules = 1;
	create("one", "quay.io");
	ecr_expect(&ecr, NULL, "LimitExceededException",
	    "The maximum number of pull through cache rules (1) in the "
	    "registry with id '" ECR_ACCOUNT "' has been reached",
	    CREATE,
	    "{\"ecrRepositoryPrefix\":\"two\",\"upstreamRegistryUrl\":"
	    "\"quay.io\"}");
}

/* --- update, deletion, validation ---------------------------------------- */

static void
an_update_changes_credentials_and_role(void **state)
{
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	create("up", "quay.io");
	ecr_do(&ecr, NULL, &r, UPDATE,
	    "{\"ecrRepositoryPrefix\":\"up\",\"credentialArn\":\"%s\"}",
	    SECRET("new"));
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "ecrRepositoryPrefix"), "up");
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "credentialArn"), SECRET("new"));
	assert_non_null(ecr_at(r.json, "updatedAt"));
	assert_int_equal(json_object_size(r.json), 4);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, UPDATE,
	    "{\"ecrRepositoryPrefix\":\"up/\",\"customRoleArn\":\"%s\"}",
	    ROLE("r"));
	o = described("up", &r);
	assert_string_equal(ecr_text(o, "ecrRepositoryPrefix"), "up");
	assert_string_equal(ecr_text(o, "credentialArn"), SECRET("new"));
	assert_string_equal(ecr_text(o, "customRoleArn"), ROLE("r"));
	assert_string_equal(ecr_text(o, "upstreamRegistryUrl"), "quay.io");
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, UPDATE,
	    "{\"ecrRepositoryPrefix\":\"up\",\"customRoleArn\":\"\"}");
	o = described("up", &r);
	assert_null(ecr_at(o, "customRoleArn"));
	assert_string_equal(ecr_text(o, "credentialArn"), SECRET("new"));
	ecr_reply_free(&r);
}

static void
what_is_not_there_is_told_by_all(void **state)
{
	static const char *const operations[] = { UPDATE, DELETE, VALIDATE };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		ecr_expect(&ecr, NULL, NOT_FOUND, NO_RULE("no"), operations[i],
		    "{\"ecrRepositoryPrefix\":\"no\"}");
	create("yes", "quay.io");
	ecr_expect(&ecr, NULL, NOT_FOUND, NO_RULE("no"), DESCRIBE,
	    "{\"ecrRepositoryPrefixes\":[\"yes\",\"no\"]}");
	ecr_expect(&ecr, NULL, INVALID, NULL, DELETE,
	    "{\"ecrRepositoryPrefix\":\"yes\",\"registryId\":"
	    "\"999999999999\"}");
}

static void
a_deletion_tells_what_it_was(void **state)
{
	struct ecr_reply r;

	(void)state;
	create("gone", "https://registry.example");
	ecr_do(&ecr, NULL, &r, DELETE, "{\"ecrRepositoryPrefix\":\"gone\"}");
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "ecrRepositoryPrefix"), "gone");
	assert_string_equal(ecr_text(r.json, "upstreamRegistryUrl"),
	    "https://registry.example");
	assert_non_null(ecr_at(r.json, "createdAt"));
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, NOT_FOUND, NULL, DELETE,
	    "{\"ecrRepositoryPrefix\":\"gone\"}");
}

/* The server of these tests has no way out. */
static void
a_rule_whose_upstream_cannot_be_asked_is_not_said_to_work(void **state)
{
	struct ecr_reply r;

	(void)state;
	create("val", "quay.io");
	ecr_do(&ecr, NULL, &r, VALIDATE, "{\"ecrRepositoryPrefix\":\"val\"}");
	assert_int_equal(r.status, 200);
	assert_true(json_is_false(ecr_at(r.json, "isValid")));
	assert_non_null(strstr(
	    ecr_text(r.json, "failure"), "does not contact other registries"));
	assert_string_equal(ecr_text(r.json, "upstreamRegistryUrl"), "quay.io");
	assert_string_equal(ecr_text(r.json, "ecrRepositoryPrefix"), "val");
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	ecr_reply_free(&r);
}

static void
a_rule_whose_secret_is_not_here_is_not_said_to_work(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, CREATE,
	    "{\"ecrRepositoryPrefix\":\"sec\",\"upstreamRegistryUrl\":"
	    "\"quay.io\",\"credentialArn\":\"%s\"}",
	    SECRET("quay-AbC123"));
	ecr_do(&ecr, NULL, &r, VALIDATE, "{\"ecrRepositoryPrefix\":\"sec\"}");
	assert_int_equal(r.status, 200);
	assert_true(json_is_false(ecr_at(r.json, "isValid")));
	assert_non_null(strstr(ecr_text(r.json, "failure"),
	    "the secret \"ecr-pullthroughcache/quay\" is not here"));
	assert_string_equal(
	    ecr_text(r.json, "credentialArn"), SECRET("quay-AbC123"));
	ecr_reply_free(&r);
}

/* --- lists --------------------------------------------------------------- */

static void
rules_are_listed_page_by_page(void **state)
{
	struct ecr_reply r;
	char token[4096];

	(void)state;
	create("bb", "quay.io");
	create("cc", "quay.io");
	create("aa", "quay.io");
	ecr_do(&ecr, NULL, &r, DESCRIBE, "{\"maxResults\":2}");
	assert_string_equal(
	    ecr_text(r.json, "pullThroughCacheRules.0.ecrRepositoryPrefix"),
	    "aa");
	assert_string_equal(
	    ecr_text(r.json, "pullThroughCacheRules.1.ecrRepositoryPrefix"),
	    "bb");
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "pullThroughCacheRules")), 2);
	(void)snprintf(
	    token, sizeof(token), "%s", ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	/* Where it goes on need not be there any more. */
	ecr_expect(
	    &ecr, NULL, "", NULL, DELETE, "{\"ecrRepositoryPrefix\":\"bb\"}");
	ecr_do(&ecr, NULL, &r, DESCRIBE,
	    "{\"maxResults\":2,\"nextToken\":\"%s\"}", token);
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "pullThroughCacheRules")), 1);
	assert_string_equal(
	    ecr_text(r.json, "pullThroughCacheRules.0.ecrRepositoryPrefix"),
	    "cc");
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
	/* It is of this list. */
	ecr_expect(&ecr, NULL, INVALID, NULL,
	    "DescribeRepositoryCreationTemplates", "{\"nextToken\":\"%s\"}",
	    token);
}

static void
names_and_pages_do_not_go_together(void **state)
{
	(void)state;
	create("aa", "quay.io");
	ecr_expect(&ecr, NULL, INVALID,
	    "Invalid parameter at 'maxResults' failed to satisfy constraint: "
	    "'maxResults cannot be used together with ecrRepositoryPrefixes'",
	    DESCRIBE, "{\"ecrRepositoryPrefixes\":[\"aa\"],\"maxResults\":5}");
	ecr_expect(&ecr, NULL, INVALID, NULL, DESCRIBE,
	    "{\"ecrRepositoryPrefixes\":[\"aa\"],\"nextToken\":\"x\"}");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, ecr_setup, ecr_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_rule_is_kept_as_given),
		TEST(any_registry_is_an_upstream_and_known_ones_have_a_name),
		TEST(what_is_no_address_of_a_registry_is_refused),
		TEST(an_upstream_of_another_name_is_refused),
		TEST(a_prefix_has_one_rule),
		TEST(there_are_no_more_than_the_quota),
		TEST(an_update_changes_credentials_and_role),
		TEST(what_is_not_there_is_told_by_all),
		TEST(a_deletion_tells_what_it_was),
		TEST(a_rule_whose_upstream_cannot_be_asked_is_not_said_to_work),
		TEST(a_rule_whose_secret_is_not_here_is_not_said_to_work),
		TEST(rules_are_listed_page_by_page),
		TEST(names_and_pages_do_not_go_together),
	};

	return (
	    cmocka_run_group_tests_name("ecr_cache_rules", tests, NULL, NULL));
}
