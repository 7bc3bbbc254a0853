#include "registryd/api/ecr_image_int.h"

#include "base/obj.h"
#include "registryd/api/ecr_shapes.h"
#include "registryd/settings.h"

/* ImageIdentifier, and what several operations say of an image. */

/* --- reading one --------------------------------------------------------- */

/* A digest can be of ECR's grammar and yet be none: of another length, of an
 * algorithm that is not known, in capitals. */
static enum image_failure
digest_read(struct span text, struct image_ref *ref)
{
	if (!aws_pattern_ok(ecr_layer_digest.pattern, text))
		return (FAILURE_INVALID_DIGEST);
	if (digest_parse(text, &ref->digest) != RC_OK)
		return (FAILURE_NOT_FOUND);
	ref->has_digest = true;
	return (FAILURE_NONE);
}

enum image_failure
ecr_image_ref_read(const json_t *id, struct image_ref *ref)
{
	struct span digest = aws_string(id, "imageDigest");

	*ref = (struct image_ref){ .tag = aws_string(id, "imageTag") };
	if (digest.p == NULL && ref->tag.p == NULL)
		return (FAILURE_MISSING_DIGEST_AND_TAG);
	if (ref->tag.p != NULL && !name_tag_ok(ref->tag))
		return (FAILURE_INVALID_TAG);
	return (digest.p != NULL ? digest_read(digest, ref) : FAILURE_NONE);
}

struct reference
ecr_image_by(const struct image_ref *ref)
{
	return ((struct reference){
	    .is_digest = ref->tag.p == NULL,
	    .digest = ref->digest,
	    .tag = ref->tag,
	});
}

enum rc
ecr_image_ref_check(struct call *c, const json_t *id)
{
	struct span digest = aws_string(id, "imageDigest");

	if (digest.p == NULL && aws_member(id, "imageTag") == NULL)
		return (aws_invalid(
		    c, "imageId", "both tag and digest cannot be null"));
	if (digest.p != NULL &&
	    !aws_pattern_ok(ecr_layer_digest.pattern, digest))
		return (aws_invalid(c, "imageDigest",
		    "must satisfy regular expression '%s'",
		    IMAGE_DIGEST_EXPRESSION));
	return (RC_OK);
}

/* Of what one client sends twice it wants one answer. */
json_t *
ecr_image_ids_unique(const json_t *ids)
{
	json_t *unique = json_array();
	size_t i, j;

	for (i = 0; i < json_array_size(ids); i++) {
		for (j = 0; j < json_array_size(unique); j++)
			if (json_equal(json_array_get(ids, i),
				json_array_get(unique, j)))
				break;
		if (j == json_array_size(unique))
			aws_append(unique, json_incref(json_array_get(ids, i)));
	}
	return (unique);
}

/* --- finding it ---------------------------------------------------------- */

enum rc
ecr_image_repository(struct call *c)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(c->meta, c->repository, &row);
	return (rc == RC_NOTFOUND ? ecr_unknown(c, c->repository) : rc);
}

static const char *
shown(const json_t *id, const char *name)
{
	const char *text = json_string_value(aws_member(id, name));

	return (text != NULL ? text : "null");
}

enum rc
ecr_image_not_found(struct call *c, const json_t *id)
{
	return (call_fail(c, AWS_IMAGE_NOT_FOUND, NULL,
	    "The image with imageId {imageDigest:'%.*s', imageTag:'%.*s'} does "
	    "not exist within the repository with name '" SPAN_FMT
	    "' in the registry with id '%s'",
	    CALL_SHOW(span_of(shown(id, "imageDigest"))),
	    CALL_SHOW(span_of(shown(id, "imageTag"))), SPAN_ARG(c->repository),
	    c->settings->account_id));
}

static enum rc
not_here(struct call *c, const json_t *id)
{
	enum rc rc;

	rc = ecr_image_repository(c);
	return (rc == RC_OK ? ecr_image_not_found(c, id) : rc);
}

/* With both, the tag must be one of that image. */
enum rc
ecr_image_find_in(
    struct call *c, const json_t *id, struct arena *a, struct image_row *row_r)
{
	struct image_ref ref;
	struct reference by;
	enum rc rc;

	if ((rc = ecr_image_ref_check(c, id)) != RC_OK)
		return (rc);
	if (ecr_image_ref_read(id, &ref) != FAILURE_NONE)
		return (not_here(c, id));
	by = ecr_image_by(&ref);
	rc = meta_image_get(c->meta, c->repository, &by, a, row_r);
	if (rc == RC_OK && ref.has_digest &&
	    !digest_eq(&ref.digest, &row_r->manifest.digest))
		rc = RC_NOTFOUND;
	return (rc == RC_NOTFOUND ? not_here(c, id) : rc);
}

enum rc
ecr_image_find(struct call *c, const json_t *id, struct image_row *row_r)
{
	return (ecr_image_find_in(c, id, c->arena, row_r));
}

enum rc
ecr_image_bad_token(struct call *c)
{
	return (aws_invalid(c, "nextToken",
	    "must be the nextToken of an earlier answer of this operation, "
	    "about the same repository"));
}

/* --- telling of it ------------------------------------------------------- */

