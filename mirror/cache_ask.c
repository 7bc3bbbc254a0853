#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache_int.h"

/*
 * What is asked for of manifests and referrers at present.  The same asked for
 * again, for the same repository and of the same source, is one more ticket of
 * the lookup that goes on.  When that has ended it leaves the table, with its
 * tickets, in one step; who comes later looks into the store first, and finds
 * what it brought.
 */

/* --- tickets ------------------------------------------------------------- */

static struct cache_ticket *
ticket_new(const struct cache_ask *ask, void (*wake)(void *), void *arg)
{
	struct cache_ticket *t = xcalloc(1, sizeof(*t));

	t->magic = TICKET_MAGIC;
	t->create = ask->create;
	t->wake = wake;
	t->arg = arg;
	return (t);
}

void
cache_ticket_result(const struct cache_ticket *t, struct cache_result *result_r)
{
	OBJ_CHECK(t, TICKET_MAGIC);
	must(atomic_load(&t->ready));
	*result_r = t->result;
}

void
cache_ticket_free(struct cache_ticket **t_p)
{
	struct cache_ticket *t = *t_p;

	if (t == NULL)
		return;
	OBJ_CHECK(t, TICKET_MAGIC);
	must(atomic_load(&t->ready));
	*t_p = NULL;
	t->magic = 0;
	free(t);
}

/* It is its owner's again, who may free it. */
static void
ticket_answer(struct cache_ticket *t, const struct cache_result *result)
{
	void (*wake)(void *) = t->wake;
	void *arg = t->arg;

	t->result = *result;
	atomic_store(&t->ready, true);
	wake(arg);
}

/* --- lookups ------------------------------------------------------------- */

static void
lookup_free(struct lookup *l)
{
	must(l->tickets == NULL);
	source_free(&l->source);
	free(l->repository);
	free(l->tag);
	l->magic = 0;
	free(l);
}

/* With the cache's lock held. */
static struct lookup *
lookup_find(struct cache *c, const struct digest *key)
{
	struct lookup *l;

	for (l = c->lookups[cache_bucket(key)]; l != NULL; l = l->next)
		if (digest_eq(&l->key, key))
			return (l);
	return (NULL);
}

static void
lookup_unlink(struct lookup *l)
{
	struct lookup **at = &l->cache->lookups[cache_bucket(&l->key)];

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
}

static void
lookup_end(struct lookup *l, const struct cache_result *result)
{
	struct cache *c = l->cache;
	struct cache_ticket *t, *next;

	mutex_lock(&c->lock);
	lookup_unlink(l);
	t = l->tickets;
	l->tickets = NULL;
	mutex_unlock(&c->lock);
	for (; t != NULL; t = next) {
		next = t->next;
		ticket_answer(t, result);
	}
	lookup_free(l);
}

const struct repository_preset *
lookup_create(struct lookup *l)
{
	const struct repository_preset *create = NULL;
	const struct cache_ticket *t;

	mutex_lock(&l->cache->lock);
	for (t = l->tickets; t != NULL && create == NULL; t = t->next)
		create = t->create;
	mutex_unlock(&l->cache->lock);
	return (create);
}

static struct lookup *
lookup_of_job(struct pool_job *j)
{
	struct lookup *l = (struct lookup *)(void *)j;

	OBJ_CHECK(l, LOOKUP_MAGIC);
	return (l);
}

static const char *
lookup_ref(const struct lookup *l, char room[DIGEST_STR_BYTES])
{
	return (l->tag != NULL ? l->tag : digest_str(&l->ref.digest, room));
}

/* That it is not there is an everyday answer; all else may need somebody. */
static void
lookup_note(struct lookup *l, const struct cache_result *r)
{
	struct cache *c = l->cache;
	char room[DIGEST_STR_BYTES];

	if (r->outcome == CACHE_KEPT || r->outcome == CACHE_SAME)
		return;
	if (r->outcome == CACHE_GONE || r->rc == RC_CANCELLED ||
	    r->rc == RC_MISSING)
		return;
	atomic_fetch_add(&c->stats.failed, 1);
	log_warn("cache: %s%s of %s: %s", l->referrers ? "referrers of " : "",
	    lookup_ref(l, room), l->repository, r->error.why);
}

static void
lookup_run(struct pool_job *j)
{
	struct lookup *l = lookup_of_job(j);
	struct cache_result *r = xcalloc(1, sizeof(*r));

	if (l->referrers)
		lookup_referrers(l, r);
	else
		lookup_manifest(l, r);
	lookup_note(l, r);
	lookup_end(l, r);
	free(r);
}

