#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>

/*
 * The library recurses for each level of nesting, and spends up to 80 bytes
 * of memory on one of text ("{},{},...").  So the text is looked through
 * first: how deep it goes, and how many values it has.
 */
struct census {
	size_t depth;
	size_t depth_most;
	size_t n_values; /* an upper bound */
};

/*
 * Brackets and commas within strings are text.  Up to the first error in a
 * text this sees the strings as the parser does; behind it nothing is built.
 */
static void
census_take(struct span text, struct census *c)
{
	bool in_string = false;
	size_t i;

	for (i = 0; i < text.n; i++) {
		if (in_string) {
			if (text.p[i] == '\\')
				i++;
			else if (text.p[i] == '"')
				in_string = false;
			continue;
		}
		switch (text.p[i]) {
		case '"':
			in_string = true;
			break;
		case '{':
		case '[':
			c->n_values++;
			if (++c->depth > c->depth_most)
				c->depth_most = c->depth;
			break;
		case ',':
			c->n_values++;
			break;
		case '}':
		case ']':
			if (c->depth > 0)
				c->depth--;
			break;
		}
	}
}

enum rc
json_read(struct span text, char why[JSON_ERROR_BYTES], json_t **doc_r)
{
	struct census census = { 0 };
	json_error_t error;
	json_t *doc;

	*doc_r = NULL;
	why[0] = '\0';
	census_take(text, &census);
	if (census.depth_most > JSON_DEPTH_MAX) {
		(void)snprintf(why, JSON_ERROR_BYTES,
		    "nested more than %d levels deep", JSON_DEPTH_MAX);
		return (RC_INVALID);
	}
	if (census.n_values > JSON_VALUES_MAX) {
		(void)snprintf(why, JSON_ERROR_BYTES,
		    "more than %d values in one document", JSON_VALUES_MAX);
		return (RC_INVALID);
	}
	doc = json_loadb(text.p != NULL ? text.p : "", text.n,
	    JSON_REJECT_DUPLICATES, &error);
	if (doc == NULL) {
		(void)snprintf(why, JSON_ERROR_BYTES, "line %d, column %d: %s",
		    error.line, error.column, error.text);
		return (RC_INVALID);
	}
	*doc_r = doc;
	return (RC_OK);
}

/* The member ${key} of type ${type}. */
static enum rc
member(const json_t *o, const char *key, json_type type, json_t **v_r)
{
	json_t *v;

	v = json_object_get(o, key);
	if (v == NULL || json_is_null(v))
		return (RC_NOTFOUND);
	if (json_typeof(v) != type)
		return (RC_INVALID);
	*v_r = v;
	return (RC_OK);
}

enum rc
json_get_str(const json_t *o, const char *key, struct span *s_r)
{
	enum rc rc;
	json_t *v;

	if ((rc = member(o, key, JSON_STRING, &v)) != RC_OK)
		return (rc);
	*s_r = (struct span){ json_string_value(v), json_string_length(v) };
	return (RC_OK);
}

enum rc
json_get_int(const json_t *o, const char *key, int64_t *n_r)
{
	enum rc rc;
	json_t *v;

	if ((rc = member(o, key, JSON_INTEGER, &v)) != RC_OK)
		return (rc);
	*n_r = json_integer_value(v);
	return (RC_OK);
}

enum rc
json_get_array(const json_t *o, const char *key, json_t **a_r)
{
	return (member(o, key, JSON_ARRAY, a_r));
}

enum rc
json_get_object(const json_t *o, const char *key, json_t **o_r)
{
	return (member(o, key, JSON_OBJECT, o_r));
}
