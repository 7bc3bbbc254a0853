#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl_tools.h"
#include "registryctl/ecr.h"

/*
 * Tokens for docker: the signed call, and how its answer is given to people,
 * scripts and docker.
 */
static char dir[] = "/tmp/test-login-XXXXXX";
static struct stub server;
static char endpoint[64], host[32];

/* base64 of AWS:tok-en_1 and AWS:two */
#define ENTRY_1 \
	"{\"authorizationToken\":\"QVdTOnRvay1lbl8x\",\"expiresAt\":1.5," \
	"\"proxyEndpoint\":\"https://reg.example:5000\"}"
#define ENTRY_2 \
	"{\"authorizationToken\":\"QVdTOnR3bw==\",\"expiresAt\":1.5," \
	"\"proxyEndpoint\":\"https://two.example\"}"
#define ANSWER(entries) "{\"authorizationData\":[" entries "]}"
#define NOT_FOUND "credentials not found in native keychain\n"

static const struct ran *
docker(const char *word, const char *input)
{
	return (run(&command_docker_credential, dir, input, word, END));
}

static void
answers(int status, const char *body)
{
	server.status = status;
	server.answer = body;
	server.n_requests = 0;
}

/* --- the call ------------------------------------------------------------ */

static void
the_request_is_signed_as_the_service_verifies_it(void **state)
{
	static const char *const names[] = { "Host", "Content-Type",
		"X-Amz-Target", "X-Amz-Date", "X-Amz-Security-Token",
		"Authorization" };
	struct name_value headers[ARRAY_LEN(names)];
	struct sigv4_request rq = {
		.method = SPAN("POST"),
		.target = SPAN("/"),
		.headers = headers,
		.n_headers = ARRAY_LEN(names),
	};
	char room[ARRAY_LEN(names)][1024], why[SIGV4_WHY_BYTES];
	struct sigv4_expect expect = { .service = SPAN("ecr") };
	struct sigv4_claim claim;
	const struct ran *r;
	size_t i;

	(void)state;
	answers(200, ANSWER(ENTRY_1));
	(void)setenv("AWS_SESSION_TOKEN", "session", 1);
	(void)setenv("AWS_REGION", "eu-west-1", 1);
	r = run(&command_get_authorization_token, dir, "", "--registry-ids",
	    "111122223333", END);
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, ANSWER(ENTRY_1) "\n");
	assert_string_equal(
	    server.body, "{\"registryIds\":[\"111122223333\"]}");
	for (i = 0; i < ARRAY_LEN(names); i++)
		headers[i] = (struct name_value){ span_of(names[i]),
			span_of(stub_header(
			    &server, names[i], room[i], sizeof(room[i]))) };
	sigv4_body_hash(span_of(server.body), rq.body_hash);
	assert_int_equal(sigv4_read(&rq, &claim, why), SIGV4_OK);
	assert_true(span_is(claim.access_key, "AKIATEST"));
	assert_true(span_is(claim.region, "eu-west-1"));
	assert_true(span_is(claim.session_token, "session"));
	expect.now_ms = clock_real_ms();
	assert_int_equal(
	    sigv4_verify(&rq, &claim, &expect, SPAN("secret"), why), SIGV4_OK);
	assert_string_equal(room[2],
	    "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
	assert_string_equal(room[0], host);
}

static void
what_the_service_refuses_is_said_as_the_aws_cli_says_it(void **state)
{
	const struct ran *r;

	(void)state;
	answers(400, "{\"__type\":\"com.amazon#AccessDeniedException\","
		     "\"message\":\"no \\u001b way\"}");
	r = run(&command_get_login_password, dir, "", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->out, "");
	assert_string_equal(r->err,
	    "registryctl: An error occurred (AccessDeniedException) when "
	    "calling the GetAuthorizationToken operation: no ? way\n");
}

static void
an_unknown_key_is_named_with_where_it_is_from(void **state)
{
	const struct ran *r;

	(void)state;
	answers(400, "{\"__type\":\"UnrecognizedClientException\","
		     "\"message\":\"m.\"}");
	r = run(&command_get_login_password, dir, "", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->err,
	    "operation: m. (the access key id was AKIATEST, of the "
	    "environment)\n"));
	assert_null(strstr(r->err, "secret"));
}

