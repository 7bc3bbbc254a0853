#include "storage/commit_int.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/meta_env_int.h"

/*
 * The queue and its thread; commit_batch.c does what a batch asks for.
 */

#define COMMIT_MAGIC 0x436f6d6d

struct commit {
	uint32_t magic;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct commit_op *first, **last; /* the queue */
	size_t n_waited, n_posts;	 /* in the queue */
	int64_t posted_ns;		 /* since when the oldest post waits */
	bool pulled_wanted;
	bool stop;

	_Atomic uint64_t queue, ops;
	struct commit_disk disk;

	/* The thread's own. */
	int64_t pulled_ns; /* when the pulls were written last */
	struct commit_op pulled_op;
};

/* What the thread takes at once, and the pulls. */
struct batch {
	struct commit_op *ops[COMMIT_BATCH_OPS + 1];
	size_t n;
};

/* Waiting for one's own answer. */

static void
op_wait(struct commit_op *op)
{

	while (atomic_load_explicit(&op->done, memory_order_acquire) == 0)
		(void)syscall(
		    SYS_futex, &op->done, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void
op_answer(struct commit_op *op)
{
	void (*release)(void *) = op->release;

	if (release != NULL) {
		release(op->arg);
		free(op);
		return;
	}
	/* The waiter may be gone, and its stack with it, once it sees this;
	 * waking an address that nobody waits at harms nobody. */
	atomic_store_explicit(&op->done, 1, memory_order_release);
	(void)syscall(
	    SYS_futex, &op->done, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The queue. */

static void
queue_add_locked(struct commit *c, struct commit_op *op)
{

	op->next = NULL;
	*c->last = op;
	c->last = &op->next;
	if (op->release == NULL)
		c->n_waited++;
	else if (c->n_posts++ == 0)
		c->posted_ns = clock_mono_ns();
	atomic_store_explicit(
	    &c->queue, c->n_waited + c->n_posts, memory_order_relaxed);
}

static struct commit_op *
queue_take_locked(struct commit *c)
{
	struct commit_op *op = c->first;

	if ((c->first = op->next) == NULL)
		c->last = &c->first;
	if (op->release == NULL)
		c->n_waited--;
	else
		c->n_posts--;
	return (op);
}

static void
batch_take_locked(struct commit *c, struct batch *b)
{
	size_t weight = 0;

	b->n = 0;
	while (c->first != NULL && b->n < COMMIT_BATCH_OPS &&
	       (b->n == 0 ||
		   weight + c->first->weight_bytes <= COMMIT_BATCH_BYTES)) {
		weight += c->first->weight_bytes;
		b->ops[b->n++] = queue_take_locked(c);
	}
	atomic_store_explicit(
	    &c->queue, c->n_waited + c->n_posts, memory_order_relaxed);
}

/*
 * How long the thread may sleep, 0 if there is work.  Posts wait a little for
 * somebody who waits, since then they cost no sync of their own.
 */
static long
rest_ms_locked(const struct commit *c)
{
	int64_t now = clock_mono_ns();
	int64_t until;

	if (c->stop || c->n_waited > 0 || c->pulled_wanted ||
	    c->n_posts >= COMMIT_BATCH_OPS)
		return (0);
	until = c->pulled_ns + COMMIT_PULLED_MAX_MS * INT64_C(1000000);
	if (c->n_posts > 0 &&
	    until > c->posted_ns + COMMIT_POST_DELAY_MS * INT64_C(1000000))
		until = c->posted_ns + COMMIT_POST_DELAY_MS * INT64_C(1000000);
	return (until <= now ? 0 : (long)((until - now) / 1000000 + 1));
}

/* Wait for work and take it.  False: nothing left to do, for ever. */
static bool
batch_wait(struct commit *c, struct batch *b, bool *pulled_r)
{
	bool last;
	long ms;

	mutex_lock(&c->mutex);
	while ((ms = rest_ms_locked(c)) > 0)
		(void)cond_wait_ms(&c->wake, &c->mutex, ms);
	batch_take_locked(c, b);
	*pulled_r = c->pulled_wanted;
	c->pulled_wanted = false;
	last = c->stop && b->n == 0;
	mutex_unlock(&c->mutex);
	return (!last);
}

/* The pulls ride along with a commit that happens anyway, if they have
 * not done so just now. */
static void
pulled_join(struct commit *c, struct batch *b, bool wanted)
{
	int64_t now = clock_mono_ns();
	int64_t age_ms = (now - c->pulled_ns) / 1000000;
	struct pulled_note *notes;

	if (!wanted &&
	    age_ms < (b->n > 0 ? COMMIT_PULLED_MIN_MS : COMMIT_PULLED_MAX_MS))
		return;
	c->pulled_ns = now;
	if ((notes = pulled_take(c->disk.m->pulled, COMMIT_PULLED_BATCH)) ==
	    NULL)
		return;
	c->pulled_op = (struct commit_op){ .fn = pulled_write, .arg = notes };
	b->ops[b->n++] = &c->pulled_op;
}

/* Returns whether there are more to be written at once. */
static bool
pulled_leave(struct commit *c, struct batch *b)
{

	if (b->n == 0 || b->ops[b->n - 1] != &c->pulled_op)
		return (false);
	b->n--;
	if (c->pulled_op.rc != RC_OK) {
		pulled_return(c->disk.m->pulled, c->pulled_op.arg);
		return (false);
	}
	pulled_drop(c->disk.m->pulled, c->pulled_op.arg);
	return (pulled_any(c->disk.m->pulled));
}

static bool
batch_do(struct commit *c, struct batch *b, bool pulled_wanted)
{
	bool more;
	size_t i;

	pulled_join(c, b, pulled_wanted);
	if (b->n > 0)
		commit_batch(&c->disk, b->ops, b->n);
	more = pulled_leave(c, b);
	atomic_fetch_add_explicit(&c->ops, b->n, memory_order_relaxed);
	for (i = 0; i < b->n; i++)
		op_answer(b->ops[i]);
	return (more);
}

static void
commit_thread(void *arg)
{
	struct commit *c = arg;
	struct batch b;
	bool pulled, more;

	OBJ_CHECK(c, COMMIT_MAGIC);
	while (batch_wait(c, &b, &pulled)) {
		if (batch_do(c, &b, pulled))
			commit_pulled(c);
	}
	do {
		b.n = 0;
		more = batch_do(c, &b, true);
	} while (more);
}

/* The doors. */

enum rc
commit_run(struct commit *c, meta_change_fn *fn, void *arg, size_t weight_bytes)
{
	struct commit_op op = {
		.fn = fn, .arg = arg, .weight_bytes = weight_bytes
	};

	if (atomic_load(&c->disk.failed))
		return (RC_IO);
	mutex_lock(&c->mutex);
	must(!c->stop);
	queue_add_locked(c, &op);
	pthread_cond_signal(&c->wake);
	mutex_unlock(&c->mutex);
	op_wait(&op);
	return (op.rc);
}

enum rc
commit_post(
    struct commit *c, meta_change_fn *fn, void *arg, void (*release)(void *))
{
	struct commit_op *op;
	enum rc rc = RC_BUSY;

	must(release != NULL);
	if (atomic_load(&c->disk.failed))
		return (RC_IO);
	op = xcalloc(1, sizeof(*op));
	op->fn = fn;
	op->arg = arg;
	op->release = release;

	mutex_lock(&c->mutex);
	must(!c->stop);
	if (c->n_posts < COMMIT_POSTS_MAX) {
		queue_add_locked(c, op);
		pthread_cond_signal(&c->wake);
		rc = RC_OK;
	}
	mutex_unlock(&c->mutex);
	if (rc != RC_OK)
		free(op);
	return (rc);
}

void
commit_pulled(struct commit *c)
{

	mutex_lock(&c->mutex);
	c->pulled_wanted = true;
	pthread_cond_signal(&c->wake);
	mutex_unlock(&c->mutex);
}

bool
commit_failed(const struct commit *c)
{

	return (atomic_load(&c->disk.failed));
}

void
commit_figures(const struct commit *c, struct commit_figures *f)
{

	f->queue = atomic_load(&c->queue);
	f->commits = atomic_load(&c->disk.commits);
	f->ops = atomic_load(&c->ops);
}

enum rc
commit_start(struct meta *m, struct commit **c_r)
{
	struct commit *c = xcalloc(1, sizeof(*c));
	enum rc rc;

	c->magic = COMMIT_MAGIC;
	c->disk.m = m;
	c->last = &c->first;
	c->pulled_ns = clock_mono_ns();
	mutex_init(&c->mutex);
	cond_init(&c->wake);
	rc = thread_start("commit", commit_thread, c, &c->thread);
	if (rc != RC_OK)
		goto err0;

	*c_r = c;
	return (RC_OK);

err0:
	must(pthread_cond_destroy(&c->wake) == 0);
	must(pthread_mutex_destroy(&c->mutex) == 0);
	free(c);
	return (rc);
}

void
commit_stop(struct commit **c_r)
{
	struct commit *c = *c_r;

	if (c == NULL)
		return;
	OBJ_CHECK(c, COMMIT_MAGIC);
	mutex_lock(&c->mutex);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	mutex_unlock(&c->mutex);
	thread_join(c->thread);
	must(pthread_cond_destroy(&c->wake) == 0);
	must(pthread_mutex_destroy(&c->mutex) == 0);
	c->magic = 0;
	free(c);
	*c_r = NULL;
}
