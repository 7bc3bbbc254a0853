#ifndef API_ECR_INT_H
#define API_ECR_INT_H

#include <jansson.h>

#include "auth/policy.h"
#include "lifecycle/policy.h"
#include "registryd/api/aws_int.h"
#include "registryd/registry_config.h"
#include "registryd/scanning.h"
#include "storage/entities.h"
#include "storage/images.h"
#include "storage/repositories.h"

/*
 * The operations of Amazon ECR (API version 2015-09-21) and of STS.  Their
 * inputs fit their shapes (aws_table.c) when they arrive here.
 */

#define ECR_IMAGE_BODY_MAX_BYTES ((uint64_t)13 << 20)

/* 20 MiB in base64, in which some clients write "/" as "\/", and what stands
 * around it. */
#define ECR_PART_MAX_BYTES ((uint64_t)20 << 20)
#define ECR_PART_BODY_MAX_BYTES \
	(ECR_PART_MAX_BYTES / 3 * 4 + ((uint64_t)1 << 20))

/* --- what they share (ecr.c) --------------------------------------------- */

/** ecr_before(c, in): a registryId that is given must be ours.  RC_FAILED. */
RC_MUST_USE enum rc ecr_before(struct call *, const json_t *in);

/** ecr_region(c): as ARNs show it. */
struct span ecr_region(const struct call *);

/** ecr_place(c): of all repositories: what stands before "/NAME" in their
 * addresses.  In the arena. */
const char *ecr_place(struct call *);

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

/** ecr_tag_keys_check(c, in, keys_r, n_r): the member "tagKeys", likewise; to
 * policies they are aws:TagKeys alone. */
RC_MUST_USE enum rc ecr_tag_keys_check(
    struct call *, const json_t *in, struct span **keys_r, size_t *n_r);

/** ecr_lifecycle_grammar(c): of lifecycle policies, as the settings allow. */
struct lifecycle_grammar ecr_lifecycle_grammar(const struct call *);

/* --- values of the model (ecr_values.c) ---------------------------------- */

/** ecr_mutability(text): of one of the shape's values. */
enum tag_mutability ecr_mutability(struct span text);
const char *ecr_mutability_text(enum tag_mutability);
enum encryption_type ecr_encryption(struct span text);
const char *ecr_encryption_text(enum encryption_type);

/**
 * ecr_mutability_read(c, in, s):
 * imageTagMutability with its exclusion filters, of CreateRepository and all
 * others that take them, into ${s} (default MUTABLE).  RC_FAILED.
 */
RC_MUST_USE enum rc ecr_mutability_read(
    struct call *, const json_t *in, struct repository_settings *s);

/** ecr_encryption_read(c, in, s): encryptionConfiguration; not given:
 * ENCRYPTION_DEFAULT; no key: KMS by the registry's.  RC_FAILED. */
RC_MUST_USE enum rc ecr_encryption_read(
    struct call *, const json_t *in, struct repository_settings *s);

/** ecr_exclusions_json(s), ecr_encryption_json(c, s): as the model has them; NULL
 * of the second: its content is not encrypted. */
json_t *ecr_exclusions_json(const struct repository_settings *);
json_t *ecr_encryption_json(struct call *, const struct repository_settings *);

/** ecr_tags_json(tags, n): a TagList. */
json_t *ecr_tags_json(const struct resource_tag *, size_t n);

/* --- configuration of the registry (ecr_config.c) ------------------------ */

/** ecr_pick(shape, in): of a value that fits ${shape} what the shape names,
 * without nulls; the caller's. */
json_t *ecr_pick(const struct aws_shape *, const json_t *in);

/** ecr_paging_check(c, in, names): maxResults and nextToken do not go together
 * with the member ${names}, which names what is wanted.  RC_FAILED. */
RC_MUST_USE enum rc
ecr_paging_check(struct call *, const json_t *in, const char *names);

/** ecr_config_key(prefix): under which name something of that prefix is kept:
 * without the '/' at its end, which is implied. */
struct span ecr_config_key(struct span prefix);

