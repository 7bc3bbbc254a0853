#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/obj.h"
#include "registryctl/command.h"

/* Options and words of a command line, in any order. */
static const struct option own[] = {
	{ "flag", no_argument, NULL, 256 },
	{ "value", required_argument, NULL, 257 },
	{ NULL, 0, NULL, 0 },
};

static struct ctl ctl;
static const char *word;

static void
begin(void)
{
	ctl = (struct ctl){ .data = "./data" };
	optind = 0;
}

static void
words_and_options_stand_in_any_order(void **state)
{
	char *argv[] = { "cmd", "one", "--flag", "two", "--data", "d",
		"--value", "--", "three", NULL };
	const int argc = ARRAY_LEN(argv) - 1;

	(void)state;
	begin();
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 0);
	assert_string_equal(word, "one");
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 256);
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 0);
	assert_string_equal(word, "two");
	/* "--" is the value here */
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 257);
	assert_string_equal(optarg, "--");
	assert_string_equal(ctl.data, "d");
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 0);
	assert_string_equal(word, "three");
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), -1);
}

static void
behind_two_hyphens_all_are_words(void **state)
{
	char *argv[] = { "cmd", "--flag", "--", "--flag", "x", "--", NULL };
	const int argc = ARRAY_LEN(argv) - 1;

	(void)state;
	begin();
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 256);
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 0);
	assert_string_equal(word, "--flag");
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 0);
	assert_string_equal(word, "x");
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), 0);
	assert_string_equal(word, "--");
	assert_int_equal(ctl_next(&ctl, argc, argv, own, &word), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_options_stand_in_any_order),
		cmocka_unit_test(behind_two_hyphens_all_are_words),
	};

	return (cmocka_run_group_tests_name("command", tests, NULL, NULL));
}
