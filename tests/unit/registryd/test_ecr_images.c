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

/* BatchGetImage, BatchDeleteImage, UpdateImageStorageClass. */

/* An operation on ${ids}, JSON with each ' for a ". */
static void
batch_do(const char *operation, const char *repository, struct ecr_reply *r,
    const char *ids)
{
	char *text = xstrdup(ids), *p;

	for (p = text; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	ecr_do(&ecr, NULL, r, operation,
	    "{\"repositoryName\":\"%s\",\"imageIds\":%s}", repository, text);
	if (r->status != 200)
		fail_msg("%s: " SPAN_FMT, operation, SPAN_ARG(r->body));
	free(text);
}

static size_t
length_of(const struct ecr_reply *r, const char *path)
{
	const json_t *list = ecr_at(r->json, path);

	assert_true(json_is_array(list));
	return (json_array_size(list));
}

static void
failure_check(
    const struct ecr_reply *r, size_t i, const char *code, const char *reason)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "failures.%zu.failureCode", i);
	assert_string_equal(ecr_text(r->json, path), code);
	(void)snprintf(path, sizeof(path), "failures.%zu.failureReason", i);
	assert_string_equal(ecr_text(r->json, path), reason);
	(void)snprintf(path, sizeof(path), "failures.%zu.imageId", i);
	assert_true(json_is_object(ecr_at(r->json, path)));
}

/* What is wrong with an identifier by itself; the same for both. */
static void
bad_ids_check(const char *operation)
{
	static const struct {
		const char *ids, *code, *reason;
	} bad[] = {
		{ "[{}]", "MissingDigestAndTag",
		    "Invalid request parameters: both tag and digest cannot be "
		    "null" },
		{ "[{'imageDigest':null}]", "MissingDigestAndTag",
		    "Invalid request parameters: both tag and digest cannot be "
		    "null" },
		{ "[{'imageDigest':'nonsense'}]", "InvalidImageDigest",
		    "Invalid request parameters: image digest should satisfy "
		    "the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'" },
		{ "[{'imageDigest':''}]", "InvalidImageDigest",
		    "Invalid request parameters: image digest should satisfy "
		    "the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'" },
		{ "[{'imageTag':'a/b'}]", "InvalidImageTag",
		    "Invalid request parameters: image tag should satisfy the "
		    "regex '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'" },
		{ "[{'imageTag':'nothing'}]", "ImageNotFound",
		    "Requested image not found" },
		{ "[{'imageDigest':'" ECR_UNKNOWN_DIGEST "'}]", "ImageNotFound",
		    "Requested image not found" },
		{ "[{'imageDigest':'sha256:abc'}]", "ImageNotFound",
		    "Requested image not found" },
		{ "[{'imageTag':'nothing','imageDigest':'" ECR_UNKNOWN_DIGEST
		  "'}]",
		    "ImageNotFound", "Requested image not found" },
		{ "[{'imageTag':'v1','imageDigest':'" ECR_UNKNOWN_DIGEST "'}]",
		    "ImageTagDoesNotMatchDigest",
		    "Requested image tag is not of the image with the "
		    "requested digest" },
	};
	struct ecr_reply r;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		batch_do(operation, "bad", &r, bad[i].ids);
		assert_int_equal(length_of(&r, "failures"), 1);
		failure_check(&r, 0, bad[i].code, bad[i].reason);
		ecr_reply_free(&r);
	}
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("none"), operation,
	    "{\"repositoryName\":\"none\",\"imageIds\":[{}]}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageIds",
		"Member must have length greater than or equal to 1"),
	    operation, "{\"repositoryName\":\"bad\",\"imageIds\":[]}");
}

static void
a_bad_identifier_is_a_failure_of_its_own(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "bad");
	ecr_image(&ecr, "bad", "v1", "1", digest);
	bad_ids_check("BatchGetImage");
	bad_ids_check("BatchDeleteImage");
	batch_do("BatchGetImage", "bad", &r,
	    "[{'imageTag':'nothing'},{'imageTag':'v1'}]");
	assert_int_equal(length_of(&r, "failures"), 1);
	assert_int_equal(length_of(&r, "images"), 1);
	assert_string_equal(
	    ecr_text(r.json, "failures.0.imageId.imageTag"), "nothing");
	ecr_reply_free(&r);
}

/* --- BatchGetImage ------------------------------------------------------- */

