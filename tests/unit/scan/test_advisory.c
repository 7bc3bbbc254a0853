#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "scan/advisory.h"

/*
 * Advisories out of the files in which they are published, in pieces of any
 * length.  What was taken becomes text, a line for each:
 *
 *	ECOSYSTEM PACKAGE ID[=RECORD'S ID] SEVERITY[ SCORE] [RANGE]...[, VERSION]
 *
 * where a range is INTRODUCED<FIXED or INTRODUCED<=LAST AFFECTED.
 */
struct feed {
	struct span rest;
	size_t piece;
	bool fails; /* at the end */
};

static long
feed_read(void *arg, const void **p_r)
{
	struct feed *f = arg;
	size_t n = f->rest.n < f->piece ? f->rest.n : f->piece;

	*p_r = f->rest.p;
	if (n == 0)
		return (f->fails ? -1 : 0);
	f->rest.p += n;
	f->rest.n -= n;
	return ((long)n);
}

static enum rc
line_add(void *arg, struct span ecosystem, struct span package,
    const struct advisory *a)
{
	const struct version_range *r;
	struct buf *out = arg;
	size_t i;

	buf_printf(out, SPAN_FMT " " SPAN_FMT " " SPAN_FMT, SPAN_ARG(ecosystem),
	    SPAN_ARG(package), SPAN_ARG(a->id));
	if (a->record_id.n > 0)
		buf_printf(out, "=" SPAN_FMT, SPAN_ARG(a->record_id));
	buf_printf(out, " %s", severity_text(a->severity));
	if (a->cvss_score > 0)
		buf_printf(out, " %.1f", a->cvss_score);
	for (i = 0; i < a->n_ranges; i++) {
		r = &a->ranges[i];
		buf_printf(out, " " SPAN_FMT "<", SPAN_ARG(r->introduced));
		if (r->last_affected.n > 0)
			buf_printf(
			    out, "=" SPAN_FMT, SPAN_ARG(r->last_affected));
		else
			buf_span(out, r->fixed);
	}
	for (i = 0; i < a->n_versions; i++)
		buf_printf(out, ", " SPAN_FMT, SPAN_ARG(a->versions[i]));
	buf_str(out, a->binary ? " binary\n" : "\n");
	return (RC_OK);
}

struct outcome {
	enum rc rc;
	struct buf lines;
	char why[ADVISORY_WHY_BYTES];
	struct advisory_tally tally;
};

static void
take_in(struct span file, size_t piece, struct outcome *o)
{
	struct feed f = { .rest = file, .piece = piece };

	memset(o, 0, sizeof(*o));
	buf_init(&o->lines, 1 << 20);
	o->rc = advisories_read(
	    feed_read, &f, line_add, &o->lines, o->why, &o->tally);
	buf_char(&o->lines, '\0');
}

/* However it is cut. */
static void
gives(struct span file, const char *lines)
{
	static const size_t pieces[] = { 1 << 20, 7, 1 };
	struct outcome o;
	size_t i;

	for (i = 0; i < ARRAY_LEN(pieces); i++) {
		take_in(file, pieces[i], &o);
		if (o.rc != RC_OK)
			fail_msg("%s: %s", rc_name(o.rc), o.why);
		assert_string_equal(o.lines.p, lines);
		buf_free(&o.lines);
	}
}

static void
refused(const char *file, enum rc rc, const char *why)
{
	struct outcome o;

	take_in(span_of(file), 5, &o);
	if (o.rc != rc || strstr(o.why, why) == NULL)
		fail_msg("%.60s: %s: %s", file, rc_name(o.rc), o.why);
	buf_free(&o.lines);
}

/* --- Debian -------------------------------------------------------------- */

#define DEBIAN \
	"{\"bash\": {\"CVE-2019-18276\": {\"description\": \"An issue\", " \
	"\"debianbug\": 1, \"scope\": \"local\", \"releases\": {" \
	"\"bookworm\": {\"status\": \"resolved\", \"repositories\": " \
	"{\"bookworm\": \"5.2.15-2\"}, \"fixed_version\": \"5.1~rc1-1\", " \
	"\"urgency\": \"unimportant\"}, " \
	"\"buster\": {\"status\": \"open\", \"repositories\": {}, " \
	"\"urgency\": \"high**\", \"nodsa\": \"Minor\"}, " \
	"\"sid\": {\"status\": \"resolved\", \"fixed_version\": \"0\", " \
	"\"urgency\": \"low\"}, " \
	"\"forky\": {\"status\": \"resolved\", \"urgency\": \"low\"}, " \
	"\"trixie\": {\"status\": \"undetermined\", \"urgency\": \"low\"}}}," \
	"\"TEMP-1\": {\"releases\": {}}},\n \"zlib\" : { \"CVE-2023-45853\" " \
	":{\"releases\": {\"bookworm\": {\"status\": \"open\", \"urgency\": " \
	"\"not yet assigned\"}}}}, \"a\\u002bb\": {}}\n"

