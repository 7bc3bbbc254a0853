#include "registryd/service.h"

#include <stdio.h>
#include <malloc.h>
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
#include "registryd/api/service.h"
#include "registryd/dispatch.h"
#include "registryd/jobs.h"
#include "registryd/policy_cache.h"
#include "registryd/route.h"
#include "storage/repositories.h"
#include "storage/upload.h"

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
	mutex_init(&svc->lock);
	cond_init(&svc->wake);
	svc->jobs = jobs_new(store);
	svc->decisions = decide_cache_new();
	svc->policies = policy_cache_new();
}

void
service_fini(struct service *svc)
{
	OBJ_CHECK(svc, SERVICE_MAGIC);
	jobs_free(&svc->jobs);
	auth_close(&svc->auth);
	decide_cache_free(&svc->decisions);
	policy_cache_free(&svc->policies);
	settings_unref(&svc->settings);
	free(svc->control_address);
	must(pthread_cond_destroy(&svc->wake) == 0);
	must(pthread_mutex_destroy(&svc->lock) == 0);
	svc->magic = 0;
}

/* --- opening ------------------------------------------------------------- */

/* Threads that read the store: loops, workers, and the few of our own. */
static unsigned
reading_threads(const struct settings *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned loops = s->loops;

	if (loops == 0)
		loops = cores > 0 ? (unsigned)cores : 1;
	return (loops + s->workers + 8);
}

/* --- identities ---------------------------------------------------------- */

#define MASTER_KEY_ENV "REGISTRYD_MASTER_KEY"

/* ${file} belongs to the caller. */
static struct auth_options
auth_options(struct service *svc, const struct settings *s, char **file)
{
	*file = s->master_key_file[0] != '\0'
		    ? xstrdup(s->master_key_file)
		    : xasprintf("%s/master.key", s->data);
	return ((struct auth_options){
	    .meta = store_meta(svc->store),
	    .account_id = s->account_id,
	    .region = s->region,
	    .workers = s->workers,
	    .master_key_file = *file,
	    .master_key_text = getenv(MASTER_KEY_ENV),
	    .htpasswd_file = s->htpasswd_file,
	    .htpasswd_policies = s->htpasswd_policies,
	    .n_htpasswd_policies = s->n_htpasswd_policies,
	});
}

static enum rc
identities_open(struct service *svc, char why[SERVICE_WHY_BYTES])
{
	const struct settings *s = svc->settings;
	struct auth_options options;
	char *key_file, *credentials;
	enum rc rc;

	options = auth_options(svc, s, &key_file);
	credentials = xasprintf("%s/admin-credentials", s->data);
	rc = auth_open(&options, why, &svc->auth);
	if (rc == RC_OK)
		rc = auth_first_admin(
		    svc->auth, credentials, s->region, &svc->admin_made, why);
	free(key_file);
	free(credentials);
	return (rc);
}

/* *${reload_r} NULL: there is nothing to be reloaded. */
static enum rc
identities_prepare(struct service *svc, const struct settings *s,
    char why[SERVICE_WHY_BYTES], struct auth_reload **reload_r)
{
	struct auth_options options;
	char *key_file;
	enum rc rc;

	*reload_r = NULL;
	if (svc->auth == NULL)
		return (RC_OK);
	options = auth_options(svc, s, &key_file);
	rc = auth_reload_prepare(svc->auth, &options, why, reload_r);
	free(key_file);
	return (rc);
}

/* A person has just started their first registry: what to type next. */
static void
admin_say(const struct service *svc, const char *url)
{
	const char *data = svc->settings->data;

	if (!svc->admin_made)
		return;
	log_info("made the administrator \"admin\" of account %s; the "
		 "credentials are in %s/admin-credentials",
	    svc->settings->account_id, data);
	log_info("log in:  AWS_SHARED_CREDENTIALS_FILE=%s/admin-credentials "
		 "aws --region %s --endpoint-url %s ecr get-login-password | "
		 "docker login --username AWS --password-stdin %s",
	    data, svc->settings->region, url,
	    strstr(url, "://") != NULL ? strstr(url, "://") + 3 : url);
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
		.upload_sessions_max = s->upload_sessions,
		.upload_lifetime_ms = s->upload_lifetime_ms,
		.max_threads = reading_threads(s),
	};
	struct store *store;
	enum rc rc;

	if ((rc = store_open(&options, why, &store)) != RC_OK)
		return (rc);
	service_init(svc, store, s);
	if (s->auth == AUTH_TOKEN)
		rc = identities_open(svc, why);
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
	admin_say(svc, http_server_url(server, 0));
}

/* --- the background thread ----------------------------------------------- */

#define ROUND_MS 1000L
#define EXPIRE_BUDGET 256
#define EXPIRE_MIN_MS 1000
#define EXPIRE_MAX_MS 60000
#define FLUSH_MS 10000
#define PURGE_BUDGET 500
#define PURGE_MS 200 /* in one round, which has other things to do */

#define NS_PER_MS ((int64_t)1000000)

