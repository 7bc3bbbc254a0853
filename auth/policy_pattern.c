#include <string.h>

#include "auth/policy_int.h"

/*
 * Patterns: text in which '*' stands for any characters, '?' for one, and
 * "${...}" for what the request says.  They are cut into atoms when a policy
 * is parsed.  What a variable stands for is text, never a pattern.
 *
 * Matching goes from star to star: what stands between two of them is looked
 * for once, from the left, and never again, since a later place could only
 * leave less for what follows.  So the worst is the length of the text times
 * that of the pattern, and without '?' it is near to their sum.  The steps are
 * counted, so that an evaluation that comes upon many of the worst ends.
 */

/* --- compiling ----------------------------------------------------------- */

struct compiler {
	const struct policy_reader *r;
	struct span text; /* all of it, to be shown */
	bool wild;
	struct policy_atom *atoms;
	size_t n_atoms, n_variables, n_wildcards;
};

static bool
starts_variable(const struct compiler *c, struct span rest)
{
	return (c->r->variables && rest.n >= 2 && rest.p[0] == '$' &&
		rest.p[1] == '{');
}

static bool
starts_special(const struct compiler *c, struct span rest)
{
	return (starts_variable(c, rest) ||
		(c->wild && (rest.p[0] == '*' || rest.p[0] == '?')));
}

static void
add_text(struct compiler *c, struct span text)
{
	c->atoms[c->n_atoms++] =
	    (struct policy_atom){ .kind = POLICY_ATOM_TEXT, .text = text };
}

static enum rc
add_wildcard(struct compiler *c, char wildcard)
{
	struct policy_atom *last =
	    c->n_atoms > 0 ? &c->atoms[c->n_atoms - 1] : NULL;

	if (++c->n_wildcards > POLICY_WILDCARDS_MAX)
		return (policy_refuse(
		    c->r, c->text, "has more than 32 wildcards ('*' and '?')"));
	if (wildcard == '?' && last != NULL && last->kind == POLICY_ATOM_ANY)
		last->n++;
	else if (wildcard == '?')
		c->atoms[c->n_atoms++] =
		    (struct policy_atom){ .kind = POLICY_ATOM_ANY, .n = 1 };
	else if (last == NULL || last->kind != POLICY_ATOM_STAR)
		c->atoms[c->n_atoms++] =
		    (struct policy_atom){ .kind = POLICY_ATOM_STAR };
	return (RC_OK);
}

/* key-and-default = key [ *SP "," *SP "'" default "'" ] */
static bool
default_cut(struct span *key, struct policy_atom *atom)
{
	struct span rest = *key, name, text;

	if (!span_split(&rest, ',', &name))
		return (false);
	if (name.n == key->n)
		return (true);
	text = span_trim(rest);
	if (text.n < 2 || text.p[0] != '\'' || text.p[text.n - 1] != '\'')
		return (false);
	atom->has_default = true;
	atom->text = (struct span){ text.p + 1, text.n - 2 };
	*key = span_trim(name);
	return (true);
}

static enum rc
add_variable(struct compiler *c, struct span inside)
{
	struct policy_atom *atom = &c->atoms[c->n_atoms];
	struct span key = inside;

	if (inside.n == 1 && strchr("*?$", inside.p[0]) != NULL) {
		add_text(c, inside);
		return (RC_OK);
	}
	*atom = (struct policy_atom){ .kind = POLICY_ATOM_VARIABLE,
		.n = c->n_variables };
	if (!default_cut(&key, atom) || key.n == 0 ||
	    memchr(key.p, ':', key.n) == NULL)
		return (policy_refuse(c->r, c->text,
		    "has a variable that is none: ${KEY}, ${KEY, 'DEFAULT'}, "
		    "${*}, ${?} or ${$}, as ${aws:username}"));
	policy_key_find(key, &atom->key);
	if (atom->key.id == POLICY_KEY_TAG_KEYS)
		return (policy_refuse(
		    c->r, c->text, "has a variable of many values"));
	if (++c->n_variables > POLICY_VARIABLES_MAX)
		return (
		    policy_refuse(c->r, c->text, "has more than 16 variables"));
	c->n_atoms++;
	return (RC_OK);
}

/* Take what begins at ${rest} off it. */
static enum rc
special_take(struct compiler *c, struct span *rest)
{
	const char *end;
	struct span inside;

	if (!starts_variable(c, *rest)) {
		inside.p = rest->p++;
		rest->n--;
		return (add_wildcard(c, *inside.p));
	}
	end = memchr(rest->p, '}', rest->n);
	if (end == NULL)
		return (policy_refuse(
		    c->r, c->text, "has a variable without its '}'"));
	inside = (struct span){ rest->p + 2, (size_t)(end - rest->p) - 2 };
	rest->n -= (size_t)(end + 1 - rest->p);
	rest->p = end + 1;
	return (add_variable(c, inside));
}

