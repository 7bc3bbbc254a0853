#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/obj.h"
#include "ctl_tools.h"
#include "storage/store.h"

/*
 * registryctl gc, undelete, fsck and stats: jobs that are waited for, lists
 * that come in pages, and how all of it looks.
 */
static char dir[] = "/tmp/test-work-XXXXXX";
static struct stub server;

static const char *
path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return (path);
}

static void
assert_said(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	if (at == NULL || strstr(at + 1, what) != NULL)
		fail_msg("\"%s\" is not once in: %s", what, text);
}

/* With these turns of the server, all of which are to be taken. */
#define RAN_WITH(turns, command, ...) \
	(stub_expect(&server, turns), \
	    ran_well(run(command, dir, "", __VA_ARGS__, END)))

static const struct ran *
ran_well(const struct ran *r)
{
	if (!stub_satisfied(&server))
		fail_msg("turn %zu was not taken: %s", server.turn, r->err);
	return (r);
}

#define JOB(state) "\"id\":\"j1\",\"state\":\"" state "\",\"duration_ms\":1500"

/* --- command lines ------------------------------------------------------- */

static void
a_wrong_command_line_says_so_and_is_exit_2(void **state)
{
	static const struct {
		const struct command *command;
		const char *words[4];
		const char *said;
	} rows[] = {
		{ &command_gc, { "now" }, "\"now\"" },
		{ &command_gc, { "--dry-run=yes" }, "takes no value" },
		{ &command_gc, { "--endpoint=http://x" }, "--endpoint" },
		{ &command_undelete, { NULL }, "--list" },
		{ &command_undelete, { "a", "b", "c" }, "\"c\"" },
		{ &command_undelete, { "--list", "a", "b" }, "--list" },
		{ &command_undelete, { "--list", "--id=1" }, "--id says" },
		{ &command_undelete, { "a", "v1", "--id=1" }, "--id says" },
		{ &command_undelete, { "a", "--id=0" }, "no id" },
		{ &command_undelete, { "a", "--id=v1" }, "no id" },
		{ &command_undelete, { "--nonsense" }, "--nonsense" },
		{ &command_fsck, { "--rate=0" }, "--rate" },
		{ &command_fsck, { "x" }, "\"x\"" },
		{ &command_stats, { "x" }, "\"x\"" },
	};
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		r = run(rows[i].command, dir, "", rows[i].words[0],
		    rows[i].words[1], rows[i].words[2], END);
		if (r->code != CTL_USAGE ||
		    strstr(r->err, rows[i].said) == NULL)
			fail_msg("%zu: %d %s", i, r->code, r->err);
		assert_string_equal(r->out, "");
	}
}

static void
without_a_server_the_next_step_is_said(void **state)
{
	static const struct command *const commands[] = { &command_gc,
		&command_undelete, &command_lifecycle };
	static const char *const words[] = { NULL, "--list", "status" };
	const struct ran *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(commands); i++) {
		r = run(commands[i], "/nonexistent", "", words[i], END);
		assert_int_equal(r->code, CTL_FAILED);
		assert_said(r->err, "no registryd serves this folder; start");
	}
}

/* --- gc ------------------------------------------------------------------ */

#define GC "POST /control/gc HTTP"
#define LOOK "GET /control/jobs/j1?since=0 "
#define STARTED "{" JOB("running") ",\"joined\":false}"
#define JOINED "{" JOB("running") ",\"joined\":true}"
#define COLLECTED \
	"{" JOB("done") ",\"totals\":{\"links\":2,\"blobs\":1,\"bytes\":1536," \
			"\"uploads\":3,\"archived_blobs\":4," \
			"\"archived_from_bytes\":2048," \
			"\"archived_to_bytes\":512,\"waiting_blobs\":5," \
			"\"waiting_bytes\":10,\"database_bytes\":4096," \
			"\"database_free_bytes\":1024,\"settles_ms\":90500}}"

