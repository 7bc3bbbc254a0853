#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "registryd/route.h"

/* What a path is found to be. */
struct row {
	enum http_method method;
	const char *path;
	const char *route; /* NULL: no row */
	const char *name;
	const char *part;
};

static void
row_check(const struct row *e)
{
	struct route_match m;

	route_find(ROLE_PUBLIC, e->method, span_of(e->path), &m);
	if (e->route == NULL) {
		assert_int_equal(m.outcome, MATCH_NO_PATH);
		return;
	}
	assert_int_equal(m.outcome, MATCH_OK);
	assert_string_equal(m.route->name, e->route);
	assert_true(span_is(m.name, e->name));
	assert_true(span_is(m.part, e->part));
}

static void
every_path_of_the_specification_finds_its_row(void **state)
{
	static const struct row table[] = {
		{ HTTP_GET, "/v2/", "version", "", "" },
		{ HTTP_POST, "/", "aws", "", "" },
		{ HTTP_GET, "/", "aws", "", "" },
		{ HTTP_GET, "/token", "token", "", "" },
		{ HTTP_POST, "/token", "token", "", "" },
		{ HTTP_GET, "/v2", "version", "", "" },
		{ HTTP_HEAD, "/v2/", "version", "", "" },
		{ HTTP_GET, "/v2/_catalog", "catalog-list", "", "" },
		{ HTTP_GET, "/v2/a/tags/list", "tags-list", "a", "" },
		{ HTTP_GET, "/v2/a/b/c/tags/list", "tags-list", "a/b/c", "" },
		{ HTTP_GET, "/v2/a/manifests/v1", "manifest-get", "a", "v1" },
		{ HTTP_HEAD, "/v2/a/manifests/v1", "manifest-get", "a", "v1" },
		{ HTTP_PUT, "/v2/a/manifests/v1", "manifest-put", "a", "v1" },
		{ HTTP_DELETE, "/v2/a/manifests/v1", "manifest-delete", "a",
		    "v1" },
		{ HTTP_GET, "/v2/a/blobs/sha256:0", "blob-get", "a",
		    "sha256:0" },
		{ HTTP_DELETE, "/v2/a/blobs/sha256:0", "blob-delete", "a",
		    "sha256:0" },
		{ HTTP_POST, "/v2/a/blobs/uploads/", "upload-post", "a", "" },
		{ HTTP_POST, "/v2/a/blobs/uploads", "upload-post", "a", "" },
		{ HTTP_PATCH, "/v2/a/blobs/uploads/x", "upload-patch", "a",
		    "x" },
		{ HTTP_PUT, "/v2/a/blobs/uploads/x", "upload-put", "a", "x" },
		{ HTTP_GET, "/v2/a/blobs/uploads/x", "upload-status", "a",
		    "x" },
		{ HTTP_DELETE, "/v2/a/blobs/uploads/x", "upload-cancel", "a",
		    "x" },
		{ HTTP_GET, "/v2/a/referrers/sha256:0", "referrers-list", "a",
		    "sha256:0" },
		{ HTTP_GET, "/healthz", "health-live", "", "" },
		{ HTTP_GET, "/readyz", "health-ready", "", "" },
		{ HTTP_GET, "/metrics", "metrics", "", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		row_check(&table[i]);
}

static void
the_last_keyword_decides(void **state)
{
	static const struct row table[] = {
		{ HTTP_GET, "/v2/a/manifests/b/manifests/v1", "manifest-get",
		    "a/manifests/b", "v1" },
		{ HTTP_GET, "/v2/a/tags/list/manifests/v1", "manifest-get",
		    "a/tags/list", "v1" },
		{ HTTP_GET, "/v2/a/manifests/tags/list", "tags-list",
		    "a/manifests", "" },
		{ HTTP_GET, "/v2/blobs/uploads/blobs/sha256:0", "blob-get",
		    "blobs/uploads", "sha256:0" },
		{ HTTP_GET, "/v2/manifests/manifests/manifests", "manifest-get",
		    "manifests", "manifests" },
		{ HTTP_GET, "/v2/a/blobs/uploads/manifests/x", "manifest-get",
		    "a/blobs/uploads", "x" },
		{ HTTP_PATCH, "/v2/a/manifests/blobs/uploads/x", "upload-patch",
		    "a/manifests", "x" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		row_check(&table[i]);
}

static void
a_path_of_no_row_is_not_found(void **state)
{
	static const char *const paths[] = {
		"/v1/",
		"/v2x",
		"/v2/a",
		"/v2/a/tags",
		"/v2/a/tags/list/",
		"/v2/a/manifests/",
		"/v2/manifests/v1",
		"/v2/tags/list",
		"/v2/blobs/sha256:0",
		"/v3/a/manifests/v1",
		"/x/v2/a/manifests/v1",
		"/healthz/",
		"/control/stats",
		"",
	};
	struct row e = { .method = HTTP_GET };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		e.path = paths[i];
		row_check(&e);
	}
}

static unsigned
allowed_of(enum http_method method, const char *path)
{
	struct route_match m;

	route_find(ROLE_PUBLIC, method, span_of(path), &m);
	assert_int_equal(m.outcome, MATCH_NO_METHOD);
	assert_null(m.route);
	return (m.allowed);
}

static void
another_method_is_told_which_are_allowed(void **state)
{
	unsigned get = 1u << HTTP_GET | 1u << HTTP_HEAD;

	(void)state;
	assert_int_equal(allowed_of(HTTP_POST, "/v2/a/manifests/v1"),
	    get | 1u << HTTP_PUT | 1u << HTTP_DELETE);
	assert_int_equal(allowed_of(HTTP_METHOD_OTHER, "/v2/a/tags/list"), get);
	assert_int_equal(allowed_of(HTTP_OPTIONS, "/v2/"), get);
	assert_int_equal(
	    allowed_of(HTTP_GET, "/v2/a/blobs/uploads/"), 1u << HTTP_POST);
	assert_int_equal(allowed_of(HTTP_PUT, "/healthz"), get);
}

static void
a_listener_sees_only_its_own_rows(void **state)
{
	struct route_match m;

	(void)state;
	route_find(ROLE_CONTROL, HTTP_GET, SPAN("/control/stats"), &m);
	assert_int_equal(m.outcome, MATCH_OK);
	assert_string_equal(m.route->name, "control-stats");
	route_find(ROLE_CONTROL, HTTP_GET, SPAN("/control/jobs/7"), &m);
	assert_true(span_is(m.part, "7"));
	/* Through which registryctl moves images and applies templates, unsigned:
	 * what a signature in a URL is for is not there. */
	route_find(ROLE_CONTROL, HTTP_GET, SPAN("/v2/"), &m);
	assert_int_equal(m.outcome, MATCH_OK);
	route_find(ROLE_CONTROL, HTTP_PUT, SPAN("/v2/a/manifests/b"), &m);
	assert_int_equal(m.outcome, MATCH_OK);
	route_find(ROLE_CONTROL, HTTP_POST, SPAN("/"), &m);
	assert_int_equal(m.outcome, MATCH_OK);
	route_find(ROLE_CONTROL, HTTP_GET, SPAN("/"), &m);
	assert_int_equal(m.outcome, MATCH_NO_METHOD);
	route_find(ROLE_METRICS, HTTP_POST, SPAN("/"), &m);
	assert_int_equal(m.outcome, MATCH_NO_PATH);
	route_find(ROLE_PUBLIC, HTTP_GET, SPAN("/control/stats"), &m);
	assert_int_equal(m.outcome, MATCH_NO_PATH);
	route_find(ROLE_METRICS, HTTP_GET, SPAN("/metrics"), &m);
	assert_int_equal(m.outcome, MATCH_OK);
	route_find(ROLE_METRICS, HTTP_GET, SPAN("/v2/a/tags/list"), &m);
	assert_int_equal(m.outcome, MATCH_NO_PATH);
}

/* What the dispatcher takes for granted of each row. */
static void
every_row_is_complete(void **state)
{
	const struct route *r;
	size_t i;
	bool streamed;

	(void)state;
	for (i = 0; i < n_routes; i++) {
		r = &routes[i];
		assert_non_null(r->name);
		assert_non_null(r->handler);
		assert_int_not_equal(r->roles, 0);
		assert_int_equal(r->pattern[0], '/');
		assert_int_not_equal(r->method, HTTP_HEAD);
		streamed = r->body == BODY_STREAM || r->streams != NULL;
		assert_int_equal(streamed, r->begin != NULL);
		assert_int_equal(streamed, r->finish != NULL);
		assert_int_equal(r->body == BODY_COLLECT, r->max_body != NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_path_of_the_specification_finds_its_row),
		cmocka_unit_test(the_last_keyword_decides),
		cmocka_unit_test(a_path_of_no_row_is_not_found),
		cmocka_unit_test(another_method_is_told_which_are_allowed),
		cmocka_unit_test(a_listener_sees_only_its_own_rows),
		cmocka_unit_test(every_row_is_complete),
	};

	return (cmocka_run_group_tests_name("router", tests, NULL, NULL));
}
