#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/upstream_int.h"

/*
 * Pushing.  A blob goes up as POST and one PUT with all of it: every registry
 * takes that.  What is small is held in memory and can be sent again; of what
 * is streamed only the beginning can, as long as nothing of it was read, so
 * that who copies has to begin anew with a reader of his own.
 */
#define HELD_MAX_BYTES ((uint64_t)1024 * 1024)
#define PART_BYTES ((size_t)65536)
/* Before a registry answers that a blob is there it may move all of it. */
#define COMMIT_MS 300000
#define OCTETS "Content-Type: application/octet-stream"

struct push {
	struct upstream *u;
	struct span repository;
	const struct digest *digest;
	char digest_text[DIGEST_STR_BYTES];
	uint64_t size;
	upstream_read_fn *read;
	void *arg;
	char *want, *what;
	struct pace pace;
	struct upstream_error *error;
};

/* --- beginning ----------------------------------------------------------- */

/* Where to send it to, with the digest; the caller's. */
static enum rc
location_take(struct push *h, const struct answer *a, char **url_r)
{
	struct span value = fetch_header(a->f, "Location");
	char why[FETCH_WHY_BYTES] = "it does not say where to";
	struct url url;
	enum rc rc = RC_INVALID;
	size_t n;

	if (value.p != NULL)
		rc = url_resolve(&a->url, value, &url, why);
	if (rc != RC_OK)
		return (error_say(h->u, h->error, h->what, rc,
		    "an upload that cannot go on: %s", why));
	n = strcspn(h->digest_text, ":");
	*url_r = xasprintf("%s%cdigest=%.*s%%3A%s", url.text,
	    strchr(url.text, '?') != NULL ? '&' : '?', (int)n, h->digest_text,
	    h->digest_text + n + 1);
	url_free(&url);
	return (RC_OK);
}

/* RC_EXISTS: it was mounted. */
static enum rc
session_open(struct push *h, const char *query, const char *want, char **url_r)
{
	struct ask ask = {
		.method = "POST",
		.want = want,
		.side = SIDE_SEND,
	};
	struct answer a;
	char *url;
	enum rc rc;

	ask.url = url = ask_url(h->u, "/v2/" SPAN_FMT "/blobs/uploads/%s",
	    SPAN_ARG(h->repository), query);
	rc = ask_open(h->u, &ask, &h->pace, &a, h->error);
	free(url);
	if (rc != RC_OK)
		return (rc);
	if (a.status == 201)
		rc = RC_EXISTS;
	else
		rc = location_take(h, &a, url_r);
	answer_drain(&a);
	answer_close(&a);
	return (rc);
}

/* Whoever may not read from there may still upload. */
static enum rc
mount_or_open(struct push *h, struct span from, char **url_r)
{
	char *query, *want;
	enum rc rc;

	query = xasprintf(
	    "?mount=%s&from=" SPAN_FMT, h->digest_text, SPAN_ARG(from));
	want = xasprintf("push " SPAN_FMT " from " SPAN_FMT,
	    SPAN_ARG(h->repository), SPAN_ARG(from));
	rc = session_open(h, query, want, url_r);
	free(query);
	free(want);
	if (rc == RC_DENIED || rc == RC_NOTFOUND || rc == RC_FAILED ||
	    rc == RC_UNSUPPORTED)
		rc = session_open(h, "", h->want, url_r);
	return (rc);
}

/* Best effort: it would stay until the registry's own patience ends. */
static void
session_cancel(struct push *h, const char *url)
{
	struct upstream_error ignored;
	struct ask ask = {
		.method = "DELETE",
		.url = url,
		.want = h->want,
		.side = SIDE_SEND,
	};
	const struct upstream_wait wait = { .patience_ms = 0,
		.cancel = h->pace.wait.cancel };
	struct answer a;
	struct pace p;

	pace_begin(&p, &wait, h->what);
	if (ask_open(h->u, &ask, &p, &a, &ignored) == RC_OK)
		answer_close(&a);
}

/* --- bodies -------------------------------------------------------------- */

static enum rc
source_read(struct push *h, void *p, size_t room, size_t *n_r)
{
	enum rc rc = h->read(h->arg, p, room, n_r);

	if (rc != RC_OK && h->error->why[0] == '\0')
		return (error_say(h->u, h->error, h->what, rc,
		    "what is to be sent cannot be read: %s", rc_text(rc)));
	return (rc);
}

static enum rc
source_differs(struct push *h, const char *how)
{
	return (error_say(h->u, h->error, h->what, RC_DIGEST,
	    "there is %s to send than its %llu bytes", how,
	    (unsigned long long)h->size));
}

