#ifndef MIRROR_REFERENCE_H
#define MIRROR_REFERENCE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * How people name images of other registries:
 *
 *	[http://|https://|docker://]HOST[:PORT]/NAME[:TAG][@DIGEST]
 *
 * A host has a dot, a port or is "localhost" (as docker decides it).  Docker
 * Hub has many names (docker.io, index.docker.io, registry-1.docker.io), and
 * its repositories of one segment are in "library/".
 */
#define REFERENCE_WHY_BYTES 512

struct image_reference {
	const char *url;      /* "https://HOST[:PORT]" as it is to be contacted;
			       NULL: no host was named */
	const char *registry; /* as it was named, for people; or NULL */
	struct span name;     /* as the registry knows it */
	struct span tag;      /* empty: none said */
	struct span digest;   /* empty: none said */
};

/** image_reference_parse(text, arena, r_r, why): strict.  Loopback names
 * without a scheme are http, as docker does it; all others https.
 * RC_INVALID: ${why} names what is wrong. */
RC_MUST_USE enum rc image_reference_parse(struct span text, struct arena *,
    struct image_reference *r_r, char why[REFERENCE_WHY_BYTES]);

/**
 * registry_url_parse(text, arena, url_r, why):
 * "HOST[:PORT]" or "http[s]://HOST[:PORT][/]" to the URL it is contacted by,
 * lower case, Docker Hub's names to registry-1.docker.io, default ports left
 * out.  No user, path, query.  RC_INVALID.
 */
RC_MUST_USE enum rc registry_url_parse(struct span text, struct arena *,
    const char **url_r, char why[REFERENCE_WHY_BYTES]);

/** registry_url_is_hub(url): Docker Hub? */
bool registry_url_is_hub(const char *url);

/** registry_name(url, name, arena): the repository as that registry knows it:
 * Docker Hub's "alpine" is "library/alpine".  .p NULL: no memory. */
struct span registry_name(const char *url, struct span name, struct arena *);

#endif
