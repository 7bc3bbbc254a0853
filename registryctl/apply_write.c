#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "registryctl/apply_state.h"

/*
 * From what is to what is wanted.  A repository is changed by an operation for
 * each of its sides; all else by one for the whole.
 */

/* --- pieces -------------------------------------------------------------- */

/* Members of ${o}, under the API's names, that are there. */
static void
members_copy(json_t *to, const json_t *o, const char *const *names)
{
	json_t *v;

	for (; *names != NULL; names++)
		if ((v = json_object_get(o, *names)) != NULL)
			(void)json_object_set(to, *names, v);
}

static bool
differs(const json_t *is, const json_t *normal, const char *name)
{
	const json_t *a = json_object_get(is, name);
	const json_t *b = json_object_get(normal, name);

	if (a == NULL || b == NULL)
		return (a != b);
	return (!json_equal(a, b));
}

static json_t *
named(const char *id)
{
	return (json_pack("{s:s}", "repositoryName", id));
}

/* --- a repository -------------------------------------------------------- */

static enum rc
lifecycle_put(struct ecr_client *c, const char *id, const json_t *api)
{
	json_t *input = named(id), *text;

	text = json_object_get(
	    json_object_get(api, "lifecyclePolicy"), "lifecyclePolicyText");
	if (text == NULL)
		return (
		    ecr_client_call(c, "DeleteLifecyclePolicy", input, NULL));
	(void)json_object_set(input, "lifecyclePolicyText", text);
	return (ecr_client_call(c, "PutLifecyclePolicy", input, NULL));
}

static enum rc
policy_put(struct ecr_client *c, const char *id, const json_t *api)
{
	json_t *input = named(id), *text;

	text = json_object_get(api, "repositoryPolicyText");
	if (text == NULL)
		return (
		    ecr_client_call(c, "DeleteRepositoryPolicy", input, NULL));
	(void)json_object_set(input, "policyText", text);
	return (ecr_client_call(c, "SetRepositoryPolicy", input, NULL));
}

static enum rc
mutability_put(struct ecr_client *c, const char *id, const json_t *api)
{
	static const char *const names[] = { "imageTagMutability",
		"imageTagMutabilityExclusionFilters", NULL };
	json_t *input = named(id);

	members_copy(input, api, names);
	return (ecr_client_call(c, "PutImageTagMutability", input, NULL));
}

static enum rc
scanning_put(struct ecr_client *c, const char *id, const json_t *api)
{
	static const char *const names[] = { "imageScanningConfiguration",
		NULL };
	json_t *input = named(id);

	members_copy(input, api, names);
	return (
	    ecr_client_call(c, "PutImageScanningConfiguration", input, NULL));
}

/* Tags that ${a} has and ${b} has not: all of it, or its keys. */
static json_t *
tags_without(const json_t *a, const json_t *b, bool keys)
{
	json_t *list = json_array(), *one, *other, *key;
	size_t i, k;
	bool found;

	json_array_foreach(a, i, one)
	{
		key = json_object_get(one, "Key");
		found = false;
		json_array_foreach(b, k, other)
		{
			found =
			    found || (keys ? json_equal(key,
						 json_object_get(other, "Key"))
					   : json_equal(one, other));
		}
		if (!found)
			(void)json_array_append(list, keys ? key : one);
	}
	return (list);
}

/* The ARN is the registry's to make. */
static enum rc
arn_find(struct ecr_client *c, const char *id, json_t **arn_r)
{
	json_t *answer = NULL, *row;
	enum rc rc;

	rc = ecr_client_call(c, "DescribeRepositories",
	    json_pack("{s:[s]}", "repositoryNames", id), &answer);
	if (rc != RC_OK)
		return (rc);
	row = json_array_get(json_object_get(answer, "repositories"), 0);
	*arn_r = json_incref(json_object_get(row, "repositoryArn"));
	json_decref(answer);
	if (*arn_r != NULL)
		return (RC_OK);
	(void)snprintf(c->why, sizeof(c->why),
	    "the registry does not tell the ARN of %.256s", id);
	return (RC_INVALID);
}

