#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/manifest.h"
#include "ecr_tools.h"
#include "storage/repositories.h"
#include "storage/keys.h"

/* The operations of ECR, with `auth: none`: what they do, and what they say
 * when they do not. */

/* --- CreateRepository ---------------------------------------------------- */

static void
a_new_repository_has_ecr_defaults(void **state)
{
	double now = (double)clock_real_ms() / 1000.0;
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_do(&ecr, NULL, &r, "CreateRepository",
	    "{\"repositoryName\":\"team/app\"}");
	assert_int_equal(r.status, 200);
	o = ecr_at(r.json, "repository");
	assert_string_equal(ecr_text(o, "repositoryArn"),
	    "arn:aws:ecr:eu-central-1:" ECR_ACCOUNT ":repository/team/app");
	assert_string_equal(ecr_text(o, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(o, "repositoryName"), "team/app");
	assert_string_equal(ecr_text(o, "repositoryUri"), ECR_HOST "/team/app");
	assert_string_equal(ecr_text(o, "imageTagMutability"), "MUTABLE");
	assert_true(
	    json_is_false(ecr_at(o, "imageScanningConfiguration.scanOnPush")));
	/* Not encrypted, which is not to be said otherwise. */
	assert_null(ecr_at(o, "encryptionConfiguration"));
	assert_null(ecr_at(o, "imageTagMutabilityExclusionFilters"));
	assert_true(json_is_real(ecr_at(o, "createdAt")));
	assert_true(json_real_value(ecr_at(o, "createdAt")) >= now - 1);
	assert_true(json_real_value(ecr_at(o, "createdAt")) < now + 1000);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "RepositoryAlreadyExistsException",
	    "The repository with name 'team/app' already exists in the "
	    "registry with id '" ECR_ACCOUNT "'",
	    "CreateRepository", "{\"repositoryName\":\"team/app\"}");
}

static void
settings_of_a_repository_are_kept(void **state)
{
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"set/all\",\"registryId\":\"" ECR_ACCOUNT
	    "\",\"imageTagMutability\":\"IMMUTABLE_WITH_EXCLUSION\","
	    "\"imageTagMutabilityExclusionFilters\":["
	    "{\"filterType\":\"WILDCARD\",\"filter\":\"dev-*\"},"
	    "{\"filterType\":\"WILDCARD\",\"filter\":\"latest\"}],"
	    "\"imageScanningConfiguration\":{\"scanOnPush\":true},"
	    "\"encryptionConfiguration\":{\"encryptionType\":\"AES256\"},"
	    "\"tags\":[{\"Key\":\"team\",\"Value\":\"blue\"},"
	    "{\"Key\":\"Team\",\"Value\":\"\"}]}");
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"set/all\"]}");
	o = ecr_at(r.json, "repositories.0");
	assert_string_equal(
	    ecr_text(o, "imageTagMutability"), "IMMUTABLE_WITH_EXCLUSION");
	assert_string_equal(
	    ecr_text(o, "imageTagMutabilityExclusionFilters.0.filter"),
	    "dev-*");
	assert_string_equal(
	    ecr_text(o, "imageTagMutabilityExclusionFilters.1.filterType"),
	    "WILDCARD");
	assert_string_equal(
	    ecr_text(o, "imageTagMutabilityExclusionFilters.1.filter"),
	    "latest");
	assert_true(
	    json_is_true(ecr_at(o, "imageScanningConfiguration.scanOnPush")));
	ecr_reply_free(&r);
}

static void
resource_tags_are_stored(void **state)
{
	struct repository_description d;
	struct arena arena;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"tagged\",\"tags\":["
	    "{\"Key\":\"b\",\"Value\":\"2\"},{\"Key\":\"a\",\"Value\":\"\"}]}");
	arena_init(&arena, 1 << 20);
	assert_int_equal(meta_repository_describe(store_meta(ecr.service.store),
			     SPAN("tagged"), &arena, &d),
	    RC_OK);
	assert_int_equal(d.n_tags, 2);
	assert_true(span_is(d.tags[0].key, "a") && d.tags[0].value.n == 0);
	assert_true(span_is(d.tags[1].key, "b"));
	assert_true(span_is(d.tags[1].value, "2"));
	arena_reset(&arena);
}

