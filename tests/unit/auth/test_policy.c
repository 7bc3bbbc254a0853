#include "auth/policy.h"

#include "tests/unit/auth/policy_fixture.h"

#define ID POLICY_IDENTITY
#define REPO POLICY_REPOSITORY
#define REG POLICY_REGISTRY

static void
allowed_as(const struct principal *who, enum policy_kind kind, const char *text,
    bool want)
{
	struct policy_request r = request_of(who);

	if ((verdict(kind, text, &r) == POLICY_ALLOWS) != want)
		fail_msg("wanted %s: %s", want ? "allow" : "silence", text);
}

/* --- the document -------------------------------------------------------- */

static void
both_versions_and_none_are_taken(void **state)
{
	(void)state;
	allowed_as(&build, ID,
	    "{\"Version\":\"2008-10-17\",\"Statement\":{" ALLOW_PULL "}}",
	    true);
	allowed_as(&build, ID, "{\"Statement\":[{" ALLOW_PULL "}]}", true);
	allowed_as(&build, ID,
	    "{" V12 "\"Id\":\"x\",\"Statement\":[{" ALLOW_PULL "}]}", true);
	refused(ID,
	    "{\"Version\":\"2012-10-7\",\"Statement\":{" ALLOW_PULL "}}",
	    "Version: \"2012-10-7\"", "2012-10-17");
	refused(ID, "{\"Version\":2012,\"Statement\":{" ALLOW_PULL "}}",
	    "Version: 2012", "2012-10-17");
}

static void
what_is_no_policy_is_refused(void **state)
{
	(void)state;
	refused(ID, "", "JSON", "");
	refused(ID, "{", "JSON", "line 1");
	refused(ID, "[]", "JSON object", "");
	refused(ID, "{}", "Statement", "missing");
	refused(ID, "{\"Statement\":[]}", "Statement", "empty");
	refused(ID, "{\"Statement\":[7]}", "statement 1", "7");
	refused(ID, "{\"Statement\":\"x\"}", "statement 1", "x");
	refused(ID, "{\"Id\":7,\"Statement\":[{" ALLOW_PULL "}]}", "Id", "7");
	refused(ID, "{\"statement\":[{" ALLOW_PULL "}]}", "\"statement\"",
	    "Version, Id and Statement");
	refused(ID, "{\"Statement\":{" ALLOW_PULL "},\"Statement\":[]}", "JSON",
	    "duplicate");
}

static void
a_refusal_names_the_statement_the_element_and_the_value(void **state)
{
	(void)state;
	refused(ID, DOC("{" ALLOW_PULL "},{\"Effect\":\"allow\"}"),
	    "statement 2: Effect: \"allow\"", "\"Allow\" or \"Deny\"");
	refused(ID, DOC("{\"Sid\":\"Pull\",\"Effect\":\"Permit\"}"),
	    "statement 1 (\"Pull\"): Effect: \"Permit\"", "");
	refused(ID, DOC("{\"Action\":\"*\",\"Resource\":\"*\"}"), "Effect",
	    "missing");
	refused(ID, DOC("{" ALLOW_PULL ",\"Actions\":[]}"), "\"Actions\"",
	    "not an element of a statement");
	refused(
	    ID, DOC("{\"Sid\":[],\"Effect\":\"Allow\"}"), "Sid: []", "string");
	refused(ID, DOC("{\"Sid\":\"a\\nb\",\"Effect\":\"Permit\"}"),
	    "(\"a?b\")", "");
}

static void
a_sid_stands_once(void **state)
{
	(void)state;
	refused(ID,
	    DOC("{\"Sid\":\"A\"," ALLOW_PULL "},{\"Sid\":\"B\"," ALLOW_PULL
		"},{\"Sid\":\"A\"," ALLOW_PULL "}"),
	    "statement 3 (\"A\"): Sid", "earlier");
	allowed_as(&build, ID,
	    DOC("{\"Sid\":\"\"," ALLOW_PULL "},{\"Sid\":\"\"," ALLOW_PULL "}"),
	    true);
}

static void
sizes_are_looked_at_first(void **state)
{
	size_t n = 4 << 20;
	char why[POLICY_WHY_BYTES];
	struct policy *p;
	char *text;

	(void)state;
	text = malloc(n);
	memset(text, '[', n);
	assert_int_equal(
	    policy_parse(ID, (struct span){ text, n }, why, &p), RC_TOOBIG);
	assert_non_null(strstr(why, "10240"));
	assert_int_equal(
	    policy_parse(
		ID, (struct span){ text, POLICY_TEXT_MAX_BYTES + 1 }, why, &p),
	    RC_TOOBIG);
	/* As deep as fits. */
	assert_int_equal(
	    policy_parse(
		ID, (struct span){ text, POLICY_TEXT_MAX_BYTES }, why, &p),
	    RC_INVALID);
	assert_non_null(strstr(why, "deep"));
	assert_null(p);
	free(text);
}

