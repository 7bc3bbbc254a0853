#include "mirror/semver.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"

/* Larger than any date written as a number; smaller than what overflows. */
#define NUMBER_MAX UINT64_C(999999999999999999)
#define NUMBER_DIGITS_MAX 18

/* --- versions ------------------------------------------------------------ */

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

static bool
is_word(char c)
{
	return (is_digit(c) || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.');
}

/* Digits off the front; how many there were. */
static size_t
digits_take(struct span *s, uint64_t *n_r)
{
	size_t n = 0;

	while (n < s->n && is_digit(s->p[n]))
		n++;
	if (n == 0 || n > NUMBER_DIGITS_MAX ||
	    num_u64_zeros((struct span){ s->p, n }, NUMBER_MAX, n_r) != RC_OK)
		return (0);
	s->p += n;
	s->n -= n;
	return (n);
}

static void
mark_skip(struct span *s)
{
	if (s->n > 1 && (s->p[0] == 'v' || s->p[0] == 'V') &&
	    (is_digit(s->p[1]) || s->p[1] == 'x' || s->p[1] == '*')) {
		s->p++;
		s->n--;
	}
}

/* 1*( identifier "." ): none is empty. */
static bool
pre_ok(struct span pre)
{
	size_t i;

	if (pre.n == 0 || pre.p[0] == '.' || pre.p[pre.n - 1] == '.')
		return (false);
	for (i = 0; i < pre.n; i++)
		if (!is_word(pre.p[i]) ||
		    (pre.p[i] == '.' && pre.p[i - 1] == '.'))
			return (false);
	return (true);
}

/* "-beta.1" to the end; nothing is a release. */
static bool
pre_take(struct span *s, struct span *pre_r)
{
	*pre_r = SPAN_NONE;
	if (s->n == 0)
		return (true);
	if (s->p[0] != '-')
		return (false);
	*pre_r = (struct span){ s->p + 1, s->n - 1 };
	s->n = 0;
	return (pre_ok(*pre_r));
}

bool
version_parse(struct span text, struct version *v_r)
{
	size_t i;

	*v_r = (struct version){ { 0, 0, 0 }, SPAN_NONE };
	mark_skip(&text);
	for (i = 0; i < 3; i++) {
		if (digits_take(&text, &v_r->n[i]) == 0)
			return (false);
		if (text.n == 0 || text.p[0] != '.')
			break;
		if (i == 2)
			return (false);
		text.p++;
		text.n--;
	}
	return (pre_take(&text, &v_r->pre));
}

static bool
is_number(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]))
			return (false);
	return (s.n > 0);
}

/* Numbers of any length, without their leading zeros. */
static int
digits_cmp(struct span a, struct span b)
{
	for (; a.n > 1 && a.p[0] == '0'; a.n--)
		a.p++;
	for (; b.n > 1 && b.p[0] == '0'; b.n--)
		b.p++;
	if (a.n != b.n)
		return (a.n < b.n ? -1 : 1);
	return (span_cmp(a, b));
}

/* "Numeric identifiers always have lower precedence than non-numeric ones." */
static int
identifier_cmp(struct span a, struct span b)
{
	bool a_number = is_number(a), b_number = is_number(b);

	if (a_number && b_number)
		return (digits_cmp(a, b));
	if (a_number != b_number)
		return (a_number ? -1 : 1);
	return (span_cmp(a, b));
}

static int
pre_cmp(struct span a, struct span b)
{
	struct span x, y;
	bool more_a, more_b;
	int order;

	if (a.n == 0 || b.n == 0)
		return (a.n == b.n ? 0 : a.n == 0 ? 1 : -1);
	for (;;) {
		more_a = span_split(&a, '.', &x);
		more_b = span_split(&b, '.', &y);
		if (!more_a || !more_b)
			return (more_a == more_b ? 0 : more_a ? 1 : -1);
		if ((order = identifier_cmp(x, y)) != 0)
			return (order);
	}
}

static int
numbers_cmp(const struct version *a, const struct version *b)
{
	size_t i;

	for (i = 0; i < 3; i++)
		if (a->n[i] != b->n[i])
			return (a->n[i] < b->n[i] ? -1 : 1);
	return (0);
}

