#include <string.h>

#include "base/obj.h"
#include "registryctl/apply_state.h"

/* --- repositories -------------------------------------------------------- */

/* What is not there is left out of ${o}. */
static enum rc
take(struct ecr_client *c, const char *operation, json_t *input,
    const char *member, json_t *o, const char *as)
{
	json_t *answer = NULL;
	enum rc rc;

	rc = ecr_client_call(c, operation, input, &answer);
	if (rc == RC_OK)
		(void)json_object_set(o, as, json_object_get(answer, member));
	json_decref(answer);
	return (rc == RC_FAILED && ecr_client_missing(c) ? RC_OK : rc);
}

static json_t *
named(const char *name)
{
	return (json_pack("{s:s}", "repositoryName", name));
}

static enum rc
repository_take(struct ecr_client *c, const char *name, json_t *o)
{
	const char *arn =
	    json_string_value(json_object_get(o, "repositoryArn"));
	json_t *lifecycle = json_object();
	enum rc rc;

	(void)json_object_set_new(o, "lifecyclePolicy", lifecycle);
	rc = take(c, "GetLifecyclePolicy", named(name), "lifecyclePolicyText",
	    lifecycle, "lifecyclePolicyText");
	if (rc == RC_OK)
		rc = take(c, "GetRepositoryPolicy", named(name), "policyText",
		    o, "repositoryPolicyText");
	if (rc == RC_OK)
		rc = take(c, "ListTagsForResource",
		    json_pack("{s:s}", "resourceArn", arn != NULL ? arn : ""),
		    "tags", o, "tags");
	return (rc);
}

enum rc
resource_repository(struct ecr_client *c, const json_t *row, json_t **normal_r)
{
	const char *name =
	    json_string_value(json_object_get(row, "repositoryName"));
	json_t *o = json_deep_copy(row);
	enum rc rc = RC_OK;

	*normal_r = NULL;
	if (name != NULL)
		rc = repository_take(c, name, o);
	if (rc == RC_OK && name != NULL)
		*normal_r = resource_from_api(RESOURCE_REPOSITORY, o);
	json_decref(o);
	return (rc);
}

static enum rc
repository_read(struct ecr_client *c, const char *name, json_t **normal_r)
{
	json_t *answer = NULL;
	enum rc rc;

	rc = ecr_client_call(c, "DescribeRepositories",
	    json_pack("{s:[s]}", "repositoryNames", name), &answer);
	if (rc == RC_OK)
		rc = resource_repository(c,
		    json_array_get(json_object_get(answer, "repositories"), 0),
		    normal_r);
	json_decref(answer);
	return (rc == RC_FAILED && ecr_client_missing(c) ? RC_OK : rc);
}

static enum rc
repositories_list(struct ecr_client *c, json_t *list)
{
	json_t *rows = NULL, *normal;
	enum rc rc;
	size_t i;

	rc = ecr_client_list(
	    c, "DescribeRepositories", json_object(), "repositories", &rows);
	for (i = 0; rc == RC_OK && i < json_array_size(rows); i++) {
		normal = NULL;
		rc = resource_repository(c, json_array_get(rows, i), &normal);
		if (normal != NULL)
			(void)json_array_append_new(
			    list, json_pack("{s:O,s:o}", "id",
				      json_object_get(json_array_get(rows, i),
					  "repositoryName"),
				      "normal", normal));
	}
	json_decref(rows);
	return (rc);
}

/* --- what there is one of ------------------------------------------------ */

/* What tells of it, and where in the answer it stands. */
static const struct {
	const char *operation;
	const char *member; /* NULL: the answer itself */
} singles[RESOURCE_KINDS] = {
	[RESOURCE_REGISTRY_POLICY] = { "GetRegistryPolicy", NULL },
	[RESOURCE_REPLICATION] = { "DescribeRegistry", NULL },
	[RESOURCE_SCANNING] = { "GetRegistryScanningConfiguration",
	    "scanningConfiguration" },
	[RESOURCE_SIGNING] = { "GetSigningConfiguration",
	    "signingConfiguration" },
};

static bool
is_vacant(enum resource_kind kind, const json_t *normal)
{
	json_t *vacant = resource_vacant(kind);
	bool is = vacant != NULL && json_equal(vacant, normal);

	json_decref(vacant);
	return (is);
}

