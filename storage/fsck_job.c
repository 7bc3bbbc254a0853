#include "storage/fsck_job.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define FSCK_JOB_MAGIC 0x464a4f42u
#define PROBLEM_TEXT_BYTES 512

struct problem {
	enum fsck_problem_kind kind;
	bool repaired;
	char *text;
};

struct fsck_job {
	unsigned magic;
	char id[FSCK_JOB_ID_BYTES];
	struct store *store;
	struct fsck_job_options options;
	struct fsck_progress progress;
	int64_t started_ms, started_ns;
	_Atomic bool stop;
	pthread_t thread;

	pthread_mutex_t lock; /* over all below */
	bool running;
	enum rc rc; /* how it ended */
	int64_t ended_ns;
	struct problem *problems;
	size_t n_problems;
	uint64_t n_dropped;
};

static const char *
kind_name(enum fsck_problem_kind kind)
{
	static const char *const names[] = {
		[FSCK_RECORD] = "record",
		[FSCK_MISSING] = "missing",
		[FSCK_SIZE] = "size",
		[FSCK_DIGEST] = "digest",
		[FSCK_DANGLING] = "dangling",
		[FSCK_INDEX] = "index",
		[FSCK_COUNT] = "count",
	};

	must((size_t)kind < ARRAY_LEN(names));
	return (names[kind]);
}

/* --- the check's thread -------------------------------------------------- */

static void
job_problem(void *arg, const struct fsck_problem *found)
{
	struct fsck_job *job = arg;
	struct problem *p;

	OBJ_CHECK(job, FSCK_JOB_MAGIC);
	if (job->options.log)
		log_warn("fsck: %s: %s%s", kind_name(found->kind), found->text,
		    found->repaired ? " (repaired)" : "");
	mutex_lock(&job->lock);
	if (job->n_problems < FSCK_JOB_PROBLEMS_KEPT) {
		p = &job->problems[job->n_problems++];
		p->kind = found->kind;
		p->repaired = found->repaired;
		p->text = xstrndup(found->text, PROBLEM_TEXT_BYTES);
	} else {
		job->n_dropped++;
	}
	mutex_unlock(&job->lock);
}

static void
job_main(void *arg)
{
	struct fsck_job *job = arg;
	struct fsck_options options;
	enum rc rc;

	OBJ_CHECK(job, FSCK_JOB_MAGIC);
	options = (struct fsck_options){
		.repair = job->options.repair,
		.skip_content = job->options.skip_content,
		.bytes_per_s = job->options.bytes_per_s,
		.problem = job_problem,
		.arg = job,
		.stop = &job->stop,
	};
	rc = fsck_run(job->store, &options, &job->progress);
	if (job->options.log)
		log_info("fsck %s: %s, %" PRIu64 " problems, %" PRIu64
			 " repaired",
		    job->id, rc == RC_OK ? "done" : rc_text(rc),
		    atomic_load(&job->progress.problems),
		    atomic_load(&job->progress.repaired));
	mutex_lock(&job->lock);
	job->rc = rc;
	job->ended_ns = clock_mono_ns();
	job->running = false;
	mutex_unlock(&job->lock);
}

/* --- its life ------------------------------------------------------------ */

static void
id_make(char out[FSCK_JOB_ID_BYTES])
{
	uint8_t bytes[(FSCK_JOB_ID_BYTES - 1) / 2];

	must(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), out);
}

static void
job_destroy(struct fsck_job *job)
{
	size_t i;

	for (i = 0; i < job->n_problems; i++)
		free(job->problems[i].text);
	free(job->problems);
	must(pthread_mutex_destroy(&job->lock) == 0);
	job->magic = 0;
	free(job);
}

enum rc
fsck_job_start(struct store *store, const struct fsck_job_options *options,
    struct fsck_job **job_r)
{
	struct fsck_job *job = xcalloc(1, sizeof(*job));
	enum rc rc;

	job->magic = FSCK_JOB_MAGIC;
	id_make(job->id);
	job->store = store;
	job->options = *options;
	job->started_ms = clock_real_ms();
	job->started_ns = clock_mono_ns();
	job->running = true;
	job->problems = xcalloc(FSCK_JOB_PROBLEMS_KEPT, sizeof(*job->problems));
	mutex_init(&job->lock);
	if ((rc = thread_start("fsck", job_main, job, &job->thread)) != RC_OK) {
		job_destroy(job);
		return (rc);
	}
	*job_r = job;
	return (RC_OK);
}

