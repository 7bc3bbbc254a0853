#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/obj.h"
#include "registryd/cache_rules.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/pull_int.h"
#include "registryd/registry_config.h"
#include "storage/entities.h"

/*
 * What a request does about the pull through cache before an upstream is asked,
 * and what is told when one has failed; what lies between is for tests with
 * real registries.
 */
static struct api api;
static struct http_exchange x;
static struct call call;

static int
setup(void **state)
{
	json_t *o;

	(void)state;
	api_open(&api);
	o = json_pack("{s:s,s:s}", "ecrRepositoryPrefix", "hub",
	    "upstreamRegistryUrl", "registry-1.docker.io");
	assert_int_equal(registry_config_put(store_meta(api.store),
			     ENTITY_CACHE_RULE, SPAN("hub"), o, CONFIG_PUT, 0),
	    RC_OK);
	json_decref(o);
	memset(&x, 0, sizeof(x));
	arena_init(&x.arena, 1 << 20);
	http_response_init(&x.response);
	call = (struct call){
		.x = &x,
		.request = &x.request,
		.answer = &x.response,
		.arena = &x.arena,
		.settings = &api.settings,
		.service = &api.service,
		.store = api.store,
		.meta = store_meta(api.store),
		.permission = permission_find("manifest-get"),
		.repository = SPAN("library/alpine"),
		.may_block = true,
	};
	x.request.method = HTTP_GET;
	x.request.path = SPAN("/v2/library/alpine/manifests/latest");
	x.request.host = SPAN("mirror.example:5000");
	assert_int_equal(identify_call(&call), RC_OK);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&x.arena);
	api_close(&api);
	return (0);
}

static const char *
header(const char *name)
{
	const struct http_response *rs = &x.response;
	size_t i;

	for (i = 0; i < rs->n_headers; i++)
		if (span_is(rs->headers[i].name, name))
			return (arena_dup(&x.arena, rs->headers[i].value.p,
			    rs->headers[i].value.n));
	return ("");
}

/* --- ?ns= ---------------------------------------------------------------- */

static void
ns(const char *query, const char *repository)
{
	ask_params(&x, query);
	assert_int_equal(pull_route(&call), RC_OK);
	if (!span_is(call.repository, repository))
		fail_msg("%s: " SPAN_FMT, query, SPAN_ARG(call.repository));
}

static void
a_namespace_leads_to_its_copy_and_is_named_in_the_answer(void **state)
{
	(void)state;
	ns("ns=docker.io", "hub/library/alpine");
	assert_string_equal(header("OCI-Namespace"), "docker.io");
	/* Once more, on another thread, from the beginning of the answer. */
	http_response_init(&x.response);
	ns("ns=docker.io", "hub/library/alpine");
	assert_string_equal(header("OCI-Namespace"), "docker.io");
}

static void
a_namespace_that_nobody_keeps_is_unknown(void **state)
{
	static const char *const queries[] = { "ns=ghcr.io", "ns=a b",
		"ns=docker.io/library", "ns=https://docker.io" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(queries); i++) {
		x.request.n_params = 0;
		ask_params(&x, queries[i]);
		assert_int_equal(pull_route(&call), RC_FAILED);
		assert_int_equal(call.error, OCI_NAME_UNKNOWN);
		assert_true(span_is(call.repository, "library/alpine"));
	}
	assert_int_equal(x.response.n_headers, 0);
}

static void
a_namespace_that_is_this_server_says_nothing(void **state)
{
	static const char *const queries[] = { "ns=mirror.example:5000",
		"ns=Mirror.Example:5000", "ns=registry.example", "ns=" };
	size_t i;

	(void)state;
	api.settings.external_url = "https://registry.example/";
	for (i = 0; i < ARRAY_LEN(queries); i++) {
		x.request.n_params = 0;
		ns(queries[i], "library/alpine");
	}
	assert_int_equal(x.response.n_headers, 0);
}

static void
only_what_reads_images_has_a_namespace(void **state)
{
	(void)state;
	x.request.method = HTTP_PUT;
	ns("ns=ghcr.io", "library/alpine");
	x.request.method = HTTP_GET;
	x.request.path = SPAN("/download/library/alpine/blobs/x");
	x.request.n_params = 0;
	ns("ns=ghcr.io", "library/alpine");
}

/* --- what is told -------------------------------------------------------- */

