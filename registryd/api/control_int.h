#ifndef API_CONTROL_INT_H
#define API_CONTROL_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "registryd/api/service.h"
#include "registryd/service.h"

/*
 * What the handlers of the control listener share.
 */
#define CONTROL_JSON "application/json"
#define CONTROL_ANSWER_BYTES ((size_t)64 << 20)

/** control_bad(c, key, value, allowed): RC_FAILED: KEY: "VALUE" must be
 * ALLOWED. */
RC_MUST_USE enum rc control_bad(
    struct call *, const char *key, struct span value, const char *allowed);

/** control_bool(c, key, b), control_u64(c, key, n): a parameter; one that is
 * absent leaves the value as it is.  RC_FAILED. */
RC_MUST_USE enum rc control_bool(struct call *, const char *key, bool *b);
RC_MUST_USE enum rc control_u64(struct call *, const char *key, uint64_t *n);

/** control_repository(c, wanted, name_r): the parameter "repository", a name;
 * empty when it is absent and not ${wanted}.  RC_FAILED. */
RC_MUST_USE enum rc
control_repository(struct call *, bool wanted, struct span *name_r);

/** control_no_repository(c, name): RC_FAILED: 404. */
RC_MUST_USE enum rc control_no_repository(struct call *, struct span name);

/** control_time(out, key, ms), control_tags(out, key, tags, n): a member; 0 is
 * null. */
void control_time(struct buf *out, const char *key, int64_t ms);
void control_tags(
    struct buf *out, const char *key, const struct span *tags, size_t n);

/** control_gc_stats(svc, out): ,"gc":{...}; control_gc.c */
void control_gc_stats(struct service *, struct buf *out);

/** control_upstreams(svc, out): an array, as control_cache() has it. */
void control_upstreams(struct service *, struct buf *out);

/** control_lifecycle_stats(svc, out): ,"lifecycle":{...};
 * control_lifecycle.c */
void control_lifecycle_stats(struct service *, struct buf *out);

/** control_scan_stats(svc, out): ,"scan":{...}; control_scan.c */
void control_scan_stats(struct service *, struct buf *out);

#endif
