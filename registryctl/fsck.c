#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "registryctl/client.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/print.h"
#include "storage/fsck_job.h"

/*
 * registryctl fsck: check a registry, in the server that serves it or, where
 * none runs, here.  Either way the check is a job that is asked for its state
 * (fsck_job_json) until it has ended, so that all below does not care where it
 * runs.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] fsck [OPTION]...\n"
    "Check a registry: read every record and hold it against the others, and\n"
    "hash every blob again. Works beside a running server, which does the\n"
    "check then, and on the folder where none runs.\n"
    "\n"
    "  --repair       set damaged content aside (DIR/quarantine; a new push\n"
    "                 brings it back), remove records that refer to nothing,\n"
    "                 make indexes and counts anew\n"
    "  --no-content   check the records only, hash nothing\n"
    "  --rate SIZE    hash at most so many bytes each second (100MiB)\n"
    "\n"
    "Exit status: 0 all is well, 3 problems were found (also when they were\n"
    "repaired), 1 the check failed, 2 wrong usage.\n";

/* Often at first, so that a small check is not waited for. */
#define POLL_FIRST_MS 20
#define POLL_MAX_MS 1000
#define CALL_PATH_BYTES 160

/* --- where the check runs ------------------------------------------------ */

struct check {
	struct client *client; /* in the server, or ... */
	struct store *store;   /* ... here */
	struct fsck_job *job;
	char id[FSCK_JOB_ID_BYTES];
	bool joined; /* somebody else had begun it */
	char why[CLIENT_WHY_BYTES];
};

static enum rc
begin_in_server(struct check *k, const struct fsck_job_options *o)
{
	char path[CALL_PATH_BYTES];
	const char *id;
	json_t *doc;
	enum rc rc;

	(void)snprintf(path, sizeof(path),
	    "/control/fsck?repair=%s&content=%s&rate=%" PRIu64,
	    o->repair ? "true" : "false", o->skip_content ? "false" : "true",
	    o->bytes_per_s);
	rc = client_call(k->client, "POST", path, NULL, k->why, &doc);
	if (rc != RC_OK)
		return (rc);
	id = json_string_value(json_object_get(doc, "id"));
	if (id != NULL && strlen(id) < sizeof(k->id))
		memcpy(k->id, id, strlen(id) + 1);
	k->joined = json_is_true(json_object_get(doc, "joined"));
	json_decref(doc);
	return (RC_OK);
}

static enum rc
begin_here(struct check *k, const char *data, const struct fsck_job_options *o)
{
	enum rc rc;

	rc = folder_open(data, !o->repair, k->why, &k->store);
	if (rc != RC_OK)
		return (rc);
	rc = fsck_job_start(k->store, o, &k->job);
	if (rc != RC_OK)
		(void)snprintf(k->why, sizeof(k->why),
		    "cannot start a thread: %s", rc_text(rc));
	return (rc);
}

static enum rc
check_begin(struct check *k, const char *data, const struct fsck_job_options *o)
{
	enum rc rc;

	rc = client_open(data, k->why, &k->client);
	if (rc == RC_NOTFOUND)
		return (begin_here(k, data, o));
	return (rc == RC_OK ? begin_in_server(k, o) : rc);
}

/* The state of the job, with the problems from number ${since} on. */
static enum rc
check_look(struct check *k, uint64_t since, json_t **doc_r)
{
	char path[CALL_PATH_BYTES], wrong[JSON_ERROR_BYTES];
	struct buf text;
	enum rc rc;

	if (k->client != NULL) {
		(void)snprintf(path, sizeof(path),
		    "/control/jobs/%s?since=%" PRIu64, k->id, since);
		return (
		    client_call(k->client, "GET", path, NULL, k->why, doc_r));
	}
	buf_init(&text, SIZE_MAX);
	buf_char(&text, '{');
	fsck_job_json(k->job, since, &text);
	buf_char(&text, '}');
	rc = json_read(buf_as_span(&text), wrong, doc_r);
	must(rc == RC_OK);
	buf_free(&text);
	return (RC_OK);
}