static void
without_credentials_the_registry_decides_whether_it_needs_any(void **state)
{
	const struct ran *r;
	char text[64];

	(void)state;
	(void)unsetenv("AWS_ACCESS_KEY_ID");
	(void)unsetenv("AWS_SECRET_ACCESS_KEY");
	answers(200, ANSWER(ENTRY_1));
	r = run(&command_get_login_password, dir, "", END);
	assert_string_equal(r->out, "tok-en_1\n");
	assert_string_equal(
	    stub_header(&server, "Authorization", text, sizeof(text)), "");
	assert_string_equal(
	    stub_header(&server, "Content-Type", text, sizeof(text)),
	    "application/x-amz-json-1.1");
	assert_string_equal(docker("get", host)->err, "");
	answers(400, "{\"__type\":\"MissingAuthenticationTokenException\","
		     "\"message\":\"Missing Authentication Token\"}");
	r = run(&command_ecr, dir, "", "DescribeRepositories", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->err, "Missing Authentication Token: there "));
	assert_non_null(strstr(r->err, "AWS_ACCESS_KEY_ID"));
	assert_non_null(strstr(r->err, "admin-credentials"));
	/* but a profile that is named has to be there */
	answers(200, ANSWER(ENTRY_1));
	r = run(&command_get_login_password, dir, "", "--profile=x", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_int_equal(server.n_requests, 0);
}

static void
what_is_no_registry_is_said_to_be_none(void **state)
{
	static const struct {
		int status;
		const char *answer;
	} rows[] = {
		{ 200, "<html>" },
		{ 404, "{\"errors\":[]}" },
		{ 200, "{}" },
		{ 200, ANSWER("") },
		{ 200, ANSWER("{}") },
		{ 200, ANSWER("{\"authorizationToken\":\"x\",\"proxyEndpoint\":"
			      "\"https://x\"}") },
		/* Ym9iOnB3: bob:pw */
		{ 200, ANSWER("{\"authorizationToken\":\"Ym9iOnB3\","
			      "\"proxyEndpoint\":\"https://x\"}") },
		{ 200, ANSWER("{\"authorizationToken\":\"QVdTOnR3bw==\","
			      "\"proxyEndpoint\":\"https://x; rm -rf /\"}") },
		/* AWS:a b */
		{ 200, ANSWER("{\"authorizationToken\":\"QVdTOmEgYg==\","
			      "\"proxyEndpoint\":\"https://x\"}") },
	};
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		answers(rows[i].status, rows[i].answer);
		r = run(&command_get_login, dir, "", END);
		if (r->code != CTL_FAILED || r->out[0] != '\0' ||
		    r->err[0] == '\0')
			fail_msg("%zu: %d %s", i, r->code, r->out);
	}
}

static void
a_command_without_a_registry_says_how_to_name_one(void **state)
{
	const struct ran *r;

	(void)state;
	(void)unsetenv("REGISTRYD_ENDPOINT");
	r = run(&command_get_login, dir, "", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->err, "--endpoint"));
	r = run(&command_get_login, dir, "", "--endpoint", "reg.example", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->err, "https://HOST:PORT"));
}

static void
the_server_of_the_folder_says_where_it_is(void **state)
{
	static struct stub control;
	char path[64], stats[128];
	const struct ran *r;

	(void)state;
	(void)unsetenv("REGISTRYD_ENDPOINT");
	(void)snprintf(path, sizeof(path), "%s/control.sock", dir);
	(void)snprintf(stats, sizeof(stats),
	    "{\"server\":{\"endpoint\":\"http://0.0.0.0:%d\"}}", server.port);
	control.status = 200;
	control.answer = stats;
	stub_start(&control, path);
	answers(200, ANSWER(ENTRY_1));
	r = run(&command_get_login_password, dir, "", END);
	assert_string_equal(r->out, "tok-en_1\n");
	control.answer = "{\"server\":{\"endpoint\":\"unix:/x\"}}";
	r = run(&command_get_login_password, dir, "", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->err, "--endpoint"));
	stub_stop(&control);
}

/* --- for people and scripts ---------------------------------------------- */

static void
get_login_prints_a_docker_login_for_each_registry(void **state)
{
	const struct ran *r;

	(void)state;
	answers(200, ANSWER(ENTRY_1 "," ENTRY_2));
	r = run(&command_get_login, dir, "", "--registry-ids", "111122223333",
	    "444455556666", END);
	assert_string_equal(r->err, "");
	assert_string_equal(r->out,
	    "docker login -u AWS -p tok-en_1 https://reg.example:5000\n"
	    "docker login -u AWS -p two https://two.example\n");
	assert_string_equal(server.body,
	    "{\"registryIds\":[\"111122223333\",\"444455556666\"]}");
	r = run(&command_get_login, dir, "", "--include-email", END);
	assert_non_null(strstr(r->out, "-p two -e none https://two.example\n"));
	assert_string_equal(server.body, "{}");
	r = run(&command_get_login, dir, "", "--include-email",
	    "--no-include-email", END);
	assert_null(strstr(r->out, " -e "));
}

