#ifndef STORAGE_META_OPS_INT_H
#define STORAGE_META_OPS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/deleted.h"
#include "storage/findings.h"
#include "storage/images.h"
#include "storage/imports.h"
#include "storage/meta_int.h"
#include "storage/replication.h"
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

/** repo_take(t, name, create, now_ms, id_r): find or, unless ${create} is
 * NULL, make as that says.  RC_NOTFOUND; RC_INVALID: not a name, or as
 * repo_preset_apply(); RC_TOOBIG; RC_LIMIT: there are max_repositories. */
RC_MUST_USE enum rc repo_take(struct meta_txn *, struct span name,
    const struct repository_preset *create, int64_t now_ms, uint64_t *id_r);

/** repo_create(t, name, row): write it under that name; there is none. */
RC_MUST_USE enum rc
repo_create(struct meta_txn *, struct span name, const struct repository_row *);

/** repo_preset_apply(t, repo, preset, now_ms): give a new repository, which
 * has no rows yet, its settings, resource tags, policy and lifecycle policy.
 * RC_INVALID: too many filters or tags, or a tag's key twice; RC_TOOBIG: a
 * policy. */
RC_MUST_USE enum rc repo_preset_apply(struct meta_txn *, uint64_t repo,
    const struct repository_preset *, int64_t now_ms);

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
/** resource_tags_put(t, repo, tags, n): in place of what was; by key, none
 * twice, at most REPOSITORY_TAGS_MAX.  ${tags} may borrow from the map. */
RC_MUST_USE enum rc resource_tags_put(struct meta_txn *, uint64_t repo,
    const struct resource_tag *tags, size_t n);
/** resource_tags_sort(tags, n, sorted): by key; ${sorted} has room for ${n}.
 * RC_INVALID: a key twice. */
RC_MUST_USE enum rc resource_tags_sort(
    const struct resource_tag *tags, size_t n, struct resource_tag *sorted);

/** policy_revision_take(t, revision_r): a number that no policy, of whichever
 * kind, and no run of a preview has ever had. */
RC_MUST_USE enum rc
policy_revision_take(struct meta_txn *, uint64_t *revision_r);
/** repo_policy_put(t, repo, text): not empty, nor too big. */
RC_MUST_USE enum rc
repo_policy_put(struct meta_txn *, uint64_t repo, struct span text);
/** repo_lifecycle_put(t, repo, text, now_ms): the same of a lifecycle policy;
 * nothing changes if it has that text. */
RC_MUST_USE enum rc repo_lifecycle_put(
    struct meta_txn *, uint64_t repo, struct span text, int64_t now_ms);
/** lifecycle_queue_set(t, repo, from, to): when its policy was set or evaluated
 * last; 0: it has none. */
RC_MUST_USE enum rc lifecycle_queue_set(
    struct meta_txn *, uint64_t repo, int64_t from_ms, int64_t to_ms);
/** lifecycle_basis(row): its place in the queue: as above. */
int64_t lifecycle_basis(const struct lifecycle_row *);
/** lifecycle_load(t, repo, row_r): the text borrows from the map.  RC_NOTFOUND:
 * there is no policy. */
RC_MUST_USE enum rc
lifecycle_load(struct meta_txn *, uint64_t repo, struct lifecycle_row *row_r);
/** lifecycle_save(t, repo, row): the row only; none of it lies in the map. */
RC_MUST_USE enum rc
lifecycle_save(struct meta_txn *, uint64_t repo, const struct lifecycle_row *);
/** lifecycle_text_check(text): RC_INVALID: empty; RC_TOOBIG. */
RC_MUST_USE enum rc lifecycle_text_check(struct span text);

/* Tags. */

/** tag_find(t, repo, tag, digest_r): RC_NOTFOUND. */
RC_MUST_USE enum rc tag_find(
    struct meta_txn *, uint64_t repo, struct span tag, struct digest *digest_r);
