#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/authorize.h"
#include "registryd/quota.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"
#include "storage/content.h"

/*
 * Uploads of blobs (distribution-spec, "Pushing blobs").
 *
 * A body that is announced and short is in c->body when its handler runs; any
 * other is streamed into c->upload between begin and finish.  Both ways meet
 * in the same two functions for each method.
 *
 * What a request did to a session counts when it was answered with success:
 * after an error the session is what it was before the request.  Only a
 * client that went away, or was too slow, leaves what it had sent, so that
 * it can resume.
 */

/* Repositories asked about an anonymous mount. */
#define HOLDERS_MAX 10000

/* What a POST that brings the content too does beside beginning. */
#define WHOLE_ACTIONS "ecr:UploadLayerPart ecr:CompleteLayerUpload"

/* What begin read from the request and finish needs. */
struct job {
	bool ranged; /* Content-Range: first-last */
	uint64_t first, last;
	struct digest digest;	  /* PUT, POST?digest= */
	char id[UPLOAD_ID_BYTES]; /* POST?digest=: its session */
};

/* --- reading requests ---------------------------------------------------- */

static struct job *
job_new(struct call *c)
{
	return (c->state = arena_calloc(c->arena, 1, sizeof(struct job)));
}

/* The body's length where it was announced. */
static uint64_t
announced(const struct http_request *rq)
{
	return (rq->framing == HTTP_BODY_LENGTH ? rq->content_length : 0);
}

/* Content-Range: 1*DIGIT "-" 1*DIGIT, as the distribution-spec has it. */
static bool
range_parse(struct span text, struct job *j)
{
	struct span first;

	return (span_split(&text, '-', &first) &&
		num_u64_zeros(first, INT64_MAX, &j->first) == RC_OK &&
		num_u64_zeros(text, INT64_MAX, &j->last) == RC_OK &&
		j->first <= j->last);
}

static enum rc
range_length_wrong(struct call *c, const struct job *j, uint64_t length)
{
	return (call_fail(c, OCI_SIZE_INVALID, NULL,
	    "Content-Range %" PRIu64 "-%" PRIu64 " is of %" PRIu64
	    " bytes, but the body has %" PRIu64,
	    j->first, j->last, j->last - j->first + 1, length));
}

static enum rc
range_read(struct call *c, struct job *j)
{
	const struct http_request *rq = c->request;
	struct span text;

	text = http_request_header(rq, "Content-Range");
	if (text.p == NULL)
		return (RC_OK);
	if (!range_parse(text, j))
		return (call_fail(c, OCI_BLOB_UPLOAD_INVALID,
		    call_detail("contentRange", text),
		    "Content-Range is \"%.*s\"; expected FIRST-LAST, both "
		    "counted from 0",
		    CALL_SHOW(text)));
	j->ranged = true;
	if (rq->framing != HTTP_BODY_CHUNKED &&
	    announced(rq) != j->last - j->first + 1)
		return (range_length_wrong(c, j, announced(rq)));
	return (RC_OK);
}

/* digest= of the request that ends an upload. */
static enum rc
digest_param(struct call *c, struct job *j)
{
	struct span text;

	if (!http_request_param(c->request, "digest", &text))
		return (call_fail(c, OCI_DIGEST_INVALID, NULL,
		    "the parameter digest= is missing; it ends an upload"));
	return (oci_digest(c, text, &j->digest));
}

/* --- answers ------------------------------------------------------------- */

static void
session_headers(struct call *c, struct span id, uint64_t offset)
{
	call_location(c, "/v2/%.*s/blobs/uploads/%.*s",
	    CALL_SHOW(c->repository), CALL_SHOW(id));
	call_header(
	    c, "Range", "0-%" PRIu64, offset > 0 ? offset - 1 : (uint64_t)0);
	call_header(c, "Docker-Upload-UUID", "%.*s", CALL_SHOW(id));
}

static enum rc
blob_created(struct call *c, const struct digest *d)
{
	char text[DIGEST_STR_BYTES];

	c->answer->status = 201;
	call_location(c, "/v2/%.*s/blobs/%s", CALL_SHOW(c->repository),
	    digest_str(d, text));
	call_digest_header(c, d);
	return (RC_OK);
}

