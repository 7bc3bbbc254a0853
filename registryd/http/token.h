#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdbool.h>

#include "base/span.h"

/*
 * Character classes of RFC 9110 section 5.6 and the lists of section 5.6.1.
 */

/* tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." /
 *         "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA */
extern const bool token_chars[256];

static inline bool
token_char(char c)
{
	return (token_chars[(unsigned char)c]);
}

/** token_ok(s): token = 1*tchar */
bool token_ok(struct span);

/** token_hex(c): the value of a HEXDIG, -1 for anything else. */
int token_hex(char c);

/**
 * token_list(rest, part_r):
 * The next element of a comma-separated list, trimmed; empty ones are passed
 * over, and a comma within a quoted string does not separate.  False at the
 * end.
 */
bool token_list(struct span *rest, struct span *part_r);

#endif
