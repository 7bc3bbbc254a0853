#ifndef SCAN_VERSION_INT_H
#define SCAN_VERSION_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * The grammars of versions, one file each, and what they share.  None of them
 * allocates; each takes time in proportion to the length of its texts.
 */

int deb_compare(struct span a, struct span b);
RC_MUST_USE enum rc apk_compare(struct span a, struct span b, int *order_r);
RC_MUST_USE enum rc semver_compare(struct span a, struct span b, int *order_r);
RC_MUST_USE enum rc pep440_compare(struct span a, struct span b, int *order_r);

static inline bool
is_digit(char ch)
{
	return (ch >= '0' && ch <= '9');
}

static inline bool
is_lower(char ch)
{
	return (ch >= 'a' && ch <= 'z');
}

static inline bool
is_alnum(char ch)
{
	return (is_digit(ch) || is_lower(ch) || (ch >= 'A' && ch <= 'Z'));
}

/** skip(s, n): the first ${n} bytes off its front. */
static inline void
skip(struct span *s, size_t n)
{
	if (n == 0)
		return;
	s->p += n;
	s->n -= n;
}

/** take_char(s, ch): is that the next one?  Then it is taken. */
static inline bool
take_char(struct span *s, char ch)
{
	if (s->n == 0 || s->p[0] != ch)
		return (false);
	skip(s, 1);
	return (true);
}

/** take_digits(s): as many as there are. */
struct span take_digits(struct span *s);

/** digits_cmp(a, b): by value, however many there are; none is 0. */
int digits_cmp(struct span a, struct span b);

#endif
