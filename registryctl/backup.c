#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/backup.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/print.h"
#include "registryctl/work.h"
#include "storage/snapshot.h"

/*
 * registryctl backup and restore: a whole registry in a file, and back.
 *
 * The content is read here, from the folder; a server that serves it holds a
 * snapshot of it meanwhile, as long as somebody asks for that job.  Where none
 * runs, the folder's lock keeps others from changing it.  Either way the work
 * is done by a thread, and waited for as if it were a job of a server.
 */
static const char backup_help[] =
    "Usage: registryctl [--data DIR] [--output text|json] backup -o FILE\n"
    "           [--archive-dir DIR] [--master-key-file FILE]\n"
    "Write a whole registry to a file: all content, images, users, policies\n"
    "and settings that it keeps, as they were at one moment. A running server\n"
    "goes on serving pushes and pulls; only its garbage collection waits.\n"
    "Where no server runs, the folder itself is read. Every blob is verified\n"
    "as it is read.\n"
    "\n"
    "  -o, --to FILE      FILE ends in .tar, .tar.gz or .tar.zst, which says\n"
    "                     how it is compressed; it appears when it is\n"
    "                     complete. \"-\": to standard output, as .tar\n"
    "  --archive-dir DIR  where the content of archived images lies, if the\n"
    "                     setting archive.dir names another folder than\n"
    "                     \"archive\" in the registry's and no server runs\n"
    "  --master-key-file FILE  the master key, if no server runs\n"
    "                     (REGISTRYD_MASTER_KEY_FILE, DIR/master.key)\n"
    "\n"
    "The backup is as secret as the registry: only the content of encrypted\n"
    "repositories is unreadable in it, too. The key that seals that, and all\n"
    "secrets in it, the master key, is not in it: keep a copy of that\n"
    "elsewhere, for without it they are lost. Nor are unfinished uploads, the\n"
    "audit log and the configuration. Encrypted content can only be verified\n"
    "with its key; beside a running server its length and header are.\n"
    "\n"
    "Exit status: 0 done, 1 failed (FILE is what it was before), 2 wrong\n"
    "usage.\n";

static const char restore_help[] =
    "Usage: registryctl [--data DIR] [--output text|json] restore FILE\n"
    "Make a registry's folder of what \"registryctl backup\" wrote. DIR is\n"
    "missing or empty; it appears when everything is there, verified and\n"
    "synced to the disk. FILE \"-\" is standard input.\n"
    "\n"
    "Put the master.key of the old registry into DIR before a server is\n"
    "started on it, or name it with master-key-file: secrets that it has\n"
    "sealed, and encrypted repositories, cannot be read otherwise. What\n"
    "lay in the archive of storage classes is in DIR/archive: with another\n"
    "archive.dir in the configuration move it there.\n"
    "\n"
    "Exit status: 0 done, 1 failed (nothing is left of it), 2 wrong usage.\n";

/* So often does the server hear that its snapshot is still needed. */
#define HOLD_NS (INT64_C(5) * 1000000000)

struct carrying {
	const struct ctl *ctl;
	const char *kind; /* "backup", "restore" */
	const char *file;
	const char *archive_dir;     /* backup; or NULL */
	const char *master_key_file; /* likewise */
	enum archive_compression compression;

	/* Of a backup: who holds the snapshot. */
	struct work *work; /* NULL: no server */
	char *job_path;	   /* of its job */
	char *archive;	   /* where it says */
	struct store *store;
	char *meta_path;
	int64_t held_ns; /* when the server was asked last */

	struct backup_progress progress;
	atomic_bool cancel;
	bool started;
	pthread_t thread;
	int64_t began_ns;

	pthread_mutex_t lock; /* of these */
	bool running;
	enum rc rc;
	int64_t took_ns;
	enum rc end_rc; /* why it was cancelled */
	char why[ARCHIVE_WHY_BYTES];
};

/* --- its thread ---------------------------------------------------------- */

static enum rc
backup_do(struct carrying *c, char why[ARCHIVE_WHY_BYTES])
{
	const char *archive =
	    c->archive_dir != NULL ? c->archive_dir : c->archive;
	bool out = strcmp(c->file, "-") == 0;

	return (backup_write(c->ctl->data, archive, c->meta_path, c->store,
	    c->file, out ? STDOUT_FILENO : -1, c->compression, &c->progress,
	    &c->cancel, why));
}

