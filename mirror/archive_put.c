#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "mirror/archive_int.h"
#include "mirror/place_int.h"

/*
 * A repository of an archive that is written: what copy_image() copies images
 * to.  All repositories share the blobs.  Of a manifest is kept what the lists
 * at the end of the file need, not its text.
 */
#define READ_BYTES ((size_t)128 * 1024)

struct archive_place {
	struct place base;
	struct archive_writer *w;
	struct span repository;
	char *name;
};

static struct archive_place *
place_of(struct place *p)
{
	return ((struct archive_place *)p);
}

static enum rc
put_fail(struct place *p, struct upstream_error *error, enum rc rc)
{
	return (
	    place_fail(error, rc, "%s: %.700s", p->name, place_of(p)->w->why));
}

void
arc_listed_key(struct span repository, struct span tag,
    const struct digest *digest, struct digest *key_r)
{
	char text[NAME_REPOSITORY_MAX_BYTES + DIGEST_STR_BYTES + 2];
	char hex[DIGEST_STR_BYTES];
	int n;

	if (tag.n > 0)
		n = snprintf(text, sizeof(text), SPAN_FMT ":" SPAN_FMT,
		    SPAN_ARG(repository), SPAN_ARG(tag));
	else
		n = snprintf(text, sizeof(text), SPAN_FMT "@%s",
		    SPAN_ARG(repository), digest_str(digest, hex));
	must(n > 0 && (size_t)n < sizeof(text));
	digest_of(DIGEST_SHA256, text, (size_t)n, key_r);
}

/* --- blobs --------------------------------------------------------------- */

static enum rc
blob_has(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct upstream_error *error)
{
	(void)size_bytes;
	(void)error;
	return (arc_table_find(&place_of(p)->w->written, d) != ARC_NONE
		    ? RC_OK
		    : RC_NOTFOUND);
}

static uint32_t
written_note(struct archive_writer *w, const struct digest *d, uint64_t size)
{
	struct arc_written *row;
	bool fresh;
	uint32_t at = arc_table_add(&w->written, d, &fresh);

	row = arc_table_at(&w->written, at);
	row->size_bytes = size;
	return (at);
}

/* A blob on its way into the file. */
struct putting {
	struct archive_place *p;
	const struct digest *digest;
	uint64_t size_bytes, done_bytes;
	struct hasher *hasher;
	struct upstream_error *error;
};

static enum rc
piece_put(struct putting *g, const void *bytes, size_t n)
{
	struct archive_writer *w = g->p->w;
	enum rc rc;

	if (n > g->size_bytes - g->done_bytes) {
		(void)arc_writer_fail(w, RC_DIGEST,
		    "a blob has more bytes than its manifest says");
		return (put_fail(&g->p->base, g->error, RC_DIGEST));
	}
	/* Not before the first of it is here: until then it can be tried
	 * again. */
	if (g->done_bytes == 0 &&
	    (rc = arc_writer_blob(w, g->digest, g->size_bytes)) != RC_OK)
		return (put_fail(&g->p->base, g->error, rc));
	hasher_update(g->hasher, bytes, n);
	if ((rc = arc_writer_data(w, bytes, n)) != RC_OK)
		return (put_fail(&g->p->base, g->error, rc));
	g->done_bytes += n;
	return (RC_OK);
}

static enum rc
pieces_put(struct putting *g, struct place_blob *from, char *buffer)
{
	size_t n;
	enum rc rc;

	for (;;) {
		rc = from->read(from, buffer, READ_BYTES, &n, g->error);
		if (rc != RC_OK && g->done_bytes > 0)
			(void)arc_writer_fail(
			    g->p->w, rc, "%.600s", g->error->why);
		if (rc != RC_OK || n == 0)
			return (rc);
		if ((rc = piece_put(g, buffer, n)) != RC_OK)
			return (rc);
	}
}

static enum rc
blob_verify(struct putting *g)
{
	char text[DIGEST_STR_BYTES];
	struct digest is;
	enum rc rc;

	if (g->done_bytes == 0 && g->size_bytes == 0 &&
	    (rc = arc_writer_blob(g->p->w, g->digest, 0)) != RC_OK)
		return (put_fail(&g->p->base, g->error, rc));
	hasher_final(g->hasher, &is);
	if (g->done_bytes == g->size_bytes && digest_eq(&is, g->digest))
		return (RC_OK);
	(void)arc_writer_fail(g->p->w, RC_DIGEST,
	    "what came for %s is something else", digest_str(g->digest, text));
	return (put_fail(&g->p->base, g->error, RC_DIGEST));
}

