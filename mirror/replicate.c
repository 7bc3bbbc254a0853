#include "mirror/replicate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/place_int.h"
#include "mirror/replicate_int.h"

/*
 * A few threads that are all the same: whoever has nothing to send looks for
 * something, unless another is just looking, or waits.
 */
#define PARALLEL 4
#define PARALLEL_MAX 64
#define GIVE_UP_MS ((int64_t)24 * 60 * 60 * 1000)
/* For each request: the queue has the longer patience. */
#define PATIENCE_MS 15000

/* --- the other side ------------------------------------------------------ */

static enum rc
upstream_open(struct replicator *r, const struct replication_task *task,
    struct upstream **u_r, struct upstream_error *error)
{
	char url[512], credential[512];
	enum rc rc;

	if (!r->o.destination(r->o.arg, task->destination, url, credential))
		return (place_fail(error, RC_RANGE,
		    "no address is configured for the destination " SPAN_FMT,
		    SPAN_ARG(task->destination)));
	rc = upstreams_get(r->o.upstreams, url, span_of(credential), u_r);
	if (rc != RC_OK)
		return (place_fail(error, rc,
		    "the destination " SPAN_FMT ": %s is no address",
		    SPAN_ARG(task->destination), url));
	if (r->marker != NULL)
		upstream_mark(*u_r, r->marker);
	return (RC_OK);
}

static struct place *
remote_open(void *arg, const struct replication_task *task,
    const atomic_bool *cancel, enum rc *rc_r, struct upstream_error *error)
{
	struct replicator *r = arg;
	struct place_remote_options o = {
		.repository = task->repository,
		.patience_ms = PATIENCE_MS,
		.cancel = cancel,
	};
	struct place *place;
	char *name;

	*rc_r = upstream_open(r, task, &o.upstream, error);
	if (*rc_r != RC_OK)
		return (NULL);
	name = xasprintf("%s/" SPAN_FMT, upstream_url(o.upstream),
	    SPAN_ARG(task->repository));
	o.name = name;
	place = place_remote(&o);
	free(name);
	upstream_unref(&o.upstream);
	return (place);
}

static enum rc
remote_create(void *arg, const struct replication_task *task,
    const atomic_bool *cancel, struct upstream_error *error)
{
	const struct upstream_wait wait = { PATIENCE_MS, cancel };
	struct upstream *u = NULL;
	enum rc rc;

	if ((rc = upstream_open(arg, task, &u, error)) != RC_OK)
		return (rc);
	rc = upstream_repository_create(u, task->repository, &wait, error);
	upstream_unref(&u);
	return (rc);
}

/* --- threads ------------------------------------------------------------- */

/* Under the lock, as all here. */
static struct replicate_job *
ready_take(struct replicator *r)
{
	struct replicate_job *j = r->ready;

	if (j == NULL)
		return (NULL);
	r->ready = j->next;
	if (r->ready == NULL)
		r->ready_tail = &r->ready;
	r->n_ready--;
	return (j);
}

/* Those whose destination went away meanwhile are left in the queue. */
static struct replicate_job *
job_take(struct replicator *r)
{
	struct replicate_job *j;

	while ((j = ready_take(r)) != NULL && !j->hopeless &&
	       replicate_is_held(r, j->task.destination))
		replicate_job_free(&j);
	if (j == NULL)
		return (NULL);
	j->next = r->running;
	r->running = j;
	return (j);
}

static void
job_leave(struct replicator *r, struct replicate_job *j)
{
	struct replicate_job **at;

	mutex_lock(&r->lock);
	for (at = &r->running; *at != j; at = &(*at)->next)
		continue;
	*at = j->next;
	/* What stood behind it may be tried now, and it may be due again. */
	r->look = true;
	(void)pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);
	replicate_job_free(&j);
}

static bool
may_look(const struct replicator *r)
{
	if (r->looking || clock_mono_ns() < r->look_ns)
		return (false);
	return (r->look || clock_real_ms() >= r->next_ms);
}

static long
wait_ms(const struct replicator *r)
{
	int64_t ms = r->next_ms - clock_real_ms(), pause_ms;

	pause_ms = (r->look_ns - clock_mono_ns()) / 1000000;
	if (r->look && !r->looking)
		ms = pause_ms;
	else if (ms < pause_ms)
		ms = pause_ms;
	if (r->looking || ms > 10000)
		ms = 10000;
	return (ms < 1 ? 1 : (long)ms);
}

