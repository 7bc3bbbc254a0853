#include "base/name.h"
#include "base/obj.h"
#include "registryd/api/ecr_shapes.h"

/*
 * The shapes of the service's model that its inputs are made of, under the
 * model's names and with its constraints; a test holds them against the model
 * that clients carry.  What an operation has an exception of its own for (the
 * lengths of resource tags) is left to its handler.
 *
 * Patterns are written twice: as the model has them, for messages, and as
 * regular expressions of POSIX.
 */

/* A push may have made a repository of a single letter: it can be named here
 * too. */
#define REPOSITORY_EXPRESSION \
	"[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)" \
	"[a-z0-9]+)*)*"

const struct aws_shape ecr_new_repository_name = {
	.type = AWS_STRING,
	.min = 2,
	.max = NAME_REPOSITORY_MAX_BYTES,
	.expression = REPOSITORY_EXPRESSION,
	.matches = name_repository_ok,
};

static bool
registry_id_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return (false);
	return (s.n == 12);
}

const struct aws_shape ecr_registry_id = {
	.type = AWS_STRING,
	.expression = "[0-9]{12}",
	.matches = registry_id_ok,
};

const struct aws_shape ecr_repository_name = {
	.type = AWS_STRING,
	.min = 1,
	.max = NAME_REPOSITORY_MAX_BYTES,
	.expression = REPOSITORY_EXPRESSION,
	.matches = name_repository_ok,
};

const struct aws_shape ecr_batched_operation_layer_digest = {
	.type = AWS_STRING,
	.max = 1000,
};

const struct aws_shape ecr_batched_operation_layer_digest_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_batched_operation_layer_digest,
};

const struct aws_shape ecr_image_digest = {
	.type = AWS_STRING,
};

const struct aws_shape ecr_image_tag = {
	.type = AWS_STRING,
	.min = 1,
	.max = 300,
};

static const struct aws_member image_identifier_members[] = {
	{ "imageDigest", &ecr_image_digest, false },
	{ "imageTag", &ecr_image_tag, false },
};

const struct aws_shape ecr_image_identifier = {
	.type = AWS_STRUCTURE,
	.members = image_identifier_members,
	.n_members = ARRAY_LEN(image_identifier_members),
};

const struct aws_shape ecr_image_identifier_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_image_identifier,
};

const struct aws_shape ecr_media_type = {
	.type = AWS_STRING,
};

const struct aws_shape ecr_media_type_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_media_type,
};

const struct aws_shape ecr_scanning_configuration_repository_name_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 25,
	.element = &ecr_repository_name,
};

const struct aws_shape ecr_upload_id = {
	.type = AWS_STRING,
	.expression = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]"
		      "{4}-[0-9a-fA-F]{12}",
	.pattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{"
		   "4}-[0-9a-fA-F]{12}$",
};

const struct aws_shape ecr_layer_digest = {
	.type = AWS_STRING,
	.expression = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+",
	.pattern = "^[a-zA-Z0-9_+.-]+:[a-fA-F0-9]+$",
};

const struct aws_shape ecr_layer_digest_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_layer_digest,
};

const struct aws_shape ecr_pull_through_cache_rule_repository_prefix = {
	.type = AWS_STRING,
	.min = 2,
	.max = 30,
	.expression = "^([a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/"
		      "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*\\/?|ROOT)$",
	.pattern = "^([a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/"
		   "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*/?|ROOT)$",
};

const struct aws_shape ecr_url = {
	.type = AWS_STRING,
};

static const char *const upstream_registry_values[] = {
	"ecr",
	"ecr-public",
	"quay",
	"k8s",
	"docker-hub",
	"github-container-registry",
	"azure-container-registry",
	"gitlab-container-registry",
	"chainguard",
	NULL,
};

const struct aws_shape ecr_upstream_registry = {
	.type = AWS_STRING,
	.values = upstream_registry_values,
};