static void
bad_resource_tags_are_refused(void **state)
{
	static const char *const tags[] = {
		"{\"Key\":\"\",\"Value\":\"x\"}",
		"{\"Key\":\"a;b\",\"Value\":\"x\"}",
		"{\"Key\":\"aws:x\",\"Value\":\"x\"}",
		"{\"Key\":\"AWS:x\",\"Value\":\"x\"}",
		"{\"Key\":\"a\",\"Value\":\"x\\ny\"}",
		"{\"Key\":\"a\",\"Value\":\"\"},{\"Key\":\"a\",\"Value\":\"\"}",
	};
	char key[129 + 1], value[257 + 1], many[4096] = "";
	size_t i, at = 0;

	(void)state;
	for (i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		ecr_expect(&ecr, NULL, "InvalidTagParameterException", NULL,
		    "CreateRepository",
		    "{\"repositoryName\":\"bad/tag\",\"tags\":[%s]}", tags[i]);
	memset(key, 'k', 129);
	memset(value, 'v', 257);
	key[129] = value[257] = '\0';
	ecr_expect(&ecr, NULL, "InvalidTagParameterException", NULL,
	    "CreateRepository",
	    "{\"repositoryName\":\"bad/tag\",\"tags\":[{\"Key\":\"%s\","
	    "\"Value\":\"x\"}]}",
	    key);
	ecr_expect(&ecr, NULL, "InvalidTagParameterException", NULL,
	    "CreateRepository",
	    "{\"repositoryName\":\"bad/tag\",\"tags\":[{\"Key\":\"k\","
	    "\"Value\":\"%s\"}]}",
	    value);
	for (i = 0; i < 51; i++)
		at += (size_t)snprintf(many + at, sizeof(many) - at,
		    "%s{\"Key\":\"k%zu\",\"Value\":\"v\"}", i > 0 ? "," : "",
		    i);
	ecr_expect(&ecr, NULL, "TooManyTagsException", NULL, "CreateRepository",
	    "{\"repositoryName\":\"bad/tag\",\"tags\":[%s]}", many);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("tags.1.member.Value", "Member must not be null"),
	    "CreateRepository",
	    "{\"repositoryName\":\"bad/tag\",\"tags\":[{\"Key\":\"k\"}]}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("bad/tag"), "DescribeRepositories",
	    "{\"repositoryNames\":[\"bad/tag\"]}");
}

static void
bad_names_are_refused_in_ecr_words(void **state)
{
	static const char *const names[] = { "Upper", "a//b", "/a", "a/", "a b",
		"..", "-a", "a-", "a._b", "\xc3\xa4\xc3\xa4" };
	char name[257 + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    ECR_CONSTRAINT("repositoryName",
			"must satisfy regular expression "
			"'[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+"
			"((\\.|_|__|-+)[a-z0-9]+)*)*'"),
		    "CreateRepository", "{\"repositoryName\":\"%s\"}",
		    names[i]);
	memset(name, 'n', 257);
	name[257] = '\0';
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("repositoryName",
		"Member must have length less than or equal to 256"),
	    "CreateRepository", "{\"repositoryName\":\"%s\"}", name);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("repositoryName",
		"Member must have length greater than or equal to 2"),
	    "CreateRepository", "{\"repositoryName\":\"n\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("repositoryName", "Member must not be null"),
	    "CreateRepository", "{}");
}