/* Nothing that fits into a text is too much for the compiled form. */
static void
the_fullest_texts_compile(void **state)
{
	static const struct {
		const char *head, *item, *tail;
	} texts[] = {
		{ "{\"Statement\":[{\"Effect\":\"Allow\",\"Resource\":\"*\","
		  "\"Action\":[\"*\"",
		    ",\"*\"", "]}]}" },
		{ "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\","
		  "\"Resource\":[\"*\"",
		    ",\"*\"", "]}]}" },
		{ "{" V12 "\"Statement\":[{\"Effect\":\"Allow\","
		  "\"Action\":\"*\",\"Resource\":[\"*\"",
		    ",\"arn:*\"", "]}]}" },
		{ "{" V12 "\"Statement\":[{\"Effect\":\"Allow\","
		  "\"Action\":\"*\",\"Resource\":[\"*\"",
		    ",\"arn:aws:ecr:*:*:?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*\"",
		    "]}]}" },
		{ "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\","
		  "\"Resource\":\"*\",\"Condition\":{\"ArnLike\":"
		  "{\"aws:PrincipalArn\":[\"*\"",
		    ",\"*\"", "]}}}]}" },
	};
	char text[POLICY_TEXT_MAX_BYTES];
	size_t i, n, tail;
	struct policy *p;
	char why[POLICY_WHY_BYTES];

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		tail = strlen(texts[i].tail);
		n = strlen(texts[i].head);
		memcpy(text, texts[i].head, n);
		while (n + strlen(texts[i].item) + tail <= sizeof(text)) {
			memcpy(text + n, texts[i].item, strlen(texts[i].item));
			n += strlen(texts[i].item);
		}
		memcpy(text + n, texts[i].tail, tail);
		assert_int_equal(
		    policy_parse(ID, (struct span){ text, n + tail }, why, &p),
		    RC_OK);
		policy_unref(&p);
	}
}

#define WILD16 "?a?a?a?a?a?a?a?a*b*b*b*b*b*b*b*b"
#define LIKE(value) \
	DOC("{" ALLOW_PULL ",\"Condition\":{\"StringLike\":{" \
	    "\"aws:UserAgent\":[\"x\",\"" value "\"]}}}")
#define ON(part) \
	DOC("{\"Sid\":\"Wild\",\"Effect\":\"Allow\",\"Action\":\"*\"," \
	    "\"Resource\":\"arn:aws:ecr:*:*:" part "\"}")

static void
a_value_has_so_many_wildcards(void **state)
{
	(void)state;
	allowed_as(&build, ID, LIKE(WILD16 WILD16), false);
	refused(ID, LIKE(WILD16 WILD16 "?"),
	    "statement 1: Condition.StringLike.aws:UserAgent: ",
	    "more than 32 wildcards");
	refused(ID, LIKE(WILD16 WILD16 "*"), "aws:UserAgent", "32");
	allowed_as(&build, ID, ON(WILD16 WILD16), false);
	refused(ID, ON(WILD16 WILD16 "*"),
	    "statement 1 (\"Wild\"): Resource: ", "more than 32 wildcards");
	refused(ID,
	    DOC("{\"Effect\":\"Allow\",\"Resource\":\"*\",\"Action\":"
		"\"ecr:" WILD16 WILD16 "*\"}"),
	    "statement 1: Action: ", "more than 32 wildcards");
	/* Those that are none are not counted. */
	allowed_as(&build, ID,
	    DOC("{" ALLOW_PULL ",\"Condition\":{\"StringNotEquals\":{"
		"\"aws:UserAgent\":\"" WILD16 WILD16 WILD16 "\"}}}"),
	    true);
	allowed_as(&build, ID, LIKE("*${*}${?}" WILD16 "${*}${?}"), false);
}

static void
references_are_counted(void **state)
{
	struct policy *p = parsed(ID, DOC("{" ALLOW_PULL "},{" ALLOW_PULL "}"));
	struct policy *again = policy_ref(p), *none = NULL;

	(void)state;
	policy_unref(&p);
	assert_null(p);
	assert_int_equal(policy_statements(again), 2);
	policy_unref(&again);
	policy_unref(&none);
	policy_unref(NULL);
}

/* --- what each kind has and has not -------------------------------------- */

