#ifndef MIRROR_PLACE_INT_H
#define MIRROR_PLACE_INT_H

#include "mirror/place.h"

/** place_fail(error, rc, fmt, ...): ${rc}, and the text for people. */
RC_MUST_USE enum rc place_fail(struct upstream_error *, enum rc,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** place_cancelled(p): is it to end? */
bool place_cancelled(const struct place *);

#endif
