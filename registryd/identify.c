#include "registryd/identify.h"

#include <inttypes.h>

#include "auth/auth.h"
#include "auth/header.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/identify_int.h"
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
const struct principal identify_everybody = {
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

enum rc
identify_as(struct call *c, const struct principal *who)
{
	c->who = who;
	c->principal = who->arn;
	return (RC_OK);
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
enum rc
identify_guessed(struct call *c, struct span name)
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

/* RC_INVALID: not one of ours; RC_DENIED: of a user or a key that is no more, or
 * revoked; RC_TIMEOUT: it has expired. */
enum rc
identify_token(struct call *c, unsigned kinds, struct span text,
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
		rc = identify_guessed(c, SPAN_NONE);
	return (rc == RC_DENIED ? refuse_wrong(c) : rc);
}

static void
token_noted(struct call *c, const struct token *t)
{
	c->expires_ms = t->expires_ms;
	c->issued_ms = t->issued_ms;
	memcpy(c->password_mark, t->password_mark, sizeof(t->password_mark));
}

static enum rc
by_login_token(struct call *c, struct span text)
{
	const struct principal *who;
	struct token_room room;
	struct token t;
	enum rc rc;

	rc = identify_token(
	    c, IDENTIFY_KIND(TOKEN_LOGIN), text, &room, &t, &who);
	if (rc == RC_OK) {
		token_noted(c, &t);
		return (identify_as(c, who));
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

	rc = identify_token(
	    c, IDENTIFY_KIND(TOKEN_BEARER), text, &room, &t, &who);
	if (rc == RC_OK) {
		c->granted =
		    t.scopes.n > 0 ? arena_span(c->arena, t.scopes) : SPAN("");
		if (c->granted.p == NULL)
			return (RC_TOOBIG);
		token_noted(c, &t);
		return (identify_as(c, t.user.n > 0 ? who : &anonymous));
	}
	if (rc == RC_INVALID &&
	    (rc = identify_guessed(c, SPAN_NONE)) != RC_DENIED)
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
password_check(struct call *c, struct span user, struct span password,
    const struct principal **principal_r, uint8_t mark_r[16])
{
	const struct auth_try t = {
		.name = user,
		.password = password,
		.address = c->request->client,
		.now_ms = clock_real_ms(),
	};
	struct auth *auth = c->service->auth;
	unsigned after_s;
	enum rc rc;

	rc = auth_password(
	    auth, c->directory, &t, principal_r, mark_r, &after_s);
	if (rc == RC_WOULDBLOCK && c->may_block)
		rc = auth_password_try(
		    auth, c->directory, &t, principal_r, mark_r, &after_s);
	if (rc == RC_LIMIT && after_s > 0)
		return (refuse_for_now(c, after_s));
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
		return (identify_as(c, who));
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
	rc = identify_token(
	    c, IDENTIFY_KIND(TOKEN_LOGIN), password, &room, &t, principal_r);
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
	c->issued_ms = l.issued_ms;
	memcpy(c->password_mark, l.password_mark, sizeof(l.password_mark));
	(void)identify_as(c, l.who);
	return (true);
}

static void
memorize(struct call *c, struct span value)
{
	struct login l = {
		.who = c->who,
		.expires_ms = c->expires_ms,
		.issued_ms = c->issued_ms,
		.scopes = c->granted,
	};

	memcpy(l.password_mark, c->password_mark, sizeof(l.password_mark));
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
	c->issued_ms = INT64_MAX;
	rc = auth_header_parse(value, &room, &h);
	if (rc != RC_OK)
		rc = refuse_header(c, "malformed, or too long");
	else if (h.scheme == AUTH_SCHEME_BASIC && h.user.n == 0 &&
		 h.password.n == 0)
		/* So say some clients that they have nothing to show. */
		rc = identify_as(c, &anonymous);
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

enum rc
identify_certificate(struct call *c, struct span name)
{
	const struct principal *who;

	who =
	    directory_user(c->directory, directory_account(c->directory), name);
	if (who != NULL)
		return (identify_as(c, who));
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
		return (identify_as(c,
		    c->x->role == ROLE_CONTROL ? &local : &identify_everybody));
	if (c->directory == NULL)
		c->directory = auth_directory(c->service->auth);
	if (c->permission != NULL && c->permission->access == ACCESS_SELF)
		return (identify_as(c, &anonymous));
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
		return (identify_certificate(c, rq->client_certificate));
	return (identify_as(c, &anonymous));
}

/* --- while a body is on its way ------------------------------------------ */

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

/* Asked of the directory of now, by what is known of the credentials: they are
 * not looked at again, and may have expired since. */
enum rc
identify_still(struct call *c)
{
	struct token t = {
		.kind = TOKEN_BEARER,
		.account = c->who->account,
		.user = c->who->name,
		.access_key = c->who->access_key,
		.issued_ms = c->issued_ms,
	};
	const struct principal *who;

	if (!identify_stale(c) || c->who->kind != PRINCIPAL_USER)
		return (RC_OK);
	memcpy(t.password_mark, c->password_mark, sizeof(t.password_mark));
	if (directory_token(c->directory, &t, &who) != RC_OK)
		return (token_refuse(c, RC_DENIED));
	return (identify_as(c, who));
}
