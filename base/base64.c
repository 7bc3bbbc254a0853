#include "base/hex.h"

/*
 * RFC 4648 sections 4 and 5, read as strictly as they can be: one text for
 * each sequence of bytes.  The two differ in the last two characters of the
 * alphabet and in whether the end is padded.
 */
static const char standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The one or two bytes behind the last group of three. */
static char *
tail_encode(const char *alphabet, const uint8_t *p, size_t n, char *out)
{
	uint32_t group = (uint32_t)p[0] << 16;

	if (n == 2)
		group |= (uint32_t)p[1] << 8;
	*out++ = alphabet[group >> 18];
	*out++ = alphabet[group >> 12 & 63];
	if (n == 2)
		*out++ = alphabet[group >> 6 & 63];
	return (out);
}

static char *
encode(const char *alphabet, const uint8_t *p, size_t n, char *out)
{
	uint32_t group;

	for (; n >= 3; n -= 3, p += 3) {
		group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[group >> 12 & 63];
		*out++ = alphabet[group >> 6 & 63];
		*out++ = alphabet[group & 63];
	}
	return (n > 0 ? tail_encode(alphabet, p, n, out) : out);
}

void
base64_encode(const uint8_t *p, size_t n, char *out)
{
	size_t n_pad = (3 - n % 3) % 3;

	out = encode(standard, p, n, out);
	while (n_pad-- > 0)
		*out++ = '=';
	*out = '\0';
}

void
base64url_encode(const uint8_t *p, size_t n, char *out)
{
	*encode(url_safe, p, n, out) = '\0';
}

/*
 * What a character stands for, plus one, so that 0 is what is not in the
 * alphabet.  Both alphabets but for their last two characters.
 */
#define LETTERS(first, v) \
	[first] = v, [first + 1] = v + 1, [first + 2] = v + 2, \
	[first + 3] = v + 3, [first + 4] = v + 4, [first + 5] = v + 5, \
	[first + 6] = v + 6, [first + 7] = v + 7, [first + 8] = v + 8, \
	[first + 9] = v + 9, [first + 10] = v + 10, [first + 11] = v + 11, \
	[first + 12] = v + 12
static const uint8_t values[256] = {
	LETTERS('A', 1),
	LETTERS('N', 14),
	LETTERS('a', 27),
	LETTERS('n', 40),
	['0'] = 53,
	['1'] = 54,
	['2'] = 55,
	['3'] = 56,
	['4'] = 57,
	['5'] = 58,
	['6'] = 59,
	['7'] = 60,
	['8'] = 61,
	['9'] = 62,
};

/* 64 and above for what is not in the alphabet. */
static uint32_t
value_of(const char *alphabet, char c)
{
	uint8_t v = values[(unsigned char)c];

	if (v > 0)
		return (v - 1u);
	if (c == alphabet[62])
		return (62);
	return (c == alphabet[63] ? 63 : 64);
}

/*
 * Decode the ${n} characters at ${p}, two to four of them, to one byte less.
 * The bits that are left over must be zero.
 */
static enum rc
quad_decode(const char *alphabet, const char *p, size_t n, uint8_t *out)
{
	uint32_t v, group = 0;
	size_t i;

	for (i = 0; i < 4; i++) {
		v = i < n ? value_of(alphabet, p[i]) : 0;
		if (v > 63)
			return (RC_INVALID);
		group = group << 6 | v;
	}
	if ((group & ((1u << (8 * (4 - n))) - 1)) != 0)
		return (RC_INVALID);
	for (i = 0; i + 1 < n; i++)
		out[i] = (uint8_t)(group >> (16 - 8 * i));
	return (RC_OK);
}

static enum rc
decode(const char *alphabet, struct span s, uint8_t *out, size_t *n_r)
{
	size_t at, n;
	enum rc rc;

	*n_r = 0;
	if (s.n % 4 == 1)
		return (RC_INVALID);
	for (at = 0; at < s.n; at += n) {
		n = s.n - at < 4 ? s.n - at : 4;
		rc = quad_decode(alphabet, s.p + at, n, out + at / 4 * 3);
		if (rc != RC_OK)
			return (rc);
	}
	*n_r = s.n / 4 * 3 + (s.n % 4 > 0 ? s.n % 4 - 1 : 0);
	return (RC_OK);
}

enum rc
base64_decode(struct span s, uint8_t *out, size_t *n_r)
{
	*n_r = 0;
	if (s.n % 4 != 0)
		return (RC_INVALID);
	if (s.n > 0 && s.p[s.n - 1] == '=')
		s.n -= s.p[s.n - 2] == '=' ? 2 : 1;
	return (decode(standard, s, out, n_r));
}

enum rc
base64url_decode(struct span s, uint8_t *out, size_t *n_r)
{
	return (decode(url_safe, s, out, n_r));
}
