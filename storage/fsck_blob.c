#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/keys_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * Blobs: their records against who holds them, and content that lies in the
 * database.  Content in files is only noted here, for fsck_files().
 */

/* --- content ------------------------------------------------------------- */

enum rc
fsck_content_sound(struct fsck_check *c, uint32_t domain,
    const struct digest *d, struct span *text_r, bool *sound_r)
{
	struct sealed_place place;
	struct digest got;
	struct rec_key k;
	struct span plain;
	enum rc rc;

	*sound_r = false;
	key_blob(&k, domain, d);
	rc = kv_get(c->t, TABLE_CONTENT, key_span(&k), text_r);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (domain != KEY_DOMAIN_PLAIN) {
		sealed_place_content(&place, domain, &k);
		rc = sealed_get(c->t, &place, *text_r, c->arena, &plain);
		if (rc != RC_OK)
			return (rc == RC_CORRUPT ? RC_OK : rc);
		*text_r = plain;
	}
	digest_of(d->alg, text_r->p, text_r->n, &got);
	*sound_r = digest_eq(&got, d);
	return (RC_OK);
}

/* In a change: a copy, because what is written moves what was read. */
static enum rc
content_record(struct fsck_check *c, uint32_t domain, const struct digest *d,
    struct span text)
{
	struct blob_in in = {
		.key_domain = domain,
		.digest = d,
		.location = BLOB_IN_META,
		.size_bytes = text.n,
		.content = arena_span(c->arena, text),
		.now_ms = c->now_ms,
	};

	if (in.content.p == NULL)
		return (RC_TOOBIG);
	return (blob_record(c->t, &in));
}

enum rc
fsck_blob_restore(struct fsck_check *c, uint32_t domain, const struct digest *d)
{
	struct blob_in in = {
		.key_domain = domain,
		.digest = d,
		.location = BLOB_IN_FILE,
		.now_ms = c->now_ms,
	};
	struct span text;
	bool sound;
	enum rc rc;

	rc = fsck_content_sound(c, domain, d, &text, &sound);
	if (rc != RC_OK)
		return (rc);
	if (sound)
		return (content_record(c, domain, d, text));
	/* Perhaps there is a file: fsck_files() then brings it back. */
	if ((rc = blob_record(c->t, &in)) != RC_OK)
		return (rc);
	return (meta_blob_quarantine(c->t, domain, d));
}

void
fsck_locked(struct fsck *f, uint64_t size_bytes)
{
	atomic_fetch_add(&f->progress->locked_blobs, 1);
	atomic_fetch_add(&f->progress->locked_bytes, size_bytes);
}

/* --- records ------------------------------------------------------------- */

static enum rc
blob_unreadable(struct fsck_check *c, uint32_t domain, const struct digest *d)
{
	enum rc rc;

	if (!fsck_found(c, FSCK_RECORD, true,
		"blob %s: its record cannot be read", fsck_digest_text(c, d)))
		return (RC_OK);
	if ((rc = fsck_row_delete(c)) != RC_OK)
		return (rc);
	rc = fsck_blob_restore(c, domain, d);
	if (rc != RC_OK)
		return (rc);
	return (meta_blob_recheck(c->t, domain, d, c->now_ms));
}

enum rc
fsck_blob_row(struct fsck_check *c)
{
	struct blob_rec rec;
	struct digest d;
	struct rec_key k;
	uint32_t domain;
	bool is_held, queued = false;
	enum rc rc;

	if (!key_read_blob(c->key, &domain, &d))
		return (fsck_unreadable(c));
	if (!rec_blob_read(c->value, &rec))
		return (blob_unreadable(c, domain, &d));
	if ((rc = kv_any(c->t, TABLE_HOLDERS, c->key, &is_held)) != RC_OK)
		return (rc);
	if (rec.unheld_ms != 0) {
		key_unheld(&k, rec.unheld_ms, domain, &d);
		rc = fsck_has(c, TABLE_UNHELD, &k, &queued);
		if (rc != RC_OK)
			return (rc);
	}
	if (is_held == (rec.unheld_ms == 0) && queued == !is_held)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"blob %s: %s, but its record or the queue of those that "
		"nobody holds says otherwise",
		fsck_digest_text(c, &d), is_held ? "held" : "held by nobody"))
		rc = meta_blob_recheck(c->t, domain, &d, c->now_ms);
	return (rc);
}

/* Who held it last is for the audit log only. */
static enum rc
unheld_value_check(struct fsck_check *c, const struct digest *d)
{
	struct span repository;

	if (rec_unheld_read(c->value, &repository))
		return (RC_OK);
	if (fsck_found(c, FSCK_RECORD, true,
		"blob %s: which repository held it last cannot be read",
		fsck_digest_text(c, d)))
		return (kv_put(c->t, c->table, c->key, rec_none()));
	return (RC_OK);
}

