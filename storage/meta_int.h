#ifndef STORAGE_META_INT_H
#define STORAGE_META_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/meta.h"
#include "storage/records.h"

/*
 * The metadata store from inside of the room: tables of bytes (records.h says
 * what they hold), read in a snapshot, changed by functions that the commit
 * thread runs.  No type of LMDB is seen here; it could be another library.
 *
 *	struct meta_txn t;
 *
 *	if ((rc = meta_read_begin(m, &t)) != RC_OK)
 *		return (rc);
 *	rc = kv_get(&t, TABLE_BLOBS, key_span(&k), &value);
 *	meta_read_end(&t);
 *
 * What kv_get() and kv_walk_next() return points into the memory map: it is
 * valid until the read ends, or until the next change in a change function.
 * A read holds back the growth of the map, and with it every other reader:
 * keep it to some milliseconds, and walk far in several of them.
 */
struct meta;
struct meta_reader;
struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

struct meta_txn {
	struct meta *m;
	struct MDB_txn *mdb;
	struct meta_reader *reader; /* NULL in a change */
	struct meta_counts *counts; /* NULL in a read; changed in place */
	bool map_full; /* the change is to run again in a larger map */
};

/* Reading. */

/** meta_read_begin(m, t): a snapshot for this thread, one at a time.
 * RC_IO: logged. */
RC_MUST_USE enum rc meta_read_begin(struct meta *, struct meta_txn *t);
void meta_read_end(struct meta_txn *);

/** kv_get(t, table, key, value_r): RC_NOTFOUND; RC_CORRUPT, RC_IO logged. */
RC_MUST_USE enum rc kv_get(
    struct meta_txn *, enum meta_table, struct span key, struct span *value_r);

/** kv_count(t, table): rows, at once. */
uint64_t kv_count(struct meta_txn *, enum meta_table);

/*
 * A walk over the keys that begin with a prefix (empty: all of the table), in
 * order.  In a change, the row that was returned last may be deleted with
 * kv_walk_delete(); any other change of the same table ends the walk's right
 * to go on.
 */
struct kv_walk {
	struct meta_txn *t;
	enum meta_table table;
	struct MDB_cursor *cursor;
	struct span prefix;	/* borrowed */
	struct span key, value; /* of the row returned last */
	bool begun;
};

/** kv_walk_begin(t, table, prefix, from, w): from the first key that has the
 * prefix and is not below ${from} (empty: the prefix). */
RC_MUST_USE enum rc kv_walk_begin(struct meta_txn *, enum meta_table,
    struct span prefix, struct span from, struct kv_walk *w);
/** kv_walk_next(w): fills w->key and w->value; RC_NOTFOUND: at the end. */
RC_MUST_USE enum rc kv_walk_next(struct kv_walk *);
/** kv_walk_delete(w): the row returned last. */
RC_MUST_USE enum rc kv_walk_delete(struct kv_walk *);
void kv_walk_end(struct kv_walk *);

/** kv_any(t, table, prefix, any_r): is there a row whose key has the prefix?
 * RC_CORRUPT, RC_IO: logged; *${any_r} is false then. */
RC_MUST_USE enum rc
kv_any(struct meta_txn *, enum meta_table, struct span prefix, bool *any_r);

/* Changing. */

/*
 * A change runs on the commit thread, perhaps more than once (when the map
 * has to grow, or the disk was full for its batch), and sees what those before
 * it in its batch did.  What it did is undone unless it returns RC_OK.
 */
typedef enum rc meta_change_fn(struct meta_txn *, void *arg);

/** meta_change(m, fn, arg, weight_bytes): what ${fn} returned, when it is
 * durable.  RC_READONLY, RC_NOSPACE, RC_IO.  ${weight_bytes} of large values
 * it will write. */
RC_MUST_USE enum rc
meta_change(struct meta *m, meta_change_fn *fn, void *arg, size_t weight_bytes);

/** meta_change_freeing(m, fn, arg): of one that takes something away, so that
 * there is more room afterwards: when the disk is full the ballast is given up
 * for it (ballast_int.h), and it is tried once more. */
RC_MUST_USE enum rc
meta_change_freeing(struct meta *m, meta_change_fn *fn, void *arg);

/** kv_put(t, table, key, value): insert or replace. */
RC_MUST_USE enum rc
kv_put(struct meta_txn *, enum meta_table, struct span key, struct span value);

/** kv_reserve(t, table, key, n_bytes, p_r): insert or replace by ${n_bytes}
 * that the caller fills in at once. */