static void
each_kind_has_its_elements(void **state)
{
	(void)state;
	refused(ID, DOC("{\"Principal\":\"*\"," ALLOW_PULL "}"), "Principal",
	    "not allowed");
	refused(ID, DOC("{\"NotPrincipal\":\"*\"," ALLOW_PULL "}"),
	    "NotPrincipal", "not allowed");
	refused(REPO, DOC("{" ALLOW_PULL "}"), "Principal", "missing");
	refused(REG, DOC("{" ALLOW_PULL "}"), "Principal", "missing");
	refused(ID, DOC("{\"Effect\":\"Allow\",\"Action\":\"*\"}"), "Resource",
	    "missing");
	refused(REG,
	    DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
		"\"ecr:*\"}"),
	    "Resource", "missing");
	allowed_as(&build, REPO,
	    DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
		"\"ecr:*\"}"),
	    true);
	refused(ID, DOC("{\"Effect\":\"Allow\",\"Resource\":\"*\"}"), "Action",
	    "missing");
	refused(ID, DOC("{" ALLOW_PULL ",\"NotAction\":\"ecr:PutImage\"}"),
	    "NotAction", "one of the two");
	refused(ID, DOC("{" ALLOW_PULL ",\"NotResource\":\"*\"}"),
	    "NotResource", "one of the two");
	refused(REPO,
	    DOC("{" ALLOW_PULL ",\"Principal\":\"*\",\"NotPrincipal\":\"*\"}"),
	    "NotPrincipal", "one of the two");
}

/* --- actions ------------------------------------------------------------- */

#define ACTION(name, value) \
	DOC("{\"Effect\":\"Allow\",\"Resource\":\"*\",\"" name "\":" value "}")

static void
actions_match_without_case_and_with_wildcards(void **state)
{
	static const struct {
		const char *value;
		bool match;
	} cases[] = {
		{ "\"*\"", true },
		{ "\"*:*\"", true },
		{ "\"ecr:*\"", true },
		{ "\"ECR:batchgetIMAGE\"", true },
		{ "\"ecr:Batch*\"", true },
		{ "\"ecr:*Image\"", true },
		{ "\"ecr:b*g*i*\"", true },
		{ "\"ecr:BatchGetImag?\"", true },
		{ "\"ecr:BatchGetImage?\"", false },
		{ "\"ecr:BatchGet\"", false },
		{ "\"ecr:PutImage\"", false },
		{ "\"s3:*\"", false },
		{ "[\"ecr:PutImage\",\"ecr:BatchGetImage\"]", true },
		{ "[\"ecr:PutImage\",\"ecr:Describe*\"]", false },
	};
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(
		    text, sizeof(text), ACTION("Action", "%s"), cases[i].value);
		allowed_as(&build, ID, text, cases[i].match);
		(void)snprintf(text, sizeof(text), ACTION("NotAction", "%s"),
		    cases[i].value);
		allowed_as(&build, ID, text, !cases[i].match);
	}
}

static void
actions_of_other_services_are_compared_too(void **state)
{
	struct policy_request r = request_of(&build);

	(void)state;
	r.action = SPAN("sts:GetCallerIdentity");
	assert_int_equal(
	    verdict(ID, ACTION("Action", "\"STS:Get*\""), &r), POLICY_ALLOWS);
	assert_int_equal(
	    verdict(ID, ACTION("Action", "\"ecr:*\""), &r), POLICY_SILENT);
	assert_int_equal(
	    verdict(ID, ACTION("NotAction", "\"ecr:*\""), &r), POLICY_ALLOWS);
	assert_int_equal(
	    verdict(ID, ACTION("NotAction", "\"sts:*\""), &r), POLICY_SILENT);
	r.action = SPAN_NONE;
	assert_int_equal(
	    verdict(ID, ACTION("Action", "\"ecr:*\""), &r), POLICY_SILENT);
}

static void
malformed_actions_are_refused(void **state)
{
	(void)state;
	refused(ID, ACTION("Action", "\"\""), "Action: \"\"", "SERVICE:ACTION");
	refused(ID, ACTION("Action", "\"BatchGetImage\""), "BatchGetImage", "");
	refused(ID, ACTION("Action", "\"ecr:\""), "\"ecr:\"", "");
	refused(ID, ACTION("Action", "\":x\""), "\":x\"", "");
	refused(ID, ACTION("Action", "\"ec*:x\""), "\"ec*:x\"", "");
	refused(ID, ACTION("Action", "\"ecr:Get Image\""), "Get Image", "");
	refused(ID, ACTION("Action", "\"ecr:a:b\""), "ecr:a:b", "");
	refused(ID, ACTION("Action", "[]"), "Action", "empty");
	refused(ID, ACTION("Action", "[7]"), "Action: 7", "string");
	refused(ID, ACTION("NotAction", "{}"), "NotAction: {}", "string");
}

static void
a_resource_policy_knows_the_actions_of_ecr_only(void **state)
{
	(void)state;
	refused(REPO,
	    DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":["
		"\"ecr:BatchGetImage\",\"ecr:GetImage\"]}"),
	    "Action: \"ecr:GetImage\"", "not an action of ECR");
	refused(REG,
	    DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Resource\":\"*\","
		"\"Action\":\"s3:*\"}"),
	    "\"s3:*\"", "not an action of ECR");
	refused(REPO,
	    DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"NotAction\":"
		"\"ecr:Nope*\"}"),
	    "NotAction: \"ecr:Nope*\"", "");
	/* A user's policy may know of more than this registry does. */
	allowed_as(&build, ID, ACTION("Action", "\"ecr:NotYetKnown\""), false);
}

