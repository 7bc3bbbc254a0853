#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive_int.h"

/*
 * manifest.json of what `docker save` writes, and others in its manner:
 *
 *	[{"Config":"HEX.json","RepoTags":["name:tag"],"Layers":["..."]}]
 *
 * There are no manifests in it: one of docker's schema 2 is made for each
 * image, with the configuration as it is and the layers compressed.  The
 * configuration says what each layer is, uncompressed (rootfs.diff_ids).
 */
#define CONFIG_TYPE "application/vnd.docker.container.image.v1+json"
#define LAYER_TYPE "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define LINKS_MAX 8
#define SHOWN(s) (int)((s).n < 200 ? (s).n : 200), (s).p

struct making {
	struct archive_reader *r;
	const struct arc_saved *config;
	json_t *diff_ids;
	struct buf text;
};

static enum rc
refuse(struct archive_reader *r, const char *fault, struct span name)
{
	char what[ARCHIVE_WHY_BYTES / 2];

	(void)snprintf(what, sizeof(what), SPAN_FMT, SHOWN(name));
	return (arc_reader_refuse(
	    r, "entry \"manifest.json\": %s \"%s\"", fault, what));
}

/* The file of that name, behind links. */
static enum rc
saved_find(struct archive_reader *r, struct span name, enum arc_kind kind,
    const struct arc_saved **s_r)
{
	const struct arc_saved *s;
	struct span at = name;
	struct digest key;
	unsigned n;
	uint32_t i;

	for (n = 0; n <= LINKS_MAX; n++) {
		arc_name_key(at, &key);
		if ((i = arc_table_find(&r->saved, &key)) == ARC_NONE)
			return (refuse(r, "this is not in the archive:", at));
		s = arc_table_at(&r->saved, i);
		if (s->kind != kind)
			return (refuse(r, "this is something else:", at));
		if (s->link.n == 0) {
			*s_r = s;
			return (RC_OK);
		}
		at = s->link;
	}
	return (refuse(r, "links that lead to links:", name));
}

/* Content as it is pushed. */
static uint32_t
blob_add(struct archive_reader *r, const struct digest *d, uint64_t size)
{
	struct arc_blob *b;
	uint32_t at;
	bool fresh;

	at = arc_table_add(&r->blobs, d, &fresh);
	b = arc_blob_at(r, at);
	if (fresh)
		b->subject = ARC_NONE;
	b->here = true;
	b->size_bytes = size;
	return (at);
}

static void
descriptor_add(struct buf *b, const char *type, const struct arc_saved *s)
{
	char text[DIGEST_STR_BYTES];

	buf_printf(b, "{\"mediaType\":\"%s\",\"size\":%llu,\"digest\":\"%s\"}",
	    type, (unsigned long long)s->size_bytes,
	    digest_str(&s->digest, text));
}

/* Uncompressed it has to be what the configuration says.  What came compressed
 * is seen by whoever runs it. */
static enum rc
layer_check(struct making *m, size_t i, const struct arc_saved *s)
{
	const json_t *id = json_array_get(m->diff_ids, i);
	struct digest want;
	struct span text;

	text = span_of(json_string_value(id));
	if (text.p == NULL || digest_parse(text, &want) != RC_OK)
		return (refuse(m->r,
		    "\"rootfs\" of this configuration names no layer of each "
		    "of its layers:",
		    m->config->name));
	if (s->packed || want.alg != DIGEST_SHA256 || digest_eq(&want, &s->raw))
		return (RC_OK);
	return (refuse(
	    m->r, "this layer is not what the configuration says:", s->name));
}

static enum rc
layer_take(struct making *m, const json_t *name, size_t i)
{
	const struct arc_saved *s;
	enum rc rc;

	if (!json_is_string(name))
		return (arc_reader_refuse(m->r,
		    "entry \"manifest.json\": a layer's name is no string"));
	rc = saved_find(m->r, span_of(json_string_value(name)), ARC_LAYER, &s);
	if (rc != RC_OK || (rc = layer_check(m, i, s)) != RC_OK)
		return (rc);
	(void)blob_add(m->r, &s->digest, s->size_bytes);
	if (i > 0)
		buf_char(&m->text, ',');
	descriptor_add(&m->text, LAYER_TYPE, s);
	return (RC_OK);
}

