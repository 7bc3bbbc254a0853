#include "auth/auth.h"
#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/identify.h"
#include "registryd/identify_int.h"
#include "registryd/route.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * Signature Version 4 on POST /: the head says whose key it is, and is looked
 * at before the body is taken; the signature covers the body, and is checked
 * when that is here.
 */

/* A streamed body is gone by now, but for its hash. */
static enum rc
body_hash(const struct call *c, uint8_t out[SIGV4_HASH_BYTES])
{
	if (c->body_hash != NULL)
		return (
		    hex_decode(span_of(c->body_hash), out, SIGV4_HASH_BYTES));
	sigv4_body_hash(c->body, out);
	return (RC_OK);
}

/* The request as the client signed it: behind a trusted proxy Host is what the
 * client had named. */
static enum rc
signed_request(struct call *c, struct sigv4_request *rq_r)
{
	const struct http_request *rq = c->request;
	struct name_value *headers;
	size_t i;

	headers = arena_calloc(c->arena, rq->n_headers + 1, sizeof(*headers));
	if (headers == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < rq->n_headers; i++) {
		headers[i].name = rq->headers[i].name;
		headers[i].value = span_eq_nocase(headers[i].name, SPAN("Host"))
				       ? rq->host
				       : rq->headers[i].value;
	}
	*rq_r = (struct sigv4_request){
		.method = rq->method_text,
		.target = rq->target,
		.headers = headers,
		.n_headers = rq->n_headers,
	};
	return (body_hash(c, rq_r->body_hash));
}

static enum rc
refuse_signature(struct call *c, enum sigv4_error error, const char *why)
{
	static const enum api_error errors[] = {
		[SIGV4_MISSING] = AWS_MISSING_TOKEN,
		[SIGV4_INCOMPLETE] = AWS_INCOMPLETE_SIGNATURE,
		[SIGV4_INVALID] = AWS_INVALID_SIGNATURE,
		[SIGV4_MISMATCH] = AWS_INVALID_SIGNATURE,
	};

	must(error != SIGV4_OK);
	return (call_fail(c, errors[error], NULL, "%s", why));
}

static enum rc
refuse_client(struct call *c)
{
	return (call_fail(c, AWS_UNRECOGNIZED_CLIENT, NULL, "%s",
	    api_error_text(AWS_UNRECOGNIZED_CLIENT)));
}

static enum rc
refuse_key(struct call *c, struct span id)
{
	enum rc rc = identify_guessed(c, id);

	return (rc == RC_DENIED ? refuse_client(c) : rc);
}

/* What the claim's key signs with; *${secret_r} is in ${room}. */
struct signer {
	const struct principal *who;
	struct span secret;
	char room[AUTH_SECRET_MAX_BYTES];
	struct token_room token;
};

static enum rc
signer_temporary(
    struct call *c, const struct sigv4_claim *claim, struct signer *s)
{
	struct token t;
	enum rc rc;

	rc = identify_token(c, IDENTIFY_KIND(TOKEN_SESSION),
	    claim->session_token, &s->token, &t, &s->who);
	if (rc == RC_TIMEOUT)
		return (call_fail(c, AWS_EXPIRED_TOKEN, NULL, "%s",
		    api_error_text(AWS_EXPIRED_TOKEN)));
	if (rc == RC_DENIED)
		return (refuse_client(c));
	if (rc == RC_INVALID ||
	    (rc == RC_OK && !span_eq(t.session_key, claim->access_key)))
		return (refuse_key(c, claim->access_key));
	s->secret = t.secret;
	c->expires_ms = t.expires_ms;
	return (rc);
}

static enum rc
signer_find(struct call *c, const struct sigv4_claim *claim, struct signer *s)
{
	const struct access_key *key;
	size_t n;
	enum rc rc;

	s->secret = SPAN_NONE;
	if (claim->session_token.n > 0)
		return (signer_temporary(c, claim, s));
	key = directory_access_key(c->directory, claim->access_key);
	if (key == NULL)
		return (refuse_key(c, claim->access_key));
	if (!key->active)
		return (refuse_client(c));
	rc = auth_secret(c->service->auth, key, s->room, &n);
	if (rc != RC_OK)
		return (rc);
	s->who = key->user;
	s->secret = (struct span){ s->room, n };
	return (RC_OK);
}

