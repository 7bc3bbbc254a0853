#ifndef NET_CAPS_H
#define NET_CAPS_H

#include "base/rc.h"
#include "registryd/net/addr.h"

/*
 * How many connections each address has.  IPv6 counts by the /64, because one
 * client has that many addresses.  Any thread.
 */
struct caps;

struct caps *caps_new(void);
/** caps_free(c): everybody has left.  Takes NULL. */
void caps_free(struct caps **);

/** caps_enter(c, addr, max): RC_LIMIT: ${max} are there already. */
RC_MUST_USE enum rc
caps_enter(struct caps *, const struct addr *, unsigned max);
/** caps_leave(c, addr): after RC_OK, once. */
void caps_leave(struct caps *, const struct addr *);

#endif
