#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/keyring.h"
#include "ecr_tools.h"
#include "registryd/api/aws.h"
#include "registryd/api/aws_int.h"
#include "registryd/api/stacks.h"
#include "registryd/permissions.h"

/* --- the table ----------------------------------------------------------- */

static void
every_operation_is_in_the_table_of_permissions(void **state)
{
	const struct permission *p;
	const char *name;
	size_t i;

	(void)state;
	for (i = 0; (name = aws_operation_name(i)) != NULL; i++) {
		p = permission_find(name);
		if (p == NULL)
			fail_msg("%s has no permission", name);
		assert_true(p->access == ACCESS_KNOWN ||
			    p->access == ACCESS_REPOSITORY ||
			    p->access == ACCESS_REGISTRY ||
			    p->access == ACCESS_LISTED);
		assert_true(p->access == ACCESS_KNOWN || p->actions[0] != '\0');
	}
	assert_int_equal(i, n_aws_operations + n_stack_operations);
	assert_true(i >= 12);
}

static const struct aws_member *
member_of(const struct aws_shape *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n_members; i++)
		if (strcmp(s->members[i].name, name) == 0)
			return (&s->members[i]);
	return (NULL);
}

static void
what_is_about_a_repository_requires_its_name(void **state)
{
	const struct permission *p;
	const struct aws_member *m;
	size_t i;

	(void)state;
	for (i = 0; i < n_aws_operations; i++) {
		p = permission_find(aws_operations[i].name);
		if (p == NULL || p->access != ACCESS_REPOSITORY)
			continue;
		m = member_of(&aws_operations[i].input, "repositoryName");
		if (m == NULL) { /* its check() reads it out of the ARN */
			m = member_of(&aws_operations[i].input, "resourceArn");
			assert_non_null(m);
			assert_true(m->required);
			assert_non_null(aws_operations[i].check);
			continue;
		}
		assert_true(m->required);
		assert_true(m->shape->min >= 1);
		assert_non_null(m->shape->matches);
	}
}

/* Of this, a row's values and a structure's members are used unseen. */
static void
shape_check(const struct aws_shape *s)
{
	size_t i;

	assert_true(s->min >= 0 && (s->max == 0 || s->max >= s->min));
	assert_true((s->matches == NULL && s->pattern == NULL) ==
		    (s->expression == NULL));
	assert_true(s->matches == NULL || s->pattern == NULL);
	if (s->type == AWS_LIST || s->type == AWS_MAP) {
		assert_non_null(s->element);
		shape_check(s->element);
	}
	if (s->type != AWS_STRUCTURE)
		assert_null(s->members);
	for (i = 0; i < s->n_members; i++) {
		assert_non_null(s->members[i].name);
		assert_non_null(s->members[i].shape);
		shape_check(s->members[i].shape);
	}
}

static void
every_shape_is_whole(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < n_aws_operations; i++) {
		assert_int_equal(aws_operations[i].input.type, AWS_STRUCTURE);
		assert_non_null(aws_operations[i].handler);
		shape_check(&aws_operations[i].input);
	}
}

/* --- JSON 1.1 ------------------------------------------------------------ */

static void
an_answer_has_its_type_and_a_request_id(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, NULL, &r, "DescribeRepositories", "{}");
	assert_int_equal(r.status, 200);
	assert_string_equal(
	    ecr_header(&r, "Content-Type"), "application/x-amz-json-1.1");
	assert_string_equal(ecr_header(&r, "x-amzn-RequestId"),
	    "01234567-89ab-cdef-0123-456789abcdef");
	assert_null(ecr_header(&r, "x-amzn-ErrorType"));
	ecr_reply_free(&r);
}

static void
an_error_names_itself_in_body_and_header(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, NULL, &r, "DeleteRepository",
	    "{\"repositoryName\":\"absent\"}");
	assert_int_equal(r.status, 400);
	assert_string_equal(r.type, "RepositoryNotFoundException");
	assert_string_equal(
	    ecr_header(&r, "x-amzn-ErrorType"), "RepositoryNotFoundException");
	assert_string_equal(
	    ecr_header(&r, "Content-Type"), "application/x-amz-json-1.1");
	assert_string_equal(ecr_header(&r, "x-amzn-RequestId"),
	    "01234567-89ab-cdef-0123-456789abcdef");
	ecr_reply_free(&r);
}

static void
unknown_operations_are_refused(void **state)
{
	static const char *const targets[] = {
		"AmazonEC2ContainerRegistry_V20150921.MakeCoffee",
		"AmazonEC2ContainerRegistry_V20150921.",
		"AmazonEC2ContainerRegistry_V20150921",
		"DynamoDB_20120810.DescribeRepositories",
		"DescribeRepositories",
		"AmazonEC2ContainerRegistry_V20150921.GetCallerIdentity",
		"",
	};
	struct ecr_reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		ecr_ask(&ecr, &(struct ecr_ask){ .target = targets[i] }, &r);
		assert_int_equal(r.status, 400);
		assert_string_equal(r.type, "UnknownOperationException");
		ecr_reply_free(&r);
	}
}

