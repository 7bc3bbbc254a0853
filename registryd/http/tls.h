#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * TLS 1.2 and 1.3 on a non-blocking socket, by OpenSSL.
 *
 * The clients of a registry make a new connection for nearly every request
 * and rarely resume a session, so a full handshake is what has to be cheap:
 * there is no cache, and a ticket only for a client that says it can use one.
 * Buffers are released while nothing is in them.
 *
 * With authorities for clients, whoever connects must prove a certificate that
 * one of them has signed, for the use of clients if it tells uses at all.
 * There are no tickets then: each connection proves its certificate anew, so
 * that one that has expired, or an authority that is gone since a reload,
 * opens no further connection.
 */
struct tls_context;

struct tls_files {
	const char *cert, *key; /* of the server, PEM */
	const char *client_ca;	/* PEM; NULL: clients need no certificate */
};

/** tls_context_new(files, why, n, ctx_r): RC_INVALID: ${why} names the file and
 * what is wrong with it. */
RC_MUST_USE enum rc tls_context_new(const struct tls_files *, char *why,
    size_t n_why, struct tls_context **ctx_r);

/** tls_context_asks(ctx): do clients need a certificate? */
bool tls_context_asks(const struct tls_context *);

/** tls_context_free(ctx): connections that were made with it live on. */
void tls_context_free(struct tls_context **);

enum tls_result {
	TLS_OK,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_CLOSED, /* the peer has gone, in whatever way */
	TLS_FAILED, /* it does not speak TLS as we do */
	TLS_PLAIN,  /* it speaks plain HTTP */
};

struct tls;

/** tls_new(ctx, fd): NULL when memory is gone.  ${fd} stays the caller's. */
struct tls *tls_new(struct tls_context *, int fd);
/** tls_free(t): takes NULL. */
void tls_free(struct tls **);

enum tls_result tls_handshake(struct tls *);
/** tls_failure(t): after TLS_FAILED, why, for the log; never NULL. */
const char *tls_failure(const struct tls *);
/**
 * tls_client_name(t):
 * After the handshake: the name (CN) in the subject of the certificate that
 * the client proved, as UTF-8 without NUL; .p NULL when none was asked for, or
 * it has not exactly one name of 1 to TLS_CLIENT_NAME_MAX_BYTES bytes.  Lives
 * with ${t}.
 */
#define TLS_CLIENT_NAME_MAX_BYTES 64
struct span tls_client_name(const struct tls *);
/** tls_read(t, p, n, n_r): some of what has arrived. */
enum tls_result tls_read(struct tls *, void *p, size_t n, size_t *n_r);
/** tls_write(t, p, n, n_r): some of it; after TLS_WANT_* call again with the
 * same bytes, and as many at least. */
enum tls_result tls_write(struct tls *, const void *p, size_t n, size_t *n_r);
/** tls_dry(t): what tls_read() gave was all there was. */
bool tls_dry(const struct tls *);
/** tls_heard(t): anything has arrived at all. */
bool tls_heard(const struct tls *);
/** tls_bye(t): tell the peer that no more comes, if that can be done now. */
void tls_bye(struct tls *);

#endif
