#ifndef MIRROR_BACKUP_INT_H
#define MIRROR_BACKUP_INT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "mirror/backup.h"
#include "storage/snapshot.h"

/*
 * What backup*.c share.  A backup is a tar archive of these, in this order:
 *
 *	registryd-backup.json	struct backup_head
 *	format			as in the folder
 *	meta.mdb
 *	archive/..., blobs/...	what snapshot_files() tells of meta.mdb, in its
 *				order, and nothing else
 *	registryd-backup.end	the tally, byte by byte
 */
#define BACKUP_HEAD "registryd-backup.json"
#define BACKUP_END "registryd-backup.end"
#define BACKUP_FORMAT_FILE "format"
#define BACKUP_META_FILE "meta.mdb"
#define BACKUP_VERSION 1
/* Of those of them that are text. */
#define BACKUP_TEXT_MAX_BYTES ((size_t)16 * 1024)
#define BACKUP_CHUNK_BYTES ((size_t)256 * 1024)

/** backup_fail(why, rc, fmt, ...): say why; ${rc}. */
enum rc backup_fail(char why[ARCHIVE_WHY_BYTES], enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

bool backup_stopped(const atomic_bool *cancel);

/* backup_text.c */

struct backup_head {
	uint64_t files;	     /* of content */
	uint64_t bytes;	     /* of these files and meta.mdb */
	uint64_t meta_bytes; /* and its digest: it is not opened before it is
				known to be what was written */
	struct digest meta_digest;
};

void backup_head_write(const struct backup_head *, struct buf *out);
/** backup_head_read(text, head_r, why): RC_INVALID, RC_VERSION. */
RC_MUST_USE enum rc backup_head_read(
    struct span text, struct backup_head *head_r, char why[ARCHIVE_WHY_BYTES]);

/** backup_format_check(text, why): of the file "format".  RC_INVALID,
 * RC_VERSION. */
RC_MUST_USE enum rc
backup_format_check(struct span text, char why[ARCHIVE_WHY_BYTES]);

/* What there was so far, by name, digest and size. */
struct backup_tally {
	struct hasher *hasher;
	uint64_t files, bytes;
};
void backup_tally_init(struct backup_tally *);
void backup_tally_add(struct backup_tally *, const char *name,
    const struct digest *, uint64_t size_bytes);
/** backup_tally_end(tally, out): the text of BACKUP_END; once. */
void backup_tally_end(struct backup_tally *, struct buf *out);
void backup_tally_free(struct backup_tally *);

/* backup_check.c: is a file of content, as its bytes come, what it is to be?
 */

struct backup_check;

struct backup_check *backup_check_new(const struct snapshot_file *);
/** backup_check_update(c, p, n): RC_CORRUPT: it is not, whatever follows. */
RC_MUST_USE enum rc
backup_check_update(struct backup_check *, const void *p, size_t n);
/** backup_check_end(c): that was all.  RC_CORRUPT. */
RC_MUST_USE enum rc backup_check_end(struct backup_check *);
/** backup_check_free(c): takes NULL. */
void backup_check_free(struct backup_check **);

/* backup_sealed.c: files of content that is encrypted.  What is in them can only
 * be checked with their keys. */

/** backup_sealed_check(fd, file, keys, cancel, verified_r): all of it is what it
 * is to be, if ${keys} has its key; else only what can be seen without.
 * RC_CORRUPT, RC_CANCELLED, RC_IO. */
RC_MUST_USE enum rc backup_sealed_check(int fd, const struct snapshot_file *,
    struct store *keys, const atomic_bool *cancel, bool *verified_r);

/* backup_place.c: the folder that is being restored. */

struct backup_place;

/** backup_place_new(dir, place_r, why): RC_EXISTS: it is not empty, or another
 * restore is at it or was left. */
RC_MUST_USE enum rc backup_place_new(const char *dir,
    struct backup_place **place_r, char why[ARCHIVE_WHY_BYTES]);
/** backup_place_path(p): the folder to put it together in. */
const char *backup_place_path(const struct backup_place *);
/** backup_place_room(p, n, why): RC_NOSPACE. */
RC_MUST_USE enum rc backup_place_room(
    const struct backup_place *, uint64_t n_bytes, char why[ARCHIVE_WHY_BYTES]);
/** backup_place_create(p, name, fd_r, why): a new file, with the folders that
 * it stands in. */
RC_MUST_USE enum rc backup_place_create(struct backup_place *, const char *name,
    int *fd_r, char why[ARCHIVE_WHY_BYTES]);
/** backup_place_settle(p, why): sync all folders, give it its name. */
RC_MUST_USE enum rc
backup_place_settle(struct backup_place *, char why[ARCHIVE_WHY_BYTES]);
/** backup_place_free(p): what was not settled goes.  Takes NULL. */
void backup_place_free(struct backup_place **);

#endif
