#include <stdint.h>

#include "package_check.h"

/*
 * Metadata of Python's packages, and lists of requirements.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span text = { (const char *)data, n_bytes };

	reader_check(python_metadata_read, PACKAGE_PYPI, text);
	reader_check(python_requirements_read, PACKAGE_PYPI, text);
	return (0);
}
