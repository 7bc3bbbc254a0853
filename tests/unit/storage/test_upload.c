#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "storage/collect_int.h"
#include "storage/content.h"
#include "storage/keys.h"
#include "storage/meta_int.h"
#include "storage/records.h"
#include "storage/repositories.h"
#include "storage/sealed.h"
#include "storage/upload.h"
#include "storage_tools.h"

#define REPO SPAN("team/app")
#define HOUR_MS ((int64_t)3600 * 1000)

struct fixture {
	char dir[TOOL_PATH_BYTES];
	struct store_options options;
	struct store *s;
};

/* All tests run twice: plain, and with content sealed. */
static bool sealed;

/* Syncs of content that fail when told so; the database has its own. */
static _Atomic int sync_errno;
/* What somebody else does meanwhile, once. */
typedef void meanwhile_fn(void *arg);
static meanwhile_fn *_Atomic sync_meanwhile;
static void *sync_meanwhile_arg;

int
fdatasync(int fd)
{
	meanwhile_fn *meanwhile = atomic_exchange(&sync_meanwhile, NULL);

	if (meanwhile != NULL)
		meanwhile(sync_meanwhile_arg);
	if (sync_errno != 0) {
		errno = sync_errno;
		return (-1);
	}
	return ((int)syscall(SYS_fdatasync, fd));
}

/* Writes of so much at once are pieces of a part. */
#define PIECE_BYTES 200000
#define ALL_WRITES INT_MAX

static _Atomic int pieces_left = ALL_WRITES; /* that the disk takes */
static _Atomic bool cut_fails;
static _Atomic bool unnamed_fails;

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (n >= PIECE_BYTES && pieces_left != ALL_WRITES &&
	    atomic_fetch_sub(&pieces_left, 1) <= 0) {
		errno = ENOSPC;
		return (-1);
	}
	return (syscall(SYS_pwrite64, fd, p, n, at));
}

int
ftruncate(int fd, off_t n)
{
	if (cut_fails) {
		errno = EIO;
		return (-1);
	}
	return ((int)syscall(SYS_ftruncate, fd, n));
}

/* Filesystems that know no files without names. */
int
openat(int fd, const char *path, int flags, ...)
{
	va_list args;
	int mode = 0;

	if (unnamed_fails && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return (-1);
	}
	if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {
		va_start(args, flags);
		mode = va_arg(args, int);
		va_end(args);
	}
	return ((int)syscall(SYS_openat, fd, path, flags, mode));
}

static void
store_start(struct fixture *f)
{
	f->s = tool_store_open(&f->options);
	if (!sealed)
		return;
	tool_keys_open(f->s);
	store_encryption_default_set(f->s, ENCRYPTION_AES256);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_LVL_ERROR);
	tool_folder(f->dir);
	f->options = tool_options(f->dir);
	store_start(f);
	*state = f;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	sync_errno = 0;
	pieces_left = ALL_WRITES;
	cut_fails = false;
	unnamed_fails = false;
	store_close(&f->s);
	tool_folder_remove(f->dir);
	free(f);
	return (0);
}

static void
reopen(struct fixture *f)
{
	store_close(&f->s);
	store_start(f);
}

/* --- short words --------------------------------------------------------- */

static void
start(struct fixture *f, char id[UPLOAD_ID_BYTES])
{
	assert_int_equal(
	    upload_start(f->s, REPO, DIGEST_SHA256, NULL, id), RC_OK);
}

static struct upload *
acquire(struct fixture *f, const char *id)
{
	struct upload *u = NULL;

	assert_int_equal(upload_acquire(f->s, REPO, span_of(id), &u), RC_OK);
	return (u);
}

static void
write_all(struct upload *u, const char *p, size_t n, size_t step)
{
	size_t at, len;

	for (at = 0; at < n; at += len) {
		len = n - at < step ? n - at : step;
		assert_int_equal(upload_write(u, p + at, len), RC_OK);
	}
}

static void
finish(struct fixture *f, const char *id, const struct digest *d)
{
	struct upload *u = acquire(f, id);

	assert_int_equal(
	    upload_finish(&u, d, &repository_preset_default), RC_OK);
	assert_null(u);
}

static void
append(struct fixture *f, const char *id, const char *p, size_t n)
{
	struct upload *u = acquire(f, id);

	write_all(u, p, n, n > 0 ? n : 1);
	upload_release(&u);
	assert_null(u);
}

static uint64_t
status(struct fixture *f, const char *id)
{
	uint64_t offset = UINT64_MAX;

	assert_int_equal(
	    upload_status(f->s, REPO, span_of(id), &offset), RC_OK);
	return (offset);
}

static void
assert_gone(struct fixture *f, const char *id)
{
	struct upload *u = NULL;
	uint64_t offset;

	assert_int_equal(
	    upload_status(f->s, REPO, span_of(id), &offset), RC_NOTFOUND);
	assert_int_equal(
	    upload_acquire(f->s, REPO, span_of(id), &u), RC_NOTFOUND);
}

static void
assert_content(
    struct fixture *f, const struct digest *d, const char *p, size_t n)
{
	struct content c;
	struct arena a;
	char *got = malloc(n + 1);

	arena_init(&a, n + 4096);
	assert_int_equal(
	    content_open(f->s, REPO, d, READ_BLOCKING, &a, &c), RC_OK);
	assert_int_equal(c.size_bytes, n);
	if (c.kind == CONTENT_MEMORY) {
		assert_int_equal(c.bytes.n, n);
		assert_memory_equal(c.bytes.p, p, n);
	} else {
		assert_int_equal(blob_file_read_all(&c.file, 0, got, n), RC_OK);
		assert_memory_equal(got, p, n);
		assert_int_equal(
		    blob_file_read_all(&c.file, 0, got, n + 1), RC_RANGE);
		content_close(&c);
	}
	arena_reset(&a);
	free(got);
}

static const char *
scratch_path(struct fixture *f, const char *id, char out[2 * TOOL_PATH_BYTES])
{
	snprintf(out, 2 * TOOL_PATH_BYTES, "%s/uploads/%s%s", f->dir, id,
	    sealed ? ".sealed" : "");
	return (out);
}

/* Of so much content. */
static uint64_t
file_bytes(uint64_t n)
{
	return (sealed ? sealed_file_bytes(n) : n);
}

static unsigned
scratches(struct fixture *f)
{
	char command[TOOL_PATH_BYTES + 64];
	FILE *p;
	unsigned n = 0;

	snprintf(command, sizeof(command), "ls '%s/uploads' | wc -l", f->dir);
	p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%u", &n), 1);
	(void)pclose(p);
	return (n);
}

/* --- the usual course ---------------------------------------------------- */

static void
push(struct fixture *f, size_t n, size_t step, uint8_t announced, uint8_t alg)
{
	char id[UPLOAD_ID_BYTES];
	char *p = tool_bytes(n, (unsigned)n);
	struct upload *u;
	struct digest d;

	digest_of(alg, p, n, &d);
	assert_int_equal(upload_start(f->s, REPO, announced, NULL, id), RC_OK);
	u = acquire(f, id);
	write_all(u, p, n, step);
	assert_int_equal(upload_offset(u), n);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_gone(f, id);
	assert_content(f, &d, p, n);
	assert_int_equal(scratches(f), 0);
	free(p);
}

static void
test_content_of_any_size_becomes_a_blob(void **state)
{
	static const size_t sizes[] = { 0, 1, 4096, 4097, 300000, 9 << 20 };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++)
		push(f, sizes[i], 100000, DIGEST_SHA256, DIGEST_SHA256);
	push(f, 1000, 1, DIGEST_SHA256, DIGEST_SHA256);
}

static void
test_final_digest_may_be_of_another_algorithm(void **state)
{
	static const size_t sizes[] = { 0, 100, 300000 };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		push(f, sizes[i], 70000, DIGEST_SHA256, DIGEST_SHA512);
		push(f, sizes[i], 70000, DIGEST_SHA512, DIGEST_SHA256);
		push(f, sizes[i], 70000, DIGEST_SHA512, DIGEST_SHA512);
	}
}

static void
test_content_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];
	char *p = tool_bytes(100000, 3);
	struct digest d = tool_digest(p, 100000);

	start(f, id);
	append(f, id, p, 100000);
	finish(f, id, &d);
	reopen(f);
	assert_content(f, &d, p, 100000);
	free(p);
}

