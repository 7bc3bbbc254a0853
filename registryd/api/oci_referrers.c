#include <inttypes.h>
#include <stdio.h>

#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/pull.h"

/*
 * GET /v2/{name}/referrers/{digest} (distribution-spec, "Listing Referrers"):
 * the manifests of the repository whose subject is {digest}, as an image
 * index.  A page stays below 4 MiB, what clients take of a manifest, as long
 * as a single descriptor does.
 *
 * Most subjects have no referrers or a few, and those are answered on the
 * loop.
 */
#define INLINE_ROWS 8
#define INLINE_BYTES ((size_t)16 * 1024)
/* A row's own text is below 300 bytes, so a page is below 3.6 MiB. */
#define PAGE_ROWS 2000
#define PAGE_BYTES ((size_t)3 * 1024 * 1024)

static void
member(struct buf *out, const char *name, struct span value)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json(out, value);
}

static void
descriptor_write(struct buf *out, const struct referrer_row *row)
{
	char text[DIGEST_STR_BYTES];

	buf_str(out, "{\"mediaType\":");
	buf_json(out, row->media_type);
	member(out, "digest", span_of(digest_str(&row->digest, text)));
	buf_printf(out, ",\"size\":%" PRIu64, row->size_bytes);
	if (row->artifact_type.n > 0)
		member(out, "artifactType", row->artifact_type);
	if (row->annotations.n > 0) {
		buf_str(out, ",\"annotations\":");
		buf_span(out, row->annotations);
	}
	buf_char(out, '}');
}

static void
index_write(struct buf *out, const struct referrer_page *page)
{
	size_t i;

	buf_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
		     "\",\"manifests\":[");
	for (i = 0; i < page->n; i++) {
		if (i > 0)
			buf_char(out, ',');
		descriptor_write(out, &page->rows[i]);
	}
	buf_str(out, "]}");
}

/* </v2/name/referrers/digest?last=digest&artifactType=type>; rel="next" */
static void
next_link(struct call *c, const struct referrer_query *q,
    const struct referrer_row *last)
{
	char subject[DIGEST_STR_BYTES], after[DIGEST_STR_BYTES];
	struct buf b;

	buf_init(&b, SIZE_MAX);
	if (q->artifact_type.n > 0) {
		buf_str(&b, "&artifactType=");
		oci_percent(&b, q->artifact_type);
	}
	call_header(c, "Link",
	    "</v2/%.*s/referrers/%s?last=%s" SPAN_FMT ">; rel=\"next\"",
	    CALL_SHOW(c->repository), digest_str(&q->subject, subject),
	    digest_str(&last->digest, after), SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
}

static enum rc
query_read(struct call *c, struct referrer_query *q, struct digest *after)
{
	struct span last;
	enum rc rc;

	*q = (struct referrer_query){
		.repository = c->repository,
		.max_rows = c->may_block ? PAGE_ROWS : INLINE_ROWS,
		.max_bytes = c->may_block ? PAGE_BYTES : INLINE_BYTES,
	};
	if ((rc = oci_digest(c, c->part, &q->subject)) != RC_OK)
		return (rc);
	(void)http_request_param(c->request, "artifactType", &q->artifact_type);
	if (!http_request_param(c->request, "last", &last))
		return (RC_OK);
	if ((rc = oci_digest(c, last, after)) != RC_OK)
		return (rc);
	q->after = after;
	return (RC_OK);
}

enum rc
oci_referrers_list(struct call *c)
{
	struct referrer_query q;
	struct referrer_page page;
	struct digest after;
	struct buf b;
	enum rc rc;

	if ((rc = query_read(c, &q, &after)) != RC_OK ||
	    (rc = pull_referrers(c, &q.subject)) != RC_OK)
		return (rc);
	rc = meta_referrer_page(c->meta, &q, c->mode, c->arena, &page);
	if (rc != RC_OK)
		return (rc);
	if (page.more && !c->may_block)
		return (RC_WOULDBLOCK);
	if (q.artifact_type.n > 0)
		http_response_header(
		    c->answer, "OCI-Filters-Applied", SPAN("artifactType"));
	if (page.more)
		next_link(c, &q, &page.rows[page.n - 1]);
	buf_init(&b, SIZE_MAX);
	index_write(&b, &page);
	return (call_json_take(c, 200, MEDIA_OCI_INDEX, &b));
}
