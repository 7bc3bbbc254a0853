#include "cache_tools.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/thread.h"
#include "storage/content.h"
#include "storage/repositories.h"
#include "storage/upload.h"

#define ARENA_BYTES ((size_t)16 << 20)

/* --- who waits ----------------------------------------------------------- */

void
ct_bell_init(struct ct_bell *b)
{
	mutex_init(&b->lock);
	cond_init(&b->cond);
	b->rung = 0;
}

void
ct_ring(void *bell)
{
	struct ct_bell *b = bell;

	mutex_lock(&b->lock);
	b->rung++;
	pthread_cond_broadcast(&b->cond);
	mutex_unlock(&b->lock);
}

void
ct_await(struct ct_bell *b, unsigned n)
{
	mutex_lock(&b->lock);
	while (b->rung < n)
		cond_wait(&b->cond, &b->lock);
	mutex_unlock(&b->lock);
}

/* --- set up -------------------------------------------------------------- */

static int
entry_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

static void
no_options(
    void *arg, const char *url, struct arena *a, struct upstream_options *o)
{
	(void)arg;
	(void)url;
	(void)a;
	o->proxy = "";
	o->connect_ms = 5000;
	o->stall_ms = 20000;
	o->connections = 32;
}

static enum rc
no_credential(
    void *arg, const char *url, struct span name, struct credential *c_r)
{
	(void)arg;
	(void)url;
	(void)name;
	(void)c_r;
	return (RC_NOTFOUND);
}

