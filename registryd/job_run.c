#include "registryd/job_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/job_state.h"

#define RUN_JOB_MAGIC 0x524a4f42u

struct run_result {
	char *repository, *why;
	struct lifecycle_result result; /* .why is ${why} */
};

struct run_job {
	unsigned magic;
	struct job_state state; /* its lock is over all below */
	char *repository;	/* "": all */
	bool begun;
	uint64_t total, n; /* repositories; .n: it is through with */
	uint64_t n_failed, n_stopped, n_dropped;
	struct lifecycle_result sums;
	uint64_t expired, archived; /* of the repository at hand */
	struct run_result *results;
	size_t n_results, room;
};

/* --- its life ------------------------------------------------------------ */

struct run_job *
run_job_new(struct span repository)
{
	struct run_job *job = xcalloc(1, sizeof(*job));

	job->magic = RUN_JOB_MAGIC;
	job_state_init(&job->state);
	job->repository =
	    xstrndup(repository.p != NULL ? repository.p : "", repository.n);
	return (job);
}

void
run_job_free(struct run_job *job)
{
	size_t i;

	OBJ_CHECK(job, RUN_JOB_MAGIC);
	for (i = 0; i < job->n_results; i++) {
		free(job->results[i].repository);
		free(job->results[i].why);
	}
	free(job->results);
	free(job->repository);
	job_state_fini(&job->state);
	job->magic = 0;
	free(job);
}

const char *
run_job_id(const struct run_job *job)
{
	return (job->state.id);
}

struct span
run_job_repository(const struct run_job *job)
{
	return (span_of(job->repository));
}

bool
run_job_running(struct run_job *job)
{
	return (job_state_running(&job->state));
}

bool
run_job_waits(struct run_job *job)
{
	bool waits;

	mutex_lock(&job->state.lock);
	waits = job->state.running && !job->begun;
	mutex_unlock(&job->state.lock);
	return (waits);
}

/* One that has not begun ends here; nobody else would end it soon. */
void
run_job_cancel(struct run_job *job)
{
	atomic_store(&job->state.cancel, true);
	mutex_lock(&job->state.lock);
	if (job->state.running && !job->begun)
		job_state_end(&job->state, RC_CANCELLED, NULL);
	mutex_unlock(&job->state.lock);
}

bool
run_job_cancelled(struct run_job *job)
{
	return (atomic_load(&job->state.cancel));
}

/* --- the lifecycle thread ------------------------------------------------ */

