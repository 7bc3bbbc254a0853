#include <pthread.h>
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
#include "base/keyring.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "ecr_tools.h"
#include "storage/findings.h"
#include "storage/images.h"

/* ListImages, DescribeImages, ListImageReferrers: what they show, what their
 * filters leave out, and their pages. */

#define BAD_TOKEN \
	ECR_CONSTRAINT("nextToken", \
	    "must be the nextToken of an earlier answer of this operation, " \
	    "about the same repository")

static void
ask_ok(struct ecr_reply *r, const char *operation, const char *repository,
    const char *members)
{
	ecr_do(&ecr, NULL, r, operation, "{\"repositoryName\":\"%s\"%s}",
	    repository, members);
	if (r->status != 200)
		fail_msg("%s: " SPAN_FMT, operation, SPAN_ARG(r->body));
}

static size_t
count_of(const char *operation, const char *repository, const char *members)
{
	struct ecr_reply r;
	const char *list =
	    strcmp(operation, "ListImages") == 0 ? "imageIds" : "imageDetails";
	size_t n;

	ask_ok(&r, operation, repository, members);
	assert_true(json_is_array(ecr_at(r.json, list)));
	n = json_array_size(ecr_at(r.json, list));
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
	return (n);
}

/* --- what an image is described as --------------------------------------- */

static void
an_image_is_described(void **state)
{
	double now = (double)clock_real_ms() / 1000.0, at;
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_repository(&ecr, "described");
	ecr_image(&ecr, "described", "b", "1", digest);
	ecr_image(&ecr, "described", "a", "1", digest);
	ask_ok(&r, "DescribeImages", "described", "");
	assert_int_equal(json_array_size(ecr_at(r.json, "imageDetails")), 1);
	o = ecr_at(r.json, "imageDetails.0");
	assert_string_equal(ecr_text(o, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(o, "repositoryName"), "described");
	assert_string_equal(ecr_text(o, "imageDigest"), digest);
	assert_int_equal(json_array_size(ecr_at(o, "imageTags")), 2);
	assert_string_equal(ecr_text(o, "imageTags.0"), "a");
	assert_string_equal(ecr_text(o, "imageTags.1"), "b");
	/* {"seed":"1"} and "layer 1" */
	assert_int_equal(json_integer_value(ecr_at(o, "imageSizeInBytes")), 19);
	at = json_real_value(ecr_at(o, "imagePushedAt"));
	assert_true(at > now - 1 && at < now + 1000);
	assert_string_equal(
	    ecr_text(o, "imageManifestMediaType"), MEDIA_OCI_MANIFEST);
	assert_string_equal(ecr_text(o, "artifactMediaType"),
	    "application/vnd.oci.image.config.v1+json");
	assert_string_equal(ecr_text(o, "imageStatus"), "ACTIVE");
	assert_int_equal(json_object_size(o), 9);
	ecr_reply_free(&r);
}

static void
an_untagged_index_has_fewer_members(void **state)
{
	char child[2][DIGEST_STR_BYTES], digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_repository(&ecr, "index");
	ecr_image(&ecr, "index", "a", "1", child[0]);
	ecr_image(&ecr, "index", "b", "a longer one", child[1]);
	ecr_push(&ecr, "index", NULL, ecr_index_text(child, 2, NULL), digest);
	ask_ok(&r, "DescribeImages", "index",
	    ",\"filter\":{\"tagStatus\":\"UNTAGGED\"}");
	assert_int_equal(json_array_size(ecr_at(r.json, "imageDetails")), 1);
	o = ecr_at(r.json, "imageDetails.0");
	assert_string_equal(ecr_text(o, "imageDigest"), digest);
	assert_null(ecr_at(o, "imageTags"));
	assert_null(ecr_at(o, "artifactMediaType"));
	assert_string_equal(
	    ecr_text(o, "imageManifestMediaType"), MEDIA_OCI_INDEX);
	/* Its largest image. */
	assert_int_equal(json_integer_value(ecr_at(o, "imageSizeInBytes")),
	    strlen("{\"seed\":\"a longer one\"}") +
		strlen("layer a longer one"));
	ecr_reply_free(&r);
}

static void
an_artifact_shows_its_type_and_subject(void **state)
{
	char subject[DIGEST_STR_BYTES], digest[DIGEST_STR_BYTES], *more;
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_repository(&ecr, "artifact");
	ecr_image(&ecr, "artifact", "a", "1", subject);
	more = xasprintf(",\"artifactType\":\"text/spdx\",\"subject\":"
			 "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1}",
	    MEDIA_OCI_MANIFEST, subject);
	ecr_push(&ecr, "artifact", "sbom",
	    ecr_image_text(&ecr, "artifact", "2", more), digest);
	ask_ok(&r, "DescribeImages", "artifact",
	    ",\"imageIds\":[{\"imageTag\":\"sbom\"}]");
	o = ecr_at(r.json, "imageDetails.0");
	assert_string_equal(ecr_text(o, "imageDigest"), digest);
	assert_string_equal(ecr_text(o, "artifactMediaType"), "text/spdx");
	assert_string_equal(ecr_text(o, "subjectManifestDigest"), subject);
	ecr_reply_free(&r);
	free(more);
}

static void
an_archived_image_shows_when(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_repository(&ecr, "archived");
	ecr_image(&ecr, "archived", "a", "1", digest);
	ecr_archive(&ecr, "archived", "a");
	ask_ok(&r, "DescribeImages", "archived",
	    ",\"imageIds\":[{\"imageTag\":\"a\"}]");
	o = ecr_at(r.json, "imageDetails.0");
	assert_string_equal(ecr_text(o, "imageStatus"), "ARCHIVED");
	assert_true(json_is_real(ecr_at(o, "lastArchivedAt")));
	assert_null(ecr_at(o, "lastActivatedAt"));
	ecr_reply_free(&r);
}

/* The scan that waits is ended as a scanner would. */
static void
scan_end(enum scan_status status, const char *reason)
{
	const struct scan_findings none = {
		.status = SCAN_COMPLETE,
		.completed_ms = 1700000000123,
		.text = SPAN("{\"findings\":[]}"),
	};
	struct meta *m = store_meta(ecr.service.store);
	struct scan_job job;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	assert_int_equal(meta_scan_next(m, &arena, &job), RC_OK);
	if (status == SCAN_COMPLETE)
		assert_int_equal(meta_scan_complete(m, &job, &none), RC_OK);
	else
		assert_int_equal(meta_scan_end(m, &job, status, span_of(reason),
				     none.completed_ms),
		    RC_OK);
	arena_reset(&arena);
}

static void
a_scan_shows_how_it_ended(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"scan\","
	    "\"imageScanningConfiguration\":"
	    "{\"scanOnPush\":true}}");
	ecr_image(&ecr, "scan", "a", "1", digest);
	ask_ok(&r, "DescribeImages", "scan", "");
	o = ecr_at(r.json, "imageDetails.0");
	assert_string_equal(
	    ecr_text(o, "imageScanStatus.status"), "IN_PROGRESS");
	assert_null(ecr_at(o, "imageScanStatus.description"));
	assert_null(ecr_at(o, "imageScanFindingsSummary"));
	ecr_reply_free(&r);

	scan_end(SCAN_FAILED, "no scanner");
	ask_ok(&r, "DescribeImages", "scan", "");
	o = ecr_at(r.json, "imageDetails.0");
	assert_string_equal(ecr_text(o, "imageScanStatus.status"), "FAILED");
	assert_string_equal(
	    ecr_text(o, "imageScanStatus.description"), "no scanner");
	assert_null(ecr_at(o, "imageScanFindingsSummary"));
	ecr_reply_free(&r);

	ecr_image(&ecr, "scan", "b", "2", digest);
	scan_end(SCAN_COMPLETE, "");
	ask_ok(&r, "DescribeImages", "scan",
	    ",\"imageIds\":[{\"imageTag\":\"b\"}]");
	o = ecr_at(r.json, "imageDetails.0");
	assert_string_equal(ecr_text(o, "imageScanStatus.status"), "COMPLETE");
	assert_string_equal(ecr_text(o, "imageScanStatus.description"),
	    "The scan was completed successfully.");
	assert_float_equal(
	    json_real_value(
		ecr_at(o, "imageScanFindingsSummary.imageScanCompletedAt")),
	    1700000000.123, 0.0001);
	ecr_reply_free(&r);
}

