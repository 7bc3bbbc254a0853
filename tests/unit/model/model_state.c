#include "model.h"

#include <string.h>

#include "base/obj.h"
#include "storage/images.h"

/*
 * The model itself: what a change that happened makes of it.
 */

void
repo_clear(struct m_repo *r)
{
	unsigned i;

	memset(r, 0, sizeof(*r));
	for (i = 0; i < TAGS; i++)
		r->tags[i] = -1;
}

int64_t
model_now(const struct model *m)
{
	return (m->sh->now_ms);
}

unsigned
repo_tags_of(const struct m_repo *r, unsigned manifest)
{
	unsigned i, tags = 0;

	for (i = 0; i < TAGS; i++)
		if (r->tags[i] == (int)manifest)
			tags |= 1u << i;
	return (tags);
}

bool
repo_tagged(const struct m_repo *r, unsigned manifest)
{
	return (repo_tags_of(r, manifest) != 0);
}

/* Looking. */

/* By an image of that status, or, with 0, by any, and deleted ones. */
static bool
needed_by(const struct model *m, const struct m_repo *r, unsigned blob,
    unsigned status)
{
	unsigned i;

	for (i = 0; i < MANIFESTS; i++) {
		if (r->images[i].state == IMAGE_NONE ||
		    (m->world.manifests[i].blobs & 1u << blob) == 0)
			continue;
		if (status == 0 || (r->images[i].state == IMAGE_LIVE &&
				       r->images[i].status == status))
			return (true);
	}
	return (false);
}

bool
blob_needed(const struct model *m, const struct m_repo *r, unsigned blob)
{
	return (r->exists && needed_by(m, r, blob, 0));
}

bool
blob_used(const struct model *m, const struct m_repo *r, unsigned blob)
{
	return (r->exists && (needed_by(m, r, blob, IMAGE_ACTIVE) ||
				 needed_by(m, r, blob, IMAGE_ACTIVATING) ||
				 needed_by(m, r, blob, IMAGE_ARCHIVED)));
}

bool
blob_sure(const struct model *m, const struct m_repo *r, unsigned blob)
{
	int64_t told_ms = r->promised_ms[blob];

	if (!r->exists)
		return (false);
	if (needed_by(m, r, blob, IMAGE_ACTIVE))
		return (true);
	return (told_ms != 0 && model_now(m) < told_ms + GRACE_MS);
}

bool
image_held(const struct model *m, const struct m_repo *r, unsigned manifest,
    bool active)
{
	unsigned i;

	for (i = 0; i < MANIFESTS; i++) {
		if ((m->world.manifests[i].children & 1u << manifest) == 0 ||
		    r->images[i].state != IMAGE_LIVE)
			continue;
		if (!active || r->images[i].status != IMAGE_ARCHIVED)
			return (true);
	}
	return (false);
}

static bool
act_changed(
    const struct m_repo *r, const struct m_image *i, const struct m_act *act)
{
	if (act->pushes != i->pushes || act->classes != i->classes ||
	    act->tags != repo_tags_of(r, act->manifest))
		return (true);
	if (i->status == IMAGE_ACTIVATING)
		return (true);
	return (act->act.kind == ACT_ARCHIVE && i->status != IMAGE_ACTIVE);
}

enum lifecycle_act_end
act_end(const struct model *m, const struct m_repo *r, const struct m_act *act)
{
	const struct m_image *i = &r->images[act->manifest];

	if (i->state != IMAGE_LIVE)
		return (ACT_GONE);
	if (act_changed(r, i, act) || (act->act.by_pull && i->pulled))
		return (ACT_CHANGED);
	if (image_held(m, r, act->manifest, act->act.kind == ACT_ARCHIVE))
		return (ACT_HELD);
	return (ACT_DONE);
}

/* Referrers. */

/* Those that were there when it went. */
static void
referrers_note(const struct model *m, struct m_repo *r, unsigned subject,
    enum follow follow)
{
	unsigned i;

	for (i = 0; i < MANIFESTS; i++)
		if (m->world.manifests[i].subject == (int)subject)
			r->images[i].follow = r->images[i].state == IMAGE_LIVE
						  ? (uint8_t)follow
						  : FOLLOW_PERHAPS;
}

