#include "storage/commit_int.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/obj.h"
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

enum batch_end { BATCH_DONE, BATCH_GROW, BATCH_FAILED };

static void
ops_set(struct commit_op **ops, size_t n, enum rc rc)
{
	size_t i;

	for (i = 0; i < n; i++)
		ops[i]->rc = rc;
}

static void
commit_fail(struct commit_disk *c, int err, const char *what)
{

	atomic_store(&c->failed, true);
	log_error("%s: %s: %s; what the disk holds is unknown: no more "
		  "changes until a restart",
	    c->m->path, what, mdb_strerror(err));
}

static void
full_tell(struct commit_disk *c, int err)
{

	if (!c->full_told)
		log_error("%s: commit: %s", c->m->path,
		    mdb_strerror(err == EIO ? ENOSPC : err));
	c->full_told = true;
}

/* Is the environment still fit for use after a failed commit? */
static bool
env_usable(struct commit_disk *c)
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
commit_error(struct commit_disk *c, int err, int errno_then)
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
ops_commit(struct commit_disk *c, struct meta_txn *t, enum rc *rc_r)
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
ops_try(struct commit_disk *c, struct commit_op **ops, size_t n, enum rc *rc_r)
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

void
commit_batch(struct commit_disk *c, struct commit_op **ops, size_t n)
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
			commit_batch(c, &ops[i], 1);
		return;
	}
	ops_set(ops, n, rc);
}
