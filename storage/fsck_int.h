#ifndef STORAGE_FSCK_INT_H
#define STORAGE_FSCK_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/fsck.h"
#include "storage/meta_int.h"
#include "storage/records.h"

/*
 * The check of a folder, private to fsck*.c (fsck_job.c is only a caller).
 *
 * One function per table looks at one row, in whatever transaction it is
 * given, and tells what it finds with fsck_found().  In a read that is all:
 * the row and all it is held against are of one snapshot, so what it finds
 * is no matter of timing.  When a repair is wanted the same function then
 * runs once more as a change, on the row as it is by then; there
 * fsck_found() answers true and the function does what the message says is
 * to be done.  So what is repaired and what is reported cannot differ.
 *
 * Files are looked at outside of transactions (fsck_files.c).
 */

/* What one row was found to have. */
struct fsck_finding {
	struct fsck_finding *next;
	enum fsck_problem_kind kind;
	bool fixable;
	char *text;
};

struct fsck_findings {
	struct fsck_finding *first, **last;
	size_t n; /* beyond FSCK_FINDINGS_MAX only counted */
};
#define FSCK_FINDINGS_MAX 16

/* Since then links are counted, and policies queued. */
#define FSCK_FORMAT_USES 4

/* Blobs in files that a batch of rows has come by. */
#define FSCK_BATCH_ROWS 128
struct fsck_file {
	uint32_t key_domain;
	struct digest digest;
	struct blob_rec rec;
};

struct fsck {
	struct store *store;
	const struct fsck_options *options;
	struct fsck_progress *progress;
	unsigned format; /* of the folder; an older one when only read */
	struct fsck_file files[FSCK_BATCH_ROWS];
	size_t n_files;
	int64_t paced_from_ns;
	uint64_t paced_bytes;
	uint64_t unpaced_bytes; /* hashed in the read that is going on */
};

struct fsck_check {
	struct fsck *f;
	struct meta_txn *t;
	struct arena *arena; /* reset after each row */
	bool fixing;	     /* in a change */
	int64_t now_ms;
	enum meta_table table;
	struct span key, value; /* in a change: copies */
	struct fsck_findings *found;
};

typedef enum rc fsck_check_fn(struct fsck_check *);

/* fsck.c */

