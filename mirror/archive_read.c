#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive_int.h"

/*
 * An archive that was looked through: what is in it, and the file, which is
 * read once more when it is imported.
 */

enum rc
arc_reader_refuse(struct archive_reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->why, ARCHIVE_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}

enum rc
arc_reader_toobig(struct archive_reader *r)
{
	(void)arc_reader_refuse(r,
	    "manifests and names in it are larger than %zu bytes together",
	    ARCHIVE_TEXTS_MAX_BYTES);
	return (RC_TOOBIG);
}

struct arc_blob *
arc_blob_at(const struct archive_reader *r, uint32_t i)
{
	return (arc_table_at(&r->blobs, i));
}

enum rc
arc_reader_image(
    struct archive_reader *r, const struct archive_image *image, uint32_t blob)
{
	const struct arc_blob *b = arc_blob_at(r, blob);
	struct archive_image *i;

	if (r->n_images == r->images_room) {
		r->images_room = r->images_room * 2 + 16;
		r->images =
		    xrealloc(r->images, r->images_room * sizeof(*r->images));
		r->image_blobs = xrealloc(
		    r->image_blobs, r->images_room * sizeof(*r->image_blobs));
	}
	i = &r->images[r->n_images];
	i->registry = arena_span(&r->arena, image->registry);
	i->name = arena_span(&r->arena, image->name);
	i->tag = arena_span(&r->arena, image->tag);
	if (i->registry.p == NULL || i->name.p == NULL || i->tag.p == NULL)
		return (arc_reader_toobig(r));
	i->digest = b->digest;
	i->media_type = b->type;
	r->image_blobs[r->n_images++] = blob;
	return (RC_OK);
}

static enum rc
images_find(struct archive_reader *r)
{
	if (r->layout.p != NULL && r->index.p != NULL)
		return (arc_oci_images(r));
	if (r->manifest.p != NULL)
		return (arc_docker_images(r));
	if (r->manifest_toobig)
		return (arc_reader_refuse(r,
		    "entry \"manifest.json\": larger than the %zu bytes of "
		    "JSON that are read",
		    ARCHIVE_JSON_MAX_BYTES));
	if (r->index.p != NULL)
		return (arc_reader_refuse(r,
		    "it has index.json and no oci-layout: it is no OCI image "
		    "layout"));
	return (arc_reader_refuse(r,
	    "it has neither index.json (an OCI image layout) nor "
	    "manifest.json (what docker saves)"));
}

static enum rc
file_check(int fd, char why[ARCHIVE_WHY_BYTES])
{
	struct stat st;

	if (fstat(fd, &st) == -1) {
		(void)snprintf(why, ARCHIVE_WHY_BYTES, "%s", strerror(errno));
		return (RC_IO);
	}
	if (S_ISREG(st.st_mode))
		return (RC_OK);
	(void)snprintf(why, ARCHIVE_WHY_BYTES,
	    "it is not a file (it is read twice, so it cannot be a pipe)");
	return (RC_INVALID);
}

static enum rc
reader_fill(struct archive_reader *r)
{
	enum rc rc;

	if ((rc = file_check(r->fd, r->why)) != RC_OK ||
	    (rc = arc_scan(r)) != RC_OK)
		return (rc);
	return (images_find(r));
}

enum rc
archive_reader_open_fd(int fd, const char *name, const atomic_bool *cancel,
    struct archive_reader **r_r, char why[ARCHIVE_WHY_BYTES])
{
	struct archive_reader *r = xcalloc(1, sizeof(*r));
	enum rc rc;

	*r_r = NULL;
	why[0] = '\0';
	r->fd = fd;
	r->path = xstrdup(name);
	r->cancel = cancel;
	r->why = why;
	arena_init(&r->arena, ARCHIVE_TEXTS_MAX_BYTES);
	arc_table_init(&r->names, sizeof(struct digest));
	arc_table_init(&r->blobs, sizeof(struct arc_blob));
	arc_table_init(&r->saved, sizeof(struct arc_saved));
	rc = reader_fill(r);
	arc_table_free(&r->names);
	r->why = NULL;
	if (rc != RC_OK) {
		must(why[0] != '\0');
		archive_reader_close(&r);
	}
	*r_r = r;
	return (rc);
}

enum rc
archive_reader_open(const char *path, const atomic_bool *cancel,
    struct archive_reader **r_r, char why[ARCHIVE_WHY_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*r_r = NULL;
	if (fd == -1) {
		(void)snprintf(why, ARCHIVE_WHY_BYTES, "%s", strerror(errno));
		return (rc_of_errno(errno));
	}
	return (archive_reader_open_fd(fd, path, cancel, r_r, why));
}

void
archive_reader_close(struct archive_reader **r_p)
{
	struct archive_reader *r = r_p != NULL ? *r_p : NULL;

	if (r == NULL)
		return;
	*r_p = NULL;
	(void)close(r->fd);
	arc_table_free(&r->names);
	arc_table_free(&r->blobs);
	arc_table_free(&r->saved);
	arena_reset(&r->arena);
	free(r->images);
	free(r->image_blobs);
	free(r->followers);
	free(r->path);
	free(r);
}

size_t
archive_reader_images(
    const struct archive_reader *r, const struct archive_image **images_r)
{
	*images_r = r->images;
	return (r->n_images);
}
