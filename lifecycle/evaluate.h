#ifndef LIFECYCLE_EVALUATE_H
#define LIFECYCLE_EVALUATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "lifecycle/policy.h"

/*
 * What a policy would do to the images of a repository.  Pure: images, rules
 * and the time in, verdicts out; nothing is looked up and nothing is done.
 *
 *	run = lifecycle_run_new(policy, now, max);
 *	lifecycle_run_add(run, image) ...	every image, in any order
 *	lifecycle_run_decide(run, n);
 *	lifecycle_run_next(run, verdict) ...	those to be acted on
 *	lifecycle_run_free(&run);
 *
 * A rule selects images of its storage class by their tags, and hits some of
 * these, by age or because there are more than so many of them.  The first
 * rule (by priority) that selects an image decides about it alone: where it
 * hits, it acts; where it does not, it protects from all rules behind it.
 * Every rule counts all images that it selects, as if no other rule were
 * there.  So an image is acted on once or not at all.
 *
 * Guards (extensions) come last: what they save would have been acted on.
 * protect_tags saves images with such a tag.  keep_last saves the youngest of
 * the tagged images that would be acted on, as many as are missing from that
 * number of tagged images of the standard class after the run.
 *
 * Time per image is that of matching its tags with each rule; sorting is once.
 * Memory is some 150 bytes for an image that a rule may still take, nothing
 * for others.  A run belongs to one thread.
 */
struct lifecycle_image {
	struct digest digest;
	const struct span *tags;
	size_t n_tags;
	enum lifecycle_class storage_class;
	int64_t pushed_ms; /* the digest came into the repository */
	int64_t pulled_ms, archived_ms, activated_ms; /* last; 0: never */
	bool held;	     /* an index of the repository refers to it */
	bool held_by_active; /* one that is not archived does */
	bool subject_here;   /* it refers to a subject that is there: no
				untagged rule selects it */
	uint64_t tags_hash;  /* the caller's; given back in the verdict */
};

struct lifecycle_verdict {
	struct digest digest;
	enum lifecycle_class storage_class; /* now */
	int64_t pushed_ms, pulled_ms, archived_ms, activated_ms;
	uint64_t tags_hash;		   /* the image's */
	const struct lifecycle_rule *rule; /* of the policy */
	bool held; /* counted, but nothing may be done while the index is
		      there: by a later run */
};

struct lifecycle_run;

/** lifecycle_run_new(policy, now_ms, max_images): the policy outlives it.  The
 * caller frees it. */
struct lifecycle_run *lifecycle_run_new(
    const struct lifecycle_policy *, int64_t now_ms, size_t max_images);
void lifecycle_run_free(struct lifecycle_run **);

/** lifecycle_run_add(run, image): each digest once; what is needed of it is
 * copied.  RC_TOOBIG: more than ${max_images} would have to be kept; RC_LIMIT:
 * there is no memory for it.  After either the run is only to be freed. */
RC_MUST_USE enum rc
lifecycle_run_add(struct lifecycle_run *, const struct lifecycle_image *);

/** lifecycle_run_decide(run, n_r): once, after the last image; *${n_r}: how
 * many verdicts there are.  RC_LIMIT as above. */
RC_MUST_USE enum rc lifecycle_run_decide(struct lifecycle_run *, size_t *n_r);

/** lifecycle_run_next(run, verdict_r): the next in the order in which to act:
 * oldest first.  False: there are no more. */
bool
lifecycle_run_next(struct lifecycle_run *, struct lifecycle_verdict *verdict_r);

#endif
