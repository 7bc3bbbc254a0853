#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ecr_tools.h"

/* Replication and signing, which are configured and not done, with
 * `auth: none`. */

#define INVALID "InvalidParameterException"
#define PUT "PutReplicationConfiguration"
#define TO(region, account) \
	"{\"region\":\"" region "\",\"registryId\":\"" account "\"}"
#define HERE TO("eu-central-1", ECR_ACCOUNT)
#define WEST TO("us-west-2", ECR_ACCOUNT)
#define NORTH TO("us-west-1", ECR_ACCOUNT)
#define OTHER TO("eu-central-1", "111122223333")
#define EAST TO("us-east-1", "111122223333")
#define RULE(destinations) "{\"destinations\":[" destinations "]}"
#define RULE_OF(destinations, filters) \
	"{\"destinations\":[" destinations "],\"repositoryFilters\":[" filters \
	"]}"
#define FILTER(prefix) \
	"{\"filter\":\"" prefix "\",\"filterType\":\"PREFIX_MATCH\"}"
#define RULES(rules) "{\"replicationConfiguration\":{\"rules\":[" rules "]}}"
/* An index of nothing is an image too. */
#define INDEX \
	"{\\\"schemaVersion\\\":2,\\\"mediaType\\\":" \
	"\\\"application/vnd.oci.image.index.v1+json\\\"," \
	"\\\"manifests\\\":[]}"

static void
image_make(const char *name)
{
	ecr_repository(&ecr, name);
	ecr_expect(&ecr, NULL, "", NULL, "PutImage",
	    "{\"repositoryName\":\"%s\",\"imageTag\":\"t\","
	    "\"imageManifest\":\"" INDEX "\"}",
	    name);
}

static int
setup(void **state)
{
	(void)ecr_setup(state);
	ecr.settings.manifest_bytes = 4 << 20;
	image_make("prod/app");
	return (0);
}

/* --- the configuration of replication ------------------------------------ */

static const json_t *
registry(struct ecr_reply *r)
{
	ecr_do(&ecr, NULL, r, "DescribeRegistry", "{}");
	assert_int_equal(r->status, 200);
	assert_string_equal(ecr_text(r->json, "registryId"), ECR_ACCOUNT);
	assert_int_equal(json_object_size(r->json), 2);
	return (ecr_at(r->json, "replicationConfiguration.rules"));
}

static void
a_registry_begins_without_rules(void **state)
{
	struct ecr_reply r;
	const json_t *rules;

	(void)state;
	rules = registry(&r);
	assert_true(json_is_array(rules));
	assert_int_equal(json_array_size(rules), 0);
	ecr_reply_free(&r);
}

static void
rules_of_replication_are_kept_as_given(void **state)
{
	struct ecr_reply r, s;
	const json_t *rules;

	(void)state;
	ecr_do(&ecr, NULL, &r, PUT, "%s",
	    RULES(RULE_OF(WEST "," OTHER,
		FILTER("prod")) ","
				"{\"destinations\":[],\"unknown\":1}"));
	assert_int_equal(r.status, 200);
	rules = registry(&s);
	assert_true(json_equal(
	    rules, ecr_at(r.json, "replicationConfiguration.rules")));
	assert_int_equal(json_array_size(rules), 2);
	assert_string_equal(
	    ecr_text(rules, "0.destinations.0.region"), "us-west-2");
	assert_string_equal(
	    ecr_text(rules, "0.destinations.1.registryId"), "111122223333");
	assert_string_equal(
	    ecr_text(rules, "0.repositoryFilters.0.filter"), "prod");
	assert_int_equal(json_array_size(ecr_at(rules, "1.destinations")), 0);
	assert_null(ecr_at(rules, "1.unknown"));
	assert_null(ecr_at(rules, "1.repositoryFilters"));
	ecr_reply_free(&r);
	ecr_reply_free(&s);
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s", RULES(""));
	assert_int_equal(json_array_size(registry(&r)), 0);
	ecr_reply_free(&r);
}

