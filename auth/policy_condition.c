#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/policy_int.h"
#include "base/hex.h"
#include "base/obj.h"

/*
 * Condition:
 *
 *	condition = "{" *( operator ":" "{" *( key ":" values ) "}" ) "}"
 *	operator  = [ "ForAllValues:" / "ForAnyValue:" ] name [ "IfExists" ]
 *
 * All operators and keys must hold; of the values one must, of a negated
 * operator none.  A name that is not in the table is refused: a condition
 * nobody understands must never let anybody in.
 */
#define EQ POLICY_EQUAL
#define LT POLICY_LESS
#define LE POLICY_LESS_EQUAL
#define GT POLICY_GREATER
#define GE POLICY_GREATER_EQUAL

static const struct policy_operator operators[] = {
	{ .name = "StringEquals", .type = POLICY_TYPE_STRING },
	{ .name = "StringNotEquals",
	    .type = POLICY_TYPE_STRING,
	    .negated = true },
	{ .name = "StringEqualsIgnoreCase",
	    .type = POLICY_TYPE_STRING,
	    .nocase = true },
	{ .name = "StringNotEqualsIgnoreCase",
	    .type = POLICY_TYPE_STRING,
	    .nocase = true,
	    .negated = true },
	{ .name = "StringLike", .type = POLICY_TYPE_STRING, .wild = true },
	{ .name = "StringNotLike",
	    .type = POLICY_TYPE_STRING,
	    .wild = true,
	    .negated = true },
	{ "NumericEquals", POLICY_TYPE_NUMERIC, EQ, false, false, false },
	{ "NumericNotEquals", POLICY_TYPE_NUMERIC, EQ, true, false, false },
	{ "NumericLessThan", POLICY_TYPE_NUMERIC, LT, false, false, false },
	{ "NumericLessThanEquals", POLICY_TYPE_NUMERIC, LE, false, false,
	    false },
	{ "NumericGreaterThan", POLICY_TYPE_NUMERIC, GT, false, false, false },
	{ "NumericGreaterThanEquals", POLICY_TYPE_NUMERIC, GE, false, false,
	    false },
	{ "DateEquals", POLICY_TYPE_DATE, EQ, false, false, false },
	{ "DateNotEquals", POLICY_TYPE_DATE, EQ, true, false, false },
	{ "DateLessThan", POLICY_TYPE_DATE, LT, false, false, false },
	{ "DateLessThanEquals", POLICY_TYPE_DATE, LE, false, false, false },
	{ "DateGreaterThan", POLICY_TYPE_DATE, GT, false, false, false },
	{ "DateGreaterThanEquals", POLICY_TYPE_DATE, GE, false, false, false },
	{ .name = "Bool", .type = POLICY_TYPE_BOOL, .nocase = true },
	{ .name = "BinaryEquals", .type = POLICY_TYPE_BINARY },
	{ .name = "IpAddress", .type = POLICY_TYPE_IP },
	{ .name = "NotIpAddress", .type = POLICY_TYPE_IP, .negated = true },
	{ .name = "ArnEquals", .type = POLICY_TYPE_ARN },
	{ .name = "ArnLike", .type = POLICY_TYPE_ARN },
	{ .name = "ArnNotEquals", .type = POLICY_TYPE_ARN, .negated = true },
	{ .name = "ArnNotLike", .type = POLICY_TYPE_ARN, .negated = true },
	{ .name = "Null", .type = POLICY_TYPE_NULL },
};

/* --- the name of an operator --------------------------------------------- */

static bool
prefix_cut(struct span *s, struct span prefix)
{
	if (s->n < prefix.n ||
	    !span_eq_nocase((struct span){ s->p, prefix.n }, prefix))
		return (false);
	s->p += prefix.n;
	s->n -= prefix.n;
	return (true);
}

static bool
suffix_cut(struct span *s, struct span suffix)
{
	if (s->n < suffix.n ||
	    !span_eq_nocase(
		(struct span){ s->p + s->n - suffix.n, suffix.n }, suffix))
		return (false);
	s->n -= suffix.n;
	return (true);
}

