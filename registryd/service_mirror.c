#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache.h"
#include "mirror/fetch.h"
#include "mirror/replicate.h"
#include "mirror/secrets.h"
#include "mirror/upstream.h"
#include "registryd/audit.h"
#include "registryd/backfills.h"
#include "registryd/cache_rules.h"
#include "registryd/mirrors.h"
#include "registryd/replication.h"
#include "registryd/scanning.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "registryd/settings.h"

/*
 * All that talks to other registries: put together, configured, and taken
 * apart.
 */
#define NS_PER_MS ((int64_t)1000000)

/* Of shutdown-timeout, before which requests may wait for upstreams. */
#define GIVE_UP_PARTS 5
#define GIVE_UP_OF 4

/* --- what is configured of an upstream ----------------------------------- */

static void
configure(
    void *arg, const char *url, struct arena *arena, struct upstream_options *o)
{
	struct service *svc = arg;
	struct settings *s = service_settings(svc);
	const struct upstream_setting *u = settings_upstream(s, url);
	const char *ca = u != NULL ? u->ca_file : s->upstream.ca_file;
	const char *proxy = u != NULL ? u->proxy : s->upstream.proxy;

	o->connections = s->upstream.connections;
	o->connect_ms = s->upstream.connect_ms;
	o->stall_ms = s->upstream.stall_ms;
	if (ca[0] != '\0')
		o->ca_file = arena_dup(arena, ca, strlen(ca));
	if (proxy != NULL)
		o->proxy = arena_dup(arena, proxy, strlen(proxy));
	if (u != NULL) {
		o->connections = u->connections;
		o->requests_per_second = u->requests_per_second;
		o->bytes_per_second = u->bytes_per_second;
	}
	settings_unref(&s);
}

/* Without a name those of the registry itself. */
static enum rc
credential(void *arg, const char *url, struct span name, struct credential *c_r)
{
	struct service *svc = arg;

	*c_r = (struct credential){ 0 };
	if (svc->secrets == NULL)
		return (RC_NOTFOUND);
	return (
	    secrets_get(svc->secrets, name.n > 0 ? name : span_of(url), c_r));
}

/* --- credentials of the configuration ------------------------------------ */

static char *
text_or_null(const char *text)
{
	return (text[0] != '\0' ? (char *)(uintptr_t)text : NULL);
}

/* Its texts are the settings'. */
static bool
row_of(const struct upstream_setting *u, struct secret_row *row)
{
	*row = (struct secret_row){ .name = span_of(u->url) };
	if (u->secret_access_key != NULL) {
		row->credential = (struct credential){
			.kind = CREDENTIAL_AWS,
			.username = text_or_null(u->access_key_id),
			.password = u->secret_access_key,
			.region = text_or_null(u->region),
		};
		return (true);
	}
	row->credential = (struct credential){
		.kind = CREDENTIAL_PASSWORD,
		.username = text_or_null(u->username),
		.password = u->password,
	};
	return (u->password != NULL);
}

enum rc
service_credentials_seal(
    struct service *svc, struct settings *s, char why[SERVICE_WHY_BYTES])
{
	struct secret_row *rows = xcalloc(s->n_upstreams + 1, sizeof(*rows));
	char reason[SECRETS_WHY_BYTES];
	size_t i, n = 0;
	enum rc rc;

	for (i = 0; i < s->n_upstreams; i++)
		n += row_of(&s->upstreams[i], &rows[n]);
	rc = secrets_configure(svc->secrets, rows, n, reason);
	free(rows);
	settings_credentials_wipe(s);
	if (rc != RC_OK)
		(void)snprintf(why, SERVICE_WHY_BYTES, "upstreams: %s", reason);
	return (rc);
}

/* --- what is told -------------------------------------------------------- */

static void
imported(void *arg, struct span repository, const struct digest *d,
    struct span tag, struct span from)
{
	struct service *svc = arg;
	const struct audit_event event = {
		.kind = AUDIT_CACHE_IMPORT,
		.repository = repository,
		.digest = d,
		.tags_known = tag.n > 0,
		.tags = &tag,
		.n_tags = tag.n > 0,
		.from = from,
	};

	OBJ_CHECK(svc, SERVICE_MAGIC);
	audit_write(svc->audit, &event);
	service_evict_soon(svc);
}

