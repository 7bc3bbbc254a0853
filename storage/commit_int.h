#ifndef STORAGE_COMMIT_INT_H
#define STORAGE_COMMIT_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "storage/meta_int.h"

/*
 * Group commit.  One thread holds the only write transaction.  It takes what
 * has queued up while the disk was busy with the batch before, runs each
 * change in a child transaction, so that one that fails spoils no other,
 * commits once, and answers all: many pushes share one sync, and a single one
 * waits for nobody.
 *
 * Changes run in the order in which they were handed in.
 */
struct commit;

#define COMMIT_BATCH_OPS 256
#define COMMIT_BATCH_BYTES (8u << 20) /* of large values in one batch */
#define COMMIT_POSTS_MAX 4096	      /* queued, that nobody waits for */
#define COMMIT_POST_DELAY_MS 100      /* they wait so long for company */
#define COMMIT_PULLED_MIN_MS 1000     /* between two writings of pulls, */
#define COMMIT_PULLED_MAX_MS 30000    /* and at most */
#define COMMIT_PULLED_BATCH 4096      /* of them at once */

/** commit_start(m, c_r): RC_LIMIT: no thread to be had. */
RC_MUST_USE enum rc commit_start(struct meta *, struct commit **c_r);
/** commit_stop(c): do what is queued, write the pulls, end.  Takes NULL. */
void commit_stop(struct commit **);

/** commit_run(c, fn, arg, weight_bytes): as meta_change(). */
RC_MUST_USE enum rc commit_run(
    struct commit *c, meta_change_fn *fn, void *arg, size_t weight_bytes);

/** commit_post(c, fn, arg, release): queue and return; ${release}(${arg})
 * is called when it is done or has failed, but not when this gives RC_BUSY:
 * the queue is full, or RC_IO.  Never waits. */
RC_MUST_USE enum rc commit_post(
    struct commit *c, meta_change_fn *fn, void *arg, void (*release)(void *));

/** commit_pulled(c): write the pulls soon.  Never waits. */
void commit_pulled(struct commit *);

bool commit_failed(const struct commit *);

struct commit_figures {
	uint64_t queue, commits, ops;
};
void commit_figures(const struct commit *, struct commit_figures *);

/* Between commit.c and commit_batch.c. */

struct commit_op {
	struct commit_op *next;
	meta_change_fn *fn;
	void *arg;
	void (*release)(void *); /* a post, on the heap: nobody waits */
	size_t weight_bytes;
	enum rc rc;
	_Atomic uint32_t done; /* a futex; the last that is touched */
};

/* The thread's own, but for what is atomic. */
struct commit_disk {
	struct meta *m;
	_Atomic bool failed;
	_Atomic uint64_t commits;
	bool full_told; /* the log knows that the disk is full */
};

/** commit_batch(c, ops, n): run them in order, commit, fill in .rc. */
void commit_batch(struct commit_disk *, struct commit_op **ops, size_t n);

#endif
