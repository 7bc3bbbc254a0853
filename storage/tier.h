#ifndef STORAGE_TIER_H
#define STORAGE_TIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "storage/blobs.h"
#include "storage/meta.h"

/*
 * The archive: a folder for content that only archived images need, which may
 * lie on another, slower disk.  Files are named as in blobs/; what is not
 * compressed already is compressed with zstd and a long window, and the record
 * of the blob says so.  Content of a key domain is sealed (sealed.h) as what is
 * stored, so perhaps compressed, under the digest of the blob; whatever takes it
 * or gives it may say RC_LOCKED.  A file appears by rename, when it is complete
 * and synced.  All functions may block for as long as the content is long.
 *
 * Memory: to put what is compressed takes some 150 MiB, to read it 130 MiB,
 * less of what is smaller than the window; everything else a few.  Any thread;
 * one at a time should put.
 */
struct tier;

/*
 * Whose it is: a folder that becomes an archive is marked (TIER_MARKER) with a
 * number that the owner keeps.  The disk of an archive may not be mounted, or a
 * setting may name another folder: one that is not marked with that number is
 * as if it were not there, and is neither written to nor made, as long as there
 * is content in the right one.
 */
#define TIER_MARKER "registryd-archive"

/** tier_mark_write(dir, id): mark a folder that nobody has open. */
RC_MUST_USE enum rc tier_mark_write(const char *dir, uint64_t id);

struct tier_owner {
	/* *${id_r}: of the archive that there is, 0: none yet; *${content_r}:
	 * there is content in it. */
	enum rc (*recall)(void *arg, uint64_t *id_r, bool *content_r);
	/* From now on it is the one with ${id}.  RC_EXISTS: there is content
	 * in another. */
	enum rc (*adopt)(void *arg, uint64_t id);
	void *arg;
};

/** tier_open(dir, read_only, owner, t_r): ${dir} is made when something is put
 * into it for the first time.  One that is not the owner's is told of.  RC_IO,
 * RC_DENIED when it is there and cannot be used; RC_BUSY: another process has
 * it as its archive. */
RC_MUST_USE enum rc tier_open(const char *dir, bool read_only,
    const struct tier_owner *, struct tier **t_r);
void tier_close(struct tier **);

/** tier_keys_set(t, fn, arg): as blobs_keys_set(). */
void tier_keys_set(struct tier *, blobs_key_fn *, void *arg);

/** tier_shares_disk(t, fd): does it lie on the filesystem of ${fd}?  The
 * folder is made. */
bool tier_shares_disk(struct tier *, int fd);

/** tier_away(t): was it another's, or not there although it has content, when
 * it was looked for last?  Any thread. */
bool tier_away(const struct tier *);
/** tier_look(t): look for it, if it is not at hand. */
void tier_look(struct tier *);

/* How others get their turn while content is long. */
struct tier_pace {
	const _Atomic bool *stop; /* may be NULL */
	/* Called with nothing locked after each MiB of content, which was
	 * begun at ${began_ns}; may take its time.  What is not RC_OK
	 * is what becomes of it all.  May be NULL. */
	enum rc (*between)(void *arg, int64_t began_ns);
	void *arg;
};

struct tier_put {
	uint32_t key_domain;
	struct digest digest;
	struct blob_file *file; /* the content, read from its beginning */
	uint64_t size_bytes;
	struct tier_pace pace;
};

struct tier_place {
	enum blob_encoding encoding;
	uint64_t stored_bytes; /* of the file */
};

/** tier_put(t, put, place_r): durable when it returns; verified on its
 * way.  RC_DIGEST: ${file} is not that content, or cannot be read; RC_CANCELLED;
 * RC_NOSPACE; RC_LIMIT: no memory to compress it; RC_MISSING: tier_away(). */
RC_MUST_USE enum rc
tier_put(struct tier *, const struct tier_put *, struct tier_place *place_r);

/** tier_get(t, domain, digest, place, size_bytes, scratch, pace):
 * Append the content to the empty ${scratch}, verified.  RC_NOTFOUND;
 * RC_CORRUPT: it is not what it was; RC_NOSPACE; RC_CANCELLED; RC_LIMIT: no
 * memory.  With any of them the scratch holds nothing of use. */
RC_MUST_USE enum rc tier_get(struct tier *, uint32_t key_domain,
    const struct digest *, const struct tier_place *, uint64_t size_bytes,
    struct scratch *, const struct tier_pace *);

/** tier_verify(t, domain, digest, place, size_bytes, stop): hash it.
 * RC_NOTFOUND; RC_CORRUPT; RC_CANCELLED; RC_LIMIT. */
RC_MUST_USE enum rc
tier_verify(struct tier *, uint32_t key_domain, const struct digest *,
    const struct tier_place *, uint64_t size_bytes, const _Atomic bool *stop);

/** tier_find(t, domain, digest, place_r, size_r, stop): of content that no
 * record tells of: hash what lies there.  RC_NOTFOUND; RC_CORRUPT: it is not
 * that, however it is read (only then it is logged); RC_CANCELLED. */
RC_MUST_USE enum rc
tier_find(struct tier *, uint32_t key_domain, const struct digest *,
    struct tier_place *place_r, uint64_t *size_r, const _Atomic bool *stop);

/** tier_stat(t, domain, digest, stored_r): how large its file is.
 * RC_NOTFOUND. */
RC_MUST_USE enum rc tier_stat(struct tier *, uint32_t key_domain,
    const struct digest *, uint64_t *stored_r);

/** tier_remove(t, domain, digest): and folders that it leaves empty.
 * RC_NOTFOUND. */
RC_MUST_USE enum rc
tier_remove(struct tier *, uint32_t key_domain, const struct digest *);

/** tier_walk(t, fn, arg): as blobs_walk(), and left-overs of a crash, by their
 * path; not what is being put just now. */
RC_MUST_USE enum rc tier_walk(struct tier *, blobs_walk_fn *, void *arg);

/** tier_sweep(t, n_r): remove what a crash has left half-written. */
RC_MUST_USE enum rc tier_sweep(struct tier *, unsigned *n_r);

#endif
