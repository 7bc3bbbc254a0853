#include <string.h>

#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * A body on its way to a sink.
 *
 * Bytes are received straight into a buffer of the pool; a full buffer goes to
 * the upload's lane, where a worker gives it to the sink, while the socket
 * fills the next.  Two buffers at most: if both are with the worker, or the
 * pool has none, the socket is not read, and TCP tells the client.
 *
 * Buffers are few and clients may be slow, so nobody may sit on one.  A buffer
 * that fills slowly is sent off when somebody else waits for one, or after a
 * quarter of a second; and who comes to wait says so to all loops
 * (hub_press_all()).  The pool serves first come, first served.
 *
 * A body that came with its head is written from where it lies.
 *
 * Only the loop touches the struct; the worker sees a slot, between its
 * submission and its return, and the sink's result, which only lane jobs
 * touch, one at a time.
 */
#define SLOTS 2

struct slot {
	struct stream *stream;
	struct job job;
	struct loop_task back;
	void *buffer; /* of the pool; or NULL: not ours */
	struct span bytes;
	bool out;   /* with the worker */
	enum rc rc; /* the sink's, of this and all before */
};

struct stream {
	struct http_conn *c;
	struct http_sink sink;
	struct lane lane;
	enum rc sink_rc; /* of the lane's jobs */
	enum rc seen_rc; /* what came back of it */
	enum rc end;	 /* why reading ended */
	bool begun, ended;
	bool waiting; /* for a buffer */
	char *buffer; /* being filled, or NULL */
	size_t fill;
	unsigned n_out;
	struct slot slots[SLOTS];
	struct bufpool_wait wait;
	struct deadline flush;
};

static struct bufpool *
pool_of(const struct stream *s)
{
	return (s->c->hub->server->buffers);
}

/* On a worker. */
static void
slot_work(void *arg)
{
	struct slot *slot = arg;
	struct stream *s = slot->stream;

	if (s->sink_rc == RC_OK)
		s->sink_rc =
		    s->sink.write(s->sink.arg, slot->bytes.p, slot->bytes.n);
	slot->rc = s->sink_rc;
}

/* On a worker. */
static void
slot_after(void *arg)
{
	struct slot *slot = arg;

	loop_post(slot->stream->c->hub->loop, &slot->back);
}

static void
buffer_give(struct stream *s, void *buffer)
{
	bufpool_give(pool_of(s), buffer);
	hub_trim_later(s->c->hub);
}

/* The next buffer to fill, if this stream needs one and nobody else does. */
static void
slot_reuse(struct stream *s, void *buffer)
{
	if (buffer == NULL)
		return;
	if (s->buffer == NULL && !s->ended && !s->waiting &&
	    !bufpool_contended(pool_of(s)))
		s->buffer = buffer;
	else
		buffer_give(s, buffer);
}

static void
on_slot_back(void *arg)
{
	struct slot *slot = arg;
	struct stream *s = slot->stream;

	slot->out = false;
	s->n_out--;
	if (s->seen_rc == RC_OK)
		s->seen_rc = slot->rc;
	slot_reuse(s, slot->buffer);
	slot->buffer = NULL;
	conn_run(s->c);
}

static void
slot_submit(struct stream *s, void *buffer, struct span bytes)
{
	struct slot *slot = s->slots[0].out ? &s->slots[1] : &s->slots[0];

	must(!slot->out);
	slot->out = true;
	slot->buffer = buffer;
	slot->bytes = bytes;
	s->n_out++;
	lane_submit(&s->lane, &slot->job);
}

/* Send off what has been gathered. */
static void
stream_flush(struct stream *s)
{
	char *buffer = s->buffer;

	deadline_clear(&s->flush);
	s->buffer = NULL;
	if (s->fill > 0)
		slot_submit(s, buffer, (struct span){ buffer, s->fill });
	else if (buffer != NULL)
		buffer_give(s, buffer);
	s->fill = 0;
}

void
stream_flush_due(struct deadline *d, void *hub)
{
	struct stream *s =
	    (struct stream *)(void *)((char *)d -
				      offsetof(struct stream, flush));

	(void)hub;
	stream_flush(s);
	conn_run(s->c);
}

static void
on_buffer(void *arg)
{
	struct stream *s = arg;

	s->waiting = false;
	s->buffer = s->wait.buffer;
	conn_run(s->c);
}

/* A buffer to fill; false: wait for one, or for a slot. */
static bool
buffer_take(struct stream *s)
{
	bool press;

	if (s->buffer != NULL)
		return (true);
	if (s->waiting || s->n_out == SLOTS)
		return (false);
	/* As long as somebody waits nobody begins to sit on a buffer. */
	press = !bufpool_contended(pool_of(s));
	s->wait.loop = s->c->hub->loop;
	s->wait.task = (struct loop_task){ .fn = on_buffer, .arg = s };
	s->buffer = bufpool_take(pool_of(s), &s->wait);
	if (s->buffer != NULL)
		return (true);
	s->waiting = true;
	if (press)
		hub_press_all(s->c->hub->server);
	return (false);
}