static enum rc
session_unknown(struct call *c)
{
	return (call_fail(c, OCI_BLOB_UPLOAD_UNKNOWN,
	    call_detail("session", c->part),
	    "upload \"%.*s\" is not known to repository \"%.*s\"; it was "
	    "finished, cancelled or has expired",
	    CALL_SHOW(c->part), CALL_SHOW(c->repository)));
}

static enum rc
session_busy(struct call *c)
{
	http_response_header(c->answer, "Retry-After", SPAN("1"));
	return (call_fail(c, OCI_UPLOAD_BUSY, call_detail("session", c->part),
	    "another request is writing to upload \"%.*s\"",
	    CALL_SHOW(c->part)));
}

/* Codes of upload.h about the session named in the path. */
static enum rc
session_fail(struct call *c, enum rc rc)
{
	if (rc == RC_NOTFOUND)
		return (session_unknown(c));
	if (rc == RC_BUSY)
		return (session_busy(c));
	return (rc);
}

/* Codes that are about the repository which the content was to come into. */
static enum rc
repository_fail(struct call *c, enum rc rc)
{
	if (rc == RC_NOTFOUND)
		return (oci_repository_unknown(c));
	if (rc == RC_LIMIT)
		return (quota_exceeded(c, LIMIT_REPOSITORIES));
	return (rc);
}

static enum rc
upload_too_big(struct call *c)
{
	return (call_fail(c, OCI_TOO_LARGE, NULL,
	    "the upload is larger than the limit of %" PRIu64 " bytes",
	    c->settings->upload_bytes));
}

/* --- sessions ------------------------------------------------------------ */

/* May as many bytes as were announced come on top of ${offset}? */
static enum rc
length_admit(struct call *c, uint64_t offset)
{
	uint64_t max = c->settings->upload_bytes;
	uint64_t n = announced(c->request);

	if (max != 0 && (offset > max || n > max - offset))
		return (upload_too_big(c));
	return (store_room(c->store, n));
}

static enum rc
session_start(struct call *c, uint8_t alg, char id[UPLOAD_ID_BYTES])
{
	const struct repository_preset *create;
	enum rc rc;

	if ((rc = oci_push_preset(c, &create)) == RC_OK && create == NULL)
		rc = oci_repository(c);
	if (rc != RC_OK)
		return (rc);
	rc = upload_start(c->store, c->repository, alg, create, id);
	if (rc != RC_LIMIT)
		return (rc);
	http_response_header(c->answer, "Retry-After", SPAN("10"));
	return (call_fail(c, OCI_TOOMANYREQUESTS, NULL,
	    "there are %u unfinished uploads, the limit; try again later",
	    c->settings->upload_sessions));
}

/* After a restart nobody remembers what its start has said of a repository that
 * is not there yet. */
static enum rc
session_recall(struct call *c)
{
	const struct repository_preset *create;
	enum rc rc;

	if (upload_wishes(c->upload))
		return (RC_OK);
	if ((rc = oci_push_preset(c, &create)) == RC_OK)
		upload_wish(c->upload, create);
	return (rc);
}

/* Acquire the session of the path, at the offset the request says. */
static enum rc
session_acquire(struct call *c, const struct job *j)
{
	enum rc rc;

	rc = upload_acquire(c->store, c->repository, c->part, &c->upload);
	if (rc != RC_OK)
		return (session_fail(c, rc));
	c->upload_from = upload_offset(c->upload);
	if ((rc = session_recall(c)) != RC_OK)
		return (rc);
	if (!j->ranged || j->first == c->upload_from)
		return (length_admit(c, c->upload_from));
	session_headers(c, c->part, c->upload_from);
	return (call_fail(c, OCI_RANGE_INVALID,
	    json_pack("{s:I,s:I}", "offset", (json_int_t)c->upload_from,
		"first", (json_int_t)j->first),
	    "the chunk begins at %" PRIu64 ", but the upload is at %" PRIu64,
	    j->first, c->upload_from));
}

/* What cannot be kept any more (see upload_finish) needs no rewinding. */
static void
session_rewind(struct call *c)
{
	if (upload_offset(c->upload) > c->upload_from &&
	    upload_rewind(c->upload, c->upload_from) != RC_OK)
		log_warn("upload " SPAN_FMT ": not rewound after an error",
		    SPAN_ARG(c->part));
}