static enum rc
operator_find(
    struct policy_reader *r, const char *name, struct policy_condition *c)
{
	struct span rest = span_of(name);
	size_t i;

	if (prefix_cut(&rest, SPAN("ForAllValues:")))
		c->quantifier = POLICY_FOR_ALL;
	else if (prefix_cut(&rest, SPAN("ForAnyValue:")))
		c->quantifier = POLICY_FOR_ANY;
	c->if_exists = suffix_cut(&rest, SPAN("IfExists"));
	for (i = 0; i < ARRAY_LEN(operators); i++)
		if (span_eq_nocase(rest, span_of(operators[i].name)))
			break;
	if (i == ARRAY_LEN(operators))
		return (policy_refuse(
		    r, span_of(name), "is not a condition operator"));
	c->op = &operators[i];
	if (c->op->type == POLICY_TYPE_NULL &&
	    (c->if_exists || c->quantifier != POLICY_ONE))
		return (policy_refuse(r, span_of(name),
		    "is not a condition operator: Null stands alone"));
	return (RC_OK);
}

/* --- values -------------------------------------------------------------- */

static bool
base64_ok(struct span text)
{
	uint8_t out[3 * (POLICY_TEXT_MAX_BYTES / 4) + 3];
	size_t n;

	return (text.n <= POLICY_TEXT_MAX_BYTES &&
		base64_decode(text, out, &n) == RC_OK);
}

static enum rc
bool_compile(const struct policy_reader *r, struct span text,
    struct policy_pattern *pattern_r)
{
	bool flag, variable;

	variable = r->variables && memmem(text.p, text.n, "${", 2) != NULL;
	if (!variable && !policy_bool_read(text, &flag))
		return (policy_refuse(r, text, "must be true or false"));
	return (policy_pattern_compile(r, text, false, pattern_r));
}

static enum rc
binary_compile(const struct policy_reader *r, struct span text,
    struct policy_pattern *pattern_r)
{
	struct policy_reader plain = *r;

	if (!base64_ok(text))
		return (policy_refuse(r, text, "must be base64"));
	plain.variables = false;
	return (policy_pattern_compile(&plain, text, false, pattern_r));
}

/* The digits that the number borrows are moved into the arena. */
static enum rc
number_compile(
    const struct policy_reader *r, struct span text, struct policy_number *n_r)
{
	struct span kept = arena_span(r->arena, text);

	if (kept.p == NULL)
		return (policy_refuse_size(r));
	if (!policy_number_read(kept, n_r))
		return (
		    policy_refuse(r, text, "must be a number, as 5 or -1.5"));
	return (RC_OK);
}

static enum rc
value_compile(const struct policy_reader *r, const struct policy_operator *op,
    struct span text, union policy_value *v_r)
{
	switch (op->type) {
	case POLICY_TYPE_STRING:
		return (
		    policy_pattern_compile(r, text, op->wild, &v_r->pattern));
	case POLICY_TYPE_ARN:
		return (policy_arn_compile(r, text, &v_r->arn));
	case POLICY_TYPE_BOOL:
		return (bool_compile(r, text, &v_r->pattern));
	case POLICY_TYPE_BINARY:
		return (binary_compile(r, text, &v_r->pattern));
	case POLICY_TYPE_NUMERIC:
		return (number_compile(r, text, &v_r->number));
	case POLICY_TYPE_DATE:
		if (policy_date_read(text, &v_r->date_ms))
			return (RC_OK);
		return (policy_refuse(r, text,
		    "must be a date, as 2026-01-31T12:00:00Z, or seconds "
		    "since 1970"));
	case POLICY_TYPE_IP:
		if (policy_network_read(text, &v_r->network))
			return (RC_OK);
		return (policy_refuse(r, text,
		    "must be an IP address or a range, as 203.0.113.0/24 or "
		    "2001:db8::/32"));
	case POLICY_TYPE_NULL:
		if (policy_bool_read(text, &v_r->flag))
			return (RC_OK);
		return (policy_refuse(r, text, "must be true or false"));
	}
	wrong("an operator of no type");
}

