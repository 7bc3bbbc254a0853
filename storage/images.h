#ifndef STORAGE_IMAGES_H
#define STORAGE_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/name.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/meta.h"

/*
 * A part of the seam of meta.h: manifests as ECR knows them.  An image is a
 * manifest of a repository with its tags, its size, its storage class and its
 * last scan.  Lists are in order of digest (byte order of algorithm, then
 * bytes) and, within an image, of tag; a position in them is what was seen
 * last, so a page begins at once wherever it is, and a list survives changes:
 * what is added or removed meanwhile is seen or not by where it stands.
 */
enum scan_status { /* stored: never renumber */
	SCAN_NONE = 0,
	SCAN_IN_PROGRESS = 1,
	SCAN_COMPLETE = 2,
	SCAN_FAILED = 3,
	SCAN_UNSUPPORTED_IMAGE = 4,
};

struct image_scan {
	enum scan_status status; /* SCAN_NONE: never scanned */
	int64_t started_ms;
	int64_t ended_ms;   /* 0: not yet */
	struct span reason; /* in words; may be empty */
};

struct image_row {
	struct manifest_row manifest; /* without its text */
	enum manifest_kind kind;
	uint64_t image_bytes; /* config and layers, once per digest; of an
				 index the largest of its children that are
				 here; 0: of one of those that hold nothing.
				 Of many thousand children that an older
				 version took in, of those looked at */
	int64_t archived_ms, activated_ms; /* last; 0: never */
	struct span *tags;		   /* in byte order */
	size_t n_tags;
	struct image_scan scan;
	/* Asked for by image_query.relations only. */
	bool held;	     /* an index of the repository refers to it */
	bool held_by_active; /* one that is not archived does */
	bool subject_here;   /* it has a subject, which is in the repository */
};

/* Images to which the same happened along with another one, for whoever tells
 * of it. */
struct image_list {
	struct arena *arena; /* set by who wants to know; NULL: nobody */
	struct digest *rows;
	size_t n, room;
};

/** meta_image_get(m, repository, ref, arena, row_r): by tag or digest.
 * RC_NOTFOUND: no such repository, tag or manifest.  Worker. */
RC_MUST_USE enum rc meta_image_get(struct meta *, struct span repository,
    const struct reference *, struct arena *, struct image_row *row_r);

enum image_tagged { IMAGES_ANY, IMAGES_TAGGED, IMAGES_UNTAGGED };

#define IMAGE_STATUS_BIT(status) (1u << (status))

struct image_query {
	struct span repository;
	enum image_tagged tagged;
	unsigned statuses;	    /* IMAGE_STATUS_BIT()s; 0: any */
	const struct digest *after; /* NULL: from the first */
	struct span after_tag;	    /* of meta_image_id_page(): what was seen of
				       ${after}; .p NULL: all of it */
	bool relations;		    /* of images: tell what holds them, too */
	size_t max_rows;
	size_t max_looked; /* at most so many images are looked at, so that a
			      filter that few satisfy gives a short page
			      rather than a long wait; 0: no bound */
};

struct image_page {
	struct image_row *rows;
	size_t n;
	bool more;	    /* there may be others */
	struct digest last; /* looked at; where ${more} goes on */
};

/** meta_image_page(m, query, arena, page_r): RC_NOTFOUND: no repository.
 * ${after} need not exist any more.  Worker. */
RC_MUST_USE enum rc meta_image_page(struct meta *, const struct image_query *,
    struct arena *, struct image_page *page_r);

struct image_id {
	struct digest digest;
	struct span tag; /* .p NULL: the image has none */
};

struct image_id_page {
	struct image_id *rows;
	size_t n;
	bool more;
	struct image_id last; /* looked at; .tag.p NULL: all of it */
};

/** meta_image_id_page(m, query, arena, page_r): a row for each tag, and for
 * each image without one. */
RC_MUST_USE enum rc meta_image_id_page(struct meta *,
    const struct image_query *, struct arena *, struct image_id_page *page_r);

/** meta_image_count(m, repository, n_r): at once, of whatever many.
 * RC_NOTFOUND. */
RC_MUST_USE enum rc
meta_image_count(struct meta *, struct span repository, uint64_t *n_r);

struct image_delete {
	struct span repository;
	bool has_digest;
	struct digest digest;
	struct span tag; /* empty: the image with all its tags */
};

struct image_deleted {
	struct digest digest; /* of what was found, also with errors */
	struct span *tags;    /* that are gone, in byte order */
	size_t n_tags;
	bool image;		/* the image is gone too */
	uint64_t image_bytes;	/* then: as of struct image_row */
	struct holding holding; /* RC_REFERENCED */
};

