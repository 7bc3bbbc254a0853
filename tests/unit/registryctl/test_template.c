#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "template_tools.h"

/* Templates as text: what is one, in YAML and in JSON, and what is not. */
#define APP "Resources: {App: {Type: 'AWS::ECR::Repository', Properties: {P: "

static void
value_is(const char *yaml, const char *json)
{
	char *text = xasprintf("Resources:\n  App:\n"
			       "    Type: AWS::ECR::Repository\n"
			       "    Properties:\n      P: %s\n",
	    yaml);
	char *whole = xasprintf("{\"P\":%s}", json);

	templated_expect(text, NULL, "App", whole);
	free(text);
	free(whole);
}

static void
refused(const char *text, const char *words)
{
	templated_refuse(text, NULL, RC_INVALID, words);
}

static void
scalars_keep_what_was_written(void **state)
{
	(void)state;
	value_is("[1, -20, 0, 1.5, 9007199254740993]",
	    "[1,-20,0,1.5,9007199254740993]");
	/* A number only where it is written as it would be written again. */
	value_is(
	    "[012345678901, 1.10, 0x1F, 1_000, +1, 1e3, 12:30, 2012-10-17]",
	    "[\"012345678901\",\"1.10\",\"0x1F\",\"1_000\",\"+1\",\"1e3\","
	    "\"12:30\",\"2012-10-17\"]");
	value_is("99999999999999999999", "\"99999999999999999999\"");
	value_is("[true, True, FALSE, yes, NO, On, off]",
	    "[true,true,false,true,false,true,false]");
	value_is("[tRue, y, n, nullx, 'true', \"12\", 'yes']",
	    "[\"tRue\",\"y\",\"n\",\"nullx\",\"true\",\"12\",\"yes\"]");
	value_is("[!!str 12, !!int 12, !!float 1.5, !!bool yes, ! 7]",
	    "[\"12\",12,1.5,true,\"7\"]");
	value_is("!!map {a: !!seq [b]}", "{\"a\":[\"b\"]}");
	value_is(
	    "|\n        a\n          b\n\n        c", "\"a\\n  b\\n\\nc\\n\"");
	value_is("|-\n        a\n        b", "\"a\\nb\"");
	value_is(">-\n        a\n        b", "\"a b\"");
	value_is(
	    "{yes: 1, 2012: 2, null: 3}", "{\"yes\":1,\"2012\":2,\"null\":3}");
}

static void
json_is_read_as_json(void **state)
{
	static const char head[] = "{\"Resources\":{\"App\":{\"Type\":"
				   "\"AWS::ECR::Repository\",\"Properties\":";
	char *text;

	(void)state;
	text = xasprintf("\xef\xbb\xbf\r\n\t %s{\"P\":[1.10,\"012\",true,"
			 "{\"Ref\":\"AWS::Region\"},"
			 "{\"Fn::GetAtt\":[\"App2\",\"Arn\"]}]}},"
			 "\"App2\":{\"Type\":\"AWS::ECR::Repository\"}}}",
	    head);
	templated_expect(text, NULL, "App",
	    "{\"P\":[1.1,\"012\",true,\"eu-west-1\",\"arn:aws:ecr:eu-west-1:"
	    "123456789012:repository/app2\"]}");
	free(text);
	text = xasprintf("%s{\"P\":1,\"P\":2}}}}", head);
	refused(text, "line 1|duplicate");
	free(text);
	text = xasprintf("\n%s{\"P\":1,}}}}", head);
	refused(text, "line 2|column");
	free(text);
	text = xasprintf("%s{\"P\":\"\\u0000\"}}}}", head);
	refused(text, "\\u0000");
	free(text);
}

static void
aliases_are_what_their_anchors_are(void **state)
{
	(void)state;
	value_is("{a: &x {b: [1, !Ref AWS::Region]}, c: *x, d: &y text, e: *y}",
	    "{\"a\":{\"b\":[1,\"eu-west-1\"]},\"c\":{\"b\":[1,\"eu-west-1\"]},"
	    "\"d\":\"text\",\"e\":\"text\"}");
	value_is("[&x 1, *x, &x 2, *x]", "[1,1,2,2]");
	value_is(
	    "[&x !Sub '${AWS::Region}', *x]", "[\"eu-west-1\",\"eu-west-1\"]");
	refused(APP "[*x]}}}", "line 1|no anchor &x");
	refused(APP "&x [*x]}}}", "within &x itself");
	refused(APP "{a: &x {b: 1}, <<: *x}}}}", "\"<<\" is not supported");
}

