#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "registryctl/template_int.h"

/* Regular expressions as templates have them. */
static char why[TEMPLATE_WHY_BYTES];

static void
assert_matches(const char *pattern, const char *text, bool expected)
{
	bool is;

	if (template_pattern_match(pattern, text, &is, why) != RC_OK)
		fail_msg("%s: %s", pattern, why);
	if (is != expected)
		fail_msg("\"%s\" %s %s", text,
		    expected ? "does not match" : "matches", pattern);
}

static void
assert_bad(const char *pattern, const char *words)
{
	bool is;

	why[0] = '\0';
	if (template_pattern_match(pattern, "x", &is, why) != RC_INVALID)
		fail_msg("%s was taken", pattern);
	if (strstr(why, words) == NULL)
		fail_msg("%s: \"%s\" lacks \"%s\"", pattern, why, words);
}

static void
all_of_a_text_has_to_match(void **state)
{
	(void)state;
	assert_matches("[a-z]+", "abc", true);
	assert_matches("[a-z]+", "abc1", false);
	assert_matches("a|bc", "bc", true);
	assert_matches("a|bc", "ac", false);
	assert_matches("^[a-z]+$", "abc", true);
	assert_matches("", "", true);
	assert_matches("", "a", false);
	assert_matches(".*", "", true);
}

static void
the_notation_of_java_is_understood(void **state)
{
	static const char name[] = "(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*"
				   "[a-z0-9]+(?:[._-][a-z0-9]+)*";

	(void)state;
	assert_matches(name, "team/app_1", true);
	assert_matches(name, "Team/app", false);
	assert_matches("\\d{12}", "123456789012", true);
	assert_matches("\\d{12}", "12345678901", false);
	assert_matches("\\w+\\s\\D\\S\\W", "a_1 xy-", true);
	assert_matches("[\\w+=,.@-]+", "a_b+c=,.@-", true);
	assert_matches("[\\w-.]+", "a-b.c", true);
	assert_matches("[a-z\\-0-9]+", "a-9", true);
	assert_matches("[a-z\\-0-9]+", "a\\", false);
	assert_matches("[\\]\\[^-]+", "[]^-", true);
	assert_matches("[\\^]", "^", true);
	assert_matches("[\\^-]+", "^-", true);
	assert_matches("[^\\^-]+", "^", false);
	assert_matches("[^\\]a]+", "b", true);
	assert_matches("[!-/]+", "#$", true);
	assert_matches("a\\.b\\/c\\-d", "a.b/c-d", true);
	assert_matches("a\\.b", "axb", false);
	assert_matches("a{2,3}?", "aaa", true);
	assert_matches(".*?x", "abx", true);
	assert_matches("(a|b)*", "abba", true);
	assert_matches("a\\tb", "a\tb", true);
	assert_matches("x\\$\\{y\\}", "x${y}", true);
	assert_matches("a]}", "a]}", true);
	assert_matches("arn:aws:iam::\\d{12}:role/.+",
	    "arn:aws:iam::123456789012:role/ci", true);
}

static void
what_posix_lacks_is_refused_by_name(void **state)
{
	(void)state;
	assert_bad("(?!a)b", "looking around");
	assert_bad("(?<=a)b", "looking around");
	assert_bad("(a)\\1", "escape");
	assert_bad("a\\bc", "escape");
	assert_bad("[\\b]", "escape");
	assert_bad("[\\D]", "escape");
	assert_bad("a++", "possessive");
	assert_bad("[a-z&&[^b]]", "sets within sets");
	assert_bad("[a[b]]", "sets within sets");
}

static void
what_is_no_pattern_is_refused(void **state)
{
	static const char *const bad[] = { "(a", "a)", "[a", "[", "[^", "[]",
		"*a", "(*)", "a|+", "a**", "a{", "a{x}", "a{3,2}", "a{,2}",
		"a\\", "[z-a]", "[a-\\d]", "[a\\", "a{99999}", "[]-a]" };
	size_t i;
	bool is;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (template_pattern_match(bad[i], "x", &is, why) != RC_INVALID)
			fail_msg("%s was taken", bad[i]);
}

static void
repetition_is_bounded(void **state)
{
	char deep[2 * 33 + 2], *longer;

	(void)state;
	assert_bad("((a{100}){100}){100}", "repeats too much");
	assert_bad("(a{2000}b{2000}){3}", "repeats too much");
	assert_matches("([a-z]{1,63}\\.){1,8}[a-z]{1,63}", "a.b.c", true);
	memset(deep, '(', 33);
	deep[33] = 'a';
	memset(deep + 34, ')', 33);
	deep[67] = '\0';
	assert_bad(deep, "too many groups");
	longer = xcalloc(1, 1026);
	memset(longer, 'a', 1025);
	assert_bad(longer, "longer than 1024");
	free(longer);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_text_has_to_match),
		cmocka_unit_test(the_notation_of_java_is_understood),
		cmocka_unit_test(what_posix_lacks_is_refused_by_name),
		cmocka_unit_test(what_is_no_pattern_is_refused),
		cmocka_unit_test(repetition_is_bounded),
	};

	return (
	    cmocka_run_group_tests_name("template_pattern", tests, NULL, NULL));
}
