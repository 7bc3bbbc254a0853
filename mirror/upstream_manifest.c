#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/upstream_int.h"

/*
 * Manifests.  They are small: read as a whole, and what arrived counts only
 * when its digest is the one that was asked for.
 */
#define ACCEPT \
	"Accept: " MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST \
	", " MEDIA_DOCKER_LIST ", " MEDIA_DOCKER_MANIFEST

/* The texts of a request for a manifest; freed by the caller. */
struct manifest_ask {
	char *url, *want, *what;
};

static void
manifest_ask_make(struct upstream *u, struct span repository,
    const struct reference *ref, struct manifest_ask *m)
{
	char digest[DIGEST_STR_BYTES];
	struct span name = ref->tag;

	if (ref->is_digest)
		name = span_of(digest_str(&ref->digest, digest));
	m->url = ask_url(u, "/v2/" SPAN_FMT "/manifests/" SPAN_FMT,
	    SPAN_ARG(repository), SPAN_ARG(name));
	m->want = xasprintf("pull " SPAN_FMT, SPAN_ARG(repository));
	m->what = xasprintf("manifest " SPAN_FMT " of " SPAN_FMT,
	    SPAN_ARG(name), SPAN_ARG(repository));
}

static void
manifest_ask_free(struct manifest_ask *m)
{
	free(m->url);
	free(m->want);
	free(m->what);
}

static struct span
content_type(const struct fetch *f)
{
	struct span value = fetch_header(f, "Content-Type"), type = SPAN_NONE;

	(void)span_split(&value, ';', &type);
	return (span_trim(type));
}

/* Some servers of files know no better than "application/json". */
static enum rc
media_type_set(struct span type, struct span text, struct arena *arena,
    struct upstream_manifest *m)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc = NULL;
	struct span own;

	if (!manifest_media_type_known(type) && text.p != NULL &&
	    json_read(text, why, &doc) == RC_OK &&
	    json_get_str(doc, "mediaType", &own) == RC_OK &&
	    manifest_media_type_known(own))
		type = own;
	m->media_type = arena_span(arena, type);
	json_decref(doc);
	return (m->media_type.p != NULL ? RC_OK : RC_TOOBIG);
}

/* What it says the digest is; false: it does not. */
static bool
said_digest(const struct answer *a, struct digest *d_r)
{
	return (digest_parse(
		    fetch_header(a->f, "Docker-Content-Digest"), d_r) == RC_OK);
}

static enum rc
differ(struct upstream *u, const struct pace *p, const struct digest *want,
    const struct digest *have, struct upstream_error *error)
{
	char wanted[DIGEST_STR_BYTES], had[DIGEST_STR_BYTES];

	return (
	    error_say(u, error, p->what, RC_DIGEST, "it sent %s instead of %s",
		digest_str(have, had), digest_str(want, wanted)));
}

/* --- HEAD ---------------------------------------------------------------- */

/* RC_UNSUPPORTED: it has to be asked for the text. */
static enum rc
head_read(struct answer *a, const struct reference *ref, const struct pace *p,
    struct arena *arena, struct upstream_manifest *m,
    struct upstream_error *error)
{
	struct span type = content_type(a->f);

	*m = (struct upstream_manifest){ .size_bytes = fetch_length(a->f) };
	if (!said_digest(a, &m->digest)) {
		if (!ref->is_digest)
			return (RC_UNSUPPORTED);
		m->digest = ref->digest;
	}
	if (ref->is_digest && !digest_eq(&m->digest, &ref->digest))
		return (differ(a->u, p, &ref->digest, &m->digest, error));
	if (m->size_bytes == UINT64_MAX || !manifest_media_type_known(type))
		return (RC_UNSUPPORTED);
	if (m->size_bytes > UPSTREAM_MANIFEST_MAX_BYTES)
		return (error_say(a->u, error, p->what, RC_TOOBIG,
		    "it is larger than %zu bytes",
		    UPSTREAM_MANIFEST_MAX_BYTES));
	if (media_type_set(type, SPAN_NONE, arena, m) != RC_OK)
		return (error_say(a->u, error, p->what, RC_TOOBIG,
		    "there is no room for its media type"));
	return (RC_OK);
}

