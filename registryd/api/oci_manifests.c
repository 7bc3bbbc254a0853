#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/obj.h"
#include "registryd/api/ecr_image_int.h"
#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/audit_images.h"
#include "registryd/http/accept.h"
#include "registryd/http/token.h"
#include "registryd/pull.h"
#include "registryd/pulls.h"
#include "registryd/quota.h"
#include "registryd/replication.h"
#include "registryd/scanning.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * Manifests (distribution-spec, "Pulling manifests", "Pushing manifests",
 * "Deleting manifests").  The bytes pushed are the bytes served; a manifest
 * is never converted into another type.
 */

/* ?tag= of one push by digest; the specification wants at least ten. */
#define TAGS_MAX 20
static_assert(TAGS_MAX + 4 <= HTTP_RESPONSE_HEADERS,
    "each tag pushed is a header of the answer, beside its Location, digest, "
    "subject and version");

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

/* It is here, but not to be pulled before it is restored. */
static enum rc
inaccessible(struct call *c, enum image_status status)
{
	const char *key =
	    memchr(c->part.p, ':', c->part.n) != NULL ? "digest" : "tag";

	return (call_fail(c, OCI_MANIFEST_UNKNOWN, call_detail(key, c->part),
	    "%s", ecr_image_why_inaccessible(status)));
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

/* In the store, or in the registry that this repository is a copy of. */
static enum rc
manifest_find(struct call *c, const struct reference *ref,
    enum manifest_want want, struct manifest_row *row)
{
	enum rc rc, pulled;

	rc = meta_manifest_get(
	    c->meta, c->repository, ref, want, c->mode, c->arena, row);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	pulled = pull_manifest(c, ref, rc == RC_OK ? &row->digest : NULL);
	return (pulled != RC_OK ? pulled : rc);
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
	rc = manifest_find(c, &ref, head ? MANIFEST_ROW : MANIFEST_TEXT, &row);
	if (rc == RC_NOTFOUND)
		return (oci_unknown(c, OCI_MANIFEST_UNKNOWN, c->part));
	if (rc != RC_OK)
		return (rc);
	if (row.status != IMAGE_ACTIVE)
		return (inaccessible(c, row.status));
	if (!accepted(c->request, row.media_type))
		return (not_acceptable(c, &row));
	if (!oci_content(c, &row.digest, ref.is_digest, NULL))
		manifest_describe(c, &row, head);
	if (!head)
		pull_note(c, &row.digest);
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

static json_t *
missing_detail(const struct manifest_put_result *r)
{
	char text[DIGEST_STR_BYTES];
	json_t *all = json_array(), *detail;
	size_t i;

	for (i = 0; i < r->n_missing; i++)
		(void)json_array_append_new(
		    all, json_string(digest_str(&r->missing[i], text)));
	detail =
	    call_detail("digest", span_of(digest_str(&r->missing[0], text)));
	(void)json_object_set_new(detail, "digests", all);
	(void)json_object_set_new(
	    detail, "more", json_boolean(r->more_missing));
	return (detail);
}

static enum rc
push_missing(struct call *c, const struct manifest_put_result *r)
{
	must(r->n_missing > 0);
	return (call_fail(c, OCI_MANIFEST_BLOB_UNKNOWN, missing_detail(r),
	    "%s with digests '%s' required for pushing image into repository "
	    "with name '%.*s' in the registry with id '%s' do not exist",
	    r->missing_kind == EDGE_MANIFEST ? "Images" : "Layers",
	    oci_digests(c, r->missing, r->n_missing, r->more_missing),
	    CALL_SHOW(c->repository), c->settings->account_id));
}

static enum rc
push_immutable(struct call *c, struct span tag)
{
	return (call_fail(c, OCI_TAG_INVALID, call_detail("tag", tag),
	    "The image tag '%.*s' already exists in the '%.*s' repository and "
	    "cannot be overwritten because the tag is immutable.",
	    CALL_SHOW(tag), CALL_SHOW(c->repository)));
}

/* Codes of meta_manifest_put(). */
static enum rc
push_fail(struct call *c, enum rc rc, const struct manifest_put_result *r)
{
	if (rc == RC_MISSING)
		return (push_missing(c, r));
	if (rc == RC_EXISTS)
		return (push_immutable(c, r->immutable_tag));
	if (rc == RC_NOTFOUND)
		return (oci_repository_unknown(c));
	if (rc == RC_LIMIT)
		return (quota_exceeded(c, r->limit));
	return (rc);
}

/* Of digests of images that it restores. */
#define RESTORED_BYTES ((size_t)64 << 20)

static enum rc
push_store(struct call *c, const struct push *p)
{
	const struct quotas *q = &c->settings->quotas;
	struct manifest_put_result result;
	struct image_list back = { 0 };
	struct manifest_put put = {
		.repository = c->repository,
		.digest = p->digest,
		.text = c->body,
		.manifest = &p->manifest,
		.tags = p->tags,
		.n_tags = p->n_tags,
		.sparse = c->settings->sparse,
		.quota = { .images = q->images, .tags = q->tags },
		.scan = ecr_scan_on_push(c, c->repository),
		.scannable =
		    ecr_scannable(p->manifest.kind, p->manifest.artifact_type),
		.restored = &back,
		.now_ms = clock_real_ms(),
	};
	struct arena own;
	enum rc rc;

	if ((rc = store_room(c->store, c->body.n)) != RC_OK ||
	    (rc = oci_push_preset(c, &put.create)) != RC_OK ||
	    (rc = replication_destinations(c, c->repository, &put.destinations,
		 &put.n_destinations)) != RC_OK)
		return (rc);
	arena_init(&own, RESTORED_BYTES);
	back.arena = &own;
	rc = meta_manifest_put(c->meta, &put, &result);
	if (rc == RC_OK) {
		audit_images(c, AUDIT_IMAGE_RESTORE, &back, &p->digest);
		replication_pushed(c, put.n_destinations);
	}
	arena_reset(&own);
	/* Of the cache's own it is said that they are here as soon as they are
	 * on their way. */
	if (rc == RC_MISSING &&
	    pull_blob_ends(c, result.missing, result.n_missing) == RC_AWAIT)
		return (RC_AWAIT);
	return (push_fail(c, rc, &result));
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

#define DELETE_BYTES ((size_t)64 << 20)

/* --- delete -------------------------------------------------------------- */

static enum rc
image_referenced(struct call *c, const struct holding *h)
{
	const char *message;

	message = arena_printf(c->arena,
	    "Requested image referenced by manifest list: %s",
	    oci_digests(c, h->by, h->n, h->more));
	if (message == NULL)
		return (RC_TOOBIG);
	return (oci_referenced(c, c->part, h, "GET, HEAD, PUT", message));
}

/* An image can have any number of tags: when there is no memory to tell them,
 * it goes all the same. */
static enum rc
image_delete(struct call *c, const struct digest *d, struct holding *holding)
{
	const struct image_delete del = {
		.repository = c->repository, .has_digest = true, .digest = *d
	};
	struct audit_event event = {
		.kind = AUDIT_IMAGE_DELETE,
		.by = c->principal,
		.repository = c->repository,
		.digest = d,
	};
	struct image_deleted gone = { 0 };
	struct arena own;
	enum rc rc;

	arena_init(&own, DELETE_BYTES);
	rc = meta_image_delete(c->meta, &del, &own, &gone);
	event.tags_known = rc == RC_OK;
	event.tags = gone.tags;
	event.n_tags = gone.n_tags;
	event.bytes = gone.image_bytes;
	*holding = gone.holding;
	if (rc == RC_TOOBIG)
		rc = meta_manifest_delete(c->meta, c->repository, d, holding);
	if (rc == RC_OK)
		audit_write(c->service->audit, &event);
	arena_reset(&own);
	return (rc);
}

static enum rc
tag_delete(struct call *c, struct span tag)
{
	const struct audit_event event = {
		.kind = AUDIT_TAG_DELETE,
		.by = c->principal,
		.repository = c->repository,
		.tags_known = true,
		.tags = &tag,
		.n_tags = 1,
	};
	enum rc rc;

	rc = meta_tag_delete(c->meta, c->repository, tag);
	if (rc == RC_OK)
		audit_write(c->service->audit, &event);
	return (rc);
}

enum rc
oci_manifest_delete(struct call *c)
{
	struct holding holding = { 0 };
	struct reference ref;
	enum rc rc;

	if ((rc = oci_reference(c, c->part, &ref)) != RC_OK)
		return (rc);
	if (ref.is_digest)
		rc = image_delete(c, &ref.digest, &holding);
	else
		rc = tag_delete(c, ref.tag);
	if (rc == RC_NOTFOUND)
		return (oci_unknown(c, OCI_MANIFEST_UNKNOWN, c->part));
	if (rc == RC_REFERENCED)
		return (image_referenced(c, &holding));
	if (rc == RC_OK)
		c->answer->status = 202;
	return (rc);
}
