#include "registryctl/template_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Values: whatever stands in a template becomes what it stands for.  The
 * depth of the recursion is that of the template, which was bounded when it
 * was read; a reference to another resource never recurses, see struct
 * resolver.
 */

/* --- where --------------------------------------------------------------- */

size_t
template_enter(struct resolver *r, const char *name)
{
	size_t where = r->path_n, room = sizeof(r->path) - where;
	int n;

	n = snprintf(
	    r->path + where, room, "%s%.200s", where > 0 ? "." : "", name);
	must(n >= 0);
	r->path_n += (size_t)n < room ? (size_t)n : room - 1;
	return (where);
}

size_t
template_enter_at(struct resolver *r, size_t i)
{
	size_t where = r->path_n, room = sizeof(r->path) - where;
	int n;

	n = snprintf(r->path + where, room, "[%zu]", i);
	must(n >= 0);
	r->path_n += (size_t)n < room ? (size_t)n : room - 1;
	return (where);
}

void
template_leave(struct resolver *r, size_t where)
{
	r->path_n = where;
	r->path[where] = '\0';
}

enum rc
template_refuse(struct resolver *r, enum rc rc, const char *fmt, ...)
{
	char reason[TEMPLATE_WHY_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)template_vfail(reason, rc, fmt, ap);
	va_end(ap);
	return (template_fail(r->why, rc, "%s: %s", r->path, reason));
}

/* --- limits -------------------------------------------------------------- */

/* A text is a step for every so many bytes of it. */
#define STEP_BYTES 64

static enum rc
steps_take(struct resolver *r, size_t n)
{
	if (n > r->steps_left)
		return (template_refuse(r, RC_TOOBIG,
		    "resources rest on each other in too many ways: more than "
		    "%d steps",
		    TEMPLATE_STEPS_MAX));
	r->steps_left -= n;
	return (RC_OK);
}

enum rc
template_node_take(struct resolver *r)
{
	if (r->nodes_left == 0)
		return (template_refuse(r, RC_TOOBIG,
		    "the template comes to more than %d values",
		    TEMPLATE_NODES_MAX));
	r->nodes_left--;
	return (steps_take(r, 1));
}

enum rc
template_string(struct resolver *r, struct span s, json_t **value_r)
{
	static const struct span dynamic = SPAN_INIT("{{resolve:");
	enum rc rc;

	*value_r = NULL;
	if (s.n > TEMPLATE_MAX_BYTES || s.n > r->bytes_left)
		return (template_refuse(r, RC_TOOBIG,
		    "the texts of the template come to more than %zu bytes, "
		    "or one to more than %zu",
		    TEMPLATE_VALUES_MAX_BYTES, TEMPLATE_MAX_BYTES));
	r->bytes_left -= s.n;
	if ((rc = steps_take(r, s.n / STEP_BYTES)) != RC_OK)
		return (rc);
	if (s.n >= dynamic.n && memmem(s.p, s.n, dynamic.p, dynamic.n) != NULL)
		return (template_refuse(r, RC_INVALID,
		    "dynamic references ({{resolve:...}}) are not supported"));
	*value_r = json_stringn(s.p != NULL ? s.p : "", s.n);
	if (*value_r == NULL)
		return (template_refuse(r, RC_INVALID, "a text is not UTF-8"));
	return (RC_OK);
}

enum rc
template_joined(struct resolver *r, const struct buf *b, json_t **value_r)
{
	if (!buf_ok(b))
		return (template_refuse(r, RC_TOOBIG,
		    "it comes to more than %zu bytes", TEMPLATE_MAX_BYTES));
	return (template_string(r, buf_as_span(b), value_r));
}

/* --- values -------------------------------------------------------------- */

static enum rc
array_value(struct resolver *r, const json_t *v, json_t **value_r)
{
	json_t *item, *made, *all = json_array();
	enum rc rc = RC_OK;
	size_t i, where;

	must(all != NULL);
	json_array_foreach(v, i, item)
	{
		where = template_enter_at(r, i);
		rc = template_value(r, item, &made);
		template_leave(r, where);
		if (rc != RC_OK)
			break;
		if (made != NULL)
			must(json_array_append_new(all, made) == 0);
	}
	if (rc != RC_OK) {
		json_decref(all);
		all = NULL;
	}
	*value_r = all;
	return (rc);
}

/* {"Ref": ...} or {"Fn::...": ...}, alone. */
static enum rc
function_find(struct resolver *r, const json_t *v, const char **name_r)
{
	const char *key;
	json_t *arg;

	*name_r = NULL;
	json_object_foreach((json_t *)v, key, arg)
	{
		if (!template_is_function(key))
			continue;
		if (json_object_size(v) == 1)
			*name_r = key;
		else if (strcmp(key, "Ref") != 0)
			return (template_refuse(
			    r, RC_INVALID, "%.100s does not stand alone", key));
	}
	return (RC_OK);
}

static enum rc
map_value(struct resolver *r, const json_t *v, json_t **value_r)
{
	json_t *item, *made, *all = json_object();
	enum rc rc = RC_OK;
	const char *key;
	size_t where;

	must(all != NULL);
	json_object_foreach((json_t *)v, key, item)
	{
		where = template_enter(r, key);
		rc = template_value(r, item, &made);
		template_leave(r, where);
		if (rc != RC_OK)
			break;
		if (made != NULL)
			must(json_object_set_new(all, key, made) == 0);
	}
	if (rc != RC_OK) {
		json_decref(all);
		all = NULL;
	}
	*value_r = all;
	return (rc);
}

