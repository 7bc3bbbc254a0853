#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/obj.h"
#include "storage/blobs.h"
#include "storage/sealed.h"
#include "storage/store_int.h"
#include "storage_tools.h"

#define ID_A "0123456789abcdef0123456789abcdef"
#define ID_B "ffffffffffffffffffffffffffffffff"

struct fixture {
	char dir[TOOL_PATH_BYTES];
	int dir_fd;
	struct blobs *b;
};

/* Syncs that fail when told so: the room's calls end here. */
static _Atomic int sync_errno;
static _Atomic int sync_skip;

static int
sync_call(long number, int fd)
{
	if (sync_errno != 0 && sync_skip-- <= 0) {
		errno = sync_errno;
		return (-1);
	}
	return ((int)syscall(number, fd));
}

int
fsync(int fd)
{
	return (sync_call(SYS_fsync, fd));
}

int
fdatasync(int fd)
{
	return (sync_call(SYS_fdatasync, fd));
}

/* The ${n}th sync from now on and all behind it fail; 0: all succeed. */
static void
syncs_fail(int n, int err)
{
	sync_skip = n - 1;
	sync_errno = err;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_LVL_ERROR);
	tool_folder(f->dir);
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	assert_int_equal(blobs_fs_open(f->dir_fd, f->dir, false, &f->b), RC_OK);
	blobs_keys_set(f->b, tool_key, NULL);
	*state = f;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	syncs_fail(0, 0);
	blobs_fs_close(&f->b);
	(void)close(f->dir_fd);
	tool_folder_remove(f->dir);
	free(f);
	return (0);
}

static void
put(struct blobs *b, const char *id, uint32_t domain, const struct digest *d,
    const void *p, size_t n)
{
	struct scratch *s = NULL;

	assert_int_equal(scratch_create(b, 0, id, &s), RC_OK);
	assert_int_equal(scratch_append(s, p, n), RC_OK);
	assert_int_equal(scratch_place(s, domain, d), RC_OK);
	scratch_close(&s);
}

static void
assert_blob(struct blobs *b, const struct digest *d, const char *p, size_t n)
{
	char *got = malloc(n + 1);
	struct blob_file file;

	assert_int_equal(blobs_open(b, 0, d, READ_BLOCKING, &file), RC_OK);
	assert_null(file.sealed);
	assert_int_equal(file.size_bytes, n);
	assert_int_equal(pread(file.fd, got, n + 1, 0), n);
	assert_memory_equal(got, p, n);
	blob_file_close(&file);
	assert_int_equal(file.fd, -1);
	free(got);
}

/* --- scratches ----------------------------------------------------------- */

static void
test_scratch_keeps_what_was_appended(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = NULL;
	char got[6];

	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "abc", 3), RC_OK);
	assert_int_equal(scratch_append(s, "def", 3), RC_OK);
	scratch_close(&s);
	assert_null(s);
	scratch_close(&s);

	assert_int_equal(scratch_open(f->b, ID_A, &s), RC_OK);
	assert_int_equal(scratch_size(s), 6);
	assert_int_equal(scratch_read(s, 0, got, 6), RC_OK);
	assert_memory_equal(got, "abcdef", 6);
	assert_int_equal(scratch_read(s, 4, got, 3), RC_RANGE);
	assert_int_equal(scratch_read(s, UINT64_MAX, got, 1), RC_RANGE);
	assert_int_equal(scratch_truncate(s, 7), RC_RANGE);
	assert_int_equal(scratch_truncate(s, 2), RC_OK);
	assert_int_equal(scratch_append(s, "X", 1), RC_OK);
	assert_int_equal(scratch_read(s, 0, got, 3), RC_OK);
	assert_memory_equal(got, "abX", 3);
	scratch_close(&s);
}

static void
test_scratch_is_private_and_made_once(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = NULL, *again = NULL;
	char path[2 * TOOL_PATH_BYTES];
	struct stat st;

	assert_int_equal(scratch_open(f->b, ID_A, &s), RC_NOTFOUND);
	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_create(f->b, 0, ID_A, &again), RC_EXISTS);
	snprintf(path, sizeof(path), "%s/uploads/%s", f->dir, ID_A);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	scratch_close(&s);
	assert_int_equal(scratch_remove(f->b, ID_A), RC_OK);
	assert_int_equal(scratch_remove(f->b, ID_A), RC_OK);
	assert_false(tool_exists(path));
}

