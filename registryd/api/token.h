#ifndef API_TOKEN_H
#define API_TOKEN_H

#include "registryd/call.h"

/*
 * The token endpoint of the distribution project ("Token Authentication
 * Specification", and its OAuth2 form), for clients that were answered with a
 * Bearer challenge.
 */

/**
 * token_get(c): GET /token?service=&scope=&account=&offline_token=:
 * Credentials by Basic, or none for what policies give to everybody.  The
 * token holds those of the asked scopes that the principal may use; 401 for
 * wrong credentials.
 */
RC_MUST_USE enum rc token_get(struct call *);

/** token_post(c): POST /token, a form with grant_type=password or
 * refresh_token. */
RC_MUST_USE enum rc token_post(struct call *);

/** token_post_begin(c): is there room for one more form? */
RC_MUST_USE enum rc token_post_begin(struct call *);

/** token_body_max(c): of the form. */
uint64_t token_body_max(const struct call *);

#endif
