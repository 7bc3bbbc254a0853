#include "registryd/job_look.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "lifecycle/runner.h"
#include "registryd/job_state.h"

#define LOOK_JOB_MAGIC 0x4c4a4f42u

struct look_job {
	unsigned magic;
	struct meta *meta;
	struct look_request request; /* its spans are ours */
	char *repository, *text, *against;
	pthread_t thread;
	struct job_state state; /* its lock is over all below */
	struct lifecycle_look_sums sums;
	struct buf lines; /* JSON objects, one behind the other */
	size_t *ends;	  /* of each in .lines */
	size_t n, room;
	uint64_t n_dropped;
};

/* --- its thread ---------------------------------------------------------- */

static bool
stopped(void *arg)
{
	struct look_job *job = arg;

	OBJ_CHECK(job, LOOK_JOB_MAGIC);
	return (atomic_load(&job->state.cancel));
}

static void
line_write(const struct lifecycle_line *line, struct buf *out)
{
	char digest[DIGEST_STR_BYTES], pushed[CLOCK_ISO_BYTES];
	size_t i;

	buf_printf(out, "{\"digest\":\"%s\",\"tags\":[",
	    digest_str(&line->digest, digest));
	for (i = 0; i < line->n_tags; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json(out, line->tags[i]);
	}
	buf_printf(out,
	    "],\"action\":\"%s\",\"rule\":%" PRId64
	    ",\"pushed\":\"%s\",\"bytes\":%" PRIu64 ",\"change\":\"%c\"}",
	    line->action == LIFECYCLE_EXPIRE ? "expire" : "archive",
	    line->priority, clock_iso(line->pushed_ms, pushed),
	    line->image_bytes, line->change);
}

/* With the lock held.  False: it does not fit, and nothing of it is kept. */
static bool
line_keep(struct look_job *job, const struct lifecycle_line *line)
{
	struct buf one;
	bool fits;

	buf_init(&one, LOOK_JOB_SHOWN_BYTES);
	line_write(line, &one);
	fits = buf_ok(&one) && job->lines.n + one.n <= LOOK_JOB_KEPT_BYTES;
	if (fits)
		buf_span(&job->lines, buf_as_span(&one));
	buf_free(&one);
	return (fits);
}

/* With the lock held. */
static void
line_add(struct look_job *job, const struct lifecycle_line *line)
{
	/* Once one has been left out, so are those behind it. */
	if (job->n_dropped > 0 || job->n == LOOK_JOB_LINES_KEPT ||
	    !line_keep(job, line)) {
		job->n_dropped++;
		return;
	}
	if (job->n == job->room) {
		job->room = job->room == 0 ? 64 : job->room * 2;
		job->ends = xrealloc(job->ends, job->room * sizeof(*job->ends));
	}
	job->ends[job->n++] = job->lines.n;
}

