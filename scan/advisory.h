#ifndef SCAN_ADVISORY_H
#define SCAN_ADVISORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/match.h"

/*
 * Advisories out of the files in which they are published, streamed: memory is
 * bounded by the largest record of the file, not by the file.
 *
 *	Debian security tracker: https://security-tracker.debian.org/tracker/data/json
 *	Alpine secdb: https://secdb.alpinelinux.org/v3.18/main.json
 *	OSV: a record, an array of them, one a line, or a zip/tar of them
 *	(ossf.github.io/osv-schema)
 *
 * Any of them may be compressed with gzip or zstd.  What is withdrawn, or says
 * that nobody is affected, is left out.
 */
#define ADVISORY_WHY_BYTES 512
/* A record: what a Debian file says of one problem of one package, the whole of
 * an Alpine file, a record of OSV; such a one has at most JSON_VALUES_MAX values
 * (base/json.h). */
#define ADVISORY_RECORD_MAX_BYTES ((size_t)32 << 20)
/* Of the file in all, uncompressed. */
#define ADVISORY_FILE_MAX_BYTES ((uint64_t)32 << 30)
/* Longer summaries are cut; so are details that stand in for one. */
#define ADVISORY_SUMMARY_MAX_BYTES ((size_t)1024)

enum advisory_format {
	ADVISORY_DEBIAN = 1,
	ADVISORY_ALPINE = 2,
	ADVISORY_OSV = 3
};

/** Some bytes of the file: 0 at the end; below 0: it cannot be read. */
typedef long advisory_read_fn(void *arg, const void **p_r);
typedef enum rc advisory_take_fn(void *arg, struct span ecosystem,
    struct span package, const struct advisory *);

#define ADVISORY_SOURCE_MAX_BYTES 128

struct advisory_tally {
	enum advisory_format format;
	/* What an import of it is called unless somebody says otherwise:
	 * "debian", "alpine:3.18/main", "osv:npm". */
	char source[ADVISORY_SOURCE_MAX_BYTES + 1];
	uint64_t advisories; /* given to ${take} */
	uint64_t packages;
	uint64_t
	    skipped; /* of ecosystems that are not known here, that say nothing
			     of versions, or whose package has a name that
			     is too long (storage/advisories.h) */
	uint64_t withdrawn;
	int64_t published_ms; /* the latest time the file itself tells; or 0 */
};

/**
 * advisories_read(read, arg, take, take_arg, why, tally_r):
 * The format is told from what is there.  RC_INVALID: none of the formats, or
 * damaged: ${why} says where (byte offset, record's id); RC_TOOBIG; RC_IO:
 * ${read} failed; what ${take} returns.
 */
RC_MUST_USE enum rc advisories_read(advisory_read_fn *read, void *arg,
    advisory_take_fn *take, void *take_arg, char why[ADVISORY_WHY_BYTES],
    struct advisory_tally *tally_r);

/** advisory_format_text(format): "debian", "alpine", "osv". */
const char *advisory_format_text(enum advisory_format);

/** advisory_source_ok(source): letters, digits and . _ : / + -, at most
 * ADVISORY_SOURCE_MAX_BYTES. */
bool advisory_source_ok(struct span source);

/** advisory_write(a, out), advisory_parse(bytes, arena, a_r): as the store
 * keeps one: JSON.  RC_INVALID. */
struct buf;
void advisory_write(const struct advisory *, struct buf *out);
RC_MUST_USE enum rc
advisory_parse(struct span bytes, struct arena *, struct advisory *a_r);

#endif