static enum rc
tags_put(struct ecr_client *c, const char *id, const json_t *is,
    const json_t *wanted)
{
	json_t *gone = tags_without(is, wanted, true);
	json_t *new = tags_without(wanted, is, false), *arn = NULL;
	enum rc rc;

	rc = arn_find(c, id, &arn);
	if (rc == RC_OK && json_array_size(gone) > 0)
		rc = ecr_client_call(c, "UntagResource",
		    json_pack("{s:O,s:O}", "resourceArn", arn, "tagKeys", gone),
		    NULL);
	if (rc == RC_OK && json_array_size(new) > 0)
		rc = ecr_client_call(c, "TagResource",
		    json_pack("{s:O,s:O}", "resourceArn", arn, "tags", new),
		    NULL);
	json_decref(arn);
	json_decref(gone);
	json_decref(new);
	return (rc);
}

static const struct {
	const char *name; /* of the property */
	enum rc (*put)(struct ecr_client *, const char *id, const json_t *api);
	bool with_new; /* CreateRepository has done it */
} sides[] = {
	{ "ImageTagMutability", mutability_put, true },
	{ "ImageTagMutabilityExclusionFilters", mutability_put, true },
	{ "ImageScanningConfiguration", scanning_put, true },
	{ "LifecyclePolicy", lifecycle_put, false },
	{ "RepositoryPolicyText", policy_put, false },
};

static enum rc
sides_put(struct ecr_client *c, const char *id, const json_t *is,
    const json_t *normal, const json_t *api)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < ARRAY_LEN(sides); i++) {
		if (is == NULL && sides[i].with_new)
			continue;
		if (!differs(is, normal, sides[i].name))
			continue;
		/* The first two are one. */
		if (i == 1 && differs(is, normal, sides[0].name))
			continue;
		rc = sides[i].put(c, id, api);
	}
	return (rc);
}

static enum rc
repository_create(struct ecr_client *c, const char *id, const json_t *normal)
{
	static const char *const names[] = { "imageTagMutability",
		"imageTagMutabilityExclusionFilters",
		"imageScanningConfiguration", "encryptionConfiguration", "tags",
		NULL };
	json_t *api = resource_to_api(RESOURCE_REPOSITORY, normal);
	json_t *input = named(id);
	enum rc rc;

	members_copy(input, api, names);
	rc = ecr_client_call(c, "CreateRepository", input, NULL);
	if (rc == RC_OK)
		rc = sides_put(c, id, NULL, normal, api);
	json_decref(api);
	return (rc);
}

static enum rc
repository_change(struct ecr_client *c, const char *id, const json_t *is,
    const json_t *normal)
{
	json_t *api = resource_to_api(RESOURCE_REPOSITORY, normal);
	enum rc rc;

	rc = sides_put(c, id, is, normal, api);
	if (rc == RC_OK && differs(is, normal, "Tags"))
		rc = tags_put(c, id, json_object_get(is, "Tags"),
		    json_object_get(normal, "Tags"));
	json_decref(api);
	return (rc);
}

/* --- all else ------------------------------------------------------------ */

static enum rc
signing_put(struct ecr_client *c, json_t *api)
{
	return (ecr_client_call(c, "PutSigningConfiguration",
	    json_pack("{s:o}", "signingConfiguration", api), NULL));
}

/* What the template no longer says is taken away by an empty value. */
static void
empty_add(enum resource_kind kind, const json_t *is, json_t *api)
{
	static const struct {
		const char *name, *api;
		enum resource_kind kind;
		bool list;
	} rows[] = {
		{ "CustomRoleArn", "customRoleArn", RESOURCE_CACHE_RULE },
		{ "Description", "description", RESOURCE_CREATION_TEMPLATE },
		{ "LifecyclePolicy", "lifecyclePolicy",
		    RESOURCE_CREATION_TEMPLATE },
		{ "RepositoryPolicy", "repositoryPolicy",
		    RESOURCE_CREATION_TEMPLATE },
		{ "ResourceTags", "resourceTags", RESOURCE_CREATION_TEMPLATE,
		    true },
		{ "CustomRoleArn", "customRoleArn",
		    RESOURCE_CREATION_TEMPLATE },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].kind == kind &&
		    json_object_get(is, rows[i].name) != NULL &&
		    json_object_get(api, rows[i].api) == NULL)
			(void)json_object_set_new(api, rows[i].api,
			    rows[i].list ? json_array() : json_string(""));
}

/* Takes ${api}. */
static enum rc
rule_change(struct ecr_client *c, json_t *api)
{
	static const char *const names[] = { "ecrRepositoryPrefix",
		"credentialArn", "customRoleArn", NULL };
	json_t *input = json_object();

	members_copy(input, api, names);
	json_decref(api);
	return (ecr_client_call(c, "UpdatePullThroughCacheRule", input, NULL));
}