/* How taking the body went; after an error the session is rewound, unless
 * the client may come back for the rest. */
static enum rc
body_taken(struct call *c, const struct job *j)
{
	uint64_t n = upload_offset(c->upload) - c->upload_from;
	enum rc rc = c->body_rc;

	if (rc == RC_CANCELLED || rc == RC_TIMEOUT)
		return (call_fail(c, OCI_REQUEST_TIMEOUT, NULL,
		    "the body did not arrive; %" PRIu64 " bytes of it did", n));
	if (rc == RC_OK && j->ranged && n != j->last - j->first + 1)
		rc = range_length_wrong(c, j, n);
	else if (rc == RC_TOOBIG)
		rc = upload_too_big(c);
	else if (rc == RC_INVALID)
		rc = call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "the body's chunked coding is malformed");
	if (rc != RC_OK)
		session_rewind(c);
	return (rc);
}

/* A body that is in memory, on its way into a session all the same. */
static void
body_write(struct call *c)
{
	c->body_rc = upload_write(c->upload, c->body.p, c->body.n);
}

/* --- PATCH: some more ---------------------------------------------------- */

enum rc
oci_upload_patch_begin(struct call *c)
{
	struct job *j;
	enum rc rc;

	if ((j = job_new(c)) == NULL)
		return (RC_TOOBIG);
	if ((rc = range_read(c, j)) != RC_OK)
		return (rc);
	return (session_acquire(c, j));
}

enum rc
oci_upload_patch_finish(struct call *c)
{
	enum rc rc;

	if ((rc = body_taken(c, c->state)) != RC_OK)
		return (rc);
	if ((rc = upload_keep(c->upload)) != RC_OK)
		return (rc);
	c->answer->status = 202;
	session_headers(c, c->part, upload_offset(c->upload));
	return (RC_OK);
}

enum rc
oci_upload_patch(struct call *c)
{
	enum rc rc;

	if ((rc = oci_upload_patch_begin(c)) != RC_OK)
		return (rc);
	body_write(c);
	return (oci_upload_patch_finish(c));
}

/* --- PUT: the rest, and the digest --------------------------------------- */

static enum rc
put_read(struct call *c, struct job **j_r)
{
	struct job *j;
	enum rc rc;

	if ((j = *j_r = job_new(c)) == NULL)
		return (RC_TOOBIG);
	if ((rc = digest_param(c, j)) != RC_OK)
		return (rc);
	if ((rc = oci_push_admit(c)) != RC_OK)
		return (rc);
	return (range_read(c, j));
}

enum rc
oci_upload_put_begin(struct call *c)
{
	struct job *j;
	enum rc rc;

	if ((rc = put_read(c, &j)) != RC_OK)
		return (rc);
	return (session_acquire(c, j));
}

/* Close the session that holds all of the content. */
static enum rc
upload_end(struct call *c, const struct digest *want)
{
	const struct repository_preset *create;
	struct digest got;
	enum rc rc;

	if ((rc = oci_push_preset(c, &create)) == RC_OK)
		rc = upload_finish(&c->upload, want, create);
	if (rc == RC_OK)
		return (blob_created(c, want));
	if (rc == RC_DIGEST) {
		upload_seen(c->upload, &got);
		rc = oci_digest_mismatch(c, want, &got);
	} else {
		rc = repository_fail(c, rc);
	}
	session_rewind(c);
	return (rc);
}

enum rc
oci_upload_put_finish(struct call *c)
{
	const struct job *j = c->state;
	enum rc rc;

	if ((rc = body_taken(c, j)) != RC_OK)
		return (rc);
	return (upload_end(c, &j->digest));
}

/* All of the content is in memory. */
static enum rc
whole_put(struct call *c, const struct digest *want, struct span id)
{
	const struct repository_preset *create;
	struct digest got;
	enum rc rc;

	if ((rc = oci_push_preset(c, &create)) == RC_OK)
		rc = upload_whole(
		    c->store, c->repository, want, c->body, id, create);
	if (rc == RC_OK)
		return (blob_created(c, want));
	if (rc == RC_DIGEST) {
		digest_of(want->alg, c->body.p, c->body.n, &got);
		return (oci_digest_mismatch(c, want, &got));
	}
	if (rc == RC_TOOBIG)
		return (upload_too_big(c));
	/* Of a session, that it is gone is told. */
	return (rc == RC_NOTFOUND && id.n > 0 ? rc : repository_fail(c, rc));
}

