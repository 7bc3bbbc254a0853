#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/mem.h"
#include "registryd/registry_config.h"
#include "storage/upload.h"

#define START "/v2/team/app/blobs/uploads/"
#define EMPTY_SHA256 \
	"sha256:" \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABSENT_SHA256 \
	"sha256:" \
	"0000000000000000000000000000000000000000000000000000000000000000"

/* Most tests push this, whole or in two parts of five bytes. */
#define TEXT "hellothere"

static struct api api;
static char location[256];
static char digest_query[256];

static const char *
digest_of_text(uint8_t alg, struct span text)
{
	char out[DIGEST_STR_BYTES];
	struct digest d;

	digest_of(alg, text.p, text.n, &d);
	(void)snprintf(digest_query, sizeof(digest_query), "digest=%s",
	    digest_str(&d, out));
	return (digest_query);
}

static void
session_start(const char *query)
{
	struct reply r;

	api_ask(&api,
	    &(struct ask){ .method = HTTP_POST, .path = START, .query = query },
	    &r);
	assert_int_equal(r.status, 202);
	assert_string_equal(reply_header(&r, "Range"), "0-0");
	assert_non_null(reply_header(&r, "Docker-Upload-UUID"));
	(void)snprintf(
	    location, sizeof(location), "%s", reply_header(&r, "Location"));
	assert_int_equal(strncmp(location, START, strlen(START)), 0);
	assert_null(strchr(location, '?'));
	reply_free(&r);
}

static struct ask
part(enum http_method method, const char *text, const char *query)
{
	return ((struct ask){
	    .method = method,
	    .path = location,
	    .query = query,
	    .body = span_of(text),
	});
}

static void
expect(const struct ask *ask, int status, const char *code)
{
	struct reply r;

	api_ask(&api, ask, &r);
	if (r.status != status)
		fail_msg("%d instead of %d: " SPAN_FMT, r.status, status,
		    SPAN_ARG(r.body));
	assert_string_equal(r.code, code);
	reply_free(&r);
}

static void
expect_offset(const char *range)
{
	struct reply r;

	api_ask(
	    &api, &(struct ask){ .method = HTTP_GET, .path = location }, &r);
	assert_int_equal(r.status, 204);
	assert_string_equal(reply_header(&r, "Range"), range);
	assert_string_equal(reply_header(&r, "Location"), location);
	reply_free(&r);
}

static void
expect_blob(const char *digest, struct span text)
{
	struct reply r;
	char *path = xasprintf("/v2/team/app/blobs/%s", digest);

	api_ask(&api, &(struct ask){ .method = HTTP_GET, .path = path }, &r);
	assert_int_equal(r.status, 200);
	assert_true(span_eq(r.body, text));
	reply_free(&r);
	free(path);
}

static int
setup(void **state)
{
	(void)state;
	api_open(&api);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	api_close(&api);
	return (0);
}

/* --- the ways to push ---------------------------------------------------- */

static void
created_check(const struct ask *ask, struct span text)
{
	const char *digest = digest_query + strlen("digest=");
	struct reply r;
	char *path;

	api_ask(&api, ask, &r);
	if (r.status != 201)
		fail_msg("%d: " SPAN_FMT, r.status, SPAN_ARG(r.body));
	path = xasprintf("/v2/team/app/blobs/%s", digest);
	assert_string_equal(reply_header(&r, "Location"), path);
	assert_string_equal(reply_header(&r, "Docker-Content-Digest"), digest);
	expect_blob(digest, text);
	reply_free(&r);
	free(path);
}

static void
one_post_with_a_digest_pushes_a_blob(void **state)
{
	struct ask ask = {
		.method = HTTP_POST,
		.path = START,
		.query = digest_of_text(DIGEST_SHA256, SPAN(TEXT)),
		.body = SPAN(TEXT),
	};

	(void)state;
	created_check(&ask, SPAN(TEXT));
	ask.streamed = ask.chunked = true;
	created_check(&ask, SPAN(TEXT));
	ask.query = digest_of_text(DIGEST_SHA512, SPAN(TEXT));
	created_check(&ask, SPAN(TEXT));
}

static void
post_then_put_pushes_a_blob(void **state)
{
	const char *query = digest_of_text(DIGEST_SHA256, SPAN(TEXT));
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PUT, TEXT, query);
	created_check(&ask, SPAN(TEXT));

	session_start(NULL);
	ask = part(HTTP_PUT, TEXT, query);
	ask.streamed = true;
	created_check(&ask, SPAN(TEXT));
}

