#include "registryd/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/decide.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache.h"
#include "registryd/api/service.h"
#include "registryd/audit.h"
#include "registryd/backfills.h"
#include "registryd/dispatch.h"
#include "registryd/encryption.h"
#include "registryd/jobs.h"
#include "registryd/mirrors.h"
#include "registryd/policy_cache.h"
#include "registryd/route.h"
#include "registryd/service_int.h"
#include "storage/gc.h"

/* --- settings ------------------------------------------------------------ */

struct settings *
service_settings(struct service *svc)
{
	struct settings *s;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	mutex_lock(&svc->lock);
	s = settings_ref(svc->settings);
	mutex_unlock(&svc->lock);
	return (s);
}

static void
settings_swap(struct service *svc, struct settings *fresh)
{
	struct settings *old;

	fresh = settings_ref(fresh);
	mutex_lock(&svc->lock);
	old = svc->settings;
	svc->settings = fresh;
	mutex_unlock(&svc->lock);
	settings_unref(&old);
}

void
service_init(
    struct service *svc, struct store *store, struct settings *settings)
{
	*svc = (struct service){
		.magic = SERVICE_MAGIC,
		.store = store,
		.started_ms = clock_real_ms(),
		.settings = settings_ref(settings),
	};
	mutex_init(&svc->keys_lock);
	mutex_init(&svc->lock);
	cond_init(&svc->wake);
	cond_init(&svc->previews_wake);
	cond_init(&svc->lifecycle_wake);
	service_lifecycle_ready(svc);
	svc->jobs = jobs_new(store);
	svc->decisions = decide_cache_new();
	svc->policies = policy_cache_new();
	service_mirror_init(svc);
	service_scan_init(svc);
}

/* Where it goes with these settings. */
static enum rc
audit_target(const struct settings *s, char why[SERVICE_WHY_BYTES],
    struct audit_target **target_r)
{
	char text[AUDIT_WHY_BYTES];
	enum rc rc;

	rc = audit_target_open(s->audit_log, text, target_r);
	if (rc != RC_OK)
		(void)snprintf(why, SERVICE_WHY_BYTES, "audit-log: %s", text);
	return (rc);
}

enum rc
service_audit_open(struct service *svc, char why[SERVICE_WHY_BYTES])
{
	struct audit_target *target;
	enum rc rc;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	if ((rc = audit_target(svc->settings, why, &target)) == RC_OK)
		svc->audit = audit_new(&target);
	return (rc);
}

void
service_fini(struct service *svc)
{
	OBJ_CHECK(svc, SERVICE_MAGIC);
	jobs_free(&svc->jobs);
	service_scan_fini(svc);
	service_mirror_fini(svc);
	auth_close(&svc->auth);
	decide_cache_free(&svc->decisions);
	policy_cache_free(&svc->policies);
	settings_unref(&svc->settings);
	audit_free(&svc->audit);
	free(svc->control_address);
	must(pthread_cond_destroy(&svc->lifecycle_wake) == 0);
	must(pthread_cond_destroy(&svc->previews_wake) == 0);
	must(pthread_cond_destroy(&svc->wake) == 0);
	must(pthread_mutex_destroy(&svc->lock) == 0);
	must(pthread_mutex_destroy(&svc->keys_lock) == 0);
	svc->magic = 0;
}

/* --- opening ------------------------------------------------------------- */

/* Of the service (background, previews, lifecycle, mirrors, eviction) and its
 * jobs: a check, a collection and one that looks, previews, a backup; of the
 * cache, replication, and the images and blobs that a mirror copies at once;
 * some to spare. */
#define MIRROR_THREADS 64
#define OWN_THREADS \
	(5 + 4 + JOBS_PREVIEWS_MAX + CACHE_THREADS + MIRROR_THREADS + 4)

/* Threads that read the store: loops, workers, and the few of our own. */
static unsigned
reading_threads(const struct settings *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned loops = s->loops;

	if (loops == 0)
		loops = cores > 0 ? (unsigned)cores : 1;
	return (loops + s->workers + OWN_THREADS + s->scan.jobs + 1);
}

