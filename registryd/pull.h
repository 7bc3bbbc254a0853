#ifndef REGISTRYD_PULL_H
#define REGISTRYD_PULL_H

#include "base/digest.h"
#include "base/name.h"
#include "mirror/upstream.h"
#include "registryd/call.h"
#include "storage/blob_file.h"

/*
 * What handlers that read images do about the pull through cache.  Each asks,
 * with what it has found in the store; the answer is RC_OK (go on with that;
 * it may be stale, and then a Warning header was set), RC_AWAIT (return it: the
 * handler runs again when the upstream has answered), or RC_FAILED with the
 * error recorded.  Worker or loop (RC_WOULDBLOCK: on a worker).
 *
 * What was asked once is not asked again by the same call, so that a handler
 * may go through all it needs each time that it runs.
 */

/**
 * pull_route(c): ?ns=: c->repository becomes the one that keeps what ${name} is
 * in that registry, and the answer gets OCI-Namespace.  RC_OK also without it,
 * or when it names this server; RC_FAILED: NAME_UNKNOWN, no rule keeps that
 * registry, or what authorization says to who may not pull that name anyway.
 * Before authorization, once or again.
 */
RC_MUST_USE enum rc pull_route(struct call *);

/** pull_manifest(c, ref, found): ${found}: what ${ref} is here, NULL: nothing.
 * RC_OK with ${found} NULL: there is no rule, or the upstream has none. */
RC_MUST_USE enum rc pull_manifest(
    struct call *, const struct reference *, const struct digest *found);

/** pull_referrers(c, subject). */
RC_MUST_USE enum rc pull_referrers(struct call *, const struct digest *);

/** pull_hit(c): a blob of the repository was here; for the figures. */
void pull_hit(struct call *);

/* A blob that is on its way. */
struct pull_body {
	uint64_t size_bytes;
	struct blob_file file;		  /* to read it by, the caller's */
	const struct http_follow *follow; /* of the answer's body, if it gets
					     one */
};

/**
 * pull_blob(c, d, body_r): it is not in the repository.  RC_OK: it is on its
 * way, and the answer's body may be ${body_r}; RC_EXISTS: it came, look once
 * more; RC_NOTFOUND: no rule, no repository, or the upstream has none.
 */
RC_MUST_USE enum rc
pull_blob(struct call *, const struct digest *, struct pull_body *body_r);

/** pull_blob_size(c, d, size_r): the same for who needs no more than to know
 * that it is on its way: HEAD, a URL.  RC_NOTFOUND also when no image of the
 * repository names it: who asks for that is about to push it, and what an
 * upstream says of it is no matter to him. */
RC_MUST_USE enum rc
pull_blob_size(struct call *, const struct digest *, uint64_t *size_r);

/** pull_blob_ends(c, digests, n): what is pushed refers to these, which are not
 * in the repository.  RC_AWAIT: one is on its way, as who pushes was told by
 * HEAD; RC_NOTFOUND: none is.  Worker. */
RC_MUST_USE enum rc
pull_blob_ends(struct call *, const struct digest *, size_t n);

/** pull_refusal(c, why_r): when one of these came to RC_FAILED because of the
 * upstream: the code of mirror/upstream.h, and what it says of it; RC_OK: the
 * reason was another. */
enum rc pull_refusal(const struct call *, const char **why_r);

#endif
