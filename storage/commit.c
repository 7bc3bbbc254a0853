#include "storage/commit_int.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/meta_env_int.h"

/*
 * What can go wrong with a commit, and what is left then:
 *
 *	the map is full		grow it, run the batch again
 *	the disk is full	the transaction is gone, the environment is
 *				as before; changes run again one by one, so
 *				that one large one does not take others along
 *	a sync failed		the kernel may have dropped pages that it had
 *				taken, and the next sync would "succeed": the
 *				store has failed, for good
 *	the root page could	LMDB refuses all further work (MDB_PANIC): the
 *	not be written		same
 *
 * LMDB gives EIO when a write was cut short by a full disk; errno, cleared
 * before, is then still clear.  And since a sync that fails for want of space
 * exists too (thin provisioning, network filesystems), a second descriptor
 * of the same file is asked: the kernel tells each descriptor once of a
 * writeback that failed.
 */

struct commit_op {
	struct commit_op *next;
	meta_change_fn *fn;
	void *arg;
	void (*release)(void *); /* a post, on the heap: nobody waits */
	size_t weight_bytes;
	enum rc rc;
	_Atomic uint32_t done; /* a futex; the last that is touched */
};

#define COMMIT_MAGIC 0x436f6d6d

struct commit {
	uint32_t magic;
	struct meta *m;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct commit_op *first, **last; /* the queue */
	size_t n_waited, n_posts;	 /* in the queue */
	int64_t posted_ns;		 /* since when the oldest post waits */
	bool pulled_wanted;
	bool stop;

	_Atomic bool failed;
	_Atomic uint64_t queue, commits, ops;

