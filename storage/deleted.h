#ifndef STORAGE_DELETED_H
#define STORAGE_DELETED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/images.h"
#include "storage/meta.h"

/*
 * A part of the seam of meta.h: what was deleted and can be restored.  With
 * store_options.undelete_ms set, an image that is deleted, by a client or by a
 * lifecycle policy, is out of everybody's sight at once, but keeps what it
 * needs; a repository that is deleted keeps its rows.  When the time is up the
 * collector (storage/gc.h) removes them for good.  Without it nothing can be
 * restored.
 *
 * A digest that is pushed again is a new image, and its old one is forgotten.
 */
enum deleted_why { /* stored: never renumber */
	DELETED_BY_REQUEST = 1,
	DELETED_EXPIRED = 2, /* by a lifecycle policy */
};

struct deleted_image {
	struct digest digest;
	struct span *tags; /* that it had, in byte order */
	size_t n_tags;
	int64_t deleted_ms, pushed_ms;
	uint64_t image_bytes; /* as of struct image_row */
	enum deleted_why why;
	int64_t priority; /* of the rule, with DELETED_EXPIRED */
};

struct deleted_image_page {
	struct deleted_image *rows;
	size_t n;
	bool more;
};

/** meta_deleted_image_page(m, repository, after, max, arena, page_r): in order
 * of digest, from behind ${after}; NULL: from the first.  RC_NOTFOUND: no
 * repository. */
RC_MUST_USE enum rc meta_deleted_image_page(struct meta *,
    struct span repository, const struct digest *after, size_t max,
    struct arena *, struct deleted_image_page *page_r);

struct deleted_repository {
	struct span name;
	uint64_t id; /* of several of one name that were deleted */
	int64_t deleted_ms;
	uint64_t images;
};

struct deleted_repository_page {
	struct deleted_repository *rows; /* in order of id */
	size_t n;
	bool more;
};

/** meta_deleted_repository_page(m, after_id, max, arena, page_r): those that
 * can be restored.  0: from the first. */
RC_MUST_USE enum rc
meta_deleted_repository_page(struct meta *, uint64_t after_id, size_t max,
    struct arena *, struct deleted_repository_page *page_r);

struct image_restored {
	struct digest digest;
	struct span *tags; /* that it has again */
	size_t n_tags;
	struct span *taken; /* tags that are another image's by now */
	size_t n_taken;
	size_t children; /* deleted images that an index needs, restored, too */
	struct digest missing;	     /* with RC_MISSING */
	struct image_list undeleted; /* the .children */
	struct image_list activated; /* that were archived, and which it needs
					or which refer to it */
};

/**
 * meta_image_undelete(m, repository, ref, now_ms, arena, r):
 * By digest, or by a tag that it had: of several that had it the one deleted
 * last.  It is what it was, its storage class and its times included, but that
 * .activated_ms is now (of one that is archived: .archived_ms), so that no
 * policy takes it again for its age at once; and has not been scanned.  One
 * that needs what is archived by now gets it back as by
 * meta_image_status_set().  An index comes back with those deleted images that
 * it needs, or not at all.
 * RC_NOTFOUND: no such repository, or no such deleted image; RC_MISSING: it
 * needs an image, or a blob, that is not there any more; RC_LIMIT: deleted
 * images that it needs are more than IMAGE_DEPTH_MAX indexes away, or it takes
 * a look at more than IMAGE_RESTORE_MAX of those that these need: who restores
 * the indexes below it first can restore it then.
 */
RC_MUST_USE enum rc meta_image_undelete(struct meta *, struct span repository,
    const struct reference *, int64_t now_ms, struct arena *,
    struct image_restored *restored_r);

/** meta_repository_undelete(m, name, id, now_ms): the one of that name and id,
 * or, with 0, the one of that name that was deleted last, with all that was in
 * it.  Scans that waited wait again: when
 * there are very many, some of them only after others can see the repository,
 * and if the process ends before that, it is fsck that finds them.  RC_NOTFOUND;
 * RC_EXISTS: there is one of that name. */
RC_MUST_USE enum rc meta_repository_undelete(
    struct meta *, struct span name, uint64_t id, int64_t now_ms);

#endif