static void
known_actions_are_known(void **state)
{
	(void)state;
	assert_true(
	    policy_action_known(SPAN("ecr:BatchCheckLayerAvailability")));
	assert_true(
	    policy_action_known(SPAN("ECR:validatepullthroughcacherule")));
	assert_true(policy_action_known(SPAN("ecr:ReplicateImage")));
	assert_true(policy_action_known(SPAN("ecr:BatchImportUpstreamImage")));
	assert_true(policy_action_known(SPAN("ecr:DescribeImages")));
	assert_true(policy_action_known(SPAN("ecr:DescribeImageScanFindings")));
	assert_true(policy_action_known(SPAN("ecr:UpdateImageStorageClass")));
	/* Asks for ecr:BatchGetImage. */
	assert_false(policy_action_known(SPAN("ecr:ListImageReferrers")));
	assert_false(policy_action_known(SPAN("ecr:*")));
	assert_false(policy_action_known(SPAN("ecr:PutImag")));
	assert_false(policy_action_known(SPAN("ecr:PutImageX")));
	assert_false(policy_action_known(SPAN("PutImage")));
	assert_false(policy_action_known(SPAN("")));
	assert_false(policy_action_known(SPAN_NONE));
}

/* --- resources ----------------------------------------------------------- */

#define RESOURCE(name, value) \
	DOC("{\"Effect\":\"Allow\",\"Action\":\"*\",\"" name "\":" value "}")

static void
resources_match_part_by_part(void **state)
{
	static const struct {
		const char *value;
		bool match;
	} cases[] = {
		{ "\"*\"", true },
		{ "\"" APP "\"", true },
		{ "\"arn:aws:ecr:us-east-1:" OWN ":repository/TEAM/app\"",
		    false },
		{ "\"arn:aws:ecr:eu-west-1:" OWN ":repository/team/app\"",
		    true },
		{ "\"arn:aws:ecr::" OWN ":repository/team/app\"", true },
		{ "\"arn:aws:ecr:eu-*:" OWN ":repository/team/*\"", true },
		{ "\"arn:aws:ecr:*:*:repository/*\"", true },
		{ "\"arn:aws:ecr:*:*:repository/team/a?p\"", true },
		{ "\"arn:aws:ecr:*:*:repository/team/a?\"", false },
		{ "\"arn:aws:ecr:*:*:repository/team\"", false },
		{ "\"arn:aws:ecr:*:*:repository/*/*\"", true },
		{ "\"arn:aws:ecr:*:*:repository/*/*/*\"", false },
		{ "\"arn:aws:ecr:*:" OTHER ":repository/*\"", false },
		{ "\"arn:aws:ecr:*:0000*:*\"", true },
		{ "\"arn:aws:ecr:*\"", true },
		{ "\"arn:aws:*\"", true },
		{ "\"arn:*\"", true },
		{ "\"arn:aws:ecr:us-east-1:*\"", true },
		{ "\"arn:aws:s3:::*\"", false },
		{ "\"arn:aws-cn:ecr:*:*:repository/*\"", false },
		{ "\"arn:a*:e?r:*:*:repository/team/app\"", true },
		{ "[\"arn:aws:s3:::x\",\"arn:aws:ecr:*:*:*/app\"]", true },
	};
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text), RESOURCE("Resource", "%s"),
		    cases[i].value);
		allowed_as(&build, ID, text, cases[i].match);
		(void)snprintf(text, sizeof(text),
		    RESOURCE("NotResource", "%s"), cases[i].value);
		allowed_as(&build, ID, text, !cases[i].match);
	}
}

static void
only_a_star_is_about_no_resource(void **state)
{
	struct policy_request r = request_of(&build);

	(void)state;
	r.resource = SPAN("*");
	assert_int_equal(
	    verdict(ID, RESOURCE("Resource", "\"*\""), &r), POLICY_ALLOWS);
	assert_int_equal(
	    verdict(ID, RESOURCE("Resource", "\"arn:*\""), &r), POLICY_SILENT);
	assert_int_equal(
	    verdict(ID, RESOURCE("NotResource", "\"arn:aws:ecr:*\""), &r),
	    POLICY_ALLOWS);
}

static void
the_region_of_other_services_is_compared(void **state)
{
	struct policy_request r = request_of(&build);

	(void)state;
	r.resource = SPAN("arn:aws:sns:us-east-1:" OWN ":topic");
	assert_int_equal(
	    verdict(ID, RESOURCE("Resource", "\"arn:aws:sns:eu-*:*:*\""), &r),
	    POLICY_SILENT);
	assert_int_equal(
	    verdict(ID, RESOURCE("Resource", "\"arn:aws:sns:us-*:*:*\""), &r),
	    POLICY_ALLOWS);
}

