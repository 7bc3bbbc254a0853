#ifndef MIRROR_REPLICATE_H
#define MIRROR_REPLICATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "mirror/upstream.h"
#include "storage/store.h"

/*
 * The tasks of storage/replication.h are carried out: each is one image that is
 * copied to its destination with what it needs and what refers to it.  A few at
 * once, of different destinations or not; what fails in a way that may pass is
 * tried again after 1 s, 2 s, 4 s ... up to 10 minutes, for .give_up_ms since
 * it was queued, then it is FAILED; what will not pass (denied, the
 * destination's tag is immutable, the image is gone here, nobody knows the
 * destination's address) fails at once.
 *
 * Those of one repository for one destination go one after the other, so that a
 * tag which moved is not moved back by a task that was late: one whose tag
 * points elsewhere by now sends its image without it.  A destination that cannot
 * be reached is left alone for a while, up to a minute, whatever is due.
 */
struct replicator;

struct replicator_options {
	struct store *store;
	struct upstreams *upstreams;
	/* The URL of a destination, and the name of its credentials; false: it
	 * is not configured. */
	bool (*destination)(void *arg, struct span destination, char url_r[512],
	    char credential_r[512]);
	/* Told of each that ended. */
	void (*ended)(void *arg, struct span repository, const struct digest *,
	    struct span tag, struct span destination, bool sent,
	    const char *why);
	void *arg;
	unsigned parallel;  /* 0: 4 */
	int64_t give_up_ms; /* 0: 24 hours */
	const char *marker; /* header that says that this is replication */
};

/** replicator_start(options, r_r): RC_LIMIT. */
RC_MUST_USE enum rc
replicator_start(const struct replicator_options *, struct replicator **r_r);
/** replicator_wake(r): there may be a task.  Any thread; does not wait. */
void replicator_wake(struct replicator *);
/** replicator_stop(r): tasks under way are left for the next start. Waits.
 * Takes NULL. */
void replicator_stop(struct replicator **);

/* Codes of failures, as ECR's failureCode is a word. */
#define REPLICATION_DENIED "AccessDenied"
#define REPLICATION_NO_REPOSITORY "RepositoryNotFound"
#define REPLICATION_IMMUTABLE "ImageTagAlreadyExists"
#define REPLICATION_UNKNOWN_DESTINATION "DestinationNotConfigured"
#define REPLICATION_IMAGE_GONE "ImageNotFound"
#define REPLICATION_GAVE_UP "DestinationUnavailable"
#define REPLICATION_REFUSED "DestinationRefused"

#endif
