#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "http_stub.h"
#include "mirror/place.h"
#include "mirror/upstream.h"

#define MIB ((size_t)1024 * 1024)
#define BLOB_BYTES (4 * MIB)
#define PATIENT_MS 20000
#define ARENA_BYTES (64 * MIB)
#define TEXT_BYTES 1024

/* What the other side is like, and what it has seen. */
struct world {
	struct fetcher *fetcher;
	struct upstreams *set;
	struct upstream *u;
	struct stub *stub, *other; /* the registry, and somebody else */
	void (*serve)(struct stub_request *);
	bool (*early)(struct stub_request *);
	struct credential credential;
	struct upstream_options options;
	struct arena arena;
	struct upstream_error error;
	struct upstream_wait wait;
	atomic_bool cancel;
	atomic_uint tokens, turns, now, most;
	unsigned good_token; /* the first that is not refused */
	unsigned expires_in;
	char *blob;
	struct digest digest; /* of .blob */
	char digest_text[DIGEST_STR_BYTES];
};

static const char index_text[] =
    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
    "\",\"manifests\":[]}";

/* --- the world ----------------------------------------------------------- */

static void
serve(struct stub_request *r)
{
	struct world *w = r->arg;
	unsigned now = atomic_fetch_add(&w->now, 1) + 1;
	unsigned most = atomic_load(&w->most);

	while (
	    now > most && !atomic_compare_exchange_weak(&w->most, &most, now))
		continue;
	w->serve(r);
	atomic_fetch_sub(&w->now, 1);
}

static bool
serve_early(struct stub_request *r)
{
	struct world *w = r->arg;

	return (w->early != NULL && w->early(r));
}

static char *
copy_of(const char *s)
{
	return (s != NULL ? xstrdup(s) : NULL);
}

static enum rc
credential_get(
    void *arg, const char *url, struct span name, struct credential *c_r)
{
	struct world *w = arg;

	must(strcmp(url, stub_url(w->stub)) == 0 && name.n == 0);
	if (w->credential.kind == CREDENTIAL_NONE)
		return (RC_NOTFOUND);
	c_r->kind = w->credential.kind;
	c_r->username = copy_of(w->credential.username);
	c_r->password = copy_of(w->credential.password);
	c_r->region = copy_of(w->credential.region);
	c_r->api_url = copy_of(w->credential.api_url);
	return (RC_OK);
}

static void
configure(void *arg, const char *url, struct arena *arena,
    struct upstream_options *options_r)
{
	struct world *w = arg;

	(void)arena;
	w->options.url = url;
	*options_r = w->options;
}

static void
world_stop(struct world *w)
{
	upstream_unref(&w->u);
	upstreams_free(&w->set);
	fetcher_free(&w->fetcher);
	stub_stop(&w->stub);
	stub_stop(&w->other);
}

static void
world_start(struct world *w, bool tls)
{
	struct stub_options stub = {
		.serve = serve, .early = serve_early, .arg = w, .tls = tls
	};
	const struct upstreams_options options = {
		.credential = credential_get,
		.configure = configure,
		.arg = w,
		.user_agent = "test/1",
	};
	struct upstreams_options own = options;

	w->stub = stub_start(&stub);
	stub.tls = false;
	w->other = stub_start(&stub);
	must(fetcher_new(&w->fetcher) == RC_OK);
	own.fetcher = w->fetcher;
	w->options.proxy = "";
	if (tls)
		w->options.ca_file = stub_ca(w->stub);
	w->set = upstreams_new(&own);
}

static struct upstream *
up(struct world *w)
{
	if (w->u == NULL)
		must(upstreams_get(
			 w->set, stub_url(w->stub), SPAN(""), &w->u) == RC_OK);
	return (w->u);
}

static int
setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	arena_init(&w->arena, ARENA_BYTES);
	w->wait = (struct upstream_wait){ .patience_ms = PATIENT_MS,
		.cancel = &w->cancel };
	w->expires_in = 300;
	w->blob = xmalloc(BLOB_BYTES);
	pattern_fill(w->blob, BLOB_BYTES, 0);
	digest_of(DIGEST_SHA256, w->blob, BLOB_BYTES, &w->digest);
	(void)digest_str(&w->digest, w->digest_text);
	world_start(w, false);
	*state = w;
	return (0);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	world_stop(w);
	arena_reset(&w->arena);
	free(w->blob);
	free(w);
	return (0);
}

/* --- what is asked ------------------------------------------------------- */

static enum rc
get(struct world *w, const char *repository, const char *tag,
    struct upstream_manifest *m_r)
{
	struct reference ref = { .tag = span_of(tag) };
	struct upstream_manifest m;

	return (upstream_manifest_get(up(w), span_of(repository), &ref,
	    &w->wait, &w->arena, m_r != NULL ? m_r : &m, &w->error));
}

static enum rc
head(struct world *w, const char *tag, struct upstream_manifest *m_r)
{
	struct reference ref = { .tag = span_of(tag) };

	return (upstream_manifest_head(
	    up(w), SPAN("a/b"), &ref, &w->wait, &w->arena, m_r, &w->error));
}

static bool
says(const struct world *w, const char *text)
{
	return (strstr(w->error.why, text) != NULL);
}

/* --- a registry ---------------------------------------------------------- */

static void
index_answer(struct stub_request *r, const char *more)
{
	struct digest d;
	char text[DIGEST_STR_BYTES], headers[TEXT_BYTES];

	digest_of(DIGEST_SHA256, index_text, strlen(index_text), &d);
	(void)snprintf(headers, sizeof(headers),
	    "Content-Type: " MEDIA_OCI_INDEX
	    "; charset=utf-8\r\nDocker-Content-Digest: %s\r\n%s",
	    digest_str(&d, text), more);
	stub_answer(r, 200, headers, index_text);
}

static void
open_registry(struct stub_request *r)
{
	if (strcmp(r->target, "/v2/a/b/manifests/v1") == 0 ||
	    strcmp(r->target, "/v2/c/manifests/v1") == 0)
		index_answer(r, "");
	else if (strcmp(r->target, "/v2/") == 0)
		stub_answer(r, 200, "", "{}");
	else
		stub_answer(r, 404, "",
		    "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\","
		    "\"message\":\"un\\u001b[31mknown\\u0085\\nto us\"}]}");
}

static void
test_manifest_is_read_by_tag(void **state)
{
	struct world *w = *state;
	struct upstream_manifest m;
	struct digest d;

	w->serve = open_registry;
	digest_of(DIGEST_SHA256, index_text, strlen(index_text), &d);
	assert_int_equal(get(w, "a/b", "v1", &m), RC_OK);
	assert_true(digest_eq(&m.digest, &d));
	assert_true(span_is(m.text, index_text));
	assert_true(span_is(m.media_type, MEDIA_OCI_INDEX));
	assert_int_equal(m.size_bytes, strlen(index_text));
	assert_int_equal(head(w, "v1", &m), RC_OK);
	assert_true(digest_eq(&m.digest, &d));
	assert_null(m.text.p);
	assert_int_equal(m.size_bytes, strlen(index_text));
	assert_int_equal(stub_count(w->stub, MEDIA_DOCKER_LIST), 2);
	assert_int_equal(stub_count(w->stub, "User-Agent: test/1"), 2);
	assert_int_equal(stub_count(w->stub, "HEAD "), 1);
}

static void
test_errors_name_registry_request_and_answer(void **state)
{
	struct world *w = *state;

	w->serve = open_registry;
	assert_int_equal(get(w, "a/b", "v2", NULL), RC_NOTFOUND);
	assert_int_equal(w->error.status, 404);
	assert_true(says(w, stub_url(w->stub) + strlen("http://")));
	assert_true(says(w, "manifest v2 of a/b"));
	assert_true(says(w, "404 MANIFEST_UNKNOWN: un [31mknown to us"));
	assert_null(strpbrk(w->error.why, "\033\n"));
	assert_null(strstr(w->error.why, "\302\205"));
}

static void
test_ping_asks_for_the_base_or_a_repository(void **state)
{
	struct world *w = *state;

	w->serve = open_registry;
	assert_int_equal(
	    upstream_ping(up(w), SPAN(""), &w->wait, &w->error), RC_OK);
	assert_int_equal(
	    upstream_ping(up(w), SPAN("x"), &w->wait, &w->error), RC_NOTFOUND);
	assert_int_equal(stub_count(w->stub, "GET /v2/ HTTP"), 1);
}

/* --- tokens -------------------------------------------------------------- */

static void
token_answer(struct stub_request *r)
{
	struct world *w = r->arg;
	char text[TEXT_BYTES];
	unsigned n = atomic_fetch_add(&w->tokens, 1);

	/* So that who comes at the same time comes before the answer. */
	nap_ms(50);
	(void)snprintf(text, sizeof(text),
	    "{\"token\":\"tok-%u\",\"expires_in\":%u}", n, w->expires_in);
	stub_answer(r, 200, "", text);
}

static unsigned
token_shown(struct stub_request *r)
{
	char text[TEXT_BYTES];

	(void)stub_header(r, "Authorization", text, sizeof(text));
	if (strncmp(text, "Bearer tok-", 11) != 0)
		return (UINT32_MAX);
	return ((unsigned)(text[11] - '0'));
}

