#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive_int.h"

/*
 * Manifests within indexes within indexes: what the archive has of them is
 * what it says.  Each is looked at once, however many refer to it.  Content
 * that is not here is no fault: the registry may have it.
 */
#define DEPTH_MAX 8
#define SHOWN_BYTES 200

enum rc
arc_manifest_read(const struct arc_blob *b, struct arena *arena,
    struct manifest *m_r, char why[MANIFEST_WHY_BYTES])
{
	return (manifest_parse(b->type, b->text, arena, m_r, why));
}

static enum rc
refuse_blob(
    struct archive_reader *r, const struct arc_blob *b, const char *what)
{
	char text[DIGEST_STR_BYTES];

	return (arc_reader_refuse(
	    r, "%s: %.300s", digest_str(&b->digest, text), what));
}

static enum rc
size_check(struct archive_reader *r, const struct arc_blob *b,
    const struct descriptor *d)
{
	char what[SHOWN_BYTES];

	if (!b->here || b->size_bytes == d->size_bytes)
		return (RC_OK);
	(void)snprintf(what, sizeof(what),
	    "it has %llu bytes, and what refers to it says %llu",
	    (unsigned long long)b->size_bytes,
	    (unsigned long long)d->size_bytes);
	return (refuse_blob(r, b, what));
}

static enum rc graph_visit(
    struct archive_reader *, uint32_t at, struct span type, unsigned depth);

static enum rc
edge_visit(struct archive_reader *r, const struct descriptor *d, unsigned depth)
{
	struct arc_blob *b;
	uint32_t at;
	enum rc rc;
	bool fresh;

	at = arc_table_add(&r->blobs, &d->digest, &fresh);
	b = arc_blob_at(r, at);
	if (fresh) {
		b->subject = ARC_NONE;
		b->size_bytes = d->size_bytes;
	}
	if ((rc = size_check(r, b, d)) != RC_OK)
		return (rc);
	if (d->kind != EDGE_MANIFEST)
		return (RC_OK);
	b->child = true;
	return (b->here ? graph_visit(r, at, d->media_type, depth + 1) : RC_OK);
}

static enum rc
manifest_visit(
    struct archive_reader *r, const struct manifest *m, unsigned depth)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < m->n_edges; i++)
		rc = edge_visit(r, &m->edges[i], depth);
	return (rc);
}

/* Its own type, for whoever puts it. */
static enum rc
type_keep(struct archive_reader *r, uint32_t at, const struct manifest *m)
{
	struct span type = arena_span(&r->arena, m->media_type);

	if (type.p == NULL)
		return (arc_reader_toobig(r));
	arc_blob_at(r, at)->type = type;
	if (m->has_subject)
		arc_blob_at(r, at)->subject =
		    arc_table_find(&r->blobs, &m->subject);
	return (RC_OK);
}

static enum rc
graph_visit(
    struct archive_reader *r, uint32_t at, struct span type, unsigned depth)
{
	struct arc_blob *b = arc_blob_at(r, at);
	char why[MANIFEST_WHY_BYTES];
	struct arena arena;
	struct manifest m;
	enum rc rc;

	if (b->checked)
		return (RC_OK);
	if (depth > DEPTH_MAX)
		return (refuse_blob(r, b, "indexes within indexes, too deep"));
	if (b->text.p == NULL)
		return (refuse_blob(
		    r, b, "it stands where a manifest has to be, and is none"));
	b->checked = true;
	arena_init(&arena, ARC_MANIFEST_ARENA_BYTES);
	rc = manifest_parse(type, b->text, &arena, &m, why);
	if (rc != RC_OK)
		(void)refuse_blob(r, b, rc == RC_TOOBIG ? rc_text(rc) : why);
	if (rc == RC_OK)
		rc = type_keep(r, at, &m);
	if (rc == RC_OK)
		rc = manifest_visit(r, &m, depth);
	arena_reset(&arena);
	return (rc == RC_UNSUPPORTED ? RC_INVALID : rc);
}

enum rc
arc_graph_check(struct archive_reader *r, uint32_t root, struct span type)
{
	return (graph_visit(r, root, type, 0));
}
