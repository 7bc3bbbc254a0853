#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "ecr_tools.h"
#include "registryd/api/stacks.h"

/*
 * What "registryctl apply" has remembered, and POST / at the control socket,
 * where it comes from.
 */
#define TARGET "Registryd_V20261122."

#define APP \
	"{\"logicalId\":\"App\",\"type\":\"AWS::ECR::Repository\"," \
	"\"physicalId\":\"team/app\"}"

static void
ask(const struct ecr_key *key, bool local, const char *target, const char *body,
    struct ecr_reply *r)
{
	ecr_ask(&ecr,
	    &(struct ecr_ask){ .target = target,
		.body = span_of(body),
		.key = key,
		.local = local },
	    r);
}

static void
good(const char *target, const char *body, struct ecr_reply *r)
{
	ask(NULL, false, target, body, r);
	if (r->status != 200)
		fail_msg("%s: %s: %s", target, r->type, r->message);
}

static void
bad(const char *target, const char *body, const char *type, const char *part)
{
	struct ecr_reply r;

	ask(NULL, false, target, body, &r);
	assert_int_equal(r.status, 400);
	assert_string_equal(r.type, type);
	if (strstr(r.message, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, r.message);
	ecr_reply_free(&r);
}

/* --- the memory ---------------------------------------------------------- */

static void
of_a_stack_that_there_is_not_the_registry_is_told(void **state)
{
	struct ecr_reply r;

	(void)state;
	good(TARGET "GetStack", "{\"stackName\":\"none\"}", &r);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "region"), "eu-central-1");
	assert_string_equal(ecr_text(r.json, "registryUri"), ECR_HOST);
	assert_null(json_object_get(r.json, "stack"));
	ecr_reply_free(&r);
}

static void
a_stack_is_put_whole_and_got_back(void **state)
{
	struct ecr_reply r;

	(void)state;
	good(TARGET "PutStack",
	    "{\"stackName\":\"a\",\"revision\":0,\"resources\":[" APP
	    "],\"outputs\":[{\"name\":\"Uri\",\"value\":\"x\","
	    "\"exportName\":\"a-uri\"}]}",
	    &r);
	assert_int_equal(
	    json_integer_value(ecr_at(r.json, "stack.revision")), 1);
	ecr_reply_free(&r);
	good(TARGET "PutStack",
	    "{\"stackName\":\"a\",\"revision\":1,\"resources\":[" APP "]}", &r);
	ecr_reply_free(&r);
	good(TARGET "GetStack", "{\"stackName\":\"a\"}", &r);
	assert_string_equal(
	    ecr_text(r.json, "stack.resources.0.physicalId"), "team/app");
	assert_null(
	    json_object_get(json_object_get(r.json, "stack"), "outputs"));
	ecr_reply_free(&r);
	good(TARGET "ListStacks", "{}", &r);
	assert_string_equal(ecr_text(r.json, "stacks.0.stackName"), "a");
	assert_int_equal(
	    json_integer_value(ecr_at(r.json, "stacks.0.resourceCount")), 1);
	ecr_reply_free(&r);
	good(TARGET "DeleteStack", "{\"stackName\":\"a\"}", &r);
	ecr_reply_free(&r);
	good(TARGET "GetStack", "{\"stackName\":\"a\"}", &r);
	assert_null(json_object_get(r.json, "stack"));
	ecr_reply_free(&r);
	good(TARGET "DeleteStack", "{\"stackName\":\"a\"}", &r);
	ecr_reply_free(&r);
}

static void
of_two_who_apply_at_once_one_is_told(void **state)
{
	struct ecr_reply r;
	const char *put = "{\"stackName\":\"two\",\"revision\":0,"
			  "\"resources\":[" APP "]}";

	(void)state;
	good(TARGET "PutStack", put, &r);
	ecr_reply_free(&r);
	bad(TARGET "PutStack", put, "ValidationException",
	    "was changed by somebody else meanwhile (it is at revision 1)");
}

