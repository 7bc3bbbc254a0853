#ifndef MIRROR_DIGESTS_H
#define MIRROR_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

/*
 * A set of digests in the order in which they came.  How large it may be is
 * for its owner to say, who is one thread.  All zero: empty.
 */
struct digests {
	struct digest *rows;
	size_t n, room;
	uint32_t *slots; /* number of a row + 1; 0: free */
	size_t n_slots;
};

/** digests_add(s, d): true: it was not there. */
bool digests_add(struct digests *, const struct digest *);
bool digests_has(const struct digests *, const struct digest *);
void digests_free(struct digests *);

#endif
