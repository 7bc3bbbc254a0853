#include <string.h>

#include "auth/policy_int.h"

/*
 * One statement: which elements it may have and must have in a policy of its
 * kind, and those that are read in a few lines.
 */
static const char *const elements[] = { "Sid", "Effect", "Principal",
	"NotPrincipal", "Action", "NotAction", "Resource", "NotResource",
	"Condition" };

static enum rc
elements_check(struct policy_reader *r, const json_t *o)
{
	const char *key;
	json_t *v;
	size_t i;

	if (!json_is_object(o))
		return (policy_refuse_json(r, o, "is not a JSON object"));
	json_object_foreach((json_t *)o, key, v)
	{
		for (i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
			if (strcmp(key, elements[i]) == 0)
				break;
		if (i == sizeof(elements) / sizeof(elements[0]))
			return (policy_refuse(r, span_of(key),
			    "is not an element of a statement: these are Sid, "
			    "Effect, (Not)Principal, (Not)Action, "
			    "(Not)Resource and Condition"));
	}
	return (RC_OK);
}

static enum rc
sid_read(struct policy_reader *r, const json_t *v, struct policy_statement *st)
{
	if (v == NULL)
		return (RC_OK);
	r->element = "Sid";
	if (!json_is_string(v))
		return (policy_refuse_json(r, v, "must be a string"));
	/* Old policies have "Sid": "". */
	if (json_string_length(v) == 0)
		return (RC_OK);
	st->sid =
	    arena_dup(r->arena, json_string_value(v), json_string_length(v));
	if (st->sid == NULL)
		return (policy_refuse_size(r));
	r->sid = st->sid;
	return (RC_OK);
}

static enum rc
effect_read(
    struct policy_reader *r, const json_t *v, struct policy_statement *st)
{
	r->element = "Effect";
	if (v == NULL)
		return (policy_refuse(
		    r, SPAN_NONE, "missing; it is \"Allow\" or \"Deny\""));
	if (json_is_string(v) && strcmp(json_string_value(v), "Deny") == 0)
		st->deny = true;
	else if (!json_is_string(v) ||
		 strcmp(json_string_value(v), "Allow") != 0)
		return (
		    policy_refuse_json(r, v, "must be \"Allow\" or \"Deny\""));
	return (RC_OK);
}

static enum rc
resources_read(
    struct policy_reader *r, const json_t *v, struct policy_statement *st)
{
	struct policy_arn_pattern *list;
	struct span text;
	enum rc rc;
	size_t i;

	rc = policy_list_alloc(r, v, sizeof(*list), &list, &st->n_resources);
	for (i = 0; rc == RC_OK && i < st->n_resources; i++)
		if ((rc = policy_list_str(r, v, i, &text)) == RC_OK)
			rc = policy_arn_compile(r, text, &list[i]);
	if (rc == RC_OK)
		st->resources = list;
	st->has_resources = true;
	return (rc);
}

/* ${name} or its negation, not both; NULL: neither. */
static enum rc
either(struct policy_reader *r, const json_t *o, const char *const names[2],
    const json_t **v_r, bool *not_r)
{
	const json_t *plain = json_object_get(o, names[0]);
	const json_t *negated = json_object_get(o, names[1]);

	*v_r = NULL;
	*not_r = false;
	r->element = names[negated != NULL];
	if (plain != NULL && negated != NULL)
		return (policy_refuse(r, span_of(names[0]),
		    "stands beside it; a statement has one of the two"));
	*v_r = negated != NULL ? negated : plain;
	*not_r = negated != NULL;
	return (RC_OK);
}

static enum rc
principal_element(
    struct policy_reader *r, const json_t *o, struct policy_statement *st)
{
	static const char *const names[2] = { "Principal", "NotPrincipal" };
	const json_t *v;
	enum rc rc;

	if ((rc = either(r, o, names, &v, &st->not_principal)) != RC_OK)
		return (rc);
	if (r->kind == POLICY_IDENTITY && v != NULL)
		return (policy_refuse(r, SPAN_NONE,
		    "not allowed in a policy of a user or group, whose "
		    "principal is that user"));
	if (r->kind == POLICY_IDENTITY)
		return (RC_OK);
	if (v == NULL)
		return (policy_refuse(r, SPAN_NONE,
		    "missing; a statement has Principal or NotPrincipal"));
	return (policy_principals_read(r, v, st));
}

static enum rc
action_element(
    struct policy_reader *r, const json_t *o, struct policy_statement *st)
{
	static const char *const names[2] = { "Action", "NotAction" };
	const json_t *v;
	enum rc rc;

	if ((rc = either(r, o, names, &v, &st->not_action)) != RC_OK)
		return (rc);
	if (v == NULL)
		return (policy_refuse(r, SPAN_NONE,
		    "missing; a statement has Action or NotAction"));
	return (policy_actions_read(r, v, st));
}

static enum rc
resource_element(
    struct policy_reader *r, const json_t *o, struct policy_statement *st)
{
	static const char *const names[2] = { "Resource", "NotResource" };
	const json_t *v;
	enum rc rc;

	if ((rc = either(r, o, names, &v, &st->not_resource)) != RC_OK)
		return (rc);
	if (v != NULL)
		return (resources_read(r, v, st));
	if (r->kind == POLICY_REPOSITORY)
		return (RC_OK);
	return (policy_refuse(
	    r, SPAN_NONE, "missing; a statement has Resource or NotResource"));
}

static enum rc
condition_element(
    struct policy_reader *r, const json_t *o, struct policy_statement *st)
{
	const json_t *v = json_object_get(o, "Condition");

	r->element = "Condition";
	return (v != NULL ? policy_conditions_read(r, v, st) : RC_OK);
}

enum rc
policy_statement_read(
    struct policy_reader *r, const json_t *o, struct policy_statement *st_r)
{
	enum rc rc;

	*st_r = (struct policy_statement){ 0 };
	if ((rc = elements_check(r, o)) != RC_OK)
		return (rc);
	if ((rc = sid_read(r, json_object_get(o, "Sid"), st_r)) != RC_OK)
		return (rc);
	if ((rc = effect_read(r, json_object_get(o, "Effect"), st_r)) != RC_OK)
		return (rc);
	if ((rc = principal_element(r, o, st_r)) != RC_OK)
		return (rc);
	if ((rc = action_element(r, o, st_r)) != RC_OK)
		return (rc);
	if ((rc = resource_element(r, o, st_r)) != RC_OK)
		return (rc);
	return (condition_element(r, o, st_r));
}
