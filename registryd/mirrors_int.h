#ifndef REGISTRYD_MIRRORS_INT_H
#define REGISTRYD_MIRRORS_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "registryd/job_mirror.h"
#include "registryd/mirrors.h"
#include "registryd/settings.h"

/*
 * mirrors.c: which there are, and the thread; mirrors_run.c: a run;
 * mirrors_state.c: what they came to.
 */
#define MIRRORS_MAGIC 0x4d495252u

struct mirrors {
	unsigned magic;
	struct service *svc;
	int64_t start_ms; /* calendar */
	pthread_t thread;
	bool runs;
	atomic_bool stop;
	pthread_mutex_t lock; /* over all below */
	pthread_cond_t wake;
	bool due;
	struct mirror_job *now; /* that is carried out; NULL: none is */
	struct mirrors_counts counts;
};

struct mirror_row {
	struct mirror_spec spec;
	bool configured;
};

struct mirror_rows {
	struct settings *settings; /* a reference: what is configured */
	struct arena arena;
	struct mirror_row *items; /* by name */
	size_t n, room;
};

/** mirror_rows_read(m, rows_r): all there are now; rows_free() also after a
 * failure. */
RC_MUST_USE enum rc mirror_rows_read(struct mirrors *, struct mirror_rows *);
void mirror_rows_free(struct mirror_rows *);

/* What came of a run. */
enum mirror_outcome {
	MIRROR_DONE,
	MIRROR_INCOMPLETE,
	MIRROR_FAILED,
	MIRROR_STOPPED
};

struct mirror_run {
	enum mirror_outcome outcome;
	bool asked; /* else it was due */
	bool again; /* the server stopped: as if it had not begun */
	int64_t started_ms, ended_ms;
	struct sync_result result;
	const char *why; /* "" : nothing */
};

/** mirror_run(m, spec, job, asked, run_r): carry it out; the job has ended
 * then, and ${run_r}->why is in ${why}. */
#define MIRROR_RUN_WHY_BYTES 800
void
mirror_run(struct mirrors *, const struct mirror_spec *, struct mirror_job *,
    bool asked, struct mirror_run *run_r, char why[MIRROR_RUN_WHY_BYTES]);

/** mirror_state_add(meta, name, run): to the runs of that name. */
struct meta;
RC_MUST_USE enum rc
mirror_state_add(struct meta *, struct span name, const struct mirror_run *);
/** mirror_state_runs(meta, name): a JSON array, the caller's, the newest
 * first; empty: it never ran, or the record is damaged (logged). */
json_t *mirror_state_runs(struct meta *, struct span name);
/** mirror_state_past(runs, past_r). */
void mirror_state_past(const json_t *runs, struct mirror_past *past_r);

#endif
