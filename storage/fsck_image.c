#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"

/*
 * What is known of images besides their manifests: how many there are, how
 * much they take, their scans and the queue of those that wait.
 */

/* --- how many ------------------------------------------------------------ */

enum rc
fsck_image_count_row(struct fsck_check *c)
{
	uint64_t repo, kept, n;
	bool ok, fix;
	enum rc rc;

	if (!key_read_repo(c->key, &repo))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "number of images", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = image_count_walk(c->t, repo, &n)) != RC_OK)
		return (rc);
	if (!rec_number_read(c->value, &kept))
		fix = fsck_found(c, FSCK_RECORD, true,
		    "%s: the number of its images cannot be read",
		    fsck_repo_text(c, repo));
	else if (kept != n)
		fix = fsck_found(c, FSCK_COUNT, true,
		    "%s: number of images: kept %" PRIu64 ", found %" PRIu64,
		    fsck_repo_text(c, repo), kept, n);
	else
		return (RC_OK);
	return (fix ? image_count_put(c->t, repo, n) : RC_OK);
}

/* --- how much ------------------------------------------------------------ */

/* Edges of one index; one with more of them is taken at its word. */
#define SIZE_ROWS_MAX 1000000

static enum rc
bytes_write(
    struct fsck_check *c, struct manifest_rec *rec, const struct image_size *s)
{
	uint8_t *p;
	enum rc rc;

	rec->image_bytes = s->settled ? s->bytes : MANIFEST_BYTES_UNKNOWN;
	rc = kv_reserve(c->t, c->table, c->key, rec_manifest_size(rec), &p);
	if (rc == RC_OK)
		rec_manifest_write(rec, p);
	return (rc);
}

/* Of an index; that of others is held against the text. */
enum rc
fsck_image_bytes_row(struct fsck_check *c)
{
	struct image_size size = { .left = SIZE_ROWS_MAX };
	struct manifest_rec rec;
	struct digest d;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	/* What cannot be read has been told. */
	if (!key_read_repo_digest(c->key, &repo, &d) ||
	    !rec_manifest_read(c->value, &rec) ||
	    manifest_kind_of(rec.media_type) != MANIFEST_INDEX ||
	    (rec.flags & MANIFEST_DELETED) != 0 ||
	    rec.image_bytes == MANIFEST_BYTES_UNKNOWN)
		return (RC_OK);
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	rc = image_size_walk(c->t, repo, &d, &size);
	if (rc != RC_OK || size.left == 0 || size.bytes == rec.image_bytes)
		return (rc == RC_CORRUPT ? RC_OK : rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: manifest %s: its largest child takes %" PRIu64
		" bytes, its record says %" PRIu64,
		fsck_repo_text(c, repo), fsck_digest_text(c, &d), size.bytes,
		rec.image_bytes))
		return (bytes_write(c, &rec, &size));
	return (RC_OK);
}

/* --- scans --------------------------------------------------------------- */

/* Those of a deleted repository leave the queue, and come back with it. */
static enum rc
scan_queue_check(struct fsck_check *c, uint64_t repo, const struct digest *d,
    const struct scan_rec *rec)
{
	struct rec_key k;
	bool has;
	enum rc rc;

	key_repo(&k, repo);
	rc = fsck_has(c, TABLE_REPOSITORY_NAMES, &k, &has);
	if (rc != RC_OK || !has || rec->status != SCAN_IN_PROGRESS)
		return (rc);
	key_timed(&k, rec->started_ms, repo, d);
	rc = fsck_has(c, TABLE_SCAN_QUEUE, &k, &has);
	if (rc != RC_OK || has)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: a scan of %s is in progress, but not in the queue",
		fsck_repo_text(c, repo), fsck_digest_text(c, d)))
		rc = kv_put(c->t, TABLE_SCAN_QUEUE, key_span(&k), rec_none());
	return (rc);
}

enum rc
fsck_scan_row(struct fsck_check *c)
{
	struct scan_rec rec;
	struct digest d;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "scan of an image", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = fsck_has_manifest(c, repo, &d, &ok)) != RC_OK)
		return (rc);
	if (!ok) {
		if (fsck_found(c, FSCK_DANGLING, true,
			"%s: a scan of %s, which is not there",
			fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
			rc = fsck_row_delete(c);
		return (rc);
	}
	if (rec_scan_read(c->value, &rec))
		return (scan_queue_check(c, repo, &d, &rec));
	if (fsck_found(c, FSCK_RECORD, true,
		"%s: the scan of %s cannot be read; to be started anew",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		rc = fsck_row_delete(c);
	return (rc);
}

enum rc
fsck_scan_queue_row(struct fsck_check *c)
{
	struct scan_rec rec;
	struct digest d;
	struct rec_key k;
	struct span value;
	int64_t started_ms;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_timed(c->key, &started_ms, &repo, &d))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, &d);
	rc = kv_get(c->t, TABLE_IMAGE_SCANS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_scan_read(value, &rec) &&
	    rec.status == SCAN_IN_PROGRESS && rec.started_ms == started_ms)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is in the queue of scans, but none is in progress",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}