static void
test_wrong_digest_leaves_the_session_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct digest wrong = tool_digest("x", 1), seen;
	struct digest so_far = tool_digest("hello", 5);
	struct digest right = tool_digest("hello world", 11);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "hello", 5, 5);
	assert_int_equal(
	    upload_finish(&u, &wrong, &repository_preset_default), RC_DIGEST);
	assert_non_null(u);
	assert_int_equal(upload_offset(u), 5);
	upload_seen(u, &seen);
	assert_true(digest_eq(&seen, &so_far));
	digest_of(DIGEST_SHA512, "y", 1, &wrong);
	assert_int_equal(
	    upload_finish(&u, &wrong, &repository_preset_default), RC_DIGEST);
	write_all(u, " world", 6, 6);
	assert_int_equal(
	    upload_finish(&u, &right, &repository_preset_default), RC_OK);
	assert_content(f, &right, "hello world", 11);
}

static void
test_rewind_forgets_what_came_behind(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello world", 11);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "hello, you", 10, 3);
	assert_int_equal(upload_rewind(u, 11), RC_RANGE);
	assert_int_equal(upload_rewind(u, 10), RC_OK);
	assert_int_equal(upload_rewind(u, 5), RC_OK);
	assert_int_equal(upload_offset(u), 5);
	upload_release(&u);
	append(f, id, " world", 6);
	finish(f, id, &d);
	assert_content(f, &d, "hello world", 11);
}

static void
test_repository_must_exist_unless_it_may_be_made(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "hello", 5, 5);
	assert_int_equal(upload_finish(&u, &d, NULL), RC_NOTFOUND);
	assert_non_null(u);
	assert_int_equal(
	    upload_whole(f->s, REPO, &d, SPAN("hello"), SPAN_NONE, NULL),
	    RC_NOTFOUND);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	start(f, id);
	u = acquire(f, id);
	write_all(u, "hello", 5, 5);
	assert_int_equal(upload_finish(&u, &d, NULL), RC_OK);
}

static void
repository_delete(struct fixture *f)
{
	struct repository_description d;
	struct arena a;

	arena_init(&a, 1 << 16);
	assert_int_equal(
	    meta_repository_delete(store_meta(f->s), REPO, true, &a, &d),
	    RC_OK);
	arena_reset(&a);
}

static void
test_upload_into_a_deleted_repository_finds_none(void **state)
{
	static const size_t sizes[] = { 5, 50000 }; /* database, file */
	struct fixture *f = *state;
	struct digest d;
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	char *text;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		text = tool_bytes(sizes[i], (unsigned)i);
		d = tool_digest("hello", 5);
		assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("hello"),
				     SPAN_NONE, &repository_preset_default),
		    RC_OK);
		start(f, id);
		append(f, id, text, 3);
		u = acquire(f, id);
		repository_delete(f);
		write_all(u, text + 3, sizes[i] - 3, 1000);
		d = tool_digest(text, sizes[i]);
		assert_int_equal(upload_finish(&u, &d, NULL), RC_NOTFOUND);
		upload_release(&u);
		assert_int_equal(upload_whole(f->s, REPO, &d,
				     (struct span){ text, 5 }, SPAN_NONE, NULL),
		    RC_NOTFOUND);
		assert_int_equal(upload_cancel(f->s, REPO, span_of(id)), RC_OK);
		assert_int_equal(
		    upload_acquire(f->s, REPO, span_of(id), &u), RC_NOTFOUND);
		free(text);
	}
}

/* --- who may, and when --------------------------------------------------- */

static void
test_session_belongs_to_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];
	struct upload *u, *second = NULL;

	start(f, id);
	u = acquire(f, id);
	assert_int_equal(
	    upload_acquire(f->s, REPO, span_of(id), &second), RC_BUSY);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(id)), RC_BUSY);
	write_all(u, "abc", 3, 3);
	assert_int_equal(status(f, id), 3);
	upload_release(&u);
	u = acquire(f, id);
	upload_release(&u);
	upload_release(&u);
}

static void
test_session_is_known_in_its_repository_only(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];
	struct upload *u = NULL;
	uint64_t offset;
	int i;

	start(f, id);
	/* In memory first, then as a row. */
	for (i = 0; i < 2; i++) {
		assert_int_equal(
		    upload_acquire(f->s, SPAN("team/other"), span_of(id), &u),
		    RC_NOTFOUND);
		assert_int_equal(upload_status(f->s, SPAN("team/other"),
				     span_of(id), &offset),
		    RC_NOTFOUND);
		assert_int_equal(
		    upload_cancel(f->s, SPAN("team/other"), span_of(id)),
		    RC_NOTFOUND);
		assert_int_equal(status(f, id), 0);
		reopen(f);
	}
	assert_int_equal(
	    upload_acquire(f->s, REPO, SPAN("nonsense"), &u), RC_NOTFOUND);
	assert_int_equal(upload_acquire(f->s, REPO,
			     SPAN("00000000000000000000000000000000"), &u),
	    RC_NOTFOUND);
}

static void
test_cancelled_session_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];

	start(f, id);
	append(f, id, "abc", 3);
	assert_int_equal(scratches(f), 1);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(id)), RC_OK);
	assert_gone(f, id);
	assert_int_equal(scratches(f), 0);
	reopen(f);
	assert_gone(f, id);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(id)), RC_NOTFOUND);
}

/* --- restarts ------------------------------------------------------------ */

static void
test_session_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(600000, 9);
	struct digest d = tool_digest(p, 600000);
	char id[UPLOAD_ID_BYTES];

	start(f, id);
	append(f, id, p, 250000);
	reopen(f);
	assert_int_equal(status(f, id), 250000);
	append(f, id, p + 250000, 250000);
	reopen(f);
	append(f, id, p + 500000, 100000);
	reopen(f);
	finish(f, id, &d);
	assert_content(f, &d, p, 600000);
	free(p);
}

static void
test_what_a_crash_left_of_a_scratch_is_the_offset(void **state)
{
	struct fixture *f = *state;
	char path[2 * TOOL_PATH_BYTES];
	struct digest d = tool_digest("abXY", 4);
	char id[UPLOAD_ID_BYTES];

	if (sealed) /* whole frames: below */
		return;
	start(f, id);
	append(f, id, "abcdef", 6);
	store_close(&f->s);
	tool_file_truncate(scratch_path(f, id, path), 2);
	store_start(f);
	assert_int_equal(status(f, id), 2);
	append(f, id, "XY", 2);
	finish(f, id, &d);
	assert_content(f, &d, "abXY", 4);
}

static void
test_row_without_a_scratch_starts_anew(void **state)
{
	struct fixture *f = *state;
	char path[2 * TOOL_PATH_BYTES];
	struct digest d = tool_digest("new", 3);
	char id[UPLOAD_ID_BYTES];

	start(f, id);
	append(f, id, "abcdef", 6);
	store_close(&f->s);
	assert_int_equal(unlink(scratch_path(f, id, path)), 0);
	store_start(f);
	assert_int_equal(status(f, id), 0);
	append(f, id, "new", 3);
	finish(f, id, &d);
	assert_content(f, &d, "new", 3);
}

static void
test_lost_scratch_is_noticed_by_the_next_write(void **state)
{
	struct fixture *f = *state;
	char path[2 * TOOL_PATH_BYTES];
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	append(f, id, "abcdef", 6);
	assert_int_equal(unlink(scratch_path(f, id, path)), 0);
	u = acquire(f, id);
	assert_int_equal(upload_write(u, "g", 1), RC_IO);
	assert_int_equal(upload_offset(u), 0);
	write_all(u, "new", 3, 3);
	upload_release(&u);
	assert_int_equal(status(f, id), 3);
}

/* --- limits -------------------------------------------------------------- */

static void
test_too_large_upload_is_refused_and_the_rest_kept(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("0123456789", 10);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	store_close(&f->s);
	f->options.upload_max_bytes = 10;
	f->s = tool_store_open(&f->options);
	start(f, id);
	u = acquire(f, id);
	write_all(u, "012345", 6, 6);
	assert_int_equal(upload_write(u, "6789A", 5), RC_TOOBIG);
	assert_int_equal(upload_offset(u), 6);
	write_all(u, "6789", 4, 4);
	assert_int_equal(upload_write(u, "A", 1), RC_TOOBIG);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	d = tool_digest("0123456789A", 11);
	assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("0123456789A"),
			     SPAN_NONE, &repository_preset_default),
	    RC_TOOBIG);
}