static void
images_come_as_they_were_pushed(void **state)
{
	char digest[DIGEST_STR_BYTES], *text, *ids;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "get");
	ecr_image(&ecr, "get", "v1", "1", digest);
	text = ecr_image_text(&ecr, "get", "1", NULL);
	ids = xasprintf("[{'imageDigest':'%s'},{'imageTag':'v1'},"
			"{'imageTag':'v1','imageDigest':'%s'}]",
	    digest, digest);
	batch_do("BatchGetImage", "get", &r, ids);
	assert_int_equal(length_of(&r, "images"), 3);
	assert_int_equal(length_of(&r, "failures"), 0);
	assert_string_equal(
	    ecr_text(r.json, "images.0.registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "images.0.repositoryName"), "get");
	assert_string_equal(
	    ecr_text(r.json, "images.0.imageId.imageDigest"), digest);
	assert_null(ecr_at(r.json, "images.0.imageId.imageTag"));
	assert_string_equal(ecr_text(r.json, "images.0.imageManifest"), text);
	assert_string_equal(ecr_text(r.json, "images.0.imageManifestMediaType"),
	    MEDIA_OCI_MANIFEST);
	assert_string_equal(
	    ecr_text(r.json, "images.1.imageId.imageDigest"), digest);
	assert_string_equal(
	    ecr_text(r.json, "images.1.imageId.imageTag"), "v1");
	assert_string_equal(
	    ecr_text(r.json, "images.2.imageId.imageTag"), "v1");
	ecr_reply_free(&r);
	free(ids);
	free(text);
}

static void
an_identifier_given_twice_is_answered_once(void **state)
{
	struct ecr_reply r;

	(void)state;
	batch_do("BatchGetImage", "get", &r,
	    "[{'imageTag':'v1'},{'imageTag':'x'},{'imageTag':'v1'},"
	    "{'imageTag':'x'}]");
	assert_int_equal(length_of(&r, "images"), 1);
	assert_int_equal(length_of(&r, "failures"), 1);
	ecr_reply_free(&r);
}

static void
an_image_of_a_type_not_accepted_is_not_found(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, NULL, &r, "BatchGetImage",
	    "{\"repositoryName\":\"get\",\"imageIds\":[{\"imageTag\":\"v1\"}],"
	    "\"acceptedMediaTypes\":[\"" MEDIA_DOCKER_MANIFEST "\"]}");
	assert_int_equal(length_of(&r, "images"), 0);
	failure_check(&r, 0, "ImageNotFound",
	    "Requested image not found: it is of type " MEDIA_OCI_MANIFEST
	    ", which is not among the acceptedMediaTypes, and images are not "
	    "converted");
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "BatchGetImage",
	    "{\"repositoryName\":\"get\",\"imageIds\":[{\"imageTag\":\"v1\"}],"
	    "\"acceptedMediaTypes\":[\"" MEDIA_DOCKER_MANIFEST
	    "\",\"" MEDIA_OCI_MANIFEST "\"]}");
	assert_int_equal(length_of(&r, "images"), 1);
	ecr_reply_free(&r);
}

static void
an_archived_image_is_inaccessible(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "cold");
	ecr_image(&ecr, "cold", "v1", "1", digest);
	ecr_archive(&ecr, "cold", "v1");
	batch_do("BatchGetImage", "cold", &r, "[{'imageTag':'v1'}]");
	assert_int_equal(length_of(&r, "images"), 0);
	failure_check(&r, 0, "ImageInaccessible",
	    "Requested image is archived; it has to be restored "
	    "(UpdateImageStorageClass) before it can be pulled");
	ecr_reply_free(&r);
}

static void
getting_an_image_is_a_pull(void **state)
{
	char got[DIGEST_STR_BYTES], other[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "pulled");
	ecr_image(&ecr, "pulled", "got", "1", got);
	ecr_image(&ecr, "pulled", "other", "2", other);
	batch_do("BatchGetImage", "pulled", &r, "[{'imageTag':'got'}]");
	ecr_reply_free(&r);
	ecr_reopen(&ecr); /* what was noted is written by then */
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"pulled\",\"imageIds\":[{\"imageTag\":"
	    "\"got\"},{\"imageTag\":\"other\"}]}");
	assert_true(json_is_real(
	    ecr_at(r.json, "imageDetails.0.lastRecordedPullTime")));
	assert_null(ecr_at(r.json, "imageDetails.1.lastRecordedPullTime"));
	ecr_reply_free(&r);
}

