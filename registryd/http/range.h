#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "registryd/http/request.h"

/*
 * Range requests (RFC 9110 section 14), one range at a time: a list of several
 * is answered with the whole, which the RFC allows, and so is whatever is not
 * a byte range.  One that ends before it begins lies beyond any content.
 */
enum range_result {
	RANGE_NONE,   /* answer with the whole */
	RANGE_SOME,   /* 206: offset and length, at least 1 */
	RANGE_BEYOND, /* 416 */
};

/** range_parse(s, size, offset_r, length_r): the value of Range against
 * content of ${size} bytes. */
enum range_result
range_parse(struct span, uint64_t size, uint64_t *offset_r, uint64_t *length_r);

/**
 * http_range(rq, etag, size, offset_r, length_r):
 * The same for a request, If-Range (section 13.1.5) considered: a date there,
 * or a tag other than ${etag} (with its quotes, strong), means the whole.
 */
enum range_result http_range(const struct http_request *, struct span etag,
    uint64_t size, uint64_t *offset_r, uint64_t *length_r);

#endif