static void
check_cancel(struct check *k)
{
	char path[CALL_PATH_BYTES];
	json_t *doc;

	if (k->client == NULL) {
		fsck_job_cancel(k->job);
		return;
	}
	(void)snprintf(path, sizeof(path), "/control/jobs/%s", k->id);
	if (client_call(k->client, "DELETE", path, NULL, k->why, &doc) != RC_OK)
		ctl_say("cannot cancel the check: %s", k->why);
	else
		json_decref(doc);
}

static void
check_end(struct check *k)
{
	fsck_job_free(&k->job);
	store_close(&k->store);
	client_close(&k->client);
}

/* --- what is shown ------------------------------------------------------- */

static void
progress_show(const json_t *job)
{
	const json_t *p = json_object_get(job, "progress");
	uint64_t done = print_u64(p, "bytes");
	uint64_t total = print_u64(p, "bytes_total");
	char a[PRINT_BYTES_ROOM], b[PRINT_BYTES_ROOM];

	(void)fprintf(stderr,
	    "\r\033[K%llu records, %llu of %llu blobs, %s of %s, %llu problems",
	    (unsigned long long)print_u64(p, "records"),
	    (unsigned long long)print_u64(p, "blobs"),
	    (unsigned long long)print_u64(p, "blobs_total"),
	    print_bytes(done, a), print_bytes(total, b),
	    (unsigned long long)print_u64(p, "problems"));
	(void)fflush(stderr);
}

static void
progress_clear(void)
{
	(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
}

static void
problems_show(const json_t *problems)
{
	const char *text;
	json_t *one;
	size_t i;

	json_array_foreach(problems, i, one)
	{
		text = json_string_value(json_object_get(one, "text"));
		(void)printf(
		    "%s: ", json_string_value(json_object_get(one, "kind")));
		print_text(text != NULL ? text : "");
		(void)puts(json_is_true(json_object_get(one, "repaired"))
			       ? " (repaired)"
			       : "");
	}
}

static void
plural_show(uint64_t n, const char *what)
{
	(void)printf(
	    "%llu %s%s", (unsigned long long)n, what, n == 1 ? "" : "s");
}

static bool
job_is(const json_t *job, const char *state)
{
	const char *is = json_string_value(json_object_get(job, "state"));

	return (is != NULL && strcmp(is, state) == 0);
}

/* Of a check that did not get to its end nobody can say that all is well. */
static void
result_show(const json_t *job, const json_t *progress)
{
	uint64_t problems = print_u64(progress, "problems");

	if (problems == 0) {
		(void)puts(
		    job_is(job, "done") ? "no problems" : "no problems so far");
		return;
	}
	plural_show(problems, "problem");
	(void)printf(", %llu repaired\n",
	    (unsigned long long)print_u64(progress, "repaired"));
	if (!json_is_true(json_object_get(job, "repair")))
		(void)puts("fsck --repair sets damaged content aside and "
			   "mends the records");
}

static void
summary_show(const json_t *job)
{
	const json_t *p = json_object_get(job, "progress");
	uint64_t dropped = print_u64(job, "problems_dropped");
	uint64_t orphans = print_u64(p, "orphan_files");
	char room[PRINT_BYTES_ROOM];

	if (dropped > 0)
		(void)printf("(%llu more)\n", (unsigned long long)dropped);
	plural_show(print_u64(p, "records"), "record");
	(void)printf(" and ");
	plural_show(print_u64(p, "blobs"), "blob");
	(void)printf(" (%s) checked in %.1f s: ",
	    print_bytes(print_u64(p, "bytes"), room),
	    (double)print_u64(job, "duration_ms") / 1000);
	result_show(job, p);
	if (orphans == 0)
		return;
	plural_show(orphans, "file");
	(void)printf(" (%s) that no record knows; that does no harm\n",
	    print_bytes(print_u64(p, "orphan_bytes"), room));
}

/* --- the watch ----------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void
interrupts_catch(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt,
		.sa_flags = (int)SA_RESETHAND };

	must(sigaction(SIGINT, &sa, NULL) == 0);
	must(sigaction(SIGTERM, &sa, NULL) == 0);
}

/* Whoever only joined leaves the check to the one who began it. */
static bool
interrupt_take(struct check *k)
{
	interrupted = 0;
	if (k->joined) {
		ctl_say("the check goes on in the server");
		return (false);
	}
	check_cancel(k);
	return (true);
}

/* Show what is new, and keep all problems seen for the end. */
static void
news_take(const struct ctl *ctl, json_t *job, json_t *problems, bool live)
{
	json_t *fresh = json_object_get(job, "problems");

	must(json_array_extend(problems, fresh) == 0);
	if (ctl->output != CTL_TEXT)
		return;
	if (live)
		progress_clear();
	problems_show(fresh);
	(void)fflush(stdout);
}

/* Wait, and say how long to wait the next time. */
static long
pause_take(long ms)
{
	const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&pause, NULL);
	return (ms * 2 < POLL_MAX_MS ? ms * 2 : POLL_MAX_MS);
}

