#include "base/clock.h"

#include <time.h>

#include "base/obj.h"

#define MS_PER_DAY ((int64_t)24 * 60 * 60 * 1000)

int64_t
clock_real_ms(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_REALTIME, &ts) == 0);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

int64_t
clock_mono_ns(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

struct date {
	unsigned year, month, day; /* month and day from 1 */
	unsigned weekday;	   /* from 0, Sunday */
	unsigned hour, minute, second, ms;
};

/*
 * The calendar by arithmetic: gmtime_r() takes the lock of the time zone,
 * which all loops would meet on.  Years begin in March here, so that the leap
 * day is the last of one; eras are the 400 years after which all repeats.
 */
static void
date_of_days(int64_t days, struct date *d_r)
{
	unsigned day, year, month;
	int64_t era;

	d_r->weekday = (unsigned)((days + 4) % 7);
	days += 719468; /* from 0000-03-01 */
	era = days / 146097;
	day = (unsigned)(days % 146097);
	year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	d_r->day = day - (153 * month + 2) / 5 + 1;
	d_r->month = month < 10 ? month + 3 : month - 9;
	d_r->year = (unsigned)(era * 400) + year + (d_r->month <= 2);
}

/* What does not fit into four digits of a year is shown as the last that does.
 */
static void
date_of(int64_t real_ms, struct date *d_r)
{
	const int64_t last_ms = INT64_C(253402300799999);
	unsigned ms;

	if (real_ms < 0)
		real_ms = 0;
	if (real_ms > last_ms)
		real_ms = last_ms;
	date_of_days(real_ms / MS_PER_DAY, d_r);
	ms = (unsigned)(real_ms % MS_PER_DAY);
	d_r->ms = ms % 1000;
	d_r->second = ms / 1000 % 60;
	d_r->minute = ms / 60000 % 60;
	d_r->hour = ms / 3600000;
}

static char *
put_digits(char *out, unsigned n, int n_digits)
{
	int i;

	for (i = n_digits - 1; i >= 0; i--) {
		out[i] = (char)('0' + n % 10);
		n /= 10;
	}
	return (out + n_digits);
}

static char *
put_str(char *out, const char *s)
{
	while (*s != '\0')
		*out++ = *s++;
	return (out);
}

static char *
put_time(char *out, const struct date *d)
{
	out = put_digits(out, d->hour, 2);
	*out++ = ':';
	out = put_digits(out, d->minute, 2);
	*out++ = ':';
	return (put_digits(out, d->second, 2));
}

const char *
clock_iso(int64_t real_ms, char out[CLOCK_ISO_BYTES])
{
	struct date d;
	char *p = out;

	date_of(real_ms, &d);
	p = put_digits(p, d.year, 4);
	*p++ = '-';
	p = put_digits(p, d.month, 2);
	*p++ = '-';
	p = put_digits(p, d.day, 2);
	*p++ = 'T';
	p = put_time(p, &d);
	*p++ = '.';
	p = put_digits(p, d.ms, 3);
	*p++ = 'Z';
	*p = '\0';
	return (out);
}

/* IMF-fixdate = day-name "," SP date1 SP time-of-day SP GMT */
const char *
clock_http(int64_t real_ms, char out[CLOCK_HTTP_BYTES])
{
	static const char weekdays[7][6] = { "Sun, ", "Mon, ", "Tue, ", "Wed, ",
		"Thu, ", "Fri, ", "Sat, " };
	static const char months[12][6] = { " Jan ", " Feb ", " Mar ", " Apr ",
		" May ", " Jun ", " Jul ", " Aug ", " Sep ", " Oct ", " Nov ",
		" Dec " };
	struct date d;
	char *p = out;

	date_of(real_ms, &d);
	p = put_str(p, weekdays[d.weekday]);
	p = put_digits(p, d.day, 2);
	p = put_str(p, months[d.month - 1]);
	p = put_digits(p, d.year, 4);
	*p++ = ' ';
	p = put_time(p, &d);
	p = put_str(p, " GMT");
	*p = '\0';
	return (out);
}
