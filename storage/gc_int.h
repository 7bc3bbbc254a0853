#ifndef STORAGE_GC_INT_H
#define STORAGE_GC_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/name.h"
#include "storage/collect_int.h"

/*
 * What the collector's files share, gc*.c.
 */

/* A step through a queue, in batches. */
struct gc_batch {
	enum meta_table table;
	/** gather(g, w, b): take the row of ${w} in, as number b->n; or not.
	 * b->last: nothing behind it is due. */
	enum rc (*gather)(struct gc *, struct kv_walk *, struct gc_batch *);
	/** act(g, b): with b->n rows, at least one. */
	enum rc (*act)(struct gc *, struct gc_batch *);
	void *rows; /* the step's, GC_BATCH */

	size_t n;
	bool last;
	struct rec_key behind; /* which row it goes on */
	struct digest claims[GC_BATCH];
	size_t n_claims;
};

/** gc_queue_run(g, b): all of it.  RC_CANCELLED. */
RC_MUST_USE enum rc gc_queue_run(struct gc *, struct gc_batch *);

enum gc_heed { HEED_LEASES, HEED_PINS };

/** gc_claim(g, b, digest, heed): until the batch is done; true also when it
 * has that digest already.  False: leased or pinned. */
bool
gc_claim(struct gc *, struct gc_batch *, const struct digest *, enum gc_heed);

/* The name of a repository, that it has or had. */
struct gc_name {
	size_t n;
	char p[NAME_REPOSITORY_MAX_BYTES];
};

/** gc_name_set(name, s), gc_name_of(t, repo, name): empty: not known. */
void gc_name_set(struct gc_name *, struct span);
RC_MUST_USE enum rc
gc_name_of(struct meta_txn *, uint64_t repo, struct gc_name *);

static inline struct span
gc_name_span(const struct gc_name *name)
{
	return ((struct span){ name->p, name->n });
}

/* What a batch is of begins with this. */
struct gc_row {
	bool done; /* what ${fn} did to it is committed */
};

/**
 * gc_rows_change(m, fn, rows, n, size):
 * A change that calls ${fn} for each of ${n} rows of ${size} bytes.  When one
 * of them cannot be read each gets a change of its own, and those are passed
 * over: for fsck.  ${fn} may run more than once.
 */
typedef enum rc gc_row_fn(struct meta_txn *, void *row);
RC_MUST_USE enum rc gc_rows_change(
    struct meta *m, gc_row_fn *fn, void *rows, size_t n, size_t size);

/** gc_file_remove(g, location, digest, removed_r): RC_OK also when there is
 * none. */
RC_MUST_USE enum rc gc_file_remove(
    struct gc *, enum blob_location, const struct digest *, bool *removed_r);

/* gc_orphans.c */

/** gc_orphan_remove(g, location, digest): a file that no record leads to, and
 * whose digest is claimed; counted if there was one.  RC_REFERENCED: one does.
 */
RC_MUST_USE enum rc
gc_orphan_remove(struct gc *, enum blob_location, const struct digest *);

#endif
