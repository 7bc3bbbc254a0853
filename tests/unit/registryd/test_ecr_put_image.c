#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "ecr_tools.h"

/* PutImage: what it stores, and each thing it refuses. */

#define MISSING_A \
	"sha256:" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MISSING_B \
	"sha256:" \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* PutImage with further members, given as JSON; the answer must be the error
 * ${type}, or success when it is "". */
static void
put_expect(const char *repository, const char *text, const char *members,
    const char *type, const char *message)
{
	char why[JSON_ERROR_BYTES];
	struct ecr_reply r;
	json_t *request, *more;

	request = json_pack(
	    "{s:s,s:s}", "repositoryName", repository, "imageManifest", text);
	assert_int_equal(json_read(span_of(members), why, &more), RC_OK);
	assert_int_equal(json_object_update(request, more), 0);
	json_decref(more);
	ecr_do_json(&ecr, NULL, &r, "PutImage", request);
	if (strcmp(r.type, type) != 0)
		fail_msg(
		    "expected \"%s\", got " SPAN_FMT, type, SPAN_ARG(r.body));
	if (message != NULL)
		assert_string_equal(r.message, message);
	ecr_reply_free(&r);
}

static const char *
digest_text(const char *text, uint8_t alg, char out[DIGEST_STR_BYTES])
{
	struct digest d;

	digest_of(alg, text, strlen(text), &d);
	return (digest_str(&d, out));
}

/* --- what it stores ------------------------------------------------------ */

static void
an_image_is_stored_as_its_very_bytes(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	char *text;

	(void)state;
	ecr_repository(&ecr, "bytes");
	text = ecr_image_text(&ecr, "bytes", "1",
	    ",\n  \"annotations\" : { \"\xc3\xa4\\u00e4/\\/\\t\": \"\" }");
	digest_text(text, DIGEST_SHA256, digest);
	ecr_put(&ecr, "bytes", "v1", text, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "image.registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "image.repositoryName"), "bytes");
	assert_string_equal(
	    ecr_text(r.json, "image.imageId.imageDigest"), digest);
	assert_string_equal(ecr_text(r.json, "image.imageId.imageTag"), "v1");
	assert_string_equal(ecr_text(r.json, "image.imageManifest"), text);
	assert_string_equal(ecr_text(r.json, "image.imageManifestMediaType"),
	    MEDIA_OCI_MANIFEST);
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "BatchGetImage",
	    "{\"repositoryName\":\"bytes\",\"imageIds\":[{\"imageTag\":\"v1\"}]"
	    "}");
	assert_string_equal(ecr_text(r.json, "images.0.imageManifest"), text);
	ecr_reply_free(&r);
	free(text);
}

static void
an_image_without_a_tag_is_known_by_digest(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	char *text;

	(void)state;
	ecr_repository(&ecr, "untagged");
	text = ecr_image_text(&ecr, "untagged", "1", NULL);
	ecr_put(&ecr, "untagged", NULL, text, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "image.imageId.imageDigest"),
	    digest_text(text, DIGEST_SHA256, digest));
	assert_null(ecr_at(r.json, "image.imageId.imageTag"));
	ecr_reply_free(&r);
	free(text);
}

static void
a_digest_that_is_given_must_be_right(void **state)
{
	char digest[DIGEST_STR_BYTES], *text, *members, *message;

	(void)state;
	ecr_repository(&ecr, "digest");
	text = ecr_image_text(&ecr, "digest", "1", NULL);
	digest_text(text, DIGEST_SHA256, digest);
	message = xasprintf("The image digest '" MISSING_A
			    "' does not match the digest '%s' of the image "
			    "manifest",
	    digest);
	put_expect("digest", text, "{\"imageDigest\":\"" MISSING_A "\"}",
	    "ImageDigestDoesNotMatchException", message);
	free(message);
	put_expect("digest", text, "{\"imageDigest\":\"sha256:abc\"}",
	    "ImageDigestDoesNotMatchException", NULL);
	put_expect("digest", text, "{\"imageDigest\":\"nonsense\"}",
	    "InvalidParameterException",
	    ECR_CONSTRAINT("imageDigest", "must satisfy regular expression "
					  "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"));
	members = xasprintf("{\"imageDigest\":\"%s\"}", digest);
	put_expect("digest", text, members, "", NULL);
	free(members);
	digest_text(text, DIGEST_SHA512, digest);
	members = xasprintf("{\"imageDigest\":\"%s\"}", digest);
	put_expect("digest", text, members, "", NULL);
	free(members);
	free(text);
}