static void
test_number_of_sessions_is_bounded_over_restarts(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("", 0);
	char id[3][UPLOAD_ID_BYTES], more[UPLOAD_ID_BYTES];
	int i;

	store_close(&f->s);
	f->options.upload_sessions_max = 3;
	f->s = tool_store_open(&f->options);
	for (i = 0; i < 3; i++)
		start(f, id[i]);
	assert_int_equal(
	    upload_start(f->s, REPO, DIGEST_SHA256, NULL, more), RC_LIMIT);
	reopen(f);
	assert_int_equal(
	    upload_start(f->s, REPO, DIGEST_SHA256, NULL, more), RC_LIMIT);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(id[0])), RC_OK);
	start(f, more);
	assert_int_equal(
	    upload_start(f->s, REPO, DIGEST_SHA256, NULL, id[0]), RC_LIMIT);
	finish(f, id[1], &d);
	start(f, id[0]);
}

static void
test_reserve_of_the_disk_is_kept(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char id[UPLOAD_ID_BYTES], more[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	store_close(&f->s);
	f->options.reserve_bytes = UINT64_MAX / 2;
	f->s = tool_store_open(&f->options);
	assert_int_equal(
	    upload_start(f->s, REPO, DIGEST_SHA256, NULL, more), RC_NOSPACE);
	u = acquire(f, id);
	assert_int_equal(upload_write(u, "hello", 5), RC_NOSPACE);
	assert_int_equal(upload_offset(u), 0);
	upload_release(&u);
	assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("hello"), SPAN_NONE,
			     &repository_preset_default),
	    RC_NOSPACE);
}

static void
test_full_disk_fails_the_upload_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	char *p;
	struct digest d = tool_digest("small", 5);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	enum rc rc = RC_OK;
	uint64_t at;

	store_close(&f->s);
	if (!tool_tmpfs(f->dir, 16 << 20)) {
		f->s = tool_store_open(&f->options);
		print_message("no mount permitted\n");
		skip();
	}
	p = tool_bytes(24 << 20, 5);
	f->options.map_bytes = 4 << 20;
	f->s = tool_store_open(&f->options);
	start(f, id);
	u = acquire(f, id);
	for (at = 0; rc == RC_OK; at += 1 << 18)
		rc = upload_write(u, p + at, 1 << 18);
	assert_int_equal(rc, RC_NOSPACE);
	assert_int_equal(upload_offset(u), at - (1 << 18));
	upload_release(&u);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(id)), RC_OK);
	assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("small"), SPAN_NONE,
			     &repository_preset_default),
	    RC_OK);
	assert_content(f, &d, "small", 5);
	store_close(&f->s);
	tool_tmpfs_remove(f->dir);
	free(p);
}

static void
test_too_many_open_files_fail_one_write(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("abcdef", 6);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	enum rc rc;

	start(f, id);
	append(f, id, "abc", 3);
	u = acquire(f, id);
	tool_no_files(true);
	rc = upload_write(u, "def", 3);
	tool_no_files(false);
	assert_int_equal(rc, RC_LIMIT);
	assert_int_equal(upload_offset(u), 3);
	write_all(u, "def", 3, 3);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
}

static void
test_failed_sync_is_never_acknowledged(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(10000, 5);
	struct digest d = tool_digest(p, 10000);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct arena a;
	uint64_t size;

	start(f, id);
	u = acquire(f, id);
	write_all(u, p, 10000, 10000);
	sync_errno = EIO;
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_IO);
	sync_errno = 0;
	assert_true(store_failed(f->s));
	assert_int_equal(upload_offset(u), 0);
	/* The kernel would now call it synced. */
	assert_int_equal(upload_write(u, p, 10000), RC_IO);
	upload_release(&u);
	reopen(f);
	assert_false(store_failed(f->s));
	assert_int_equal(status(f, id), 0);
	arena_init(&a, 4096);
	assert_int_equal(content_stat(f->s, REPO, &d, READ_BLOCKING, &a, &size),
	    RC_NOTFOUND);
	append(f, id, p, 10000);
	finish(f, id, &d);
	assert_content(f, &d, p, 10000);
	arena_reset(&a);
	free(p);
}

/* --- content in one piece ------------------------------------------------ */

static void
whole(struct fixture *f, size_t n, struct span id)
{
	char *p = tool_bytes(n, (unsigned)n + 1);
	struct digest d = tool_digest(p, n);

	assert_int_equal(upload_whole(f->s, REPO, &d, (struct span){ p, n }, id,
			     &repository_preset_default),
	    RC_OK);
	assert_content(f, &d, p, n);
	assert_int_equal(scratches(f), 0);
	free(p);
}

static void
test_whole_content_of_any_size_becomes_a_blob(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(300000, 2);
	struct digest d = tool_digest(p, 300000);

	whole(f, 0, SPAN_NONE);
	whole(f, 10, SPAN_NONE);
	whole(f, 4096, SPAN_NONE);
	whole(f, 4097, SPAN_NONE);
	whole(f, upload_whole_max(f->s), SPAN_NONE);
	assert_int_equal(upload_whole(f->s, REPO, &d,
			     (struct span){ p, upload_whole_max(f->s) + 1 },
			     SPAN_NONE, &repository_preset_default),
	    RC_TOOBIG);
	free(p);
}

static void
test_whole_content_is_verified(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);

	assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("hellO"), SPAN_NONE,
			     &repository_preset_default),
	    RC_DIGEST);
}

static void
test_whole_content_ends_its_session(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	whole(f, 10, span_of(id));
	assert_gone(f, id);
	start(f, id);
	whole(f, 5000, span_of(id));
	assert_gone(f, id);
	reopen(f);
	assert_gone(f, id);
	assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("hello"),
			     span_of(id), &repository_preset_default),
	    RC_NOTFOUND);

	start(f, id);
	u = acquire(f, id);
	assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("hello"),
			     span_of(id), &repository_preset_default),
	    RC_BUSY);
	write_all(u, "x", 1, 1);
	upload_release(&u);
	assert_int_equal(upload_whole(f->s, REPO, &d, SPAN("hello"),
			     span_of(id), &repository_preset_default),
	    RC_RANGE);
	assert_int_equal(status(f, id), 1);
}

/* --- age ----------------------------------------------------------------- */

static unsigned
expire(struct fixture *f, int64_t in_ms, unsigned budget)
{
	struct upload_swept swept;

	assert_int_equal(
	    upload_sweep(f->s, clock_real_ms() + in_ms, budget, &swept), RC_OK);
	return (swept.sessions + swept.files);
}

static void
test_untouched_sessions_are_swept(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];

	start(f, id);
	append(f, id, "abc", 3);
	assert_int_equal(expire(f, HOUR_MS / 2, 10), 0);
	assert_int_equal(status(f, id), 3);
	assert_int_equal(expire(f, 2 * HOUR_MS, 10), 1);
	assert_gone(f, id);
	assert_int_equal(scratches(f), 0);
	reopen(f);
	assert_gone(f, id);
}

static void
test_sessions_known_only_as_rows_are_swept(void **state)
{
	struct fixture *f = *state;
	char id[2][UPLOAD_ID_BYTES];

	start(f, id[0]);
	append(f, id[0], "abc", 3);
	start(f, id[1]);
	reopen(f);
	assert_int_equal(expire(f, HOUR_MS / 2, 10), 0);
	assert_int_equal(expire(f, 2 * HOUR_MS, 10), 2);
	assert_gone(f, id[0]);
	assert_gone(f, id[1]);
	assert_int_equal(scratches(f), 0);
}

static void
test_acquired_session_is_not_swept(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("abc", 3);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "abc", 3, 3);
	assert_int_equal(expire(f, 2 * HOUR_MS, 10), 0);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
}

static void
test_expired_session_is_gone_before_the_sweep(void **state)
{
	struct fixture *f = *state;
	char path[2 * TOOL_PATH_BYTES];
	char id[UPLOAD_ID_BYTES];

	store_close(&f->s);
	/* Enough to start one in time. */
	f->options.upload_lifetime_ms = 2000;
	store_start(f);
	start(f, id);
	append(f, id, "abc", 3);
	(void)usleep(2050 * 1000);
	assert_gone(f, id);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(id)), RC_NOTFOUND);
	reopen(f);
	tool_file_age(scratch_path(f, id, path), 10000);
	assert_gone(f, id);
	assert_int_equal(expire(f, 0, 10), 1);
}

static void
test_sweep_keeps_to_its_budget(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];
	int i;

	for (i = 0; i < 5; i++)
		start(f, id);
	assert_int_equal(expire(f, 2 * HOUR_MS, 2), 2);
	reopen(f);
	assert_int_equal(expire(f, 2 * HOUR_MS, 2), 2);
	assert_int_equal(expire(f, 2 * HOUR_MS, 2), 1);
}

