#ifndef MIRROR_SELECT_H
#define MIRROR_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * Which tags of a repository: those that any of the globs and regular
 * expressions names (all, where there are none), and that lie in the range of
 * versions, and that nothing excludes; of these the newest N.  Pure.
 *
 * A range: ">=1.2 <2 || 3.x", "^1.4", "~1.4.2", "1.x"; a tag may have a "v" in
 * front and two or one numbers instead of three; pre-releases only where the
 * range names one of the same numbers, and a suffix ("3.18-alpine") counts as a
 * pre-release (semver.org, section 9).  The newest are those with the highest
 * version; tags that are no version come behind all that are, in byte order
 * from the back.
 */
#define SELECT_WHY_BYTES 256

struct select_options {
	const struct span *globs; /* '*', '?', '[a-z]' of the whole tag */
	size_t n_globs;
	const struct span *regexes; /* POSIX extended, of the whole tag */
	size_t n_regexes;
	const struct span *excludes; /* globs */
	size_t n_excludes;
	struct span semver; /* a range; empty: none */
	unsigned newest;    /* 0: all */
};

struct selection;

/** selection_new(options, why, s_r): all is copied.  RC_INVALID: ${why} names
 * the expression. */
RC_MUST_USE enum rc selection_new(const struct select_options *,
    char why[SELECT_WHY_BYTES], struct selection **s_r);
void selection_free(struct selection **);

/** selection_takes(s, tag): but for .newest. */
bool selection_takes(const struct selection *, struct span tag);

/** selection_apply(s, tags, n): those that it takes come to the front, the
 * newest first where .newest is set; how many. */
size_t selection_apply(const struct selection *, struct span *tags, size_t n);

#endif
