#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/gc_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * Links that no image needs, and content that nobody holds.
 *
 * A link that goes leaves its blob unheld since the link was idle, so the two
 * waits are one.  Of content in files the record goes first, and says where the
 * file is; then the file; then what says so.  All the while it is claimed, so
 * that nobody gives new content of that digest its place between these.
 */

/* So many images are looked at in one change to see whether a link is of
 * archived ones; of more there is another. */
#define LINK_LOOKED_MAX 1000

/* --- links --------------------------------------------------------------- */

struct link_row {
	struct gc_row row;
	int64_t since_ms;
	uint64_t repo;
	struct digest digest;
	struct gc_name name;
	struct edge_look look;
	bool dropped;
	bool more; /* images have to be looked at still */
};

static enum rc
link_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct link_row *row = (struct link_row *)b->rows + b->n;

	row->look = (struct edge_look){ 0 };
	if (!key_read_timed(w->key, &row->since_ms, &row->repo, &row->digest)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	if (row->since_ms > g->before_ms) {
		b->last = true;
		return (RC_OK);
	}
	if (!gc_claim(g, b, &row->digest, HEED_LEASES)) {
		g->totals->leased++;
		return (RC_OK);
	}
	b->n++;
	return (gc_name_of(w->t, row->repo, &row->name));
}

/* Images need it that are archived or deleted.  It is claimed, so who was told
 * of it has had the time to push an image that uses it. */
static enum rc
link_rest(struct meta_txn *t, struct link_row *row, struct link_rec *rec)
{
	struct edge_look *look = &row->look;
	enum rc rc;

	rc = edge_kept(t, row->repo, &row->digest, LINK_LOOKED_MAX, look);
	if (rc != RC_OK)
		return (rc);
	/* Not as its row says. */
	if (look->active)
		return (
		    link_recount(t, row->repo, &row->digest, row->since_ms));
	row->more = look->more && !look->kept;
	if (row->more)
		return (RC_OK);
	if (!look->kept)
		return (link_hide(t, row->repo, &row->digest, rec));
	rc = link_settle(t, row->repo, &row->digest, rec);
	if (rc != RC_OK)
		return (rc);
	return (archive_offer(
	    t, repo_domain(row->repo), &row->digest, row->since_ms));
}

static enum rc
queue_row_drop(struct meta_txn *t, const struct link_row *row)
{
	struct rec_key k;
	enum rc rc;

	key_timed(&k, row->since_ms, row->repo, &row->digest);
	rc = kv_delete(t, TABLE_IDLE_LINKS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
link_collect(struct meta_txn *t, void *arg)
{
	struct link_row *row = arg;
	struct link_rec rec;
	bool needed;
	enum rc rc;

	row->dropped = false;
	row->more = false;
	rc = link_load(t, row->repo, &row->digest, &rec);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && (!rec.queued || rec.idle_ms != row->since_ms)))
		return (queue_row_drop(t, row));
	if (rc != RC_OK)
		return (rc);
	rc = edge_needed(t, row->repo, &row->digest, &needed);
	if (rc != RC_OK)
		return (rc);
	if (needed)
		return (link_rest(t, row, &rec));
	row->dropped = true;
	return (link_drop(t, row->repo, &row->digest, &rec, row->since_ms));
}

/* A link of very many deleted images: other changes get their turn meanwhile.
 * No rest: it is claimed. */
static enum rc
link_finish(struct gc *g, struct link_row *row)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && row->row.done && row->more)
		rc = gc_stopped(g) ? RC_CANCELLED
				   : gc_rows_change(g->meta, link_collect, row,
					 1, sizeof(*row));
	return (rc);
}

static enum rc
links_act(struct gc *g, struct gc_batch *b)
{
	struct link_row *rows = b->rows;
	size_t i;
	enum rc rc;

	rc = gc_rows_change(
	    g->meta, link_collect, b->rows, b->n, sizeof(rows[0]));
	for (i = 0; i < b->n && rc == RC_OK; i++)
		rc = link_finish(g, &rows[i]);
	for (i = 0; i < b->n; i++) {
		if (!rows[i].row.done || !rows[i].dropped)
			continue;
		g->totals->links++;
		gc_tally_add(g->tally, gc_name_span(&rows[i].name), 1, 0, 0);
	}
	return (rc);
}