static void
challenge(struct stub_request *r, const char *scheme, const char *realm)
{
	char text[2 * TEXT_BYTES];

	(void)snprintf(text, sizeof(text),
	    "WWW-Authenticate: %s realm=\"%s\",service=\"the service\","
	    "scope=\"repository:a/b:pull other:x:y\"\r\n",
	    scheme, realm);
	stub_answer(r, 401, text,
	    "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"who?\"}]}");
}

static void
token_registry(struct stub_request *r)
{
	struct world *w = r->arg;
	char realm[TEXT_BYTES];
	unsigned shown = token_shown(r);

	if (strncmp(r->target, "/token", 6) == 0) {
		token_answer(r);
		return;
	}
	(void)snprintf(realm, sizeof(realm), "%s/token", stub_url(w->other));
	if (shown == UINT32_MAX || shown < w->good_token)
		challenge(r, "Bearer", realm);
	else
		open_registry(r);
}

static void
test_token_is_asked_for_once(void **state)
{
	struct world *w = *state;
	struct upstream_manifest m;
	struct upstream_state s;

	w->serve = token_registry;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(head(w, "v1", &m), RC_OK);
	assert_int_equal(atomic_load(&w->tokens), 1);
	assert_int_equal(stub_requests(w->stub), 4);
	assert_int_equal(stub_count(w->other,
			     "GET /token?service=the%20service&scope="
			     "repository%3Aa%2Fb%3Apull&scope=other%3Ax%3Ay "
			     "HTTP"),
	    1);
	/* Nobody is to be told who we are. */
	assert_int_equal(stub_count(w->other, "Authorization"), 0);
	/* All by one connection to each. */
	assert_int_equal(stub_connections(w->stub), 1);
	upstream_state(w->u, &s);
	assert_int_equal(s.tokens, 1);
	assert_int_equal(s.requests, 5);
	assert_int_equal(s.failures, 0);
}

static void
test_password_goes_to_the_token_service_only(void **state)
{
	struct world *w = *state;

	w->serve = token_registry;
	w->credential = (struct credential){ .kind = CREDENTIAL_PASSWORD,
		.username = (char *)"us er",
		.password = (char *)"pass" };
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(
	    stub_count(w->other, "Authorization: Basic dXMgZXI6cGFzcw=="), 1);
	assert_int_equal(stub_count(w->other, "&account=us%20er"), 1);
	assert_int_equal(stub_count(w->stub, "Basic"), 0);
}

static void
one_get(void *arg)
{
	struct world *w = arg;
	struct reference ref = { .tag = SPAN("v1") };
	struct upstream_manifest m;
	struct upstream_error error;
	struct arena arena;

	arena_init(&arena, MIB);
	must(upstream_manifest_get(w->u, SPAN("a/b"), &ref, &w->wait, &arena,
		 &m, &error) == RC_OK);
	arena_reset(&arena);
}

static void
many_get(struct world *w)
{
	pthread_t threads[16];
	size_t i;

	(void)up(w);
	for (i = 0; i < ARRAY_LEN(threads); i++)
		must(thread_start("get", one_get, w, &threads[i]) == RC_OK);
	for (i = 0; i < ARRAY_LEN(threads); i++)
		thread_join(threads[i]);
}

static void
test_many_who_need_one_token_share_the_request(void **state)
{
	struct world *w = *state;

	w->serve = token_registry;
	w->options.connections = 16;
	many_get(w);
	assert_int_equal(atomic_load(&w->tokens), 1);
}

static void
test_token_is_renewed_before_it_expires(void **state)
{
	struct world *w = *state;

	w->serve = token_registry;
	w->expires_in = 1;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	nap_ms(1100);
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(atomic_load(&w->tokens), 2);
	/* Without being told that the old one is not good any more. */
	assert_int_equal(stub_requests(w->stub), 3);
}

static void
test_refused_token_is_renewed_once(void **state)
{
	struct world *w = *state;

	w->serve = token_registry;
	w->good_token = 1;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(atomic_load(&w->tokens), 2);
	w->good_token = 99;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_DENIED);
	assert_int_equal(atomic_load(&w->tokens), 3);
	assert_true(says(w, "401 UNAUTHORIZED: who?"));
	assert_null(strstr(w->error.why, "tok-"));
}

static void
refusing_tokens(struct stub_request *r)
{
	if (strncmp(r->target, "/token", 6) == 0)
		stub_answer(r, 401, "",
		    "{\"details\":\"incorrect username or password\"}");
	else
		token_registry(r);
}

static void
test_refusal_of_the_token_service_is_told(void **state)
{
	struct world *w = *state;

	w->serve = refusing_tokens;
	w->credential = (struct credential){ .kind = CREDENTIAL_PASSWORD,
		.username = (char *)"u",
		.password = (char *)"p4ssw0rd" };
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_DENIED);
	assert_true(says(w, "incorrect username or password"));
	assert_true(says(w, stub_url(w->other) + strlen("http://")));
	assert_null(strstr(w->error.why, "p4ssw0rd"));
	assert_int_equal(stub_requests(w->other), 1);
}

static void
identity_tokens(struct stub_request *r)
{
	if (strcmp(r->target, "/token") != 0) {
		token_registry(r);
		return;
	}
	if (strcmp(r->method, "POST") == 0 &&
	    strcmp(r->body, "grant_type=refresh_token&client_id=registryd&"
			    "service=the%20service&scope=repository%3Aa%2Fb"
			    "%3Apull%20other%3Ax%3Ay&refresh_token=a%26b") == 0)
		stub_answer(r, 200, "", "{\"access_token\":\"tok-0\"}");
	else
		stub_answer(r, 400, "", "{}");
}

static void
test_identity_token_is_posted(void **state)
{
	struct world *w = *state;

	w->serve = identity_tokens;
	w->credential = (struct credential){ .kind = CREDENTIAL_PASSWORD,
		.username = (char *)"<token>",
		.password = (char *)"a&b" };
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(stub_count(w->other,
			     "Content-Type: application/x-www-form-urlencoded"),
	    1);
	assert_int_equal(stub_count(w->other, "Authorization"), 0);
}

static void
odd_tokens(struct stub_request *r)
{
	struct world *w = r->arg;
	char *big;

	if (strncmp(r->target, "/token", 6) != 0) {
		token_registry(r);
		return;
	}
	switch (atomic_fetch_add(&w->tokens, 1)) {
	case 0:
		stub_answer(r, 200, "", "no JSON");
		break;
	case 1:
		stub_answer(r, 200, "", "{\"token\":\"a\\r\\nX: b\"}");
		break;
	case 2:
		big = xcalloc(1, MIB + 1);
		memset(big, ' ', MIB);
		stub_answer(r, 200, "", big);
		free(big);
		break;
	default:
		stub_answer(r, 307, "Location: /elsewhere\r\n", "");
	}
}

static void
test_odd_answers_of_token_services_fail(void **state)
{
	static const enum rc want[] = { RC_INVALID, RC_INVALID, RC_TOOBIG };
	struct world *w = *state;
	size_t i;

	w->serve = odd_tokens;
	for (i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(get(w, "a/b", "v1", NULL), want[i]);
}

/* --- Basic --------------------------------------------------------------- */

static void
basic_registry(struct stub_request *r)
{
	char text[TEXT_BYTES];

	(void)stub_header(r, "Authorization", text, sizeof(text));
	if (strcmp(text, "Basic dTpw") == 0)
		open_registry(r);
	else
		challenge(r, "Basic", "x");
}

static void
test_basic_is_shown_after_it_was_asked_for(void **state)
{
	struct world *w = *state;

	w->serve = basic_registry;
	w->credential = (struct credential){ .kind = CREDENTIAL_PASSWORD,
		.username = (char *)"u",
		.password = (char *)"p" };
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(get(w, "c", "v1", NULL), RC_OK);
	assert_int_equal(stub_requests(w->stub), 3);
	assert_int_equal(stub_count(w->stub, "Authorization"), 2);
}

static void
test_wrong_passwords_and_none_are_told(void **state)
{
	struct world *w = *state;

	w->serve = basic_registry;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_DENIED);
	assert_true(says(w, "there are none"));
	w->credential = (struct credential){ .kind = CREDENTIAL_PASSWORD,
		.username = (char *)"u",
		.password = (char *)"wrong-one" };
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_DENIED);
	assert_true(says(w, "refuses our user name and password"));
	assert_null(strstr(w->error.why, "wrong-one"));
	assert_int_equal(w->error.status, 401);
	assert_int_equal(stub_requests(w->stub), 3);
}

/* --- ECR ----------------------------------------------------------------- */

static void
aws_token(struct stub_request *r)
{
	struct world *w = r->arg;
	char password[64], encoded[128], text[TEXT_BYTES];
	unsigned n = atomic_fetch_add(&w->tokens, 1);

	(void)snprintf(password, sizeof(password), "AWS:secret-%u", n);
	base64_encode((uint8_t *)password, strlen(password), encoded);
	(void)snprintf(text, sizeof(text),
	    "{\"authorizationData\":[{\"authorizationToken\":\"%s\","
	    "\"expiresAt\":%lld.5}]}",
	    encoded, (long long)(clock_real_ms() / 1000 + 43200));
	stub_answer(r, 200, "", text);
}

