#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/challenge.h"
#include "mirror/upstream_int.h"

/*
 * One request: through the gate, with what it has to show, along redirects,
 * and again as long as that may help.
 *
 * What is ours to show goes to the origin it is for, and to no other: a
 * redirect to somebody else's address carries neither the Authorization nor
 * the mark of replication.
 */
#define REDIRECTS_MAX 5
#define HEADERS_MAX 12
#define TRY_MIN_MS 1000
#define DRAIN_MAX_BYTES ((uint64_t)16384)
#define DRAIN_MAX_MS 1000
/* Below that a small body is not worth waiting for. */
#define TEXT_BYTES_PER_S 4096

char *
ask_url(struct upstream *u, const char *fmt, ...)
{
	char *path, *url;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&path, fmt, ap);
	va_end(ap);
	must(n >= 0);
	url = xasprintf("%s%s", u->options.url, path);
	free(path);
	return (url);
}

void
ask_header(struct ask *a, const char *line)
{
	must(a->n_headers < ARRAY_LEN(a->headers));
	a->headers[a->n_headers++] = line;
}

void
answer_close(struct answer *a)
{
	fetch_close(&a->f);
	url_free(&a->url);
	if (a->slot)
		gate_leave(a->u, a->side, a->bulk);
	a->slot = false;
}

void
answer_drain(struct answer *a)
{
	int64_t until_ns = clock_mono_ns() + DRAIN_MAX_MS * UPSTREAM_NS_PER_MS;
	char part[4096], why[FETCH_WHY_BYTES];
	size_t n;

	if (a->f == NULL || fetch_length(a->f) > DRAIN_MAX_BYTES)
		return;
	do {
		if (fetch_read(a->f, part, sizeof(part), &n, why) != RC_OK)
			return;
	} while (n > 0 && clock_mono_ns() < until_ns);
}

enum rc
ask_failed(struct upstream *u, enum rc rc, struct upstream_error *e)
{
	if (rc == RC_OK)
		error_clear(e);
	if (rc == RC_OK || rc == RC_NOTFOUND || rc == RC_CANCELLED)
		return (rc);
	log_debug("upstream %s", e->why);
	mutex_lock(&u->lock);
	u->state.failures++;
	u->state.failed_ms = clock_real_ms();
	(void)snprintf(u->state.failure, sizeof(u->state.failure), "%.*s",
	    (int)sizeof(u->state.failure) - 1, e->why);
	mutex_unlock(&u->lock);
	return (rc);
}

/* --- one hop ------------------------------------------------------------- */

/* What a request looks like to the fetcher. */
struct hop {
	const struct ask *ask;
	const struct url *url;
	const char *shown; /* the value of Authorization; or NULL */
	bool streams;
	uint64_t bytes;
};

struct hop_headers {
	const char *lines[HEADERS_MAX];
	size_t n;
	char *authorization;
	char *mark;
};

static bool
is_own(const struct upstream *u, const struct url *url)
{
	return (strcmp(url->origin, u->url.origin) == 0);
}

static void
hop_headers_make(
    struct upstream *u, const struct hop *hop, struct hop_headers *h)
{
	size_t i;

	*h = (struct hop_headers){ .n = 0 };
	h->lines[h->n++] = u->set->user_agent;
	for (i = 0; i < hop->ask->n_headers; i++)
		h->lines[h->n++] = hop->ask->headers[i];
	if (hop->shown != NULL) {
		h->authorization = xasprintf("Authorization: %s", hop->shown);
		h->lines[h->n++] = h->authorization;
	}
	mutex_lock(&u->lock);
	if (u->mark != NULL && is_own(u, hop->url))
		h->mark = xstrdup(u->mark);
	mutex_unlock(&u->lock);
	if (h->mark != NULL)
		h->lines[h->n++] = h->mark;
	must(h->n <= HEADERS_MAX);
}

static void
hop_headers_free(struct hop_headers *h)
{
	auth_wipe(&h->authorization);
	free(h->mark);
}

/* A try may take as long as there is patience. */
static int64_t
limit_ms(int64_t ms, const struct pace *p)
{
	int64_t left_ms = pace_left_ms(p);

	if (p->wait.patience_ms <= 0 || left_ms >= ms)
		return (ms);
	return (left_ms > TRY_MIN_MS ? left_ms : TRY_MIN_MS);
}

