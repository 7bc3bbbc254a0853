#include "base/clock.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/api/ecr_shapes.h"
#include "registryd/authorize.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"

/*
 * Repository creation templates: what repositories are made as that come to be
 * by the way (registryd/creation.h).  What a template says is checked as the
 * operation would that sets it, for when it is used nobody is there to be told.
 *
 * One is kept under its prefix without the '/' at its end, so "a" and "a/",
 * which mean the same, are one; answers have the prefix as it was given.
 */

static const struct {
	const char *name;
	const struct aws_shape *shape;
} members[] = {
	{ "description", &ecr_repository_template_description },
	{ "encryptionConfiguration",
	    &ecr_encryption_configuration_for_repository_creation_template },
	{ "resourceTags", &ecr_tag_list },
	{ "imageTagMutability", &ecr_image_tag_mutability },
	{ "imageTagMutabilityExclusionFilters",
	    &ecr_image_tag_mutability_exclusion_filters },
	{ "repositoryPolicy", &ecr_repository_policy_text },
	{ "lifecyclePolicy",
	    &ecr_lifecycle_policy_text_for_repository_creation_template },
	{ "appliedFor", &ecr_rct_applied_for_list },
	{ "customRoleArn", &ecr_custom_role_arn },
};

/* --- is it allowed ------------------------------------------------------- */

/* What the operation is asked that sets it: the same under its name there. */
static enum rc
check_as(struct call *c, const char *name, json_t *value,
    enum rc (*check)(struct call *, const json_t *))
{
	json_t *in = json_object();
	enum rc rc;

	aws_put(in, name, value);
	rc = check(c, in);
	json_decref(in);
	return (rc);
}

static enum rc
encryption_check(struct call *c, const json_t *in)
{
	struct repository_settings s = { .n_exclusions = 0 };

	return (ecr_encryption_read(c, in, &s));
}

/* An empty key is none. */
static json_t *
encryption_pick(const json_t *in)
{
	json_t *o;

	o = ecr_pick(
	    &ecr_encryption_configuration_for_repository_creation_template, in);
	if (aws_string(o, "kmsKey").n == 0)
		(void)json_object_del(o, "kmsKey");
	return (o);
}

/* Policies see the tags of a repository that is made, not of a template; and
 * a template has no errors of its own for tags. */
static enum rc
tags_check(struct call *c, const json_t *in)
{
	const struct name_value *seen = c->request_tags;
	struct resource_tag *tags;
	size_t n_seen = c->n_request_tags, n;
	enum rc rc;

	rc = ecr_tags_check(c, in, &tags, &n);
	c->request_tags = seen;
	c->n_request_tags = n_seen;
	if (rc == RC_FAILED && (c->error == AWS_INVALID_TAG_PARAMETER ||
				   c->error == AWS_TOO_MANY_RESOURCE_TAGS))
		c->error = AWS_VALIDATION;
	return (rc);
}

static enum rc
policy_check(struct call *c, const json_t *in)
{
	return (ecr_policy_check(c, in, POLICY_REPOSITORY));
}

static enum rc
lifecycle_check(struct call *c, const json_t *in)
{
	const struct lifecycle_grammar grammar = ecr_lifecycle_grammar(c);
	struct lifecycle_policy policy;
	char why[LIFECYCLE_WHY_BYTES];
	enum rc rc;

	rc = lifecycle_policy_parse(aws_string(in, "lifecyclePolicyText"),
	    &grammar, c->arena, &policy, why);
	if (rc != RC_INVALID)
		return (rc);
	return (aws_invalid(c, "LifecyclePolicyText",
	    "Lifecycle policy validation failure: %s", why));
}

static enum rc
applied_check(struct call *c, const json_t *list)
{
	size_t i, k, n = json_array_size(list);
	const json_t *one;

	if (n == 0)
		return (aws_invalid(c, "appliedFor",
		    "Member must have length greater than or equal to 1"));
	for (i = 1; i < n; i++) {
		one = json_array_get(list, i);
		for (k = 0; k < i; k++)
			if (json_equal(one, json_array_get(list, k)))
				return (aws_invalid(c, "appliedFor",
				    "%s stands twice", json_string_value(one)));
	}
	return (RC_OK);
}

