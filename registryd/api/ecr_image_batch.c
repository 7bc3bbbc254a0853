#include "registryd/api/ecr_image_int.h"

#include <inttypes.h>

#include "base/obj.h"
#include "registryd/api/oci_int.h"
#include "registryd/audit.h"
#include "registryd/pull.h"
#include "registryd/pulls.h"
#include "registryd/service.h"

/*
 * BatchGetImage and BatchDeleteImage: up to a hundred images, each of which is
 * done or told as a failure, by itself.  An identifier that is given twice is
 * answered once.
 */
#define BATCH_MAX 100

struct batch {
	json_t *ids; /* each once */
	json_t *done, *failures;
};

static void
ids_free(void *arg)
{
	json_decref(arg);
}

static void
batch_begin(struct call *c, const json_t *in, json_t *out, const char *name,
    struct batch *b)
{
	b->ids = ecr_image_ids_unique(aws_member(in, "imageIds"));
	arena_defer(c->arena, ids_free, b->ids);
	must(json_array_size(b->ids) <= BATCH_MAX); /* its shape says so */
	b->done = json_array();
	b->failures = json_array();
	aws_put(out, name, b->done);
	aws_put(out, "failures", b->failures);
}

/* --- BatchGetImage ------------------------------------------------------- */

/*
 * The model lets a hundred manifests of 4 MiB go into one answer, and each is
 * in memory several times on its way out.  This is 80 KiB for each of a
 * hundred, and twice the largest that the model knows.
 */
#define GET_BYTES ((uint64_t)8 << 20)
#define GET_ROW_BYTES ((size_t)1 << 20)

struct get {
	struct batch batch;
	const json_t *accepted; /* NULL: any */
	uint64_t bytes;
	struct digest pulled[BATCH_MAX];
	size_t n_pulled;
	bool refused; /* an upstream did not give one */
};

static bool
accepted(const json_t *types, struct span media_type)
{
	size_t i;

	if (types == NULL)
		return (true);
	for (i = 0; i < json_array_size(types); i++)
		if (span_is(media_type,
			json_string_value(json_array_get(types, i))))
			return (true);
	return (false);
}

/* ECR converts an image into a type that is accepted; here the bytes that were
 * pushed are the only ones there are. */
static void
not_accepted(struct call *c, struct get *g, const json_t *id, struct span type)
{
	const char *reason;

	reason = arena_printf(c->arena,
	    "Requested image not found: it is of type %.*s, which is not among "
	    "the acceptedMediaTypes, and images are not converted",
	    CALL_SHOW(type));
	ecr_image_fail(g->batch.failures, id, FAILURE_NOT_FOUND, reason);
}

static enum rc
too_much(struct call *c)
{
	return (call_fail(c, AWS_LIMIT_EXCEEDED, NULL,
	    "The manifests of the requested images are larger than %" PRIu64
	    " bytes together. Request fewer images at a time.",
	    GET_BYTES));
}

static enum rc
get_add(struct call *c, struct get *g, const struct image_ref *ref,
    const struct manifest_row *row)
{
	json_t *image;

	if (row->text.n > GET_BYTES - g->bytes)
		return (too_much(c));
	g->bytes += row->text.n;
	g->pulled[g->n_pulled++] = row->digest;
	image = json_object();
	ecr_put_repository(c, image);
	aws_put(image, "imageId", ecr_image_id_json(&row->digest, ref->tag));
	aws_put_text(image, "imageManifest", row->text);
	aws_put_text(image, "imageManifestMediaType", row->media_type);
	aws_append(g->batch.done, image);
	return (RC_OK);
}

/* Its size is asked for before its text. */
static enum rc
get_text(struct call *c, struct get *g, const json_t *id,
    const struct image_ref *ref, const struct digest *d)
{
	const struct reference by = { .is_digest = true, .digest = *d };
	struct manifest_row row;
	struct arena own;
	enum rc rc;

	arena_init(&own, (size_t)GET_BYTES + GET_ROW_BYTES);
	rc = meta_manifest_get(c->meta, c->repository, &by, MANIFEST_TEXT,
	    READ_BLOCKING, &own, &row);
	if (rc == RC_OK)
		rc = get_add(c, g, ref, &row);
	arena_reset(&own);
	if (rc != RC_NOTFOUND && rc != RC_LOCKED)
		return (rc);
	ecr_image_fail(g->batch.failures, id,
	    rc == RC_LOCKED ? FAILURE_KEY : FAILURE_NOT_FOUND, NULL);
	return (RC_OK);
}

