#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/cache_int.h"
#include "storage/upload.h"

/*
 * One fill on its thread: ask the upstream, take what it sends into an upload
 * of the first repository, tell how far it is, verify, make it a blob.  It goes
 * on whether or not anybody still follows: the next who asks finds it here.
 *
 * Of those who have joined each may have a source of his own; when one has not
 * got it, or refuses, the next is asked.  Once something came it is read on
 * from there, and tried again for a while when it breaks.
 */
struct run {
	struct cache *cache;
	struct fill_entry *entry;
	struct fill *fill;	  /* the entry's */
	struct fill_member *from; /* whose source it is read from */
	struct upstream *upstream;
	struct upstream_blob *blob;
	struct upload *upload;
	char id[UPLOAD_ID_BYTES]; /* of the upload; empty: none */
	uint64_t size_bytes;	  /* UINT64_MAX: not known */
	uint64_t taken_bytes;
	int64_t alive_ns; /* something came */
	struct upstream_wait wait;
	struct upstream_error error;
	char *bytes;
};

static struct span
run_repository(const struct run *r)
{
	return (span_of(r->entry->members->repository));
}

/* What was sent is not what was asked for. */
static enum rc
run_refuse(struct run *r, const char *why)
{
	char room[DIGEST_STR_BYTES];

	(void)snprintf(r->error.why, sizeof(r->error.why), "%s/%s: %s: %s",
	    r->from->source.url, r->from->source.repository,
	    digest_str(&r->entry->digest, room), why);
	r->error.status = 0;
	return (RC_DIGEST);
}

/* --- the upstream -------------------------------------------------------- */

static bool
source_tried(const struct fill_entry *e, const struct source *s)
{
	const struct fill_member *m;

	for (m = e->members; m != NULL; m = m->next)
		if (m->tried && source_eq(&m->source, s))
			return (true);
	return (false);
}

/* Whose source to ask next.  NULL: all were, and nobody will join any more. */
static struct fill_member *
source_next(struct fill_entry *e)
{
	struct fill_member *m;

	mutex_lock(&e->cache->lock);
	for (m = e->members; m != NULL; m = m->next)
		if (!source_tried(e, &m->source))
			break;
	if (m != NULL)
		m->tried = true;
	else
		fill_unlist(e);
	mutex_unlock(&e->cache->lock);
	return (m);
}

static void
source_failed(struct run *r, enum rc rc)
{
	const struct source *s = &r->from->source;
	char room[DIGEST_STR_BYTES];
	struct digest key;

	source_key(s, "blob", digest_str(&r->entry->digest, room), &key);
	negative_note(r->cache, s, &key, rc, &r->error);
}

static enum rc
source_open(struct run *r)
{
	const struct source *s = &r->from->source;
	enum rc rc;

	upstream_unref(&r->upstream);
	rc = upstreams_get(r->cache->options.upstreams, s->url,
	    span_of(s->credential), &r->upstream);
	if (rc != RC_OK) {
		(void)snprintf(r->error.why, sizeof(r->error.why),
		    "%s: not the address of a registry", s->url);
		return (rc);
	}
	rc = upstream_blob_open(r->upstream, span_of(s->repository),
	    &r->entry->digest, r->taken_bytes, &r->wait, &r->blob, &r->error);
	if (rc == RC_OK)
		negative_answered(r->cache, s);
	else
		source_failed(r, rc);
	return (rc);
}

static enum rc
run_open(struct run *r)
{
	struct fill_member *m;
	enum rc rc = RC_NOTFOUND;

	while ((m = source_next(r->entry)) != NULL) {
		if (cache_stopping(r->cache))
			return (RC_CANCELLED);
		r->from = m;
		if ((rc = source_open(r)) == RC_OK)
			break;
	}
	r->alive_ns = clock_mono_ns();
	return (rc);
}

/* What is announced, against what manifests say, and what was announced before.
 */
static enum rc
run_size(struct run *r)
{
	uint64_t announced = upstream_blob_size(r->blob);
	uint64_t size = r->size_bytes;
	char why[128];

	if (size == UINT64_MAX)
		size = r->entry->named_bytes;
	if (announced != UINT64_MAX && size != UINT64_MAX &&
	    announced != size) {
		(void)snprintf(why, sizeof(why),
		    "it announces %" PRIu64 " bytes, and there are %" PRIu64,
		    announced, size);
		return (run_refuse(r, why));
	}
	r->size_bytes = size != UINT64_MAX ? size : announced;
	return (RC_OK);
}

static bool
run_patient(const struct run *r)
{
	return (r->taken_bytes > 0 && clock_mono_ns() - r->alive_ns <
					  (int64_t)FILL_RESUME_MS * 1000000);
}

/* With what the upstream's client has resumed by itself. */
static void
run_close(struct run *r)
{

	if (r->blob != NULL)
		atomic_fetch_add(
		    &r->cache->stats.resumed, upstream_blob_resumed(r->blob));
	upstream_blob_close(&r->blob);
}

/* It broke; from where it did, as often as it takes. */
static enum rc
run_reopen(struct run *r, enum rc rc)
{
	while (cache_lost(rc) && run_patient(r)) {
		run_close(r);
		cache_nap(r->cache, FILL_RESUME_NAP_MS);
		if (cache_stopping(r->cache))
			return (RC_CANCELLED);
		if ((rc = source_open(r)) != RC_OK)
			continue;
		atomic_fetch_add(&r->cache->stats.resumed, 1);
		return (run_size(r));
	}
	return (rc);
}

