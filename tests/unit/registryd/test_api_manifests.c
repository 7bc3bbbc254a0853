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
#include "storage/images.h"
#include "storage/repositories.h"

#define ABSENT \
	"sha256:" \
	"0000000000000000000000000000000000000000000000000000000000000000"
#define EMPTY_INDEX \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX \
	"\",\"manifests\":[]}"

static struct api api;
static char image[DIGEST_STR_BYTES];
static char text_path[512];

static const char *
path_of(const char *reference)
{
	(void)snprintf(text_path, sizeof(text_path),
	    "/v2/team/app/manifests/%s", reference);
	return (text_path);
}

static int
setup(void **state)
{
	(void)state;
	api_open(&api);
	api_image(&api, "team/app", "v1", "one", image);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	api_close(&api);
	return (0);
}

static void
ask_reference(enum http_method method, const char *reference, struct reply *r)
{
	api_ask(&api,
	    &(struct ask){ .method = method, .path = path_of(reference) }, r);
}

static int
status_of(enum http_method method, const char *reference)
{
	return (api_status(&api, method, path_of(reference), NULL));
}

static void
push(const char *reference, const char *query, const char *type,
    const char *text, struct reply *r)
{
	api_ask(&api,
	    &(struct ask){
		.method = HTTP_PUT,
		.path = path_of(reference),
		.query = query,
		.headers = { type },
		.body = span_of(text),
	    },
	    r);
}

static void
push_expect(const char *reference, const char *type, const char *text,
    int status, const char *code)
{
	struct reply r;

	push(reference, NULL, type, text, &r);
	if (r.status != status)
		fail_msg("%d instead of %d: " SPAN_FMT, r.status, status,
		    SPAN_ARG(r.body));
	assert_string_equal(r.code, code);
	reply_free(&r);
}

static const char *
index_of(const char *child, char out[1024])
{
	(void)snprintf(out, 1024,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[{"
	    "\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":7}]}",
	    MEDIA_OCI_INDEX, MEDIA_OCI_MANIFEST, child);
	return (out);
}

static void
set_status(enum image_status status)
{
	struct holding holding;
	struct image_row row;
	struct reference ref;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(reference_parse(span_of(image), &ref), RC_OK);
	assert_int_equal(
	    meta_image_status_set(store_meta(api.store), SPAN("team/app"), &ref,
		status, 1000, &arena, &row, &holding),
	    RC_OK);
	arena_reset(&arena);
}

/* --- pull ---------------------------------------------------------------- */

static void
a_manifest_comes_back_as_it_was_pushed(void **state)
{
	static const char text[] =
	    "{ \"schemaVersion\": 2, \"mediaType\":\"" MEDIA_OCI_INDEX "\",\n"
	    "\"manifests\" : [ ] , \"odd\": [1, {\"x\": null}] }\n";
	char digest[DIGEST_STR_BYTES];
	struct reply r;

	(void)state;
	api_manifest(&api, "team/app", "odd", text, digest);
	ask_reference(HTTP_GET, "odd", &r);
	assert_int_equal(r.status, 200);
	assert_true(span_is(r.body, text));
	assert_string_equal(reply_header(&r, "Content-Type"), MEDIA_OCI_INDEX);
	assert_string_equal(reply_header(&r, "Docker-Content-Digest"), digest);
	reply_free(&r);
	ask_reference(HTTP_GET, digest, &r);
	assert_true(span_is(r.body, text));
	reply_free(&r);
}

static void
head_says_what_get_would(void **state)
{
	struct reply get, head;
	const char *const refs[] = { "v1", image };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		ask_reference(HTTP_GET, refs[i], &get);
		ask_reference(HTTP_HEAD, refs[i], &head);
		assert_int_equal(head.status, 200);
		assert_int_equal(head.body.n, 0);
		assert_true(head.x.response.head_length);
		assert_int_equal(head.x.response.length, get.body.n);
		assert_string_equal(reply_header(&head, "Content-Type"),
		    reply_header(&get, "Content-Type"));
		assert_string_equal(
		    reply_header(&head, "Docker-Content-Digest"), image);
		reply_free(&get);
		reply_free(&head);
	}
}

