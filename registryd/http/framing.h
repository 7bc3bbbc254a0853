#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "registryd/http/request.h"

/**
 * framing_decide(rq, why_r):
 * What the headers say about the message itself, decided in this one place
 * (RFC 9112 sections 3.2, 6 and 9.3, RFC 9110 section 10.1.1): how the body is
 * delimited, the host, whether the connection goes on, and the expectation.
 * Fills in framing, content_length, host, keep_alive, expect_continue.
 * Returns 0, or the status (400, 417, 501) to refuse with, and *${why_r}.
 *
 * Where the RFC lets a server choose between being lenient and being strict,
 * two parties that choose differently can be played against each other
 * (request smuggling); so everything doubtful is refused.  HTTP/1.0 may come
 * without Host: that version has none.
 */
int framing_decide(struct http_request *, const char **why_r);

/** framing_host_ok(s): uri-host [ ":" port ], and not empty. */
bool framing_host_ok(struct span);

#endif
