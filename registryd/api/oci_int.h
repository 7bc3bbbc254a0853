#ifndef API_OCI_INT_H
#define API_OCI_INT_H

#include <stdbool.h>

#include "registryd/call.h"
#include "storage/meta.h"

/*
 * What the nouns of the distribution API share: reading digests and
 * references out of requests, the headers of content, pages of names, and
 * the errors they all know.
 */

/** oci_digest(c, text, d_r): RC_FAILED with DIGEST_INVALID recorded. */
RC_MUST_USE enum rc
oci_digest(struct call *, struct span text, struct digest *d_r);

/** oci_reference(c, text, ref_r): a tag or a digest; RC_FAILED with
 * TAG_INVALID or DIGEST_INVALID recorded. */
RC_MUST_USE enum rc
oci_reference(struct call *, struct span text, struct reference *ref_r);

/** oci_repository(c): RC_OK when c->repository exists; RC_FAILED with
 * NAME_UNKNOWN recorded. */
RC_MUST_USE enum rc oci_repository(struct call *);

/**
 * oci_push_preset(c, preset_r):
 * What a push makes c->repository as; *${preset_r} NULL: nothing is to be made,
 * for it is there, or it may not be made.  Loop or worker.
 */
RC_MUST_USE enum rc
oci_push_preset(struct call *, const struct repository_preset **preset_r);

/** oci_push_admit(c): RC_OK when the repository is there or a push makes it;
 * RC_FAILED with NAME_UNKNOWN recorded, or DENIED. */
RC_MUST_USE enum rc oci_push_admit(struct call *);

/** oci_repository_unknown(c): RC_FAILED with NAME_UNKNOWN recorded, or to a
 * push that may not make it what the policies say. */
RC_MUST_USE enum rc oci_repository_unknown(struct call *);

/** oci_unknown(c, error, value): a manifest or blob, named by tag or digest, is
 * not in the repository: RC_FAILED with ${error}, or with NAME_UNKNOWN when the
 * repository is not there at all. */
RC_MUST_USE enum rc
oci_unknown(struct call *, enum api_error, struct span value);

/** oci_digest_mismatch(c, want, got): RC_FAILED with DIGEST_INVALID that names
 * both; ${got} may be NULL. */
RC_MUST_USE enum rc oci_digest_mismatch(
    struct call *, const struct digest *want, const struct digest *got);

/** oci_digests(c, digests, n, more): "[D, D]" in the arena, as ECR lists them in
 * its messages. */
const char *
oci_digests(struct call *, const struct digest *, size_t n, bool more);

/** oci_referenced(c, value, holding, methods, message): RC_FAILED with
 * UNSUPPORTED, the holders in its detail; ${methods}: those that are allowed,
 * for Allow. */
RC_MUST_USE enum rc oci_referenced(struct call *, struct span value,
    const struct holding *, const char *methods, const char *message);

/**
 * oci_content(c, d, immutable, etag_r):
 * The headers of content: Docker-Content-Digest, ETag, Cache-Control.  With an
 * If-None-Match that names it the answer becomes 304 and the function true.
 * *${etag_r}: the entity tag with its quotes; may be NULL.
 */
bool oci_content(
    struct call *, const struct digest *, bool immutable, struct span *etag_r);

/* A page of names, as asked for by n= and last=. */
#define OCI_PAGE_MAX 10000

struct oci_page {
	size_t n; /* at most OCI_PAGE_MAX; 0 when 0 was asked for */
	struct span last;
};

/** oci_page_query(c, q_r): RC_FAILED with PAGINATION_NUMBER_INVALID. */
RC_MUST_USE enum rc oci_page_query(struct call *, struct oci_page *q_r);

/** oci_page_link(c, path, n, last): Link to the next page. */
void oci_page_link(struct call *, const char *path, size_t n, struct span last);

/** oci_names(out, page): a JSON array of the names. */
void oci_names(struct buf *out, const struct page *);

/** oci_percent(out, s): percent-encode all but the unreserved characters of
 * RFC 3986. */
void oci_percent(struct buf *out, struct span s);

#endif
