#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/backup_int.h"

/*
 * Restoring.  A backup may have been changed by anybody: it is read as what we
 * would have written, entry by entry, and whatever else is met ends it.  The
 * names of files do not come from it: the metadata, which come first, say what
 * has to follow, how large it is and which digest it has, so that nothing is
 * written that is not expected, none is missing, and none comes twice.  No more
 * is written than the head announces, for which there has to be room.
 */
struct restoring {
	struct backup_progress *progress;
	const atomic_bool *cancel;
	char *why;
	struct archive *in;
	struct backup_place *place;
	struct backup_head head;
	struct backup_tally tally;
	uint64_t files, content_bytes; /* that were restored */
	bool archived;		       /* there is content in the archive */
};

/* --- entries ------------------------------------------------------------- */

static enum rc
in_failed(const struct restoring *r)
{
	const char *text = archive_error_string(r->in);
	int err = archive_errno(r->in);
	/* Of its format it says EILSEQ and others of no meaning to us. */
	enum rc rc = err == EIO || err == EACCES || err == EISDIR
			 ? rc_of_errno(err)
			 : RC_INVALID;

	return (backup_fail(r->why, rc, "the backup cannot be read: %s",
	    text != NULL ? text : "no reason given"));
}

static enum rc
cancelled(const struct restoring *r)
{
	return (backup_stopped(r->cancel)
		    ? backup_fail(r->why, RC_CANCELLED, "cancelled")
		    : RC_OK);
}

static bool
name_known(const char *name)
{
	struct digest d;
	bool content;

	return (strcmp(name, BACKUP_HEAD) == 0 ||
		strcmp(name, BACKUP_END) == 0 ||
		snapshot_name_ok(name, &content, &d));
}

/* Nothing but a file: no link, no folder, no holes. */
static bool
entry_plain(struct archive_entry *e)
{
	return (archive_entry_filetype(e) == AE_IFREG &&
		archive_entry_hardlink(e) == NULL &&
		archive_entry_symlink(e) == NULL &&
		archive_entry_sparse_count(e) == 0 &&
		archive_entry_size_is_set(e) && archive_entry_size(e) >= 0);
}

static enum rc
entry_judge(
    const struct restoring *r, struct archive_entry *e, const char *name)
{
	const char *is = archive_entry_pathname(e);

	if (is == NULL || !name_known(is))
		return (backup_fail(r->why, RC_INVALID,
		    "\"%.128s\" is no file of a backup", is != NULL ? is : ""));
	if (!entry_plain(e))
		return (backup_fail(
		    r->why, RC_INVALID, "\"%.192s\" is not a plain file", is));
	if (strcmp(is, name) != 0)
		return (backup_fail(r->why, RC_INVALID,
		    "\"%.192s\" stands where %s has to come", is, name));
	return (RC_OK);
}

/* The next one, which has that name. */
static enum rc
entry_next(const struct restoring *r, const char *name, uint64_t *size_r)
{
	struct archive_entry *e;
	int err;
	enum rc rc;

	if ((rc = cancelled(r)) != RC_OK)
		return (rc);
	err = archive_read_next_header(r->in, &e);
	if (err == ARCHIVE_EOF)
		return (backup_fail(r->why, RC_INVALID,
		    "it ends before %s: it is not complete", name));
	if (err != ARCHIVE_OK)
		return (in_failed(r));
	if ((rc = entry_judge(r, e, name)) != RC_OK)
		return (rc);
	*size_r = (uint64_t)archive_entry_size(e);
	return (RC_OK);
}

/* As it comes, without gaps; *${n_r} 0: that was all. */
static enum rc
entry_bytes(const struct restoring *r, const char *name, uint64_t at,
    const void **p_r, size_t *n_r)
{
	la_int64_t offset;
	enum rc rc;
	int err;

	if ((rc = cancelled(r)) != RC_OK)
		return (rc);
	do {
		err = archive_read_data_block(r->in, p_r, n_r, &offset);
	} while (err == ARCHIVE_OK && *n_r == 0);
	if (err == ARCHIVE_EOF) {
		*n_r = 0;
		return (RC_OK);
	}
	if (err != ARCHIVE_OK)
		return (in_failed(r));
	if ((uint64_t)offset != at)
		return (backup_fail(r->why, RC_INVALID, "%s has gaps", name));
	return (RC_OK);
}

