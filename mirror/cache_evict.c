#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/cache_int.h"
#include "storage/images.h"
#include "storage/imports.h"

/*
 * The cache is kept to its size.  All imported images are looked at: what
 * content do they need, and when were they used.  Then those used longest ago
 * go, until there is room again: the images alone; their content goes with the
 * collector, if nobody else needs it.
 *
 * An index holds its children, so it goes first; a child counts as used when
 * an index that refers to it was, and hence stands right behind the last of
 * them.
 */
#define EVICT_PAGE_ROWS 256
#define EVICT_ARENA_BYTES ((size_t)64 << 20)
#define EVICT_PASSES 8 /* of indexes that refer to indexes */

struct cached {
	struct digest digest;
	uint32_t repository; /* of the array */
	bool held;	     /* an index refers to it */
	bool gone;
	int64_t used_ms;
	int64_t order_ms; /* the same, or later, of an index that holds it */
};

/* What an image needs of what is here, itself included. */
struct need {
	struct digest digest;
	uint64_t size_bytes;
	bool child; /* an image of its own: nothing to count */
};

struct evict {
	struct cache *cache;
	const struct span *repositories;
	struct cached *rows; /* by repository and digest */
	size_t n, room;
	struct cached **order;
	struct tally *tally;
	int64_t now_ms;
	uint64_t bytes, target_bytes;
	struct cache_eviction *e;
};

/* --- looking ------------------------------------------------------------- */

static void
row_add(struct evict *ev, uint32_t repository, const struct import_row *from)
{

	if (ev->n == ev->room) {
		ev->room = ev->room == 0 ? EVICT_PAGE_ROWS : ev->room * 2;
		ev->rows = xrealloc(ev->rows, ev->room * sizeof(*ev->rows));
	}
	ev->rows[ev->n++] = (struct cached){
		.digest = from->digest,
		.repository = repository,
		.held = from->held,
		.used_ms = from->used_ms,
		.order_ms = from->used_ms,
	};
}

static enum rc
rows_of_repository(struct evict *ev, uint32_t repository)
{
	struct import_page page = { .more = true };
	struct digest last;
	struct arena a;
	bool begun = false;
	size_t i;
	enum rc rc = RC_OK;

	arena_init(&a, EVICT_ARENA_BYTES);
	while (page.more) {
		arena_reset(&a);
		rc = meta_import_page(ev->cache->meta,
		    ev->repositories[repository], begun ? &last : NULL,
		    EVICT_PAGE_ROWS, &a, &page);
		if (rc != RC_OK || page.n == 0)
			break;
		for (i = 0; i < page.n; i++)
			row_add(ev, repository, &page.rows[i]);
		last = page.rows[page.n - 1].digest;
		begun = true;
	}
	arena_reset(&a);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static int
cmp_place(const void *a, const void *b)
{
	const struct cached *x = a, *y = b;

	if (x->repository != y->repository)
		return (x->repository < y->repository ? -1 : 1);
	return (digest_cmp(&x->digest, &y->digest));
}

static struct cached *
row_find(const struct evict *ev, uint32_t repository, const struct digest *d)
{
	const struct cached key = { .repository = repository, .digest = *d };

	return (bsearch(&key, ev->rows, ev->n, sizeof(*ev->rows), cmp_place));
}

/* --- what an image needs ------------------------------------------------- */

static enum rc
edge_need(struct evict *ev, struct span repository, const struct descriptor *e,
    struct arena *a, struct need *need_r, size_t *n)
{
	struct blob_row blob;
	enum rc rc;

	need_r->digest = e->digest;
	need_r->child = e->kind == EDGE_MANIFEST;
	if (!need_r->child) {
		rc = meta_blob_get(ev->cache->meta, repository, &e->digest,
		    BLOB_ROW, READ_BLOCKING, a, &blob);
		if (rc != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		need_r->size_bytes = blob.size_bytes;
	}
	(*n)++;
	return (RC_OK);
}

/* In the arena.  One that cannot be read needs its text. */
static enum rc
image_needs(struct evict *ev, const struct cached *row, struct arena *a,
    struct need **needs_r, size_t *n_r)
{
	const struct reference ref = { .is_digest = true,
		.digest = row->digest };
	struct span repository = ev->repositories[row->repository];
	char why[MANIFEST_WHY_BYTES];
	struct manifest m = { 0 };
	struct manifest_row text;
	size_t i;
	enum rc rc;

	rc = meta_manifest_get(ev->cache->meta, repository, &ref, MANIFEST_TEXT,
	    READ_BLOCKING, a, &text);
	if (rc != RC_OK)
		return (rc);
	if (manifest_parse(text.media_type, text.text, a, &m, why) != RC_OK)
		m.n_edges = 0;
	*needs_r = arena_calloc(a, m.n_edges + 1, sizeof(**needs_r));
	if (*needs_r == NULL)
		return (RC_TOOBIG);
	(*needs_r)[0] = (struct need){ row->digest, text.size_bytes, false };
	*n_r = 1;
	for (i = 0; rc == RC_OK && i < m.n_edges; i++)
		rc = edge_need(
		    ev, repository, &m.edges[i], a, &(*needs_r)[*n_r], n_r);
	return (rc);
}

static void
needs_count(struct evict *ev, const struct cached *row,
    const struct need *needs, size_t n)
{
	struct cached *child;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!needs[i].child) {
			ev->bytes += tally_add(
			    ev->tally, &needs[i].digest, needs[i].size_bytes);
			continue;
		}
		child = row_find(ev, row->repository, &needs[i].digest);
		if (child != NULL && child->order_ms < row->order_ms)
			child->order_ms = row->order_ms;
	}
}

