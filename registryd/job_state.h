#ifndef REGISTRYD_JOB_STATE_H
#define REGISTRYD_JOB_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"

/*
 * What the jobs of this room have in common: a name, when they began and how
 * they ended.
 */
#define JOB_ID_BYTES 33 /* 32 hex digits and a NUL */
#define JOB_WHY_BYTES 1200

struct job_state {
	char id[JOB_ID_BYTES];
	_Atomic bool cancel;
	pthread_mutex_t lock; /* over all below, and what its owner adds */
	bool running;
	int64_t started_ms, started_ns, ended_ns;
	enum rc rc;		 /* how it ended */
	char why[JOB_WHY_BYTES]; /* in words; may be empty */
};

void job_state_init(struct job_state *);
void job_state_fini(struct job_state *);

/** job_state_running(st): takes the lock. */
bool job_state_running(struct job_state *);

/** job_state_end(st, rc, why): with the lock held; ${why} may be NULL. */
void job_state_end(struct job_state *, enum rc, const char *why);

/** job_state_json(st, kind, out): with the lock held: "id", "kind", "state",
 * "error", "started", "duration_ms". */
void
job_state_json(const struct job_state *, const char *kind, struct buf *out);

#endif
