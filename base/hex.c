#include "base/hex.h"

static const char hex_digits[] = "0123456789abcdef";

void
hex_encode(const uint8_t *p, size_t n, char *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		*out++ = hex_digits[p[i] >> 4];
		*out++ = hex_digits[p[i] & 15];
	}
	*out = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	return (-1);
}

enum rc
hex_decode(struct span s, uint8_t *out, size_t n)
{
	int high, low;
	size_t i;

	if (s.n % 2 != 0 || s.n / 2 != n)
		return (RC_INVALID);
	for (i = 0; i < n; i++) {
		high = hex_value(s.p[2 * i]);
		low = hex_value(s.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return (RC_INVALID);
		out[i] = (uint8_t)(high << 4 | low);
	}
	return (RC_OK);
}
