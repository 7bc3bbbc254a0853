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

/** meta_lifecycle_set(m, repository, text, now_ms, revision_r): RC_NOTFOUND: no
 * repository; RC_INVALID: empty; RC_TOOBIG.  The same text again changes
 * nothing.  *${revision_r}: that it has then; NULL: nobody asks. */
RC_MUST_USE enum rc meta_lifecycle_set(struct meta *, struct span repository,
    struct span text, int64_t now_ms, uint64_t *revision_r);

/** meta_lifecycle_get(m, repository, arena, row_r): RC_NOTFOUND: no
 * repository; RC_MISSING: it has no policy. */
RC_MUST_USE enum rc meta_lifecycle_get(struct meta *, struct span repository,
    struct arena *, struct lifecycle_row *row_r);

/** meta_lifecycle_delete(m, repository, arena, row_r): what it was; codes of
 * meta_lifecycle_get. */
RC_MUST_USE enum rc meta_lifecycle_delete(struct meta *, struct span repository,
    struct arena *, struct lifecycle_row *row_r);

/*
 * Carrying policies out.  Of each repository with a policy it is known when it
 * was set or evaluated last, whichever is later (its basis), and those that
 * have waited longest come first, without a look at the others.
 */
struct lifecycle_due {
	struct span repository;
	uint64_t repo; /* its id, and where a page goes on */
	int64_t basis_ms;
};

struct lifecycle_due_page {
	struct lifecycle_due *rows;
	size_t n;
	bool more;
};

/** meta_lifecycle_future_settle(m, now_ms): a clock that was ahead has left
 * policies that were set or evaluated later than now: these times become
 * ${now_ms}, as nothing would be due for so long.  Costs a read when there are
 * none. */
RC_MUST_USE enum rc meta_lifecycle_future_settle(struct meta *, int64_t now_ms);

/** meta_lifecycle_due_page(m, before_ms, after, max, arena, page_r): those
 * whose basis is not later than ${before_ms}, from behind ${after}; NULL: from
 * the first. */
RC_MUST_USE enum rc meta_lifecycle_due_page(struct meta *, int64_t before_ms,
    const struct lifecycle_due *after, size_t max, struct arena *,
    struct lifecycle_due_page *page_r);

enum lifecycle_outcome { /* stored: never renumber */
	LIFECYCLE_NEVER = 0,
	LIFECYCLE_RUNNING = 1, /* or a crash has ended it */
	LIFECYCLE_DONE = 2,
	LIFECYCLE_FAILED = 3,
	LIFECYCLE_STOPPED = 4, /* the server stopped, the policy changed, or
				  somebody cancelled it */
};

/* The last run of a repository. */
struct lifecycle_result {
	uint64_t revision; /* of the policy */
	enum lifecycle_outcome outcome;
	int64_t started_ms;
	int64_t ended_ms;	    /* 0: not yet */
	uint64_t images;	    /* that were evaluated */
	uint64_t expired, archived; /* by now */
	uint64_t held;		    /* an index needs them: left */
	uint64_t changed; /* tagged, pulled, pushed or gone meanwhile: left */
	struct span why;  /* of one that failed or stopped, in words */
	bool unsettled;	  /* it failed for what may be over soon, a full disk:
			     not stored */
};

#define LIFECYCLE_RESULT_WHY_MAX 512

/** meta_lifecycle_result_put(m, repository, result): of a run that begins, goes
 * on or ends.  One that is done counts as an evaluation of the policy at
 * .started_ms, if it has the same revision still; one that failed does, too,
 * unless it is .unsettled, which stays due.
 * RC_NOTFOUND: no repository; RC_TOOBIG: .why. */
RC_MUST_USE enum rc meta_lifecycle_result_put(
    struct meta *, struct span repository, const struct lifecycle_result *);

struct lifecycle_status {
	struct span repository;
	uint64_t repo;
	bool has_policy; /* else it had one, and has a result */
	uint64_t revision;
	int64_t set_ms, evaluated_ms;
	struct lifecycle_result last; /* LIFECYCLE_NEVER: none */
};

struct lifecycle_status_page {
	struct lifecycle_status *rows; /* by name */
	size_t n;
	bool more;
	struct span last; /* name that was looked at */
};

/** meta_lifecycle_status_page(m, after, max, arena, page_r): repositories that
 * have a policy or a result, from behind the name ${after}; not more than some
 * 1000 repositories are looked at, so a page may be empty and ${more} true. */
RC_MUST_USE enum rc meta_lifecycle_status_page(struct meta *, struct span after,
    size_t max, struct arena *, struct lifecycle_status_page *page_r);

/** meta_lifecycle_status(m, repository, arena, row_r): of one, which may have
 * neither policy nor result.  RC_NOTFOUND: no repository. */
RC_MUST_USE enum rc meta_lifecycle_status(struct meta *, struct span repository,
    struct arena *, struct lifecycle_status *row_r);

/*
 * What an evaluation decided about an image, and what the image was then: it is
 * done if it is that still.
 */
enum lifecycle_act_kind { ACT_EXPIRE, ACT_ARCHIVE };

struct lifecycle_act {
	struct digest digest;
	enum lifecycle_act_kind kind;
	int64_t priority; /* of the rule */
	bool by_pull;	  /* the rule looks at the last pull */
	int64_t pushed_ms, pulled_ms, archived_ms, activated_ms;
	uint64_t tags_hash; /* image_tags_hash() */
};

/** image_tags_hash(tags, n): of tags in byte order; other tags, another hash,
 * as good as always. */
uint64_t image_tags_hash(const struct span *tags, size_t n);

enum lifecycle_act_end {
	ACT_DONE,
	ACT_GONE,    /* it is not there any more */
	ACT_CHANGED, /* tags, push, class, or last pull (.by_pull): the next
			evaluation will tell */
	ACT_HELD,    /* an index needs it */
};

struct lifecycle_acted {
	enum lifecycle_act_end end;
	struct span *tags; /* with ACT_DONE: that it had */
	size_t n_tags;
	uint64_t image_bytes;
};

/** meta_lifecycle_apply(m, repository, revision, acts, n, now_ms, arena, r):
 * In one transaction; *${r} has room for ${n}.  Pulls that are only noted yet
 * (meta_manifest_pulled) count.  RC_NOTFOUND: no repository; RC_MISSING: the
 * policy has another revision by now, or is gone: nothing was done. */
RC_MUST_USE enum rc meta_lifecycle_apply(struct meta *, struct span repository,
    uint64_t revision, const struct lifecycle_act *acts, size_t n,
    int64_t now_ms, struct arena *, struct lifecycle_acted *r);

/** meta_pulls_settle(m): pulls noted so far are written: an evaluation that
 * begins then sees them. */
RC_MUST_USE enum rc meta_pulls_settle(struct meta *);

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
