#include "registryd/api/ecr_image_int.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/obj.h"
#include "registryd/api/oci_int.h"
#include "registryd/audit_images.h"
#include "registryd/service.h"
#include "storage/findings.h"

/*
 * ListImages, DescribeImages, UpdateImageStorageClass.  Lists are in order of
 * digest and, of one image, of tag.  A page is read in chunks, so that what is
 * in memory is bounded though an image can have many tags; where a page ends
 * is where the next begins, whatever has come or gone meanwhile.
 */

/* --- filters ------------------------------------------------------------- */

struct filter {
	enum image_tagged tagged;
	unsigned statuses;
};

static struct filter
filter_read(const json_t *in)
{
	const json_t *o = aws_member(in, "filter");
	struct span tagged = aws_string(o, "tagStatus");
	struct filter f = { .tagged = IMAGES_ANY,
		.statuses = ecr_image_statuses(aws_string(o, "imageStatus")) };

	if (span_is(tagged, "TAGGED"))
		f.tagged = IMAGES_TAGGED;
	else if (span_is(tagged, "UNTAGGED"))
		f.tagged = IMAGES_UNTAGGED;
	return (f);
}

/* As meta_image_page() does it, of an image that was named. */
static bool
filter_takes(const struct filter *f, const struct image_row *row)
{
	if (f->statuses != 0 &&
	    (f->statuses & IMAGE_STATUS_BIT(row->manifest.status)) == 0)
		return (false);
	return (f->tagged == IMAGES_ANY ||
		(f->tagged == IMAGES_TAGGED) == (row->n_tags > 0));
}

/* --- positions ----------------------------------------------------------- */

/* "sha256:...", and when only some tags of that image were seen, a line feed
 * and the last of them. */
#define POSITION_BYTES (DIGEST_STR_BYTES + 1 + NAME_TAG_MAX_BYTES)

struct position {
	bool set;
	struct digest digest;
	struct span tag;
	char text[POSITION_BYTES];
};

/* Without authentication anybody can seal a token: it is read as if a client
 * had written it. */
static enum rc
position_read(struct call *c, const struct aws_page *page, struct position *at)
{
	struct span rest = page->after, digest;

	*at = (struct position){ .set = false };
	if (!span_split(&rest, '\n', &digest))
		return (RC_OK);
	if (digest_parse(digest, &at->digest) != RC_OK ||
	    (rest.n > 0 && !name_tag_ok(rest)))
		return (ecr_image_bad_token(c));
	at->set = true;
	at->tag = rest.n > 0 ? rest : SPAN_NONE;
	return (RC_OK);
}

static void
position_next(struct call *c, json_t *out, struct aws_page *page,
    struct position *at, const struct image_id *last)
{
	char digest[DIGEST_STR_BYTES];
	int n;

	n = snprintf(at->text, sizeof(at->text), "%s%s" SPAN_FMT,
	    digest_str(&last->digest, digest), last->tag.p != NULL ? "\n" : "",
	    SPAN_ARG(last->tag));
	must(n > 0 && (size_t)n < sizeof(at->text));
	page->after = (struct span){ at->text, (size_t)n };
	page->seen = true;
	aws_page_next(c, out, page);
}

/* --- ListImages ---------------------------------------------------------- */

#define LIST_BYTES ((size_t)8 << 20)

static enum rc
list_page(struct call *c, struct aws_page *page, const struct filter *f,
    struct arena *own, json_t *out)
{
	struct position at;
	struct image_id_page ids;
	struct image_query q = {
		.repository = c->repository,
		.tagged = f->tagged,
		.statuses = f->statuses,
		.max_rows = page->n,
		.max_looked = IMAGES_LOOKED_MAX,
	};
	json_t *list = json_array();
	size_t i;
	enum rc rc;

	aws_put(out, "imageIds", list);
	if ((rc = position_read(c, page, &at)) != RC_OK)
		return (rc);
	q.after = at.set ? &at.digest : NULL;
	q.after_tag = at.tag;
	rc = meta_image_id_page(c->meta, &q, own, &ids);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc != RC_OK)
		return (rc);
	for (i = 0; i < ids.n; i++)
		aws_append(list,
		    ecr_image_id_json(&ids.rows[i].digest, ids.rows[i].tag));
	if (ids.more)
		position_next(c, out, page, &at, &ids.last);
	return (RC_OK);
}

