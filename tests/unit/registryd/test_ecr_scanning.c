#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "ecr_tools.h"
#include "registryd/scanning.h"
#include "scan/match.h"
#include "storage/findings.h"
#include "storage/images.h"
#include "storage/repositories.h"

/* Scans: what of them is configured, how they start, and what is told of their
 * end.  There is no scanner here: the tests end them. */

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define HELM_CONFIG "application/vnd.cncf.helm.config.v1+json"
#define MANIFEST(type, config, more) \
	"{\"schemaVersion\":2,\"mediaType\":\"" type "\",\"config\":{" \
	"\"mediaType\":\"" config "\",\"digest\":\"sha256:" ZEROS "\"," \
	"\"size\":2},\"layers\":[]" more "}"
#define IMAGE MANIFEST(MEDIA_OCI_MANIFEST, OCI_CONFIG, "")
#define DOCKER_IMAGE MANIFEST(MEDIA_DOCKER_MANIFEST, DOCKER_CONFIG, "")
#define CHART MANIFEST(MEDIA_OCI_MANIFEST, HELM_CONFIG, "")
#define ARTIFACT \
	MANIFEST(MEDIA_OCI_MANIFEST, OCI_CONFIG, \
	    ",\"artifactType\":\"application/vnd.example.sbom\"")
#define INDEX \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX \
	"\",\"manifests\":[]}"

/* What it names need not be here. */
static void
image_put(const char *repository, const char *tag, const char *text,
    char digest[DIGEST_STR_BYTES])
{
	struct span tag_span = span_of(tag);
	char why[MANIFEST_WHY_BYTES];
	struct manifest_put_result result;
	struct manifest m;
	struct manifest_put put = {
		.repository = span_of(repository),
		.text = span_of(text),
		.manifest = &m,
		.tags = &tag_span,
		.n_tags = 1,
		.sparse = SPARSE_ALL,
		.now_ms = clock_real_ms(),
	};
	struct arena arena;

	arena_init(&arena, 1 << 20);
	digest_of(DIGEST_SHA256, put.text.p, put.text.n, &put.digest);
	if (manifest_parse(SPAN_NONE, put.text, &arena, &m, why) != RC_OK)
		fail_msg("%s", why);
	assert_int_equal(
	    meta_manifest_put(store_meta(ecr.service.store), &put, &result),
	    RC_OK);
	digest_str(&put.digest, digest);
	arena_reset(&arena);
}

static void
status_set(const char *repository, const char *tag, enum image_status status)
{
	const struct reference ref = { .tag = span_of(tag) };
	struct holding holding;
	struct image_row row;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(meta_image_status_set(store_meta(ecr.service.store),
			     span_of(repository), &ref, status, clock_real_ms(),
			     &arena, &row, &holding),
	    RC_OK);
	arena_reset(&arena);
}

/* --- the registry's configuration ---------------------------------------- */

#define FILTER(f) "{\"filter\":\"" f "\",\"filterType\":\"WILDCARD\"}"
#define RULE(frequency, filters) \
	"{\"scanFrequency\":\"" frequency "\",\"repositoryFilters\":[" filters \
	"]}"

static void
configure(const char *type, const char *rules)
{
	ecr_expect(&ecr, NULL, "", NULL, "PutRegistryScanningConfiguration",
	    "{\"scanType\":\"%s\",\"rules\":[%s]}", type, rules);
}

/* ${text}: the scanningConfiguration as JSON. */
static void
configuration_expect(const char *text)
{
	json_t *wanted = json_loads(text, 0, NULL);
	struct ecr_reply r;

	assert_non_null(wanted);
	ecr_do(&ecr, NULL, &r, "GetRegistryScanningConfiguration", "{}");
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	if (!json_equal(ecr_at(r.json, "scanningConfiguration"), wanted))
		fail_msg("expected %s, got " SPAN_FMT, text, SPAN_ARG(r.body));
	ecr_reply_free(&r);
	json_decref(wanted);
}

