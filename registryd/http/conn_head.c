#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/http/conn_int.h"
#include "registryd/http/framing.h"
#include "registryd/http/response_int.h"
#include "registryd/http/target.h"

/*
 * From the first byte to the application: handshake, head, and what is
 * refused without asking it.
 */

/* Memory of one request; what is parsed, printed and kept for it. */
#define EXCHANGE_BYTES ((size_t)16 * 1024 * 1024)

/* Requests of one connection before others get their turn. */
#define TURNS_MAX 16

static struct msg *
msg_new(const struct conf *conf)
{
	struct msg *m = pages_alloc(conf->msg_bytes);

	m->magic = MSG_MAGIC;
	m->total_bytes = conf->msg_bytes;
	m->max_headers = conf->limits.headers;
	m->headers = (struct http_header *)(void *)(m + 1);
	m->bytes = (char *)(m->headers + m->max_headers);
	m->room = (size_t)((char *)m + m->total_bytes - m->bytes);
	return (m);
}

/* For the next request; bytes that are there already stay. */
static void
msg_init(struct msg *m)
{
	m->pos = 0;
	m->unjudged = false;
	m->body_in = m->body_out = 0;
	m->body_left = 0;
	m->body_ended = m->continued = false;
	m->collect = NULL;
	m->stream = NULL;
	m->job_out = m->job_back = false;
	m->warm_until = m->follow_until = 0;
	m->pages_unknown = m->complete = m->refused = false;
	head_init(&m->head, &m->x.request, m->headers);
	arena_init(&m->x.arena, EXCHANGE_BYTES);
	http_response_init(&m->x.response);
}

struct msg *
msg_take(struct hub *h)
{
	struct msg *m = h->free_msgs;

	if (m == NULL) {
		m = msg_new(h->conf);
	} else {
		h->free_msgs = m->next_free;
		h->n_free_msgs--;
		if (h->n_free_msgs < h->low_free_msgs)
			h->low_free_msgs = h->n_free_msgs;
	}
	m->n = 0;
	msg_init(m);
	return (m);
}

void
msg_release(struct hub *h, struct msg *m)
{
	OBJ_CHECK(m, MSG_MAGIC);
	if (m->total_bytes != h->conf->msg_bytes) {
		pages_free(m, m->total_bytes);
		return;
	}
	m->next_free = h->free_msgs;
	h->free_msgs = m;
	h->n_free_msgs++;
	hub_trim_later(h);
}

static void
conn_name(struct http_conn *c)
{
	if (c->has_name)
		return;
	(void)addr_text(&c->peer, c->peer_name);
	c->has_name = true;
}

/* Clients try TLS's port with plain HTTP; they get to read why that fails. */
static enum step
handshake_plain(struct http_conn *c)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
				     "Content-Type: text/plain\r\n"
				     "Content-Length: 39\r\n"
				     "Connection: close\r\n"
				     "\r\n"
				     "This port speaks HTTPS, not plain HTTP\n";

	(void)send(c->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	tls_free(&c->tls);
	c->state = CONN_DRAIN;
	return (STEP_MORE);
}

/* It was sent an alert, which the reset of a mere close would overtake. */
static enum step
handshake_refused(struct http_conn *c)
{
	conn_name(c);
	log_debug("%s: TLS handshake: %s", c->peer_name, tls_failure(c->tls));
	stat_add(&c->hub->stats.handshake_failures);
	c->state = CONN_DRAIN;
	return (STEP_MORE);
}

static enum step
handshake_failed(struct http_conn *c, bool count)
{
	if (count)
		stat_add(&c->hub->stats.handshake_failures);
	c->gone = true;
	c->state = CONN_CLOSE;
	return (STEP_MORE);
}

enum step
step_handshake(struct http_conn *c)
{
	enum tls_result r;

	if (c->gone || c->timed_out || c->hub->stopping)
		return (handshake_failed(c, c->timed_out));
	r = tls_handshake(c->tls);
	conn_keep(c, tls_heard(c->tls) ? WAIT_HEADER : WAIT_IDLE);
	switch (r) {
	case TLS_OK:
		stat_add(&c->hub->stats.handshakes);
		c->state = CONN_HEAD;
		return (STEP_MORE);
	case TLS_WANT_READ:
		return (conn_wait(c, IO_READ));
	case TLS_WANT_WRITE:
		return (conn_wait(c, IO_WRITE));
	case TLS_PLAIN:
		stat_add(&c->hub->stats.handshake_failures);
		return (handshake_plain(c));
	case TLS_FAILED:
		return (handshake_refused(c));
	case TLS_CLOSED:
		break;
	}
	return (handshake_failed(c, tls_heard(c->tls)));
}

/* What the application sees of it, before it is known to be a request. */
static void
request_init(struct http_conn *c, struct msg *m)
{
	struct http_request *rq = &m->x.request;

	conn_name(c);
	m->x.conn = c;
	m->x.app = NULL;
	m->x.role = c->hub->server->configs[c->listener].role;
	rq->path = SPAN("/");
	rq->params = NULL;
	rq->n_params = 0;
	rq->framing = HTTP_BODY_NONE;
	rq->content_length = 0;
	rq->keep_alive = false;
	rq->expect_continue = false;
	rq->host = SPAN_NONE;
	rq->tls = c->tls != NULL;
	rq->client = span_of(c->peer_name);
	rq->client_certificate = SPAN_NONE;
	if (c->tls != NULL)
		rq->client_certificate = tls_client_name(c->tls);
	hub_random_id(c->hub, rq->id);
}

