#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "mirror/select.h"
#include "mirror/semver.h"

#define WORDS_MAX 64

static size_t
words(const char *text, struct span *out)
{
	struct span rest = span_of(text), word;
	size_t n = 0;

	while (span_split(&rest, ' ', &word)) {
		assert_true(n < WORDS_MAX);
		out[n++] = word;
	}
	return (n);
}

struct want {
	const char *globs, *regexes, *excludes, *semver;
	unsigned newest;
};

static struct selection *
made(const struct want *w)
{
	struct span globs[WORDS_MAX], regexes[WORDS_MAX], excludes[WORDS_MAX];
	struct select_options o = {
		.globs = globs,
		.regexes = regexes,
		.excludes = excludes,
		.semver = span_of(w->semver),
		.newest = w->newest,
	};
	char why[SELECT_WHY_BYTES];
	struct selection *s;

	o.n_globs = w->globs != NULL ? words(w->globs, globs) : 0;
	o.n_regexes = w->regexes != NULL ? words(w->regexes, regexes) : 0;
	o.n_excludes = w->excludes != NULL ? words(w->excludes, excludes) : 0;
	assert_int_equal(selection_new(&o, why, &s), RC_OK);
	return (s);
}

/* Of ${tags} those of ${expected} are left, in that order. */
static void
selects(const struct want *w, const char *tags, const char *expected)
{
	struct span list[WORDS_MAX];
	char got[1024] = "";
	struct selection *s = made(w);
	size_t i, n, all, at = 0;

	all = words(tags, list);
	n = selection_apply(s, list, all);
	for (i = 0; i < n; i++)
		at += (size_t)snprintf(got + at, sizeof(got) - at,
		    "%s" SPAN_FMT, i > 0 ? " " : "", SPAN_ARG(list[i]));
	assert_string_equal(got, expected);
	selection_free(&s);
	assert_null(s);
}

static void
all_tags_are_taken_where_nothing_is_said(void **state)
{
	(void)state;
	selects(&(struct want){ 0 }, "b a latest 1.0", "b a latest 1.0");
}

static void
any_of_the_globs_is_enough(void **state)
{
	(void)state;
	selects(&(struct want){ .globs = "v1.* edge" },
	    "v1.2 v10 edge edgy v2.0", "v1.2 edge");
	selects(&(struct want){ .globs = "3.1[0-5]-?lpine" },
	    "3.10-alpine 3.16-alpine 3.15-Alpine 3.15-lpine",
	    "3.10-alpine 3.15-Alpine");
}

static void
a_glob_names_the_whole_tag(void **state)
{
	(void)state;
	selects(&(struct want){ .globs = "1.2" }, "1.2 1.2.3 v1.2 1x2", "1.2");
}

static void
a_regular_expression_names_the_whole_tag(void **state)
{
	(void)state;
	selects(&(struct want){ .regexes = "v?[0-9]+\\.[0-9]+" },
	    "v1.2 1.2 1.2.3 xv1.2 1.", "v1.2 1.2");
	selects(
	    &(struct want){ .regexes = "1|12|123" }, "123 12 1234", "123 12");
}

static void
globs_and_regular_expressions_add_up(void **state)
{
	(void)state;
	selects(&(struct want){ .globs = "latest", .regexes = "[0-9]+" },
	    "latest 12 stable", "latest 12");
}

static void
what_is_excluded_is_not_taken_whatever_names_it(void **state)
{
	(void)state;
	selects(&(struct want){ .globs = "*", .excludes = "*-rc* nightly" },
	    "1.0 1.0-rc1 nightly 1.1", "1.0 1.1");
}

