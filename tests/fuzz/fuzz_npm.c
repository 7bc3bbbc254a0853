#include <stdint.h>

#include "package_check.h"

/*
 * The lock files of npm.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span text = { (const char *)data, n_bytes };

	reader_check(npm_lock_read, PACKAGE_NPM, text);
	reader_check(npm_installed_read, PACKAGE_NPM, text);
	return (0);
}