static void
test_scratch_that_no_session_knows_is_swept_when_old(void **state)
{
	struct fixture *f = *state;
	static const char stray[] = "0123456789abcdef0123456789abcdef";
	char path[2 * TOOL_PATH_BYTES];

	tool_file_write(scratch_path(f, stray, path), "x", 1);
	assert_int_equal(expire(f, 0, 10), 0);
	assert_true(tool_exists(path));
	tool_file_age(path, 2 * HOUR_MS);
	assert_int_equal(expire(f, 0, 10), 1);
	assert_false(tool_exists(path));
}

/* --- many at once -------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 10

struct pusher {
	struct store *s;
	unsigned n;
	_Atomic unsigned *busy;
	const char *id;
};

static void
push_one(struct store *s, const char *p, size_t n)
{
	struct digest d = tool_digest(p, n);
	struct upload *u = NULL;
	char id[UPLOAD_ID_BYTES];

	must(upload_start(s, REPO, DIGEST_SHA256, NULL, id) == RC_OK);
	must(upload_acquire(s, REPO, span_of(id), &u) == RC_OK);
	must(upload_write(u, p, n / 2) == RC_OK);
	must(upload_write(u, p + n / 2, n - n / 2) == RC_OK);
	must(upload_finish(&u, &d, &repository_preset_default) == RC_OK);
}

static void *
pusher_run(void *arg)
{
	struct pusher *p = arg;
	char *bytes;
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		bytes = tool_bytes(50000, i % 2 == 0 ? i : 100 * p->n + i);
		push_one(p->s, bytes, i % 3 == 0 ? 50000 : 2000);
		free(bytes);
	}
	return (NULL);
}

static void
threads_run(struct fixture *f, void *(*run)(void *), struct pusher p[THREADS])
{
	pthread_t t[THREADS];
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		p[i].s = f->s;
		p[i].n = i + 1;
		assert_int_equal(pthread_create(&t[i], NULL, run, &p[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
}

static void
test_many_push_the_same_content_at_once(void **state)
{
	struct fixture *f = *state;
	struct pusher p[THREADS] = { 0 };
	char *bytes;
	struct digest d;
	unsigned i;

	threads_run(f, pusher_run, p);
	for (i = 0; i < ROUNDS; i += 2) {
		bytes = tool_bytes(50000, i);
		d = tool_digest(bytes, i % 3 == 0 ? 50000 : 2000);
		assert_content(f, &d, bytes, i % 3 == 0 ? 50000 : 2000);
		free(bytes);
	}
	assert_int_equal(scratches(f), 0);
}

/* Each appends a byte whenever it gets hold of the session. */
static void *
rival_run(void *arg)
{
	struct pusher *p = arg;
	struct upload *u;
	uint64_t offset;
	unsigned done = 0;
	enum rc rc;

	while (done < 50) {
		u = NULL;
		rc = upload_acquire(p->s, REPO, span_of(p->id), &u);
		must(rc == RC_OK || rc == RC_BUSY);
		if (rc == RC_OK) {
			must(upload_write(u, "x", 1) == RC_OK);
			done++;
			upload_release(&u);
		} else {
			atomic_fetch_add(p->busy, 1);
		}
		rc = upload_status(p->s, REPO, span_of(p->id), &offset);
		must(rc == RC_OK && offset >= done);
	}
	return (NULL);
}

static void
test_rivals_for_a_session_take_turns(void **state)
{
	struct fixture *f = *state;
	struct pusher p[THREADS];
	_Atomic unsigned busy = 0;
	char id[UPLOAD_ID_BYTES], all[THREADS * 50];
	struct digest d;
	unsigned i;

	memset(all, 'x', sizeof(all));
	d = tool_digest(all, sizeof(all));
	start(f, id);
	for (i = 0; i < THREADS; i++)
		p[i] = (struct pusher){ .busy = &busy, .id = id };
	threads_run(f, rival_run, p);
	assert_int_equal(status(f, id), sizeof(all));
	finish(f, id, &d);
}

/* Of many who want a session that is only a row, none makes a second one. */
static void
test_rivals_revive_a_session_once(void **state)
{
	struct fixture *f = *state;
	struct pusher p[THREADS];
	_Atomic unsigned busy = 0;
	char id[UPLOAD_ID_BYTES];
	unsigned i;

	start(f, id);
	append(f, id, "x", 1);
	reopen(f);
	for (i = 0; i < THREADS; i++)
		p[i] = (struct pusher){ .busy = &busy, .id = id };
	threads_run(f, rival_run, p);
	assert_int_equal(status(f, id), THREADS * 50 + 1);
}

/* Pushes while the sweep runs with the eyes of one who lives much later. */
static void *
sweeper_run(void *arg)
{
	struct pusher *p = arg;
	struct upload_swept swept;
	unsigned i;

	if (p->n > 2)
		return (pusher_run(arg));
	for (i = 0; i < 50; i++)
		must(upload_sweep(p->s, clock_real_ms() + HOUR_MS / 2, 10,
			 &swept) == RC_OK);
	return (NULL);
}

static void
test_sweep_runs_beside_pushes(void **state)
{
	struct fixture *f = *state;
	struct pusher p[THREADS] = { 0 };

	threads_run(f, sweeper_run, p);
	assert_int_equal(scratches(f), 0);
}

/* --- content in memory --------------------------------------------------- */

static bool
scratch_is_there(struct fixture *f, const char *id)
{
	char path[2 * TOOL_PATH_BYTES];

	return (access(scratch_path(f, id, path), F_OK) == 0);
}

static void
test_content_for_the_database_needs_no_file_on_its_way(void **state)
{
	struct fixture *f = *state;
	size_t n = (size_t)f->options.inline_max_bytes;
	char id[UPLOAD_ID_BYTES], *p = calloc(1, n);
	struct digest d;
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	write_all(u, p, n, n / 3 + 1);
	assert_false(scratch_is_there(f, id));
	digest_of(DIGEST_SHA512, p, n, &d);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_false(scratch_is_there(f, id));
	assert_gone(f, id);
	free(p);
}

static void
test_content_that_outgrows_memory_goes_on_in_the_scratch(void **state)
{
	struct fixture *f = *state;
	size_t n = (size_t)f->options.inline_max_bytes + 1;
	char id[UPLOAD_ID_BYTES], *p = malloc(n);
	struct digest d;
	struct upload *u;

	memset(p, 7, n);
	start(f, id);
	u = acquire(f, id);
	write_all(u, p, n - 1, n - 1);
	assert_false(scratch_is_there(f, id));
	assert_int_equal(upload_write(u, p + n - 1, 1), RC_OK);
	assert_true(scratch_is_there(f, id));
	digest_of(DIGEST_SHA256, p, n, &d);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	free(p);
}

static void
test_content_in_memory_is_kept_when_told_and_when_released(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES], other[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	assert_int_equal(upload_write(u, "abc", 3), RC_OK);
	assert_int_equal(upload_keep(u), RC_OK);
	assert_true(scratch_is_there(f, id));
	assert_int_equal(upload_write(u, "def", 3), RC_OK);
	upload_release(&u);
	start(f, other);
	append(f, other, "xyz", 3);
	assert_true(scratch_is_there(f, other));
	reopen(f);
	assert_int_equal(status(f, id), 6);
	assert_int_equal(status(f, other), 3);
}

static void
test_memory_for_content_is_a_budget_of_all(void **state)
{
	struct fixture *f = *state;
	const size_t n = (size_t)128 * 1024, many = 4 * 1024 * 1024 / n + 4;
	size_t i, n_files = 0;
	char(*ids)[UPLOAD_ID_BYTES] = calloc(many, sizeof(*ids));
	struct upload **us = calloc(many, sizeof(struct upload *));
	char *p = calloc(1, n);

	f->options.inline_max_bytes = n;
	reopen(f);
	for (i = 0; i < many; i++) {
		start(f, ids[i]);
		us[i] = acquire(f, ids[i]);
		write_all(us[i], p, n, n);
		n_files += scratch_is_there(f, ids[i]) ? 1 : 0;
	}
	assert_int_equal(n_files, 4);
	for (i = 0; i < many; i++) {
		upload_release(&us[i]);
		assert_int_equal(status(f, ids[i]), n);
	}
	/* All of it was given back. */
	start(f, ids[0]);
	us[0] = acquire(f, ids[0]);
	write_all(us[0], p, n, n);
	assert_false(scratch_is_there(f, ids[0]));
	upload_release(&us[0]);
	free(p);
	free(us);
	free(ids);
}

/* --- parts --------------------------------------------------------------- */

#define MIN_BYTES 1000

static struct upload_part *
part_of(struct fixture *f, const char *p, size_t n)
{
	struct upload_part *part = NULL;
	size_t at, len;

	assert_int_equal(upload_part_new(f->s, &part), RC_OK);
	for (at = 0; at < n; at += len) {
		len = n - at < 7000 ? n - at : 7000;
		assert_int_equal(upload_part_write(part, p + at, len), RC_OK);
	}
	assert_int_equal(upload_part_size(part), n);
	return (part);
}