static bool
line_take(void *arg, const struct lifecycle_line *line)
{
	struct look_job *job = arg;

	OBJ_CHECK(job, LOOK_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	line_add(job, line);
	mutex_unlock(&job->state.lock);
	return (!atomic_load(&job->state.cancel));
}

static const char *
refusal(enum rc rc, const char *why)
{
	if (rc == RC_NOTFOUND)
		return ("the repository does not exist any more");
	if (rc == RC_MISSING)
		return ("the repository has no lifecycle policy any more");
	if (rc == RC_TOOBIG)
		return ("more images than can be evaluated at once");
	return (rc == RC_INVALID ? why : NULL);
}

static void
job_main(void *arg)
{
	struct look_job *job = arg;
	struct lifecycle_look_sums sums = { 0 };
	char why[LIFECYCLE_WHY_BYTES] = "";
	struct lifecycle_look look;
	enum rc rc;

	OBJ_CHECK(job, LOOK_JOB_MAGIC);
	thread_step_back();
	look = (struct lifecycle_look){
		.text = job->request.text,
		.against = job->request.against,
		.grammar = job->request.grammar,
		.now_ms = job->request.now_ms,
		.stop = stopped,
		.line = line_take,
		.arg = job,
	};
	rc = lifecycle_look(
	    job->meta, job->request.repository, &look, &sums, why);
	if (atomic_load(&job->state.cancel))
		rc = RC_CANCELLED;
	mutex_lock(&job->state.lock);
	job->sums = sums;
	job_state_end(&job->state, rc, refusal(rc, why));
	mutex_unlock(&job->state.lock);
}

/* --- its life ------------------------------------------------------------ */

static struct span
span_keep(struct span s, char **text_r)
{
	if (s.p == NULL)
		return (s);
	*text_r = xmalloc(s.n + 1);
	memcpy(*text_r, s.p, s.n);
	(*text_r)[s.n] = '\0';
	return ((struct span){ *text_r, s.n });
}

static void
job_destroy(struct look_job *job)
{
	buf_free(&job->lines);
	free(job->ends);
	free(job->repository);
	free(job->text);
	free(job->against);
	job_state_fini(&job->state);
	job->magic = 0;
	free(job);
}

enum rc
look_job_start(struct store *store, const struct look_request *request,
    struct look_job **job_r)
{
	struct look_job *job = xcalloc(1, sizeof(*job));
	enum rc rc;

	job->magic = LOOK_JOB_MAGIC;
	job->meta = store_meta(store);
	job->request = *request;
	job->request.repository =
	    span_keep(request->repository, &job->repository);
	job->request.text = span_keep(request->text, &job->text);
	job->request.against = span_keep(request->against, &job->against);
	job_state_init(&job->state);
	buf_init(&job->lines, LOOK_JOB_KEPT_BYTES);
	rc = thread_start("preview", job_main, job, &job->thread);
	if (rc != RC_OK) {
		job_destroy(job);
		return (rc);
	}
	*job_r = job;
	return (RC_OK);
}

const char *
look_job_id(const struct look_job *job)
{
	return (job->state.id);
}

bool
look_job_running(struct look_job *job)
{
	return (job_state_running(&job->state));
}

void
look_job_cancel(struct look_job *job)
{
	atomic_store(&job->state.cancel, true);
}

void
look_job_free(struct look_job *job)
{
	OBJ_CHECK(job, LOOK_JOB_MAGIC);
	look_job_cancel(job);
	thread_join(job->thread);
	job_destroy(job);
}

/* --- as others see it ---------------------------------------------------- */

static void
sums_json(const struct lifecycle_look_sums *s, struct buf *out)
{
	buf_printf(out,
	    ",\"sums\":{\"images\":%" PRIu64 ",\"expiring\":%" PRIu64
	    ",\"transitioning\":%" PRIu64 ",\"held\":%" PRIu64
	    ",\"added\":%" PRIu64 ",\"removed\":%" PRIu64
	    ",\"altered\":%" PRIu64 "}",
	    s->images, s->expiring, s->transitioning, s->held, s->added,
	    s->removed, s->altered);
}

static struct span
line_of(const struct look_job *job, size_t i)
{
	size_t from = i > 0 ? job->ends[i - 1] : 0;

	return ((struct span){ job->lines.p + from, job->ends[i] - from });
}

/* At least one, if there is one. */
static void
lines_json(const struct look_job *job, uint64_t since, struct buf *out)
{
	size_t i, bytes = 0, end = job->n;
	struct span line;

	if (since > end)
		since = end;
	if (end - since > LOOK_JOB_LINES_SHOWN)
		end = (size_t)since + LOOK_JOB_LINES_SHOWN;
	buf_str(out, ",\"lines\":[");
	for (i = (size_t)since; i < end && bytes < LOOK_JOB_SHOWN_BYTES; i++) {
		if (i > since)
			buf_char(out, ',');
		line = line_of(job, i);
		buf_span(out, line);
		bytes += line.n;
	}
	buf_printf(out, "],\"lines_next\":%zu,\"lines_dropped\":%" PRIu64, i,
	    job->n_dropped);
}

void
look_job_json(struct look_job *job, uint64_t since, struct buf *out)
{
	OBJ_CHECK(job, LOOK_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	job_state_json(&job->state, "preview", out);
	buf_str(out, ",\"repository\":");
	buf_json(out, job->request.repository);
	lines_json(job, since, out);
	if (!job->state.running && job->state.rc == RC_OK)
		sums_json(&job->sums, out);
	mutex_unlock(&job->state.lock);
}