void
image_left_note(
    const struct model *m, struct m_repo *r, unsigned manifest, int64_t now_ms)
{
	struct m_image *i = &r->images[manifest];

	*i = (struct m_image){
		.pushes = i->pushes,
		.classes = i->classes,
		.left_ms = now_ms,
		.first_ms = i->first_ms != 0 ? i->first_ms : now_ms,
	};
	referrers_note(m, r, manifest, FOLLOW_REMOVED);
}

void
image_status_note(const struct model *m, struct m_repo *r, unsigned manifest,
    enum image_status status, int64_t now_ms)
{
	struct m_image *i = &r->images[manifest];
	bool archived = status == IMAGE_ARCHIVED;

	if (i->status == (uint8_t)status)
		return;
	i->status = (uint8_t)status;
	i->classes++;
	i->follow = FOLLOW_PERHAPS;
	i->left_ms = archived ? now_ms : 0;
	if (archived && i->first_ms == 0)
		i->first_ms = now_ms;
	referrers_note(
	    m, r, manifest, archived ? FOLLOW_ARCHIVED : FOLLOW_PERHAPS);
}

/* Going and coming. */

static void
image_retire(
    const struct model *m, struct m_repo *r, unsigned manifest, int64_t now_ms)
{
	struct m_image *i = &r->images[manifest];
	unsigned t;

	i->tags = repo_tags_of(r, manifest);
	for (t = 0; t < TAGS; t++)
		if (r->tags[t] == (int)manifest)
			r->tags[t] = -1;
	if (m->sh->undelete_ms == 0) {
		image_left_note(m, r, manifest, now_ms);
		return;
	}
	i->state = IMAGE_GONE;
	i->deleted_ms = now_ms;
	i->follow = FOLLOW_PERHAPS;
	referrers_note(m, r, manifest, FOLLOW_PERHAPS);
}

static void
tag_put(struct m_repo *r, unsigned tag, unsigned manifest, int64_t now_ms)
{
	if (r->tags[tag] != (int)manifest)
		r->tagged_ms[tag] = now_ms;
	r->tags[tag] = (int8_t)manifest;
}

/* Pushed again, it is about one that is yet to come. */
static bool
subject_away(const struct model *m, const struct m_repo *r, int manifest)
{
	int subject = m->world.manifests[manifest].subject;

	if (subject < 0)
		return (false);
	return (r->images[subject].state != IMAGE_LIVE ||
		r->images[subject].status == IMAGE_ARCHIVED);
}

static void
image_put(const struct model *m, struct m_repo *r, const struct change *c)
{
	struct m_image *i = &r->images[c->manifest];

	if (i->state != IMAGE_LIVE) {
		*i = (struct m_image){
			.state = IMAGE_LIVE,
			.status = IMAGE_ACTIVE,
			.pushes = i->pushes + 1,
			.classes = i->classes,
			.first_ms = i->first_ms,
			.pushed_ms = c->now_ms,
		};
		referrers_note(m, r, (unsigned)c->manifest, FOLLOW_PERHAPS);
	}
	if (i->pushed_ms != c->now_ms && subject_away(m, r, c->manifest)) {
		i->pushed_ms = c->now_ms;
		i->pushes++;
	}
	i->follow = FOLLOW_PERHAPS;
	if (c->tag >= 0)
		tag_put(r, (unsigned)c->tag, (unsigned)c->manifest, c->now_ms);
}

/* Children come first, in order of digest, and tags only where they are free.
 */
static void
image_again(const struct model *m, struct m_repo *r, unsigned manifest)
{
	struct m_image *i = &r->images[manifest];
	unsigned k, t;

	for (k = 0; k < MANIFESTS; k++) {
		t = m->world.order[k];
		if ((m->world.manifests[manifest].children & 1u << t) != 0 &&
		    r->images[t].state == IMAGE_GONE)
			image_again(m, r, t);
	}
	i->state = IMAGE_LIVE;
	i->classes++;
	i->left_ms = i->status == IMAGE_ARCHIVED ? model_now(m) : 0;
	for (t = 0; t < TAGS; t++)
		if ((i->tags & 1u << t) != 0 && r->tags[t] < 0)
			tag_put(r, t, manifest, model_now(m));
	i->tags = 0;
	i->deleted_ms = 0;
	i->follow = FOLLOW_PERHAPS;
	referrers_note(m, r, manifest, FOLLOW_PERHAPS);
}

