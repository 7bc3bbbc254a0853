#include "storage/store_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "base/span.h"
#include "storage/ballast_int.h"

/*
 * The folder itself: is it ours, whose is it now, and how is it written.
 *
 * The format file is what makes a folder a registry.  It is written last when
 * one is made, so that a folder without it is either not ours or was left
 * half-made by a crash, and then holds nothing but what is listed here.
 */
#define FORMAT_FILE "format"
#define FORMAT_NEW "format.new"
#define FORMAT_PREFIX "registryd-format "
#define FORMAT_MAX_BYTES 64
#define LOCK_FILE "lock"
#define PID_MAX_BYTES 32

enum rc
store_fail(const struct store *s, char *why, int err, const char *what)
{

	(void)snprintf(why, STORE_WHY_BYTES, "%s: %s: %s", s->options.dir, what,
	    strerror(err));
	return (rc_of_errno(err));
}

/* The folder. */

static enum rc
parent_sync(const struct store *s, char *why)
{
	char *copy = xstrdup(s->options.dir);
	enum rc rc = RC_OK;
	int fd;

	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = store_fail(s, why, errno, "sync the folder above it");
	if (fd >= 0)
		(void)close(fd);
	free(copy);
	return (rc);
}

enum rc
store_dir_open(struct store *s, char *why)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	enum rc rc;

	s->dir_fd = open(s->options.dir, flags);
	if (s->dir_fd < 0 && errno == ENOENT && !s->options.read_only) {
		if (mkdir(s->options.dir, 0700) != 0 && errno != EEXIST)
			return (store_fail(s, why, errno, "create"));
		if ((rc = parent_sync(s, why)) != RC_OK)
			return (rc);
		s->dir_fd = open(s->options.dir, flags);
	}
	if (s->dir_fd < 0)
		return (store_fail(s, why, errno, "open the folder"));
	return (RC_OK);
}

static bool
name_in(const char *name, const char *const *names)
{

	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return (true);
	return (false);
}

/* What may stand in a folder that is to become a registry.  Half-made ones
 * have their metadata first. */
static bool
entry_ok(const char *name, bool half_made)
{
	static const char *const always[] = { ".", "..", "lost+found",
		LOCK_FILE, FORMAT_NEW, STORE_ARCHIVE_DIR, "admin-credentials",
		"audit.log", "control.sock", "master.key", "master.key.new",
		NULL };
	static const char *const made[] = { "meta.mdb", "meta.mdb-lock",
		"blobs", "uploads", "quarantine", BALLAST_FILE, NULL };

	return (name_in(name, always) || (half_made && name_in(name, made)));
}

static enum rc
dir_scan(const struct store *s, DIR *d, char *why)
{
	bool half_made = faccessat(s->dir_fd, "meta.mdb", F_OK, 0) == 0;
	struct dirent *e;

	errno = 0;
	while ((e = readdir(d)) != NULL) {
		if (entry_ok(e->d_name, half_made))
			continue;
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s is no registry and not empty (there is \"%.128s\"): "
		    "give a folder that is new or empty",
		    s->options.dir, e->d_name);
		return (RC_EXISTS);
	}
	if (errno != 0)
		return (store_fail(s, why, errno, "list"));
	return (RC_OK);
}

enum rc
store_dir_check(const struct store *s, char *why)
{
	DIR *d;
	int fd;
	enum rc rc;

	fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		rc = store_fail(s, why, errno, "list");
		if (fd >= 0)
			(void)close(fd);
		return (rc);
	}
	rc = dir_scan(s, d, why);
	(void)closedir(d);
	return (rc);
}

/* The lock. */

static long
lock_pid(int fd)
{
	char text[PID_MAX_BYTES];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	uint64_t pid;

	if (n < 2 || text[n - 1] != '\n')
		return (0);
	if (num_u64((struct span){ text, (size_t)n - 1 }, INT32_MAX, &pid) !=
	    RC_OK)
		return (0);
	/* One who died leaves his number behind; only a reader, who leaves
	 * none, can then hold the lock. */
	if (pid == 0 || (kill((pid_t)pid, 0) != 0 && errno != EPERM))
		return (0);
	return ((long)pid);
}

