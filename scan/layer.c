#include "scan/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * The reading of a layer: once, in order, with libarchive, and of its formats
 * only those that a layer may have.  Every entry is read to its end block by
 * block, also those that nobody wants, so that what comes out is counted while
 * it comes, whatever the headers say.
 */
#define RATIO_FREE_BYTES ((uint64_t)16 << 20)
#define NAME_SHOWN_BYTES 160
#define WHITEOUT ".wh."
/* Names that aufs kept for itself begin so. */
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
/* tar's own "none", and that of the one who reads it. */
#define FILTERS_MAX 2

const struct layer_limits layer_limits_default = {
	.max_bytes = (uint64_t)8 << 30,
	.max_entries = 2000000,
	.max_file_bytes = (uint64_t)128 << 20,
	.max_ratio = 1000,
};

struct layer_reading {
	const struct layer_limits *limits;
	layer_read_fn *read;
	void *arg;
	uint64_t compressed_bytes; /* read so far */
	char head[8];		   /* of the layer */
	bool broken;		   /* ${read} failed */
	struct archive *a;
	uint32_t n_entries;
	char path_bytes[LAYER_PATH_MAX_BYTES + 1];
	struct span path; /* of the entry */
	char link_bytes[LAYER_PATH_MAX_BYTES + 1];
	struct layer_found found;
	struct buf content;
	char *why;
};

/* --- refusals -------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static enum rc
refuse(struct layer_reading *l, enum rc rc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(l->why, LAYER_WHY_BYTES, fmt, args);
	va_end(args);
	return (rc);
}

/* A name as it may stand in a sentence. */
static const char *
shown(struct span name, char out[NAME_SHOWN_BYTES])
{
	size_t i, n = name.n;

	if (n > NAME_SHOWN_BYTES - 4)
		n = NAME_SHOWN_BYTES - 4;
	for (i = 0; i < n; i++)
		out[i] = isprint((unsigned char)name.p[i]) ? name.p[i] : '?';
	(void)snprintf(out + n, 4, "%s", n < name.n ? "..." : "");
	return (out);
}

static enum rc
refuse_path(
    struct layer_reading *l, enum rc rc, const char *name, const char *what)
{
	char text[NAME_SHOWN_BYTES];

	return (refuse(l, rc, "the layer has an entry %s: %s", what,
	    shown(span_of(name), text)));
}

static bool
begins(const struct layer_reading *l, const char *magic, size_t n)
{
	return (memcmp(l->head, magic, n) == 0);
}

static const char *
other_compression(const struct layer_reading *l)
{
	if (begins(l, "BZh", 3))
		return ("bzip2");
	if (begins(l,
		"\xfd"
		"7zXZ",
		6))
		return ("xz");
	if (begins(l, "\x04\x22\x4d\x18", 4))
		return ("lz4");
	if (begins(l, "\x5d\0\0", 3))
		return ("lzma");
	if (begins(l, "\x1f\x9d", 2))
		return ("compress");
	if (begins(l, "PK\3\4", 4))
		return ("zip");
	return (NULL);
}

/* What libarchive says of it. */
static enum rc
reading_failed(struct layer_reading *l)
{
	const char *other = other_compression(l);
	const char *error = archive_error_string(l->a);
	char text[NAME_SHOWN_BYTES];

	if (l->broken)
		return (refuse(l, RC_IO, "the layer could not be read"));
	if (l->compressed_bytes == 0)
		return (refuse(l, RC_INVALID, "the layer is empty"));
	if (other != NULL && l->n_entries == 0)
		return (refuse(l, RC_UNSUPPORTED,
		    "the layer is compressed with %s; gzip and zstd are read",
		    other));
	if (l->n_entries == 0 && archive_format(l->a) == 0)
		return (refuse(l, RC_INVALID,
		    "the layer is no tar archive, plain or compressed with "
		    "gzip or zstd"));
	return (refuse(l, RC_INVALID,
	    "the layer is damaged after %u entries: %s", (unsigned)l->n_entries,
	    shown(
		span_of(error != NULL ? error : "no reason is known"), text)));
}

/* --- what comes out ------------------------------------------------------- */

static la_ssize_t
layer_bytes(struct archive *a, void *arg, const void **p_r)
{
	struct layer_reading *l = arg;
	size_t i;
	long n;

	n = l->read(l->arg, p_r);
	if (n < 0) {
		l->broken = true;
		archive_set_error(a, EIO, "it cannot be read");
		return (-1);
	}
	for (i = 0; i < (size_t)n && l->compressed_bytes + i < sizeof(l->head);
	     i++)
		l->head[l->compressed_bytes + i] = ((const char *)*p_r)[i];
	l->compressed_bytes += (uint64_t)n;
	return (n);
}

