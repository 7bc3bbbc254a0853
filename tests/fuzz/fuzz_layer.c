#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "layer_make.h"
#include "package_check.h"

/*
 * The input is a layer.  It is read or refused with a reason; its index is
 * sound, and an inventory can be made of it.
 *
 * One that begins with ':' is a list of entries, of which a tar file is made
 * here, with a NUL between two of them:
 *
 *	TYPE NAME LF CONTENT
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct layer_limits limits = {
	.max_bytes = (uint64_t)8 << 20,
	.max_entries = 1000,
	.max_file_bytes = (uint64_t)1 << 20,
	.max_ratio = 1000,
};

struct reading {
	struct span rest;
	size_t piece;
};

static long
read_some(void *arg, const void **p_r)
{
	struct reading *r = arg;
	size_t n = r->rest.n < r->piece ? r->rest.n : r->piece;

	if (n == 0)
		return (0);
	*p_r = r->rest.p;
	r->rest = (struct span){ r->rest.p + n, r->rest.n - n };
	return ((long)n);
}

static enum rc
index_make(struct span layer, size_t piece, struct buf *out)
{
	struct reading r = { layer, piece };
	char why[LAYER_WHY_BYTES];
	enum rc rc;

	memset(why, 'w', sizeof(why));
	rc = layer_index_make(read_some, &r, &limits, out, why);
	must(memchr(why, '\0', sizeof(why)) != NULL);
	must((rc == RC_OK) == (why[0] == '\0'));
	must(rc == RC_OK || rc == RC_INVALID || rc == RC_TOOBIG ||
	     rc == RC_UNSUPPORTED);
	must(rc == RC_OK || out->n == 0);
	return (rc);
}

static void
inventory_check(struct span index)
{
	struct layer_index layers[2] = { { SPAN("a"), index },
		{ SPAN("b"), index } };
	char why[LAYER_WHY_BYTES];
	struct inventory v;
	struct arena arena;
	size_t i;

	must(layer_index_check(index) == RC_OK);
	arena_init(&arena, (size_t)64 << 20);
	must(inventory_make(layers, 2, &arena, why, &v) == RC_OK);
	for (i = 0; i < v.n_packages; i++) {
		package_check(&v.packages[i]);
		/* Each file is in the upper one too. */
		must(span_is(v.packages[i].layer, "b"));
		must(v.packages[i].path.n > 0);
	}
	arena_reset(&arena);
}

static void
layer_try(struct span layer)
{
	struct buf one, other;
	enum rc rc;

	buf_init(&one, LAYER_INDEX_MAX_BYTES);
	buf_init(&other, LAYER_INDEX_MAX_BYTES);
	rc = index_make(layer, 65536, &one);
	if (rc == RC_OK) {
		inventory_check(buf_as_span(&one));
		must(index_make(layer, 1 + layer.n / 3, &other) == RC_OK);
		must(span_eq(buf_as_span(&one), buf_as_span(&other)));
	}
	buf_free(&one);
	buf_free(&other);
}

static void
entry_add(struct buf *tar, struct span entry)
{
	struct span rest = { entry.p + 1, entry.n - 1 }, name = SPAN("");

	(void)span_split(&rest, '\n', &name);
	tar_entry(tar, entry.p[0], name, rest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span in = { (const char *)data, n_bytes }, entry;
	struct buf tar;

	if (n_bytes == 0 || data[0] != ':') {
		layer_try(in);
		return (0);
	}
	in = (struct span){ in.p + 1, in.n - 1 };
	buf_init(&tar, (size_t)4 << 20);
	while (span_split(&in, '\0', &entry))
		if (entry.n > 0)
			entry_add(&tar, entry);
	while (buf_ok(&tar) && tar.n % 10240 != 0)
		buf_char(&tar, '\0');
	layer_try(buf_as_span(&tar));
	buf_free(&tar);
	return (0);
}
