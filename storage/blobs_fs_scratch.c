#include "storage/blobs_fs_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Content on its way in: a file DIR/uploads/<id>.  What is appended is in
 * the page cache only, until scratch_place() makes it durable; a session's
 * offset after a crash is whatever size the file has then.  One without a
 * name is only read again, while it is open.
 */

/* So much is written before the kernel is told to start on it; the final
 * fsync then finds little left to do. */
#define WRITE_BACK_BYTES (4ULL * 1024 * 1024)

struct scratch {
	unsigned magic;
	struct blobs *blobs;
	char id[UPLOAD_ID_BYTES];
	int fd;
	bool unnamed;
	uint64_t size_bytes;
	uint64_t written_back_bytes; /* write-back was started up to here */
};

static bool
id_ok(const char *id)
{
	return (strspn(id, "0123456789abcdef") == UPLOAD_ID_BYTES - 1 &&
		id[UPLOAD_ID_BYTES - 1] == '\0');
}

static struct scratch *
scratch_new(struct blobs *b, const char *id, int fd, uint64_t size_bytes)
{
	struct scratch *s = xcalloc(1, sizeof(*s));

	s->magic = SCRATCH_MAGIC;
	s->blobs = b;
	memcpy(s->id, id, sizeof(s->id));
	s->fd = fd;
	s->size_bytes = size_bytes;
	return (s);
}

enum rc
scratch_create(struct blobs *b, const char *id, struct scratch **s_r)
{
	int fd;

	OBJ_CHECK(b, BLOBS_MAGIC);
	must(id_ok(id));
	fd = openat(b->uploads_fd, id,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		if (errno == EEXIST)
			return (RC_EXISTS);
		return (blobs_fs_failed(b, "create uploads/", id));
	}
	*s_r = scratch_new(b, id, fd, 0);
	return (RC_OK);
}

/* Filesystems that cannot say so in several ways. */
static bool
unnamed_unknown(int err)
{
	return (err == EOPNOTSUPP || err == EISDIR || err == EINVAL ||
		err == ENOENT);
}

enum rc
scratch_unnamed(struct blobs *b, const char *id, struct scratch **s_r)
{
	int fd;
	enum rc rc;

	OBJ_CHECK(b, BLOBS_MAGIC);
	must(id_ok(id));
	fd = openat(
	    b->uploads_fd, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		*s_r = scratch_new(b, id, fd, 0);
	} else if (unnamed_unknown(errno)) {
		/* A crash before the name is gone leaves it to the sweep. */
		if ((rc = scratch_create(b, id, s_r)) != RC_OK)
			return (rc);
		if ((rc = scratch_remove(b, id)) != RC_OK) {
			scratch_close(s_r);
			return (rc);
		}
	} else {
		return (blobs_fs_failed(b, "create uploads/", id));
	}
	(*s_r)->unnamed = true;
	return (RC_OK);
}

