#ifndef MIRROR_UPSTREAM_H
#define MIRROR_UPSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/name.h"
#include "base/rc.h"
#include "base/span.h"
#include "mirror/fetch.h"

/*
 * Another registry, as a good client of the distribution API sees it.
 *
 * An upstream is shared by all that talk to that registry: it holds its tokens
 * (by scope, until they expire), counts its connections and requests, and
 * remembers when it said "not before".  Challenges (Basic, Bearer by GET, and
 * by POST with a refresh token) are answered once per token, not once per
 * request; after a 401 with a token a new one is asked for, once.  Credentials
 * go to the registry's own address and to the realm its challenge names, never
 * to where a redirect leads (but to the same scheme, host and port); a redirect
 * from https to http is refused, and so are more than 5 in a row.
 *
 * What fails in a way that may pass (no connection, 429, 500, 502, 503, 504, a
 * broken body) is tried again with growing pauses and jitter, or when
 * Retry-After says, for as long as the request's patience lasts.  A blob that
 * breaks off is asked for again from where it broke (Range).
 *
 * All functions block: threads of their own, never a loop.
 */
struct upstreams;
struct upstream;

enum credential_kind {
	CREDENTIAL_NONE,
	CREDENTIAL_PASSWORD, /* Basic, and what token services take */
	CREDENTIAL_AWS,	     /* access key: GetAuthorizationToken of ECR's API
				gives a password that expires */
};

/* Owned by whoever got it; wipe with credential_wipe(). */
struct credential {
	enum credential_kind kind;
	char *username, *password; /* or access key id and secret */
	char *region;		   /* CREDENTIAL_AWS */
	char *api_url; /* CREDENTIAL_AWS: where its ECR API is; NULL: of AWS
			  for hosts of ECR, else the registry's own address */
};

/** credential_wipe(c): also of zeros. */
void credential_wipe(struct credential *);

/* How to talk to one registry. */
struct upstream_options {
	const char *url; /* "https://HOST[:PORT]" (mirror/reference.h) */
	const char *unix_socket;      /* instead of its address; NULL */
	const char *ca_file;	      /* NULL: the system's */
	const char *proxy;	      /* as struct fetch_request */
	unsigned connections;	      /* at once, for reading and for sending
					 each; 0: UPSTREAM_CONNECTIONS */
	unsigned requests_per_second; /* 0: any */
	uint64_t bytes_per_second;    /* 0: any; of bodies, both ways */
	int64_t connect_ms, stall_ms; /* 0: the defaults */
};
#define UPSTREAM_CONNECTIONS 8
#define UPSTREAM_CONNECT_MS 10000
#define UPSTREAM_STALL_MS 30000
/* Who says "not before" is believed for so long at most. */
#define UPSTREAM_NOT_BEFORE_MAX_MS ((int64_t)60 * 60 * 1000)

struct upstreams_options {
	struct fetcher *fetcher;
	const char *user_agent; /* "registryd/VERSION" */
	/* What is configured for a registry, all in the arena; may leave it all
	 * zero.  Called once for each upstream. */
	void (*configure)(void *arg, const char *url, struct arena *,
	    struct upstream_options *options_r);
	/* Credentials of a registry under a name ("" : the registry's own); a
	 * copy, the caller's.  RC_NOTFOUND: it has none.  RC_CORRUPT... */
	enum rc (*credential)(void *arg, const char *url, struct span name,
	    struct credential *c_r);
	void *arg;
};

/** upstreams_new(options): ${options} is copied; fetcher and arg outlive it. */
struct upstreams *upstreams_new(const struct upstreams_options *);
/** upstreams_free(set): all upstreams were given back.  Takes NULL. */
void upstreams_free(struct upstreams **);

/**
 * upstreams_get(set, url, credential, u_r):
 * The upstream of that URL and that name of credentials ("" : the registry's
 * own); a reference, given back with upstream_unref().  RC_INVALID.
 */
RC_MUST_USE enum rc upstreams_get(struct upstreams *, const char *url,
    struct span credential, struct upstream **u_r);
