#include "storage/blobs_fs_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/sealed.h"
#include "storage/store_int.h"

/*
 * Blobs as files.  A blob is found at blobs/<alg>/<first 2 hex>/<hex>, those
 * of a key domain other than 0 at blobs/k<domain>/<alg>/...; a name appears
 * there only by rename, when the content under it is complete and synced.
 *
 * Before the first blob of an algorithm ever is placed all of its 256 folders
 * are made and synced at once.  One that is empty after its last blob was
 * removed goes, and is made again, and synced, before another blob can get its
 * name in it; so a placement never has to wonder whether the folder that it has
 * just synced is itself durable.
 */

/* --- names --------------------------------------------------------------- */

void
blobs_fs_path(
    uint32_t key_domain, const struct digest *d, char out[BLOB_PATH_BYTES])
{
	char hex[2 * DIGEST_BYTES_MAX + 1];
	char domain[16] = "";

	hex_encode(d->bytes, digest_len(d->alg), hex);
	if (key_domain != KEY_DOMAIN_PLAIN)
		snprintf(domain, sizeof(domain), "k%u/", key_domain);
	snprintf(out, BLOB_PATH_BYTES, "%s%s/%.2s/%s", domain,
	    digest_alg_name(d->alg), hex, hex);
}

enum rc
blobs_fs_failed(const struct blobs *b, const char *what, const char *path)
{
	int err = errno;

	log_errno("%s: %s%s", b->dir, what, path);
	return (rc_of_errno(err));
}

int64_t
blobs_fs_mtime_ms(const struct stat *st)
{
	return (
	    (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000);
}

/* --- keys ---------------------------------------------------------------- */

void
blobs_keys_set(struct blobs *b, blobs_key_fn *fn, void *arg)
{
	OBJ_CHECK(b, BLOBS_MAGIC);
	b->key_fn = fn;
	b->key_arg = arg;
}

enum rc
blobs_fs_key(struct blobs *b, uint32_t key_domain, enum read_mode mode,
    struct seal_key *key_r)
{
	must(key_domain != KEY_DOMAIN_PLAIN);
	if (b->key_fn == NULL)
		return (RC_LOCKED);
	return (b->key_fn(b->key_arg, key_domain, mode, key_r));
}

/* --- open and close ------------------------------------------------------ */

/* Open DIR/<name>, made when missing and allowed. */
static enum rc
folder_open(struct blobs *b, const char *name, int *fd_r)
{
	if (!b->read_only) {
		if (mkdirat(b->dir_fd, name, 0700) == 0) {
			if (fsync(b->dir_fd) != 0)
				return (blobs_fs_failed(b, "fsync ", "."));
		} else if (errno != EEXIST) {
			return (blobs_fs_failed(b, "mkdir ", name));
		}
	}
	*fd_r = openat(b->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd_r < 0)
		return (blobs_fs_failed(b, "open ", name));
	return (RC_OK);
}

enum rc
blobs_fs_open(int dir_fd, const char *dir, bool read_only, struct blobs **b_r)
{
	struct blobs *b = xcalloc(1, sizeof(*b));
	enum rc rc;

	b->magic = BLOBS_MAGIC;
	b->dir = xstrdup(dir);
	b->read_only = read_only;
	b->blobs_fd = b->uploads_fd = b->quarantine_fd = -1;
	mutex_init(&b->lock);
	must(pthread_rwlock_init(&b->names, NULL) == 0);
	b->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	if (b->dir_fd < 0) {
		rc = blobs_fs_failed(b, "dup ", ".");
		goto err0;
	}
	if ((rc = folder_open(b, "blobs", &b->blobs_fd)) != RC_OK)
		goto err0;
	if ((rc = folder_open(b, "uploads", &b->uploads_fd)) != RC_OK)
		goto err0;
	/* Nothing goes there when nothing may change; and what copies folders
	 * (git, rsync -m) may have left the empty ones out. */
	if (!read_only &&
	    (rc = folder_open(b, "quarantine", &b->quarantine_fd)) != RC_OK)
		goto err0;

	*b_r = b;
	return (RC_OK);

err0:
	blobs_fs_close(&b);
	return (rc);
}

void
blobs_fs_close(struct blobs **b_p)
{
	struct blobs *b = *b_p;
	struct fanout *f;

	if (b == NULL)
		return;
	OBJ_CHECK(b, BLOBS_MAGIC);
	*b_p = NULL;
	while ((f = b->fanouts) != NULL) {
		b->fanouts = f->next;
		free(f);
	}
	if (b->quarantine_fd >= 0)
		(void)close(b->quarantine_fd);
	if (b->uploads_fd >= 0)
		(void)close(b->uploads_fd);
	if (b->blobs_fd >= 0)
		(void)close(b->blobs_fd);
	if (b->dir_fd >= 0)
		(void)close(b->dir_fd);
	(void)pthread_mutex_destroy(&b->lock);
	(void)pthread_rwlock_destroy(&b->names);
	b->magic = 0;
	free(b->dir);
	free(b);
}

bool
blobs_fs_sync_failed(const struct blobs *b)
{
	return (atomic_load(&b->sync_failed));
}

enum rc
blobs_fs_sync(struct blobs *b, int fd, const char *what)
{
	if (fsync(fd) == 0)
		return (RC_OK);
	/*
	 * The kernel has dropped what it could not write: a second fsync would
	 * succeed and mean nothing.
	 */
	atomic_store(&b->sync_failed, true);
	(void)blobs_fs_failed(b, "fsync ", what);
	return (RC_IO);
}

/* --- fan-out folders ----------------------------------------------------- */

/* Make the 256 folders of an algorithm's, which is new and empty. */
static enum rc
parts_make(struct blobs *b, int fd, const char *alg)
{
	char name[4];
	unsigned i;

	for (i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(fd, name, 0700) != 0 && errno != EEXIST)
			return (blobs_fs_failed(b, "mkdir blobs/", alg));
	}
	return (RC_OK);
}

