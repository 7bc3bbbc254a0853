#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * Work of the application's that may block, on a worker.  Meanwhile the loop
 * leaves the exchange alone.
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
