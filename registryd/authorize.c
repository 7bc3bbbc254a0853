#include "registryd/authorize.h"

#include "auth/decide.h"
#include "auth/directory.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/policy_cache.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "storage/repositories.h"

/*
 * What is asked is put together here: the principal, the action, the ARN of
 * the repository, and where the request came from.  What the policies say to
 * it is auth/decide.h's.
 *
 * A bearer token may do what its principal may and its scopes name: the
 * policies are asked first, because what they forbid no new token will allow.
 */

/* A repository, as far as policies see it. */
struct subject {
	struct span repository; /* empty: "*" */
	const char *arn;
	const struct policy *policy; /* of the repository; may be NULL */
	uint64_t revision;	     /* of that; 0: none */
	struct name_value *tags;
	size_t n_tags;
};

/* --- what it is about ---------------------------------------------------- */

const char *
authorize_arn(struct call *c, struct span repository)
{
	const struct span parts[] = { SPAN("arn:aws:ecr:"), c->region,
		SPAN(":"), span_of(c->settings->account_id),
		SPAN(":repository/"), repository };
	size_t i, n = 0;
	char *arn;

	if (repository.n == 0)
		return ("*");
	for (i = 0; i < ARRAY_LEN(parts); i++)
		n += parts[i].n;
	arn = arena_alloc(c->arena, n + 1);
	if (arn == NULL)
		return ("");
	for (i = 0, n = 0; i < ARRAY_LEN(parts); n += parts[i++].n)
		memcpy(arn + n, parts[i].p, parts[i].n);
	arn[n] = '\0';
	return (arn);
}

static void
policy_release(void *policy)
{
	struct policy *p = policy;

	policy_unref(&p);
}

/*
 * What stands for a policy that cannot be read: nobody may do anything, but
 * users of the registry's own account whom their own policies allow it may look
 * at it and put another in its place.
 */
#define CLOSED_POLICY \
	"{\"Version\":\"2012-10-17\",\"Statement\":[" \
	"{\"Effect\":\"Deny\",\"Principal\":\"*\",\"NotAction\":" REPAIRS "}," \
	"{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"*\"," \
	"\"Condition\":{\"StringNotEquals\":{\"aws:PrincipalAccount\":" \
	"\"%s\"}}}]}"
#define REPAIRS \
	"[\"ecr:GetRepositoryPolicy\",\"ecr:SetRepositoryPolicy\"," \
	"\"ecr:DeleteRepositoryPolicy\"]"

static enum rc
policy_closed(struct call *c, struct policy **policy_r)
{
	char why[POLICY_WHY_BYTES];
	const char *text;

	*policy_r = NULL;
	text = arena_printf(c->arena, CLOSED_POLICY, c->settings->account_id);
	if (text == NULL)
		return (RC_TOOBIG);
	return (policy_parse(POLICY_REPOSITORY, span_of(text), why, policy_r));
}

static enum rc
policy_load(struct call *c, struct span repository, uint64_t revision,
    struct policy **policy_r)
{
	struct repository_access a;
	char why[POLICY_WHY_BYTES];
	enum rc rc;

	rc = meta_repository_access(
	    c->meta, repository, ACCESS_POLICY, c->arena, &a);
	if (rc != RC_OK)
		return (rc);
	/* It was changed since: what was asked for is gone. */
	if (a.policy_revision != revision)
		return (RC_BUSY);
	rc = policy_parse(POLICY_REPOSITORY, a.policy, why, policy_r);
	if (rc != RC_OK) {
		if (policy_cache_tell(
			c->service->policies, repository, revision))
			log_error("the policy of repository " SPAN_FMT
				  " cannot be read, and nobody is let in "
				  "until it is set or deleted: %s",
			    SPAN_ARG(repository), why);
		rc = policy_closed(c, policy_r);
	}
	if (rc == RC_OK)
		policy_cache_put(
		    c->service->policies, repository, revision, *policy_r);
	return (rc);
}

static enum rc
subject_policy(struct call *c, struct subject *s)
{
	struct policy *policy;
	enum rc rc;

	if (s->revision == 0)
		return (RC_OK);
	policy =
	    policy_cache_get(c->service->policies, s->repository, s->revision);
	if (policy == NULL) {
		rc = policy_load(c, s->repository, s->revision, &policy);
		if (rc != RC_OK)
			return (rc);
	}
	arena_defer(c->arena, policy_release, policy);
	s->policy = policy;
	return (RC_OK);
}

static enum rc
subject_tags(
    struct call *c, struct subject *s, const struct repository_access *a)
{
	size_t i;

	if (a->n_tags == 0)
		return (RC_OK);
	s->tags = arena_calloc(c->arena, a->n_tags, sizeof(*s->tags));
	if (s->tags == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < a->n_tags; i++)
		s->tags[i] = (struct name_value){
			.name = a->tags[i].key,
			.value = a->tags[i].value,
		};
	s->n_tags = a->n_tags;
	return (RC_OK);
}

