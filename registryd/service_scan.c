#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/scan_again.h"
#include "registryd/scan_image.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "registryd/settings.h"
#include "storage/findings.h"
#include "storage/images.h"
#include "storage/imports.h"

/*
 * The scanner: threads that take images out of the store's queue, in the order
 * in which they were put there, and end each of them; and, when there are none,
 * match those anew that an import of advisories is about.
 *
 * An image that was pulled through the cache comes before its layers, which
 * come when somebody pulls them.  It waits for them in the queue, so that a
 * restart does not lose it, and others go by.
 *
 * What reads a layer is another process (scan/sandbox.h), of the lowest
 * priority there is.  These threads only feed it, and step back a little: they
 * take locks that those who serve take, too, and whoever never runs while
 * somebody else wants to would keep them.
 */
#define ROUND_MS 1000L
#define AGAIN_MS 5000L /* after the store would not take the end of one */
#define ARRIVAL_MS ((int64_t)60 * 60 * 1000)
#define ARRIVAL_LOOK_MIN_MS 1000
#define ARRIVAL_LOOK_MAX_MS 60000
#define DELAYED_MAX 1000
#define SCANNERS_MAX 64
#define JOB_BYTES ((size_t)64 << 10)
#define NS_PER_MS ((int64_t)1000000)
#define OFF_REASON "scans are switched off in this registry (scan.jobs is 0)"

/* <linux/ioprio.h> is not everywhere. */
#define IOPRIO_IDLE (3 << 13)
#define IOPRIO_PROCESS 1

struct queue_place { /* in the queue */
	int64_t started_ms;
	uint64_t place;
	struct digest digest;
};

struct delayed {
	struct queue_place place;
	int64_t due_ns;
};

struct scanner {
	struct service *svc;
	struct scan_again *again;
	_Atomic bool stop;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;
	bool due;
	pthread_t threads[SCANNERS_MAX];
	size_t n_threads;
	struct queue_place taken[SCANNERS_MAX];
	size_t n_taken;
	struct delayed delayed[DELAYED_MAX];
	size_t n_delayed;
};

/* --- which is next ------------------------------------------------------- */

static struct queue_place
place_of(const struct scan_job *job)
{

	return (
	    (struct queue_place){ job->started_ms, job->place, job->digest });
}

static bool
place_eq(const struct queue_place *a, const struct queue_place *b)
{

	return (a->started_ms == b->started_ms && a->place == b->place &&
		digest_eq(&a->digest, &b->digest));
}

static struct delayed *
delayed_find(struct scanner *sc, const struct queue_place *p)
{
	size_t i;

	for (i = 0; i < sc->n_delayed; i++)
		if (place_eq(&sc->delayed[i].place, p))
			return (&sc->delayed[i]);
	return (NULL);
}

static bool
is_busy(struct scanner *sc, const struct queue_place *p, int64_t now_ns)
{
	const struct delayed *d;
	size_t i;

	for (i = 0; i < sc->n_taken; i++)
		if (place_eq(&sc->taken[i], p))
			return (true);
	d = delayed_find(sc, p);
	return (d != NULL && d->due_ns > now_ns);
}

/* Under the lock. */
static enum rc
job_find(struct scanner *sc, struct arena *a, struct scan_job *job)
{
	struct meta *m = store_meta(sc->svc->store);
	int64_t now_ns = clock_mono_ns();
	struct queue_place p;
	enum rc rc;

	rc = meta_scan_next(m, a, job);
	while (rc == RC_OK) {
		p = place_of(job);
		if (!is_busy(sc, &p, now_ns))
			break;
		arena_reset(a);
		rc = meta_scan_behind(m, job, a, job);
	}
	return (rc);
}

static enum rc
job_take(struct scanner *sc, struct arena *a, struct scan_job *job)
{
	enum rc rc;

	mutex_lock(&sc->lock);
	rc = job_find(sc, a, job);
	if (rc == RC_OK)
		sc->taken[sc->n_taken++] = place_of(job);
	mutex_unlock(&sc->lock);
	return (rc);
}

static void
delayed_drop(struct scanner *sc, const struct queue_place *p)
{
	struct delayed *d = delayed_find(sc, p);

	if (d != NULL)
		*d = sc->delayed[--sc->n_delayed];
}

/* ${due_ns} 0: it is over. */
static bool
job_give(struct scanner *sc, const struct scan_job *job, int64_t due_ns)
{
	struct queue_place p = place_of(job);
	bool given = true;
	size_t i;

	mutex_lock(&sc->lock);
	for (i = 0; i < sc->n_taken; i++)
		if (place_eq(&sc->taken[i], &p)) {
			sc->taken[i] = sc->taken[--sc->n_taken];
			break;
		}
	delayed_drop(sc, &p);
	if (due_ns != 0 && sc->n_delayed < DELAYED_MAX)
		sc->delayed[sc->n_delayed++] = (struct delayed){ p, due_ns };
	else
		given = due_ns == 0;
	mutex_unlock(&sc->lock);
	return (given);
}