static void
a_tag_moves_and_leaves_an_untagged_image(void **state)
{
	char first[DIGEST_STR_BYTES], second[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "moves");
	ecr_image(&ecr, "moves", "latest", "1", first);
	ecr_image(&ecr, "moves", "latest", "2", second);
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"moves\",\"imageIds\":[{\"imageDigest\":"
	    "\"%s\"},{\"imageDigest\":\"%s\"}]}",
	    first, second);
	assert_null(ecr_at(r.json, "imageDetails.0.imageTags"));
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.1.imageTags.0"), "latest");
	ecr_reply_free(&r);
}

static void
a_known_image_takes_another_tag(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "retag");
	ecr_image(&ecr, "retag", "a", "1", digest);
	ecr_image(&ecr, "retag", "b", "1", digest);
	ecr_do(
	    &ecr, NULL, &r, "DescribeImages", "{\"repositoryName\":\"retag\"}");
	assert_int_equal(json_array_size(ecr_at(r.json, "imageDetails")), 1);
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.0.imageTags.0"), "a");
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.0.imageTags.1"), "b");
	ecr_reply_free(&r);
}

/* --- media types --------------------------------------------------------- */

#define INDEX_OF_NOTHING "{\"schemaVersion\":2,\"manifests\":[]}"

static void
a_media_type_comes_from_the_manifest_or_beside_it(void **state)
{
	static const char typed[] =
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
	    "\",\"manifests\":[]}";

	(void)state;
	ecr_repository(&ecr, "types");
	put_expect("types", INDEX_OF_NOTHING, "{}", "InvalidParameterException",
	    "image manifest mediatype not provided in manifest or parameter");
	put_expect("types", INDEX_OF_NOTHING,
	    "{\"imageManifestMediaType\":\"" MEDIA_OCI_INDEX "\"}", "", NULL);
	put_expect("types", typed,
	    "{\"imageManifestMediaType\":\"" MEDIA_DOCKER_LIST "\"}",
	    "InvalidParameterException",
	    ECR_CONSTRAINT("imageManifestMediaType",
		"must be the mediaType of the manifest, which "
		"is " MEDIA_OCI_INDEX));
	put_expect("types", typed, "{\"imageManifestMediaType\":\"text/html\"}",
	    "InvalidParameterException", NULL);
	put_expect("types", INDEX_OF_NOTHING,
	    "{\"imageManifestMediaType\":\"text/html\"}",
	    "InvalidParameterException", NULL);
	put_expect("types", typed,
	    "{\"imageManifestMediaType\":\"" MEDIA_OCI_INDEX "\"}", "", NULL);
}

#define SCHEMA_1 "application/vnd.docker.distribution.manifest.v1+prettyjws"

