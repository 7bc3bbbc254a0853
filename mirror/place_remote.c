#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/place.h"
#include "mirror/upstream_int.h"

/*
 * A repository of another registry as a place.
 */
#define REMOTE_MAGIC 0x706c7265U

struct remote {
	unsigned magic;
	struct place place;
	struct upstream *upstream;
	struct span repository;
	char *repository_text, *name;
	char *home; /* of all places of this registry and these credentials */
	struct upstream_wait wait;
};

struct remote_blob {
	struct place_blob blob;
	struct upstream_blob *from;
};

static struct remote *
remote_of(struct place *p)
{
	struct remote *r =
	    (struct remote *)((char *)p - offsetof(struct remote, place));

	OBJ_CHECK(r, REMOTE_MAGIC);
	return (r);
}

/* --- reading ------------------------------------------------------------- */

static void
manifest_copy(const struct upstream_manifest *m, struct place_manifest *m_r)
{
	*m_r = (struct place_manifest){
		.digest = m->digest,
		.media_type = m->media_type,
		.text = m->text,
		.size_bytes = m->size_bytes,
	};
}

static enum rc
remote_manifest_head(struct place *p, const struct reference *ref,
    struct arena *arena, struct place_manifest *m_r,
    struct upstream_error *error)
{
	struct remote *r = remote_of(p);
	struct upstream_manifest m;
	enum rc rc;

	rc = upstream_manifest_head(
	    r->upstream, r->repository, ref, &r->wait, arena, &m, error);
	if (rc == RC_OK)
		manifest_copy(&m, m_r);
	return (rc);
}

static enum rc
remote_manifest_get(struct place *p, const struct reference *ref,
    struct arena *arena, struct place_manifest *m_r,
    struct upstream_error *error)
{
	struct remote *r = remote_of(p);
	struct upstream_manifest m;
	enum rc rc;

	rc = upstream_manifest_get(
	    r->upstream, r->repository, ref, &r->wait, arena, &m, error);
	if (rc == RC_OK)
		manifest_copy(&m, m_r);
	return (rc);
}

static enum rc
blob_read(struct place_blob *b, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	struct remote_blob *r = (struct remote_blob *)b;

	return (upstream_blob_read(r->from, p, room, n_r, error));
}

static void
blob_close(struct place_blob *b)
{
	struct remote_blob *r = (struct remote_blob *)b;

	upstream_blob_close(&r->from);
	free(r);
}

static enum rc
remote_blob_open(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob **b_r, struct upstream_error *error)
{
	struct remote *r = remote_of(p);
	struct upstream_blob *from;
	struct remote_blob *b;
	enum rc rc;

	(void)size_bytes;
	rc = upstream_blob_open(
	    r->upstream, r->repository, d, 0, &r->wait, &from, error);
	if (rc != RC_OK)
		return (rc);
	b = xcalloc(1, sizeof(*b));
	b->blob.read = blob_read;
	b->blob.close = blob_close;
	b->from = from;
	*b_r = &b->blob;
	return (RC_OK);
}

static enum rc
remote_tags(struct place *p, struct span next, struct arena *arena,
    struct place_names *names_r, struct upstream_error *error)
{
	struct remote *r = remote_of(p);
	struct upstream_tags page;
	enum rc rc;

	rc = upstream_tags(
	    r->upstream, r->repository, next, &r->wait, arena, &page, error);
	if (rc == RC_OK)
		*names_r = (struct place_names){
			.items = page.items,
			.n = page.n,
			.next = page.next,
		};
	return (rc);
}

static enum rc
remote_referrers(struct place *p, const struct digest *subject,
    struct arena *arena, struct upstream_referrer **rows_r, size_t *n_r,
    struct upstream_error *error)
{
	struct remote *r = remote_of(p);

	return (upstream_referrers(r->upstream, r->repository, subject,
	    &r->wait, arena, rows_r, n_r, error));
}

/* --- writing ------------------------------------------------------------- */

static enum rc
remote_blob_has(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct upstream_error *error)
{
	struct remote *r = remote_of(p);
	uint64_t there;

	(void)size_bytes;
	return (upstream_blob_head(
	    r->upstream, r->repository, d, &r->wait, &there, error));
}