/** tag_load(t, repo, tag, rec_r): RC_NOTFOUND. */
RC_MUST_USE enum rc tag_load(
    struct meta_txn *, uint64_t repo, struct span tag, struct tag_rec *rec_r);
/** tag_other(t, repo, digest, tag, other_r): has it one besides that? */
RC_MUST_USE enum rc tag_other(struct meta_txn *, uint64_t repo,
    const struct digest *, struct span tag, bool *other_r);
/** tag_set(t, repo, tag, digest, now_ms): one that points there already keeps
 * its time, but for one that is made of the digest of a subject, which was
 * said to be about that once more.  RC_INVALID: not a tag. */
RC_MUST_USE enum rc tag_set(struct meta_txn *, uint64_t repo, struct span tag,
    const struct digest *, int64_t now_ms);
/** tag_drop(t, repo, tag, digest): one that points at ${digest}. */
RC_MUST_USE enum rc tag_drop(
    struct meta_txn *, uint64_t repo, struct span tag, const struct digest *);
/** tags_drop(t, repo, digest): all that point at it. */
RC_MUST_USE enum rc
tags_drop(struct meta_txn *, uint64_t repo, const struct digest *);

/* Blobs and who holds them. */

struct blob_in {
	uint32_t key_domain;
	const struct digest *digest;
	uint64_t size_bytes;
	enum blob_location location;
	struct span content; /* BLOB_IN_META; plain, sealed here */
	int64_t now_ms;
};

/*
 * One of a key domain, as of each function here that takes one; of those that
 * take a repository it is that of the repository.
 */

/** blob_record(t, in): make the record, or heal the one that is there.
 * RC_LOCKED. */
RC_MUST_USE enum rc blob_record(struct meta_txn *, const struct blob_in *);
/** blob_hold(t, digest, kind, repo): the record must be there. */
RC_MUST_USE enum rc blob_hold(
    struct meta_txn *, const struct digest *, enum holder_kind, uint64_t repo);
/** blob_release(t, digest, kind, repo, now_ms): when nobody else holds it,
 * since ${now_ms}, with the repository's name. */
RC_MUST_USE enum rc blob_release(struct meta_txn *, const struct digest *,
    enum holder_kind, uint64_t repo, int64_t now_ms);
/** blob_find(t, domain, digest, rec_r): RC_NOTFOUND, also when quarantined. */
RC_MUST_USE enum rc blob_find(struct meta_txn *, uint32_t key_domain,
    const struct digest *, struct blob_rec *rec_r);
/** blob_shown(t, domain, digest, rec_r): as above; RC_NOTFOUND also in the
 * archive. */
RC_MUST_USE enum rc blob_shown(struct meta_txn *, uint32_t key_domain,
    const struct digest *, struct blob_rec *rec_r);
/** blob_linked(t, repo, digest, rec_r): RC_NOTFOUND: no link, or a hidden one,
 * or as above. */
RC_MUST_USE enum rc blob_linked(struct meta_txn *, uint64_t repo,
    const struct digest *, struct blob_rec *rec_r);
/** blob_moved(t, domain, digest, location, encoding, stored_bytes, now_ms):
 * where it lies now, in the record and the counts; where it lay is to be
 * removed.  RC_NOTFOUND: no record. */
RC_MUST_USE enum rc blob_moved(struct meta_txn *, uint32_t key_domain,
    const struct digest *, enum blob_location, enum blob_encoding,
    uint64_t stored_bytes, int64_t now_ms);
/** blob_forget(t, domain, digest, now_ms): record, content in the database,
 * counts, its place in the queues, and what was found in it; a file is to be
 * removed.  RC_NOTFOUND: no record; RC_REFERENCED: somebody holds it. */
RC_MUST_USE enum rc blob_forget(struct meta_txn *, uint32_t key_domain,
    const struct digest *, int64_t now_ms);