static void
a_body_must_be_a_json_object(void **state)
{
	static const char *const bodies[] = { "[]", "{", "nonsense", "{}{}",
		"{\"a\":1,\"a\":2}", "\"text\"",
		"{\"repositoryName\":\"\xff\"}" };
	struct ecr_reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		ecr_ask(&ecr,
		    &(struct ecr_ask){ .operation = "DescribeRepositories",
			.body = span_of(bodies[i]) },
		    &r);
		assert_int_equal(r.status, 400);
		assert_string_equal(r.type, "SerializationException");
		ecr_reply_free(&r);
	}
}

static void
no_body_is_an_empty_object(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_ask(&ecr,
	    &(struct ecr_ask){
		.operation = "DescribeRepositories", .body = SPAN("") },
	    &r);
	assert_int_equal(r.status, 200);
	ecr_reply_free(&r);
}

static void
unknown_members_are_passed_over_and_null_is_absent(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "", NULL, "DescribeRepositories",
	    "{\"colour\":[1],\"maxResults\":null,\"registryId\":null}");
}

/* --- errors of the layers below ------------------------------------------ */

static void
fail_as(enum api_error error, enum api_shape shape, struct http_exchange *x)
{
	struct call c = {
		.x = x,
		.request = &x->request,
		.answer = &x->response,
		.arena = &x->arena,
		.shape = shape,
	};

	memset(x, 0, sizeof(*x));
	arena_init(&x->arena, 1 << 20);
	http_response_init(&x->response);
	(void)snprintf(x->request.id, sizeof(x->request.id), "%s",
	    "0123456789abcdef0123456789abcdef");
	assert_int_equal(
	    call_fail(&c, error, NULL, "a <b> & \"c\" \x01"), RC_FAILED);
	aws_error(&c);
}

static void
errors_of_the_layers_below_are_translated(void **state)
{
	static const struct {
		enum api_error error;
		int status;
		const char *json, *query;
		int query_status;
	} rows[] = {
		{ OCI_INTERNAL, 500, "ServerException", "InternalFailure",
		    500 },
		{ OCI_INSUFFICIENT_STORAGE, 500, "ServerException",
		    "InternalFailure", 500 },
		{ OCI_UNAVAILABLE, 503, "ServiceUnavailableException",
		    "ServiceUnavailable", 503 },
		{ OCI_TOO_LARGE, 413, "RequestEntityTooLargeException",
		    "RequestEntityTooLarge", 413 },
		{ OCI_TOOMANYREQUESTS, 400, "ThrottlingException", "Throttling",
		    400 },
		{ OCI_REQUEST_INVALID, 400, "SerializationException",
		    "MalformedInput", 400 },
		{ OCI_REQUEST_TIMEOUT, 408, "RequestTimeoutException",
		    "RequestTimeout", 408 },
		{ OCI_DENIED, 400, "AccessDeniedException", "AccessDenied",
		    403 },
		{ AWS_ACCESS_DENIED, 400, "AccessDeniedException",
		    "AccessDenied", 403 },
		{ AWS_UNRECOGNIZED_CLIENT, 400, "UnrecognizedClientException",
		    "InvalidClientTokenId", 403 },
		{ AWS_INVALID_SIGNATURE, 400, "InvalidSignatureException",
		    "SignatureDoesNotMatch", 403 },
		{ AWS_EXPIRED_TOKEN, 400, "ExpiredTokenException",
		    "ExpiredToken", 403 },
		{ AWS_MISSING_TOKEN, 400, "MissingAuthenticationTokenException",
		    "MissingAuthenticationToken", 403 },
		{ AWS_INCOMPLETE_SIGNATURE, 400, "IncompleteSignatureException",
		    "IncompleteSignature", 403 },
		{ AWS_INVALID_PARAMETER, 400, "InvalidParameterException",
		    "ValidationError", 400 },
		{ AWS_UNKNOWN_OPERATION, 400, "UnknownOperationException",
		    "InvalidAction", 400 },
	};
	struct http_exchange x;
	char code[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fail_as(rows[i].error, SHAPE_AWS_JSON, &x);
		assert_int_equal(x.response.status, rows[i].status);
		(void)snprintf(
		    code, sizeof(code), "{\"__type\":\"%s\",", rows[i].json);
		assert_memory_equal(x.response.bytes.p, code, strlen(code));
		arena_reset(&x.arena);

		fail_as(rows[i].error, SHAPE_AWS_QUERY, &x);
		assert_int_equal(x.response.status, rows[i].query_status);
		(void)snprintf(
		    code, sizeof(code), "<Code>%s</Code>", rows[i].query);
		assert_non_null(memmem(x.response.bytes.p, x.response.bytes.n,
		    code, strlen(code)));
		arena_reset(&x.arena);
	}
}