static enum rc
hop_open(struct upstream *u, const struct hop *hop, const struct pace *p,
    struct fetch **f_r, struct upstream_error *error)
{
	const struct ask *ask = hop->ask;
	const struct upstream_options *o = &u->options;
	struct fetch_request r = {
		.method = ask->method,
		.url = hop->url->text,
		.unix_socket = is_own(u, hop->url) ? o->unix_socket : NULL,
		.body = ask->body,
		.streams = hop->streams,
		.body_bytes = hop->bytes,
		.ca_file = o->ca_file,
		.proxy = o->proxy,
		.sigv4 = ask->sigv4,
		.access_key_id = ask->access_key_id,
		.secret_access_key = ask->secret_access_key,
		.connect_ms = limit_ms(o->connect_ms, p),
		.stall_ms = limit_ms(o->stall_ms, p),
		.answer_ms = ask->answer_ms,
		.cancel = p->wait.cancel,
	};
	char why[FETCH_WHY_BYTES];
	struct hop_headers h;
	enum rc rc;

	hop_headers_make(u, hop, &h);
	r.headers = h.lines;
	r.n_headers = h.n;
	rc = fetch_open(u->set->options.fetcher, &r, f_r, why);
	hop_headers_free(&h);
	return (rc == RC_OK ? rc : error_fetch(u, error, p->what, rc, why));
}

/* --- along redirects ----------------------------------------------------- */

static bool
is_redirect(int status)
{
	return (status == 301 || status == 302 || status == 303 ||
		status == 307 || status == 308);
}

static bool
may_follow(const struct ask *ask)
{
	return (strcmp(ask->method, "GET") == 0 ||
		strcmp(ask->method, "HEAD") == 0);
}

static enum rc
redirect_take(
    struct answer *a, const struct pace *p, struct upstream_error *error)
{
	struct span location = fetch_header(a->f, "Location");
	char why[FETCH_WHY_BYTES];
	struct url next;
	enum rc rc;

	if (location.p == NULL)
		return (error_say(a->u, error, p->what, RC_INVALID,
		    "it answered %d without a Location", a->status));
	rc = url_resolve(&a->url, location, &next, why);
	if (rc != RC_OK)
		return (error_say(a->u, error, p->what, rc,
		    "it answered %d: %s", a->status, why));
	answer_drain(a);
	fetch_close(&a->f);
	url_free(&a->url);
	a->url = next;
	return (RC_OK);
}

static void
rates_read(struct upstream *u, const struct fetch *f)
{
	int64_t limit = -1, left = -1;

	if (rate_limit_parse(fetch_header(f, "RateLimit-Limit"), &limit) !=
	    RC_OK)
		limit = -1;
	if (rate_limit_parse(fetch_header(f, "RateLimit-Remaining"), &left) !=
	    RC_OK)
		left = -1;
	if (limit < 0 && left < 0)
		return;
	mutex_lock(&u->lock);
	if (limit >= 0)
		u->state.limit = limit;
	if (left >= 0)
		u->state.remaining = left;
	mutex_unlock(&u->lock);
}

/* From ${a}->url on until somebody answers.  Where to begin may have been said
 * by the registry, too: what it is to be shown is for itself.  Whoever it sends
 * us to does not choose what is asked of it in our name: once away nothing is
 * shown any more. */
static enum rc
hops_go(struct upstream *u, struct hop *hop, const struct pace *p,
    struct answer *a, struct upstream_error *error)
{
	char *origin = xstrdup(
	    hop->ask->authorization != NULL ? a->url.origin : u->url.origin);
	const char *shown = hop->shown;
	unsigned n = 0;
	enum rc rc;

