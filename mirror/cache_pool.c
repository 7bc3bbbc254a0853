#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache_int.h"

/*
 * The threads of the cache.  What is to be done stands in lanes, one for each
 * upstream; a thread takes from the lanes in turn, so that a slow upstream
 * with much to do does not keep others waiting, and has no more than its share
 * of the threads.
 *
 * Threads are started when there is more to do than idle ones, and end when
 * they were idle for a while.  One that ends joins those that ended before it,
 * so that at the end there is only the last one to join.
 */
struct lane {
	struct lane *next;
	char *upstream;
	struct pool_job *first[POOL_CLASSES], **last[POOL_CLASSES];
	unsigned running[POOL_CLASSES];
};

struct pool_thread {
	struct pool_thread *next; /* of those that ended */
	struct pool *pool;
	pthread_t id;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work, ended;
	struct lane *lanes; /* the one that was served last is the last */
	size_t queued;
	unsigned running_long;
	unsigned threads, idle;
	struct pool_thread *gone; /* to be joined */
	bool stopping;
};

struct pool *
pool_new(void)
{
	struct pool *p = xcalloc(1, sizeof(*p));

	mutex_init(&p->lock);
	cond_init(&p->work);
	cond_init(&p->ended);
	return (p);
}

/* --- lanes: all with the lock held --------------------------------------- */

static struct lane *
lane_get(struct pool *p, const char *upstream)
{
	struct lane **at = &p->lanes, *l;
	unsigned i;

	for (; (l = *at) != NULL; at = &l->next)
		if (strcmp(l->upstream, upstream) == 0)
			return (l);
	l = xcalloc(1, sizeof(*l));
	l->upstream = xstrdup(upstream);
	for (i = 0; i < POOL_CLASSES; i++)
		l->last[i] = &l->first[i];
	*at = l;
	return (l);
}

static void
lane_unlink(struct pool *p, const struct lane *l)
{
	struct lane **at = &p->lanes;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
}

static void
lane_to_end(struct pool *p, struct lane *l)
{
	struct lane **at;

	lane_unlink(p, l);
	for (at = &p->lanes; *at != NULL; at = &(*at)->next)
		continue;
	l->next = NULL;
	*at = l;
}

static void
lane_free_if_empty(struct pool *p, struct lane *l)
{
	unsigned i;

	for (i = 0; i < POOL_CLASSES; i++)
		if (l->first[i] != NULL || l->running[i] > 0)
			return;
	lane_unlink(p, l);
	free(l->upstream);
	free(l);
}

static struct pool_job *
lane_pop(struct pool *p, struct lane *l, enum pool_class class)
{
	struct pool_job *j = l->first[class];

	if (j == NULL)
		return (NULL);
	l->first[class] = j->next;
	if (j->next == NULL)
		l->last[class] = &l->first[class];
	p->queued--;
	return (j);
}

/* What may be done of that lane now; *${class_r}: as what. */
static struct pool_job *
lane_take(struct pool *p, struct lane *l, enum pool_class *class_r)
{
	unsigned running = l->running[POOL_SHORT] + l->running[POOL_LONG];
	struct pool_job *j;

	if (running >= CACHE_THREADS_OF_UPSTREAM)
		return (NULL);
	*class_r = POOL_SHORT;
	if ((j = lane_pop(p, l, POOL_SHORT)) != NULL)
		return (j);
	if (l->running[POOL_LONG] >= POOL_LONG_OF_UPSTREAM ||
	    p->running_long >= POOL_LONG_THREADS)
		return (NULL);
	*class_r = POOL_LONG;
	return (lane_pop(p, l, POOL_LONG));
}

/* --- threads ------------------------------------------------------------- */

/* With the lock held, which is let go meanwhile.  False: there is nothing. */
static bool
work_one(struct pool *p)
{
	enum pool_class class = POOL_SHORT;
	struct pool_job *j = NULL;
	struct lane *l;

	for (l = p->lanes; l != NULL; l = l->next)
		if ((j = lane_take(p, l, &class)) != NULL)
			break;
	if (j == NULL)
		return (false);
	lane_to_end(p, l);
	l->running[class]++;
	p->running_long += class == POOL_LONG;
	mutex_unlock(&p->lock);

	j->run(j);

	mutex_lock(&p->lock);
	l->running[class]--;
	p->running_long -= class == POOL_LONG;
	lane_free_if_empty(p, l);
	return (true);
}