const struct aws_shape ecr_credential_arn = {
	.type = AWS_STRING,
	.min = 50,
	.max = 612,
	.expression = "^arn:aws(-\\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:"
		      "ecr\\-pullthroughcache\\/[a-zA-Z0-9\\/_+=.@-]+$",
	.pattern = "^arn:aws(-[A-Za-z0-9_]+)*:secretsmanager:[a-zA-Z0-9:-]+:"
		   "secret:ecr-pullthroughcache/[a-zA-Z0-9/_+=.@-]+$",
};

const struct aws_shape ecr_custom_role_arn = {
	.type = AWS_STRING,
	.max = 2048,
};

const struct aws_shape ecr_tag_key = {
	.type = AWS_STRING,
};

const struct aws_shape ecr_tag_value = {
	.type = AWS_STRING,
};

static const struct aws_member tag_members[] = {
	{ "Key", &ecr_tag_key, true },
	{ "Value", &ecr_tag_value, true },
};

const struct aws_shape ecr_tag = {
	.type = AWS_STRUCTURE,
	.members = tag_members,
	.n_members = ARRAY_LEN(tag_members),
};

const struct aws_shape ecr_tag_list = {
	.type = AWS_LIST,
	.element = &ecr_tag,
};

static const char *const image_tag_mutability_values[] = {
	"IMMUTABLE",
	"MUTABLE",
	"MUTABLE_WITH_EXCLUSION",
	"IMMUTABLE_WITH_EXCLUSION",
	NULL,
};

const struct aws_shape ecr_image_tag_mutability = {
	.type = AWS_STRING,
	.values = image_tag_mutability_values,
};

static const char *const image_tag_mutability_exclusion_filter_type_values[] = {
	"WILDCARD",
	NULL,
};

const struct aws_shape ecr_image_tag_mutability_exclusion_filter_type = {
	.type = AWS_STRING,
	.values = image_tag_mutability_exclusion_filter_type_values,
};

const struct aws_shape ecr_image_tag_mutability_exclusion_filter_value = {
	.type = AWS_STRING,
	.min = 1,
	.max = 128,
	.expression = "^[0-9a-zA-Z._*-]{1,128}$",
	.pattern = "^[0-9a-zA-Z._*-]+$",
};

static const struct aws_member
    image_tag_mutability_exclusion_filter_members[] = {
	    { "filterType", &ecr_image_tag_mutability_exclusion_filter_type,
		true },
	    { "filter", &ecr_image_tag_mutability_exclusion_filter_value,
		true },
    };

const struct aws_shape ecr_image_tag_mutability_exclusion_filter = {
	.type = AWS_STRUCTURE,
	.members = image_tag_mutability_exclusion_filter_members,
	.n_members = ARRAY_LEN(image_tag_mutability_exclusion_filter_members),
};

const struct aws_shape ecr_image_tag_mutability_exclusion_filters = {
	.type = AWS_LIST,
	.min = 1,
	.max = 5,
	.element = &ecr_image_tag_mutability_exclusion_filter,
};

const struct aws_shape ecr_scan_on_push_flag = {
	.type = AWS_BOOLEAN,
};

static const struct aws_member image_scanning_configuration_members[] = {
	{ "scanOnPush", &ecr_scan_on_push_flag, false },
};

const struct aws_shape ecr_image_scanning_configuration = {
	.type = AWS_STRUCTURE,
	.members = image_scanning_configuration_members,
	.n_members = ARRAY_LEN(image_scanning_configuration_members),
};

static const char *const encryption_type_values[] = {
	"AES256",
	"KMS",
	"KMS_DSSE",
	NULL,
};

const struct aws_shape ecr_encryption_type = {
	.type = AWS_STRING,
	.values = encryption_type_values,
};

const struct aws_shape ecr_kms_key = {
	.type = AWS_STRING,
	.min = 1,
	.max = 2048,
};

static const struct aws_member encryption_configuration_members[] = {
	{ "encryptionType", &ecr_encryption_type, true },
	{ "kmsKey", &ecr_kms_key, false },
};

