#ifndef REGISTRYD_AUTHORIZE_H
#define REGISTRYD_AUTHORIZE_H

#include "registryd/call.h"

/*
 * May this principal do this here?  Decided by the policies of the principal,
 * of the repository and of the registry (auth/decide.h), before it is looked
 * whether the thing is there.  With `auth: none` everybody may.
 */

/**
 * authorize_call(c):
 * May c->who do what c->permission names on c->repository (ACCESS_REPOSITORY)
 * or on "*"?  RC_OK; RC_FAILED with the error recorded in c->shape's words: a
 * challenge for the anonymous, else who, what, on which and why not.
 * ACCESS_LISTED is left to the handler.  Loop or worker.
 */
RC_MUST_USE enum rc authorize_call(struct call *);

/** authorize_require(c, actions, repository): one more thing, as
 * authorize_call; an empty ${repository} is "*". */
RC_MUST_USE enum rc
authorize_require(struct call *, const char *actions, struct span repository);

/** authorize_repository(c, actions, repository): the same as a question: RC_OK
 * or RC_DENIED, nothing recorded and nothing kept in the arena (a mount's
 * source, a line of a list). */
RC_MUST_USE enum rc authorize_repository(
    struct call *, const char *actions, struct span repository);

/** authorize_rescope(c, actions, repository): is it only the scopes of the
 * bearer token that stand against it?  Then RC_FAILED, with a challenge for a
 * token that may; else RC_OK, whether it is allowed or not. */
RC_MUST_USE enum rc
authorize_rescope(struct call *, const char *actions, struct span repository);

/** authorize_arn(c, repository): "arn:aws:ecr:REGION:ACCOUNT:repository/NAME"
 * in the arena. */
const char *authorize_arn(struct call *, struct span repository);

struct policy;
/**
 * authorize_would(c, actions, repository, policy):
 * As authorize_repository, if ${policy} (NULL: none) were the repository's:
 * does a policy lock its author out?
 */
RC_MUST_USE enum rc authorize_would(struct call *, const char *actions,
    struct span repository, const struct policy *);

#endif
