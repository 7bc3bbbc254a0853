#include "registryd/http/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

static const struct span trusted[] = { { "10.0.0.0/8", 10 }, { "fd00::/8", 8 },
	{ "unix", 4 } };

struct vector {
	const char *peer;
	const char *forwarded[2]; /* lines */
	const char *client;
};

static void
the_last_address_that_is_not_ours_is_the_client(void **state)
{
	static const struct vector vectors[] = {
		{ "10.0.0.1", { "1.2.3.4" }, "1.2.3.4" },
		{ "10.0.0.1", { "1.2.3.4, 10.0.0.2" }, "1.2.3.4" },
		{ "10.0.0.1", { "6.6.6.6, 1.2.3.4, 10.0.0.2" }, "1.2.3.4" },
		{ "10.0.0.1", { "6.6.6.6", "1.2.3.4,10.0.0.2" }, "1.2.3.4" },
		{ "10.0.0.1", { "10.0.0.3, 10.0.0.2" }, "10.0.0.3" },
		{ "10.0.0.1", { "1.2.3.4:5678" }, "1.2.3.4" },
		{ "10.0.0.1", { "2001:db8::1" }, "2001:db8::1" },
		{ "10.0.0.1", { "[2001:DB8::1]:443" }, "2001:db8::1" },
		{ "fd12::1", { "::ffff:1.2.3.4" }, "1.2.3.4" },
		{ "unix", { "1.2.3.4" }, "1.2.3.4" },
		{ "10.0.0.1", { "1.2.3.4, unknown, 10.0.0.2" }, "10.0.0.2" },
		{ "10.0.0.1", { "1.2.3.4, unknown" }, "10.0.0.1" },
		{ "10.0.0.1", { "unix" }, "10.0.0.1" },
		{ "10.0.0.1", { "" }, "10.0.0.1" },
		{ "10.0.0.1", { NULL }, "10.0.0.1" },
		{ "11.0.0.1", { "1.2.3.4" }, "11.0.0.1" },
		{ "::1", { "1.2.3.4" }, "::1" },
	};
	char client[ADDR_TEXT_BYTES];
	struct http_header h[2];
	struct proxies p;
	struct span bad;
	size_t i;

	(void)state;
	assert_int_equal(
	    proxies_init(&p, trusted, ARRAY_LEN(trusted), &bad), RC_OK);
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct http_request rq = { .headers = h,
			.client = span_of(v->peer) };
		struct addr peer;

		while (rq.n_headers < 2 && v->forwarded[rq.n_headers] != NULL) {
			h[rq.n_headers].name = SPAN("X-Forwarded-For");
			h[rq.n_headers].value =
			    span_of(v->forwarded[rq.n_headers]);
			rq.n_headers++;
		}
		assert_int_equal(addr_parse(span_of(v->peer), &peer), RC_OK);
		proxy_apply(&p, &peer, &rq, client);
		if (!span_is(rq.client, v->client))
			fail_msg("%zu: " SPAN_FMT, i, SPAN_ARG(rq.client));
	}
	proxies_free(&p);
}

static struct http_request
told(const char *peer_text, const char *proto, const char *host, bool tls)
{
	static struct http_header h[2];
	struct http_request rq = {
		.headers = h, .n_headers = 2, .tls = tls, .host = SPAN("inside")
	};
	char client[ADDR_TEXT_BYTES];
	struct proxies p;
	struct addr peer;
	struct span bad;

	h[0] =
	    (struct http_header){ SPAN("x-forwarded-proto"), span_of(proto) };
	h[1] = (struct http_header){ SPAN("X-Forwarded-Host"), span_of(host) };
	assert_int_equal(proxies_init(&p, trusted, 2, &bad), RC_OK);
	assert_int_equal(addr_parse(span_of(peer_text), &peer), RC_OK);
	proxy_apply(&p, &peer, &rq, client);
	proxies_free(&p);
	return (rq);
}

static void
scheme_and_host_are_believed_from_trusted_proxies_only(void **state)
{
	struct http_request rq;

	(void)state;
	rq = told("10.1.1.1", "https", "outside:5000", false);
	assert_true(rq.tls);
	assert_true(span_is(rq.host, "outside:5000"));
	rq = told("10.1.1.1", "HTTPS, http", "outside, inside", false);
	assert_true(rq.tls);
	assert_true(span_is(rq.host, "outside"));
	rq = told("10.1.1.1", "http", "a b", true);
	assert_false(rq.tls);
	assert_true(span_is(rq.host, "inside"));
	rq = told("10.1.1.1", "gopher", "http://x/", true);
	assert_true(rq.tls);
	assert_true(span_is(rq.host, "inside"));
	rq = told("1.1.1.1", "https", "outside", false);
	assert_false(rq.tls);
	assert_true(span_is(rq.host, "inside"));
}

static void
what_is_no_network_is_named(void **state)
{
	struct span list[] = { SPAN("10.0.0.0/8"), SPAN("10.0.0.1/8") };
	struct proxies p;
	struct span bad;

	(void)state;
	assert_int_equal(proxies_init(&p, list, 2, &bad), RC_INVALID);
	assert_true(span_is(bad, "10.0.0.1/8"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_last_address_that_is_not_ours_is_the_client),
		cmocka_unit_test(
		    scheme_and_host_are_believed_from_trusted_proxies_only),
		cmocka_unit_test(what_is_no_network_is_named),
	};

	return (cmocka_run_group_tests_name("http/proxy", tests, NULL, NULL));
}
