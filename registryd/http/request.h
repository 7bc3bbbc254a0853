#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/*
 * A request as it was parsed: the head only.  All spans live as long as the
 * exchange that the request belongs to.
 */
enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_METHOD_OTHER, /* see method_text */
};

struct http_header {
	struct span name;
	struct span value; /* OWS trimmed */
};

struct http_param {
	struct span key;   /* decoded */
	struct span value; /* decoded */
};

/* How the body is delimited (RFC 9112 section 6.3), decided once. */
enum http_framing { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED };

#define HTTP_REQUEST_ID_BYTES 33 /* 32 hex digits and a NUL */

struct http_request {
	enum http_method method;
	struct span method_text;
	struct span target; /* as sent, for the access log */
	struct span path;   /* decoded once; starts with '/'; holds no NUL, no
			     "." or ".." segment, no empty segment, no '\' */
	struct http_param *params; /* of the query, in order */
	size_t n_params;
	struct http_header *headers; /* in order */
	size_t n_headers;
	unsigned minor_version; /* HTTP/1.x */
	enum http_framing framing;
	uint64_t content_length; /* HTTP_BODY_LENGTH */
	bool keep_alive;
	bool expect_continue;
	struct span host; /* authority the client names; X-Forwarded-Host from
			     a trusted proxy */
	bool tls; /* how the client reaches us; X-Forwarded-Proto likewise */
	struct span client; /* address without port; "unix" ; X-Forwarded-For
			       likewise */
	/* The name (CN) in the subject of the certificate that the client
	 * proved in the TLS handshake; .p NULL: none.  No header says it, and
	 * there is none when the peer is a trusted proxy: it would be the
	 * proxy's. */
	struct span client_certificate;
	char id[HTTP_REQUEST_ID_BYTES]; /* X-Request-Id of the answer */
};

/** http_request_header(rq, name): the first of that name; .p NULL if none. */
struct span http_request_header(const struct http_request *, const char *name);

/** http_request_next_header(rq, name, i): the next of that name from index
 * *${i} on, which moves behind it; .p NULL at the end. */
struct span http_request_next_header(
    const struct http_request *, const char *name, size_t *i);

/** http_request_param(rq, key, value_r): the first of that key. */
bool http_request_param(
    const struct http_request *, const char *key, struct span *value_r);

#endif
