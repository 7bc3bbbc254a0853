#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"

/*
 * Parameters (CloudFormation User Guide, "Parameters").  As there, the value
 * of one is a text whatever its type: a Number is checked to be one, and a
 * list is a list of texts.  Types of AWS ("AWS::EC2::VPC::Id") are texts and
 * lists of them, for nothing here knows what there is; but a value that only
 * AWS Systems Manager knows (AWS::SSM::Parameter::Value<...>) is none here,
 * and what rests on it is refused.
 */
#define SSM_VALUE "AWS::SSM::Parameter::Value<"

enum kind { KIND_TEXT, KIND_NUMBER, KIND_TEXTS, KIND_NUMBERS, KIND_ELSEWHERE };

struct parameter {
	const char *name;
	const json_t *node;
	enum kind kind;
	bool secret;
};

/* --- what is said of it -------------------------------------------------- */

static enum rc
kind_read(struct resolver *r, const char *type, enum kind *kind_r)
{
	static const char list_of[] = "List<AWS::";
	static const struct {
		const char *type;
		enum kind kind;
	} kinds[] = {
		{ "String", KIND_TEXT },
		{ "Number", KIND_NUMBER },
		{ "CommaDelimitedList", KIND_TEXTS },
		{ "List<String>", KIND_TEXTS },
		{ "List<Number>", KIND_NUMBERS },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0) {
			*kind_r = kinds[i].kind;
			return (RC_OK);
		}
	if (strncmp(type, SSM_VALUE, sizeof(SSM_VALUE) - 1) == 0)
		*kind_r = KIND_ELSEWHERE;
	else if (strncmp(type, "AWS::", 5) == 0)
		*kind_r = KIND_TEXT;
	else if (strncmp(type, list_of, sizeof(list_of) - 1) == 0)
		*kind_r = KIND_TEXTS;
	else
		return (template_refuse(
		    r, RC_INVALID, "there is no type \"%.250s\"", type));
	return (RC_OK);
}

static bool
is_secret(const json_t *node)
{
	const json_t *v = json_object_get(node, "NoEcho");
	const char *text = json_string_value(v);

	return (json_is_true(v) || (text != NULL && strcmp(text, "true") == 0));
}

/* Its own value was given, or Default; the caller frees it. */
static enum rc
raw_find(struct resolver *r, const struct parameter *p, char **text_r)
{
	const struct template_context *c = r->context;
	const json_t *otherwise = json_object_get(p->node, "Default");
	size_t i, n = strlen(p->name);

	for (i = 0; i < c->n_parameters; i++)
		if (strncmp(c->parameters[i], p->name, n) == 0 &&
		    c->parameters[i][n] == '=') {
			*text_r = xstrdup(c->parameters[i] + n + 1);
			return (RC_OK);
		}
	if (otherwise == NULL)
		return (template_refuse(r, RC_INVALID,
		    "it has no Default, and no value was given"));
	*text_r = template_scalar_text(otherwise);
	if (*text_r == NULL)
		return (template_refuse(
		    r, RC_INVALID, "Default must be a text or a number"));
	return (RC_OK);
}

/* --- what is allowed ----------------------------------------------------- */

static enum rc __attribute__((format(printf, 4, 5)))
value_refuse(struct resolver *r, const struct parameter *p, const char *text,
    const char *fmt, ...)
{
	const char *said = json_string_value(
	    json_object_get(p->node, "ConstraintDescription"));
	char reason[TEMPLATE_WHY_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)template_vfail(reason, RC_INVALID, fmt, ap);
	va_end(ap);
	return (template_refuse(r, RC_INVALID, "%s%.100s%s %.400s%s%.300s",
	    p->secret ? "the value" : "\"", p->secret ? "" : text,
	    p->secret ? "" : "\"", reason, said != NULL ? ": " : "",
	    said != NULL ? said : ""));
}

/* A number as one may write it: also +5 and 007; NULL: none. */
static json_t *
number_read(const char *text)
{
	bool minus = *text == '-';
	json_t *v;
	char *plain;

	if (*text == '-' || *text == '+')
		text++;
	if (*text < '0' || *text > '9')
		return (NULL);
	while (text[0] == '0' && text[1] >= '0' && text[1] <= '9')
		text++;
	plain = xasprintf("%s%s", minus ? "-" : "", text);
	v = json_loads(plain, JSON_DECODE_ANY, NULL);
	free(plain);
	return (v);
}

static int
number_cmp(const json_t *a, const json_t *b)
{
	double x, y;

	if (json_is_integer(a) && json_is_integer(b))
		return ((json_integer_value(a) > json_integer_value(b)) -
			(json_integer_value(a) < json_integer_value(b)));
	x = json_number_value(a);
	y = json_number_value(b);
	return ((x > y) - (x < y));
}

