#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"
#include "storage/tier.h"

/*
 * Content in the archive, hashed outside of any transaction.  A file there is
 * written once and goes when no record leads to it any more; so a finding
 * counts if the record is still the one that was read.
 *
 * One that is damaged or missing is taken out of service and stays where it is,
 * for a person; a push of the content puts it back into service from elsewhere.
 * A whole archive that was not there, because its disk was not, comes back with
 * the next repair; and so does what a lost record was about.
 */

struct archive_look {
	struct fsck *f;
	const struct fsck_file *file;
	enum rc verdict; /* of tier_verify() */
	bool same;
};

static bool
look_good(const struct archive_look *l)
{
	if (l->file->rec.state == BLOB_SERVED)
		return (l->verdict == RC_OK);
	/* Out of service: only what could be in service is news. */
	return (l->verdict != RC_OK);
}

/* --- mending ------------------------------------------------------------- */

static enum rc
record_serve(struct meta_txn *t, const struct fsck_file *file)
{
	struct blob_rec rec = file->rec;
	uint8_t value[REC_BLOB_BYTES];
	struct rec_key k;

	rec.state = BLOB_SERVED;
	rec_blob_write(&rec, value);
	key_blob(&k, file->key_domain, &file->digest);
	return (kv_put(t, TABLE_BLOBS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
record_mend(struct meta_txn *t, void *arg)
{
	struct archive_look *l = arg;
	const struct fsck_file *file = l->file;
	enum rc rc;

	if ((rc = fsck_record_same(t, file, &l->same)) != RC_OK || !l->same)
		return (rc);
	if (l->verdict == RC_OK)
		return (record_serve(t, file));
	return (meta_blob_quarantine(t, file->key_domain, &file->digest));
}

static enum rc
still_same(struct archive_look *l)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(l->f->store->meta, &t)) != RC_OK)
		return (rc);
	rc = fsck_record_same(&t, l->file, &l->same);
	meta_read_end(&t);
	return (rc);
}

/* --- telling ------------------------------------------------------------- */

static void
look_tell(struct archive_look *l, bool mended)
{
	char d[DIGEST_STR_BYTES];

	(void)digest_str(&l->file->digest, d);
	if (l->verdict == RC_NOTFOUND)
		fsck_tell(l->f, FSCK_MISSING, mended,
		    "blob %s: its file is missing in the archive", d);
	else if (l->verdict == RC_OK)
		fsck_tell(l->f, FSCK_MISSING, mended,
		    "blob %s: out of service, but its file in the archive is "
		    "sound",
		    d);
	else
		fsck_tell(l->f, FSCK_DIGEST, mended,
		    "blob %s: its file in the archive is damaged", d);
}

static enum rc
look_settle(struct archive_look *l)
{
	bool mended = false;
	enum rc rc;

	/* One that was moved meanwhile was verified on its way. */
	if ((rc = still_same(l)) != RC_OK || !l->same)
		return (rc);
	if (l->f->options->repair) {
		rc = meta_change(l->f->store->meta, record_mend, l, 0);
		mended = rc == RC_OK;
		if (mended && !l->same)
			return (RC_OK);
	}
	look_tell(l, mended);
	return (RC_OK);
}

enum rc
fsck_archived(struct fsck *f, const struct fsck_file *file)
{
	struct archive_look l = { .f = f, .file = file };
	const struct tier_place place = {
		.encoding = file->rec.encoding,
		.stored_bytes = file->rec.stored_bytes,
	};
	enum rc rc;

	l.verdict = tier_verify(f->store->tier, file->key_domain, &file->digest,
	    &place, file->rec.size_bytes, f->options->stop);
	if (l.verdict == RC_LOCKED) {
		fsck_locked(f, file->rec.size_bytes);
		return (RC_OK);
	}
	if (l.verdict != RC_OK && l.verdict != RC_NOTFOUND &&
	    l.verdict != RC_CORRUPT)
		return (l.verdict);
	if (!look_good(&l) && (rc = look_settle(&l)) != RC_OK)
		return (rc);
	return (fsck_pace(f, file->rec.stored_bytes));
}

/* --- content whose record was lost --------------------------------------- */

struct archive_find {
	const struct fsck_file *file; /* as it was made in its place */
	struct tier_place place;
	uint64_t size_bytes;
	bool same;
};

static void
counts_move(struct meta_counts *c, const struct blob_rec *from,
    const struct blob_rec *to)
{
	c->file_blobs--;
	c->file_bytes -= from->size_bytes;
	c->archived_blobs++;
	c->archived_bytes += to->size_bytes;
	c->archived_stored_bytes += to->stored_bytes;
	if (from->unheld_ms != 0)
		c->unheld_bytes += to->size_bytes - from->size_bytes;
}

static enum rc
record_find(struct meta_txn *t, void *arg)
{
	struct archive_find *a = arg;
	const struct fsck_file *file = a->file;
	struct blob_rec rec = file->rec;
	uint8_t value[REC_BLOB_BYTES];
	struct rec_key k;
	enum rc rc;

	if ((rc = fsck_record_same(t, file, &a->same)) != RC_OK || !a->same)
		return (rc);
	rec.location = BLOB_IN_ARCHIVE;
	rec.encoding = a->place.encoding;
	rec.state = BLOB_SERVED;
	rec.size_bytes = a->size_bytes;
	rec.stored_bytes = a->place.stored_bytes;
	counts_move(t->counts, &file->rec, &rec);
	rec_blob_write(&rec, value);
	key_blob(&k, file->key_domain, &file->digest);
	return (kv_put(t, TABLE_BLOBS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
fsck_archive_find(struct fsck *f, const struct fsck_file *file, bool *found_r)
{
	struct archive_find a = { .file = file };
	char d[DIGEST_STR_BYTES];
	bool mended = false;
	enum rc rc;

	rc = tier_find(f->store->tier, file->key_domain, &file->digest,
	    &a.place, &a.size_bytes, f->options->stop);
	*found_r = rc == RC_OK;
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT || rc == RC_LOCKED
			    ? RC_OK
			    : rc);
	if (f->options->repair) {
		rc = meta_change(f->store->meta, record_find, &a, 0);
		mended = rc == RC_OK;
		if (mended && !a.same)
			return (RC_OK);
	}
	fsck_tell(f, FSCK_MISSING, mended,
	    "blob %s: out of service, but its file in the archive is sound",
	    digest_str(&file->digest, d));
	return (fsck_pace(f, a.place.stored_bytes));
}
