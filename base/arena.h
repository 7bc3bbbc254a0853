#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/span.h"

/*
 * The memory of one request: allocated piece by piece, freed in one stroke.
 * An arena has a cap; an allocation beyond it gives NULL, which its caller
 * reports as RC_TOOBIG.  A list of clean-ups runs in reverse order on reset,
 * on every path.  Owned by one thread at a time.
 */
struct arena_block;
struct arena_cleanup;

struct arena {
	struct arena_block *blocks;
	struct arena_cleanup *cleanups;
	size_t used_bytes;
	size_t cap_bytes;
};

/** arena_init(a, cap_bytes): allocates nothing yet. */
void arena_init(struct arena *, size_t cap_bytes);

/** arena_reset(a): run the clean-ups, free all; usable again. */
void arena_reset(struct arena *);

/** arena_alloc(a, n): ${n} bytes aligned for any type, NULL past the cap. */
void *arena_alloc(struct arena *, size_t n_bytes);
void *arena_calloc(struct arena *, size_t n, size_t size_bytes);

/** arena_dup(a, p, n): a copy with a NUL behind it, NULL past the cap. */
char *arena_dup(struct arena *, const void *p, size_t n_bytes);

/** arena_span(a, s): a copy; .p is NULL past the cap. */
struct span arena_span(struct arena *, struct span);

/** arena_printf(a, fmt, ...): NUL-terminated, NULL past the cap. */
char *arena_printf(struct arena *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * arena_defer(a, fn, arg):
 * Call ${fn}(${arg}) at the reset; later ones first.  Never fails: the node
 * is outside of the cap.
 */
void arena_defer(struct arena *, void (*fn)(void *), void *arg);

#endif
