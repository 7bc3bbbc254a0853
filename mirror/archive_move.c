#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive_int.h"
#include "mirror/place_int.h"

/*
 * The second walk over the file.  Content that is wanted goes to the first of
 * its places as it is read; the file does not stop for the others, so they get
 * it from there.
 */

/* An entry, as places read blobs. */
struct source {
	struct place_blob base;
	struct arc_plan *p;
	struct arc_walk *w;
	const char *block; /* what is left of the last one */
	size_t n;
	bool ended;
	bool packs; /* it is compressed on its way */
	struct arc_gzip gzip;
	size_t packed_at; /* what of .gzip.out was given */
};

static enum rc
source_fail(struct source *s, enum rc rc, struct upstream_error *error)
{
	return (place_fail(error, rc, "%s: %s", s->p->r->path,
	    s->w->why[0] != '\0' ? s->w->why : rc_text(rc)));
}

static enum rc
source_block(struct source *s, struct upstream_error *error)
{
	const void *block;
	enum rc rc;

	if ((rc = arc_walk_block(s->w, &block, &s->n)) != RC_OK)
		return (source_fail(s, rc, error));
	s->block = block;
	s->ended = s->n == 0;
	return (RC_OK);
}

static enum rc
plain_fill(struct source *s, struct upstream_error *error)
{
	return (s->n == 0 && !s->ended ? source_block(s, error) : RC_OK);
}

static enum rc
packed_fill(struct source *s, struct upstream_error *error)
{
	enum rc rc;

	if (s->packed_at == s->gzip.out.n) {
		buf_clear(&s->gzip.out);
		s->packed_at = 0;
	}
	while (s->gzip.out.n == 0 && !s->ended) {
		if ((rc = source_block(s, error)) != RC_OK)
			return (rc);
		rc = s->ended ? arc_gzip_end(&s->gzip)
			      : arc_gzip_feed(&s->gzip, s->block, s->n);
		if (rc != RC_OK)
			return (source_fail(s, rc, error));
	}
	return (RC_OK);
}

/* What is to be given next. */
static struct span
source_rest(const struct source *s)
{
	const struct buf *out = &s->gzip.out;

	if (!s->packs)
		return ((struct span){ s->block, s->n });
	if (out->n == s->packed_at)
		return (SPAN_NONE);
	return ((struct span){ out->p + s->packed_at, out->n - s->packed_at });
}

static void
source_given(struct source *s, size_t n)
{
	if (s->packs) {
		s->packed_at += n;
	} else {
		s->block += n;
		s->n -= n;
	}
	if (s->p->progress != NULL)
		s->p->progress->bytes += n;
}

static enum rc
source_read(struct place_blob *base, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	struct source *s = (struct source *)base;
	struct span rest;
	enum rc rc;

	*n_r = 0;
	rc = s->packs ? packed_fill(s, error) : plain_fill(s, error);
	if (rc != RC_OK)
		return (rc);
	rest = source_rest(s);
	if (rest.n == 0)
		return (RC_OK);
	*n_r = rest.n < room ? rest.n : room;
	memcpy(p, rest.p, *n_r);
	source_given(s, *n_r);
	return (RC_OK);
}

/* It is of whoever made it. */
static void
source_close(struct place_blob *base)
{
	(void)base;
}

static void
moved(struct arc_plan *p, struct arc_need *need)
{
	need->there = true;
	must(p->n_to_move > 0);
	p->n_to_move--;
	if (p->progress != NULL)
		p->progress->blobs++;
}

static enum rc
put(struct arc_plan *p, struct place *to, const struct arc_blob *b,
    struct place_blob *from)
{
	if (to->ops->blob_put == NULL)
		return (place_fail(p->error, RC_UNSUPPORTED,
		    "%s: nothing can be written there", to->name));
	return (
	    to->ops->blob_put(to, &b->digest, b->size_bytes, from, p->error));
}

static enum rc
put_entry(struct arc_plan *p, struct arc_walk *w, const struct arc_blob *b,
    struct arc_need *need, bool packs)
{
	struct source s = {
		.base = { .read = source_read, .close = source_close },
		.p = p,
		.w = w,
		.packs = packs,
	};
	enum rc rc = RC_OK;

