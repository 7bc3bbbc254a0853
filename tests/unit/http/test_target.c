#include "registryd/http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

static int
parse(struct http_request *rq, struct arena *a, const char *host,
    const char *target)
{
	const char *why = NULL;
	int status;

	*rq = (struct http_request){ .target = span_of(target),
		.host = span_of(host) };
	arena_init(a, 65536);
	status = target_parse(rq, a, &why);
	assert_true((status == 0) == (why == NULL));
	return (status);
}

struct path {
	const char *target, *path;
};

static void
paths_are_decoded_once(void **state)
{
	static const struct path paths[] = {
		{ "/", "/" },
		{ "/v2/", "/v2/" },
		{ "/v2/a/b/blobs/sha256:ab", "/v2/a/b/blobs/sha256:ab" },
		{ "/v2/a/blobs/sha256%3Aab", "/v2/a/blobs/sha256:ab" },
		{ "/%41%62%2d", "/Ab-" },
		{ "/%2541", "/%41" },
		{ "/%252F", "/%2F" },
		{ "/a+b", "/a+b" },
		{ "/...", "/..." },
		{ "/.a/b..", "/.a/b.." },
		{ "/%C3%A4", "/\xc3\xa4" },
		{ "/a?b/../c", "/a" },
		{ "http://h/x", "/x" },
		{ "HTTP://H:80/x", NULL },
		{ "http://h", "/" },
		{ "http://h?a=b", "/" },
		{ "https://H/x?y", "/x" },
	};
	struct http_request rq;
	struct arena a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(paths); i++) {
		int status = parse(&rq, &a, "h", paths[i].target);

		if (paths[i].path == NULL)
			assert_int_equal(status, 400);
		else if (status != 0 || !span_is(rq.path, paths[i].path))
			fail_msg("%s: %d " SPAN_FMT, paths[i].target, status,
			    SPAN_ARG(rq.path));
		arena_reset(&a);
	}
}

static void
what_two_readers_could_read_differently_is_refused(void **state)
{
	static const char *const targets[] = { "a", "*", "h:443", "/a//b", "//",
		"//h/a", "/a//", "/./a", "/a/.", "/a/./b", "/..", "/a/../b",
		"/a/..", "/%2e", "/%2e%2E/a", "/.%2e/", "/a%2Fb", "/a%2fb",
		"/a%5Cb", "/a%5cb", "/a\\b", "/a%00b", "/%0a", "/%0D%0A",
		"/%7f", "/%1", "/%", "/%G1", "/%1G", "/a#b", "/a?b#c",
		"/?a=%0a", "/?a=%00", "/?%=1", "/?a=%zz", "http://", "http:///",
		"http://g/", "http://h:1/", "http://u@h/", "http://h\\/",
		"ftp://h/", "http:/h/", "https//h/", "http://[::1/" };
	struct http_request rq;
	struct arena a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(targets); i++) {
		if (parse(&rq, &a, "h", targets[i]) != 400)
			fail_msg(
			    "%s: " SPAN_FMT, targets[i], SPAN_ARG(rq.path));
		arena_reset(&a);
	}
}

static void
queries_become_parameters_in_order(void **state)
{
	struct http_request rq;
	struct span value;
	struct arena a;

	(void)state;
	assert_int_equal(parse(&rq, &a, "h",
			     "/?digest=sha256%3Aab&&n=1+2&last=a/b?c&x&=y&n=2&"
			     "e="),
	    0);
	assert_int_equal(rq.n_params, 7);
	assert_true(http_request_param(&rq, "digest", &value));
	assert_true(span_is(value, "sha256:ab"));
	assert_true(http_request_param(&rq, "n", &value));
	assert_true(span_is(value, "1+2"));
	assert_true(http_request_param(&rq, "last", &value));
	assert_true(span_is(value, "a/b?c"));
	assert_true(http_request_param(&rq, "x", &value));
	assert_int_equal(value.n, 0);
	assert_true(http_request_param(&rq, "e", &value));
	assert_int_equal(value.n, 0);
	assert_true(http_request_param(&rq, "", &value));
	assert_true(span_is(value, "y"));
	assert_false(http_request_param(&rq, "m", &value));
	arena_reset(&a);
	assert_int_equal(parse(&rq, &a, "h", "/a?"), 0);
	assert_int_equal(rq.n_params, 0);
	arena_reset(&a);
}

static void
parameters_are_bounded(void **state)
{
	char target[400] = "/?a";
	struct http_request rq;
	struct arena a;
	size_t i, n = 3;

	(void)state;
	for (i = 1; i < TARGET_PARAMS_MAX; i++) {
		target[n++] = '&';
		target[n++] = 'a';
	}
	assert_int_equal(parse(&rq, &a, "h", target), 0);
	assert_int_equal(rq.n_params, TARGET_PARAMS_MAX);
	arena_reset(&a);
	target[n++] = '&';
	assert_int_equal(parse(&rq, &a, "h", target), 400);
	arena_reset(&a);
}

static void
an_old_client_may_name_the_host_in_the_target_only(void **state)
{
	struct http_request rq;
	struct arena a;

	(void)state;
	assert_int_equal(parse(&rq, &a, "", "http://h:1/x"), 0);
	assert_true(span_is(rq.host, "h:1"));
	arena_reset(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_decoded_once),
		cmocka_unit_test(
		    what_two_readers_could_read_differently_is_refused),
		cmocka_unit_test(queries_become_parameters_in_order),
		cmocka_unit_test(parameters_are_bounded),
		cmocka_unit_test(
		    an_old_client_may_name_the_host_in_the_target_only),
	};

	return (cmocka_run_group_tests_name("http/target", tests, NULL, NULL));
}
