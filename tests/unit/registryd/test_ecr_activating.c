#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "ecr_tools.h"
#include "storage/gc.h"
#include "storage/repositories.h"
#include "storage/upload.h"

/*
 * An image whose content lies in the archive is restored: it is ACTIVATING
 * until the collector has brought the content back.
 */

/* Too long for the database, so it lies in a file. */
#define LAYER_BYTES 20000

static char layer[DIGEST_STR_BYTES], image[DIGEST_STR_BYTES];

static void
layer_push(const char *repository)
{
	struct store *s = ecr.service.store;
	char bytes[LAYER_BYTES], id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct digest d;

	memset(bytes, 'x', sizeof(bytes));
	digest_of(DIGEST_SHA256, bytes, sizeof(bytes), &d);
	digest_str(&d, layer);
	assert_int_equal(
	    upload_start(s, span_of(repository), DIGEST_SHA256, NULL, id),
	    RC_OK);
	assert_int_equal(
	    upload_acquire(s, span_of(repository), span_of(id), &u), RC_OK);
	assert_int_equal(upload_write(u, bytes, sizeof(bytes)), RC_OK);
	assert_int_equal(upload_finish(&u, &d, NULL), RC_OK);
}

/* It refers to a subject that is not here. */
static char *
image_text(const char *repository)
{
	char config[DIGEST_STR_BYTES];

	layer_push(repository);
	ecr_blob(&ecr, repository, SPAN("{}"), config);
	return (xasprintf(
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
	    "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config."
	    "v1+json\",\"digest\":\"%s\",\"size\":2},\"layers\":[{"
	    "\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
	    "\"digest\":\"%s\",\"size\":%d}],\"subject\":{\"mediaType\":"
	    "\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"" ECR_UNKNOWN_DIGEST
	    "\",\"size\":2}}",
	    config, layer, LAYER_BYTES));
}

static struct gc_totals
collect(void)
{
	const struct gc_options o = { .now_ms = clock_real_ms() + 1 };
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(ecr.service.store, &o, &totals), RC_OK);
	return (totals);
}

static void
class_set(const char *target, const char *status)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "UpdateImageStorageClass",
	    "{\"repositoryName\":\"cold\",\"imageId\":{\"imageTag\":\"v1\"},"
	    "\"targetStorageClass\":\"%s\"}",
	    target);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "imageStatus"), status);
	ecr_reply_free(&r);
}

/* An image whose layer lies in the archive. */
static int
setup(void **state)
{
	(void)ecr_setup(state);
	gc_grace_set(ecr.service.store, 0);
	ecr_repository(&ecr, "cold");
	ecr_push(&ecr, "cold", "v1", image_text("cold"), image);
	class_set("ARCHIVE", "ARCHIVED");
	assert_int_equal(collect().archived_blobs, 1);
	return (0);
}

static size_t
listed(const char *operation, const char *member, const char *status)
{
	struct ecr_reply r;
	size_t n;

	ecr_do(&ecr, NULL, &r, operation,
	    "{\"repositoryName\":\"cold\",\"filter\":{\"imageStatus\":\"%s\"}}",
	    status);
	assert_int_equal(r.status, 200);
	n = json_array_size(ecr_at(r.json, member));
	ecr_reply_free(&r);
	return (n);
}

static size_t
referring(const char *status)
{
	struct ecr_reply r;
	size_t n;

	ecr_do(&ecr, NULL, &r, "ListImageReferrers",
	    "{\"repositoryName\":\"cold\",\"subjectId\":{\"imageDigest\":"
	    "\"" ECR_UNKNOWN_DIGEST "\"},\"filter\":{\"artifactStatus\":"
	    "\"%s\"}}",
	    status);
	assert_int_equal(r.status, 200);
	n = json_array_size(ecr_at(r.json, "referrers"));
	if (n > 0 && strcmp(status, "ANY") != 0)
		assert_string_equal(
		    ecr_text(r.json, "referrers.0.artifactStatus"), status);
	ecr_reply_free(&r);
	return (n);
}

static void
pull_is(const char *failure)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "BatchGetImage",
	    "{\"repositoryName\":\"cold\",\"imageIds\":[{\"imageTag\":"
	    "\"v1\"}]}");
	assert_int_equal(r.status, 200);
	if (failure == NULL) {
		assert_int_equal(json_array_size(ecr_at(r.json, "images")), 1);
	} else {
		assert_int_equal(json_array_size(ecr_at(r.json, "images")), 0);
		assert_string_equal(ecr_text(r.json, "failures.0.failureCode"),
		    "ImageInaccessible");
		assert_string_equal(
		    ecr_text(r.json, "failures.0.failureReason"), failure);
	}
	ecr_reply_free(&r);
}

