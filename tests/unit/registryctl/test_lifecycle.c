#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "ctl_tools.h"

/*
 * registryctl lifecycle: what a command line asks a server for, how answers
 * look, and policies that are checked without one.
 */
static char dir[] = "/tmp/test-lifecycle-XXXXXX";
static struct stub server;

static const char *
path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return (path);
}

static size_t
times_in(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return (n);
}

static void
assert_said(const char *text, const char *what)
{
	if (times_in(text, what) != 1)
		fail_msg("\"%s\" is not once in: %s", what, text);
}

/* With these turns of the server, all of which are to be taken. */
#define RAN_WITH(turns, ...) \
	(stub_expect(&server, turns), \
	    ran_well(run(&command_lifecycle, dir, "", __VA_ARGS__, END)))

static const struct ran *
ran_well(const struct ran *r)
{
	if (!stub_satisfied(&server))
		fail_msg("turn %zu was not taken: %s", server.turn, r->err);
	return (r);
}

/* --- command lines ------------------------------------------------------- */

static void
a_wrong_command_line_says_so_and_is_exit_2(void **state)
{
	static const struct {
		const char *words[6];
		const char *said;
	} rows[] = {
		{ { NULL }, "run, preview, status or lint?" },
		{ { "eat" }, "no lifecycle action \"eat\"" },
		{ { "run", "a" }, "--repository" },
		{ { "run", "--policy=x" }, "takes no --policy" },
		{ { "run", "--extensions" }, "takes no --extensions" },
		{ { "run", "--repository" }, "needs a value" },
		{ { "run", "--repository=" }, "needs the name" },
		{ { "status", "--repository", "" }, "needs the name" },
		{ { "run", "--endpoint=http://x" }, "--endpoint" },
		{ { "status", "a" }, "unexpected argument \"a\"" },
		{ { "status", "--diff" }, "takes no --diff" },
		{ { "status", "--nonsense" }, "--nonsense" },
		{ { "preview" }, "which repository?" },
		{ { "preview", "a", "b" }, "unexpected argument \"b\"" },
		{ { "preview", "a", "--repository=b" },
		    "takes no --repository" },
		{ { "preview", "a", "--diff" }, "--policy FILE" },
		{ { "preview", "a", "--policy=x", "--diff", "--against=y" },
		    "not both" },
		{ { "preview", "a", "--policy=-", "--against=-" },
		    "standard input" },
		{ { "lint" }, "which file?" },
		{ { "lint", "-", "-" }, "standard input" },
		{ { "lint", "--summary", "x" }, "takes no --summary" },
		{ { "lint", "--output=xml", "x" }, "text or json" },
	};
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		r = run(&command_lifecycle, dir, "", rows[i].words[0],
		    rows[i].words[1], rows[i].words[2], rows[i].words[3],
		    rows[i].words[4], END);
		if (r->code != CTL_USAGE ||
		    strstr(r->err, rows[i].said) == NULL)
			fail_msg("%zu: %d %s", i, r->code, r->err);
		assert_string_equal(r->out, "");
	}
}

static void
the_help_names_every_option_and_exit(void **state)
{
	static const char *const words[] = { "run", "preview", "status", "lint",
		"--repository", "--policy", "--diff", "--against", "--summary",
		"--extensions", "Exit status: 0", "1 failed", "2 wrong usage",
		"3 lint" };
	const struct ran *r;
	size_t i;

	(void)state;
	r = run(&command_lifecycle, dir, "", "--help", END);
	assert_int_equal(r->code, CTL_OK);
	for (i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(r->out, words[i]) == NULL)
			fail_msg("%s", words[i]);
}

/* --- lint ---------------------------------------------------------------- */

#define RULE(priority, count, number, action) \
	"{\"rulePriority\":" priority ",\"selection\":{\"tagStatus\":" \
	"\"any\",\"countType\":\"" count "\",\"countUnit\":\"days\"," \
	"\"countNumber\":" number "},\"action\":{\"type\":\"" action "\"}}"