static void
test_scratch_of_a_strange_id_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = NULL;
	uint64_t size;
	int64_t ms;

	assert_int_equal(scratch_open(f->b, "../format", &s), RC_NOTFOUND);
	assert_int_equal(scratch_open(f->b, "", &s), RC_NOTFOUND);
	assert_int_equal(scratch_open(f->b, ID_A "0", &s), RC_NOTFOUND);
	assert_int_equal(scratch_stat(f->b, "..", &size, &ms), RC_NOTFOUND);
}

static void
test_full_disk_takes_nothing_of_an_append(void **state)
{
	struct fixture *f = *state;
	struct blobs *b = NULL;
	struct scratch *s = NULL;
	char dir[TOOL_PATH_BYTES];
	char *p;
	char got[4];
	int fd;

	(void)f;
	tool_folder(dir);
	if (!tool_tmpfs(dir, 1 << 20)) {
		tool_folder_remove(dir);
		print_message("no mount permitted\n");
		skip();
	}
	p = tool_bytes(1 << 20, 1);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(blobs_fs_open(fd, dir, false, &b), RC_OK);
	assert_int_equal(scratch_create(b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "abcd", 4), RC_OK);
	assert_int_equal(scratch_append(s, p, 1 << 20), RC_NOSPACE);
	assert_int_equal(scratch_size(s), 4);
	scratch_close(&s);
	assert_int_equal(scratch_open(b, ID_A, &s), RC_OK);
	assert_int_equal(scratch_size(s), 4);
	assert_int_equal(scratch_append(s, p, 1 << 19), RC_OK);
	assert_int_equal(scratch_read(s, 0, got, 4), RC_OK);
	assert_memory_equal(got, "abcd", 4);
	scratch_close(&s);
	blobs_fs_close(&b);
	(void)close(fd);
	tool_tmpfs_remove(dir);
	tool_folder_remove(dir);
	free(p);
}

/* --- blobs --------------------------------------------------------------- */

static void
test_blob_is_found_by_its_digest_once_placed(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char path[2 * TOOL_PATH_BYTES];
	uint64_t size;
	struct blob_file file;

	assert_int_equal(
	    blobs_open(f->b, 0, &d, READ_BLOCKING, &file), RC_NOTFOUND);
	assert_int_equal(
	    blobs_stat(f->b, 0, &d, READ_BLOCKING, &size), RC_NOTFOUND);
	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_blob(f->b, &d, "hello", 5);
	assert_int_equal(tool_file_size(tool_blob_path(f->dir, &d, path)), 5);
	snprintf(path, sizeof(path), "%s/uploads/%s", f->dir, ID_A);
	assert_false(tool_exists(path));
	assert_int_equal(blobs_stat(f->b, 0, &d, READ_BLOCKING, &size), RC_OK);
	assert_int_equal(size, 5);
	assert_int_equal(blobs_stat(f->b, 0, &d, READ_INLINE, &size), RC_OK);
	assert_int_equal(blobs_open(f->b, 0, &d, READ_INLINE, &file), RC_OK);
	blob_file_close(&file);
}

static void
test_large_blob_comes_back_whole(void **state)
{
	struct fixture *f = *state;
	size_t n = 9 << 20, step = 300 * 1000, at, len;
	char *p = tool_bytes(n, 7);
	struct digest d = tool_digest(p, n);
	struct scratch *s = NULL;

	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	for (at = 0; at < n; at += len) {
		len = n - at < step ? n - at : step;
		assert_int_equal(scratch_append(s, p + at, len), RC_OK);
	}
	assert_int_equal(scratch_place(s, 0, &d), RC_OK);
	scratch_close(&s);
	assert_blob(f->b, &d, p, n);
	free(p);
}

static void
test_sha512_and_key_domains_have_their_own_folders(void **state)
{
	struct fixture *f = *state;
	struct digest d, d256 = tool_digest("x", 1);
	char path[2 * TOOL_PATH_BYTES];
	uint64_t size;

	digest_of(DIGEST_SHA512, "x", 1, &d);
	put(f->b, ID_A, 0, &d, "x", 1);
	assert_blob(f->b, &d, "x", 1);
	put(f->b, ID_A, 7, &d256, "x", 1);
	assert_int_equal(
	    blobs_stat(f->b, 0, &d256, READ_BLOCKING, &size), RC_NOTFOUND);
	assert_int_equal(
	    blobs_stat(f->b, 7, &d256, READ_BLOCKING, &size), RC_OK);
	snprintf(path, sizeof(path), "%s/blobs/k7/sha256", f->dir);
	assert_true(tool_exists(path));
	assert_int_equal(blobs_remove(f->b, 7, &d256), RC_OK);
}

