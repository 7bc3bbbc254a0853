#include "base/num.h"

#include "base/obj.h"

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

/* *${n_r} = *${n_r} * ${base} + ${digit}; false once it exceeds ${max}. */
static bool
grow(uint64_t *n_r, uint64_t base, uint64_t digit, uint64_t max)
{
	uint64_t n;

	if (__builtin_mul_overflow(*n_r, base, &n))
		return (false);
	if (__builtin_add_overflow(n, digit, &n) || n > max)
		return (false);
	*n_r = n;
	return (true);
}

/* Malformed wins over too big, so the whole span is looked at. */
enum rc
num_u64_zeros(struct span s, uint64_t max, uint64_t *n_r)
{
	bool fits = true;
	uint64_t n = 0;
	size_t i;

	if (s.n == 0)
		return (RC_INVALID);
	for (i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]))
			return (RC_INVALID);
		fits = fits && grow(&n, 10, (uint64_t)(s.p[i] - '0'), max);
	}
	if (!fits)
		return (RC_RANGE);
	*n_r = n;
	return (RC_OK);
}

enum rc
num_u64(struct span s, uint64_t max, uint64_t *n_r)
{
	if (s.n > 1 && s.p[0] == '0')
		return (RC_INVALID);
	return (num_u64_zeros(s, max, n_r));
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

enum rc
num_hex_u64(struct span s, uint64_t max, uint64_t *n_r)
{
	bool fits = true;
	uint64_t n = 0;
	size_t i;
	int v;

	if (s.n == 0)
		return (RC_INVALID);
	for (i = 0; i < s.n; i++) {
		v = hex_value(s.p[i]);
		if (v < 0)
			return (RC_INVALID);
		fits = fits && grow(&n, 16, (uint64_t)v, max);
	}
	if (!fits)
		return (RC_RANGE);
	*n_r = n;
	return (RC_OK);
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* 1*DIGIT and the name of one of the units, which may be empty. */
static enum rc
num_with_unit(struct span s, const struct unit *units, size_t n_units,
    uint64_t max, uint64_t *n_r)
{
	struct span name = s;
	uint64_t n;
	enum rc rc;
	size_t i;

	while (name.n > 0 && is_digit(name.p[0])) {
		name.p++;
		name.n--;
	}
	for (i = 0; i < n_units; i++)
		if (span_is(name, units[i].name))
			break;
	if (i == n_units)
		return (RC_INVALID);
	s.n -= name.n;
	if ((rc = num_u64(s, UINT64_MAX, &n)) != RC_OK)
		return (rc);
	if (n > max / units[i].factor)
		return (RC_RANGE);
	*n_r = n * units[i].factor;
	return (RC_OK);
}

enum rc
num_duration_ms(struct span s, int64_t *ms_r)
{
	static const struct unit units[] = {
		{ "ms", 1 },
		{ "s", 1000 },
		{ "m", UINT64_C(60) * 1000 },
		{ "h", UINT64_C(60) * 60 * 1000 },
		{ "d", UINT64_C(24) * 60 * 60 * 1000 },
	};
	uint64_t ms = 0;
	enum rc rc;

	/* Nothing is nothing in any unit; all else needs one. */
	if (!span_is(s, "0")) {
		rc = num_with_unit(s, units, ARRAY_LEN(units), INT64_MAX, &ms);
		if (rc != RC_OK)
			return (rc);
	}
	*ms_r = (int64_t)ms;
	return (RC_OK);
}

enum rc
num_size_bytes(struct span s, uint64_t *n_r)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "KiB", (uint64_t)1 << 10 },
		{ "MiB", (uint64_t)1 << 20 },
		{ "GiB", (uint64_t)1 << 30 },
		{ "TiB", (uint64_t)1 << 40 },
	};

	return (num_with_unit(s, units, ARRAY_LEN(units), UINT64_MAX, n_r));
}

enum rc
num_bool(struct span s, bool *b_r)
{
	if (span_is(s, "true"))
		*b_r = true;
	else if (span_is(s, "false"))
		*b_r = false;
	else
		return (RC_INVALID);
	return (RC_OK);
}
