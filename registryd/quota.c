#include "registryd/quota.h"

#include <inttypes.h>

#include "base/obj.h"
#include "registryd/settings.h"

enum rc
quota_exceeded(struct call *c, enum manifest_limit limit)
{
	const struct quotas *q = &c->settings->quotas;
	const char *account = c->settings->account_id;
	enum api_error e =
	    c->shape == SHAPE_OCI ? OCI_DENIED : AWS_LIMIT_EXCEEDED;

	switch (limit) {
	case LIMIT_REPOSITORIES:
		return (call_fail(c, e, NULL,
		    "The maximum number of repositories (%" PRIu64
		    ") in the registry with id '%s' has been reached",
		    q->repositories, account));
	case LIMIT_IMAGES:
		return (call_fail(c, e, NULL,
		    "The maximum number of images (%" PRIu64
		    ") in the repository with name '%.*s' in the registry "
		    "with id '%s' has been reached",
		    q->images, CALL_SHOW(c->repository), account));
	case LIMIT_TAGS:
		return (call_fail(c, e, NULL,
		    "The maximum number of tags (%" PRIu64
		    ") of an image in the repository with name '%.*s' in the "
		    "registry with id '%s' has been reached",
		    q->tags, CALL_SHOW(c->repository), account));
	}
	wrong("no such limit");
}
