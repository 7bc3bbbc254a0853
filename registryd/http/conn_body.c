#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * The body of a request: where it comes from (what came with the head, then
 * the socket) and how it is framed; and the gathering of small ones.
 */

/* A gathered body starts with this much memory and doubles: what a client
 * announces is not what it sends. */
#define COLLECT_FIRST_BYTES ((size_t)4 * 1024)
#define COLLECT_KNOWN_BYTES ((size_t)64 * 1024)
#define COLLECT_WIPED_BYTES ((size_t)64 * 1024)

void
body_begin(struct msg *m)
{
	const struct http_request *rq = &m->x.request;

	m->body_ended = rq->framing == HTTP_BODY_NONE;
	m->body_left = 0;
	if (rq->framing == HTTP_BODY_LENGTH)
		m->body_left = rq->content_length;
	if (rq->framing == HTTP_BODY_CHUNKED)
		chunked_init(&m->chunked);
	m->continued = !rq->expect_continue;
}

/*
 * 25 bytes into an empty socket: either they all go or the connection is not
 * worth saving.  Not needed when the client has not waited.
 */
void
body_continue(struct http_conn *c)
{
	static const struct span go_on = { "HTTP/1.1 100 Continue\r\n\r\n",
		25 };
	struct msg *m = c->msg;

	if (m->continued)
		return;
	m->continued = true;
	if (m->pos == m->n && !c->gone &&
	    conn_send(c, &go_on, 1, false) != go_on.n)
		c->gone = true;
}

/* Of what came with the head. */
static size_t
take_early(struct msg *m, char *p, size_t n)
{
	if (n > m->n - m->pos)
		n = m->n - m->pos;
	memcpy(p, m->bytes + m->pos, n);
	m->pos += n;
	return (n);
}

static size_t
take(struct http_conn *c, char *p, size_t n)
{
	struct msg *m = c->msg;

	return (m->pos < m->n ? take_early(m, p, n) : conn_recv(c, p, n));
}

static enum body_result
read_length(struct http_conn *c, char *p, size_t room, size_t *n_r)
{
	struct msg *m = c->msg;

	if (room > m->body_left)
		room = (size_t)m->body_left;
	*n_r = take(c, p, room);
	if (*n_r == 0)
		return (c->gone ? BODY_GONE : BODY_WAIT);
	m->body_left -= *n_r;
	m->body_in += *n_r;
	m->body_ended = m->body_left == 0;
	return (BODY_DATA);
}

/*
 * Bytes behind the end of the body belong to the next request and go to where
 * that will look for them.  Should there not be room for all, this is the last
 * request: who pipelines has to be ready for that.
 */
static void
give_back(struct http_conn *c, const char *p, size_t n)
{
	struct msg *m = c->msg;

	if (n > m->room - m->n) {
		c->closing = c->unread = true;
		return;
	}
	memcpy(m->bytes + m->n, p, n);
	m->n += n;
}

static enum body_result
read_chunked(struct http_conn *c, char *p, size_t room, size_t *n_r)
{
	struct msg *m = c->msg;
	bool early = m->pos < m->n;
	enum chunked_result r;
	size_t n, used;

	n = take(c, p, room);
	if (n == 0)
		return (c->gone ? BODY_GONE : BODY_WAIT);
	r = chunked_decode(&m->chunked, p, n, &used, n_r);
	m->body_in += *n_r;
	if (r == CHUNKED_BAD)
		return (BODY_BAD);
	m->body_ended = r == CHUNKED_END;
	if (used < n && early)
		m->pos -= n - used;
	else if (used < n)
		give_back(c, p + used, n - used);
	return (BODY_DATA);
}

enum body_result
body_read(struct http_conn *c, char *p, size_t room, size_t *n_r)
{
	struct msg *m = c->msg;

	*n_r = 0;
	if (m->body_ended)
		return (BODY_END);
	if (m->x.request.framing == HTTP_BODY_LENGTH)
		return (read_length(c, p, room, n_r));
	return (read_chunked(c, p, room, n_r));
}

bool
body_whole(struct http_conn *c, struct span *body_r)
{
	struct msg *m = c->msg;

	*body_r = (struct span){ m->bytes + m->pos, 0 };
	if (m->body_ended)
		return (true);
	if (m->x.request.framing != HTTP_BODY_LENGTH ||
	    m->body_left > m->n - m->pos)
		return (false);
	body_r->n = (size_t)m->body_left;
	m->pos += body_r->n;
	m->body_in += body_r->n;
	m->body_left = 0;
	m->body_ended = true;
	return (true);
}

bool
body_skip(struct http_conn *c)
{
	struct msg *m = c->msg;
	struct span whole;
	size_t used, data;

	if (body_whole(c, &whole))
		return (true);
	if (m->x.request.framing != HTTP_BODY_CHUNKED || m->pos == m->n)
		return (false);
	if (chunked_decode(&m->chunked, m->bytes + m->pos, m->n - m->pos, &used,
		&data) != CHUNKED_END)
		return (false);
	m->pos += used;
	m->body_in += data;
	m->body_ended = true;
	return (true);
}