static void
a_registry_scans_nothing_by_itself_at_first(void **state)
{
	(void)state;
	configuration_expect("{\"scanType\":\"BASIC\",\"rules\":[]}");
}

static void
the_configuration_comes_back_as_it_was_set(void **state)
{
#define RULES \
	"[" RULE("SCAN_ON_PUSH", FILTER("a*") "," FILTER("b")) "," RULE( \
	    "CONTINUOUS_SCAN", FILTER("*")) "]"
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, NULL, &r, "PutRegistryScanningConfiguration",
	    "{\"scanType\":\"ENHANCED\",\"unknown\":1,\"rules\":" RULES "}");
	assert_int_equal(r.status, 200);
	assert_string_equal(
	    ecr_text(r.json, "registryScanningConfiguration.scanType"),
	    "ENHANCED");
	assert_string_equal(
	    ecr_text(r.json, "registryScanningConfiguration.rules.0."
			     "repositoryFilters.1.filter"),
	    "b");
	ecr_reply_free(&r);
	configuration_expect("{\"scanType\":\"ENHANCED\",\"rules\":" RULES "}");
	ecr_expect(
	    &ecr, NULL, "", NULL, "PutRegistryScanningConfiguration", "{}");
	configuration_expect("{\"scanType\":\"BASIC\",\"rules\":[]}");
	configure("BASIC", RULE("MANUAL", ""));
	configuration_expect(
	    "{\"scanType\":\"BASIC\",\"rules\":[" RULE("MANUAL", "") "]}");
}

static void
bad_configurations_are_refused(void **state)
{
	static const char *const bad[] = {
		"\"scanType\":\"SOMETIMES\"",
		"\"rules\":[" RULE("DAILY", FILTER("*")) "]",
		"\"rules\":[" RULE("SCAN_ON_PUSH", FILTER("Upper")) "]",
		"\"rules\":[" RULE("SCAN_ON_PUSH", FILTER("")) "]",
		"\"rules\":[" RULE("SCAN_ON_PUSH",
		    "{\"filter\":\"a\",\"filterType\":\"PREFIX\"}") "]",
		"\"rules\":[{\"scanFrequency\":\"SCAN_ON_PUSH\"}]",
		"\"rules\":[{\"repositoryFilters\":[]}]",
		"\"rules\":[" RULE("SCAN_ON_PUSH", "") "," RULE(
		    "MANUAL", "") "," RULE("CONTINUOUS_SCAN", "") "]",
	};
	size_t i;

	(void)state;
	configure("BASIC", "");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
		    "PutRegistryScanningConfiguration", "{%s}", bad[i]);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("rules",
		"there is more than one rule with scanFrequency SCAN_ON_PUSH"),
	    "PutRegistryScanningConfiguration",
	    "{\"rules\":[" RULE("SCAN_ON_PUSH", FILTER("a")) "," RULE(
		"SCAN_ON_PUSH", FILTER("b")) "]}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("rules",
		"scanFrequency CONTINUOUS_SCAN is not supported with scanType "
		"BASIC"),
	    "PutRegistryScanningConfiguration",
	    "{\"rules\":[" RULE("CONTINUOUS_SCAN", FILTER("a")) "]}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("rules",
		"scanFrequency MANUAL is not supported with scanType "
		"ENHANCED"),
	    "PutRegistryScanningConfiguration",
	    "{\"scanType\":\"ENHANCED\",\"rules\":[" RULE(
		"MANUAL", FILTER("a")) "]}");
	configuration_expect("{\"scanType\":\"BASIC\",\"rules\":[]}");
}

/* --- what it means for a repository -------------------------------------- */

