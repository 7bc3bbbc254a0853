#ifndef STORAGE_GC_GATE_INT_H
#define STORAGE_GC_GATE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * Who removes, moves or restores content is inside of the gate meanwhile, and
 * out of it whenever it rests; who holds it (gc_hold) finds nobody inside.
 */
struct gc_gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned holds, inside;
};

void gc_gate_init(struct gc_gate *);
void gc_gate_destroy(struct gc_gate *);

/** gc_gate_enter(g, stop): waits while it is held.  False: asked to stop
 * meanwhile; the caller is not inside.  ${stop} may be NULL. */
bool gc_gate_enter(struct gc_gate *, const _Atomic bool *stop);
void gc_gate_leave(struct gc_gate *);

#endif