static void
a_manifest_that_is_none_is_refused(void **state)
{
	static const char *const texts[] = {
		"{\"schemaVersion\":2,\"mediaType\":7}",
		"{\"schemaVersion\":1,\"mediaType\":\"" MEDIA_OCI_INDEX "\"}",
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\"}",
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
		"\",\"config\":{},\"layers\":[]}",
		"{\"schemaVersion\":2,\"mediaType\":\"" SCHEMA_1 "\"}",
	};
	size_t i;

	(void)state;
	ecr_repository(&ecr, "bad");
	put_expect("bad", "nonsense", "{}", "InvalidParameterException",
	    ECR_CONSTRAINT("ImageManifest", "Invalid JSON syntax"));
	put_expect("bad", "{\"a\":1,\"a\":2}", "{}",
	    "InvalidParameterException",
	    ECR_CONSTRAINT("ImageManifest", "Invalid JSON syntax"));
	put_expect("bad", "[]", "{}", "InvalidParameterException", NULL);
	for (i = 0; i < ARRAY_LEN(texts); i++)
		put_expect(
		    "bad", texts[i], "{}", "InvalidParameterException", NULL);
	put_expect("bad", "", "{}", "InvalidParameterException",
	    ECR_CONSTRAINT("imageManifest",
		"Member must have length greater than or equal to 1"));
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageManifest", "Member must not be null"),
	    "PutImage", "{\"repositoryName\":\"bad\"}");
}

static void
a_manifest_is_no_longer_than_configured(void **state)
{
	(void)state;
	ecr_repository(&ecr, "long");
	ecr.settings.manifest_bytes = strlen(INDEX_OF_NOTHING) - 1;
	put_expect("long", INDEX_OF_NOTHING,
	    "{\"imageManifestMediaType\":\"" MEDIA_OCI_INDEX "\"}",
	    "InvalidParameterException",
	    ECR_CONSTRAINT("imageManifest",
		"Member must have length less than or equal to 33"));
	ecr.settings.manifest_bytes++;
	put_expect("long", INDEX_OF_NOTHING,
	    "{\"imageManifestMediaType\":\"" MEDIA_OCI_INDEX "\"}", "", NULL);
	ecr.settings.manifest_bytes = 0;
}

static void
a_tag_is_of_the_distribution_grammar(void **state)
{
	static const char *const tags[] = { "-a", ".a", "a/b", "a b", "a:b",
		"\xc3\xa4" };
	char members[512], tag[130];
	char *text;
	size_t i;

	(void)state;
	ecr_repository(&ecr, "tags");
	text = ecr_image_text(&ecr, "tags", "1", NULL);
	for (i = 0; i < ARRAY_LEN(tags); i++) {
		(void)snprintf(
		    members, sizeof(members), "{\"imageTag\":\"%s\"}", tags[i]);
		put_expect("tags", text, members, "InvalidParameterException",
		    ECR_CONSTRAINT("imageTag",
			"must satisfy regular expression "
			"'[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'"));
	}
	memset(tag, 't', 129);
	tag[129] = '\0';
	(void)snprintf(members, sizeof(members), "{\"imageTag\":\"%s\"}", tag);
	put_expect("tags", text, members, "InvalidParameterException", NULL);
	(void)snprintf(
	    members, sizeof(members), "{\"imageTag\":\"%s\"}", tag + 1);
	put_expect("tags", text, members, "", NULL);
	free(text);
}

/* --- what is there already ----------------------------------------------- */

static void
the_same_image_again_exists_already(void **state)
{
	char digest[DIGEST_STR_BYTES], *text, *message;

	(void)state;
	ecr_repository(&ecr, "again");
	ecr_image(&ecr, "again", "v1", "1", digest);
	text = ecr_image_text(&ecr, "again", "1", NULL);
	message =
	    xasprintf("Image with digest '%s' and tag 'v1' already exists "
		      "in the repository with name 'again' in registry "
		      "with id '" ECR_ACCOUNT "'",
		digest);
	put_expect("again", text, "{\"imageTag\":\"v1\"}",
	    "ImageAlreadyExistsException", message);
	free(message);
	message = xasprintf("Image with digest '%s' and tag 'null' already "
			    "exists in the repository with name 'again' in "
			    "registry with id '" ECR_ACCOUNT "'",
	    digest);
	put_expect("again", text, "{}", "ImageAlreadyExistsException", message);
	free(message);
	put_expect("again", text, "{\"imageTag\":\"v2\"}", "", NULL);
	free(text);
}

