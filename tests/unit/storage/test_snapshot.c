#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "fsck_tools.h"
#include "meta_tools.h"
#include "storage/gc.h"
#include "storage/gc_job.h"
#include "storage/images.h"
#include "storage/meta_int.h"
#include "storage/snapshot.h"
#include "storage/upload.h"

#define APP SPAN("team/app")
#define LARGE_BYTES 9000 /* a file of its own */

/* Called when a blob's file is about to be removed. */
static void (*before_unlink)(void *arg);
static void *before_unlink_arg;

int
unlinkat(int fd, const char *path, int flags)
{
	if (flags == 0 && strstr(path, "sha256/") == path &&
	    before_unlink != NULL)
		before_unlink(before_unlink_arg);
	return ((int)syscall(SYS_unlinkat, fd, path, flags));
}

/* Without a grace nobody waits for the collector. */
static int
setup(void **state)
{
	struct mt *t;

	log_set_level(LOG_LVL_ERROR);
	before_unlink = NULL;
	if (mt_setup(state) != 0)
		return (-1);
	t = *state;
	gc_grace_set(t->s, 0);
	return (0);
}

static void
nap(void)
{
	const struct timespec t = { .tv_nsec = 50 * 1000000 };

	(void)nanosleep(&t, NULL);
}

/* --- short words --------------------------------------------------------- */

static struct digest
push_bytes(struct mt *t, const char *p, size_t n)
{
	struct digest d = tool_digest(p, n);

	assert_int_equal(upload_whole(t->s, APP, &d, (struct span){ p, n },
			     SPAN_NONE, &repository_preset_default),
	    RC_OK);
	return (d);
}

static struct digest
push(struct mt *t, unsigned seed)
{
	char *p = tool_bytes(LARGE_BYTES, seed);
	struct digest d = push_bytes(t, p, LARGE_BYTES);

	free(p);
	return (d);
}

static struct digest
push_image(struct mt *t, const char *text, const struct digest *layer)
{
	const struct descriptor edge = mt_edge(EDGE_LAYER, layer);
	const struct mt_image image = {
		.repo = "team/app",
		.text = text,
		.edges = &edge,
		.n_edges = 1,
	};

	return (mt_image(t, &image));
}

static bool
has_file(struct mt *t, const struct digest *d)
{
	char path[TOOL_PATH_BYTES];

	return (tool_exists(tool_blob_path(t->dir, d, path)));
}

static struct snapshot *
begin(struct mt *t)
{
	char why[SNAPSHOT_WHY_BYTES] = "";
	struct snapshot *snap = NULL;

	assert_int_equal(snapshot_begin(t->s, &snap, why), RC_OK);
	return (snap);
}

static void
collect(struct mt *t)
{
	const struct gc_options options = { .now_ms = clock_real_ms() };
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(t->s, &options, &totals), RC_OK);
}

/* For a moment: it is asked to stop then. */
static void
collect_some(struct mt *t)
{
	const struct gc_job_options options = { 0 };
	struct gc_job *job = NULL;

	assert_int_equal(gc_job_start(t->s, &options, &job), RC_OK);
	nap();
	gc_job_free(&job);
}

static enum image_status
status_set(struct mt *t, const struct digest *d, enum image_status status)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, APP, &ref, status,
			     clock_real_ms(), &t->arena, &row, &holding),
	    RC_OK);
	return (row.manifest.status);
}

static void
snapshot_folder(struct mt *t, char out[TOOL_PATH_BYTES])
{
	(void)snprintf(out, TOOL_PATH_BYTES, "%.400s/snapshot", t->dir);
}

/* What a snapshot lists. */
struct listed {
	struct snapshot_file files[64];
	size_t n;
	enum rc rc; /* to end with */
};

static enum rc
list_add(void *arg, const struct snapshot_file *file)
{
	struct listed *l = arg;

	assert_true(l->n < ARRAY_LEN(l->files));
	l->files[l->n++] = *file;
	return (l->rc);
}

static struct listed
list(const char *path)
{
	char why[SNAPSHOT_WHY_BYTES];
	struct listed l = { 0 };
	enum rc rc;

	rc = snapshot_files(path, list_add, &l, why);
	if (rc != RC_OK)
		print_error("%s\n", why);
	assert_int_equal(rc, RC_OK);
	return (l);
}

