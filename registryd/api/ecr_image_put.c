#include "registryd/api/ecr_image_int.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/obj.h"
#include "registryd/api/oci_int.h"
#include "registryd/audit_images.h"
#include "registryd/quota.h"
#include "registryd/replication.h"
#include "registryd/scanning.h"
#include "registryd/settings.h"

/*
 * PutImage.  The manifest is the very text of the parameter: its digest is over
 * those bytes, and those bytes are what is stored and served.
 */

/* What the parameters say, from check to handler. */
struct put_image {
	struct span text;
	struct span tag; /* .p NULL: by digest alone */
	struct manifest manifest;
	struct digest digest; /* of the text */
};

/* --- the parameters ------------------------------------------------------ */

static enum rc
tag_check(struct call *c, struct span tag)
{
	if (tag.p == NULL || name_tag_ok(tag))
		return (RC_OK);
	return (aws_invalid(c, "imageTag",
	    "must satisfy regular expression '%s'", IMAGE_TAG_EXPRESSION));
}

static enum rc
digest_check(struct call *c, const json_t *in)
{
	json_t *id;
	enum rc rc;

	if (aws_member(in, "imageDigest") == NULL)
		return (RC_OK);
	id = json_pack("{s:O}", "imageDigest", aws_member(in, "imageDigest"));
	rc = ecr_image_ref_check(c, id);
	json_decref(id);
	return (rc);
}

/* As for a push: what an operator allows may be less than what the model
 * does. */
static enum rc
size_check(struct call *c, struct span text)
{
	uint64_t most = c->settings->manifest_bytes;

	if (most == 0 || text.n <= most)
		return (RC_OK);
	return (aws_invalid(c, "imageManifest",
	    "Member must have length less than or equal to %" PRIu64, most));
}

static enum rc
manifest_invalid(struct call *c, const char *why)
{
	return (aws_invalid(c, "ImageManifest", "%s", why));
}

/* The member mediaType, in the arena; empty: there is none. */
static enum rc
type_of_text(struct call *c, struct span text, struct span *type_r)
{
	struct span type = SPAN_NONE;
	char why[JSON_ERROR_BYTES];
	json_t *doc;
	enum rc rc;

	*type_r = SPAN_NONE;
	if (json_read(text, why, &doc) != RC_OK)
		return (manifest_invalid(c, "Invalid JSON syntax"));
	if (!json_is_object(doc)) {
		json_decref(doc);
		return (
		    manifest_invalid(c, "the manifest is not a JSON object"));
	}
	rc = json_get_str(doc, "mediaType", &type);
	if (rc == RC_OK)
		*type_r = arena_span(c->arena, type);
	json_decref(doc);
	if (rc == RC_INVALID)
		return (manifest_invalid(c, "\"mediaType\" is not a string"));
	return (rc == RC_OK && type_r->p == NULL ? RC_TOOBIG : RC_OK);
}

static enum rc
type_check(
    struct call *c, const json_t *in, struct span text, struct span *type_r)
{
	struct span said = aws_string(in, "imageManifestMediaType"), own;
	enum rc rc;

	if ((rc = type_of_text(c, text, &own)) != RC_OK)
		return (rc);
	if (said.n > 0 && own.n > 0 && !span_eq(said, own))
		return (aws_invalid(c, "imageManifestMediaType",
		    "must be the mediaType of the manifest, which is %.*s",
		    CALL_SHOW(own)));
	*type_r = said.n > 0 ? said : own;
	if (type_r->n > 0)
		return (RC_OK);
	return (call_fail(c, AWS_INVALID_PARAMETER, NULL,
	    "image manifest mediatype not provided in manifest or parameter"));
}

static enum rc
manifest_check(struct call *c, const json_t *in, struct put_image *p)
{
	char why[MANIFEST_WHY_BYTES];
	struct span type = SPAN_NONE;
	enum rc rc;

	if ((rc = size_check(c, p->text)) != RC_OK ||
	    (rc = type_check(c, in, p->text, &type)) != RC_OK)
		return (rc);
	rc = manifest_parse(type, p->text, c->arena, &p->manifest, why);
	if (rc == RC_INVALID || rc == RC_UNSUPPORTED)
		return (manifest_invalid(c, why));
	return (rc);
}

enum rc
ecr_put_image_check(struct call *c, const json_t *in)
{
	struct put_image *p;
	enum rc rc;

	if ((p = arena_calloc(c->arena, 1, sizeof(*p))) == NULL)
		return (RC_TOOBIG);
	p->text = aws_string(in, "imageManifest");
	p->tag = aws_string(in, "imageTag");
	if ((rc = tag_check(c, p->tag)) != RC_OK ||
	    (rc = digest_check(c, in)) != RC_OK ||
	    (rc = manifest_check(c, in, p)) != RC_OK)
		return (rc);
	c->state = p;
	return (RC_OK);
}

