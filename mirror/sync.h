#ifndef MIRROR_SYNC_H
#define MIRROR_SYNC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mirror/copy.h"
#include "mirror/select.h"

/*
 * One run of a mirror: the tags that are selected at the source are made the
 * same at the destination.  Tags that are the same cost one HEAD each and move
 * nothing (mirror/copy.h says what else is asked, with referrers).
 *
 * Tags that belong to an image (sha256-HEX, sha256-HEX.sig, ...) are not
 * selected by themselves: with .copy.referrers they come along with it.  A blob
 * that several images need moves once.
 *
 * After SYNC_FAILURES_MAX images in a row that failed since the source or the
 * destination cannot be reached, or refuses, the others are not tried: they
 * have failed, too.
 */
#define SYNC_FAILURES_MAX 10
#define SYNC_TAGS_MAX 1000000 /* that a source may list */

enum sync_delete {
	SYNC_KEEP,	   /* what the source has no more stays */
	SYNC_DELETE,	   /* tags that are selected and that the source has no
			      more are removed; never when the source listed no
			      tag, or when it would be more than half of them
			      (and more than 5): that is a failure */
	SYNC_DELETE_FORCE, /* even then */
};

enum sync_outcome { SYNC_SAME, SYNC_COPIED, SYNC_DELETED, SYNC_FAILED };

struct sync_image {
	struct span tag; /* empty: what failed is the removal of several */
	enum sync_outcome outcome;
	struct digest digest;
	uint64_t manifests, blobs, bytes; /* that moved */
	const char *why;		  /* SYNC_FAILED */
};

struct sync_options {
	struct place *from, *to;
	const struct selection *selection;
	struct copy_options copy;
	unsigned images; /* at once; 0: 4 */
	enum sync_delete deletes;
	/* One image is done; called by one thread at a time. */
	void (*image)(void *arg, const struct sync_image *);
	void *arg;
};

struct sync_result {
	uint64_t tags, selected; /* at the source */
	uint64_t same, copied, deleted, failed;
	uint64_t manifests, blobs, bytes;
	int64_t started_ms, ended_ms;
};

/** sync_run(options, result_r, error): RC_OK: also with images that failed;
 * else the list of tags could not be had (RC_TOOBIG: it is longer than
 * SYNC_TAGS_MAX), or it was cancelled.  Adds to .copy.progress how many images
 * there are. */
RC_MUST_USE enum rc sync_run(const struct sync_options *,
    struct sync_result *result_r, struct upstream_error *);

#endif