#define DEBIAN_LINES \
	"debian:bookworm bash CVE-2019-18276 INFORMATIONAL <5.1~rc1-1\n" \
	"debian:buster bash CVE-2019-18276 HIGH\n" \
	"debian:bookworm zlib CVE-2023-45853 UNDEFINED\n"

static void
the_debian_tracker_tells_what_is_open_and_fixed(void **state)
{
	struct outcome o;

	(void)state;
	gives(SPAN(DEBIAN), DEBIAN_LINES);
	take_in(SPAN(DEBIAN), 100, &o);
	assert_int_equal(o.tally.format, ADVISORY_DEBIAN);
	assert_int_equal(o.tally.advisories, 3);
	assert_int_equal(o.tally.packages, 2);
	assert_int_equal(o.tally.skipped, 0);
	assert_string_equal(o.tally.source, "debian");
	buf_free(&o.lines);
}

static void
a_debian_file_that_is_damaged_is_refused_with_the_place(void **state)
{
	(void)state;
	refused("{\"bash\": {\"CVE-1\": {\"releases\": {\"a\": {}}}}}",
	    RC_INVALID, "byte 19: CVE-1: a: it has no status");
	refused("{\"bash\": {\"CVE-1\": {}}}", RC_INVALID, "no releases");
	refused("{\"bash\": {\"CVE-1\": {\"releases\": []}}}", RC_INVALID,
	    "no releases");
	refused("{\"bash\": {\"CVE-1\": {\"releases\": {\"a\": {\"status\": "
		"\"open\", \"fixed_version\": 1}}}}}",
	    RC_INVALID, "fixed_version is no text");
	refused("{\"bash\": {\"CVE-1\": 1}}", RC_INVALID, "byte 19");
	refused("{\"bash\": {\"CVE-1\": {\"releases\": {}}},}", RC_INVALID,
	    "no name");
	refused("{\"bash\": {\"CVE-1\": {\"releases\": {}}}} {}", RC_INVALID,
	    "behind the end");
	refused("{\"bash\": {\"CVE-1\": {\"releases\": {}}}", RC_INVALID,
	    "ends in the middle");
	refused(
	    "{\"bash\": {\"CVE-1\": {\"releases\": {]}}}", RC_INVALID, "byte");
	refused("{\"bash\": {}, \"zlib\": []}", RC_INVALID, "byte 21");
	refused("{\"bash\" {}}", RC_INVALID, "byte 8");
}

/* --- Alpine -------------------------------------------------------------- */

#define ALPINE(repository, packages) \
	"{\"apkurl\": \"{{urlprefix}}/{{distroversion}}\", \"archs\": " \
	"[\"x86_64\"], \"reponame\": \"" repository "\", \"urlprefix\": " \
	"\"https://x\", \"packages\": " packages \
	", \"distroversion\": \"v3.18\"}"

#define ALPINE_PACKAGES \
	"[{\"pkg\": {\"name\": \"openssl\", \"secfixes\": {" \
	"\"0\": [\"CVE-2022-1292\"], " \
	"\"3.1.4-r0\": [\"CVE-2023-5363\", \"GHSA-a CVE-2023-5678 XSA-1\"], " \
	"\"3.1.4-r1\": [\"XSA-2\"], \"3.1.0-r0\": null, " \
	"\"3.1.4-r2\": [\"CVE-2017-2616 (+ regression fix)\"]}}}, " \
	"{\"pkg\": {\"name\": \"none\", \"secfixes\": []}}, " \
	"{\"pkg\": {\"name\": \"nothing\"}}]"