/* The member ${key}, a number; *${bound_r} NULL: there is none. */
static enum rc
bound_read(struct resolver *r, const struct parameter *p, const char *key,
    json_t **bound_r)
{
	const json_t *v = json_object_get(p->node, key);
	char *text;

	*bound_r = NULL;
	if (v == NULL)
		return (RC_OK);
	text = template_scalar_text(v);
	if (text != NULL)
		*bound_r = number_read(text);
	free(text);
	if (*bound_r == NULL)
		return (
		    template_refuse(r, RC_INVALID, "%s must be a number", key));
	return (RC_OK);
}

/* Is ${value}, called ${what}, between the members ${low} and ${high}? */
static enum rc
bounds_check(struct resolver *r, const struct parameter *p, const char *text,
    const json_t *value, const char *const keys[2])
{
	json_t *low = NULL, *high = NULL;
	enum rc rc;

	if ((rc = bound_read(r, p, keys[0], &low)) != RC_OK ||
	    (rc = bound_read(r, p, keys[1], &high)) != RC_OK)
		goto out;
	if (low != NULL && number_cmp(value, low) < 0)
		rc = value_refuse(r, p, text, "is below %s", keys[0]);
	else if (high != NULL && number_cmp(value, high) > 0)
		rc = value_refuse(r, p, text, "is above %s", keys[1]);
out:
	json_decref(low);
	json_decref(high);
	return (rc);
}

static enum rc
number_check(struct resolver *r, const struct parameter *p, const char *text)
{
	static const char *const keys[] = { "MinValue", "MaxValue" };
	json_t *value = number_read(text);
	enum rc rc;

	if (value == NULL)
		return (value_refuse(r, p, text, "is no number"));
	rc = bounds_check(r, p, text, value, keys);
	json_decref(value);
	return (rc);
}

static enum rc
length_check(struct resolver *r, const struct parameter *p, const char *text)
{
	static const char *const keys[] = { "MinLength", "MaxLength" };
	json_int_t n = 0;
	json_t *length;
	const char *c;
	enum rc rc;

	for (c = text; *c != '\0'; c++)
		n += ((unsigned char)*c & 0xc0) != 0x80;
	length = json_integer(n);
	must(length != NULL);
	rc = bounds_check(r, p, text, length, keys);
	json_decref(length);
	return (rc);
}

static bool
text_is(const json_t *v, const char *text)
{
	char *other;
	bool is;

	if (json_is_string(v))
		return (strcmp(json_string_value(v), text) == 0);
	other = template_scalar_text(v);
	is = other != NULL && strcmp(other, text) == 0;
	free(other);
	return (is);
}

static enum rc
allowed_check(struct resolver *r, const struct parameter *p, const char *text)
{
	const json_t *all = json_object_get(p->node, "AllowedValues");
	json_t *item;
	size_t i;

	if (all == NULL)
		return (RC_OK);
	if (!json_is_array(all))
		return (template_refuse(
		    r, RC_INVALID, "AllowedValues must be a list"));
	json_array_foreach(all, i, item)
	{
		if (text_is(item, text))
			return (RC_OK);
	}
	return (value_refuse(r, p, text, "is none of the AllowedValues"));
}

static enum rc
pattern_check(struct resolver *r, const struct parameter *p, const char *text)
{
	const json_t *v = json_object_get(p->node, "AllowedPattern");
	char why[TEMPLATE_WHY_BYTES] = "";
	bool is;
	enum rc rc;

	if (v == NULL)
		return (RC_OK);
	if (!json_is_string(v))
		return (template_refuse(
		    r, RC_INVALID, "AllowedPattern must be a text"));
	rc = template_pattern_match(json_string_value(v), text, &is, why);
	if (rc != RC_OK)
		return (template_refuse(r, rc, "AllowedPattern: %s", why));
	if (!is)
		return (value_refuse(r, p, text,
		    "does not match the AllowedPattern %.200s",
		    json_string_value(v)));
	return (RC_OK);
}

static enum rc
item_check(struct resolver *r, const struct parameter *p, const char *text)
{
	enum rc rc;

	if ((rc = allowed_check(r, p, text)) != RC_OK)
		return (rc);
	if (p->kind == KIND_NUMBER || p->kind == KIND_NUMBERS)
		return (number_check(r, p, text));
	if (p->kind == KIND_TEXT && (rc = length_check(r, p, text)) != RC_OK)
		return (rc);
	return (pattern_check(r, p, text));
}

