#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/mem.h"

#define ABSENT \
	"sha256:" \
	"0000000000000000000000000000000000000000000000000000000000000000"

static struct api api;

/* One that lies in the database and one that is a file. */
static struct span small, large;
static char small_digest[DIGEST_STR_BYTES], large_digest[DIGEST_STR_BYTES];
static char path[512];

static const char *
path_of(const char *digest)
{
	(void)snprintf(path, sizeof(path), "/v2/team/app/blobs/%s", digest);
	return (path);
}

static struct span
made_up(size_t n)
{
	char *p = xmalloc(n);
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (char)('a' + (i * 7 + i / 251) % 26);
	return ((struct span){ p, n });
}

static int
setup(void **state)
{
	(void)state;
	api_open(&api);
	small = made_up(2048);
	large = made_up(100000);
	api_blob(&api, "team/app", small, small_digest);
	api_blob(&api, "team/app", large, large_digest);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	api_close(&api);
	free((void *)(uintptr_t)small.p);
	free((void *)(uintptr_t)large.p);
	return (0);
}

static void
get(const char *digest, const char *header, const char *another,
    struct reply *r)
{
	api_ask(&api,
	    &(struct ask){ .method = HTTP_GET,
		.path = path_of(digest),
		.headers = { header, another } },
	    r);
}

static void
a_blob_comes_back_whole(void **state)
{
	const char *const digests[] = { small_digest, large_digest };
	const struct span *const texts[] = { &small, &large };
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		get(digests[i], NULL, NULL, &r);
		assert_int_equal(r.status, 200);
		assert_true(span_eq(r.body, *texts[i]));
		assert_string_equal(reply_header(&r, "Content-Type"),
		    "application/octet-stream");
		assert_string_equal(
		    reply_header(&r, "Docker-Content-Digest"), digests[i]);
		assert_string_equal(reply_header(&r, "Accept-Ranges"), "bytes");
		assert_non_null(
		    strstr(reply_header(&r, "Cache-Control"), "immutable"));
		reply_free(&r);
	}
}

static void
head_tells_the_length_alone(void **state)
{
	const char *const digests[] = { small_digest, large_digest };
	const struct span *const texts[] = { &small, &large };
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		api_ask(&api,
		    &(struct ask){ .method = HTTP_HEAD,
			.path = path_of(digests[i]),
			.headers = { "Range: bytes=0-1" } },
		    &r);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.body.n, 0);
		assert_true(r.x.response.head_length);
		assert_int_equal(r.x.response.length, texts[i]->n);
		assert_string_equal(
		    reply_header(&r, "Docker-Content-Digest"), digests[i]);
		reply_free(&r);
	}
}

static void
a_range_is_served_exactly(void **state)
{
	static const struct {
		const char *header, *content_range;
		size_t offset, n;
	} rows[] = {
		{ "Range: bytes=500-1499", "bytes 500-1499/2048", 500, 1000 },
		{ "Range: bytes=500-", "bytes 500-2047/2048", 500, 1548 },
		{ "Range: bytes=-500", "bytes 1548-2047/2048", 1548, 500 },
		{ "Range: bytes=2000-5000", "bytes 2000-2047/2048", 2000, 48 },
		{ "Range: bytes=0-0", "bytes 0-0/2048", 0, 1 },
	};
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		get(small_digest, rows[i].header, NULL, &r);
		assert_int_equal(r.status, 206);
		assert_string_equal(
		    reply_header(&r, "Content-Range"), rows[i].content_range);
		assert_true(span_eq(r.body,
		    (struct span){ small.p + rows[i].offset, rows[i].n }));
		reply_free(&r);
	}
	get(large_digest, "Range: bytes=99999-", NULL, &r);
	assert_int_equal(r.status, 206);
	assert_true(span_eq(r.body, (struct span){ large.p + 99999, 1 }));
	reply_free(&r);
}

static void
a_range_outside_is_refused_with_the_size(void **state)
{
	static const char *const headers[] = { "Range: bytes=500-0",
		"Range: bytes=5000-10000", "Range: bytes=2048-" };
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		get(small_digest, headers[i], NULL, &r);
		assert_int_equal(r.status, 416);
		assert_string_equal(
		    reply_header(&r, "Content-Range"), "bytes */2048");
		assert_null(reply_header(&r, "Cache-Control"));
		reply_free(&r);
	}
	get(large_digest, "Range: bytes=200000-", NULL, &r);
	assert_int_equal(r.status, 416);
	reply_free(&r);
}