static void
frequency_expect(
    const char *name, bool own, const char *frequency, const char *filter)
{
	struct ecr_reply r;
	const json_t *o;

	ecr_do(&ecr, NULL, &r, "BatchGetRepositoryScanningConfiguration",
	    "{\"repositoryNames\":[\"%s\"]}", name);
	assert_int_equal(r.status, 200);
	assert_int_equal(json_array_size(ecr_at(r.json, "failures")), 0);
	o = ecr_at(r.json, "scanningConfigurations.0");
	assert_string_equal(ecr_text(o, "repositoryName"), name);
	assert_int_equal(json_is_true(ecr_at(o, "scanOnPush")), own);
	assert_string_equal(ecr_text(o, "scanFrequency"), frequency);
	if (filter != NULL)
		assert_string_equal(
		    ecr_text(o, "appliedScanFilters.0.filter"), filter);
	assert_int_equal(json_array_size(ecr_at(o, "appliedScanFilters")),
	    filter != NULL ? 1 : 0);
	ecr_reply_free(&r);
}

static void
rules_say_when_repositories_are_scanned(void **state)
{
	(void)state;
	ecr_repository(&ecr, "when/prod");
	ecr_repository(&ecr, "when/test");
	configure("BASIC", "");
	frequency_expect("when/prod", false, "MANUAL", NULL);
	configure("BASIC", RULE("SCAN_ON_PUSH", FILTER("*/prod")));
	frequency_expect("when/prod", false, "SCAN_ON_PUSH", "*/prod");
	frequency_expect("when/test", false, "MANUAL", NULL);
	configure("BASIC", RULE("MANUAL", FILTER("*")) "," RULE(
			       "SCAN_ON_PUSH", FILTER("*/prod")));
	frequency_expect("when/prod", false, "SCAN_ON_PUSH", "*/prod");
	frequency_expect("when/test", false, "MANUAL", "*");
	configure("ENHANCED", RULE("SCAN_ON_PUSH", FILTER("when/*")) "," RULE(
				  "CONTINUOUS_SCAN", FILTER("*/prod")));
	frequency_expect("when/prod", false, "CONTINUOUS_SCAN", "*/prod");
	frequency_expect("when/test", false, "SCAN_ON_PUSH", "when/*");
}

static void
a_repository_may_want_more_than_the_rules(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"own/push\",\"imageScanningConfiguration\":"
	    "{\"scanOnPush\":true}}");
	configure("BASIC", "");
	frequency_expect("own/push", true, "SCAN_ON_PUSH", NULL);
	configure("BASIC", RULE("MANUAL", FILTER("own/*")));
	frequency_expect("own/push", true, "SCAN_ON_PUSH", NULL);
	configure("BASIC", RULE("SCAN_ON_PUSH", FILTER("own/*")));
	frequency_expect("own/push", true, "SCAN_ON_PUSH", "own/*");
	configure("ENHANCED", RULE("CONTINUOUS_SCAN", FILTER("own/*")));
	frequency_expect("own/push", true, "CONTINUOUS_SCAN", "own/*");
}

/* A filter without a wildcard is of all names that it is in. */
static void
filters_match_as_ecr_has_them_match(void **state)
{
	static const char *const names[] = { "prod", "repo-prod", "prod-repo",
		"repo-prod-repo", "prodrepo" };
	static const struct {
		const char *filter, *wanted; /* y or n for each name */
	} cases[] = {
		{ "prod", "yyyyy" },
		{ "*prod", "yynnn" },
		{ "prod*", "ynyny" },
		{ "*prod*", "yyyyy" },
		{ "prod*repo", "nnyny" },
		{ "*", "yyyyy" },
		{ "p*o*d*", "ynyny" },
		{ "*r*o*d*r*", "nnyyy" },
		{ "**prod", "yynnn" },
		{ "products", "nnnnn" },
	};
	struct ecr_reply r;
	size_t i, k;

	(void)state;
	for (k = 0; k < 5; k++)
		ecr_repository(&ecr, names[k]);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ecr_expect(&ecr, NULL, "", NULL,
		    "PutRegistryScanningConfiguration",
		    "{\"rules\":[" RULE("SCAN_ON_PUSH", FILTER("%s")) "]}",
		    cases[i].filter);
		ecr_do(&ecr, NULL, &r,
		    "BatchGetRepositoryScanningConfiguration",
		    "{\"repositoryNames\":[\"prod\",\"repo-prod\","
		    "\"prod-repo\",\"repo-prod-repo\",\"prodrepo\"]}");
		for (k = 0; k < 5; k++)
			if (strcmp(ecr_text(json_array_get(
						ecr_at(r.json,
						    "scanningConfigurations"),
						k),
				       "scanFrequency"),
				cases[i].wanted[k] == 'y' ? "SCAN_ON_PUSH"
							  : "MANUAL") != 0)
				fail_msg(
				    "%s and %s", cases[i].filter, names[k]);
		ecr_reply_free(&r);
	}
}