/* --- its value ----------------------------------------------------------- */

static void
secret_note(struct resolver *r, const struct parameter *p, const json_t *v)
{
	if (p->secret && json_string_length(v) > 0)
		must(json_array_append(r->secrets, (json_t *)v) == 0);
}

/* One text, or one of a list, checked. */
static enum rc
item_take(struct resolver *r, const struct parameter *p, struct span text,
    json_t **v_r)
{
	json_t *v = json_stringn(text.p, text.n);
	enum rc rc;

	if (v == NULL)
		return (
		    template_refuse(r, RC_INVALID, "the value is not UTF-8"));
	secret_note(r, p, v);
	rc = item_check(r, p, json_string_value(v));
	if (rc != RC_OK) {
		json_decref(v);
		v = NULL;
	}
	*v_r = v;
	return (rc);
}

/* "a, b,c"; an empty text is a list of one empty text. */
static enum rc
list_take(struct resolver *r, const struct parameter *p, const char *text,
    json_t *all)
{
	const char *end;
	json_t *item;
	enum rc rc;

	do {
		end = strchrnul(text, ',');
		rc = item_take(r, p,
		    span_trim((struct span){ text, (size_t)(end - text) }),
		    &item);
		if (rc != RC_OK)
			return (rc);
		must(json_array_append_new(all, item) == 0);
		text = end + 1;
	} while (*end != '\0');
	return (RC_OK);
}

static enum rc
value_take(struct resolver *r, const struct parameter *p, json_t **v_r)
{
	enum rc rc;
	char *text;

	*v_r = NULL;
	if ((rc = raw_find(r, p, &text)) != RC_OK)
		return (rc);
	if (strlen(text) > TEMPLATE_PARAMETER_MAX_BYTES)
		rc = template_refuse(r, RC_TOOBIG,
		    "the value is longer than %d bytes",
		    TEMPLATE_PARAMETER_MAX_BYTES);
	else if (p->kind == KIND_ELSEWHERE)
		*v_r = json_null();
	else if (p->kind == KIND_TEXT || p->kind == KIND_NUMBER)
		rc = item_take(r, p, span_of(text), v_r);
	else {
		*v_r = json_array();
		must(*v_r != NULL);
		rc = list_take(r, p, text, *v_r);
	}
	mem_wipe(text, strlen(text));
	free(text);
	return (rc);
}

static enum rc
parameter_take(struct resolver *r, const char *name, const json_t *node)
{
	struct parameter p = {
		.name = name, .node = node, .secret = is_secret(node)
	};
	json_t *v = NULL;
	enum rc rc;

	rc = kind_read(
	    r, json_string_value(json_object_get(node, "Type")), &p.kind);
	if (rc == RC_OK)
		rc = value_take(r, &p, &v);
	if (rc == RC_OK)
		must(json_object_set(r->parameters, name, v) == 0);
	json_decref(v);
	return (rc);
}

/* Every one that was given is known, and was given once. */
static enum rc
given_check(struct resolver *r, const json_t *all)
{
	const struct template_context *c = r->context;
	json_t *seen = json_object();
	enum rc rc = RC_OK;
	size_t i, n;
	char *name;

	must(seen != NULL);
	for (i = 0; rc == RC_OK && i < c->n_parameters; i++) {
		n = strcspn(c->parameters[i], "=");
		name = xstrndup(c->parameters[i], n);
		if (c->parameters[i][n] == '\0')
			rc = template_fail(r->why, RC_INVALID,
			    "the parameter \"%.250s\" must be NAME=VALUE",
			    name);
		else if (json_object_get(all, name) == NULL)
			rc = template_fail(r->why, RC_INVALID,
			    "the template has no parameter \"%.250s\"", name);
		else if (json_object_get(seen, name) != NULL)
			rc = template_fail(r->why, RC_INVALID,
			    "the parameter \"%.250s\" was given twice", name);
		else
			must(json_object_set_new(seen, name, json_true()) == 0);
		free(name);
	}
	json_decref(seen);
	return (rc);
}

enum rc
template_parameters(struct resolver *r)
{
	const json_t *all = json_object_get(r->t->doc, "Parameters");
	const char *name;
	json_t *node;
	size_t outer, inner;
	enum rc rc;

	if ((rc = given_check(r, all)) != RC_OK)
		return (rc);
	outer = template_enter(r, "Parameters");
	json_object_foreach((json_t *)all, name, node)
	{
		inner = template_enter(r, name);
		if ((rc = parameter_take(r, name, node)) != RC_OK)
			return (rc);
		template_leave(r, inner);
	}
	template_leave(r, outer);
	return (RC_OK);
}
