#ifndef MIRROR_EACH_H
#define MIRROR_EACH_H

#include <stddef.h>

/** each_run(n, threads, fn, arg): ${fn}(${arg}, i) for every i below ${n}, on up
 * to ${threads} threads, the caller's among them; fewer where the system
 * refuses one.  Returns when all have. */
void each_run(
    size_t n, unsigned threads, void (*fn)(void *arg, size_t i), void *arg);

#endif
