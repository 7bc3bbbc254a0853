#include "registryd/api/ecr_layers_int.h"

#include <inttypes.h>

#include "base/obj.h"
#include "registryd/api/download.h"
#include "registryd/pull.h"
#include "registryd/settings.h"
#include "storage/content.h"

/* BatchCheckLayerAvailability, InitiateLayerUpload, CompleteLayerUpload,
 * GetDownloadUrlForLayer; UploadLayerPart is in ecr_layer_part.c. */

/* "... in the repository with name 'R' in the registry with id 'A'" */
#define PLACE_FMT \
	"the repository with name '" SPAN_FMT "' in the registry with id '%s'"
#define PLACE_ARG(c) SPAN_ARG((c)->repository), (c)->settings->account_id

/* --- what they share ----------------------------------------------------- */

void
ecr_upload_session(const json_t *in, char session_r[UPLOAD_ID_BYTES])
{
	struct span text = aws_string(in, "uploadId");
	size_t i, n = 0;
	char ch;

	for (i = 0; i < text.n; i++) {
		ch = text.p[i];
		if (ch == '-')
			continue;
		if (ch >= 'A' && ch <= 'F')
			ch = (char)(ch - 'A' + 'a');
		must(n < UPLOAD_ID_BYTES - 1); /* its shape says so */
		session_r[n++] = ch;
	}
	session_r[n] = '\0';
}

const char *
ecr_upload_id_text(const char *session, char out[ECR_UPLOAD_ID_BYTES])
{
	size_t i, n = 0;

	for (i = 0; session[i] != '\0'; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[n++] = '-';
		out[n++] = session[i];
	}
	out[n] = '\0';
	return (out);
}

enum rc
ecr_layers_repository(struct call *c)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(c->meta, c->repository, &row);
	return (rc == RC_NOTFOUND ? ecr_unknown(c, c->repository) : rc);
}

static enum rc
upload_unknown(struct call *c, const char *session)
{
	char text[ECR_UPLOAD_ID_BYTES];

	return (call_fail(c, AWS_UPLOAD_NOT_FOUND, NULL,
	    "The upload with id '%s' could not be found in " PLACE_FMT,
	    ecr_upload_id_text(session, text), PLACE_ARG(c)));
}

/* Clients ask again after an answer of 503. */
static enum rc
upload_busy(struct call *c, const char *session)
{
	char text[ECR_UPLOAD_ID_BYTES];

	call_header(c, "Retry-After", "1");
	return (call_fail(c, AWS_SERVICE_UNAVAILABLE, NULL,
	    "Another request is writing to the upload with id '%s' "
	    "in " PLACE_FMT "; try again",
	    ecr_upload_id_text(session, text), PLACE_ARG(c)));
}

enum rc
ecr_upload_acquire(struct call *c, const char *session, struct upload **u_r)
{
	enum rc rc;

	if ((rc = ecr_layers_repository(c)) != RC_OK)
		return (rc);
	rc = upload_acquire(c->store, c->repository, span_of(session), u_r);
	if (rc == RC_BUSY)
		return (upload_busy(c, session));
	return (rc == RC_NOTFOUND ? upload_unknown(c, session) : rc);
}

void
ecr_put_upload(const struct call *c, json_t *out, const char *session)
{
	char text[ECR_UPLOAD_ID_BYTES];

	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "repositoryName", c->repository);
	aws_put_text(
	    out, "uploadId", span_of(ecr_upload_id_text(session, text)));
}

/* --- BatchCheckLayerAvailability ----------------------------------------- */

/* In the words of BatchDeleteImage and its like. */
static void
layer_failure(
    json_t *failures, struct span digest, const char *code, const char *reason)
{
	json_t *o = json_object();

	if (digest.n > 0)
		aws_put_text(o, "layerDigest", digest);
	aws_put(o, "failureCode", json_string(code));
	aws_put(o, "failureReason",
	    json_sprintf("Invalid request parameters: %s", reason));
	aws_append(failures, o);
}

static enum rc
layer_check(
    struct call *c, struct span text, const struct digest *d, json_t *layers)
{
	const char *availability = "AVAILABLE";
	enum blob_use use;
	uint64_t size = 0;
	bool there;
	json_t *o;
	enum rc rc;

	rc = content_stat(c->store, c->repository, d, c->mode, c->arena, &size);
	there = rc == RC_OK;
	if (rc == RC_OK || rc == RC_NOTFOUND)
		rc = meta_blob_use(c->meta, c->repository, d, &use);
	if (rc != RC_OK)
		return (rc);
	/* Which may lie in the archive, or not yet. */
	if (use == BLOB_USED_ARCHIVED)
		availability = "ARCHIVED";
	else if (!there)
		availability = "UNAVAILABLE";
	o = json_object();
	aws_put_text(o, "layerDigest", text);
	aws_put(o, "layerAvailability", json_string(availability));
	if (there)
		aws_put(o, "layerSize", json_integer((json_int_t)size));
	aws_append(layers, o);
	return (RC_OK);
}

