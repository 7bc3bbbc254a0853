#include "storage/meta_ops_int.h"

#include "base/clock.h"
#include "base/obj.h"

/*
 * Images go.
 */

/* Deleting. */

/* Edges that are looked at for the size of an image that nobody knows. */
#define SIZE_LOOKED_MAX 20000

struct delete_arg {
	const struct image_delete *del;
	struct arena *arena;
	struct image_deleted *deleted;
	struct retire retire;
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

/* One of which that cannot be read can be deleted all the same. */
static enum rc
delete_bytes(struct meta_txn *t, uint64_t repo, const struct manifest_rec *rec,
    struct image_deleted *deleted)
{
	struct image_size size = { .left = SIZE_LOOKED_MAX };
	enum rc rc = RC_OK;

	size.bytes = rec->image_bytes;
	if (rec->image_bytes == MANIFEST_BYTES_UNKNOWN)
		rc = image_size_walk(t, repo, &deleted->digest, &size);
	if (rc == RC_OK)
		deleted->image_bytes = size.bytes;
	return (rc == RC_CORRUPT ? RC_OK : rc);
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
	if ((rc = delete_bytes(t, repo, rec, deleted)) != RC_OK)
		return (rc);
	deleted->image = true;
	return (manifest_retire(t, repo, &d, rec, &da->retire));
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
		rc = tag_other(
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
		.retire = { DELETED_BY_REQUEST, .now_ms = clock_real_ms() },
	};
	enum rc rc;

	*deleted_r = (struct image_deleted){ 0 };
	rc = meta_change_freeing(m, image_delete, &arg);
	if (rc != RC_OK) {
		deleted_r->image = false;
		deleted_r->n_tags = 0;
	}
	return (rc);
}
