#include <stdint.h>

#include "package_check.h"

/*
 * The lists of dpkg.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span text = { (const char *)data, n_bytes };

	reader_check(dpkg_status_read, PACKAGE_DEB, text);
	reader_check(dpkg_status_d_read, PACKAGE_DEB, text);
	return (0);
}
