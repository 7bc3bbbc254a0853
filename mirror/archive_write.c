#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive_int.h"

/*
 * The file that is written: entries as they come.  It has its name when it is
 * complete and synced.
 */
#define FILE_MODE 0644
#define FOLDER_MODE 0755
#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

enum rc
arc_writer_fail(struct archive_writer *w, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	if (w->broken)
		return (rc);
	w->broken = true;
	va_start(ap, fmt);
	(void)vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	return (rc);
}

/* A write of libarchive's has failed. */
static enum rc
write_failed(struct archive_writer *w)
{
	enum rc rc = w->error != 0 ? rc_of_errno(w->error) : RC_IO;
	const char *text = archive_error_string(w->a);

	if (w->error != 0)
		text = strerror(w->error);
	return (arc_writer_fail(w, rc, "it cannot be written: %s",
	    text != NULL ? text : "unknown error"));
}

static la_ssize_t
file_write(struct archive *a, void *arg, const void *p, size_t n)
{
	struct archive_writer *w = arg;
	size_t done = 0;
	ssize_t some;

	if (w->aborted) {
		archive_set_error(a, ECANCELED, "given up");
		return (-1);
	}
	while (done < n) {
		some = write(w->fd, (const char *)p + done, n - done);
		if (some == -1 && errno == EINTR)
			continue;
		if (some == -1) {
			w->error = errno;
			archive_set_error(a, errno, "%s", strerror(errno));
			return (-1);
		}
		done += (size_t)some;
	}
	return ((la_ssize_t)n);
}

static enum rc
entry_head(
    struct archive_writer *w, const char *name, uint64_t size, bool folder)
{
	struct archive_entry *e = archive_entry_new();
	int code;

	must(e != NULL);
	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, folder ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(e, folder ? FOLDER_MODE : FILE_MODE);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_mtime(e, 0, 0);
	code = archive_write_header(w->a, e);
	archive_entry_free(e);
	return (code == ARCHIVE_OK ? RC_OK : write_failed(w));
}

enum rc
arc_writer_entry(struct archive_writer *w, const char *name, uint64_t size)
{
	return (entry_head(w, name, size, false));
}

enum rc
arc_writer_data(struct archive_writer *w, const void *p, size_t n)
{
	if (n == 0)
		return (RC_OK);
	if (archive_write_data(w->a, p, n) != (la_ssize_t)n)
		return (write_failed(w));
	return (RC_OK);
}

enum rc
arc_writer_file(struct archive_writer *w, const char *name, struct span text)
{
	enum rc rc;

	if ((rc = arc_writer_entry(w, name, text.n)) != RC_OK)
		return (rc);
	return (arc_writer_data(w, text.p, text.n));
}

/* Others that unpack it do not make folders by themselves. */
static enum rc
folders_write(struct archive_writer *w, uint8_t alg)
{
	char name[32];
	enum rc rc;

	if (!w->folders && (rc = entry_head(w, "blobs/", 0, true)) != RC_OK)
		return (rc);
	w->folders = true;
	if (w->alg_folder[alg])
		return (RC_OK);
	w->alg_folder[alg] = true;
	(void)snprintf(name, sizeof(name), "blobs/%s/", digest_alg_name(alg));
	return (entry_head(w, name, 0, true));
}

enum rc
arc_writer_blob(struct archive_writer *w, const struct digest *d, uint64_t size)
{
	char path[ARC_PATH_BYTES];
	enum rc rc;

	/* And a few that are no blobs. */
	if (w->written.n + 16 > ARCHIVE_ENTRIES_MAX)
		return (arc_writer_fail(w, RC_TOOBIG,
		    "there are more blobs than the %d entries of an archive: "
		    "write several",
		    ARCHIVE_ENTRIES_MAX));
	if ((rc = folders_write(w, d->alg)) != RC_OK)
		return (rc);
	return (arc_writer_entry(w, arc_blob_path(d, path), size));
}

static bool
options_set(struct archive *a, enum archive_compression compression)
{
	int code = ARCHIVE_OK;

	/* ustar, but where that is not enough. */
	if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK)
		return (false);
	switch (compression) {
	case ARCHIVE_PLAIN:
		break;
	case ARCHIVE_GZIP:
		if (archive_write_add_filter_gzip(a) != ARCHIVE_OK)
			return (false);
		code = archive_write_set_filter_option(
		    a, "gzip", "timestamp", NULL);
		break;
	case ARCHIVE_ZSTD:
		code = archive_write_add_filter_zstd(a);
		break;
	}
	return (code == ARCHIVE_OK);
}