static void
layer_is(const char *availability)
{
	struct ecr_reply r;

	ecr_do(&ecr, NULL, &r, "BatchCheckLayerAvailability",
	    "{\"repositoryName\":\"cold\",\"layerDigests\":[\"%s\"]}", layer);
	assert_int_equal(r.status, 200);
	assert_string_equal(
	    ecr_text(r.json, "layers.0.layerAvailability"), availability);
	ecr_reply_free(&r);
}

/* --- tests --------------------------------------------------------------- */

static void
a_layer_in_the_archive_is_archived(void **state)
{
	char body[256];

	(void)state;
	layer_is("ARCHIVED");
	(void)snprintf(body, sizeof(body),
	    "{\"repositoryName\":\"cold\",\"layerDigest\":\"%s\"}", layer);
	ecr_expect(&ecr, NULL, "LayerInaccessibleException", NULL,
	    "GetDownloadUrlForLayer", "%s", body);
}

static void
a_restored_image_is_activating_until_its_content_is_back(void **state)
{
	struct ecr_reply r;

	(void)state;
	class_set("STANDARD", "ACTIVATING");
	class_set("STANDARD", "ACTIVATING");
	assert_int_equal(collect().activated_images, 1);
	class_set("STANDARD", "ACTIVE");
	pull_is(NULL);
	layer_is("AVAILABLE");
	ecr_do(
	    &ecr, NULL, &r, "DescribeImages", "{\"repositoryName\":\"cold\"}");
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.0.imageStatus"), "ACTIVE");
	assert_non_null(ecr_at(r.json, "imageDetails.0.lastActivatedAt"));
	assert_non_null(ecr_at(r.json, "imageDetails.0.lastArchivedAt"));
	ecr_reply_free(&r);
}

static void
lists_tell_activating_images_apart(void **state)
{
	static const struct {
		const char *status;
		size_t n;
	} rows[] = { { "ACTIVE", 0 }, { "ARCHIVED", 0 }, { "ACTIVATING", 1 },
		{ "ANY", 1 } };
	size_t i;

	(void)state;
	class_set("STANDARD", "ACTIVATING");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    listed("ListImages", "imageIds", rows[i].status),
		    rows[i].n);
		assert_int_equal(
		    listed("DescribeImages", "imageDetails", rows[i].status),
		    rows[i].n);
		assert_int_equal(referring(rows[i].status), rows[i].n);
	}
}

static void
named_images_are_filtered_by_their_status_too(void **state)
{
	struct ecr_reply r;

	(void)state;
	class_set("STANDARD", "ACTIVATING");
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"cold\",\"imageIds\":[{\"imageTag\":\"v1\"}],"
	    "\"filter\":{\"imageStatus\":\"ACTIVATING\"}}");
	assert_string_equal(
	    ecr_text(r.json, "imageDetails.0.imageStatus"), "ACTIVATING");
	ecr_reply_free(&r);
	ecr_do(&ecr, NULL, &r, "DescribeImages",
	    "{\"repositoryName\":\"cold\",\"imageIds\":[{\"imageTag\":\"v1\"}],"
	    "\"filter\":{\"imageStatus\":\"ARCHIVED\"}}");
	assert_int_equal(json_array_size(ecr_at(r.json, "imageDetails")), 0);
	ecr_reply_free(&r);
}

static void
an_activating_image_is_not_pulled_nor_scanned(void **state)
{
	(void)state;
	class_set("STANDARD", "ACTIVATING");
	pull_is("Requested image is being restored from the archive; try again "
		"later");
	ecr_expect(&ecr, NULL, "ImageArchivedException", NULL, "StartImageScan",
	    "{\"repositoryName\":\"cold\",\"imageId\":{\"imageTag\":\"v1\"}}");
}

static void
one_that_is_archived_meanwhile_is_archived(void **state)
{
	(void)state;
	class_set("STANDARD", "ACTIVATING");
	class_set("ARCHIVE", "ARCHIVED");
	assert_int_equal(collect().activated_images, 0);
	assert_int_equal(listed("ListImages", "imageIds", "ARCHIVED"), 1);
	pull_is("Requested image is archived; it has to be restored "
		"(UpdateImageStorageClass) before it can be pulled");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, ecr_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_layer_in_the_archive_is_archived),
		TEST(a_restored_image_is_activating_until_its_content_is_back),
		TEST(lists_tell_activating_images_apart),
		TEST(named_images_are_filtered_by_their_status_too),
		TEST(an_activating_image_is_not_pulled_nor_scanned),
		TEST(one_that_is_archived_meanwhile_is_archived),
	};

	return (
	    cmocka_run_group_tests_name("ecr activating", tests, NULL, NULL));
}