static void
chunks_push_a_blob(void **state)
{
	const char *query = digest_of_text(DIGEST_SHA256, SPAN(TEXT));
	struct ask ask;
	int streamed;

	(void)state;
	for (streamed = 0; streamed < 2; streamed++) {
		session_start(NULL);
		ask = part(HTTP_PATCH, "hello", NULL);
		ask.streamed = streamed != 0;
		ask.headers[0] = "Content-Range: 0-4";
		expect(&ask, 202, "");
		expect_offset("0-4");
		ask = part(HTTP_PUT, "there", query);
		ask.streamed = streamed != 0;
		ask.headers[0] = "Content-Range: 5-9";
		created_check(&ask, SPAN(TEXT));
	}
}

static void
a_stream_and_an_empty_put_push_a_blob(void **state)
{
	const char *query = digest_of_text(DIGEST_SHA256, SPAN(TEXT));
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, TEXT, NULL);
	ask.streamed = ask.chunked = true;
	expect(&ask, 202, "");
	ask = part(HTTP_PUT, "", query);
	created_check(&ask, SPAN(TEXT));
}

static void
a_blob_too_long_for_the_database_is_pushed_too(void **state)
{
	size_t n = 300000;
	char *p = xmalloc(n);
	struct span text = { p, n };
	struct ask ask;

	(void)state;
	memset(p, 'x', n);
	(void)digest_of_text(DIGEST_SHA256, text);
	session_start(NULL);
	ask = part(HTTP_PUT, "", digest_query);
	ask.body = text;
	ask.streamed = true;
	created_check(&ask, text);
	free(p);
}

static void
the_empty_blob_can_be_pushed(void **state)
{
	struct ask ask;

	(void)state;
	(void)digest_of_text(DIGEST_SHA256, SPAN(""));
	session_start(NULL);
	ask = part(HTTP_PUT, "", digest_query);
	created_check(&ask, SPAN(""));
	ask = (struct ask){
		.method = HTTP_POST, .path = START, .query = digest_query
	};
	created_check(&ask, SPAN(""));
}

static void
sha512_is_known_at_the_start_or_only_at_the_end(void **state)
{
	static const char *const queries[] = { "digest-algorithm=sha512",
		"digest-algorithm=sha256", NULL };
	struct ask ask;
	size_t i;

	(void)state;
	(void)digest_of_text(DIGEST_SHA512, SPAN(TEXT));
	for (i = 0; i < 3; i++) {
		session_start(queries[i]);
		ask = part(HTTP_PATCH, "hello", NULL);
		expect(&ask, 202, "");
		ask = part(HTTP_PUT, "there", digest_query);
		created_check(&ask, SPAN(TEXT));
	}
}

static void
an_upload_goes_on_after_a_restart(void **state)
{
	const char *query = digest_of_text(DIGEST_SHA256, SPAN(TEXT));
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, "hello", NULL);
	expect(&ask, 202, "");
	api_reopen(&api);
	expect_offset("0-4");
	ask = part(HTTP_PUT, "there", query);
	ask.headers[0] = "Content-Range: 5-9";
	created_check(&ask, SPAN(TEXT));
}

static void
a_zero_byte_patch_changes_nothing(void **state)
{
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, "", NULL);
	expect(&ask, 202, "");
	expect_offset("0-0");
	ask = part(HTTP_PATCH, "hello", NULL);
	expect(&ask, 202, "");
	ask = part(HTTP_PATCH, "", NULL);
	ask.streamed = ask.chunked = true;
	expect(&ask, 202, "");
	expect_offset("0-4");
}

/* --- order --------------------------------------------------------------- */

static void
out_of_order_check(enum http_method method, const char *range, bool streamed)
{
	struct ask ask = part(method, "there",
	    method == HTTP_PUT ? digest_of_text(DIGEST_SHA256, SPAN(TEXT))
			       : NULL);
	struct reply r;

	ask.headers[0] = range;
	ask.streamed = streamed;
	api_ask(&api, &ask, &r);
	assert_int_equal(r.status, 416);
	assert_string_equal(r.code, "RANGE_INVALID");
	assert_string_equal(reply_header(&r, "Location"), location);
	assert_string_equal(reply_header(&r, "Range"), "0-4");
	reply_free(&r);
	expect_offset("0-4");
}

