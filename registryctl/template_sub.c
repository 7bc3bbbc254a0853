#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Fn::Sub: "${Name}" is what Ref of the name answers, "${Name.Attribute}"
 * what Fn::GetAtt does, and "${!Literal}" is "${Literal}".  In the form of a
 * list the second item gives values of its own, which come first.
 */
static const char name_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789"
				 "._:";

static enum rc
named_value(struct resolver *r, const char *name, json_t **value_r)
{
	const char *dot = strchr(name, '.');
	char *logical_id;
	enum rc rc;

	if (dot == NULL)
		return (template_reference(r, name, value_r));
	logical_id = xstrndup(name, (size_t)(dot - name));
	rc = template_attribute(r, logical_id, dot + 1, value_r);
	free(logical_id);
	return (rc);
}

static enum rc
variable_add(struct resolver *r, const char *name, const json_t *variables,
    struct buf *b)
{
	const json_t *variable = json_object_get(variables, name);
	json_t *value = NULL;
	char *text = NULL;
	enum rc rc;

	if (variable != NULL)
		rc = template_text(r, variable, &text);
	else
		rc = named_value(r, name, &value);
	if (rc != RC_OK)
		return (rc);
	if (value != NULL)
		text = template_scalar_text(value);
	json_decref(value);
	if (text == NULL)
		return (template_refuse(
		    r, RC_INVALID, "${%.250s} is no text", name));
	buf_str(b, text);
	free(text);
	return (RC_OK);
}

/* ${p} stands behind "${"; returns in *${end_r} what is behind the "}". */
static enum rc
braces_take(struct resolver *r, const char *p, const json_t *variables,
    struct buf *b, const char **end_r)
{
	const char *end = strchr(p, '}');
	char *name;
	enum rc rc;

	if (end == NULL)
		return (template_refuse(
		    r, RC_INVALID, "\"${\" without \"}\": ${%.100s", p));
	*end_r = end + 1;
	if (*p == '!') {
		buf_str(b, "${");
		buf_add(b, p + 1, (size_t)(end - p));
		return (RC_OK);
	}
	name = xstrndup(p, (size_t)(end - p));
	if (name[0] == '\0' || name[strspn(name, name_chars)] != '\0')
		rc = template_refuse(r, RC_INVALID,
		    "\"${%.250s}\" is no name; \"${!...}\" stands for itself",
		    name);
	else
		rc = variable_add(r, name, variables, b);
	free(name);
	return (rc);
}

static enum rc
text_fill(struct resolver *r, const char *text, const json_t *variables,
    json_t **value_r)
{
	const char *p = text, *dollar;
	struct buf b;
	enum rc rc = RC_OK;

	buf_init(&b, TEMPLATE_MAX_BYTES + 1);
	while (
	    rc == RC_OK && buf_ok(&b) && (dollar = strstr(p, "${")) != NULL) {
		buf_add(&b, p, (size_t)(dollar - p));
		rc = braces_take(r, dollar + 2, variables, &b, &p);
	}
	if (rc != RC_OK)
		goto out;
	buf_str(&b, p);
	rc = template_joined(r, &b, value_r);
out:
	buf_free(&b);
	return (rc);
}

enum rc
template_sub(struct resolver *r, const json_t *arg, json_t **value_r)
{
	const json_t *text = arg, *variables = NULL;

	if (json_is_array(arg)) {
		text = json_array_get(arg, 0);
		variables = json_array_get(arg, 1);
		if (json_array_size(arg) != 2 || !json_is_object(variables))
			text = NULL;
	}
	if (!json_is_string(text))
		return (template_refuse(r, RC_INVALID,
		    "it must be a text, or a list [text, {name: value}]"));
	return (text_fill(r, json_string_value(text), variables, value_r));
}
