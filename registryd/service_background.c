#include <malloc.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/audit.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "registryd/settings.h"
#include "storage/advisories.h"
#include "storage/lifecycles.h"

/*
 * The background thread: what nobody waits for, a little at a time.
 */

#define ROUND_MS 1000L
#define COLLECT_MIN_MS 1000
#define COLLECT_MAX_MS 60000
#define MEMORY_MS 60000
#define FLUSH_MS 10000
#define SWEEP_BUDGET 1000
#define SWEEP_MS 100
#define SWEEP_PAUSE_MS 60000
#define ADVISORIES_BUDGET 500
#define ADVISORIES_MS 100
/* That of ECR is not published. */
#define PREVIEW_LIFETIME_MS ((int64_t)24 * 60 * 60 * 1000)

#define NS_PER_MS ((int64_t)1000000)

/* --- collections --------------------------------------------------------- */

/* A quarter of the time is soon enough, a minute for long ones. */
static int64_t
quarter_ms(int64_t ms)
{
	if (ms / 4 > COLLECT_MAX_MS)
		return (COLLECT_MAX_MS);
	return (ms / 4 < COLLECT_MIN_MS ? COLLECT_MIN_MS : ms / 4);
}

/* Uploads that nobody touches go with what nobody needs. */
static int64_t
collect_pause_ms(struct service *svc)
{
	struct settings *s = service_settings(svc);
	int64_t grace_ms = quarter_ms(s->gc_grace_ms);
	int64_t lifetime_ms = quarter_ms(s->upload_lifetime_ms);

	settings_unref(&s);
	return (grace_ms < lifetime_ms ? grace_ms : lifetime_ms);
}

void
service_collect_soon(struct service *svc)
{
	OBJ_CHECK(svc, SERVICE_MAGIC);
	mutex_lock(&svc->lock);
	svc->collect_due = true;
	must(pthread_cond_signal(&svc->wake) == 0);
	mutex_unlock(&svc->lock);
}

static bool
collect_called(struct service *svc)
{
	bool called;

	mutex_lock(&svc->lock);
	called = svc->collect_due;
	svc->collect_due = false;
	mutex_unlock(&svc->lock);
	return (called);
}

/* What a burst left in the heap; main.c keeps some for the next one. */
static void
memory_return(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
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

/* --- advisories ----------------------------------------------------------- */

/* What imports left behind: of sources that have newer ones, of those that were
 * removed, and of imports that did not come to their end. */
static void
advisories_sweep(struct service *svc, int64_t budget_ms)
{
	int64_t end_ns = clock_mono_ns() + budget_ms * NS_PER_MS;
	bool more;

	do {
		if (store_failed(svc->store) || atomic_load(&svc->stopping))
			return;
		if (meta_advisories_sweep(store_meta(svc->store),
			ADVISORIES_BUDGET, &more) != RC_OK)
			return;
	} while (more && clock_mono_ns() < end_ns);
}

/* --- rounds -------------------------------------------------------------- */

struct rounds {
	int64_t collect_at_ns, flush_at_ns, sweep_at_ns, memory_at_ns;
	struct preview_sweep sweep;
};

static void
collect_round(struct service *svc, struct rounds *r, int64_t now_ns)
{
	bool called = collect_called(svc);

	if (!called && now_ns < r->collect_at_ns)
		return;
	service_collect_begin(svc, called);
	r->collect_at_ns = now_ns + collect_pause_ms(svc) * NS_PER_MS;
}

static void
background_round(struct service *svc, struct rounds *r)
{
	int64_t now_ns = clock_mono_ns();

	if (svc->auth != NULL)
		auth_refresh(svc->auth);
	collect_round(svc, r, now_ns);
	if (now_ns >= r->sweep_at_ns)
		r->sweep_at_ns =
		    now_ns + previews_sweep(svc, &r->sweep) * NS_PER_MS;
	advisories_sweep(svc, ADVISORIES_MS);
	if (now_ns >= r->flush_at_ns) {
		audit_flush(svc->audit);
		if (svc->auth != NULL)
			auth_flush(svc->auth);
		r->flush_at_ns = now_ns + FLUSH_MS * NS_PER_MS;
	}
	if (now_ns >= r->memory_at_ns) {
		memory_return();
		r->memory_at_ns = now_ns + MEMORY_MS * NS_PER_MS;
	}
}

static void
background_main(void *arg)
{
	struct service *svc = arg;
	struct rounds r = { 0 };

	OBJ_CHECK(svc, SERVICE_MAGIC);
	r.collect_at_ns = clock_mono_ns() + collect_pause_ms(svc) * NS_PER_MS;
	r.flush_at_ns = clock_mono_ns() + FLUSH_MS * NS_PER_MS;
	mutex_lock(&svc->lock);
	while (!svc->background_stop) {
		if (!svc->collect_due)
			(void)cond_wait_ms(&svc->wake, &svc->lock, ROUND_MS);
		if (svc->background_stop)
			break;
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
