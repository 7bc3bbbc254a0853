#ifndef MIRROR_SECRETS_H
#define MIRROR_SECRETS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/rc.h"
#include "base/span.h"
#include "mirror/upstream.h"
#include "storage/meta.h"

/*
 * Credentials for other registries, sealed in the store (ENTITY_UPSTREAM_SECRET)
 * under a key of their own, "upstreams", which is wrapped by the master key as
 * the other seal keys are (base/keyring.h) and wrapped anew with them.  A name
 * is a registry ("https://registry-1.docker.io"), or what the ARN of a
 * secret calls it ("ecr-pullthroughcache/hub").
 *
 * Also with `auth: none`.  The master key is made when the first secret is put.
 */
#define SECRETS_WHY_BYTES 512
#define SECRET_MAX_BYTES 8192

struct secrets;

struct secrets_options {
	struct meta *meta;
	const char *master_key_file;
	const char *master_key_text; /* of the environment; NULL: the file */
};

/** secrets_open(options, why, s_r): RC_NOTFOUND: there are secrets, but the
 * master key is not there; RC_DENIED, RC_INVALID... */
RC_MUST_USE enum rc secrets_open(const struct secrets_options *,
    char why[SECRETS_WHY_BYTES], struct secrets **s_r);
void secrets_close(struct secrets **);

/** secrets_get(s, name, c_r): a copy, the caller's.  RC_NOTFOUND;
 * RC_CORRUPT: logged.  Worker. */
RC_MUST_USE enum rc
secrets_get(struct secrets *, struct span name, struct credential *c_r);

/** secrets_put(s, name, c, why): RC_INVALID: a value that cannot be sent. */
RC_MUST_USE enum rc secrets_put(struct secrets *, struct span name,
    const struct credential *, char why[SECRETS_WHY_BYTES]);

/* One that stands in the configuration. */
struct secret_row {
	struct span name;
	struct credential credential;
};
/** secrets_configure(s, rows, n, why): as secrets_put() for each, unless it is
 * there already; those that stood in the configuration before and are not among
 * them go. */
RC_MUST_USE enum rc secrets_configure(struct secrets *,
    const struct secret_row *rows, size_t n, char why[SECRETS_WHY_BYTES]);

/** secrets_delete(s, name): RC_NOTFOUND. */
RC_MUST_USE enum rc secrets_delete(struct secrets *, struct span name);

/** secrets_list(s): a JSON array of {"name","kind","username","configured",
 * "changed"}, the caller's, without what is secret.  NULL: it cannot be read (logged). */
json_t *secrets_list(struct secrets *);

/** secret_arn_name(arn, name_r): "ecr-pullthroughcache/hub" of
 * arn:aws:secretsmanager:REGION:ACCOUNT:secret:ecr-pullthroughcache/hub-AbC123.
 * False: it is no such ARN. */
bool secret_arn_name(struct span arn, struct span *name_r);

#endif
