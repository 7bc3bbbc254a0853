#ifndef SCAN_ADVISORY_INT_H
#define SCAN_ADVISORY_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/advisory.h"
#include "scan/package.h"

/*
 * A text of JSON that is too long for memory, cut into the values that records
 * are: as it arrives, strict about what stands around them.  What is in a value
 * is looked at only as far as to find its end: whoever gets it parses it.
 *
 *	[ {..}, {..} ]			SPLIT_RECORDS: each element
 *	{..} {..}			SPLIT_RECORDS: each object
 *	{"bash": {"CVE-..": {..}}}	SPLIT_PACKAGES: each member of a member
 *
 * Which of them it is says the beginning: the text is SPLIT_PACKAGES if its
 * first member is an object and is not called like a member of a record
 * (split_init() gets those names).
 */
enum split_kind { SPLIT_UNKNOWN, SPLIT_RECORDS, SPLIT_PACKAGES };

struct split_value {
	enum split_kind kind;
	struct span package, id; /* SPLIT_PACKAGES: as they stand between the
				    quotes */
	struct span text;
	uint64_t offset; /* of its first byte */
};
typedef enum rc split_fn(void *arg, const struct split_value *);

#define SPLIT_KEY_MAX_BYTES 512

struct split {
	split_fn *fn;
	void *arg;
	const char *const *record_keys; /* ends with NULL */
	char *why;			/* ADVISORY_WHY_BYTES */
	enum split_kind kind;
	int state;
	int level;    /* containers open around what is read */
	size_t depth; /* brackets open in the value */
	bool string;  /* in one, of the value or a key */
	bool escape;  /* behind a '\' of it */
	uint64_t offset, value_offset;
	struct buf value;
	struct buf keys[2];
};

/** split_init(s, keys, fn, arg, why), split_free(s). */
void split_init(struct split *, const char *const *record_keys, split_fn *fn,
    void *arg, char *why);
void split_free(struct split *);
/** split_again(s): another text, read from its beginning. */
void split_again(struct split *);
/** split_feed(s, p, n): RC_INVALID, RC_TOOBIG with ${why}; what ${fn} says. */
RC_MUST_USE enum rc split_feed(struct split *, const char *p, size_t n);
/** split_end(s): that was all. RC_INVALID: it was cut. */
RC_MUST_USE enum rc split_end(struct split *);

/*
 * Readers of the formats.
 */
struct advisory_reader {
	advisory_take_fn *take;
	void *take_arg;
	char *why; /* ADVISORY_WHY_BYTES */
	struct advisory_tally *tally;
	struct arena arena; /* of the record at hand */
	struct buf package; /* the last one of a Debian file */
	uint32_t families;  /* of OSV: that all records are about, a bit each */
	bool has_families;  /* there was one about any */
};

/** reader_wrong(r, id, fmt, ...): RC_INVALID, with the reason. */
RC_MUST_USE enum rc reader_wrong(struct advisory_reader *, struct span id,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** reader_why(r, id, fmt, ...): the reason alone. */
void reader_why(struct advisory_reader *, struct span id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** reader_take(r, ecosystem, package, a): hand it over, and count. */
RC_MUST_USE enum rc reader_take(struct advisory_reader *, struct span ecosystem,
    struct span package, const struct advisory *);

/** reader_source(r, source): what an import of it is called, if nobody says
 * otherwise; ${family} once there were several. */
void
reader_source(struct advisory_reader *, struct span source, struct span family);

/** reader_text(r, s): cut to what is kept of a summary. */
struct span reader_text(struct advisory_reader *, struct span);

/* Records; the text has been parsed.  RC_INVALID with the reason. */
RC_MUST_USE enum rc debian_read(struct advisory_reader *, struct span package,
    struct span id, const json_t *);
RC_MUST_USE enum rc alpine_read(struct advisory_reader *, const json_t *);
RC_MUST_USE enum rc osv_read(struct advisory_reader *, const json_t *);
/** osv_source(r): what an import of them is called, behind the last one. */
void osv_source(struct advisory_reader *);

/** package_name_normal(type, name, arena, name_r): as advisories and packages
 * are to be compared. */
RC_MUST_USE enum rc package_name_normal(
    enum package_type, struct span name, struct arena *, struct span *name_r);

/** osv_ranges(r, affected, type, a): .ranges and .versions of an element of
 * "affected".  RC_NOTFOUND: there is nothing in it to compare versions with. */
RC_MUST_USE enum rc osv_ranges(struct advisory_reader *, struct span id,
    const json_t *affected, enum package_type, struct advisory *a);
/** osv_severity(record, affected, a): .severity, .cvss_vector, .cvss_score. */
void
osv_severity(const json_t *record, const json_t *affected, struct advisory *a);

/** advisory_range_has(type, range, version): is it in it?  A version that cannot be
 * compared is in none. */
bool advisory_range_has(
    enum package_type, const struct version_range *, struct span version);

#endif
