#include "ecr_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_tools.h"
#include "auth/auth.h"
#include "auth/decide.h"
#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "registryd/api/aws.h"
#include "registryd/backfills.h"
#include "registryd/cache_rules.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/policy_cache.h"
#include "registryd/replication.h"
#include "registryd/route.h"

#define ARENA_BYTES ((size_t)64 << 20)
#define TARGET_PREFIX "AmazonEC2ContainerRegistry_V20150921."
#define HEADERS_MAX 12

/* --- the registry -------------------------------------------------------- */

static void
store_start(struct ecr *e)
{
	struct store_options o = {
		.dir = e->dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = 100,
		.upload_lifetime_ms = 3600 * 1000,
		.max_threads = 16,
	};
	char why[STORE_WHY_BYTES];

	if (store_open(&o, why, &e->service.store) != RC_OK)
		fail_msg("store_open: %s", why);
	atomic_store(&e->service.keys_open, false);
	e->service.cache_rules = cache_rules_new(store_meta(e->service.store));
	e->service.replication = replication_new(store_meta(e->service.store));
	e->service.backfills = backfills_new(&e->service);
}

static void
store_stop(struct ecr *e)
{
	backfills_free(&e->service.backfills);
	cache_rules_free(&e->service.cache_rules);
	replication_free(&e->service.replication);
	store_close(&e->service.store);
}

static void
auth_start(struct ecr *e)
{
	char why[AUTH_WHY_BYTES], *file;
	struct auth_options o = {
		.meta = store_meta(e->service.store),
		.account_id = ECR_ACCOUNT,
	};

	file = xasprintf("%s/master.key", e->dir);
	o.master_key_file = file;
	if (auth_open(&o, why, &e->service.auth) != RC_OK)
		fail_msg("auth_open: %s", why);
	free(file);
}

void
ecr_open(struct ecr *e, enum auth_mode mode)
{
	memset(e, 0, sizeof(*e));
	(void)snprintf(e->dir, sizeof(e->dir), "/tmp/registryd-XXXXXX");
	assert_non_null(mkdtemp(e->dir));
	e->settings = (struct settings){
		.external_url = "",
		.account_id = ECR_ACCOUNT,
		.region = "eu-central-1",
		.repository_uri_format = "{host}",
		.auth = mode,
		.token_lifetime_ms = 12 * 3600 * 1000,
	};
	(void)snprintf(e->master_key_file, sizeof(e->master_key_file),
	    "%s/master.key", e->dir);
	e->settings.master_key_file = e->master_key_file;
	e->service.magic = SERVICE_MAGIC;
	store_start(e);
	e->service.decisions = decide_cache_new();
	e->service.policies = policy_cache_new();
	if (mode == AUTH_TOKEN)
		auth_start(e);
}

void
ecr_close(struct ecr *e)
{
	char *command;

	auth_close(&e->service.auth);
	decide_cache_free(&e->service.decisions);
	policy_cache_free(&e->service.policies);
	store_stop(e);
	command = xasprintf("rm -rf '%s'", e->dir);
	assert_int_equal(system(command), 0);
	free(command);
}

void
ecr_reopen(struct ecr *e)
{
	assert_null(e->service.auth);
	store_stop(e);
	store_start(e);
}

struct ecr ecr;

int
ecr_setup(void **state)
{
	(void)state;
	ecr_open(&ecr, AUTH_NONE);
	return (0);
}

int
ecr_teardown(void **state)
{
	(void)state;
	ecr_close(&ecr);
	return (0);
}

/* --- users --------------------------------------------------------------- */

json_t *
ecr_admin(struct ecr *e, const char *text)
{
	char why[AUTH_WHY_BYTES] = "", json_why[JSON_ERROR_BYTES];
	json_t *request, *answer;
	struct buf out;

	assert_int_equal(json_read(span_of(text), json_why, &request), RC_OK);
	buf_init(&out, SIZE_MAX);
	if (auth_admin(e->service.auth, request, &out, why) != RC_OK)
		fail_msg("%s: %s", text, why);
	assert_int_equal(
	    json_read(buf_as_span(&out), json_why, &answer), RC_OK);
	json_decref(request);
	buf_free(&out);
	return (answer);
}

static void
admin_do(struct ecr *e, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);

	json_decref(ecr_admin(e, text));
	json_decref(request);
	free(text);
}

void
ecr_user(
    struct ecr *e, const char *name, const char *policy, struct ecr_key *key)
{
	json_t *answer;
	char *text;