static void
secdb_tells_in_which_version_it_was_fixed(void **state)
{
	struct outcome o;

	(void)state;
	gives(SPAN(ALPINE("main", ALPINE_PACKAGES)),
	    "alpine:3.18 openssl CVE-2023-5363 UNDEFINED <3.1.4-r0\n"
	    "alpine:3.18 openssl CVE-2023-5678=GHSA-a UNDEFINED <3.1.4-r0\n"
	    "alpine:3.18 openssl XSA-2 UNDEFINED <3.1.4-r1\n"
	    "alpine:3.18 openssl CVE-2017-2616 UNDEFINED <3.1.4-r2\n");
	take_in(SPAN(ALPINE("community", ALPINE_PACKAGES)), 100, &o);
	assert_int_equal(o.tally.format, ADVISORY_ALPINE);
	assert_int_equal(o.tally.advisories, 4);
	assert_string_equal(o.tally.source, "alpine:3.18/community");
	buf_free(&o.lines);
}

static void
a_secdb_that_is_damaged_is_refused(void **state)
{
	(void)state;
	refused("{\"distroversion\": \"v3.18\", \"packages\": []}", RC_INVALID,
	    "no reponame");
	refused("{\"distroversion\": 3, \"reponame\": \"main\", \"packages\": "
		"[]}",
	    RC_INVALID, "no distroversion");
	refused("{\"distroversion\": \"v\", \"reponame\": \"main\"}",
	    RC_INVALID, "not a release of Alpine");
	refused("{\"distroversion\": \"v3.18\", \"reponame\": \"main\"}",
	    RC_INVALID, "no packages");
	refused(ALPINE("main", "[{}]"), RC_INVALID, "no name");
	refused(ALPINE("main", "[{\"pkg\": {\"name\": \"a\", \"secfixes\": "
			       "{\"1\": \"CVE-1\"}}}]"),
	    RC_INVALID, "a: the fixes in 1 are no list");
	refused(ALPINE("main", "[{\"pkg\": {\"name\": \"a\", \"secfixes\": "
			       "{\"1\": [1]}}}]"),
	    RC_INVALID, "a: a fix in 1 is no text");
	refused(ALPINE("main", "[{\"pkg\": {\"name\": \"a\", \"secfixes\": "
			       "7}}]"),
	    RC_INVALID, "a: its secfixes are no map");
}

/* --- OSV ----------------------------------------------------------------- */

#define AFFECTED(ecosystem, name, more) \
	"{\"package\": {\"ecosystem\": \"" ecosystem "\", \"name\": \"" name \
	"\"}, " more "}"
#define RANGE(type, events) \
	"\"ranges\": [{\"type\": \"" type "\", \"events\": [" events "]}]"
#define OSV(id, members, affected) \
	"{\"schema_version\": \"1.6.0\", \"id\": \"" id "\", " members \
	"\"affected\": [" affected "]}"

#define V31 \
	"\"severity\": [{\"type\": \"CVSS_V3\", \"score\": " \
	"\"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"}], "
#define NPM_RECORD \
	OSV("GHSA-1", \
	    "\"modified\": \"2024-01-31T12:00:00Z\", \"aliases\": [\"X-1\", " \
	    "\"CVE-2024-1\"], \"summary\": \"It breaks\", " V31, \
	    AFFECTED("npm", "@a/b", \
		RANGE("SEMVER", \
		    "{\"introduced\": \"0\"}, {\"fixed\": \"1.2.3\"}")))

static void
a_record_of_osv_is_called_by_its_cve(void **state)
{
	struct outcome o;

	(void)state;
	gives(SPAN(NPM_RECORD),
	    "npm @a/b CVE-2024-1=GHSA-1 CRITICAL 9.8 <1.2.3\n");
	take_in(SPAN(NPM_RECORD), 100, &o);
	assert_int_equal(o.tally.format, ADVISORY_OSV);
	assert_string_equal(o.tally.source, "osv:npm");
	assert_int_equal(o.tally.published_ms, INT64_C(1706702400000));
	buf_free(&o.lines);
	gives(SPAN(OSV("DEBIAN-CVE-2024-2", "\"upstream\": [\"CVE-2024-2\"], ",
		  AFFECTED("Debian:12", "a",
		      RANGE("ECOSYSTEM", "{\"introduced\": \"0\"}")))),
	    "debian:bookworm a CVE-2024-2=DEBIAN-CVE-2024-2 UNDEFINED <\n");
	/* Of several problems none is its name. */
	gives(SPAN(OSV("RLSA-2024:1",
		  "\"upstream\": [\"CVE-2024-2\", \"CVE-2024-3\"], ",
		  AFFECTED("Rocky Linux:9", "a",
		      RANGE("ECOSYSTEM", "{\"introduced\": \"0\"}, "
					 "{\"fixed\": \"0:1-2.el9\"}")))),
	    "rocky:9 a RLSA-2024:1 UNDEFINED <0:1-2.el9\n");
}

