#include "registryd/net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static struct addr
addr_of_v6(const uint8_t bytes[16])
{
	struct addr a = { .kind = ADDR_V6 };

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		a.kind = ADDR_V4;
		memcpy(a.bytes, bytes + sizeof(mapped), 4);
	} else {
		memcpy(a.bytes, bytes, 16);
	}
	return (a);
}

struct addr
addr_of(const struct sockaddr *sa)
{
	struct addr a = { .kind = ADDR_UNIX };
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		a.kind = ADDR_V4;
		memcpy(a.bytes, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		a = addr_of_v6(in6.sin6_addr.s6_addr);
	}
	return (a);
}

const char *
addr_text(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	int family = a->kind == ADDR_V4 ? AF_INET : AF_INET6;

	if (a->kind == ADDR_UNIX ||
	    inet_ntop(family, a->bytes, out, ADDR_TEXT_BYTES) == NULL)
		(void)snprintf(out, ADDR_TEXT_BYTES, "unix");
	return (out);
}

enum rc
addr_parse(struct span s, struct addr *a_r)
{
	char text[ADDR_TEXT_BYTES];
	uint8_t bytes[16];

	*a_r = (struct addr){ .kind = ADDR_UNIX };
	if (span_is(s, "unix"))
		return (RC_OK);
	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return (RC_INVALID);
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, a_r->bytes) == 1) {
		a_r->kind = ADDR_V4;
		return (RC_OK);
	}
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return (RC_INVALID);
	*a_r = addr_of_v6(bytes);
	return (RC_OK);
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	return (a->kind == b->kind &&
		memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0);
}

static unsigned
addr_bits(const struct addr *a)
{
	switch ((enum addr_kind)a->kind) {
	case ADDR_V4:
		return (32);
	case ADDR_V6:
		return (128);
	case ADDR_UNIX:
		break;
	}
	return (0);
}

static unsigned
addr_bit(const struct addr *a, unsigned i)
{
	return (a->bytes[i / 8] >> (7 - i % 8) & 1u);
}

enum rc
cidr_parse(struct span s, struct cidr *c_r)
{
	struct span rest = s, address;
	uint64_t bits;
	unsigned i, max;

	if (!span_split(&rest, '/', &address) ||
	    addr_parse(address, &c_r->addr) != RC_OK)
		return (RC_INVALID);
	max = addr_bits(&c_r->addr);
	bits = max;
	if (address.n < s.n && num_u64(rest, max, &bits) != RC_OK)
		return (RC_INVALID);
	if (address.n < s.n && c_r->addr.kind == ADDR_UNIX)
		return (RC_INVALID);
	for (i = (unsigned)bits; i < max; i++) {
		if (addr_bit(&c_r->addr, i) != 0)
			return (RC_INVALID);
	}
	c_r->bits = (unsigned)bits;
	return (RC_OK);
}

bool
cidr_has(const struct cidr *c, const struct addr *a)
{
	unsigned whole = c->bits / 8, left = c->bits % 8;
	unsigned mask = 0xffu << (8 - left) & 0xffu;

	if (c->addr.kind != a->kind)
		return (false);
	if (memcmp(c->addr.bytes, a->bytes, whole) != 0)
		return (false);
	return (left == 0 ||
		((c->addr.bytes[whole] ^ a->bytes[whole]) & mask) == 0);
}
