#ifndef STORAGE_LEASE_H
#define STORAGE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"

/*
 * What was promised to clients about content, in memory: between a push, which
 * was told that a blob is there, and the collector, which would remove it.
 *
 * A lease (HEAD, a mount, an upload that has ended) says: for a grace time the
 * content and its links in all repositories stay as they are.  Leases need no
 * entry of their own: time is kept in a table of fixed size, into which the
 * digest is hashed, so however many are taken the memory is the same, and two
 * digests that meet in it only keep each other a little longer.
 *
 * A pin says: content of that digest is about to be given its place, or moved;
 * until it is taken out nobody removes a file of that digest.
 *
 * A claim is the collector's: it has looked, there was neither lease nor pin,
 * and until it gives the claim back none can be had.  Who wants one meanwhile
 * waits, or is told to come again from a worker.  Claims are held for the
 * time of a commit, never for that of copying content.
 *
 * Any thread.  After a start nobody knows what was promised before: the
 * collector waits for one whole grace (lease_settled).
 */
struct leases;

struct leases *leases_new(void);
void leases_free(struct leases **);

/** lease_grace_set(l, ms): of leases taken from now on; those that there are
 * keep theirs, unless the new one is longer.  0: there are no leases. */
void lease_grace_set(struct leases *, int64_t grace_ms);
int64_t lease_grace_ms(const struct leases *);

/** lease_settled(l, left_ms_r): has a whole grace passed since leases_new()?
 * Else *${left_ms_r} is what is left of it. */
bool lease_settled(const struct leases *, int64_t *left_ms_r);

/** lease_take(l, digest, wait): RC_WOULDBLOCK: it is claimed just now, and
 * ${wait} is false. */
RC_MUST_USE enum rc
lease_take(struct leases *, const struct digest *, bool wait);

/* The caller's until it is taken out. */
struct lease_pin {
	struct lease_pin *next, **prev;
	struct digest digest;
};

/** lease_pin(l, pin, digest): waits while it is claimed; several may have one.
 */
void lease_pin(struct leases *, struct lease_pin *, const struct digest *);
void lease_unpin(struct leases *, struct lease_pin *);

/** lease_claim(l, digest): false: leased or pinned, or claimed already. */
bool lease_claim(struct leases *, const struct digest *);
/** lease_claim_unpinned(l, digest): the same, but leases do not matter: for a
 * file that no record leads to. */
bool lease_claim_unpinned(struct leases *, const struct digest *);
void lease_give_back(struct leases *, const struct digest *);

/** lease_held(l, digest): is there a lease or a pin?  A look: it may be
 * otherwise by the time the answer is read. */
bool lease_held(struct leases *, const struct digest *);

#endif