/** removal_put(t, location, domain, digest, now_ms), removal_drop: content to
 * be removed from there; dropping one that is not there is fine. */
RC_MUST_USE enum rc removal_put(struct meta_txn *, enum blob_location,
    uint32_t key_domain, const struct digest *, int64_t now_ms);
RC_MUST_USE enum rc removal_drop(struct meta_txn *, enum blob_location,
    uint32_t key_domain, const struct digest *);

/** blob_content(t, domain, digest, size_bytes, mode, arena, s_r): opened, if
 * it is sealed.  RC_WOULDBLOCK; RC_CORRUPT: not there, of another size, or not
 * genuine; RC_LOCKED. */
RC_MUST_USE enum rc
blob_content(struct meta_txn *, uint32_t key_domain, const struct digest *,
    uint64_t size_bytes, enum read_mode, struct arena *, struct span *s_r);

/* Links of repositories to blobs, and the images that use them: meta_link.c */

/** link_put(t, repo, digest, now_ms): make it, or begin its idle time anew. */
RC_MUST_USE enum rc link_put(
    struct meta_txn *, uint64_t repo, const struct digest *, int64_t now_ms);
/** link_load(t, repo, digest, rec_r): as it stands there.  RC_NOTFOUND. */
RC_MUST_USE enum rc link_load(struct meta_txn *, uint64_t repo,
    const struct digest *, struct link_rec *rec_r);
/** link_drop(t, repo, digest, rec, now_ms): with its place in the queue; the
 * blob is released as of ${now_ms}.  The row itself may be gone already. */
RC_MUST_USE enum rc link_drop(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct link_rec *, int64_t now_ms);
/** link_settle(t, repo, digest, rec): it leaves the queue and stays idle. */
RC_MUST_USE enum rc link_settle(
    struct meta_txn *, uint64_t repo, const struct digest *, struct link_rec *);
/** link_hide(t, repo, digest, rec): the same, and nobody sees it any more.  Its
 * content is claimed: who was promised it has a lease. */
RC_MUST_USE enum rc link_hide(
    struct meta_txn *, uint64_t repo, const struct digest *, struct link_rec *);
/** link_unneeded(t, repo, digest, now_ms): an image does not need it any more,
 * or is deleted; when it is idle, and none needs it, or perhaps deleted ones
 * alone do and it is not hidden, it waits for the collector.  Also when there
 * is no link. */
RC_MUST_USE enum rc link_unneeded(
    struct meta_txn *, uint64_t repo, const struct digest *, int64_t now_ms);
/** link_count(t, repo, digest, users_r): by walking those that need it. */
RC_MUST_USE enum rc link_count(
    struct meta_txn *, uint64_t repo, const struct digest *, uint64_t *users_r);
/** link_recount(t, repo, digest, now_ms): make users, idle time and the queue
 * what the walk says; of a link of an older format too.  RC_NOTFOUND. */
RC_MUST_USE enum rc link_recount(
    struct meta_txn *, uint64_t repo, const struct digest *, int64_t now_ms);

/** image_uses(t, repo, manifest, one, now_ms): it begins (1), or ceases (-1),
 * to be an image that is neither archived nor deleted: the links of its config
 * and layers count it.  Its edges are there; what has no link is passed over.
 */
RC_MUST_USE enum rc image_uses(struct meta_txn *, uint64_t repo,
    const struct digest *manifest, int one, int64_t now_ms);

/** image_archived_uses(t, repo, manifest, back, now_ms): one that is archived
 * has been deleted, which its row says, or (${back}) undeleted: the links of
 * its config and layers may be of deleted images only now, or are not any more
 * and are shown. */
RC_MUST_USE enum rc image_archived_uses(struct meta_txn *, uint64_t repo,
    const struct digest *manifest, bool back, int64_t now_ms);

/* Manifests. */

/** manifest_find(t, repo, digest, rec_r): its spans borrow from the map.
 * RC_NOTFOUND, also when quarantined or deleted. */