static void
unknown_repositories_are_failures_beside_the_others(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "batch/a");
	ecr_do(&ecr, NULL, &r, "BatchGetRepositoryScanningConfiguration",
	    "{\"repositoryNames\":[\"batch/none\",\"batch/a\"]}");
	assert_int_equal(r.status, 200);
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "scanningConfigurations")), 1);
	assert_string_equal(
	    ecr_text(r.json, "scanningConfigurations.0.repositoryArn"),
	    "arn:aws:ecr:eu-central-1:" ECR_ACCOUNT ":repository/batch/a");
	assert_int_equal(json_array_size(ecr_at(r.json, "failures")), 1);
	assert_string_equal(
	    ecr_text(r.json, "failures.0.repositoryName"), "batch/none");
	assert_string_equal(
	    ecr_text(r.json, "failures.0.failureCode"), "REPOSITORY_NOT_FOUND");
	assert_string_equal(ecr_text(r.json, "failures.0.failureReason"),
	    ECR_NO_REPOSITORY("batch/none"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "BatchGetRepositoryScanningConfiguration",
	    "{\"repositoryNames\":[]}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "BatchGetRepositoryScanningConfiguration", "{}");
}

static void
what_may_not_be_seen_is_denied(void **state)
{
	struct ecr_key admin, reader;
	struct ecr with;

	(void)state;
	ecr_open(&with, AUTH_TOKEN);
	ecr_user(&with, "admin",
	    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
	    "\"Action\":\"*\",\"Resource\":\"*\"}}",
	    &admin);
	ecr_user(&with, "reader",
	    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
	    "\"Action\":\"ecr:BatchGetRepositoryScanningConfiguration\","
	    "\"Resource\":\"arn:aws:ecr:*:*:repository/seen/*\"}}",
	    &reader);
	ecr_expect(&with, &admin, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"seen/a\"}");
	ecr_expect(&with, &reader, "", NULL,
	    "BatchGetRepositoryScanningConfiguration",
	    "{\"repositoryNames\":[\"seen/a\",\"seen/none\"]}");
	ecr_expect(&with, &reader, "AccessDeniedException", NULL,
	    "BatchGetRepositoryScanningConfiguration",
	    "{\"repositoryNames\":[\"seen/a\",\"hidden\"]}");
	ecr_expect(&with, &reader, "AccessDeniedException", NULL,
	    "GetRegistryScanningConfiguration", "{}");
	ecr_expect(&with, &reader, "AccessDeniedException", NULL,
	    "PutRegistryScanningConfiguration", "{}");
	ecr_close(&with);
}

static bool
on_push(const char *name)
{
	struct call c = {
		.service = &ecr.service,
		.settings = &ecr.settings,
		.store = ecr.service.store,
		.meta = store_meta(ecr.service.store),
	};

	return (ecr_scan_on_push(&c, span_of(name)));
}

static void
a_push_asks_the_rules_for_a_scan(void **state)
{
	(void)state;
	configure("BASIC", "");
	assert_false(on_push("push/a"));
	configure("BASIC", RULE("MANUAL", FILTER("push/m")) "," RULE(
			       "SCAN_ON_PUSH", FILTER("push/a*")));
	assert_true(on_push("push/a"));
	assert_true(on_push("push/abc"));
	assert_false(on_push("push/m"));
	assert_false(on_push("push/b"));
	configure("ENHANCED", RULE("CONTINUOUS_SCAN", FILTER("push/*")));
	assert_true(on_push("push/b"));
	configure("ENHANCED", "");
	assert_false(on_push("push/b"));
}

/* --- StartImageScan, DescribeImageScanFindings --------------------------- */

static void
scan_start(const char *name, const char *id, const char *digest)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "StartImageScan",
	    "{\"repositoryName\":\"%s\",\"imageId\":%s}", name, id);
	if (r.status != 200)
		fail_msg(SPAN_FMT, SPAN_ARG(r.body));
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), name);
	assert_string_equal(ecr_text(r.json, "imageId.imageDigest"), digest);
	assert_string_equal(
	    ecr_text(r.json, "imageScanStatus.status"), "IN_PROGRESS");
	ecr_reply_free(&r);
}