void
fsck_job_free(struct fsck_job **job_p)
{
	struct fsck_job *job = *job_p;

	*job_p = NULL;
	if (job == NULL)
		return;
	OBJ_CHECK(job, FSCK_JOB_MAGIC);
	fsck_job_cancel(job);
	thread_join(job->thread);
	job_destroy(job);
}

const char *
fsck_job_id(const struct fsck_job *job)
{
	return (job->id);
}

bool
fsck_job_running(struct fsck_job *job)
{
	bool running;

	mutex_lock(&job->lock);
	running = job->running;
	mutex_unlock(&job->lock);
	return (running);
}

bool
fsck_job_same(
    const struct fsck_job *job, const struct fsck_job_options *options)
{
	return (job->options.repair == options->repair &&
		job->options.skip_content == options->skip_content);
}

void
fsck_job_cancel(struct fsck_job *job)
{
	atomic_store(&job->stop, true);
}

/* --- as others see it ---------------------------------------------------- */

static const char *
state_name(const struct fsck_job *job)
{
	if (job->running)
		return ("running");
	if (job->rc == RC_OK)
		return ("done");
	return (job->rc == RC_CANCELLED ? "cancelled" : "failed");
}

static void
progress_json(struct fsck_progress *p, struct buf *out)
{
	const struct {
		const char *name;
		uint64_t n;
	} rows[] = {
		{ "records", atomic_load(&p->records) },
		{ "blobs", atomic_load(&p->blobs) },
		{ "blobs_total", atomic_load(&p->blobs_total) },
		{ "bytes", atomic_load(&p->bytes) },
		{ "bytes_total", atomic_load(&p->bytes_total) },
		{ "problems", atomic_load(&p->problems) },
		{ "repaired", atomic_load(&p->repaired) },
		{ "orphan_files", atomic_load(&p->orphan_files) },
		{ "orphan_bytes", atomic_load(&p->orphan_bytes) },
		{ "locked_blobs", atomic_load(&p->locked_blobs) },
		{ "locked_bytes", atomic_load(&p->locked_bytes) },
	};
	size_t i;

	buf_str(out, ",\"progress\":{");
	for (i = 0; i < ARRAY_LEN(rows); i++)
		buf_printf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
		    rows[i].name, rows[i].n);
	buf_char(out, '}');
}

static void
problems_json(const struct fsck_job *job, uint64_t since, struct buf *out)
{
	const struct problem *p;
	uint64_t i;

	buf_str(out, ",\"problems\":[");
	for (i = since; i < job->n_problems; i++) {
		p = &job->problems[i];
		buf_printf(out, "%s{\"kind\":\"%s\",\"repaired\":%s,\"text\":",
		    i > since ? "," : "", kind_name(p->kind),
		    p->repaired ? "true" : "false");
		buf_json(out, span_of(p->text));
		buf_char(out, '}');
	}
	buf_printf(out, "],\"problems_next\":%zu,\"problems_dropped\":%" PRIu64,
	    job->n_problems, job->n_dropped);
}

void
fsck_job_json(struct fsck_job *job, uint64_t since, struct buf *out)
{
	char started[CLOCK_ISO_BYTES];
	int64_t now_ns = clock_mono_ns();

	mutex_lock(&job->lock);
	if (!job->running)
		now_ns = job->ended_ns;
	buf_printf(out, "\"id\":\"%s\",\"kind\":\"fsck\",\"state\":\"%s\"",
	    job->id, state_name(job));
	if (!job->running && job->rc != RC_OK)
		buf_printf(out, ",\"error\":\"%s\"", rc_text(job->rc));
	buf_printf(out,
	    ",\"repair\":%s,\"content\":%s,\"started\":\"%s\","
	    "\"duration_ms\":%" PRId64,
	    job->options.repair ? "true" : "false",
	    job->options.skip_content ? "false" : "true",
	    clock_iso(job->started_ms, started),
	    (now_ns - job->started_ns) / 1000000);
	progress_json(&job->progress, out);
	problems_json(job, since, out);
	mutex_unlock(&job->lock);
}