#define GOOD "{\"rules\":[" RULE("1", "sinceImagePushed", "9", "expire") "]}"
#define BAD "{\"rules\":[" RULE("1", "sinceImagePushed", "0", "expire") "]}"
#define EXTENDED \
	"{\"rules\":[" RULE("1", "sinceImagePulled", "9", "expire") "]}"

static void
files_put(void)
{
	file_put(path_of("good"), GOOD);
	file_put(path_of("bad"), BAD);
	file_put(path_of("extended"), EXTENDED);
}

static void
a_policy_is_told_from_what_is_none_by_the_exit(void **state)
{
	static const struct {
		const char *file, *option;
		int code;
		const char *said;
	} rows[] = {
		{ "good", NULL, CTL_OK, "good: 1 rule\n" },
		{ "good", "--extensions", CTL_OK, "good: 1 rule\n" },
		{ "bad", NULL, CTL_PROBLEMS,
		    "rules[0].selection.countNumber, rulePriority 1" },
		{ "bad", "--extensions", CTL_PROBLEMS, "countNumber" },
		{ "extended", NULL, CTL_PROBLEMS, "with --extensions" },
		{ "extended", "--extensions", CTL_OK, "extended: 1 rule\n" },
	};
	const struct ran *r;
	size_t i;

	(void)state;
	files_put();
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		r = run(&command_lifecycle, "/nonexistent", "", "lint",
		    path_of(rows[i].file), rows[i].option, END);
		if (r->code != rows[i].code ||
		    strstr(r->out, rows[i].said) == NULL)
			fail_msg("%zu: %d %s%s", i, r->code, r->out, r->err);
		assert_string_equal(r->err, "");
	}
}

static void
a_policy_comes_from_standard_input(void **state)
{
	const struct ran *r;

	(void)state;
	r = run(&command_lifecycle, dir, GOOD "\n", "lint", "-", END);
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, "standard input: 1 rule\n");
	r = run(&command_lifecycle, dir, BAD, "lint", "-", END);
	assert_int_equal(r->code, CTL_PROBLEMS);
	r = run(&command_lifecycle, dir, "", "lint", "-", END);
	assert_int_equal(r->code, CTL_PROBLEMS);
}

static void
every_file_is_judged_whatever_the_others_are(void **state)
{
	char good[128], bad[128];
	const struct ran *r;

	(void)state;
	files_put();
	(void)snprintf(good, sizeof(good), "%s", path_of("good"));
	(void)snprintf(bad, sizeof(bad), "%s", path_of("bad"));
	r = run(&command_lifecycle, dir, "", "lint", bad, good, END);
	assert_int_equal(r->code, CTL_PROBLEMS);
	assert_said(r->out, "/bad: ");
	assert_said(r->out, "/good: 1 rule\n");
	r = run(&command_lifecycle, dir, "", "lint", bad, "/nonexistent", good,
	    END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "/nonexistent");
	assert_said(r->out, "/good: 1 rule\n");
}

static void
lint_is_json_for_programs(void **state)
{
	const struct ran *r;
	const json_t *one;
	json_t *doc;

	(void)state;
	r = run(&command_lifecycle, dir, EXTENDED, "lint", "-", "--output=json",
	    END);
	assert_int_equal(r->code, CTL_PROBLEMS);
	doc = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(doc), 1);
	one = json_array_get(doc, 0);
	assert_string_equal(
	    json_string_value(json_object_get(one, "file")), "-");
	assert_true(json_is_false(json_object_get(one, "valid")));
	assert_true(json_is_true(json_object_get(one, "needs_extensions")));
	assert_true(json_is_string(json_object_get(one, "why")));
	json_decref(doc);
	r = run(
	    &command_lifecycle, dir, GOOD, "--output=json", "lint", "-", END);
	assert_string_equal(r->out,
	    "[{\"file\":\"-\",\"valid\":true,\"rules\":1,"
	    "\"needs_extensions\":false,\"why\":null}]\n");
}

