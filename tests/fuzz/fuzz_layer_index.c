#include <stdint.h>
#include <string.h>

#include "base/obj.h"
#include "package_check.h"

/*
 * The input is an index, or what somebody says is one.  What the check lets pass
 * an inventory is made of; what it refuses none is made of.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span bytes = { (const char *)data, n_bytes };
	struct layer_index layers[2] = { { SPAN("a"), bytes },
		{ SPAN("b"), bytes } };
	char why[LAYER_WHY_BYTES];
	struct inventory v;
	struct arena arena;
	enum rc checked, rc;
	size_t i;

	checked = layer_index_check(bytes);
	must(checked == RC_OK || checked == RC_INVALID);
	arena_init(&arena, (size_t)64 << 20);
	rc = inventory_make(layers, 2, &arena, why, &v);
	must(rc == checked || (checked == RC_OK && rc == RC_TOOBIG));
	must((rc == RC_OK) == (why[0] == '\0'));
	for (i = 0; rc == RC_OK && i < v.n_packages; i++)
		package_check(&v.packages[i]);
	arena_reset(&arena);
	return (0);
}