/* Takes the password of the given number only. */
static void
aws_registry(struct stub_request *r)
{
	struct world *w = r->arg;
	char password[64], encoded[128], text[TEXT_BYTES];

	if (strcmp(r->method, "POST") == 0) {
		(void)stub_header(r, "X-Amz-Target", text, sizeof(text));
		if (strstr(text, "GetAuthorizationToken") != NULL)
			aws_token(r);
		else if (strstr(r->body, "\"there\"") != NULL)
			stub_answer(r, 400, "",
			    "{\"__type\":\"x#RepositoryAlreadyExistsException"
			    "\"}");
		else
			stub_answer(r, 200, "", "{}");
		return;
	}
	(void)snprintf(
	    password, sizeof(password), "AWS:secret-%u", w->good_token);
	base64_encode((uint8_t *)password, strlen(password), encoded);
	(void)stub_header(r, "Authorization", text, sizeof(text));
	if (text[0] == '\0')
		challenge(r, "Basic", "x");
	else if (strcmp(text + strlen("Basic "), encoded) == 0)
		open_registry(r);
	else
		stub_answer(r, 403, "",
		    "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"Your "
		    "authorization token has expired.\"}]}");
}

static const struct credential aws_key = {
	.kind = CREDENTIAL_AWS,
	.username = (char *)"AKIDEXAMPLE",
	.password = (char *)"secret",
	.region = (char *)"eu-west-1",
};

static void
test_access_key_gets_a_password_that_is_kept(void **state)
{
	struct world *w = *state;

	w->serve = aws_registry;
	w->credential = aws_key;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(get(w, "c", "v1", NULL), RC_OK);
	assert_int_equal(atomic_load(&w->tokens), 1);
	assert_int_equal(
	    stub_count(w->stub, "X-Amz-Target: AmazonEC2ContainerRegistry_"
				"V20150921.GetAuthorizationToken"),
	    1);
	assert_int_equal(stub_count(w->stub, "/eu-west-1/ecr/aws4_request"), 1);
	assert_int_equal(stub_count(w->stub, "Credential=AKIDEXAMPLE/"), 1);
}

static void
test_expired_password_is_fetched_again_once(void **state)
{
	struct world *w = *state;

	w->serve = aws_registry;
	w->credential = aws_key;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	w->good_token = 1;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_int_equal(atomic_load(&w->tokens), 2);
	w->good_token = 99;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_DENIED);
	assert_int_equal(atomic_load(&w->tokens), 3);
	assert_true(says(w, "has expired"));
}

static void
test_many_with_an_expired_password_share_the_new_one(void **state)
{
	struct world *w = *state;

	w->serve = aws_registry;
	w->credential = aws_key;
	w->options.connections = 16;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	w->good_token = 1;
	many_get(w);
	assert_int_equal(atomic_load(&w->tokens), 2);
}

static void
test_repositories_are_created_with_an_access_key(void **state)
{
	struct world *w = *state;

	w->serve = aws_registry;
	assert_int_equal(
	    upstream_repository_create(up(w), SPAN("x"), &w->wait, &w->error),
	    RC_UNSUPPORTED);
	w->credential = aws_key;
	assert_int_equal(
	    upstream_repository_create(up(w), SPAN("x"), &w->wait, &w->error),
	    RC_OK);
	assert_int_equal(upstream_repository_create(
			     up(w), SPAN("there"), &w->wait, &w->error),
	    RC_OK);
	assert_int_equal(stub_count(w->stub, ".CreateRepository"), 2);
}

/* --- limits -------------------------------------------------------------- */

static void
limited_registry(struct stub_request *r)
{
	struct world *w = r->arg;
	char when[CLOCK_HTTP_BYTES], text[TEXT_BYTES];
	unsigned turn = atomic_fetch_add(&w->turns, 1);

	if (strstr(r->target, "rates") != NULL) {
		index_answer(r, "ratelimit-limit: 100;w=21600\r\n"
				"RateLimit-Remaining: 76;w=21600\r\n");
	} else if (turn > 0) {
		open_registry(r);
	} else if (strstr(r->target, "/a/b/") != NULL) {
		stub_answer(r, 429, "Retry-After: 1\r\n",
		    "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":"
		    "\"slowly\"}]}");
	} else {
		(void)snprintf(text, sizeof(text), "Retry-After: %s\r\n",
		    clock_http(clock_real_ms() + 30000, when));
		stub_answer(r, 429, text, "");
	}
}

static void
test_rate_limits_of_docker_hub_are_known(void **state)
{
	struct world *w = *state;
	struct upstream_state s;

	w->serve = limited_registry;
	upstream_state(up(w), &s);
	assert_int_equal(s.limit, -1);
	assert_int_equal(s.remaining, -1);
	assert_int_equal(get(w, "a/b", "rates", NULL), RC_OK);
	upstream_state(up(w), &s);
	assert_int_equal(s.limit, 100);
	assert_int_equal(s.remaining, 76);
}

static void
test_who_has_patience_waits_for_retry_after(void **state)
{
	struct world *w = *state;
	int64_t began_ns = clock_mono_ns();

	w->serve = limited_registry;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_true(clock_mono_ns() - began_ns >= INT64_C(1000000000));
	assert_int_equal(stub_requests(w->stub), 2);
}

static void
test_all_others_fail_at_once_and_say_when(void **state)
{
	struct world *w = *state;
	struct upstream_state s;

	w->serve = limited_registry;
	w->wait.patience_ms = 500;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_LIMIT);
	assert_int_equal(w->error.retry_after_s, 1);
	assert_int_equal(w->error.status, 429);
	assert_true(says(w, "slowly"));
	/* Nor is it asked again before. */
	assert_int_equal(get(w, "c", "v1", NULL), RC_LIMIT);
	assert_int_equal(w->error.retry_after_s, 1);
	assert_int_equal(stub_requests(w->stub), 1);
	upstream_state(w->u, &s);
	assert_true(s.not_before_ms > clock_real_ms());
	assert_true(s.failures == 2 && s.failed_ms > 0);
	assert_non_null(strstr(s.failure, "to wait"));
}

static void
test_retry_after_may_be_a_date(void **state)
{
	struct world *w = *state;

	w->serve = limited_registry;
	w->wait.patience_ms = 1000;
	assert_int_equal(get(w, "c", "v1", NULL), RC_LIMIT);
	assert_in_range(w->error.retry_after_s, 20, 30);
}

static void
moody_registry(struct stub_request *r)
{
	struct world *w = r->arg;
	static const int moods[] = { 500, 502, 503, 504 };
	unsigned turn = atomic_fetch_add(&w->turns, 1);

	/* On a new connection: on one that was kept it would not count. */
	if (turn == 0)
		r->close = true;
	else if (turn % 2 == 0 && turn / 2 <= ARRAY_LEN(moods))
		stub_answer(r, moods[turn / 2 - 1], "", "<html>");
	else
		open_registry(r);
}

static void
test_what_may_pass_is_tried_again(void **state)
{
	struct world *w = *state;
	struct upstream_state s;
	int i;

	w->serve = moody_registry;
	for (i = 0; i < 5; i++)
		assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	upstream_state(w->u, &s);
	assert_int_equal(s.retries, 5);
	assert_int_equal(s.failures, 0);
	assert_int_equal(w->error.status, 0);
}

static void
broken_registry(struct stub_request *r)
{
	stub_answer(r, 503, "", "");
}

static void
test_patience_ends(void **state)
{
	struct world *w = *state;

	w->serve = broken_registry;
	w->wait.patience_ms = 0;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_IO);
	assert_int_equal(stub_requests(w->stub), 1);
	w->wait.patience_ms = 700;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_IO);
	assert_int_equal(w->error.status, 503);
	assert_true(stub_requests(w->stub) > 2);
}

static void
test_nobody_there_is_rc_io(void **state)
{
	struct world *w = *state;

	(void)up(w);
	w->wait.patience_ms = 300;
	/* Where nobody listens any more. */
	w->serve = open_registry;
	w->options.connections = 1;
	upstream_unref(&w->u);
	upstreams_forget(w->set);
	must(upstreams_get(w->set, "http://127.0.0.1:1", SPAN(""), &w->u) ==
	     RC_OK);
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_IO);
	assert_int_equal(w->error.status, 0);
	assert_true(says(w, "127.0.0.1:1"));
}

static void
canceller(void *arg)
{
	struct world *w = arg;

	nap_ms(200);
	atomic_store(&w->cancel, true);
}

static void
test_cancelling_ends_all_waiting(void **state)
{
	struct world *w = *state;
	pthread_t t;

	w->serve = broken_registry;
	w->wait.patience_ms = 3600000;
	must(thread_start("cancel", canceller, w, &t) == RC_OK);
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_CANCELLED);
	thread_join(t);
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_CANCELLED);
}

/* A head without an end, or a byte of a body now and then. */
static void
dripping(struct stub_request *r)
{
	struct world *w = r->arg;
	unsigned i;

	(void)atomic_fetch_add(&w->turns, 1);
	if (w->good_token == 0) {
		stub_text(r, "HTTP/1.1 200 OK\r\n");
		for (i = 0; stub_raw(r, "X-C: 3\r\n", 8) && i < 1000; i++)
			nap_ms(20);
	} else {
		stub_text(r, "HTTP/1.1 200 OK\r\nContent-Type: " MEDIA_OCI_INDEX
			     "\r\nContent-Length: 100000\r\n\r\n");
		for (i = 0; stub_raw(r, "{", 1) && i < 1000; i++)
			nap_ms(20);
	}
	r->close = true;
}