/* IAM takes numbers and truth values in quotes and without. */
static enum rc
value_read(const struct policy_reader *r, const struct policy_condition *c,
    const json_t *v, union policy_value *v_r)
{
	struct span text;
	char *dump;
	enum rc rc;

	if (json_is_object(v) || json_is_array(v) || json_is_null(v))
		return (policy_refuse_json(
		    r, v, "must be a string, a number, true or false"));
	if (json_is_string(v)) {
		text = (struct span){ json_string_value(v),
			json_string_length(v) };
		return (value_compile(r, c->op, text, v_r));
	}
	dump = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	if (dump == NULL)
		return (policy_refuse_size(r));
	rc = value_compile(r, c->op, span_of(dump), v_r);
	free(dump);
	return (rc);
}

/* --- one key under one operator ------------------------------------------ */

static enum rc
key_read(struct policy_reader *r, const char *name, struct policy_key *key_r)
{
	struct span kept;

	if (strchr(name, ':') == NULL)
		return (policy_refuse(r, span_of(name),
		    "is not a condition key, as aws:SourceIp"));
	kept = arena_span(r->arena, span_of(name));
	if (kept.p == NULL)
		return (policy_refuse_size(r));
	policy_key_find(kept, key_r);
	return (RC_OK);
}

static enum rc
condition_read(struct policy_reader *r, const char *key, const json_t *v,
    struct policy_condition *c)
{
	union policy_value *list;
	enum rc rc;
	size_t i;

	if ((rc = key_read(r, key, &c->key)) != RC_OK)
		return (rc);
	rc = policy_list_alloc(r, v, sizeof(*list), &list, &c->n_values);
	for (i = 0; rc == RC_OK && i < c->n_values; i++)
		rc = value_read(r, c, policy_list_at(v, i), &list[i]);
	if (rc == RC_OK)
		c->values = list;
	return (rc);
}

/* "Condition.StringEquals.aws:username", for a refusal. */
#define WHERE_BYTES 160

static enum rc
keys_read(struct policy_reader *r, const char *name, const json_t *o,
    struct policy_condition **next)
{
	struct policy_condition model = { 0 };
	char where[WHERE_BYTES];
	const char *key;
	json_t *v;
	enum rc rc;

	if ((rc = operator_find(r, name, &model)) != RC_OK)
		return (rc);
	json_object_foreach((json_t *)o, key, v)
	{
		(void)snprintf(
		    where, sizeof(where), "Condition.%s.%s", name, key);
		r->element = where;
		**next = model;
		rc = condition_read(r, key, v, *next);
		if (rc != RC_OK)
			break;
		(*next)++;
		r->element = "Condition";
	}
	return (rc);
}

/* How many keys in all. */
static enum rc
keys_count(struct policy_reader *r, const json_t *o, size_t *n_r)
{
	const char *name;
	json_t *v;

	*n_r = 0;
	if (!json_is_object(o))
		return (policy_refuse_json(r, o, "must be an object"));
	json_object_foreach((json_t *)o, name, v)
	{
		if (!json_is_object(v))
			return (policy_refuse(r, span_of(name),
			    "must be an object, as {\"aws:SourceIp\": "
			    "\"203.0.113.0/24\"}"));
		if (json_object_size(v) == 0)
			return (policy_refuse(
			    r, span_of(name), "has no condition key"));
		*n_r += json_object_size(v);
	}
	return (RC_OK);
}

enum rc
policy_conditions_read(
    struct policy_reader *r, const json_t *v, struct policy_statement *st)
{
	struct policy_condition *list, *next;
	const char *name;
	json_t *keys;
	enum rc rc;

	if ((rc = keys_count(r, v, &st->n_conditions)) != RC_OK)
		return (rc);
	list = arena_calloc(r->arena, st->n_conditions, sizeof(*list));
	if ((next = list) == NULL)
		return (policy_refuse_size(r));
	json_object_foreach((json_t *)v, name, keys)
	{
		if ((rc = keys_read(r, name, keys, &next)) != RC_OK)
			return (rc);
	}
	st->conditions = list;
	return (RC_OK);
}
