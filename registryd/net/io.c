#include "registryd/net/io.h"

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/net/loop_int.h"

#define IO_MAGIC 0x494f6576u

struct io {
	unsigned magic;
	bool watching;
	struct loop *loop;
	io_fn *fn;
	void *arg;
	struct event event;
};

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct io *io = arg;
	unsigned ready = 0;

	(void)fd;
	OBJ_CHECK(io, IO_MAGIC);
	if (what & EV_READ)
		ready |= IO_READ;
	if (what & EV_WRITE)
		ready |= IO_WRITE;
	if (what & EV_CLOSED)
		ready |= IO_HANGUP;
	io->fn(io->arg, ready);
}

struct io *
io_new(struct loop *l, io_fn *fn, void *arg)
{
	struct io *io = xcalloc(1, sizeof(*io));

	io->magic = IO_MAGIC;
	io->loop = l;
	io->fn = fn;
	io->arg = arg;
	return (io);
}

enum rc
io_watch(struct io *io, int fd, unsigned interest)
{
	short what = EV_PERSIST | EV_ET;

	OBJ_CHECK(io, IO_MAGIC);
	io_unwatch(io);
	if (interest & IO_READ)
		what |= EV_READ | EV_CLOSED;
	if (interest & IO_WRITE)
		what |= EV_WRITE;
	must(event_assign(
		 &io->event, loop_base(io->loop), fd, what, on_event, io) == 0);
	if (event_add(&io->event, NULL) == -1) {
		log_errno("cannot watch a descriptor");
		return (RC_LIMIT);
	}
	io->watching = true;
	return (RC_OK);
}

void
io_unwatch(struct io *io)
{
	if (!io->watching)
		return;
	io->watching = false;
	(void)event_del(&io->event);
}

void
io_free(struct io **iop)
{
	struct io *io = *iop;

	*iop = NULL;
	if (io == NULL)
		return;
	OBJ_CHECK(io, IO_MAGIC);
	io_unwatch(io);
	io->magic = 0;
	free(io);
}
