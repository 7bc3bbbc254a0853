#ifndef STORAGE_BLOBS_FS_INT_H
#define STORAGE_BLOBS_FS_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/rc.h"
#include "storage/blobs.h"

/*
 * Blobs as files, private to blobs_fs*.c.  Everything is opened relative to
 * descriptors of the three folders, so that the folder may be renamed under
 * a running process.
 */
#define BLOBS_MAGIC 0x626c6f62U
#define SCRATCH_MAGIC 0x73637261U

/* "k4294967295/sha512/ab/" + 128 hex digits + NUL, with some room. */
#define BLOB_PATH_BYTES 168

/* A folder blobs/[k<domain>/]<alg> that is durable, with those of its 256
 * parts that are there. */
struct fanout {
	uint32_t key_domain;
	uint8_t alg;
	struct fanout *next;
};

struct blobs {
	unsigned magic;
	char *dir; /* for messages only */
	int dir_fd;
	int blobs_fd;
	int uploads_fd;
	int quarantine_fd;
	bool read_only;
	blobs_key_fn *key_fn; /* NULL: nothing can be sealed */
	void *key_arg;
	_Atomic bool sync_failed;
	pthread_mutex_t lock; /* of fanouts and their making */
	struct fanout *fanouts;
	pthread_rwlock_t names; /* shared: a name is given, an empty folder is
				   removed; exclusive: what a name leads to is
				   looked at and moved, a folder is made and the
				   first name in it given */
	_Atomic uint64_t folders_removed;
};

/** blobs_fs_failed(b, what, path): log errno, give its rc. */
enum rc
blobs_fs_failed(const struct blobs *, const char *what, const char *path);

int64_t blobs_fs_mtime_ms(const struct stat *);

/** blobs_fs_path(domain, digest, out): relative to the folder blobs/. */
void blobs_fs_path(
    uint32_t key_domain, const struct digest *, char out[BLOB_PATH_BYTES]);

/* Files in uploads/: ID of what is plain, ID.sealed, and ID.copy of one that is
 * being copied to its key domain. */
#define SCRATCH_SEALED ".sealed"
#define SCRATCH_COPY ".copy"
#define SCRATCH_NAME_BYTES (UPLOAD_ID_BYTES + 8)

/** blobs_fs_key(b, domain, mode, key_r): RC_LOCKED; RC_WOULDBLOCK. */
RC_MUST_USE enum rc blobs_fs_key(struct blobs *, uint32_t key_domain,
    enum read_mode, struct seal_key *key_r);

/** blobs_fs_place(b, name, domain, digest): give uploads/${name}, synced
 * already, its place, durably. */
RC_MUST_USE enum rc blobs_fs_place(struct blobs *, const char *name,
    uint32_t key_domain, const struct digest *);

/** blobs_fs_folder_prune(b, dir_fd, path): remove a folder below ${dir_fd} if it
 * is empty. */
RC_MUST_USE enum rc
blobs_fs_folder_prune(struct blobs *, int dir_fd, const char *path);

/** blobs_fs_sync(b, fd, what): fsync of a folder; a failure is remembered. */
RC_MUST_USE enum rc blobs_fs_sync(struct blobs *, int fd, const char *what);

/** blobs_fs_walk(fd, dir, fn, arg): as blobs_walk(), of the folder ${fd} in
 * which files are named as in blobs/, and with the sizes of the files; ${dir} is
 * what its paths begin with. */
RC_MUST_USE enum rc
blobs_fs_walk(int fd, const char *dir, blobs_walk_fn *, void *arg);

#endif
