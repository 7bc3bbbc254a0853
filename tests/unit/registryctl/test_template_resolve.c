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

/* Whole templates: parameters, conditions, the order of resources, outputs;
 * and templates as people have them. */
#define ECR "Type: 'AWS::ECR::Repository'"

/* --- parameters ---------------------------------------------------------- */

static char *
parameter_text(const char *parameter)
{
	return (xasprintf("Parameters: {A: {%s}}\n"
			  "Resources: {App: {" ECR ", Properties: "
			  "{P: !Ref A}}}\n",
	    parameter));
}

static void
taken(const char *parameter, const char *given, const char *json)
{
	char *text = parameter_text(parameter);
	char *whole = xasprintf("{\"P\":%s}", json);
	const char *const all[] = { given, NULL };

	templated_expect(text, all, "App", whole);
	free(text);
	free(whole);
}

static void
not_taken(const char *parameter, const char *given, const char *words)
{
	char *text = parameter_text(parameter);
	const char *const all[] = { given, NULL };

	templated_refuse(text, all, RC_INVALID, words);
	free(text);
}

static void
a_parameter_is_given_or_has_a_default(void **state)
{
	static const char *const twice[] = { "A=1", "A=2", NULL };
	char *text = parameter_text("Type: String");

	(void)state;
	taken("Type: String, Default: x", NULL, "\"x\"");
	taken("Type: String, Default: x", "A=y=z", "\"y=z\"");
	taken("Type: String, Default: x", "A=", "\"\"");
	taken("Type: String, Default: 12", NULL, "\"12\"");
	taken("Type: String, Default: true", NULL, "\"true\"");
	taken("Type: Number, Default: 1.50", NULL, "\"1.50\"");
	taken("Type: CommaDelimitedList, Default: ' a,b , c'", NULL,
	    "[\"a\",\"b\",\"c\"]");
	taken("Type: CommaDelimitedList", "A=", "[\"\"]");
	taken("Type: List<Number>", "A=1, 2.5", "[\"1\",\"2.5\"]");
	taken("Type: 'AWS::EC2::VPC::Id'", "A=vpc-1", "\"vpc-1\"");
	taken("Type: 'List<AWS::EC2::Subnet::Id>'", "A=a,b", "[\"a\",\"b\"]");
	not_taken("Type: String", NULL, "Parameters.A|no Default");
	not_taken("Type: Strings", "A=x", "Parameters.A|no type \"Strings\"");
	not_taken("Type: String, Default: x", "B=x", "no parameter \"B\"");
	not_taken("Type: String, Default: x", "A", "\"A\" must be NAME=VALUE");
	not_taken("Type: String, Default: [x]", NULL, "Default must be");
	not_taken("Type: String", "A=\xff", "not UTF-8");
	not_taken("Type: String", "A={{resolve:ssm:x}}", "dynamic references");
	templated_refuse(text, twice, RC_INVALID, "\"A\" was given twice");
	free(text);
}

static void
what_is_allowed_is_checked(void **state)
{
	(void)state;
	taken("Type: String, AllowedValues: [a, 1, true]", "A=1", "\"1\"");
	taken(
	    "Type: String, AllowedValues: [a, 1, true]", "A=true", "\"true\"");
	not_taken("Type: String, AllowedValues: [a, 1]", "A=b",
	    "Parameters.A|\"b\"|AllowedValues");
	not_taken("Type: String, AllowedValues: a", "A=a", "must be a list");
	taken("Type: CommaDelimitedList, AllowedValues: [a, b]", "A=b,a",
	    "[\"b\",\"a\"]");
	not_taken("Type: CommaDelimitedList, AllowedValues: [a, b]", "A=a,c",
	    "\"c\"");
	taken("Type: String, AllowedPattern: '[a-z]\\d'", "A=a1", "\"a1\"");
	not_taken("Type: String, AllowedPattern: '[a-z]'", "A=aa",
	    "\"aa\" does not match|[a-z]");
	not_taken("Type: String, AllowedPattern: '(?=a)'", "A=aa",
	    "AllowedPattern|looking around");
	not_taken("Type: String, AllowedPattern: 'a', ConstraintDescription: "
		  "must be one a",
	    "A=b", "must be one a");
	taken("Type: String, MinLength: 2, MaxLength: '3'",
	    "A=\xc3\xa4\xc3\xa4", "\"\xc3\xa4\xc3\xa4\"");
	not_taken("Type: String, MinLength: 2", "A=\xc3\xa4", "MinLength");
	not_taken("Type: String, MaxLength: 3", "A=abcd", "above MaxLength");
	not_taken("Type: String, MaxLength: x", "A=abcd", "must be a number");
}

