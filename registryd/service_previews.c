#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "lifecycle/runner.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "storage/lifecycles.h"

/*
 * The thread of previews: those of lifecycle policies that clients started with
 * the ECR API and wait for.  They have a thread of their own, so that they do
 * not wait for the runs of policies.  Results are written in batches, so that
 * others commit between.  What a crash, or the end of the process, left
 * unfinished is still in the store's queue at the next start and is done again
 * from its beginning, as of the time at which it was started.
 */

/* A look into the queue though nobody has called: fsck may put something in. */
#define LOOK_MS 60000L
/* After the store would not take a result. */
#define AGAIN_MS 5000L

#define JOB_BYTES ((size_t)1 << 20)
#define POLICY_BYTES ((size_t)8 << 20)
#define BATCH_ROWS 1000

struct evaluation {
	struct service *svc;
	struct meta *m;
	struct preview_job job;
	struct lifecycle_run *run;
	struct preview_result *batch;
	size_t n; /* in the batch */
	uint32_t sequence;
	struct preview_sums sums;
	const char *why; /* it failed, if that is not the store's doing */
};

static bool
ends(const struct service *svc)
{
	return (
	    atomic_load(&svc->stopping) || atomic_load(&svc->lifecycle_stop));
}

static bool
stopped(void *arg)
{
	const struct service *svc = arg;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	return (ends(svc));
}

/* --- writing ------------------------------------------------------------- */

static enum rc
batch_write(struct evaluation *e)
{
	enum rc rc;

	if (ends(e->svc))
		return (RC_CANCELLED);
	rc = meta_preview_results_add(
	    e->m, &e->job, e->sequence, e->batch, e->n);
	e->sequence += (uint32_t)e->n;
	e->n = 0;
	return (rc);
}

/* An image that an index holds is counted by its rule, and stays. */
static enum rc
verdict_add(struct evaluation *e, const struct lifecycle_verdict *v)
{
	bool expires = v->rule->action == LIFECYCLE_EXPIRE;

	if (v->held)
		return (RC_OK);
	e->batch[e->n++] = (struct preview_result){
		.digest = v->digest,
		.action = expires ? PREVIEW_EXPIRE : PREVIEW_TRANSITION,
		.status = v->storage_class == LIFECYCLE_ARCHIVE ? IMAGE_ARCHIVED
								: IMAGE_ACTIVE,
		.priority = v->rule->priority,
		.pushed_ms = v->pushed_ms,
	};
	if (expires)
		e->sums.expiring++;
	else
		e->sums.transitioning++;
	return (e->n == BATCH_ROWS ? batch_write(e) : RC_OK);
}

static enum rc
results_write(struct evaluation *e)
{
	struct lifecycle_verdict v;
	size_t n;
	enum rc rc;

	rc = lifecycle_run_decide(e->run, &n);
	while (rc == RC_OK && lifecycle_run_next(e->run, &v))
		rc = verdict_add(e, &v);
	if (rc == RC_OK && e->n > 0)
		rc = batch_write(e);
	return (rc);
}

/* --- a preview ----------------------------------------------------------- */

static enum rc
policy_run(struct evaluation *e, const struct lifecycle_policy *policy)
{
	uint64_t images;
	enum rc rc;

	e->run =
	    lifecycle_run_new(policy, e->job.started_ms, LIFECYCLE_IMAGES_MAX);
	e->batch = xcalloc(BATCH_ROWS, sizeof(*e->batch));
	rc = lifecycle_images_read(
	    e->m, e->job.repository, &e->run, 1, stopped, e->svc, &images);
	if (rc == RC_TOOBIG)
		e->why = "more images than can be evaluated at once";
	if (rc == RC_OK)
		rc = results_write(e);
	free(e->batch);
	lifecycle_run_free(&e->run);
	return (rc);
}

/* What the settings allow was asked when it was started. */
static enum rc
preview_evaluate(struct evaluation *e)
{
	const struct lifecycle_grammar grammar = { .extensions = true };
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy policy;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, POLICY_BYTES);
	rc =
	    lifecycle_policy_parse(e->job.text, &grammar, &arena, &policy, why);
	if (rc == RC_OK)
		rc = policy_run(e, &policy);
	else
		e->why = "its policy cannot be read";
	arena_reset(&arena);
	return (rc);
}

static enum rc
preview_fail(struct evaluation *e, enum rc rc)
{
	log_warn("the lifecycle policy preview of repository " SPAN_FMT
		 " failed: %s",
	    SPAN_ARG(e->job.repository), e->why != NULL ? e->why : rc_text(rc));
	return (meta_preview_end(
	    e->m, &e->job, PREVIEW_FAILED, NULL, clock_real_ms()));
}

/* Of a repository that went, or was made anew, there is nothing to end. */
static enum rc
preview_run(struct evaluation *e)
{
	enum rc rc;

	rc = preview_evaluate(e);
	if (rc == RC_OK)
		rc = meta_preview_end(
		    e->m, &e->job, PREVIEW_COMPLETE, &e->sums, clock_real_ms());
	if (rc != RC_OK && rc != RC_CANCELLED && rc != RC_NOTFOUND &&
	    rc != RC_MISSING)
		rc = preview_fail(e, rc);
	return (rc == RC_NOTFOUND || rc == RC_MISSING ? RC_OK : rc);
}

static enum rc
preview_run_next(struct service *svc)
{
	struct evaluation e = { .svc = svc, .m = store_meta(svc->store) };
	struct arena arena;
	enum rc rc;

	arena_init(&arena, JOB_BYTES);
	rc = meta_preview_next(e.m, &arena, &e.job);
	if (rc == RC_OK)
		rc = preview_run(&e);
	arena_reset(&arena);
	return (rc);
}

bool
service_previews_run(struct service *svc)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK) {
		if (ends(svc) || store_failed(svc->store))
			return (true);
		rc = preview_run_next(svc);
	}
	return (rc == RC_NOTFOUND || rc == RC_CANCELLED);
}

/* --- the thread ---------------------------------------------------------- */

void
service_previews_wake(struct service *svc)
{
	mutex_lock(&svc->lock);
	svc->previews_due = true;
	must(pthread_cond_signal(&svc->previews_wake) == 0);
	mutex_unlock(&svc->lock);
}

/* With the lock held, until somebody calls or the time is up. */
static void
call_wait(struct service *svc, long ms)
{
	while (!svc->previews_due && !atomic_load(&svc->lifecycle_stop))
		if (!cond_wait_ms(&svc->previews_wake, &svc->lock, ms))
			break;
	svc->previews_due = false;
}

static void
previews_main(void *arg)
{
	struct service *svc = arg;
	bool well;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	thread_step_back();
	while (!atomic_load(&svc->lifecycle_stop)) {
		well = service_previews_run(svc);
		mutex_lock(&svc->lock);
		call_wait(svc, well ? LOOK_MS : AGAIN_MS);
		mutex_unlock(&svc->lock);
	}
}

void
service_previews_stop(struct service *svc)
{
	if (!svc->previews_run)
		return;
	atomic_store(&svc->lifecycle_stop, true);
	service_previews_wake(svc);
	thread_join(svc->previews);
	svc->previews_run = false;
}

enum rc
service_previews_start(struct service *svc)
{
	enum rc rc;

	rc = thread_start("previews", previews_main, svc, &svc->previews);
	svc->previews_run = rc == RC_OK;
	return (rc);
}
