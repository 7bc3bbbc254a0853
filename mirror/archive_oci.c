#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "mirror/archive_int.h"

/*
 * index.json of an OCI image layout.  What an image is called stands in
 * annotations of its descriptor, and there are several customs:
 *
 *	io.containerd.image.name		the full name (containerd, docker)
 *	org.opencontainers.image.ref.name	the full name (podman), or the tag
 *						alone (skopeo, the specification)
 *	registryd.repository			only the repository: what has no
 *						tag there (archive_list.c)
 */
static enum rc
layout_check(struct archive_reader *r)
{
	char why[JSON_ERROR_BYTES];
	struct span version;
	json_t *doc;
	enum rc rc;

	if (json_read(r->layout, why, &doc) != RC_OK)
		return (arc_reader_refuse(
		    r, "entry \"oci-layout\": not JSON: %s", why));
	rc = json_get_str(doc, "imageLayoutVersion", &version);
	if (rc != RC_OK || !span_has_prefix(version, SPAN("1.")))
		rc = arc_reader_refuse(r,
		    "entry \"oci-layout\": \"imageLayoutVersion\" has to be "
		    "1.0.0");
	json_decref(doc);
	return (rc);
}

static void
name_find(const json_t *descriptor, struct archive_image *i)
{
	const json_t *a = json_object_get(descriptor, "annotations");
	struct span s;

	i->name = SPAN("");
	i->registry = SPAN("");
	i->tag = SPAN("");
	if (json_get_str(a, "io.containerd.image.name", &s) == RC_OK &&
	    arc_image_name(s, i) && i->tag.n > 0)
		return;
	if (json_get_str(a, "org.opencontainers.image.ref.name", &s) == RC_OK) {
		if (name_tag_ok(s))
			i->tag = s;
		else if (i->name.n == 0)
			(void)arc_image_name(s, i);
	}
	if (json_get_str(a, "registryd.repository", &s) == RC_OK &&
	    name_repository_ok(s))
		i->name = s;
}

static enum rc
refuse_row(struct archive_reader *r, size_t n, const char *what)
{
	return (arc_reader_refuse(
	    r, "entry \"index.json\": \"manifests\"[%zu]: %s", n, what));
}

static enum rc
row_blob(struct archive_reader *r, const json_t *o, size_t n, uint32_t *at_r)
{
	char what[DIGEST_STR_BYTES + 64], text[DIGEST_STR_BYTES];
	struct digest digest;
	struct span s;
	int64_t size;

	if (json_get_str(o, "digest", &s) != RC_OK ||
	    digest_parse(s, &digest) != RC_OK)
		return (refuse_row(r, n, "no \"digest\", or none known here"));
	if (json_get_int(o, "size", &size) != RC_OK)
		return (refuse_row(r, n, "no \"size\""));
	*at_r = arc_table_find(&r->blobs, &digest);
	if (*at_r == ARC_NONE || !arc_blob_at(r, *at_r)->here) {
		(void)snprintf(what, sizeof(what), "%s is not in the archive",
		    digest_str(&digest, text));
		return (refuse_row(r, n, what));
	}
	if (size < 0 || (uint64_t)size != arc_blob_at(r, *at_r)->size_bytes)
		return (refuse_row(r, n, "\"size\" is not the one it has"));
	return (RC_OK);
}

static enum rc
row_take(struct archive_reader *r, const json_t *o, size_t n)
{
	struct archive_image image = { 0 };
	struct span type = SPAN_NONE;
	uint32_t at = ARC_NONE;
	enum rc rc;

	if (!json_is_object(o))
		return (refuse_row(r, n, "not an object"));
	if (json_get_str(o, "mediaType", &type) == RC_INVALID)
		return (refuse_row(r, n, "\"mediaType\" is not a string"));
	if ((rc = row_blob(r, o, n, &at)) != RC_OK ||
	    (rc = arc_graph_check(r, at, type)) != RC_OK)
		return (rc);
	name_find(o, &image);
	return (arc_reader_image(r, &image, at));
}

static enum rc
rows_take(struct archive_reader *r, const json_t *doc)
{
	json_t *rows, *o;
	enum rc rc;
	size_t n;

	if (!json_is_object(doc) ||
	    json_get_array(doc, "manifests", &rows) != RC_OK)
		return (arc_reader_refuse(
		    r, "entry \"index.json\": no list \"manifests\""));
	json_array_foreach(rows, n, o)
	{
		if ((rc = row_take(r, o, n)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* Those without a name that have a subject here go with it. */
static void
followers_part(struct archive_reader *r)
{
	size_t i, kept = 0;
	uint32_t subject;

	for (i = 0; i < r->n_images; i++) {
		subject = arc_blob_at(r, r->image_blobs[i])->subject;
		if (r->images[i].name.n == 0 && r->images[i].tag.n == 0 &&
		    subject != ARC_NONE && arc_blob_at(r, subject)->here) {
			r->followers = xrealloc(r->followers,
			    (r->n_followers + 1) * sizeof(*r->followers));
			r->followers[r->n_followers++] = r->image_blobs[i];
			continue;
		}
		r->images[kept] = r->images[i];
		r->image_blobs[kept++] = r->image_blobs[i];
	}
	r->n_images = kept;
}

enum rc
arc_oci_images(struct archive_reader *r)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc;
	enum rc rc;

	if ((rc = layout_check(r)) != RC_OK)
		return (rc);
	if (json_read(r->index, why, &doc) != RC_OK)
		return (arc_reader_refuse(
		    r, "entry \"index.json\": not JSON: %s", why));
	rc = rows_take(r, doc);
	json_decref(doc);
	if (rc == RC_OK)
		followers_part(r);
	return (rc);
}