/* --- by identifiers ------------------------------------------------------ */

static void
each_image_is_described_once(void **state)
{
	char a[DIGEST_STR_BYTES], b[DIGEST_STR_BYTES], members[512];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&ecr, "named");
	ecr_image(&ecr, "named", "a", "1", a);
	ecr_image(&ecr, "named", "b", "2", b);
	(void)snprintf(members, sizeof(members),
	    ",\"imageIds\":[{\"imageTag\":\"b\"},{\"imageDigest\":"
	    "\"%s\"},"
	    "{\"imageTag\":\"b\",\"imageDigest\":\"%s\"},{"
	    "\"imageTag\":"
	    "\"a\"}]",
	    a, b);
	ask_ok(&r, "DescribeImages", "named", members);
	assert_int_equal(json_array_size(ecr_at(r.json, "imageDetails")), 2);
	assert_string_equal(ecr_text(r.json, "imageDetails.0.imageDigest"), b);
	assert_string_equal(ecr_text(r.json, "imageDetails.1.imageDigest"), a);
	ecr_reply_free(&r);
}

static void
any_missing_image_fails_the_call(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "ImageNotFoundException",
	    "The image with imageId {imageDigest:'null', "
	    "imageTag:'x'} does "
	    "not exist within the repository with name 'named' in "
	    "the registry "
	    "with id '" ECR_ACCOUNT "'",
	    "DescribeImages",
	    "{\"repositoryName\":\"named\",\"imageIds\":[{"
	    "\"imageTag\":\"a\"},"
	    "{\"imageTag\":\"x\"}]}");
	ecr_expect(&ecr, NULL, "ImageNotFoundException",
	    "The image with imageId {imageDigest:'" ECR_UNKNOWN_DIGEST
	    "', imageTag:'null'} does not exist within the "
	    "repository with "
	    "name 'named' in the registry with id '" ECR_ACCOUNT "'",
	    "DescribeImages",
	    "{\"repositoryName\":\"named\",\"imageIds\":[{"
	    "\"imageDigest\":"
	    "\"" ECR_UNKNOWN_DIGEST "\"}]}");
	ecr_expect(&ecr, NULL, "ImageNotFoundException", NULL, "DescribeImages",
	    "{\"repositoryName\":\"named\",\"imageIds\":[{"
	    "\"imageTag\":\"a\","
	    "\"imageDigest\":\"" ECR_UNKNOWN_DIGEST "\"}]}");
	ecr_expect(&ecr, NULL, "ImageNotFoundException", NULL, "DescribeImages",
	    "{\"repositoryName\":\"named\",\"imageIds\":[{"
	    "\"imageTag\":"
	    "\"a/b\"}]}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("none"), "DescribeImages",
	    "{\"repositoryName\":\"none\",\"imageIds\":[{"
	    "\"imageTag\":\"a\"}]"
	    "}");
}