static void
source_is(const char *file, const char *source)
{
	struct outcome o;

	take_in(span_of(file), 100, &o);
	assert_int_equal(o.rc, RC_OK);
	assert_string_equal(o.tally.source, source);
	buf_free(&o.lines);
}

/* A file of npm's has records that are in Python's, too, and the other way
 * round: neither may take the place of the other. */
static void
a_file_of_osv_is_of_what_all_of_its_records_are_about(void **state)
{
#define EVER RANGE("ECOSYSTEM", "{\"introduced\": \"0\"}")
#define OF_NPM AFFECTED("npm", "a", EVER)
#define OF_PYPI AFFECTED("PyPI", "a", EVER)
#define BOTH OSV("GHSA-2", "", OF_NPM ", " OF_PYPI)
	(void)state;
	source_is("[" BOTH ", " OSV("GHSA-1", "", OF_NPM) "]", "osv:npm");
	source_is(OSV("GHSA-3", "", OF_PYPI) "\n" BOTH, "osv:pypi");
	source_is(BOTH, "osv");
	source_is(OSV("GHSA-1", "", OF_NPM) OSV("GHSA-3", "", OF_PYPI), "osv");
	/* Releases that are not known here count; other families do not. */
	source_is(
	    OSV("S-1", "",
		AFFECTED("SUSE:Manager 4", "a", EVER) ", " AFFECTED(
		    "openSUSE:Leap 15.5", "a", EVER)) OSV("S-2", "",
		AFFECTED("SUSE:Linux Enterprise Server 15 SP5", "a", EVER)),
	    "osv:sles");
	source_is(OSV("O-1", "",
		      AFFECTED("openSUSE:Leap 15.5", "a", EVER) ", " AFFECTED(
			  "openSUSE:Tumbleweed", "a", EVER)),
	    "osv:opensuse");
	source_is(OSV("GO-1", "", AFFECTED("Go", "a", EVER))
		      OSV("GHSA-1", "", OF_NPM),
	    "osv:npm");
}

#define NPM_AFFECTED(more) OSV("CVE-1", "", AFFECTED("npm", "a", more))

static void
events_in_any_order_become_ranges(void **state)
{
	(void)state;
	gives(SPAN(NPM_AFFECTED(RANGE("SEMVER",
		  "{\"fixed\": \"3.1.0\"}, {\"introduced\": \"0\"}, "
		  "{\"introduced\": \"3.0.0\"}, {\"fixed\": \"2.10.0\"}"))),
	    "npm a CVE-1 UNDEFINED <2.10.0 3.0.0<3.1.0\n");
	gives(SPAN(NPM_AFFECTED(
		  RANGE("SEMVER", "{\"introduced\": \"1.0.0\"}, "
				  "{\"last_affected\": \"1.5.0\"}"))),
	    "npm a CVE-1 UNDEFINED 1.0.0<=1.5.0\n");
	gives(SPAN(NPM_AFFECTED(RANGE("SEMVER",
		  "{\"introduced\": \"1.0.0\"}, {\"limit\": \"*\"}"))),
	    "npm a CVE-1 UNDEFINED 1.0.0<\n");
	/* One that ends where the next begins. */
	gives(SPAN(NPM_AFFECTED(RANGE("ECOSYSTEM",
		  "{\"introduced\": \"2.0.0\"}, {\"introduced\": \"0\"}, "
		  "{\"fixed\": \"2.0.0\"}"))),
	    "npm a CVE-1 UNDEFINED <2.0.0 2.0.0<\n");
}

static void
versions_that_no_range_has_are_kept(void **state)
{
	(void)state;
	gives(SPAN(NPM_AFFECTED(
		  "\"versions\": [\"0.9.0\", \"1.0.0\", \"7.0.0\"], " RANGE(
		      "SEMVER", "{\"introduced\": \"0\"}, "
				"{\"fixed\": \"1.0.0\"}"))),
	    "npm a CVE-1 UNDEFINED <1.0.0, 1.0.0, 7.0.0\n");
	gives(SPAN(NPM_AFFECTED("\"versions\": [\"1.0.0\"]")),
	    "npm a CVE-1 UNDEFINED, 1.0.0\n");
}