static enum rc
lock_busy(const struct store *s, char *why)
{
	long pid = lock_pid(s->lock_fd);
	char who[PID_MAX_BYTES] = "";

	if (pid > 0)
		(void)snprintf(who, sizeof(who), " (process %ld)", pid);
	(void)snprintf(why, STORE_WHY_BYTES,
	    "%s is in use by another process%s: stop it first, or give "
	    "another folder",
	    s->options.dir, who);
	return (RC_BUSY);
}

static enum rc
lock_sign(const struct store *s, char *why)
{
	char text[PID_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(s->lock_fd, 0) != 0 ||
	    pwrite(s->lock_fd, text, (size_t)n, 0) != n)
		return (store_fail(s, why, errno, "write the lock file"));
	return (RC_OK);
}

enum rc
store_lock(struct store *s, char *why)
{
	bool reader = s->options.read_only;

	s->lock_fd = openat(s->dir_fd, LOCK_FILE,
	    (reader ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0600);
	if (s->lock_fd < 0 && reader && errno == ENOENT)
		return (RC_OK);
	if (s->lock_fd < 0)
		return (store_fail(s, why, errno, "open the lock file"));
	if (flock(s->lock_fd, (reader ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return (lock_busy(s, why));
		return (store_fail(s, why, errno, "lock"));
	}
	return (reader ? RC_OK : lock_sign(s, why));
}

void
store_unlock(struct store *s)
{

	if (s->lock_fd < 0)
		return;
	/* A name that is not true any more; without it the lock still works. */
	if (!s->options.read_only && ftruncate(s->lock_fd, 0) != 0)
		(void)0;
	(void)close(s->lock_fd);
	s->lock_fd = -1;
}

/* The format. */

static enum rc
format_parse(struct span text, unsigned *format_r)
{
	const struct span prefix = SPAN(FORMAT_PREFIX);
	uint64_t n;

	if (!span_has_prefix(text, prefix) ||
	    !span_has_suffix(text, SPAN("\n")))
		return (RC_CORRUPT);
	text.p += prefix.n;
	text.n -= prefix.n + 1;
	if (num_u64(text, UINT32_MAX, &n) != RC_OK || n == 0)
		return (RC_CORRUPT);
	*format_r = (unsigned)n;
	return (RC_OK);
}

enum rc
store_format_read(int dir_fd, unsigned *format_r)
{
	char text[FORMAT_MAX_BYTES];
	ssize_t n;
	int fd, err;

	fd = openat(dir_fd, FORMAT_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (rc_of_errno(errno));
	n = read(fd, text, sizeof(text));
	err = errno;
	(void)close(fd);
	if (n < 0)
		return (rc_of_errno(err));
	return (format_parse((struct span){ text, (size_t)n }, format_r));
}

enum rc
store_format_write(int dir_fd, unsigned format)
{
	char text[FORMAT_MAX_BYTES];
	int n = snprintf(text, sizeof(text), FORMAT_PREFIX "%u\n", format);
	enum rc rc = RC_OK;
	ssize_t w;
	int fd;

	fd = openat(
	    dir_fd, FORMAT_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return (rc_of_errno(errno));
	if ((w = write(fd, text, (size_t)n)) != n)
		rc = w < 0 ? rc_of_errno(errno) : RC_NOSPACE;
	else if (fsync(fd) != 0)
		rc = rc_of_errno(errno);
	if (close(fd) != 0 && rc == RC_OK)
		rc = rc_of_errno(errno);
	if (rc != RC_OK)
		return (rc);
	if (renameat(dir_fd, FORMAT_NEW, dir_fd, FORMAT_FILE) != 0 ||
	    fsync(dir_fd) != 0)
		return (rc_of_errno(errno));
	return (RC_OK);
}