/* Of an algorithm that is not known here there is nothing. */
static enum rc
layer_asked(struct call *c, struct span text, json_t *layers, json_t *failures)
{
	struct digest d;
	enum rc rc;

	if (text.n == 0) {
		layer_failure(failures, text, "MissingLayerDigest",
		    "layer digest cannot be null");
		return (RC_OK);
	}
	rc = digest_parse(text, &d);
	if (rc == RC_OK)
		return (layer_check(c, text, &d, layers));
	if (rc == RC_UNSUPPORTED)
		aws_append(layers,
		    json_pack("{s:o,s:s}", "layerDigest", call_text(text),
			"layerAvailability", "UNAVAILABLE"));
	else
		layer_failure(failures, text, "InvalidLayerDigest",
		    "layer digest should satisfy the regex "
		    "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+', with as many lower-case "
		    "digits as its algorithm gives");
	return (RC_OK);
}

enum rc
ecr_batch_check_layer_availability(
    struct call *c, const json_t *in, json_t *out)
{
	const json_t *digests = aws_member(in, "layerDigests"), *text;
	json_t *layers = json_array(), *failures = json_array();
	size_t i;
	enum rc rc;

	aws_put(out, "layers", layers);
	aws_put(out, "failures", failures);
	rc = ecr_layers_repository(c);
	for (i = 0; rc == RC_OK && i < json_array_size(digests); i++) {
		text = json_array_get(digests, i);
		rc = layer_asked(c,
		    (struct span){
			json_string_value(text), json_string_length(text) },
		    layers, failures);
	}
	return (rc);
}

/* --- InitiateLayerUpload ------------------------------------------------- */

/* That others have not finished is no fault of this client's: it is told to
 * come back later, as for a rate, because clients then do. */
enum rc
ecr_initiate_layer_upload(struct call *c, const json_t *in, json_t *out)
{
	char session[UPLOAD_ID_BYTES], text[ECR_UPLOAD_ID_BYTES];
	enum rc rc;

	(void)in;
	if ((rc = ecr_layers_repository(c)) != RC_OK)
		return (rc);
	rc =
	    upload_start(c->store, c->repository, DIGEST_SHA256, NULL, session);
	if (rc == RC_LIMIT)
		return (call_fail(c, AWS_THROTTLING, NULL,
		    "Rate exceeded: there are %u unfinished uploads, the "
		    "limit; try again later",
		    c->settings->upload_sessions));
	if (rc != RC_OK)
		return (rc);
	aws_put_text(
	    out, "uploadId", span_of(ecr_upload_id_text(session, text)));
	aws_put(out, "partSize", json_integer((json_int_t)ECR_PART_MAX_BYTES));
	return (RC_OK);
}

/* --- CompleteLayerUpload ------------------------------------------------- */

/* The list is of one: a layer has one digest. */
enum rc
ecr_complete_layer_upload_check(struct call *c, const json_t *in)
{
	const json_t *digests = aws_member(in, "layerDigests"), *text;
	struct digest *d;

	d = arena_calloc(c->arena, 1, sizeof(*d));
	if (d == NULL)
		return (RC_TOOBIG);
	if (json_array_size(digests) != 1)
		return (aws_invalid(c, "layerDigests",
		    "exactly one digest is expected, that of the whole layer"));
	text = json_array_get(digests, 0);
	if (digest_parse((struct span){ json_string_value(text),
			     json_string_length(text) },
		d) != RC_OK)
		return (aws_invalid(c, "layerDigests",
		    "must be sha256: and 64, or sha512: and 128 lower-case "
		    "hexadecimal digits"));
	c->state = d;
	return (RC_OK);
}

static enum rc
upload_empty(struct call *c, const char *session)
{
	char text[ECR_UPLOAD_ID_BYTES];

	return (call_fail(c, AWS_UPLOAD_EMPTY, NULL,
	    "The upload with id '%s' in " PLACE_FMT
	    " does not contain any layer parts",
	    ecr_upload_id_text(session, text), PLACE_ARG(c)));
}

static enum rc
part_too_small(struct call *c, const char *session)
{
	char text[ECR_UPLOAD_ID_BYTES];

	return (call_fail(c, AWS_LAYER_PART_TOO_SMALL, NULL,
	    "The upload with id '%s' in " PLACE_FMT
	    " has a layer part that is too small: all but the last must be at "
	    "least %" PRIu64 " bytes in size",
	    ecr_upload_id_text(session, text), PLACE_ARG(c),
	    c->settings->quotas.layer_part_bytes));
}

