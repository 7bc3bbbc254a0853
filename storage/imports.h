#ifndef STORAGE_IMPORTS_H
#define STORAGE_IMPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/images.h"
#include "storage/meta.h"

/*
 * A part of the seam of meta.h: what came from another registry by the pull
 * through cache, and is therefore looked for there again, and may be given up
 * when the cache is full.  What somebody pushed himself is never in here: a
 * push of an imported image, or of a tag, makes it his.
 *
 * An image is marked by the manifest_put that imported it (.import), and
 * loses the mark by one that did not, and when it goes for good.  One that was
 * here already and is somebody's own is not marked by an import.  A tag has a
 * row of when it was last compared with the upstream's; the row counts as long
 * as the tag points at the image that it pointed at then.  An import leaves a
 * tag alone that is here and has no such row, wherever it points: it is local.
 */
struct import_tag {
	struct digest digest; /* what the tag pointed at */
	int64_t checked_ms;   /* when the upstream last said so */
};

/** meta_import_tag_get(m, repository, tag, row_r): RC_NOTFOUND: no such
 * repository or tag, or the tag is not (any more) what was imported: it is a
 * local one.  Inline. */
RC_MUST_USE enum rc meta_import_tag_get(struct meta *, struct span repository,
    struct span tag, struct import_tag *row_r);

/** meta_import_tag_checked(m, repository, tag, digest, now_ms): the upstream
 * still says so.  RC_NOTFOUND: as above, or it points elsewhere by now. */
RC_MUST_USE enum rc
meta_import_tag_checked(struct meta *, struct span repository, struct span tag,
    const struct digest *, int64_t now_ms);

/*
 * Lists of referrers are compared with the upstream's, too: the row of a
 * subject.  Also of one that is not here.
 */
/** meta_import_referrers_get(m, repository, subject, checked_ms_r):
 * RC_NOTFOUND: never asked for.  Inline. */
RC_MUST_USE enum rc
meta_import_referrers_get(struct meta *, struct span repository,
    const struct digest *subject, int64_t *checked_ms_r);
/** meta_import_referrers_checked(m, repository, subject, now_ms): of a subject
 * that is not here it may be forgotten after a week.  RC_NOTFOUND: no such
 * repository. */
RC_MUST_USE enum rc meta_import_referrers_checked(struct meta *,
    struct span repository, const struct digest *subject, int64_t now_ms);

/** meta_imported(m, repository, digest, imported_ms_r): RC_NOTFOUND: not here,
 * or somebody's own.  Inline. */
RC_MUST_USE enum rc meta_imported(struct meta *, struct span repository,
    const struct digest *, int64_t *imported_ms_r);

/* Giving up. */

struct import_row {
	struct digest digest;
	int64_t used_ms;     /* last pull, noted ones too, or the import */
	bool held;	     /* an index of the repository refers to it */
	uint64_t size_bytes; /* of the manifest */
};

struct import_page {
	struct import_row *rows; /* by digest */
	size_t n;
	bool more;
};

/** meta_import_page(m, repository, after, n, arena, page_r): imported images
 * that are active; ${after} NULL: from the first.  RC_NOTFOUND: no repository.
 * Worker. */
RC_MUST_USE enum rc meta_import_page(struct meta *, struct span repository,
    const struct digest *after, size_t n, struct arena *,
    struct import_page *page_r);

/** meta_import_evict(m, repository, digest, used_ms, arena, gone_r):
 * The image goes for good with its tags (whatever the undelete window), if it
 * is still imported and active, was not used after ${used_ms}, and no index
 * holds it.  RC_BUSY: it was used since; RC_REFERENCED: ${gone_r} says by whom;
 * RC_NOTFOUND. */
RC_MUST_USE enum rc
meta_import_evict(struct meta *, struct span repository, const struct digest *,
    int64_t used_ms, struct arena *, struct image_deleted *gone_r);

/** meta_blob_adopt(m, repository, digest, now_ms):
 * Link content that is in the registry already, if a manifest of the
 * repository names it as config or layer.  RC_NOTFOUND: none names it, or it is
 * not here (or in the archive only). */
RC_MUST_USE enum rc meta_blob_adopt(struct meta *, struct span repository,
    const struct digest *, int64_t now_ms);

/** meta_blob_named(m, repository, digest, size_r): does a manifest of the
 * repository name it as config or layer, and as how large?  RC_NOTFOUND.
 * Worker. */
RC_MUST_USE enum rc meta_blob_named(struct meta *, struct span repository,
    const struct digest *, uint64_t *size_bytes_r);

#endif
