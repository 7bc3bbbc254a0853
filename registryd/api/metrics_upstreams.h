#ifndef API_METRICS_UPSTREAMS_H
#define API_METRICS_UPSTREAMS_H

#include "base/buf.h"

struct service;

/** metrics_upstreams(svc, out): the figures of each upstream, labelled with
 * its host. */
void metrics_upstreams(struct service *, struct buf *out);

#endif