static void
numbers_lie_between_their_bounds(void **state)
{
	(void)state;
	taken("Type: Number, MinValue: 1, MaxValue: 10", "A=10", "\"10\"");
	taken("Type: Number, MinValue: 1, MaxValue: 10", "A=1.0", "\"1.0\"");
	taken("Type: Number, MinValue: -5", "A=-4.9", "\"-4.9\"");
	taken("Type: Number, MaxValue: 10", "A=007", "\"007\"");
	taken("Type: Number", "A=+5", "\"+5\"");
	taken("Type: Number, MaxValue: 9007199254740993", "A=9007199254740993",
	    "\"9007199254740993\"");
	not_taken("Type: Number, MaxValue: 9007199254740992",
	    "A=9007199254740993", "above MaxValue");
	not_taken("Type: Number, MinValue: 1", "A=0.99", "below MinValue");
	not_taken("Type: Number", "A=ten", "\"ten\" is no number");
	not_taken("Type: Number", "A=", "is no number");
	not_taken("Type: Number", "A=1x", "is no number");
	not_taken("Type: Number", "A=-", "is no number");
	not_taken("Type: List<Number>, MaxValue: 3", "A=1,4",
	    "\"4\" is above MaxValue");
}

static void
a_value_that_is_not_echoed_is_in_no_message(void **state)
{
	static const char *const given[] = { "A=hunter2", NULL };
	static const char *const in_use[] = {
		"Parameters: {A: {Type: String, NoEcho: true, MaxLength: 3}}\n"
		"Resources: {App: {" ECR "}}\n",
		"Parameters: {A: {Type: String, NoEcho: 'true'}}\n"
		"Mappings: {M: {a: {b: c}}}\n"
		"Resources: {App: {" ECR ", Properties: {P: !FindInMap "
		"[M, !Ref A, b]}}}\n",
		"Parameters: {A: {Type: String, NoEcho: true}}\n"
		"Resources: {App: {" ECR ", Properties: {P: !Select "
		"[!Ref A, [b]]}}}\n",
	};
	struct templated it;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(in_use); i++) {
		assert_int_equal(
		    templated_try(&it, in_use[i], given), RC_INVALID);
		assert_null(strstr(it.why, "hunter"));
		templated_end(&it);
	}
}

static void
a_value_of_systems_manager_is_missed_where_it_is_used(void **state)
{
	static const char head[] =
	    "Parameters: {A: {Type: "
	    "'AWS::SSM::Parameter::Value<String>', Default: /a/b}}\n";
	struct templated it;
	char *text;

	(void)state;
	text = xasprintf("%sResources: {App: {" ECR
			 "}}\nOutputs: {O: {Value: !Ref A}}\n",
	    head);
	assert_int_equal(templated_try(&it, text, NULL), RC_OK);
	assert_int_equal(it.r.n_outputs, 0);
	assert_int_equal(it.r.n_outputs_skipped, 1);
	assert_string_equal(it.r.outputs_skipped[0], "O");
	templated_end(&it);
	free(text);
	text = xasprintf(
	    "%sResources: {App: {" ECR ", Properties: {P: !Ref A}}}\n", head);
	templated_refuse(text, NULL, RC_INVALID, "AWS Systems Manager");
	free(text);
	text = xasprintf("%sConditions: {C: !Equals [!Ref A, a]}\n"
			 "Resources: {App: {" ECR "}}\n",
	    head);
	templated_refuse(text, NULL, RC_INVALID, "Conditions.C|Systems");
	free(text);
}

/* --- conditions ---------------------------------------------------------- */

