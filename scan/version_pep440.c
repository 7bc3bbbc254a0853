#include "scan/version_int.h"

#include "base/obj.h"

/*
 * Versions of Python's packages (PEP 440, Appendix B), in any of the spellings
 * that are normalised:
 *
 *	version = [ "v" ] [ number "!" ] number *( "." number )
 *		  [ [sep] ( "a" / "b" / "rc" / ... ) [sep] [number] ]
 *		  [ "-" number / [sep] ( "post" / "rev" / "r" ) [sep] [number] ]
 *		  [ [sep] "dev" [sep] [number] ]
 *		  [ "+" 1*alnum *( sep 1*alnum ) ]
 *	sep     = "." / "-" / "_"
 *
 * Letters of either case.
 */
enum phase { PHASE_NONE, PHASE_A, PHASE_B, PHASE_RC };

struct pep440 {
	struct span epoch;   /* digits; empty: 0, as everywhere */
	struct span release; /* with its dots */
	enum phase phase;
	struct span phase_number;
	bool post, dev;
	struct span post_number, dev_number;
	struct span local; /* behind the "+"; empty: none */
};

static bool
is_sep(char ch)
{
	return (ch == '.' || ch == '-' || ch == '_');
}

/* [sep] word: taken if that is what is there. */
static bool
word_take(struct span *s, const char *word)
{
	struct span at = *s, head = span_of(word);

	if (at.n > 0 && is_sep(at.p[0]))
		skip(&at, 1);
	if (at.n < head.n ||
	    !span_eq_nocase((struct span){ at.p, head.n }, head))
		return (false);
	skip(&at, head.n);
	*s = at;
	return (true);
}

/* [sep] [number] */
static struct span
number_take(struct span *s)
{
	if (s->n > 0 && is_sep(s->p[0]))
		skip(s, 1);
	return (take_digits(s));
}

static void
phase_take(struct span *s, struct pep440 *v)
{
	/* The longer ones first. */
	static const struct {
		const char *word;
		enum phase phase;
	} words[] = {
		{ "alpha", PHASE_A },
		{ "beta", PHASE_B },
		{ "preview", PHASE_RC },
		{ "pre", PHASE_RC },
		{ "rc", PHASE_RC },
		{ "a", PHASE_A },
		{ "b", PHASE_B },
		{ "c", PHASE_RC },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(words); i++)
		if (word_take(s, words[i].word)) {
			v->phase = words[i].phase;
			v->phase_number = number_take(s);
			return;
		}
}

static void
post_take(struct span *s, struct pep440 *v)
{
	if (s->n > 1 && s->p[0] == '-' && is_digit(s->p[1])) {
		skip(s, 1);
		v->post_number = take_digits(s);
		v->post = true;
		return;
	}
	if (word_take(s, "post") || word_take(s, "rev") || word_take(s, "r")) {
		v->post = true;
		v->post_number = number_take(s);
	}
}

static bool
release_take(struct span *s, struct pep440 *v)
{
	struct span digits = take_digits(s);

	if (digits.n > 0 && take_char(s, '!')) {
		v->epoch = digits;
		digits = take_digits(s);
	}
	if (digits.n == 0)
		return (false);
	v->release.p = digits.p;
	while (s->n > 1 && s->p[0] == '.' && is_digit(s->p[1])) {
		skip(s, 1);
		(void)take_digits(s);
	}
	v->release.n = (size_t)(s->p - v->release.p);
	return (true);
}

static bool
local_take(struct span *s, struct pep440 *v)
{
	size_t i;

	if (!take_char(s, '+'))
		return (true);
	v->local = *s;
	for (i = 0; i < s->n; i++)
		if (!is_alnum(s->p[i]) &&
		    (!is_sep(s->p[i]) || i == 0 || i + 1 == s->n ||
			is_sep(s->p[i - 1])))
			return (false);
	skip(s, i);
	return (i > 0);
}

