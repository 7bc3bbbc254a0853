#include "registryd/identify.h"

#include <inttypes.h>

#include "auth/auth.h"
#include "auth/header.h"
#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "registryd/logins.h"
#include "registryd/permissions.h"
#include "registryd/route.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * Good credentials cost no more than opening them: whether somebody guesses is
 * asked only when they turn out wrong, or before a password is hashed.  What
 * is missing is not wrong: clients ask without credentials first, some of them
 * several times at once.
 */
static const struct principal everybody = {
	.kind = PRINCIPAL_EVERYBODY,
	.name = SPAN_INIT("anonymous"),
	.arn = SPAN_INIT("anonymous"),
};

static const struct principal local = {
	.kind = PRINCIPAL_EVERYBODY,
	.name = SPAN_INIT("local"),
	.arn = SPAN_INIT("local"),
};

static const struct principal anonymous = {
	.kind = PRINCIPAL_ANONYMOUS,
	.name = SPAN_INIT("anonymous"),
	.arn = SPAN_INIT("anonymous"),
};

static enum rc
known_as(struct call *c, const struct principal *who)
{
	c->who = who;
	c->principal = who->arn;
	return (RC_OK);
}

/* --- the challenge ------------------------------------------------------- */

const char *
identify_base_url(struct call *c)
{
	struct span url = span_of(c->settings->external_url);
	const struct http_request *rq = c->request;
	const char *text;

	while (url.n > 0 && url.p[url.n - 1] == '/')
		url.n--;
	if (url.n > 0)
		text = arena_printf(c->arena, SPAN_FMT, SPAN_ARG(url));
	else
		text = arena_printf(c->arena, "%s://" SPAN_FMT,
		    rq->tls ? "https" : "http", SPAN_ARG(rq->host));
	return (text != NULL ? text : "");
}

static const char *
challenge_verbs(const struct call *c)
{
	switch (c->request->method) {
	case HTTP_GET:
	case HTTP_HEAD:
		return ("pull");
	case HTTP_DELETE:
		return ("delete");
	case HTTP_POST:
	case HTTP_PUT:
	case HTTP_PATCH:
	case HTTP_OPTIONS:
	case HTTP_METHOD_OTHER:
		break;
	}
	return ("pull,push");
}