static void
mutability_and_its_exclusions_must_go_together(void **state)
{
#define FILTERS "\"imageTagMutabilityExclusionFilters\""
#define ONE(f) "{\"filterType\":\"WILDCARD\",\"filter\":\"" f "\"}"
	static const char *const bodies[] = {
		"\"imageTagMutability\":\"IMMUTABLE_WITH_EXCLUSION\"",
		"\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"",
		"\"imageTagMutability\":\"IMMUTABLE\"," FILTERS
		":[" ONE("a") "]",
		FILTERS ":[" ONE("a") "]",
		"\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"," FILTERS
		":[]",
		"\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"," FILTERS
		":[" ONE("a*b*c*") "]",
		"\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"," FILTERS
		":[" ONE("a?") "]",
		"\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"," FILTERS
		":[" ONE("") "]",
		"\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"," FILTERS
		":[" ONE("a") "," ONE("b") "," ONE("c") "," ONE("d") "," ONE(
		    "e") "," ONE("f") "]",
		"\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\"," FILTERS
		":[{\"filterType\":\"REGEX\",\"filter\":\"a\"}]",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
		    "CreateRepository", "{\"repositoryName\":\"bad/mut\",%s}",
		    bodies[i]);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageTagMutabilityExclusionFilters",
		"ImageTagMutabilityExclusionFilters can't be null when "
		"imageTagMutability is set as IMMUTABLE_WITH_EXCLUSION"),
	    "CreateRepository", "{\"repositoryName\":\"bad/mut\",%s}",
	    bodies[0]);
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageTagMutability",
		"Member must satisfy enum value set: [IMMUTABLE, MUTABLE, "
		"MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]"),
	    "CreateRepository",
	    "{\"repositoryName\":\"bad/mut\",\"imageTagMutability\":"
	    "\"invalid\"}");
}

/* ${type}, ${key} "": none. */
static void
key_expect(const char *name, const char *configuration, const char *type,
    const char *key)
{
	struct ecr_reply r;
	const json_t *o;

	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"%s\",\"encryptionConfiguration\":%s}", name,
	    configuration);
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"%s\"]}", name);
	o = ecr_at(r.json, "repositories.0.encryptionConfiguration");
	if (type[0] == '\0')
		assert_null(o);
	else
		assert_string_equal(ecr_text(o, "encryptionType"), type);
	if (key[0] != '\0')
		assert_string_equal(ecr_text(o, "kmsKey"), key);
	else
		assert_null(ecr_at(o, "kmsKey"));
	ecr_reply_free(&r);
}

static void
keys_of_kms_are_kept(void **state)
{
	(void)state;
	key_expect("kms/one",
	    "{\"encryptionType\":\"KMS\",\"kmsKey\":\"alias/mine\"}", "KMS",
	    "alias/mine");
	key_expect("kms/two",
	    "{\"encryptionType\":\"KMS\",\"kmsKey\":"
	    "\"arn:aws:kms:eu-central-1:" ECR_ACCOUNT ":key/abc\"}",
	    "KMS", "arn:aws:kms:eu-central-1:" ECR_ACCOUNT ":key/abc");
	key_expect("kms/aes", "{\"encryptionType\":\"AES256\"}", "AES256", "");
	key_expect("kms/null", "null", "", "");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("encryptionConfiguration",
		"kmsKey can only be set when encryptionType is KMS"),
	    "CreateRepository",
	    "{\"repositoryName\":\"kms/bad\",\"encryptionConfiguration\":"
	    "{\"encryptionType\":\"AES256\",\"kmsKey\":\"k\"}}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    "Invalid parameter at 'encryptionConfiguration.encryptionType' *",
	    "CreateRepository",
	    "{\"repositoryName\":\"kms/bad\",\"encryptionConfiguration\":"
	    "{\"encryptionType\":\"ROT13\"}}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("encryptionConfiguration",
		"KMS_DSSE promises two layers of encryption, and here content "
		"would be encrypted once: use KMS"),
	    "CreateRepository",
	    "{\"repositoryName\":\"kms/bad\",\"encryptionConfiguration\":"
	    "{\"encryptionType\":\"KMS_DSSE\"}}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("kms/bad"), "DeleteRepository",
	    "{\"repositoryName\":\"kms/bad\"}");
}