/** fsck_found(c, kind, fixable, fmt, ...): a problem; true: mend it now. */
bool fsck_found(struct fsck_check *, enum fsck_problem_kind, bool fixable,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** fsck_tell(f, kind, repaired, fmt, ...): a problem, at once. */
void fsck_tell(struct fsck *, enum fsck_problem_kind, bool repaired,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** fsck_table(f, table, check, count): all rows, in short reads.  ${count}:
 * they are told in the progress.  RC_CANCELLED, RC_IO. */
RC_MUST_USE enum rc
fsck_table(struct fsck *, enum meta_table, fsck_check_fn *, bool count);

bool fsck_stopped(const struct fsck *);
/** fsck_pace(f, n): ${n} bytes were read; wait as the options ask.
 * RC_CANCELLED. */
RC_MUST_USE enum rc fsck_pace(struct fsck *, uint64_t n_bytes);

/* fsck_rows.c */

fsck_check_fn fsck_registry_row, fsck_repository_row, fsck_repository_name_row,
    fsck_holder_row, fsck_tag_row, fsck_digest_tag_row, fsck_upload_row;

/** fsck_has(c, table, key, has_r): is there such a row? */
RC_MUST_USE enum rc fsck_has(
    struct fsck_check *, enum meta_table, const struct rec_key *, bool *has_r);
/** fsck_has_manifest(c, repo, digest, has_r): the same of a manifest that is
 * not deleted. */
RC_MUST_USE enum rc fsck_has_manifest(
    struct fsck_check *, uint64_t repo, const struct digest *, bool *has_r);
/** fsck_need_repository(c, repo, what, ok_r): told as dangling and deleted
 * with its row if it is not there; not told if its rows are on their way out. */
RC_MUST_USE enum rc fsck_need_repository(
    struct fsck_check *, uint64_t repo, const char *what, bool *ok_r);
/** fsck_unreadable(c): told; the row is deleted. */
RC_MUST_USE enum rc fsck_unreadable(struct fsck_check *);
/** fsck_row_delete(c): the row that is looked at. */
RC_MUST_USE enum rc fsck_row_delete(struct fsck_check *);
/** fsck_none(c): an index's row says nothing behind its key. */
RC_MUST_USE enum rc fsck_none(struct fsck_check *);
/* For messages; in the arena. */
const char *fsck_repo_text(struct fsck_check *, uint64_t repo);
const char *fsck_digest_text(struct fsck_check *, const struct digest *);

/* fsck_link.c */

fsck_check_fn fsck_link_row, fsck_link_use_row, fsck_idle_row;

/* fsck_config.c */

fsck_check_fn fsck_doomed_row, fsck_set_row, fsck_lifecycle_row,
    fsck_lifecycle_queue_row, fsck_preview_row, fsck_preview_queue_row,
    fsck_preview_result_row, fsck_entity_row;

/** fsck_doomed(c, repo, doomed_r): deleted, and its rows on their way out?
 * Then they need not agree with anything.  Those of one that can be restored
 * do. */
RC_MUST_USE enum rc
fsck_doomed(struct fsck_check *, uint64_t repo, bool *doomed_r);
/** fsck_numbers(f): those of the registry that only grow. */
RC_MUST_USE enum rc fsck_numbers(struct fsck *);

/* fsck_manifest.c */

fsck_check_fn fsck_manifest_row, fsck_edge_row, fsck_parent_row,
    fsck_referrer_row;

/* fsck_image.c */

fsck_check_fn fsck_image_count_row, fsck_image_bytes_row, fsck_scan_row,
    fsck_scan_queue_row;

/* fsck_scan.c */

fsck_check_fn fsck_layer_index_row, fsck_findings_row, fsck_scanned_system_row;

/* fsck_advisory.c */

/** fsck_advisory_number(c): of the registry's numbers those of the advisory
 * database. */
fsck_check_fn fsck_advisory_row, fsck_advisory_number;

/* fsck_gone.c */

fsck_check_fn fsck_deleted_row, fsck_deleted_queue_row, fsck_orphan_row,
    fsck_removal_row, fsck_archive_queue_row, fsck_activation_row,
    fsck_image_class_row;

/** fsck_image_deleted(c, repo, digest, rec): the manifest's row that is looked
 * at, against what is known of deleted images. */
RC_MUST_USE enum rc fsck_image_deleted(struct fsck_check *, uint64_t repo,
    const struct digest *, const struct manifest_rec *);

/* fsck_mirror.c */

fsck_check_fn fsck_import_image_row, fsck_import_tag_row,
    fsck_import_referrers_row, fsck_task_row, fsck_task_queue_row,
    fsck_status_row;

/* fsck_blob.c */

fsck_check_fn fsck_blob_row, fsck_blob_content, fsck_content_row,
    fsck_unheld_row;

/** fsck_blob_restore(c, domain, digest): a record for content that has none:
 * what is in the database is served again, else it is out of service. */
RC_MUST_USE enum rc fsck_blob_restore(
    struct fsck_check *, uint32_t key_domain, const struct digest *);
/** fsck_content_sound(c, domain, digest, text_r, sound_r): is it there, and
 * right?  RC_LOCKED: that cannot be told. */
RC_MUST_USE enum rc fsck_content_sound(struct fsck_check *, uint32_t key_domain,
    const struct digest *, struct span *text_r, bool *sound_r);
/** fsck_locked(f, size_bytes): content that cannot be read for want of a key. */
void fsck_locked(struct fsck *, uint64_t size_bytes);
/** fsck_counts(f): those that are kept. */
RC_MUST_USE enum rc fsck_counts(struct fsck *);

/* fsck_files.c */

/** fsck_files(f): those of this batch. */
RC_MUST_USE enum rc fsck_files(struct fsck *);
/** fsck_record_same(t, file, same_r): does its record say what it said? */
RC_MUST_USE enum rc
fsck_record_same(struct meta_txn *, const struct fsck_file *, bool *same_r);
/** fsck_orphans(f): files that no record knows. */
RC_MUST_USE enum rc fsck_orphans(struct fsck *);

/* fsck_archive.c */

/** fsck_archived(f, file): one that lies in the archive. */
RC_MUST_USE enum rc fsck_archived(struct fsck *, const struct fsck_file *);
/** fsck_archive_find(f, file, found_r): one that is out of service and whose
 * file is missing: does it lie in the archive? */
RC_MUST_USE enum rc
fsck_archive_find(struct fsck *, const struct fsck_file *, bool *found_r);

#endif
