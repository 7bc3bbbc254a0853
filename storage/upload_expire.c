#include <stdio.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * The sweep: sessions in memory that have grown old, then those that are
 * only rows, then scratches that no row knows.  Each is claimed before it is
 * removed, so that nobody can acquire it meanwhile.
 */
#define PAGE_ROWS 64
#define PAGE_ARENA_BYTES ((size_t)64 * 1024)

struct sweep {
	struct uploads *table;
	int64_t now_ms;
	unsigned budget;
	struct upload_swept *swept;
	enum rc rc;
};

static bool
sweep_done(const struct sweep *w)
{
	return (w->rc != RC_OK ||
		w->swept->sessions + w->swept->files >= w->budget);
}

static void
session_end(struct sweep *w, struct upload *u)
{
	log_debug("upload %s: expired", u->id);
	w->rc = upload_remove(&u);
	if (w->rc == RC_OK)
		w->swept->sessions++;
}

static void
memory_sweep(struct sweep *w)
{
	struct upload *u;
	unsigned bucket = 0;

	while (!sweep_done(w)) {
		u = upload_table_claim_expired(w->table, w->now_ms, &bucket);
		if (u == NULL)
			break;
		session_end(w, u);
	}
}

/* --- rows ---------------------------------------------------------------- */

/* An entry for what is only a row, busy; NULL when it has one by now. */
static struct upload *
row_claim(struct uploads *t, const struct upload_row *row)
{
	struct upload *u;

	mutex_lock(&t->lock);
	if (upload_table_find(t, span_of(row->id)) != NULL) {
		u = NULL;
	} else {
		u = upload_entry_new(t, row->id, row->repository, row->alg);
		u->busy = u->reviving = true;
		upload_table_add(t, u);
	}
	mutex_unlock(&t->lock);
	return (u);
}

static void
row_unclaim(struct upload *u)
{
	struct uploads *t = u->table;

	mutex_lock(&t->lock);
	upload_table_remove(t, u);
	mutex_unlock(&t->lock);
	upload_entry_free(&u);
}

static bool
row_expired(struct sweep *w, const struct upload_row *row)
{
	int64_t touched_ms;
	uint64_t size;

	w->rc = upload_row_touched(w->table, row, &touched_ms, &size);
	return (
	    w->rc == RC_OK && upload_expired(w->table, touched_ms, w->now_ms));
}

/* Looked at once more when nobody can touch it. */
static void
row_sweep(struct sweep *w, const struct upload_row *row)
{
	struct upload *u;

	if (upload_in_memory(w->table, span_of(row->id)) ||
	    !row_expired(w, row))
		return;
	if ((u = row_claim(w->table, row)) == NULL)
		return;
	if (row_expired(w, row))
		session_end(w, u);
	else
		row_unclaim(u);
}

static void
rows_sweep(struct sweep *w)
{
	struct upload_row *rows;
	struct arena a;
	char after[UPLOAD_ID_BYTES] = "";
	size_t i, n = PAGE_ROWS;

	arena_init(&a, PAGE_ARENA_BYTES);
	while (!sweep_done(w) && n == PAGE_ROWS) {
		w->rc = meta_upload_page(w->table->store->meta, span_of(after),
		    PAGE_ROWS, &a, &rows, &n);
		if (w->rc != RC_OK)
			break;
		for (i = 0; i < n && !sweep_done(w); i++)
			row_sweep(w, &rows[i]);
		if (n > 0)
			(void)snprintf(
			    after, sizeof(after), "%s", rows[n - 1].id);
		arena_reset(&a);
	}
	arena_reset(&a);
}

/* --- scratches ----------------------------------------------------------- */

static int
scratch_sweep(void *arg, const char *id, uint64_t size, int64_t changed_ms)
{
	struct sweep *w = arg;
	struct uploads *t = w->table;
	struct upload_row row;
	struct arena a;
	enum rc rc;

	if (!upload_expired(t, changed_ms, w->now_ms) ||
	    upload_in_memory(t, span_of(id)))
		return (0);
	arena_init(&a, PAGE_ARENA_BYTES);
	rc = meta_upload_get(t->store->meta, span_of(id), &a, &row);
	arena_reset(&a);
	if (rc == RC_OK)
		return (0);
	if (rc == RC_NOTFOUND)
		rc = scratch_remove(t->store->blobs, id);
	w->rc = rc;
	if (rc == RC_OK) {
		log_info(
		    "upload %s: a left-over without a session removed", id);
		w->swept->files++;
		w->swept->file_bytes += size;
	}
	return (sweep_done(w));
}

enum rc
upload_sweep(struct store *s, int64_t now_ms, unsigned budget,
    struct upload_swept *swept_r)
{
	struct sweep w = {
		.table = s->uploads,
		.now_ms = now_ms,
		.budget = budget,
		.swept = swept_r,
	};
	enum rc rc;

	OBJ_CHECK(w.table, UPLOADS_MAGIC);
	*swept_r = (struct upload_swept){ 0 };
	if (s->options.read_only || s->options.upload_lifetime_ms <= 0)
		return (RC_OK);
	memory_sweep(&w);
	if (!sweep_done(&w))
		rows_sweep(&w);
	if (!sweep_done(&w)) {
		rc = blobs_scratch_walk(s->blobs, scratch_sweep, &w);
		if (w.rc == RC_OK)
			w.rc = rc;
	}
	return (w.rc);
}
