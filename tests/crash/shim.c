/*
 * Power loss without a filesystem of one's own: preloaded into a server, this
 * keeps beside its folder a shadow that holds no more than what was synced.
 *
 *	SHIM_ROOT	the folder, an absolute path
 *	SHIM_SHADOW	where the shadow goes
 *
 * A file's content is kept when the file is synced (or written through a
 * descriptor that is opened with O_DSYNC, as LMDB's meta pages are), the names
 * in a folder when the folder is synced, and both under inode numbers:
 * SHADOW/f.<inode> is content, SHADOW/d.<inode> has a line "<kind> <inode>
 * <name>" for each name.  tests/crash/powerloss builds a folder from that.
 * This is the least that POSIX promises, and stricter than ext4 and xfs.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define COPY_BYTES 65536

/* One at a time, so that an older look never replaces a newer one. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
fail(const char *what)
{
	(void)fprintf(stderr, "shim: %s: %s\n", what, strerror(errno));
	abort();
}

static bool
is_ours(int fd)
{
	const char *root = getenv("SHIM_ROOT");
	char link[64], path[PATH_BYTES];
	ssize_t n;

	if (root == NULL)
		return (false);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((n = readlink(link, path, sizeof(path) - 1)) < 0)
		return (false);
	path[n] = '\0';
	n = (ssize_t)strlen(root);
	return (strncmp(path, root, (size_t)n) == 0 &&
		(path[n] == '/' || path[n] == '\0'));
}

static void
shadow_path(char *out, char kind, ino_t inode, const char *suffix)
{
	(void)snprintf(out, PATH_BYTES, "%s/%c.%llu%s", getenv("SHIM_SHADOW"),
	    kind, (unsigned long long)inode, suffix);
}

static void
copy_all(int from, int to)
{
	static char bytes[COPY_BYTES]; /* under the lock */
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, bytes, sizeof(bytes), at)) > 0) {
		if (write(to, bytes, (size_t)n) != n)
			fail("write");
		at += n;
	}
	if (n < 0)
		fail("pread");
}

static void
keep_file(int fd, int to)
{
	char link[64];
	int from;

	/* It may be open for writing only. */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((from = open(link, O_RDONLY | O_CLOEXEC)) < 0)
		fail(link);
	copy_all(from, to);
	(void)close(from);
}

static void
keep_folder(int fd, int to)
{
	struct dirent *e;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (d == NULL)
		fail("fdopendir");
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)dprintf(to, "%c %llu %s\n",
			    e->d_type == DT_DIR ? 'd' : 'f',
			    (unsigned long long)e->d_ino, e->d_name);
	(void)closedir(d);
}

static int
keep(int fd)
{
	char path[PATH_BYTES], fresh[PATH_BYTES];
	struct stat st;
	char kind;
	int to;

	if (!is_ours(fd) || fstat(fd, &st) != 0)
		return (0);
	(void)pthread_mutex_lock(&lock);
	kind = S_ISDIR(st.st_mode) ? 'd' : 'f';
	shadow_path(path, kind, st.st_ino, "");
	shadow_path(fresh, kind, st.st_ino, ".new");
	to = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		fail(fresh);
	if (kind == 'd')
		keep_folder(fd, to);
	else
		keep_file(fd, to);
	(void)close(to);
	if (rename(fresh, path) != 0)
		fail(path);
	(void)pthread_mutex_unlock(&lock);
	return (0);
}

static void
keep_write(int fd, const void *p, size_t n, off_t at)
{
	char path[PATH_BYTES];
	struct stat st;
	int flags = fcntl(fd, F_GETFL), to;

	if (flags < 0 || (flags & O_DSYNC) == 0 || !is_ours(fd) ||
	    fstat(fd, &st) != 0)
		return;
	(void)pthread_mutex_lock(&lock);
	shadow_path(path, 'f', st.st_ino, "");
	if ((to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
		fail(path);
	/* Only through the library: the name pwrite is ours. */
	if (lseek(to, at, SEEK_SET) != at || write(to, p, n) != (ssize_t)n)
		fail(path);
	(void)close(to);
	(void)pthread_mutex_unlock(&lock);
}

int
fsync(int fd)
{
	return (keep(fd));
}

int
fdatasync(int fd)
{
	return (keep(fd));
}

typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);

static ssize_t
through(const char *name, int fd, const void *p, size_t n, off_t at)
{
	pwrite_fn *next = (pwrite_fn *)dlsym(RTLD_NEXT, name);
	ssize_t done = next(fd, p, n, at);

	if (done > 0)
		keep_write(fd, p, (size_t)done, at);
	return (done);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return (through("pwrite", fd, p, n, at));
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return (through("pwrite64", fd, p, n, at));
}
