#include <stdint.h>

#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * os-release: what is read is one line each.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
line_check(struct span s)
{
	size_t i;

	must(s.n <= PACKAGE_TEXT_MAX_BYTES);
	for (i = 0; i < s.n; i++)
		must((uint8_t)s.p[i] >= ' ' && s.p[i] != '\x7f');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span text = { (const char *)data, n_bytes };
	struct os_release os;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, (size_t)1 << 20);
	rc = os_release_read(text, &arena, &os);
	must(rc == RC_OK || rc == RC_TOOBIG);
	if (rc == RC_OK) {
		line_check(os.id);
		line_check(os.version_id);
		line_check(os.codename);
		line_check(os.pretty_name);
	}
	arena_reset(&arena);
	return (0);
}
