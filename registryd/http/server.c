#include "registryd/http/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/http/conn_int.h"

#define WORKERS_DEFAULT 32
#define BUFFERS_DEFAULT 32
#define WORKER_IDLE_MS 10000

/* Descriptors for everything but connections and what they open. */
#define OWN_DESCRIPTORS 256
/* With fewer the process itself would not get by. */
#define LEAST_DESCRIPTORS 48

static unsigned
cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return (n > 0 ? (unsigned)n : 1);
}

static rlim_t
descriptors_raise(rlim_t want)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (0);
	if (rl.rlim_cur >= want)
		return (rl.rlim_cur);
	if (rl.rlim_max < want && rl.rlim_max != RLIM_INFINITY) {
		/* The superuser may raise that one too. */
		struct rlimit more = { want, want };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return (want);
		want = rl.rlim_max;
	}
	rl.rlim_cur = want;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	(void)getrlimit(RLIMIT_NOFILE, &rl);
	return (rl.rlim_cur);
}

/* A connection may need two descriptors, its own and a file's.  Where there
 * are few, one half is for connections. */
static unsigned
connections_carried(rlim_t have)
{
	rlim_t own = have / 2 < OWN_DESCRIPTORS ? have / 2 : OWN_DESCRIPTORS;

	return ((unsigned)((have - own) / 2));
}

static enum rc
raise_limits(struct http_server *s, const struct http_limits *l, char *why)
{
	unsigned connections = l->connections;
	rlim_t have;

	have = descriptors_raise(2 * (rlim_t)connections + OWN_DESCRIPTORS);
	if (have < LEAST_DESCRIPTORS) {
		(void)snprintf(why, HTTP_WHY_BYTES,
		    "the limit of open files, %llu, is too low",
		    (unsigned long long)have);
		return (RC_LIMIT);
	}
	if (connections_carried(have) < connections)
		connections = connections_carried(have);
	if (connections < l->connections &&
	    connections != atomic_load(&s->max_connections))
		log_warn("the limit of open files, %llu, carries only %u of "
			 "%u connections (limits.connections)",
		    (unsigned long long)have, connections, l->connections);
	atomic_store(&s->max_connections, connections);
	return (RC_OK);
}

static void
listener_config_copy(
    struct http_listener_config *to, const struct http_listener_config *from)
{
	*to = *from;
	to->address = xstrdup(from->address);
	to->cert_file = to->key_file = to->client_ca_file = NULL;
}

static char *
url_of(const struct http_listener_config *config, const struct listener *l)
{
	const char *name = listener_name(l);

	if (strncmp(name, "unix:", 5) == 0)
		return (xstrdup(name));
	return (xasprintf("%s://%s", config->tls ? "https" : "http", name));
}

static enum rc
open_listeners(struct http_server *s, const struct http_server_config *config,
    char why[HTTP_WHY_BYTES])
{
	size_t i, n = config->n_listeners;
	struct http_listener_config *l;
	enum rc rc;

	s->configs = xcalloc(n + 1, sizeof(*s->configs));
	s->listeners = xcalloc(n + 1, sizeof(struct listener *));
	s->urls = xcalloc(n + 1, sizeof(char *));
	s->n_listeners = n;
	for (i = 0; i < n; i++) {
		l = &s->configs[i];
		listener_config_copy(l, &config->listeners[i]);
		rc = listener_open(l->address, l->same_user_only, why,
		    HTTP_WHY_BYTES, &s->listeners[i]);
		if (rc != RC_OK)
			return (rc);
		s->urls[i] = url_of(l, s->listeners[i]);
	}
	return (RC_OK);
}

static enum rc
start_workers(struct http_server *s, const struct http_server_config *config)
{
	struct workers_config handlers = {
		.name = "worker",
		.max = config->workers > 0 ? config->workers : WORKERS_DEFAULT,
		.idle_ms = WORKER_IDLE_MS,
	};
	struct workers_config lanes = {
		.name = "lane",
		.max = cores() + 2,
		/* Hashing may take all cores; answering comes first. */
		.background = true,
		.idle_ms = WORKER_IDLE_MS,
	};
	enum rc rc;

	if ((rc = workers_new(&handlers, &s->workers)) != RC_OK)
		return (rc);
	return (workers_new(&lanes, &s->lanes));
}

