#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/obj.h"
#include "meta_tools.h"
#include "storage/ballast_int.h"
#include "storage/meta_int.h"
#include "storage/store_int.h"

/*
 * Opening a folder: what is made, whose it is, what is refused and in which
 * words.
 */

extern char **environ;

#define FORMAT_NOW "registryd-format 6\n"

/* A folder for each test, and a registry in it that is not open. */
struct place {
	char dir[TOOL_PATH_BYTES];	/* exists, empty */
	char data[TOOL_PATH_BYTES + 8]; /* below it, does not exist */
	struct store_options options;	/* of data */
	char why[STORE_WHY_BYTES];
};

static int
place_setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	tool_folder(p->dir);
	(void)snprintf(p->data, sizeof(p->data), "%s/data", p->dir);
	p->options = tool_options(p->data);
	*state = p;
	return (0);
}

static int
place_teardown(void **state)
{
	struct place *p = *state;

	tool_folder_remove(p->dir);
	free(p);
	return (0);
}

static enum rc
open_rc(struct place *p)
{
	struct store *s = NULL;
	enum rc rc = store_open(&p->options, p->why, &s);

	if (rc == RC_OK) {
		store_close(&s);
	} else {
		/* Whatever it is, a person is told, and of which folder. */
		assert_non_null(strstr(p->why, p->options.dir));
	}
	return (rc);
}

static const char *
path_of(const struct place *p, const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", p->data, name);
	return (path);
}

static void
file_put(const struct place *p, const char *name, const char *text)
{
	tool_file_write(path_of(p, name), text, strlen(text));
}

static void
file_is(const struct place *p, const char *name, const char *text)
{
	char got[200];
	ssize_t n;
	int fd = open(path_of(p, name), O_RDONLY);

	assert_true(fd >= 0);
	n = read(fd, got, sizeof(got));
	(void)close(fd);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, (size_t)n);
}

static void
folder_new(const struct place *p)
{
	assert_int_equal(mkdir(p->data, 0700), 0);
}

static void
registry_new(struct place *p)
{
	assert_int_equal(open_rc(p), RC_OK);
}

/* New folders. */

