#include "auth/admin_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "auth/decide.h"
#include "base/name.h"
#include "base/obj.h"
#include "storage/repositories.h"

/*
 * What would be decided: the same decide() that requests go through, over the
 * policies as they are now.
 */
#define RESOURCE_ARN "arn:aws:ecr:"
#define REPOSITORY "repository/"

struct simulation {
	struct decide_input in;
	struct span repository; /* its name; empty: about none of ours */
	struct repository_access access;
	struct policy *policy; /* of the repository */
	struct name_value *tags;
};

static enum rc
principal_find(struct admin *x, struct simulation *s)
{
	struct span who = admin_str(x, M_PRINCIPAL);
	const struct principal *p;

	if (span_is(who, "anonymous"))
		p = directory_anonymous();
	else if (span_has_prefix(who, SPAN("arn:")))
		p = directory_arn(x->d, who);
	else
		p = directory_user(x->d, x->account, who);
	if (p == NULL)
		return (admin_fail(x, RC_NOTFOUND, "there is no user \"%.*s\"",
		    (int)(who.n < 256 ? who.n : 256), who.p));
	s->in.request.principal = p;
	return (RC_OK);
}

static enum rc
action_check(struct admin *x, struct simulation *s)
{
	struct span action = admin_str(x, M_ACTION);
	bool ecr = action.n >= 4 &&
		   span_eq_nocase((struct span){ action.p, 4 }, SPAN("ecr:"));

	if (action.n == 0 || memchr(action.p, ':', action.n) == NULL ||
	    memchr(action.p, '*', action.n) != NULL ||
	    memchr(action.p, '?', action.n) != NULL ||
	    (ecr && !policy_action_known(action)))
		return (admin_fail(x, RC_INVALID,
		    "\"%.*s\" is not an action: write it as SERVICE:ACTION, "
		    "for example ecr:PutImage",
		    (int)(action.n < 128 ? action.n : 128),
		    action.p != NULL ? action.p : ""));
	s->in.request.action = action;
	return (RC_OK);
}

static enum rc
source_check(struct admin *x, struct simulation *s)
{
	struct span ip = admin_str(x, M_SOURCE_IP);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr room;

	s->in.request.source_ip = ip;
	if (x->in[M_SOURCE_IP] == NULL)
		return (RC_OK);
	(void)snprintf(text, sizeof(text), SPAN_FMT, SPAN_ARG(ip));
	if (strlen(text) == ip.n && (inet_pton(AF_INET, text, &room) == 1 ||
					inet_pton(AF_INET6, text, &room) == 1))
		return (RC_OK);
	return (admin_fail(x, RC_INVALID,
	    "source_ip: \"%.*s\" is not an IPv4 or IPv6 address",
	    (int)(ip.n < 128 ? ip.n : 128), ip.p != NULL ? ip.p : ""));
}

/* The name in "arn:aws:ecr:REGION:ACCOUNT:repository/NAME"; of another
 * account's repositories we know nothing. */
static enum rc
resource_arn(struct admin *x, struct span arn, struct simulation *s)
{
	struct span rest = arn, part[5], prefix = SPAN(REPOSITORY);
	size_t i;

	for (i = 0; i < ARRAY_LEN(part); i++)
		if (!span_split(&rest, ':', &part[i]))
			rest = SPAN_NONE;
	if (!span_has_prefix(arn, SPAN(RESOURCE_ARN)) ||
	    !span_has_prefix(rest, prefix))
		return (admin_fail(x, RC_INVALID,
		    "\"%.*s\" is no ARN of a repository",
		    (int)(arn.n < 256 ? arn.n : 256), arn.p));
	s->in.request.resource = arn;
	if (span_is(part[4], x->a->account))
		s->repository =
		    (struct span){ rest.p + prefix.n, rest.n - prefix.n };
	return (RC_OK);
}

static enum rc
resource_find(struct admin *x, struct simulation *s)
{
	struct span what = admin_str(x, M_RESOURCE);
	char *arn;

	if (span_is(what, "*")) {
		s->in.request.resource = what;
		return (RC_OK);
	}
	if (span_has_prefix(what, SPAN("arn:")))
		return (resource_arn(x, what, s));
	if (!name_repository_ok(what))
		return (admin_fail(x, RC_INVALID,
		    "\"%.*s\" is no name of a repository",
		    (int)(what.n < 256 ? what.n : 256),
		    what.p != NULL ? what.p : ""));
	arn = arena_printf(&x->arena, RESOURCE_ARN "%s:%s:" REPOSITORY SPAN_FMT,
	    x->a->region, x->a->account, SPAN_ARG(what));
	must(arn != NULL);
	s->in.request.resource = span_of(arn);
	s->repository = what;
	return (RC_OK);
}

