#ifndef LIFECYCLE_RUNNER_H
#define LIFECYCLE_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "lifecycle/evaluate.h"
#include "lifecycle/policy.h"
#include "storage/lifecycles.h"
#include "storage/meta.h"

/*
 * Policies meet what is in the store: the images of a repository are read in
 * pages, so that no read takes long, evaluated (evaluate.h), and what is
 * decided is done in small transactions, each of which looks once more whether
 * an image is still what was evaluated.  What is pushed or deleted meanwhile is
 * seen or not.  A run that ends in the middle, by a crash too, leaves nothing
 * behind: the next one evaluates anew and does the rest.
 *
 * Functions block; any thread that may.
 */

/* That a rule may take: some 150 bytes of memory each. */
#define LIFECYCLE_IMAGES_MAX ((size_t)5000000)

typedef bool lifecycle_stop_fn(void *arg); /* true: end soon */

/** lifecycle_images_read(m, repository, runs, n_runs, stop, arg, images_r):
 * Add every image of the repository to each of ${runs}, but for those that are
 * being restored (IMAGE_ACTIVATING): no rule takes or counts them.
 * RC_NOTFOUND; RC_CANCELLED; RC_TOOBIG, RC_LIMIT as lifecycle_run_add(). */
RC_MUST_USE enum rc lifecycle_images_read(struct meta *, struct span repository,
    struct lifecycle_run *const *runs, size_t n_runs, lifecycle_stop_fn *stop,
    void *arg, uint64_t *images_r);

/* One image about which something was done, or was not. */
struct lifecycle_event {
	struct span repository;
	struct digest digest;
	const struct span *tags; /* that it had */
	size_t n_tags;
	uint64_t image_bytes;
	enum lifecycle_act_kind kind;
	int64_t priority;  /* of the rule */
	uint64_t revision; /* of the policy */
};

struct lifecycle_carry {
	bool extensions;	 /* of the grammar */
	unsigned rate;		 /* images in a second; 0: any number */
	int64_t now_ms;		 /* as of when */
	lifecycle_stop_fn *stop; /* may be NULL */
	/* After the transaction; may be NULL.  On this thread. */
	void (*acted)(void *arg, const struct lifecycle_event *);
	void *arg; /* of both */
};

/* How much is done at once, and how long others have the store then. */
#define LIFECYCLE_BATCH 8
#define LIFECYCLE_REST_FACTOR 2 /* times as long as the batch took */

/**
 * lifecycle_carry_out(m, repository, carry, result_r):
 * Evaluate the policy of a repository and do what it says; keep the result in
 * the store as it goes.  RC_NOTFOUND: no repository; RC_MISSING: it has no
 * policy; both leave *${result_r} LIFECYCLE_NEVER.  All else is told by the
 * outcome in *${result_r}, whose .why is a constant or lies in ${arena}, and
 * gives RC_OK.  RC_IO and the like when that could not be kept: *${result_r} is
 * LIFECYCLE_NEVER if it did not even begin, else as if it had been.  One whose
 * repository is deleted meanwhile has stopped.  A run that failed is logged.
 */
RC_MUST_USE enum rc lifecycle_carry_out(struct meta *, struct span repository,
    const struct lifecycle_carry *, struct arena *,
    struct lifecycle_result *result_r);

/* What a policy would do, for people: in order of action, oldest first. */
struct lifecycle_line {
	struct digest digest;
	const struct span *tags;
	size_t n_tags;
	enum lifecycle_action action;
	int64_t priority;
	int64_t pushed_ms;
	uint64_t image_bytes;
	char change; /* of a comparison: '+' only the new policy would, '-' only
			the old one, '~' both, by different rules or actions;
			else ' ' */
};

struct lifecycle_look {
	struct span text;    /* a policy; empty: that of the repository */
	struct span against; /* compare with this one; .p NULL: no comparison;
				empty: with that of the repository, or none */
	struct lifecycle_grammar grammar;
	int64_t now_ms;
	lifecycle_stop_fn *stop;
	/* For each image; a comparison tells the differences only.  False: no
	 * more of them. */
	bool (*line)(void *arg, const struct lifecycle_line *);
	void *arg;
};

struct lifecycle_look_sums {
	uint64_t images, expiring, transitioning; /* of the new policy */
	uint64_t held; /* an index needs them: by a later run */
	uint64_t added, removed, altered; /* of a comparison */
};

/** lifecycle_look(m, repository, look, sums_r, why):
 * Change nothing.  RC_NOTFOUND; RC_MISSING: no policy; RC_INVALID: ${why} says
 * which policy and what is wrong with it; RC_CANCELLED; RC_TOOBIG. */
RC_MUST_USE enum rc lifecycle_look(struct meta *, struct span repository,
    const struct lifecycle_look *, struct lifecycle_look_sums *sums_r,
    char why[LIFECYCLE_WHY_BYTES]);

#endif
