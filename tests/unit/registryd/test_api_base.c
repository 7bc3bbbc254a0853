#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/json.h"
#include "registryd/route.h"
#include "registryd/traffic.h"

static struct api api;

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

/* --- GET /v2/ ------------------------------------------------------------ */

/* That it is version 2.0 stands in each answer, by the dispatcher. */
static void
the_version_check_is_answered_with_and_without_a_slash(void **state)
{
	static const char *const paths[] = { "/v2/", "/v2" };
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		api_ask(&api,
		    &(struct ask){ .method = HTTP_GET, .path = paths[i] }, &r);
		assert_int_equal(r.status, 200);
		assert_true(span_is(r.body, "{}"));
		reply_free(&r);
	}
}

/* --- errors -------------------------------------------------------------- */

/* {"errors":[{"code":string,"message":string}]} and nothing that is not
 * JSON, whatever the client had sent. */
static void
shape_check(const struct reply *r)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc, *errors, *e;
	struct span code, message;

	if (json_read(r->body, why, &doc) != RC_OK)
		fail_msg("%s: " SPAN_FMT, why, SPAN_ARG(r->body));
	assert_int_equal(json_get_array(doc, "errors", &errors), RC_OK);
	assert_int_equal(json_array_size(errors), 1);
	e = json_array_get(errors, 0);
	assert_int_equal(json_get_str(e, "code", &code), RC_OK);
	assert_true(span_is(code, r->code));
	assert_int_equal(json_get_str(e, "message", &message), RC_OK);
	assert_true(message.n > 0);
	json_decref(doc);
}

static void
every_error_has_the_shape_of_the_specification(void **state)
{
	static const struct {
		const char *path, *query;
	} rows[] = {
		{ "/v2/a/manifests/\xff\xfe", NULL },
		{ "/v2/a/manifests/sha256:\"\\\n", NULL },
		{ "/v2/a/blobs/\x01\x7f", NULL },
		{ "/v2/a/referrers/<script>", NULL },
		{ "/v2/_catalog", "n=\xc3\x28" },
		{ "/v2/a/tags/list", NULL },
	};
	struct reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		api_ask(&api,
		    &(struct ask){ .method = HTTP_GET,
			.path = rows[i].path,
			.query = rows[i].query },
		    &r);
		assert_true(r.status == 400 || r.status == 404);
		shape_check(&r);
		reply_free(&r);
	}
}

static void
a_long_value_is_cut_in_the_message(void **state)
{
	char path[9000] = "/v2/a/manifests/";
	struct reply r;

	(void)state;
	memset(path + strlen(path), 'x', 8000);
	api_ask(&api, &(struct ask){ .method = HTTP_GET, .path = path }, &r);
	assert_int_equal(r.status, 400);
	assert_string_equal(r.code, "TAG_INVALID");
	shape_check(&r);
	reply_free(&r);
}

static void
codes_of_the_rooms_below_become_statuses(void **state)
{
	static const struct {
		enum rc rc;
		int status;
	} rows[] = {
		{ RC_NOSPACE, 507 },
		{ RC_LIMIT, 503 },
		{ RC_BUSY, 503 },
		{ RC_READONLY, 503 },
		{ RC_TOOBIG, 413 },
		{ RC_IO, 500 },
		{ RC_CORRUPT, 500 },
	};
	struct http_exchange x = { .role = ROLE_PUBLIC };
	struct call c = {
		.x = &x,
		.request = &x.request,
		.answer = &x.response,
		.arena = &x.arena,
	};
	size_t i;

	(void)state;
	arena_init(&x.arena, 65536);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c.error = API_OK;
		http_response_init(c.answer);
		assert_int_equal(call_fail_rc(&c, rows[i].rc, "x"), RC_FAILED);
		assert_int_equal(api_error_status(c.error), rows[i].status);
	}
	arena_reset(&x.arena);
}

static void
a_recorded_error_is_not_replaced(void **state)
{
	struct http_exchange x = { .role = ROLE_PUBLIC };
	struct call c = {
		.x = &x,
		.request = &x.request,
		.answer = &x.response,
		.arena = &x.arena,
	};

	(void)state;
	arena_init(&x.arena, 65536);
	assert_int_equal(
	    call_fail(&c, OCI_TAG_INVALID, NULL, "tag %s", "-"), RC_FAILED);
	assert_int_equal(call_fail_rc(&c, RC_FAILED, "x"), RC_FAILED);
	assert_int_equal(c.error, OCI_TAG_INVALID);
	assert_string_equal(c.message, "tag -");
	arena_reset(&x.arena);
}

static void
a_full_arena_still_gives_an_error_body(void **state)
{
	struct span body;
	struct arena a;

	(void)state;
	arena_init(&a, 8);
	body = api_error_body(&a, OCI_NAME_INVALID, "a message", NULL);
	assert_true(span_has_prefix(body, SPAN("{\"errors\":[{\"code\":")));
	arena_reset(&a);
}

/* --- figures ------------------------------------------------------------- */

static void
requests_are_counted_by_route_method_and_status(void **state)
{
	struct http_outcome outcome = { .status = 200, .duration_us = 1500 };
	struct http_request rq = { .method = HTTP_GET };
	struct route_match m;
	struct buf out;

	(void)state;
	traffic_init();
	route_find(ROLE_PUBLIC, HTTP_GET, SPAN("/v2/"), &m);
	traffic_count(m.route, &rq, &outcome);
	route_find(ROLE_PUBLIC, HTTP_GET, SPAN("/v2"), &m);
	traffic_count(m.route, &rq, &outcome);
	rq.method = HTTP_HEAD;
	traffic_count(m.route, &rq, &outcome);
	outcome.status = 299;
	traffic_count(NULL, &rq, &outcome);
	buf_init(&out, SIZE_MAX);
	traffic_render(&out);
	buf_char(&out, '\0');
	assert_non_null(
	    strstr(out.p, "\nregistryd_http_requests_total{route=\"version\","
			  "method=\"GET\",status=\"200\"} 2\n"));
	assert_non_null(
	    strstr(out.p, "\nregistryd_http_requests_total{route=\"version\","
			  "method=\"HEAD\",status=\"200\"} 1\n"));
	assert_non_null(
	    strstr(out.p, "\nregistryd_http_requests_total{route=\"none\","
			  "method=\"HEAD\",status=\"other\"} 1\n"));
	assert_null(strstr(out.p, "manifest-get"));
	buf_free(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_version_check_is_answered_with_and_without_a_slash),
		TEST(every_error_has_the_shape_of_the_specification),
		TEST(a_long_value_is_cut_in_the_message),
		cmocka_unit_test(codes_of_the_rooms_below_become_statuses),
		cmocka_unit_test(a_recorded_error_is_not_replaced),
		cmocka_unit_test(a_full_arena_still_gives_an_error_body),
		cmocka_unit_test(
		    requests_are_counted_by_route_method_and_status),
	};

	return (cmocka_run_group_tests_name("api", tests, NULL, NULL));
}
