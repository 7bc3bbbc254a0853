#ifndef REGISTRYD_SERVICE_H
#define REGISTRYD_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "registryd/http/server.h"
#include "registryd/settings.h"
#include "storage/lifecycles.h"
#include "storage/store.h"

/*
 * The running server: what every request needs beside itself.  One object
 * for the life of the process; its address is the `arg` of the application
 * that hangs on the HTTP server.
 *
 *	main -> service_open -> service_serve -> [service_reload]... ->
 *	service_stop
 *
 * These five are called by the main thread.  The store never changes.  The
 * settings are a counted snapshot that a reload replaces; a request takes a
 * reference when it begins and gives it back when it ends.
 */
#define SERVICE_MAGIC 0x53525643u
#define SERVICE_WHY_BYTES 1024
#define SERVICE_FORMS_FROM 1024

struct jobs;
struct auth;
struct decide_cache;
struct policy_cache;

struct service {
	unsigned magic;
	struct store *store;
	struct auth *auth; /* NULL: `auth: none` */
	struct decide_cache *decisions;
	struct policy_cache *policies;	    /* of repositories */
	struct http_server *_Atomic server; /* NULL until it has started */
	struct jobs *jobs;  /* long work that registryctl asked for */
	int64_t started_ms; /* calendar */
	bool admin_made;    /* this start made the account's administrator */
	_Atomic bool stopping;
	/* Forms of the token endpoint on their way: in all, and by address. */
	_Atomic unsigned forms, forms_from[SERVICE_FORMS_FROM];

	/* Private to service.c. */
	pthread_mutex_t lock; /* over all below */
	struct settings *settings;
	pthread_cond_t wake;
	pthread_t background;
	bool background_runs, background_stop;
	pthread_cond_t previews_wake;
	pthread_t lifecycle;
	bool lifecycle_runs, previews_due;
	_Atomic bool lifecycle_stop; /* without the lock too */
	char *control_address;	     /* "unix:DIR/control.sock", or NULL */
};

/**
 * service_init(svc, store, settings):
 * A service around an open store, without a server yet; takes a reference of
 * ${settings} of its own and borrows ${store}.
 */
void service_init(struct service *, struct store *, struct settings *);

/** service_fini(svc): what service_init took. */
void service_fini(struct service *);

/**
 * service_settings(svc):
 * The settings of now; the caller owns the reference.  Any thread.
 */
struct settings *service_settings(struct service *);

/**
 * service_open(svc, settings, why):
 * Open the store, service_init.  The codes of store_open; ${why} says what to
 * do.
 */
RC_MUST_USE enum rc
service_open(struct service *, struct settings *, char why[SERVICE_WHY_BYTES]);

/**
 * service_serve(svc, why):
 * Start listeners, loops, workers and the threads of our own; say in the log
 * where each listener is.  The codes of http_server_start.
 */
RC_MUST_USE enum rc
service_serve(struct service *, char why[SERVICE_WHY_BYTES]);

/**
 * service_reload(svc, settings, why):
 * Go over to ${settings}, of which it takes a reference: certificates,
 * limits, logs.  Keys that need a restart keep their old values, and the log
 * says which.  On failure all stays as it was.
 */
RC_MUST_USE enum rc service_reload(
    struct service *, struct settings *, char why[SERVICE_WHY_BYTES]);

/**
 * service_purge(svc, budget_ms):
 * Remove rows of deleted repositories, at least one batch and then until that
 * time is up; true: there are more.  The background thread.
 */
bool service_purge(struct service *, int64_t budget_ms);

/**
 * service_scans_end(svc, budget_ms):
 * End scans of images that were started: at least one and then until that time
 * is up.  The background thread.
 */
void service_scans_end(struct service *, int64_t budget_ms);

/**
 * service_previews_run(svc):
 * Evaluate previews of lifecycle policies until none is in progress, or the
 * server stops.  False: the store would not take how one ended; later again.
 * The lifecycle thread.
 */
bool service_previews_run(struct service *);

/**
 * service_previews_wake(svc):
 * A preview was started: have it evaluated soon.  Any thread.
 */
void service_previews_wake(struct service *);

/**
 * service_previews_sweep(svc, sweep, budget_ms):
 * Let go of previews that are a day old, and of results that do not count any
 * more: from where ${sweep} stands, at least one batch and then until that time
 * is up.  True: it is not through.  The background thread.
 */
bool service_previews_sweep(
    struct service *, struct preview_sweep *, int64_t budget_ms);

struct seal_key;
/**
 * service_seal_key(svc):
 * Under which what clients carry for us (positions in lists, download URLs) is
 * sealed.  Without authentication everybody may have everything, and a key
 * that is known does.  Any thread.
 */
const struct seal_key *service_seal_key(const struct service *);

/**
 * service_stop(svc):
 * Accept no more, let requests end within shutdown-timeout, cancel jobs,
 * close the store, service_fini.  Also after a failed service_serve.
 */
void service_stop(struct service *);

#endif