static enum rc
text_next(const struct restoring *r, const char *name, struct buf *out)
{
	uint64_t size = 0;
	const void *p;
	size_t n = 1;
	enum rc rc;

	if ((rc = entry_next(r, name, &size)) != RC_OK)
		return (rc);
	while (n > 0) {
		if ((rc = entry_bytes(r, name, out->n, &p, &n)) != RC_OK)
			return (rc);
		buf_add(out, p, n);
		if (!buf_ok(out))
			return (backup_fail(
			    r->why, RC_INVALID, "%s is too long", name));
	}
	return (RC_OK);
}

/* --- files --------------------------------------------------------------- */

static enum rc
bytes_write(const struct restoring *r, const char *name, int fd, const char *p,
    size_t n)
{
	ssize_t done;

	while (n > 0) {
		done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return (backup_fail(r->why,
			    done < 0 ? rc_of_errno(errno) : RC_IO, "%s: %s",
			    name, strerror(errno)));
		p += done;
		n -= (size_t)done;
	}
	return (RC_OK);
}

static enum rc
changed(const struct restoring *r, const char *name)
{
	return (backup_fail(r->why, RC_INVALID,
	    "%s is not what it has to be: the backup was changed or is damaged",
	    name));
}

/* ${check} may be NULL. */
static enum rc
content_pass(struct restoring *r, const struct snapshot_file *file, int fd,
    struct backup_check *check)
{
	uint64_t done = 0;
	const void *p;
	size_t n;
	enum rc rc;

	for (;;) {
		rc = entry_bytes(r, file->path, done, &p, &n);
		if (rc != RC_OK)
			return (rc);
		if (n == 0)
			break;
		if (n > file->stored_bytes - done ||
		    (check != NULL &&
			backup_check_update(check, p, n) != RC_OK))
			return (changed(r, file->path));
		if ((rc = bytes_write(r, file->path, fd, p, n)) != RC_OK)
			return (rc);
		done += n;
		atomic_fetch_add(&r->progress->bytes, n);
	}
	if (done != file->stored_bytes ||
	    (check != NULL && backup_check_end(check) != RC_OK))
		return (changed(r, file->path));
	return (RC_OK);
}

static enum rc
plain_take(struct restoring *r, const struct snapshot_file *file, int fd)
{
	struct backup_check *check = backup_check_new(file);
	enum rc rc;

	rc = content_pass(r, file, fd, check);
	backup_check_free(&check);
	return (rc);
}

/* Encrypted, and there is no key. */
static enum rc
sealed_take(struct restoring *r, const struct snapshot_file *file, int fd)
{
	bool verified;
	enum rc rc;

	if ((rc = content_pass(r, file, fd, NULL)) != RC_OK)
		return (rc);
	rc = backup_sealed_check(fd, file, NULL, r->cancel, &verified);
	if (rc == RC_CORRUPT)
		return (changed(r, file->path));
	if (rc != RC_OK)
		return (
		    backup_fail(r->why, rc, "%s: %s", file->path, rc_text(rc)));
	atomic_fetch_add(&r->progress->locked, 1);
	return (RC_OK);
}

static enum rc
content_take(struct restoring *r, const struct snapshot_file *file, int fd)
{
	enum rc rc;

	if (file->key_domain == 0)
		rc = plain_take(r, file, fd);
	else
		rc = sealed_take(r, file, fd);
	if (rc == RC_OK && fsync(fd) != 0)
		rc = backup_fail(r->why, rc_of_errno(errno), "%s: sync: %s",
		    file->path, strerror(errno));
	return (rc);
}

