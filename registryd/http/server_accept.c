#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/http/conn_int.h"

/*
 * A new connection: may it come in, and which loop takes it?
 *
 * The loop that accepted it, unless that has many more than another: then it
 * is handed over, which costs a wake-up but pays when connections are long.
 * Short ones never make such a difference.
 */
#define IMBALANCE 8

struct handover {
	struct loop_task task;
	struct hub *hub;
	struct arrival arrival;
};

static void
forget(struct hub *h, const struct arrival *a)
{
	(void)close(a->fd);
	server_left(h, &a->peer, a->counted);
}

static void
on_handover(void *arg)
{
	struct handover *o = arg;

	if (o->hub->stopping)
		forget(o->hub, &o->arrival);
	else
		conn_start(o->hub, &o->arrival);
	free(o);
}

static void
hand_over(struct hub *h, const struct arrival *a)
{
	struct handover *o = xcalloc(1, sizeof(*o));

	o->task = (struct loop_task){ .fn = on_handover, .arg = o };
	o->hub = h;
	o->arrival = *a;
	loop_post(h->loop, &o->task);
}

static unsigned
load_of(const struct hub *h)
{
	return (
	    atomic_load_explicit(&h->stats.connections, memory_order_relaxed));
}

static struct hub *
choose_hub(struct hub *mine)
{
	struct http_server *s = mine->server;
	struct hub *best = mine;
	unsigned i;

	for (i = 0; i < s->n_hubs; i++) {
		if (load_of(&s->hubs[i]) + IMBALANCE < load_of(best))
			best = &s->hubs[i];
	}
	return (best);
}

/* Only processes of our own user, and root, on such a socket. */
static bool
peer_allowed(const struct http_server *s, const struct arrival *a)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (!s->configs[a->listener].same_user_only ||
	    a->peer.kind != ADDR_UNIX)
		return (true);
	if (getsockopt(a->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == -1)
		return (false);
	return (cred.uid == s->uid || cred.uid == 0);
}

/* Of all, and of this address; counts it in. */
static bool
caps_allow(struct hub *h, struct arrival *a)
{
	const struct conf *conf = h->conf;
	struct http_server *s = h->server;
	unsigned per_address = conf->limits.connections_per_address;

	a->counted = per_address > 0 && a->peer.kind != ADDR_UNIX &&
		     !proxies_trust(&conf->proxies, &a->peer);
	if (a->counted && caps_enter(s->caps, &a->peer, per_address) != RC_OK)
		return (false);
	if (atomic_fetch_add_explicit(
		&s->connections, 1, memory_order_relaxed) < s->max_connections)
		return (true);
	if (a->counted)
		caps_leave(s->caps, &a->peer);
	atomic_fetch_sub_explicit(&s->connections, 1, memory_order_relaxed);
	return (false);
}

/* A word to clients that speak plain HTTP; the others see a close. */
static void
turn_away(struct hub *h, const struct arrival *a)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
				     "Content-Type: text/plain\r\n"
				     "Content-Length: 21\r\n"
				     "Retry-After: 1\r\n"
				     "Connection: close\r\n"
				     "\r\n"
				     "too many connections\n";

	stat_add(&h->stats.refused);
	if (h->conf->tls[a->listener] == NULL) {
		(void)recv(a->fd, h->scratch, SCRATCH_BYTES, 0);
		(void)send(a->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
		(void)shutdown(a->fd, SHUT_WR);
	}
	(void)close(a->fd);
}

void
server_accept(void *point, int fd, const struct addr *peer)
{
	struct accept_point *p = point;
	struct hub *h = p->hub, *chosen;
	struct arrival a = { .listener = p->listener, .fd = fd, .peer = *peer };

	OBJ_CHECK(h, HUB_MAGIC);
	if (!peer_allowed(h->server, &a)) {
		stat_add(&h->stats.refused);
		(void)close(fd);
		return;
	}
	if (!caps_allow(h, &a)) {
		turn_away(h, &a);
		return;
	}
	stat_add(&h->stats.accepted);
	chosen = choose_hub(h);
	atomic_fetch_add_explicit(
	    &chosen->stats.connections, 1, memory_order_relaxed);
	if (chosen == h)
		conn_start(h, &a);
	else
		hand_over(chosen, &a);
}

void
server_left(struct hub *h, const struct addr *peer, bool counted)
{
	struct http_server *s = h->server;
	unsigned left;

	if (counted)
		caps_leave(s->caps, peer);
	atomic_fetch_sub_explicit(
	    &h->stats.connections, 1, memory_order_relaxed);
	left =
	    atomic_fetch_sub_explicit(&s->connections, 1, memory_order_acq_rel);
	if (left == 1 && atomic_load(&s->stopping)) {
		mutex_lock(&s->lock);
		pthread_cond_broadcast(&s->change);
		mutex_unlock(&s->lock);
	}
}