static enum rc
stream_begin(struct archive_writer *w, enum archive_compression compression)
{
	w->a = archive_write_new();
	must(w->a != NULL);
	must(options_set(w->a, compression));
	if (archive_write_open(w->a, w, NULL, file_write, NULL) != ARCHIVE_OK)
		return (write_failed(w));
	return (arc_writer_file(w, "oci-layout", SPAN(LAYOUT)));
}

/* Beside it, so that it can be renamed to it. */
static enum rc
file_make(struct archive_writer *w, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return (arc_writer_fail(w, RC_INVALID, "it is not a file"));
	w->path = xstrdup(path);
	w->partial = xasprintf("%s.%ld.partial", path, (long)getpid());
	w->fd = open(w->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (w->fd == -1)
		return (arc_writer_fail(w, rc_of_errno(errno),
		    "%s cannot be made: %s", w->partial, strerror(errno)));
	w->own_fd = true;
	return (RC_OK);
}

enum rc
archive_writer_new(const char *path, int fd,
    enum archive_compression compression, struct archive_writer **w_r,
    char why[ARCHIVE_WHY_BYTES])
{
	struct archive_writer *w = xcalloc(1, sizeof(*w));
	enum rc rc = RC_OK;

	w->fd = fd;
	arena_init(&w->arena, ARCHIVE_TEXTS_MAX_BYTES);
	arc_table_init(&w->written, sizeof(struct arc_written));
	arc_table_init(&w->listed, sizeof(struct arc_listed));
	if (fd == -1)
		rc = file_make(w, path);
	if (rc == RC_OK)
		rc = stream_begin(w, compression);
	if (rc != RC_OK) {
		(void)snprintf(why, ARCHIVE_WHY_BYTES, "%.500s", w->why);
		archive_writer_abort(&w);
	}
	*w_r = w;
	return (rc);
}

static void
writer_free(struct archive_writer *w)
{
	must(w->n_places == 0);
	/* What failed is not closed by itself, and would keep its memory. */
	if (w->a != NULL) {
		(void)archive_write_close(w->a);
		(void)archive_write_free(w->a);
	}
	if (w->own_fd && w->fd != -1)
		(void)close(w->fd);
	arc_table_free(&w->written);
	arc_table_free(&w->listed);
	arena_reset(&w->arena);
	free(w->manifests);
	free(w->path);
	free(w->partial);
	free(w);
}

/* Its name outlives the loss of power, too. */
static enum rc
folder_sync(const char *path)
{
	char *folder = xstrdup(path), *slash = strrchr(folder, '/');
	enum rc rc = RC_OK;
	int fd;

	if (slash != NULL)
		slash[slash == folder ? 1 : 0] = '\0';
	fd = open(
	    slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd) == -1)
		rc = rc_of_errno(errno);
	if (fd != -1)
		(void)close(fd);
	free(folder);
	return (rc);
}

static enum rc
file_finish(struct archive_writer *w)
{
	if (w->path == NULL)
		return (RC_OK);
	if (fsync(w->fd) == -1 || rename(w->partial, w->path) == -1)
		return (arc_writer_fail(w, rc_of_errno(errno),
		    "it cannot be written: %s", strerror(errno)));
	free(w->partial);
	w->partial = NULL;
	if (folder_sync(w->path) != RC_OK)
		return (arc_writer_fail(w, RC_IO,
		    "its folder cannot be synced: %s", strerror(errno)));
	return (RC_OK);
}

static enum rc
stream_end(struct archive_writer *w)
{
	enum rc rc;

	if (w->broken)
		return (RC_FAILED);
	if ((rc = arc_list_write(w)) != RC_OK)
		return (rc);
	if (archive_write_close(w->a) != ARCHIVE_OK)
		return (write_failed(w));
	return (file_finish(w));
}

enum rc
archive_writer_finish(struct archive_writer **w_p, char why[ARCHIVE_WHY_BYTES])
{
	struct archive_writer *w = *w_p;
	enum rc rc = stream_end(w);

	if (rc != RC_OK) {
		(void)snprintf(why, ARCHIVE_WHY_BYTES, "%.500s", w->why);
		archive_writer_abort(w_p);
		return (rc);
	}
	*w_p = NULL;
	writer_free(w);
	return (RC_OK);
}

void
archive_writer_abort(struct archive_writer **w_p)
{
	struct archive_writer *w = w_p != NULL ? *w_p : NULL;

	if (w == NULL)
		return;
	*w_p = NULL;
	w->aborted = true;
	if (w->partial != NULL && w->own_fd && unlink(w->partial) == -1)
		log_errno("cannot remove %s", w->partial);
	writer_free(w);
}
