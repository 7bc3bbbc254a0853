#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"

/*
 * What is on its way out, or into the archive and back: deleted images, what
 * the collector has been left to look at, images that wait for their content.
 */

/* --- deleted images ------------------------------------------------------ */

static enum rc
deleted_queue_put(struct fsck_check *c, uint64_t repo, const struct digest *d,
    int64_t deleted_ms)
{
	struct rec_key k;

	key_timed(&k, deleted_ms, repo, d);
	return (kv_put(c->t, TABLE_DELETED_QUEUE, key_span(&k), rec_none()));
}

/* As one that was deleted just now; the tags that it had are lost. */
static enum rc
deleted_make(struct fsck_check *c, uint64_t repo, const struct digest *d)
{
	const struct deleted_rec rec = {
		.deleted_ms = c->now_ms,
		.why = DELETED_BY_REQUEST,
	};
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_reserve(c->t, TABLE_DELETED_IMAGES, key_span(&k),
	    rec_deleted_size(&rec), &p);
	if (rc != RC_OK)
		return (rc);
	rec_deleted_write(&rec, p);
	return (deleted_queue_put(c, repo, d, rec.deleted_ms));
}

enum rc
fsck_image_deleted(struct fsck_check *c, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec)
{
	struct rec_key k;
	bool has;
	enum rc rc;

	if ((rec->flags & MANIFEST_DELETED) == 0)
		return (RC_OK);
	key_repo_digest(&k, repo, d);
	rc = fsck_has(c, TABLE_DELETED_IMAGES, &k, &has);
	if (rc != RC_OK || has)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: manifest %s is deleted, but not among those that are",
		fsck_repo_text(c, repo), fsck_digest_text(c, d)))
		rc = deleted_make(c, repo, d);
	return (rc);
}

