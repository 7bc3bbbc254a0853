#include <string.h>

#include "auth/policy_int.h"

/*
 * Principal and NotPrincipal:
 *
 *	principal = "*" / "{" kind ":" (name / [name, ...]) ... "}"
 *	kind      = "AWS" / "Service"
 *
 * A name under AWS is "*", an account, or the ARN of an account, of a user, of
 * a role or of a session.  There are no roles and no services here: they are
 * understood, so that a policy can be brought along, and never match.
 */
#define ACCOUNT_DIGITS 12

static bool
account_ok(struct span s)
{
	size_t i;

	if (s.n != ACCOUNT_DIGITS)
		return (false);
	for (i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return (false);
	return (true);
}

static bool
partition_ok(struct span s)
{
	return (span_is(s, "aws") || span_is(s, "aws-cn") ||
		span_is(s, "aws-us-gov"));
}

/* What names and paths of users and roles are made of. */
static bool
name_char(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') ||
		(c != '\0' && strchr("_+=,.@-/", c) != NULL));
}

static bool
name_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!name_char(s.p[i]))
			return (false);
	return (s.n > 0 && s.p[s.n - 1] != '/');
}

/* "user/NAME" and its like. */
static bool
entity_ok(struct span service, struct span s)
{
	struct span kind, name = s;

	if (!span_split(&name, '/', &kind) || !name_ok(name))
		return (false);
	if (span_is(service, "iam"))
		return (span_is(kind, "user") || span_is(kind, "role"));
	if (!span_is(service, "sts"))
		return (false);
	if (span_is(kind, "assumed-role"))
		return (memchr(name.p, '/', name.n) != NULL);
	return (span_is(kind, "federated-user"));
}

static bool
arn_read(struct span text, struct policy_who *who_r)
{
	struct policy_arn arn;
	struct span resource;

	policy_arn_split(text, &arn);
	if (!arn.ok || !partition_ok(arn.part[POLICY_ARN_PARTITION]) ||
	    arn.part[POLICY_ARN_REGION].n > 0 ||
	    !account_ok(arn.part[POLICY_ARN_ACCOUNT]))
		return (false);
	resource = arn.part[POLICY_ARN_RESOURCE];
	if (span_is(arn.part[POLICY_ARN_SERVICE], "iam") &&
	    span_is(resource, "root")) {
		who_r->kind = POLICY_WHO_ACCOUNT;
		who_r->text = arn.part[POLICY_ARN_ACCOUNT];
		return (true);
	}
	who_r->kind = POLICY_WHO_ARN;
	who_r->text = text;
	return (entity_ok(arn.part[POLICY_ARN_SERVICE], resource));
}

static enum rc
who_read(
    const struct policy_reader *r, struct span text, struct policy_who *who_r)
{
	if (span_is(text, "*")) {
		who_r->kind = POLICY_WHO_EVERYBODY;
		return (RC_OK);
	}
	if (account_ok(text)) {
		who_r->kind = POLICY_WHO_ACCOUNT;
		who_r->text = text;
	} else if (!arn_read(text, who_r)) {
		return (policy_refuse(r, text,
		    "must be \"*\", an account of 12 digits, or "
		    "arn:aws:iam::ACCOUNT:root, :user/NAME, :role/NAME or "
		    "arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION; a part "
		    "of it cannot be a wildcard"));
	}
	who_r->text = arena_span(r->arena, who_r->text);
	return (who_r->text.p != NULL ? RC_OK : policy_refuse_size(r));
}

static enum rc
service_read(
    const struct policy_reader *r, struct span text, struct policy_who *who_r)
{
	who_r->kind = POLICY_WHO_NOBODY;
	if (!name_ok(text) || memchr(text.p, '.', text.n) == NULL)
		return (policy_refuse(
		    r, text, "must be a service, as codebuild.amazonaws.com"));
	return (RC_OK);
}

static enum rc
everybody_read(
    struct policy_reader *r, const json_t *v, struct policy_statement *st)
{
	struct policy_who *who;

