#include "registryd/jobs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define JOBS_MAGIC 0x4a4f4253u

/*
 * The kinds differ in what they are; how many of them there are at once, who
 * finds them, and when they are forgotten is the same for all.
 */
struct job_kind {
	unsigned max; /* that have not ended */
	const char *(*id)(const void *);
	bool (*running)(void *);
	void (*cancel)(void *);
	void (*json)(void *, uint64_t since, struct buf *);
	void (*free)(void *); /* waits for its end */
};

struct entry {
	struct entry *next; /* an older one */
	const struct job_kind *kind;
	void *job;
	bool asked; /* by somebody who may look at it */
	unsigned n; /* who want it */
};

struct jobs {
	unsigned magic;
	struct store *store;
	pthread_mutex_t lock; /* over all below */
	struct entry *first;
};

/* --- kinds --------------------------------------------------------------- */

#define KIND(type, name) \
	static const char *name##_id_of(const void *job) \
	{ \
		const struct type *own = job; \
\
		return (name##_id(own)); \
	} \
	static bool name##_is_running(void *job) \
	{ \
		struct type *own = job; \
\
		return (name##_running(own)); \
	} \
	static void name##_do_cancel(void *job) \
	{ \
		struct type *own = job; \
\
		name##_cancel(own); \
	}

#define KIND_CALLS(name) \
	.id = name##_id_of, .running = name##_is_running, \
	.cancel = name##_do_cancel, .json = name##_show, .free = name##_drop

KIND(fsck_job, fsck_job)
KIND(gc_job, gc_job)
KIND(run_job, run_job)
KIND(look_job, look_job)
KIND(mirror_job, mirror_job)
KIND(backup_job, backup_job)

static void
fsck_job_show(void *job, uint64_t since, struct buf *out)
{
	fsck_job_json(job, since, out);
}

static void
fsck_job_drop(void *job)
{
	struct fsck_job *own = job;

	fsck_job_free(&own);
}

static void
gc_job_show(void *job, uint64_t since, struct buf *out)
{
	(void)since;
	gc_job_json(job, out);
}

static void
gc_job_drop(void *job)
{
	struct gc_job *own = job;

	gc_job_free(&own);
}

static void
run_job_show(void *job, uint64_t since, struct buf *out)
{
	run_job_json(job, since, out);
}

static void
run_job_drop(void *job)
{
	run_job_free(job);
}

static void
look_job_show(void *job, uint64_t since, struct buf *out)
{
	look_job_json(job, since, out);
}

static void
look_job_drop(void *job)
{
	look_job_free(job);
}

static void
mirror_job_show(void *job, uint64_t since, struct buf *out)
{
	mirror_job_json(job, since, out);
}

static void
mirror_job_drop(void *job)
{
	mirror_job_free(job);
}

static void
backup_job_show(void *job, uint64_t since, struct buf *out)
{
	(void)since;
	backup_job_json(job, out);
}

static void
backup_job_drop(void *job)
{
	backup_job_free(job);
}

static const struct job_kind kind_fsck = { .max = 1, KIND_CALLS(fsck_job) };
static const struct job_kind kind_gc = { .max = 1, KIND_CALLS(gc_job) };
static const struct job_kind kind_gc_dry = { .max = 1, KIND_CALLS(gc_job) };
static const struct job_kind kind_run = { .max = JOBS_RUNS_MAX,
	KIND_CALLS(run_job) };
static const struct job_kind kind_look = { .max = JOBS_PREVIEWS_MAX,
	KIND_CALLS(look_job) };
static const struct job_kind kind_mirror = { .max = JOBS_MIRRORS_MAX,
	KIND_CALLS(mirror_job) };
static const struct job_kind kind_backup = { .max = 1, KIND_CALLS(backup_job) };

/* --- the list; with the lock held ---------------------------------------- */

static void
entry_free(struct entry *e)
{
	e->kind->free(e->job);
	free(e);
}

/* Those that have ended: the youngest that somebody asked for stay. */
static void
ended_forget(struct jobs *j, const struct job_kind *kind)
{
	struct entry **p = &j->first, *e;
	unsigned kept = 0;

	while ((e = *p) != NULL) {
		if (e->kind != kind || e->kind->running(e->job) ||
		    (e->asked && ++kept < JOBS_KEPT)) {
			p = &e->next;
			continue;
		}
		*p = e->next;
		entry_free(e);
	}
}

static void
entry_add(struct jobs *j, const struct job_kind *kind, void *job, bool asked)
{
	struct entry *e = xcalloc(1, sizeof(*e));

	ended_forget(j, kind);
	*e = (struct entry){
		.next = j->first,
		.kind = kind,
		.job = job,
		.asked = asked,
		.n = 1,
	};
	j->first = e;
}

/* The youngest that runs; NULL: none does. */
static struct entry *
running_find(struct jobs *j, const struct job_kind *kind)
{
	struct entry *e;

	for (e = j->first; e != NULL; e = e->next)
		if (e->kind == kind && kind->running(e->job))
			return (e);
	return (NULL);
}

static bool
room_left(struct jobs *j, const struct job_kind *kind)
{
	struct entry *e;
	unsigned n = 0;

	for (e = j->first; e != NULL; e = e->next)
		n += e->kind == kind && kind->running(e->job);
	return (n < kind->max);
}

static struct entry *
job_find(struct jobs *j, struct span id)
{
	struct entry *e;

	OBJ_CHECK(j, JOBS_MAGIC);
	for (e = j->first; e != NULL; e = e->next)
		if (span_is(id, e->kind->id(e->job)))
			return (e);
	return (NULL);
}

static void
job_object(
    const struct entry *e, uint64_t since, const char *more, struct buf *out)
{
	buf_char(out, '{');
	e->kind->json(e->job, since, out);
	buf_str(out, more);
	buf_char(out, '}');
}

static void
joined_object(const struct entry *e, bool joined, struct buf *out)
{
	job_object(
	    e, 0, joined ? ",\"joined\":true" : ",\"joined\":false", out);
}

/* One more wants what was there; NULL: the youngest has just been made. */
static struct entry *
joined_take(struct jobs *j, struct entry *e)
{
	if (e == NULL)
		return (j->first);
	e->n++;
	return (e);
}

/* --- its life ------------------------------------------------------------ */

struct jobs *
jobs_new(struct store *store)
{
	struct jobs *j = xcalloc(1, sizeof(*j));

	j->magic = JOBS_MAGIC;
	j->store = store;
	mutex_init(&j->lock);
	return (j);
}

/* All are told to end before the first is waited for. */
void
jobs_free(struct jobs **j_p)
{
	struct jobs *j = *j_p;
	struct entry *e;

	*j_p = NULL;
	if (j == NULL)
		return;
	OBJ_CHECK(j, JOBS_MAGIC);
	for (e = j->first; e != NULL; e = e->next)
		e->kind->cancel(e->job);
	while ((e = j->first) != NULL) {
		j->first = e->next;
		entry_free(e);
	}
	must(pthread_mutex_destroy(&j->lock) == 0);
	j->magic = 0;
	free(j);
}

/* --- checks -------------------------------------------------------------- */

static enum rc
fsck_begin(struct jobs *j, const struct fsck_job_options *options)
{
	struct fsck_job *job;
	enum rc rc;

	if ((rc = fsck_job_start(j->store, options, &job)) != RC_OK)
		return (rc);
	entry_add(j, &kind_fsck, job, true);
	log_info("fsck %s begins%s%s", fsck_job_id(job),
	    options->repair ? ", repairing" : "",
	    options->skip_content ? ", records only" : "");
	return (RC_OK);
}

enum rc
jobs_fsck(
    struct jobs *j, const struct fsck_job_options *options, struct buf *out)
{
	struct entry *e;
	enum rc rc = RC_OK;
	bool joined;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	e = running_find(j, &kind_fsck);
	joined = e != NULL;
	if (joined && !fsck_job_same(e->job, options))
		rc = RC_BUSY;
	else if (!joined)
		rc = fsck_begin(j, options);
	if (rc == RC_OK)
		joined_object(joined_take(j, e), joined, out);
	mutex_unlock(&j->lock);
	return (rc);
}

/* --- collections --------------------------------------------------------- */

static enum rc
gc_begin(struct jobs *j, const struct job_kind *kind,
    const struct gc_job_options *options, bool asked)
{
	struct gc_job *job;
	enum rc rc;

	if ((rc = gc_job_start(j->store, options, &job)) == RC_OK)
		entry_add(j, kind, job, asked);
	return (rc);
}

enum rc
jobs_gc(struct jobs *j, const struct gc_job_options *options, struct buf *out)
{
	const struct job_kind *kind =
	    options->dry_run ? &kind_gc_dry : &kind_gc;
	struct entry *e;
	enum rc rc = RC_OK;
	bool joined;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	e = running_find(j, kind);
	joined = e != NULL && gc_job_again(e->job);
	if (!joined)
		rc = gc_begin(j, kind, options, out != NULL);
	else if (out != NULL)
		e->asked = true;
	if (rc == RC_OK && out != NULL)
		joined_object(joined_take(j, joined ? e : NULL), joined, out);
	mutex_unlock(&j->lock);
	return (rc);
}

bool
jobs_gc_running(struct jobs *j)
{
	bool running;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	running = running_find(j, &kind_gc) != NULL;
	mutex_unlock(&j->lock);
	return (running);
}

/* --- runs of lifecycle policies ------------------------------------------ */

/* One that has begun may be past what was changed since. */
static struct entry *
waiting_find(struct jobs *j, struct span repository)
{
	struct entry *e;

	for (e = j->first; e != NULL; e = e->next)
		if (e->kind == &kind_run && run_job_waits(e->job) &&
		    span_eq(run_job_repository(e->job), repository))
			return (e);
	return (NULL);
}

enum rc
jobs_run(struct jobs *j, struct span repository, struct buf *out)
{
	struct entry *e;
	enum rc rc = RC_OK;
	bool joined;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	e = waiting_find(j, repository);
	joined = e != NULL;
	if (!joined && !room_left(j, &kind_run))
		rc = RC_BUSY;
	else if (!joined)
		entry_add(j, &kind_run, run_job_new(repository), true);
	if (rc == RC_OK)
		joined_object(joined_take(j, e), joined, out);
	mutex_unlock(&j->lock);
	return (rc);
}

struct run_job *
jobs_run_next(struct jobs *j)
{
	struct run_job *job = NULL;
	struct entry *e;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	for (e = j->first; e != NULL; e = e->next)
		if (e->kind == &kind_run && run_job_waits(e->job))
			job = e->job;
	if (job != NULL)
		run_job_begin(job);
	mutex_unlock(&j->lock);
	return (job);
}

/* --- previews ------------------------------------------------------------ */

enum rc
jobs_preview(
    struct jobs *j, const struct look_request *request, struct buf *out)
{
	struct look_job *job;
	enum rc rc = RC_BUSY;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	if (room_left(j, &kind_look))
		rc = look_job_start(j->store, request, &job);
	if (rc == RC_OK) {
		entry_add(j, &kind_look, job, true);
		joined_object(j->first, false, out);
	}
	mutex_unlock(&j->lock);
	return (rc);
}

/* --- mirrors ------------------------------------------------------------- */

/* One that has begun may have missed what was pushed there since. */
static struct entry *
mirror_waiting(struct jobs *j, struct span name)
{
	struct entry *e;

	for (e = j->first; e != NULL; e = e->next)
		if (e->kind == &kind_mirror && mirror_job_waits(e->job) &&
		    span_eq(mirror_job_name(e->job), name))
			return (e);
	return (NULL);
}

enum rc
jobs_mirror(struct jobs *j, struct span name, struct buf *out)
{
	struct entry *e;
	enum rc rc = RC_OK;
	bool joined;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	e = mirror_waiting(j, name);
	joined = e != NULL;
	if (!joined && !room_left(j, &kind_mirror))
		rc = RC_BUSY;
	else if (!joined)
		entry_add(j, &kind_mirror, mirror_job_new(name), true);
	if (rc == RC_OK)
		joined_object(joined_take(j, e), joined, out);
	mutex_unlock(&j->lock);
	return (rc);
}

struct mirror_job *
jobs_mirror_next(struct jobs *j)
{
	struct mirror_job *job = NULL;
	struct entry *e;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	for (e = j->first; e != NULL; e = e->next)
		if (e->kind == &kind_mirror && mirror_job_waits(e->job))
			job = e->job;
	if (job != NULL)
		mirror_job_begin(job);
	mutex_unlock(&j->lock);
	return (job);
}

struct mirror_job *
jobs_mirror_due(struct jobs *j, struct span name)
{
	struct mirror_job *job = mirror_job_new(name);

	OBJ_CHECK(j, JOBS_MAGIC);
	mirror_job_begin(job);
	mutex_lock(&j->lock);
	entry_add(j, &kind_mirror, job, false);
	mutex_unlock(&j->lock);
	return (job);
}

/* --- backups ------------------------------------------------------------- */

enum rc
jobs_backup(struct jobs *j, const char *archive_dir, struct buf *out)
{
	struct backup_job *job;
	enum rc rc = RC_BUSY;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	if (room_left(j, &kind_backup))
		rc = backup_job_start(
		    j->store, archive_dir, BACKUP_JOB_IDLE_MS, &job);
	if (rc == RC_OK) {
		entry_add(j, &kind_backup, job, true);
		joined_object(j->first, false, out);
	}
	mutex_unlock(&j->lock);
	return (rc);
}

/* --- all of them --------------------------------------------------------- */

enum rc
jobs_show(struct jobs *j, struct span id, uint64_t since, struct buf *out)
{
	struct entry *e;

	mutex_lock(&j->lock);
	e = job_find(j, id);
	if (e != NULL)
		job_object(e, since, "", out);
	mutex_unlock(&j->lock);
	return (e != NULL ? RC_OK : RC_NOTFOUND);
}

enum rc
jobs_cancel(struct jobs *j, struct span id, bool *ends_r)
{
	struct entry *e;

	mutex_lock(&j->lock);
	e = job_find(j, id);
	*ends_r = e != NULL && (e->n <= 1 || !e->kind->running(e->job));
	if (*ends_r)
		e->kind->cancel(e->job);
	else if (e != NULL)
		e->n--;
	mutex_unlock(&j->lock);
	return (e != NULL ? RC_OK : RC_NOTFOUND);
}
