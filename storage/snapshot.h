#ifndef STORAGE_SNAPSHOT_H
#define STORAGE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "storage/store.h"

/*
 * A consistent view of a folder for a backup, while it is served: a copy of the
 * metadata at one moment, DIR/snapshot/meta.mdb, and the promise that no
 * content it refers to is removed or moved until the snapshot ends: the
 * collector waits.  Pushes go on.  There is at most one.  What a crash leaves
 * of one goes at the next start.
 */
struct snapshot;

#define SNAPSHOT_WHY_BYTES 512
#define SNAPSHOT_META "snapshot/meta.mdb" /* below the folder */

/** snapshot_begin(s, snap_r, why): RC_BUSY: there is one; RC_NOSPACE; RC_IO.
 * Worker; takes as long as the metadata take to be written. */
RC_MUST_USE enum rc snapshot_begin(
    struct store *, struct snapshot **snap_r, char why[SNAPSHOT_WHY_BYTES]);

/** snapshot_path(snap): of the copied metadata, "DIR/snapshot/meta.mdb". */
const char *snapshot_path(const struct snapshot *);

/** snapshot_end(snap): the copy goes, the collector goes on.  Takes NULL. */
void snapshot_end(struct snapshot **);

/*
 * What a backup holds, told from a copy of the metadata, wherever it lies: the
 * files of content, by their names below the folder.
 */
#define SNAPSHOT_PATH_BYTES 192
struct snapshot_file {
	char path[SNAPSHOT_PATH_BYTES]; /* "blobs/sha256/ab/ab12...",
					   "archive/..." */
	uint32_t key_domain;
	struct digest digest; /* of the content; of one that lies compressed in
				  the archive, or sealed, not of the file */
	uint64_t size_bytes;  /* of the content */
	bool archived;
	bool compressed;       /* the file is, or seals, one frame of zstd */
	uint64_t stored_bytes; /* of the file */
};
typedef enum rc snapshot_file_fn(void *arg, const struct snapshot_file *);

/** snapshot_files(meta_path, fn, arg, why): each file once, those in the
 * archive first, and then by key domain and digest; another code than RC_OK of
 * ${fn} ends it, with an empty ${why}.  ${meta_path} ends in "meta.mdb", and
 * nobody changes it meanwhile.  RC_CORRUPT, RC_VERSION: these are not metadata
 * that this version reads. */
RC_MUST_USE enum rc snapshot_files(const char *meta_path, snapshot_file_fn *fn,
    void *arg, char why[SNAPSHOT_WHY_BYTES]);

/** snapshot_name_ok(path, content_r, d_r): may a file of a backup be called so?
 * Only "format", "meta.mdb", and the names that content has. */
bool snapshot_name_ok(const char *path, bool *content_r, struct digest *d_r);

/** snapshot_archive_mark(dir, why): of a folder that was put together from a
 * copy of the metadata and its files: its archive/, which is there, is the one
 * that the metadata tell of (storage/tier.h). */
RC_MUST_USE enum rc
snapshot_archive_mark(const char *dir, char why[SNAPSHOT_WHY_BYTES]);

#endif