/** upstream_ref(u): one more; returns ${u}. */
struct upstream *upstream_ref(struct upstream *);
/** upstream_unref(u): takes NULL; sets it to NULL. */
void upstream_unref(struct upstream **);
/** upstreams_forget(set): configuration or credentials changed: who asks from
 * now on gets new ones. */
void upstreams_forget(struct upstreams *);
const char *upstream_url(const struct upstream *);

/* What is known of an upstream, for status and metrics. */
struct upstream_state {
	uint64_t requests, failures, bytes_in, bytes_out, tokens, retries;
	int64_t limit, remaining; /* of RateLimit-Limit, -Remaining (Docker
				     Hub); -1: never said */
	int64_t not_before_ms;	  /* calendar; it said 429; 0 */
	int64_t failed_ms;	  /* last failure; 0 */
	char failure[FETCH_WHY_BYTES];
};
void upstream_state(struct upstream *, struct upstream_state *);
/** upstreams_walk(set, fn, arg): all of now. */
void upstreams_walk(
    struct upstreams *, void (*fn)(void *arg, struct upstream *), void *arg);

/* What went wrong, for people and for answers. */
#define UPSTREAM_WHY_BYTES 768
struct upstream_error {
	int status; /* of HTTP; 0: there was no answer */
	unsigned retry_after_s;
	bool elsewhere;		      /* what failed was where a redirect led */
	char why[UPSTREAM_WHY_BYTES]; /* names the registry; one line */
};

/* Who waits, and how long. */
struct upstream_wait {
	int64_t patience_ms; /* for all tries together, until the first byte;
				then anew whenever something arrived */
	const atomic_bool *cancel; /* or NULL */
};

/*
 * Codes of all that follows: RC_NOTFOUND: 404; RC_DENIED: 401 or 403, or its
 * certificate is not trusted; RC_LIMIT: 429; RC_IO: not to be reached, or 5xx;
 * RC_TIMEOUT; RC_INVALID: what it answers is not the protocol; RC_DIGEST: it
 * sent something else; RC_TOOBIG; RC_UNSUPPORTED; RC_CANCELLED; RC_FAILED: any
 * other 4xx.  With each of them ${error} is filled in.
 */

struct upstream_manifest {
	struct digest digest;
	struct span media_type; /* in the arena */
	struct span text;	/* in the arena; .p NULL after HEAD */
	uint64_t size_bytes;
};

#define UPSTREAM_MANIFEST_MAX_BYTES ((size_t)4 * 1024 * 1024)

/** upstream_manifest_head(u, repository, ref, wait, arena, m_r, error): does
 * not count against Docker Hub's limit.  A registry that does not say the
 * digest is asked with GET. */
RC_MUST_USE enum rc
upstream_manifest_head(struct upstream *, struct span repository,
    const struct reference *, const struct upstream_wait *, struct arena *,
    struct upstream_manifest *m_r, struct upstream_error *);

/** upstream_manifest_get(...): the text; its digest is computed from it, and
 * has to be that of ${ref} (or of Docker-Content-Digest): RC_DIGEST. */
RC_MUST_USE enum rc
upstream_manifest_get(struct upstream *, struct span repository,
    const struct reference *, const struct upstream_wait *, struct arena *,
    struct upstream_manifest *m_r, struct upstream_error *);

/* A blob that is being read. */
struct upstream_blob;

/** upstream_blob_open(u, repository, digest, offset, wait, b_r, error): the
 * bytes from ${offset} on, also of a registry that does not know ranges.  Reads
 * on by itself when it breaks; does not verify. */
RC_MUST_USE enum rc
upstream_blob_open(struct upstream *, struct span repository,
    const struct digest *, uint64_t offset, const struct upstream_wait *,
    struct upstream_blob **b_r, struct upstream_error *);
