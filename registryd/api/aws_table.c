#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/api/ecr_shapes.h"

/*
 * All operations: what each takes and what does it.  Members stand in the
 * order of the model, which is the order in which they are checked.
 */
#define INPUT(m) \
	.input = { \
		.type = AWS_STRUCTURE, \
		.members = (m), \
		.n_members = ARRAY_LEN(m), \
	}
#define NO_INPUT .input = { .type = AWS_STRUCTURE }

static const struct aws_service ecr = {
	.name = "ecr",
	.target = "AmazonEC2ContainerRegistry_V20150921.",
	.before = ecr_before,
};

static const struct aws_service sts = {
	.name = "sts",
	.version = "2011-06-15",
	.xmlns = AWS_STS_XMLNS,
};

/* --- inputs -------------------------------------------------------------- */

static const struct aws_member batch_check_layer_availability_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "layerDigests", &ecr_batched_operation_layer_digest_list, true },
};

static const struct aws_member batch_delete_image_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageIds", &ecr_image_identifier_list, true },
};

static const struct aws_member batch_get_image_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageIds", &ecr_image_identifier_list, true },
	{ "acceptedMediaTypes", &ecr_media_type_list, false },
};

static const struct aws_member
    batch_get_repository_scanning_configuration_input[] = {
	    { "repositoryNames",
		&ecr_scanning_configuration_repository_name_list, true },
    };

static const struct aws_member complete_layer_upload_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "uploadId", &ecr_upload_id, true },
	{ "layerDigests", &ecr_layer_digest_list, true },
};

static const struct aws_member create_pull_through_cache_rule_input[] = {
	{ "ecrRepositoryPrefix", &ecr_pull_through_cache_rule_repository_prefix,
	    true },
	{ "upstreamRegistryUrl", &ecr_url, true },
	{ "registryId", &ecr_registry_id, false },
	{ "upstreamRegistry", &ecr_upstream_registry, false },
	{ "credentialArn", &ecr_credential_arn, false },
	{ "customRoleArn", &ecr_custom_role_arn, false },
	{ "upstreamRepositoryPrefix",
	    &ecr_pull_through_cache_rule_repository_prefix, false },
};

static const struct aws_member create_repository_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_new_repository_name, true },
	{ "tags", &ecr_tag_list, false },
	{ "imageTagMutability", &ecr_image_tag_mutability, false },
	{ "imageTagMutabilityExclusionFilters",
	    &ecr_image_tag_mutability_exclusion_filters, false },
	{ "imageScanningConfiguration", &ecr_image_scanning_configuration,
	    false },
	{ "encryptionConfiguration", &ecr_encryption_configuration, false },
};

static const struct aws_member create_repository_creation_template_input[] = {
	{ "prefix", &ecr_prefix, true },
	{ "description", &ecr_repository_template_description, false },
	{ "encryptionConfiguration",
	    &ecr_encryption_configuration_for_repository_creation_template,
	    false },
	{ "resourceTags", &ecr_tag_list, false },
	{ "imageTagMutability", &ecr_image_tag_mutability, false },
	{ "imageTagMutabilityExclusionFilters",
	    &ecr_image_tag_mutability_exclusion_filters, false },
	{ "repositoryPolicy", &ecr_repository_policy_text, false },
	{ "lifecyclePolicy",
	    &ecr_lifecycle_policy_text_for_repository_creation_template,
	    false },
	{ "appliedFor", &ecr_rct_applied_for_list, true },
	{ "customRoleArn", &ecr_custom_role_arn, false },
};

static const struct aws_member repository_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
};

static const struct aws_member cache_rule_input[] = {
	{ "ecrRepositoryPrefix", &ecr_pull_through_cache_rule_repository_prefix,
	    true },
	{ "registryId", &ecr_registry_id, false },
};

static const struct aws_member delete_repository_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "force", &ecr_force_flag, false },
};

static const struct aws_member delete_repository_creation_template_input[] = {
	{ "prefix", &ecr_prefix, true },
};

static const struct aws_member pull_time_update_exclusion_input[] = {
	{ "principalArn", &ecr_principal_arn, true },
};

static const struct aws_member image_input[] = {
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageId", &ecr_image_identifier, true },
	{ "registryId", &ecr_registry_id, false },
};