/* Spaces mean nothing in a policy, but ECR counts them. */
static void
a_policy_that_nobody_could_set_is_none(void **state)
{
	size_t n = strlen(GOOD);
	char *text = xcalloc(1, 42293 + 1);
	const struct ran *r;

	(void)state;
	memset(text, ' ', 42293);
	memcpy(text, GOOD, n);
	r = run(&command_lifecycle, dir, text, "lint", "-", END);
	assert_int_equal(r->code, CTL_PROBLEMS);
	assert_said(r->out, "from 100 to 30720 characters");
	text[30720] = '\0';
	r = run(&command_lifecycle, dir, text, "lint", "-", END);
	assert_int_equal(r->code, CTL_OK);
	free(text);
}

static void
what_lies_behind_a_nul_is_of_the_file(void **state)
{
	static const char text[] = GOOD "\0{";
	const struct ran *r;
	FILE *f;

	(void)state;
	f = fopen(path_of("bad"), "we");
	assert_non_null(f);
	assert_int_equal(
	    fwrite(text, 1, sizeof(text) - 1, f), sizeof(text) - 1);
	assert_int_equal(fclose(f), 0);
	r = run(&command_lifecycle, dir, "", "lint", path_of("bad"), END);
	assert_int_equal(r->code, CTL_PROBLEMS);
}

static void
the_name_of_a_file_moves_no_cursor(void **state)
{
	const struct ran *r;

	(void)state;
	file_put(path_of("a\x1b[2J"), GOOD);
	r = run(&command_lifecycle, dir, "", "lint", path_of("a\x1b[2J"), END);
	(void)unlink(path_of("a\x1b[2J"));
	assert_int_equal(r->code, CTL_OK);
	assert_non_null(strstr(r->out, "a\\x1b[2J: 1 rule\n"));
}

/* --- run ----------------------------------------------------------------- */

#define JOB(state) "\"id\":\"j1\",\"state\":\"" state "\",\"duration_ms\":1500"
#define TOTALS(failed) \
	",\"repositories\":2,\"repositories_total\":2,\"totals\":{" \
	"\"images\":10,\"expired\":4,\"archived\":1,\"held\":2," \
	"\"changed\":3,\"failed\":" failed "}"
#define RESULT(name, outcome, why) \
	"{\"repository\":\"" name "\",\"outcome\":\"" outcome "\"," \
	"\"images\":5,\"expired\":12,\"archived\":1,\"held\":1,\"changed\":0," \
	"\"why\":" why "}"
#define RUN_OF_ALL "POST /control/lifecycle/run HTTP"
#define STARTED "{" JOB("running") ",\"joined\":false}"

static void
a_run_shows_all_of_a_list_that_comes_in_pieces(void **state)
{
	static const struct stub_turn turns[] = {
		{ RUN_OF_ALL, 202, STARTED },
		{ "GET /control/jobs/j1?since=0 ", 200,
		    "{" JOB("running") ",\"results\":[" RESULT(
			"a", "done", "null") "]}" },
		{ "GET /control/jobs/j1?since=1 ", 200,
		    "{" JOB("done")
			TOTALS("0") ",\"results\":[" RESULT("b\\u001b[2J/c",
			    "stopped", "\"it was changed\"") "]}" },
		{ "GET /control/jobs/j1?since=2 ", 200,
		    "{" JOB("done") TOTALS("0") ",\"results\":[]}" },
		{ NULL },
	};
	const struct ran *r;
	json_t *doc;

	(void)state;
	r = RAN_WITH(turns, "run");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->err, "");
	assert_string_equal(r->out,
	    "REPOSITORY  OUTCOME  IMAGES  EXPIRED  ARCHIVED  HELD  CHANGED  "
	    "WHY\n"
	    "a           done          5       12         1     1        0  "
	    "-\n"
	    "b\\x1b[2J/c  stopped       5       12         1     1        0  "
	    "it was changed\n"
	    "2 of 2 policies carried out in 1.5 s: of 10 images 4 expired, 1 "
	    "archived\n"
	    "2 more when the indexes that need them are gone\n"
	    "3 changed meanwhile and are left to the next run\n");
	r = RAN_WITH(turns, "run", "--output=json");
	doc = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(doc, "results")), 2);
	assert_true(json_is_false(json_object_get(doc, "joined")));
	json_decref(doc);
}