	if (!json_is_string(v) || strcmp(json_string_value(v), "*") != 0)
		return (policy_refuse_json(
		    r, v, "must be \"*\" or an object, as {\"AWS\": \"*\"}"));
	if ((who = arena_calloc(r->arena, 1, sizeof(*who))) == NULL)
		return (policy_refuse_size(r));
	who->kind = POLICY_WHO_EVERYBODY;
	st->principals = who;
	st->n_principals = 1;
	return (RC_OK);
}

/* Of {"AWS": ..., "Service": ...}: how many names in all. */
static enum rc
names_count(struct policy_reader *r, const json_t *o, size_t *n_r)
{
	const char *kind;
	json_t *v;

	*n_r = 0;
	json_object_foreach((json_t *)o, kind, v)
	{
		if (strcmp(kind, "AWS") != 0 && strcmp(kind, "Service") != 0)
			return (policy_refuse(r, span_of(kind),
			    "is not a kind of principal: these are AWS and "
			    "Service"));
		if (policy_list_size(v) == 0)
			return (policy_refuse(
			    r, span_of(kind), "has an empty list"));
		*n_r += policy_list_size(v);
	}
	if (*n_r == 0)
		return (policy_refuse(r, SPAN_NONE, "an empty object"));
	return (RC_OK);
}

static enum rc
names_read(struct policy_reader *r, const char *kind, const json_t *v,
    struct policy_who **next)
{
	bool aws = strcmp(kind, "AWS") == 0;
	struct span text;
	enum rc rc;
	size_t i;

	for (i = 0; i < policy_list_size(v); i++) {
		if ((rc = policy_list_str(r, v, i, &text)) != RC_OK)
			return (rc);
		rc = aws ? who_read(r, text, *next)
			 : service_read(r, text, *next);
		if (rc != RC_OK)
			return (rc);
		(*next)++;
	}
	return (RC_OK);
}

enum rc
policy_principals_read(
    struct policy_reader *r, const json_t *v, struct policy_statement *st)
{
	struct policy_who *list, *next;
	const char *kind;
	json_t *names;
	enum rc rc;

	st->has_principals = true;
	if (!json_is_object(v))
		return (everybody_read(r, v, st));
	if ((rc = names_count(r, v, &st->n_principals)) != RC_OK)
		return (rc);
	list = arena_calloc(r->arena, st->n_principals, sizeof(*list));
	if ((next = list) == NULL)
		return (policy_refuse_size(r));
	json_object_foreach((json_t *)v, kind, names)
	{
		if ((rc = names_read(r, kind, names, &next)) != RC_OK)
			return (rc);
	}
	st->principals = list;
	return (RC_OK);
}

/* --- evaluation ---------------------------------------------------------- */

/* An account is a weaker word than the user's own name or everybody's. */
static bool
who_matches(const struct policy_statement *st, const struct principal *p,
    bool *by_account_r)
{
	const struct policy_who *who;
	bool known = p->kind != PRINCIPAL_ANONYMOUS, account = false;
	size_t i;

	*by_account_r = false;
	for (i = 0; i < st->n_principals; i++) {
		who = &st->principals[i];
		if (who->kind == POLICY_WHO_EVERYBODY)
			return (true);
		if (who->kind == POLICY_WHO_ARN && known &&
		    span_eq(who->text, p->arn))
			return (true);
		if (who->kind == POLICY_WHO_ACCOUNT && known &&
		    span_eq(who->text, p->account))
			account = true;
	}
	*by_account_r = account;
	return (account);
}

bool
policy_principals_match(const struct policy_statement *st,
    const struct policy_request *request, bool *by_account_r)
{
	bool matches;

	*by_account_r = false;
	if (!st->has_principals)
		return (true);
	matches = who_matches(st, request->principal, by_account_r);
	if (!st->not_principal)
		return (matches);
	/* As IAM has it: "deny all but Bob" lists Bob and his account, and means
	 * Bob, not everybody in the account. */
	if (st->deny && *by_account_r)
		matches = false;
	*by_account_r = false;
	/* Nobody means, by "all but Bob", that Bob need only hide his name. */
	if (request->principal->kind == PRINCIPAL_ANONYMOUS && !st->deny)
		return (false);
	return (!matches);
}
