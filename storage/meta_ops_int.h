#ifndef STORAGE_META_OPS_INT_H
#define STORAGE_META_OPS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/meta_int.h"
#include "storage/repositories.h"

/*
 * What the operations of meta.h are put together from.  Each works inside of
 * the transaction it is given.
 */

/* A value larger than this is not touched on an event loop: it may have to
 * come from the disk. */
#define META_INLINE_MAX_BYTES (64u << 10)

/** copy_out(arena, s, s_r): RC_TOOBIG past the arena's cap. */
RC_MUST_USE enum rc copy_out(struct arena *, struct span s, struct span *s_r);

/* Repositories. */

/** repo_find(t, name, row_r): RC_NOTFOUND. */
RC_MUST_USE enum rc
repo_find(struct meta_txn *, struct span name, struct repository_row *row_r);

/** repo_take(t, name, create, now_ms, id_r): find or, if ${create}, make.
 * RC_NOTFOUND; RC_INVALID: not a name. */
RC_MUST_USE enum rc repo_take(struct meta_txn *, struct span name, bool create,
    int64_t now_ms, uint64_t *id_r);

/** repo_name(t, id, arena, name_r): RC_CORRUPT: no such id. */
RC_MUST_USE enum rc
repo_name(struct meta_txn *, uint64_t id, struct arena *, struct span *name_r);
/** repo_doomed(t, id, doomed_r): has it been deleted, its rows to go? */
RC_MUST_USE enum rc repo_doomed(struct meta_txn *, uint64_t id, bool *doomed_r);
/** repo_counts_of(t, c_r): clear all, but .next_repository. */
RC_MUST_USE enum rc repo_counts_of(struct meta_txn *, struct meta_counts *);

/** page_names(t, table, prefix, last, n, arena, page_r): the ends of keys
 * behind the prefix. */
RC_MUST_USE enum rc
page_names(struct meta_txn *, enum meta_table, struct span prefix,
    struct span last, size_t n, struct arena *, struct page *page_r);

/* What is set of a repository. */

/** repo_settings_load(t, repo, room, s): borrowed from the map and ${room}. */
RC_MUST_USE enum rc repo_settings_load(struct meta_txn *, uint64_t repo,
    struct span room[REPOSITORY_EXCLUSIONS_MAX], struct repository_settings *s);
/** repo_settings_immutable(s, tag): may it not be moved? */
bool
repo_settings_immutable(const struct repository_settings *, struct span tag);
/** repo_describe(t, row, arena, d_r): what else is known of it. */
RC_MUST_USE enum rc
repo_describe(struct meta_txn *, const struct repository_row *, struct arena *,
    struct repository_description *d_r);
/** resource_tags_get(t, repo, arena, tags_r, n_r). */
RC_MUST_USE enum rc resource_tags_get(struct meta_txn *, uint64_t repo,
    struct arena *, struct resource_tag **tags_r, size_t *n_r);

/* Tags. */

/** tag_find(t, repo, tag, digest_r): RC_NOTFOUND. */
RC_MUST_USE enum rc tag_find(
    struct meta_txn *, uint64_t repo, struct span tag, struct digest *digest_r);
/** tag_set(t, repo, tag, digest, now_ms): RC_INVALID: not a tag. */
RC_MUST_USE enum rc tag_set(struct meta_txn *, uint64_t repo, struct span tag,
    const struct digest *, int64_t now_ms);
/** tags_drop(t, repo, digest): all that point at it. */
RC_MUST_USE enum rc
tags_drop(struct meta_txn *, uint64_t repo, const struct digest *);

/* Blobs and who holds them. */

struct blob_in {
	const struct digest *digest;
	uint64_t size_bytes;
	enum blob_location location;
	struct span content; /* BLOB_IN_META */
	int64_t now_ms;
};

/** blob_record(t, in): make the record, or heal the one that is there. */
RC_MUST_USE enum rc blob_record(struct meta_txn *, const struct blob_in *);
/** blob_hold(t, digest, kind, repo): the record must be there. */
RC_MUST_USE enum rc blob_hold(
    struct meta_txn *, const struct digest *, enum holder_kind, uint64_t repo);
/** blob_release(t, digest, kind, repo, now_ms). */
RC_MUST_USE enum rc blob_release(struct meta_txn *, const struct digest *,
    enum holder_kind, uint64_t repo, int64_t now_ms);
/** blob_find(t, digest, rec_r): RC_NOTFOUND, also when quarantined. */
RC_MUST_USE enum rc
blob_find(struct meta_txn *, const struct digest *, struct blob_rec *rec_r);
/** blob_linked(t, repo, digest, rec_r): RC_NOTFOUND: no link, or as above. */
RC_MUST_USE enum rc blob_linked(struct meta_txn *, uint64_t repo,
    const struct digest *, struct blob_rec *rec_r);
/** blob_content(t, digest, size_bytes, mode, arena, s_r): RC_WOULDBLOCK;
 * RC_CORRUPT: not there, or of another size. */
RC_MUST_USE enum rc blob_content(struct meta_txn *, const struct digest *,
    uint64_t size_bytes, enum read_mode, struct arena *, struct span *s_r);

/* Manifests. */

/** manifest_find(t, repo, digest, rec_r): its spans borrow from the map.
 * RC_NOTFOUND, also when quarantined. */
RC_MUST_USE enum rc manifest_find(struct meta_txn *, uint64_t repo,
    const struct digest *, struct manifest_rec *rec_r);

struct manifest_touch {
	uint8_t set_flags, clear_flags;
	int64_t pulled_ms; /* a later one only */
};
/** manifest_touch(t, repo, digest, touch): RC_NOTFOUND. */
RC_MUST_USE enum rc manifest_touch(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct manifest_touch *);
/** manifest_mark(t, digest, quarantined): in each repository that has it. */
RC_MUST_USE enum rc
manifest_mark(struct meta_txn *, const struct digest *, bool quarantined);

/* Edges. */

/** edge_holders(t, repo, child, kinds, holding_r): which manifests point at
 * ${child} as one of ${kinds} (ends with 0)?  RC_REFERENCED, RC_OK: none. */
RC_MUST_USE enum rc
edge_holders(struct meta_txn *, uint64_t repo, const struct digest *child,
    const uint8_t *kinds, struct holding *holding_r);
/** edge_put(t, repo, parent, e, sparse): RC_MISSING. */
RC_MUST_USE enum rc edge_put(struct meta_txn *, uint64_t repo,
    const struct digest *parent, const struct descriptor *, enum sparse);
/** edges_drop(t, repo, parent): all of a manifest. */
RC_MUST_USE enum rc
edges_drop(struct meta_txn *, uint64_t repo, const struct digest *parent);

/* Referrers. */

RC_MUST_USE enum rc
referrer_put(struct meta_txn *, uint64_t repo, const struct digest *referrer,
    const struct manifest *, uint64_t size_bytes);
RC_MUST_USE enum rc referrer_drop(struct meta_txn *, uint64_t repo,
    const struct digest *subject, const struct digest *referrer);

/* Uploads. */

/** upload_drop(t, id): RC_NOTFOUND. */
RC_MUST_USE enum rc upload_drop(struct meta_txn *, struct span id);

#endif