/* Its policy and its tags.  One that does not parse any more denies here as
 * it does to requests. */
static enum rc
repository_read(struct admin *x, struct simulation *s)
{
	char why[POLICY_WHY_BYTES];
	enum rc rc;
	size_t i;

	if (!name_repository_ok(s->repository))
		return (RC_OK);
	rc = meta_repository_access(
	    x->a->meta, s->repository, ACCESS_POLICY, &x->arena, &s->access);
	if (rc != RC_OK)
		return (admin_fail(
		    x, rc, "reading the repository: %s", rc_text(rc)));
	s->tags =
	    arena_calloc(&x->arena, s->access.n_tags + 1, sizeof(*s->tags));
	must(s->tags != NULL);
	for (i = 0; i < s->access.n_tags; i++)
		s->tags[i] = (struct name_value){ s->access.tags[i].key,
			s->access.tags[i].value };
	s->in.request.resource_tags = s->tags;
	s->in.request.n_resource_tags = s->access.n_tags;
	if (s->access.policy_revision == 0)
		return (RC_OK);
	rc = policy_parse(POLICY_REPOSITORY, s->access.policy, why, &s->policy);
	if (rc != RC_OK)
		return (admin_fail(x, RC_CORRUPT,
		    "the policy of the repository is not one any more, so "
		    "everything is denied there: %s",
		    why));
	s->in.repository = s->policy;
	return (RC_OK);
}

static const char *
decided_by(enum decide_by by)
{

	switch (by) {
	case DECIDED_BY_IDENTITY:
		return ("identity");
	case DECIDED_BY_REPOSITORY:
		return ("repository");
	case DECIDED_BY_REGISTRY:
		return ("registry");
	case DECIDED_BY_NOTHING:
	case DECIDED_BY_AUTH_NONE:
		break;
	}
	return ("none");
}

static json_t *
message_json(const struct simulation *s, const struct decision *d)
{
	char message[DECIDE_MESSAGE_BYTES];
	const struct policy_request *rq = &s->in.request;

	if (!d->allowed)
		return (
		    admin_text(span_of(decide_message(&s->in, d, message))));
	(void)snprintf(message, sizeof(message),
	    "User: " SPAN_FMT " is authorized to perform: " SPAN_FMT
	    " on resource: " SPAN_FMT,
	    SPAN_ARG(rq->principal->arn), SPAN_ARG(rq->action),
	    SPAN_ARG(rq->resource));
	return (admin_text(span_of(message)));
}

static void
decision_answer(struct admin *x, const struct simulation *s)
{
	struct decision d;
	const char *text = "implicitDeny";

	decide(&s->in, &d);
	if (d.allowed)
		text = "allowed";
	else if (d.explicit_deny)
		text = "explicitDeny";
	admin_answer(x, "decision", json_string(text));
	admin_answer(x, "message", message_json(s, &d));
	admin_answer(x, "decided_by", json_string(decided_by(d.by)));
	admin_answer(x, "policy", admin_text(span_of(d.label)));
	admin_answer(x, "statement", json_integer((json_int_t)d.statement));
	admin_answer(x, "sid", admin_text(span_of(d.sid)));
}

enum rc
op_simulate(struct admin *x)
{
	struct simulation s = { 0 };
	uint64_t revision;
	enum rc rc;

	s.in.account = directory_account(x->d);
	s.in.registry = directory_registry_policy(x->d, &revision);
	s.in.request.user_agent = admin_str(x, M_USER_AGENT);
	s.in.request.secure = admin_bool(x, M_SECURE, true);
	s.in.request.now_ms = x->in[M_TIME] != NULL
				  ? json_integer_value(x->in[M_TIME])
				  : x->now_ms;
	if ((rc = principal_find(x, &s)) == RC_OK &&
	    (rc = action_check(x, &s)) == RC_OK &&
	    (rc = source_check(x, &s)) == RC_OK &&
	    (rc = resource_find(x, &s)) == RC_OK &&
	    (rc = repository_read(x, &s)) == RC_OK)
		decision_answer(x, &s);
	policy_unref(&s.policy);
	return (rc);
}