/** upstream_blob_size(b): of the whole; UINT64_MAX: it does not say. */
uint64_t upstream_blob_size(const struct upstream_blob *);
/** upstream_blob_resumed(b): so often did it go on after it broke. */
unsigned upstream_blob_resumed(const struct upstream_blob *);
/** upstream_blob_read(b, p, room, n_r, error): 0: the end. */
RC_MUST_USE enum rc upstream_blob_read(struct upstream_blob *, void *p,
    size_t room, size_t *n_r, struct upstream_error *);
void upstream_blob_close(struct upstream_blob **);

/** upstream_blob_head(...): RC_NOTFOUND; *${size_r} UINT64_MAX: not said. */
RC_MUST_USE enum rc upstream_blob_head(struct upstream *,
    struct span repository, const struct digest *, const struct upstream_wait *,
    uint64_t *size_r, struct upstream_error *);

struct upstream_tags {
	struct span *items; /* in the arena */
	size_t n;
	struct span next; /* to go on with; .p NULL: that was all */
};

/** upstream_tags(u, repository, next, wait, arena, page_r, error): by pages as
 * the registry makes them (Link, else last=). ${next}: .p NULL: the first. */
RC_MUST_USE enum rc upstream_tags(struct upstream *, struct span repository,
    struct span next, const struct upstream_wait *, struct arena *,
    struct upstream_tags *page_r, struct upstream_error *);

struct upstream_referrer {
	struct digest digest;
	struct span media_type, artifact_type;
	uint64_t size_bytes;
};
#define UPSTREAM_REFERRERS_MAX 10000

/** upstream_referrers(...): all pages of the referrers API, or, where that is
 * not known, of the index under the tag ALG-HEX; none: RC_OK and *${n_r} 0.
 * RC_TOOBIG: more than UPSTREAM_REFERRERS_MAX. */
RC_MUST_USE enum rc
upstream_referrers(struct upstream *, struct span repository,
    const struct digest *subject, const struct upstream_wait *, struct arena *,
    struct upstream_referrer **rows_r, size_t *n_r, struct upstream_error *);

/* Pushing. */

/** upstream_blob_put(u, repository, digest, size, from, read, arg, wait,
 * error): upload what ${read} gives until it gives 0 bytes; ${from} not empty:
 * try to mount it from that repository first.  Not read at all where it is
 * there already. */
typedef enum rc upstream_read_fn(void *arg, void *p, size_t room, size_t *n_r);
RC_MUST_USE enum rc upstream_blob_put(struct upstream *, struct span repository,
    const struct digest *, uint64_t size_bytes, struct span from,
    upstream_read_fn *read, void *arg, const struct upstream_wait *,
    struct upstream_error *);

/** upstream_manifest_put(u, repository, ref, media_type, text, headers,
 * n_headers, wait, error): RC_MISSING: it says that something referenced is not
 * there; RC_EXISTS: the tag is immutable. */
RC_MUST_USE enum rc upstream_manifest_put(struct upstream *,
    struct span repository, const struct reference *, struct span media_type,
    struct span text, const struct upstream_wait *, struct upstream_error *);

/** upstream_tag_delete(u, repository, tag, ...): the tag only where the
 * registry can (RC_UNSUPPORTED where it cannot). */
RC_MUST_USE enum rc
upstream_tag_delete(struct upstream *, struct span repository, struct span tag,
    const struct upstream_wait *, struct upstream_error *);

/** upstream_ping(u, repository, ...): does it answer and take our credentials
 * for pulling from ${repository} (empty: /v2/ only)? */
RC_MUST_USE enum rc upstream_ping(struct upstream *, struct span repository,
    const struct upstream_wait *, struct upstream_error *);

/** upstream_repository_create(u, repository, ...): by the ECR API, with
 * CREDENTIAL_AWS.  RC_OK also when it is there; RC_UNSUPPORTED: other
 * credentials. */
RC_MUST_USE enum rc
upstream_repository_create(struct upstream *, struct span repository,
    const struct upstream_wait *, struct upstream_error *);

/** upstream_mark(u, header): "Name: value" on all requests to the registry
 * itself from now on; before it is used. */
void upstream_mark(struct upstream *, const char *header);

#endif
