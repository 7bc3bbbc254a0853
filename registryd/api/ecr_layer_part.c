#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/api/ecr_layers_int.h"
#include "registryd/api/layer_body.h"
#include "registryd/settings.h"

/*
 * UploadLayerPart.  Up to 20 MiB come in base64 in JSON, and whether the
 * request is to be trusted is known when all of it was hashed.  So they are
 * decoded as they arrive into a part that nobody sees, and joined to the
 * session when the signature was found right and the request allowed.
 *
 * Faults of the body do not end its reading: who sent it is to be told after
 * the signature was checked, and not in the middle of sending.
 */
#define PART_MAGIC 0x70617274u

struct part {
	unsigned magic;
	struct upload_part *content;
	uint64_t body_bytes; /* of JSON */
	uint64_t blob_bytes; /* also of what is too much */
	enum rc storage_rc;  /* of the first failure to write */
	struct layer_body body;
};

/* --- as it arrives ------------------------------------------------------- */

static struct part *
part_of(const struct call *c)
{
	struct part *p = c->state;

	OBJ_CHECK(p, PART_MAGIC);
	return (p);
}

static enum rc
blob_write(void *arg, const uint8_t *bytes, size_t n)
{
	struct part *p = arg;

	OBJ_CHECK(p, PART_MAGIC);
	p->blob_bytes += n;
	if (p->blob_bytes <= ECR_PART_MAX_BYTES && p->storage_rc == RC_OK)
		p->storage_rc = upload_part_write(p->content, bytes, n);
	return (RC_OK);
}

enum rc
ecr_upload_layer_part_begin(struct call *c)
{
	struct part *p = xcalloc(1, sizeof(*p));
	enum rc rc;

	if ((rc = upload_part_new(c->store, &p->content)) != RC_OK) {
		free(p);
		return (rc);
	}
	p->magic = PART_MAGIC;
	layer_body_init(&p->body, blob_write, p);
	c->state = p;
	return (RC_OK);
}

enum rc
ecr_upload_layer_part_write(struct call *c, const void *bytes, size_t n)
{
	struct part *p = part_of(c);

	p->body_bytes += n;
	layer_body_feed(&p->body, bytes, n);
	return (RC_OK);
}

void
ecr_upload_layer_part_end(struct call *c)
{
	struct part *p = part_of(c);

	upload_part_free(&p->content);
	layer_body_free(&p->body);
	p->magic = 0;
	free(p);
	c->state = NULL;
}

/* --- what it says -------------------------------------------------------- */

static enum rc
rest_read(struct call *c, struct part *p, json_t **in_r)
{
	char why[JSON_ERROR_BYTES];
	struct span rest;

	if (layer_body_end(&p->body, &rest) != RC_OK)
		return (call_fail(c, AWS_SERIALIZATION, NULL,
		    "the body cannot be read: %s", p->body.why));
	if (json_read(rest, why, in_r) != RC_OK)
		return (call_fail(c, AWS_SERIALIZATION, NULL,
		    "the body is not JSON: %s", why));
	return (RC_OK);
}

enum rc
ecr_upload_layer_part_input(struct call *c, json_t **in_r)
{
	struct part *p = part_of(c);
	enum rc rc;

	*in_r = NULL;
	if (p->body_bytes == 0) {
		*in_r = json_object();
		return (RC_OK);
	}
	if ((rc = rest_read(c, p, in_r)) != RC_OK)
		return (rc);
	if (p->blob_bytes <= ECR_PART_MAX_BYTES)
		return (RC_OK);
	json_decref(*in_r);
	*in_r = NULL;
	return (aws_invalid(c, LAYER_BODY_MEMBER,
	    "Member must have length less than or equal to %" PRIu64,
	    ECR_PART_MAX_BYTES));
}

enum rc
ecr_upload_layer_part_check(struct call *c, const json_t *in)
{
	json_int_t first, last;

	first = json_integer_value(aws_member(in, "partFirstByte"));
	last = json_integer_value(aws_member(in, "partLastByte"));
	if (first <= last)
		return (RC_OK);
	return (aws_invalid(
	    c, "partLastByte", "must not be less than partFirstByte"));
}

/* --- into the session ---------------------------------------------------- */

/* What the request says of its part. */
struct claim {
	char session[UPLOAD_ID_BYTES];
	uint64_t first, last;
};

static void
claim_read(const json_t *in, struct claim *k)
{
	ecr_upload_session(in, k->session);
	k->first =
	    (uint64_t)json_integer_value(aws_member(in, "partFirstByte"));
	k->last = (uint64_t)json_integer_value(aws_member(in, "partLastByte"));
}

/* With nothing received yet there is no last valid byte to tell. */
static json_t *
received_json(
    const struct call *c, const struct claim *k, const struct upload *u)
{
	uint64_t n = upload_offset(u);
	json_t *o = json_object();

	ecr_put_upload(c, o, k->session);
	if (n > 0)
		aws_put(o, "lastValidByteReceived",
		    json_integer((json_int_t)(n - 1)));
	return (o);
}

static enum rc
claim_check(struct call *c, const struct claim *k, const struct upload *u,
    const struct part *p)
{
	uint64_t offset = upload_offset(u);

	/* Not last + 1, which may be too much for a number. */
	if (p->blob_bytes == 0 || k->last - k->first != p->blob_bytes - 1)
		return (
		    call_fail(c, AWS_LAYER_PART_INVALID, received_json(c, k, u),
			"The layer part size is not valid: bytes %" PRIu64
			" to %" PRIu64 " are announced, but layerPartBlob has "
			"%" PRIu64 " bytes",
			k->first, k->last, p->blob_bytes));
	if (k->first != offset)
		return (call_fail(c, AWS_LAYER_PART_INVALID,
		    received_json(c, k, u),
		    "The first byte of the layer part is %" PRIu64
		    ", but %" PRIu64 " bytes have been received so far: parts "
		    "must be consecutive",
		    k->first, offset));
	return (RC_OK);
}

static enum rc
part_join(struct call *c, struct upload *u, const struct part *p)
{
	const struct quotas *q = &c->settings->quotas;
	const struct upload_part_rules rules = {
		.max_parts = q->layer_parts,
		.min_bytes = q->layer_part_bytes,
	};
	enum rc rc;

	rc = upload_join(u, p->content, &rules);
	if (rc == RC_LIMIT)
		return (call_fail(c, AWS_LIMIT_EXCEEDED, NULL,
		    "The maximum number of parts of a layer (%u) has been "
		    "reached",
		    q->layer_parts));
	if (rc == RC_TOOBIG)
		return (call_fail(c, AWS_LIMIT_EXCEEDED, NULL,
		    "The layer would be larger than the limit of %" PRIu64
		    " bytes",
		    c->settings->upload_bytes));
	return (rc);
}

enum rc
ecr_upload_layer_part(struct call *c, const json_t *in, json_t *out)
{
	const struct part *p = part_of(c);
	struct claim k;
	struct upload *u;
	enum rc rc;

	if (p->storage_rc != RC_OK)
		return (p->storage_rc);
	claim_read(in, &k);
	if ((rc = ecr_upload_acquire(c, k.session, &u)) != RC_OK)
		return (rc);
	if ((rc = claim_check(c, &k, u, p)) == RC_OK)
		rc = part_join(c, u, p);
	upload_release(&u);
	if (rc != RC_OK)
		return (rc);
	ecr_put_upload(c, out, k.session);
	aws_put(out, "lastByteReceived", json_integer((json_int_t)k.last));
	return (RC_OK);
}
