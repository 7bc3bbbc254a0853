#ifndef REGISTRYD_REPLICATION_H
#define REGISTRYD_REPLICATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "registryd/call.h"

/*
 * Which images go where: the rules of PutReplicationConfiguration, compiled
 * into a counted snapshot that a change replaces.  With no rules a look costs
 * a lock and a load.
 *
 * What another registry sent by replication is not sent on, as with ECR; so
 * two registries that send to each other do not do it for ever.
 */
struct replication;
struct meta;

/* Of requests by which images are replicated: where they come from. */
#define REPLICATION_HEADER "Registryd-Replication"

struct replication *replication_new(struct meta *);
/** replication_free(r): takes NULL; sets it to NULL. */
void replication_free(struct replication **);

/** replication_changed(r): there is another configuration: it is read when it
 * is needed next.  Any thread. */
void replication_changed(struct replication *);

/**
 * replication_destinations_of(r, repository, arena, list_r, n_r):
 * "REGION/ACCOUNT", each once, in the arena, in the order of the rules; *${n_r}
 * 0: none.  RC_CORRUPT: the configuration cannot be read (logged); RC_TOOBIG.
 * Worker.
 */
RC_MUST_USE enum rc
replication_destinations_of(struct replication *, struct span repository,
    struct arena *, const struct span **list_r, size_t *n_r);

/** replication_destinations(c, repository, list_r, n_r): likewise, for what
 * this call pushes: none, if it is itself replication. */
RC_MUST_USE enum rc replication_destinations(struct call *,
    struct span repository, const struct span **list_r, size_t *n_r);

/** replication_call(c): does this request bring what another registry
 * replicates, by somebody who may (ecr:ReplicateImage)? */
bool replication_call(struct call *);

/** replication_pushed(c, n): an image with so many destinations was pushed:
 * have it sent. */
void replication_pushed(struct call *, size_t n_destinations);

#endif
