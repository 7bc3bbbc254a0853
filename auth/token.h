#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/keyring.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * Tokens: what the registry gives out and takes back without keeping it.  A
 * token is sealed (base/keyring.h) and written in base64url without padding:
 * nobody else can read or make one, it has no ':' in it, and it is short.
 * Whether its principal still exists, its access key is active and it was not
 * revoked is asked when it is used (directory.h), not here.
 */
enum token_kind {
	TOKEN_LOGIN = 1,   /* GetAuthorizationToken: the password of "AWS" */
	TOKEN_BEARER = 2,  /* /token: for the scopes in it */
	TOKEN_REFRESH = 3, /* /token, offline: makes bearer tokens */
	TOKEN_SESSION = 4, /* STS: X-Amz-Security-Token */
};

#define TOKEN_MAX_BYTES 2048 /* as text, that we take */
#define TOKEN_SCOPES_MAX_BYTES 900
#define TOKEN_NAME_MAX_BYTES 200 /* of a user; longer ones get no token */

struct token {
	enum token_kind kind;
	struct span account, user; /* empty user: anonymous (bearer only) */
	struct span access_key;	   /* by which it was got, or empty */
	int64_t issued_ms, expires_ms;
	struct span scopes; /* TOKEN_BEARER: "repository:team/app:pull,push"
			       separated by spaces, what was granted */
	struct span secret; /* TOKEN_SESSION: the temporary secret key */
	struct span session_key;   /* TOKEN_SESSION: its ASIA... id */
	uint8_t password_mark[16]; /* of the password that it was got with
				      (directory.h), else zeros */
};

/** token_make(key, t, out): a NUL-terminated text in ${out}.  RC_TOOBIG: its
 * parts are longer than a token may be. */
RC_MUST_USE enum rc token_make(
    const struct seal_key *, const struct token *, char out[TOKEN_MAX_BYTES]);

/**
 * token_read(key, kinds, text, room, t_r):
 * The spans of *${t_r} point into ${room}.  ${kinds}: bits 1u << enum
 * token_kind that are welcome here.  RC_INVALID: not one of ours, tampered
 * with, or of another kind.  An expired one is read: ask token_expired().
 */
struct token_room {
	uint8_t bytes[TOKEN_MAX_BYTES];
};
RC_MUST_USE enum rc token_read(const struct seal_key *, unsigned kinds,
    struct span text, struct token_room *room, struct token *t_r);

/** token_expired(t, now_ms). */
bool token_expired(const struct token *, int64_t now_ms);

#endif