static void
stream_end(struct stream *s, enum rc rc)
{
	s->ended = true;
	s->end = rc;
}

static void
slot_init(struct stream *s, struct slot *slot)
{
	slot->stream = s;
	slot->job =
	    (struct job){ .fn = slot_work, .after = slot_after, .arg = slot };
	slot->back = (struct loop_task){ .fn = on_slot_back, .arg = slot };
}

void
http_exchange_stream(struct http_exchange *x, const struct http_sink *sink,
    uint64_t max_bytes, http_body_fn *fn)
{
	struct msg *m = msg_of(x);
	struct stream *s;

	OBJ_CHECK(m, MSG_MAGIC);
	s = arena_calloc(&x->arena, 1, sizeof(*s));
	if (s == NULL)
		wrong("an arena too small for its own");
	s->c = x->conn;
	s->sink = *sink;
	lane_init(&s->lane, x->conn->hub->server->lanes);
	slot_init(s, &s->slots[0]);
	slot_init(s, &s->slots[1]);
	m->stream = s;
	m->body_fn = fn;
	m->body_max = max_bytes > 0 ? max_bytes : UINT64_MAX;
	atomic_fetch_add_explicit(
	    &x->conn->hub->stats.streaming, 1, memory_order_relaxed);
	conn_go(x->conn, CONN_STREAM);
}

/* Before the first byte is taken. */
static void
stream_begin(struct stream *s)
{
	struct http_conn *c = s->c;
	struct msg *m = c->msg;
	struct span whole;

	if (m->body_left > m->body_max) {
		stream_end(s, RC_TOOBIG);
	} else if (body_whole(c, &whole)) {
		if (whole.n > 0)
			slot_submit(s, NULL, whole);
		stream_end(s, RC_OK);
	} else {
		body_continue(c);
	}
}

/* One piece of the body into the buffer. */
static enum body_result
stream_fill(struct stream *s)
{
	struct http_conn *c = s->c;
	enum body_result r;
	size_t got;

	r = body_read(
	    c, s->buffer + s->fill, BUFPOOL_BUFFER_BYTES - s->fill, &got);
	s->fill += got;
	if (got > 0)
		conn_arm(c, WAIT_BODY);
	if (r == BODY_END)
		stream_end(s, RC_OK);
	else if (r == BODY_BAD)
		stream_end(s, RC_INVALID);
	else if (r == BODY_GONE)
		stream_end(s, RC_CANCELLED);
	if (c->msg->body_in > c->msg->body_max) {
		s->fill -= got;
		stream_end(s, RC_TOOBIG);
	}
	return (r);
}

/* The socket has run dry, or we may not read it now. */
static void
stream_settle(struct stream *s)
{
	struct hub *h = s->c->hub;

	if (s->buffer == NULL)
		return;
	if (s->fill == 0 || bufpool_contended(pool_of(s)))
		stream_flush(s);
	else if (s->flush.next == NULL)
		deadline_set(h->deadlines, &s->flush, WAIT_FLUSH);
}

/*
 * Read while there is something to read and somewhere to put it; but no more
 * than a buffer in a turn of the loop, because others have sockets too.
 */
static enum step
stream_read(struct stream *s)
{
	struct http_conn *c = s->c;
	size_t before = c->msg->body_in;

	while (!s->ended && buffer_take(s)) {
		if (stream_fill(s) == BODY_WAIT) {
			stream_settle(s);
			conn_keep(c, WAIT_BODY);
			return (conn_wait(c, IO_READ));
		}
		if (s->fill == BUFPOOL_BUFFER_BYTES)
			stream_flush(s);
		if (!s->ended &&
		    c->msg->body_in - before >= BUFPOOL_BUFFER_BYTES) {
			conn_kick(c);
			return (STEP_WAIT);
		}
	}
	/* It is us that the client waits for. */
	conn_disarm(c);
	return (STEP_WAIT);
}

/* Reading is over; all that was read is to be written. */
static enum step
stream_finish(struct stream *s)
{
	struct http_conn *c = s->c;
	struct msg *m = c->msg;
	enum rc rc;

	conn_disarm(c);
	if (s->buffer != NULL)
		stream_flush(s);
	if (s->n_out > 0 || s->waiting)
		return (STEP_WAIT);
	rc = s->end != RC_OK ? s->end : s->seen_rc;
	m->stream = NULL;
	c->timed_out = false;
	c->state = CONN_APP;
	atomic_fetch_sub_explicit(
	    &c->hub->stats.streaming, 1, memory_order_relaxed);
	m->body_fn(&m->x, rc, SPAN_NONE);
	return (STEP_MORE);
}

enum step
step_stream(struct http_conn *c)
{
	struct stream *s = c->msg->stream;
	enum step step = STEP_WAIT;

	if (!s->begun) {
		s->begun = true;
		stream_begin(s);
	}
	if (!s->ended && s->seen_rc != RC_OK)
		stream_end(s, s->seen_rc);
	if (!s->ended && c->timed_out)
		stream_end(s, RC_TIMEOUT);
	if (!s->ended)
		step = stream_read(s);
	if (s->ended)
		return (stream_finish(s));
	return (step);
}
