#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/*
 * Small allocations of fixed size never fail: when memory is gone the process
 * aborts, and a restart is safe by design.  Whatever a client can size goes
 * through an arena or a buf with a cap instead.
 */
void *xmalloc(size_t n_bytes) __attribute__((malloc, returns_nonnull));
void *
xcalloc(size_t n, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n_bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *, size_t n) __attribute__((malloc, returns_nonnull));

/** xasprintf(fmt, ...): a formatted string; the caller owns it. */
char *xasprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/** mem_wipe(p, n): overwrite a secret; not optimised away. */
void mem_wipe(void *p, size_t n);

#endif
