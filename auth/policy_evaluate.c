#include <string.h>

#include "auth/policy_int.h"
#include "base/obj.h"

/*
 * Does a statement apply, and what follows.  The cheap questions come first,
 * so that mostly no condition is looked at.
 */
bool
policy_is(const struct policy_asking *a, enum policy_found found)
{
	return (found == POLICY_YES || (found == POLICY_UNSEEN && a->deny));
}

bool
policy_not(const struct policy_asking *a, enum policy_found found)
{
	return (found == POLICY_NO || (found != POLICY_YES && a->deny));
}

bool
policy_spend(struct policy_asking *a, size_t steps)
{
	if (a == NULL)
		return (true);
	if (a->work <= POLICY_WORK_MAX)
		a->work += steps;
	return (a->work <= POLICY_WORK_MAX);
}

static enum policy_found
either(enum policy_found a, enum policy_found b)
{
	return (a > b ? a : b);
}

/* --- conditions ---------------------------------------------------------- */

static enum policy_found
related(enum policy_relation relation, int d)
{
	bool holds = false;

	switch (relation) {
	case POLICY_EQUAL:
		holds = d == 0;
		break;
	case POLICY_LESS:
		holds = d < 0;
		break;
	case POLICY_LESS_EQUAL:
		holds = d <= 0;
		break;
	case POLICY_GREATER:
		holds = d > 0;
		break;
	case POLICY_GREATER_EQUAL:
		holds = d >= 0;
		break;
	}
	return (holds ? POLICY_YES : POLICY_NO);
}

/* About what it takes without the bytes, which patterns count themselves. */
#define STEPS_PER_VALUE 8

/* What the request says, read once as the type of the operator. */
struct subject {
	struct span text;
	struct policy_arn arn;
	struct policy_number number;
	struct policy_network network;
	int64_t date_ms;
};

/* False: it is not of that type. */
static bool
subject_read(enum policy_type type, struct span text, struct subject *s)
{
	bool flag;

	s->text = text;
	switch (type) {
	case POLICY_TYPE_ARN:
		policy_arn_split(text, &s->arn);
		return (s->arn.ok);
	case POLICY_TYPE_NUMERIC:
		return (policy_number_read(text, &s->number));
	case POLICY_TYPE_DATE:
		return (policy_date_read(text, &s->date_ms));
	case POLICY_TYPE_IP:
		return (policy_network_read(text, &s->network) &&
			s->network.prefix_bits == 128);
	case POLICY_TYPE_BOOL:
		return (policy_bool_read(text, &flag));
	case POLICY_TYPE_STRING:
	case POLICY_TYPE_BINARY:
	case POLICY_TYPE_NULL:
		break;
	}
	return (true);
}

static enum policy_found
compare(struct policy_asking *a, const struct policy_operator *op,
    const union policy_value *v, const struct subject *s)
{
	int64_t date_ms;

	switch (op->type) {
	case POLICY_TYPE_ARN:
		return (policy_arn_match(&v->arn, a, &s->arn));
	case POLICY_TYPE_NUMERIC:
		return (related(
		    op->relation, policy_number_cmp(&s->number, &v->number)));
	case POLICY_TYPE_DATE:
		date_ms = v->date_ms;
		return (related(op->relation,
		    (s->date_ms > date_ms) - (s->date_ms < date_ms)));
	case POLICY_TYPE_IP:
		return (policy_network_has(&v->network, &s->network)
			    ? POLICY_YES
			    : POLICY_NO);
	case POLICY_TYPE_STRING:
	case POLICY_TYPE_BOOL:
	case POLICY_TYPE_BINARY:
		return (
		    policy_pattern_match(&v->pattern, a, s->text, op->nocase));
	case POLICY_TYPE_NULL:
		break;
	}
	wrong("a comparison of no type");
}

/* Is this one value of the key among those of the policy? */
static enum policy_found
value_found(
    struct policy_asking *a, const struct policy_condition *c, struct span text)
{
	enum policy_found found = POLICY_NO;
	struct subject s;
	size_t i;

	if (!policy_spend(a, STEPS_PER_VALUE + text.n))
		return (POLICY_UNSEEN);
	if (!subject_read(c->op->type, text, &s))
		return (POLICY_UNKNOWN);
	for (i = 0; i < c->n_values && found != POLICY_YES; i++) {
		if (!policy_spend(a, STEPS_PER_VALUE))
			return (POLICY_UNSEEN);
		found = either(found, compare(a, c->op, &c->values[i], &s));
	}
	return (found);
}

