#ifndef REGISTRYD_RATES_INT_H
#define REGISTRYD_RATES_INT_H

#include <stdbool.h>
#include <stdint.h>

/* Until when what was taken lasts, were it taken at an even pace: a second
 * ahead of now the bucket is empty, in the past it is full.  So one number
 * holds both how much is left and when that was. */
struct rate_bucket {
	_Atomic int64_t until_ns;
};

/** rate_bucket_take(b, per_second, now_ns): one more, if it has one; monotonic
 * time.  Any thread. */
bool
rate_bucket_take(struct rate_bucket *, unsigned per_second, int64_t now_ns);

#endif
