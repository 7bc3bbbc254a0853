#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive_int.h"
#include "mirror/place_int.h"

/*
 * Before anything moves: which content do the images need that are wanted,
 * does each place have it already, and is the rest in the archive?  So an
 * archive that lacks something is refused before anything was stored.
 */
#define PLAN_ARENA_BYTES ((size_t)512 * 1024 * 1024)

static enum rc
plan_toobig(struct arc_plan *p)
{
	return (place_fail(p->error, RC_TOOBIG,
	    "%s: its images need too much content in too many repositories "
	    "for one import",
	    p->r->path));
}

/* Each place is dealt with at a stretch, so that of the places of a blob it is
 * the first if it is there at all. */
static enum rc
need_add(struct arc_plan *p, struct arc_need **list, struct arc_target *target,
    bool *new_r)
{
	struct arc_need *need;

	*new_r = *list == NULL || (*list)->target != target;
	if (!*new_r)
		return (RC_OK);
	need = arena_alloc(&p->arena, sizeof(*need));
	if (need == NULL)
		return (plan_toobig(p));
	*need = (struct arc_need){ .next = *list, .target = target };
	*list = need;
	return (RC_OK);
}

static void
manifest_note(struct arc_target *t, uint32_t at)
{
	if (t->n == t->room) {
		t->room = t->room * 2 + 16;
		t->manifests =
		    xrealloc(t->manifests, t->room * sizeof(*t->manifests));
	}
	t->manifests[t->n++] = at;
}

static enum rc plan_manifest(struct arc_plan *, struct arc_target *, uint32_t);

static enum rc
plan_edge(struct arc_plan *p, struct arc_target *t, const struct descriptor *d)
{
	uint32_t at = arc_table_find(&p->r->blobs, &d->digest);
	struct arc_blob *b;
	bool fresh;

	must(at != ARC_NONE);
	b = arc_blob_at(p->r, at);
	if (d->kind == EDGE_MANIFEST)
		return (b->here ? plan_manifest(p, t, at) : RC_OK);
	if (d->nondistributable && !b->here)
		return (RC_OK);
	return (need_add(p, &b->as_blob, t, &fresh));
}

static enum rc
plan_manifest(struct arc_plan *p, struct arc_target *t, uint32_t at)
{
	struct arc_blob *b = arc_blob_at(p->r, at);
	char why[MANIFEST_WHY_BYTES];
	struct arena arena;
	struct manifest m;
	bool fresh;
	size_t i;
	enum rc rc;

	if ((rc = need_add(p, &b->as_manifest, t, &fresh)) != RC_OK || !fresh)
		return (rc);
	arena_init(&arena, ARC_MANIFEST_ARENA_BYTES);
	/* It was read before. */
	must(arc_manifest_read(b, &arena, &m, why) == RC_OK);
	for (i = 0; rc == RC_OK && i < m.n_edges; i++)
		rc = plan_edge(p, t, &m.edges[i]);
	arena_reset(&arena);
	if (rc == RC_OK)
		manifest_note(t, at);
	return (rc);
}

static bool
is_planned(const struct arc_plan *p, const struct arc_target *t, uint32_t blob)
{
	const struct arc_need *need = arc_blob_at(p->r, blob)->as_manifest;

	return (need != NULL && need->target == t);
}

/* Those that follow others, which may follow others. */
static enum rc
plan_followers(struct arc_plan *p, struct arc_target *t)
{
	const struct archive_reader *r = p->r;
	bool more = true;
	size_t i;
	enum rc rc;

	while (more) {
		more = false;
		for (i = 0; i < r->n_followers; i++) {
			if (is_planned(p, t, r->followers[i]) ||
			    !is_planned(
				p, t, arc_blob_at(r, r->followers[i])->subject))
				continue;
			rc = plan_manifest(p, t, r->followers[i]);
			if (rc != RC_OK)
				return (rc);
			more = true;
		}
	}
	return (RC_OK);
}