enum rc
upstream_manifest_head(struct upstream *u, struct span repository,
    const struct reference *ref, const struct upstream_wait *wait,
    struct arena *arena, struct upstream_manifest *m_r,
    struct upstream_error *error)
{
	struct manifest_ask texts;
	struct ask ask = { .method = "HEAD" };
	struct answer a;
	struct pace p;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	manifest_ask_make(u, repository, ref, &texts);
	ask.url = texts.url;
	ask.want = texts.want;
	ask_header(&ask, ACCEPT);
	pace_begin(&p, wait, texts.what);
	rc = ask_open(u, &ask, &p, &a, error);
	if (rc == RC_OK) {
		rc = head_read(&a, ref, &p, arena, m_r, error);
		answer_close(&a);
	}
	if (rc == RC_UNSUPPORTED) {
		rc = upstream_manifest_get(
		    u, repository, ref, wait, arena, m_r, error);
		m_r->text = SPAN_NONE;
	} else {
		(void)ask_failed(u, rc, error);
	}
	manifest_ask_free(&texts);
	return (rc);
}

/* --- GET ----------------------------------------------------------------- */

/* By the algorithm of whoever names the digest. */
static enum rc
digest_check(const struct answer *a, const struct reference *ref,
    const struct pace *p, struct span text, struct digest *d_r,
    struct upstream_error *error)
{
	struct digest said;
	bool says = said_digest(a, &said);
	const struct digest *want = says ? &said : NULL;

	if (ref->is_digest)
		want = &ref->digest;
	digest_of(want != NULL ? want->alg : (uint8_t)DIGEST_SHA256, text.p,
	    text.n, d_r);
	if (want != NULL && !digest_eq(want, d_r))
		return (differ(a->u, p, want, d_r, error));
	return (RC_OK);
}

static enum rc
text_take(const struct answer *a, const struct reference *ref,
    const struct pace *p, struct span text, struct arena *arena,
    struct upstream_manifest *m, struct upstream_error *error)
{
	enum rc rc;

	*m = (struct upstream_manifest){ .size_bytes = text.n };
	rc = digest_check(a, ref, p, text, &m->digest, error);
	if (rc != RC_OK)
		return (rc);
	m->text = arena_span(arena, text);
	if (m->text.p == NULL ||
	    media_type_set(content_type(a->f), text, arena, m) != RC_OK)
		return (error_say(a->u, error, p->what, RC_TOOBIG,
		    "there is no room for it"));
	return (RC_OK);
}

enum rc
upstream_manifest_get(struct upstream *u, struct span repository,
    const struct reference *ref, const struct upstream_wait *wait,
    struct arena *arena, struct upstream_manifest *m_r,
    struct upstream_error *error)
{
	struct manifest_ask texts;
	struct ask ask = { .method = "GET" };
	struct answer a;
	struct buf text;
	struct pace p;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	*m_r = (struct upstream_manifest){ .size_bytes = 0 };
	manifest_ask_make(u, repository, ref, &texts);
	ask.url = texts.url;
	ask.want = texts.want;
	ask_header(&ask, ACCEPT);
	pace_begin(&p, wait, texts.what);
	rc = ask_text(
	    u, &ask, UPSTREAM_MANIFEST_MAX_BYTES, &p, &a, &text, error);
	if (rc == RC_OK) {
		rc = text_take(
		    &a, ref, &p, buf_as_span(&text), arena, m_r, error);
		answer_close(&a);
		buf_free(&text);
	}
	manifest_ask_free(&texts);
	return (ask_failed(u, rc, error));
}
