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
 * of the blob says so.  A file appears by rename, when it is complete and
 * synced.  All functions may block for as long as the content is long.
 *
 * Memory: to put what is compressed takes some 150 MiB, to read it 130 MiB,
 * less of what is smaller than the window; everything else a few.  Any thread;
 * one at a time should put.
 */
struct tier;

/** tier_open(dir, read_only, t_r): ${dir} is made when something is put into
 * it.  RC_IO, RC_DENIED when it is there and cannot be used; RC_BUSY: another
 * process has it as its archive. */
RC_MUST_USE enum rc
tier_open(const char *dir, bool read_only, struct tier **t_r);
void tier_close(struct tier **);

/** tier_shares_disk(t, fd): does it lie on the filesystem of ${fd}?  The
 * folder is made. */
bool tier_shares_disk(struct tier *, int fd);

struct tier_put {
	uint32_t key_domain;
	struct digest digest;
	int fd; /* the content, read from its beginning to .size_bytes */
	uint64_t size_bytes;
	const _Atomic bool *stop; /* may be NULL */
};

struct tier_place {
	enum blob_encoding encoding;
	uint64_t stored_bytes;
};

/** tier_put(t, put, place_r): durable when it returns; verified on its
 * way.  RC_DIGEST: ${fd} is not that content; RC_CANCELLED; RC_NOSPACE; RC_LIMIT:
 * no memory to compress it. */
RC_MUST_USE enum rc
tier_put(struct tier *, const struct tier_put *, struct tier_place *place_r);

/** tier_get(t, domain, digest, place, size_bytes, scratch, stop):
 * Append the content to the empty ${scratch}, verified.  RC_NOTFOUND;
 * RC_CORRUPT: it is not what it was; RC_NOSPACE; RC_CANCELLED; RC_LIMIT: no
 * memory.  With any of them the scratch holds nothing of use. */
RC_MUST_USE enum rc tier_get(struct tier *, uint32_t key_domain,
    const struct digest *, const struct tier_place *, uint64_t size_bytes,
    struct scratch *, const _Atomic bool *stop);

/** tier_verify(t, domain, digest, place, size_bytes, stop): hash it.
 * RC_NOTFOUND; RC_CORRUPT; RC_CANCELLED; RC_LIMIT. */
RC_MUST_USE enum rc
tier_verify(struct tier *, uint32_t key_domain, const struct digest *,
    const struct tier_place *, uint64_t size_bytes, const _Atomic bool *stop);

/** tier_find(t, domain, digest, place_r, size_r, stop): of content that no
 * record tells of: hash what lies there.  RC_NOTFOUND; RC_CORRUPT: it is not
 * that; RC_CANCELLED. */
RC_MUST_USE enum rc
tier_find(struct tier *, uint32_t key_domain, const struct digest *,
    struct tier_place *place_r, uint64_t *size_r, const _Atomic bool *stop);

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
