#ifndef STORAGE_FINDINGS_H
#define STORAGE_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/images.h"
#include "storage/meta.h"

/*
 * A part of the seam of meta.h: what scans found.  Findings go with their image,
 * indexes of layers with their blob.  Texts are opaque here, kept compressed,
 * and sealed where the repository's content is.
 */

/** meta_layer_index_get(m, repository, digest, reader, arena, bytes_r): the
 * index of a layer that the repository has, or that is in its archive.
 * RC_NOTFOUND: none, or of another reader (scan/layer.h).  RC_TOOBIG: the arena;
 * RC_LOCKED; RC_CORRUPT: logged. */
#define LAYER_INDEX_TEXT_MAX_BYTES ((size_t)32 << 20)
RC_MUST_USE enum rc meta_layer_index_get(struct meta *, struct span repository,
    const struct digest *, uint32_t reader, struct arena *,
    struct span *bytes_r);
/** meta_layer_index_put(m, repository, digest, reader, bytes, now_ms):
 * RC_NOTFOUND: the layer is gone; RC_TOOBIG: more than
 * LAYER_INDEX_TEXT_MAX_BYTES; RC_LOCKED. */
RC_MUST_USE enum rc meta_layer_index_put(struct meta *, struct span repository,
    const struct digest *, uint32_t reader, struct span bytes, int64_t now_ms);

#define FINDING_SEVERITIES 6 /* as enum severity of scan/match.h */
#define FINDINGS_TEXT_MAX_BYTES ((size_t)64 << 20)
#define FINDINGS_ECOSYSTEMS_MAX 16
struct scan_findings {
	enum scan_status status; /* SCAN_COMPLETE; SCAN_FAILED: the packages are
				    known, but nothing to match them with.
				    meta_findings_get() leaves both out */
	struct span reason;	 /* why it failed, or what else is to be said;
				    cut at SCAN_REASON_MAX_BYTES */
	int64_t completed_ms;
	uint64_t revision;  /* of the advisories (advisories.h) */
	int64_t updated_ms; /* the latest import that was looked at; 0: none */
	uint32_t counts[FINDING_SEVERITIES];
	struct span text; /* JSON; only where it is asked for */
	/* Of its packages: imports of advisories for them concern it. */
	const struct span *ecosystems;
	size_t n_ecosystems;
};

/** meta_scan_complete(m, job, findings): the scan ends with these; those of the
 * one before go.  An image that is gone meanwhile: RC_OK.  RC_TOOBIG: the text,
 * or too many ecosystems, or one too long.  RC_LOCKED. */
RC_MUST_USE enum rc meta_scan_complete(
    struct meta *, const struct scan_job *, const struct scan_findings *);

/** meta_findings_get(m, repository, digest, text, arena, f_r): RC_NOTFOUND: it
 * has none; RC_TOOBIG: the arena; RC_LOCKED; RC_CORRUPT: logged. */
RC_MUST_USE enum rc
meta_findings_get(struct meta *, struct span repository, const struct digest *,
    bool text, struct arena *, struct scan_findings *f_r);

/** meta_findings_replace(m, repository, digest, was_revision, findings): of an
 * image that was scanned, with advisories that came since; its scan is as
 * .status and .reason say from then on.  RC_NOTFOUND: it has none any more, or
 * was scanned meanwhile, or is being scanned.  Else as meta_scan_complete(). */
RC_MUST_USE enum rc meta_findings_replace(struct meta *, struct span repository,
    const struct digest *, uint64_t was_revision, const struct scan_findings *);

struct scanned_image {
	struct span repository;
	struct digest digest;
};
/* The one that was given last; begins as { 0 }. */
struct scanned_position {
	bool begun;
	uint64_t repo;
	struct digest digest;
};
/** meta_scanned_page(m, ecosystem, position, n, arena, rows_r, n_r): images with
 * packages of that ecosystem, up to ${n}, and goes on behind them next time.
 * None: that was all.  Those of deleted repositories are left out. */
RC_MUST_USE enum rc meta_scanned_page(struct meta *, struct span ecosystem,
    struct scanned_position *, size_t n, struct arena *,
    struct scanned_image **rows_r, size_t *n_r);

#endif
