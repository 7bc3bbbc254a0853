#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "registryd/http/exchange.h"

/*
 * The HTTP/1.1 server: loops, listeners, workers, connections.  It knows
 * nothing of registries; an application hangs on it by two functions.
 */
struct http_server;

/* Everything that a client can size.  Zero means "no limit" only where said. */
struct http_limits {
	size_t header_bytes; /* request line and headers together */
	size_t headers;
	size_t uri_bytes;
	unsigned connections;
	unsigned connections_per_address; /* 0: no limit of its own */
	int64_t idle_ms;		  /* between requests */
	int64_t header_ms; /* from the first byte (or TLS hello) to the end of
			      the head */
	int64_t body_ms;   /* without progress, in or out */
	uint64_t gathered_bytes; /* of all bodies gathered in memory; 0: no
				    limit */
	unsigned upload_buffers; /* of 256 KiB, shared by all bodies */
};

struct http_listener_config {
	const char *address; /* "127.0.0.1:5000", "[::1]:0", "unix:PATH" */
	int role;	     /* handed to the application with each exchange */
	bool tls;
	const char *cert_file, *key_file; /* PEM */
	const char *client_ca_file;	  /* PEM: TLS only for those who prove a
				       certificate of one of these; NULL: no
				       certificate is asked for */
	bool same_user_only; /* unix: peers of our uid, or root (SO_PEERCRED) */
};

/* How an exchange ended, for logs and figures. */
struct http_outcome {
	int status; /* sent or, when the head could not be parsed, refused */
	uint64_t bytes_in, bytes_out; /* of bodies */
	int64_t duration_us;	      /* from the first byte of the head */
	bool aborted; /* the client did not get the whole answer */
};

struct http_app {
	/** A head has arrived.  On its loop; see exchange.h. */
	void (*request)(struct http_exchange *, void *arg);
	/** The exchange is over.  On its loop.  Requests that were refused by
	 * the parser come here too, with what could be parsed. */
	void (*done)(
	    struct http_exchange *, const struct http_outcome *, void *arg);
	/** Fill in response for a request the wire refuses (parser, limits):
	 * status is set, ${why} says what was wrong.  On its loop. */
	void (*refuse)(struct http_exchange *, const char *why, void *arg);
	void *arg;
};

struct http_server_config {
	const struct http_listener_config *listeners;
	size_t n_listeners;
	unsigned loops;	  /* 0: one per core */
	unsigned workers; /* threads that may block; started as needed */
	struct http_limits limits;
	const struct span *trusted_proxies; /* CIDRs; "unix": UNIX sockets */
	size_t n_trusted_proxies;
	struct http_app app;
};

#define HTTP_WHY_BYTES 512

/**
 * http_server_start(config, why, server_r):
 * Bind, load certificates, start the threads.  ${config} is copied.
 * RC_INVALID, RC_BUSY (address in use), RC_DENIED, RC_LIMIT (the descriptor
 * limit cannot carry the connections): ${why} names the listener or file.
 * A socket file that a dead process left is taken over.
 */
RC_MUST_USE enum rc http_server_start(const struct http_server_config *,
    char why[HTTP_WHY_BYTES], struct http_server **server_r);

/** http_server_url(s, i): of listener ${i} as bound, "http://127.0.0.1:40123",
 * "https://[::1]:5000", "unix:PATH"; lives with the server. */
const char *http_server_url(const struct http_server *, size_t i);

/** http_server_reload(s, config, why): new limits, proxies and certificates
 * for what comes next; listeners stay.  On failure all stays as it was. */
RC_MUST_USE enum rc http_server_reload(struct http_server *,
    const struct http_server_config *, char why[HTTP_WHY_BYTES]);

/** http_server_stop(s, timeout_ms): accept no more, close what is idle, let
 * requests in flight finish for ${timeout_ms}, then cut them; join all threads
 * and free.  Exchanges that wait to be woken are waited for however long that
 * takes.  Takes NULL. */
void http_server_stop(struct http_server **, int64_t timeout_ms);

struct http_server_stats {
	unsigned connections, connections_idle;
	unsigned uploads_streaming, buffers_used, buffers_waiting;
	unsigned worker_queue;
	uint64_t accepted, refused_limit, tls_handshakes, tls_failures;
};
void
http_server_stats(const struct http_server *, struct http_server_stats *st_r);

#endif
