#include "base/utf8_int.h"

#include <stdbool.h>

/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 */

/*
 * UTF8-2 = %xC2-DF UTF8-tail
 * UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *          %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 * UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) /
 *          %xF4 %x80-8F 2( UTF8-tail )
 */
static const struct lead {
	unsigned char from, to;	 /* the first byte */
	unsigned char low, high; /* the second one */
	unsigned char len;
} leads[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool
tail_ok(const struct lead *l, const unsigned char *u, size_t n)
{
	size_t i;

	if (n < l->len || u[1] < l->low || u[1] > l->high)
		return (false);
	for (i = 2; i < l->len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return (false);
	return (true);
}

size_t
utf8_len(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t i;

	if (u[0] < 0x80)
		return (1);
	for (i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
		if (u[0] >= leads[i].from && u[0] <= leads[i].to)
			return (tail_ok(&leads[i], u, n) ? leads[i].len : 0);
	return (0);
}