static void
findings_expect(const char *name, const char *tag, const char *digest,
    const char *status, const char *description)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "DescribeImageScanFindings",
	    "{\"repositoryName\":\"%s\",\"imageId\":{\"imageTag\":\"%s\"}}",
	    name, tag);
	if (r.status != 200)
		fail_msg(SPAN_FMT, SPAN_ARG(r.body));
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), name);
	assert_string_equal(ecr_text(r.json, "imageId.imageDigest"), digest);
	assert_string_equal(ecr_text(r.json, "imageId.imageTag"), tag);
	assert_string_equal(ecr_text(r.json, "imageScanStatus.status"), status);
	if (description != NULL)
		assert_string_equal(
		    ecr_text(r.json, "imageScanStatus.description"),
		    description);
	assert_null(ecr_at(r.json, "imageScanFindings"));
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
}

#define REASON "nothing can be read"

/* As a scanner does it: all that wait. */
static void
scans_fail(void)
{
	struct meta *m = store_meta(ecr.service.store);
	struct scan_job job;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	while (meta_scan_next(m, &arena, &job) == RC_OK)
		assert_int_equal(meta_scan_end(m, &job, SCAN_FAILED,
				     SPAN(REASON), clock_real_ms()),
		    RC_OK);
	arena_reset(&arena);
}

static void
a_scan_is_started_and_tells_how_it_ended(void **state)
{
	char digest[DIGEST_STR_BYTES], id[256];

	(void)state;
	configure("BASIC", "");
	ecr_repository(&ecr, "scan/a");
	image_put("scan/a", "v1", IMAGE, digest);
	scan_start("scan/a", "{\"imageTag\":\"v1\"}", digest);
	findings_expect("scan/a", "v1", digest, "IN_PROGRESS", NULL);
	/* One that runs goes on where there is no quota. */
	(void)snprintf(id, sizeof(id), "{\"imageDigest\":\"%s\"}", digest);
	scan_start("scan/a", id, digest);
	scans_fail();
	findings_expect("scan/a", "v1", digest, "FAILED", REASON);
	scan_start("scan/a", id, digest);
	findings_expect("scan/a", "v1", digest, "IN_PROGRESS", NULL);
	scans_fail();
	findings_expect("scan/a", "v1", digest, "FAILED", REASON);
}

static void
images_of_docker_are_scanned_too(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	ecr_repository(&ecr, "scan/docker");
	image_put("scan/docker", "v1", DOCKER_IMAGE, digest);
	scan_start("scan/docker", "{\"imageTag\":\"v1\"}", digest);
}

static void
scan_refuse(const char *name)
{
	ecr_expect(&ecr, NULL, "LimitExceededException",
	    "The scan quota per image has been exceeded. Wait and try again.",
	    "StartImageScan",
	    "{\"repositoryName\":\"%s\",\"imageId\":"
	    "{\"imageTag\":\"v1\"}}",
	    name);
}

