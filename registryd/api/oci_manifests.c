#include <assert.h>

#include "base/clock.h"
#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/http/accept.h"
#include "registryd/http/token.h"
#include "registryd/settings.h"

/*
 * Manifests (distribution-spec, "Pulling manifests", "Pushing manifests",
 * "Deleting manifests").  The bytes pushed are the bytes served; a manifest
 * is never converted into another type.
 */

/* ?tag= of one push by digest; the specification wants at least ten. */
#define TAGS_MAX 20
static_assert(TAGS_MAX + 3 <= HTTP_RESPONSE_HEADERS,
    "each tag pushed is a header of the answer");

/* --- pull ---------------------------------------------------------------- */

static bool
names_manifest_type(struct span range)
{
	struct span type = SPAN_NONE;

	(void)span_split(&range, ';', &type);
	type = span_trim(type);
	return (manifest_media_type_known(type) ||
		span_has_prefix(type,
		    SPAN("application/vnd.docker.distribution.manifest.")));
}

/*
 * A client that lists manifest types gets none but those.  One that says
 * nothing of manifests ("text/html", as a browser) is not taken at its word.
 */
static bool
accepted(const struct http_request *rq, struct span media_type)
{
	struct span line, range;
	size_t i = 0;

	if (http_accepts(rq, media_type))
		return (true);
	while ((line = http_request_next_header(rq, "Accept", &i)).p != NULL)
		while (token_list(&line, &range))
			if (names_manifest_type(range))
				return (false);
	return (true);
}

/*
 * The client listed manifest types and this one is not among them.  Nothing
 * is converted, so for this client there is no such manifest.
 */
static enum rc
not_acceptable(struct call *c, const struct manifest_row *row)
{
	json_t *accept = json_array();
	struct span line;
	size_t i = 0;

	for (;;) {
		line = http_request_next_header(c->request, "Accept", &i);
		if (line.p == NULL)
			break;
		(void)json_array_append_new(accept, call_text(line));
	}
	line = http_request_header(c->request, "Accept");
	http_response_header(c->answer, "Vary", SPAN("Accept"));
	return (call_fail(c, OCI_MANIFEST_UNKNOWN,
	    json_pack("{s:o,s:o}", "mediaType", call_text(row->media_type),
		"accept", accept),
	    "the manifest is of type %.*s, which the request does not accept "
	    "(it accepts %.*s%s)",
	    CALL_SHOW(row->media_type), CALL_SHOW(line),
	    json_array_size(accept) > 1 ? " and others" : ""));
}

static void
manifest_describe(struct call *c, const struct manifest_row *row, bool head)
{
	struct http_response *rs = c->answer;

	rs->status = 200;
	if (head) {
		http_response_header(rs, "Content-Type", row->media_type);
		rs->head_length = true;
		rs->length = row->size_bytes;
		return;
	}
	http_response_header(rs, "Content-Type", row->media_type);
	rs->body = HTTP_MEMORY;
	rs->bytes = row->text;
}

enum rc
oci_manifest_get(struct call *c)
{
	bool head = c->request->method == HTTP_HEAD;
	struct manifest_row row;
	struct reference ref;
	enum rc rc;

	if ((rc = oci_reference(c, c->part, &ref)) != RC_OK)
		return (rc);
	rc = meta_manifest_get(c->meta, c->repository, &ref,
	    head ? MANIFEST_ROW : MANIFEST_TEXT, c->mode, c->arena, &row);
	if (rc == RC_NOTFOUND)
		return (
		    oci_unknown(c, OCI_MANIFEST_UNKNOWN, "manifest", c->part));
	if (rc != RC_OK)
		return (rc);
	if (!accepted(c->request, row.media_type))
		return (not_acceptable(c, &row));
	if (!oci_content(c, &row.digest, ref.is_digest, NULL))
		manifest_describe(c, &row, head);
	if (!head)
		meta_manifest_pulled(
		    c->meta, c->repository, &row.digest, clock_real_ms());
	return (RC_OK);
}

/* --- push ---------------------------------------------------------------- */

struct push {
	struct reference ref;
	struct digest digest; /* of the body */
	struct span tags[TAGS_MAX];
	size_t n_tags;
	struct manifest manifest;
};

/* tag=v1&tag=v2 of a push by digest. */
static enum rc
push_tag_params(struct call *c, struct push *p)
{
	const struct http_param *param;
	size_t i;

	for (i = 0; i < c->request->n_params; i++) {
		param = &c->request->params[i];
		if (!span_eq(param->key, SPAN("tag")))
			continue;
		if (!p->ref.is_digest)
			return (call_fail(c, OCI_TAG_INVALID,
			    call_detail("tag", param->value),
			    "the parameter tag=%.*s goes with a push by "
			    "digest, not with one by tag",
			    CALL_SHOW(param->value)));
		if (!name_tag_ok(param->value))
			return (call_fail(c, OCI_TAG_INVALID,
			    call_detail("tag", param->value),
			    "the parameter tag=\"%.*s\" is not a tag",
			    CALL_SHOW(param->value)));
		if (p->n_tags == TAGS_MAX)
			return (call_fail(c, OCI_TOO_MANY_TAGS, NULL,
			    "more than %d tags in one request", TAGS_MAX));
		p->tags[p->n_tags++] = param->value;
	}
	return (RC_OK);
}