static void
what_is_not_there_is_named(void **state)
{
	struct reply r;

	(void)state;
	ask_reference(HTTP_GET, "v9", &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "MANIFEST_UNKNOWN");
	assert_true(reply_has(&r, "\"message\":\"Requested image not found\""));
	assert_true(reply_has(&r, "\"detail\":{\"tag\":\"v9\"}"));
	reply_free(&r);
	ask_reference(HTTP_GET, ABSENT, &r);
	assert_string_equal(r.code, "MANIFEST_UNKNOWN");
	assert_true(reply_has(&r, "Requested image not found"));
	assert_true(reply_has(&r, "\"detail\":{\"digest\":\"" ABSENT "\"}"));
	reply_free(&r);
	api_ask(&api,
	    &(struct ask){
		.method = HTTP_GET, .path = "/v2/team/none/manifests/v1" },
	    &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "NAME_UNKNOWN");
	assert_true(reply_has(&r,
	    "The repository with name 'team/none' does not exist in the "
	    "registry with id '000000000000'"));
	reply_free(&r);
}

static void
an_archived_image_is_not_pulled_before_it_is_restored(void **state)
{
	struct reply r;

	(void)state;
	set_status(IMAGE_ARCHIVED);
	ask_reference(HTTP_GET, "v1", &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "MANIFEST_UNKNOWN");
	assert_true(reply_has(&r, "Requested image is archived"));
	assert_true(reply_has(&r, "\"detail\":{\"tag\":\"v1\"}"));
	reply_free(&r);
	assert_int_equal(status_of(HTTP_GET, image), 404);
	assert_int_equal(status_of(HTTP_HEAD, image), 404);
	set_status(IMAGE_ACTIVE);
	assert_int_equal(status_of(HTTP_GET, image), 200);
}

static void
a_malformed_reference_is_a_bad_request(void **state)
{
	static const char *const refs[] = { "sha256:baddigeststring", "-v1",
		"md5:d41d8cd98f00b204e9800998ecf8427e", "a+b", ":", "v1:" };
	static const enum http_method methods[] = { HTTP_GET, HTTP_HEAD,
		HTTP_PUT, HTTP_DELETE };
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(refs) / sizeof(refs[0]); i++)
		for (k = 0; k < 4; k++)
			assert_int_equal(status_of(methods[k], refs[i]), 400);
}