static const char conditional[] =
    "Parameters:\n"
    "  Stage: {Type: String, Default: dev}\n"
    "  N: {Type: Number, Default: 5}\n"
    "Conditions:\n"
    "  Prod: !Equals [!Ref Stage, prod]\n"
    "  Dev: !Not [!Condition Prod]\n"
    "  Five: {'Fn::Equals': [!Ref N, 5]}\n"
    "  Both: {'Fn::And': [Condition: Prod, Condition: Five]}\n"
    "  Any: !Or [!Condition Both, !Equals [a, b], {Condition: Dev}]\n"
    "Resources:\n"
    "  App:\n"
    "    Type: AWS::ECR::Repository\n"
    "    Properties:\n"
    "      P: !If [Prod, 1, 2]\n"
    "      Q: !If [Both, 1, 2]\n"
    "      R: !If [Any, 1, 2]\n"
    "  Archive:\n"
    "    Type: AWS::ECR::Repository\n"
    "    Condition: Prod\n"
    "    DependsOn: [App]\n"
    "  Topic:\n"
    "    Type: AWS::SNS::Topic\n"
    "    Condition: Dev\n"
    "Outputs:\n"
    "  Archive: {Condition: Prod, Value: !GetAtt Archive.Arn}\n"
    "  App: {Condition: Any, Value: !Ref App}\n";

static void
a_condition_that_is_false_takes_away(void **state)
{
	static const char *const prod[] = { "Stage=prod", NULL };
	struct templated it;

	(void)state;
	templated_expect(conditional, NULL, "App", "{\"P\":2,\"Q\":2,\"R\":1}");
	templated_expect(conditional, prod, "App", "{\"P\":1,\"Q\":1,\"R\":1}");
	assert_int_equal(templated_try(&it, conditional, NULL), RC_OK);
	assert_null(templated_resource(&it, "Archive"));
	assert_non_null(templated_resource(&it, "Topic"));
	assert_null(templated_output(&it, "Archive"));
	assert_string_equal(templated_output(&it, "App")->value, "app");
	templated_end(&it);
	assert_int_equal(templated_try(&it, conditional, prod), RC_OK);
	assert_non_null(templated_resource(&it, "Archive"));
	assert_null(templated_resource(&it, "Topic"));
	assert_string_equal(templated_output(&it, "Archive")->value,
	    "arn:aws:ecr:eu-west-1:123456789012:repository/archive");
	templated_end(&it);
}

static void
bad_conditions_are_refused(void **state)
{
	static const struct {
		const char *condition, *words;
	} bad[] = {
		{ "!Not [Condition: C]",
		    "Conditions.C.Fn::Not[0].Condition|rests on itself" },
		{ "!Not [Condition: D]", "no condition \"D\"" },
		{ "!Not []", "a list of one" },
		{ "!And [!Equals [a, b]]", "2 to 10" },
		{ "!Equals [a]", "two values" },
		{ "!Equals [!Ref App, a]", "cannot ask for a resource" },
		{ "!Equals [!Ref 'AWS::NoValue', a]", "no value to compare" },
		{ "!Equals [!Ref Nobody, a]",
		    "Conditions.C.Fn::Equals[0].Ref|Nobody" },
		{ "!Ref X", "it must be Fn::And" },
		{ "{a: b}", "it must be Fn::And" },
		{ "!Condition [a]", "the name of a condition" },
		{ "!Contains [[a], a]", "it must be Fn::And" },
	};
	size_t i;
	char *text;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		text = xasprintf("Conditions:\n  C: %s\n"
				 "Resources: {App: {" ECR "}}\n",
		    bad[i].condition);
		templated_refuse(text, NULL, RC_INVALID, bad[i].words);
		free(text);
	}
	templated_refuse("Conditions: {C: !Equals [a, b]}\n"
			 "Resources: {A: {" ECR ", Condition: C}, "
			 "App: {" ECR ", Properties: {P: !Ref A}}}\n",
	    NULL, RC_INVALID, "A is not there: its condition is false");
}

static void
a_chain_of_conditions_is_bounded(void **state)
{
	struct buf b;
	int i;

	(void)state;
	buf_init(&b, 65536);
	buf_str(&b, "Resources: {App: {" ECR "}}\nConditions:\n");
	for (i = 0; i < 100; i++)
		buf_printf(&b, "  C%d: !Not [Condition: C%d]\n", i, i + 1);
	buf_str(&b, "  C100: !Equals [a, b]\n");
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "more than 64 conditions");
	buf_free(&b);
}

/* --- order --------------------------------------------------------------- */

static void
order_is(const char *text, const char *expected)
{
	struct templated it;
	struct buf b;
	size_t i;

	buf_init(&b, 4096);
	if (templated_try(&it, text, NULL) != RC_OK)
		fail_msg("%s", it.why);
	for (i = 0; i < it.r.n_resources; i++)
		buf_printf(
		    &b, "%s%s", i > 0 ? " " : "", it.r.resources[i].logical_id);
	buf_char(&b, '\0');
	assert_string_equal(b.p, expected);
	buf_free(&b);
	templated_end(&it);
}