static void
a_chunk_out_of_order_is_refused_and_the_upload_stays(void **state)
{
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, "hello", NULL);
	expect(&ask, 202, "");
	out_of_order_check(HTTP_PATCH, "Content-Range: 6-10", false);
	out_of_order_check(HTTP_PATCH, "Content-Range: 0-4", true);
	out_of_order_check(HTTP_PUT, "Content-Range: 10-14", false);
	out_of_order_check(HTTP_PUT, "Content-Range: 0-4", false);
	out_of_order_check(HTTP_PUT, "Content-Range: 4-8", true);
	ask =
	    part(HTTP_PUT, "there", digest_of_text(DIGEST_SHA256, SPAN(TEXT)));
	created_check(&ask, SPAN(TEXT));
}

static void
a_malformed_content_range_is_a_bad_request(void **state)
{
	static const char *const ranges[] = {
		"Content-Range: ",
		"Content-Range: 5",
		"Content-Range: 0-",
		"Content-Range: -4",
		"Content-Range: 4-0",
		"Content-Range: a-b",
		"Content-Range: 0-4-4",
		"Content-Range: bytes 0-4/5",
		"Content-Range: 0-99999999999999999999",
		"Content-Range: +0-4",
	};
	struct ask ask;
	size_t i;

	(void)state;
	session_start(NULL);
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		ask = part(HTTP_PATCH, "hello", NULL);
		ask.headers[0] = ranges[i];
		expect(&ask, 400, "BLOB_UPLOAD_INVALID");
	}
	expect_offset("0-0");
}

static void
a_body_of_another_length_than_its_range_is_forgotten(void **state)
{
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, "hello", NULL);
	expect(&ask, 202, "");
	ask = part(HTTP_PATCH, "there", NULL);
	ask.headers[0] = "Content-Range: 5-10";
	expect(&ask, 400, "SIZE_INVALID");
	expect_offset("0-4");
	ask.streamed = ask.chunked = true;
	expect(&ask, 400, "SIZE_INVALID");
	expect_offset("0-4");
	ask.headers[0] = "Content-Range: 5-9";
	expect(&ask, 202, "");
	expect_offset("0-9");
}

/* --- digests ------------------------------------------------------------- */

static void
a_wrong_digest_leaves_the_upload_as_it_was(void **state)
{
	const char *wrong = "digest=" EMPTY_SHA256;
	struct reply r;
	struct ask ask;
	int streamed;

	(void)state;
	for (streamed = 0; streamed < 2; streamed++) {
		session_start(NULL);
		ask = part(HTTP_PUT, TEXT, wrong);
		ask.streamed = streamed != 0;
		expect(&ask, 400, "DIGEST_INVALID");
		expect_offset("0-0");
		ask = part(HTTP_PATCH, "hello", NULL);
		expect(&ask, 202, "");
		ask = part(HTTP_PUT, "thERE", wrong);
		ask.streamed = streamed != 0;
		api_ask(&api, &ask, &r);
		assert_int_equal(r.status, 400);
		assert_true(reply_has(&r, EMPTY_SHA256));
		(void)digest_of_text(DIGEST_SHA256, SPAN("hellothERE"));
		assert_true(reply_has(&r, digest_query + strlen("digest=")));
		reply_free(&r);
		expect_offset("0-4");
		(void)digest_of_text(DIGEST_SHA256, SPAN(TEXT));
		ask = part(HTTP_PUT, "there", digest_query);
		created_check(&ask, SPAN(TEXT));
	}
}

static void
a_post_with_a_wrong_digest_leaves_nothing(void **state)
{
	struct ask ask = {
		.method = HTTP_POST,
		.path = START,
		.query = "digest=" ABSENT_SHA256,
		.body = SPAN(TEXT),
	};
	struct store_stats st;

	(void)state;
	expect(&ask, 400, "DIGEST_INVALID");
	ask.streamed = true;
	expect(&ask, 400, "DIGEST_INVALID");
	store_stats(api.store, &st);
	assert_int_equal(st.upload_sessions, 0);
	assert_int_equal(st.blobs, 0);
}

