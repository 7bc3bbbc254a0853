#ifndef AUTH_SIGV4_H
#define AUTH_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/principal.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * AWS Signature Version 4 (AWS General Reference, "Create a signed AWS API
 * request"): AWS4-HMAC-SHA256, in the Authorization header or in the query.
 * Pure functions over what was received; ${now} is a parameter.  Any thread.
 *
 * Messages are AWS's and fit to be shown and logged: they may name the access
 * key, the scope, dates and headers, never a signature, a session token or
 * what else stood in an Authorization header.
 */
#define SIGV4_SKEW_MS ((int64_t)5 * 60 * 1000)
#define SIGV4_WHY_BYTES 512
#define SIGV4_HASH_BYTES 32
#define SIGV4_SIGNED_MAX 64  /* headers in SignedHeaders */
#define SIGV4_PARAMS_MAX 128 /* in the query */
#define SIGV4_SECRET_MAX_BYTES 256
#define SIGV4_ACCESS_KEY_MAX_BYTES 128
#define SIGV4_EXPIRES_MAX_S 604800 /* a week */
/* The canonical form of a request: target and signed headers, encoded. */
#define SIGV4_CANONICAL_MAX_BYTES ((size_t)256 * 1024)

/* A request as received: the raw target, before any decoding. */
struct sigv4_request {
	struct span method;
	struct span target;		  /* "/path?query" as sent */
	const struct name_value *headers; /* all, in order, trimmed */
	size_t n_headers;
	uint8_t body_hash[SIGV4_HASH_BYTES]; /* SHA-256 of the body received */
};

/* Why a request is refused; each is one of AWS's errors. */
enum sigv4_error {
	SIGV4_OK,
	SIGV4_MISSING,	  /* MissingAuthenticationToken: no signature at all */
	SIGV4_INCOMPLETE, /* IncompleteSignature: malformed */
	SIGV4_INVALID,	  /* InvalidSignature: too old, too early, wrong scope,
			     something that must be signed is not */
	SIGV4_MISMATCH,	  /* InvalidSignature: made with another secret, or over
			     another request */
};

/*
 * What a request claims; nothing of it is true before sigv4_verify().  Spans
 * borrow from the request, or from ${room}, where what had to be decoded
 * stands: a claim stays where it was read and is not copied.
 */
#define SIGV4_ROOM_BYTES 5120

struct sigv4_claim {
	struct span access_key;
	struct span date; /* yyyymmdd */
	struct span region, service, terminator;
	struct span timestamp;	    /* yyyymmddThhmmssZ */
	struct span session_token;  /* X-Amz-Security-Token; may be empty */
	struct span signed_headers; /* as sent: sorted, lower case */
	struct span signature;	    /* as sent */
	bool presigned;		    /* in the query */
	int64_t signed_ms;
	int64_t expires_s; /* of a presigned one */
	char room[SIGV4_ROOM_BYTES];
};

/** sigv4_present(rq): does it carry an AWS signature in any form, or what is
 * meant to be one?  (A scheme "AWS..." or X-Amz-Algorithm, -Credential or
 * -Signature in the query; Basic and Bearer are none.) */
bool sigv4_present(const struct sigv4_request *);

/**
 * sigv4_read(rq, claim_r, why): what it claims, from either form.
 * SIGV4_MISSING, SIGV4_INCOMPLETE; ${why} is the message AWS gives.
 */
enum sigv4_error sigv4_read(const struct sigv4_request *,
    struct sigv4_claim *claim_r, char why[SIGV4_WHY_BYTES]);

struct sigv4_expect {
	struct span service; /* "ecr", "sts" */
	struct span region;  /* empty: any */
	int64_t now_ms;
};

/**
 * sigv4_verify(rq, claim, expect, secret, why):
 * Scope, time and signature, in this order.  host and every x-amz-* header
 * that was sent must be signed; an X-Amz-Content-Sha256 must be the hash of
 * the body (UNSIGNED-PAYLOAD and the streaming forms are refused, also in
 * presigned requests).  Compares in constant time.  SIGV4_INVALID,
 * SIGV4_MISMATCH.
 */
enum sigv4_error
sigv4_verify(const struct sigv4_request *, const struct sigv4_claim *,
    const struct sigv4_expect *, struct span secret, char why[SIGV4_WHY_BYTES]);

/** sigv4_key(secret, date, region, service, out): the signing key.  ${secret}
 * has at most SIGV4_SECRET_MAX_BYTES. */
void sigv4_key(struct span secret, struct span date, struct span region,
    struct span service, uint8_t out[SIGV4_HASH_BYTES]);

/* A client's side: what to sign with. */
struct sigv4_credentials {
	struct span access_key, secret, session_token; /* token may be empty */
	struct span region, service;
};

/**
 * sigv4_sign(rq, credentials, now_ms, date, authorization, n):
 * The value of X-Amz-Date (17 bytes) and of Authorization for a request whose
 * headers are those of ${rq} (Host among them; X-Amz-Date and, with a session
 * token, X-Amz-Security-Token are added by the function when it signs).  All
 * of its headers are signed.  RC_TOOBIG: ${n} is too small, or a limit above
 * is passed; RC_INVALID: no Host, or a malformed query.
 */
#define SIGV4_DATE_BYTES 17
RC_MUST_USE enum rc
sigv4_sign(const struct sigv4_request *, const struct sigv4_credentials *,
    int64_t now_ms, char date[SIGV4_DATE_BYTES], char *authorization, size_t n);

/** sigv4_body_hash(body, out). */
void sigv4_body_hash(struct span body, uint8_t out[SIGV4_HASH_BYTES]);

#endif