enum rc
scratch_open(struct blobs *b, const char *id, struct scratch **s_r)
{
	struct stat st;
	int fd;

	OBJ_CHECK(b, BLOBS_MAGIC);
	if (!id_ok(id))
		return (RC_NOTFOUND);
	fd = openat(b->uploads_fd, id,
	    (b->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW |
		O_NONBLOCK);
	if (fd < 0) {
		if (errno == ENOENT)
			return (RC_NOTFOUND);
		return (blobs_fs_failed(b, "open uploads/", id));
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		log_error("%s/uploads/%s: not a regular file", b->dir, id);
		(void)close(fd);
		return (RC_IO);
	}
	*s_r = scratch_new(b, id, fd, (uint64_t)st.st_size);
	return (RC_OK);
}

void
scratch_close(struct scratch **s_p)
{
	struct scratch *s = *s_p;

	if (s == NULL)
		return;
	OBJ_CHECK(s, SCRATCH_MAGIC);
	*s_p = NULL;
	if (s->fd >= 0)
		(void)close(s->fd);
	s->magic = 0;
	free(s);
}

uint64_t
scratch_size(const struct scratch *s)
{
	return (s->size_bytes);
}

/* The error is not looked at: the fsync that follows reports it again. */
static void
write_back_start(struct scratch *s)
{
	uint64_t n = s->size_bytes - s->written_back_bytes;

	/* What has no name is never synced. */
	if (n < WRITE_BACK_BYTES || s->unnamed)
		return;
	(void)sync_file_range(s->fd, (off_t)s->written_back_bytes, (off_t)n,
	    SYNC_FILE_RANGE_WRITE);
	s->written_back_bytes = s->size_bytes;
}

enum rc
scratch_append(struct scratch *s, const void *p, size_t n)
{
	size_t done = 0;
	ssize_t got;
	enum rc rc;

	OBJ_CHECK(s, SCRATCH_MAGIC);
	must(s->fd >= 0);
	while (done < n) {
		got = pwrite(s->fd, (const char *)p + done, n - done,
		    (off_t)(s->size_bytes + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				errno = EIO;
			rc = blobs_fs_failed(s->blobs, "write uploads/", s->id);
			goto err0;
		}
		done += (size_t)got;
	}
	s->size_bytes += n;
	write_back_start(s);
	return (RC_OK);

err0:
	if (ftruncate(s->fd, (off_t)s->size_bytes) != 0)
		(void)blobs_fs_failed(s->blobs, "truncate uploads/", s->id);
	return (rc);
}

enum rc
scratch_read(struct scratch *s, uint64_t offset, void *p, size_t n)
{
	size_t done = 0;
	ssize_t got;

	OBJ_CHECK(s, SCRATCH_MAGIC);
	if (offset > s->size_bytes || n > s->size_bytes - offset)
		return (RC_RANGE);
	while (done < n) {
		got = pread(
		    s->fd, (char *)p + done, n - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				errno = EIO;
			return (
			    blobs_fs_failed(s->blobs, "read uploads/", s->id));
		}
		done += (size_t)got;
	}
	return (RC_OK);
}

enum rc
scratch_reader(struct scratch *s, int *fd_r)
{
	OBJ_CHECK(s, SCRATCH_MAGIC);
	must(s->fd >= 0 && !s->unnamed);
	*fd_r = openat(s->blobs->uploads_fd, s->id,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd_r < 0)
		return (blobs_fs_failed(s->blobs, "open uploads/", s->id));
	return (RC_OK);
}

enum rc
scratch_truncate(struct scratch *s, uint64_t n_bytes)
{
	OBJ_CHECK(s, SCRATCH_MAGIC);
	if (n_bytes > s->size_bytes)
		return (RC_RANGE);
	if (ftruncate(s->fd, (off_t)n_bytes) != 0)
		return (blobs_fs_failed(s->blobs, "truncate uploads/", s->id));
	s->size_bytes = n_bytes;
	if (s->written_back_bytes > n_bytes)
		s->written_back_bytes = n_bytes;
	return (RC_OK);
}

/* Let go of the file, wherever it is by now. */
static void
scratch_empty(struct scratch *s)
{
	(void)close(s->fd);
	s->fd = -1;
	s->size_bytes = 0;
}

/*
 * A failed fsync leaves pages that look clean and are not on the disk: the
 * file must not be synced, read or resumed again, so it goes.
 */
static enum rc
scratch_sync(struct scratch *s)
{
	struct blobs *b = s->blobs;
	enum rc rc;

	if (fdatasync(s->fd) == 0)
		return (RC_OK);
	rc = blobs_fs_failed(b, "fdatasync uploads/", s->id);
	if (rc != RC_NOSPACE) {
		atomic_store(&b->sync_failed, true);
		rc = RC_IO;
	}
	(void)unlinkat(b->uploads_fd, s->id, 0);
	scratch_empty(s);
	return (rc);
}

enum rc
scratch_place(struct scratch *s, uint32_t key_domain, const struct digest *d)
{
	enum rc rc;

	OBJ_CHECK(s, SCRATCH_MAGIC);
	must(s->fd >= 0 && !s->unnamed);
	if ((rc = scratch_sync(s)) != RC_OK)
		return (rc);
	rc = blobs_fs_place(s->blobs, s->id, key_domain, d);
	/* A failed sync of the folder comes after the rename. */
	if (rc == RC_OK || faccessat(s->blobs->uploads_fd, s->id, F_OK, 0) != 0)
		scratch_empty(s);
	return (rc);
}

enum rc
scratch_stat(
    struct blobs *b, const char *id, uint64_t *size_r, int64_t *changed_ms_r)
{
	struct stat st;

	OBJ_CHECK(b, BLOBS_MAGIC);
	if (!id_ok(id))
		return (RC_NOTFOUND);
	if (fstatat(b->uploads_fd, id, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return (RC_NOTFOUND);
		return (blobs_fs_failed(b, "stat uploads/", id));
	}
	*size_r = (uint64_t)st.st_size;
	*changed_ms_r = blobs_fs_mtime_ms(&st);
	return (RC_OK);
}

enum rc
scratch_remove(struct blobs *b, const char *id)
{
	OBJ_CHECK(b, BLOBS_MAGIC);
	if (!id_ok(id))
		return (RC_OK);
	if (unlinkat(b->uploads_fd, id, 0) == 0 || errno == ENOENT)
		return (RC_OK);
	return (blobs_fs_failed(b, "unlink uploads/", id));
}