static void
test_placing_over_damage_heals_it(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char path[2 * TOOL_PATH_BYTES];

	put(f->b, ID_A, 0, &d, "hello", 5);
	tool_file_truncate(tool_blob_path(f->dir, &d, path), 2);
	put(f->b, ID_B, 0, &d, "hello", 5);
	assert_blob(f->b, &d, "hello", 5);
}

static void
test_removed_blob_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);

	assert_int_equal(blobs_remove(f->b, 0, &d), RC_NOTFOUND);
	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_int_equal(blobs_remove(f->b, 0, &d), RC_OK);
	assert_int_equal(blobs_remove(f->b, 0, &d), RC_NOTFOUND);
}

static void
test_folder_goes_with_its_last_blob_and_is_made_again(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char path[2 * TOOL_PATH_BYTES];

	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_int_equal(blobs_folders_removed(f->b), 0);
	assert_int_equal(blobs_remove(f->b, 0, &d), RC_OK);
	assert_int_equal(blobs_folders_removed(f->b), 1);
	tool_blob_path(f->dir, &d, path);
	*strrchr(path, '/') = '\0';
	assert_false(tool_exists(path));
	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_blob(f->b, &d, "hello", 5);
}

static void
test_folder_stays_for_what_else_is_in_it(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5), other = d;

	other.bytes[31] ^= 1;
	put(f->b, ID_A, 0, &d, "hello", 5);
	put(f->b, ID_A, 0, &other, "other", 5);
	assert_int_equal(blobs_remove(f->b, 0, &other), RC_OK);
	assert_int_equal(blobs_folders_removed(f->b), 0);
	assert_blob(f->b, &d, "hello", 5);
}

static void
test_folder_made_again_is_durable_before_it_is_used(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct scratch *s = NULL;
	uint64_t size;

	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_int_equal(blobs_remove(f->b, 0, &d), RC_OK);
	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "hello", 5), RC_OK);
	/* The content's own sync is the first. */
	syncs_fail(2, EIO);
	assert_int_equal(scratch_place(s, 0, &d), RC_IO);
	syncs_fail(0, 0);
	scratch_close(&s);
	assert_int_equal(
	    blobs_stat(f->b, 0, &d, READ_BLOCKING, &size), RC_NOTFOUND);
}

static void
test_folders_that_somebody_removed_are_made_again(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char path[TOOL_PATH_BYTES + 32];

	put(f->b, ID_A, 0, &d, "hello", 5);
	snprintf(path, sizeof(path), "%s/blobs/sha256", f->dir);
	tool_folder_remove(path);
	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_blob(f->b, &d, "hello", 5);
}

static unsigned
folders_of(const struct fixture *f)
{
	char path[TOOL_PATH_BYTES + 32];
	struct dirent *e;
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/blobs/sha256", f->dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	assert_int_equal(closedir(dir), 0);
	return (n);
}

static void
test_sweep_removes_the_empty_folders(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct digest d512;

	digest_of(DIGEST_SHA512, "x", 1, &d512);
	put(f->b, ID_A, 0, &d, "hello", 5);
	put(f->b, ID_A, 0, &d512, "x", 1);
	put(f->b, ID_A, 7, &d, "hello", 5);
	assert_int_equal(folders_of(f), 256);
	assert_int_equal(blobs_folders_sweep(f->b), RC_OK);
	assert_int_equal(blobs_folders_removed(f->b), 3 * 255);
	assert_int_equal(folders_of(f), 1);
	assert_blob(f->b, &d, "hello", 5);
	assert_blob(f->b, &d512, "x", 1);
}

static void
test_only_the_folder_that_is_needed_is_made_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);

	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_int_equal(blobs_remove(f->b, 0, &d), RC_OK);
	assert_int_equal(blobs_folders_sweep(f->b), RC_OK);
	assert_int_equal(folders_of(f), 0);
	blobs_fs_close(&f->b);
	assert_int_equal(blobs_fs_open(f->dir_fd, f->dir, false, &f->b), RC_OK);
	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_int_equal(folders_of(f), 1);
}

