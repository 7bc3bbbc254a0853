#include <stdint.h>

#include "package_check.h"

/*
 * The list of apk.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span text = { (const char *)data, n_bytes };

	reader_check(apk_installed_read, PACKAGE_APK, text);
	return (0);
}
