#ifndef NET_BUFPOOL_H
#define NET_BUFPOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "registryd/net/loop.h"

/*
 * The buffers that all bodies on their way in share: so many and no more,
 * first come, first served.  Memory is taken from the system when a buffer is
 * first used and given back when it has long been idle.  Any thread.
 */
#define BUFPOOL_BUFFER_BYTES ((size_t)256 * 1024)

struct bufpool;

/* Embedded in whatever waits for a buffer. */
struct bufpool_wait {
	struct bufpool_wait *next;
	struct loop *loop;     /* where to run */
	struct loop_task task; /* this, with the buffer in .buffer */
	void *buffer;
};

struct bufpool *bufpool_new(unsigned max);
/** bufpool_free(bp): all buffers have come back.  Takes NULL. */
void bufpool_free(struct bufpool **);

/**
 * bufpool_take(bp, w):
 * A buffer; or NULL, and then ${w} waits its turn and its task will run with
 * one.  There is no way back out of the queue.
 */
void *bufpool_take(struct bufpool *, struct bufpool_wait *w);

/** bufpool_give(bp, buffer): to the next that waits, or back. */
void bufpool_give(struct bufpool *, void *buffer);

/** bufpool_contended(bp): somebody waits.  A hint, and cheap. */
bool bufpool_contended(const struct bufpool *);

/** bufpool_trim(bp, age_ms): give back to the system what has been idle for
 * that long.  True: some are idle still. */
bool bufpool_trim(struct bufpool *, int64_t age_ms);

void bufpool_stats(struct bufpool *, unsigned *used_r, unsigned *waiting_r);

/** pages_alloc(n), pages_free(p, n): memory straight from the system, for
 * what must not stay in the heap when it is no longer needed. */
void *pages_alloc(size_t n_bytes);
void pages_free(void *p, size_t n_bytes);

#endif
