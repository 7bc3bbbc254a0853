#ifndef REGISTRYD_POLICY_CACHE_H
#define REGISTRYD_POLICY_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/policy.h"

/*
 * Policies of repositories, parsed, by name and revision.  A bounded number;
 * one in whose place another is put goes.  A revision is never used twice,
 * so nothing in here can be wrong, only superseded.
 */
struct policy_cache;

struct policy_cache *policy_cache_new(void);
/** policy_cache_free(pc): takes NULL. */
void policy_cache_free(struct policy_cache **);

/** policy_cache_get(pc, repository, revision): a reference, or NULL. */
struct policy *policy_cache_get(
    struct policy_cache *, struct span repository, uint64_t revision);

/** policy_cache_tell(pc, repository, revision): is it the first time that
 * something is to be told of this one?  Forgets only when another in its place
 * is told of. */
bool policy_cache_tell(
    struct policy_cache *, struct span repository, uint64_t revision);

/** policy_cache_put(pc, repository, revision, policy): takes a reference of
 * its own. */
void policy_cache_put(struct policy_cache *, struct span repository,
    uint64_t revision, struct policy *);

#endif
