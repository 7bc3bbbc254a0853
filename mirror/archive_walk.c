#include "mirror/archive_int.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * One entry after the other.  What libarchive could do more is left off: no
 * format but tar, no filter but gzip and zstd and not one in another, nothing
 * is written anywhere by it.  Sizes are what an entry says and what follows,
 * and these have to be the same.
 */
#define BUFFER_BYTES ((size_t)128 * 1024)
/* What may come of the first bytes, whatever they are: a block of tar is long,
 * and a compressed one is short. */
#define RATIO_FREE_BYTES ((uint64_t)16 * 1024 * 1024)
#define SHOWN_BYTES 200

/* Names of others, for people: nothing in them moves a cursor. */
static const char *
name_show(const char *name, char out[SHOWN_BYTES + 4])
{
	char *p;

	(void)snprintf(out, SHOWN_BYTES + 4, "%.*s%s", SHOWN_BYTES, name,
	    strlen(name) > SHOWN_BYTES ? "..." : "");
	for (p = out; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return (out);
}

enum rc
arc_walk_refuse(struct arc_walk *w, const char *fmt, ...)
{
	char shown[SHOWN_BYTES + 4];
	va_list ap;
	int n;

	n = snprintf(w->why, sizeof(w->why),
	    "entry \"%s\": ", name_show(w->path, shown));
	must(n > 0 && (size_t)n < sizeof(w->why));
	va_start(ap, fmt);
	(void)vsnprintf(w->why + n, sizeof(w->why) - (size_t)n, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}

static la_ssize_t
file_read(struct archive *a, void *arg, const void **p_r)
{
	struct arc_walk *w = arg;
	ssize_t n;

	if (w->cancel != NULL && atomic_load(w->cancel)) {
		archive_set_error(a, ECANCELED, "cancelled");
		return (-1);
	}
	do
		n = pread(w->fd, w->buffer, BUFFER_BYTES, (off_t)w->offset);
	while (n == -1 && errno == EINTR);
	if (n == -1) {
		w->broken = true;
		archive_set_error(
		    a, errno, "cannot be read: %s", strerror(errno));
		return (-1);
	}
	w->offset += (uint64_t)n;
	*p_r = w->buffer;
	return (n);
}

static const char *
failure(const struct arc_walk *w)
{
	const char *text = archive_error_string(w->a);

	return (text != NULL ? text : "it is damaged");
}

/* libarchive has said that it cannot go on. */
static enum rc
walk_failed(struct arc_walk *w)
{
	if (w->cancel != NULL && atomic_load(w->cancel)) {
		(void)snprintf(w->why, sizeof(w->why), "cancelled");
		return (RC_CANCELLED);
	}
	if (w->n_entries == 0)
		(void)snprintf(w->why, sizeof(w->why), "%s",
		    w->broken ? failure(w)
			      : "it is not a tar archive, plain or compressed "
				"with gzip or zstd");
	else
		(void)arc_walk_refuse(w, "%s%s",
		    w->between ? "what follows it: " : "", failure(w));
	return (w->broken ? RC_IO : RC_INVALID);
}

enum rc
arc_walk_begin(struct arc_walk *w, int fd, const atomic_bool *cancel)
{
	memset(w, 0, sizeof(*w));
	w->fd = fd;
	w->cancel = cancel;
	w->buffer = xmalloc(BUFFER_BYTES);
	w->a = archive_read_new();
	must(w->a != NULL);
	if (archive_read_support_format_tar(w->a) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(w->a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(w->a) != ARCHIVE_OK ||
	    archive_read_open(w->a, w, NULL, file_read, NULL) != ARCHIVE_OK)
		return (walk_failed(w));
	if (archive_filter_count(w->a) > 2) {
		(void)snprintf(
		    w->why, sizeof(w->why), "it is compressed more than once");
		return (RC_INVALID);
	}
	return (RC_OK);
}

void
arc_walk_end(struct arc_walk *w)
{
	if (w->a != NULL)
		(void)archive_read_free(w->a);
	w->a = NULL;
	free(w->buffer);
	w->buffer = NULL;
}

/* Little that becomes very much. */
static enum rc
ratio_check(struct arc_walk *w)
{
	uint64_t out = (uint64_t)archive_filter_bytes(w->a, 0);

	if (out <= RATIO_FREE_BYTES ||
	    (out - RATIO_FREE_BYTES) / ARCHIVE_RATIO_MAX < w->offset)
		return (RC_OK);
	return (arc_walk_refuse(w,
	    "the archive is compressed more than %d-fold up to here",
	    ARCHIVE_RATIO_MAX));
}

static enum rc
path_take(struct arc_walk *w, struct archive_entry *e)
{
	const char *path = archive_entry_pathname(e);

	if (path == NULL)
		path = archive_entry_pathname_utf8(e);
	if (path == NULL || path[0] == '\0') {
		(void)snprintf(w->path, sizeof(w->path), "#%llu",
		    (unsigned long long)w->n_entries);
		return (arc_walk_refuse(w, "it has no name that can be read"));
	}
	(void)snprintf(w->path, sizeof(w->path), "%s", path);
	if (strlen(path) < sizeof(w->path))
		return (RC_OK);
	return (arc_walk_refuse(
	    w, "its name has more than %d bytes", ARC_NAME_MAX_BYTES));
}

static const char *
type_name(struct archive_entry *e)
{
	switch (archive_entry_filetype(e)) {
	case AE_IFCHR:
	case AE_IFBLK:
		return ("a device");
	case AE_IFIFO:
		return ("a pipe");
	case AE_IFSOCK:
		return ("a socket");
	default:
		return ("neither file nor folder");
	}
}

/* A link, if it is one that saved images have: of a layer to another one. */
static enum rc
link_take(struct arc_walk *w, struct archive_entry *e)
{
	const char *to = archive_entry_symlink(e);
	struct arc_name name;
	struct span text;

	if (to == NULL || strlen(to) >= sizeof(w->link))
		return (arc_walk_refuse(w, "a link to nowhere"));
	text = span_of(to);
	if (w->name.kind == ARC_LAYER &&
	    span_has_suffix(w->name.text, SPAN("/layer.tar")) &&
	    span_has_prefix(text, SPAN("../"))) {
		text = (struct span){ text.p + 3, text.n - 3 };
		if (!span_has_prefix(text, SPAN("./")) &&
		    arc_name_parse(text, false, &name) == RC_OK &&
		    name.kind == ARC_LAYER) {
			(void)snprintf(w->link, sizeof(w->link), "%s", text.p);
			return (RC_OK);
		}
	}
	return (arc_walk_refuse(w,
	    "a link, and not one of a layer to another layer of the archive"));
}

static enum rc
name_take(struct arc_walk *w, bool folder)
{
	enum rc rc = arc_name_parse(span_of(w->path), folder, &w->name);

	if (rc == RC_OK)
		return (RC_OK);
	if (rc == RC_UNSUPPORTED)
		return (arc_walk_refuse(w,
		    "named by a digest of an algorithm that is not sha256 or "
		    "sha512"));
	if (w->path[0] == '/')
		return (arc_walk_refuse(w, "an absolute path"));
	return (arc_walk_refuse(w,
	    "nothing that belongs into an OCI image layout or a saved image"));
}

static enum rc
content_take(struct arc_walk *w, struct archive_entry *e)
{
	int64_t size = archive_entry_size(e);

	if (!archive_entry_size_is_set(e) || size < 0)
		return (arc_walk_refuse(w, "it does not say its size"));
	if (archive_entry_sparse_count(e) > 0)
		return (arc_walk_refuse(w, "a file with holes"));
	w->size_bytes = (uint64_t)size;
	return (RC_OK);
}

static enum rc
entry_take(struct arc_walk *w, struct archive_entry *e)
{
	bool folder = archive_entry_filetype(e) == AE_IFDIR;
	enum rc rc;

	if ((rc = path_take(w, e)) != RC_OK)
		return (rc);
	if (++w->n_entries > ARCHIVE_ENTRIES_MAX)
		return (arc_walk_refuse(
		    w, "there are more than %d entries", ARCHIVE_ENTRIES_MAX));
	if (archive_entry_hardlink(e) != NULL)
		return (arc_walk_refuse(w, "a hard link"));
	if (!folder && archive_entry_filetype(e) != AE_IFREG &&
	    archive_entry_filetype(e) != AE_IFLNK)
		return (arc_walk_refuse(w, "%s", type_name(e)));
	if ((rc = name_take(w, folder)) != RC_OK)
		return (rc);
	if (folder)
		return (RC_OK);
	if (archive_entry_filetype(e) == AE_IFLNK)
		return (link_take(w, e));
	return (content_take(w, e));
}

enum rc
arc_walk_next(struct arc_walk *w)
{
	struct archive_entry *e;
	enum rc rc;
	int code;

	w->between = true;
	code = archive_read_next_header(w->a, &e);
	if (code == ARCHIVE_EOF)
		return (RC_NOTFOUND);
	/* A warning is about owners and times that cannot be shown here. */
	if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
		return (walk_failed(w));
	w->between = false;
	w->link[0] = '\0';
	w->size_bytes = w->taken_bytes = 0;
	if ((rc = entry_take(w, e)) != RC_OK)
		return (rc);
	return (ratio_check(w));
}

static enum rc
content_end(struct arc_walk *w)
{
	if (w->taken_bytes == w->size_bytes)
		return (RC_OK);
	return (arc_walk_refuse(w, "it says %llu bytes, and has %llu",
	    (unsigned long long)w->size_bytes,
	    (unsigned long long)w->taken_bytes));
}

enum rc
arc_walk_block(struct arc_walk *w, const void **p_r, size_t *n_r)
{
	la_int64_t at;
	int code;

	*n_r = 0;
	do {
		code = archive_read_data_block(w->a, p_r, n_r, &at);
		if (code == ARCHIVE_EOF) {
			*n_r = 0;
			return (content_end(w));
		}
		if (code != ARCHIVE_OK)
			return (walk_failed(w));
	} while (*n_r == 0);
	if (at < 0 || (uint64_t)at != w->taken_bytes ||
	    *n_r > w->size_bytes - w->taken_bytes)
		return (arc_walk_refuse(w, "what follows is not what it says"));
	w->taken_bytes += *n_r;
	return (ratio_check(w));
}