static void
test_what_is_no_file_is_not_a_blob(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char path[2 * TOOL_PATH_BYTES];
	struct blob_file file;

	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_int_equal(unlink(tool_blob_path(f->dir, &d, path)), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(
	    blobs_open(f->b, 0, &d, READ_BLOCKING, &file), RC_NOTFOUND);
	assert_int_equal(
	    blobs_open(f->b, 0, &d, READ_INLINE, &file), RC_NOTFOUND);
}

static void
test_too_many_open_files_is_a_limit(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct scratch *s = NULL;
	struct blob_file file;
	enum rc open_rc, inline_rc, create_rc;

	put(f->b, ID_A, 0, &d, "hello", 5);
	tool_no_files(true);
	open_rc = blobs_open(f->b, 0, &d, READ_BLOCKING, &file);
	inline_rc = blobs_open(f->b, 0, &d, READ_INLINE, &file);
	create_rc = scratch_create(f->b, 0, ID_A, &s);
	tool_no_files(false);
	assert_int_equal(open_rc, RC_LIMIT);
	assert_int_equal(inline_rc, RC_LIMIT);
	assert_int_equal(create_rc, RC_LIMIT);
	assert_blob(f->b, &d, "hello", 5);
}

/* --- quarantine ---------------------------------------------------------- */

static unsigned
quarantined(const struct fixture *f)
{
	char command[TOOL_PATH_BYTES + 64];
	FILE *p;
	unsigned n = 0;

	snprintf(
	    command, sizeof(command), "ls '%s/quarantine' | wc -l", f->dir);
	p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%u", &n), 1);
	(void)pclose(p);
	return (n);
}

static void
test_quarantined_blob_is_kept_aside(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	uint64_t size;
	struct blob_file file;

	put(f->b, ID_A, 0, &d, "hellO", 5);
	assert_int_equal(blobs_open(f->b, 0, &d, READ_BLOCKING, &file), RC_OK);
	assert_int_equal(blobs_quarantine(f->b, 0, &d, file.fd), RC_OK);
	assert_int_equal(quarantined(f), 1);
	assert_int_equal(
	    blobs_stat(f->b, 0, &d, READ_BLOCKING, &size), RC_NOTFOUND);
	assert_int_equal(blobs_quarantine(f->b, 0, &d, file.fd), RC_NOTFOUND);
	blob_file_close(&file);
}

static void
test_blob_healed_meanwhile_is_not_quarantined(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct blob_file file;

	put(f->b, ID_A, 0, &d, "hellO", 5);
	assert_int_equal(blobs_open(f->b, 0, &d, READ_BLOCKING, &file), RC_OK);
	put(f->b, ID_A, 0, &d, "hello", 5);
	assert_int_equal(blobs_quarantine(f->b, 0, &d, file.fd), RC_BUSY);
	blob_file_close(&file);
	assert_int_equal(quarantined(f), 0);
	assert_blob(f->b, &d, "hello", 5);
}

/* --- failing syncs ------------------------------------------------------- */

static void
test_content_whose_sync_failed_is_thrown_away(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct scratch *s = NULL;
	uint64_t size;

	put(f->b, ID_B, 0, &d, "hello", 5);
	assert_int_equal(blobs_remove(f->b, 0, &d), RC_OK);
	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "hello", 5), RC_OK);
	assert_false(blobs_fs_sync_failed(f->b));
	syncs_fail(1, EIO);
	assert_int_equal(scratch_place(s, 0, &d), RC_IO);
	syncs_fail(0, 0);
	assert_true(blobs_fs_sync_failed(f->b));
	assert_int_equal(scratch_size(s), 0);
	scratch_close(&s);
	assert_int_equal(scratch_open(f->b, ID_A, &s), RC_NOTFOUND);
	assert_int_equal(
	    blobs_stat(f->b, 0, &d, READ_BLOCKING, &size), RC_NOTFOUND);
}

static void
test_disk_found_full_by_a_sync_fails_that_content_only(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct scratch *s = NULL;

	put(f->b, ID_B, 0, &d, "hello", 5);
	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "hello", 5), RC_OK);
	syncs_fail(1, ENOSPC);
	assert_int_equal(scratch_place(s, 0, &d), RC_NOSPACE);
	syncs_fail(0, 0);
	scratch_close(&s);
	assert_false(blobs_fs_sync_failed(f->b));
	assert_blob(f->b, &d, "hello", 5);
}

static void
test_failed_sync_of_the_folder_is_not_success(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct scratch *s = NULL;

	put(f->b, ID_B, 0, &d, "hello", 5);
	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "hello", 5), RC_OK);
	syncs_fail(2, EIO);
	assert_int_equal(scratch_place(s, 0, &d), RC_IO);
	syncs_fail(0, 0);
	assert_int_equal(scratch_size(s), 0);
	assert_true(blobs_fs_sync_failed(f->b));
	scratch_close(&s);
}

/* --- walks --------------------------------------------------------------- */

struct seen {
	unsigned blobs, foreign, scratches;
	uint64_t bytes;
	uint32_t domains;
	bool stop;
};

