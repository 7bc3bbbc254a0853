#include <inttypes.h>

#include "base/log.h"
#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/audit.h"
#include "registryd/http/range.h"
#include "registryd/pull.h"
#include "registryd/service.h"
#include "storage/content.h"

/*
 * Blobs (distribution-spec, "Pulling blobs", "Deleting blobs"): whole, or a
 * range of them (RFC 9110 section 14).
 */
#define BLOB_TYPE "application/octet-stream"

/* --- pull ---------------------------------------------------------------- */

static void
blob_headers(struct call *c)
{
	http_response_header(c->answer, "Content-Type", SPAN(BLOB_TYPE));
	http_response_header(c->answer, "Accept-Ranges", SPAN("bytes"));
}

static enum rc
size_describe(struct call *c, const struct digest *d, uint64_t size)
{
	if (oci_content(c, d, true, NULL))
		return (RC_OK);
	blob_headers(c);
	c->answer->head_length = true;
	c->answer->length = size;
	return (RC_OK);
}

static enum rc
blob_head(struct call *c, const struct digest *d)
{
	uint64_t size;
	enum rc rc;

	rc = content_stat(c->store, c->repository, d, c->mode, c->arena, &size);
	return (rc == RC_OK ? size_describe(c, d, size) : rc);
}

/* A file that is sealed, as the connection reads it. */
struct sealed_body {
	struct http_source source;
	struct blob_file file;
};

static enum rc
sealed_read(
    void *arg, uint64_t offset, void *p, size_t n, bool may_wait, size_t *n_r)
{
	struct sealed_body *body = arg;

	return (blob_file_read(&body->file, offset, p, n, may_wait, n_r));
}

static void
sealed_warm(void *arg, uint64_t offset, uint64_t n_bytes)
{
	struct sealed_body *body = arg;

	blob_file_warm(&body->file, offset, n_bytes);
}

static void
sealed_close(void *arg)
{
	struct sealed_body *body = arg;

	blob_file_close(&body->file);
}

/* The answer takes the file. */
static enum rc
file_take(struct call *c, struct blob_file *f)
{
	struct sealed_body *body;

	if (f->sealed == NULL) {
		c->answer->fd = f->fd;
	} else {
		if ((body = arena_calloc(c->arena, 1, sizeof(*body))) == NULL)
			return (RC_TOOBIG);
		body->source = (struct http_source){ .read = sealed_read,
			.warm = sealed_warm,
			.close = sealed_close,
			.arg = body };
		body->file = *f;
		c->answer->source = &body->source;
	}
	*f = (struct blob_file)BLOB_FILE_NONE;
	return (RC_OK);
}

/* ${length} bytes from ${offset} on; the answer takes the file. */
static enum rc
body_describe(
    struct call *c, struct content *b, uint64_t offset, uint64_t length)
{
	struct http_response *rs = c->answer;
	enum rc rc;

	if (b->kind == CONTENT_MEMORY) {
		rs->body = HTTP_MEMORY;
		if (length > 0)
			rs->bytes =
			    (struct span){ b->bytes.p + offset, length };
		return (RC_OK);
	}
	if ((rc = file_take(c, &b->file)) != RC_OK)
		return (rc);
	rs->body = HTTP_FILE;
	rs->offset = offset;
	rs->length = length;
	return (RC_OK);
}

static enum rc
range_refuse(struct call *c, uint64_t size)
{
	struct span range = http_request_header(c->request, "Range");

	c->answer->n_headers = 0; /* those of the content */
	call_header(c, "Content-Range", "bytes */%" PRIu64, size);
	return (call_fail(c, OCI_RANGE_INVALID, call_detail("range", range),
	    "range \"%.*s\" does not lie in the %" PRIu64 " bytes of the blob",
	    CALL_SHOW(range), size));
}

static enum rc
blob_describe(struct call *c, const struct digest *d, struct content *b)
{
	uint64_t offset = 0, length = b->size_bytes;
	struct span etag;

	if (oci_content(c, d, true, &etag))
		return (RC_OK);
	switch (http_range(c->request, etag, b->size_bytes, &offset, &length)) {
	case RANGE_BEYOND:
		return (range_refuse(c, b->size_bytes));
	case RANGE_SOME:
		c->answer->status = 206;
		call_header(c, "Content-Range",
		    "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset,
		    offset + length - 1, b->size_bytes);
		break;
	case RANGE_NONE:
		break;
	}
	blob_headers(c);
	return (body_describe(c, b, offset, length));
}

