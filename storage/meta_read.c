#include "storage/meta_env_int.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

/*
 * Readers, one per thread and environment, made at a thread's first read and
 * ended with the thread; and the gate that keeps them out while the map
 * moves (meta_env_int.h tells how).
 */

#define GATE_NAP_NS 20000

static void
reader_unlink(struct meta_reader *r)
{

	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
}

static void
reader_free(struct meta_reader *r)
{

	mdb_txn_abort(r->txn);
	free(r);
}

/* A thread ends. */
static void
reader_gone(void *arg)
{
	struct meta_reader *r = arg;
	struct meta *m = r->m;

	must(!atomic_load(&r->busy));
	mutex_lock(&m->gate.mutex);
	reader_unlink(r);
	reader_free(r);
	mutex_unlock(&m->gate.mutex);
}

/* Under the mutex, so that the map stays where it is. */
static enum rc
reader_new_locked(struct meta *m, struct meta_reader **r_r)
{
	struct meta_gate *g = &m->gate;
	struct meta_reader *r;
	MDB_txn *txn;
	int err;

	if ((err = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn)) != 0) {
		log_error("%s: begin to read: %s", m->path, mdb_strerror(err));
		return (RC_IO);
	}
	mdb_txn_reset(txn);
	if ((r = aligned_alloc(_Alignof(struct meta_reader), sizeof(*r))) ==
	    NULL)
		wrong("out of memory");
	memset(r, 0, sizeof(*r));
	r->m = m;
	r->txn = txn;
	r->next = g->readers;
	r->prev = &g->readers;
	if (r->next != NULL)
		r->next->prev = &r->next;
	g->readers = r;
	must(pthread_setspecific(m->reader_key, r) == 0);

	*r_r = r;
	return (RC_OK);
}

static enum rc
reader_get(struct meta *m, struct meta_reader **r_r)
{
	enum rc rc;

	if ((*r_r = pthread_getspecific(m->reader_key)) != NULL)
		return (RC_OK);
	mutex_lock(&m->gate.mutex);
	rc = reader_new_locked(m, r_r);
	mutex_unlock(&m->gate.mutex);
	return (rc);
}

static void
reader_enter(struct meta_reader *r)
{
	struct meta_gate *g = &r->m->gate;

	/* A read within a read would end the outer one's snapshot. */
	must(!atomic_load_explicit(&r->busy, memory_order_relaxed));
	for (;;) {
		atomic_store(&r->busy, true);
		if (!atomic_load(&g->closed))
			return;
		atomic_store(&r->busy, false);
		mutex_lock(&g->mutex);
		mutex_unlock(&g->mutex);
	}
}

static void
reader_leave(struct meta_reader *r)
{

	atomic_store_explicit(&r->busy, false, memory_order_release);
}

enum rc
meta_read_begin(struct meta *m, struct meta_txn *t)
{
	struct meta_reader *r;
	enum rc rc;
	int err;

	if ((rc = reader_get(m, &r)) != RC_OK)
		return (rc);
	reader_enter(r);
	if ((err = mdb_txn_renew(r->txn)) != 0) {
		reader_leave(r);
		log_error("%s: begin to read: %s", m->path, mdb_strerror(err));
		return (RC_IO);
	}
	*t = (struct meta_txn){ .m = m, .mdb = r->txn, .reader = r };
	return (RC_OK);
}

void
meta_read_end(struct meta_txn *t)
{

	mdb_txn_reset(t->mdb);
	reader_leave(t->reader);
	t->mdb = NULL;
	t->reader = NULL;
}

bool
meta_reading(struct meta *m)
{
	struct meta_reader *r = pthread_getspecific(m->reader_key);

	return (
	    r != NULL && atomic_load_explicit(&r->busy, memory_order_relaxed));
}

void
meta_gate_init(struct meta *m)
{

	mutex_init(&m->gate.mutex);
	must(pthread_key_create(&m->reader_key, reader_gone) == 0);
}

void
meta_gate_free(struct meta *m)
{
	struct meta_reader *r;

	/* Threads that live on find the key gone and are not called. */
	must(pthread_key_delete(m->reader_key) == 0);
	while ((r = m->gate.readers) != NULL) {
		m->gate.readers = r->next;
		reader_free(r);
	}
	must(pthread_mutex_destroy(&m->gate.mutex) == 0);
}

void
meta_gate_close(struct meta *m)
{
	const struct timespec nap = { .tv_nsec = GATE_NAP_NS };
	struct meta_gate *g = &m->gate;
	struct meta_reader *r;

	mutex_lock(&g->mutex);
	atomic_store(&g->closed, true);
	for (r = g->readers; r != NULL; r = r->next) {
		while (atomic_load(&r->busy))
			(void)nanosleep(&nap, NULL);
	}
}

void
meta_gate_open(struct meta *m)
{

	atomic_store(&m->gate.closed, false);
	mutex_unlock(&m->gate.mutex);
}
