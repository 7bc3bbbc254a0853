#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "package_check.h"

/*
 * An rpm database, which SQLite reads, if the input begins like one; else a
 * header of a package as it stands there.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span text = { (const char *)data, n_bytes };
	char *copy;

	if (!span_has_prefix(text, SPAN("SQLite"))) {
		reader_check(rpm_header_read, PACKAGE_RPM, text);
		return (0);
	}
	/* It is changed on the way. */
	copy = malloc(n_bytes);
	must(copy != NULL);
	memcpy(copy, data, n_bytes);
	reader_check(
	    rpm_sqlite_read, PACKAGE_RPM, (struct span){ copy, n_bytes });
	free(copy);
	return (0);
}