static enum rc
layer_exists(struct call *c, const struct digest *d)
{
	char text[DIGEST_STR_BYTES];
	uint64_t size;
	enum rc rc;

	rc = content_stat(c->store, c->repository, d, c->mode, c->arena, &size);
	if (rc == RC_OK)
		return (call_fail(c, AWS_LAYER_EXISTS, NULL,
		    "The layer with digest '%s' already exists in " PLACE_FMT,
		    digest_str(d, text), PLACE_ARG(c)));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
upload_may_complete(struct call *c, const struct upload *u, const char *session,
    const struct digest *d)
{
	if (upload_offset(u) == 0)
		return (upload_empty(c, session));
	if (upload_short_inner(u))
		return (part_too_small(c, session));
	return (layer_exists(c, d));
}

static enum rc
layer_mismatch(
    struct call *c, const struct upload *u, const struct digest *want)
{
	char want_text[DIGEST_STR_BYTES], got_text[DIGEST_STR_BYTES];
	struct digest got;

	upload_seen(u, &got);
	return (call_fail(c, AWS_LAYER_INVALID, NULL,
	    "The layer digest '%s' does not match the digest '%s' of what was "
	    "uploaded to " PLACE_FMT,
	    digest_str(want, want_text), digest_str(&got, got_text),
	    PLACE_ARG(c)));
}

static enum rc
upload_complete(struct call *c, struct upload **u, const char *session,
    const struct digest *d)
{
	enum rc rc;

	rc = upload_may_complete(c, *u, session, d);
	if (rc != RC_OK)
		return (rc);
	rc = upload_finish(u, d, NULL);
	if (rc == RC_DIGEST)
		return (layer_mismatch(c, *u, d));
	return (rc == RC_NOTFOUND ? ecr_unknown(c, c->repository) : rc);
}

enum rc
ecr_complete_layer_upload(struct call *c, const json_t *in, json_t *out)
{
	const struct digest *d = c->state;
	char session[UPLOAD_ID_BYTES], text[DIGEST_STR_BYTES];
	struct upload *u;
	enum rc rc;

	ecr_upload_session(in, session);
	if ((rc = ecr_upload_acquire(c, session, &u)) != RC_OK)
		return (rc);
	rc = upload_complete(c, &u, session, d);
	upload_release(&u);
	if (rc != RC_OK)
		return (rc);
	ecr_put_upload(c, out, session);
	aws_put_text(out, "layerDigest", span_of(digest_str(d, text)));
	return (RC_OK);
}

/* --- GetDownloadUrlForLayer ---------------------------------------------- */

static enum rc
layer_unknown(struct call *c, struct span digest)
{
	return (call_fail(c, AWS_LAYERS_NOT_FOUND, NULL,
	    "The layer with digest '%.*s' does not exist in " PLACE_FMT,
	    CALL_SHOW(digest), PLACE_ARG(c)));
}

static enum rc
layer_refused(struct call *c, struct span digest)
{
	const char *why;

	if (pull_refusal(c, &why) == RC_OK)
		return (RC_FAILED);
	return (call_fail(c, AWS_UPSTREAM_LAYER, NULL,
	    "The layer with digest '%.*s' of " PLACE_FMT
	    " cannot be had from the upstream registry: %s",
	    CALL_SHOW(digest), PLACE_ARG(c), why));
}

/* Of an image that was imported it may be in the upstream registry still; who
 * uses the URL then gets it as it comes. */
static enum rc
layer_coming(struct call *c, struct span text, const struct digest *d)
{
	uint64_t size;
	enum rc rc;

	rc = pull_blob_size(c, d, &size);
	if (rc == RC_NOTFOUND)
		return (layer_unknown(c, text));
	if (rc == RC_FAILED)
		return (layer_refused(c, text));
	return (rc == RC_EXISTS ? RC_OK : rc);
}

/* Is it there, and of an image that is not archived?  What lies in the archive
 * is there for those alone that are. */
static enum rc
layer_find(struct call *c, struct span text, struct digest *d_r)
{
	enum blob_use use;
	uint64_t size;
	bool there;
	enum rc rc;

	if (digest_parse(text, d_r) != RC_OK)
		return (layer_unknown(c, text));
	rc = content_stat(
	    c->store, c->repository, d_r, c->mode, c->arena, &size);
	there = rc == RC_OK;
	if (rc == RC_OK || rc == RC_NOTFOUND)
		rc = meta_blob_use(c->meta, c->repository, d_r, &use);
	if (rc != RC_OK)
		return (rc);
	if (!there && use == BLOB_USED)
		return (layer_coming(c, text, d_r));
	if (!there && use != BLOB_USED_ARCHIVED)
		return (layer_unknown(c, text));
	if (use == BLOB_USED)
		return (RC_OK);
	return (call_fail(c, AWS_LAYER_INACCESSIBLE, NULL,
	    "The layer with digest '" SPAN_FMT "' in " PLACE_FMT
	    " is not available because %s",
	    SPAN_ARG(text), PLACE_ARG(c),
	    use == BLOB_USED_ARCHIVED
		? "all images that it is associated with are archived; "
		  "restore one of them first"
		: "it is not associated with an image"));
}

enum rc
ecr_get_download_url_for_layer(struct call *c, const json_t *in, json_t *out)
{
	struct span text = aws_string(in, "layerDigest");
	const char *url;
	struct digest d;
	enum rc rc;

	if ((rc = ecr_layers_repository(c)) != RC_OK ||
	    (rc = layer_find(c, text, &d)) != RC_OK ||
	    (rc = download_url(c, &d, &url)) != RC_OK)
		return (rc);
	aws_put_text(out, "downloadUrl", span_of(url));
	aws_put_text(out, "layerDigest", text);
	return (RC_OK);
}
