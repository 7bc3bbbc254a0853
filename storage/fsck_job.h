#ifndef STORAGE_FSCK_JOB_H
#define STORAGE_FSCK_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "storage/fsck.h"
#include "storage/store.h"

/*
 * A check on a thread of its own, for those who want to look at it while it
 * runs: the server's control socket, and registryctl on a stopped folder.
 * Problems are kept up to a bound, counted without one.  All functions: any
 * thread; none waits for the check but fsck_job_free().
 */
#define FSCK_JOB_ID_BYTES 33 /* 32 hex digits and a NUL */
#define FSCK_JOB_PROBLEMS_KEPT 1000

struct fsck_job;

struct fsck_job_options {
	bool repair;
	bool skip_content;
	uint64_t bytes_per_s; /* of re-hashing; 0: no limit */
	bool log;	      /* each problem, as a warning */
};

/** fsck_job_start(s, options, job_r): RC_LIMIT: no thread to be had. */
RC_MUST_USE enum rc fsck_job_start(
    struct store *, const struct fsck_job_options *, struct fsck_job **job_r);

/** fsck_job_id(job): lives with the job. */
const char *fsck_job_id(const struct fsck_job *);

bool fsck_job_running(struct fsck_job *);

/** fsck_job_same(job, options): was it started with these? */
bool fsck_job_same(const struct fsck_job *, const struct fsck_job_options *);

/** fsck_job_cancel(job): it ends soon. */
void fsck_job_cancel(struct fsck_job *);

/**
 * fsck_job_json(job, since, out):
 * Append the members, without braces, of an object: "id", "kind" ("fsck"),
 * "state" ("running", "done", "failed", "cancelled"), "error" (when failed),
 * "repair", "content", "started", "duration_ms", "progress" {"records",
 * "blobs", "blobs_total", "bytes", "bytes_total", "problems", "repaired",
 * "orphan_files", "orphan_bytes", "locked_blobs", "locked_bytes"}, "problems" [{"kind","repaired","text"}]
 * from number ${since} on, "problems_next" (the number to ask for then) and
 * "problems_dropped" (found beyond those kept).
 */
void fsck_job_json(struct fsck_job *, uint64_t since, struct buf *out);

/** fsck_job_free(job): cancel, wait for its end, free.  Takes NULL. */
void fsck_job_free(struct fsck_job **);

#endif
