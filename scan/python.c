#include <stdio.h>

#include "base/buf.h"
#include "scan/layer_int.h"

/*
 * Python: what is installed says so in METADATA or PKG-INFO ("Core metadata
 * specifications"); requirements.txt says what is wanted, and counts only where
 * it names one version and no other ("Requirements File Format", PEP 440).
 */
#define NAME_MAX_BYTES 256
#define LICENSE_MAX_BYTES 128
/* A pin stands at the beginning; hashes may follow for long. */
#define LOGICAL_MAX_BYTES ((size_t)4096)

static bool
is_alnum(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9'));
}

static bool
is_separator(char c)
{
	return (c == '-' || c == '_' || c == '.');
}

/* PEP 503: lower case, one '-' for each run of separators. */
static bool
name_normal(struct span in, char out[NAME_MAX_BYTES], struct span *name_r)
{
	size_t i, n = 0;

	if (in.n == 0 || in.n > NAME_MAX_BYTES || !is_alnum(in.p[0]))
		return (false);
	for (i = 0; i < in.n; i++) {
		if (is_separator(in.p[i])) {
			if (!is_separator(in.p[i - 1]))
				out[n++] = '-';
			continue;
		}
		if (!is_alnum(in.p[i]))
			return (false);
		out[n++] = in.p[i] >= 'A' && in.p[i] <= 'Z'
			       ? (char)(in.p[i] - 'A' + 'a')
			       : in.p[i];
	}
	*name_r = (struct span){ out, n };
	return (true);
}

/* --- what is installed ---------------------------------------------------- */

static void
metadata_take(struct package *p, const struct field *f)
{
	if (span_eq_nocase(f->name, SPAN("Name")) && p->name.n == 0)
		p->name = f->value;
	else if (span_eq_nocase(f->name, SPAN("Version")) && p->version.n == 0)
		p->version = f->value;
	else if (span_eq_nocase(f->name, SPAN("License-Expression")))
		p->license = f->value;
	else if (span_eq_nocase(f->name, SPAN("License")) &&
		 p->license.n == 0 && f->value.n <= LICENSE_MAX_BYTES &&
		 !span_is(f->value, "UNKNOWN"))
		p->license = f->value;
}

enum rc
python_metadata_read(struct span text, struct package_list *list)
{
	struct package p = { .type = PACKAGE_PYPI };
	char name[NAME_MAX_BYTES];
	struct field f;

	while (field_next(&text, &f))
		metadata_take(&p, &f);
	if (p.version.n > 0 && name_normal(p.name, name, &p.name))
		return (package_add(list, &p));
	(void)snprintf(list->why, READ_WHY_BYTES,
	    "metadata of a Python package without a name and a version");
	return (RC_INVALID);
}

/* --- what is wanted ------------------------------------------------------- */

static size_t
spaces(struct span s, size_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	return (i);
}

static size_t
name_end(struct span s, size_t i)
{
	while (i < s.n && (is_alnum(s.p[i]) || is_separator(s.p[i])))
		i++;
	return (i);
}

/* "[extra, other]" */
static size_t
extras_end(struct span s, size_t i)
{
	const char *close;

	if (i == s.n || s.p[i] != '[')
		return (i);
	close = memchr(s.p + i, ']', s.n - i);
	return (close != NULL ? (size_t)(close - s.p) + 1 : s.n);
}

static size_t
version_end(struct span s, size_t i)
{
	while (i < s.n && (is_alnum(s.p[i]) || is_separator(s.p[i]) ||
			      s.p[i] == '!' || s.p[i] == '+'))
		i++;
	return (i);
}

/* What may follow a version: the end, options, a marker, a comment. */
static bool
version_alone(struct span s, size_t i)
{
	size_t after = spaces(s, i);

	if (after == s.n || s.p[after] == ';')
		return (true);
	return (after > i && (s.p[after] == '-' || s.p[after] == '#'));
}

/* name[extras]==version: RC_NOTFOUND for anything else. */
static enum rc
pin_parse(struct span s, struct span *name_r, struct span *version_r)
{
	size_t i, from;

	i = name_end(s, 0);
	*name_r = (struct span){ s.p, i };
	i = spaces(s, extras_end(s, spaces(s, i)));
	if (s.n - i < 3 || memcmp(s.p + i, "==", 2) != 0)
		return (RC_NOTFOUND);
	i += s.p[i + 2] == '=' ? 3 : 2;
	from = spaces(s, i);
	i = version_end(s, from);
	if (i == from || !version_alone(s, i))
		return (RC_NOTFOUND);
	*version_r = (struct span){ s.p + from, i - from };
	return (RC_OK);
}

static enum rc
requirement_take(struct span line, struct package_list *list)
{
	struct package p = { .type = PACKAGE_PYPI };
	char name[NAME_MAX_BYTES];

	line = span_trim(line);
	if (line.n == 0 || !is_alnum(line.p[0]) ||
	    pin_parse(line, &p.name, &p.version) != RC_OK ||
	    !name_normal(p.name, name, &p.name))
		return (RC_OK);
	return (package_add(list, &p));
}

enum rc
python_requirements_read(struct span text, struct package_list *list)
{
	struct buf logical;
	struct span line;
	bool more;
	enum rc rc = RC_OK;

	if (span_has_prefix(text, SPAN("\xef\xbb\xbf")))
		text = (struct span){ text.p + 3, text.n - 3 };
	buf_init(&logical, LOGICAL_MAX_BYTES);
	while (rc == RC_OK && line_next(&text, &line)) {
		more = line.n > 0 && line.p[line.n - 1] == '\\';
		if (more)
			line.n--;
		buf_span(&logical, line);
		if (more)
			continue;
		rc = requirement_take(buf_as_span(&logical), list);
		buf_clear(&logical);
	}
	if (rc == RC_OK)
		rc = requirement_take(buf_as_span(&logical), list);
	buf_free(&logical);
	return (rc);
}