/* A tag goes, and the image with the last of them. */
static void
tagged_delete(const struct model *m, struct m_repo *r, const struct change *c)
{
	int manifest = r->tags[c->tag];

	if (manifest < 0)
		return;
	if (repo_tags_of(r, (unsigned)manifest) == 1u << c->tag)
		image_retire(m, r, (unsigned)manifest, c->now_ms);
	r->tags[c->tag] = -1;
}

void
act_apply(const struct model *m, struct m_repo *r, const struct m_act *act,
    int64_t now_ms)
{
	if (act_end(m, r, act) != ACT_DONE)
		return;
	if (act->act.kind == ACT_EXPIRE)
		image_retire(m, r, act->manifest, now_ms);
	else
		image_status_note(m, r, act->manifest, IMAGE_ARCHIVED, now_ms);
}

static void
acts_apply(const struct model *m, struct m_repo *r, const struct change *c)
{
	size_t i;

	for (i = 0; i < r->n_acts; i++)
		act_apply(m, r, &r->acts[i], c->now_ms);
	r->n_acts = 0;
}

/* Repositories. */

static void
repo_doom(const struct model *m, struct m_state *s, const struct change *c)
{
	size_t *n = &s->n_doomed[c->repo];

	if (m->sh->undelete_ms > 0) {
		must(*n < DOOMED_MAX);
		s->doomed[c->repo][*n].repo = s->repos[c->repo];
		s->doomed[c->repo][*n].deleted_ms = c->now_ms;
		(*n)++;
	}
	repo_clear(&s->repos[c->repo]);
}

static void
repo_again(const struct model *m, struct m_state *s, const struct change *c)
{
	struct m_repo *r = &s->repos[c->repo];
	unsigned i;

	(void)m;
	*r = s->doomed[c->repo][--s->n_doomed[c->repo]].repo;
	memset(r->promised_ms, 0, sizeof(r->promised_ms));
	r->n_acts = 0;
	for (i = 0; i < MANIFESTS; i++)
		r->images[i].follow = FOLLOW_PERHAPS;
}

static void
repo_make(struct m_repo *r)
{
	if (!r->exists)
		repo_clear(r);
	r->exists = true;
}

static void
blob_linked(struct m_repo *r, const struct change *c)
{
	repo_make(r);
	r->ever[c->blob] = true;
	r->promised_ms[c->blob] = c->now_ms;
}

void
change_apply(const struct model *m, struct m_state *s, const struct change *c)
{
	struct m_repo *r = &s->repos[c->repo];

	switch (c->kind) {
	case CHANGE_LOOK:
		r->promised_ms[c->blob] = c->now_ms;
		break;
	case CHANGE_UPLOAD:
	case CHANGE_MOUNT:
		blob_linked(r, c);
		break;
	case CHANGE_PUT:
		repo_make(r);
		image_put(m, r, c);
		break;
	case CHANGE_UNTAG:
		r->tags[c->tag] = -1;
		break;
	case CHANGE_DELETE:
		image_retire(m, r, (unsigned)c->manifest, c->now_ms);
		break;
	case CHANGE_IMAGE_DELETE:
		tagged_delete(m, r, c);
		break;
	case CHANGE_BLOB_DELETE:
		r->ever[c->blob] = false;
		r->promised_ms[c->blob] = 0;
		break;
	case CHANGE_REPO_DELETE:
		repo_doom(m, s, c);
		break;
	case CHANGE_REPO_UNDELETE:
		repo_again(m, s, c);
		break;
	case CHANGE_APPLY:
		acts_apply(m, r, c);
		break;
	case CHANGE_STATUS:
		if (c->other == IMAGE_ARCHIVED)
			image_status_note(m, r, (unsigned)c->manifest,
			    IMAGE_ARCHIVED, c->now_ms);
		break;
	case CHANGE_UNDELETE:
		image_again(m, r, (unsigned)c->manifest);
		break;
	case CHANGE_NONE:
	case CHANGE_POLICY:
	case CHANGE_KINDS:
		break;
	}
}
