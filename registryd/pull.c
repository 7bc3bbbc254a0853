#include "registryd/pull.h"

#include <string.h>

#include "base/clock.h"
#include "base/obj.h"
#include "registryd/authorize.h"
#include "registryd/creation.h"
#include "registryd/http/framing.h"
#include "registryd/pull_int.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "storage/images.h"
#include "storage/imports.h"

/*
 * When an upstream is asked for what a handler needs, who may have it asked,
 * and what is told when it does not answer.
 *
 * What is here is served whatever becomes of the upstream: the worst that
 * happens to it is a Warning.  Only for what is not here an upstream's trouble
 * becomes the client's, and then it is told as that: never as "unknown", by
 * which clients would give up, or take another image.
 */
#define ACTION_IMPORT "ecr:BatchImportUpstreamImage"

struct pull *
pull_of(struct call *c)
{
	if (c->pull == NULL)
		c->pull = arena_calloc(c->arena, 1, sizeof(*c->pull));
	return (c->pull);
}

bool
pull_begin(struct call *c)
{
	if (c->pull != NULL)
		c->pull->refused = RC_OK;
	return (c->service->cache != NULL && c->service->cache_rules != NULL &&
		cache_rules_any(c->service->cache_rules));
}

/* --- ?ns= ---------------------------------------------------------------- */

/* "host[:port]" of a URL. */
static struct span
authority_of(struct span url)
{
	static const char *const schemes[] = { "https://", "http://" };
	const char *slash;
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++)
		if (span_has_prefix(url, span_of(schemes[i]))) {
			url.p += strlen(schemes[i]);
			url.n -= strlen(schemes[i]);
		}
	slash = memchr(url.p != NULL ? url.p : "", '/', url.n);
	if (slash != NULL)
		url.n = (size_t)(slash - url.p);
	return (url);
}

static bool
names_this_server(const struct call *c, struct span ns)
{
	struct span own = authority_of(span_of(c->settings->external_url));

	return (span_eq_nocase(ns, c->request->host) ||
		(own.n > 0 && span_eq_nocase(ns, own)));
}

static bool
has_namespace(const struct call *c, struct span *ns_r)
{
	const struct http_request *rq = c->request;

	return (c->repository.n > 0 && rq->n_params > 0 &&
		(rq->method == HTTP_GET || rq->method == HTTP_HEAD) &&
		span_has_prefix(rq->path, SPAN("/v2/")) &&
		http_request_param(rq, "ns", ns_r) && ns_r->n > 0);
}

/* To a stranger it is no matter which registries are kept here. */
static enum rc
no_such_namespace(struct call *c, struct span ns)
{
	enum rc rc;

	if ((rc = authorize_call(c)) != RC_OK)
		return (rc);
	return (call_fail(c, OCI_NAME_UNKNOWN, call_detail("ns", ns),
	    "no pull through cache rule of this registry is for \"%.*s\"",
	    CALL_SHOW(ns)));
}

enum rc
pull_route(struct call *c)
{
	struct cache_match m;
	struct pull *p;
	struct span ns;

	if (!has_namespace(c, &ns))
		return (RC_OK);
	if ((p = pull_of(c)) == NULL)
		return (RC_TOOBIG);
	if (!p->routed && names_this_server(c, ns))
		return (RC_OK);
	if (!p->routed &&
	    (!framing_host_ok(ns) || c->service->cache_rules == NULL ||
		!cache_rule_of_namespace(c->service->cache_rules, ns,
		    c->repository, c->arena, &c->repository, &m)))
		return (no_such_namespace(c, ns));
	p->routed = true;
	http_response_header(c->answer, "OCI-Namespace", ns);
	return (RC_OK);
}

/* --- who may, and what --------------------------------------------------- */

/*
 * A rule for ROOT is above all names, those of somebody's own images among
 * them: a repository that holds images, none of which was imported, is no copy
 * of anything, and the upstream is told nothing of it.
 */
