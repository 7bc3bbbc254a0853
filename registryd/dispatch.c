#include "registryd/dispatch.h"

#include <inttypes.h>

#include "auth/directory.h"
#include "base/log.h"
#include "base/obj.h"
#include "registryd/accesslog.h"
#include "registryd/api/aws.h"
#include "registryd/authorize.h"
#include "registryd/call.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/pull.h"
#include "registryd/rates.h"
#include "registryd/route.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "registryd/traffic.h"

/*
 * DESIGN.  A request is a call, from its head to its answer.  The call goes
 * through the steps below; each ends by asking the exchange for one thing and
 * naming the step that follows, so they are written in the order in which
 * they happen:
 *
 *	dispatch_request	route -> admit
 *	admit			identify, authorize; on a worker when a password
 *				has to be hashed
 *	body_take		whence the body
 *	   no body, or short	-> collected -> run
 *	   streamed		-> work_begin -> begun -> (body) -> streamed
 *				-> work_finish -> answer; into an upload, or
 *				where begin says (c->write)
 *	run			the handler on the loop; on a worker when it may
 *				block -> work_handler -> answer
 *	outside			a handler needs what is not here (RC_AWAIT): on
 *				no thread until it came, then run anew on a
 *				worker
 *	answer			the one place that answers
 *	dispatch_done		figures, access log
 *
 * Functions called work_... run on a worker, all others on the connection's
 * loop, never two at once.  An upload is acquired and released on workers
 * only.
 */
#define DISPATCH_MAGIC 0x64697370u

/* A body up to this is collected, and its upload done in one go on a worker. */
#define SHORT_BODY_BYTES ((uint64_t)64 * 1024)

/* A request may hold the largest manifest that can be configured, once as
 * text and once as what was read of it, and a little more. */
#define CALL_BYTES ((size_t)160 * 1024 * 1024)

/* How often a handler may need something more from outside: once or twice for
 * each image of a batch.  Only one that cannot be satisfied needs it so often.
 */
#define OUTSIDE_MAX 300

struct dispatch {
	unsigned magic;
	unsigned outside;	    /* times that it waited */
	size_t n_admission_headers; /* of the answer, from before the handler */
	struct call call;
	struct settings *settings; /* the reference that the call borrows */
	struct http_sink sink;
	enum rc rc; /* what the last work_... came to */
};

static void admit(struct call *);
static void work_admit(struct http_exchange *);
static void admitted(struct http_exchange *);
static void body_take(struct call *);
static void collected(struct http_exchange *, enum rc, struct span);
static void run(struct call *);
static void work_handler(struct http_exchange *);
static void work_begin(struct http_exchange *);
static void begun(struct http_exchange *);
static void streamed(struct http_exchange *, enum rc, struct span);
static void work_finish(struct http_exchange *);
static void after_work(struct http_exchange *);
static void outside(struct call *);
static void came(struct http_exchange *);
static void answer(struct call *, enum rc);

/* Of each route, in the order of the table. */
#define ROUTES_MAX 128
static const struct permission *route_permissions[ROUTES_MAX];

void
dispatch_init(void)
{
	size_t i;

	must(n_routes <= ROUTES_MAX);
	for (i = 0; i < n_routes; i++)
		route_permissions[i] = permission_find(routes[i].name);
	traffic_init();
}

static struct dispatch *
dispatch_of(struct http_exchange *x)
{
	struct dispatch *d = x->app;

	OBJ_CHECK(d, DISPATCH_MAGIC);
	return (d);
}

/* --- the head ------------------------------------------------------------ */

static struct call *
call_new(struct http_exchange *x, struct service *svc)
{
	struct dispatch *d;

	if (x->arena.cap_bytes < CALL_BYTES)
		x->arena.cap_bytes = CALL_BYTES;
	d = arena_calloc(&x->arena, 1, sizeof(*d));
	must(d != NULL); /* the arena's cap leaves room for it */
	d->magic = DISPATCH_MAGIC;
	d->settings = service_settings(svc);
	x->app = d;
	d->call = (struct call){
		.x = x,
		.request = &x->request,
		.answer = &x->response,
		.arena = &x->arena,
		.settings = d->settings,
		.service = svc,
		.store = svc->store,
		.meta = store_meta(svc->store),
		.mode = READ_INLINE,
		.region = span_of(d->settings->region),
	};
	http_response_init(&x->response);
	return (&d->call);
}

