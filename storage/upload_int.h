#ifndef STORAGE_UPLOAD_INT_H
#define STORAGE_UPLOAD_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/blobs.h"
#include "storage/meta.h"
#include "storage/repositories.h"
#include "storage/store.h"
#include "storage/upload.h"

/*
 * Upload sessions, private to upload*.c.
 *
 * A session in memory is an entry of the table; one that is only a row (after
 * a restart) becomes an entry when somebody acquires it.  The table's lock is
 * held for a look or a flag, never across a system call that may wait.
 *
 * An entry that is busy belongs to the thread that made it so; others read
 * no more than its id, its repository and what is atomic, under the lock.
 * Only its owner removes a busy entry, nobody removes an idle one without
 * making it busy first.
 */
#define UPLOADS_MAGIC 0x75706c73U
#define UPLOAD_MAGIC 0x75706c64U
#define UPLOAD_PART_MAGIC 0x75706c70U
#define UPLOAD_BUCKETS 1024

/* How a repository that is not there yet would keep content. */
struct upload_wish {
	enum encryption_type encryption;
	size_t kms_key_n;
	char kms_key[]; /* not terminated */
};

struct upload {
	unsigned magic;
	struct uploads *table;
	struct upload *next; /* in its bucket */
	char id[UPLOAD_ID_BYTES];
	uint8_t alg;
	bool busy;     /* under the lock */
	bool reviving; /* under the lock: what it is stands in the row */
	_Atomic int64_t touched_ms;
	_Atomic uint64_t offset_bytes;

	/* The owner's. */
	struct scratch *scratch; /* NULL: not open */
	char *early;   /* all of the content, in memory; then no scratch */
	bool followed; /* somebody reads the scratch: never in memory */
	size_t early_bytes;
	struct hasher *hasher; /* of the first hashed_bytes; or NULL */
	uint64_t hashed_bytes;
	uint64_t room_until_bytes; /* room was found up to this offset */
	struct digest seen;	   /* after a digest that did not match */
	struct digest known;	   /* of all of it, once that was asked; */
	bool is_known;		   /* until it changes */
	struct upload_wish *wish;  /* NULL: not known */
	uint32_t parts;		   /* these three as in struct upload_row */
	bool short_part, short_inner;

	size_t repository_n;
	char repository[]; /* not terminated */
};

struct uploads {
	unsigned magic;
	struct store *store;
	pthread_mutex_t lock;
	struct upload *buckets[UPLOAD_BUCKETS];
	uint64_t n_sessions;	      /* in memory or only a row */
	_Atomic uint64_t early_bytes; /* content in memory, of all */
	_Atomic uint64_t part_bytes;  /* in parts that are not joined, of all */
};

static inline struct span
upload_repository(const struct upload *u)
{
	return ((struct span){ u->repository, u->repository_n });
}

/* The table: upload_table.c. */

/** upload_id_new(id_r): 128 random bits. */
void upload_id_new(char id_r[UPLOAD_ID_BYTES]);

/** upload_entry_new(t, id, repository, alg): not in the table yet. */
struct upload *upload_entry_new(
    struct uploads *, const char *id, struct span repository, uint8_t alg);
void upload_entry_free(struct upload **);

/** upload_table_add(t, u): under the lock; no entry may have its id. */
void upload_table_add(struct uploads *, struct upload *);
void upload_table_remove(struct uploads *, struct upload *);
/** upload_table_find(t, id): under the lock; NULL. */
struct upload *upload_table_find(struct uploads *, struct span id);

/** upload_in_memory(t, id): has it an entry?  Takes the lock. */
bool upload_in_memory(struct uploads *, struct span id);

/** upload_table_claim_expired(t, now_ms, bucket): make an idle entry that has
 * expired busy, looking from *${bucket} on; NULL. */
struct upload *
upload_table_claim_expired(struct uploads *, int64_t now_ms, unsigned *bucket);

/* Life: upload.c. */

/** upload_claim(t, repository, id, now_ms, u_r): make it busy; revive it.
 * RC_NOTFOUND, RC_BUSY. */
RC_MUST_USE enum rc upload_claim(struct uploads *, struct span repository,
    struct span id, int64_t now_ms, struct upload **u_r);

/** upload_unclaim(u): idle again. */
void upload_unclaim(struct upload *);

/** upload_forget(u): the session has ended; free it. */
void upload_forget(struct upload **);

/** upload_remove(u): end it without a blob.  ${u} is gone on RC_OK, idle
 * otherwise. */
RC_MUST_USE enum rc upload_remove(struct upload **);

bool upload_expired(const struct uploads *, int64_t touched_ms, int64_t now_ms);

/** upload_row_touched(t, row, touched_ms_r, size_r): of a session that is only
 * a row: when its scratch was written last, else when it started. */
RC_MUST_USE enum rc upload_row_touched(struct uploads *,
    const struct upload_row *, int64_t *touched_ms_r, uint64_t *size_r);

/** upload_room(u, n): may ${n} more bytes be taken?  RC_TOOBIG, RC_NOSPACE;
 * RC_IO: the store has failed. */
RC_MUST_USE enum rc upload_room(struct upload *, uint64_t n_bytes);

/** upload_scratch_need(u): from here on the content is in the scratch, which
 * is open.  RC_IO: some of it is lost; upload_offset() tells what is left. */
RC_MUST_USE enum rc upload_scratch_need(struct upload *);

/** upload_cut(u, offset): as upload_rewind(), whatever the disk says: what
 * cannot be cut off now is when the scratch is opened next. */
void upload_cut(struct upload *, uint64_t offset);

/** upload_early_drop(u): forget what is in memory, if anything. */
void upload_early_drop(struct upload *);

/** upload_record(s, put): meta_blob_put() with a lease. */
RC_MUST_USE enum rc upload_record(struct store *, const struct blob_put *);
/** upload_place(s, scratch, put): scratch_place() and the record of it, in the
 * key domain of its repository; fills in where it lies. */
RC_MUST_USE enum rc
upload_place(struct store *, struct scratch *, struct blob_put *);

/** upload_may_end(t, repository, create): RC_IO: the store has failed;
 * RC_NOTFOUND: no such repository, and none to be made. */
RC_MUST_USE enum rc upload_may_end(struct uploads *, struct span repository,
    const struct repository_preset *create);

/* Key domains: upload_domain.c. */

/** upload_wish_new(create): of what ${create} is kept; may be NULL. */
struct upload_wish *upload_wish_new(const struct repository_preset *);
/** upload_domain(u, domain_r): of the repository, or as it would be made. */
RC_MUST_USE enum rc upload_domain(const struct upload *, uint32_t *domain_r);
/** upload_domain_of(s, repository, settings, domain_r): the same, as it would
 * be made with ${settings}; NULL: RC_NOTFOUND when it is not there. */
RC_MUST_USE enum rc upload_domain_of(struct store *, struct span repository,
    const struct repository_settings *, uint32_t *domain_r);

#endif
