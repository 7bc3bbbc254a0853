#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/gc_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * Files that no record leads to.
 *
 * Of most of them a row in removals tells: a collection, or a change of where
 * content lies, has not come to its end.  Others were placed by a push whose
 * record could not be written; nothing tells of these, so all files are held
 * against the records, once after a start and whenever such a thing has
 * happened.
 *
 * Whoever places a file has a pin until its record is there.  So, while the
 * digest is claimed, a file without a record will not get one.
 */

/* --- one file ------------------------------------------------------------ */

static enum rc
record_leads(struct gc *g, enum blob_location location, const struct digest *d,
    bool *leads_r)
{
	struct blob_rec rec;
	struct meta_txn t;
	struct rec_key k;
	struct span value;
	enum rc rc;

	*leads_r = true;
	if ((rc = meta_read_begin(g->meta, &t)) != RC_OK)
		return (rc);
	key_blob(&k, KEY_DOMAIN_PLAIN, d);
	rc = kv_get(&t, TABLE_BLOBS, key_span(&k), &value);
	if (rc == RC_OK && !rec_blob_read(value, &rec))
		rc = meta_corrupt(TABLE_BLOBS, key_span(&k));
	if (rc == RC_OK)
		*leads_r = rec.location == location;
	meta_read_end(&t);
	if (rc != RC_NOTFOUND)
		return (rc);
	*leads_r = false;
	return (RC_OK);
}

/* Of one in the archive it is not known. */
static uint64_t
file_size(struct gc *g, enum blob_location location, const struct digest *d)
{
	uint64_t size;

	if (location != BLOB_IN_FILE ||
	    blobs_stat(store_blobs(g->store), KEY_DOMAIN_PLAIN, d,
		READ_BLOCKING, &size) != RC_OK)
		return (0);
	return (size);
}

enum rc
gc_orphan_remove(
    struct gc *g, enum blob_location location, const struct digest *d)
{
	char text[DIGEST_STR_BYTES];
	uint64_t size;
	bool leads, removed;
	enum rc rc;

	if ((rc = record_leads(g, location, d, &leads)) != RC_OK)
		return (rc);
	if (leads)
		return (RC_REFERENCED);
	size = file_size(g, location, d);
	rc = gc_file_remove(g, location, d, &removed);
	if (rc != RC_OK || !removed)
		return (rc);
	log_info(
	    "blob %s: a file without a record removed", digest_str(d, text));
	g->totals->orphan_files++;
	g->totals->orphan_bytes += size;
	return (RC_OK);
}

/* --- those that rows tell of --------------------------------------------- */

struct removal_row {
	struct gc_row row;
	uint8_t location;
	struct digest digest;
	bool gone; /* or in use: the row is not needed any more */
};

static bool
removal_read(struct span key, struct removal_row *row)
{
	uint32_t domain;

	return (key_read_removal(key, &row->location, &domain, &row->digest) &&
		domain == KEY_DOMAIN_PLAIN &&
		(row->location == BLOB_IN_FILE ||
		    row->location == BLOB_IN_ARCHIVE));
}

static enum rc
removal_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct removal_row *row = (struct removal_row *)b->rows + b->n;

	*row = (struct removal_row){ 0 };
	if (!removal_read(w->key, row))
		(void)meta_corrupt(w->table, w->key);
	else if (gc_claim(g, b, &row->digest, HEED_PINS))
		b->n++;
	return (RC_OK);
}

static enum rc
removal_row_drop(struct meta_txn *t, void *arg)
{
	const struct removal_row *row = arg;

	if (!row->gone)
		return (RC_OK);
	return (
	    removal_drop(t, (enum blob_location)row->location, &row->digest));
}

static enum rc
removals_act(struct gc *g, struct gc_batch *b)
{
	struct removal_row *rows = b->rows;
	enum rc rc, worst = RC_OK;
	size_t i;

	for (i = 0; i < b->n; i++) {
		rc = gc_orphan_remove(
		    g, (enum blob_location)rows[i].location, &rows[i].digest);
		rows[i].gone = rc == RC_OK || rc == RC_REFERENCED;
		if (!rows[i].gone)
			worst = rc;
	}
	rc = gc_rows_change(
	    g->meta, removal_row_drop, rows, b->n, sizeof(rows[0]));
	return (rc != RC_OK ? rc : worst);
}

