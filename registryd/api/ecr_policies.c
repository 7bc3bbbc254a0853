#include "auth/policy.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/authorize.h"
#include "registryd/settings.h"

/* SetRepositoryPolicy, GetRepositoryPolicy, DeleteRepositoryPolicy. */

#define SET_ACTION "ecr:SetRepositoryPolicy"

static void
policy_release(void *arg)
{
	struct policy *p = arg;

	policy_unref(&p);
}

enum rc
ecr_policy_check(struct call *c, const json_t *in, enum policy_kind kind)
{
	struct span text = aws_string(in, "policyText");
	char why[POLICY_WHY_BYTES];
	struct policy *policy;
	enum rc rc;

	rc = policy_parse(kind, text, why, &policy);
	if (rc == RC_INVALID || rc == RC_TOOBIG)
		return (call_fail(c, AWS_INVALID_PARAMETER, NULL,
		    "Invalid parameter at 'PolicyText' failed to satisfy "
		    "constraint: 'Invalid %s policy provided': %s",
		    kind == POLICY_REGISTRY ? "registry" : "repository", why));
	if (rc != RC_OK)
		return (rc);
	arena_defer(c->arena, policy_release, policy);
	c->state = policy;
	return (RC_OK);
}

enum rc
ecr_set_repository_policy_check(struct call *c, const json_t *in)
{
	return (ecr_policy_check(c, in, POLICY_REPOSITORY));
}

static enum rc
no_policy(struct call *c)
{
	return (call_fail(c, AWS_REPOSITORY_POLICY_NOT_FOUND, NULL,
	    "Repository policy does not exist for the repository with name "
	    "'" SPAN_FMT "' in the registry with id '%s'",
	    SPAN_ARG(c->repository), c->settings->account_id));
}

static void
policy_put(struct call *c, json_t *out, struct span text)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "repositoryName", c->repository);
	aws_put_text(out, "policyText", text);
}

/* Could they take it back?  Asked of a repository that is there: who may not
 * know that has been refused already. */
static enum rc
lock_out_check(struct call *c, const struct policy *policy)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(c->meta, c->repository, &row);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc != RC_OK)
		return (rc);
	rc = authorize_would(c, SET_ACTION, c->repository, policy);
	if (rc != RC_DENIED)
		return (rc);
	return (aws_invalid(c, "PolicyText",
	    "the policy would not let you set a policy of this repository "
	    "again (" SET_ACTION "); use force to set it all the same"));
}

enum rc
ecr_set_repository_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text = aws_string(in, "policyText");
	enum rc rc = RC_OK;

	if (!aws_true(in, "force"))
		rc = lock_out_check(c, c->state);
	if (rc == RC_OK)
		rc = meta_repository_policy_set(c->meta, c->repository, text);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_OK)
		policy_put(c, out, text);
	return (rc);
}

enum rc
ecr_get_repository_policy(struct call *c, const json_t *in, json_t *out)
{
	struct repository_access a;
	enum rc rc;

	(void)in;
	rc = meta_repository_access(
	    c->meta, c->repository, ACCESS_POLICY, c->arena, &a);
	if (rc != RC_OK)
		return (rc);
	if (!a.exists)
		return (ecr_unknown(c, c->repository));
	if (a.policy_revision == 0)
		return (no_policy(c));
	policy_put(c, out, a.policy);
	return (RC_OK);
}

enum rc
ecr_delete_repository_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text;
	enum rc rc;

	(void)in;
	rc = meta_repository_policy_delete(
	    c->meta, c->repository, c->arena, &text);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_MISSING)
		return (no_policy(c));
	if (rc == RC_OK)
		policy_put(c, out, text);
	return (rc);
}