RC_MUST_USE enum rc manifest_find(struct meta_txn *, uint64_t repo,
    const struct digest *, struct manifest_rec *rec_r);

/** manifest_row(t, repo, digest, rec_r): the same, of one in quarantine too. */
RC_MUST_USE enum rc manifest_row(struct meta_txn *, uint64_t repo,
    const struct digest *, struct manifest_rec *rec_r);
/** manifest_row_any(t, repo, digest, rec_r): the same, of a deleted one too. */
RC_MUST_USE enum rc manifest_row_any(struct meta_txn *, uint64_t repo,
    const struct digest *, struct manifest_rec *rec_r);
/** manifest_uses(rec): is it an image whose config and layers are in use:
 * neither archived nor deleted? */
bool manifest_uses(const struct manifest_rec *);
/** manifest_save(t, repo, digest, rec): none of it lies in the map. */
RC_MUST_USE enum rc manifest_save(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct manifest_rec *);
/** manifest_row_fill(digest, rec, mode, arena, row): without its text.
 * RC_WOULDBLOCK. */
RC_MUST_USE enum rc
manifest_row_fill(const struct digest *, const struct manifest_rec *,
    enum read_mode, struct arena *, struct manifest_row *);

/* Why one goes. */
struct retire {
	enum deleted_why why;
	int64_t priority;  /* of the rule that expires it; else 0 */
	uint64_t revision; /* of its policy; else 0 */
	int64_t now_ms;
};
/** manifest_retire(t, repo, digest, rec, retire): every deletion of an image:
 * for good, or so that it can be restored, as the store is set.  Whether it may
 * go is the caller's matter.  ${rec} is used up. */
RC_MUST_USE enum rc manifest_retire(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct manifest_rec *, const struct retire *);
/** manifest_drop(t, repo, digest, rec, now_ms): for good, one that was deleted
 * before too: with its tags, edges, scan and all; referrers will follow it. */
RC_MUST_USE enum rc manifest_drop(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct manifest_rec *, int64_t now_ms);

/** manifest_withdraw(t, repo, digest, rec, now_ms): its tags, its place among
 * the referrers, its scan, and its use of links; what the two above have in
 * common. */
RC_MUST_USE enum rc manifest_withdraw(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct manifest_rec *, int64_t now_ms);

/* Deleted images: meta_deleted.c */

/** deleted_put(t, repo, digest, rec, retire): hide it. */
RC_MUST_USE enum rc deleted_put(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct manifest_rec *, const struct retire *);
/** deleted_forget(t, repo, digest): only the rows that say it was deleted. */
RC_MUST_USE enum rc
deleted_forget(struct meta_txn *, uint64_t repo, const struct digest *);
/** deleted_restore(t, repo, digest, now_ms): as meta_image_undelete() does, and
 * when that says no, what was done is not to be committed: meta_undelete.c */
RC_MUST_USE enum rc deleted_restore(
    struct meta_txn *, uint64_t repo, const struct digest *, int64_t now_ms);
/** deleted_load(t, repo, digest, rec_r): borrowed.  RC_NOTFOUND. */
RC_MUST_USE enum rc deleted_load(struct meta_txn *, uint64_t repo,
    const struct digest *, struct deleted_rec *rec_r);
/** deleted_tags(rec, arena, tags_r, n_r): of one that was read. */
RC_MUST_USE enum rc deleted_tags(const struct deleted_rec *, struct arena *,
    struct span **tags_r, size_t *n_r);

/* Referrers that follow: meta_orphan.c */

/** orphan_note(t, repo, subject, now_ms): it went, or was archived: the
 * collector will look at who refers to it. */
RC_MUST_USE enum rc orphan_note(
    struct meta_txn *, uint64_t repo, const struct digest *, int64_t now_ms);

