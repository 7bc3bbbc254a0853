#include "scan/version_int.h"

#include "base/obj.h"

/*
 * Versions of Alpine's packages (apk-package(5)):
 *
 *	version = number *( "." number ) [ letter ] *( "_" suffix [ number ] )
 *		  [ "~" hash ] [ "-r" number ]
 *	suffix  = "alpha" / "beta" / "pre" / "rc"	(before the version)
 *		/ "cvs" / "svn" / "git" / "hg" / "p"	(behind it)
 *
 * Two are compared part by part.  The first parts of different kinds decide by
 * their kinds, as they stand below: one that goes on is above one that ends,
 * unless it goes on with a suffix that comes before the version.
 */
enum part_kind {
	PART_BEFORE, /* a suffix of that sort */
	PART_END,
	PART_REVISION,
	PART_HASH,
	PART_SUFFIX_NUMBER,
	PART_BEHIND,
	PART_LETTER,
	PART_NUMBER,   /* the first one, and */
	PART_FRACTION, /* those behind a dot */
};

struct part {
	enum part_kind kind;
	struct span text; /* digits, a letter, a hash */
	int suffix;	  /* its place among those of its sort */
};

struct parser {
	struct span rest;
	enum part_kind last;
};

static const char *const before[] = { "alpha", "beta", "pre", "rc" };
static const char *const behind[] = { "cvs", "svn", "git", "hg", "p" };

static bool
suffix_is(struct span word, const char *const *list, size_t n, int *place_r)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (span_is(word, list[i])) {
			*place_r = (int)i;
			return (true);
		}
	return (false);
}

static bool
suffix_take(struct parser *p, struct part *part)
{
	struct span word = { p->rest.p, 0 };

	while (word.n < p->rest.n && is_lower(word.p[word.n]))
		word.n++;
	skip(&p->rest, word.n);
	part->kind = PART_BEFORE;
	if (suffix_is(word, before, ARRAY_LEN(before), &part->suffix))
		return (true);
	part->kind = PART_BEHIND;
	return (suffix_is(word, behind, ARRAY_LEN(behind), &part->suffix));
}

static bool
digits_take(struct parser *p, struct part *part, enum part_kind kind)
{
	part->kind = kind;
	part->text = take_digits(&p->rest);
	return (part->text.n > 0);
}

static bool
hash_take(struct parser *p, struct part *part)
{
	struct span *s = &p->rest;

	part->kind = PART_HASH;
	part->text = (struct span){ s->p, 0 };
	while (part->text.n < s->n &&
	       (is_digit(s->p[part->text.n]) ||
		   (s->p[part->text.n] >= 'a' && s->p[part->text.n] <= 'f')))
		part->text.n++;
	skip(s, part->text.n);
	return (part->text.n > 0);
}

static bool
is_number(enum part_kind kind)
{
	return (kind == PART_NUMBER || kind == PART_FRACTION);
}

/* May ${kind} stand behind ${last}?  What comes later in the grammar is lower
 * in the list; suffixes may be several. */
static bool
follows(enum part_kind last, enum part_kind kind)
{
	if (kind == PART_FRACTION)
		return (is_number(last));
	if (kind == PART_BEFORE || kind == PART_BEHIND)
		return (last == PART_BEFORE || last > PART_HASH);
	if (kind == PART_HASH)
		return (last == PART_BEFORE || last > PART_HASH);
	return (last != PART_REVISION);
}

static bool
part_take(struct parser *p, struct part *part)
{
	struct span *s = &p->rest;

	*part = (struct part){ .kind = PART_END };
	if (s->n == 0)
		return (true);
	if ((p->last == PART_BEFORE || p->last == PART_BEHIND) &&
	    is_digit(s->p[0]))
		return (digits_take(p, part, PART_SUFFIX_NUMBER));
	if (is_number(p->last) && is_lower(s->p[0])) {
		*part = (struct part){ PART_LETTER, { s->p, 1 }, 0 };
		skip(s, 1);
		return (true);
	}
	if (take_char(s, '.'))
		return (digits_take(p, part, PART_FRACTION));
	if (take_char(s, '_'))
		return (suffix_take(p, part));
	if (take_char(s, '~'))
		return (hash_take(p, part));
	return (take_char(s, '-') && take_char(s, 'r') &&
		digits_take(p, part, PART_REVISION));
}

static bool
part_next(struct parser *p, struct part *part)
{
	if (!part_take(p, part))
		return (false);
	if (part->kind != PART_END && part->kind != PART_LETTER &&
	    part->kind != PART_SUFFIX_NUMBER && !follows(p->last, part->kind))
		return (false);
	p->last = part->kind;
	return (true);
}

static bool
part_first(struct span text, struct parser *p, struct part *part)
{
	*p = (struct parser){ .rest = text, .last = PART_NUMBER };
	return (digits_take(p, part, PART_NUMBER));
}

static bool
valid(struct span text)
{
	struct parser p;
	struct part part;

	if (!part_first(text, &p, &part))
		return (false);
	do {
		if (!part_next(&p, &part))
			return (false);
	} while (part.kind != PART_END);
	return (true);
}

/* Of numbers behind a dot those with a zero in front are read as decimals. */
static int
fraction_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order;

	if (a.p[0] != '0' && b.p[0] != '0')
		return (digits_cmp(a, b));
	if ((order = memcmp(a.p, b.p, n)) != 0)
		return (order);
	return (a.n < b.n ? -1 : a.n > b.n);
}

static int
part_cmp(const struct part *a, const struct part *b)
{
	if (a->kind != b->kind)
		return (a->kind < b->kind ? -1 : 1);
	switch (a->kind) {
	case PART_BEFORE:
	case PART_BEHIND:
		return (a->suffix < b->suffix ? -1 : a->suffix > b->suffix);
	case PART_NUMBER:
	case PART_REVISION:
	case PART_SUFFIX_NUMBER:
		return (digits_cmp(a->text, b->text));
	case PART_FRACTION:
		return (fraction_cmp(a->text, b->text));
	case PART_LETTER:
	case PART_HASH:
		return (span_cmp(a->text, b->text));
	case PART_END:
		return (0);
	}
	wrong("a part of no known kind");
}

enum rc
apk_compare(struct span a, struct span b, int *order_r)
{
	struct parser pa, pb;
	struct part x, y;
	bool ok;

	if (!valid(a) || !valid(b))
		return (RC_INVALID);
	ok = part_first(a, &pa, &x) && part_first(b, &pb, &y);
	while (ok && (*order_r = part_cmp(&x, &y)) == 0 && x.kind != PART_END)
		ok = part_next(&pa, &x) && part_next(&pb, &y);
	must(ok);
	return (RC_OK);
}