static enum rc
atoms_make(struct compiler *c, struct span rest)
{
	struct span text = { rest.p, 0 };
	enum rc rc;

	while (rest.n > 0) {
		if (!starts_special(c, rest)) {
			text.n++;
			rest.p++;
			rest.n--;
			continue;
		}
		if (text.n > 0)
			add_text(c, text);
		if ((rc = special_take(c, &rest)) != RC_OK)
			return (rc);
		text = (struct span){ rest.p, 0 };
	}
	if (text.n > 0)
		add_text(c, text);
	return (RC_OK);
}

/* At most so many atoms: each special thing, and the text behind it. */
static size_t
atoms_most(const struct compiler *c, struct span rest)
{
	size_t n = 1;

	for (; rest.n > 0; rest.p++, rest.n--)
		if (starts_special(c, rest))
			n += 2;
	return (n);
}

enum rc
policy_pattern_compile(const struct policy_reader *r, struct span text,
    bool wild, struct policy_pattern *pattern_r)
{
	struct compiler c = { .r = r, .text = text, .wild = wild };
	struct span kept;
	enum rc rc;

	*pattern_r = (struct policy_pattern){ 0 };
	if (text.n == 0)
		return (RC_OK);
	kept = arena_span(r->arena, text);
	c.atoms =
	    arena_calloc(r->arena, atoms_most(&c, text), sizeof(*c.atoms));
	if (kept.p == NULL || c.atoms == NULL)
		return (policy_refuse_size(r));
	if ((rc = atoms_make(&c, kept)) != RC_OK)
		return (rc);
	pattern_r->atoms = c.atoms;
	pattern_r->n_atoms = c.n_atoms;
	pattern_r->n_variables = c.n_variables;
	return (RC_OK);
}

/* --- matching ------------------------------------------------------------ */

struct matcher {
	struct policy_asking *asking;
	const struct policy_atom *atoms;
	bool nocase;
	struct span values[POLICY_VARIABLES_MAX]; /* of the variables */
};

/* YES: each of them has one. */
static enum policy_found
variables_resolve(struct matcher *m, const struct policy_pattern *pattern,
    struct policy_asking *a)
{
	enum policy_found all = POLICY_YES;
	const struct policy_atom *atom;
	size_t i;

	for (i = 0; pattern->n_variables > 0 && i < pattern->n_atoms; i++) {
		atom = &pattern->atoms[i];
		if (atom->kind != POLICY_ATOM_VARIABLE)
			continue;
		if (policy_key_count(a, &atom->key) == 0) {
			if (!atom->has_default)
				return (POLICY_UNKNOWN);
			m->values[atom->n] = atom->text;
		} else if (!policy_key_value(
			       a, &atom->key, 0, &m->values[atom->n])) {
			all = POLICY_UNSEEN;
		}
	}
	return (all);
}

static struct span
atom_text(const struct matcher *m, const struct policy_atom *atom)
{
	return (atom->kind == POLICY_ATOM_VARIABLE ? m->values[atom->n]
						   : atom->text);
}

/* Bytes at the front of ${text} that are ${n} characters; false: too few. */
static bool
characters(struct span text, size_t n, size_t *bytes_r)
{
	size_t at = 0;

	for (; n > 0; n--) {
		if (at == text.n)
			return (false);
		for (at++; at < text.n; at++)
			if (((unsigned char)text.p[at] & 0xc0) != 0x80)
				break;
	}
	*bytes_r = at;
	return (true);
}

/* To look at one, besides what its bytes take. */
#define STEPS_PER_ATOM 4
#define BYTES_PER_STEP 4
/* memmem() is that slow when the text is nearly what it looks for. */
#define STEPS_PER_SEARCHED 4

static bool
atom_at(const struct matcher *m, const struct policy_atom *atom,
    struct span text, size_t *bytes_r)
{
	struct span want;

	if (atom->kind == POLICY_ATOM_ANY)
		return (policy_spend(m->asking, STEPS_PER_ATOM + atom->n) &&
			characters(text, atom->n, bytes_r));
	want = atom_text(m, atom);
	if (!policy_spend(m->asking, STEPS_PER_ATOM + want.n / BYTES_PER_STEP))
		return (false);
	if (want.n > text.n)
		return (false);
	*bytes_r = want.n;
	text.n = want.n;
	return (m->nocase ? span_eq_nocase(text, want) : span_eq(text, want));
}

