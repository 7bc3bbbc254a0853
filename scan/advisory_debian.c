#include "scan/advisory_int.h"
#include "scan/cvss.h"
#include "scan/version.h"

/*
 * The security tracker of Debian:
 *
 *	{PACKAGE: {CVE: {"description": ..., "releases": {CODENAME:
 *	    {"status": "open"|"resolved"|"undetermined", "fixed_version": ...,
 *	     "urgency": ...}}}}}
 *
 * "resolved" in version "0", or in none: that release never had it.
 * "undetermined": nobody knows yet whether it has, and so nothing is said of it
 * here either.
 */
#define TRACKER "https://security-tracker.debian.org/tracker/"

struct entry {
	struct span status, fixed, urgency;
};

static enum rc
entry_read(struct advisory_reader *r, struct span id, const char *release,
    const json_t *o, struct entry *e)
{
	enum rc rc;

	*e = (struct entry){ .status = SPAN_NONE };
	if (json_get_str(o, "status", &e->status) != RC_OK)
		return (reader_wrong(r, id, "%s: it has no status", release));
	rc = json_get_str(o, "fixed_version", &e->fixed);
	if (rc == RC_INVALID)
		return (reader_wrong(
		    r, id, "%s: fixed_version is no text", release));
	rc = json_get_str(o, "urgency", &e->urgency);
	if (rc == RC_INVALID)
		return (reader_wrong(r, id, "%s: urgency is no text", release));
	return (RC_OK);
}

static enum rc
entry_take(struct advisory_reader *r, struct span package, const char *release,
    const struct entry *e, const struct advisory *common)
{
	struct version_range range = { .fixed = e->fixed };
	struct advisory a = *common;
	struct span ecosystem;

	if (span_is(e->status, "undetermined") || span_is(e->fixed, "0") ||
	    (span_is(e->status, "resolved") && e->fixed.n == 0))
		return (RC_OK);
	if (ecosystem_of_debian(span_of(release), &r->arena, &ecosystem) !=
	    RC_OK) {
		r->tally->skipped++;
		return (RC_OK);
	}
	a.severity = severity_of_words(e->urgency);
	a.ranges = &range;
	a.n_ranges = e->fixed.n > 0 ? 1 : 0;
	return (reader_take(r, ecosystem, package, &a));
}

enum rc
debian_read(struct advisory_reader *r, struct span package, struct span id,
    const json_t *doc)
{
	struct advisory a = { .id = id };
	json_t *releases, *release;
	const char *name, *uri;
	struct entry e;
	enum rc rc;

	reader_source(r, SPAN("debian"), SPAN("debian"));
	if (json_get_object(doc, "releases", &releases) != RC_OK)
		return (reader_wrong(r, id, "it has no releases"));
	if (json_get_str(doc, "description", &a.summary) != RC_OK)
		a.summary = SPAN_NONE;
	a.summary = reader_text(r, a.summary);
	uri = arena_printf(&r->arena, TRACKER SPAN_FMT, SPAN_ARG(id));
	if (uri == NULL)
		return (RC_TOOBIG);
	a.uri = span_of(uri);
	json_object_foreach(releases, name, release)
	{
		rc = entry_read(r, id, name, release, &e);
		if (rc == RC_OK)
			rc = entry_take(r, package, name, &e, &a);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}
