#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scan/advisory_int.h"
#include "scan/version.h"

/*
 * Records of OSV (ossf.github.io/osv-schema): who is affected, element by
 * element of "affected".  What is in no ecosystem that is known here is counted
 * and left out, as are ranges of commits.
 *
 * The name of a problem is its CVE, where the record has one: as its own name,
 * among its aliases, or, of a distribution's record about one problem, as what
 * that is derived from ("upstream").
 */
#define OSV_PAGE "https://osv.dev/vulnerability/"

static bool
is_cve(struct span s)
{
	return (span_has_prefix(s, SPAN("CVE-")));
}

/* The first CVE of a list; *${n_r}: how many there are. */
static struct span
cve_in(const json_t *doc, const char *key, size_t *n_r)
{
	const json_t *list = json_object_get(doc, key), *one;
	struct span s, first = SPAN_NONE;
	size_t i;

	*n_r = 0;
	json_array_foreach(list, i, one)
	{
		if (!json_is_string(one))
			continue;
		s.p = json_string_value(one);
		s.n = json_string_length(one);
		if (is_cve(s) && (*n_r)++ == 0)
			first = s;
	}
	return (first);
}

static void
id_choose(const json_t *doc, struct span id, struct advisory *a)
{
	struct span alias, upstream;
	size_t n_alias, n_upstream;

	a->id = id;
	if (is_cve(id))
		return;
	alias = cve_in(doc, "aliases", &n_alias);
	upstream = cve_in(doc, "upstream", &n_upstream);
	if (n_alias == 0 && n_upstream != 1)
		return;
	a->record_id = id;
	a->id = n_alias > 0 ? alias : upstream;
}

/* An advisory, else a page, else what osv.dev says. */
static enum rc
uri_choose(struct advisory_reader *r, const json_t *doc, struct span id,
    struct span *uri_r)
{
	const json_t *list = json_object_get(doc, "references"), *one;
	struct span type, url;
	const char *page;
	size_t i;

	*uri_r = SPAN_NONE;
	json_array_foreach(list, i, one)
	{
		if (json_get_str(one, "type", &type) != RC_OK ||
		    json_get_str(one, "url", &url) != RC_OK)
			continue;
		if (span_is(type, "ADVISORY")) {
			*uri_r = url;
			return (RC_OK);
		}
		if (uri_r->n == 0 && span_is(type, "WEB"))
			*uri_r = url;
	}
	if (uri_r->n > 0)
		return (RC_OK);
	page = arena_printf(&r->arena, OSV_PAGE SPAN_FMT, SPAN_ARG(id));
	*uri_r = span_of(page);
	return (page != NULL ? RC_OK : RC_TOOBIG);
}

/* --- who is affected ----------------------------------------------------- */

/* PEP 503: "Foo.Bar_baz" is "foo-bar-baz". */
enum rc
package_name_normal(enum package_type type, struct span name, struct arena *a,
    struct span *name_r)
{
	char *p;
	size_t i, n = 0;
	char ch;

	*name_r = name;
	if (type != PACKAGE_PYPI)
		return (RC_OK);
	if ((p = arena_alloc(a, name.n + 1)) == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < name.n; i++) {
		ch = name.p[i];
		if (ch == '.' || ch == '_' || ch == '-') {
			if (n == 0 || p[n - 1] != '-')
				p[n++] = '-';
			continue;
		}
		p[n++] = (char)(ch >= 'A' && ch <= 'Z' ? ch + 32 : ch);
	}
	*name_r = (struct span){ p, n };
	return (RC_OK);
}

/*
 * The file of an ecosystem has records that are about others, too, and each of
 * those stands in theirs: what all records have in common is whose it is.
 */
static uint32_t
family_of(const json_t *affected)
{
	const json_t *package = json_object_get(affected, "package");
	unsigned family;
	struct span text;

	if (json_get_str(package, "ecosystem", &text) != RC_OK ||
	    !ecosystem_family_osv(text, &family))
		return (0);
	return ((uint32_t)1 << family);
}