static enum rc
join(struct fixture *f, struct upload *u, const char *p, size_t n,
    uint32_t max_parts)
{
	const struct upload_part_rules rules = { .max_parts = max_parts,
		.min_bytes = MIN_BYTES };
	struct upload_part *part = part_of(f, p, n);
	enum rc rc;

	rc = upload_join(u, part, &rules);
	upload_part_free(&part);
	assert_null(part);
	return (rc);
}

/* Acquired for the one join. */
static void
join_one(struct fixture *f, const char *id, const char *p, size_t n)
{
	struct upload *u = acquire(f, id);

	assert_int_equal(join(f, u, p, n, 0), RC_OK);
	upload_release(&u);
}

static bool
short_inner(struct fixture *f, const char *id)
{
	struct upload *u = acquire(f, id);
	bool is = upload_short_inner(u);

	upload_release(&u);
	return (is);
}

static void
test_parts_joined_one_after_the_other_are_the_content(void **state)
{
	static const size_t sizes[] = { 1000, 262144, 262145, 1, 700000, 4000 };
	struct fixture *f = *state;
	char *p = tool_bytes(2 << 20, 3);
	struct digest d;
	char id[UPLOAD_ID_BYTES];
	size_t i, n = 0;

	start(f, id);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		join_one(f, id, p + n, sizes[i]);
		n += sizes[i];
		assert_int_equal(status(f, id), n);
		if (i % 2 == 1)
			reopen(f);
		/* Other ways of writing join in. */
		append(f, id, p + n, 10);
		n += 10;
	}
	d = tool_digest(p, n);
	finish(f, id, &d);
	assert_content(f, &d, p, n);
	assert_int_equal(scratches(f), 0);
	free(p);
}

static void
test_part_that_is_not_joined_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct upload_part *part;
	char id[UPLOAD_ID_BYTES];
	char *p = tool_bytes(50000, 4);
	struct digest d = tool_digest(p, 50000);
	int i;

	/* Where files without a name are known, and where not. */
	for (i = 0; i < 2; i++) {
		unnamed_fails = i == 1;
		start(f, id);
		part = part_of(f, p, 50000);
		assert_int_equal(scratches(f), 0);
		upload_part_free(&part);
		upload_part_free(&part);
		assert_int_equal(scratches(f), 0);
		assert_int_equal(status(f, id), 0);
		join_one(f, id, p, 50000);
		assert_int_equal(scratches(f), 1);
		finish(f, id, &d);
		assert_content(f, &d, p, 50000);
	}
	free(p);
}

static void
test_joined_part_is_kept_at_once(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("earlylate", 9);
	char id[UPLOAD_ID_BYTES];
	char path[2 * TOOL_PATH_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "early", 5, 5); /* in memory */
	assert_int_equal(join(f, u, "late", 4, 0), RC_OK);
	assert_int_equal(
	    tool_file_size(scratch_path(f, id, path)), file_bytes(9));
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_content(f, &d, "earlylate", 9);
	start(f, id);
	u = acquire(f, id);
	assert_int_equal(join(f, u, "late", 4, 0), RC_OK);
	assert_int_equal(
	    tool_file_size(scratch_path(f, id, path)), file_bytes(4));
	upload_release(&u);
}

static void
test_number_of_parts_is_bounded_over_restarts(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("aabbcc", 6);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	assert_int_equal(join(f, u, "aa", 2, 2), RC_OK);
	upload_release(&u);
	reopen(f);
	u = acquire(f, id);
	assert_int_equal(join(f, u, "bb", 2, 2), RC_OK);
	assert_int_equal(join(f, u, "cc", 2, 2), RC_LIMIT);
	assert_int_equal(upload_offset(u), 4);
	upload_release(&u);
	reopen(f);
	u = acquire(f, id);
	assert_int_equal(join(f, u, "cc", 2, 2), RC_LIMIT);
	assert_int_equal(join(f, u, "cc", 2, 3), RC_OK);
	assert_int_equal(join(f, u, "cc", 2, 3), RC_LIMIT);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
}

static void
test_short_part_matters_when_another_follows(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(MIN_BYTES, 1);
	char id[UPLOAD_ID_BYTES];
	int i;

	/* Without a restart between them, and with one. */
	for (i = 0; i < 2; i++) {
		start(f, id);
		join_one(f, id, p, MIN_BYTES);
		join_one(f, id, p, MIN_BYTES);
		assert_false(short_inner(f, id));
		join_one(f, id, p, MIN_BYTES - 1);
		if (i == 1)
			reopen(f);
		assert_false(short_inner(f, id));
		join_one(f, id, p, MIN_BYTES);
		if (i == 1)
			reopen(f);
		assert_true(short_inner(f, id));
		join_one(f, id, p, MIN_BYTES);
		assert_true(short_inner(f, id));
	}
	free(p);
}

static void
test_parts_of_lost_content_do_not_count(void **state)
{
	struct fixture *f = *state;
	char path[2 * TOOL_PATH_BYTES];
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	join_one(f, id, "aa", 2);
	join_one(f, id, "bb", 2);
	assert_true(short_inner(f, id));
	assert_int_equal(unlink(scratch_path(f, id, path)), 0);
	reopen(f);
	u = acquire(f, id);
	assert_int_equal(upload_offset(u), 0);
	assert_int_equal(join(f, u, "aa", 2, 1), RC_OK);
	assert_false(upload_short_inner(u));
	assert_int_equal(join(f, u, "bb", 2, 1), RC_LIMIT);
	upload_release(&u);
}

/* As it was: what was there, its hash, and how many parts there may be. */
static void
assert_as_it_was(struct fixture *f, struct upload *u, const char *p, size_t n)
{
	struct digest d = tool_digest(p, n + 10);

	assert_int_equal(upload_offset(u), n);
	assert_int_equal(join(f, u, p + n, 10, 2), RC_OK);
	assert_false(upload_short_inner(u));
	assert_int_equal(join(f, u, p, 1, 2), RC_LIMIT);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_content(f, &d, p, n + 10);
	assert_int_equal(scratches(f), 0);
}

static void
test_failed_join_leaves_the_session_as_it_was(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(1 << 20, 6);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct upload_part *part;
	const struct upload_part_rules rules = { .min_bytes = 800000 };
	int pieces;

	for (pieces = 0; pieces < 3; pieces++) {
		start(f, id);
		u = acquire(f, id);
		assert_int_equal(join(f, u, p, 5000, 0), RC_OK);
		part = part_of(f, p + 5000, 786432);
		pieces_left = pieces;
		assert_int_equal(upload_join(u, part, &rules), RC_NOSPACE);
		pieces_left = ALL_WRITES;
		upload_part_free(&part);
		assert_as_it_was(f, u, p, 5000);
	}
	free(p);
}

static void
test_failed_join_that_cannot_be_cut_off_is_later(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(1 << 20, 7);
	const struct upload_part_rules rules = { 0 };
	char id[UPLOAD_ID_BYTES], path[2 * TOOL_PATH_BYTES];
	struct upload_part *part;
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	assert_int_equal(join(f, u, p, 5000, 0), RC_OK);
	part = part_of(f, p + 5000, 786432);
	pieces_left = 1;
	cut_fails = true;
	assert_int_equal(upload_join(u, part, &rules), RC_NOSPACE);
	pieces_left = ALL_WRITES;
	cut_fails = false;
	assert_true(tool_file_size(scratch_path(f, id, path)) > 5000);
	upload_part_free(&part);
	assert_as_it_was(f, u, p, 5000);
	free(p);
}

static void
test_part_that_is_too_much_is_refused_as_a_whole(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(1 << 20, 8);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	store_close(&f->s);
	f->options.upload_max_bytes = 600000;
	f->s = tool_store_open(&f->options);
	start(f, id);
	u = acquire(f, id);
	assert_int_equal(join(f, u, p, 5000, 0), RC_OK);
	assert_int_equal(join(f, u, p + 5000, 595001, 0), RC_TOOBIG);
	assert_as_it_was(f, u, p, 5000);
	free(p);
}

static void
test_all_parts_together_keep_to_their_room(void **state)
{
	struct fixture *f = *state;
	struct upload_part *one, *two;
	char *p = tool_bytes(1000, 9);

	store_close(&f->s);
	f->options.part_max_bytes = 1500;
	f->s = tool_store_open(&f->options);
	assert_int_equal(upload_part_new(f->s, &one), RC_OK);
	assert_int_equal(upload_part_new(f->s, &two), RC_OK);
	assert_int_equal(upload_part_write(one, p, 1000), RC_OK);
	assert_int_equal(upload_part_write(two, p, 501), RC_BUSY);
	assert_int_equal(upload_part_write(two, p, 500), RC_OK);
	assert_int_equal(upload_part_write(one, p, 1), RC_BUSY);
	upload_part_free(&one);
	assert_int_equal(upload_part_write(two, p, 1000), RC_OK);
	upload_part_free(&two);
	free(p);
}