static const struct snapshot_file *
listed(const struct listed *l, const struct digest *d)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (digest_eq(&l->files[i].digest, d))
			return (&l->files[i]);
	return (NULL);
}

/* --- the copy ------------------------------------------------------------ */

static void
the_copy_is_of_one_moment(void **state)
{
	struct mt *t = *state;
	struct digest before = push(t, 1), after;
	struct snapshot *snap = begin(t);
	struct listed l;

	after = push(t, 2);
	l = list(snapshot_path(snap));
	assert_int_equal(l.n, 1);
	assert_non_null(listed(&l, &before));
	assert_null(listed(&l, &after));
	snapshot_end(&snap);
	assert_null(snap);
}

static void
the_copy_is_the_owners_alone(void **state)
{
	struct mt *t = *state;
	struct snapshot *snap = begin(t);
	char dir[TOOL_PATH_BYTES];
	struct stat st;

	snapshot_folder(t, dir);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(snapshot_path(snap), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snapshot_end(&snap);
	assert_false(tool_exists(dir));
	snapshot_end(&snap);
}

static void
there_is_at_most_one(void **state)
{
	struct mt *t = *state;
	char why[SNAPSHOT_WHY_BYTES] = "";
	struct snapshot *snap = begin(t), *other = NULL;

	assert_int_equal(snapshot_begin(t->s, &other, why), RC_BUSY);
	assert_non_null(strstr(why, "another"));
	assert_true(tool_exists(snapshot_path(snap)));
	snapshot_end(&snap);
	snap = begin(t);
	snapshot_end(&snap);
}

static void
what_a_crash_left_goes_at_the_next_start(void **state)
{
	struct mt *t = *state;
	char dir[TOOL_PATH_BYTES], file[2 * TOOL_PATH_BYTES];

	snapshot_folder(t, dir);
	(void)snprintf(file, sizeof(file), "%s/meta.mdb", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	tool_file_write(file, "x", 1);
	t->options.read_only = true;
	mt_reopen(t);
	assert_true(tool_exists(file));
	t->options.read_only = false;
	mt_reopen(t);
	assert_false(tool_exists(dir));
}

static void
the_check_of_the_folder_knows_it(void **state)
{
	struct ft *f = *state;
	char why[SNAPSHOT_WHY_BYTES] = "";
	struct snapshot *snap = NULL;
	struct ft_result r = { 0 };

	assert_int_equal(snapshot_begin(f->s, &snap, why), RC_OK);
	assert_int_equal(ft_fsck(f->s, false, &r), RC_OK);
	snapshot_end(&snap);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.orphan_files, 0);
}

/* --- what is held -------------------------------------------------------- */

static void
nothing_is_removed_until_it_ends(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, 1);
	struct snapshot *snap = begin(t);

	collect_some(t);
	assert_true(has_file(t, &layer));
	snapshot_end(&snap);
	collect(t);
	assert_false(has_file(t, &layer));
	mt_check(t);
}

static void *
collect_thread(void *arg)
{
	struct mt *t = arg;

	collect(t);
	return (NULL);
}

static void
a_collection_waits_for_the_end(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, 1);
	pthread_t thread;

	gc_hold(t->s);
	gc_hold(t->s);
	assert_int_equal(pthread_create(&thread, NULL, collect_thread, t), 0);
	nap();
	gc_release(t->s);
	nap();
	assert_true(has_file(t, &layer));
	gc_release(t->s);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(has_file(t, &layer));
}

static void
a_collection_that_waits_can_be_ended(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, 1);

	gc_hold(t->s);
	collect_some(t);
	assert_true(has_file(t, &layer));
	gc_release(t->s);
}

/* Holding waits for what is being removed. */
struct holder {
	struct mt *t;
	pthread_t thread;
	bool begun;
	_Atomic bool held;
};

static void *
hold_thread(void *arg)
{
	struct holder *h = arg;

	gc_hold(h->t->s);
	atomic_store(&h->held, true);
	return (NULL);
}

static void
hold_meanwhile(void *arg)
{
	struct holder *h = arg;

	if (!h->begun) {
		h->begun = true;
		assert_int_equal(
		    pthread_create(&h->thread, NULL, hold_thread, h), 0);
	}
	nap();
	assert_false(atomic_load(&h->held));
}