static void
look_or_wait(struct replicator *r)
{
	if (!may_look(r)) {
		(void)cond_wait_ms(&r->changed, &r->lock, wait_ms(r));
		return;
	}
	r->looking = true;
	r->look = false;
	mutex_unlock(&r->lock);
	replicate_look(r);
	mutex_lock(&r->lock);
	r->looking = false;
	(void)pthread_cond_broadcast(&r->changed);
}

/* A job, or NULL at the end. */
static struct replicate_job *
job_next(struct replicator *r)
{
	struct replicate_job *j = NULL;

	mutex_lock(&r->lock);
	while (!atomic_load(&r->stop) && (j = job_take(r)) == NULL)
		look_or_wait(r);
	mutex_unlock(&r->lock);
	return (j);
}

static void
replicate_work(void *arg)
{
	struct replicator *r = arg;
	struct replicate_job *j;

	OBJ_CHECK(r, REPLICATOR_MAGIC);
	while ((j = job_next(r)) != NULL) {
		replicate_send(r, j);
		job_leave(r, j);
	}
}

/* --- life ---------------------------------------------------------------- */

static struct replicator *
replicator_new(
    const struct replicator_options *o, const struct replicate_ends *ends)
{
	struct replicator *r = xcalloc(1, sizeof(*r));
	unsigned n = o->parallel != 0 ? o->parallel : PARALLEL;

	r->magic = REPLICATOR_MAGIC;
	r->o = *o;
	if (r->o.give_up_ms == 0)
		r->o.give_up_ms = GIVE_UP_MS;
	r->o.parallel = n < PARALLEL_MAX ? n : PARALLEL_MAX;
	r->ends = *ends;
	if (r->ends.arg == NULL)
		r->ends.arg = r;
	r->marker = o->marker != NULL ? xstrdup(o->marker) : NULL;
	r->ready_tail = &r->ready;
	r->look = true;
	r->threads = xcalloc(r->o.parallel, sizeof(*r->threads));
	atomic_init(&r->stop, false);
	mutex_init(&r->lock);
	cond_init(&r->changed);
	return (r);
}

enum rc
replicator_start_to(const struct replicator_options *o,
    const struct replicate_ends *ends, struct replicator **r_r)
{
	struct replicator *r = replicator_new(o, ends);
	enum rc rc = RC_OK;

	while (r->n_threads < r->o.parallel) {
		rc = thread_start(
		    "replicate", replicate_work, r, &r->threads[r->n_threads]);
		if (rc != RC_OK)
			break;
		r->n_threads++;
	}
	if (r->n_threads == 0) {
		replicator_stop(&r);
		return (rc);
	}
	*r_r = r;
	return (RC_OK);
}

enum rc
replicator_start(const struct replicator_options *o, struct replicator **r_r)
{
	static const struct replicate_ends remote = {
		.open = remote_open,
		.create = remote_create,
	};

	return (replicator_start_to(o, &remote, r_r));
}

void
replicator_wake(struct replicator *r)
{
	OBJ_CHECK(r, REPLICATOR_MAGIC);
	mutex_lock(&r->lock);
	r->look = true;
	(void)pthread_cond_signal(&r->changed);
	mutex_unlock(&r->lock);
}

static void
lists_free(struct replicator *r)
{
	struct replicate_hold *h;
	struct replicate_job *j;

	while ((j = r->ready) != NULL) {
		r->ready = j->next;
		replicate_job_free(&j);
	}
	while ((h = r->holds) != NULL) {
		r->holds = h->next;
		free(h);
	}
}

void
replicator_stop(struct replicator **r_p)
{
	struct replicator *r = *r_p;
	unsigned i;

	*r_p = NULL;
	if (r == NULL)
		return;
	OBJ_CHECK(r, REPLICATOR_MAGIC);
	mutex_lock(&r->lock);
	atomic_store(&r->stop, true);
	(void)pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);
	for (i = 0; i < r->n_threads; i++)
		thread_join(r->threads[i]);
	lists_free(r);
	(void)pthread_cond_destroy(&r->changed);
	(void)pthread_mutex_destroy(&r->lock);
	free(r->threads);
	free(r->marker);
	r->magic = 0;
	free(r);
}
