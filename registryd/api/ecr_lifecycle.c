#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/obj.h"
#include "registryd/api/ecr_image_int.h"
#include "registryd/audit.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "storage/lifecycles.h"

/*
 * PutLifecyclePolicy, GetLifecyclePolicy, DeleteLifecyclePolicy, and previews:
 * StartLifecyclePolicyPreview, GetLifecyclePolicyPreview.  A text that is kept
 * has been read by the rules of lifecycle/policy.h, and is shown as it was
 * sent.  Previews are evaluated by the service; here their results are shown,
 * with the tags that the images have by now.
 */

/* --- errors -------------------------------------------------------------- */

static enum rc
no_policy(struct call *c)
{
	return (call_fail(c, AWS_LIFECYCLE_POLICY_NOT_FOUND, NULL,
	    "Lifecycle policy does not exist for the repository with name "
	    "'" SPAN_FMT "' in the registry with id '%s'",
	    SPAN_ARG(c->repository), c->settings->account_id));
}

static enum rc
no_preview(struct call *c)
{
	return (call_fail(c, AWS_LIFECYCLE_PREVIEW_NOT_FOUND, NULL,
	    "Lifecycle policy preview does not exist for the repository with "
	    "name '" SPAN_FMT "' in the registry with id '%s'",
	    SPAN_ARG(c->repository), c->settings->account_id));
}

static enum rc
preview_busy(struct call *c)
{
	return (call_fail(c, AWS_LIFECYCLE_PREVIEW_IN_PROGRESS, NULL,
	    "Lifecycle policy preview is in progress for the repository with "
	    "name '" SPAN_FMT "' in the registry with id '%s'. Wait until it "
	    "has completed and try again.",
	    SPAN_ARG(c->repository), c->settings->account_id));
}

/* --- the policy ---------------------------------------------------------- */

struct lifecycle_grammar
ecr_lifecycle_grammar(const struct call *c)
{
	return ((struct lifecycle_grammar){
	    .max_rules = c->settings->quotas.lifecycle_rules,
	    .extensions = c->settings->lifecycle.extensions,
	});
}

/* Also of one that was set when the settings allowed more. */
static enum rc
text_check(struct call *c, struct span text)
{
	const struct lifecycle_grammar grammar = ecr_lifecycle_grammar(c);
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy policy;
	enum rc rc;

	rc = lifecycle_policy_parse(text, &grammar, c->arena, &policy, why);
	if (rc != RC_INVALID)
		return (rc);
	return (aws_invalid(c, "LifecyclePolicyText",
	    "Lifecycle policy validation failure: %s", why));
}

static void
policy_put(struct call *c, json_t *out, struct span text)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "repositoryName", c->repository);
	aws_put_text(out, "lifecyclePolicyText", text);
}

static void
policy_audit(struct call *c, enum audit_kind kind, uint64_t revision)
{
	const struct audit_event event = {
		.kind = kind,
		.by = c->principal,
		.repository = c->repository,
		.policy_revision = revision,
	};

	audit_write(c->service->audit, &event);
}

enum rc
ecr_put_lifecycle_policy_check(struct call *c, const json_t *in)
{
	return (text_check(c, aws_string(in, "lifecyclePolicyText")));
}

enum rc
ecr_put_lifecycle_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text = aws_string(in, "lifecyclePolicyText");
	uint64_t revision;
	enum rc rc;

	rc = meta_lifecycle_set(
	    c->meta, c->repository, text, clock_real_ms(), &revision);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc != RC_OK)
		return (rc);
	policy_audit(c, AUDIT_POLICY_PUT, revision);
	policy_put(c, out, text);
	return (RC_OK);
}

/* One that was never evaluated shows the beginning of time, as ECR does. */
static enum rc
policy_show(struct call *c, json_t *out, enum rc rc, struct lifecycle_row *row)
{
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_MISSING)
		return (no_policy(c));
	if (rc != RC_OK)
		return (rc);
	policy_put(c, out, row->text);
	aws_put_time(out, "lastEvaluatedAt", row->evaluated_ms);
	return (RC_OK);
}

enum rc
ecr_get_lifecycle_policy(struct call *c, const json_t *in, json_t *out)
{
	struct lifecycle_row row;
	enum rc rc;

	(void)in;
	rc = meta_lifecycle_get(c->meta, c->repository, c->arena, &row);
	return (policy_show(c, out, rc, &row));
}

enum rc
ecr_delete_lifecycle_policy(struct call *c, const json_t *in, json_t *out)
{
	struct lifecycle_row row;
	enum rc rc;

	(void)in;
	rc = meta_lifecycle_delete(c->meta, c->repository, c->arena, &row);
	if (rc == RC_OK)
		policy_audit(c, AUDIT_POLICY_DELETE, row.revision);
	return (policy_show(c, out, rc, &row));
}

