#include <stdlib.h>

#include "base/mem.h"
#include "storage/gc_int.h"
#include "storage/meta_ops_int.h"

/*
 * Times that are yet to come.
 *
 * The clock was ahead once, and what began to wait then would do so for as long
 * as it was.  Queues are in order of time, so these are at their end.  They wait
 * since now: a grace later they go, unless they are needed again.
 *
 * A day more is not thought to be wrong; and as the collector has waited for a
 * grace since the start, a clock that began with a time long past has been set
 * since.
 */
#define AHEAD_MAX_MS INT64_C(86400000)

/* The least digest there is. */
static const struct digest digest_first = { .alg = DIGEST_SHA256 };

/* --- links --------------------------------------------------------------- */

struct link_row {
	struct gc_row row;
	int64_t since_ms, now_ms;
	uint64_t repo;
	struct digest digest;
};

static enum rc
link_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct link_row *row = (struct link_row *)b->rows + b->n;

	*row = (struct link_row){ .now_ms = gc_now_ms(g) };
	if (key_read_timed(w->key, &row->since_ms, &row->repo, &row->digest))
		b->n++;
	else
		(void)meta_corrupt(w->table, w->key);
	return (RC_OK);
}

/* A row that says what its link does not is none. */
static enum rc
link_date(struct meta_txn *t, void *arg)
{
	const struct link_row *row = arg;
	struct link_rec rec;
	struct rec_key k;
	enum rc rc;

	rc = link_load(t, row->repo, &row->digest, &rec);
	if (rc == RC_OK && rec.queued && rec.idle_ms == row->since_ms)
		return (link_put(t, row->repo, &row->digest, row->now_ms));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	key_timed(&k, row->since_ms, row->repo, &row->digest);
	rc = kv_delete(t, TABLE_IDLE_LINKS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
links_act(struct gc *g, struct gc_batch *b)
{
	return (gc_rows_change(
	    g->meta, link_date, b->rows, b->n, sizeof(struct link_row)));
}

static enum rc
links_date(struct gc *g)
{
	struct gc_batch b = {
		.table = TABLE_IDLE_LINKS,
		.gather = link_gather,
		.act = links_act,
		.anew = true,
		.rows = xcalloc(GC_BATCH, sizeof(struct link_row)),
	};
	struct rec_key k;
	enum rc rc;

	key_timed(&k, gc_now_ms(g) + AHEAD_MAX_MS, 0, &digest_first);
	gc_place_set(&b.at, key_span(&k));
	rc = gc_queue_run(g, &b);
	free(b.rows);
	return (rc);
}

/* --- content ------------------------------------------------------------- */

struct unheld_row {
	struct gc_row row;
	int64_t since_ms, now_ms;
	uint32_t domain;
	struct digest digest;
};

static enum rc
unheld_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct unheld_row *row = (struct unheld_row *)b->rows + b->n;

	*row = (struct unheld_row){ .now_ms = gc_now_ms(g) };
	if (key_read_unheld(w->key, &row->since_ms, &row->domain, &row->digest))
		b->n++;
	else
		(void)meta_corrupt(w->table, w->key);
	return (RC_OK);
}

/* The same name at another time. */
static enum rc
row_move(struct meta_txn *t, const struct rec_key *from,
    const struct unheld_row *row)
{
	struct gc_name name = { 0 };
	struct span value, s;
	struct rec_key to;
	uint8_t *p;
	enum rc rc;

	if ((rc = kv_get(t, TABLE_UNHELD, key_span(from), &value)) != RC_OK)
		return (rc);
	if (rec_unheld_read(value, &s))
		gc_name_set(&name, s);
	if ((rc = kv_delete(t, TABLE_UNHELD, key_span(from))) != RC_OK)
		return (rc);
	s = gc_name_span(&name);
	key_unheld(&to, row->now_ms, row->domain, &row->digest);
	rc = kv_reserve(t, TABLE_UNHELD, key_span(&to), rec_unheld_size(s), &p);
	if (rc == RC_OK)
		rec_unheld_write(s, p);
	return (rc);
}

static enum rc
unheld_date(struct meta_txn *t, void *arg)
{
	const struct unheld_row *row = arg;
	uint8_t bytes[REC_BLOB_BYTES];
	struct rec_key k, queued;
	struct blob_rec rec;
	struct span value;
	enum rc rc;

	key_unheld(&queued, row->since_ms, row->domain, &row->digest);
	key_blob(&k, row->domain, &row->digest);
	rc = kv_get(t, TABLE_BLOBS, key_span(&k), &value);
	if (rc == RC_OK && !rec_blob_read(value, &rec))
		return (meta_corrupt(TABLE_BLOBS, key_span(&k)));
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && rec.unheld_ms != row->since_ms)) {
		rc = kv_delete(t, TABLE_UNHELD, key_span(&queued));
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	}
	if (rc != RC_OK)
		return (rc);
	rec.unheld_ms = row->now_ms;
	rec_blob_write(&rec, bytes);
	rc = kv_put(t, TABLE_BLOBS, key_span(&k),
	    (struct span){ (const char *)bytes, sizeof(bytes) });
	if (rc == RC_OK)
		rc = row_move(t, &queued, row);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
unheld_act(struct gc *g, struct gc_batch *b)
{
	return (gc_rows_change(
	    g->meta, unheld_date, b->rows, b->n, sizeof(struct unheld_row)));
}

static enum rc
blobs_date(struct gc *g)
{
	struct gc_batch b = {
		.table = TABLE_UNHELD,
		.gather = unheld_gather,
		.act = unheld_act,
		.anew = true,
		.rows = xcalloc(GC_BATCH, sizeof(struct unheld_row)),
	};
	struct rec_key k;
	enum rc rc;

	/* No key domain is below. */
	key_unheld(
	    &k, gc_now_ms(g) + AHEAD_MAX_MS, KEY_DOMAIN_PLAIN, &digest_first);
	gc_place_set(&b.at, key_span(&k));
	rc = gc_queue_run(g, &b);
	free(b.rows);
	return (rc);
}

enum rc
gc_ahead(struct gc *g)
{
	enum rc rc;

	rc = links_date(g);
	return (rc == RC_OK && !g->cut ? blobs_date(g) : rc);
}