static void
challenge_bearer(struct call *c, const char *error)
{
	const char *url = identify_base_url(c);
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_printf(&b, "Bearer realm=\"%s/token\",service=\"" SPAN_FMT "\"",
	    url, SPAN_ARG(c->request->host));
	if (c->repository.n > 0 && name_repository_ok(c->repository))
		buf_printf(&b, ",scope=\"repository:" SPAN_FMT ":%s\"",
		    SPAN_ARG(c->repository), challenge_verbs(c));
	else if (c->permission != NULL &&
		 c->permission->access == ACCESS_LISTED)
		buf_str(&b, ",scope=\"registry:catalog:*\"");
	if (error != NULL)
		buf_printf(&b, ",error=\"%s\"", error);
	call_header(c, "WWW-Authenticate", SPAN_FMT, SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
}

/* Who came with a bearer token is answered in that language whatever is
 * configured. */
void
identify_challenge(struct call *c, const char *error)
{
	if (c->settings->token_challenge == CHALLENGE_BEARER || error != NULL)
		challenge_bearer(c, error);
	else
		call_header(c, "WWW-Authenticate",
		    "Basic realm=\"%s/\",service=\"ecr.amazonaws.com\"",
		    identify_base_url(c));
	http_response_header(
	    c->answer, "Docker-Distribution-Api-Version", SPAN("registry/2.0"));
}

/* --- refusals ------------------------------------------------------------ */

static enum rc
refuse_wrong(struct call *c)
{
	identify_challenge(c, NULL);
	return (call_fail(c, OCI_UNAUTHORIZED, NULL,
	    "authentication failed: the user name, password or token is wrong, "
	    "or no longer valid"));
}

static enum rc
refuse_header(struct call *c, const char *why)
{
	identify_challenge(c, NULL);
	return (call_fail(c, OCI_UNAUTHORIZED, NULL,
	    "authentication failed: the Authorization header is %s", why));
}

static enum rc
refuse_expired(struct call *c)
{
	return (call_fail(c, OCI_DENIED, NULL,
	    "Your authorization token has expired. Reauthenticate and try "
	    "again."));
}

static enum rc
refuse_for_now(struct call *c, unsigned after_s)
{
	call_header(c, "Retry-After", "%u", after_s);
	return (call_fail(c,
	    c->shape == SHAPE_OCI ? OCI_TOOMANYREQUESTS : AWS_THROTTLING, NULL,
	    "Rate exceeded: too many wrong credentials; try again in %u s",
	    after_s));
}

/* A guess, and it was wrong. */
static enum rc
guessed(struct call *c, struct span name)
{
	int64_t now_ms = clock_real_ms();
	unsigned after_s;

	if (auth_attempt(c->service->auth, name, c->request->client, now_ms,
		&after_s) != RC_OK)
		return (refuse_for_now(c, after_s));
	auth_attempted(
	    c->service->auth, name, c->request->client, false, now_ms);
	return (RC_DENIED);
}

/* --- tokens -------------------------------------------------------------- */

#define TOKEN_BIT(kind) (1u << (kind))

/* RC_INVALID: not one of ours; RC_DENIED: of a user or a key that is no more, or
 * revoked; RC_TIMEOUT: it has expired. */
static enum rc
token_open(struct call *c, unsigned kinds, struct span text,
    struct token_room *room, struct token *t_r,
    const struct principal **principal_r)
{
	if (token_read(auth_token_key(c->service->auth), kinds, text, room,
		t_r) != RC_OK)
		return (RC_INVALID);
	if (directory_token(c->directory, t_r, principal_r) != RC_OK)
		return (RC_DENIED);
	return (token_expired(t_r, clock_real_ms()) ? RC_TIMEOUT : RC_OK);
}

/* What has no longer any worth was not guessed. */
static enum rc
token_refuse(struct call *c, enum rc rc)
{
	if (rc == RC_TIMEOUT)
		return (refuse_expired(c));
	if (rc == RC_DENIED)
		return (call_fail(c, OCI_DENIED, NULL,
		    "Your authorization token has been revoked: its user, "
		    "access key or password is no longer what it was. "
		    "Reauthenticate and try again."));
	if (rc == RC_INVALID)
		rc = guessed(c, SPAN_NONE);
	return (rc == RC_DENIED ? refuse_wrong(c) : rc);
}

static enum rc
by_login_token(struct call *c, struct span text)
{
	const struct principal *who;
	struct token_room room;
	struct token t;
	enum rc rc;

	rc = token_open(c, TOKEN_BIT(TOKEN_LOGIN), text, &room, &t, &who);
	if (rc == RC_OK) {
		c->expires_ms = t.expires_ms;
		return (known_as(c, who));
	}
	return (token_refuse(c, rc));
}

static enum rc
by_bearer(struct call *c, struct span text)
{
	const struct principal *who;
	struct token_room room;
	struct token t;
	enum rc rc;

	rc = token_open(c, TOKEN_BIT(TOKEN_BEARER), text, &room, &t, &who);
	if (rc == RC_OK) {
		c->granted =
		    t.scopes.n > 0 ? arena_span(c->arena, t.scopes) : SPAN("");
		if (c->granted.p == NULL)
			return (RC_TOOBIG);
		c->expires_ms = t.expires_ms;
		return (known_as(c, t.user.n > 0 ? who : &anonymous));
	}
	if (rc == RC_INVALID && (rc = guessed(c, SPAN_NONE)) != RC_DENIED)
		return (rc);
	if (rc != RC_DENIED && rc != RC_TIMEOUT)
		return (rc);
	identify_challenge(c, "invalid_token");
	return (call_fail(c, OCI_UNAUTHORIZED, NULL,
	    rc == RC_TIMEOUT ? "the bearer token has expired"
			     : "the bearer token is not valid"));
}

/* --- passwords ----------------------------------------------------------- */

static enum rc
password_hash(struct call *c, struct span user, struct span password,
    const struct principal **principal_r, uint8_t mark_r[16])
{
	struct span client = c->request->client;
	struct auth *auth = c->service->auth;
	int64_t now_ms = clock_real_ms();
	unsigned after_s;
	enum rc rc;

	if (auth_attempt(auth, user, client, now_ms, &after_s) != RC_OK)
		return (refuse_for_now(c, after_s));
	rc = auth_password(
	    auth, c->directory, user, password, true, principal_r, mark_r);
	if (rc == RC_OK || rc == RC_DENIED)
		auth_attempted(auth, user, client, rc == RC_OK, now_ms);
	else
		auth_attempt_cancel(auth, user, client, now_ms);
	return (rc);
}

static enum rc
password_check(struct call *c, struct span user, struct span password,
    const struct principal **principal_r, uint8_t mark_r[16])
{
	enum rc rc;

	rc = auth_password(c->service->auth, c->directory, user, password,
	    false, principal_r, mark_r);
	if (rc == RC_WOULDBLOCK && c->may_block)
		rc = password_hash(c, user, password, principal_r, mark_r);
	return (rc);
}

static enum rc
by_password(struct call *c, struct span user, struct span password)
{
	const struct principal *who;
	uint8_t mark[16];
	enum rc rc;

	if (span_is(user, "AWS"))
		return (by_login_token(c, password));
	rc = password_check(c, user, password, &who, mark);
	if (rc == RC_OK) {
		memcpy(c->password_mark, mark, sizeof(mark));
		return (known_as(c, who));
	}
	return (rc == RC_DENIED ? refuse_wrong(c) : rc);
}

enum rc
identify_password(struct call *c, struct span user, struct span password,
    const struct principal **principal_r, uint8_t mark_r[16],
    int64_t *expires_ms_r)
{
	struct token_room room;
	struct token t;
	enum rc rc;

	*expires_ms_r = INT64_MAX;
	memset(mark_r, 0, 16);
	if (!span_is(user, "AWS"))
		return (password_check(c, user, password, principal_r, mark_r));
	rc = token_open(
	    c, TOKEN_BIT(TOKEN_LOGIN), password, &room, &t, principal_r);
	if (rc != RC_OK)
		return (token_refuse(c, rc));
	*expires_ms_r = t.expires_ms;
	return (rc);
}

/* --- the ways in --------------------------------------------------------- */

/* A login or bearer token that this thread has opened before. */
static bool
by_memory(struct call *c, struct span value)
{
	struct login l;

	if (!login_recall(
		directory_generation(c->directory), value, clock_real_ms(), &l))
		return (false);
	if (l.scopes.p != NULL) {
		c->granted = arena_span(c->arena, l.scopes);
		if (c->granted.p == NULL)
			return (false);
	}
	c->expires_ms = l.expires_ms;
	(void)known_as(c, l.who);
	return (true);
}

static void
memorize(struct call *c, struct span value)
{
	struct login l = {
		.who = c->who,
		.expires_ms = c->expires_ms,
		.scopes = c->granted,
	};

	login_remember(directory_generation(c->directory), value, &l);
}

static enum rc
by_header(struct call *c, struct span value)
{
	struct auth_header_room room;
	struct auth_header h;
	enum rc rc;

	if (by_memory(c, value))
		return (RC_OK);
	c->expires_ms = 0;
	rc = auth_header_parse(value, &room, &h);
	if (rc != RC_OK)
		rc = refuse_header(c, "malformed, or too long");
	else if (h.scheme == AUTH_SCHEME_BASIC && h.user.n == 0 &&
		 h.password.n == 0)
		/* So say some clients that they have nothing to show. */
		rc = known_as(c, &anonymous);
	else if (h.scheme == AUTH_SCHEME_BASIC)
		rc = by_password(c, h.user, h.password);
	else if (h.scheme == AUTH_SCHEME_BEARER)
		rc = by_bearer(c, h.token);
	else
		rc = refuse_header(c, "neither Basic nor Bearer");
	mem_wipe(&room, sizeof(room));
	/* Only tokens say when they expire. */
	if (rc == RC_OK && c->expires_ms > 0)
		memorize(c, value);
	return (rc);
}

static enum rc
by_certificate(struct call *c, struct span name)
{
	const struct principal *who;

	who =
	    directory_user(c->directory, directory_account(c->directory), name);
	if (who != NULL)
		return (known_as(c, who));
	return (call_fail(c, OCI_DENIED, NULL,
	    "the client certificate is of \"%.*s\", and there is no user of "
	    "that name",
	    CALL_SHOW(name)));
}

static bool
asked_nothing(const struct call *c)
{
	return (
	    c->service->auth == NULL || c->x->role != ROLE_PUBLIC ||
	    (c->permission != NULL && c->permission->access == ACCESS_OPEN));
}

enum rc
identify_call(struct call *c)
{
	if (asked_nothing(c))
		return (known_as(
		    c, c->x->role == ROLE_CONTROL ? &local : &everybody));
	if (c->directory == NULL)
		c->directory = auth_directory(c->service->auth);
	if (c->permission != NULL && c->permission->access == ACCESS_SELF)
		return (known_as(c, &anonymous));
	return (identify_sender(c));
}

enum rc
identify_sender(struct call *c)
{
	const struct http_request *rq = c->request;
	struct span value;
	size_t i = 0;

	value = http_request_next_header(rq, "Authorization", &i);
	if (value.p != NULL &&
	    http_request_next_header(rq, "Authorization", &i).p != NULL)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "more than one Authorization header"));
	if (value.n > 0)
		return (by_header(c, value));
	if (rq->client_certificate.p != NULL)
		return (by_certificate(c, rq->client_certificate));
	return (known_as(c, &anonymous));
}