static const struct aws_member describe_image_scan_findings_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageId", &ecr_image_identifier, true },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_max_results, false },
};

static const struct aws_member describe_images_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageIds", &ecr_image_identifier_list, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_max_results, false },
	{ "filter", &ecr_describe_images_filter, false },
};

static const struct aws_member describe_pull_through_cache_rules_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "ecrRepositoryPrefixes",
	    &ecr_pull_through_cache_rule_repository_prefix_list, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_max_results, false },
};

static const struct aws_member describe_replication_backfill_results_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "replicationBackfillId", &ecr_replication_backfill_id, true },
	{ "resultStatusFilter", &ecr_backfill_status_filter, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_max_results, false },
};

static const struct aws_member describe_repositories_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryNames", &ecr_repository_name_list, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_max_results, false },
};

static const struct aws_member
    describe_repository_creation_templates_input[] = {
	    { "prefixes", &ecr_prefix_list, false },
	    { "nextToken", &ecr_next_token, false },
	    { "maxResults", &ecr_max_results, false },
    };

static const struct aws_member get_account_setting_input[] = {
	{ "name", &ecr_account_setting_name, true },
};

static const struct aws_member get_authorization_token_input[] = {
	{ "registryIds", &ecr_get_authorization_token_registry_id_list, false },
};

static const struct aws_member get_download_url_for_layer_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "layerDigest", &ecr_layer_digest, true },
};

static const struct aws_member get_lifecycle_policy_preview_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageIds", &ecr_image_identifier_list, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_lifecycle_preview_max_results, false },
	{ "filter", &ecr_lifecycle_policy_preview_filter, false },
};

static const struct aws_member list_image_referrers_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "subjectId", &ecr_subject_identifier, true },
	{ "filter", &ecr_list_image_referrers_filter, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_fifty_max_results, false },
};

static const struct aws_member list_images_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_max_results, false },
	{ "filter", &ecr_list_images_filter, false },
};

static const struct aws_member list_pull_time_update_exclusions_input[] = {
	{ "maxResults", &ecr_max_results, false },
	{ "nextToken", &ecr_next_token, false },
};

static const struct aws_member list_replication_backfills_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_fifty_max_results, false },
};

static const struct aws_member list_tags_for_resource_input[] = {
	{ "resourceArn", &ecr_arn, true },
};

static const struct aws_member put_account_setting_input[] = {
	{ "name", &ecr_account_setting_name, true },
	{ "value", &ecr_account_setting_value, true },
};

static const struct aws_member put_image_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageManifest", &ecr_image_manifest, true },
	{ "imageManifestMediaType", &ecr_media_type, false },
	{ "imageTag", &ecr_image_tag, false },
	{ "imageDigest", &ecr_image_digest, false },
};

static const struct aws_member put_image_scanning_configuration_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageScanningConfiguration", &ecr_image_scanning_configuration,
	    true },
};

static const struct aws_member put_image_tag_mutability_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageTagMutability", &ecr_image_tag_mutability, true },
	{ "imageTagMutabilityExclusionFilters",
	    &ecr_image_tag_mutability_exclusion_filters, false },
};

static const struct aws_member put_lifecycle_policy_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "lifecyclePolicyText", &ecr_lifecycle_policy_text, true },
};

static const struct aws_member put_registry_policy_input[] = {
	{ "policyText", &ecr_registry_policy_text, true },
};

static const struct aws_member put_registry_scanning_configuration_input[] = {
	{ "scanType", &ecr_scan_type, false },
	{ "rules", &ecr_registry_scanning_rule_list, false },
};

static const struct aws_member put_replication_configuration_input[] = {
	{ "replicationConfiguration", &ecr_replication_configuration, true },
};

static const struct aws_member put_signing_configuration_input[] = {
	{ "signingConfiguration", &ecr_signing_configuration, true },
};

static const struct aws_member set_repository_policy_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "policyText", &ecr_repository_policy_text, true },
	{ "force", &ecr_force_flag, false },
};

static const struct aws_member start_image_scan_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageId", &ecr_image_identifier, true },
};

static const struct aws_member start_lifecycle_policy_preview_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "lifecyclePolicyText", &ecr_lifecycle_policy_text, false },
};