static void
test_who_drips_is_given_up(void **state)
{
	struct world *w = *state;

	w->serve = dripping;
	w->options.stall_ms = 300;
	w->wait.patience_ms = 500;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_TIMEOUT);
	assert_true(says(w, "no end"));
	w->good_token = 1;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_TIMEOUT);
	assert_true(says(w, "too slowly"));
	assert_in_range(atomic_load(&w->turns), 2, 20);
}

static void
slow_registry(struct stub_request *r)
{
	nap_ms(30);
	open_registry(r);
}

static void
test_connections_are_limited(void **state)
{
	struct world *w = *state;

	w->serve = slow_registry;
	w->options.connections = 3;
	many_get(w);
	assert_in_range(atomic_load(&w->most), 1, 3);
	assert_in_range(stub_connections(w->stub), 1, 3);
}

static void
test_requests_are_spaced(void **state)
{
	struct world *w = *state;
	int64_t began_ns = clock_mono_ns();
	int i;

	w->serve = open_registry;
	w->options.requests_per_second = 20;
	for (i = 0; i < 9; i++)
		assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_true(clock_mono_ns() - began_ns >= INT64_C(390000000));
}

static void
test_a_turn_that_comes_too_late_is_not_waited_for(void **state)
{
	struct world *w = *state;
	enum rc rc = RC_OK;
	int i;

	w->serve = open_registry;
	w->options.requests_per_second = 1;
	w->wait.patience_ms = 20;
	for (i = 0; i < 100 && rc == RC_OK; i++)
		rc = get(w, "a/b", "v1", NULL);
	assert_int_equal(rc, RC_LIMIT);
	assert_true(says(w, "wait for their turn"));
	w->wait.patience_ms = PATIENT_MS;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
}

/* --- blobs --------------------------------------------------------------- */

static uint64_t
range_of(struct stub_request *r, bool *has_r)
{
	char text[TEXT_BYTES];
	uint64_t n = 0;
	const char *at;

	(void)stub_header(r, "Range", text, sizeof(text));
	*has_r = strncmp(text, "bytes=", 6) == 0;
	for (at = text + 6; *has_r && *at >= '0' && *at <= '9'; at++)
		n = n * 10 + (uint64_t)(*at - '0');
	must(!*has_r || strcmp(at, "-") == 0);
	return (n);
}

/* From where it was asked for, but at most ${most} bytes of it. */
static void
blob_send(struct stub_request *r, uint64_t from, bool part, size_t most)
{
	struct world *w = r->arg;
	size_t n = BLOB_BYTES - from;

	if (part)
		stub_text(r,
		    "HTTP/1.1 206 Part\r\nContent-Range: bytes %llu-%zu/%zu\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    (unsigned long long)from, BLOB_BYTES - 1, BLOB_BYTES, n);
	else
		stub_text(
		    r, "HTTP/1.1 200 All\r\nContent-Length: %zu\r\n\r\n", n);
	if (strcmp(r->method, "HEAD") == 0)
		return;
	(void)stub_raw(r, w->blob + from, n < most ? n : most);
	r->close = n > most;
}

static void
blobs_with_ranges(struct stub_request *r)
{
	bool part;
	uint64_t from = range_of(r, &part);

	if (strstr(r->target, "/blobs/") == NULL) {
		open_registry(r);
	} else if (from >= BLOB_BYTES) {
		stub_text(r,
		    "HTTP/1.1 416 No\r\nContent-Range: bytes */%zu\r\n"
		    "Content-Length: 0\r\n\r\n",
		    BLOB_BYTES);
	} else {
		/* Never more than that at once. */
		blob_send(r, from, part, MIB + 4711);
	}
}

static void
blobs_without_ranges(struct stub_request *r)
{
	struct world *w = r->arg;

	blob_send(r, 0, false, (atomic_fetch_add(&w->turns, 1) + 1) * 1500000);
}

static enum rc
blob_read(struct world *w, uint64_t offset, struct digest *d_r)
{
	struct hasher *h = hasher_new(DIGEST_SHA256);
	char *part = xmalloc(MIB);
	struct upstream_blob *b;
	size_t n = 1;
	enum rc rc;

	hasher_update(h, w->blob, (size_t)offset);
	rc = upstream_blob_open(
	    up(w), SPAN("a/b"), &w->digest, offset, &w->wait, &b, &w->error);
	while (rc == RC_OK && n > 0) {
		rc = upstream_blob_read(b, part, MIB, &n, &w->error);
		if (rc == RC_OK)
			hasher_update(h, part, n);
	}
	if (b != NULL && rc == RC_OK)
		assert_int_equal(upstream_blob_size(b), BLOB_BYTES);
	upstream_blob_close(&b);
	hasher_final(h, d_r);
	hasher_free(&h);
	free(part);
	return (rc);
}

struct reading {
	struct world *w;
	struct upstream_wait wait;
	enum rc rc;
	atomic_bool open;
};

static void
second_blob(void *arg)
{
	struct reading *r = arg;
	struct world *w = r->w;
	struct upstream_error error;
	struct upstream_blob *b;

	r->rc = upstream_blob_open(
	    up(w), SPAN("a/b"), &w->digest, 0, &r->wait, &b, &error);
	atomic_store(&r->open, true);
	upstream_blob_close(&b);
}

static void
test_blobs_leave_a_connection_to_manifests_and_wait_for_each_other(void **state)
{
	struct world *w = *state;
	struct reading r = { .w = w, .rc = RC_FAILED };
	struct upstream_blob *b;
	pthread_t t;

	w->serve = blobs_with_ranges;
	w->options.connections = 2;
	assert_int_equal(upstream_blob_open(up(w), SPAN("a/b"), &w->digest, 0,
			     &w->wait, &b, &w->error),
	    RC_OK);
	r.wait = w->wait;
	r.wait.patience_ms = 500;
	w->wait.patience_ms = 30000;
	must(thread_start("second", second_blob, &r, &t) == RC_OK);
	nap_ms(1000);
	assert_false(atomic_load(&r.open));
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
	assert_false(atomic_load(&r.open));
	upstream_blob_close(&b);
	thread_join(t);
	assert_int_equal(r.rc, RC_OK);
}

static void
test_no_connection_is_free_for_long(void **state)
{
	struct world *w = *state;
	struct upstream_blob *b;

	w->serve = blobs_with_ranges;
	w->options.connections = 1;
	assert_int_equal(upstream_blob_open(up(w), SPAN("a/b"), &w->digest, 0,
			     &w->wait, &b, &w->error),
	    RC_OK);
	w->wait.patience_ms = 300;
	/* It is we who are busy, not the registry that does not answer. */
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_LIMIT);
	assert_int_equal(w->error.status, 0);
	assert_true(says(w, "all 1 connections are in use"));
	upstream_blob_close(&b);
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_OK);
}

/* The same beginning again and again. */
static void
blobs_that_break(struct stub_request *r)
{
	blob_send(r, 0, false, MIB);
}

static void
test_registry_that_gets_no_further_is_given_up(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = blobs_that_break;
	w->wait.patience_ms = 1000;
	assert_int_equal(blob_read(w, 0, &d), RC_IO);
	assert_in_range(stub_requests(w->stub), 2, 8);
}

