#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "mirror/cache_int.h"
#include "storage/imports.h"

/*
 * One lookup on its thread: what is here by now, what the upstream has, and
 * what follows.
 *
 *	a digest	is fetched unless it is here by now
 *	a cold tag	is fetched: one request
 *	a tag that is	is asked for by HEAD, which Docker Hub does not count;
 *	here		another digest than ours is fetched by that digest, or
 *			taken from here
 *	a local tag	is left alone
 */

/* Where there is something to be served instead, nobody wants to wait long for
 * an upstream that is down. */
#define KNOWN_PATIENCE_MS 3000

enum here {
	HERE_NOTHING,
	HERE_NEWS,  /* other than what who asks has seen: he is to look again */
	HERE_LOCAL, /* somebody's own */
	HERE_KNOWN, /* what was imported, and is known to who asks */
};

static enum rc
here_tag(struct import *im, const struct lookup *l, enum here *here_r,
    struct digest *d_r)
{
	struct import_tag imported;
	struct manifest_row row;
	enum rc rc;

	*here_r = HERE_NOTHING;
	rc = meta_manifest_get(im->cache->meta, im->repository, &l->ref,
	    MANIFEST_ROW, READ_BLOCKING, &im->arena, &row);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	*d_r = row.digest;
	*here_r = HERE_NEWS;
	if (!l->has_known || !digest_eq(&l->known, &row.digest))
		return (RC_OK);
	rc = meta_import_tag_get(
	    im->cache->meta, im->repository, l->ref.tag, &imported);
	if (rc == RC_OK)
		*here_r = HERE_KNOWN;
	else if (rc == RC_NOTFOUND)
		*here_r = HERE_LOCAL;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
here_digest(struct import *im, const struct lookup *l, enum here *here_r)
{
	enum rc rc = import_has(im, &l->ref.digest);

	*here_r = rc == RC_OK ? HERE_NEWS : HERE_NOTHING;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Nothing is fetched for a repository that nobody may make. */
static enum rc
repository_may_be(struct import *im)
{
	struct repository_row row;
	enum rc rc;

	if (im->create != NULL)
		return (RC_OK);
	rc = meta_repository_get(im->cache->meta, im->repository, &row);
	if (rc != RC_NOTFOUND)
		return (rc);
	(void)snprintf(im->error.why, sizeof(im->error.why),
	    "the repository is not here, and is not to be made");
	return (RC_MISSING);
}

/* --- tags ---------------------------------------------------------------- */

static enum rc
tag_checked(struct import *im, const struct lookup *l, const struct digest *d)
{
	enum rc rc;

	rc = meta_import_tag_checked(
	    im->cache->meta, im->repository, l->ref.tag, d, clock_real_ms());
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* The tag is immutable.  It need not be asked for again with each pull. */
static enum rc
tag_kept(struct import *im, const struct lookup *l, const struct digest *here,
    const struct digest *there)
{
	char a[DIGEST_STR_BYTES], b[DIGEST_STR_BYTES];

	log_info("cache: %s:%s is immutable and stays at %s, while %s has %s",
	    l->repository, l->tag, digest_str(here, a), im->source->url,
	    digest_str(there, b));
	return (tag_checked(im, l, here));
}

/* The tag points at ${there} upstream, and at ${here} here. */
static enum rc
tag_move(struct import *im, const struct lookup *l, const struct digest *here,
    const struct digest *there, enum cache_outcome *outcome_r)
{
	const struct reference by_digest = { .is_digest = true,
		.digest = *there };
	enum rc rc;

	*outcome_r = CACHE_KEPT;
	rc = import_retag(im, there, l->ref.tag);
	if (rc == RC_NOTFOUND)
		rc = import_fetch(im, &by_digest, l->ref.tag);
	/* It moved on between the two requests. */
	if (rc == RC_NOTFOUND)
		rc = import_fetch(im, &l->ref, l->ref.tag);
	if (rc != RC_EXISTS)
		return (rc);
	*outcome_r = CACHE_SAME;
	return (tag_kept(im, l, here, there));
}

static enum rc
tag_check(struct import *im, const struct lookup *l, const struct digest *here,
    enum cache_outcome *outcome_r)
{
	struct upstream_manifest m = { 0 };
	enum rc rc;

	if (im->wait.patience_ms > KNOWN_PATIENCE_MS)
		im->wait.patience_ms = KNOWN_PATIENCE_MS;
	rc = import_answer(im, upstream_manifest_head(im->upstream,
				   span_of(im->source->repository), &l->ref,
				   &im->wait, &im->arena, &m, &im->error));
	if (rc != RC_OK)
		return (rc);
	if (!digest_eq(&m.digest, here))
		return (tag_move(im, l, here, &m.digest, outcome_r));
	*outcome_r = CACHE_SAME;
	atomic_fetch_add(&im->cache->stats.manifests_same, 1);
	return (tag_checked(im, l, here));
}

/* --- what is fetched ----------------------------------------------------- */

static enum rc
cold(struct import *im, const struct lookup *l, enum cache_outcome *outcome_r)
{
	enum rc rc;

	if ((rc = repository_may_be(im)) != RC_OK)
		return (rc);
	*outcome_r = CACHE_KEPT;
	rc = import_fetch(im, &l->ref, l->ref.tag);
	/* Another lookup was faster, and the tag is immutable. */
	return (rc == RC_EXISTS ? RC_OK : rc);
}

static enum rc
look(struct import *im, const struct lookup *l, enum cache_outcome *outcome_r)
{
	enum here here = HERE_NOTHING;
	struct digest d = { 0 };
	enum rc rc;

	if (l->ref.is_digest)
		rc = here_digest(im, l, &here);
	else
		rc = here_tag(im, l, &here, &d);
	if (rc != RC_OK)
		return (rc);
	switch (here) {
	case HERE_NOTHING:
		return (cold(im, l, outcome_r));
	case HERE_KNOWN:
		return (tag_check(im, l, &d, outcome_r));
	case HERE_NEWS:
		*outcome_r = CACHE_KEPT;
		return (RC_OK);
	case HERE_LOCAL:
		*outcome_r = CACHE_SAME;
		return (RC_OK);
	}
	wrong("a place that nobody knows");
}

/* What the store failed with says nothing of the upstream. */
static void
result_of(struct import *im, const struct lookup *l, enum rc rc,
    struct cache_result *result_r)
{

	if (rc == RC_OK)
		return;
	if (im->said)
		negative_note(
		    im->cache, &l->source, &l->negative, rc, &im->error);
	result_r->outcome = rc == RC_NOTFOUND ? CACHE_GONE : CACHE_FAILED;
	result_r->rc = rc;
	result_r->error = im->error;
	cache_why(&result_r->error, rc);
}

void
lookup_manifest(struct lookup *l, struct cache_result *result_r)
{
	struct import im;
	enum rc rc;

	rc = import_begin(&im, l->cache, &l->source, l->repository);
	im.create = lookup_create(l);
	if (rc == RC_OK)
		rc = look(&im, l, &result_r->outcome);
	result_of(&im, l, rc, result_r);
	import_end(&im);
}

/* --- referrers ----------------------------------------------------------- */

/* One that is gone by now is none. */
static enum rc
referrer_fetch(struct import *im, const struct digest *d, bool *fetched_r)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	enum rc rc;

	rc = import_has(im, d);
	if (rc != RC_NOTFOUND)
		return (rc);
	rc = import_fetch(im, &ref, SPAN_NONE);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc == RC_OK) {
		*fetched_r = true;
		atomic_fetch_add(&im->cache->stats.referrers, 1);
	}
	return (rc);
}

static enum rc
referrers_fetch(struct import *im, const struct upstream_referrer *rows,
    size_t n, bool *fetched_r)
{
	struct upstream_error error = { 0 };
	enum rc rc, first = RC_OK;
	bool said = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (cache_stopping(im->cache))
			return (RC_CANCELLED);
		rc = referrer_fetch(im, &rows[i].digest, fetched_r);
		/* One that cannot be read is no reason to go without the
		 * others; an upstream that cannot be asked is. */
		if (rc != RC_OK && first == RC_OK) {
			first = rc;
			error = im->error;
			said = im->said;
		}
		if (cache_lost(rc) || rc == RC_NOSPACE || rc == RC_CANCELLED)
			break;
	}
	im->error = error;
	im->said = said;
	return (first);
}

static enum rc
referrers(struct import *im, const struct digest *subject,
    enum cache_outcome *outcome_r)
{
	struct upstream_referrer *rows = NULL;
	bool fetched = false;
	size_t n = 0;
	enum rc rc;

	if ((rc = repository_may_be(im)) != RC_OK)
		return (rc);
	rc = import_answer(im,
	    upstream_referrers(im->upstream, span_of(im->source->repository),
		subject, &im->wait, &im->arena, &rows, &n, &im->error));
	if (rc != RC_OK)
		return (rc);
	rc = referrers_fetch(im, rows, n, &fetched);
	*outcome_r = fetched ? CACHE_KEPT : CACHE_SAME;
	if (rc != RC_OK)
		return (rc);
	rc = meta_import_referrers_checked(
	    im->cache->meta, im->repository, subject, clock_real_ms());
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

void
lookup_referrers(struct lookup *l, struct cache_result *result_r)
{
	struct import im;
	enum rc rc;

	rc = import_begin(&im, l->cache, &l->source, l->repository);
	im.create = lookup_create(l);
	if (rc == RC_OK)
		rc = referrers(&im, &l->ref.digest, &result_r->outcome);
	result_of(&im, l, rc, result_r);
	import_end(&im);
}
