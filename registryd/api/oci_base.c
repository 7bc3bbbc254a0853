#include <stdint.h>
#include <string.h>

#include "base/num.h"
#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/creation.h"
#include "registryd/http/accept.h"
#include "registryd/settings.h"

/* GET /v2/: "I speak this API", and later who may come in. */

enum rc
oci_version(struct call *c)
{
	call_json(c, 200, "application/json", SPAN("{}"));
	return (RC_OK);
}

/* --- reading requests ---------------------------------------------------- */

enum rc
oci_digest(struct call *c, struct span text, struct digest *d_r)
{
	enum rc rc;

	rc = digest_parse(text, d_r);
	if (rc == RC_OK)
		return (RC_OK);
	if (rc == RC_UNSUPPORTED)
		return (call_fail(c, OCI_DIGEST_INVALID,
		    call_detail("digest", text),
		    "the algorithm of digest \"%.*s\" is not supported; sha256 "
		    "and sha512 are",
		    CALL_SHOW(text)));
	return (call_fail(c, OCI_DIGEST_INVALID, call_detail("digest", text),
	    "\"%.*s\" is not a digest; expected \"sha256:\" and 64, or "
	    "\"sha512:\" and 128 lower-case hexadecimal digits",
	    CALL_SHOW(text)));
}

enum rc
oci_reference(struct call *c, struct span text, struct reference *ref_r)
{
	if (memchr(text.p, ':', text.n) != NULL) {
		ref_r->is_digest = true;
		ref_r->tag = SPAN_NONE;
		return (oci_digest(c, text, &ref_r->digest));
	}
	if (reference_parse(text, ref_r) == RC_OK)
		return (RC_OK);
	return (call_fail(c, OCI_TAG_INVALID, call_detail("tag", text),
	    "\"%.*s\" is not a tag; expected a letter, digit or underscore and "
	    "up to 127 of those, dots and dashes",
	    CALL_SHOW(text)));
}

enum rc
oci_page_query(struct call *c, struct oci_page *q_r)
{
	struct span text;
	uint64_t n;
	enum rc rc;

	*q_r = (struct oci_page){ .n = OCI_PAGE_MAX };
	(void)http_request_param(c->request, "last", &q_r->last);
	if (!http_request_param(c->request, "n", &text))
		return (RC_OK);
	rc = num_u64_zeros(text, OCI_PAGE_MAX, &n);
	if (rc == RC_INVALID)
		return (call_fail(c, OCI_PAGINATION_NUMBER_INVALID,
		    call_detail("n", text),
		    "n is \"%.*s\"; expected a number, not negative",
		    CALL_SHOW(text)));
	if (rc == RC_OK)
		q_r->n = (size_t)n;
	return (RC_OK);
}

/* --- errors -------------------------------------------------------------- */

static bool
is_push(const struct call *c)
{
	return (c->request->method != HTTP_GET &&
		c->request->method != HTTP_HEAD &&
		c->request->method != HTTP_DELETE);
}

enum rc
oci_repository_unknown(struct call *c)
{
	enum rc rc;

	if (is_push(c) && (rc = creation_refuse(c)) != RC_OK)
		return (rc);
	return (
	    call_fail(c, OCI_NAME_UNKNOWN, call_detail("name", c->repository),
		"The repository with name '%.*s' does not exist in the "
		"registry with id '%s'",
		CALL_SHOW(c->repository), c->settings->account_id));
}

enum rc
oci_repository(struct call *c)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(c->meta, c->repository, &row);
	return (rc == RC_NOTFOUND ? oci_repository_unknown(c) : rc);
}

/* Most pushes are into a repository that is there, and ask no more. */
enum rc
oci_push_preset(struct call *c, const struct repository_preset **preset_r)
{
	struct repository_row row;
	enum rc rc;

	*preset_r = NULL;
	rc = meta_repository_get(c->meta, c->repository, &row);
	return (rc == RC_NOTFOUND ? creation_on_push(c, preset_r) : rc);
}

enum rc
oci_push_admit(struct call *c)
{
	const struct repository_preset *preset;
	enum rc rc;

	rc = oci_push_preset(c, &preset);
	return (rc == RC_OK && preset == NULL ? oci_repository(c) : rc);
}