const struct aws_shape ecr_encryption_configuration = {
	.type = AWS_STRUCTURE,
	.members = encryption_configuration_members,
	.n_members = ARRAY_LEN(encryption_configuration_members),
};

const struct aws_shape ecr_prefix = {
	.type = AWS_STRING,
	.min = 1,
	.max = 256,
	.expression = "^([a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/"
		      "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*\\/?|ROOT)$",
	.pattern = "^([a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/"
		   "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*/?|ROOT)$",
};

const struct aws_shape ecr_repository_template_description = {
	.type = AWS_STRING,
	.max = 256,
};

const struct aws_shape ecr_kms_key_for_repository_creation_template = {
	.type = AWS_STRING,
	.max = 2048,
	.expression =
	    "^$|arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\\/[a-z0-9-]+",
	.pattern =
	    "^(arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+)?$",
};

static const struct aws_member
    encryption_configuration_for_repository_creation_template_members[] = {
	    { "encryptionType", &ecr_encryption_type, true },
	    { "kmsKey", &ecr_kms_key_for_repository_creation_template, false },
    };

const struct aws_shape
    ecr_encryption_configuration_for_repository_creation_template = {
	    .type = AWS_STRUCTURE,
	    .members =
		encryption_configuration_for_repository_creation_template_members,
	    .n_members = ARRAY_LEN(
		encryption_configuration_for_repository_creation_template_members),
    };

const struct aws_shape ecr_repository_policy_text = {
	.type = AWS_STRING,
	.max = 10240,
};

const struct aws_shape
    ecr_lifecycle_policy_text_for_repository_creation_template = {
	    .type = AWS_STRING,
	    .max = 30720,
    };

static const char *const rct_applied_for_values[] = {
	"REPLICATION",
	"PULL_THROUGH_CACHE",
	"CREATE_ON_PUSH",
	NULL,
};

const struct aws_shape ecr_rct_applied_for = {
	.type = AWS_STRING,
	.values = rct_applied_for_values,
};

const struct aws_shape ecr_rct_applied_for_list = {
	.type = AWS_LIST,
	.element = &ecr_rct_applied_for,
};

const struct aws_shape ecr_force_flag = {
	.type = AWS_BOOLEAN,
};

const struct aws_shape ecr_principal_arn = {
	.type = AWS_STRING,
	.max = 200,
	.expression = "^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/"
		      "[\\w+=,.@-]+(/[\\w+=,.@-]+)*$",
	.pattern = "^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/"
		   "[A-Za-z0-9_+=,.@-]+(/[A-Za-z0-9_+=,.@-]+)*$",
};

const struct aws_shape ecr_next_token = {
	.type = AWS_STRING,
};

const struct aws_shape ecr_max_results = {
	.type = AWS_INTEGER,
	.min = 1,
	.max = 1000,
};

static const char *const tag_status_values[] = {
	"TAGGED",
	"UNTAGGED",
	"ANY",
	NULL,
};

const struct aws_shape ecr_tag_status = {
	.type = AWS_STRING,
	.values = tag_status_values,
};

static const char *const image_status_filter_values[] = {
	"ACTIVE",
	"ARCHIVED",
	"ACTIVATING",
	"ANY",
	NULL,
};

const struct aws_shape ecr_image_status_filter = {
	.type = AWS_STRING,
	.values = image_status_filter_values,
};

static const struct aws_member describe_images_filter_members[] = {
	{ "tagStatus", &ecr_tag_status, false },
	{ "imageStatus", &ecr_image_status_filter, false },
};

const struct aws_shape ecr_describe_images_filter = {
	.type = AWS_STRUCTURE,
	.members = describe_images_filter_members,
	.n_members = ARRAY_LEN(describe_images_filter_members),
};

const struct aws_shape ecr_pull_through_cache_rule_repository_prefix_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_pull_through_cache_rule_repository_prefix,
};

const struct aws_shape ecr_replication_backfill_id = {
	.type = AWS_STRING,
	.min = 1,
	.max = 64,
};

