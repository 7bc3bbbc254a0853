#include "registryd/api/download.h"

#include <inttypes.h>

#include "auth/auth.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/keyring.h"
#include "registryd/api/download_int.h"
#include "registryd/api/oci.h"
#include "registryd/authorize.h"
#include "registryd/identify.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * The token is sealed, so that nobody else can make one.  What is sealed, for
 * the repository and the digest that stand in the additional data:
 *
 *	u8 version (1), i64 issued_ms, i64 expires_ms (big-endian),
 *	u8 length and bytes each of account, user, access key
 */
#define VERSION 1
#define HEAD_BYTES 17
#define TEXT_MAX_BYTES UINT8_MAX

#define TOKEN_PARAM "token"

static void
token_aad(const struct call *c, const struct digest *d, struct buf *out)
{
	char text[DIGEST_STR_BYTES];

	buf_init(out, SIZE_MAX);
	buf_str(out, "download of ");
	buf_str(out, digest_str(d, text));
	buf_str(out, " from ");
	buf_span(out, c->repository);
}

/* --- what a token holds -------------------------------------------------- */

static void
time_write(struct buf *out, int64_t ms)
{
	unsigned shift;

	for (shift = 64; shift > 0; shift -= 8)
		buf_char(out, (char)((uint64_t)ms >> (shift - 8)));
}

static int64_t
time_read(const char *p)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < 8; i++)
		n = n << 8 | (unsigned char)p[i];
	return ((int64_t)n);
}

static bool
text_write(struct buf *out, struct span s)
{
	if (s.n > TEXT_MAX_BYTES)
		return (false);
	buf_char(out, (char)s.n);
	buf_span(out, s);
	return (true);
}

static bool
text_read(struct span *rest, struct span *s_r)
{
	size_t n;

	if (rest->n == 0)
		return (false);
	n = (unsigned char)rest->p[0];
	if (n > rest->n - 1)
		return (false);
	*s_r = (struct span){ rest->p + 1, n };
	rest->p += 1 + n;
	rest->n -= 1 + n;
	return (true);
}

bool
download_grant_write(const struct download_grant *g, struct buf *out)
{
	buf_init(out, DOWNLOAD_PLAIN_MAX_BYTES);
	buf_char(out, VERSION);
	time_write(out, g->issued_ms);
	time_write(out, g->expires_ms);
	return (text_write(out, g->account) && text_write(out, g->user) &&
		text_write(out, g->access_key));
}

bool
download_grant_read(struct span plain, struct download_grant *g_r)
{
	struct span rest;

	if (plain.n < HEAD_BYTES || plain.p[0] != VERSION)
		return (false);
	g_r->issued_ms = time_read(plain.p + 1);
	g_r->expires_ms = time_read(plain.p + 9);
	rest = (struct span){ plain.p + HEAD_BYTES, plain.n - HEAD_BYTES };
	return (text_read(&rest, &g_r->account) &&
		text_read(&rest, &g_r->user) &&
		text_read(&rest, &g_r->access_key) && rest.n == 0);
}

/* --- giving out ---------------------------------------------------------- */

static struct download_grant
grant_new(const struct call *c)
{
	int64_t now_ms = clock_real_ms();
	struct download_grant g = {
		.issued_ms = now_ms,
		.expires_ms = now_ms + c->settings->download_lifetime_ms,
	};

	if (c->service->auth == NULL)
		return (g);
	g.account = c->who->account;
	g.user = c->who->name;
	g.access_key = c->who->access_key;
	if (c->expires_ms > 0 && c->expires_ms < g.expires_ms)
		g.expires_ms = c->expires_ms;
	return (g);
}

/* In the arena; NULL past its cap. */
static const char *
token_seal(struct call *c, const struct digest *d, const struct buf *plain)
{
	size_t n = plain->n + SEAL_OVERHEAD_BYTES;
	struct buf aad;
	uint8_t *sealed;
	char *text;

	sealed = arena_alloc(c->arena, n);
	text = arena_alloc(c->arena, BASE64URL_LEN(n) + 1);
	if (sealed == NULL || text == NULL)
		return (NULL);
	token_aad(c, d, &aad);
	seal(service_seal_key(c->service), buf_as_span(&aad),
	    buf_as_span(plain), sealed);
	buf_free(&aad);
	base64url_encode(sealed, n, text);
	return (text);
}

