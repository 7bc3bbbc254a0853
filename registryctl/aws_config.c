#include "registryctl/aws_config.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/obj.h"

#define PROFILE_WORD SPAN("profile")

enum line_kind { LINE_EMPTY, LINE_SECTION, LINE_VALUE, LINE_NESTED, LINE_BAD };

struct line {
	enum line_kind kind;
	struct span name; /* of the section, or the key */
	struct span value;
};

/* A walk through the text, one line at a time. */
struct walk {
	struct span rest;
	unsigned number;
	size_t indent; /* of the last key; SIZE_MAX: none in this section */
};

static enum rc __attribute__((format(printf, 3, 4)))
fail(char *why, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, AWS_CONFIG_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

/* What stands behind white space and a mark is a comment. */
static struct span
without_comment(struct span s)
{
	size_t i;

	for (i = 1; i < s.n; i++)
		if ((s.p[i] == '#' || s.p[i] == ';') && is_blank(s.p[i - 1]))
			break;
	if (i < s.n)
		s.n = i;
	return (span_trim(s));
}

static bool
has_control(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') ||
		    s.p[i] == 0x7f)
			return (true);
	return (false);
}

/* "[name]", perhaps with a comment behind it. */
static void
section_read(struct span text, struct line *l)
{
	const char *end = memchr(text.p, ']', text.n);
	struct span rest;

	l->kind = LINE_BAD;
	if (end == NULL)
		return;
	l->name =
	    span_trim((struct span){ text.p + 1, (size_t)(end - text.p) - 1 });
	rest = span_trim(
	    (struct span){ end + 1, text.n - (size_t)(end - text.p) - 1 });
	if (l->name.n > 0 &&
	    (rest.n == 0 || rest.p[0] == '#' || rest.p[0] == ';'))
		l->kind = LINE_SECTION;
}

static void
value_read(struct span text, struct line *l)
{
	const char *eq = memchr(text.p, '=', text.n);

	l->kind = LINE_BAD;
	if (eq == NULL)
		return;
	l->name = span_trim((struct span){ text.p, (size_t)(eq - text.p) });
	l->value = without_comment(
	    (struct span){ eq + 1, text.n - (size_t)(eq - text.p) - 1 });
	if (l->name.n > 0)
		l->kind = LINE_VALUE;
}

static void
line_read(struct walk *w, struct span text, struct line *l)
{
	struct span trimmed;
	size_t indent = 0;

	*l = (struct line){ LINE_EMPTY, SPAN_NONE, SPAN_NONE };
	if (text.n > 0 && text.p[text.n - 1] == '\r')
		text.n--;
	trimmed = span_trim(text);
	if (trimmed.n == 0 || trimmed.p[0] == '#' || trimmed.p[0] == ';')
		return;
	while (is_blank(text.p[indent]))
		indent++;
	if (text.n > AWS_CONFIG_LINE_MAX_BYTES || has_control(text)) {
		l->kind = LINE_BAD;
	} else if (w->indent != SIZE_MAX && indent > w->indent) {
		l->kind = LINE_NESTED;
	} else if (trimmed.p[0] == '[') {
		section_read(trimmed, l);
		w->indent = SIZE_MAX;
	} else {
		value_read(trimmed, l);
		w->indent = indent;
	}
}

static bool
line_next(struct walk *w, struct line *l)
{
	struct span text;

	if (!span_split(&w->rest, '\n', &text))
		return (false);
	w->number++;
	line_read(w, text, l);
	return (true);
}

/* Is the section that of the profile?  In the config file all but the default
 * one say "profile" first. */
static bool
section_is(enum aws_config_kind kind, struct span name, struct span profile)
{
	struct span rest;

	if (kind == AWS_CREDENTIALS_FILE || span_is(profile, "default"))
		if (span_eq(name, profile))
			return (true);
	if (kind == AWS_CREDENTIALS_FILE || name.n <= PROFILE_WORD.n ||
	    !span_has_prefix(name, PROFILE_WORD) ||
	    !is_blank(name.p[PROFILE_WORD.n]))
		return (false);
	rest = span_trim(
	    (struct span){ name.p + PROFILE_WORD.n, name.n - PROFILE_WORD.n });
	return (span_eq(rest, profile));
}

/* ${seen_r}: the section was met. */
static enum rc
config_walk(const struct aws_config *c, struct span profile, const char *key,
    struct span *value_r, bool *seen_r, char *why)
{
	struct walk w = { c->text, 0, SIZE_MAX };
	bool inside = false, any = false, found = false;
	struct line l;

	while (line_next(&w, &l)) {
		if (l.kind == LINE_BAD || (l.kind == LINE_VALUE && !any))
			return (fail(why, RC_INVALID,
			    "line %u is neither [profile] nor key = value",
			    w.number));
		if (l.kind == LINE_SECTION) {
			any = true;
			inside = section_is(c->kind, l.name, profile);
			*seen_r = *seen_r || inside;
		} else if (l.kind == LINE_VALUE && inside &&
			   span_is(l.name, key)) {
			*value_r = l.value;
			found = true;
		}
	}
	return (found ? RC_OK : RC_NOTFOUND);
}

enum rc
aws_config_get(const struct aws_config *c, struct span profile, const char *key,
    struct span *value_r, char why[AWS_CONFIG_WHY_BYTES])
{
	bool seen = false;
	enum rc rc;

	if (c->text.n > AWS_CONFIG_MAX_BYTES)
		return (fail(why, RC_TOOBIG, "it is longer than %zu bytes",
		    AWS_CONFIG_MAX_BYTES));
	rc = config_walk(c, profile, key, value_r, &seen, why);
	if (rc == RC_NOTFOUND)
		(void)fail(why, rc,
		    seen ? "the profile %.*s has no %s"
			 : "there is no profile %.*s with %s",
		    (int)(profile.n < 64 ? profile.n : 64), profile.p, key);
	return (rc);
}
