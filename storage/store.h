#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/*
 * One folder of a registry, opened.  It joins the two stores behind the seams:
 * blobs.h (content too large for a database, by digest) and meta.h (all that
 * is known about content, and the small content itself).  Above this room
 * only store.h, meta.h, content.h, upload.h and fsck.h are used.
 *
 *	DIR/lock		flock'ed by the one process that serves DIR
 *	DIR/format		"registryd-format 6\n"
 *	DIR/meta.mdb		LMDB environment (and meta.mdb-lock)
 *	DIR/blobs/<alg>/<2 hex>/<hex>
 *	DIR/blobs/k<domain>/<alg>/<2 hex>/<hex>	sealed (storage/keys.h)
 *	DIR/uploads/<session>	scratch of unfinished uploads
 *	DIR/quarantine/		what fsck --repair took out of service
 *	DIR/snapshot/		a copy of the metadata, while a backup is written
 *	DIR/ballast		some MiB that are given up when the disk is full
 *				and something is to be deleted
 *	DIR/archive/		content that only archived images need, named as
 *				in blobs/; or the folder that .archive_dir says
 *
 * DIR/master.key and DIR/admin-credentials, if they are there, are of rooms
 * above.
 */
#define STORE_FORMAT 6

struct store;
struct meta;
struct blobs;

struct store_options {
	const char *dir;	   /* created (0700) when missing */
	uint64_t inline_max_bytes; /* blobs up to this live in the database */
	uint64_t reserve_bytes;	   /* free space kept; 0: the smaller of 256 MiB
				   and 5 % of the filesystem */
	uint64_t map_bytes;	   /* initial size of the memory map */
	uint64_t upload_max_bytes; /* 0: no limit */
	uint64_t part_max_bytes; /* of all upload_part together; 0: no limit */
	unsigned upload_sessions_max;
	int64_t upload_lifetime_ms;
	unsigned max_threads;	 /* that will ever read at once */
	const char *archive_dir; /* NULL: DIR/archive; made (0700) when
				    something is put there, but not anew */
	int64_t undelete_ms; /* deleted images can be restored for so long; 0:
				they are gone at once */
	bool read_only;	     /* fsck and stats of a stopped folder */
};

/**
 * store_open(options, why, store_r):
 * Lock and open a folder; create one that is missing or empty; upgrade one of
 * an older format (which can also be read as it is).  ${why} tells a person what is wrong and what to do:
 * RC_BUSY another process serves it; RC_VERSION a newer format; RC_EXISTS it
 * holds something else; RC_NOTFOUND to be read only and not there; RC_CORRUPT;
 * RC_NOSPACE, RC_READONLY, RC_DENIED, RC_LIMIT, RC_IO.  Start-up only.
 */
#define STORE_WHY_BYTES 512
RC_MUST_USE enum rc store_open(const struct store_options *,
    char why[STORE_WHY_BYTES], struct store **store_r);

/** store_close(s): finish what is queued, close, unlock.  Takes NULL. */
void store_close(struct store **);

struct meta *store_meta(struct store *);
struct blobs *store_blobs(struct store *);

/** store_undelete_set(s, ms): .undelete_ms from now on; what was deleted
 * before goes by the new one, too.  Any thread. */
void store_undelete_set(struct store *, int64_t undelete_ms);
int64_t store_undelete_ms(const struct store *);

/**
 * store_room(s, n_bytes):
 * May ${n_bytes} more be taken in?  RC_NOSPACE when they would eat into the
 * reserve; RC_READONLY.  One statvfs at most every 100 ms; any thread.
 */
RC_MUST_USE enum rc store_room(struct store *, uint64_t n_bytes);

/**
 * store_reads_inline(s):
 * May a point read run on an event loop?  True of a memory map, false of a
 * store behind a network.
 */
bool store_reads_inline(const struct store *);

/**
 * store_failed(s):
 * A sync failed: what the disk holds is unknown, nothing more is
 * acknowledged (writes give RC_IO) until the process starts anew.  /readyz
 * shows it.  Any thread.
 */
bool store_failed(const struct store *);

struct store_stats {
	uint64_t repositories, manifests, tags, blobs, blob_links, referrers;
	uint64_t upload_sessions;
	uint64_t inline_blobs, inline_bytes; /* in the database */
	uint64_t file_blobs, file_bytes;
	uint64_t unreferenced_blobs, unreferenced_bytes; /* held by nobody */
	uint64_t archived_blobs, archived_bytes, archived_stored_bytes;
	uint64_t idle_links;	 /* that wait for the collector */
	uint64_t deleted_images; /* that can be restored */
	uint64_t map_bytes, map_used_bytes, page_bytes;
	uint64_t map_free_bytes; /* of those used: to be used again */
	uint64_t disk_free_bytes, disk_reserve_bytes;
	uint64_t ballast_bytes; /* 0: it was given up, or never made */
	uint64_t archive_away;	/* 1: the archive with our content was not there
				  when it was looked for last */
	uint64_t commit_queue, commits, commit_ops; /* depth now; since start */
};

/** store_stats(s, st_r): counts kept by transactions, no walk.  Any thread. */
void store_stats(struct store *, struct store_stats *st_r);

#endif
