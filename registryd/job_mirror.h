#ifndef REGISTRYD_JOB_MIRROR_H
#define REGISTRYD_JOB_MIRROR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "mirror/sync.h"

/*
 * A run of a mirror: first it waits, then the thread of mirrors carries it out,
 * and tells here what came of each image.  Any thread; nothing waits.
 */
struct mirror_job;

/* Images kept to be looked at; all are in the totals. */
#define MIRROR_JOB_IMAGES_KEPT 100000
#define MIRROR_JOB_KEPT_BYTES ((size_t)16 << 20)
/* In one answer: whoever wants the others asks again. */
#define MIRROR_JOB_IMAGES_SHOWN 1000

struct mirror_job *mirror_job_new(struct span name);
void mirror_job_free(struct mirror_job *);

const char *mirror_job_id(const struct mirror_job *);
/** mirror_job_running(job): it has not ended; it may not have begun. */
bool mirror_job_running(struct mirror_job *);
/** mirror_job_waits(job): it has not begun. */
bool mirror_job_waits(struct mirror_job *);
/** mirror_job_name(job): of the mirror; lives with the job. */
struct span mirror_job_name(const struct mirror_job *);
void mirror_job_cancel(struct mirror_job *);

/* The thread of mirrors. */

void mirror_job_begin(struct mirror_job *);
/** mirror_job_progress(job), mirror_job_cancelled(job): for sync_run(). */
struct copy_progress *mirror_job_progress(struct mirror_job *);
const atomic_bool *mirror_job_cancelled(const struct mirror_job *);
/** mirror_job_image(job, image): one is done. */
void mirror_job_image(struct mirror_job *, const struct sync_image *);
/** mirror_job_end(job, rc, result, why): ${result} NULL: it did not begin;
 * ${why} NULL: in the words of ${rc}. */
void mirror_job_end(
    struct mirror_job *, enum rc, const struct sync_result *, const char *why);

/**
 * mirror_job_json(job, since, out):
 * Append the members, without braces, of an object: "id", "kind" ("mirror"),
 * "state", "error", "started", "duration_ms", "name", "waiting" (it has not
 * begun), "totals" {"tags","selected","same","copied","deleted","failed",
 * "manifests","blobs","bytes"}, "progress" {"images","images_total","blobs",
 * "blobs_total","bytes","bytes_total"}, "images" [{"tag","outcome" ("same",
 * "copied","deleted","failed"),"digest","manifests","blobs","bytes","why"}] from
 * number ${since} on, at most MIRROR_JOB_IMAGES_SHOWN, "images_next" (the
 * number to ask for then) and "images_dropped" (beyond those kept).
 */
void mirror_job_json(struct mirror_job *, uint64_t since, struct buf *out);

/** sync_outcome_text(outcome): "same", ... */
const char *sync_outcome_text(enum sync_outcome);

/** sync_result_json(r, out): the members of "totals", without braces. */
void sync_result_json(const struct sync_result *, struct buf *out);

#endif