/* An index with an annotation of ${n} bytes. */
static void
large_push(const char *tag, size_t n)
{
	char digest[DIGEST_STR_BYTES], *more;

	more = xasprintf(",\"annotations\":{\"%s\":\"%0*d\"}", tag, (int)n, 0);
	ecr_push(&ecr, "large", tag, ecr_index_text(NULL, 0, more), digest);
	free(more);
}

static void
one_answer_holds_so_many_bytes(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "large");
	large_push("a", (size_t)4000000);
	large_push("b", (size_t)4000000);
	large_push("c", (size_t)4000000);
	batch_do("BatchGetImage", "large", &r,
	    "[{'imageTag':'a'},{'imageTag':'c'}]");
	assert_int_equal(length_of(&r, "images"), 2);
	ecr_reply_free(&r);
	ecr_expect(&ecr, NULL, "LimitExceededException",
	    "The manifests of the requested images are larger than 8388608 "
	    "bytes together. Request fewer images at a time.",
	    "BatchGetImage",
	    "{\"repositoryName\":\"large\",\"imageIds\":[{\"imageTag\":\"a\"},"
	    "{\"imageTag\":\"b\"},{\"imageTag\":\"c\"}]}");
}

/* --- BatchDeleteImage ---------------------------------------------------- */

static void
gone_check(const char *repository, const char *tag)
{
	struct ecr_reply r;
	char *ids = xasprintf("[{'imageTag':'%s'}]", tag);

	batch_do("BatchGetImage", repository, &r, ids);
	assert_int_equal(length_of(&r, "images"), 0);
	ecr_reply_free(&r);
	free(ids);
}

static size_t
images_in(const char *repository)
{
	struct ecr_reply r;
	size_t n;

	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"%s\",\"filter\":{\"imageStatus\":\"ANY\"}}",
	    repository);
	n = length_of(&r, "imageDetails");
	ecr_reply_free(&r);
	return (n);
}

static void
the_last_tag_takes_its_image_along(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "bytag");
	ecr_image(&ecr, "bytag", "a", "1", digest);
	ecr_image(&ecr, "bytag", "b", "1", digest);
	batch_do("BatchDeleteImage", "bytag", &r, "[{'imageTag':'a'}]");
	assert_int_equal(length_of(&r, "imageIds"), 1);
	assert_int_equal(length_of(&r, "failures"), 0);
	assert_string_equal(ecr_text(r.json, "imageIds.0.imageDigest"), digest);
	assert_string_equal(ecr_text(r.json, "imageIds.0.imageTag"), "a");
	ecr_reply_free(&r);
	gone_check("bytag", "a");
	assert_int_equal(images_in("bytag"), 1);
	batch_do("BatchDeleteImage", "bytag", &r,
	    "[{'imageTag':'b'},{'imageTag':'b'}]");
	assert_int_equal(length_of(&r, "imageIds"), 1);
	assert_int_equal(length_of(&r, "failures"), 0);
	ecr_reply_free(&r);
	assert_int_equal(images_in("bytag"), 0);
}

static void
by_digest_all_tags_go(void **state)
{
	char tagged[DIGEST_STR_BYTES], bare[DIGEST_STR_BYTES], *ids;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "bydigest");
	ecr_image(&ecr, "bydigest", "b", "1", tagged);
	ecr_image(&ecr, "bydigest", "a", "1", tagged);
	ecr_image(&ecr, "bydigest", NULL, "2", bare);
	ids = xasprintf(
	    "[{'imageDigest':'%s'},{'imageDigest':'%s'}]", tagged, bare);
	batch_do("BatchDeleteImage", "bydigest", &r, ids);
	assert_int_equal(length_of(&r, "imageIds"), 3);
	assert_string_equal(ecr_text(r.json, "imageIds.0.imageDigest"), tagged);
	assert_string_equal(ecr_text(r.json, "imageIds.0.imageTag"), "a");
	assert_string_equal(ecr_text(r.json, "imageIds.1.imageTag"), "b");
	assert_string_equal(ecr_text(r.json, "imageIds.2.imageDigest"), bare);
	assert_null(ecr_at(r.json, "imageIds.2.imageTag"));
	ecr_reply_free(&r);
	assert_int_equal(images_in("bydigest"), 0);
	free(ids);
}

