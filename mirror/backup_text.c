#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/num.h"
#include "mirror/backup_int.h"

/*
 * The texts of a backup: its head, the format of its folder, and its end.
 */
#define FORMAT_PREFIX "registryd-format "

enum rc
backup_fail(char why[ARCHIVE_WHY_BYTES], enum rc rc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, ARCHIVE_WHY_BYTES, fmt, args);
	va_end(args);
	return (rc);
}

bool
backup_stopped(const atomic_bool *cancel)
{
	return (cancel != NULL && atomic_load(cancel));
}

/* --- the head ------------------------------------------------------------ */

void
backup_head_write(const struct backup_head *head, struct buf *out)
{
	char digest[DIGEST_STR_BYTES], now[CLOCK_ISO_BYTES];

	buf_printf(out,
	    "{\"registryd-backup\":%d,\"version\":\"" REGISTRYD_VERSION
	    "\",\"created\":\"%s\",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"meta_bytes\":%" PRIu64 ",\"meta_digest\":\"%s\"}\n",
	    BACKUP_VERSION, clock_iso(clock_real_ms(), now), head->files,
	    head->bytes, head->meta_bytes,
	    digest_str(&head->meta_digest, digest));
}

static bool
member_u64(const json_t *doc, const char *key, uint64_t *n_r)
{
	int64_t n;

	if (json_get_int(doc, key, &n) != RC_OK || n < 0)
		return (false);
	*n_r = (uint64_t)n;
	return (true);
}

static enum rc
head_take(const json_t *doc, struct backup_head *head, char *why)
{
	struct span digest;
	uint64_t version;

	if (!member_u64(doc, "registryd-backup", &version))
		return (backup_fail(why, RC_INVALID, "it is not a backup"));
	if (version > BACKUP_VERSION)
		return (backup_fail(why, RC_VERSION,
		    "it was written by a newer version of registryd"));
	if (!member_u64(doc, "files", &head->files) ||
	    !member_u64(doc, "bytes", &head->bytes) ||
	    !member_u64(doc, "meta_bytes", &head->meta_bytes) ||
	    json_get_str(doc, "meta_digest", &digest) != RC_OK ||
	    digest_parse(digest, &head->meta_digest) != RC_OK)
		return (backup_fail(
		    why, RC_INVALID, BACKUP_HEAD ": a member is wrong"));
	return (RC_OK);
}

enum rc
backup_head_read(
    struct span text, struct backup_head *head_r, char why[ARCHIVE_WHY_BYTES])
{
	char wrong[JSON_ERROR_BYTES];
	json_t *doc;
	enum rc rc;

	if (json_read(text, wrong, &doc) != RC_OK)
		return (
		    backup_fail(why, RC_INVALID, BACKUP_HEAD ": %s", wrong));
	rc = head_take(doc, head_r, why);
	json_decref(doc);
	return (rc);
}

/* --- the format ---------------------------------------------------------- */

enum rc
backup_format_check(struct span text, char why[ARCHIVE_WHY_BYTES])
{
	const struct span prefix = SPAN(FORMAT_PREFIX);
	uint64_t n;

	if (!span_has_prefix(text, prefix) ||
	    !span_has_suffix(text, SPAN("\n")) ||
	    num_u64((struct span){ text.p + prefix.n, text.n - prefix.n - 1 },
		UINT32_MAX, &n) != RC_OK ||
	    n == 0)
		return (backup_fail(why, RC_INVALID,
		    BACKUP_FORMAT_FILE ": not that of a registry"));
	if (n > STORE_FORMAT)
		return (backup_fail(why, RC_VERSION,
		    "the registry in it has format %" PRIu64
		    ", this version knows up to %d: use a newer registryd",
		    n, STORE_FORMAT));
	return (RC_OK);
}

/* --- the end ------------------------------------------------------------- */

void
backup_tally_init(struct backup_tally *tally)
{
	*tally = (struct backup_tally){ .hasher = hasher_new(DIGEST_SHA256) };
}

void
backup_tally_add(struct backup_tally *tally, const char *name,
    const struct digest *d, uint64_t size_bytes)
{
	char digest[DIGEST_STR_BYTES];
	struct buf line;

	buf_init(&line, BACKUP_TEXT_MAX_BYTES);
	buf_printf(&line, "%s %s %" PRIu64 "\n", name, digest_str(d, digest),
	    size_bytes);
	hasher_update(tally->hasher, line.p, line.n);
	buf_free(&line);
	tally->files++;
	tally->bytes += size_bytes;
}

void
backup_tally_end(struct backup_tally *tally, struct buf *out)
{
	char digest[DIGEST_STR_BYTES];
	struct digest d;

	hasher_final(tally->hasher, &d);
	buf_printf(out,
	    "{\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"digest\":\"%s\"}\n",
	    tally->files, tally->bytes, digest_str(&d, digest));
}

void
backup_tally_free(struct backup_tally *tally)
{
	hasher_free(&tally->hasher);
}