static enum rc
layers_take(struct making *m, const json_t *layers)
{
	json_t *name;
	enum rc rc;
	size_t i;

	if (json_array_size(layers) != json_array_size(m->diff_ids))
		return (refuse(m->r,
		    "this configuration has another number of layers:",
		    m->config->name));
	json_array_foreach(layers, i, name)
	{
		if ((rc = layer_take(m, name, i)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* The manifest, as a blob like any other. */
static enum rc
manifest_make(struct making *m, const json_t *layers, uint32_t *at_r)
{
	struct digest digest;
	struct arc_blob *b;
	struct span text;
	enum rc rc;

	buf_str(&m->text,
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_DOCKER_MANIFEST
	    "\",\"config\":");
	descriptor_add(&m->text, CONFIG_TYPE, m->config);
	buf_str(&m->text, ",\"layers\":[");
	if ((rc = layers_take(m, layers)) != RC_OK)
		return (rc);
	buf_str(&m->text, "]}");
	if (!buf_ok(&m->text) ||
	    (text = arena_span(&m->r->arena, buf_as_span(&m->text))).p == NULL)
		return (arc_reader_toobig(m->r));
	digest_of(DIGEST_SHA256, text.p, text.n, &digest);
	*at_r = blob_add(m->r, &digest, text.n);
	b = arc_blob_at(m->r, *at_r);
	b->text = text;
	return (arc_graph_check(m->r, *at_r, SPAN(MEDIA_DOCKER_MANIFEST)));
}

/* A name that is a digest is held to it. */
static enum rc
config_check(struct archive_reader *r, const struct arc_saved *s)
{
	char hex[DIGEST_STR_BYTES];
	struct digest d;
	struct span name = s->name;

	if (span_has_suffix(name, SPAN(".json")))
		name.n -= 5;
	if (name.n == 2 * digest_len(DIGEST_SHA256)) {
		(void)snprintf(
		    hex, sizeof(hex), "sha256:" SPAN_FMT, SPAN_ARG(name));
		name = span_of(hex);
	}
	if (digest_parse(name, &d) == RC_OK && d.alg == DIGEST_SHA256 &&
	    !digest_eq(&d, &s->raw))
		return (refuse(r, "this is not what its name says:", s->name));
	return (RC_OK);
}

static enum rc
config_take(struct making *m, const json_t *row, json_t **doc_r)
{
	char why[JSON_ERROR_BYTES];
	json_t *rootfs;
	struct span name;
	enum rc rc;

	if (json_get_str(row, "Config", &name) != RC_OK)
		return (arc_reader_refuse(m->r,
		    "entry \"manifest.json\": an image without \"Config\""));
	if ((rc = saved_find(m->r, name, ARC_CONFIG, &m->config)) != RC_OK ||
	    (rc = config_check(m->r, m->config)) != RC_OK)
		return (rc);
	if (json_read(m->config->text, why, doc_r) != RC_OK)
		return (refuse(m->r, "this is not JSON:", name));
	if (json_get_object(*doc_r, "rootfs", &rootfs) == RC_OK)
		m->diff_ids = json_object_get(rootfs, "diff_ids");
	(void)blob_add(m->r, &m->config->digest, m->config->size_bytes);
	return (RC_OK);
}

/* No name at all. */
static const struct archive_image nameless = {
	.name = SPAN_INIT(""),
	.registry = SPAN_INIT(""),
	.tag = SPAN_INIT(""),
};

static enum rc
names_take(struct archive_reader *r, const json_t *row, uint32_t at)
{
	struct archive_image image = nameless;
	const json_t *names = json_object_get(row, "RepoTags"), *name;
	enum rc rc;
	size_t i;

	if (json_array_size(names) == 0)
		return (arc_reader_image(r, &image, at));
	for (i = 0; i < json_array_size(names); i++) {
		name = json_array_get(names, i);
		image = nameless;
		if (!json_is_string(name) ||
		    !arc_image_name(span_of(json_string_value(name)), &image))
			return (arc_reader_refuse(r,
			    "entry \"manifest.json\": \"RepoTags\" has what "
			    "is not a name of an image"));
		if ((rc = arc_reader_image(r, &image, at)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
row_take(struct archive_reader *r, const json_t *row)
{
	struct making m = { .r = r };
	json_t *layers, *config = NULL;
	uint32_t at = 0;
	enum rc rc;

	if (!json_is_object(row) ||
	    json_get_array(row, "Layers", &layers) != RC_OK)
		return (arc_reader_refuse(
		    r, "entry \"manifest.json\": an image without \"Layers\""));
	buf_init(&m.text, UPSTREAM_MANIFEST_MAX_BYTES);
	if ((rc = config_take(&m, row, &config)) == RC_OK &&
	    (rc = manifest_make(&m, layers, &at)) == RC_OK)
		rc = names_take(r, row, at);
	json_decref(config);
	buf_free(&m.text);
	return (rc);
}

enum rc
arc_docker_images(struct archive_reader *r)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc, *row;
	enum rc rc = RC_OK;
	size_t i;

	if (json_read(r->manifest, why, &doc) != RC_OK)
		return (arc_reader_refuse(
		    r, "entry \"manifest.json\": not JSON: %s", why));
	if (!json_is_array(doc))
		rc = arc_reader_refuse(
		    r, "entry \"manifest.json\": not a list of images");
	json_array_foreach(doc, i, row)
	{
		if (rc == RC_OK)
			rc = row_take(r, row);
	}
	json_decref(doc);
	return (rc);
}