static void
identifiers_go_without_pages(void **state)
{
	static const char *const others[][2] = {
		{ "maxResults", "1" },
		{ "nextToken", "\"x\"" },
	};
	char message[256];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(others); i++) {
		(void)snprintf(message, sizeof(message),
		    ECR_CONSTRAINT(
			"%s", "%s cannot be used together with imageIds"),
		    others[i][0], others[i][0]);
		ecr_expect(&ecr, NULL, "InvalidParameterException", message,
		    "DescribeImages",
		    "{\"repositoryName\":\"named\",\"imageIds\":[{"
		    "\"imageTag\":"
		    "\"a\"}],\"%s\":%s}",
		    others[i][0], others[i][1]);
	}
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageId", "both tag and digest cannot be null"),
	    "DescribeImages",
	    "{\"repositoryName\":\"named\",\"imageIds\":[{}]}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageDigest", "must satisfy regular expression "
					  "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"),
	    "DescribeImages",
	    "{\"repositoryName\":\"named\",\"imageIds\":[{"
	    "\"imageDigest\":"
	    "\"x\"}]}");
}

/* --- filters ------------------------------------------------------------- */

#define FILTER(tags, status) \
	",\"filter\":{\"tagStatus\":\"" tags "\",\"imageStatus\":\"" status \
	"\"}"

/* Two images with a tag, one of them with two; one without; one archived with
 * a tag and one that lost it. */
static void
filters_choose_images(void **state)
{
	static const struct {
		const char *members;
		size_t images, ids;
	} rows[] = {
		{ "", 3, 4 },
		{ ",\"filter\":{}", 3, 4 },
		{ ",\"filter\":{\"tagStatus\":\"TAGGED\"}", 2, 3 },
		{ ",\"filter\":{\"tagStatus\":\"UNTAGGED\"}", 1, 1 },
		{ ",\"filter\":{\"tagStatus\":\"ANY\"}", 3, 4 },
		{ ",\"filter\":{\"imageStatus\":\"ACTIVE\"}", 3, 4 },
		{ ",\"filter\":{\"imageStatus\":\"ARCHIVED\"}", 2, 2 },
		{ ",\"filter\":{\"imageStatus\":\"ACTIVATING\"}", 0, 0 },
		{ ",\"filter\":{\"imageStatus\":\"ANY\"}", 5, 6 },
		{ FILTER("TAGGED", "ARCHIVED"), 1, 1 },
		{ FILTER("UNTAGGED", "ARCHIVED"), 1, 1 },
		{ FILTER("TAGGED", "ANY"), 3, 4 },
		{ FILTER("UNTAGGED", "ANY"), 2, 2 },
		{ FILTER("ANY", "ACTIVATING"), 0, 0 },
	};
	char digest[DIGEST_STR_BYTES];
	size_t i;

	(void)state;
	ecr_repository(&ecr, "filters");
	ecr_image(&ecr, "filters", "a", "1", digest);
	ecr_image(&ecr, "filters", "b", "1", digest);
	ecr_image(&ecr, "filters", "c", "2", digest);
	ecr_image(&ecr, "filters", NULL, "3", digest);
	ecr_image(&ecr, "filters", "d", "4", digest);
	ecr_image(&ecr, "filters", "e", "5", digest);
	ecr_archive(&ecr, "filters", "d");
	ecr_archive(&ecr, "filters", "e");
	ecr_image(&ecr, "filters", "e", "2", digest);
	ecr_expect(&ecr, NULL, "", NULL, "BatchDeleteImage",
	    "{\"repositoryName\":\"filters\",\"imageIds\":[{"
	    "\"imageTag\":"
	    "\"e\"}]}");
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
		    count_of("DescribeImages", "filters", rows[i].members),
		    rows[i].images);
		assert_int_equal(
		    count_of("ListImages", "filters", rows[i].members),
		    rows[i].ids);
	}
}

