#include "registryd/job_backup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/job_state.h"
#include "storage/snapshot.h"

#define BACKUP_JOB_MAGIC 0x424a4f42u
#define NS_PER_MS ((int64_t)1000000)

struct backup_job {
	unsigned magic;
	struct store *store;
	char *archive;
	int64_t idle_ms;
	pthread_t thread;
	pthread_cond_t wake;
	struct job_state state; /* its lock is over all below */
	char *path;		/* NULL: not ready */
	int64_t looked_ns;
};

/* --- its thread ---------------------------------------------------------- */

/* With the lock held. */
static int64_t
left_ms(const struct backup_job *job)
{
	return (job->idle_ms - (clock_mono_ns() - job->looked_ns) / NS_PER_MS);
}

static bool
cancelled(struct backup_job *job)
{
	return (atomic_load(&job->state.cancel));
}

/* True: somebody ended it; false: nobody looked for so long. */
static bool
hold(struct backup_job *job, const char *path)
{
	int64_t ms = 1;

	mutex_lock(&job->state.lock);
	job->path = xstrdup(path);
	job->looked_ns = clock_mono_ns();
	while (!cancelled(job) && (ms = left_ms(job)) > 0)
		(void)cond_wait_ms(&job->wake, &job->state.lock, (long)ms);
	free(job->path);
	job->path = NULL;
	mutex_unlock(&job->state.lock);
	return (ms > 0);
}

static void
job_main(void *arg)
{
	struct backup_job *job = arg;
	char why[SNAPSHOT_WHY_BYTES] = "";
	struct snapshot *snap;
	bool asked = true;
	enum rc rc;

	OBJ_CHECK(job, BACKUP_JOB_MAGIC);
	rc = snapshot_begin(job->store, &snap, why);
	if (rc == RC_OK) {
		asked = hold(job, snapshot_path(snap));
		snapshot_end(&snap);
		rc = RC_CANCELLED;
	}
	if (!asked)
		log_warn("a backup's snapshot ends: nobody has looked at it "
			 "for %" PRId64 " s",
		    job->idle_ms / 1000);
	mutex_lock(&job->state.lock);
	if (asked)
		job_state_end(&job->state, rc, why[0] != '\0' ? why : NULL);
	else
		job_state_end(&job->state, RC_TIMEOUT,
		    "nobody has looked at it for too long");
	mutex_unlock(&job->state.lock);
}

/* --- its life ------------------------------------------------------------ */

static void
job_destroy(struct backup_job *job)
{
	must(pthread_cond_destroy(&job->wake) == 0);
	job_state_fini(&job->state);
	free(job->archive);
	job->magic = 0;
	free(job);
}

enum rc
backup_job_start(struct store *store, const char *archive_dir, int64_t idle_ms,
    struct backup_job **job_r)
{
	struct backup_job *job = xcalloc(1, sizeof(*job));
	enum rc rc;

	job->magic = BACKUP_JOB_MAGIC;
	job->store = store;
	job->archive = xstrdup(archive_dir);
	job->idle_ms = idle_ms;
	cond_init(&job->wake);
	job_state_init(&job->state);
	rc = thread_start("backup", job_main, job, &job->thread);
	if (rc != RC_OK) {
		job_destroy(job);
		return (rc);
	}
	*job_r = job;
	return (RC_OK);
}

const char *
backup_job_id(const struct backup_job *job)
{
	return (job->state.id);
}

bool
backup_job_running(struct backup_job *job)
{
	return (job_state_running(&job->state));
}

void
backup_job_cancel(struct backup_job *job)
{
	OBJ_CHECK(job, BACKUP_JOB_MAGIC);
	atomic_store(&job->state.cancel, true);
	mutex_lock(&job->state.lock);
	must(pthread_cond_signal(&job->wake) == 0);
	mutex_unlock(&job->state.lock);
}

void
backup_job_free(struct backup_job *job)
{
	OBJ_CHECK(job, BACKUP_JOB_MAGIC);
	backup_job_cancel(job);
	thread_join(job->thread);
	job_destroy(job);
}

void
backup_job_json(struct backup_job *job, struct buf *out)
{
	OBJ_CHECK(job, BACKUP_JOB_MAGIC);
	mutex_lock(&job->state.lock);
	job->looked_ns = clock_mono_ns();
	job_state_json(&job->state, "backup", out);
	buf_printf(out,
	    ",\"ready\":%s,\"path\":", job->path != NULL ? "true" : "false");
	if (job->path != NULL)
		buf_json(out, span_of(job->path));
	else
		buf_str(out, "null");
	buf_str(out, ",\"archive\":");
	buf_json(out, span_of(job->archive));
	buf_printf(out, ",\"idle_ms\":%" PRId64, job->idle_ms);
	mutex_unlock(&job->state.lock);
}
