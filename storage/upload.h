#ifndef STORAGE_UPLOAD_H
#define STORAGE_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/blob_file.h"
#include "storage/meta.h"
#include "storage/store.h"

/*
 * Upload sessions (distribution-spec, "Pushing blobs").  A session is a row in
 * the metadata and a scratch; both outlive the process.  Its hash runs while
 * bytes arrive; after a restart, or when the final digest is of another
 * algorithm, the scratch is read once more.
 *
 * Whoever changes a session has acquired it: one at a time, a second gets
 * RC_BUSY.  The order of calls:
 *
 *	upload_start ... upload_acquire, upload_write*, then one of
 *	upload_finish   the content is a durable blob of the repository, the
 *			session is gone
 *	upload_release  the session waits for more
 *
 * All may block (workers only), unless said otherwise.
 */
struct upload;

/** upload_start(s, repository, alg, create, id_r): a new session.  Never waits:
 * loop or worker.  What it takes is kept as the repository keeps content; of
 * one that is not there, as it would be made: of ${create} (NULL: not known;
 * then sealed, if there is a key, to be on the safe side).  RC_LIMIT too many sessions; RC_NOSPACE
 * below the reserve. */
RC_MUST_USE enum rc
upload_start(struct store *, struct span repository, uint8_t alg,
    const struct repository_preset *create, char id_r[UPLOAD_ID_BYTES]);

/** upload_acquire(s, repository, id, u_r): RC_NOTFOUND: no such session in
 * that repository (or it has expired); RC_BUSY. */
RC_MUST_USE enum rc upload_acquire(struct store *, struct span repository,
    struct span id, struct upload **u_r);

/** upload_wishes(u): is it known how a repository that is not there yet would
 * keep what is taken, or too late for that?  Not after a restart.
 * upload_wish(u, create): as for upload_start().  Any thread that holds ${u}. */
bool upload_wishes(const struct upload *);
void upload_wish(struct upload *, const struct repository_preset *create);

/** upload_offset(u): bytes taken so far.  Any thread that holds ${u}. */
uint64_t upload_offset(const struct upload *);

/**
 * upload_write(u, p, n):
 * Append and hash.  RC_NOSPACE, RC_TOOBIG (upload_max_bytes), RC_IO: nothing of
 * this call was taken.
 */
RC_MUST_USE enum rc upload_write(struct upload *, const void *p, size_t n);

/**
 * upload_keep(u):
 * See to it that what was taken outlives the process (not yet the loss of
 * power).  Before a client is told of it; upload_release() tries too, and can
 * not say that it failed.  RC_NOSPACE, RC_IO: not kept; still there.
 */
RC_MUST_USE enum rc upload_keep(struct upload *);

/*
 * A part (UploadLayerPart): bytes that are kept apart until it is known that
 * they may be joined to a session.  It has no name on the disk: what is left
 * behind by a crash is nothing.  One thread at a time, workers.
 */
struct upload_part;

/** upload_part_new(s, p_r): RC_IO, RC_NOSPACE; RC_LIMIT: too many open files.
 */
RC_MUST_USE enum rc upload_part_new(struct store *, struct upload_part **p_r);
/** upload_part_write(p, bytes, n): RC_NOSPACE; RC_IO; RC_BUSY: all parts
 * together have as much as they may (part_max_bytes). */
RC_MUST_USE enum rc
upload_part_write(struct upload_part *, const void *p, size_t n);
uint64_t upload_part_size(const struct upload_part *);
/** upload_part_free(p): takes NULL; sets it to NULL. */
void upload_part_free(struct upload_part **);

struct upload_part_rules {
	uint32_t max_parts; /* 0: any number */
	uint64_t min_bytes; /* of all but the last */
};

/**
 * upload_join(u, part, rules):
 * Append all of ${part}, kept as by upload_keep().  RC_LIMIT: there are
 * ${max_parts} already; RC_BUSY: too many open files; RC_TOOBIG, RC_NOSPACE,
 * RC_IO: the session is what it was.  Parts count from where the content
 * begins: one whose content was lost begins anew.
 */