	for (;;) {
		hop->url = &a->url;
		if (strcmp(origin, a->url.origin) != 0)
			shown = NULL;
		hop->shown = shown;
		rc = hop_open(u, hop, p, &a->f, error);
		error->elsewhere = rc != RC_OK && n > 0 && !is_own(u, &a->url);
		if (rc != RC_OK || hop->streams)
			break;
		a->status = fetch_status(a->f);
		rates_read(u, a->f);
		if (!is_redirect(a->status) || !may_follow(hop->ask))
			break;
		if (++n > REDIRECTS_MAX) {
			rc = error_say(u, error, p->what, RC_INVALID,
			    "more than %d redirects", REDIRECTS_MAX);
			break;
		}
		if ((rc = redirect_take(a, p, error)) != RC_OK)
			break;
	}
	free(origin);
	return (rc);
}

/* --- one try ------------------------------------------------------------- */

static enum rc
shown_get(struct upstream *u, const struct ask *ask, const struct pace *p,
    char **shown_r, struct upstream_error *error)
{
	*shown_r = NULL;
	if (ask->authorization != NULL)
		*shown_r = xstrdup(ask->authorization);
	else if (ask->want != NULL)
		return (auth_header(u, ask->want, p, shown_r, error));
	return (RC_OK);
}

static enum rc
try_open(struct upstream *u, const struct ask *ask, struct hop *hop,
    struct pace *p, struct answer *a, struct upstream_error *error)
{
	char why[FETCH_WHY_BYTES];
	enum rc rc;

	*a = (struct answer){
		.u = u,
		.side = ask->side,
		.bulk = ask->bulk,
	};
	if ((rc = url_parse(ask->url, &a->url, why)) != RC_OK)
		return (error_say(u, error, p->what, rc, "%s", why));
	rc = gate_enter(u, ask, p, error);
	if (rc != RC_OK)
		return (rc);
	a->slot = !ask->apart;
	return (hops_go(u, hop, p, a, error));
}

/* What a try showed counts: a refusal without it is only a question. */
enum verdict { VERDICT_ANSWER, VERDICT_AGAIN, VERDICT_FAILED };

static enum verdict
answer_weigh(const struct ask *ask, const struct pace *p, struct answer *a,
    const char *shown, bool *renewed, enum rc *rc_r,
    struct upstream_error *error)
{
	bool own = ask->want != NULL && is_own(a->u, &a->url);

	if (a->status / 100 == 2) {
		gate_welcomed(a->u);
		return (VERDICT_ANSWER);
	}
	if (a->status == 401 && own && !(shown != NULL && *renewed)) {
		*renewed = *renewed || shown != NULL;
		*rc_r = auth_challenged(a->u, ask, p, a->f, shown, error);
		answer_drain(a);
		return (*rc_r == RC_OK ? VERDICT_AGAIN : VERDICT_FAILED);
	}
	if (a->status == 403 && own && !*renewed && auth_expired(a->u, shown)) {
		*renewed = true;
		return (VERDICT_AGAIN);
	}
	*rc_r = error_answered(a, p->what, error);
	return (VERDICT_FAILED);
}

/* One try, and another one for each question of who we are. */
static enum rc
try_ask(struct upstream *u, const struct ask *ask, struct pace *p,
    struct answer *a, bool *renewed, struct upstream_error *error)
{
	enum verdict verdict = VERDICT_AGAIN;
	struct hop hop = { .ask = ask };
	enum rc rc = RC_OK;
	char *shown;

	*a = (struct answer){ .u = u };
	while (verdict == VERDICT_AGAIN) {
		error_clear(error);
		answer_close(a);
		rc = shown_get(u, ask, p, &shown, error);
		if (rc != RC_OK)
			break;
		hop.shown = shown;
		rc = try_open(u, ask, &hop, p, a, error);
		verdict = VERDICT_FAILED;
		if (rc == RC_OK)
			verdict =
			    answer_weigh(ask, p, a, shown, renewed, &rc, error);
		auth_wipe(&shown);
	}
	if (verdict != VERDICT_ANSWER)
		answer_close(a);
	return (rc);
}

/* --- all tries ----------------------------------------------------------- */

enum rc
ask_open(struct upstream *u, const struct ask *ask, struct pace *p,
    struct answer *a_r, struct upstream_error *error)
{
	bool renewed = false;
	int64_t at_least_ms;
	enum rc rc;

