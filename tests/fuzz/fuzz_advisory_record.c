#include <stdint.h>

#include "base/buf.h"
#include "base/obj.h"
#include "scan/advisory.h"

/*
 * The input is an advisory as it is kept: what is taken for one is the same when
 * it was written and read again.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct advisory a, b;
	struct buf one, two;
	struct arena arena;

	arena_init(&arena, (size_t)64 << 20);
	buf_init(&one, SIZE_MAX);
	buf_init(&two, SIZE_MAX);
	if (advisory_parse(text, &arena, &a) == RC_OK) {
		must(a.id.n > 0);
		advisory_write(&a, &one);
		must(advisory_parse(buf_as_span(&one), &arena, &b) == RC_OK);
		advisory_write(&b, &two);
		must(span_eq(buf_as_span(&one), buf_as_span(&two)));
		must(a.n_ranges == b.n_ranges && a.n_versions == b.n_versions);
		must(span_eq(a.id, b.id) && span_eq(a.summary, b.summary));
	}
	buf_free(&one);
	buf_free(&two);
	arena_reset(&arena);
	return (0);
}
