#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/obj.h"
#include "ctl_tools.h"
#include "registryctl/manage.h"

/*
 * The commands about users, groups, keys and policies: which request a command
 * line makes, and how answers look, with a server of a few lines behind the
 * folder's socket.
 */
static char dir[] = "/tmp/test-manage-XXXXXX";
static struct stub server;

static const char *
path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return (path);
}

/* --- requests ------------------------------------------------------------ */

#define WORDS_MAX 12

static json_t *
request_of(const struct command *command, const struct manage_family *family,
    const char *const *words)
{
	char *argv[WORDS_MAX + 2] = { (char *)(uintptr_t)command->name };
	struct ctl ctl = { .data = dir, .command = command };
	struct manage_call call;
	json_t *request;
	int argc = 1;

	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	optind = 0;
	manage_arguments(&ctl, argc, argv, family, &call);
	request = json_incref(call.request);
	manage_call_end(&call);
	return (request);
}

#define USER &command_user, &manage_user
#define GROUP &command_group, &manage_group
#define KEY &command_access_key, &manage_access_key
#define POLICY &command_policy, &manage_policy

static void
a_command_line_makes_its_request(void **state)
{
	static const struct {
		const struct command *command;
		const struct manage_family *family;
		const char *words[WORDS_MAX + 1];
		const char *request;
	} rows[] = {
		{ USER, { "create", "build" },
		    "{'op':'user-create','name':'build'}" },
		{ USER, { "--tag", "a=b=c", "create", "--tag", "t=", "build" },
		    "{'op':'user-create','name':'build',"
		    "'tags':{'a':'b=c','t':''}}" },
		{ USER, { "create", "111122223333/build" },
		    "{'op':'user-create','name':'build',"
		    "'account':'111122223333'}" },
		{ USER, { "create", "build", "--account", "111122223333" },
		    "{'op':'user-create','name':'build',"
		    "'account':'111122223333'}" },
		{ USER, { "show", "--", "-x" },
		    "{'op':'user-show','name':'-x'}" },
		{ USER, { "show", "a/b" }, "{'op':'user-show','name':'a/b'}" },
		{ USER, { "list" }, "{'op':'user-list'}" },
		{ USER, { "delete", "x", "--force" },
		    "{'op':'user-delete','name':'x','force':true}" },
		{ USER, { "passwd", "x", "--remove" },
		    "{'op':'user-password','name':'x','password':null}" },
		{ USER, { "tag", "x", "--remove" },
		    "{'op':'user-tag','name':'x','tags':{}}" },
		{ USER, { "tag", "x", "--tag", "k=v" },
		    "{'op':'user-tag','name':'x','tags':{'k':'v'}}" },
		{ GROUP, { "create", "g" },
		    "{'op':'group-create','name':'g'}" },
		{ GROUP, { "add", "g", "u" },
		    "{'op':'group-add','name':'g','user':'u'}" },
		{ GROUP, { "remove", "111122223333/g", "111122223333/u" },
		    "{'op':'group-remove','name':'g','user':'u',"
		    "'account':'111122223333'}" },
		{ KEY, { "create", "u" },
		    "{'op':'access-key-create','user':'u'}" },
		{ KEY, { "list" }, "{'op':'access-key-list'}" },
		{ KEY, { "list", "u" }, "{'op':'access-key-list','user':'u'}" },
		{ KEY, { "last-used", "AKIA1" },
		    "{'op':'access-key-last-used','id':'AKIA1'}" },
		{ POLICY, { "attach", "u", "ReadOnly" },
		    "{'op':'policy-attach','user':'u','policy':'ReadOnly'}" },
		{ POLICY, { "attach", "--group", "g", "ReadOnly" },
		    "{'op':'policy-attach','group':'g','policy':'ReadOnly'}" },
		{ POLICY,
		    { "detach", "u", "arn:aws:iam::111122223333:policy/p" },
		    "{'op':'policy-detach','user':'u',"
		    "'policy':'arn:aws:iam::111122223333:policy/p'}" },
		{ POLICY, { "list", "--user", "u" },
		    "{'op':'policy-list','user':'u'}" },
		{ POLICY,
		    { "simulate", "--principal", "u", "--action",
			"ecr:PutImage", "--resource", "team/app", "--time",
			"1970-01-02T00:00:01Z" },
		    "{'op':'policy-simulate','principal':'u',"
		    "'action':'ecr:PutImage','resource':'team/app',"
		    "'secure':false,'time':86401000}" },
		{ POLICY,
		    { "simulate", "--principal", "u", "--action", "a",
			"--resource", "*", "--tls", "--source-ip=::1",
			"--user-agent=x" },
		    "{'op':'policy-simulate','principal':'u','action':'a',"
		    "'resource':'*','secure':true,'source_ip':'::1',"
		    "'user_agent':'x'}" },
		{ POLICY, { "delete-registry" },
		    "{'op':'registry-policy-delete'}" },
		{ &command_token, &manage_token, { "revoke-all", "u" },
		    "{'op':'token-revoke-all','user':'u'}" },
	};
	json_t *request, *expected;
	char text[512], *got;
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		request =
		    request_of(rows[i].command, rows[i].family, rows[i].words);
		(void)snprintf(text, sizeof(text), "%s", rows[i].request);
		for (j = 0; text[j] != '\0'; j++)
			if (text[j] == '\'')
				text[j] = '"';
		expected = json_loads(text, 0, NULL);
		assert_non_null(expected);
		got = json_dumps(request, 0);
		if (json_equal(request, expected) != 1)
			fail_msg("%s, not %s", got, text);
		free(got);
		json_decref(expected);
		json_decref(request);
	}
}

