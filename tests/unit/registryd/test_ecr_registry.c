#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ecr_tools.h"
#include "registryd/backfills.h"
#include "storage/replication.h"

/* Replication, but for the sending, and signing, which is configured and not
 * done, with `auth: none`. */

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

/* What waits to be sent ends as somebody would end it who sends. */
static size_t
tasks_end(enum replication_state state, const char *code)
{
	struct meta *m = store_meta(ecr.service.store);
	struct replication_task *tasks;
	struct arena arena;
	size_t i, n;

	arena_init(&arena, 1 << 20);
	assert_int_equal(meta_replication_page(m, INT64_MIN, 0, INT64_MAX, 1000,
			     &arena, &tasks, &n),
	    RC_OK);
	for (i = 0; i < n; i++)
		assert_int_equal(meta_replication_end(m, &tasks[i], state,
				     span_of(code), SPAN("why"), 1),
		    RC_OK);
	arena_reset(&arena);
	return (n);
}

static void
an_image_pushed_under_a_rule_is_sent_to_its_destinations(void **state)
{
	struct ecr_reply r;
	const json_t *list;

	(void)state;
	image_make("test/app");
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s",
	    RULES(RULE_OF(WEST, FILTER("dev") "," FILTER("qa")) "," RULE_OF(
		WEST "," EAST, FILTER("qa"))));
	/* It was there before the rule. */
	assert_int_equal(json_array_size(replicated("prod/app", &r)), 0);
	ecr_reply_free(&r);
	image_make("qa/app");
	image_make("other/app");
	list = replicated("qa/app", &r);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(ecr_text(list, "0.status"), "IN_PROGRESS");
	assert_null(ecr_at(list, "0.failureCode"));
	ecr_reply_free(&r);
	assert_int_equal(json_array_size(replicated("other/app", &r)), 0);
	ecr_reply_free(&r);
	assert_int_equal(tasks_end(REPLICATION_FAILED, "AccessDenied"), 2);
	list = replicated("qa/app", &r);
	assert_string_equal(ecr_text(list, "0.status"), "FAILED");
	assert_string_equal(ecr_text(list, "0.failureCode"), "AccessDenied");
	assert_int_equal(strlen(ecr_text(list, "0.registryId")), 12);
	assert_string_not_equal(
	    ecr_text(list, "0.region"), ecr_text(list, "1.region"));
	ecr_reply_free(&r);
}

static void
a_change_of_the_rules_counts_from_the_next_push_on(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s", RULES(RULE(WEST)));
	image_make("one/app");
	assert_int_equal(json_array_size(replicated("one/app", &r)), 1);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s", RULES(""));
	image_make("two/app");
	assert_int_equal(json_array_size(replicated("two/app", &r)), 0);
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
without_one_there_is_no_backfill(void **state)
{
	struct ecr_reply r;

	(void)state;
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

static void
only_a_destination_of_the_rules_is_backfilled(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s", RULES(RULE(EAST)));
	ecr_expect(&ecr, NULL, "ValidationException",
	    "The destination with region 'us-west-2' and registry id "
	    "'" ECR_ACCOUNT "' is not one of the replication configuration",
	    "StartReplicationBackfill", "{\"destination\":%s}", WEST);
}

#define BACKFILL_TRIES 600

/* The status of one, once it is ${want}. */
static void
backfill_wait(const char *id, const char *want, struct ecr_reply *r)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };
	unsigned i;

	for (i = 0; i < BACKFILL_TRIES; i++) {
		ecr_do(&ecr, NULL, r, "DescribeReplicationBackfillResults",
		    "{\"replicationBackfillId\":\"%s\"}", id);
		assert_int_equal(r->status, 200);
		if (strcmp(ecr_text(r->json, "status"), want) == 0)
			return;
		ecr_reply_free(r);
		(void)nanosleep(&pause, NULL);
	}
	fail_msg("the backfill %s does not get to %s", id, want);
}

/* Until all its tasks are in the queue. */
static void
tasks_wait(uint64_t want)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < BACKFILL_TRIES && n < want; i++) {
		assert_int_equal(
		    meta_replication_count(store_meta(ecr.service.store), &n),
		    RC_OK);
		(void)nanosleep(&pause, NULL);
	}
	assert_true(n == want);
}

static char *
backfill_start(void)
{
	struct ecr_reply r;
	char *id;

	ecr_do(&ecr, NULL, &r, "StartReplicationBackfill",
	    "{\"destination\":%s}", WEST);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "status"), "PREPARING");
	assert_string_equal(
	    ecr_text(r.json, "destination.region"), "us-west-2");
	id = strdup(ecr_text(r.json, "replicationBackfillId"));
	ecr_reply_free(&r);
	return (id);
}

