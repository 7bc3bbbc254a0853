#ifndef HTTP_RESPONSE_INT_H
#define HTTP_RESPONSE_INT_H

#include "registryd/http/response.h"

/* What the connection adds to an answer. */
struct response_frame {
	struct span date;
	const char *id;	 /* X-Request-Id */
	bool close;	 /* say so */
	bool keep_alive; /* say so, to HTTP/1.0 */
	bool head;	 /* it answers HEAD */
};

/** response_frame_bytes(rs): the head of ${rs} is not longer. */
size_t response_head_room(const struct http_response *);

/** response_head_write(rs, frame, out): the status line and all headers, with
 * the empty line; returns its length.  A header whose value could break out of
 * its line is left out, and logged. */
size_t response_head_write(
    const struct http_response *, const struct response_frame *, char *out);

/** response_file_close(rs): what the body of a file was to be read by. */
void response_file_close(struct http_response *);

/** response_body_length(rs): of the body as described, sent or not. */
uint64_t response_body_length(const struct http_response *);

#endif
