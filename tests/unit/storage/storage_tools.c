#include "storage_tools.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/mem.h"
#include "storage/keys.h"

void
tool_folder(char out[TOOL_PATH_BYTES])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(out, TOOL_PATH_BYTES, "%s/registryd-test-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(out));
}

static int
entry_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

void
tool_folder_remove(const char *dir)
{
	(void)nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

bool
tool_tmpfs(const char *dir, size_t size_bytes)
{
	char options[64];

	snprintf(options, sizeof(options), "size=%zu,mode=0700", size_bytes);
	return (mount("tmpfs", dir, "tmpfs", 0, options) == 0);
}

void
tool_tmpfs_remove(const char *dir)
{
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

struct store_options
tool_options(const char *dir)
{
	return ((struct store_options){
	    .dir = dir,
	    .inline_max_bytes = 4096,
	    .reserve_bytes = 1,
	    .map_bytes = (uint64_t)64 * 1024 * 1024,
	    .upload_sessions_max = 100,
	    .upload_lifetime_ms = 3600 * 1000,
	    .max_threads = 32,
	});
}

struct store *
tool_store_open(const struct store_options *options)
{
	char why[STORE_WHY_BYTES] = "";
	struct store *s = NULL;
	enum rc rc;

	rc = store_open(options, why, &s);
	if (rc != RC_OK)
		print_error("store_open: %s: %s\n", rc_text(rc), why);
	assert_int_equal(rc, RC_OK);
	return (s);
}

const char *
tool_blob_path(
    const char *dir, const struct digest *d, char out[TOOL_PATH_BYTES])
{
	char hex[2 * DIGEST_BYTES_MAX + 1];

	hex_encode(d->bytes, digest_len(d->alg), hex);
	snprintf(out, TOOL_PATH_BYTES, "%s/blobs/%s/%.2s/%s", dir,
	    digest_alg_name(d->alg), hex, hex);
	return (out);
}

bool
tool_exists(const char *path)
{
	return (access(path, F_OK) == 0);
}

int64_t
tool_file_size(const char *path)
{
	struct stat st;

	return (stat(path, &st) == 0 ? (int64_t)st.st_size : -1);
}

void
tool_file_write(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(close(fd), 0);
}

void
tool_file_truncate(const char *path, int64_t n)
{
	assert_int_equal(truncate(path, n), 0);
}

void
tool_file_flip(const char *path, int64_t offset)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, offset), 1);
	c = (char)(c ^ 1);
	assert_int_equal(pwrite(fd, &c, 1, offset), 1);
	assert_int_equal(close(fd), 0);
}

void
tool_file_age(const char *path, int64_t ms)
{
	struct timespec t[2];

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &t[0]), 0);
	t[0].tv_sec -= ms / 1000;
	t[1] = t[0];
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

char *
tool_bytes(size_t n, unsigned seed)
{
	char *p = xmalloc(n + 1);
	uint32_t x = seed * 2654435761U + 1;
	size_t i;

	for (i = 0; i < n; i++) {
		x = x * 1664525U + 1013904223U;
		p[i] = (char)(x >> 24);
	}
	return (p);
}

struct digest
tool_digest(const void *p, size_t n)
{
	struct digest d;

	digest_of(DIGEST_SHA256, p, n, &d);
	return (d);
}

enum rc
tool_key(
    void *arg, uint32_t key_domain, enum read_mode mode, struct seal_key *key_r)
{
	size_t i;

	(void)arg;
	(void)mode;
	assert_int_not_equal(key_domain, KEY_DOMAIN_PLAIN);
	if (key_domain == TOOL_DOMAIN_LOCKED)
		return (RC_LOCKED);
	for (i = 0; i < sizeof(key_r->bytes); i++)
		key_r->bytes[i] = (uint8_t)(key_domain + i);
	return (RC_OK);
}

void
tool_keys_open(struct store *s)
{
	char why[STORE_WHY_BYTES];
	struct keyring *ring;

	assert_int_equal(
	    keyring_open(NULL, TOOL_MASTER_KEY, false, why, &ring), RC_OK);
	assert_int_equal(store_keys_open(s, &ring, false, why), RC_OK);
}

void
tool_no_files(bool on)
{
	static struct rlimit usual;
	struct rlimit none;

	if (on) {
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
		none = usual;
		none.rlim_cur = 3;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	} else {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
	}
}