static void
a_missing_folder_is_made(void **state)
{
	struct place *p = *state;
	struct stat st;

	assert_int_equal(open_rc(p), RC_OK);
	assert_int_equal(stat(p->data, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	file_is(p, "format", FORMAT_NOW);
	assert_int_equal(stat(path_of(p, "meta.mdb"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_false(tool_exists(path_of(p, "format.new")));
	assert_int_equal(open_rc(p), RC_OK);
}

static void
a_missing_folder_in_a_missing_folder_is_not_made(void **state)
{
	struct place *p = *state;
	char deep[PATH_MAX];

	(void)snprintf(deep, sizeof(deep), "%s/no/data", p->dir);
	p->options.dir = deep;
	assert_int_equal(open_rc(p), RC_NOTFOUND);
}

static void
an_empty_folder_is_taken(void **state)
{
	struct place *p = *state;

	folder_new(p);
	assert_int_equal(mkdir(path_of(p, "lost+found"), 0700), 0);
	file_put(p, "admin-credentials", "[default]\n");
	file_put(p, "master.key", "x\n");
	file_put(p, "master.key.new", "x\n");
	file_put(p, "control.sock", "");
	file_put(p, "lock", "123456\n");
	file_put(p, "format.new", "regis");
	assert_int_equal(open_rc(p), RC_OK);
	file_is(p, "format", FORMAT_NOW);
}

static void
a_folder_of_somebody_else_is_left_alone(void **state)
{
	struct place *p = *state;

	folder_new(p);
	file_put(p, "thesis.tex", "years of work");
	assert_int_equal(open_rc(p), RC_EXISTS);
	assert_non_null(strstr(p->why, "thesis.tex"));
	assert_false(tool_exists(path_of(p, "lock")));
	assert_false(tool_exists(path_of(p, "meta.mdb")));
}

static void
blobs_without_metadata_are_somebody_elses(void **state)
{
	struct place *p = *state;

	folder_new(p);
	assert_int_equal(mkdir(path_of(p, "blobs"), 0700), 0);
	assert_int_equal(open_rc(p), RC_EXISTS);
	assert_non_null(strstr(p->why, "blobs"));
}

static void
a_file_in_the_place_of_the_folder_is_refused(void **state)
{
	struct place *p = *state;

	tool_file_write(p->data, "x", 1);
	assert_int_equal(open_rc(p), RC_IO);
}

static void
a_folder_left_half_made_is_finished(void **state)
{
	struct place *p = *state;
	struct store *s = tool_store_open(&p->options);
	struct blob_put put = { .repository = SPAN("app"),
		.digest = mt_digest("x"),
		.size_bytes = 1,
		.location = BLOB_IN_META,
		.content = SPAN("x"),
		.create = &repository_preset_default };
	struct store_stats st;

	assert_int_equal(meta_blob_put(store_meta(s), &put), RC_OK);
	store_close(&s);
	assert_int_equal(unlink(path_of(p, "format")), 0);
	s = tool_store_open(&p->options);
	store_stats(s, &st);
	assert_int_equal(st.blobs, 1);
	store_close(&s);
	file_is(p, "format", FORMAT_NOW);
}

/* Formats. */

static void
a_newer_format_is_refused(void **state)
{
	struct place *p = *state;

	registry_new(p);
	file_put(p, "format", "registryd-format 7\n");
	assert_int_equal(open_rc(p), RC_VERSION);
	assert_non_null(strstr(p->why, "format 7"));
	assert_non_null(strstr(p->why, "newer"));
	file_is(p, "format", "registryd-format 7\n");
	p->options.read_only = true;
	assert_int_equal(open_rc(p), RC_VERSION);
}

static void
a_format_file_of_other_words_is_damage(void **state)
{
	static const char *const texts[] = { "", "registryd-format 2",
		"registryd-format \n", "registryd-format 0\n",
		"registryd-format 01\n", "registryd-format -1\n",
		"registryd-format 2\n\n", "registryd-format 99999999999999\n",
		"something else 1\n" };
	struct place *p = *state;
	size_t i;

	registry_new(p);
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		file_put(p, "format", texts[i]);
		assert_int_equal(open_rc(p), RC_CORRUPT);
	}
}

static void
lost_metadata_are_not_made_anew(void **state)
{
	struct place *p = *state;

	registry_new(p);
	tool_file_truncate(path_of(p, "meta.mdb"), 0);
	assert_int_equal(open_rc(p), RC_CORRUPT);
	assert_int_equal(unlink(path_of(p, "meta.mdb")), 0);
	assert_int_equal(open_rc(p), RC_CORRUPT);
	assert_non_null(strstr(p->why, "missing"));
	assert_false(tool_exists(path_of(p, "meta.mdb")));
	file_put(p, "meta.mdb",
	    "this is no database, but long enough "
	    "for its header to be looked at, and to be "
	    "seen that it is not one of them ..........."
	    "...........................................");
	assert_int_equal(open_rc(p), RC_CORRUPT);
}

static void
metadata_that_were_cut_off_give_errors(void **state)
{
	struct place *p = *state;
	struct page page;
	struct store *s = tool_store_open(&p->options);
	struct blob_put put = { .repository = SPAN("app"),
		.location = BLOB_IN_META,
		.size_bytes = 4000,
		.create = &repository_preset_default };
	struct arena a;
	char *text;
	unsigned i;
	enum rc rc;

	for (i = 0; i < 50; i++) {
		text = tool_bytes(4000, i);
		put.digest = tool_digest(text, 4000);
		put.content = (struct span){ text, 4000 };
		assert_int_equal(meta_blob_put(store_meta(s), &put), RC_OK);
		free(text);
	}
	store_close(&s);
	tool_file_truncate(path_of(p, "meta.mdb"), 5 * 4096);
	p->options.read_only = true;
	assert_int_equal(open_rc(p), RC_CORRUPT);
	p->options.read_only = false;
	rc = store_open(&p->options, p->why, &s);
	if (rc == RC_OK) {
		arena_init(&a, 1 << 20);
		rc = meta_repository_page(
		    store_meta(s), SPAN_NONE, 10, &a, &page);
		arena_reset(&a);
		store_close(&s);
	}
	assert_int_not_equal(rc, RC_OK);
}

static unsigned n_steps_run[9];

static enum rc
step_run(struct meta_txn *t, void *arg)
{
	struct store *s = arg;
	unsigned format;

	assert_int_equal(s->magic, STORE_MAGIC);
	assert_int_equal(meta_format_get(t, &format), RC_OK);
	n_steps_run[format]++;
	return (kv_put(t, TABLE_UPLOADS, SPAN("a step was here"), SPAN("x")));
}

static enum rc
step_fail(struct meta_txn *t, void *arg)
{
	(void)arg;
	assert_int_equal(
	    kv_put(t, TABLE_UPLOADS, SPAN("another step"), SPAN("x")), RC_OK);
	return (RC_CORRUPT);
}

static uint64_t
uploads_rows(struct store *s)
{
	struct store_stats st;

	store_stats(s, &st);
	return (st.upload_sessions);
}

static void
an_older_format_goes_up_step_by_step(void **state)
{
	const struct store_upgrade good[] = { { 7, step_run, false },
		{ 6, step_run, false } };
	const struct store_upgrade bad[] = { { 6, step_run, false },
		{ 7, step_fail, false } };
	struct place *p = *state;
	struct store *s = tool_store_open(&p->options);

	memset(n_steps_run, 0, sizeof(n_steps_run));
	assert_int_equal(store_upgrade_run(s, bad, 2, 8, p->why), RC_CORRUPT);
	assert_non_null(strstr(p->why, "upgrade"));
	/* What the first has done stays, of the second nothing. */
	assert_int_equal(n_steps_run[6], 1);
	assert_int_equal(uploads_rows(s), 1);
	assert_int_equal(store_upgrade_run(s, good, 2, 8, p->why), RC_OK);
	assert_int_equal(n_steps_run[6], 1);
	assert_int_equal(n_steps_run[7], 1);
	assert_int_equal(store_upgrade_run(s, good, 2, 8, p->why), RC_OK);
	assert_int_equal(n_steps_run[7], 1);
	/* No way on from here, and none back. */
	assert_int_equal(store_upgrade_run(s, good, 2, 9, p->why), RC_VERSION);
	assert_int_equal(store_upgrade_run(s, good, 2, 7, p->why), RC_VERSION);
	store_close(&s);
	/* The metadata know better than the file. */
	assert_int_equal(open_rc(p), RC_VERSION);
}

static void
who_only_reads_runs_no_step(void **state)
{
	const struct store_upgrade steps[] = { { 6, step_run, true },
		{ 7, step_run, false } };
	struct place *p = *state;
	struct store *s;

	registry_new(p);
	memset(n_steps_run, 0, sizeof(n_steps_run));
	p->options.read_only = true;
	s = tool_store_open(&p->options);
	assert_int_equal(store_upgrade_run(s, steps, 2, 7, p->why), RC_OK);
	assert_int_equal(store_upgrade_run(s, steps, 2, 8, p->why), RC_VERSION);
	assert_non_null(strstr(p->why, "start registryd"));
	assert_int_equal(n_steps_run[6], 0);
	store_close(&s);
}

/* One process at a time. */

static void
a_second_one_is_refused_and_told_who_is_there(void **state)
{
	struct place *p = *state;
	struct store *s = tool_store_open(&p->options), *second = NULL;
	char pid[32];

	assert_int_equal(store_open(&p->options, p->why, &second), RC_BUSY);
	(void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(p->why, pid));
	assert_non_null(strstr(p->why, p->data));
	p->options.read_only = true;
	assert_int_equal(store_open(&p->options, p->why, &second), RC_BUSY);
	p->options.read_only = false;
	store_close(&s);
	assert_int_equal(open_rc(p), RC_OK);
}

/* In a process of its own: open, say so, wait to be killed. */
static int
hold(const char *dir)
{
	const struct store_options options = tool_options(dir);
	char why[STORE_WHY_BYTES];
	struct store *s;

	if (store_open(&options, why, &s) != RC_OK ||
	    write(STDOUT_FILENO, "o", 1) != 1)
		return (1);
	for (;;)
		(void)pause();
}

static pid_t
holder_start(const char *dir)
{
	posix_spawn_file_actions_t actions;
	char *const argv[] = { (char *)(uintptr_t) "test_store",
		(char *)(uintptr_t) "--hold", (char *)(uintptr_t)dir, NULL };
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(
	    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO),
	    0);
	assert_int_equal(
	    posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ),
	    0);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	(void)close(fds[0]);
	return (pid);
}

static void
what_a_killed_process_held_is_taken_over(void **state)
{
	struct place *p = *state;
	char text[32];
	pid_t pid;

	pid = holder_start(p->data);
	(void)snprintf(text, sizeof(text), "process %ld", (long)pid);
	assert_int_equal(open_rc(p), RC_BUSY);
	assert_non_null(strstr(p->why, text));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(open_rc(p), RC_OK);
}

/* Reading only. */

static void
reading_only_changes_nothing(void **state)
{
	struct blob_put put = { .repository = SPAN("app"),
		.digest = mt_digest("x"),
		.size_bytes = 1,
		.location = BLOB_IN_META,
		.content = SPAN("x"),
		.create = &repository_preset_default };
	const struct upload_row row = { .id =
					    "00112233445566778899aabbccddeeff",
		.repository = SPAN("app"),
		.alg = DIGEST_SHA256 };
	struct repository_row repo;
	struct place *p = *state;
	struct store *s = tool_store_open(&p->options), *second;

	assert_int_equal(meta_blob_put(store_meta(s), &put), RC_OK);
	store_close(&s);
	p->options.read_only = true;
	s = tool_store_open(&p->options);
	second = tool_store_open(&p->options);
	assert_int_equal(
	    meta_repository_get(store_meta(s), SPAN("app"), &repo), RC_OK);
	assert_int_equal(
	    meta_repository_get(store_meta(second), SPAN("app"), &repo), RC_OK);
	assert_int_equal(meta_blob_put(store_meta(s), &put), RC_READONLY);
	assert_int_equal(meta_upload_add(store_meta(s), &row), RC_READONLY);
	meta_manifest_pulled(store_meta(s), SPAN("app"), &put.digest, 1);
	assert_int_equal(store_room(s, 0), RC_READONLY);
	/* While somebody reads nobody writes. */
	p->options.read_only = false;
	assert_int_equal(open_rc(p), RC_BUSY);
	store_close(&s);
	store_close(&second);
	assert_int_equal(open_rc(p), RC_OK);
}

static void
reading_only_makes_nothing(void **state)
{
	struct place *p = *state;

	p->options.read_only = true;
	assert_int_equal(open_rc(p), RC_NOTFOUND);
	assert_false(tool_exists(p->data));
	folder_new(p);
	assert_int_equal(open_rc(p), RC_NOTFOUND);
	assert_false(tool_exists(path_of(p, "lock")));
}

static void
a_read_only_filesystem_can_be_read(void **state)
{
	struct place *p = *state;
	struct store *s;
	struct store_stats st;
	char blob[] = "x";
	struct blob_put put = { .repository = SPAN("app"),
		.digest = mt_digest("x"),
		.size_bytes = 1,
		.location = BLOB_IN_META,
		.content = { blob, 1 },
		.create = &repository_preset_default };

	folder_new(p);
	if (!tool_tmpfs(p->data, (size_t)8 << 20))
		skip();
	s = tool_store_open(&p->options);
	assert_int_equal(meta_blob_put(store_meta(s), &put), RC_OK);
	store_close(&s);
	assert_int_equal(
	    mount("tmpfs", p->data, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=8m"),
	    0);
	assert_int_equal(open_rc(p), RC_READONLY);
	p->options.read_only = true;
	s = tool_store_open(&p->options);
	store_stats(s, &st);
	assert_int_equal(st.blobs, 1);
	store_close(&s);
	tool_tmpfs_remove(p->data);
}

/* Room. */

static void
room_ends_before_the_reserve(void **state)
{
	struct place *p = *state;
	struct store *s;
	struct store_stats st;

	s = tool_store_open(&p->options);
	store_stats(s, &st);
	assert_int_equal(st.disk_reserve_bytes, 1);
	assert_true(st.disk_free_bytes > 0);
	assert_int_equal(store_room(s, 1), RC_OK);
	assert_int_equal(store_room(s, UINT64_MAX), RC_NOSPACE);
	store_close(&s);
	p->options.reserve_bytes = UINT64_MAX;
	s = tool_store_open(&p->options);
	assert_int_equal(store_room(s, 0), RC_NOSPACE);
	store_close(&s);
	p->options.reserve_bytes = 0;
	s = tool_store_open(&p->options);
	store_stats(s, &st);
	assert_in_range(st.disk_reserve_bytes, 1, 256 << 20);
	store_close(&s);
}

static void
room_follows_the_disk(void **state)
{
	struct place *p = *state;
	struct store *s;
	char *text = tool_bytes(3 << 20, 1);

	folder_new(p);
	if (!tool_tmpfs(p->data, (size_t)8 << 20)) {
		free(text);
		skip();
		return;
	}
	p->options.reserve_bytes = 4 << 20;
	s = tool_store_open(&p->options);
	assert_int_equal(store_room(s, 1 << 20), RC_OK);
	tool_file_write(path_of(p, "lost+found"), text, 3 << 20);
	(void)usleep(150000);
	assert_int_equal(store_room(s, 1 << 20), RC_NOSPACE);
	assert_int_equal(unlink(path_of(p, "lost+found")), 0);
	(void)usleep(150000);
	assert_int_equal(store_room(s, 1 << 20), RC_OK);
	assert_int_equal(
	    mount("tmpfs", p->data, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	store_close(&s);
	tool_tmpfs_remove(p->data);
	free(text);
}

static void
a_disk_too_small_for_a_registry_is_told(void **state)
{
	struct place *p = *state;
	enum rc rc;

	folder_new(p);
	if (!tool_tmpfs(p->data, 16 << 10))
		skip();
	rc = open_rc(p);
	assert_int_equal(rc, RC_NOSPACE);
	tool_tmpfs_remove(p->data);
}

/* The archive. */

static void
the_archive_is_made_when_it_is_needed(void **state)
{
	struct place *p = *state;

	registry_new(p);
	assert_false(tool_exists(path_of(p, "archive")));
	p->options.archive_dir = path_of(p, "elsewhere");
	assert_int_equal(open_rc(p), RC_OK);
}

/* A disk for it may have been mounted before the first start. */
static void
a_folder_that_has_an_archive_only_is_taken(void **state)
{
	struct place *p = *state;

	folder_new(p);
	assert_int_equal(mkdir(path_of(p, "archive"), 0700), 0);
	assert_int_equal(open_rc(p), RC_OK);
	file_is(p, "format", FORMAT_NOW);
}

static void
an_archive_that_cannot_be_used_is_told(void **state)
{
	struct place *p = *state;

	registry_new(p);
	file_put(p, "elsewhere", "a file");
	p->options.archive_dir = path_of(p, "elsewhere");
	assert_int_not_equal(open_rc(p), RC_OK);
	assert_non_null(strstr(p->why, "archive"));
	assert_non_null(strstr(p->why, "elsewhere"));
}

static void
how_long_images_can_be_restored_is_set(void **state)
{
	struct place *p = *state;
	struct store *s;

	p->options.undelete_ms = 7;
	s = tool_store_open(&p->options);
	assert_int_equal(store_undelete_ms(s), 7);
	store_undelete_set(s, 8);
	assert_int_equal(store_undelete_ms(s), 8);
	store_close(&s);
}

/* What was deleted leaves pages that will be used again. */

static enum rc
rows_put(struct meta_txn *t, void *arg)
{
	uint8_t text[2000] = { 0 };
	struct rec_key k;
	unsigned i;
	enum rc rc = RC_OK;

	(void)arg;
	for (i = 0; i < 200 && rc == RC_OK; i++) {
		key_repo(&k, i);
		rc = kv_put(t, TABLE_UPLOADS, key_span(&k),
		    (struct span){ (const char *)text, sizeof(text) });
	}
	return (rc);
}

static enum rc
rows_delete(struct meta_txn *t, void *arg)
{
	struct rec_key k;
	unsigned i;
	enum rc rc = RC_OK;

	(void)arg;
	for (i = 0; i < 200 && rc == RC_OK; i++) {
		key_repo(&k, i);
		rc = kv_delete(t, TABLE_UPLOADS, key_span(&k));
	}
	return (rc);
}

static void
free_pages_are_counted(void **state)
{
	struct place *p = *state;
	struct store *s = tool_store_open(&p->options);
	struct store_stats full, empty;

	assert_int_equal(meta_change(store_meta(s), rows_put, NULL, 0), RC_OK);
	store_stats(s, &full);
	assert_int_equal(
	    meta_change(store_meta(s), rows_delete, NULL, 0), RC_OK);
	store_stats(s, &empty);
	assert_true(full.map_free_bytes < full.map_used_bytes);
	assert_true(empty.map_free_bytes >= full.map_free_bytes + 200 * 2000);
	assert_true(empty.map_free_bytes < empty.map_used_bytes);
	assert_int_equal(empty.map_free_bytes % empty.page_bytes, 0);
	store_close(&s);
}

/* A disk that is full. */

/* To the last byte. */
static void
disk_fill(const struct place *p)
{
	char page[4096] = "";
	size_t n = sizeof(page);
	int fd = open(path_of(p, "lost+found"),
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (n > 0)
		if (write(fd, page, n) <= 0)
			n /= 2;
	assert_int_equal(close(fd), 0);
}

static bool
disk_small(struct place *p)
{
	folder_new(p);
	return (tool_tmpfs(p->data, (size_t)48 << 20));
}

static void
on_a_full_disk_what_frees_succeeds(void **state)
{
	struct place *p = *state;
	struct store_stats st;
	struct store *s;
	struct meta *m;

	if (!disk_small(p))
		skip();
	s = tool_store_open(&p->options);
	m = store_meta(s);
	assert_int_equal(
	    tool_file_size(path_of(p, BALLAST_FILE)), BALLAST_BYTES);
	store_stats(s, &st);
	assert_int_equal(st.ballast_bytes, BALLAST_BYTES);
	assert_int_equal(meta_change(m, rows_put, NULL, 0), RC_OK);
	disk_fill(p);
	/* It is not for everybody. */
	assert_int_equal(meta_change(m, rows_delete, NULL, 0), RC_NOSPACE);
	assert_true(tool_exists(path_of(p, BALLAST_FILE)));
	assert_int_equal(meta_change_freeing(m, rows_delete, NULL), RC_OK);
	assert_false(tool_exists(path_of(p, BALLAST_FILE)));
	store_stats(s, &st);
	assert_int_equal(st.ballast_bytes, 0);
	store_close(&s);
	tool_tmpfs_remove(p->data);
}

static void
what_was_given_up_is_not_for_pushes_and_is_made_again(void **state)
{
	struct place *p = *state;
	struct store *s;

	if (!disk_small(p))
		skip();
	s = tool_store_open(&p->options);
	disk_fill(p);
	assert_true(ballast_drop(s->ballast, 0));
	/* There are no two of it. */
	assert_false(ballast_drop(s->ballast, 1));
	(void)usleep(150000);
	assert_int_equal(store_room(s, 1), RC_NOSPACE);
	store_ballast_renew(s);
	assert_false(tool_exists(path_of(p, BALLAST_FILE)));
	tool_file_truncate(path_of(p, "lost+found"), 4096);
	(void)usleep(150000);
	store_ballast_renew(s);
	assert_int_equal(
	    tool_file_size(path_of(p, BALLAST_FILE)), BALLAST_BYTES);
	assert_int_equal(store_room(s, 1), RC_OK);
	store_close(&s);
	tool_tmpfs_remove(p->data);
}

/* As a backup may bring it back. */
static void
one_without_blocks_is_filled(void **state)
{
	struct place *p = *state;
	struct store *s;
	struct stat st;

	if (!disk_small(p))
		skip();
	registry_new(p);
	tool_file_write(path_of(p, BALLAST_FILE), "", 0);
	tool_file_truncate(path_of(p, BALLAST_FILE), (int64_t)BALLAST_BYTES);
	s = tool_store_open(&p->options);
	assert_int_equal(stat(path_of(p, BALLAST_FILE), &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 >= BALLAST_BYTES);
	store_close(&s);
	tool_tmpfs_remove(p->data);
}

/* Nor does one who only reads make any. */
static void
where_there_is_no_room_there_is_no_ballast(void **state)
{
	struct place *p = *state;

	if (!disk_small(p))
		skip();
	p->options.reserve_bytes = (uint64_t)44 << 20;
	assert_int_equal(open_rc(p), RC_OK);
	assert_false(tool_exists(path_of(p, BALLAST_FILE)));
	p->options.reserve_bytes = 1;
	p->options.read_only = true;
	assert_int_equal(open_rc(p), RC_OK);
	assert_false(tool_exists(path_of(p, BALLAST_FILE)));
	tool_tmpfs_remove(p->data);
}

/* What fails leaves nothing behind. */

static unsigned
open_files(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return (n);
}

static void
opening_in_vain_keeps_no_files(void **state)
{
	struct place *p = *state;
	struct store *s;
	unsigned i, n;

	registry_new(p);
	n = open_files();
	s = tool_store_open(&p->options);
	for (i = 0; i < 20; i++)
		assert_int_equal(open_rc(p), RC_BUSY);
	store_close(&s);
	file_put(p, "format", "registryd-format 9\n");
	for (i = 0; i < 20; i++)
		assert_int_equal(open_rc(p), RC_VERSION);
	file_put(p, "format", FORMAT_NOW);
	file_put(p, "meta.mdb", "damage");
	for (i = 0; i < 20; i++)
		assert_int_equal(open_rc(p), RC_CORRUPT);
	assert_int_equal(open_files(), n);
	store_close(&s);
}

static void
too_many_open_files_are_told(void **state)
{
	struct place *p = *state;
	struct store *s = NULL;

	registry_new(p);
	tool_no_files(true);
	assert_int_equal(store_open(&p->options, p->why, &s), RC_LIMIT);
	tool_no_files(false);
	assert_int_equal(open_rc(p), RC_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_missing_folder_is_made),
		TEST(a_missing_folder_in_a_missing_folder_is_not_made),
		TEST(an_empty_folder_is_taken),
		TEST(a_folder_of_somebody_else_is_left_alone),
		TEST(blobs_without_metadata_are_somebody_elses),
		TEST(a_file_in_the_place_of_the_folder_is_refused),
		TEST(a_folder_left_half_made_is_finished),
		TEST(a_newer_format_is_refused),
		TEST(a_format_file_of_other_words_is_damage),
		TEST(lost_metadata_are_not_made_anew),
		TEST(metadata_that_were_cut_off_give_errors),
		TEST(an_older_format_goes_up_step_by_step),
		TEST(who_only_reads_runs_no_step),
		TEST(a_second_one_is_refused_and_told_who_is_there),
		TEST(what_a_killed_process_held_is_taken_over),
		TEST(reading_only_changes_nothing),
		TEST(reading_only_makes_nothing),
		TEST(a_read_only_filesystem_can_be_read),
		TEST(room_ends_before_the_reserve),
		TEST(room_follows_the_disk),
		TEST(a_disk_too_small_for_a_registry_is_told),
		TEST(the_archive_is_made_when_it_is_needed),
		TEST(a_folder_that_has_an_archive_only_is_taken),
		TEST(an_archive_that_cannot_be_used_is_told),
		TEST(how_long_images_can_be_restored_is_set),
		TEST(free_pages_are_counted),
		TEST(on_a_full_disk_what_frees_succeeds),
		TEST(what_was_given_up_is_not_for_pushes_and_is_made_again),
		TEST(one_without_blocks_is_filled),
		TEST(where_there_is_no_room_there_is_no_ballast),
		TEST(opening_in_vain_keeps_no_files),
		TEST(too_many_open_files_are_told),
	};

	if (argc == 3 && strcmp(argv[1], "--hold") == 0)
		return (hold(argv[2]));
	return (cmocka_run_group_tests_name("store", tests, NULL, NULL));
}