static void
carry_main(void *arg)
{
	char why[ARCHIVE_WHY_BYTES] = "";
	struct carrying *c = arg;
	enum rc rc;

	if (c->meta_path != NULL)
		rc = backup_do(c, why);
	else
		rc = backup_restore(
		    c->file, c->ctl->data, &c->progress, &c->cancel, why);
	mutex_lock(&c->lock);
	c->running = false;
	c->rc = rc == RC_CANCELLED ? c->end_rc : rc;
	c->took_ns = clock_mono_ns() - c->began_ns;
	/* Why it was ended explains more. */
	if (c->why[0] == '\0')
		memcpy(c->why, why, sizeof(c->why));
	mutex_unlock(&c->lock);
}

static bool
carry_start(struct carrying *c)
{
	enum rc rc;

	rc = thread_start(c->kind, carry_main, c, &c->thread);
	c->started = rc == RC_OK;
	if (rc != RC_OK)
		ctl_say("cannot start a thread: %s", rc_text(rc));
	return (rc == RC_OK);
}

static void
carry_end(struct carrying *c, enum rc rc, const char *why)
{
	mutex_lock(&c->lock);
	if (!c->started) {
		c->running = false;
		c->rc = rc;
		c->took_ns = clock_mono_ns() - c->began_ns;
	}
	if (c->why[0] == '\0') {
		c->end_rc = rc;
		(void)snprintf(c->why, sizeof(c->why), "%s", why);
	}
	mutex_unlock(&c->lock);
	atomic_store(&c->cancel, true);
}

/* --- the snapshot -------------------------------------------------------- */

/* A path that is relative is so to the server's folder, not to ours. */
static void
archive_take(struct carrying *c, const json_t *job)
{
	const char *dir = json_string_value(json_object_get(job, "archive"));

	if (dir != NULL && dir[0] == '/') {
		free(c->archive);
		c->archive = xstrdup(dir);
	}
}

static void
hold_lost(struct carrying *c, const json_t *job)
{
	const char *error = json_string_value(json_object_get(job, "error"));

	carry_end(c, RC_FAILED,
	    error != NULL ? error : "the server has ended its snapshot");
}

/* The server is asked; false: it does not answer, which has been said. */
static bool
hold_look(struct carrying *c)
{
	json_t *job;
	const char *state;

	if ((job = work_ask(c->work, "GET", c->job_path, NULL)) == NULL) {
		carry_end(c, RC_FAILED, "the server does not answer any more");
		return (false);
	}
	c->held_ns = clock_mono_ns();
	state = json_string_value(json_object_get(job, "state"));
	if (state == NULL || strcmp(state, "running") != 0) {
		hold_lost(c, job);
	} else if (!c->started && json_is_true(json_object_get(job, "ready"))) {
		archive_take(c, job);
		if (!carry_start(c))
			carry_end(c, RC_LIMIT, "no thread");
	}
	json_decref(job);
	return (true);
}

static bool
hold_begin(struct carrying *c)
{
	const char *id;
	json_t *job;

	job = work_ask(c->work, "POST", "/control/backup", NULL);
	if (job == NULL)
		return (false);
	id = json_string_value(json_object_get(job, "id"));
	if (id != NULL)
		c->job_path = xasprintf("/control/jobs/%s", id);
	else
		ctl_say("the server does not say which job the backup is: it "
			"is of another version");
	json_decref(job);
	return (id != NULL);
}

/* What it says does not matter any more. */
static void
hold_end(struct carrying *c)
{
	json_t *doc = NULL;

	if (c->job_path != NULL &&
	    client_call(c->work->client, "DELETE", c->job_path, NULL,
		c->work->why, &doc) == RC_OK)
		json_decref(doc);
	free(c->job_path);
}

/* Without a server the lock holds, and the metadata are where they are. */
static bool
folder_hold(struct carrying *c)
{
	char why[STORE_WHY_BYTES];

	if (folder_open(c->ctl->data, true, why, &c->store) == RC_OK) {
		folder_keys(c->store, c->ctl->data, c->master_key_file);
		return (true);
	}
	ctl_say("%s", why);
	return (false);
}

/* --- as a job that is waited for ----------------------------------------- */

static bool
carry_begin(void *arg)
{
	struct carrying *c = arg;

	c->began_ns = clock_mono_ns();
	c->running = true;
	if (c->work != NULL)
		return (hold_begin(c));
	if (c->meta_path != NULL && !folder_hold(c))
		return (false);
	return (carry_start(c));
}

