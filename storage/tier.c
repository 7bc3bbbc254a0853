#include "storage/tier_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/blobs_fs_int.h"
#include "storage/upload_int.h"

/*
 * The folder of the archive: opened when something is there or is to be put
 * there, its names, and the walk over them.  Folders are made as they are
 * needed and go when they are empty: an archive may be looked at by people, and
 * may lie on a disk where a folder costs more than here.
 */

enum rc
tier_failed(const struct tier *t, const char *what, const char *path)
{
	int err = errno;

	log_errno("%s: %s%s", t->dir, what, path);
	return (rc_of_errno(err));
}

enum rc
tier_damaged(const struct tier *t, const char *path, const char *why)
{
	log_error("%s/%s: %s", t->dir, path, why);
	return (RC_CORRUPT);
}

bool
tier_stopped(const _Atomic bool *stop)
{
	return (stop != NULL && atomic_load(stop));
}

enum rc
tier_between(const struct tier_pace *pace, int64_t began_ns)
{
	return (
	    pace->between != NULL ? pace->between(pace->arg, began_ns) : RC_OK);
}

/* --- the folder ---------------------------------------------------------- */

/*
 * Two registries with one archive would remove each other's content.  Where
 * folders cannot be locked (some network filesystems) nobody can tell.
 */
static enum rc
folder_lock(const struct tier *t, int fd)
{
	if (t->read_only || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return (RC_OK);
	if (errno != EWOULDBLOCK)
		return (RC_OK);
	log_error("%s: another process has this folder as its archive", t->dir);
	return (RC_BUSY);
}

static enum rc
folder_open(struct tier *t, bool take)
{
	enum rc rc;
	int fd;

	fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return (tier_mark_none(t));
	if (fd < 0)
		return (tier_failed(t, "open", ""));
	if (!t->read_only && faccessat(fd, ".", W_OK | X_OK, 0) != 0) {
		rc = tier_failed(t, "write", "");
		goto err0;
	}
	if ((rc = folder_lock(t, fd)) != RC_OK ||
	    (rc = tier_mark_check(t, fd, take)) != RC_OK)
		goto err0;
	t->dir_fd = fd;
	return (RC_OK);

err0:
	(void)close(fd);
	return (rc);
}

/* fsync the folder that ${t}->dir stands in. */
static enum rc
parent_sync(struct tier *t)
{
	char *parent = xasprintf("%s/..", t->dir);
	enum rc rc = RC_OK;
	int fd;

	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rc = tier_failed(t, "open ", "..");
	else if (fsync(fd) != 0)
		rc = tier_failed(t, "fsync ", "..");
	if (fd >= 0)
		(void)close(fd);
	free(parent);
	return (rc);
}

static enum rc
folder_make(struct tier *t)
{
	enum rc rc;

	if (mkdir(t->dir, 0700) != 0 && errno != EEXIST)
		return (tier_failed(t, "mkdir", ""));
	rc = folder_open(t, true);
	return (rc == RC_NOTFOUND ? RC_IO : rc);
}

static enum rc
folder_need(struct tier *t, bool make)
{
	enum rc rc = RC_OK;

	if (t->dir_fd < 0)
		rc = folder_open(t, make);
	else if (make && !t->marked)
		rc = tier_mark_check(t, t->dir_fd, true);
	if (rc == RC_MISSING && !make)
		rc = RC_NOTFOUND;
	if (rc == RC_NOTFOUND && make)
		rc = folder_make(t);
	if (rc != RC_OK || !make || t->settled)
		return (rc);
	/* Whoever made it may have been killed before this. */
	if ((rc = parent_sync(t)) == RC_OK)
		t->settled = true;
	return (rc);
}

enum rc
tier_folder(struct tier *t, bool make, int *fd_r)
{
	enum rc rc;

	must(!make || !t->read_only);
	mutex_lock(&t->lock);
	rc = folder_need(t, make);
	*fd_r = t->dir_fd;
	mutex_unlock(&t->lock);
	return (rc);
}

enum rc
tier_open(const char *dir, bool read_only, const struct tier_owner *owner,
    struct tier **t_r)
{
	struct tier *t = xcalloc(1, sizeof(*t));
	enum rc rc;
	int fd;

	t->magic = TIER_MAGIC;
	t->dir = xstrdup(dir);
	t->read_only = read_only;
	t->owner = *owner;
	t->dir_fd = -1;
	upload_id_new(t->run);
	mutex_init(&t->lock);
	rc = tier_folder(t, false, &fd);
	if (rc != RC_OK && rc != RC_NOTFOUND) {
		tier_close(&t);
		return (rc);
	}
	*t_r = t;
	return (RC_OK);
}

void
tier_close(struct tier **t_p)
{
	struct tier *t = *t_p;

	if (t == NULL)
		return;
	OBJ_CHECK(t, TIER_MAGIC);
	*t_p = NULL;
	if (t->dir_fd >= 0)
		(void)close(t->dir_fd);
	(void)pthread_mutex_destroy(&t->lock);
	t->magic = 0;
	free(t->dir);
	free(t);
}

void
tier_keys_set(struct tier *t, blobs_key_fn *fn, void *arg)
{
	OBJ_CHECK(t, TIER_MAGIC);
	t->key_fn = fn;
	t->key_arg = arg;
}

enum rc
tier_key(struct tier *t, uint32_t key_domain, struct seal_key *key_r)
{
	must(key_domain != KEY_DOMAIN_PLAIN);
	if (t->key_fn == NULL)
		return (RC_LOCKED);
	return (t->key_fn(t->key_arg, key_domain, READ_BLOCKING, key_r));
}

bool
tier_shares_disk(struct tier *t, int other_fd)
{
	struct stat here, other;
	int fd;

	if (tier_folder(t, true, &fd) != RC_OK)
		return (false);
	return (fstat(fd, &here) == 0 && fstat(other_fd, &other) == 0 &&
		here.st_dev == other.st_dev);
}

bool
tier_away(const struct tier *t)
{
	return (atomic_load(&t->away));
}

void
tier_look(struct tier *t)
{
	int fd;

	(void)!tier_folder(t, false, &fd);
}

/* --- names --------------------------------------------------------------- */

enum rc
tier_temp_make(struct tier *t, char name[TIER_TEMP_BYTES], int *fd_r)
{
	enum rc rc;
	int dir_fd;

	if ((rc = tier_folder(t, true, &dir_fd)) != RC_OK)
		return (rc);
	mutex_lock(&t->lock);
	(void)snprintf(name, TIER_TEMP_BYTES, "put-%s-%llx", t->run,
	    (unsigned long long)t->n_put++);
	mutex_unlock(&t->lock);
	*fd_r = openat(dir_fd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd_r < 0)
		return (tier_failed(t, "create ", name));
	return (RC_OK);
}

void
tier_temp_remove(struct tier *t, const char *name)
{
	if (unlinkat(t->dir_fd, name, 0) != 0 && errno != ENOENT)
		(void)tier_failed(t, "unlink ", name);
}

/* The folders that ${path} stands in, from the top. */
static enum rc
parents_make(struct tier *t, char *path)
{
	enum rc rc = RC_OK;
	char *slash;

	for (slash = strchr(path, '/'); slash != NULL && rc == RC_OK;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(t->dir_fd, path, 0700) != 0 && errno != EEXIST)
			rc = tier_failed(t, "mkdir ", path);
		*slash = '/';
	}
	return (rc);
}

