#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include <stdbool.h>

#include "registryd/http/request.h"

/**
 * http_accepts(rq, media_type):
 * May the answer be of ${media_type} (RFC 9110 section 12.5.1)?  All Accept
 * lines together; the most specific range that matches decides, and q=0
 * forbids.  Without Accept everything may.  Elements that are no media range
 * are passed over; parameters other than q do not matter.
 */
bool http_accepts(const struct http_request *, struct span media_type);

/**
 * http_etag_matches(rq, etag):
 * Does If-None-Match (section 13.1.2) name ${etag}, given with its quotes, by
 * the weak comparison, or "*"?  A tag without quotes, which some clients send,
 * counts too.
 */
bool http_etag_matches(const struct http_request *, struct span etag);

#endif
