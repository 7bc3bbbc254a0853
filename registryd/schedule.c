#include "registryd/schedule.h"

#include <time.h>

#define MS_PER_S 1000
#define MINUTES_OF_HOUR 60
/* No zone takes a window away on two days that follow each other. */
#define DAYS_LOOKED 4

/* SplitMix64, of which every bit depends on every bit. */
static uint64_t
scatter(uint64_t n)
{
	n += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (n ^ (n >> 31));
}

int64_t
schedule_due(
    const struct lifecycle_settings *l, uint64_t repo, int64_t basis_ms)
{
	uint64_t jitter_ms;

	if (l->interval_ms == 0)
		return (INT64_MAX);
	jitter_ms = scatter(repo) % ((uint64_t)l->jitter_ms + 1);
	return (basis_ms + l->interval_ms + (int64_t)jitter_ms);
}

static unsigned
minute_of_day(int64_t at_ms)
{
	time_t t = (time_t)(at_ms / MS_PER_S);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return (0);
	return ((unsigned)(tm.tm_hour * MINUTES_OF_HOUR + tm.tm_min));
}

bool
schedule_open(const struct lifecycle_settings *l, int64_t at_ms)
{
	unsigned now;

	if (!l->windowed)
		return (true);
	now = minute_of_day(at_ms);
	if (l->window_from < l->window_to)
		return (now >= l->window_from && now < l->window_to);
	return (now >= l->window_from || now < l->window_to);
}

/* The beginning of the window on the day of ${from_ms}, or some days later. */
static int64_t
opens_on(const struct lifecycle_settings *l, int64_t from_ms, int days)
{
	time_t t = (time_t)(from_ms / MS_PER_S);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return (from_ms);
	tm.tm_mday += days;
	tm.tm_hour = (int)(l->window_from / MINUTES_OF_HOUR);
	tm.tm_min = (int)(l->window_from % MINUTES_OF_HOUR);
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return ((int64_t)mktime(&tm) * MS_PER_S);
}

int64_t
schedule_opens(const struct lifecycle_settings *l, int64_t from_ms)
{
	int64_t at_ms = from_ms;
	int day;

	if (schedule_open(l, from_ms))
		return (from_ms);
	for (day = 0; day < DAYS_LOOKED; day++) {
		at_ms = opens_on(l, from_ms, day);
		if (at_ms > from_ms && schedule_open(l, at_ms))
			break;
	}
	return (at_ms);
}