static void
ids_that_are_none_are_refused(void **state)
{
	(void)state;
	assert_int_equal(
	    run(&command_get_login, dir, "", "111122223333", END)->code,
	    CTL_USAGE);
	assert_int_equal(
	    run(&command_get_login, dir, "", "--registry-ids", "1", END)->code,
	    CTL_USAGE);
	assert_int_equal(run(&command_get_login_password, dir, "",
			     "--registry-ids", "111122223333", END)
			     ->code,
	    CTL_USAGE);
}

static void
get_login_password_prints_it_alone(void **state)
{
	const struct ran *r;

	(void)state;
	answers(200, ANSWER(ENTRY_1));
	r = run(&command_get_login_password, dir, "", END);
	assert_string_equal(r->out, "tok-en_1\n");
	r = run(&command_get_login_password, dir, "", "--output=json", END);
	assert_string_equal(r->out,
	    "{\"Logins\":[{\"Username\":\"AWS\",\"Password\":\"tok-en_1\","
	    "\"Endpoint\":\"https://reg.example:5000\"}]}\n");
}

static void
any_operation_can_be_called(void **state)
{
	char target[128];
	const struct ran *r;

	(void)state;
	answers(200, "{\"repository\":{}}");
	r = run(&command_ecr, dir, "", "CreateRepository",
	    "{\"repositoryName\":\"a\"}", END);
	assert_string_equal(r->out, "{\"repository\":{}}\n");
	assert_string_equal(server.body, "{\"repositoryName\":\"a\"}");
	assert_string_equal(
	    stub_header(&server, "X-Amz-Target", target, sizeof(target)),
	    "AmazonEC2ContainerRegistry_V20150921.CreateRepository");
	r = run(&command_ecr, dir, "{\"a\":1}", "X", "-", END);
	assert_string_equal(server.body, "{\"a\":1}");
	answers(200, "{\"createdAt\":1795265726.08}");
	r = run(&command_ecr, dir, "", "X", END);
	assert_string_equal(r->out, "{\"createdAt\":1795265726.08}\n");
	assert_int_equal(
	    run(&command_ecr, dir, "", "X", "{", END)->code, CTL_FAILED);
	assert_int_equal(
	    run(&command_ecr, dir, "", "a b", END)->code, CTL_USAGE);
}

/* --- for docker ---------------------------------------------------------- */

static void
docker_gets_a_token_for_the_registrys_own_names(void **state)
{
	const struct ran *r;
	char expected[256];

	(void)state;
	answers(200, ANSWER(ENTRY_1));
	r = docker("get", host);
	(void)snprintf(expected, sizeof(expected),
	    "{\"ServerURL\":\"%s\",\"Username\":\"AWS\","
	    "\"Secret\":\"tok-en_1\"}\n",
	    host);
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, expected);
	/* the name it gives itself */
	r = docker("get", "https://reg.example:5000/v2/\n");
	assert_int_equal(r->code, CTL_OK);
	assert_non_null(strstr(r->out, "https://reg.example:5000/v2/"));
}

static void
docker_hears_of_no_credentials_for_other_hosts(void **state)
{
	const struct ran *r;

	(void)state;
	answers(200, ANSWER(ENTRY_1));
	r = docker("get", "https://index.docker.io/v1/");
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->out, NOT_FOUND);
	assert_string_equal(docker("get", "a b")->out, NOT_FOUND);
	assert_string_equal(
	    docker("get", "\n")->out, "no credentials server URL\n");
}

static void
without_an_endpoint_the_host_itself_is_asked(void **state)
{
	const struct ran *r;

	(void)state;
	(void)unsetenv("REGISTRYD_ENDPOINT");
	/* by https, and on this machine by http where that is not spoken */
	answers(200, ANSWER(ENTRY_1));
	r = docker("get", host);
	if (r->code != CTL_OK)
		fail_msg("%s%s", r->out, r->err);
	assert_non_null(strstr(r->out, "tok-en_1"));
	answers(404, "not here");
	r = docker("get", host);
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->out, NOT_FOUND);
}

static void
docker_hears_why_it_gets_none_of_a_registry_of_ours(void **state)
{
	const struct ran *r;

	(void)state;
	answers(400, "{\"__type\":\"InvalidSignatureException\","
		     "\"message\":\"m\"}");
	r = docker("get", host);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->out, "InvalidSignatureException"));
	(void)unsetenv("AWS_ACCESS_KEY_ID");
	(void)unsetenv("AWS_SECRET_ACCESS_KEY");
	answers(400, "{\"__type\":\"MissingAuthenticationTokenException\","
		     "\"message\":\"m\"}");
	r = docker("get", host);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->out, "AWS_ACCESS_KEY_ID"));
}

