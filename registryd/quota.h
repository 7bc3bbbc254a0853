#ifndef REGISTRYD_QUOTA_H
#define REGISTRYD_QUOTA_H

#include "registryd/call.h"

/** quota_exceeded(c, limit): RC_FAILED with LimitExceededException, or in the
 * shape of the distribution API DENIED, that names the quota and c->repository,
 * or the registry.  Any thread. */
RC_MUST_USE enum rc quota_exceeded(struct call *, enum manifest_limit);

#endif
