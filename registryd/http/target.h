#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "base/arena.h"
#include "registryd/http/request.h"

/* Pairs in one query. */
#define TARGET_PARAMS_MAX 100

/**
 * target_parse(rq, arena, why_r):
 * Read rq->target (RFC 9112 section 3.2) into path and params, decoded once;
 * what lives longer than the target is in ${arena}.  Origin-form; or
 * absolute-form, whose authority must be that of Host.  Returns 0, or 400 and
 * *${why_r}.
 *
 * Refused rather than normalised, because two readers would normalise
 * differently: an encoded slash, backslash, NUL or other control character, a
 * backslash, "." and ".." and empty segments (one at the end is fine), a
 * fragment.  In a query '+' is a plus: no name, tag or digest has a space.
 */
int target_parse(struct http_request *, struct arena *, const char **why_r);

#endif
