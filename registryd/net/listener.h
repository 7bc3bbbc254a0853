#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "registryd/net/addr.h"
#include "registryd/net/loop.h"

/*
 * A listening socket, and the acceptors by which loops take connections from
 * it.  All loops share the one socket: whoever is awake takes what waits, no
 * connection is handed over, and closing it loses only what nobody took.
 */
struct listener;

/**
 * listener_open(address, private, why, n, l_r):
 * Bind and listen on "127.0.0.1:5000", "[::1]:0" or "unix:PATH".  ${private}:
 * the socket file gets mode 0600.  A socket file that nobody listens on any
 * more is replaced.  RC_INVALID address; RC_BUSY in use; RC_DENIED; RC_LIMIT;
 * RC_IO: ${why} says what happened.
 */
RC_MUST_USE enum rc listener_open(const char *address, bool private, char *why,
    size_t n_why, struct listener **l_r);

/** listener_close(l): removes its socket file.  Takes NULL. */
void listener_close(struct listener **);

/** listener_name(l): as bound: "127.0.0.1:40123", "[::1]:5000", "unix:PATH". */
const char *listener_name(const struct listener *);

struct acceptor;

/** The connection ${fd} (non-blocking, close-on-exec) is the callee's. */
typedef void accept_fn(void *arg, int fd, const struct addr *peer);

/** acceptor_new(loop, l, fn, arg): take connections on ${loop} from now on.
 * On its thread, or before it runs. */
struct acceptor *
acceptor_new(struct loop *, struct listener *, accept_fn *, void *arg);
/** acceptor_free(a): accept no more.  Takes NULL.  On its thread, or when it
 * does not run. */
void acceptor_free(struct acceptor **);

#endif