static void
a_tag_and_its_digest_delete_the_tag(void **state)
{
	char digest[DIGEST_STR_BYTES], *ids;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "both");
	ecr_image(&ecr, "both", "a", "1", digest);
	ecr_image(&ecr, "both", "b", "1", digest);
	ids = xasprintf("[{'imageDigest':'%s','imageTag':'a'}]", digest);
	batch_do("BatchDeleteImage", "both", &r, ids);
	assert_int_equal(length_of(&r, "imageIds"), 1);
	assert_string_equal(ecr_text(r.json, "imageIds.0.imageTag"), "a");
	ecr_reply_free(&r);
	assert_int_equal(images_in("both"), 1);
	free(ids);
}

static void
an_image_of_an_index_is_held(void **state)
{
	char child[1][DIGEST_STR_BYTES], index[DIGEST_STR_BYTES];
	char *ids, *reason;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "held");
	ecr_image(&ecr, "held", "child", "1", child[0]);
	ecr_push(&ecr, "held", "index", ecr_index_text(child, 1, NULL), index);
	reason = xasprintf(
	    "Requested image referenced by manifest list: [%s]", index);
	ids = xasprintf("[{'imageDigest':'%s'}]", child[0]);
	batch_do("BatchDeleteImage", "held", &r, ids);
	assert_int_equal(length_of(&r, "imageIds"), 0);
	failure_check(&r, 0, "ImageReferencedByManifestList", reason);
	assert_string_equal(
	    ecr_text(r.json, "failures.0.imageId.imageDigest"), child[0]);
	ecr_reply_free(&r);
	batch_do("BatchDeleteImage", "held", &r, "[{'imageTag':'child'}]");
	failure_check(&r, 0, "ImageReferencedByManifestList", reason);
	ecr_reply_free(&r);
	assert_int_equal(images_in("held"), 2);
	free(ids);
	free(reason);
}

static void
an_index_goes_with_its_images_in_any_order(void **state)
{
	char child[1][DIGEST_STR_BYTES], inner[1][DIGEST_STR_BYTES];
	char outer[DIGEST_STR_BYTES], *ids;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "nested");
	ecr_image(&ecr, "nested", NULL, "1", child[0]);
	ecr_push(
	    &ecr, "nested", NULL, ecr_index_text(child, 1, NULL), inner[0]);
	ecr_push(&ecr, "nested", NULL, ecr_index_text(inner, 1, NULL), outer);
	ids = xasprintf("[{'imageDigest':'%s'},{'imageDigest':'%s'},"
			"{'imageDigest':'%s'}]",
	    child[0], inner[0], outer);
	batch_do("BatchDeleteImage", "nested", &r, ids);
	assert_int_equal(length_of(&r, "imageIds"), 3);
	assert_int_equal(length_of(&r, "failures"), 0);
	ecr_reply_free(&r);
	assert_int_equal(images_in("nested"), 0);
	free(ids);
}

/* --- UpdateImageStorageClass --------------------------------------------- */

static void
class_set(const char *repository, const char *id, const char *target,
    const char *status, struct ecr_reply *r)
{
	ecr_do(&ecr, NULL, r, "UpdateImageStorageClass",
	    "{\"repositoryName\":\"%s\",\"imageId\":%s,"
	    "\"targetStorageClass\":\"%s\"}",
	    repository, id, target);
	if (r->status != 200)
		fail_msg(
		    "UpdateImageStorageClass: " SPAN_FMT, SPAN_ARG(r->body));
	assert_string_equal(ecr_text(r->json, "imageStatus"), status);
}

static void
an_image_is_archived_and_restored(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "class");
	ecr_image(&ecr, "class", "v1", "1", digest);
	class_set("class", "{\"imageTag\":\"v1\"}", "ARCHIVE", "ARCHIVED", &r);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), "class");
	assert_string_equal(ecr_text(r.json, "imageId.imageDigest"), digest);
	assert_string_equal(ecr_text(r.json, "imageId.imageTag"), "v1");
	ecr_reply_free(&r);
	class_set("class", "{\"imageTag\":\"v1\"}", "ARCHIVE", "ARCHIVED", &r);
	ecr_reply_free(&r);
	class_set("class", "{\"imageTag\":\"v1\"}", "STANDARD", "ACTIVE", &r);
	ecr_reply_free(&r);
	batch_do("BatchGetImage", "class", &r, "[{'imageTag':'v1'}]");
	assert_int_equal(length_of(&r, "images"), 1);
	ecr_reply_free(&r);
}