enum rc
service_open(
    struct service *svc, struct settings *s, char why[SERVICE_WHY_BYTES])
{
	struct store_options options = {
		.dir = s->data,
		.inline_max_bytes = s->inline_bytes,
		.reserve_bytes = s->reserve_bytes,
		.map_bytes = s->map_bytes,
		.upload_max_bytes = s->upload_bytes,
		.part_max_bytes = s->part_bytes,
		.upload_sessions_max = s->upload_sessions,
		.upload_lifetime_ms = s->upload_lifetime_ms,
		.max_threads = reading_threads(s),
		.archive_dir =
		    s->archive_dir[0] != '\0' ? s->archive_dir : NULL,
		.undelete_ms = s->lifecycle.undelete_ms,
	};
	struct store *store;
	enum rc rc;

	if ((rc = store_open(&options, why, &store)) != RC_OK)
		return (rc);
	gc_grace_set(store, s->gc_grace_ms);
	service_init(svc, store, s);
	rc = service_audit_open(svc, why);
	/* First, since it can say best what is lost without a master key; but
	 * where one is to be made, users come first. */
	if (rc == RC_OK)
		rc = service_keys_open(svc, why);
	if (rc == RC_OK && s->auth == AUTH_TOKEN)
		rc = service_identities_open(svc, why);
	if (rc == RC_OK)
		rc = service_keys_settle(svc, why);
	if (rc == RC_OK)
		rc = service_mirror_open(svc, s, why);
	if (rc != RC_OK) {
		service_fini(svc);
		store_close(&store);
	}
	return (rc);
}

/* --- listeners ----------------------------------------------------------- */

/*
 * registryctl talks to us here.  A folder with a very long name has no room
 * for a socket; the registry works all the same.
 */
static void
control_address_make(struct service *svc)
{
	struct sockaddr_un sun;
	char *path = xasprintf("%s/control.sock", svc->settings->data);

	if (strlen(path) < sizeof(sun.sun_path))
		svc->control_address = xasprintf("unix:%s", path);
	else
		log_warn("%s: too long a path for a socket; registryctl "
			 "cannot reach this server",
		    path);
	free(path);
}

static void
listener_add(struct http_listener_config *list, size_t *n,
    const struct setting_listener *from, int role)
{
	list[(*n)++] = (struct http_listener_config){
		.address = from->address,
		.role = role,
		.tls = from->tls,
		.cert_file = from->cert_file,
		.key_file = from->key_file,
		.client_ca_file = from->client_ca_file,
	};
}

/* The public listeners first, so that their numbers are the settings'. */
static struct http_listener_config *
listeners_make(const struct service *svc, const struct settings *s, size_t *n_r)
{
	struct http_listener_config *list =
	    xcalloc(s->n_listeners + 2, sizeof(*list));
	size_t i;

	*n_r = 0;
	for (i = 0; i < s->n_listeners; i++)
		listener_add(list, n_r, &s->listeners[i], ROLE_PUBLIC);
	if (s->metrics.address != NULL)
		listener_add(list, n_r, &s->metrics, ROLE_METRICS);
	if (svc->control_address != NULL)
		list[(*n_r)++] = (struct http_listener_config){
			.address = svc->control_address,
			.role = ROLE_CONTROL,
			.same_user_only = true,
		};
	return (list);
}

static struct http_server_config
server_config(struct service *svc, const struct settings *s,
    const struct http_listener_config *listeners, size_t n_listeners)
{
	return ((struct http_server_config){
		.listeners = listeners,
		.n_listeners = n_listeners,
		.loops = s->loops,
		.workers = s->workers,
		.limits = s->limits,
		.trusted_proxies = s->trusted_proxies,
		.n_trusted_proxies = s->n_trusted_proxies,
		.app = {
			.request = dispatch_request,
			.done = dispatch_done,
			.refuse = dispatch_refuse,
			.arg = svc,
		},
	});
}

/* Scripts wait for these lines, so they come at any level of the log. */
static void
listeners_say(const struct service *svc, const struct http_server *server)
{
	const struct settings *s = svc->settings;
	size_t i, n = s->n_listeners;

	if (!log_enabled(LOG_LVL_INFO))
		log_set_level(LOG_LVL_INFO);
	for (i = 0; i < n; i++)
		log_info("listening on %s%s", http_server_url(server, i),
		    s->listeners[i].client_ca_file != NULL
			? " (client certificates)"
			: "");
	if (s->metrics.address != NULL)
		log_info(
		    "listening on %s (metrics)", http_server_url(server, n));
	service_admin_say(svc, http_server_url(server, 0));
}

