#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

/*
 * TLS 1.2 and 1.3 on a non-blocking socket, by OpenSSL.
 *
 * The clients of a registry make a new connection for nearly every request
 * and rarely resume a session, so a full handshake is what has to be cheap:
 * there is no cache, and a ticket only for a client that says it can use one.
 * Buffers are released while nothing is in them.
 */
struct tls_context;

/** tls_context_new(cert, key, why, n, ctx_r): RC_INVALID: ${why} names the
 * file and what is wrong with it. */
RC_MUST_USE enum rc tls_context_new(const char *cert_file, const char *key_file,
    char *why, size_t n_why, struct tls_context **ctx_r);

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