static void
collect_free(void *arg)
{
	struct collect *k = arg;

	atomic_fetch_sub(&k->server->gathered_bytes, k->room);
	/* Short ones may be forms with a password in them. */
	if (k->p != NULL && k->room <= COLLECT_WIPED_BYTES)
		mem_wipe(k->p, k->room);
	free(k->p);
}

void
http_exchange_collect(
    struct http_exchange *x, size_t max_bytes, http_body_fn *fn)
{
	struct msg *m = msg_of(x);

	OBJ_CHECK(m, MSG_MAGIC);
	m->body_fn = fn;
	m->body_max = max_bytes;
	conn_go(x->conn, CONN_COLLECT);
}

static enum step
collect_end(struct http_conn *c, enum rc rc, struct span body)
{
	struct msg *m = c->msg;

	conn_disarm(c);
	c->timed_out = false;
	c->state = CONN_APP;
	m->body_fn(&m->x, rc, body);
	return (STEP_MORE);
}

static enum step
collect_fail(struct http_conn *c, enum rc rc)
{
	return (collect_end(c, rc, SPAN_NONE));
}

/* May ${n} more bytes be gathered, with those of all others? */
static bool
collect_admit(struct collect *k, const struct http_conn *c, size_t n)
{
	uint64_t max = c->hub->conf->limits.gathered_bytes;
	uint64_t all = atomic_fetch_add(&k->server->gathered_bytes, n) + n;

	if (max == 0 || all <= max)
		return (true);
	atomic_fetch_sub(&k->server->gathered_bytes, n);
	return (false);
}

/* The length is not known, or not believed: make room as it comes. */
static bool
collect_grow(struct collect *k, const struct http_conn *c)
{
	const struct msg *m = c->msg;
	size_t room = k->room > 0 ? 2 * k->room : COLLECT_FIRST_BYTES;

	if (k->room == 0 && m->body_left > 0)
		room = COLLECT_KNOWN_BYTES;
	/* Chunks are decoded in place: leave some room for their frames. */
	if (room > k->max + COLLECT_FIRST_BYTES)
		room = k->max + COLLECT_FIRST_BYTES;
	if (m->body_left > 0 && room > k->n + m->body_left)
		room = k->n + (size_t)m->body_left;
	if (!collect_admit(k, c, room - k->room))
		return (false);
	k->p = xrealloc(k->p, room);
	k->room = room;
	return (true);
}

static struct collect *
collect_new(struct http_conn *c)
{
	struct msg *m = c->msg;
	struct collect *k;

	k = arena_calloc(&m->x.arena, 1, sizeof(*k));
	if (k == NULL)
		wrong("an arena too small for its own");
	k->server = c->hub->server;
	k->max = (size_t)m->body_max;
	arena_defer(&m->x.arena, collect_free, k);
	return (k);
}

/* Read on; what remains to be decided when no more can be had. */
static enum body_result
collect_more(struct http_conn *c, struct collect *k)
{
	enum body_result r;
	size_t got;

	do {
		if (k->n == k->room && !c->msg->body_ended &&
		    !collect_grow(k, c))
			return (BODY_FULL);
		r = body_read(c, k->p + k->n, k->room - k->n, &got);
		k->n += got;
		if (got > 0)
			conn_arm(c, WAIT_BODY);
	} while (r == BODY_DATA && k->n <= k->max);
	return (r);
}

enum step
step_collect(struct http_conn *c)
{
	struct msg *m = c->msg;
	struct collect *k = m->collect;
	enum body_result r;
	struct span whole;

	if (k == NULL) {
		if (m->body_left > m->body_max)
			return (collect_fail(c, RC_TOOBIG));
		if (body_whole(c, &whole))
			return (collect_end(c,
			    whole.n <= m->body_max ? RC_OK : RC_TOOBIG, whole));
		k = m->collect = collect_new(c);
		body_continue(c);
	}
	if (c->timed_out)
		return (collect_fail(c, RC_TIMEOUT));
	r = collect_more(c, k);
	if (k->n > k->max)
		return (collect_fail(c, RC_TOOBIG));
	switch (r) {
	case BODY_END:
		return (collect_end(c, RC_OK, (struct span){ k->p, k->n }));
	case BODY_BAD:
		return (collect_fail(c, RC_INVALID));
	case BODY_GONE:
		return (collect_fail(c, RC_CANCELLED));
	case BODY_FULL:
		return (collect_fail(c, RC_LIMIT));
	case BODY_DATA:
	case BODY_WAIT:
		break;
	}
	conn_keep(c, WAIT_BODY);
	return (conn_wait(c, IO_READ));
}
