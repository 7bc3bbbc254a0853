#ifndef API_ECR_INT_H
#define API_ECR_INT_H

#include <jansson.h>

#include "auth/policy.h"
#include "registryd/api/aws_int.h"
#include "storage/repositories.h"

/*
 * The operations of Amazon ECR (API version 2015-09-21) and of STS.  Their
 * inputs fit their shapes (aws_table.c) when they arrive here.
 */

/* --- shapes that several operations share (ecr_shapes.c) ----------------- */

extern const struct aws_shape ecr_boolean;
extern const struct aws_shape ecr_registry_id;
extern const struct aws_shape ecr_registry_ids;
extern const struct aws_shape ecr_repository_name; /* one that may exist */
extern const struct aws_shape ecr_new_repository_name;
extern const struct aws_shape ecr_repository_names;
extern const struct aws_shape ecr_next_token;
extern const struct aws_shape ecr_max_results;
extern const struct aws_shape ecr_tags;
extern const struct aws_shape ecr_tag_mutability;
extern const struct aws_shape ecr_tag_exclusions;
extern const struct aws_shape ecr_scanning_configuration;
extern const struct aws_shape ecr_encryption_configuration;
extern const struct aws_shape ecr_policy_text;

/** ecr_mutability(text): of one of the shape's values. */
enum tag_mutability ecr_mutability(struct span text);
const char *ecr_mutability_text(enum tag_mutability);
const char *ecr_encryption_text(enum encryption_type);

/* --- what they share (ecr.c) --------------------------------------------- */

/** ecr_before(c, in): a registryId that is given must be ours.  RC_FAILED. */
RC_MUST_USE enum rc ecr_before(struct call *, const json_t *in);

/** ecr_region(c): as ARNs show it. */
struct span ecr_region(const struct call *);

/** ecr_endpoint(c): what clients log in to: with its scheme, without a path.
 * In the arena. */
const char *ecr_endpoint(struct call *);

/** ecr_unknown(c, name): RC_FAILED with RepositoryNotFoundException. */
RC_MUST_USE enum rc ecr_unknown(struct call *, struct span name);

/** ecr_repository_json(c, name, d): a Repository of the model; the caller's. */
json_t *ecr_repository_json(
    struct call *, struct span name, const struct repository_description *);

/**
 * ecr_tags_check(c, in, tags_r, n_r):
 * The member "tags": are they allowed?  They also become what policies see as
 * aws:RequestTag.  RC_FAILED with InvalidTagParameterException or
 * TooManyTagsException.
 */
RC_MUST_USE enum rc ecr_tags_check(
    struct call *, const json_t *in, struct resource_tag **tags_r, size_t *n_r);

/* --- operations ---------------------------------------------------------- */

/* ecr_token.c */
RC_MUST_USE enum rc
ecr_get_authorization_token(struct call *, const json_t *in, json_t *out);

/* ecr_repositories.c */
RC_MUST_USE enum rc
ecr_create_repository_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_create_repository(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_describe_repositories_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_describe_repositories(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_delete_repository(struct call *, const json_t *in, json_t *out);

/* ecr_policies.c */

/** ecr_policy_check(c, in, kind): is the member "policyText" a policy?
 * RC_FAILED with AWS_INVALID_PARAMETER; else the policy is c->state, until the
 * end of the call. */
RC_MUST_USE enum rc
ecr_policy_check(struct call *, const json_t *in, enum policy_kind);
RC_MUST_USE enum rc
ecr_set_repository_policy_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_set_repository_policy(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_get_repository_policy(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_delete_repository_policy(struct call *, const json_t *in, json_t *out);

/* ecr_registry.c */
RC_MUST_USE enum rc
ecr_put_registry_policy_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_put_registry_policy(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_get_registry_policy(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_delete_registry_policy(struct call *, const json_t *in, json_t *out);

/* sts.c */
RC_MUST_USE enum rc
sts_get_caller_identity(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
sts_get_session_token_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
sts_get_session_token(struct call *, const json_t *in, json_t *out);

#endif
