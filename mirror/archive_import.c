#include <string.h>

#include "base/obj.h"
#include "mirror/archive_int.h"
#include "mirror/place_int.h"

/*
 * Blobs first, then the manifests, what others need before them, and the tags
 * at last: an image shows under its name when all of it is there.
 */

/* A child that the place wanted and the archive does not have. */
static enum rc
child_missing(struct arc_plan *p, const struct arc_blob *b, struct place *to)
{
	char parent[DIGEST_STR_BYTES], child[DIGEST_STR_BYTES];
	char why[MANIFEST_WHY_BYTES];
	struct arena arena;
	struct manifest m;
	uint32_t at;
	enum rc rc = RC_MISSING;
	size_t i;

	arena_init(&arena, ARC_MANIFEST_ARENA_BYTES);
	must(arc_manifest_read(b, &arena, &m, why) == RC_OK);
	for (i = 0; i < m.n_edges; i++) {
		at = arc_table_find(&p->r->blobs, &m.edges[i].digest);
		if (at == ARC_NONE || arc_blob_at(p->r, at)->here)
			continue;
		rc = place_fail(p->error, RC_MISSING,
		    "%s: %s, which %s lists, is neither in the archive nor in "
		    "%s, which takes no index without it (manifests.sparse)",
		    p->r->path, digest_str(&m.edges[i].digest, child),
		    digest_str(&b->digest, parent), to->name);
		break;
	}
	arena_reset(&arena);
	return (rc);
}

static enum rc
manifest_put(struct arc_plan *p, struct place *to, const struct arc_blob *b,
    struct span tag)
{
	const struct place_manifest m = {
		.digest = b->digest,
		.media_type = b->type,
		.text = b->text,
		.size_bytes = b->text.n,
	};
	enum rc rc;

	if (p->r->cancel != NULL && atomic_load(p->r->cancel))
		return (place_fail(p->error, RC_CANCELLED, "cancelled"));
	if (to->ops->manifest_put == NULL)
		return (place_fail(p->error, RC_UNSUPPORTED,
		    "%s: nothing can be written there", to->name));
	rc = to->ops->manifest_put(to, &m, tag, p->error);
	if (rc == RC_MISSING)
		return (child_missing(p, b, to));
	if (rc == RC_OK && p->progress != NULL)
		p->progress->moved_manifests++;
	return (rc);
}

/* What waits for its tag need not be put without one before, unless something
 * else waits for it. */
static bool
comes_with_tag(const struct arc_target *t, const struct arc_blob *b)
{
	const struct arc_need *need = b->as_manifest;

	while (need != NULL && need->target != t)
		need = need->next;
	return (need != NULL && need->tagged && !b->child);
}

static enum rc
target_put(struct arc_plan *p, const struct arc_target *t)
{
	const struct arc_blob *b;
	enum rc rc;
	size_t i;

	for (i = 0; i < t->n; i++) {
		b = arc_blob_at(p->r, t->manifests[i]);
		if (comes_with_tag(t, b))
			continue;
		rc = manifest_put(p, t->place, b, SPAN(""));
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
image_finish(struct arc_plan *p, size_t i, uint64_t *done_r)
{
	const struct archive_reader *r = p->r;
	enum rc rc = RC_OK;

	if (p->of_image[i] == SIZE_MAX)
		return (RC_OK);
	if (r->images[i].tag.n > 0)
		rc = manifest_put(p, p->targets[p->of_image[i]].place,
		    arc_blob_at(r, r->image_blobs[i]), r->images[i].tag);
	if (rc != RC_OK)
		return (rc);
	(*done_r)++;
	if (p->progress != NULL)
		p->progress->images++;
	return (RC_OK);
}

static enum rc
manifests_put(struct arc_plan *p, uint64_t *done_r)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < p->n_targets; i++)
		rc = target_put(p, &p->targets[i]);
	for (i = 0; rc == RC_OK && i < p->r->n_images; i++)
		rc = image_finish(p, i, done_r);
	return (rc);
}

enum rc
archive_reader_import(struct archive_reader *r, archive_place_fn *open,
    void *arg, struct copy_progress *progress, uint64_t *done_r,
    struct upstream_error *error)
{
	struct arc_plan p = { .r = r, .progress = progress, .error = error };
	enum rc rc;

	*done_r = 0;
	error->why[0] = '\0';
	if ((rc = arc_plan_make(&p, open, arg)) == RC_OK &&
	    (rc = arc_move(&p)) == RC_OK)
		rc = manifests_put(&p, done_r);
	arc_plan_free(&p);
	return (rc);
}
