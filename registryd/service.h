#ifndef REGISTRYD_SERVICE_H
#define REGISTRYD_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/name.h"
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

struct audit;
struct jobs;
struct auth;
struct decide_cache;
struct policy_cache;
struct fetcher;
struct upstreams;
struct cache;
struct cache_rules;
struct secrets;
struct replicator;
struct replication;
struct backfills;
struct mirrors;
struct scanner;

/* What happened since the start; times are of the calendar, 0: not yet. */
struct service_counts {
	_Atomic uint64_t collections, collections_failed;
	_Atomic uint64_t links, blobs, bytes; /* reclaimed */
	_Atomic int64_t collected_ms;
	/* Runs of lifecycle policies, of a repository each. */
	_Atomic uint64_t runs, runs_failed, runs_stopped;
	_Atomic uint64_t expired, archived; /* images */
	_Atomic int64_t ran_ms;		    /* a run was done */
	/* Images sent to a destination, or given up. */
	_Atomic uint64_t replicated, replications_failed;
	/* Scans that ended, and what was read for them: layers, and their
	 * bytes as they lie. */
	_Atomic uint64_t scans_completed, scans_failed, scans_unsupported;
	_Atomic uint64_t scan_layers, scan_bytes;
};

struct service {
	unsigned magic;
	struct store *store;
	struct auth *auth; /* NULL: `auth: none` */
	struct decide_cache *decisions;
	struct policy_cache *policies;	    /* of repositories */
	struct http_server *_Atomic server; /* NULL until it has started */
	struct jobs *jobs; /* collections, and what registryctl asked for */
	struct audit *audit;
	/* Of other registries; service_mirror.c.  All but .cache_rules,
	 * .replication and .mirrors NULL in tests that start no server. */
	struct fetcher *fetcher;
	struct upstreams *upstreams;
	struct cache *cache;
	struct cache_rules *cache_rules; /* of the pull through cache */
	struct secrets *secrets;	 /* credentials for upstreams */
	struct replicator *replicator;
	struct replication *replication; /* what is to be sent where */
	struct backfills *backfills;	 /* of replication */
	struct mirrors *mirrors;	 /* on a schedule */
	/* service_scan.c; NULL in tests that start no server. */
	struct scanner *scanner;
	struct service_counts counts;
	int64_t started_ms; /* calendar */
	bool admin_made;    /* this start made the account's administrator */
	_Atomic bool stopping;
	/* Forms of the token endpoint on their way: in all, and by address. */
	_Atomic unsigned forms, forms_from[SERVICE_FORMS_FROM];

	/* Private to service*.c. */
	_Atomic bool keys_open;	   /* the store has its master key */
	pthread_mutex_t keys_lock; /* while it is opened, or replaced */
	pthread_mutex_t lock;	   /* over all below */
	struct settings *settings;
	pthread_cond_t wake;
	pthread_t background;
	bool background_runs, background_stop, collect_due;
	pthread_cond_t previews_wake;
	pthread_t previews;
	bool previews_run, previews_due;
	pthread_cond_t lifecycle_wake;
	pthread_t lifecycle;
	bool lifecycle_runs, lifecycle_due;
	int64_t lifecycle_from_ns;  /* no policy is carried out by itself
				      before */
	int64_t lifecycle_again_ns; /* nor one that failed again */
	char lifecycle_now[NAME_REPOSITORY_MAX_BYTES + 1]; /* or "" */
	_Atomic bool lifecycle_stop; /* of both threads; without the lock too */
	char *control_address;	     /* "unix:DIR/control.sock", or NULL */
	pthread_cond_t evict_wake, evict_pause;
	pthread_mutex_t evict_lock; /* one at a time */
	pthread_t evict;
	bool evict_runs, evict_stop, evict_due;
	char replication_marker[96]; /* a header */
	pthread_cond_t giving_end;
	pthread_t giver; /* ends what waits for upstreams */
	bool giver_runs, giving;
};

/**
 * service_init(svc, store, settings):
 * A service around an open store, without a server and without an audit log
 * yet; takes a reference of ${settings} of its own and borrows ${store}.
 */
void service_init(struct service *, struct store *, struct settings *);

/** service_audit_open(svc, why): the audit log that the settings name.  RC_IO:
 * ${why} names the key. */
RC_MUST_USE enum rc
service_audit_open(struct service *, char why[SERVICE_WHY_BYTES]);

/** service_fini(svc): what service_init took. */
void service_fini(struct service *);

/**
 * service_settings(svc):
 * The settings of now; the caller owns the reference.  Any thread.
 */
struct settings *service_settings(struct service *);

/**
 * service_open(svc, settings, why):
 * Open the store, service_init, the audit log.  The codes of store_open;
 * ${why} says what to do.
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
 * service_scans_end(svc, budget_ms):
 * What the threads of the scanner do, without them: scan the images that wait,
 * and match those anew that advisories came for, until there are none or that
 * time is up.
 */
void service_scans_end(struct service *, int64_t budget_ms);

/** service_scan_wake(svc): a scan was started.  Any thread. */
void service_scan_wake(struct service *);
/** service_scan_advisories(svc): advisories were imported, or removed: images
 * that they are about are matched anew, in the background.  Any thread. */
void service_scan_advisories(struct service *);

struct service_scan_state {
	unsigned running;	     /* scans */
	unsigned waiting_for_layers; /* of images that come by the cache */
	bool matching;		     /* images with advisories that came */
	uint64_t matched;	     /* of them, since the start */
};
/** service_scan_state(svc, state_r): any thread. */
void service_scan_state(struct service *, struct service_scan_state *state_r);

/**
 * service_previews_run(svc):
 * Evaluate previews of lifecycle policies until none is in progress, or the
 * server stops.  False: the store would not take how one ended; later again.
 * The thread of previews.
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

/**
 * service_collect(svc, dry_run, out):
 * Start a collection that somebody asked for, or one that only looks, or join
 * it: jobs_gc().
 */
RC_MUST_USE enum rc
service_collect(struct service *, bool dry_run, struct buf *out);

/**
 * service_collect_soon(svc):
 * There is something for the collector that somebody waits for: have it begin,
 * or go through all once more.  Any thread; does not wait.
 */
void service_collect_soon(struct service *);

/**
 * service_lifecycle_wake(svc):
 * A run of lifecycle policies was asked for: jobs_run().  Any thread.
 */
void service_lifecycle_wake(struct service *);

/**
 * service_lifecycle_round(svc):
 * Carry out the lifecycle policies that somebody asked for, and, in the window,
 * those that are due; for how many milliseconds there is nothing to do then.
 * The lifecycle thread.
 */
int64_t service_lifecycle_round(struct service *);

/**
 * service_lifecycle_next(svc, settings, repo, basis_ms):
 * When the policy of a repository is carried out by itself, the window
 * considered; may be past, when it is about to be.  0: never.  Any thread.
 */
int64_t service_lifecycle_next(
    struct service *, const struct settings *, uint64_t repo, int64_t basis_ms);

/**
 * service_lifecycle_now(svc, name_r):
 * The repository whose policy is being carried out; "": none.  Any thread.
 */
void service_lifecycle_now(
    struct service *, char name_r[NAME_REPOSITORY_MAX_BYTES + 1]);

struct cache_eviction;
/**
 * service_evict(svc, e_r):
 * Make the pull through cache as small as it has to be: cache_evict() of all
 * repositories that a rule fills.  Worker.
 */
RC_MUST_USE enum rc service_evict(struct service *, struct cache_eviction *);

/** service_evict_soon(svc): something was imported.  Any thread. */
void service_evict_soon(struct service *);

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
