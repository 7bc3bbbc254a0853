#ifndef REGISTRYD_ENCRYPTION_H
#define REGISTRYD_ENCRYPTION_H

#include "registryd/call.h"
#include "registryd/service.h"
#include "storage/repositories.h"

/*
 * The keys of encrypted repositories, as the service has them: opened when it
 * starts, and made when the first repository wants one.
 */

/** encryption_ready(c, settings): a repository with these settings can be made:
 * if it is to be encrypted, there is a master key by now.  RC_WOULDBLOCK: on a
 * worker; RC_FAILED: it cannot be made, and that was told. */
RC_MUST_USE enum rc
encryption_ready(struct call *, const struct repository_settings *);

/** encryption_locked(c, what): the error for RC_LOCKED: names the repository
 * and its key. */
RC_MUST_USE enum rc encryption_locked(struct call *, const char *what);

/** service_keys_open(svc, why): at the start: the master key, if there is one;
 * it is not made.  The codes of master_key_open() but for RC_NOTFOUND. */
RC_MUST_USE enum rc
service_keys_open(struct service *, char why[SERVICE_WHY_BYTES]);
/** service_keys_settle(svc, why): then, with identities: made, if new
 * repositories want it.  The codes of master_key_open(). */
RC_MUST_USE enum rc
service_keys_settle(struct service *, char why[SERVICE_WHY_BYTES]);

/** service_keys_prepare(svc, s, why): all that can fail about settings that are
 * to hold; service_keys_default(svc, s): they hold, for new repositories. */
RC_MUST_USE enum rc service_keys_prepare(
    struct service *, const struct settings *, char why[SERVICE_WHY_BYTES]);
void service_keys_default(struct service *, const struct settings *);

/** service_keys_rotate(svc, n_r, why): master_key_rotate().  Worker. */
RC_MUST_USE enum rc
service_keys_rotate(struct service *, size_t *n_r, char why[SERVICE_WHY_BYTES]);

#endif
