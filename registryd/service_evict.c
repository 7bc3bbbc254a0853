#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache.h"
#include "registryd/cache_rules.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "registryd/settings.h"

/*
 * The pull through cache is kept as small as cache.max-bytes says: by a thread
 * that is started when that is set for the first time, and looks when something
 * was imported, at most every few seconds, and every minute.
 */
#define LOOK_MS ((int64_t)60 * 1000)
#define PAUSE_MS ((int64_t)5 * 1000)
#define PAGE_ROWS 1000
#define PAGE_BYTES ((size_t)8 << 20)
#define NAMES_BYTES ((size_t)256 << 20)

/* --- which repositories -------------------------------------------------- */

struct names {
	struct span *items;
	size_t n, room;
	struct arena arena;
};

static void
name_add(struct names *names, struct span name)
{
	struct span kept = arena_span(&names->arena, name);

	/* What does not fit is not looked at: there is enough else. */
	if (kept.p == NULL)
		return;
	if (names->n == names->room) {
		names->room = names->room == 0 ? 64 : names->room * 2;
		names->items =
		    xrealloc(names->items, names->room * sizeof(*names->items));
	}
	names->items[names->n++] = kept;
}

static void
name_look(struct service *svc, struct names *names, struct span name)
{
	struct cache_match match;
	struct arena arena;

	arena_init(&arena, PAGE_BYTES);
	if (cache_rule_of(svc->cache_rules, name, &arena, &match))
		name_add(names, name);
	arena_reset(&arena);
}

/* Those that some rule fills. */
static enum rc
names_read(struct service *svc, struct names *names)
{
	char after[NAME_REPOSITORY_MAX_BYTES + 1] = "";
	struct page page;
	struct arena arena;
	bool more = true;
	enum rc rc = RC_OK;
	size_t i;

	while (more && rc == RC_OK) {
		arena_init(&arena, PAGE_BYTES);
		rc = meta_repository_page(store_meta(svc->store),
		    span_of(after), PAGE_ROWS, &arena, &page);
		for (i = 0; rc == RC_OK && i < page.n; i++)
			name_look(svc, names, page.items[i]);
		more = rc == RC_OK && page.more && page.n > 0;
		if (more) {
			memcpy(after, page.items[page.n - 1].p,
			    page.items[page.n - 1].n);
			after[page.items[page.n - 1].n] = '\0';
		}
		arena_reset(&arena);
	}
	return (rc);
}

enum rc
service_evict(struct service *svc, struct cache_eviction *e_r)
{
	struct names names = { 0 };
	enum rc rc;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	*e_r = (struct cache_eviction){ 0 };
	if (svc->cache == NULL || !cache_rules_any(svc->cache_rules))
		return (RC_OK);
	arena_init(&names.arena, NAMES_BYTES);
	if ((rc = names_read(svc, &names)) == RC_OK && names.n > 0) {
		mutex_lock(&svc->evict_lock);
		rc = cache_evict(svc->cache, names.items, names.n, e_r);
		mutex_unlock(&svc->evict_lock);
	}
	arena_reset(&names.arena);
	free(names.items);
	if (e_r->evicted > 0) {
		log_info("cache: %llu of %llu imported images (%llu bytes) "
			 "given up, as they were not pulled for longest",
		    (unsigned long long)e_r->evicted,
		    (unsigned long long)e_r->images,
		    (unsigned long long)e_r->evicted_bytes);
		service_collect_soon(svc);
	}
	return (rc);
}

/* --- the thread ---------------------------------------------------------- */

void
service_evict_soon(struct service *svc)
{
	mutex_lock(&svc->lock);
	svc->evict_due = true;
	if (svc->evict_runs)
		must(pthread_cond_broadcast(&svc->evict_wake) == 0);
	mutex_unlock(&svc->lock);
}

static bool
wanted(struct service *svc)
{
	struct settings *s = service_settings(svc);
	bool yes = s->cache.max_bytes > 0;

	settings_unref(&s);
	return (yes);
}

/* With the lock held. */
static void
pause_take(struct service *svc)
{
	if (!svc->evict_stop)
		(void)cond_wait_ms(
		    &svc->evict_pause, &svc->lock, (long)PAUSE_MS);
	while (!svc->evict_stop && !svc->evict_due)
		if (!cond_wait_ms(&svc->evict_wake, &svc->lock, (long)LOOK_MS))
			break;
	svc->evict_due = false;
}

static void
evict_main(void *arg)
{
	struct service *svc = arg;
	struct cache_eviction e;
	enum rc rc;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	thread_step_back();
	mutex_lock(&svc->lock);
	while (!svc->evict_stop) {
		mutex_unlock(&svc->lock);
		if (wanted(svc) && !store_failed(svc->store) &&
		    (rc = service_evict(svc, &e)) != RC_OK &&
		    rc != RC_CANCELLED)
			log_warn("the cache cannot be made smaller: %s",
			    rc_text(rc));
		mutex_lock(&svc->lock);
		pause_take(svc);
	}
	mutex_unlock(&svc->lock);
}

enum rc
service_evict_start(struct service *svc)
{
	enum rc rc;

	if (svc->evict_runs || !wanted(svc))
		return (RC_OK);
	svc->evict_stop = false;
	rc = thread_start("eviction", evict_main, svc, &svc->evict);
	svc->evict_runs = rc == RC_OK;
	return (rc);
}

void
service_evict_cancel(struct service *svc)
{
	mutex_lock(&svc->lock);
	svc->evict_stop = true;
	must(pthread_cond_broadcast(&svc->evict_wake) == 0);
	must(pthread_cond_broadcast(&svc->evict_pause) == 0);
	mutex_unlock(&svc->lock);
}

void
service_evict_stop(struct service *svc)
{
	service_evict_cancel(svc);
	if (svc->evict_runs)
		thread_join(svc->evict);
	svc->evict_runs = false;
}