static void
nothing_is_replicated_to_where_it_is(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("replicationConfiguration",
		"Replication destination cannot be the same as the source "
		"registry"),
	    PUT, "%s", RULES(RULE(WEST "," HERE)));
}

static void
a_rule_has_nothing_twice(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("replicationConfiguration",
		"rule 1 has the same destination twice"),
	    PUT, "%s", RULES(RULE(WEST "," WEST)));
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT(
		"replicationConfiguration", "rule 2 has the same filter twice"),
	    PUT, "%s",
	    RULES(RULE("") "," RULE_OF("", FILTER("ab") "," FILTER("ab"))));
	/* Two rules may have the same destination. */
	ecr_expect(
	    &ecr, NULL, "", NULL, PUT, "%s", RULES(RULE(WEST) "," RULE(WEST)));
}

static void
rules_and_destinations_have_quotas(void **state)
{
	(void)state;
	ecr.settings.quotas.replication_rules = 1;
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("replicationConfiguration",
		"there are 2 rules; a registry can have 1"),
	    PUT, "%s", RULES(RULE("") "," RULE("")));
	ecr.settings.quotas.replication_rules = 0;
	ecr.settings.quotas.replication_destinations = 1;
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("replicationConfiguration",
		"there are 2 different destinations; a registry can have 1"),
	    PUT, "%s", RULES(RULE(WEST) "," RULE(NORTH)));
	ecr_expect(
	    &ecr, NULL, "", NULL, PUT, "%s", RULES(RULE(WEST) "," RULE(WEST)));
}

static void
replication_is_validated_by_its_shape(void **state)
{
	static const char *const bodies[] = {
		"{}",
		"{\"replicationConfiguration\":{}}",
		RULES("{}"),
		RULES("{\"destinations\":[" TO("US", ECR_ACCOUNT) "]}"),
		RULES("{\"destinations\":[" TO("us-west-2", "1") "]}"),
		RULES("{\"destinations\":[],\"repositoryFilters\":[]}"),
		RULES("{\"destinations\":[],\"repositoryFilters\":["
		      "{\"filter\":\"ab\",\"filterType\":\"SUFFIX\"}]}"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		ecr_expect(&ecr, NULL, INVALID, NULL, PUT, "%s", bodies[i]);
}

/* --- the status of an image ---------------------------------------------- */

static const json_t *
replicated(const char *repository, struct ecr_reply *r)
{
	ecr_do(&ecr, NULL, r, "DescribeImageReplicationStatus",
	    "{\"repositoryName\":\"%s\",\"imageId\":{\"imageTag\":\"t\"}}",
	    repository);
	assert_int_equal(r->status, 200);
	assert_string_equal(ecr_text(r->json, "repositoryName"), repository);
	assert_string_equal(ecr_text(r->json, "imageId.imageTag"), "t");
	assert_memory_equal(
	    ecr_text(r->json, "imageId.imageDigest"), "sha256:", 7);
	return (ecr_at(r->json, "replicationStatuses"));
}

static void
each_destination_of_an_image_has_failed(void **state)
{
	struct ecr_reply r;
	const json_t *list;

	(void)state;
	image_make("test/app");
	assert_int_equal(json_array_size(replicated("prod/app", &r)), 0);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s",
	    RULES(RULE_OF(WEST, FILTER("dev") "," FILTER("prod")) "," RULE(
		WEST "," EAST)));
	list = replicated("prod/app", &r);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(ecr_text(list, "0.region"), "us-west-2");
	assert_string_equal(ecr_text(list, "0.registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(list, "0.status"), "FAILED");
	assert_string_equal(
	    ecr_text(list, "0.failureCode"), "ReplicationNotSupported");
	assert_string_equal(ecr_text(list, "1.region"), "us-east-1");
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s",
	    RULES(RULE_OF(WEST, FILTER("prod"))));
	assert_int_equal(json_array_size(replicated("test/app", &r)), 0);
	ecr_reply_free(&r);
	assert_int_equal(json_array_size(replicated("prod/app", &r)), 1);
	ecr_reply_free(&r);
}

static void
what_is_not_there_has_no_status(void **state)
{
	static const char *const operations[] = {
		"DescribeImageReplicationStatus", "DescribeImageSigningStatus"
	};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
		    ECR_NO_REPOSITORY("none"), operations[i],
		    "{\"repositoryName\":\"none\",\"imageId\":"
		    "{\"imageTag\":\"t\"}}");
		ecr_expect(&ecr, NULL, "ImageNotFoundException", NULL,
		    operations[i],
		    "{\"repositoryName\":\"prod/app\",\"imageId\":"
		    "{\"imageTag\":\"none\"}}");
		ecr_expect(&ecr, NULL, INVALID, NULL, operations[i],
		    "{\"repositoryName\":\"prod/app\",\"imageId\":{}}");
	}
}

