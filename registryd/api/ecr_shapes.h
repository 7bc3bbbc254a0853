#ifndef API_ECR_SHAPES_H
#define API_ECR_SHAPES_H

#include "registryd/api/aws_int.h"

/*
 * What the inputs of Amazon ECR are made of (API version 2015-09-21): see
 * ecr_shapes.c.
 */
extern const struct aws_shape ecr_new_repository_name;
extern const struct aws_shape ecr_account_setting_name;
extern const struct aws_shape ecr_account_setting_value;
extern const struct aws_shape ecr_arn;
extern const struct aws_shape ecr_artifact_status_filter;
extern const struct aws_shape ecr_artifact_type;
extern const struct aws_shape ecr_artifact_type_list;
extern const struct aws_shape ecr_backfill_status_filter;
extern const struct aws_shape ecr_batched_operation_layer_digest;
extern const struct aws_shape ecr_batched_operation_layer_digest_list;
extern const struct aws_shape ecr_credential_arn;
extern const struct aws_shape ecr_custom_role_arn;
extern const struct aws_shape ecr_describe_images_filter;
extern const struct aws_shape ecr_encryption_configuration;
extern const struct aws_shape
    ecr_encryption_configuration_for_repository_creation_template;
extern const struct aws_shape ecr_encryption_type;
extern const struct aws_shape ecr_fifty_max_results;
extern const struct aws_shape ecr_force_flag;
extern const struct aws_shape ecr_get_authorization_token_registry_id_list;
extern const struct aws_shape ecr_image_digest;
extern const struct aws_shape ecr_image_identifier;
extern const struct aws_shape ecr_image_identifier_list;
extern const struct aws_shape ecr_image_manifest;
extern const struct aws_shape ecr_image_scanning_configuration;
extern const struct aws_shape ecr_image_status_filter;
extern const struct aws_shape ecr_image_tag;
extern const struct aws_shape ecr_image_tag_mutability;
extern const struct aws_shape ecr_image_tag_mutability_exclusion_filter;
extern const struct aws_shape ecr_image_tag_mutability_exclusion_filter_type;
extern const struct aws_shape ecr_image_tag_mutability_exclusion_filter_value;
extern const struct aws_shape ecr_image_tag_mutability_exclusion_filters;
extern const struct aws_shape ecr_kms_key;
extern const struct aws_shape ecr_kms_key_for_repository_creation_template;
extern const struct aws_shape ecr_layer_digest;
extern const struct aws_shape ecr_layer_digest_list;
extern const struct aws_shape ecr_layer_part_blob;
extern const struct aws_shape ecr_lifecycle_policy_preview_filter;
extern const struct aws_shape ecr_lifecycle_policy_text;
extern const struct aws_shape
    ecr_lifecycle_policy_text_for_repository_creation_template;
extern const struct aws_shape ecr_lifecycle_preview_max_results;
extern const struct aws_shape ecr_list_image_referrers_filter;
extern const struct aws_shape ecr_list_images_filter;
extern const struct aws_shape ecr_max_results;
extern const struct aws_shape ecr_media_type;
extern const struct aws_shape ecr_media_type_list;
extern const struct aws_shape ecr_next_token;
extern const struct aws_shape ecr_part_size;
extern const struct aws_shape ecr_prefix;
extern const struct aws_shape ecr_prefix_list;
extern const struct aws_shape ecr_principal_arn;
extern const struct aws_shape ecr_pull_through_cache_rule_repository_prefix;
extern const struct aws_shape
    ecr_pull_through_cache_rule_repository_prefix_list;
extern const struct aws_shape ecr_rct_applied_for;
extern const struct aws_shape ecr_rct_applied_for_list;
extern const struct aws_shape ecr_region_name;
extern const struct aws_shape ecr_registry_id;
extern const struct aws_shape ecr_registry_policy_text;
extern const struct aws_shape ecr_registry_scanning_rule;
extern const struct aws_shape ecr_registry_scanning_rule_list;
extern const struct aws_shape ecr_replication_backfill_id;
extern const struct aws_shape ecr_replication_configuration;
extern const struct aws_shape ecr_replication_destination;
extern const struct aws_shape ecr_replication_destination_list;
extern const struct aws_shape ecr_replication_rule;
extern const struct aws_shape ecr_replication_rule_list;
extern const struct aws_shape ecr_repository_filter;
extern const struct aws_shape ecr_repository_filter_list;
extern const struct aws_shape ecr_repository_filter_type;
extern const struct aws_shape ecr_repository_filter_value;
extern const struct aws_shape ecr_repository_name;
extern const struct aws_shape ecr_repository_name_list;
extern const struct aws_shape ecr_repository_policy_text;
extern const struct aws_shape ecr_repository_template_description;
extern const struct aws_shape ecr_scan_frequency;
extern const struct aws_shape ecr_scan_on_push_flag;
extern const struct aws_shape ecr_scan_type;
extern const struct aws_shape ecr_scanning_configuration_repository_name_list;
extern const struct aws_shape ecr_scanning_repository_filter;
extern const struct aws_shape ecr_scanning_repository_filter_list;
extern const struct aws_shape ecr_scanning_repository_filter_type;
extern const struct aws_shape ecr_scanning_repository_filter_value;
extern const struct aws_shape ecr_signing_configuration;
extern const struct aws_shape ecr_signing_profile_arn;
extern const struct aws_shape ecr_signing_repository_filter;
extern const struct aws_shape ecr_signing_repository_filter_list;
extern const struct aws_shape ecr_signing_repository_filter_type;
extern const struct aws_shape ecr_signing_repository_filter_value;
extern const struct aws_shape ecr_signing_rule;
extern const struct aws_shape ecr_signing_rule_list;
extern const struct aws_shape ecr_subject_identifier;
extern const struct aws_shape ecr_tag;
extern const struct aws_shape ecr_tag_key;
extern const struct aws_shape ecr_tag_key_list;
extern const struct aws_shape ecr_tag_list;
extern const struct aws_shape ecr_tag_status;
extern const struct aws_shape ecr_tag_value;
extern const struct aws_shape ecr_target_storage_class;
extern const struct aws_shape ecr_upload_id;
extern const struct aws_shape ecr_upstream_registry;
extern const struct aws_shape ecr_url;

#endif