/** referrer_tag_find(t, repo, subject, i, referrer_r): what the ${i}th of the
 * tags leads to that clients make of the digest of a subject.  RC_NOTFOUND. */
#define REFERRER_TAGS 4
RC_MUST_USE enum rc referrer_tag_find(struct meta_txn *, uint64_t repo,
    const struct digest *subject, unsigned i, struct digest *referrer_r);

/* Storage classes: meta_class.c */

/** archive_offer(t, domain, digest, now_ms): a repository needs it less than
 * before: if it lies in a file, the collector looks whether it may be archived.
 */
RC_MUST_USE enum rc archive_offer(struct meta_txn *, uint32_t key_domain,
    const struct digest *, int64_t now_ms);

/** image_class_set(t, repo, digest, rec, status, now_ms): from one status to
 * another, users and times with it; not of what is above or below it. */
RC_MUST_USE enum rc
image_class_set(struct meta_txn *, uint64_t repo, const struct digest *,
    const struct manifest_rec *, enum image_status, int64_t now_ms);
/** image_in_archive(t, repo, digest, any_r): does its config or a layer lie in
 * the archive? */
RC_MUST_USE enum rc image_in_archive(
    struct meta_txn *, uint64_t repo, const struct digest *, bool *any_r);
/** image_archived_blob(t, repo, digest, blob_r): the first that does.
 * RC_NOTFOUND. */
RC_MUST_USE enum rc image_archived_blob(struct meta_txn *, uint64_t repo,
    const struct digest *, struct digest *blob_r);

enum activation {
	ACTIVATION_READY,
	ACTIVATION_AWAY,    /* its config or a layer lies in the archive */
	ACTIVATION_HELD_UP, /* an image that it needs is activating, or its
			       repository is deleted, and may come back */
	ACTIVATION_OVER,    /* it is not activating, or not there */
};
/** image_activation(t, repo, digest, rec_r, state_r): of what has a row among
 * the activations.  ${rec_r} is not filled in of one that is over or held up. */
RC_MUST_USE enum rc
image_activation(struct meta_txn *, uint64_t repo, const struct digest *,
    struct manifest_rec *rec_r, enum activation *state_r);
/** image_activate(t, repo, digest, now_ms, status_r): active from now on, if it
 * is ready for that.  IMAGE_ARCHIVED: it is not activating, and waits no more.
 */
RC_MUST_USE enum rc image_activate(struct meta_txn *, uint64_t repo,
    const struct digest *, int64_t now_ms, enum image_status *status_r);
/** activation_put, activation_drop: who waits for content from the archive. */
RC_MUST_USE enum rc activation_put(
    struct meta_txn *, uint64_t repo, const struct digest *, int64_t now_ms);
RC_MUST_USE enum rc
activation_drop(struct meta_txn *, uint64_t repo, const struct digest *);
/** manifest_kind_of(media_type): that of a manifest that was taken in. */
enum manifest_kind manifest_kind_of(struct span media_type);

struct manifest_touch {
	uint8_t set_flags, clear_flags;
	int64_t pulled_ms;	  /* a later one only */
	enum image_status status; /* 0: as it is */
	int64_t status_ms;	  /* since when, if it is another: archived, or
				     active */
};
/** manifest_touch(t, repo, digest, touch): RC_NOTFOUND. */
RC_MUST_USE enum rc manifest_touch(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct manifest_touch *);
/** manifest_mark(t, domain, digest, quarantined): in each repository that has
 * it. */
RC_MUST_USE enum rc manifest_mark(struct meta_txn *, uint32_t key_domain,
    const struct digest *, bool quarantined);

/* Edges. */

/** edge_holders(t, repo, child, kinds, holding_r): which manifests, deleted ones
 * left out, point at ${child} as one of ${kinds} (ends with 0)?
 * RC_REFERENCED, RC_OK: none. */