static void
a_run_of_nothing_says_so(void **state)
{
	static const struct stub_turn turns[] = {
		{ RUN_OF_ALL, 202, STARTED },
		{ "GET /control/jobs/j1?since=0 ", 200,
		    "{" JOB("done") ",\"results\":[]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "run");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, "no repository has a lifecycle policy\n");
}

static void
a_policy_that_could_not_be_carried_out_is_exit_1(void **state)
{
	static const struct stub_turn turns[] = {
		{ "POST /control/lifecycle/run?repository=team%2Fapp HTTP", 202,
		    STARTED },
		{ "GET /control/jobs/j1?since=0 ", 200,
		    "{" JOB("done") TOTALS("1") ",\"results\":[]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "run", "--repository", "team/app");
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "1 policy could not be carried out");
}

static void
a_run_that_has_no_end_says_why_once(void **state)
{
	static const struct {
		const char *answer, *said;
	} rows[] = {
		{ "{" JOB("failed") ",\"error\":\"disk full\",\"results\":[]}",
		    "the run did not get to its end: disk full\n" },
		{ "{" JOB("cancelled") ",\"results\":[]}",
		    "the run did not get to its end: cancelled\n" },
	};
	struct stub_turn turns[] = {
		{ RUN_OF_ALL, 202, STARTED },
		{ "GET /control/jobs/j1?since=0 ", 200, NULL },
		{ NULL },
	};
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		turns[1].answer = rows[i].answer;
		r = RAN_WITH(turns, "run");
		assert_int_equal(r->code, CTL_FAILED);
		assert_said(r->err, rows[i].said);
		r = RAN_WITH(turns, "run", "--output=json");
		assert_int_equal(r->code, CTL_FAILED);
		assert_said(r->out, "\"state\"");
	}
}

static void
a_policy_that_was_not_carried_out_to_the_end_is_exit_1(void **state)
{
	static const struct stub_turn turns[] = {
		{ RUN_OF_ALL, 202, STARTED },
		{ "GET /control/jobs/j1?since=0 ", 200,
		    "{" JOB("done")
			TOTALS("0,\"stopped\":1") ",\"results\":[" RESULT("a",
			    "stopped", "\"the policy was changed\"") "]}" },
		{ "GET /control/jobs/j1?since=1 ", 200,
		    "{" JOB("done")
			TOTALS("0,\"stopped\":1") ",\"results\":[]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "run");
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->out, "1 of 2 policies carried out");
	assert_said(r->err, "1 policy was not carried out to the end");
}

static void
whoever_joins_a_run_is_told(void **state)
{
	static const struct stub_turn turns[] = {
		{ RUN_OF_ALL, 202, "{" JOB("running") ",\"joined\":true}" },
		{ "GET /control/jobs/j1?since=0 ", 200,
		    "{" JOB("done") TOTALS("0") ",\"results\":[]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "run");
	assert_int_equal(r->code, CTL_OK);
	assert_said(r->err, "joined the run that is running");
	r = RAN_WITH(turns, "run", "--output=json");
	assert_string_equal(r->err, "");
	assert_said(r->out, "\"joined\":true");
}

static void
what_the_server_refuses_is_said_and_exit_1(void **state)
{
	static const struct stub_turn turns[] = {
		{ RUN_OF_ALL, 409,
		    "{\"errors\":[{\"message\":\"16 runs wait\"}]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "run");
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->err, "registryctl: 16 runs wait\n");
	assert_string_equal(r->out, "");
}

/* --- preview ------------------------------------------------------------- */

#define LINE(change, rule, bytes, tags) \
	"{\"digest\":\"sha256:0\",\"tags\":[" tags "],\"action\":\"expire\"," \
	"\"rule\":" rule ",\"pushed\":\"2026-01-31T12:00:00.000Z\"," \
	"\"bytes\":" bytes ",\"change\":\"" change "\"}"
#define SUMS \
	",\"sums\":{\"images\":7,\"expiring\":3,\"transitioning\":0," \
	"\"held\":0,\"added\":2,\"removed\":1,\"altered\":0}"
#define PREVIEW "POST /control/lifecycle/preview?repository=a%2Fb HTTP"

static const struct stub_turn previewed[] = {
	{ PREVIEW, 202, STARTED },
	{ "GET /control/jobs/j1?since=0 ", 200,
	    "{" JOB("done") SUMS ",\"lines\":[" LINE(" ", "2", "1536",
		"\"v1\",\"x\\u001b\"") "," LINE(" ", "10", "7", "") "]}" },
	{ "GET /control/jobs/j1?since=2 ", 200,
	    "{" JOB("done") SUMS ",\"lines_dropped\":4,\"lines\":[" LINE(
		" ", "2", "512", "\"v2\"") "]}" },
	{ "GET /control/jobs/j1?since=3 ", 200,
	    "{" JOB("done") SUMS ",\"lines_dropped\":4,\"lines\":[]}" },
	{ NULL },
};

#define RULES_SHOWN \
	"RULE  ACTION  IMAGES     SIZE\n" \
	"   2  expire       2  2.0 KiB\n" \
	"  10  expire       1      7 B\n" \
	"(and 4 images that are in none of the above: too many to be " \
	"listed)\n" \
	"\n" \
	"of 7 images 3 would expire, 0 be archived\n"

static void
a_preview_is_aligned_and_summed_up_by_rule(void **state)
{
	const struct ran *r;

	(void)state;
	r = RAN_WITH(previewed, "preview", "a/b");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out,
	    "ACTION  RULE  PUSHED                       SIZE  DIGEST    TAGS\n"
	    "expire     2  2026-01-31T12:00:00.000Z  1.5 KiB  sha256:0  "
	    "v1, x\\x1b\n"
	    "expire    10  2026-01-31T12:00:00.000Z      7 B  sha256:0  -\n"
	    "expire     2  2026-01-31T12:00:00.000Z    512 B  sha256:0  v2\n"
	    "\n" RULES_SHOWN);
	assert_string_equal(server.posted, "{}");
	r = RAN_WITH(previewed, "preview", "a/b", "--summary");
	assert_string_equal(r->out, RULES_SHOWN);
}

static void
a_preview_is_json_for_programs(void **state)
{
	const struct ran *r;
	json_t *doc;

	(void)state;
	r = RAN_WITH(previewed, "preview", "a/b", "--output=json");
	doc = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(doc, "lines")), 3);
	assert_int_equal(json_array_size(json_object_get(doc, "rules")), 2);
	json_decref(doc);
	r = RAN_WITH(previewed, "preview", "a/b", "--output=json", "--summary");
	doc = json_loads(r->out, 0, NULL);
	assert_null(json_object_get(doc, "lines"));
	assert_int_equal(json_array_size(json_object_get(doc, "rules")), 2);
	json_decref(doc);
}

static void
two_policies_are_compared_in_the_first_column(void **state)
{
	static const struct stub_turn turns[] = {
		{ PREVIEW, 202, STARTED },
		{ "GET /control/jobs/j1?since=0 ", 200,
		    "{" JOB("done") SUMS ",\"lines\":[" LINE("+", "1", "1",
			"\"v1\"") "," LINE("-", "1", "1", "\"v2\"") "]}" },
		{ "GET /control/jobs/j1?since=2 ", 200,
		    "{" JOB("done") SUMS ",\"lines\":[]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	files_put();
	r = RAN_WITH(
	    turns, "preview", "a/b", "--diff", "--policy", path_of("good"));
	assert_int_equal(r->code, CTL_OK);
	assert_non_null(strstr(r->out, "\n+  expire"));
	assert_non_null(strstr(r->out, "\n-  expire"));
	/* Each in a sum of its own. */
	assert_non_null(strstr(r->out, "\n+     1  expire       1"));
	assert_non_null(strstr(r->out, "\n-     1  expire       1"));
	assert_said(r->out, "2 more (+), 1 fewer (-), 0 by another rule (~)");
}

static void
the_policies_of_files_are_sent_as_they_are(void **state)
{
	char good[128];
	const struct ran *r;
	json_t *body;

	(void)state;
	files_put();
	(void)snprintf(good, sizeof(good), "%s", path_of("good"));
	r = RAN_WITH(previewed, "preview", "a/b", "--extensions", "--policy",
	    good, "--against", path_of("extended"));
	assert_int_equal(r->code, CTL_OK);
	body = json_loads(server.posted, 0, NULL);
	assert_string_equal(
	    json_string_value(json_object_get(body, "policy")), GOOD);
	assert_string_equal(
	    json_string_value(json_object_get(body, "against")), EXTENDED);
	assert_true(json_is_true(json_object_get(body, "extensions")));
	json_decref(body);
	r = RAN_WITH(previewed, "preview", "a/b", "--policy", good, "--diff");
	assert_int_equal(r->code, CTL_OK);
	body = json_loads(server.posted, 0, NULL);
	assert_string_equal(
	    json_string_value(json_object_get(body, "against")), "");
	json_decref(body);
}

static void
no_text_is_not_taken_for_the_policy_that_is_there(void **state)
{
	static const struct stub_turn none[] = { { NULL } };
	const struct ran *r;

	(void)state;
	r = RAN_WITH(none, "preview", "a/b", "--policy=/dev/null");
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "/dev/null is empty");
	r = RAN_WITH(none, "preview", "a/b", "--policy=/nonexistent");
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "/nonexistent");
	file_put(path_of("bad"), "\xff");
	r = RAN_WITH(none, "preview", "a/b", "--policy", path_of("bad"));
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "not UTF-8");
}

static void
a_preview_that_fails_shows_no_part_of_it(void **state)
{
	static const struct stub_turn turns[] = {
		{ PREVIEW, 202, STARTED },
		{ "GET /control/jobs/j1?since=0 ", 200,
		    "{" JOB("failed") ",\"error\":\"it is "
				      "gone\",\"lines\":[" LINE(
					  " ", "1", "1", "") "]}" },
		{ "GET /control/jobs/j1?since=1 ", 200,
		    "{" JOB("failed") ",\"error\":\"it is gone\","
				      "\"lines\":[]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "preview", "a/b");
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "the preview did not get to its end: it is gone\n");
	assert_string_equal(r->out, "");
}

/* --- status -------------------------------------------------------------- */

#define SCHEDULE(interval, window) \
	"\"interval_ms\":" interval ",\"window\":\"" window "\"," \
	"\"extensions\":true,\"running\":\"r\\u009b1m\""
#define STATUS "GET /control/lifecycle/status"

static const struct stub_turn pages[] = {
	{ STATUS " ", 200,
	    "{" SCHEDULE(
		"5400000", "01:00-05:00") ",\"policies\":[{"
					  "\"repository\":\"a\",\"has_policy\":"
					  "true,\"next\":\"soon\","
					  "\"last\":{\"started\":\"then\","
					  "\"outcome\":\"done\","
					  "\"expired\":3,\"archived\":0,"
					  "\"why\":null}}],\"more\":true,"
					  "\"last\":\"a b\"}" },
	{ STATUS "?after=a%20b ", 200,
	    "{" SCHEDULE(
		"5400000", "01:00-05:00") ",\"policies\":[{"
					  "\"repository\":\"c\\u007f\",\"has_"
					  "policy\":true,"
					  "\"next\":null,\"last\":null}],"
					  "\"more\":false,\"last\":null}" },
	{ NULL },
};

static void
the_status_is_one_table_of_all_pages(void **state)
{
	const struct ran *r;
	json_t *doc;

	(void)state;
	r = RAN_WITH(pages, "status");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out,
	    "every 1 h 30 min, between 01:00-05:00, with extensions\n"
	    "running now: r\\xc2\\x9b1m\n"
	    "REPOSITORY  LAST RUN  OUTCOME  EXPIRED  ARCHIVED  NEXT RUN  WHY\n"
	    "a           then      done           3         0  soon      -\n"
	    "c\\x7f       -         -              -         -  -         "
	    "-\n");
	r = RAN_WITH(pages, "status", "--output=json");
	doc = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(doc, "policies")), 2);
	assert_null(json_object_get(doc, "more"));
	assert_null(json_object_get(doc, "last"));
	json_decref(doc);
}

