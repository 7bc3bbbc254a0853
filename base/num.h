#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * Strict numbers: the whole span or nothing.  No sign, no white space, no
 * leading zeros but "0" itself, no exponent.
 */

/** num_u64(s, max, n_r): 1*DIGIT; RC_INVALID, or RC_RANGE above ${max}. */
RC_MUST_USE enum rc num_u64(struct span, uint64_t max, uint64_t *n_r);

/** num_u64_zeros(s, max, n_r): the same with leading zeros allowed. */
RC_MUST_USE enum rc num_u64_zeros(struct span, uint64_t max, uint64_t *n_r);

/** num_hex_u64(s, max, n_r): 1*HEXDIG, leading zeros allowed. */
RC_MUST_USE enum rc num_hex_u64(struct span, uint64_t max, uint64_t *n_r);

/** num_duration_ms(s, ms_r): "500ms", "2s", "10m", "1h", "30d", "0". */
RC_MUST_USE enum rc num_duration_ms(struct span, int64_t *ms_r);

/** num_size_bytes(s, n_r): "0", "512", "64KiB", "4MiB", "1GiB", "2TiB". */
RC_MUST_USE enum rc num_size_bytes(struct span, uint64_t *n_r);

/** num_bool(s, b_r): exactly "true" or "false". */
RC_MUST_USE enum rc num_bool(struct span, bool *b_r);

#endif
