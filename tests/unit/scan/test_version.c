#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "base/thread.h"
#include "scan/version.h"

/*
 * Versions in the order in which their own tools have them.  Of each pair the
 * first is below the second, or as high.
 */
struct pair {
	const char *a, *b;
};

static int
sign(int n)
{
	return (n < 0 ? -1 : n > 0);
}

static void
order_is(enum package_type type, const char *a, const char *b, int want)
{
	int order = 99;
	enum rc rc;

	rc = version_compare(type, span_of(a), span_of(b), &order);
	if (rc != RC_OK || sign(order) != want)
		fail_msg("\"%s\" and \"%s\": %s, %d", a, b, rc_name(rc), order);
	rc = version_compare(type, span_of(b), span_of(a), &order);
	if (rc != RC_OK || sign(order) != -want)
		fail_msg("\"%s\" and \"%s\": %s, %d", b, a, rc_name(rc), order);
}

static void
below(enum package_type type, const struct pair *pairs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		order_is(type, pairs[i].a, pairs[i].b, -1);
}

static void
same(enum package_type type, const struct pair *pairs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		order_is(type, pairs[i].a, pairs[i].b, 0);
}

static void
invalid(
    enum package_type type, const char *good, const char *const *bad, size_t n)
{
	int order;
	size_t i;

	for (i = 0; i < n; i++) {
		if (version_compare(type, span_of(bad[i]), span_of(good),
			&order) != RC_INVALID ||
		    version_compare(type, span_of(good), span_of(bad[i]),
			&order) != RC_INVALID)
			fail_msg("\"%s\" is taken for a version", bad[i]);
	}
}

/* Each is below all behind it. */
static void
rises(enum package_type type, const char *const *list, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++)
		for (k = i; k < n; k++)
			order_is(type, list[i], list[k], i == k ? 0 : -1);
}

#define BELOW(type, pairs) below(type, pairs, ARRAY_LEN(pairs))
#define SAME(type, pairs) same(type, pairs, ARRAY_LEN(pairs))
#define RISES(type, list) rises(type, list, ARRAY_LEN(list))
#define INVALID(type, good, list) invalid(type, good, list, ARRAY_LEN(list))

/* --- deb ----------------------------------------------------------------- */

static void
deb_versions_are_in_the_order_of_dpkg(void **state)
{
	static const struct pair lower[] = {
		{ "1.0", "1.1" },
		{ "1.2.3", "1.12.3" },
		{ "1.0", "1:0.1" },
		{ "1:1.0", "2:0.9" },
		{ "1.0-1", "1.0-2" },
		{ "1.0-9", "1.0-10" },
		{ "1.0-1", "1.0-1.1" },
		{ "1.0~rc1-1", "1.0-1" },
		{ "1.0~~", "1.0~" },
		{ "1.0~~a", "1.0~" },
		{ "1.0~", "1.0" },
		{ "1.0", "1.0a" },
		{ "1.0a", "1.0+b" },
		{ "1.0-1", "1.0a" },
		{ "5.2.15-2", "5.2.15-2+b2" },
		{ "5.2.15-2+b2", "5.2.15-2+deb12u1" },
		{ "1.1.1n-0+deb11u5", "1.1.1w-0+deb11u1" },
		{ "2.36-9+deb12u3", "2.36-9+deb12u4" },
		{ "0:1.2.11.dfsg-4", "1:1.2.11.dfsg-2" },
		{ "1.2-3~bpo11+1", "1.2-3" },
		{ "2:1.4-1-1", "2:1.4-2-0" },
		{ "0.1.dfsg-1", "0.1.dfsg-1ubuntu1" },
		{ "7.6-0", "7.6p2-4" },
		{ "1.0a", "1.0." },
		{ "1.0-~1", "1.0" },
		{ "1a:2", "1.:2" },
	};
	static const struct pair equal[] = {
		{ "0", "00" },
		{ "0:1.0", "1.0" },
		{ "1.0", "1.0-0" },
		{ "1.00", "1.0" },
		{ "1.0-01", "1.0-1" },
		{ "1.2.03", "1.2.3" },
		{ "1.b", "1.b0" },
		{ "1.0-1a", "1.0-1a0" },
		{ "", "0" },
	};

	(void)state;
	BELOW(PACKAGE_DEB, lower);
	SAME(PACKAGE_DEB, equal);
}

/* --- rpm ----------------------------------------------------------------- */

