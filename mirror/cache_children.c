#include <stdlib.h>

#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/cache_int.h"
#include "storage/images.h"

/*
 * All that an index refers to, where the settings want it: its children and
 * theirs, and then what each of them needs.  One after the other, on one thread
 * and as long work, so that those who wait for something come first; a blob
 * that somebody asks for meanwhile is one fill with this.  What cannot be
 * fetched is left for who asks for it.
 */
#define CHILDREN_MAGIC 0x4368696cU

struct children {
	struct pool_job job; /* the first */
	unsigned magic;
	struct cache *cache;
	struct source source;
	char *repository;
	struct digest index;
};

static struct children *
children_of_job(struct pool_job *j)
{
	struct children *ch = (struct children *)(void *)j;

	OBJ_CHECK(ch, CHILDREN_MAGIC);
	return (ch);
}

static void
children_drop(struct pool_job *j)
{
	struct children *ch = children_of_job(j);

	source_free(&ch->source);
	free(ch->repository);
	ch->magic = 0;
	free(ch);
}

/* May it go on after that?  One that is missing is no reason to end. */
static bool
goes_on(struct import *im, enum rc rc)
{
	return (!cache_stopping(im->cache) && !cache_lost(rc) &&
		rc != RC_NOSPACE && rc != RC_CANCELLED);
}

static enum rc
manifest_bring(struct import *im, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	enum rc rc = import_has(im, d);

	return (rc == RC_NOTFOUND ? import_fetch(im, &ref, SPAN_NONE) : rc);
}

static enum rc
blob_bring(struct import *im, const struct digest *d)
{
	const struct cache_source source = {
		.url = im->source->url,
		.credential = span_of(im->source->credential),
		.repository = span_of(im->source->repository),
	};
	struct fill_entry *e = NULL;
	struct fill *f = NULL;
	struct fill_look *look;
	enum rc rc;

	rc = fill_begin(im->cache, &source, im->repository, d, &e, &f);
	if (rc == RC_EXISTS || rc == RC_BUSY) {
		fill_unref(&f);
		return (RC_OK);
	}
	if (rc == RC_OK)
		fill_run(e);
	if (f == NULL)
		return (rc);
	look = xcalloc(1, sizeof(*look));
	fill_look(f, look);
	rc = look->state == FILL_FAILED ? look->rc : RC_OK;
	free(look);
	fill_unref(&f);
	return (rc);
}

/* Read from the store, where it was just put. */
static enum rc
manifest_read(struct import *im, const struct digest *d, struct arena *a,
    struct manifest *m_r)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	char why[MANIFEST_WHY_BYTES];
	struct manifest_row row;
	enum rc rc;

	rc = meta_manifest_get(im->cache->meta, im->repository, &ref,
	    MANIFEST_TEXT, READ_BLOCKING, a, &row);
	if (rc == RC_OK)
		rc = manifest_parse(row.media_type, row.text, a, m_r, why);
	return (rc);
}

static enum rc bring_below(struct import *, const struct digest *, int depth);

static enum rc
edge_bring(struct import *im, const struct descriptor *e, int depth)
{
	enum rc rc;

	if (e->nondistributable)
		return (RC_OK);
	if (e->kind != EDGE_MANIFEST)
		return (blob_bring(im, &e->digest));
	if ((rc = manifest_bring(im, &e->digest)) != RC_OK)
		return (rc);
	return (bring_below(im, &e->digest, depth + 1));
}

static enum rc
bring_below(struct import *im, const struct digest *d, int depth)
{
	struct manifest m = { 0 };
	struct arena a;
	size_t i;
	enum rc rc;

	if (depth > IMAGE_DEPTH_MAX)
		return (RC_OK);
	arena_init(&a, IMPORT_ARENA_BYTES);
	rc = manifest_read(im, d, &a, &m);
	for (i = 0; rc == RC_OK && i < m.n_edges; i++) {
		rc = edge_bring(im, &m.edges[i], depth);
		if (goes_on(im, rc))
			rc = RC_OK;
	}
	arena_reset(&a);
	return (rc);
}

static void
children_run(struct pool_job *j)
{
	struct children *ch = children_of_job(j);
	char room[DIGEST_STR_BYTES];
	struct import im;
	enum rc rc;

	rc = import_begin(&im, ch->cache, &ch->source, ch->repository);
	im.background = true;
	if (rc == RC_OK)
		rc = bring_below(&im, &ch->index, 0);
	if (rc != RC_OK && rc != RC_CANCELLED)
		log_warn("cache: not all of what %s of %s refers to is here: "
			 "%s",
		    digest_str(&ch->index, room), ch->repository,
		    im.error.why[0] != '\0' ? im.error.why : rc_text(rc));
	import_end(&im);
	children_drop(j);
}

void
children_begin(struct cache *c, const struct source *source,
    struct span repository, const struct digest *index)
{
	const struct cache_source from = {
		.url = source->url,
		.credential = span_of(source->credential),
		.repository = span_of(source->repository),
	};
	struct children *ch = xcalloc(1, sizeof(*ch));

	ch->job.run = children_run;
	ch->job.drop = children_drop;
	ch->magic = CHILDREN_MAGIC;
	ch->cache = c;
	source_init(&ch->source, &from);
	ch->repository = xstrndup(repository.p, repository.n);
	ch->index = *index;
	if (pool_submit(c->pool, ch->source.url, POOL_LONG, &ch->job) != RC_OK)
		children_drop(&ch->job);
}
