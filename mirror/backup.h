#ifndef MIRROR_BACKUP_H
#define MIRROR_BACKUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mirror/archive.h"

/*
 * A whole registry in a file: "registryd-backup.json" (format, version, time,
 * counts), "format", "meta.mdb" as storage/snapshot.h made it, the files of
 * content, and at the end "registryd-backup.end", which says that it is
 * complete, with the number of files and the SHA-256 of their names and
 * digests.  The master key is not in it.
 */
struct backup_progress {
	_Atomic uint64_t files, files_total, bytes, bytes_total;
};

/** backup_write(dir, archive_dir, meta_path, path, fd, compression, progress,
 * cancel, why): of a folder whose snapshot is held, or that nobody may change;
 * to ${fd}, or, -1, to ${path}, which appears under its name only when all is
 * written and synced.  ${archive_dir} NULL: ${dir}/archive.  Every blob is
 * verified as it is read: one that is damaged is named in ${why}: RC_CORRUPT.
 */
RC_MUST_USE enum rc backup_write(const char *dir, const char *archive_dir,
    const char *meta_path, const char *path, int fd, enum archive_compression,
    struct backup_progress *, const atomic_bool *cancel,
    char why[ARCHIVE_WHY_BYTES]);

/** backup_restore(path, dir, progress, cancel, why): into a folder that is
 * missing or empty, which appears when all is there, verified and durable;
 * meanwhile there is ${dir}.restoring, or, where ${dir} is a mounted disk,
 * ${dir}/restoring.  ${path} "-": standard input.
 * RC_EXISTS: it is not empty; RC_INVALID: not a backup, not complete, or
 * changed; RC_VERSION: of a newer format; RC_NOSPACE. */
RC_MUST_USE enum rc
backup_restore(const char *path, const char *dir, struct backup_progress *,
    const atomic_bool *cancel, char why[ARCHIVE_WHY_BYTES]);

#endif
