#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"

/*
 * The intrinsic functions but Fn::Sub (CloudFormation Template Reference,
 * "Intrinsic functions").  Each gets its argument as it stands in the
 * template; the path stands at the function's own name.
 */
typedef enum rc function_fn(struct resolver *, const json_t *, json_t **);

bool
template_is_function(const char *key)
{
	return (strcmp(key, "Ref") == 0 || strncmp(key, "Fn::", 4) == 0);
}

/* --- arguments ----------------------------------------------------------- */

static enum rc
count_check(struct resolver *r, const json_t *arg, size_t n, const char *form)
{
	if (json_is_array(arg) && json_array_size(arg) == n)
		return (RC_OK);
	return (template_refuse(r, RC_INVALID, "it must be a list %s", form));
}

static enum rc
text_at(struct resolver *r, const json_t *arg, size_t i, char **text_r)
{
	size_t where = template_enter_at(r, i);
	enum rc rc;

	rc = template_text(r, json_array_get(arg, i), text_r);
	template_leave(r, where);
	return (rc);
}

/* A list, also one that a function gives. */
static enum rc
list_value(struct resolver *r, const json_t *v, json_t **list_r)
{
	enum rc rc;

	rc = template_value(r, v, list_r);
	if (rc != RC_OK || json_is_array(*list_r))
		return (rc);
	json_decref(*list_r);
	*list_r = NULL;
	return (template_refuse(r, RC_INVALID, "this must be a list"));
}

static enum rc
list_at(struct resolver *r, const json_t *arg, size_t i, json_t **list_r)
{
	size_t where = template_enter_at(r, i);
	enum rc rc;

	rc = list_value(r, json_array_get(arg, i), list_r);
	template_leave(r, where);
	return (rc);
}

/* --- references ---------------------------------------------------------- */

static enum rc
ref(struct resolver *r, const json_t *arg, json_t **value_r)
{
	if (!json_is_string(arg))
		return (template_refuse(r, RC_INVALID, "it must be a name"));
	return (template_reference(r, json_string_value(arg), value_r));
}

/* "LogicalId.Attribute", the form of YAML, is taken in JSON too. */
static enum rc
get_att_text(struct resolver *r, const char *text, json_t **value_r)
{
	const char *dot = strchr(text, '.');
	char *logical_id;
	enum rc rc;

	if (dot == NULL || dot == text || dot[1] == '\0')
		return (template_refuse(r, RC_INVALID,
		    "it must be LogicalId.Attribute, not \"%.250s\"", text));
	logical_id = xstrndup(text, (size_t)(dot - text));
	rc = template_attribute(r, logical_id, dot + 1, value_r);
	free(logical_id);
	return (rc);
}

static enum rc
get_att(struct resolver *r, const json_t *arg, json_t **value_r)
{
	const json_t *logical_id = json_array_get(arg, 0);
	char *attribute;
	enum rc rc;

	if (json_is_string(arg))
		return (get_att_text(r, json_string_value(arg), value_r));
	if ((rc = count_check(r, arg, 2, "[logical id, attribute]")) != RC_OK)
		return (rc);
	if (!json_is_string(logical_id))
		return (template_refuse(
		    r, RC_INVALID, "the logical id must be a name"));
	if ((rc = text_at(r, arg, 1, &attribute)) != RC_OK)
		return (rc);
	rc = template_attribute(
	    r, json_string_value(logical_id), attribute, value_r);
	free(attribute);
	return (rc);
}

/* --- of lists ------------------------------------------------------------ */

static enum rc
items_join(struct resolver *r, const char *between, const json_t *list,
    json_t **value_r)
{
	struct buf b;
	json_t *item;
	enum rc rc = RC_OK;
	size_t i;
	char *text;

	buf_init(&b, TEMPLATE_MAX_BYTES + 1);
	json_array_foreach(list, i, item)
	{
		text = template_scalar_text(item);
		if (text == NULL) {
			rc = template_refuse(
			    r, RC_INVALID, "item %zu is no text", i);
			goto out;
		}
		if (i > 0)
			buf_str(&b, between);
		buf_str(&b, text);
		free(text);
	}
	rc = template_joined(r, &b, value_r);
out:
	buf_free(&b);
	return (rc);
}