static void
kms_without_a_key_is_by_that_of_the_account(void **state)
{
	char key[128], text[256];
	size_t n_keys, keys_before;
	struct ecr_reply r;
	unsigned part[5];
	int n = 0;

	(void)state;
	ecr_do(&ecr, NULL, &r, "CreateRepository",
	    "{\"repositoryName\":\"kms/own\",\"encryptionConfiguration\":"
	    "{\"encryptionType\":\"KMS\"}}");
	assert_int_equal(
	    store_keys_count(ecr.service.store, &keys_before), RC_OK);
	(void)snprintf(key, sizeof(key), "%s",
	    ecr_text(r.json, "repository.encryptionConfiguration.kmsKey"));
	ecr_reply_free(&r);
	assert_int_equal(
	    sscanf(key,
		"arn:aws:kms:eu-central-1:" ECR_ACCOUNT
		":key/%8x-%4x-%4x-%4x-%12x%n",
		&part[0], &part[1], &part[2], &part[3], &part[4], &n),
	    5);
	assert_int_equal((size_t)n, strlen(key));
	key_expect("kms/same", "{\"encryptionType\":\"KMS\"}", "KMS", key);
	/* By its names it is the same one. */
	(void)snprintf(text, sizeof(text),
	    "{\"encryptionType\":\"KMS\",\"kmsKey\":\"%s\"}", key);
	key_expect("kms/named", text, "KMS", key);
	key_expect("kms/alias",
	    "{\"encryptionType\":\"KMS\",\"kmsKey\":\"alias/aws/ecr\"}", "KMS",
	    "alias/aws/ecr");
	assert_int_equal(store_keys_count(ecr.service.store, &n_keys), RC_OK);
	assert_int_equal(n_keys, keys_before);
}

static void
there_are_as_many_repositories_as_the_quota_says(void **state)
{
	struct ecr other;

	(void)state;
	ecr_open(&other, AUTH_NONE);
	other.settings.quotas.repositories = 2;
	ecr_expect(&other, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"quota/a\"}");
	ecr_expect(&other, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"quota/b\"}");
	ecr_expect(&other, NULL, "LimitExceededException",
	    "The maximum number of repositories (2) in the registry with id "
	    "'" ECR_ACCOUNT "' has been reached",
	    "CreateRepository", "{\"repositoryName\":\"quota/c\"}");
	ecr_expect(&other, NULL, "RepositoryAlreadyExistsException", NULL,
	    "CreateRepository", "{\"repositoryName\":\"quota/b\"}");
	ecr_expect(&other, NULL, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"quota/a\"}");
	ecr_expect(&other, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"quota/c\"}");
	ecr_close(&other);
}

static void
another_registry_is_not_here(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    "The repository with name 'team/app' does not exist in the "
	    "registry with id '999999999999'",
	    "DeleteRepository",
	    "{\"repositoryName\":\"team/app\",\"registryId\":"
	    "\"999999999999\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    "Invalid parameter at 'registryId' *", "DescribeRepositories",
	    "{\"registryId\":\"999999999999\"}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    "The repository with name 'team/app' does not exist in the "
	    "registry with id '999999999999'",
	    "DescribeRepositories",
	    "{\"repositoryNames\":[\"team/app\"],\"registryId\":"
	    "\"999999999999\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    "Invalid parameter at 'registryId' *", "CreateRepository",
	    "{\"repositoryName\":\"of/others\",\"registryId\":"
	    "\"999999999999\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT(
		"registryId", "must satisfy regular expression '[0-9]{12}'"),
	    "DescribeRepositories", "{\"registryId\":\"99999999999\"}");
}

/* --- DescribeRepositories ------------------------------------------------ */

