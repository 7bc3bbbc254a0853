#include "base/span.h"

static int
char_lower(char c)
{
	return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

int
span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d;

	d = n > 0 ? memcmp(a.p, b.p, n) : 0;
	if (d != 0)
		return (d);
	return ((a.n > b.n) - (a.n < b.n));
}

bool
span_eq_nocase(struct span a, struct span b)
{
	size_t i;

	if (a.n != b.n)
		return (false);
	for (i = 0; i < a.n; i++)
		if (char_lower(a.p[i]) != char_lower(b.p[i]))
			return (false);
	return (true);
}

bool
span_has_prefix(struct span s, struct span prefix)
{
	if (s.n < prefix.n)
		return (false);
	return (span_eq((struct span){ s.p, prefix.n }, prefix));
}

bool
span_has_suffix(struct span s, struct span suffix)
{
	if (s.n < suffix.n)
		return (false);
	if (suffix.n == 0)
		return (true);
	return (memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

/* OWS = *( SP / HTAB ) */
static bool
is_ows(char c)
{
	return (c == ' ' || c == '\t');
}

struct span
span_trim(struct span s)
{
	while (s.n > 0 && is_ows(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_ows(s.p[s.n - 1]))
		s.n--;
	return (s);
}

bool
span_split(struct span *rest, char sep, struct span *part_r)
{
	const char *end;
	size_t cut;

	if (rest->n == 0)
		return (false);
	end = memchr(rest->p, sep, rest->n);
	part_r->p = rest->p;
	part_r->n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	cut = part_r->n + (end != NULL);
	rest->p += cut;
	rest->n -= cut;
	return (true);
}

uint32_t
span_hash(struct span s)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * 16777619u;
	return (h);
}

/* The last '*' met is the only one that is ever taken back: what stood before
 * it has its place. */
bool
span_matches(struct span s, struct span pattern)
{
	size_t i = 0, p = 0, star = SIZE_MAX, tried = 0;

	while (i < s.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			tried = i;
		} else if (p < pattern.n && pattern.p[p] == s.p[i]) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++tried;
		} else {
			return (false);
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return (p == pattern.n);
}
