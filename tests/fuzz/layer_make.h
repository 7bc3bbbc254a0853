#ifndef TESTS_FUZZ_LAYER_MAKE_H
#define TESTS_FUZZ_LAYER_MAKE_H

#include "base/buf.h"
#include "base/span.h"

/** tar_entry(out, type, name, content): ustar; names are cut to what fits; the
 * content of a link ('1', '2') is where it leads. */
void
tar_entry(struct buf *out, char type, struct span name, struct span content);

#endif