RC_MUST_USE enum rc
edge_holders(struct meta_txn *, uint64_t repo, const struct digest *child,
    const uint8_t *kinds, struct holding *holding_r);
/** edge_holders_active(t, repo, child, holding_r): which indexes that are not
 * archived?  RC_REFERENCED, RC_OK: none. */
RC_MUST_USE enum rc edge_holders_active(struct meta_txn *, uint64_t repo,
    const struct digest *child, struct holding *holding_r);
/** edge_held(t, repo, child, left, held_r, active_r): does an index refer to
 * it, and one that is not archived?  *${left} rows may be looked at; when these
 * do not tell, one that is not archived does. */
RC_MUST_USE enum rc edge_held(struct meta_txn *, uint64_t repo,
    const struct digest *child, size_t *left, bool *held_r, bool *active_r);
/** edge_used(t, repo, blob, left, used_r, active_r): the same of a blob that
 * images need as config or layer. */
RC_MUST_USE enum rc edge_used(struct meta_txn *, uint64_t repo,
    const struct digest *blob, size_t *left, bool *used_r, bool *active_r);
/* How far edge_kept() came, and what it saw; begins as { 0 }. */
struct edge_look {
	bool kept;   /* an image that is not deleted needs it */
	bool active; /* one that is not archived either: no more were looked at
		      */
	bool more;   /* there are others */
	bool begun;
	uint8_t kind; /* of the one looked at last */
	struct digest at;
};
/** edge_kept(t, repo, blob, max, look): looks at the next ${max} images that
 * need it as config or layer.  One that is damaged counts as active. */
RC_MUST_USE enum rc edge_kept(struct meta_txn *, uint64_t repo,
    const struct digest *blob, size_t max, struct edge_look *look);
/** edge_child(t, repo, e, sparse, there_r): RC_MISSING: it is not there, or
 * archived, and must be. */
RC_MUST_USE enum rc edge_child(struct meta_txn *, uint64_t repo,
    const struct descriptor *, enum sparse, bool *there_r);
/** edge_put(t, repo, parent, e, sparse): RC_MISSING. */
RC_MUST_USE enum rc edge_put(struct meta_txn *, uint64_t repo,
    const struct digest *parent, const struct descriptor *, enum sparse);
/** edges_drop(t, repo, parent, now_ms): all of a manifest that is no user of
 * its links any more; idle links that nothing needs now wait for the collector.
 */
RC_MUST_USE enum rc edges_drop(struct meta_txn *, uint64_t repo,
    const struct digest *parent, int64_t now_ms);
/** edge_needed(t, repo, blob, needed_r): by any manifest, deleted and archived
 * ones too, as config or layer? */
RC_MUST_USE enum rc edge_needed(struct meta_txn *, uint64_t repo,
    const struct digest *blob, bool *needed_r);

/* Images. */

/* The size of an image is added up from the rows of its edges. */
struct image_size {
	size_t left; /* so many rows may still be looked at; the caller's */
	uint64_t bytes;
	bool settled; /* it stays so for as long as the manifest is there */
};

/** image_size_walk(t, repo, digest, size): whatever its own row says. */
RC_MUST_USE enum rc image_size_walk(struct meta_txn *, uint64_t repo,
    const struct digest *, struct image_size *);

/** image_tags(t, repo, digest, arena, tags_r, n_r): in byte order. */
RC_MUST_USE enum rc image_tags(struct meta_txn *, uint64_t repo,
    const struct digest *, struct arena *, struct span **tags_r, size_t *n_r);
/** image_get(t, repo, digest, arena, row_r): RC_NOTFOUND, also when
 * quarantined. */
RC_MUST_USE enum rc image_get(struct meta_txn *, uint64_t repo,
    const struct digest *, struct arena *, struct image_row *row_r);

/** image_restore_below(t, repo, digest, now_ms, others): those archived images
 * that an index needs, and those that refer to it when it is archived itself,
 * as meta_image_status_set() says; they are added to ${others}, or NULL. */