static void
an_image_is_scanned_as_often_as_the_quota_says(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	ecr_repository(&ecr, "scan/quota");
	image_put("scan/quota", "v1", IMAGE, digest);
	ecr.settings.quotas.scans = 1;
	scan_start("scan/quota", "{\"imageTag\":\"v1\"}", digest);
	/* While it waits as well as when it has ended. */
	scan_refuse("scan/quota");
	findings_expect("scan/quota", "v1", digest, "IN_PROGRESS", NULL);
	scans_fail();
	scan_refuse("scan/quota");
	findings_expect("scan/quota", "v1", digest, "FAILED", REASON);
	ecr.settings.quotas.scans = 0;
	scan_start("scan/quota", "{\"imageTag\":\"v1\"}", digest);
}

static void
what_is_no_image_is_not_scanned(void **state)
{
	static const char *const texts[] = { CHART, ARTIFACT, INDEX };
	char digest[DIGEST_STR_BYTES], tag[8];
	size_t i;

	(void)state;
	ecr_repository(&ecr, "scan/types");
	for (i = 0; i < 3; i++) {
		(void)snprintf(tag, sizeof(tag), "t%zu", i);
		image_put("scan/types", tag, texts[i], digest);
		ecr_expect(&ecr, NULL, "UnsupportedImageTypeException", NULL,
		    "StartImageScan",
		    "{\"repositoryName\":\"scan/types\",\"imageId\":"
		    "{\"imageTag\":\"%s\"}}",
		    tag);
	}
}

static void
archived_images_are_not_scanned(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	ecr_repository(&ecr, "scan/old");
	image_put("scan/old", "v1", IMAGE, digest);
	status_set("scan/old", "v1", IMAGE_ARCHIVED);
	ecr_expect(&ecr, NULL, "ImageArchivedException", NULL, "StartImageScan",
	    "{\"repositoryName\":\"scan/old\",\"imageId\":"
	    "{\"imageTag\":\"v1\"}}");
	status_set("scan/old", "v1", IMAGE_ACTIVE);
	scan_start("scan/old", "{\"imageTag\":\"v1\"}", digest);
}

static void
enhanced_scans_are_not_started_by_hand(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	ecr_repository(&ecr, "scan/enhanced");
	image_put("scan/enhanced", "v1", IMAGE, digest);
	configure("ENHANCED", "");
	ecr_expect(&ecr, NULL, "ValidationException",
	    "This feature is disabled: *", "StartImageScan",
	    "{\"repositoryName\":\"scan/enhanced\",\"imageId\":"
	    "{\"imageTag\":\"v1\"}}");
	ecr_expect(&ecr, NULL, "ScanNotFoundException", NULL,
	    "DescribeImageScanFindings",
	    "{\"repositoryName\":\"scan/enhanced\",\"imageId\":"
	    "{\"imageTag\":\"v1\"}}");
	configure("BASIC", "");
	scan_start("scan/enhanced", "{\"imageTag\":\"v1\"}", digest);
}

static void
images_that_are_not_there_have_no_scan(void **state)
{
	static const char *const operations[] = { "StartImageScan",
		"DescribeImageScanFindings" };
	size_t i;

	(void)state;
	ecr_repository(&ecr, "scan/empty");
	for (i = 0; i < 2; i++) {
		ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
		    ECR_NO_REPOSITORY("scan/none"), operations[i],
		    "{\"repositoryName\":\"scan/none\",\"imageId\":"
		    "{\"imageTag\":\"v1\"}}");
		ecr_expect(&ecr, NULL, "ImageNotFoundException",
		    "The image with imageId {imageDigest:'null', "
		    "imageTag:'v1'} does not exist within the repository with "
		    "name 'scan/empty' in the registry with id '" ECR_ACCOUNT
		    "'",
		    operations[i],
		    "{\"repositoryName\":\"scan/empty\",\"imageId\":"
		    "{\"imageTag\":\"v1\"}}");
		ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
		    operations[i],
		    "{\"repositoryName\":\"scan/empty\",\"imageId\":{}}");
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    ECR_CONSTRAINT("imageId", "Member must not be null"),
		    operations[i], "{\"repositoryName\":\"scan/empty\"}");
	}
}

