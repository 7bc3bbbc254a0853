#ifndef STORAGE_BLOBS_H
#define STORAGE_BLOBS_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/keyring.h"
#include "base/rc.h"
#include "storage/blob_file.h"
#include "storage/meta.h"

/*
 * The seam for large content.  A store of blobs takes content in through a
 * scratch, gives it a place under its digest, reads it back and removes it;
 * which repository may see it is not its business.  Today: files.
 * All functions may block on the disk: workers only, unless said otherwise.
 * Any of them: RC_IO, RC_LIMIT (too many open files), logged here.
 */
struct blobs;
struct scratch;

/* Content on its way in, found again by its session's id after a restart.
 * One thread at a time. */

/*
 * What is sealed (sealed.h) is so from its first byte on the disk; its file in
 * uploads/ is called ID.sealed.  Keys come from where blobs_keys_set() says.
 * Any function that meets a key domain other than 0: RC_LOCKED: its key is not
 * here.
 */

/** blobs_keys_set(b, fn, arg): before the store is shared. */
typedef enum rc blobs_key_fn(
    void *arg, uint32_t key_domain, enum read_mode, struct seal_key *key_r);
void blobs_keys_set(struct blobs *, blobs_key_fn *, void *arg);

/** scratch_create(b, domain, id, s_r): new and empty.  RC_EXISTS, RC_NOSPACE. */
RC_MUST_USE enum rc scratch_create(
    struct blobs *, uint32_t key_domain, const char *id, struct scratch **s_r);
/** scratch_unnamed(b, id, s_r): one that is gone when it is closed, or the
 * process ends; not to be placed; sealed under a key that nobody else has.
 * ${id}: a new one, which it has for a moment
 * where files without names are not known.  RC_NOSPACE. */
RC_MUST_USE enum rc
scratch_unnamed(struct blobs *, const char *id, struct scratch **s_r);
/** scratch_open(b, id, s_r): RC_NOTFOUND. */
RC_MUST_USE enum rc
scratch_open(struct blobs *, const char *id, struct scratch **s_r);
/** scratch_close(s): keeps the content.  Takes NULL. */
void scratch_close(struct scratch **);

uint64_t scratch_size(const struct scratch *);
uint32_t scratch_domain(const struct scratch *);
/** scratch_append(s, p, n): all or RC_NOSPACE, after which the size is what it
 * was before. */
RC_MUST_USE enum rc scratch_append(struct scratch *, const void *p, size_t n);
/** scratch_read(s, offset, p, n): exactly ${n} bytes; RC_RANGE. */
RC_MUST_USE enum rc
scratch_read(struct scratch *, uint64_t offset, void *p, size_t n);
/** scratch_reader(s, f_r): the caller's, by which the content can be read up to
 * scratch_readable() whatever becomes of the scratch; not of one without a
 * name. */
RC_MUST_USE enum rc scratch_reader(struct scratch *, struct blob_file *f_r);
/** scratch_readable(s): by readers: all but what is not a whole frame yet, of
 * what is sealed, unless it was flushed. */
uint64_t scratch_readable(const struct scratch *);
/** scratch_flush(s): what was appended is in the file (not synced). */
RC_MUST_USE enum rc scratch_flush(struct scratch *);
/** scratch_truncate(s, n): cut down to ${n} bytes. */
RC_MUST_USE enum rc scratch_truncate(struct scratch *, uint64_t n_bytes);
/**
 * scratch_place(s, domain, digest):
 * Make the content durable and give it its place: fsync, rename, fsync of the
 * folder.  Content of another key domain is copied first, sealed (or not) as
 * its place asks.  The scratch is empty-handed afterwards and only to be closed.
 * On failure scratch_size() tells whether the content is still here: what
 * could not be synced is thrown away.
 */
RC_MUST_USE enum rc
scratch_place(struct scratch *, uint32_t key_domain, const struct digest *);
/** scratch_stat(b, id, size_r, changed_ms_r): the size as the length of the file
 * tells it: of what is sealed a crash may have left less.  RC_NOTFOUND. */
RC_MUST_USE enum rc scratch_stat(
    struct blobs *, const char *id, uint64_t *size_r, int64_t *changed_ms_r);
/** scratch_measure(b, id, size_r): how much scratch_open() would find, while
 * nobody has it open; nothing changes.  RC_NOTFOUND. */
RC_MUST_USE enum rc
scratch_measure(struct blobs *, const char *id, uint64_t *size_r);
/** scratch_remove(b, id): absent is fine. */
RC_MUST_USE enum rc scratch_remove(struct blobs *, const char *id);

/**
 * blobs_open(b, domain, digest, mode, f_r):
 * For reading, the caller's.  READ_INLINE: RC_WOULDBLOCK when
 * the name, or the header of what is sealed, is not in the kernel's cache; then
 * a loop may call.  RC_NOTFOUND; RC_CORRUPT: a sealed file whose header is not
 * genuine, or of another content.
 */
RC_MUST_USE enum rc blobs_open(struct blobs *, uint32_t key_domain,
    const struct digest *, enum read_mode, struct blob_file *f_r);

/** blobs_open_raw(b, domain, digest, mode, fd_r, file_bytes_r): the file as it
 * lies, whatever is in it: a descriptor for reading, the caller's, for those who
 * copy it or take it out of service.  No key is needed.  As blobs_open(). */
RC_MUST_USE enum rc blobs_open_raw(struct blobs *, uint32_t key_domain,
    const struct digest *, enum read_mode, int *fd_r, uint64_t *file_bytes_r);

/** blobs_stat(b, domain, digest, mode, size_r): the size of the content, as the
 * length of the file tells it, without opening and without a key. */
RC_MUST_USE enum rc blobs_stat(struct blobs *, uint32_t key_domain,
    const struct digest *, enum read_mode, uint64_t *size_r);

/** blobs_remove(b, domain, digest): with the folder that held it, if it is
 * empty then.  RC_NOTFOUND. */
RC_MUST_USE enum rc
blobs_remove(struct blobs *, uint32_t key_domain, const struct digest *);

/** blobs_folders_sweep(b): remove the folders of blobs that are empty. */
RC_MUST_USE enum rc blobs_folders_sweep(struct blobs *);
/** blobs_folders_removed(b): by these two, since it was opened. */
uint64_t blobs_folders_removed(const struct blobs *);

/**
 * blobs_quarantine(b, domain, digest, fd):
 * Out of service, kept for a person.  ${fd}: from blobs_open() or
 * blobs_open_raw(), what was found damaged.  RC_NOTFOUND; RC_BUSY: a push has put other content there since.
 */
RC_MUST_USE enum rc blobs_quarantine(
    struct blobs *, uint32_t key_domain, const struct digest *, int fd);

/**
 * blobs_walk(b, fn, arg):
 * Call ${fn} for each blob, in no order, until it returns non-zero.  What is
 * added or removed meanwhile may or may not be seen.  Files that are no
 * blobs are given with ${digest} NULL and their path.
 */
typedef int blobs_walk_fn(void *arg, uint32_t key_domain, const struct digest *,
    uint64_t size_bytes, const char *path);
RC_MUST_USE enum rc blobs_walk(struct blobs *, blobs_walk_fn *, void *arg);

/** blobs_scratch_walk(b, fn, arg): the same for scratches. */
typedef int scratch_walk_fn(
    void *arg, const char *id, uint64_t size_bytes, int64_t changed_ms);
RC_MUST_USE enum rc
blobs_scratch_walk(struct blobs *, scratch_walk_fn *, void *arg);

#endif
