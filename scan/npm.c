#include <stdio.h>

#include "base/json.h"
#include "scan/layer_int.h"

/*
 * package-lock.json ("package-lock.json", npm's documentation).  Version 1 has a
 * tree of "dependencies", 3 a list of "packages" by the folder that they are in,
 * and 2 both.  It may be long, so it is cut into its members here, and only each
 * package becomes a document.
 */

/* --- cutting -------------------------------------------------------------- */

static void
space_skip(struct span *s)
{
	while (s->n > 0 && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' ||
			       *s->p == '\r')) {
		s->p++;
		s->n--;
	}
}

static void
advance(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

/* Behind the closing quote of the string that begins at ${i}; 0: there is
 * none. */
static size_t
string_end(struct span s, size_t i)
{
	for (i++; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return (i + 1);
	}
	return (0);
}

static bool
ends_scalar(char c)
{
	return (c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' ||
		c == '\n' || c == '\r');
}

/* The length of the value that ${s} begins with; 0: it has no end.  What is in
 * it is not looked at: who wants it reads it as a document. */
static size_t
value_end(struct span s)
{
	size_t i = 0, depth = 0;

	while (i < s.n) {
		if (s.p[i] == '"') {
			if ((i = string_end(s, i)) == 0)
				return (0);
		} else if (s.p[i] == '{' || s.p[i] == '[') {
			depth++;
			i++;
		} else if (s.p[i] == '}' || s.p[i] == ']') {
			if (depth == 0)
				return (0);
			depth--;
			i++;
		} else {
			i++;
			if (depth > 0)
				continue;
			while (i < s.n && !ends_scalar(s.p[i]))
				i++;
		}
		if (depth == 0)
			return (i);
	}
	return (0);
}

/* The members of an object, as they are written. */
struct members {
	struct span rest;
	bool begun;
	bool broken;
};

struct member {
	struct span key; /* with its quotes */
	struct span value;
};

static void
members_begin(struct members *m, struct span object)
{
	*m = (struct members){ .rest = object };
	space_skip(&m->rest);
	m->broken = m->rest.n == 0 || *m->rest.p != '{';
	if (!m->broken)
		advance(&m->rest, 1);
}

static bool
members_fail(struct members *m)
{
	m->broken = true;
	return (false);
}

/* False at the end, and where it is no object (any more). */
static bool
members_next(struct members *m, struct member *r)
{
	size_t n;

	if (m->broken)
		return (false);
	space_skip(&m->rest);
	if (m->rest.n > 0 && *m->rest.p == '}')
		return (false);
	if (m->begun) {
		if (m->rest.n == 0 || *m->rest.p != ',')
			return (members_fail(m));
		advance(&m->rest, 1);
		space_skip(&m->rest);
	}
	m->begun = true;
	if (m->rest.n == 0 || *m->rest.p != '"' ||
	    (n = string_end(m->rest, 0)) == 0)
		return (members_fail(m));
	r->key = (struct span){ m->rest.p, n };
	advance(&m->rest, n);
	space_skip(&m->rest);
	if (m->rest.n == 0 || *m->rest.p != ':')
		return (members_fail(m));
	advance(&m->rest, 1);
	space_skip(&m->rest);
	if ((n = value_end(m->rest)) == 0)
		return (members_fail(m));
	r->value = (struct span){ m->rest.p, n };
	advance(&m->rest, n);
	return (true);
}

/* --- packages ------------------------------------------------------------- */

struct reading {
	struct package_list *list;
	bool dev_too;
};

static enum rc
not_read(struct package_list *list, const char *what)
{
	(void)snprintf(list->why, READ_WHY_BYTES, "%s", what);
	return (RC_INVALID);
}

static bool
is_true(const json_t *o, const char *key)
{
	return (json_is_true(json_object_get(o, key)));
}

/* A version of the registry's; not where else it comes from ("git+ssh:",
 * "file:"). */
static bool
is_version(struct span s)
{
	return (s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9' &&
		memchr(s.p, ':', s.n) == NULL && memchr(s.p, '/', s.n) == NULL);
}

static enum rc
entry_add(struct reading *r, struct span name, const json_t *o)
{
	struct package p = { .type = PACKAGE_NPM, .name = name };

	if (json_get_str(o, "version", &p.version) != RC_OK ||
	    !is_version(p.version))
		return (RC_OK);
	if (json_get_str(o, "license", &p.license) != RC_OK)
		p.license = SPAN_NONE;
	if (!r->dev_too && is_true(o, "dev"))
		return (RC_OK);
	return (package_add(r->list, &p));
}

/* "node_modules/a/node_modules/@b/c" is "@b/c"; others are the program itself
 * and its parts. */
static bool
folder_name(struct span path, struct span *name_r)
{
	static const struct span mark = SPAN_INIT("node_modules/");
	const char *last = NULL, *at;
	struct span rest = path;

	while (rest.n > mark.n &&
	       (at = memmem(rest.p, rest.n, mark.p, mark.n)) != NULL) {
		last = at + mark.n;
		rest = (struct span){ last, path.n - (size_t)(last - path.p) };
	}
	if (last == NULL)
		return (false);
	*name_r = rest;
	return (rest.n > 0);
}

static enum rc
folder_take(struct reading *r, struct span path, const json_t *o)
{
	struct span name, own;

	if (!folder_name(path, &name) || is_true(o, "link"))
		return (RC_OK);
	/* Installed under another name than its own. */
	if (json_get_str(o, "name", &own) == RC_OK && own.n > 0)
		name = own;
	return (entry_add(r, name, o));
}

/* "npm:other@1.2.3": the same in version 1. */
static enum rc
alias_take(struct reading *r, struct span name, json_t *o)
{
	struct package p = { .type = PACKAGE_NPM };
	struct span text;
	size_t at;

	if (json_get_str(o, "version", &text) != RC_OK ||
	    !span_has_prefix(text, SPAN("npm:")))
		return (entry_add(r, name, o));
	text = (struct span){ text.p + 4, text.n - 4 };
	for (at = text.n; at > 1 && text.p[at - 1] != '@'; at--)
		continue;
	if (at <= 1 || (!r->dev_too && is_true(o, "dev")))
		return (RC_OK);
	p.name = (struct span){ text.p, at - 1 };
	p.version = (struct span){ text.p + at, text.n - at };
	return (is_version(p.version) ? package_add(r->list, &p) : RC_OK);
}

/* As deep as json_read() lets it be. */
static enum rc
tree_take(struct reading *r, struct span name, json_t *o)
{
	json_t *below, *child;
	const char *key;
	enum rc rc;

	if (!json_is_object(o))
		return (RC_OK);
	if ((rc = alias_take(r, name, o)) != RC_OK)
		return (rc);
	if (json_get_object(o, "dependencies", &below) != RC_OK)
		return (RC_OK);
	json_object_foreach(below, key, child)
	{
		if ((rc = tree_take(r, span_of(key), child)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* The key of a member as text: by the library where it has escapes. */
static enum rc
member_take(struct reading *r, const struct member *m, bool tree)
{
	char why[JSON_ERROR_BYTES];
	struct span key = { m->key.p + 1, m->key.n - 2 };
	json_t *o, *text = NULL;
	enum rc rc;

	if (m->value.p[0] != '{')
		return (RC_OK);
	if (memchr(key.p, '\\', key.n) != NULL) {
		text = json_loadb(m->key.p, m->key.n, JSON_DECODE_ANY, NULL);
		key = span_of(json_string_value(text));
	}
	if (json_read(m->value, why, &o) != RC_OK) {
		json_decref(text);
		return (not_read(r->list,
		    "lock file of npm with a package that is not JSON"));
	}
	rc = tree ? tree_take(r, key, o) : folder_take(r, key, o);
	json_decref(o);
	json_decref(text);
	return (rc);
}

static enum rc
packages_take(struct reading *r, struct span object, bool tree)
{
	struct members members;
	struct member m;
	enum rc rc;

	members_begin(&members, object);
	while (members_next(&members, &m))
		if ((rc = member_take(r, &m, tree)) != RC_OK)
			return (rc);
	if (members.broken)
		return (not_read(r->list,
		    "lock file of npm whose list of packages is not JSON"));
	return (RC_OK);
}

static enum rc
lock_read(struct span text, bool dev_too, struct package_list *list)
{
	struct reading r = { .list = list, .dev_too = dev_too };
	struct span packages = SPAN_NONE, dependencies = SPAN_NONE;
	bool version = false;
	struct members members;
	struct member m;

	members_begin(&members, text);
	while (members_next(&members, &m)) {
		if (span_is(m.key, "\"packages\""))
			packages = m.value;
		else if (span_is(m.key, "\"dependencies\""))
			dependencies = m.value;
		else if (span_is(m.key, "\"lockfileVersion\""))
			version = true;
	}
	if (members.broken)
		return (not_read(list, "lock file of npm that is not JSON"));
	if (packages.n > 0)
		return (packages_take(&r, packages, false));
	if (dependencies.n > 0)
		return (packages_take(&r, dependencies, true));
	/* That of a program that needs nothing has neither. */
	return (version ? RC_OK
			: not_read(list, "file that is no lock file of npm"));
}

enum rc
npm_lock_read(struct span text, struct package_list *list)
{
	return (lock_read(text, false, list));
}

enum rc
npm_installed_read(struct span text, struct package_list *list)
{
	return (lock_read(text, true, list));
}
