#ifndef REGISTRYD_IDENTIFY_INT_H
#define REGISTRYD_IDENTIFY_INT_H

#include "auth/principal.h"
#include "auth/token.h"
#include "registryd/call.h"

/*
 * What the ways of saying who one is share: identify.c (headers, passwords,
 * certificates) and identify_signature.c.
 */

/* With `auth: none`. */
extern const struct principal identify_everybody;

/** identify_as(c, who): RC_OK. */
enum rc identify_as(struct call *, const struct principal *who);

#define IDENTIFY_KIND(kind) (1u << (kind))

/**
 * identify_token(c, kinds, text, room, t_r, principal_r):
 * Open a token and find its principal.  RC_INVALID: not one of ours;
 * RC_DENIED: of a user or a key that is no more, or revoked; RC_TIMEOUT: it has
 * expired.
 */
RC_MUST_USE enum rc identify_token(struct call *, unsigned kinds,
    struct span text, struct token_room *, struct token *t_r,
    const struct principal **principal_r);

/** identify_guessed(c, name): a guess at ${name}, and it was wrong: RC_DENIED;
 * RC_FAILED: too many were, recorded. */
RC_MUST_USE enum rc identify_guessed(struct call *, struct span name);

/** identify_certificate(c, name): the user of a client certificate. */
RC_MUST_USE enum rc identify_certificate(struct call *, struct span name);

#endif
