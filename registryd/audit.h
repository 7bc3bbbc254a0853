#ifndef REGISTRYD_AUDIT_H
#define REGISTRYD_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
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
 * cannot be written stops nothing; it is said once in the log of the server,
 * and once more when it works again.
 */
#define AUDIT_EVENTS(X) \
	X(IMAGE_DELETE, "image-delete") /* with the tags that it had */ \
	X(TAG_DELETE, "tag-delete")	/* and the image stays */ \
	X(BLOB_DELETE, "blob-delete")	/* by DELETE /v2/.../blobs/... */ \
	X(REPOSITORY_DELETE, "repository-delete") \
	X(IMAGE_ARCHIVE, "image-archive") /* UpdateImageStorageClass */ \
	X(IMAGE_RESTORE, "image-restore") \
	X(UNDELETE, "undelete") /* of an image; without digest: of all */ \
	X(POLICY_PUT, "lifecycle-policy-put") \
	X(POLICY_DELETE, "lifecycle-policy-delete") \
	X(LIFECYCLE_EXPIRE, "lifecycle-expire")	  /* of one image */ \
	X(LIFECYCLE_ARCHIVE, "lifecycle-archive") /* of one image */ \
	X(LIFECYCLE_RUN, "lifecycle-run") /* of a repository, at its end, if \
					     anything came of it */ \
	X(GC, "gc") /* of a repository, what a collection reclaimed */

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
	bool tags_known;
	const struct span *tags;
	size_t n_tags;
	int64_t rule; /* its priority */
	uint64_t policy_revision;
	uint64_t bytes;	   /* also of AUDIT_GC: reclaimed */
	uint64_t children; /* of AUDIT_UNDELETE: restored with it */
	/* of AUDIT_GC; these are shown when they are 0, too */
	uint64_t links, blobs;
	/* of AUDIT_LIFECYCLE_RUN; so are these */
	struct span outcome;
	uint64_t expired, archived;
};

struct audit;

/** audit_new(target): "off", "stderr", or the path of a file, which is opened.
 * Never fails: a file that cannot be opened is tried again at the next
 * audit_reopen(), and the log says so. */
struct audit *audit_new(const char *target);

/** audit_reopen(a, target): from now on there; a file is opened anew even if it
 * is the same.  Any thread. */
void audit_reopen(struct audit *, const char *target);

/** audit_write(a, event): NULL is a log that is off.  Any thread; may wait for
 * the disk: not a loop. */
void audit_write(struct audit *, const struct audit_event *);

/** audit_free(a): takes NULL; sets it to NULL. */
void audit_free(struct audit **);

#endif