static void
what_cannot_be_compared_is_left_out_and_counted(void **state)
{
	struct outcome o;

	(void)state;
	take_in(
	    SPAN(OSV("CVE-1", "",
		AFFECTED("Go", "a", "\"versions\": [\"1\"]") ", " AFFECTED(
		    "npm", "b",
		    RANGE("GIT",
			"{\"introduced\": "
			"\"0\"}")) ", {\"ranges\": []}, " AFFECTED("Ubuntu:Pro:"
								   "18.04:LTS",
		    "c", "\"versions\": [\"1\"]") ", " AFFECTED("PyPI",
		    "Foo.Bar__baz", "\"versions\": [\"1\"]"))),
	    9, &o);
	assert_int_equal(o.rc, RC_OK);
	assert_string_equal(o.lines.p, "pypi foo-bar-baz CVE-1 UNDEFINED, 1\n");
	assert_int_equal(o.tally.skipped, 4);
	assert_int_equal(o.tally.advisories, 1);
	buf_free(&o.lines);
}

static void
what_is_withdrawn_is_left_out_and_counted(void **state)
{
	struct outcome o;

	(void)state;
	take_in(SPAN(OSV("CVE-1", "\"withdrawn\": \"2024-01-01T00:00:00Z\", ",
		    AFFECTED("npm", "a", "\"versions\": [\"1\"]"))),
	    9, &o);
	assert_int_equal(o.rc, RC_OK);
	assert_int_equal(o.tally.withdrawn, 1);
	assert_int_equal(o.tally.advisories, 0);
	buf_free(&o.lines);
}

#define SEVERITY_RECORD(record, affected) \
	OSV("CVE-1", record, \
	    AFFECTED("npm", "a", affected "\"versions\": [\"1\"]"))
#define SCORED(type, score) \
	"\"severity\": [{\"type\": \"" type "\", \"score\": \"" score "\"}], "
#define V4 "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"

static void
severities_of_all_kinds_are_understood(void **state)
{
	static const struct {
		const char *file, *want;
	} cases[] = {
		{ SEVERITY_RECORD(SCORED("CVSS_V3", "7.5"), ""), "HIGH 7.5" },
		{ SEVERITY_RECORD(
		      SCORED("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:P/A:P"), ""),
		    "HIGH 7.5" },
		{ SEVERITY_RECORD(SCORED("CVSS_V4", V4), ""), "CRITICAL" },
		{ SEVERITY_RECORD(
		      SCORED("CVSS_V4", V4) "\"database_specific\": "
					    "{\"severity\": \"MODERATE\"}, ",
		      ""),
		    "MEDIUM" },
		{ SEVERITY_RECORD(SCORED("CVSS_V4", V4),
		      SCORED("CVSS_V3",
			  "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N")),
		    "LOW 1.6" },
		{ SEVERITY_RECORD(SCORED("CVSS_V3", "CVSS:3.1/AV:Q"), ""),
		    "UNDEFINED" },
		{ SEVERITY_RECORD(SCORED("Ubuntu", "negligible"), ""),
		    "INFORMATIONAL" },
		{ SEVERITY_RECORD(
		      "\"database_specific\": {\"severity\": \"Important\"}, ",
		      ""),
		    "HIGH" },
		{ SEVERITY_RECORD("", "\"ecosystem_specific\": {\"urgency\": "
				      "\"low\"}, "),
		    "LOW" },
		{ SEVERITY_RECORD("", ""), "UNDEFINED" },
	};
	char want[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(
		    want, sizeof(want), "npm a CVE-1 %s, 1\n", cases[i].want);
		gives(span_of(cases[i].file), want);
	}
}

static void
records_come_as_a_list_or_one_behind_the_other(void **state)
{
#define ONE OSV("CVE-1", "", AFFECTED("npm", "a", "\"versions\": [\"1\"]"))
#define TWO \
	"{\"affected\": [" AFFECTED( \
	    "npm", "b", "\"versions\": [\"2\"]") "], \"id\": \"CVE-2\"}"
	static const char lines[] =
	    "npm a CVE-1 UNDEFINED, 1\nnpm b CVE-2 UNDEFINED, 2\n";

	(void)state;
	gives(SPAN("[" ONE ", " TWO "]"), lines);
	gives(SPAN(" [\n" ONE "\n,\n" TWO "\n]\n"), lines);
	gives(SPAN(ONE "\n" TWO "\n"), lines);
	gives(SPAN(ONE TWO), lines);
	gives(SPAN("[" ONE "]"), "npm a CVE-1 UNDEFINED, 1\n");
	refused("[" ONE ", ]", RC_INVALID, "not a JSON object");
	refused("[" ONE " " TWO "]", RC_INVALID, "expected \",\"");
	refused("[" ONE "] " TWO, RC_INVALID, "behind the end");
	refused("[" ONE ", 7]", RC_INVALID, "not a JSON object");
	refused(ONE " x", RC_INVALID, "not the beginning");
	refused(ONE "\n" ALPINE("main", "[]"), RC_INVALID, "several formats");
}

