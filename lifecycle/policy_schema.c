#include <stdio.h>
#include <string.h>

#include "lifecycle/policy_int.h"

/*
 * A small JSON schema: closed objects, types, enumerations, bounds, "exactly
 * one of".  The sentences are those of the validator that ECR uses, since
 * scripts look for them.
 */
#define KEYS_SHOWN 5
#define HINT_BYTES 160

static const char *
type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT:
		return ("object");
	case JSON_ARRAY:
		return ("array");
	case JSON_STRING:
		return ("string");
	case JSON_INTEGER:
		return ("integer");
	case JSON_REAL:
		return ("number"); /* 1.0 too: it is not written as one */
	case JSON_TRUE:
	case JSON_FALSE:
		return ("boolean");
	case JSON_NULL:
		break;
	}
	return ("null");
}

static struct span
string_of(const json_t *v)
{
	return ((struct span){ json_string_value(v), json_string_length(v) });
}

const struct lifecycle_word *
lifecycle_word_find(const struct lifecycle_reader *r,
    const struct lifecycle_word *words, size_t n, struct span s)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((r->extensions || !words[i].extension) &&
		    span_is(s, words[i].name))
			return (&words[i]);
	return (NULL);
}

/* --- strings, numbers, lists --------------------------------------------- */

/* The library lets only UTF-8 through. */
static int64_t
characters(struct span s)
{
	int64_t n = 0;
	size_t i;

	for (i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return (n);
}

static enum rc
word_refuse(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_schema *schema, struct span s)
{
	size_t i;

	lifecycle_say(r, "instance value (");
	lifecycle_say_text(r, s);
	lifecycle_say(r, ") not found in enum :(possible values: [");
	for (i = 0; i < schema->n_words; i++)
		lifecycle_say(
		    r, "%s\"%s\"", i > 0 ? "," : "", schema->words[i].name);
	lifecycle_say(r, "])");
	return (lifecycle_refuse(r, at, NULL));
}

static enum rc
string_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_schema *schema, const json_t *v)
{
	struct span s = string_of(v);
	int64_t n = characters(s);

	if (schema->n_words > 0) {
		if (lifecycle_word_find(r, schema->words, schema->n_words, s) ==
		    NULL)
			return (word_refuse(r, at, schema, s));
		return (RC_OK);
	}
	if (n >= schema->min && (schema->max == 0 || n <= schema->max))
		return (RC_OK);
	lifecycle_say(r, "string ");
	lifecycle_say_json(r, s);
	if (n < schema->min)
		lifecycle_say(r,
		    " is too short (length: %lld, required minimum: %lld)",
		    (long long)n, (long long)schema->min);
	else
		lifecycle_say(r,
		    " is too long (length: %lld, maximum allowed: %lld)",
		    (long long)n, (long long)schema->max);
	return (lifecycle_refuse(r, at, NULL));
}

static enum rc
integer_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_schema *schema, const json_t *v)
{
	if (json_integer_value(v) >= schema->min)
		return (RC_OK);
	lifecycle_say(r,
	    "numeric instance is lower than the required minimum "
	    "(minimum: %lld, found: %lld)",
	    (long long)schema->min, (long long)json_integer_value(v));
	return (lifecycle_refuse(r, at, NULL));
}

static enum rc
array_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_schema *schema, const json_t *v)
{
	struct lifecycle_place item = { .up = at };
	size_t n = json_array_size(v);
	enum rc rc;

	if ((int64_t)n < schema->min ||
	    (schema->max > 0 && (int64_t)n > schema->max)) {
		lifecycle_say(r,
		    "array is too %s: must have at %s %lld elements but "
		    "instance has %zu elements",
		    (int64_t)n < schema->min ? "short" : "long",
		    (int64_t)n < schema->min ? "least" : "most",
		    (long long)((int64_t)n < schema->min ? schema->min
							 : schema->max),
		    n);
		return (lifecycle_refuse(r, at, NULL));
	}
	for (item.index = 0; item.index < n; item.index++) {
		rc = lifecycle_schema_check(
		    r, &item, schema->items, json_array_get(v, item.index));
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* --- objects ------------------------------------------------------------- */

static enum rc
required_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_schema *schema, const json_t *v)
{
	size_t i, n = 0;

	for (i = 0; i < schema->n_members; i++) {
		if (!schema->members[i].required ||
		    json_object_get(v, schema->members[i].key) != NULL)
			continue;
		lifecycle_say(r, "%s\"%s\"",
		    n++ > 0 ? "," : "object has missing required properties ([",
		    schema->members[i].key);
	}
	if (n == 0)
		return (RC_OK);
	lifecycle_say(r, "])");
	return (lifecycle_refuse(r, at, NULL));
}

static bool
member_known(const struct lifecycle_reader *r,
    const struct lifecycle_schema *schema, const char *key)
{
	const struct lifecycle_member *members = schema->members;
	size_t i;

	for (i = 0; i < schema->n_members; i++)
		if (strcmp(members[i].key, key) == 0)
			return (r->extensions || !members[i].extension);
	return (false);
}

/* The least unknown key above ${after}; NULL: there is none. */
static const char *
unknown_next(const struct lifecycle_reader *r,
    const struct lifecycle_schema *schema, const json_t *v, const char *after)
{
	const char *key, *least = NULL;
	json_t *member;

	json_object_foreach((json_t *)v, key, member)
	{
		if (member_known(r, schema, key) ||
		    (after != NULL && strcmp(key, after) <= 0))
			continue;
		if (least == NULL || strcmp(key, least) < 0)
			least = key;
	}
	return (least);
}

static enum rc
unknown_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_schema *schema, const json_t *v)
{
	const char *key;
	int n;

	if ((key = unknown_next(r, schema, v, NULL)) == NULL)
		return (RC_OK);
	lifecycle_say(r,
	    "object instance has properties which are not allowed by the "
	    "schema: ([");
	for (n = 0; key != NULL; n++) {
		lifecycle_say(r, "%s", n > 0 ? "," : "");
		if (n == KEYS_SHOWN) {
			lifecycle_say(r, "...");
			break;
		}
		lifecycle_say_json(r, span_of(key));
		key = unknown_next(r, schema, v, key);
	}
	lifecycle_say(r, "])");
	return (lifecycle_refuse(r, at, NULL));
}