/* --- backfills ----------------------------------------------------------- */

static void
no_backfill_is_started(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "ValidationException",
	    "This version of the registry does not replicate images*",
	    "StartReplicationBackfill", "{\"destination\":%s}", WEST);
	ecr_expect(&ecr, NULL, INVALID, NULL, "StartReplicationBackfill", "{}");
	ecr_expect(&ecr, NULL, "ReplicationBackfillNotFoundException",
	    "The replication backfill with id 'b-1' does not exist in the "
	    "registry with id '" ECR_ACCOUNT "'",
	    "StopReplicationBackfill", "{\"replicationBackfillId\":\"b-1\"}");
	ecr_expect(&ecr, NULL, "ReplicationBackfillNotFoundException", NULL,
	    "DescribeReplicationBackfillResults",
	    "{\"replicationBackfillId\":\"b-1\"}");
	ecr_do(&ecr, NULL, &r, "ListReplicationBackfills", "{}");
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_true(json_is_array(ecr_at(r.json, "backfills")));
	assert_int_equal(json_array_size(ecr_at(r.json, "backfills")), 0);
	assert_int_equal(json_object_size(r.json), 2);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, INVALID, NULL, "ListReplicationBackfills",
	    "{\"nextToken\":\"x\"}");
}

/* --- signing ------------------------------------------------------------- */

#define PROFILE(name) \
	"arn:aws:signer:us-east-1:" ECR_ACCOUNT ":/signing-profiles/" name
#define SIGN(profile, filters) \
	"{\"signingProfileArn\":\"" PROFILE(profile) "\"" filters "}"
#define WHERE(filter) \
	",\"repositoryFilters\":[{\"filter\":\"" filter \
	"\",\"filterType\":\"WILDCARD_MATCH\"}]"
#define SIGNING(rules) "{\"signingConfiguration\":{\"rules\":[" rules "]}}"
#define NO_SIGNING \
	"Signing configuration does not exist in the registry with id " \
	"'" ECR_ACCOUNT "'"

static void
signing_is_put_told_and_taken_away(void **state)
{
	struct ecr_reply r, s;

	(void)state;
	ecr_expect(&ecr, NULL, "SigningConfigurationNotFoundException",
	    NO_SIGNING, "GetSigningConfiguration", "{}");
	ecr_expect(&ecr, NULL, "SigningConfigurationNotFoundException",
	    NO_SIGNING, "DeleteSigningConfiguration", "{}");
	ecr_do(&ecr, NULL, &r, "PutSigningConfiguration", "%s",
	    SIGNING(SIGN("one", WHERE("prod*")) "," SIGN("two", "")));
	assert_int_equal(r.status, 200);
	assert_int_equal(json_object_size(r.json), 1);
	assert_string_equal(
	    ecr_text(r.json, "signingConfiguration.rules.0.signingProfileArn"),
	    PROFILE("one"));
	assert_string_equal(
	    ecr_text(r.json,
		"signingConfiguration.rules.0.repositoryFilters.0.filter"),
	    "prod*");
	ecr_do(&ecr, NULL, &s, "GetSigningConfiguration", "{}");
	assert_string_equal(ecr_text(s.json, "registryId"), ECR_ACCOUNT);
	assert_true(json_equal(ecr_at(r.json, "signingConfiguration"),
	    ecr_at(s.json, "signingConfiguration")));
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DeleteSigningConfiguration", "{}");
	assert_true(json_equal(r.json, s.json));
	ecr_reply_free(&r);
	ecr_reply_free(&s);
	ecr_expect(&ecr, NULL, "SigningConfigurationNotFoundException", NULL,
	    "GetSigningConfiguration", "{}");
}