static void
what_is_no_file_of_advisories_is_refused(void **state)
{
	static const struct {
		const char *file, *why;
	} cases[] = {
		{ "", "the file is empty" },
		{ " ", "nothing is in it" },
		{ "<html>", "byte 0" },
		{ "7", "byte 0" },
		{ "[]", "no advisory" },
		{ "{}", "neither of the Debian" },
		{ "{\"a\": 1}", "neither of the Debian" },
		{ "{\"a\": \"}\"}", "neither of the Debian" },
		{ "{\"a\": {}}", "no advisory" },
		{ "{\"id\": 1}", "no id" },
		{ "{\"id\": \"\"}", "no id" },
		{ "{\"id\": \"a\", \"affected\": {}}", "no list" },
		{ "{\"id\": \"a\", \"id\": \"b\"}", "duplicate" },
		{ "{\"id\": }", "no value" },
		{ "{\"id\"", "ends in the middle" },
		{ "{\"id", "ends in the middle" },
		{ "{", "ends in the middle" },
		{ "[", "ends in the middle" },
		{ "[[", "not a JSON object" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		refused(cases[i].file, RC_INVALID, cases[i].why);
}

static void
a_record_has_its_bounds(void **state)
{
	struct outcome o;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 2 * ADVISORY_RECORD_MAX_BYTES);
	buf_str(&b, "{\"id\": \"");
	while (b.n <= ADVISORY_RECORD_MAX_BYTES)
		buf_str(&b, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	take_in(buf_as_span(&b), 1 << 20, &o);
	assert_int_equal(o.rc, RC_TOOBIG);
	assert_non_null(strstr(o.why, "longer than"));
	buf_free(&o.lines);
	buf_clear(&b);
	buf_str(&b, "{\"id\": ");
	for (i = 0; i < 100000; i++)
		buf_char(&b, '[');
	for (i = 0; i < 100000; i++)
		buf_char(&b, ']');
	buf_char(&b, '}');
	take_in(buf_as_span(&b), 1 << 20, &o);
	assert_int_equal(o.rc, RC_INVALID);
	assert_non_null(strstr(o.why, "deep"));
	buf_free(&o.lines);
	buf_clear(&b);
	buf_str(&b, "{\"");
	for (i = 0; i < 10000; i++)
		buf_char(&b, 'a');
	take_in(buf_as_span(&b), 1 << 20, &o);
	assert_int_equal(o.rc, RC_TOOBIG);
	assert_non_null(strstr(o.why, "a name"));
	buf_free(&o.lines);
	buf_free(&b);
}

static enum rc
summary_check(void *arg, struct span ecosystem, struct span package,
    const struct advisory *a)
{
	const struct span end = SPAN("\xc3\xa4...");

	(void)ecosystem;
	(void)package;
	*(bool *)arg = a->summary.n <= ADVISORY_SUMMARY_MAX_BYTES &&
		       a->summary.n > ADVISORY_SUMMARY_MAX_BYTES - 4 &&
		       span_has_suffix(a->summary, end);
	return (RC_OK);
}

static void
long_summaries_are_cut_between_characters(void **state)
{
	char why[ADVISORY_WHY_BYTES];
	struct advisory_tally t;
	struct feed f = { .piece = 1 << 20 };
	bool cut = false;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_str(&b, "{\"id\": \"CVE-1\", \"summary\": \"x");
	for (i = 0; i < 1000; i++)
		buf_str(&b, "\xc3\xa4");
	buf_str(&b, "\", \"affected\": [" AFFECTED(
			"npm", "a", "\"versions\": [\"1\"]") "]}");
	f.rest = buf_as_span(&b);
	assert_int_equal(
	    advisories_read(feed_read, &f, summary_check, &cut, why, &t),
	    RC_OK);
	assert_true(cut);
	buf_free(&b);
}

/* --- compressed, packed -------------------------------------------------- */

static void
packed(struct buf *out, int (*format)(struct archive *),
    int (*filter)(struct archive *), const char *const (*files)[2], size_t n)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	static char room[1 << 20];
	size_t i, used = 0;

	assert_int_equal(format(a), ARCHIVE_OK);
	if (filter != NULL)
		assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(
	    archive_write_open_memory(a, room, sizeof(room), &used),
	    ARCHIVE_OK);
	for (i = 0; i < n; i++) {
		archive_entry_clear(e);
		archive_entry_set_pathname(e, files[i][0]);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_perm(e, 0644);
		archive_entry_set_size(e, (la_int64_t)strlen(files[i][1]));
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
		assert_int_equal(
		    archive_write_data(a, files[i][1], strlen(files[i][1])),
		    strlen(files[i][1]));
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);
	buf_init(out, sizeof(room));
	buf_add(out, room, used);
}

static void
files_may_be_compressed(void **state)
{
	static const char *const file[][2] = { { "data", DEBIAN } };
	struct buf b;

	(void)state;
	packed(&b, archive_write_set_format_raw, archive_write_add_filter_gzip,
	    file, 1);
	gives(buf_as_span(&b), DEBIAN_LINES);
	buf_free(&b);
	packed(&b, archive_write_set_format_raw, archive_write_add_filter_zstd,
	    file, 1);
	gives(buf_as_span(&b), DEBIAN_LINES);
	buf_free(&b);
}

static void
records_may_be_packed_into_a_zip_or_a_tar(void **state)
{
	static const char *const files[][2] = {
		{ "README.md", "nothing" },
		{ "a/CVE-1.json", ONE },
		{ "b.json", TWO },
	};
	static const char lines[] =
	    "npm a CVE-1 UNDEFINED, 1\nnpm b CVE-2 UNDEFINED, 2\n";
	static const char *const bad[][2] = {
		{ "a.json", ONE },
		{ "b.json", "{\"id\": \"x\"" },
	};
	struct outcome o;
	struct buf b;

	(void)state;
	packed(&b, archive_write_set_format_zip, NULL, files, 3);
	gives(buf_as_span(&b), lines);
	/* One that is cut off. */
	b.n /= 2;
	take_in(buf_as_span(&b), 100, &o);
	assert_int_equal(o.rc, RC_INVALID);
	buf_free(&o.lines);
	buf_free(&b);
	packed(&b, archive_write_set_format_ustar,
	    archive_write_add_filter_gzip, files, 3);
	gives(buf_as_span(&b), lines);
	buf_free(&b);
	packed(&b, archive_write_set_format_zip, NULL, bad, 2);
	take_in(buf_as_span(&b), 100, &o);
	assert_int_equal(o.rc, RC_INVALID);
	assert_non_null(strstr(o.why, "b.json: byte"));
	buf_free(&o.lines);
	buf_free(&b);
}

static enum rc
take_refuse(void *arg, struct span ecosystem, struct span package,
    const struct advisory *a)
{
	(void)arg;
	(void)ecosystem;
	(void)package;
	(void)a;
	return (RC_NOSPACE);
}

static void
what_others_say_ends_the_reading(void **state)
{
	struct feed f = { .rest = SPAN(DEBIAN), .piece = 64 };
	char why[ADVISORY_WHY_BYTES];
	struct advisory_tally t;

	(void)state;
	assert_int_equal(
	    advisories_read(feed_read, &f, take_refuse, NULL, why, &t),
	    RC_NOSPACE);
	f = (struct feed){ .rest = SPAN("{\"bash\":"), .piece = 64, true };
	assert_int_equal(
	    advisories_read(feed_read, &f, take_refuse, NULL, why, &t), RC_IO);
	f = (struct feed){ .piece = 64, .fails = true };
	assert_int_equal(
	    advisories_read(feed_read, &f, take_refuse, NULL, why, &t), RC_IO);
}

/* --- as it is kept ------------------------------------------------------- */

static void
an_advisory_is_read_as_it_was_written(void **state)
{
	struct version_range ranges[] = {
		{ .fixed = SPAN("1:1-1\"") },
		{ .introduced = SPAN("2"), .last_affected = SPAN("3") },
	};
	struct span versions[] = { SPAN("7"), SPAN("8") };
	struct advisory a = {
		.id = SPAN("CVE-1"),
		.record_id = SPAN("GHSA-1"),
		.summary = SPAN("It \"breaks\"\n"),
		.uri = SPAN("https://example.com/"),
		.cvss_vector = SPAN("CVSS:3.1/..."),
		.cvss_score = 9.8,
		.severity = SEVERITY_CRITICAL,
		.ranges = ranges,
		.n_ranges = 2,
		.versions = versions,
		.n_versions = 2,
		.binary = true,
	};
	struct advisory b;
	struct buf one, two;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 16);
	buf_init(&one, 1 << 16);
	buf_init(&two, 1 << 16);
	advisory_write(&a, &one);
	assert_int_equal(advisory_parse(buf_as_span(&one), &arena, &b), RC_OK);
	advisory_write(&b, &two);
	assert_true(span_eq(buf_as_span(&one), buf_as_span(&two)));
	assert_true(span_eq(b.summary, a.summary));
	assert_true(span_eq(b.ranges[1].last_affected, SPAN("3")));
	assert_true(b.cvss_score > 9.79 && b.cvss_score < 9.81);
	assert_true(b.binary);
	buf_clear(&one);
	a = (struct advisory){ .id = SPAN("X") };
	advisory_write(&a, &one);
	assert_int_equal(advisory_parse(buf_as_span(&one), &arena, &b), RC_OK);
	assert_int_equal(b.n_ranges, 0);
	assert_int_equal(b.severity, SEVERITY_UNDEFINED);
	buf_free(&one);
	buf_free(&two);
	arena_reset(&arena);
}

