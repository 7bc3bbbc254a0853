#include "auth/sigv4_int.h"

#include <time.h>

#include "base/clock.h"
#include "base/num.h"

/*
 * Times in requests.  They are read by their fixed places and written again:
 * what comes out the same was a date that exists.
 */
#define TIME_LEN (SIGV4_DATE_BYTES - 1)
/* "Sat, 31 Jan 2026 12:00:00 ", before the zone. */
#define HTTP_LEN (CLOCK_HTTP_BYTES - 1 - 3)

const char *
sigv4_time_str(int64_t real_ms, char out[SIGV4_DATE_BYTES])
{
	char iso[CLOCK_ISO_BYTES];
	const char *from;
	char *to = out;

	(void)clock_iso(real_ms, iso);
	for (from = iso; *from != '.'; from++)
		if (*from != '-' && *from != ':')
			*to++ = *from;
	*to++ = 'Z';
	*to = '\0';
	return (out);
}

/* ${n} digits at ${at}; -1 if they are none. */
static int
digits(struct span s, size_t at, size_t n)
{
	uint64_t v;

	if (num_u64_zeros((struct span){ s.p + at, n }, 9999, &v) != RC_OK)
		return (-1);
	return ((int)v);
}

enum rc
sigv4_time_read(struct span s, int64_t *ms_r)
{
	char again[SIGV4_DATE_BYTES];
	struct tm tm = { 0 };

	if (s.n != TIME_LEN)
		return (RC_INVALID);
	tm.tm_year = digits(s, 0, 4) - 1900;
	tm.tm_mon = digits(s, 4, 2) - 1;
	tm.tm_mday = digits(s, 6, 2);
	tm.tm_hour = digits(s, 9, 2);
	tm.tm_min = digits(s, 11, 2);
	tm.tm_sec = digits(s, 13, 2);
	*ms_r = (int64_t)timegm(&tm) * 1000;
	return (span_is(s, sigv4_time_str(*ms_r, again)) ? RC_OK : RC_INVALID);
}

static int
month_of(struct span s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int i;

	for (i = 0; i < 12; i++)
		if (span_eq(s, (struct span){ months + (ptrdiff_t)3 * i, 3 }))
			return (i);
	return (-1);
}

static bool
zone_ok(struct span s)
{
	return (span_is(s, "GMT") || span_is(s, "UTC") || span_is(s, "+0000") ||
		span_is(s, "-0000"));
}

enum rc
sigv4_time_read_http(struct span s, int64_t *ms_r)
{
	char again[CLOCK_HTTP_BYTES];
	struct tm tm = { 0 };

	if (s.n < HTTP_LEN ||
	    !zone_ok((struct span){ s.p + HTTP_LEN, s.n - HTTP_LEN }))
		return (RC_INVALID);
	tm.tm_mday = digits(s, 5, 2);
	tm.tm_mon = month_of((struct span){ s.p + 8, 3 });
	tm.tm_year = digits(s, 12, 4) - 1900;
	tm.tm_hour = digits(s, 17, 2);
	tm.tm_min = digits(s, 20, 2);
	tm.tm_sec = digits(s, 23, 2);
	*ms_r = (int64_t)timegm(&tm) * 1000;
	(void)clock_http(*ms_r, again);
	s.n = HTTP_LEN;
	return (
	    span_eq(s, (struct span){ again, HTTP_LEN }) ? RC_OK : RC_INVALID);
}
