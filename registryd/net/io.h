#ifndef NET_IO_H
#define NET_IO_H

#include <stdint.h>

#include "base/rc.h"
#include "registryd/net/loop.h"

/*
 * Readiness of one descriptor, edge-triggered: ${fn} runs when it becomes
 * readable, writable or half-closed, and the owner remembers that until a
 * call of its own would have blocked.  So one registration serves a
 * connection for life, and one that was served at once needs none.
 */
#define IO_READ 1u
#define IO_WRITE 2u
#define IO_HANGUP 4u /* the peer sends no more; comes with IO_READ interest */

typedef void io_fn(void *arg, unsigned ready);

struct io;

/** io_new(l, fn, arg): watches nothing yet. */
struct io *io_new(struct loop *, io_fn *fn, void *arg);

/** io_watch(io, fd, interest): watch ${fd} from now on, telling also what is
 * ready already.  RC_LIMIT: the kernel refuses. */
RC_MUST_USE enum rc io_watch(struct io *, int fd, unsigned interest);

/** io_unwatch(io): before the descriptor is closed. */
void io_unwatch(struct io *);

/** io_free(io): takes NULL; unwatches. */
void io_free(struct io **);

#endif
