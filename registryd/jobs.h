#ifndef REGISTRYD_JOBS_H
#define REGISTRYD_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/fsck_job.h"

/*
 * Long work that somebody asked for over the control socket: one job at a
 * time.  The last one stays to be looked at until the next begins, and while
 * somebody looks it cannot vanish.  Any thread; nothing here waits.
 */
struct jobs;

struct jobs *jobs_new(struct store *);

/** jobs_free(j): cancel what runs and wait for its end.  Takes NULL. */
void jobs_free(struct jobs **);

/**
 * jobs_fsck(j, options, out):
 * Start a check, or join the one that runs with the same options; append it
 * as a JSON object with "joined".  RC_BUSY: one runs with other options;
 * RC_LIMIT.
 */
RC_MUST_USE enum rc
jobs_fsck(struct jobs *, const struct fsck_job_options *, struct buf *out);

/** jobs_show(j, id, since, out): as fsck_job_json, an object.  RC_NOTFOUND. */
RC_MUST_USE enum rc
jobs_show(struct jobs *, struct span id, uint64_t since, struct buf *out);

/** jobs_cancel(j, id): RC_NOTFOUND. */
RC_MUST_USE enum rc jobs_cancel(struct jobs *, struct span id);

#endif