static enum rc
blob_put(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob *from, struct upstream_error *error)
{
	struct putting g = {
		.p = place_of(p),
		.digest = d,
		.size_bytes = size_bytes,
		.error = error,
	};
	struct archive_writer *w = g.p->w;
	char *buffer;
	enum rc rc;

	if (w->broken)
		return (put_fail(p, error, RC_FAILED));
	if (arc_table_find(&w->written, d) != ARC_NONE)
		return (RC_OK);
	buffer = xmalloc(READ_BYTES);
	g.hasher = hasher_new(d->alg);
	if ((rc = pieces_put(&g, from, buffer)) == RC_OK)
		rc = blob_verify(&g);
	if (rc == RC_OK)
		(void)written_note(w, d, size_bytes);
	hasher_free(&g.hasher);
	free(buffer);
	return (rc);
}

/* --- what is kept of a manifest ------------------------------------------ */

static enum rc
too_many(struct archive_writer *w)
{
	return (arc_writer_fail(w, RC_TOOBIG,
	    "there are more manifests than one archive takes (%llu MiB): "
	    "write several",
	    (unsigned long long)(ARCHIVE_MANIFESTS_MAX_BYTES >> 20)));
}

/* Of this machine's processor, as registries call it. */
static bool
is_ours(struct span architecture)
{
	static const char *const known[][2] = {
		{ "x86_64", "amd64" },
		{ "aarch64", "arm64" },
		{ "armv7l", "arm" },
		{ "armv6l", "arm" },
		{ "i686", "386" },
		{ "i386", "386" },
		{ "loongarch64", "loong64" },
	};
	struct utsname u;
	size_t i;

	if (uname(&u) == -1)
		return (false);
	for (i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(u.machine, known[i][0]) == 0)
			return (span_is(architecture, known[i][1]));
	/* ppc64le, s390x, riscv64 */
	return (span_is(architecture, u.machine));
}

/* Which children are for this machine; their platforms stand nowhere else. */
static void
children_mark(struct arc_written_manifest *row, struct span text)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc, *platform;
	struct span os, arch;
	size_t i;

	if (json_read(text, why, &doc) != RC_OK)
		return;
	for (i = 0; i < row->n_children; i++) {
		platform = json_object_get(
		    json_array_get(json_object_get(doc, "manifests"), i),
		    "platform");
		row->children[i].ours =
		    json_get_str(platform, "os", &os) == RC_OK &&
		    json_get_str(platform, "architecture", &arch) == RC_OK &&
		    span_is(os, "linux") && is_ours(arch);
	}
	json_decref(doc);
}

static bool
children_keep(struct archive_writer *w, struct arc_written_manifest *row,
    const struct manifest *m, struct span text)
{
	size_t i;

	row->children =
	    arena_calloc(&w->arena, m->n_edges + 1, sizeof(*row->children));
	if (row->children == NULL)
		return (false);
	row->n_children = m->n_edges;
	for (i = 0; i < m->n_edges; i++)
		row->children[i].digest = m->edges[i].digest;
	children_mark(row, text);
	return (true);
}

/* Not an artifact, nothing encrypted, nothing that is elsewhere. */
static bool
is_loadable(const struct manifest *m)
{
	size_t i;

	if (m->kind != MANIFEST_IMAGE ||
	    (!span_is(m->config_media_type,
		 "application/vnd.docker.container.image.v1+json") &&
		!span_is(m->config_media_type,
		    "application/vnd.oci.image.config.v1+json")))
		return (false);
	for (i = 1; i < m->n_edges; i++)
		if (m->edges[i].nondistributable ||
		    (!span_has_prefix(m->edges[i].media_type,
			 SPAN("application/vnd.oci.image.layer.v1.tar")) &&
			!span_has_prefix(m->edges[i].media_type,
			    SPAN("application/vnd.docker.image.rootfs.diff."
				 "tar"))) ||
		    span_has_suffix(m->edges[i].media_type, SPAN("+encrypted")))
			return (false);
	return (true);
}

static bool
layers_keep(struct archive_writer *w, struct arc_written_manifest *row,
    const struct manifest *m)
{
	size_t i;

	row->loadable = is_loadable(m);
	if (!row->loadable)
		return (true);
	row->layers = arena_calloc(&w->arena, m->n_edges, sizeof(*row->layers));
	if (row->layers == NULL)
		return (false);
	row->n_layers = m->n_edges;
	for (i = 0; i < m->n_edges; i++)
		row->layers[i] = m->edges[i].digest;
	return (true);
}

