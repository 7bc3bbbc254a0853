#ifndef REGISTRYD_BACKFILLS_H
#define REGISTRYD_BACKFILLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/name.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/images.h"

/*
 * Images that were here before there was a rule, or a destination, are sent to
 * it: StartReplicationBackfill.  A thread, which is started when there is
 * something for it, puts their tasks into the queue of replication, a bounded
 * number at a time, and counts what became of them; where it stands is in the
 * store (ENTITY_BACKFILL), so it goes on after a restart.
 *
 * A record: {"destination" {"region","registryId"},"status","startedAt",
 * "endedAt" (ms),"total","completed","failed","failureCodes",...}.
 */
struct backfills;
struct service;

#define BACKFILLS_KEPT 100 /* that have ended */

struct backfills *backfills_new(struct service *);
/** backfills_free(b): backfills_stop() first.  Takes NULL. */
void backfills_free(struct backfills **);

/** backfills_start(b): go on with those that have not ended.  RC_LIMIT. */
RC_MUST_USE enum rc backfills_start(struct backfills *);
/** backfills_stop(b): and wait; also when it never ran. */
void backfills_stop(struct backfills *);

/** backfills_begin(b, region, registry_id, id_r): RC_BUSY: one of that
 * destination goes on.  RC_LIMIT: no thread. */
#define BACKFILL_ID_BYTES 37
RC_MUST_USE enum rc backfills_begin(struct backfills *, struct span region,
    struct span registry_id, char id_r[BACKFILL_ID_BYTES]);

/** backfills_end(b, id): what is queued already is sent still.  RC_NOTFOUND;
 * RC_BUSY: it does not go on any more. */
RC_MUST_USE enum rc backfills_end(struct backfills *, struct span id);

/** backfill_goes_on(o): a record of one that has not ended. */
bool backfill_goes_on(const json_t *o);

/* Where one is in the images of all repositories that a rule sends to a
 * destination. */
struct backfill_place {
	char repository[NAME_REPOSITORY_MAX_BYTES + 1]; /* "" : before all */
	bool within; /* that one, behind ${digest}; else behind it */
	struct digest digest;
};

/** backfill_walk(svc, destination, place, max, fn, arg, more_r): from
 * ${place} on, which moves, up to ${max} images; another code than RC_OK of
 * ${fn} ends it, with ${place} before that image.  Worker. */
typedef enum rc
backfill_fn(void *arg, struct span repository, const struct image_row *);
RC_MUST_USE enum rc backfill_walk(struct service *svc, struct span destination,
    struct backfill_place *place, size_t max, backfill_fn *fn, void *arg,
    bool *more_r);

#endif