static enum rc
get_row(struct call *c, struct get *g, const json_t *id,
    const struct image_ref *ref, const struct manifest_row *row)
{
	if (ref->has_digest && !digest_eq(&ref->digest, &row->digest)) {
		ecr_image_fail(
		    g->batch.failures, id, FAILURE_TAG_OF_ANOTHER, NULL);
		return (RC_OK);
	}
	if (row->status != IMAGE_ACTIVE) {
		ecr_image_fail(g->batch.failures, id, FAILURE_INACCESSIBLE,
		    ecr_image_why_inaccessible(row->status));
		return (RC_OK);
	}
	if (!accepted(g->accepted, row->media_type)) {
		not_accepted(c, g, id, row->media_type);
		return (RC_OK);
	}
	if (row->size_bytes > GET_BYTES - g->bytes)
		return (too_much(c));
	return (get_text(c, g, id, ref, &row->digest));
}

/* It is not here, and the upstream does not give it, or the policies do not let
 * it be asked: what was recorded as an error is told of this image alone. */
static void
get_refused(struct call *c, struct get *g, const json_t *id)
{
	enum image_failure failure = FAILURE_UPSTREAM_UNAVAILABLE;
	const char *why;
	enum rc rc;

	rc = pull_refusal(c, &why);
	if (rc == RC_OK)
		why = c->message;
	if (rc == RC_DENIED || (rc == RC_OK && c->error == AWS_ACCESS_DENIED))
		failure = FAILURE_UPSTREAM_DENIED;
	else if (rc == RC_LIMIT)
		failure = FAILURE_UPSTREAM_LIMIT;
	g->refused = true;
	ecr_image_fail(g->batch.failures, id, failure, why);
}

/* RC_NOTFOUND, RC_AWAIT; RC_FAILED: it was told. */
static enum rc
get_find(struct call *c, const struct reference *by, struct arena *own,
    struct manifest_row *row)
{
	enum rc rc, pulled;

	rc = meta_manifest_get(
	    c->meta, c->repository, by, MANIFEST_ROW, READ_BLOCKING, own, row);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	pulled = pull_manifest(c, by, rc == RC_OK ? &row->digest : NULL);
	return (pulled != RC_OK ? pulled : rc);
}

static enum rc
get_ref(struct call *c, struct get *g, const json_t *id,
    const struct image_ref *ref)
{
	struct reference by = ecr_image_by(ref);
	struct manifest_row row;
	struct arena own;
	enum rc rc;

	arena_init(&own, GET_ROW_BYTES);
	rc = get_find(c, &by, &own, &row);
	if (rc == RC_FAILED) {
		get_refused(c, g, id);
		rc = RC_OK;
	} else if (rc == RC_OK) {
		rc = get_row(c, g, id, ref, &row);
	}
	arena_reset(&own);
	if (rc != RC_NOTFOUND)
		return (rc);
	ecr_image_fail(g->batch.failures, id, FAILURE_NOT_FOUND, NULL);
	return (RC_OK);
}

static enum rc
get_one(struct call *c, struct get *g, const json_t *id)
{
	enum image_failure failure;
	struct image_ref ref;

	failure = ecr_image_ref_read(id, &ref);
	if (failure == FAILURE_NONE)
		return (get_ref(c, g, id, &ref));
	ecr_image_fail(g->batch.failures, id, failure, NULL);
	return (RC_OK);
}

/* A repository that is a copy may come to be by this. */
static enum rc
get_repository(struct call *c, const struct get *g)
{
	if (g->n_pulled > 0 || g->refused)
		return (RC_OK);
	return (ecr_image_repository(c));
}

/* An answer that was not given was no pull. */
enum rc
ecr_batch_get_image(struct call *c, const json_t *in, json_t *out)
{
	struct get *g;
	size_t i;
	enum rc rc = RC_OK;

	if ((g = arena_calloc(c->arena, 1, sizeof(*g))) == NULL)
		return (RC_TOOBIG);
	g->accepted = aws_member(in, "acceptedMediaTypes");
	batch_begin(c, in, out, "images", &g->batch);
	for (i = 0; rc == RC_OK && i < json_array_size(g->batch.ids); i++)
		rc = get_one(c, g, json_array_get(g->batch.ids, i));
	if (rc == RC_OK)
		rc = get_repository(c, g);
	for (i = 0; rc == RC_OK && i < g->n_pulled; i++)
		pull_note(c, &g->pulled[i]);
	return (rc);
}

/* --- BatchDeleteImage ---------------------------------------------------- */