static void
ranges_of_versions(void **state)
{
	static const struct {
		const char *range, *takes, *leaves;
	} rows[] = {
		{ ">=1.2 <2", "1.2 1.2.0 1.9.9 v1.3", "1.1.9 2 2.0.0 0.1" },
		{ ">=1.2 <2 || 3.x", "1.2 3 3.0 3.99.1", "2.5 4" },
		{ "^1.4", "1.4.0 1.5 1.99", "1.3.9 2.0" },
		{ "^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 1.2.3" },
		{ "^0.0.3", "0.0.3", "0.0.4 0.0.2" },
		{ "^0.0", "0.0.0 0.0.9", "0.1" },
		{ "^0", "0.9 0.0.1", "1.0" },
		{ "~1.4.2", "1.4.2 1.4.9", "1.4.1 1.5.0" },
		{ "~1.4", "1.4.0 1.4.9", "1.5 1.3" },
		{ "~1", "1.0 1.9", "2 0.9" },
		{ "1.x", "1 1.0 1.2.3", "2 0.9" },
		{ "1.2.*", "1.2 1.2.3", "1.3 1.1" },
		{ "*", "1 0.0.1 v7.7.7", "latest 1-rc1" },
		{ "x", "1 2", "edge" },
		{ "1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2" },
		{ "=1.2", "1.2 1.2.9", "1.3" },
		{ ">1.2", "1.3 2", "1.2 1.2.9" },
		{ "<=1.2", "1.2 1.2.9 1.0", "1.3" },
		{ "<1.2", "1.1.9", "1.2 1.2.1" },
		{ ">1.2.3", "1.2.4", "1.2.3" },
		{ ">= 1.2 < 1.4", "1.2 1.3.9", "1.4" },
		{ "v1.x", "1.2 v1.2", "v2" },
		{ "22.04", "22.04 22.4 22.04.1", "22.10" },
		{ ">=20240101", "20240101 20250630", "20231231" },
		{ "1||2", "1.1 2.2", "3" },
	};
	struct span list[WORDS_MAX];
	struct selection *s;
	size_t i, j, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		s = made(&(struct want){ .semver = rows[i].range });
		n = words(rows[i].takes, list);
		for (j = 0; j < n; j++)
			if (!selection_takes(s, list[j]))
				fail_msg("%s does not take " SPAN_FMT,
				    rows[i].range, SPAN_ARG(list[j]));
		n = words(rows[i].leaves, list);
		for (j = 0; j < n; j++)
			if (selection_takes(s, list[j]))
				fail_msg("%s takes " SPAN_FMT, rows[i].range,
				    SPAN_ARG(list[j]));
		selection_free(&s);
	}
}

static void
pre_releases_are_taken_only_where_the_range_names_one(void **state)
{
	(void)state;
	selects(&(struct want){ .semver = "^3.18" },
	    "3.18 3.18-alpine 3.19-rc1", "3.18");
	selects(&(struct want){ .semver = ">=1.2.3-beta.2 <2" },
	    "1.2.3-beta.1 1.2.3-beta.2 1.2.3-beta.10 1.2.3 1.2.4-beta.3 1.3",
	    "1.2.3-beta.2 1.2.3-beta.10 1.2.3 1.3");
	selects(&(struct want){ .semver = "<2" }, "2.0.0-rc1 1.9", "1.9");
	selects(&(struct want){ .semver = ">=1.0.0-0 <1.0.1" },
	    "1.0.0-alpha 1.0.0 0.9", "1.0.0-alpha 1.0.0");
}

static void
versions_order_as_the_specification_has_them(void **state)
{
	static const char *const rising[] = { "1.0.0-1", "1.0.0-2", "1.0.0-010",
		"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
		"1.0.0", "1.0.1", "1.1", "2", "2.1.1", "10", "20240101" };
	struct version a, b;
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rising); i++)
		for (j = 0; j < ARRAY_LEN(rising); j++) {
			assert_true(version_parse(span_of(rising[i]), &a));
			assert_true(version_parse(span_of(rising[j]), &b));
			if (i < j)
				assert_true(version_cmp(&a, &b) < 0);
			else if (i > j)
				assert_true(version_cmp(&a, &b) > 0);
			else
				assert_int_equal(version_cmp(&a, &b), 0);
		}
}

static void
what_is_no_version(void **state)
{
	static const char *const none[] = { "", "v", "latest", "1.2.3.4", "1.",
		".1", "1..2", "1.2-", "1.2-a..b", "1.2-.a", "1.2_3", "x1", "1x",
		"1234567890123456789", "-1", "1.-2", "vv1" };
	struct version v;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(none); i++)
		if (version_parse(span_of(none[i]), &v))
			fail_msg("\"%s\" is a version", none[i]);
}

static void
the_newest_are_the_highest_versions(void **state)
{
	(void)state;
	selects(&(struct want){ .newest = 3 }, "1.2 1.10 edge 1.9 2.0-rc1 1.1",
	    "2.0-rc1 1.10 1.9");
	selects(&(struct want){ .newest = 2, .globs = "1.*" },
	    "1.2 1.10 2.0 1.9", "1.10 1.9");
}

