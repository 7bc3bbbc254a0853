#ifndef REGISTRYD_JOBS_H
#define REGISTRYD_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "registryd/job_backup.h"
#include "registryd/job_look.h"
#include "registryd/job_mirror.h"
#include "registryd/job_run.h"
#include "storage/fsck_job.h"
#include "storage/gc_job.h"

/*
 * Long work, most of which somebody asked for over the control socket: checks,
 * collections, collections that only look, runs of lifecycle policies, previews
 * of them, runs of mirrors, snapshots for backups.  Of each kind only so many go on at once.  A job that somebody asked
 * for stays to be looked at when it has ended, until JOBS_KEPT younger ones of
 * its kind have, and while somebody looks it cannot vanish.  Any thread;
 * nothing here waits but jobs_free().
 *
 * A job appears as a JSON object: "id", "kind", "state" ("running", "done",
 * "failed", "cancelled"), "error" (when failed), "started", "duration_ms", and
 * what its kind has to tell: fsck_job_json(), gc_job_json(), run_job_json(),
 * look_job_json(), mirror_job_json(), backup_job_json(); in the answer to whoever asks for it also "joined": it
 * was there already.
 */
#define JOBS_KEPT 4

struct jobs;

struct jobs *jobs_new(struct store *);

/** jobs_free(j): cancel what runs and wait for its end.  Takes NULL. */
void jobs_free(struct jobs **);

/**
 * jobs_fsck(j, options, out):
 * Start a check, or join the one that runs with the same options.  RC_BUSY: one
 * runs with other options; RC_LIMIT.
 */
RC_MUST_USE enum rc
jobs_fsck(struct jobs *, const struct fsck_job_options *, struct buf *out);

/**
 * jobs_gc(j, options, out):
 * Start a collection, or have the one that runs go through all once more;
 * ${out} NULL: nobody asked for it, nobody wants to look at it.  RC_LIMIT.
 */
RC_MUST_USE enum rc
jobs_gc(struct jobs *, const struct gc_job_options *, struct buf *out);

/** jobs_gc_running(j): does a collection that changes something run? */
bool jobs_gc_running(struct jobs *);

/**
 * jobs_run(j, repository, out):
 * Ask for a run of one lifecycle policy, or, empty, of all; or join one that
 * was asked for and has not begun.  RC_BUSY: too many wait.
 */
#define JOBS_RUNS_MAX 16
RC_MUST_USE enum rc
jobs_run(struct jobs *, struct span repository, struct buf *out);

/** jobs_run_next(j): the one that waits longest, which has begun now; NULL:
 * none does.  It stays as long as it has not ended: run_job_end(). */
struct run_job *jobs_run_next(struct jobs *);

/** jobs_preview(j, request, out): RC_BUSY: as many run as may; RC_LIMIT. */
#define JOBS_PREVIEWS_MAX 2
RC_MUST_USE enum rc
jobs_preview(struct jobs *, const struct look_request *, struct buf *out);

/**
 * jobs_mirror(j, name, out):
 * Ask for a run of a mirror, or join one that was asked for and has not begun.
 * RC_BUSY: too many wait.
 */
#define JOBS_MIRRORS_MAX 256
RC_MUST_USE enum rc jobs_mirror(struct jobs *, struct span name, struct buf *);

/** jobs_mirror_next(j): as jobs_run_next(): mirror_job_end(). */
struct mirror_job *jobs_mirror_next(struct jobs *);

/** jobs_mirror_due(j, name): one that nobody asked for, and that has begun;
 * likewise. */
struct mirror_job *jobs_mirror_due(struct jobs *, struct span name);

/** jobs_backup(j, archive_dir, out): RC_BUSY: there is one; RC_LIMIT. */
RC_MUST_USE enum rc
jobs_backup(struct jobs *, const char *archive_dir, struct buf *out);

/** jobs_show(j, id, since, out): lists that a job has (problems, results,
 * lines) from number ${since} on.  RC_NOTFOUND. */
RC_MUST_USE enum rc
jobs_show(struct jobs *, struct span id, uint64_t since, struct buf *out);

/** jobs_cancel(j, id, ends_r): one of those who asked for it, or joined it, does
 * not want it any more; with the last of them it ends soon, *${ends_r}.
 * RC_NOTFOUND. */
RC_MUST_USE enum rc jobs_cancel(struct jobs *, struct span id, bool *ends_r);

#endif