static bool
value_holds(struct policy_asking *a, const struct policy_condition *c, size_t i)
{
	enum policy_found found = POLICY_UNSEEN;
	struct span text;

	if (policy_key_value(a, &c->key, i, &text))
		found = value_found(a, c, text);
	return (c->op->negated ? policy_not(a, found) : policy_is(a, found));
}

static bool
missing_holds(const struct policy_condition *c)
{
	if (c->if_exists)
		return (true);
	if (c->quantifier == POLICY_FOR_ALL)
		return (true);
	return (c->quantifier == POLICY_ONE && c->op->negated);
}

static bool
null_holds(const struct policy_condition *c, bool missing)
{
	size_t i;

	for (i = 0; i < c->n_values; i++)
		if (c->values[i].flag == missing)
			return (true);
	return (false);
}

/*
 * A key of many values without a quantifier: one value must match, or, of a
 * negated operator, none.
 */
static bool
condition_holds(struct policy_asking *a, const struct policy_condition *c)
{
	size_t i, n;
	bool all, holds;

	if (!policy_spend(a, STEPS_PER_VALUE))
		return (a->deny);
	n = policy_key_count(a, &c->key);
	if (c->op->type == POLICY_TYPE_NULL)
		return (null_holds(c, n == 0));
	if (n == 0)
		return (missing_holds(c));
	all = c->quantifier == POLICY_FOR_ALL ||
	      (c->quantifier == POLICY_ONE && c->op->negated);
	for (i = 0; i < n; i++) {
		holds = value_holds(a, c, i);
		if (holds != all)
			return (holds);
	}
	return (all);
}

bool
policy_conditions_hold(
    const struct policy_statement *st, struct policy_asking *a)
{
	size_t i;

	for (i = 0; i < st->n_conditions; i++)
		if (!condition_holds(a, &st->conditions[i]))
			return (false);
	return (true);
}

/* --- statements ---------------------------------------------------------- */

static bool
resources_match(const struct policy_statement *st, struct policy_asking *a)
{
	enum policy_found found = POLICY_NO;
	size_t i;

	if (!st->has_resources)
		return (true);
	for (i = 0; i < st->n_resources && found != POLICY_YES; i++)
		found = either(found,
		    policy_arn_match(&st->resources[i], a, &a->resource));
	return (st->not_resource ? policy_not(a, found) : policy_is(a, found));
}

static bool
statement_applies(const struct policy_statement *st, struct policy_asking *a,
    bool *by_account_r)
{
	a->deny = st->deny;
	return (policy_actions_match(st, a) &&
		policy_principals_match(st, a->request, by_account_r) &&
		resources_match(st, a) && policy_conditions_hold(st, a));
}

void
policy_judge(const struct policy *p, const struct policy_request *request,
    bool denies_only, struct policy_match *match_r)
{
	struct policy_match m = { .verdict = POLICY_SILENT };
	struct policy_asking a;
	const struct policy_statement *st;
	bool by_account;
	size_t i;

	a.request = request;
	a.action = policy_action_number(request->action);
	a.conditional = false;
	a.work = 0;
	a.time[0] = '\0';
	policy_arn_split(request->resource, &a.resource);
	for (i = 0; i < p->n_statements && m.verdict != POLICY_DENIES; i++) {
		st = &p->statements[i];
		/* A better Allow than that in hand would be needed. */
		if (!st->deny && (denies_only || (m.verdict == POLICY_ALLOWS &&
						     !m.by_account)))
			continue;
		if (!statement_applies(st, &a, &by_account))
			continue;
		if (m.verdict == POLICY_ALLOWS && !st->deny && by_account)
			continue;
		m.verdict = st->deny ? POLICY_DENIES : POLICY_ALLOWS;
		m.statement = i + 1;
		m.sid = st->sid;
		m.by_account = by_account && !st->deny;
	}
	m.conditional = a.conditional;
	*match_r = m;
}

void
policy_evaluate(const struct policy *p, const struct policy_request *request,
    struct policy_match *match_r)
{
	policy_judge(p, request, false, match_r);
}