enum rc
gc_removals(struct gc *g)
{
	struct gc_batch b = {
		.table = TABLE_REMOVALS,
		.gather = removal_gather,
		.act = removals_act,
		.rows = xcalloc(GC_BATCH, sizeof(struct removal_row)),
	};
	enum rc rc;

	rc = gc_queue_run(g, &b);
	free(b.rows);
	return (rc);
}

/* --- those that nothing tells of ----------------------------------------- */

struct look {
	struct gc *g;
	enum blob_location location;
	struct digest digests[GC_BATCH];
	size_t n;
	int64_t began_ns;
	bool again; /* one was pinned */
	enum rc rc;
};

/* Most files have a record: a look without a claim tells. */
static enum rc
file_look(struct look *l, const struct digest *d)
{
	struct gc *g = l->g;
	bool leads;
	enum rc rc;

	rc = record_leads(g, l->location, d, &leads);
	if (rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK || leads)
		return (rc);
	if (!lease_claim_unpinned(g->leases, d)) {
		l->again = true;
		return (RC_OK);
	}
	rc = gc_orphan_remove(g, l->location, d);
	lease_give_back(g->leases, d);
	return (rc == RC_REFERENCED ? RC_OK : rc);
}

static void
files_look(struct look *l)
{
	size_t i;

	for (i = 0; i < l->n && l->rc == RC_OK; i++)
		l->rc = file_look(l, &l->digests[i]);
	l->n = 0;
	if (l->rc == RC_OK && gc_stopped(l->g))
		l->rc = RC_CANCELLED;
	gc_rest(l->g, l->began_ns);
	l->began_ns = clock_mono_ns();
}

static int
file_seen(void *arg, uint32_t key_domain, const struct digest *d,
    uint64_t size_bytes, const char *path)
{
	struct look *l = arg;

	(void)size_bytes;
	(void)path;
	/* What is no blob is somebody else's. */
	if (d == NULL || key_domain != KEY_DOMAIN_PLAIN)
		return (0);
	l->digests[l->n++] = *d;
	if (l->n == GC_BATCH)
		files_look(l);
	return (l->rc != RC_OK);
}

static enum rc
place_look(struct gc *g, enum blob_location location)
{
	struct look *l = xcalloc(1, sizeof(*l));
	enum rc rc;

	l->g = g;
	l->location = location;
	l->began_ns = clock_mono_ns();
	if (location == BLOB_IN_ARCHIVE)
		rc = tier_walk(store_tier(g->store), file_seen, l);
	else
		rc = blobs_walk(store_blobs(g->store), file_seen, l);
	if (l->rc == RC_OK && rc == RC_OK)
		files_look(l);
	if (l->rc != RC_OK)
		rc = l->rc;
	if (l->again)
		store_orphans_suspect(g->store, true);
	free(l);
	return (rc);
}

static enum rc
all_look(struct gc *g)
{
	unsigned n = 0;
	enum rc rc;

	if ((rc = place_look(g, BLOB_IN_FILE)) != RC_OK)
		return (rc);
	rc = blobs_folders_sweep(store_blobs(g->store));
	if (rc == RC_OK)
		rc = tier_sweep(store_tier(g->store), &n);
	g->totals->orphan_files += n;
	if (rc != RC_OK)
		return (rc);
	return (place_look(g, BLOB_IN_ARCHIVE));
}

/* What is suspected while it looks is looked for by the next one. */
enum rc
gc_orphans(struct gc *g)
{
	enum rc rc;

	if (!store_orphans_suspected(g->store))
		return (RC_OK);
	store_orphans_suspect(g->store, false);
	if ((rc = all_look(g)) != RC_OK)
		store_orphans_suspect(g->store, true);
	return (rc);
}
