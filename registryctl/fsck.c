#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/print.h"
#include "registryctl/work.h"
#include "storage/fsck_job.h"

/*
 * registryctl fsck: check a registry, in the server that serves it or, where
 * none runs, here.  Either way the check is a job (fsck_job_json) that work.h
 * waits for.
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
    "  --master-key-file FILE  where no server runs: the master key, without\n"
    "                 which encrypted content cannot be verified\n"
    "                 (REGISTRYD_MASTER_KEY_FILE, DIR/master.key)\n"
    "\n"
    "Exit status: 0 all is well, 3 problems were found (also when they were\n"
    "repaired), 1 the check failed, 2 wrong usage.\n";

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

/* Of a check that did not get to its end nobody can say that all is well. */
static void
result_show(const json_t *job, const json_t *progress)
{
	uint64_t problems = print_u64(progress, "problems");

	if (problems == 0) {
		(void)puts(
		    work_is_done(job) ? "no problems" : "no problems so far");
		return;
	}
	print_count(problems, "problem", "problems");
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
	uint64_t locked = print_u64(p, "locked_blobs");
	char room[PRINT_BYTES_ROOM];

	if (dropped > 0)
		(void)printf("(%llu more)\n", (unsigned long long)dropped);
	print_count(print_u64(p, "records"), "record", "records");
	(void)printf(" and ");
	print_count(print_u64(p, "blobs"), "blob", "blobs");
	(void)printf(" (%s) checked in %.1f s: ",
	    print_bytes(print_u64(p, "bytes"), room),
	    (double)print_u64(job, "duration_ms") / 1000);
	result_show(job, p);
	if (locked > 0) {
		print_count(locked, "blob", "blobs");
		(void)printf(" (%s) not verified: encrypted, and the key is "
			     "not here\n",
		    print_bytes(print_u64(p, "locked_bytes"), room));
	}
	if (orphans == 0)
		return;
	print_count(orphans, "file", "files");
	(void)printf(" (%s) that no record knows; that does no harm\n",
	    print_bytes(print_u64(p, "orphan_bytes"), room));
}

/* --- the check ----------------------------------------------------------- */

static const struct work_job check_job = {
	.list = "problems",
	.what = "the check",
	.progress = progress_show,
	.news = problems_show,
};

static json_t *
check_in_server(
    struct work *w, const struct ctl *ctl, const struct fsck_job_options *o)
{
	struct work_job j = check_job;
	json_t *job;
	char *path;

	path = xasprintf("/control/fsck?repair=%s&content=%s&rate=%" PRIu64,
	    o->repair ? "true" : "false", o->skip_content ? "false" : "true",
	    o->bytes_per_s);
	j.path = path;
	job = work_run(w, ctl, &j);
	free(path);
	return (job);
}

struct check {
	const char *data;
	const char *master_key_file; /* or NULL */
	const struct fsck_job_options *options;
	struct store *store;
	struct fsck_job *job;
};

static bool
check_begin(void *arg)
{
	struct check *k = arg;
	char why[STORE_WHY_BYTES];
	enum rc rc;

	rc = folder_open(k->data, !k->options->repair, why, &k->store);
	if (rc != RC_OK) {
		ctl_say("%s", why);
		return (false);
	}
	folder_keys(k->store, k->data, k->master_key_file);
	if ((rc = fsck_job_start(k->store, k->options, &k->job)) != RC_OK)
		ctl_say("cannot start a thread: %s", rc_text(rc));
	return (rc == RC_OK);
}

static json_t *
check_look(void *arg, uint64_t since)
{
	char wrong[JSON_ERROR_BYTES];
	struct check *k = arg;
	struct buf text;
	json_t *job;

	buf_init(&text, SIZE_MAX);
	buf_char(&text, '{');
	fsck_job_json(k->job, since, &text);
	buf_char(&text, '}');
	must(json_read(buf_as_span(&text), wrong, &job) == RC_OK);
	buf_free(&text);
	return (job);
}

static void
check_cancel(void *arg)
{
	struct check *k = arg;

	fsck_job_cancel(k->job);
}

static json_t *
check_here(const struct ctl *ctl, const struct fsck_job_options *o,
    const char *master_key_file)
{
	struct check k = { .data = ctl->data,
		.master_key_file = master_key_file,
		.options = o };
	const struct work_here here = {
		.begin = check_begin,
		.look = check_look,
		.cancel = check_cancel,
		.arg = &k,
	};
	json_t *job;

	job = work_run_here(&here, ctl, &check_job);
	fsck_job_free(&k.job);
	store_close(&k.store);
	return (job);
}

static enum ctl_exit
job_code(const json_t *job)
{
	enum ctl_exit code = work_code(job, check_job.what);
	const json_t *p = json_object_get(job, "progress");

	if (code == CTL_OK && print_u64(p, "problems") > 0)
		code = CTL_PROBLEMS;
	return (code);
}

static enum ctl_exit
check_show(const struct ctl *ctl, const json_t *job)
{
	enum ctl_exit code, shown = CTL_OK;

	if (ctl->output == CTL_JSON)
		shown = print_json(job);
	else
		summary_show(job);
	code = job_code(job);
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

static enum ctl_exit
check_run(struct ctl *ctl, const struct fsck_job_options *o,
    const char *master_key_file)
{
	enum ctl_exit code = CTL_FAILED;
	json_t *job = NULL;
	struct work w;
	enum rc rc;

	rc = work_find(&w, ctl);
	if (rc == RC_OK)
		job = check_in_server(&w, ctl, o);
	else if (rc == RC_NOTFOUND)
		job = check_here(ctl, o, master_key_file);
	if (job != NULL)
		code = check_show(ctl, job);
	json_decref(job);
	work_close(&w);
	return (code);
}

/* --- the command --------------------------------------------------------- */

enum own_code {
	OPT_REPAIR = 256,
	OPT_NO_CONTENT,
	OPT_RATE,
	OPT_MASTER_KEY_FILE
};

static const struct option own[] = {
	{ "repair", no_argument, NULL, OPT_REPAIR },
	{ "no-content", no_argument, NULL, OPT_NO_CONTENT },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "master-key-file", required_argument, NULL, OPT_MASTER_KEY_FILE },
	{ NULL, 0, NULL, 0 },
};

static enum ctl_exit
fsck_command(struct ctl *ctl, int argc, char **argv)
{
	struct fsck_job_options o = { 0 };
	const char *master_key_file = NULL;
	int code;

	while ((code = ctl_option(ctl, argc, argv, own)) != -1) {
		if (code == OPT_REPAIR)
			o.repair = true;
		else if (code == OPT_NO_CONTENT)
			o.skip_content = true;
		else if (code == OPT_MASTER_KEY_FILE)
			master_key_file = optarg;
		else if (num_size_bytes(span_of(optarg), &o.bytes_per_s) !=
			     RC_OK ||
			 o.bytes_per_s == 0)
			ctl_usage(ctl,
			    "--rate: \"%s\" must be a size such as 100MiB",
			    optarg);
	}
	ctl_no_arguments(ctl, argc, argv);
	ctl_needs_data(ctl);
	return (check_run(ctl, &o, master_key_file));
}

const struct command command_fsck = {
	.name = "fsck",
	.title = "fsck",
	.summary = "check all records and content, and repair them",
	.help = help,
	.run = fsck_command,
};
