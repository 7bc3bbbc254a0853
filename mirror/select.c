#include "mirror/select.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "mirror/semver.h"

/* Of one expression. */
#define EXPRESSION_MAX_BYTES 512

struct selection {
	char **globs, **excludes;
	size_t n_globs, n_excludes;
	regex_t *regexes;
	size_t n_regexes;
	struct range *range;
	unsigned newest;
};

/* --- making one ---------------------------------------------------------- */

static enum rc
refuse(char why[SELECT_WHY_BYTES], const char *what, struct span expression,
    const char *reason)
{
	int n = expression.n < 100 ? (int)expression.n : 100;

	(void)snprintf(why, SELECT_WHY_BYTES, "%s \"%.*s\": %s", what, n,
	    expression.p != NULL ? expression.p : "", reason);
	return (RC_INVALID);
}

static enum rc
length_check(struct span s, const char *what, char why[SELECT_WHY_BYTES])
{
	if (s.n == 0)
		return (refuse(why, what, s, "is empty"));
	if (s.n > EXPRESSION_MAX_BYTES)
		return (refuse(why, what, s, "is longer than 512 bytes"));
	if (memchr(s.p, '\0', s.n) != NULL)
		return (refuse(why, what, s, "has a NUL in it"));
	return (RC_OK);
}

/* fnmatch() takes a '[' without its ']' for itself. */
static bool
brackets_ok(const char *glob)
{
	const char *p = glob;

	while ((p = strpbrk(p, "[\\")) != NULL) {
		if (*p == '\\') {
			if (p[1] == '\0')
				return (false);
			p += 2;
			continue;
		}
		p++;
		if (*p == '!' || *p == '^')
			p++;
		if (*p == '\0' || (p = strchr(p + 1, ']')) == NULL)
			return (false);
		p++;
	}
	return (true);
}

static enum rc
globs_take(const struct span *from, size_t n, const char *what,
    char why[SELECT_WHY_BYTES], char ***globs_r, size_t *n_r)
{
	enum rc rc;

	*globs_r = xcalloc(n + 1, sizeof(**globs_r));
	for (*n_r = 0; *n_r < n; (*n_r)++) {
		if ((rc = length_check(from[*n_r], what, why)) != RC_OK)
			return (rc);
		(*globs_r)[*n_r] = xstrndup(from[*n_r].p, from[*n_r].n);
		if (!brackets_ok((*globs_r)[*n_r])) {
			(*n_r)++;
			return (refuse(why, what, from[*n_r - 1],
			    "a '[' has no ']', or a '\\' nothing behind it"));
		}
	}
	return (RC_OK);
}

static enum rc
regexes_take(struct selection *s, const struct span *from, size_t n,
    char why[SELECT_WHY_BYTES])
{
	static const char what[] = "the regular expression";
	char reason[128], *text;
	regex_t *re;
	int err;
	enum rc rc;

	s->regexes = xcalloc(n + 1, sizeof(*s->regexes));
	for (; s->n_regexes < n; s->n_regexes++) {
		if ((rc = length_check(from[s->n_regexes], what, why)) != RC_OK)
			return (rc);
		re = &s->regexes[s->n_regexes];
		text = xstrndup(from[s->n_regexes].p, from[s->n_regexes].n);
		err = regcomp(re, text, REG_EXTENDED);
		free(text);
		if (err != 0) {
			(void)regerror(err, re, reason, sizeof(reason));
			return (refuse(why, what, from[s->n_regexes], reason));
		}
	}
	return (RC_OK);
}

static enum rc
range_take(struct selection *s, struct span text, char why[SELECT_WHY_BYTES])
{
	static const char what[] = "the range of versions";
	enum rc rc;

	if (text.n == 0)
		return (RC_OK);
	if ((rc = length_check(text, what, why)) != RC_OK)
		return (rc);
	if (version_range_parse(text, &s->range) != RC_OK)
		return (refuse(why, what, text,
		    "must be like \">=1.2 <2 || 3.x\", \"^1.4\" or "
		    "\"~1.4.2\""));
	return (RC_OK);
}