static void
holding_waits_for_the_batch_that_is_under_way(void **state)
{
	struct mt *t = *state;
	struct holder h = { .t = t };
	struct digest one = push(t, 1);
	pthread_t thread;

	before_unlink = hold_meanwhile;
	before_unlink_arg = &h;
	assert_int_equal(pthread_create(&thread, NULL, collect_thread, t), 0);
	while (!h.held)
		nap();
	assert_false(has_file(t, &one));
	before_unlink = NULL;
	assert_int_equal(pthread_join(h.thread, NULL), 0);
	gc_release(t->s);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* An archived image's content stays where it is, too. */
static char *
tall_text(void)
{
	char *p = xmalloc(LARGE_BYTES + 64);
	size_t i;

	for (i = 0; i < LARGE_BYTES; i += 10)
		(void)snprintf(p + i, 64, "%09zu\n", i);
	return (p);
}

static struct digest
push_archived(struct mt *t, struct digest *image_r)
{
	char *p = tall_text();
	struct digest layer = push_bytes(t, p, LARGE_BYTES);

	free(p);
	*image_r = push_image(t, "archived", &layer);
	return (layer);
}

static void
archived_content_is_listed_and_stays(void **state)
{
	struct mt *t = *state;
	struct digest file = push(t, 7), image, layer;
	const struct snapshot_file *one;
	struct snapshot *snap;
	struct listed l;

	(void)push_image(t, "here", &file);
	layer = push_archived(t, &image);
	(void)status_set(t, &image, IMAGE_ARCHIVED);
	collect(t);
	assert_false(has_file(t, &layer));
	assert_int_equal(status_set(t, &image, IMAGE_ACTIVE), IMAGE_ACTIVATING);
	snap = begin(t);
	l = list(snapshot_path(snap));
	assert_int_equal(l.n, 2);
	/* In order of path. */
	one = &l.files[0];
	assert_true(digest_eq(&one->digest, &layer));
	assert_true(one->archived && one->compressed);
	assert_int_equal(one->size_bytes, LARGE_BYTES);
	assert_true(one->stored_bytes < LARGE_BYTES);
	assert_int_equal(strncmp(one->path, "archive/sha256/", 15), 0);
	assert_false(l.files[1].archived || l.files[1].compressed);
	assert_int_equal(strncmp(l.files[1].path, "blobs/sha256/", 13), 0);
	collect_some(t);
	assert_false(has_file(t, &layer));
	snapshot_end(&snap);
	collect(t);
	assert_true(has_file(t, &layer));
}

/* --- what is listed ------------------------------------------------------ */

static enum rc
quarantine(struct meta_txn *t, void *arg)
{
	return (meta_blob_quarantine(t, KEY_DOMAIN_PLAIN, arg));
}

static void
all_files_are_listed_once_in_order(void **state)
{
	struct mt *t = *state;
	struct digest bad = push(t, 100);
	struct snapshot *snap;
	struct listed l;
	unsigned i;

	for (i = 0; i < 20; i++)
		(void)push(t, i);
	(void)mt_blob(t, "team/app", "it lies in the database");
	assert_int_equal(meta_change(t->m, quarantine, &bad, 0), RC_OK);
	snap = begin(t);
	l = list(snapshot_path(snap));
	assert_int_equal(l.n, 20);
	for (i = 1; i < l.n; i++)
		assert_true(strcmp(l.files[i - 1].path, l.files[i].path) < 0);
	assert_null(listed(&l, &bad));
	snapshot_end(&snap);
}

static void
who_is_told_can_end_the_list(void **state)
{
	struct mt *t = *state;
	char why[SNAPSHOT_WHY_BYTES] = "x";
	struct listed l = { .rc = RC_TOOBIG };
	struct snapshot *snap;

	(void)push(t, 1);
	(void)push(t, 2);
	snap = begin(t);
	assert_int_equal(
	    snapshot_files(snapshot_path(snap), list_add, &l, why), RC_TOOBIG);
	assert_int_equal(l.n, 1);
	assert_string_equal(why, "");
	snapshot_end(&snap);
}

static void
what_are_no_metadata_is_said(void **state)
{
	struct mt *t = *state;
	char path[TOOL_PATH_BYTES], why[SNAPSHOT_WHY_BYTES] = "";
	char *bytes = tool_bytes(50000, 1);
	struct listed l = { 0 };

	(void)snprintf(path, sizeof(path), "%.400s/other", t->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%.400s/other/meta.mdb", t->dir);
	assert_int_equal(snapshot_files(path, list_add, &l, why), RC_CORRUPT);
	tool_file_write(path, bytes, 50000);
	why[0] = '\0';
	assert_int_equal(snapshot_files(path, list_add, &l, why), RC_CORRUPT);
	assert_non_null(strstr(why, "meta.mdb"));
	free(bytes);
}

static enum rc
format_raise(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (meta_format_set(t, STORE_FORMAT + 1));
}

static enum rc
format_back(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (meta_format_set(t, STORE_FORMAT));
}

static void
metadata_of_a_newer_format_are_not_read(void **state)
{
	struct mt *t = *state;
	char why[SNAPSHOT_WHY_BYTES] = "";
	struct listed l = { 0 };
	struct snapshot *snap;

	assert_int_equal(meta_change(t->m, format_raise, NULL, 0), RC_OK);
	snap = begin(t);
	assert_int_equal(
	    snapshot_files(snapshot_path(snap), list_add, &l, why), RC_VERSION);
	assert_non_null(strstr(why, "format"));
	snapshot_end(&snap);
	assert_int_equal(meta_change(t->m, format_back, NULL, 0), RC_OK);
}

/* --- names --------------------------------------------------------------- */

static bool
name_ok(
    const char *before, const char *part, const char *hex, const char *after)
{
	char path[SNAPSHOT_PATH_BYTES * 2];
	struct digest d, want = tool_digest("x", 1);
	bool content;

	(void)snprintf(
	    path, sizeof(path), "%s/%.2s/%s%s", before, part, hex, after);
	return (snapshot_name_ok(path, &content, &d) && content &&
		digest_eq(&d, &want));
}

static void
only_names_that_content_has_are_names(void **state)
{
	static const char *const bad[] = { "", "/", ".", "..", "/meta.mdb",
		"./meta.mdb", "meta.mdb/", "formats", "meta.mdb-lock",
		"master.key", "lock", "blobs", "blobs/", "blobs/sha256",
		"blobs/sha256/2d", "uploads/x", "quarantine/x",
		"../blobs/sha256/2d/2d", "archive/registryd-archive" };
	struct digest d = tool_digest("x", 1), got;
	char hex[2 * DIGEST_BYTES_MAX + 1];
	bool content = true;
	size_t i;

	(void)state;
	hex_encode(d.bytes, digest_len(d.alg), hex);
	assert_true(snapshot_name_ok("format", &content, &got));
	assert_false(content);
	assert_true(snapshot_name_ok("meta.mdb", &content, &got));
	assert_false(content);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(snapshot_name_ok(bad[i], &content, &got));
	assert_true(name_ok("blobs/sha256", hex, hex, ""));
	assert_true(name_ok("archive/sha256", hex, hex, ""));
	assert_false(name_ok("blobs/sha256", "ff", hex, ""));
	assert_false(name_ok("/blobs/sha256", hex, hex, ""));
	assert_false(name_ok("blobs//sha256", hex, hex, ""));
	assert_false(name_ok("blobs/./sha256", hex, hex, ""));
	assert_false(name_ok("blobs/sha512", hex, hex, ""));
	assert_false(name_ok("blobs/md5", hex, hex, ""));
	assert_false(name_ok("blobs/sha256", hex, hex, "/"));
	assert_false(name_ok("blobs/sha256", hex, hex, "ab"));
	assert_false(name_ok("blobs/sha256", hex, "", hex + 1));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_copy_is_of_one_moment),
		TEST(the_copy_is_the_owners_alone),
		TEST(there_is_at_most_one),
		TEST(what_a_crash_left_goes_at_the_next_start),
		cmocka_unit_test_setup_teardown(
		    the_check_of_the_folder_knows_it, ft_setup, ft_teardown),
		TEST(nothing_is_removed_until_it_ends),
		TEST(a_collection_waits_for_the_end),
		TEST(a_collection_that_waits_can_be_ended),
		TEST(holding_waits_for_the_batch_that_is_under_way),
		TEST(archived_content_is_listed_and_stays),
		TEST(all_files_are_listed_once_in_order),
		TEST(who_is_told_can_end_the_list),
		TEST(what_are_no_metadata_is_said),
		TEST(metadata_of_a_newer_format_are_not_read),
		TEST(only_names_that_content_has_are_names),
	};

	return (cmocka_run_group_tests_name("snapshot", tests, NULL, NULL));
}
