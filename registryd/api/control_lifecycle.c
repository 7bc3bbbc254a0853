#include <inttypes.h>

#include "base/clock.h"
#include "base/json.h"
#include "registryd/api/control_int.h"
#include "registryd/jobs.h"
#include "registryd/settings.h"
#include "storage/lifecycles.h"

/* Lifecycle policies: run, previewed, and what became of them. */

#define STATUS_DEFAULT 100
#define STATUS_MAX 1000

/* --- running ------------------------------------------------------------- */

/* Has it a policy that somebody may ask for? */
static enum rc
policy_wanted(struct call *c, struct span name)
{
	struct lifecycle_row row;
	enum rc rc;

	rc = meta_lifecycle_get(c->meta, name, c->arena, &row);
	if (rc == RC_NOTFOUND)
		return (control_no_repository(c, name));
	if (rc == RC_MISSING)
		return (call_fail(c, OCI_NOT_FOUND, NULL,
		    "the repository " SPAN_FMT " has no lifecycle policy",
		    SPAN_ARG(name)));
	return (rc);
}

enum rc
control_lifecycle_run(struct call *c)
{
	struct span name;
	struct buf out;
	enum rc rc;

	if ((rc = control_repository(c, false, &name)) != RC_OK ||
	    (name.n > 0 && (rc = policy_wanted(c, name)) != RC_OK))
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = jobs_run(c->service->jobs, name, &out);
	if (rc == RC_OK) {
		service_lifecycle_wake(c->service);
		return (call_json_take(c, 202, CONTROL_JSON, &out));
	}
	buf_free(&out);
	if (rc == RC_BUSY)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "%d runs wait already; wait for their end", JOBS_RUNS_MAX));
	return (rc);
}

/* --- previews ------------------------------------------------------------ */

static enum rc
member_bad(struct call *c, const char *key, const char *allowed)
{
	return (call_fail(
	    c, OCI_REQUEST_INVALID, NULL, "%s must be %s", key, allowed));
}

/* A policy that is there has to be one. */
static enum rc
text_read(struct call *c, const json_t *request, const char *key,
    const struct lifecycle_grammar *grammar, struct span *text_r)
{
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy policy;
	enum rc rc;

	*text_r = SPAN_NONE;
	rc = json_get_str(request, key, text_r);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (member_bad(c, key, "the text of a lifecycle policy"));
	if (text_r->n == 0)
		return (RC_OK);
	rc = lifecycle_policy_parse(*text_r, grammar, c->arena, &policy, why);
	if (rc == RC_OK)
		rc = lifecycle_policy_size_check(*text_r, why);
	if (rc == RC_INVALID)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "%s: %s", key, why));
	return (rc);
}

static enum rc
extensions_read(struct call *c, const json_t *request, bool *extensions_r)
{
	const json_t *member = json_object_get(request, "extensions");

	*extensions_r = c->settings->lifecycle.extensions;
	if (member == NULL || json_is_null(member))
		return (RC_OK);
	if (!json_is_boolean(member))
		return (member_bad(c, "extensions", "true or false"));
	*extensions_r = json_is_true(member);
	return (RC_OK);
}

/* Its spans borrow from ${request}. */
static enum rc
look_read(struct call *c, const json_t *request, struct look_request *look)
{
	enum rc rc;

	look->grammar.max_rules = c->settings->quotas.lifecycle_rules;
	look->now_ms = clock_real_ms();
	if ((rc = control_repository(c, true, &look->repository)) != RC_OK ||
	    (rc = extensions_read(c, request, &look->grammar.extensions)) !=
		RC_OK ||
	    (rc = text_read(
		 c, request, "policy", &look->grammar, &look->text)) != RC_OK ||
	    (rc = text_read(c, request, "against", &look->grammar,
		 &look->against)) != RC_OK)
		return (rc);
	if (look->text.n == 0)
		return (policy_wanted(c, look->repository));
	return (RC_OK);
}

static enum rc
look_start(struct call *c, const struct look_request *look)
{
	struct repository_row row;
	struct buf out;
	enum rc rc;

	rc = meta_repository_get(c->meta, look->repository, &row);
	if (rc == RC_NOTFOUND)
		return (control_no_repository(c, look->repository));
	if (rc != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = jobs_preview(c->service->jobs, look, &out);
	if (rc == RC_OK)
		return (call_json_take(c, 202, CONTROL_JSON, &out));
	buf_free(&out);
	if (rc == RC_BUSY)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "%d previews run already; wait for their end",
		    JOBS_PREVIEWS_MAX));
	return (rc);
}

enum rc
control_lifecycle_preview(struct call *c)
{
	struct look_request look = { 0 };
	char wrong[JSON_ERROR_BYTES];
	json_t *request;
	enum rc rc;

	if (c->body.n == 0)
		c->body = SPAN("{}");
	if (json_read(c->body, wrong, &request) != RC_OK)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL, "%s", wrong));
	if (!json_is_object(request))
		rc = member_bad(c, "the body", "a JSON object");
	else if ((rc = look_read(c, request, &look)) == RC_OK)
		rc = look_start(c, &look);
	json_decref(request);
	return (rc);
}

/* --- what became of them ------------------------------------------------- */

static bool
runs_now(struct call *c, struct span repository)
{
	char now[NAME_REPOSITORY_MAX_BYTES + 1];

	service_lifecycle_now(c->service, now);
	return (span_is(repository, now));
}

/* One that was running when its row was read, and then is not, has ended, or
 * the process has that it was in: then its row says the same still. */
