#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/*
 * A growing byte string with a cap.  Failure is sticky: append without
 * checking, ask buf_ok() once at the end.  Owned by one thread.
 */
struct buf {
	char *p;
	size_t n;
	size_t room;
	size_t cap_bytes;
	bool failed;
};

void buf_init(struct buf *, size_t cap_bytes);
void buf_free(struct buf *);
/** buf_clear(b): empty, not failed; the memory is kept. */
void buf_clear(struct buf *);
/** buf_ok(b): nothing appended so far exceeded the cap. */
bool buf_ok(const struct buf *);

void buf_add(struct buf *, const void *p, size_t n_bytes);
void buf_span(struct buf *, struct span);
void buf_str(struct buf *, const char *cstr);
void buf_char(struct buf *, char);
void buf_u64(struct buf *, uint64_t);
void buf_printf(struct buf *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * buf_json(b, s):
 * Append ${s} as a JSON string with its quotes (RFC 8259 section 7).  Bytes
 * that are not UTF-8 become U+FFFD.
 */
void buf_json(struct buf *, struct span);

/**
 * buf_take(b, n_r):
 * Hand the bytes (NUL behind) to the caller, who frees them; NULL if the
 * buffer had failed.  It is empty afterwards.  ${n_r} may be NULL.
 */
char *buf_take(struct buf *, size_t *n_r);

static inline struct span
buf_as_span(const struct buf *b)
{
	return ((struct span){ b->p, b->n });
}

#endif