static void
a_filter_chooses_among_images_that_are_named(void **state)
{
#define NAMED(filter) \
	",\"imageIds\":[{\"imageTag\":\"a\"},{\"imageTag\":\"b\"}]" filter
	static const struct {
		const char *members;
		size_t images;
	} rows[] = {
		{ NAMED(""), 2 },
		{ NAMED(",\"filter\":{}"), 1 },
		{ NAMED(",\"filter\":{\"tagStatus\":\"TAGGED\"}"), 1 },
		{ NAMED(",\"filter\":{\"tagStatus\":\"UNTAGGED\"}"), 0 },
		{ NAMED(",\"filter\":{\"imageStatus\":\"ARCHIVED\"}"), 1 },
		{ NAMED(",\"filter\":{\"imageStatus\":\"ANY\"}"), 2 },
		{ NAMED(",\"filter\":{\"imageStatus\":\"ACTIVATING\"}"), 0 },
	};
#undef NAMED
	char digest[DIGEST_STR_BYTES];
	size_t i;

	(void)state;
	ecr_repository(&ecr, "chosen");
	ecr_image(&ecr, "chosen", "a", "1", digest);
	ecr_image(&ecr, "chosen", "b", "2", digest);
	ecr_archive(&ecr, "chosen", "b");
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
		    count_of("DescribeImages", "chosen", rows[i].members),
		    rows[i].images);
}

static void
a_filter_is_of_known_values(void **state)
{
	static const char *const operations[] = { "DescribeImages",
		"ListImages" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(operations); i++) {
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    ECR_CONSTRAINT("filter.tagStatus",
			"Member must satisfy enum value set: "
			"[TAGGED, "
			"UNTAGGED, ANY]"),
		    operations[i],
		    "{\"repositoryName\":\"filters\",\"filter\":{"
		    "\"tagStatus\":\"tagged\"}}");
		ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
		    operations[i],
		    "{\"repositoryName\":\"filters\",\"filter\":{"
		    "\"imageStatus\":\"COLD\"}}");
		ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
		    ECR_NO_REPOSITORY("none"), operations[i],
		    "{\"repositoryName\":\"none\"}");
		ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
		    ECR_NO_REPOSITORY("none"), operations[i],
		    "{\"repositoryName\":\"none\",\"filter\":{"
		    "\"imageStatus\":\"ACTIVATING\"}}");
	}
}

/* --- pages --------------------------------------------------------------- */

struct walk {
	const char *operation, *list, *repository;
	size_t page;
	char last[DIGEST_STR_BYTES + 300]; /* digest, or digest and tag */
	char token[4096];
	size_t n, pages;
};

static void
walk_row(struct walk *w, const json_t *o)
{
	char at[sizeof(w->last)];
	const json_t *tag = json_object_get(o, "imageTag");

	(void)snprintf(at, sizeof(at), "%s %s", ecr_text(o, "imageDigest"),
	    tag != NULL ? json_string_value(tag) : "");
	assert_true(strcmp(w->last, at) < 0);
	memcpy(w->last, at, sizeof(at));
	w->n++;
}

/* One page; false: it was the last. */
static bool
walk_on(struct walk *w)
{
	struct ecr_reply r;
	const json_t *list;
	char *members;
	size_t i;

	members = xasprintf(",\"maxResults\":%zu%s%s%s", w->page,
	    w->token[0] != '\0' ? ",\"nextToken\":\"" : "", w->token,
	    w->token[0] != '\0' ? "\"" : "");
	ask_ok(&r, w->operation, w->repository, members);
	list = ecr_at(r.json, w->list);
	assert_true(json_array_size(list) <= w->page);
	for (i = 0; i < json_array_size(list); i++)
		walk_row(w, json_array_get(list, i));
	w->pages++;
	w->token[0] = '\0';
	if (ecr_at(r.json, "nextToken") != NULL)
		(void)snprintf(w->token, sizeof(w->token), "%s",
		    ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	free(members);
	return (w->token[0] != '\0');
}

static size_t
walk_all(const char *operation, const char *list, const char *repository,
    size_t page, size_t *pages_r)
{
	struct walk w = { .operation = operation,
		.list = list,
		.repository = repository,
		.page = page };

	while (walk_on(&w))
		continue;
	*pages_r = w.pages;
	return (w.n);
}

#define DESCRIBED "DescribeImages", "imageDetails"
#define LISTED "ListImages", "imageIds"
#define PAGED_IMAGES 25

/* Images 0 to 24, of which each third has three tags and each other none. */
static void
paged_fill(void)
{
	char digest[DIGEST_STR_BYTES], seed[32], tag[32];
	size_t i, j;

	ecr_repository(&ecr, "paged");
	for (i = 0; i < PAGED_IMAGES; i++) {
		(void)snprintf(seed, sizeof(seed), "%zu", i);
		if (i % 3 != 0)
			ecr_image(&ecr, "paged", NULL, seed, digest);
		for (j = 0; i % 3 == 0 && j < 3; j++) {
			(void)snprintf(tag, sizeof(tag), "t%zu-%zu", i, j);
			ecr_image(&ecr, "paged", tag, seed, digest);
		}
	}
}

static void
pages_hold_each_image_once(void **state)
{
	static const size_t sizes[] = { 1, 2, 7, 25, 43, 1000 };
	size_t i, pages, ids = PAGED_IMAGES + 2 * 9;

	(void)state;
	paged_fill();
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_int_equal(walk_all(DESCRIBED, "paged", sizes[i], &pages),
		    PAGED_IMAGES);
		assert_int_equal(
		    pages, (PAGED_IMAGES + sizes[i] - 1) / sizes[i]);
		assert_int_equal(
		    walk_all(LISTED, "paged", sizes[i], &pages), ids);
		assert_int_equal(pages, (ids + sizes[i] - 1) / sizes[i]);
	}
	ecr_repository(&ecr, "empty");
	assert_int_equal(walk_all(DESCRIBED, "empty", 10, &pages), 0);
	assert_int_equal(walk_all(LISTED, "empty", 10, &pages), 0);
}

