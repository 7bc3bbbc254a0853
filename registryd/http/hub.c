#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/http/conn_int.h"

/*
 * A loop and what its connections share.
 */

/* The calendar may step, so it is looked at this often at least. */
#define DATE_NS ((int64_t)100 * 1000 * 1000)

static void
on_deadline(struct deadline *d, void *arg)
{
	struct http_conn *c =
	    (struct http_conn *)(void *)((char *)d -
					 offsetof(struct http_conn, deadline));

	(void)arg;
	OBJ_CHECK(c, CONN_MAGIC);
	c->timed_out = true;
	conn_run(c);
}

static void
conn_pool_trim(struct hub *h)
{
	struct http_conn *c;

	while ((c = h->free_conns) != NULL) {
		h->free_conns = LIST_NEXT(c, link);
		io_free(&c->io);
		free(c);
	}
	h->n_free_conns = 0;
}

static void
msg_pool_trim(struct hub *h, unsigned n)
{
	struct msg *m;

	while (n-- > 0) {
		m = h->free_msgs;
		h->free_msgs = m->next_free;
		h->n_free_msgs--;
		pages_free(m, m->total_bytes);
	}
}

/* On a worker. */
static void
heap_trim_work(void *arg)
{
	struct http_server *s = arg;

	(void)malloc_trim(0);
	atomic_store(&s->heap_trimming, false);
}

/*
 * After a crowd has left, what it took is free but still ours: the state of
 * TLS is on the heap, and the heap shrinks only when told to.
 */
static void
heap_trim(struct hub *h)
{
	struct http_server *s = h->server;
	unsigned now =
	    atomic_load_explicit(&h->stats.connections, memory_order_relaxed);

	if (now + TRIM_CONNECTIONS > h->most_conns)
		return;
	h->most_conns = now;
	if (atomic_exchange(&s->heap_trimming, true))
		return;
	s->heap_trim = (struct job){ .fn = heap_trim_work, .arg = s };
	workers_submit(s->workers, &s->heap_trim);
}

/* What was not needed since the last time goes back to the system. */
static void
on_trim(struct deadline *d, void *arg)
{
	struct hub *h = arg;
	bool more;

	(void)d;
	msg_pool_trim(h, h->low_free_msgs);
	h->low_free_msgs = h->n_free_msgs;
	heap_trim(h);
	more = bufpool_trim(h->server->buffers, TRIM_MS);
	if (more || h->n_free_msgs > 0)
		deadline_set(h->deadlines, &h->trim, WAIT_TRIM);
}

void
hub_trim_later(struct hub *h)
{
	if (h->trim.next != NULL)
		return;
	h->low_free_msgs = h->n_free_msgs;
	deadline_set(h->deadlines, &h->trim, WAIT_TRIM);
}

static void
on_pressure(void *arg)
{
	struct hub *h = arg;

	OBJ_CHECK(h, HUB_MAGIC);
	atomic_store(&h->pressed, false);
	deadlines_expire(h->deadlines, WAIT_FLUSH);
}

void
hub_press_all(struct http_server *s)
{
	unsigned i;

	for (i = 0; i < s->n_hubs; i++) {
		if (!atomic_exchange(&s->hubs[i].pressed, true))
			loop_post(s->hubs[i].loop, &s->hubs[i].pressure);
	}
}

static void
set_deadlines(struct hub *h)
{
	const struct http_limits *l = &h->conf->limits;
	struct deadlines *ds = h->deadlines;

	deadlines_kind(ds, WAIT_IDLE, l->idle_ms, on_deadline, h);
	deadlines_kind(ds, WAIT_HEADER, l->header_ms, on_deadline, h);
	deadlines_kind(ds, WAIT_BODY, l->body_ms, on_deadline, h);
	deadlines_kind(ds, WAIT_DRAIN, DRAIN_MS, on_deadline, h);
	deadlines_kind(ds, WAIT_FLUSH, FLUSH_MS, stream_flush_due, h);
	deadlines_kind(ds, WAIT_TRIM, TRIM_MS, on_trim, h);
}

void
hub_use_conf(struct hub *h, struct conf *conf)
{
	struct conf *old = h->conf;

	h->conf = conf_use(conf);
	/* Messages of another size are no longer of use. */
	if (old != NULL && old->msg_bytes != conf->msg_bytes)
		msg_pool_trim(h, h->n_free_msgs);
	h->low_free_msgs = 0;
	conf_drop(&old);
	set_deadlines(h);
}

void
hub_reload(struct hub *h)
{
	hub_use_conf(h, h->server->conf);
}

enum rc
hub_init(struct hub *h, struct http_server *s, unsigned index)
{
	size_t i;
	enum rc rc;

	h->magic = HUB_MAGIC;
	h->server = s;
	h->index = index;
	LIST_INIT(&h->conns);
	must(getrandom(h->random, sizeof(h->random), 0) == sizeof(h->random));
	h->pressure = (struct loop_task){ .fn = on_pressure, .arg = h };
	h->scratch = pages_alloc(SCRATCH_BYTES);
	if ((rc = loop_new(&h->loop)) != RC_OK)
		return (rc);
	h->deadlines = deadlines_new(h->loop);
	hub_use_conf(h, s->conf);
	h->acceptors = xcalloc(s->n_listeners, sizeof(struct acceptor *));
	h->accept_points = xcalloc(s->n_listeners, sizeof(struct accept_point));
	for (i = 0; i < s->n_listeners; i++) {
		h->accept_points[i] = (struct accept_point){ h, (unsigned)i };
		h->acceptors[i] = acceptor_new(h->loop, s->listeners[i],
		    server_accept, &h->accept_points[i]);
	}
	return (RC_OK);
}

