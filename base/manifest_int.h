#ifndef BASE_MANIFEST_INT_H
#define BASE_MANIFEST_INT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/manifest.h"

/*
 * What the reader of manifests and the reader of their descriptors share.
 */
struct manifest_reader {
	struct arena *arena;
	struct manifest *m;
	const json_t *doc;
	bool oci;
	char *why;
};

/* Where in the document something is: "config", or "layers[3]". */
struct manifest_place {
	const char *member;
	size_t index;
	bool in_array;
};

/** manifest_refuse(r, rc, fmt, ...): tell why; returns ${rc}. */
enum rc manifest_refuse(struct manifest_reader *, enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** manifest_refuse_memory(r): the arena is at its cap; RC_TOOBIG. */
enum rc manifest_refuse_memory(struct manifest_reader *);

/** manifest_shown(s): what of a client's text is repeated to it. */
struct span manifest_shown(struct span);

/** manifest_keep(r, s, kept_r): a copy in the arena; RC_TOOBIG. */
RC_MUST_USE enum rc
manifest_keep(struct manifest_reader *, struct span, struct span *kept_r);

/**
 * descriptor_read(r, at, o, before, d_r):
 * Read the descriptor ${o}, which stands ${at}, all but its kind.  ${before}
 * is the one in front of it or NULL: mostly they are of one media type, which
 * is then kept once.  Returns as manifest_parse().
 */
RC_MUST_USE enum rc
descriptor_read(struct manifest_reader *, const struct manifest_place *at,
    const json_t *o, const struct descriptor *before, struct descriptor *d_r);

/**
 * descriptor_foreign(r, at, o, d):
 * Set whether the layer ${d}, read from ${o}, is nondistributable.
 */
RC_MUST_USE enum rc descriptor_foreign(struct manifest_reader *,
    const struct manifest_place *at, const json_t *o, struct descriptor *d);

#endif
