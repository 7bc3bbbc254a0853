#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/thread.h"
#include "mirror/copy_int.h"
#include "mirror/each.h"
#include "mirror/place_int.h"

/*
 * Blobs: which are missing is found out first, so that it is known how much
 * there is to move, and then they move, several at once.  A blob that another
 * image of the same run needs too is waited for rather than moved twice.
 *
 * What breaks on the side of the source is tried again by whoever reads there;
 * an upload that breaks is begun anew here.
 */
#define TRIES 3
#define PAUSE_FIRST_MS 250
#define PAUSE_STEP_MS 50

/* --- what went wrong ----------------------------------------------------- */

/* The first failure is the one that is told; the others end. */
static void
failure_note(struct copy *c, enum rc rc, bool at_destination,
    const struct upstream_error *error)
{
	mutex_lock(&c->lock);
	if (c->rc == RC_OK) {
		c->rc = rc;
		*c->error = *error;
		c->result->at_destination = at_destination;
	}
	mutex_unlock(&c->lock);
	atomic_store(&c->stop, true);
}

static bool
is_over(struct copy *c)
{
	return (atomic_load(&c->stop) || copy_cancelled(c));
}

/* --- a blob as it moves -------------------------------------------------- */

/* Opened when it is read for the first time: a registry that has it already
 * does not read. */
struct stream {
	struct place_blob blob;
	struct copy *copy;
	const struct copy_blob *what;
	struct place_blob *from;
	uint64_t moved_bytes;
	bool failed; /* the source */
};

static enum rc
stream_open(struct stream *s, struct upstream_error *error)
{
	struct place *from = s->copy->from;

	return (from->ops->blob_open(
	    from, &s->what->digest, s->what->size_bytes, &s->from, error));
}

static enum rc
stream_read(struct place_blob *blob, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	struct stream *s = (struct stream *)blob;
	struct copy_progress *progress = s->copy->o->progress;
	enum rc rc = RC_OK;

	if (is_over(s->copy))
		return (place_fail(
		    error, RC_CANCELLED, "%s: cancelled", s->copy->from->name));
	if (s->from == NULL)
		rc = stream_open(s, error);
	if (rc == RC_OK)
		rc = s->from->read(s->from, p, room, n_r, error);
	if (rc != RC_OK) {
		s->failed = true;
		return (rc);
	}
	s->moved_bytes += *n_r;
	if (progress != NULL)
		atomic_fetch_add(&progress->bytes, *n_r);
	return (RC_OK);
}

/* Whoever is given it does not close it. */
static void
stream_close(struct place_blob *blob)
{
	(void)blob;
}

static void
stream_end(struct stream *s)
{
	if (s->from != NULL)
		s->from->close(s->from);
	s->from = NULL;
}

/* It is to be moved once more, or not at all. */
static void
stream_uncount(struct stream *s)
{
	if (s->copy->o->progress != NULL)
		atomic_fetch_sub(&s->copy->o->progress->bytes, s->moved_bytes);
	s->moved_bytes = 0;
}

/* --- one blob ------------------------------------------------------------ */

/* Between tries, unless it is over. */
static void
pause_take(struct copy *c, unsigned tries)
{
	const struct timespec step = { 0, PAUSE_STEP_MS * 1000000L };
	long ms;

	for (ms = PAUSE_FIRST_MS << (2 * tries); ms > 0 && !is_over(c);
	     ms -= PAUSE_STEP_MS)
		(void)nanosleep(&step, NULL);
}

static enum rc
blob_try(struct copy *c, const struct copy_blob *b, struct stream *s,
    struct upstream_error *error)
{
	enum rc rc;

	*s = (struct stream){
		.blob = { .read = stream_read,
		    .close = stream_close,
		    .home = c->from->home,
		    .repository = c->from->repository },
		.copy = c,
		.what = b,
	};
	rc = c->to->ops->blob_put(
	    c->to, &b->digest, b->size_bytes, &s->blob, error);
	stream_end(s);
	if (rc != RC_OK)
		stream_uncount(s);
	return (rc);
}

static void
blob_count(struct copy *c, const struct copy_blob *b, uint64_t moved)
{
	struct copy_progress *progress = c->o->progress;

	if (progress != NULL && moved < b->size_bytes)
		atomic_fetch_sub(&progress->bytes_total, b->size_bytes - moved);
	if (progress != NULL)
		atomic_fetch_add(&progress->blobs, 1);
	mutex_lock(&c->lock);
	if (moved > 0 || b->size_bytes == 0)
		c->result->blobs++;
	c->result->bytes += moved;
	mutex_unlock(&c->lock);
}

