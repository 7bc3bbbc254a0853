#ifndef STORAGE_TIER_INT_H
#define STORAGE_TIER_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "storage/tier.h"

/*
 * The archive, private to tier*.c.
 *
 * What is being put lies at the top of the folder, as put-<run>-<number>,
 * until it is complete and synced and gets its name.  <run> is another with
 * every tier_open(), and nobody else may have the folder open for writing: so
 * one of another run is what a crash has left.
 */
#define TIER_MAGIC 0x54696572U

#define TIER_RUN_BYTES 33 /* 32 hex digits and a NUL */
/* "put-", run, "-", 16 hex digits, NUL. */
#define TIER_TEMP_BYTES (4 + TIER_RUN_BYTES + 1 + 16)

/* Read, and given to zstd, at once; also what tells whether it shrinks. */
#define TIER_CHUNK_BYTES ((size_t)1 << 20)
/* 128 MiB, the most that a frame of ours asks of who reads it. */
#define TIER_WINDOW_LOG 27

struct tier {
	unsigned magic;
	char *dir;
	bool read_only;
	struct tier_owner owner;
	blobs_key_fn *key_fn; /* NULL: nothing can be sealed */
	void *key_arg;
	char run[TIER_RUN_BYTES];
	pthread_mutex_t lock; /* of what follows, and held while a name is
				 given or taken away, so that no folder goes
				 from under it */
	int dir_fd;	      /* -1: not there yet, or not ours */
	bool marked;	      /* as ours */
	bool settled;	      /* the entry in its parent folder is durable */
	_Atomic bool away;    /* and that was told */
	uint64_t n_put;
};

/** tier_failed(t, what, path): log errno, give its rc. */
enum rc tier_failed(const struct tier *, const char *what, const char *path);

/** tier_damaged(t, path, why): log it; RC_CORRUPT. */
enum rc tier_damaged(const struct tier *, const char *path, const char *why);

/** tier_folder(t, make, fd_r): borrowed.  RC_NOTFOUND: it is not there, and
 * not to be made; RC_MISSING: nor may it be; RC_BUSY: another process writes
 * there. */
RC_MUST_USE enum rc tier_folder(struct tier *, bool make, int *fd_r);

/** tier_temp_make(t, name, fd_r): RC_NOSPACE. */
RC_MUST_USE enum rc
tier_temp_make(struct tier *, char name[TIER_TEMP_BYTES], int *fd_r);
void tier_temp_remove(struct tier *, const char *name);

/** tier_key(t, domain, key_r): RC_LOCKED. */
RC_MUST_USE enum rc
tier_key(struct tier *, uint32_t key_domain, struct seal_key *key_r);

/** tier_name_give(t, name, path): give what is synced its name, durably. */
RC_MUST_USE enum rc
tier_name_give(struct tier *, const char *name, const char *path);

/** tier_stopped(stop). */
bool tier_stopped(const _Atomic bool *stop);

/** tier_between(pace, began_ns): let others have their turn. */
RC_MUST_USE enum rc tier_between(const struct tier_pace *, int64_t began_ns);

/* tier_marker.c */

/** tier_mark_check(t, fd, take): is the folder ${fd} ours, or may it be?  With
 * ${take} it is marked then.  RC_NOTFOUND: not yet; RC_MISSING: no, and that
 * is told. */
RC_MUST_USE enum rc tier_mark_check(struct tier *, int fd, bool take);
/** tier_mark_none(t): the same of a folder that is not there.  RC_NOTFOUND: it
 * may be made; RC_MISSING. */
RC_MUST_USE enum rc tier_mark_none(struct tier *);
/** tier_is_mark(name). */
bool tier_is_mark(const char *name);

/* What a frame of zstd begins with. */
#define TIER_ZSTD_MAGIC "\x28\xb5\x2f\xfd"
#define TIER_ZSTD_MAGIC_BYTES 4

#endif
