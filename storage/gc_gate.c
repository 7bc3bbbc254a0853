#include "storage/gc_gate_int.h"

#include "base/obj.h"
#include "base/thread.h"
#include "storage/gc.h"
#include "storage/store_int.h"

/*
 * The gate of the collector.
 */

/* So often is looked whether one that waits has been asked to stop. */
#define STOP_LOOK_MS 50

void
gc_gate_init(struct gc_gate *g)
{
	mutex_init(&g->lock);
	cond_init(&g->changed);
}

void
gc_gate_destroy(struct gc_gate *g)
{
	must(g->holds == 0 && g->inside == 0);
	must(pthread_cond_destroy(&g->changed) == 0);
	must(pthread_mutex_destroy(&g->lock) == 0);
}

static bool
stopped(const _Atomic bool *stop)
{
	return (stop != NULL && atomic_load(stop));
}

bool
gc_gate_enter(struct gc_gate *g, const _Atomic bool *stop)
{
	bool in;

	mutex_lock(&g->lock);
	while (g->holds > 0 && !stopped(stop))
		(void)cond_wait_ms(&g->changed, &g->lock, STOP_LOOK_MS);
	in = g->holds == 0;
	g->inside += in;
	mutex_unlock(&g->lock);
	return (in);
}

void
gc_gate_leave(struct gc_gate *g)
{
	mutex_lock(&g->lock);
	must(g->inside > 0);
	g->inside--;
	must(pthread_cond_broadcast(&g->changed) == 0);
	mutex_unlock(&g->lock);
}

void
gc_hold(struct store *s)
{
	struct gc_gate *g = &s->gate;

	mutex_lock(&g->lock);
	g->holds++;
	while (g->inside > 0)
		cond_wait(&g->changed, &g->lock);
	mutex_unlock(&g->lock);
}

void
gc_release(struct store *s)
{
	struct gc_gate *g = &s->gate;

	mutex_lock(&g->lock);
	must(g->holds > 0);
	g->holds--;
	must(pthread_cond_broadcast(&g->changed) == 0);
	mutex_unlock(&g->lock);
}