/* The job as it ended, with all of its problems; NULL: ${k} says why. */
static json_t *
check_watch(struct check *k, const struct ctl *ctl)
{
	bool live = ctl->output == CTL_TEXT && isatty(STDERR_FILENO);
	json_t *job = NULL, *problems = json_array();
	long pause_ms = POLL_FIRST_MS;

	for (;;) {
		if (interrupted && !interrupt_take(k))
			goto err0;
		if (check_look(k, json_array_size(problems), &job) != RC_OK)
			goto err0;
		news_take(ctl, job, problems, live);
		if (!job_is(job, "running"))
			break;
		if (live)
			progress_show(job);
		json_decref(job);
		pause_ms = pause_take(pause_ms);
	}
	must(json_object_set_new(job, "problems", problems) == 0);
	return (job);
err0:
	if (live)
		progress_clear();
	json_decref(problems);
	return (NULL);
}

static enum ctl_exit
job_code(const json_t *job)
{
	const char *error = json_string_value(json_object_get(job, "error"));
	const json_t *p = json_object_get(job, "progress");

	if (!job_is(job, "done")) {
		ctl_say("the check did not get to its end: %s",
		    error != NULL ? error : "unknown state");
		return (CTL_FAILED);
	}
	return (print_u64(p, "problems") > 0 ? CTL_PROBLEMS : CTL_OK);
}

static enum ctl_exit
check_run(struct ctl *ctl, const struct fsck_job_options *o)
{
	struct check k = { .why = "" };
	enum ctl_exit code = CTL_FAILED, shown = CTL_OK;
	json_t *job = NULL;

	if (check_begin(&k, ctl->data, o) == RC_OK) {
		if (k.joined)
			ctl_say("joined the check that is running");
		job = check_watch(&k, ctl);
	}
	if (job == NULL) {
		if (k.why[0] != '\0')
			ctl_say("%s", k.why);
	} else {
		if (ctl->output == CTL_JSON)
			shown = print_json(job);
		else
			summary_show(job);
		code = job_code(job);
		if (print_done(shown) != CTL_OK)
			code = CTL_FAILED;
	}
	json_decref(job);
	check_end(&k);
	return (code);
}

/* --- the command --------------------------------------------------------- */

enum own_code { OPT_REPAIR = 256, OPT_NO_CONTENT, OPT_RATE };

static const struct option own[] = {
	{ "repair", no_argument, NULL, OPT_REPAIR },
	{ "no-content", no_argument, NULL, OPT_NO_CONTENT },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ NULL, 0, NULL, 0 },
};

static enum ctl_exit
fsck_command(struct ctl *ctl, int argc, char **argv)
{
	struct fsck_job_options o = { 0 };
	int code;

	while ((code = ctl_option(ctl, argc, argv, own)) != -1) {
		if (code == OPT_REPAIR)
			o.repair = true;
		else if (code == OPT_NO_CONTENT)
			o.skip_content = true;
		else if (num_size_bytes(span_of(optarg), &o.bytes_per_s) !=
			     RC_OK ||
			 o.bytes_per_s == 0)
			ctl_usage(ctl,
			    "--rate: \"%s\" must be a size such as 100MiB",
			    optarg);
	}
	ctl_no_arguments(ctl, argc, argv);
	ctl_needs_data(ctl);
	interrupts_catch();
	return (check_run(ctl, &o));
}

const struct command command_fsck = {
	.name = "fsck",
	.title = "fsck",
	.summary = "check all records and content, and repair them",
	.help = help,
	.run = fsck_command,
};
