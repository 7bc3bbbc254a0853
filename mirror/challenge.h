#ifndef MIRROR_CHALLENGE_H
#define MIRROR_CHALLENGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * What registries say in headers.  Readers of bytes: nothing here allocates,
 * spans borrow from the text.
 */

/*
 * A challenge of WWW-Authenticate (RFC 9110 section 11.6.1); a value may hold
 * several.
 */
#define CHALLENGE_PARAMS_MAX 16
#define CHALLENGE_TEXT_MAX_BYTES 2048

struct challenge_param {
	struct span name;
	struct span value; /* of a quoted string what is between the quotes, its
			      escapes as they are */
};

struct challenge {
	struct span scheme;
	struct span token68; /* empty: parameters */
	struct challenge_param params[CHALLENGE_PARAMS_MAX];
	size_t n_params;
};

/**
 * challenge_next(rest, c_r):
 * Take the first challenge off the front of *${rest}.  RC_NOTFOUND: there is
 * none any more; RC_INVALID: not of that grammar, or too many parameters:
 * nothing of the rest can be trusted to mean what it seems to.
 */
RC_MUST_USE enum rc challenge_next(struct span *rest, struct challenge *c_r);

/** challenge_param(c, name, out, n_r): the value of a parameter, of any case,
 * unescaped, with a NUL.  RC_NOTFOUND; RC_INVALID: twice, too long, or with
 * control characters. */
RC_MUST_USE enum rc challenge_param(const struct challenge *, const char *name,
    char out[CHALLENGE_TEXT_MAX_BYTES], size_t *n_r);

/** content_range_parse(s, first_r, last_r, size_r): "bytes 0-9/100"; a size of
 * "*" is UINT64_MAX; for "bytes * / 100" (without the blanks) first is 1 and
 * last 0.  RC_INVALID. */
RC_MUST_USE enum rc content_range_parse(
    struct span, uint64_t *first_r, uint64_t *last_r, uint64_t *size_r);

/** link_next(s, url_r): the target of the link with rel=next in the value of a
 * Link header (RFC 8288); RC_NOTFOUND; RC_INVALID. */
RC_MUST_USE enum rc link_next(struct span, struct span *url_r);

/** retry_after_parse(s, now_ms, ms_r): how long from the calendar time
 * ${now_ms}: seconds or an HTTP date, of which one gone by is 0.  RC_INVALID. */
RC_MUST_USE enum rc
retry_after_parse(struct span, int64_t now_ms, int64_t *ms_r);

/** rate_limit_parse(s, n_r): "100;w=21600"; RC_INVALID. */
RC_MUST_USE enum rc rate_limit_parse(struct span, int64_t *n_r);

#endif