/* What a blob is read from tells its own errors.  It is verified on its way: a
 * registry is not believed to look. */
struct source {
	struct remote *to;
	const struct digest *digest;
	struct place_blob *from;
	struct hasher *hasher; /* NULL: it has ended */
	struct upstream_error *error;
};

static enum rc
source_end(struct source *s)
{
	char text[DIGEST_STR_BYTES];
	struct digest have;

	if (s->hasher == NULL)
		return (RC_OK);
	hasher_final(s->hasher, &have);
	hasher_free(&s->hasher);
	if (digest_eq(&have, s->digest))
		return (RC_OK);
	(void)snprintf(s->error->why, sizeof(s->error->why),
	    "%s: what is to be sent there as %s is something else", s->to->name,
	    digest_str(s->digest, text));
	return (RC_DIGEST);
}

static enum rc
source_read(void *arg, void *p, size_t room, size_t *n_r)
{
	struct source *s = arg;
	enum rc rc;

	rc = s->from->read(s->from, p, room, n_r, s->error);
	if (rc != RC_OK)
		return (rc);
	if (*n_r == 0)
		return (source_end(s));
	must(s->hasher != NULL);
	hasher_update(s->hasher, p, *n_r);
	return (RC_OK);
}

static enum rc
remote_blob_put(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob *from, struct upstream_error *error)
{
	struct remote *r = remote_of(p);
	struct source s = {
		.to = r,
		.digest = d,
		.from = from,
		.error = error,
	};
	struct span mount = SPAN_NONE;
	enum rc rc;

	if (from->home != NULL && strcmp(from->home, r->home) == 0 &&
	    !span_eq(from->repository, r->repository))
		mount = from->repository;
	s.hasher = hasher_new(d->alg);
	rc = upstream_blob_put(r->upstream, r->repository, d, size_bytes, mount,
	    source_read, &s, &r->wait, error);
	hasher_free(&s.hasher);
	return (rc);
}

static enum rc
remote_manifest_put(struct place *p, const struct place_manifest *m,
    struct span tag, struct upstream_error *error)
{
	struct remote *r = remote_of(p);
	struct reference ref = { .tag = tag };

	if (tag.n == 0)
		ref = (struct reference){ .is_digest = true,
			.digest = m->digest };
	return (upstream_manifest_put(r->upstream, r->repository, &ref,
	    m->media_type, m->text, &r->wait, error));
}

static enum rc
remote_tag_delete(
    struct place *p, struct span tag, struct upstream_error *error)
{
	struct remote *r = remote_of(p);

	return (upstream_tag_delete(
	    r->upstream, r->repository, tag, &r->wait, error));
}

/* --- the place ----------------------------------------------------------- */

static void
remote_free(struct place *p)
{
	struct remote *r = remote_of(p);

	upstream_unref(&r->upstream);
	free(r->repository_text);
	free(r->name);
	free(r->home);
	r->magic = 0;
	free(r);
}

static const struct place_ops remote_ops = {
	.manifest_head = remote_manifest_head,
	.manifest_get = remote_manifest_get,
	.blob_open = remote_blob_open,
	.tags = remote_tags,
	.referrers = remote_referrers,
	.blob_has = remote_blob_has,
	.blob_put = remote_blob_put,
	.manifest_put = remote_manifest_put,
	.tag_delete = remote_tag_delete,
	.free = remote_free,
};

struct place *
place_remote(const struct place_remote_options *o)
{
	struct remote *r = xcalloc(1, sizeof(*r));

	r->magic = REMOTE_MAGIC;
	r->upstream = upstream_ref(o->upstream);
	r->repository_text = xstrndup(o->repository.p, o->repository.n);
	r->repository = span_of(r->repository_text);
	r->name = xstrdup(o->name != NULL ? o->name : r->repository_text);
	r->home = xasprintf(
	    "%s %s", upstream_url(r->upstream), r->upstream->credential);
	r->wait = (struct upstream_wait){
		.patience_ms = o->patience_ms,
		.cancel = o->cancel,
	};
	r->place = (struct place){
		.ops = &remote_ops,
		.name = r->name,
		.cancel = o->cancel,
		.home = r->home,
		.repository = r->repository,
	};
	return (&r->place);
}