/* --- signatures ---------------------------------------------------------- */

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
	sigv4_body_hash(c->body, rq_r->body_hash);
	return (RC_OK);
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
	enum rc rc = guessed(c, id);

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

	rc = token_open(c, TOKEN_BIT(TOKEN_SESSION), claim->session_token,
	    &s->token, &t, &s->who);
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
		rc = guessed(c, claim->access_key);
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
	return (known_as(c, s.who));
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

/* A directory that was replaced lives on to the end of the call: logs and
 * principals point into it. */
static void
directory_release(void *directory)
{
	struct directory *d = directory;

	directory_unref(&d);
}

bool
identify_stale(struct call *c)
{
	struct directory *now;

	if (c->directory == NULL)
		return (false);
	now = auth_directory(c->service->auth);
	if (directory_generation(now) == directory_generation(c->directory)) {
		directory_unref(&now);
		return (false);
	}
	arena_defer(c->arena, directory_release, c->directory);
	c->directory = now;
	return (true);
}

static bool
by_certificate_only(const struct call *c)
{
	return (c->request->client_certificate.p != NULL &&
		http_request_header(c->request, "Authorization").n == 0);
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

	if (c->service->auth == NULL || by_certificate_only(c))
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
	if (c->service->auth == NULL) {
		region_of_claim(c);
		return (known_as(c, &everybody));
	}
	if (by_certificate_only(c))
		return (by_certificate(c, c->request->client_certificate));
	return (by_signature(c, service));
}
