#include "scan/match.h"

#include <stdlib.h>

#include "base/obj.h"
#include "scan/advisory_int.h"
#include "scan/version.h"
#include "scan/version_int.h"

/*
 * DESIGN.  Each package is looked up by the name of its source package, with
 * that package's version, and, in ecosystems whose advisories name binary
 * packages, by its own.  What several sources say of one problem of one package
 * becomes one finding, which has the best that each of them knows.
 */
#define FINDINGS_FIRST 64

const char *
severity_text(enum severity s)
{
	static const char *const names[SEVERITIES] = {
		[SEVERITY_UNDEFINED] = "UNDEFINED",
		[SEVERITY_INFORMATIONAL] = "INFORMATIONAL",
		[SEVERITY_LOW] = "LOW",
		[SEVERITY_MEDIUM] = "MEDIUM",
		[SEVERITY_HIGH] = "HIGH",
		[SEVERITY_CRITICAL] = "CRITICAL",
	};

	must((unsigned)s < SEVERITIES);
	return (names[s]);
}

struct matcher {
	struct arena *arena;
	struct finding *rows; /* those of .package begin at .first */
	size_t n, room, first;
	const struct package *package;
	bool source, binary; /* which advisories count: about the one or the
				other */
	struct span source_version;
};

/* --- versions ------------------------------------------------------------ */

static bool
has_epoch(struct span version)
{
	return (take_digits(&version).n > 0 && version.n > 0 &&
		version.p[0] == ':');
}

/* The name of a source rpm says no epoch; its packages have the same. */
static enum rc
source_version(
    const struct package *p, struct arena *arena, struct span *version_r)
{
	struct span epoch = p->version;
	const char *text;

	*version_r = p->source_version.n > 0 ? p->source_version : p->version;
	if (p->type != PACKAGE_RPM || !has_epoch(p->version) ||
	    has_epoch(*version_r))
		return (RC_OK);
	epoch.n = take_digits(&epoch).n;
	epoch.p = p->version.p;
	text = arena_printf(arena, SPAN_FMT ":" SPAN_FMT, SPAN_ARG(epoch),
	    SPAN_ARG(*version_r));
	*version_r = span_of(text);
	return (text != NULL ? RC_OK : RC_TOOBIG);
}

/* Which of its ranges has the version?  They come first in .ranges. */
static size_t
ranges_match(const struct matcher *m, struct span version, struct advisory *a)
{
	struct version_range held;
	size_t i, n = 0;

	for (i = 0; i < a->n_ranges; i++) {
		if (!advisory_range_has(
			m->package->type, &a->ranges[i], version))
			continue;
		held = a->ranges[n];
		a->ranges[n++] = a->ranges[i];
		a->ranges[i] = held;
	}
	return (n);
}

/* "1.1" and "1.1.0" are one to Python. */
static bool
version_same(enum package_type type, struct span a, struct span b)
{
	int order;

	return (span_eq(a, b) ||
		(version_compare(type, a, b, &order) == RC_OK && order == 0));
}

static bool
affected(const struct matcher *m, struct advisory *a)
{
	struct span version =
	    a->binary ? m->package->version : m->source_version;
	bool all = a->n_ranges == 0 && a->n_versions == 0;
	size_t i;

	a->n_ranges = ranges_match(m, version, a);
	if (a->n_ranges > 0 || all)
		return (true);
	for (i = 0; i < a->n_versions; i++)
		if (version_same(m->package->type, a->versions[i], version))
			return (true);
	return (false);
}

/* --- one finding --------------------------------------------------------- */

static bool
copy(struct arena *a, struct span *s)
{
	if (s->n == 0)
		*s = SPAN_NONE;
	else
		*s = arena_span(a, *s);
	return (s->n == 0 || s->p != NULL);
}

/* All but .ranges and .versions. */
static bool
texts_copy(struct arena *arena, struct advisory *a)
{
	return (copy(arena, &a->id) && copy(arena, &a->record_id) &&
		copy(arena, &a->summary) && copy(arena, &a->uri) &&
		copy(arena, &a->cvss_vector));
}

static enum rc
advisory_copy(struct arena *arena, struct advisory *a)
{
	struct version_range *ranges;
	size_t i;

	a->versions = NULL;
	a->n_versions = 0;
	ranges = arena_calloc(arena, a->n_ranges + 1, sizeof(*ranges));
	if (ranges == NULL || !texts_copy(arena, a))
		return (RC_TOOBIG);
	for (i = 0; i < a->n_ranges; i++) {
		ranges[i] = a->ranges[i];
		if (!copy(arena, &ranges[i].introduced) ||
		    !copy(arena, &ranges[i].fixed) ||
		    !copy(arena, &ranges[i].last_affected))
			return (RC_TOOBIG);
	}
	a->ranges = ranges;
	return (RC_OK);
}

static struct span
fixed_in(const struct advisory *a)
{
	size_t i;

	for (i = 0; i < a->n_ranges; i++)
		if (a->ranges[i].fixed.n > 0)
			return (a->ranges[i].fixed);
	return (SPAN_NONE);
}

static struct finding *
same_find(const struct matcher *m, struct span id)
{
	size_t i;

	for (i = m->first; i < m->n; i++)
		if (span_eq(m->rows[i].advisory.id, id))
			return (&m->rows[i]);
	return (NULL);
}