static void
all_of(const char *repository, struct ecr_reply *r)
{
	ask_ok(r, "ListImages", repository, ",\"maxResults\":1000");
}

/* After the first page all that it has shown goes, and what comes is shown
 * when it stands behind. */
static void
a_list_survives_changes(void **state)
{
	char first[DIGEST_STR_BYTES], digest[DIGEST_STR_BYTES];
	struct walk w = { .operation = "ListImages",
		.list = "imageIds",
		.repository = "changing",
		.page = 4 };
	struct ecr_reply r;
	char seed[32];
	size_t i, behind = 0;

	(void)state;
	ecr_repository(&ecr, "changing");
	for (i = 0; i < 10; i++) {
		(void)snprintf(seed, sizeof(seed), "%zu", i);
		ecr_image(&ecr, "changing", NULL, seed, digest);
	}
	assert_true(walk_on(&w));
	assert_int_equal(w.n, 4);
	all_of("changing", &r);
	for (i = 0; i < 4; i++) {
		char path[64];

		(void)snprintf(
		    path, sizeof(path), "imageIds.%zu.imageDigest", i);
		(void)snprintf(
		    first, sizeof(first), "%s", ecr_text(r.json, path));
		ecr_expect(&ecr, NULL, "", NULL, "BatchDeleteImage",
		    "{\"repositoryName\":\"changing\",\"imageIds\":"
		    "[{"
		    "\"imageDigest\":\"%s\"}]}",
		    first);
	}
	ecr_reply_free(&r);
	for (i = 10; i < 20; i++) {
		(void)snprintf(seed, sizeof(seed), "%zu", i);
		ecr_image(&ecr, "changing", NULL, seed, digest);
		behind += strcmp(digest, first) > 0;
	}
	while (walk_on(&w))
		continue;
	assert_int_equal(w.n, 10 + behind);
}

/* A page ends between two tags of an image, and the tag goes. */
static void
a_list_goes_on_behind_a_tag_that_is_gone(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct walk w = { .operation = "ListImages",
		.list = "imageIds",
		.repository = "tags",
		.page = 2 };

	(void)state;
	ecr_repository(&ecr, "tags");
	ecr_image(&ecr, "tags", "a", "1", digest);
	ecr_image(&ecr, "tags", "b", "1", digest);
	ecr_image(&ecr, "tags", "c", "1", digest);
	assert_true(walk_on(&w));
	assert_non_null(strstr(w.last, " b"));
	ecr_expect(&ecr, NULL, "", NULL, "BatchDeleteImage",
	    "{\"repositoryName\":\"tags\",\"imageIds\":[{"
	    "\"imageTag\":\"b\"}]"
	    "}");
	assert_false(walk_on(&w));
	assert_int_equal(w.n, 3);
	assert_non_null(strstr(w.last, " c"));
}

/* Without authentication the key of tokens is known. */
static void
token_forge(const char *operation, const char *repository, const char *after,
    char out[4096])
{
	static const struct seal_key known = { .bytes = { 0 } };
	uint8_t plain[1024] = { 1, 1 }, sealed[2048];
	int64_t now_ms = clock_real_ms();
	size_t i, n = 10 + strlen(after);
	char *aad = xasprintf("page of %s in %s", operation, repository);

	for (i = 0; i < 8; i++)
		plain[2 + i] = (uint8_t)((uint64_t)now_ms >> (56 - 8 * i));
	memcpy(plain + 10, after, strlen(after));
	seal(&known, span_of(aad), (struct span){ (const char *)plain, n },
	    sealed);
	base64url_encode(sealed, n + SEAL_OVERHEAD_BYTES, out);
	free(aad);
}

