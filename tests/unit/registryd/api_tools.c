#include "api_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "registryd/authorize.h"
#include "registryd/cache_rules.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/replication.h"
#include "registryd/route.h"
#include "storage/upload.h"

#define ARENA_BYTES ((size_t)64 << 20)
#define PIECE_BYTES ((size_t)1000)

/* --- the registry -------------------------------------------------------- */

static void
store_start(struct api *api)
{
	struct store_options o = {
		.dir = api->dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = api->settings.upload_sessions,
		.upload_lifetime_ms = 3600 * 1000,
		.max_threads = 16,
	};
	char why[STORE_WHY_BYTES];

	if (store_open(&o, why, &api->store) != RC_OK)
		fail_msg("store_open: %s", why);
	api->service.store = api->store;
	atomic_store(&api->service.keys_open, false);
	api->service.cache_rules = cache_rules_new(store_meta(api->store));
	api->service.replication = replication_new(store_meta(api->store));
}

void
api_bare(struct api *api)
{
	cache_rules_free(&api->service.cache_rules);
	replication_free(&api->service.replication);
}

static void
store_stop(struct api *api)
{
	api_bare(api);
	store_close(&api->store);
}

void
api_open(struct api *api)
{
	memset(api, 0, sizeof(*api));
	(void)snprintf(api->dir, sizeof(api->dir), "/tmp/registryd-XXXXXX");
	assert_non_null(mkdtemp(api->dir));
	api->settings = (struct settings){
		.account_id = "000000000000",
		.region = "us-east-1",
		.external_url = "",
		.metrics_listen = "",
		.manifest_bytes = 4 << 20,
		.upload_sessions = 100,
		.sparse = SPARSE_NONE,
		.create_on_push = true,
	};
	(void)snprintf(api->master_key_file, sizeof(api->master_key_file),
	    "%s/master.key", api->dir);
	api->settings.master_key_file = api->master_key_file;
	api->service.magic = SERVICE_MAGIC;
	store_start(api);
}

void
api_reopen(struct api *api)
{
	store_stop(api);
	store_start(api);
}

void
api_close(struct api *api)
{
	char *command;

	store_stop(api);
	command = xasprintf("rm -rf '%s'", api->dir);
	assert_int_equal(system(command), 0);
	free(command);
}

/* --- a request ----------------------------------------------------------- */

void
ask_params(struct http_exchange *x, const char *query)
{
	struct span rest = span_of(query), one, key;
	struct http_request *rq = &x->request;

	rq->params = arena_calloc(&x->arena, 64, sizeof(*rq->params));
	while (query != NULL && span_split(&rest, '&', &one)) {
		assert_true(rq->n_params < 64);
		assert_true(span_split(&one, '=', &key));
		rq->params[rq->n_params].key = key;
		rq->params[rq->n_params++].value = one;
	}
}

static void
headers_make(struct http_exchange *x, const struct ask *ask)
{
	struct http_request *rq = &x->request;
	struct span line, name;
	size_t i;

	rq->headers =
	    arena_calloc(&x->arena, ASK_HEADERS, sizeof(*rq->headers));
	for (i = 0; i < ASK_HEADERS && ask->headers[i] != NULL; i++) {
		line = span_of(ask->headers[i]);
		assert_true(span_split(&line, ':', &name));
		rq->headers[rq->n_headers].name = name;
		rq->headers[rq->n_headers++].value = span_trim(line);
	}
}

static void
request_make(struct http_exchange *x, const struct ask *ask)
{
	struct http_request *rq = &x->request;

	memset(x, 0, sizeof(*x));
	arena_init(&x->arena, ARENA_BYTES);
	x->role = ask->role;
	rq->method = ask->method;
	rq->path = span_of(ask->path);
	rq->framing = HTTP_BODY_NONE;
	if (ask->chunked)
		rq->framing = HTTP_BODY_CHUNKED;
	else if (ask->body.n > 0)
		rq->framing = HTTP_BODY_LENGTH;
	rq->content_length = ask->body.n;
	ask_params(x, ask->query);
	headers_make(x, ask);
	http_response_init(&x->response);
}