/* With the lock held.  False: it was idle for long enough. */
static bool
wait_for_work(struct pool *p)
{
	bool woken;

	p->idle++;
	woken = cond_wait_ms(&p->work, &p->lock, POOL_IDLE_MS);
	p->idle--;
	return (woken);
}

static void
threads_join(struct pool_thread *gone)
{
	struct pool_thread *t;

	while ((t = gone) != NULL) {
		gone = t->next;
		thread_join(t->id);
		free(t);
	}
}

static void
pool_main(void *arg)
{
	struct pool_thread *self = arg, *gone;
	struct pool *p = self->pool;
	bool awake = true;

	mutex_lock(&p->lock);
	for (;;) {
		if (work_one(p))
			awake = true;
		else if (p->stopping || !awake)
			break;
		else
			awake = wait_for_work(p);
	}
	gone = p->gone;
	self->next = NULL;
	p->gone = self;
	mutex_unlock(&p->lock);

	threads_join(gone);

	mutex_lock(&p->lock);
	if (--p->threads == 0)
		pthread_cond_broadcast(&p->ended);
	mutex_unlock(&p->lock);
}

/* With the lock held, so that the new one finds its own id.  It counts until
 * it has joined others: the pool is not freed before. */
static enum rc
thread_add(struct pool *p)
{
	struct pool_thread *t = xcalloc(1, sizeof(*t));

	t->pool = p;
	if (thread_start("cache", pool_main, t, &t->id) != RC_OK) {
		free(t);
		return (RC_LIMIT);
	}
	p->threads++;
	return (RC_OK);
}

/* --- what others call ---------------------------------------------------- */

/* With the lock held.  Without any thread nobody would come by. */
static enum rc
pool_admit(struct pool *p)
{
	if (p->stopping)
		return (RC_CANCELLED);
	if (p->queued >= POOL_QUEUE_MAX)
		return (RC_LIMIT);
	if (p->queued >= p->idle && p->threads < CACHE_THREADS &&
	    thread_add(p) != RC_OK && p->threads == 0)
		return (RC_LIMIT);
	return (RC_OK);
}

enum rc
pool_submit(struct pool *p, const char *upstream, enum pool_class class,
    struct pool_job *j)
{
	struct lane *l;
	enum rc rc;

	mutex_lock(&p->lock);
	if ((rc = pool_admit(p)) == RC_OK) {
		l = lane_get(p, upstream);
		j->next = NULL;
		*l->last[class] = j;
		l->last[class] = &j->next;
		p->queued++;
		pthread_cond_signal(&p->work);
	}
	mutex_unlock(&p->lock);
	return (rc);
}

/* All that waits, as one list.  With the lock held. */
static struct pool_job *
queue_take(struct pool *p)
{
	struct pool_job *all = NULL, *j;
	struct lane *l, *next;
	unsigned i;

	for (l = p->lanes; l != NULL; l = next) {
		next = l->next;
		for (i = 0; i < POOL_CLASSES; i++)
			while (
			    (j = lane_pop(p, l, (enum pool_class)i)) != NULL) {
				j->next = all;
				all = j;
			}
		lane_free_if_empty(p, l);
	}
	return (all);
}

void
pool_stop(struct pool *p)
{
	struct pool_job *j, *next;

	mutex_lock(&p->lock);
	p->stopping = true;
	j = queue_take(p);
	pthread_cond_broadcast(&p->work);
	mutex_unlock(&p->lock);
	for (; j != NULL; j = next) {
		next = j->next;
		j->drop(j);
	}
}

void
pool_free(struct pool **p_p)
{
	struct pool *p = *p_p;
	struct pool_thread *gone;

	if (p == NULL)
		return;
	*p_p = NULL;
	mutex_lock(&p->lock);
	must(p->stopping);
	while (p->threads > 0)
		cond_wait(&p->ended, &p->lock);
	gone = p->gone;
	mutex_unlock(&p->lock);
	threads_join(gone);
	must(p->lanes == NULL);
	must(pthread_cond_destroy(&p->ended) == 0);
	must(pthread_cond_destroy(&p->work) == 0);
	must(pthread_mutex_destroy(&p->lock) == 0);
	free(p);
}