static void
an_image_that_was_never_scanned_has_no_findings(void **state)
{
	char digest[DIGEST_STR_BYTES], wanted[512];

	(void)state;
	ecr_repository(&ecr, "scan/never");
	image_put("scan/never", "v1", IMAGE, digest);
	(void)snprintf(wanted, sizeof(wanted),
	    "Image scan does not exist for the image with '{imageDigest:'%s', "
	    "imageTag:'v1'}' in the repository with name 'scan/never' in the "
	    "registry with id '" ECR_ACCOUNT "'",
	    digest);
	ecr_expect(&ecr, NULL, "ScanNotFoundException", wanted,
	    "DescribeImageScanFindings",
	    "{\"repositoryName\":\"scan/never\",\"imageId\":"
	    "{\"imageTag\":\"v1\"}}");
	(void)snprintf(wanted, sizeof(wanted),
	    "Image scan does not exist for the image with '{imageDigest:'%s', "
	    "imageTag:'null'}' *",
	    digest);
	ecr_expect(&ecr, NULL, "ScanNotFoundException", wanted,
	    "DescribeImageScanFindings",
	    "{\"repositoryName\":\"scan/never\",\"imageId\":"
	    "{\"imageDigest\":\"%s\"}}",
	    digest);
}

static void
pages_of_findings_are_asked_for_in_bounds(void **state)
{
	static const char *const bad[] = { "\"maxResults\":0",
		"\"maxResults\":1001", "\"nextToken\":\"x\"" };
	char digest[DIGEST_STR_BYTES];
	size_t i;

	(void)state;
	ecr_repository(&ecr, "scan/pages");
	image_put("scan/pages", "v1", IMAGE, digest);
	scan_start("scan/pages", "{\"imageTag\":\"v1\"}", digest);
	for (i = 0; i < 3; i++)
		ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
		    "DescribeImageScanFindings",
		    "{\"repositoryName\":\"scan/pages\",\"imageId\":"
		    "{\"imageTag\":\"v1\"},%s}",
		    bad[i]);
	ecr_expect(&ecr, NULL, "", NULL, "DescribeImageScanFindings",
	    "{\"repositoryName\":\"scan/pages\",\"imageId\":"
	    "{\"imageTag\":\"v1\"},\"maxResults\":1000}");
}

/* Those of three packages, as a scanner ends a scan. */
static void
scan_complete(void)
{
	static const struct span ecosystem = SPAN_INIT("debian:bookworm");
	const struct scan_findings f = {
		.status = SCAN_COMPLETE,
		.completed_ms = 1700000001000,
		.revision = 1,
		.updated_ms = 1700000000500,
		.counts = { [SEVERITY_HIGH] = 2, [SEVERITY_LOW] = 1 },
		.text = SPAN("{\"findings\":[{\"name\":\"CVE-1\"},"
			     "{\"name\":\"CVE-2\"},{\"name\":\"CVE-3\"}]}"),
		.ecosystems = &ecosystem,
		.n_ecosystems = 1,
	};
	struct meta *m = store_meta(ecr.service.store);
	struct scan_job job;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	assert_int_equal(meta_scan_next(m, &arena, &job), RC_OK);
	assert_int_equal(meta_scan_complete(m, &job, &f), RC_OK);
	arena_reset(&arena);
}

static void
counts_expect(const json_t *o)
{

	assert_int_equal(
	    json_object_size(ecr_at(o, "findingSeverityCounts")), 2);
	assert_int_equal(
	    json_integer_value(ecr_at(o, "findingSeverityCounts.HIGH")), 2);
	assert_int_equal(
	    json_integer_value(ecr_at(o, "findingSeverityCounts.LOW")), 1);
	assert_true(json_number_value(ecr_at(o, "imageScanCompletedAt")) ==
		    1700000001.0);
	assert_true(json_number_value(ecr_at(
			o, "vulnerabilitySourceUpdatedAt")) == 1700000000.5);
}

/* A page of two from that token on: the token of the next, which is the
 * caller's, or NULL. */
