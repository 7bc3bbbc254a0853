#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * The life of a connection: birth, the driver of its states, its events, its
 * death.
 */

/* Connections kept for the next one. */
#define FREE_CONNS_MAX 64

static enum step (*const steps[])(struct http_conn *) = {
#define S(name, fn) [CONN_##name] = fn,
	CONN_STATES(S)
#undef S
};

static void
on_io(void *arg, unsigned ready)
{
	struct http_conn *c = arg;

	OBJ_CHECK(c, CONN_MAGIC);
	if (ready & (IO_READ | IO_HANGUP)) {
		c->readable = true;
		c->dry = false;
	}
	if (ready & IO_HANGUP)
		c->hangup = true;
	if (ready & IO_WRITE)
		c->writable = true;
	conn_run(c);
}

static void conn_free(struct http_conn *);

static void
on_kick(void *arg)
{
	struct http_conn *c = arg;

	OBJ_CHECK(c, CONN_MAGIC);
	c->kicked = false;
	if (c->dead)
		conn_free(c);
	else
		conn_run(c);
}

static struct http_conn *
conn_take(struct hub *h)
{
	struct http_conn *c = h->free_conns;
	struct io *io;

	if (c == NULL) {
		c = xcalloc(1, sizeof(*c));
		c->magic = CONN_MAGIC;
		c->io = io_new(h->loop, on_io, c);
		return (c);
	}
	h->free_conns = LIST_NEXT(c, link);
	h->n_free_conns--;
	io = c->io;
	*c = (struct http_conn){ .magic = CONN_MAGIC, .io = io };
	return (c);
}

static void
conn_free(struct http_conn *c)
{
	struct hub *h = c->hub;

	if (h->n_free_conns < FREE_CONNS_MAX) {
		c->link.le_next = h->free_conns;
		h->free_conns = c;
		h->n_free_conns++;
		return;
	}
	io_free(&c->io);
	c->magic = 0;
	free(c);
}

/* The descriptor is closed; what still runs for it must have ended. */
static void
conn_destroy(struct http_conn *c)
{
	struct hub *h = c->hub;

	must(c->msg == NULL);
	conn_set_idle(c, false);
	deadline_clear(&c->deadline);
	io_unwatch(c->io);
	tls_free(&c->tls);
	(void)close(c->fd);
	LIST_REMOVE(c, link);
	server_left(h, &c->peer, c->counted);
	hub_trim_later(h);
	c->dead = true;
	if (!c->kicked)
		conn_free(c);
}

void
conn_start(struct hub *h, const struct arrival *a)
{
	struct http_conn *c = conn_take(h);
	unsigned now;

	c->hub = h;
	c->fd = a->fd;
	c->listener = a->listener;
	c->peer = a->peer;
	c->counted = a->counted;
	c->task = (struct loop_task){ .fn = on_kick, .arg = c };
	c->readable = c->writable = true;
	LIST_INSERT_HEAD(&h->conns, c, link);
	now = atomic_load_explicit(&h->stats.connections, memory_order_relaxed);
	if (now > h->most_conns)
		h->most_conns = now;
	c->state = CONN_HEAD;
	if (h->conf->tls[a->listener] != NULL) {
		c->state = CONN_HANDSHAKE;
		c->tls = tls_new(h->conf->tls[a->listener], c->fd);
		if (c->tls == NULL)
			c->state = CONN_CLOSE;
	}
	conn_run(c);
}

void
conn_run(struct http_conn *c)
{
	enum step s;

	OBJ_CHECK(c, CONN_MAGIC);
	must(!c->running && !c->dead);
	c->running = true;
	c->turns = 0;
	do {
		must(c->state < ARRAY_LEN(steps));
		s = steps[c->state](c);
	} while (s == STEP_MORE);
	c->running = false;
	if (s == STEP_GONE)
		conn_destroy(c);
}

void
conn_kick(struct http_conn *c)
{
	if (c->kicked)
		return;
	c->kicked = true;
	loop_defer(c->hub->loop, &c->task);
}

void
conn_go(struct http_conn *c, enum conn_state state)
{
	OBJ_CHECK(c, CONN_MAGIC);
	must(c->state == CONN_APP);
	c->state = (uint8_t)state;
	if (!c->running)
		conn_kick(c);
}

enum step
conn_wait(struct http_conn *c, unsigned interest)
{
	unsigned all = c->interest | interest;

	if (all == c->interest)
		return (STEP_WAIT);
	/* Once writing has blocked it will again. */
	if (io_watch(c->io, c->fd, all | IO_READ) != RC_OK) {
		c->gone = true;
		return (STEP_MORE);
	}
	c->interest = (uint8_t)(all | IO_READ);
	return (STEP_WAIT);
}

void
conn_arm(struct http_conn *c, enum wait_kind kind)
{
	deadline_set(c->hub->deadlines, &c->deadline, kind);
}

void
conn_keep(struct http_conn *c, enum wait_kind kind)
{
	if (!deadline_is_set(&c->deadline, kind))
		conn_arm(c, kind);
}

void
conn_disarm(struct http_conn *c)
{
	deadline_clear(&c->deadline);
}

void
conn_set_idle(struct http_conn *c, bool idle)
{
	if (c->idle == idle)
		return;
	c->idle = idle;
	if (idle)
		atomic_fetch_add_explicit(
		    &c->hub->stats.idle, 1, memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(
		    &c->hub->stats.idle, 1, memory_order_relaxed);
}

/* The application has the exchange, or a worker has it for the application. */
enum step
step_app(struct http_conn *c)
{
	conn_disarm(c);
	return (STEP_WAIT);
}

/*
 * The end of a connection on which more may arrive than anybody will read:
 * closing at once would send a reset, and the reset would overtake our answer
 * (RFC 9112 section 9.6).
 */
enum step
step_drain(struct http_conn *c)
{
	struct hub *h = c->hub;
	ssize_t got = 0;

	if (!deadline_is_set(&c->deadline, WAIT_DRAIN) && !c->timed_out) {
		if (c->tls != NULL)
			tls_bye(c->tls);
		(void)shutdown(c->fd, SHUT_WR);
		conn_arm(c, WAIT_DRAIN);
		c->readable = true;
	}
	while (!c->timed_out && !c->gone && c->drained < DRAIN_BYTES) {
		got = recv(c->fd, h->scratch, SCRATCH_BYTES, 0);
		if (got <= 0)
			break;
		c->drained += (size_t)got;
	}
	if (got < 0 && !c->timed_out && !c->gone)
		return (conn_wait(c, IO_READ));
	c->state = CONN_CLOSE;
	c->gone = true; /* it was told already */
	return (STEP_MORE);
}

enum step
step_close(struct http_conn *c)
{
	if (c->tls != NULL && !c->gone)
		tls_bye(c->tls);
	return (STEP_GONE);
}