static void
hub_main(void *arg)
{
	struct hub *h = arg;

	OBJ_CHECK(h, HUB_MAGIC);
	loop_run(h->loop);
}

enum rc
hub_start(struct hub *h)
{
	char name[16];
	enum rc rc;

	(void)snprintf(name, sizeof(name), "loop-%u", h->index);
	rc = thread_start(name, hub_main, h, &h->thread);
	h->started = rc == RC_OK;
	return (rc);
}

static void
acceptors_free(struct hub *h)
{
	size_t i;

	for (i = 0; h->acceptors != NULL && i < h->server->n_listeners; i++)
		acceptor_free(&h->acceptors[i]);
}

void
hub_fini(struct hub *h)
{
	if (h->magic != HUB_MAGIC)
		return;
	must(LIST_EMPTY(&h->conns));
	acceptors_free(h);
	free(h->acceptors);
	free(h->accept_points);
	conn_pool_trim(h);
	msg_pool_trim(h, h->n_free_msgs);
	deadlines_free(&h->deadlines);
	loop_free(&h->loop);
	conf_drop(&h->conf);
	pages_free(h->scratch, SCRATCH_BYTES);
	h->magic = 0;
}

/* Accept no more, and close what waits for a request that has not begun; one
 * that has arrived, but was not read yet, is served. */
void
hub_stop(struct hub *h)
{
	struct http_conn *c, *next;

	h->stopping = true;
	acceptors_free(h);
	for (c = LIST_FIRST(&h->conns); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->idle && c->state != CONN_HANDSHAKE)
			continue;
		c->readable = true;
		c->dry = false;
		conn_run(c);
	}
}

/* Whatever is still there is treated as if its client had gone. */
void
hub_cut(struct hub *h)
{
	struct http_conn *c, *next;

	for (c = LIST_FIRST(&h->conns); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		c->gone = true;
		conn_run(c);
	}
}

void
hub_quit(struct hub *h)
{
	loop_quit(h->loop);
}

/* One of these for each hub lives on the stack of hub_call_all(). */
struct call {
	struct loop_task task;
	struct hub *hub;
	void (*fn)(struct hub *);
};

static void
on_call(void *arg)
{
	struct call *call = arg;
	struct http_server *s = call->hub->server;

	call->fn(call->hub);
	mutex_lock(&s->lock);
	s->calls_out--;
	pthread_cond_broadcast(&s->change);
	mutex_unlock(&s->lock);
}

void
hub_call_all(struct http_server *s, void (*fn)(struct hub *))
{
	struct call *calls = xcalloc(s->n_hubs, sizeof(*calls));
	unsigned i;

	mutex_lock(&s->lock);
	s->calls_out += s->n_hubs;
	mutex_unlock(&s->lock);
	for (i = 0; i < s->n_hubs; i++) {
		calls[i].hub = &s->hubs[i];
		calls[i].fn = fn;
		calls[i].task =
		    (struct loop_task){ .fn = on_call, .arg = &calls[i] };
		loop_post(s->hubs[i].loop, &calls[i].task);
	}
	mutex_lock(&s->lock);
	while (s->calls_out > 0)
		cond_wait(&s->change, &s->lock);
	mutex_unlock(&s->lock);
	free(calls);
}

struct span
hub_date(struct hub *h)
{
	int64_t now_ns = loop_now_ns(h->loop), now_ms;

	if (h->date_s == 0 || now_ns - h->date_read_ns >= DATE_NS) {
		h->date_read_ns = now_ns;
		now_ms = clock_real_ms();
		if (now_ms / 1000 != h->date_s)
			(void)clock_http(now_ms, h->date);
		h->date_s = now_ms / 1000;
	}
	return ((struct span){ h->date, CLOCK_HTTP_BYTES - 1 });
}

static uint64_t
rotate(uint64_t x, int k)
{
	return (x << k | x >> (64 - k));
}

/* xoroshiro128+: ids have to differ, not to be secret. */
static uint64_t
random_next(struct hub *h)
{
	uint64_t a = h->random[0], b = h->random[1], out = a + b;

	b ^= a;
	h->random[0] = rotate(a, 24) ^ b ^ b << 16;
	h->random[1] = rotate(b, 37);
	return (out);
}

void
hub_random_id(struct hub *h, char out[HTTP_REQUEST_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned i, j;
	uint64_t v;

	for (i = 0; i < 2; i++) {
		v = random_next(h);
		for (j = 0; j < 16; j++, v >>= 4)
			out[16 * i + j] = digits[v & 15];
	}
	out[32] = '\0';
}