/* The next entry becomes that file. */
static enum rc
file_restore(struct restoring *r, const struct snapshot_file *file)
{
	uint64_t size = 0;
	enum rc rc;
	int fd;

	if ((rc = entry_next(r, file->path, &size)) != RC_OK)
		return (rc);
	if (size != file->stored_bytes)
		return (changed(r, file->path));
	rc = backup_place_create(r->place, file->path, &fd, r->why);
	if (rc != RC_OK)
		return (rc);
	rc = content_take(r, file, fd);
	if (close(fd) != 0 && rc == RC_OK)
		rc = backup_fail(r->why, rc_of_errno(errno), "%s: %s",
		    file->path, strerror(errno));
	if (rc == RC_OK)
		backup_tally_add(
		    &r->tally, file->path, &file->digest, file->stored_bytes);
	return (rc);
}

/* --- the parts of a backup ----------------------------------------------- */

static enum rc
head_restore(struct restoring *r)
{
	struct buf text;
	enum rc rc;

	buf_init(&text, BACKUP_TEXT_MAX_BYTES);
	if ((rc = text_next(r, BACKUP_HEAD, &text)) == RC_OK)
		rc = backup_head_read(buf_as_span(&text), &r->head, r->why);
	buf_free(&text);
	if (rc != RC_OK)
		return (rc);
	if (r->head.meta_bytes > r->head.bytes)
		return (changed(r, BACKUP_HEAD));
	atomic_store(&r->progress->files_total, r->head.files);
	atomic_store(&r->progress->bytes_total, r->head.bytes);
	return (backup_place_room(r->place, r->head.bytes, r->why));
}

static enum rc
format_save(struct restoring *r, struct span text)
{
	struct digest d;
	enum rc rc;
	int fd;

	if ((rc = backup_format_check(text, r->why)) != RC_OK)
		return (rc);
	rc = backup_place_create(r->place, BACKUP_FORMAT_FILE, &fd, r->why);
	if (rc != RC_OK)
		return (rc);
	rc = bytes_write(r, BACKUP_FORMAT_FILE, fd, text.p, text.n);
	if (rc == RC_OK && fsync(fd) != 0)
		rc = backup_fail(r->why, rc_of_errno(errno),
		    BACKUP_FORMAT_FILE ": sync: %s", strerror(errno));
	(void)close(fd);
	digest_of(DIGEST_SHA256, text.p, text.n, &d);
	backup_tally_add(&r->tally, BACKUP_FORMAT_FILE, &d, text.n);
	return (rc);
}

static enum rc
format_restore(struct restoring *r)
{
	struct buf text;
	enum rc rc;

	buf_init(&text, BACKUP_TEXT_MAX_BYTES);
	if ((rc = text_next(r, BACKUP_FORMAT_FILE, &text)) == RC_OK)
		rc = format_save(r, buf_as_span(&text));
	buf_free(&text);
	return (rc);
}

static enum rc
meta_restore(struct restoring *r)
{
	const struct snapshot_file file = {
		.path = BACKUP_META_FILE,
		.digest = r->head.meta_digest,
		.size_bytes = r->head.meta_bytes,
		.stored_bytes = r->head.meta_bytes,
	};

	return (file_restore(r, &file));
}

static enum rc
content_restore(void *arg, const struct snapshot_file *file)
{
	struct restoring *r = arg;
	uint64_t room = r->head.bytes - r->head.meta_bytes - r->content_bytes;
	enum rc rc;

	if (file->stored_bytes > room)
		return (backup_fail(r->why, RC_INVALID,
		    "%s: there is more than " BACKUP_HEAD " says", file->path));
	if ((rc = file_restore(r, file)) != RC_OK)
		return (rc);
	r->content_bytes += file->stored_bytes;
	r->files++;
	r->archived = r->archived || file->archived;
	atomic_fetch_add(&r->progress->files, 1);
	return (RC_OK);
}

static enum rc
contents_restore(struct restoring *r)
{
	char *path =
	    xasprintf("%s/" BACKUP_META_FILE, backup_place_path(r->place));
	char why[SNAPSHOT_WHY_BYTES] = "";
	enum rc rc;

	rc = snapshot_files(path, content_restore, r, why);
	free(path);
	/* They are what was backed up, and yet cannot be read. */
	if (rc != RC_OK && why[0] != '\0')
		return (backup_fail(
		    r->why, rc == RC_CORRUPT ? RC_INVALID : rc, "%s", why));
	return (rc);
}