RC_MUST_USE enum rc kv_reserve(struct meta_txn *, enum meta_table,
    struct span key, size_t n_bytes, uint8_t **p_r);

/** kv_delete(t, table, key): RC_NOTFOUND. */
RC_MUST_USE enum rc
kv_delete(struct meta_txn *, enum meta_table, struct span key);

/*
 * What a repair needs beyond that, inside of a change.
 */

/** meta_blob_quarantine(t, domain, digest): out of service: readers get
 * RC_NOTFOUND, inline content is dropped, the manifests of that digest count
 * as absent; a new push heals it.  RC_NOTFOUND: no record. */
RC_MUST_USE enum rc meta_blob_quarantine(
    struct meta_txn *, uint32_t key_domain, const struct digest *);

/** meta_blob_recheck(t, domain, digest, now_ms): make its record, the queue of
 * what nobody holds and the counts say what the holders say.  RC_NOTFOUND:
 * no record. */
RC_MUST_USE enum rc meta_blob_recheck(struct meta_txn *, uint32_t key_domain,
    const struct digest *, int64_t now_ms);

/** meta_counts_of(t, c_r): count by walking the blobs; .next_repository is
 * the kept one, raised if a repository, or one that is doomed, has a higher id. */
RC_MUST_USE enum rc meta_counts_of(struct meta_txn *, struct meta_counts *c_r);

/** meta_counts_kept(t, c_r): the counts as kept.  In a change, assign to
 * *t->counts to set them. */
RC_MUST_USE enum rc
meta_counts_kept(struct meta_txn *, struct meta_counts *c_r);

/** meta_corrupt(table, key): log a record that cannot be read; RC_CORRUPT. */
enum rc meta_corrupt(enum meta_table, struct span key);

/* Opening: store.c. */

struct meta_options {
	const char *dir;
	int dir_fd;
	uint64_t map_bytes;
	unsigned max_threads;
	bool read_only;
	bool create;	 /* else meta.mdb must be there */
	unsigned format; /* of a new one */
};

/** meta_open(options, why, m_r): ${why} has STORE_WHY_BYTES. */
RC_MUST_USE enum rc
meta_open(const struct meta_options *, char *why, struct meta **m_r);
/** meta_close(m): finish what is queued.  No other thread may be inside. */
void meta_close(struct meta **);

bool meta_failed(const struct meta *);

/** meta_format_get(t, format_r), meta_format_set: as recorded in the tables.
 */
RC_MUST_USE enum rc meta_format_get(struct meta_txn *, unsigned *format_r);
RC_MUST_USE enum rc meta_format_set(struct meta_txn *, unsigned format);

/*
 * Numbers of the registry as a whole, which only grow.
 */
#define NUMBER_GENERATION SPAN("generation")
#define NUMBER_POLICY_REVISION SPAN("policy_revision")
#define NUMBER_REPLICATION_ID SPAN("replication_id")
#define NUMBER_KEY_DOMAIN SPAN("key_domain") /* the last one that was made */
#define NUMBER_KEY_RING SPAN("key_ring")     /* rotations: keys_int.h */
#define NUMBER_ADVISORY_SET \
	SPAN("advisory_set") /* the last one that was begun */
#define NUMBER_ADVISORY_REVISION SPAN("advisory_revision")
/* But for this one: what the archive with our content is marked with. */
#define NUMBER_ARCHIVE SPAN("archive")

/** meta_number_get(t, key, n_r): 0 if there is none yet. */
RC_MUST_USE enum rc
meta_number_get(struct meta_txn *, struct span key, uint64_t *n_r);
RC_MUST_USE enum rc
meta_number_set(struct meta_txn *, struct span key, uint64_t n);

/** meta_ballast_set(m, b): borrowed.  Before other threads have ${m}. */
struct ballast;
void meta_ballast_set(struct meta *, struct ballast *);

/** meta_leases(m): its own. */
struct leases;
struct leases *meta_leases(struct meta *);

/** meta_keys(m): the same of key domains. */
struct keys;
struct keys *meta_keys(struct meta *);

/** meta_undelete_set(m, ms), meta_undelete_ms(m): store_options.undelete_ms.
 * Any thread. */
void meta_undelete_set(struct meta *, int64_t undelete_ms);
int64_t meta_undelete_ms(const struct meta *);

struct store_stats;
/** meta_stats(m, st): all but the disk. */
void meta_stats(struct meta *, struct store_stats *st);

#endif
