#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A borrowed run of bytes, not terminated.  A span never owns what it points
 * to; who does is said where the span is handed out.
 */
struct span {
	const char *p;
	size_t n;
};

#define SPAN(lit) ((struct span){ (lit), sizeof(lit) - 1 })
/* The same where C wants a constant: in the tables of a file. */
#define SPAN_INIT(lit) \
	{ \
		(lit), sizeof(lit) - 1 \
	}
#define SPAN_NONE ((struct span){ NULL, 0 })
#define SPAN_FMT "%.*s"
#define SPAN_ARG(s) (int)(s).n, (s).p != NULL ? (s).p : ""

static inline struct span
span_of(const char *cstr)
{
	return ((struct span){ cstr, cstr != NULL ? strlen(cstr) : 0 });
}

static inline bool
span_eq(struct span a, struct span b)
{
	return (a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0));
}

static inline bool
span_is(struct span a, const char *cstr)
{
	return (span_eq(a, span_of(cstr)));
}

/** span_cmp(a, b): order by bytes, the shorter first; <0, 0, >0. */
int span_cmp(struct span a, struct span b);

/** span_hash(s): FNV-1a.  For places in tables only: anybody can compute it. */
uint32_t span_hash(struct span);

/** span_eq_nocase(a, b): equal but for the case of ASCII letters. */
bool span_eq_nocase(struct span a, struct span b);

bool span_has_prefix(struct span s, struct span prefix);
bool span_has_suffix(struct span s, struct span suffix);

/** span_matches(s, pattern): all of ${s}; '*' is any run of bytes, also none,
 * and all else stands for itself.  At most s.n times pattern.n steps. */
bool span_matches(struct span s, struct span pattern);

/** span_trim(s): without leading and trailing SP and HTAB (RFC 9110 OWS). */
struct span span_trim(struct span s);

/**
 * span_split(rest, sep, part_r):
 * Cut the next part, up to ${sep} or the end, off the front of *${rest}.
 * False when nothing is left, so a ${sep} at the end opens no empty part.
 */
bool span_split(struct span *rest, char sep, struct span *part_r);

#endif