static void
evicted(
    void *arg, struct span repository, const struct digest *d, uint64_t bytes)
{
	struct service *svc = arg;
	const struct audit_event event = {
		.kind = AUDIT_CACHE_EVICT,
		.repository = repository,
		.digest = d,
		.bytes = bytes,
	};

	OBJ_CHECK(svc, SERVICE_MAGIC);
	audit_write(svc->audit, &event);
}

static bool
scans(void *arg, struct span repository)
{
	struct service *svc = arg;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	return (scanning_on_push(store_meta(svc->store), repository));
}

static bool
destination(
    void *arg, struct span name, char url_r[512], char credential_r[512])
{
	struct service *svc = arg;
	const struct replication_setting *d;
	struct settings *s;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	s = service_settings(svc);
	if ((d = settings_destination(s, name)) != NULL) {
		(void)snprintf(url_r, 512, "%s", d->url);
		(void)snprintf(credential_r, 512, "%s", d->credential);
	}
	settings_unref(&s);
	return (d != NULL);
}

static void
replicated(void *arg, struct span repository, const struct digest *d,
    struct span tag, struct span to, bool sent, const char *why)
{
	struct service *svc = arg;
	const struct audit_event event = {
		.kind = AUDIT_REPLICATE,
		.repository = repository,
		.digest = d,
		.tags_known = tag.n > 0,
		.tags = &tag,
		.n_tags = tag.n > 0,
		.to = to,
		.outcome = sent ? SPAN("sent") : SPAN("failed"),
		.why = sent ? SPAN_NONE : span_of(why),
	};
	char digest[DIGEST_STR_BYTES];

	OBJ_CHECK(svc, SERVICE_MAGIC);
	atomic_fetch_add(
	    sent ? &svc->counts.replicated : &svc->counts.replications_failed,
	    1);
	if (!sent)
		log_warn("replication: " SPAN_FMT
			 "@%s does not get to " SPAN_FMT ": %s",
		    SPAN_ARG(repository), digest_str(d, digest), SPAN_ARG(to),
		    why);
	audit_write(svc->audit, &event);
}

/* --- starting ------------------------------------------------------------ */

void
service_mirror_init(struct service *svc)
{
	struct meta *meta = svc->store != NULL ? store_meta(svc->store) : NULL;

	svc->cache_rules = cache_rules_new(meta);
	svc->replication = replication_new(meta);
	svc->backfills = backfills_new(svc);
	svc->mirrors = mirrors_new(svc);
	mutex_init(&svc->evict_lock);
	cond_init(&svc->evict_wake);
	cond_init(&svc->evict_pause);
	cond_init(&svc->giving_end);
}

void
service_mirror_fini(struct service *svc)
{
	mirrors_free(&svc->mirrors);
	backfills_free(&svc->backfills);
	replication_free(&svc->replication);
	cache_rules_free(&svc->cache_rules);
	secrets_close(&svc->secrets);
	must(pthread_cond_destroy(&svc->giving_end) == 0);
	must(pthread_cond_destroy(&svc->evict_pause) == 0);
	must(pthread_cond_destroy(&svc->evict_wake) == 0);
	must(pthread_mutex_destroy(&svc->evict_lock) == 0);
}

enum rc
service_mirror_open(
    struct service *svc, struct settings *s, char why[SERVICE_WHY_BYTES])
{
	const struct secrets_options options = {
		.meta = store_meta(svc->store),
		.master_key_file = s->master_key_file,
		.master_key_text = getenv(SETTINGS_MASTER_KEY_VARIABLE),
	};
	char reason[SECRETS_WHY_BYTES];
	enum rc rc;

	rc = secrets_open(&options, reason, &svc->secrets);
	if (rc != RC_OK) {
		(void)snprintf(why, SERVICE_WHY_BYTES, "%s", reason);
		return (rc);
	}
	return (service_credentials_seal(svc, s, why));
}

static struct cache_settings
cache_settings_of(const struct settings *s)
{
	return ((struct cache_settings){
	    .negative_ms = s->cache.negative_ms,
	    .patience_ms = s->cache.patience_ms,
	    .max_bytes = s->cache.max_bytes,
	    .all_children = s->cache.all_children,
	    .manifest_bytes = s->manifest_bytes,
	});
}