static void
what_is_referred_to_stands_first(void **state)
{
	(void)state;
	order_is("Resources:\n"
		 "  A: {" ECR ", Properties: {P: !Sub 'x-${C.Arn}-${B}'}}\n"
		 "  B: {" ECR ", DependsOn: D}\n"
		 "  C: {" ECR ", Properties: {P: [!GetAtt E.Arn]}}\n"
		 "  D: {Type: 'X::Y::Z', DependsOn: [E], Properties: "
		 "{P: !Ref A}}\n"
		 "  E: {" ECR "}\n",
	    "E C D B A");
	order_is("Resources:\n"
		 "  A: {" ECR "}\n"
		 "  B: {" ECR "}\n",
	    "A B");
	/* Only what is really asked for counts. */
	order_is("Conditions: {C: !Equals [a, b]}\n"
		 "Resources:\n"
		 "  A: {" ECR ", Properties: {P: !If [C, !Ref B, x]}}\n"
		 "  B: {" ECR ", Properties: {P: !Ref A}}\n",
	    "A B");
	/* A name that another resource gives. */
	order_is("Mappings: {M: {b: {x: y}}}\n"
		 "Resources:\n"
		 "  A: {" ECR ", Properties: {P: !FindInMap [M, !Ref B, x], "
		 "Q: !Ref C}}\n"
		 "  C: {" ECR "}\n"
		 "  B: {" ECR "}\n",
	    "B C A");
}

static void
a_circle_is_found_and_shown(void **state)
{
	(void)state;
	templated_refuse("Resources:\n"
			 "  X: {" ECR ", Properties: {P: !Ref A}}\n"
			 "  A: {" ECR ", Properties: {P: !Ref B}}\n"
			 "  B: {" ECR ", DependsOn: C}\n"
			 "  C: {" ECR ", Properties: {P: !GetAtt A.Arn}}\n",
	    NULL, RC_INVALID, "in a circle: A -> B -> C -> A");
	templated_refuse("Resources: {A: {" ECR ", Properties: {P: !Ref A}}}\n",
	    NULL, RC_INVALID, "in a circle: A -> A");
	templated_refuse("Resources: {A: {Type: T, DependsOn: B}, "
			 "B: {Type: T, DependsOn: A}}\n",
	    NULL, RC_INVALID, "in a circle: A -> B -> A");
}

static void
the_longest_chain_there_can_be_is_followed(void **state)
{
	struct templated it;
	struct buf b;
	int i;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_str(&b, "Resources:\n");
	for (i = 0; i < TEMPLATE_RESOURCES_MAX - 1; i++)
		buf_printf(&b,
		    "  R%d: {" ECR ", Properties: {RepositoryName: "
		    "!Sub 'r%d', P: !Ref R%d}}\n",
		    i, i, i + 1);
	buf_printf(&b, "  R%d: {" ECR "}\n", i);
	buf_char(&b, '\0');
	assert_int_equal(templated_try(&it, b.p, NULL), RC_OK);
	assert_string_equal(it.r.resources[0].logical_id, "R499");
	assert_string_equal(it.r.resources[499].logical_id, "R0");
	templated_end(&it);
	buf_free(&b);
}

/* --- what is made is bounded --------------------------------------------- */

static void
texts_that_multiply_are_bounded(void **state)
{
	struct buf b;
	int i, k;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_str(&b, "Metadata: {X: &x ");
	for (i = 0; i < 100000; i++)
		buf_char(&b, 'x');
	buf_str(
	    &b, "}\nResources:\n  A: {" ECR ", Properties: {P: !Join ['', [");
	for (i = 0; i < 20; i++)
		buf_str(&b, "*x, ");
	buf_str(&b, "y]]}}\n");
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG,
	    "Resources.A.Properties.P.Fn::Join|1048576 bytes");
	b.n = (size_t)(strstr(b.p, "Resources") - b.p);
	buf_str(&b, "Resources:\n");
	for (k = 0; k < 20; k++) {
		buf_printf(&b, "  A%d: {" ECR ", Properties: {P: [", k);
		for (i = 0; i < 9; i++)
			buf_str(&b, "*x, ");
		buf_str(&b, "y]}}\n");
	}
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "16777216 bytes");
	buf_free(&b);
}

