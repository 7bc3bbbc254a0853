#ifndef REGISTRYD_TRAFFIC_H
#define REGISTRYD_TRAFFIC_H

#include "base/buf.h"
#include "registryd/http/server.h"

/*
 * Figures of the requests answered: how many by route, method and status, how
 * long they took by route, how many bytes their bodies had.  A request that no
 * row of the table took counts as route "none".
 */
struct route;

/** traffic_init(): before threads start, once. */
void traffic_init(void);

/** traffic_count(route, request, outcome): ${route} may be NULL.  Any
 * thread. */
void traffic_count(const struct route *, const struct http_request *,
    const struct http_outcome *);

/** traffic_render(out): what metric_render() does not show: the counts by
 * route and status, of which only those that occurred are written. */
void traffic_render(struct buf *out);

#endif