static void
test_parts_keep_to_the_reserve_of_the_disk(void **state)
{
	struct fixture *f = *state;
	struct upload_part *part = NULL;

	store_close(&f->s);
	f->options.reserve_bytes = UINT64_MAX / 2;
	f->s = tool_store_open(&f->options);
	assert_int_equal(upload_part_new(f->s, &part), RC_NOSPACE);
	assert_null(part);
}

static void
test_too_many_open_files_fail_one_part(void **state)
{
	struct fixture *f = *state;
	const struct upload_part_rules rules = { .max_parts = 2 };
	char *p = tool_bytes(6000, 9);
	struct upload_part *part, *none = NULL;
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	enum rc rc_new, rc_join;

	start(f, id);
	join_one(f, id, p, 5000);
	u = acquire(f, id);
	part = part_of(f, p, 10);
	tool_no_files(true);
	rc_new = upload_part_new(f->s, &none);
	rc_join = upload_join(u, part, &rules);
	tool_no_files(false);
	upload_part_free(&part);
	assert_int_equal(rc_new, RC_LIMIT);
	assert_null(none);
	/* Not that there are too many parts. */
	assert_int_equal(rc_join, RC_BUSY);
	assert_as_it_was(f, u, p, 5000);
	free(p);
}

static enum rc
row_of_version_1(struct meta_txn *t, void *arg)
{
	static const char value[] =
	    "\001\001\000\000\001\200\000\000\000\000team/app";
	struct rec_key k;

	key_str(&k, span_of(arg));
	return (kv_put(t, TABLE_UPLOADS, key_span(&k),
	    (struct span){ value, sizeof(value) - 1 }));
}

static void
test_session_of_an_older_version_goes_on(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES] = "00112233445566778899aabbccddeeff";
	struct digest d = tool_digest("aabb", 4);
	struct upload *u;

	store_close(&f->s);
	f->options.upload_lifetime_ms = 0;
	f->s = tool_store_open(&f->options);
	assert_int_equal(
	    meta_change(store_meta(f->s), row_of_version_1, id, 0), RC_OK);
	assert_int_equal(status(f, id), 0);
	u = acquire(f, id);
	assert_int_equal(join(f, u, "aa", 2, 1), RC_OK);
	assert_int_equal(join(f, u, "bb", 2, 1), RC_LIMIT);
	upload_release(&u);
	reopen(f);
	u = acquire(f, id);
	assert_int_equal(join(f, u, "bb", 2, 1), RC_LIMIT);
	assert_int_equal(join(f, u, "bb", 2, 2), RC_OK);
	assert_true(upload_short_inner(u));
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
}

/* The commit thread stands still until the queue is so long. */
#define POSTS 4096

struct standstill {
	struct store *s;
	_Atomic bool stands, goes_on;
};

static enum rc
stand_still(struct meta_txn *t, void *arg)
{
	struct standstill *st = arg;

	(void)t;
	st->stands = true;
	while (!st->goes_on)
		(void)usleep(1000);
	return (RC_OK);
}

static void *
standstill_run(void *arg)
{
	struct standstill *st = arg;

	must(meta_change(store_meta(st->s), stand_still, st, 0) == RC_OK);
	return (NULL);
}

/* Nobody else can: who would is waiting. */
static void *
release_run(void *arg)
{
	struct standstill *st = arg;
	struct store_stats stats;

	do {
		(void)usleep(1000);
		store_stats(st->s, &stats);
	} while (stats.commit_queue <= POSTS);
	st->goes_on = true;
	return (NULL);
}

static void
test_note_of_parts_waits_while_the_queue_is_full(void **state)
{
	struct fixture *f = *state;
	struct standstill st = { .s = f->s };
	struct upload_row row = { .parts = 0 };
	pthread_t still, release;
	struct upload *u;
	unsigned i;

	start(f, row.id);
	assert_int_equal(pthread_create(&still, NULL, standstill_run, &st), 0);
	while (!st.stands)
		(void)usleep(1000);
	for (i = 0; i < POSTS; i++) {
		row.parts = i;
		assert_int_equal(
		    meta_upload_parts(store_meta(f->s), &row), RC_OK);
	}
	assert_int_equal(meta_upload_add(store_meta(f->s), &row), RC_BUSY);
	assert_int_equal(pthread_create(&release, NULL, release_run, &st), 0);
	row.parts = 7;
	assert_int_equal(meta_upload_parts(store_meta(f->s), &row), RC_OK);
	assert_int_equal(pthread_join(release, NULL), 0);
	assert_int_equal(pthread_join(still, NULL), 0);
	reopen(f);
	append(f, row.id, "x", 1);
	u = acquire(f, row.id);
	assert_int_equal(join(f, u, "y", 1, 7), RC_LIMIT);
	assert_int_equal(join(f, u, "y", 1, 8), RC_OK);
	upload_release(&u);
}

static void
test_note_of_a_session_that_is_gone_makes_none(void **state)
{
	struct fixture *f = *state;
	struct upload_row row = { .parts = 3 };

	start(f, row.id);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(row.id)), RC_OK);
	assert_int_equal(meta_upload_parts(store_meta(f->s), &row), RC_OK);
	reopen(f);
	assert_gone(f, row.id);
}

/* --- readers while it comes ---------------------------------------------- */

static void
assert_reads(struct blob_file *file, const char *p, size_t n)
{
	char *got = malloc(n + 1);
	size_t more;

	assert_int_equal(blob_file_read_all(file, 0, got, n), RC_OK);
	assert_memory_equal(got, p, n);
	assert_int_equal(blob_file_read(file, n, got, 1, true, &more), RC_OK);
	assert_int_equal(more, 0);
	free(got);
}

static void
test_reader_sees_what_was_taken_and_what_follows(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];
	char *p = tool_bytes(100000, 11);
	struct digest d = tool_digest(p, 100000);
	struct upload *u;
	struct blob_file file;

	start(f, id);
	u = acquire(f, id);
	write_all(u, p, 1000, 1000);
	assert_int_equal(upload_reader(u, &file), RC_OK);
	assert_reads(&file, p, 1000);
	write_all(u, p + 1000, 99000, 7000);
	/* Whole frames, until it is known what it is. */
	assert_reads(&file, p, sealed ? SEALED_FRAME_BYTES : 100000);
	assert_int_equal(upload_verify(u, &d), RC_OK);
	assert_reads(&file, p, 100000);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_reads(&file, p, 100000);
	assert_content(f, &d, p, 100000);
	blob_file_close(&file);
	free(p);
}

/* Before the first byte, of content that ends in the database. */
static void
test_reader_of_short_content_outlives_the_session(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello world", 11);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct blob_file file;

	start(f, id);
	u = acquire(f, id);
	assert_int_equal(upload_reader(u, &file), RC_OK);
	assert_reads(&file, "", 0);
	write_all(u, "hello", 5, 5);
	assert_reads(&file, "hello", sealed ? 0 : 5);
	upload_release(&u);
	assert_reads(&file, "hello", 5);
	u = acquire(f, id);
	write_all(u, " world", 6, 6);
	assert_reads(&file, "hello world", sealed ? 5 : 11);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_reads(&file, "hello world", 11);
	assert_content(f, &d, "hello world", 11);
	assert_int_equal(scratches(f), 0);
	blob_file_close(&file);
}

static void
test_reader_of_a_session_left_empty_sees_what_comes_later(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("late", 4);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct blob_file file;

	start(f, id);
	u = acquire(f, id);
	assert_int_equal(upload_reader(u, &file), RC_OK);
	upload_release(&u);
	u = acquire(f, id);
	write_all(u, "late", 4, 4);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_reads(&file, "late", 4);
	blob_file_close(&file);
}

static void
test_reader_outlives_a_cancelled_session(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct blob_file file;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "hello", 5, 5);
	assert_int_equal(upload_reader(u, &file), RC_OK);
	upload_release(&u);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(id)), RC_OK);
	assert_reads(&file, "hello", 5);
	blob_file_close(&file);
}