	/* The thread's own. */
	int64_t pulled_ns; /* when the pulls were written last */
	struct commit_op pulled_op;
	bool full_told; /* the log knows that the disk is full */
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

/* The batch in LMDB. */

enum batch_end { BATCH_DONE, BATCH_GROW, BATCH_FAILED };

struct batch {
	struct commit_op *ops[COMMIT_BATCH_OPS + 1];
	size_t n;
};

static void
ops_set(struct commit_op **ops, size_t n, enum rc rc)
{
	size_t i;

	for (i = 0; i < n; i++)
		ops[i]->rc = rc;
}

static void
commit_fail(struct commit *c, int err, const char *what)
{

	atomic_store(&c->failed, true);
	log_error("%s: %s: %s; what the disk holds is unknown: no more "
		  "changes until a restart",
	    c->m->path, what, mdb_strerror(err));
}

static void
full_tell(struct commit *c, int err)
{

	if (!c->full_told)
		log_error("%s: commit: %s", c->m->path,
		    mdb_strerror(err == EIO ? ENOSPC : err));
	c->full_told = true;
}

/* Is the environment still fit for use after a failed commit? */
static bool
env_usable(struct commit *c)
{
	MDB_txn *txn;
	int err;

	if (fdatasync(c->m->witness_fd) != 0) {
		commit_fail(c, errno, "sync");
		return (false);
	}
	if ((err = mdb_txn_begin(c->m->env, NULL, 0, &txn)) != 0) {
		commit_fail(c, err, "commit");
		return (false);
	}
	mdb_txn_abort(txn);
	return (true);
}

static enum rc
commit_error(struct commit *c, int err, int errno_then)
{
	bool cut_short = err == EIO && errno_then == 0;

	if (!env_usable(c))
		return (RC_IO);
	if (cut_short || err == ENOSPC || err == EDQUOT || err == EFBIG) {
		full_tell(c, err);
		return (RC_NOSPACE);
	}
	switch (err) {
	case EROFS:
		log_error("%s: commit: %s", c->m->path, mdb_strerror(err));
		return (RC_READONLY);
	case MDB_TXN_FULL:
	case ENOMEM:
		log_error("%s: commit: %s", c->m->path, mdb_strerror(err));
		return (RC_TOOBIG);
	default:
		commit_fail(c, err, "commit");
		return (RC_IO);
	}
}

static bool
op_run_child(struct meta_txn *t, struct commit_op *op)
{
	struct meta_counts before = *t->counts;
	MDB_txn *parent = t->mdb, *child;
	int err;

	if ((err = mdb_txn_begin(t->m->env, parent, 0, &child)) != 0) {
		op->rc = meta_rc(t, err, "begin to change");
		return (false);
	}
	t->mdb = child;
	op->rc = op->fn(t, op->arg);
	if (op->rc == RC_OK) {
		op->rc = meta_rc(t, mdb_txn_commit(child), "change");
	} else {
		mdb_txn_abort(child);
	}
	if (op->rc != RC_OK)
		*t->counts = before;
	t->mdb = parent;
	return (op->rc == RC_OK);
}

/* Run the changes; how many are there to be committed? */
static size_t
ops_run(struct meta_txn *t, struct commit_op **ops, size_t n)
{
	size_t i, n_ok = 0;

	if (n == 1) {
		ops[0]->rc = ops[0]->fn(t, ops[0]->arg);
		return (ops[0]->rc == RC_OK ? 1 : 0);
	}
	for (i = 0; i < n && !t->map_full; i++)
		n_ok += op_run_child(t, ops[i]) ? 1 : 0;
	return (n_ok);
}

static enum rc
counts_write(struct meta_txn *t)
{
	struct span key = SPAN("counts");
	uint8_t value[REC_COUNTS_BYTES];

	if (memcmp(t->counts, &t->m->counts, sizeof(*t->counts)) == 0)
		return (RC_OK);
	rec_counts_write(t->counts, value);
	return (kv_put(t, TABLE_REGISTRY, key,
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum batch_end
ops_commit(struct commit *c, struct meta_txn *t, enum rc *rc_r)
{
	int err;

	if ((*rc_r = counts_write(t)) != RC_OK) {
		mdb_txn_abort(t->mdb);
		return (t->map_full ? BATCH_GROW : BATCH_FAILED);
	}
	errno = 0;
	if ((err = mdb_txn_commit(t->mdb)) == 0) {
		c->m->counts = *t->counts;
		atomic_fetch_add(&c->commits, 1);
		if (c->full_told)
			log_info("%s: commits succeed again", c->m->path);
		c->full_told = false;
		return (BATCH_DONE);
	}
	if (err == MDB_MAP_FULL)
		return (BATCH_GROW);
	*rc_r = commit_error(c, err, errno);
	return (BATCH_FAILED);
}

/* Once through; the answers stand in the ops with BATCH_DONE only. */
static enum batch_end
ops_try(struct commit *c, struct commit_op **ops, size_t n, enum rc *rc_r)
{
	struct meta_counts counts = c->m->counts;
	struct meta_txn t = { .m = c->m, .counts = &counts };
	size_t n_ok;
	int err;

	if ((err = mdb_txn_begin(c->m->env, NULL, 0, &t.mdb)) != 0) {
		*rc_r = RC_IO;
		commit_fail(c, err, "begin to change");
		return (BATCH_FAILED);
	}
	n_ok = ops_run(&t, ops, n);
	if (t.map_full || n_ok == 0) {
		mdb_txn_abort(t.mdb);
		return (t.map_full ? BATCH_GROW : BATCH_DONE);
	}
	return (ops_commit(c, &t, rc_r));
}

/* LMDB gives the old map up before it asks for the new one; so ask first. */
static bool
address_space_ok(uint64_t n_bytes)
{
	void *p;

	if (n_bytes > SIZE_MAX)
		return (false);
	p = mmap(NULL, n_bytes, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return (false);
	(void)munmap(p, n_bytes);
	return (true);
}

static bool
map_grow(struct meta *m)
{
	uint64_t n_bytes = 2 * m->map_bytes;
	int err;

	if (n_bytes < m->map_bytes || !address_space_ok(n_bytes)) {
		log_error("%s: no address space for a map of %llu bytes",
		    m->path, (unsigned long long)n_bytes);
		return (false);
	}
	meta_gate_close(m);
	if ((err = mdb_env_set_mapsize(m->env, n_bytes)) != 0 &&
	    mdb_env_set_mapsize(m->env, m->map_bytes) != 0)
		wrong("the map is lost");
	meta_gate_open(m);
	if (err != 0) {
		log_error("%s: map of %llu bytes: %s", m->path,
		    (unsigned long long)n_bytes, mdb_strerror(err));
		return (false);
	}
	m->map_bytes = n_bytes;
	log_info("%s: the map has grown to %llu MiB", m->path,
	    (unsigned long long)(n_bytes >> 20));
	return (true);
}

static void
ops_do(struct commit *c, struct commit_op **ops, size_t n)
{
	enum rc rc = RC_IO;
	enum batch_end end;
	size_t i;

	if (atomic_load(&c->failed)) {
		ops_set(ops, n, RC_IO);
		return;
	}
	while ((end = ops_try(c, ops, n, &rc)) == BATCH_GROW) {
		if (!map_grow(c->m)) {
			rc = RC_NOSPACE;
			end = BATCH_FAILED;
			break;
		}
	}
	if (end == BATCH_DONE)
		return;
	if (n > 1 && (rc == RC_NOSPACE || rc == RC_TOOBIG)) {
		for (i = 0; i < n; i++)
			ops_do(c, &ops[i], 1);
		return;
	}
	ops_set(ops, n, rc);
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
	if ((notes = pulled_take(c->m->pulled, COMMIT_PULLED_BATCH)) == NULL)
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
		pulled_return(c->m->pulled, c->pulled_op.arg);
		return (false);
	}
	pulled_drop(c->pulled_op.arg);
	return (pulled_any(c->m->pulled));
}

static bool
batch_do(struct commit *c, struct batch *b, bool pulled_wanted)
{
	bool more;
	size_t i;

	pulled_join(c, b, pulled_wanted);
	if (b->n > 0)
		ops_do(c, b->ops, b->n);
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

	if (atomic_load(&c->failed))
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
	if (atomic_load(&c->failed))
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

	return (atomic_load(&c->failed));
}

void
commit_figures(const struct commit *c, struct commit_figures *f)
{

	f->queue = atomic_load(&c->queue);
	f->commits = atomic_load(&c->commits);
	f->ops = atomic_load(&c->ops);
}

enum rc
commit_start(struct meta *m, struct commit **c_r)
{
	struct commit *c = xcalloc(1, sizeof(*c));
	enum rc rc;

	c->magic = COMMIT_MAGIC;
	c->m = m;
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