/* To its end, which has to be where it was said to be. */
static enum rc
held_read(struct push *h, char *bytes)
{
	size_t n = 0, got = 1;
	enum rc rc;

	while (n < h->size && got > 0) {
		rc = source_read(h, bytes + n, (size_t)h->size - n, &got);
		if (rc != RC_OK)
			return (rc);
		n += got;
	}
	if (n < h->size)
		return (source_differs(h, "less"));
	rc = source_read(h, bytes + n, 1, &got);
	if (rc == RC_OK && got > 0)
		rc = source_differs(h, "more");
	return (rc);
}

static enum rc
held_send(struct push *h, const char *url, const char *bytes)
{
	struct ask ask = {
		.method = "PUT",
		.url = url,
		.want = h->want,
		.body = { bytes, (size_t)h->size },
		.side = SIDE_SEND,
	};
	struct answer a;
	enum rc rc;

	ask_header(&ask, OCTETS);
	rc = ask_open(h->u, &ask, &h->pace, &a, h->error);
	if (rc != RC_OK)
		return (rc);
	gate_bytes(h->u, SIDE_SEND, (size_t)h->size, &h->pace);
	answer_drain(&a);
	answer_close(&a);
	return (RC_OK);
}

/* RC_EXISTS: the answer is here already. */
static enum rc
part_send(struct push *h, struct answer *a, const char *part, size_t n)
{
	enum rc rc;

	rc = fetch_write(a->f, part, n);
	if (rc == RC_OK) {
		gate_bytes(h->u, SIDE_SEND, n, &h->pace);
		pace_renew(&h->pace);
	}
	return (rc);
}

static enum rc
body_send(struct push *h, struct answer *a)
{
	char *part = xmalloc(PART_BYTES);
	uint64_t left = h->size;
	size_t n = 1;
	enum rc rc = RC_OK;

	while (rc == RC_OK && n > 0) {
		rc = source_read(h, part, PART_BYTES, &n);
		if (rc == RC_OK && n > left)
			rc = source_differs(h, "more");
		if (rc == RC_OK && n > 0) {
			rc = part_send(h, a, part, n);
			left -= n;
		}
	}
	if (rc == RC_OK && left > 0)
		rc = source_differs(h, "less");
	free(part);
	return (rc);
}

static enum rc
streamed_send(struct push *h, const char *url)
{
	struct ask ask = {
		.method = "PUT",
		.url = url,
		.want = h->want,
		.side = SIDE_SEND,
		.answer_ms = COMMIT_MS,
	};
	char why[FETCH_WHY_BYTES];
	struct answer a;
	enum rc rc;

	ask_header(&ask, OCTETS);
	rc = ask_stream(h->u, &ask, h->size, &h->pace, &a, h->error);
	if (rc != RC_OK)
		return (rc);
	rc = body_send(h, &a);
	if (h->error->why[0] == '\0') {
		/* Sent, or broken off by the other side: it says why. */
		rc = fetch_answer(a.f, why);
		if (rc != RC_OK)
			rc = error_fetch(h->u, h->error, h->what, rc, why);
		else if ((rc = ask_judge(&a, h->what, h->error)) == RC_OK)
			answer_drain(&a);
	}
	answer_close(&a);
	return (rc);
}

static enum rc
push_held(struct push *h, const char *url)
{
	char *bytes = xmalloc((size_t)h->size + 1);
	enum rc rc;

	rc = held_read(h, bytes);
	if (rc == RC_OK)
		rc = held_send(h, url, bytes);
	free(bytes);
	return (rc);
}

static enum rc
push_body(struct push *h, const char *url)
{
	enum rc rc;

	error_clear(h->error);
	if (h->size <= HELD_MAX_BYTES)
		rc = push_held(h, url);
	else
		rc = streamed_send(h, url);
	if (rc != RC_OK && rc != RC_CANCELLED && rc != RC_IO &&
	    rc != RC_TIMEOUT)
		session_cancel(h, url);
	return (rc);
}