static const char *const backfill_status_filter_values[] = {
	"COMPLETE",
	"FAILED",
	NULL,
};

const struct aws_shape ecr_backfill_status_filter = {
	.type = AWS_STRING,
	.values = backfill_status_filter_values,
};

const struct aws_shape ecr_repository_name_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_repository_name,
};

const struct aws_shape ecr_prefix_list = {
	.type = AWS_LIST,
	.element = &ecr_prefix,
};

const struct aws_shape ecr_account_setting_name = {
	.type = AWS_STRING,
	.min = 1,
	.max = 64,
};

const struct aws_shape ecr_get_authorization_token_registry_id_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 10,
	.element = &ecr_registry_id,
};

const struct aws_shape ecr_lifecycle_preview_max_results = {
	.type = AWS_INTEGER,
	.min = 1,
	.max = 100,
};

static const struct aws_member lifecycle_policy_preview_filter_members[] = {
	{ "tagStatus", &ecr_tag_status, false },
};

const struct aws_shape ecr_lifecycle_policy_preview_filter = {
	.type = AWS_STRUCTURE,
	.members = lifecycle_policy_preview_filter_members,
	.n_members = ARRAY_LEN(lifecycle_policy_preview_filter_members),
};

static const struct aws_member subject_identifier_members[] = {
	{ "imageDigest", &ecr_image_digest, true },
};

const struct aws_shape ecr_subject_identifier = {
	.type = AWS_STRUCTURE,
	.members = subject_identifier_members,
	.n_members = ARRAY_LEN(subject_identifier_members),
};

const struct aws_shape ecr_artifact_type = {
	.type = AWS_STRING,
	.min = 1,
	.max = 255,
};

const struct aws_shape ecr_artifact_type_list = {
	.type = AWS_LIST,
	.max = 5,
	.element = &ecr_artifact_type,
};

static const char *const artifact_status_filter_values[] = {
	"ACTIVE",
	"ARCHIVED",
	"ACTIVATING",
	"ANY",
	NULL,
};

const struct aws_shape ecr_artifact_status_filter = {
	.type = AWS_STRING,
	.values = artifact_status_filter_values,
};

static const struct aws_member list_image_referrers_filter_members[] = {
	{ "artifactTypes", &ecr_artifact_type_list, false },
	{ "artifactStatus", &ecr_artifact_status_filter, false },
};

const struct aws_shape ecr_list_image_referrers_filter = {
	.type = AWS_STRUCTURE,
	.members = list_image_referrers_filter_members,
	.n_members = ARRAY_LEN(list_image_referrers_filter_members),
};

const struct aws_shape ecr_fifty_max_results = {
	.type = AWS_INTEGER,
	.min = 1,
	.max = 50,
};

static const struct aws_member list_images_filter_members[] = {
	{ "tagStatus", &ecr_tag_status, false },
	{ "imageStatus", &ecr_image_status_filter, false },
};

const struct aws_shape ecr_list_images_filter = {
	.type = AWS_STRUCTURE,
	.members = list_images_filter_members,
	.n_members = ARRAY_LEN(list_images_filter_members),
};

const struct aws_shape ecr_arn = {
	.type = AWS_STRING,
};

const struct aws_shape ecr_account_setting_value = {
	.type = AWS_STRING,
};

const struct aws_shape ecr_image_manifest = {
	.type = AWS_STRING,
	.min = 1,
	.max = 4194304,
};

const struct aws_shape ecr_lifecycle_policy_text = {
	.type = AWS_STRING,
	.min = 100,
	.max = 30720,
};

const struct aws_shape ecr_registry_policy_text = {
	.type = AWS_STRING,
	.max = 10240,
};

static const char *const scan_type_values[] = {
	"BASIC",
	"ENHANCED",
	NULL,
};

const struct aws_shape ecr_scan_type = {
	.type = AWS_STRING,
	.values = scan_type_values,
};