static void
a_forged_position_is_refused(void **state)
{
	static const struct {
		const char *operation, *after;
	} forged[] = {
		{ "ListImages", "nonsense" },
		{ "ListImages", "sha256:abc" },
		{ "ListImages", ECR_UNKNOWN_DIGEST "\na/b" },
		{ "DescribeImages", "\n" },
		{ "DescribeImages", "md5:00" },
		{ "ListImageReferrers", "nonsense" },
		{ "ListImageReferrers", ECR_UNKNOWN_DIGEST "\nx" },
	};
	char token[4096];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(forged); i++) {
		token_forge(
		    forged[i].operation, "paged", forged[i].after, token);
		ecr_expect(&ecr, NULL, "InvalidParameterException", BAD_TOKEN,
		    forged[i].operation,
		    "{\"repositoryName\":\"paged\",\"nextToken\":"
		    "\"%s\","
		    "\"subjectId\":{\"imageDigest\":\"" ECR_UNKNOWN_DIGEST
		    "\"}}",
		    token);
	}
	token_forge("ListImages", "paged", ECR_UNKNOWN_DIGEST, token);
	ecr_expect(&ecr, NULL, "", NULL, "ListImages",
	    "{\"repositoryName\":\"paged\",\"nextToken\":\"%s\"}", token);
}

static void
a_token_is_of_one_operation_and_repository(void **state)
{
	struct walk w = { .operation = "ListImages",
		.list = "imageIds",
		.repository = "paged",
		.page = 2 };

	(void)state;
	assert_true(walk_on(&w));
	ecr_expect(&ecr, NULL, "InvalidParameterException", BAD_TOKEN,
	    "ListImages", "{\"repositoryName\":\"tags\",\"nextToken\":\"%s\"}",
	    w.token);
	ecr_expect(&ecr, NULL, "InvalidParameterException", BAD_TOKEN,
	    "DescribeImages",
	    "{\"repositoryName\":\"paged\",\"nextToken\":\"%s\"}", w.token);
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL, "ListImages",
	    "{\"repositoryName\":\"paged\",\"maxResults\":1001}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "DescribeImages",
	    "{\"repositoryName\":\"paged\",\"maxResults\":0}");
}

/* --- long pages ---------------------------------------------------------- */

#define MANY_TAGS 190
#define HEAVY_IMAGES 250

/* An index of nothing that is like no other.  Any thread. */
static void
index_store(
    const char *repository, size_t seed, const struct span *tags, size_t n_tags)
{
	char why[MANIFEST_WHY_BYTES];
	struct manifest_put_result result;
	struct manifest m;
	struct manifest_put put = {
		.repository = span_of(repository),
		.manifest = &m,
		.tags = tags,
		.n_tags = n_tags,
		.now_ms = clock_real_ms(),
	};
	struct arena arena;

	arena_init(&arena, 1 << 16);
	put.text = span_of(arena_printf(&arena,
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
	    "\",\"manifests\":[],\"annotations\":{\"n\":\"%zu\"}}",
	    seed));
	digest_of(DIGEST_SHA256, put.text.p, put.text.n, &put.digest);
	must(manifest_parse(SPAN_NONE, put.text, &arena, &m, why) == RC_OK);
	must(meta_manifest_put(store_meta(ecr.service.store), &put, &result) ==
	     RC_OK);
	arena_reset(&arena);
}

/* With many tags of the greatest length. */
static void
many_tags_push(size_t seed)
{
	static char names[MANY_TAGS][NAME_TAG_MAX_BYTES + 1];
	static struct span tags[MANY_TAGS];
	size_t i;

	for (i = 0; i < MANY_TAGS; i++) {
		memset(names[i], 't', NAME_TAG_MAX_BYTES);
		(void)snprintf(names[i], 32, "%08zu-%08zu", seed, i);
		names[i][strlen(names[i])] = '-';
		tags[i] = span_of(names[i]);
	}
	index_store("heavy", seed, tags, MANY_TAGS);
}

static void
a_page_ends_early_when_it_is_long(void **state)
{
	struct walk w = { .operation = "DescribeImages",
		.list = "imageDetails",
		.repository = "heavy",
		.page = 1000 };
	size_t i, pages;

	(void)state;
	ecr_repository(&ecr, "heavy");
	for (i = 0; i < HEAVY_IMAGES; i++)
		many_tags_push(i);
	/* 25,914 bytes each, and 4 MiB in all. */
	assert_true(walk_on(&w));
	assert_int_equal(w.n, 162);
	assert_false(walk_on(&w));
	assert_int_equal(w.n, HEAVY_IMAGES);
	assert_int_equal(
	    walk_all(LISTED, "heavy", 1000, &pages), HEAVY_IMAGES * MANY_TAGS);
	assert_int_equal(pages, 48);
}

/* More images than are looked at for one page, and two with a tag. */
#define SPARSE_IMAGES 5200
#define SPARSE_THREADS 16

/* Stored side by side, so that one commit holds several. */
static void *
sparse_store(void *arg)
{
	static const struct span tags[] = { SPAN_INIT("a"), SPAN_INIT("b") };
	size_t i = *(const size_t *)arg;

	for (; i < SPARSE_IMAGES; i += SPARSE_THREADS)
		index_store("sparse", i, &tags[i % 2], i + 2 >= SPARSE_IMAGES);
	return (NULL);
}