static enum rc
folder_sync(struct tier *t, const char *path)
{
	enum rc rc = RC_OK;
	int fd;

	fd = openat(t->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return (tier_failed(t, "open ", path));
	if (fsync(fd) != 0)
		rc = tier_failed(t, "fsync ", path);
	(void)close(fd);
	return (rc);
}

/* All of them, from below: that one is there says not that it is durable.
 * ${path} is used up. */
static enum rc
parents_sync(struct tier *t, char *path)
{
	char *slash;
	enum rc rc;

	while ((slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		if ((rc = folder_sync(t, path)) != RC_OK)
			return (rc);
	}
	return (folder_sync(t, "."));
}

enum rc
tier_name_give(struct tier *t, const char *name, const char *path)
{
	char copy[BLOB_PATH_BYTES];
	enum rc rc;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	mutex_lock(&t->lock);
	rc = parents_make(t, copy);
	if (rc == RC_OK && renameat(t->dir_fd, name, t->dir_fd, path) != 0)
		rc = tier_failed(t, "rename ", path);
	if (rc == RC_OK)
		rc = parents_sync(t, copy);
	mutex_unlock(&t->lock);
	return (rc);
}

enum rc
tier_stat(struct tier *t, uint32_t key_domain, const struct digest *d,
    uint64_t *stored_r)
{
	char path[BLOB_PATH_BYTES];
	struct stat st;
	enum rc rc;
	int fd;

	OBJ_CHECK(t, TIER_MAGIC);
	if ((rc = tier_folder(t, false, &fd)) != RC_OK)
		return (rc);
	blobs_fs_path(key_domain, d, path);
	if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return (errno == ENOENT ? RC_NOTFOUND
					: tier_failed(t, "stat ", path));
	*stored_r = (uint64_t)st.st_size;
	return (RC_OK);
}

/* Those that are empty now; ${path} is used up. */
static void
parents_remove(struct tier *t, char *path)
{
	char *slash;

	while ((slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		if (unlinkat(t->dir_fd, path, AT_REMOVEDIR) != 0)
			return;
	}
}

enum rc
tier_remove(struct tier *t, uint32_t key_domain, const struct digest *d)
{
	char path[BLOB_PATH_BYTES];
	enum rc rc;
	int fd;

	OBJ_CHECK(t, TIER_MAGIC);
	if ((rc = tier_folder(t, false, &fd)) != RC_OK)
		return (rc);
	blobs_fs_path(key_domain, d, path);
	mutex_lock(&t->lock);
	/* Not synced: one that comes back is an orphan, and harms nobody. */
	if (unlinkat(fd, path, 0) == 0)
		parents_remove(t, path);
	else if (errno == ENOENT)
		rc = RC_NOTFOUND;
	else
		rc = tier_failed(t, "unlink ", path);
	mutex_unlock(&t->lock);
	return (rc);
}

/* --- all of them --------------------------------------------------------- */

/* Being put by this process, or before. */
static bool
is_temp(const char *name)
{
	return (strncmp(name, "put-", 4) == 0 &&
		strspn(name + 4, "0123456789abcdef") == TIER_RUN_BYTES - 1 &&
		name[4 + TIER_RUN_BYTES - 1] == '-');
}

static bool
is_ours(const struct tier *t, const char *name)
{
	return (is_temp(name) &&
		strncmp(name + 4, t->run, TIER_RUN_BYTES - 1) == 0);
}

struct tier_walk {
	struct tier *tier;
	blobs_walk_fn *fn;
	void *arg;
};

/* A disk's own folder is nobody's concern, what is being put not yet. */
static int
file_tell(void *arg, uint32_t key_domain, const struct digest *d,
    uint64_t size_bytes, const char *path)
{
	const struct tier_walk *w = arg;
	const char *name = strrchr(path, '/');

	name = name != NULL ? name + 1 : path;
	if (d == NULL && (strcmp(name, "lost+found") == 0 ||
			     tier_is_mark(name) || is_ours(w->tier, name)))
		return (0);
	return (w->fn(w->arg, key_domain, d, size_bytes, path));
}

enum rc
tier_walk(struct tier *t, blobs_walk_fn *fn, void *arg)
{
	struct tier_walk w = { .tier = t, .fn = fn, .arg = arg };
	enum rc rc;
	int fd;

	OBJ_CHECK(t, TIER_MAGIC);
	rc = tier_folder(t, false, &fd);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	return (blobs_fs_walk(fd, t->dir, file_tell, &w));
}

static enum rc
left_over_remove(struct tier *t, const char *name, unsigned *n)
{
	if (unlinkat(t->dir_fd, name, 0) != 0)
		return (
		    errno == ENOENT ? RC_OK : tier_failed(t, "unlink ", name));
	log_info("%s/%s: left by a crash, removed", t->dir, name);
	(*n)++;
	return (RC_OK);
}

enum rc
tier_sweep(struct tier *t, unsigned *n_r)
{
	enum rc rc;
	struct dirent *e;
	DIR *dir;
	int fd;

	OBJ_CHECK(t, TIER_MAGIC);
	*n_r = 0;
	if ((rc = tier_folder(t, false, &fd)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (dir = fdopendir(fd)) == NULL) {
		rc = tier_failed(t, "open", "");
		if (fd >= 0)
			(void)close(fd);
		return (rc);
	}
	while (rc == RC_OK && (errno = 0, e = readdir(dir)) != NULL)
		if (is_temp(e->d_name) && !is_ours(t, e->d_name))
			rc = left_over_remove(t, e->d_name, n_r);
	if (rc == RC_OK && errno != 0)
		rc = tier_failed(t, "read", "");
	(void)closedir(dir);
	return (rc);
}
