#ifndef MIRROR_URL_H
#define MIRROR_URL_H

#include <stdbool.h>

#include "base/rc.h"
#include "base/span.h"
#include "mirror/fetch.h"

/*
 * Where a request goes.  What decides whether it is still the registry that was
 * meant is the origin: scheme, host and port.
 */
struct url {
	char *text;   /* whole, without a fragment */
	char *origin; /* "https://host:443", the port always named */
	char *host;   /* "host" or "host:port", for people */
	char *path;   /* path and query */
	bool tls;
};

/** url_parse(text, u_r, why): http and https, with a host, without a user;
 * RC_INVALID.  On RC_OK the caller frees it (url_free). */
RC_MUST_USE enum rc
url_parse(const char *text, struct url *u_r, char why[FETCH_WHY_BYTES]);

/** url_resolve(base, location, u_r, why): what ${location}, which may be
 * relative, means in an answer of ${base}.  RC_INVALID also when it leads from
 * https to http. */
RC_MUST_USE enum rc url_resolve(const struct url *base, struct span location,
    struct url *u_r, char why[FETCH_WHY_BYTES]);

/** url_free(u): also of zeros; zeros afterwards. */
void url_free(struct url *);

#endif