static enum rc
object_value(struct resolver *r, const json_t *v, json_t **value_r)
{
	const char *function;
	size_t where;
	enum rc rc;

	if ((rc = function_find(r, v, &function)) != RC_OK)
		return (rc);
	if (function == NULL)
		return (map_value(r, v, value_r));
	where = template_enter(r, function);
	rc = template_function(
	    r, function, json_object_get(v, function), value_r);
	template_leave(r, where);
	return (rc);
}

enum rc
template_value(struct resolver *r, const json_t *v, json_t **value_r)
{
	enum rc rc;

	*value_r = NULL;
	if ((rc = template_node_take(r)) != RC_OK)
		return (rc);
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return (object_value(r, v, value_r));
	case JSON_ARRAY:
		return (array_value(r, v, value_r));
	case JSON_STRING:
		return (template_string(r,
		    (struct span){
			json_string_value(v), json_string_length(v) },
		    value_r));
	case JSON_NULL:
		return (
		    template_refuse(r, RC_INVALID, "a value must not be null"));
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_TRUE:
	case JSON_FALSE:
		break;
	}
	/* Whoever has the value may change it, but not that of others. */
	*value_r = json_copy((json_t *)v);
	must(*value_r != NULL);
	return (RC_OK);
}

enum rc
template_text(struct resolver *r, const json_t *v, char **text_r)
{
	json_t *value;
	enum rc rc;

	*text_r = NULL;
	if ((rc = template_value(r, v, &value)) != RC_OK)
		return (rc);
	if (value != NULL)
		*text_r = template_scalar_text(value);
	json_decref(value);
	if (*text_r == NULL)
		return (template_refuse(r, RC_INVALID, "this must be a text"));
	return (RC_OK);
}

/* --- references ---------------------------------------------------------- */

static enum rc
pseudo_reference(struct resolver *r, const char *name, json_t **value_r)
{
	const struct template_context *c = r->context;
	const struct {
		const char *name;
		const char *value;
	} known[] = {
		{ "AWS::AccountId", c->account_id },
		{ "AWS::Region", c->region },
		{ "AWS::StackName", c->stack_name },
		{ "AWS::StackId", r->stack_id },
		{ "AWS::Partition", "aws" },
		{ "AWS::URLSuffix", "amazonaws.com" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].name, name) == 0)
			return (template_string(
			    r, span_of(known[i].value), value_r));
	if (strcmp(name, "AWS::NoValue") == 0)
		return (RC_OK);
	if (strcmp(name, "AWS::NotificationARNs") == 0) {
		*value_r = json_array();
		return (RC_OK);
	}
	return (template_refuse(
	    r, RC_INVALID, "there is no pseudo parameter \"%.250s\"", name));
}

static enum rc
parameter_reference(struct resolver *r, const char *name,
    const json_t *parameter, json_t **value_r)
{
	if (json_is_null(parameter))
		return (template_refuse(r, RC_UNSUPPORTED,
		    "the value of the parameter %.250s is in AWS Systems "
		    "Manager, which is not here",
		    name));
	/* What stands in it were checked and are no functions: text. */
	return (template_value(r, parameter, value_r));
}

enum rc
template_reference(struct resolver *r, const char *name, json_t **value_r)
{
	const json_t *parameter = json_object_get(r->parameters, name);

	*value_r = NULL;
	if (strncmp(name, "AWS::", 5) == 0)
		return (pseudo_reference(r, name, value_r));
	if (parameter != NULL)
		return (parameter_reference(r, name, parameter, value_r));
	return (template_attribute(r, name, NULL, value_r));
}

static struct template_state *
state_find(struct resolver *r, const char *logical_id)
{
	const json_t *place = json_object_get(r->places, logical_id);

	return (place != NULL ? &r->states[json_integer_value(place)] : NULL);
}

static void
need_note(struct resolver *r, const struct template_state *s)
{
	struct template_state *c = r->current;
	size_t i, at = (size_t)(s - r->states);

	must(c != NULL);
	for (i = 0; i < c->n_needs; i++)
		if (c->needs[i] == at)
			return;
	c->needs[c->n_needs++] = at;
}

static enum rc
attribute_ask(struct resolver *r, const struct template_state *s,
    const char *attribute, json_t **value_r)
{
	const struct template_context *c = r->context;
	char why[TEMPLATE_WHY_BYTES] = "";
	char *text;
	enum rc rc;

	text = c->attribute(
	    c->arg, s->logical_id, s->type, s->properties, attribute, why);
	if (text == NULL)
		return (template_refuse(r, RC_INVALID, "%s", why));
	rc = template_string(r, span_of(text), value_r);
	free(text);
	return (rc);
}

enum rc
template_attribute(struct resolver *r, const char *logical_id,
    const char *attribute, json_t **value_r)
{
	const json_t *all = json_object_get(r->t->doc, "Resources");
	struct template_state *s = state_find(r, logical_id);

	*value_r = NULL;
	if (json_object_get(all, logical_id) == NULL)
		return (template_refuse(r, RC_INVALID,
		    "there is no %sresource \"%.250s\"",
		    attribute == NULL ? "parameter or " : "", logical_id));
	if (r->in_condition)
		return (template_refuse(r, RC_INVALID,
		    "a condition cannot ask for a resource (%.250s)",
		    logical_id));
	must(s != NULL); /* all are known before the first is resolved */
	if (s->gone)
		return (template_refuse(r, RC_INVALID,
		    "%.250s is not there: its condition is false", logical_id));
	if (!s->ours)
		return (template_refuse(r, RC_UNSUPPORTED,
		    "%.250s is of the type %.250s, which is not set up here",
		    logical_id, s->type));
	if (s->progress == STATE_DONE)
		return (attribute_ask(r, s, attribute, value_r));
	need_note(r, s);
	return (template_string(r, SPAN(""), value_r));
}