/* The atoms from..to, no star among them, at the front of ${text}. */
static bool
run_at(const struct matcher *m, size_t from, size_t to, struct span text,
    size_t *bytes_r)
{
	size_t bytes = 0, all = 0;

	for (; from < to; from++) {
		if (!atom_at(m, &m->atoms[from],
			(struct span){ text.p + all, text.n - all }, &bytes))
			return (false);
		all += bytes;
	}
	*bytes_r = all;
	return (true);
}

static int
lower(char c)
{
	return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* A look at one byte spares most places the rest. */
static bool
may_begin(const struct matcher *m, size_t from, struct span text)
{
	const struct policy_atom *atom = &m->atoms[from];

	if (atom->kind != POLICY_ATOM_TEXT || text.n == 0)
		return (true);
	return (atom->text.p[0] == text.p[0] ||
		(m->nocase && lower(atom->text.p[0]) == lower(text.p[0])));
}

/* The first place of such a run anywhere in ${text}; cut off up to behind it.
 */
static bool
run_find(const struct matcher *m, size_t from, size_t to, struct span *text)
{
	struct span want;
	const char *found;
	size_t bytes;

	if (to - from == 1 && m->atoms[from].kind != POLICY_ATOM_ANY &&
	    !m->nocase) {
		want = atom_text(m, &m->atoms[from]);
		if (want.n == 0)
			return (true);
		if (want.n > text->n)
			return (false);
		if (!policy_spend(m->asking,
			STEPS_PER_ATOM + STEPS_PER_SEARCHED * text->n))
			return (false);
		found = memmem(text->p, text->n, want.p, want.n);
		if (found == NULL)
			return (false);
		text->n -= (size_t)(found - text->p) + want.n;
		text->p = found + want.n;
		return (true);
	}
	for (;; text->p++, text->n--) {
		if (may_begin(m, from, *text) &&
		    run_at(m, from, to, *text, &bytes)) {
			text->p += bytes;
			text->n -= bytes;
			return (true);
		}
		if (text->n == 0 || !policy_spend(m->asking, 1))
			return (false);
	}
}

/* The fewest and the most bytes of such a run: a character has up to four. */
static void
run_size(const struct matcher *m, size_t from, size_t to, size_t *least_r,
    size_t *most_r)
{
	size_t n;

	*least_r = *most_r = 0;
	for (; from < to; from++) {
		if (m->atoms[from].kind == POLICY_ATOM_ANY) {
			*least_r += m->atoms[from].n;
			*most_r += 4 * m->atoms[from].n;
		} else {
			n = atom_text(m, &m->atoms[from]).n;
			*least_r += n;
			*most_r += n;
		}
	}
}

/* Such a run at the end of ${text}. */
static bool
run_ends(const struct matcher *m, size_t from, size_t to, struct span text)
{
	size_t least, most, bytes, skip;

	run_size(m, from, to, &least, &most);
	if (least > text.n)
		return (false);
	for (skip = most < text.n ? text.n - most : 0; skip <= text.n - least;
	     skip++) {
		if (run_at(m, from, to,
			(struct span){ text.p + skip, text.n - skip },
			&bytes) &&
		    bytes == text.n - skip)
			return (true);
	}
	return (false);
}

static bool
atoms_match(const struct matcher *m, size_t n_atoms, struct span text)
{
	size_t from, to, bytes;

	for (to = 0; to < n_atoms; to++)
		if (m->atoms[to].kind == POLICY_ATOM_STAR)
			break;
	if (!run_at(m, 0, to, text, &bytes))
		return (false);
	if (to == n_atoms)
		return (bytes == text.n);
	text.p += bytes;
	text.n -= bytes;
	while (to < n_atoms) {
		from = to + 1;
		for (to = from; to < n_atoms; to++)
			if (m->atoms[to].kind == POLICY_ATOM_STAR)
				break;
		if (to == n_atoms)
			return (run_ends(m, from, to, text));
		if (!run_find(m, from, to, &text))
			return (false);
	}
	return (true);
}

enum policy_found
policy_pattern_match(const struct policy_pattern *pattern,
    struct policy_asking *a, struct span text, bool nocase)
{
	enum policy_found found;
	struct matcher m;
	bool matches;

	m.asking = a;
	m.atoms = pattern->atoms;
	m.nocase = nocase;
	if (text.p == NULL)
		text.p = "";
	if (!policy_spend(a, STEPS_PER_ATOM + pattern->n_atoms))
		return (POLICY_UNSEEN);
	found = variables_resolve(&m, pattern, a);
	if (found != POLICY_YES)
		return (found);
	matches = atoms_match(&m, pattern->n_atoms, text);
	if (!policy_spend(a, 0))
		return (POLICY_UNSEEN);
	return (matches ? POLICY_YES : POLICY_NO);
}