/* --- previews ------------------------------------------------------------ */

static const char *
status_text(enum preview_status status)
{
	switch (status) {
	case PREVIEW_IN_PROGRESS:
		return ("IN_PROGRESS");
	case PREVIEW_COMPLETE:
		return ("COMPLETE");
	case PREVIEW_FAILED:
		return ("FAILED");
	case PREVIEW_EXPIRED:
		return ("EXPIRED");
	}
	wrong("a preview without a status");
}

static void
status_put(json_t *out, enum preview_status status)
{
	aws_put(out, "status", json_string(status_text(status)));
}

enum rc
ecr_start_lifecycle_policy_preview_check(struct call *c, const json_t *in)
{
	struct span text = aws_string(in, "lifecyclePolicyText");

	return (text.p != NULL ? text_check(c, text) : RC_OK);
}

/* The one that was sent, else the repository's own. */
static enum rc
preview_text(struct call *c, const json_t *in, struct span *text_r)
{
	struct lifecycle_row row;
	enum rc rc;

	*text_r = aws_string(in, "lifecyclePolicyText");
	if (text_r->p != NULL)
		return (RC_OK);
	rc = meta_lifecycle_get(c->meta, c->repository, c->arena, &row);
	if (rc == RC_MISSING)
		return (no_policy(c));
	if (rc != RC_OK)
		return (rc);
	*text_r = row.text;
	return (text_check(c, row.text));
}

enum rc
ecr_start_lifecycle_policy_preview(
    struct call *c, const json_t *in, json_t *out)
{
	struct span text;
	enum rc rc;

	rc = preview_text(c, in, &text);
	if (rc == RC_OK)
		rc = meta_preview_start(
		    c->meta, c->repository, text, clock_real_ms());
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_BUSY)
		return (preview_busy(c));
	if (rc != RC_OK)
		return (rc);
	service_previews_wake(c->service);
	policy_put(c, out, text);
	status_put(out, PREVIEW_IN_PROGRESS);
	return (RC_OK);
}

/* Images that are named are all told at once. */
enum rc
ecr_get_lifecycle_policy_preview_check(struct call *c, const json_t *in)
{
	const json_t *ids = aws_member(in, "imageIds"), *id;
	size_t i;
	enum rc rc;

	if (ids == NULL)
		return (RC_OK);
	if ((rc = ecr_paging_check(c, in, "imageIds")) != RC_OK)
		return (rc);
	for (i = 0; i < json_array_size(ids); i++) {
		id = json_array_get(ids, i);
		if (aws_member(id, "imageDigest") == NULL &&
		    aws_member(id, "imageTag") == NULL)
			return (aws_invalid(c, "imageIds",
			    "Invalid request parameters: both tag and digest "
			    "cannot be null"));
	}
	return (RC_OK);
}

/* --- results ------------------------------------------------------------- */

#define ROW_BYTES ((size_t)64 << 20)
#define CHUNK_BYTES ((size_t)4 << 20)
#define CHUNK_ROWS 100
/* A page ends early when it has grown so long; an answer about images that
 * were named has no pages. */
#define LISTED_BYTES ((size_t)4 << 20)
#define NAMED_BYTES ((size_t)32 << 20)
/* "RUN.SEQUENCE" */
#define POSITION_BYTES 40

struct listing {
	struct call *c;
	enum image_tagged tagged;
	const struct digest *named; /* sorted; NULL: all are wanted */
	size_t n_named;
	json_t *results;
	size_t max_rows, looked, bytes;
	struct preview_query q; /* of what comes next */
	bool more;
};

static enum image_tagged
tagged_read(const json_t *in)
{
	struct span text = aws_string(aws_member(in, "filter"), "tagStatus");

	if (span_is(text, "TAGGED"))
		return (IMAGES_TAGGED);
	return (span_is(text, "UNTAGGED") ? IMAGES_UNTAGGED : IMAGES_ANY);
}

static json_t *
tags_json(struct listing *l, const struct image_row *image)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < image->n_tags; i++) {
		aws_append(list, call_text(image->tags[i]));
		l->bytes += image->tags[i].n + 3;
	}
	return (list);
}

static json_t *
action_json(const struct preview_result *row)
{
	json_t *o = json_object();

	if (row->action == PREVIEW_EXPIRE) {
		aws_put(o, "type", json_string("EXPIRE"));
	} else {
		aws_put(o, "type", json_string("TRANSITION"));
		aws_put(o, "targetStorageClass", json_string("ARCHIVE"));
	}
	return (o);
}

