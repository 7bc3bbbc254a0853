#ifndef MIRROR_REPLICATE_INT_H
#define MIRROR_REPLICATE_INT_H

#include <pthread.h>

#include "mirror/place.h"
#include "mirror/replicate.h"
#include "storage/replication.h"

/*
 *	replicate.c	  threads, and what they agree on
 *	replicate_queue.c which task is next
 *	replicate_send.c  one task: sending it, and what comes of it
 */
#define REPLICATOR_MAGIC 0x4e911ca7U

/* A task that was taken out of the queue; the row in it stays until it ends.
 */
struct replicate_job {
	struct replicate_job *next;
	struct replication_task task; /* in the arena */
	struct arena arena;
	/* It is not to be tried, but given up: its destination has been away
	 * for all that time. */
	bool hopeless;
	char why[UPSTREAM_WHY_BYTES]; /* of .hopeless */
};

/* A destination that cannot be reached. */
struct replicate_hold {
	struct replicate_hold *next;
	char destination[REPLICATION_DESTINATION_MAX_BYTES + 1];
	unsigned failures; /* in a row */
	int64_t until_ms;
	char why[UPSTREAM_WHY_BYTES];
};

/* Where images go; tests have their own. */
struct replicate_ends {
	/* NULL: ${error} says why; *${rc_r}: of mirror/upstream.h, RC_RANGE:
	 * nobody knows the address. */
	struct place *(*open)(void *arg, const struct replication_task *,
	    const atomic_bool *cancel, enum rc *rc_r, struct upstream_error *);
	/* The repository there: as upstream_repository_create(). */
	enum rc (*create)(void *arg, const struct replication_task *,
	    const atomic_bool *cancel, struct upstream_error *);
	void *arg;
};

struct replicator {
	unsigned magic;
	struct replicator_options o;
	struct replicate_ends ends;
	char *marker; /* or NULL */
	pthread_t *threads;
	unsigned n_threads;
	atomic_bool stop;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	bool look; /* the queue may have something new */
	bool looking;
	int64_t look_ns; /* not before */
	int64_t next_ms; /* when to look again by itself; calendar */
	size_t skipped;	 /* by the last look */
	struct replicate_job *ready, **ready_tail;
	size_t n_ready;
	struct replicate_job *running;
	struct replicate_hold *holds;
};

/** replicator_start_to(o, ends, r_r): with other ends. */
RC_MUST_USE enum rc replicator_start_to(const struct replicator_options *,
    const struct replicate_ends *, struct replicator **r_r);

/** replicate_look(r): the queue's tasks that may be tried now become .ready.
 * One thread at a time; takes the lock. */
void replicate_look(struct replicator *);

/** replicate_send(r, job): the whole of it. */
void replicate_send(struct replicator *, const struct replicate_job *);

void replicate_job_free(struct replicate_job **);

/** replicate_hold(r, destination, why, at_least_ms), replicate_unhold(r,
 * destination): it cannot be reached, or was. */
void replicate_hold(struct replicator *, struct span destination,
    const char *why, int64_t at_least_ms);
void replicate_unhold(struct replicator *, struct span destination);
/** replicate_is_held(r, destination): under the lock. */
bool replicate_is_held(struct replicator *, struct span destination);

#endif
