#ifndef AUTH_SIGV4_INT_H
#define AUTH_SIGV4_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/sigv4.h"
#include "base/buf.h"

/*
 * Signature Version 4 in pieces: times (sigv4_time.c), the canonical form of
 * a request (sigv4_canonical.c), reading what it claims (sigv4_read.c);
 * verifying and signing (sigv4.c) put them together.
 */
#define SIGV4_ALGORITHM "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request"

/** sigv4_time_str(ms, out): "yyyymmddThhmmssZ"; returns ${out}. */
const char *sigv4_time_str(int64_t real_ms, char out[SIGV4_DATE_BYTES]);

/** sigv4_time_read(s, ms_r): of that form, a date that exists; RC_INVALID. */
RC_MUST_USE enum rc sigv4_time_read(struct span, int64_t *ms_r);

/** sigv4_time_read_http(s, ms_r): IMF-fixdate, its zone written as GMT, UTC,
 * +0000 or -0000; RC_INVALID. */
RC_MUST_USE enum rc sigv4_time_read_http(struct span, int64_t *ms_r);

/** sigv4_target_split(target, path_r, query_r): both as sent. */
void sigv4_target_split(
    struct span target, struct span *path_r, struct span *query_r);

/** sigv4_param(rest, name_r, value_r): the next pair of a query, still
 * encoded; false at the end. */
bool sigv4_param(struct span *rest, struct span *name_r, struct span *value_r);

/** sigv4_decode(s, out, room, n_r): percent-decoded, '+' being a space.
 * RC_INVALID: a '%' without its digits; RC_TOOBIG: longer than ${room}. */
RC_MUST_USE enum rc
sigv4_decode(struct span, char *out, size_t room, size_t *n_r);

struct sigv4_form {
	struct span signed_headers;
	bool presigned;
};

/**
 * sigv4_canonical(rq, form, out):
 * Append the canonical request, its last line being rq->body_hash.
 * RC_NOTFOUND: a header that is signed was not sent; RC_INVALID: a malformed
 * query; RC_TOOBIG.
 */
RC_MUST_USE enum rc sigv4_canonical(
    const struct sigv4_request *, const struct sigv4_form *, struct buf *out);

/** sigv4_signed(list, name): does SignedHeaders name this header? */
bool sigv4_signed(struct span list, struct span name);

#endif
