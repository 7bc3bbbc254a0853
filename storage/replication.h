#ifndef STORAGE_REPLICATION_H
#define STORAGE_REPLICATION_H

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
 * A part of the seam of meta.h: images that are to be sent to other
 * registries.  A task comes in the transaction that pushed the image
 * (manifest_put.destinations), so that what was acknowledged is sent whatever
 * happens; it leaves when it was sent or given up, and its outcome stays as the
 * image's status as long as the image is here.
 *
 * A destination is "REGION/ACCOUNT".
 */
#define REPLICATION_DESTINATION_MAX_BYTES 64
#define REPLICATION_CODE_MAX_BYTES 64
#define REPLICATION_WHY_MAX_BYTES 512

struct replication_task {
	uint64_t id;		/* never used twice */
	struct span repository; /* empty: it was deleted */
	struct digest digest;
	struct span tag; /* empty: by digest alone */
	struct span destination;
	uint32_t attempts; /* so far */
	int64_t queued_ms, due_ms;
};

/** meta_replication_add(m, repository, digest, tag, destination, now_ms):
 * as a push does it, of an image that is here; in place of a task of the same
 * image, tag and destination.  RC_NOTFOUND; RC_INVALID: not a tag, or
 * destination. */
RC_MUST_USE enum rc meta_replication_add(struct meta *, struct span repository,
    const struct digest *, struct span tag, struct span destination,
    int64_t now_ms);

/** meta_replication_page(m, after_due_ms, after_id, due_ms, n, arena, tasks_r,
 * n_r): those due until then, the earliest first, behind the one that is told
 * (0, 0: from the first); of repositories and images that were deleted and can
 * be restored, too (RC_NOTFOUND is found out by whoever sends).  Those of what
 * is gone for good went with it.  Worker. */
RC_MUST_USE enum rc meta_replication_page(struct meta *, int64_t after_due_ms,
    uint64_t after_id, int64_t due_ms, size_t n, struct arena *,
    struct replication_task **tasks_r, size_t *n_r);

/** meta_replication_due(m, due_ms_r): of the earliest task.  RC_NOTFOUND:
 * there is none.  Inline. */
RC_MUST_USE enum rc meta_replication_due(struct meta *, int64_t *due_ms_r);

/** meta_replication_later(m, task, due_ms, why): one more attempt has failed;
 * ${why} for people, kept with the status, cut off at REPLICATION_WHY_MAX_BYTES.
 * .due_ms of ${task} is what it was when it was read.  RC_NOTFOUND: it is gone.
 */
RC_MUST_USE enum rc meta_replication_later(struct meta *,
    const struct replication_task *, int64_t due_ms, struct span why);

enum replication_state { /* stored: never renumber */
	REPLICATION_IN_PROGRESS = 1,
	REPLICATION_COMPLETE = 2,
	REPLICATION_FAILED = 3,
};

/** meta_replication_end(m, task, state, code, why, now_ms): COMPLETE, or
 * FAILED with a code; the task is gone.  Of several tasks of an image and
 * destination each has to be COMPLETE for that to be its state; one that FAILED
 * is told at once, and until there is a new task.  RC_NOTFOUND: it was gone;
 * there may be another one in its place. */
RC_MUST_USE enum rc
meta_replication_end(struct meta *, const struct replication_task *,
    enum replication_state, struct span code, struct span why, int64_t now_ms);

struct replication_status {
	struct span destination;
	enum replication_state state;
	struct span code; /* FAILED */
	struct span why;  /* of the last failure; may be empty */
	uint64_t pending; /* tasks: COMPLETE only when there are none */
	int64_t changed_ms;
};

/** meta_replication_status(m, repository, digest, arena, rows_r, n_r): by
 * destination, in byte order; none: it was never to be sent, or is not here. */
RC_MUST_USE enum rc meta_replication_status(struct meta *,
    struct span repository, const struct digest *, struct arena *,
    struct replication_status **rows_r, size_t *n_r);

/** meta_replication_count(m, n_r): tasks that wait.  Inline. */
RC_MUST_USE enum rc meta_replication_count(struct meta *, uint64_t *n_r);

#endif
