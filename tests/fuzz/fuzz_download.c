#include <stdint.h>
#include <string.h>

#include "base/obj.h"
#include "registryd/api/download_int.h"

/*
 * The input as what is sealed in the token of a download URL (without
 * authentication anybody can seal): what is read of it lies within it, and
 * makes the same bytes again.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
text_check(struct span plain, struct span s)
{
	must(s.p >= plain.p && s.n <= plain.n &&
	     (size_t)(s.p - plain.p) <= plain.n - s.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span plain = { (const char *)data, n };
	struct download_grant g;
	struct buf again;

	if (!download_grant_read(plain, &g))
		return (0);
	text_check(plain, g.account);
	text_check(plain, g.user);
	text_check(plain, g.access_key);
	must(download_grant_write(&g, &again));
	must(span_eq(buf_as_span(&again), plain));
	buf_free(&again);
	return (0);
}