enum rc
ecr_list_images(struct call *c, const json_t *in, json_t *out)
{
	struct filter f = filter_read(in);
	struct aws_page page;
	struct arena own;
	enum rc rc;

	if ((rc = aws_page_read(c, in, &page)) != RC_OK)
		return (rc);
	arena_init(&own, LIST_BYTES);
	rc = list_page(c, &page, &f, &own, out);
	arena_reset(&own);
	return (rc);
}

/* --- ImageDetail --------------------------------------------------------- */

static json_t *
tags_json(const struct image_row *row)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < row->n_tags; i++)
		aws_append(list, call_text(row->tags[i]));
	return (list);
}

static void
put_past(json_t *o, const char *name, int64_t ms)
{
	if (ms != 0)
		aws_put_time(o, name, ms);
}

#define SUMMARY_BYTES ((size_t)64 << 10)

static void
scan_put(struct call *c, json_t *o, const struct image_row *row)
{
	struct scan_findings f;
	struct arena own;
	json_t *summary;

	ecr_put_scan(o, &row->scan);
	if (row->scan.status != SCAN_COMPLETE)
		return;
	arena_init(&own, SUMMARY_BYTES);
	if (meta_findings_get(c->meta, c->repository, &row->manifest.digest,
		false, &own, &f) == RC_OK) {
		summary = json_object();
		ecr_put_scan_summary(summary, &f);
		aws_put(o, "imageScanFindingsSummary", summary);
	}
	arena_reset(&own);
}

static json_t *
detail_json(struct call *c, const struct image_row *row)
{
	const struct manifest_row *m = &row->manifest;
	json_t *o = json_object();

	ecr_put_repository(c, o);
	ecr_put_digest(o, "imageDigest", &m->digest);
	if (row->n_tags > 0)
		aws_put(o, "imageTags", tags_json(row));
	aws_put(
	    o, "imageSizeInBytes", json_integer((json_int_t)row->image_bytes));
	aws_put_time(o, "imagePushedAt", m->pushed_ms);
	scan_put(c, o, row);
	aws_put_text(o, "imageManifestMediaType", m->media_type);
	if (m->artifact_type.n > 0)
		aws_put_text(o, "artifactMediaType", m->artifact_type);
	put_past(o, "lastRecordedPullTime", m->pulled_ms);
	if (m->has_subject)
		ecr_put_digest(o, "subjectManifestDigest", &m->subject);
	aws_put(o, "imageStatus", json_string(ecr_image_status(m->status)));
	put_past(o, "lastArchivedAt", row->archived_ms);
	put_past(o, "lastActivatedAt", row->activated_ms);
	return (o);
}

/* About as long as it will be in the answer. */
static size_t
detail_bytes(const struct image_row *row)
{
	size_t i, n = 1024;

	n += row->manifest.artifact_type.n + row->scan.reason.n;
	for (i = 0; i < row->n_tags; i++)
		n += row->tags[i].n + 3;
	return (n);
}

/* --- DescribeImages, by identifiers -------------------------------------- */

/* A hundred images of a thousand tags are 13 MB. */
#define NAMED_BYTES ((size_t)32 << 20)
#define ROW_BYTES ((size_t)64 << 20)

enum rc
ecr_describe_images_check(struct call *c, const json_t *in)
{
	static const char *const others[] = { "maxResults", "nextToken" };
	const json_t *ids = aws_member(in, "imageIds");
	size_t i;
	enum rc rc = RC_OK;

	if (ids == NULL)
		return (RC_OK);
	for (i = 0; i < ARRAY_LEN(others); i++)
		if (aws_member(in, others[i]) != NULL)
			return (aws_invalid(c, others[i],
			    "%s cannot be used together with imageIds",
			    others[i]));
	for (i = 0; rc == RC_OK && i < json_array_size(ids); i++)
		rc = ecr_image_ref_check(c, json_array_get(ids, i));
	return (rc);
}

struct named {
	const struct filter *filter; /* NULL: whatever they are */
	json_t *details;
	struct digest *seen; /* each image is told once */
	size_t n_seen, bytes;
};

static bool
named_before(const struct named *n, const struct digest *d)
{
	size_t i;

	for (i = 0; i < n->n_seen; i++)
		if (digest_eq(&n->seen[i], d))
			return (true);
	return (false);
}