	for (;;) {
		rc = try_ask(u, ask, p, a_r, &renewed, error);
		if (rc == RC_OK || !error_passes(rc, error->status))
			break;
		/* The gate knows how long a 429 is to be heeded. */
		at_least_ms = error->status == 429
				  ? 0
				  : (int64_t)error->retry_after_s * 1000;
		if (error->status == 429 &&
		    (int64_t)error->retry_after_s * 1000 >= pace_left_ms(p))
			break;
		if (!pace_again(u, p, at_least_ms)) {
			if (pace_cancelled(p))
				rc = error_cancelled(u, error, p->what);
			break;
		}
		log_debug("upstream %s: once more", error->why);
	}
	return (rc);
}

enum rc
ask_stream(struct upstream *u, const struct ask *ask, uint64_t bytes,
    struct pace *p, struct answer *a_r, struct upstream_error *error)
{
	struct hop hop = { .ask = ask, .streams = true, .bytes = bytes };
	char *shown;
	enum rc rc;

	*a_r = (struct answer){ .u = u };
	error_clear(error);
	if ((rc = shown_get(u, ask, p, &shown, error)) != RC_OK)
		return (rc);
	hop.shown = shown;
	rc = try_open(u, ask, &hop, p, a_r, error);
	auth_wipe(&shown);
	if (rc != RC_OK)
		answer_close(a_r);
	return (rc);
}

enum rc
ask_judge(struct answer *a, const char *what, struct upstream_error *error)
{
	enum rc rc;

	a->status = fetch_status(a->f);
	if (a->status / 100 == 2) {
		gate_welcomed(a->u);
		return (RC_OK);
	}
	rc = error_answered(a, what, error);
	answer_close(a);
	return (rc);
}

/* --- small bodies -------------------------------------------------------- */

/* What moves is not stalled; but a byte now and then is no answer either. */
static bool
is_slow(const struct upstream *u, int64_t waited_ns, size_t n)
{
	return (waited_ns / UPSTREAM_NS_PER_MS >
		u->options.stall_ms + (int64_t)n * 1000 / TEXT_BYTES_PER_S);
}

static enum rc
body_read(struct answer *a, const struct pace *p, struct buf *text,
    struct upstream_error *error)
{
	char part[16384], why[FETCH_WHY_BYTES];
	int64_t waited_ns = 0, from_ns;
	size_t n;
	enum rc rc;

	if (a->status != 0 && fetch_length(a->f) != UINT64_MAX &&
	    fetch_length(a->f) > text->cap_bytes)
		return (error_say(a->u, error, p->what, RC_TOOBIG,
		    "its answer is larger than %zu bytes", text->cap_bytes));
	for (;;) {
		from_ns = clock_mono_ns();
		rc = fetch_read(a->f, part, sizeof(part), &n, why);
		if (rc != RC_OK)
			return (error_fetch(a->u, error, p->what, rc, why));
		if (n == 0)
			return (RC_OK);
		waited_ns += clock_mono_ns() - from_ns;
		gate_bytes(a->u, SIDE_READ, n, p);
		buf_add(text, part, n);
		if (is_slow(a->u, waited_ns, text->n))
			return (error_say(a->u, error, p->what, RC_TIMEOUT,
			    "its answer comes too slowly: %zu bytes in %lld ms",
			    text->n,
			    (long long)(waited_ns / UPSTREAM_NS_PER_MS)));
		if (!buf_ok(text))
			return (error_say(a->u, error, p->what, RC_TOOBIG,
			    "its answer is larger than %zu bytes",
			    text->cap_bytes));
	}
}

enum rc
ask_text(struct upstream *u, const struct ask *ask, size_t max_bytes,
    struct pace *p, struct answer *a_r, struct buf *text,
    struct upstream_error *error)
{
	enum rc rc;

	for (;;) {
		buf_init(text, max_bytes);
		rc = ask_open(u, ask, p, a_r, error);
		if (rc != RC_OK)
			return (rc);
		error_clear(error);
		rc = body_read(a_r, p, text, error);
		if (rc == RC_OK) {
			pace_renew(p);
			return (rc);
		}
		answer_close(a_r);
		buf_free(text);
		if (!error_passes(rc, 0) || !pace_again(u, p, 0))
			return (rc);
	}
}
