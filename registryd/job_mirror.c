#include "registryd/job_mirror.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/job_state.h"

#define MIRROR_JOB_MAGIC 0x4d4a4f42u
#define IMAGE_BYTES ((size_t)4096)

struct mirror_job {
	unsigned magic;
	char *name;
	struct copy_progress progress;
	struct job_state state; /* its lock is over all below */
	bool begun;
	struct sync_result sums; /* so far; at the end the result */
	struct buf images;	 /* JSON objects, one behind the other */
	size_t *ends;		 /* of each in .images */
	size_t n, room;
	uint64_t n_dropped;
};

/* --- its life ------------------------------------------------------------ */

struct mirror_job *
mirror_job_new(struct span name)
{
	struct mirror_job *job = xcalloc(1, sizeof(*job));

	job->magic = MIRROR_JOB_MAGIC;
	job->name = xstrndup(name.p, name.n);
	job_state_init(&job->state);
	buf_init(&job->images, MIRROR_JOB_KEPT_BYTES);
	return (job);
}

void
mirror_job_free(struct mirror_job *job)
{
	OBJ_CHECK(job, MIRROR_JOB_MAGIC);
	buf_free(&job->images);
	free(job->ends);
	free(job->name);
	job_state_fini(&job->state);
	job->magic = 0;
	free(job);
}

const char *
mirror_job_id(const struct mirror_job *job)
{
	return (job->state.id);
}

struct span
mirror_job_name(const struct mirror_job *job)
{
	return (span_of(job->name));
}

bool
mirror_job_running(struct mirror_job *job)
{
	return (job_state_running(&job->state));
}

bool
mirror_job_waits(struct mirror_job *job)
{
	bool waits;

	mutex_lock(&job->state.lock);
	waits = job->state.running && !job->begun;
	mutex_unlock(&job->state.lock);
	return (waits);
}

/* One that has not begun ends here; nobody else would end it soon. */
void
mirror_job_cancel(struct mirror_job *job)
{
	atomic_store(&job->state.cancel, true);
	mutex_lock(&job->state.lock);
	if (job->state.running && !job->begun)
		job_state_end(&job->state, RC_CANCELLED, NULL);
	mutex_unlock(&job->state.lock);
}

/* --- the thread of mirrors ----------------------------------------------- */

