#ifndef TESTS_UNIT_SCAN_LAYER_HELP_H
#define TESTS_UNIT_SCAN_LAYER_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "scan/layer.h"
#include "scan/package.h"

/*
 * What tests of the scanner are made of: tar files that say whatever they are
 * told to, databases of rpm, and lists of packages as one line of text.
 */

/* --- tar ------------------------------------------------------------------ */

enum { TAR_FILE = '0', TAR_HARD = '1', TAR_SYM = '2', TAR_DIR = '5' };

/** tar_add(out, type, name, content): ustar; the content of a link is where it
 * leads. */
void tar_add(struct buf *, char type, const char *name, struct span content);
void tar_file(struct buf *, const char *name, const char *text);
void tar_link(struct buf *, char type, const char *name, const char *to);
void tar_dir(struct buf *, const char *name);
/** tar_head(out, type, name, size): a header that lies. */
void tar_head(struct buf *, char type, const char *name, uint64_t size);
void tar_end(struct buf *);

/** packed(in, filter, out): "gzip", "zstd", "xz"... */
void packed(const struct buf *in, const char *filter, struct buf *out);

/* Bytes as a layer is read. */
struct bytes_read {
	struct span rest;
	size_t piece; /* at most so many at once */
	bool fails;   /* at the end */
};
layer_read_fn bytes_read_next;

/* --- rpm ------------------------------------------------------------------ */

struct rpm_made {
	const char *name;
	const char *version;
	const char *release;
	const char *arch;
	const char *source;
	const char *license;
	uint32_t epoch;
	const char *folder; /* of its one file, "/usr/" */
	const char *file;
};
/** rpm_header(made, out): as it lies in the database. */
void rpm_header(const struct rpm_made *, struct buf *out);
/** rpm_db(blobs, n, wal, out): a file. */
void rpm_db(const struct buf *blobs, size_t n, bool wal, struct buf *out);
/** rpm_db_by(sql, out): a file that a statement has made. */
void rpm_db_by(const char *sql, struct buf *out);

/* --- packages ------------------------------------------------------------- */

/** packages_text(p, n, out): "name version arch source=version license; ". */
void packages_text(const struct package *, size_t n, struct buf *out);

#endif
