#ifndef REGISTRYD_JOB_LOOK_H
#define REGISTRYD_JOB_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "lifecycle/policy.h"
#include "storage/store.h"

/*
 * A look at what a lifecycle policy would do, or at the difference between
 * two, on a thread of its own.  Nothing is changed or kept, unlike with the
 * previews of storage/lifecycles.h.  Any thread; none waits but
 * look_job_free().
 */
struct look_job;

struct look_request {
	struct span repository;
	struct span text;    /* a policy that can be read; empty: that of the
				repository */
	struct span against; /* .p NULL: no comparison; empty: with that of the
				repository */
	struct lifecycle_grammar grammar;
	int64_t now_ms;
};

/* Lines kept to be looked at; all are in the sums. */
#define LOOK_JOB_LINES_KEPT 100000
#define LOOK_JOB_KEPT_BYTES ((size_t)48 << 20)
/* In one answer: whoever wants the others asks again. */
#define LOOK_JOB_LINES_SHOWN 2000
#define LOOK_JOB_SHOWN_BYTES ((size_t)8 << 20)

/** look_job_start(s, request, job_r): what is asked is copied.  RC_LIMIT: no
 * thread to be had. */
RC_MUST_USE enum rc look_job_start(
    struct store *, const struct look_request *, struct look_job **job_r);

const char *look_job_id(const struct look_job *);
bool look_job_running(struct look_job *);
void look_job_cancel(struct look_job *);

/**
 * look_job_json(job, since, out):
 * Append the members, without braces, of an object: "id", "kind" ("preview"),
 * "state" ("running", "done", "failed", "cancelled"), "error" (when failed),
 * "started", "duration_ms", "repository", "lines" [{"digest","tags","action"
 * ("expire", "archive"),"rule","pushed","bytes","change" ("+", "-", "~",
 * " ")}] from number ${since} on, at most LOOK_JOB_LINES_SHOWN,
 * "lines_next" (the number to ask for then; as ${since}: there are no more
 * now), "lines_dropped" (beyond those kept), and "sums" {"images","expiring",
 * "transitioning","held","added","removed","altered"} once it is done.
 */
void look_job_json(struct look_job *, uint64_t since, struct buf *);

/** look_job_free(job): cancel, wait for its end, free. */
void look_job_free(struct look_job *);

#endif