static void
test_reader_without_a_descriptor_left_is_refused(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct blob_file file;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "hello", 5, 5);
	tool_no_files(true);
	assert_int_equal(upload_reader(u, &file), RC_LIMIT);
	tool_no_files(false);
	assert_int_equal(upload_offset(u), 5);
	assert_int_equal(upload_reader(u, &file), RC_OK);
	assert_reads(&file, "hello", 5);
	blob_file_close(&file);
	upload_release(&u);
}

static void
verify(size_t n, uint8_t announced, uint8_t alg, struct fixture *f)
{
	char id[UPLOAD_ID_BYTES];
	char *p = tool_bytes(n, (unsigned)n);
	struct digest d, part, wrong = tool_digest("x", 1);
	struct upload *u;

	digest_of(alg, p, n, &d);
	digest_of(alg, p, n / 2, &part);
	assert_int_equal(upload_start(f->s, REPO, announced, NULL, id), RC_OK);
	u = acquire(f, id);
	write_all(u, p, n / 2, 70000);
	assert_int_equal(upload_verify(u, &part), RC_OK);
	assert_int_equal(upload_verify(u, &d), RC_DIGEST);
	write_all(u, p + n / 2, n - n / 2, 70000);
	assert_int_equal(upload_verify(u, &part), RC_DIGEST);
	assert_int_equal(upload_verify(u, &wrong), RC_DIGEST);
	assert_int_equal(upload_verify(u, &d), RC_OK);
	assert_int_equal(upload_offset(u), n);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_content(f, &d, p, n);
	free(p);
}

static void
test_content_can_be_verified_before_it_is_a_blob(void **state)
{
	struct fixture *f = *state;

	verify(100, DIGEST_SHA256, DIGEST_SHA256, f);
	verify(300000, DIGEST_SHA256, DIGEST_SHA256, f);
	verify(300001, DIGEST_SHA256, DIGEST_SHA512, f);
}

static void
test_what_was_verified_and_then_cut_is_hashed_anew(void **state)
{
	struct fixture *f = *state;
	struct digest long_one = tool_digest("hello world", 11);
	struct digest short_one = tool_digest("hello", 5);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;

	start(f, id);
	u = acquire(f, id);
	write_all(u, "hello world", 11, 11);
	assert_int_equal(upload_verify(u, &long_one), RC_OK);
	assert_int_equal(upload_rewind(u, 5), RC_OK);
	assert_int_equal(upload_verify(u, &long_one), RC_DIGEST);
	assert_int_equal(
	    upload_finish(&u, &short_one, &repository_preset_default), RC_OK);
	assert_content(f, &short_one, "hello", 5);
}

/* --- sealed -------------------------------------------------------------- */

/* Is it anywhere in the folder, in whatever file? */
static bool
on_disk(const struct fixture *f, const char *below, const char *text)
{
	char command[TOOL_PATH_BYTES + 256];

	(void)snprintf(command, sizeof(command),
	    "grep -r -a -q -F -e '%s' '%.400s/%s'", text, f->dir, below);
	return (system(command) == 0);
}

static const struct repository_preset *
preset_of(enum encryption_type type)
{
	static struct repository_preset preset;

	preset = repository_preset_default;
	preset.settings.encryption = type;
	return (&preset);
}

static void
repository_make(struct store *s, enum encryption_type type)
{
	struct repository_create create = {
		.name = REPO, .preset = *preset_of(type), .now_ms = 1
	};
	struct repository_row row;

	must(meta_repository_create(store_meta(s), &create, &row) == RC_OK);
	must((repo_domain(row.id) != 0) == (type != ENCRYPTION_NONE));
}

static void
repository_drop(struct store *s)
{
	struct repository_description was;
	struct arena a;

	arena_init(&a, 65536);
	must(meta_repository_delete(store_meta(s), REPO, true, &a, &was) ==
	     RC_OK);
	arena_reset(&a);
}

/* Where its file is: in the clear, sealed, or both. */
static void
assert_lies(
    struct fixture *f, const struct digest *d, bool plain, bool is_sealed)
{
	char path[2 * TOOL_PATH_BYTES], file[TOOL_PATH_BYTES];
	size_t n = strlen(f->dir) + strlen("/blobs");

	(void)tool_blob_path(f->dir, d, file);
	assert_int_equal(tool_exists(file), plain);
	(void)snprintf(path, sizeof(path), "%.*s/k1%s", (int)n, file, file + n);
	assert_int_equal(tool_exists(path), is_sealed);
}

#define PLAINTEXT "this is what nobody may find on a disk that was stolen"

/* ${n} bytes, full of it. */
static char *
telling(size_t n)
{
	static const char text[] = PLAINTEXT "\n";
	char *p = malloc(n);
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = text[i % (sizeof(text) - 1)];
	return (p);
}

static void
test_nothing_that_is_sealed_is_in_the_clear_on_the_disk(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 300, 4000, 50000, 700000 };
	char id[UPLOAD_ID_BYTES], *p = telling(700000);
	struct digest d;
	struct upload *u;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		d = tool_digest(p, sizes[i]);
		start(f, id);
		u = acquire(f, id);
		write_all(u, p, sizes[i] / 2, 30000);
		upload_release(&u);
		assert_int_equal(on_disk(f, ".", PLAINTEXT), !sealed);
		reopen(f);
		assert_int_equal(status(f, id), sizes[i] / 2);
		u = acquire(f, id);
		assert_int_equal(join(f, u, p + sizes[i] / 2, 100, 0), RC_OK);
		write_all(u, p + sizes[i] / 2 + 100, sizes[i] / 2 - 100, 30000);
		assert_int_equal(
		    upload_finish(&u, &d, &repository_preset_default), RC_OK);
		assert_content(f, &d, p, sizes[i]);
		assert_int_equal(scratches(f), 0);
		assert_int_equal(on_disk(f, ".", PLAINTEXT), !sealed);
	}
	d = tool_digest(p, 200000);
	assert_int_equal(upload_whole(f->s, REPO, &d,
			     (struct span){ p, 200000 }, SPAN_NONE, NULL),
	    RC_OK);
	assert_content(f, &d, p, 200000);
	assert_int_equal(on_disk(f, ".", PLAINTEXT), !sealed);
	free(p);
}

static void
test_torn_frame_of_a_crash_is_not_counted(void **state)
{
	struct fixture *f = *state;
	char path[2 * TOOL_PATH_BYTES], id[UPLOAD_ID_BYTES];
	char *p = tool_bytes(200000, 3);
	struct digest d = tool_digest(p, 200000);
	struct upload *u;

	start(f, id);
	append(f, id, p, 150000);
	store_close(&f->s);
	tool_file_truncate(
	    scratch_path(f, id, path), (int64_t)sealed_file_bytes(140000));
	store_start(f);
	assert_int_equal(status(f, id), 2 * SEALED_FRAME_BYTES);
	u = acquire(f, id);
	assert_int_equal(upload_offset(u), 2 * SEALED_FRAME_BYTES);
	write_all(u, p + upload_offset(u), 200000 - upload_offset(u), 9000);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_content(f, &d, p, 200000);
	free(p);
}

static void
test_changed_scratch_starts_anew(void **state)
{
	struct fixture *f = *state;
	char path[2 * TOOL_PATH_BYTES], id[UPLOAD_ID_BYTES];
	char *p = tool_bytes(200000, 3);
	struct digest d = tool_digest(p, 200000);
	struct upload *u;

	start(f, id);
	append(f, id, p, 150000);
	store_close(&f->s);
	tool_file_flip(scratch_path(f, id, path), 70000);
	store_start(f);
	/* The end of it is as it was. */
	assert_int_equal(status(f, id), 150000);
	u = acquire(f, id);
	assert_int_equal(upload_write(u, "x", 1), RC_IO);
	assert_int_equal(upload_offset(u), 0);
	write_all(u, p, 200000, 9000);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_content(f, &d, p, 200000);
	free(p);
}

static void
test_session_without_its_key_waits_for_it(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(100000, 3);
	struct digest d = tool_digest(p, 100000);
	char id[UPLOAD_ID_BYTES];
	struct upload *u = NULL;
	char other[UPLOAD_ID_BYTES];

	start(f, id);
	append(f, id, p, 100000);
	start(f, other);
	append(f, other, p, 100000);
	store_close(&f->s);
	f->s = tool_store_open(&f->options);
	assert_int_equal(status(f, id), 100000);
	u = acquire(f, id);
	assert_int_equal(upload_write(u, p, 1), RC_LOCKED);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_LOCKED);
	assert_int_equal(upload_offset(u), 100000);
	upload_release(&u);
	assert_int_equal(upload_cancel(f->s, REPO, span_of(other)), RC_OK);
	reopen(f);
	finish(f, id, &d);
	assert_content(f, &d, p, 100000);
	free(p);
}

