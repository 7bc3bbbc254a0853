#include "registryd/pulls.h"

#include "auth/principal.h"
#include "base/clock.h"
#include "storage/entities.h"

/* Registered by RegisterPullTimeUpdateExclusion.  One that cannot be looked up
 * is as good as none: to note a pull never fails. */
static bool
excluded(struct call *c)
{
	struct entity e;

	if (c->who->kind != PRINCIPAL_USER ||
	    c->who->arn.n > ENTITY_NAME_MAX_BYTES)
		return (false);
	return (meta_entity_get(c->meta, ENTITY_PULL_EXCLUSION, c->who->arn,
		    c->arena, &e) == RC_OK);
}

void
pull_note(struct call *c, const struct digest *digest)
{
	if (!excluded(c))
		meta_manifest_pulled(
		    c->meta, c->repository, digest, clock_real_ms());
}
