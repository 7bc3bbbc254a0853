#include "storage/blobs_fs_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/sealed.h"

/*
 * Content on its way in: a file DIR/uploads/<id>, or <id>.sealed of a key
 * domain.  What is appended is in the page cache only, until scratch_place()
 * makes it durable; a session's offset after a crash is whatever the file has
 * then.  One without a name is only read again, while it is open: its key is
 * known to nobody else, and lost with it.
 */

/* So much is written before the kernel is told to start on it; the final
 * fsync then finds little left to do. */
#define WRITE_BACK_BYTES (4ULL * 1024 * 1024)

#define COPY_BYTES ((size_t)256 * 1024)

/* That of no repository. */
#define KEY_DOMAIN_NOBODY UINT32_MAX

struct scratch {
	unsigned magic;
	struct blobs *blobs;
	char id[UPLOAD_ID_BYTES];
	char name[SCRATCH_NAME_BYTES]; /* in uploads/ */
	uint32_t key_domain;
	int fd;
	bool unnamed;
	uint64_t size_bytes;	      /* of what is plain */
	struct sealed_writer *sealed; /* NULL: plain, or empty-handed */
	uint64_t written_back_bytes;  /* of the file */
};

static bool
id_ok(const char *id)
{
	return (strspn(id, "0123456789abcdef") == UPLOAD_ID_BYTES - 1 &&
		id[UPLOAD_ID_BYTES - 1] == '\0');
}

static void
name_of(const char *id, const char *suffix, char name[SCRATCH_NAME_BYTES])
{
	(void)snprintf(name, SCRATCH_NAME_BYTES, "%s%s", id, suffix);
}

static struct scratch *
scratch_new(struct blobs *b, uint32_t key_domain, const char *id, int fd)
{
	struct scratch *s = xcalloc(1, sizeof(*s));

	s->magic = SCRATCH_MAGIC;
	s->blobs = b;
	memcpy(s->id, id, sizeof(s->id));
	name_of(
	    id, key_domain == KEY_DOMAIN_PLAIN ? "" : SCRATCH_SEALED, s->name);
	s->key_domain = key_domain;
	s->fd = fd;
	return (s);
}

/* --- create -------------------------------------------------------------- */

static enum rc
key_of(struct blobs *b, uint32_t key_domain, struct seal_key *key_r)
{
	if (key_domain != KEY_DOMAIN_NOBODY)
		return (blobs_fs_key(b, key_domain, READ_BLOCKING, key_r));
	seal_key_make(key_r);
	return (RC_OK);
}

/* It seals from its first byte on. */
static enum rc
seal_begin(struct scratch *s)
{
	struct seal_key key;
	enum rc rc;

	if (s->key_domain == KEY_DOMAIN_PLAIN)
		return (RC_OK);
	if ((rc = key_of(s->blobs, s->key_domain, &key)) != RC_OK)
		return (rc);
	rc = sealed_writer_new(s->fd, &key, s->key_domain, &s->sealed);
	mem_wipe(&key, sizeof(key));
	return (rc);
}

