#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "template_tools.h"

/* What the functions of a template come to. */
#define ACCOUNT "123456789012"

static void
ref_answers_parameters_resources_and_what_the_world_is(void **state)
{
	(void)state;
	templated_value("!Ref Name", "\"api\"");
	templated_value("{Ref: Name}", "\"api\"");
	templated_value("!Ref Count", "\"5\"");
	templated_value("!Ref Zones", "[\"a\",\"b\",\"c\"]");
	templated_value("!Ref Other", "\"team/other\"");
	templated_value("[!Ref AWS::AccountId, !Ref AWS::Region]",
	    "[\"" ACCOUNT "\",\"eu-west-1\"]");
	templated_value("[!Ref 'AWS::Partition', !Ref \"AWS::URLSuffix\"]",
	    "[\"aws\",\"amazonaws.com\"]");
	templated_value("!Ref AWS::StackName", "\"web\"");
	templated_value("!Ref AWS::NotificationARNs", "[]");
	templated_value_refuse("!Ref Nobody",
	    "Resources.App.Properties.P.Ref|\"Nobody\"|no parameter");
	templated_value_refuse("!Ref AWS::Moon", "AWS::Moon");
	templated_value_refuse("{Ref: [Name]}", "must be a name");
}

static void
no_value_takes_a_member_or_an_item_away(void **state)
{
	(void)state;
	templated_value("!Ref AWS::NoValue", NULL);
	templated_value("[a, !Ref AWS::NoValue, b]", "[\"a\",\"b\"]");
	templated_value(
	    "{A: 1, B: !If [Is, !Ref 'AWS::NoValue', 2]}", "{\"A\":1}");
	templated_value("!Join [',', [a, !Ref 'AWS::NoValue', b]]", "\"a,b\"");
	templated_value_refuse("!Sub '${AWS::NoValue}'", "is no text");
}

static void
attributes_are_asked_in_every_form(void **state)
{
	static const char arn[] =
	    "\"arn:aws:ecr:eu-west-1:" ACCOUNT ":repository/team/other\"";

	(void)state;
	templated_value("!GetAtt Other.Arn", arn);
	templated_value("!GetAtt [Other, Arn]", arn);
	templated_value("{'Fn::GetAtt': [Other, Arn]}", arn);
	templated_value("{'Fn::GetAtt': Other.Arn}", arn);
	templated_value("!Sub '${Other.Arn}'", arn);
	templated_value("[!GetAtt Other.RepositoryUri, !GetAtt Other.Arn]",
	    "[\"registry.example:5000/team/other\","
	    "\"arn:aws:ecr:eu-west-1:" ACCOUNT ":repository/team/other\"]");
	templated_value_refuse("!GetAtt Other", "line 16|LogicalId.Attribute");
	templated_value_refuse("{'Fn::GetAtt': Other}", "LogicalId.Attribute");
	templated_value_refuse("!GetAtt Other.Age",
	    "Properties.P.Fn::GetAtt|AWS::ECR::Repository "
	    "has no attribute Age");
	templated_value_refuse("!GetAtt Name.Arn", "no resource \"Name\"");
	templated_value_refuse("!GetAtt [A, B, C]", "[logical id, attribute]");
	templated_value_refuse("!GetAtt [[A], B]", "must be a name");
}

