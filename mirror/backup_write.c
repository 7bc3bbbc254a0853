#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/backup_int.h"

/*
 * Writing: all is read once, from beginning to end, and hashed on its way; but
 * for the metadata, whose digest stands in front of them.  A file that is not
 * what its record says ends it, since whoever restores it would have no other.
 *
 * A backup appears under its name when it is complete and synced.
 */
struct writing {
	const char *dir, *archive_dir; /* the second may be NULL */
	const char *meta_path;
	struct store *keys; /* or NULL */
	struct backup_progress *progress;
	const atomic_bool *cancel;
	char *why;
	struct archive *out;
	struct backup_head head;
	struct backup_tally tally;
	int64_t now_ms;
	char *chunk;
};

/* --- entries ------------------------------------------------------------- */

static enum rc
out_failed(const struct writing *w)
{
	const char *text = archive_error_string(w->out);
	int err = archive_errno(w->out);

	return (backup_fail(w->why, err > 0 ? rc_of_errno(err) : RC_IO,
	    "the backup cannot be written: %s",
	    text != NULL ? text : "no reason given"));
}

static enum rc
entry_begin(const struct writing *w, const char *name, uint64_t size_bytes)
{
	struct archive_entry *e = archive_entry_new();
	int err;

	if (e == NULL)
		wrong("out of memory");
	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_size(e, (la_int64_t)size_bytes);
	archive_entry_set_mtime(e, (time_t)(w->now_ms / 1000), 0);
	err = archive_write_header(w->out, e);
	archive_entry_free(e);
	return (err == ARCHIVE_OK ? RC_OK : out_failed(w));
}

static enum rc
entry_bytes(const struct writing *w, const char *p, size_t n)
{
	la_ssize_t done;

	while (n > 0) {
		if ((done = archive_write_data(w->out, p, n)) <= 0)
			return (out_failed(w));
		p += done;
		n -= (size_t)done;
	}
	return (RC_OK);
}

static enum rc
text_write(const struct writing *w, const char *name, struct span text)
{
	enum rc rc;

	if ((rc = entry_begin(w, name, text.n)) != RC_OK)
		return (rc);
	return (entry_bytes(w, text.p, text.n));
}

/* --- files --------------------------------------------------------------- */

/* A file of the registry, open; ${size}: as large as it has to be. */
static enum rc
source_open(
    const struct writing *w, const char *path, uint64_t *size_r, int *fd_r)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return (backup_fail(w->why,
		    errno == ENOENT ? RC_CORRUPT : rc_of_errno(errno), "%s: %s",
		    path, strerror(errno)));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return (
		    backup_fail(w->why, RC_CORRUPT, "%s is not a file", path));
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*size_r = (uint64_t)st.st_size;
	*fd_r = fd;
	return (RC_OK);
}

