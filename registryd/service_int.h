#ifndef REGISTRYD_SERVICE_INT_H
#define REGISTRYD_SERVICE_INT_H

#include "registryd/service.h"

/*
 * The parts of the service: service.c starts and stops them.
 */
struct auth_reload;

/* service_identities.c; only with `auth: token`. */

/** service_identities_open(svc, why): svc->auth, and at the first start the
 * administrator.  The codes of auth_open and auth_first_admin. */
RC_MUST_USE enum rc
service_identities_open(struct service *, char why[SERVICE_WHY_BYTES]);

/** service_identities_prepare(svc, s, why, reload_r): the first half of a
 * reload; *${reload_r} NULL: there is nothing to be reloaded. */
RC_MUST_USE enum rc
service_identities_prepare(struct service *, const struct settings *,
    char why[SERVICE_WHY_BYTES], struct auth_reload **reload_r);

/** service_admin_say(svc, url): if this start made the administrator: what to
 * type next. */
void service_admin_say(const struct service *, const char *url);

/* service_background.c */

/** service_background_start(svc): RC_LIMIT. */
RC_MUST_USE enum rc service_background_start(struct service *);
/** service_background_stop(svc): and wait for it; also when it never ran. */
void service_background_stop(struct service *);

/* service_scan.c */

/** service_scan_init(svc), service_scan_fini(svc): what needs no thread. */
void service_scan_init(struct service *);
void service_scan_fini(struct service *);
/** service_scan_start(svc): as many threads as scan.jobs says.  RC_LIMIT. */
RC_MUST_USE enum rc service_scan_start(struct service *);
/** service_scan_stop_begin(svc): scans under way are given up, to be done again
 * after the next start.  service_scan_stop(svc): and wait; also when none ever
 * ran. */
void service_scan_stop_begin(struct service *);
void service_scan_stop(struct service *);

/* service_collect.c */

/** service_collect_begin(svc, called): start a collection that nobody looks
 * at.  One that runs goes on as it is, but if somebody ${called} it goes
 * through all once more.  The background thread. */
void service_collect_begin(struct service *, bool called);

/* service_previews.c */

/** service_previews_start(svc): RC_LIMIT. */
RC_MUST_USE enum rc service_previews_start(struct service *);
/** service_previews_stop(svc): and wait for it; also when it never ran. */
void service_previews_stop(struct service *);

/* service_lifecycle.c */

/** service_lifecycle_ready(svc): from now on; before the first round. */
void service_lifecycle_ready(struct service *);

/** service_lifecycle_start(svc): RC_LIMIT. */
RC_MUST_USE enum rc service_lifecycle_start(struct service *);
/** service_lifecycle_stop(svc): and wait for it; also when it never ran. */
void service_lifecycle_stop(struct service *);

/* service_mirror.c */

/** service_mirror_init(svc), service_mirror_fini(svc): what needs no thread
 * and no settings. */
void service_mirror_init(struct service *);
void service_mirror_fini(struct service *);

/** service_mirror_open(svc, s, why): the credentials of other registries; those
 * of ${s} are sealed and wiped.  The codes of secrets_open(). */
RC_MUST_USE enum rc service_mirror_open(
    struct service *, struct settings *, char why[SERVICE_WHY_BYTES]);

/** service_credentials_seal(svc, s, why): likewise, at a reload. */
RC_MUST_USE enum rc service_credentials_seal(
    struct service *, struct settings *, char why[SERVICE_WHY_BYTES]);

/** service_mirror_start(svc): upstreams, cache, replication; before the server,
 * since handlers look at them.  RC_LIMIT. */
RC_MUST_USE enum rc service_mirror_start(struct service *);
/** service_mirror_reload(svc, s): the settings of now. */
void service_mirror_reload(struct service *, const struct settings *);

/** service_mirror_stop_begin(svc): before the server stops: mirrors end, and
 * shortly before shutdown-timeout is up, whatever waits for an upstream. */
void service_mirror_stop_begin(struct service *);
/** service_mirror_stop(svc): after it has; waits.  Also of what was not
 * started. */
void service_mirror_stop(struct service *);

/* service_evict.c */

/** service_evict_start(svc): if cache.max-bytes is set, and it does not run
 * yet.  RC_LIMIT.  The main thread, as the next two. */
RC_MUST_USE enum rc service_evict_start(struct service *);
void service_evict_cancel(struct service *);
/** service_evict_stop(svc): and wait for it; also when it never ran. */
void service_evict_stop(struct service *);

#endif