void
mirror_job_begin(struct mirror_job *job)
{
	OBJ_CHECK(job, MIRROR_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	job->begun = true;
	mutex_unlock(&job->state.lock);
}

struct copy_progress *
mirror_job_progress(struct mirror_job *job)
{
	return (&job->progress);
}

const atomic_bool *
mirror_job_cancelled(const struct mirror_job *job)
{
	return (&job->state.cancel);
}

const char *
sync_outcome_text(enum sync_outcome outcome)
{
	switch (outcome) {
	case SYNC_SAME:
		return ("same");
	case SYNC_COPIED:
		return ("copied");
	case SYNC_DELETED:
		return ("deleted");
	case SYNC_FAILED:
		return ("failed");
	}
	wrong("an outcome of no known kind");
}

static void
image_write(const struct sync_image *image, struct buf *out)
{
	char digest[DIGEST_STR_BYTES];
	bool named =
	    image->outcome == SYNC_SAME || image->outcome == SYNC_COPIED;

	buf_str(out, "{\"tag\":");
	buf_json(out, image->tag);
	buf_printf(
	    out, ",\"outcome\":\"%s\"", sync_outcome_text(image->outcome));
	if (named)
		buf_printf(out, ",\"digest\":\"%s\"",
		    digest_str(&image->digest, digest));
	else
		buf_str(out, ",\"digest\":null");
	buf_printf(out,
	    ",\"manifests\":%" PRIu64 ",\"blobs\":%" PRIu64
	    ",\"bytes\":%" PRIu64 ",\"why\":",
	    image->manifests, image->blobs, image->bytes);
	if (image->outcome == SYNC_FAILED && image->why != NULL)
		buf_json(out, span_of(image->why));
	else
		buf_str(out, "null");
	buf_char(out, '}');
}

/* With the lock held.  Once one has been left out, so are those behind it. */
static void
image_keep(struct mirror_job *job, const struct sync_image *image)
{
	struct buf one;
	bool fits;

	buf_init(&one, IMAGE_BYTES);
	image_write(image, &one);
	fits = job->n_dropped == 0 && job->n < MIRROR_JOB_IMAGES_KEPT &&
	       buf_ok(&one) && job->images.n + one.n <= MIRROR_JOB_KEPT_BYTES;
	if (fits && job->n == job->room) {
		job->room = job->room == 0 ? 64 : job->room * 2;
		job->ends = xrealloc(job->ends, job->room * sizeof(*job->ends));
	}
	if (fits) {
		buf_span(&job->images, buf_as_span(&one));
		job->ends[job->n++] = job->images.n;
	} else {
		job->n_dropped++;
	}
	buf_free(&one);
}

static void
sums_add(struct sync_result *sums, const struct sync_image *image)
{
	sums->same += image->outcome == SYNC_SAME;
	sums->copied += image->outcome == SYNC_COPIED;
	sums->deleted += image->outcome == SYNC_DELETED;
	sums->failed += image->outcome == SYNC_FAILED;
	sums->manifests += image->manifests;
	sums->blobs += image->blobs;
	sums->bytes += image->bytes;
}

void
mirror_job_image(struct mirror_job *job, const struct sync_image *image)
{
	OBJ_CHECK(job, MIRROR_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	sums_add(&job->sums, image);
	image_keep(job, image);
	mutex_unlock(&job->state.lock);
}

void
mirror_job_end(struct mirror_job *job, enum rc rc,
    const struct sync_result *result, const char *why)
{
	OBJ_CHECK(job, MIRROR_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	if (result != NULL && rc == RC_OK)
		job->sums = *result;
	job_state_end(&job->state, rc, why);
	mutex_unlock(&job->state.lock);
}

/* --- as others see it ---------------------------------------------------- */

void
sync_result_json(const struct sync_result *r, struct buf *out)
{
	buf_printf(out,
	    "\"tags\":%" PRIu64 ",\"selected\":%" PRIu64 ",\"same\":%" PRIu64
	    ",\"copied\":%" PRIu64 ",\"deleted\":%" PRIu64
	    ",\"failed\":%" PRIu64 ",\"manifests\":%" PRIu64
	    ",\"blobs\":%" PRIu64 ",\"bytes\":%" PRIu64,
	    r->tags, r->selected, r->same, r->copied, r->deleted, r->failed,
	    r->manifests, r->blobs, r->bytes);
}

static void
progress_json(const struct copy_progress *p, struct buf *out)
{
	buf_printf(out,
	    ",\"progress\":{\"images\":%" PRIu64 ",\"images_total\":%" PRIu64
	    ",\"blobs\":%" PRIu64 ",\"blobs_total\":%" PRIu64
	    ",\"bytes\":%" PRIu64 ",\"bytes_total\":%" PRIu64 "}",
	    atomic_load(&p->images), atomic_load(&p->images_total),
	    atomic_load(&p->blobs), atomic_load(&p->blobs_total),
	    atomic_load(&p->bytes), atomic_load(&p->bytes_total));
}

static struct span
image_of(const struct mirror_job *job, size_t i)
{
	size_t from = i > 0 ? job->ends[i - 1] : 0;

	return ((struct span){ job->images.p + from, job->ends[i] - from });
}

static void
images_json(const struct mirror_job *job, uint64_t since, struct buf *out)
{
	size_t i, end = job->n;

	if (since > end)
		since = end;
	if (end - since > MIRROR_JOB_IMAGES_SHOWN)
		end = (size_t)since + MIRROR_JOB_IMAGES_SHOWN;
	buf_str(out, ",\"images\":[");
	for (i = (size_t)since; i < end; i++) {
		if (i > since)
			buf_char(out, ',');
		buf_span(out, image_of(job, i));
	}
	buf_printf(out, "],\"images_next\":%zu,\"images_dropped\":%" PRIu64,
	    end, job->n_dropped);
}

void
mirror_job_json(struct mirror_job *job, uint64_t since, struct buf *out)
{
	OBJ_CHECK(job, MIRROR_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	job_state_json(&job->state, "mirror", out);
	buf_str(out, ",\"name\":");
	buf_json(out, span_of(job->name));
	buf_printf(out, ",\"waiting\":%s,\"totals\":{",
	    job->begun || !job->state.running ? "false" : "true");
	sync_result_json(&job->sums, out);
	buf_char(out, '}');
	progress_json(&job->progress, out);
	images_json(job, since, out);
	mutex_unlock(&job->state.lock);
}