static void
a_digest_that_is_none_is_refused_by_name(void **state)
{
	static const char *const queries[] = {
		NULL,
		"digest=",
		"digest=sha256:baddigeststring",
		"digest=md5:d41d8cd98f00b204e9800998ecf8427e",
		"digest=../../etc/passwd",
	};
	struct ask ask;
	size_t i;

	(void)state;
	session_start(NULL);
	for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		ask = part(HTTP_PUT, TEXT, queries[i]);
		expect(&ask, 400, "DIGEST_INVALID");
		ask.streamed = true;
		expect(&ask, 400, "DIGEST_INVALID");
	}
	ask = (struct ask){ .method = HTTP_POST,
		.path = START,
		.query = "digest-algorithm=md5" };
	expect(&ask, 400, "DIGEST_INVALID");
}

/* --- sessions ------------------------------------------------------------ */

static void
an_unknown_upload_is_not_found(void **state)
{
	static const char *const paths[] = {
		START "0123456789abcdef0123456789abcdef",
		START "x",
		START "..%2f..%2fmeta.mdb",
		"/v2/other/blobs/uploads/0123456789abcdef0123456789abcdef",
	};
	static const enum http_method methods[] = { HTTP_GET, HTTP_PATCH,
		HTTP_PUT, HTTP_DELETE };
	struct ask ask;
	size_t i, k;

	(void)state;
	for (i = 0; i < 4; i++) {
		for (k = 0; k < 4; k++) {
			ask = (struct ask){
				.method = methods[k],
				.path = paths[i],
				.query = "digest=" EMPTY_SHA256,
			};
			expect(&ask, 404, "BLOB_UPLOAD_UNKNOWN");
		}
	}
}

static void
an_upload_belongs_to_its_repository(void **state)
{
	char *path;

	(void)state;
	session_start(NULL);
	path = xasprintf(
	    "/v2/team/other/blobs/uploads/%s", location + strlen(START));
	expect(&(struct ask){ .method = HTTP_GET, .path = path }, 404,
	    "BLOB_UPLOAD_UNKNOWN");
	free(path);
}

static void
a_cancelled_upload_is_gone(void **state)
{
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, "hello", NULL);
	expect(&ask, 202, "");
	ask = part(HTTP_DELETE, "", NULL);
	expect(&ask, 204, "");
	expect(&ask, 404, "BLOB_UPLOAD_UNKNOWN");
	ask = part(HTTP_GET, "", NULL);
	expect(&ask, 404, "BLOB_UPLOAD_UNKNOWN");
}

static void
a_finished_upload_is_gone(void **state)
{
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PUT, TEXT, digest_of_text(DIGEST_SHA256, SPAN(TEXT)));
	expect(&ask, 201, "");
	expect(&ask, 404, "BLOB_UPLOAD_UNKNOWN");
}

static void
two_requests_on_one_upload_conflict(void **state)
{
	const char *id;
	struct upload *u;
	struct ask ask;

	(void)state;
	session_start(NULL);
	id = location + strlen(START);
	assert_int_equal(
	    upload_acquire(api.store, SPAN("team/app"), span_of(id), &u),
	    RC_OK);
	ask = part(HTTP_PATCH, "hello", NULL);
	expect(&ask, 409, "BLOB_UPLOAD_INVALID");
	ask.streamed = true;
	expect(&ask, 409, "BLOB_UPLOAD_INVALID");
	ask = part(HTTP_PUT, TEXT, digest_of_text(DIGEST_SHA256, SPAN(TEXT)));
	expect(&ask, 409, "BLOB_UPLOAD_INVALID");
	ask = part(HTTP_DELETE, "", NULL);
	expect(&ask, 409, "BLOB_UPLOAD_INVALID");
	expect_offset("0-0");
	upload_release(&u);
	expect(&ask, 204, "");
}

static void
what_a_client_sent_before_it_went_away_stays(void **state)
{
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, "hello", NULL);
	ask.streamed = ask.chunked = true;
	ask.ends = RC_CANCELLED;
	expect(&ask, 408, "REQUEST_TIMEOUT");
	expect_offset("0-4");
	ask =
	    part(HTTP_PUT, "there", digest_of_text(DIGEST_SHA256, SPAN(TEXT)));
	created_check(&ask, SPAN(TEXT));
}

static void
a_body_with_broken_framing_is_forgotten(void **state)
{
	struct ask ask;

	(void)state;
	session_start(NULL);
	ask = part(HTTP_PATCH, "hello", NULL);
	ask.streamed = ask.chunked = true;
	ask.ends = RC_INVALID;
	expect(&ask, 400, "REQUEST_INVALID");
	expect_offset("0-0");
}