RC_MUST_USE enum rc image_restore_below(struct meta_txn *, uint64_t repo,
    const struct digest *, int64_t now_ms, struct image_list *others);

/** image_list_add(list, digest): NULL, or without an arena: nothing.
 * RC_TOOBIG. */
RC_MUST_USE enum rc image_list_add(struct image_list *, const struct digest *);

/** image_restore_referrers(t, repo, subject, max, now_ms, rec, n_r): those that
 * were archived since rec->gone_ms and come behind rec->at, unless the subject
 * is gone for good; ${max} are looked at, of them and of theirs, *${n_r} were.
 * RC_RANGE: there are others, ${rec} says behind which.  Who came back is added
 * to ${others}. */
RC_MUST_USE enum rc image_restore_referrers(struct meta_txn *, uint64_t repo,
    const struct digest *subject, unsigned max, int64_t now_ms,
    struct orphan_rec *rec, unsigned *n_r, struct image_list *others);

/** image_count(t, repo, n_r): manifests of a repository, those in quarantine
 * too; of one that has not changed since format 2 they are counted. */
RC_MUST_USE enum rc
image_count(struct meta_txn *, uint64_t repo, uint64_t *n_r);
/** image_count_walk(t, repo, n_r): the same by counting. */
RC_MUST_USE enum rc
image_count_walk(struct meta_txn *, uint64_t repo, uint64_t *n_r);
/** image_count_put(t, repo, n). */
RC_MUST_USE enum rc
image_count_put(struct meta_txn *, uint64_t repo, uint64_t n);
/** image_count_add(t, repo, one): ${one} is 1 or -1, and the row of the
 * manifest has come or gone already. */
RC_MUST_USE enum rc image_count_add(struct meta_txn *, uint64_t repo, int one);

/* Scans. */

/** scan_load(t, repo, digest, rec_r): borrowed.  RC_NOTFOUND. */
RC_MUST_USE enum rc scan_load(struct meta_txn *, uint64_t repo,
    const struct digest *, struct scan_rec *rec_r);
/** scan_get(t, repo, digest, arena, scan_r): SCAN_NONE if there is none. */
RC_MUST_USE enum rc scan_get(struct meta_txn *, uint64_t repo,
    const struct digest *, struct arena *, struct image_scan *scan_r);
/** scan_begin(t, repo, start): of a manifest that is there, ${start} says of
 * which repository it was meant.  RC_LIMIT. */
RC_MUST_USE enum rc
scan_begin(struct meta_txn *, uint64_t repo, const struct scan_start *);
/** scan_drop(t, repo, digest): what is known of it, findings too, and its place
 * in the queue. */
RC_MUST_USE enum rc
scan_drop(struct meta_txn *, uint64_t repo, const struct digest *);

struct scan_end {
	const struct scan_job *job;
	enum scan_status status;
	struct span reason; /* is cut */
	int64_t now_ms;
	const struct scan_findings *findings; /* NULL: there are none */
	struct span packed;		      /* their text, compressed */
};
/** scan_end_change(m, end, weight_bytes): as meta_scan_end(). */
RC_MUST_USE enum rc
scan_end_change(struct meta *, struct scan_end *, size_t weight_bytes);
/** scan_restate(t, repo, digest, f): of one that has ended: as these say.
 * RC_NOTFOUND. */
RC_MUST_USE enum rc scan_restate(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct scan_findings *);

/* What scans found: meta_findings.c */

/** findings_put(t, repo, digest, f, packed): in place of what was.
 * RC_LOCKED. */
RC_MUST_USE enum rc findings_put(struct meta_txn *, uint64_t repo,
    const struct digest *, const struct scan_findings *, struct span packed);
/** findings_drop(t, repo, digest): also when there are none. */
RC_MUST_USE enum rc
findings_drop(struct meta_txn *, uint64_t repo, const struct digest *);
/** findings_purge(w, repo, digest): the row that is looked at, and what leads
 * to it. */
