#include <stdint.h>
#include <string.h>

#include "base/obj.h"
#include "registryd/http/accept.h"
#include "registryd/http/range.h"

/*
 * Values of headers that are lists or ranges: the size of the content comes
 * first, then the value.  A range that is found lies within the content; and
 * the readers of lists read nothing but the list.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_lists(struct span value)
{
	struct http_header h[2] = { { SPAN("Accept"), value },
		{ SPAN("If-None-Match"), value } };
	struct http_request rq = { .headers = h, .n_headers = 2 };
	struct http_request none = { .headers = h, .n_headers = 0 };
	struct http_header both[2] = { { SPAN("Accept"), SPAN("a/b") },
		{ SPAN("If-None-Match"), SPAN("\"e\"") } };
	struct http_request plain = { .headers = both, .n_headers = 2 };

	(void)http_accepts(&rq, SPAN("application/json"));
	(void)http_etag_matches(&rq, SPAN("\"sha256:00\""));
	must(http_accepts(&none, SPAN("a/b")));
	must(!http_etag_matches(&none, SPAN("\"e\"")));
	must(http_accepts(&plain, SPAN("a/b")));
	must(http_etag_matches(&plain, SPAN("\"e\"")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t size, offset = 0, length = 0;
	struct span value;

	if (n < sizeof(size))
		return (0);
	memcpy(&size, data, sizeof(size));
	size >>= data[0] & 63;
	value = (struct span){ (const char *)data + sizeof(size),
		n - sizeof(size) };
	if (range_parse(value, size, &offset, &length) == RANGE_SOME) {
		must(length >= 1);
		must(offset < size);
		must(length <= size - offset);
	}
	check_lists(value);
	return (0);
}