enum rc
download_url(struct call *c, const struct digest *d, const char **url_r)
{
	struct download_grant g = grant_new(c);
	char digest[DIGEST_STR_BYTES];
	const char *token = NULL;
	struct buf plain;
	bool fits;

	fits = download_grant_write(&g, &plain);
	if (fits)
		token = token_seal(c, d, &plain);
	buf_free(&plain);
	if (!fits)
		return (call_fail(c, AWS_INVALID_PARAMETER, NULL,
		    "the name of the user is too long to be given a URL"));
	if (token == NULL)
		return (RC_TOOBIG);
	*url_r = arena_printf(c->arena,
	    "%s/download/" SPAN_FMT "/blobs/%s?" TOKEN_PARAM "=%s",
	    identify_base_url(c), SPAN_ARG(c->repository),
	    digest_str(d, digest), token);
	return (*url_r != NULL ? RC_OK : RC_TOOBIG);
}

/* --- taking back --------------------------------------------------------- */

static enum rc
refuse(struct call *c, const char *why)
{
	return (call_fail(c, OCI_DENIED, NULL,
	    "this URL %s; GetDownloadUrlForLayer gives another", why));
}

/* The spans of *${g_r} are in the arena. */
static bool
token_open(struct call *c, const struct digest *d, struct span text,
    struct download_grant *g_r)
{
	struct span sealed = SPAN_NONE, plain = SPAN_NONE;
	uint8_t *room, *out;
	struct buf aad;
	enum rc rc;

	if (text.n > DOWNLOAD_TOKEN_MAX_BYTES)
		return (false);
	room = arena_alloc(c->arena, 2 * text.n + 1);
	if (room == NULL || base64url_decode(text, room, &sealed.n) != RC_OK)
		return (false);
	out = room + sealed.n;
	sealed.p = (const char *)room;
	token_aad(c, d, &aad);
	rc = seal_open(service_seal_key(c->service), buf_as_span(&aad), sealed,
	    out, &plain.n);
	buf_free(&aad);
	plain.p = (const char *)out;
	return (rc == RC_OK && download_grant_read(plain, g_r));
}

/* Whose URL it is becomes who asks. */
static enum rc
grant_identify(struct call *c, const struct download_grant *g)
{
	struct token t = {
		.kind = TOKEN_LOGIN,
		.account = g->account,
		.user = g->user,
		.access_key = g->access_key,
		.issued_ms = g->issued_ms,
	};
	const struct principal *who;

	if (c->service->auth == NULL)
		return (RC_OK);
	if (c->directory == NULL)
		c->directory = auth_directory(c->service->auth);
	if (directory_token(c->directory, &t, &who) != RC_OK)
		return (refuse(c,
		    "was made with credentials that are no longer what they "
		    "were"));
	c->who = who;
	c->principal = who->arn;
	return (RC_OK);
}

static enum rc
grant_find(struct call *c, const struct digest *d, struct download_grant *g_r)
{
	struct span text;

	if (!http_request_param(c->request, TOKEN_PARAM, &text))
		return (refuse(c, "has no token"));
	if (!token_open(c, d, text, g_r))
		return (refuse(c, "is not one of this registry's, or of "
				  "something else, or was changed"));
	if (clock_real_ms() >= g_r->expires_ms)
		return (refuse(c, "has expired"));
	return (grant_identify(c, g_r));
}

/* Caches that serve many must not answer in our place: they know nothing of
 * its end. */
static void
keep_private(struct http_response *rs)
{
	size_t i;

	for (i = 0; i < rs->n_headers; i++)
		if (span_is(rs->headers[i].name, "Cache-Control"))
			rs->headers[i].value =
			    SPAN("private, max-age=31536000, immutable");
}

enum rc
download_get(struct call *c)
{
	struct download_grant g;
	struct digest d;
	enum rc rc;

	if (digest_parse(c->part, &d) != RC_OK)
		return (refuse(c, "names no digest"));
	if ((rc = grant_find(c, &d, &g)) != RC_OK)
		return (rc);
	rc = authorize_require(c, "ecr:GetDownloadUrlForLayer", c->repository);
	if (rc != RC_OK)
		return (rc);
	rc = oci_blob_get(c);
	keep_private(c->answer);
	return (rc);
}