/* One that went meanwhile is none. */
static enum rc
rows_count(struct evict *ev)
{
	struct need *needs;
	struct arena a;
	size_t i, n;
	enum rc rc = RC_OK;

	arena_init(&a, EVICT_ARENA_BYTES);
	for (i = 0; rc == RC_OK && i < ev->n; i++) {
		if (cache_stopping(ev->cache))
			rc = RC_CANCELLED;
		else
			rc = image_needs(ev, &ev->rows[i], &a, &needs, &n);
		if (rc == RC_OK)
			needs_count(ev, &ev->rows[i], needs, n);
		else if (rc == RC_NOTFOUND) {
			ev->rows[i].gone = true;
			rc = RC_OK;
		}
		arena_reset(&a);
	}
	return (rc);
}

static enum rc
look_at_all(struct evict *ev, size_t n)
{
	uint32_t i;
	enum rc rc;

	for (i = 0; i < n; i++)
		if ((rc = rows_of_repository(ev, i)) != RC_OK)
			return (rc);
	if (ev->n > 0)
		qsort(ev->rows, ev->n, sizeof(*ev->rows), cmp_place);
	return (rows_count(ev));
}

/* --- giving up ----------------------------------------------------------- */

static int
cmp_order(const void *a, const void *b)
{
	const struct cached *x = *(struct cached *const *)a;
	const struct cached *y = *(struct cached *const *)b;

	if (x->order_ms != y->order_ms)
		return (x->order_ms < y->order_ms ? -1 : 1);
	if (x->held != y->held)
		return (x->held ? 1 : -1);
	return (cmp_place(x, y));
}

static void
rows_order(struct evict *ev)
{
	size_t i;

	ev->order = xcalloc(ev->n + 1, sizeof(struct cached *));
	for (i = 0; i < ev->n; i++)
		ev->order[i] = &ev->rows[i];
	if (ev->n > 0)
		qsort(ev->order, ev->n, sizeof(struct cached *), cmp_order);
}

static void
row_gone(
    struct evict *ev, struct cached *row, const struct need *needs, size_t n)
{
	const struct cache_options *o = &ev->cache->options;
	struct cached *child;
	uint64_t bytes = 0;
	size_t i;

