#include "storage/lifecycles.h"

#include "base/obj.h"
#include "storage/meta_env_int.h"
#include "storage/meta_ops_int.h"

/*
 * What an evaluation decided is done, image by image, if each is still what was
 * evaluated.  Whatever happened to it in between has left its mark in one of
 * the things that are compared here, and nothing happens between looking and
 * doing, which are one transaction.
 */

/* Edges that are looked at for the size of an image that nobody knows. */
#define SIZE_LOOKED_MAX 20000

uint64_t
image_tags_hash(const struct span *tags, size_t n)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t i, j;

	/* FNV-1a, a byte that no tag has behind each of them. */
	for (i = 0; i < n; i++) {
		for (j = 0; j <= tags[i].n; j++) {
			hash ^= j < tags[i].n ? (uint8_t)tags[i].p[j] : 0;
			hash *= UINT64_C(0x100000001b3);
		}
	}
	return (hash ^ hash >> 32);
}

struct apply {
	struct span repository;
	uint64_t revision;
	const struct lifecycle_act *acts;
	size_t n;
	int64_t now_ms;
	struct arena *arena;
	struct lifecycle_acted *acted;
	uint64_t repo;
	bool begun; /* the policy is the one that was evaluated */
};

static bool
row_changed(const struct manifest_rec *rec, const struct lifecycle_act *act)
{

	if (rec->pushed_ms != act->pushed_ms ||
	    rec->archived_ms != act->archived_ms ||
	    rec->activated_ms != act->activated_ms)
		return (true);
	/* Somebody has asked for it; its times tell when it is back. */
	if (rec->status == IMAGE_ACTIVATING)
		return (true);
	return (act->kind == ACT_ARCHIVE && rec->status != IMAGE_ACTIVE);
}

/* A pull that is only noted counts, if it is one of this image and not of one
 * before it with the same digest. */
static bool
pull_changed(struct meta_txn *t, const struct apply *a,
    const struct manifest_rec *rec, const struct lifecycle_act *act)
{
	int64_t noted_ms;

	if (!act->by_pull)
		return (false);
	if (rec->pulled_ms != act->pulled_ms)
		return (true);
	noted_ms = pulled_find(t->m->pulled, a->repository, &act->digest);
	return (noted_ms >= rec->pushed_ms && noted_ms > act->pulled_ms);
}

static enum rc
act_held(struct meta_txn *t, const struct apply *a,
    const struct lifecycle_act *act, bool *held_r)
{
	static const uint8_t kinds[] = { EDGE_MANIFEST, 0 };
	struct holding holding = { 0 };
	enum rc rc;

	if (act->kind == ACT_EXPIRE)
		rc = edge_holders(t, a->repo, &act->digest, kinds, &holding);
	else
		rc = edge_holders_active(t, a->repo, &act->digest, &holding);
	*held_r = rc == RC_REFERENCED;
	return (*held_r ? RC_OK : rc);
}

/* The image, if it is what was evaluated and may go. */
static enum rc
act_look(struct meta_txn *t, const struct apply *a,
    const struct lifecycle_act *act, struct manifest_rec *rec,
    struct lifecycle_acted *acted)
{
	bool held;
	enum rc rc;

	acted->end = ACT_GONE;
	rc = manifest_find(t, a->repo, &act->digest, rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	acted->end = ACT_CHANGED;
	if (row_changed(rec, act) || pull_changed(t, a, rec, act))
		return (RC_OK);
	rc = image_tags(
	    t, a->repo, &act->digest, a->arena, &acted->tags, &acted->n_tags);
	if (rc != RC_OK ||
	    image_tags_hash(acted->tags, acted->n_tags) != act->tags_hash)
		return (rc);
	if ((rc = act_held(t, a, act, &held)) != RC_OK)
		return (rc);
	acted->end = held ? ACT_HELD : ACT_DONE;
	return (RC_OK);
}

static enum rc
bytes_tell(struct meta_txn *t, const struct apply *a, const struct digest *d,
    const struct manifest_rec *rec, struct lifecycle_acted *acted)
{
	struct image_size size = { .left = SIZE_LOOKED_MAX };
	enum rc rc = RC_OK;

	size.bytes = rec->image_bytes;
	if (rec->image_bytes == MANIFEST_BYTES_UNKNOWN)
		rc = image_size_walk(t, a->repo, d, &size);
	acted->image_bytes = size.bytes;
	return (rc);
}

static enum rc
act_do(struct meta_txn *t, const struct apply *a,
    const struct lifecycle_act *act, const struct manifest_rec *rec)
{
	const struct retire retire = {
		.why = DELETED_EXPIRED,
		.priority = act->priority,
		.revision = a->revision,
		.now_ms = a->now_ms,
	};

	if (act->kind == ACT_EXPIRE)
		return (
		    manifest_retire(t, a->repo, &act->digest, rec, &retire));
	return (image_class_set(
	    t, a->repo, &act->digest, rec, IMAGE_ARCHIVED, a->now_ms));
}

static enum rc
act_run(struct meta_txn *t, const struct apply *a,
    const struct lifecycle_act *act, struct lifecycle_acted *acted)
{
	struct manifest_rec rec;
	enum rc rc;

	*acted = (struct lifecycle_acted){ 0 };
	rc = act_look(t, a, act, &rec, acted);
	if (rc == RC_OK && acted->end == ACT_DONE)
		rc = bytes_tell(t, a, &act->digest, &rec, acted);
	if (rc == RC_OK && acted->end == ACT_DONE)
		return (act_do(t, a, act, &rec));
	acted->tags = NULL;
	acted->n_tags = 0;
	return (rc);
}

static enum rc
apply(struct meta_txn *t, void *arg)
{
	struct apply *a = arg;
	struct lifecycle_row policy;
	struct repository_row repo;
	size_t i;
	enum rc rc;

	if ((rc = repo_find(t, a->repository, &repo)) != RC_OK)
		return (rc);
	a->repo = repo.id;
	rc = lifecycle_load(t, repo.id, &policy);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && policy.revision != a->revision))
		return (RC_MISSING);
	a->begun = rc == RC_OK;
	for (i = 0; rc == RC_OK && i < a->n; i++)
		rc = act_run(t, a, &a->acts[i], &a->acted[i]);
	return (rc);
}

/* Damage of one, which was told, is no matter of the others.  When some are
 * done, that is what is told, and not why the rest was not. */
static enum rc
apply_each(struct meta *m, const struct apply *all)
{
	struct apply one = *all;
	size_t i;
	enum rc rc = RC_OK;

	one.n = 1;
	for (i = 0; i < all->n; i++) {
		one.acts = &all->acts[i];
		one.acted = &all->acted[i];
		if (rc == RC_OK || rc == RC_CORRUPT)
			rc = meta_change_freeing(m, apply, &one);
		if (rc != RC_OK && rc != RC_CORRUPT && i == 0)
			return (rc);
		if (rc != RC_OK)
			*one.acted =
			    (struct lifecycle_acted){ .end = ACT_CHANGED };
	}
	return (RC_OK);
}

enum rc
meta_lifecycle_apply(struct meta *m, struct span repository, uint64_t revision,
    const struct lifecycle_act *acts, size_t n, int64_t now_ms,
    struct arena *arena, struct lifecycle_acted *r)
{
	struct apply a = {
		.repository = repository,
		.revision = revision,
		.acts = acts,
		.n = n,
		.now_ms = now_ms,
		.arena = arena,
		.acted = r,
	};
	enum rc rc;

	rc = meta_change_freeing(m, apply, &a);
	return (rc == RC_CORRUPT && a.begun ? apply_each(m, &a) : rc);
}
