#ifndef REGISTRYD_PULL_INT_H
#define REGISTRYD_PULL_INT_H

#include "mirror/cache.h"
#include "registryd/cache_rules.h"
#include "registryd/pull.h"

/* What is asked of an upstream for a call, and what came of it. */

/* A manifest, or a list of referrers. */
struct pull_asked {
	struct pull_asked *next;
	bool referrers;
	struct reference ref;
	bool has_known;
	struct digest known;
	struct cache_ask ask;
	struct cache_ticket *ticket;
	struct cache_result *result; /* NULL: it was not looked at yet */
	bool stale;		     /* counted as such */
};

struct pull {
	/* ?ns= */
	bool routed;

	struct pull_asked *asked; /* the newest first */

	/* A blob. */
	struct digest digest;
	struct fill *fill; /* or NULL */
	enum fill_wish wish;
	struct fill_waiter waiter;
	struct http_follow follow;

	/* Of an upstream's refusal. */
	enum rc refused;
	const char *why;
};

/** pull_of(c): made when it is not there; NULL: no memory. */
struct pull *pull_of(struct call *);

/** pull_begin(c): is there a cache, and are there rules?  No refusal of before
 * counts any more. */
bool pull_begin(struct call *);

/**
 * pull_ask(c, here, ask_r): what is to be asked for something of c->repository,
 * but for .create.  RC_NOTFOUND: nothing, by the rules, or because who asks may
 * not and it is ${here}; RC_FAILED: may not, and told.
 */
RC_MUST_USE enum rc pull_ask(struct call *, bool here, struct cache_ask *ask_r);

/** pull_refuse(c, rc, error): an answer of codes of mirror/upstream.h. */
RC_MUST_USE enum rc
pull_refuse(struct call *, enum rc, const struct upstream_error *);

#endif