/* Most often all of the content comes here at once, and needs no scratch;
 * RC_RANGE says that the session has some already. */
enum rc
oci_upload_put(struct call *c)
{
	struct job *j;
	enum rc rc;

	if ((rc = put_read(c, &j)) != RC_OK)
		return (rc);
	if (!j->ranged || j->first == 0) {
		rc = whole_put(c, &j->digest, c->part);
		if (rc != RC_RANGE)
			return (session_fail(c, rc));
	}
	if ((rc = session_acquire(c, j)) != RC_OK)
		return (rc);
	body_write(c);
	return (oci_upload_put_finish(c));
}

/* --- POST: begin, mount, or all at once ---------------------------------- */

/* 202 and a new session. */
static enum rc
post_session(struct call *c)
{
	char id[UPLOAD_ID_BYTES];
	struct span text;
	uint8_t alg = DIGEST_SHA256;
	enum rc rc;

	if (http_request_param(c->request, "digest-algorithm", &text) &&
	    digest_alg_parse(text, &alg) != RC_OK)
		return (call_fail(c, OCI_DIGEST_INVALID,
		    call_detail("digest-algorithm", text),
		    "the digest algorithm \"%.*s\" is not supported; sha256 "
		    "and sha512 are",
		    CALL_SHOW(text)));
	if ((rc = session_start(c, alg, id)) != RC_OK)
		return (rc);
	c->answer->status = 202;
	session_headers(c, span_of(id), 0);
	return (RC_OK);
}

/* Link the blob from ${from}, whose content is there and which the client may
 * read.  RC_NOTFOUND, RC_DENIED: it gets an upload instead. */
static enum rc
mount_from(struct call *c, const struct digest *d, struct span from,
    const struct repository_preset *create)
{
	struct blob_mount mount = {
		.from = from,
		.to = c->repository,
		.digest = *d,
		.create = create,
	};
	uint64_t size;
	enum rc rc;

	rc = authorize_repository(c, "ecr:GetDownloadUrlForLayer", from);
	if (rc != RC_OK)
		return (rc);
	rc = content_stat(c->store, from, d, c->mode, c->arena, &size);
	if (rc != RC_OK)
		return (rc);
	mount.now_ms = clock_real_ms();
	return (meta_blob_mount(c->meta, &mount));
}

/* Without from=: out of any repository that the client may read. */
static enum rc
mount_from_any(struct call *c, const struct digest *d,
    const struct repository_preset *create)
{
	struct page holders;
	size_t i;
	enum rc rc;

	rc = meta_blob_holders(
	    c->meta, c->repository, create, d, HOLDERS_MAX, c->arena, &holders);
	if (rc != RC_OK)
		return (rc);
	rc = RC_NOTFOUND;
	for (i = 0; i < holders.n; i++) {
		rc = mount_from(c, d, holders.items[i], create);
		if (rc != RC_NOTFOUND && rc != RC_DENIED)
			break;
	}
	return (rc);
}

/* A token that was asked for before the mount was thought of knows nothing of
 * the source; who may have one that does is told so. */
static enum rc
mount_rescope(struct call *c, const struct digest *d, struct span from)
{
	uint64_t size;
	enum rc rc;

	rc = content_stat(c->store, from, d, c->mode, c->arena, &size);
	if (rc != RC_OK)
		return (rc);
	rc = authorize_rescope(c, "ecr:GetDownloadUrlForLayer", from);
	return (rc == RC_OK ? RC_DENIED : rc);
}

