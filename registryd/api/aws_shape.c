#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/obj.h"
#include "registryd/api/aws_int.h"

/*
 * One place where input meets its shape.  How deep it looks is bounded by the
 * shapes, which the table fixes, not by the input.
 */

/* Where in the input, from the inside out. */
struct place {
	const struct place *up;
	const char *name;
	size_t index; /* from 1, where ${name} is NULL */
};

#define PLACE_BYTES 256
#define REASON_BYTES 1024

static enum rc value_check(struct call *, const struct place *,
    const struct aws_shape *, const json_t *);

/* --- refusing ------------------------------------------------------------ */

/* "tags.2.member.Key" */
static void
place_write(const struct place *at, struct buf *out)
{
	if (at == NULL)
		return;
	place_write(at->up, out);
	if (at->up != NULL)
		buf_char(out, '.');
	if (at->name != NULL)
		buf_str(out, at->name);
	else
		buf_printf(out, "%zu.member", at->index);
}

static const char *
place_text(const struct place *at, char out[PLACE_BYTES])
{
	struct buf b;

	buf_init(&b, PLACE_BYTES);
	place_write(at, &b);
	(void)snprintf(out, PLACE_BYTES, SPAN_FMT, SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
	return (out);
}

/* The query protocol shows the value too, and calls members "likeThis". */
static enum rc
refuse_query(
    struct call *c, const char *place, const json_t *v, const char *reason)
{
	char text[32] = "null";
	struct span value = span_of(text);
	char first = place[0];

	if (first >= 'A' && first <= 'Z')
		first = (char)(first - 'A' + 'a');
	if (json_is_integer(v)) {
		(void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
		    json_integer_value(v));
		value = span_of(text);
	} else if (json_is_string(v)) {
		value = (struct span){ json_string_value(v),
			json_string_length(v) };
	}
	return (call_fail(c, AWS_INVALID_PARAMETER, NULL,
	    "1 validation error detected: Value '%.*s' at '%c%s' failed to "
	    "satisfy constraint: %s",
	    CALL_SHOW(value), first, first != '\0' ? place + 1 : "", reason));
}

__attribute__((format(printf, 4, 5))) static enum rc
refuse(struct call *c, const struct place *at, const json_t *v, const char *fmt,
    ...)
{
	char place[PLACE_BYTES], reason[REASON_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	place_text(at, place);
	if (c->shape == SHAPE_AWS_QUERY)
		return (refuse_query(c, place, v, reason));
	return (aws_invalid(c, place, "%s", reason));
}

enum rc
aws_invalid(struct call *c, const char *place, const char *fmt, ...)
{
	char reason[REASON_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	return (call_fail(c, AWS_INVALID_PARAMETER, NULL,
	    "Invalid parameter at '%s' failed to satisfy constraint: '%s'",
	    place, reason));
}

static const char *
scalar_name(const json_t *v)
{
	if (json_is_string(v))
		return ("STRING_VALUE");
	if (json_is_number(v))
		return ("NUMBER_VALUE");
	return (json_is_true(v) ? "TRUE_VALUE" : "FALSE_VALUE");
}

static enum rc
refuse_type(struct call *c, const struct place *at, const struct aws_shape *s,
    const json_t *v)
{
	static const char *const wanted[] = {
		[AWS_STRING] = "String",
		[AWS_INTEGER] = "Integer",
		[AWS_BOOLEAN] = "Boolean",
		[AWS_LIST] = "List",
		[AWS_MAP] = "Map",
		[AWS_STRUCTURE] = "Structure",
		[AWS_BLOB] = "Blob",
	};
	char place[PLACE_BYTES];

	place_text(at, place);
	if (json_is_object(v))
		return (call_fail(c, AWS_SERIALIZATION, NULL,
		    "Start of structure or map found where not expected: "
		    "'%s' is a %s",
		    place, wanted[s->type]));
	if (json_is_array(v))
		return (call_fail(c, AWS_SERIALIZATION, NULL,
		    "Start of list found where not expected: '%s' is a %s",
		    place, wanted[s->type]));
	return (call_fail(c, AWS_SERIALIZATION, NULL,
	    "%s cannot be converted to %s at '%s'", scalar_name(v),
	    wanted[s->type], place));
}

/* --- checking ------------------------------------------------------------ */

static enum rc
bounds_check(struct call *c, const struct place *at, const struct aws_shape *s,
    const json_t *v, int64_t n)
{
	const char *what = s->type == AWS_INTEGER ? "value" : "length";

	if (n < s->min)
		return (refuse(c, at, v,
		    "Member must have %s greater than or equal to %" PRId64,
		    what, s->min));
	if (s->max != 0 && n > s->max)
		return (refuse(c, at, v,
		    "Member must have %s less than or equal to %" PRId64, what,
		    s->max));
	return (RC_OK);
}

/* Characters of a text that is UTF-8. */
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
enum_check(struct call *c, const struct place *at, const struct aws_shape *s,
    const json_t *v)
{
	struct buf names;
	size_t i;
	enum rc rc;

	if (s->values == NULL)
		return (RC_OK);
	for (i = 0; s->values[i] != NULL; i++)
		if (span_is((struct span){ json_string_value(v),
				json_string_length(v) },
			s->values[i]))
			return (RC_OK);
	buf_init(&names, REASON_BYTES);
	for (i = 0; s->values[i] != NULL; i++)
		buf_printf(&names, "%s%s", i > 0 ? ", " : "", s->values[i]);
	rc = refuse(c, at, v,
	    "Member must satisfy enum value set: [" SPAN_FMT "]",
	    SPAN_ARG(buf_as_span(&names)));
	buf_free(&names);
	return (rc);
}

static bool
pattern_ok(const struct aws_shape *s, struct span text)
{
	if (s->matches != NULL)
		return (s->matches(text));
	return (s->pattern == NULL || aws_pattern_ok(s->pattern, text));
}

static enum rc
string_check(struct call *c, const struct place *at, const struct aws_shape *s,
    const json_t *v)
{
	struct span text = { json_string_value(v), json_string_length(v) };
	enum rc rc;

	if ((rc = bounds_check(c, at, s, v, characters(text))) != RC_OK)
		return (rc);
	if (!pattern_ok(s, text))
		return (refuse(c, at, v, "must satisfy regular expression '%s'",
		    s->expression));
	return (enum_check(c, at, s, v));
}

static enum rc
list_check(struct call *c, const struct place *at, const struct aws_shape *s,
    const json_t *v)
{
	struct place in = { .up = at };
	const json_t *element;
	size_t i;
	enum rc rc;

	rc = bounds_check(c, at, s, v, (int64_t)json_array_size(v));
	for (i = 0; rc == RC_OK && i < json_array_size(v); i++) {
		in.index = i + 1;
		element = json_array_get(v, i);
		if (json_is_null(element))
			rc = refuse(c, &in, NULL, "Member must not be null");
		else
			rc = value_check(c, &in, s->element, element);
	}
	return (rc);
}

static enum rc
map_check(struct call *c, const struct place *at, const struct aws_shape *s,
    const json_t *v)
{
	json_t *map = (json_t *)(uintptr_t)v;
	struct place in = { .up = at };
	const char *key;
	json_t *value, *name;
	enum rc rc;

	rc = bounds_check(c, at, s, v, (int64_t)json_object_size(v));
	json_object_foreach(map, key, value)
	{
		if (rc != RC_OK)
			break;
		in.name = key;
		if (s->key != NULL) {
			name = json_string(key);
			rc = string_check(c, &in, s->key, name);
			json_decref(name);
		}
		if (rc == RC_OK && json_is_null(value))
			rc = refuse(c, &in, NULL, "Member must not be null");
		else if (rc == RC_OK)
			rc = value_check(c, &in, s->element, value);
	}
	return (rc);
}

static enum rc
structure_check(struct call *c, const struct place *at,
    const struct aws_shape *s, const json_t *v)
{
	struct place in = { .up = at };
	const struct aws_member *m;
	const json_t *value;
	size_t i;
	enum rc rc;

	for (i = 0; i < s->n_members; i++) {
		m = &s->members[i];
		in.name = m->name;
		value = aws_member(v, m->name);
		if (value != NULL)
			rc = value_check(c, &in, m->shape, value);
		else if (m->required)
			rc = refuse(c, &in, NULL, "Member must not be null");
		else
			rc = RC_OK;
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
value_check(struct call *c, const struct place *at, const struct aws_shape *s,
    const json_t *v)
{
	switch (s->type) {
	case AWS_STRING:
		if (json_is_string(v))
			return (string_check(c, at, s, v));
		break;
	case AWS_INTEGER:
		if (json_is_integer(v))
			return (
			    bounds_check(c, at, s, v, json_integer_value(v)));
		break;
	case AWS_BOOLEAN:
		if (json_is_boolean(v))
			return (RC_OK);
		break;
	case AWS_LIST:
		if (json_is_array(v))
			return (list_check(c, at, s, v));
		break;
	case AWS_MAP:
		if (json_is_object(v))
			return (map_check(c, at, s, v));
		break;
	case AWS_STRUCTURE:
		if (json_is_object(v))
			return (structure_check(c, at, s, v));
		break;
	case AWS_BLOB:
		if (json_is_string(v))
			return (RC_OK);
		break;
	}
	return (refuse_type(c, at, s, v));
}

enum rc
aws_validate(struct call *c, const struct aws_shape *s, const json_t *in)
{
	must(s->type == AWS_STRUCTURE);
	if (!json_is_object(in))
		return (call_fail(c, AWS_SERIALIZATION, NULL,
		    "the body is not a JSON object"));
	return (structure_check(c, NULL, s, in));
}

/* --- a form as input ----------------------------------------------------- */

/* -1 and so on are numbers; whether they are allowed is the shape's. */
static json_t *
integer_of(struct span text)
{
	bool negative = text.n > 0 && text.p[0] == '-';
	uint64_t n;

	if (negative)
		text = (struct span){ text.p + 1, text.n - 1 };
	if (num_u64_zeros(text, INT64_MAX, &n) != RC_OK)
		return (NULL);
	return (json_integer(negative ? -(json_int_t)n : (json_int_t)n));
}

static json_t *
scalar_of(const struct aws_shape *s, struct span text)
{
	bool b;

	if (s->type == AWS_INTEGER)
		return (integer_of(text));
	if (s->type == AWS_BOOLEAN)
		return (num_bool(text, &b) == RC_OK ? json_boolean(b) : NULL);
	must(s->type == AWS_STRING);
	return (json_stringn(text.p, text.n));
}

enum rc
aws_form_input(struct call *c, const struct aws_form *form,
    const struct aws_shape *s, json_t **in_r)
{
	const struct aws_member *m;
	json_t *in, *value;
	struct span text;
	size_t i;

	*in_r = NULL;
	in = json_object();
	for (i = 0; i < s->n_members; i++) {
		m = &s->members[i];
		if (!aws_form_get(form, m->name, &text))
			continue;
		value = scalar_of(m->shape, text);
		if (value == NULL) {
			json_decref(in);
			return (call_fail(c, AWS_SERIALIZATION, NULL,
			    "%s: \"%.*s\" cannot be read", m->name,
			    CALL_SHOW(text)));
		}
		aws_put(in, m->name, value);
	}
	*in_r = in;
	return (RC_OK);
}

/* --- reading what was checked -------------------------------------------- */

json_t *
aws_member(const json_t *in, const char *name)
{
	json_t *v = json_object_get(in, name);

	return (json_is_null(v) ? NULL : v);
}

struct span
aws_string(const json_t *in, const char *name)
{
	const json_t *v = aws_member(in, name);

	if (v == NULL)
		return (SPAN_NONE);
	return ((struct span){ json_string_value(v), json_string_length(v) });
}

bool
aws_true(const json_t *in, const char *name)
{
	return (json_is_true(aws_member(in, name)));
}