/* --- running ------------------------------------------------------------- */

enum rc
service_serve(struct service *svc, char why[SERVICE_WHY_BYTES])
{
	struct http_listener_config *listeners;
	struct http_server_config config;
	struct http_server *server;
	size_t n;
	enum rc rc;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	/* Handlers look at what it makes without a lock. */
	if ((rc = service_mirror_start(svc)) != RC_OK) {
		(void)snprintf(why, SERVICE_WHY_BYTES,
		    "cannot start a thread: %s", rc_text(rc));
		return (rc);
	}
	control_address_make(svc);
	listeners = listeners_make(svc, svc->settings, &n);
	config = server_config(svc, svc->settings, listeners, n);
	rc = http_server_start(&config, why, &server);
	free(listeners);
	if (rc != RC_OK)
		return (rc);
	atomic_store(&svc->server, server);
	rc = service_background_start(svc);
	if (rc == RC_OK)
		rc = service_previews_start(svc);
	if (rc == RC_OK)
		rc = service_lifecycle_start(svc);
	if (rc == RC_OK)
		rc = mirrors_start(svc->mirrors);
	if (rc == RC_OK)
		rc = backfills_start(svc->backfills);
	if (rc == RC_OK)
		rc = service_scan_start(svc);
	if (rc != RC_OK) {
		(void)snprintf(why, SERVICE_WHY_BYTES,
		    "cannot start a thread: %s", rc_text(rc));
		return (rc);
	}
	listeners_say(svc, server);
	return (RC_OK);
}

static enum rc
server_reload(
    struct service *svc, struct settings *s, char why[SERVICE_WHY_BYTES])
{
	struct http_listener_config *listeners;
	struct http_server_config config;
	size_t n;
	enum rc rc;

	listeners = listeners_make(svc, s, &n);
	config = server_config(svc, s, listeners, n);
	rc = http_server_reload(atomic_load(&svc->server), &config, why);
	free(listeners);
	return (rc);
}

/* All that can fail comes before all that changes something. */
enum rc
service_reload(
    struct service *svc, struct settings *s, char why[SERVICE_WHY_BYTES])
{
	struct audit_target *target = NULL;
	struct auth_reload *identities;
	enum rc rc;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	if ((rc = service_identities_prepare(svc, s, why, &identities)) !=
	    RC_OK)
		return (rc);
	if ((rc = audit_target(s, why, &target)) == RC_OK)
		rc = service_credentials_seal(svc, s, why);
	if (rc == RC_OK)
		rc = service_keys_prepare(svc, s, why);
	if (rc == RC_OK)
		rc = server_reload(svc, s, why);
	if (rc != RC_OK) {
		audit_target_drop(&target);
		auth_reload_abort(&identities);
		return (rc);
	}
	if (identities != NULL)
		auth_reload_commit(svc->auth, &identities);
	settings_swap(svc, s);
	gc_grace_set(svc->store, s->gc_grace_ms);
	store_undelete_set(svc->store, s->lifecycle.undelete_ms);
	service_keys_default(svc, s);
	audit_reopen(svc->audit, &target);
	service_mirror_reload(svc, s);
	service_lifecycle_wake(svc);
	return (RC_OK);
}

void
service_stop(struct service *svc)
{
	struct http_server *server;
	struct store *store;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	store = svc->store;
	atomic_store(&svc->stopping, true);
	/* Handlers look at the pointer until the last of them has ended. */
	server = atomic_load(&svc->server);
	service_scan_stop_begin(svc);
	service_mirror_stop_begin(svc);
	http_server_stop(&server, svc->settings->shutdown_ms);
	atomic_store(&svc->server, NULL);
	service_mirror_stop(svc);
	service_scan_stop(svc);
	service_lifecycle_stop(svc);
	service_previews_stop(svc);
	service_background_stop(svc);
	if (svc->auth != NULL)
		auth_flush(svc->auth);
	service_fini(svc);
	store_close(&store);
}
