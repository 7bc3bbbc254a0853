#include <string.h>

#include "base/clock.h"
#include "base/obj.h"
#include "storage/gc_int.h"

/*
 * Going through a queue in batches: rows are gathered in a short read, and
 * claimed; what is done with them is the step's matter; claims are given back
 * before the rest.  What is passed over stays in the queue, and the walk goes
 * on behind it.
 */

/* So many rows are looked at in one read, at most. */
#define LOOK_MAX 1024

bool
gc_claim(
    struct gc *g, struct gc_batch *b, const struct digest *d, enum gc_heed heed)
{
	size_t i;

	for (i = 0; i < b->n_claims; i++)
		if (digest_eq(&b->claims[i], d))
			return (true);
	must(b->n_claims < GC_BATCH);
	if (heed == HEED_LEASES ? !lease_claim(g->leases, d)
				: !lease_claim_unpinned(g->leases, d))
		return (false);
	b->claims[b->n_claims++] = *d;
	return (true);
}

static void
claims_end(struct gc *g, struct gc_batch *b)
{
	while (b->n_claims > 0)
		lease_give_back(g->leases, &b->claims[--b->n_claims]);
}

/* --- gathering ----------------------------------------------------------- */

void
gc_place_set(struct gc_place *place, struct span key)
{
	must(key.n <= sizeof(place->p));
	memcpy(place->p, key.p, key.n);
	place->n = key.n;
}

/* The next read begins behind this row.  A damaged key may be longer than any
 * of ours, but not than LMDB's. */
static void
place_after(struct gc_batch *b, struct span key)
{
	must(key.n < sizeof(b->at.p));
	gc_place_set(&b->at, key);
	b->at.p[b->at.n++] = 0;
}

/* Where the last slice of the same queue ended. */
static struct gc_place *
place_kept(struct gc *g, enum meta_table table)
{
	size_t i;

	for (i = 0; i < g->n_places; i++)
		if (g->places[i].table == table)
			return (&g->places[i]);
	must(g->n_places < GC_PLACES);
	g->places[g->n_places].table = table;
	return (&g->places[g->n_places++]);
}

static enum rc
rows_walk(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	unsigned looked;
	enum rc rc = RC_OK;

	for (looked = 0; looked < LOOK_MAX && b->n < GC_BATCH && !b->last;
	     looked++) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			break;
		place_after(b, w->key);
		if ((rc = b->gather(g, w, b)) != RC_OK)
			break;
	}
	if (rc != RC_NOTFOUND)
		return (rc);
	b->last = true;
	return (RC_OK);
}

static enum rc
rows_gather(struct gc *g, struct gc_batch *b)
{
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	b->n = 0;
	if ((rc = meta_read_begin(g->meta, &t)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(
	    &t, b->table, SPAN_NONE, (struct span){ b->at.p, b->at.n }, &w);
	if (rc == RC_OK) {
		rc = rows_walk(g, &w, b);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

/* A step that does much with one row may say itself that its slice is over. */
static enum rc
queue_run(struct gc *g, struct gc_batch *b)
{
	int64_t began_ns;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !b->last) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = rows_gather(g, b);
		if (rc == RC_OK && b->n > 0)
			rc = b->act(g, b);
		claims_end(g, b);
		gc_rest(g, began_ns);
		if (g->cut || (!b->last && gc_slice_over(g)))
			break;
	}
	return (rc);
}

/* What is leased is counted once, however often the queue is gone through. */
enum rc
gc_queue_run(struct gc *g, struct gc_batch *b)
{
	uint64_t leased;
	struct gc_place *kept;
	enum rc rc;

	if (b->anew)
		return (queue_run(g, b));
	kept = place_kept(g, b->table);
	gc_place_set(&b->at, (struct span){ kept->p, kept->n });
	if (kept->n == 0) {
		g->totals->leased -= kept->leased;
		kept->leased = 0;
	}
	leased = g->totals->leased;
	rc = queue_run(g, b);
	kept->leased += g->totals->leased - leased;
	kept->n = 0;
	if (rc == RC_OK && g->cut)
		gc_place_set(kept, (struct span){ b->at.p, b->at.n });
	return (rc);
}

/* --- changing ------------------------------------------------------------ */

struct rows {
	gc_row_fn *fn;
	char *rows;
	size_t n, size;
};

static enum rc
rows_change(struct meta_txn *t, void *arg)
{
	const struct rows *r = arg;
	size_t i;
	enum rc rc;

	for (i = 0; i < r->n; i++)
		if ((rc = r->fn(t, r->rows + i * r->size)) != RC_OK)
			return (rc);
	return (RC_OK);
}

static void
rows_done(const struct rows *r, bool done)
{
	struct gc_row *row;
	size_t i;

	for (i = 0; i < r->n; i++) {
		row = (void *)(r->rows + i * r->size);
		row->done = done;
	}
}

enum rc
gc_rows_change(struct meta *m, gc_row_fn *fn, void *rows, size_t n, size_t size)
{
	struct rows all = { fn, rows, n, size };
	struct rows one = { fn, rows, 1, size };
	size_t i;
	enum rc rc;

	rows_done(&all, false);
	if (n == 0)
		return (RC_OK);
	if ((rc = meta_change_freeing(m, rows_change, &all)) == RC_OK)
		rows_done(&all, true);
	if (rc != RC_CORRUPT)
		return (rc);
	for (i = 0; i < n; i++) {
		one.rows = all.rows + i * size;
		rc = meta_change_freeing(m, rows_change, &one);
		if (rc == RC_OK)
			rows_done(&one, true);
		else if (rc != RC_CORRUPT)
			return (rc);
	}
	return (RC_OK);
}