static enum rc
named_one(struct call *c, struct named *n, const json_t *id)
{
	struct image_row row;
	struct arena own;
	enum rc rc;

	arena_init(&own, ROW_BYTES);
	rc = ecr_image_find_in(c, id, &own, &row);
	if (rc == RC_OK && !named_before(n, &row.manifest.digest) &&
	    (n->filter == NULL || filter_takes(n->filter, &row))) {
		n->seen[n->n_seen++] = row.manifest.digest;
		n->bytes += detail_bytes(&row);
		aws_append(n->details, detail_json(c, &row));
	}
	arena_reset(&own);
	return (rc == RC_OK && n->bytes > NAMED_BYTES ? RC_TOOBIG : rc);
}

static enum rc
describe_named(struct call *c, const json_t *in, json_t *out)
{
	const struct filter filter = filter_read(in);
	const json_t *ids = aws_member(in, "imageIds");
	struct named n = { .details = json_array() };
	size_t i;
	enum rc rc = RC_OK;

	if (aws_member(in, "filter") != NULL)
		n.filter = &filter;
	aws_put(out, "imageDetails", n.details);
	n.seen = arena_calloc(c->arena, json_array_size(ids), sizeof(*n.seen));
	if (n.seen == NULL)
		return (RC_TOOBIG);
	for (i = 0; rc == RC_OK && i < json_array_size(ids); i++)
		rc = named_one(c, &n, json_array_get(ids, i));
	return (rc);
}

/* --- DescribeImages, page by page ---------------------------------------- */

#define DESCRIBE_CHUNK 100
#define CHUNK_BYTES ((size_t)32 << 20)
/* A page ends early when it has grown so long. */
#define DESCRIBE_BYTES ((size_t)4 << 20)

struct describing {
	const struct filter *filter;
	struct aws_page page;
	struct position at;
	json_t *details;
	size_t bytes;
	size_t chunk; /* rows that are asked for at once */
	bool more, full;
	struct image_id last;
};

/* Those of one chunk, until the page is long enough. */
static void
chunk_add(struct call *c, struct describing *d, const struct image_page *rows)
{
	size_t i;

	d->more = rows->more;
	d->last.digest = rows->last;
	for (i = 0; i < rows->n; i++) {
		d->bytes += detail_bytes(&rows->rows[i]);
		aws_append(d->details, detail_json(c, &rows->rows[i]));
		if (d->bytes <= DESCRIBE_BYTES)
			continue;
		d->full = true;
		if (i + 1 == rows->n)
			return;
		d->more = true;
		d->last.digest = rows->rows[i].manifest.digest;
		return;
	}
}

/* Fewer than were asked for: the chunk has looked at all it may. */
static enum rc
chunk_read(struct call *c, struct describing *d)
{
	struct image_query q = {
		.repository = c->repository,
		.tagged = d->filter->tagged,
		.statuses = d->filter->statuses,
		.after = d->at.set ? &d->at.digest : NULL,
		.max_rows = d->page.n - json_array_size(d->details),
		.max_looked = IMAGES_LOOKED_MAX,
	};
	struct image_page rows;
	struct arena own;
	enum rc rc;

	if (q.max_rows > d->chunk)
		q.max_rows = d->chunk;
	arena_init(&own, d->chunk > 1 ? CHUNK_BYTES : ROW_BYTES);
	rc = meta_image_page(c->meta, &q, &own, &rows);
	if (rc == RC_OK) {
		chunk_add(c, d, &rows);
		d->full = d->full || rows.n < q.max_rows;
		d->at.digest = d->last.digest;
		d->at.set = true;
	}
	arena_reset(&own);
	return (rc);
}

/* Images of many thousand tags are read one by one. */
static enum rc
describe_fill(struct call *c, struct describing *d)
{
	enum rc rc;

	do {
		rc = chunk_read(c, d);
		if (rc == RC_TOOBIG && d->chunk > 1) {
			d->chunk = 1;
			d->more = true;
			rc = RC_OK;
		}
	} while (rc == RC_OK && d->more && !d->full &&
		 json_array_size(d->details) < d->page.n);
	return (rc == RC_NOTFOUND ? ecr_unknown(c, c->repository) : rc);
}