/* --- its way ------------------------------------------------------------- */

static enum rc
handler_run(struct call *c)
{
	enum rc rc;

	if (c->route->run == RUN_INLINE) {
		rc = c->route->handler(c);
		if (rc != RC_WOULDBLOCK)
			return (rc);
		http_response_init(c->answer);
	}
	c->may_block = true;
	c->mode = READ_BLOCKING;
	return (c->route->handler(c));
}

static enum rc
piece_write(struct call *c, const void *p, size_t n)
{
	if (c->write != NULL)
		return (c->write(c, p, n));
	return (upload_write(c->upload, p, n));
}

static enum rc
pieces_write(struct call *c, struct span body)
{
	size_t n;
	enum rc rc;

	while (body.n > 0) {
		n = body.n < PIECE_BYTES ? body.n : PIECE_BYTES;
		if ((rc = piece_write(c, body.p, n)) != RC_OK)
			return (rc);
		body.p += n;
		body.n -= n;
	}
	return (RC_OK);
}

static enum rc
stream_run(struct call *c, const struct ask *ask)
{
	enum rc rc;

	c->may_block = true;
	c->mode = READ_BLOCKING;
	rc = c->route->begin(c);
	if (rc != RC_OK || (c->upload == NULL && c->write == NULL))
		return (rc);
	c->body_rc = pieces_write(c, ask->body);
	if (c->body_rc == RC_OK)
		c->body_rc = ask->ends;
	return (c->route->finish(c));
}

static enum rc
call_run(struct call *c, const struct ask *ask)
{
	struct route_match m;
	enum rc rc;

	route_find(ask->role, ask->method, c->request->path, &m);
	assert_int_equal(m.outcome, MATCH_OK);
	c->route = m.route;
	c->permission = permission_find(m.route->name);
	c->repository = m.name;
	c->part = m.part;
	assert_int_equal(identify_call(c), RC_OK);
	assert_true(m.name.n == 0 || name_repository_ok(m.name));
	assert_int_equal(authorize_call(c), RC_OK);
	c->body = ask->body;
	if (ask->streamed)
		rc = stream_run(c, ask);
	else
		rc = handler_run(c);
	upload_release(&c->upload);
	return (rc);
}

/* --- the answer ---------------------------------------------------------- */

static void
error_take(struct call *c, enum rc rc, struct reply *r)
{
	rc = call_fail_rc(c, rc, "test");
	assert_int_equal(rc, RC_FAILED);
	r->status = api_error_status(c->error);
	r->code = api_error_code(c->error);
	r->body = api_error_body(c->arena, c->error, c->message, c->detail);
}

static void
source_take(const struct http_response *rs, char *p)
{
	const struct http_source *s = rs->source;
	uint64_t done = 0;
	size_t n;

	while (done < rs->length) {
		assert_int_equal(s->read(s->arg, rs->offset + done, p + done,
				     rs->length - done, true, &n),
		    RC_OK);
		assert_true(n > 0);
		done += n;
	}
	s->close(s->arg);
}

static void
file_take(struct http_exchange *x, struct reply *r)
{
	struct http_response *rs = &x->response;
	char *p;

	p = arena_alloc(&x->arena, rs->length + 1);
	assert_non_null(p);
	if (rs->source != NULL) {
		source_take(rs, p);
	} else {
		assert_int_equal(
		    pread(rs->fd, p, rs->length, (off_t)rs->offset),
		    rs->length);
		(void)close(rs->fd);
	}
	r->body = (struct span){ p, rs->length };
}

void
api_ask(struct api *api, const struct ask *ask, struct reply *r)
{
	struct http_exchange *x = &r->x;
	struct call c;
	enum rc rc;

	memset(r, 0, sizeof(*r));
	request_make(x, ask);
	c = (struct call){
		.x = x,
		.request = &x->request,
		.answer = &x->response,
		.arena = &x->arena,
		.settings = &api->settings,
		.service = &api->service,
		.store = api->store,
		.meta = store_meta(api->store),
		.mode = READ_INLINE,
		.region = span_of(api->settings.region),
	};
	r->code = "";
	rc = call_run(&c, ask);
	r->status = x->response.status;
	if (rc != RC_OK)
		error_take(&c, rc, r);
	else if (x->response.body == HTTP_FILE)
		file_take(x, r);
	else if (x->response.body == HTTP_MEMORY)
		r->body = x->response.bytes;
}