static void
an_alias_counts_as_all_it_stands_for(void **state)
{
	struct buf b;
	int i;

	(void)state;
	buf_init(&b, 65536);
	buf_str(&b, "Metadata:\n  a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n");
	for (i = 1; i < 9; i++)
		buf_printf(&b,
		    "  a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
		    i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	buf_str(&b, "Resources: {App: {Type: T}}\n");
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "100000 values|aliases");
	buf_clear(&b);
	buf_str(&b, "Metadata:\n  a0: &a0 [x]\n");
	for (i = 1; i < 70; i++)
		buf_printf(&b, "  a%d: &a%d [*a%d]\n", i, i, i - 1);
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "64 levels");
	buf_free(&b);
}

static void
limits_are_told(void **state)
{
	struct buf b;
	int i;

	(void)state;
	buf_init(&b, (size_t)4 << 20);
	for (i = 0; i < 70; i++)
		buf_char(&b, '[');
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "64 levels");
	buf_clear(&b);
	buf_str(&b, "{\"Resources\":");
	for (i = 0; i < 70; i++)
		buf_char(&b, '[');
	for (i = 0; i < 70; i++)
		buf_char(&b, ']');
	buf_str(&b, "}");
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "64 levels");
	buf_clear(&b);
	buf_str(&b, "Resources:\n");
	for (i = 0; i < TEMPLATE_RESOURCES_MAX + 1; i++)
		buf_printf(&b, "  R%d: {Type: T}\n", i);
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "Resources|more than 500");
	buf_clear(&b);
	buf_str(&b, "Resources: {App: {Type: T}}\nOutputs:\n");
	for (i = 0; i < TEMPLATE_OUTPUTS_MAX + 1; i++)
		buf_printf(&b, "  O%d: {Value: a}\n", i);
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "Outputs|more than 200");
	buf_clear(&b);
	buf_str(&b, "Description: ");
	for (i = 0; i <= (int)TEMPLATE_MAX_BYTES; i++)
		buf_char(&b, 'x');
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "more than 1048576 bytes");
	buf_clear(&b);
	buf_str(&b, "{\"Resources\":[0");
	for (i = 0; i <= TEMPLATE_NODES_MAX; i++)
		buf_str(&b, ",0");
	buf_str(&b, "]}");
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "more than 100000 values");
	assert_true(buf_ok(&b));
	buf_free(&b);
}

static void
bad_syntax_is_told_with_its_place(void **state)
{
	(void)state;
	refused("", "nothing in it");
	refused(" \n\t ", "nothing in it");
	refused("# only a comment\n", "nothing in it");
	refused("Resources:\n  App: [a\n", "line ");
	refused("Resources:\n\tApp: 1\n", "line 2, column 1");
	refused("Resources: {A: {Type: T}}\nResources: {B: {Type: T}}\n",
	    "line 2, column 1|\"Resources\" is there twice");
	refused("Resources: {A: {Type: T}}\n---\na: b\n", "second document");
	refused("Resources: \"\xff\"\n", "byte 13");
	refused("Resources: \"a\\0b\"\n", "NUL");
	refused("? [a]\n: b\n", "must be text");
	refused("A: !!binary aGk=\n", "tag:yaml.org,2002:binary");
	refused("A: !!int x\n", "no value of the kind int");
	refused("A: !!seq {a: b}\n", "is not known");
	refused("- a\n", "a map of sections");
	refused("text\n", "a map of sections");
}