static void
docker_stores_and_erases_nothing(void **state)
{
	const struct ran *r;

	(void)state;
	r = docker("store", "{\"ServerURL\":\"x\",\"Username\":\"u\","
			    "\"Secret\":\"hidden\"}");
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->out, "nothing is stored"));
	assert_null(strstr(r->out, "hidden"));
	r = docker("erase", "x");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, "");
	assert_int_equal(docker("eat", "")->code, CTL_USAGE);
}

static void
docker_lists_what_the_endpoint_says(void **state)
{
	const struct ran *r;

	(void)state;
	answers(200, ANSWER(ENTRY_1));
	r = docker("list", "");
	assert_string_equal(r->out, "{\"https://reg.example:5000\":\"AWS\"}\n");
	(void)unsetenv("REGISTRYD_ENDPOINT");
	r = docker("list", "");
	assert_string_equal(r->out, "{}\n");
}

/* --- hosts --------------------------------------------------------------- */

static void
hosts_are_named_as_docker_names_them(void **state)
{
	static const struct {
		const char *url, *host;
	} rows[] = {
		{ "https://reg.example", "reg.example" },
		{ "https://reg.example:443/", "reg.example" },
		{ "http://reg.example:80", "reg.example" },
		{ "https://REG.example:5000/v2/", "reg.example:5000" },
		{ "reg.example:5000", "reg.example:5000" },
		{ "localhost", "localhost" },
		{ "http://[::1]:5000", "[::1]:5000" },
	};
	static const char *const bad[] = { "", "ftp://x", "https://u:p@x",
		"https://x?y", "https://x#y", "x y", "https://" };
	char why[ECR_WHY_BYTES], *got;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(ecr_host(rows[i].url, &got, why), RC_OK);
		assert_string_equal(got, rows[i].host);
		free(got);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (ecr_host(bad[i], &got, why) != RC_INVALID)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void
only_this_machine_is_loopback(void **state)
{
	static const char *const good[] = { "localhost", "localhost:5000",
		"127.0.0.1", "127.1.2.3:5000", "[::1]", "[::1]:5000" };
	static const char *const bad[] = { "localhost.example", "127.example",
		"128.0.0.1", "10.0.0.1:5000", "[::2]", "[::11]:5000", "" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++)
		assert_true(ecr_host_is_loopback(good[i]));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(ecr_host_is_loopback(bad[i]));
}

static int
each_setup(void **state)
{
	(void)state;
	environment_clear();
	(void)setenv("NO_PROXY", "*", 1);
	(void)setenv("AWS_ACCESS_KEY_ID", "AKIATEST", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	return (setenv("REGISTRYD_ENDPOINT", endpoint, 1));
}

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return (-1);
	stub_start(&server, NULL);
	(void)snprintf(host, sizeof(host), "127.0.0.1:%d", server.port);
	(void)snprintf(endpoint, sizeof(endpoint), "http://%s", host);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	stub_stop(&server);
	return (rmdir(dir));
}

#define TEST(fn) cmocka_unit_test_setup(fn, each_setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_request_is_signed_as_the_service_verifies_it),
		TEST(what_the_service_refuses_is_said_as_the_aws_cli_says_it),
		TEST(an_unknown_key_is_named_with_where_it_is_from),
		TEST(
		    without_credentials_the_registry_decides_whether_it_needs_any),
		TEST(what_is_no_registry_is_said_to_be_none),
		TEST(a_command_without_a_registry_says_how_to_name_one),
		TEST(the_server_of_the_folder_says_where_it_is),
		TEST(get_login_prints_a_docker_login_for_each_registry),
		TEST(ids_that_are_none_are_refused),
		TEST(get_login_password_prints_it_alone),
		TEST(any_operation_can_be_called),
		TEST(docker_gets_a_token_for_the_registrys_own_names),
		TEST(docker_hears_of_no_credentials_for_other_hosts),
		TEST(without_an_endpoint_the_host_itself_is_asked),
		TEST(docker_hears_why_it_gets_none_of_a_registry_of_ours),
		TEST(docker_stores_and_erases_nothing),
		TEST(docker_lists_what_the_endpoint_says),
		TEST(hosts_are_named_as_docker_names_them),
		TEST(only_this_machine_is_loopback),
	};

	return (cmocka_run_group_tests_name("login", tests, setup, teardown));
}