static enum rc
upstreams_open(struct service *svc)
{
	struct upstreams_options options = {
		.user_agent = "registryd/" REGISTRYD_VERSION,
		.configure = configure,
		.credential = credential,
		.arg = svc,
	};
	enum rc rc;

	if ((rc = fetcher_new(&svc->fetcher)) != RC_OK)
		return (rc);
	options.fetcher = svc->fetcher;
	svc->upstreams = upstreams_new(&options);
	return (RC_OK);
}

static enum rc
cache_open(struct service *svc, const struct settings *s)
{
	const struct cache_options options = {
		.store = svc->store,
		.upstreams = svc->upstreams,
		.imported = imported,
		.evicted = evicted,
		.scan = scans,
		.arg = svc,
	};
	const struct cache_settings settings = cache_settings_of(s);

	return (cache_new(&options, &settings, &svc->cache));
}

static enum rc
replicator_open(struct service *svc, const struct settings *s)
{
	struct replicator_options options = {
		.store = svc->store,
		.upstreams = svc->upstreams,
		.destination = destination,
		.ended = replicated,
		.arg = svc,
		.give_up_ms = s->replication_give_up_ms,
	};

	(void)snprintf(svc->replication_marker, sizeof(svc->replication_marker),
	    REPLICATION_HEADER ": %s/%s", s->region, s->account_id);
	options.marker = svc->replication_marker;
	return (replicator_start(&options, &svc->replicator));
}

enum rc
service_mirror_start(struct service *svc)
{
	const struct settings *s = svc->settings;
	enum rc rc;

	if ((rc = upstreams_open(svc)) != RC_OK ||
	    (rc = cache_open(svc, s)) != RC_OK ||
	    (rc = replicator_open(svc, s)) != RC_OK)
		return (rc);
	return (service_evict_start(svc));
}

void
service_mirror_reload(struct service *svc, const struct settings *s)
{
	const struct cache_settings settings = cache_settings_of(s);

	if (svc->cache != NULL)
		cache_set(svc->cache, &settings);
	if (svc->upstreams != NULL)
		upstreams_forget(svc->upstreams);
	if (svc->replicator != NULL)
		replicator_wake(svc->replicator);
	if (svc->cache != NULL && service_evict_start(svc) != RC_OK)
		log_warn("cache.max-bytes: no thread to be had for it");
	service_evict_soon(svc);
	mirrors_wake(svc->mirrors);
}

/* --- stopping ------------------------------------------------------------ */

/* Once; whoever waits for an upstream is woken. */
static void
give_up(struct service *svc)
{
	if (svc->fetcher != NULL)
		fetcher_stop(svc->fetcher);
	if (svc->cache != NULL)
		cache_stop(svc->cache);
}

/* Until the server has stopped, or the time is nearly up. */
static void
giving_main(void *arg)
{
	struct service *svc = arg;
	int64_t end_ns, left_ms = 1;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	end_ns = clock_mono_ns() + svc->settings->shutdown_ms * NS_PER_MS *
				       GIVE_UP_OF / GIVE_UP_PARTS;
	mutex_lock(&svc->lock);
	while (svc->giving && left_ms > 0) {
		left_ms = (end_ns - clock_mono_ns()) / NS_PER_MS;
		if (left_ms > 0)
			(void)cond_wait_ms(
			    &svc->giving_end, &svc->lock, (long)left_ms);
	}
	mutex_unlock(&svc->lock);
	give_up(svc);
}

void
service_mirror_stop_begin(struct service *svc)
{
	mirrors_cancel(svc->mirrors);
	service_evict_cancel(svc);
	svc->giving = true;
	svc->giver_runs =
	    thread_start("shutdown", giving_main, svc, &svc->giver) == RC_OK;
	if (!svc->giver_runs)
		give_up(svc);
}

void
service_mirror_stop(struct service *svc)
{
	if (svc->giver_runs) {
		mutex_lock(&svc->lock);
		svc->giving = false;
		must(pthread_cond_signal(&svc->giving_end) == 0);
		mutex_unlock(&svc->lock);
		thread_join(svc->giver);
		svc->giver_runs = false;
	}
	service_evict_stop(svc);
	backfills_stop(svc->backfills);
	replicator_stop(&svc->replicator);
	mirrors_stop(svc->mirrors);
	cache_free(&svc->cache);
	upstreams_free(&svc->upstreams);
	fetcher_free(&svc->fetcher);
}
