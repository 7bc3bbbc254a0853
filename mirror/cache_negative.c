#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache_int.h"

/*
 * What upstreams said no to, so that who asks again at once is told so without
 * a request: 404, 401 and 403 for as long as the settings say; what may be
 * otherwise soon for a moment.  That an upstream cannot be reached at all is
 * one answer for whatever is asked of it.
 *
 * A ring of fixed size: the oldest answer makes room for a new one.  Of each a
 * hash of what was asked is kept, and the text that goes with it.
 */
struct negative {
	struct negative *next; /* in its bucket */
	size_t slot;
	struct digest key;
	int64_t noted_ns;
	bool moment;
	enum rc rc;
	int status;
	unsigned retry_after_s;
	char *why;
};

void
negatives_init(struct negatives *t)
{
	mutex_init(&t->lock);
}

static unsigned
bucket_of(const struct digest *key)
{
	unsigned n = (unsigned)key->bytes[0] << 8 | key->bytes[1];

	return (n % NEGATIVE_BUCKETS);
}

/* All with the lock held. */

static struct negative *
entry_find(struct negatives *t, const struct digest *key)
{
	struct negative *n;

	for (n = t->buckets[bucket_of(key)]; n != NULL; n = n->next)
		if (digest_eq(&n->key, key))
			return (n);
	return (NULL);
}

static void
entry_remove(struct negatives *t, struct negative *n)
{
	struct negative **at = &t->buckets[bucket_of(&n->key)];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	t->ring[n->slot] = NULL;
	free(n->why);
	free(n);
}

static void
entry_add(struct negatives *t, struct negative *n)
{
	struct negative **bucket = &t->buckets[bucket_of(&n->key)];

	if (t->ring[t->next] != NULL)
		entry_remove(t, t->ring[t->next]);
	n->slot = t->next;
	t->ring[n->slot] = n;
	t->next = (t->next + 1) % CACHE_NEGATIVE_MAX;
	n->next = *bucket;
	*bucket = n;
}

void
negatives_free(struct negatives *t)
{
	size_t i;

	for (i = 0; i < CACHE_NEGATIVE_MAX; i++)
		if (t->ring[i] != NULL)
			entry_remove(t, t->ring[i]);
	must(pthread_mutex_destroy(&t->lock) == 0);
}

/* Still to be believed?  One that is not goes. */
static struct negative *
entry_good(struct negatives *t, const struct digest *key, int64_t keep_ms)
{
	struct negative *n = entry_find(t, key);

	if (n == NULL)
		return (NULL);
	if (n->moment)
		keep_ms = NEGATIVE_MOMENT_MS;
	if (clock_mono_ns() - n->noted_ns < keep_ms * 1000000)
		return (n);
	entry_remove(t, n);
	return (NULL);
}

/* --- what others call ---------------------------------------------------- */

static void
reach_key(const struct source *s, struct digest *key_r)
{
	digest_of(DIGEST_SHA256, s->url, strlen(s->url), key_r);
}

enum rc
negative_find(struct cache *c, const struct source *s, const struct digest *key,
    struct upstream_error *error_r)
{
	int64_t keep_ms = cache_settings(c).negative_ms;
	const struct negative *n;
	struct digest reach;
	enum rc rc = RC_OK;

	reach_key(s, &reach);
	mutex_lock(&c->negatives.lock);
	n = entry_good(&c->negatives, &reach, keep_ms);
	if (n == NULL)
		n = entry_good(&c->negatives, key, keep_ms);
	if (n != NULL) {
		rc = n->rc;
		error_r->status = n->status;
		error_r->retry_after_s = n->retry_after_s;
		(void)snprintf(
		    error_r->why, sizeof(error_r->why), "%s", n->why);
	}
	mutex_unlock(&c->negatives.lock);
	if (n != NULL)
		atomic_fetch_add(&c->stats.negative, 1);
	return (rc);
}

enum verdict { NOT_KEPT, KEPT_MOMENT, KEPT_LONG, KEPT_UNREACHED };

/* Without a status it is not about what was asked; but where we ourselves are
 * short of something (RC_LIMIT), or gave up, it says nothing at all. */
static enum verdict
verdict_of(enum rc rc, const struct upstream_error *error)
{

	if (error->status == 0) {
		if (rc == RC_IO || rc == RC_TIMEOUT || rc == RC_DENIED)
			return (
			    error->elsewhere ? KEPT_MOMENT : KEPT_UNREACHED);
		return (NOT_KEPT);
	}
	if (rc == RC_NOTFOUND || rc == RC_DENIED)
		return (KEPT_LONG);
	if (cache_lost(rc))
		return (KEPT_MOMENT);
	return (NOT_KEPT);
}

void
negative_note(struct cache *c, const struct source *s, const struct digest *key,
    enum rc rc, const struct upstream_error *error)
{
	enum verdict v = verdict_of(rc, error);
	struct negative *n, *old;

	if (v == NOT_KEPT)
		return;
	n = xcalloc(1, sizeof(*n));
	n->key = *key;
	if (v == KEPT_UNREACHED)
		reach_key(s, &n->key);
	n->noted_ns = clock_mono_ns();
	n->moment = v != KEPT_LONG;
	n->rc = rc;
	n->status = error->status;
	n->retry_after_s = error->retry_after_s;
	n->why = xstrdup(error->why);
	mutex_lock(&c->negatives.lock);
	if ((old = entry_find(&c->negatives, &n->key)) != NULL)
		entry_remove(&c->negatives, old);
	entry_add(&c->negatives, n);
	mutex_unlock(&c->negatives.lock);
}

void
negative_answered(struct cache *c, const struct source *s)
{
	struct negative *n;
	struct digest reach;

	reach_key(s, &reach);
	mutex_lock(&c->negatives.lock);
	if ((n = entry_find(&c->negatives, &reach)) != NULL)
		entry_remove(&c->negatives, n);
	mutex_unlock(&c->negatives.lock);
}