static void
an_etag_saves_the_second_transfer(void **state)
{
	char match[DIGEST_STR_BYTES + 32];
	struct reply r;

	(void)state;
	(void)snprintf(match, sizeof(match), "If-None-Match: \"%s\"", image);
	api_ask(&api,
	    &(struct ask){ .method = HTTP_GET,
		.path = path_of("v1"),
		.headers = { match } },
	    &r);
	assert_int_equal(r.status, 304);
	assert_int_equal(r.body.n, 0);
	assert_non_null(reply_header(&r, "ETag"));
	reply_free(&r);
	api_ask(&api,
	    &(struct ask){ .method = HTTP_GET,
		.path = path_of("v1"),
		.headers = { "If-None-Match: \"sha256:else\"" } },
	    &r);
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

static void
only_a_digest_may_be_cached_for_long(void **state)
{
	struct reply r;

	(void)state;
	ask_reference(HTTP_GET, "v1", &r);
	assert_string_equal(reply_header(&r, "Cache-Control"), "no-cache");
	reply_free(&r);
	ask_reference(HTTP_GET, image, &r);
	assert_non_null(strstr(reply_header(&r, "Cache-Control"), "immutable"));
	reply_free(&r);
}

/* --- Accept -------------------------------------------------------------- */

static int
accept_status(const char *a, const char *b, const char *c)
{
	struct reply r;

	api_ask(&api,
	    &(struct ask){ .method = HTTP_GET,
		.path = path_of("v1"),
		.headers = { a, b, c } },
	    &r);
	if (r.status == 404) {
		assert_string_equal(r.code, "MANIFEST_UNKNOWN");
		assert_true(reply_has(&r, MEDIA_OCI_MANIFEST));
	}
	reply_free(&r);
	return (r.status);
}

static void
accept_decides_as_docker_and_its_peers_expect(void **state)
{
	(void)state;
	assert_int_equal(accept_status(NULL, NULL, NULL), 200);
	assert_int_equal(accept_status("Accept: */*", NULL, NULL), 200);
	assert_int_equal(accept_status("Accept: text/html", NULL, NULL), 200);
	assert_int_equal(
	    accept_status("Accept: application/json", NULL, NULL), 200);
	assert_int_equal(
	    accept_status("Accept: " MEDIA_DOCKER_MANIFEST,
		"Accept: " MEDIA_OCI_INDEX, "Accept: " MEDIA_OCI_MANIFEST),
	    200);
	assert_int_equal(accept_status("Accept: " MEDIA_DOCKER_LIST
				       ", " MEDIA_OCI_MANIFEST ", */*",
			     NULL, NULL),
	    200);
	assert_int_equal(
	    accept_status("Accept: " MEDIA_DOCKER_LIST ", */*", NULL, NULL),
	    200);
}

static void
an_excluded_type_is_not_found_and_named(void **state)
{
	(void)state;
	assert_int_equal(
	    accept_status("Accept: " MEDIA_DOCKER_MANIFEST, NULL, NULL), 404);
	assert_int_equal(accept_status("Accept: " MEDIA_DOCKER_MANIFEST,
			     "Accept: " MEDIA_DOCKER_LIST, NULL),
	    404);
	assert_int_equal(
	    accept_status("Accept: "
			  "application/"
			  "vnd.docker.distribution.manifest.v1+prettyjws",
		"Accept: application/json", NULL),
	    404);
}

/* --- push ---------------------------------------------------------------- */

static void
a_push_answers_where_the_manifest_is(void **state)
{
	char digest[DIGEST_STR_BYTES], where[256];
	struct digest d;
	struct reply r;

	(void)state;
	digest_of(DIGEST_SHA256, EMPTY_INDEX, strlen(EMPTY_INDEX), &d);
	digest_str(&d, digest);
	push("v2", NULL, "Content-Type: " MEDIA_OCI_INDEX, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 201);
	(void)snprintf(
	    where, sizeof(where), "/v2/team/app/manifests/%s", digest);
	assert_string_equal(reply_header(&r, "Location"), where);
	assert_string_equal(reply_header(&r, "Docker-Content-Digest"), digest);
	assert_null(reply_header(&r, "OCI-Subject"));
	assert_null(reply_header(&r, "OCI-Tag"));
	reply_free(&r);
}

static void
sha512_is_kept_under_sha512(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct digest d;
	struct reply r;

	(void)state;
	digest_of(DIGEST_SHA512, EMPTY_INDEX, strlen(EMPTY_INDEX), &d);
	digest_str(&d, digest);
	push(digest, "tag=big", NULL, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 201);
	assert_string_equal(reply_header(&r, "Docker-Content-Digest"), digest);
	reply_free(&r);
	ask_reference(HTTP_GET, "big", &r);
	assert_string_equal(reply_header(&r, "Docker-Content-Digest"), digest);
	reply_free(&r);
	ask_reference(HTTP_HEAD, digest, &r);
	assert_int_equal(r.status, 200);
	reply_free(&r);
}

static void
tags_of_a_push_by_digest_are_all_set(void **state)
{
	char digest[DIGEST_STR_BYTES], query[512] = "";
	struct digest d;
	struct reply r;
	size_t i;

	(void)state;
	digest_of(DIGEST_SHA256, EMPTY_INDEX, strlen(EMPTY_INDEX), &d);
	digest_str(&d, digest);
	for (i = 0; i < 20; i++)
		(void)snprintf(query + strlen(query),
		    sizeof(query) - strlen(query), "%stag=t%zu",
		    i > 0 ? "&" : "", i);
	push(digest, query, NULL, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 201);
	assert_int_equal(reply_headers(&r, "OCI-Tag"), 20);
	assert_string_equal(reply_header(&r, "OCI-Tag"), "t0");
	reply_free(&r);
	assert_int_equal(status_of(HTTP_HEAD, "t0"), 200);
	assert_int_equal(status_of(HTTP_HEAD, "t19"), 200);

	(void)strncat(query, "&tag=x", sizeof(query) - strlen(query) - 1);
	push(digest, query, NULL, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 414);
	reply_free(&r);
	assert_int_equal(status_of(HTTP_HEAD, "x"), 404);
}

static void
a_tag_parameter_that_is_none_is_refused(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct digest d;
	struct reply r;

	(void)state;
	digest_of(DIGEST_SHA256, EMPTY_INDEX, strlen(EMPTY_INDEX), &d);
	push(digest_str(&d, digest), "tag=ok&tag=-no", NULL, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 400);
	assert_string_equal(r.code, "TAG_INVALID");
	assert_true(reply_has(&r, "-no"));
	reply_free(&r);
	assert_int_equal(status_of(HTTP_HEAD, "ok"), 404);
	push("v2", "tag=v3", NULL, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 400);
	reply_free(&r);
}

static void
another_digest_than_the_bodys_is_refused_with_both(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct digest d;
	struct reply r;

	(void)state;
	digest_of(DIGEST_SHA256, EMPTY_INDEX, strlen(EMPTY_INDEX), &d);
	push(ABSENT, NULL, NULL, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 400);
	assert_string_equal(r.code, "DIGEST_INVALID");
	assert_true(reply_has(&r, ABSENT));
	assert_true(reply_has(&r, digest_str(&d, digest)));
	reply_free(&r);
	assert_int_equal(status_of(HTTP_HEAD, ABSENT), 404);
}

static void
what_is_no_manifest_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"[]",
		"{}",
		"{\"schemaVersion\":1,\"name\":\"a\",\"tag\":\"b\"}",
		"{\"schemaVersion\":2,\"mediaType\":\"text/plain\"}",
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
		"\",\"manifests\":[{\"mediaType\":\"" MEDIA_OCI_MANIFEST
		"\",\"size\":1,\"digest\":\"sha256:x\"}]}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		push_expect("v2", NULL, texts[i], 400, "MANIFEST_INVALID");
	push_expect("v2", "Content-Type: " MEDIA_OCI_MANIFEST, EMPTY_INDEX, 400,
	    "MANIFEST_INVALID");
	push_expect("v2",
	    "Content-Type: "
	    "application/vnd.docker.distribution.manifest.v1+prettyjws",
	    "{\"schemaVersion\":1,\"name\":\"a\",\"tag\":\"b\"}", 400,
	    "MANIFEST_INVALID");
	assert_int_equal(status_of(HTTP_HEAD, "v2"), 404);
}