/** ecr_put_member(out, name, o), ecr_put_ms(out, name, o): if ${o} has it, the
 * same in ${out}; a time from milliseconds. */
void ecr_put_member(json_t *out, const char *name, const json_t *o);
void ecr_put_ms(json_t *out, const char *name, const json_t *o);

/** ecr_config_add(c, a, o): keep ${o}, the caller's, as an entry that must be
 * new.  RC_FAILED with ${a->exists} when there is one under that key, or with
 * LimitExceededException when there are ${a->max} already (0: any number). */
struct ecr_config_add {
	enum entity_kind kind;
	struct span key;  /* under which it is kept */
	struct span name; /* as messages show it */
	unsigned max;
	enum api_error exists;
	const char *one;  /* "A pull through cache rule with ..." */
	const char *many; /* "pull through cache rules" */
};
RC_MUST_USE enum rc
ecr_config_add(struct call *, const struct ecr_config_add *, json_t *o);

/** What a list shows of a record; the caller's. */
typedef json_t *ecr_show_fn(struct call *, struct span name, const json_t *o);

struct ecr_config_list {
	enum entity_kind kind;
	ecr_show_fn *show;
	size_t max; /* rows of one page; 0: as the client says */
	/* Of a name that is not there: RC_FAILED; NULL: it is left out. */
	enum rc (*missing)(struct call *, struct span name);
};

/** ecr_config_list(c, in, l, list, out): the page of a configuration that
 * maxResults and nextToken of ${in} ask for into ${list}; nextToken into
 * ${out}.  RC_FAILED. */
RC_MUST_USE enum rc ecr_config_list(struct call *, const json_t *in,
    const struct ecr_config_list *, json_t *list, json_t *out);

/** ecr_config_named(c, prefixes, l, list): of an array of prefixes those that
 * are there into ${list}, in that order.  RC_FAILED by ${l->missing}. */
RC_MUST_USE enum rc ecr_config_named(struct call *, const json_t *prefixes,
    const struct ecr_config_list *, json_t *list);

/* --- images (ecr_image_ids.c) -------------------------------------------- */

/**
 * ecr_image_find(c, id, row_r):
 * The image that an ImageIdentifier names, in c->repository; all in the arena.
 * RC_FAILED: InvalidParameterException when it names none or no digest,
 * RepositoryNotFoundException, ImageNotFoundException.
 */
RC_MUST_USE enum rc
ecr_image_find(struct call *, const json_t *id, struct image_row *row_r);

/** ecr_image_not_found(c, id): RC_FAILED with ImageNotFoundException. */
RC_MUST_USE enum rc ecr_image_not_found(struct call *, const json_t *id);

/** ecr_image_id_json(digest, tag): an ImageIdentifier; .p NULL: no tag. */
json_t *ecr_image_id_json(const struct digest *, struct span tag);

/** ecr_put_scan(out, scan): the member imageScanStatus, if there is one. */
void ecr_put_scan(json_t *out, const struct image_scan *);

/** ecr_put_scan_summary(out, f): imageScanCompletedAt and how many findings of
 * which severity there are; ecr_scanning.c. */
struct scan_findings;
void ecr_put_scan_summary(json_t *out, const struct scan_findings *);

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

/** ecr_policy_scope_put(c, scope, change, arg): set what a registry policy may
 * be about, "V1" or "V2", by registry_config_update() of the account settings;
 * RC_FAILED with ValidationException for V1 when the policy that there is says
 * more. */
RC_MUST_USE enum rc ecr_policy_scope_put(
    struct call *, struct span scope, config_change_fn *change, void *arg);

