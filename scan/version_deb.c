#include "scan/version_int.h"

/*
 * Versions of Debian's packages (deb-version(7)):
 *
 *	[epoch ":"] upstream-version ["-" revision]
 *
 * where neither an epoch nor a revision is the same as 0.  Both versions are
 * compared in turns: a run of what are no digits, and then a number.  In the
 * former "~" is below all, even the end of the text, letters are below what is
 * none, and the end is below both.
 */
struct deb {
	struct span epoch, upstream, revision;
};

/* What is no epoch is a part of the version. */
static void
deb_read(struct span s, struct deb *v)
{
	struct span rest = s;
	size_t n;

	*v = (struct deb){ .upstream = s };
	v->epoch = take_digits(&rest);
	if (v->epoch.n > 0 && take_char(&rest, ':'))
		v->upstream = rest;
	else
		v->epoch = SPAN_NONE;
	n = v->upstream.n;
	while (n > 0 && v->upstream.p[n - 1] != '-')
		n--;
	if (n == 0)
		return;
	v->revision = v->upstream;
	skip(&v->revision, n);
	v->upstream.n = n - 1;
}

/* Of the first byte of what is left. */
static int
weight(struct span s)
{
	unsigned char ch;

	if (s.n == 0 || is_digit(s.p[0]))
		return (0);
	ch = (unsigned char)s.p[0];
	if (ch == '~')
		return (-1);
	return (is_alnum(s.p[0]) ? ch : ch + 256);
}

static int
words_cmp(struct span *a, struct span *b)
{
	int x, y;

	for (;;) {
		x = weight(*a);
		y = weight(*b);
		if (x != y)
			return (x < y ? -1 : 1);
		if (x == 0)
			return (0);
		skip(a, 1);
		skip(b, 1);
	}
}

static int
part_cmp(struct span a, struct span b)
{
	int order = 0;

	while (order == 0 && (a.n > 0 || b.n > 0)) {
		order = words_cmp(&a, &b);
		if (order == 0)
			order = digits_cmp(take_digits(&a), take_digits(&b));
	}
	return (order);
}

int
deb_compare(struct span a, struct span b)
{
	struct deb x, y;
	int order;

	deb_read(a, &x);
	deb_read(b, &y);
	if ((order = digits_cmp(x.epoch, y.epoch)) != 0 ||
	    (order = part_cmp(x.upstream, y.upstream)) != 0)
		return (order);
	return (part_cmp(x.revision, y.revision));
}
