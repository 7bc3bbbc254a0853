#include <stdio.h>

#include "mirror/secrets.h"
#include "registryd/cache_rules.h"
#include "registryd/service.h"

/*
 * Does a rule of the pull through cache work?  Its secret has to be here: an
 * upstream without one would be asked as a stranger, and may well answer.
 */

static enum rc
secret_check(struct service *svc, struct span name, char *why)
{
	struct credential credential = { 0 };
	enum rc rc;

	if (name.n == 0)
		return (RC_OK);
	rc = svc->secrets != NULL ? secrets_get(svc->secrets, name, &credential)
				  : RC_NOTFOUND;
	credential_wipe(&credential);
	if (rc == RC_NOTFOUND)
		(void)snprintf(why, CACHE_RULE_WHY_BYTES,
		    "the secret \"" SPAN_FMT "\" is not here; registryctl "
		    "secret add brings it",
		    SPAN_ARG(name));
	else if (rc != RC_OK)
		(void)snprintf(why, CACHE_RULE_WHY_BYTES,
		    "the secret \"" SPAN_FMT "\" cannot be read: %s",
		    SPAN_ARG(name), rc_text(rc));
	return (rc);
}

static enum rc
upstream_check(struct service *svc, const char *url, struct span credential,
    int64_t patience_ms, char *why)
{
	const struct upstream_wait wait = { .patience_ms = patience_ms };
	struct upstream_error error = { 0 };
	struct upstream *u;
	enum rc rc;

	if (svc->upstreams == NULL) {
		(void)snprintf(why, CACHE_RULE_WHY_BYTES,
		    "this server does not contact other registries");
		return (RC_UNSUPPORTED);
	}
	rc = upstreams_get(svc->upstreams, url, credential, &u);
	if (rc != RC_OK) {
		(void)snprintf(why, CACHE_RULE_WHY_BYTES,
		    "%s cannot be contacted: %s", url, rc_text(rc));
		return (rc);
	}
	rc = upstream_ping(u, SPAN_NONE, &wait, &error);
	if (rc != RC_OK)
		(void)snprintf(why, CACHE_RULE_WHY_BYTES, "%s",
		    error.why[0] != '\0' ? error.why : rc_text(rc));
	upstream_unref(&u);
	return (rc);
}

enum rc
cache_rule_validate(struct service *svc, const json_t *o, int64_t patience_ms,
    char why[CACHE_RULE_WHY_BYTES])
{
	struct span credential;
	struct arena arena;
	const char *url;
	enum rc rc = RC_INVALID;

	arena_init(&arena, (size_t)1 << 16);
	if (cache_rule_source(o, &arena, &url, &credential, why))
		rc = secret_check(svc, credential, why);
	if (rc == RC_OK)
		rc = upstream_check(svc, url, credential, patience_ms, why);
	arena_reset(&arena);
	return (rc);
}