static int
seen_blob(void *arg, uint32_t domain, const struct digest *d, uint64_t size,
    const char *path)
{
	struct seen *seen = arg;

	assert_int_equal(strncmp(path, "blobs/", 6), 0);
	if (d == NULL) {
		seen->foreign++;
	} else {
		seen->blobs++;
		seen->bytes += size;
		seen->domains += domain;
	}
	return (seen->stop);
}

static int
seen_scratch(void *arg, const char *id, uint64_t size, int64_t changed_ms)
{
	struct seen *seen = arg;

	assert_string_equal(id, ID_A);
	assert_true(changed_ms > 0);
	seen->scratches++;
	seen->bytes += size;
	return (0);
}

static void
file_drop(const struct fixture *f, const char *where)
{
	char path[2 * TOOL_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", f->dir, where);
	tool_file_write(path, "?", 1);
}

static void
test_walk_tells_blobs_from_other_files(void **state)
{
	struct fixture *f = *state;
	struct digest a = tool_digest("a", 1), b = tool_digest("bb", 2);
	struct seen seen = { 0 };

	put(f->b, ID_A, 0, &a, "a", 1);
	put(f->b, ID_A, 5, &b, "bb", 2);
	file_drop(f, "blobs/README");
	file_drop(f, "blobs/sha256/zz");
	file_drop(f, "blobs/sha256/00/short");
	assert_int_equal(blobs_walk(f->b, seen_blob, &seen), RC_OK);
	assert_int_equal(seen.blobs, 2);
	assert_int_equal(seen.bytes, 3);
	assert_int_equal(seen.domains, 5);
	assert_int_equal(seen.foreign, 3);

	seen = (struct seen){ .stop = true };
	assert_int_equal(blobs_walk(f->b, seen_blob, &seen), RC_OK);
	assert_int_equal(seen.blobs + seen.foreign, 1);
}

static void
test_walk_finds_scratches(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = NULL;
	struct seen seen = { 0 };

	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "abc", 3), RC_OK);
	scratch_close(&s);
	file_drop(f, "uploads/README");
	assert_int_equal(blobs_scratch_walk(f->b, seen_scratch, &seen), RC_OK);
	assert_int_equal(seen.scratches, 1);
	assert_int_equal(seen.bytes, 3);
}

/* --- many at once -------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 20

struct pusher {
	struct blobs *b;
	unsigned n;
};

/* Half of what a thread pushes is its own, half the others push too. */
static void *
pusher_run(void *arg)
{
	struct pusher *p = arg;
	struct scratch *s;
	struct digest d;
	char id[UPLOAD_ID_BYTES], text[32];
	unsigned i;
	size_t len;

	for (i = 0; i < ROUNDS; i++) {
		snprintf(id, sizeof(id), "%016x%016x", p->n, i);
		len = (size_t)snprintf(
		    text, sizeof(text), "%u-%u", i % 2 == 0 ? 0 : p->n, i);
		digest_of(DIGEST_SHA256, text, len, &d);
		s = NULL;
		must(scratch_create(p->b, 0, id, &s) == RC_OK);
		must(scratch_append(s, text, len) == RC_OK);
		must(scratch_place(s, 0, &d) == RC_OK);
		scratch_close(&s);
	}
	return (NULL);
}