/* --- its end ------------------------------------------------------------- */

static enum rc
job_end(struct scanner *sc, const struct scan_job *job, enum scan_status status,
    const char *why)
{
	struct service_counts *n = &sc->svc->counts;
	char digest[DIGEST_STR_BYTES];

	if (status == SCAN_FAILED) {
		atomic_fetch_add(&n->scans_failed, 1);
		log_warn("scan: " SPAN_FMT "@%s: %s", SPAN_ARG(job->repository),
		    digest_str(&job->digest, digest), why);
	} else {
		atomic_fetch_add(&n->scans_unsupported, 1);
	}
	return (meta_scan_end(store_meta(sc->svc->store), job, status,
	    span_of(why), clock_real_ms()));
}

static enum rc
job_complete(
    struct scanner *sc, const struct scan_job *job, struct scan_findings *f)
{
	struct service_counts *n = &sc->svc->counts;
	enum rc rc;

	f->completed_ms = clock_real_ms();
	rc = meta_scan_complete(store_meta(sc->svc->store), job, f);
	if (rc == RC_OK)
		atomic_fetch_add(f->status == SCAN_COMPLETE
				     ? &n->scans_completed
				     : &n->scans_failed,
		    1);
	if (rc == RC_LOCKED || rc == RC_TOOBIG)
		rc = job_end(sc, job, SCAN_FAILED, rc_text(rc));
	return (rc);
}

/* Is it a copy whose layers may still come? */
static bool
may_arrive(struct scanner *sc, const struct scan_job *job)
{
	int64_t imported_ms;

	return (clock_real_ms() - job->started_ms < ARRIVAL_MS &&
		meta_imported(store_meta(sc->svc->store), job->repository,
		    &job->digest, &imported_ms) == RC_OK);
}

/* A quarter of the time that it has waited by now. */
static int64_t
arrival_look_ns(const struct scan_job *job)
{
	int64_t ms = (clock_real_ms() - job->started_ms) / 4;

	if (ms < ARRIVAL_LOOK_MIN_MS)
		ms = ARRIVAL_LOOK_MIN_MS;
	if (ms > ARRIVAL_LOOK_MAX_MS)
		ms = ARRIVAL_LOOK_MAX_MS;
	return (clock_mono_ns() + ms * NS_PER_MS);
}

/* --- one ----------------------------------------------------------------- */

static enum rc
image_scan(struct scan_image *si, struct arena *a, struct scan_findings *f)
{
	struct inventory inv;
	enum rc rc;

	rc = scan_image_inventory(si, a, &inv);
	return (rc == RC_OK ? scan_image_match(si, &inv, a, f) : rc);
}

/* False of the second: it stays in the queue. */
static enum rc
job_judge(struct scanner *sc, const struct scan_job *job,
    const struct scan_image *si, enum rc rc)
{
	if (rc == RC_CANCELLED)
		return (rc);
	if (rc == RC_UNSUPPORTED)
		return (job_end(sc, job, SCAN_UNSUPPORTED_IMAGE, si->why));
	return (job_end(
	    sc, job, SCAN_FAILED, si->why[0] != '\0' ? si->why : rc_text(rc)));
}

static enum rc
job_scan(struct scanner *sc, const struct scan_job *job,
    const struct scan_settings *settings)
{
	struct service_counts *n = &sc->svc->counts;
	struct scan_image si = {
		.store = sc->svc->store,
		.repository = job->repository,
		.digest = job->digest,
		.settings = settings,
		.stop = &sc->stop,
		.read_layers = true,
	};
	struct scan_findings f;
	struct arena a;
	enum rc rc;

	arena_init(&a, SCAN_IMAGE_BYTES);
	rc = image_scan(&si, &a, &f);
	atomic_fetch_add(&n->scan_layers, si.layers_read);
	atomic_fetch_add(&n->scan_bytes, si.bytes_read);
	if (rc == RC_OK) {
		if ((rc = job_complete(sc, job, &f)) == RC_OK)
			scan_again_image(&si);
	} else if (rc == RC_MISSING && may_arrive(sc, job) &&
		   job_give(sc, job, arrival_look_ns(job))) {
		rc = RC_AWAIT;
	} else {
		rc = job_judge(sc, job, &si, rc);
	}
	arena_reset(&a);
	return (rc);
}

static enum rc
job_run(struct scanner *sc, const struct scan_job *job)
{
	struct settings *s = service_settings(sc->svc);
	enum rc rc;

	if (s->scan.jobs == 0)
		rc = job_end(sc, job, SCAN_FAILED, OFF_REASON);
	else
		rc = job_scan(sc, job, &s->scan);
	settings_unref(&s);
	if (rc == RC_AWAIT)
		return (RC_OK);
	/* Not ended: once more, but not at once. */
	(void)job_give(
	    sc, job, rc == RC_OK ? 0 : clock_mono_ns() + AGAIN_MS * NS_PER_MS);
	return (rc);
}

