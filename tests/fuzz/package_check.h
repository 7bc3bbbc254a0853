#ifndef TESTS_FUZZ_PACKAGE_CHECK_H
#define TESTS_FUZZ_PACKAGE_CHECK_H

#include "scan/layer_int.h"

/*
 * What is true of whatever a reader of packages has found.
 */

/** package_check(p): one line of text each, a name and a version. */
void package_check(const struct package *);

/** reader_check(reader, type, text): read it, and check what comes of it. */
void reader_check(package_reader_fn *, enum package_type, struct span text);

#endif