/* A quarter of the lifetime is soon enough, a minute for long ones. */
static int64_t
expire_pause_ms(int64_t lifetime_ms)
{
	if (lifetime_ms / 4 > EXPIRE_MAX_MS)
		return (EXPIRE_MAX_MS);
	if (lifetime_ms / 4 < EXPIRE_MIN_MS)
		return (EXPIRE_MIN_MS);
	return (lifetime_ms / 4);
}

/* A round that used up its budget is followed by another one soon. */
static int64_t
uploads_expire(struct service *svc, int64_t pause_ms)
{
	unsigned n = 0;

	if (store_failed(svc->store) ||
	    upload_expire(svc->store, clock_real_ms(), EXPIRE_BUDGET, &n) !=
		RC_OK)
		return (pause_ms);
	if (n > 0)
		log_info("removed %u unfinished upload%s that nobody touched",
		    n, n == 1 ? "" : "s");
	return (n < EXPIRE_BUDGET ? pause_ms : EXPIRE_MIN_MS);
}

/* What a burst left in the heap; main.c keeps some for the next one. */
static void
memory_return(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

/* A batch at a time: others commit between. */
bool
service_purge(struct service *svc, int64_t budget_ms)
{
	int64_t end_ns = clock_mono_ns() + budget_ms * NS_PER_MS;
	bool more;

	do {
		if (store_failed(svc->store) || atomic_load(&svc->stopping))
			return (false);
		if (meta_repository_purge(
			store_meta(svc->store), PURGE_BUDGET, &more) != RC_OK)
			return (false);
	} while (more && clock_mono_ns() < end_ns);
	return (more);
}

struct rounds {
	int64_t expire_pause_ms, expire_at_ns, flush_at_ns;
};

static void
background_round(struct service *svc, struct rounds *r)
{
	int64_t now_ns = clock_mono_ns();

	if (svc->auth != NULL)
		auth_refresh(svc->auth);
	(void)service_purge(svc, PURGE_MS);
	if (now_ns >= r->flush_at_ns && svc->auth != NULL) {
		auth_flush(svc->auth);
		r->flush_at_ns = now_ns + FLUSH_MS * NS_PER_MS;
	}
	if (now_ns >= r->expire_at_ns) {
		r->expire_at_ns =
		    now_ns +
		    uploads_expire(svc, r->expire_pause_ms) * NS_PER_MS;
		memory_return();
	}
}

static void
background_main(void *arg)
{
	struct service *svc = arg;
	struct rounds r;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	mutex_lock(&svc->lock);
	r.expire_pause_ms = expire_pause_ms(svc->settings->upload_lifetime_ms);
	r.expire_at_ns = r.flush_at_ns =
	    clock_mono_ns() + r.expire_pause_ms * NS_PER_MS;
	while (!svc->background_stop) {
		if (cond_wait_ms(&svc->wake, &svc->lock, ROUND_MS))
			continue;
		mutex_unlock(&svc->lock);
		background_round(svc, &r);
		mutex_lock(&svc->lock);
	}
	mutex_unlock(&svc->lock);
}

static void
background_stop(struct service *svc)
{
	if (!svc->background_runs)
		return;
	mutex_lock(&svc->lock);
	svc->background_stop = true;
	must(pthread_cond_signal(&svc->wake) == 0);
	mutex_unlock(&svc->lock);
	thread_join(svc->background);
	svc->background_runs = false;
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
	control_address_make(svc);
	listeners = listeners_make(svc, svc->settings, &n);
	config = server_config(svc, svc->settings, listeners, n);
	rc = http_server_start(&config, why, &server);
	free(listeners);
	if (rc != RC_OK)
		return (rc);
	atomic_store(&svc->server, server);
	rc = thread_start("background", background_main, svc, &svc->background);
	if (rc != RC_OK) {
		(void)snprintf(why, SERVICE_WHY_BYTES,
		    "cannot start a thread: %s", rc_text(rc));
		return (rc);
	}
	svc->background_runs = true;
	listeners_say(svc, server);
	return (RC_OK);
}

enum rc
service_reload(
    struct service *svc, struct settings *s, char why[SERVICE_WHY_BYTES])
{
	struct http_listener_config *listeners;
	struct http_server_config config;
	struct auth_reload *identities;
	size_t n;
	enum rc rc;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	if ((rc = identities_prepare(svc, s, why, &identities)) != RC_OK)
		return (rc);
	listeners = listeners_make(svc, s, &n);
	config = server_config(svc, s, listeners, n);
	rc = http_server_reload(atomic_load(&svc->server), &config, why);
	free(listeners);
	if (rc != RC_OK) {
		auth_reload_abort(&identities);
		return (rc);
	}
	if (identities != NULL)
		auth_reload_commit(svc->auth, &identities);
	settings_swap(svc, s);
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
	http_server_stop(&server, svc->settings->shutdown_ms);
	atomic_store(&svc->server, NULL);
	background_stop(svc);
	if (svc->auth != NULL)
		auth_flush(svc->auth);
	service_fini(svc);
	store_close(&store);
}
