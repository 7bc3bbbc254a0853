#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/obj.h"
#include "scan/match.h"

/*
 * Which package is met by which advisory.
 */
struct known {
	const char *ecosystem, *package;
	struct advisory advisory;
};

struct db {
	const struct known *rows;
	size_t n;
	enum rc rc;
};

/* What it gives out is overwritten afterwards: match() may keep none of it. */
static enum rc
find(void *arg, struct span ecosystem, struct span package, advisory_fn *fn,
    void *fn_arg)
{
	struct version_range ranges[4];
	char id[64], fixed[64];
	struct advisory a;
	const struct db *db = arg;
	size_t i;
	enum rc rc;

	for (i = 0; i < db->n; i++) {
		if (!span_is(ecosystem, db->rows[i].ecosystem) ||
		    !span_is(package, db->rows[i].package))
			continue;
		a = db->rows[i].advisory;
		if (a.n_ranges > 0)
			memcpy(
			    ranges, a.ranges, a.n_ranges * sizeof(ranges[0]));
		memcpy(id, a.id.p, a.id.n);
		a.id.p = id;
		if (a.n_ranges > 0 && ranges[0].fixed.n > 0) {
			memcpy(fixed, ranges[0].fixed.p, ranges[0].fixed.n);
			ranges[0].fixed.p = fixed;
		}
		a.ranges = ranges;
		rc = fn(fn_arg, &a);
		memset(id, '#', sizeof(id));
		memset(fixed, '#', sizeof(fixed));
		memset(ranges, 0xff, sizeof(ranges));
		if (rc != RC_OK)
			return (rc);
	}
	return (db->rc);
}

#define FIXED(version) \
	.ranges = (struct version_range[]){ { .fixed = SPAN_INIT(version) } }, \
	.n_ranges = 1

struct world {
	struct arena arena;
	struct findings found;
};

static void
match_all(struct world *w, const struct os_release *os,
    struct package *packages, size_t n, const struct known *rows, size_t n_rows)
{
	struct db db = { .rows = rows, .n = n_rows };
	const struct inventory inv = {
		.os = *os,
		.packages = packages,
		.n_packages = n,
	};

	arena_init(&w->arena, 1 << 20);
	assert_int_equal(match(&inv, find, &db, &w->arena, &w->found), RC_OK);
}

#define MATCH(w, os, packages, rows) \
	match_all(w, os, packages, ARRAY_LEN(packages), rows, ARRAY_LEN(rows))

static void
found(const struct world *w, size_t i, const char *id, const char *package,
    const char *fixed)
{
	const struct finding *f = &w->found.rows[i];

	assert_true(i < w->found.n);
	if (!span_is(f->advisory.id, id) || !span_is(f->package->name, package))
		fail_msg("%zu: " SPAN_FMT " in " SPAN_FMT, i,
		    SPAN_ARG(f->advisory.id), SPAN_ARG(f->package->name));
	assert_true(span_is(f->fixed_version, fixed));
}

static const struct os_release debian = {
	.id = SPAN_INIT("debian"),
	.version_id = SPAN_INIT("12"),
	.codename = SPAN_INIT("bookworm"),
};

static void
a_package_is_looked_up_by_its_source(void **state)
{
	static struct package packages[] = {
		{ .type = PACKAGE_DEB,
		    .name = SPAN_INIT("libssl3"),
		    .version = SPAN_INIT("3.0.9-1+b1"),
		    .source_name = SPAN_INIT("openssl"),
		    .source_version = SPAN_INIT("3.0.9-1") },
		{ .type = PACKAGE_DEB,
		    .name = SPAN_INIT("zlib1g"),
		    .version = SPAN_INIT("1:1.2.13"),
		    .source_name = SPAN_INIT("zlib") },
		{ .type = PACKAGE_DEB,
		    .name = SPAN_INIT("bash"),
		    .version = SPAN_INIT("5.2-1") },
	};
	const struct known rows[] = {
		{ "debian:bookworm", "openssl",
		    { .id = SPAN_INIT("CVE-1"), FIXED("3.0.9-1+deb12u1") } },
		{ "debian:bookworm", "openssl",
		    { .id = SPAN_INIT("CVE-2"), FIXED("3.0.9-1") } },
		{ "debian:bookworm", "zlib",
		    { .id = SPAN_INIT("CVE-3"), .severity = SEVERITY_LOW } },
		{ "debian:bookworm", "bash",
		    { .id = SPAN_INIT("CVE-4"),
			FIXED("5.2-2"),
			.severity = SEVERITY_CRITICAL } },
		{ "debian:bookworm", "libssl3", { .id = SPAN_INIT("CVE-5") } },
		{ "debian:trixie", "bash", { .id = SPAN_INIT("CVE-6") } },
	};
	struct world w;

	(void)state;
	MATCH(&w, &debian, packages, rows);
	assert_int_equal(w.found.n, 3);
	found(&w, 0, "CVE-4", "bash", "5.2-2");
	found(&w, 1, "CVE-3", "zlib1g", "");
	found(&w, 2, "CVE-1", "libssl3", "3.0.9-1+deb12u1");
	assert_int_equal(w.found.counts[SEVERITY_CRITICAL], 1);
	assert_int_equal(w.found.counts[SEVERITY_LOW], 1);
	assert_int_equal(w.found.counts[SEVERITY_UNDEFINED], 1);
	assert_int_equal(w.found.counts[SEVERITY_HIGH], 0);
	arena_reset(&w.arena);
}

