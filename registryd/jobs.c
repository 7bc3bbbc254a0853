#include "registryd/jobs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define JOBS_MAGIC 0x4a4f4253u

struct jobs {
	unsigned magic;
	struct store *store;
	pthread_mutex_t lock;  /* over all below */
	struct fsck_job *last; /* running or ended; NULL before the first */
};

struct jobs *
jobs_new(struct store *store)
{
	struct jobs *j = xcalloc(1, sizeof(*j));

	j->magic = JOBS_MAGIC;
	j->store = store;
	mutex_init(&j->lock);
	return (j);
}

void
jobs_free(struct jobs **j_p)
{
	struct jobs *j = *j_p;

	*j_p = NULL;
	if (j == NULL)
		return;
	OBJ_CHECK(j, JOBS_MAGIC);
	fsck_job_free(&j->last);
	must(pthread_mutex_destroy(&j->lock) == 0);
	j->magic = 0;
	free(j);
}

static void
job_object(
    struct fsck_job *job, uint64_t since, const char *more, struct buf *out)
{
	buf_char(out, '{');
	fsck_job_json(job, since, out);
	buf_str(out, more);
	buf_char(out, '}');
}

/* With the lock held. */
static enum rc
fsck_begin(struct jobs *j, const struct fsck_job_options *options)
{
	struct fsck_job *job;
	enum rc rc;

	if ((rc = fsck_job_start(j->store, options, &job)) != RC_OK)
		return (rc);
	/* It has ended, so that this does not wait. */
	fsck_job_free(&j->last);
	j->last = job;
	log_info("fsck %s begins%s%s", fsck_job_id(job),
	    options->repair ? ", repairing" : "",
	    options->skip_content ? ", records only" : "");
	return (RC_OK);
}

enum rc
jobs_fsck(
    struct jobs *j, const struct fsck_job_options *options, struct buf *out)
{
	enum rc rc = RC_OK;
	bool joined;

	OBJ_CHECK(j, JOBS_MAGIC);
	mutex_lock(&j->lock);
	joined = j->last != NULL && fsck_job_running(j->last);
	if (joined && !fsck_job_same(j->last, options))
		rc = RC_BUSY;
	else if (!joined)
		rc = fsck_begin(j, options);
	if (rc == RC_OK)
		job_object(j->last, 0,
		    joined ? ",\"joined\":true" : ",\"joined\":false", out);
	mutex_unlock(&j->lock);
	return (rc);
}

/* With the lock held; NULL if there is no such job. */
static struct fsck_job *
job_find(struct jobs *j, struct span id)
{
	OBJ_CHECK(j, JOBS_MAGIC);
	if (j->last == NULL || !span_is(id, fsck_job_id(j->last)))
		return (NULL);
	return (j->last);
}

enum rc
jobs_show(struct jobs *j, struct span id, uint64_t since, struct buf *out)
{
	struct fsck_job *job;

	mutex_lock(&j->lock);
	job = job_find(j, id);
	if (job != NULL)
		job_object(job, since, "", out);
	mutex_unlock(&j->lock);
	return (job != NULL ? RC_OK : RC_NOTFOUND);
}

enum rc
jobs_cancel(struct jobs *j, struct span id)
{
	struct fsck_job *job;

	mutex_lock(&j->lock);
	job = job_find(j, id);
	if (job != NULL)
		fsck_job_cancel(job);
	mutex_unlock(&j->lock);
	return (job != NULL ? RC_OK : RC_NOTFOUND);
}
