#ifndef REGISTRYD_AUDIT_H
#define REGISTRYD_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * The audit log: what went from the registry or came back, and by whose doing.
 * One JSON object a line, appended with one write(2) each to a file of mode
 * 0600, or to standard error:
 *
 *  {"time":"2026-01-31T12:00:00.123Z","event":"lifecycle-expire",
 *   "repository":"team/app","digest":"sha256:...","tags":["v1"],"rule":1,
 *   "policy_revision":7,"bytes":1234}
 *
 * Members that do not belong to an event, or of which nothing is known, are
 * left out.  "by" is who asked: an ARN, "anonymous", or "local" for whoever
 * came by the control socket.  Nothing that somebody sent can forge a line.
 *
 * A line is written behind the change that it tells of, which is durable then.
 * The log is not synced: the loss of power can take its last lines.  A log that
 * cannot be written stops nothing: its lines are kept in memory, up to a bound,
 * and written, in their order, when it can be.  How many were lost beyond that
 * stands in the log, where they were.  The log of the server says once that it
 * cannot be written, and once more when it works again.
 */
#define AUDIT_EVENTS(X) \
	X(IMAGE_DELETE, "image-delete") /* with the tags that it had */ \
	X(TAG_DELETE, "tag-delete")	/* and the image stays */ \
	X(BLOB_DELETE, "blob-delete")	/* by DELETE /v2/.../blobs/... */ \
	X(REPOSITORY_DELETE, "repository-delete") \
	X(IMAGE_ARCHIVE, "image-archive") /* UpdateImageStorageClass */ \
	X(IMAGE_RESTORE, \
	    "image-restore") /* also by a push, or with another */ \
	X(REFERRER_DELETE, "referrer-delete")	/* by the collector, ... */ \
	X(REFERRER_ARCHIVE, "referrer-archive") /* ... after its subject */ \
	X(REFERRER_RESTORE, "referrer-restore") /* ... with it */ \
	X(UNDELETE, "undelete") /* of an image; without digest: of all */ \
	X(POLICY_PUT, "lifecycle-policy-put") \
	X(POLICY_DELETE, "lifecycle-policy-delete") \
	X(LIFECYCLE_EXPIRE, "lifecycle-expire")	  /* of one image */ \
	X(LIFECYCLE_ARCHIVE, "lifecycle-archive") /* of one image */ \
	X(LIFECYCLE_RUN, "lifecycle-run") /* of a repository, at its end, if \
					     anything came of it */ \
	X(GC, "gc") /* of a repository, what a collection reclaimed */ \
	X(CACHE_IMPORT, "cache-import")	  /* by the pull through cache */ \
	X(CACHE_EVICT, "cache-evict")	  /* as it is full */ \
	X(MIRROR_COPY, "mirror-copy")	  /* of one tag */ \
	X(MIRROR_DELETE, "mirror-delete") /* the source has it no more */ \
	X(REPLICATE, "replicate")	  /* to one destination, or not */ \
	X(LOST, "lines-lost")		  /* here; see "lines" */

enum audit_kind {
#define X(id, text) AUDIT_##id,
	AUDIT_EVENTS(X)
#undef X
};

/* .n 0, NULL and 0 are "not known". */
struct audit_event {
	enum audit_kind kind;
	struct span by;
	struct span repository;
	/* of an image */
	const struct digest *digest;
	const struct digest *subject; /* of a referrer */
	const struct digest *with;    /* another image, with which it came
					 back */
	bool tags_known;
	const struct span *tags;
	size_t n_tags;
	int64_t rule; /* its priority */
	uint64_t policy_revision;
	uint64_t bytes;	   /* also of AUDIT_GC: reclaimed */
	uint64_t children; /* of AUDIT_UNDELETE: restored with it */
	/* of AUDIT_GC; these are shown when they are 0, too */
	uint64_t links, blobs;
	struct span from; /* another registry and its repository */
	struct span to;	  /* a destination: "REGION/ACCOUNT" */
	struct span name; /* of a mirror */
	struct span why;  /* it failed */
	/* of AUDIT_LIFECYCLE_RUN; so are these; the first also of
	 * AUDIT_REPLICATE */
	struct span outcome;
	uint64_t expired, archived;
	uint64_t lines; /* of AUDIT_LOST */
};

struct audit;

#define AUDIT_WHY_BYTES 512

/* Where the log goes: "off", "stderr", or the path of a file, which is open. */
struct audit_target;

/** audit_target_open(target, why, r): RC_IO: a file that cannot be opened;
 * ${why} names it, and the reason. */
RC_MUST_USE enum rc audit_target_open(
    const char *target, char why[AUDIT_WHY_BYTES], struct audit_target **r);
/** audit_target_drop(target): one that was not used after all; takes NULL. */
void audit_target_drop(struct audit_target **);

/** audit_new(target): which it takes, and sets to NULL. */
struct audit *audit_new(struct audit_target **);

/** audit_reopen(a, target): from now on there, from the first line that is not
 * whole in the old one on.  Takes ${target} as audit_new() does.  Any
 * thread. */
void audit_reopen(struct audit *, struct audit_target **);

/** audit_write(a, event): NULL is a log that is off.  Any thread; may wait for
 * the disk: not a loop. */
void audit_write(struct audit *, const struct audit_event *);

/** audit_flush(a): try to write what was kept.  Takes NULL.  As
 * audit_write(). */
void audit_flush(struct audit *);

/** audit_free(a): takes NULL; sets it to NULL.  Lines that cannot be written by
 * then are lost, and the log of the server says so. */
void audit_free(struct audit **);

#endif