static void
sub_fills_names_in_and_leaves_literals(void **state)
{
	(void)state;
	templated_value(
	    "!Sub '${Name}/${Count}-${AWS::Region}'", "\"api/5-eu-west-1\"");
	templated_value("!Sub ${Name}-x", "\"api-x\"");
	templated_value("!Sub 'a${!Name}b$c$$${Name}'", "\"a${Name}b$c$$api\"");
	templated_value("!Sub\n        - '${Name}-${Zone}-${Other}'\n"
			"        - Name: mine\n"
			"          Zone: !Select [1, !Ref Zones]",
	    "\"mine-b-team/other\"");
	templated_value("!Sub ['${a_b.c}', {a_b.c: !Ref Count}]", "\"5\"");
	templated_value("{'Fn::Sub': plain}", "\"plain\"");
	templated_value("!Sub ''", "\"\"");
	templated_value_refuse("!Sub '${Nobody}'", "Fn::Sub|\"Nobody\"");
	templated_value_refuse("!Sub '${Zones}'", "${Zones} is no text");
	templated_value_refuse("!Sub '${VAR:-x}'", "${VAR:-x}|${!...}");
	templated_value_refuse("!Sub '${}'", "is no name");
	templated_value_refuse("!Sub 'x${Name'", "without \"}\"");
	templated_value_refuse("!Sub ['a', 'b']", "[text, {name: value}]");
	templated_value_refuse("!Sub ['a', {}, 'b']", "[text, {name: value}]");
	templated_value_refuse("!Sub {a: b}", "[text, {name: value}]");
}

static void
lists_are_joined_split_and_selected_from(void **state)
{
	(void)state;
	templated_value(
	    "!Join [':', [a, 1, true, !Ref Name]]", "\"a:1:true:api\"");
	templated_value("!Join ['', !Ref Zones]", "\"abc\"");
	templated_value("!Join [',', []]", "\"\"");
	templated_value("!Split ['/', a/b//c]", "[\"a\",\"b\",\"\",\"c\"]");
	templated_value("!Split ['::', 'a']", "[\"a\"]");
	templated_value("!Select [2, !Split ['/', a/b/c]]", "\"c\"");
	templated_value("!Select ['0', [!Ref Name, x]]", "\"api\"");
	templated_value("!Select [!Ref Count, [a, b, c, d, e, f]]", "\"f\"");
	templated_value("{'Fn::Length': !Ref Zones}", "3");
	templated_value("!Length [a, b]", "2");
	templated_value(
	    "!Join ['-', !Split ['.', !Sub '${Name}.x']]", "\"api-x\"");
	templated_value_refuse(
	    "!Select [3, !Ref Zones]", "no item 3 in a list of 3");
	templated_value_refuse("!Select [-1, !Ref Zones]", "no item -1");
	templated_value_refuse("!Join [',', a]", "must be a list");
	templated_value_refuse("!Join [',', [[a]]]", "item 0 is no text");
	templated_value_refuse("!Join [a]", "[delimiter, [texts]]");
	templated_value_refuse("!Split ['', a]", "must not be empty");
	templated_value_refuse("!Split [',', [a]]", "must be a text");
}

static void
texts_are_made_of_values(void **state)
{
	(void)state;
	templated_value("!Base64 hello", "\"aGVsbG8=\"");
	templated_value("!Base64 12", "\"MTI=\"");
	templated_value("{'Fn::Base64': !Sub '${Name}'}", "\"YXBp\"");
	templated_value("!ToJsonString {b: !Ref Name, a: [1, true, 0.1]}",
	    "\"{\\\"b\\\":\\\"api\\\",\\\"a\\\":[1,true,0.1]}\"");
	templated_value("{'Fn::ToJsonString': !Ref Zones}",
	    "\"[\\\"a\\\",\\\"b\\\",\\\"c\\\"]\"");
	templated_value_refuse("!ToJsonString x", "a map or a list");
	templated_value_refuse("!Base64 [x]", "must be a text");
}

