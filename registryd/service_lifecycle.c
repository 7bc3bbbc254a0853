#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/thread.h"
#include "lifecycle/runner.h"
#include "registryd/audit.h"
#include "registryd/jobs.h"
#include "registryd/schedule.h"
#include "registryd/service.h"
#include "registryd/service_int.h"

/*
 * The lifecycle thread: it carries out the policies of repositories, one at a
 * time; first those that somebody asked for over the control socket, then, in
 * the window, those that are due.  What a run has done is in the store, and
 * what it had no time for is still due: nothing is kept here, and after a crash
 * nothing has to be made good.
 *
 * A look for what is due goes through the repositories that have waited longest
 * only, a page at a time, so it costs little when nothing is.
 */

/* After a run that failed for what may be over soon, such as a full disk: it is
 * due still.  Not that all images are read over and over meanwhile. */
#define AGAIN_MS ((int64_t)5 * 60 * 1000)
/* Between two looks, at most: settings and clocks may have been changed. */
#define LOOK_MS 60000
#define LOOK_MIN_MS 100
/* None at the start: an operator may want to stop it at once. */
#define START_MS 60000

#define NS_PER_MS ((int64_t)1000000)

#define PAGE_ROWS 256
#define PAGE_BYTES ((size_t)4 << 20)
#define RUN_BYTES ((size_t)16 << 20)
/* Of the names of all repositories that have a policy. */
#define NAMES_BYTES ((size_t)256 << 20)

struct carrying {
	struct service *svc;
	const struct settings *settings;
	struct run_job *job; /* NULL: it was due */
	bool unsettled;	     /* a run is to be tried again soon */
};

/* --- while it goes on ---------------------------------------------------- */

static bool
ends(const struct service *svc)
{
	return (
	    atomic_load(&svc->stopping) || atomic_load(&svc->lifecycle_stop));
}

static bool
stopped(void *arg)
{
	const struct carrying *c = arg;

	OBJ_CHECK(c->svc, SERVICE_MAGIC);
	if (ends(c->svc))
		return (true);
	if (c->job != NULL)
		return (run_job_cancelled(c->job));
	return (!schedule_open(&c->settings->lifecycle, clock_real_ms()));
}

static struct span
asker(const struct carrying *c)
{
	return (c->job != NULL ? SPAN("local") : SPAN_NONE);
}

static void
acted(void *arg, const struct lifecycle_event *e)
{
	const struct carrying *c = arg;
	struct service_counts *n = &c->svc->counts;
	bool expired = e->kind == ACT_EXPIRE;
	const struct audit_event event = {
		.kind =
		    expired ? AUDIT_LIFECYCLE_EXPIRE : AUDIT_LIFECYCLE_ARCHIVE,
		.by = asker(c),
		.repository = e->repository,
		.digest = &e->digest,
		.tags_known = true,
		.tags = e->tags,
		.n_tags = e->n_tags,
		.rule = e->priority,
		.policy_revision = e->revision,
		.bytes = e->image_bytes,
	};

	atomic_fetch_add(expired ? &n->expired : &n->archived, 1);
	audit_write(c->svc->audit, &event);
	if (c->job != NULL)
		run_job_acted(c->job, e->kind);
}

/* --- when it has ended --------------------------------------------------- */

static void
run_count(struct service_counts *n, const struct lifecycle_result *r)
{
	if (r->outcome == LIFECYCLE_DONE) {
		atomic_fetch_add(&n->runs, 1);
		atomic_store(&n->ran_ms, clock_real_ms());
	} else if (r->outcome == LIFECYCLE_FAILED) {
		atomic_fetch_add(&n->runs_failed, 1);
	} else {
		atomic_fetch_add(&n->runs_stopped, 1);
	}
}

static void
run_audit(const struct carrying *c, struct span repository,
    const struct lifecycle_result *r)
{
	const struct audit_event event = {
		.kind = AUDIT_LIFECYCLE_RUN,
		.by = asker(c),
		.repository = repository,
		.policy_revision = r->revision,
		.outcome = span_of(lifecycle_outcome_text(r->outcome)),
		.expired = r->expired,
		.archived = r->archived,
	};

	if (r->outcome == LIFECYCLE_FAILED || r->expired + r->archived > 0)
		audit_write(c->svc->audit, &event);
}