static void
test_many_place_the_same_blobs_at_once(void **state)
{
	struct fixture *f = *state;
	struct pusher p[THREADS];
	pthread_t t[THREADS];
	struct seen seen = { 0 };
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		p[i] = (struct pusher){ f->b, i + 1 };
		assert_int_equal(
		    pthread_create(&t[i], NULL, pusher_run, &p[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(blobs_walk(f->b, seen_blob, &seen), RC_OK);
	assert_int_equal(seen.blobs, ROUNDS / 2 + THREADS * ROUNDS / 2);
	seen = (struct seen){ 0 };
	assert_int_equal(blobs_scratch_walk(f->b, seen_scratch, &seen), RC_OK);
	assert_int_equal(seen.scratches, 0);
}

/* Its own blobs come and go; those of all threads lie in one folder, which is
 * empty again and again. */
static void *
comer_run(void *arg)
{
	struct pusher *p = arg;
	struct digest d = { .alg = DIGEST_SHA256, .bytes = { 0xab } };
	struct scratch *s;
	char id[UPLOAD_ID_BYTES];
	uint64_t size;
	unsigned i;

	d.bytes[1] = (uint8_t)p->n;
	for (i = 0; i < 5 * ROUNDS; i++) {
		snprintf(id, sizeof(id), "%016x%016x", p->n, i);
		s = NULL;
		must(scratch_create(p->b, 0, id, &s) == RC_OK);
		must(scratch_append(s, "x", 1) == RC_OK);
		must(scratch_place(s, 0, &d) == RC_OK);
		scratch_close(&s);
		must(blobs_stat(p->b, 0, &d, READ_BLOCKING, &size) == RC_OK);
		must(blobs_remove(p->b, 0, &d) == RC_OK);
	}
	return (NULL);
}

static void
test_folder_that_comes_and_goes_loses_no_blob(void **state)
{
	struct fixture *f = *state;
	struct pusher p[THREADS];
	pthread_t t[THREADS];
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		p[i] = (struct pusher){ f->b, i + 1 };
		assert_int_equal(
		    pthread_create(&t[i], NULL, comer_run, &p[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_true(blobs_folders_removed(f->b) > 0);
	assert_int_equal(folders_of(f), 255);
}

/* --- sealed -------------------------------------------------------------- */

static const char *
sealed_path(
    struct fixture *f, const struct digest *d, char out[TOOL_PATH_BYTES])
{
	char plain[TOOL_PATH_BYTES];
	size_t n = strlen(f->dir) + strlen("/blobs");

	(void)tool_blob_path(f->dir, d, plain);
	(void)snprintf(
	    out, TOOL_PATH_BYTES, "%.*s/k7%.300s", (int)n, plain, plain + n);
	return (out);
}

static void
put_sealed(struct fixture *f, uint32_t scratch, uint32_t domain,
    const struct digest *d, const char *p, size_t n)
{
	struct scratch *s = NULL;

	assert_int_equal(scratch_create(f->b, scratch, ID_A, &s), RC_OK);
	assert_int_equal(scratch_domain(s), scratch);
	assert_int_equal(scratch_append(s, p, n), RC_OK);
	assert_int_equal(scratch_place(s, domain, d), RC_OK);
	assert_int_equal(scratch_size(s), 0);
	scratch_close(&s);
}

static unsigned
scratches(struct fixture *f)
{
	struct seen seen = { 0 };

	assert_int_equal(blobs_scratch_walk(f->b, seen_scratch, &seen), RC_OK);
	return (seen.scratches);
}

static void
assert_sealed_blob(
    struct fixture *f, const struct digest *d, const char *p, size_t n)
{
	char *got = malloc(n + 1);
	struct blob_file file;
	uint64_t size;

	assert_int_equal(blobs_stat(f->b, 7, d, READ_BLOCKING, &size), RC_OK);
	assert_int_equal(size, n);
	assert_int_equal(blobs_open(f->b, 7, d, READ_INLINE, &file), RC_OK);
	assert_non_null(file.sealed);
	assert_int_equal(file.size_bytes, n);
	assert_int_equal(blob_file_read_all(&file, 0, got, n), RC_OK);
	assert_memory_equal(got, p, n);
	blob_file_close(&file);
	free(got);
}

static void
test_content_is_placed_as_its_key_domain_asks(void **state)
{
	static const uint32_t domains[] = { 0, 5, 7 };
	struct fixture *f = *state;
	char *p = tool_bytes(300000, 1), path[TOOL_PATH_BYTES];
	struct digest d = tool_digest(p, 300000);
	size_t i;

	for (i = 0; i < 3; i++) {
		put_sealed(f, domains[i], 7, &d, p, 300000);
		assert_sealed_blob(f, &d, p, 300000);
		assert_int_equal(tool_file_size(sealed_path(f, &d, path)),
		    sealed_file_bytes(300000));
		put_sealed(f, domains[i], 0, &d, p, 300000);
		assert_blob(f->b, &d, p, 300000);
		assert_int_equal(scratches(f), 0);
		assert_int_equal(blobs_remove(f->b, 0, &d), RC_OK);
		assert_int_equal(blobs_remove(f->b, 7, &d), RC_OK);
	}
	free(p);
}

static void
test_sealed_scratch_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(300000, 1), path[2 * TOOL_PATH_BYTES];
	struct digest d = tool_digest(p, 300000);
	struct scratch *s = NULL, *again = NULL;
	uint64_t size = 0;
	int64_t ms;

	assert_int_equal(scratch_create(f->b, 7, ID_A, &s), RC_OK);
	assert_int_equal(scratch_create(f->b, 7, ID_A, &again), RC_EXISTS);
	assert_int_equal(scratch_create(f->b, 0, ID_A, &again), RC_EXISTS);
	assert_int_equal(scratch_append(s, p, 100000), RC_OK);
	scratch_close(&s);
	snprintf(path, sizeof(path), "%s/uploads/%s.sealed", f->dir, ID_A);
	assert_int_equal(tool_file_size(path), sealed_file_bytes(100000));
	assert_int_equal(scratch_stat(f->b, ID_A, &size, &ms), RC_OK);
	assert_int_equal(size, 100000);
	tool_file_truncate(path, tool_file_size(path) - 1);
	assert_int_equal(scratch_measure(f->b, ID_A, &size), RC_OK);
	assert_int_equal(size, SEALED_FRAME_BYTES);
	assert_int_equal(scratch_measure(f->b, ID_B, &size), RC_NOTFOUND);
	assert_int_equal(scratches(f), 1);

	assert_int_equal(scratch_open(f->b, ID_A, &s), RC_OK);
	assert_int_equal(scratch_domain(s), 7);
	size = scratch_size(s);
	assert_int_equal(size, SEALED_FRAME_BYTES);
	assert_int_equal(scratch_append(s, p + size, 300000 - size), RC_OK);
	assert_int_equal(scratch_place(s, 7, &d), RC_OK);
	scratch_close(&s);
	assert_sealed_blob(f, &d, p, 300000);
	assert_int_equal(scratches(f), 0);
	free(p);
}

static void
test_what_is_removed_goes_by_all_its_names(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = NULL;

	assert_int_equal(scratch_create(f->b, 7, ID_A, &s), RC_OK);
	scratch_close(&s);
	file_drop(f, "uploads/" ID_A ".copy");
	file_drop(f, "uploads/" ID_A ".other");
	assert_int_equal(scratches(f), 2);
	assert_int_equal(scratch_remove(f->b, ID_A), RC_OK);
	assert_int_equal(scratches(f), 0);
}

static void
test_part_is_sealed_under_a_key_of_its_own(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(200000, 1), *got = malloc(300000);
	struct scratch *s = NULL;
	char path[64];
	ssize_t n;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* The next descriptor will be that of the file. */
	(void)close(fd);
	assert_int_equal(scratch_unnamed(f->b, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, p, 200000), RC_OK);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, got, 300000);
	assert_in_range(n, 190000, 300000);
	assert_null(memmem(got, (size_t)n, p + 1000, 16));
	(void)close(fd);
	assert_int_equal(scratch_read(s, 0, got, 200000), RC_OK);
	assert_memory_equal(got, p, 200000);
	scratch_close(&s);
	free(got);
	free(p);
}

static void
test_what_no_key_is_here_for_is_locked(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct scratch *s = NULL;
	struct blob_file file;
	uint64_t size;
	int fd = -1;

	assert_int_equal(
	    scratch_create(f->b, TOOL_DOMAIN_LOCKED, ID_A, &s), RC_LOCKED);
	assert_null(s);
	assert_int_equal(scratches(f), 0);
	/* Nor can it be copied there: the content stays. */
	assert_int_equal(scratch_create(f->b, 7, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "hello", 5), RC_OK);
	assert_int_equal(scratch_place(s, TOOL_DOMAIN_LOCKED, &d), RC_LOCKED);
	assert_int_equal(scratch_size(s), 5);
	assert_int_equal(scratches(f), 1);
	assert_int_equal(scratch_place(s, 7, &d), RC_OK);
	scratch_close(&s);
	assert_int_equal(scratch_create(f->b, 7, ID_A, &s), RC_OK);
	scratch_close(&s);

	blobs_keys_set(f->b, NULL, NULL);
	assert_int_equal(
	    blobs_open(f->b, 7, &d, READ_BLOCKING, &file), RC_LOCKED);
	assert_int_equal(file.fd, -1);
	assert_int_equal(scratch_open(f->b, ID_A, &s), RC_LOCKED);
	assert_int_equal(blobs_stat(f->b, 7, &d, READ_INLINE, &size), RC_OK);
	assert_int_equal(size, 5);
	assert_int_equal(
	    blobs_open_raw(f->b, 7, &d, READ_INLINE, &fd, &size), RC_OK);
	assert_int_equal(size, sealed_file_bytes(5));
	(void)close(fd);
	assert_int_equal(blobs_remove(f->b, 7, &d), RC_OK);
	assert_int_equal(scratch_remove(f->b, ID_A), RC_OK);
}

static void
test_sealed_file_that_is_not_genuine_can_be_put_aside(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	char path[TOOL_PATH_BYTES];
	struct blob_file file;
	uint64_t size;
	int fd = -1;

	put_sealed(f, 7, 7, &d, "hello", 5);
	tool_file_flip(sealed_path(f, &d, path), 100);
	assert_int_equal(
	    blobs_open(f->b, 7, &d, READ_BLOCKING, &file), RC_CORRUPT);
	assert_int_equal(
	    blobs_open_raw(f->b, 7, &d, READ_BLOCKING, &fd, &size), RC_OK);
	assert_int_equal(blobs_quarantine(f->b, 7, &d, fd), RC_OK);
	(void)close(fd);
	assert_int_equal(quarantined(f), 1);
	assert_int_equal(
	    blobs_open(f->b, 7, &d, READ_BLOCKING, &file), RC_NOTFOUND);
}

static void
test_sealed_blob_of_one_domain_is_none_of_another(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5), e = tool_digest("jello", 5);
	char from[TOOL_PATH_BYTES], to[TOOL_PATH_BYTES];
	struct blob_file file;

	put_sealed(f, 5, 5, &d, "hello", 5);
	put_sealed(f, 7, 7, &d, "hello", 5);
	put_sealed(f, 7, 7, &e, "jello", 5);
	(void)sealed_path(f, &d, to);
	(void)snprintf(from, sizeof(from), "%.200s/blobs/k5/%.200s", f->dir,
	    strstr(to, "sha256"));
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(
	    blobs_open(f->b, 7, &d, READ_BLOCKING, &file), RC_CORRUPT);
	assert_int_equal(rename(sealed_path(f, &e, from), to), 0);
	assert_int_equal(
	    blobs_open(f->b, 7, &d, READ_BLOCKING, &file), RC_CORRUPT);
}

static void
test_copy_whose_sync_failed_leaves_the_content(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("hello", 5);
	struct scratch *s = NULL;
	uint64_t size;

	assert_int_equal(scratch_create(f->b, 0, ID_A, &s), RC_OK);
	assert_int_equal(scratch_append(s, "hello", 5), RC_OK);
	syncs_fail(1, ENOSPC);
	assert_int_equal(scratch_place(s, 7, &d), RC_NOSPACE);
	syncs_fail(0, 0);
	assert_int_equal(scratch_size(s), 5);
	assert_int_equal(scratches(f), 1);
	assert_int_equal(
	    blobs_stat(f->b, 7, &d, READ_BLOCKING, &size), RC_NOTFOUND);
	assert_false(blobs_fs_sync_failed(f->b));
	assert_int_equal(scratch_place(s, 7, &d), RC_OK);
	scratch_close(&s);
	assert_sealed_blob(f, &d, "hello", 5);
	assert_int_equal(scratches(f), 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_scratch_keeps_what_was_appended),
		TEST(test_scratch_is_private_and_made_once),
		TEST(test_scratch_of_a_strange_id_is_not_found),
		TEST(test_full_disk_takes_nothing_of_an_append),
		TEST(test_blob_is_found_by_its_digest_once_placed),
		TEST(test_large_blob_comes_back_whole),
		TEST(test_sha512_and_key_domains_have_their_own_folders),
		TEST(test_placing_over_damage_heals_it),
		TEST(test_removed_blob_is_not_found),
		TEST(test_folder_goes_with_its_last_blob_and_is_made_again),
		TEST(test_folder_stays_for_what_else_is_in_it),
		TEST(test_folder_made_again_is_durable_before_it_is_used),
		TEST(test_folders_that_somebody_removed_are_made_again),
		TEST(test_sweep_removes_the_empty_folders),
		TEST(
		    test_only_the_folder_that_is_needed_is_made_after_a_restart),
		TEST(test_what_is_no_file_is_not_a_blob),
		TEST(test_too_many_open_files_is_a_limit),
		TEST(test_quarantined_blob_is_kept_aside),
		TEST(test_blob_healed_meanwhile_is_not_quarantined),
		TEST(test_content_whose_sync_failed_is_thrown_away),
		TEST(test_disk_found_full_by_a_sync_fails_that_content_only),
		TEST(test_failed_sync_of_the_folder_is_not_success),
		TEST(test_walk_tells_blobs_from_other_files),
		TEST(test_walk_finds_scratches),
		TEST(test_many_place_the_same_blobs_at_once),
		TEST(test_folder_that_comes_and_goes_loses_no_blob),
		TEST(test_content_is_placed_as_its_key_domain_asks),
		TEST(test_sealed_scratch_goes_on_after_a_restart),
		TEST(test_what_is_removed_goes_by_all_its_names),
		TEST(test_part_is_sealed_under_a_key_of_its_own),
		TEST(test_what_no_key_is_here_for_is_locked),
		TEST(test_sealed_file_that_is_not_genuine_can_be_put_aside),
		TEST(test_sealed_blob_of_one_domain_is_none_of_another),
		TEST(test_copy_whose_sync_failed_leaves_the_content),
	};

	return (cmocka_run_group_tests_name("blobs", tests, NULL, NULL));
}
