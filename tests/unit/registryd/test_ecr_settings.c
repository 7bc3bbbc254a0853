#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ecr_tools.h"

/* What is set of a repository: whether its tags move, whether it is scanned,
 * and its resource tags. */

#define ARN(name) "arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/" name
#define FILTERS "\"imageTagMutabilityExclusionFilters\""
#define ONE(f) "{\"filterType\":\"WILDCARD\",\"filter\":\"" f "\"}"

static void
create(struct ecr *e, const struct ecr_key *key, const char *name)
{
	ecr_expect(e, key, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"%s\"}", name);
}

/* --- PutImageTagMutability ----------------------------------------------- */

static void
mutability_changes_and_is_shown(void **state)
{
	struct ecr_reply r;

	(void)state;
	create(&ecr, NULL, "mut/a");
	ecr_do(&ecr, NULL, &r, "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/a\",\"imageTagMutability\":"
	    "\"IMMUTABLE\"}");
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), "mut/a");
	assert_string_equal(
	    ecr_text(r.json, "imageTagMutability"), "IMMUTABLE");
	assert_null(ecr_at(r.json, "imageTagMutabilityExclusionFilters"));
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"mut/a\"]}");
	assert_string_equal(
	    ecr_text(r.json, "repositories.0.imageTagMutability"), "IMMUTABLE");
	ecr_reply_free(&r);
}

static void
exclusions_come_and_go_with_their_mode(void **state)
{
	struct ecr_reply r;

	(void)state;
	create(&ecr, NULL, "mut/b");
	ecr_do(&ecr, NULL, &r, "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/b\",\"imageTagMutability\":"
	    "\"MUTABLE_WITH_EXCLUSION\"," FILTERS
	    ":[" ONE("v*") "," ONE("rel-*-x*") "]}");
	assert_string_equal(
	    ecr_text(r.json, "imageTagMutability"), "MUTABLE_WITH_EXCLUSION");
	assert_string_equal(
	    ecr_text(r.json, "imageTagMutabilityExclusionFilters.1.filter"),
	    "rel-*-x*");
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"mut/b\"]}");
	assert_string_equal(
	    ecr_text(r.json, "repositories.0."
			     "imageTagMutabilityExclusionFilters.0.filter"),
	    "v*");
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/b\",\"imageTagMutability\":"
	    "\"MUTABLE\"}");
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"mut/b\"]}");
	assert_string_equal(
	    ecr_text(r.json, "repositories.0.imageTagMutability"), "MUTABLE");
	assert_null(ecr_at(
	    r.json, "repositories.0.imageTagMutabilityExclusionFilters"));
	ecr_reply_free(&r);
}

static void
bad_mutability_is_refused(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageTagMutability",
		"Member must satisfy enum value set: [IMMUTABLE, MUTABLE, "
		"MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]"),
	    "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/a\",\"imageTagMutability\":"
	    "\"invalid\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageTagMutability", "Member must not be null"),
	    "PutImageTagMutability", "{\"repositoryName\":\"mut/a\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageTagMutabilityExclusionFilters",
		"ImageTagMutabilityExclusionFilters can't be null when "
		"imageTagMutability is set as MUTABLE_WITH_EXCLUSION"),
	    "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/a\",\"imageTagMutability\":"
	    "\"MUTABLE_WITH_EXCLUSION\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/a\",\"imageTagMutability\":"
	    "\"MUTABLE\"," FILTERS ":[" ONE("v*") "]}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/a\",\"imageTagMutability\":"
	    "\"MUTABLE_WITH_EXCLUSION\"," FILTERS ":[" ONE("a*b*c*") "]}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("mut/none"), "PutImageTagMutability",
	    "{\"repositoryName\":\"mut/none\",\"imageTagMutability\":"
	    "\"IMMUTABLE\"}");
}

/* --- PutImageScanningConfiguration --------------------------------------- */

static void
scanning_expect(const char *configuration, bool wanted)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "PutImageScanningConfiguration",
	    "{\"repositoryName\":\"scan/a\",\"imageScanningConfiguration\":"
	    "%s}",
	    configuration);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), "scan/a");
	assert_int_equal(json_is_true(ecr_at(
			     r.json, "imageScanningConfiguration.scanOnPush")),
	    wanted);
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"scan/a\"]}");
	assert_int_equal(
	    json_is_true(ecr_at(r.json,
		"repositories.0.imageScanningConfiguration.scanOnPush")),
	    wanted);
	ecr_reply_free(&r);
}

