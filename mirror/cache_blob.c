#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache_int.h"
#include "storage/content.h"
#include "storage/imports.h"
#include "storage/repositories.h"

/*
 * Which fills go on, and who may join one.  A fill is joined
 *
 *	by who has the same source: the upstream would give it to him too;
 *	by whose repository has a manifest that names the content, as with
 *	content that is in the registry already (meta_blob_adopt).
 *
 * Anybody else who asks for the same digest has a fill of his own, from his own
 * source: that he knows the digest does not show that he may have the content.
 * So has one whose repository keeps content under another key, or under none:
 * there it cannot be linked.
 *
 * A fill stands in the table before the store is looked into for the content,
 * and leaves it when the content is linked wherever it was asked for; so there
 * is no moment at which who asks finds neither.
 */

/* Enough to know how large something is. */
#define STAT_ARENA_BYTES 4096

/* --- members ------------------------------------------------------------- */

static struct fill_member *
member_new(const struct cache_source *source, struct span repository)
{
	struct fill_member *m = xcalloc(1, sizeof(*m));

	source_init(&m->source, source);
	m->repository = xstrndup(repository.p, repository.n);
	return (m);
}

static void
members_free(struct fill_member *m)
{
	struct fill_member *next;

	for (; m != NULL; m = next) {
		next = m->next;
		source_free(&m->source);
		free(m->repository);
		free(m);
	}
}

/* With the lock held: ${m} becomes one, or is not needed. */
static void
member_add(struct fill_entry *e, struct fill_member *m)
{
	struct fill_member **at = &e->members;

	for (; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->repository, m->repository) == 0 &&
		    source_eq(&(*at)->source, &m->source)) {
			members_free(m);
			return;
		}
	*at = m;
}

/* What somebody asks for. */
struct wanted {
	const struct digest *digest;
	uint32_t key_domain;
	uint64_t named_bytes;
};

/* --- the table: all with the lock held ----------------------------------- */

static bool
may_join(const struct fill_entry *e, const struct fill_member *m,
    uint64_t named_bytes)
{
	const struct fill_member *other;

	if (named_bytes != UINT64_MAX && e->named_bytes != UINT64_MAX &&
	    named_bytes != e->named_bytes)
		return (false);
	if (named_bytes != UINT64_MAX)
		return (true);
	for (other = e->members; other != NULL; other = other->next)
		if (source_eq(&other->source, &m->source))
			return (true);
	return (false);
}

static struct fill_entry *
entry_find(struct cache *c, const struct wanted *w, const struct fill_member *m)
{
	struct fill_entry *e;

	for (e = c->fills[cache_bucket(w->digest)]; e != NULL; e = e->next)
		if (digest_eq(&e->digest, w->digest) &&
		    e->key_domain == w->key_domain &&
		    may_join(e, m, w->named_bytes))
			return (e);
	return (NULL);
}

static bool
ends_in(const struct fill_entry *e, struct span repository)
{
	const struct fill_member *m;

	for (m = e->members; m != NULL; m = m->next)
		if (span_is(repository, m->repository))
			return (true);
	return (false);
}

struct fill *
cache_filling(struct cache *c, struct span repository, const struct digest *d)
{
	const struct fill_entry *e;
	struct fill *f = NULL;

	OBJ_CHECK(c, CACHE_MAGIC);
	mutex_lock(&c->lock);
	for (e = c->fills[cache_bucket(d)]; e != NULL && f == NULL; e = e->next)
		if (digest_eq(&e->digest, d) && ends_in(e, repository))
			f = fill_ref(e->fill);
	mutex_unlock(&c->lock);
	return (f);
}

void
fill_unlist(struct fill_entry *e)
{
	struct fill_entry **at = &e->cache->fills[cache_bucket(&e->digest)];

	if (!e->listed)
		return;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	e->listed = false;
	e->cache->n_fills--;
}

static void
entry_list(struct fill_entry *e)
{
	struct fill_entry **bucket = &e->cache->fills[cache_bucket(&e->digest)];

	e->next = *bucket;
	*bucket = e;
	e->listed = true;
	e->cache->n_fills++;
}

/* --- the end of one ------------------------------------------------------ */

/* The next one that has no link yet; the first has the blob itself.  NULL:
 * there is none, and nobody will join any more. */