/* Why one failed has been logged where it did. */
static void
run_log(struct span repository, const struct lifecycle_result *r)
{
	bool nothing = r->outcome != LIFECYCLE_STOPPED &&
		       r->expired + r->archived + r->changed == 0;
	enum log_level level = nothing ? LOG_LVL_DEBUG : LOG_LVL_INFO;

	if (!log_enabled(level))
		return;
	log_write(level,
	    "lifecycle policy of repository " SPAN_FMT " %s%s" SPAN_FMT
	    ": %" PRIu64 " images, %" PRIu64 " expired, %" PRIu64
	    " archived, %" PRIu64 " held by an index, %" PRIu64
	    " changed meanwhile, in %" PRId64 " ms",
	    SPAN_ARG(repository), lifecycle_outcome_text(r->outcome),
	    r->why.n > 0 ? ", " : "", SPAN_ARG(r->why), r->images, r->expired,
	    r->archived, r->held, r->changed,
	    r->ended_ms > r->started_ms ? r->ended_ms - r->started_ms : 0);
}

/* --- a repository -------------------------------------------------------- */

static void
now_set(struct service *svc, struct span name)
{
	mutex_lock(&svc->lock);
	(void)snprintf(svc->lifecycle_now, sizeof(svc->lifecycle_now), SPAN_FMT,
	    SPAN_ARG(name));
	mutex_unlock(&svc->lock);
}

void
service_lifecycle_now(
    struct service *svc, char name_r[NAME_REPOSITORY_MAX_BYTES + 1])
{
	OBJ_CHECK(svc, SERVICE_MAGIC);
	mutex_lock(&svc->lock);
	memcpy(name_r, svc->lifecycle_now, sizeof(svc->lifecycle_now));
	mutex_unlock(&svc->lock);
}

static void
run_tell(const struct carrying *c, struct span repository,
    const struct lifecycle_result *r)
{
	run_count(&c->svc->counts, r);
	run_audit(c, repository, r);
	run_log(repository, r);
	if (c->job != NULL)
		run_job_result(c->job, repository, r);
}

static bool
nothing_there(enum rc rc)
{
	return (rc == RC_NOTFOUND || rc == RC_MISSING);
}

/* RC_NOTFOUND, RC_MISSING: there is nothing to carry out.  Else it is told what
 * came of it, also of one that could not begin. */
static enum rc
repository_run(struct carrying *c, struct span repository)
{
	const struct lifecycle_settings *l = &c->settings->lifecycle;
	const struct lifecycle_carry carry = {
		.extensions = l->extensions,
		.rate = l->rate,
		.now_ms = clock_real_ms(),
		.stop = stopped,
		.acted = acted,
		.arg = c,
	};
	struct lifecycle_result result = { .outcome = LIFECYCLE_NEVER };
	struct arena arena;
	enum rc rc;

	arena_init(&arena, RUN_BYTES);
	now_set(c->svc, repository);
	rc = lifecycle_carry_out(
	    store_meta(c->svc->store), repository, &carry, &arena, &result);
	now_set(c->svc, SPAN_NONE);
	if (result.outcome == LIFECYCLE_NEVER && rc != RC_OK &&
	    !nothing_there(rc))
		result = (struct lifecycle_result){
			.outcome = LIFECYCLE_FAILED,
			.started_ms = carry.now_ms,
			.ended_ms = carry.now_ms,
			.why = span_of(rc_text(rc)),
		};
	if (result.outcome != LIFECYCLE_NEVER)
		run_tell(c, repository, &result);
	c->unsettled = c->unsettled || result.unsettled;
	arena_reset(&arena);
	return (rc);
}

/* --- what somebody asked for --------------------------------------------- */

struct names {
	struct names *next;
	struct lifecycle_due_page page;
};

/* All that have a policy: while they are carried out they change their places
 * in the queue. */
static enum rc
names_read(
    struct meta *m, struct arena *arena, struct names **first_r, uint64_t *n_r)
{
	const struct lifecycle_due *after = NULL;
	struct names **end = first_r, *one;
	bool more = true;
	enum rc rc;

	*first_r = NULL;
	*n_r = 0;
	while (more) {
		if ((one = arena_calloc(arena, 1, sizeof(*one))) == NULL)
			return (RC_TOOBIG);
		rc = meta_lifecycle_due_page(
		    m, INT64_MAX, after, PAGE_ROWS, arena, &one->page);
		if (rc != RC_OK)
			return (rc);
		*end = one;
		end = &one->next;
		*n_r += one->page.n;
		more = one->page.more && one->page.n > 0;
		if (more)
			after = &one->page.rows[one->page.n - 1];
	}
	return (RC_OK);
}

/* Is it one repository's fault, so that others may be better off? */
static bool
fault_of_one(enum rc rc)
{
	return (rc == RC_CORRUPT || rc == RC_TOOBIG || rc == RC_INVALID);
}

static enum rc
names_run(struct carrying *c, const struct names *names)
{
	enum rc rc, worst = RC_OK;
	size_t i;

	for (; names != NULL; names = names->next)
		for (i = 0; i < names->page.n; i++) {
			if (stopped(c))
				return (RC_CANCELLED);
			rc = repository_run(c, names->page.rows[i].repository);
			if (fault_of_one(rc))
				worst = rc;
			else if (rc != RC_OK && !nothing_there(rc))
				return (rc);
		}
	return (worst);
}

