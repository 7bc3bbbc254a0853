#include <rpm/header.h>
#include <rpm/rpmtag.h>
#include <rpm/rpmtd.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * The database of rpm since 4.16: a table of SQLite whose rows are the headers
 * of packages.  Both libraries meet bytes of others here.  SQLite gets the file
 * in memory, may run one statement, has no views and triggers to be led astray
 * by, and stops after a number of steps; librpm checks a header's structure on
 * import, and its size is checked before.
 */
#define PAGE_BYTES_MIN 512
#define HEADER_VERSIONS_AT 18 /* in the file: "File format version numbers" */
#define FORMAT_WAL 2
#define FORMAT_ROLLBACK 1
/* The largest header of any distribution is far below. */
#define BLOB_MAX_BYTES (32 << 20)
/* Of SQLite's machine, a thousand a time: hours short of forever. */
#define STEPS_EACH 1000
#define STEPS_MAX 200000
/* Entries and bytes of an rpm header, before those. */
#define BLOB_MIN_BYTES 8
#define EPOCH_TEXT_BYTES 16

/* --- a header ------------------------------------------------------------- */

static struct span
tag_text(Header h, rpmTagVal tag)
{
	return (span_of(headerGetString(h, tag)));
}

/* "bash-5.1.8-6.el9.src.rpm" */
static void
source_parse(struct span file, struct package *p, struct span own)
{
	size_t at, dashes = 0;

	if (span_has_suffix(file, SPAN(".rpm")))
		file.n -= 4;
	if (span_has_suffix(file, SPAN(".src")))
		file.n -= 4;
	else if (span_has_suffix(file, SPAN(".nosrc")))
		file.n -= 6;
	for (at = file.n; at > 0; at--)
		if (file.p[at - 1] == '-' && ++dashes == 2)
			break;
	if (dashes < 2 || at < 2)
		return;
	p->source_name = (struct span){ file.p, at - 1 };
	p->source_version = (struct span){ file.p + at, file.n - at };
	if (span_eq(p->source_version, own))
		p->source_version = SPAN_NONE;
}

/* Its files: names, and for each the number of its folder. */
static enum rc
files_take(Header h, struct package_list *list)
{
	struct rpmtd_s names, folders, numbers;
	uint32_t *number;
	const char *name, *folder;
	enum rc rc = RC_OK;

	if (!headerGet(h, RPMTAG_BASENAMES, &names, HEADERGET_MINMEM))
		return (RC_OK);
	(void)headerGet(h, RPMTAG_DIRNAMES, &folders, HEADERGET_MINMEM);
	(void)headerGet(h, RPMTAG_DIRINDEXES, &numbers, HEADERGET_MINMEM);
	while (rc == RC_OK && (name = rpmtdNextString(&names)) != NULL) {
		number = rpmtdNextUint32(&numbers);
		if (number == NULL || *number > INT32_MAX ||
		    rpmtdSetIndex(&folders, (int)*number) == -1 ||
		    (folder = rpmtdGetString(&folders)) == NULL)
			break;
		rc = package_owns(list, span_of(folder), span_of(name));
	}
	rpmtdFreeData(&names);
	rpmtdFreeData(&folders);
	rpmtdFreeData(&numbers);
	return (rc);
}

static enum rc
header_take(Header h, struct package_list *list)
{
	struct span version = tag_text(h, RPMTAG_VERSION);
	struct span release = tag_text(h, RPMTAG_RELEASE);
	struct package p = { .type = PACKAGE_RPM };
	char epoch[EPOCH_TEXT_BYTES] = "";
	struct buf text;
	size_t own;
	enum rc rc;

	p.name = tag_text(h, RPMTAG_NAME);
	/* A key that signatures are checked with. */
	if (span_is(p.name, "gpg-pubkey") || version.n == 0)
		return (RC_OK);
	if (headerIsEntry(h, RPMTAG_EPOCH) &&
	    headerGetNumber(h, RPMTAG_EPOCH) > 0)
		(void)snprintf(epoch, sizeof(epoch),
		    "%u:", (unsigned)headerGetNumber(h, RPMTAG_EPOCH));
	buf_init(&text, BLOB_MAX_BYTES);
	buf_str(&text, epoch);
	own = text.n;
	buf_printf(
	    &text, SPAN_FMT "-" SPAN_FMT, SPAN_ARG(version), SPAN_ARG(release));
	p.version = buf_as_span(&text);
	p.arch = tag_text(h, RPMTAG_ARCH);
	p.license = tag_text(h, RPMTAG_LICENSE);
	source_parse(tag_text(h, RPMTAG_SOURCERPM), &p,
	    (struct span){ text.p + own, text.n - own });
	rc = package_add(list, &p);
	buf_free(&text);
	return (rc == RC_OK ? files_take(h, list) : rc);
}

