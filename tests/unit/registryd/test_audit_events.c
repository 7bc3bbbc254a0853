#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_tools.h"
#include "ecr_tools.h"
#include "registryd/audit.h"

/* What clients do that is told in the audit log, and who is said to have. */

static char path[600];
static struct ecr_key alice;

static struct audit *
audit_at(const char *file)
{
	char why[AUDIT_WHY_BYTES];
	struct audit_target *target;

	assert_int_equal(audit_target_open(file, why, &target), RC_OK);
	return (audit_new(&target));
}

static int
setup(void **state)
{
	(void)state;
	ecr_open(&ecr, AUTH_TOKEN);
	(void)snprintf(path, sizeof(path), "%s/audit.log", ecr.dir);
	ecr.service.audit = audit_at(path);
	ecr_user(&ecr, "alice", ECR_ALLOW("\"ecr:*\"", "*"), &alice);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	audit_free(&ecr.service.audit);
	ecr_close(&ecr);
	return (0);
}

/* The last line that was written. */
static json_t *
last_line(const char *file)
{
	char line[4096] = "";
	FILE *f = fopen(file, "re");
	json_t *o;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		continue;
	(void)fclose(f);
	o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	return (o);
}

static json_int_t
last_number(const char *file, const char *key)
{
	json_t *o = last_line(file);
	json_int_t n = json_integer_value(json_object_get(o, key));

	json_decref(o);
	return (n);
}

/* How many lines have both. */
static size_t
lines_with(const char *one, const char *other)
{
	FILE *f = fopen(path, "re");
	char line[4096];
	size_t n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, one) != NULL && strstr(line, other) != NULL;
	(void)fclose(f);
	return (n);
}

static void
told(const char *event, const char *digest, const char *tag)
{
	json_t *o = last_line(path);

	assert_string_equal(ecr_text(o, "event"), event);
	assert_string_equal(
	    ecr_text(o, "by"), "arn:aws:iam::" ECR_ACCOUNT ":user/alice");
	assert_string_equal(ecr_text(o, "repository"), "team/app");
	if (digest != NULL)
		assert_string_equal(ecr_text(o, "digest"), digest);
	if (tag != NULL)
		assert_string_equal(ecr_text(o, "tags.0"), tag);
	json_decref(o);
}

static void
done(const char *operation, const char *more)
{
	struct ecr_reply r;

	ecr_do(&ecr, &alice, &r, operation,
	    "{\"repositoryName\":\"team/app\"%s}", more);
	if (r.status != 200)
		fail_msg("%s: " SPAN_FMT, operation, SPAN_ARG(r.body));
	ecr_reply_free(&r);
}

static void
image_put(const char *tag, char digest[DIGEST_STR_BYTES])
{
	struct ecr_reply r;
	json_t *request;
	char *text;

	text = ecr_image_text(&ecr, "team/app", "one", NULL);
	request = json_pack("{s:s,s:s,s:s}", "repositoryName", "team/app",
	    "imageManifest", text, "imageTag", tag);
	ecr_do_json(&ecr, &alice, &r, "PutImage", request);
	assert_int_equal(r.status, 200);
	(void)snprintf(digest, DIGEST_STR_BYTES, "%s",
	    ecr_text(r.json, "image.imageId.imageDigest"));
	ecr_reply_free(&r);
	free(text);
}

#define POLICY \
	"{\\\"rules\\\":[{\\\"rulePriority\\\":1,\\\"selection\\\":{" \
	"\\\"tagStatus\\\":\\\"any\\\",\\\"countType\\\":" \
	"\\\"imageCountMoreThan\\\",\\\"countNumber\\\":1}," \
	"\\\"action\\\":{\\\"type\\\":\\\"expire\\\"}}]}"

static void
operations_of_ecr_are_told_with_who_asked(void **state)
{
	char digest[DIGEST_STR_BYTES];
	json_int_t revision;

	(void)state;
	done("CreateRepository", "");
	image_put("v1", digest);
	image_put("v2", digest);
	done("UpdateImageStorageClass",
	    ",\"imageId\":{\"imageTag\":\"v1\"},\"targetStorageClass\":"
	    "\"ARCHIVE\"");
	told("image-archive", digest, "v1");
	done("UpdateImageStorageClass",
	    ",\"imageId\":{\"imageTag\":\"v1\"},\"targetStorageClass\":"
	    "\"STANDARD\"");
	told("image-restore", digest, "v1");
	done("BatchDeleteImage", ",\"imageIds\":[{\"imageTag\":\"v1\"}]");
	told("tag-delete", digest, "v1");
	done("BatchDeleteImage", ",\"imageIds\":[{\"imageTag\":\"v2\"}]");
	told("image-delete", digest, "v2");
	assert_true(last_number(path, "bytes") > 0);
	done("PutLifecyclePolicy", ",\"lifecyclePolicyText\":\"" POLICY "\"");
	told("lifecycle-policy-put", NULL, NULL);
	revision = last_number(path, "policy_revision");
	assert_true(revision > 0);
	done("DeleteLifecyclePolicy", "");
	told("lifecycle-policy-delete", NULL, NULL);
	assert_int_equal(last_number(path, "policy_revision"), revision);
	done("DeleteRepository", "");
	told("repository-delete", NULL, NULL);
}

