#ifndef STORAGE_KEYS_INT_H
#define STORAGE_KEYS_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/keyring.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/keys.h"
#include "storage/meta_int.h"

/*
 * Key domains from inside of the room: keys*.c.
 *
 * What is in memory is what was committed: domains are made in changes, which
 * may be undone and run again, and then another key has the number.  A change
 * therefore reads what is not in memory yet from its own transaction, each
 * time; who reads may keep it.
 *
 * Which ring wraps what is made in a change is decided by the transaction, too.
 * A rotation wraps all keys anew in a change that also takes the next number of
 * rings; a domain that is made by a change before it is among those, and one
 * after it sees the number and is wrapped by the new ring, also while the
 * commit of both is on its way.  When that fails, so do they.
 */
struct keys_entry {
	uint32_t key_domain;
	char *name; /* for as long as the store; NULL: damaged */
	int64_t created_ms;
	bool here;
	struct seal_key key;
};

struct keys {
	struct meta *m;
	_Atomic int encryption_default; /* enum encryption_type */
	pthread_mutex_t rotating;	/* one at a time; before the lock */
	pthread_mutex_t lock;		/* of all that follows */
	struct keys_entry *entries;	/* by number */
	size_t n_entries, room;
	uint32_t all_to;	 /* those up to this number are all here */
	struct keyring *ring;	 /* NULL: there is none */
	struct keyring *ring_to; /* while a rotation is on its way, */
	uint64_t ring_to_number; /* and from this number on */
};

struct keys *keys_new(struct meta *);
void keys_free(struct keys **);

/* In whatever transaction. */

/** keys_load(t, domain, key_r): RC_LOCKED; RC_IO.  The caller wipes it. */
RC_MUST_USE enum rc
keys_load(struct meta_txn *, uint32_t key_domain, struct seal_key *key_r);

/** keys_find(t, settings, domain_r): RC_NOTFOUND: not there yet; RC_TOOBIG. */
RC_MUST_USE enum rc keys_find(
    struct meta_txn *, const struct repository_settings *, uint32_t *domain_r);

/** keys_take(t, settings, domain_r): in a change: made, if it is not there.
 * RC_LOCKED: there is no ring, or not that which opens it, or others that have
 * repositories; RC_TOOBIG; RC_LIMIT: there are no numbers left.
 */
RC_MUST_USE enum rc keys_take(
    struct meta_txn *, const struct repository_settings *, uint32_t *domain_r);

/** keys_some(s, domain_r): any domain, one whose key is here if there is one;
 * KEY_DOMAIN_PLAIN: there is none.  Workers. */
RC_MUST_USE enum rc keys_some(struct store *, uint32_t *domain_r);

/** keys_truth(t, repo, settings): what is true of the encryption of that
 * repository, in place of what its row says.  What it puts there borrows from
 * what was there, is a literal, or lives as long as the store. */
void keys_truth(struct meta_txn *, uint64_t repo, struct repository_settings *);

/* Of content in the database: meta_sealed.c */

/* What a row as it stands is bound to: what it is, and its key. */
#define SEALED_AAD_MAX_BYTES (16 + KEY_MAX_BYTES)
struct sealed_place {
	uint32_t key_domain; /* 0: nothing is sealed */
	size_t aad_n;
	char aad[SEALED_AAD_MAX_BYTES];
};
/** sealed_place_content(p, domain, key), sealed_place_annotations(p, repo,
 * key): of the row with that key. */
void sealed_place_content(
    struct sealed_place *, uint32_t key_domain, const struct rec_key *);
void sealed_place_annotations(
    struct sealed_place *, uint64_t repo, const struct rec_key *);

/** sealed_place_bytes(p, n): what ${n} bytes take there; false of the second:
 * no content is as short. */
size_t sealed_place_bytes(const struct sealed_place *, size_t n);
bool
sealed_place_plain(const struct sealed_place *, size_t stored, size_t *n_r);