static void
any_missing_name_fails_the_call(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"named/a\"}");
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"named/b\"}");
	ecr_do(&ecr, NULL, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"named/b\",\"named/a\"]}");
	assert_int_equal(json_array_size(ecr_at(r.json, "repositories")), 2);
	assert_string_equal(
	    ecr_text(r.json, "repositories.0.repositoryName"), "named/b");
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("named/c"), "DescribeRepositories",
	    "{\"repositoryNames\":[\"named/a\",\"named/c\"]}");
}

static void
names_and_pages_do_not_go_together(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    "Invalid parameter at 'maxResults' *", "DescribeRepositories",
	    "{\"repositoryNames\":[\"named/a\"],\"maxResults\":5}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "DescribeRepositories", "{\"maxResults\":0}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "DescribeRepositories", "{\"maxResults\":1001}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "DescribeRepositories", "{\"repositoryNames\":[]}");
}

/* Walk all pages; each row once, in order. */
static size_t
walk(struct ecr *e, size_t page, char last[300])
{
	char token[4096] = "";
	struct ecr_reply r;
	size_t i, n, total = 0;
	const char *name;

	last[0] = '\0';
	do {
		if (token[0] == '\0')
			ecr_do(e, NULL, &r, "DescribeRepositories",
			    "{\"maxResults\":%zu}", page);
		else
			ecr_do(e, NULL, &r, "DescribeRepositories",
			    "{\"maxResults\":%zu,\"nextToken\":\"%s\"}", page,
			    token);
		assert_int_equal(r.status, 200);
		n = json_array_size(ecr_at(r.json, "repositories"));
		assert_true(n <= page);
		for (i = 0; i < n; i++) {
			name = json_string_value(json_object_get(
			    json_array_get(ecr_at(r.json, "repositories"), i),
			    "repositoryName"));
			assert_true(strcmp(last, name) < 0);
			(void)snprintf(last, 300, "%s", name);
		}
		total += n;
		token[0] = '\0';
		if (ecr_at(r.json, "nextToken") != NULL) {
			assert_int_equal(n, page);
			(void)snprintf(token, sizeof(token), "%s",
			    ecr_text(r.json, "nextToken"));
		}
		ecr_reply_free(&r);
	} while (token[0] != '\0');
	return (total);
}

static void
pages_hold_each_repository_once(void **state)
{
	struct ecr many;
	char last[300];
	size_t i;

	(void)state;
	ecr_open(&many, AUTH_NONE);
	assert_int_equal(walk(&many, 10, last), 0);
	for (i = 0; i < 25; i++)
		ecr_expect(&many, NULL, "", NULL, "CreateRepository",
		    "{\"repositoryName\":\"many/r%02zu\"}", i);
	assert_int_equal(walk(&many, 1, last), 25);
	assert_int_equal(walk(&many, 7, last), 25);
	assert_int_equal(walk(&many, 25, last), 25);
	assert_int_equal(walk(&many, 1000, last), 25);
	assert_string_equal(last, "many/r24");
	ecr_close(&many);
}

/* --- DeleteRepository ---------------------------------------------------- */

/* The smallest image there is: an index of nothing. */
static void
image_put(const char *repository)
{
	const struct span text = SPAN("{\"schemaVersion\":2,\"mediaType\":"
				      "\"" MEDIA_OCI_INDEX "\","
				      "\"manifests\":[]}");
	char why[MANIFEST_WHY_BYTES];
	struct manifest_put_result result;
	struct manifest m;
	struct manifest_put put = {
		.repository = span_of(repository),
		.text = text,
		.manifest = &m,
		.now_ms = clock_real_ms(),
	};
	struct arena arena;

	arena_init(&arena, 1 << 20);
	digest_of(DIGEST_SHA256, text.p, text.n, &put.digest);
	assert_int_equal(
	    manifest_parse(SPAN(MEDIA_OCI_INDEX), text, &arena, &m, why),
	    RC_OK);
	assert_int_equal(
	    meta_manifest_put(store_meta(ecr.service.store), &put, &result),
	    RC_OK);
	arena_reset(&arena);
}

static void
a_repository_with_images_needs_force(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"full\"}");
	image_put("full");
	ecr_expect(&ecr, NULL, "RepositoryNotEmptyException",
	    "The repository with name 'full' in registry with id '" ECR_ACCOUNT
	    "' cannot be deleted because it still contains images",
	    "DeleteRepository", "{\"repositoryName\":\"full\"}");
	ecr_expect(&ecr, NULL, "RepositoryNotEmptyException", NULL,
	    "DeleteRepository",
	    "{\"repositoryName\":\"full\",\"force\":false}");
	ecr_expect(&ecr, NULL, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"full\",\"force\":true}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("full"), "DescribeRepositories",
	    "{\"repositoryNames\":[\"full\"]}");
}

static void
a_deleted_repository_is_shown_and_gone(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"gone\"}");
	ecr_do(&ecr, NULL, &r, "DeleteRepository",
	    "{\"repositoryName\":\"gone\"}");
	assert_int_equal(r.status, 200);
	assert_string_equal(
	    ecr_text(r.json, "repository.repositoryName"), "gone");
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("gone"), "DeleteRepository",
	    "{\"repositoryName\":\"gone\"}");
}