static enum rc
blob_body(struct call *c, const struct digest *d)
{
	struct content b;
	enum rc rc;

	rc = content_open(c->store, c->repository, d, c->mode, c->arena, &b);
	if (rc != RC_OK)
		return (rc);
	rc = blob_describe(c, d, &b);
	content_close(&b);
	return (rc);
}

/* --- on its way from another registry ------------------------------------ */

static enum rc
blob_coming_head(struct call *c, const struct digest *d)
{
	uint64_t size;
	enum rc rc;

	rc = pull_blob_size(c, d, &size);
	return (rc == RC_OK ? size_describe(c, d, size) : rc);
}

static enum rc
blob_coming_body(struct call *c, const struct digest *d)
{
	struct content b = { .kind = CONTENT_FILE, .file = BLOB_FILE_NONE };
	struct pull_body coming;
	enum rc rc;

	if ((rc = pull_blob(c, d, &coming)) != RC_OK)
		return (rc);
	b.file = coming.file;
	b.size_bytes = coming.size_bytes;
	rc = blob_describe(c, d, &b);
	if (c->answer->body == HTTP_FILE)
		c->answer->follow = coming.follow;
	content_close(&b);
	return (rc);
}

static enum rc
blob_here(struct call *c, const struct digest *d)
{
	enum rc rc;

	if (c->request->method == HTTP_HEAD)
		rc = blob_head(c, d);
	else
		rc = blob_body(c, d);
	if (rc == RC_OK)
		pull_hit(c);
	return (rc);
}

static enum rc
blob_coming(struct call *c, const struct digest *d)
{
	if (c->request->method == HTTP_HEAD)
		return (blob_coming_head(c, d));
	return (blob_coming_body(c, d));
}

/* What came for another repository may have to be linked first. */
#define LOOKS_MAX 3

enum rc
oci_blob_get(struct call *c)
{
	struct digest d;
	unsigned i;
	enum rc rc;

	if ((rc = oci_digest(c, c->part, &d)) != RC_OK)
		return (rc);
	rc = RC_EXISTS;
	for (i = 0; i < LOOKS_MAX && rc == RC_EXISTS; i++) {
		rc = blob_here(c, &d);
		if (rc == RC_NOTFOUND)
			rc = blob_coming(c, &d);
	}
	if (rc == RC_NOTFOUND || rc == RC_EXISTS)
		return (oci_unknown(c, OCI_BLOB_UNKNOWN, c->part));
	return (rc);
}

/* --- delete -------------------------------------------------------------- */

static enum rc
blob_referenced(struct call *c, const struct holding *h)
{
	char text[DIGEST_STR_BYTES];
	const char *message;

	message = arena_printf(c->arena,
	    "blob %.*s is still referenced by manifest %s%s; delete that first",
	    CALL_SHOW(c->part),
	    h->n > 0 ? digest_str(&h->by[0], text) : "(unknown)",
	    h->n > 1 || h->more ? " and others" : "");
	if (message == NULL)
		return (RC_TOOBIG);
	return (oci_referenced(c, c->part, h, "GET, HEAD", message));
}

enum rc
oci_blob_delete(struct call *c)
{
	struct audit_event event = {
		.kind = AUDIT_BLOB_DELETE,
		.by = c->principal,
		.repository = c->repository,
	};
	struct holding holding;
	struct digest d;
	enum rc rc;

	if ((rc = oci_digest(c, c->part, &d)) != RC_OK)
		return (rc);
	rc = meta_blob_unlink(c->meta, c->repository, &d, &holding);
	if (rc == RC_NOTFOUND)
		return (oci_unknown(c, OCI_BLOB_UNKNOWN, c->part));
	if (rc == RC_REFERENCED)
		return (blob_referenced(c, &holding));
	if (rc != RC_OK)
		return (rc);
	event.digest = &d;
	audit_write(c->service->audit, &event);
	c->answer->status = 202;
	return (RC_OK);
}