#define CHANGES_MET_MAX 8

static enum rc
subject_find(struct call *c, struct span repository, struct subject *s_r)
{
	struct repository_access a;
	unsigned tries = 0;
	enum rc rc;

	*s_r = (struct subject){
		.repository = repository,
		.arn = authorize_arn(c, repository),
	};
	if (repository.n == 0)
		return (RC_OK);
	do {
		rc = meta_repository_access(
		    c->meta, repository, ACCESS_REVISION, c->arena, &a);
		if (rc != RC_OK)
			return (rc);
		s_r->revision = a.policy_revision;
		rc = subject_policy(c, s_r);
	} while (rc == RC_BUSY && ++tries < CHANGES_MET_MAX);
	return (rc == RC_OK ? subject_tags(c, s_r, &a) : rc);
}

/* --- what the policies say ----------------------------------------------- */

static struct decide_input
question(struct call *c, const struct subject *s, struct span action)
{
	const struct http_request *rq = c->request;

	return ((struct decide_input){
		.request = {
			.principal = c->who,
			.action = action,
			.resource = span_of(s->arn),
			.source_ip = span_is(rq->client, "unix") ? SPAN_NONE
								 : rq->client,
			.user_agent = http_request_header(rq, "User-Agent"),
			.secure = rq->tls,
			.now_ms = clock_real_ms(),
			.resource_tags = s->tags,
			.n_resource_tags = s->n_tags,
			.request_tags = c->request_tags,
			.n_request_tags = c->n_request_tags,
		},
		.account = span_of(c->settings->account_id),
		.repository = s->policy,
	});
}

/* One action, or any of several with '|' between them; the decision about the
 * first is the one to tell of. */
static bool
any_allowed(struct call *c, const struct subject *s, struct span actions,
    struct decide_input *told_r, struct decision *decision_r)
{
	struct decide_input input;
	struct decision d;
	struct span action;
	uint64_t epoch[3];
	bool first = true;

	epoch[0] = directory_generation(c->directory);
	epoch[1] = s->revision;
	while (span_split(&actions, '|', &action)) {
		input = question(c, s, action);
		input.registry =
		    directory_registry_policy(c->directory, &epoch[2]);
		decide_cached(c->service->decisions, epoch, &input, &d);
		if (d.allowed)
			return (true);
		if (first) {
			*told_r = input;
			*decision_r = d;
		}
		first = false;
	}
	return (false);
}

/* --- scopes of bearer tokens --------------------------------------------- */

static const struct {
	const char *action;
	const char *verb;
} verbs[] = {
	{ "ecr:BatchGetImage", "pull" },
	{ "ecr:GetDownloadUrlForLayer", "pull" },
	{ "ecr:BatchCheckLayerAvailability", "pull" },
	{ "ecr:ListImages", "pull" },
	{ "ecr:BatchImportUpstreamImage", "pull" }, /* what a pull imports */
	{ "ecr:InitiateLayerUpload", "push" },
	{ "ecr:UploadLayerPart", "push" },
	{ "ecr:CompleteLayerUpload", "push" },
	{ "ecr:PutImage", "push" },
	{ "ecr:CreateRepository", "push" },
	{ "ecr:TagResource", "push" }, /* what a push creates */
	{ "ecr:BatchDeleteImage", "delete" },
};

static const char *
verb_of(struct span action)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(verbs); i++)
		if (span_is(action, verbs[i].action))
			return (verbs[i].verb);
	return ("*");
}

/* "repository:team/app:pull,push": the name has no ':' in it. */
static bool
scope_names(struct span scope, struct span repository, const char *verb)
{
	struct span type, name, list, one;

	if (!span_split(&scope, ':', &type) || !span_split(&scope, ':', &name))
		return (false);
	if (!span_is(type, "repository") || !span_eq(name, repository))
		return (false);
	list = scope;
	while (span_split(&list, ',', &one))
		if (span_is(one, verb) || span_is(one, "*"))
			return (true);
	return (false);
}

/* A list shows what the principal may see: no scope names what is in it. */
static bool
in_scope(const struct call *c, struct span repository, struct span actions)
{
	struct span rest = c->granted, scope, alternatives, action;

	if (c->granted.p == NULL || c->permission->access == ACCESS_LISTED)
		return (true);
	while (span_split(&rest, ' ', &scope)) {
		alternatives = actions;
		while (span_split(&alternatives, '|', &action))
			if (scope_names(scope, repository, verb_of(action)))
				return (true);
	}
	return (false);
}

static bool
catalog_in_scope(const struct call *c)
{
	struct span rest = c->granted, scope;

	if (c->granted.p == NULL)
		return (true);
	while (span_split(&rest, ' ', &scope))
		if (span_is(scope, "registry:catalog:*"))
			return (true);
	return (false);
}

/* --- the answers --------------------------------------------------------- */