static void
an_immutable_tag_is_not_moved(void **state)
{
	static const char refused[] =
	    "The image tag 'v1' already exists in the 'immutable' repository "
	    "and cannot be overwritten because the tag is immutable.";
	char digest[DIGEST_STR_BYTES], *text;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"immutable\",\"imageTagMutability\":"
	    "\"IMMUTABLE_WITH_EXCLUSION\","
	    "\"imageTagMutabilityExclusionFilters\":[{\"filterType\":"
	    "\"WILDCARD\",\"filter\":\"latest*\"}]}");
	ecr_image(&ecr, "immutable", "v1", "1", digest);
	ecr_image(&ecr, "immutable", "latest-1", "1", digest);
	text = ecr_image_text(&ecr, "immutable", "2", NULL);
	put_expect("immutable", text, "{\"imageTag\":\"v1\"}",
	    "ImageTagAlreadyExistsException", refused);
	put_expect("immutable", text, "{\"imageTag\":\"latest-1\"}", "", NULL);
	put_expect("immutable", text, "{\"imageTag\":\"v2\"}", "", NULL);
	free(text);
	text = ecr_image_text(&ecr, "immutable", "1", NULL);
	put_expect("immutable", text, "{\"imageTag\":\"v1\"}",
	    "ImageAlreadyExistsException", NULL);
	free(text);
}

/* --- what is missing ----------------------------------------------------- */

static void
missing_layers_are_named(void **state)
{
	static const char text[] =
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
	    "\",\"config\":{\"mediaType\":\"a/b\",\"digest\":\"" MISSING_A
	    "\",\"size\":1},\"layers\":[{\"mediaType\":\"a/b\",\"digest\":"
	    "\"" MISSING_B "\",\"size\":1}]}";

	(void)state;
	ecr_repository(&ecr, "missing");
	put_expect("missing", text, "{\"imageTag\":\"v1\"}",
	    "LayersNotFoundException",
	    "Layers with digests '[" MISSING_A ", " MISSING_B
	    "]' required for pushing image into repository with name 'missing' "
	    "in the registry with id '" ECR_ACCOUNT "' do not exist");
	ecr.settings.sparse = SPARSE_ALL;
	put_expect("missing", text, "{\"imageTag\":\"v1\"}", "", NULL);
	ecr.settings.sparse = SPARSE_NONE;
}

static void
missing_images_of_an_index_are_named(void **state)
{
	char digests[3][DIGEST_STR_BYTES] = { MISSING_B, "", MISSING_A };
	char *text;

	(void)state;
	ecr_repository(&ecr, "children");
	ecr_image(&ecr, "children", NULL, "1", digests[1]);
	text = ecr_index_text(digests, 3, NULL);
	put_expect("children", text, "{\"imageTag\":\"v1\"}",
	    "ReferencedImagesNotFoundException",
	    "Images with digests '[" MISSING_B ", " MISSING_A
	    "]' required for pushing image into repository with name "
	    "'children' in the registry with id '" ECR_ACCOUNT
	    "' do not exist");
	ecr.settings.sparse = SPARSE_INDEX;
	put_expect("children", text, "{\"imageTag\":\"v1\"}", "", NULL);
	ecr.settings.sparse = SPARSE_NONE;
	free(text);
}