/* One that was there may have been made by a process that was killed before it
 * had synced anything. */
static enum rc
fanout_make(struct blobs *b, int parent_fd, const char *alg)
{
	bool new;
	int fd;
	enum rc rc;

	new = mkdirat(parent_fd, alg, 0700) == 0;
	if (!new &&errno != EEXIST)
		return (blobs_fs_failed(b, "mkdir blobs/", alg));
	if ((rc = blobs_fs_sync(b, parent_fd, "blobs")) != RC_OK)
		return (rc);
	fd = openat(parent_fd, alg, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return (blobs_fs_failed(b, "open blobs/", alg));
	if (new)
		rc = parts_make(b, fd, alg);
	if (rc == RC_OK)
		rc = blobs_fs_sync(b, fd, alg);
	(void)close(fd);
	return (rc);
}

static enum rc
fanout_make_in_domain(struct blobs *b, uint32_t key_domain, const char *alg)
{
	char name[16];
	int fd;
	enum rc rc;

	if (key_domain == KEY_DOMAIN_PLAIN)
		return (fanout_make(b, b->blobs_fd, alg));

	snprintf(name, sizeof(name), "k%u", key_domain);
	if (mkdirat(b->blobs_fd, name, 0700) != 0 && errno != EEXIST)
		return (blobs_fs_failed(b, "mkdir blobs/", name));
	if ((rc = blobs_fs_sync(b, b->blobs_fd, "blobs")) != RC_OK)
		return (rc);
	fd = openat(b->blobs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return (blobs_fs_failed(b, "open blobs/", name));
	rc = fanout_make(b, fd, alg);
	(void)close(fd);
	return (rc);
}

static struct fanout *
fanout_find(struct blobs *b, uint32_t key_domain, uint8_t alg)
{
	struct fanout *f;

	for (f = b->fanouts; f != NULL; f = f->next) {
		if (f->key_domain == key_domain && f->alg == alg)
			return (f);
	}
	return (NULL);
}

/* ${again}: somebody has removed more than we ever do. */
static enum rc
fanout_need(struct blobs *b, uint32_t key_domain, uint8_t alg, bool again)
{
	struct fanout *f;
	enum rc rc = RC_OK;

	mutex_lock(&b->lock);
	f = fanout_find(b, key_domain, alg);
	if (f == NULL || again)
		rc = fanout_make_in_domain(b, key_domain, digest_alg_name(alg));
	if (f == NULL && rc == RC_OK) {
		f = xcalloc(1, sizeof(*f));
		f->key_domain = key_domain;
		f->alg = alg;
		f->next = b->fanouts;
		b->fanouts = f;
	}
	mutex_unlock(&b->lock);
	return (rc);
}

/* --- placing ------------------------------------------------------------- */

/* fsync the folder ${path}.  RC_NOTFOUND: there is none. */
static enum rc
folder_sync(struct blobs *b, const char *path)
{
	int fd;
	enum rc rc;

	fd = openat(b->blobs_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return (RC_NOTFOUND);
	if (fd < 0)
		return (blobs_fs_failed(b, "open blobs/", path));
	rc = blobs_fs_sync(b, fd, path);
	(void)close(fd);
	return (rc);
}

/* fsync the folder that holds ${path}. */
static enum rc
parent_sync(struct blobs *b, const char *path)
{
	char parent[BLOB_PATH_BYTES];

	snprintf(parent, sizeof(parent), "%.*s",
	    (int)(strrchr(path, '/') - path), path);
	return (folder_sync(b, parent));
}

/* Into a folder that is there.  RC_NOTFOUND: it is not. */
static enum rc
name_give(struct blobs *b, const char *name, const char *path)
{
	enum rc rc = RC_OK;

	must(pthread_rwlock_rdlock(&b->names) == 0);
	if (renameat(b->uploads_fd, name, b->blobs_fd, path) != 0)
		rc = errno == ENOENT
			 ? RC_NOTFOUND
			 : blobs_fs_failed(b, "rename blobs/", path);
	must(pthread_rwlock_unlock(&b->names) == 0);
	return (rc);
}

/* RC_NOTFOUND: its own parent is not there. */
static enum rc
part_make(struct blobs *b, const char *path)
{
	char alg[BLOB_PATH_BYTES], part[BLOB_PATH_BYTES];

	snprintf(
	    part, sizeof(part), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (mkdirat(b->blobs_fd, part, 0700) != 0 && errno != EEXIST)
		return (errno == ENOENT
			    ? RC_NOTFOUND
			    : blobs_fs_failed(b, "mkdir blobs/", part));
	snprintf(
	    alg, sizeof(alg), "%.*s", (int)(strrchr(part, '/') - part), part);
	return (folder_sync(b, alg));
}

/*
 * Into a folder that was removed when it was empty.  Until it is durable nobody
 * else gives a name in it, and until ours is in it nobody removes it again.
 */
static enum rc
name_give_anew(struct blobs *b, const char *name, const char *path)
{
	enum rc rc;

	must(pthread_rwlock_wrlock(&b->names) == 0);
	rc = part_make(b, path);
	if (rc == RC_OK &&
	    renameat(b->uploads_fd, name, b->blobs_fd, path) != 0)
		rc = blobs_fs_failed(b, "rename blobs/", path);
	must(pthread_rwlock_unlock(&b->names) == 0);
	return (rc);
}

enum rc
blobs_fs_place(struct blobs *b, const char *name, uint32_t key_domain,
    const struct digest *d)
{
	char path[BLOB_PATH_BYTES];
	enum rc rc;

	blobs_fs_path(key_domain, d, path);
	if ((rc = fanout_need(b, key_domain, d->alg, false)) != RC_OK)
		return (rc);
	rc = name_give(b, name, path);
	if (rc == RC_NOTFOUND)
		rc = name_give_anew(b, name, path);
	if (rc == RC_NOTFOUND) {
		rc = fanout_need(b, key_domain, d->alg, true);
		if (rc == RC_OK)
			rc = name_give_anew(b, name, path);
	}
	if (rc == RC_OK)
		rc = parent_sync(b, path);
	if (rc != RC_NOTFOUND)
		return (rc);
	log_error("%s/blobs/%s: its folder is gone", b->dir, path);
	return (RC_IO);
}

/* --- reading ------------------------------------------------------------- */

/*
 * Open without ever waiting for a disk: EAGAIN when a part of the path is
 * not in the kernel's cache.  Kernels before 5.12, and sandboxes that do not
 * know the call, get a plain open: there the wait is the price.
 */
static int
open_cached(int dir_fd, const char *path, int flags)
{
	static _Atomic bool missing;
	struct open_how how = {
		.flags = (unsigned)flags,
		.resolve = RESOLVE_CACHED,
	};
	long fd;

	if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (fd >= 0 ||
		    (errno != ENOSYS && errno != EINVAL && errno != EPERM))
			return ((int)fd);
		atomic_store(&missing, true);
	}
	return (openat(dir_fd, path, flags));
}

/* A regular file's descriptor and size. */
static enum rc
file_open(struct blobs *b, const char *path, int flags, enum read_mode mode,
    int *fd_r, uint64_t *size_r)
{
	struct stat st;
	int fd;
	enum rc rc;

	flags |= O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	if (mode == READ_INLINE)
		fd = open_cached(b->blobs_fd, path, flags);
	else
		fd = openat(b->blobs_fd, path, flags);
	if (fd < 0) {
		if (errno == ENOENT)
			return (RC_NOTFOUND);
		if (errno == EAGAIN && mode == READ_INLINE)
			return (RC_WOULDBLOCK);
		return (blobs_fs_failed(b, "open blobs/", path));
	}
	if (fstat(fd, &st) != 0) {
		rc = blobs_fs_failed(b, "stat blobs/", path);
		goto err0;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("%s/blobs/%s: not a regular file", b->dir, path);
		rc = RC_NOTFOUND;
		goto err0;
	}

	*fd_r = fd;
	*size_r = (uint64_t)st.st_size;
	return (RC_OK);

err0:
	(void)close(fd);
	return (rc);
}

enum rc
blobs_open_raw(struct blobs *b, uint32_t key_domain, const struct digest *d,
    enum read_mode mode, int *fd_r, uint64_t *file_bytes_r)
{
	char path[BLOB_PATH_BYTES];

	OBJ_CHECK(b, BLOBS_MAGIC);
	blobs_fs_path(key_domain, d, path);
	return (file_open(b, path, O_RDONLY, mode, fd_r, file_bytes_r));
}

static enum rc
sealed_open(struct blobs *b, uint32_t key_domain, const struct digest *d,
    enum read_mode mode, struct blob_file *f)
{
	const struct sealed_expect expect = {
		.key_domain = key_domain,
		.size_bytes = UINT64_MAX,
		.digest = d,
		.no_wait = mode == READ_INLINE,
	};
	struct seal_key key;
	enum rc rc;

	if ((rc = blobs_fs_key(b, key_domain, mode, &key)) != RC_OK)
		return (rc);
	rc = sealed_reader_open(f->fd, &key, &expect, &f->sealed);
	mem_wipe(&key, sizeof(key));
	if (rc == RC_OK)
		f->size_bytes = sealed_reader_size(f->sealed);
	return (rc);
}

enum rc
blobs_open(struct blobs *b, uint32_t key_domain, const struct digest *d,
    enum read_mode mode, struct blob_file *f_r)
{
	struct blob_file f = BLOB_FILE_NONE;
	enum rc rc;

	*f_r = f;
	rc = blobs_open_raw(b, key_domain, d, mode, &f.fd, &f.size_bytes);
	if (rc == RC_OK && key_domain != KEY_DOMAIN_PLAIN)
		rc = sealed_open(b, key_domain, d, mode, &f);
	if (rc == RC_OK)
		*f_r = f;
	else
		blob_file_close(&f);
	return (rc);
}

enum rc
blobs_stat(struct blobs *b, uint32_t key_domain, const struct digest *d,
    enum read_mode mode, uint64_t *size_r)
{
	char path[BLOB_PATH_BYTES];
	int fd = -1;
	enum rc rc;

	blobs_fs_path(key_domain, d, path);
	rc = file_open(b, path, O_PATH, mode, &fd, size_r);
	if (rc != RC_OK)
		return (rc);
	(void)close(fd);
	if (key_domain != KEY_DOMAIN_PLAIN)
		*size_r = sealed_content_bytes(*size_r);
	return (RC_OK);
}

/* --- removing ------------------------------------------------------------ */

enum rc
blobs_fs_folder_prune(struct blobs *b, int dir_fd, const char *path)
{
	int err = 0;

	must(pthread_rwlock_rdlock(&b->names) == 0);
	if (unlinkat(dir_fd, path, AT_REMOVEDIR) != 0)
		err = errno;
	must(pthread_rwlock_unlock(&b->names) == 0);
	if (err == 0)
		atomic_fetch_add(&b->folders_removed, 1);
	if (err == 0 || err == ENOTEMPTY || err == EEXIST || err == ENOENT ||
	    err == EBUSY)
		return (RC_OK);
	errno = err;
	return (blobs_fs_failed(b, "rmdir blobs/", path));
}

uint64_t
blobs_folders_removed(const struct blobs *b)
{
	OBJ_CHECK(b, BLOBS_MAGIC);
	return (atomic_load(&b->folders_removed));
}

/* Not synced: a name that comes back after a power loss is an orphan, which
 * harms nobody. */
enum rc
blobs_remove(struct blobs *b, uint32_t key_domain, const struct digest *d)
{
	char path[BLOB_PATH_BYTES];

	OBJ_CHECK(b, BLOBS_MAGIC);
	blobs_fs_path(key_domain, d, path);
	if (unlinkat(b->blobs_fd, path, 0) != 0)
		return (errno == ENOENT
			    ? RC_NOTFOUND
			    : blobs_fs_failed(b, "unlink blobs/", path));
	*strrchr(path, '/') = '\0';
	return (blobs_fs_folder_prune(b, b->blobs_fd, path));
}

/* Move the file away if its name still leads to what ${fd} has open. */
static enum rc
name_take(struct blobs *b, const char *path, int fd, const char *to_name)
{
	struct stat bad, now;
	enum rc rc = RC_OK;

	must(pthread_rwlock_wrlock(&b->names) == 0);
	if (fstat(fd, &bad) != 0)
		rc = blobs_fs_failed(b, "stat blobs/", path);
	else if (fstatat(b->blobs_fd, path, &now, AT_SYMLINK_NOFOLLOW) != 0)
		rc = errno == ENOENT ? RC_NOTFOUND
				     : blobs_fs_failed(b, "stat blobs/", path);
	else if (bad.st_ino != now.st_ino || bad.st_dev != now.st_dev)
		rc = RC_BUSY;
	else if (renameat(b->blobs_fd, path, b->quarantine_fd, to_name) != 0)
		rc = blobs_fs_failed(b, "rename blobs/", path);
	must(pthread_rwlock_unlock(&b->names) == 0);
	return (rc);
}

enum rc
blobs_quarantine(
    struct blobs *b, uint32_t key_domain, const struct digest *d, int fd)
{
	char path[BLOB_PATH_BYTES];
	char name[BLOB_PATH_BYTES + 32];
	char *slash;
	enum rc rc;

	OBJ_CHECK(b, BLOBS_MAGIC);
	blobs_fs_path(key_domain, d, path);
	snprintf(
	    name, sizeof(name), "%s.%lld", path, (long long)clock_real_ms());
	while ((slash = strchr(name, '/')) != NULL)
		*slash = '-';
	if ((rc = name_take(b, path, fd, name)) != RC_OK)
		return (rc);
	if ((rc = blobs_fs_sync(b, b->quarantine_fd, "quarantine")) != RC_OK)
		return (rc);
	/* Its folder may have been empty then, and be gone. */
	rc = parent_sync(b, path);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