static void
a_collection_says_what_came_of_it(void **state)
{
	static const struct stub_turn turns[] = {
		{ GC, 202, STARTED },
		{ LOOK, 200, STARTED },
		{ LOOK, 200, COLLECTED },
		{ NULL },
	};
	const struct ran *r;
	json_t *doc;

	(void)state;
	r = RAN_WITH(turns, &command_gc, (char *)NULL);
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->err, "");
	assert_string_equal(r->out,
	    "reclaimed: 1 blob (1.5 KiB), 2 links of repositories\n"
	    "unfinished uploads           3\n"
	    "moved to the archive         4 (2.0 KiB, stored in 512 B)\n"
	    "blobs waiting for gc.grace   5 (10 B)\n"
	    "free inside of the database  1.0 KiB of 4.0 KiB\n"
	    "no content goes for another 1 min 31 s, one gc.grace from the "
	    "server's start on\n");
	r = RAN_WITH(turns, &command_gc, "--output=json");
	doc = json_loads(r->out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(doc, "totals"), "bytes")),
	    1536);
	json_decref(doc);
}

static void
a_dry_run_is_asked_for_and_said_to_be_one(void **state)
{
	static const struct stub_turn turns[] = {
		{ "POST /control/gc?dry-run=true HTTP", 202, STARTED },
		{ LOOK, 200, COLLECTED },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_gc, "--dry-run");
	assert_int_equal(r->code, CTL_OK);
	assert_said(r->out, "would be reclaimed: 1 blob ");
}

