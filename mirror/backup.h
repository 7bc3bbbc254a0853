#ifndef MIRROR_BACKUP_H
#define MIRROR_BACKUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mirror/archive.h"
#include "storage/store.h"

/*
 * A whole registry in a file: "registryd-backup.json" (format, version, time,
 * counts), "format", "meta.mdb" as storage/snapshot.h made it, the files of
 * content, and at the end "registryd-backup.end", which says that it is
 * complete, with the number of files and the SHA-256 of their names and
 * digests.  The master key is not in it.
 */
struct backup_progress {
	_Atomic uint64_t files, files_total, bytes, bytes_total;
	/* Files of encrypted content whose key is not here: of them only the
	 * length and the header were checked. */
	_Atomic uint64_t locked;
};

/** backup_write(dir, archive_dir, meta_path, keys, path, fd, compression,
 * progress, cancel, why): of a folder whose snapshot is held, or that nobody may change;
 * to ${fd}, or, -1, to ${path}, which appears under its name only when all is
 * written and synced.  ${archive_dir} NULL: ${dir}/archive.  Every blob is
 * verified as it is read, one that is encrypted by the keys of the store
 * ${keys}, which may be NULL, as far as they are there: one that is damaged is
 * named in ${why}: RC_CORRUPT.
 */
RC_MUST_USE enum rc backup_write(const char *dir, const char *archive_dir,
    const char *meta_path, struct store *keys, const char *path, int fd,
    enum archive_compression, struct backup_progress *,
    const atomic_bool *cancel, char why[ARCHIVE_WHY_BYTES]);

/** backup_restore(path, dir, progress, cancel, why): into a folder that is
 * missing or empty, which appears when all is there, verified and durable;
 * meanwhile there is ${dir}.restoring, or, where ${dir} is a mounted disk,
 * ${dir}/restoring.  Encrypted content is verified when somebody has its key.
 * ${path} "-": standard input.
 * RC_EXISTS: it is not empty; RC_INVALID: not a backup, not complete, or
 * changed; RC_VERSION: of a newer format; RC_NOSPACE. */
RC_MUST_USE enum rc
backup_restore(const char *path, const char *dir, struct backup_progress *,
    const atomic_bool *cancel, char why[ARCHIVE_WHY_BYTES]);

#endif