static void
ranges_and_versions_say_who_is_affected(void **state)
{
	static struct version_range two[] = {
		{ .introduced = SPAN_INIT("1.0.0"),
		    .fixed = SPAN_INIT("1.5.0") },
		{ .introduced = SPAN_INIT("2.0.0"),
		    .last_affected = SPAN_INIT("2.3.0") },
	};
	static struct span versions[] = { SPAN_INIT("7.0.0") };
	const struct known rows[] = {
		{ "npm", "a",
		    { .id = SPAN_INIT("CVE-1"),
			.ranges = two,
			.n_ranges = 2,
			.versions = versions,
			.n_versions = 1 } },
	};
	static const struct {
		const char *version;
		bool affected;
	} cases[] = {
		{ "0.9.9", false },
		{ "1.0.0", true },
		{ "1.0.0-rc.1", false },
		{ "1.4.9", true },
		{ "1.5.0", false },
		{ "2.0.0", true },
		{ "2.3.0", true },
		{ "2.3.1", false },
		{ "7.0.0", true },
		{ "7.0.1", false },
		{ "git+https://example.com", false },
	};
	struct package package = { .type = PACKAGE_NPM, .name = SPAN("a") };
	struct world w;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		package.version = span_of(cases[i].version);
		match_all(&w, &debian, &package, 1, rows, 1);
		if (w.found.n != cases[i].affected)
			fail_msg("%s", cases[i].version);
		arena_reset(&w.arena);
	}
}

static void
versions_that_are_the_same_need_not_look_the_same(void **state)
{
	static struct span versions[] = { SPAN_INIT("1.1.0") };
	static struct package packages[] = {
		{ .type = PACKAGE_PYPI,
		    .name = SPAN_INIT("a"),
		    .version = SPAN_INIT("1.1") },
		{ .type = PACKAGE_PYPI,
		    .name = SPAN_INIT("a"),
		    .version = SPAN_INIT("1.1.post1") },
	};
	const struct known rows[] = {
		{ "pypi", "a",
		    { .id = SPAN_INIT("CVE-1"),
			.versions = versions,
			.n_versions = 1 } },
	};
	struct world w;

	(void)state;
	MATCH(&w, &debian, packages, rows);
	assert_int_equal(w.found.n, 1);
	assert_true(w.found.rows[0].package == &packages[0]);
	arena_reset(&w.arena);
}

static void
advisories_about_binary_packages_count_for_these(void **state)
{
	static const struct os_release alma = {
		.id = SPAN_INIT("almalinux"),
		.version_id = SPAN_INIT("9.3"),
	};
	static struct package packages[] = {
		{ .type = PACKAGE_RPM,
		    .name = SPAN_INIT("kernel-core"),
		    .version = SPAN_INIT("5.14.0-1.el9"),
		    .source_name = SPAN_INIT("kernel"),
		    .source_version = SPAN_INIT("5.14.0-1.el9") },
		{ .type = PACKAGE_RPM,
		    .name = SPAN_INIT("kernel"),
		    .version = SPAN_INIT("5.14.0-1.el9") },
	};
	const struct known rows[] = {
		{ "almalinux:9", "kernel-core",
		    { .id = SPAN_INIT("A-1"),
			FIXED("5.14.0-2.el9"),
			.binary = true } },
		{ "almalinux:9", "kernel",
		    { .id = SPAN_INIT("A-1"),
			FIXED("5.14.0-2.el9"),
			.binary = true } },
	};
	struct world w;

	(void)state;
	MATCH(&w, &alma, packages, rows);
	assert_int_equal(w.found.n, 2);
	found(&w, 0, "A-1", "kernel", "5.14.0-2.el9");
	found(&w, 1, "A-1", "kernel-core", "5.14.0-2.el9");
	arena_reset(&w.arena);
}

/* The name of a source rpm has no epoch. */
static void
the_epoch_of_an_rpm_is_that_of_its_package(void **state)
{
	static const struct os_release rocky = {
		.id = SPAN_INIT("rocky"),
		.version_id = SPAN_INIT("9.3"),
	};
	static struct package packages[] = {
		{ .type = PACKAGE_RPM,
		    .name = SPAN_INIT("openssl-libs"),
		    .version = SPAN_INIT("1:3.0.7-18.el9"),
		    .source_name = SPAN_INIT("openssl"),
		    .source_version = SPAN_INIT("3.0.7-18.el9") },
	};
	const struct known rows[] = {
		{ "rocky:9", "openssl",
		    { .id = SPAN_INIT("R-1"), FIXED("1:3.0.7-17.el9") } },
		{ "rocky:9", "openssl",
		    { .id = SPAN_INIT("R-2"), FIXED("1:3.0.7-24.el9") } },
	};
	struct world w;

	(void)state;
	MATCH(&w, &rocky, packages, rows);
	assert_int_equal(w.found.n, 1);
	found(&w, 0, "R-2", "openssl-libs", "1:3.0.7-24.el9");
	arena_reset(&w.arena);
}

