#ifndef STORAGE_META_ENV_INT_H
#define STORAGE_META_ENV_INT_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/meta_int.h"

/*
 * What the files of the metadata store share of LMDB.
 *
 * One environment; one write transaction at a time, that of the commit
 * thread; one read transaction per thread, which sleeps ("reset") between two
 * reads and is woken ("renewed") in some 100 ns.
 *
 * Growing the map moves it, and LMDB does not look whether somebody reads.
 * So each reader raises a flag of its own while it reads, and the grower
 * closes the gate, then waits until all flags are down:
 *
 *	reader			grower (the commit thread, no transaction)
 *	busy = 1		lock mutex; closed = 1
 *	closed? busy = 0,	wait until every busy is 0
 *	  lock and unlock	move the map
 *	  the mutex, again	closed = 0; unlock mutex
 *	read; busy = 0
 *
 * Both stores and both loads are sequentially consistent: either the reader
 * sees the gate closed or the grower sees the reader.  A reader's way in costs
 * no shared cache line but the one that nobody writes.
 */
struct meta_reader {
	_Alignas(64) _Atomic bool busy;
	struct meta *m;
	MDB_txn *txn;			  /* reset unless busy */
	struct meta_reader *next, **prev; /* under the gate's mutex */
};

struct meta_gate {
	_Atomic bool closed;
	pthread_mutex_t mutex;
	struct meta_reader *readers;
};

struct advisories;
struct ballast;
struct commit;
struct pulled;

#define META_MAGIC 0x4d657461

/* LMDB's own table of free pages: none of ours. */
#define TABLE_FREE 0
#define TABLE_ABSENT TABLE_FREE

struct meta {
	uint32_t magic;
	bool read_only;
	MDB_env *env;
	MDB_dbi tables[META_TABLES]; /* TABLE_ABSENT: reads as empty */
	char *path;		     /* of meta.mdb, for messages */
	int witness_fd;		     /* see commit.c */
	pthread_key_t reader_key;    /* of this environment's meta_reader */
	struct meta_gate gate;
	uint64_t map_bytes;	   /* commit thread */
	struct meta_counts counts; /* commit thread: as last committed */
	struct commit *commit;	   /* NULL: read-only */
	struct pulled *pulled;
	struct leases *leases;
	struct keys *keys;
	struct advisories *advisories;
	struct ballast *ballast; /* borrowed; NULL: none */
	_Atomic int64_t undelete_ms;
};

/* meta_read.c */

void meta_gate_init(struct meta *);
/** meta_gate_free(m): ends every thread's reader. */
void meta_gate_free(struct meta *);
/** meta_gate_close(m): when it returns nobody reads. */
void meta_gate_close(struct meta *);
void meta_gate_open(struct meta *);

/** meta_reading(m): does the calling thread read? */
bool meta_reading(struct meta *);

/* meta_kv.c */

/** meta_rc(t, err, what): LMDB's error in our words, logged when it is one
 * that nobody expects.  MDB_MAP_FULL marks ${t}. */
enum rc meta_rc(struct meta_txn *, int err, const char *what);

/* meta_pulled.c: pulls noted in memory until a commit writes them. */

struct pulled_note;

struct pulled *pulled_new(void);
void pulled_free(struct pulled **);

/** pulled_add(p, repository, digest, now_ms): true when it is time to write
 * them.  Any thread; never waits for the disk. */
bool pulled_add(struct pulled *, struct span repository, const struct digest *,
    int64_t now_ms);

/** pulled_any(p), pulled_take(p, max): some ${max} of them, or NULL; they are
 * found until they are dropped.  The commit thread. */
bool pulled_any(struct pulled *);
struct pulled_note *pulled_take(struct pulled *, size_t max);
/** pulled_find(p, repository, digest): when it was pulled, of what is not
 * written yet; 0: not. */
int64_t
pulled_find(struct pulled *, struct span repository, const struct digest *);
/** pulled_return(p, notes): they could not be written. */
void pulled_return(struct pulled *, struct pulled_note *);
/** pulled_drop(p, notes): they are written. */
void pulled_drop(struct pulled *, struct pulled_note *);
/** pulled_write(t, notes): a change. */
enum rc pulled_write(struct meta_txn *, void *notes);

#endif