static enum rc
join(struct resolver *r, const json_t *arg, json_t **value_r)
{
	json_t *list = NULL;
	char *between = NULL;
	enum rc rc;

	if ((rc = count_check(r, arg, 2, "[delimiter, [texts]]")) != RC_OK)
		return (rc);
	if ((rc = text_at(r, arg, 0, &between)) == RC_OK)
		rc = list_at(r, arg, 1, &list);
	if (rc == RC_OK)
		rc = items_join(r, between, list, value_r);
	json_decref(list);
	free(between);
	return (rc);
}

static enum rc
select_item(struct resolver *r, const json_t *arg, json_t **value_r)
{
	json_t *list = NULL, *item = NULL;
	char *index;
	uint64_t i;
	enum rc rc;

	if ((rc = count_check(r, arg, 2, "[index, [values]]")) != RC_OK ||
	    (rc = text_at(r, arg, 0, &index)) != RC_OK)
		return (rc);
	if ((rc = list_at(r, arg, 1, &list)) != RC_OK)
		goto out;
	if (num_u64(span_of(index), TEMPLATE_NODES_MAX, &i) == RC_OK)
		item = json_array_get(list, (size_t)i);
	if (item != NULL)
		*value_r = json_incref(item);
	else
		rc = template_refuse(r, RC_INVALID,
		    "there is no item %.100s in a list of %zu", index,
		    json_array_size(list));
out:
	json_decref(list);
	free(index);
	return (rc);
}

static enum rc
parts_take(
    struct resolver *r, const char *text, const char *between, json_t *list)
{
	size_t n = strlen(between);
	const char *end;
	json_t *part;
	enum rc rc;

	do {
		end = strstr(text, between);
		if ((rc = template_node_take(r)) != RC_OK)
			return (rc);
		rc = template_string(r,
		    end != NULL ? (struct span){ text, (size_t)(end - text) }
				: span_of(text),
		    &part);
		if (rc != RC_OK)
			return (rc);
		must(json_array_append_new(list, part) == 0);
		text = end != NULL ? end + n : NULL;
	} while (text != NULL);
	return (RC_OK);
}

static enum rc
split(struct resolver *r, const json_t *arg, json_t **value_r)
{
	char *between = NULL, *text = NULL;
	json_t *list;
	enum rc rc;

	if ((rc = count_check(r, arg, 2, "[delimiter, text]")) != RC_OK)
		return (rc);
	list = json_array();
	must(list != NULL);
	if ((rc = text_at(r, arg, 0, &between)) != RC_OK ||
	    (rc = text_at(r, arg, 1, &text)) != RC_OK)
		goto out;
	if (between[0] == '\0')
		rc = template_refuse(
		    r, RC_INVALID, "the delimiter must not be empty");
	else
		rc = parts_take(r, text, between, list);
	if (rc == RC_OK)
		*value_r = json_incref(list);
out:
	json_decref(list);
	free(between);
	free(text);
	return (rc);
}

static enum rc
length(struct resolver *r, const json_t *arg, json_t **value_r)
{
	json_t *list;
	enum rc rc;

	if ((rc = list_value(r, arg, &list)) != RC_OK)
		return (rc);
	*value_r = json_integer((json_int_t)json_array_size(list));
	json_decref(list);
	return (RC_OK);
}

/* --- of texts ------------------------------------------------------------ */

static enum rc
base64(struct resolver *r, const json_t *arg, json_t **value_r)
{
	char *text, *out;
	size_t n;
	enum rc rc;

	if ((rc = template_text(r, arg, &text)) != RC_OK)
		return (rc);
	n = strlen(text);
	out = xmalloc(n / 3 * 4 + 5);
	base64_encode((const uint8_t *)text, n, out);
	rc = template_string(r, span_of(out), value_r);
	free(out);
	free(text);
	return (rc);
}