static void
malformed_resources_are_refused(void **state)
{
	static const char *const values[] = { "", "team/app", "**", "arn",
		"arn:", "arn:aws:ecr:*:1", "arn:aws:ecr:*:*:",
		/* A path where nobody would look at it. */
		"arn:aws:*:repository/app*", "arn:aws:*:repository/app:*",
		"arn:aws:ecr:$repository/app:*", "a*", "ARN:aws:ecr:*:*:*" };
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(values); i++) {
		(void)snprintf(text, sizeof(text),
		    RESOURCE("Resource", "\"%s\""), values[i]);
		refused(ID, text, "Resource: \"", values[i]);
	}
	refused(ID, RESOURCE("Resource", "[]"), "Resource", "empty");
	refused(ID, RESOURCE("NotResource", "7"), "NotResource: 7", "string");
}

/* --- variables ----------------------------------------------------------- */

#define REPOSITORY(name) "\"arn:aws:ecr:*:*:repository/" name "\""

static void
variables_stand_for_what_the_request_says(void **state)
{
	static const struct {
		const char *pattern, *repository;
		bool match;
	} cases[] = {
		{ "${aws:username}/*", "build/x", true },
		{ "${aws:username}/*", "other/x", false },
		{ "${AWS:UserName}/*", "build/x", true },
		{ "${aws:userid}", "AIDABUILD", true },
		{ "${aws:PrincipalAccount}/x", OWN "/x", true },
		{ "${aws:PrincipalTag/team}/*", "red/x", true },
		{ "${aws:PrincipalTag/TEAM}/*", "red/x", true },
		{ "${aws:PrincipalTag/case}", "lower", true },
		{ "${aws:PrincipalTag/Case}", "upper", true },
		{ "${aws:PrincipalTag/CASE}", "lower", true },
		{ "x${aws:PrincipalTag/empty}y", "xy", true },
		{ "${aws:PrincipalTag/none}/*", "/x", false },
		{ "${aws:PrincipalTag/none, 'all'}/*", "all/x", true },
		{ "${aws:PrincipalTag/none,'all'}/*", "all/x", true },
		{ "${aws:PrincipalTag/team, 'all'}/*", "all/x", false },
		{ "${aws:PrincipalTag/none, '*'}/*", "all/x", false },
		{ "${aws:PrincipalTag/star}/x", "any/x", false },
		{ "${aws:PrincipalTag/star}/x", "*/x", true },
		{ "${aws:SourceIp}", "203.0.113.7", true },
		{ "${aws:SourceIp}", "203.0.113.8", false },
		{ "a${*}b", "a*b", true },
		{ "a${*}b", "axb", false },
		{ "a${?}b", "a?b", true },
		{ "a${?}b", "axb", false },
		{ "a${$}{aws:username}", "a${aws:username}", true },
		{ "a$b", "a$b", true },
		{ "*/${aws:username}/*", "x/y/build/z", true },
		{ "*${aws:username}", "rebuild", true },
		{ "*${aws:username}", "builds", false },
		{ "${aws:username}${aws:username}", "buildbuild", true },
		{ "${aws:Nonsense}", "", false },
		{ "${aws:Nonsense, 'x'}", "x", true },
	};
	struct policy_request r = request_of(&build);
	char text[512], resource[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text),
		    RESOURCE("Resource", REPOSITORY("%s")), cases[i].pattern);
		(void)snprintf(resource, sizeof(resource),
		    "arn:aws:ecr:us-east-1:" OWN ":repository/%s",
		    cases[i].repository);
		r.resource = span_of(resource);
		if ((verdict(ID, text, &r) == POLICY_ALLOWS) != cases[i].match)
			fail_msg(
			    "%s on %s", cases[i].pattern, cases[i].repository);
	}
}

static void
a_variable_may_stand_in_any_part(void **state)
{
	(void)state;
	allowed_as(&build, ID,
	    RESOURCE("Resource",
		"\"arn:aws:ecr:${aws:RequestedRegion}:${aws:PrincipalAccount}:"
		"repository/team/*\""),
	    true);
	allowed_as(&guest, ID,
	    RESOURCE("Resource",
		"\"arn:aws:ecr:*:${aws:PrincipalAccount}:repository/team/*\""),
	    false);
}

static void
the_old_version_has_no_variables(void **state)
{
	struct policy_request r = request_of(&build);
	static const char text[] =
	    "{\"Version\":\"2008-10-17\",\"Statement\":{\"Effect\":\"Allow\","
	    "\"Action\":\"*\",\"Resource\":" REPOSITORY("${aws:username}") "}}";

	(void)state;
	r.resource = SPAN("arn:aws:ecr:us-east-1:" OWN ":repository/build");
	assert_int_equal(verdict(ID, text, &r), POLICY_SILENT);
	r.resource =
	    SPAN("arn:aws:ecr:us-east-1:" OWN ":repository/${aws:username}");
	assert_int_equal(verdict(ID, text, &r), POLICY_ALLOWS);
}

