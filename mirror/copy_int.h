#ifndef MIRROR_COPY_INT_H
#define MIRROR_COPY_INT_H

#include <pthread.h>

#include "base/manifest.h"
#include "mirror/copy.h"
#include "mirror/digests.h"

/*
 * A copy in three steps: what belongs to the image is found out and what of its
 * manifests is missing (copy_plan.c), its blobs are looked for and moved
 * (copy_blobs.c), and its manifests follow in the order of the plan, the tag
 * last (copy.c).
 */

/* What copies that run at once from one place to one other share. */
struct copy_shared {
	/* All tags of the source, sorted; NULL: not known. */
	const struct span *tags;
	size_t n_tags;
	/* Blobs on their way, and those that came; the lock's. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct digest *flying;
	size_t n_flying, room_flying;
	struct digests landed;
};

void copy_shared_init(struct copy_shared *);
void copy_shared_end(struct copy_shared *);

/** copy_image_shared(...): copy_image(), of one of several. */
RC_MUST_USE enum rc copy_image_shared(struct copy_shared *, struct place *from,
    const struct reference *, struct place *to, struct span tag,
    const struct copy_options *, struct copy_result *result_r,
    struct upstream_error *);

struct copy_blob {
	struct digest digest;
	uint64_t size_bytes;
	bool missing;
};

/* A manifest that is to be put. */
struct copy_step {
	struct place_manifest m;
	struct span tag; /* empty: none */
	bool sparse;	 /* some of its children were left out */
};

/* A subject whose referrers are not all in the destination's list. */
struct copy_subject {
	struct digest digest;
	struct upstream_referrer *rows; /* at the source */
	size_t n;
	struct copy_subject *next;
};

struct copy {
	struct place *from, *to;
	const struct copy_options *o;
	struct copy_shared *shared;
	unsigned parallel;
	struct copy_result *result; /* counts: the lock's */
	struct upstream_error *error;

	/* The plan; one thread, then only read. */
	struct arena arena;
	struct digests manifests; /* looked at */
	struct digests blob_set;
	struct copy_blob *blobs;
	size_t n_blobs, room_blobs;
	struct copy_step *steps;
	size_t n_steps, room_steps;
	struct copy_subject *subjects;
	uint64_t chosen; /* children that the platforms name */

	/* What happens; ${rc} is of the first that failed. */
	pthread_mutex_t lock;
	enum rc rc;
	_Atomic bool stop;
};

/** copy_cancelled(c): is it to end? */
bool copy_cancelled(const struct copy *);
/** copy_at(c, p, rc): ${rc}, noting whether the destination is to blame. */
RC_MUST_USE enum rc copy_at(struct copy *, const struct place *, enum rc);

/** copy_plan(c, ref, tag): fills in the plan; what is to be put last has the
 * tag. */
RC_MUST_USE enum rc
copy_plan(struct copy *, const struct reference *, struct span tag);

/** copy_move_blobs(c): those of the plan that are missing. */
RC_MUST_USE enum rc copy_move_blobs(struct copy *);

/** platforms_choose(o, m, text, arena, keep_r, why): which of the edges of an
 * index are wanted: *${keep_r}, in the arena.  *${chosen_r}: how many the
 * platforms name themselves; ${why}: what there is, if none.  RC_INVALID,
 * RC_TOOBIG. */
RC_MUST_USE enum rc platforms_choose(const struct copy_options *,
    const struct manifest *, struct span text, struct arena *, bool **keep_r,
    uint64_t *chosen_r, char why[UPSTREAM_WHY_BYTES]);

/** copy_tag_of(d, suffix, out): "sha256-HEX" and ${suffix}. */
#define COPY_TAG_BYTES (DIGEST_STR_BYTES + 8)
const char *copy_tag_of(
    const struct digest *, const char *suffix, char out[COPY_TAG_BYTES]);
/** copy_tag_belongs(tag): is it one of those, which stand for an image and are
 * copied with it? */
bool copy_tag_belongs(struct span tag);

/** copy_fallback_put(c, subject): the list of referrers as a tag, where the
 * destination does not list them itself. */
RC_MUST_USE enum rc
copy_fallback_put(struct copy *, const struct copy_subject *);

#endif