static enum rc
describe_listed(struct call *c, const json_t *in, json_t *out)
{
	struct filter f = filter_read(in);
	struct describing d = {
		.filter = &f, .details = json_array(), .chunk = DESCRIBE_CHUNK
	};
	enum rc rc;

	aws_put(out, "imageDetails", d.details);
	if ((rc = aws_page_read(c, in, &d.page)) != RC_OK)
		return (rc);
	if ((rc = position_read(c, &d.page, &d.at)) != RC_OK ||
	    (rc = describe_fill(c, &d)) != RC_OK)
		return (rc);
	if (d.more)
		position_next(c, out, &d.page, &d.at, &d.last);
	return (RC_OK);
}

enum rc
ecr_describe_images(struct call *c, const json_t *in, json_t *out)
{
	if (aws_member(in, "imageIds") != NULL)
		return (describe_named(c, in, out));
	return (describe_listed(c, in, out));
}

/* --- UpdateImageStorageClass --------------------------------------------- */

/* Of IMAGE_RESTORE_MAX digests. */
#define RESTORED_BYTES ((size_t)64 << 20)

enum rc
ecr_update_image_storage_class_check(struct call *c, const json_t *in)
{
	return (ecr_image_ref_check(c, aws_member(in, "imageId")));
}

static enum rc
class_refused(struct call *c, const struct digest *d, const struct holding *h)
{
	char text[DIGEST_STR_BYTES];

	return (call_fail(c, AWS_STORAGE_CLASS_UNSUPPORTED, NULL,
	    "The image with digest '%s' in the repository with name '" SPAN_FMT
	    "' cannot be archived: it is referenced by manifest list: %s",
	    digest_str(d, text), SPAN_ARG(c->repository),
	    oci_digests(c, h->by, h->n, h->more)));
}

static void
archived_audit(struct call *c, const struct image_row *row)
{
	const struct audit_event event = {
		.kind = AUDIT_IMAGE_ARCHIVE,
		.by = c->principal,
		.repository = c->repository,
		.digest = &row->manifest.digest,
		.tags_known = true,
		.tags = row->tags,
		.n_tags = row->n_tags,
		.bytes = row->image_bytes,
	};

	audit_write(c->service->audit, &event);
}

static enum rc
class_archive(struct call *c, const struct reference *by, struct image_row *row)
{
	bool was = row->manifest.status == IMAGE_ARCHIVED;
	struct holding holding;
	enum rc rc;

	rc = meta_image_status_set(c->meta, c->repository, by, IMAGE_ARCHIVED,
	    clock_real_ms(), c->arena, row, &holding);
	if (rc == RC_REFERENCED)
		return (class_refused(c, &by->digest, &holding));
	if (rc == RC_OK && !was)
		archived_audit(c, row);
	return (rc);
}

/* Others come back with it, also with one that is active already.  Whoever
 * restores one waits for it. */
static enum rc
class_restore(struct call *c, const struct reference *by, struct image_row *row)
{
	struct image_list back = { 0 };
	struct arena own;
	enum rc rc;

	arena_init(&own, RESTORED_BYTES);
	back.arena = &own;
	rc = meta_image_restore(
	    c->meta, c->repository, by, clock_real_ms(), c->arena, row, &back);
	if (rc == RC_OK) {
		audit_images(c, AUDIT_IMAGE_RESTORE, &back, &by->digest);
		if (row->manifest.status == IMAGE_ACTIVATING)
			service_collect_soon(c->service);
	}
	arena_reset(&own);
	return (rc);
}

enum rc
ecr_update_image_storage_class(struct call *c, const json_t *in, json_t *out)
{
	const json_t *id = aws_member(in, "imageId");
	bool archive = span_is(aws_string(in, "targetStorageClass"), "ARCHIVE");
	struct image_row row;
	struct reference by = { .is_digest = true };
	enum rc rc;

	if ((rc = ecr_image_find(c, id, &row)) != RC_OK)
		return (rc);
	by.digest = row.manifest.digest;
	rc =
	    archive ? class_archive(c, &by, &row) : class_restore(c, &by, &row);
	if (rc == RC_NOTFOUND)
		return (ecr_image_not_found(c, id));
	if (rc != RC_OK)
		return (rc);
	ecr_put_repository(c, out);
	aws_put(out, "imageId",
	    ecr_image_id_json(&by.digest, aws_string(id, "imageTag")));
	aws_put(out, "imageStatus",
	    json_string(ecr_image_status(row.manifest.status)));
	return (RC_OK);
}