static void
families_note(struct advisory_reader *r, uint32_t families)
{
	if (families == 0)
		return;
	r->families = r->has_families ? r->families & families : families;
	r->has_families = true;
}

/* "osv:npm", "osv:debian" */
void
osv_source(struct advisory_reader *r)
{
	unsigned family = 0;
	bool one;

	one = r->families != 0 && (r->families & (r->families - 1)) == 0;
	while (one && r->families >> family != 1)
		family++;
	(void)snprintf(r->tally->source, ADVISORY_SOURCE_MAX_BYTES + 1,
	    "osv%s%s", one ? ":" : "",
	    one ? ecosystem_family_text(family) : "");
}

static enum rc
affected_take(struct advisory_reader *r, const json_t *doc,
    const json_t *affected, struct advisory *a)
{
	struct span name, text, ecosystem;
	enum package_type type;
	json_t *package;
	enum rc rc;

	if (json_get_object(affected, "package", &package) != RC_OK ||
	    json_get_str(package, "ecosystem", &text) != RC_OK ||
	    json_get_str(package, "name", &name) != RC_OK || name.n == 0)
		return (RC_UNSUPPORTED);
	rc = ecosystem_of_osv(text, &r->arena, &ecosystem, &type);
	if (rc != RC_OK)
		return (rc);
	rc = package_name_normal(type, name, &r->arena, &name);
	if (rc == RC_OK)
		rc = osv_ranges(r, a->id, affected, type, a);
	if (rc == RC_NOTFOUND)
		return (RC_UNSUPPORTED);
	if (rc != RC_OK)
		return (rc);
	a->binary = ecosystem_binary(ecosystem);
	osv_severity(doc, affected, a);
	r->tally->packages++;
	return (reader_take(r, ecosystem, name, a));
}

/* "2024-01-31T12:00:00Z", with or without a fraction. */
static int64_t
time_read(struct span s)
{
	struct tm tm = { 0 };
	char text[20];

	if (s.n < sizeof(text) || s.p[s.n - 1] != 'Z')
		return (0);
	memcpy(text, s.p, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	if (strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
		return (0);
	return ((int64_t)timegm(&tm) * 1000);
}

static void
time_note(struct advisory_reader *r, const json_t *doc)
{
	struct span modified;
	int64_t ms;

	if (json_get_str(doc, "modified", &modified) != RC_OK)
		return;
	ms = time_read(modified);
	if (ms > r->tally->published_ms)
		r->tally->published_ms = ms;
}

static enum rc
describe(struct advisory_reader *r, const json_t *doc, struct span id,
    struct advisory *a)
{
	id_choose(doc, id, a);
	if (json_get_str(doc, "summary", &a->summary) != RC_OK &&
	    json_get_str(doc, "details", &a->summary) != RC_OK)
		a->summary = SPAN_NONE;
	a->summary = reader_text(r, a->summary);
	return (uri_choose(r, doc, id, &a->uri));
}

enum rc
osv_read(struct advisory_reader *r, const json_t *doc)
{
	struct advisory a = { .id = SPAN_NONE }, one;
	json_t *affected, *element;
	struct span id, withdrawn;
	uint32_t families = 0;
	size_t i;
	enum rc rc;

	if (json_get_str(doc, "id", &id) != RC_OK || id.n == 0)
		return (reader_wrong(r, SPAN_NONE, "a record has no id"));
	time_note(r, doc);
	if (json_get_str(doc, "withdrawn", &withdrawn) == RC_OK) {
		r->tally->withdrawn++;
		return (RC_OK);
	}
	rc = json_get_array(doc, "affected", &affected);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (reader_wrong(r, id, "\"affected\" is no list"));
	if ((rc = describe(r, doc, id, &a)) != RC_OK)
		return (rc);
	json_array_foreach(affected, i, element)
	{
		families |= family_of(element);
		one = a;
		rc = affected_take(r, doc, element, &one);
		if (rc == RC_UNSUPPORTED)
			r->tally->skipped++;
		else if (rc != RC_OK)
			return (rc);
	}
	families_note(r, families);
	return (RC_OK);
}
