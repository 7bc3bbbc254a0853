#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * Addresses of peers, without ports.  An IPv4 address that arrives mapped
 * into IPv6 is the IPv4 address.
 */
enum addr_kind { ADDR_UNIX, ADDR_V4, ADDR_V6 };

struct addr {
	uint8_t kind;	   /* enum addr_kind */
	uint8_t bytes[16]; /* unused tail is zero */
};

/* INET6_ADDRSTRLEN. */
#define ADDR_TEXT_BYTES 46

/** addr_of(sa): of a socket address of any of the three families. */
struct addr addr_of(const struct sockaddr *);

/** addr_text(a, out): "10.0.0.1", "::1", "unix"; returns ${out}. */
const char *addr_text(const struct addr *, char out[ADDR_TEXT_BYTES]);

/** addr_parse(s, a_r): the inverse; RC_INVALID. */
RC_MUST_USE enum rc addr_parse(struct span, struct addr *a_r);

bool addr_eq(const struct addr *, const struct addr *);

/* A network: the addresses that begin with so many bits. */
struct cidr {
	struct addr addr;
	unsigned bits;
};

/** cidr_parse(s, c_r): "10.0.0.0/8", "::1", "unix"; bits behind the prefix
 * must be zero.  RC_INVALID. */
RC_MUST_USE enum rc cidr_parse(struct span, struct cidr *c_r);

bool cidr_has(const struct cidr *, const struct addr *);

#endif