static const char *
state_name(const struct carrying *c)
{
	if (c->running)
		return ("running");
	if (c->rc == RC_OK)
		return ("done");
	return (c->rc == RC_CANCELLED ? "cancelled" : "failed");
}

static json_t *
progress_json(struct carrying *c)
{
	struct backup_progress *p = &c->progress;

	return (json_pack("{s:I,s:I,s:I,s:I,s:I}", "files",
	    (json_int_t)atomic_load(&p->files), "files_total",
	    (json_int_t)atomic_load(&p->files_total), "bytes",
	    (json_int_t)atomic_load(&p->bytes), "bytes_total",
	    (json_int_t)atomic_load(&p->bytes_total), "locked",
	    (json_int_t)atomic_load(&p->locked)));
}

/* The name of a file may be anything. */
static json_t *
text_json(const char *text)
{
	json_t *s = json_string(text);

	return (s != NULL ? s : json_null());
}

static json_t *
carry_json(struct carrying *c)
{
	int64_t took_ns;
	json_t *job;

	mutex_lock(&c->lock);
	took_ns = c->running ? clock_mono_ns() - c->began_ns : c->took_ns;
	job = json_pack("{s:s,s:s,s:o,s:o,s:I,s:o}", "kind", c->kind, "state",
	    state_name(c), "file", text_json(c->file), "folder",
	    text_json(c->ctl->data), "duration_ms",
	    (json_int_t)(took_ns / 1000000), "progress", progress_json(c));
	must(job != NULL);
	if (!c->running && c->rc != RC_OK)
		must(json_object_set_new(job, "error",
			 text_json(c->why[0] != '\0' ? c->why
						     : rc_text(c->rc))) == 0);
	mutex_unlock(&c->lock);
	return (job);
}

static bool
carry_running(struct carrying *c)
{
	bool running;

	mutex_lock(&c->lock);
	running = c->running;
	mutex_unlock(&c->lock);
	return (running);
}

static json_t *
carry_look(void *arg, uint64_t since)
{
	struct carrying *c = arg;

	(void)since;
	if (c->work != NULL && carry_running(c) && !atomic_load(&c->cancel) &&
	    (!c->started || clock_mono_ns() - c->held_ns >= HOLD_NS))
		(void)hold_look(c);
	return (carry_json(c));
}

static void
carry_cancel(void *arg)
{
	carry_end(arg, RC_CANCELLED, "cancelled");
}

/* --- what is shown ------------------------------------------------------- */

static void
progress_show(const json_t *job)
{
	const json_t *p = json_object_get(job, "progress");
	uint64_t bytes = print_u64(p, "bytes");
	uint64_t total = print_u64(p, "bytes_total");
	uint64_t ms = print_u64(job, "duration_ms");
	char a[PRINT_BYTES_ROOM], b[PRINT_BYTES_ROOM], r[PRINT_BYTES_ROOM];
	char left[PRINT_DURATION_ROOM];
	uint64_t rate = ms > 0 ? bytes * 1000 / ms : 0;

	(void)fprintf(stderr, "\r\033[K%llu of %llu files, %s of %s, %s/s",
	    (unsigned long long)print_u64(p, "files"),
	    (unsigned long long)print_u64(p, "files_total"),
	    print_bytes(bytes, a), print_bytes(total, b), print_bytes(rate, r));
	if (rate > 0 && total > bytes)
		(void)fprintf(stderr, ", %s left",
		    print_duration((total - bytes) / rate * 1000, left));
	(void)fflush(stderr);
}

static void
locked_show(uint64_t locked)
{
	if (locked == 0)
		return;
	print_count(locked, "blob is", "blobs are");
	(void)puts(" encrypted, and only length and header were checked, "
		   "as the key is not here: registryctl fsck verifies them "
		   "where it is");
}

static void
summary_show(const struct carrying *c, const json_t *job)
{
	const json_t *p = json_object_get(job, "progress");
	char size[PRINT_BYTES_ROOM], took[PRINT_DURATION_ROOM];

	if (!work_is_done(job))
		return;
	print_text(c->meta_path != NULL ? c->file : c->ctl->data);
	(void)fputs(": ", stdout);
	print_count(print_u64(p, "files"), "blob", "blobs");
	(void)printf(" and the metadata, %s in %s\n",
	    print_bytes(print_u64(p, "bytes"), size),
	    print_duration(print_u64(job, "duration_ms"), took));
	locked_show(print_u64(p, "locked"));
	if (c->meta_path == NULL)
		ctl_say("put the old master.key into it before a server is "
			"started on it");
}

