#ifndef REGISTRYD_IDENTIFY_H
#define REGISTRYD_IDENTIFY_H

#include "registryd/call.h"

/*
 * Who asks?  Sets c->who and c->principal, and c->directory, the view of users
 * and policies that the call keeps to its end.
 *
 *	`auth: none`		everybody may do everything
 *	control socket		the local administrator
 *	Authorization: Basic	AWS and a login token; or user and password
 *	Authorization: Bearer	a token of /token, which limits to its scopes
 *	client certificate	its subject's user
 *	nothing			anonymous
 *
 * On POST / a signature says it (identify_signature), when the body is here;
 * through the control socket there is none to look at.
 */

/**
 * identify_call(c):
 * RC_OK; RC_WOULDBLOCK: a password has to be hashed: again on a worker with
 * c->may_block; RC_FAILED: the credentials are wrong, expired, or too many
 * were: recorded, with challenge.
 */
RC_MUST_USE enum rc identify_call(struct call *);

/** identify_sender(c): sets c->expires_ms (of a token, else 0) and
 * c->password_mark (of a password, else zeros) too; the same where the route leaves it to the handler
 * (ACCESS_SELF): header or certificate. */
RC_MUST_USE enum rc identify_sender(struct call *);

/** identify_stale(c): has the directory changed since the call took it?  Then
 * the call has the new one; c->who is still of the old one. */
bool identify_stale(struct call *);

/**
 * identify_still(c):
 * After a body that took its time: is c->who still there, its key active, its
 * password the same and its token not revoked?  c->who is of the new directory
 * then.  RC_FAILED, recorded.
 */
RC_MUST_USE enum rc identify_still(struct call *);

/**
 * identify_claim(c): before the body of a POST / is taken: does its head claim
 * a signature by a key that there is?  Strangers' bodies cost no memory.
 * RC_FAILED with an AWS error.  Loop.
 */
RC_MUST_USE enum rc identify_claim(struct call *);

/**
 * identify_signature(c, service):
 * By Signature Version 4 over the request and its body (c->body, or what
 * c->body_hash says of a streamed one), scoped to ${service} ("ecr", "sts").  Sets c->region to the signed one and
 * c->expires_ms to the end of temporary credentials, else INT64_MAX.  Worker.  RC_FAILED with
 * an AWS error.
 */
RC_MUST_USE enum rc identify_signature(struct call *, const char *service);

/**
 * identify_password(c, user, password, principal_r, mark_r):
 * User and password out of a body (the token endpoint).  Worker.  RC_DENIED:
 * wrong; RC_FAILED: too many were, recorded.  ${user} "AWS": ${password} is a
 * login token.  *${expires_ms_r}: of that token, INT64_MAX of a password.
 */
RC_MUST_USE enum rc identify_password(struct call *, struct span user,
    struct span password, const struct principal **principal_r,
    uint8_t mark_r[16], int64_t *expires_ms_r);

/** identify_challenge(c, error): WWW-Authenticate as configured; ${error} NULL
 * or "invalid_token", "insufficient_scope". */
void identify_challenge(struct call *, const char *error);

/** identify_base_url(c): "https://HOST[:PORT]" under which the client knows
 * us: external-url, or the request's own host with the scheme it came by. */
const char *identify_base_url(struct call *);

#endif