static enum rc
own_by_name(struct call *c, bool *own_r)
{
	struct import_page page;
	struct arena arena;
	uint64_t n = 0;
	enum rc rc;

	*own_r = false;
	if (!c->may_block)
		return (RC_WOULDBLOCK);
	rc = meta_image_count(c->meta, c->repository, &n);
	if (rc == RC_NOTFOUND || (rc == RC_OK && n == 0))
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	arena_init(&arena, (size_t)1 << 20);
	rc = meta_import_page(c->meta, c->repository, NULL, 1, &arena, &page);
	*own_r = rc == RC_OK && page.n == 0;
	arena_reset(&arena);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
may_import(struct call *c, bool here)
{
	enum rc rc;

	if (!here)
		return (authorize_require(c, ACTION_IMPORT, c->repository));
	rc = authorize_repository(c, ACTION_IMPORT, c->repository);
	return (rc == RC_OK ? RC_OK : RC_NOTFOUND);
}

enum rc
pull_ask(struct call *c, bool here, struct cache_ask *ask_r)
{
	struct cache_match m;
	bool own = false;
	enum rc rc = RC_OK;

	if (!cache_rule_of(
		c->service->cache_rules, c->repository, c->arena, &m))
		return (RC_NOTFOUND);
	if (!here && span_is(m.prefix, "ROOT"))
		rc = own_by_name(c, &own);
	if (rc != RC_OK || own)
		return (rc != RC_OK ? rc : RC_NOTFOUND);
	*ask_r = (struct cache_ask){
		.source = m.source,
		.repository = c->repository,
	};
	return (may_import(c, here));
}

/* As what the repository would be made, if it is not there. */
static enum rc
ask_creation(struct call *c, struct cache_ask *ask)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(c->meta, c->repository, &row);
	return (rc == RC_NOTFOUND ? creation_on_cache(c, &ask->create) : rc);
}

/* --- what is told -------------------------------------------------------- */

enum rc
pull_refusal(const struct call *c, const char **why_r)
{
	*why_r = c->pull != NULL ? c->pull->why : NULL;
	return (c->pull != NULL ? c->pull->refused : RC_OK);
}

static bool
has_header(const struct call *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->answer->n_headers; i++)
		if (span_is(c->answer->headers[i].name, name))
			return (true);
	return (false);
}

static enum rc
refuse_until(struct call *c, enum api_error error,
    const struct upstream_error *e, const char *what)
{
	if (!has_header(c, "Retry-After"))
		call_header(c, "Retry-After", "%u",
		    e->retry_after_s > 0 ? e->retry_after_s : 1);
	return (call_fail(c, error, NULL, "%s: %s", what, e->why));
}

/* Of an upstream; false: it is our own. */
static bool
is_of_upstream(enum rc rc, const struct upstream_error *e)
{
	return (rc == RC_DENIED || rc == RC_IO || rc == RC_TIMEOUT ||
		rc == RC_INVALID || rc == RC_DIGEST || rc == RC_UNSUPPORTED ||
		rc == RC_TOOBIG || rc == RC_FAILED || e->status != 0);
}

enum rc
pull_refuse(struct call *c, enum rc rc, const struct upstream_error *e)
{
	struct pull *p = pull_of(c);

	if (p == NULL || rc == RC_CANCELLED)
		return (call_fail_rc(c, RC_BUSY, "pull through cache"));
	if (rc == RC_LIMIT && e->status == 0 && e->why[0] != '\0')
		return (refuse_until(c, OCI_UNAVAILABLE, e,
		    "the upstream registry cannot be asked for now"));
	if (!is_of_upstream(rc, e))
		return (call_fail_rc(c, rc, "pull through cache"));
	p->refused = rc;
	p->why = arena_printf(c->arena, "%s", e->why);
	if (rc == RC_DENIED)
		return (call_fail(c, OCI_DENIED, NULL,
		    "the upstream registry denies it: %s", e->why));
	if (rc == RC_LIMIT)
		return (refuse_until(c, OCI_TOOMANYREQUESTS, e,
		    "the upstream registry allows no more requests for now"));
	if (rc == RC_TIMEOUT)
		return (refuse_until(c, OCI_UPSTREAM_TIMEOUT, e,
		    "the upstream registry does not answer"));
	return (refuse_until(c, OCI_UPSTREAM_UNAVAILABLE, e,
	    "the upstream registry cannot serve it"));
}

#define WARNED_MAX_BYTES 400

/* A quoted-string of RFC 9110. */
static void
quote(struct buf *out, const char *text)
{
	size_t i;

	for (i = 0; i < WARNED_MAX_BYTES && text[i] != '\0'; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, text[i] < ' ' || text[i] > '~' ? ' ' : text[i]);
	}
}