static void
lists_that_multiply_are_bounded(void **state)
{
	struct buf b;
	int i, k;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_str(&b, "Metadata: {X: &x '");
	for (i = 0; i < 50000; i++)
		buf_char(&b, ',');
	buf_str(&b, "'}\nResources:\n");
	for (k = 0; k < 3; k++)
		buf_printf(&b,
		    "  A%d: {" ECR ", Properties: {P: !Split [',', *x]}}\n", k);
	buf_char(&b, '\0');
	templated_refuse(b.p, NULL, RC_TOOBIG, "more than 100000 values");
	buf_free(&b);
}

/* --- attributes of resources --------------------------------------------- */

static void
deletion_is_as_it_says(void **state)
{
	static const struct {
		const char *policy;
		enum template_deletion deletion;
	} known[] = {
		{ "Delete", TEMPLATE_DELETE },
		{ "Retain", TEMPLATE_RETAIN },
		{ "Snapshot", TEMPLATE_RETAIN },
		{ "RetainExceptOnCreate", TEMPLATE_RETAIN },
		{ "!If [C, Retain, Delete]", TEMPLATE_RETAIN },
		{ "!If [C, !Ref 'AWS::Region', Delete]", 99 },
		{ "Keep", 99 },
		{ "[Retain]", 99 },
	};
	struct templated it;
	enum rc rc;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(known); i++) {
		text = xasprintf("Conditions: {C: !Equals [a, a]}\n"
				 "Resources: {App: {" ECR ", "
				 "DeletionPolicy: %s}}\n",
		    known[i].policy);
		rc = templated_try(&it, text, NULL);
		if ((int)known[i].deletion == 99) {
			assert_int_equal(rc, RC_INVALID);
			assert_non_null(
			    strstr(it.why, "Resources.App.DeletionPolicy: "));
		} else {
			assert_int_equal(rc, RC_OK);
			assert_int_equal(
			    it.r.resources[0].deletion, known[i].deletion);
		}
		templated_end(&it);
		free(text);
	}
	templated_refuse("Resources: {App: {" ECR ", DeletionPolcy: Retain}}",
	    NULL, RC_INVALID, "Resources.App: DeletionPolcy is not known");
}

/* --- outputs ------------------------------------------------------------- */

static void
outputs_are_resolved_by_name(void **state)
{
	static const char text[] =
	    "Resources:\n"
	    "  App: {" ECR ", Properties: {RepositoryName: team/app}}\n"
	    "  Role: {Type: 'AWS::IAM::Role'}\n"
	    "Outputs:\n"
	    "  Uri:\n"
	    "    Description: where to push\n"
	    "    Value: !GetAtt App.RepositoryUri\n"
	    "    Export: {Name: !Sub '${AWS::StackName}-uri'}\n"
	    "  Arn: {Value: !GetAtt App.Arn}\n"
	    "  N: {Value: 5}\n"
	    "  RoleArn: {Value: !GetAtt Role.Arn}\n"
	    "  Named: {Value: x, Export: {Name: !Ref Role}}\n"
	    "  Last:\n"
	    "    Value: !Select [2, !Split ['/', !Ref 'AWS::StackId']]\n";
	const struct template_output *o;
	struct templated it;

	(void)state;
	assert_int_equal(templated_try(&it, text, NULL), RC_OK);
	assert_int_equal(it.r.n_outputs, 4);
	assert_string_equal(it.r.outputs[0].name, "Arn");
	assert_string_equal(it.r.outputs[3].name, "Uri");
	o = templated_output(&it, "Uri");
	assert_string_equal(o->value, "registry.example:5000/team/app");
	assert_string_equal(o->export_name, "web-uri");
	assert_string_equal(o->description, "where to push");
	o = templated_output(&it, "N");
	assert_string_equal(o->value, "5");
	assert_null(o->export_name);
	assert_null(o->description);
	assert_int_equal(strlen(templated_output(&it, "Last")->value), 36);
	assert_int_equal(it.r.n_outputs_skipped, 2);
	assert_string_equal(it.r.outputs_skipped[0], "Named");
	assert_string_equal(it.r.outputs_skipped[1], "RoleArn");
	templated_end(&it);
}

