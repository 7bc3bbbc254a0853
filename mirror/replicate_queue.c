#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "mirror/replicate_int.h"

/*
 * A look goes through all that is due, the oldest first, and takes what may be
 * tried now.  What may not stands in the way: tasks of a destination that is
 * away, of which there may be many, are passed over each time; therefore a look
 * that passed over many is not followed by another one at once.
 */
#define PAGE_TASKS 256
#define PAGE_ARENA_BYTES ((size_t)4 << 20)
#define JOB_ARENA_BYTES ((size_t)16 << 10)
#define READY_MAX 64
#define SKIPPED_MANY 1000
#define PAUSE_NS INT64_C(1000000000)
/* At the latest: the clock may have been set. */
#define LOOK_MS 30000
#define HOLD_MAX_MS 60000

/* --- destinations that are away ------------------------------------------ */

static struct replicate_hold *
hold_find(struct replicator *r, struct span destination)
{
	struct replicate_hold *h;

	for (h = r->holds; h != NULL; h = h->next)
		if (span_is(destination, h->destination))
			return (h);
	return (NULL);
}

bool
replicate_is_held(struct replicator *r, struct span destination)
{
	const struct replicate_hold *h = hold_find(r, destination);

	return (h != NULL && h->until_ms > clock_real_ms());
}

static int64_t
hold_ms(unsigned failures)
{
	int64_t ms = 1000;

	while (failures-- > 1 && ms < HOLD_MAX_MS)
		ms *= 2;
	return (ms < HOLD_MAX_MS ? ms : HOLD_MAX_MS);
}

static struct replicate_hold *
hold_new(struct replicator *r, struct span destination)
{
	struct replicate_hold *h = xcalloc(1, sizeof(*h));

	(void)snprintf(h->destination, sizeof(h->destination), SPAN_FMT,
	    SPAN_ARG(destination));
	h->next = r->holds;
	r->holds = h;
	return (h);
}

void
replicate_hold(struct replicator *r, struct span destination, const char *why,
    int64_t at_least_ms)
{
	struct replicate_hold *h;
	int64_t now_ms = clock_real_ms(), ms;

	mutex_lock(&r->lock);
	if ((h = hold_find(r, destination)) == NULL)
		h = hold_new(r, destination);
	/* Several that were under way fail together. */
	if (h->until_ms <= now_ms) {
		ms = hold_ms(++h->failures);
		h->until_ms = now_ms + (ms > at_least_ms ? ms : at_least_ms);
	}
	(void)snprintf(h->why, sizeof(h->why), "%s", why);
	mutex_unlock(&r->lock);
}

void
replicate_unhold(struct replicator *r, struct span destination)
{
	struct replicate_hold **at, *h;

	mutex_lock(&r->lock);
	for (at = &r->holds; (h = *at) != NULL; at = &h->next)
		if (span_is(destination, h->destination)) {
			*at = h->next;
			free(h);
			r->look = true;
			break;
		}
	mutex_unlock(&r->lock);
}

/* --- looking ------------------------------------------------------------- */

struct look {
	struct replicator *r;
	int64_t now_ms, next_ms;
	size_t skipped;
};

static bool
same_lane(const struct replication_task *a, const struct replication_task *b)
{
	return (span_eq(a->repository, b->repository) &&
		span_eq(a->destination, b->destination));
}

static bool
lane_busy(const struct replicator *r, const struct replication_task *task)
{
	const struct replicate_job *j;

	for (j = r->ready; j != NULL; j = j->next)
		if (same_lane(&j->task, task))
			return (true);
	for (j = r->running; j != NULL; j = j->next)
		if (same_lane(&j->task, task))
			return (true);
	return (false);
}

/* One that has failed is tried with one task at first. */
static bool
destination_busy(const struct replicator *r, struct span destination)
{
	const struct replicate_job *j;

	for (j = r->ready; j != NULL; j = j->next)
		if (span_eq(j->task.destination, destination))
			return (true);
	for (j = r->running; j != NULL; j = j->next)
		if (span_eq(j->task.destination, destination))
			return (true);
	return (false);
}

