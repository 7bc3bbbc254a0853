#include "scan/advisory.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/obj.h"
#include "scan/advisory_int.h"
#include "scan/version_int.h"
#include "storage/advisories.h"

/*
 * A file of advisories: uncompressed and, if it is a zip or a tar, unpacked by
 * libarchive as it arrives, then cut into records (advisory_split.c), each of
 * which is parsed and given to the reader of its format.
 */
#define ARENA_BYTES ((size_t)256 << 20)

/* Names of members by which a record is told from a map of packages. */
static const char *const record_keys[] = { "affected", "aliases", "apkurl",
	"archs", "credits", "database_specific", "details", "distroversion",
	"id", "modified", "packages", "published", "references", "related",
	"reponame", "schema_version", "severity", "summary", "upstream",
	"urlprefix", "withdrawn", NULL };

const char *
advisory_format_text(enum advisory_format format)
{
	switch (format) {
	case ADVISORY_DEBIAN:
		return ("debian");
	case ADVISORY_ALPINE:
		return ("alpine");
	case ADVISORY_OSV:
		return ("osv");
	}
	return ("none");
}

bool
advisory_source_ok(struct span source)
{
	size_t i;

	for (i = 0; i < source.n; i++)
		if (!is_alnum(source.p[i]) &&
		    (source.p[i] == '\0' ||
			strchr("._:/+-", source.p[i]) == NULL))
			return (false);
	return (source.n > 0 && source.n <= ADVISORY_SOURCE_MAX_BYTES);
}

/* --- what readers share -------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void
why_say(struct advisory_reader *r, struct span id, const char *fmt, va_list ap)
{
	size_t n = 0;

	if (id.n > 0)
		n = (size_t)snprintf(r->why, ADVISORY_WHY_BYTES,
		    "%.*s: ", id.n < 128 ? (int)id.n : 128, id.p);
	(void)vsnprintf(r->why + n, ADVISORY_WHY_BYTES - n, fmt, ap);
}

void
reader_why(struct advisory_reader *r, struct span id, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	why_say(r, id, fmt, ap);
	va_end(ap);
}

enum rc
reader_wrong(struct advisory_reader *r, struct span id, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	why_say(r, id, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}

enum rc
reader_take(struct advisory_reader *r, struct span ecosystem,
    struct span package, const struct advisory *a)
{
	if (package.n == 0 || package.n > ADVISORY_PACKAGE_MAX_BYTES) {
		r->tally->skipped++;
		return (RC_OK);
	}
	r->tally->advisories++;
	return (r->take(r->take_arg, ecosystem, package, a));
}

void
reader_source(struct advisory_reader *r, struct span source, struct span family)
{
	char *name = r->tally->source;

	if (source.n == 0 || span_is(source, name))
		return;
	if (name[0] != '\0' || !advisory_source_ok(source))
		source = family;
	(void)snprintf(
	    name, ADVISORY_SOURCE_MAX_BYTES + 1, SPAN_FMT, SPAN_ARG(source));
}

/* Not within a character. */
struct span
reader_text(struct advisory_reader *r, struct span s)
{
	const char *text;
	size_t n = ADVISORY_SUMMARY_MAX_BYTES - 3;

	if (s.n <= ADVISORY_SUMMARY_MAX_BYTES)
		return (s);
	while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
		n--;
	text = arena_printf(&r->arena, "%.*s...", (int)n, s.p);
	return (span_of(text));
}

/* --- records ------------------------------------------------------------- */

static enum rc
format_set(struct advisory_reader *r, enum advisory_format format)
{
	if (r->tally->format != 0 && r->tally->format != format)
		return (reader_wrong(
		    r, SPAN_NONE, "advisories of several formats in one file"));
	r->tally->format = format;
	return (RC_OK);
}

static enum rc
document_read(struct advisory_reader *r, const json_t *doc)
{
	enum rc rc;

	if (json_object_get(doc, "distroversion") != NULL ||
	    json_object_get(doc, "packages") != NULL) {
		rc = format_set(r, ADVISORY_ALPINE);
		return (rc == RC_OK ? alpine_read(r, doc) : rc);
	}
	if (json_object_get(doc, "id") == NULL)
		return (reader_wrong(r, SPAN_NONE,
		    "neither of the Debian security tracker nor of Alpine's "
		    "secdb nor of OSV"));
	rc = format_set(r, ADVISORY_OSV);
	return (rc == RC_OK ? osv_read(r, doc) : rc);
}