static struct arc_written_manifest *
row_new(struct archive_writer *w)
{
	if (w->n_manifests == w->manifests_room) {
		w->manifests_room = w->manifests_room * 2 + 64;
		w->manifests = xrealloc(
		    w->manifests, w->manifests_room * sizeof(*w->manifests));
	}
	memset(&w->manifests[w->n_manifests], 0, sizeof(*w->manifests));
	return (&w->manifests[w->n_manifests++]);
}

static enum rc
row_fill(struct archive_writer *w, const struct place_manifest *pm,
    const struct manifest *m)
{
	struct arc_written_manifest *row = row_new(w);

	row->digest = pm->digest;
	row->size_bytes = pm->text.n;
	row->type = arena_span(&w->arena, m->media_type);
	row->artifact_type = arena_span(&w->arena, m->artifact_type);
	row->has_subject = m->has_subject;
	row->subject = m->subject;
	if (row->type.p == NULL || row->artifact_type.p == NULL ||
	    !(m->kind == MANIFEST_INDEX ? children_keep(w, row, m, pm->text)
					: layers_keep(w, row, m)))
		return (too_many(w));
	return (RC_OK);
}

static enum rc
text_write(struct archive_writer *w, const struct place_manifest *pm)
{
	enum rc rc;

	w->texts_bytes += pm->text.n + 64;
	if (w->texts_bytes > ARCHIVE_MANIFESTS_MAX_BYTES)
		return (too_many(w));
	if ((rc = arc_writer_blob(w, &pm->digest, pm->text.n)) != RC_OK)
		return (rc);
	return (arc_writer_data(w, pm->text.p, pm->text.n));
}

/* It is in the file, and known as what it is. */
static enum rc
manifest_keep(struct archive_writer *w, const struct place_manifest *pm,
    const struct manifest *m, uint32_t *at_r)
{
	uint32_t at = arc_table_find(&w->written, &pm->digest);
	struct arc_written *written;
	enum rc rc;

	if (at == ARC_NONE) {
		if ((rc = text_write(w, pm)) != RC_OK)
			return (rc);
		at = written_note(w, &pm->digest, pm->text.n);
	}
	written = arc_table_at(&w->written, at);
	if (written->manifest == 0) {
		if ((rc = row_fill(w, pm, m)) != RC_OK)
			return (rc);
		written->manifest = w->n_manifests;
	}
	*at_r = written->manifest - 1;
	return (RC_OK);
}

static enum rc
list_add(struct archive_place *p, struct span tag, const struct digest *digest,
    uint32_t manifest)
{
	struct archive_writer *w = p->w;
	struct arc_listed *row;
	struct digest key;
	bool fresh;

	arc_listed_key(p->repository, tag, digest, &key);
	row = arc_table_at(&w->listed, arc_table_add(&w->listed, &key, &fresh));
	row->manifest = manifest;
	if (!fresh)
		return (RC_OK);
	row->repository = p->repository;
	row->tag = arena_span(&w->arena, tag);
	if (tag.n > 0 && ++w->tags > ARCHIVE_IMAGES_MAX)
		return (arc_writer_fail(w, RC_TOOBIG,
		    "there are more images than the %d that one archive "
		    "takes: write several",
		    ARCHIVE_IMAGES_MAX));
	return (row->tag.p != NULL ? RC_OK : too_many(w));
}

static enum rc
manifest_take(
    struct archive_place *p, const struct place_manifest *pm, struct span tag)
{
	char why[MANIFEST_WHY_BYTES], text[DIGEST_STR_BYTES];
	struct arena arena;
	struct manifest m;
	struct digest is;
	uint32_t at = 0;
	enum rc rc;

	digest_of(pm->digest.alg, pm->text.p, pm->text.n, &is);
	if (!digest_eq(&is, &pm->digest))
		return (arc_writer_fail(p->w, RC_DIGEST,
		    "the manifest %s has another digest",
		    digest_str(&pm->digest, text)));
	arena_init(&arena, ARC_MANIFEST_ARENA_BYTES);
	rc = manifest_parse(pm->media_type, pm->text, &arena, &m, why);
	if (rc != RC_OK)
		(void)arc_writer_fail(p->w, rc, "the manifest %s: %s",
		    digest_str(&pm->digest, text), why);
	if (rc == RC_OK)
		rc = manifest_keep(p->w, pm, &m, &at);
	if (rc == RC_OK)
		rc = list_add(p, SPAN(""), &pm->digest, at);
	if (rc == RC_OK && tag.n > 0)
		rc = list_add(p, tag, &pm->digest, at);
	arena_reset(&arena);
	return (rc);
}

