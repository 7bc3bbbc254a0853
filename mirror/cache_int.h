#ifndef MIRROR_CACHE_INT_H
#define MIRROR_CACHE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "mirror/cache.h"
#include "mirror/fill_int.h"

/*
 * What the files of the cache share:
 *
 *	cache.c			the whole, and its end
 *	cache_pool.c		threads, and the work that waits for one
 *	cache_negative.c	what upstreams said no to
 *	cache_ask.c		what is asked for at present, and by whom
 *	cache_import.c		a manifest comes and is put
 *	cache_manifest.c	tags and digests: is anything to be fetched?
 *	cache_children.c	what an index refers to, in the background
 *	cache_blob.c		which fills go on, and who joins them
 *	cache_fill.c		one fill, from the upstream to the link
 *	cache_evict.c		what was not used for long is given up
 *	cache_tally.c		blobs counted once, however many need them
 *
 * Locks: the cache's, under which nothing blocks and nobody is woken; the
 * pool's, which may be taken below it.
 */
#define CACHE_MAGIC 0x43616368U

/* --- the pool ------------------------------------------------------------ */

#define POOL_QUEUE_MAX 4096	 /* that wait for a thread */
#define POOL_LONG_OF_UPSTREAM 12 /* of CACHE_THREADS_OF_UPSTREAM */
#define POOL_LONG_THREADS 36	 /* of CACHE_THREADS */
#define POOL_IDLE_MS 10000	 /* then a thread ends */

/* Short work is done before long work, which has never all of the threads: a
 * manifest does not wait for layers. */
enum pool_class { POOL_SHORT, POOL_LONG, POOL_CLASSES };

/* The first member of what is to be done.  One of the two is called, once. */
struct pool_job {
	struct pool_job *next; /* the pool's */
	void (*run)(struct pool_job *);
	void (*drop)(struct pool_job *); /* the pool was stopped before */
};

struct pool;

struct pool *pool_new(void);
/** pool_submit(p, upstream, class, job): RC_LIMIT: too much waits, or there is
 * no thread; RC_CANCELLED: it was stopped. */
RC_MUST_USE enum rc pool_submit(
    struct pool *, const char *upstream, enum pool_class, struct pool_job *);
/** pool_stop(p): drops what waits, on the calling thread. */
void pool_stop(struct pool *);
/** pool_free(p): after pool_stop(); waits for the threads. */
void pool_free(struct pool **);

/* --- sources ------------------------------------------------------------- */

/* A source that is owned. */
struct source {
	char *url, *credential, *repository;
};

void source_init(struct source *, const struct cache_source *);
void source_free(struct source *);
bool source_eq(const struct source *, const struct source *);

/** source_key(s, what, ref, key_r): for tables: what is asked of it. */
void source_key(const struct source *, const char *what, const char *ref,
    struct digest *key_r);

/* --- what was said no to ------------------------------------------------- */

#define NEGATIVE_BUCKETS 1024
#define NEGATIVE_MOMENT_MS 2000 /* what may be otherwise soon */

struct negative; /* one answer */

struct negatives {
	pthread_mutex_t lock;
	struct negative *ring[CACHE_NEGATIVE_MAX]; /* in order of age */
	size_t next;				   /* slot of the ring */
	struct negative *buckets[NEGATIVE_BUCKETS];
};

void negatives_init(struct negatives *);
void negatives_free(struct negatives *);

/** negative_find(c, source, key, error_r): what it is remembered to have
 * failed with; RC_OK: nothing is. */
enum rc negative_find(struct cache *, const struct source *,
    const struct digest *key, struct upstream_error *error_r);
/** negative_note(c, source, key, rc, error): of what the upstream said, or did
 * not say; all else is not remembered. */
void negative_note(struct cache *, const struct source *,
    const struct digest *key, enum rc, const struct upstream_error *);
/** negative_answered(c, source): it can be reached. */
void negative_answered(struct cache *, const struct source *);