static void
a_backfill_sends_what_was_there_before_and_tells_what_became_of_it(void **state)
{
	struct ecr_reply r;
	char *id, next[2048];

	(void)state;
	image_make("qa/app");
	image_make("other/app");
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s",
	    RULES(RULE_OF(WEST, FILTER("prod") "," FILTER("qa"))));
	id = backfill_start();
	ecr_expect(&ecr, NULL, "ReplicationBackfillInProgressException", NULL,
	    "StartReplicationBackfill", "{\"destination\":%s}", WEST);
	tasks_wait(2);
	assert_int_equal(tasks_end(REPLICATION_COMPLETE, ""), 2);
	backfill_wait(id, "COMPLETE", &r);
	assert_int_equal(json_integer_value(
			     ecr_at(r.json, "progress.totalReplicationCount")),
	    2);
	assert_int_equal(json_integer_value(ecr_at(
			     r.json, "progress.completedReplicationCount")),
	    2);
	assert_int_equal(json_array_size(ecr_at(r.json, "results")), 2);
	assert_string_equal(
	    ecr_text(r.json, "results.0.repositoryName"), "prod/app");
	assert_string_equal(ecr_text(r.json, "results.0.status"), "COMPLETE");
	assert_string_equal(
	    ecr_text(r.json, "results.0.imageId.imageTag"), "t");
	assert_true(json_is_number(ecr_at(r.json, "endedAt")));
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeReplicationBackfillResults",
	    "{\"replicationBackfillId\":\"%s\",\"maxResults\":1}", id);
	assert_int_equal(json_array_size(ecr_at(r.json, "results")), 1);
	(void)snprintf(next, sizeof(next), "%s", ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeReplicationBackfillResults",
	    "{\"replicationBackfillId\":\"%s\",\"nextToken\":\"%s\"}", id,
	    next);
	assert_int_equal(json_array_size(ecr_at(r.json, "results")), 1);
	assert_string_equal(
	    ecr_text(r.json, "results.0.repositoryName"), "qa/app");
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeReplicationBackfillResults",
	    "{\"replicationBackfillId\":\"%s\",\"resultStatusFilter\":"
	    "\"FAILED\"}",
	    id);
	assert_int_equal(json_array_size(ecr_at(r.json, "results")), 0);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "ReplicationBackfillInvalidStatusException",
	    NULL, "StopReplicationBackfill",
	    "{\"replicationBackfillId\":\"%s\"}", id);
	free(id);
}

static void
a_backfill_that_fails_says_with_which_codes(void **state)
{
	struct ecr_reply r;
	char *id;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s", RULES(RULE(WEST)));
	id = backfill_start();
	tasks_wait(1);
	assert_int_equal(tasks_end(REPLICATION_FAILED, "AccessDenied"), 1);
	backfill_wait(id, "FAILED", &r);
	assert_string_equal(
	    ecr_text(r.json, "progress.failureCodes.0"), "AccessDenied");
	assert_string_equal(
	    ecr_text(r.json, "results.0.failureCode"), "AccessDenied");
	ecr_reply_free(&r);
	free(id);
}

static void
a_backfill_can_be_stopped_and_goes_on_after_a_restart(void **state)
{
	struct ecr_reply r;
	char *id;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, PUT, "%s", RULES(RULE(WEST)));
	id = backfill_start();
	tasks_wait(1);
	ecr_reopen(&ecr);
	assert_int_equal(backfills_start(ecr.service.backfills), RC_OK);
	backfill_wait(id, "IN_PROGRESS", &r);
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "StopReplicationBackfill",
	    "{\"replicationBackfillId\":\"%s\"}", id);
	assert_int_equal(r.status, 200);
	ecr_reply_free(&r);
	backfill_wait(id, "STOPPED", &r);
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "ListReplicationBackfills", "{}");
	assert_string_equal(ecr_text(r.json, "backfills.0.status"), "STOPPED");
	ecr_reply_free(&r);
	free(id);
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
		TEST(an_image_pushed_under_a_rule_is_sent_to_its_destinations),
		TEST(a_change_of_the_rules_counts_from_the_next_push_on),
		TEST(what_is_not_there_has_no_status),
		TEST(without_one_there_is_no_backfill),
		TEST(only_a_destination_of_the_rules_is_backfilled),
		TEST(
		    a_backfill_sends_what_was_there_before_and_tells_what_became_of_it),
		TEST(a_backfill_that_fails_says_with_which_codes),
		TEST(a_backfill_can_be_stopped_and_goes_on_after_a_restart),
		TEST(signing_is_put_told_and_taken_away),
		TEST(bad_signing_rules_are_refused),
		TEST(no_image_is_said_to_be_signed),
	};

	return (cmocka_run_group_tests_name("ecr_registry", tests, NULL, NULL));
}