/* "countType must be one of imageCountMoreThan, sinceImagePushed" */
static void
words_hint(const struct lifecycle_reader *r,
    const struct lifecycle_choice *choice, char out[HINT_BYTES])
{
	size_t i;
	int n;

	n = snprintf(out, HINT_BYTES, "%s must be one of", choice->key);
	for (i = 0; i < choice->n_words && n < HINT_BYTES; i++)
		if (r->extensions || !choice->words[i].extension)
			n += snprintf(out + n, HINT_BYTES - (size_t)n, "%s %s",
			    i > 0 ? "," : "", choice->words[i].name);
}

/* The members of a choice have been looked at as strings; here is where one
 * that is null or a number fails. */
static enum rc
choice_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_choice *choice, const json_t *v)
{
	const json_t *key = json_object_get(v, choice->key);
	const json_t *other = json_object_get(v, choice->other);
	const struct lifecycle_word *word = NULL;
	char hint[HINT_BYTES];

	if (json_is_string(key))
		word = lifecycle_word_find(
		    r, choice->words, choice->n_words, string_of(key));
	if (word != NULL && word->with_other == (other != NULL) &&
	    (other == NULL || json_is_string(other)))
		return (RC_OK);
	if (word == NULL)
		words_hint(r, choice, hint);
	else
		(void)snprintf(hint, sizeof(hint), "%s %s with %s %s",
		    choice->other,
		    !word->with_other ? "must be absent"
		    : other == NULL   ? "is required"
				      : "must be a string",
		    choice->key, word->name);
	lifecycle_say(r,
	    "instance failed to match exactly one schema (matched 0 out of "
	    "2)");
	return (lifecycle_refuse(r, at, hint));
}

static void
name_set(struct lifecycle_reader *r, const json_t *name)
{
	r->priority = 0;
	if (json_is_integer(name) && json_integer_value(name) > 0)
		r->priority = json_integer_value(name);
}

static enum rc
object_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_schema *schema, const json_t *v)
{
	struct lifecycle_place place = { .up = at };
	const json_t *member;
	enum rc rc;
	size_t i;

	if (schema->named_by != NULL)
		name_set(r, json_object_get(v, schema->named_by));
	if ((rc = required_check(r, at, schema, v)) != RC_OK ||
	    (rc = unknown_check(r, at, schema, v)) != RC_OK)
		return (rc);
	for (i = 0; i < schema->n_members; i++) {
		place.key = schema->members[i].key;
		if ((member = json_object_get(v, place.key)) == NULL)
			continue;
		rc = lifecycle_schema_check(
		    r, &place, schema->members[i].schema, member);
		if (rc != RC_OK)
			return (rc);
	}
	if (schema->choice != NULL)
		return (choice_check(r, at, schema->choice, v));
	return (RC_OK);
}

/* As deep as the schema, whatever the text. */
enum rc
lifecycle_schema_check(struct lifecycle_reader *r,
    const struct lifecycle_place *at, const struct lifecycle_schema *schema,
    const json_t *v)
{
	if (json_typeof(v) != schema->type) {
		if (schema->chosen)
			return (RC_OK);
		lifecycle_say(r,
		    "instance type (%s) does not match any allowed primitive "
		    "type (allowed: [\"%s\"])",
		    type_name(json_typeof(v)), type_name(schema->type));
		return (lifecycle_refuse(r, at, NULL));
	}
	if (schema->type == JSON_OBJECT)
		return (object_check(r, at, schema, v));
	if (schema->type == JSON_ARRAY)
		return (array_check(r, at, schema, v));
	if (schema->type == JSON_STRING)
		return (string_check(r, at, schema, v));
	return (integer_check(r, at, schema, v));
}
