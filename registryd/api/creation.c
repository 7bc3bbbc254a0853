#include "registryd/creation.h"

#include <string.h>

#include "auth/principal.h"
#include "base/log.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/api/ecr_shapes.h"
#include "registryd/authorize.h"
#include "registryd/encryption.h"
#include "registryd/registry_config.h"
#include "registryd/replication.h"
#include "registryd/route.h"
#include "registryd/settings.h"

/*
 * A template is the input of CreateRepositoryCreationTemplate, kept by its
 * prefix (registry_config.h).  It stands here, beside the operations, because
 * it is read with their words.
 */

/* --- which template ------------------------------------------------------ */

/* "a/b" of "a/b/c"; nothing of "a". */
static struct span
name_above(struct span name)
{
	while (name.n > 0 && name.p[--name.n] != '/')
		continue;
	return (name);
}

bool
creation_template_prefix(struct span name, size_t i, struct span *prefix_r)
{
	struct span prefix = name_above(name);

	for (; i > 0 && prefix.n > 0; i--)
		prefix = name_above(prefix);
	*prefix_r = prefix.n > 0 ? prefix : SPAN("ROOT");
	return (i == 0);
}

static bool
applied_for(const json_t *template, enum creation_cause cause)
{
	static const char *const words[] = {
		[CREATION_PUSH] = "CREATE_ON_PUSH",
		[CREATION_CACHE] = "PULL_THROUGH_CACHE",
		[CREATION_REPLICATION] = "REPLICATION",
	};
	const json_t *list = aws_member(template, "appliedFor"), *one;
	size_t i;

	json_array_foreach(
	    list, i, one) if (json_is_string(one) &&
			      strcmp(json_string_value(one), words[cause]) ==
				  0) return (true);
	return (false);
}

static void
template_free(void *arg)
{
	json_decref(arg);
}

/* It lives as long as the call, for what is read of it borrows from it. */
static enum rc
template_find(struct call *c, struct span name, enum creation_cause cause,
    const json_t **template_r)
{
	struct span prefix;
	json_t *template;
	size_t i;
	enum rc rc;

	for (i = 0; creation_template_prefix(name, i, &prefix); i++) {
		rc = registry_config_get(
		    c->meta, ENTITY_CREATION_TEMPLATE, prefix, &template);
		if (rc == RC_NOTFOUND)
			continue;
		if (rc != RC_OK)
			return (rc);
		arena_defer(c->arena, template_free, template);
		*template_r = template;
		if (applied_for(template, cause))
			return (RC_OK);
	}
	return (RC_NOTFOUND);
}

/* --- what it says -------------------------------------------------------- */

static const struct aws_member members[] = {
	{ "imageTagMutability", &ecr_image_tag_mutability },
	{ "imageTagMutabilityExclusionFilters",
	    &ecr_image_tag_mutability_exclusion_filters },
	{ "encryptionConfiguration",
	    &ecr_encryption_configuration_for_repository_creation_template },
	{ "resourceTags", &ecr_tag_list },
	{ "repositoryPolicy", &ecr_repository_policy_text },
	{ "lifecyclePolicy",
	    &ecr_lifecycle_policy_text_for_repository_creation_template },
};

static const struct aws_shape shape = {
	.type = AWS_STRUCTURE,
	.members = members,
	.n_members = ARRAY_LEN(members),
};

static enum rc
tags_read(
    struct call *c, const json_t *template, struct repository_preset *preset)
{
	const json_t *list = aws_member(template, "resourceTags"), *one;
	struct resource_tag *tags;
	size_t i;

	tags = arena_calloc(c->arena, json_array_size(list) + 1, sizeof(*tags));
	if (tags == NULL)
		return (RC_TOOBIG);
	json_array_foreach(list, i, one)
	{
		tags[i].key = aws_string(one, "Key");
		tags[i].value = aws_string(one, "Value");
	}
	preset->tags = tags;
	preset->n_tags = json_array_size(list);
	return (RC_OK);
}

static enum rc
template_read(
    struct call *c, const json_t *template, struct repository_preset *preset)
{
	enum rc rc;

