#ifndef MIRROR_SEMVER_H
#define MIRROR_SEMVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * Versions as tags have them (semver.org 2.0.0): with or without "v" in front,
 * with one to three numbers, which may have leading zeros ("22.04").
 */
struct version {
	uint64_t n[3];
	struct span pre; /* behind the '-'; empty: a release */
};

/** version_parse(text, v_r): false: it is none.  Borrows the text. */
bool version_parse(struct span text, struct version *v_r);
/** version_cmp(a, b): by precedence (section 11); <0, 0, >0. */
int version_cmp(const struct version *, const struct version *);

/*
 * A range: sets of comparisons, one of which has to hold, joined by "||"; a set
 * holds when all of it does.
 */
struct range;

/** version_range_parse(text, r_r): RC_INVALID.  Copies the text. */
RC_MUST_USE enum rc version_range_parse(struct span text, struct range **r_r);
void range_free(struct range **);
bool range_has(const struct range *, const struct version *);

#endif