	admin_do(e, json_pack("{s:s,s:s}", "op", "user-create", "name", name));
	if (policy != NULL)
		admin_do(
		    e, json_pack("{s:s,s:s,s:s,s:s}", "op", "policy-put",
			   "name", "test", "user", name, "document", policy));
	text =
	    xasprintf("{\"op\":\"access-key-create\",\"user\":\"%s\"}", name);
	answer = ecr_admin(e, text);
	memset(key, 0, sizeof(*key));
	(void)snprintf(key->id, sizeof(key->id), "%s",
	    ecr_text(answer, "AccessKey.AccessKeyId"));
	(void)snprintf(key->secret, sizeof(key->secret), "%s",
	    ecr_text(answer, "AccessKey.SecretAccessKey"));
	json_decref(answer);
	free(text);
}

/* --- a request ----------------------------------------------------------- */

static void
header_add(struct http_exchange *x, const char *name, const char *value)
{
	struct http_request *rq = &x->request;

	assert_true(rq->n_headers < HEADERS_MAX);
	rq->headers[rq->n_headers].name = span_of(name);
	rq->headers[rq->n_headers++].value =
	    span_of(arena_printf(&x->arena, "%s", value));
}

static void
protocol_headers(struct http_exchange *x, const struct ecr_ask *ask)
{
	header_add(x, "Host", ECR_HOST);
	if (ask->form != NULL) {
		header_add(x, "Content-Type",
		    "application/x-www-form-urlencoded; charset=utf-8");
		return;
	}
	if (ask->query != NULL)
		return;
	header_add(x, "Content-Type", "application/x-amz-json-1.1");
	header_add(x, "X-Amz-Target",
	    ask->target != NULL
		? ask->target
		: arena_printf(&x->arena, TARGET_PREFIX "%s", ask->operation));
}

static void
request_make(struct http_exchange *x, const struct ecr_ask *ask)
{
	struct http_request *rq = &x->request;

	memset(x, 0, sizeof(*x));
	arena_init(&x->arena, ARENA_BYTES);
	x->role = ask->local ? ROLE_CONTROL : ROLE_PUBLIC;
	rq->method = HTTP_POST;
	rq->method_text = SPAN("POST");
	rq->path = SPAN("/");
	rq->target = span_of(
	    arena_printf(&x->arena, "/%s%s", ask->query != NULL ? "?" : "",
		ask->query != NULL ? ask->query : ""));
	rq->host = SPAN(ECR_HOST);
	rq->client = SPAN("192.0.2.1");
	rq->tls = ask->tls;
	rq->headers =
	    arena_calloc(&x->arena, HEADERS_MAX, sizeof(*rq->headers));
	(void)snprintf(
	    rq->id, sizeof(rq->id), "%s", "0123456789abcdef0123456789abcdef");
	ask_params(x, ask->query);
	protocol_headers(x, ask);
	http_response_init(&x->response);
}

static void
request_sign(
    struct http_exchange *x, const struct ecr_ask *ask, struct span body)
{
	const struct ecr_key *key = ask->key;
	bool json = ask->form == NULL && ask->query == NULL;
	char date[SIGV4_DATE_BYTES], authorization[4096];
	struct sigv4_credentials with = {
		.access_key = span_of(key->id),
		.secret = span_of(key->secret),
		.session_token = span_of(key->token),
		.region =
		    span_of(key->region != NULL ? key->region : "us-east-1"),
		.service = json ? SPAN("ecr") : SPAN("sts"),
	};
	struct http_request *rq = &x->request;
	struct name_value headers[HEADERS_MAX];
	struct sigv4_request out = { .method = rq->method_text,
		.target = rq->target,
		.headers = headers };

	if (ask->service != NULL)
		with.service = span_of(ask->service);
	for (; out.n_headers < rq->n_headers; out.n_headers++) {
		headers[out.n_headers].name = rq->headers[out.n_headers].name;
		headers[out.n_headers].value = rq->headers[out.n_headers].value;
	}
	sigv4_body_hash(body, out.body_hash);
	assert_int_equal(sigv4_sign(&out, &with, clock_real_ms(), date,
			     authorization, sizeof(authorization)),
	    RC_OK);
	header_add(x, "X-Amz-Date", date);
	if (key->token[0] != '\0')
		header_add(x, "X-Amz-Security-Token", key->token);
	header_add(x, "Authorization", authorization);
}

/* --- its way ------------------------------------------------------------- */

static void
call_go(struct call *c, const struct ecr_ask *ask, struct span body)
{
	enum rc rc;

	rc = identify_call(c);
	if (rc == RC_OK)
		rc = aws_begin(c);
	if (rc == RC_OK) {
		assert_true(body.n <= aws_body_max(c));
		c->body = body;
		c->may_block = true;
		c->mode = READ_BLOCKING;
		rc = aws_handle(c);
	}
	if (rc != RC_OK) {
		assert_int_equal(call_fail_rc(c, rc, "test"), RC_FAILED);
		aws_error(c);
	}
	(void)ask;
	directory_unref(&c->directory);
}