static uint32_t
big_endian(const char *p)
{
	const uint8_t *u = (const uint8_t *)p;

	return ((uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
		(uint32_t)u[2] << 8 | u[3]);
}

enum rc
rpm_header_read(struct span blob, struct package_list *list)
{
	uint64_t need;
	Header h = NULL;
	enum rc rc;

	if (blob.n >= BLOB_MIN_BYTES && blob.n <= BLOB_MAX_BYTES) {
		need = BLOB_MIN_BYTES + (uint64_t)big_endian(blob.p) * 16 +
		       big_endian(blob.p + 4);
		if (need == blob.n)
			h = headerImport((void *)(uintptr_t)blob.p,
			    (unsigned)blob.n, HEADERIMPORT_COPY);
	}
	if (h == NULL) {
		(void)snprintf(list->why, READ_WHY_BYTES,
		    "rpm database with a damaged header of a package");
		return (RC_INVALID);
	}
	rc = header_take(h, list);
	headerFree(h);
	return (rc);
}

/* --- the database --------------------------------------------------------- */

struct steps {
	unsigned n;
};

static int
steps_count(void *arg)
{
	struct steps *s = arg;

	return (++s->n > STEPS_MAX);
}

static enum rc
not_read(struct package_list *list, const char *what, sqlite3 *db)
{
	(void)snprintf(list->why, READ_WHY_BYTES, "%s%s%.100s", what,
	    db != NULL ? ": " : "", db != NULL ? sqlite3_errmsg(db) : "");
	return (RC_INVALID);
}

static void
db_narrow(sqlite3 *db, struct steps *steps)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, BLOB_MAX_BYTES);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_progress_handler(db, STEPS_EACH, steps_count, steps);
}

static enum rc
rows_read(sqlite3 *db, sqlite3_stmt *rows, size_t left_bytes,
    struct package_list *list)
{
	struct span blob;
	enum rc rc;
	int code;

	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		if (sqlite3_column_type(rows, 0) != SQLITE_BLOB)
			return (not_read(list,
			    "rpm database with a row that is no header", NULL));
		blob.p = sqlite3_column_blob(rows, 0);
		blob.n = (size_t)sqlite3_column_bytes(rows, 0);
		/* Rows of a sound one do not share their bytes. */
		if (blob.n > left_bytes)
			return (not_read(list,
			    "rpm database with more headers than bytes", NULL));
		left_bytes -= blob.n;
		if ((rc = rpm_header_read(blob, list)) != RC_OK)
			return (rc);
	}
	if (code == SQLITE_DONE)
		return (RC_OK);
	return (not_read(list, "damaged rpm database", db));
}

/* No view, and no virtual table, behind which there is more of SQLite. */
static bool
table_is_plain(sqlite3 *db)
{
	static const char query[] =
	    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 "
	    "AND name = 'Packages' AND sql LIKE 'CREATE TABLE %'";
	sqlite3_stmt *rows = NULL;
	bool is;

	is = sqlite3_prepare_v2(db, query, -1, &rows, NULL) == SQLITE_OK &&
	     sqlite3_step(rows) == SQLITE_ROW;
	(void)sqlite3_finalize(rows);
	return (is);
}

static enum rc
db_read(sqlite3 *db, size_t n_bytes, struct package_list *list)
{
	static const char query[] =
	    "SELECT blob FROM main.Packages NOT INDEXED";
	sqlite3_stmt *rows = NULL;
	enum rc rc;

	if (!table_is_plain(db))
		return (not_read(
		    list, "rpm database without a table of packages", NULL));
	if (sqlite3_prepare_v2(db, query, -1, &rows, NULL) != SQLITE_OK)
		rc = not_read(list, "rpm database without packages", db);
	else
		rc = rows_read(db, rows, n_bytes, list);
	(void)sqlite3_finalize(rows);
	return (rc);
}

/* What is in a write-ahead log stands in another file; without one the database
 * is whole, but SQLite wants it to say so. */
static bool
format_settle(struct span text)
{
	char *p = (char *)(uintptr_t)text.p;
	size_t i;

	if (text.n < PAGE_BYTES_MIN || memcmp(p, "SQLite format 3", 16) != 0)
		return (false);
	for (i = HEADER_VERSIONS_AT; i < HEADER_VERSIONS_AT + 2; i++)
		if (p[i] == FORMAT_WAL)
			p[i] = FORMAT_ROLLBACK;
	return (true);
}

enum rc
rpm_sqlite_read(struct span text, struct package_list *list)
{
	struct steps steps = { 0 };
	sqlite3 *db = NULL;
	enum rc rc;

	if (!format_settle(text))
		return (not_read(
		    list, "rpm database that is none of SQLite", NULL));
	if (sqlite3_open_v2(":memory:", &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_PRIVATECACHE,
		NULL) != SQLITE_OK ||
	    sqlite3_deserialize(db, "main", (unsigned char *)(uintptr_t)text.p,
		(sqlite3_int64)text.n, (sqlite3_int64)text.n,
		SQLITE_DESERIALIZE_READONLY) != SQLITE_OK) {
		rc = not_read(list, "rpm database that cannot be opened", db);
	} else {
		db_narrow(db, &steps);
		rc = db_read(db, text.n, list);
	}
	(void)sqlite3_close(db);
	return (rc);
}
