#ifndef STORAGE_GC_H
#define STORAGE_GC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/store.h"

/*
 * The collector: what nobody needs any more goes, while pushes and pulls go
 * on.  It never searches the registry: whatever loses its last user is put
 * into a queue by the change that takes it away, with the time, and the
 * collector looks at those that have waited for a grace.  What it finds it
 * looks at once more in the transaction that removes it.
 *
 *	uploads that nobody touched		upload.h
 *	rows of deleted repositories		repositories.h, deleted.h
 *	deleted images past their time		deleted.h
 *	referrers whose subject went		they go, too, and those that
 *						cosign names after it by tag;
 *						with one that was archived they
 *						are archived
 *	links that no image needs		of a repository to content
 *	content that nobody holds		record, then file
 *	content that archived images alone need	into the archive
 *	images to be restored			what they need out of it
 *	files that no record leads to		of a crash: looked for once
 *						after a start, and when a
 *						record could not be written
 *
 * A push is safe: what it was told of has a lease (lease.h).  So nothing is
 * collected for one whole grace after the start; .settles_ms says when.
 */
struct gc_totals {
	uint64_t links;	       /* of repositories to content */
	uint64_t blobs, bytes; /* content that is gone, once each; as it lay on
				  the disk or in the database; and what a push
				  or a move has left where it was before */
	uint64_t deleted_images;  /* whose time to be restored is up */
	uint64_t repository_rows; /* of deleted repositories */
	uint64_t referrers;	  /* that went after their subject */
	uint64_t referrers_archived;
	uint64_t uploads;		     /* sessions */
	uint64_t orphan_files, orphan_bytes; /* without a record or a session */
	uint64_t folders;		     /* that were empty */
	uint64_t archived_blobs, archived_from_bytes, archived_to_bytes;
	uint64_t activated_images, activated_bytes;
	/* What is left, looked at at the end: links that no image uses, and
	 * content that nobody holds.  Of a dry run those that are not a grace
	 * old yet, and with the content that would go with the links. */
	uint64_t waiting_links;
	uint64_t waiting_blobs, waiting_bytes;
	uint64_t leased; /* passed over */
	uint64_t database_bytes, database_free_bytes;
	int64_t settles_ms; /* 0: a whole grace has passed since the start;
			       else nothing was collected, for so long yet */
};

struct gc_reclaimed {
	struct span repository; /* that needed it last; empty: not known */
	uint64_t links, blobs, bytes;
};

/* What became of an image because of its subject.  A tag that names a subject
 * that is gone goes even if the image stays, as it has others. */
enum gc_follow {
	GC_FOLLOW_REMOVED,
	GC_FOLLOW_UNTAGGED,
	GC_FOLLOW_ARCHIVED,
	GC_FOLLOW_RESTORED, /* with a subject that was restored before */
};

struct gc_followed {
	enum gc_follow what;
	struct span repository;
	struct digest digest, subject;
	const struct span
	    *tags; /* that it had; of GC_FOLLOW_UNTAGGED the one */
	size_t n_tags;
	uint64_t image_bytes; /* as of struct image_row; 0: not known */
};

struct gc_options {
	bool dry_run;	/* change nothing; the totals say what would be: links
			 and the content that would go with them, but content
			 that more than 1000 repositories have to no purpose */
	int64_t now_ms; /* calendar, as it begins; then time passes */
	/* Called at the end for each repository; may be NULL. */
	void (*reclaimed)(void *arg, const struct gc_reclaimed *);
	/*
	 * Once for each image to which that happened, after the change that
	 * did it is durable, and for none of a change that failed; not with
	 * .dry_run.  On the collection's thread, with no transaction open: it
	 * may read the store and may wait for a disk.  What it is told lives
	 * until it returns.  May be NULL.
	 */
	void (*followed)(void *arg, const struct gc_followed *);
	void *arg; /* of all of these */
	/* Called now and then, and at the end; may be NULL. */
	void (*progress)(void *arg, const struct gc_totals *);
	const _Atomic bool *stop; /* set by others; may be NULL */
};

/** gc_grace_set(s, ms): that of leases and of what waits.  Any thread. */
void gc_grace_set(struct store *, int64_t grace_ms);

/**
 * gc_run(s, options, totals_r):
 * One collection; *${totals_r} is counted up meanwhile, by this thread, from
 * what is in it, but for what is left.  Others commit between its batches.  One
 * at a time, but for dry runs; a thread of its own.  RC_CANCELLED; RC_IO,
 * RC_NOSPACE, RC_READONLY: some could not be done, such as files that cannot be
 * removed (logged); RC_CORRUPT: some records could not be read (logged).  All
 * else was done, unless the store has failed (store_failed()).
 */
RC_MUST_USE enum rc
gc_run(struct store *, const struct gc_options *, struct gc_totals *totals_r);

/** gc_hold(s), gc_release(s): nothing is removed, moved or restored in
 * between: holding waits for the batch that is under way.  Counted.  May
 * block. */
void gc_hold(struct store *);
void gc_release(struct store *);

#endif