/* One Warning for one answer, be it of a hundred images. */
static void
warn_stale(struct call *c, const char *why)
{
	struct buf b;

	if (has_header(c, "Warning"))
		return;
	buf_init(&b, SIZE_MAX);
	buf_str(&b, "110 - \"Response is Stale: ");
	quote(&b, why);
	buf_char(&b, '"');
	call_header(c, "Warning", SPAN_FMT, SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
}

/* --- asking, and what came of it ----------------------------------------- */

static void
ticket_release(void *arg)
{
	struct pull_asked *a = arg;

	cache_ticket_free(&a->ticket);
}

static struct pull_asked *
asked_find(const struct call *c, bool referrers, const struct reference *ref)
{
	struct pull_asked *a = c->pull != NULL ? c->pull->asked : NULL;

	for (; a != NULL; a = a->next) {
		if (a->referrers != referrers ||
		    a->ref.is_digest != ref->is_digest)
			continue;
		if (ref->is_digest ? digest_eq(&a->ref.digest, &ref->digest)
				   : span_eq(a->ref.tag, ref->tag))
			return (a);
	}
	return (NULL);
}

static enum rc
asked_add(struct call *c, bool referrers, const struct reference *ref,
    struct pull_asked **a_r)
{
	struct pull *p = pull_of(c);
	struct pull_asked *a;

	a = p != NULL ? arena_calloc(c->arena, 1, sizeof(*a)) : NULL;
	if (a == NULL)
		return (RC_TOOBIG);
	a->referrers = referrers;
	a->ref = *ref;
	if (!ref->is_digest &&
	    (a->ref.tag = arena_span(c->arena, ref->tag)).p == NULL)
		return (RC_TOOBIG);
	a->next = p->asked;
	p->asked = a;
	arena_defer(c->arena, ticket_release, a);
	*a_r = a;
	return (RC_OK);
}

static void
wake(void *x)
{
	http_exchange_wake(x);
}

/* On the loop. */
static void
await_asked(struct call *c)
{
	struct pull_asked *a = c->pull->asked;
	struct cache *cache = c->service->cache;

	if (a->referrers)
		cache_referrers(
		    cache, &a->ask, &a->ref.digest, wake, c->x, &a->ticket);
	else
		cache_manifest(cache, &a->ask, &a->ref,
		    a->has_known ? &a->known : NULL, wake, c->x, &a->ticket);
}

static enum rc
asked_await(struct call *c)
{
	c->await = await_asked;
	return (RC_AWAIT);
}

static enum rc
asked_stale(struct call *c, struct pull_asked *a)
{
	const char *why = a->result->error.why;

	warn_stale(c, why[0] != '\0' ? why : rc_text(a->result->rc));
	if (!a->stale)
		cache_count(c->service->cache, CACHE_STALE);
	a->stale = true;
	return (RC_OK);
}

/* ${here}: there is something to be served anyway. */
static enum rc
asked_answer(struct call *c, struct pull_asked *a, bool here)
{
	if (a->ticket == NULL)
		return (RC_OK); /* nothing is to be asked */
	if (a->result == NULL) {
		a->result = arena_calloc(c->arena, 1, sizeof(*a->result));
		if (a->result == NULL)
			return (RC_TOOBIG);
		cache_ticket_result(a->ticket, a->result);
	}
	switch (a->result->outcome) {
	case CACHE_KEPT:
	case CACHE_SAME:
		return (RC_OK);
	case CACHE_GONE:
		return (here ? asked_stale(c, a) : RC_OK);
	case CACHE_FAILED:
		break;
	}
	if (here)
		return (asked_stale(c, a));
	/* The repository was deleted meanwhile. */
	if (a->result->rc == RC_MISSING)
		return (RC_OK);
	return (pull_refuse(c, a->result->rc, &a->result->error));
}

/* --- manifests ----------------------------------------------------------- */

/* Served without a word to the upstream; counted once, however often the
 * handler runs. */
static enum rc
manifest_hit(struct call *c, const struct reference *ref)
{
	struct pull_asked *a;

	cache_count(c->service->cache, CACHE_HIT);
	if (c->operation == NULL)
		return (RC_OK);
	return (asked_add(c, false, ref, &a));
}

/* Does the settings' rule of freshness want the upstream asked about a tag
 * that is here?  What somebody pushed himself never. */
static enum rc
tag_is_due(
    struct call *c, const struct reference *ref, bool *imported_r, bool *due_r)
{
	const struct caching *s = &c->settings->cache;
	struct import_tag row;
	int64_t age_ms;
	enum rc rc;

	*due_r = false;
	rc = meta_import_tag_get(c->meta, c->repository, ref->tag, &row);
	*imported_r = rc == RC_OK;
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	age_ms = clock_real_ms() - row.checked_ms;
	*due_r = s->mode == CACHE_BY_UPSTREAM ||
		 (s->mode == CACHE_BY_TTL &&
		     (age_ms >= s->freshness_ms || age_ms < 0));
	return (RC_OK);
}

static enum rc
manifest_ask(
    struct call *c, const struct reference *ref, const struct digest *found)
{
	struct cache_ask ask;
	struct pull_asked *a;
	enum rc rc;

	rc = pull_ask(c, found != NULL, &ask);
	if (rc == RC_OK && found == NULL)
		rc = ask_creation(c, &ask);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if ((rc = asked_add(c, false, ref, &a)) != RC_OK)
		return (rc);
	a->ask = ask;
	a->has_known = found != NULL;
	if (found != NULL)
		a->known = *found;
	return (asked_await(c));
}

/* What a digest names is here, or it is not. */
static enum rc
manifest_here(
    struct call *c, const struct reference *ref, const struct digest *found)
{
	bool imported = true, due = false;
	struct cache_match m;
	enum rc rc;

	if (!cache_rule_of(
		c->service->cache_rules, c->repository, c->arena, &m))
		return (RC_OK);
	if (!ref->is_digest &&
	    (rc = tag_is_due(c, ref, &imported, &due)) != RC_OK)
		return (rc);
	if (!imported)
		return (RC_OK);
	return (due ? manifest_ask(c, ref, found) : manifest_hit(c, ref));
}

enum rc
pull_manifest(
    struct call *c, const struct reference *ref, const struct digest *found)
{
	struct pull_asked *a;

	if (!pull_begin(c))
		return (RC_OK);
	if ((a = asked_find(c, false, ref)) != NULL)
		return (asked_answer(c, a, found != NULL));
	if (found != NULL)
		return (manifest_here(c, ref, found));
	return (manifest_ask(c, ref, NULL));
}

/* --- referrers ----------------------------------------------------------- */

/* Those of what somebody pushed himself are his, too. */
static enum rc
referrers_due(
    struct call *c, const struct reference *subject, bool *known_r, bool *due_r)
{
	const struct caching *s = &c->settings->cache;
	struct manifest_row row;
	int64_t checked_ms, age_ms;
	enum rc rc;

	*due_r = *known_r = false;
	rc = meta_manifest_get(c->meta, c->repository, subject, MANIFEST_ROW,
	    c->mode, c->arena, &row);
	if (rc == RC_OK)
		rc = meta_imported(
		    c->meta, c->repository, &subject->digest, &checked_ms);
	else if (rc == RC_NOTFOUND)
		rc = RC_OK; /* asked for before the image itself */
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	rc = meta_import_referrers_get(
	    c->meta, c->repository, &subject->digest, &checked_ms);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	*known_r = rc == RC_OK;
	age_ms = clock_real_ms() - checked_ms;
	*due_r = !*known_r || s->mode == CACHE_BY_UPSTREAM ||
		 (s->mode == CACHE_BY_TTL &&
		     (age_ms >= s->freshness_ms || age_ms < 0));
	return (RC_OK);
}

static enum rc
referrers_ask(struct call *c, const struct reference *subject, bool known)
{
	struct repository_row row;
	struct cache_ask ask;
	struct pull_asked *a;
	enum rc rc;

	rc = meta_repository_get(c->meta, c->repository, &row);
	if (rc == RC_OK)
		rc = pull_ask(c, known, &ask);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if ((rc = asked_add(c, true, subject, &a)) != RC_OK)
		return (rc);
	a->ask = ask;
	a->has_known = known;
	return (asked_await(c));
}

enum rc
pull_referrers(struct call *c, const struct digest *subject)
{
	struct reference ref = { .is_digest = true, .digest = *subject };
	struct pull_asked *a;
	bool known, due;
	enum rc rc;

	if (!pull_begin(c))
		return (RC_OK);
	if ((a = asked_find(c, true, &ref)) != NULL)
		return (asked_answer(c, a, a->has_known));
	if ((rc = referrers_due(c, &ref, &known, &due)) != RC_OK || !due)
		return (rc);
	return (referrers_ask(c, &ref, known));
}