static char *
findings_two(const char *token, const char *first, size_t n)
{
	struct ecr_reply r;
	char body[2048], *next = NULL;
	const json_t *list;

	(void)snprintf(body, sizeof(body),
	    "{\"repositoryName\":\"scan/found\",\"imageId\":"
	    "{\"imageTag\":\"v1\"},\"maxResults\":2%s%s%s}",
	    token != NULL ? ",\"nextToken\":\"" : "",
	    token != NULL ? token : "", token != NULL ? "\"" : "");
	ecr_do(&ecr, NULL, &r, "DescribeImageScanFindings", "%s", body);
	if (r.status != 200)
		fail_msg(SPAN_FMT, SPAN_ARG(r.body));
	counts_expect(ecr_at(r.json, "imageScanFindings"));
	list = ecr_at(r.json, "imageScanFindings.findings");
	assert_int_equal(json_array_size(list), n);
	assert_string_equal(ecr_text(json_array_get(list, 0), "name"), first);
	if (ecr_at(r.json, "nextToken") != NULL)
		next = xstrdup(ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	return (next);
}

static void
findings_are_told_in_pages(void **state)
{
	char digest[DIGEST_STR_BYTES], *token;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "scan/found");
	image_put("scan/found", "v1", IMAGE, digest);
	scans_fail();
	scan_start("scan/found", "{\"imageTag\":\"v1\"}", digest);
	scan_complete();
	token = findings_two(NULL, "CVE-1", 2);
	assert_non_null(token);
	assert_null(findings_two(token, "CVE-3", 1));
	free(token);
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"scan/found\"}");
	counts_expect(ecr_at(json_array_get(ecr_at(r.json, "imageDetails"), 0),
	    "imageScanFindingsSummary"));
	ecr_reply_free(&r);
}

/* An image that is gone takes its scan with it. */
static void
scans_of_deleted_images_end_too(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct scan_job job;
	struct arena arena;

	(void)state;
	ecr_repository(&ecr, "scan/gone");
	image_put("scan/gone", "v1", IMAGE, digest);
	scan_start("scan/gone", "{\"imageTag\":\"v1\"}", digest);
	ecr_expect(&ecr, NULL, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"scan/gone\",\"force\":true}");
	scans_fail();
	arena_init(&arena, 1 << 16);
	assert_int_equal(
	    meta_scan_next(store_meta(ecr.service.store), &arena, &job),
	    RC_NOTFOUND);
	arena_reset(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registry_scans_nothing_by_itself_at_first),
		cmocka_unit_test(the_configuration_comes_back_as_it_was_set),
		cmocka_unit_test(bad_configurations_are_refused),
		cmocka_unit_test(rules_say_when_repositories_are_scanned),
		cmocka_unit_test(a_repository_may_want_more_than_the_rules),
		cmocka_unit_test(filters_match_as_ecr_has_them_match),
		cmocka_unit_test(
		    unknown_repositories_are_failures_beside_the_others),
		cmocka_unit_test(what_may_not_be_seen_is_denied),
		cmocka_unit_test(a_push_asks_the_rules_for_a_scan),
		cmocka_unit_test(a_scan_is_started_and_tells_how_it_ended),
		cmocka_unit_test(findings_are_told_in_pages),
		cmocka_unit_test(images_of_docker_are_scanned_too),
		cmocka_unit_test(
		    an_image_is_scanned_as_often_as_the_quota_says),
		cmocka_unit_test(what_is_no_image_is_not_scanned),
		cmocka_unit_test(archived_images_are_not_scanned),
		cmocka_unit_test(enhanced_scans_are_not_started_by_hand),
		cmocka_unit_test(images_that_are_not_there_have_no_scan),
		cmocka_unit_test(
		    an_image_that_was_never_scanned_has_no_findings),
		cmocka_unit_test(pages_of_findings_are_asked_for_in_bounds),
		cmocka_unit_test(scans_of_deleted_images_end_too),
	};

	return (cmocka_run_group_tests_name(
	    "ecr_scanning", tests, ecr_setup, ecr_teardown));
}
