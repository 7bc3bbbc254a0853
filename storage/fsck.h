#ifndef STORAGE_FSCK_H
#define STORAGE_FSCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

/*
 * The check of a whole folder: every record is read and held against the
 * others, every blob is hashed again.  Works beside a serving process's own
 * traffic (in that process) and on a stopped folder; what changes meanwhile
 * is looked at again before it is called a problem.
 */
enum fsck_problem_kind {
	FSCK_RECORD,   /* a record that cannot be read */
	FSCK_MISSING,  /* a record of content that is not there */
	FSCK_SIZE,     /* content of another size than recorded */
	FSCK_DIGEST,   /* content that does not match its digest */
	FSCK_DANGLING, /* a record that refers to one that is not there */
	FSCK_INDEX,    /* an index disagrees with what it indexes */
	FSCK_COUNT,    /* a kept count is wrong */
};

struct fsck_problem {
	enum fsck_problem_kind kind;
	bool repaired;
	const char *text; /* names the object; valid during the call */
};

struct fsck_options {
	bool repair;	   /* quarantine damaged content; remove dangling rows;
			rebuild indexes and counts */
	bool skip_content; /* records only */
	uint64_t bytes_per_s; /* of re-hashing; 0: no limit */
	void (*problem)(void *arg, const struct fsck_problem *);
	void *arg;
	const _Atomic bool *stop; /* set by others to cancel; may be NULL */
};

/* Changed by the running check, read by others. */
struct fsck_progress {
	_Atomic uint64_t records, blobs, blobs_total, bytes, bytes_total;
	_Atomic uint64_t problems, repaired;
	_Atomic uint64_t orphan_files, orphan_bytes; /* files no record knows:
							told, not a problem */
	/* Encrypted content that could not be read, since its key is not here:
	 * told, not a problem. */
	_Atomic uint64_t locked_blobs, locked_bytes;
};

/** fsck_run(s, options, progress): RC_OK also with problems found (see
 * ${progress}); RC_CANCELLED; RC_IO, RC_LIMIT (too many open files): it ended
 * early.  A thread of its own. */
RC_MUST_USE enum rc
fsck_run(struct store *, const struct fsck_options *, struct fsck_progress *);

#endif
