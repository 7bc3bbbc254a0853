#ifndef NET_DEADLINE_H
#define NET_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registryd/net/loop.h"

/*
 * Time-outs of one loop.  There are few kinds of them and all of one kind
 * wait equally long, so each kind is a list in the order of expiry: setting,
 * moving and removing one is O(1), and one timer serves them all.  A kind's
 * length may change at any time and holds for those that wait already.
 * Precision: about 10 ms.  Loop thread only.
 */
struct deadline {
	struct deadline *next, *prev; /* NULL when not set */
	int64_t since_ns;
	unsigned kind;
};

struct deadlines;
typedef void deadline_fn(struct deadline *, void *arg);

#define DEADLINE_KINDS_MAX 8

/** deadlines_new(l): no kind waits yet. */
struct deadlines *deadlines_new(struct loop *);
void deadlines_free(struct deadlines **);

/** deadlines_kind(ds, kind, ms, fn, arg): expired ones of ${kind} are removed
 * and given to ${fn}; ${ms} 0 or less: they never expire. */
void deadlines_kind(
    struct deadlines *, unsigned kind, int64_t ms, deadline_fn *fn, void *arg);

/** deadline_set(ds, d, kind): from now on, whatever it was before. */
void deadline_set(struct deadlines *, struct deadline *, unsigned kind);

/** deadline_clear(d): fine when not set. */
void deadline_clear(struct deadline *);

static inline bool
deadline_is_set(const struct deadline *d, unsigned kind)
{
	return (d->next != NULL && d->kind == kind);
}

/** deadlines_expire(ds, kind): all of that kind now, early as they are. */
void deadlines_expire(struct deadlines *, unsigned kind);

/** deadlines_any(ds, kind): is one waiting? */
bool deadlines_any(const struct deadlines *, unsigned kind);

#endif