enum rc
selection_new(const struct select_options *o, char why[SELECT_WHY_BYTES],
    struct selection **s_r)
{
	struct selection *s = xcalloc(1, sizeof(*s));
	enum rc rc;

	s->newest = o->newest;
	rc = globs_take(
	    o->globs, o->n_globs, "the glob", why, &s->globs, &s->n_globs);
	if (rc == RC_OK)
		rc = globs_take(o->excludes, o->n_excludes, "the exclusion",
		    why, &s->excludes, &s->n_excludes);
	if (rc == RC_OK)
		rc = regexes_take(s, o->regexes, o->n_regexes, why);
	if (rc == RC_OK)
		rc = range_take(s, o->semver, why);
	if (rc != RC_OK)
		selection_free(&s);
	*s_r = s;
	return (rc);
}

static void
globs_free(char **globs, size_t n)
{
	while (n > 0)
		free(globs[--n]);
	free(globs);
}

void
selection_free(struct selection **s_p)
{
	struct selection *s = *s_p;
	size_t i;

	*s_p = NULL;
	if (s == NULL)
		return;
	globs_free(s->globs, s->n_globs);
	globs_free(s->excludes, s->n_excludes);
	for (i = 0; i < s->n_regexes; i++)
		regfree(&s->regexes[i]);
	free(s->regexes);
	range_free(&s->range);
	free(s);
}

/* --- asking it ----------------------------------------------------------- */

static bool
any_glob(char *const *globs, size_t n, const char *tag)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (fnmatch(globs[i], tag, 0) == 0)
			return (true);
	return (false);
}

/* POSIX: of the matches the leftmost, of these the longest; so one of the
 * whole tag is found if there is one. */
static bool
any_regex(const struct selection *s, const char *tag, size_t n)
{
	regmatch_t at;
	size_t i;

	for (i = 0; i < s->n_regexes; i++)
		if (regexec(&s->regexes[i], tag, 1, &at, 0) == 0 &&
		    at.rm_so == 0 && (size_t)at.rm_eo == n)
			return (true);
	return (false);
}

bool
selection_takes(const struct selection *s, struct span tag)
{
	char text[NAME_TAG_MAX_BYTES + 1];
	struct version v;

	if (tag.n == 0 || tag.n > NAME_TAG_MAX_BYTES)
		return (false);
	memcpy(text, tag.p, tag.n);
	text[tag.n] = '\0';
	if ((s->n_globs > 0 || s->n_regexes > 0) &&
	    !any_glob(s->globs, s->n_globs, text) && !any_regex(s, text, tag.n))
		return (false);
	if (s->range != NULL &&
	    (!version_parse(tag, &v) || !range_has(s->range, &v)))
		return (false);
	return (!any_glob(s->excludes, s->n_excludes, text));
}

/* The newest first. */
static int
age_compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	struct version v, w;
	bool v_ok = version_parse(*x, &v), w_ok = version_parse(*y, &w);
	int order = 0;

	if (v_ok != w_ok)
		return (v_ok ? -1 : 1);
	if (v_ok)
		order = version_cmp(&w, &v);
	return (order != 0 ? order : span_cmp(*y, *x));
}

size_t
selection_apply(const struct selection *s, struct span *tags, size_t n)
{
	struct span tag;
	size_t i, taken = 0;

	for (i = 0; i < n; i++) {
		if (!selection_takes(s, tags[i]))
			continue;
		tag = tags[taken];
		tags[taken++] = tags[i];
		tags[i] = tag;
	}
	if (s->newest == 0)
		return (taken);
	if (taken > 1)
		qsort(tags, taken, sizeof(*tags), age_compare);
	return (taken < s->newest ? taken : s->newest);
}
