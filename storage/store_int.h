#ifndef STORAGE_STORE_INT_H
#define STORAGE_STORE_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "storage/gc_gate_int.h"
#include "storage/records.h"
#include "storage/store.h"

/*
 * An open folder.  Made whole by store_open() and unchanged until
 * store_close(), but for what is atomic; so any thread may read it.
 */
struct ballast;
struct tier;
struct uploads;

/* What statvfs said last; refreshed by whoever finds it old. */
struct store_disk {
	_Atomic int64_t fresh_until_ns; /* clock_mono_ns() */
	_Atomic uint64_t free_bytes;
	_Atomic uint64_t reserve_bytes;
	_Atomic bool read_only; /* the filesystem */
	_Atomic bool failed;	/* statvfs did */
};

#define STORE_MAGIC 0x53746f72

struct store {
	uint32_t magic;
	struct store_options options; /* .dir is a copy of the store's own */
	int dir_fd;
	int lock_fd; /* -1: read-only and no lock file to hold */
	struct meta *meta;
	struct blobs *blobs;
	struct uploads *uploads;
	struct tier *tier;
	struct ballast *ballast; /* NULL: read-only */
	_Atomic bool orphans_suspected;
	_Atomic bool snapshot_taken; /* there is one */
	struct gc_gate gate;
	struct store_disk disk;
	/* Where the collector goes on with what is to be archived, when it had
	 * to stop; its thread's alone. */
	struct rec_key archive_from;
};

#define STORE_ARCHIVE_DIR "archive"

/*
 * The rooms' parts, opened in this order by store_open() and closed in
 * reverse by store_close().  What they make in the folder is durable, its
 * entry in the parent folder included, when they return.
 */

/** blobs_fs_open(dir_fd, dir, read_only, b_r): blobs/, uploads/, quarantine/
 * below ${dir}, created where missing unless ${read_only}. */
RC_MUST_USE enum rc
blobs_fs_open(int dir_fd, const char *dir, bool read_only, struct blobs **b_r);
/** blobs_fs_close(b): takes NULL and a pointer to NULL. */
void blobs_fs_close(struct blobs **);
/** blobs_fs_sync_failed(b): for store_failed(): content could not be synced,
 * nothing more is taken in.  Any thread. */
bool blobs_fs_sync_failed(const struct blobs *);

/** uploads_open(s, u_r): the table of sessions; ${s} has all but it. */
RC_MUST_USE enum rc uploads_open(struct store *, struct uploads **u_r);
/** uploads_close(u): takes NULL and a pointer to NULL. */
void uploads_close(struct uploads **);

/* store_folder.c: each of them fills ${why} when it fails. */

/** store_fail(s, why, err, what): of errno ${err}. */
enum rc store_fail(const struct store *, char *why, int err, const char *what);

/** store_dir_open(s, why): fills .dir_fd; makes the folder unless read-only.
 */
RC_MUST_USE enum rc store_dir_open(struct store *, char *why);
/** store_dir_check(s, why): may a registry be made in it?  RC_EXISTS. */
RC_MUST_USE enum rc store_dir_check(const struct store *, char *why);
/** store_lock(s, why): fills .lock_fd, unless read-only and there is none.
 * RC_BUSY. */
RC_MUST_USE enum rc store_lock(struct store *, char *why);
void store_unlock(struct store *);

/** snapshot_sweep(s): what a crash has left of one.  snapshot.c */
void snapshot_sweep(struct store *);

/** store_ballast_renew(s): make it when there is plenty of room.  May block. */
void store_ballast_renew(struct store *);

/** store_disk_refresh(s): ask the filesystem if that was long ago. */
void store_disk_refresh(struct store *);

/*
 * From one format of the folder to the next.  A step runs in a transaction
 * that also records the format it leads to, so that each runs once.
 */
struct meta_txn;

struct store_upgrade {
	unsigned from; /* leads to from + 1 */
	enum rc (*step)(struct meta_txn *, void *arg);
	bool readable; /* without the step, by one who only reads */
};

/** store_upgrade_run(s, steps, n_steps, to, why): RC_VERSION: no step leads
 * on from the format that is there. */
RC_MUST_USE enum rc
store_upgrade_run(struct store *, const struct store_upgrade *, size_t n_steps,
    unsigned to, char why[STORE_WHY_BYTES]);

/** store_upgrade(s, why): to STORE_FORMAT: store_upgrade.c */
RC_MUST_USE enum rc store_upgrade(struct store *, char why[STORE_WHY_BYTES]);
/** store_newer(s, format, to, why): RC_VERSION. */
enum rc
store_newer(const struct store *, unsigned format, unsigned to, char *why);

/** store_format_read(dir_fd, format_r): RC_NOTFOUND; RC_CORRUPT. */
RC_MUST_USE enum rc store_format_read(int dir_fd, unsigned *format_r);
/** store_format_write(dir_fd, format): atomic and durable. */
RC_MUST_USE enum rc store_format_write(int dir_fd, unsigned format);

#endif