static const struct aws_member start_replication_backfill_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "destination", &ecr_replication_destination, true },
};

static const struct aws_member stop_replication_backfill_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "replicationBackfillId", &ecr_replication_backfill_id, true },
};

static const struct aws_member tag_resource_input[] = {
	{ "resourceArn", &ecr_arn, true },
	{ "tags", &ecr_tag_list, true },
};

static const struct aws_member untag_resource_input[] = {
	{ "resourceArn", &ecr_arn, true },
	{ "tagKeys", &ecr_tag_key_list, true },
};

static const struct aws_member update_image_storage_class_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "imageId", &ecr_image_identifier, true },
	{ "targetStorageClass", &ecr_target_storage_class, true },
};

static const struct aws_member update_pull_through_cache_rule_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "ecrRepositoryPrefix", &ecr_pull_through_cache_rule_repository_prefix,
	    true },
	{ "credentialArn", &ecr_credential_arn, false },
	{ "customRoleArn", &ecr_custom_role_arn, false },
};

static const struct aws_member update_repository_creation_template_input[] = {
	{ "prefix", &ecr_prefix, true },
	{ "description", &ecr_repository_template_description, false },
	{ "encryptionConfiguration",
	    &ecr_encryption_configuration_for_repository_creation_template,
	    false },
	{ "resourceTags", &ecr_tag_list, false },
	{ "imageTagMutability", &ecr_image_tag_mutability, false },
	{ "imageTagMutabilityExclusionFilters",
	    &ecr_image_tag_mutability_exclusion_filters, false },
	{ "repositoryPolicy", &ecr_repository_policy_text, false },
	{ "lifecyclePolicy",
	    &ecr_lifecycle_policy_text_for_repository_creation_template,
	    false },
	{ "appliedFor", &ecr_rct_applied_for_list, false },
	{ "customRoleArn", &ecr_custom_role_arn, false },
};

static const struct aws_member upload_layer_part_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "uploadId", &ecr_upload_id, true },
	{ "partFirstByte", &ecr_part_size, true },
	{ "partLastByte", &ecr_part_size, true },
	{ "layerPartBlob", &ecr_layer_part_blob, true },
};

/* 15 minutes to 36 hours. */
static const struct aws_shape session_duration = {
	.type = AWS_INTEGER,
	.min = 900,
	.max = 129600,
};

static const struct aws_shape mfa_serial = {
	.type = AWS_STRING,
	.min = 9,
	.max = 256,
};

static const struct aws_shape mfa_code = {
	.type = AWS_STRING,
	.min = 6,
	.max = 6,
};

static const struct aws_member session_token_input[] = {
	{ "DurationSeconds", &session_duration, false },
	{ "SerialNumber", &mfa_serial, false },
	{ "TokenCode", &mfa_code, false },
};

/* --- operations ---------------------------------------------------------- */

