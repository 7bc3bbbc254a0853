#ifndef LIFECYCLE_RUNNER_INT_H
#define LIFECYCLE_RUNNER_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "lifecycle/policy.h"
#include "lifecycle/runner.h"

/*
 * What carrying out (runner.c) and looking (runner_look.c) share.
 */

/* For a stored text, or for what is read of one. */
#define LIFECYCLE_POLICY_ARENA_BYTES ((size_t)8 << 20)

/** lifecycle_why_begin(why, begin): put that before it; the end is cut off. */
void lifecycle_why_begin(char why[LIFECYCLE_WHY_BYTES], const char *begin);

/** lifecycle_text_cut(text, max): as many bytes of it, at the most, as whole
 * characters fill. */
size_t lifecycle_text_cut(const char *text, size_t max);

/** lifecycle_stops(stop, arg): ${stop} may be NULL. */
bool lifecycle_stops(lifecycle_stop_fn *, void *arg);

#endif
