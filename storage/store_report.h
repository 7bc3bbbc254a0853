#ifndef STORAGE_STORE_REPORT_H
#define STORAGE_STORE_REPORT_H

#include "base/buf.h"
#include "storage/store.h"

/** store_stats_json(st, out): append an object with a member for each figure,
 * named as in struct store_stats. */
void store_stats_json(const struct store_stats *, struct buf *out);

#endif