static void
rpm_versions_are_in_the_order_of_rpm(void **state)
{
	static const struct pair lower[] = {
		{ "1.0", "2.0" },
		{ "2.0", "2.0.1" },
		{ "2.0.1", "2.0.1a" },
		{ "5.5p1", "5.5p2" },
		{ "5.5p1", "5.5p10" },
		{ "10xyz", "10.1xyz" },
		{ "xyz10", "xyz10.1" },
		{ "xyz.4", "8" },
		{ "xyz.4", "2" },
		{ "5.5p2", "5.6p1" },
		{ "5.6p1", "6.5p1" },
		{ "6.0", "6.0.rc1" },
		{ "10a2", "10b2" },
		{ "1.0a", "1.0aa" },
		{ "10.0001", "10.0039" },
		{ "4.999.9", "5.0" },
		{ "20101121", "20101122" },
		{ "1.0~rc1", "1.0" },
		{ "1.0~rc1", "1.0~rc2" },
		{ "1.0~rc1~git123", "1.0~rc1" },
		{ "1.0", "1.0^" },
		{ "1.0^", "1.0^git1" },
		{ "1.0^git1", "1.0^git2" },
		{ "1.0^git1", "1.01" },
		{ "1.0^20160101", "1.0.1" },
		{ "1.0-1", "1.0-2" },
		{ "1.0-1.el9", "1.0-1.el9_2" },
		{ "0:9.9-1", "1:1.0-1" },
		{ "1:5.1.8-6.el9", "1:5.1.8-9.el9" },
	};
	static const struct pair equal[] = {
		{ "1.0", "1.0" },
		{ "10.0001", "10.1" },
		{ "2_0", "2.0" },
		{ "a+", "a_" },
		{ "0:1.0-1", "1.0-1" },
		{ "1.05", "1.5" },
	};

	(void)state;
	BELOW(PACKAGE_RPM, lower);
	SAME(PACKAGE_RPM, equal);
}

/* --- apk ----------------------------------------------------------------- */

static void
apk_versions_are_in_the_order_of_apk(void **state)
{
	static const char *const list[] = { "0.1.0_alpha_pre2", "0.1.0_alpha",
		"0.1.0_alpha2", "0.1.0_beta", "0.1.0_pre1", "0.1.0_rc1-r0",
		"0.1.0", "0.1.0-r1", "0.1.0_cvs1", "0.1.0_svn1", "0.1.0_git1",
		"0.1.0_hg1", "0.1.0_p1", "0.1.0_p10", "0.1.0a", "0.1.0b-r2",
		"0.1.0.1", "0.1.3_alpha", "0.2" };
	static const struct pair lower[] = {
		{ "1.0.4-r3", "1.0.4-r4" },
		{ "1.0.4-r9", "1.0.4-r10" },
		{ "2.2.39-r1", "10.0" },
		{ "1.06-r6", "006" },
		{ "1.02.07", "1.02.10-r1" },
		{ "1.3_pre1-r1", "1.3.2" },
		{ "1.3-r0", "1.3.1-r0" },
		{ "1.0_p9-r0", "1.0_p10-r0" },
		{ "3.0.20060720", "20060720" },
		{ "1.00_beta2", "1.39" },
		{ "1.21-r1", "1.90.1-r1" },
		{ "0.9.28-r2", "0.9.28.1" },
		{ "1.0.0_pre20191002222144-r0", "1.0.0_pre20210530193627-r0" },
		{ "2.5.1-r8", "2.5.1a-r1" },
		{ "1.0~1a2b", "1.0~1a2c" },
		{ "3.1.4-r5", "3.1.4-r6" },
		{ "1.36.1-r15", "1.36.1-r16" },
	};
	static const struct pair equal[] = {
		{ "1.0", "1.0" },
		{ "6", "006" },
		{ "2.16.1-r3", "2.16.1-r3" },
		{ "1.0-r01", "1.0-r1" },
	};
	static const char *const bad[] = { "", "a", "1.", ".1", "1.0bc",
		"23_foo", "1.0_", "1.0-", "1.0-r", "1.0-x1", "1.0-r1.2",
		"1.0-r1-r2", "1.0-r1_p1", "1.0 ", "1.0a.1", "1.0~", "1.0~xyz",
		"1.0_p1a", "1.0~ab_p1" };

	(void)state;
	RISES(PACKAGE_APK, list);
	BELOW(PACKAGE_APK, lower);
	SAME(PACKAGE_APK, equal);
	INVALID(PACKAGE_APK, "1.0", bad);
}