/* Allow: every method of the path. */
static enum rc
method_refuse(struct call *c, unsigned allowed)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET",
		[HTTP_HEAD] = "HEAD",
		[HTTP_POST] = "POST",
		[HTTP_PUT] = "PUT",
		[HTTP_PATCH] = "PATCH",
		[HTTP_DELETE] = "DELETE",
		[HTTP_OPTIONS] = "OPTIONS",
	};
	struct span method = c->request->method_text;
	struct buf list;
	size_t i;

	buf_init(&list, SIZE_MAX);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		if ((allowed & 1u << i) == 0)
			continue;
		if (list.n > 0)
			buf_str(&list, ", ");
		buf_str(&list, names[i]);
	}
	call_header(c, "Allow", SPAN_FMT, SPAN_ARG(buf_as_span(&list)));
	buf_free(&list);
	return (call_fail(c, OCI_UNSUPPORTED, call_detail("method", method),
	    "method %.*s is not allowed here", CALL_SHOW(method)));
}

static enum rc
call_route(struct call *c)
{
	const struct http_request *rq = c->request;
	struct route_match m;

	route_find(c->x->role, rq->method, rq->path, &m);
	if (m.outcome == MATCH_NO_METHOD)
		return (method_refuse(c, m.allowed));
	if (m.outcome == MATCH_NO_PATH)
		return (
		    call_fail(c, OCI_NOT_FOUND, call_detail("path", rq->path),
			"there is nothing at %.*s", CALL_SHOW(rq->path)));
	c->route = m.route;
	c->permission = route_permissions[m.route - routes];
	c->repository = m.name;
	c->part = m.part;
	return (RC_OK);
}

static enum rc
call_name(struct call *c)
{
	struct span name = c->repository;

	if (name.p == NULL || name_repository_ok(name))
		return (RC_OK);
	return (call_fail(c, OCI_NAME_INVALID, call_detail("name", name),
	    "\"%.*s\" is not a repository name; expected lower-case "
	    "letters and digits, separated by one of . _ __ - /",
	    CALL_SHOW(name)));
}

void
dispatch_request(struct http_exchange *x, void *arg)
{
	struct service *svc = arg;
	struct call *c;
	enum rc rc;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	c = call_new(x, svc);
	if ((rc = call_route(c)) != RC_OK)
		answer(c, rc);
	else
		admit(c);
}

/* --- who, and may they --------------------------------------------------- */

/* Who asks comes first: to a stranger even a wrong name is no matter of
 * ours. */
static enum rc
admission(struct call *c)
{
	enum rc rc;

	if ((rc = identify_call(c)) != RC_OK || (rc = call_name(c)) != RC_OK ||
	    (rc = pull_route(c)) != RC_OK || (rc = authorize_call(c)) != RC_OK)
		return (rc);
	if (c->route->prepare != NULL && (rc = c->route->prepare(c)) != RC_OK)
		return (rc);
	/* Whoever moves images here himself may take all there is. */
	return (c->x->role == ROLE_CONTROL ? RC_OK : rates_take(c));
}

static void
admit(struct call *c)
{
	enum rc rc = RC_WOULDBLOCK;

	if (store_reads_inline(c->store))
		rc = admission(c);
	if (rc == RC_WOULDBLOCK)
		http_exchange_offload(c->x, work_admit, admitted);
	else if (rc != RC_OK)
		answer(c, rc);
	else
		body_take(c);
}

static void
work_admit(struct http_exchange *x)
{
	struct dispatch *d = dispatch_of(x);

	http_response_init(&x->response);
	d->call.may_block = true;
	d->rc = admission(&d->call);
	d->call.may_block = false;
}

static void
admitted(struct http_exchange *x)
{
	struct dispatch *d = dispatch_of(x);

	if (d->rc != RC_OK)
		answer(&d->call, d->rc);
	else
		body_take(&d->call);
}

/* --- the body ------------------------------------------------------------ */

/* Announced, and so short that it is better had at once. */
static bool
body_is_short(const struct call *c)
{
	const struct http_request *rq = c->request;

	return (rq->framing == HTTP_BODY_NONE ||
		(rq->framing == HTTP_BODY_LENGTH &&
		    rq->content_length <= SHORT_BODY_BYTES &&
		    rq->content_length <= upload_whole_max(c->store)));
}

static bool
body_is_empty(const struct call *c)
{
	const struct http_request *rq = c->request;

	return (rq->framing == HTTP_BODY_NONE ||
		(rq->framing == HTTP_BODY_LENGTH && rq->content_length == 0));
}