RC_MUST_USE enum rc
findings_purge(struct kv_walk *, uint64_t repo, const struct digest *);

/* Referrers. */

RC_MUST_USE enum rc
referrer_put(struct meta_txn *, uint64_t repo, const struct digest *referrer,
    const struct manifest *, uint64_t size_bytes);
/** referrer_annotations(t, repo, key, rec, arena, s_r): of the row with that
 * key; a copy, opened if they are sealed.  RC_LOCKED; RC_CORRUPT. */
struct referrer_rec;
RC_MUST_USE enum rc
referrer_annotations(struct meta_txn *, uint64_t repo, const struct rec_key *,
    const struct referrer_rec *, struct arena *, struct span *s_r);
RC_MUST_USE enum rc referrer_drop(struct meta_txn *, uint64_t repo,
    const struct digest *subject, const struct digest *referrer);

/* What came from other registries: meta_import.c */

/** import_load(t, repo, digest, imported_ms_r): its mark; also of an image that
 * is deleted.  RC_NOTFOUND. */
RC_MUST_USE enum rc import_load(struct meta_txn *, uint64_t repo,
    const struct digest *, int64_t *imported_ms_r);
/** import_mark(t, repo, digest, now_ms), import_forget: the mark. */
RC_MUST_USE enum rc import_mark(
    struct meta_txn *, uint64_t repo, const struct digest *, int64_t now_ms);
RC_MUST_USE enum rc
import_forget(struct meta_txn *, uint64_t repo, const struct digest *);
/** import_drop(t, repo, digest): the image goes for good: the mark, and when
 * its referrers were asked for. */
RC_MUST_USE enum rc
import_drop(struct meta_txn *, uint64_t repo, const struct digest *);

/** import_tag_load(t, repo, tag, digest, row_r): of one that points at
 * ${digest}.  RC_NOTFOUND: it is a local one. */
RC_MUST_USE enum rc import_tag_load(struct meta_txn *, uint64_t repo,
    struct span tag, const struct digest *, struct import_tag *row_r);
RC_MUST_USE enum rc import_tag_put(struct meta_txn *, uint64_t repo,
    struct span tag, const struct import_tag *);
RC_MUST_USE enum rc
import_tag_forget(struct meta_txn *, uint64_t repo, struct span tag);

/* What is to be sent: meta_replication.c */

/** replication_add(t, repo, digest, tag, destination, now_ms): of an image that
 * is there; in place of a task of the same tag and destination.  RC_INVALID:
 * not a tag, or not a destination. */
RC_MUST_USE enum rc
replication_add(struct meta_txn *, uint64_t repo, const struct digest *,
    struct span tag, struct span destination, int64_t now_ms);
/** replication_drop(t, repo, digest): tasks and status of an image that goes.
 */
RC_MUST_USE enum rc
replication_drop(struct meta_txn *, uint64_t repo, const struct digest *);
/** replication_pending(t, repo, digest, destination, n_r): tasks. */
RC_MUST_USE enum rc replication_pending(struct meta_txn *, uint64_t repo,
    const struct digest *, struct span destination, uint64_t *n_r);
/** replication_status_put(t, repo, digest, destination, rec): none of it lies
 * in the map. */
RC_MUST_USE enum rc replication_status_put(struct meta_txn *, uint64_t repo,
    const struct digest *, struct span destination, const struct status_rec *);
/** replication_queue_put(t, repo, digest, due_ms, id): its place. */
RC_MUST_USE enum rc replication_queue_put(struct meta_txn *, uint64_t repo,
    const struct digest *, int64_t due_ms, uint64_t id);

/* Uploads. */

/** upload_drop(t, id): RC_NOTFOUND. */
RC_MUST_USE enum rc upload_drop(struct meta_txn *, struct span id);

#endif