static const struct {
	enum rc rc;
	int status; /* of the upstream */
	enum api_error error;
	const char *retry_after;
} told[] = {
	{ RC_DENIED, 403, OCI_DENIED, "" },
	{ RC_DENIED, 0, OCI_DENIED, "" },
	{ RC_LIMIT, 429, OCI_TOOMANYREQUESTS, "77" },
	{ RC_IO, 0, OCI_UPSTREAM_UNAVAILABLE, "77" },
	{ RC_IO, 503, OCI_UPSTREAM_UNAVAILABLE, "77" },
	{ RC_TIMEOUT, 0, OCI_UPSTREAM_TIMEOUT, "77" },
	{ RC_INVALID, 200, OCI_UPSTREAM_UNAVAILABLE, "77" },
	{ RC_DIGEST, 200, OCI_UPSTREAM_UNAVAILABLE, "77" },
	{ RC_FAILED, 418, OCI_UPSTREAM_UNAVAILABLE, "77" },
	{ RC_TOOBIG, 0, OCI_UPSTREAM_UNAVAILABLE, "77" },
};

static void
an_upstreams_failure_is_told_as_what_it_is(void **state)
{
	struct upstream_error e = { .retry_after_s = 77 };
	const char *why;
	size_t i;

	(void)state;
	(void)snprintf(e.why, sizeof(e.why), "up.example: it is so");
	for (i = 0; i < ARRAY_LEN(told); i++) {
		http_response_init(&x.response);
		e.status = told[i].status;
		assert_int_equal(pull_refuse(&call, told[i].rc, &e), RC_FAILED);
		assert_int_equal(call.error, told[i].error);
		assert_non_null(strstr(call.message, "up.example: it is so"));
		assert_string_equal(header("Retry-After"), told[i].retry_after);
		assert_int_equal(pull_refusal(&call, &why), told[i].rc);
		assert_string_equal(why, "up.example: it is so");
	}
	assert_int_equal(api_error_status(OCI_UPSTREAM_UNAVAILABLE), 502);
	assert_int_equal(api_error_status(OCI_UPSTREAM_TIMEOUT), 504);
	assert_string_equal(
	    api_error_code(OCI_UPSTREAM_TIMEOUT), "UNAVAILABLE");
}

static void
a_failure_of_our_own_is_not_told_as_the_upstreams(void **state)
{
	struct upstream_error e = { 0 };
	const char *why;

	(void)state;
	assert_int_equal(pull_refuse(&call, RC_NOSPACE, &e), RC_FAILED);
	assert_int_equal(call.error, OCI_INSUFFICIENT_STORAGE);
	assert_int_equal(pull_refusal(&call, &why), RC_OK);
	/* The server stops. */
	assert_int_equal(pull_refuse(&call, RC_CANCELLED, &e), RC_FAILED);
	assert_int_equal(call.error, OCI_UNAVAILABLE);
	assert_int_equal(pull_refusal(&call, &why), RC_OK);
}

/* --- without a cache ----------------------------------------------------- */

static void
a_server_without_a_cache_asks_nobody(void **state)
{
	struct reference ref = { .tag = SPAN("latest") };
	struct pull_body body;
	struct digest d;
	uint64_t size;

	(void)state;
	digest_of(DIGEST_SHA256, "x", 1, &d);
	call.repository = SPAN("hub/library/alpine");
	assert_int_equal(pull_manifest(&call, &ref, NULL), RC_OK);
	assert_int_equal(pull_manifest(&call, &ref, &d), RC_OK);
	assert_int_equal(pull_referrers(&call, &d), RC_OK);
	assert_int_equal(pull_blob(&call, &d, &body), RC_NOTFOUND);
	assert_int_equal(pull_blob_size(&call, &d, &size), RC_NOTFOUND);
	assert_int_equal(pull_blob_ends(&call, &d, 1), RC_NOTFOUND);
	pull_hit(&call);
	assert_null(call.await);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_namespace_leads_to_its_copy_and_is_named_in_the_answer),
		TEST(a_namespace_that_nobody_keeps_is_unknown),
		TEST(a_namespace_that_is_this_server_says_nothing),
		TEST(only_what_reads_images_has_a_namespace),
		TEST(an_upstreams_failure_is_told_as_what_it_is),
		TEST(a_failure_of_our_own_is_not_told_as_the_upstreams),
		TEST(a_server_without_a_cache_asks_nobody),
	};

	return (cmocka_run_group_tests_name("pull", tests, NULL, NULL));
}
