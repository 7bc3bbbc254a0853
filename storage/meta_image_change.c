#include "storage/meta_ops_int.h"

#include "base/clock.h"
#include "base/obj.h"

/*
 * Images go, are archived and restored.
 */

/* Deleting. */

struct delete_arg {
	const struct image_delete *del;
	struct arena *arena;
	struct image_deleted *deleted;
	int64_t now_ms;
};

/* Which image is meant; its digest is told whatever comes of it. */
static enum rc
delete_find(struct meta_txn *t, uint64_t repo, const struct image_delete *del,
    struct image_deleted *deleted)
{
	struct digest *d = &deleted->digest;
	enum rc rc;

	must(del->has_digest || del->tag.n > 0);
	*d = del->digest;
	if (del->tag.n == 0)
		return (RC_OK);
	if ((rc = tag_find(t, repo, del->tag, d)) != RC_OK)
		return (rc);
	if (del->has_digest && !digest_eq(d, &del->digest))
		return (RC_DIGEST);
	return (RC_OK);
}

/* Has it a tag besides that one? */
static enum rc
other_tag(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span tag, bool *other_r)
{
	struct rec_key prefix;
	struct kv_walk w;
	struct digest same;
	struct span other;
	enum rc rc;

	*other_r = false;
	key_repo_digest(&prefix, repo, d);
	rc = kv_walk_begin(
	    t, TABLE_DIGEST_TAGS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (!*other_r && (rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_digest_tag(w.key, &repo, &same, &other)) {
			rc = meta_corrupt(w.table, w.key);
			break;
		}
		*other_r = !span_eq(other, tag);
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
delete_tag(struct meta_txn *t, uint64_t repo, const struct delete_arg *da)
{
	struct image_deleted *deleted = da->deleted;
	enum rc rc;

	deleted->tags = arena_calloc(da->arena, 1, sizeof(*deleted->tags));
	if (deleted->tags == NULL)
		return (RC_TOOBIG);
	rc = copy_out(da->arena, da->del->tag, &deleted->tags[0]);
	if (rc != RC_OK)
		return (rc);
	rc = tag_drop(t, repo, da->del->tag, &deleted->digest);
	deleted->n_tags = rc == RC_OK ? 1 : 0;
	return (rc);
}

static enum rc
delete_image(struct meta_txn *t, uint64_t repo, const struct manifest_rec *rec,
    const struct delete_arg *da)
{
	static const uint8_t kinds[] = { EDGE_MANIFEST, 0 };
	struct image_deleted *deleted = da->deleted;
	struct digest d = deleted->digest;
	enum rc rc;

	rc = edge_holders(t, repo, &d, kinds, &deleted->holding);
	if (rc != RC_OK)
		return (rc);
	rc = image_tags(
	    t, repo, &d, da->arena, &deleted->tags, &deleted->n_tags);
	if (rc != RC_OK)
		return (rc);
	deleted->image = true;
	return (manifest_drop(t, repo, &d, rec, da->now_ms));
}

/* One in quarantine can be deleted too, and a tag that points at nothing. */
static enum rc
image_delete(struct meta_txn *t, void *arg)
{
	const struct delete_arg *da = arg;
	struct image_deleted *deleted = da->deleted;
	struct repository_row repo;
	struct manifest_rec rec;
	bool more_tags = false;
	enum rc rc;

	*deleted = (struct image_deleted){ 0 };
	if ((rc = repo_find(t, da->del->repository, &repo)) != RC_OK)
		return (rc);
	if ((rc = delete_find(t, repo.id, da->del, deleted)) != RC_OK)
		return (rc);
	if (da->del->tag.n > 0)
		rc = other_tag(
		    t, repo.id, &deleted->digest, da->del->tag, &more_tags);
	if (rc != RC_OK)
		return (rc);
	rc = manifest_row(t, repo.id, &deleted->digest, &rec);
	if (more_tags || (rc == RC_NOTFOUND && da->del->tag.n > 0))
		return (delete_tag(t, repo.id, da));
	if (rc != RC_OK)
		return (rc);
	return (delete_image(t, repo.id, &rec, da));
}

enum rc
meta_image_delete(struct meta *m, const struct image_delete *del,
    struct arena *a, struct image_deleted *deleted_r)
{
	struct delete_arg arg = {
		.del = del,
		.arena = a,
		.deleted = deleted_r,
		.now_ms = clock_real_ms(),
	};
	enum rc rc;

	*deleted_r = (struct image_deleted){ 0 };
	rc = meta_change(m, image_delete, &arg, 0);
	if (rc != RC_OK) {
		deleted_r->image = false;
		deleted_r->n_tags = 0;
	}
	return (rc);
}

/* An index comes back with what it needs. */

struct restoring {
	struct manifest_touch touch;
	size_t left; /* so many references may still be looked at */
};

static enum rc restore_below(struct meta_txn *, uint64_t repo,
    const struct digest *, unsigned depth, struct restoring *);

static enum rc
restore_child(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct restoring *r)
{
	struct manifest_rec rec;
	bool below;
	enum rc rc;

	rc = manifest_row(t, repo, d, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	below = depth < IMAGE_DEPTH_MAX &&
		manifest_kind_of(rec.media_type) == MANIFEST_INDEX;
	if (rec.status == IMAGE_ARCHIVED)
		rc = manifest_touch(t, repo, d, &r->touch);
	if (rc != RC_OK || !below)
		return (rc);
	return (restore_below(t, repo, d, depth + 1, r));
}

static enum rc
restore_below(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct restoring *r)
{
	struct digest parent, child;
	struct rec_key prefix;
	struct kv_walk w;
	uint8_t kind;
	enum rc rc;

	key_edge(&prefix, repo, d, EDGE_MANIFEST, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (r->left > 0 && (rc = kv_walk_next(&w)) == RC_OK) {
		r->left--;
		if (!key_read_edge(w.key, &repo, &parent, &kind, &child))
			rc = meta_corrupt(w.table, w.key);
		else
			rc = restore_child(t, repo, &child, depth, r);
		if (rc != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
image_restore_below(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct restoring r = {
		.touch = { .status = IMAGE_ACTIVE, .status_ms = now_ms },
		.left = IMAGE_RESTORE_MAX,
	};

	return (restore_below(t, repo, d, 1, &r));
}

/* Archived and restored. */

struct status_arg {
	struct span repository;
	const struct reference *ref;
	enum image_status status;
	int64_t now_ms;
	struct arena *arena;
	struct image_row *row;
	struct holding *holding;
};

static enum rc
status_apply(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct status_arg *sa)
{
	const struct manifest_touch touch = {
		.status = sa->status,
		.status_ms = sa->now_ms,
	};
	struct manifest_rec rec;
	enum rc rc;

	if ((rc = manifest_find(t, repo, d, &rec)) != RC_OK)
		return (rc);
	if (sa->status == IMAGE_ARCHIVED && rec.status != IMAGE_ARCHIVED)
		rc = edge_holders_active(t, repo, d, sa->holding);
	if (rc == RC_OK)
		rc = manifest_touch(t, repo, d, &touch);
	if (rc == RC_OK && sa->status == IMAGE_ACTIVE)
		rc = image_restore_below(t, repo, d, sa->now_ms);
	return (rc);
}

static enum rc
status_set(struct meta_txn *t, void *arg)
{
	const struct status_arg *sa = arg;
	struct digest d = sa->ref->digest;
	struct repository_row repo;
	enum rc rc;

	*sa->holding = (struct holding){ 0 };
	if ((rc = repo_find(t, sa->repository, &repo)) != RC_OK)
		return (rc);
	if (!sa->ref->is_digest)
		rc = tag_find(t, repo.id, sa->ref->tag, &d);
	if (rc == RC_OK)
		rc = status_apply(t, repo.id, &d, sa);
	if (rc != RC_OK)
		return (rc);
	return (image_get(t, repo.id, &d, sa->arena, sa->row));
}

enum rc
meta_image_status_set(struct meta *m, struct span repository,
    const struct reference *ref, enum image_status status, int64_t now_ms,
    struct arena *a, struct image_row *row_r, struct holding *holding_r)
{
	struct status_arg arg = {
		.repository = repository,
		.ref = ref,
		.status = status,
		.now_ms = now_ms,
		.arena = a,
		.row = row_r,
		.holding = holding_r,
	};

	must(status == IMAGE_ACTIVE || status == IMAGE_ARCHIVED);
	*holding_r = (struct holding){ 0 };
	return (meta_change(m, status_set, &arg, 0));
}