static enum rc
run_read(struct run *r, size_t *n_r)
{
	enum rc rc;

	for (;;) {
		rc = upstream_blob_read(
		    r->blob, r->bytes, FILL_READ_BYTES, n_r, &r->error);
		if (rc == RC_OK)
			break;
		if ((rc = run_reopen(r, rc)) != RC_OK)
			return (rc);
	}
	r->alive_ns = clock_mono_ns();
	return (RC_OK);
}

/* --- the store ----------------------------------------------------------- */

/* From here on ${error} is the upstream's no more. */
static enum rc
run_take_in(struct run *r)
{
	struct store *s = r->cache->options.store;
	struct blob_file file;
	enum rc rc;

	r->error = (struct upstream_error){ 0 };
	rc = store_room(s, r->size_bytes != UINT64_MAX ? r->size_bytes : 0);
	if (rc != RC_OK)
		return (rc);
	rc = upload_start(
	    s, run_repository(r), r->entry->digest.alg, NULL, r->id);
	if (rc != RC_OK)
		return (rc);
	rc = upload_acquire(s, run_repository(r), span_of(r->id), &r->upload);
	if (rc != RC_OK)
		return (rc);
	if ((rc = upload_reader(r->upload, &file)) != RC_OK)
		return (rc);
	return (
	    fill_flow(r->fill, r->size_bytes, &file) ? RC_OK : RC_CANCELLED);
}

static enum rc
run_write(struct run *r, size_t n)
{
	enum rc rc;

	if (r->size_bytes - r->taken_bytes < n)
		return (run_refuse(r, "it sends more than there is"));
	if ((rc = upload_write(r->upload, r->bytes, n)) != RC_OK)
		return (rc);
	r->taken_bytes += n;
	return (fill_publish(r->fill, r->taken_bytes) ? RC_OK : RC_CANCELLED);
}

static enum rc
run_flow(struct run *r)
{
	size_t n;
	enum rc rc;

	r->bytes = xmalloc(FILL_READ_BYTES);
	do {
		if ((rc = run_read(r, &n)) == RC_OK && n > 0)
			rc = run_write(r, n);
	} while (rc == RC_OK && n > 0);
	return (rc);
}

static enum rc
run_finish(struct run *r)
{
	enum rc rc;

	r->error = (struct upstream_error){ 0 };
	if (r->size_bytes != UINT64_MAX && r->taken_bytes != r->size_bytes)
		return (run_refuse(r, "it sends less than there is"));
	rc = upload_verify(r->upload, &r->entry->digest);
	if (rc == RC_DIGEST)
		return (run_refuse(r, "it sends something else"));
	if (rc != RC_OK)
		return (rc);
	run_close(r);
	if (!fill_whole(r->fill, r->taken_bytes))
		return (RC_CANCELLED);
	return (upload_finish(&r->upload, &r->entry->digest, NULL));
}

/* --- all of it ----------------------------------------------------------- */

static enum rc
run_all(struct run *r)
{
	enum rc rc;

	if ((rc = run_open(r)) != RC_OK)
		return (rc);
	if ((rc = run_size(r)) != RC_OK)
		return (rc);
	if ((rc = run_take_in(r)) != RC_OK)
		return (rc);
	if ((rc = run_flow(r)) != RC_OK)
		return (rc);
	return (run_finish(r));
}

/* What did not become a blob is thrown away. */
static void
run_clean(struct run *r, enum rc rc)
{
	struct store *s = r->cache->options.store;

	run_close(r);
	upstream_unref(&r->upstream);
	upload_release(&r->upload);
	if (rc != RC_OK && r->id[0] != '\0' &&
	    upload_cancel(s, run_repository(r), span_of(r->id)) != RC_OK)
		log_warn("cache: upload %s stays for the sweep", r->id);
	free(r->bytes);
}

static void
run_count(const struct run *r, enum rc rc)
{
	struct cache *c = r->cache;
	char room[DIGEST_STR_BYTES];

	if (rc == RC_OK) {
		atomic_fetch_add(&c->stats.blobs, 1);
		atomic_fetch_add(&c->stats.blob_bytes, r->taken_bytes);
		return;
	}
	if (rc == RC_NOTFOUND || rc == RC_CANCELLED)
		return;
	atomic_fetch_add(&c->stats.failed, 1);
	if (rc == RC_DIGEST)
		atomic_fetch_add(&c->stats.wrong_digest, 1);
	log_warn("cache: blob %s of %s: %s",
	    digest_str(&r->entry->digest, room), r->entry->members->repository,
	    r->error.why);
}

void
fill_run(struct fill_entry *e)
{
	struct run r;
	enum rc rc;

	OBJ_CHECK(e, FILL_ENTRY_MAGIC);
	r = (struct run){
		.cache = e->cache,
		.entry = e,
		.fill = e->fill,
		.size_bytes = UINT64_MAX,
		.wait = { .cancel = &e->cache->stopping },
	};
	r.wait.patience_ms = cache_settings(e->cache).patience_ms;
	rc = run_all(&r);
	run_clean(&r, rc);
	if (rc != RC_OK)
		cache_why(&r.error, rc);
	run_count(&r, rc);
	fill_end(e, rc, &r.error);
}