static void
only_what_is_known_stands_in_a_template(void **state)
{
#define OK "Resources: {App: {Type: T}}\n"
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "Metadata: {}\n", "Resources: there are none" },
		{ "Resources: {}\n", "Resources: there are none" },
		{ "Resources: [a]\n", "Resources: there are none" },
		{ OK "Resource: {}\n", "Resource is not known" },
		{ OK "Rules: {}\n", "section Rules is not supported" },
		{ OK "Hooks: {}\n", "section Hooks is not supported" },
		{ OK "Fn::Transform: {}\n", "Fn::Transform is not supported" },
		{ OK "AWSTemplateFormatVersion: 2012-10-17\n", "2010-09-09" },
		{ OK "Transform: [AWS::Include]\n", "AWS::Include" },
		{ OK "Parameters: [a]\n", "Parameters must be a map" },
		{ OK "Parameters: {A: {Default: x}}\n",
		    "Parameters.A has no Type" },
		{ OK "Parameters: {A: {Type: String, Defualt: x}}\n",
		    "Parameters.A.Defualt is not known" },
		{ OK "Parameters: {App: {Type: String}}\n",
		    "Parameters.App is the name of a resource" },
		{ OK "Parameters: {A_b: {Type: String}}\n",
		    "Parameters.A_b is no name" },
		{ OK "Mappings: {M: {a: b}}\n", "Mappings.M must be" },
		{ OK "Mappings: {M: {a: {b: {}}}}\n", "Mappings.M must be" },
		{ OK "Mappings: {M: {a: {b: [[]]}}}\n", "Mappings.M must be" },
		{ OK "Conditions: {C: true}\n", "Conditions.C must be" },
		{ OK "Outputs: {O: {Export: {Name: x}}}\n", "has no Value" },
		{ OK "Outputs: {O: {Value: a, Export: x}}\n",
		    "Outputs.O has an Export" },
		{ OK "Outputs: {O: {Value: a, Description: [x]}}\n",
		    "Outputs.O has a Description" },
		{ OK "Outputs: {O: {Value: a, Exports: x}}\n",
		    "Outputs.O.Exports is not known" },
		{ OK "Outputs: {O: {Value: a, Condition: X}}\n",
		    "Outputs.O.Condition|no condition \"X\"" },
		{ "Resources: {App: {Properties: {}}}\n",
		    "Resources.App has no Type" },
		{ "Resources: {App: {Type: T, Properties: [a]}}\n",
		    "Resources.App has Properties that" },
		{ "Resources: {App: {Type: T, DependsOn: Db}}\n",
		    "Resources.App.DependsOn|no resource \"Db\"" },
		{ "Resources: {App: {Type: T, DependsOn: [[App]]}}\n",
		    "Resources.App has a DependsOn" },
		{ "Resources: {App: {Type: T, Condition: [a]}}\n",
		    "Resources.App has a Condition" },
		{ "Resources: {App: {Type: T, Condition: C}}\n",
		    "Resources.App.Condition|no condition \"C\"" },
		{ "Resources: {a-b: {Type: T}}\n", "Resources.a-b is no name" },
		{ "Resources: {'Fn::ForEach::X': [a, b, {}]}\n",
		    "Resources.Fn::ForEach::X is not supported" },
		{ "Resources: {\"a\\e[1m\": {Type: T}}\n", "a?[1m" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++)
		refused(bad[i].text, bad[i].words);
#undef OK
}

static void
all_sections_are_taken(void **state)
{
	static const char text[] =
	    "AWSTemplateFormatVersion: 2010-09-09\n"
	    "Description: >-\n"
	    "  Repositories of\n"
	    "  a team\n"
	    "Metadata: {AWS::CloudFormation::Interface: {a: [b]}}\n"
	    "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\n"
	    "Globals: {Function: {Timeout: 3}}\n"
	    "Resources:\n"
	    "  Fn: {Type: AWS::Serverless::Function, Connectors: {}}\n"
	    "  App:\n"
	    "    Type: AWS::ECR::Repository\n"
	    "    Metadata: {a: b}\n"
	    "    UpdateReplacePolicy: Retain\n"
	    "    DependsOn: Fn\n";
	struct templated it;

	(void)state;
	assert_int_equal(templated_try(&it, text, NULL), RC_OK);
	assert_int_equal(it.r.n_resources, 2);
	assert_string_equal(
	    it.r.resources[0].type, "AWS::Serverless::Function");
	assert_null(it.r.resources[0].properties);
	assert_int_equal(it.r.resources[0].line, 9);
	assert_int_equal(it.r.resources[1].line, 10);
	assert_int_equal(json_object_size(it.r.resources[1].properties), 0);
	templated_end(&it);
}

static void
freeing_nothing_is_nothing(void **state)
{
	struct template *none = NULL;
	struct template_resolved r = { 0 };

	(void)state;
	template_free(NULL);
	template_free(&none);
	template_resolved_end(&r);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_keep_what_was_written),
		cmocka_unit_test(json_is_read_as_json),
		cmocka_unit_test(aliases_are_what_their_anchors_are),
		cmocka_unit_test(an_alias_counts_as_all_it_stands_for),
		cmocka_unit_test(limits_are_told),
		cmocka_unit_test(bad_syntax_is_told_with_its_place),
		cmocka_unit_test(only_what_is_known_stands_in_a_template),
		cmocka_unit_test(all_sections_are_taken),
		cmocka_unit_test(freeing_nothing_is_nothing),
	};

	return (cmocka_run_group_tests_name("template", tests, NULL, NULL));
}
