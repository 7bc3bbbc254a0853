#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/*
 * Time.  The calendar is CLOCK_REALTIME in milliseconds since 1970; it may
 * step.  Intervals are CLOCK_MONOTONIC in nanoseconds.
 */
int64_t clock_real_ms(void);
int64_t clock_mono_ns(void);

/* "2026-01-31T12:00:00.123Z" and a NUL. */
#define CLOCK_ISO_BYTES 25
const char *clock_iso(int64_t real_ms, char out[CLOCK_ISO_BYTES]);

/* "Sat, 31 Jan 2026 12:00:00 GMT" (RFC 9110 section 5.6.7) and a NUL. */
#define CLOCK_HTTP_BYTES 30
const char *clock_http(int64_t real_ms, char out[CLOCK_HTTP_BYTES]);

#endif