static void
a_wrong_command_line_says_so_and_is_exit_2(void **state)
{
	static const struct {
		const struct command *command;
		const char *words[5];
		const char *said;
	} rows[] = {
		{ &command_user, { NULL }, "say what" },
		{ &command_user, { "eat" }, "there is no \"user eat\"" },
		{ &command_user, { "create" }, "the name is missing" },
		{ &command_user, { "create", "a", "b" }, "\"b\"" },
		{ &command_user, { "list", "--force" }, "takes no --force" },
		{ &command_user, { "create", "a", "--tag", "x" }, "KEY=VALUE" },
		{ &command_user, { "create", "a", "--tag", "=x" },
		    "KEY=VALUE" },
		{ &command_user, { "create", "a", "--tag=x=1", "--tag=x=2" },
		    "twice" },
		{ &command_user, { "create", "a", "--account", "12" },
		    "12 digits" },
		{ &command_user,
		    { "show", "111122223333/a", "--account=111122224444" },
		    "which account" },
		{ &command_user, { "passwd", "a", "geheim" }, "geheim" },
		{ &command_user, { "tag", "a" }, "--tag or --remove" },
		{ &command_user, { "tag", "a", "--remove", "--tag=a=b" },
		    "stands alone" },
		{ &command_group, { "add", "g" }, "the user is missing" },
		{ &command_policy, { "attach", "u" }, "the policy is missing" },
		{ &command_policy, { "put", "p" }, "needs --file" },
		{ &command_policy, { "list", "--user=a", "--group=b" },
		    "exclude" },
		{ &command_policy, { "simulate", "--principal=u" },
		    "needs --action" },
		{ &command_policy, { "list", "--nonsense" }, "--nonsense" },
		{ &command_user, { "list", "--account", "12" },
		    "--account: \"12\" must be" },
		{ &command_key, { "rotate-master", "x" }, "\"x\"" },
		{ &command_key, { "turn" }, "\"turn\"" },
	};
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		r = run(rows[i].command, dir, "", rows[i].words[0],
		    rows[i].words[1], rows[i].words[2], rows[i].words[3], END);
		if (r->code != CTL_USAGE ||
		    strstr(r->err, rows[i].said) == NULL)
			fail_msg("%zu: %d %s", i, r->code, r->err);
		assert_string_equal(r->out, "");
	}
}

