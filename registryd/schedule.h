#ifndef REGISTRYD_SCHEDULE_H
#define REGISTRYD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "registryd/settings.h"

/*
 * When the lifecycle policy of a repository is carried out: an interval after
 * it was set or evaluated last, and a jitter that is always the same for the
 * same repository, and then in the window of the day.  Pure but for the time
 * zone.  Any thread.
 */

/** schedule_due(l, repo, basis_ms): when it is, whatever the window; never
 * (INT64_MAX) with an interval of 0. */
int64_t schedule_due(
    const struct lifecycle_settings *, uint64_t repo, int64_t basis_ms);

/** schedule_open(l, at_ms): is that in the window? */
bool schedule_open(const struct lifecycle_settings *, int64_t at_ms);

/** schedule_opens(l, from_ms): the first moment from then on that is.  A window
 * that the change to summer time takes away opens the day after. */
int64_t schedule_opens(const struct lifecycle_settings *, int64_t from_ms);

#endif