#define OTHER \
	"sha256:" \
	"1111111111111111111111111111111111111111111111111111111111111111"
#define REQUIRED \
	"required for pushing image into repository with name 'team/app' in " \
	"the registry with id '000000000000' do not exist"

static void
a_manifest_needs_what_it_references(void **state)
{
	char text[1024];
	struct reply r;

	(void)state;
	push("idx", NULL, NULL, index_of(ABSENT, text), &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "MANIFEST_BLOB_UNKNOWN");
	assert_true(reply_has(&r,
	    "\"message\":\"Images with digests '[" ABSENT "]' " REQUIRED "\""));
	assert_true(reply_has(&r, "\"detail\":{\"digest\":\"" ABSENT "\""));
	reply_free(&r);
	assert_int_equal(status_of(HTTP_HEAD, "idx"), 404);
	api.settings.sparse = SPARSE_INDEX;
	push_expect("idx", NULL, index_of(ABSENT, text), 201, "");
}

static void
an_archived_image_is_missing_to_an_index(void **state)
{
	enum sparse sparse = api.settings.sparse;
	char text[1024];

	(void)state;
	api.settings.sparse = SPARSE_NONE;
	set_status(IMAGE_ARCHIVED);
	push_expect(
	    "over", NULL, index_of(image, text), 404, "MANIFEST_BLOB_UNKNOWN");
	set_status(IMAGE_ACTIVE);
	push_expect("over", NULL, text, 201, "");
	assert_int_equal(status_of(HTTP_DELETE, "over"), 202);
	api.settings.sparse = sparse;
}

static void
all_that_is_missing_is_named(void **state)
{
	char text[1024];
	struct reply r;

	(void)state;
	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":"
	    "{\"mediaType\":\"a/b\",\"digest\":\"%s\",\"size\":1},"
	    "\"layers\":[{\"mediaType\":\"a/b\",\"digest\":\"%s\","
	    "\"size\":1}]}",
	    MEDIA_OCI_MANIFEST, ABSENT, OTHER);
	push("v2", NULL, NULL, text, &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "MANIFEST_BLOB_UNKNOWN");
	assert_true(reply_has(
	    &r, "Layers with digests '[" ABSENT ", " OTHER "]' " REQUIRED));
	assert_true(reply_has(
	    &r, "\"digests\":[\"" ABSENT "\",\"" OTHER "\"],\"more\":false"));
	reply_free(&r);
}