void
replicate_job_free(struct replicate_job **j_p)
{
	struct replicate_job *j = *j_p;

	*j_p = NULL;
	if (j == NULL)
		return;
	arena_reset(&j->arena);
	free(j);
}

static void
job_add(struct replicator *r, const struct replication_task *task,
    const struct replicate_hold *hold)
{
	struct replicate_job *j = xcalloc(1, sizeof(*j));

	arena_init(&j->arena, JOB_ARENA_BYTES);
	j->task = *task;
	j->task.repository = arena_span(&j->arena, task->repository);
	j->task.tag = arena_span(&j->arena, task->tag);
	j->task.destination = arena_span(&j->arena, task->destination);
	if (hold != NULL) {
		j->hopeless = true;
		(void)snprintf(j->why, sizeof(j->why), "%s", hold->why);
	}
	*r->ready_tail = j;
	r->ready_tail = &j->next;
	r->n_ready++;
}

/* Under the lock.  False: there are enough. */
static bool
task_look(struct look *l, const struct replication_task *task)
{
	struct replicator *r = l->r;
	const struct replicate_hold *h;
	bool away;

	if (r->n_ready == READY_MAX)
		return (false);
	h = hold_find(r, task->destination);
	away = h != NULL && h->until_ms > l->now_ms;
	if (away && h->until_ms < l->next_ms)
		l->next_ms = h->until_ms;
	if (away && l->now_ms - task->queued_ms > r->o.give_up_ms &&
	    task->attempts > 0 && !lane_busy(r, task))
		job_add(r, task, h);
	else if (away || lane_busy(r, task) ||
		 (h != NULL && destination_busy(r, task->destination)))
		l->skipped++;
	else
		job_add(r, task, NULL);
	return (true);
}

static enum rc
page_look(struct look *l, int64_t *after_ms, uint64_t *after_id, bool *more_r)
{
	struct replication_task *tasks = NULL;
	struct arena a;
	size_t i, n = 0;
	enum rc rc;

	*more_r = false;
	arena_init(&a, PAGE_ARENA_BYTES);
	rc = meta_replication_page(store_meta(l->r->o.store), *after_ms,
	    *after_id, l->now_ms, PAGE_TASKS, &a, &tasks, &n);
	mutex_lock(&l->r->lock);
	for (i = 0; rc == RC_OK && i < n; i++) {
		if (!task_look(l, &tasks[i]))
			break;
		*after_ms = tasks[i].due_ms;
		*after_id = tasks[i].id;
	}
	*more_r = rc == RC_OK && n > 0 && i == n;
	mutex_unlock(&l->r->lock);
	arena_reset(&a);
	return (rc);
}

/* When the next one is due that is not yet. */
static void
next_look(struct look *l)
{
	struct replication_task *tasks = NULL;
	struct arena a;
	size_t n = 0;

	arena_init(&a, PAGE_ARENA_BYTES);
	if (meta_replication_page(store_meta(l->r->o.store), l->now_ms,
		UINT64_MAX, INT64_MAX, 1, &a, &tasks, &n) == RC_OK &&
	    n > 0 && tasks[0].due_ms < l->next_ms)
		l->next_ms = tasks[0].due_ms;
	arena_reset(&a);
}

void
replicate_look(struct replicator *r)
{
	struct look l = { .r = r, .now_ms = clock_real_ms() };
	int64_t after_ms = 0;
	uint64_t after_id = 0;
	bool more = true;
	enum rc rc = RC_OK;

	l.next_ms = l.now_ms + LOOK_MS;
	while (more && !atomic_load(&r->stop))
		rc = page_look(&l, &after_ms, &after_id, &more);
	if (rc != RC_OK)
		log_warn(
		    "replication: the queue cannot be read: %s", rc_text(rc));
	else
		next_look(&l);
	mutex_lock(&r->lock);
	r->skipped = l.skipped;
	r->next_ms = l.next_ms;
	r->look_ns = l.skipped > SKIPPED_MANY ? clock_mono_ns() + PAUSE_NS : 0;
	mutex_unlock(&r->lock);
}