static void
malformed_variables_are_refused(void **state)
{
	static const char *const values[] = { "${", "${}", "${aws:username",
		"${username}", "${, 'x'}", "${aws:username, x}",
		"${aws:username, '}", "${**}", "${aws:TagKeys}" };
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(values); i++) {
		(void)snprintf(text, sizeof(text),
		    RESOURCE("Resource", REPOSITORY("%s")), values[i]);
		refused(ID, text, "variable", "Resource: \"");
	}
	refused(ID,
	    RESOURCE("Resource",
		REPOSITORY("${aws:a}${aws:a}${aws:a}${aws:a}${aws:a}${aws:a}"
			   "${aws:a}${aws:a}${aws:a}${aws:a}${aws:a}${aws:a}"
			   "${aws:a}${aws:a}${aws:a}${aws:a}${aws:a}")),
	    "more than 16 variables", "");
}

static void
a_negation_over_no_value_helps_a_deny_only(void **state)
{
	struct policy_request r = request_of(&build);

	(void)state;
	assert_int_equal(verdict(ID,
			     DOC("{\"Effect\":\"Allow\",\"Action\":\"*\","
				 "\"NotResource\":" REPOSITORY(
				     "${aws:PrincipalTag/none}") "}"),
			     &r),
	    POLICY_SILENT);
	assert_int_equal(verdict(ID,
			     DOC("{\"Effect\":\"Deny\",\"Action\":\"*\","
				 "\"NotResource\":" REPOSITORY(
				     "${aws:PrincipalTag/none}") "}"),
			     &r),
	    POLICY_DENIES);
}

/* --- principals ---------------------------------------------------------- */

#define WHO(name, value) \
	DOC("{\"Effect\":\"%s\",\"Action\":\"ecr:*\",\"" name "\":" value "}")

static void
principals_are_whom_they_name(void **state)
{
	static const struct {
		const char *value;
		bool build, guest, nobody;
	} cases[] = {
		{ "\"*\"", true, true, true },
		{ "{\"AWS\":\"*\"}", true, true, true },
		{ "{\"AWS\":[\"*\"]}", true, true, true },
		{ "{\"AWS\":\"" OWN "\"}", true, false, false },
		{ "{\"AWS\":\"arn:aws:iam::" OTHER ":root\"}", false, true,
		    false },
		{ "{\"AWS\":\"arn:aws:iam::" OWN ":user/build\"}", true, false,
		    false },
		{ "{\"AWS\":\"arn:aws:iam::" OWN ":user/Build\"}", false, false,
		    false },
		{ "{\"AWS\":\"arn:aws:iam::" OTHER ":user/build\"}", false,
		    false, false },
		{ "{\"AWS\":\"arn:aws:iam::" OWN ":role/build\"}", false, false,
		    false },
		{ "{\"AWS\":\"arn:aws:sts::" OWN ":assumed-role/r/build\"}",
		    false, false, false },
		{ "{\"AWS\":[\"" OTHER "\",\"arn:aws:iam::" OWN
		  ":user/build\"]}",
		    true, true, false },
		{ "{\"Service\":\"codebuild.amazonaws.com\"}", false, false,
		    false },
		{ "{\"Service\":[\"codebuild.amazonaws.com\"],\"AWS\":\"" OWN
		  "\"}",
		    true, false, false },
	};
	static const struct principal *const who[3] = { &build, &guest,
		&nobody };
	struct policy_request r;
	char text[512];
	size_t i, k;
	bool named, exempt, anonymous;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		for (k = 0; k < 3; k++) {
			r = request_of(who[k]);
			named = k == 0	 ? cases[i].build
				: k == 1 ? cases[i].guest
					 : cases[i].nobody;
			anonymous = k == 2;
			(void)snprintf(text, sizeof(text),
			    WHO("Principal", "%s"), "Allow", cases[i].value);
			assert_int_equal(verdict(REPO, text, &r),
			    named ? POLICY_ALLOWS : POLICY_SILENT);
			(void)snprintf(text, sizeof(text),
			    WHO("NotPrincipal", "%s"), "Deny", cases[i].value);
			/* Its account alone exempts nobody from a Deny. */
			exempt =
			    strchr(cases[i].value, '*') != NULL ||
			    (k == 0 && strstr(cases[i].value,
					   "::" OWN ":user/build\"") != NULL);
			assert_int_equal(verdict(REPO, text, &r),
			    exempt ? POLICY_SILENT : POLICY_DENIES);
			/* The anonymous are not let in by what they are not. */
			(void)snprintf(text, sizeof(text),
			    WHO("NotPrincipal", "%s"), "Allow", cases[i].value);
			assert_int_equal(verdict(REPO, text, &r),
			    named || anonymous ? POLICY_SILENT : POLICY_ALLOWS);
		}
	}
}