static bool
interrupted(struct call *c, const struct lifecycle_status *st)
{
	struct lifecycle_status again;

	if (st->last.outcome != LIFECYCLE_RUNNING ||
	    runs_now(c, st->repository))
		return (false);
	return (meta_lifecycle_status(
		    c->meta, st->repository, c->arena, &again) == RC_OK &&
		again.last.outcome == LIFECYCLE_RUNNING &&
		again.last.started_ms == st->last.started_ms);
}

static void
last_json(struct call *c, const struct lifecycle_status *st, struct buf *out)
{
	const struct lifecycle_result *last = &st->last;

	if (last->outcome == LIFECYCLE_NEVER) {
		buf_str(out, ",\"last\":null");
		return;
	}
	buf_str(out, ",\"last\":{");
	control_time(out, "started", last->started_ms);
	buf_char(out, ',');
	control_time(out, "ended", last->ended_ms);
	buf_char(out, ',');
	lifecycle_result_json(last,
	    interrupted(c, st) ? "interrupted"
			       : lifecycle_outcome_text(last->outcome),
	    out);
	buf_char(out, '}');
}

static void
policy_json(struct call *c, const struct lifecycle_status *st, struct buf *out)
{
	int64_t basis_ms = st->set_ms, next_ms = 0;

	if (st->evaluated_ms > basis_ms)
		basis_ms = st->evaluated_ms;
	if (st->has_policy)
		next_ms = service_lifecycle_next(
		    c->service, c->settings, st->repo, basis_ms);
	buf_str(out, "{\"repository\":");
	buf_json(out, st->repository);
	buf_printf(out, ",\"has_policy\":%s,\"revision\":%" PRIu64 ",",
	    st->has_policy ? "true" : "false", st->revision);
	control_time(out, "set", st->set_ms);
	buf_char(out, ',');
	control_time(out, "evaluated", st->evaluated_ms);
	buf_char(out, ',');
	control_time(out, "next", next_ms);
	last_json(c, st, out);
	buf_char(out, '}');
}

static void
settings_json(struct call *c, struct buf *out)
{
	const struct lifecycle_settings *l = &c->settings->lifecycle;
	char now[NAME_REPOSITORY_MAX_BYTES + 1];

	service_lifecycle_now(c->service, now);
	buf_printf(out,
	    "{\"interval_ms\":%" PRId64 ",\"jitter_ms\":%" PRId64
	    ",\"window\":",
	    l->interval_ms, l->jitter_ms);
	buf_json(out, span_of(l->window));
	buf_printf(out,
	    ",\"extensions\":%s,\"undelete_window_ms\":%" PRId64
	    ",\"running\":",
	    l->extensions ? "true" : "false", l->undelete_ms);
	if (now[0] != '\0')
		buf_json(out, span_of(now));
	else
		buf_str(out, "null");
}

static enum rc
status_answer(struct call *c, const struct lifecycle_status_page *page)
{
	struct buf out;
	size_t i;

	buf_init(&out, CONTROL_ANSWER_BYTES);
	settings_json(c, &out);
	buf_str(&out, ",\"policies\":[");
	for (i = 0; i < page->n; i++) {
		if (i > 0)
			buf_char(&out, ',');
		policy_json(c, &page->rows[i], &out);
	}
	buf_printf(
	    &out, "],\"more\":%s,\"last\":", page->more ? "true" : "false");
	if (page->more)
		buf_json(&out, page->last);
	else
		buf_str(&out, "null");
	buf_str(&out, "}\n");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

static enum rc
status_of_one(struct call *c, struct span name)
{
	struct lifecycle_status_page page = { .n = 1 };
	struct lifecycle_status row;
	enum rc rc;

	rc = meta_lifecycle_status(c->meta, name, c->arena, &row);
	if (rc == RC_NOTFOUND)
		return (control_no_repository(c, name));
	page.rows = &row;
	return (rc != RC_OK ? rc : status_answer(c, &page));
}

enum rc
control_lifecycle_status(struct call *c)
{
	struct lifecycle_status_page page;
	struct span name, after = SPAN_NONE;
	uint64_t n = STATUS_DEFAULT;
	enum rc rc;

	if ((rc = control_repository(c, false, &name)) != RC_OK ||
	    (rc = control_u64(c, "n", &n)) != RC_OK)
		return (rc);
	if (name.n > 0)
		return (status_of_one(c, name));
	(void)http_request_param(c->request, "after", &after);
	if (n == 0 || n > STATUS_MAX)
		n = STATUS_MAX;
	rc = meta_lifecycle_status_page(
	    c->meta, after, (size_t)n, c->arena, &page);
	return (rc != RC_OK ? rc : status_answer(c, &page));
}

void
control_lifecycle_stats(struct service *svc, struct buf *out)
{
	struct service_counts *n = &svc->counts;
	char now[NAME_REPOSITORY_MAX_BYTES + 1];

	service_lifecycle_now(svc, now);
	buf_str(out, ",\"lifecycle\":{\"running\":");
	if (now[0] != '\0')
		buf_json(out, span_of(now));
	else
		buf_str(out, "null");
	buf_printf(out,
	    ",\"runs\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"stopped\":%" PRIu64
	    ",\"expired\":%" PRIu64 ",\"archived\":%" PRIu64 ",",
	    atomic_load(&n->runs), atomic_load(&n->runs_failed),
	    atomic_load(&n->runs_stopped), atomic_load(&n->expired),
	    atomic_load(&n->archived));
	control_time(out, "last", atomic_load(&n->ran_ms));
	buf_char(out, '}');
}
