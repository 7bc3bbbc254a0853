#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/net/listener_int.h"
#include "registryd/net/loop_int.h"

/*
 * Taking connections.  A few at a time, so that those we have get their turn
 * and other loops their share.  When the process is out of descriptors the
 * kernel would report the same waiting connection for ever: one descriptor is
 * held in reserve to take it and close it, which tells the client, and then
 * accepting pauses.
 */
#define ACCEPTOR_MAGIC 0x41636370u
#define ACCEPT_AT_ONCE 8
#define PAUSE_MS 100

struct acceptor {
	unsigned magic;
	struct listener *listener;
	accept_fn *fn;
	void *arg;
	int reserve; /* or -1 */
	struct event event;
	struct event pause;
};

static int
reserve_open(void)
{
	return (open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static void
pause_for_now(struct acceptor *a)
{
	static const struct timeval tv = { .tv_usec =
					       (suseconds_t)PAUSE_MS * 1000 };

	(void)event_del(&a->event);
	(void)event_add(&a->pause, &tv);
}

static void
out_of_descriptors(struct acceptor *a)
{
	int fd;

	log_errno("cannot accept on %s; pausing", a->listener->name);
	if (a->reserve != -1) {
		(void)close(a->reserve);
		fd = accept4(a->listener->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd != -1)
			(void)close(fd);
		a->reserve = reserve_open();
	}
	pause_for_now(a);
}

/* Accepting failed; is there any point in trying again at once? */
static bool
is_over(struct acceptor *a)
{
	switch (errno) {
	case EAGAIN:
		return (true);
	case EMFILE:
	case ENFILE:
		out_of_descriptors(a);
		return (true);
	case ENOBUFS:
	case ENOMEM:
		log_errno("cannot accept on %s; pausing", a->listener->name);
		pause_for_now(a);
		return (true);
	default:
		/* Troubles of that one connection. */
		return (false);
	}
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;
	struct sockaddr_storage sa;
	struct addr peer;
	socklen_t n;
	int i, got;

	(void)what;
	OBJ_CHECK(a, ACCEPTOR_MAGIC);
	for (i = 0; i < ACCEPT_AT_ONCE; i++) {
		n = sizeof(sa);
		got = accept4(fd, (struct sockaddr *)&sa, &n,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (got == -1 && is_over(a))
			return;
		if (got == -1)
			continue;
		peer = addr_of((struct sockaddr *)&sa);
		a->fn(a->arg, got, &peer);
	}
}

static void
on_pause_end(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	(void)fd, (void)what;
	OBJ_CHECK(a, ACCEPTOR_MAGIC);
	if (a->reserve == -1)
		a->reserve = reserve_open();
	(void)event_add(&a->event, NULL);
}

struct acceptor *
acceptor_new(struct loop *loop, struct listener *l, accept_fn *fn, void *arg)
{
	struct acceptor *a = xcalloc(1, sizeof(*a));
	struct event_base *base = loop_base(loop);

	OBJ_CHECK(l, LISTENER_MAGIC);
	a->magic = ACCEPTOR_MAGIC;
	a->listener = l;
	a->fn = fn;
	a->arg = arg;
	a->reserve = reserve_open();
	must(event_assign(&a->event, base, l->fd, EV_READ | EV_PERSIST,
		 on_connection, a) == 0);
	must(event_assign(&a->pause, base, -1, 0, on_pause_end, a) == 0);
	must(event_add(&a->event, NULL) == 0);
	return (a);
}

void
acceptor_free(struct acceptor **ap)
{
	struct acceptor *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	OBJ_CHECK(a, ACCEPTOR_MAGIC);
	(void)event_del(&a->event);
	(void)event_del(&a->pause);
	if (a->reserve != -1)
		(void)close(a->reserve);
	a->magic = 0;
	free(a);
}