/* --- the cache ----------------------------------------------------------- */

#define CACHE_BUCKETS 256

struct lookup;
struct fill_entry;

struct cache {
	unsigned magic;
	struct cache_options options;
	struct meta *meta;
	struct pool *pool;
	struct negatives negatives;
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t stopped; /* for naps */
	/* Under the lock. */
	struct cache_settings settings;
	struct lookup *lookups[CACHE_BUCKETS];
	struct fill_entry *fills[CACHE_BUCKETS];
	uint64_t n_fills;

	struct {
		_Atomic uint64_t hits, stale, manifests, manifests_same,
		    referrers, blobs, blob_bytes, adopted, joined, resumed,
		    failed, wrong_digest, negative, evicted, evicted_bytes;
	} stats;
};

struct cache_settings cache_settings(struct cache *);
bool cache_stopping(struct cache *);
/** cache_nap(c, ms): shorter when the cache is stopped. */
void cache_nap(struct cache *, long ms);
/** cache_lost(rc): does that code say that the upstream could not be asked at
 * present, and another time may do? */
bool cache_lost(enum rc);
/** cache_why(error, rc): with a text, if it has none. */
void cache_why(struct upstream_error *, enum rc);

static inline unsigned
cache_bucket(const struct digest *key)
{
	return (key->bytes[0] % CACHE_BUCKETS);
}

/* --- what is asked for --------------------------------------------------- */

#define LOOKUP_MAGIC 0x4c6f6f6bU
#define TICKET_MAGIC 0x5469636bU

/*
 * One thing that is asked of an upstream, for all that wait for it.  Its own
 * members do not change; the tickets are under the cache's lock.
 */
struct lookup {
	struct pool_job job; /* the first */
	unsigned magic;
	struct cache *cache;
	struct lookup *next;	     /* in its bucket */
	struct digest key, negative; /* with and without what is here */
	struct source source;
	char *repository;
	struct reference ref; /* a copy; or the subject */
	char *tag;	      /* of it, or NULL */
	bool referrers;
	bool has_known;
	struct digest known;
	struct cache_ticket *tickets;
};

struct cache_ticket {
	unsigned magic;
	struct cache_ticket *next; /* of the same lookup */
	const struct repository_preset *create;
	void (*wake)(void *);
	void *arg;
	atomic_bool ready;
	struct cache_result result;
};

/** lookup_create(l): what one of those who wait would have the repository made
 * as; NULL: nobody may.  Good until they are woken. */
const struct repository_preset *lookup_create(struct lookup *);

/** lookup_manifest(l, result), lookup_referrers(l, result): on a thread of the
 * pool. */
void lookup_manifest(struct lookup *, struct cache_result *result_r);
void lookup_referrers(struct lookup *, struct cache_result *result_r);

/* --- a manifest comes ---------------------------------------------------- */

/* The texts, and what is read out of them. */
#define IMPORT_ARENA_BYTES ((size_t)64 << 20)

/* Where to and where from, for one piece of work. */
struct import {
	struct cache *cache;
	const struct source *source;
	struct span repository;			/* here */
	const struct repository_preset *create; /* or NULL */
	struct cache_settings settings;
	struct upstream *upstream;
	struct upstream_wait wait;
	struct arena arena;
	struct arena one;	     /* of one manifest at a time */
	struct upstream_error error; /* of what failed last */
	bool said;		     /* it was the upstream that failed */
	bool background;	     /* children are seen to by who imports */
};

/** import_begin(im, c, source, repository): RC_INVALID: the upstream's URL.
 * Always ended. */
RC_MUST_USE enum rc import_begin(
    struct import *, struct cache *, const struct source *, const char *);
void import_end(struct import *);

/** import_answer(im, rc): what a request to the upstream gave. */
enum rc import_answer(struct import *, enum rc);

/** import_has(im, digest): is that manifest here?  RC_NOTFOUND. */
RC_MUST_USE enum rc import_has(struct import *, const struct digest *);

