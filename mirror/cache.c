#include "mirror/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache_int.h"

/*
 * The whole: made, told its settings, stopped.
 */
enum rc
cache_new(const struct cache_options *options,
    const struct cache_settings *settings, struct cache **c_r)
{
	struct cache *c = xcalloc(1, sizeof(*c));

	c->magic = CACHE_MAGIC;
	c->options = *options;
	c->settings = *settings;
	c->meta = store_meta(options->store);
	mutex_init(&c->lock);
	cond_init(&c->stopped);
	negatives_init(&c->negatives);
	c->pool = pool_new();
	*c_r = c;
	return (RC_OK);
}

void
cache_set(struct cache *c, const struct cache_settings *settings)
{
	OBJ_CHECK(c, CACHE_MAGIC);
	mutex_lock(&c->lock);
	c->settings = *settings;
	mutex_unlock(&c->lock);
}

struct cache_settings
cache_settings(struct cache *c)
{
	struct cache_settings s;

	mutex_lock(&c->lock);
	s = c->settings;
	mutex_unlock(&c->lock);
	return (s);
}

/* Fills are failed here and now, as their followers need nothing of the thread
 * that sees so later.  What is asked for otherwise ends with its thread, which
 * the flag takes out of its wait. */
void
cache_stop(struct cache *c)
{
	OBJ_CHECK(c, CACHE_MAGIC);
	mutex_lock(&c->lock);
	atomic_store(&c->stopping, true);
	pthread_cond_broadcast(&c->stopped);
	mutex_unlock(&c->lock);
	fills_stop(c);
	pool_stop(c->pool);
}

void
cache_free(struct cache **c_p)
{
	struct cache *c = *c_p;
	size_t i;

	if (c == NULL)
		return;
	OBJ_CHECK(c, CACHE_MAGIC);
	*c_p = NULL;
	pool_free(&c->pool);
	for (i = 0; i < CACHE_BUCKETS; i++)
		must(c->lookups[i] == NULL && c->fills[i] == NULL);
	negatives_free(&c->negatives);
	must(pthread_cond_destroy(&c->stopped) == 0);
	must(pthread_mutex_destroy(&c->lock) == 0);
	c->magic = 0;
	free(c);
}

bool
cache_stopping(struct cache *c)
{
	return (atomic_load(&c->stopping));
}

void
cache_nap(struct cache *c, long ms)
{
	mutex_lock(&c->lock);
	if (!cache_stopping(c))
		(void)cond_wait_ms(&c->stopped, &c->lock, ms);
	mutex_unlock(&c->lock);
}

bool
cache_lost(enum rc rc)
{
	return (rc == RC_IO || rc == RC_TIMEOUT || rc == RC_LIMIT);
}

void
cache_why(struct upstream_error *error, enum rc rc)
{

	if (error->why[0] == '\0')
		(void)snprintf(
		    error->why, sizeof(error->why), "%s", rc_text(rc));
}

/* --- sources ------------------------------------------------------------- */

void
source_init(struct source *s, const struct cache_source *from)
{
	s->url = xstrdup(from->url);
	s->credential =
	    xstrndup(from->credential.n > 0 ? from->credential.p : "",
		from->credential.n);
	s->repository = xstrndup(from->repository.p, from->repository.n);
}

void
source_free(struct source *s)
{
	free(s->url);
	free(s->credential);
	free(s->repository);
	*s = (struct source){ 0 };
}

bool
source_eq(const struct source *a, const struct source *b)
{
	return (strcmp(a->url, b->url) == 0 &&
		strcmp(a->credential, b->credential) == 0 &&
		strcmp(a->repository, b->repository) == 0);
}

/* With the NUL of each, so that no two things have one key. */
static void
key_part(struct hasher *h, const char *s)
{
	hasher_update(h, s, strlen(s) + 1);
}

void
source_key(const struct source *s, const char *what, const char *ref,
    struct digest *key_r)
{
	struct hasher *h = hasher_new(DIGEST_SHA256);

	key_part(h, s->url);
	key_part(h, s->credential);
	key_part(h, s->repository);
	key_part(h, what);
	key_part(h, ref);
	hasher_final(h, key_r);
	hasher_free(&h);
}

/* --- figures ------------------------------------------------------------- */

void
cache_count(struct cache *c, enum cache_event event)
{
	switch (event) {
	case CACHE_HIT:
		atomic_fetch_add(&c->stats.hits, 1);
		break;
	case CACHE_STALE:
		atomic_fetch_add(&c->stats.stale, 1);
		break;
	}
}

void
cache_stats(struct cache *c, struct cache_stats *st)
{
	OBJ_CHECK(c, CACHE_MAGIC);
	*st = (struct cache_stats){
		.hits = atomic_load(&c->stats.hits),
		.stale = atomic_load(&c->stats.stale),
		.manifests = atomic_load(&c->stats.manifests),
		.manifests_same = atomic_load(&c->stats.manifests_same),
		.referrers = atomic_load(&c->stats.referrers),
		.blobs = atomic_load(&c->stats.blobs),
		.blob_bytes = atomic_load(&c->stats.blob_bytes),
		.adopted = atomic_load(&c->stats.adopted),
		.joined = atomic_load(&c->stats.joined),
		.resumed = atomic_load(&c->stats.resumed),
		.failed = atomic_load(&c->stats.failed),
		.wrong_digest = atomic_load(&c->stats.wrong_digest),
		.negative = atomic_load(&c->stats.negative),
		.evicted = atomic_load(&c->stats.evicted),
		.evicted_bytes = atomic_load(&c->stats.evicted_bytes),
	};
	mutex_lock(&c->lock);
	st->fills = c->n_fills;
	mutex_unlock(&c->lock);
}