/* --- policies ------------------------------------------------------------ */

#define POLICY \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Sid\\\":" \
	"\\\"one\\\",\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*" \
	"\\\"," \
	"\\\"Action\\\":\\\"ecr:BatchGetImage\\\"}]}"
#define POLICY_TEXT \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"one\"," \
	"\"Effect\":\"Allow\",\"Principal\":\"*\"," \
	"\"Action\":\"ecr:BatchGetImage\"}]}"

static void
a_policy_comes_back_as_it_was_set(void **state)
{
	static const char *const operations[] = { "GetRepositoryPolicy",
		"GetRepositoryPolicy", "DeleteRepositoryPolicy" };
	struct ecr_reply r;
	size_t i;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"policy/a\"}");
	ecr_expect(&ecr, NULL, "RepositoryPolicyNotFoundException",
	    "Repository policy does not exist for the repository with name "
	    "'policy/a' in the registry with id '" ECR_ACCOUNT "'",
	    "GetRepositoryPolicy", "{\"repositoryName\":\"policy/a\"}");
	ecr_expect(&ecr, NULL, "", NULL, "SetRepositoryPolicy",
	    "{\"repositoryName\":\"policy/a\",\"policyText\":\"%s\"}", POLICY);
	for (i = 0; i < 3; i++) {
		ecr_do(&ecr, NULL, &r, operations[i],
		    "{\"repositoryName\":\"policy/a\"}");
		assert_int_equal(r.status, 200);
		assert_string_equal(
		    ecr_text(r.json, "policyText"), POLICY_TEXT);
		assert_string_equal(
		    ecr_text(r.json, "repositoryName"), "policy/a");
		assert_string_equal(
		    ecr_text(r.json, "registryId"), ECR_ACCOUNT);
		ecr_reply_free(&r);
	}
	ecr_expect(&ecr, NULL, "RepositoryPolicyNotFoundException", NULL,
	    "DeleteRepositoryPolicy", "{\"repositoryName\":\"policy/a\"}");
}

static void
policies_of_no_repository_are_not_found(void **state)
{
	static const char *const operations[] = { "GetRepositoryPolicy",
		"DeleteRepositoryPolicy", "SetRepositoryPolicy" };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
		    ECR_NO_REPOSITORY("policy/none"), operations[i],
		    "{\"repositoryName\":\"policy/none\",\"policyText\":"
		    "\"%s\"}",
		    POLICY);
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("policy/none"), "SetRepositoryPolicy",
	    "{\"repositoryName\":\"policy/none\",\"force\":true,"
	    "\"policyText\":\"%s\"}",
	    POLICY);
}