static void
what_several_sources_say_is_one_finding(void **state)
{
	static struct package packages[] = {
		{ .type = PACKAGE_DEB,
		    .name = SPAN_INIT("bash"),
		    .version = SPAN_INIT("5.2-1") },
	};
	const struct known rows[] = {
		{ "debian:bookworm", "bash",
		    { .id = SPAN_INIT("CVE-1"),
			.uri = SPAN_INIT("https://debian.example/") } },
		{ "debian:bookworm", "bash",
		    { .id = SPAN_INIT("CVE-1"),
			.record_id = SPAN_INIT("DEBIAN-CVE-1"),
			.summary = SPAN_INIT("It breaks"),
			FIXED("5.2-2"),
			.uri = SPAN_INIT("https://osv.example/"),
			.cvss_vector = SPAN_INIT("CVSS:3.1/..."),
			.cvss_score = 9.8,
			.severity = SEVERITY_CRITICAL } },
		{ "debian:bookworm", "bash",
		    { .id = SPAN_INIT("CVE-1"), .severity = SEVERITY_LOW } },
	};
	const struct advisory *a;
	struct world w;

	(void)state;
	MATCH(&w, &debian, packages, rows);
	assert_int_equal(w.found.n, 1);
	found(&w, 0, "CVE-1", "bash", "5.2-2");
	a = &w.found.rows[0].advisory;
	assert_int_equal(a->severity, SEVERITY_CRITICAL);
	assert_true(span_is(a->summary, "It breaks"));
	assert_true(span_is(a->uri, "https://debian.example/"));
	assert_true(span_is(a->record_id, "DEBIAN-CVE-1"));
	assert_int_equal(w.found.counts[SEVERITY_CRITICAL], 1);
	arena_reset(&w.arena);
}

static void
a_package_is_of_the_ecosystem_of_its_system_only(void **state)
{
	static const struct os_release none = { .id = SPAN_INIT("") };
	static struct package packages[] = {
		{ .type = PACKAGE_DEB,
		    .name = SPAN_INIT("a"),
		    .version = SPAN_INIT("1") },
		{ .type = PACKAGE_APK,
		    .name = SPAN_INIT("a"),
		    .version = SPAN_INIT("1") },
		{ .type = PACKAGE_NPM,
		    .name = SPAN_INIT("a"),
		    .version = SPAN_INIT("1.0.0") },
		{ .type = PACKAGE_PYPI,
		    .name = SPAN_INIT("A._b"),
		    .version = SPAN_INIT("1.0") },
	};
	const struct known rows[] = {
		{ "debian:bookworm", "a", { .id = SPAN_INIT("D") } },
		{ "alpine:3.18", "a", { .id = SPAN_INIT("A") } },
		{ "npm", "a", { .id = SPAN_INIT("N") } },
		{ "pypi", "a-b", { .id = SPAN_INIT("P") } },
	};
	struct world w;

	(void)state;
	MATCH(&w, &debian, packages, rows);
	assert_int_equal(w.found.n, 3);
	found(&w, 0, "D", "a", "");
	found(&w, 1, "N", "a", "");
	found(&w, 2, "P", "A._b", "");
	arena_reset(&w.arena);
	MATCH(&w, &none, packages, rows);
	assert_int_equal(w.found.n, 2);
	arena_reset(&w.arena);
}

static void
failures_end_it(void **state)
{
	struct package package = {
		.type = PACKAGE_NPM, .name = SPAN("a"), .version = SPAN("1.0.0")
	};
	const struct inventory inv = { .packages = &package, .n_packages = 1 };
	const struct known rows[] = {
		{ "npm", "a", { .id = SPAN_INIT("N") } },
	};
	struct db db = { .rc = RC_IO };
	struct findings f;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 16);
	assert_int_equal(match(&inv, find, &db, &arena, &f), RC_IO);
	arena_reset(&arena);
	arena_init(&arena, 8);
	db = (struct db){ .rows = rows, .n = 1 };
	assert_int_equal(match(&inv, find, &db, &arena, &f), RC_TOOBIG);
	arena_reset(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_package_is_looked_up_by_its_source),
		cmocka_unit_test(ranges_and_versions_say_who_is_affected),
		cmocka_unit_test(
		    versions_that_are_the_same_need_not_look_the_same),
		cmocka_unit_test(
		    advisories_about_binary_packages_count_for_these),
		cmocka_unit_test(the_epoch_of_an_rpm_is_that_of_its_package),
		cmocka_unit_test(what_several_sources_say_is_one_finding),
		cmocka_unit_test(
		    a_package_is_of_the_ecosystem_of_its_system_only),
		cmocka_unit_test(failures_end_it),
	};

	return (cmocka_run_group_tests_name("match", tests, NULL, NULL));
}
