#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/blobs.h"
#include "storage/fsck_int.h"
#include "storage/sealed.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"
#include "storage/tier.h"
#include "storage/upload_int.h"

/*
 * Content in files, hashed outside of any transaction: by the time a file is
 * found bad it may have been deleted, or healed by a push.  So a finding
 * counts only if its record is still the one that was read and its name
 * still leads to the file that was hashed.
 *
 * A push heals in this order: the file gets its name, then the record is
 * written.  The repair takes the record out of service in a change that looks
 * at the name once more: if a push has named its file before that, nothing is
 * done; if it does so afterwards, its own change is still to come and puts
 * the record back into service.  Then the bad file is moved away, unless the
 * name leads elsewhere by now.  So no push that was acknowledged is undone.
 */
#define READ_BYTES ((size_t)256 * 1024)
#define TRIES 3
#define ORPHANS_KEPT 4096

enum verdict { FILE_SOUND, FILE_DAMAGED, FILE_MISSING, FILE_LOCKED };

struct look {
	struct fsck *f;
	const struct fsck_file *file;
	enum verdict verdict;
	uint64_t size_bytes;
	struct blob_file content; /* NONE: it cannot be read as such */
	int fd; /* -1: missing; that of .content, or the file as it lies */
};

/* --- looking ------------------------------------------------------------- */