/** import_fetch(im, ref, tag): get it from the upstream and put it, under
 * ${tag} unless that is empty.  RC_EXISTS: the tag is immutable; RC_MISSING: no
 * repository, and none to be made; else of mirror/upstream.h or of the store. */
RC_MUST_USE enum rc
import_fetch(struct import *, const struct reference *, struct span tag);

/** import_retag(im, digest, tag): the same with a manifest that is here.
 * RC_NOTFOUND: it is not, or not active. */
RC_MUST_USE enum rc
import_retag(struct import *, const struct digest *, struct span tag);

/** children_begin(c, source, repository, index): its children, and what they
 * need, in the background. */
void children_begin(struct cache *, const struct source *,
    struct span repository, const struct digest *index);

/* --- blobs --------------------------------------------------------------- */

#define FILL_READ_BYTES ((size_t)256 * 1024)
#define FILL_RESUME_MS 60000	/* without a byte, once some came */
#define FILL_RESUME_NAP_MS 1000 /* between tries */

/* A repository that gets the blob; the first one takes it in. */
struct fill_member {
	struct fill_member *next;
	struct source source;
	bool tried;  /* to open it there */
	bool linked; /* or that cannot be */
	char *repository;
};

#define FILL_ENTRY_MAGIC 0x46696c45U

/*
 * A fill that goes on, in the table under its digest.  Several of one digest
 * only when those who ask have nothing to do with each other, or keep content
 * under different keys (cache_blob.c).
 */
struct fill_entry {
	struct pool_job job; /* the first */
	unsigned magic;
	struct cache *cache;
	struct digest digest;
	uint32_t key_domain;  /* of all its members */
	struct fill *fill;    /* a reference */
	uint64_t named_bytes; /* as a manifest of the first member's repository
				 says; UINT64_MAX: none does */
	/* Under the cache's lock. */
	struct fill_entry *next;     /* in its bucket */
	bool listed;		     /* it is in the table: may be joined */
	struct fill_member *members; /* the last to come is the last */
};

/** fill_begin(c, source, repository, digest, e_r, f_r): a fill that is in no
 * queue: the caller has it run, or gives it up; *${f_r} is a reference.  RC_EXISTS: it is here by
 * now; RC_BUSY: there is one, *${f_r}, that was joined; RC_NOTFOUND: no
 * repository; RC_FAILED: *${f_r} has failed already. */
RC_MUST_USE enum rc
fill_begin(struct cache *, const struct cache_source *, struct span repository,
    const struct digest *, struct fill_entry **e_r, struct fill **f_r);
/** fill_run(e): all of it; frees ${e}. */
void fill_run(struct fill_entry *);
/** fill_give_up(e, rc): before it ran; frees ${e}. */
void fill_give_up(struct fill_entry *, enum rc);
/** fill_end(e, rc, error): out of the table, and ended; RC_OK: it is in the
 * repository of the first member, and is linked in the others.  Frees ${e}. */
void fill_end(struct fill_entry *, enum rc, const struct upstream_error *error);
/** fill_unlist(e): with the cache's lock held: nobody joins it any more. */
void fill_unlist(struct fill_entry *);
/** fills_stop(c): all that go on have failed. */
void fills_stop(struct cache *);

/* --- counting blobs ------------------------------------------------------ */

struct tally;

struct tally *tally_new(void);
void tally_free(struct tally **);
/** tally_add(t, digest, size): one more image needs it; gives the bytes that it
 * adds to all. */
uint64_t tally_add(struct tally *, const struct digest *, uint64_t size_bytes);
/** tally_drop(t, digest): one image less; gives the bytes that nobody needs
 * any more. */
uint64_t tally_drop(struct tally *, const struct digest *);

/* What was imported or pulled just now is not given up: who pulls an image
 * fetches its manifest first, and its layers for a while after that. */
#define EVICT_GRACE_MS 300000

#endif