static enum rc
to_json_string(struct resolver *r, const json_t *arg, json_t **value_r)
{
	json_t *value;
	char *text;
	enum rc rc;

	if ((rc = template_value(r, arg, &value)) != RC_OK)
		return (rc);
	if (!json_is_object(value) && !json_is_array(value)) {
		json_decref(value);
		return (template_refuse(
		    r, RC_INVALID, "it must be a map or a list"));
	}
	text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15));
	must(text != NULL);
	rc = template_string(r, span_of(text), value_r);
	free(text);
	json_decref(value);
	return (rc);
}

/* --- choices ------------------------------------------------------------- */

static enum rc
choose(struct resolver *r, const json_t *arg, json_t **value_r)
{
	const json_t *name = json_array_get(arg, 0);
	size_t where, i;
	enum rc rc;
	bool is;

	if ((rc = count_check(r, arg, 3, "[condition, value, value]")) != RC_OK)
		return (rc);
	if (!json_is_string(name))
		return (template_refuse(
		    r, RC_INVALID, "the condition must be a name"));
	rc = template_condition(r, json_string_value(name), &is);
	if (rc != RC_OK)
		return (rc);
	i = is ? 1 : 2;
	where = template_enter_at(r, i);
	rc = template_value(r, json_array_get(arg, i), value_r);
	template_leave(r, where);
	return (rc);
}

/* {DefaultValue: ...}, the fourth of Fn::FindInMap; NULL: none. */
static const json_t *
map_default(const json_t *arg)
{
	const json_t *v = json_array_get(arg, 3);

	return (json_object_size(v) == 1 ? json_object_get(v, "DefaultValue")
					 : NULL);
}

static enum rc
map_find(struct resolver *r, char *const keys[3], const json_t *otherwise,
    json_t **value_r)
{
	const json_t *v = json_object_get(r->t->doc, "Mappings");
	size_t i;

	for (i = 0; i < 3 && v != NULL; i++)
		v = json_object_get(v, keys[i]);
	if (v == NULL)
		v = otherwise;
	if (v != NULL)
		return (template_value(r, v, value_r));
	return (template_refuse(r, RC_INVALID,
	    "there is no Mappings.%.200s.%.200s.%.200s", keys[0], keys[1],
	    keys[2]));
}

static enum rc
find_in_map(struct resolver *r, const json_t *arg, json_t **value_r)
{
	const json_t *otherwise = map_default(arg);
	char *keys[3] = { NULL, NULL, NULL };
	enum rc rc;
	size_t i;

	rc = count_check(r, arg, otherwise != NULL ? 4 : 3,
	    "[map, key, key] with perhaps {DefaultValue: ...}");
	for (i = 0; rc == RC_OK && i < 3; i++)
		rc = text_at(r, arg, i, &keys[i]);
	if (rc == RC_OK)
		rc = map_find(r, keys, otherwise, value_r);
	for (i = 0; i < 3; i++)
		free(keys[i]);
	return (rc);
}

/* --- all ----------------------------------------------------------------- */

static enum rc
misplaced(struct resolver *r, const json_t *arg, json_t **value_r)
{
	(void)arg;
	(void)value_r;
	return (template_refuse(r, RC_INVALID,
	    "a function of conditions stands in Conditions only"));
}

enum rc
template_function(
    struct resolver *r, const char *name, const json_t *arg, json_t **value_r)
{
	static const struct {
		const char *name;
		function_fn *fn;
	} functions[] = {
		{ "Ref", ref },
		{ "Fn::GetAtt", get_att },
		{ "Fn::Sub", template_sub },
		{ "Fn::Join", join },
		{ "Fn::If", choose },
		{ "Fn::Select", select_item },
		{ "Fn::Split", split },
		{ "Fn::FindInMap", find_in_map },
		{ "Fn::Base64", base64 },
		{ "Fn::ToJsonString", to_json_string },
		{ "Fn::Length", length },
		{ "Fn::Equals", misplaced },
		{ "Fn::And", misplaced },
		{ "Fn::Or", misplaced },
		{ "Fn::Not", misplaced },
	};
	size_t i;

	*value_r = NULL;
	for (i = 0; i < ARRAY_LEN(functions); i++)
		if (strcmp(functions[i].name, name) == 0)
			return (functions[i].fn(r, arg, value_r));
	return (
	    template_refuse(r, RC_INVALID, "%.100s is not supported", name));
}
