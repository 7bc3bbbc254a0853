#ifndef NET_WORKERS_H
#define NET_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/*
 * Threads for what may block.  They are started when there is more to do than
 * threads to do it, and end after idling; one stays, so that a system that
 * refuses more threads slows the server down but does not stop it.
 */
struct workers;

/* Embedded in whatever wants to run; in one queue at a time.  Both functions
 * run on a worker. */
struct job {
	struct job *next;
	void (*fn)(void *arg);	  /* the work */
	void (*after)(void *arg); /* or NULL; the pool and the lane are done
				     with the job: its owner may free it,
				     and its lane if that was the last */
	void *arg;
};

struct workers_config {
	const char *name; /* of the threads; static */
	unsigned max;	  /* threads, at least 1 */
	bool background; /* they compute, and give way to threads that answer */
	int64_t idle_ms; /* before a thread ends */
};

/** workers_new(config, w_r): RC_LIMIT: no thread to be had. */
RC_MUST_USE enum rc
workers_new(const struct workers_config *, struct workers **w_r);

/** workers_free(w): runs what is queued first.  Takes NULL. */
void workers_free(struct workers **);

/** workers_submit(w, job): any thread; first come, first served. */
void workers_submit(struct workers *, struct job *);

/** workers_resize(w, max): for what comes. */
void workers_resize(struct workers *, unsigned max);

/** workers_queued(w): jobs that no thread has taken yet. */
unsigned workers_queued(struct workers *);

/*
 * A lane: its jobs run one at a time, in order, on whatever threads of the
 * pool are free; between two of them other lanes get their turn.
 */
struct lane {
	struct workers *workers;
	struct job *first, **end; /* under the pool's lock */
	struct job turn;	  /* what the pool sees */
	bool running;		  /* under the pool's lock: turn is out */
};

/** lane_init(l, w): nothing to undo. */
void lane_init(struct lane *, struct workers *);

/** lane_submit(l, job): any thread. */
void lane_submit(struct lane *, struct job *);

#endif