const struct aws_operation aws_operations[] = {
	{
	    .name = "BatchCheckLayerAvailability",
	    .service = &ecr,
	    INPUT(batch_check_layer_availability_input),
	    .handler = ecr_batch_check_layer_availability,
	},
	{
	    .name = "BatchDeleteImage",
	    .service = &ecr,
	    INPUT(batch_delete_image_input),
	    .handler = ecr_batch_delete_image,
	},
	{
	    .name = "BatchGetImage",
	    .service = &ecr,
	    INPUT(batch_get_image_input),
	    .handler = ecr_batch_get_image,
	},
	{
	    .name = "BatchGetRepositoryScanningConfiguration",
	    .service = &ecr,
	    INPUT(batch_get_repository_scanning_configuration_input),
	    .handler = ecr_batch_get_repository_scanning_configuration,
	},
	{
	    .name = "CompleteLayerUpload",
	    .service = &ecr,
	    INPUT(complete_layer_upload_input),
	    .check = ecr_complete_layer_upload_check,
	    .handler = ecr_complete_layer_upload,
	},
	{
	    .name = "CreatePullThroughCacheRule",
	    .service = &ecr,
	    INPUT(create_pull_through_cache_rule_input),
	    .check = ecr_create_pull_through_cache_rule_check,
	    .handler = ecr_create_pull_through_cache_rule,
	},
	{
	    .name = "CreateRepository",
	    .service = &ecr,
	    INPUT(create_repository_input),
	    .check = ecr_create_repository_check,
	    .handler = ecr_create_repository,
	},
	{
	    .name = "CreateRepositoryCreationTemplate",
	    .service = &ecr,
	    INPUT(create_repository_creation_template_input),
	    .check = ecr_create_repository_creation_template_check,
	    .handler = ecr_create_repository_creation_template,
	},
	{
	    .name = "DeleteLifecyclePolicy",
	    .service = &ecr,
	    INPUT(repository_input),
	    .handler = ecr_delete_lifecycle_policy,
	},
	{
	    .name = "DeletePullThroughCacheRule",
	    .service = &ecr,
	    INPUT(cache_rule_input),
	    .handler = ecr_delete_pull_through_cache_rule,
	},
	{
	    .name = "DeleteRegistryPolicy",
	    .service = &ecr,
	    NO_INPUT,
	    .handler = ecr_delete_registry_policy,
	},
	{
	    .name = "DeleteRepository",
	    .service = &ecr,
	    INPUT(delete_repository_input),
	    .handler = ecr_delete_repository,
	},
	{
	    .name = "DeleteRepositoryCreationTemplate",
	    .service = &ecr,
	    INPUT(delete_repository_creation_template_input),
	    .handler = ecr_delete_repository_creation_template,
	},
	{
	    .name = "DeleteRepositoryPolicy",
	    .service = &ecr,
	    INPUT(repository_input),
	    .handler = ecr_delete_repository_policy,
	},
	{
	    .name = "DeleteSigningConfiguration",
	    .service = &ecr,
	    NO_INPUT,
	    .handler = ecr_delete_signing_configuration,
	},
	{
	    .name = "DeregisterPullTimeUpdateExclusion",
	    .service = &ecr,
	    INPUT(pull_time_update_exclusion_input),
	    .handler = ecr_deregister_pull_time_update_exclusion,
	},
	{
	    .name = "DescribeImageReplicationStatus",
	    .service = &ecr,
	    INPUT(image_input),
	    .handler = ecr_describe_image_replication_status,
	},
	{
	    .name = "DescribeImageScanFindings",
	    .service = &ecr,
	    INPUT(describe_image_scan_findings_input),
	    .handler = ecr_describe_image_scan_findings,
	},
	{
	    .name = "DescribeImageSigningStatus",
	    .service = &ecr,
	    INPUT(image_input),
	    .handler = ecr_describe_image_signing_status,
	},
	{
	    .name = "DescribeImages",
	    .service = &ecr,
	    INPUT(describe_images_input),
	    .check = ecr_describe_images_check,
	    .handler = ecr_describe_images,
	},
	{
	    .name = "DescribePullThroughCacheRules",
	    .service = &ecr,
	    INPUT(describe_pull_through_cache_rules_input),
	    .check = ecr_describe_pull_through_cache_rules_check,
	    .handler = ecr_describe_pull_through_cache_rules,
	},
	{
	    .name = "DescribeRegistry",
	    .service = &ecr,
	    NO_INPUT,
	    .handler = ecr_describe_registry,
	},
	{
	    .name = "DescribeReplicationBackfillResults",
	    .service = &ecr,
	    INPUT(describe_replication_backfill_results_input),
	    .handler = ecr_describe_replication_backfill_results,
	},
	{
	    .name = "DescribeRepositories",
	    .service = &ecr,
	    INPUT(describe_repositories_input),
	    .check = ecr_describe_repositories_check,
	    .handler = ecr_describe_repositories,
	},
	{
	    .name = "DescribeRepositoryCreationTemplates",
	    .service = &ecr,
	    INPUT(describe_repository_creation_templates_input),
	    .check = ecr_describe_repository_creation_templates_check,
	    .handler = ecr_describe_repository_creation_templates,
	},
	{
	    .name = "GetAccountSetting",
	    .service = &ecr,
	    INPUT(get_account_setting_input),
	    .check = ecr_get_account_setting_check,
	    .handler = ecr_get_account_setting,
	},
	{
	    .name = "GetAuthorizationToken",
	    .service = &ecr,
	    INPUT(get_authorization_token_input),
	    .handler = ecr_get_authorization_token,
	},
	{
	    .name = "GetDownloadUrlForLayer",
	    .service = &ecr,
	    INPUT(get_download_url_for_layer_input),
	    .handler = ecr_get_download_url_for_layer,
	},
	{
	    .name = "GetLifecyclePolicy",
	    .service = &ecr,
	    INPUT(repository_input),
	    .handler = ecr_get_lifecycle_policy,
	},
	{
	    .name = "GetLifecyclePolicyPreview",
	    .service = &ecr,
	    INPUT(get_lifecycle_policy_preview_input),
	    .check = ecr_get_lifecycle_policy_preview_check,
	    .handler = ecr_get_lifecycle_policy_preview,
	},
	{
	    .name = "GetRegistryPolicy",
	    .service = &ecr,
	    NO_INPUT,
	    .handler = ecr_get_registry_policy,
	},
	{
	    .name = "GetRegistryScanningConfiguration",
	    .service = &ecr,
	    NO_INPUT,
	    .handler = ecr_get_registry_scanning_configuration,
	},
	{
	    .name = "GetRepositoryPolicy",
	    .service = &ecr,
	    INPUT(repository_input),
	    .handler = ecr_get_repository_policy,
	},
	{
	    .name = "GetSigningConfiguration",
	    .service = &ecr,
	    NO_INPUT,
	    .handler = ecr_get_signing_configuration,
	},
	{
	    .name = "InitiateLayerUpload",
	    .service = &ecr,
	    INPUT(repository_input),
	    .handler = ecr_initiate_layer_upload,
	},
	{
	    .name = "ListImageReferrers",
	    .service = &ecr,
	    INPUT(list_image_referrers_input),
	    .check = ecr_list_image_referrers_check,
	    .handler = ecr_list_image_referrers,
	},
	{
	    .name = "ListImages",
	    .service = &ecr,
	    INPUT(list_images_input),
	    .handler = ecr_list_images,
	},
	{
	    .name = "ListPullTimeUpdateExclusions",
	    .service = &ecr,
	    INPUT(list_pull_time_update_exclusions_input),
	    .handler = ecr_list_pull_time_update_exclusions,
	},
	{
	    .name = "ListReplicationBackfills",
	    .service = &ecr,
	    INPUT(list_replication_backfills_input),
	    .handler = ecr_list_replication_backfills,
	},
	{
	    .name = "ListTagsForResource",
	    .service = &ecr,
	    INPUT(list_tags_for_resource_input),
	    .check = ecr_list_tags_for_resource_check,
	    .handler = ecr_list_tags_for_resource,
	},
	{
	    .name = "PutAccountSetting",
	    .service = &ecr,
	    INPUT(put_account_setting_input),
	    .check = ecr_put_account_setting_check,
	    .handler = ecr_put_account_setting,
	},
	{
	    .name = "PutImage",
	    .service = &ecr,
	    INPUT(put_image_input),
	    .body_max_bytes = ECR_IMAGE_BODY_MAX_BYTES,
	    .check = ecr_put_image_check,
	    .handler = ecr_put_image,
	},
	{
	    .name = "PutImageScanningConfiguration",
	    .service = &ecr,
	    INPUT(put_image_scanning_configuration_input),
	    .handler = ecr_put_image_scanning_configuration,
	},
	{
	    .name = "PutImageTagMutability",
	    .service = &ecr,
	    INPUT(put_image_tag_mutability_input),
	    .check = ecr_put_image_tag_mutability_check,
	    .handler = ecr_put_image_tag_mutability,
	},
	{
	    .name = "PutLifecyclePolicy",
	    .service = &ecr,
	    INPUT(put_lifecycle_policy_input),
	    .check = ecr_put_lifecycle_policy_check,
	    .handler = ecr_put_lifecycle_policy,
	},
	{
	    .name = "PutRegistryPolicy",
	    .service = &ecr,
	    INPUT(put_registry_policy_input),
	    .check = ecr_put_registry_policy_check,
	    .handler = ecr_put_registry_policy,
	},
	{
	    .name = "PutRegistryScanningConfiguration",
	    .service = &ecr,
	    INPUT(put_registry_scanning_configuration_input),
	    .check = ecr_put_registry_scanning_configuration_check,
	    .handler = ecr_put_registry_scanning_configuration,
	},
	{
	    .name = "PutReplicationConfiguration",
	    .service = &ecr,
	    INPUT(put_replication_configuration_input),
	    .check = ecr_put_replication_configuration_check,
	    .handler = ecr_put_replication_configuration,
	},
	{
	    .name = "PutSigningConfiguration",
	    .service = &ecr,
	    INPUT(put_signing_configuration_input),
	    .check = ecr_put_signing_configuration_check,
	    .handler = ecr_put_signing_configuration,
	},
	{
	    .name = "RegisterPullTimeUpdateExclusion",
	    .service = &ecr,
	    INPUT(pull_time_update_exclusion_input),
	    .handler = ecr_register_pull_time_update_exclusion,
	},
	{
	    .name = "SetRepositoryPolicy",
	    .service = &ecr,
	    INPUT(set_repository_policy_input),
	    .check = ecr_set_repository_policy_check,
	    .handler = ecr_set_repository_policy,
	},
	{
	    .name = "StartImageScan",
	    .service = &ecr,
	    INPUT(start_image_scan_input),
	    .handler = ecr_start_image_scan,
	},
	{
	    .name = "StartLifecyclePolicyPreview",
	    .service = &ecr,
	    INPUT(start_lifecycle_policy_preview_input),
	    .check = ecr_start_lifecycle_policy_preview_check,
	    .handler = ecr_start_lifecycle_policy_preview,
	},
	{
	    .name = "StartReplicationBackfill",
	    .service = &ecr,
	    INPUT(start_replication_backfill_input),
	    .handler = ecr_start_replication_backfill,
	},
	{
	    .name = "StopReplicationBackfill",
	    .service = &ecr,
	    INPUT(stop_replication_backfill_input),
	    .handler = ecr_stop_replication_backfill,
	},
	{
	    .name = "TagResource",
	    .service = &ecr,
	    INPUT(tag_resource_input),
	    .check = ecr_tag_resource_check,
	    .handler = ecr_change_resource_tags,
	},
	{
	    .name = "UntagResource",
	    .service = &ecr,
	    INPUT(untag_resource_input),
	    .check = ecr_untag_resource_check,
	    .handler = ecr_change_resource_tags,
	},
	{
	    .name = "UpdateImageStorageClass",
	    .service = &ecr,
	    INPUT(update_image_storage_class_input),
	    .check = ecr_update_image_storage_class_check,
	    .handler = ecr_update_image_storage_class,
	},
	{
	    .name = "UpdatePullThroughCacheRule",
	    .service = &ecr,
	    INPUT(update_pull_through_cache_rule_input),
	    .handler = ecr_update_pull_through_cache_rule,
	},
	{
	    .name = "UpdateRepositoryCreationTemplate",
	    .service = &ecr,
	    INPUT(update_repository_creation_template_input),
	    .check = ecr_update_repository_creation_template_check,
	    .handler = ecr_update_repository_creation_template,
	},
	{
	    .name = "UploadLayerPart",
	    .service = &ecr,
	    INPUT(upload_layer_part_input),
	    .body_max_bytes = ECR_PART_BODY_MAX_BYTES,
	    .begin = ecr_upload_layer_part_begin,
	    .write = ecr_upload_layer_part_write,
	    .input_read = ecr_upload_layer_part_input,
	    .end = ecr_upload_layer_part_end,
	    .check = ecr_upload_layer_part_check,
	    .handler = ecr_upload_layer_part,
	},
	{
	    .name = "ValidatePullThroughCacheRule",
	    .service = &ecr,
	    INPUT(cache_rule_input),
	    .handler = ecr_validate_pull_through_cache_rule,
	},
	{
	    .name = "GetCallerIdentity",
	    .service = &sts,
	    NO_INPUT,
	    .handler = sts_get_caller_identity,
	},
	{
	    .name = "GetSessionToken",
	    .service = &sts,
	    INPUT(session_token_input),
	    .check = sts_get_session_token_check,
	    .handler = sts_get_session_token,
	},
};

const size_t n_aws_operations = ARRAY_LEN(aws_operations);