static void
of_very_much_that_is_missing_the_first_are_named(void **state)
{
	struct reply r;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, SIZE_MAX);
	buf_str(&b, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
		    "\",\"manifests\":[");
	for (i = 0; i < META_MISSING_SHOWN + 1; i++)
		buf_printf(&b,
		    "%s{\"mediaType\":\"" MEDIA_OCI_MANIFEST
		    "\",\"size\":7,\"digest\":\"sha256:%064zx\"}",
		    i > 0 ? "," : "", i);
	buf_str(&b, "]}");
	buf_char(&b, '\0');
	push("idx", NULL, NULL, b.p, &r);
	assert_string_equal(r.code, "MANIFEST_BLOB_UNKNOWN");
	assert_true(reply_has(&r, "000f, ...]' required"));
	assert_true(reply_has(&r, "\"more\":true"));
	reply_free(&r);
	buf_free(&b);
}

static void
no_more_is_pushed_than_the_quotas_allow(void **state)
{
	char text[1024], digest[DIGEST_STR_BYTES];
	struct reply r;

	(void)state;
	api.settings.quotas.images = 1;
	push("v2", NULL, NULL, EMPTY_INDEX, &r);
	assert_int_equal(r.status, 403);
	assert_string_equal(r.code, "DENIED");
	assert_true(reply_has(&r,
	    "The maximum number of images (1) in the repository with name "
	    "'team/app' in the registry with id '000000000000' has been "
	    "reached"));
	reply_free(&r);
	assert_int_equal(status_of(HTTP_HEAD, "v2"), 404);
	api.settings.quotas.images = 2;
	api.settings.quotas.tags = 1;
	api_manifest(&api, "team/app", "idx", index_of(image, text), digest);
	push("idx2", NULL, NULL, text, &r);
	assert_int_equal(r.status, 403);
	assert_true(reply_has(&r,
	    "The maximum number of tags (1) of an image in the repository with "
	    "name 'team/app'"));
	reply_free(&r);
	/* What is there already may be pushed again. */
	push_expect("idx", NULL, text, 201, "");
}

static void
a_push_into_no_repository_creates_it_only_if_it_may(void **state)
{
	struct ask ask = {
		.method = HTTP_PUT,
		.path = "/v2/fresh/manifests/v1",
		.body = SPAN(EMPTY_INDEX),
	};
	struct reply r;

	(void)state;
	api.settings.create_on_push = false;
	api_ask(&api, &ask, &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "NAME_UNKNOWN");
	reply_free(&r);
	api.settings.create_on_push = true;
	api_ask(&api, &ask, &r);
	assert_int_equal(r.status, 201);
	reply_free(&r);
}

static enum scan_status
scan_of(const char *digest)
{
	enum scan_status status;
	struct image_row row;
	struct reference ref;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(reference_parse(span_of(digest), &ref), RC_OK);
	assert_int_equal(meta_image_get(store_meta(api.store), SPAN("team/app"),
			     &ref, &arena, &row),
	    RC_OK);
	status = row.scan.status;
	arena_reset(&arena);
	return (status);
}

static void
only_what_can_be_scanned_is_scanned_on_push(void **state)
{
	struct repository_change change = { .set_scanning = true,
		.scan_on_push = true };
	char text[1024], digest[DIGEST_STR_BYTES], blob[DIGEST_STR_BYTES];

	(void)state;
	assert_int_equal(meta_repository_change(
			     store_meta(api.store), SPAN("team/app"), &change),
	    RC_OK);
	api_image(&api, "team/app", "scanned", "scanned", digest);
	assert_int_equal(scan_of(digest), SCAN_IN_PROGRESS);
	api_manifest(&api, "team/app", "idx", index_of(digest, text), digest);
	assert_int_equal(scan_of(digest), SCAN_NONE);
	api_blob(&api, "team/app", SPAN("{}"), blob);
	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
	    "\",\"config\":{\"mediaType\":\"application/x-chart\",\"digest\":"
	    "\"%s\",\"size\":2},\"layers\":[]}",
	    blob);
	api_manifest(&api, "team/app", "chart", text, digest);
	assert_int_equal(scan_of(digest), SCAN_NONE);
	change.scan_on_push = false;
	assert_int_equal(meta_repository_change(
			     store_meta(api.store), SPAN("team/app"), &change),
	    RC_OK);
}

