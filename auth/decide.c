#include "auth/decide.h"

#include <stdio.h>

#include "auth/decide_int.h"
#include "auth/policy_int.h"

/*
 * The policies of the principal and those of the repository and the registry,
 * weighed by the rules that the header tells.
 */
struct weighing {
	const struct decide_input *input;
	struct decision d; /* of who allowed first, then of who denied */
	size_t policy;
	bool identity_allows;
	bool resource_allows; /* also only to the account */
	bool resource_itself; /* to everybody, or to the very principal */
};

static void
decided(struct weighing *w, enum decide_by by, const struct policy_match *m)
{
	w->d.by = by;
	w->d.statement = m->statement;
	w->d.sid = m->sid;
	w->d.label = NULL;
	w->d.explicit_deny = m->verdict == POLICY_DENIES;
}

/* False: denied. */
static bool
identity_weigh(struct weighing *w)
{
	const struct principal *p = w->input->request.principal;
	struct policy_match m;
	size_t i;

	for (i = 0; i < p->n_policies; i++) {
		policy_judge(p->policies[i].policy, &w->input->request,
		    w->identity_allows, &m);
		w->d.conditional = w->d.conditional || m.conditional;
		if (m.verdict == POLICY_SILENT)
			continue;
		decided(w, DECIDED_BY_IDENTITY, &m);
		w->d.label = p->policies[i].label;
		w->policy = i;
		if (m.verdict == POLICY_DENIES)
			return (false);
		w->identity_allows = true;
	}
	return (true);
}

/* ${own}: an Allow of the principal's own policies is enough. */
static bool
resource_weigh(struct weighing *w, const struct policy *policy,
    enum decide_by by, bool own)
{
	bool enough = own && w->identity_allows;
	struct policy_match m;

	if (policy == NULL)
		return (true);
	policy_judge(
	    policy, &w->input->request, enough || w->resource_itself, &m);
	w->d.conditional = w->d.conditional || m.conditional;
	if (m.verdict == POLICY_SILENT)
		return (true);
	if (m.verdict == POLICY_DENIES) {
		decided(w, by, &m);
		return (false);
	}
	if (!w->resource_allows || !m.by_account)
		decided(w, by, &m);
	w->resource_allows = true;
	w->resource_itself = w->resource_itself || !m.by_account;
	return (true);
}

/* These are about the caller alone, so no resource policy has a say. */
static bool
about_caller(struct span action)
{
	struct span head = { action.p, sizeof("sts:") - 1 };

	if (span_eq_nocase(action, SPAN("ecr:GetAuthorizationToken")))
		return (true);
	return (action.n > head.n && span_eq_nocase(head, SPAN("sts:")));
}

static bool
is_own(const struct decide_input *input)
{
	const struct principal *p = input->request.principal;

	return (p->kind == PRINCIPAL_USER &&
		(span_eq(p->account, input->account) ||
		    about_caller(input->request.action)));
}

/* Nobody denies: is that which allows enough? */
static bool
enough(const struct weighing *w, bool own)
{
	if (w->input->request.principal->kind == PRINCIPAL_ANONYMOUS)
		return (w->resource_allows);
	if (own)
		return (w->identity_allows || w->resource_itself);
	return (w->identity_allows && w->resource_allows);
}

static void
nobody_allows(struct weighing *w, bool own)
{
	struct decision none = { .by = DECIDED_BY_NOTHING };

	none.conditional = w->d.conditional;
	none.resource_silent = !own && !w->resource_allows;
	w->d = none;
}

void
decide_by_policy(const struct decide_input *input, struct decision *decision_r,
    size_t *policy_r)
{
	struct weighing w = { .input = input };
	bool own = is_own(input);

	if (input->request.principal->kind == PRINCIPAL_EVERYBODY) {
		w.d.allowed = true;
		w.d.by = DECIDED_BY_AUTH_NONE;
	} else if (identity_weigh(&w) &&
		   resource_weigh(
		       &w, input->repository, DECIDED_BY_REPOSITORY, own) &&
		   resource_weigh(
		       &w, input->registry, DECIDED_BY_REGISTRY, own)) {
		w.d.allowed = enough(&w, own);
		if (!w.d.allowed)
			nobody_allows(&w, own);
	}
	*decision_r = w.d;
	*policy_r = w.policy;
}

void
decide(const struct decide_input *input, struct decision *decision_r)
{
	size_t policy;

	decide_by_policy(input, decision_r, &policy);
}

/* --- in words ------------------------------------------------------------ */

/* Long ones are cut, so that the end of the sentence has its place. */
#define SHOWN_ARN_BYTES 640
#define SHOWN_ACTION_BYTES 128

static struct span
shown(struct span s, size_t most)
{
	if (s.n > most)
		s.n = most;
	return (s);
}

const char *
decide_message(const struct decide_input *input, const struct decision *d,
    char out[DECIDE_MESSAGE_BYTES])
{
	const struct policy_request *r = &input->request;
	struct span arn = shown(r->principal->arn, SHOWN_ARN_BYTES);
	struct span action = shown(r->action, SHOWN_ACTION_BYTES);
	struct span resource = shown(r->resource, SHOWN_ARN_BYTES);
	const char *kind = "an identity-based";
	int n;

	if (r->principal->kind == PRINCIPAL_ANONYMOUS)
		arn = SPAN("anonymous");
	else if (arn.n == 0)
		arn = shown(r->principal->name, SHOWN_ARN_BYTES);
	n = snprintf(out, DECIDE_MESSAGE_BYTES,
	    "User: " SPAN_FMT " is %sauthorized to perform: " SPAN_FMT
	    " on resource: " SPAN_FMT,
	    SPAN_ARG(arn), d->allowed ? "" : "not ", SPAN_ARG(action),
	    SPAN_ARG(resource));
	if (d->by == DECIDED_BY_REPOSITORY || d->by == DECIDED_BY_REGISTRY)
		kind = "a resource-based";
	if (d->explicit_deny)
		(void)snprintf(out + n, DECIDE_MESSAGE_BYTES - (size_t)n,
		    " with an explicit deny in %s policy", kind);
	else if (!d->allowed)
		(void)snprintf(out + n, DECIDE_MESSAGE_BYTES - (size_t)n,
		    " because no %s-based policy allows the " SPAN_FMT
		    " action",
		    d->resource_silent ? "resource" : "identity",
		    SPAN_ARG(action));
	return (out);
}