static enum rc
size_check(struct layer_reading *l)
{
	uint64_t out = (uint64_t)archive_filter_bytes(l->a, 0);
	unsigned ratio = l->limits->max_ratio;

	if (out > l->limits->max_bytes)
		return (refuse(l, RC_TOOBIG,
		    "the layer has more than %llu bytes uncompressed",
		    (unsigned long long)l->limits->max_bytes));
	if (ratio == 0 || out <= RATIO_FREE_BYTES ||
	    (out - RATIO_FREE_BYTES) / ratio < l->compressed_bytes)
		return (RC_OK);
	return (refuse(
	    l, RC_TOOBIG, "the layer is compressed more than %u-fold", ratio));
}

/* Further bytes of a file that is read; holes are zeros. */
static enum rc
content_add(struct layer_reading *l, const void *p, size_t n, la_int64_t at)
{
	char text[NAME_SHOWN_BYTES];

	if (at < 0 || (uint64_t)at < l->content.n ||
	    (uint64_t)at > l->limits->max_file_bytes ||
	    n > l->limits->max_file_bytes - (uint64_t)at)
		return (refuse(l, RC_TOOBIG,
		    "%s in the layer is not what it says, or has more than "
		    "%llu bytes",
		    shown(l->path, text),
		    (unsigned long long)l->limits->max_file_bytes));
	while (buf_ok(&l->content) && l->content.n < (uint64_t)at)
		buf_char(&l->content, '\0');
	buf_add(&l->content, p, n);
	if (buf_ok(&l->content))
		return (RC_OK);
	return (refuse(l, RC_TOOBIG, "no memory for %s", shown(l->path, text)));
}

static enum rc
entry_end(struct layer_reading *l, bool keep)
{
	const void *p;
	la_int64_t at;
	size_t n;
	enum rc rc;
	int code;

	for (;;) {
		code = archive_read_data_block(l->a, &p, &n, &at);
		if (code == ARCHIVE_EOF)
			return (RC_OK);
		if (code != ARCHIVE_OK)
			return (reading_failed(l));
		if ((rc = size_check(l)) != RC_OK ||
		    (keep && n > 0 && (rc = content_add(l, p, n, at)) != RC_OK))
			return (rc);
	}
}

/* --- entries --------------------------------------------------------------- */

static enum rc
path_take(struct layer_reading *l, const char *name,
    char out[LAYER_PATH_MAX_BYTES + 1], struct span *path_r)
{
	enum rc rc;

	if (name == NULL)
		return (refuse(l, RC_INVALID,
		    "the layer has an entry without a name that can be read"));
	rc = layer_path(span_of(name), out, path_r);
	if (rc == RC_INVALID)
		return (refuse_path(l, rc, name, "that leaves the root"));
	if (rc == RC_TOOBIG)
		return (refuse_path(
		    l, rc, name, "with a longer name than a file can have"));
	return (rc);
}

static enum rc
whiteout_take(struct layer_reading *l, struct span name)
{
	struct span folder = path_dir(l->path), hidden;
	char text[LAYER_PATH_MAX_BYTES + 1];

	if (span_is(name, WHITEOUT_OPAQUE)) {
		covers_add(
		    &l->found.whiteouts, path_hash(folder), l->n_entries);
		return (RC_OK);
	}
	if (span_has_prefix(name, SPAN(WHITEOUT_META)))
		return (RC_OK);
	name.p += sizeof(WHITEOUT) - 1;
	name.n -= sizeof(WHITEOUT) - 1;
	if (name.n == 0 || span_is(name, ".") || span_is(name, ".."))
		return (refuse_path(
		    l, RC_INVALID, l->path.p, "that is a whiteout of nothing"));
	(void)snprintf(text, sizeof(text), SPAN_FMT "%s" SPAN_FMT,
	    SPAN_ARG(folder), folder.n > 0 ? "/" : "", SPAN_ARG(name));
	hidden = span_of(text);
	covers_add(&l->found.whiteouts, path_hash(hidden), l->n_entries);
	return (RC_OK);
}

static enum rc
found(struct layer_reading *l, enum rc rc)
{
	char text[NAME_SHOWN_BYTES];

	if (rc == RC_OK)
		return (RC_OK);
	return (refuse(l, rc, "%s in the layer: %s", shown(l->path, text),
	    l->found.read_why));
}

static enum rc
file_take(struct layer_reading *l, enum file_kind kind)
{
	enum rc rc;

	buf_clear(&l->content);
	if ((rc = entry_end(l, true)) != RC_OK)
		return (rc);
	return (found(l, layer_found_file(&l->found, kind, l->path,
			     l->n_entries, buf_as_span(&l->content))));
}