static void
errors_in_xml_are_escaped(void **state)
{
	struct http_exchange x;

	(void)state;
	fail_as(AWS_ACCESS_DENIED, SHAPE_AWS_QUERY, &x);
	assert_true(span_is(x.response.bytes,
	    "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/"
	    "\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>"
	    "a &lt;b&gt; &amp; &quot;c&quot; \xef\xbf\xbd</Message></Error>"
	    "<RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>"
	    "</ErrorResponse>"));
	arena_reset(&x.arena);
}

/* --- limits -------------------------------------------------------------- */

static void
a_body_is_limited_before_it_is_read(void **state)
{
	struct call c = { .operation = NULL };
	struct aws_operation op = { .body_max_bytes = 5 };

	(void)state;
	assert_int_equal(aws_body_max(&c), 1 << 20);
	c.operation = aws_operation_find(SPAN("GetCallerIdentity"), false);
	assert_non_null(c.operation);
	assert_int_equal(aws_body_max(&c), 1 << 20);
	c.operation = &op;
	assert_int_equal(aws_body_max(&c), 5);
}

/* --- pages --------------------------------------------------------------- */

static void
a_page_token_is_of_one_list(void **state)
{
	static const char *const bad[] = { "", "x", "AAAA", "====", "a b" };
	char *token, *text;
	struct ecr_reply r;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		ecr_expect(&ecr, NULL, "", NULL, "CreateRepository",
		    "{\"repositoryName\":\"page/r%zu\"}", i);
	ecr_do(&ecr, NULL, &r, "DescribeRepositories", "{\"maxResults\":1}");
	token = strdup(ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	/* The same question, another token. */
	ecr_do(&ecr, NULL, &r, "DescribeRepositories", "{\"maxResults\":1}");
	assert_string_not_equal(token, ecr_text(r.json, "nextToken"));
	ecr_reply_free(&r);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    "Invalid parameter at 'nextToken' failed to satisfy *",
		    "DescribeRepositories", "{\"nextToken\":\"%s\"}", bad[i]);
	for (i = 0; i < strlen(token); i++) {
		text = strdup(token);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		ecr_expect(&ecr, NULL, "InvalidParameterException", NULL,
		    "DescribeRepositories", "{\"nextToken\":\"%s\"}", text);
		free(text);
	}
	ecr_expect(&ecr, NULL, "", NULL, "DescribeRepositories",
	    "{\"nextToken\":\"%s\"}", token);
	free(token);
}

/* Without authentication the key is known: what a token says is a client's. */
static void
a_page_token_of_any_time_is_read(void **state)
{
	static const int64_t times[] = { INT64_MIN, -1, 0, INT64_MAX };
	static const struct seal_key known = { .bytes = { 0 } };
	uint8_t plain[10] = { 1, 1 }, sealed[10 + SEAL_OVERHEAD_BYTES];
	char text[BASE64URL_LEN(sizeof(sealed)) + 1];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		for (k = 0; k < 8; k++)
			plain[2 + k] =
			    (uint8_t)((uint64_t)times[i] >> (56 - 8 * k));
		seal(&known, SPAN("page of DescribeRepositories in "),
		    (struct span){ (const char *)plain, sizeof(plain) },
		    sealed);
		base64url_encode(sealed, sizeof(sealed), text);
		ecr_expect(&ecr, NULL, "InvalidParameterException",
		    "Invalid parameter at 'nextToken' failed to satisfy "
		    "constraint: 'the token has expired*",
		    "DescribeRepositories", "{\"nextToken\":\"%s\"}", text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    every_operation_is_in_the_table_of_permissions),
		cmocka_unit_test(what_is_about_a_repository_requires_its_name),
		cmocka_unit_test(every_shape_is_whole),
		cmocka_unit_test(an_answer_has_its_type_and_a_request_id),
		cmocka_unit_test(an_error_names_itself_in_body_and_header),
		cmocka_unit_test(unknown_operations_are_refused),
		cmocka_unit_test(a_body_must_be_a_json_object),
		cmocka_unit_test(no_body_is_an_empty_object),
		cmocka_unit_test(
		    unknown_members_are_passed_over_and_null_is_absent),
		cmocka_unit_test(errors_of_the_layers_below_are_translated),
		cmocka_unit_test(errors_in_xml_are_escaped),
		cmocka_unit_test(a_body_is_limited_before_it_is_read),
		cmocka_unit_test(a_page_token_is_of_one_list),
		cmocka_unit_test(a_page_token_of_any_time_is_read),
	};

	return (
	    cmocka_run_group_tests_name("aws", tests, ecr_setup, ecr_teardown));
}