RC_MUST_USE enum rc upload_join(struct upload *, const struct upload_part *,
    const struct upload_part_rules *);

/** upload_short_inner(u): was a part shorter than its rules that was not the
 * last? */
bool upload_short_inner(const struct upload *);

/** upload_rewind(u, offset): forget what was appended behind ${offset}. */
RC_MUST_USE enum rc upload_rewind(struct upload *, uint64_t offset);

/**
 * upload_finish(u, digest, create):
 * Verify, make durable, link.  On RC_OK ${u} is gone and *${u} NULL.
 * ${create}: what the repository is made as if it is not there; NULL: not.
 * RC_DIGEST: the content has another digest; the session stays acquired and
 * as it was.  RC_NOTFOUND: the repository does not exist; RC_LIMIT: nor may
 * one more.  After RC_NOSPACE or
 * RC_IO too it stays acquired; upload_offset() tells what is left of it: none
 * when what was taken could not be synced, or its record not be written.
 */
RC_MUST_USE enum rc upload_finish(struct upload **u, const struct digest *,
    const struct repository_preset *create);

/** upload_verify(u, digest): is what was taken so far of that digest?  RC_OK,
 * RC_DIGEST; nothing changes, and upload_finish() has still to be called.  The
 * holder of ${u}. */
RC_MUST_USE enum rc upload_verify(struct upload *, const struct digest *);

/** upload_reader(u, f_r): the caller's, by which what was taken can be read up
 * to upload_offset() less SEALED_FRAME_BYTES (sealed.h), and all of it once
 * upload_verify() has said RC_OK, also while more is written, and after the
 * session has ended, however it did.  From now on content is kept in the file,
 * however short.  RC_IO, RC_NOSPACE; RC_LIMIT: too many open files. */
RC_MUST_USE enum rc upload_reader(struct upload *, struct blob_file *f_r);

/** upload_seen(u, d_r): what the content is, after upload_finish said
 * RC_DIGEST.  The holder of ${u}. */
void upload_seen(const struct upload *, struct digest *d_r);

/** upload_release(u): takes NULL; sets it to NULL. */
void upload_release(struct upload **);

/** upload_status(s, repository, id, offset_r): RC_NOTFOUND.  Works while
 * somebody writes. */
RC_MUST_USE enum rc upload_status(
    struct store *, struct span repository, struct span id, uint64_t *offset_r);

/** upload_cancel(s, repository, id): RC_NOTFOUND, RC_BUSY. */
RC_MUST_USE enum rc
upload_cancel(struct store *, struct span repository, struct span id);

/**
 * upload_whole(s, repository, digest, bytes, id, create):
 * Content that is in memory already, without a scratch: verified, durable,
 * linked.  ${id}: the session, still without content, that ends with it;
 * empty for none.  ${create} and its codes as upload_finish.
 * RC_DIGEST; RC_NOTFOUND repository or session; RC_BUSY;
 * RC_RANGE: the session has content by now; RC_TOOBIG: more than
 * upload_whole_max(): use a session; RC_NOSPACE, RC_IO.
 */
RC_MUST_USE enum rc
upload_whole(struct store *, struct span repository, const struct digest *,
    struct span bytes, struct span id, const struct repository_preset *create);
uint64_t upload_whole_max(const struct store *);

struct upload_swept {
	unsigned sessions;
	unsigned files; /* that no session knew */
	uint64_t file_bytes;
};

/** upload_sweep(s, now_ms, budget, swept_r): remove up to ${budget} sessions
 * untouched for the configured lifetime, and files without a session of that
 * age; as many as that: there may be more.  Any thread that may wait. */
RC_MUST_USE enum rc upload_sweep(struct store *, int64_t now_ms,
    unsigned budget, struct upload_swept *swept_r);

#endif
