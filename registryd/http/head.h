#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stddef.h>

#include "registryd/http/request.h"

/*
 * The head of a request, from its bytes (RFC 9112 sections 2 to 5), strictly:
 * what the grammar does not allow is refused, with three exceptions that the
 * RFC asks for: one empty line before the request line, optional white space
 * around header values, and obs-text in them.
 *
 * The bytes stand in one piece of memory that grows at its end; the parser
 * continues where it stopped and allocates nothing.  Its verdict depends on
 * the bytes alone and not on how they were cut: lines are judged in order, the
 * request line byte by byte, header lines when they are complete.
 */
struct head_limits {
	size_t bytes; /* of the whole head */
	size_t headers;
	size_t uri_bytes;
};

enum head_result {
	HEAD_MORE, /* so far fine, and not yet complete */
	HEAD_DONE, /* .length bytes are the head */
	HEAD_BAD,  /* .status and .why tell */
};

struct head {
	size_t line;   /* where the line that is to be judged next begins */
	size_t length; /* HEAD_DONE */
	int status;    /* HEAD_BAD: 400, 414, 431, 505 */
	const char *why;
	bool request_line; /* it has been judged */
};

/** head_init(h, rq, headers): ${headers} has room for as many headers as the
 * limits allow. */
void
head_init(struct head *, struct http_request *, struct http_header *headers);

/**
 * head_parse(h, p, n, limits, rq):
 * Judge the ${n} bytes at ${p}, of which those seen before are unchanged.
 * Fills in method, method_text, target, minor_version and headers of ${rq} as
 * far as it gets, spans into ${p}.  After HEAD_DONE or HEAD_BAD not to be
 * called again.
 */
enum head_result head_parse(struct head *, const char *p, size_t n,
    const struct head_limits *, struct http_request *);

#endif