int
version_cmp(const struct version *a, const struct version *b)
{
	int order = numbers_cmp(a, b);

	return (order != 0 ? order : pre_cmp(a->pre, b->pre));
}

/* --- ranges -------------------------------------------------------------- */

enum comparison { CMP_LT, CMP_LE, CMP_EQ, CMP_GE, CMP_GT };

/* A set begins where .first is. */
struct comparator {
	bool first;
	bool ours; /* nobody wrote its version: it names no pre-release */
	enum comparison is;
	struct version v;
};

struct range {
	char *text;
	struct comparator *rows;
	size_t n, room;
};

/* "1.2.x": how many numbers were said. */
struct partial {
	struct version v;
	unsigned said;
};

static void
row_put(struct range *r, bool *first, bool ours, enum comparison is,
    struct version v)
{
	if (r->n == r->room) {
		r->room = r->room * 2 + 4;
		r->rows = xrealloc(r->rows, r->room * sizeof(*r->rows));
	}
	r->rows[r->n++] = (struct comparator){ *first, ours, is, v };
	*first = false;
}

static void
row_add(struct range *r, bool *first, enum comparison is, struct version v)
{
	row_put(r, first, false, is, v);
}

static bool
wildcard_take(struct span *s)
{
	if (s->n == 0 || (s->p[0] != 'x' && s->p[0] != 'X' && s->p[0] != '*'))
		return (false);
	s->p++;
	s->n--;
	return (true);
}

/* Behind a wildcard stand only others. */
static bool
partial_parse(struct span s, struct partial *p_r)
{
	bool wild = false;
	unsigned i;

	*p_r = (struct partial){ .said = 0 };
	mark_skip(&s);
	for (i = 0; i < 3; i++) {
		if (wildcard_take(&s)) {
			wild = true;
		} else {
			if (wild || digits_take(&s, &p_r->v.n[i]) == 0)
				return (false);
			p_r->said++;
		}
		if (s.n == 0 || s.p[0] != '.')
			break;
		if (i == 2)
			return (false);
		s.p++;
		s.n--;
	}
	if (s.n > 0 && p_r->said < 3)
		return (false);
	return (pre_take(&s, &p_r->v.pre));
}

/* The first version behind all that agree in the first ${n} numbers.  "-0" is
 * the lowest of its pre-releases: these are not below it either. */
static struct version
next_after(const struct partial *p, unsigned n)
{
	struct version v = { { 0, 0, 0 }, SPAN("0") };
	unsigned i;

	must(n >= 1 && n <= 3);
	for (i = 0; i < n; i++)
		v.n[i] = p->v.n[i];
	v.n[n - 1]++;
	return (v);
}

static void
span_add(struct range *r, bool *first, const struct partial *p, unsigned keep)
{
	row_add(r, first, CMP_GE, p->v);
	if (keep > 0)
		row_put(r, first, true, CMP_LT, next_after(p, keep));
}

/* ^: the first number that is not 0 stays as it is. */
static unsigned
caret_keep(const struct partial *p)
{
	unsigned i;

	for (i = 0; i + 1 < p->said; i++)
		if (p->v.n[i] != 0)
			break;
	return (p->said == 0 ? 0 : i + 1);
}

/* ">1.2": behind all of 1.2.x; "<=1.2": up to the last of them. */
static void
ordered_add(
    struct range *r, bool *first, enum comparison is, const struct partial *p)
{
	bool whole = p->said == 3 || p->said == 0;

	if (!whole && is == CMP_GT)
		row_put(r, first, true, CMP_GE, next_after(p, p->said));
	else if (!whole && is == CMP_LE)
		row_put(r, first, true, CMP_LT, next_after(p, p->said));
	else
		row_add(r, first, is, p->v);
}

static bool
operator_take(struct span *s, const char *op)
{
	if (!span_has_prefix(*s, span_of(op)))
		return (false);
	s->p += strlen(op);
	s->n -= strlen(op);
	*s = span_trim(*s);
	return (true);
}