static void
a_bad_policy_is_refused_with_its_reason(void **state)
{
	static const char *const texts[] = { "", "nonsense", "[]", "{}",
		"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{"
		"\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*\\\","
		"\\\"Action\\\":\\\"ecr:FlyToTheMoon\\\"}]}",
		"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{"
		"\\\"Effect\\\":\\\"Allow\\\","
		"\\\"Action\\\":\\\"ecr:BatchGetImage\\\"}]}" };
	struct ecr_reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    "Invalid parameter at 'PolicyText' failed to satisfy "
		    "constraint: 'Invalid repository policy provided'*",
		    "SetRepositoryPolicy",
		    "{\"repositoryName\":\"policy/a\",\"policyText\":\"%s\"}",
		    texts[i]);
	ecr_do(&ecr, NULL, &r, "SetRepositoryPolicy",
	    "{\"repositoryName\":\"policy/a\",\"policyText\":\"%s\"}",
	    texts[4]);
	assert_non_null(strstr(r.message, "ecr:FlyToTheMoon"));
	ecr_reply_free(&r);
}

static void
without_authentication_a_registry_policy_is_kept_too(void **state)
{
	static const char missing[] =
	    "Registry policy does not exist in the registry with id "
	    "'" ECR_ACCOUNT "'";
	static const char text[] =
	    "{\"Version\":\"2012-10-17\",\"Statement\":"
	    "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
	    "\"ecr:CreateRepository\",\"Resource\":\"*\"}}";
	json_t *in = json_pack("{s:s}", "policyText", text);
	char *body = json_dumps(in, 0);
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "RegistryPolicyNotFoundException", missing,
	    "GetRegistryPolicy", "{}");
	ecr_expect(&ecr, NULL, "RegistryPolicyNotFoundException", missing,
	    "DeleteRegistryPolicy", "{}");
	ecr_do(&ecr, NULL, &r, "PutRegistryPolicy", "%s", body);
	assert_int_equal(r.status, 200);
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "GetRegistryPolicy", "{}");
	assert_string_equal(ecr_text(r.json, "policyText"), text);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DeleteRegistryPolicy", "{}");
	assert_string_equal(ecr_text(r.json, "policyText"), text);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "RegistryPolicyNotFoundException", missing,
	    "GetRegistryPolicy", "{}");
	free(body);
	json_decref(in);
}

/* --- GetAuthorizationToken ----------------------------------------------- */

static char *
token_of(const json_t *entry)
{
	struct span text = span_of(ecr_text(entry, "authorizationToken"));
	uint8_t *plain = calloc(1, text.n + 1);
	size_t n;

	assert_int_equal(base64_decode(text, plain, &n), RC_OK);
	plain[n] = '\0';
	return ((char *)plain);
}

static void
a_token_is_for_aws_and_has_no_colon(void **state)
{
	double now = (double)clock_real_ms() / 1000.0, at;
	struct ecr_reply r;
	const json_t *o;
	char *token;

	(void)state;
	ecr_do(&ecr, NULL, &r, "GetAuthorizationToken", "{}");
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "authorizationData")), 1);
	o = ecr_at(r.json, "authorizationData.0");
	token = token_of(o);
	assert_memory_equal(token, "AWS:", 4);
	assert_null(strchr(token + 4, ':'));
	assert_true(strlen(token) > 40 && strlen(token) < 2048);
	at = json_real_value(ecr_at(o, "expiresAt"));
	assert_true(at > now + 43200 - 1 && at < now + 43200 + 1000);
	assert_string_equal(ecr_text(o, "proxyEndpoint"), "http://" ECR_HOST);
	free(token);
	ecr_reply_free(&r);
}