/* An image can have any number of tags: beyond so many rows in one answer each
 * that is gone is told by its digest alone. */
#define DELETE_ROWS_MAX 10000
#define DELETE_BYTES ((size_t)64 << 20)

struct removal {
	struct batch batch;
	bool settled[BATCH_MAX]; /* of .ids: told as done, or as a failure */
	struct holding holding[BATCH_MAX]; /* of those that are not */
	bool progress;
};

static void
removed(struct removal *r, const struct image_deleted *gone)
{
	json_t *done = r->batch.done;
	size_t i, room = DELETE_ROWS_MAX - json_array_size(done);

	if (json_array_size(done) > DELETE_ROWS_MAX || gone->n_tags > room ||
	    gone->n_tags == 0) {
		aws_append(done, ecr_image_id_json(&gone->digest, SPAN_NONE));
		return;
	}
	for (i = 0; i < gone->n_tags; i++)
		aws_append(
		    done, ecr_image_id_json(&gone->digest, gone->tags[i]));
}

static void
removed_audit(struct call *c, const struct image_deleted *gone)
{
	const struct audit_event event = {
		.kind = gone->image ? AUDIT_IMAGE_DELETE : AUDIT_TAG_DELETE,
		.by = c->principal,
		.repository = c->repository,
		.digest = &gone->digest,
		.tags_known = true,
		.tags = gone->tags,
		.n_tags = gone->n_tags,
		.bytes = gone->image_bytes,
	};

	audit_write(c->service->audit, &event);
}

static enum rc
remove_it(
    struct call *c, struct removal *r, size_t i, const struct image_ref *ref)
{
	const json_t *id = json_array_get(r->batch.ids, i);
	struct image_delete del = {
		.repository = c->repository,
		.has_digest = ref->has_digest,
		.digest = ref->digest,
		.tag = ref->tag,
	};
	struct image_deleted gone;
	struct arena own;
	enum rc rc;

	arena_init(&own, DELETE_BYTES);
	rc = meta_image_delete(c->meta, &del, &own, &gone);
	r->settled[i] = rc != RC_REFERENCED;
	if (rc == RC_OK) {
		removed(r, &gone);
		removed_audit(c, &gone);
		r->progress = true;
	} else if (rc == RC_REFERENCED) {
		r->holding[i] = gone.holding;
	} else if (rc == RC_NOTFOUND || rc == RC_DIGEST) {
		ecr_image_fail(r->batch.failures, id,
		    rc == RC_NOTFOUND ? FAILURE_NOT_FOUND
				      : FAILURE_TAG_OF_ANOTHER,
		    NULL);
		rc = RC_OK;
	}
	arena_reset(&own);
	return (rc == RC_REFERENCED ? RC_OK : rc);
}

static enum rc
remove_one(struct call *c, struct removal *r, size_t i)
{
	const json_t *id = json_array_get(r->batch.ids, i);
	enum image_failure failure;
	struct image_ref ref;

	failure = ecr_image_ref_read(id, &ref);
	if (failure == FAILURE_NONE)
		return (remove_it(c, r, i, &ref));
	ecr_image_fail(r->batch.failures, id, failure, NULL);
	r->settled[i] = true;
	return (RC_OK);
}

static void
held(struct call *c, struct removal *r, size_t i)
{
	const struct holding *h = &r->holding[i];
	const char *reason;

	reason = arena_printf(c->arena,
	    "Requested image referenced by manifest list: %s",
	    oci_digests(c, h->by, h->n, h->more));
	ecr_image_fail(r->batch.failures, json_array_get(r->batch.ids, i),
	    FAILURE_REFERENCED, reason);
}

/*
 * Who names an index and its children means all of them, in whatever order: an
 * image that was held is tried once more when others have gone.
 */
enum rc
ecr_batch_delete_image(struct call *c, const json_t *in, json_t *out)
{
	struct removal *r;
	size_t i, n;
	enum rc rc;

	if ((r = arena_calloc(c->arena, 1, sizeof(*r))) == NULL)
		return (RC_TOOBIG);
	if ((rc = ecr_image_repository(c)) != RC_OK)
		return (rc);
	batch_begin(c, in, out, "imageIds", &r->batch);
	n = json_array_size(r->batch.ids);
	do {
		r->progress = false;
		for (i = 0; rc == RC_OK && i < n; i++)
			if (!r->settled[i])
				rc = remove_one(c, r, i);
	} while (rc == RC_OK && r->progress);
	for (i = 0; rc == RC_OK && i < n; i++)
		if (!r->settled[i])
			held(c, r, i);
	return (rc);
}