static void
class_set(const char *digest, const char *class)
{
	char more[256];

	(void)snprintf(more, sizeof(more),
	    ",\"imageId\":{\"imageDigest\":\"%s\"},\"targetStorageClass\":"
	    "\"%s\"",
	    digest, class);
	done("UpdateImageStorageClass", more);
}

#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

/* An index of that image. */
static void
index_text(const char *child, char text[1024])
{
	(void)snprintf(text, 1024,
	    "{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE
	    "\",\"manifests\":[{\"mediaType\":\"" MANIFEST_TYPE
	    "\",\"digest\":\"%s\",\"size\":2}]}",
	    child);
}

static void
index_put(const char *text, char digest[DIGEST_STR_BYTES])
{
	struct ecr_reply r;
	json_t *request;

	request = json_pack("{s:s,s:s,s:s}", "repositoryName", "team/app",
	    "imageManifest", text, "imageTag", "index");
	ecr_do_json(&ecr, &alice, &r, "PutImage", request);
	if (r.status != 200)
		fail_msg(SPAN_FMT, SPAN_ARG(r.body));
	(void)snprintf(digest, DIGEST_STR_BYTES, "%s",
	    ecr_text(r.json, "image.imageId.imageDigest"));
	ecr_reply_free(&r);
}

static void
what_comes_back_with_an_index_is_told_too(void **state)
{
	char child[DIGEST_STR_BYTES], index[DIGEST_STR_BYTES], text[1024];

	(void)state;
	done("CreateRepository", "");
	image_put("v1", child);
	index_text(child, text);
	index_put(text, index);
	class_set(index, "ARCHIVE");
	class_set(child, "ARCHIVE");
	class_set(index, "STANDARD");
	assert_int_equal(lines_with("image-restore", "\"tags\":[\"v1\"]"), 1);
	assert_int_equal(lines_with("image-restore", "\"with\":"), 1);
	assert_int_equal(
	    lines_with("image-restore", "\"tags\":[\"index\"]"), 1);
	class_set(index, "ARCHIVE");
	class_set(child, "ARCHIVE");
	index_put(text, index);
	assert_int_equal(lines_with("image-restore", "\"tags\":[\"v1\"]"), 2);
	assert_int_equal(
	    lines_with("image-restore", "\"tags\":[\"index\"]"), 2);
}

static void
deletes_of_the_distribution_api_are_told(void **state)
{
	char digest[DIGEST_STR_BYTES], target[256], file[600];
	struct api api;
	json_t *o;

	(void)state;
	api_open(&api);
	(void)snprintf(file, sizeof(file), "%s/audit.log", api.dir);
	api.service.audit = audit_at(file);
	api_image(&api, "team/app", "v1", "one", digest);
	api_image(&api, "team/app", "v2", "one", digest);
	assert_int_equal(
	    api_status(&api, HTTP_DELETE, "/v2/team/app/manifests/v1", NULL),
	    202);
	o = last_line(file);
	assert_string_equal(ecr_text(o, "event"), "tag-delete");
	assert_string_equal(ecr_text(o, "by"), "anonymous");
	assert_string_equal(ecr_text(o, "tags.0"), "v1");
	json_decref(o);
	(void)snprintf(
	    target, sizeof(target), "/v2/team/app/manifests/%s", digest);
	assert_int_equal(api_status(&api, HTTP_DELETE, target, NULL), 202);
	o = last_line(file);
	assert_string_equal(ecr_text(o, "event"), "image-delete");
	assert_string_equal(ecr_text(o, "digest"), digest);
	assert_string_equal(ecr_text(o, "tags.0"), "v2");
	assert_true(json_integer_value(json_object_get(o, "bytes")) > 0);
	json_decref(o);
	api_blob(&api, "team/app", SPAN("bytes"), digest);
	(void)snprintf(target, sizeof(target), "/v2/team/app/blobs/%s", digest);
	assert_int_equal(api_status(&api, HTTP_DELETE, target, NULL), 202);
	o = last_line(file);
	assert_string_equal(ecr_text(o, "event"), "blob-delete");
	assert_string_equal(ecr_text(o, "digest"), digest);
	json_decref(o);
	audit_free(&api.service.audit);
	api_close(&api);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    operations_of_ecr_are_told_with_who_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_comes_back_with_an_index_is_told_too, setup, teardown),
		cmocka_unit_test(deletes_of_the_distribution_api_are_told),
	};

	return (cmocka_run_group_tests_name("audit events", tests, NULL, NULL));
}