static void
each_registry_asked_for_has_an_entry(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, NULL, &r, "GetAuthorizationToken",
	    "{\"registryIds\":[\"" ECR_ACCOUNT "\",\"111122223333\"]}");
	assert_int_equal(
	    json_array_size(ecr_at(r.json, "authorizationData")), 2);
	assert_string_equal(
	    ecr_text(r.json, "authorizationData.1.proxyEndpoint"),
	    "http://" ECR_HOST);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "GetAuthorizationToken", "{\"registryIds\":[]}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("registryIds.1.member",
		"must satisfy regular expression '[0-9]{12}'"),
	    "GetAuthorizationToken", "{\"registryIds\":[\"12345\"]}");
}

static void
endpoint_expect(const char *external, const char *format, bool tls,
    const char *endpoint, const char *uri)
{
	struct ecr other;
	struct ecr_reply r;

	ecr_open(&other, AUTH_NONE);
	other.settings.external_url = external;
	other.settings.repository_uri_format = format;
	ecr_ask(&other,
	    &(struct ecr_ask){
		.operation = "GetAuthorizationToken", .tls = tls },
	    &r);
	assert_string_equal(
	    ecr_text(r.json, "authorizationData.0.proxyEndpoint"), endpoint);
	ecr_reply_free(&r);
	ecr_ask(&other,
	    &(struct ecr_ask){ .operation = "CreateRepository",
		.body = SPAN("{\"repositoryName\":\"app\"}"),
		.tls = tls },
	    &r);
	assert_string_equal(ecr_text(r.json, "repository.repositoryUri"), uri);
	ecr_reply_free(&r);
	ecr_close(&other);
}

static void
addresses_are_made_as_configured(void **state)
{
	(void)state;
	endpoint_expect(
	    "", "{host}", false, "http://" ECR_HOST, ECR_HOST "/app");
	endpoint_expect(
	    "", "{host}", true, "https://" ECR_HOST, ECR_HOST "/app");
	endpoint_expect("https://images.example/", "{host}", false,
	    "https://images.example", "images.example/app");
	endpoint_expect("", "{account}.dkr.ecr.{region}.amazonaws.com", true,
	    "https://" ECR_ACCOUNT ".dkr.ecr.eu-central-1.amazonaws.com",
	    ECR_ACCOUNT ".dkr.ecr.eu-central-1.amazonaws.com/app");
	endpoint_expect("", "names.example", true, "https://" ECR_HOST,
	    "names.example/app");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_repository_has_ecr_defaults),
		cmocka_unit_test(settings_of_a_repository_are_kept),
		cmocka_unit_test(resource_tags_are_stored),
		cmocka_unit_test(bad_resource_tags_are_refused),
		cmocka_unit_test(bad_names_are_refused_in_ecr_words),
		cmocka_unit_test(
		    mutability_and_its_exclusions_must_go_together),
		cmocka_unit_test(keys_of_kms_are_kept),
		cmocka_unit_test(kms_without_a_key_is_by_that_of_the_account),
		cmocka_unit_test(
		    there_are_as_many_repositories_as_the_quota_says),
		cmocka_unit_test(another_registry_is_not_here),
		cmocka_unit_test(any_missing_name_fails_the_call),
		cmocka_unit_test(names_and_pages_do_not_go_together),
		cmocka_unit_test(pages_hold_each_repository_once),
		cmocka_unit_test(a_deleted_repository_is_shown_and_gone),
		cmocka_unit_test(a_repository_with_images_needs_force),
		cmocka_unit_test(a_policy_comes_back_as_it_was_set),
		cmocka_unit_test(policies_of_no_repository_are_not_found),
		cmocka_unit_test(a_bad_policy_is_refused_with_its_reason),
		cmocka_unit_test(
		    without_authentication_a_registry_policy_is_kept_too),
		cmocka_unit_test(a_token_is_for_aws_and_has_no_colon),
		cmocka_unit_test(each_registry_asked_for_has_an_entry),
		cmocka_unit_test(addresses_are_made_as_configured),
	};

	return (
	    cmocka_run_group_tests_name("ecr", tests, ecr_setup, ecr_teardown));
}
