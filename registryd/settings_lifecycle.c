#include "registryd/settings_int.h"

#include "base/num.h"

/* What goes, and when: policies, what was deleted, content nobody needs. */
#define KEY(name) setting_find(SPAN(name))

#define MINUTES_OF_HOUR 60u
#define HOURS_OF_DAY 24u
#define JITTER_PART 10 /* of the interval */

static enum rc
bad(struct settings_all *all, size_t key, char why[SETTINGS_WHY_BYTES])
{
	char allowed[SETTING_ALLOWED_BYTES];

	return (settings_bad(all, key, all->values[key].items[0], why,
	    "must be %s", setting_allowed(&setting_keys[key], allowed)));
}

/* --- the window ---------------------------------------------------------- */

/* 2DIGIT below ${end} */
static bool
two_digits(const char *p, unsigned end, unsigned *n_r)
{
	uint64_t n;

	if (num_u64_zeros((struct span){ p, 2 }, end - 1, &n) != RC_OK)
		return (false);
	*n_r = (unsigned)n;
	return (true);
}

/* HH ":" MM */
static bool
time_of_day(struct span s, unsigned *minutes_r)
{
	unsigned hours, minutes;

	if (s.n != sizeof("HH:MM") - 1 || s.p[2] != ':' ||
	    !two_digits(s.p, HOURS_OF_DAY, &hours) ||
	    !two_digits(s.p + 3, MINUTES_OF_HOUR, &minutes))
		return (false);
	*minutes_r = hours * MINUTES_OF_HOUR + minutes;
	return (true);
}

static enum rc
check_window(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	struct lifecycle_settings *l = &all->s.lifecycle;
	struct span rest = span_of(l->window), from;
	size_t key = KEY("lifecycle.window");

	if (rest.n == 0)
		return (RC_OK);
	if (!span_split(&rest, '-', &from) ||
	    !time_of_day(from, &l->window_from) ||
	    !time_of_day(rest, &l->window_to))
		return (bad(all, key, why));
	if (l->window_from == l->window_to)
		return (settings_bad(all, key, l->window, why,
		    "ends when it begins; leave it empty for the whole day"));
	l->windowed = true;
	return (RC_OK);
}

/* --- the rest ------------------------------------------------------------ */

static enum rc
check_jitter(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	struct lifecycle_settings *l = &all->s.lifecycle;

	if (l->jitter[0] == '\0') {
		l->jitter_ms = l->interval_ms / JITTER_PART;
		return (RC_OK);
	}
	if (num_duration_ms(span_of(l->jitter), &l->jitter_ms) != RC_OK ||
	    (l->jitter_ms > l->interval_ms && l->interval_ms > 0))
		return (bad(all, KEY("lifecycle.jitter"), why));
	return (RC_OK);
}

static void
warn_of_no_grace(struct settings_all *all)
{
	if (all->s.gc_grace_ms == 0)
		settings_warn(all,
		    "gc.grace is 0: what nobody needs is removed at once, and "
		    "pushes that go on meanwhile can fail");
}

static void
audit_log_settle(struct settings_all *all)
{
	struct settings *s = &all->s;

	if (s->audit_log[0] == '\0')
		s->audit_log =
		    arena_printf(&all->arena, "%s/audit.log", s->data);
}

enum rc
settings_check_lifecycle(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	enum rc rc;

	if ((rc = check_jitter(all, why)) != RC_OK ||
	    (rc = check_window(all, why)) != RC_OK)
		return (rc);
	warn_of_no_grace(all);
	audit_log_settle(all);
	return (RC_OK);
}