/* mount=DIGEST[&from=NAME].  RC_NOTFOUND: it cannot be mounted. */
static enum rc
post_mount(struct call *c, struct span digest_text)
{
	const struct repository_preset *create;
	struct digest d;
	struct span from;
	enum rc rc;

	if ((rc = oci_digest(c, digest_text, &d)) != RC_OK)
		return (rc);
	rc = authorize_require(c, "ecr:CompleteLayerUpload", c->repository);
	if (rc != RC_OK || (rc = oci_push_preset(c, &create)) != RC_OK)
		return (rc);
	if (!http_request_param(c->request, "from", &from) || from.n == 0)
		rc = mount_from_any(c, &d, create);
	else if (!name_repository_ok(from))
		rc = call_fail(c, OCI_NAME_INVALID, call_detail("from", from),
		    "from=\"%.*s\" is not a repository name", CALL_SHOW(from));
	else if ((rc = mount_from(c, &d, from, create)) == RC_DENIED)
		rc = mount_rescope(c, &d, from);
	if (rc == RC_OK)
		return (blob_created(c, &d));
	if (rc == RC_LIMIT)
		return (quota_exceeded(c, LIMIT_REPOSITORIES));
	return (rc == RC_DENIED ? RC_NOTFOUND : rc);
}

static bool
mounts(struct call *c)
{
	return (
	    strcmp(registry_setting(c->meta, "BLOB_MOUNTING"), "ENABLED") == 0);
}

/* mount=, where there is one and it can be done; else RC_NOTFOUND. */
static enum rc
post_mount_asked(struct call *c)
{
	struct span text;

	if (!http_request_param(c->request, "mount", &text) || !mounts(c))
		return (RC_NOTFOUND);
	if (!c->may_block)
		return (RC_WOULDBLOCK);
	return (post_mount(c, text));
}

enum rc
oci_upload_post(struct call *c)
{
	struct span text;
	struct job j = { .ranged = false };
	enum rc rc;

	if ((rc = post_mount_asked(c)) != RC_NOTFOUND)
		return (rc);
	if (!http_request_param(c->request, "digest", &text))
		return (post_session(c));
	if (!c->may_block)
		return (RC_WOULDBLOCK);
	if ((rc = digest_param(c, &j)) != RC_OK)
		return (rc);
	if ((rc = authorize_require(c, WHOLE_ACTIONS, c->repository)) != RC_OK)
		return (rc);
	if ((rc = oci_push_admit(c)) != RC_OK)
		return (rc);
	return (whole_put(c, &j.digest, SPAN_NONE));
}

/* A long body: with digest= it goes into a session of its own, that nobody
 * else knows of; without, it is not what the client was asked for. */
enum rc
oci_upload_post_begin(struct call *c)
{
	struct span text;
	struct job *j;
	enum rc rc;

	if ((rc = post_mount_asked(c)) != RC_NOTFOUND)
		return (rc);
	if (!http_request_param(c->request, "digest", &text))
		return (post_session(c));
	if ((j = job_new(c)) == NULL)
		return (RC_TOOBIG);
	if ((rc = authorize_require(c, WHOLE_ACTIONS, c->repository)) != RC_OK)
		return (rc);
	if ((rc = digest_param(c, j)) != RC_OK)
		return (rc);
	if ((rc = length_admit(c, 0)) != RC_OK)
		return (rc);
	if ((rc = session_start(c, j->digest.alg, j->id)) != RC_OK)
		return (rc);
	c->part = span_of(j->id);
	return (session_acquire(c, j));
}

enum rc
oci_upload_post_finish(struct call *c)
{
	const struct job *j = c->state;
	enum rc rc;

	if ((rc = body_taken(c, j)) == RC_OK)
		rc = upload_end(c, &j->digest);
	if (rc == RC_OK)
		return (RC_OK);
	upload_release(&c->upload);
	if (upload_cancel(c->store, c->repository, c->part) != RC_OK)
		log_warn("upload %s: left to expire", j->id);
	return (rc);
}

/* --- GET and DELETE ------------------------------------------------------ */

enum rc
oci_upload_status(struct call *c)
{
	uint64_t offset;
	enum rc rc;

	rc = upload_status(c->store, c->repository, c->part, &offset);
	if (rc != RC_OK)
		return (session_fail(c, rc));
	c->answer->status = 204;
	session_headers(c, c->part, offset);
	return (RC_OK);
}

enum rc
oci_upload_cancel(struct call *c)
{
	enum rc rc;

	rc = upload_cancel(c->store, c->repository, c->part);
	if (rc != RC_OK)
		return (session_fail(c, rc));
	c->answer->status = 204;
	return (RC_OK);
}