static void
a_time_is_in_utc_whole_and_strict(void **state)
{
	static const char *const bad[] = { "--time=now",
		"--time=2026-01-31T12:00:00+01:00", "--time=2026-01-31 12:00",
		"--time=2026-02", "--time=" };
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		r = run(&command_policy, dir, "", "simulate", "--principal=u",
		    "--action=a", "--resource=r", bad[i], END);
		if (r->code != CTL_USAGE)
			fail_msg("%s was taken", bad[i]);
	}
}

static void
a_source_address_is_one(void **state)
{
	static const char *const bad[] = { "foo", "10.0.0", "10.0.0.0/8", "",
		"[::1]", "example.org" };
	const struct ran *r;
	char option[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(
		    option, sizeof(option), "--source-ip=%s", bad[i]);
		r = run(&command_policy, dir, "", "simulate", "--principal=u",
		    "--action=a", "--resource=r", option, END);
		(void)snprintf(option, sizeof(option), "\"%s\"", bad[i]);
		if (r->code != CTL_USAGE || strstr(r->err, option) == NULL)
			fail_msg("%s: %d %s", bad[i], r->code, r->err);
	}
}

/* --- what is sent and shown ---------------------------------------------- */

static const struct ran *
ran_with(const char *answer, const struct command *command, const char *input,
    const char *a, const char *b, const char *c, const char *d)
{
	server.status = 200;
	server.answer = answer;
	return (run(command, dir, input, a, b, c, d, END));
}

static void
assert_body(const char *key, const char *value)
{
	json_t *body = json_loads(server.body, 0, NULL);
	const char *got = json_string_value(json_object_get(body, key));

	assert_non_null(strstr(server.head, "POST /control/iam HTTP/1.1\r\n"));
	if (got == NULL || strcmp(got, value) != 0)
		fail_msg("%s: %s in %s", key, value, server.body);
	json_decref(body);
}

static void
a_password_comes_from_standard_input_without_its_line_end(void **state)
{
	const struct ran *r;

	(void)state;
	r = ran_with("{}", &command_user, "pass word\n", "passwd", "u",
	    "--password-stdin", NULL);
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, "changed the password of u\n");
	assert_body("password", "pass word");
	r = ran_with("{\"User\":{\"Arn\":\"arn:x\"}}", &command_user, "pw",
	    "create", "--password-stdin", "u", NULL);
	assert_string_equal(r->out, "created arn:x\n");
	assert_body("password", "pw");
}

static void
an_odd_password_is_refused_before_anybody_is_asked(void **state)
{
	static const char *const bad[] = { "", "\n", "a\nb\n" };
	char *longer = calloc(1, 1100);
	unsigned before = server.n_requests;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ran_with("{}", &command_user, bad[i], "passwd",
				     "u", "--password-stdin", NULL)
				     ->code,
		    CTL_FAILED);
	assert_non_null(longer);
	memset(longer, 'x', 1099);
	assert_int_equal(ran_with("{}", &command_user, longer, "passwd", "u",
			     "--password-stdin", NULL)
			     ->code,
	    CTL_FAILED);
	free(longer);
	assert_int_equal(server.n_requests, before);
}

static void
a_new_access_key_is_flat_json_whatever_the_output(void **state)
{
	static const char answer[] =
	    "{\"AccessKey\":{\"AccessKeyId\":\"AKIA1\","
	    "\"SecretAccessKey\":\"s/+\",\"UserName\":\"u\"}}";
	static const char *const outputs[] = { "--output=json",
		"--output=text" };
	const struct ran *r;
	json_t *doc;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(outputs); i++) {
		r = ran_with(answer, &command_access_key, "", "create", "u",
		    outputs[i], NULL);
		assert_int_equal(r->code, CTL_OK);
		doc = json_loads(r->out, 0, NULL);
		assert_string_equal(
		    json_string_value(json_object_get(doc, "AccessKeyId")),
		    "AKIA1");
		assert_string_equal(
		    json_string_value(json_object_get(doc, "SecretAccessKey")),
		    "s/+");
		json_decref(doc);
	}
}