/* Nothing but the backup goes where that goes. */
static enum ctl_exit
result_show(const struct carrying *c, const json_t *job)
{
	enum ctl_exit code, shown = CTL_OK;

	if (c->meta_path == NULL || strcmp(c->file, "-") != 0) {
		if (c->ctl->output == CTL_JSON)
			shown = print_json(job);
		else
			summary_show(c, job);
	}
	code =
	    work_code(job, c->meta_path != NULL ? "the backup" : "restoring");
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

/* --- the commands -------------------------------------------------------- */

static enum ctl_exit
carry(struct carrying *c)
{
	const struct work_here here = {
		.begin = carry_begin,
		.look = carry_look,
		.cancel = carry_cancel,
		.arg = c,
	};
	const struct work_job watched = {
		.what = c->kind,
		.progress = progress_show,
	};
	enum ctl_exit code = CTL_FAILED;
	json_t *job;

	mutex_init(&c->lock);
	job = work_run_here(&here, c->ctl, &watched);
	if (c->started)
		thread_join(c->thread);
	if (job != NULL)
		code = result_show(c, job);
	json_decref(job);
	must(pthread_mutex_destroy(&c->lock) == 0);
	return (code);
}

static enum ctl_exit
backup_run(struct carrying *c)
{
	enum ctl_exit code = CTL_FAILED;
	struct work w;
	enum rc rc;

	rc = work_find(&w, c->ctl);
	if (rc == RC_OK || rc == RC_NOTFOUND) {
		c->work = rc == RC_OK ? &w : NULL;
		c->meta_path = xasprintf("%s/%s", c->ctl->data,
		    rc == RC_OK ? SNAPSHOT_META : "meta.mdb");
		code = carry(c);
		hold_end(c);
		store_close(&c->store);
		free(c->meta_path);
		free(c->archive);
	}
	work_close(&w);
	return (code);
}

enum own_code { OPT_TO = 'o', OPT_ARCHIVE_DIR = 256, OPT_MASTER_KEY_FILE };

static const struct option backup_own[] = {
	{ "to", required_argument, NULL, OPT_TO },
	{ "archive-dir", required_argument, NULL, OPT_ARCHIVE_DIR },
	{ "master-key-file", required_argument, NULL, OPT_MASTER_KEY_FILE },
	{ NULL, 0, NULL, 0 },
};

static enum ctl_exit
backup_command(struct ctl *ctl, int argc, char **argv)
{
	struct carrying c = { .ctl = ctl, .kind = "backup" };
	int code;

	while ((code = ctl_option(ctl, argc, argv, backup_own)) != -1) {
		if (code == OPT_TO)
			c.file = optarg;
		else if (code == OPT_MASTER_KEY_FILE)
			c.master_key_file = optarg;
		else
			c.archive_dir = optarg;
	}
	ctl_no_arguments(ctl, argc, argv);
	ctl_needs_data(ctl);
	if (c.file == NULL)
		ctl_usage(ctl, "-o FILE says where the backup goes");
	if (strcmp(c.file, "-") != 0 &&
	    !archive_compression_of(c.file, &c.compression))
		ctl_usage(ctl,
		    "-o: \"%s\" must end in .tar, .tar.gz or .tar.zst", c.file);
	if (strcmp(c.file, "-") == 0 && isatty(STDOUT_FILENO))
		ctl_usage(ctl, "-o -: standard output is a terminal");
	return (backup_run(&c));
}

static const struct option restore_own[] = {
	{ NULL, 0, NULL, 0 },
};

static enum ctl_exit
restore_command(struct ctl *ctl, int argc, char **argv)
{
	struct carrying c = { .ctl = ctl, .kind = "restore" };
	const char *word;

	while (ctl_next(ctl, argc, argv, restore_own, &word) != -1) {
		if (c.file != NULL)
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
		c.file = word;
	}
	ctl_needs_data(ctl);
	if (c.file == NULL)
		ctl_usage(ctl, "which backup? Name its file");
	return (carry(&c));
}

const struct command command_backup = {
	.name = "backup",
	.title = "backup",
	.summary = "write the whole registry to a file",
	.help = backup_help,
	.run = backup_command,
};

const struct command command_restore = {
	.name = "restore",
	.title = "restore",
	.summary = "make a registry's folder of a backup",
	.help = restore_help,
	.run = restore_command,
};