static void
malformed_principals_are_refused(void **state)
{
	static const char *const values[] = { "build", "{}", "[]", "7",
		"{\"AWS\":[]}", "{\"AWS\":7}", "{\"AWS\":\"\"}",
		"{\"AWS\":\"12345\"}", "{\"AWS\":\"1111222233334\"}",
		"{\"AWS\":\"11112222333x\"}",
		"{\"AWS\":\"arn:aws:iam::" OWN ":*\"}",
		"{\"AWS\":\"arn:aws:iam::" OWN ":user/*\"}",
		"{\"AWS\":\"arn:aws:iam::" OWN ":user/\"}",
		"{\"AWS\":\"arn:aws:iam::*:root\"}",
		"{\"AWS\":\"arn:aws:iam:us-east-1:" OWN ":root\"}",
		"{\"AWS\":\"arn:aws:iam::" OWN ":group/x\"}",
		"{\"AWS\":\"arn:aws:sts::" OWN ":root\"}",
		"{\"AWS\":\"arn:aws:sts::" OWN ":assumed-role/x\"}",
		"{\"AWS\":\"arn:gcp:iam::" OWN ":root\"}",
		"{\"AWS\":\"${aws:PrincipalArn}\"}", "{\"Service\":\"*\"}",
		"{\"Service\":[]}", "{\"Federated\":\"x\"}", "{\"*\":\"*\"}",
		"{\"aws\":\"*\"}" };
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(values); i++) {
		(void)snprintf(text, sizeof(text), WHO("Principal", "%s%s%s"),
		    "Allow", i == 0 ? "\"" : "", values[i], i == 0 ? "\"" : "");
		refused(REPO, text, "statement 1", "Principal: ");
	}
}

static void
a_word_to_an_account_is_told_apart(void **state)
{
	struct policy_request r = request_of(&build);

	(void)state;
#define BY(value) \
	DOC("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Principal\":" value "}")
	assert_true(asked(REPO, BY("{\"AWS\":\"" OWN "\"}"), &r).by_account);
	assert_false(asked(REPO, BY("\"*\""), &r).by_account);
	assert_false(asked(REPO,
	    BY("{\"AWS\":[\"" OWN "\",\"arn:aws:iam::" OWN ":user/build\"]}"),
	    &r)
			 .by_account);
	/* The stronger word of two statements. */
	assert_int_equal(
	    asked(REPO,
		"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\","
		"\"Principal\":{\"AWS\":\"" OWN "\"}},{\"Effect\":\"Allow\","
		"\"Action\":\"*\",\"Principal\":\"*\"}]}",
		&r)
		.statement,
	    2);
}

/* --- verdicts ------------------------------------------------------------ */

static void
a_deny_wins_wherever_it_stands(void **state)
{
	struct policy_request r = request_of(&build);
	struct policy_match m;
	struct policy *p;

	(void)state;
	p = parsed(ID,
	    DOC("{\"Sid\":\"Yes\"," ALLOW_PULL
		"},{\"Sid\":\"No\",\"Effect\":\"Deny\",\"Action\":\"ecr:*\","
		"\"Resource\":\"*\"},{" ALLOW_PULL "}"));
	policy_evaluate(p, &r, &m);
	assert_int_equal(m.verdict, POLICY_DENIES);
	assert_int_equal(m.statement, 2);
	assert_string_equal(m.sid, "No");
	r.action = SPAN("sts:GetCallerIdentity");
	policy_evaluate(p, &r, &m);
	assert_int_equal(m.verdict, POLICY_SILENT);
	assert_int_equal(m.statement, 0);
	assert_null(m.sid);
	policy_unref(&p);
}

static void
only_what_may_change_makes_an_answer_conditional(void **state)
{
	static const struct {
		const char *key;
		bool conditional;
	} cases[] = {
		{ "aws:SourceIp", true },
		{ "aws:SecureTransport", true },
		{ "aws:CurrentTime", true },
		{ "aws:EpochTime", true },
		{ "aws:UserAgent", true },
		{ "aws:ResourceTag/a", true },
		{ "ecr:ResourceTag/a", true },
		{ "aws:RequestTag/a", true },
		{ "aws:TagKeys", true },
		{ "aws:username", false },
		{ "aws:userid", false },
		{ "aws:PrincipalArn", false },
		{ "aws:PrincipalAccount", false },
		{ "aws:PrincipalType", false },
		{ "aws:PrincipalTag/team", false },
		{ "aws:ResourceAccount", false },
		{ "aws:RequestedRegion", false },
		{ "aws:Unknown", false },
	};
	struct policy_request r = request_of(&build);
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text),
		    DOC("{" ALLOW_PULL ",\"Condition\":{\"StringEquals\":"
			"{\"%s\":\"x\"}}}"),
		    cases[i].key);
		assert_int_equal(
		    asked(ID, text, &r).conditional, cases[i].conditional);
	}
	/* A condition nobody came to. */
	assert_false(asked(ID,
	    DOC("{\"Effect\":\"Deny\",\"Action\":\"ecr:PutImage\",\"Resource\":"
		"\"*\",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":"
		"\"false\"}}}"),
	    &r)
			 .conditional);
	assert_true(
	    asked(ID, RESOURCE("Resource", REPOSITORY("${aws:SourceIp}")), &r)
		.conditional);
}

