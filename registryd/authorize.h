#ifndef REGISTRYD_AUTHORIZE_H
#define REGISTRYD_AUTHORIZE_H

#include "registryd/call.h"

/*
 * Between the router and the handlers stands one question: may this principal
 * do this here?  With `auth: none` everybody is "anonymous" and may.
 */

/** authorize_call(c): may c->principal run c->route on c->repository?  Sets
 * c->principal.  RC_OK, or RC_FAILED with the error recorded. */
RC_MUST_USE enum rc authorize_call(struct call *);

/** authorize_repository(c, action, repository): may it also do ${action} on
 * another repository (a mount's source)?  RC_OK or RC_DENIED. */
RC_MUST_USE enum rc
authorize_repository(struct call *, const char *action, struct span repository);

#endif