static void
lists_are_aligned_tables_or_json(void **state)
{
	static const char answer[] =
	    "{\"Groups\":[{\"GroupName\":\"g\",\"Account\":\"000000000000\","
	    "\"Users\":[\"a\",\"b\"],\"AttachedPolicies\":[{\"PolicyName\":"
	    "\"P\",\"PolicyArn\":\"arn:P\"}],\"InlinePolicies\":[],"
	    "\"CreateDate\":\"2026-01-31T12:00:00.000Z\"}]}";
	const struct ran *r;

	(void)state;
	r = ran_with(answer, &command_group, "", "list", NULL, NULL, NULL);
	assert_string_equal(r->out,
	    "NAME  ACCOUNT       USERS  POLICIES  INLINE  CREATED\n"
	    "g     000000000000  a, b   P         -       "
	    "2026-01-31T12:00:00.000Z\n");
	r = ran_with(
	    answer, &command_group, "", "list", "--output=json", NULL, NULL);
	assert_string_equal(r->out + strlen(answer), "\n");
	assert_memory_equal(r->out, answer, strlen(answer));
}

static void
a_document_is_sent_and_shown_as_it_is(void **state)
{
	static const char text[] = "{\n  \"Statement\": []\n}\n";
	const struct ran *r;

	(void)state;
	file_put(path_of("policy.json"), text);
	r = ran_with("{\"Policy\":{}}", &command_policy, "", "put", "p",
	    "--file", path_of("policy.json"));
	assert_string_equal(r->out, "put policy p\n");
	assert_body("document", text);
	assert_body("name", "p");
	r = ran_with("{\"Policy\":{}}", &command_policy, text, "put-registry",
	    "--file", "-", NULL);
	assert_int_equal(r->code, CTL_OK);
	assert_body("document", text);
	r = ran_with("{\"Policy\":{\"Document\":\"{\\n}\\n\"}}",
	    &command_policy, "", "get", "p", NULL, NULL);
	assert_string_equal(r->out, "{\n}\n");
	r = ran_with("{}", &command_policy, "\xff", "put-registry", "--file=-",
	    NULL, NULL);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->err, "UTF-8"));
	r = ran_with("{}", &command_policy, "", "put-registry",
	    "--file=/nonexistent", NULL, NULL);
	assert_int_equal(r->code, CTL_FAILED);
	assert_non_null(strstr(r->err, "/nonexistent"));
}

static void
a_simulation_says_the_decision_first(void **state)
{
	const struct ran *r;

	(void)state;
	server.status = 200;
	server.answer = "{\"decision\":\"explicitDeny\",\"message\":\"m\","
			"\"decided_by\":\"identity\",\"policy\":\"p\","
			"\"statement\":2,\"sid\":\"S\"}";
	r = run(&command_policy, dir, "", "simulate", "--principal=u",
	    "--action=a", "--resource=r", END);
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, "explicitDeny\n"
				    "decided by  identity\n"
				    "policy      p\n"
				    "statement   2\n"
				    "sid         S\n"
				    "message     m\n");
	server.answer = "{\"decision\":\"implicitDeny\",\"message\":\"m\","
			"\"decided_by\":\"none\",\"policy\":\"\","
			"\"statement\":0,\"sid\":\"\"}";
	r = run(&command_policy, dir, "", "simulate", "--principal=u",
	    "--action=a", "--resource=r", END);
	assert_string_equal(r->out, "implicitDeny\n"
				    "decided by  none\n"
				    "message     m\n");
}

static void
a_policy_of_a_resource_is_named_by_it(void **state)
{
	static const struct {
		const char *by, *resource, *policy;
	} rows[] = {
		{ "repository", "--resource=team/app", "repository team/app" },
		{ "repository",
		    "--resource=arn:aws:ecr:us-east-1:000000000000:repository/"
		    "team/app",
		    "repository team/app" },
		{ "registry", "--resource=team/app", "the registry" },
	};
	char answer[256], expected[256];
	const struct ran *r;
	size_t i;

	(void)state;
	server.status = 200;
	server.answer = answer;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(answer, sizeof(answer),
		    "{\"decision\":\"allowed\",\"message\":\"m\","
		    "\"decided_by\":\"%s\",\"policy\":\"\",\"statement\":1,"
		    "\"sid\":\"\"}",
		    rows[i].by);
		(void)snprintf(expected, sizeof(expected),
		    "allowed\n"
		    "decided by  %s\n"
		    "policy      policy of %s\n"
		    "statement   1\n"
		    "sid         -\n"
		    "message     m\n",
		    rows[i].by, rows[i].policy);
		r = run(&command_policy, dir, "", "simulate", "--principal=u",
		    "--action=a", rows[i].resource, END);
		assert_string_equal(r->out, expected);
	}
}