/* --- AWS's managed policies ---------------------------------------------- */

static bool
managed_allows(const char *name, const char *action)
{
	struct policy_request r = request_of(&build);
	struct span text = policy_managed(span_of(name));

	assert_non_null(text.p);
	r.action = span_of(action);
	return (verdict(ID, text.p, &r) == POLICY_ALLOWS);
}

static void
managed_policies_allow_what_aws_says(void **state)
{
	static const struct {
		const char *action;
		bool read, pull, power, full;
	} cases[] = {
		{ "ecr:GetAuthorizationToken", true, true, true, true },
		{ "ecr:BatchGetImage", true, true, true, true },
		{ "ecr:GetDownloadUrlForLayer", true, true, true, true },
		{ "ecr:BatchImportUpstreamImage", false, true, false, true },
		{ "ecr:BatchCheckLayerAvailability", true, false, true, true },
		{ "ecr:DescribeImageScanFindings", true, false, true, true },
		{ "ecr:ListImages", true, false, true, true },
		{ "ecr:PutImage", false, false, true, true },
		{ "ecr:CompleteLayerUpload", false, false, true, true },
		{ "ecr:BatchDeleteImage", false, false, false, true },
		{ "ecr:CreateRepository", false, false, false, true },
		{ "ecr:SetRepositoryPolicy", false, false, false, true },
		{ "cloudtrail:LookupEvents", false, false, false, true },
		{ "iam:CreateServiceLinkedRole", false, false, false, false },
	};
	size_t i;

	(void)state;
#define OF(name, action) \
	managed_allows("AmazonEC2ContainerRegistry" name, action)
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(
		    OF("ReadOnly", cases[i].action), cases[i].read);
		assert_int_equal(
		    OF("PullOnly", cases[i].action), cases[i].pull);
		assert_int_equal(
		    OF("PowerUser", cases[i].action), cases[i].power);
		assert_int_equal(
		    OF("FullAccess", cases[i].action), cases[i].full);
		assert_true(
		    managed_allows("AdministratorAccess", cases[i].action));
	}
}

static void
managed_policies_are_found_by_name_and_by_arn(void **state)
{
	const char *name, *before = "";
	char arn[128];
	size_t i;

	(void)state;
	for (i = 0; (name = policy_managed_name(i)) != NULL; i++) {
		assert_true(strcmp(before, name) < 0);
		(void)snprintf(
		    arn, sizeof(arn), "arn:aws:iam::aws:policy/%s", name);
		assert_ptr_equal(policy_managed(span_of(arn)).p,
		    policy_managed(span_of(name)).p);
		before = name;
	}
	assert_int_equal(i, 5);
	assert_null(policy_managed(SPAN("Nope")).p);
	assert_null(policy_managed(SPAN("arn:aws:iam::aws:policy/")).p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_versions_and_none_are_taken),
		cmocka_unit_test(what_is_no_policy_is_refused),
		cmocka_unit_test(
		    a_refusal_names_the_statement_the_element_and_the_value),
		cmocka_unit_test(a_sid_stands_once),
		cmocka_unit_test(sizes_are_looked_at_first),
		cmocka_unit_test(the_fullest_texts_compile),
		cmocka_unit_test(a_value_has_so_many_wildcards),
		cmocka_unit_test(references_are_counted),
		cmocka_unit_test(each_kind_has_its_elements),
		cmocka_unit_test(actions_match_without_case_and_with_wildcards),
		cmocka_unit_test(actions_of_other_services_are_compared_too),
		cmocka_unit_test(malformed_actions_are_refused),
		cmocka_unit_test(
		    a_resource_policy_knows_the_actions_of_ecr_only),
		cmocka_unit_test(known_actions_are_known),
		cmocka_unit_test(resources_match_part_by_part),
		cmocka_unit_test(only_a_star_is_about_no_resource),
		cmocka_unit_test(the_region_of_other_services_is_compared),
		cmocka_unit_test(malformed_resources_are_refused),
		cmocka_unit_test(variables_stand_for_what_the_request_says),
		cmocka_unit_test(a_variable_may_stand_in_any_part),
		cmocka_unit_test(the_old_version_has_no_variables),
		cmocka_unit_test(malformed_variables_are_refused),
		cmocka_unit_test(a_negation_over_no_value_helps_a_deny_only),
		cmocka_unit_test(principals_are_whom_they_name),
		cmocka_unit_test(malformed_principals_are_refused),
		cmocka_unit_test(a_word_to_an_account_is_told_apart),
		cmocka_unit_test(a_deny_wins_wherever_it_stands),
		cmocka_unit_test(
		    only_what_may_change_makes_an_answer_conditional),
		cmocka_unit_test(managed_policies_allow_what_aws_says),
		cmocka_unit_test(managed_policies_are_found_by_name_and_by_arn),
	};

	return (cmocka_run_group_tests_name("policy", tests, NULL, NULL));
}
