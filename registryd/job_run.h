#ifndef REGISTRYD_JOB_RUN_H
#define REGISTRYD_JOB_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/lifecycles.h"

/*
 * A run of lifecycle policies that somebody asked for: first it waits, then the
 * lifecycle thread carries it out, one repository after the other, and tells
 * here what came of it.  Any thread; nothing waits.
 */
struct run_job;

/* Results kept to be looked at; all are in the totals. */
#define RUN_JOB_RESULTS_KEPT 10000
/* In one answer: whoever wants the others asks again. */
#define RUN_JOB_RESULTS_SHOWN 1000

/** run_job_new(repository): empty: all that have a policy. */
struct run_job *run_job_new(struct span repository);
void run_job_free(struct run_job *);

const char *run_job_id(const struct run_job *);
/** run_job_running(job): it has not ended; it may not have begun. */
bool run_job_running(struct run_job *);
/** run_job_waits(job): it has not begun. */
bool run_job_waits(struct run_job *);
/** run_job_repository(job): lives with the job. */
struct span run_job_repository(const struct run_job *);
void run_job_cancel(struct run_job *);
bool run_job_cancelled(struct run_job *);

/* The lifecycle thread. */

/** run_job_begin(job), run_job_total(job, n): so many repositories. */
void run_job_begin(struct run_job *);
void run_job_total(struct run_job *, uint64_t n_repositories);
/** run_job_acted(job, kind): of the repository at hand one more image; in the
 * totals at once, and taken over by the result. */
void run_job_acted(struct run_job *, enum lifecycle_act_kind);
/** run_job_result(job, repository, result): what came of one. */
void run_job_result(
    struct run_job *, struct span repository, const struct lifecycle_result *);
/** run_job_end(job, rc, why): RC_OK, RC_CANCELLED, or why it failed; ${why}
 * NULL: in the words of ${rc}. */
void run_job_end(struct run_job *, enum rc, const char *why);

/**
 * run_job_json(job, since, out):
 * Append the members, without braces, of an object: "id", "kind"
 * ("lifecycle"), "state" ("running", "done", "failed", "cancelled"), "error"
 * (when failed), "started", "duration_ms", "repositories" (that it is through
 * with), "repositories_total", "totals" {"images","expired","archived","held",
 * "changed","failed","stopped"} (the last two count repositories), "results"
 * [{"repository","outcome" ("done", "failed", "stopped"),"revision","images",
 * "expired","archived","held","changed","why"}] from number ${since} on, at
 * most RUN_JOB_RESULTS_SHOWN, "results_next" (the number to ask for then) and
 * "results_dropped" (beyond those kept).
 */
void run_job_json(struct run_job *, uint64_t since, struct buf *out);

/** lifecycle_outcome_text(outcome): "never", "running", "done", ... */
const char *lifecycle_outcome_text(enum lifecycle_outcome);

/** lifecycle_result_json(result, outcome, out): its members, without braces,
 * from "outcome" on as above, with that for it. */
void lifecycle_result_json(
    const struct lifecycle_result *, const char *outcome, struct buf *out);

#endif