static size_t
body_max(const struct call *c)
{
	if (c->route->body == BODY_STREAM)
		return (SHORT_BODY_BYTES);
	return ((size_t)c->route->max_body(c));
}

static bool
body_streams(const struct call *c)
{
	const struct route *r = c->route;

	if (r->body == BODY_STREAM)
		return (!body_is_short(c));
	return (r->streams != NULL && r->streams(c));
}

static void
body_take(struct call *c)
{
	const struct route *r = c->route;

	dispatch_of(c->x)->n_admission_headers = c->answer->n_headers;
	if (r->body == BODY_NONE || body_is_empty(c))
		run(c);
	else if (body_streams(c))
		http_exchange_offload(c->x, work_begin, begun);
	else
		http_exchange_collect(c->x, body_max(c), collected);
}

static enum rc
body_refuse(struct call *c, enum rc rc)
{
	if (rc == RC_TOOBIG)
		return (call_fail(c, OCI_TOO_LARGE, NULL,
		    "the body is larger than the limit of %zu bytes",
		    body_max(c)));
	if (rc == RC_INVALID)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "the body's chunked coding is malformed"));
	if (rc == RC_TIMEOUT || rc == RC_CANCELLED)
		return (call_fail(
		    c, OCI_REQUEST_TIMEOUT, NULL, "the body did not arrive"));
	return (call_fail_rc(c, rc, "body"));
}

static void
collected(struct http_exchange *x, enum rc rc, struct span body)
{
	struct call *c = &dispatch_of(x)->call;

	if (rc != RC_OK) {
		answer(c, body_refuse(c, rc));
		return;
	}
	c->body = body;
	run(c);
}

/* --- a handler that needs nothing more ----------------------------------- */

/* What a handler began to describe is of no use: it is run anew. */
static void
run_anew(struct call *c)
{
	http_response_init(c->answer);
	c->answer->n_headers = dispatch_of(c->x)->n_admission_headers;
	http_exchange_offload(c->x, work_handler, after_work);
}

static void
run(struct call *c)
{
	enum rc rc = RC_WOULDBLOCK;

	if (c->route->run == RUN_INLINE && store_reads_inline(c->store))
		rc = c->route->handler(c);
	if (rc == RC_WOULDBLOCK)
		run_anew(c);
	else if (rc == RC_AWAIT)
		outside(c);
	else
		answer(c, rc);
}

/* Who is to wake the exchange may do so before await() has returned. */
static void
outside(struct call *c)
{
	void (*await)(struct call *) = c->await;
	struct dispatch *d = dispatch_of(c->x);

	must(await != NULL && c->upload == NULL);
	if (++d->outside > OUTSIDE_MAX) {
		log_error("%s: waited %d times, and is not content",
		    c->route->name, OUTSIDE_MAX);
		answer(c, RC_LIMIT);
		return;
	}
	c->await = NULL;
	http_exchange_wait(c->x, came);
	await(c);
}

static void
came(struct http_exchange *x)
{
	run_anew(&dispatch_of(x)->call);
}

/* A body can take hours: what was taken from its sender meanwhile counts, in
 * the directory and in the policies of the repository. */
static enum rc
still_admitted(struct call *c)
{
	enum rc rc;

	if (c->route->body == BODY_NONE || body_is_empty(c))
		return (RC_OK);
	rc = identify_still(c);
	return (rc == RC_OK ? authorize_call(c) : rc);
}

static void
work_handler(struct http_exchange *x)
{
	struct dispatch *d = dispatch_of(x);
	struct call *c = &d->call;

	c->may_block = true;
	c->mode = READ_BLOCKING;
	if ((d->rc = still_admitted(c)) == RC_OK)
		d->rc = c->route->handler(c);
	upload_release(&c->upload);
}

static void
after_work(struct http_exchange *x)
{
	struct dispatch *d = dispatch_of(x);

	if (d->rc == RC_AWAIT)
		outside(&d->call);
	else
		answer(&d->call, d->rc);
}

/* --- a streamed body ----------------------------------------------------- */

static void
work_begin(struct http_exchange *x)
{
	struct dispatch *d = dispatch_of(x);
	struct call *c = &d->call;

	c->may_block = true;
	c->mode = READ_BLOCKING;
	d->rc = c->route->begin(c);
	if (d->rc != RC_OK)
		upload_release(&c->upload);
}

static enum rc
sink_write(void *arg, const void *p, size_t n)
{
	struct dispatch *d = arg;

	OBJ_CHECK(d, DISPATCH_MAGIC);
	if (d->call.write != NULL)
		return (d->call.write(&d->call, p, n));
	return (upload_write(d->call.upload, p, n));
}