static const struct {
	const char *name, *as; /* there */
	enum rc (*check)(struct call *, const json_t *);
} checks[] = {
	{ "resourceTags", "tags", tags_check },
	{ "repositoryPolicy", "policyText", policy_check },
	{ "lifecyclePolicy", "lifecyclePolicyText", lifecycle_check },
};

/* Of each member for itself; an empty text is none. */
static enum rc
given_check(struct call *c, const json_t *in)
{
	const json_t *applied = aws_member(in, "appliedFor");
	json_t *v = aws_member(in, "encryptionConfiguration");
	enum rc rc = RC_OK;
	size_t i;

	if (v != NULL)
		rc = check_as(c, "encryptionConfiguration", encryption_pick(v),
		    encryption_check);
	for (i = 0; rc == RC_OK && i < ARRAY_LEN(checks); i++) {
		v = aws_member(in, checks[i].name);
		if (v == NULL ||
		    (json_is_string(v) && json_string_length(v) == 0))
			continue;
		rc = check_as(c, checks[i].as, json_incref(v), checks[i].check);
	}
	if (rc == RC_OK && applied != NULL)
		rc = applied_check(c, applied);
	return (rc);
}

static enum rc
mutability_check(struct call *c, const json_t *o)
{
	struct repository_settings s = { .n_exclusions = 0 };

	return (ecr_mutability_read(c, o, &s));
}

enum rc
ecr_create_repository_creation_template_check(struct call *c, const json_t *in)
{
	enum rc rc;

	rc = given_check(c, in);
	return (rc == RC_OK ? mutability_check(c, in) : rc);
}

/* Whether mode and filters go together is seen when the rest is known. */
enum rc
ecr_update_repository_creation_template_check(struct call *c, const json_t *in)
{
	return (given_check(c, in));
}

/* --- records and answers ------------------------------------------------- */

static bool
excludes(const json_t *o)
{
	return (span_has_suffix(
	    aws_string(o, "imageTagMutability"), SPAN("_WITH_EXCLUSION")));
}

static bool
is_empty(const json_t *v)
{
	return (json_is_string(v)
		    ? json_string_length(v) == 0
		    : json_is_array(v) && json_array_size(v) == 0);
}

/* What is given over what there is; empty takes away.  Filters go with the
 * mode that they belong to. */
static void
template_lay(json_t *o, const json_t *in)
{
	const char *filters = "imageTagMutabilityExclusionFilters";
	const json_t *v;
	size_t i;

	for (i = 0; i < ARRAY_LEN(members); i++) {
		v = aws_member(in, members[i].name);
		if (v == NULL)
			continue;
		if (is_empty(v))
			(void)json_object_del(o, members[i].name);
		else if (members[i].shape->type == AWS_STRUCTURE)
			aws_put(o, members[i].name, encryption_pick(v));
		else
			aws_put(
			    o, members[i].name, ecr_pick(members[i].shape, v));
	}
	if (aws_member(in, filters) == NULL && !excludes(o))
		(void)json_object_del(o, filters);
}

static json_t *
template_new(const json_t *in)
{
	int64_t now_ms = clock_real_ms();
	json_t *o = json_object();

	ecr_put_member(o, "prefix", in);
	aws_put(o, "imageTagMutability", json_string("MUTABLE"));
	aws_put(o, "createdAt", json_integer(now_ms));
	aws_put(o, "updatedAt", json_integer(now_ms));
	template_lay(o, in);
	return (o);
}

static json_t *
template_show(struct call *c, struct span name, const json_t *o)
{
	json_t *shown = json_object();
	size_t i;

	(void)c;
	(void)name;
	ecr_put_member(shown, "prefix", o);
	for (i = 0; i < ARRAY_LEN(members); i++)
		ecr_put_member(shown, members[i].name, o);
	ecr_put_ms(shown, "createdAt", o);
	ecr_put_ms(shown, "updatedAt", o);
	return (shown);
}

static void
template_answer(struct call *c, const json_t *o, json_t *out)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(
	    out, "repositoryCreationTemplate", template_show(c, SPAN_NONE, o));
}

static enum rc
no_template(struct call *c, struct span prefix)
{
	return (call_fail(c, AWS_TEMPLATE_NOT_FOUND, NULL,
	    "The repository creation template with prefix '" SPAN_FMT
	    "' does not exist in the registry with id '%s'",
	    SPAN_ARG(prefix), c->settings->account_id));
}

