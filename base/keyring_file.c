#include "base/keyring_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * The file of the master keys.  Losing it is losing all that was ever sealed,
 * so it is never written in place: the new text goes to FILE.new, is synced,
 * takes the name, and the folder is synced.  Who changes it holds a lock on
 * the folder meanwhile, for a second program would write the same FILE.new.
 */
struct place {
	const char *file; /* for people */
	char *path;	  /* the file itself: symbolic links resolved */
	char *new_path;
	char *why;
	int dir_fd;
};

static enum rc refuse(char *why, enum rc rc, const char *file, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

static enum rc
refuse(char *why, enum rc rc, const char *file, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(why, KEYRING_WHY_BYTES, "%s: ", file);
	if (n < 0 || n >= KEYRING_WHY_BYTES)
		return (rc);
	va_start(ap, fmt);
	(void)vsnprintf(why + n, KEYRING_WHY_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
	return (rc);
}

static enum rc
refuse_errno(char *why, const char *file, const char *what)
{
	enum rc rc = rc_of_errno(errno);

	return (refuse(why, rc, file, "cannot %s: %s%s", what, strerror(errno),
	    rc == RC_DENIED ? "; the file and its folder must belong to the "
			      "user that runs this program"
			    : ""));
}

static enum rc
mode_check(int fd, const char *file, char *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return (refuse_errno(why, file, "be looked at"));
	if (!S_ISREG(st.st_mode))
		return (refuse(why, RC_INVALID, file, "not a regular file"));
	if ((st.st_mode & 077) != 0)
		return (refuse(why, RC_DENIED, file,
		    "mode %04o lets others read the master key; run: "
		    "chmod 600 '%s'",
		    (unsigned)st.st_mode & 07777, file));
	return (RC_OK);
}

static enum rc
text_read(int fd, const char *file, struct keyring_text *t, char *why)
{
	ssize_t got;
	char more;

	t->n = 0;
	do {
		if (t->n < sizeof(t->p))
			got = read(fd, t->p + t->n, sizeof(t->p) - t->n);
		else
			got = read(fd, &more, 1);
		if (got < 0 && errno != EINTR)
			return (refuse_errno(why, file, "be read"));
		if (got > 0 && t->n == sizeof(t->p))
			return (refuse(why, RC_TOOBIG, file,
			    "larger than %d bytes; not a file of master keys",
			    KEYRING_FILE_MAX_BYTES));
		t->n += got > 0 ? (size_t)got : 0;
	} while (got != 0);
	return (RC_OK);
}

enum rc
keyring_file_read(
    const char *file, struct keyring_text *text_r, char why[KEYRING_WHY_BYTES])
{
	enum rc rc;
	int fd;

	/* A pipe is refused, not waited for. */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return (refuse(why, RC_NOTFOUND, file,
		    "no such file; put the master key back there, or name the "
		    "file that holds it"));
	if (fd < 0)
		return (refuse_errno(why, file, "be opened"));
	rc = mode_check(fd, file, why);
	if (rc == RC_OK)
		rc = text_read(fd, file, text_r, why);
	(void)close(fd);
	return (rc);
}

/* ${path} is cut for a moment to open the folder it is in. */
static int
folder_open(char *path)
{
	char *slash = strrchr(path, '/');
	char kept;
	int fd;

	if (slash == NULL)
		return (open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	kept = slash[1];
	slash[1] = '\0';
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	slash[1] = kept;
	return (fd);
}

static void
place_close(struct place *p)
{
	if (p->dir_fd >= 0)
		(void)close(p->dir_fd);
	free(p->new_path);
	free(p->path);
}

#define LOCK_PAUSE_MS 50

/* flock(2) alone waits for ever, and whoever may open the folder may lock it.
 */
static enum rc
place_lock(const struct place *p)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	int64_t until_ns =
	    clock_mono_ns() + (int64_t)KEYRING_LOCK_WAIT_MS * 1000000;

	while (flock(p->dir_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return (
			    refuse_errno(p->why, p->file, "lock its folder"));
		if (clock_mono_ns() >= until_ns)
			return (refuse(p->why, RC_BUSY, p->file,
			    "another program keeps its folder locked (flock); "
			    "try again when it has ended"));
		(void)nanosleep(&pause, NULL);
	}
	return (RC_OK);
}

/* To be closed, whatever comes of it. */
static enum rc
place_open(struct place *p, const char *file, char *why)
{
	char real[PATH_MAX];

	*p = (struct place){ .file = file, .why = why, .dir_fd = -1 };
	p->path = xstrdup(realpath(file, real) != NULL ? real : file);
	p->new_path = xasprintf("%s.new", p->path);
	p->dir_fd = folder_open(p->path);
	if (p->dir_fd < 0)
		return (refuse_errno(why, file, "open its folder"));
	return (place_lock(p));
}

static bool
write_all(int fd, const char *p, size_t n)
{
	ssize_t put;

	while (n > 0) {
		put = write(fd, p, n);
		if (put < 0 && errno != EINTR)
			return (false);
		p += put > 0 ? put : 0;
		n -= put > 0 ? (size_t)put : 0;
	}
	return (true);
}

/* Root rotates the key of a service that must still be able to read it. */
static bool
own_as(int fd, const struct stat *like)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return (false);
	if ((st.st_uid != like->st_uid || st.st_gid != like->st_gid) &&
	    fchown(fd, like->st_uid, like->st_gid) != 0)
		return (false);
	return (fchmod(fd, like->st_mode & 0700) == 0);
}

/* What the file holds from now on; ${like} is the one replaced, or NULL. */
static enum rc
place_write(const struct place *p, const struct keyring_text *t,
    const struct stat *like)
{
	enum rc rc = RC_OK;
	int fd;

	if (unlink(p->new_path) != 0 && errno != ENOENT)
		return (refuse_errno(p->why, p->new_path, "be removed"));
	fd = open(p->new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return (refuse_errno(p->why, p->new_path, "be made"));
	if ((like != NULL && !own_as(fd, like)) || !write_all(fd, t->p, t->n) ||
	    fsync(fd) != 0)
		rc = refuse_errno(p->why, p->new_path, "be written");
	if (close(fd) != 0 && rc == RC_OK)
		rc = refuse_errno(p->why, p->new_path, "be written");
	if (rc == RC_OK && rename(p->new_path, p->path) != 0)
		rc = refuse_errno(p->why, p->file, "be replaced");
	if (rc != RC_OK) {
		(void)unlink(p->new_path);
		return (rc);
	}
	if (fsync(p->dir_fd) != 0)
		return (refuse_errno(p->why, p->file, "sync its folder"));
	return (RC_OK);
}

static bool
text_add(struct keyring_text *t, struct span line)
{
	if (line.n >= sizeof(t->p) - t->n)
		return (false);
	memcpy(t->p + t->n, line.p, line.n);
	t->n += line.n;
	t->p[t->n++] = '\n';
	return (true);
}

static bool
text_add_new_key(struct keyring_text *t)
{
	char line[2 * SEAL_KEY_BYTES + 1];
	struct seal_key key;
	bool ok;

	seal_key_make(&key);
	hex_encode(key.bytes, sizeof(key.bytes), line);
	ok = text_add(t, (struct span){ line, sizeof(line) - 1 });
	mem_wipe(line, sizeof(line));
	mem_wipe(&key, sizeof(key));
	return (ok);
}

enum rc
keyring_file_make(const char *file, char why[KEYRING_WHY_BYTES])
{
	struct keyring_text *t;
	struct place p;
	struct stat st;
	enum rc rc;

	t = xcalloc(1, sizeof(*t));
	(void)text_add(
	    t, SPAN("# Master key.  Without it all that is encrypted is lost: "
		    "keep a copy elsewhere."));
	(void)text_add_new_key(t);
	rc = place_open(&p, file, why);
	if (rc == RC_OK && lstat(p.path, &st) != 0)
		rc = place_write(&p, t, NULL);
	place_close(&p);
	mem_wipe(t, sizeof(*t));
	free(t);
	return (rc);
}

/*
 * How a rotation changes the text.  Lines that are neither keys nor comments
 * stop it: nobody knows what they were meant to be.
 */
struct edit {
	bool add;      /* a new key before the first one */
	bool only_one; /* drop all but the first */
};

static enum rc
keys_check(const struct place *p, const struct keyring_text *t, size_t *n_r)
{
	struct span line, rest = { t->p, t->n };
	struct seal_key key;
	bool comment;
	enum rc rc;

	*n_r = 0;
	while (keyring_line(&rest, '\n', &line, &comment)) {
		if (comment)
			continue;
		rc = keyring_key_read(line, &key);
		mem_wipe(&key, sizeof(key));
		if (rc != RC_OK)
			return (refuse(p->why, rc, p->file,
			    "holds a line that is neither a key nor a "
			    "comment"));
		++*n_r;
	}
	if (*n_r == 0)
		return (refuse(p->why, RC_INVALID, p->file, "holds no key"));
	return (RC_OK);
}

static bool
text_edit(
    const struct keyring_text *was, struct edit e, struct keyring_text *is)
{
	struct span line, rest = { was->p, was->n };
	bool comment, ok = true;
	size_t n_keys = 0;

	while (ok && keyring_line(&rest, '\n', &line, &comment)) {
		if (!comment && n_keys++ == 0 && e.add)
			ok = text_add_new_key(is);
		if (ok && (comment || n_keys == 1 || !e.only_one))
			ok = text_add(is, line);
	}
	return (ok);
}

static enum rc
place_edit(const struct place *p, struct edit e, struct keyring_text *was,
    struct keyring_text *is)
{
	struct stat st;
	size_t n;
	enum rc rc;

	if ((rc = keyring_file_read(p->path, was, p->why)) != RC_OK)
		return (rc);
	if (stat(p->path, &st) != 0)
		return (refuse_errno(p->why, p->file, "be looked at"));
	if ((rc = keys_check(p, was, &n)) != RC_OK)
		return (rc);
	if (e.add && n >= KEYRING_KEYS_MAX)
		return (refuse(p->why, RC_LIMIT, p->file,
		    "holds %zu keys, as many as it may; remove old ones", n));
	if (!text_edit(was, e, is))
		return (refuse(p->why, RC_TOOBIG, p->file,
		    "would grow beyond %d bytes", KEYRING_FILE_MAX_BYTES));
	return (place_write(p, is, &st));
}

static enum rc
file_edit(const char *file, struct edit e, char *why)
{
	struct keyring_text *was, *is;
	struct place p;
	enum rc rc;

	why[0] = '\0';
	was = xcalloc(1, sizeof(*was));
	is = xcalloc(1, sizeof(*is));
	rc = place_open(&p, file, why);
	if (rc == RC_OK)
		rc = place_edit(&p, e, was, is);
	place_close(&p);
	mem_wipe(was, sizeof(*was));
	mem_wipe(is, sizeof(*is));
	free(was);
	free(is);
	return (rc);
}

enum rc
keyring_file_add(const char *file, char why[KEYRING_WHY_BYTES])
{
	return (file_edit(file, (struct edit){ .add = true }, why));
}

enum rc
keyring_file_trim(const char *file, char why[KEYRING_WHY_BYTES])
{
	return (file_edit(file, (struct edit){ .only_one = true }, why));
}
