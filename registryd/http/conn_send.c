#include <string.h>

#include "base/obj.h"
#include "registryd/http/conn_int.h"
#include "registryd/http/response_int.h"

/*
 * The answer: its head and a small body go out with one call from memory that
 * all connections of the loop share; only what the kernel did not take at once
 * is kept for the connection.
 */

/* A body that is copied behind the head, to go out in one piece. */
#define TOGETHER_BYTES ((size_t)16 * 1024)

void
http_exchange_respond(struct http_exchange *x)
{
	OBJ_CHECK(msg_of(x), MSG_MAGIC);
	conn_go(x->conn, CONN_ANSWER);
}

/*
 * Will there be a next request?  Not if something of this one has not arrived
 * yet: nobody wants to read it any more.
 */
static bool
answer_is_last(struct http_conn *c, struct msg *m)
{
	if (!m->refused && !body_skip(c))
		c->closing = c->unread = true;
	return (c->closing || !m->x.request.keep_alive || m->x.response.close ||
		c->hub->stopping);
}

/* As much of a body in memory as fits behind the head. */
static void
out_body(struct out *o, struct span body, size_t room)
{
	size_t n = body.n;

	if (n > TOGETHER_BYTES || n > room)
		n = 0;
	if (n > 0)
		memcpy((char *)(uintptr_t)o->head.p + o->head.n, body.p, n);
	o->head.n += n;
	o->rest = (struct span){ body.p + n, body.n - n };
}

/* False: there is no memory for the head. */
static bool
out_begin(struct http_conn *c, struct msg *m)
{
	struct http_response *rs = &m->x.response;
	struct response_frame frame = {
		.date = hub_date(c->hub),
		.id = m->x.request.id,
		.close = c->closing,
		.keep_alive = m->x.request.minor_version == 0,
		.head = m->x.request.method == HTTP_HEAD,
	};
	size_t room = response_head_room(rs);
	struct out *o = &m->out;
	char *p = c->hub->scratch;

	o->in_scratch = room <= SCRATCH_BYTES;
	if (!o->in_scratch)
		p = arena_alloc(&m->x.arena, room);
	if (p == NULL)
		return (false);
	o->head = (struct span){ p, response_head_write(rs, &frame, p) };
	o->rest = SPAN_NONE;
	if (rs->body == HTTP_MEMORY && !frame.head && rs->bytes.n > 0)
		out_body(o, rs->bytes,
		    o->in_scratch ? SCRATCH_BYTES - o->head.n : 0);
	m->body_out = frame.head ? 0 : response_body_length(rs);
	return (true);
}

/* The file is not to be sent: it answers HEAD, or is empty. */
static void
out_no_file(struct msg *m)
{
	struct http_response *rs = &m->x.response;

	if (rs->body != HTTP_FILE)
		return;
	if (rs->length > 0 && m->x.request.method != HTTP_HEAD)
		return;
	response_file_close(rs);
	rs->body = HTTP_NO_BODY;
	follow_end(m);
}

enum step
step_answer(struct http_conn *c)
{
	struct msg *m = c->msg;

	m->out = (struct out){ 0 };
	m->body_out = 0;
	c->closing = answer_is_last(c, m);
	if (c->gone || !out_begin(c, m)) {
		c->gone = true;
		c->state = CONN_FINISH;
		return (STEP_MORE);
	}
	out_no_file(m);
	c->state = CONN_SEND;
	return (STEP_MORE);
}

static void
out_taken(struct out *o, size_t n)
{
	size_t of_head = n < o->head.n ? n : o->head.n;

	o->head.p += of_head;
	o->head.n -= of_head;
	n -= of_head;
	if (n > 0) {
		o->rest.p += n;
		o->rest.n -= n;
	}
}

/* What is left must not stay in memory that others use next. */
static void
out_keep(struct http_conn *c, struct msg *m)
{
	struct out *o = &m->out;

	if (!o->in_scratch)
		return;
	o->in_scratch = false;
	o->head = arena_span(&m->x.arena, o->head);
	if (o->head.p == NULL)
		c->gone = true;
}

/* True: all is with the kernel, or never will be. */
static bool
out_push(struct http_conn *c, struct msg *m)
{
	const struct http_response *rs = &m->x.response;
	/* The first bytes of a file that is being written may take a while. */
	bool more = rs->body == HTTP_FILE && rs->follow == NULL;
	struct out *o = &m->out;
	struct span parts[2];
	size_t n;

	while (o->head.n + o->rest.n > 0) {
		parts[0] = o->head;
		parts[1] = o->rest;
		n = conn_send(c, parts, 2, more);
		if (c->gone)
			return (true);
		if (n == 0 && !c->writable) {
			out_keep(c, m);
			return (c->gone);
		}
		if (n > 0 && !o->in_scratch)
			conn_arm(c, WAIT_BODY); /* progress */
		out_taken(o, n);
	}
	return (true);
}

enum step
step_send(struct http_conn *c)
{
	struct msg *m = c->msg;

	if (c->timed_out)
		c->gone = true;
	if (!c->gone && !out_push(c, m)) {
		conn_keep(c, WAIT_BODY);
		return (conn_wait(c, IO_WRITE));
	}
	c->state = CONN_FINISH;
	if (!c->gone && m->x.response.body == HTTP_FILE)
		c->state = CONN_FILE;
	else
		m->complete = !c->gone;
	return (STEP_MORE);
}
