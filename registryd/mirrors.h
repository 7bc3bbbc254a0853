#ifndef REGISTRYD_MIRRORS_H
#define REGISTRYD_MIRRORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "registryd/mirror_spec.h"

/*
 * The mirrors of the configuration and those that registryctl made, carried out
 * by a thread of their own, one run at a time: first those that somebody asked
 * for (jobs_mirror()), then those that are due.  What a run came to is kept in
 * the store.
 */
struct mirrors;
struct service;
struct settings;

#define MIRRORS_RUNS_KEPT 20 /* of each, the newest first */
#define MIRRORS_MAX 1000     /* that registryctl made */

/* Runs since the start, of all mirrors. */
struct mirrors_counts {
	uint64_t done, incomplete, failed, stopped;
	uint64_t images, bytes; /* copied */
	uint64_t deleted;
	bool running;
	int64_t done_ms; /* the last; calendar; 0 */
};

struct mirrors *mirrors_new(struct service *);
/** mirrors_free(m): mirrors_stop() first.  Takes NULL. */
void mirrors_free(struct mirrors **);

/** mirrors_start(m): RC_LIMIT. */
RC_MUST_USE enum rc mirrors_start(struct mirrors *);
/** mirrors_cancel(m): the run that goes on ends soon, and no other begins. */
void mirrors_cancel(struct mirrors *);
/** mirrors_stop(m): mirrors_cancel(), and wait; also when it never ran. */
void mirrors_stop(struct mirrors *);
/** mirrors_wake(m): settings or mirrors changed, or a run was asked for.  Any
 * thread. */
void mirrors_wake(struct mirrors *);

/** mirrors_find(m, name, arena, spec_r, configured_r): RC_NOTFOUND;
 * RC_CORRUPT (logged).  Worker, as all below. */
RC_MUST_USE enum rc mirrors_find(struct mirrors *, struct span name,
    struct arena *, struct mirror_spec *spec_r, bool *configured_r);

/** mirrors_add(m, spec): RC_EXISTS; RC_LIMIT: MIRRORS_MAX. */
RC_MUST_USE enum rc mirrors_add(struct mirrors *, const struct mirror_spec *);

/** mirrors_remove(m, name): with its history; a run that goes on ends.
 * RC_NOTFOUND; RC_REFERENCED: it stands in the configuration. */
RC_MUST_USE enum rc mirrors_remove(struct mirrors *, struct span name);

/** mirrors_run(m, name, out): jobs_mirror().  RC_NOTFOUND, RC_BUSY. */
RC_MUST_USE enum rc
mirrors_run(struct mirrors *, struct span name, struct buf *out);

/** mirrors_json(m, out): an array of {"name","source","destination", ... as
 * mirror_spec_json(), "configured", "running" (the id of a job) or null,
 * "last" (a run) or null, "next" (a time) or null}, by name. */
RC_MUST_USE enum rc mirrors_json(struct mirrors *, struct buf *out);

/** mirrors_history_json(m, name, out): an array of runs, the newest first:
 * {"started","ended","by" ("schedule", "local"),"outcome" ("done",
 * "incomplete": some images failed, "failed", "stopped"), "why", and the
 * totals of mirror_job_json()}.  RC_NOTFOUND. */
RC_MUST_USE enum rc
mirrors_history_json(struct mirrors *, struct span name, struct buf *out);

void mirrors_count(struct mirrors *, struct mirrors_counts *);

/** mirrors_round(m): carry out what was asked for and what is due; for how many
 * milliseconds there is nothing to do then.  The thread of mirrors. */
int64_t mirrors_round(struct mirrors *);

/*
 * When a mirror is due.
 */
struct mirror_past {
	unsigned n;	    /* runs, but for what the server's end stopped */
	unsigned n_failed;  /* of these, the last so many in a row */
	int64_t started_ms; /* the last of them */
};

/** mirror_due_ms(spec, past, start_ms, now_ms): INT64_MAX: never by itself.
 * One that never ran: soon after ${start_ms}, when this server began.  Else an
 * interval after the beginning of its last run and up to a tenth of it more,
 * always the same for one name; one that failed sooner: after a minute, two,
 * four, ... up to its interval.  Pure. */
int64_t mirror_due_ms(const struct mirror_spec *, const struct mirror_past *,
    int64_t start_ms, int64_t now_ms);

#endif
