#ifndef REGISTRYD_DISPATCH_H
#define REGISTRYD_DISPATCH_H

#include "registryd/http/server.h"

/*
 * The way of a request through the house: router, authorize, body, handler,
 * answer; and at the end its line in the access log and its figures.
 *
 *	struct http_app app = {
 *		.request = dispatch_request,
 *		.done = dispatch_done,
 *		.refuse = dispatch_refuse,
 *		.arg = service,
 *	};
 */

/** dispatch_init(): register the figures; before threads start, once. */
void dispatch_init(void);

/* As struct http_app says; ${service} is a struct service. */
void dispatch_request(struct http_exchange *, void *service);
void dispatch_refuse(struct http_exchange *, const char *why, void *service);
void dispatch_done(
    struct http_exchange *, const struct http_outcome *, void *service);

#endif
