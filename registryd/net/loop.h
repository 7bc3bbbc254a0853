#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdint.h>

#include "base/rc.h"

/*
 * One event loop, run by one thread.  What hangs on a loop (descriptors,
 * deadlines, connections) belongs to that thread; the only way in from
 * outside is loop_post().
 *
 * Order of one turn: wait for events and call their callbacks; then what was
 * posted; then what was deferred up to then.  What a deferred task defers
 * waits for the next turn, so that no chain of tasks starves the sockets.
 */
struct loop;

/* Embedded in whatever wants to run; in one list at a time. */
struct loop_task {
	struct loop_task *next;
	void (*fn)(void *arg);
	void *arg;
};

/** loop_new(l_r): RC_LIMIT: no descriptor left. */
RC_MUST_USE enum rc loop_new(struct loop **l_r);

/** loop_free(l): not while it runs.  Tasks left over are forgotten. */
void loop_free(struct loop **);

/** loop_run(l): serve events until loop_quit(). */
void loop_run(struct loop *);

/** loop_quit(l): end loop_run() after this turn.  Loop thread only. */
void loop_quit(struct loop *);

/** loop_post(l, t): run ${t} on the loop, soon.  Any thread.  In order. */
void loop_post(struct loop *, struct loop_task *);

/** loop_defer(l, t): run ${t} at the end of this turn.  Loop thread only. */
void loop_defer(struct loop *, struct loop_task *);

/** loop_now_ns(l): the monotonic clock, read once a turn.  Loop thread only. */
int64_t loop_now_ns(struct loop *);

#endif