static void
more_uploads_than_the_limit_are_put_off(void **state)
{
	struct reply r;

	(void)state;
	api.settings.upload_sessions = 2;
	api_reopen(&api);
	session_start(NULL);
	session_start(NULL);
	api_ask(&api, &(struct ask){ .method = HTTP_POST, .path = START }, &r);
	assert_int_equal(r.status, 429);
	assert_string_equal(r.code, "TOOMANYREQUESTS");
	assert_non_null(reply_header(&r, "Retry-After"));
	reply_free(&r);
}

static void
an_upload_beyond_the_limit_is_refused_before_it_comes(void **state)
{
	struct ask ask;

	(void)state;
	api.settings.upload_bytes = 8;
	session_start(NULL);
	ask = part(HTTP_PATCH, TEXT, NULL);
	expect(&ask, 413, "SIZE_INVALID");
	ask = part(HTTP_PATCH, "hello", NULL);
	expect(&ask, 202, "");
	expect(&ask, 413, "SIZE_INVALID");
	expect_offset("0-4");
}

/* --- repositories and addresses ------------------------------------------ */

static void
without_create_on_push_the_repository_must_exist(void **state)
{
	struct ask ask = { .method = HTTP_POST, .path = START };

	(void)state;
	api.settings.create_on_push = false;
	expect(&ask, 404, "NAME_UNKNOWN");
	ask.query = digest_of_text(DIGEST_SHA256, SPAN(TEXT));
	ask.body = SPAN(TEXT);
	expect(&ask, 404, "NAME_UNKNOWN");
	ask.streamed = true;
	expect(&ask, 404, "NAME_UNKNOWN");
	api.settings.create_on_push = true;
	expect(&ask, 201, "");
	api.settings.create_on_push = false;
	expect(&ask, 201, "");
}

static void
locations_lie_below_the_external_url(void **state)
{
	struct reply r;

	(void)state;
	api.settings.external_url = "https://registry.example/base/";
	api_ask(&api, &(struct ask){ .method = HTTP_POST, .path = START }, &r);
	assert_int_equal(strncmp(reply_header(&r, "Location"),
			     "https://registry.example/base" START,
			     strlen("https://registry.example/base" START)),
	    0);
	reply_free(&r);
}

/* --- mounts -------------------------------------------------------------- */

static char mounted[DIGEST_STR_BYTES];

static int
mount_status(const char *digest, const char *from)
{
	char *query;
	int status;

	query = from == NULL ? xasprintf("mount=%s", digest)
			     : xasprintf("mount=%s&from=%s", digest, from);
	status = api_status(&api, HTTP_POST, START, query);
	free(query);
	return (status);
}

static void
a_blob_is_mounted_from_where_it_is(void **state)
{
	(void)state;
	api_blob(&api, "base/os", SPAN(TEXT), mounted);
	assert_int_equal(mount_status(mounted, "base/os"), 201);
	expect_blob(mounted, SPAN(TEXT));
	assert_int_equal(mount_status(mounted, "base/os"), 201);
	assert_int_equal(mount_status(mounted, "team/app"), 201);
}

static void
a_blob_is_mounted_from_anywhere(void **state)
{
	struct reply r;
	char *query;

	(void)state;
	api_blob(&api, "base/os", SPAN(TEXT), mounted);
	query = xasprintf("mount=%s", mounted);
	api_ask(&api,
	    &(struct ask){ .method = HTTP_POST, .path = START, .query = query },
	    &r);
	assert_int_equal(r.status, 201);
	assert_string_equal(reply_header(&r, "Docker-Content-Digest"), mounted);
	reply_free(&r);
	expect_blob(mounted, SPAN(TEXT));
	free(query);
}

static void
what_cannot_be_mounted_becomes_an_upload(void **state)
{
	(void)state;
	api_blob(&api, "base/os", SPAN(TEXT), mounted);
	assert_int_equal(mount_status(ABSENT_SHA256, "base/os"), 202);
	assert_int_equal(mount_status(ABSENT_SHA256, NULL), 202);
	assert_int_equal(mount_status(mounted, "base/none"), 202);
	assert_int_equal(mount_status("sha256:bad", "base/os"), 400);
	assert_int_equal(mount_status(mounted, "Base/OS"), 400);
}

