#include "storage/gc_job.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define GC_JOB_MAGIC 0x67636a62u

struct gc_job {
	unsigned magic;
	char id[GC_JOB_ID_BYTES];
	struct store *store;
	struct gc_job_options options;
	int64_t started_ms, started_ns;
	_Atomic bool stop;
	pthread_t thread;

	pthread_mutex_t lock; /* over all below */
	bool running;
	bool ending; /* it will not go through all once more */
	bool again;
	enum rc rc; /* how it ended */
	int64_t ended_ns;
	struct gc_totals totals; /* as of a moment ago */
};

/* --- the collection's thread --------------------------------------------- */

static void
job_reclaimed(void *arg, const struct gc_reclaimed *r)
{
	const struct gc_job *job = arg;

	OBJ_CHECK(job, GC_JOB_MAGIC);
	job->options.reclaimed(job->options.arg, r);
}

static void
job_followed(void *arg, const struct gc_followed *f)
{
	const struct gc_job *job = arg;

	OBJ_CHECK(job, GC_JOB_MAGIC);
	job->options.followed(job->options.arg, f);
}

static void
job_progress(void *arg, const struct gc_totals *totals)
{
	struct gc_job *job = arg;

	OBJ_CHECK(job, GC_JOB_MAGIC);
	mutex_lock(&job->lock);
	job->totals = *totals;
	mutex_unlock(&job->lock);
}

static bool
job_once_more(struct gc_job *job, enum rc rc)
{
	bool again;

	mutex_lock(&job->lock);
	again = rc != RC_CANCELLED && job->again && !atomic_load(&job->stop);
	job->again = false;
	job->ending = !again;
	mutex_unlock(&job->lock);
	return (again);
}

static enum rc
job_collect(struct gc_job *job, struct gc_totals *totals)
{
	struct gc_options options = {
		.dry_run = job->options.dry_run,
		.reclaimed =
		    job->options.reclaimed != NULL ? job_reclaimed : NULL,
		.followed = job->options.followed != NULL ? job_followed : NULL,
		.progress = job_progress,
		.arg = job,
		.stop = &job->stop,
	};
	enum rc rc, worst = RC_OK;

	do {
		/* What would be is not to be added up. */
		if (options.dry_run)
			*totals = (struct gc_totals){ 0 };
		options.now_ms = clock_real_ms();
		rc = gc_run(job->store, &options, totals);
		worst = rc != RC_OK ? rc : worst;
	} while (job_once_more(job, rc));
	return (worst);
}

static void
job_main(void *arg)
{
	struct gc_job *job = arg;
	struct gc_totals totals = { 0 };
	enum rc rc;

	OBJ_CHECK(job, GC_JOB_MAGIC);
	thread_step_back();
	rc = job_collect(job, &totals);
	if (job->options.ended != NULL)
		job->options.ended(job->options.arg, rc, &totals);
	mutex_lock(&job->lock);
	job->totals = totals;
	job->rc = rc;
	job->ended_ns = clock_mono_ns();
	job->running = false;
	mutex_unlock(&job->lock);
}

/* --- its life ------------------------------------------------------------ */

static void
id_make(char out[GC_JOB_ID_BYTES])
{
	uint8_t bytes[(GC_JOB_ID_BYTES - 1) / 2];

	must(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), out);
}

static void
job_destroy(struct gc_job *job)
{
	must(pthread_mutex_destroy(&job->lock) == 0);
	job->magic = 0;
	free(job);
}

enum rc
gc_job_start(struct store *store, const struct gc_job_options *options,
    struct gc_job **job_r)
{
	struct gc_job *job = xcalloc(1, sizeof(*job));
	enum rc rc;

	job->magic = GC_JOB_MAGIC;
	id_make(job->id);
	job->store = store;
	job->options = *options;
	job->started_ms = clock_real_ms();
	job->started_ns = clock_mono_ns();
	job->running = true;
	mutex_init(&job->lock);
	if ((rc = thread_start("gc", job_main, job, &job->thread)) != RC_OK) {
		job_destroy(job);
		return (rc);
	}
	*job_r = job;
	return (RC_OK);
}

void
gc_job_free(struct gc_job **job_p)
{
	struct gc_job *job = *job_p;

	*job_p = NULL;
	if (job == NULL)
		return;
	OBJ_CHECK(job, GC_JOB_MAGIC);
	gc_job_cancel(job);
	thread_join(job->thread);
	job_destroy(job);
}

bool
gc_job_again(struct gc_job *job)
{
	bool joined;

	mutex_lock(&job->lock);
	joined = job->running && !job->ending;
	if (joined)
		job->again = true;
	mutex_unlock(&job->lock);
	return (joined);
}

const char *
gc_job_id(const struct gc_job *job)
{
	return (job->id);
}

bool
gc_job_running(struct gc_job *job)
{
	bool running;

	mutex_lock(&job->lock);
	running = job->running;
	mutex_unlock(&job->lock);
	return (running);
}

void
gc_job_cancel(struct gc_job *job)
{
	atomic_store(&job->stop, true);
}

/* --- as others see it ---------------------------------------------------- */

static const char *
state_name(const struct gc_job *job)
{
	if (job->running)
		return ("running");
	if (job->rc == RC_OK)
		return ("done");
	return (job->rc == RC_CANCELLED ? "cancelled" : "failed");
}

#define ROW(member) \
	{ \
#member, offsetof(struct gc_totals, member) \
	}

static const struct row {
	const char *name;
	size_t offset;
} rows[] = {
	ROW(links), ROW(blobs), ROW(bytes), ROW(deleted_images),
	ROW(repository_rows), ROW(referrers), ROW(referrers_archived),
	ROW(uploads), ROW(orphan_files), ROW(orphan_bytes), ROW(folders),
	ROW(archived_blobs), ROW(archived_from_bytes), ROW(archived_to_bytes),
	ROW(activated_images), ROW(activated_bytes), ROW(waiting_links),
	ROW(waiting_blobs), ROW(waiting_bytes), ROW(leased),
	ROW(database_bytes), ROW(database_free_bytes),
	ROW(settles_ms), /* never negative */
};

_Static_assert(ARRAY_LEN(rows) * sizeof(uint64_t) == sizeof(struct gc_totals),
    "a row for each figure");

static void
totals_json(const struct gc_totals *totals, struct buf *out)
{
	const char *base = (const char *)totals;
	size_t i;

	buf_str(out, ",\"totals\":{");
	for (i = 0; i < ARRAY_LEN(rows); i++)
		buf_printf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
		    rows[i].name, *(const uint64_t *)(base + rows[i].offset));
	buf_char(out, '}');
}

void
gc_job_json(struct gc_job *job, struct buf *out)
{
	char started[CLOCK_ISO_BYTES];
	int64_t now_ns = clock_mono_ns();

	mutex_lock(&job->lock);
	if (!job->running)
		now_ns = job->ended_ns;
	buf_printf(out, "\"id\":\"%s\",\"kind\":\"gc\",\"state\":\"%s\"",
	    job->id, state_name(job));
	if (!job->running && job->rc != RC_OK)
		buf_printf(out, ",\"error\":\"%s\"", rc_text(job->rc));
	buf_printf(out,
	    ",\"dry_run\":%s,\"started\":\"%s\",\"duration_ms\":%" PRId64,
	    job->options.dry_run ? "true" : "false",
	    clock_iso(job->started_ms, started),
	    (now_ns - job->started_ns) / 1000000);
	totals_json(&job->totals, out);
	mutex_unlock(&job->lock);
}
