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

	/* Not from where the step's last slice ended, but from the key that is
	 * ${at}, each time. */
	bool anew;

	size_t n;
	bool last;
	struct gc_place at; /* which row it goes on with */
	struct digest claims[GC_BATCH];
	size_t n_claims;
};

/** gc_place_set(p, key): at that row, or the first behind it. */
void gc_place_set(struct gc_place *, struct span key);

/** gc_queue_run(g, b): to its end, or for a slice: the next time it goes on
 * there.  RC_CANCELLED. */
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

/** gc_file_remove(g, location, domain, digest, removed_r): RC_OK also when
 * there is none.  What else it says is remembered in g->file_rc, and is no
 * reason to end a queue.  RC_CANCELLED: not now, as somebody holds the collector. */
RC_MUST_USE enum rc gc_file_remove(struct gc *, enum blob_location,
    uint32_t key_domain, const struct digest *, bool *removed_r);

/** gc_breathe(g, began_ns): between two MiB of content that is copied: a
 * shorter rest than gc_rest(). */
void gc_breathe(struct gc *, int64_t began_ns);

/* gc_activate.c */

/** gc_activate_turn(g, left_r): as gc_activate(), for a slice of its own, which
 * is not taken from that of the step that gives the turn.  So many images wait
 * still; 0 when the slice was over first. */
RC_MUST_USE enum rc gc_activate_turn(struct gc *, uint64_t *left_r);
/** gc_activate_due(g): a turn, if somebody waits who did not a moment ago. */
RC_MUST_USE enum rc gc_activate_due(struct gc *);

/* gc.c */

#define GC_SLICE_NS (1 * INT64_C(1000000000))

#endif
