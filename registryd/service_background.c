#include <malloc.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "registryd/settings.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/repositories.h"
#include "storage/upload.h"

/*
 * The background thread: what nobody waits for, a little at a time.
 */

#define ROUND_MS 1000L
#define EXPIRE_BUDGET 256
#define EXPIRE_MIN_MS 1000
#define EXPIRE_MAX_MS 60000
#define FLUSH_MS 10000
#define PURGE_BUDGET 500
#define PURGE_MS 200 /* in one round, which has other things to do */
#define SCANS_MS 200
#define SWEEP_BUDGET 1000
#define SWEEP_MS 100
#define SWEEP_PAUSE_MS 60000
/* That of ECR is not published. */
#define PREVIEW_LIFETIME_MS ((int64_t)24 * 60 * 60 * 1000)

#define NS_PER_MS ((int64_t)1000000)

/* A quarter of the lifetime is soon enough, a minute for long ones. */
static int64_t
expire_pause_ms(int64_t lifetime_ms)
{
	if (lifetime_ms / 4 > EXPIRE_MAX_MS)
		return (EXPIRE_MAX_MS);
	if (lifetime_ms / 4 < EXPIRE_MIN_MS)
		return (EXPIRE_MIN_MS);
	return (lifetime_ms / 4);
}

/* A round that used up its budget is followed by another one soon. */
static int64_t
uploads_expire(struct service *svc, int64_t pause_ms)
{
	unsigned n = 0;

	if (store_failed(svc->store) ||
	    upload_expire(svc->store, clock_real_ms(), EXPIRE_BUDGET, &n) !=
		RC_OK)
		return (pause_ms);
	if (n > 0)
		log_info("removed %u unfinished upload%s that nobody touched",
		    n, n == 1 ? "" : "s");
	return (n < EXPIRE_BUDGET ? pause_ms : EXPIRE_MIN_MS);
}

/* What a burst left in the heap; main.c keeps some for the next one. */
static void
memory_return(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

/* A batch at a time: others commit between. */
bool
service_purge(struct service *svc, int64_t budget_ms)
{
	int64_t end_ns = clock_mono_ns() + budget_ms * NS_PER_MS;
	bool more;

	do {
		if (store_failed(svc->store) || atomic_load(&svc->stopping))
			return (false);
		if (meta_repository_purge(
			store_meta(svc->store), PURGE_BUDGET, &more) != RC_OK)
			return (false);
	} while (more && clock_mono_ns() < end_ns);
	return (more);
}

/* --- scans --------------------------------------------------------------- */

/*
 * What clients started waits in the store until here, and clients wait for it.
 * There is nothing yet that looks into images: each ends as failed, in the
 * order in which it came.
 */
#define SCAN_REASON "this version of the registry has no scanner"
#define JOB_BYTES ((size_t)64 << 10)

static enum rc
scan_end_next(struct meta *m, struct arena *arena)
{
	struct scan_job job;
	enum rc rc;

	if ((rc = meta_scan_next(m, arena, &job)) != RC_OK)
		return (rc);
	return (meta_scan_end(
	    m, &job, SCAN_FAILED, SPAN(SCAN_REASON), clock_real_ms()));
}

void
service_scans_end(struct service *svc, int64_t budget_ms)
{
	int64_t end_ns = clock_mono_ns() + budget_ms * NS_PER_MS;
	struct arena arena;
	enum rc rc;

	do {
		if (store_failed(svc->store) || atomic_load(&svc->stopping))
			return;
		arena_init(&arena, JOB_BYTES);
		rc = scan_end_next(store_meta(svc->store), &arena);
		arena_reset(&arena);
	} while (rc == RC_OK && clock_mono_ns() < end_ns);
}

/* --- previews ------------------------------------------------------------ */

bool
service_previews_sweep(
    struct service *svc, struct preview_sweep *sweep, int64_t budget_ms)
{
	int64_t end_ns = clock_mono_ns() + budget_ms * NS_PER_MS;
	int64_t before_ms = clock_real_ms() - PREVIEW_LIFETIME_MS;
	bool more;

	do {
		if (store_failed(svc->store) || atomic_load(&svc->stopping))
			return (false);
		if (meta_preview_sweep(store_meta(svc->store), sweep, before_ms,
			SWEEP_BUDGET, &more) != RC_OK)
			return (false);
	} while (more && clock_mono_ns() < end_ns);
	return (more);
}

static int64_t
previews_sweep(struct service *svc, struct preview_sweep *sweep)
{
	return (
	    service_previews_sweep(svc, sweep, SWEEP_MS) ? 0 : SWEEP_PAUSE_MS);
}

/* --- rounds -------------------------------------------------------------- */

struct rounds {
	int64_t expire_pause_ms, expire_at_ns, flush_at_ns, sweep_at_ns;
	struct preview_sweep sweep;
};

static void
background_round(struct service *svc, struct rounds *r)
{
	int64_t now_ns = clock_mono_ns();

	if (svc->auth != NULL)
		auth_refresh(svc->auth);
	(void)service_purge(svc, PURGE_MS);
	service_scans_end(svc, SCANS_MS);
	if (now_ns >= r->sweep_at_ns)
		r->sweep_at_ns =
		    now_ns + previews_sweep(svc, &r->sweep) * NS_PER_MS;
	if (now_ns >= r->flush_at_ns && svc->auth != NULL) {
		auth_flush(svc->auth);
		r->flush_at_ns = now_ns + FLUSH_MS * NS_PER_MS;
	}
	if (now_ns >= r->expire_at_ns) {
		r->expire_at_ns =
		    now_ns +
		    uploads_expire(svc, r->expire_pause_ms) * NS_PER_MS;
		memory_return();
	}
}

static void
background_main(void *arg)
{
	struct service *svc = arg;
	struct rounds r = { 0 };

	OBJ_CHECK(svc, SERVICE_MAGIC);
	mutex_lock(&svc->lock);
	r.expire_pause_ms = expire_pause_ms(svc->settings->upload_lifetime_ms);
	r.expire_at_ns = r.flush_at_ns =
	    clock_mono_ns() + r.expire_pause_ms * NS_PER_MS;
	while (!svc->background_stop) {
		if (cond_wait_ms(&svc->wake, &svc->lock, ROUND_MS))
			continue;
		mutex_unlock(&svc->lock);
		background_round(svc, &r);
		mutex_lock(&svc->lock);
	}
	mutex_unlock(&svc->lock);
}

void
service_background_stop(struct service *svc)
{
	if (!svc->background_runs)
		return;
	mutex_lock(&svc->lock);
	svc->background_stop = true;
	must(pthread_cond_signal(&svc->wake) == 0);
	mutex_unlock(&svc->lock);
	thread_join(svc->background);
	svc->background_runs = false;
}

enum rc
service_background_start(struct service *svc)
{
	enum rc rc;

	rc = thread_start("background", background_main, svc, &svc->background);
	svc->background_runs = rc == RC_OK;
	return (rc);
}
