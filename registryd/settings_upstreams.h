#ifndef REGISTRYD_SETTINGS_UPSTREAMS_H
#define REGISTRYD_SETTINGS_UPSTREAMS_H

#include "registryd/settings_int.h"

/** settings_upstream_check(all, i, why), ...: what concerns several members of
 * entry number ${i}, and the entries before it.  RC_INVALID. */
RC_MUST_USE enum rc settings_upstream_check(
    struct settings_all *, size_t i, char why[SETTINGS_WHY_BYTES]);
RC_MUST_USE enum rc settings_mirror_check(
    struct settings_all *, size_t i, char why[SETTINGS_WHY_BYTES]);
RC_MUST_USE enum rc settings_destination_check(
    struct settings_all *, size_t i, char why[SETTINGS_WHY_BYTES]);

#endif