static enum rc
end_compare(struct restoring *r, struct span end)
{
	struct buf text;
	bool same;

	buf_init(&text, BACKUP_TEXT_MAX_BYTES);
	backup_tally_end(&r->tally, &text);
	same = span_eq(buf_as_span(&text), end);
	buf_free(&text);
	if (!same || r->content_bytes + r->head.meta_bytes != r->head.bytes ||
	    r->files != r->head.files)
		return (changed(r, BACKUP_END));
	return (RC_OK);
}

/* Behind it nothing comes. */
static enum rc
end_restore(struct restoring *r)
{
	struct archive_entry *e;
	struct buf text;
	int err;
	enum rc rc;

	buf_init(&text, BACKUP_TEXT_MAX_BYTES);
	if ((rc = text_next(r, BACKUP_END, &text)) == RC_OK)
		rc = end_compare(r, buf_as_span(&text));
	buf_free(&text);
	if (rc != RC_OK)
		return (rc);
	err = archive_read_next_header(r->in, &e);
	if (err == ARCHIVE_EOF)
		return (RC_OK);
	if (err != ARCHIVE_OK && err != ARCHIVE_WARN)
		return (in_failed(r));
	return (backup_fail(
	    r->why, RC_INVALID, "there is something behind its end"));
}

static enum rc
archive_settle(const struct restoring *r)
{
	char why[SNAPSHOT_WHY_BYTES];
	enum rc rc;

	if (!r->archived)
		return (RC_OK);
	rc = snapshot_archive_mark(backup_place_path(r->place), why);
	return (rc == RC_OK ? rc : backup_fail(r->why, rc, "%s", why));
}

static enum rc
all_restore(struct restoring *r)
{
	enum rc rc;

	if ((rc = head_restore(r)) != RC_OK ||
	    (rc = format_restore(r)) != RC_OK ||
	    (rc = meta_restore(r)) != RC_OK ||
	    (rc = contents_restore(r)) != RC_OK ||
	    (rc = end_restore(r)) != RC_OK || (rc = archive_settle(r)) != RC_OK)
		return (rc);
	return (backup_place_settle(r->place, r->why));
}

/* --- the archive --------------------------------------------------------- */

static enum rc
in_open(struct restoring *r, int fd)
{
	if ((r->in = archive_read_new()) == NULL)
		wrong("out of memory");
	if (archive_read_support_format_tar(r->in) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(r->in) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(r->in) != ARCHIVE_OK ||
	    archive_read_open_fd(r->in, fd, BACKUP_CHUNK_BYTES) != ARCHIVE_OK)
		return (in_failed(r));
	return (RC_OK);
}

static enum rc
source_open(const char *path, int *fd_r, char *why)
{
	if (strcmp(path, "-") == 0)
		*fd_r = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	else
		*fd_r = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd_r >= 0)
		return (RC_OK);
	return (backup_fail(
	    why, rc_of_errno(errno), "%s: %s", path, strerror(errno)));
}

enum rc
backup_restore(const char *path, const char *dir,
    struct backup_progress *progress, const atomic_bool *cancel,
    char why[ARCHIVE_WHY_BYTES])
{
	struct restoring r = {
		.progress = progress,
		.cancel = cancel,
		.why = why,
	};
	enum rc rc;
	int fd;

	why[0] = '\0';
	if ((rc = source_open(path, &fd, why)) != RC_OK)
		return (rc);
	backup_tally_init(&r.tally);
	if ((rc = backup_place_new(dir, &r.place, why)) == RC_OK &&
	    (rc = in_open(&r, fd)) == RC_OK)
		rc = all_restore(&r);
	backup_place_free(&r.place);
	(void)archive_read_free(r.in);
	backup_tally_free(&r.tally);
	(void)close(fd);
	return (rc);
}
