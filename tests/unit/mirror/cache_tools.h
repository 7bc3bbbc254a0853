#ifndef TESTS_CACHE_TOOLS_H
#define TESTS_CACHE_TOOLS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "mirror/cache.h"
#include "storage/imports.h"
#include "storage/meta.h"
#include "storage/store.h"

/*
 * What the tests of the cache share: a registry in a folder of its own, a cache
 * in front of it, and an upstream: a server in threads of the test that says
 * what it is told to say, and counts what it is asked.
 */

/* --- the upstream -------------------------------------------------------- */

struct ct_server;

struct ct_server *ct_server_new(void);
void ct_server_free(struct ct_server **);
/** ct_server_url(s): "http://127.0.0.1:PORT". */
const char *ct_server_url(const struct ct_server *);

/* What it says of one path; all else is 404. */
struct ct_page {
	const char *path; /* copied, like all of it */
	const char *type; /* NULL: application/octet-stream */
	const void *body;
	size_t n;
	int status;	 /* 0: 200 */
	size_t cut_at;	 /* the connection breaks before that byte; 0: not */
	unsigned cuts;	 /* so often */
	size_t hold_at;	 /* waits before that byte for ct_release(); 0: not */
	bool hold_head;	 /* waits before it says anything */
	size_t announce; /* as Content-Length, instead of the true one */
	bool chunked;	 /* does not say how long it is */
	const char *digest; /* Docker-Content-Digest; NULL: none */
};

/** ct_serve(s, page): from now on; another page of that path goes. */
void ct_serve(struct ct_server *, const struct ct_page *);
/** ct_release(s): nobody waits any more. */
void ct_release(struct ct_server *);
/** ct_asked(s, method, path): how often. */
unsigned ct_asked(struct ct_server *, const char *method, const char *path);

/* --- who waits ----------------------------------------------------------- */

struct ct_bell {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned rung;
};

void ct_bell_init(struct ct_bell *);
/** ct_ring(bell): for wake functions. */
void ct_ring(void *bell);
/** ct_await(bell, n): until it rang so often, in all. */
void ct_await(struct ct_bell *, unsigned n);

/* --- the cache ----------------------------------------------------------- */

struct ct {
	char dir[512];
	struct store_options store_options;
	struct store *store;
	struct meta *meta;
	struct fetcher *fetcher;
	struct upstreams *upstreams;
	struct ct_server *server;
	struct cache_settings settings;
	struct cache *cache;
	struct arena arena; /* of what was read */
};

/* For cmocka: *state is a struct ct. */
int ct_setup(void **state);
int ct_teardown(void **state);

/** ct_bytes(n, seed): made-up content; the caller frees it. */
char *ct_bytes(size_t n, unsigned seed);
struct digest ct_digest(const void *p, size_t n);

/** ct_repository(t, name): make it. */
void ct_repository(struct ct *, const char *name);
/** ct_has(t, repository, p, n): is that content a blob there? */
bool ct_has(struct ct *, const char *repository, const void *p, size_t n);

/** ct_ask(t, repository, upstream_repository): of the server. */
struct cache_ask
ct_ask(struct ct *, const char *repository, const char *upstream_repository);

/** ct_serve_blob(t, upstream_repository, p, n, page): the path and the content
 * are filled in; gives the path, good until the next call. */
const char *ct_serve_blob(struct ct *, const char *repository, const void *p,
    size_t n, struct ct_page page);
/** ct_serve_manifest(t, repository, ref, text, type): by tag, and by digest. */
struct digest ct_serve_manifest(struct ct *, const char *repository,
    const char *tag, const char *text, const char *type);
/** ct_manifest_path(t, repository, ref). */
const char *
ct_manifest_path(struct ct *, const char *repository, const char *ref);

/** ct_image(t, layers, sizes, n): the text of an image, in the arena. */
const char *ct_image(
    struct ct *, const struct digest *layers, const size_t *sizes, size_t n);
/** ct_index(t, children, n): of an index. */
const char *ct_index(struct ct *, const struct digest *children, size_t n);

struct ct_put {
	const char *repository, *text, *type, *tag;
	bool import;
	int64_t now_ms; /* 0: now */
};
/** ct_put(t, put): straight into the store, sparse. */
struct digest ct_put(struct ct *, const struct ct_put *);
/** ct_put_blob(t, repository, p, n). */
void ct_put_blob(struct ct *, const char *repository, const void *p, size_t n);

/** ct_look(f): how it is. */
struct fill_look ct_look(struct fill *);
/** ct_fill_end(f): when it has ended. */
struct fill_look ct_fill_end(struct fill *);

/** ct_manifest(t, ask, ref, known): asked for, and answered. */
struct cache_result ct_manifest(struct ct *, const struct cache_ask *,
    const char *ref, const struct digest *known);
struct cache_result
ct_referrers(struct ct *, const struct cache_ask *, const struct digest *);
/** ct_tag(t, repository, ref, d_r): where it points. */
bool ct_tag(
    struct ct *, const char *repository, const char *ref, struct digest *d_r);

struct cache_stats ct_stats(struct ct *);

#endif