static bool
name_taken(const struct blobs *b, const char *name)
{
	return (faccessat(b->uploads_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

/* One that is there already may be of another key domain. */
static bool
id_taken(const struct blobs *b, const char *id)
{
	char sealed[SCRATCH_NAME_BYTES];

	name_of(id, SCRATCH_SEALED, sealed);
	return (name_taken(b, id) || name_taken(b, sealed));
}

static enum rc
file_make(struct blobs *b, const char *name, int *fd_r)
{
	*fd_r = openat(b->uploads_fd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd_r >= 0)
		return (RC_OK);
	return (errno == EEXIST ? RC_EXISTS
				: blobs_fs_failed(b, "create uploads/", name));
}

enum rc
scratch_create(
    struct blobs *b, uint32_t key_domain, const char *id, struct scratch **s_r)
{
	struct scratch *s;
	enum rc rc;

	OBJ_CHECK(b, BLOBS_MAGIC);
	must(id_ok(id));
	*s_r = NULL;
	if (id_taken(b, id))
		return (RC_EXISTS);
	s = scratch_new(b, key_domain, id, -1);
	if ((rc = file_make(b, s->name, &s->fd)) == RC_OK &&
	    (rc = seal_begin(s)) != RC_OK)
		(void)unlinkat(b->uploads_fd, s->name, 0);
	if (rc != RC_OK)
		scratch_close(&s);
	*s_r = s;
	return (rc);
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
	struct scratch *s;
	enum rc rc = RC_OK;
	int fd;

	OBJ_CHECK(b, BLOBS_MAGIC);
	must(id_ok(id));
	*s_r = NULL;
	fd = openat(
	    b->uploads_fd, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		s = scratch_new(b, KEY_DOMAIN_NOBODY, id, fd);
		rc = seal_begin(s);
	} else if (unnamed_unknown(errno)) {
		/* A crash before the name is gone leaves it to the sweep. */
		rc = scratch_create(b, KEY_DOMAIN_NOBODY, id, &s);
		if (rc == RC_OK)
			rc = scratch_remove(b, id);
	} else {
		return (blobs_fs_failed(b, "create uploads/", id));
	}
	if (rc == RC_OK)
		s->unnamed = true;
	else
		scratch_close(&s);
	*s_r = s;
	return (rc);
}

/* --- open ---------------------------------------------------------------- */

/* What is there of ${id}: *${name} and whether that is sealed. */
static enum rc
file_open(struct blobs *b, const char *id, int flags,
    char name[SCRATCH_NAME_BYTES], int *fd_r, struct stat *st)
{
	static const char *const suffixes[] = { "", SCRATCH_SEALED };
	size_t i;

	*fd_r = -1;
	for (i = 0; i < ARRAY_LEN(suffixes) && *fd_r < 0; i++) {
		name_of(id, suffixes[i], name);
		*fd_r = openat(b->uploads_fd, name,
		    flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (*fd_r < 0 && errno != ENOENT)
			return (blobs_fs_failed(b, "open uploads/", name));
	}
	if (*fd_r < 0)
		return (RC_NOTFOUND);
	if (fstat(*fd_r, st) == 0 && S_ISREG(st->st_mode))
		return (RC_OK);
	log_error("%s/uploads/%s: not a regular file", b->dir, name);
	(void)close(*fd_r);
	*fd_r = -1;
	return (RC_IO);
}

static enum rc
seal_resume(struct scratch *s)
{
	struct seal_key key;
	enum rc rc;

	rc = sealed_reader_domain(s->fd, &s->key_domain);
	/* Nobody has that key any more. */
	if (rc == RC_OK && (s->key_domain == KEY_DOMAIN_PLAIN ||
			       s->key_domain == KEY_DOMAIN_NOBODY))
		rc = RC_CORRUPT;
	if (rc == RC_OK)
		rc = key_of(s->blobs, s->key_domain, &key);
	if (rc == RC_OK) {
		rc = sealed_writer_open(s->fd, &key, &s->sealed);
		mem_wipe(&key, sizeof(key));
	}
	if (rc == RC_CORRUPT)
		log_error("%s/uploads/%s: damaged", s->blobs->dir, s->name);
	return (rc);
}

static enum rc
scratch_find(struct blobs *b, const char *id, int flags, struct scratch **s_r)
{
	char name[SCRATCH_NAME_BYTES];
	struct scratch *s;
	struct stat st = { 0 };
	enum rc rc;
	int fd;

	*s_r = NULL;
	if (!id_ok(id))
		return (RC_NOTFOUND);
	if ((rc = file_open(b, id, flags, name, &fd, &st)) != RC_OK)
		return (rc);
	s = scratch_new(b, KEY_DOMAIN_PLAIN, id, fd);
	s->size_bytes = (uint64_t)st.st_size;
	memcpy(s->name, name, sizeof(s->name));
	if (strcmp(name, id) != 0)
		rc = seal_resume(s);
	if (rc != RC_OK)
		scratch_close(&s);
	*s_r = s;
	return (rc);
}

enum rc
scratch_open(struct blobs *b, const char *id, struct scratch **s_r)
{
	OBJ_CHECK(b, BLOBS_MAGIC);
	return (scratch_find(b, id, b->read_only ? O_RDONLY : O_RDWR, s_r));
}

enum rc
scratch_measure(struct blobs *b, const char *id, uint64_t *size_r)
{
	struct scratch *s;
	enum rc rc;

	OBJ_CHECK(b, BLOBS_MAGIC);
	if ((rc = scratch_find(b, id, O_RDONLY, &s)) != RC_OK)
		return (rc);
	*size_r = scratch_size(s);
	scratch_close(&s);
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
	/* What could not be written then is as lost as if it had been torn off
	 * by a crash. */
	if (s->sealed != NULL && !s->unnamed && !s->blobs->read_only)
		(void)!sealed_writer_flush(s->sealed);
	sealed_writer_close(&s->sealed);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->magic = 0;
	free(s);
}

uint64_t
scratch_size(const struct scratch *s)
{
	return (
	    s->sealed != NULL ? sealed_writer_size(s->sealed) : s->size_bytes);
}

uint64_t
scratch_readable(const struct scratch *s)
{
	return (s->sealed != NULL ? sealed_writer_readable(s->sealed)
				  : s->size_bytes);
}

uint32_t
scratch_domain(const struct scratch *s)
{
	return (s->key_domain);
}

/* --- write and read ------------------------------------------------------ */

/* The error is not looked at: the fsync that follows reports it again. */
static void
write_back_start(struct scratch *s)
{
	uint64_t end = s->sealed != NULL
			   ? sealed_file_bytes(sealed_writer_size(s->sealed))
			   : s->size_bytes;
	uint64_t n = end - s->written_back_bytes;

	/* What has no name is never synced. */
	if (n < WRITE_BACK_BYTES || s->unnamed)
		return;
	(void)sync_file_range(s->fd, (off_t)s->written_back_bytes, (off_t)n,
	    SYNC_FILE_RANGE_WRITE);
	s->written_back_bytes = end;
}

/* ${at}: where to, of the file. */
static enum rc
bytes_write(struct scratch *s, const void *p, size_t n, uint64_t at)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		got = pwrite(s->fd, (const char *)p + done, n - done,
		    (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return (blobs_fs_failed(
			    s->blobs, "write uploads/", s->name));
		done += (size_t)got;
	}
	return (RC_OK);
}

static enum rc
plain_append(struct scratch *s, const void *p, size_t n)
{
	enum rc rc;

	rc = bytes_write(s, p, n, s->size_bytes);
	if (rc == RC_OK)
		s->size_bytes += n;
	else if (ftruncate(s->fd, (off_t)s->size_bytes) != 0)
		(void)blobs_fs_failed(s->blobs, "truncate uploads/", s->name);
	return (rc);
}

enum rc
scratch_append(struct scratch *s, const void *p, size_t n)
{
	enum rc rc;

	OBJ_CHECK(s, SCRATCH_MAGIC);
	must(s->fd >= 0);
	rc = s->sealed != NULL ? sealed_writer_append(s->sealed, p, n)
			       : plain_append(s, p, n);
	if (rc == RC_OK)
		write_back_start(s);
	return (rc);
}

enum rc
scratch_flush(struct scratch *s)
{
	OBJ_CHECK(s, SCRATCH_MAGIC);
	return (s->sealed != NULL ? sealed_writer_flush(s->sealed) : RC_OK);
}

static enum rc
plain_read(struct scratch *s, uint64_t offset, void *p, size_t n)
{
	size_t done = 0;
	ssize_t got;

	if (offset > s->size_bytes || n > s->size_bytes - offset)
		return (RC_RANGE);
	while (done < n) {
		got = pread(
		    s->fd, (char *)p + done, n - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return (blobs_fs_failed(
			    s->blobs, "read uploads/", s->name));
		done += (size_t)got;
	}
	return (RC_OK);
}

enum rc
scratch_read(struct scratch *s, uint64_t offset, void *p, size_t n)
{
	OBJ_CHECK(s, SCRATCH_MAGIC);
	return (s->sealed != NULL ? sealed_writer_read(s->sealed, offset, p, n)
				  : plain_read(s, offset, p, n));
}

enum rc
scratch_reader(struct scratch *s, struct blob_file *f_r)
{
	struct blob_file f = { .size_bytes = UINT64_MAX };

	OBJ_CHECK(s, SCRATCH_MAGIC);
	must(s->fd >= 0 && !s->unnamed);
	*f_r = (struct blob_file)BLOB_FILE_NONE;
	f.fd = openat(s->blobs->uploads_fd, s->name,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f.fd < 0)
		return (blobs_fs_failed(s->blobs, "open uploads/", s->name));
	if (s->sealed != NULL)
		f.sealed = sealed_writer_reader(s->sealed, f.fd);
	*f_r = f;
	return (RC_OK);
}

static enum rc
plain_truncate(struct scratch *s, uint64_t n_bytes)
{
	if (n_bytes > s->size_bytes)
		return (RC_RANGE);
	if (ftruncate(s->fd, (off_t)n_bytes) != 0)
		return (
		    blobs_fs_failed(s->blobs, "truncate uploads/", s->name));
	s->size_bytes = n_bytes;
	return (RC_OK);
}

enum rc
scratch_truncate(struct scratch *s, uint64_t n_bytes)
{
	enum rc rc;

	OBJ_CHECK(s, SCRATCH_MAGIC);
	rc = s->sealed != NULL ? sealed_writer_truncate(s->sealed, n_bytes)
			       : plain_truncate(s, n_bytes);
	if (rc == RC_OK && s->written_back_bytes > n_bytes)
		s->written_back_bytes = n_bytes;
	return (rc);
}

/* --- place --------------------------------------------------------------- */

/* Let go of the file, wherever it is by now. */
static void
scratch_empty(struct scratch *s)
{
	sealed_writer_close(&s->sealed);
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
	rc = blobs_fs_failed(b, "fdatasync uploads/", s->name);
	if (rc != RC_NOSPACE) {
		atomic_store(&b->sync_failed, true);
		rc = RC_IO;
	}
	(void)unlinkat(b->uploads_fd, s->name, 0);
	scratch_empty(s);
	return (rc);
}

static enum rc
scratch_complete(struct scratch *s, const struct digest *d)
{
	enum rc rc = RC_OK;

	if (s->sealed != NULL)
		rc = sealed_writer_complete(s->sealed, d);
	return (rc == RC_OK ? scratch_sync(s) : rc);
}

/* As it is, to where it belongs. */
static enum rc
file_place(struct scratch *s, const struct digest *d)
{
	enum rc rc;

	if ((rc = scratch_complete(s, d)) != RC_OK)
		return (rc);
	rc = blobs_fs_place(s->blobs, s->name, s->key_domain, d);
	/* A failed sync of the folder comes after the rename. */
	if (rc == RC_OK || !name_taken(s->blobs, s->name))
		scratch_empty(s);
	return (rc);
}

static enum rc
content_copy(struct scratch *s, struct scratch *to)
{
	uint64_t at, size = scratch_size(s);
	char *p = xmalloc(COPY_BYTES);
	size_t n = 0;
	enum rc rc = RC_OK;

	for (at = 0; at < size && rc == RC_OK; at += n) {
		n = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
		if ((rc = scratch_read(s, at, p, n)) == RC_OK)
			rc = scratch_append(to, p, n);
	}
	mem_wipe(p, COPY_BYTES);
	free(p);
	return (rc);
}

/* A copy that has no session of its own; a crash leaves it to the sweep. */
static enum rc
copy_new(struct scratch *s, uint32_t key_domain, struct scratch **copy_r)
{
	struct blobs *b = s->blobs;
	struct scratch *copy = scratch_new(b, key_domain, s->id, -1);
	enum rc rc;

	name_of(s->id, SCRATCH_COPY, copy->name);
	(void)unlinkat(b->uploads_fd, copy->name, 0);
	if ((rc = file_make(b, copy->name, &copy->fd)) == RC_OK)
		rc = seal_begin(copy);
	if (rc != RC_OK)
		scratch_close(&copy);
	*copy_r = copy;
	return (rc);
}

/* As its place asks for it. */
static enum rc
copy_place(struct scratch *s, uint32_t key_domain, const struct digest *d)
{
	struct blobs *b = s->blobs;
	struct scratch *copy = NULL;
	char name[SCRATCH_NAME_BYTES];
	enum rc rc;

	name_of(s->id, SCRATCH_COPY, name);
	rc = copy_new(s, key_domain, &copy);
	if (rc == RC_OK && (rc = content_copy(s, copy)) == RC_OK)
		rc = file_place(copy, d);
	scratch_close(&copy);
	if (rc != RC_OK) {
		/* One that cannot be taken for certain to be durable has got
		 * its name: that is for fsck, and the content is still here. */
		(void)unlinkat(b->uploads_fd, name, 0);
		return (rc);
	}
	if (unlinkat(b->uploads_fd, s->name, 0) != 0)
		(void)blobs_fs_failed(b, "unlink uploads/", s->name);
	scratch_empty(s);
	return (RC_OK);
}

enum rc
scratch_place(struct scratch *s, uint32_t key_domain, const struct digest *d)
{
	OBJ_CHECK(s, SCRATCH_MAGIC);
	must(s->fd >= 0 && !s->unnamed);
	if (key_domain != s->key_domain ||
	    (s->sealed != NULL && sealed_writer_cut(s->sealed)))
		return (copy_place(s, key_domain, d));
	return (file_place(s, d));
}

/* --- without opening ----------------------------------------------------- */

enum rc
scratch_stat(
    struct blobs *b, const char *id, uint64_t *size_r, int64_t *changed_ms_r)
{
	char sealed[SCRATCH_NAME_BYTES];
	struct stat st;

	OBJ_CHECK(b, BLOBS_MAGIC);
	if (!id_ok(id))
		return (RC_NOTFOUND);
	name_of(id, SCRATCH_SEALED, sealed);
	if (fstatat(b->uploads_fd, id, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*size_r = (uint64_t)st.st_size;
	else if (errno == ENOENT &&
		 fstatat(b->uploads_fd, sealed, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*size_r = sealed_content_bytes((uint64_t)st.st_size);
	else if (errno == ENOENT)
		return (RC_NOTFOUND);
	else
		return (blobs_fs_failed(b, "stat uploads/", id));
	*changed_ms_r = blobs_fs_mtime_ms(&st);
	return (RC_OK);
}

enum rc
scratch_remove(struct blobs *b, const char *id)
{
	static const char *const suffixes[] = { "", SCRATCH_SEALED,
		SCRATCH_COPY };
	char name[SCRATCH_NAME_BYTES];
	enum rc rc = RC_OK;
	size_t i;

	OBJ_CHECK(b, BLOBS_MAGIC);
	if (!id_ok(id))
		return (RC_OK);
	for (i = 0; i < ARRAY_LEN(suffixes); i++) {
		name_of(id, suffixes[i], name);
		if (unlinkat(b->uploads_fd, name, 0) != 0 && errno != ENOENT)
			rc = blobs_fs_failed(b, "unlink uploads/", name);
	}
	return (rc);
}
