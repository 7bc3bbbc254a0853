#include "registryd/http/range.h"

#include <string.h>

#include "base/num.h"

/* Numbers too large to be held are as good as the largest one. */
static bool
number(struct span s, uint64_t *n_r)
{
	enum rc rc = num_u64_zeros(s, UINT64_MAX, n_r);

	if (rc == RC_RANGE)
		*n_r = UINT64_MAX;
	return (rc == RC_OK || rc == RC_RANGE);
}

/* suffix-range = "-" suffix-length */
static enum range_result
suffix(struct span s, uint64_t size, uint64_t *offset_r, uint64_t *length_r)
{
	uint64_t n;

	if (!number(s, &n))
		return (RANGE_NONE);
	if (n == 0)
		return (RANGE_BEYOND);
	if (size == 0)
		return (RANGE_NONE);
	*length_r = n < size ? n : size;
	*offset_r = size - *length_r;
	return (RANGE_SOME);
}

/*
 * ranges-specifier = range-unit "=" range-set
 * int-range        = first-pos "-" [ last-pos ]
 */
enum range_result
range_parse(
    struct span s, uint64_t size, uint64_t *offset_r, uint64_t *length_r)
{
	uint64_t first, last = UINT64_MAX;
	const char *dash;
	struct span a, b;

	if (s.n < 6 || !span_eq_nocase((struct span){ s.p, 6 }, SPAN("bytes=")))
		return (RANGE_NONE);
	s = span_trim((struct span){ s.p + 6, s.n - 6 });
	dash = s.n > 0 ? memchr(s.p, '-', s.n) : NULL;
	if (dash == NULL)
		return (RANGE_NONE);
	a = (struct span){ s.p, (size_t)(dash - s.p) };
	b = (struct span){ dash + 1, s.n - a.n - 1 };
	if (a.n == 0)
		return (suffix(b, size, offset_r, length_r));
	if (!number(a, &first) || (b.n > 0 && !number(b, &last)))
		return (RANGE_NONE);
	if (first >= size || last < first)
		return (RANGE_BEYOND);
	*offset_r = first;
	*length_r = (last < size ? last + 1 : size) - first;
	return (RANGE_SOME);
}

enum range_result
http_range(const struct http_request *rq, struct span etag, uint64_t size,
    uint64_t *offset_r, uint64_t *length_r)
{
	struct span range, if_range;
	size_t i = 0;

	range = http_request_next_header(rq, "Range", &i);
	if (range.p == NULL ||
	    http_request_next_header(rq, "Range", &i).p != NULL)
		return (RANGE_NONE);
	if_range = http_request_header(rq, "If-Range");
	if (if_range.p != NULL && !span_eq(if_range, etag))
		return (RANGE_NONE);
	return (range_parse(range, size, offset_r, length_r));
}