enum rc
upstream_blob_put(struct upstream *u, struct span repository,
    const struct digest *d, uint64_t size_bytes, struct span from,
    upstream_read_fn *read, void *arg, const struct upstream_wait *wait,
    struct upstream_error *error)
{
	struct push h = {
		.u = u,
		.repository = repository,
		.digest = d,
		.size = size_bytes,
		.read = read,
		.arg = arg,
		.error = error,
	};
	char *url = NULL;
	uint64_t there;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	/* Whoever copies from here to here has a connection for reading. */
	rc = blob_look(u, repository, d, SIDE_SEND, wait, &there, error);
	if (rc != RC_NOTFOUND)
		return (rc);
	(void)digest_str(d, h.digest_text);
	h.want = xasprintf("push " SPAN_FMT, SPAN_ARG(repository));
	h.what = xasprintf(
	    "blob %s to " SPAN_FMT, h.digest_text, SPAN_ARG(repository));
	pace_begin(&h.pace, wait, h.what);
	rc = from.n > 0 ? mount_or_open(&h, from, &url)
			: session_open(&h, "", h.want, &url);
	if (rc == RC_OK)
		rc = push_body(&h, url);
	else if (rc == RC_EXISTS)
		rc = RC_OK;
	free(url);
	free(h.want);
	free(h.what);
	return (ask_failed(u, rc, error));
}

/* --- manifests ----------------------------------------------------------- */

static bool
says_missing(const struct answer *a)
{
	return (strcmp(a->code, "MANIFEST_BLOB_UNKNOWN") == 0 ||
		strcmp(a->code, "BLOB_UNKNOWN") == 0 ||
		strcmp(a->code, "MANIFEST_UNKNOWN") == 0);
}

/* The tag stands and cannot be moved: ECR's way and ours, Harbor's, and plain
 * HTTP's. */
static bool
says_immutable(const struct answer *a, const struct upstream_error *error)
{
	return (
	    strcmp(a->code, "TAG_INVALID") == 0 || a->status == 409 ||
	    a->status == 412 ||
	    (a->status / 100 == 4 && strstr(error->why, "immutable") != NULL));
}

static enum rc
manifest_rc(enum rc rc, const struct answer *a, const struct reference *ref,
    const struct upstream_error *error)
{
	if (rc == RC_OK || a->status / 100 != 4)
		return (rc);
	if (says_missing(a))
		return (RC_MISSING);
	if (!ref->is_digest && says_immutable(a, error))
		return (RC_EXISTS);
	return (rc);
}

static char *
manifest_url(
    struct upstream *u, struct span repository, const struct reference *ref)
{
	char digest[DIGEST_STR_BYTES];
	struct span name = ref->tag;

	if (ref->is_digest)
		name = span_of(digest_str(&ref->digest, digest));
	return (ask_url(u, "/v2/" SPAN_FMT "/manifests/" SPAN_FMT,
	    SPAN_ARG(repository), SPAN_ARG(name)));
}

enum rc
upstream_manifest_put(struct upstream *u, struct span repository,
    const struct reference *ref, struct span media_type, struct span text,
    const struct upstream_wait *wait, struct upstream_error *error)
{
	struct ask ask = { .method = "PUT", .body = text, .side = SIDE_SEND };
	char *url, *want, *what, *type;
	struct answer a;
	struct pace p;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	ask.url = url = manifest_url(u, repository, ref);
	ask.want = want = xasprintf("push " SPAN_FMT, SPAN_ARG(repository));
	what = xasprintf("manifest %s to " SPAN_FMT, strrchr(url, '/') + 1,
	    SPAN_ARG(repository));
	type = xasprintf("Content-Type: " SPAN_FMT, SPAN_ARG(media_type));
	ask_header(&ask, type);
	pace_begin(&p, wait, what);
	rc = ask_open(u, &ask, &p, &a, error);
	if (rc == RC_OK) {
		gate_bytes(u, SIDE_SEND, text.n, &p);
		answer_drain(&a);
		answer_close(&a);
	}
	rc = manifest_rc(rc, &a, ref, error);
	free(url);
	free(want);
	free(what);
	free(type);
	return (ask_failed(u, rc, error));
}

enum rc
upstream_tag_delete(struct upstream *u, struct span repository, struct span tag,
    const struct upstream_wait *wait, struct upstream_error *error)
{
	struct reference ref = { .tag = tag };
	struct ask ask = { .method = "DELETE", .side = SIDE_SEND };
	char *url, *want, *what;
	struct answer a;
	struct pace p;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	ask.url = url = manifest_url(u, repository, &ref);
	ask.want = want = xasprintf("delete " SPAN_FMT, SPAN_ARG(repository));
	what = xasprintf("deleting the tag " SPAN_FMT " of " SPAN_FMT,
	    SPAN_ARG(tag), SPAN_ARG(repository));
	pace_begin(&p, wait, what);
	rc = ask_open(u, &ask, &p, &a, error);
	if (rc == RC_OK) {
		answer_drain(&a);
		answer_close(&a);
	} else if (a.status == 400 || a.status == 405) {
		rc = RC_UNSUPPORTED;
	}
	free(url);
	free(want);
	free(what);
	return (ask_failed(u, rc, error));
}