/* --- npm ----------------------------------------------------------------- */

static void
npm_versions_are_in_the_order_of_semver(void **state)
{
	static const char *const list[] = { "0.0.1", "0.9.0", "1.0.0-alpha",
		"1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
		"1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0",
		"1.0.1-0", "1.0.1", "1.9.0", "1.10.0", "1.11.0", "2.0.0",
		"2.1.0", "2.1.1", "10.0.0", "99999999999999999999999.0.0" };
	static const struct pair equal[] = {
		{ "1.0.0", "v1.0.0" },
		{ "=1.0.0", "1.0.0" },
		{ "1.0.0+build.1", "1.0.0+build.2" },
		{ "1.0.0-rc.1+5", "1.0.0-rc.1" },
		{ "1.2", "1.2.0" },
		{ "1", "1.0.0" },
	};
	static const char *const bad[] = { "", "a", "1.", "1.0.", "1.0.0.0",
		"1.0.0-", "1.0.0-a..b", "1.0.0-a.", "1.0.0+", "1.0.0-\xc3\xa4",
		"latest", "git+ssh://git@example.com/a.git", "1.x", "*" };

	(void)state;
	RISES(PACKAGE_NPM, list);
	SAME(PACKAGE_NPM, equal);
	INVALID(PACKAGE_NPM, "1.0.0", bad);
}

/* --- Python -------------------------------------------------------------- */

static void
python_versions_are_in_the_order_of_pep_440(void **state)
{
	static const char *const list[] = { "1.0.dev456", "1.0a1",
		"1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456",
		"1.0b2", "1.0b2.post345.dev456", "1.0b2.post345",
		"1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7",
		"1.0+5", "1.0.post456.dev34", "1.0.post456", "1.0.15",
		"1.1.dev1", "1.1", "1.10", "2024.1", "1!0.1" };
	static const struct pair equal[] = {
		{ "1.0", "1" },
		{ "1.0", "1.0.0" },
		{ "v1.0", "1.0" },
		{ "1.0a", "1.0a0" },
		{ "1.0-alpha1", "1.0a1" },
		{ "1.0.ALPHA.1", "1.0a1" },
		{ "1.0c1", "1.0rc1" },
		{ "1.0-pre-1", "1.0rc1" },
		{ "1.0_preview1", "1.0rc1" },
		{ "1.0beta-", "1.0b0" },
		{ "1.0beta--1", "1.0b0.post1" },
		{ "1.0-1", "1.0.post1" },
		{ "1.0-r4", "1.0.post4" },
		{ "1.0post", "1.0.post0" },
		{ "1.0-dev", "1.0.dev0" },
		{ "1.0+ubuntu-1", "1.0+ubuntu.1" },
		{ "1.0+UBUNTU_1", "1.0+ubuntu.1" },
		{ " 1.0\t", "1.0" },
		{ "0!1.0", "1.0" },
		{ "01.00", "1.0" },
	};
	static const char *const bad[] = { "", "a", "1.0.x", "1..0", "1.0-",
		"1.0+", "1.0+a..b", "1.0+.a", "1.0+a.", "!1.0", "1!", "1.0a1b2",
		"1.0.dev1.post1", "1.0.dev1a", "1.0 1", "==1.0" };

	(void)state;
	RISES(PACKAGE_PYPI, list);
	SAME(PACKAGE_PYPI, equal);
	INVALID(PACKAGE_PYPI, "1.0", bad);
}

/* --- all of them --------------------------------------------------------- */