static enum rc
all_run(struct carrying *c)
{
	struct arena arena;
	struct names *names;
	uint64_t n;
	enum rc rc;

	arena_init(&arena, NAMES_BYTES);
	rc = names_read(store_meta(c->svc->store), &arena, &names, &n);
	if (rc == RC_OK) {
		run_job_total(c->job, n);
		rc = names_run(c, names);
	}
	arena_reset(&arena);
	return (rc);
}

static void
job_run(struct service *svc, const struct settings *s, struct run_job *job)
{
	struct carrying c = { .svc = svc, .settings = s, .job = job };
	struct span one = run_job_repository(job);
	const char *why = NULL;
	enum rc rc;

	if (one.n == 0) {
		rc = all_run(&c);
	} else {
		run_job_total(job, 1);
		rc = repository_run(&c, one);
	}
	if (rc == RC_NOTFOUND)
		why = "the repository does not exist any more";
	else if (rc == RC_MISSING)
		why = "the repository has no lifecycle policy any more";
	if (rc == RC_OK && stopped(&c))
		rc = RC_CANCELLED;
	run_job_end(job, rc, why);
}

static void
jobs_run_all(struct service *svc)
{
	struct settings *s;
	struct run_job *job;

	while (!ends(svc) && (job = jobs_run_next(svc->jobs)) != NULL) {
		s = service_settings(svc);
		job_run(svc, s, job);
		settings_unref(&s);
	}
}

/* --- what is due --------------------------------------------------------- */

static int64_t
at_most(int64_t ms, int64_t max_ms)
{
	return (ms < max_ms ? ms : max_ms);
}

void
service_lifecycle_ready(struct service *svc)
{
	int64_t wait_ms = svc->settings->lifecycle.interval_ms;

	if (wait_ms > START_MS)
		wait_ms = START_MS;
	svc->lifecycle_from_ns = clock_mono_ns() + wait_ms * NS_PER_MS;
}

static int64_t
left_ms(int64_t until_ns)
{
	int64_t left_ns = until_ns - clock_mono_ns();

	return (left_ns > 0 ? left_ns / NS_PER_MS + 1 : 0);
}

/* What is left of the time after the start. */
static int64_t
ready_in_ms(const struct service *svc)
{
	return (left_ms(svc->lifecycle_from_ns));
}

int64_t
service_lifecycle_next(struct service *svc, const struct settings *s,
    uint64_t repo, int64_t basis_ms)
{
	const struct lifecycle_settings *l = &s->lifecycle;
	int64_t now_ms = clock_real_ms(), due_ms, earliest_ms;

	due_ms = schedule_due(l, repo, at_most(basis_ms, now_ms));
	if (due_ms == INT64_MAX)
		return (0);
	earliest_ms = now_ms + ready_in_ms(svc);
	return (schedule_opens(l, due_ms > earliest_ms ? due_ms : earliest_ms));
}

/* One look for what is due. */
struct look {
	struct carrying carrying;
	int64_t now_ms, before_ms;
	int64_t next_ms; /* the earliest that is not due yet */
	struct lifecycle_due after;
	bool begun, more;
	bool failed; /* one repository at least */
};

static bool
settings_changed(struct service *svc, const struct settings *s)
{
	bool changed;

	mutex_lock(&svc->lock);
	changed = svc->settings != s;
	mutex_unlock(&svc->lock);
	return (changed);
}

/* Somebody who asks meanwhile goes first; other settings need another look. */
static enum rc
due_run(struct look *look, const struct lifecycle_due *row)
{
	struct carrying *c = &look->carrying;
	int64_t due_ms;
	enum rc rc;

	due_ms =
	    schedule_due(&c->settings->lifecycle, row->repo, row->basis_ms);
	if (due_ms > look->now_ms) {
		if (due_ms < look->next_ms)
			look->next_ms = due_ms;
		return (RC_OK);
	}
	jobs_run_all(c->svc);
	if (stopped(c) || settings_changed(c->svc, c->settings))
		return (RC_CANCELLED);
	rc = repository_run(c, row->repository);
	look->failed = look->failed || fault_of_one(rc);
	if (nothing_there(rc) || fault_of_one(rc))
		return (RC_OK);
	return (rc);
}

