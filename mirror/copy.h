#ifndef MIRROR_COPY_H
#define MIRROR_COPY_H

#include "mirror/place.h"

/*
 * Copy images from place to place: manifests as they are, byte for byte, with
 * all they refer to, what they refer to first, the tag last.  Only what is
 * missing moves: a tag that points at the same manifest on both sides costs one
 * HEAD on each, content that is there already is not read.
 *
 * So of an image that is there it is not asked again whether its layers are,
 * unless asking costs nothing (struct place, .here); of an index, whether the
 * images that were chosen are; and with .referrers, for a list of what refers
 * to it and to each of them: the API's, and cosign's tags (sha256-HEX.sig,
 * .att, .sbom).  A destination that does not know the API gets a list of
 * referrers under the tag that the specification has for that (sha256-HEX).
 *
 * Layers that are not distributable stay where they are.
 */
#define COPY_DEPTH_MAX 8	 /* of indexes in indexes, referrers of ... */
#define COPY_MANIFESTS_MAX 10000 /* that belong to one image */
#define COPY_PLATFORMS_MAX 32

struct platform {
	struct span os, architecture, variant; /* variant may be empty: any */
};

/** platform_parse(text, p_r): "linux/amd64", "linux/arm/v7"; borrows the text.
 * arm64 and arm64/v8 are the same, arm and arm/v7 too.  RC_INVALID. */
RC_MUST_USE enum rc platform_parse(struct span text, struct platform *p_r);

/* What is going on, for a line on a terminal; any thread reads it. */
struct copy_progress {
	/* Total 0: not known yet.  copy_image() counts one when it ends, well or
	 * not; who calls it says of how many. */
	_Atomic uint64_t images, images_total;
	_Atomic uint64_t blobs, blobs_total;
	_Atomic uint64_t bytes, bytes_total; /* of blobs that move */
	_Atomic uint64_t moved_manifests;
};

struct copy_options {
	/* Children of indexes, with their attestations; none: all.  The index
	 * is stored as it is: the destination has to take one without all of
	 * its images.  What is no index is copied whatever it is for. */
	const struct platform *platforms;
	size_t n_platforms;
	bool referrers;	   /* and what refers to what is copied, however deep */
	unsigned parallel; /* blobs at once; 0: 4; 1 with places that are
			      serial */
	struct copy_progress *progress; /* or NULL */
	const atomic_bool *cancel;	/* or NULL */
};

enum copy_outcome {
	COPY_SAME,  /* nothing moved: it was there, referrers included */
	COPY_MOVED, /* manifests at least */
};

struct copy_result {
	enum copy_outcome outcome;
	struct digest digest;
	uint64_t manifests, blobs, bytes; /* that moved, also before a failure
					   */
	uint64_t skipped_children;	  /* by .platforms */
	bool at_destination; /* what failed is the place written to */
};

/**
 * copy_image(from, ref, to, tag, options, result_r, error):
 * ${tag}: what it is called there; empty: by its digest alone.  Codes of
 * mirror/upstream.h; RC_NOTFOUND: ${from} has no such image, or an index none
 * of the platforms; RC_MISSING: ${to} does not take an index without all of its
 * images; RC_EXISTS: its tag is immutable; RC_TOOBIG: more than the limits
 * above, or than memory for its manifests.  What was copied before a failure
 * stays, and the next try goes on from there.
 */
RC_MUST_USE enum rc copy_image(struct place *from, const struct reference *,
    struct place *to, struct span tag, const struct copy_options *,
    struct copy_result *result_r, struct upstream_error *);

#endif