/**
 * meta_image_delete(m, del, arena, deleted_r):
 * As BatchDeleteImage does: a tag goes, and with its last tag the image; by
 * digest alone the image with all of its tags.  It can be restored for as long
 * as storage/deleted.h says.  RC_NOTFOUND; RC_DIGEST: the
 * tag is of another image than ${digest}; RC_REFERENCED: the image would have
 * to go and indexes of the repository hold it: nothing changed.
 */
RC_MUST_USE enum rc
meta_image_delete(struct meta *, const struct image_delete *, struct arena *,
    struct image_deleted *deleted_r);

/**
 * meta_image_status_set(m, repository, ref, status, now_ms, arena, r):
 * Archive (IMAGE_ARCHIVED) or restore (IMAGE_ACTIVE); one that is so already
 * stays as it was, times included.  One that needs content which lies in the
 * archive is IMAGE_ACTIVATING first, as is an index that needs such an image,
 * and the collector (storage/gc.h) makes it active; archived meanwhile, it is
 * that.  Those that refer to it as their subject and were archived after it are
 * restored with it; of more than a thousand the others by the collector.
 * Where an index is active then, those archived images are restored, too, that
 * it needs and that these need; of indexes within indexes down to a depth of
 * IMAGE_DEPTH_MAX, and looking at no more than IMAGE_RESTORE_MAX references:
 * what is further away is restored by itself.  *${row_r}: as it is then.
 * RC_NOTFOUND; RC_REFERENCED: to be archived, but an index that is not archived
 * holds it: ${holding_r}.
 */
RC_MUST_USE enum rc meta_image_status_set(struct meta *, struct span repository,
    const struct reference *, enum image_status, int64_t now_ms, struct arena *,
    struct image_row *row_r, struct holding *holding_r);

/** meta_image_restore(m, repository, ref, now_ms, arena, row_r, others):
 * meta_image_status_set(IMAGE_ACTIVE), and ${others} is told who came back with
 * it; those that the collector restores later are not among them. */
RC_MUST_USE enum rc meta_image_restore(struct meta *, struct span repository,
    const struct reference *, int64_t now_ms, struct arena *,
    struct image_row *row_r, struct image_list *others);

#define IMAGE_DEPTH_MAX 8
#define IMAGE_RESTORE_MAX 100000

/* Scans.  One that was started waits in a queue, which outlives the process,
 * until whoever scans has ended it. */

struct scan_start {
	struct span repository;
	struct digest digest;
	int64_t now_ms;
	int64_t since_ms;   /* the quota counts scans started after this */
	unsigned max_scans; /* of an image in that time; 0, or more than
			       SCAN_QUOTA_MAX: any */
};

#define SCAN_QUOTA_MAX 64

/** meta_scan_start(m, start): RC_NOTFOUND; RC_LIMIT: as many have been, the one
 * that may be in progress among them; below that it goes on (RC_OK), and is not
 * one more. */
RC_MUST_USE enum rc meta_scan_start(struct meta *, const struct scan_start *);

struct scan_job {
	struct span repository;
	struct digest digest;
	int64_t started_ms;
	uint64_t place; /* in the queue; private to the store */
};

/** meta_scan_next(m, arena, job_r): the one that waits longest.  RC_NOTFOUND:
 * none does. */
RC_MUST_USE enum rc
meta_scan_next(struct meta *, struct arena *, struct scan_job *job_r);

/** meta_scan_behind(m, job, arena, job_r): the first that waits behind ${job},
 * which may be gone.  RC_NOTFOUND: none. */
RC_MUST_USE enum rc meta_scan_behind(struct meta *, const struct scan_job *,
    struct arena *, struct scan_job *job_r);

/** meta_scan_waiting(m): how many were started and have not ended; 0 also if
 * that cannot be read. */
uint64_t meta_scan_waiting(struct meta *);

/** meta_scan_end(m, job, status, reason, now_ms): it leaves the queue; an
 * image that is gone meanwhile has no scan: RC_OK. */
RC_MUST_USE enum rc meta_scan_end(struct meta *, const struct scan_job *,
    enum scan_status, struct span reason, int64_t now_ms);

#define SCAN_REASON_MAX_BYTES 1024

/* Layers, as images see them. */

enum blob_use {
	BLOB_UNUSED,	    /* no image names it */
	BLOB_USED,	    /* one that is not archived does */
	BLOB_USED_ARCHIVED, /* all that do are archived */
};

/* So many images are looked at; when these do not tell, one that is not
 * archived is taken to use it. */
#define BLOB_USE_LOOKED_MAX 1000

/** meta_blob_use(m, repository, digest, use_r): which manifests of the
 * repository, but for deleted ones, name it as config or layer?  A repository
 * that is not there has none.  Worker. */
RC_MUST_USE enum rc meta_blob_use(struct meta *, struct span repository,
    const struct digest *, enum blob_use *use_r);

#endif