static void
maps_are_looked_up(void **state)
{
	(void)state;
	templated_value(
	    "!FindInMap [Regions, !Ref AWS::Region, Short]", "\"euw1\"");
	templated_value("!FindInMap [Regions, us-east-1, Keep]", "5");
	templated_value(
	    "!FindInMap [Regions, eu-west-1, All]", "[\"x\",\"y\"]");
	templated_value(
	    "!FindInMap [Regions, moon, Short, DefaultValue: !Ref Name]",
	    "\"api\"");
	templated_value("!FindInMap\n        - Regions\n"
			"        - !Ref 'AWS::Region'\n"
			"        - Short\n"
			"        - DefaultValue: none",
	    "\"euw1\"");
	templated_value_refuse("!FindInMap [Regions, moon, Short]",
	    "no Mappings.Regions.moon.Short");
	templated_value_refuse("!FindInMap [Regions, moon]", "[map, key, key]");
	templated_value_refuse(
	    "!FindInMap [Regions, moon, Short, other]", "[map, key, key]");
}

static void
conditions_choose(void **state)
{
	(void)state;
	templated_value("!If [Is, a, b]", "\"a\"");
	templated_value("!If [IsNot, a, b]", "\"b\"");
	templated_value("{'Fn::If': [IsNot, a, !If [Is, {X: !Ref Name}, 1]]}",
	    "{\"X\":\"api\"}");
	/* What is not chosen is not looked at. */
	templated_value("!If [Is, a, !Ref Bucket]", "\"a\"");
	templated_value_refuse("!If [Maybe, a, b]", "no condition \"Maybe\"");
	templated_value_refuse("!If [Is, a]", "[condition, value, value]");
	templated_value_refuse("!If [[Is], a, b]", "must be a name");
	templated_value_refuse("!Equals [a, b]", "in Conditions only");
}

static void
a_policys_own_condition_is_no_function(void **state)
{
	(void)state;
	templated_value("{Condition: {StringEquals: {'a:b': !Ref Name}}}",
	    "{\"Condition\":{\"StringEquals\":{\"a:b\":\"api\"}}}");
	templated_value("{Condition: Is, Ref: Name}",
	    "{\"Condition\":\"Is\",\"Ref\":\"Name\"}");
}

static void
what_is_not_here_is_told(void **state)
{
	(void)state;
	templated_value_refuse("!Ref Bucket",
	    "Resources.App.Properties.P.Ref|AWS::S3::Bucket|not set up here");
	templated_value_refuse(
	    "!Sub 'x-${Bucket.Arn}'", "Fn::Sub|AWS::S3::Bucket");
	templated_value_refuse("!ImportValue x", "Fn::ImportValue is not");
	templated_value_refuse("!GetAZs ''", "Fn::GetAZs is not supported");
	templated_value_refuse("!Cidr [a, 1, 2]", "Fn::Cidr is not supported");
	templated_value_refuse("{'Fn::Transform': {Name: AWS::Include}}",
	    "Fn::Transform is not supported");
	templated_value_refuse("{'Fn::Magic': 1}", "Fn::Magic is not");
	templated_value_refuse("!Magic 1", "line 16|\"!Magic\" is not known");
	templated_value_refuse("{'Fn::Sub': a, B: c}", "does not stand alone");
	templated_value_refuse(
	    "'{{resolve:ssm:/a/b}}'", "dynamic references|P:");
	templated_value_refuse(
	    "!Join ['', ['{{resol', 've:ssm:/a}}']]", "dynamic references");
	templated_value_refuse("", "Properties.P: |must not be null");
	templated_value_refuse("[{A: null}]", "Properties.P[0].A");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    ref_answers_parameters_resources_and_what_the_world_is),
		cmocka_unit_test(no_value_takes_a_member_or_an_item_away),
		cmocka_unit_test(attributes_are_asked_in_every_form),
		cmocka_unit_test(sub_fills_names_in_and_leaves_literals),
		cmocka_unit_test(lists_are_joined_split_and_selected_from),
		cmocka_unit_test(texts_are_made_of_values),
		cmocka_unit_test(maps_are_looked_up),
		cmocka_unit_test(conditions_choose),
		cmocka_unit_test(a_policys_own_condition_is_no_function),
		cmocka_unit_test(what_is_not_here_is_told),
	};

	return (cmocka_run_group_tests_name(
	    "template_function", tests, NULL, NULL));
}