static bool
blob_move(struct copy *c, const struct copy_blob *b)
{
	struct upstream_error error = { 0 };
	struct stream s;
	unsigned i;
	enum rc rc;

	for (i = 0;; i++) {
		rc = blob_try(c, b, &s, &error);
		if (rc == RC_OK || s.failed || i + 1 == TRIES || is_over(c) ||
		    (rc != RC_IO && rc != RC_TIMEOUT))
			break;
		pause_take(c, i);
	}
	if (rc == RC_OK)
		blob_count(c, b, s.moved_bytes);
	else
		failure_note(c, rc, !s.failed, &error);
	return (rc == RC_OK);
}

/* RC_NOTFOUND: it has to be moved. */
static enum rc
blob_look(struct copy *c, const struct copy_blob *b)
{
	struct upstream_error error = { 0 };
	enum rc rc = RC_NOTFOUND;

	if (c->to->ops->blob_has != NULL)
		rc = c->to->ops->blob_has(
		    c->to, &b->digest, b->size_bytes, &error);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		failure_note(c, rc, true, &error);
	return (rc);
}

/* --- one at a time ------------------------------------------------------- */

void
copy_shared_init(struct copy_shared *s)
{
	*s = (struct copy_shared){ .tags = NULL };
	mutex_init(&s->lock);
	cond_init(&s->changed);
}

void
copy_shared_end(struct copy_shared *s)
{
	free(s->flying);
	digests_free(&s->landed);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
}

static struct digest *
flying_find(struct copy_shared *s, const struct digest *d)
{
	size_t i;

	for (i = 0; i < s->n_flying; i++)
		if (digest_eq(&s->flying[i], d))
			return (&s->flying[i]);
	return (NULL);
}

/* True: somebody else brought it meanwhile, look again. */
static bool
flight_begin(struct copy_shared *s, const struct digest *d)
{
	bool brought;

	mutex_lock(&s->lock);
	while (flying_find(s, d) != NULL)
		cond_wait(&s->changed, &s->lock);
	brought = digests_has(&s->landed, d);
	if (s->flying == NULL || s->n_flying == s->room_flying) {
		s->room_flying = s->room_flying * 2 + 8;
		s->flying =
		    xrealloc(s->flying, s->room_flying * sizeof(*s->flying));
	}
	s->flying[s->n_flying++] = *d;
	mutex_unlock(&s->lock);
	return (brought);
}

static void
flight_end(struct copy_shared *s, const struct digest *d, bool landed)
{
	struct digest *mine;

	mutex_lock(&s->lock);
	mine = flying_find(s, d);
	*mine = s->flying[s->n_flying - 1];
	s->n_flying--;
	if (landed)
		(void)digests_add(&s->landed, d);
	(void)pthread_cond_broadcast(&s->changed);
	mutex_unlock(&s->lock);
}

/* --- all ----------------------------------------------------------------- */

static void
each_look(void *arg, size_t i)
{
	struct copy *c = arg;
	struct copy_progress *progress = c->o->progress;

	if (is_over(c))
		return;
	c->blobs[i].missing = blob_look(c, &c->blobs[i]) == RC_NOTFOUND;
	if (!c->blobs[i].missing || progress == NULL)
		return;
	atomic_fetch_add(&progress->blobs_total, 1);
	atomic_fetch_add(&progress->bytes_total, c->blobs[i].size_bytes);
}

static void
shared_move(struct copy *c, struct copy_blob *b)
{
	bool there = false;

	if (flight_begin(c->shared, &b->digest) && !is_over(c)) {
		there = blob_look(c, b) == RC_OK;
		if (there)
			blob_count(c, b, 0);
	}
	if (!there && !is_over(c))
		there = blob_move(c, b);
	flight_end(c->shared, &b->digest, there);
}

static void
each_move(void *arg, size_t i)
{
	struct copy *c = arg;

	if (!c->blobs[i].missing || is_over(c))
		return;
	if (c->shared != NULL)
		shared_move(c, &c->blobs[i]);
	else
		(void)blob_move(c, &c->blobs[i]);
}

enum rc
copy_move_blobs(struct copy *c)
{
	each_run(c->n_blobs, c->parallel, each_look, c);
	if (!is_over(c))
		each_run(c->n_blobs, c->parallel, each_move, c);
	if (c->rc == RC_OK && copy_cancelled(c))
		return (place_fail(
		    c->error, RC_CANCELLED, "%s: cancelled", c->from->name));
	return (c->rc);
}
