#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Conditions: booleans made of parameters, mappings and each other.  They are
 * all known before any resource is looked at, and remembered.
 */
#define OPERANDS_LEAST 2
#define OPERANDS_MOST 10 /* as CloudFormation's */

static enum rc condition_value(struct resolver *, const json_t *, bool *);

static enum rc
operand_value(struct resolver *r, const json_t *arg, size_t i, bool *is_r)
{
	size_t where = template_enter_at(r, i);
	enum rc rc;

	rc = condition_value(r, json_array_get(arg, i), is_r);
	template_leave(r, where);
	return (rc);
}

/* All operands are looked at: a mistake shows whatever the first one is. */
static enum rc
many_value(struct resolver *r, const json_t *arg, bool all, bool *is_r)
{
	size_t i, n = json_array_size(arg);
	bool one;
	enum rc rc;

	if (n < OPERANDS_LEAST || n > OPERANDS_MOST)
		return (template_refuse(r, RC_INVALID,
		    "it must be a list of %d to %d conditions", OPERANDS_LEAST,
		    OPERANDS_MOST));
	*is_r = all;
	for (i = 0; i < n; i++) {
		if ((rc = operand_value(r, arg, i, &one)) != RC_OK)
			return (rc);
		if (one != all)
			*is_r = one;
	}
	return (RC_OK);
}

static enum rc
and_value(struct resolver *r, const json_t *arg, bool *is_r)
{
	return (many_value(r, arg, true, is_r));
}

static enum rc
or_value(struct resolver *r, const json_t *arg, bool *is_r)
{
	return (many_value(r, arg, false, is_r));
}

static enum rc
not_value(struct resolver *r, const json_t *arg, bool *is_r)
{
	enum rc rc;

	if (json_array_size(arg) != 1)
		return (template_refuse(
		    r, RC_INVALID, "it must be a list of one condition"));
	rc = operand_value(r, arg, 0, is_r);
	*is_r = !*is_r;
	return (rc);
}

/* What the two sides of Fn::Equals are compared as: 5 and "5" are the same,
 * and lists are compared item by item. */
static enum rc
side_value(struct resolver *r, const json_t *arg, size_t i, char **text_r)
{
	size_t where = template_enter_at(r, i);
	json_t *value;
	enum rc rc;

	rc = template_value(r, json_array_get(arg, i), &value);
	if (rc == RC_OK) {
		*text_r = template_scalar_text(value);
		if (*text_r == NULL && value != NULL)
			*text_r =
			    json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
		if (*text_r == NULL)
			rc = template_refuse(
			    r, RC_INVALID, "there is no value to compare");
	}
	json_decref(value);
	template_leave(r, where);
	return (rc);
}

static enum rc
equals_value(struct resolver *r, const json_t *arg, bool *is_r)
{
	char *a = NULL, *b = NULL;
	enum rc rc;

	if (json_array_size(arg) != 2)
		return (template_refuse(
		    r, RC_INVALID, "it must be a list of two values"));
	if ((rc = side_value(r, arg, 0, &a)) == RC_OK &&
	    (rc = side_value(r, arg, 1, &b)) == RC_OK)
		*is_r = strcmp(a, b) == 0;
	free(a);
	free(b);
	return (rc);
}

static enum rc
named_value(struct resolver *r, const json_t *arg, bool *is_r)
{
	if (!json_is_string(arg))
		return (template_refuse(
		    r, RC_INVALID, "it must be the name of a condition"));
	return (template_condition(r, json_string_value(arg), is_r));
}

static enum rc
condition_value(struct resolver *r, const json_t *v, bool *is_r)
{
	static const struct {
		const char *name;
		enum rc (*fn)(struct resolver *, const json_t *, bool *);
	} functions[] = {
		{ "Condition", named_value },
		{ "Fn::And", and_value },
		{ "Fn::Equals", equals_value },
		{ "Fn::Not", not_value },
		{ "Fn::Or", or_value },
	};
	const json_t *arg;
	size_t i, where;
	enum rc rc;

	*is_r = false;
	for (i = 0; i < ARRAY_LEN(functions); i++) {
		arg = json_object_get(v, functions[i].name);
		if (arg == NULL || json_object_size(v) != 1)
			continue;
		where = template_enter(r, functions[i].name);
		rc = functions[i].fn(r, arg, is_r);
		template_leave(r, where);
		return (rc);
	}
	return (template_refuse(r, RC_INVALID,
	    "it must be Fn::And, Fn::Equals, Fn::Not, Fn::Or or Condition"));
}

/* Its own path, and no resource in sight, however one came to it. */
static enum rc
condition_work_out(
    struct resolver *r, const char *name, const json_t *v, bool *is_r)
{
	bool was_in = r->in_condition;
	char *path = xstrdup(r->path);
	size_t where;
	enum rc rc;

	template_leave(r, 0);
	(void)template_enter(r, "Conditions");
	(void)template_enter(r, name);
	r->in_condition = true;
	r->condition_depth++;
	must(json_object_set_new(r->conditions, name, json_null()) == 0);
	rc = condition_value(r, v, is_r);
	must(
	    json_object_set_new(r->conditions, name, json_boolean(*is_r)) == 0);
	r->condition_depth--;
	r->in_condition = was_in;
	where = strlen(path);
	memcpy(r->path, path, where + 1);
	r->path_n = where;
	free(path);
	return (rc);
}

enum rc
template_condition(struct resolver *r, const char *name, bool *is_r)
{
	const json_t *known = json_object_get(r->conditions, name);
	const json_t *v =
	    json_object_get(json_object_get(r->t->doc, "Conditions"), name);

	*is_r = json_is_true(known);
	if (json_is_null(known))
		return (template_refuse(r, RC_INVALID,
		    "the condition %.250s rests on itself, in a circle", name));
	if (known != NULL)
		return (RC_OK);
	if (v == NULL)
		return (template_refuse(
		    r, RC_INVALID, "there is no condition \"%.250s\"", name));
	if (r->condition_depth == TEMPLATE_DEPTH_MAX)
		return (template_refuse(r, RC_TOOBIG,
		    "more than %d conditions rest on each other",
		    TEMPLATE_DEPTH_MAX));
	return (condition_work_out(r, name, v, is_r));
}

enum rc
template_conditions(struct resolver *r)
{
	const json_t *all = json_object_get(r->t->doc, "Conditions");
	const char *name;
	json_t *v;
	enum rc rc;
	bool is;

	json_object_foreach((json_t *)all, name, v)
	{
		if ((rc = template_condition(r, name, &is)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}