/* Was there one? */
static bool
queue_step(struct scanner *sc)
{
	struct scan_job job;
	struct arena a;
	enum rc rc;

	if (store_failed(sc->svc->store) || atomic_load(&sc->stop) ||
	    atomic_load(&sc->svc->stopping))
		return (false);
	arena_init(&a, JOB_BYTES);
	rc = job_take(sc, &a, &job);
	if (rc == RC_OK)
		(void)job_run(sc, &job);
	arena_reset(&a);
	return (rc == RC_OK);
}

static bool
again_step(struct scanner *sc)
{
	struct settings *s = service_settings(sc->svc);
	bool more;

	more = s->scan.jobs > 0 && !store_failed(sc->svc->store) &&
	       scan_again_step(sc->again, &s->scan, &sc->stop);
	settings_unref(&s);
	return (more);
}

/* --- threads ------------------------------------------------------------- */

static void
scanner_wait(struct scanner *sc)
{

	mutex_lock(&sc->lock);
	if (!atomic_load(&sc->stop) && !sc->due)
		(void)cond_wait_ms(&sc->wake, &sc->lock, ROUND_MS);
	sc->due = false;
	mutex_unlock(&sc->lock);
}

static void
priority_lower(void)
{

	thread_step_back();
	(void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
}

/* The queue comes first: somebody waits for what is in it. */
static void
scanner_first_main(void *arg)
{
	struct scanner *sc = arg;

	priority_lower();
	while (!atomic_load(&sc->stop))
		if (!queue_step(sc) && !again_step(sc))
			scanner_wait(sc);
}

static void
scanner_main(void *arg)
{
	struct scanner *sc = arg;

	priority_lower();
	while (!atomic_load(&sc->stop))
		if (!queue_step(sc))
			scanner_wait(sc);
}

void
service_scan_init(struct service *svc)
{
	struct scanner *sc = xcalloc(1, sizeof(*sc));

	sc->svc = svc;
	sc->again = scan_again_new(svc->store);
	mutex_init(&sc->lock);
	cond_init(&sc->wake);
	svc->scanner = sc;
}

void
service_scan_fini(struct service *svc)
{
	struct scanner *sc = svc->scanner;

	svc->scanner = NULL;
	scan_again_free(&sc->again);
	must(pthread_cond_destroy(&sc->wake) == 0);
	must(pthread_mutex_destroy(&sc->lock) == 0);
	free(sc);
}

/* Without any that scan, one says so to who asks. */
enum rc
service_scan_start(struct service *svc)
{
	struct scanner *sc = svc->scanner;
	size_t n = svc->settings->scan.jobs > 0 ? svc->settings->scan.jobs : 1;
	enum rc rc = RC_OK;

	must(n <= SCANNERS_MAX);
	while (rc == RC_OK && sc->n_threads < n) {
		rc = thread_start("scan",
		    sc->n_threads == 0 ? scanner_first_main : scanner_main, sc,
		    &sc->threads[sc->n_threads]);
		sc->n_threads += rc == RC_OK;
	}
	return (rc);
}

void
service_scan_stop_begin(struct service *svc)
{
	struct scanner *sc = svc->scanner;

	mutex_lock(&sc->lock);
	atomic_store(&sc->stop, true);
	must(pthread_cond_broadcast(&sc->wake) == 0);
	mutex_unlock(&sc->lock);
}

void
service_scan_stop(struct service *svc)
{
	struct scanner *sc = svc->scanner;

	service_scan_stop_begin(svc);
	while (sc->n_threads > 0)
		thread_join(sc->threads[--sc->n_threads]);
}

void
service_scan_wake(struct service *svc)
{
	struct scanner *sc = svc->scanner;

	if (sc == NULL)
		return;
	mutex_lock(&sc->lock);
	sc->due = true;
	must(pthread_cond_signal(&sc->wake) == 0);
	mutex_unlock(&sc->lock);
}

void
service_scan_advisories(struct service *svc)
{
	if (svc->scanner != NULL)
		scan_again_due(svc->scanner->again);
	service_scan_wake(svc);
}

void
service_scan_state(struct service *svc, struct service_scan_state *state_r)
{
	struct scanner *sc = svc->scanner;

	*state_r = (struct service_scan_state){ 0 };
	if (sc == NULL)
		return;
	mutex_lock(&sc->lock);
	*state_r = (struct service_scan_state){
		.running = (unsigned)sc->n_taken,
		.waiting_for_layers = (unsigned)sc->n_delayed,
		.matching = scan_again_runs(sc->again),
		.matched = scan_again_images(sc->again),
	};
	mutex_unlock(&sc->lock);
}

void
service_scans_end(struct service *svc, int64_t budget_ms)
{
	int64_t end_ns = clock_mono_ns() + budget_ms * NS_PER_MS;

	while ((queue_step(svc->scanner) || again_step(svc->scanner)) &&
	       clock_mono_ns() < end_ns)
		continue;
}
