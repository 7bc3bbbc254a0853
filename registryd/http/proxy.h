#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "registryd/http/request.h"
#include "registryd/net/addr.h"

/*
 * What a proxy that we trust says about its client.
 */
struct proxies {
	struct cidr *list;
	size_t n;
};

/** proxies_init(p, cidrs, n, bad_r): RC_INVALID: *${bad_r} is not a network;
 * then there is nothing to free. */
RC_MUST_USE enum rc proxies_init(
    struct proxies *, const struct span *cidrs, size_t n, struct span *bad_r);
void proxies_free(struct proxies *);

bool proxies_trust(const struct proxies *, const struct addr *);

/**
 * proxy_apply(p, peer, rq, client):
 * If ${peer} is trusted, take host and tls of ${rq} from X-Forwarded-Host and
 * -Proto (their first element, as proxies in a row pass it on), and the
 * client from X-Forwarded-For: the last address in it that is not a trusted
 * proxy itself, because what stands before that is hearsay.  rq->client then
 * points to ${client}.  The certificate that such a peer proved is the proxy's
 * and no client's, so rq->client_certificate is cleared.
 */
void proxy_apply(const struct proxies *, const struct addr *peer,
    struct http_request *rq, char client[ADDR_TEXT_BYTES]);

#endif
