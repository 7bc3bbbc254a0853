#include "registryd/api/ecr_image_int.h"

#include "base/json.h"
#include "registryd/pull.h"

/*
 * ListImageReferrers: what names a digest as its subject.  The subject itself
 * need not be here; one that nothing refers to has an empty list.
 */
#define REFERRERS_DEFAULT 20
#define REFERRERS_CHUNK 50
/* Of annotations: a page ends early when it has grown so long.  One row can be
 * as long as a manifest. */
#define REFERRERS_BYTES ((size_t)1 << 20)
#define CHUNK_BYTES ((size_t)96 << 20)

struct referring {
	struct aws_page page;
	struct digest subject, after;
	bool has_after, more;
	const json_t *types; /* NULL, empty: any */
	unsigned statuses;
	json_t *found;
	size_t looked, bytes;
};

enum rc
ecr_list_image_referrers_check(struct call *c, const json_t *in)
{
	return (ecr_image_ref_check(c, aws_member(in, "subjectId")));
}

static void
filter_read(const json_t *in, struct referring *r)
{
	const json_t *o = aws_member(in, "filter");

	r->types = aws_member(o, "artifactTypes");
	r->statuses = ecr_image_statuses(aws_string(o, "artifactStatus"));
}

static bool
type_wanted(const struct referring *r, struct span type)
{
	size_t i, n = json_array_size(r->types);

	for (i = 0; i < n; i++)
		if (span_is(
			type, json_string_value(json_array_get(r->types, i))))
			return (true);
	return (n == 0);
}

/* RC_CORRUPT: the annotations are no JSON any more. */
static enum rc
referrer_json(
    const struct referrer_row *row, enum image_status status, json_t **o_r)
{
	char why[JSON_ERROR_BYTES];
	json_t *o, *annotations = NULL;

	if (row->annotations.n > 0 &&
	    json_read(row->annotations, why, &annotations) != RC_OK)
		return (RC_CORRUPT);
	o = *o_r = json_object();
	ecr_put_digest(o, "digest", &row->digest);
	aws_put_text(o, "mediaType", row->media_type);
	if (row->artifact_type.n > 0)
		aws_put_text(o, "artifactType", row->artifact_type);
	aws_put(o, "size", json_integer((json_int_t)row->size_bytes));
	if (annotations != NULL)
		aws_put(o, "annotations", annotations);
	aws_put(o, "artifactStatus", json_string(ecr_image_status(status)));
	return (RC_OK);
}

/* One that has gone since the chunk was read is not told. */
static enum rc
referrer_add(struct call *c, struct referring *r, struct arena *own,
    const struct referrer_row *row)
{
	const struct reference by = { .is_digest = true,
		.digest = row->digest };
	struct manifest_row m;
	json_t *o;
	enum rc rc;

	if (!type_wanted(r, row->artifact_type))
		return (RC_OK);
	rc = meta_manifest_get(
	    c->meta, c->repository, &by, MANIFEST_ROW, READ_BLOCKING, own, &m);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK || (r->statuses != 0 &&
			       (r->statuses & IMAGE_STATUS_BIT(m.status)) == 0))
		return (rc);
	if ((rc = referrer_json(row, m.status, &o)) != RC_OK)
		return (rc);
	r->bytes += row->annotations.n;
	aws_append(r->found, o);
	return (RC_OK);
}

static bool
page_full(const struct referring *r)
{
	return (json_array_size(r->found) == r->page.n ||
		r->bytes > REFERRERS_BYTES || r->looked >= IMAGES_LOOKED_MAX);
}

static enum rc
chunk_add(struct call *c, struct referring *r, struct arena *own,
    const struct referrer_page *rows)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < rows->n; i++) {
		if (page_full(r)) {
			r->more = true;
			return (RC_OK);
		}
		r->looked++;
		r->after = rows->rows[i].digest;
		r->has_after = true;
		rc = referrer_add(c, r, own, &rows->rows[i]);
		if (rc != RC_OK)
			return (rc);
	}
	r->more = rows->more;
	return (RC_OK);
}

static enum rc
referrers_fill(struct call *c, struct referring *r)
{
	struct referrer_query q = { .repository = c->repository,
		.subject = r->subject,
		.max_rows = REFERRERS_CHUNK,
		.max_bytes = REFERRERS_BYTES };
	struct referrer_page rows;
	struct arena own;
	enum rc rc;

	do {
		q.after = r->has_after ? &r->after : NULL;
		arena_init(&own, CHUNK_BYTES);
		rc =
		    meta_referrer_page(c->meta, &q, READ_BLOCKING, &own, &rows);
		if (rc == RC_OK)
			rc = chunk_add(c, r, &own, &rows);
		arena_reset(&own);
	} while (rc == RC_OK && r->more && !page_full(r));
	return (rc);
}

static enum rc
referrers_page(struct call *c, struct referring *r, json_t *out)
{
	char text[DIGEST_STR_BYTES];
	enum rc rc;

	r->has_after = r->page.after.n > 0;
	if (r->has_after && digest_parse(r->page.after, &r->after) != RC_OK)
		return (ecr_image_bad_token(c));
	if ((rc = referrers_fill(c, r)) != RC_OK)
		return (rc);
	if (r->more) {
		r->page.after = span_of(digest_str(&r->after, text));
		r->page.seen = true;
		aws_page_next(c, out, &r->page);
	}
	return (RC_OK);
}

static enum rc
upstream_refused(struct call *c)
{
	const char *why;

	if (pull_refusal(c, &why) == RC_OK)
		return (RC_FAILED);
	return (call_fail(c, AWS_UPSTREAM_REFERRERS, NULL,
	    "The referrers cannot be had from the upstream registry: %s", why));
}

enum rc
ecr_list_image_referrers(struct call *c, const json_t *in, json_t *out)
{
	const json_t *subject = aws_member(in, "subjectId");
	struct referring r = { .found = json_array() };
	struct image_ref ref;
	enum rc rc;

	aws_put(out, "referrers", r.found);
	if ((rc = aws_page_read(c, in, &r.page)) != RC_OK ||
	    (rc = ecr_image_repository(c)) != RC_OK)
		return (rc);
	if (aws_member(in, "maxResults") == NULL)
		r.page.n = REFERRERS_DEFAULT;
	if (ecr_image_ref_read(subject, &ref) != FAILURE_NONE)
		return (RC_OK);
	r.subject = ref.digest;
	rc = pull_referrers(c, &r.subject);
	if (rc != RC_OK)
		return (rc == RC_FAILED ? upstream_refused(c) : rc);
	filter_read(in, &r);
	return (referrers_page(c, &r, out));
}
