#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "ctl_tools.h"

/*
 * registryctl apply and export-template against a registry of a few lines: the
 * command line, who is asked, and what is sent.
 */
static char dir[] = "/tmp/test-apply-XXXXXX";
static char file[64], control[64];
static struct stub server;

#define REGISTRY \
	"\"registryId\":\"123456789012\",\"region\":\"eu-west-1\"," \
	"\"registryUri\":\"reg.example\""
#define NO_REPOSITORY \
	"{\"__type\":\"RepositoryNotFoundException\",\"message\":\"none\"}"
#define TEMPLATE \
	"Resources:\n  App:\n    Type: AWS::ECR::Repository\n" \
	"    Properties:\n      RepositoryName: team/app\n"

static const struct ran *
apply(const char *option, const char *more)
{
	return (run(&command_apply, dir, "", file, option, more, END));
}

static void
said(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, text);
}

static void
the_command_line_has_to_be_right(void **state)
{
	static const struct {
		const char *one, *two, *part;
	} rows[] = {
		{ "--stack", "a/b", "\"a/b\" is no name of a stack" },
		{ "--stack", "", "is no name of a stack" },
		{ "--parameter", "x", "NAME=VALUE" },
		{ "--parameter", "=x", "NAME=VALUE" },
		{ "--nonsense", "x", "no option --nonsense" },
		{ "two", "three", "unexpected argument \"two\"" },
	};
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		r = apply(rows[i].one, rows[i].two);
		assert_int_equal(r->code, CTL_USAGE);
		said(r->err, rows[i].part);
	}
	r = run(&command_apply, dir, "", END);
	assert_int_equal(r->code, CTL_USAGE);
	said(r->err, "say which template");
	r = run(&command_apply, dir, TEMPLATE, "-", END);
	assert_int_equal(r->code, CTL_USAGE);
	said(r->err, "--stack NAME");
	r = run(&command_export_template, dir, "", "--format", "xml", END);
	assert_int_equal(r->code, CTL_USAGE);
	assert_int_equal(server.n_requests, 0);
}

static void
it_is_created_and_remembered(void **state)
{
	const struct stub_turn turns[] = {
		{ "POST /", 200, "{" REGISTRY "}" },
		{ "POST /", 400, NO_REPOSITORY },
		{ "POST /", 200, "{}" },
		{ "POST /", 200, "{}" },
		{ NULL },
	};
	const struct ran *r;
	char target[128];

	(void)state;
	stub_expect(&server, turns);
	r = apply("--yes", "--prune");
	said(r->out, "created App (repository team/app)");
	assert_int_equal(r->code, CTL_OK);
	assert_true(stub_satisfied(&server));
	assert_string_equal(
	    stub_header(&server, "X-Amz-Target", target, sizeof(target)),
	    "Registryd_V20261122.PutStack");
	said(server.posted, "\"physicalId\":\"team/app\"");
	said(server.posted, "\"revision\":0");
}

static void
nobody_to_ask_is_told_and_nothing_is_sent(void **state)
{
	const struct stub_turn turns[] = {
		{ "POST /", 200, "{" REGISTRY "}" },
		{ "POST /", 400, NO_REPOSITORY },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	stub_expect(&server, turns);
	r = apply("--stack", "s");
	assert_int_equal(r->code, CTL_USAGE);
	said(r->err, "--yes");
	assert_true(stub_satisfied(&server));
	stub_expect(&server, turns);
	r = apply("--dry-run", "--yes");
	assert_int_equal(r->code, CTL_PROBLEMS);
	said(r->out, "+ create   App");
	assert_true(stub_satisfied(&server));
}

static void
what_the_registry_refuses_is_told_with_the_logical_id(void **state)
{
	const struct stub_turn turns[] = {
		{ "POST /", 200, "{" REGISTRY "}" },
		{ "POST /", 400, NO_REPOSITORY },
		{ "POST /", 400,
		    "{\"__type\":\"LimitExceededException\",\"message\":"
		    "\"too many\"}" },
		/* Did it come to be? */
		{ "POST /", 400, NO_REPOSITORY },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	stub_expect(&server, turns);
	r = apply("--yes", "--prune");
	assert_int_equal(r->code, CTL_FAILED);
	said(r->err,
	    "App (repository team/app): An error occurred "
	    "(LimitExceededException) when calling the CreateRepository "
	    "operation: too many");
	said(r->err, "done: nothing; not done: App");
	assert_true(stub_satisfied(&server));
}

static void
what_answers_otherwise_is_no_registry(void **state)
{
	const struct stub_turn turns[] = {
		{ "POST /", 404, "{\"errors\":[]}" },
		{ "POST /", 200, "[]" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	stub_expect(&server, turns);
	r = apply("--yes", "--prune");
	assert_int_equal(r->code, CTL_FAILED);
	said(r->err, "no ECR endpoint");
	r = apply("--yes", "--prune");
	assert_int_equal(r->code, CTL_FAILED);
	assert_true(stub_satisfied(&server));
}

static int
begin(void **state)
{
	char *text;

	(void)state;
	environment_clear();
	assert_non_null(mkdtemp(dir));
	text = xasprintf("%s/template.yml", dir);
	file_put(text, TEMPLATE);
	(void)memcpy(file, text, strlen(text) + 1);
	free(text);
	text = xasprintf("%s/control.sock", dir);
	(void)memcpy(control, text, strlen(text) + 1);
	free(text);
	stub_start(&server, control);
	return (0);
}

static int
end(void **state)
{
	char *command = xasprintf("rm -rf '%s'", dir);

	(void)state;
	stub_stop(&server);
	assert_int_equal(system(command), 0);
	free(command);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_has_to_be_right),
		cmocka_unit_test(it_is_created_and_remembered),
		cmocka_unit_test(nobody_to_ask_is_told_and_nothing_is_sent),
		cmocka_unit_test(
		    what_the_registry_refuses_is_told_with_the_logical_id),
		cmocka_unit_test(what_answers_otherwise_is_no_registry),
	};

	return (cmocka_run_group_tests_name("apply", tests, begin, end));
}