static void
bad_outputs_are_refused(void **state)
{
	static const struct {
		const char *outputs, *words;
	} bad[] = {
		{ "O: {Value: [a]}", "Outputs.O.Value|must be a text" },
		{ "O: {Value: !Ref 'AWS::NoValue'}", "must be a text" },
		{ "O: {Value: !Ref Nobody}", "Outputs.O.Value.Ref|Nobody" },
		{ "O: {Value: a, Export: {Name: [b]}}",
		    "Outputs.O.Export.Name|must be a text" },
		{ "O: {Value: a, Export: {Name: x}}, "
		  "P: {Value: a, Export: {Name: x}}",
		    "Outputs.O|Outputs.P|exported by one name" },
		{ "O: {Value: !ImportValue x}", "Fn::ImportValue is not" },
	};
	size_t i;
	char *text;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		text = xasprintf("Resources: {App: {" ECR "}}\nOutputs: {%s}\n",
		    bad[i].outputs);
		templated_refuse(text, NULL, RC_INVALID, bad[i].words);
		free(text);
	}
}

/* The registry remembers them, and takes no longer ones. */
static void
a_long_output_is_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "O: {Value: %s}", "Outputs.O.Value|more than 4096" },
		{ "O: {Value: a, Export: {Name: %s}}",
		    "Outputs.O.Export.Name|more than 4096" },
	};
	char text[TEMPLATE_OUTPUT_MAX_BYTES + 2];
	struct buf b;
	size_t i;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	buf_init(&b, 1 << 14);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		buf_clear(&b);
		buf_str(&b, "Resources: {App: {" ECR "}}\nOutputs: {");
		buf_add(&b, rows[i][0],
		    (size_t)(strstr(rows[i][0], "%s") - rows[i][0]));
		buf_str(&b, text);
		buf_str(&b, strstr(rows[i][0], "%s") + 2);
		buf_str(&b, "}\n");
		buf_char(&b, '\0');
		templated_refuse(b.p, NULL, RC_TOOBIG, rows[i][1]);
	}
	buf_free(&b);
}

/* --- as people have them ------------------------------------------------- */

static const char classic_yaml[] =
    "AWSTemplateFormatVersion: \"2010-09-09\"\n"
    "Description: ECR repository with lifecycle rules\n"
    "Parameters:\n"
    "  RepositoryName:\n"
    "    Type: String\n"
    "    MinLength: 2\n"
    "    MaxLength: 256\n"
    "    AllowedPattern: ^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*"
    "[a-z0-9]+(?:[._-][a-z0-9]+)*$\n"
    "    Default: team/api\n"
    "  KeepImages: {Type: Number, Default: 30, MinValue: 1, MaxValue: 1000}\n"
    "  PullAccounts:\n"
    "    Type: CommaDelimitedList\n"
    "    Default: \"012345678901,999988887777\"\n"
    "Resources:\n"
    "  Repository:\n"
    "    Type: AWS::ECR::Repository\n"
    "    DeletionPolicy: Retain\n"
    "    UpdateReplacePolicy: Retain\n"
    "    Properties:\n"
    "      RepositoryName: !Ref RepositoryName\n"
    "      ImageTagMutability: IMMUTABLE\n"
    "      ImageScanningConfiguration:\n"
    "        ScanOnPush: true\n"
    "      EncryptionConfiguration: {EncryptionType: AES256}\n"
    "      LifecyclePolicy:\n"
    "        RegistryId: !Ref AWS::AccountId\n"
    "        LifecyclePolicyText: !Sub |\n"
    "          {\n"
    "            \"rules\": [{\"rulePriority\": 1,\n"
    "              \"countNumber\": ${KeepImages}}]\n"
    "          }\n"
    "      RepositoryPolicyText:\n"
    "        Version: 2012-10-17\n"
    "        Statement:\n"
    "          - Sid: AllowPull\n"
    "            Effect: Allow\n"
    "            Principal:\n"
    "              AWS: !Split\n"
    "                - ','\n"
    "                - !Sub\n"
    "                  - 'arn:aws:iam::${Joined}:root'\n"
    "                  - Joined: !Join [ ':root,arn:aws:iam::', "
    "!Ref PullAccounts ]\n"
    "            Action: [ 'ecr:BatchGetImage', "
    "'ecr:GetDownloadUrlForLayer' ]\n"
    "            Condition:\n"
    "              Bool: { 'aws:SecureTransport': 'true' }\n"
    "      Tags:\n"
    "        - { Key: stack, Value: !Ref AWS::StackName }\n"
    "        - Key: version\n"
    "          Value: 1.10\n"
    "Outputs:\n"
    "  Arn: { Value: !GetAtt Repository.Arn }\n"
    "  Uri:\n"
    "    Value: !GetAtt [Repository, RepositoryUri]\n"
    "    Export: { Name: !Join ['-', [!Ref 'AWS::StackName', uri]] }\n";