static void
archived_images_of_an_index_are_missing(void **state)
{
	char digest[1][DIGEST_STR_BYTES], *text, *message;

	(void)state;
	ecr_repository(&ecr, "olds");
	ecr_image(&ecr, "olds", "a", "1", digest[0]);
	ecr_expect(&ecr, NULL, "", NULL, "UpdateImageStorageClass",
	    "{\"repositoryName\":\"olds\",\"imageId\":{\"imageTag\":\"a\"},"
	    "\"targetStorageClass\":\"ARCHIVE\"}");
	text = ecr_index_text(digest, 1, NULL);
	message = xasprintf("Images with digests '[%s]' required for pushing "
			    "image into repository with name 'olds' in the "
			    "registry with id '" ECR_ACCOUNT "' do not exist",
	    digest[0]);
	put_expect("olds", text, "{\"imageTag\":\"v1\"}",
	    "ReferencedImagesNotFoundException", message);
	ecr_image(&ecr, "olds", "a", "1", digest[0]);
	put_expect("olds", text, "{\"imageTag\":\"v1\"}", "", NULL);
	free(text);
	free(message);
}

static void
a_push_makes_no_repository(void **state)
{
	(void)state;
	put_expect("none", INDEX_OF_NOTHING,
	    "{\"imageManifestMediaType\":\"" MEDIA_OCI_INDEX "\"}",
	    "RepositoryNotFoundException",
	    "The repository with name 'none' does not exist in the registry "
	    "with id '" ECR_ACCOUNT "'");
}

/* --- quotas -------------------------------------------------------------- */

static void
quotas_bound_images_and_tags(void **state)
{
	char digest[DIGEST_STR_BYTES], *first, *third;

	(void)state;
	ecr_repository(&ecr, "quota");
	ecr.settings.quotas.images = 2;
	ecr.settings.quotas.tags = 2;
	ecr_image(&ecr, "quota", "a", "1", digest);
	ecr_image(&ecr, "quota", NULL, "2", digest);
	first = ecr_image_text(&ecr, "quota", "1", NULL);
	third = ecr_image_text(&ecr, "quota", "3", NULL);
	put_expect("quota", third, "{}", "LimitExceededException",
	    "The maximum number of images (2) in the repository with name "
	    "'quota' in the registry with id '" ECR_ACCOUNT
	    "' has been reached");
	put_expect("quota", first, "{\"imageTag\":\"b\"}", "", NULL);
	put_expect("quota", first, "{\"imageTag\":\"c\"}",
	    "LimitExceededException",
	    "The maximum number of tags (2) of an image in the repository with "
	    "name 'quota' in the registry with id '" ECR_ACCOUNT
	    "' has been reached");
	ecr.settings.quotas.images = 3;
	put_expect("quota", third, "{}", "", NULL);
	memset(&ecr.settings.quotas, 0, sizeof(ecr.settings.quotas));
	free(first);
	free(third);
}

/* --- what follows a push ------------------------------------------------- */

static void
a_repository_can_have_pushes_scanned(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"scanned\",\"imageScanningConfiguration\":"
	    "{\"scanOnPush\":true}}");
	ecr_repository(&ecr, "unscanned");
	ecr_image(&ecr, "scanned", "a", "1", digest);
	ecr_image(&ecr, "unscanned", "a", "1", digest);
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"scanned\"}");
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.0.imageScanStatus.status"),
	    "IN_PROGRESS");
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"unscanned\"}");
	assert_null(ecr_at(r.json, "imageDetails.0.imageScanStatus"));
	ecr_reply_free(&r);
}

/* As by hand: neither what is no image of a container, nor an index. */
static void
only_what_can_be_scanned_is_scanned_on_push(void **state)
{
	char digest[1][DIGEST_STR_BYTES], index[DIGEST_STR_BYTES];
	struct ecr_reply r;
	size_t i;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"kinds\",\"imageScanningConfiguration\":"
	    "{\"scanOnPush\":true}}");
	ecr_push(&ecr, "kinds", NULL,
	    ecr_image_text(&ecr, "kinds", "1",
		",\"artifactType\":\"application/x-thing\""),
	    digest[0]);
	ecr_push(&ecr, "kinds", NULL, ecr_index_text(digest, 1, NULL), index);
	ecr_do(
	    &ecr, NULL, &r, "DescribeImages", "{\"repositoryName\":\"kinds\"}");
	assert_int_equal(json_array_size(ecr_at(r.json, "imageDetails")), 2);
	for (i = 0; i < 2; i++)
		assert_null(json_object_get(
		    json_array_get(ecr_at(r.json, "imageDetails"), i),
		    "imageScanStatus"));
	ecr_reply_free(&r);
}