static const char *const scan_frequency_values[] = {
	"SCAN_ON_PUSH",
	"CONTINUOUS_SCAN",
	"MANUAL",
	NULL,
};

const struct aws_shape ecr_scan_frequency = {
	.type = AWS_STRING,
	.values = scan_frequency_values,
};

const struct aws_shape ecr_scanning_repository_filter_value = {
	.type = AWS_STRING,
	.min = 1,
	.max = 255,
	.expression = "^[a-z0-9*](?:[._\\-/a-z0-9*]?[a-z0-9*]+)*$",
	.pattern = "^[a-z0-9*]([._/a-z0-9*-]?[a-z0-9*]+)*$",
};

static const char *const scanning_repository_filter_type_values[] = {
	"WILDCARD",
	NULL,
};

const struct aws_shape ecr_scanning_repository_filter_type = {
	.type = AWS_STRING,
	.values = scanning_repository_filter_type_values,
};

static const struct aws_member scanning_repository_filter_members[] = {
	{ "filter", &ecr_scanning_repository_filter_value, true },
	{ "filterType", &ecr_scanning_repository_filter_type, true },
};

const struct aws_shape ecr_scanning_repository_filter = {
	.type = AWS_STRUCTURE,
	.members = scanning_repository_filter_members,
	.n_members = ARRAY_LEN(scanning_repository_filter_members),
};

const struct aws_shape ecr_scanning_repository_filter_list = {
	.type = AWS_LIST,
	.max = 100,
	.element = &ecr_scanning_repository_filter,
};

static const struct aws_member registry_scanning_rule_members[] = {
	{ "scanFrequency", &ecr_scan_frequency, true },
	{ "repositoryFilters", &ecr_scanning_repository_filter_list, true },
};

const struct aws_shape ecr_registry_scanning_rule = {
	.type = AWS_STRUCTURE,
	.members = registry_scanning_rule_members,
	.n_members = ARRAY_LEN(registry_scanning_rule_members),
};

const struct aws_shape ecr_registry_scanning_rule_list = {
	.type = AWS_LIST,
	.max = 2,
	.element = &ecr_registry_scanning_rule,
};

const struct aws_shape ecr_region_name = {
	.type = AWS_STRING,
	.min = 2,
	.max = 25,
	.expression = "[0-9a-z-]{2,25}",
	.pattern = "^[0-9a-z-]+$",
};

static const struct aws_member replication_destination_members[] = {
	{ "region", &ecr_region_name, true },
	{ "registryId", &ecr_registry_id, true },
};

const struct aws_shape ecr_replication_destination = {
	.type = AWS_STRUCTURE,
	.members = replication_destination_members,
	.n_members = ARRAY_LEN(replication_destination_members),
};

const struct aws_shape ecr_replication_destination_list = {
	.type = AWS_LIST,
	.max = 100,
	.element = &ecr_replication_destination,
};

const struct aws_shape ecr_repository_filter_value = {
	.type = AWS_STRING,
	.min = 2,
	.max = 256,
	.expression =
	    "^(?:[a-z0-9]+(?:[._-][a-z0-9]*)*/)*[a-z0-9]*(?:[._-][a-z0-9]*)*$",
	.pattern = "^([a-z0-9]+([._-][a-z0-9]*)*/)*[a-z0-9]*([._-][a-z0-9]*)*$",
};

static const char *const repository_filter_type_values[] = {
	"PREFIX_MATCH",
	NULL,
};

const struct aws_shape ecr_repository_filter_type = {
	.type = AWS_STRING,
	.values = repository_filter_type_values,
};

static const struct aws_member repository_filter_members[] = {
	{ "filter", &ecr_repository_filter_value, true },
	{ "filterType", &ecr_repository_filter_type, true },
};

const struct aws_shape ecr_repository_filter = {
	.type = AWS_STRUCTURE,
	.members = repository_filter_members,
	.n_members = ARRAY_LEN(repository_filter_members),
};

const struct aws_shape ecr_repository_filter_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_repository_filter,
};

