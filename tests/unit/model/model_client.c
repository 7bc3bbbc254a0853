#include "model.h"

#include <string.h>

#include "base/obj.h"
#include "storage/repositories.h"
#include "storage/upload.h"

/*
 * A client that pushes: for each piece of content it asks whether it is there,
 * else mounts or uploads it, and last comes the manifest; of an index, its
 * children first.  Each of these is a step, and between two of them anything
 * may happen.
 */

static struct m_repo *
repo_of(struct model *m, unsigned repo)
{
	return (&m->sh->state.repos[repo]);
}

void
client_begin(struct model *m, const struct step *s)
{
	struct m_client *c = &m->sh->clients[s->a];

	if (c->state != CLIENT_IDLE)
		return;
	*c = (struct m_client){
		.state = CLIENT_PUSHING,
		.repo = s->b,
		.target = s->c,
		.manifest = s->c,
		.tag = (int8_t)(s->d % (TAGS + 1) - 1),
	};
}

/* The deepest manifest below the target that is not there. */
static unsigned
next_manifest(const struct model *m, const struct m_repo *r, unsigned manifest)
{
	unsigned k;

	for (k = 0; k < MANIFESTS; k++)
		if ((m->world.manifests[manifest].children & 1u << k) != 0 &&
		    (!r->exists || r->images[k].state != IMAGE_LIVE ||
			r->images[k].status != IMAGE_ACTIVE))
			return (next_manifest(m, r, k));
	return (manifest);
}

static void
client_manifest(struct model *m, struct m_client *c)
{
	bool last = c->manifest == c->target;
	bool ok;

	ok = manifest_push(m, c->repo, c->manifest, last ? c->tag : -1);
	c->told = 0;
	if (ok && last)
		c->state = CLIENT_IDLE;
}

/* A session: begun, written in two pieces, ended. */
static void
upload_begin(struct model *m, struct m_client *c)
{
	if (upload_start(m->store, world_repo(c->repo), DIGEST_SHA256, NULL,
		c->upload) != RC_OK)
		model_fail(m, "no session");
	c->state = CLIENT_UPLOADING;
	c->phase = 0;
}

/* Its session may have expired. */
static struct upload *
upload_take(struct model *m, struct m_client *c)
{
	struct upload *u = NULL;
	enum rc rc;

	rc = upload_acquire(
	    m->store, world_repo(c->repo), span_of(c->upload), &u);
	if (rc == RC_NOTFOUND)
		c->state = CLIENT_PUSHING;
	else if (rc != RC_OK)
		model_fail(m, "upload_acquire: %s", rc_text(rc));
	return (u);
}

static void
upload_piece(struct model *m, struct m_client *c)
{
	const struct world_blob *b = &m->world.blobs[c->blob];
	size_t half = b->n / 2, from = c->phase == 0 ? 0 : half;
	struct upload *u = upload_take(m, c);
	enum rc rc;

	if (u == NULL)
		return;
	must(upload_offset(u) == from);
	rc = upload_write(
	    u, b->bytes + from, c->phase == 0 ? half : b->n - half);
	if (rc != RC_OK)
		model_fail(m, "upload_write: %s", rc_text(rc));
	upload_release(&u);
	c->phase++;
}

static void
upload_end(struct model *m, struct m_client *c)
{
	struct upload *u = upload_take(m, c);
	enum rc rc;

	if (u == NULL)
		return;
	change_begin(
	    m, (struct change){
		   .kind = CHANGE_UPLOAD, .repo = c->repo, .blob = c->blob });
	rc = upload_finish(
	    &u, &m->world.blobs[c->blob].digest, &repository_preset_default);
	if (rc != RC_OK)
		model_fail(m, "upload_finish: %s", rc_text(rc));
	change_end(m, true);
	c->told |= 1u << c->blob;
	c->state = CLIENT_PUSHING;
}

static void
client_upload(struct model *m, struct m_client *c)
{
	if (c->phase < 2)
		upload_piece(m, c);
	else
		upload_end(m, c);
}

/* Where it may be had from. */
static unsigned
mount_from(const struct model *m, unsigned to, unsigned blob, unsigned way)
{
	const struct m_repo *r;
	unsigned i, from;

	for (i = 0; i < REPOS; i++) {
		from = (way + i) % REPOS;
		r = &m->sh->state.repos[from];
		if (from != to && r->exists && r->ever[blob])
			return (from);
	}
	return (way % REPOS);
}

/* It is there; or mounted from elsewhere; or uploaded in one go or in some. */
static void
client_blob(struct model *m, struct m_client *c, unsigned blob, unsigned way)
{
	unsigned from = mount_from(m, c->repo, blob, way / 4);

	c->blob = (uint8_t)blob;
	if (blob_look(m, c->repo, blob)) {
		c->told |= 1u << blob;
	} else if ((way % 4 == 0 || m->claimed) && from != c->repo) {
		if (blob_mount(m, from, c->repo, blob))
			c->told |= 1u << blob;
	} else if (m->claimed) {
		return;
	} else if (way % 4 < 3) {
		blob_upload(m, c->repo, blob);
		c->told |= 1u << blob;
	} else {
		upload_begin(m, c);
	}
}

void
client_step(struct model *m, unsigned client, unsigned way)
{
	struct m_client *c = &m->sh->clients[client];
	unsigned b, missing, manifest;

	if (c->state == CLIENT_IDLE)
		return;
	if (c->state == CLIENT_UPLOADING) {
		if (!m->claimed)
			client_upload(m, c);
		return;
	}
	manifest = next_manifest(m, repo_of(m, c->repo), c->target);
	if (manifest != c->manifest)
		c->told = 0;
	c->manifest = (uint8_t)manifest;
	missing = m->world.manifests[manifest].blobs & ~c->told;
	if (missing == 0) {
		client_manifest(m, c);
		return;
	}
	for (b = way % BLOBS; (missing & 1u << b) == 0; b = (b + 1) % BLOBS)
		;
	client_blob(m, c, b, way);
}