static void
test_broken_blobs_go_on_where_they_broke(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = blobs_with_ranges;
	assert_int_equal(blob_read(w, 0, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
	assert_int_equal(stub_requests(w->stub), 4);
	assert_int_equal(stub_count(w->stub, "Range: bytes=1053287-"), 1);
	assert_int_equal(stub_count(w->stub, "If-Range"), 0);
}

static void
test_registries_without_ranges_are_read_again(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = blobs_without_ranges;
	assert_int_equal(blob_read(w, 0, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
	assert_int_equal(stub_requests(w->stub), 3);
}

static void
test_blobs_are_read_from_an_offset(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = blobs_with_ranges;
	assert_int_equal(blob_read(w, 12345, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
	/* All of it is here: there is nothing to be read. */
	assert_int_equal(blob_read(w, BLOB_BYTES, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
	w->serve = blobs_without_ranges;
	assert_int_equal(blob_read(w, 12345, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
}

static void
lying_ranges(struct stub_request *r)
{
	struct world *w = r->arg;
	bool part;
	uint64_t from = range_of(r, &part);

	if (!part) {
		blob_send(r, 0, false, MIB);
		return;
	}
	switch (w->good_token) {
	case 0: /* others than were asked for */
		blob_send(r, from + 1, true, BLOB_BYTES);
		break;
	case 1: /* no Content-Range */
		stub_text(r, "HTTP/1.1 206 Part\r\nContent-Length: 1\r\n\r\nx");
		break;
	case 2: /* another size */
		stub_text(r,
		    "HTTP/1.1 206 Part\r\nContent-Range: bytes "
		    "%llu-%llu/%llu\r\nContent-Length: 1\r\n\r\nx",
		    (unsigned long long)from, (unsigned long long)from,
		    (unsigned long long)from + 1);
		break;
	case 3: /* another size, of all */
		stub_answer(r, 200, "", "something else");
		break;
	default:
		stub_answer(r, 416, "", "");
	}
}

static void
test_ranges_that_lie_fail(void **state)
{
	static const enum rc want[] = { RC_INVALID, RC_INVALID, RC_DIGEST,
		RC_DIGEST, RC_INVALID };
	struct world *w = *state;
	struct digest d;

	w->serve = lying_ranges;
	for (; w->good_token < ARRAY_LEN(want); w->good_token++)
		assert_int_equal(blob_read(w, 0, &d), want[w->good_token]);
}

static void
stuck_blobs(struct stub_request *r)
{
	bool part;

	(void)range_of(r, &part);
	if (part)
		stub_answer(r, 503, "", "");
	else
		blob_send(r, 0, false, MIB);
}

static void
test_patience_for_a_blob_ends(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = stuck_blobs;
	w->wait.patience_ms = 600;
	assert_int_equal(blob_read(w, 0, &d), RC_IO);
	assert_int_equal(w->error.status, 503);
	assert_true(says(w, w->digest_text));
}

static void
dripping_blobs(struct stub_request *r)
{
	struct world *w = r->arg;
	bool part;
	uint64_t from = range_of(r, &part);
	unsigned i;

	(void)atomic_fetch_add(&w->turns, 1);
	stub_text(r,
	    "HTTP/1.1 %s\r\nContent-Length: %llu\r\n"
	    "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
	    part ? "206 Partial Content" : "200 OK",
	    (unsigned long long)(BLOB_BYTES - from), (unsigned long long)from,
	    (unsigned long long)BLOB_BYTES - 1, (unsigned long long)BLOB_BYTES);
	for (i = 0; stub_raw(r, w->blob + from + i, 1) && i < 1000; i++)
		nap_ms(20);
	r->close = true;
}

static void
test_blob_that_drips_is_given_up(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = dripping_blobs;
	w->options.stall_ms = 200;
	assert_int_equal(blob_read(w, 0, &d), RC_INVALID);
	assert_true(says(w, "too slowly"));
	assert_int_equal(atomic_load(&w->turns), 3);
}

static void
test_blob_head_says_the_size(void **state)
{
	struct world *w = *state;
	uint64_t n;

	w->serve = blobs_with_ranges;
	assert_int_equal(upstream_blob_head(up(w), SPAN("a/b"), &w->digest,
			     &w->wait, &n, &w->error),
	    RC_OK);
	assert_int_equal(n, BLOB_BYTES);
	w->serve = open_registry;
	assert_int_equal(upstream_blob_head(up(w), SPAN("a/b"), &w->digest,
			     &w->wait, &n, &w->error),
	    RC_NOTFOUND);
}

static void
test_bytes_are_slowed_down(void **state)
{
	struct world *w = *state;
	int64_t began_ns = clock_mono_ns();
	struct digest d;

	w->serve = blobs_without_ranges;
	atomic_store(&w->turns, 9);
	w->options.bytes_per_second = 8 * MIB;
	assert_int_equal(blob_read(w, 0, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
	/* Half a second, less what may come at once. */
	assert_true(clock_mono_ns() - began_ns >= INT64_C(150000000));
}

/* --- redirects ----------------------------------------------------------- */

/* By path: to somebody else, to ourselves, around for ever; all wants Basic. */
static void
redirecting(struct stub_request *r)
{
	struct world *w = r->arg;
	char text[2 * TEXT_BYTES + 4096];
	uint64_t from;
	bool part;

	if (strncmp(r->target, "/back", 5) == 0) {
		(void)snprintf(text, sizeof(text), "Location: %s/bytes\r\n",
		    stub_url(w->stub));
		stub_answer(r, 302, text, "moved back");
		return;
	}
	if (strncmp(r->target, "/bytes", 6) == 0) {
		from = range_of(r, &part);
		blob_send(r, from, part, BLOB_BYTES);
		return;
	}
	(void)stub_header(r, "Authorization", text, sizeof(text));
	if (text[0] == '\0') {
		challenge(r, "Basic", "x");
		return;
	}
	switch (w->good_token) {
	case 0:
		(void)snprintf(text, sizeof(text),
		    "Location: %s/bytes?Signature=s3cret\r\n",
		    stub_url(w->other));
		break;
	case 1:
		(void)snprintf(text, sizeof(text), "Location: /bytes\r\n");
		break;
	case 2:
		(void)snprintf(
		    text, sizeof(text), "Location: %s\r\n", r->target);
		break;
	case 3:
		(void)snprintf(text, sizeof(text), "Location: %s/gone\r\n",
		    stub_url(w->other));
		break;
	case 4:
		(void)snprintf(
		    text, sizeof(text), "Location: file:///etc/passwd\r\n");
		break;
	case 6:
		(void)snprintf(text, sizeof(text), "Location: %s/back\r\n",
		    stub_url(w->other));
		break;
	case 7:
		(void)snprintf(text, sizeof(text),
		    "Location: http://127.0.0.1:1/bytes\r\n");
		break;
	default:
		text[0] = '\0';
	}
	stub_answer(r, 307, text, "moved");
}

static void
basic_set(struct world *w)
{
	w->credential = (struct credential){ .kind = CREDENTIAL_PASSWORD,
		.username = (char *)"u",
		.password = (char *)"p" };
}

static void
test_redirects_elsewhere_carry_no_credentials(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = redirecting;
	basic_set(w);
	upstream_mark(up(w), "Registryd-Replication: r/1");
	assert_int_equal(blob_read(w, 5, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
	assert_int_equal(stub_requests(w->other), 1);
	assert_int_equal(stub_count(w->other, "Authorization"), 0);
	assert_int_equal(stub_count(w->other, "Registryd-Replication"), 0);
	assert_int_equal(stub_count(w->other, "Range: bytes=5-"), 1);
	assert_int_equal(stub_count(w->stub, "Registryd-Replication: r/1"), 2);
	assert_int_equal(stub_count(w->stub, "Authorization"), 1);
}

static void
test_redirects_to_the_registry_itself_carry_them(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = redirecting;
	w->good_token = 1;
	basic_set(w);
	assert_int_equal(blob_read(w, 0, &d), RC_OK);
	assert_int_equal(stub_count(w->stub, "Authorization"), 2);
	assert_int_equal(stub_requests(w->stub), 3);
}

/* Whoever we were sent to chose what is asked of it. */
static void
test_redirects_that_lead_back_carry_no_credentials(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = redirecting;
	w->good_token = 6;
	basic_set(w);
	assert_int_equal(blob_read(w, 0, &d), RC_OK);
	assert_true(digest_eq(&d, &w->digest));
	assert_int_equal(stub_count(w->other, "GET /back"), 1);
	assert_int_equal(stub_count(w->other, "Authorization"), 0);
	assert_int_equal(stub_count(w->stub, "GET /bytes"), 1);
	assert_int_equal(stub_count(w->stub, "Authorization"), 1);
}

static void
test_who_a_redirect_leads_to_fails_for_himself(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = redirecting;
	w->good_token = 7;
	w->wait.patience_ms = 100;
	basic_set(w);
	assert_int_equal(blob_read(w, 0, &d), RC_IO);
	assert_int_equal(w->error.status, 0);
	assert_true(w->error.elsewhere);
	stub_stop(&w->stub);
	assert_int_equal(blob_read(w, 0, &d), RC_IO);
	assert_false(w->error.elsewhere);
}

static void
test_redirects_have_an_end(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = redirecting;
	w->good_token = 2;
	basic_set(w);
	assert_int_equal(blob_read(w, 0, &d), RC_INVALID);
	assert_true(says(w, "more than 5 redirects"));
	assert_int_equal(stub_requests(w->stub), 7);
	for (w->good_token = 4; w->good_token < 6; w->good_token++)
		assert_int_equal(blob_read(w, 0, &d), RC_INVALID);
}

/* Who asks there who we are is not the registry. */
static void
test_challenges_from_elsewhere_are_not_answered(void **state)
{
	struct world *w = *state;
	struct digest d;

	w->serve = redirecting;
	w->good_token = 3;
	basic_set(w);
	assert_int_equal(blob_read(w, 0, &d), RC_DENIED);
	assert_true(says(w, "where it led us"));
	assert_int_equal(stub_count(w->other, "Authorization"), 0);
	assert_int_equal(stub_requests(w->other), 1);
}

/* --- TLS ----------------------------------------------------------------- */

static void
tls_again(struct world *w)
{
	world_stop(w);
	world_start(w, true);
}

static void
test_https_is_not_left_for_http(void **state)
{
	struct world *w = *state;
	struct digest d;

	tls_again(w);
	w->serve = redirecting;
	basic_set(w);
	assert_int_equal(blob_read(w, 0, &d), RC_INVALID);
	assert_true(says(w, "from https to http"));
	assert_null(strstr(w->error.why, "s3cret"));
	assert_int_equal(stub_requests(w->other), 0);
}

static void
test_credentials_do_not_go_to_a_token_service_without_tls(void **state)
{
	struct world *w = *state;

	tls_again(w);
	w->serve = token_registry;
	basic_set(w);
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_DENIED);
	assert_true(says(w, "without TLS"));
	assert_int_equal(stub_requests(w->other), 0);
}

static void
test_untrusted_certificate_is_denied_at_once(void **state)
{
	struct world *w = *state;

	tls_again(w);
	w->serve = open_registry;
	w->options.ca_file = NULL;
	assert_int_equal(get(w, "a/b", "v1", NULL), RC_DENIED);
	assert_int_equal(w->error.status, 0);
	assert_true(says(w, "certificate"));
}

/* --- odd manifests ------------------------------------------------------- */

static void
odd_manifests(struct stub_request *r)
{
	char *big;

	if (strstr(r->target, "plain") != NULL) {
		stub_answer(r, 200, "Content-Type: text/plain\r\n", index_text);
	} else if (strstr(r->target, "wrong") != NULL) {
		stub_answer(r, 200,
		    "Content-Type: " MEDIA_OCI_INDEX
		    "\r\nDocker-Content-Digest: sha256:"
		    "0000000000000000000000000000000000000000000000000000000"
		    "000000000\r\n",
		    index_text);
	} else if (strstr(r->target, "endless") != NULL) {
		big = xmalloc(MIB);
		memset(big, ' ', MIB);
		stub_text(r, "HTTP/1.1 200 OK\r\n\r\n");
		while (stub_raw(r, big, MIB))
			continue;
		r->close = true;
		free(big);
	} else if (strstr(r->target, "big") != NULL) {
		stub_text(r, "HTTP/1.1 200 OK\r\nContent-Type: " MEDIA_OCI_INDEX
			     "\r\nDocker-Content-Digest: sha256:"
			     "00000000000000000000000000000000000000000000000"
			     "00000000000000000\r\n"
			     "Content-Length: 4194305\r\n\r\n");
		r->close = true;
	} else if (strcmp(r->method, "HEAD") == 0) {
		stub_answer(r, 200, "", "");
	} else {
		index_answer(r, "");
	}
}

static void
test_digest_of_a_manifest_is_checked(void **state)
{
	struct world *w = *state;
	struct reference ref = { .is_digest = true };
	struct upstream_manifest m;

	w->serve = odd_manifests;
	assert_int_equal(get(w, "a/b", "wrong", &m), RC_DIGEST);
	digest_of(DIGEST_SHA256, "x", 1, &ref.digest);
	assert_int_equal(upstream_manifest_get(up(w), SPAN("a/b"), &ref,
			     &w->wait, &w->arena, &m, &w->error),
	    RC_DIGEST);
	digest_of(DIGEST_SHA512, index_text, strlen(index_text), &ref.digest);
	assert_int_equal(upstream_manifest_get(up(w), SPAN("a/b"), &ref,
			     &w->wait, &w->arena, &m, &w->error),
	    RC_OK);
	assert_true(digest_eq(&m.digest, &ref.digest));
}

static void
test_manifests_have_a_limit(void **state)
{
	struct world *w = *state;
	struct upstream_manifest m;

	w->serve = odd_manifests;
	assert_int_equal(get(w, "a/b", "big", &m), RC_TOOBIG);
	assert_int_equal(get(w, "a/b", "endless", &m), RC_TOOBIG);
	assert_int_equal(head(w, "big", &m), RC_TOOBIG);
}

static void
test_head_without_a_digest_becomes_get(void **state)
{
	struct world *w = *state;
	struct upstream_manifest m;
	struct digest d;

	w->serve = odd_manifests;
	digest_of(DIGEST_SHA256, index_text, strlen(index_text), &d);
	assert_int_equal(head(w, "v1", &m), RC_OK);
	assert_true(digest_eq(&m.digest, &d));
	assert_null(m.text.p);
	assert_int_equal(get(w, "a/b", "plain", &m), RC_OK);
	assert_true(span_is(m.media_type, MEDIA_OCI_INDEX));
}

/* --- lists --------------------------------------------------------------- */

static void
tags_by_link(struct stub_request *r)
{
	struct world *w = r->arg;
	char text[TEXT_BYTES];

	if (strstr(r->target, "last=b") != NULL) {
		stub_answer(r, 200, "", "{\"name\":\"x\",\"tags\":[\"c\"]}");
	} else if (strstr(r->target, "/other/") != NULL) {
		(void)snprintf(text, sizeof(text),
		    "Link: <%s/v2/x>; rel=\"next\"\r\n", stub_url(w->other));
		stub_answer(r, 200, text, "{\"tags\":[\"a\"]}");
	} else if (strstr(r->target, "/round/") != NULL) {
		stub_answer(r, 200,
		    "Link: </v2/round/tags/list?x>; rel=next\r\n",
		    "{\"tags\":[\"a\"]}");
	} else if (strstr(r->target, "/null/") != NULL) {
		stub_answer(r, 200, "", "{\"tags\":null}");
	} else if (strstr(r->target, "/odd/") != NULL) {
		stub_answer(
		    r, 200, "", "{\"tags\":[\"ok\",\"not ok\",7,\"../x\"]}");
	} else {
		stub_answer(r, 200, "Link: <list?n=2&last=b>; rel=\"next\"\r\n",
		    "{\"tags\":[\"a\",\"b\"]}");
	}
}

static enum rc
tags(struct world *w, const char *repository, struct span next,
    struct upstream_tags *page_r)
{
	return (upstream_tags(up(w), span_of(repository), next, &w->wait,
	    &w->arena, page_r, &w->error));
}

static void
test_tags_come_by_pages(void **state)
{
	struct world *w = *state;
	struct upstream_tags page;

	w->serve = tags_by_link;
	assert_int_equal(tags(w, "a/b", SPAN_NONE, &page), RC_OK);
	assert_int_equal(page.n, 2);
	assert_true(span_is(page.items[1], "b"));
	assert_non_null(page.next.p);
	assert_int_equal(tags(w, "a/b", page.next, &page), RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(span_is(page.items[0], "c"));
	assert_null(page.next.p);
	assert_int_equal(
	    stub_count(w->stub, "GET /v2/a/b/tags/list?n=2&last=b "), 1);
}

static void
test_pages_stay_with_the_registry_and_end(void **state)
{
	struct world *w = *state;
	struct upstream_tags page;

	w->serve = tags_by_link;
	assert_int_equal(tags(w, "other", SPAN_NONE, &page), RC_INVALID);
	assert_int_equal(stub_requests(w->other), 0);
	assert_int_equal(tags(w, "round", SPAN_NONE, &page), RC_OK);
	assert_int_equal(tags(w, "round", page.next, &page), RC_INVALID);
	assert_true(says(w, "circles"));
	assert_int_equal(tags(w, "null", SPAN_NONE, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_int_equal(tags(w, "odd", SPAN_NONE, &page), RC_OK);
	assert_int_equal(page.n, 1);
}

/* Full pages without a Link. */
static void
tags_by_last(struct stub_request *r)
{
	struct world *w = r->arg;
	struct buf b;
	int i, first = 1000;

	if (strstr(r->target, "&last=t1999") != NULL && w->good_token == 0)
		first = 2000;
	buf_init(&b, MIB);
	buf_str(&b, "{\"tags\":[");
	for (i = first; i < (first == 2000 ? 2007 : 2000); i++)
		buf_printf(&b, "%s\"t%d\"", i > first ? "," : "", i);
	buf_str(&b, "]}");
	stub_answer_bytes(r, 200, "", b.p, b.n);
	buf_free(&b);
}

static void
test_registries_without_links_are_asked_by_the_last_tag(void **state)
{
	struct world *w = *state;
	struct upstream_tags page;

	w->serve = tags_by_last;
	assert_int_equal(tags(w, "a/b", SPAN_NONE, &page), RC_OK);
	assert_int_equal(page.n, 1000);
	assert_int_equal(tags(w, "a/b", page.next, &page), RC_OK);
	assert_int_equal(page.n, 7);
	assert_null(page.next.p);
	/* One that takes no notice of it sends the same for ever. */
	w->good_token = 1;
	assert_int_equal(tags(w, "a/b", SPAN_NONE, &page), RC_OK);
	assert_int_equal(tags(w, "a/b", page.next, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_null(page.next.p);
}

#define DIGEST_A \
	"sha256:" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B \
	"sha256:" \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ROW(digest) \
	"{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"" digest \
	"\",\"size\":7,\"artifactType\":\"a/t\"}"

static void
referrers_api(struct stub_request *r)
{
	if (strstr(r->target, "page2") != NULL)
		stub_answer(r, 200, "Content-Type: " MEDIA_OCI_INDEX "\r\n",
		    "{\"manifests\":[" ROW(DIGEST_B) "]}");
	else
		stub_answer(r, 200,
		    "Content-Type: " MEDIA_OCI_INDEX
		    "\r\nLink: </v2/a/b/page2>; rel=\"next\"\r\n",
		    "{\"manifests\":[" ROW(DIGEST_A) "]}");
}

static void
referrers_tag(struct stub_request *r)
{
	if (strstr(r->target, "/manifests/sha256-") != NULL)
		stub_answer(r, 200, "Content-Type: " MEDIA_OCI_INDEX "\r\n",
		    "{\"manifests\":[" ROW(DIGEST_B) "]}");
	else
		stub_answer(r, 404, "Content-Type: text/plain\r\n",
		    "404 page not found");
}

static enum rc
referrers(struct world *w, struct upstream_referrer **rows_r, size_t *n_r)
{
	return (upstream_referrers(up(w), SPAN("a/b"), &w->digest, &w->wait,
	    &w->arena, rows_r, n_r, &w->error));
}

static void
test_referrers_come_from_the_api_or_the_tag(void **state)
{
	struct world *w = *state;
	struct upstream_referrer *rows;
	char text[DIGEST_STR_BYTES];
	size_t n;

	w->serve = referrers_api;
	assert_int_equal(referrers(w, &rows, &n), RC_OK);
	assert_int_equal(n, 2);
	assert_string_equal(digest_str(&rows[0].digest, text), DIGEST_A);
	assert_string_equal(digest_str(&rows[1].digest, text), DIGEST_B);
	assert_true(span_is(rows[1].artifact_type, "a/t"));
	assert_int_equal(rows[1].size_bytes, 7);
	w->serve = referrers_tag;
	assert_int_equal(referrers(w, &rows, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_string_equal(digest_str(&rows[0].digest, text), DIGEST_B);
	w->serve = open_registry;
	assert_int_equal(referrers(w, &rows, &n), RC_OK);
	assert_int_equal(n, 0);
}

/* --- pushing ------------------------------------------------------------- */

struct source {
	struct world *w;
	size_t n, at;
	unsigned reads;
};

static enum rc
source_read(void *arg, void *p, size_t room, size_t *n_r)
{
	struct source *s = arg;

	s->reads++;
	*n_r = room < s->n - s->at ? room : s->n - s->at;
	memcpy(p, s->w->blob + s->at, *n_r);
	s->at += *n_r;
	return (RC_OK);
}

/* POST, PUT; what was put is judged by its size and pattern. */
static void
taking_registry(struct stub_request *r)
{
	struct world *w = r->arg;
	bool whole = pattern_ok(r->body, r->body_n, 0);

	if (strcmp(r->method, "HEAD") == 0)
		stub_answer(r, 404, "", "");
	else if (strcmp(r->method, "POST") == 0 &&
		 strstr(r->target, "mount=") != NULL)
		stub_answer(r, w->good_token == 0 ? 201 : 405, "", "");
	else if (strcmp(r->method, "POST") == 0)
		stub_answer(r, 202, "Location: /up/1?_state=a%2Fb\r\n", "");
	else if (strcmp(r->method, "PUT") == 0 &&
		 atomic_fetch_add(&w->turns, 1) < w->good_token)
		stub_answer(r, 503, "", "");
	else if (strcmp(r->method, "PUT") == 0 && whole)
		stub_answer(r, 201, "", "");
	else
		stub_answer(r, 400, "", "");
}

/* Where to upload to is somebody else's address. */
static void
foreign_uploads(struct stub_request *r)
{
	char text[TEXT_BYTES];
	struct world *w = r->arg;

	(void)stub_header(r, "Authorization", text, sizeof(text));
	if (strcmp(r->method, "PUT") == 0) {
		taking_registry(r);
	} else if (text[0] == '\0') {
		challenge(r, "Basic", "x");
	} else if (strcmp(r->method, "POST") == 0) {
		(void)snprintf(text, sizeof(text), "Location: %s/up\r\n",
		    stub_url(w->other));
		stub_answer(r, 202, text, "");
	} else {
		taking_registry(r);
	}
}

static enum rc
push(struct world *w, size_t n, size_t announced, const char *from,
    struct source *s)
{
	struct digest d;

	digest_of(DIGEST_SHA256, w->blob, n, &d);
	*s = (struct source){ .w = w, .n = n };
	return (upstream_blob_put(up(w), SPAN("a/b"), &d, announced,
	    span_of(from), source_read, s, &w->wait, &w->error));
}

static void
test_blobs_are_pushed(void **state)
{
	struct world *w = *state;
	struct source s;

	w->serve = taking_registry;
	assert_int_equal(push(w, 1000, 1000, "", &s), RC_OK);
	assert_int_equal(push(w, BLOB_BYTES, BLOB_BYTES, "", &s), RC_OK);
	assert_int_equal(push(w, 0, 0, "", &s), RC_OK);
	assert_int_equal(
	    stub_count(w->stub, "PUT /up/1?_state=a%2Fb&digest=sha256%3A"), 3);
	assert_int_equal(stub_count(w->stub, "Content-Length: 4194304"), 1);
}

static void
test_uploads_elsewhere_carry_no_credentials(void **state)
{
	struct world *w = *state;
	struct source s;

	w->serve = foreign_uploads;
	basic_set(w);
	assert_int_equal(push(w, 1000, 1000, "", &s), RC_OK);
	assert_int_equal(push(w, BLOB_BYTES, BLOB_BYTES, "", &s), RC_OK);
	assert_int_equal(stub_requests(w->other), 2);
	assert_int_equal(stub_count(w->other, "Authorization"), 0);
}

static void
test_what_is_there_or_mounted_is_not_read(void **state)
{
	struct world *w = *state;
	struct source s;

	w->serve = taking_registry;
	assert_int_equal(push(w, 1000, 1000, "c/d", &s), RC_OK);
	assert_int_equal(s.reads, 0);
	assert_int_equal(stub_count(w->stub, "&from=c/d"), 1);
	w->serve = blobs_with_ranges;
	assert_int_equal(push(w, 1000, 1000, "", &s), RC_OK);
	assert_int_equal(s.reads, 0);
}

static void
test_who_may_not_mount_uploads(void **state)
{
	struct world *w = *state;
	struct source s;

	w->serve = taking_registry;
	w->good_token = 1;
	atomic_store(&w->turns, 1);
	assert_int_equal(push(w, 1000, 1000, "c/d", &s), RC_OK);
	assert_true(s.reads > 0);
}

static void
test_only_what_is_held_is_sent_again(void **state)
{
	struct world *w = *state;
	struct source s;

	w->serve = taking_registry;
	w->good_token = 2;
	assert_int_equal(push(w, 1000, 1000, "", &s), RC_OK);
	assert_int_equal(stub_count(w->stub, "PUT /up/"), 3);
	atomic_store(&w->turns, 0);
	assert_int_equal(push(w, BLOB_BYTES, BLOB_BYTES, "", &s), RC_IO);
	assert_int_equal(w->error.status, 503);
	assert_int_equal(stub_count(w->stub, "PUT /up/"), 4);
}

static void
test_sources_of_another_size_fail(void **state)
{
	struct world *w = *state;
	struct source s;

	w->serve = taking_registry;
	assert_int_equal(push(w, 1000, 999, "", &s), RC_DIGEST);
	assert_int_equal(push(w, 1000, 1001, "", &s), RC_DIGEST);
	assert_int_equal(
	    push(w, BLOB_BYTES - 1, BLOB_BYTES, "", &s), RC_DIGEST);
	assert_int_equal(
	    push(w, BLOB_BYTES, BLOB_BYTES - 1, "", &s), RC_DIGEST);
}

static bool
refuse_early(struct stub_request *r)
{
	if (strcmp(r->method, "PUT") != 0)
		return (false);
	stub_answer(r, 413, "Connection: close\r\n",
	    "{\"errors\":[{\"code\":\"SIZE\",\"message\":\"too much\"}]}");
	/* The client is to see the answer, and not only the reset. */
	stub_stall(r, 300);
	return (true);
}

static void
test_early_refusal_of_an_upload_is_told(void **state)
{
	struct world *w = *state;
	struct source s;

	w->serve = taking_registry;
	w->early = refuse_early;
	assert_int_equal(push(w, BLOB_BYTES, BLOB_BYTES, "", &s), RC_TOOBIG);
	assert_true(says(w, "too much"));
}

/* Reading and sending do not wait for each other. */
static enum rc
through_read(void *arg, void *p, size_t room, size_t *n_r)
{
	struct upstream_error error;

	return (upstream_blob_read(arg, p, room, n_r, &error));
}

static void
copying_registry(struct stub_request *r)
{
	if (strcmp(r->method, "GET") == 0)
		blob_send(r, 0, false, BLOB_BYTES);
	else
		taking_registry(r);
}

static void
test_one_connection_is_enough_to_copy_to_the_same_registry(void **state)
{
	struct world *w = *state;
	struct upstream_blob *b;

	w->serve = copying_registry;
	w->options.connections = 1;
	assert_int_equal(upstream_blob_open(up(w), SPAN("a"), &w->digest, 0,
			     &w->wait, &b, &w->error),
	    RC_OK);
	assert_int_equal(
	    upstream_blob_put(w->u, SPAN("b"), &w->digest, BLOB_BYTES, SPAN(""),
		through_read, b, &w->wait, &w->error),
	    RC_OK);
	upstream_blob_close(&b);
}

static void
judging_registry(struct stub_request *r)
{
	if (strstr(r->target, "missing") != NULL)
		stub_answer(r, 400, "",
		    "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\"}]}");
	else if (strstr(r->target, "fixed") != NULL)
		stub_answer(
		    r, 400, "", "{\"errors\":[{\"code\":\"TAG_INVALID\"}]}");
	else if (strstr(r->target, "large") != NULL)
		stub_answer(r, 413, "", "");
	else if (strstr(r->target, "cannot") != NULL)
		stub_answer(r, 405, "", "");
	else if (strstr(r->target, "bad") != NULL)
		stub_answer(r, 400, "", "");
	else if (strstr(r->target, "gone") != NULL)
		stub_answer(r, 404, "", "");
	else
		stub_answer(
		    r, strcmp(r->method, "PUT") == 0 ? 201 : 202, "", "");
}

static enum rc
put(struct world *w, const char *tag)
{
	struct reference ref = { .tag = span_of(tag) };

	return (upstream_manifest_put(up(w), SPAN("a/b"), &ref,
	    SPAN(MEDIA_OCI_INDEX), span_of(index_text), &w->wait, &w->error));
}

static void
test_manifests_are_put(void **state)
{
	struct world *w = *state;

	w->serve = judging_registry;
	assert_int_equal(put(w, "v1"), RC_OK);
	assert_int_equal(
	    stub_count(w->stub, "Content-Type: " MEDIA_OCI_INDEX), 1);
	assert_int_equal(put(w, "missing"), RC_MISSING);
	assert_int_equal(put(w, "fixed"), RC_EXISTS);
	assert_int_equal(put(w, "large"), RC_TOOBIG);
	assert_int_equal(put(w, "bad"), RC_FAILED);
	assert_int_equal(put(w, "gone"), RC_NOTFOUND);
}

static enum rc
tag_delete(struct world *w, const char *tag)
{
	return (upstream_tag_delete(
	    up(w), SPAN("a/b"), span_of(tag), &w->wait, &w->error));
}

static void
test_tags_are_deleted_where_that_is_possible(void **state)
{
	struct world *w = *state;

	w->serve = judging_registry;
	assert_int_equal(tag_delete(w, "v1"), RC_OK);
	assert_int_equal(
	    stub_count(w->stub, "DELETE /v2/a/b/manifests/v1 "), 1);
	assert_int_equal(tag_delete(w, "cannot"), RC_UNSUPPORTED);
	assert_int_equal(tag_delete(w, "bad"), RC_UNSUPPORTED);
	assert_int_equal(tag_delete(w, "gone"), RC_NOTFOUND);
}

/* --- the set ------------------------------------------------------------- */

static void
count_upstream(void *arg, struct upstream *u)
{
	unsigned *n = arg;

	must(upstream_url(u) != NULL);
	(*n)++;
}

static void
test_upstreams_are_shared_until_they_are_forgotten(void **state)
{
	struct world *w = *state;
	struct upstream *a, *b, *c, *d;
	unsigned n = 0;

	assert_int_equal(
	    upstreams_get(w->set, "https://X.example:443/", SPAN(""), &a),
	    RC_OK);
	assert_int_equal(
	    upstreams_get(w->set, "https://x.example", SPAN(""), &b), RC_OK);
	assert_ptr_equal(a, b);
	assert_string_equal(upstream_url(a), "https://x.example");
	assert_int_equal(
	    upstreams_get(w->set, "https://x.example", SPAN("k"), &c), RC_OK);
	assert_ptr_not_equal(a, c);
	upstreams_walk(w->set, count_upstream, &n);
	assert_int_equal(n, 2);
	upstreams_forget(w->set);
	assert_int_equal(
	    upstreams_get(w->set, "https://x.example", SPAN(""), &d), RC_OK);
	assert_ptr_not_equal(a, d);
	assert_int_equal(
	    upstreams_get(w->set, "ftp://x", SPAN(""), &b), RC_INVALID);
	upstream_unref(&a);
	upstream_unref(&b);
	assert_null(b);
	upstream_unref(&c);
	upstream_unref(&d);
	b = NULL;
	upstream_unref(&b);
}

/* --- as a place ---------------------------------------------------------- */

static void
place_registry(struct stub_request *r)
{
	if (strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0 ||
	    (strcmp(r->method, "HEAD") == 0 &&
		strstr(r->target, "/blobs/") != NULL))
		taking_registry(r);
	else
		blobs_with_ranges(r);
}

static struct place *
place_of(struct world *w)
{
	const struct place_remote_options options = {
		.upstream = up(w),
		.repository = SPAN("a/b"),
		.patience_ms = PATIENT_MS,
		.name = "there/a/b",
		.cancel = &w->cancel,
	};

	return (place_remote(&options));
}

static void
test_a_repository_elsewhere_is_a_place(void **state)
{
	struct world *w = *state;
	struct place *p;
	struct place_manifest m;
	struct place_blob *b;
	struct reference ref = { .tag = SPAN("v1") };
	struct digest wrong;

	w->serve = place_registry;
	p = place_of(w);
	assert_string_equal(p->name, "there/a/b");
	assert_int_equal(
	    p->ops->manifest_get(p, &ref, &w->arena, &m, &w->error), RC_OK);
	assert_true(span_is(m.text, index_text));
	assert_int_equal(
	    p->ops->manifest_put(p, &m, SPAN("v3"), &w->error), RC_FAILED);
	assert_int_equal(p->ops->blob_has(p, &w->digest, BLOB_BYTES, &w->error),
	    RC_NOTFOUND);
	assert_int_equal(
	    p->ops->blob_open(p, &w->digest, BLOB_BYTES, &b, &w->error), RC_OK);
	assert_int_equal(
	    p->ops->blob_put(p, &w->digest, BLOB_BYTES, b, &w->error), RC_OK);
	b->close(b);
	digest_of(DIGEST_SHA256, "x", 1, &wrong);
	assert_int_equal(
	    p->ops->blob_open(p, &w->digest, BLOB_BYTES, &b, &w->error), RC_OK);
	assert_int_equal(
	    p->ops->blob_put(p, &wrong, BLOB_BYTES, b, &w->error), RC_DIGEST);
	assert_true(says(w, "there/a/b"));
	b->close(b);
	p->ops->free(p);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_manifest_is_read_by_tag),
		TEST(test_errors_name_registry_request_and_answer),
		TEST(test_ping_asks_for_the_base_or_a_repository),
		TEST(test_token_is_asked_for_once),
		TEST(test_password_goes_to_the_token_service_only),
		TEST(test_many_who_need_one_token_share_the_request),
		TEST(test_token_is_renewed_before_it_expires),
		TEST(test_refused_token_is_renewed_once),
		TEST(test_refusal_of_the_token_service_is_told),
		TEST(test_identity_token_is_posted),
		TEST(test_odd_answers_of_token_services_fail),
		TEST(test_basic_is_shown_after_it_was_asked_for),
		TEST(test_wrong_passwords_and_none_are_told),
		TEST(test_access_key_gets_a_password_that_is_kept),
		TEST(test_expired_password_is_fetched_again_once),
		TEST(test_many_with_an_expired_password_share_the_new_one),
		TEST(test_repositories_are_created_with_an_access_key),
		TEST(test_rate_limits_of_docker_hub_are_known),
		TEST(test_who_has_patience_waits_for_retry_after),
		TEST(test_all_others_fail_at_once_and_say_when),
		TEST(test_retry_after_may_be_a_date),
		TEST(test_what_may_pass_is_tried_again),
		TEST(test_patience_ends),
		TEST(test_nobody_there_is_rc_io),
		TEST(test_cancelling_ends_all_waiting),
		TEST(test_who_drips_is_given_up),
		TEST(test_connections_are_limited),
		TEST(
		    test_blobs_leave_a_connection_to_manifests_and_wait_for_each_other),
		TEST(test_no_connection_is_free_for_long),
		TEST(test_registry_that_gets_no_further_is_given_up),
		TEST(test_requests_are_spaced),
		TEST(test_a_turn_that_comes_too_late_is_not_waited_for),
		TEST(test_broken_blobs_go_on_where_they_broke),
		TEST(test_registries_without_ranges_are_read_again),
		TEST(test_blobs_are_read_from_an_offset),
		TEST(test_ranges_that_lie_fail),
		TEST(test_patience_for_a_blob_ends),
		TEST(test_blob_that_drips_is_given_up),
		TEST(test_blob_head_says_the_size),
		TEST(test_bytes_are_slowed_down),
		TEST(test_redirects_elsewhere_carry_no_credentials),
		TEST(test_redirects_to_the_registry_itself_carry_them),
		TEST(test_redirects_that_lead_back_carry_no_credentials),
		TEST(test_who_a_redirect_leads_to_fails_for_himself),
		TEST(test_redirects_have_an_end),
		TEST(test_challenges_from_elsewhere_are_not_answered),
		TEST(test_https_is_not_left_for_http),
		TEST(test_credentials_do_not_go_to_a_token_service_without_tls),
		TEST(test_untrusted_certificate_is_denied_at_once),
		TEST(test_digest_of_a_manifest_is_checked),
		TEST(test_manifests_have_a_limit),
		TEST(test_head_without_a_digest_becomes_get),
		TEST(test_tags_come_by_pages),
		TEST(test_pages_stay_with_the_registry_and_end),
		TEST(test_registries_without_links_are_asked_by_the_last_tag),
		TEST(test_referrers_come_from_the_api_or_the_tag),
		TEST(test_blobs_are_pushed),
		TEST(test_uploads_elsewhere_carry_no_credentials),
		TEST(test_what_is_there_or_mounted_is_not_read),
		TEST(test_who_may_not_mount_uploads),
		TEST(test_only_what_is_held_is_sent_again),
		TEST(test_sources_of_another_size_fail),
		TEST(test_early_refusal_of_an_upload_is_told),
		TEST(
		    test_one_connection_is_enough_to_copy_to_the_same_registry),
		TEST(test_manifests_are_put),
		TEST(test_tags_are_deleted_where_that_is_possible),
		TEST(test_upstreams_are_shared_until_they_are_forgotten),
		TEST(test_a_repository_elsewhere_is_a_place),
	};

	return (cmocka_run_group_tests_name("upstream", tests, NULL, NULL));
}
