#include "registryd/net/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define WORKERS_MAGIC 0x576f726bu

/* An ended thread waits here for whoever joins it next. */
struct worker {
	struct worker *next;
	struct workers *workers;
	pthread_t thread;
};

struct workers {
	unsigned magic;
	struct workers_config config;
	pthread_mutex_t lock; /* of all below, and of lanes */
	pthread_cond_t work;  /* something is queued, or stop */
	pthread_cond_t gone;  /* a thread has ended */
	struct job *first, **end;
	unsigned queued;
	unsigned threads, idle;
	bool stop;
	struct worker *ended;
};

static struct job *
queue_take(struct workers *w)
{
	struct job *j = w->first;

	if (j == NULL)
		return (NULL);
	w->first = j->next;
	if (w->first == NULL)
		w->end = &w->first;
	w->queued--;
	return (j);
}

static void
queue_add(struct workers *w, struct job *j)
{
	j->next = NULL;
	*w->end = j;
	w->end = &j->next;
	w->queued++;
}

/* Wait for a job; NULL: this thread is to end.  The lock is held. */
static struct job *
worker_wait(struct workers *w)
{
	struct job *j;
	bool woken;

	while ((j = queue_take(w)) == NULL) {
		if (w->stop)
			return (NULL);
		w->idle++;
		woken = cond_wait_ms(&w->work, &w->lock, w->config.idle_ms);
		w->idle--;
		if (!woken && w->first == NULL && w->threads > 1)
			return (NULL);
	}
	return (j);
}

/* A lane's turn has no after(): the lane may be gone when fn() returns. */
static void
job_run(struct job *j)
{
	void (*after)(void *) = j->after;

	j->fn(j->arg);
	if (after != NULL)
		after(j->arg);
}

static void
worker_main(void *arg)
{
	struct worker *me = arg;
	struct workers *w = me->workers;
	struct job *j;

	OBJ_CHECK(w, WORKERS_MAGIC);
	if (w->config.background)
		thread_step_back();
	mutex_lock(&w->lock);
	while ((j = worker_wait(w)) != NULL) {
		mutex_unlock(&w->lock);
		job_run(j);
		mutex_lock(&w->lock);
	}
	w->threads--;
	me->next = w->ended;
	w->ended = me;
	pthread_cond_signal(&w->gone);
	mutex_unlock(&w->lock);
}

/* Join those that ended.  The lock is held, and is free in between. */
static void
workers_reap(struct workers *w)
{
	struct worker *dead;

	while ((dead = w->ended) != NULL) {
		w->ended = dead->next;
		mutex_unlock(&w->lock);
		thread_join(dead->thread);
		free(dead);
		mutex_lock(&w->lock);
	}
}

/* One more thread.  The lock is held, and is free in between. */
static enum rc
workers_grow(struct workers *w)
{
	struct worker *new;
	enum rc rc;

	w->threads++;
	workers_reap(w);
	mutex_unlock(&w->lock);
	new = xcalloc(1, sizeof(*new));
	new->workers = w;
	rc = thread_start(w->config.name, worker_main, new, &new->thread);
	mutex_lock(&w->lock);
	if (rc != RC_OK) {
		w->threads--;
		free(new);
	}
	return (rc);
}

enum rc
workers_new(const struct workers_config *config, struct workers **w_r)
{
	struct workers *w = xcalloc(1, sizeof(*w));
	enum rc rc;

	must(config->max >= 1);
	w->magic = WORKERS_MAGIC;
	w->config = *config;
	w->end = &w->first;
	mutex_init(&w->lock);
	cond_init(&w->work);
	cond_init(&w->gone);
	mutex_lock(&w->lock);
	rc = workers_grow(w);
	mutex_unlock(&w->lock);
	if (rc != RC_OK)
		workers_free(&w);
	*w_r = w;
	return (rc);
}

void
workers_free(struct workers **wp)
{
	struct workers *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	OBJ_CHECK(w, WORKERS_MAGIC);
	mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	while (w->threads > 0)
		cond_wait(&w->gone, &w->lock);
	workers_reap(w);
	mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->gone);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	w->magic = 0;
	free(w);
}

/* Somebody has to take what was just queued.  The lock is held. */
static void
workers_wake(struct workers *w)
{
	if (w->idle >= w->queued)
		pthread_cond_signal(&w->work);
	else if (w->threads < w->config.max)
		(void)workers_grow(w); /* the others will come to it */
	else if (w->idle > 0)
		pthread_cond_signal(&w->work);
}

void
workers_submit(struct workers *w, struct job *j)
{
	OBJ_CHECK(w, WORKERS_MAGIC);
	mutex_lock(&w->lock);
	queue_add(w, j);
	workers_wake(w);
	mutex_unlock(&w->lock);
}

void
workers_resize(struct workers *w, unsigned max)
{
	must(max >= 1);
	mutex_lock(&w->lock);
	w->config.max = max;
	mutex_unlock(&w->lock);
}

unsigned
workers_queued(struct workers *w)
{
	unsigned n;

	mutex_lock(&w->lock);
	n = w->queued;
	mutex_unlock(&w->lock);
	return (n);
}

/*
 * One job of the lane, then to the end of the queue.  The lane is left alone
 * before the job's owner hears of it.
 */
static void
lane_turn(void *arg)
{
	struct lane *l = arg;
	struct workers *w = l->workers;
	struct job *j = l->first;

	j->fn(j->arg);
	mutex_lock(&w->lock);
	l->first = j->next;
	if (l->first == NULL) {
		l->end = &l->first;
		l->running = false;
	} else {
		queue_add(w, &l->turn);
		workers_wake(w);
	}
	mutex_unlock(&w->lock);
	if (j->after != NULL)
		j->after(j->arg);
}

void
lane_init(struct lane *l, struct workers *w)
{
	l->workers = w;
	l->first = NULL;
	l->end = &l->first;
	l->turn = (struct job){ .fn = lane_turn, .arg = l };
	l->running = false;
}

void
lane_submit(struct lane *l, struct job *j)
{
	struct workers *w = l->workers;

	OBJ_CHECK(w, WORKERS_MAGIC);
	mutex_lock(&w->lock);
	j->next = NULL;
	*l->end = j;
	l->end = &j->next;
	if (!l->running) {
		l->running = true;
		queue_add(w, &l->turn);
		workers_wake(w);
	}
	mutex_unlock(&w->lock);
}