/* Its record is there, so only a look at the content can tell. */
static void
account_setting(const char *name, const char *value)
{
	json_t *o = json_pack("{s:s}", name, value);

	assert_int_equal(
	    registry_config_put(store_meta(api.store), ENTITY_REGISTRY,
		CONFIG_ACCOUNT_SETTINGS, o, CONFIG_PUT, 0),
	    RC_OK);
	json_decref(o);
}

static void
without_blob_mounting_a_mount_becomes_an_upload(void **state)
{
	(void)state;
	api_blob(&api, "base/os", SPAN(TEXT), mounted);
	account_setting("BLOB_MOUNTING", "DISABLED");
	assert_int_equal(mount_status(mounted, "base/os"), 202);
	assert_int_equal(mount_status(mounted, NULL), 202);
	account_setting("BLOB_MOUNTING", "ENABLED");
	assert_int_equal(mount_status(mounted, "base/os"), 201);
}

static void
a_blob_whose_content_is_lost_is_not_mounted(void **state)
{
	size_t n = 100000;
	char *p = xmalloc(n), *file;
	struct span text = { p, n };

	(void)state;
	memset(p, 'y', n);
	api_blob(&api, "base/os", text, mounted);
	file = xasprintf(
	    "%s/blobs/sha256/%.2s/%s", api.dir, mounted + 7, mounted + 7);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mount_status(mounted, "base/os"), 202);
	assert_int_equal(mount_status(mounted, NULL), 202);
	api_blob(&api, "base/os", text, mounted);
	assert_int_equal(mount_status(mounted, "base/os"), 201);
	free(file);
	free(p);
}

static void
a_mount_that_fails_goes_on_with_the_body_that_came(void **state)
{
	char *query;
	struct ask ask = {
		.method = HTTP_POST, .path = START, .body = SPAN(TEXT)
	};

	(void)state;
	(void)digest_of_text(DIGEST_SHA256, SPAN(TEXT));
	query = xasprintf(
	    "mount=%s&from=base/none&%s", ABSENT_SHA256, digest_query);
	ask.query = query;
	created_check(&ask, SPAN(TEXT));
	ask.streamed = true;
	created_check(&ask, SPAN(TEXT));
	free(query);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_post_with_a_digest_pushes_a_blob),
		TEST(post_then_put_pushes_a_blob),
		TEST(chunks_push_a_blob),
		TEST(a_stream_and_an_empty_put_push_a_blob),
		TEST(a_blob_too_long_for_the_database_is_pushed_too),
		TEST(the_empty_blob_can_be_pushed),
		TEST(sha512_is_known_at_the_start_or_only_at_the_end),
		TEST(an_upload_goes_on_after_a_restart),
		TEST(a_zero_byte_patch_changes_nothing),
		TEST(a_chunk_out_of_order_is_refused_and_the_upload_stays),
		TEST(a_malformed_content_range_is_a_bad_request),
		TEST(a_body_of_another_length_than_its_range_is_forgotten),
		TEST(a_wrong_digest_leaves_the_upload_as_it_was),
		TEST(a_post_with_a_wrong_digest_leaves_nothing),
		TEST(a_digest_that_is_none_is_refused_by_name),
		TEST(an_unknown_upload_is_not_found),
		TEST(an_upload_belongs_to_its_repository),
		TEST(a_cancelled_upload_is_gone),
		TEST(a_finished_upload_is_gone),
		TEST(two_requests_on_one_upload_conflict),
		TEST(what_a_client_sent_before_it_went_away_stays),
		TEST(a_body_with_broken_framing_is_forgotten),
		TEST(more_uploads_than_the_limit_are_put_off),
		TEST(an_upload_beyond_the_limit_is_refused_before_it_comes),
		TEST(without_create_on_push_the_repository_must_exist),
		TEST(locations_lie_below_the_external_url),
		TEST(a_blob_is_mounted_from_where_it_is),
		TEST(a_blob_is_mounted_from_anywhere),
		TEST(what_cannot_be_mounted_becomes_an_upload),
		TEST(without_blob_mounting_a_mount_becomes_an_upload),
		TEST(a_blob_whose_content_is_lost_is_not_mounted),
		TEST(a_mount_that_fails_goes_on_with_the_body_that_came),
	};

	return (cmocka_run_group_tests_name("uploads", tests, NULL, NULL));
}