static bool
word_add(struct range *r, bool *first, struct span s)
{
	static const struct {
		const char *text;
		enum comparison is;
	} ordered[] = { { ">=", CMP_GE }, { "<=", CMP_LE }, { ">", CMP_GT },
		{ "<", CMP_LT } };
	bool caret, tilde;
	struct partial p;
	size_t i;

	for (i = 0; i < ARRAY_LEN(ordered); i++)
		if (operator_take(&s, ordered[i].text)) {
			if (!partial_parse(s, &p) || p.said == 0)
				return (false);
			ordered_add(r, first, ordered[i].is, &p);
			return (true);
		}
	caret = operator_take(&s, "^");
	tilde = !caret && operator_take(&s, "~");
	if (!caret && !tilde)
		(void)operator_take(&s, "=");
	if (!partial_parse(s, &p))
		return (false);
	if (caret)
		span_add(r, first, &p, caret_keep(&p));
	else if (tilde)
		span_add(r, first, &p, p.said < 2 ? p.said : 2);
	else if (p.said == 3)
		row_add(r, first, CMP_EQ, p.v);
	else
		span_add(r, first, &p, p.said);
	return (true);
}

/* A word; what consists of an operator alone takes the next to it. */
static bool
word_next(struct span *rest, struct span *word_r)
{
	size_t n = 0;

	*rest = span_trim(*rest);
	if (rest->n == 0)
		return (false);
	while (n < rest->n && strchr("<>=~^", rest->p[n]) != NULL)
		n++;
	while (n < rest->n && rest->p[n] == ' ')
		n++;
	while (n < rest->n && rest->p[n] != ' ')
		n++;
	*word_r = (struct span){ rest->p, n };
	rest->p += n;
	rest->n -= n;
	return (true);
}

static bool
set_add(struct range *r, struct span set)
{
	struct span word;
	bool first = true;

	while (word_next(&set, &word))
		if (!word_add(r, &first, word))
			return (false);
	return (!first);
}

/* The next set, without the "||" in front of the one behind it. */
static bool
set_next(struct span *rest, struct span *set_r)
{
	size_t i;

	if (rest->p == NULL)
		return (false);
	for (i = 0; i + 1 < rest->n; i++)
		if (rest->p[i] == '|' && rest->p[i + 1] == '|') {
			*set_r = (struct span){ rest->p, i };
			rest->p += i + 2;
			rest->n -= i + 2;
			return (true);
		}
	*set_r = *rest;
	*rest = SPAN_NONE;
	return (true);
}

enum rc
version_range_parse(struct span text, struct range **r_r)
{
	struct range *r = xcalloc(1, sizeof(*r));
	struct span rest, set;

	r->text = xstrndup(text.p, text.n);
	rest = (struct span){ r->text, text.n };
	while (set_next(&rest, &set))
		if (!set_add(r, set)) {
			range_free(&r);
			return (RC_INVALID);
		}
	*r_r = r;
	return (RC_OK);
}

void
range_free(struct range **r_p)
{
	struct range *r = *r_p;

	*r_p = NULL;
	if (r == NULL)
		return;
	free(r->rows);
	free(r->text);
	free(r);
}

static bool
row_holds(const struct comparator *row, const struct version *v)
{
	int order = version_cmp(v, &row->v);

	switch (row->is) {
	case CMP_LT:
		return (order < 0);
	case CMP_LE:
		return (order <= 0);
	case CMP_EQ:
		return (order == 0);
	case CMP_GE:
		return (order >= 0);
	case CMP_GT:
		return (order > 0);
	}
	wrong("no such comparison");
}

/* Of a set, from row ${i} on; *${next_r}: where the next one begins. */
static bool
set_holds(
    const struct range *r, size_t i, const struct version *v, size_t *next_r)
{
	bool holds = true, named = v->pre.n == 0;
	const struct comparator *row;

	do {
		row = &r->rows[i];
		holds = holds && row_holds(row, v);
		named = named || (!row->ours && row->v.pre.n > 0 &&
				     numbers_cmp(&row->v, v) == 0);
	} while (++i < r->n && !r->rows[i].first);
	*next_r = i;
	return (holds && named);
}

bool
range_has(const struct range *r, const struct version *v)
{
	size_t i = 0;

	while (i < r->n)
		if (set_holds(r, i, v, &i))
			return (true);
	return (false);
}