static enum rc
single_list(struct ecr_client *c, enum resource_kind kind, json_t *list)
{
	json_t *answer = NULL, *o, *normal;
	enum rc rc;

	rc = ecr_client_call(c, singles[kind].operation, NULL, &answer);
	if (rc != RC_OK)
		return (rc == RC_FAILED && ecr_client_missing(c) ? RC_OK : rc);
	o = answer;
	if (singles[kind].member != NULL)
		o = json_object_get(answer, singles[kind].member);
	normal = resource_from_api(kind, o);
	if (!is_vacant(kind, normal))
		(void)json_array_append_new(
		    list, json_pack("{s:s,s:O}", "id", "", "normal", normal));
	json_decref(normal);
	json_decref(answer);
	return (RC_OK);
}

/* --- what there are several of ------------------------------------------- */

static const struct {
	const char *operation, *member;
	const char *id; /* NULL: a row is its own id */
} several[RESOURCE_KINDS] = {
	[RESOURCE_CACHE_RULE] = { "DescribePullThroughCacheRules",
	    "pullThroughCacheRules", "ecrRepositoryPrefix" },
	[RESOURCE_CREATION_TEMPLATE] = { "DescribeRepositoryCreationTemplates",
	    "repositoryCreationTemplates", "prefix" },
	[RESOURCE_PULL_EXCLUSION] = { "ListPullTimeUpdateExclusions",
	    "pullTimeUpdateExclusions", NULL },
};

static void
row_take(enum resource_kind kind, const json_t *row, json_t *list)
{
	json_t *o, *id;

	if (several[kind].id == NULL)
		o = json_pack("{s:O}", "principalArn", row);
	else
		o = json_deep_copy(row);
	id = json_object_get(
	    o, several[kind].id != NULL ? several[kind].id : "principalArn");
	if (json_is_string(id))
		(void)json_array_append_new(
		    list, json_pack("{s:O,s:o}", "id", id, "normal",
			      resource_from_api(kind, o)));
	json_decref(o);
}

static enum rc
several_list(struct ecr_client *c, enum resource_kind kind, json_t *list)
{
	json_t *rows = NULL;
	enum rc rc;
	size_t i;

	rc = ecr_client_list(c, several[kind].operation, json_object(),
	    several[kind].member, &rows);
	for (i = 0; rc == RC_OK && i < json_array_size(rows); i++)
		row_take(kind, json_array_get(rows, i), list);
	json_decref(rows);
	return (rc);
}

/* --- any ----------------------------------------------------------------- */

enum rc
resource_list(struct ecr_client *c, enum resource_kind kind, json_t **list_r)
{
	json_t *list = json_array();
	enum rc rc;

	if (kind == RESOURCE_REPOSITORY)
		rc = repositories_list(c, list);
	else if (singles[kind].operation != NULL)
		rc = single_list(c, kind, list);
	else
		rc = several_list(c, kind, list);
	if (rc == RC_OK)
		*list_r = list;
	else
		json_decref(list);
	return (rc);
}

enum rc
resource_read(struct ecr_client *c, enum resource_kind kind, const char *id,
    json_t **normal_r)
{
	json_t *list = NULL, *row;
	enum rc rc;
	size_t i;

	*normal_r = NULL;
	if (kind == RESOURCE_REPOSITORY)
		return (repository_read(c, id, normal_r));
	if ((rc = resource_list(c, kind, &list)) != RC_OK)
		return (rc);
	json_array_foreach(list, i, row)
	{
		if (*normal_r == NULL &&
		    (several[kind].operation == NULL ||
			resource_same(kind, id,
			    json_string_value(json_object_get(row, "id")))))
			*normal_r = json_incref(json_object_get(row, "normal"));
	}
	json_decref(list);
	return (RC_OK);
}

enum rc
resource_has_images(struct ecr_client *c, const char *id, bool *has_r)
{
	json_t *answer = NULL;
	enum rc rc;

	*has_r = false;
	rc = ecr_client_call(c, "ListImages",
	    json_pack("{s:s,s:i,s:{s:s}}", "repositoryName", id, "maxResults",
		1, "filter", "imageStatus", "ANY"),
	    &answer);
	if (rc == RC_OK)
		*has_r =
		    json_array_size(json_object_get(answer, "imageIds")) > 0;
	json_decref(answer);
	return (rc == RC_FAILED && ecr_client_missing(c) ? RC_OK : rc);
}