/* --- the operations ------------------------------------------------------ */

/* Whoever may not set a policy of repositories may not have it set on those to
 * come either.  Tags are asked of who pushes (registryd/creation.h). */
static enum rc
policies_permit(struct call *c, const json_t *in)
{
	enum rc rc = RC_OK;

	if (aws_string(in, "repositoryPolicy").n > 0)
		rc = authorize_require(c, "ecr:SetRepositoryPolicy", SPAN_NONE);
	if (rc == RC_OK && aws_string(in, "lifecyclePolicy").n > 0)
		rc = authorize_require(c, "ecr:PutLifecyclePolicy", SPAN_NONE);
	return (rc);
}

enum rc
ecr_create_repository_creation_template(
    struct call *c, const json_t *in, json_t *out)
{
	struct span prefix = aws_string(in, "prefix");
	const struct ecr_config_add add = {
		.kind = ENTITY_CREATION_TEMPLATE,
		.key = ecr_config_key(prefix),
		.name = prefix,
		.max = c->settings->quotas.creation_templates,
		.exists = AWS_TEMPLATE_EXISTS,
		.one = "The repository creation template with prefix",
		.many = "repository creation templates",
	};
	json_t *o;
	enum rc rc;

	if ((rc = policies_permit(c, in)) != RC_OK)
		return (rc);
	o = template_new(in);
	rc = ecr_config_add(c, &add, o);
	if (rc == RC_OK)
		template_answer(c, o, out);
	json_decref(o);
	return (rc);
}

struct update {
	struct call *c;
	const json_t *in;
	json_t *done;
};

static enum rc
template_change(json_t *o, void *arg)
{
	struct update *u = arg;

	if (aws_member(o, "prefix") == NULL)
		return (RC_NOTFOUND);
	template_lay(o, u->in);
	aws_put(o, "updatedAt", json_integer(clock_real_ms()));
	json_decref(u->done);
	u->done = json_incref(o);
	return (mutability_check(u->c, o));
}

enum rc
ecr_update_repository_creation_template(
    struct call *c, const json_t *in, json_t *out)
{
	struct span prefix = aws_string(in, "prefix");
	struct update u = { .c = c, .in = in };
	enum rc rc;

	if ((rc = policies_permit(c, in)) != RC_OK)
		return (rc);
	rc = registry_config_update(c->meta, ENTITY_CREATION_TEMPLATE,
	    ecr_config_key(prefix), template_change, &u);
	if (rc == RC_OK)
		template_answer(c, u.done, out);
	json_decref(u.done);
	return (rc == RC_NOTFOUND ? no_template(c, prefix) : rc);
}

enum rc
ecr_delete_repository_creation_template(
    struct call *c, const json_t *in, json_t *out)
{
	struct span prefix = aws_string(in, "prefix");
	json_t *o;
	enum rc rc;

	rc = registry_config_delete(
	    c->meta, ENTITY_CREATION_TEMPLATE, ecr_config_key(prefix), &o);
	if (rc == RC_OK)
		template_answer(c, o, out);
	json_decref(o);
	return (rc == RC_NOTFOUND ? no_template(c, prefix) : rc);
}

/* --- DescribeRepositoryCreationTemplates --------------------------------- */

#define PREFIXES_MAX 100

enum rc
ecr_describe_repository_creation_templates_check(
    struct call *c, const json_t *in)
{
	if (json_array_size(aws_member(in, "prefixes")) > PREFIXES_MAX)
		return (aws_invalid(c, "prefixes",
		    "Member must have length less than or equal to %d",
		    PREFIXES_MAX));
	return (ecr_paging_check(c, in, "prefixes"));
}

/* A prefix that is not there is left out: the model has no exception for it. */
enum rc
ecr_describe_repository_creation_templates(
    struct call *c, const json_t *in, json_t *out)
{
	const struct ecr_config_list l = { .kind = ENTITY_CREATION_TEMPLATE,
		.show = template_show };
	const json_t *prefixes = aws_member(in, "prefixes");
	json_t *list = json_array();

	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(out, "repositoryCreationTemplates", list);
	if (prefixes != NULL && json_array_size(prefixes) > 0)
		return (ecr_config_named(c, prefixes, &l, list));
	return (ecr_config_list(c, in, &l, list, out));
}
