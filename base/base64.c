#include "base/hex.h"

/*
 * RFC 4648 section 4, read as strictly as it can be: one text for each
 * sequence of bytes.
 */
static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(const uint8_t *p, size_t n, char *out)
{
	uint32_t group;

	for (; n >= 3; n -= 3, p += 3) {
		group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[group >> 12 & 63];
		*out++ = alphabet[group >> 6 & 63];
		*out++ = alphabet[group & 63];
	}
	if (n > 0) {
		group = (uint32_t)p[0] << 16;
		if (n == 2)
			group |= (uint32_t)p[1] << 8;
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[group >> 12 & 63];
		*out++ = n == 2 ? alphabet[group >> 6 & 63] : '=';
		*out++ = '=';
	}
	*out = '\0';
}

/* 64 and above for what is not in the alphabet. */
static uint32_t
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return ((uint32_t)(c - 'A'));
	if (c >= 'a' && c <= 'z')
		return ((uint32_t)(c - 'a') + 26);
	if (c >= '0' && c <= '9')
		return ((uint32_t)(c - '0') + 52);
	if (c == '+')
		return (62);
	return (c == '/' ? 63 : 64);
}

/*
 * Decode the four characters at ${p}, the last ${n_pad} of them padding.
 * The bits that padding leaves over must be zero.
 */
static enum rc
quad_decode(const char *p, size_t n_pad, uint8_t *out)
{
	uint32_t v, group = 0;
	size_t i;

	for (i = 0; i < 4; i++) {
		v = i < 4 - n_pad ? value_of(p[i]) : 0;
		if (v > 63)
			return (RC_INVALID);
		group = group << 6 | v;
	}
	if ((group & ((1u << (8 * n_pad)) - 1)) != 0)
		return (RC_INVALID);
	for (i = 0; i < 3 - n_pad; i++)
		out[i] = (uint8_t)(group >> (16 - 8 * i));
	return (RC_OK);
}

enum rc
base64_decode(struct span s, uint8_t *out, size_t *n_r)
{
	size_t at, n_pad = 0;
	enum rc rc;

	*n_r = 0;
	if (s.n % 4 != 0)
		return (RC_INVALID);
	if (s.n > 0 && s.p[s.n - 1] == '=')
		n_pad = s.p[s.n - 2] == '=' ? 2 : 1;
	for (at = 0; at + 4 < s.n; at += 4, out += 3)
		if ((rc = quad_decode(s.p + at, 0, out)) != RC_OK)
			return (rc);
	if (s.n > 0 && (rc = quad_decode(s.p + at, n_pad, out)) != RC_OK)
		return (rc);
	*n_r = s.n / 4 * 3 - n_pad;
	return (RC_OK);
}