static json_t *
result_json(struct listing *l, const struct preview_result *row,
    const struct image_row *image)
{
	json_t *o = json_object();

	l->bytes += 400;
	ecr_put_digest(o, "imageDigest", &row->digest);
	aws_put(o, "imageTags", tags_json(l, image));
	aws_put_time(o, "imagePushedAt", row->pushed_ms);
	aws_put(o, "action", action_json(row));
	aws_put(
	    o, "appliedRulePriority", json_integer((json_int_t)row->priority));
	aws_put(o, "storageClass",
	    json_string(
		row->status == IMAGE_ARCHIVED ? "ARCHIVE" : "STANDARD"));
	return (o);
}

static bool
tags_wanted(const struct listing *l, size_t n_tags)
{
	return (l->tagged == IMAGES_ANY ||
		(n_tags > 0) == (l->tagged == IMAGES_TAGGED));
}

/* One that is gone by now has no tags. */
static enum rc
result_show(struct listing *l, const struct preview_result *row)
{
	const struct reference by = { .is_digest = true,
		.digest = row->digest };
	struct image_row image = { 0 };
	struct arena own;
	enum rc rc;

	arena_init(&own, ROW_BYTES);
	rc = meta_image_get(l->c->meta, l->c->repository, &by, &own, &image);
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	if (rc == RC_OK && tags_wanted(l, image.n_tags))
		aws_append(l->results, result_json(l, row, &image));
	arena_reset(&own);
	return (rc);
}

static int
digests_cmp(const void *a, const void *b)
{
	return (digest_cmp(a, b));
}

static bool
digest_wanted(const struct listing *l, const struct digest *d)
{
	return (l->named == NULL || bsearch(d, l->named, l->n_named, sizeof(*d),
					digests_cmp) != NULL);
}

static bool
listing_full(const struct listing *l)
{
	if (l->named != NULL)
		return (json_array_size(l->results) >= l->n_named);
	return (json_array_size(l->results) >= l->max_rows ||
		l->looked >= IMAGES_LOOKED_MAX || l->bytes >= LISTED_BYTES);
}

static enum rc
chunk_show(struct listing *l, const struct preview_page *page)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < page->n && !listing_full(l); i++) {
		l->looked++;
		l->q.from = page->rows[i].sequence + 1;
		if (!digest_wanted(l, &page->rows[i].digest))
			continue;
		if ((rc = result_show(l, &page->rows[i])) != RC_OK)
			return (rc);
	}
	l->more = page->more || i < page->n;
	return (l->named != NULL && l->bytes > NAMED_BYTES ? RC_TOOBIG : RC_OK);
}

/* RC_RANGE: another preview has taken its place, or it has expired. */
static enum rc
listing_go_on(struct listing *l)
{
	struct preview_page page;
	struct arena own;
	enum rc rc;

	arena_init(&own, CHUNK_BYTES);
	rc = meta_preview_result_page(l->c->meta, &l->q, &own, &page);
	if (rc == RC_OK && page.preview.status != PREVIEW_COMPLETE)
		rc = RC_RANGE;
	if (rc == RC_OK)
		rc = chunk_show(l, &page);
	arena_reset(&own);
	return (rc);
}

/* Whoever wants what follows on a page whose preview is gone is told then. */
static enum rc
listing_fill(struct listing *l, const struct preview_page *first)
{
	enum rc rc;

	l->q.run = first->preview.run;
	rc = chunk_show(l, first);
	while (rc == RC_OK && l->more && !listing_full(l))
		rc = listing_go_on(l);
	return (rc == RC_RANGE && l->named == NULL ? RC_OK : rc);
}

/* --- of which images ----------------------------------------------------- */

/* Its digest, if it is an image that there is. */
static enum rc
named_find(struct call *c, const json_t *id, struct digest *d_r)
{
	struct image_ref ref;
	struct image_row row;
	struct reference by;
	struct arena own;
	enum rc rc;

	if (ecr_image_ref_read(id, &ref) != FAILURE_NONE)
		return (RC_NOTFOUND);
	*d_r = ref.digest;
	/* Which may be gone, and in the results. */
	if (ref.tag.p == NULL)
		return (RC_OK);
	by = ecr_image_by(&ref);
	arena_init(&own, ROW_BYTES);
	rc = meta_image_get(c->meta, c->repository, &by, &own, &row);
	if (rc == RC_OK && ref.has_digest &&
	    !digest_eq(&ref.digest, &row.manifest.digest))
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		*d_r = row.manifest.digest;
	arena_reset(&own);
	return (rc);
}