/* ecr_images.c, ecr_image_put.c, ecr_image_batch.c, ecr_image_referrers.c */
RC_MUST_USE enum rc ecr_put_image_check(struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_put_image(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_batch_get_image(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_batch_delete_image(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_list_images(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_describe_images_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_describe_images(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_list_image_referrers_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_list_image_referrers(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_update_image_storage_class_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_update_image_storage_class(struct call *, const json_t *in, json_t *out);

/* ecr_layers.c, ecr_layer_part.c */
RC_MUST_USE enum rc ecr_batch_check_layer_availability(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_initiate_layer_upload(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_upload_layer_part_begin(struct call *);
RC_MUST_USE enum rc
ecr_upload_layer_part_write(struct call *, const void *p, size_t n);
RC_MUST_USE enum rc ecr_upload_layer_part_input(struct call *, json_t **in_r);
void ecr_upload_layer_part_end(struct call *);
RC_MUST_USE enum rc
ecr_upload_layer_part_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_upload_layer_part(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_complete_layer_upload_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_complete_layer_upload(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_get_download_url_for_layer(struct call *, const json_t *in, json_t *out);

/* ecr_settings.c: what is set of a repository */
RC_MUST_USE enum rc
ecr_put_image_tag_mutability_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_put_image_tag_mutability(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_put_image_scanning_configuration(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_tag_resource_check(struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_untag_resource_check(struct call *, const json_t *in);
/** ecr_change_resource_tags(c, in, out): the handler of both: what the check
 * made of the request. */
RC_MUST_USE enum rc
ecr_change_resource_tags(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_list_tags_for_resource_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_list_tags_for_resource(struct call *, const json_t *in, json_t *out);

/* ecr_lifecycle.c */
RC_MUST_USE enum rc
ecr_put_lifecycle_policy_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_put_lifecycle_policy(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_get_lifecycle_policy(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_delete_lifecycle_policy(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_start_lifecycle_policy_preview_check(struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_start_lifecycle_policy_preview(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_get_lifecycle_policy_preview_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_get_lifecycle_policy_preview(struct call *, const json_t *in, json_t *out);

/* ecr_scanning.c */
RC_MUST_USE enum rc
ecr_start_image_scan(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_describe_image_scan_findings(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_put_registry_scanning_configuration_check(struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_put_registry_scanning_configuration(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_get_registry_scanning_configuration(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_batch_get_repository_scanning_configuration(
    struct call *, const json_t *in, json_t *out);

/* ecr_templates.c */
RC_MUST_USE enum rc
ecr_create_repository_creation_template_check(struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_create_repository_creation_template(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_describe_repository_creation_templates_check(
    struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_describe_repository_creation_templates(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_update_repository_creation_template_check(struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_update_repository_creation_template(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_delete_repository_creation_template(
    struct call *, const json_t *in, json_t *out);

/* ecr_cache_rules.c */
RC_MUST_USE enum rc
ecr_create_pull_through_cache_rule_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_describe_pull_through_cache_rules_check(struct call *, const json_t *in);
RC_MUST_USE enum rc ecr_create_pull_through_cache_rule(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_describe_pull_through_cache_rules(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_update_pull_through_cache_rule(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_delete_pull_through_cache_rule(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_validate_pull_through_cache_rule(
    struct call *, const json_t *in, json_t *out);

/* ecr_account.c */
RC_MUST_USE enum rc
ecr_get_account_setting_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_put_account_setting_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_get_account_setting(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_put_account_setting(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_register_pull_time_update_exclusion(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_deregister_pull_time_update_exclusion(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_list_pull_time_update_exclusions(
    struct call *, const json_t *in, json_t *out);

/* ecr_replication.c */
RC_MUST_USE enum rc
ecr_describe_registry(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_put_replication_configuration_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_put_replication_configuration(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_describe_image_replication_status(
    struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_start_replication_backfill(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_stop_replication_backfill(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_list_replication_backfills(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc ecr_describe_replication_backfill_results(
    struct call *, const json_t *in, json_t *out);

/* ecr_signing.c */
RC_MUST_USE enum rc
ecr_put_signing_configuration_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
ecr_put_signing_configuration(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_get_signing_configuration(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_delete_signing_configuration(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
ecr_describe_image_signing_status(struct call *, const json_t *in, json_t *out);

/* sts.c */
RC_MUST_USE enum rc
sts_get_caller_identity(struct call *, const json_t *in, json_t *out);
RC_MUST_USE enum rc
sts_get_session_token_check(struct call *, const json_t *in);
RC_MUST_USE enum rc
sts_get_session_token(struct call *, const json_t *in, json_t *out);

#endif