static void
the_rules_of_the_registry_can_have_pushes_scanned(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "PutRegistryScanningConfiguration",
	    "{\"scanType\":\"BASIC\",\"rules\":[{\"scanFrequency\":"
	    "\"SCAN_ON_PUSH\",\"repositoryFilters\":[{\"filter\":\"rule*\","
	    "\"filterType\":\"WILDCARD\"}]}]}");
	ecr_repository(&ecr, "ruled");
	ecr_repository(&ecr, "free");
	ecr_image(&ecr, "ruled", "a", "1", digest);
	ecr_image(&ecr, "free", "a", "1", digest);
	ecr_do(
	    &ecr, NULL, &r, "DescribeImages", "{\"repositoryName\":\"ruled\"}");
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.0.imageScanStatus.status"),
	    "IN_PROGRESS");
	ecr_reply_free(&r);
	ecr_do(
	    &ecr, NULL, &r, "DescribeImages", "{\"repositoryName\":\"free\"}");
	assert_null(ecr_at(r.json, "imageDetails.0.imageScanStatus"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "", NULL, "PutRegistryScanningConfiguration",
	    "{\"scanType\":\"BASIC\",\"rules\":[]}");
}

static void
a_push_restores_an_archived_image(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "restored");
	ecr_image(&ecr, "restored", "a", "1", digest);
	ecr_expect(&ecr, NULL, "", NULL, "UpdateImageStorageClass",
	    "{\"repositoryName\":\"restored\",\"imageId\":{\"imageTag\":\"a\"},"
	    "\"targetStorageClass\":\"ARCHIVE\"}");
	ecr_image(&ecr, "restored", "a", "1", digest);
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"restored\"}");
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.0.imageStatus"), "ACTIVE");
	assert_non_null(ecr_at(r.json, "imageDetails.0.lastArchivedAt"));
	assert_non_null(ecr_at(r.json, "imageDetails.0.lastActivatedAt"));
	ecr_reply_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_stored_as_its_very_bytes),
		cmocka_unit_test(an_image_without_a_tag_is_known_by_digest),
		cmocka_unit_test(a_digest_that_is_given_must_be_right),
		cmocka_unit_test(a_tag_moves_and_leaves_an_untagged_image),
		cmocka_unit_test(a_known_image_takes_another_tag),
		cmocka_unit_test(
		    a_media_type_comes_from_the_manifest_or_beside_it),
		cmocka_unit_test(a_manifest_that_is_none_is_refused),
		cmocka_unit_test(a_manifest_is_no_longer_than_configured),
		cmocka_unit_test(a_tag_is_of_the_distribution_grammar),
		cmocka_unit_test(the_same_image_again_exists_already),
		cmocka_unit_test(an_immutable_tag_is_not_moved),
		cmocka_unit_test(missing_layers_are_named),
		cmocka_unit_test(missing_images_of_an_index_are_named),
		cmocka_unit_test(archived_images_of_an_index_are_missing),
		cmocka_unit_test(a_push_makes_no_repository),
		cmocka_unit_test(quotas_bound_images_and_tags),
		cmocka_unit_test(a_repository_can_have_pushes_scanned),
		cmocka_unit_test(only_what_can_be_scanned_is_scanned_on_push),
		cmocka_unit_test(
		    the_rules_of_the_registry_can_have_pushes_scanned),
		cmocka_unit_test(a_push_restores_an_archived_image),
	};

	return (cmocka_run_group_tests_name(
	    "put_image", tests, ecr_setup, ecr_teardown));
}
