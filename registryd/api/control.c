#include "registryd/api/control_int.h"

#include <inttypes.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/num.h"
#include "registryd/jobs.h"
#include "storage/store_report.h"

#define BODY_MAX_BYTES ((uint64_t)1 << 20)

/* --- parameters ---------------------------------------------------------- */

enum rc
control_bad(
    struct call *c, const char *key, struct span value, const char *allowed)
{
	return (call_fail(c, OCI_REQUEST_INVALID, NULL,
	    "%s: \"" SPAN_FMT "\" must be %s", key, SPAN_ARG(value), allowed));
}

enum rc
control_bool(struct call *c, const char *key, bool *b_r)
{
	struct span value;

	if (!http_request_param(c->request, key, &value) ||
	    num_bool(value, b_r) == RC_OK)
		return (RC_OK);
	return (control_bad(c, key, value, "true or false"));
}

enum rc
control_u64(struct call *c, const char *key, uint64_t *n_r)
{
	struct span value;

	if (!http_request_param(c->request, key, &value) ||
	    num_u64(value, UINT64_MAX, n_r) == RC_OK)
		return (RC_OK);
	return (control_bad(c, key, value, "a number"));
}

enum rc
control_repository(struct call *c, bool wanted, struct span *name_r)
{
	bool given;

	*name_r = SPAN_NONE;
	given = http_request_param(c->request, "repository", name_r);
	/* An empty one is a mistake, not all of them. */
	if (name_r->n == 0 && (wanted || given))
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "repository: a name is needed"));
	if (name_r->n > 0 && !name_repository_ok(*name_r))
		return (control_bad(
		    c, "repository", *name_r, "the name of a repository"));
	return (RC_OK);
}

enum rc
control_no_repository(struct call *c, struct span name)
{
	return (call_fail(c, OCI_NOT_FOUND, NULL,
	    "the repository " SPAN_FMT " does not exist", SPAN_ARG(name)));
}

void
control_time(struct buf *out, const char *key, int64_t ms)
{
	char text[CLOCK_ISO_BYTES];

	if (ms > 0)
		buf_printf(out, "\"%s\":\"%s\"", key, clock_iso(ms, text));
	else
		buf_printf(out, "\"%s\":null", key);
}

void
control_tags(
    struct buf *out, const char *key, const struct span *tags, size_t n)
{
	size_t i;

	buf_printf(out, "\"%s\":[", key);
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json(out, tags[i]);
	}
	buf_char(out, ']');
}

/* --- handlers ------------------------------------------------------------ */

static void
server_json(const struct service *svc, struct buf *out)
{
	struct http_server *server = atomic_load(&svc->server);
	struct http_server_stats st = { 0 };
	char started[CLOCK_ISO_BYTES];

	if (server != NULL)
		http_server_stats(server, &st);
	buf_printf(out,
	    "{\"version\":\"%s\",\"started\":\"%s\",\"connections\":%u,"
	    "\"connections_idle\":%u,\"uploads_streaming\":%u,"
	    "\"worker_queue\":%u,\"endpoint\":",
	    REGISTRYD_VERSION, clock_iso(svc->started_ms, started),
	    st.connections, st.connections_idle, st.uploads_streaming,
	    st.worker_queue);
	/* For those on this machine who want to talk to it otherwise. */
	if (server != NULL)
		buf_json(out, span_of(http_server_url(server, 0)));
	else
		buf_str(out, "null");
	buf_char(out, '}');
}

enum rc
control_stats(struct call *c)
{
	struct store_stats st;
	struct buf out;

	store_stats(c->store, &st);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"store\":");
	store_stats_json(&st, &out);
	buf_str(&out, ",\"server\":");
	server_json(c->service, &out);
	control_gc_stats(c->service, &out);
	control_lifecycle_stats(c->service, &out);
	control_scan_stats(c->service, &out);
	buf_str(&out, "}\n");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

enum rc
control_fsck(struct call *c)
{
	struct fsck_job_options options = { .log = true };
	bool content = true;
	struct buf out;
	enum rc rc;

	if ((rc = control_bool(c, "repair", &options.repair)) != RC_OK ||
	    (rc = control_bool(c, "content", &content)) != RC_OK ||
	    (rc = control_u64(c, "rate", &options.bytes_per_s)) != RC_OK)
		return (rc);
	options.skip_content = !content;
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = jobs_fsck(c->service->jobs, &options, &out);
	if (rc == RC_OK)
		return (call_json_take(c, 202, CONTROL_JSON, &out));
	buf_free(&out);
	if (rc == RC_BUSY)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "a check with other options is running; wait for its end"));
	return (rc);
}

uint64_t
control_body_max(const struct call *c)
{
	(void)c;
	return (BODY_MAX_BYTES);
}

static enum api_error
iam_error(enum rc rc)
{
	if (rc == RC_INVALID || rc == RC_TOOBIG)
		return (OCI_REQUEST_INVALID);
	if (rc == RC_NOTFOUND)
		return (OCI_NOT_FOUND);
	return (OCI_CONFLICT);
}

enum rc
control_iam(struct call *c)
{
	char wrong[JSON_ERROR_BYTES], why[AUTH_WHY_BYTES] = "";
	json_t *request;
	struct buf out;
	enum rc rc;

	if (c->service->auth == NULL)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "this server lets everybody do everything (auth: none) "
		    "and knows no users; start it with auth: token"));
	if (json_read(c->body, wrong, &request) != RC_OK)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL, "%s", wrong));
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = auth_admin(c->service->auth, request, &out, why);
	json_decref(request);
	if (rc == RC_OK)
		return (call_json_secret(c, 200, CONTROL_JSON, &out));
	buf_free(&out);
	if (rc == RC_INVALID || rc == RC_TOOBIG || rc == RC_NOTFOUND ||
	    rc == RC_EXISTS || rc == RC_REFERENCED || rc == RC_LIMIT)
		return (call_fail(c, iam_error(rc), NULL, "%s", why));
	return (rc);
}

static enum rc
no_such_job(struct call *c)
{
	return (call_fail(c, OCI_NOT_FOUND, NULL, "no such job: " SPAN_FMT,
	    SPAN_ARG(c->part)));
}

enum rc
control_job(struct call *c)
{
	uint64_t since = 0;
	struct buf out;
	enum rc rc;

	if ((rc = control_u64(c, "since", &since)) != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = jobs_show(c->service->jobs, c->part, since, &out);
	if (rc == RC_OK)
		return (call_json_take(c, 200, CONTROL_JSON, &out));
	buf_free(&out);
	return (no_such_job(c));
}

enum rc
control_job_cancel(struct call *c)
{
	struct buf out;
	bool ends;

	if (jobs_cancel(c->service->jobs, c->part, &ends) != RC_OK)
		return (no_such_job(c));
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_printf(&out, "{\"cancelled\":%s}\n", ends ? "true" : "false");
	return (call_json_take(c, 202, CONTROL_JSON, &out));
}