static bool
pep440_read(struct span s, struct pep440 *v)
{
	*v = (struct pep440){ .phase = PHASE_NONE };
	s = span_trim(s);
	if (s.n > 0 && (s.p[0] == 'v' || s.p[0] == 'V'))
		skip(&s, 1);
	if (!release_take(&s, v))
		return (false);
	phase_take(&s, v);
	post_take(&s, v);
	if (word_take(&s, "dev")) {
		v->dev = true;
		v->dev_number = number_take(&s);
	}
	return (local_take(&s, v) && s.n == 0);
}

/* --- the order ----------------------------------------------------------- */

/* "1.0" is "1". */
static int
release_cmp(struct span a, struct span b)
{
	struct span x, y;
	int order = 0;
	bool more;

	do {
		x = y = SPAN_NONE;
		more = span_split(&a, '.', &x);
		more |= span_split(&b, '.', &y);
		order = digits_cmp(x, y);
	} while (order == 0 && more);
	return (order);
}

/* Of one release: what is only being developed, phases before it, itself. */
static int
phase_rank(const struct pep440 *v)
{
	if (v->phase != PHASE_NONE)
		return ((int)v->phase);
	return (v->dev && !v->post ? 0 : PHASE_RC + 1);
}

/* One that has it against one that has not. */
static int
flag_cmp(bool a, bool b, struct span x, struct span y)
{
	if (a != b)
		return (a ? 1 : -1);
	return (a ? digits_cmp(x, y) : 0);
}

static bool
local_split(struct span *s, struct span *part_r)
{
	size_t n = 0;

	if (s->n == 0)
		return (false);
	while (n < s->n && !is_sep(s->p[n]))
		n++;
	*part_r = (struct span){ s->p, n };
	skip(s, n < s->n ? n + 1 : n);
	return (true);
}

static int
word_cmp(struct span a, struct span b)
{
	size_t i;
	int x, y;

	for (i = 0; i < a.n && i < b.n; i++) {
		x = a.p[i] >= 'A' && a.p[i] <= 'Z' ? a.p[i] + 32 : a.p[i];
		y = b.p[i] >= 'A' && b.p[i] <= 'Z' ? b.p[i] + 32 : b.p[i];
		if (x != y)
			return (x - y);
	}
	return (a.n < b.n ? -1 : a.n > b.n);
}

static bool
all_digits(struct span s)
{
	return (take_digits(&s).n > 0 && s.n == 0);
}

/* Numbers are above words. */
static int
local_cmp(struct span a, struct span b)
{
	struct span x, y;
	bool has_a, has_b;
	int order;

	for (;;) {
		has_a = local_split(&a, &x);
		has_b = local_split(&b, &y);
		if (!has_a || !has_b)
			return ((int)has_a - (int)has_b);
		if (all_digits(x) != all_digits(y))
			return (all_digits(x) ? 1 : -1);
		order = all_digits(x) ? digits_cmp(x, y) : word_cmp(x, y);
		if (order != 0)
			return (order);
	}
}

static int
pep440_cmp(const struct pep440 *a, const struct pep440 *b)
{
	int order;

	if ((order = digits_cmp(a->epoch, b->epoch)) != 0 ||
	    (order = release_cmp(a->release, b->release)) != 0 ||
	    (order = phase_rank(a) - phase_rank(b)) != 0 ||
	    (order = digits_cmp(a->phase_number, b->phase_number)) != 0 ||
	    (order = flag_cmp(
		 a->post, b->post, a->post_number, b->post_number)) != 0 ||
	    (order = flag_cmp(!a->dev, !b->dev, SPAN_NONE, SPAN_NONE)) != 0 ||
	    (order = digits_cmp(a->dev_number, b->dev_number)) != 0)
		return (order);
	return (local_cmp(a->local, b->local));
}

enum rc
pep440_compare(struct span a, struct span b, int *order_r)
{
	struct pep440 x, y;

	if (!pep440_read(a, &x) || !pep440_read(b, &y))
		return (RC_INVALID);
	*order_r = pep440_cmp(&x, &y);
	return (RC_OK);
}
