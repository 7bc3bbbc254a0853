#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/backup_int.h"

/*
 * Where a backup is restored to: put together in DIR.restoring, which gets the
 * name DIR when it is complete and synced.  Where DIR is a mounted disk that
 * cannot be: then it is put together in DIR/restoring, and its parts move up,
 * the file "format" last, without which nobody takes DIR for a registry.
 *
 * What a crash has left is a person's to remove, since it could be another's.
 */
#define PLACE_MAGIC 0x42616370U
#define WALK_FDS 16

struct backup_place {
	unsigned magic;
	char *dir;   /* where it is to be */
	char *work;  /* where it is put together */
	bool inside; /* the second is in the first */
	bool made;   /* the second is there, and ours */
	int work_fd;
};

static enum rc
place_fail(const char *path, const char *what, char *why)
{
	int err = errno;

	return (backup_fail(
	    why, rc_of_errno(err), "%s: %s: %s", path, what, strerror(err)));
}

/* --- what is there ------------------------------------------------------- */

static bool
is_dot(const char *name)
{
	return (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		strcmp(name, "lost+found") == 0);
}

static enum rc
empty_check(const char *dir, char *why)
{
	struct dirent *e;
	enum rc rc = RC_OK;
	DIR *d;

	if ((d = opendir(dir)) == NULL)
		return (place_fail(dir, "open", why));
	while (rc == RC_OK && (e = readdir(d)) != NULL)
		if (!is_dot(e->d_name))
			rc = backup_fail(why, RC_EXISTS,
			    "%s is not empty (there is \"%.128s\"): a backup "
			    "is restored into a folder that is new or empty",
			    dir, e->d_name);
	(void)closedir(d);
	return (rc);
}

/* A folder that is there; whether another disk begins there.  RC_NOTFOUND: it
 * is not there. */
static enum rc
dir_look(const char *dir, bool *mounted_r, char *why)
{
	char *above = xasprintf("%s/..", dir);
	struct stat st, up;
	enum rc rc = RC_OK;

	*mounted_r = false;
	if (stat(dir, &st) != 0)
		rc = errno == ENOENT ? RC_NOTFOUND
				     : place_fail(dir, "look at it", why);
	else if (!S_ISDIR(st.st_mode))
		rc = backup_fail(why, RC_EXISTS, "%s is not a folder", dir);
	else if (stat(above, &up) != 0)
		rc = place_fail(above, "look at it", why);
	else
		*mounted_r = st.st_dev != up.st_dev;
	free(above);
	if (rc != RC_OK)
		return (rc);
	return (empty_check(dir, why));
}

/* Of a registry without content, too. */
static enum rc
folders_make(struct backup_place *p, char *why)
{
	static const char *const names[] = { "blobs", "uploads", "quarantine" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (mkdirat(p->work_fd, names[i], 0700) != 0)
			return (place_fail(p->work, names[i], why));
	return (RC_OK);
}

static enum rc
work_make(struct backup_place *p, char *why)
{
	if (mkdir(p->work, 0700) != 0)
		return (errno != EEXIST
			    ? place_fail(p->work, "create", why)
			    : backup_fail(why, RC_EXISTS,
				  "%s is there: another restore is at work, or "
				  "was interrupted; then remove it first",
				  p->work));
	p->made = true;
	p->work_fd =
	    open(p->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (p->work_fd < 0)
		return (place_fail(p->work, "open", why));
	return (folders_make(p, why));
}

/* "DIR/" is DIR, and what is a link to a folder is that folder. */
static char *
dir_name(const char *dir)
{
	char *real = realpath(dir, NULL);
	size_t n = strlen(dir);

	if (real != NULL)
		return (real);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	return (xstrndup(dir, n));
}

enum rc
backup_place_new(
    const char *dir, struct backup_place **place_r, char why[ARCHIVE_WHY_BYTES])
{
	struct backup_place *p = xcalloc(1, sizeof(*p));
	enum rc rc;

	p->magic = PLACE_MAGIC;
	p->work_fd = -1;
	p->dir = dir_name(dir);
	rc = dir_look(p->dir, &p->inside, why);
	if (rc == RC_OK || rc == RC_NOTFOUND) {
		p->work = xasprintf(
		    p->inside ? "%s/restoring" : "%s.restoring", p->dir);
		rc = work_make(p, why);
	}
	if (rc != RC_OK) {
		backup_place_free(&p);
		return (rc);
	}
	*place_r = p;
	return (RC_OK);
}

const char *
backup_place_path(const struct backup_place *p)
{
	return (p->work);
}

enum rc
backup_place_room(
    const struct backup_place *p, uint64_t n_bytes, char why[ARCHIVE_WHY_BYTES])
{
	struct statvfs vfs;
	uint64_t room;

	if (fstatvfs(p->work_fd, &vfs) != 0)
		return (place_fail(p->work, "look at its disk", why));
	room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (n_bytes <= room)
		return (RC_OK);
	return (backup_fail(why, RC_NOSPACE,
	    "%s: the backup has %llu MiB, its disk has room for %llu", p->dir,
	    (unsigned long long)(n_bytes >> 20),
	    (unsigned long long)(room >> 20)));
}

/* --- files --------------------------------------------------------------- */

/* The folders that ${name} stands in, from the top. */
static enum rc
parents_make(struct backup_place *p, const char *name, char *why)
{
	char *copy = xstrdup(name);
	enum rc rc = RC_OK;
	char *slash;

	for (slash = strchr(copy, '/'); slash != NULL && rc == RC_OK;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(p->work_fd, copy, 0700) != 0 && errno != EEXIST)
			rc = place_fail(copy, "create", why);
		*slash = '/';
	}
	free(copy);
	return (rc);
}

enum rc
backup_place_create(struct backup_place *p, const char *name, int *fd_r,
    char why[ARCHIVE_WHY_BYTES])
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	enum rc rc;

	OBJ_CHECK(p, PLACE_MAGIC);
	if ((rc = parents_make(p, name, why)) != RC_OK)
		return (rc);
	if ((*fd_r = openat(p->work_fd, name, flags, 0600)) < 0)
		return (place_fail(name, "create", why));
	return (RC_OK);
}

