#ifndef MIRROR_CACHE_H
#define MIRROR_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/name.h"
#include "base/rc.h"
#include "mirror/fill.h"
#include "mirror/upstream.h"
#include "storage/repositories.h"
#include "storage/store.h"

/*
 * The pull through cache: what is not here, or may be outdated, is asked of the
 * upstream that a rule names, kept, and served from the store from then on.
 * Who may ask, and which rule applies, is decided above.
 *
 * What is asked for goes on on threads of the cache (at most
 * CACHE_THREADS, and of them CACHE_THREADS_OF_UPSTREAM for one upstream);
 * those who ask are woken.  The same asked for by many is asked of the upstream
 * once.  What the upstream said no to (404, 401, 403) is remembered for
 * .negative_ms, and that it cannot be reached for a moment, so that a thousand
 * clients do not wait for the same time-out.
 */
#define CACHE_THREADS 48
#define CACHE_THREADS_OF_UPSTREAM 16
#define CACHE_NEGATIVE_MAX 4096 /* answers remembered */

struct cache;

struct cache_options {
	struct store *store;
	struct upstreams *upstreams;
	/* Told of what came and went; any thread; may be NULL.  ${tag} may be
	 * empty; ${from}: "https://HOST/REPOSITORY". */
	void (*imported)(void *arg, struct span repository,
	    const struct digest *, struct span tag, struct span from);
	void (*evicted)(void *arg, struct span repository,
	    const struct digest *, uint64_t bytes);
	/* Are images that come to it scanned, whatever the repository's own
	 * settings say?  Any thread; may be NULL: no. */
	bool (*scan)(void *arg, struct span repository);
	void *arg;
};

/* May change while it runs. */
struct cache_settings {
	int64_t negative_ms;
	int64_t patience_ms; /* for an answer; at most 3 s where what is here
				can be served instead */
	uint64_t max_bytes;  /* of content that imported images need; 0: any */
	bool all_children;   /* of an index, with their layers, at once, in the
				background; else when they are asked for */
	uint64_t manifest_bytes; /* at most; 0: as many as an upstream may
				    send */
};

/** cache_new(options, settings, c_r): RC_LIMIT. */
RC_MUST_USE enum rc cache_new(const struct cache_options *,
    const struct cache_settings *, struct cache **c_r);
void cache_set(struct cache *, const struct cache_settings *);

/** cache_stop(c): what goes on is given up, all who wait are woken.  Does not
 * wait. */
void cache_stop(struct cache *);
/** cache_free(c): after cache_stop(); waits for its threads.  Takes NULL. */
void cache_free(struct cache **);

/* Where something comes from. */
struct cache_source {
	const char *url;	/* of the upstream */
	struct span credential; /* by name; empty: the registry's own */
	struct span repository; /* there */
};

struct cache_ask {
	struct cache_source source;
	struct span repository;			/* here */
	const struct repository_preset *create; /* what to make it as if it is
						   not here; NULL: then
						   RC_MISSING.  Lives until who
						   asks was woken */
};

/* What came of it; a ticket is the caller's. */
struct cache_ticket;

enum cache_outcome {
	CACHE_KEPT, /* the answer is in the store now: look there */
	CACHE_SAME, /* what is here is what the upstream has, or stays whatever
		       it has: a tag that is immutable, or not of the cache */
	CACHE_GONE, /* the upstream says 404 */
	CACHE_FAILED,
};

struct cache_result {
	enum cache_outcome outcome;
	enum rc rc; /* CACHE_FAILED: of mirror/upstream.h, or of the store */
	struct upstream_error error; /* CACHE_GONE, CACHE_FAILED */
};

/**
 * cache_manifest(c, ask, ref, known, wake, arg, t_r):
 * Have the manifest fetched, with ${ref} a tag: if it is another than ${known}
 * (NULL: nothing is here).  ${wake} is called once, from any thread, also
 * before this returns.  Stored sparse; its tag, if it is one, is noted as
 * checked.  The ticket is ready when woken.
 */
void cache_manifest(struct cache *, const struct cache_ask *,
    const struct reference *, const struct digest *known, void (*wake)(void *),
    void *arg, struct cache_ticket **t_r);

/** cache_referrers(c, ask, subject, wake, arg, t_r): the manifests of the
 * upstream's list of referrers are fetched. */
void cache_referrers(struct cache *, const struct cache_ask *,
    const struct digest *subject, void (*wake)(void *), void *arg,
    struct cache_ticket **t_r);

void
cache_ticket_result(const struct cache_ticket *, struct cache_result *result_r);
/** cache_ticket_free(t): it was woken.  Takes NULL. */
void cache_ticket_free(struct cache_ticket **);

/**
 * cache_blob(c, ask, digest, f_r):
 * Begin, or join, the fetching of a blob; *${f_r} is a reference.  It may have
 * failed already, as the upstream is known not to have it.  A fill that another
 * repository began is joined when both have the same source, or when an image
 * of this repository names the content.  Content that is elsewhere in the
 * registry, and that an image of this repository names, is linked instead, and
 * what is here by now is not fetched: RC_EXISTS, look again.  The repository has
 * to be here: RC_NOTFOUND.  RC_LIMIT, RC_NOSPACE, and others of the store.
 * Worker; does not wait for the upstream.
 */
RC_MUST_USE enum rc cache_blob(struct cache *, const struct cache_ask *,
    const struct digest *, struct fill **f_r);

/** cache_filling(c, repository, digest): the fill that is to end in that
 * repository, and goes on already; a reference.  NULL: there is none. */
struct fill *
cache_filling(struct cache *, struct span repository, const struct digest *);

/** cache_evict(c, repositories, n, e_r): if the content of imported images of
 * these repositories is more than .max_bytes, give up those used longest ago,
 * until a tenth is free; children of an index after it.  What was pulled or
 * imported in the last five minutes stays.  Content counts once, and only what
 * is here.  One thread at a time; it reads every imported manifest.  Memory:
 * about 64 bytes a blob and 112 an image.  RC_CANCELLED: cache_stop(). */
struct cache_eviction {
	uint64_t images, evicted;
	uint64_t bytes, evicted_bytes;
};
RC_MUST_USE enum rc cache_evict(struct cache *, const struct span *repositories,
    size_t n, struct cache_eviction *e_r);

/* For metrics and status. */
struct cache_stats {
	uint64_t hits, stale; /* counted by cache_count() */
	uint64_t manifests, manifests_same, referrers, blobs;
	uint64_t blob_bytes, adopted, joined, resumed, failed, wrong_digest;
	uint64_t negative, evicted, evicted_bytes;
	uint64_t fills; /* now */
};
void cache_stats(struct cache *, struct cache_stats *);
enum cache_event { CACHE_HIT, CACHE_STALE };
void cache_count(struct cache *, enum cache_event);

#endif
