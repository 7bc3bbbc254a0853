#include "mirror/archive_int.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"

/*
 * Layers of saved images are compressed on their way into the registry.  The
 * same layer becomes the same bytes whenever and wherever it is imported: no
 * time, no name, a fixed level.
 */
#define LEVEL "6"
/* What one block becomes at most, and then some. */
#define OUT_MAX_BYTES ((size_t)64 * 1024 * 1024)

static la_ssize_t
out_take(struct archive *a, void *arg, const void *p, size_t n)
{
	struct arc_gzip *z = arg;

	(void)a;
	buf_add(&z->out, p, n);
	return (buf_ok(&z->out) ? (la_ssize_t)n : -1);
}

static bool
options_set(struct archive *a)
{
	return (archive_write_set_format_raw(a) == ARCHIVE_OK &&
		archive_write_add_filter_gzip(a) == ARCHIVE_OK &&
		archive_write_set_filter_option(
		    a, "gzip", "compression-level", LEVEL) == ARCHIVE_OK &&
		archive_write_set_filter_option(a, "gzip", "timestamp", NULL) ==
		    ARCHIVE_OK &&
		archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK);
}

enum rc
arc_gzip_begin(struct arc_gzip *z)
{
	struct archive_entry *e;
	bool ok;

	buf_init(&z->out, OUT_MAX_BYTES);
	z->a = archive_write_new();
	must(z->a != NULL);
	must(options_set(z->a));
	if (archive_write_open(z->a, z, NULL, out_take, NULL) != ARCHIVE_OK)
		return (RC_IO);
	e = archive_entry_new();
	must(e != NULL);
	archive_entry_set_filetype(e, AE_IFREG);
	ok = archive_write_header(z->a, e) == ARCHIVE_OK;
	archive_entry_free(e);
	return (ok ? RC_OK : RC_IO);
}

enum rc
arc_gzip_feed(struct arc_gzip *z, const void *p, size_t n)
{
	return (
	    archive_write_data(z->a, p, n) == (la_ssize_t)n ? RC_OK : RC_IO);
}

enum rc
arc_gzip_end(struct arc_gzip *z)
{
	return (archive_write_close(z->a) == ARCHIVE_OK ? RC_OK : RC_IO);
}

void
arc_gzip_free(struct arc_gzip *z)
{
	/* What failed is not closed by itself, and would keep its memory. */
	if (z->a != NULL) {
		(void)archive_write_close(z->a);
		(void)archive_write_free(z->a);
	}
	z->a = NULL;
	buf_free(&z->out);
}