/* --- the end ------------------------------------------------------------- */

static enum rc
folder_sync(const char *path)
{
	enum rc rc = RC_OK;
	int fd;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return (rc_of_errno(errno));
	if (fsync(fd) != 0)
		rc = rc_of_errno(errno);
	(void)close(fd);
	return (rc);
}

static int
entry_sync(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void)st;
	(void)at;
	return (what == FTW_DP && folder_sync(path) != RC_OK ? -1 : 0);
}

static enum rc
above_sync(const char *dir, char *why)
{
	char *above = xasprintf("%s/..", dir);
	enum rc rc;

	if ((rc = folder_sync(above)) != RC_OK)
		(void)backup_fail(why, rc, "%s: sync: %s", above, rc_text(rc));
	free(above);
	return (rc);
}

/* One of those that are there. */
static enum rc
part_move(struct backup_place *p, const char *name, char *why)
{
	char *to = xasprintf("../%s", name);
	enum rc rc = RC_OK;

	if (renameat(p->work_fd, name, p->work_fd, to) != 0 && errno != ENOENT)
		rc = place_fail(name, "rename", why);
	free(to);
	return (rc);
}

static enum rc
parts_move(struct backup_place *p, char *why)
{
	static const char *const parts[] = { "archive", "blobs", "uploads",
		"quarantine", BACKUP_META_FILE };
	size_t i;
	enum rc rc;

	for (i = 0; i < ARRAY_LEN(parts); i++)
		if ((rc = part_move(p, parts[i], why)) != RC_OK)
			return (rc);
	if ((rc = folder_sync(p->dir)) != RC_OK)
		return (
		    backup_fail(why, rc, "%s: sync: %s", p->dir, rc_text(rc)));
	if ((rc = part_move(p, BACKUP_FORMAT_FILE, why)) != RC_OK)
		return (rc);
	p->made = false;
	if (rmdir(p->work) != 0)
		return (place_fail(p->work, "remove", why));
	if ((rc = folder_sync(p->dir)) != RC_OK)
		return (
		    backup_fail(why, rc, "%s: sync: %s", p->dir, rc_text(rc)));
	return (RC_OK);
}

enum rc
backup_place_settle(struct backup_place *p, char why[ARCHIVE_WHY_BYTES])
{
	OBJ_CHECK(p, PLACE_MAGIC);
	if (nftw(p->work, entry_sync, WALK_FDS, FTW_DEPTH | FTW_PHYS) != 0)
		return (place_fail(p->work, "sync", why));
	if (p->inside)
		return (parts_move(p, why));
	/* An empty folder gives way. */
	if (rename(p->work, p->dir) != 0)
		return (place_fail(p->dir, "rename", why));
	p->made = false;
	return (above_sync(p->dir, why));
}

static int
entry_remove(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void)st;
	(void)what;
	(void)at;
	return (remove(path));
}

void
backup_place_free(struct backup_place **p_p)
{
	struct backup_place *p = *p_p;

	if (p == NULL)
		return;
	OBJ_CHECK(p, PLACE_MAGIC);
	*p_p = NULL;
	if (p->work_fd >= 0)
		(void)close(p->work_fd);
	if (p->made)
		(void)nftw(
		    p->work, entry_remove, WALK_FDS, FTW_DEPTH | FTW_PHYS);
	p->magic = 0;
	free(p->work);
	free(p->dir);
	free(p);
}