/* --- storing it ---------------------------------------------------------- */

/* A digest that is given says which algorithm it is to be. */
static enum rc
digest_make(struct call *c, const json_t *in, struct put_image *p)
{
	struct span text = aws_string(in, "imageDigest");
	char own[DIGEST_STR_BYTES];
	struct digest said;
	bool known;

	known = text.p != NULL && digest_parse(text, &said) == RC_OK;
	digest_of(
	    known ? said.alg : DIGEST_SHA256, p->text.p, p->text.n, &p->digest);
	if (text.p == NULL || (known && digest_eq(&said, &p->digest)))
		return (RC_OK);
	return (call_fail(c, AWS_IMAGE_DIGEST_MISMATCH, NULL,
	    "The image digest '%.*s' does not match the digest '%s' of the "
	    "image manifest",
	    CALL_SHOW(text), digest_str(&p->digest, own)));
}

static enum rc
exists(struct call *c, const struct put_image *p)
{
	char text[DIGEST_STR_BYTES];

	return (call_fail(c, AWS_IMAGE_EXISTS, NULL,
	    "Image with digest '%s' and tag '%.*s' already exists in the "
	    "repository with name '" SPAN_FMT "' in registry with id '%s'",
	    digest_str(&p->digest, text),
	    CALL_SHOW(p->tag.p != NULL ? p->tag : SPAN("null")),
	    SPAN_ARG(c->repository), c->settings->account_id));
}

static enum rc
immutable(struct call *c, struct span tag)
{
	return (call_fail(c, AWS_IMAGE_TAG_EXISTS, NULL,
	    "The image tag '" SPAN_FMT "' already exists in the '" SPAN_FMT
	    "' repository and cannot be overwritten because the tag is "
	    "immutable.",
	    SPAN_ARG(tag), SPAN_ARG(c->repository)));
}

static enum rc
missing(struct call *c, const struct manifest_put_result *r)
{
	bool images = r->missing_kind == EDGE_MANIFEST;

	return (call_fail(c,
	    images ? AWS_REFERENCED_IMAGES_NOT_FOUND : AWS_LAYERS_NOT_FOUND,
	    NULL,
	    "%s with digests '%s' required for pushing image into repository "
	    "with name '" SPAN_FMT
	    "' in the registry with id '%s' do not exist",
	    images ? "Images" : "Layers",
	    oci_digests(c, r->missing, r->n_missing, r->more_missing),
	    SPAN_ARG(c->repository), c->settings->account_id));
}

/* Codes of meta_manifest_put(). */
static enum rc
put_fail(struct call *c, enum rc rc, const struct put_image *p,
    const struct manifest_put_result *r)
{
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_REFERENCED)
		return (exists(c, p));
	if (rc == RC_EXISTS)
		return (immutable(c, r->immutable_tag));
	if (rc == RC_MISSING)
		return (missing(c, r));
	if (rc == RC_LIMIT && r->limit != LIMIT_REPOSITORIES)
		return (quota_exceeded(c, r->limit));
	return (rc);
}

/* Of digests of images that it restores. */
#define RESTORED_BYTES ((size_t)64 << 20)

static enum rc
image_store(struct call *c, const struct put_image *p)
{
	const struct quotas *q = &c->settings->quotas;
	struct manifest_put_result result;
	struct image_list back = { 0 };
	struct manifest_put put = {
		.repository = c->repository,
		.digest = p->digest,
		.text = p->text,
		.manifest = &p->manifest,
		.tags = &p->tag,
		.n_tags = p->tag.p != NULL ? 1 : 0,
		.sparse = c->settings->sparse,
		.quota = { .images = q->images, .tags = q->tags },
		.must_change = true,
		.scan = ecr_scan_on_push(c, c->repository),
		.scannable =
		    ecr_scannable(p->manifest.kind, p->manifest.artifact_type),
		.restored = &back,
		.now_ms = clock_real_ms(),
	};
	struct arena own;
	enum rc rc;

	if ((rc = store_room(c->store, p->text.n)) != RC_OK ||
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
	return (put_fail(c, rc, p, &result));
}

enum rc
ecr_put_image(struct call *c, const json_t *in, json_t *out)
{
	struct put_image *p = c->state;
	json_t *image;
	enum rc rc;

	if ((rc = digest_make(c, in, p)) != RC_OK ||
	    (rc = image_store(c, p)) != RC_OK)
		return (rc);
	image = json_object();
	ecr_put_repository(c, image);
	aws_put(image, "imageId", ecr_image_id_json(&p->digest, p->tag));
	aws_put(image, "imageManifest",
	    json_incref(aws_member(in, "imageManifest")));
	aws_put_text(image, "imageManifestMediaType", p->manifest.media_type);
	aws_put(out, "image", image);
	return (RC_OK);
}