static void
long_versions_are_compared_to_their_end(void **state)
{
	static const enum package_type types[] = { PACKAGE_DEB, PACKAGE_RPM,
		PACKAGE_APK, PACKAGE_NPM, PACKAGE_PYPI };
	char a[PACKAGE_TEXT_MAX_BYTES], b[PACKAGE_TEXT_MAX_BYTES];
	size_t i;

	(void)state;
	memset(a, '7', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	memcpy(b, a, sizeof(b));
	b[sizeof(b) - 2] = '8';
	for (i = 0; i < ARRAY_LEN(types); i++)
		order_is(types[i], a, b, -1);
}

static void
compare_often(void *arg)
{
	int i, order, *wrong = arg;

	for (i = 0; i < 2000; i++) {
		if (version_compare(PACKAGE_DEB, SPAN("1:1.0~rc1-1"),
			SPAN("1:1.0-1"), &order) != RC_OK ||
		    order >= 0)
			*wrong = 1;
		if (version_compare(PACKAGE_RPM, SPAN("1.0^1-1"), SPAN("1.0-1"),
			&order) != RC_OK ||
		    order <= 0)
			*wrong = 1;
	}
}

static void
threads_compare_at_the_same_time(void **state)
{
	pthread_t threads[4];
	int wrong[4] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(thread_start("compare", compare_often,
				     &wrong[i], &threads[i]),
		    RC_OK);
	for (i = 0; i < ARRAY_LEN(threads); i++) {
		thread_join(threads[i]);
		assert_int_equal(wrong[i], 0);
	}
}

/* --- ecosystems ---------------------------------------------------------- */

static void
an_image_is_of_the_ecosystem_that_its_os_release_says(void **state)
{
	static const struct {
		struct os_release os;
		enum package_type type;
		const char *want; /* NULL: of none */
	} cases[] = {
		{ { .id = SPAN_INIT("debian"),
		      .version_id = SPAN_INIT("12"),
		      .codename = SPAN_INIT("bookworm") },
		    PACKAGE_DEB, "debian:bookworm" },
		{ { .id = SPAN_INIT("debian"), .version_id = SPAN_INIT("11") },
		    PACKAGE_DEB, "debian:bullseye" },
		{ { .id = SPAN_INIT("debian"),
		      .codename = SPAN_INIT("trixie") },
		    PACKAGE_DEB, "debian:trixie" },
		{ { .id = SPAN_INIT("debian") }, PACKAGE_DEB, NULL },
		{ { .id = SPAN_INIT("debian"), .version_id = SPAN_INIT("12") },
		    PACKAGE_RPM, NULL },
		{ { .id = SPAN_INIT("ubuntu"),
		      .version_id = SPAN_INIT("22.04"),
		      .codename = SPAN_INIT("jammy") },
		    PACKAGE_DEB, "ubuntu:22.04" },
		{ { .id = SPAN_INIT("alpine"),
		      .version_id = SPAN_INIT("3.18.4") },
		    PACKAGE_APK, "alpine:3.18" },
		{ { .id = SPAN_INIT("alpine"),
		      .version_id = SPAN_INIT("3.20_alpha20240329") },
		    PACKAGE_APK, "alpine:edge" },
		{ { .id = SPAN_INIT("wolfi"),
		      .version_id = SPAN_INIT("20230201") },
		    PACKAGE_APK, "wolfi" },
		{ { .id = SPAN_INIT("rocky"), .version_id = SPAN_INIT("9.3") },
		    PACKAGE_RPM, "rocky:9" },
		{ { .id = SPAN_INIT("almalinux"),
		      .version_id = SPAN_INIT("8.9") },
		    PACKAGE_RPM, "almalinux:8" },
		{ { .id = SPAN_INIT("rhel"), .version_id = SPAN_INIT("9.3") },
		    PACKAGE_RPM, "redhat:9" },
		{ { .id = SPAN_INIT("mariner"),
		      .version_id = SPAN_INIT("2.0") },
		    PACKAGE_RPM, "azurelinux:2" },
		{ { .id = SPAN_INIT("sles"), .version_id = SPAN_INIT("15.5") },
		    PACKAGE_RPM, "sles:15.5" },
		{ { .id = SPAN_INIT("opensuse-leap"),
		      .version_id = SPAN_INIT("15.5") },
		    PACKAGE_RPM, "opensuse-leap:15.5" },
		{ { .id = SPAN_INIT("opensuse-tumbleweed"),
		      .version_id = SPAN_INIT("20240101") },
		    PACKAGE_RPM, "opensuse-tumbleweed" },
		{ { .id = SPAN_INIT("void"), .version_id = SPAN_INIT("1") },
		    PACKAGE_DEB, NULL },
		{ { .id = SPAN_INIT("ol"), .version_id = SPAN_INIT("9.3") },
		    PACKAGE_RPM, NULL },
		{ { .id = SPAN_INIT("Bad Name"), .version_id = SPAN_INIT("1") },
		    PACKAGE_DEB, NULL },
		{ { .id = SPAN_INIT("") }, PACKAGE_DEB, NULL },
		{ { .id = SPAN_INIT("") }, PACKAGE_NPM, "npm" },
		{ { .id = SPAN_INIT("debian") }, PACKAGE_PYPI, "pypi" },
	};
	struct arena arena;
	struct span e;
	size_t i;
	enum rc rc;

	(void)state;
	arena_init(&arena, 1 << 16);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		rc = ecosystem_of(&cases[i].os, cases[i].type, &arena, &e);
		if (cases[i].want == NULL) {
			if (rc != RC_NOTFOUND)
				fail_msg("case %zu: %s", i, rc_name(rc));
		} else if (rc != RC_OK || !span_is(e, cases[i].want)) {
			fail_msg("case %zu: %s", i, cases[i].want);
		}
	}
	arena_reset(&arena);
}