static const struct aws_member replication_rule_members[] = {
	{ "destinations", &ecr_replication_destination_list, true },
	{ "repositoryFilters", &ecr_repository_filter_list, false },
};

const struct aws_shape ecr_replication_rule = {
	.type = AWS_STRUCTURE,
	.members = replication_rule_members,
	.n_members = ARRAY_LEN(replication_rule_members),
};

const struct aws_shape ecr_replication_rule_list = {
	.type = AWS_LIST,
	.max = 10,
	.element = &ecr_replication_rule,
};

static const struct aws_member replication_configuration_members[] = {
	{ "rules", &ecr_replication_rule_list, true },
};

const struct aws_shape ecr_replication_configuration = {
	.type = AWS_STRUCTURE,
	.members = replication_configuration_members,
	.n_members = ARRAY_LEN(replication_configuration_members),
};

const struct aws_shape ecr_signing_profile_arn = {
	.type = AWS_STRING,
	.max = 200,
	.expression = "^arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:\\/"
		      "signing-profiles\\/[a-zA-Z0-9_]{2,}$",
	.pattern = "^arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:/"
		   "signing-profiles/[a-zA-Z0-9_]{2,}$",
};

const struct aws_shape ecr_signing_repository_filter_value = {
	.type = AWS_STRING,
	.min = 1,
	.max = 256,
	.expression = "^(?:[a-z0-9*]+(?:[._-][a-z0-9*]+)*/"
		      ")*[a-z0-9*]+(?:[._-][a-z0-9*]+)*$",
	.pattern =
	    "^([a-z0-9*]+([._-][a-z0-9*]+)*/)*[a-z0-9*]+([._-][a-z0-9*]+)*$",
};

static const char *const signing_repository_filter_type_values[] = {
	"WILDCARD_MATCH",
	NULL,
};

const struct aws_shape ecr_signing_repository_filter_type = {
	.type = AWS_STRING,
	.values = signing_repository_filter_type_values,
};

static const struct aws_member signing_repository_filter_members[] = {
	{ "filter", &ecr_signing_repository_filter_value, true },
	{ "filterType", &ecr_signing_repository_filter_type, true },
};

const struct aws_shape ecr_signing_repository_filter = {
	.type = AWS_STRUCTURE,
	.members = signing_repository_filter_members,
	.n_members = ARRAY_LEN(signing_repository_filter_members),
};

const struct aws_shape ecr_signing_repository_filter_list = {
	.type = AWS_LIST,
	.min = 1,
	.max = 100,
	.element = &ecr_signing_repository_filter,
};

static const struct aws_member signing_rule_members[] = {
	{ "signingProfileArn", &ecr_signing_profile_arn, true },
	{ "repositoryFilters", &ecr_signing_repository_filter_list, false },
};

const struct aws_shape ecr_signing_rule = {
	.type = AWS_STRUCTURE,
	.members = signing_rule_members,
	.n_members = ARRAY_LEN(signing_rule_members),
};

const struct aws_shape ecr_signing_rule_list = {
	.type = AWS_LIST,
	.max = 10,
	.element = &ecr_signing_rule,
};

static const struct aws_member signing_configuration_members[] = {
	{ "rules", &ecr_signing_rule_list, true },
};

const struct aws_shape ecr_signing_configuration = {
	.type = AWS_STRUCTURE,
	.members = signing_configuration_members,
	.n_members = ARRAY_LEN(signing_configuration_members),
};

const struct aws_shape ecr_tag_key_list = {
	.type = AWS_LIST,
	.element = &ecr_tag_key,
};

static const char *const target_storage_class_values[] = {
	"STANDARD",
	"ARCHIVE",
	NULL,
};

const struct aws_shape ecr_target_storage_class = {
	.type = AWS_STRING,
	.values = target_storage_class_values,
};

const struct aws_shape ecr_part_size = {
	.type = AWS_INTEGER,
};

const struct aws_shape ecr_layer_part_blob = {
	.type = AWS_BLOB,
	.max = 20971520,
};
