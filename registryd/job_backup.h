#ifndef REGISTRYD_JOB_BACKUP_H
#define REGISTRYD_JOB_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "storage/store.h"

/*
 * A snapshot of the folder (storage/snapshot.h) that somebody who writes a
 * backup has held: until he cancels the job, or nobody has looked at it for
 * BACKUP_JOB_IDLE_MS, so that one who is gone does not keep the collector
 * waiting for ever.  Any thread; none waits but backup_job_free().
 */
struct backup_job;

#define BACKUP_JOB_IDLE_MS 60000

/** backup_job_start(s, archive_dir, idle_ms, job_r): ${archive_dir} is only
 * told.  RC_LIMIT: no thread to be had. */
RC_MUST_USE enum rc backup_job_start(struct store *, const char *archive_dir,
    int64_t idle_ms, struct backup_job **job_r);

const char *backup_job_id(const struct backup_job *);
bool backup_job_running(struct backup_job *);
void backup_job_cancel(struct backup_job *);

/**
 * backup_job_json(job, out):
 * Append the members, without braces, of an object: "id", "kind" ("backup"),
 * "state" ("running", "failed", "cancelled"), "error", "started",
 * "duration_ms", "ready" (the snapshot is held), "path" (of its metadata; null
 * until then), "archive" (the folder of the archive), "idle_ms" (after which
 * the snapshot ends unless somebody looks).  That is a look.
 */
void backup_job_json(struct backup_job *, struct buf *out);

/** backup_job_free(job): cancel, wait for its end, free. */
void backup_job_free(struct backup_job *);

#endif