/** sealed_put(t, p, plain, out): ${out} has room for sealed_place_bytes() and
 * gets all of it; ${plain} does not lie in the map.  RC_LOCKED. */
RC_MUST_USE enum rc sealed_put(struct meta_txn *, const struct sealed_place *,
    struct span plain, uint8_t *out);
/** sealed_get(t, p, stored, arena, plain_r): a copy, of what is plain too.
 * RC_TOOBIG; RC_LOCKED; RC_CORRUPT: not genuine; not logged. */
RC_MUST_USE enum rc sealed_get(struct meta_txn *, const struct sealed_place *,
    struct span stored, struct arena *, struct span *plain_r);

/* Between keys.c and keys_ring.c; all under the lock. */

void keys_lock(struct keys *);
void keys_unlock(struct keys *);
/** keys_entry(keys, domain): NULL: not known. */
struct keys_entry *keys_entry(struct keys *, uint32_t key_domain);
/** keys_ring(keys, number): that which wraps in a transaction in which
 * NUMBER_KEY_RING is that, and opens what is wrapped; NULL: there is none.  It
 * is there until that transaction has ended. */
struct keyring *keys_ring(struct keys *, uint64_t number);
/** keys_keep(keys, rec, key): known from now on, or as it is by now; ${key}
 * NULL: it is not here. */
struct key_record;
void
keys_keep(struct keys *, const struct key_record *, const struct seal_key *key);

/* Rows. */

struct key_record {
	uint32_t key_domain;
	struct span name;
	int64_t created_ms;
	uint8_t wrapped[WRAPPED_KEY_BYTES];
};

/* The record of the largest name, all of whose bytes are escaped. */
#define KEY_RECORD_MAX_BYTES (6 * (4 + KEY_NAME_MAX_BYTES) + 256)

/** key_record_write(rec, out): RC_TOOBIG: its name. */
struct buf;
RC_MUST_USE enum rc key_record_write(const struct key_record *, struct buf *);
/** key_record_read(record, arena, rec_r): all but the number.  RC_INVALID. */
RC_MUST_USE enum rc
key_record_read(struct span record, struct arena *, struct key_record *rec_r);

/** key_record_key(k, domain): of its row among the entities. */
void key_record_key(struct rec_key *, uint32_t key_domain);
/** key_record_domain(key, domain_r): false: no such key. */
bool key_record_domain(struct span key, uint32_t *domain_r);

#define KEY_LABEL_BYTES (KEY_NAME_MAX_BYTES + 64)
/** key_record_load(t, domain, arena, rec_r): RC_NOTFOUND; RC_INVALID: it
 * cannot be read. */
RC_MUST_USE enum rc key_record_load(struct meta_txn *, uint32_t key_domain,
    struct arena *, struct key_record *rec_r);
/** key_record_save(t, rec). */
RC_MUST_USE enum rc
key_record_save(struct meta_txn *, const struct key_record *);
/** key_record_walk(t, from, fn, arg): each from that number on, in order, until
 * ${fn} says otherwise than RC_OK; ${bad}: it cannot be read, and only its
 * number is known. */
typedef enum rc key_record_fn(void *arg, const struct key_record *, bool bad);
RC_MUST_USE enum rc
key_record_walk(struct meta_txn *, uint32_t from, key_record_fn *, void *arg);

/** key_record_unwrap(ring, rec, key_r, old_r), key_record_wrap(ring, key, rec):
 * as of keyring.h; ${ring} NULL: RC_MISSING. */
RC_MUST_USE enum rc key_record_unwrap(const struct keyring *,
    const struct key_record *, struct seal_key *key_r, bool *old_r);
void key_record_wrap(
    const struct keyring *, const struct seal_key *, struct key_record *);

/** key_label(rec, out): what it is wrapped with. */
struct span key_label(const struct key_record *, char out[KEY_LABEL_BYTES]);

#endif