static void
scan_on_push_is_switched_on_and_off(void **state)
{
	(void)state;
	create(&ecr, NULL, "scan/a");
	scanning_expect("{\"scanOnPush\":true}", true);
	scanning_expect("{\"scanOnPush\":false}", false);
	scanning_expect("{\"scanOnPush\":true}", true);
	scanning_expect("{}", false);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT(
		"imageScanningConfiguration", "Member must not be null"),
	    "PutImageScanningConfiguration", "{\"repositoryName\":\"scan/a\"}");
	ecr_expect(&ecr, NULL, "SerializationException", NULL,
	    "PutImageScanningConfiguration",
	    "{\"repositoryName\":\"scan/a\",\"imageScanningConfiguration\":"
	    "{\"scanOnPush\":\"yes\"}}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("scan/none"), "PutImageScanningConfiguration",
	    "{\"repositoryName\":\"scan/none\","
	    "\"imageScanningConfiguration\":{\"scanOnPush\":true}}");
}

/* What is set of one does not undo what is set of the other. */
static void
one_setting_leaves_the_others(void **state)
{
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"both\",\"tags\":[{\"Key\":\"k\","
	    "\"Value\":\"v\"}],\"encryptionConfiguration\":"
	    "{\"encryptionType\":\"KMS\",\"kmsKey\":\"alias/k\"}}");
	ecr_expect(&ecr, NULL, "", NULL, "PutImageTagMutability",
	    "{\"repositoryName\":\"both\",\"imageTagMutability\":"
	    "\"IMMUTABLE\"}");
	ecr_expect(&ecr, NULL, "", NULL, "PutImageScanningConfiguration",
	    "{\"repositoryName\":\"both\",\"imageScanningConfiguration\":"
	    "{\"scanOnPush\":true}}");
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"both\"]}");
	o = ecr_at(r.json, "repositories.0");
	assert_string_equal(ecr_text(o, "imageTagMutability"), "IMMUTABLE");
	assert_true(
	    json_is_true(ecr_at(o, "imageScanningConfiguration.scanOnPush")));
	assert_string_equal(
	    ecr_text(o, "encryptionConfiguration.kmsKey"), "alias/k");
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "ListTagsForResource",
	    "{\"resourceArn\":\"" ARN("both") "\"}");
	assert_string_equal(ecr_text(r.json, "tags.0.Key"), "k");
	ecr_reply_free(&r);
}

/* --- resource tags ------------------------------------------------------- */

/* "a=1 b=2": all of them, by key. */
static void
tags_expect(const char *arn, const char *wanted)
{
	struct ecr_reply r;
	char text[1024] = "";
	const json_t *tags, *tag;
	size_t i, at = 0;

	ecr_do(&ecr, NULL, &r, "ListTagsForResource",
	    "{\"resourceArn\":\"%s\"}", arn);
	assert_int_equal(r.status, 200);
	tags = ecr_at(r.json, "tags");
	assert_true(json_is_array(tags));
	for (i = 0; i < json_array_size(tags); i++) {
		tag = json_array_get(tags, i);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s=%s",
		    i > 0 ? " " : "", ecr_text(tag, "Key"),
		    ecr_text(tag, "Value"));
	}
	assert_string_equal(text, wanted);
	ecr_reply_free(&r);
}

static void
tags_are_added_replaced_and_removed(void **state)
{
	struct ecr_reply r;

	(void)state;
	create(&ecr, NULL, "tag/a");
	tags_expect(ARN("tag/a"), "");
	ecr_do(&ecr, NULL, &r, "TagResource",
	    "{\"resourceArn\":\"" ARN(
		"tag/a") "\",\"tags\":["
			 "{\"Key\":\"team\",\"Value\":\"blue\"},"
			 "{\"Key\":\"Team\",\"Value\":\"\"}]}");
	assert_int_equal(r.status, 200);
	assert_int_equal(json_object_size(r.json), 0);
	ecr_reply_free(&r);
	tags_expect(ARN("tag/a"), "Team= team=blue");
	ecr_expect(&ecr, NULL, "", NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN(
		"tag/a") "\",\"tags\":["
			 "{\"Key\":\"team\",\"Value\":\"red\"},"
			 "{\"Key\":\"x\",\"Value\":\"\xc3\xa4 @:\"}]}");
	tags_expect(ARN("tag/a"), "Team= team=red x=\xc3\xa4 @:");
	ecr_do(&ecr, NULL, &r, "UntagResource",
	    "{\"resourceArn\":\"" ARN(
		"tag/a") "\",\"tagKeys\":["
			 "\"Team\",\"was-never-there\",\"x\"]}");
	assert_int_equal(r.status, 200);
	assert_int_equal(json_object_size(r.json), 0);
	ecr_reply_free(&r);
	tags_expect(ARN("tag/a"), "team=red");
	ecr_expect(&ecr, NULL, "", NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/a") "\",\"tags\":[]}");
	tags_expect(ARN("tag/a"), "team=red");
}