static enum rc
link_take(struct layer_reading *l, enum file_kind kind, const char *to)
{
	struct span target;
	enum rc rc;

	if ((rc = path_take(l, to, l->link_bytes, &target)) != RC_OK)
		return (rc);
	if (kind == FILE_OTHER)
		return (RC_OK);
	return (found(l,
	    layer_found_link(&l->found, kind, l->path, target, l->n_entries)));
}

static bool
is_whiteout(const struct layer_reading *l)
{
	return (span_has_prefix(path_base(l->path), SPAN(WHITEOUT)));
}

static enum rc
entry_take(struct layer_reading *l, struct archive_entry *e)
{
	const char *link = archive_entry_hardlink(e);
	bool folder = archive_entry_filetype(e) == AE_IFDIR && link == NULL;
	bool content = archive_entry_filetype(e) == AE_IFREG &&
		       (link == NULL || archive_entry_size(e) > 0);
	enum file_kind kind = file_kind_of(l->path);
	enum rc rc = RC_OK;

	if (is_whiteout(l)) {
		rc = whiteout_take(l, path_base(l->path));
		return (rc != RC_OK ? rc : entry_end(l, false));
	}
	if (folder && kind != FILE_OTHER)
		covers_add(&l->found.folders, path_hash(l->path), l->n_entries);
	/* "./" is a folder whatever the header says. */
	if (!folder && l->path.n > 0)
		covers_add(&l->found.covers, path_hash(l->path), l->n_entries);
	if (content && kind != FILE_OTHER)
		return (file_take(l, kind));
	if (link != NULL)
		rc = link_take(l, kind, link);
	return (rc != RC_OK ? rc : entry_end(l, false));
}

static enum rc
entry_next(struct layer_reading *l)
{
	struct archive_entry *e;
	const char *name;
	enum rc rc;
	int code;

	code = archive_read_next_header(l->a, &e);
	if (code == ARCHIVE_EOF)
		return (RC_NOTFOUND);
	/* A warning is about what does not matter here. */
	if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
		return (reading_failed(l));
	if (l->n_entries == l->limits->max_entries ||
	    l->n_entries == UINT32_MAX)
		return (
		    refuse(l, RC_TOOBIG, "the layer has more than %u entries",
			(unsigned)l->n_entries));
	l->n_entries++;
	name = archive_entry_pathname(e);
	if (name == NULL)
		name = archive_entry_pathname_utf8(e);
	if ((rc = size_check(l)) != RC_OK ||
	    (rc = path_take(l, name, l->path_bytes, &l->path)) != RC_OK)
		return (rc);
	return (entry_take(l, e));
}

/* --- the whole ------------------------------------------------------------- */

static enum rc
reading_begin(struct layer_reading *l)
{
	l->a = archive_read_new();
	must(l->a != NULL);
	if (archive_read_support_format_tar(l->a) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(l->a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(l->a) != ARCHIVE_OK ||
	    archive_read_open(l->a, l, NULL, layer_bytes, NULL) != ARCHIVE_OK)
		return (reading_failed(l));
	if (archive_filter_count(l->a) > FILTERS_MAX)
		return (refuse(
		    l, RC_INVALID, "the layer is compressed more than once"));
	return (RC_OK);
}

static enum rc
entries_take(struct layer_reading *l)
{
	enum rc rc;

	do
		rc = entry_next(l);
	while (rc == RC_OK);
	if (rc != RC_NOTFOUND)
		return (rc);
	if (l->compressed_bytes == 0)
		return (refuse(l, RC_INVALID, "the layer is empty"));
	return (size_check(l));
}

static enum rc
index_finish(struct layer_reading *l, struct buf *out)
{
	size_t before = out->n;
	enum rc rc;

	rc = layer_found_write(&l->found, out);
	if (rc == RC_OK)
		return (RC_OK);
	if (buf_ok(out))
		out->n = before;
	return (refuse(l, rc, "the layer has %s", l->found.read_why));
}

enum rc
layer_index_make(layer_read_fn *read, void *arg,
    const struct layer_limits *limits, struct buf *out,
    char why[LAYER_WHY_BYTES])
{
	struct layer_reading *l = xcalloc(1, sizeof(*l));
	enum rc rc;

	*l = (struct layer_reading){
		.limits = limits, .read = read, .arg = arg, .why = why
	};
	why[0] = '\0';
	layer_found_init(&l->found);
	buf_init(&l->content, (size_t)limits->max_file_bytes);
	rc = reading_begin(l);
	if (rc == RC_OK)
		rc = entries_take(l);
	if (rc == RC_OK)
		rc = index_finish(l, out);
	(void)archive_read_free(l->a);
	buf_free(&l->content);
	layer_found_free(&l->found);
	free(l);
	return (rc);
}