/* A key as it stands between its quotes. */
static enum rc
key_read(struct advisory_reader *r, struct span raw, struct span *key_r)
{
	char wrong[JSON_ERROR_BYTES];
	struct span text;
	const char *p;
	json_t *doc;
	enum rc rc;

	*key_r = raw;
	if (memchr(raw.p != NULL ? raw.p : "", '\\', raw.n) == NULL)
		return (RC_OK);
	p = arena_printf(&r->arena, "[\"" SPAN_FMT "\"]", SPAN_ARG(raw));
	if (p == NULL)
		return (RC_TOOBIG);
	if (json_read(span_of(p), wrong, &doc) != RC_OK)
		return (reader_wrong(r, raw, "%s", wrong));
	text.p = json_string_value(json_array_get(doc, 0));
	text.n = json_string_length(json_array_get(doc, 0));
	*key_r = arena_span(&r->arena, text);
	rc = key_r->p != NULL ? RC_OK : RC_TOOBIG;
	json_decref(doc);
	return (rc);
}

static enum rc
package_read(
    struct advisory_reader *r, const struct split_value *v, const json_t *doc)
{
	struct span package, id;
	enum rc rc;

	if ((rc = format_set(r, ADVISORY_DEBIAN)) != RC_OK ||
	    (rc = key_read(r, v->package, &package)) != RC_OK ||
	    (rc = key_read(r, v->id, &id)) != RC_OK)
		return (rc);
	if (!span_eq(buf_as_span(&r->package), v->package)) {
		buf_clear(&r->package);
		buf_span(&r->package, v->package);
		r->tally->packages++;
	}
	return (debian_read(r, package, id, doc));
}

/* What the reader says of it comes behind where it is. */
static enum rc
value_wrong(struct advisory_reader *r, const struct split_value *v, enum rc rc)
{
	char said[ADVISORY_WHY_BYTES];

	if (rc == RC_TOOBIG && r->why[0] == '\0')
		(void)snprintf(r->why, ADVISORY_WHY_BYTES,
		    "it takes more than %zu bytes of memory", ARENA_BYTES);
	(void)snprintf(said, sizeof(said), "%s", r->why);
	(void)snprintf(r->why, ADVISORY_WHY_BYTES, "byte %llu: %.400s",
	    (unsigned long long)v->offset, said);
	return (rc);
}

static enum rc
value_take(void *arg, const struct split_value *v)
{
	struct advisory_reader *r = arg;
	char wrong[JSON_ERROR_BYTES];
	json_t *doc;
	enum rc rc;

	rc = json_read(v->text, wrong, &doc);
	if (rc == RC_INVALID) {
		(void)snprintf(r->why, ADVISORY_WHY_BYTES, "%s", wrong);
		return (value_wrong(r, v, rc));
	}
	if (rc != RC_OK)
		return (rc);
	if (v->kind == SPLIT_PACKAGES)
		rc = package_read(r, v, doc);
	else
		rc = document_read(r, doc);
	json_decref(doc);
	arena_reset(&r->arena);
	if (rc == RC_INVALID || rc == RC_TOOBIG)
		return (value_wrong(r, v, rc));
	return (rc);
}

/* --- the file ------------------------------------------------------------ */

struct file {
	advisory_read_fn *read;
	void *arg;
	bool failed; /* .read did */
	bool begun;  /* there was something to be read */
	uint64_t bytes;
	struct advisory_reader *reader;
	struct split split;
};

static la_ssize_t
file_read(struct archive *a, void *arg, const void **p_r)
{
	struct file *f = arg;
	long n = f->read(f->arg, p_r);

	f->begun |= n > 0;
	if (n >= 0)
		return (n);
	f->failed = true;
	archive_set_error(a, EIO, "it cannot be read");
	return (ARCHIVE_FATAL);
}

static enum rc
archive_wrong(struct file *f, struct archive *a)
{
	const char *text = archive_error_string(a);

	if (f->failed)
		return (RC_IO);
	if (!f->begun)
		return (
		    reader_wrong(f->reader, SPAN_NONE, "the file is empty"));
	return (reader_wrong(f->reader, SPAN_NONE, "%s",
	    text != NULL ? text : "it cannot be unpacked"));
}