static void
store_make(struct ct *t)
{
	const char *tmp = getenv("TMPDIR");
	char why[STORE_WHY_BYTES] = "";

	snprintf(t->dir, sizeof(t->dir), "%s/registryd-cache-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(t->dir));
	t->store_options = (struct store_options){
		.dir = t->dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = 1000,
		.upload_lifetime_ms = 3600 * 1000,
		.max_threads = CACHE_THREADS + 128,
	};
	assert_int_equal(store_open(&t->store_options, why, &t->store), RC_OK);
	t->meta = store_meta(t->store);
}

int
ct_setup(void **state)
{
	struct ct *t = xcalloc(1, sizeof(*t));
	struct upstreams_options uo = {
		.user_agent = "registryd/test",
		.configure = no_options,
		.credential = no_credential,
	};
	struct cache_options co = { 0 };

	store_make(t);
	arena_init(&t->arena, ARENA_BYTES);
	assert_int_equal(fetcher_new(&t->fetcher), RC_OK);
	uo.fetcher = t->fetcher;
	t->upstreams = upstreams_new(&uo);
	t->server = ct_server_new();
	t->settings = (struct cache_settings){
		.negative_ms = 60000,
		.patience_ms = 10000,
		.manifest_bytes = 1 << 20,
	};
	co.store = t->store;
	co.upstreams = t->upstreams;
	assert_int_equal(cache_new(&co, &t->settings, &t->cache), RC_OK);
	*state = t;
	return (0);
}

int
ct_teardown(void **state)
{
	struct ct *t = *state;

	cache_stop(t->cache);
	cache_free(&t->cache);
	ct_server_free(&t->server);
	upstreams_free(&t->upstreams);
	fetcher_free(&t->fetcher);
	arena_reset(&t->arena);
	store_close(&t->store);
	(void)nftw(t->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(t);
	return (0);
}

/* --- content ------------------------------------------------------------- */

char *
ct_bytes(size_t n, unsigned seed)
{
	char *p = xmalloc(n + 1);
	uint64_t x = (uint64_t)seed * 2654435761U + 88172645463325252U;
	size_t i;

	for (i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (char)x;
	}
	return (p);
}

struct digest
ct_digest(const void *p, size_t n)
{
	struct digest d;

	digest_of(DIGEST_SHA256, p, n, &d);
	return (d);
}

void
ct_repository(struct ct *t, const char *name)
{
	const struct repository_create create = {
		.name = span_of(name),
		.preset = repository_preset_default,
		.now_ms = clock_real_ms(),
	};
	struct repository_row row;

	assert_int_equal(meta_repository_create(t->meta, &create, &row), RC_OK);
}

bool
ct_has(struct ct *t, const char *repository, const void *p, size_t n)
{
	const struct digest d = ct_digest(p, n);
	struct content c;
	char *got;
	bool same;
	enum rc rc;

	arena_reset(&t->arena);
	rc = content_open(
	    t->store, span_of(repository), &d, READ_BLOCKING, &t->arena, &c);
	if (rc == RC_NOTFOUND)
		return (false);
	assert_int_equal(rc, RC_OK);
	assert_int_equal(c.size_bytes, n);
	if (c.kind == CONTENT_MEMORY)
		return (span_eq(c.bytes, (struct span){ p, n }));
	got = xmalloc(n);
	assert_int_equal(blob_file_read_all(&c.file, 0, got, n), RC_OK);
	same = memcmp(got, p, n) == 0;
	free(got);
	content_close(&c);
	return (same);
}

struct cache_ask
ct_ask(struct ct *t, const char *repository, const char *upstream_repository)
{
	return ((struct cache_ask){
	    .source = { .url = ct_server_url(t->server),
		.credential = SPAN(""),
		.repository = span_of(upstream_repository) },
	    .repository = span_of(repository),
	});
}

const char *
ct_serve_blob(struct ct *t, const char *repository, const void *p, size_t n,
    struct ct_page page)
{
	const struct digest d = ct_digest(p, n);
	static char path[512];
	char room[DIGEST_STR_BYTES];

	snprintf(path, sizeof(path), "/v2/%s/blobs/%s", repository,
	    digest_str(&d, room));
	page.path = path;
	if (page.body == NULL) {
		page.body = p;
		page.n = n;
	}
	ct_serve(t->server, &page);
	return (path);
}

const char *
ct_manifest_path(struct ct *t, const char *repository, const char *ref)
{
	(void)t;
	static char path[512];

	snprintf(path, sizeof(path), "/v2/%s/manifests/%s", repository, ref);
	return (path);
}

struct digest
ct_serve_manifest(struct ct *t, const char *repository, const char *tag,
    const char *text, const char *type)
{
	const struct digest d = ct_digest(text, strlen(text));
	char room[DIGEST_STR_BYTES];
	struct ct_page page = {
		.type = type,
		.body = text,
		.n = strlen(text),
		.digest = digest_str(&d, room),
	};

	page.path = ct_manifest_path(t, repository, room);
	ct_serve(t->server, &page);
	if (tag != NULL) {
		page.path = ct_manifest_path(t, repository, tag);
		ct_serve(t->server, &page);
	}
	return (d);
}

static const char *
keep(struct buf *b)
{
	static char *texts[64];
	static unsigned next;
	char *p = buf_take(b, NULL);

	free(texts[next]);
	texts[next] = p;
	next = (next + 1) % 64;
	return (p);
}

const char *
ct_image(
    struct ct *t, const struct digest *layers, const size_t *sizes, size_t n)
{
	char room[DIGEST_STR_BYTES];
	struct buf b;
	size_t i;

	(void)t;
	buf_init(&b, 1 << 20);
	buf_printf(&b,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":"
	    "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
	    "\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
	    MEDIA_OCI_MANIFEST, digest_str(&layers[0], room), sizes[0]);
	for (i = 1; i < n; i++)
		buf_printf(&b,
		    "%s{\"mediaType\":"
		    "\"application/vnd.oci.image.layer.v1.tar\","
		    "\"digest\":\"%s\",\"size\":%zu}",
		    i > 1 ? "," : "", digest_str(&layers[i], room), sizes[i]);
	buf_str(&b, "]}");
	return (keep(&b));
}

const char *
ct_index(struct ct *t, const struct digest *children, size_t n)
{
	char room[DIGEST_STR_BYTES];
	struct buf b;
	size_t i;

	(void)t;
	buf_init(&b, 1 << 20);
	buf_printf(&b,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[",
	    MEDIA_OCI_INDEX);
	for (i = 0; i < n; i++)
		buf_printf(&b,
		    "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":10}",
		    i > 0 ? "," : "", MEDIA_OCI_MANIFEST,
		    digest_str(&children[i], room));
	buf_str(&b, "]}");
	return (keep(&b));
}

struct digest
ct_put(struct ct *t, const struct ct_put *p)
{
	char why[MANIFEST_WHY_BYTES];
	struct manifest_put_result result;
	struct manifest m;
	struct span tag = span_of(p->tag);
	struct manifest_put put = {
		.repository = span_of(p->repository),
		.digest = ct_digest(p->text, strlen(p->text)),
		.text = span_of(p->text),
		.manifest = &m,
		.tags = &tag,
		.n_tags = p->tag != NULL ? 1 : 0,
		.sparse = SPARSE_ALL,
		.create = &repository_preset_default,
		.import = p->import,
		.now_ms = p->now_ms != 0 ? p->now_ms : clock_real_ms(),
	};

	arena_reset(&t->arena);
	assert_int_equal(
	    manifest_parse(span_of(p->type), put.text, &t->arena, &m, why),
	    RC_OK);
	assert_int_equal(meta_manifest_put(t->meta, &put, &result), RC_OK);
	return (put.digest);
}

void
ct_put_blob(struct ct *t, const char *repository, const void *p, size_t n)
{
	const struct digest d = ct_digest(p, n);

	assert_int_equal(
	    upload_whole(t->store, span_of(repository), &d,
		(struct span){ p, n }, SPAN_NONE, &repository_preset_default),
	    RC_OK);
}

/* --- asking -------------------------------------------------------------- */

struct fill_look
ct_look(struct fill *f)
{
	struct fill_look look;

	fill_look(f, &look);
	return (look);
}

struct fill_look
ct_fill_end(struct fill *f)
{
	struct ct_bell bell;
	struct fill_waiter w = { .wake = ct_ring, .arg = &bell };

	ct_bell_init(&bell);
	if (fill_wait(f, FILL_UNTIL_END, 0, &w))
		ct_await(&bell, 1);
	return (ct_look(f));
}

static struct cache_result
ticket_end(struct ct_bell *bell, struct cache_ticket **ticket)
{
	struct cache_result r;

	ct_await(bell, 1);
	cache_ticket_result(*ticket, &r);
	cache_ticket_free(ticket);
	return (r);
}

struct cache_result
ct_manifest(struct ct *t, const struct cache_ask *ask, const char *text,
    const struct digest *known)
{
	struct cache_ticket *ticket;
	struct reference ref;
	struct ct_bell bell;

	ct_bell_init(&bell);
	assert_int_equal(reference_parse(span_of(text), &ref), RC_OK);
	cache_manifest(t->cache, ask, &ref, known, ct_ring, &bell, &ticket);
	return (ticket_end(&bell, &ticket));
}

struct cache_result
ct_referrers(
    struct ct *t, const struct cache_ask *ask, const struct digest *subject)
{
	struct cache_ticket *ticket;
	struct ct_bell bell;

	ct_bell_init(&bell);
	cache_referrers(t->cache, ask, subject, ct_ring, &bell, &ticket);
	return (ticket_end(&bell, &ticket));
}

bool
ct_tag(
    struct ct *t, const char *repository, const char *text, struct digest *d_r)
{
	struct manifest_row row;
	struct reference ref;
	enum rc rc;

	arena_reset(&t->arena);
	assert_int_equal(reference_parse(span_of(text), &ref), RC_OK);
	rc = meta_manifest_get(t->meta, span_of(repository), &ref, MANIFEST_ROW,
	    READ_BLOCKING, &t->arena, &row);
	if (rc == RC_NOTFOUND)
		return (false);
	assert_int_equal(rc, RC_OK);
	if (d_r != NULL)
		*d_r = row.digest;
	return (true);
}

struct cache_stats
ct_stats(struct ct *t)
{
	struct cache_stats st;

	cache_stats(t->cache, &st);
	return (st);
}
