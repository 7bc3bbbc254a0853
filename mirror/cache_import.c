#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/obj.h"
#include "mirror/cache_int.h"
#include "mirror/place.h"

/*
 * A manifest comes from an upstream and is put: marked as imported, and sparse,
 * since what it refers to comes when somebody asks for it.  A tag that somebody
 * has set himself is not moved by that, even if he did so just now
 * (meta_manifest_put).
 */

enum rc
import_begin(struct import *im, struct cache *c, const struct source *source,
    const char *repository)
{
	enum rc rc;

	*im = (struct import){
		.cache = c,
		.source = source,
		.repository = span_of(repository),
		.settings = cache_settings(c),
		.wait = { .cancel = &c->stopping },
	};
	im->wait.patience_ms = im->settings.patience_ms;
	arena_init(&im->arena, IMPORT_ARENA_BYTES);
	arena_init(&im->one, IMPORT_ARENA_BYTES);
	rc = upstreams_get(c->options.upstreams, source->url,
	    span_of(source->credential), &im->upstream);
	if (rc != RC_OK)
		(void)snprintf(im->error.why, sizeof(im->error.why),
		    "%s: not the address of a registry", source->url);
	return (rc);
}

void
import_end(struct import *im)
{

	upstream_unref(&im->upstream);
	arena_reset(&im->one);
	arena_reset(&im->arena);
}

enum rc
import_answer(struct import *im, enum rc rc)
{

	im->said = rc != RC_OK;
	if (rc != RC_OK)
		return (rc);
	im->error = (struct upstream_error){ 0 };
	negative_answered(im->cache, im->source);
	return (RC_OK);
}

enum rc
import_has(struct import *im, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct manifest_row row;
	enum rc rc;

	rc = meta_manifest_get(im->cache->meta, im->repository, &ref,
	    MANIFEST_ROW, READ_BLOCKING, &im->one, &row);
	arena_reset(&im->one);
	im->said = false;
	return (rc);
}

/* --- putting ------------------------------------------------------------- */

/* The texts of errors name the registry, whoever finds it. */
static enum rc
import_refuse(
    struct import *im, enum rc rc, const struct digest *d, const char *why)
{
	char room[DIGEST_STR_BYTES];

	(void)snprintf(im->error.why, sizeof(im->error.why), "%s/%s: %s: %s",
	    im->source->url, im->source->repository, digest_str(d, room), why);
	im->error.status = 0;
	return (rc);
}

static void
import_tell(struct import *im, const struct digest *d, struct span tag)
{
	const struct cache_options *o = &im->cache->options;
	const char *from;

	if (o->imported == NULL)
		return;
	from = arena_printf(
	    &im->one, "%s/%s", im->source->url, im->source->repository);
	o->imported(o->arg, im->repository, d, tag, span_of(from));
}

static bool
import_scans(const struct import *im, const struct manifest *parsed)
{
	const struct cache_options *o = &im->cache->options;

	return (manifest_scannable(parsed) && o->scan != NULL &&
		o->scan(o->arg, im->repository));
}

static enum rc
import_put(struct import *im, const struct upstream_manifest *m,
    const struct manifest *parsed, struct span tag)
{
	struct manifest_put_result result;
	const struct manifest_put put = {
		.repository = im->repository,
		.digest = m->digest,
		.text = m->text,
		.manifest = parsed,
		.tags = &tag,
		.n_tags = tag.n > 0 ? 1 : 0,
		.sparse = SPARSE_ALL,
		.create = im->create,
		.import = true,
		.scan = import_scans(im, parsed),
		.scannable = manifest_scannable(parsed),
		.now_ms = clock_real_ms(),
	};
	enum rc rc;

	if ((rc = store_room(im->cache->options.store, m->text.n)) != RC_OK)
		return (rc);
	rc = meta_manifest_put(im->cache->meta, &put, &result);
	if (rc == RC_NOTFOUND)
		return (RC_MISSING);
	if (rc == RC_OK)
		import_tell(im, &m->digest, tag);
	return (rc);
}

static enum rc
import_take(
    struct import *im, const struct upstream_manifest *m, struct span tag)
{
	char why[MANIFEST_WHY_BYTES] = "";
	struct manifest parsed;
	enum rc rc;

	if (im->settings.manifest_bytes > 0 &&
	    m->text.n > im->settings.manifest_bytes)
		return (import_refuse(im, RC_TOOBIG, &m->digest,
		    "the manifest is larger than manifests may be"));
	rc = manifest_parse(m->media_type, m->text, &im->one, &parsed, why);
	if (rc != RC_OK)
		return (import_refuse(im, rc, &m->digest, why));
	rc = import_put(im, m, &parsed, tag);
	if (rc == RC_OK && parsed.kind == MANIFEST_INDEX &&
	    im->settings.all_children && !im->background)
		children_begin(
		    im->cache, im->source, im->repository, &m->digest);
	return (rc);
}

enum rc
import_fetch(struct import *im, const struct reference *ref, struct span tag)
{
	struct upstream_manifest m = { 0 };
	enum rc rc;

	rc = import_answer(im,
	    upstream_manifest_get(im->upstream, span_of(im->source->repository),
		ref, &im->wait, &im->one, &m, &im->error));
	if (rc == RC_OK && (rc = import_take(im, &m, tag)) == RC_OK)
		atomic_fetch_add(&im->cache->stats.manifests, 1);
	arena_reset(&im->one);
	return (rc);
}

static enum rc
retag(struct import *im, const struct digest *d, struct span tag)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct upstream_manifest m = { .digest = *d };
	struct manifest_row row;
	enum rc rc;

	rc = meta_manifest_get(im->cache->meta, im->repository, &ref,
	    MANIFEST_TEXT, READ_BLOCKING, &im->one, &row);
	if (rc != RC_OK)
		return (rc);
	if (row.status != IMAGE_ACTIVE)
		return (RC_NOTFOUND);
	m.media_type = row.media_type;
	m.text = row.text;
	m.size_bytes = row.size_bytes;
	return (import_take(im, &m, tag));
}

enum rc
import_retag(struct import *im, const struct digest *d, struct span tag)
{
	enum rc rc = retag(im, d, tag);

	arena_reset(&im->one);
	return (rc);
}
