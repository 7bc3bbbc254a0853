#include "scan/advisory_int.h"
#include "scan/version.h"
#include "scan/version_int.h"

/*
 * Alpine's security database, one file for each repository of a release:
 *
 *	{"distroversion": "v3.18", "reponame": "main", "packages": [{"pkg":
 *	    {"name": ..., "secfixes": {VERSION: ["CVE-... GHSA-...", ...]}}}]}
 *
 * Fixed in version "0": no package ever had it.  Several names of one problem
 * stand in one text; the first CVE is what it is called here.  Some have words
 * behind it: "CVE-2017-2616 (+ regression fix)".
 */
#define TRACKER "https://security.alpinelinux.org/vuln/"

struct place {
	struct span ecosystem;
	struct span package;
};

/* A letter first, and a number somewhere. */
static bool
is_name(struct span word)
{
	size_t i;

	if (!is_alnum(word.p[0]) || is_digit(word.p[0]))
		return (false);
	for (i = 1; i < word.n; i++)
		if (is_digit(word.p[i]))
			return (true);
	return (false);
}

/* One of "secfixes". */
static enum rc
fix_take(struct advisory_reader *r, const struct place *at, struct span version,
    struct span names)
{
	struct version_range range = { .fixed = version };
	struct advisory a = { .ranges = &range, .n_ranges = 1 };
	struct span name;
	const char *uri;

	while (span_split(&names, ' ', &name)) {
		if (name.n == 0)
			continue;
		if (a.id.n == 0 || (span_has_prefix(name, SPAN("CVE-")) &&
				       !span_has_prefix(a.id, SPAN("CVE-")))) {
			a.record_id = a.id;
			a.id = name;
		} else if (a.record_id.n == 0 && is_name(name)) {
			a.record_id = name;
		}
	}
	if (a.id.n == 0)
		return (RC_OK);
	uri = arena_printf(&r->arena, TRACKER SPAN_FMT, SPAN_ARG(a.id));
	if (uri == NULL)
		return (RC_TOOBIG);
	a.uri = span_of(uri);
	return (reader_take(r, at->ecosystem, at->package, &a));
}

static enum rc
fixes_read(struct advisory_reader *r, const struct place *at, json_t *fixes)
{
	const char *version;
	json_t *list, *names;
	struct span text;
	size_t i;
	enum rc rc;

	json_object_foreach(fixes, version, list)
	{
		if (span_is(SPAN("0"), version) || json_is_null(list))
			continue;
		if (!json_is_array(list))
			return (reader_wrong(r, at->package,
			    "the fixes in %s are no list", version));
		json_array_foreach(list, i, names)
		{
			if (!json_is_string(names))
				return (reader_wrong(r, at->package,
				    "a fix in %s is no text", version));
			text.p = json_string_value(names);
			text.n = json_string_length(names);
			rc = fix_take(r, at, span_of(version), text);
			if (rc != RC_OK)
				return (rc);
		}
	}
	return (RC_OK);
}

static enum rc
package_read(struct advisory_reader *r, struct span ecosystem, const json_t *o)
{
	struct place at = { .ecosystem = ecosystem };
	json_t *pkg, *fixes;
	enum rc rc;

	if (json_get_object(o, "pkg", &pkg) != RC_OK ||
	    json_get_str(pkg, "name", &at.package) != RC_OK ||
	    at.package.n == 0)
		return (reader_wrong(
		    r, SPAN_NONE, "one of its packages has no name"));
	rc = json_get_object(pkg, "secfixes", &fixes);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	/* One without fixes may have an empty list in their place. */
	if (rc == RC_INVALID &&
	    json_array_size(json_object_get(pkg, "secfixes")) == 0 &&
	    json_is_array(json_object_get(pkg, "secfixes")))
		return (RC_OK);
	if (rc != RC_OK)
		return (reader_wrong(r, at.package, "its secfixes are no map"));
	r->tally->packages++;
	return (fixes_read(r, &at, fixes));
}

/* "alpine:3.18/main" */
static enum rc
source_tell(struct advisory_reader *r, struct span ecosystem, const json_t *doc)
{
	struct span repository;
	const char *source;

	if (json_get_str(doc, "reponame", &repository) != RC_OK ||
	    repository.n == 0)
		return (reader_wrong(r, SPAN_NONE, "it has no reponame"));
	source = arena_printf(&r->arena, SPAN_FMT "/" SPAN_FMT,
	    SPAN_ARG(ecosystem), SPAN_ARG(repository));
	if (source == NULL)
		return (RC_TOOBIG);
	reader_source(r, span_of(source), SPAN("alpine"));
	return (RC_OK);
}

enum rc
alpine_read(struct advisory_reader *r, const json_t *doc)
{
	struct span version, ecosystem;
	json_t *packages, *package;
	size_t i;
	enum rc rc;

	if (json_get_str(doc, "distroversion", &version) != RC_OK)
		return (reader_wrong(r, SPAN_NONE, "it has no distroversion"));
	if (ecosystem_of_alpine(version, &r->arena, &ecosystem) != RC_OK)
		return (reader_wrong(r, version, "not a release of Alpine"));
	if ((rc = source_tell(r, ecosystem, doc)) != RC_OK)
		return (rc);
	if (json_get_array(doc, "packages", &packages) != RC_OK)
		return (reader_wrong(r, SPAN_NONE, "it has no packages"));
	json_array_foreach(packages, i, package)
	{
		if ((rc = package_read(r, ecosystem, package)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}
