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

struct lost_file {
	enum blob_location location;
	uint32_t domain;
	struct digest digest;
};

enum lead { LEADS_HERE, LEADS_ELSEWHERE, LEADS_NOWHERE };

/* Where the record leads, or that there is none. */
static enum rc
record_leads(struct gc *g, const struct lost_file *f, enum lead *lead_r)
{
	struct blob_rec rec;
	struct meta_txn t;
	struct rec_key k;
	struct span value;
	enum rc rc;

	*lead_r = LEADS_HERE;
	if ((rc = meta_read_begin(g->meta, &t)) != RC_OK)
		return (rc);
	key_blob(&k, f->domain, &f->digest);
	rc = kv_get(&t, TABLE_BLOBS, key_span(&k), &value);
	if (rc == RC_OK && !rec_blob_read(value, &rec))
		rc = meta_corrupt(TABLE_BLOBS, key_span(&k));
	if (rc == RC_OK && rec.location != f->location)
		*lead_r = LEADS_ELSEWHERE;
	meta_read_end(&t);
	if (rc != RC_NOTFOUND)
		return (rc);
	*lead_r = LEADS_NOWHERE;
	return (RC_OK);
}

static uint64_t
file_size(struct gc *g, const struct lost_file *f)
{
	uint64_t size;
	enum rc rc;

	if (f->location == BLOB_IN_FILE)
		rc = blobs_stat(store_blobs(g->store), f->domain, &f->digest,
		    READ_BLOCKING, &size);
	else
		rc = tier_stat(
		    store_tier(g->store), f->domain, &f->digest, &size);
	return (rc == RC_OK ? size : 0);
}

static void
orphan_count(struct gc *g, const struct digest *d, uint64_t size)
{
	char text[DIGEST_STR_BYTES];

	log_info(
	    "blob %s: a file without a record removed", digest_str(d, text));
	g->totals->orphan_files++;
	g->totals->orphan_bytes += size;
}

/* It moved, or a push brought it again: this one was to go. */
static void
copy_count(struct gc *g, uint64_t size)
{
	g->totals->blobs++;
	g->totals->bytes += size;
	gc_tally_add(g->tally, SPAN_NONE, 0, 1, size);
}

/* Does a repository name it that has no record?  It was lost, and fsck makes
 * it anew from the file. */
static enum rc
held_look(struct gc *g, const struct lost_file *f, bool *held_r)
{
	char text[DIGEST_STR_BYTES];
	struct meta_txn t;
	struct rec_key k;
	enum rc rc;

	if ((rc = meta_read_begin(g->meta, &t)) != RC_OK)
		return (rc);
	key_blob(&k, f->domain, &f->digest);
	rc = kv_any(&t, TABLE_HOLDERS, key_span(&k), held_r);
	meta_read_end(&t);
	if (rc == RC_OK && *held_r)
		log_error("blob %s: repositories have it, but it has no "
			  "record: its file stays; fsck tells more",
		    digest_str(&f->digest, text));
	return (rc);
}

/* A file that no record leads to, and whose digest is claimed; counted if
 * there was one.  RC_REFERENCED: one does, or should. */
static enum rc
file_remove(struct gc *g, const struct lost_file *f, bool expected)
{
	enum lead lead;
	uint64_t size;
	bool removed, held = false;
	enum rc rc;

	if ((rc = record_leads(g, f, &lead)) != RC_OK)
		return (rc);
	if (lead == LEADS_NOWHERE && (rc = held_look(g, f, &held)) != RC_OK)
		return (rc);
	if (lead == LEADS_HERE || held)
		return (RC_REFERENCED);
	size = file_size(g, f);
	rc = gc_file_remove(g, f->location, f->domain, &f->digest, &removed);
	if (rc != RC_OK || !removed)
		return (rc);
	if (expected && lead == LEADS_ELSEWHERE)
		copy_count(g, size);
	else
		orphan_count(g, &f->digest, size);
	return (RC_OK);
}

/* --- those that rows tell of --------------------------------------------- */

struct removal_row {
	struct gc_row row;
	struct lost_file file;
	bool gone; /* or in use: the row is not needed any more */
};

static bool
removal_read(struct span key, struct lost_file *f)
{
	uint8_t location;

	if (!key_read_removal(key, &location, &f->domain, &f->digest))
		return (false);
	f->location = (enum blob_location)location;
	return (true);
}

static enum rc
removal_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct removal_row *row = (struct removal_row *)b->rows + b->n;

	*row = (struct removal_row){ 0 };
	if (!removal_read(w->key, &row->file))
		(void)meta_corrupt(w->table, w->key);
	else if (gc_claim(g, b, &row->file.digest, HEED_PINS))
		b->n++;
	return (RC_OK);
}

static enum rc
removal_row_drop(struct meta_txn *t, void *arg)
{
	const struct removal_row *row = arg;

	if (!row->gone)
		return (RC_OK);
	return (removal_drop(
	    t, row->file.location, row->file.domain, &row->file.digest));
}

/* What cannot be removed stays in the queue, and keeps nothing else in it. */
static enum rc
removals_act(struct gc *g, struct gc_batch *b)
{
	struct removal_row *rows = b->rows;
	bool any = false;
	size_t i;
	enum rc rc;

	for (i = 0; i < b->n; i++) {
		rc = file_remove(g, &rows[i].file, true);
		rows[i].gone = rc == RC_OK || rc == RC_REFERENCED;
		any = any || rows[i].gone;
	}
	if (!any)
		return (RC_OK);
	return (gc_rows_change(
	    g->meta, removal_row_drop, rows, b->n, sizeof(rows[0])));
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
	struct lost_file files[GC_BATCH];
	size_t n;
	int64_t began_ns;
	bool again; /* one was pinned */
	enum rc rc;
};

/* Most files have a record: a look without a claim tells.  One that cannot be
 * removed is looked at by the next collection. */
static enum rc
file_look(struct look *l, const struct lost_file *f)
{
	struct gc *g = l->g;
	enum lead lead;
	enum rc rc;

	rc = record_leads(g, f, &lead);
	if (rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK || lead == LEADS_HERE)
		return (rc);
	if (!lease_claim_unpinned(g->leases, &f->digest)) {
		l->again = true;
		return (RC_OK);
	}
	rc = file_remove(g, f, false);
	lease_give_back(g->leases, &f->digest);
	l->again = l->again || (rc != RC_OK && rc != RC_REFERENCED);
	return (RC_OK);
}

static void
files_look(struct look *l)
{
	size_t i;

	for (i = 0; i < l->n && l->rc == RC_OK; i++)
		l->rc = file_look(l, &l->files[i]);
	l->n = 0;
	if (l->rc == RC_OK && gc_stopped(l->g))
		l->rc = RC_CANCELLED;
	gc_rest(l->g, l->began_ns);
	/* The walk is one, however long it takes. */
	if (l->rc == RC_OK)
		l->rc = gc_activate_due(l->g);
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
	if (d == NULL)
		return (0);
	l->files[l->n++] = (struct lost_file){ l->location, key_domain, *d };
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
	enum rc rc, rc_archive;

	if ((rc = place_look(g, BLOB_IN_FILE)) == RC_CANCELLED)
		return (rc);
	if (rc == RC_OK)
		rc = blobs_folders_sweep(store_blobs(g->store));
	rc_archive = tier_sweep(store_tier(g->store), &n);
	g->totals->orphan_files += n;
	if (rc_archive == RC_OK)
		rc_archive = place_look(g, BLOB_IN_ARCHIVE);
	return (rc == RC_OK || rc_archive == RC_CANCELLED ? rc_archive : rc);
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