static void
what_is_removed_is_said_to_be(void **state)
{
	const struct ran *r;

	(void)state;
	r = ran_with("{}", &command_user, "", "passwd", "u", "--remove", NULL);
	assert_string_equal(r->out, "removed the password of u\n");
	r = ran_with("{}", &command_user, "", "tag", "u", "--remove", NULL);
	assert_string_equal(r->out, "removed the tags of u\n");
	r = ran_with("{}", &command_user, "", "tag", "u", "--tag=a=b", NULL);
	assert_string_equal(r->out, "changed the tags of u\n");
}

static void
what_the_server_refuses_is_said_and_exit_1(void **state)
{
	const struct ran *r;

	(void)state;
	server.status = 404;
	server.answer = "{\"errors\":[{\"code\":\"NOT_FOUND\","
			"\"message\":\"there is no user \\\"u\\\"\"}]}";
	r = run(&command_user, dir, "", "show", "u", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->err, "registryctl: there is no user \"u\"\n");
	assert_string_equal(r->out, "");
}

static void
nothing_that_is_shown_moves_the_cursor(void **state)
{
	const struct ran *r;

	(void)state;
	r = ran_with("{\"Group\":{\"GroupName\":\"a\\u001b[2Jb\"}}",
	    &command_group, "", "show", "g", NULL, NULL);
	assert_non_null(strstr(r->out, "a\\x1b[2Jb"));
	server.status = 400;
	server.answer = "{\"errors\":[{\"message\":\"a\\u001b[2Jb\"}]}";
	r = run(&command_user, dir, "", "show", "u", END);
	assert_null(strchr(r->err, '\x1b'));
}

static void
the_address_of_a_registry_is_no_folder(void **state)
{
	const struct ran *r;

	(void)state;
	r = run(&command_user, dir, "", "list", "--endpoint=http://x", END);
	assert_int_equal(r->code, CTL_USAGE);
	assert_non_null(strstr(r->err, "--endpoint"));
}

static int
setup(void **state)
{
	(void)state;
	environment_clear();
	if (mkdtemp(dir) == NULL)
		return (-1);
	stub_start(&server, path_of("control.sock"));
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	stub_stop(&server);
	(void)unlink(path_of("policy.json"));
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_line_makes_its_request),
		cmocka_unit_test(a_wrong_command_line_says_so_and_is_exit_2),
		cmocka_unit_test(a_time_is_in_utc_whole_and_strict),
		cmocka_unit_test(a_source_address_is_one),
		cmocka_unit_test(
		    a_password_comes_from_standard_input_without_its_line_end),
		cmocka_unit_test(
		    an_odd_password_is_refused_before_anybody_is_asked),
		cmocka_unit_test(
		    a_new_access_key_is_flat_json_whatever_the_output),
		cmocka_unit_test(lists_are_aligned_tables_or_json),
		cmocka_unit_test(a_document_is_sent_and_shown_as_it_is),
		cmocka_unit_test(a_simulation_says_the_decision_first),
		cmocka_unit_test(a_policy_of_a_resource_is_named_by_it),
		cmocka_unit_test(what_is_removed_is_said_to_be),
		cmocka_unit_test(what_the_server_refuses_is_said_and_exit_1),
		cmocka_unit_test(nothing_that_is_shown_moves_the_cursor),
		cmocka_unit_test(the_address_of_a_registry_is_no_folder),
	};

	return (cmocka_run_group_tests_name("manage", tests, setup, teardown));
}
