#include <arpa/inet.h>
#include <string.h>

#include "auth/policy_int.h"
#include "base/num.h"

/*
 * The types that condition operators compare: numbers, dates, addresses.
 */

/* --- numbers ------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

static size_t
digits(struct span s)
{
	size_t n = 0;

	while (n < s.n && is_digit(s.p[n]))
		n++;
	return (n);
}

static void
cut(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

/* Without rounding, hence without a float: digits are compared as they are. */
bool
policy_number_read(struct span s, struct policy_number *n_r)
{
	struct policy_number n = { 0 };

	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
		n.negative = s.p[0] == '-';
		cut(&s, 1);
	}
	n.whole = (struct span){ s.p, digits(s) };
	if (n.whole.n == 0)
		return (false);
	cut(&s, n.whole.n);
	if (s.n > 0 && s.p[0] == '.') {
		cut(&s, 1);
		n.fraction = (struct span){ s.p, digits(s) };
		if (n.fraction.n == 0)
			return (false);
		cut(&s, n.fraction.n);
	}
	while (n.whole.n > 0 && n.whole.p[0] == '0')
		cut(&n.whole, 1);
	while (n.fraction.n > 0 && n.fraction.p[n.fraction.n - 1] == '0')
		n.fraction.n--;
	if (n.whole.n == 0 && n.fraction.n == 0)
		n.negative = false;
	*n_r = n;
	return (s.n == 0);
}

int
policy_number_cmp(const struct policy_number *a, const struct policy_number *b)
{
	int d;

	if (a->negative != b->negative)
		return (a->negative ? -1 : 1);
	d = (a->whole.n > b->whole.n) - (a->whole.n < b->whole.n);
	if (d == 0)
		d = span_cmp(a->whole, b->whole);
	if (d == 0)
		d = span_cmp(a->fraction, b->fraction);
	return (a->negative ? -d : d);
}

/* --- dates --------------------------------------------------------------- */

#define MS_PER_DAY ((int64_t)24 * 60 * 60 * 1000)
#define MS_PER_MINUTE ((int64_t)60 * 1000)

/* Exactly ${n} digits, at most ${max}. */
static bool
take_number(struct span *s, size_t n, uint64_t max, int64_t *n_r)
{
	uint64_t value;

	if (s->n < n ||
	    num_u64_zeros((struct span){ s->p, n }, max, &value) != RC_OK)
		return (false);
	cut(s, n);
	*n_r = (int64_t)value;
	return (true);
}

static bool
take_char(struct span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return (false);
	cut(s, 1);
	return (true);
}

static int64_t
days_of_month(int64_t year, int64_t month)
{
	static const int64_t of[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return (of[month - 1] + (month == 2 && leap));
}

/* Days from 1970-01-01; before March belongs to the year before, so that the
 * leap day is the last of one. */
static int64_t
days_of_date(int64_t year, int64_t month, int64_t day)
{
	int64_t m = month > 2 ? month - 3 : month + 9;
	int64_t y = month > 2 ? year : year - 1;

	/* Year 0000 begins in "-0001": shifted by one era of 400 years. */
	y += 400;
	return (365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day -
		1 - 719468 - 146097);
}

/* date = 4DIGIT "-" 2DIGIT "-" 2DIGIT */
static bool
take_date(struct span *s, int64_t *ms_r)
{
	int64_t year, month, day;

	if (!take_number(s, 4, 9999, &year) || !take_char(s, '-') ||
	    !take_number(s, 2, 12, &month) || !take_char(s, '-') ||
	    !take_number(s, 2, 31, &day))
		return (false);
	if (month == 0 || day == 0 || day > days_of_month(year, month))
		return (false);
	*ms_r = days_of_date(year, month, day) * MS_PER_DAY;
	return (true);
}

/* fraction = "." 1*DIGIT; what is below a millisecond is cut off. */
static bool
take_fraction(struct span *s, int64_t *ms_r)
{
	int64_t unit = 100;
	size_t n, i;

	if (!take_char(s, '.'))
		return (true);
	if ((n = digits(*s)) == 0)
		return (false);
	for (i = 0; i < n; i++, unit /= 10)
		*ms_r += unit * (s->p[i] - '0');
	cut(s, n);
	return (true);
}

/* time = 2DIGIT ":" 2DIGIT [ ":" 2DIGIT [ fraction ] ] */
static bool
take_time(struct span *s, int64_t *ms_r)
{
	int64_t hour, minute, second = 0;

	if (!take_number(s, 2, 23, &hour) || !take_char(s, ':') ||
	    !take_number(s, 2, 59, &minute))
		return (false);
	if (take_char(s, ':') &&
	    (!take_number(s, 2, 60, &second) || !take_fraction(s, ms_r)))
		return (false);
	*ms_r += ((hour * 60 + minute) * 60 + second) * 1000;
	return (true);
}

/* zone = "Z" / ( "+" / "-" ) 2DIGIT [ ":" ] 2DIGIT */
static bool
take_zone(struct span *s, int64_t *ms_r)
{
	int64_t hours, minutes;
	bool east;

	if (take_char(s, 'Z') || take_char(s, 'z'))
		return (true);
	east = take_char(s, '+');
	if (!east && !take_char(s, '-'))
		return (false);
	if (!take_number(s, 2, 23, &hours))
		return (false);
	(void)take_char(s, ':');
	if (!take_number(s, 2, 59, &minutes))
		return (false);
	minutes += hours * 60;
	*ms_r += (east ? -minutes : minutes) * MS_PER_MINUTE;
	return (true);
}

bool
policy_date_read(struct span s, int64_t *ms_r)
{
	uint64_t seconds;

	*ms_r = 0;
	if (s.n > 0 && digits(s) == s.n) {
		if (num_u64_zeros(s, INT64_MAX / 1000, &seconds) != RC_OK)
			return (false);
		*ms_r = (int64_t)seconds * 1000;
		return (true);
	}
	if (!take_date(&s, ms_r))
		return (false);
	if (s.n == 0)
		return (true);
	if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' '))
		return (false);
	return (take_time(&s, ms_r) && take_zone(&s, ms_r) && s.n == 0);
}