static void
sparse_fill(void)
{
	pthread_t threads[SPARSE_THREADS];
	size_t i, from[SPARSE_THREADS];

	ecr_repository(&ecr, "sparse");
	for (i = 0; i < SPARSE_THREADS; i++) {
		from[i] = i;
		assert_int_equal(
		    pthread_create(&threads[i], NULL, sparse_store, &from[i]),
		    0);
	}
	for (i = 0; i < SPARSE_THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void
a_filter_that_few_satisfy_gives_short_pages(void **state)
{
	static const char *const operations[][2] = { { DESCRIBED },
		{ LISTED } };
	struct ecr_reply r;
	size_t i, n, total;
	char *members;

	(void)state;
	sparse_fill();
	for (i = 0; i < ARRAY_LEN(operations); i++) {
		members = xstrdup("");
		for (total = n = 0; members != NULL; n++) {
			char *filter = xasprintf(",\"filter\":{\"tagStatus\":"
						 "\"TAGGED\"}%s",
			    members);

			ask_ok(&r, operations[i][0], "sparse", filter);
			free(filter);
			free(members);
			total +=
			    json_array_size(ecr_at(r.json, operations[i][1]));
			members = NULL;
			if (ecr_at(r.json, "nextToken") != NULL)
				members = xasprintf(",\"nextToken\":\"%s\"",
				    ecr_text(r.json, "nextToken"));
			ecr_reply_free(&r);
		}
		assert_int_equal(total, 2);
		assert_int_equal(n, 2);
	}
}

/* --- ListImageReferrers -------------------------------------------------- */

static void
referrer_push(const char *repository, const char *subject, const char *tag,
    const char *type, char out[DIGEST_STR_BYTES])
{
	char *more;

	more = xasprintf(",\"artifactType\":\"%s\",\"annotations\":{\"n\":"
			 "\"%s\"},\"subject\":{\"mediaType\":\"%s\",\"digest\":"
			 "\"%s\",\"size\":1}",
	    type, tag, MEDIA_OCI_MANIFEST, subject);
	ecr_push(&ecr, repository, tag,
	    ecr_image_text(&ecr, repository, "r", more), out);
	free(more);
}

static size_t
referrers_of(const char *subject, const char *members, struct ecr_reply *r)
{
	char *all = xasprintf(
	    ",\"subjectId\":{\"imageDigest\":\"%s\"}%s", subject, members);

	ask_ok(r, "ListImageReferrers", "referred", all);
	free(all);
	assert_true(json_is_array(ecr_at(r->json, "referrers")));
	return (json_array_size(ecr_at(r->json, "referrers")));
}

static size_t
referrers_count(const char *subject, const char *members)
{
	struct ecr_reply r;
	size_t n;

	n = referrers_of(subject, members, &r);
	assert_null(ecr_at(r.json, "nextToken"));
	ecr_reply_free(&r);
	return (n);
}

static char subject[DIGEST_STR_BYTES];

static void
referrers_are_shown_with_what_they_are(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_repository(&ecr, "referred");
	ecr_image(&ecr, "referred", "subject", "1", subject);
	assert_int_equal(referrers_count(subject, ""), 0);
	assert_int_equal(referrers_count(ECR_UNKNOWN_DIGEST, ""), 0);
	assert_int_equal(referrers_count("sha256:abc", ""), 0);
	referrer_push("referred", subject, "one", "text/a", digest);
	assert_int_equal(referrers_of(subject, "", &r), 1);
	o = ecr_at(r.json, "referrers.0");
	assert_string_equal(ecr_text(o, "digest"), digest);
	assert_string_equal(ecr_text(o, "mediaType"), MEDIA_OCI_MANIFEST);
	assert_string_equal(ecr_text(o, "artifactType"), "text/a");
	assert_true(json_integer_value(ecr_at(o, "size")) > 100);
	assert_string_equal(ecr_text(o, "annotations.n"), "one");
	assert_string_equal(ecr_text(o, "artifactStatus"), "ACTIVE");
	ecr_reply_free(&r);
}

static void
referrers_are_chosen_by_type_and_status(void **state)
{
	static const struct {
		const char *members;
		size_t n;
	} rows[] = {
		{ ",\"filter\":{}", 3 },
		{ ",\"filter\":{\"artifactTypes\":[]}", 3 },
		{ ",\"filter\":{\"artifactTypes\":[\"text/a\"]}", 2 },
		{ ",\"filter\":{\"artifactTypes\":[\"text/b\"]}", 1 },
		{ ",\"filter\":{\"artifactTypes\":[\"text\"]}", 0 },
		{ ",\"filter\":{\"artifactTypes\":[\"text/"
		  "b\",\"text/a\"]}",
		    3 },
		{ ",\"filter\":{\"artifactStatus\":\"ACTIVE\"}", 3 },
		{ ",\"filter\":{\"artifactStatus\":\"ARCHIVED\"}", 1 },
		{ ",\"filter\":{\"artifactStatus\":\"ACTIVATING\"}", 0 },
		{ ",\"filter\":{\"artifactStatus\":\"ANY\"}", 4 },
		{ ",\"filter\":{\"artifactStatus\":\"ANY\","
		  "\"artifactTypes\":[\"text/b\"]}",
		    2 },
	};
	char digest[DIGEST_STR_BYTES];
	struct ecr_reply r;
	size_t i;

	(void)state;
	referrer_push("referred", subject, "two", "text/a", digest);
	referrer_push("referred", subject, "three", "text/b", digest);
	referrer_push("referred", subject, "cold", "text/b", digest);
	ecr_archive(&ecr, "referred", "cold");
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
		    referrers_count(subject, rows[i].members), rows[i].n);
	assert_int_equal(
	    referrers_of(
		subject, ",\"filter\":{\"artifactStatus\":\"ARCHIVED\"}", &r),
	    1);
	assert_string_equal(
	    ecr_text(r.json, "referrers.0.artifactStatus"), "ARCHIVED");
	ecr_reply_free(&r);
}

static void
referrers_come_in_pages(void **state)
{
	char other[DIGEST_STR_BYTES], digest[DIGEST_STR_BYTES];
	char tag[64], last[DIGEST_STR_BYTES], *members = xstrdup("");
	size_t i, j, n, total = 0, pages = 0;
	struct ecr_reply r;

	(void)state;
	ecr_image(&ecr, "referred", "other", "2", other);
	for (i = 0; i < 45; i++) {
		(void)snprintf(tag, sizeof(tag), "p%zu", i);
		referrer_push("referred", other, tag, "text/a", digest);
	}
	last[0] = '\0';
	do {
		n = referrers_of(other, members, &r);
		assert_true(n <= 20);
		for (j = 0; j < n; j++) {
			(void)snprintf(
			    tag, sizeof(tag), "referrers.%zu.digest", j);
			assert_true(strcmp(last, ecr_text(r.json, tag)) < 0);
			(void)snprintf(
			    last, sizeof(last), "%s", ecr_text(r.json, tag));
		}
		total += n;
		pages++;
		free(members);
		members = NULL;
		if (ecr_at(r.json, "nextToken") != NULL)
			members = xasprintf(",\"nextToken\":\"%s\"",
			    ecr_text(r.json, "nextToken"));
		ecr_reply_free(&r);
	} while (members != NULL);
	assert_int_equal(total, 45);
	assert_int_equal(pages, 3);
	assert_int_equal(referrers_count(other, ",\"maxResults\":50"), 45);
}

static void
a_bad_subject_is_refused(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("subjectId.imageDigest", "Member must not be null"),
	    "ListImageReferrers",
	    "{\"repositoryName\":\"referred\",\"subjectId\":{}}");
	ecr_expect(&ecr, NULL, "InvalidParameterException",
	    ECR_CONSTRAINT("imageDigest", "must satisfy regular expression "
					  "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"),
	    "ListImageReferrers",
	    "{\"repositoryName\":\"referred\",\"subjectId\":{"
	    "\"imageDigest\":"
	    "\"x\"}}");
	ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
	    "ListImageReferrers",
	    "{\"repositoryName\":\"referred\",\"maxResults\":51,"
	    "\"subjectId\":{\"imageDigest\":\"" ECR_UNKNOWN_DIGEST "\"}}");
	ecr_expect(&ecr, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("none"), "ListImageReferrers",
	    "{\"repositoryName\":\"none\",\"subjectId\":{"
	    "\"imageDigest\":"
	    "\"" ECR_UNKNOWN_DIGEST "\"}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_described),
		cmocka_unit_test(an_untagged_index_has_fewer_members),
		cmocka_unit_test(an_artifact_shows_its_type_and_subject),
		cmocka_unit_test(an_archived_image_shows_when),
		cmocka_unit_test(a_scan_shows_how_it_ended),
		cmocka_unit_test(each_image_is_described_once),
		cmocka_unit_test(any_missing_image_fails_the_call),
		cmocka_unit_test(identifiers_go_without_pages),
		cmocka_unit_test(filters_choose_images),
		cmocka_unit_test(a_filter_chooses_among_images_that_are_named),
		cmocka_unit_test(a_filter_is_of_known_values),
		cmocka_unit_test(pages_hold_each_image_once),
		cmocka_unit_test(a_list_survives_changes),
		cmocka_unit_test(a_list_goes_on_behind_a_tag_that_is_gone),
		cmocka_unit_test(a_forged_position_is_refused),
		cmocka_unit_test(a_token_is_of_one_operation_and_repository),
		cmocka_unit_test(a_page_ends_early_when_it_is_long),
		cmocka_unit_test(a_filter_that_few_satisfy_gives_short_pages),
		cmocka_unit_test(referrers_are_shown_with_what_they_are),
		cmocka_unit_test(referrers_are_chosen_by_type_and_status),
		cmocka_unit_test(referrers_come_in_pages),
		cmocka_unit_test(a_bad_subject_is_refused),
	};

	return (cmocka_run_group_tests_name(
	    "image_lists", tests, ecr_setup, ecr_teardown));
}