	row->gone = true;
	for (i = 0; i < n; i++) {
		if (!needs[i].child) {
			bytes += tally_drop(ev->tally, &needs[i].digest);
			continue;
		}
		/* Others may hold it still: then it is told so. */
		child = row_find(ev, row->repository, &needs[i].digest);
		if (child != NULL)
			child->held = false;
	}
	ev->bytes -= bytes;
	ev->e->evicted++;
	ev->e->evicted_bytes += bytes;
	atomic_fetch_add(&ev->cache->stats.evicted, 1);
	atomic_fetch_add(&ev->cache->stats.evicted_bytes, bytes);
	if (o->evicted != NULL)
		o->evicted(o->arg, ev->repositories[row->repository],
		    &row->digest, bytes);
}

static enum rc
row_evict(struct evict *ev, struct cached *row, struct arena *a)
{
	struct image_deleted gone = { 0 };
	struct need *needs;
	size_t n;
	enum rc rc;

	if ((rc = image_needs(ev, row, a, &needs, &n)) == RC_OK)
		rc = meta_import_evict(ev->cache->meta,
		    ev->repositories[row->repository], &row->digest,
		    row->used_ms, a, &gone);
	if (rc == RC_OK)
		row_gone(ev, row, needs, n);
	if (rc == RC_REFERENCED)
		row->held = true;
	if (rc == RC_BUSY || rc == RC_NOTFOUND)
		row->gone = true;
	if (rc == RC_REFERENCED || rc == RC_BUSY || rc == RC_NOTFOUND)
		rc = RC_OK;
	return (rc);
}

static enum rc
evict_pass(struct evict *ev)
{
	struct arena a;
	size_t i;
	enum rc rc = RC_OK;

	arena_init(&a, EVICT_ARENA_BYTES);
	for (i = 0; rc == RC_OK && i < ev->n; i++) {
		if (ev->bytes <= ev->target_bytes)
			break;
		if (ev->order[i]->gone || ev->order[i]->held ||
		    ev->order[i]->used_ms > ev->now_ms - EVICT_GRACE_MS)
			continue;
		if (cache_stopping(ev->cache))
			rc = RC_CANCELLED;
		else
			rc = row_evict(ev, ev->order[i], &a);
		arena_reset(&a);
	}
	return (rc);
}

static enum rc
evict_all(struct evict *ev)
{
	uint64_t before;
	unsigned pass;
	enum rc rc = RC_OK;

	rows_order(ev);
	for (pass = 0; rc == RC_OK && pass < EVICT_PASSES; pass++) {
		before = ev->e->evicted;
		rc = evict_pass(ev);
		if (ev->e->evicted == before)
			break;
	}
	return (rc);
}

enum rc
cache_evict(struct cache *c, const struct span *repositories, size_t n,
    struct cache_eviction *e_r)
{
	uint64_t max = cache_settings(c).max_bytes;
	struct evict ev = {
		.cache = c,
		.repositories = repositories,
		.now_ms = clock_real_ms(),
		.target_bytes = max - max / 10,
		.e = e_r,
	};
	enum rc rc;

	OBJ_CHECK(c, CACHE_MAGIC);
	*e_r = (struct cache_eviction){ 0 };
	if (max == 0)
		return (RC_OK);
	ev.tally = tally_new();
	rc = look_at_all(&ev, n);
	e_r->images = ev.n;
	e_r->bytes = ev.bytes;
	if (rc == RC_OK && ev.bytes > max)
		rc = evict_all(&ev);
	if (e_r->evicted > 0)
		log_info("cache: %" PRIu64 " of %" PRIu64
			 " images were given up, of %" PRIu64 " bytes",
		    e_r->evicted, e_r->images, e_r->evicted_bytes);
	tally_free(&ev.tally);
	free(ev.order);
	free(ev.rows);
	return (rc);
}