/* 0: at the end. */
static enum rc
source_read(const struct writing *w, const char *path, int fd, size_t *n_r)
{
	ssize_t n;

	if (backup_stopped(w->cancel))
		return (backup_fail(w->why, RC_CANCELLED, "cancelled"));
	do {
		n = read(fd, w->chunk, BACKUP_CHUNK_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return (backup_fail(
		    w->why, RC_IO, "%s: %s", path, strerror(errno)));
	*n_r = (size_t)n;
	return (RC_OK);
}

/* To the end of what its entry said, and not further: a file may have become
 * longer.  ${check} may be NULL. */
static enum rc
source_pass(struct writing *w, const char *path, int fd, uint64_t size_bytes,
    struct backup_check *check)
{
	uint64_t done = 0;
	size_t n;
	enum rc rc;

	while (done < size_bytes) {
		if ((rc = source_read(w, path, fd, &n)) != RC_OK)
			return (rc);
		if (n > size_bytes - done)
			n = (size_t)(size_bytes - done);
		if (n == 0 || (check != NULL && backup_check_update(check,
						    w->chunk, n) != RC_OK))
			break;
		if ((rc = entry_bytes(w, w->chunk, n)) != RC_OK)
			return (rc);
		done += n;
		atomic_fetch_add(&w->progress->bytes, n);
	}
	return (done == size_bytes ? RC_OK : RC_CORRUPT);
}

static enum rc
damaged(const struct writing *w, const char *path)
{
	return (backup_fail(w->why, RC_CORRUPT,
	    "%s is damaged, and nothing else was looked at: \"registryctl fsck "
	    "--repair\" sets what is damaged aside",
	    path));
}

/* As it lies, hashed on its way. */
static enum rc
plain_write(struct writing *w, const char *path,
    const struct snapshot_file *file, int fd)
{
	struct backup_check *check = backup_check_new(file);
	enum rc rc;

	rc = source_pass(w, path, fd, file->stored_bytes, check);
	if (rc == RC_OK)
		rc = backup_check_end(check);
	backup_check_free(&check);
	return (rc);
}

/* Encrypted: looked into first. */
static enum rc
sealed_write(struct writing *w, const char *path,
    const struct snapshot_file *file, int fd)
{
	bool verified;
	enum rc rc;

	rc = backup_sealed_check(fd, file, w->keys, w->cancel, &verified);
	if (rc == RC_CANCELLED)
		return (backup_fail(w->why, rc, "cancelled"));
	if (rc == RC_OK && !verified)
		atomic_fetch_add(&w->progress->locked, 1);
	if (rc == RC_OK && lseek(fd, 0, SEEK_SET) != 0)
		rc = RC_IO;
	if (rc != RC_OK && rc != RC_CORRUPT)
		return (backup_fail(w->why, rc, "%s: %s", path, rc_text(rc)));
	return (rc == RC_OK ? source_pass(w, path, fd, file->stored_bytes, NULL)
			    : rc);
}

static enum rc
source_write(struct writing *w, const char *path,
    const struct snapshot_file *file, uint64_t size_bytes, int fd)
{
	enum rc rc;

	if (size_bytes != file->stored_bytes)
		return (damaged(w, path));
	if ((rc = entry_begin(w, file->path, size_bytes)) != RC_OK)
		return (rc);
	w->why[0] = '\0';
	if (file->key_domain == 0)
		rc = plain_write(w, path, file, fd);
	else
		rc = sealed_write(w, path, file, fd);
	if (rc == RC_CORRUPT)
		return (damaged(w, path));
	if (rc == RC_OK)
		backup_tally_add(
		    &w->tally, file->path, &file->digest, size_bytes);
	return (rc);
}

/* Where it lies: the archive may be elsewhere. */
static char *
content_path(const struct writing *w, const struct snapshot_file *file)
{
	if (!file->archived || w->archive_dir == NULL)
		return (xasprintf("%s/%s", w->dir, file->path));
	return (xasprintf("%s%s", w->archive_dir, strchr(file->path, '/')));
}

static enum rc
content_write(void *arg, const struct snapshot_file *file)
{
	struct writing *w = arg;
	char *path = content_path(w, file);
	uint64_t size = 0;
	int fd = -1;
	enum rc rc;

	if ((rc = source_open(w, path, &size, &fd)) == RC_OK) {
		rc = source_write(w, path, file, size, fd);
		(void)close(fd);
	}
	if (rc == RC_OK)
		atomic_fetch_add(&w->progress->files, 1);
	free(path);
	return (rc);
}

/* --- what comes first ---------------------------------------------------- */

static enum rc
content_count(void *arg, const struct snapshot_file *file)
{
	struct writing *w = arg;

	w->head.files++;
	w->head.bytes += file->stored_bytes;
	return (backup_stopped(w->cancel)
		    ? backup_fail(w->why, RC_CANCELLED, "cancelled")
		    : RC_OK);
}

static enum rc
meta_hash(struct writing *w, int fd)
{
	struct hasher *h = hasher_new(DIGEST_SHA256);
	size_t n = 1;
	enum rc rc = RC_OK;

	while (rc == RC_OK && n > 0) {
		rc = source_read(w, w->meta_path, fd, &n);
		if (rc == RC_OK) {
			hasher_update(h, w->chunk, n);
			w->head.meta_bytes += n;
		}
	}
	if (rc == RC_OK)
		hasher_final(h, &w->head.meta_digest);
	hasher_free(&h);
	return (rc);
}

static enum rc
files_told(struct writing *w, snapshot_file_fn *fn)
{
	char why[SNAPSHOT_WHY_BYTES] = "";
	enum rc rc;

	rc = snapshot_files(w->meta_path, fn, w, why);
	if (rc != RC_OK && why[0] != '\0')
		(void)backup_fail(w->why, rc, "%s", why);
	return (rc);
}

static enum rc
head_make(struct writing *w)
{
	uint64_t size = 0;
	int fd = -1;
	enum rc rc;

	if ((rc = source_open(w, w->meta_path, &size, &fd)) != RC_OK)
		return (rc);
	rc = meta_hash(w, fd);
	(void)close(fd);
	if (rc == RC_OK)
		rc = files_told(w, content_count);
	w->head.bytes += w->head.meta_bytes;
	atomic_store(&w->progress->files_total, w->head.files);
	atomic_store(&w->progress->bytes_total, w->head.bytes);
	return (rc);
}

static enum rc
head_write(const struct writing *w)
{
	struct buf text;
	enum rc rc;

	buf_init(&text, BACKUP_TEXT_MAX_BYTES);
	backup_head_write(&w->head, &text);
	rc = text_write(w, BACKUP_HEAD, buf_as_span(&text));
	buf_free(&text);
	return (rc);
}

static enum rc
format_write(struct writing *w)
{
	char *path = xasprintf("%s/" BACKUP_FORMAT_FILE, w->dir);
	struct span text = SPAN_NONE;
	struct digest d;
	uint64_t size = 0;
	int fd = -1;
	enum rc rc;

	if ((rc = source_open(w, path, &size, &fd)) == RC_OK) {
		rc = source_read(w, path, fd, &text.n);
		(void)close(fd);
	}
	text.p = w->chunk;
	if (rc == RC_OK)
		rc = backup_format_check(text, w->why);
	if (rc == RC_OK)
		rc = text_write(w, BACKUP_FORMAT_FILE, text);
	if (rc == RC_OK) {
		digest_of(DIGEST_SHA256, text.p, text.n, &d);
		backup_tally_add(&w->tally, BACKUP_FORMAT_FILE, &d, text.n);
	}
	free(path);
	return (rc);
}

static enum rc
meta_write(struct writing *w)
{
	struct snapshot_file file = {
		.path = BACKUP_META_FILE,
		.digest = w->head.meta_digest,
		.size_bytes = w->head.meta_bytes,
		.stored_bytes = w->head.meta_bytes,
	};
	uint64_t size = 0;
	int fd = -1;
	enum rc rc;

	if ((rc = source_open(w, w->meta_path, &size, &fd)) != RC_OK)
		return (rc);
	rc = source_write(w, w->meta_path, &file, size, fd);
	(void)close(fd);
	return (rc);
}

static enum rc
end_write(struct writing *w)
{
	struct buf text;
	enum rc rc;

	buf_init(&text, BACKUP_TEXT_MAX_BYTES);
	backup_tally_end(&w->tally, &text);
	rc = text_write(w, BACKUP_END, buf_as_span(&text));
	buf_free(&text);
	return (rc);
}

static enum rc
all_write(struct writing *w)
{
	enum rc rc;

	if ((rc = head_make(w)) != RC_OK || (rc = head_write(w)) != RC_OK ||
	    (rc = format_write(w)) != RC_OK || (rc = meta_write(w)) != RC_OK ||
	    (rc = files_told(w, content_write)) != RC_OK ||
	    (rc = end_write(w)) != RC_OK)
		return (rc);
	return (
	    archive_write_close(w->out) == ARCHIVE_OK ? RC_OK : out_failed(w));
}

/* --- the archive --------------------------------------------------------- */

static enum rc
out_open(struct writing *w, int fd, enum archive_compression compression)
{
	int err;

	if ((w->out = archive_write_new()) == NULL)
		wrong("out of memory");
	err = archive_write_set_format_pax_restricted(w->out);
	if (err == ARCHIVE_OK && compression == ARCHIVE_GZIP)
		err = archive_write_add_filter_gzip(w->out);
	else if (err == ARCHIVE_OK && compression == ARCHIVE_ZSTD)
		err = archive_write_add_filter_zstd(w->out);
	if (err == ARCHIVE_OK)
		err = archive_write_set_bytes_per_block(
		    w->out, (int)BACKUP_CHUNK_BYTES);
	if (err == ARCHIVE_OK)
		err = archive_write_set_bytes_in_last_block(w->out, 1);
	if (err == ARCHIVE_OK)
		err = archive_write_open_fd(w->out, fd);
	return (err == ARCHIVE_OK ? RC_OK : out_failed(w));
}

static enum rc
to_fd(struct writing *w, int fd, enum archive_compression compression)
{
	enum rc rc;

	w->now_ms = clock_real_ms();
	w->chunk = xmalloc(BACKUP_CHUNK_BYTES);
	backup_tally_init(&w->tally);
	rc = out_open(w, fd, compression);
	if (rc == RC_OK)
		rc = all_write(w);
	/* What was not closed is not to be ended as if it were whole. */
	if (rc != RC_OK)
		(void)archive_write_fail(w->out);
	(void)archive_write_free(w->out);
	backup_tally_free(&w->tally);
	free(w->chunk);
	return (rc);
}

/* --- its file ------------------------------------------------------------ */

static enum rc
file_failed(const struct writing *w, const char *path, const char *what)
{
	int err = errno;

	return (backup_fail(
	    w->why, rc_of_errno(err), "%s: %s: %s", path, what, strerror(err)));
}

static enum rc
parent_sync(const struct writing *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	enum rc rc = RC_OK;
	int fd;

	dir = slash == NULL ? xstrdup(".")
			    : xstrndup(path, (size_t)(slash - path + 1));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = file_failed(w, dir, "sync");
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return (rc);
}

static enum rc
file_settle(const struct writing *w, const char *part, const char *path, int fd)
{
	if (fsync(fd) != 0)
		return (file_failed(w, part, "sync"));
	if (rename(part, path) != 0)
		return (file_failed(w, path, "rename"));
	return (parent_sync(w, path));
}

static enum rc
to_path(struct writing *w, const char *path, enum archive_compression c)
{
	char *part = xasprintf("%s.%ld.part", path, (long)getpid());
	enum rc rc;
	int fd;

	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = file_failed(w, part, "create");
		goto out;
	}
	rc = to_fd(w, fd, c);
	if (rc == RC_OK)
		rc = file_settle(w, part, path, fd);
	(void)close(fd);
	if (rc != RC_OK)
		(void)unlink(part);
out:
	free(part);
	return (rc);
}

enum rc
backup_write(const char *dir, const char *archive_dir, const char *meta_path,
    struct store *keys, const char *path, int fd,
    enum archive_compression compression, struct backup_progress *progress,
    const atomic_bool *cancel, char why[ARCHIVE_WHY_BYTES])
{
	struct writing w = {
		.dir = dir,
		.archive_dir = archive_dir,
		.meta_path = meta_path,
		.keys = keys,
		.progress = progress,
		.cancel = cancel,
		.why = why,
	};

	why[0] = '\0';
	return (fd >= 0 ? to_fd(&w, fd, compression)
			: to_path(&w, path, compression));
}
