#include "registryctl/template_int.h"

#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/obj.h"

/*
 * AllowedPattern.  CloudFormation's are regular expressions of Java, ours are
 * extended ones of POSIX; what people write in templates is translated: \d,
 * \w, \s, escapes also within [ ], (?:...), lazy repetition, which is the same
 * where all of a text must match.  What POSIX lacks (looking around,
 * references back, possessive repetition, sets within sets) is refused by
 * name, never read as something else.
 *
 * The library unrolls repetition, so ((a{255}){255}){255} is bounded before
 * it sees it.
 */
#define PATTERN_MAX_BYTES 1024
#define OUT_MAX_BYTES ((size_t)64 << 10)
#define GROUPS_MAX 32
#define UNROLLED_MAX 10000
#define REPEAT_MAX 10000

struct translation {
	const char *p;
	struct buf out;
	char *why;
	/* Of each group that is open: what it unrolls to, and its last item,
	 * 0: nothing that could be repeated. */
	size_t total[GROUPS_MAX + 1];
	size_t last[GROUPS_MAX + 1];
	size_t n_open;
};

static enum rc
refuse(struct translation *t, const char *what)
{
	return (
	    template_fail(t->why, RC_INVALID, "%s (at \"%.20s\")", what, t->p));
}

/* --- items --------------------------------------------------------------- */

static enum rc
total_check(struct translation *t)
{
	if (t->total[t->n_open] > UNROLLED_MAX)
		return (refuse(t, "it repeats too much"));
	return (RC_OK);
}

static enum rc
item_done(struct translation *t, size_t unrolled)
{
	t->last[t->n_open] = unrolled;
	t->total[t->n_open] += unrolled;
	return (total_check(t));
}

static const char *
class_of(char c)
{
	static const struct {
		char name;
		const char *inside;
	} classes[] = { { 'd', "0-9" }, { 'w', "A-Za-z0-9_" },
		{ 's', "[:space:]" } };
	size_t i;

	for (i = 0; i < ARRAY_LEN(classes); i++)
		if (classes[i].name == c)
			return (classes[i].inside);
	return (NULL);
}

