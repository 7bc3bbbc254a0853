#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/obj.h"
#include "registryd/accesslog.h"

/* The access log: what a line says, what it hides, and that nothing a client
 * sends can forge or overflow one. */
#define NOW_MS 1769860800123 /* 2026-01-31T12:00:00.123Z */

static struct http_request
request_of(const char *target)
{
	return ((struct http_request){
	    .method_text = SPAN("GET"),
	    .target = span_of(target),
	    .client = SPAN("10.0.0.7"),
	    .id = "00112233445566778899aabbccddeeff",
	});
}

static char *
line_of_operation(
    enum access_log how, const struct http_request *rq, const char *operation)
{
	const struct http_outcome o = {
		.status = 200,
		.bytes_in = 5,
		.bytes_out = 1337,
		.duration_us = 1042,
	};
	struct buf b;
	size_t n;

	buf_init(&b, ACCESSLOG_LINE_BYTES);
	accesslog_format(how, rq, SPAN("anonymous"), operation, &o, NOW_MS, &b);
	assert_true(buf_ok(&b));
	assert_int_equal(b.p[b.n - 1], '\n');
	assert_null(memchr(b.p, '\n', b.n - 1));
	return (buf_take(&b, &n));
}

static char *
line_of(enum access_log how, const struct http_request *rq)
{
	return (line_of_operation(how, rq, NULL));
}

static void
assert_shows(const char *target, const char *shown)
{
	struct http_request rq = request_of(target);
	char *line = line_of(ACCESS_LOG_TEXT, &rq);

	if (strstr(line, shown) == NULL)
		fail_msg("%s is not in %s", shown, line);
	free(line);
}

static void
a_text_line_says_it_all(void **state)
{
	struct http_request rq = request_of("/v2/a/tags/list?n=5");
	char *line = line_of(ACCESS_LOG_TEXT, &rq);

	(void)state;
	assert_string_equal(line,
	    "2026-01-31T12:00:00.123Z access 10.0.0.7 anonymous "
	    "\"GET /v2/a/tags/list?n=5\" 200 in=5 out=1337 1.042ms "
	    "id=00112233445566778899aabbccddeeff\n");
	free(line);
}

static void
a_json_line_says_it_all(void **state)
{
	struct http_request rq = request_of("/v2/\"\n?digest=x");
	char *line = line_of(ACCESS_LOG_JSON, &rq);
	json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	(void)state;
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "time")),
	    "2026-01-31T12:00:00.123Z");
	assert_string_equal(
	    json_string_value(json_object_get(o, "path")), "/v2/\"\n?digest=x");
	assert_string_equal(json_string_value(json_object_get(o, "request_id")),
	    "00112233445566778899aabbccddeeff");
	assert_string_equal(
	    json_string_value(json_object_get(o, "principal")), "anonymous");
	assert_int_equal(json_integer_value(json_object_get(o, "status")), 200);
	assert_int_equal(
	    json_integer_value(json_object_get(o, "bytes_out")), 1337);
	assert_true(json_real_value(json_object_get(o, "duration_ms")) > 1.04);
	assert_true(json_is_false(json_object_get(o, "aborted")));
	json_decref(o);
	free(line);
}

static void
secrets_of_the_query_are_hidden(void **state)
{
	(void)state;
	assert_shows("/v2/?token=s3cret&n=1", "/v2/?token=***&n=1\"");
	assert_shows("/v2/?%74oken=s3cret", "/v2/?%74oken=***\"");
	assert_shows("/download/a/b/blobs/sha256:00?token=s3cret",
	    "\"GET /download/a/b/blobs/sha256:00?token=***\"");
	assert_shows("/v2/?s3cret", "/v2/?***\"");
	assert_shows("/v2/?Digest=s", "/v2/?Digest=***\"");
	assert_shows("http://u:s3cret@h/v2/?n=1", " h/v2/?n=1\"");
	assert_shows("u:s3cret@h:443", " h:443\"");
	assert_shows("/v2/@/x", "/v2/@/x\"");
}

static void
nothing_forges_a_line(void **state)
{
	(void)state;
	assert_shows(
	    "/\"\r\n\x1b[2J\\\xff", "/\\x22\\x0d\\x0a\\x1b[2J\\x5c\\xff\"");
}

static void
what_could_not_be_parsed_is_a_dash(void **state)
{
	struct http_request rq = { .client = SPAN("unix") };
	char *line = line_of(ACCESS_LOG_TEXT, &rq);

	(void)state;
	assert_non_null(strstr(line, "unix anonymous \"- -\" 200"));
	assert_non_null(strstr(line, " id=-\n"));
	free(line);
}

/* Each of these is the worst of its kind; line_of() checks that it fits. */
static void
the_longest_requests_fit_a_line(void **state)
{
	static const char *const worst[] = { "a", "\x01", "&a=", "\"", "&",
		"\xff", "%" };
	static const enum access_log hows[] = { ACCESS_LOG_TEXT,
		ACCESS_LOG_JSON };
	enum { N = 64 * 1024 };
	struct http_request rq;
	char *target = malloc(N + 8);
	size_t i, n;

	(void)state;
	for (i = 0; i < 2 * ARRAY_LEN(worst); i++) {
		memcpy(target, "/v2/?", 6);
		for (n = 5; n < N; n += strlen(worst[i / 2]))
			memcpy(
			    target + n, worst[i / 2], strlen(worst[i / 2]) + 1);
		rq = request_of(target);
		rq.method_text = rq.client = rq.target;
		free(line_of(hows[i % 2], &rq));
	}
	free(target);
}

static void
an_operation_of_the_aws_protocols_is_told(void **state)
{
	struct http_request rq = request_of("/");
	json_t *o;
	char *line;

	(void)state;
	line = line_of_operation(ACCESS_LOG_TEXT, &rq, "CreateRepository");
	assert_non_null(strstr(line, " operation=CreateRepository\n"));
	free(line);
	line = line_of_operation(ACCESS_LOG_JSON, &rq, "CreateRepository");
	o = json_loads(line, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "operation")),
	    "CreateRepository");
	json_decref(o);
	free(line);
	line = line_of(ACCESS_LOG_JSON, &rq);
	assert_null(strstr(line, "operation"));
	free(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operation_of_the_aws_protocols_is_told),
		cmocka_unit_test(a_text_line_says_it_all),
		cmocka_unit_test(a_json_line_says_it_all),
		cmocka_unit_test(secrets_of_the_query_are_hidden),
		cmocka_unit_test(nothing_forges_a_line),
		cmocka_unit_test(what_could_not_be_parsed_is_a_dash),
		cmocka_unit_test(the_longest_requests_fit_a_line),
	};

	return (cmocka_run_group_tests_name("accesslog", tests, NULL, NULL));
}
