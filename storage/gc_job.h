#ifndef STORAGE_GC_JOB_H
#define STORAGE_GC_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "storage/gc.h"
#include "storage/store.h"

/*
 * A collection on a thread of its own, for those who want to look at it while
 * it runs, as fsck_job.h.  Any thread; none waits but gc_job_free().
 */
#define GC_JOB_ID_BYTES 33

struct gc_job;

struct gc_job_options {
	bool dry_run;
	/* As of struct gc_options, on the job's thread. */
	void (*reclaimed)(void *arg, const struct gc_reclaimed *);
	void (*followed)(void *arg, const struct gc_followed *);
	/* When it has ended, on the job's thread; may be NULL. */
	void (*ended)(void *arg, enum rc, const struct gc_totals *);
	void *arg;
};

/** gc_job_start(s, options, job_r): RC_LIMIT: no thread to be had. */
RC_MUST_USE enum rc gc_job_start(
    struct store *, const struct gc_job_options *, struct gc_job **job_r);

/** gc_job_again(job): whoever joins a collection that runs wants what is there
 * now to be looked at: it goes through all once more before it ends.  False:
 * it has ended. */
bool gc_job_again(struct gc_job *);

const char *gc_job_id(const struct gc_job *);
bool gc_job_running(struct gc_job *);
void gc_job_cancel(struct gc_job *);

/**
 * gc_job_json(job, out):
 * Append the members, without braces, of an object: "id", "kind" ("gc"),
 * "state" ("running", "done", "failed", "cancelled"), "error" (when failed),
 * "dry_run", "started", "duration_ms", "totals": the members of struct
 * gc_totals by name.
 */
void gc_job_json(struct gc_job *, struct buf *out);

/** gc_job_free(job): cancel, wait for its end, free.  Takes NULL. */
void gc_job_free(struct gc_job **);

#endif