static void
names_of_osv_are_understood_or_refused(void **state)
{
	static const struct {
		const char *name, *want; /* NULL: refused */
		enum package_type type;
	} cases[] = {
		{ "Debian:12", "debian:bookworm", PACKAGE_DEB },
		{ "Debian:3.1", "debian:sarge", PACKAGE_DEB },
		{ "Debian:99", "debian:99", PACKAGE_DEB },
		{ "Debian", NULL, 0 },
		{ "Ubuntu:22.04:LTS", "ubuntu:22.04", PACKAGE_DEB },
		{ "Ubuntu:24.10", "ubuntu:24.10", PACKAGE_DEB },
		{ "Ubuntu:Pro:18.04:LTS", NULL, 0 },
		{ "Ubuntu:Pro:FIPS:16.04:LTS", NULL, 0 },
		{ "Ubuntu:22.04:LTS:for:NVIDIA", NULL, 0 },
		{ "Alpine:v3.18", "alpine:3.18", PACKAGE_APK },
		{ "Alpine:edge", "alpine:edge", PACKAGE_APK },
		{ "Alpine", NULL, 0 },
		{ "Wolfi", "wolfi", PACKAGE_APK },
		{ "Chainguard", "chainguard", PACKAGE_APK },
		{ "Rocky Linux:9", "rocky:9", PACKAGE_RPM },
		{ "AlmaLinux:8", "almalinux:8", PACKAGE_RPM },
		{ "Red Hat:enterprise_linux:9::appstream", "redhat:9",
		    PACKAGE_RPM },
		{ "Red Hat:enterprise_linux:8.2::baseos", "redhat:8",
		    PACKAGE_RPM },
		{ "Red Hat:rhel_eus:9.2::appstream", NULL, 0 },
		{ "SUSE:Linux Enterprise Server 15 SP5", "sles:15.5",
		    PACKAGE_RPM },
		{ "SUSE:Linux Enterprise Module for Basesystem 15 SP5",
		    "sles:15.5", PACKAGE_RPM },
		{ "SUSE:Linux Enterprise Server 15 SP5-LTSS", NULL, 0 },
		{ "SUSE:Linux Enterprise Desktop 15 SP5", NULL, 0 },
		{ "openSUSE:Leap 15.5", "opensuse-leap:15.5", PACKAGE_RPM },
		{ "openSUSE:Tumbleweed", "opensuse-tumbleweed", PACKAGE_RPM },
		{ "npm", "npm", PACKAGE_NPM },
		{ "PyPI", "pypi", PACKAGE_PYPI },
		{ "npm:x", NULL, 0 },
		{ "Go", NULL, 0 },
		{ "crates.io", NULL, 0 },
		{ "", NULL, 0 },
	};
	enum package_type type;
	struct arena arena;
	struct span e;
	size_t i;
	enum rc rc;

	(void)state;
	arena_init(&arena, 1 << 16);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		rc =
		    ecosystem_of_osv(span_of(cases[i].name), &arena, &e, &type);
		if (cases[i].want == NULL) {
			if (rc != RC_UNSUPPORTED)
				fail_msg("%s: %s", cases[i].name, rc_name(rc));
		} else if (rc != RC_OK || !span_is(e, cases[i].want) ||
			   type != cases[i].type) {
			fail_msg("%s", cases[i].name);
		}
	}
	arena_reset(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deb_versions_are_in_the_order_of_dpkg),
		cmocka_unit_test(rpm_versions_are_in_the_order_of_rpm),
		cmocka_unit_test(apk_versions_are_in_the_order_of_apk),
		cmocka_unit_test(npm_versions_are_in_the_order_of_semver),
		cmocka_unit_test(python_versions_are_in_the_order_of_pep_440),
		cmocka_unit_test(long_versions_are_compared_to_their_end),
		cmocka_unit_test(threads_compare_at_the_same_time),
		cmocka_unit_test(
		    an_image_is_of_the_ecosystem_that_its_os_release_says),
		cmocka_unit_test(names_of_osv_are_understood_or_refused),
	};

	return (cmocka_run_group_tests_name("version", tests, NULL, NULL));
}