static struct fill_member *
member_to_link(struct fill_entry *e)
{
	struct fill_member *m;

	mutex_lock(&e->cache->lock);
	for (m = e->members->next; m != NULL && m->linked; m = m->next)
		continue;
	if (m != NULL)
		m->linked = true;
	else
		fill_unlist(e);
	mutex_unlock(&e->cache->lock);
	return (m);
}

/* One that cannot be linked, as its repository is gone, finds that out when it
 * looks. */
static void
members_link(struct fill_entry *e)
{
	const struct fill_member *m;
	char room[DIGEST_STR_BYTES];
	enum rc rc;

	while ((m = member_to_link(e)) != NULL) {
		const struct blob_mount mount = {
			.from = span_of(e->members->repository),
			.to = span_of(m->repository),
			.digest = e->digest,
			.now_ms = clock_real_ms(),
		};

		if (span_eq(mount.from, mount.to))
			continue;
		rc = meta_blob_mount(e->cache->meta, &mount);
		if (rc != RC_OK && rc != RC_NOTFOUND)
			log_warn("cache: %s is not linked in %s: %s",
			    digest_str(&e->digest, room), m->repository,
			    rc_text(rc));
	}
}

static void
entry_free(struct fill_entry *e)
{

	must(!e->listed);
	fill_unref(&e->fill);
	members_free(e->members);
	e->magic = 0;
	free(e);
}

void
fill_end(struct fill_entry *e, enum rc rc, const struct upstream_error *error)
{
	OBJ_CHECK(e, FILL_ENTRY_MAGIC);
	if (rc == RC_OK) {
		members_link(e);
		(void)fill_done(e->fill);
	} else {
		mutex_lock(&e->cache->lock);
		fill_unlist(e);
		mutex_unlock(&e->cache->lock);
		(void)fill_fail(e->fill, rc, error);
	}
	entry_free(e);
}

void
fill_give_up(struct fill_entry *e, enum rc rc)
{
	struct upstream_error error = { 0 };

	cache_why(&error, rc);
	fill_end(e, rc, &error);
}

/* What is durable in a moment may end as it does. */
void
fills_stop(struct cache *c)
{
	struct upstream_error error = { 0 };
	struct fill **fills;
	const struct fill_entry *e;
	size_t i, n = 0;

	cache_why(&error, RC_CANCELLED);
	mutex_lock(&c->lock);
	fills = xcalloc(c->n_fills + 1, sizeof(struct fill *));
	for (i = 0; i < CACHE_BUCKETS; i++)
		for (e = c->fills[i]; e != NULL; e = e->next)
			fills[n++] = fill_ref(e->fill);
	mutex_unlock(&c->lock);
	for (i = 0; i < n; i++) {
		if (fill_state(fills[i]) < FILL_WHOLE)
			(void)fill_fail(fills[i], RC_CANCELLED, &error);
		fill_unref(&fills[i]);
	}
	free(fills);
}

/* --- the beginning of one ------------------------------------------------ */

static void
job_run(struct pool_job *j)
{
	fill_run((struct fill_entry *)(void *)j);
}

static void
job_drop(struct pool_job *j)
{
	fill_give_up((struct fill_entry *)(void *)j, RC_CANCELLED);
}

static struct fill_entry *
entry_new(struct cache *c, const struct wanted *w, struct fill_member *first)
{
	struct fill_entry *e = xcalloc(1, sizeof(*e));

	e->job.run = job_run;
	e->job.drop = job_drop;
	e->magic = FILL_ENTRY_MAGIC;
	e->cache = c;
	e->digest = *w->digest;
	e->key_domain = w->key_domain;
	e->fill = fill_new();
	e->members = first;
	e->named_bytes = w->named_bytes;
	return (e);
}

/* Is it in the repository, or may it be linked there? */
static enum rc
entry_in_store(struct fill_entry *e)
{
	struct span repository = span_of(e->members->repository);
	struct cache *c = e->cache;
	struct arena a;
	uint64_t size;
	enum rc rc;

	arena_init(&a, STAT_ARENA_BYTES);
	rc = content_stat(
	    c->options.store, repository, &e->digest, READ_BLOCKING, &a, &size);
	if (rc == RC_NOTFOUND && e->named_bytes != UINT64_MAX) {
		rc = meta_blob_adopt(
		    c->meta, repository, &e->digest, clock_real_ms());
		/* The record may be there and the file not. */
		if (rc == RC_OK)
			rc = content_stat(c->options.store, repository,
			    &e->digest, READ_BLOCKING, &a, &size);
		if (rc == RC_OK)
			atomic_fetch_add(&c->stats.adopted, 1);
	}
	arena_reset(&a);
	return (rc);
}

