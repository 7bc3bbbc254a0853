#include "mirror/copy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "mirror/copy_int.h"
#include "mirror/place_int.h"

#define PARALLEL 4
/* Of all manifests of an image, and of what is asked about them. */
#define ARENA_BYTES ((size_t)128 << 20)

bool
copy_cancelled(const struct copy *c)
{
	return ((c->o->cancel != NULL && atomic_load(c->o->cancel)) ||
		place_cancelled(c->from) || place_cancelled(c->to));
}

enum rc
copy_at(struct copy *c, const struct place *p, enum rc rc)
{
	if (rc != RC_OK)
		c->result->at_destination = p == c->to;
	return (rc);
}

/* --- manifests ----------------------------------------------------------- */

static enum rc
step_refused(struct copy *c, const struct copy_step *step)
{
	char text[DIGEST_STR_BYTES], said[UPSTREAM_WHY_BYTES / 2];

	if (!step->sparse)
		return (RC_MISSING);
	(void)snprintf(
	    said, sizeof(said), "%.*s", (int)sizeof(said) - 1, c->error->why);
	return (place_fail(c->error, RC_MISSING,
	    "%s: it does not take the index %.19s... without all of its images "
	    "(%s): copy all platforms, or one image of it by its own digest",
	    c->to->name, digest_str(&step->m.digest, text), said));
}

static enum rc
step_put(struct copy *c, const struct copy_step *step)
{
	enum rc rc;

	if (copy_cancelled(c))
		return (place_fail(
		    c->error, RC_CANCELLED, "%s: cancelled", c->from->name));
	rc = c->to->ops->manifest_put(c->to, &step->m, step->tag, c->error);
	if (rc == RC_MISSING)
		rc = step_refused(c, step);
	if (rc != RC_OK)
		return (copy_at(c, c->to, rc));
	c->result->manifests++;
	if (c->o->progress != NULL)
		atomic_fetch_add(&c->o->progress->moved_manifests, 1);
	return (RC_OK);
}

static enum rc
steps_put(struct copy *c)
{
	const struct copy_subject *s;
	size_t i;
	enum rc rc = RC_OK;

	for (i = 0; rc == RC_OK && i < c->n_steps; i++)
		rc = step_put(c, &c->steps[i]);
	for (s = c->subjects; rc == RC_OK && s != NULL; s = s->next)
		rc = copy_fallback_put(c, s);
	return (rc);
}

/* --- all ----------------------------------------------------------------- */

static unsigned
parallel_of(const struct copy *c)
{
	if (c->from->serial || c->to->serial)
		return (1);
	return (c->o->parallel != 0 ? c->o->parallel : PARALLEL);
}

static void
copy_init(struct copy *c)
{
	arena_init(&c->arena, ARENA_BYTES);
	mutex_init(&c->lock);
	atomic_init(&c->stop, false);
	c->parallel = parallel_of(c);
	*c->result = (struct copy_result){ .outcome = COPY_SAME };
}

static void
copy_end(struct copy *c)
{
	struct copy_result *r = c->result;

	if (r->manifests > 0 || r->blobs > 0)
		r->outcome = COPY_MOVED;
	if (c->o->progress != NULL)
		atomic_fetch_add(&c->o->progress->images, 1);
	digests_free(&c->manifests);
	digests_free(&c->blob_set);
	free(c->blobs);
	free(c->steps);
	(void)pthread_mutex_destroy(&c->lock);
	arena_reset(&c->arena);
}

enum rc
copy_image_shared(struct copy_shared *shared, struct place *from,
    const struct reference *ref, struct place *to, struct span tag,
    const struct copy_options *o, struct copy_result *result_r,
    struct upstream_error *error)
{
	struct copy c = {
		.from = from,
		.to = to,
		.o = o,
		.shared = shared,
		.result = result_r,
		.error = error,
		.rc = RC_OK,
	};
	enum rc rc;

	copy_init(&c);
	rc = copy_plan(&c, ref, tag);
	if (rc == RC_OK)
		rc = copy_move_blobs(&c);
	if (rc == RC_OK)
		rc = steps_put(&c);
	copy_end(&c);
	return (rc);
}

enum rc
copy_image(struct place *from, const struct reference *ref, struct place *to,
    struct span tag, const struct copy_options *o, struct copy_result *result_r,
    struct upstream_error *error)
{
	return (
	    copy_image_shared(NULL, from, ref, to, tag, o, result_r, error));
}