void
ecr_put_digest(json_t *out, const char *name, const struct digest *d)
{
	char text[DIGEST_STR_BYTES];

	aws_put(out, name, json_string(digest_str(d, text)));
}

void
ecr_put_repository(struct call *c, json_t *out)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "repositoryName", c->repository);
}

json_t *
ecr_image_id_json(const struct digest *d, struct span tag)
{
	json_t *id = json_object();

	ecr_put_digest(id, "imageDigest", d);
	if (tag.p != NULL)
		aws_put_text(id, "imageTag", tag);
	return (id);
}

const char *
ecr_image_status(enum image_status status)
{
	switch (status) {
	case IMAGE_ACTIVE:
		return ("ACTIVE");
	case IMAGE_ARCHIVED:
		return ("ARCHIVED");
	case IMAGE_ACTIVATING:
		return ("ACTIVATING");
	}
	wrong("an image of no known status");
}

unsigned
ecr_image_statuses(struct span filter)
{
	static const enum image_status all[] = { IMAGE_ACTIVE, IMAGE_ARCHIVED,
		IMAGE_ACTIVATING };
	size_t i;

	if (filter.p == NULL)
		return (IMAGE_STATUS_BIT(IMAGE_ACTIVE));
	for (i = 0; i < ARRAY_LEN(all); i++)
		if (span_is(filter, ecr_image_status(all[i])))
			return (IMAGE_STATUS_BIT(all[i]));
	return (0);
}

const char *
ecr_image_why_inaccessible(enum image_status status)
{
	if (status == IMAGE_ACTIVATING)
		return ("Requested image is being restored from the archive; "
			"try again later");
	return ("Requested image is archived; it has to be restored "
		"(UpdateImageStorageClass) before it can be pulled");
}

static const char *
scan_status_text(enum scan_status status)
{
	switch (status) {
	case SCAN_NONE:
		break;
	case SCAN_IN_PROGRESS:
		return ("IN_PROGRESS");
	case SCAN_COMPLETE:
		return ("COMPLETE");
	case SCAN_FAILED:
		return ("FAILED");
	case SCAN_UNSUPPORTED_IMAGE:
		return ("UNSUPPORTED_IMAGE");
	}
	wrong("a scan of no known status");
}

void
ecr_put_scan(json_t *out, const struct image_scan *scan)
{
	json_t *o;

	if (scan->status == SCAN_NONE)
		return;
	o = json_object();
	aws_put(o, "status", json_string(scan_status_text(scan->status)));
	if (scan->reason.n > 0)
		aws_put_text(o, "description", scan->reason);
	else if (scan->status == SCAN_COMPLETE)
		aws_put_text(o, "description",
		    SPAN("The scan was completed successfully."));
	aws_put(out, "imageScanStatus", o);
}

/* --- those of many that were left out ------------------------------------ */

static const struct {
	const char *code, *reason;
} failures_known[] = {
	[FAILURE_MISSING_DIGEST_AND_TAG] = { "MissingDigestAndTag",
	    "Invalid request parameters: both tag and digest cannot be null" },
	[FAILURE_INVALID_DIGEST] = { "InvalidImageDigest",
	    "Invalid request parameters: image digest should satisfy the regex "
	    "'" IMAGE_DIGEST_EXPRESSION "'" },
	[FAILURE_INVALID_TAG] = { "InvalidImageTag",
	    "Invalid request parameters: image tag should satisfy the regex "
	    "'" IMAGE_TAG_EXPRESSION "'" },
	[FAILURE_NOT_FOUND] = { "ImageNotFound", "Requested image not found" },
	[FAILURE_TAG_OF_ANOTHER] = { "ImageTagDoesNotMatchDigest",
	    "Requested image tag is not of the image with the requested "
	    "digest" },
	[FAILURE_REFERENCED] = { "ImageReferencedByManifestList",
	    "Requested image referenced by manifest list" },
	[FAILURE_INACCESSIBLE] = { "ImageInaccessible",
	    "Requested image is not accessible" },
	[FAILURE_KEY] = { "KmsError",
	    "The content of the repository is encrypted, and its key is not "
	    "here" },
	[FAILURE_UPSTREAM_DENIED] = { "UpstreamAccessDenied",
	    "The upstream registry denies access to the requested image" },
	[FAILURE_UPSTREAM_LIMIT] = { "UpstreamTooManyRequests",
	    "The upstream registry allows no more requests for now" },
	[FAILURE_UPSTREAM_UNAVAILABLE] = { "UpstreamUnavailable",
	    "The upstream registry cannot serve the requested image" },
};

void
ecr_image_fail(json_t *failures, const json_t *id, enum image_failure failure,
    const char *reason)
{
	static const char *const members[] = { "imageDigest", "imageTag" };
	json_t *o = json_object(), *given = json_object();
	struct span text;
	size_t i;

	must(failure != FAILURE_NONE);
	for (i = 0; i < ARRAY_LEN(members); i++)
		if ((text = aws_string(id, members[i])).p != NULL)
			aws_put_text(given, members[i], text);
	if (reason == NULL)
		reason = failures_known[failure].reason;
	aws_put(o, "imageId", given);
	aws_put(o, "failureCode", json_string(failures_known[failure].code));
	aws_put_text(o, "failureReason", span_of(reason));
	aws_append(failures, o);
}