/* A session begins as ${first} would be, and ends in a repository that was made
 * as ${then} meanwhile. */
static void
moves(struct fixture *f, enum encryption_type first, enum encryption_type then,
    size_t n, bool restart)
{
	char id[UPLOAD_ID_BYTES], *p = telling(n);
	struct digest d = tool_digest(p, n);
	bool is_sealed = then != ENCRYPTION_NONE;

	assert_int_equal(
	    upload_start(f->s, REPO, DIGEST_SHA256,
		first == ENCRYPTION_DEFAULT ? NULL : preset_of(first), id),
	    RC_OK);
	append(f, id, p, n);
	if (first != ENCRYPTION_NONE)
		assert_false(on_disk(f, "uploads", PLAINTEXT));
	if (restart)
		reopen(f);
	repository_make(f->s, then);
	finish(f, id, &d);
	assert_content(f, &d, p, n);
	assert_int_equal(scratches(f), 0);
	if (n > f->options.inline_max_bytes)
		assert_lies(f, &d, !is_sealed, is_sealed);
	free(p);
}

static void
test_content_ends_as_its_repository_keeps_it(void **state)
{
	static const enum encryption_type types[] = { ENCRYPTION_NONE,
		ENCRYPTION_AES256, ENCRYPTION_DEFAULT };
	struct fixture *f = *state;
	size_t i, j, k;

	for (i = 0; i < ARRAY_LEN(types); i++)
		for (j = 0; j < 2; j++)
			for (k = 0; k < 4; k++) {
				moves(f, types[i], types[j],
				    k < 2 ? 300000 + 10 * i + j : 900,
				    k % 2 == 0);
				repository_drop(f->s);
			}
}

struct meanwhile {
	struct fixture *f;
	enum encryption_type then;
};

static void
made_anew(void *arg)
{
	const struct meanwhile *m = arg;

	repository_drop(m->f->s);
	repository_make(m->f->s, m->then);
}

static void
test_repository_made_anew_in_the_last_moment_gets_it_in_its_way(void **state)
{
	struct fixture *f = *state;
	struct meanwhile m = { .f = f };
	char id[UPLOAD_ID_BYTES], *p = telling(300000);
	struct digest d;
	size_t i;

	repository_make(f->s, ENCRYPTION_AES256);
	for (i = 0; i < 2; i++) {
		d = tool_digest(p, 300000 - i);
		start(f, id);
		append(f, id, p, 300000 - i);
		m.then = i == 0 ? ENCRYPTION_NONE : ENCRYPTION_AES256;
		sync_meanwhile_arg = &m;
		sync_meanwhile = made_anew;
		finish(f, id, &d);
		assert_null(sync_meanwhile);
		assert_content(f, &d, p, 300000 - i);
		/* The first place is for the collector. */
		assert_lies(f, &d, true, true);
		assert_true(store_orphans_suspected(f->s));
		assert_int_equal(scratches(f), 0);
	}
	free(p);
}

static void
test_rewound_content_is_sealed_anew(void **state)
{
	struct fixture *f = *state;
	char id[UPLOAD_ID_BYTES], *p = tool_bytes(300000, 3);
	char path[2 * TOOL_PATH_BYTES], file[TOOL_PATH_BYTES];
	struct digest d = tool_digest(p, 300000);
	uint8_t was[32], is[32];
	struct upload *u;
	size_t n;
	int fd;

	start(f, id);
	append(f, id, p, 200000);
	fd = open(scratch_path(f, id, path), O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, was, 32, 16), 32);
	(void)close(fd);
	u = acquire(f, id);
	assert_int_equal(upload_rewind(u, 100000), RC_OK);
	write_all(u, p + 100000, 200000, 9000);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	assert_content(f, &d, p, 300000);
	assert_int_equal(scratches(f), 0);
	(void)tool_blob_path(f->dir, &d, file);
	n = strlen(f->dir) + strlen("/blobs");
	(void)snprintf(path, sizeof(path), "%.*s/k1%s", (int)n, file, file + n);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, is, 32, 16), 32);
	assert_memory_not_equal(was, is, 32);
	(void)close(fd);
	free(p);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_content_for_the_database_needs_no_file_on_its_way),
		TEST(test_content_that_outgrows_memory_goes_on_in_the_scratch),
		TEST(
		    test_content_in_memory_is_kept_when_told_and_when_released),
		TEST(test_memory_for_content_is_a_budget_of_all),
		TEST(test_content_of_any_size_becomes_a_blob),
		TEST(test_final_digest_may_be_of_another_algorithm),
		TEST(test_content_survives_a_restart),
		TEST(test_wrong_digest_leaves_the_session_as_it_was),
		TEST(test_rewind_forgets_what_came_behind),
		TEST(test_repository_must_exist_unless_it_may_be_made),
		TEST(test_upload_into_a_deleted_repository_finds_none),
		TEST(test_session_belongs_to_one_at_a_time),
		TEST(test_session_is_known_in_its_repository_only),
		TEST(test_cancelled_session_leaves_nothing),
		TEST(test_session_goes_on_after_a_restart),
		TEST(test_what_a_crash_left_of_a_scratch_is_the_offset),
		TEST(test_row_without_a_scratch_starts_anew),
		TEST(test_lost_scratch_is_noticed_by_the_next_write),
		TEST(test_too_large_upload_is_refused_and_the_rest_kept),
		TEST(test_number_of_sessions_is_bounded_over_restarts),
		TEST(test_reserve_of_the_disk_is_kept),
		TEST(test_full_disk_fails_the_upload_and_nothing_else),
		TEST(test_too_many_open_files_fail_one_write),
		TEST(test_failed_sync_is_never_acknowledged),
		TEST(test_whole_content_of_any_size_becomes_a_blob),
		TEST(test_whole_content_is_verified),
		TEST(test_whole_content_ends_its_session),
		TEST(test_untouched_sessions_are_swept),
		TEST(test_sessions_known_only_as_rows_are_swept),
		TEST(test_acquired_session_is_not_swept),
		TEST(test_expired_session_is_gone_before_the_sweep),
		TEST(test_sweep_keeps_to_its_budget),
		TEST(test_scratch_that_no_session_knows_is_swept_when_old),
		TEST(test_many_push_the_same_content_at_once),
		TEST(test_rivals_for_a_session_take_turns),
		TEST(test_rivals_revive_a_session_once),
		TEST(test_sweep_runs_beside_pushes),
		TEST(test_parts_joined_one_after_the_other_are_the_content),
		TEST(test_part_that_is_not_joined_leaves_nothing),
		TEST(test_joined_part_is_kept_at_once),
		TEST(test_number_of_parts_is_bounded_over_restarts),
		TEST(test_short_part_matters_when_another_follows),
		TEST(test_parts_of_lost_content_do_not_count),
		TEST(test_failed_join_leaves_the_session_as_it_was),
		TEST(test_failed_join_that_cannot_be_cut_off_is_later),
		TEST(test_part_that_is_too_much_is_refused_as_a_whole),
		TEST(test_all_parts_together_keep_to_their_room),
		TEST(test_parts_keep_to_the_reserve_of_the_disk),
		TEST(test_too_many_open_files_fail_one_part),
		TEST(test_session_of_an_older_version_goes_on),
		TEST(test_note_of_parts_waits_while_the_queue_is_full),
		TEST(test_note_of_a_session_that_is_gone_makes_none),
		TEST(test_reader_sees_what_was_taken_and_what_follows),
		TEST(test_reader_of_short_content_outlives_the_session),
		TEST(test_reader_of_a_session_left_empty_sees_what_comes_later),
		TEST(test_reader_outlives_a_cancelled_session),
		TEST(test_reader_without_a_descriptor_left_is_refused),
		TEST(test_content_can_be_verified_before_it_is_a_blob),
		TEST(test_what_was_verified_and_then_cut_is_hashed_anew),
		TEST(test_nothing_that_is_sealed_is_in_the_clear_on_the_disk),
	};

	const struct CMUnitTest only_sealed[] = {
		TEST(test_torn_frame_of_a_crash_is_not_counted),
		TEST(test_changed_scratch_starts_anew),
		TEST(test_session_without_its_key_waits_for_it),
		TEST(test_content_ends_as_its_repository_keeps_it),
		TEST(
		    test_repository_made_anew_in_the_last_moment_gets_it_in_its_way),
		TEST(test_rewound_content_is_sealed_anew),
	};
	int failed;

	failed = cmocka_run_group_tests_name("upload", tests, NULL, NULL);
	sealed = true;
	failed +=
	    cmocka_run_group_tests_name("upload, sealed", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name(
	    "upload, only sealed", only_sealed, NULL, NULL);
	return (failed);
}
