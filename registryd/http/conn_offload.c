#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * Work of the application's that may block, on a worker; or nothing at all,
 * until somebody else wakes the exchange.  Meanwhile the loop leaves it alone,
 * also when its client has gone: whoever has it may still write to it.
 */

/* On a worker. */
static void
job_work(void *arg)
{
	struct msg *m = arg;

	OBJ_CHECK(m, MSG_MAGIC);
	m->work(&m->x);
}

/* On a worker. */
static void
job_after(void *arg)
{
	struct msg *m = arg;

	loop_post(m->x.conn->hub->loop, &m->job_done);
}

static void
on_job_done(void *arg)
{
	struct msg *m = arg;

	OBJ_CHECK(m, MSG_MAGIC);
	m->job_back = true;
	conn_run(m->x.conn);
}

void
msg_submit(struct msg *m, struct workers *w, http_exchange_fn *work)
{
	must(!m->job_out);
	m->job_out = true;
	m->job_back = false;
	m->work = work;
	m->job = (struct job){ .fn = job_work, .after = job_after, .arg = m };
	m->job_done = (struct loop_task){ .fn = on_job_done, .arg = m };
	workers_submit(w, &m->job);
}

void
msg_park(struct msg *m)
{
	must(!m->job_out);
	m->job_out = true;
	m->job_back = false;
	m->job_done = (struct loop_task){ .fn = on_job_done, .arg = m };
	atomic_fetch_add(&m->x.conn->hub->server->parked, 1);
}

void
msg_unpark(struct msg *m)
{
	must(m->job_out && !m->job_back);
	m->job_out = false;
	atomic_fetch_sub(&m->x.conn->hub->server->parked, 1);
}

bool
msg_job_returned(struct msg *m)
{
	if (!m->job_back)
		return (false);
	m->job_out = m->job_back = false;
	return (true);
}

void
http_exchange_offload(
    struct http_exchange *x, http_exchange_fn *work, http_exchange_fn *then)
{
	struct msg *m = msg_of(x);

	OBJ_CHECK(m, MSG_MAGIC);
	m->then = then;
	m->work = work;
	conn_go(x->conn, CONN_OFFLOAD);
}

/* The job goes out from here, and not from the call: until the application's
 * function has returned the exchange is still in its hands. */
enum step
step_offload(struct http_conn *c)
{
	struct msg *m = c->msg;

	conn_disarm(c);
	if (!m->job_out) {
		msg_submit(m, c->hub->server->workers, m->work);
		return (STEP_WAIT);
	}
	if (!msg_job_returned(m))
		return (STEP_WAIT);
	c->state = CONN_APP;
	m->then(&m->x);
	return (STEP_MORE);
}

void
http_exchange_wait(struct http_exchange *x, http_exchange_fn *then)
{
	struct msg *m = msg_of(x);

	OBJ_CHECK(m, MSG_MAGIC);
	m->then = then;
	msg_park(m);
	conn_go(x->conn, CONN_PARKED);
}

/* Any thread.  Once it was posted the exchange may end, and the server with it,
 * but for the loop, in which this thread still is: see server.c. */
void
http_exchange_wake(struct http_exchange *x)
{
	struct http_server *s = x->conn->hub->server;
	struct msg *m = msg_of(x);

	OBJ_CHECK(m, MSG_MAGIC);
	loop_post(x->conn->hub->loop, &m->job_done);
	atomic_fetch_sub(&s->parked, 1);
}

enum step
step_parked(struct http_conn *c)
{
	struct msg *m = c->msg;

	conn_disarm(c);
	if (!msg_job_returned(m))
		return (STEP_WAIT);
	c->state = CONN_APP;
	m->then(&m->x);
	return (STEP_MORE);
}
