#ifndef SCAN_ADVISORY_IMPORT_H
#define SCAN_ADVISORY_IMPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/advisory.h"
#include "storage/advisories.h"

/*
 * A file of advisories into the database: in batches, between which others have
 * their turn, and seen when all of it is there.  An import that fails leaves
 * what there was before.
 */
struct advisory_import {
	struct meta *meta;
	struct span source;	  /* empty: as the file suggests */
	const _Atomic bool *stop; /* or NULL: ends it with RC_CANCELLED */
	_Atomic uint64_t *stored; /* or NULL: advisories so far */
};

struct advisory_imported {
	struct advisory_set set; /* its texts are in the arena */
	struct advisory_tally tally;
};

/* The ecosystems of a set. */
#define ADVISORY_ECOSYSTEMS_MAX 4096

/**
 * advisory_import(import, read, arg, arena, why, out):
 * The codes of advisories_read() and those of meta.h; RC_INVALID also of a file
 * in which there is nothing for anybody, and of a source that is none; RC_LIMIT:
 * too many are running; RC_TOOBIG: too many ecosystems.  ${why} is empty
 * where the code says it all.  Blocks: a thread of one's own.
 */
RC_MUST_USE enum rc advisory_import(const struct advisory_import *import,
    advisory_read_fn *read, void *arg, struct arena *arena,
    char why[ADVISORY_WHY_BYTES], struct advisory_imported *out);

/** advisory_sweep(meta, stop): what imports and removals left behind, a little
 * at a time. */
RC_MUST_USE enum rc advisory_sweep(struct meta *, const _Atomic bool *stop);

/** advisory_set_json(set, out): {"source","format","imported","published",
 * "advisories","revision","ecosystems"}; times as ISO 8601, or null. */
void advisory_set_json(const struct advisory_set *, struct buf *out);

/** advisory_imported_json(imported, out): the same, and "packages","skipped",
 * "withdrawn". */
void advisory_imported_json(const struct advisory_imported *, struct buf *out);

#endif
