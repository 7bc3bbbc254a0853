#ifndef STORAGE_RECORDS_INT_H
#define STORAGE_RECORDS_INT_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/digest.h"
#include "base/obj.h"
#include "base/span.h"
#include "storage/records.h"

/*
 * The pieces that keys and values are made of, to bytes and back.  The writers
 * trust their caller; the readers trust nothing: a reader that ran over the
 * end stays bad, and what was read with it is thrown away.
 */

/* Writing.  Each returns the place behind what it wrote. */

static inline uint8_t *
put_u8(uint8_t *p, uint8_t v)
{

	*p = v;
	return (p + 1);
}

static inline uint8_t *
put_u32(uint8_t *p, uint32_t v)
{
	uint32_t be = htobe32(v);

	memcpy(p, &be, sizeof(be));
	return (p + sizeof(be));
}

static inline uint8_t *
put_u64(uint8_t *p, uint64_t v)
{
	uint64_t be = htobe64(v);

	memcpy(p, &be, sizeof(be));
	return (p + sizeof(be));
}

static inline uint8_t *
put_i64(uint8_t *p, int64_t v)
{

	return (put_u64(p, (uint64_t)v));
}

static inline uint8_t *
put_bytes(uint8_t *p, struct span s)
{

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (p + s.n);
}

static inline uint8_t *
put_str(uint8_t *p, struct span s)
{

	return (put_bytes(put_u32(p, (uint32_t)s.n), s));
}

static inline uint8_t *
put_digest(uint8_t *p, const struct digest *d)
{
	size_t n = digest_len(d->alg);

	must(n > 0);
	*p = d->alg;
	memcpy(p + 1, d->bytes, n);
	return (p + 1 + n);
}

/* Reading. */

struct reader {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static inline struct reader
reader_of(struct span s)
{

	return ((struct reader){ (const uint8_t *)s.p, s.n, s.p == NULL });
}

static inline struct reader
reader_of_value(struct span s)
{
	struct reader r = reader_of(s);

	if (r.bad || r.n < 1 || r.p[0] != RECORD_VERSION) {
		r.bad = true;
	} else {
		r.p++;
		r.n--;
	}
	return (r);
}

static inline const uint8_t *
get_bytes(struct reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || r->n < n) {
		r->bad = true;
		return (NULL);
	}
	r->p += n;
	r->n -= n;
	return (p);
}

static inline uint8_t
get_u8(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 1);

	return (p != NULL ? *p : 0);
}

static inline uint32_t
get_u32(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 4);
	uint32_t be;

	if (p == NULL)
		return (0);
	memcpy(&be, p, sizeof(be));
	return (be32toh(be));
}

static inline uint64_t
get_u64(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 8);
	uint64_t be;

	if (p == NULL)
		return (0);
	memcpy(&be, p, sizeof(be));
	return (be64toh(be));
}

static inline int64_t
get_i64(struct reader *r)
{

	return ((int64_t)get_u64(r));
}

static inline struct span
get_span(struct reader *r, size_t n)
{
	const uint8_t *p = get_bytes(r, n);

	return (p != NULL ? (struct span){ (const char *)p, n } : SPAN_NONE);
}

static inline struct span
get_str(struct reader *r)
{
	uint32_t n = get_u32(r);

	return (get_span(r, n));
}

static inline struct span
get_rest(struct reader *r)
{

	return (get_span(r, r->n));
}

static inline void
get_digest(struct reader *r, struct digest *d)
{
	uint8_t alg = get_u8(r);
	size_t n = digest_len(alg);
	const uint8_t *p;

	memset(d, 0, sizeof(*d));
	if (n == 0)
		r->bad = true;
	if ((p = get_bytes(r, n)) == NULL)
		return;
	d->alg = alg;
	memcpy(d->bytes, p, n);
}

static inline bool
reader_end(const struct reader *r)
{

	return (!r->bad && r->n == 0);
}

#endif
