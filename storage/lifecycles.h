#ifndef STORAGE_LIFECYCLES_H
#define STORAGE_LIFECYCLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/images.h"

/*
 * A part of the seam of meta.h: what is set of a repository about the lives of
 * its images.  The texts are a matter of the rooms above.
 */
struct meta;

#define LIFECYCLE_TEXT_MAX_BYTES ((size_t)1 << 18)

struct lifecycle_row {
	struct span text;
	uint64_t revision; /* never used twice */
	int64_t set_ms;
	int64_t evaluated_ms; /* 0: never */
};

/** meta_lifecycle_set(m, repository, text, now_ms): RC_NOTFOUND: no
 * repository; RC_INVALID: empty; RC_TOOBIG.  The same text again changes
 * nothing. */
RC_MUST_USE enum rc meta_lifecycle_set(
    struct meta *, struct span repository, struct span text, int64_t now_ms);

/** meta_lifecycle_get(m, repository, arena, row_r): RC_NOTFOUND: no
 * repository; RC_MISSING: it has no policy. */
RC_MUST_USE enum rc meta_lifecycle_get(struct meta *, struct span repository,
    struct arena *, struct lifecycle_row *row_r);

/** meta_lifecycle_delete(m, repository, arena, row_r): what it was; codes of
 * meta_lifecycle_get. */
RC_MUST_USE enum rc meta_lifecycle_delete(struct meta *, struct span repository,
    struct arena *, struct lifecycle_row *row_r);

/*
 * A preview: what a policy would do, of a repository one at a time.  Who starts
 * one leaves it in a queue, which outlives the process; who evaluates it writes
 * its results, some at a time, and then ends it.
 *
 * Results belong to a run, and a preview has one that counts.  Another preview
 * in its place, or one that is evaluated anew after a crash, has another run;
 * the rows of the old one are removed by meta_preview_sweep().
 */

enum preview_status { /* stored: never renumber */
	PREVIEW_IN_PROGRESS = 1,
	PREVIEW_COMPLETE = 2,
	PREVIEW_FAILED = 3,
	PREVIEW_EXPIRED = 4, /* it was complete; its results are gone */
};

struct preview_sums {
	uint64_t expiring, transitioning; /* images */
};

struct preview_row {
	struct span text;
	enum preview_status status;
	int64_t started_ms;
	int64_t ended_ms;	  /* 0: not yet */
	uint64_t run;		  /* never used twice, of whatever repository */
	struct preview_sums sums; /* of a complete one */
};

/** preview_run_counts(row, run): are the results of that run its own? */
static inline bool
preview_run_counts(const struct preview_row *row, uint64_t run)
{
	return (row->run == run && (row->status == PREVIEW_IN_PROGRESS ||
				       row->status == PREVIEW_COMPLETE));
}

/** meta_preview_start(m, repository, text, now_ms): in place of the one that
 * was there.  RC_NOTFOUND; RC_BUSY: one is in progress; RC_INVALID, RC_TOOBIG
 * as of a policy. */
RC_MUST_USE enum rc meta_preview_start(
    struct meta *, struct span repository, struct span text, int64_t now_ms);

/** meta_preview_get(m, repository, arena, row_r): RC_NOTFOUND: no repository;
 * RC_MISSING: no preview. */
RC_MUST_USE enum rc meta_preview_get(struct meta *, struct span repository,
    struct arena *, struct preview_row *row_r);

/* One that is to be evaluated. */
struct preview_job {
	struct span repository;
	struct span text;
	int64_t started_ms;
	uint64_t run;
};

/** meta_preview_next(m, arena, job_r): one that is in progress, of whichever
 * repository.  RC_NOTFOUND: none is. */
RC_MUST_USE enum rc
meta_preview_next(struct meta *, struct arena *, struct preview_job *job_r);

enum preview_action { /* stored: never renumber */
	PREVIEW_EXPIRE = 1,
	PREVIEW_TRANSITION = 2, /* to the archive */
};

struct preview_result {
	struct digest digest;
	enum preview_action action;
	enum image_status status; /* before the action */
	int64_t priority;	  /* of the rule */
	int64_t pushed_ms;
	uint32_t sequence; /* of what was read */
};

/** meta_preview_results_add(m, job, sequence, rows, n): the first of them has
 * that number, and they go on from there.  With number 0 the evaluation begins:
 * what an earlier one has left is of another run then, and ${job} of a new
 * one.  RC_NOTFOUND: no repository; RC_MISSING: the job is not in progress any
 * more. */
RC_MUST_USE enum rc
meta_preview_results_add(struct meta *, struct preview_job *, uint32_t sequence,
    const struct preview_result *rows, size_t n);

/** meta_preview_end(m, job, status, sums, now_ms): PREVIEW_COMPLETE, with as
 * many results as ${sums} say, or PREVIEW_FAILED, with ${sums} NULL.  Codes of
 * meta_preview_results_add. */
RC_MUST_USE enum rc meta_preview_end(struct meta *, const struct preview_job *,
    enum preview_status, const struct preview_sums *, int64_t now_ms);

/* Of one page: more are not read at once. */
#define PREVIEW_PAGE_ROWS_MAX 1000

struct preview_query {
	struct span repository;
	uint64_t run;  /* 0: the one that counts */
	uint32_t from; /* the number of the first row */
	size_t max_rows;
};

struct preview_page {
	struct preview_row preview;
	struct preview_result *rows;
	size_t n;
	bool more; /* there are results behind the last */
};

/** meta_preview_result_page(m, query, arena, page_r): what is known of the
 * preview, and of one that is complete the results.  RC_NOTFOUND: no
 * repository; RC_MISSING: no preview; RC_RANGE: ${run} does not count any
 * more. */
RC_MUST_USE enum rc meta_preview_result_page(struct meta *,
    const struct preview_query *, struct arena *, struct preview_page *page_r);

/* Where a sweep stands; all zero: at its beginning. */
struct preview_sweep {
	bool results; /* of the two things that it does, the second */
	uint64_t repo, run;
};

/** meta_preview_sweep(m, sweep, before_ms, max_rows, more_r): look at some
 * previews, from where ${sweep} stands: those that were complete before that
 * time expire, and of runs that do not count up to ${max_rows} rows go.
 * *${more_r}: there is more to look at. */
RC_MUST_USE enum rc meta_preview_sweep(struct meta *, struct preview_sweep *,
    int64_t before_ms, unsigned max_rows, bool *more_r);

#endif