static void
what_is_no_version_comes_behind_all_that_are(void **state)
{
	(void)state;
	selects(&(struct want){ .newest = 4 }, "a c 0.1 b 0.2", "0.2 0.1 c b");
	selects(&(struct want){ .newest = 9 }, "1.0 v1.0 1", "v1.0 1.0 1");
}

static void
a_list_that_is_short_or_empty_is_taken_whole(void **state)
{
	struct selection *s = made(&(struct want){ .newest = 5 });

	(void)state;
	assert_int_equal(selection_apply(s, NULL, 0), 0);
	selection_free(&s);
	selects(&(struct want){ .newest = 5 }, "1.0", "1.0");
}

static void
what_is_not_taken_is_still_in_the_list(void **state)
{
	struct selection *s = made(&(struct want){ .globs = "b* d*" });
	struct span list[WORDS_MAX];
	size_t i, n = words("a1 b1 c1 d1 e1", list);
	char seen[256] = "";

	(void)state;
	assert_int_equal(selection_apply(s, list, n), 2);
	for (i = 0; i < n; i++)
		seen[(unsigned char)list[i].p[0]]++;
	for (i = 'a'; i <= 'e'; i++)
		assert_int_equal(seen[i], 1);
	selection_free(&s);
}

static void
a_tag_that_is_too_long_is_not_taken(void **state)
{
	struct selection *s = made(&(struct want){ .globs = "*" });
	char tag[200];

	(void)state;
	memset(tag, 'a', sizeof(tag));
	assert_false(selection_takes(s, (struct span){ tag, sizeof(tag) }));
	assert_false(selection_takes(s, SPAN_NONE));
	assert_true(selection_takes(s, (struct span){ tag, 128 }));
	selection_free(&s);
}

static void
what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *glob, *regex, *exclude, *semver, *says;
	} rows[] = {
		{ .glob = "v[1-", .says = "glob \"v[1-\"" },
		{ .glob = "v\\", .says = "glob" },
		{ .glob = "", .says = "empty" },
		{ .exclude = "[", .says = "exclusion \"[\"" },
		{ .regex = "a(b", .says = "expression \"a(b\"" },
		{ .regex = "a)|(b", .says = "expression" },
		{ .regex = "[z-a]", .says = "expression" },
		{ .semver = "1.2 - 1.4", .says = "\"1.2 - 1.4\"" },
		{ .semver = "latest", .says = "range" },
		{ .semver = "||", .says = "range" },
		{ .semver = "1 ||", .says = "range" },
		{ .semver = ">", .says = "range" },
		{ .semver = ">x", .says = "range" },
		{ .semver = "1.x.2", .says = "range" },
		{ .semver = "1.2-rc1", .says = "range" },
		{ .semver = "=>1.2", .says = "range" },
		{ .semver = "1.2.3.4", .says = "range" },
		{ .semver = "^^1", .says = "range" },
		{ .semver = "1,2", .says = "range" },
	};
	char why[SELECT_WHY_BYTES];
	struct selection *s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const struct span glob = span_of(rows[i].glob),
				  regex = span_of(rows[i].regex),
				  exclude = span_of(rows[i].exclude);
		const struct select_options o = {
			.globs = &glob,
			.n_globs = rows[i].glob != NULL,
			.regexes = &regex,
			.n_regexes = rows[i].regex != NULL,
			.excludes = &exclude,
			.n_excludes = rows[i].exclude != NULL,
			.semver = span_of(rows[i].semver),
		};

		if (selection_new(&o, why, &s) != RC_INVALID)
			fail_msg("row %zu is taken", i);
		assert_null(s);
		if (strstr(why, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, why);
	}
}

#define T(name) cmocka_unit_test(name)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(all_tags_are_taken_where_nothing_is_said),
		T(any_of_the_globs_is_enough),
		T(a_glob_names_the_whole_tag),
		T(a_regular_expression_names_the_whole_tag),
		T(globs_and_regular_expressions_add_up),
		T(what_is_excluded_is_not_taken_whatever_names_it),
		T(ranges_of_versions),
		T(pre_releases_are_taken_only_where_the_range_names_one),
		T(versions_order_as_the_specification_has_them),
		T(what_is_no_version),
		T(the_newest_are_the_highest_versions),
		T(what_is_no_version_comes_behind_all_that_are),
		T(a_list_that_is_short_or_empty_is_taken_whole),
		T(what_is_not_taken_is_still_in_the_list),
		T(a_tag_that_is_too_long_is_not_taken),
		T(what_is_wrong_is_named),
	};

	return (cmocka_run_group_tests_name("select", tests, NULL, NULL));
}