static void
result_failed(struct cache_result *r, enum rc rc)
{
	r->outcome = rc == RC_NOTFOUND ? CACHE_GONE : CACHE_FAILED;
	r->rc = rc;
	cache_why(&r->error, rc);
}

static void
lookup_drop(struct pool_job *j)
{
	struct cache_result r = { 0 };

	result_failed(&r, RC_CANCELLED);
	lookup_end(lookup_of_job(j), &r);
}

/* --- asking -------------------------------------------------------------- */

/* The same asked for two repositories here is two things. */
static void
lookup_key(struct lookup *l)
{
	struct hasher *h = hasher_new(DIGEST_SHA256);

	hasher_update(h, l->negative.bytes, digest_len(l->negative.alg));
	hasher_update(h, l->repository, strlen(l->repository));
	hasher_final(h, &l->key);
	hasher_free(&h);
}

static struct lookup *
lookup_new(struct cache *c, const struct cache_ask *ask,
    const struct reference *ref, bool referrers)
{
	struct lookup *l = xcalloc(1, sizeof(*l));
	const char *what = referrers ? "referrers" : "manifest";
	char room[DIGEST_STR_BYTES];

	l->magic = LOOKUP_MAGIC;
	l->job.run = lookup_run;
	l->job.drop = lookup_drop;
	l->cache = c;
	l->referrers = referrers;
	source_init(&l->source, &ask->source);
	l->repository = xstrndup(ask->repository.p, ask->repository.n);
	l->ref = *ref;
	if (!ref->is_digest) {
		l->tag = xstrndup(ref->tag.p, ref->tag.n);
		l->ref.tag = span_of(l->tag);
	}
	source_key(&l->source, what, lookup_ref(l, room), &l->negative);
	lookup_key(l);
	return (l);
}

/* Join, or begin.  *${begun_r}: ${l} is in use now. */
static enum rc
lookup_submit(struct lookup *l, struct cache_ticket *t, bool *begun_r)
{
	struct cache *c = l->cache;
	struct lookup **bucket = &c->lookups[cache_bucket(&l->key)], *old;
	enum rc rc = RC_OK;

	*begun_r = false;
	mutex_lock(&c->lock);
	if ((old = lookup_find(c, &l->key)) != NULL) {
		t->next = old->tickets;
		old->tickets = t;
		mutex_unlock(&c->lock);
		return (RC_OK);
	}
	l->tickets = t;
	rc = pool_submit(c->pool, l->source.url, POOL_SHORT, &l->job);
	if (rc == RC_OK) {
		l->next = *bucket;
		*bucket = l;
		*begun_r = true;
	} else {
		l->tickets = NULL;
	}
	mutex_unlock(&c->lock);
	return (rc);
}

static bool
lookup_running(struct cache *c, const struct lookup *l)
{
	bool running;

	mutex_lock(&c->lock);
	running = lookup_find(c, &l->key) != NULL;
	mutex_unlock(&c->lock);
	return (running);
}

static void
lookup_ask(struct lookup *l, struct cache_ticket *t)
{
	struct cache *c = l->cache;
	struct cache_result r = { 0 };
	bool begun = false;
	enum rc rc = RC_OK;

	if (!lookup_running(c, l))
		rc = negative_find(c, &l->source, &l->negative, &r.error);
	if (rc == RC_OK)
		rc = lookup_submit(l, t, &begun);
	if (!begun)
		lookup_free(l);
	if (rc == RC_OK)
		return;
	result_failed(&r, rc);
	ticket_answer(t, &r);
}

void
cache_manifest(struct cache *c, const struct cache_ask *ask,
    const struct reference *ref, const struct digest *known,
    void (*wake)(void *), void *arg, struct cache_ticket **t_r)
{
	struct cache_ticket *t = ticket_new(ask, wake, arg);
	struct lookup *l;

	OBJ_CHECK(c, CACHE_MAGIC);
	*t_r = t;
	l = lookup_new(c, ask, ref, false);
	l->has_known = known != NULL;
	if (known != NULL)
		l->known = *known;
	lookup_ask(l, t);
}

void
cache_referrers(struct cache *c, const struct cache_ask *ask,
    const struct digest *subject, void (*wake)(void *), void *arg,
    struct cache_ticket **t_r)
{
	const struct reference ref = { .is_digest = true, .digest = *subject };
	struct cache_ticket *t = ticket_new(ask, wake, arg);

	OBJ_CHECK(c, CACHE_MAGIC);
	*t_r = t;
	lookup_ask(lookup_new(c, ask, &ref, true), t);
}
