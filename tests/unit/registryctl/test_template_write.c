#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/template_int.h"

/* JSON as YAML, and back. */
static void
assert_yaml(const char *json, const char *yaml)
{
	json_t *v = json_loads(json, 0, NULL);
	char *text;

	assert_non_null(v);
	assert_int_equal(template_write_yaml(v, &text), RC_OK);
	assert_string_equal(text, yaml);
	free(text);
	json_decref(v);
}

static void
assert_comes_back(json_t *v)
{
	char why[TEMPLATE_WHY_BYTES] = "";
	json_t *lines = json_object(), *again;
	char *text;

	assert_int_equal(template_write_yaml(v, &text), RC_OK);
	if (template_yaml_read(span_of(text), why, &again, lines) != RC_OK)
		fail_msg("%s:\n%s", why, text);
	if (!json_equal(v, again))
		fail_msg("it is another one:\n%s", text);
	free(text);
	json_decref(again);
	json_decref(lines);
}

static void
a_template_looks_like_one(void **state)
{
	(void)state;
	assert_yaml(
	    "{\"AWSTemplateFormatVersion\":\"2010-09-09\",\"Resources\":"
	    "{\"App\":{\"Type\":\"AWS::ECR::Repository\",\"Properties\":{"
	    "\"RepositoryName\":\"team/app\",\"EmptyOnDelete\":true,"
	    "\"Count\":5,\"Text\":\"{\\n  \\\"rules\\\": []\\n}\\n\","
	    "\"Tags\":[{\"Key\":\"a\",\"Value\":\"012\"},{\"Key\":\"b\","
	    "\"Value\":\"\"}],\"None\":[],\"Empty\":{}}}}}",
	    "AWSTemplateFormatVersion: '2010-09-09'\n"
	    "Resources:\n"
	    "  App:\n"
	    "    Type: AWS::ECR::Repository\n"
	    "    Properties:\n"
	    "      RepositoryName: team/app\n"
	    "      EmptyOnDelete: true\n"
	    "      Count: 5\n"
	    "      Text: |\n"
	    "        {\n"
	    "          \"rules\": []\n"
	    "        }\n"
	    "      Tags:\n"
	    "      - Key: a\n"
	    "        Value: '012'\n"
	    "      - Key: b\n"
	    "        Value: ''\n"
	    "      None: []\n"
	    "      Empty: {}\n");
}

static void
texts_come_back_as_they_were(void **state)
{
	static const char *const texts[] = { "", " ", "a", "yes", "NO", "y",
		"null", "~", "true", "12", "-1", "1.5", "012", "1e3", ".5",
		"0x1f", "2012-10-17", "12:30", "a: b", "a #b", "# a", "- a",
		"*", "arn:aws:iam::*:root", "&a", "!Ref x", "%a", "@a", "`a`",
		"{a}", "[a]", "a\nb", "a\nb\n", "a\n\n\nb\n\n", "\na", "a\n ",
		" a\nb", "a \nb", "a\n  b\n c", "\ta\nb", "a\tb\nc", "\n",
		"\n\n", "a\r\nb", "'", "\"", "it's \"x\"", "\x01\x7f",
		"\xc3\xa4", "\xc2\x85", "\xe2\x80\xa8x\ny", "\xef\xbb\xbf",
		"\xf0\x9f\x90\xb3\nx", "---", "--- a\n...\n", "a\n---\nb", "?",
		"? a", ":", "=", "<<", "a:", "x: |", "|", ">", "a\\nb", "\\",
		"a  b", "a\n\n", "a,b" };
	json_t *all = json_array(), *map = json_object();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		json_array_append_new(all, json_string(texts[i]));
		if (strcmp(texts[i], "<<") != 0)
			json_object_set_new(
			    map, texts[i], json_string(texts[i]));
	}
	assert_comes_back(all);
	assert_comes_back(map);
	json_decref(all);
	json_decref(map);
}

static void
values_come_back_as_they_were(void **state)
{
	json_t *v = json_loads("[1,-1,0,1.5,0.1,1e300,-0.0,123456789012345678,"
			       "true,false,null,[],{},[[]],[{}],{\"a\":[{"
			       "\"b\":{}}]},3.3333333333333335]",
	    0, NULL);
	char long_key[300];

	(void)state;
	assert_non_null(v);
	memset(long_key, 'k', sizeof(long_key) - 1);
	long_key[sizeof(long_key) - 1] = '\0';
	json_array_append_new(v, json_pack("{s:s}", long_key, "x"));
	assert_comes_back(v);
	json_decref(v);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_looks_like_one),
		cmocka_unit_test(texts_come_back_as_they_were),
		cmocka_unit_test(values_come_back_as_they_were),
	};

	return (
	    cmocka_run_group_tests_name("template_write", tests, NULL, NULL));
}
