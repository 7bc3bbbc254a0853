#ifndef REGISTRYCTL_FOLDER_H
#define REGISTRYCTL_FOLDER_H

#include <stdbool.h>

#include "base/rc.h"
#include "storage/store.h"

/**
 * folder_open(data, read_only, why, store_r):
 * Open a folder that no server serves; never makes one.  The caller closes
 * it.  The codes of store_open, RC_NOTFOUND: there is no registry; ${why} says
 * what to do.
 */
RC_MUST_USE enum rc folder_open(const char *data, bool read_only,
    char why[STORE_WHY_BYTES], struct store **store_r);

#endif