/* ${n} tags from key ${from} on, of value ${value}. */
static const char *
many(size_t from, size_t n, const char *value)
{
	static char text[8192];
	size_t i, at = 0;

	for (i = from; i < from + n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "%s{\"Key\":\"k%03zu\",\"Value\":\"%s\"}",
		    i > from ? "," : "", i, value);
	return (text);
}

static void
a_repository_has_fifty_tags_at_most(void **state)
{
	(void)state;
	create(&ecr, NULL, "tag/many");
	ecr_expect(&ecr, NULL, "TooManyTagsException", NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/many") "\",\"tags\":[%s]}",
	    many(0, 51, "x"));
	ecr_expect(&ecr, NULL, "", NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/many") "\",\"tags\":[%s]}",
	    many(0, 49, "x"));
	ecr_expect(&ecr, NULL, "TooManyTagsException",
	    "The repository with name 'tag/many' in the registry with id "
	    "'" ECR_ACCOUNT "' would have more than 50 tags",
	    "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/many") "\",\"tags\":[%s]}",
	    many(49, 2, "x"));
	ecr_expect(&ecr, NULL, "", NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/many") "\",\"tags\":[%s]}",
	    many(49, 1, "x"));
	ecr_expect(&ecr, NULL, "", NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/many") "\",\"tags\":[%s]}",
	    many(0, 50, "y"));
	ecr_expect(&ecr, NULL, "TooManyTagsException", NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/many") "\",\"tags\":[%s]}",
	    many(50, 1, "x"));
}

static void
bad_tags_are_refused(void **state)
{
	static const char *const keys[] = { "", "a;b", "aws:x", "AWS:x",
		"a\\nb" };
	char text[2048] = "";
	size_t i, at = 0;

	(void)state;
	create(&ecr, NULL, "tag/bad");
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ecr_expect(&ecr, NULL, "InvalidTagParameterException", NULL,
		    "TagResource",
		    "{\"resourceArn\":\"" ARN(
			"tag/bad") "\",\"tags\":["
				   "{\"Key\":\"good\",\"Value\":\"1\"},"
				   "{\"Key\":\"%s\",\"Value\":\"1\"}]}",
		    keys[i]);
		ecr_expect(&ecr, NULL, "InvalidTagParameterException", NULL,
		    "UntagResource",
		    "{\"resourceArn\":\"" ARN("tag/bad") "\",\"tagKeys\":["
							 "\"good\",\"%s\"]}",
		    keys[i]);
	}
	ecr_expect(&ecr, NULL, "InvalidTagParameterException", NULL,
	    "TagResource",
	    "{\"resourceArn\":\"" ARN(
		"tag/bad") "\",\"tags\":["
			   "{\"Key\":\"k\",\"Value\":\"1\"},{\"Key\":\"k\","
			   "\"Value\":\"2\"}]}");
	for (i = 0; i < 51; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "%s\"k%zu\"", i > 0 ? "," : "", i);
	ecr_expect(&ecr, NULL, "TooManyTagsException", NULL, "UntagResource",
	    "{\"resourceArn\":\"" ARN("tag/bad") "\",\"tagKeys\":[%s]}", text);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("tags", "Member must not be null"), "TagResource",
	    "{\"resourceArn\":\"" ARN("tag/bad") "\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("tagKeys.2.member", "Member must not be null"),
	    "UntagResource",
	    "{\"resourceArn\":\"" ARN("tag/bad") "\",\"tagKeys\":"
						 "[\"a\",null]}");
	tags_expect(ARN("tag/bad"), "");
}

