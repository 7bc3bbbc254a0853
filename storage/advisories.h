#ifndef STORAGE_ADVISORIES_H
#define STORAGE_ADVISORIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/meta.h"

/*
 * A part of the seam of meta.h: the advisory database.  A set is what one
 * import of one source made; it is seen when it is whole, and then the set that
 * the source had before is not seen any more, and removed little by little.
 * Records are opaque here (scan/advisory.h).
 */
struct advisory_set {
	uint64_t id;
	struct span source; /* "debian", "alpine:3.18", "osv:npm", or as the
			       person who imports calls it */
	struct span format; /* "debian", "alpine", "osv" */
	int64_t imported_ms;
	int64_t published_ms; /* what the source says; 0: nothing */
	uint64_t advisories;
	uint64_t revision; /* grows with each import of any source */
	const struct span *ecosystems;
	size_t n_ecosystems;
};

struct advisory_row {
	struct span ecosystem, package; /* not empty */
	struct span record;
};
#define ADVISORY_ECOSYSTEM_MAX_BYTES 64
#define ADVISORY_PACKAGE_MAX_BYTES 190

/** meta_advisories_begin(m, set_r): a new, empty set that nobody sees.
 * RC_LIMIT: too many are being imported. */
RC_MUST_USE enum rc meta_advisories_begin(struct meta *, uint64_t *set_r);
/** meta_advisories_add(m, set, rows, n): in one transaction.  One thread at a
 * time.  RC_NOTFOUND: the set was given up; RC_TOOBIG: a name. */
RC_MUST_USE enum rc meta_advisories_add(
    struct meta *, uint64_t set, const struct advisory_row *rows, size_t n);
/** meta_advisories_commit(m, set): ${set->id} is seen from now on, instead of the one
 * that its source had.  .revision is set by it.  RC_NOTFOUND; RC_INVALID: no source;
 * RC_TOOBIG: too many ecosystems. */
RC_MUST_USE enum rc
meta_advisories_commit(struct meta *, struct advisory_set *set);
/** meta_advisories_abandon(m, set): it will not be committed; nothing of it is
 * wanted.  What was committed or abandoned already: nothing. */
void meta_advisories_abandon(struct meta *, uint64_t set);
/** meta_advisories_drop(m, source): nothing of it is seen any more; the
 * revision moves on.  RC_NOTFOUND. */
RC_MUST_USE enum rc meta_advisories_drop(struct meta *, struct span source);
/** meta_advisories_sweep(m, max_rows, more_r): rows of sets that are not seen;
 * those being imported stay for as long as this process lives. */
RC_MUST_USE enum rc
meta_advisories_sweep(struct meta *, unsigned max_rows, bool *more_r);

/** meta_advisory_sets(m, arena, rows_r, n_r): that are seen, by source. */
RC_MUST_USE enum rc meta_advisory_sets(
    struct meta *, struct arena *, struct advisory_set **rows_r, size_t *n_r);
/** meta_advisories_revision(m, r): of the last import or removal; 0: there was
 * none. */
RC_MUST_USE enum rc
meta_advisories_revision(struct meta *, uint64_t *revision_r);

typedef enum rc advisory_row_fn(void *arg, struct span record);
/** meta_advisories_find(m, ecosystem, package, arena, fn, arg): of all sets that
 * are seen, by source; records lie in the arena, no read is open while ${fn} runs.
 * RC_TOOBIG: past the arena's cap; what ${fn} returned other than RC_OK. */
RC_MUST_USE enum rc meta_advisories_find(struct meta *, struct span ecosystem,
    struct span package, struct arena *, advisory_row_fn *fn, void *arg);

#endif