enum rc
fsck_unheld_row(struct fsck_check *c)
{
	struct blob_rec rec;
	struct digest d;
	struct rec_key k;
	struct span value;
	int64_t since_ms;
	uint32_t domain;
	enum rc rc;

	if (!key_read_unheld(c->key, &since_ms, &domain, &d))
		return (fsck_unreadable(c));
	key_blob(&k, domain, &d);
	rc = kv_get(c->t, TABLE_BLOBS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_blob_read(value, &rec) &&
	    rec.unheld_ms == since_ms)
		return (unheld_value_check(c, &d));
	if (fsck_found(c, FSCK_INDEX, true,
		"blob %s: queued as held by nobody, but it is not",
		fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* Content has a record that says it lies here. */
enum rc
fsck_content_row(struct fsck_check *c)
{
	struct blob_rec rec;
	struct digest d;
	struct span value;
	uint32_t domain;
	enum rc rc;

	if (!key_read_blob(c->key, &domain, &d))
		return (fsck_unreadable(c));
	rc = kv_get(c->t, TABLE_BLOBS, c->key, &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_blob_read(value, &rec) &&
	    rec.location == BLOB_IN_META && rec.state == BLOB_SERVED)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"blob %s: content in the database that no record speaks of",
		fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* --- content in the database --------------------------------------------- */

static enum rc
inline_check(struct fsck_check *c, uint32_t domain, const struct digest *d,
    const struct blob_rec *rec)
{
	struct span text = SPAN_NONE;
	bool sound, fix;
	enum rc rc;

	rc = fsck_content_sound(c, domain, d, &text, &sound);
	if (rc == RC_LOCKED) {
		fsck_locked(c->f, rec->size_bytes);
		return (RC_OK);
	}
	if (rc != RC_OK)
		return (rc);
	if (sound && text.n == rec->size_bytes)
		return (RC_OK);
	if (sound) {
		if (fsck_found(c, FSCK_SIZE, true,
			"blob %s: %zu bytes, recorded as %" PRIu64,
			fsck_digest_text(c, d), text.n, rec->size_bytes))
			rc = content_record(c, domain, d, text);
		return (rc);
	}
	if (text.p == NULL)
		fix = fsck_found(c, FSCK_MISSING, true,
		    "blob %s: its content is missing in the database",
		    fsck_digest_text(c, d));
	else
		fix = fsck_found(c, FSCK_DIGEST, true,
		    "blob %s: its content in the database is damaged",
		    fsck_digest_text(c, d));
	return (fix ? meta_blob_quarantine(c->t, domain, d) : RC_OK);
}

enum rc
fsck_blob_content(struct fsck_check *c)
{
	struct blob_rec rec;
	struct digest d;
	uint32_t domain;
	struct fsck *f = c->f;

	/* What cannot be read has been told. */
	if (!key_read_blob(c->key, &domain, &d) ||
	    !rec_blob_read(c->value, &rec))
		return (RC_OK);
	if (rec.location == BLOB_IN_META && rec.state == BLOB_SERVED) {
		if (!c->fixing) {
			atomic_fetch_add(&f->progress->blobs, 1);
			f->unpaced_bytes += rec.size_bytes;
		}
		return (inline_check(c, domain, &d, &rec));
	}
	if (!c->fixing) {
		must(f->n_files < FSCK_BATCH_ROWS);
		f->files[f->n_files++] = (struct fsck_file){
			.key_domain = domain,
			.digest = d,
			.rec = rec,
		};
	}
	return (RC_OK);
}

/* --- counts -------------------------------------------------------------- */

static enum rc
counts_read(
    struct meta_txn *t, struct meta_counts *kept, struct meta_counts *now)
{
	enum rc rc;

	*kept = (struct meta_counts){ 0 };
	rc = meta_counts_kept(t, kept);
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	return (meta_counts_of(t, now));
}

static enum rc
counts_mend(struct meta_txn *t, void *arg)
{
	struct meta_counts now;
	enum rc rc;

	(void)arg;
	if ((rc = meta_counts_of(t, &now)) == RC_OK)
		*t->counts = now;
	return (rc);
}

static void
counts_tell(struct fsck *f, const struct meta_counts *kept,
    const struct meta_counts *now, bool mended)
{
	const struct {
		const char *name;
		uint64_t kept, now;
	} rows[META_COUNTS] = {
		{ "next repository", kept->next_repository,
		    now->next_repository },
		{ "inline blobs", kept->inline_blobs, now->inline_blobs },
		{ "inline bytes", kept->inline_bytes, now->inline_bytes },
		{ "file blobs", kept->file_blobs, now->file_blobs },
		{ "file bytes", kept->file_bytes, now->file_bytes },
		{ "unreferenced blobs", kept->unheld_blobs, now->unheld_blobs },
		{ "unreferenced bytes", kept->unheld_bytes, now->unheld_bytes },
		{ "archived blobs", kept->archived_blobs, now->archived_blobs },
		{ "archived bytes", kept->archived_bytes, now->archived_bytes },
		{ "bytes in the archive", kept->archived_stored_bytes,
		    now->archived_stored_bytes },
	};
	size_t i;

	for (i = 0; i < META_COUNTS; i++) {
		if (rows[i].kept != rows[i].now)
			fsck_tell(f, FSCK_COUNT, mended,
			    "count of %s: kept %" PRIu64 ", found %" PRIu64,
			    rows[i].name, rows[i].kept, rows[i].now);
	}
}

enum rc
fsck_counts(struct fsck *f)
{
	struct meta_counts kept, now;
	struct meta_txn t;
	bool mended = false;
	enum rc rc;

	if ((rc = meta_read_begin(f->store->meta, &t)) != RC_OK)
		return (rc);
	rc = counts_read(&t, &kept, &now);
	meta_read_end(&t);
	if (rc != RC_OK || memcmp(&kept, &now, sizeof(kept)) == 0)
		return (rc);
	if (f->options->repair)
		mended =
		    meta_change(f->store->meta, counts_mend, NULL, 0) == RC_OK;
	counts_tell(f, &kept, &now, mended);
	return (RC_OK);
}
