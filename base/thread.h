#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include "base/rc.h"

/*
 * Threads with a name (15 bytes show in ps and gdb), all signals blocked but
 * those of a fault of its own, and a small stack.
 */
#define THREAD_STACK_BYTES ((size_t)512 * 1024)

/** thread_start(name, fn, arg, t_r): RC_LIMIT when the system refuses. */
RC_MUST_USE enum rc
thread_start(const char *name, void (*fn)(void *), void *arg, pthread_t *t_r);
void thread_join(pthread_t);

/** thread_step_back(): from now on the calling thread gets less of the
 * processor when it is short, and is never ahead of one that has just been
 * woken to answer somebody. */
void thread_step_back(void);

/*
 * Mutex and condition helpers that abort on misuse; the condition waits on
 * CLOCK_MONOTONIC.
 */
void mutex_init(pthread_mutex_t *);
void mutex_lock(pthread_mutex_t *);
void mutex_unlock(pthread_mutex_t *);
void cond_init(pthread_cond_t *);
void cond_wait(pthread_cond_t *, pthread_mutex_t *);
/** cond_wait_ms(c, m, ms): false when ${ms} passed without a signal. */
int cond_wait_ms(pthread_cond_t *, pthread_mutex_t *, long ms);

#endif