enum rc
gc_links(struct gc *g)
{
	struct gc_batch b = {
		.table = TABLE_IDLE_LINKS,
		.gather = link_gather,
		.act = links_act,
		.rows = xcalloc(GC_BATCH, sizeof(struct link_row)),
	};
	enum rc rc;

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
	struct gc_name name; /* of the repository that held it last */
	enum blob_location location;
	uint64_t bytes;
	bool forgotten;
	bool gone; /* its file */
};

static enum rc
unheld_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct unheld_row *row = (struct unheld_row *)b->rows + b->n;
	struct span name;

	*row = (struct unheld_row){ .now_ms = gc_now_ms(g) };
	if (!key_read_unheld(
		w->key, &row->since_ms, &row->domain, &row->digest)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	if (row->since_ms > g->before_ms) {
		b->last = true;
		return (RC_OK);
	}
	if (!gc_claim(g, b, &row->digest, HEED_LEASES)) {
		g->totals->leased++;
		return (RC_OK);
	}
	if (rec_unheld_read(w->value, &name))
		gc_name_set(&row->name, name);
	b->n++;
	return (RC_OK);
}

/* The queue says what the record does not. */
static enum rc
unheld_mend(struct meta_txn *t, const struct unheld_row *row)
{
	struct rec_key k;
	enum rc rc;

	key_unheld(&k, row->since_ms, row->domain, &row->digest);
	rc = kv_delete(t, TABLE_UNHELD, key_span(&k));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	rc = meta_blob_recheck(t, row->domain, &row->digest, row->now_ms);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
unheld_collect(struct meta_txn *t, void *arg)
{
	struct unheld_row *row = arg;
	struct blob_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	row->forgotten = false;
	key_blob(&k, row->domain, &row->digest);
	rc = kv_get(t, TABLE_BLOBS, key_span(&k), &value);
	if (rc == RC_OK && !rec_blob_read(value, &rec))
		return (meta_corrupt(TABLE_BLOBS, key_span(&k)));
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && rec.unheld_ms != row->since_ms))
		return (unheld_mend(t, row));
	if (rc == RC_OK)
		rc = blob_forget(t, row->domain, &row->digest, row->now_ms);
	if (rc == RC_REFERENCED)
		return (unheld_mend(t, row));
	if (rc != RC_OK)
		return (rc);
	row->forgotten = true;
	row->location = rec.location;
	row->bytes = rec.stored_bytes;
	return (RC_OK);
}

static enum rc
unheld_removal_drop(struct meta_txn *t, void *arg)
{
	const struct unheld_row *row = arg;

	if (!row->gone)
		return (RC_OK);
	return (removal_drop(t, row->location, row->domain, &row->digest));
}

static void
unheld_count(struct gc *g, const struct unheld_row *row)
{
	g->totals->blobs++;
	g->totals->bytes += row->bytes;
	gc_tally_add(g->tally, gc_name_span(&row->name), 0, 1, row->bytes);
}

/* One that cannot be removed now is by a later collection. */
static void
unheld_file_remove(struct gc *g, struct unheld_row *row)
{
	bool was;

	row->gone = false;
	if (!row->row.done || !row->forgotten)
		return;
	unheld_count(g, row);
	if (row->location == BLOB_IN_META)
		return;
	row->gone = gc_file_remove(g, row->location, row->domain, &row->digest,
			&was) == RC_OK;
}

static enum rc
unheld_files_remove(struct gc *g, struct gc_batch *b)
{
	struct unheld_row *rows = b->rows;
	bool any = false;
	size_t i;

	for (i = 0; i < b->n; i++) {
		unheld_file_remove(g, &rows[i]);
		any = any || rows[i].gone;
	}
	if (!any)
		return (RC_OK);
	return (gc_rows_change(
	    g->meta, unheld_removal_drop, b->rows, b->n, sizeof(rows[0])));
}

/* Of those whose change was made, if not of all. */
static enum rc
unheld_act(struct gc *g, struct gc_batch *b)
{
	enum rc rc, rc_files;

	rc = gc_rows_change(
	    g->meta, unheld_collect, b->rows, b->n, sizeof(struct unheld_row));
	rc_files = unheld_files_remove(g, b);
	return (rc != RC_OK ? rc : rc_files);
}

enum rc
gc_blobs(struct gc *g)
{
	struct gc_batch b = {
		.table = TABLE_UNHELD,
		.gather = unheld_gather,
		.act = unheld_act,
		.rows = xcalloc(GC_BATCH, sizeof(struct unheld_row)),
	};
	enum rc rc;

	rc = gc_queue_run(g, &b);
	free(b.rows);
	return (rc);
}