/* The three operations, on one ARN. */
static void
arn_expect(const char *type, const char *message, const char *arn)
{
	ecr_expect(&ecr, NULL, type, message, "ListTagsForResource",
	    "{\"resourceArn\":\"%s\"}", arn);
	ecr_expect(&ecr, NULL, type, message, "TagResource",
	    "{\"resourceArn\":\"%s\",\"tags\":[{\"Key\":\"k\",\"Value\":"
	    "\"v\"}]}",
	    arn);
	ecr_expect(&ecr, NULL, type, message, "UntagResource",
	    "{\"resourceArn\":\"%s\",\"tagKeys\":[\"k\"]}", arn);
}

static void
what_is_no_arn_of_a_repository_is_refused(void **state)
{
	static const char *const arns[] = {
		"",
		"tag/arn",
		"arn",
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT,
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":",
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository",
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/",
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/Upper",
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/a:b",
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/*",
		"arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":image/tag/arn",
		"arn:aws:ecr:us-east-1:12345:repository/tag/arn",
		"arn:aws:ecr:us-east-1::repository/tag/arn",
		"arn:aws:ecr::" ECR_ACCOUNT ":repository/tag/arn",
		"arn:aws:ecr:US EAST:" ECR_ACCOUNT ":repository/tag/arn",
		"arn:aws:s3:us-east-1:" ECR_ACCOUNT ":repository/tag/arn",
		"arn:azure:ecr:us-east-1:" ECR_ACCOUNT ":repository/tag/arn",
		"urn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/tag/arn",
		"arn::ecr:us-east-1:" ECR_ACCOUNT ":repository/tag/arn",
	};
	size_t i;

	(void)state;
	create(&ecr, NULL, "tag/arn");
	for (i = 0; i < sizeof(arns) / sizeof(arns[0]); i++)
		arn_expect("InvalidParameterException",
		    ECR_CONSTRAINT("resourceArn", "Invalid ARN"), arns[i]);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("resourceArn", "Member must not be null"),
	    "ListTagsForResource", "{}");
}

static void
arns_of_any_region_and_partition_are_understood(void **state)
{
	(void)state;
	create(&ecr, NULL, "tag/region");
	arn_expect("", NULL,
	    "arn:aws:ecr:mars-north-7:" ECR_ACCOUNT ":repository/tag/region");
	arn_expect("", NULL,
	    "arn:aws-cn:ecr:cn-north-1:" ECR_ACCOUNT ":repository/tag/region");
	arn_expect("", NULL,
	    "arn:aws-us-gov:ecr:us-gov-east-1:" ECR_ACCOUNT
	    ":repository/tag/region");
}

static void
repositories_that_are_not_here_have_no_tags(void **state)
{
	(void)state;
	arn_expect("RepositoryNotFoundException", ECR_NO_REPOSITORY("tag/none"),
	    ARN("tag/none"));
	arn_expect("RepositoryNotFoundException",
	    "The repository with name 'tag/region' does not exist in the "
	    "registry with id '999999999999'",
	    "arn:aws:ecr:us-east-1:999999999999:repository/tag/region");
}

/* --- who may ------------------------------------------------------------- */

#define USER_POLICY \
	"{\"Version\":\"2012-10-17\",\"Statement\":[" \
	"{\"Effect\":\"Allow\",\"Action\":[\"ecr:CreateRepository\"," \
	"\"ecr:ListTagsForResource\"],\"Resource\":\"*\"}," \
	"{\"Effect\":\"Allow\",\"Action\":\"ecr:TagResource\"," \
	"\"Resource\":\"arn:aws:ecr:*:*:repository/mine/*\",\"Condition\":" \
	"{\"StringEquals\":{\"aws:RequestTag/team\":\"blue\"}," \
	"\"ForAllValues:StringEquals\":{\"aws:TagKeys\":" \
	"[\"team\",\"stage\"]}}}," \
	"{\"Effect\":\"Allow\",\"Action\":\"ecr:UntagResource\"," \
	"\"Resource\":\"arn:aws:ecr:*:*:repository/mine/*\",\"Condition\":" \
	"{\"ForAllValues:StringEquals\":{\"aws:TagKeys\":[\"stage\"]}," \
	"\"Null\":{\"aws:RequestTag/stage\":\"true\"}}}]}"

static void
tag_expect(struct ecr *e, const struct ecr_key *key, const char *type,
    const char *name, const char *tags)
{
	ecr_expect(e, key, type, NULL, "TagResource",
	    "{\"resourceArn\":\"" ARN("%s") "\",\"tags\":[%s]}", name, tags);
}

static void
policies_see_which_tags_are_asked_for(void **state)
{
	static const char denied[] = "AccessDeniedException";
	struct ecr_key key;
	struct ecr with;

	(void)state;
	ecr_open(&with, AUTH_TOKEN);
	ecr_user(&with, "tagger", USER_POLICY, &key);
	create(&with, &key, "mine/a");
	create(&with, &key, "other");
	tag_expect(&with, &key, "", "mine/a",
	    "{\"Key\":\"team\",\"Value\":\"blue\"},"
	    "{\"Key\":\"stage\",\"Value\":\"x\"}");
	tag_expect(&with, &key, denied, "mine/a",
	    "{\"Key\":\"team\",\"Value\":\"red\"}");
	tag_expect(&with, &key, denied, "mine/a",
	    "{\"Key\":\"stage\",\"Value\":\"x\"}");
	tag_expect(&with, &key, denied, "mine/a",
	    "{\"Key\":\"team\",\"Value\":\"blue\"},"
	    "{\"Key\":\"cost\",\"Value\":\"x\"}");
	tag_expect(&with, &key, denied, "other",
	    "{\"Key\":\"team\",\"Value\":\"blue\"}");
	ecr_expect(&with, &key, denied, NULL, "UntagResource",
	    "{\"resourceArn\":\"" ARN("mine/a") "\",\"tagKeys\":"
						"[\"stage\",\"team\"]}");
	ecr_expect(&with, &key, denied, NULL, "UntagResource",
	    "{\"resourceArn\":\"" ARN("other") "\",\"tagKeys\":[\"stage\"]}");
	ecr_expect(&with, &key, "", NULL, "UntagResource",
	    "{\"resourceArn\":\"" ARN("mine/a") "\",\"tagKeys\":"
						"[\"stage\"]}");
	ecr_close(&with);
}

/* Nor is it told whether there is one, or whose it is. */
static void
who_may_not_is_told_nothing(void **state)
{
	static const char *const arns[] = { ARN("there"), ARN("not/there"),
		"arn:aws:ecr:us-east-1:999999999999:repository/there" };
	struct ecr_key admin, nobody;
	struct ecr with;
	size_t i;

	(void)state;
	ecr_open(&with, AUTH_TOKEN);
	ecr_user(&with, "admin",
	    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
	    "\"Action\":\"*\",\"Resource\":\"*\"}}",
	    &admin);
	ecr_user(&with, "nobody", NULL, &nobody);
	create(&with, &admin, "there");
	for (i = 0; i < sizeof(arns) / sizeof(arns[0]); i++)
		ecr_expect(&with, &nobody, "AccessDeniedException", NULL,
		    "ListTagsForResource", "{\"resourceArn\":\"%s\"}", arns[i]);
	ecr_expect(&with, &nobody, "AccessDeniedException", NULL,
	    "PutImageTagMutability",
	    "{\"repositoryName\":\"not/there\",\"imageTagMutability\":"
	    "\"IMMUTABLE\"}");
	ecr_expect(&with, &nobody, "AccessDeniedException", NULL,
	    "PutImageScanningConfiguration",
	    "{\"repositoryName\":\"not/there\","
	    "\"imageScanningConfiguration\":{}}");
	ecr_close(&with);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutability_changes_and_is_shown),
		cmocka_unit_test(exclusions_come_and_go_with_their_mode),
		cmocka_unit_test(bad_mutability_is_refused),
		cmocka_unit_test(scan_on_push_is_switched_on_and_off),
		cmocka_unit_test(one_setting_leaves_the_others),
		cmocka_unit_test(tags_are_added_replaced_and_removed),
		cmocka_unit_test(a_repository_has_fifty_tags_at_most),
		cmocka_unit_test(bad_tags_are_refused),
		cmocka_unit_test(what_is_no_arn_of_a_repository_is_refused),
		cmocka_unit_test(
		    arns_of_any_region_and_partition_are_understood),
		cmocka_unit_test(repositories_that_are_not_here_have_no_tags),
		cmocka_unit_test(policies_see_which_tags_are_asked_for),
		cmocka_unit_test(who_may_not_is_told_nothing),
	};

	return (cmocka_run_group_tests_name(
	    "ecr_settings", tests, ecr_setup, ecr_teardown));
}
