#include "registryd/http/token.h"

/* clang-format off */
const bool token_chars[256] = {
	[0x20] =
	/* 20 */ 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0,
	/* 30 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
	/* 40 */ 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	/* 50 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
	/* 60 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	/* 70 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
};
/* clang-format on */

bool
token_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (!token_char(s.p[i]))
			return (false);
	}
	return (s.n > 0);
}

int
token_hex(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

/* Bytes up to the next comma outside of quotes. */
static size_t
element_length(struct span s)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == '\\' && quoted)
			i++;
		else if (s.p[i] == ',' && !quoted)
			break;
	}
	return (i < s.n ? i : s.n);
}

bool
token_list(struct span *rest, struct span *part_r)
{
	size_t n;

	while (rest->n > 0) {
		n = element_length(*rest);
		*part_r = span_trim((struct span){ rest->p, n });
		if (n < rest->n)
			n++;
		rest->p += n;
		rest->n -= n;
		if (part_r->n > 0)
			return (true);
	}
	return (false);
}
