#include "scan/version_int.h"

/*
 * Versions of npm's packages: semver 2.0.0, and what npm reads besides, "v1.2.3"
 * and "=1.2.3".  Advisories also say "1" and "1.2", where the rest is 0.  What
 * stands behind a "+" does not count.
 */
struct semver {
	struct span core[3];
	struct span before; /* "rc.1"; empty: none */
};

/* 1*( ALPHA / DIGIT / "-" ) *( "." 1*( ... ) ) */
static bool
identifiers(struct span s)
{
	struct span one;
	size_t i;

	if (s.n == 0 || s.p[s.n - 1] == '.')
		return (false);
	while (span_split(&s, '.', &one)) {
		if (one.n == 0)
			return (false);
		for (i = 0; i < one.n; i++)
			if (!is_alnum(one.p[i]) && one.p[i] != '-')
				return (false);
	}
	return (true);
}

static bool
core_read(struct span *s, struct semver *v)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		if (i > 0 && !take_char(s, '.'))
			break;
		v->core[i] = take_digits(s);
		if (v->core[i].n == 0)
			return (false);
	}
	return (true);
}

static bool
semver_read(struct span s, struct semver *v)
{
	const char *plus;
	struct span build;

	*v = (struct semver){ .before = SPAN_NONE };
	s = span_trim(s);
	(void)take_char(&s, '=');
	(void)take_char(&s, 'v');
	if (!core_read(&s, v))
		return (false);
	if (s.n > 0 && (plus = memchr(s.p, '+', s.n)) != NULL) {
		build.p = plus + 1;
		build.n = s.n - (size_t)(plus + 1 - s.p);
		s.n = (size_t)(plus - s.p);
		if (!identifiers(build))
			return (false);
	}
	if (s.n == 0)
		return (true);
	if (!take_char(&s, '-') || !identifiers(s))
		return (false);
	v->before = s;
	return (true);
}

static bool
numeric(struct span s)
{
	return (take_digits(&s).n > 0 && s.n == 0);
}

/* Numbers are below words. */
static int
identifier_cmp(struct span a, struct span b)
{
	bool na = numeric(a), nb = numeric(b);

	if (na != nb)
		return (na ? -1 : 1);
	return (na ? digits_cmp(a, b) : span_cmp(a, b));
}

static int
before_cmp(struct span a, struct span b)
{
	struct span x, y;
	bool has_a, has_b;
	int order;

	if (a.n == 0 || b.n == 0)
		return (a.n == b.n ? 0 : a.n == 0 ? 1 : -1);
	for (;;) {
		has_a = span_split(&a, '.', &x);
		has_b = span_split(&b, '.', &y);
		if (!has_a || !has_b)
			return ((int)has_a - (int)has_b);
		if ((order = identifier_cmp(x, y)) != 0)
			return (order);
	}
}

enum rc
semver_compare(struct span a, struct span b, int *order_r)
{
	struct semver x, y;
	size_t i;

	if (!semver_read(a, &x) || !semver_read(b, &y))
		return (RC_INVALID);
	for (i = 0; i < 3; i++)
		if ((*order_r = digits_cmp(x.core[i], y.core[i])) != 0)
			return (RC_OK);
	*order_r = before_cmp(x.before, y.before);
	return (RC_OK);
}