enum rc
oci_unknown(struct call *c, enum api_error error, struct span value)
{
	const char *key;
	enum rc rc;

	if ((rc = oci_repository(c)) != RC_OK)
		return (rc);
	key = memchr(value.p, ':', value.n) != NULL ? "digest" : "tag";
	if (error == OCI_MANIFEST_UNKNOWN)
		return (call_fail(c, error, call_detail(key, value),
		    "Requested image not found"));
	return (call_fail(c, error, call_detail(key, value),
	    "blob \"%.*s\" is not known to repository \"%.*s\"",
	    CALL_SHOW(value), CALL_SHOW(c->repository)));
}

enum rc
oci_digest_mismatch(
    struct call *c, const struct digest *want, const struct digest *got)
{
	char want_text[DIGEST_STR_BYTES], got_text[DIGEST_STR_BYTES];

	digest_str(want, want_text);
	digest_str(got, got_text);
	return (call_fail(c, OCI_DIGEST_INVALID,
	    json_pack("{s:s,s:s}", "digest", want_text, "actual", got_text),
	    "the digest is given as %s, but the content has %s", want_text,
	    got_text));
}

const char *
oci_digests(struct call *c, const struct digest *digests, size_t n, bool more)
{
	char text[DIGEST_STR_BYTES];
	struct span list;
	struct buf b;
	size_t i;

	buf_init(&b, SIZE_MAX);
	for (i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i == 0 ? "[" : ", ",
		    digest_str(&digests[i], text));
	buf_str(&b, more ? ", ...]" : "]");
	list = arena_span(c->arena, buf_as_span(&b));
	buf_free(&b);
	return (list.p != NULL ? list.p : "[]");
}

enum rc
oci_referenced(struct call *c, struct span value, const struct holding *h,
    const char *methods, const char *message)
{
	char text[DIGEST_STR_BYTES];
	json_t *detail, *by;
	size_t i;

	by = json_array();
	for (i = 0; i < h->n; i++)
		(void)json_array_append_new(
		    by, json_string(digest_str(&h->by[i], text)));
	detail = call_detail("digest", value);
	(void)json_object_set_new(detail, "referencedBy", by);
	(void)json_object_set_new(detail, "more", json_boolean(h->more));
	http_response_header(c->answer, "Allow", span_of(methods));
	return (call_fail(c, OCI_UNSUPPORTED, detail, "%s", message));
}

/* --- answers ------------------------------------------------------------- */

/*
 * What a digest names never changes; what a tag names may, and is asked for
 * again.
 */
bool
oci_content(
    struct call *c, const struct digest *d, bool immutable, struct span *etag_r)
{
	struct span etag;
	char *text;

	if (etag_r != NULL)
		*etag_r = SPAN_NONE;
	text = arena_alloc(c->arena, DIGEST_STR_BYTES + 2);
	if (text == NULL)
		return (false);
	text[0] = '"';
	digest_str(d, text + 1);
	etag = span_of(text);
	text[etag.n++] = '"';
	text[etag.n] = '\0';
	if (etag_r != NULL)
		*etag_r = etag;

	http_response_header(c->answer, "Docker-Content-Digest",
	    (struct span){ etag.p + 1, etag.n - 2 });
	http_response_header(c->answer, "ETag", etag);
	http_response_header(c->answer, "Cache-Control",
	    immutable ? SPAN("max-age=31536000, immutable") : SPAN("no-cache"));
	if (!http_etag_matches(c->request, etag))
		return (false);
	c->answer->status = 304;
	return (true);
}

void
oci_percent(struct buf *out, struct span s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '\0' && strchr(plain, s.p[i]) != NULL)
			buf_char(out, s.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
	}
}

void
oci_page_link(struct call *c, const char *path, size_t n, struct span last)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	oci_percent(&b, last);
	call_header(c, "Link", "<%s?n=%zu&last=" SPAN_FMT ">; rel=\"next\"",
	    path, n, SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
}

void
oci_names(struct buf *out, const struct page *page)
{
	size_t i;

	buf_char(out, '[');
	for (i = 0; i < page->n; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json(out, page->items[i]);
	}
	buf_char(out, ']');
}
