#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/aws_config.h"

/* The files that the AWS CLI and its kin share. */
static char why[AWS_CONFIG_WHY_BYTES];

static enum rc
get(const char *text, enum aws_config_kind kind, const char *profile,
    const char *key, struct span *value_r)
{
	const struct aws_config c = { span_of(text), kind };

	*value_r = SPAN_NONE;
	return (aws_config_get(&c, span_of(profile), key, value_r, why));
}

static void
assert_value(const char *text, enum aws_config_kind kind, const char *profile,
    const char *key, const char *value)
{
	struct span v;

	if (get(text, kind, profile, key, &v) != RC_OK)
		fail_msg("%s of %s in \"%s\": %s", key, profile, text, why);
	if (!span_is(v, value))
		fail_msg("%s: \"" SPAN_FMT "\", not \"%s\"", key, SPAN_ARG(v),
		    value);
}

static void
assert_none(const char *text, enum aws_config_kind kind, const char *profile,
    const char *key)
{
	struct span v;

	assert_int_equal(get(text, kind, profile, key, &v), RC_NOTFOUND);
	assert_non_null(strstr(why, profile));
}

static void
assert_bad(const char *text, unsigned line)
{
	char expected[32];
	struct span v;

	(void)snprintf(expected, sizeof(expected), "line %u ", line);
	if (get(text, AWS_CREDENTIALS_FILE, "default", "k", &v) != RC_INVALID)
		fail_msg("\"%s\" was taken", text);
	if (strstr(why, expected) == NULL)
		fail_msg("\"%s\": %s", text, why);
}

static void
a_value_is_that_of_its_profile(void **state)
{
	static const char text[] = "# of the admin\n"
				   "[default]\n"
				   "k=1\n"
				   "\n"
				   "[build]\r\n"
				   "k = 2 \r\n"
				   "other\t=\tx=y\n";

	(void)state;
	assert_value(text, AWS_CREDENTIALS_FILE, "default", "k", "1");
	assert_value(text, AWS_CREDENTIALS_FILE, "build", "k", "2");
	assert_value(text, AWS_CREDENTIALS_FILE, "build", "other", "x=y");
	assert_none(text, AWS_CREDENTIALS_FILE, "default", "other");
	assert_none(text, AWS_CREDENTIALS_FILE, "nobody", "k");
	assert_none("", AWS_CREDENTIALS_FILE, "default", "k");
}

static void
the_config_file_says_profile_first(void **state)
{
	static const char text[] = "[default]\nk=1\n"
				   "[profile build]\nk=2\n"
				   "[profile\t two words ]\nk=3\n"
				   "[bare]\nk=4\n"
				   "[profilebare]\nk=5\n"
				   "[sso-session x]\nk=6\n";

	(void)state;
	assert_value(text, AWS_CONFIG_FILE, "default", "k", "1");
	assert_value(text, AWS_CONFIG_FILE, "build", "k", "2");
	assert_value(text, AWS_CONFIG_FILE, "two words", "k", "3");
	assert_none(text, AWS_CONFIG_FILE, "bare", "k");
	assert_none(text, AWS_CREDENTIALS_FILE, "build", "k");
	assert_value(text, AWS_CREDENTIALS_FILE, "profile build", "k", "2");
}

static void
comments_and_white_space_are_no_part_of_values(void **state)
{
	static const struct {
		const char *line, *value;
	} rows[] = {
		{ "k=a", "a" },
		{ "k = a # b", "a" },
		{ "k=a ;b", "a" },
		{ "k=a#b;c", "a#b;c" },
		{ "k=", "" },
		{ "k = # all", "" },
		{ "k=a b", "a b" },
	};
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(
		    text, sizeof(text), "[default] ; d\n%s", rows[i].line);
		assert_value(
		    text, AWS_CREDENTIALS_FILE, "default", "k", rows[i].value);
	}
}

static void
the_last_value_wins_and_sections_of_one_name_are_one(void **state)
{
	static const char text[] = "[default]\nk=1\nk=2\n[b]\nk=3\n"
				   "[default]\nk=4\nl=5\n";

	(void)state;
	assert_value(text, AWS_CREDENTIALS_FILE, "default", "k", "4");
	assert_value(text, AWS_CREDENTIALS_FILE, "default", "l", "5");
	assert_value(text, AWS_CREDENTIALS_FILE, "b", "k", "3");
}

static void
what_is_nested_below_a_key_is_not_the_profiles(void **state)
{
	static const char text[] = "[default]\n"
				   "s3 =\n"
				   "  k = nested\n"
				   "  anything goes\n"
				   "k = 1\n"
				   "[b]\n"
				   "  k = 2\n"
				   "  l = 3\n";

	(void)state;
	assert_value(text, AWS_CONFIG_FILE, "default", "k", "1");
	assert_value(text, AWS_CREDENTIALS_FILE, "b", "k", "2");
	assert_value(text, AWS_CREDENTIALS_FILE, "b", "l", "3");
}

static void
a_line_that_is_nothing_is_named_and_not_shown(void **state)
{
	(void)state;
	assert_bad("[default]\nk=1\nSECRET\n", 3);
	assert_null(strstr(why, "SECRET"));
	assert_bad("k=1\n[default]\n", 1);
	assert_bad("[default\nk=1\n", 1);
	assert_bad("[]\nk=1\n", 1);
	assert_bad("[default] x\nk=1\n", 1);
	assert_bad("[default]\n=1\n", 2);
	assert_bad("[default]\nk=\x01\n", 2);
}

static void
long_lines_and_texts_are_refused(void **state)
{
	char *text = xmalloc(AWS_CONFIG_MAX_BYTES + 2);
	struct aws_config c = { { text, 0 }, AWS_CREDENTIALS_FILE };
	struct span v;

	(void)state;
	memset(text, 'x', AWS_CONFIG_MAX_BYTES + 2);
	memcpy(text, "[default]\nk=", 12);
	c.text.n = 10 + AWS_CONFIG_LINE_MAX_BYTES;
	assert_int_equal(
	    aws_config_get(&c, SPAN("default"), "k", &v, why), RC_OK);
	c.text.n++;
	assert_int_equal(
	    aws_config_get(&c, SPAN("default"), "k", &v, why), RC_INVALID);
	memset(text + 12, '\n', AWS_CONFIG_MAX_BYTES - 10);
	c.text.n = AWS_CONFIG_MAX_BYTES;
	assert_int_equal(
	    aws_config_get(&c, SPAN("default"), "k", &v, why), RC_OK);
	c.text.n++;
	assert_int_equal(
	    aws_config_get(&c, SPAN("default"), "k", &v, why), RC_TOOBIG);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_that_of_its_profile),
		cmocka_unit_test(the_config_file_says_profile_first),
		cmocka_unit_test(
		    comments_and_white_space_are_no_part_of_values),
		cmocka_unit_test(
		    the_last_value_wins_and_sections_of_one_name_are_one),
		cmocka_unit_test(
		    what_is_nested_below_a_key_is_not_the_profiles),
		cmocka_unit_test(a_line_that_is_nothing_is_named_and_not_shown),
		cmocka_unit_test(long_lines_and_texts_are_refused),
	};

	return (cmocka_run_group_tests_name("aws_config", tests, NULL, NULL));
}