/* By the registry's own spelling of the name. */
static void
identity_set(enum resource_kind kind, const char *id, json_t *api)
{
	if (kind == RESOURCE_CACHE_RULE)
		(void)json_object_set_new(
		    api, "ecrRepositoryPrefix", json_string(id));
	else if (kind == RESOURCE_CREATION_TEMPLATE)
		(void)json_object_set_new(api, "prefix", json_string(id));
	else if (kind == RESOURCE_PULL_EXCLUSION)
		(void)json_object_set_new(api, "principalArn", json_string(id));
}

enum rc
resource_create(struct ecr_client *c, enum resource_kind kind, const char *id,
    const json_t *normal)
{
	static const char *const operations[RESOURCE_KINDS] = {
		[RESOURCE_REGISTRY_POLICY] = "PutRegistryPolicy",
		[RESOURCE_REPLICATION] = "PutReplicationConfiguration",
		[RESOURCE_CACHE_RULE] = "CreatePullThroughCacheRule",
		[RESOURCE_CREATION_TEMPLATE] =
		    "CreateRepositoryCreationTemplate",
		[RESOURCE_SCANNING] = "PutRegistryScanningConfiguration",
		[RESOURCE_PULL_EXCLUSION] = "RegisterPullTimeUpdateExclusion",
	};
	json_t *api;

	if (kind == RESOURCE_REPOSITORY)
		return (repository_create(c, id, normal));
	api = resource_to_api(kind, normal);
	identity_set(kind, id, api);
	if (kind == RESOURCE_SIGNING)
		return (signing_put(c, api));
	return (ecr_client_call(c, operations[kind], api, NULL));
}

enum rc
resource_change(struct ecr_client *c, enum resource_kind kind, const char *id,
    const json_t *is, const json_t *normal)
{
	json_t *api;

	if (kind == RESOURCE_REPOSITORY)
		return (repository_change(c, id, is, normal));
	if (kind != RESOURCE_CACHE_RULE && kind != RESOURCE_CREATION_TEMPLATE)
		return (resource_create(c, kind, id, normal));
	api = resource_to_api(kind, normal);
	identity_set(kind, id, api);
	empty_add(kind, is, api);
	if (kind == RESOURCE_CACHE_RULE)
		return (rule_change(c, api));
	return (
	    ecr_client_call(c, "UpdateRepositoryCreationTemplate", api, NULL));
}

static enum rc
delete_call(
    struct ecr_client *c, enum resource_kind kind, const char *id, bool empty)
{
	switch (kind) {
	case RESOURCE_REPOSITORY:
		return (ecr_client_call(c, "DeleteRepository",
		    json_pack(
			"{s:s,s:b}", "repositoryName", id, "force", empty),
		    NULL));
	case RESOURCE_REGISTRY_POLICY:
		return (ecr_client_call(c, "DeleteRegistryPolicy", NULL, NULL));
	case RESOURCE_REPLICATION:
		return (ecr_client_call(c, "PutReplicationConfiguration",
		    json_pack(
			"{s:{s:[]}}", "replicationConfiguration", "rules"),
		    NULL));
	case RESOURCE_CACHE_RULE:
		return (ecr_client_call(c, "DeletePullThroughCacheRule",
		    json_pack("{s:s}", "ecrRepositoryPrefix", id), NULL));
	case RESOURCE_CREATION_TEMPLATE:
		return (ecr_client_call(c, "DeleteRepositoryCreationTemplate",
		    json_pack("{s:s}", "prefix", id), NULL));
	case RESOURCE_SCANNING:
		return (ecr_client_call(c, "PutRegistryScanningConfiguration",
		    json_pack("{s:s,s:[]}", "scanType", "BASIC", "rules"),
		    NULL));
	case RESOURCE_PULL_EXCLUSION:
		return (ecr_client_call(c, "DeregisterPullTimeUpdateExclusion",
		    json_pack("{s:s}", "principalArn", id), NULL));
	case RESOURCE_SIGNING:
		return (ecr_client_call(
		    c, "DeleteSigningConfiguration", NULL, NULL));
	case RESOURCE_KINDS:
		break;
	}
	wrong("no such kind of resource");
}

enum rc
resource_delete(
    struct ecr_client *c, enum resource_kind kind, const char *id, bool empty)
{
	enum rc rc = delete_call(c, kind, id, empty);

	return (rc == RC_FAILED && ecr_client_missing(c) ? RC_OK : rc);
}