static enum rc
start_hubs(struct http_server *s, unsigned n)
{
	enum rc rc = RC_OK;
	unsigned i;

	s->n_hubs = n;
	s->hubs = xcalloc(n, sizeof(*s->hubs));
	for (i = 0; i < n && rc == RC_OK; i++)
		rc = hub_init(&s->hubs[i], s, i);
	if (rc != RC_OK)
		return (rc);
	for (i = 0; i < n && rc == RC_OK; i++)
		rc = hub_start(&s->hubs[i]);
	/* From here on a hub that is there has a thread. */
	while (rc != RC_OK && s->n_hubs > 0 && !s->hubs[s->n_hubs - 1].started)
		hub_fini(&s->hubs[--s->n_hubs]);
	return (rc);
}

enum rc
http_server_start(const struct http_server_config *config,
    char why[HTTP_WHY_BYTES], struct http_server **server_r)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	enum rc rc;

	s->magic = SERVER_MAGIC;
	s->app = config->app;
	s->uid = geteuid();
	mutex_init(&s->lock);
	cond_init(&s->change);
	s->caps = caps_new();
	s->buffers = bufpool_new(config->limits.upload_buffers > 0
				     ? config->limits.upload_buffers
				     : BUFFERS_DEFAULT);
	(void)snprintf(why, HTTP_WHY_BYTES, "cannot start the server");
	if ((rc = conf_new(config, why, &s->conf)) != RC_OK)
		goto err;
	if ((rc = raise_limits(s, &config->limits, why)) != RC_OK)
		goto err;
	if ((rc = open_listeners(s, config, why)) != RC_OK)
		goto err;
	if ((rc = start_workers(s, config)) != RC_OK)
		goto err;
	rc = start_hubs(s, config->loops > 0 ? config->loops : cores());
	if (rc != RC_OK)
		goto err;
	why[0] = '\0';
	*server_r = s;
	return (RC_OK);

err:
	http_server_stop(&s, 0);
	*server_r = NULL;
	return (rc);
}

const char *
http_server_url(const struct http_server *s, size_t i)
{
	OBJ_CHECK(s, SERVER_MAGIC);
	must(i < s->n_listeners);
	return (s->urls[i]);
}

static bool
same_protocol(
    const struct tls_context *now, const struct http_listener_config *fresh)
{
	if (now == NULL || !fresh->tls)
		return (now == NULL && !fresh->tls);
	return (tls_context_asks(now) == (fresh->client_ca_file != NULL));
}

/* The old listeners with what may change about them. */
static enum rc
reload_conf(struct http_server *s, const struct http_server_config *config,
    char why[HTTP_WHY_BYTES], struct conf **conf_r)
{
	size_t i;

	if (config->n_listeners != s->n_listeners) {
		(void)snprintf(why, HTTP_WHY_BYTES,
		    "listeners cannot be changed by a reload");
		return (RC_INVALID);
	}
	for (i = 0; i < s->n_listeners; i++) {
		if (same_protocol(s->conf->tls[i], &config->listeners[i]))
			continue;
		(void)snprintf(why, HTTP_WHY_BYTES,
		    "%s: a reload cannot turn TLS, or certificates of clients, "
		    "on or off",
		    s->configs[i].address);
		return (RC_INVALID);
	}
	return (conf_new(config, why, conf_r));
}

enum rc
http_server_reload(struct http_server *s,
    const struct http_server_config *config, char why[HTTP_WHY_BYTES])
{
	struct conf *conf, *old;
	enum rc rc;

	OBJ_CHECK(s, SERVER_MAGIC);
	if ((rc = reload_conf(s, config, why, &conf)) != RC_OK)
		return (rc);
	if ((rc = raise_limits(s, &config->limits, why)) != RC_OK) {
		conf_drop(&conf);
		return (rc);
	}
	old = s->conf;
	s->conf = conf;
	hub_call_all(s, hub_reload);
	conf_drop(&old);
	if (config->workers > 0)
		workers_resize(s->workers, config->workers);
	return (RC_OK);
}

