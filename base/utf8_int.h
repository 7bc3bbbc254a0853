#ifndef BASE_UTF8_INT_H
#define BASE_UTF8_INT_H

#include <stddef.h>

/**
 * utf8_len(p, n):
 * Bytes of the well-formed UTF-8 sequence at ${p} (RFC 3629 section 4) of
 * which ${n} > 0 bytes are there; 0 if it is none.  Any thread.
 */
size_t utf8_len(const char *p, size_t n);

#endif