static enum rc
refuse_scope(struct call *c)
{
	identify_challenge(c, "insufficient_scope");
	return (call_fail(c, OCI_UNAUTHORIZED, NULL,
	    "the scopes of this token do not allow this; ask for another"));
}

static enum rc
refuse_nobody(struct call *c)
{
	if (c->shape != SHAPE_OCI)
		return (call_fail(c, AWS_MISSING_TOKEN, NULL, "%s",
		    api_error_text(AWS_MISSING_TOKEN)));
	identify_challenge(c, NULL);
	return (call_fail(c, OCI_UNAUTHORIZED, NULL,
	    "authentication required: log in to this registry first"));
}

static enum rc
refuse(struct call *c, const struct decide_input *input,
    const struct decision *decision)
{
	char text[DECIDE_MESSAGE_BYTES];

	if (c->who->kind == PRINCIPAL_ANONYMOUS)
		return (refuse_nobody(c));
	return (
	    call_fail(c, c->shape == SHAPE_OCI ? OCI_DENIED : AWS_ACCESS_DENIED,
		NULL, "%s", decide_message(input, decision, text)));
}

/* All of the words; RC_DENIED says nothing more, RC_FAILED has told. */
static enum rc
ask(struct call *c, const struct subject *s, const char *actions, bool tell)
{
	struct span rest = span_of(actions), one;
	struct decide_input input;
	struct decision decision;

	while (span_split(&rest, ' ', &one)) {
		if (!any_allowed(c, s, one, &input, &decision))
			return (
			    tell ? refuse(c, &input, &decision) : RC_DENIED);
		if (!in_scope(c, s->repository, one))
			return (tell ? refuse_scope(c) : RC_DENIED);
	}
	return (RC_OK);
}

enum rc
authorize_require(struct call *c, const char *actions, struct span repository)
{
	struct subject s;
	enum rc rc;

	if (c->who->kind == PRINCIPAL_EVERYBODY)
		return (RC_OK);
	if ((rc = subject_find(c, repository, &s)) != RC_OK)
		return (rc);
	return (ask(c, &s, actions, true));
}

/* Above what a policy and the tags of one repository take. */
#define QUESTION_BYTES ((size_t)4 << 20)

enum rc
authorize_repository(
    struct call *c, const char *actions, struct span repository)
{
	struct arena *whole = c->arena, own;
	struct subject s;
	enum rc rc = RC_DENIED;

	if (c->who->kind == PRINCIPAL_EVERYBODY)
		return (RC_OK);
	/* Of a long list, memory and policies are given back line by line. */
	arena_init(&own, QUESTION_BYTES);
	c->arena = &own;
	if (subject_find(c, repository, &s) == RC_OK)
		rc = ask(c, &s, actions, false);
	c->arena = whole;
	arena_reset(&own);
	return (rc);
}

enum rc
authorize_rescope(struct call *c, const char *actions, struct span repository)
{
	struct span granted = c->granted;
	enum rc rc;

	if (granted.p == NULL ||
	    authorize_repository(c, actions, repository) == RC_OK)
		return (RC_OK);
	c->granted = SPAN_NONE;
	rc = authorize_repository(c, actions, repository);
	c->granted = granted;
	return (rc == RC_OK ? refuse_scope(c) : RC_OK);
}

/* Not remembered: this policy is no revision of any repository yet. */
enum rc
authorize_would(struct call *c, const char *actions, struct span repository,
    const struct policy *policy)
{
	struct decide_input input;
	struct decision decision;
	struct subject s;
	uint64_t revision;
	enum rc rc;

	if (c->who->kind == PRINCIPAL_EVERYBODY)
		return (RC_OK);
	if ((rc = subject_find(c, repository, &s)) != RC_OK)
		return (rc);
	s.policy = policy;
	input = question(c, &s, span_of(actions));
	input.registry = directory_registry_policy(c->directory, &revision);
	decide(&input, &decision);
	return (decision.allowed ? RC_OK : RC_DENIED);
}

enum rc
authorize_call(struct call *c)
{
	const struct permission *p = c->permission;
	const char *actions;

	if (p == NULL)
		return (call_fail(c, OCI_DENIED, NULL,
		    "nobody may do this: it names no permission"));
	actions = p->actions;
	if (c->request->method == HTTP_HEAD && p->head_actions != NULL)
		actions = p->head_actions;
	switch (p->access) {
	case ACCESS_OPEN:
	case ACCESS_LOCAL:
	case ACCESS_SELF:
		return (RC_OK);
	case ACCESS_LISTED:
		if (!catalog_in_scope(c))
			return (refuse_scope(c));
		/* FALLTHROUGH */
	case ACCESS_KNOWN:
		return (c->who->kind != PRINCIPAL_ANONYMOUS ? RC_OK
							    : refuse_nobody(c));
	case ACCESS_REPOSITORY:
		return (authorize_require(c, actions, c->repository));
	case ACCESS_REGISTRY:
		return (authorize_require(c, actions, SPAN_NONE));
	}
	wrong("no such access");
}
