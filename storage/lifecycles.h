#ifndef STORAGE_LIFECYCLES_H
#define STORAGE_LIFECYCLES_H

#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * A part of the seam of meta.h: what is set of a repository about the lives of
 * its images.  The texts are a matter of the rooms above.
 */
struct meta;

#define LIFECYCLE_TEXT_MAX_BYTES ((size_t)1 << 18)

struct lifecycle_row {
	struct span text;
	uint64_t revision; /* never used twice */
	int64_t set_ms;
	int64_t evaluated_ms; /* 0: never */
};

/** meta_lifecycle_set(m, repository, text, now_ms): RC_NOTFOUND: no
 * repository; RC_INVALID: empty; RC_TOOBIG.  The same text again changes
 * nothing. */
RC_MUST_USE enum rc meta_lifecycle_set(
    struct meta *, struct span repository, struct span text, int64_t now_ms);

/** meta_lifecycle_get(m, repository, arena, row_r): RC_NOTFOUND: no
 * repository; RC_MISSING: it has no policy. */
RC_MUST_USE enum rc meta_lifecycle_get(struct meta *, struct span repository,
    struct arena *, struct lifecycle_row *row_r);

/** meta_lifecycle_delete(m, repository, arena, row_r): what it was; codes of
 * meta_lifecycle_get. */
RC_MUST_USE enum rc meta_lifecycle_delete(struct meta *, struct span repository,
    struct arena *, struct lifecycle_row *row_r);

/* A preview: what a policy would do, of a repository one at a time. */

enum preview_status { /* stored: never renumber */
	PREVIEW_IN_PROGRESS = 1,
	PREVIEW_COMPLETE = 2,
	PREVIEW_FAILED = 3,
};

struct preview_row {
	struct span text;
	enum preview_status status;
	int64_t started_ms;
	int64_t ended_ms; /* 0: not yet */
};

/** meta_preview_start(m, repository, text, now_ms): in place of the one that
 * was there.  RC_NOTFOUND; RC_BUSY: one is in progress; RC_INVALID, RC_TOOBIG
 * as of a policy. */
RC_MUST_USE enum rc meta_preview_start(
    struct meta *, struct span repository, struct span text, int64_t now_ms);

/** meta_preview_get(m, repository, arena, row_r): RC_NOTFOUND: no repository;
 * RC_MISSING: no preview. */
RC_MUST_USE enum rc meta_preview_get(struct meta *, struct span repository,
    struct arena *, struct preview_row *row_r);

/** meta_preview_next(m, arena, repository_r): one that is in progress, of
 * whichever repository.  RC_NOTFOUND: none is. */
RC_MUST_USE enum rc
meta_preview_next(struct meta *, struct arena *, struct span *repository_r);

/** meta_preview_end(m, repository, status, now_ms): RC_NOTFOUND: no
 * repository; RC_MISSING: none in progress. */
RC_MUST_USE enum rc meta_preview_end(
    struct meta *, struct span repository, enum preview_status, int64_t now_ms);

#endif