static void
an_image_of_an_active_index_is_not_archived(void **state)
{
	char child[1][DIGEST_STR_BYTES], index[DIGEST_STR_BYTES], *message;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "classes");
	ecr_image(&ecr, "classes", "child", "1", child[0]);
	ecr_push(
	    &ecr, "classes", "index", ecr_index_text(child, 1, NULL), index);
	message = xasprintf("The image with digest '%s' in the repository with "
			    "name 'classes' cannot be archived: it is "
			    "referenced by manifest list: [%s]",
	    child[0], index);
	ecr_expect(&ecr, NULL, "ImageStorageClassUpdateNotSupportedException",
	    message, "UpdateImageStorageClass",
	    "{\"repositoryName\":\"classes\",\"imageId\":{\"imageTag\":"
	    "\"child\"},\"targetStorageClass\":\"ARCHIVE\"}");
	ecr_archive(&ecr, "classes", "index");
	class_set(
	    "classes", "{\"imageTag\":\"child\"}", "ARCHIVE", "ARCHIVED", &r);
	ecr_reply_free(&r);
	free(message);
}

static void
a_storage_class_is_of_one_image_that_is_there(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	ecr_repository(&ecr, "one");
	ecr_image(&ecr, "one", "v1", "1", digest);
	ecr_expect(&ecr, NULL, "ImageNotFoundException",
	    "The image with imageId {imageDigest:'null', imageTag:'v2'} does "
	    "not exist within the repository with name 'one' in the registry "
	    "with id '" ECR_ACCOUNT "'",
	    "UpdateImageStorageClass",
	    "{\"repositoryName\":\"one\",\"imageId\":{\"imageTag\":\"v2\"},"
	    "\"targetStorageClass\":\"ARCHIVE\"}");
	ecr_expect(&ecr, NULL, "ImageNotFoundException",
	    "The image with imageId {imageDigest:'" ECR_UNKNOWN_DIGEST
	    "', imageTag:'v1'} does not exist within the repository with name "
	    "'one' in the registry with id '" ECR_ACCOUNT "'",
	    "UpdateImageStorageClass",
	    "{\"repositoryName\":\"one\",\"imageId\":{\"imageTag\":\"v1\","
	    "\"imageDigest\":\"" ECR_UNKNOWN_DIGEST "\"},"
	    "\"targetStorageClass\":\"ARCHIVE\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageId", "both tag and digest cannot be null"),
	    "UpdateImageStorageClass",
	    "{\"repositoryName\":\"one\",\"imageId\":{},"
	    "\"targetStorageClass\":\"ARCHIVE\"}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("targetStorageClass",
		"Member must satisfy enum value set: [STANDARD, ARCHIVE]"),
	    "UpdateImageStorageClass",
	    "{\"repositoryName\":\"one\",\"imageId\":{\"imageTag\":\"v1\"},"
	    "\"targetStorageClass\":\"GLACIER\"}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("none"), "UpdateImageStorageClass",
	    "{\"repositoryName\":\"none\",\"imageId\":{\"imageTag\":\"v1\"},"
	    "\"targetStorageClass\":\"ARCHIVE\"}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_identifier_is_a_failure_of_its_own),
		cmocka_unit_test(images_come_as_they_were_pushed),
		cmocka_unit_test(an_identifier_given_twice_is_answered_once),
		cmocka_unit_test(an_image_of_a_type_not_accepted_is_not_found),
		cmocka_unit_test(an_archived_image_is_inaccessible),
		cmocka_unit_test(getting_an_image_is_a_pull),
		cmocka_unit_test(one_answer_holds_so_many_bytes),
		cmocka_unit_test(the_last_tag_takes_its_image_along),
		cmocka_unit_test(by_digest_all_tags_go),
		cmocka_unit_test(a_tag_and_its_digest_delete_the_tag),
		cmocka_unit_test(an_image_of_an_index_is_held),
		cmocka_unit_test(an_index_goes_with_its_images_in_any_order),
		cmocka_unit_test(an_image_is_archived_and_restored),
		cmocka_unit_test(an_image_of_an_active_index_is_not_archived),
		cmocka_unit_test(a_storage_class_is_of_one_image_that_is_there),
	};

	return (cmocka_run_group_tests_name(
	    "images", tests, ecr_setup, ecr_teardown));
}