static void
reply_take(struct http_exchange *x, struct ecr_reply *r)
{
	char why[JSON_ERROR_BYTES];

	r->status = x->response.status;
	assert_int_equal(x->response.body, HTTP_MEMORY);
	r->body = x->response.bytes;
	r->type = r->message = "";
	if (r->body.p[0] != '{')
		return;
	if (json_read(r->body, why, &r->json) != RC_OK)
		fail_msg("%s: " SPAN_FMT, why, SPAN_ARG(r->body));
	if (r->status == 200)
		return;
	r->type = ecr_text(r->json, "__type");
	r->message = ecr_text(r->json, "message");
}

static const struct permission self = {
	.name = "aws",
	.access = ACCESS_SELF,
	.actions = "",
};

void
ecr_ask(struct ecr *e, const struct ecr_ask *ask, struct ecr_reply *r)
{
	struct http_exchange *x = &r->x;
	struct span body = ask->body.p != NULL ? ask->body : SPAN("{}");
	struct call c;

	if (ask->form != NULL || ask->query != NULL)
		body = span_of(ask->form);
	memset(r, 0, sizeof(*r));
	request_make(x, ask);
	if (ask->key != NULL)
		request_sign(x, ask, body);
	c = (struct call){
		.x = x,
		.request = &x->request,
		.answer = &x->response,
		.arena = &x->arena,
		.settings = &e->settings,
		.service = &e->service,
		.store = e->service.store,
		.meta = store_meta(e->service.store),
		.region = span_of(e->settings.region),
		.permission = &self,
		.mode = READ_INLINE,
	};
	call_go(&c, ask, body);
	reply_take(x, r);
}

void
ecr_reply_free(struct ecr_reply *r)
{
	json_decref(r->json);
	r->json = NULL;
	arena_reset(&r->x.arena);
}

const char *
ecr_header(const struct ecr_reply *r, const char *name)
{
	const struct http_response *rs = &r->x.response;
	struct arena *a = (struct arena *)(uintptr_t)&r->x.arena;
	size_t i;

	for (i = 0; i < rs->n_headers; i++)
		if (span_eq_nocase(rs->headers[i].name, span_of(name)))
			return (arena_dup(
			    a, rs->headers[i].value.p, rs->headers[i].value.n));
	return (NULL);
}

/* --- short forms --------------------------------------------------------- */

__attribute__((format(printf, 5, 0))) static void
do_it(struct ecr *e, const struct ecr_key *key, struct ecr_reply *r,
    const char *operation, const char *fmt, va_list ap)
{
	char *text;
	int n;

	n = vasprintf(&text, fmt, ap);
	assert_true(n >= 0);
	ecr_ask(e,
	    &(struct ecr_ask){ .operation = operation,
		.body = { text, (size_t)n },
		.key = key },
	    r);
	free(text);
}

void
ecr_do(struct ecr *e, const struct ecr_key *key, struct ecr_reply *r,
    const char *operation, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	do_it(e, key, r, operation, fmt, ap);
	va_end(ap);
}

void
ecr_do_json(struct ecr *e, const struct ecr_key *key, struct ecr_reply *r,
    const char *operation, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);

	assert_non_null(text);
	ecr_ask(e,
	    &(struct ecr_ask){
		.operation = operation, .body = span_of(text), .key = key },
	    r);
	json_decref(request);
	free(text);
}

static bool
message_is(const char *message, const char *wanted)
{
	size_t n = strlen(wanted);

	if (n > 0 && wanted[n - 1] == '*')
		return (strncmp(message, wanted, n - 1) == 0);
	return (strcmp(message, wanted) == 0);
}

void
ecr_expect(struct ecr *e, const struct ecr_key *key, const char *type,
    const char *message, const char *operation, const char *fmt, ...)
{
	struct ecr_reply r;
	va_list ap;

	va_start(ap, fmt);
	do_it(e, key, &r, operation, fmt, ap);
	va_end(ap);
	if (strcmp(r.type, type) != 0)
		fail_msg("%s: expected \"%s\", got " SPAN_FMT, operation, type,
		    SPAN_ARG(r.body));
	if (message != NULL && !message_is(r.message, message))
		fail_msg("%s: expected message\n%s\ngot\n%s", operation,
		    message, r.message);
	assert_int_equal(r.status == 200, type[0] == '\0');
	ecr_reply_free(&r);
}