/* What ${a} knows better. */
static void
merge(struct finding *f, const struct advisory *a)
{
	struct advisory *known = &f->advisory;

	if ((a->cvss_vector.n > 0 && known->cvss_vector.n == 0) ||
	    (known->severity == SEVERITY_UNDEFINED &&
		known->cvss_vector.n == 0)) {
		known->severity = a->severity;
		known->cvss_vector = a->cvss_vector;
		known->cvss_score = a->cvss_score;
	}
	if (known->summary.n == 0)
		known->summary = a->summary;
	if (known->uri.n == 0)
		known->uri = a->uri;
	if (known->record_id.n == 0)
		known->record_id = a->record_id;
	if (f->fixed_version.n == 0) {
		f->fixed_version = fixed_in(a);
		known->ranges = a->ranges;
		known->n_ranges = a->n_ranges;
	}
}

static enum rc
room_make(struct matcher *m)
{
	size_t room = m->room > 0 ? 2 * m->room : FINDINGS_FIRST;
	struct finding *rows;

	if (m->n < m->room)
		return (RC_OK);
	if ((rows = arena_calloc(m->arena, room, sizeof(*rows))) == NULL)
		return (RC_TOOBIG);
	if (m->n > 0)
		memcpy(rows, m->rows, m->n * sizeof(*rows));
	m->rows = rows;
	m->room = room;
	return (RC_OK);
}

/* ${given} lives for the call only. */
static enum rc
advisory_meet(void *arg, const struct advisory *given)
{
	struct matcher *m = arg;
	struct advisory a = *given;
	struct finding *f;
	enum rc rc;

	if (!(a.binary ? m->binary : m->source) || !affected(m, &a))
		return (RC_OK);
	if ((rc = advisory_copy(m->arena, &a)) != RC_OK)
		return (rc);
	if ((f = same_find(m, a.id)) != NULL) {
		merge(f, &a);
		return (RC_OK);
	}
	if ((rc = room_make(m)) != RC_OK)
		return (rc);
	m->rows[m->n++] = (struct finding){
		.advisory = a,
		.package = m->package,
		.fixed_version = fixed_in(&a),
	};
	return (RC_OK);
}

/* --- all packages -------------------------------------------------------- */

struct lookup {
	advisory_find_fn *find;
	void *db;
	struct span ecosystem; /* of .type; empty: it has none */
	enum package_type type;
};

static enum rc
ask(struct matcher *m, const struct lookup *l, struct span name)
{
	enum rc rc;

	rc = package_name_normal(l->type, name, m->arena, &name);
	if (rc != RC_OK)
		return (rc);
	return (l->find(l->db, l->ecosystem, name, advisory_meet, m));
}

/* Where a source package is called like the binary one, one question does. */
static enum rc
package_match(
    struct matcher *m, const struct lookup *l, const struct package *p)
{
	struct span source = p->source_name.n > 0 ? p->source_name : p->name;
	bool same = span_eq(source, p->name);
	enum rc rc;

	m->package = p;
	m->first = m->n;
	m->source = true;
	m->binary = same;
	rc = source_version(p, m->arena, &m->source_version);
	if (rc == RC_OK)
		rc = ask(m, l, source);
	if (rc != RC_OK || same || !ecosystem_binary(l->ecosystem))
		return (rc);
	m->source = false;
	m->binary = true;
	return (ask(m, l, p->name));
}

static enum rc
ecosystem_find(struct lookup *l, const struct inventory *inv,
    enum package_type type, struct arena *arena)
{
	enum rc rc;

	if (l->type == type)
		return (RC_OK);
	l->type = type;
	rc = ecosystem_of(&inv->os, type, arena, &l->ecosystem);
	if (rc == RC_NOTFOUND)
		l->ecosystem = SPAN_NONE;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* The most severe first. */
static int
finding_cmp(const void *p, const void *q)
{
	const struct finding *a = p, *b = q;
	int order;

	if (a->advisory.severity != b->advisory.severity)
		return (a->advisory.severity > b->advisory.severity ? -1 : 1);
	if ((order = span_cmp(a->advisory.id, b->advisory.id)) != 0)
		return (order);
	if ((order = span_cmp(a->package->name, b->package->name)) != 0)
		return (order);
	return (a->package < b->package ? -1 : a->package > b->package);
}

static void
findings_make(struct matcher *m, struct findings *out)
{
	size_t i;

	*out = (struct findings){ .rows = m->rows, .n = m->n };
	if (m->n > 0)
		qsort(m->rows, m->n, sizeof(*m->rows), finding_cmp);
	for (i = 0; i < m->n; i++)
		out->counts[m->rows[i].advisory.severity]++;
}

enum rc
match(const struct inventory *inv, advisory_find_fn *find, void *db,
    struct arena *arena, struct findings *findings_r)
{
	struct lookup l = { .find = find, .db = db };
	struct matcher m = { .arena = arena };
	size_t i;
	enum rc rc;

	for (i = 0; i < inv->n_packages; i++) {
		rc = ecosystem_find(&l, inv, inv->packages[i].type, arena);
		if (rc == RC_OK && l.ecosystem.n > 0)
			rc = package_match(&m, &l, &inv->packages[i]);
		if (rc != RC_OK)
			return (rc);
	}
	findings_make(&m, findings_r);
	return (RC_OK);
}