/* Its manifest is there and says so; one that cannot be read has been told. */
static enum rc
deleted_of_manifest(
    struct fsck_check *c, uint64_t repo, const struct digest *d, bool *ok_r)
{
	struct manifest_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(c->t, TABLE_MANIFESTS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	*ok_r = rc == RC_OK && (!rec_manifest_read(value, &rec) ||
				   (rec.flags & MANIFEST_DELETED) != 0);
	if (!*ok_r && fsck_found(c, FSCK_DANGLING, true,
			  "%s: %s is among the deleted images, but is none",
			  fsck_repo_text(c, repo), fsck_digest_text(c, d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

enum rc
fsck_deleted_row(struct fsck_check *c)
{
	struct deleted_rec rec;
	struct digest d;
	struct rec_key k;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "deleted image", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = deleted_of_manifest(c, repo, &d, &ok)) != RC_OK || !ok)
		return (rc);
	if (!rec_deleted_read(c->value, &rec)) {
		if (fsck_found(c, FSCK_RECORD, true,
			"%s: when %s was deleted, and its tags, cannot be read",
			fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
			rc = deleted_make(c, repo, &d);
		return (rc);
	}
	key_timed(&k, rec.deleted_ms, repo, &d);
	if ((rc = fsck_has(c, TABLE_DELETED_QUEUE, &k, &ok)) != RC_OK || ok)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: deleted image %s is not in the queue of those that go",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		rc = deleted_queue_put(c, repo, &d, rec.deleted_ms);
	return (rc);
}

enum rc
fsck_deleted_queue_row(struct fsck_check *c)
{
	struct deleted_rec rec;
	struct digest d;
	struct rec_key k;
	struct span value;
	int64_t deleted_ms;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_timed(c->key, &deleted_ms, &repo, &d))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, &d);
	rc = kv_get(c->t, TABLE_DELETED_IMAGES, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_deleted_read(value, &rec) &&
	    rec.deleted_ms == deleted_ms)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is in the queue of deleted images, but is none, or of "
		"another time",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* --- subjects of referrers ----------------------------------------------- */

/* One that is back, or whose repository is gone, is for the collector to see;
 * he begins anew with one of which it is not known how far he was. */
enum rc
fsck_orphan_row(struct fsck_check *c)
{
	struct orphan_rec rec;
	struct digest d;
	int64_t since_ms;
	uint64_t repo;

	if (!key_read_timed(c->key, &since_ms, &repo, &d))
		return (fsck_unreadable(c));
	if (rec_orphan_read(c->value, &rec))
		return (RC_OK);
	if (fsck_found(c, FSCK_RECORD, true,
		"%s: how far those were looked at that refer to %s cannot be "
		"read",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		return (kv_put(c->t, c->table, c->key, rec_none()));
	return (RC_OK);
}

/* --- content that is to go or to be archived ----------------------------- */

/* A row whose value is a moment; the moment is nothing to lose. */
static enum rc
moment_check(struct fsck_check *c)
{
	uint8_t value[REC_MOMENT_BYTES];
	int64_t ms;

	if (rec_moment_read(c->value, &ms))
		return (RC_OK);
	if (!fsck_found(c, FSCK_RECORD, true,
		"table %s: the time of a record cannot be read",
		meta_table_name(c->table)))
		return (RC_OK);
	rec_moment_write(c->now_ms, value);
	return (kv_put(c->t, c->table, c->key,
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
fsck_removal_row(struct fsck_check *c)
{
	struct blob_rec rec;
	struct digest d;
	struct rec_key k;
	struct span value;
	uint32_t domain;
	uint8_t location;
	enum rc rc;

	if (!key_read_removal(c->key, &location, &domain, &d))
		return (fsck_unreadable(c));
	key_blob(&k, domain, &d);
	rc = kv_get(c->t, TABLE_BLOBS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_NOTFOUND || !rec_blob_read(value, &rec) ||
	    (uint8_t)rec.location != location)
		return (moment_check(c));
	if (fsck_found(c, FSCK_INDEX, true,
		"blob %s: its content is to be removed from where it lies",
		fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

enum rc
fsck_archive_queue_row(struct fsck_check *c)
{
	struct digest d;
	struct rec_key k;
	uint32_t domain;
	bool has;
	enum rc rc;

	if (!key_read_blob(c->key, &domain, &d))
		return (fsck_unreadable(c));
	key_blob(&k, domain, &d);
	if ((rc = fsck_has(c, TABLE_BLOBS, &k, &has)) != RC_OK)
		return (rc);
	if (has)
		return (moment_check(c));
	if (fsck_found(c, FSCK_DANGLING, true,
		"blob %s: queued for the archive, but it is not there",
		fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* --- images that wait for content from the archive ----------------------- */

static enum rc
activation_of_manifest(
    struct fsck_check *c, uint64_t repo, const struct digest *d, bool *ok_r)
{
	struct manifest_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(c->t, TABLE_MANIFESTS, key_span(&k), &value);
	*ok_r = rc == RC_OK && rec_manifest_read(value, &rec) &&
		(rec.flags & MANIFEST_DELETED) == 0 &&
		rec.status == IMAGE_ACTIVATING;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
fsck_activation_row(struct fsck_check *c)
{
	struct digest d;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "image to be restored", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = activation_of_manifest(c, repo, &d, &ok)) != RC_OK)
		return (rc);
	if (ok)
		return (moment_check(c));
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is said to wait for content from the archive, but does "
		"not",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

static enum rc
activating_check(struct fsck_check *c, uint64_t repo, const struct digest *d)
{
	struct rec_key k;
	bool has;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = fsck_has(c, TABLE_ACTIVATIONS, &k, &has);
	if (rc != RC_OK || has)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s waits for content from the archive, but nobody looks "
		"for it",
		fsck_repo_text(c, repo), fsck_digest_text(c, d)))
		rc = activation_put(c->t, repo, d, c->now_ms);
	return (rc);
}

/* What an active image needs does not lie in the archive; but that of a copy
 * from another registry may, where it came without, and is fetched again. */
static enum rc
active_check(struct fsck_check *c, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec)
{
	struct rec_key k;
	bool any, copy;
	enum rc rc;

	rc = image_in_archive(c->t, repo, d, &any);
	if (rc != RC_OK || !any)
		return (rc);
	key_repo_digest(&k, repo, d);
	rc = fsck_has(c, TABLE_IMPORT_IMAGES, &k, &copy);
	if (rc != RC_OK || copy)
		return (rc);
	if (!fsck_found(c, FSCK_INDEX, true,
		"%s: %s is active, but what it needs lies in the archive",
		fsck_repo_text(c, repo), fsck_digest_text(c, d)))
		return (RC_OK);
	return (
	    image_class_set(c->t, repo, d, rec, IMAGE_ACTIVATING, c->now_ms));
}

/* When edges and blobs are as they are to be. */
enum rc
fsck_image_class_row(struct fsck_check *c)
{
	struct manifest_rec rec;
	struct digest d;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	/* What cannot be read has been told. */
	if (!key_read_repo_digest(c->key, &repo, &d) ||
	    !rec_manifest_read(c->value, &rec) ||
	    (rec.flags & MANIFEST_DELETED) != 0 || rec.status == IMAGE_ARCHIVED)
		return (RC_OK);
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if (rec.status == IMAGE_ACTIVATING)
		return (activating_check(c, repo, &d));
	return (active_check(c, repo, &d, &rec));
}