static enum rc
signature_check(struct call *c, const struct sigv4_request *rq,
    const struct sigv4_claim *claim, const char *service,
    const struct signer *s)
{
	const struct settings *st = c->settings;
	struct sigv4_expect expect = {
		.service = span_of(service),
		.region =
		    st->sigv4_region_strict ? span_of(st->region) : SPAN_NONE,
		.now_ms = clock_real_ms(),
	};
	char why[SIGV4_WHY_BYTES];
	enum sigv4_error error;
	enum rc rc;

	error = sigv4_verify(rq, claim, &expect, s->secret, why);
	if (error == SIGV4_OK)
		return (RC_OK);
	if (error == SIGV4_MISMATCH) {
		rc = identify_guessed(c, claim->access_key);
		if (rc != RC_DENIED)
			return (rc);
	}
	return (refuse_signature(c, error, why));
}

/* What goes into ARNs and answers. */
static bool
region_ok(struct span region)
{
	size_t i;

	for (i = 0; i < region.n; i++)
		if (region.p[i] != '-' &&
		    !(region.p[i] >= 'a' && region.p[i] <= 'z') &&
		    !(region.p[i] >= '0' && region.p[i] <= '9'))
			return (false);
	return (region.n >= 2 && region.n <= 25);
}

static enum rc
by_signature(struct call *c, const char *service)
{
	struct sigv4_request rq;
	struct sigv4_claim claim;
	struct signer s;
	char why[SIGV4_WHY_BYTES];
	enum sigv4_error error;
	enum rc rc;

	if ((rc = signed_request(c, &rq)) != RC_OK)
		return (rc);
	error = sigv4_read(&rq, &claim, why);
	if (error != SIGV4_OK)
		return (refuse_signature(c, error, why));
	if (!region_ok(claim.region))
		return (refuse_signature(c, SIGV4_INVALID,
		    "Credential should be scoped to a valid region."));
	rc = signer_find(c, &claim, &s);
	if (rc == RC_OK)
		rc = signature_check(c, &rq, &claim, service, &s);
	mem_wipe(&s.room, sizeof(s.room));
	mem_wipe(&s.token, sizeof(s.token));
	if (rc != RC_OK)
		return (rc);
	c->region = arena_span(c->arena, claim.region);
	auth_key_used(c->service->auth, claim.access_key, claim.service,
	    claim.region, clock_real_ms());
	return (identify_as(c, s.who));
}

/* Without authentication a signature only says which region is meant.  The
 * claim's spans may point into the claim. */
static void
region_of_claim(struct call *c)
{
	struct sigv4_request rq;
	struct sigv4_claim claim;
	char why[SIGV4_WHY_BYTES];

	if (signed_request(c, &rq) == RC_OK && sigv4_present(&rq) &&
	    sigv4_read(&rq, &claim, why) == SIGV4_OK && region_ok(claim.region))
		c->region = arena_span(c->arena, claim.region);
}

/* A signature in the query says who it is, too. */
static bool
by_certificate_only(const struct call *c)
{
	const struct http_request *rq = c->request;
	struct span value;

	return (rq->client_certificate.p != NULL &&
		http_request_header(rq, "Authorization").n == 0 &&
		!http_request_param(rq, "X-Amz-Algorithm", &value));
}

/* Good enough to send a body?  Its signature is looked at when that is here. */
enum rc
identify_claim(struct call *c)
{
	struct sigv4_request rq;
	struct sigv4_claim claim;
	char why[SIGV4_WHY_BYTES];
	enum sigv4_error error;
	struct signer s;
	enum rc rc;

	if (c->service->auth == NULL || c->x->role == ROLE_CONTROL ||
	    by_certificate_only(c))
		return (RC_OK);
	if ((rc = signed_request(c, &rq)) != RC_OK)
		return (rc);
	error = sigv4_read(&rq, &claim, why);
	if (error != SIGV4_OK)
		return (refuse_signature(c, error, why));
	rc = signer_find(c, &claim, &s);
	mem_wipe(&s, sizeof(s));
	return (rc);
}

enum rc
identify_signature(struct call *c, const char *service)
{
	(void)identify_stale(c);
	c->expires_ms = INT64_MAX;
	if (c->x->role == ROLE_CONTROL)
		return (RC_OK); /* the operator: identify_call() has said so */
	if (c->service->auth == NULL) {
		region_of_claim(c);
		return (identify_as(c, &identify_everybody));
	}
	if (by_certificate_only(c))
		return (
		    identify_certificate(c, c->request->client_certificate));
	return (by_signature(c, service));
}