static enum rc
push_reference(struct call *c, struct push *p)
{
	uint8_t alg;
	enum rc rc;

	if ((rc = oci_reference(c, c->part, &p->ref)) != RC_OK)
		return (rc);
	alg = p->ref.is_digest ? p->ref.digest.alg : DIGEST_SHA256;
	digest_of(alg, c->body.p, c->body.n, &p->digest);
	if (p->ref.is_digest && !digest_eq(&p->digest, &p->ref.digest))
		return (oci_digest_mismatch(c, &p->ref.digest, &p->digest));
	if (!p->ref.is_digest)
		p->tags[p->n_tags++] = p->ref.tag;
	return (RC_OK);
}

static enum rc
push_parse(struct call *c, struct push *p)
{
	char why[MANIFEST_WHY_BYTES];
	struct span type;
	enum rc rc;

	type = http_request_header(c->request, "Content-Type");
	rc = manifest_parse(type, c->body, c->arena, &p->manifest, why);
	if (rc == RC_INVALID || rc == RC_UNSUPPORTED)
		return (call_fail(c, OCI_MANIFEST_INVALID,
		    call_detail("reason", span_of(why)), "%s", why));
	return (rc);
}

static enum rc
push_missing(struct call *c, const struct manifest_put_result *r)
{
	static const char *const nouns[] = {
		[EDGE_CONFIG] = "config",
		[EDGE_LAYER] = "layer",
		[EDGE_MANIFEST] = "manifest",
	};
	char text[DIGEST_STR_BYTES];

	digest_str(&r->missing, text);
	return (call_fail(c, OCI_MANIFEST_BLOB_UNKNOWN,
	    call_detail("digest", span_of(text)),
	    "%s %s is not in repository \"%.*s\"; push it first",
	    nouns[r->missing_kind], text, CALL_SHOW(c->repository)));
}

static enum rc
push_immutable(struct call *c, struct span tag)
{
	return (call_fail(c, OCI_TAG_INVALID, call_detail("tag", tag),
	    "The image tag '%.*s' already exists in the '%.*s' repository and "
	    "cannot be overwritten because the tag is immutable.",
	    CALL_SHOW(tag), CALL_SHOW(c->repository)));
}

static enum rc
push_store(struct call *c, const struct push *p)
{
	struct manifest_put_result result;
	struct manifest_put put = {
		.repository = c->repository,
		.digest = p->digest,
		.text = c->body,
		.manifest = &p->manifest,
		.tags = p->tags,
		.n_tags = p->n_tags,
		.sparse = c->settings->sparse,
		.create_repository = oci_creates(c),
		.now_ms = clock_real_ms(),
	};
	enum rc rc;

	if ((rc = store_room(c->store, c->body.n)) != RC_OK)
		return (rc);
	rc = meta_manifest_put(c->meta, &put, &result);
	if (rc == RC_MISSING)
		return (push_missing(c, &result));
	if (rc == RC_EXISTS)
		return (push_immutable(c, result.immutable_tag));
	if (rc == RC_NOTFOUND)
		return (oci_repository_unknown(c));
	return (rc);
}

static void
push_answer(struct call *c, const struct push *p)
{
	char text[DIGEST_STR_BYTES];
	size_t i;

	c->answer->status = 201;
	call_location(c, "/v2/%.*s/manifests/%s", CALL_SHOW(c->repository),
	    digest_str(&p->digest, text));
	call_digest_header(c, &p->digest);
	if (p->manifest.has_subject)
		call_header(c, "OCI-Subject", "%s",
		    digest_str(&p->manifest.subject, text));
	for (i = 0; p->ref.is_digest && i < p->n_tags; i++)
		http_response_header(c->answer, "OCI-Tag", p->tags[i]);
}

enum rc
oci_manifest_put(struct call *c)
{
	struct push *p;
	enum rc rc;

	if ((p = arena_calloc(c->arena, 1, sizeof(*p))) == NULL)
		return (RC_TOOBIG);
	if ((rc = push_reference(c, p)) != RC_OK)
		return (rc);
	if ((rc = push_tag_params(c, p)) != RC_OK)
		return (rc);
	if ((rc = push_parse(c, p)) != RC_OK)
		return (rc);
	if ((rc = push_store(c, p)) != RC_OK)
		return (rc);
	push_answer(c, p);
	return (RC_OK);
}

/* --- delete -------------------------------------------------------------- */

enum rc
oci_manifest_delete(struct call *c)
{
	struct holding holding;
	struct reference ref;
	enum rc rc;

	if ((rc = oci_reference(c, c->part, &ref)) != RC_OK)
		return (rc);
	if (ref.is_digest)
		rc = meta_manifest_delete(
		    c->meta, c->repository, &ref.digest, &holding);
	else
		rc = meta_tag_delete(c->meta, c->repository, ref.tag);
	if (rc == RC_NOTFOUND)
		return (
		    oci_unknown(c, OCI_MANIFEST_UNKNOWN, "manifest", c->part));
	if (rc == RC_REFERENCED)
		return (oci_referenced(
		    c, "manifest", c->part, &holding, "GET, HEAD, PUT"));
	if (rc == RC_OK)
		c->answer->status = 202;
	return (rc);
}