	rc = aws_validate(c, &shape, template);
	if (rc == RC_OK)
		rc = ecr_mutability_read(c, template, &preset->settings);
	if (rc == RC_OK)
		rc = ecr_encryption_read(c, template, &preset->settings);
	if (rc == RC_OK)
		rc = tags_read(c, template, preset);
	if (rc == RC_FAILED) {
		log_error("creation template \"" SPAN_FMT
			  "\": it cannot be used: %s",
		    SPAN_ARG(aws_string(template, "prefix")), c->message);
		return (RC_CORRUPT);
	}
	preset->policy = aws_string(template, "repositoryPolicy");
	preset->lifecycle_policy = aws_string(template, "lifecyclePolicy");
	return (rc);
}

enum rc
creation_preset(struct call *c, struct span name, enum creation_cause cause,
    struct repository_preset *preset_r)
{
	const json_t *template;
	enum rc rc, ready;

	*preset_r = repository_preset_default;
	preset_r->max_repositories = c->settings->quotas.repositories;
	rc = template_find(c, name, cause, &template);
	if (rc == RC_OK)
		rc = template_read(c, template, preset_r);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	ready = encryption_ready(c, &preset_r->settings);
	return (ready == RC_OK ? rc : ready);
}

/* --- a push -------------------------------------------------------------- */

/* RC_NOTFOUND: nothing says that a push makes it. */
static enum rc
push_preset(struct call *c, struct repository_preset **preset_r)
{
	bool replication = replication_call(c);
	/* registryctl copy and import do on the server's own socket what they
	 * do in the folder of one that does not run. */
	bool always = replication || c->settings->create_on_push ||
		      c->x->role == ROLE_CONTROL;
	enum rc rc;

	*preset_r = arena_calloc(c->arena, 1, sizeof(**preset_r));
	if (*preset_r == NULL)
		return (RC_TOOBIG);
	rc = creation_preset(c, c->repository,
	    replication ? CREATION_REPLICATION : CREATION_PUSH, *preset_r);
	if (rc == RC_NOTFOUND && always)
		rc = RC_OK;
	return (rc);
}

/* What tags it would get, as policies see it: aws:RequestTag. */
static enum rc
request_tags(struct call *c, const struct repository_preset *preset)
{
	struct name_value *list;
	size_t i;

	list = arena_calloc(c->arena, preset->n_tags + 1, sizeof(*list));
	if (list == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < preset->n_tags; i++)
		list[i] = (struct name_value){
			.name = preset->tags[i].key,
			.value = preset->tags[i].value,
		};
	c->request_tags = list;
	c->n_request_tags = preset->n_tags;
	return (RC_OK);
}

/* As authorize_require() or, not to ${tell}, authorize_repository(). */
static enum rc
create_ask(struct call *c, const struct repository_preset *preset, bool tell)
{
	const struct name_value *tags = c->request_tags;
	const char *actions = "ecr:CreateRepository";
	size_t n_tags = c->n_request_tags;
	enum rc rc;

	if (preset->n_tags > 0)
		actions = "ecr:CreateRepository ecr:TagResource";
	if ((rc = request_tags(c, preset)) != RC_OK)
		return (rc);
	if (tell)
		rc = authorize_require(c, actions, c->repository);
	else
		rc = authorize_repository(c, actions, c->repository);
	c->request_tags = tags;
	c->n_request_tags = n_tags;
	return (rc);
}

enum rc
creation_on_push(struct call *c, const struct repository_preset **preset_r)
{
	struct repository_preset *preset;
	enum rc rc;

	*preset_r = NULL;
	rc = push_preset(c, &preset);
	if (rc == RC_OK)
		rc = create_ask(c, preset, false);
	if (rc == RC_OK)
		*preset_r = preset;
	return (rc == RC_NOTFOUND || rc == RC_DENIED ? RC_OK : rc);
}

enum rc
creation_refuse(struct call *c)
{
	struct repository_preset *preset;
	enum rc rc;

	rc = push_preset(c, &preset);
	if (rc == RC_OK)
		rc = create_ask(c, preset, true);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- a pull through the cache -------------------------------------------- */

/* The token of a pull is for pulling: what it may make by the way is for the
 * policies alone. */
enum rc
creation_on_cache(struct call *c, const struct repository_preset **preset_r)
{
	struct repository_preset *preset;
	struct span granted = c->granted;
	enum rc rc;

	*preset_r = NULL;
	if ((preset = arena_calloc(c->arena, 1, sizeof(*preset))) == NULL)
		return (RC_TOOBIG);
	rc = creation_preset(c, c->repository, CREATION_CACHE, preset);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	c->granted = SPAN_NONE;
	rc = create_ask(c, preset, true);
	c->granted = granted;
	if (rc == RC_OK)
		*preset_r = preset;
	return (rc);
}