void
reply_free(struct reply *r)
{
	arena_reset(&r->x.arena);
}

const char *
reply_header(const struct reply *r, const char *name)
{
	const struct http_response *rs = &r->x.response;
	struct arena *a = (struct arena *)(uintptr_t)&r->x.arena;
	size_t i;

	for (i = 0; i < rs->n_headers; i++)
		if (span_is(rs->headers[i].name, name))
			return (arena_dup(
			    a, rs->headers[i].value.p, rs->headers[i].value.n));
	return (NULL);
}

size_t
reply_headers(const struct reply *r, const char *name)
{
	const struct http_response *rs = &r->x.response;
	size_t i, n = 0;

	for (i = 0; i < rs->n_headers; i++)
		if (span_is(rs->headers[i].name, name))
			n++;
	return (n);
}

bool
reply_has(const struct reply *r, const char *text)
{
	return (r->body.n > 0 &&
		memmem(r->body.p, r->body.n, text, strlen(text)) != NULL);
}

int
api_status(struct api *api, enum http_method method, const char *path,
    const char *query)
{
	struct ask ask = { .method = method, .path = path, .query = query };
	struct reply r;

	api_ask(api, &ask, &r);
	reply_free(&r);
	return (r.status);
}

/* --- pushing ------------------------------------------------------------- */

const char *
api_blob(struct api *api, const char *repository, struct span text,
    char out[DIGEST_STR_BYTES])
{
	struct digest d;
	struct reply r;
	char *path, *query;

	digest_of(DIGEST_SHA256, text.p, text.n, &d);
	digest_str(&d, out);
	path = xasprintf("/v2/%s/blobs/uploads/", repository);
	query = xasprintf("digest=%s", out);
	api_ask(api,
	    &(struct ask){ .method = HTTP_POST,
		.path = path,
		.query = query,
		.body = text },
	    &r);
	assert_int_equal(r.status, 201);
	reply_free(&r);
	free(path);
	free(query);
	return (out);
}

const char *
api_manifest(struct api *api, const char *repository, const char *tag,
    const char *text, char out[DIGEST_STR_BYTES])
{
	struct digest d;
	struct reply r;
	char *path;

	digest_of(DIGEST_SHA256, text, strlen(text), &d);
	digest_str(&d, out);
	path = xasprintf(
	    "/v2/%s/manifests/%s", repository, tag != NULL ? tag : out);
	api_ask(api,
	    &(struct ask){
		.method = HTTP_PUT, .path = path, .body = span_of(text) },
	    &r);
	if (r.status != 201)
		fail_msg("push of %s: %d " SPAN_FMT, path, r.status,
		    SPAN_ARG(r.body));
	reply_free(&r);
	free(path);
	return (out);
}

const char *
api_image(struct api *api, const char *repository, const char *tag,
    const char *seed, char out[DIGEST_STR_BYTES])
{
	char config[DIGEST_STR_BYTES], layer[DIGEST_STR_BYTES];
	char *config_text, *layer_text, *text;

	config_text = xasprintf("{\"seed\":\"%s\"}", seed);
	layer_text = xasprintf("layer %s", seed);
	api_blob(api, repository, span_of(config_text), config);
	api_blob(api, repository, span_of(layer_text), layer);
	text = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":"
			 "{\"mediaType\":\"application/vnd.oci.image.config.v1+"
			 "json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{"
			 "\"mediaType\":\"application/vnd.oci.image.layer.v1."
			 "tar\",\"digest\":\"%s\",\"size\":%zu}]}",
	    MEDIA_OCI_MANIFEST, config, strlen(config_text), layer,
	    strlen(layer_text));
	api_manifest(api, repository, tag, text, out);
	free(config_text);
	free(layer_text);
	free(text);
	return (out);
}