static enum rc
due_page_run(struct look *look, struct arena *arena)
{
	struct meta *m = store_meta(look->carrying.svc->store);
	struct lifecycle_due_page page;
	size_t i;
	enum rc rc;

	rc = meta_lifecycle_due_page(m, look->before_ms,
	    look->begun ? &look->after : NULL, PAGE_ROWS, arena, &page);
	if (rc != RC_OK)
		return (rc);
	for (i = 0; i < page.n; i++)
		if ((rc = due_run(look, &page.rows[i])) != RC_OK)
			return (rc);
	look->more = page.more && page.n > 0;
	if (page.n > 0) {
		look->after = page.rows[page.n - 1];
		look->after.repository = SPAN_NONE;
		look->begun = true;
	}
	return (RC_OK);
}

static enum rc
due_all_run(struct look *look)
{
	struct arena arena;
	enum rc rc;

	do {
		arena_init(&arena, PAGE_BYTES);
		rc = due_page_run(look, &arena);
		arena_reset(&arena);
	} while (rc == RC_OK && look->more);
	return (rc);
}

/* Of what has waited for less than an interval nothing is known here: the first
 * of them may be due a tenth of it after this look at the earliest, or so. */
static int64_t
pause_ms(const struct look *look)
{
	int64_t ms = look->carrying.settings->lifecycle.interval_ms / 10;

	if (look->next_ms - look->now_ms < ms)
		ms = look->next_ms - look->now_ms;
	if (ms > LOOK_MS)
		return (LOOK_MS);
	return (ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms);
}

/* A clock that was ahead is set right first. */
static enum rc
look_all(struct look *look)
{
	struct meta *m = store_meta(look->carrying.svc->store);
	enum rc rc;

	rc = meta_lifecycle_future_settle(m, look->now_ms);
	return (rc == RC_OK ? due_all_run(look) : rc);
}

static int64_t
due_round(struct service *svc, const struct settings *s)
{
	const struct lifecycle_settings *l = &s->lifecycle;
	struct look look = { .carrying = { .svc = svc, .settings = s } };
	int64_t wait_ms;
	enum rc rc;

	look.now_ms = clock_real_ms();
	look.before_ms = look.now_ms - l->interval_ms;
	look.next_ms = INT64_MAX;
	if (l->interval_ms == 0)
		return (LOOK_MS);
	if ((wait_ms = ready_in_ms(svc)) > 0)
		return (at_most(wait_ms, LOOK_MS));
	wait_ms = schedule_opens(l, look.now_ms) - look.now_ms;
	if (wait_ms > 0)
		return (at_most(wait_ms, LOOK_MS));
	if ((wait_ms = left_ms(svc->lifecycle_again_ns)) > 0)
		return (at_most(wait_ms, LOOK_MS));
	rc = look_all(&look);
	if ((rc == RC_OK || rc == RC_CANCELLED) && !look.failed &&
	    !look.carrying.unsettled)
		return (pause_ms(&look));
	wait_ms = at_most(AGAIN_MS, l->interval_ms);
	svc->lifecycle_again_ns = clock_mono_ns() + wait_ms * NS_PER_MS;
	return (at_most(wait_ms, LOOK_MS));
}

int64_t
service_lifecycle_round(struct service *svc)
{
	struct settings *s;
	int64_t wait_ms;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	jobs_run_all(svc);
	if (ends(svc) || store_failed(svc->store))
		return (LOOK_MS);
	s = service_settings(svc);
	wait_ms = due_round(svc, s);
	settings_unref(&s);
	return (wait_ms);
}

/* --- the thread ---------------------------------------------------------- */

void
service_lifecycle_wake(struct service *svc)
{
	OBJ_CHECK(svc, SERVICE_MAGIC);
	mutex_lock(&svc->lock);
	svc->lifecycle_due = true;
	must(pthread_cond_signal(&svc->lifecycle_wake) == 0);
	mutex_unlock(&svc->lock);
}

static void
lifecycle_main(void *arg)
{
	struct service *svc = arg;
	int64_t wait_ms;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	thread_step_back();
	while (!atomic_load(&svc->lifecycle_stop)) {
		wait_ms = service_lifecycle_round(svc);
		mutex_lock(&svc->lock);
		if (!svc->lifecycle_due && !atomic_load(&svc->lifecycle_stop))
			(void)cond_wait_ms(
			    &svc->lifecycle_wake, &svc->lock, (long)wait_ms);
		svc->lifecycle_due = false;
		mutex_unlock(&svc->lock);
	}
}

void
service_lifecycle_stop(struct service *svc)
{
	if (!svc->lifecycle_runs)
		return;
	atomic_store(&svc->lifecycle_stop, true);
	service_lifecycle_wake(svc);
	thread_join(svc->lifecycle);
	svc->lifecycle_runs = false;
}

enum rc
service_lifecycle_start(struct service *svc)
{
	enum rc rc;

	rc = thread_start("lifecycle", lifecycle_main, svc, &svc->lifecycle);
	svc->lifecycle_runs = rc == RC_OK;
	return (rc);
}
