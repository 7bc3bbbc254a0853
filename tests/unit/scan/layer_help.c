#include "layer_help.h"

#include <archive.h>
#include <archive_entry.h>
#include <rpm/header.h>
#include <rpm/rpmtag.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- tar ------------------------------------------------------------------ */

#define BLOCK_BYTES 512

static void
head_add(struct buf *out, char type, const char *name, uint64_t size,
    struct span link)
{
	char head[BLOCK_BYTES] = { 0 };
	unsigned sum = 0;
	size_t i;

	assert_true(strlen(name) <= 100 && link.n <= 100);
	memcpy(head, name, strlen(name));
	(void)snprintf(head + 100, 8, "%07o", 0644);
	(void)snprintf(head + 124, 12, "%011llo", (unsigned long long)size);
	memset(head + 148, ' ', 8);
	head[156] = type;
	if (link.n > 0)
		memcpy(head + 157, link.p, link.n);
	memcpy(head + 257, "ustar\00000", 8);
	for (i = 0; i < sizeof(head); i++)
		sum += (uint8_t)head[i];
	(void)snprintf(head + 148, 8, "%06o", sum);
	buf_add(out, head, sizeof(head));
}

void
tar_head(struct buf *out, char type, const char *name, uint64_t size)
{
	head_add(out, type, name, size, SPAN_NONE);
}

void
tar_add(struct buf *out, char type, const char *name, struct span content)
{
	bool link = type == TAR_HARD || type == TAR_SYM;

	head_add(
	    out, type, name, link ? 0 : content.n, link ? content : SPAN_NONE);
	if (link)
		return;
	buf_span(out, content);
	while (out->n % BLOCK_BYTES != 0)
		buf_char(out, '\0');
}

void
tar_file(struct buf *out, const char *name, const char *text)
{
	tar_add(out, TAR_FILE, name, span_of(text));
}

void
tar_link(struct buf *out, char type, const char *name, const char *to)
{
	tar_add(out, type, name, span_of(to));
}

void
tar_dir(struct buf *out, const char *name)
{
	tar_add(out, TAR_DIR, name, SPAN_NONE);
}

void
tar_end(struct buf *out)
{
	static const char zeros[2 * BLOCK_BYTES];

	buf_add(out, zeros, sizeof(zeros));
	assert_true(buf_ok(out));
}

static la_ssize_t
packed_take(struct archive *a, void *arg, const void *p, size_t n)
{
	(void)a;
	buf_add(arg, p, n);
	return ((la_ssize_t)n);
}

void
packed(const struct buf *in, const char *filter, struct buf *out)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(
	    archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_in_last_block(a, 1), 0);
	assert_int_equal(
	    archive_write_open(a, out, NULL, packed_take, NULL), ARCHIVE_OK);
	archive_entry_set_pathname(e, "x");
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, in->p, in->n), in->n);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
	archive_entry_free(e);
	assert_true(buf_ok(out));
}

long
bytes_read_next(void *arg, const void **p_r)
{
	struct bytes_read *r = arg;
	size_t n = r->rest.n;

	if (n == 0 && r->fails)
		return (-1);
	if (r->piece > 0 && n > r->piece)
		n = r->piece;
	*p_r = r->rest.p;
	r->rest = (struct span){ r->rest.p + n, r->rest.n - n };
	return ((long)n);
}

/* --- rpm ------------------------------------------------------------------ */

void
rpm_header(const struct rpm_made *m, struct buf *out)
{
	Header h = headerNew();
	uint32_t folder = 0;
	unsigned n = 0;
	void *blob;

	(void)headerPutString(h, RPMTAG_NAME, m->name);
	(void)headerPutString(h, RPMTAG_VERSION, m->version);
	(void)headerPutString(h, RPMTAG_RELEASE, m->release);
	if (m->arch != NULL)
		(void)headerPutString(h, RPMTAG_ARCH, m->arch);
	if (m->source != NULL)
		(void)headerPutString(h, RPMTAG_SOURCERPM, m->source);
	if (m->license != NULL)
		(void)headerPutString(h, RPMTAG_LICENSE, m->license);
	if (m->epoch > 0)
		(void)headerPutUint32(h, RPMTAG_EPOCH, &m->epoch, 1);
	if (m->file != NULL) {
		(void)headerPutString(h, RPMTAG_BASENAMES, m->file);
		(void)headerPutString(h, RPMTAG_DIRNAMES, m->folder);
		(void)headerPutUint32(h, RPMTAG_DIRINDEXES, &folder, 1);
	}
	h = headerReload(h, RPMTAG_HEADERIMMUTABLE);
	assert_non_null(h);
	blob = headerExport(h, &n);
	assert_non_null(blob);
	buf_add(out, blob, n);
	free(blob);
	headerFree(h);
}

static void
db_export(sqlite3 *db, struct buf *out)
{
	sqlite3_int64 n = 0;
	unsigned char *p = sqlite3_serialize(db, "main", &n, 0);

	assert_non_null(p);
	buf_add(out, p, (size_t)n);
	sqlite3_free(p);
	(void)sqlite3_close(db);
}

void
rpm_db_by(const char *sql, struct buf *out)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	db_export(db, out);
}

void
rpm_db(const struct buf *blobs, size_t n, bool wal, struct buf *out)
{
	size_t i, from = out->n;
	sqlite3_stmt *s;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db,
		"CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY "
		"AUTOINCREMENT, blob BLOB NOT NULL);"
		"CREATE TABLE 'Name' (key TEXT NOT NULL, hnum INTEGER NOT "
		"NULL)",
		NULL, NULL, NULL),
	    SQLITE_OK);
	for (i = 0; i < n; i++) {
		assert_int_equal(sqlite3_prepare_v2(db,
				     "INSERT INTO 'Packages' (blob) VALUES (?)",
				     -1, &s, NULL),
		    SQLITE_OK);
		assert_int_equal(sqlite3_bind_blob(s, 1, blobs[i].p,
				     (int)blobs[i].n, SQLITE_TRANSIENT),
		    SQLITE_OK);
		assert_int_equal(sqlite3_step(s), SQLITE_DONE);
		(void)sqlite3_finalize(s);
	}
	db_export(db, out);
	if (wal)
		out->p[from + 18] = out->p[from + 19] = 2;
}

/* --- packages ------------------------------------------------------------- */

void
packages_text(const struct package *p, size_t n, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++, p++)
		buf_printf(out,
		    SPAN_FMT " " SPAN_FMT " " SPAN_FMT " " SPAN_FMT "=" SPAN_FMT
			     " " SPAN_FMT "; ",
		    SPAN_ARG(p->name), SPAN_ARG(p->version), SPAN_ARG(p->arch),
		    SPAN_ARG(p->source_name), SPAN_ARG(p->source_version),
		    SPAN_ARG(p->license));
	buf_char(out, '\0');
}