/* The limit on uploads is the sink's: it counts what came before. */
static void
begun(struct http_exchange *x)
{
	struct dispatch *d = dispatch_of(x);
	struct call *c = &d->call;

	if (d->rc != RC_OK || (c->upload == NULL && c->write == NULL)) {
		answer(c, d->rc);
		return;
	}
	d->sink = (struct http_sink){ .write = sink_write, .arg = d };
	http_exchange_stream(
	    x, &d->sink, c->write != NULL ? body_max(c) : 0, streamed);
}

static void
streamed(struct http_exchange *x, enum rc rc, struct span body)
{
	(void)body;
	dispatch_of(x)->call.body_rc = rc;
	http_exchange_offload(x, work_finish, after_work);
}

/* The session becomes what it was before, and the refusal is what is told. */
static enum rc
finish_refused(struct call *c, enum rc refusal)
{
	struct call told = *c;
	enum rc rc;

	c->body_rc = refusal;
	rc = c->route->finish(c);
	must(rc != RC_OK);
	c->error = told.error;
	c->message = told.message;
	c->detail = told.detail;
	return (refusal);
}

/* A body that is no upload is all there, or of no use. */
static enum rc
body_arrived(struct call *c)
{
	if (c->write == NULL || c->body_rc == RC_OK)
		return (RC_OK);
	return (body_refuse(c, c->body_rc));
}

/* Also for a client that is gone: what it sent of an upload stays, for it to
 * resume, and what begin acquired for another body is given back. */
static void
work_finish(struct http_exchange *x)
{
	struct dispatch *d = dispatch_of(x);
	struct call *c = &d->call;

	if ((d->rc = body_arrived(c)) == RC_OK)
		d->rc = still_admitted(c);
	if (d->rc == RC_OK)
		d->rc = c->route->finish(c);
	else
		d->rc = finish_refused(c, d->rc);
	upload_release(&c->upload);
}

/* --- the answer ---------------------------------------------------------- */

static void
error_describe(struct call *c)
{
	struct http_response *rs = c->answer;

	rs->head_length = false;
	if (c->shape != SHAPE_OCI) {
		aws_error(c);
		return;
	}
	rs->status = api_error_status(c->error);
	http_response_memory(rs, "application/json",
	    api_error_body(c->arena, c->error, c->message, c->detail));
}

/* Whatever the distribution API answers says which API it is. */
static void
version_header(struct http_exchange *x)
{
	struct span path = x->request.path;

	if (span_is(path, "/v2") || span_has_prefix(path, SPAN("/v2/")))
		http_response_header(&x->response,
		    "Docker-Distribution-Api-Version", SPAN("registry/2.0"));
}

static void
answer(struct call *c, enum rc rc)
{
	must(c->upload == NULL);
	if (rc != RC_OK) {
		rc = call_fail_rc(
		    c, rc, c->route != NULL ? c->route->name : "request");
		must(rc == RC_FAILED);
		must(c->answer->body != HTTP_FILE);
		error_describe(c);
	}
	version_header(c->x);
	http_exchange_respond(c->x);
}

void
dispatch_refuse(struct http_exchange *x, const char *why, void *arg)
{
	struct http_response *rs = &x->response;
	enum api_error e = api_error_of_status(rs->status);

	(void)arg;
	if (rs->status == 503 || rs->status == 429)
		http_response_header(rs, "Retry-After", SPAN("1"));
	version_header(x);
	http_response_memory(
	    rs, "application/json", api_error_body(&x->arena, e, why, NULL));
}

/* --- the end ------------------------------------------------------------- */

/* A request that the wire refused has no call. */
void
dispatch_done(
    struct http_exchange *x, const struct http_outcome *outcome, void *arg)
{
	struct service *svc = arg;
	struct settings *settings;
	struct dispatch *d = NULL;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	if (x->app != NULL)
		d = dispatch_of(x);
	settings = d != NULL ? d->settings : service_settings(svc);
	traffic_count(d != NULL ? d->call.route : NULL, &x->request, outcome);
	accesslog_write(settings->access_log, &x->request,
	    d != NULL ? d->call.principal : SPAN_NONE,
	    d != NULL ? aws_operation_of(&d->call) : NULL, outcome);
	if (d != NULL)
		directory_unref(&d->call.directory);
	settings_unref(&settings);
	x->app = NULL;
}
