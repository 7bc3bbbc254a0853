#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "mirror/copy_int.h"
#include "mirror/place_int.h"

/*
 * A registry that does not know the referrers API keeps no list of what refers
 * to an image; who pushes keeps it there as an index under a tag that names the
 * subject (distribution-spec, "Referrers tag schema").
 */
static json_t *
entry_make(const struct upstream_referrer *row)
{
	char text[DIGEST_STR_BYTES];
	json_t *o;

	o = json_pack("{s:s%, s:s, s:I}", "mediaType",
	    row->media_type.n > 0 ? row->media_type.p : "", row->media_type.n,
	    "digest", digest_str(&row->digest, text), "size",
	    (json_int_t)row->size_bytes);
	must(o != NULL);
	if (row->artifact_type.n > 0)
		(void)json_object_set_new(o, "artifactType",
		    json_stringn(row->artifact_type.p, row->artifact_type.n));
	return (o);
}

static bool
rows_have(
    const struct upstream_referrer *rows, size_t n, const struct digest *d)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (digest_eq(&rows[i].digest, d))
			return (true);
	return (false);
}

/* Did it come along?  What claimed to refer to it and does not was left. */
static bool
row_copied(struct copy *c, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct upstream_error error;
	struct place_manifest m;

	return (c->to->ops->manifest_head(c->to, &ref, &c->arena, &m, &error) ==
		RC_OK);
}

/* What it lists, and what it should besides; NULL: nothing is missing. */
static json_t *
list_make(struct copy *c, const struct copy_subject *s,
    const struct upstream_referrer *there, size_t n_there)
{
	json_t *list = json_array();
	bool missing = false;
	size_t i;

	for (i = 0; i < n_there; i++)
		(void)json_array_append_new(list, entry_make(&there[i]));
	for (i = 0; i < s->n; i++) {
		if (rows_have(there, n_there, &s->rows[i].digest) ||
		    !row_copied(c, &s->rows[i].digest))
			continue;
		missing = true;
		(void)json_array_append_new(list, entry_make(&s->rows[i]));
	}
	if (missing)
		return (list);
	json_decref(list);
	return (NULL);
}

static enum rc
list_put(struct copy *c, const struct copy_subject *s, json_t *list)
{
	struct place_manifest m = { .media_type = SPAN(MEDIA_OCI_INDEX) };
	char tag[COPY_TAG_BYTES];
	json_t *doc;
	char *text;
	enum rc rc;

	doc = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
	    MEDIA_OCI_INDEX, "manifests", list);
	must(doc != NULL);
	text = json_dumps(doc, JSON_COMPACT);
	must(text != NULL);
	m.text = span_of(text);
	m.size_bytes = m.text.n;
	digest_of(DIGEST_SHA256, m.text.p, m.text.n, &m.digest);
	rc = c->to->ops->manifest_put(
	    c->to, &m, span_of(copy_tag_of(&s->digest, "", tag)), c->error);
	free(text);
	json_decref(doc);
	return (copy_at(c, c->to, rc));
}

enum rc
copy_fallback_put(struct copy *c, const struct copy_subject *s)
{
	struct upstream_referrer *there;
	json_t *list;
	size_t n_there;
	enum rc rc;

	if (c->to->ops->referrers == NULL || c->to->ops->manifest_head == NULL)
		return (RC_OK);
	rc = c->to->ops->referrers(
	    c->to, &s->digest, &c->arena, &there, &n_there, c->error);
	if (rc == RC_NOTFOUND || rc == RC_UNSUPPORTED)
		n_there = 0;
	else if (rc != RC_OK)
		return (copy_at(c, c->to, rc));
	list = list_make(c, s, there, n_there);
	if (list == NULL)
		return (RC_OK);
	rc = list_put(c, s, list);
	json_decref(list);
	return (rc);
}
