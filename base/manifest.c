#include "base/manifest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/manifest_int.h"
#include "base/obj.h"

/*
 * A manifest is read in four steps: what type it is (from the content type,
 * "mediaType" and the shape), its descriptors, what it tells about itself as
 * a referrer, and the sum of its sizes.  Members that this reader does not
 * know are skipped; those that it knows must be what the specification says.
 */

/* What a client sent is repeated to it up to this length. */
#define SHOWN_BYTES 100

static const struct media {
	const char *name;
	enum manifest_kind kind;
	bool oci;
} media_known[] = {
	{ MEDIA_OCI_MANIFEST, MANIFEST_IMAGE, true },
	{ MEDIA_OCI_INDEX, MANIFEST_INDEX, true },
	{ MEDIA_DOCKER_MANIFEST, MANIFEST_IMAGE, false },
	{ MEDIA_DOCKER_LIST, MANIFEST_INDEX, false },
};

static const struct media *
media_find(struct span name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(media_known); i++)
		if (span_is(name, media_known[i].name))
			return (&media_known[i]);
	return (NULL);
}

bool
manifest_media_type_known(struct span name)
{
	return (media_find(name) != NULL);
}

enum rc
manifest_refuse(struct manifest_reader *r, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->why, MANIFEST_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

enum rc
manifest_refuse_memory(struct manifest_reader *r)
{
	return (manifest_refuse(r, RC_TOOBIG,
	    "the manifest takes more memory than one request may use"));
}

static enum rc
refuse_schema1(struct manifest_reader *r)
{
	return (manifest_refuse(r, RC_UNSUPPORTED,
	    "image manifest version 2 schema 1 is not supported: push the "
	    "image as " MEDIA_OCI_MANIFEST " or " MEDIA_DOCKER_MANIFEST
	    ", which docker since 1.10 and all newer tools do"));
}

struct span
manifest_shown(struct span s)
{
	if (s.n > SHOWN_BYTES)
		s.n = SHOWN_BYTES;
	return (s);
}

/* A string that need not be there; empty if it is not. */
static enum rc
string_read(struct manifest_reader *r, const json_t *o, const char *key,
    struct span *s_r)
{
	*s_r = SPAN_NONE;
	if (json_get_str(o, key, s_r) == RC_INVALID)
		return (manifest_refuse(
		    r, RC_INVALID, "\"%s\" is not a string", key));
	return (RC_OK);
}

enum rc
manifest_keep(struct manifest_reader *r, struct span s, struct span *kept_r)
{
	*kept_r = SPAN_NONE;
	if (s.n == 0)
		return (RC_OK);
	*kept_r = arena_span(r->arena, s);
	return (kept_r->p != NULL ? RC_OK : manifest_refuse_memory(r));
}

static bool
has(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return (v != NULL && !json_is_null(v));
}

/*
 * The type.
 */

static struct span
content_type_bare(struct span s)
{
	struct span bare = SPAN_NONE;

	(void)span_split(&s, ';', &bare);
	return (span_trim(bare));
}

static bool
is_schema1(struct span type)
{
	return (span_has_prefix(
	    type, SPAN("application/vnd.docker.distribution.manifest.v1+")));
}

static enum rc
version_check(struct manifest_reader *r)
{
	int64_t version;

	if (json_get_int(r->doc, "schemaVersion", &version) != RC_OK)
		return (manifest_refuse(r, RC_INVALID,
		    "\"schemaVersion\" is missing or not an integer, must be "
		    "2"));
	if (version == 1)
		return (refuse_schema1(r));
	if (version != 2)
		return (manifest_refuse(r, RC_INVALID,
		    "\"schemaVersion\" is %" PRId64 ", must be 2", version));
	return (RC_OK);
}

/* The type of a document that nobody named one for. */
static enum rc
type_by_shape(struct manifest_reader *r, struct span *type_r)
{
	if (has(r->doc, "config"))
		*type_r = SPAN(MEDIA_OCI_MANIFEST);
	else if (has(r->doc, "manifests"))
		*type_r = SPAN(MEDIA_OCI_INDEX);
	else
		return (manifest_refuse(r, RC_INVALID,
		    "neither Content-Type nor \"mediaType\" says what this "
		    "is, and it has no \"config\" and no \"manifests\""));
	return (RC_OK);
}

/*
 * A document that clients could read as an image and as an index would let
 * one digest stand for two contents (image-spec advisory
 * GHSA-77vh-xpmg-72qh), so neither may have the members of the other.
 */
static enum rc
shape_check(struct manifest_reader *r)
{
	static const char *const not_image[] = { "manifests", "fsLayers" };
	static const char *const not_index[] = { "config", "layers",
		"fsLayers" };
	bool image = r->m->kind == MANIFEST_IMAGE;
	const char *const *members = image ? not_image : not_index;
	size_t i, n;

	n = image ? ARRAY_LEN(not_image) : ARRAY_LEN(not_index);
	for (i = 0; i < n; i++)
		if (has(r->doc, members[i]))
			return (manifest_refuse(r, RC_INVALID,
			    "\"%s\" must not be in a manifest of type %s",
			    members[i], r->m->media_type.p));
	return (RC_OK);
}

static enum rc
type_read(struct manifest_reader *r, struct span type)
{
	const struct media *media;
	struct span member;
	enum rc rc;

	if ((rc = string_read(r, r->doc, "mediaType", &member)) != RC_OK)
		return (rc);
	if (type.n > 0 && member.n > 0 && !span_eq(type, member))
		return (manifest_refuse(r, RC_INVALID,
		    "Content-Type \"" SPAN_FMT
		    "\" and \"mediaType\" \"" SPAN_FMT "\" differ",
		    SPAN_ARG(manifest_shown(type)),
		    SPAN_ARG(manifest_shown(member))));
	if (type.n == 0)
		type = member;
	if (is_schema1(type))
		return (refuse_schema1(r));
	if ((rc = version_check(r)) != RC_OK)
		return (rc);
	if (type.n == 0 && (rc = type_by_shape(r, &type)) != RC_OK)
		return (rc);
	media = media_find(type);
	if (media == NULL)
		return (manifest_refuse(r, RC_UNSUPPORTED,
		    "media type \"" SPAN_FMT "\" is not one of a manifest; "
		    "known are OCI image manifests and indexes, Docker image "
		    "manifests (v2) and lists",
		    SPAN_ARG(manifest_shown(type))));
	r->m->kind = media->kind;
	r->m->media_type = span_of(media->name);
	r->oci = media->oci;
	return (shape_check(r));
}

/*
 * What it points to.
 */

/*
 * Build caches are pushed as indexes of layers and of a config: a child whose
 * type is given and is no manifest's is a blob.
 */
static enum edge_kind
child_kind(const struct descriptor *d)
{
	if (d->media_type.n == 0 || manifest_media_type_known(d->media_type))
		return (EDGE_MANIFEST);
	return (EDGE_LAYER);
}

static enum rc
edges_read(struct manifest_reader *r, const char *member, const json_t *array)
{
	bool layers = r->m->kind == MANIFEST_IMAGE;
	struct manifest_place at = { .member = member, .in_array = true };
	struct descriptor *d, *before;
	const json_t *o;
	enum rc rc;

	for (; at.index < json_array_size(array); at.index++) {
		o = json_array_get(array, at.index);
		d = &r->m->edges[r->m->n_edges];
		before = r->m->n_edges > 0 ? d - 1 : NULL;
		if ((rc = descriptor_read(r, &at, o, before, d)) != RC_OK)
			return (rc);
		d->kind = layers ? EDGE_LAYER : child_kind(d);
		if (layers && (rc = descriptor_foreign(r, &at, o, d)) != RC_OK)
			return (rc);
		r->m->n_edges++;
	}
	return (RC_OK);
}

static enum rc
edges_reserve(struct manifest_reader *r, size_t n)
{
	r->m->edges = arena_calloc(r->arena, n, sizeof(*r->m->edges));
	return (r->m->edges != NULL ? RC_OK : manifest_refuse_memory(r));
}

/* OCI lets artifacts leave "layers" out; Docker has no such images. */
static enum rc
image_read(struct manifest_reader *r)
{
	struct manifest_place at = { .member = "config" };
	struct descriptor *config;
	json_t *layers = NULL;
	enum rc rc;

	rc = json_get_array(r->doc, "layers", &layers);
	if (rc == RC_INVALID || (rc == RC_NOTFOUND && !r->oci))
		return (manifest_refuse(
		    r, RC_INVALID, "\"layers\" is missing or not an array"));
	if ((rc = edges_reserve(r, 1 + json_array_size(layers))) != RC_OK)
		return (rc);
	config = r->m->edges;
	rc = descriptor_read(
	    r, &at, json_object_get(r->doc, "config"), NULL, config);
	if (rc != RC_OK)
		return (rc);
	config->kind = EDGE_CONFIG;
	r->m->n_edges = 1;
	r->m->config_media_type = config->media_type;
	return (edges_read(r, "layers", layers));
}

static enum rc
index_read(struct manifest_reader *r)
{
	json_t *manifests = NULL;
	enum rc rc;

	if (json_get_array(r->doc, "manifests", &manifests) != RC_OK)
		return (manifest_refuse(
		    r, RC_INVALID, "\"manifests\" is missing or not an array"));
	if ((rc = edges_reserve(r, json_array_size(manifests))) != RC_OK)
		return (rc);
	return (edges_read(r, "manifests", manifests));
}

/*
 * How it presents itself as a referrer.  These members are OCI's; in a Docker
 * manifest they are unknown ones.
 */

static enum rc
subject_read(struct manifest_reader *r)
{
	struct manifest_place at = { .member = "subject" };
	struct descriptor d = { .size_bytes = 0 };
	enum rc rc;

	if (!r->oci || !has(r->doc, "subject"))
		return (RC_OK);
	rc = descriptor_read(
	    r, &at, json_object_get(r->doc, "subject"), NULL, &d);
	if (rc != RC_OK)
		return (rc);
	r->m->has_subject = true;
	r->m->subject = d.digest;
	r->m->subject_size_bytes = d.size_bytes;
	return (RC_OK);
}

static enum rc
artifact_type_read(struct manifest_reader *r)
{
	struct span type = SPAN_NONE;
	enum rc rc;

	if (r->oci) {
		rc = string_read(r, r->doc, "artifactType", &type);
		if (rc != RC_OK)
			return (rc);
	}
	if (type.n > 0)
		return (manifest_keep(r, type, &r->m->artifact_type));
	r->m->artifact_type = r->m->config_media_type;
	return (RC_OK);
}

static enum rc
annotations_check(struct manifest_reader *r, json_t *o)
{
	const char *key;
	json_t *value;

	json_object_foreach(o, key, value)
	{
		if (!json_is_string(value))
			return (manifest_refuse(r, RC_INVALID,
			    "annotation \"" SPAN_FMT "\" is not a string",
			    SPAN_ARG(manifest_shown(span_of(key)))));
	}
	return (RC_OK);
}

static enum rc
annotations_read(struct manifest_reader *r)
{
	json_t *o = NULL;
	size_t n;
	char *text;
	enum rc rc;

	if (!r->oci)
		return (RC_OK);
	rc = json_get_object(r->doc, "annotations", &o);
	if (rc == RC_INVALID)
		return (manifest_refuse(
		    r, RC_INVALID, "\"annotations\" is not an object"));
	if (rc == RC_NOTFOUND || json_object_size(o) == 0)
		return (RC_OK);
	if ((rc = annotations_check(r, o)) != RC_OK)
		return (rc);
	n = json_dumpb(o, NULL, 0, JSON_COMPACT);
	text = arena_alloc(r->arena, n);
	if (text == NULL)
		return (manifest_refuse_memory(r));
	must(json_dumpb(o, text, n, JSON_COMPACT) == n);
	r->m->annotations = (struct span){ text, n };
	return (RC_OK);
}

/*
 * The sum.
 */

struct counted {
	const struct descriptor *d;
};

static int
counted_cmp(const void *pa, const void *pb)
{
	const struct counted *a = pa, *b = pb;

	return (digest_cmp(&a->d->digest, &b->d->digest));
}

/*
 * Sorted, so that a manifest of one layer many thousand times costs no more
 * than another.  Where one digest is given with two sizes one of them counts.
 * The sum stops at the largest number that JSON and databases take.
 */
static enum rc
sizes_add(struct manifest_reader *r)
{
	const struct descriptor *d;
	struct counted *sorted;
	size_t i, n = 0;
	uint64_t sum = 0;

	sorted = arena_calloc(r->arena, r->m->n_edges, sizeof(*sorted));
	if (sorted == NULL)
		return (manifest_refuse_memory(r));
	for (i = 0; i < r->m->n_edges; i++)
		if (r->m->edges[i].kind != EDGE_MANIFEST)
			sorted[n++].d = &r->m->edges[i];
	qsort(sorted, n, sizeof(*sorted), counted_cmp);
	for (i = 0; i < n; i++) {
		d = sorted[i].d;
		if (i > 0 && digest_eq(&sorted[i - 1].d->digest, &d->digest))
			continue;
		if (d->size_bytes > INT64_MAX - sum)
			sum = INT64_MAX;
		else
			sum += d->size_bytes;
	}
	r->m->layers_size_bytes = sum;
	return (RC_OK);
}

static enum rc
document_read(struct manifest_reader *r, struct span type)
{
	enum rc rc;

	if (!json_is_object(r->doc))
		return (manifest_refuse(
		    r, RC_INVALID, "the manifest is not a JSON object"));
	if ((rc = type_read(r, type)) != RC_OK)
		return (rc);
	rc = r->m->kind == MANIFEST_IMAGE ? image_read(r) : index_read(r);
	if (rc != RC_OK)
		return (rc);
	if ((rc = subject_read(r)) != RC_OK)
		return (rc);
	if ((rc = artifact_type_read(r)) != RC_OK)
		return (rc);
	if ((rc = annotations_read(r)) != RC_OK)
		return (rc);
	return (sizes_add(r));
}

enum rc
manifest_parse(struct span content_type, struct span text, struct arena *arena,
    struct manifest *m_r, char why[MANIFEST_WHY_BYTES])
{
	struct manifest_reader r = { .arena = arena, .m = m_r, .why = why };
	struct span type = content_type_bare(content_type);
	char json_why[JSON_ERROR_BYTES];
	json_t *doc;
	enum rc rc;

	*m_r = (struct manifest){ .kind = MANIFEST_IMAGE };
	why[0] = '\0';
	if (is_schema1(type))
		return (refuse_schema1(&r));
	if ((rc = json_read(text, json_why, &doc)) != RC_OK)
		return (manifest_refuse(
		    &r, rc, "the manifest is not valid JSON: %s", json_why));
	r.doc = doc;
	rc = document_read(&r, type);
	json_decref(doc);
	return (rc);
}