static void
if_range_with_another_tag_gets_the_whole(void **state)
{
	char match[DIGEST_STR_BYTES + 32];
	struct reply r;

	(void)state;
	(void)snprintf(match, sizeof(match), "If-Range: \"%s\"", small_digest);
	get(small_digest, "Range: bytes=0-9", match, &r);
	assert_int_equal(r.status, 206);
	reply_free(&r);
	get(small_digest, "Range: bytes=0-9", "If-Range: \"x\"", &r);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.body.n, small.n);
	reply_free(&r);
}

static void
an_etag_saves_the_second_transfer(void **state)
{
	char match[DIGEST_STR_BYTES + 32];
	struct reply r;

	(void)state;
	(void)snprintf(
	    match, sizeof(match), "If-None-Match: \"%s\"", large_digest);
	get(large_digest, match, "Range: bytes=0-9", &r);
	assert_int_equal(r.status, 304);
	assert_int_equal(r.body.n, 0);
	reply_free(&r);
}

static void
what_is_not_there_is_named(void **state)
{
	struct reply r;

	(void)state;
	get(ABSENT, NULL, NULL, &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "BLOB_UNKNOWN");
	assert_true(reply_has(&r, ABSENT));
	reply_free(&r);
	get("sha256:zz", NULL, NULL, &r);
	assert_int_equal(r.status, 400);
	assert_string_equal(r.code, "DIGEST_INVALID");
	reply_free(&r);
	(void)snprintf(
	    path, sizeof(path), "/v2/team/none/blobs/%s", small_digest);
	api_ask(&api, &(struct ask){ .method = HTTP_HEAD, .path = path }, &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "NAME_UNKNOWN");
	reply_free(&r);
}

static void
a_deleted_blob_is_gone_at_once_and_can_be_pushed_again(void **state)
{
	(void)state;
	assert_int_equal(
	    api_status(&api, HTTP_DELETE, path_of(large_digest), NULL), 202);
	assert_int_equal(
	    api_status(&api, HTTP_HEAD, path_of(large_digest), NULL), 404);
	assert_int_equal(
	    api_status(&api, HTTP_DELETE, path_of(large_digest), NULL), 404);
	api_blob(&api, "team/app", large, large_digest);
	assert_int_equal(
	    api_status(&api, HTTP_HEAD, path_of(large_digest), NULL), 200);
}

static void
a_blob_of_a_manifest_is_kept_and_the_manifest_named(void **state)
{
	char manifest[DIGEST_STR_BYTES], config[DIGEST_STR_BYTES];
	struct digest d;
	struct reply r;

	(void)state;
	api_image(&api, "team/app", "v1", "one", manifest);
	digest_of(DIGEST_SHA256, "{\"seed\":\"one\"}", 14, &d);
	api_ask(&api,
	    &(struct ask){ .method = HTTP_DELETE,
		.path = path_of(digest_str(&d, config)) },
	    &r);
	assert_int_equal(r.status, 405);
	assert_string_equal(r.code, "UNSUPPORTED");
	assert_true(reply_has(&r, manifest));
	assert_true(reply_has(&r, config));
	assert_string_equal(reply_header(&r, "Allow"), "GET, HEAD");
	reply_free(&r);
	assert_int_equal(
	    api_status(&api, HTTP_HEAD, path_of(config), NULL), 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_blob_comes_back_whole),
		TEST(head_tells_the_length_alone),
		TEST(a_range_is_served_exactly),
		TEST(a_range_outside_is_refused_with_the_size),
		TEST(if_range_with_another_tag_gets_the_whole),
		TEST(an_etag_saves_the_second_transfer),
		TEST(what_is_not_there_is_named),
		TEST(a_deleted_blob_is_gone_at_once_and_can_be_pushed_again),
		TEST(a_blob_of_a_manifest_is_kept_and_the_manifest_named),
	};

	return (cmocka_run_group_tests_name("blobs", tests, NULL, NULL));
}
