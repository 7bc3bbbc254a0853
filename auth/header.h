#ifndef AUTH_HEADER_H
#define AUTH_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * The value of an Authorization header (RFC 9110 section 11.6.2): which scheme
 * it is, and what it holds where the scheme is one that the distribution API
 * knows (Basic, RFC 7617; Bearer, RFC 6750).  Signatures are told apart here
 * and read by sigv4.h.
 */
enum auth_scheme {
	AUTH_SCHEME_NONE, /* an empty value: as if it had not been sent */
	AUTH_SCHEME_BASIC,
	AUTH_SCHEME_BEARER,
	AUTH_SCHEME_AWS4,  /* "AWS4-..." of whatever algorithm */
	AUTH_SCHEME_OTHER, /* "AWS", Digest, Negotiate, ... */
};

/* "user:password" of Basic, decoded; a token as text (TOKEN_MAX_BYTES) with
 * the user "AWS" fits, and so does any password that can be hashed. */
#define AUTH_HEADER_BASIC_MAX_BYTES 3072
#define AUTH_HEADER_BEARER_MAX_BYTES 3072

struct auth_header {
	enum auth_scheme scheme;
	struct span user, password; /* AUTH_SCHEME_BASIC; may be empty */
	struct span token;	    /* AUTH_SCHEME_BEARER; never empty */
};

/* Where decoded credentials stand; of the caller, who wipes it (mem_wipe) as
 * soon as they were looked at. */
struct auth_header_room {
	uint8_t bytes[AUTH_HEADER_BASIC_MAX_BYTES];
};

/**
 * auth_header_parse(value, room, h_r):
 * ${value} as sent.  The user and the password of *${h_r} point into ${room},
 * the token into ${value}.  RC_INVALID: a Basic or Bearer header that is
 * malformed (base64 that is not strict and padded, no ':', a control character
 * in the user, a NUL in the password, anything but a token68);
 * RC_TOOBIG: longer than the maxima above.  Then ${h_r}->scheme is set all the
 * same, the rest is empty and ${room} is wiped.  The schemes NONE, AWS4 and
 * OTHER are RC_OK whatever follows.  Any thread.
 */
RC_MUST_USE enum rc auth_header_parse(
    struct span value, struct auth_header_room *room, struct auth_header *h_r);

#endif
