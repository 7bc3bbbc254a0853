#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "base/arena.h"
#include "base/rc.h"
#include "registryd/http/request.h"
#include "registryd/http/response.h"

/*
 * One request and its answer, as the layer above the wire sees them.
 *
 * When the head has arrived the server calls the application once, on the
 * connection's loop.  The application then drives the exchange with the calls
 * below, one outstanding at a time, and ends it with http_exchange_respond(),
 * exactly once.  Every callback runs on the connection's loop, is called
 * exactly once, and never before the call that asked for it has returned,
 * also when the client is long gone: so an application's state unwinds
 * on one straight path.  http_exchange_respond() to a client that is gone does
 * nothing but end the exchange.
 *
 * Body bytes not asked for when the answer is given are drained (up to 1 MiB
 * or 1 s) or the connection is closed; "100 Continue" is sent when the body
 * is first asked for, so that a refusal comes before it.
 */
struct http_conn;

struct http_exchange {
	struct http_request request;
	struct http_response response; /* the application fills it in */
	struct arena arena; /* memory of the request; reset at its end */
	void *app;	    /* the application's, free to use */
	int role;	    /* of the listener, see server.h */
	struct http_conn *conn;
};

/** http_exchange_respond(x): send x->response.  Loop only; the last call. */
void http_exchange_respond(struct http_exchange *);

typedef void http_exchange_fn(struct http_exchange *);
typedef void http_body_fn(struct http_exchange *, enum rc, struct span body);

/**
 * http_exchange_collect(x, max_bytes, fn):
 * Gather the body in memory that ends with the exchange; then ${fn}.
 * RC_TOOBIG: more than ${max_bytes} (announced or received).  RC_INVALID: bad
 * chunked framing.  RC_CANCELLED: the client is gone.  RC_TIMEOUT: too slow.
 * RC_LIMIT: bodies of others fill the memory there is for them.
 */
void http_exchange_collect(
    struct http_exchange *, size_t max_bytes, http_body_fn *fn);

/*
 * Where a streamed body goes.  write() runs on a worker, in order, never two
 * at a time for one exchange; what it returns other than RC_OK ends the
 * stream with that code.
 */
struct http_sink {
	enum rc (*write)(void *arg, const void *p, size_t n_bytes);
	void *arg;
};

/**
 * http_exchange_stream(x, sink, max_bytes, fn):
 * Pass the body to ${sink} as it arrives, in pieces of at most 256 KiB out of
 * a pool that all uploads share; a slow sink stops reading the socket.  When
 * all is written, or nothing more will be, ${fn} gets RC_OK or what ended it
 * (as collect, or the sink's code); ${body} is empty.  ${max_bytes} 0: no
 * limit.  After RC_CANCELLED or RC_TIMEOUT all that arrived has been written.
 */
void http_exchange_stream(struct http_exchange *, const struct http_sink *,
    uint64_t max_bytes, http_body_fn *fn);

/**
 * http_exchange_offload(x, work, then):
 * Run ${work} on a worker, where it may block; then ${then} on the loop.
 */
void http_exchange_offload(
    struct http_exchange *, http_exchange_fn *work, http_exchange_fn *then);

/**
 * http_exchange_wait(x, then), http_exchange_wake(x):
 * Nothing to do until somebody else wakes it: then ${then} on the loop.  Wake
 * exactly once for each wait, from any thread, also on the loop before the
 * function that waits has returned; the exchange stays until then, even if the
 * client is gone.
 */
void http_exchange_wait(struct http_exchange *, http_exchange_fn *then);
void http_exchange_wake(struct http_exchange *);

#endif