static enum rc
entry_negative(const struct fill_entry *e, struct upstream_error *error_r)
{
	const struct source *s = &e->members->source;
	char room[DIGEST_STR_BYTES];
	struct digest key;

	source_key(s, "blob", digest_str(&e->digest, room), &key);
	return (negative_find(e->cache, s, &key, error_r));
}

/* It is in the table.  RC_OK: it is to be fetched. */
static enum rc
entry_look(struct fill_entry *e)
{
	struct upstream_error error = { 0 };
	uint64_t room = e->named_bytes != UINT64_MAX ? e->named_bytes : 0;
	enum rc rc;

	rc = entry_in_store(e);
	if (rc == RC_OK) {
		fill_end(e, RC_OK, NULL);
		return (RC_EXISTS);
	}
	if (rc == RC_NOTFOUND)
		rc = store_room(e->cache->options.store, room);
	if (rc != RC_OK) {
		fill_give_up(e, rc);
		return (rc);
	}
	if ((rc = entry_negative(e, &error)) == RC_OK)
		return (RC_OK);
	fill_end(e, rc, &error);
	return (RC_FAILED);
}

/* Join, or make one and put it into the table.  RC_BUSY: joined. */
static enum rc
entry_take(struct cache *c, const struct wanted *w, struct fill_member *m,
    struct fill_entry **e_r, struct fill **f_r)
{
	struct fill_entry *e;
	enum rc rc = RC_OK;

	mutex_lock(&c->lock);
	if (cache_stopping(c)) {
		members_free(m);
		rc = RC_CANCELLED;
	} else if ((e = entry_find(c, w, m)) != NULL) {
		member_add(e, m);
		*f_r = fill_ref(e->fill);
		rc = RC_BUSY;
	} else {
		e = entry_new(c, w, m);
		entry_list(e);
		*f_r = fill_ref(e->fill);
		*e_r = e;
	}
	mutex_unlock(&c->lock);
	return (rc);
}

enum rc
fill_begin(struct cache *c, const struct cache_source *source,
    struct span repository, const struct digest *d, struct fill_entry **e_r,
    struct fill **f_r)
{
	struct wanted w = { .digest = d };
	struct repository_row row;
	enum rc rc;

	*f_r = NULL;
	if ((rc = meta_repository_get(c->meta, repository, &row)) != RC_OK)
		return (rc);
	w.key_domain = repository_domain(&row);
	rc = meta_blob_named(c->meta, repository, d, &w.named_bytes);
	if (rc == RC_NOTFOUND)
		w.named_bytes = UINT64_MAX;
	else if (rc != RC_OK)
		return (rc);
	rc = entry_take(c, &w, member_new(source, repository), e_r, f_r);
	if (rc == RC_OK)
		rc = entry_look(*e_r);
	if (rc != RC_OK && rc != RC_BUSY && rc != RC_FAILED)
		fill_unref(f_r);
	return (rc);
}

/* What is stopping has no more to say than that. */
static struct fill *
fill_cancelled(void)
{
	struct upstream_error error = { 0 };
	struct fill *f = fill_new();

	cache_why(&error, RC_CANCELLED);
	(void)fill_fail(f, RC_CANCELLED, &error);
	return (f);
}

enum rc
cache_blob(struct cache *c, const struct cache_ask *ask, const struct digest *d,
    struct fill **f_r)
{
	struct fill_entry *e = NULL;
	enum rc rc;

	OBJ_CHECK(c, CACHE_MAGIC);
	rc = fill_begin(c, &ask->source, ask->repository, d, &e, f_r);
	if (rc == RC_BUSY)
		atomic_fetch_add(&c->stats.joined, 1);
	if (rc == RC_OK) {
		rc = pool_submit(c->pool, ask->source.url, POOL_LONG, &e->job);
		if (rc != RC_OK) {
			fill_give_up(e, rc);
			fill_unref(f_r);
		}
	}
	if (rc == RC_CANCELLED)
		*f_r = fill_cancelled();
	if (rc == RC_BUSY || rc == RC_FAILED || rc == RC_CANCELLED)
		rc = RC_OK;
	return (rc);
}
