#include <string.h>

#include "base/obj.h"
#include "registryctl/apply_types.h"

/* The types and their properties, as AWS's reference of resources has them. */

/* --- the properties ------------------------------------------------------ */

#define MEMBERS(m) .members = (m), .n_members = ARRAY_LEN(m)

static const char *const mutabilities[] = { "MUTABLE", "IMMUTABLE",
	"MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION", NULL };
static const char *const encryption_types[] = { "AES256", "KMS", "KMS_DSSE",
	NULL };
static const char *const applied_for[] = { "REPLICATION", "PULL_THROUGH_CACHE",
	"CREATE_ON_PUSH", NULL };
static const char *const scan_types[] = { "BASIC", "ENHANCED", NULL };
static const char *const scan_frequencies[] = { "SCAN_ON_PUSH",
	"CONTINUOUS_SCAN", "MANUAL", NULL };

static const struct property exclusion[] = {
	{ "ImageTagMutabilityExclusionFilterType", "filterType", PROPERTY_TEXT,
	    PROPERTY_REQUIRED },
	{ "ImageTagMutabilityExclusionFilterValue", "filter", PROPERTY_TEXT,
	    PROPERTY_REQUIRED },
};

static const struct property encryption[] = {
	{ "EncryptionType", "encryptionType", PROPERTY_TEXT, PROPERTY_REQUIRED,
	    .values = encryption_types },
	{ "KmsKey", "kmsKey", PROPERTY_TEXT },
};

static const struct property scanning[] = {
	{ "ScanOnPush", "scanOnPush", PROPERTY_FLAG, .preset = "false" },
};

static const struct property lifecycle[] = {
	{ "LifecyclePolicyText", "lifecyclePolicyText", PROPERTY_LIFECYCLE },
	{ "RegistryId", "registryId", PROPERTY_TEXT, PROPERTY_ACCOUNT },
};

/* Several resources name repositories so. */
static const struct property filter[] = {
	{ "Filter", "filter", PROPERTY_TEXT, PROPERTY_REQUIRED },
	{ "FilterType", "filterType", PROPERTY_TEXT, PROPERTY_REQUIRED },
};

static const struct property repository[] = {
	{ "RepositoryName", "repositoryName", PROPERTY_TEXT,
	    PROPERTY_IDENTITY },
	{ "ImageTagMutability", "imageTagMutability", PROPERTY_TEXT,
	    .preset = "\"MUTABLE\"", .values = mutabilities },
	{ "ImageTagMutabilityExclusionFilters",
	    "imageTagMutabilityExclusionFilters", PROPERTY_LIST,
	    MEMBERS(exclusion) },
	{ "ImageScanningConfiguration", "imageScanningConfiguration",
	    PROPERTY_STRUCTURE, .preset = "{\"ScanOnPush\":false}",
	    MEMBERS(scanning) },
	{ "EncryptionConfiguration", "encryptionConfiguration",
	    PROPERTY_STRUCTURE, PROPERTY_FIXED | PROPERTY_LENIENT,
	    MEMBERS(encryption) },
	{ "LifecyclePolicy", "lifecyclePolicy", PROPERTY_STRUCTURE,
	    MEMBERS(lifecycle) },
	{ "RepositoryPolicyText", "repositoryPolicyText", PROPERTY_POLICY },
	{ "Tags", "tags", PROPERTY_TAGS },
	{ "EmptyOnDelete", "emptyOnDelete", PROPERTY_FLAG, PROPERTY_OWN,
	    .preset = "false" },
};

static const struct property registry_policy[] = {
	{ "PolicyText", "policyText", PROPERTY_REGISTRY, PROPERTY_REQUIRED },
};

static const struct property destination[] = {
	{ "Region", "region", PROPERTY_TEXT, PROPERTY_REQUIRED },
	{ "RegistryId", "registryId", PROPERTY_TEXT, PROPERTY_REQUIRED },
};

static const struct property replication_rule[] = {
	{ "Destinations", "destinations", PROPERTY_LIST,
	    PROPERTY_REQUIRED | PROPERTY_EMPTY, MEMBERS(destination) },
	{ "RepositoryFilters", "repositoryFilters", PROPERTY_LIST,
	    MEMBERS(filter) },
};

static const struct property replication_rules[] = {
	{ "Rules", "rules", PROPERTY_LIST, .preset = "[]",
	    MEMBERS(replication_rule) },
};

static const struct property replication[] = {
	{ "ReplicationConfiguration", "replicationConfiguration",
	    PROPERTY_STRUCTURE, PROPERTY_REQUIRED, .preset = "{\"Rules\":[]}",
	    MEMBERS(replication_rules) },
};

static const struct property cache_rule[] = {
	{ "EcrRepositoryPrefix", "ecrRepositoryPrefix", PROPERTY_TEXT,
	    PROPERTY_IDENTITY | PROPERTY_REQUIRED },
	{ "UpstreamRegistryUrl", "upstreamRegistryUrl", PROPERTY_TEXT,
	    PROPERTY_FIXED },
	{ "UpstreamRegistry", "upstreamRegistry", PROPERTY_TEXT,
	    PROPERTY_FIXED | PROPERTY_LENIENT },
	{ "UpstreamRepositoryPrefix", "upstreamRepositoryPrefix", PROPERTY_TEXT,
	    PROPERTY_FIXED, .preset = "\"ROOT\"" },
	{ "CredentialArn", "credentialArn", PROPERTY_TEXT, PROPERTY_STICKY },
	{ "CustomRoleArn", "customRoleArn", PROPERTY_TEXT },
};

