#include "base/obj.h"

#include <stdlib.h>

#include "base/log.h"

/*
 * The log works without allocating, so the last words come out even when
 * what failed is the memory.
 */
void
obj_fail(const char *what, const char *file, int line)
{
	log_error("%s:%d: internal error, stopping: %s", file, line, what);
	abort();
}
