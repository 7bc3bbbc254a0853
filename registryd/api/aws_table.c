#include "base/obj.h"
#include "registryd/api/ecr_int.h"

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

static const struct aws_member authorization_input[] = {
	{ "registryIds", &ecr_registry_ids, false },
};

static const struct aws_member create_repository_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_new_repository_name, true },
	{ "tags", &ecr_tags, false },
	{ "imageTagMutability", &ecr_tag_mutability, false },
	{ "imageTagMutabilityExclusionFilters", &ecr_tag_exclusions, false },
	{ "imageScanningConfiguration", &ecr_scanning_configuration, false },
	{ "encryptionConfiguration", &ecr_encryption_configuration, false },
};

static const struct aws_member describe_repositories_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryNames", &ecr_repository_names, false },
	{ "nextToken", &ecr_next_token, false },
	{ "maxResults", &ecr_max_results, false },
};

static const struct aws_member delete_repository_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "force", &ecr_boolean, false },
};

static const struct aws_member repository_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
};

static const struct aws_member set_repository_policy_input[] = {
	{ "registryId", &ecr_registry_id, false },
	{ "repositoryName", &ecr_repository_name, true },
	{ "policyText", &ecr_policy_text, true },
	{ "force", &ecr_boolean, false },
};

static const struct aws_member put_registry_policy_input[] = {
	{ "policyText", &ecr_policy_text, true },
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
	    .name = "CreateRepository",
	    .service = &ecr,
	    INPUT(create_repository_input),
	    .check = ecr_create_repository_check,
	    .handler = ecr_create_repository,
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
	    .name = "DeleteRepositoryPolicy",
	    .service = &ecr,
	    INPUT(repository_input),
	    .handler = ecr_delete_repository_policy,
	},
	{
	    .name = "DescribeRepositories",
	    .service = &ecr,
	    INPUT(describe_repositories_input),
	    .check = ecr_describe_repositories_check,
	    .handler = ecr_describe_repositories,
	},
	{
	    .name = "GetAuthorizationToken",
	    .service = &ecr,
	    INPUT(authorization_input),
	    .handler = ecr_get_authorization_token,
	},
	{
	    .name = "GetRegistryPolicy",
	    .service = &ecr,
	    NO_INPUT,
	    .handler = ecr_get_registry_policy,
	},
	{
	    .name = "GetRepositoryPolicy",
	    .service = &ecr,
	    INPUT(repository_input),
	    .handler = ecr_get_repository_policy,
	},
	{
	    .name = "PutRegistryPolicy",
	    .service = &ecr,
	    INPUT(put_registry_policy_input),
	    .check = ecr_put_registry_policy_check,
	    .handler = ecr_put_registry_policy,
	},
	{
	    .name = "SetRepositoryPolicy",
	    .service = &ecr,
	    INPUT(set_repository_policy_input),
	    .check = ecr_set_repository_policy_check,
	    .handler = ecr_set_repository_policy,
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