/* Until all connections are gone, or ${until_ns}. */
static bool
wait_empty(struct http_server *s, int64_t until_ns)
{
	int64_t left_ms;
	bool empty;

	mutex_lock(&s->lock);
	while (!(empty = atomic_load(&s->connections) == 0)) {
		left_ms = (until_ns - clock_mono_ns()) / 1000000;
		if (left_ms <= 0)
			break;
		(void)cond_wait_ms(&s->change, &s->lock, (long)left_ms);
	}
	mutex_unlock(&s->lock);
	return (empty);
}

/* Whoever woke an exchange is no thread of ours, and may still be on its way
 * out of the loop that it posted to. */
static void
wait_wakers(struct http_server *s)
{
	const struct timespec nap = { .tv_nsec = 100000 };

	while (atomic_load(&s->parked) > 0)
		(void)nanosleep(&nap, NULL);
}

/* The threads run: let the connections end, then the threads. */
static void
stop_hubs(struct http_server *s, int64_t timeout_ms)
{
	int64_t until_ns = clock_mono_ns() + timeout_ms * 1000000;
	unsigned i;

	atomic_store(&s->stopping, true);
	hub_call_all(s, hub_stop);
	if (!wait_empty(s, until_ns)) {
		log_warn(
		    "cutting %u connections off", atomic_load(&s->connections));
		hub_call_all(s, hub_cut);
		/* What workers do for them has to end, and who waits has to be
		 * woken; the rest is gone. */
		while (!wait_empty(s, INT64_MAX))
			;
	}
	hub_call_all(s, hub_quit);
	for (i = 0; i < s->n_hubs; i++)
		thread_join(s->hubs[i].thread);
	wait_wakers(s);
}

static void
listeners_free(struct http_server *s)
{
	size_t i;

	for (i = 0; i < s->n_listeners; i++) {
		listener_close(&s->listeners[i]);
		free((char *)(uintptr_t)s->configs[i].address);
		free(s->urls[i]);
	}
	free(s->listeners);
	free(s->configs);
	free(s->urls);
}

void
http_server_stop(struct http_server **sp, int64_t timeout_ms)
{
	struct http_server *s = *sp;
	unsigned i;

	*sp = NULL;
	if (s == NULL)
		return;
	OBJ_CHECK(s, SERVER_MAGIC);
	if (s->n_hubs > 0 && s->hubs[0].started)
		stop_hubs(s, timeout_ms);
	workers_free(&s->workers);
	workers_free(&s->lanes);
	for (i = 0; i < s->n_hubs; i++)
		hub_fini(&s->hubs[i]);
	free(s->hubs);
	listeners_free(s);
	bufpool_free(&s->buffers);
	caps_free(&s->caps);
	conf_drop(&s->conf);
	pthread_cond_destroy(&s->change);
	pthread_mutex_destroy(&s->lock);
	s->magic = 0;
	free(s);
}

static void
stats_of_hub(const struct hub *h, struct http_server_stats *st)
{
	st->connections += atomic_load(&h->stats.connections);
	st->connections_idle += atomic_load(&h->stats.idle);
	st->uploads_streaming += atomic_load(&h->stats.streaming);
	st->accepted += atomic_load(&h->stats.accepted);
	st->refused_limit += atomic_load(&h->stats.refused);
	st->tls_handshakes += atomic_load(&h->stats.handshakes);
	st->tls_failures += atomic_load(&h->stats.handshake_failures);
}

void
http_server_stats(const struct http_server *s, struct http_server_stats *st_r)
{
	unsigned i;

	OBJ_CHECK(s, SERVER_MAGIC);
	*st_r = (struct http_server_stats){ 0 };
	for (i = 0; i < s->n_hubs; i++)
		stats_of_hub(&s->hubs[i], st_r);
	bufpool_stats(s->buffers, &st_r->buffers_used, &st_r->buffers_waiting);
	st_r->worker_queue =
	    workers_queued(s->workers) + workers_queued(s->lanes);
}