/* Nothing has arrived of a next request. */
static enum step
head_idle(struct http_conn *c)
{
	if (c->msg != NULL) {
		msg_release(c->hub, c->msg);
		c->msg = NULL;
	}
	if (c->gone || c->timed_out || c->hub->stopping) {
		c->state = CONN_CLOSE;
		return (STEP_MORE);
	}
	conn_keep(c, WAIT_IDLE);
	conn_set_idle(c, true);
	return (conn_wait(c, IO_READ));
}

static enum step
head_wait(struct http_conn *c)
{
	if (c->msg->n == 0)
		return (head_idle(c));
	if (c->gone) {
		msg_release(c->hub, c->msg);
		c->msg = NULL;
		c->state = CONN_CLOSE;
		return (STEP_MORE);
	}
	if (c->timed_out) {
		c->timed_out = false;
		request_init(c, c->msg);
		return (conn_refuse(
		    c, 408, "the head of the request did not arrive in time"));
	}
	conn_keep(c, WAIT_HEADER);
	conn_set_idle(c, false);
	return (conn_wait(c, IO_READ));
}

enum step
conn_refuse(struct http_conn *c, int status, const char *why)
{
	struct http_server *s = c->hub->server;
	struct msg *m = c->msg;

	conn_disarm(c);
	m->refused = true;
	m->x.response.status = status;
	s->app.refuse(&m->x, why, s->app.arg);
	c->closing = c->unread = true;
	c->state = CONN_ANSWER;
	return (STEP_MORE);
}

static enum step
request_arrived(struct http_conn *c, struct msg *m)
{
	struct http_server *s = c->hub->server;
	struct http_request *rq = &m->x.request;
	const char *why;
	int status;

	conn_disarm(c);
	conn_set_idle(c, false);
	m->pos = m->head.length;
	status = framing_decide(rq, &why);
	if (status == 0)
		status = target_parse(rq, &m->x.arena, &why);
	if (status != 0)
		return (conn_refuse(c, status, why));
	proxy_apply(&c->hub->conf->proxies, &c->peer, rq, m->client);
	body_begin(m);
	c->state = CONN_APP;
	s->app.request(&m->x, s->app.arg);
	return (STEP_MORE);
}

static enum step
head_judge(struct http_conn *c, struct msg *m)
{
	const struct http_limits *l = &c->hub->conf->limits;
	struct head_limits limits = { l->header_bytes, l->headers,
		l->uri_bytes };

	/* After a reload the memory may be of the old size. */
	if (limits.bytes > m->room)
		limits.bytes = m->room;
	if (limits.headers > m->max_headers)
		limits.headers = m->max_headers;
	switch (head_parse(&m->head, m->bytes, m->n, &limits, &m->x.request)) {
	case HEAD_DONE:
		request_init(c, m);
		return (request_arrived(c, m));
	case HEAD_BAD:
		request_init(c, m);
		return (conn_refuse(c, m->head.status, m->head.why));
	case HEAD_MORE:
		break;
	}
	return (STEP_WAIT);
}

enum step
step_head(struct http_conn *c)
{
	struct hub *h = c->hub;
	struct msg *m = c->msg;
	enum step s = STEP_WAIT;
	size_t got;

	if (m == NULL && (!c->readable || c->dry || c->gone || c->timed_out))
		return (head_idle(c));
	if (m == NULL)
		m = c->msg = msg_take(h);
	if (m->unjudged) {
		m->unjudged = false;
		s = head_judge(c, m);
	}
	while (s == STEP_WAIT) {
		got = conn_recv(c, m->bytes + m->n, m->room - m->n);
		if (got == 0)
			return (head_wait(c));
		if (m->n == 0)
			m->start_ns = loop_now_ns(h->loop);
		m->n += got;
		s = head_judge(c, m);
	}
	return (s);
}

static void
msg_report(struct http_conn *c, struct msg *m)
{
	struct http_server *s = c->hub->server;
	struct http_outcome o = {
		.status = m->x.response.status,
		.bytes_in = m->body_in,
		.bytes_out = m->body_out,
		.duration_us = (clock_mono_ns() - m->start_ns) / 1000,
		.aborted = !m->complete,
	};

	s->app.done(&m->x, &o, s->app.arg);
}

/* Keep what has arrived of the next request, and make ready for it. */
static enum step
next_request(struct http_conn *c, struct msg *m)
{
	size_t rest = m->n - m->pos;

	c->state = CONN_HEAD;
	if (rest == 0) {
		msg_release(c->hub, m);
		c->msg = NULL;
		return (STEP_MORE);
	}
	memmove(m->bytes, m->bytes + m->pos, rest);
	m->n = rest;
	msg_init(m);
	m->unjudged = true;
	m->start_ns = loop_now_ns(c->hub->loop);
	if (++c->turns < TURNS_MAX)
		return (STEP_MORE);
	conn_kick(c);
	return (STEP_WAIT);
}

enum step
step_finish(struct http_conn *c)
{
	struct msg *m = c->msg;

	conn_disarm(c);
	follow_end(m);
	msg_report(c, m);
	if (m->x.response.body == HTTP_FILE)
		response_file_close(&m->x.response);
	arena_reset(&m->x.arena);
	if (!c->closing && !c->gone)
		return (next_request(c, m));
	/* It may have sent a next request already, if closing was our idea. */
	if (m->x.request.keep_alive || m->n > m->pos)
		c->unread = true;
	msg_release(c->hub, m);
	c->msg = NULL;
	c->state = c->unread && !c->gone ? CONN_DRAIN : CONN_CLOSE;
	return (STEP_MORE);
}