static void
an_interrupt_cancels_what_was_started_here(void **state)
{
	static const struct stub_turn turns[] = {
		{ GC, 202, STARTED },
		{ LOOK, 200, STARTED, .interrupt = true },
		{ "DELETE /control/jobs/j1 ", 200, "{}" },
		{ LOOK, 200, "{" JOB("cancelled") "}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_gc, (char *)NULL);
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(
	    r->err, "the collection did not get to its end: cancelled\n");
}

static void
an_interrupt_leaves_alone_what_others_started(void **state)
{
	static const struct stub_turn turns[] = {
		{ GC, 202, JOINED },
		{ LOOK, 200, STARTED, .interrupt = true },
		{ "DELETE /control/jobs/j1 ", 202, "{\"cancelled\":false}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_gc, (char *)NULL);
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "joined the collection that is running\n");
	assert_said(r->err, "the collection goes on in the server\n");
}

static void
an_interrupt_leaves_alone_what_others_joined(void **state)
{
	static const struct stub_turn turns[] = {
		{ GC, 202, STARTED },
		{ LOOK, 200, STARTED, .interrupt = true },
		{ "DELETE /control/jobs/j1 ", 202, "{\"cancelled\":false}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_gc, (char *)NULL);
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err,
	    "the collection goes on in the server: others wait for it\n");
}

static void
what_cannot_be_cancelled_is_waited_for(void **state)
{
	static const struct stub_turn turns[] = {
		{ GC, 202, STARTED },
		{ LOOK, 200, STARTED, .interrupt = true },
		{ "DELETE /control/jobs/j1 ", 503,
		    "{\"errors\":[{\"message\":\"not now\"}]}" },
		{ LOOK, 200, COLLECTED },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_gc, (char *)NULL);
	assert_int_equal(r->code, CTL_OK);
	assert_said(r->err, "cannot cancel the collection: not now\n");
}

static void
a_job_that_the_server_does_not_know_any_more_is_exit_1(void **state)
{
	static const struct stub_turn turns[] = {
		{ GC, 202, STARTED },
		{ LOOK, 404, "{\"errors\":[{\"message\":\"no such job\"}]}" },
		{ NULL },
	};
	static const struct stub_turn nameless[] = {
		{ GC, 202, "{}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_gc, (char *)NULL);
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->err, "registryctl: no such job\n");
	r = RAN_WITH(nameless, &command_gc, (char *)NULL);
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "does not say which job");
}

/* --- undelete ------------------------------------------------------------ */

#define DELETED(digest, tags, why, rule) \
	"{\"digest\":\"" digest "\",\"tags\":[" tags \
	"],\"deleted\":\"then\",\"until\":\"soon\",\"bytes\":1536," \
	"\"why\":\"" why "\",\"rule\":" rule "}"
#define IMAGES "GET /control/deleted?repository=a%2Fb"

static void
the_pages_of_deleted_images_are_one_table(void **state)
{
	static const struct stub_turn turns[] = {
		{ IMAGES " ", 200,
		    "{\"images\":[" DELETED("sha256:1", "\"v1\",\"x\\u0007\"",
			"lifecycle", "12") "],\"more\":true}" },
		{ IMAGES "&after=sha256%3A1 ", 200,
		    "{\"images\":[" DELETED("sha256:2", "", "request",
			"null") "],\"more\":false}" },
		{ NULL },
	};
	const struct ran *r;
	json_t *doc;

	(void)state;
	r = RAN_WITH(turns, &command_undelete, "--list", "a/b");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out,
	    "DELETED  UNTIL  BY         RULE     SIZE  DIGEST    TAGS\n"
	    "then     soon   lifecycle    12  1.5 KiB  sha256:1  v1, x\\x07\n"
	    "then     soon   request       -  1.5 KiB  sha256:2  -\n");
	r = RAN_WITH(
	    turns, &command_undelete, "a/b", "--output=json", "--list");
	doc = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(doc), 2);
	json_decref(doc);
}

#define REPOSITORIES "GET /control/deleted/repositories"

static void
the_pages_of_deleted_repositories_go_on_by_number(void **state)
{
	static const struct stub_turn turns[] = {
		{ REPOSITORIES " ", 200,
		    "{\"repositories\":[{\"name\":\"a\\u001b]0;b\",\"id\":7,"
		    "\"deleted\":\"then\",\"until\":\"soon\",\"images\":3}],"
		    "\"more\":true}" },
		{ REPOSITORIES "?after=7 ", 200,
		    "{\"repositories\":[{\"name\":\"c\",\"id\":9,\"deleted\":"
		    "\"then\",\"until\":\"soon\",\"images\":10}],"
		    "\"more\":false}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_undelete, "--list");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, "REPOSITORY  ID  DELETED  UNTIL  IMAGES\n"
				    "a\\x1b]0;b    7  then     soon        3\n"
				    "c            9  then     soon       10\n");
}

static void
an_empty_list_says_for_how_long_anything_is_kept(void **state)
{
	struct stub_turn turns[] = {
		{ REPOSITORIES " ", 200,
		    "{\"repositories\":[],\"more\":false}" },
		{ "GET /control/lifecycle/status?n=1 ", 200, NULL },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	turns[1].answer = "{\"undelete_window_ms\":0}";
	r = RAN_WITH(turns, &command_undelete, "--list");
	assert_int_equal(r->code, CTL_OK);
	assert_said(r->out, "lifecycle.undelete-window is 0");
	turns[1].answer = "{\"undelete_window_ms\":259200000}";
	r = RAN_WITH(turns, &command_undelete, "--list");
	assert_string_equal(
	    r->out, "no repositories were deleted in the last 3 d\n");
}

static void
half_a_list_is_none(void **state)
{
	static const struct stub_turn turns[] = {
		{ IMAGES " ", 200,
		    "{\"images\":[" DELETED(
			"sha256:1", "", "request", "null") "],\"more\":true}" },
		{ IMAGES "&after=sha256%3A1 ", 500, "" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_undelete, "--list", "a/b");
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->out, "");
}

static void
what_comes_back_is_said(void **state)
{
	static const struct stub_turn turns[] = {
		{ "POST /control/undelete?repository=a%2Fb&reference=v%201 ",
		    200,
		    "{\"repository\":\"a/b\",\"digest\":\"sha256:1\","
		    "\"tags\":[\"v1\",\"v2\"],\"taken\":[\"x\\u001b\"],"
		    "\"children\":2}" },
		{ NULL },
	};
	static const struct stub_turn whole[] = {
		{ "POST /control/undelete?repository=a%2Fb HTTP", 200,
		    "{\"repository\":\"a/b\",\"digest\":null,\"tags\":[],"
		    "\"taken\":[],\"children\":0}" },
		{ NULL },
	};
	static const struct stub_turn by_id[] = {
		{ "POST /control/undelete?repository=a%2Fb&id=7 HTTP", 200,
		    "{\"repository\":\"a/b\",\"digest\":null,\"tags\":[],"
		    "\"taken\":[],\"children\":0}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_undelete, "a/b", "v 1");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out,
	    "restored a/b@sha256:1\n"
	    "with the tags v1, v2\n"
	    "without tags that another image has by now: x\\x1b\n"
	    "and 2 images that it needs\n");
	r = RAN_WITH(by_id, &command_undelete, "a/b", "--id", "7");
	assert_int_equal(r->code, CTL_OK);
	assert_string_equal(r->out, "restored a/b\n");
	r = RAN_WITH(whole, &command_undelete, "a/b");
	assert_string_equal(r->out, "restored a/b\n");
}

static void
what_cannot_come_back_is_exit_1(void **state)
{
	static const struct stub_turn turns[] = {
		{ "POST /control/undelete?repository=a HTTP", 409,
		    "{\"errors\":[{\"message\":\"there is a repository "
		    "a\"}]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(turns, &command_undelete, "a");
	assert_int_equal(r->code, CTL_FAILED);
	assert_string_equal(r->err,
	    "registryctl: there is a repository a\n"
	    "registryctl: what can be restored: registryctl undelete "
	    "--list\n");
	assert_string_equal(r->out, "");
}

/* --- fsck ---------------------------------------------------------------- */

#define PROBLEM(text) \
	"{\"kind\":\"blob\",\"repaired\":false,\"text\":\"" text "\"}"
#define CHECKED(state, n) \
	JOB(state) \
	",\"repair\":false,\"progress\":{\"records\":1," \
	"\"blobs\":2,\"bytes\":1024,\"problems\":" n "}"
#define FSCK "POST /control/fsck?repair=false&content=true&rate=0 "

static void
problems_are_shown_once_each_as_they_come_and_exit_3(void **state)
{
	static const struct stub_turn turns[] = {
		{ FSCK, 202, STARTED },
		{ LOOK, 200,
		    "{" CHECKED("running", "1") ",\"problems\":[" PROBLEM(
			"one") "]}" },
		{ "GET /control/jobs/j1?since=1 ", 200,
		    "{" CHECKED("done", "2") ",\"problems\":[" PROBLEM(
			"two\\u001b") "]}" },
		{ "GET /control/jobs/j1?since=2 ", 200,
		    "{" CHECKED("done", "2") ",\"problems\":[]}" },
		{ NULL },
	};
	const struct ran *r;
	json_t *doc;

	(void)state;
	r = RAN_WITH(turns, &command_fsck, (char *)NULL);
	assert_int_equal(r->code, CTL_PROBLEMS);
	assert_string_equal(r->out,
	    "blob: one\n"
	    "blob: two\\x1b\n"
	    "1 record and 2 blobs (1.0 KiB) checked in 1.5 s: 2 problems, 0 "
	    "repaired\n"
	    "fsck --repair sets damaged content aside and mends the "
	    "records\n");
	r = RAN_WITH(turns, &command_fsck, "--output=json");
	assert_int_equal(r->code, CTL_PROBLEMS);
	doc = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(doc, "problems")), 2);
	json_decref(doc);
}

static void
a_check_that_was_cancelled_found_no_problems_so_far(void **state)
{
	static const struct stub_turn turns[] = {
		{ "POST /control/fsck?repair=true&content=false&rate=1024 ",
		    202, STARTED },
		{ LOOK, 200,
		    "{" CHECKED("cancelled", "0") ",\"error\":\"cancelled\","
						  "\"problems\":[]}" },
		{ NULL },
	};
	const struct ran *r;

	(void)state;
	r = RAN_WITH(
	    turns, &command_fsck, "--repair", "--no-content", "--rate=1KiB");
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->out, "no problems so far");
	assert_said(r->err, "the check did not get to its end: cancelled");
}

static void
folder_make(const char *path)
{
	const struct store_options options = {
		.dir = path,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = 8,
		.upload_lifetime_ms = INT64_MAX,
		.max_threads = 4,
	};
	char why[STORE_WHY_BYTES];
	struct store *store;

	if (store_open(&options, why, &store) != RC_OK)
		fail_msg("%s", why);
	store_close(&store);
}

static int
removed(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return (remove(path));
}

static void
a_folder_that_nobody_serves_is_checked_here(void **state)
{
	const struct ran *r;
	char data[128];

	(void)state;
	(void)snprintf(data, sizeof(data), "%s", path_of("data"));
	r = run(&command_fsck, data, "", END);
	assert_int_equal(r->code, CTL_FAILED);
	assert_said(r->err, "--data DIR");
	folder_make(data);
	r = run(&command_fsck, data, "", END);
	assert_int_equal(r->code, CTL_OK);
	assert_said(r->out, "no problems\n");
	r = run(&command_fsck, data, "", "--output=json", END);
	assert_int_equal(r->code, CTL_OK);
	assert_said(r->out, "\"state\":\"done\"");
	assert_int_equal(nftw(data, removed, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* --- stats --------------------------------------------------------------- */

static void
the_archive_deleted_images_and_idle_links_are_counted(void **state)
{
	static const struct stub_turn turns[] = {
		{ "GET /control/stats ", 200,
		    "{\"store\":{\"archived_blobs\":3,\"archived_bytes\":4096,"
		    "\"archived_stored_bytes\":1024,\"deleted_images\":5,"
		    "\"idle_links\":6},\"server\":{\"version\":\"1\","
		    "\"started\":\"then\"},\"gc\":{\"running\":false,"
		    "\"blobs\":7,\"bytes\":512,\"last\":\"now\"},"
		    "\"lifecycle\":{\"running\":\"a\\u001b\","
		    "\"expired\":8,\"archived\":9,\"last\":null}}" },
		{ NULL },
	};
	static const char *const lines[] = {
		"  deleted, restorable  5\n",
		"  in the archive       3 (4.0 KiB, stored in 1.0 KiB)\n",
		"  idle                 6\n",
		"server                 1, running since then\n",
		"last collection        now\n",
		"  blobs reclaimed      7 (512 B)\n",
		"last lifecycle run     running now: a\\x1b\n",
		"  images expired       8\n",
		"  images archived      9\n",
	};
	const struct ran *r;
	size_t i;

	(void)state;
	r = RAN_WITH(turns, &command_stats, (char *)NULL);
	assert_int_equal(r->code, CTL_OK);
	for (i = 0; i < ARRAY_LEN(lines); i++)
		assert_said(r->out, lines[i]);
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
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_command_line_says_so_and_is_exit_2),
		cmocka_unit_test(without_a_server_the_next_step_is_said),
		cmocka_unit_test(a_collection_says_what_came_of_it),
		cmocka_unit_test(a_dry_run_is_asked_for_and_said_to_be_one),
		cmocka_unit_test(an_interrupt_cancels_what_was_started_here),
		cmocka_unit_test(an_interrupt_leaves_alone_what_others_started),
		cmocka_unit_test(an_interrupt_leaves_alone_what_others_joined),
		cmocka_unit_test(what_cannot_be_cancelled_is_waited_for),
		cmocka_unit_test(
		    a_job_that_the_server_does_not_know_any_more_is_exit_1),
		cmocka_unit_test(the_pages_of_deleted_images_are_one_table),
		cmocka_unit_test(
		    the_pages_of_deleted_repositories_go_on_by_number),
		cmocka_unit_test(
		    an_empty_list_says_for_how_long_anything_is_kept),
		cmocka_unit_test(half_a_list_is_none),
		cmocka_unit_test(what_comes_back_is_said),
		cmocka_unit_test(what_cannot_come_back_is_exit_1),
		cmocka_unit_test(
		    problems_are_shown_once_each_as_they_come_and_exit_3),
		cmocka_unit_test(
		    a_check_that_was_cancelled_found_no_problems_so_far),
		cmocka_unit_test(a_folder_that_nobody_serves_is_checked_here),
		cmocka_unit_test(
		    the_archive_deleted_images_and_idle_links_are_counted),
	};

	return (cmocka_run_group_tests_name("work", tests, setup, teardown));
}