static bool
named_before(const struct digest *named, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (digest_eq(&named[i], &named[n]))
			return (true);
	return (false);
}

/* Those that there are not have no results. */
static enum rc
named_read(struct listing *l, const json_t *ids)
{
	struct digest *named;
	size_t i, n = 0;
	enum rc rc;

	if (ids == NULL)
		return (RC_OK);
	named = arena_calloc(l->c->arena, json_array_size(ids), sizeof(*named));
	if (named == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < json_array_size(ids); i++) {
		rc = named_find(l->c, json_array_get(ids, i), &named[n]);
		if (rc == RC_OK && !named_before(named, n))
			n++;
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return (rc);
	}
	if (n > 0)
		qsort(named, n, sizeof(*named), digests_cmp);
	l->named = named;
	l->n_named = n;
	return (RC_OK);
}

/* --- GetLifecyclePolicyPreview ------------------------------------------- */

/* Without authentication anybody can write a token. */
static enum rc
position_read(struct listing *l, const struct aws_page *page)
{
	struct span rest = page->after, run;
	uint64_t from;

	if (page->after.n == 0)
		return (RC_OK);
	if (!span_split(&rest, '.', &run) ||
	    num_u64(run, UINT64_MAX, &l->q.run) != RC_OK ||
	    num_u64(rest, UINT32_MAX, &from) != RC_OK || l->q.run == 0)
		return (ecr_image_bad_token(l->c));
	l->q.from = (uint32_t)from;
	return (RC_OK);
}

static void
position_next(struct listing *l, struct aws_page *page, json_t *out)
{
	char text[POSITION_BYTES];
	int n;

	n = snprintf(
	    text, sizeof(text), "%" PRIu64 ".%" PRIu32, l->q.run, l->q.from);
	must(n > 0 && (size_t)n < sizeof(text));
	page->after = (struct span){ text, (size_t)n };
	page->seen = true;
	aws_page_next(l->c, out, page);
}

/* Of all results, on whichever page. */
static json_t *
summary_json(const struct preview_row *row)
{
	json_t *o = json_object(), *list, *sum;

	if (row->status != PREVIEW_COMPLETE)
		return (o);
	aws_put(o, "expiringImageTotalCount",
	    json_integer((json_int_t)row->sums.expiring));
	list = json_array();
	if (row->sums.transitioning > 0) {
		sum = json_object();
		aws_put(sum, "targetStorageClass", json_string("ARCHIVE"));
		aws_put(sum, "imageTotalCount",
		    json_integer((json_int_t)row->sums.transitioning));
		aws_append(list, sum);
	}
	aws_put(o, "transitioningImageTotalCounts", list);
	return (o);
}

static enum rc
preview_refused(struct call *c, enum rc rc)
{
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_MISSING)
		return (no_preview(c));
	if (rc == RC_RANGE)
		return (aws_invalid(c, "nextToken",
		    "the token is of an earlier preview; begin the list "
		    "again"));
	return (rc);
}

static enum rc
preview_show(struct listing *l, json_t *out)
{
	struct preview_page first;
	enum rc rc;

	rc = meta_preview_result_page(l->c->meta, &l->q, l->c->arena, &first);
	if (rc != RC_OK)
		return (rc);
	l->results = json_array();
	policy_put(l->c, out, first.preview.text);
	status_put(out, first.preview.status);
	aws_put(out, "previewResults", l->results);
	aws_put(out, "summary", summary_json(&first.preview));
	return (listing_fill(l, &first));
}

enum rc
ecr_get_lifecycle_policy_preview(struct call *c, const json_t *in, json_t *out)
{
	struct listing l = {
		.c = c,
		.tagged = tagged_read(in),
		.q.repository = c->repository,
		.q.max_rows = CHUNK_ROWS,
	};
	struct aws_page page;
	enum rc rc;

	if ((rc = aws_page_read(c, in, &page)) != RC_OK ||
	    (rc = position_read(&l, &page)) != RC_OK ||
	    (rc = named_read(&l, aws_member(in, "imageIds"))) != RC_OK)
		return (rc);
	if (l.named != NULL)
		l.q.max_rows = PREVIEW_PAGE_ROWS_MAX;
	l.max_rows = page.n;
	/* Images that were named are looked for in one preview, to its end. */
	while ((rc = preview_show(&l, out)) == RC_RANGE && l.named != NULL) {
		l.q.run = 0;
		l.q.from = 0;
		l.bytes = 0;
	}
	if (rc != RC_OK)
		return (preview_refused(c, rc));
	if (l.more && l.named == NULL)
		position_next(&l, &page, out);
	return (RC_OK);
}