static void
bad_signing_rules_are_refused(void **state)
{
	static const char *const bodies[] = {
		"{}",
		"{\"signingConfiguration\":{}}",
		SIGNING("{}"),
		SIGNING("{\"signingProfileArn\":\"arn:aws:signer:x\"}"),
		SIGNING(SIGN("one", ",\"repositoryFilters\":[]")),
		SIGNING(SIGN("one", WHERE("Prod"))),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		ecr_expect(&ecr, NULL, INVALID, NULL, "PutSigningConfiguration",
		    "%s", bodies[i]);
	ecr.settings.quotas.signing_rules = 1;
	ecr_expect(&ecr, NULL, INVALID,
	    ECR_CONSTRAINT("signingConfiguration",
		"there are 2 rules; a registry can have 1"),
	    "PutSigningConfiguration", "%s",
	    SIGNING(SIGN("one", "") "," SIGN("two", "")));
}

static const json_t *
signed_status(struct ecr_reply *r)
{
	ecr_do(&ecr, NULL, r, "DescribeImageSigningStatus",
	    "{\"repositoryName\":\"prod/app\",\"imageId\":"
	    "{\"imageTag\":\"t\"}}");
	assert_int_equal(r->status, 200);
	assert_string_equal(ecr_text(r->json, "repositoryName"), "prod/app");
	assert_string_equal(ecr_text(r->json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r->json, "imageId.imageTag"), "t");
	return (ecr_at(r->json, "signingStatuses"));
}

static void
no_image_is_said_to_be_signed(void **state)
{
	struct ecr_reply r;
	const json_t *list;

	(void)state;
	assert_int_equal(json_array_size(signed_status(&r)), 0);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, "PutSigningConfiguration", "%s",
	    SIGNING(SIGN("one", WHERE("p*/app")) "," SIGN("one", "") "," SIGN(
		"two", WHERE("test*")) "," SIGN("three", "")));
	list = signed_status(&r);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(
	    ecr_text(list, "0.signingProfileArn"), PROFILE("one"));
	assert_string_equal(ecr_text(list, "0.status"), "FAILED");
	assert_string_equal(
	    ecr_text(list, "0.failureCode"), "SigningNotSupported");
	assert_string_equal(ecr_text(list, "0.failureReason"),
	    "this version of the registry does not sign images");
	assert_string_equal(
	    ecr_text(list, "1.signingProfileArn"), PROFILE("three"));
	ecr_reply_free(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, ecr_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_registry_begins_without_rules),
		TEST(rules_of_replication_are_kept_as_given),
		TEST(nothing_is_replicated_to_where_it_is),
		TEST(a_rule_has_nothing_twice),
		TEST(rules_and_destinations_have_quotas),
		TEST(replication_is_validated_by_its_shape),
		TEST(each_destination_of_an_image_has_failed),
		TEST(what_is_not_there_has_no_status),
		TEST(no_backfill_is_started),
		TEST(signing_is_put_told_and_taken_away),
		TEST(bad_signing_rules_are_refused),
		TEST(no_image_is_said_to_be_signed),
	};

	return (cmocka_run_group_tests_name("ecr_registry", tests, NULL, NULL));
}