static void
the_status_says_when_nothing_is_carried_out_by_itself(void **state)
{
	static const struct stub_turn turns[] = {
		{ STATUS "?repository=a ", 200,
		    "{\"interval_ms\":0,\"window\":\"\",\"policies\":[{"
		    "\"repository\":\"a\",\"has_policy\":false,\"last\":null}]"
		    ",\"more\":false,\"last\":null}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "status", "--repository=a");
	assert_int_equal(r->code, CTL_OK);
	assert_said(r->out, "lifecycle.interval is 0");
	assert_said(r->out, "it has no lifecycle policy");
}

static void
half_a_status_is_none(void **state)
{
	static const struct stub_turn turns[] = {
		{ STATUS " ", 200,
		    "{\"policies\":[{\"repository\":\"a\"}],\"more\":true,"
		    "\"last\":\"a\"}" },
		{ STATUS "?after=a ", 503, "" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, "status");
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->out, "");
	assert_said(r->err, "503");
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
	static const char *const files[] = { "good", "bad", "extended" };
	size_t i;

	(void)state;
	stub_stop(&server);
	for (i = 0; i < ARRAY_LEN(files); i++)
		(void)unlink(path_of(files[i]));
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_command_line_says_so_and_is_exit_2),
		cmocka_unit_test(the_help_names_every_option_and_exit),
		cmocka_unit_test(
		    a_policy_is_told_from_what_is_none_by_the_exit),
		cmocka_unit_test(a_policy_comes_from_standard_input),
		cmocka_unit_test(every_file_is_judged_whatever_the_others_are),
		cmocka_unit_test(lint_is_json_for_programs),
		cmocka_unit_test(a_policy_that_nobody_could_set_is_none),
		cmocka_unit_test(
		    a_policy_that_was_not_carried_out_to_the_end_is_exit_1),
		cmocka_unit_test(what_lies_behind_a_nul_is_of_the_file),
		cmocka_unit_test(the_name_of_a_file_moves_no_cursor),
		cmocka_unit_test(
		    a_run_shows_all_of_a_list_that_comes_in_pieces),
		cmocka_unit_test(a_run_of_nothing_says_so),
		cmocka_unit_test(
		    a_policy_that_could_not_be_carried_out_is_exit_1),
		cmocka_unit_test(a_run_that_has_no_end_says_why_once),
		cmocka_unit_test(whoever_joins_a_run_is_told),
		cmocka_unit_test(what_the_server_refuses_is_said_and_exit_1),
		cmocka_unit_test(a_preview_is_aligned_and_summed_up_by_rule),
		cmocka_unit_test(a_preview_is_json_for_programs),
		cmocka_unit_test(two_policies_are_compared_in_the_first_column),
		cmocka_unit_test(the_policies_of_files_are_sent_as_they_are),
		cmocka_unit_test(
		    no_text_is_not_taken_for_the_policy_that_is_there),
		cmocka_unit_test(a_preview_that_fails_shows_no_part_of_it),
		cmocka_unit_test(the_status_is_one_table_of_all_pages),
		cmocka_unit_test(
		    the_status_says_when_nothing_is_carried_out_by_itself),
		cmocka_unit_test(half_a_status_is_none),
	};

	return (
	    cmocka_run_group_tests_name("lifecycle", tests, setup, teardown));
}