/* The character that "\c" stands for; '\0': none. */
static char
escaped_char(char c)
{
	static const char from[] = "ntrf", to[] = "\n\t\r\f";
	const char *at;

	if (c == '\0')
		return ('\0');
	if ((at = strchr(from, c)) != NULL)
		return (to[at - from]);
	return (strchr(" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c) != NULL
		    ? c
		    : '\0');
}

static enum rc
literal_take(struct translation *t, char c)
{
	if (strchr(".[]{}()*+?^$|\\", c) != NULL)
		buf_char(&t->out, '\\');
	buf_char(&t->out, c);
	return (item_done(t, 1));
}

static enum rc
escape_take(struct translation *t)
{
	char name = t->p[1];
	const char *inside = class_of(name);
	char c = escaped_char(name);

	if (inside == NULL && name >= 'A' && name <= 'Z') {
		inside = class_of((char)(name - 'A' + 'a'));
		if (inside != NULL)
			buf_printf(&t->out, "[^%s]", inside);
	} else if (inside != NULL)
		buf_printf(&t->out, "[%s]", inside);
	if (inside == NULL && c == '\0')
		return (refuse(t, "this escape is not supported"));
	t->p += 2;
	return (inside != NULL ? item_done(t, 1) : literal_take(t, c));
}

/* --- sets ---------------------------------------------------------------- */

/* [ ] of POSIX has no escapes: what is special stands where it is not. */
struct set {
	struct buf body;
	bool bracket_close;
	bool bracket_open;
	bool caret;
	bool dash;
};

static void
set_char(struct set *s, char c)
{
	switch (c) {
	case ']':
		s->bracket_close = true;
		break;
	case '[':
		s->bracket_open = true;
		break;
	case '^':
		s->caret = true;
		break;
	case '-':
		s->dash = true;
		break;
	default:
		buf_char(&s->body, c);
	}
}

/* One character of a set, or a class, *${c_r} '\0' then. */
static enum rc
set_item(struct translation *t, struct set *s, char *c_r)
{
	const char *inside;

	*c_r = *t->p;
	if (*t->p == '[' || (t->p[0] == '&' && t->p[1] == '&'))
		return (refuse(t, "sets within sets are not supported"));
	if ((unsigned char)*t->p >= 0x80)
		return (refuse(t, "a set has ASCII characters only"));
	if (*t->p != '\\') {
		t->p++;
		return (RC_OK);
	}
	*c_r = escaped_char(t->p[1]);
	inside = class_of(t->p[1]);
	if (*c_r == '\0' && inside == NULL)
		return (refuse(t, "this escape is not supported"));
	if (inside != NULL)
		buf_str(&s->body, inside);
	t->p += 2;
	return (RC_OK);
}

static enum rc
set_range(struct translation *t, struct set *s, char from)
{
	char to;
	enum rc rc;

	t->p++;
	if ((rc = set_item(t, s, &to)) != RC_OK)
		return (rc);
	if (to == '\0' || from > to || strchr("[]^-", from) != NULL ||
	    strchr("[]^-", to) != NULL)
		return (refuse(t, "this is no range of characters"));
	buf_printf(&s->body, "%c-%c", from, to);
	return (RC_OK);
}

static enum rc
set_read(struct translation *t, struct set *s)
{
	bool first = true;
	char c;
	enum rc rc;

	for (; *t->p != ']' || first; first = false) {
		if (*t->p == '\0')
			return (refuse(t, "a [ has no ]"));
		if ((rc = set_item(t, s, &c)) != RC_OK)
			return (rc);
		if (c == '\0')
			continue;
		if (t->p[0] != '-' || t->p[1] == ']' || t->p[1] == '\0') {
			set_char(s, c);
			continue;
		}
		if ((rc = set_range(t, s, c)) != RC_OK)
			return (rc);
	}
	t->p++;
	return (RC_OK);
}

static void
set_write(struct buf *out, const struct set *s, bool negated)
{
	bool caret_first = s->caret && !negated && !s->bracket_close &&
			   s->body.n == 0 && !s->bracket_open;

	if (caret_first && !s->dash) {
		buf_str(out, "\\^");
		return;
	}
	buf_printf(out, "[%s%s%s", negated ? "^" : "",
	    s->bracket_close ? "]" : "", caret_first ? "-" : "");
	buf_span(out, buf_as_span(&s->body));
	buf_printf(out, "%s%s%s]", s->bracket_open ? "[" : "",
	    s->caret ? "^" : "", s->dash && !caret_first ? "-" : "");
}

static enum rc
set_take(struct translation *t)
{
	struct set s = { 0 };
	bool negated = t->p[1] == '^';
	enum rc rc;

	buf_init(&s.body, OUT_MAX_BYTES);
	t->p += negated ? 2 : 1;
	rc = set_read(t, &s);
	if (rc == RC_OK) {
		set_write(&t->out, &s, negated);
		rc = item_done(t, 1);
	}
	buf_free(&s.body);
	return (rc);
}

/* --- groups and repetition ----------------------------------------------- */

static enum rc
group_open(struct translation *t)
{
	if (t->p[1] == '?' && t->p[2] != ':')
		return (refuse(t, "looking around is not supported"));
	if (t->n_open == GROUPS_MAX)
		return (refuse(t, "too many groups within each other"));
	t->p += t->p[1] == '?' ? 3 : 1;
	buf_char(&t->out, '(');
	t->n_open++;
	t->total[t->n_open] = 0;
	t->last[t->n_open] = 0;
	return (RC_OK);
}

static enum rc
group_close(struct translation *t)
{
	size_t unrolled;

	if (t->n_open == 0)
		return (refuse(t, "a ) has no ("));
	unrolled = t->total[t->n_open--];
	t->p++;
	buf_char(&t->out, ')');
	return (item_done(t, unrolled > 0 ? unrolled : 1));
}

/* "{2}", "{2,}", "{2,5}"; returns what is behind it, NULL: none of them. */
static const char *
interval_read(const char *p, uint64_t *most_r)
{
	size_t n = strspn(++p, "0123456789"), m;
	uint64_t least;

	if (num_u64((struct span){ p, n }, REPEAT_MAX, &least) != RC_OK)
		return (NULL);
	*most_r = least;
	p += n;
	if (*p == ',') {
		m = strspn(++p, "0123456789");
		*most_r = least + 1;
		if (m > 0 && (num_u64((struct span){ p, m }, REPEAT_MAX,
				  most_r) != RC_OK ||
				 *most_r < least))
			return (NULL);
		p += m;
	}
	return (*p == '}' ? p + 1 : NULL);
}

static enum rc
repeat_take(struct translation *t)
{
	size_t last = t->last[t->n_open];
	const char *end = t->p + 1;
	uint64_t most = 1;

	if (last == 0)
		return (refuse(t, "there is nothing to repeat"));
	if (*t->p == '{' && (end = interval_read(t->p, &most)) == NULL)
		return (refuse(t, "this repeats in no known way"));
	if (*end == '+')
		return (refuse(t, "possessive repetition is not supported"));
	buf_add(&t->out, t->p, (size_t)(end - t->p));
	t->p = *end == '?' ? end + 1 : end;
	t->last[t->n_open] = 0;
	if (most > 1)
		t->total[t->n_open] += last * (size_t)(most - 1);
	return (total_check(t));
}

static enum rc
mark_take(struct translation *t)
{
	buf_char(&t->out, *t->p++);
	t->last[t->n_open] = 0;
	return (RC_OK);
}

static enum rc
char_take(struct translation *t)
{
	if (*t->p == '.') {
		buf_char(&t->out, *t->p++);
		return (item_done(t, 1));
	}
	return (literal_take(t, *t->p++));
}

static enum rc
piece_take(struct translation *t)
{
	switch (*t->p) {
	case '\\':
		return (escape_take(t));
	case '[':
		return (set_take(t));
	case '(':
		return (group_open(t));
	case ')':
		return (group_close(t));
	case '*':
	case '+':
	case '?':
	case '{':
		return (repeat_take(t));
	case '^':
	case '$':
	case '|':
		return (mark_take(t));
	default:
		return (char_take(t));
	}
}

static enum rc
translate(struct translation *t)
{
	enum rc rc;

	if (strlen(t->p) > PATTERN_MAX_BYTES)
		return (template_fail(t->why, RC_INVALID,
		    "it is longer than %d bytes", PATTERN_MAX_BYTES));
	buf_str(&t->out, "^(");
	while (*t->p != '\0')
		if ((rc = piece_take(t)) != RC_OK)
			return (rc);
	if (t->n_open > 0)
		return (refuse(t, "a ( has no )"));
	buf_str(&t->out, ")$");
	buf_char(&t->out, '\0');
	must(buf_ok(&t->out));
	return (RC_OK);
}

static enum rc
pattern_try(const char *pattern, const char *text, bool *is_r, char *why)
{
	char reason[128];
	regex_t re;
	int err;

	err = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
	if (err != 0) {
		(void)regerror(err, &re, reason, sizeof(reason));
		return (template_fail(why, RC_INVALID, "%s", reason));
	}
	*is_r = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return (RC_OK);
}

enum rc
template_pattern_match(const char *pattern, const char *text, bool *is_r,
    char why[TEMPLATE_WHY_BYTES])
{
	struct translation t = { .p = pattern, .why = why };
	enum rc rc;

	*is_r = false;
	buf_init(&t.out, OUT_MAX_BYTES);
	rc = translate(&t);
	if (rc == RC_OK)
		rc = pattern_try(t.out.p, text, is_r, why);
	buf_free(&t.out);
	return (rc);
}