void
run_job_begin(struct run_job *job)
{
	OBJ_CHECK(job, RUN_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	job->begun = true;
	mutex_unlock(&job->state.lock);
}

void
run_job_total(struct run_job *job, uint64_t n_repositories)
{
	mutex_lock(&job->state.lock);
	job->total = n_repositories;
	mutex_unlock(&job->state.lock);
}

static void
sums_add(struct lifecycle_result *sums, const struct lifecycle_result *r)
{
	sums->images += r->images;
	sums->expired += r->expired;
	sums->archived += r->archived;
	sums->held += r->held;
	sums->changed += r->changed;
}

void
run_job_acted(struct run_job *job, enum lifecycle_act_kind kind)
{
	mutex_lock(&job->state.lock);
	if (kind == ACT_EXPIRE)
		job->expired++;
	else
		job->archived++;
	mutex_unlock(&job->state.lock);
}

/* With the lock held. */
static void
result_keep(struct run_job *job, struct span repository,
    const struct lifecycle_result *result)
{
	struct run_result *r;

	if (job->n_results == RUN_JOB_RESULTS_KEPT) {
		job->n_dropped++;
		return;
	}
	if (job->n_results == job->room) {
		job->room = job->room == 0 ? 16 : job->room * 2;
		job->results =
		    xrealloc(job->results, job->room * sizeof(*job->results));
	}
	r = &job->results[job->n_results++];
	r->repository = xstrndup(repository.p, repository.n);
	r->why =
	    xstrndup(result->why.p != NULL ? result->why.p : "", result->why.n);
	r->result = *result;
	r->result.why = span_of(r->why);
}

void
run_job_result(struct run_job *job, struct span repository,
    const struct lifecycle_result *result)
{
	mutex_lock(&job->state.lock);
	job->n++;
	sums_add(&job->sums, result);
	job->expired = job->archived = 0;
	if (result->outcome == LIFECYCLE_FAILED)
		job->n_failed++;
	else if (result->outcome == LIFECYCLE_STOPPED)
		job->n_stopped++;
	result_keep(job, repository, result);
	mutex_unlock(&job->state.lock);
}

void
run_job_end(struct run_job *job, enum rc rc, const char *why)
{
	mutex_lock(&job->state.lock);
	job_state_end(&job->state, rc, why);
	mutex_unlock(&job->state.lock);
}

/* --- as others see it ---------------------------------------------------- */

const char *
lifecycle_outcome_text(enum lifecycle_outcome outcome)
{
	switch (outcome) {
	case LIFECYCLE_NEVER:
		return ("never");
	case LIFECYCLE_RUNNING:
		return ("running");
	case LIFECYCLE_DONE:
		return ("done");
	case LIFECYCLE_FAILED:
		return ("failed");
	case LIFECYCLE_STOPPED:
		return ("stopped");
	}
	wrong("an outcome of no known kind");
}

static void
counts_json(const struct lifecycle_result *r, struct buf *out)
{
	buf_printf(out,
	    "\"images\":%" PRIu64 ",\"expired\":%" PRIu64
	    ",\"archived\":%" PRIu64 ",\"held\":%" PRIu64
	    ",\"changed\":%" PRIu64,
	    r->images, r->expired, r->archived, r->held, r->changed);
}

void
lifecycle_result_json(
    const struct lifecycle_result *r, const char *outcome, struct buf *out)
{
	buf_printf(out, "\"outcome\":\"%s\",\"revision\":%" PRIu64 ",", outcome,
	    r->revision);
	counts_json(r, out);
	buf_str(out, ",\"why\":");
	if (r->why.n > 0)
		buf_json(out, r->why);
	else
		buf_str(out, "null");
}

static void
totals_json(const struct run_job *job, struct buf *out)
{
	struct lifecycle_result sums = job->sums;

	sums.expired += job->expired;
	sums.archived += job->archived;
	buf_printf(out,
	    ",\"repositories\":%" PRIu64 ",\"repositories_total\":%" PRIu64
	    ",\"totals\":{",
	    job->n, job->total);
	counts_json(&sums, out);
	buf_printf(out, ",\"failed\":%" PRIu64 ",\"stopped\":%" PRIu64 "}",
	    job->n_failed, job->n_stopped);
}

static void
results_json(const struct run_job *job, uint64_t since, struct buf *out)
{
	uint64_t i, end = job->n_results;

	if (since > end)
		since = end;
	if (end - since > RUN_JOB_RESULTS_SHOWN)
		end = since + RUN_JOB_RESULTS_SHOWN;
	buf_str(out, ",\"results\":[");
	for (i = since; i < end; i++) {
		buf_str(
		    out, i > since ? ",{\"repository\":" : "{\"repository\":");
		buf_json(out, span_of(job->results[i].repository));
		buf_char(out, ',');
		lifecycle_result_json(&job->results[i].result,
		    lifecycle_outcome_text(job->results[i].result.outcome),
		    out);
		buf_char(out, '}');
	}
	buf_printf(out,
	    "],\"results_next\":%" PRIu64 ",\"results_dropped\":%" PRIu64, end,
	    job->n_dropped);
}

void
run_job_json(struct run_job *job, uint64_t since, struct buf *out)
{
	OBJ_CHECK(job, RUN_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	job_state_json(&job->state, "lifecycle", out);
	totals_json(job, out);
	results_json(job, since, out);
	mutex_unlock(&job->state.lock);
}