static const char classic_properties[] =
    "{\"RepositoryName\":\"team/api\",\"ImageTagMutability\":\"IMMUTABLE\","
    "\"ImageScanningConfiguration\":{\"ScanOnPush\":true},"
    "\"EncryptionConfiguration\":{\"EncryptionType\":\"AES256\"},"
    "\"LifecyclePolicy\":{\"RegistryId\":\"123456789012\","
    "\"LifecyclePolicyText\":\"{\\n  \\\"rules\\\": [{\\\"rulePriority\\\": "
    "1,\\n    \\\"countNumber\\\": 30}]\\n}\\n\"},"
    "\"RepositoryPolicyText\":{\"Version\":\"2012-10-17\",\"Statement\":[{"
    "\"Sid\":\"AllowPull\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":["
    "\"arn:aws:iam::012345678901:root\",\"arn:aws:iam::999988887777:root\"]},"
    "\"Action\":[\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],"
    "\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"true\"}}}]},"
    "\"Tags\":[{\"Key\":\"stack\",\"Value\":\"web\"},"
    "{\"Key\":\"version\",\"Value\":\"1.10\"}]}";

static void
a_repository_in_yaml_as_people_have_it(void **state)
{
	struct templated it;

	(void)state;
	templated_expect(classic_yaml, NULL, "Repository", classic_properties);
	assert_int_equal(templated_try(&it, classic_yaml, NULL), RC_OK);
	assert_int_equal(it.r.resources[0].deletion, TEMPLATE_RETAIN);
	assert_int_equal(it.r.resources[0].line, 15);
	assert_string_equal(templated_output(&it, "Arn")->value,
	    "arn:aws:ecr:eu-west-1:123456789012:repository/team/api");
	assert_string_equal(
	    templated_output(&it, "Uri")->export_name, "web-uri");
	templated_end(&it);
}

static const char classic_json[] =
    "{\n"
    "  \"AWSTemplateFormatVersion\": \"2010-09-09\",\n"
    "  \"Mappings\": {\"Keep\": {\"prod\": {\"N\": 100}, "
    "\"dev\": {\"N\": 5}}},\n"
    "  \"Parameters\": {\"Stage\": {\"Type\": \"String\", \"AllowedValues\": "
    "[\"dev\", \"prod\"], \"Default\": \"dev\"}},\n"
    "  \"Conditions\": {\"IsProd\": {\"Fn::Equals\": [{\"Ref\": \"Stage\"}, "
    "\"prod\"]}},\n"
    "  \"Resources\": {\n"
    "    \"MyRepository\": {\n"
    "      \"Type\": \"AWS::ECR::Repository\",\n"
    "      \"Properties\": {\n"
    "        \"RepositoryName\": {\"Fn::Join\": [\"/\", [{\"Ref\": "
    "\"Stage\"}, \"test-repository\"]]},\n"
    "        \"EmptyOnDelete\": {\"Fn::If\": [\"IsProd\", {\"Ref\": "
    "\"AWS::NoValue\"}, true]},\n"
    "        \"LifecyclePolicy\": {\"LifecyclePolicyText\": "
    "{\"Fn::Sub\": [\"{\\\"n\\\":${N}}\", {\"N\": {\"Fn::FindInMap\": "
    "[\"Keep\", {\"Ref\": \"Stage\"}, \"N\"]}}]}},\n"
    "        \"RepositoryPolicyText\": \"{\\\"Version\\\":"
    "\\\"2012-10-17\\\"}\"\n"
    "      }\n"
    "    }\n"
    "  },\n"
    "  \"Outputs\": {\"Arn\": {\"Value\": {\"Fn::GetAtt\": "
    "[\"MyRepository\", \"Arn\"]}}}\n"
    "}\n";

static void
a_repository_in_json_as_people_have_it(void **state)
{
	static const char *const prod[] = { "Stage=prod", NULL };
	static const char *const other[] = { "Stage=test", NULL };

	(void)state;
	templated_expect(classic_json, NULL, "MyRepository",
	    "{\"RepositoryName\":\"dev/test-repository\","
	    "\"EmptyOnDelete\":true,\"LifecyclePolicy\":"
	    "{\"LifecyclePolicyText\":\"{\\\"n\\\":5}\"},"
	    "\"RepositoryPolicyText\":"
	    "\"{\\\"Version\\\":\\\"2012-10-17\\\"}\"}");
	templated_expect(classic_json, prod, "MyRepository",
	    "{\"RepositoryName\":\"prod/test-repository\","
	    "\"LifecyclePolicy\":"
	    "{\"LifecyclePolicyText\":\"{\\\"n\\\":100}\"},"
	    "\"RepositoryPolicyText\":"
	    "\"{\\\"Version\\\":\\\"2012-10-17\\\"}\"}");
	templated_refuse(classic_json, other, RC_INVALID, "\"test\"");
}

static const char registry_yaml[] =
    "Resources:\n"
    "  Replication:\n"
    "    Type: AWS::ECR::ReplicationConfiguration\n"
    "    Properties:\n"
    "      ReplicationConfiguration:\n"
    "        Rules:\n"
    "        - Destinations:\n"
    "          - {Region: us-east-2, RegistryId: !Ref \"AWS::AccountId\"}\n"
    "          RepositoryFilters:\n"
    "          - Filter: prod/\n"
    "            FilterType: PREFIX_MATCH\n"
    "  Cache:\n"
    "    Type: AWS::ECR::PullThroughCacheRule\n"
    "    Properties: &rule\n"
    "      EcrRepositoryPrefix: docker-hub\n"
    "      UpstreamRegistryUrl: registry-1.docker.io\n"
    "  Policy:\n"
    "    Type: 'AWS::ECR::RegistryPolicy'\n"
    "    Properties:\n"
    "      PolicyText:\n"
    "        Version: '2012-10-17'\n"
    "        Statement:\n"
    "        - Effect: Allow\n"
    "          Resource: !Sub arn:${AWS::Partition}:ecr:${AWS::Region}:"
    "${AWS::AccountId}:repository/*\n"
    "  Copy: {Type: AWS::ECR::PullThroughCacheRule, Properties: *rule}\n";

static void
settings_of_a_registry_as_people_have_them(void **state)
{
	(void)state;
	templated_expect(registry_yaml, NULL, "Replication",
	    "{\"ReplicationConfiguration\":{\"Rules\":[{\"Destinations\":["
	    "{\"Region\":\"us-east-2\",\"RegistryId\":\"123456789012\"}],"
	    "\"RepositoryFilters\":[{\"Filter\":\"prod/\",\"FilterType\":"
	    "\"PREFIX_MATCH\"}]}]}}");
	templated_expect(registry_yaml, NULL, "Copy",
	    "{\"EcrRepositoryPrefix\":\"docker-hub\","
	    "\"UpstreamRegistryUrl\":\"registry-1.docker.io\"}");
	templated_expect(registry_yaml, NULL, "Policy",
	    "{\"PolicyText\":{\"Version\":\"2012-10-17\",\"Statement\":[{"
	    "\"Effect\":\"Allow\",\"Resource\":\"arn:aws:ecr:eu-west-1:"
	    "123456789012:repository/*\"}]}}");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_parameter_is_given_or_has_a_default),
		cmocka_unit_test(what_is_allowed_is_checked),
		cmocka_unit_test(numbers_lie_between_their_bounds),
		cmocka_unit_test(a_value_that_is_not_echoed_is_in_no_message),
		cmocka_unit_test(
		    a_value_of_systems_manager_is_missed_where_it_is_used),
		cmocka_unit_test(a_condition_that_is_false_takes_away),
		cmocka_unit_test(bad_conditions_are_refused),
		cmocka_unit_test(a_chain_of_conditions_is_bounded),
		cmocka_unit_test(what_is_referred_to_stands_first),
		cmocka_unit_test(a_circle_is_found_and_shown),
		cmocka_unit_test(the_longest_chain_there_can_be_is_followed),
		cmocka_unit_test(texts_that_multiply_are_bounded),
		cmocka_unit_test(lists_that_multiply_are_bounded),
		cmocka_unit_test(deletion_is_as_it_says),
		cmocka_unit_test(outputs_are_resolved_by_name),
		cmocka_unit_test(bad_outputs_are_refused),
		cmocka_unit_test(a_long_output_is_refused),
		cmocka_unit_test(a_repository_in_yaml_as_people_have_it),
		cmocka_unit_test(a_repository_in_json_as_people_have_it),
		cmocka_unit_test(settings_of_a_registry_as_people_have_them),
	};

	return (
	    cmocka_run_group_tests_name("template_resolve", tests, NULL, NULL));
}