static void
what_does_not_fit_is_refused(void **state)
{
	static const struct {
		const char *target, *body;
	} rows[] = {
		{ TARGET "GetStack", "{}" },
		{ TARGET "GetStack", "{\"stackName\":\"a/b\"}" },
		{ TARGET "GetStack", "{\"stackName\":\"-a\"}" },
		{ TARGET "PutStack", "{\"stackName\":\"a\",\"revision\":0}" },
		{ TARGET "PutStack",
		    "{\"stackName\":\"a\",\"revision\":-1,\"resources\":[]}" },
		{ TARGET "PutStack",
		    "{\"stackName\":\"a\",\"revision\":0,\"resources\":[{}]}" },
		{ TARGET "PutStack",
		    "{\"stackName\":\"a\",\"revision\":0,\"resources\":[{"
		    "\"logicalId\":\"A\",\"type\":\"T\",\"physicalId\":\"p\","
		    "\"deletionPolicy\":\"Never\"}]}" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		bad(rows[i].target, rows[i].body, "InvalidParameterException",
		    "");
}

static void
they_are_no_operations_of_ecr(void **state)
{
	size_t i, k;

	(void)state;
	bad("AmazonEC2ContainerRegistry_V20150921.GetStack",
	    "{\"stackName\":\"a\"}", "UnknownOperationException", "");
	bad(TARGET "DescribeRepositories", "{}", "UnknownOperationException",
	    "");
	for (i = 0; i < n_stack_operations; i++)
		for (k = 0; k < n_aws_operations; k++)
			assert_string_not_equal(
			    stack_operations[i].name, aws_operations[k].name);
}

/* --- who may, and the control socket ------------------------------------- */

static int
users_setup(void **state)
{
	(void)state;
	ecr_open(&ecr, AUTH_TOKEN);
	return (0);
}

static void
it_takes_a_permission_of_its_own(void **state)
{
	struct ecr_key ecr_only, may;
	struct ecr_reply r;

	(void)state;
	ecr_user(&ecr, "ecr", ECR_ALLOW("\"ecr:*\"", "*"), &ecr_only);
	ecr_user(&ecr, "may", ECR_ALLOW("\"registryd:GetStack\"", "*"), &may);
	ask(&ecr_only, false, TARGET "GetStack", "{\"stackName\":\"a\"}", &r);
	assert_string_equal(r.type, "AccessDeniedException");
	assert_non_null(strstr(r.message, "registryd:GetStack"));
	ecr_reply_free(&r);
	ask(&may, false, TARGET "GetStack", "{\"stackName\":\"a\"}", &r);
	assert_int_equal(r.status, 200);
	/* As it was signed. */
	assert_string_equal(ecr_text(r.json, "region"), "us-east-1");
	ecr_reply_free(&r);
	ask(&may, false, TARGET "PutStack",
	    "{\"stackName\":\"a\",\"revision\":0,\"resources\":[]}", &r);
	assert_string_equal(r.type, "AccessDeniedException");
	ecr_reply_free(&r);
}

static void
unsigned_it_is_the_operator_at_the_control_socket_only(void **state)
{
	static const char create[] =
	    "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
	static const char body[] = "{\"repositoryName\":\"local/app\"}";
	struct ecr_reply r;

	(void)state;
	ask(NULL, false, create, body, &r);
	assert_string_equal(r.type, "MissingAuthenticationTokenException");
	ecr_reply_free(&r);
	ask(NULL, true, create, body, &r);
	assert_int_equal(r.status, 200);
	ecr_reply_free(&r);
	ask(NULL, true, TARGET "ListStacks", "{}", &r);
	assert_int_equal(r.status, 200);
	ecr_reply_free(&r);
}

/* They would be of nobody. */
static void
the_operator_gets_no_tokens(void **state)
{
	static const char *const targets[] = {
		"AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
		"AmazonEC2ContainerRegistry_V20150921.GetDownloadUrlForLayer",
	};
	struct ecr_reply r;
	char *body;
	size_t i;

	(void)state;
	ecr_do(&ecr, NULL, &r, "DescribeRepositories", "{}");
	ecr_reply_free(&r);
	body = xasprintf("{\"repositoryName\":\"local/app\","
			 "\"layerDigest\":\"%s\"}",
	    ECR_UNKNOWN_DIGEST);
	for (i = 0; i < ARRAY_LEN(targets); i++) {
		ask(NULL, true, targets[i], body, &r);
		assert_string_equal(r.type, "AccessDeniedException");
		ecr_reply_free(&r);
	}
	free(body);
	ecr_ask(&ecr,
	    &(struct ecr_ask){
		.form = "Action=GetSessionToken&Version=2011-06-15",
		.local = true },
	    &r);
	assert_int_not_equal(r.status, 200);
	ecr_reply_free(&r);
}

int
main(void)
{
	const struct CMUnitTest open[] = {
		cmocka_unit_test(
		    of_a_stack_that_there_is_not_the_registry_is_told),
		cmocka_unit_test(a_stack_is_put_whole_and_got_back),
		cmocka_unit_test(of_two_who_apply_at_once_one_is_told),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(they_are_no_operations_of_ecr),
	};
	const struct CMUnitTest users[] = {
		cmocka_unit_test(it_takes_a_permission_of_its_own),
		cmocka_unit_test(
		    unsigned_it_is_the_operator_at_the_control_socket_only),
		cmocka_unit_test(the_operator_gets_no_tokens),
	};
	int failed;

	failed = cmocka_run_group_tests_name(
	    "stacks", open, ecr_setup, ecr_teardown);
	failed += cmocka_run_group_tests_name(
	    "stacks with users", users, users_setup, ecr_teardown);
	return (failed);
}