const json_t *
ecr_at(const json_t *o, const char *path)
{
	struct span rest = span_of(path), part;
	char key[128];
	uint64_t i;

	while (o != NULL && span_split(&rest, '.', &part)) {
		(void)snprintf(key, sizeof(key), SPAN_FMT, SPAN_ARG(part));
		if (json_is_array(o) && num_u64(part, 100000, &i) == RC_OK)
			o = json_array_get(o, (size_t)i);
		else
			o = json_object_get(o, key);
	}
	return (o);
}

const char *
ecr_text(const json_t *o, const char *path)
{
	const char *text = json_string_value(ecr_at(o, path));

	if (text == NULL)
		fail_msg("no text at %s", path);
	return (text);
}

/* --- images -------------------------------------------------------------- */

void
ecr_repository(struct ecr *e, const char *name)
{
	ecr_expect(e, NULL, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"%s\"}", name);
}

const char *
ecr_blob(struct ecr *e, const char *repository, struct span text,
    char out[DIGEST_STR_BYTES])
{
	struct blob_put put = {
		.repository = span_of(repository),
		.size_bytes = text.n,
		.location = BLOB_IN_META,
		.content = text,
		.now_ms = clock_real_ms(),
	};

	digest_of(DIGEST_SHA256, text.p, text.n, &put.digest);
	assert_int_equal(
	    meta_blob_put(store_meta(e->service.store), &put), RC_OK);
	digest_str(&put.digest, out);
	return (out);
}

char *
ecr_image_text(
    struct ecr *e, const char *repository, const char *seed, const char *more)
{
	char config[DIGEST_STR_BYTES], layer[DIGEST_STR_BYTES];
	char *config_text, *layer_text, *text;

	config_text = xasprintf("{\"seed\":\"%s\"}", seed);
	layer_text = xasprintf("layer %s", seed);
	ecr_blob(e, repository, span_of(config_text), config);
	ecr_blob(e, repository, span_of(layer_text), layer);
	text = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":"
			 "{\"mediaType\":\"application/vnd.oci.image.config.v1+"
			 "json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{"
			 "\"mediaType\":\"application/vnd.oci.image.layer.v1."
			 "tar\",\"digest\":\"%s\",\"size\":%zu}]%s}",
	    MEDIA_OCI_MANIFEST, config, strlen(config_text), layer,
	    strlen(layer_text), more != NULL ? more : "");
	free(config_text);
	free(layer_text);
	return (text);
}

char *
ecr_index_text(char (*digests)[DIGEST_STR_BYTES], size_t n, const char *more)
{
	struct buf b;
	size_t i;

	buf_init(&b, SIZE_MAX);
	buf_printf(&b,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[",
	    MEDIA_OCI_INDEX);
	for (i = 0; i < n; i++)
		buf_printf(&b,
		    "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1}",
		    i > 0 ? "," : "", MEDIA_OCI_MANIFEST, digests[i]);
	buf_printf(&b, "]%s}", more != NULL ? more : "");
	return (buf_take(&b, NULL));
}

void
ecr_put(struct ecr *e, const char *repository, const char *tag,
    const char *text, struct ecr_reply *r)
{
	json_t *request;

	request = json_pack(
	    "{s:s,s:s}", "repositoryName", repository, "imageManifest", text);
	if (tag != NULL)
		json_object_set_new(request, "imageTag", json_string(tag));
	ecr_do_json(e, NULL, r, "PutImage", request);
}

const char *
ecr_push(struct ecr *e, const char *repository, const char *tag, char *text,
    char out[DIGEST_STR_BYTES])
{
	struct digest d;
	struct ecr_reply r;

	digest_of(DIGEST_SHA256, text, strlen(text), &d);
	digest_str(&d, out);
	ecr_put(e, repository, tag, text, &r);
	if (r.status != 200)
		fail_msg("PutImage: " SPAN_FMT, SPAN_ARG(r.body));
	assert_string_equal(ecr_text(r.json, "image.imageId.imageDigest"), out);
	ecr_reply_free(&r);
	free(text);
	return (out);
}

const char *
ecr_image(struct ecr *e, const char *repository, const char *tag,
    const char *seed, char out[DIGEST_STR_BYTES])
{
	return (ecr_push(e, repository, tag,
	    ecr_image_text(e, repository, seed, NULL), out));
}

void
ecr_archive(struct ecr *e, const char *repository, const char *tag)
{
	ecr_expect(e, NULL, "", NULL, "UpdateImageStorageClass",
	    "{\"repositoryName\":\"%s\",\"imageId\":{\"imageTag\":\"%s\"},"
	    "\"targetStorageClass\":\"ARCHIVE\"}",
	    repository, tag);
}