static void
what_is_no_advisory_of_ours_is_refused(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"sev\":1}",
		"{\"sev\":6,\"id\":\"a\"}", "{\"sev\":-1,\"id\":\"a\"}",
		"{\"sev\":1,\"id\":7}", "{\"sev\":1,\"id\":\"a\",\"sc\":101}",
		"{\"sev\":1,\"id\":\"a\",\"r\":{}}",
		"{\"sev\":1,\"id\":\"a\",\"r\":[[\"1\",\"2\"]]}",
		"{\"sev\":1,\"id\":\"a\",\"r\":[[\"1\",\"2\",3]]}",
		"{\"sev\":1,\"id\":\"a\",\"v\":[1]}",
		"{\"sev\":1,\"id\":\"a\",\"v\":\"1\"}" };
	struct advisory a;
	struct arena arena;
	size_t i;

	(void)state;
	arena_init(&arena, 1 << 16);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (advisory_parse(span_of(bad[i]), &arena, &a) != RC_INVALID)
			fail_msg("%s", bad[i]);
	arena_reset(&arena);
}

static void
names_of_sources_have_bounds(void **state)
{
	char long_one[ADVISORY_SOURCE_MAX_BYTES + 1];

	(void)state;
	memset(long_one, 'a', sizeof(long_one));
	assert_true(advisory_source_ok(SPAN("alpine:3.18/main")));
	assert_true(advisory_source_ok(SPAN("my_own-1.0+x")));
	assert_false(advisory_source_ok(SPAN_NONE));
	assert_false(advisory_source_ok(SPAN("a b")));
	assert_false(advisory_source_ok(SPAN("a\n")));
	assert_true(advisory_source_ok(
	    (struct span){ long_one, sizeof(long_one) - 1 }));
	assert_false(
	    advisory_source_ok((struct span){ long_one, sizeof(long_one) }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_debian_tracker_tells_what_is_open_and_fixed),
		cmocka_unit_test(
		    a_debian_file_that_is_damaged_is_refused_with_the_place),
		cmocka_unit_test(secdb_tells_in_which_version_it_was_fixed),
		cmocka_unit_test(a_secdb_that_is_damaged_is_refused),
		cmocka_unit_test(a_record_of_osv_is_called_by_its_cve),
		cmocka_unit_test(
		    a_file_of_osv_is_of_what_all_of_its_records_are_about),
		cmocka_unit_test(events_in_any_order_become_ranges),
		cmocka_unit_test(versions_that_no_range_has_are_kept),
		cmocka_unit_test(
		    what_cannot_be_compared_is_left_out_and_counted),
		cmocka_unit_test(what_is_withdrawn_is_left_out_and_counted),
		cmocka_unit_test(severities_of_all_kinds_are_understood),
		cmocka_unit_test(
		    records_come_as_a_list_or_one_behind_the_other),
		cmocka_unit_test(what_is_no_file_of_advisories_is_refused),
		cmocka_unit_test(a_record_has_its_bounds),
		cmocka_unit_test(long_summaries_are_cut_between_characters),
		cmocka_unit_test(files_may_be_compressed),
		cmocka_unit_test(records_may_be_packed_into_a_zip_or_a_tar),
		cmocka_unit_test(what_others_say_ends_the_reading),
		cmocka_unit_test(an_advisory_is_read_as_it_was_written),
		cmocka_unit_test(what_is_no_advisory_of_ours_is_refused),
		cmocka_unit_test(names_of_sources_have_bounds),
	};

	return (cmocka_run_group_tests_name("advisory", tests, NULL, NULL));
}