static enum rc
plan_target(struct arc_plan *p, size_t n)
{
	struct arc_target *t = &p->targets[n];
	struct arc_blob *b;
	enum rc rc;
	size_t i;

	for (i = 0; i < p->r->n_images; i++) {
		if (p->of_image[i] != n)
			continue;
		b = arc_blob_at(p->r, p->r->image_blobs[i]);
		rc = plan_manifest(p, t, p->r->image_blobs[i]);
		if (rc != RC_OK)
			return (rc);
		if (p->r->images[i].tag.n > 0)
			b->as_manifest->tagged = true;
	}
	return (plan_followers(p, t));
}

/* Its number; most images are of the same place as the one before. */
static size_t
target_of(struct arc_plan *p, struct place *place)
{
	size_t i;

	for (i = p->n_targets; i > 0; i--)
		if (p->targets[i - 1].place == place)
			return (i - 1);
	p->targets[p->n_targets] = (struct arc_target){ .place = place };
	return (p->n_targets++);
}

static enum rc
plan_targets(struct arc_plan *p, archive_place_fn *open, void *arg)
{
	const struct archive_reader *r = p->r;
	struct place *place;
	enum rc rc = RC_OK;
	size_t i;

	/* Lists point at them: they do not move. */
	p->targets = xcalloc(r->n_images + 1, sizeof(*p->targets));
	p->of_image = xcalloc(r->n_images + 1, sizeof(*p->of_image));
	for (i = 0; i < r->n_images; i++) {
		place = open(arg, &r->images[i]);
		p->of_image[i] = place != NULL ? target_of(p, place) : SIZE_MAX;
		p->n_images += place != NULL ? 1 : 0;
	}
	for (i = 0; rc == RC_OK && i < p->n_targets; i++)
		rc = plan_target(p, i);
	return (rc);
}

static enum rc
missing_say(
    struct arc_plan *p, const struct arc_blob *b, const struct place *place)
{
	char text[DIGEST_STR_BYTES];

	return (place_fail(p->error, RC_MISSING,
	    "%s: %s is neither in the archive nor in %s", p->r->path,
	    digest_str(&b->digest, text), place->name));
}

static enum rc
need_look(struct arc_plan *p, const struct arc_blob *b, struct arc_need *need)
{
	struct place *place = need->target->place;
	enum rc rc = RC_NOTFOUND;

	if (p->r->cancel != NULL && atomic_load(p->r->cancel))
		return (place_fail(p->error, RC_CANCELLED, "cancelled"));
	if (place->ops->blob_has != NULL)
		rc = place->ops->blob_has(
		    place, &b->digest, b->size_bytes, p->error);
	need->there = rc == RC_OK;
	if (rc != RC_NOTFOUND)
		return (rc);
	if (!b->here)
		return (missing_say(p, b, place));
	p->n_to_move++;
	if (p->progress != NULL) {
		p->progress->blobs_total++;
		p->progress->bytes_total += b->size_bytes;
	}
	return (RC_OK);
}

static enum rc
plan_look(struct arc_plan *p)
{
	struct arc_blob *b;
	struct arc_need *need;
	uint32_t i;
	enum rc rc;

	for (i = 0; i < p->r->blobs.n; i++) {
		b = arc_blob_at(p->r, i);
		for (need = b->as_blob; need != NULL; need = need->next)
			if ((rc = need_look(p, b, need)) != RC_OK)
				return (rc);
	}
	return (RC_OK);
}

enum rc
arc_plan_make(struct arc_plan *p, archive_place_fn *open, void *arg)
{
	enum rc rc;

	arena_init(&p->arena, PLAN_ARENA_BYTES);
	if ((rc = plan_targets(p, open, arg)) != RC_OK)
		return (rc);
	if (p->progress != NULL)
		p->progress->images_total = p->n_images;
	return (plan_look(p));
}

void
arc_plan_free(struct arc_plan *p)
{
	struct arc_blob *b;
	uint32_t i;
	size_t t;

	for (i = 0; i < p->r->blobs.n; i++) {
		b = arc_blob_at(p->r, i);
		b->as_blob = b->as_manifest = NULL;
	}
	for (t = 0; t < p->n_targets; t++)
		free(p->targets[t].manifests);
	free(p->targets);
	free(p->of_image);
	arena_reset(&p->arena);
}
