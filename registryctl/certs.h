#ifndef REGISTRYCTL_CERTS_H
#define REGISTRYCTL_CERTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

/*
 * Certificates for a private registry: an authority of its own, which clients
 * are told to trust, and a server certificate that it signed.  Keys are ECDSA
 * P-256: registry clients make a handshake for nearly every request, and this
 * is what makes it cheap.
 *
 *	ca.pem, ca-key.pem	kept once made
 *	server.pem, server-key.pem
 *	client-NAME.cert, client-NAME.key	a user of mtls:// listeners
 *
 * The last two end as docker wants them in /etc/docker/certs.d/HOST:PORT/.
 */
#define CERTS_CA "ca.pem"
#define CERTS_CA_KEY "ca-key.pem"
#define CERTS_SERVER "server.pem"
#define CERTS_SERVER_KEY "server-key.pem"
#define CERTS_WHY_BYTES 512

struct certs_options {
	const char *dir;    /* created (0755) when missing */
	const char **hosts; /* names and addresses of the server */
	size_t n_hosts;
	unsigned days; /* of the server certificate */
	bool force;    /* replace a server certificate that is there */
};

/**
 * certs_make(options, ca_made_r, why):
 * *${ca_made_r} false: the authority that was there signed.  RC_EXISTS: there
 * is a server certificate, and no force; RC_INVALID: a host is neither name
 * nor address, or the authority cannot be used; RC_DENIED, RC_NOSPACE,
 * RC_IO...: ${why} says what and where.
 */
RC_MUST_USE enum rc certs_make(
    const struct certs_options *, bool *ca_made_r, char why[CERTS_WHY_BYTES]);

struct certs_client {
	const char *dir;
	const char *name; /* of the user: the common name */
	unsigned days;
	bool force; /* replace one that is there */
};

/**
 * certs_client_make(client, why):
 * A client certificate, signed by the authority in the folder, and its key.
 * RC_NOTFOUND: there is no authority; RC_EXISTS: there is one for that user,
 * and no force; RC_INVALID: not the name of a user, or the authority cannot be
 * used; else as certs_make().
 */
RC_MUST_USE enum rc
certs_client_make(const struct certs_client *, char why[CERTS_WHY_BYTES]);

/** certs_user_ok(name): 1 to 64 of A-Z a-z 0-9 _ + = , . @ - */
bool certs_user_ok(const char *name);

/** certs_host_ok(host): a name (perhaps "*.name") or an IP address. */
bool certs_host_ok(const char *host);

#endif