/* All of what is at hand. */
static enum rc
content_read(struct file *f, struct archive *a)
{
	const void *p;
	size_t n;
	la_int64_t offset;
	enum rc rc;
	int err;

	split_again(&f->split);
	while (
	    (err = archive_read_data_block(a, &p, &n, &offset)) == ARCHIVE_OK ||
	    err == ARCHIVE_WARN) {
		f->bytes += n;
		if (f->bytes > ADVISORY_FILE_MAX_BYTES) {
			reader_why(f->reader, SPAN_NONE,
			    "more than %llu bytes when it is unpacked",
			    (unsigned long long)ADVISORY_FILE_MAX_BYTES);
			return (RC_TOOBIG);
		}
		if ((rc = split_feed(&f->split, p, n)) != RC_OK)
			return (rc);
	}
	if (err != ARCHIVE_EOF)
		return (archive_wrong(f, a));
	return (split_end(&f->split));
}

/* Which file of an archive was it? */
static void
entry_wrong(struct file *f, const char *name)
{
	char said[ADVISORY_WHY_BYTES];

	(void)snprintf(said, sizeof(said), "%s", f->reader->why);
	reader_why(f->reader, span_of(name), "%.350s", said);
}

static enum rc
entry_read(struct file *f, struct archive *a, struct archive_entry *e)
{
	const char *name = archive_entry_pathname(e);
	enum rc rc;

	if (archive_format(a) == ARCHIVE_FORMAT_RAW)
		return (content_read(f, a));
	if (archive_entry_filetype(e) != AE_IFREG || name == NULL ||
	    !span_has_suffix(span_of(name), SPAN(".json")))
		return (RC_OK);
	rc = content_read(f, a);
	if (rc == RC_INVALID || rc == RC_TOOBIG)
		entry_wrong(f, name);
	return (rc);
}

static enum rc
entries_read(struct file *f, struct archive *a)
{
	struct archive_entry *e;
	enum rc rc = RC_OK;
	int err;

	for (;;) {
		err = archive_read_next_header(a, &e);
		if (err == ARCHIVE_EOF)
			return (RC_OK);
		if (err != ARCHIVE_OK && err != ARCHIVE_WARN)
			return (archive_wrong(f, a));
		if ((rc = entry_read(f, a, e)) != RC_OK)
			return (rc);
	}
}

static enum rc
file_unpack(struct file *f)
{
	struct archive *a = archive_read_new();
	enum rc rc;

	must(a != NULL);
	must(archive_read_support_filter_gzip(a) == ARCHIVE_OK);
	must(archive_read_support_filter_zstd(a) == ARCHIVE_OK);
	must(archive_read_support_format_zip_streamable(a) == ARCHIVE_OK);
	must(archive_read_support_format_tar(a) == ARCHIVE_OK);
	must(archive_read_support_format_raw(a) == ARCHIVE_OK);
	if (archive_read_open(a, f, NULL, file_read, NULL) == ARCHIVE_OK)
		rc = entries_read(f, a);
	else
		rc = archive_wrong(f, a);
	(void)archive_read_free(a);
	return (rc);
}

enum rc
advisories_read(advisory_read_fn *read, void *arg, advisory_take_fn *take,
    void *take_arg, char why[ADVISORY_WHY_BYTES],
    struct advisory_tally *tally_r)
{
	struct advisory_reader r = {
		.take = take,
		.take_arg = take_arg,
		.why = why,
		.tally = tally_r,
	};
	struct file f = { .read = read, .arg = arg, .reader = &r };
	enum rc rc;

	*tally_r = (struct advisory_tally){ .advisories = 0 };
	why[0] = '\0';
	arena_init(&r.arena, ARENA_BYTES);
	buf_init(&r.package, SPLIT_KEY_MAX_BYTES);
	split_init(&f.split, record_keys, value_take, &r, why);
	rc = file_unpack(&f);
	if (rc == RC_OK && tally_r->format == 0)
		rc = reader_wrong(&r, SPAN_NONE, "there is no advisory in it");
	if (tally_r->format == ADVISORY_OSV)
		osv_source(&r);
	split_free(&f.split);
	buf_free(&r.package);
	arena_reset(&r.arena);
	return (rc);
}