static enum rc
manifest_put(struct place *p, const struct place_manifest *pm, struct span tag,
    struct upstream_error *error)
{
	enum rc rc = RC_FAILED;

	if (!place_of(p)->w->broken)
		rc = manifest_take(place_of(p), pm, tag);
	return (rc == RC_OK ? rc : put_fail(p, error, rc));
}

/* --- what is there ------------------------------------------------------- */

static enum rc
manifest_head(struct place *p, const struct reference *ref, struct arena *arena,
    struct place_manifest *m_r, struct upstream_error *error)
{
	const struct archive_writer *w = place_of(p)->w;
	const struct arc_written_manifest *m;
	const struct arc_listed *row;
	struct digest key;
	uint32_t at;

	(void)arena;
	arc_listed_key(place_of(p)->repository,
	    ref->is_digest ? SPAN("") : ref->tag, &ref->digest, &key);
	if ((at = arc_table_find(&w->listed, &key)) == ARC_NONE)
		return (place_fail(
		    error, RC_NOTFOUND, "%s: not there yet", p->name));
	row = arc_table_at(&w->listed, at);
	m = &w->manifests[row->manifest];
	*m_r = (struct place_manifest){
		.digest = m->digest,
		.media_type = m->type,
		.size_bytes = m->size_bytes,
	};
	return (RC_OK);
}

static bool
refers(const struct archive_place *p, const struct arc_listed *row,
    const struct digest *subject)
{
	const struct arc_written_manifest *m = &p->w->manifests[row->manifest];

	return (row->tag.n == 0 && m->has_subject &&
		digest_eq(&m->subject, subject) &&
		span_eq(row->repository, p->repository));
}

static enum rc
referrers(struct place *p, const struct digest *subject, struct arena *arena,
    struct upstream_referrer **rows_r, size_t *n_r,
    struct upstream_error *error)
{
	const struct archive_writer *w = place_of(p)->w;
	const struct arc_written_manifest *m;
	const struct arc_listed *row;
	uint32_t i;
	size_t n = 0;

	*n_r = 0;
	for (i = 0; i < w->listed.n; i++)
		if (refers(place_of(p), arc_table_at(&w->listed, i), subject))
			n++;
	*rows_r = arena_calloc(arena, n + 1, sizeof(**rows_r));
	if (*rows_r == NULL)
		return (place_fail(
		    error, RC_TOOBIG, "%s: too many referrers", p->name));
	for (i = 0; i < w->listed.n; i++) {
		row = arc_table_at(&w->listed, i);
		if (!refers(place_of(p), row, subject))
			continue;
		m = &w->manifests[row->manifest];
		(*rows_r)[(*n_r)++] = (struct upstream_referrer){
			.digest = m->digest,
			.media_type = m->type,
			.artifact_type = m->artifact_type,
			.size_bytes = m->size_bytes,
		};
	}
	return (RC_OK);
}

static void
archive_place_free(struct place *base)
{
	struct archive_place *p = place_of(base);

	must(p->w->n_places > 0);
	p->w->n_places--;
	free(p->name);
	free(p);
}

static const struct place_ops ops = {
	.manifest_head = manifest_head,
	.referrers = referrers,
	.blob_has = blob_has,
	.blob_put = blob_put,
	.manifest_put = manifest_put,
	.free = archive_place_free,
};

struct place *
archive_writer_place(struct archive_writer *w, struct span repository)
{
	struct archive_place *p = xcalloc(1, sizeof(*p));

	must(name_repository_ok(repository));
	p->w = w;
	w->n_places++;
	p->repository = arena_span(&w->arena, repository);
	/* The first of what fills it up says so. */
	if (p->repository.p == NULL) {
		(void)too_many(w);
		p->repository = SPAN("");
	}
	p->name = xstrdup(w->path != NULL ? w->path : "the archive");
	p->base = (struct place){
		.ops = &ops,
		.serial = true,
		.name = p->name,
		.here = true,
	};
	return (&p->base);
}