/* RC_CORRUPT: what the disk cannot read is damaged, too. */
static enum rc
file_hash(struct look *l, struct hasher *h)
{
	char *p = xmalloc(READ_BYTES);
	uint64_t at = 0;
	size_t n = 1;
	enum rc rc = RC_OK;

	(void)posix_fadvise(l->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (rc == RC_OK && n > 0) {
		rc = blob_file_read(&l->content, at, p, READ_BYTES, true, &n);
		if (rc == RC_OK) {
			hasher_update(h, p, n);
			at += n;
			rc = fsck_pace(l->f, n);
		} else if (rc == RC_IO) {
			rc = RC_CORRUPT;
		}
	}
	free(p);
	return (rc);
}

/* What can be told of one whose content cannot be read as such: RC_LOCKED, or
 * RC_CORRUPT: not sealed for what its name says.  As it lies it is one of a
 * certain length. */
static enum rc
file_look_raw(struct look *l, enum rc rc_open)
{
	const struct fsck_file *file = l->file;
	struct blobs *b = l->f->store->blobs;
	uint64_t file_bytes;
	enum rc rc;

	rc = blobs_open_raw(b, file->key_domain, &file->digest, READ_BLOCKING,
	    &l->fd, &file_bytes);
	if (rc == RC_NOTFOUND) {
		l->verdict = FILE_MISSING;
		return (RC_OK);
	}
	if (rc != RC_OK)
		return (rc);
	l->size_bytes = sealed_content_bytes(file_bytes);
	l->verdict = FILE_DAMAGED;
	if (rc_open == RC_LOCKED &&
	    file_bytes == sealed_file_bytes(file->rec.size_bytes))
		l->verdict = FILE_LOCKED;
	return (RC_OK);
}

static enum rc
file_look(struct look *l)
{
	const struct fsck_file *file = l->file;
	struct hasher *h;
	struct digest got;
	enum rc rc;

	l->fd = -1;
	l->content = (struct blob_file)BLOB_FILE_NONE;
	rc = blobs_open(l->f->store->blobs, file->key_domain, &file->digest,
	    READ_BLOCKING, &l->content);
	if (rc == RC_NOTFOUND) {
		l->verdict = FILE_MISSING;
		return (RC_OK);
	}
	if (rc == RC_LOCKED || rc == RC_CORRUPT)
		return (file_look_raw(l, rc));
	if (rc != RC_OK)
		return (rc);
	l->fd = l->content.fd;
	l->size_bytes = l->content.size_bytes;
	h = hasher_new(file->digest.alg);
	rc = file_hash(l, h);
	l->verdict = FILE_DAMAGED;
	if (rc == RC_OK) {
		hasher_final(h, &got);
		if (digest_eq(&got, &file->digest))
			l->verdict = FILE_SOUND;
	}
	hasher_free(&h);
	/* What the disk cannot read is damaged too. */
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

static void
look_end(struct look *l)
{
	if (l->content.fd < 0 && l->fd >= 0)
		(void)close(l->fd);
	blob_file_close(&l->content);
	l->fd = -1;
}

static bool
look_good(const struct look *l)
{
	const struct blob_rec *rec = &l->file->rec;

	if (l->verdict == FILE_LOCKED)
		return (true);
	if (rec->state == BLOB_SERVED)
		return (l->verdict == FILE_SOUND &&
			l->size_bytes == rec->size_bytes);
	/* Out of service: only a file that could be in service is news. */
	return (l->verdict != FILE_SOUND);
}

/* --- is it still so? ----------------------------------------------------- */

enum rc
fsck_record_same(struct meta_txn *t, const struct fsck_file *file, bool *same_r)
{
	const struct blob_rec *then = &file->rec;
	struct blob_rec now;
	struct rec_key k;
	struct span value;
	enum rc rc;

	*same_r = false;
	key_blob(&k, file->key_domain, &file->digest);
	rc = kv_get(t, TABLE_BLOBS, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	*same_r = rec_blob_read(value, &now) &&
		  now.location == then->location && now.state == then->state &&
		  now.size_bytes == then->size_bytes &&
		  now.stored_bytes == then->stored_bytes &&
		  now.created_ms == then->created_ms;
	return (RC_OK);
}

static enum rc
record_still_same(struct look *l, bool *same_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(l->f->store->meta, &t)) != RC_OK)
		return (rc);
	rc = fsck_record_same(&t, l->file, same_r);
	meta_read_end(&t);
	return (rc);
}

static enum rc
file_still_same(struct look *l, bool *same_r)
{
	const struct fsck_file *file = l->file;
	struct stat was, is;
	uint64_t size;
	int fd;
	enum rc rc;

	rc = blobs_open_raw(l->f->store->blobs, file->key_domain, &file->digest,
	    READ_BLOCKING, &fd, &size);
	if (rc == RC_NOTFOUND) {
		*same_r = l->verdict == FILE_MISSING;
		return (RC_OK);
	}
	if (rc != RC_OK)
		return (rc);
	*same_r = l->fd >= 0 && fstat(l->fd, &was) == 0 &&
		  fstat(fd, &is) == 0 && was.st_ino == is.st_ino &&
		  was.st_dev == is.st_dev;
	(void)close(fd);
	return (RC_OK);
}

/* --- mending ------------------------------------------------------------- */

struct record_fix {
	struct look *look;
	int64_t now_ms;
	bool same; /* it was all still as it was looked at */
};

static enum rc
record_retire(struct meta_txn *t, void *arg)
{
	struct record_fix *fix = arg;
	const struct fsck_file *file = fix->look->file;
	enum rc rc;

	if ((rc = fsck_record_same(t, file, &fix->same)) != RC_OK || !fix->same)
		return (rc);
	rc = file_still_same(fix->look, &fix->same);
	if (rc != RC_OK || !fix->same)
		return (rc);
	return (meta_blob_quarantine(t, file->key_domain, &file->digest));
}

/* The file is right, what its record says is not. */
static enum rc
record_serve(struct meta_txn *t, void *arg)
{
	struct record_fix *fix = arg;
	const struct fsck_file *file = fix->look->file;
	const struct blob_in in = {
		.key_domain = file->key_domain,
		.digest = &file->digest,
		.size_bytes = fix->look->size_bytes,
		.location = BLOB_IN_FILE,
		.now_ms = fix->now_ms,
	};
	enum rc rc;

	if ((rc = fsck_record_same(t, file, &fix->same)) != RC_OK || !fix->same)
		return (rc);
	return (blob_record(t, &in));
}

static enum rc
look_mend(struct look *l, bool *same_r)
{
	const struct fsck_file *file = l->file;
	struct record_fix fix = { .look = l, .now_ms = clock_real_ms() };
	struct store *s = l->f->store;
	enum rc rc;

	rc = meta_change(s->meta,
	    l->verdict == FILE_SOUND ? record_serve : record_retire, &fix, 0);
	*same_r = rc != RC_OK || fix.same;
	if (rc != RC_OK || !fix.same || l->verdict != FILE_DAMAGED)
		return (rc);
	rc = blobs_quarantine(s->blobs, file->key_domain, &file->digest, l->fd);
	/* Pushed or deleted since. */
	return (rc == RC_BUSY || rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- telling ------------------------------------------------------------- */

static void
look_tell(struct look *l, bool mended)
{
	const struct blob_rec *rec = &l->file->rec;
	char d[DIGEST_STR_BYTES];

	(void)digest_str(&l->file->digest, d);
	if (l->verdict == FILE_MISSING)
		fsck_tell(l->f, FSCK_MISSING, mended,
		    "blob %s: its file is missing", d);
	else if (rec->state != BLOB_SERVED)
		fsck_tell(l->f, FSCK_MISSING, mended,
		    "blob %s: out of service, but its file is sound", d);
	else if (l->size_bytes != rec->size_bytes)
		fsck_tell(l->f, FSCK_SIZE, mended,
		    "blob %s: its file has %" PRIu64
		    " bytes, recorded are %" PRIu64 "%s",
		    d, l->size_bytes, rec->size_bytes,
		    l->verdict == FILE_SOUND ? "; the content is right" : "");
	else
		fsck_tell(l->f, FSCK_DIGEST, mended,
		    "blob %s: its file is damaged", d);
}

/* Not while somebody counts on where content lies. */
static bool
look_mended(struct look *l, bool *same_r)
{
	struct gc_gate *gate = &l->f->store->gate;
	enum rc rc;

	if (!gc_gate_enter(gate, l->f->options->stop))
		return (false);
	rc = look_mend(l, same_r);
	gc_gate_leave(gate);
	return (rc == RC_OK);
}

/* ${same_r}: nothing has changed meanwhile. */
static enum rc
still_same(struct look *l, bool *same_r)
{
	enum rc rc;

	if ((rc = record_still_same(l, same_r)) != RC_OK || !*same_r)
		return (rc);
	return (file_still_same(l, same_r));
}

/* One file; ${again}: it or its record is another one by now. */
static enum rc
file_check(struct look *l, bool *again)
{
	bool same = true, mended = false, found = false;
	enum rc rc;

	*again = false;
	if ((rc = file_look(l)) != RC_OK)
		return (rc);
	if (l->verdict == FILE_LOCKED)
		fsck_locked(l->f, l->file->rec.size_bytes);
	if (l->file->rec.state != BLOB_SERVED && l->verdict == FILE_MISSING)
		rc = fsck_archive_find(l->f, l->file, &found);
	if (rc != RC_OK || found || look_good(l))
		return (rc);
	if ((rc = still_same(l, &same)) != RC_OK)
		return (rc);
	if (same && l->f->options->repair)
		mended = look_mended(l, &same);
	*again = !same;
	if (same)
		look_tell(l, mended);
	return (RC_OK);
}

/* What the record says by now; false: it is not a file's any more. */
static bool
file_again(struct fsck *f, struct fsck_file *file)
{
	struct meta_txn t;
	struct rec_key k;
	struct span value;
	bool is_file;

	if (meta_read_begin(f->store->meta, &t) != RC_OK)
		return (false);
	key_blob(&k, file->key_domain, &file->digest);
	is_file = kv_get(&t, TABLE_BLOBS, key_span(&k), &value) == RC_OK &&
		  rec_blob_read(value, &file->rec) &&
		  file->rec.location == BLOB_IN_FILE;
	meta_read_end(&t);
	return (is_file);
}

static enum rc
file_settle(struct fsck *f, struct fsck_file *file)
{
	struct look l;
	unsigned tries;
	bool again = true;
	enum rc rc;

	for (tries = 0; again && tries < TRIES; tries++) {
		if (tries > 0 && !file_again(f, file))
			break;
		l = (struct look){ .f = f, .file = file };
		rc = file_check(&l, &again);
		look_end(&l);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

enum rc
fsck_files(struct fsck *f)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < f->n_files; i++) {
		if (f->files[i].rec.location == BLOB_IN_ARCHIVE)
			rc = fsck_archived(f, &f->files[i]);
		else
			rc = file_settle(f, &f->files[i]);
		if (rc != RC_OK)
			return (rc);
		atomic_fetch_add(&f->progress->blobs, 1);
	}
	return (RC_OK);
}

/* --- files without a record ---------------------------------------------- */

struct orphan {
	enum blob_location location;
	uint32_t key_domain;
	struct digest digest;
	uint64_t size_bytes;
};

/*
 * A file that was placed a moment ago may wait for its record's commit.  The
 * first so many suspects are therefore looked at again when the walk is over.
 */
struct orphans {
	struct fsck *f;
	enum blob_location location; /* of the walk */
	struct orphan *kept;
	size_t n_kept;
	enum rc rc;
};

static void
orphan_count(struct fsck *f, uint64_t size_bytes, const char *path)
{
	log_debug("fsck: no record knows %s", path);
	atomic_fetch_add(&f->progress->orphan_files, 1);
	atomic_fetch_add(&f->progress->orphan_bytes, size_bytes);
}

/* Does the record lead there?  What is out of service and lay in a file was
 * taken away; the archive keeps it. */
static bool
record_leads(const struct blob_rec *rec, enum blob_location location)
{
	return (rec->location == location &&
		(rec->state == BLOB_SERVED || location == BLOB_IN_ARCHIVE));
}

/* What is to be removed is known, too. */
static enum rc
file_known_in(struct meta_txn *t, const struct orphan *o, bool *known_r)
{
	struct blob_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	*known_r = false;
	key_blob(&k, o->key_domain, &o->digest);
	rc = kv_get(t, TABLE_BLOBS, key_span(&k), &value);
	if (rc == RC_OK)
		*known_r = !rec_blob_read(value, &rec) ||
			   record_leads(&rec, o->location);
	if (*known_r || (rc != RC_OK && rc != RC_NOTFOUND))
		return (rc);
	key_removal(&k, (uint8_t)o->location, o->key_domain, &o->digest);
	rc = kv_get(t, TABLE_REMOVALS, key_span(&k), &value);
	*known_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
file_known(struct fsck *f, const struct orphan *o, bool *known_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(f->store->meta, &t)) != RC_OK)
		return (rc);
	rc = file_known_in(&t, o, known_r);
	meta_read_end(&t);
	return (rc);
}

static int
blob_file_seen(void *arg, uint32_t domain, const struct digest *d,
    uint64_t size_bytes, const char *path)
{
	struct orphans *o = arg;
	struct orphan one;
	bool known;

	if (fsck_stopped(o->f)) {
		o->rc = RC_CANCELLED;
		return (1);
	}
	if (d == NULL) {
		orphan_count(o->f, size_bytes, path);
		return (0);
	}
	one = (struct orphan){ o->location, domain, *d, size_bytes };
	o->rc = file_known(o->f, &one, &known);
	if (o->rc != RC_OK || known)
		return (o->rc != RC_OK);
	if (o->n_kept == ORPHANS_KEPT)
		orphan_count(o->f, size_bytes, path);
	else
		o->kept[o->n_kept++] = one;
	return (0);
}

static enum rc
kept_look(struct orphans *o)
{
	const struct orphan *one;
	char text[DIGEST_STR_BYTES];
	bool known;
	size_t i;
	enum rc rc;

	for (i = 0; i < o->n_kept; i++) {
		one = &o->kept[i];
		rc = file_known(o->f, one, &known);
		if (rc != RC_OK)
			return (rc);
		if (!known)
			orphan_count(o->f, one->size_bytes,
			    digest_str(&one->digest, text));
	}
	return (RC_OK);
}

static int
scratch_seen(void *arg, const char *id, uint64_t size_bytes, int64_t changed_ms)
{
	struct orphans *o = arg;
	struct meta_txn t;
	struct rec_key k;
	struct span value;
	enum rc rc;

	(void)changed_ms;
	if (upload_in_memory(o->f->store->uploads, span_of(id)))
		return (0);
	o->rc = meta_read_begin(o->f->store->meta, &t);
	if (o->rc != RC_OK)
		return (1);
	key_str(&k, span_of(id));
	rc = kv_get(&t, TABLE_UPLOADS, key_span(&k), &value);
	meta_read_end(&t);
	if (rc == RC_NOTFOUND)
		orphan_count(o->f, size_bytes, id);
	else
		o->rc = rc;
	return (o->rc != RC_OK);
}

static enum rc
orphans_of_walks(struct orphans *o)
{
	struct store *s = o->f->store;
	enum rc rc;

	o->location = BLOB_IN_FILE;
	rc = blobs_walk(s->blobs, blob_file_seen, o);
	if (rc != RC_OK || o->rc != RC_OK)
		return (rc != RC_OK ? rc : o->rc);
	o->location = BLOB_IN_ARCHIVE;
	rc = tier_walk(s->tier, blob_file_seen, o);
	if (rc != RC_OK || o->rc != RC_OK)
		return (rc != RC_OK ? rc : o->rc);
	return (kept_look(o));
}

enum rc
fsck_orphans(struct fsck *f)
{
	struct orphans o = { .f = f };
	enum rc rc;

	o.kept = xcalloc(ORPHANS_KEPT, sizeof(*o.kept));
	rc = orphans_of_walks(&o);
	free(o.kept);
	if (rc == RC_OK)
		rc = blobs_scratch_walk(f->store->blobs, scratch_seen, &o);
	return (rc == RC_OK ? o.rc : rc);
}