	if (packs && (rc = arc_gzip_begin(&s.gzip)) != RC_OK)
		rc = source_fail(&s, rc, p->error);
	if (rc == RC_OK)
		rc = put(p, need->target->place, b, &s.base);
	if (packs)
		arc_gzip_free(&s.gzip);
	if (rc == RC_OK)
		moved(p, need);
	return (rc);
}

static enum rc
put_again(struct arc_plan *p, const struct arc_blob *b, struct place *from,
    struct arc_need *need)
{
	struct place_blob *open;
	enum rc rc;

	if (from->ops->blob_open == NULL)
		return (place_fail(p->error, RC_UNSUPPORTED,
		    "%s: it cannot be read, and others need what it has",
		    from->name));
	rc = from->ops->blob_open(
	    from, &b->digest, b->size_bytes, &open, p->error);
	if (rc != RC_OK)
		return (rc);
	rc = put(p, need->target->place, b, open);
	open->close(open);
	if (rc == RC_OK) {
		moved(p, need);
		if (p->progress != NULL)
			p->progress->bytes += b->size_bytes;
	}
	return (rc);
}

/* Places of one archive share their content. */
static bool
has_by_now(struct arc_plan *p, const struct arc_blob *b, struct arc_need *need)
{
	struct place *place = need->target->place;

	return (place->ops->blob_has != NULL &&
		place->ops->blob_has(
		    place, &b->digest, b->size_bytes, p->error) == RC_OK);
}

static enum rc
blob_move(struct arc_plan *p, struct arc_walk *w, const struct arc_blob *b,
    bool packs)
{
	struct place *first = NULL;
	struct arc_need *need;
	enum rc rc;

	for (need = b->as_blob; need != NULL; need = need->next) {
		if (need->there)
			continue;
		if (first == NULL)
			rc = put_entry(p, w, b, need, packs);
		else if (has_by_now(p, b, need)) {
			moved(p, need);
			rc = RC_OK;
		} else
			rc = put_again(p, b, first, need);
		if (rc != RC_OK)
			return (rc);
		if (first == NULL)
			first = need->target->place;
	}
	return (RC_OK);
}

/* The blob that an entry is, or becomes; NULL: none. */
static const struct arc_blob *
entry_blob(
    const struct archive_reader *r, const struct arc_walk *w, bool *packs_r)
{
	const struct digest *digest = &w->name.digest;
	const struct arc_saved *s;
	struct digest key;
	uint32_t at;

	*packs_r = false;
	if (w->name.kind == ARC_CONFIG || w->name.kind == ARC_LAYER) {
		arc_name_key(w->name.text, &key);
		if ((at = arc_table_find(&r->saved, &key)) == ARC_NONE)
			return (NULL);
		s = arc_table_at(&r->saved, at);
		*packs_r = s->kind == ARC_LAYER && !s->packed;
		digest = &s->digest;
	} else if (w->name.kind != ARC_BLOB) {
		return (NULL);
	}
	at = arc_table_find(&r->blobs, digest);
	return (at == ARC_NONE ? NULL : arc_blob_at(r, at));
}

static enum rc
walk_move(struct arc_plan *p, struct arc_walk *w)
{
	const struct arc_blob *b;
	enum rc rc = RC_OK;
	bool packs;

	while (p->n_to_move > 0 && (rc = arc_walk_next(w)) == RC_OK) {
		if (w->link[0] != '\0')
			continue;
		b = entry_blob(p->r, w, &packs);
		if (b != NULL && (rc = blob_move(p, w, b, packs)) != RC_OK)
			return (rc);
	}
	if (rc == RC_NOTFOUND)
		return (place_fail(p->error, RC_INVALID,
		    "%s: the file has changed since it was looked through",
		    p->r->path));
	if (rc != RC_OK)
		return (place_fail(p->error, rc, "%s: %s", p->r->path, w->why));
	return (RC_OK);
}

enum rc
arc_move(struct arc_plan *p)
{
	struct arc_walk w;
	enum rc rc;

	if (p->n_to_move == 0)
		return (RC_OK);
	rc = arc_walk_begin(&w, p->r->fd, p->r->cancel);
	rc = rc == RC_OK
		 ? walk_move(p, &w)
		 : place_fail(p->error, rc, "%s: %s", p->r->path, w.why);
	arc_walk_end(&w);
	return (rc);
}
