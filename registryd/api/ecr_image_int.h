#ifndef API_ECR_IMAGE_INT_H
#define API_ECR_IMAGE_INT_H

#include "registryd/api/ecr_int.h"

/*
 * What the operations on images share: what an ImageIdentifier says, and how
 * those that take many of them tell what went wrong with which.
 */

/* Why an image of several was left out; the failureCode of the model. */
enum image_failure {
	FAILURE_NONE,
	FAILURE_MISSING_DIGEST_AND_TAG,
	FAILURE_INVALID_DIGEST,
	FAILURE_INVALID_TAG,
	FAILURE_NOT_FOUND,
	FAILURE_TAG_OF_ANOTHER,
	FAILURE_REFERENCED,
	FAILURE_INACCESSIBLE,
	FAILURE_KEY,
	FAILURE_UPSTREAM_DENIED,
	FAILURE_UPSTREAM_LIMIT,
	FAILURE_UPSTREAM_UNAVAILABLE,
};

/* An ImageIdentifier, read. */
struct image_ref {
	bool has_digest;
	struct digest digest;
	struct span tag; /* .p NULL: none was given */
};

/**
 * ecr_image_ref_read(id, ref_r):
 * FAILURE_NONE; FAILURE_MISSING_DIGEST_AND_TAG; FAILURE_INVALID_DIGEST;
 * FAILURE_INVALID_TAG; FAILURE_NOT_FOUND: it is well-formed, but no image can
 * have that digest.
 */
enum image_failure ecr_image_ref_read(const json_t *id, struct image_ref *);

/** ecr_image_by(ref): what to look it up by: the tag, if there is one. */
struct reference ecr_image_by(const struct image_ref *);

/** ecr_image_ref_check(c, id): RC_FAILED with InvalidParameterException for
 * one without digest and tag, or with a digest that is none. */
RC_MUST_USE enum rc ecr_image_ref_check(struct call *, const json_t *id);

/** ecr_image_find_in(c, id, arena, row_r): ecr_image_find() with what it finds
 * in ${arena}. */
RC_MUST_USE enum rc ecr_image_find_in(
    struct call *, const json_t *id, struct arena *, struct image_row *row_r);

/** ecr_image_repository(c): RC_FAILED with RepositoryNotFoundException unless
 * c->repository is there. */
RC_MUST_USE enum rc ecr_image_repository(struct call *);

/** ecr_image_bad_token(c): RC_FAILED with InvalidParameterException: the
 * nextToken holds no position of a list of images. */
RC_MUST_USE enum rc ecr_image_bad_token(struct call *);

/** ecr_image_fail(failures, id, failure, reason): an ImageFailure; ${reason}
 * NULL: the standing one. */
void ecr_image_fail(
    json_t *failures, const json_t *id, enum image_failure, const char *reason);

/** ecr_image_ids_unique(ids): those of the list, each once, in order; the
 * caller's. */
json_t *ecr_image_ids_unique(const json_t *ids);

/** ecr_image_status(status): "ACTIVE", "ARCHIVED", "ACTIVATING". */
const char *ecr_image_status(enum image_status);

/** ecr_image_statuses(filter): what a filter of that value takes, of the
 * statuses of the model: IMAGE_STATUS_BIT()s, 0: any.  .p NULL: ACTIVE. */
unsigned ecr_image_statuses(struct span filter);

/** ecr_image_why_inaccessible(status): of one that is not active, in words. */
const char *ecr_image_why_inaccessible(enum image_status);

/** ecr_put_digest(out, name, d). */
void ecr_put_digest(json_t *out, const char *name, const struct digest *);

/** ecr_put_repository(c, out): registryId and repositoryName. */
void ecr_put_repository(struct call *, json_t *out);

/* The most that is looked at for one page: a filter that few satisfy gives
 * short pages rather than a long wait. */
#define IMAGES_LOOKED_MAX 5000

/* What messages call the grammars of tags and digests. */
#define IMAGE_TAG_EXPRESSION "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
#define IMAGE_DIGEST_EXPRESSION "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"

#endif