/* --- addresses ----------------------------------------------------------- */

static const uint8_t v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	0xff };

static bool
address_read(struct span s, struct policy_network *net)
{
	char text[INET6_ADDRSTRLEN];
	const char *zone;

	/* fe80::1%eth0: the zone is this machine's affair. */
	if (s.n > 0 && (zone = memchr(s.p, '%', s.n)) != NULL)
		s.n = (size_t)(zone - s.p);
	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return (false);
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (memchr(s.p, ':', s.n) == NULL) {
		memcpy(net->address, v4_mapped, sizeof(v4_mapped));
		net->v6 = false;
		return (inet_pton(AF_INET, text, net->address + 12) == 1);
	}
	if (inet_pton(AF_INET6, text, net->address) != 1)
		return (false);
	net->v6 = memcmp(net->address, v4_mapped, sizeof(v4_mapped)) != 0;
	return (true);
}

bool
policy_network_read(struct span s, struct policy_network *net_r)
{
	const char *slash = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;
	struct span bits = SPAN_NONE;
	bool colon;
	uint64_t n;

	if (slash != NULL) {
		bits =
		    (struct span){ slash + 1, s.n - (size_t)(slash + 1 - s.p) };
		s.n = (size_t)(slash - s.p);
	}
	if (!address_read(s, net_r))
		return (false);
	net_r->prefix_bits = 128;
	if (slash == NULL)
		return (true);
	colon = memchr(s.p, ':', s.n) != NULL;
	if (num_u64(bits, colon ? 128 : 32, &n) != RC_OK)
		return (false);
	net_r->prefix_bits = (unsigned)n + (colon ? 0 : 96);
	/* ::ffff:0:0/90 and its like: more than the IPv4 addresses. */
	net_r->v6 = net_r->v6 || net_r->prefix_bits < 96;
	return (true);
}

/* Nothing of IPv6 holds an IPv4 address: 0.0.0.0/0 and ::/0 are two ranges. */
bool
policy_network_has(
    const struct policy_network *net, const struct policy_network *address)
{
	unsigned whole = net->prefix_bits / 8, rest = net->prefix_bits % 8;
	unsigned differ;

	if (net->v6 != address->v6)
		return (false);
	if (memcmp(net->address, address->address, whole) != 0)
		return (false);
	if (rest == 0)
		return (true);
	differ = (unsigned)(net->address[whole] ^ address->address[whole]);
	return (differ >> (8 - rest) == 0);
}

/* --- truth --------------------------------------------------------------- */

bool
policy_bool_read(struct span s, bool *b_r)
{
	*b_r = span_eq_nocase(s, SPAN("true"));
	return (*b_r || span_eq_nocase(s, SPAN("false")));
}