static const struct property creation_template[] = {
	{ "Prefix", "prefix", PROPERTY_TEXT,
	    PROPERTY_IDENTITY | PROPERTY_REQUIRED },
	{ "AppliedFor", "appliedFor", PROPERTY_SET, PROPERTY_REQUIRED,
	    .values = applied_for },
	{ "Description", "description", PROPERTY_TEXT },
	{ "ImageTagMutability", "imageTagMutability", PROPERTY_TEXT,
	    .preset = "\"MUTABLE\"", .values = mutabilities },
	{ "ImageTagMutabilityExclusionFilters",
	    "imageTagMutabilityExclusionFilters", PROPERTY_LIST,
	    MEMBERS(exclusion) },
	{ "EncryptionConfiguration", "encryptionConfiguration",
	    PROPERTY_STRUCTURE, PROPERTY_LENIENT, MEMBERS(encryption) },
	{ "LifecyclePolicy", "lifecyclePolicy", PROPERTY_LIFECYCLE },
	{ "RepositoryPolicy", "repositoryPolicy", PROPERTY_POLICY },
	{ "ResourceTags", "resourceTags", PROPERTY_TAGS },
	{ "CustomRoleArn", "customRoleArn", PROPERTY_TEXT },
};

static const struct property scanning_rule[] = {
	{ "RepositoryFilters", "repositoryFilters", PROPERTY_LIST,
	    PROPERTY_REQUIRED | PROPERTY_EMPTY, MEMBERS(filter) },
	{ "ScanFrequency", "scanFrequency", PROPERTY_TEXT, PROPERTY_REQUIRED,
	    .values = scan_frequencies },
};

static const struct property registry_scanning[] = {
	{ "ScanType", "scanType", PROPERTY_TEXT, PROPERTY_REQUIRED,
	    .values = scan_types },
	{ "Rules", "rules", PROPERTY_LIST, PROPERTY_REQUIRED, .preset = "[]",
	    MEMBERS(scanning_rule) },
};

static const struct property pull_exclusion[] = {
	{ "PrincipalArn", "principalArn", PROPERTY_TEXT,
	    PROPERTY_IDENTITY | PROPERTY_REQUIRED },
};

static const struct property signing_rule[] = {
	{ "SigningProfileArn", "signingProfileArn", PROPERTY_TEXT,
	    PROPERTY_REQUIRED },
	{ "RepositoryFilters", "repositoryFilters", PROPERTY_LIST,
	    MEMBERS(filter) },
};

static const struct property signing[] = {
	{ "Rules", "rules", PROPERTY_LIST, PROPERTY_REQUIRED, .preset = "[]",
	    MEMBERS(signing_rule) },
};

#define PROPERTIES(p) .properties = (p), .n_properties = ARRAY_LEN(p)

const struct resource_type resource_types[RESOURCE_KINDS] = {
	[RESOURCE_REPOSITORY] = { "AWS::ECR::Repository", "Repository",
	    "repository", PROPERTIES(repository) },
	[RESOURCE_REGISTRY_POLICY] = { "AWS::ECR::RegistryPolicy",
	    "RegistryPolicy", "registry policy", PROPERTIES(registry_policy) },
	[RESOURCE_REPLICATION] = { "AWS::ECR::ReplicationConfiguration",
	    "Replication", "replication configuration",
	    PROPERTIES(replication) },
	[RESOURCE_CACHE_RULE] = { "AWS::ECR::PullThroughCacheRule", "CacheRule",
	    "pull through cache rule", PROPERTIES(cache_rule) },
	[RESOURCE_CREATION_TEMPLATE] = { "AWS::ECR::RepositoryCreationTemplate",
	    "CreationTemplate", "repository creation template",
	    PROPERTIES(creation_template) },
	[RESOURCE_SCANNING] = { "AWS::ECR::RegistryScanningConfiguration",
	    "Scanning", "scanning configuration",
	    PROPERTIES(registry_scanning) },
	[RESOURCE_PULL_EXCLUSION] = { "AWS::ECR::PullTimeUpdateExclusion",
	    "PullExclusion", "pull time update exclusion",
	    PROPERTIES(pull_exclusion) },
	[RESOURCE_SIGNING] = { "AWS::ECR::SigningConfiguration", "Signing",
	    "signing configuration", PROPERTIES(signing) },
};

bool
resource_type_find(const char *name, enum resource_kind *kind_r)
{
	size_t i;

	for (i = 0; i < RESOURCE_KINDS; i++)
		if (strcmp(resource_types[i].name, name) == 0) {
			*kind_r = (enum resource_kind)i;
			return (true);
		}
	return (false);
}

static const struct property *
find_in(const struct property *p, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(p[i].name, name) == 0)
			return (&p[i]);
	return (NULL);
}

const struct property *
property_find(enum resource_kind kind, const char *name)
{
	const struct resource_type *t = &resource_types[kind];

	return (find_in(t->properties, t->n_properties, name));
}