static void
a_subject_is_acknowledged(void **state)
{
	char text[1024];
	struct reply r;

	(void)state;
	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[],"
	    "\"subject\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":3}}",
	    MEDIA_OCI_INDEX, MEDIA_OCI_MANIFEST, ABSENT);
	push("sig", NULL, NULL, text, &r);
	assert_int_equal(r.status, 201);
	assert_string_equal(reply_header(&r, "OCI-Subject"), ABSENT);
	reply_free(&r);
}

/* --- delete -------------------------------------------------------------- */

static void
deleting_a_tag_takes_the_tag_only(void **state)
{
	(void)state;
	assert_int_equal(status_of(HTTP_DELETE, "v1"), 202);
	assert_int_equal(status_of(HTTP_HEAD, "v1"), 404);
	assert_int_equal(status_of(HTTP_DELETE, "v1"), 404);
	assert_int_equal(status_of(HTTP_HEAD, image), 200);
}

static void
deleting_a_digest_takes_its_tags_too(void **state)
{
	(void)state;
	assert_int_equal(status_of(HTTP_DELETE, image), 202);
	assert_int_equal(status_of(HTTP_HEAD, image), 404);
	assert_int_equal(status_of(HTTP_HEAD, "v1"), 404);
	assert_int_equal(status_of(HTTP_DELETE, image), 404);
}

static void
a_child_of_an_index_is_kept_and_the_index_named(void **state)
{
	char text[1024], parent[DIGEST_STR_BYTES], message[256];
	struct reply r;

	(void)state;
	api_manifest(&api, "team/app", "idx", index_of(image, text), parent);
	ask_reference(HTTP_DELETE, image, &r);
	assert_int_equal(r.status, 405);
	assert_string_equal(r.code, "UNSUPPORTED");
	(void)snprintf(message, sizeof(message),
	    "Requested image referenced by manifest list: [%s]\"", parent);
	assert_true(reply_has(&r, message));
	assert_true(reply_has(&r, "\"referencedBy\":[\"sha256:"));
	assert_string_equal(reply_header(&r, "Allow"), "GET, HEAD, PUT");
	reply_free(&r);
	assert_int_equal(status_of(HTTP_HEAD, image), 200);
	assert_int_equal(status_of(HTTP_DELETE, parent), 202);
	assert_int_equal(status_of(HTTP_DELETE, image), 202);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_manifest_comes_back_as_it_was_pushed),
		TEST(head_says_what_get_would),
		TEST(what_is_not_there_is_named),
		TEST(an_archived_image_is_not_pulled_before_it_is_restored),
		TEST(a_malformed_reference_is_a_bad_request),
		TEST(an_etag_saves_the_second_transfer),
		TEST(only_a_digest_may_be_cached_for_long),
		TEST(accept_decides_as_docker_and_its_peers_expect),
		TEST(an_excluded_type_is_not_found_and_named),
		TEST(a_push_answers_where_the_manifest_is),
		TEST(sha512_is_kept_under_sha512),
		TEST(tags_of_a_push_by_digest_are_all_set),
		TEST(a_tag_parameter_that_is_none_is_refused),
		TEST(another_digest_than_the_bodys_is_refused_with_both),
		TEST(what_is_no_manifest_is_refused),
		TEST(a_manifest_needs_what_it_references),
		TEST(an_archived_image_is_missing_to_an_index),
		TEST(all_that_is_missing_is_named),
		TEST(of_very_much_that_is_missing_the_first_are_named),
		TEST(no_more_is_pushed_than_the_quotas_allow),
		TEST(a_push_into_no_repository_creates_it_only_if_it_may),
		TEST(only_what_can_be_scanned_is_scanned_on_push),
		TEST(a_subject_is_acknowledged),
		TEST(deleting_a_tag_takes_the_tag_only),
		TEST(deleting_a_digest_takes_its_tags_too),
		TEST(a_child_of_an_index_is_kept_and_the_index_named),
	};

	return (cmocka_run_group_tests_name("manifests", tests, NULL, NULL));
}
