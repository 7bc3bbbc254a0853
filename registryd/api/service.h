#ifndef API_SERVICE_H
#define API_SERVICE_H

#include "registryd/call.h"

/*
 * Handlers that are not the distribution API: is the server well, what are
 * its figures, and what registryctl asks of it over DIR/control.sock.
 */

/** health_live(c): GET /healthz: 200 "ok" while the process answers. */
RC_MUST_USE enum rc health_live(struct call *);

/**
 * health_ready(c): GET /readyz:
 * 200 "ok" when requests can be served; 503 while stopping, and after a
 * failed sync of the store.  Short of space is ready (pulls work): 200, and
 * the body says so.
 */
RC_MUST_USE enum rc health_ready(struct call *);

/**
 * metrics_show(c): GET /metrics:
 * Prometheus text.  404 on a public listener when metrics.listen names
 * another place or says "off".
 */
RC_MUST_USE enum rc metrics_show(struct call *);

/** metrics_init(): register the figures of metrics_show; before threads
 * start, once. */
void metrics_init(void);

/*
 * The control listener only (ROLE_CONTROL).
 *
 *	GET    /control/stats
 *	POST   /control/fsck?repair=BOOL&content=BOOL
 *	POST   /control/iam
 *	GET    /control/jobs/{id}?since=N
 *	DELETE /control/jobs/{id}
 */

/** control_stats(c): counts of the store and of the server, JSON. */
RC_MUST_USE enum rc control_stats(struct call *);

/**
 * control_fsck(c):
 * Start a check, or join the one that runs: 202 and the job as control_job
 * shows it, with "joined" true for a running one.  409 when the running one
 * was asked for with other options.
 */
RC_MUST_USE enum rc control_fsck(struct call *);

/** control_body_max(c): of a body to the control listener. */
uint64_t control_body_max(const struct call *);

/**
 * control_iam(c):
 * Users, keys, policies: the body is a request of auth_admin(), so is the
 * answer.  409 when the server runs without authentication.
 */
RC_MUST_USE enum rc control_iam(struct call *);

/**
 * control_job(c):
 * {"id","kind","state":"running"|"done"|"failed"|"cancelled","repair",
 * "content","progress":{...},"problems":[...],"problems_next":N,
 * "problems_dropped":N,"error"}; problems from number ${since} on.  The last
 * finished job is kept until the next begins.  404: no such job.
 */
RC_MUST_USE enum rc control_job(struct call *);

/** control_job_cancel(c): 202; the job ends soon as "cancelled". */
RC_MUST_USE enum rc control_job_cancel(struct call *);

#endif
