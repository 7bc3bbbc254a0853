#include <string.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/keyring.h"
#include "base/mem.h"
#include "registryd/api/ecr_int.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * STS, as far as scripts need it: who am I, and credentials that end.
 */

/* --- GetCallerIdentity --------------------------------------------------- */

/* With `auth: none` everybody is the account itself. */
enum rc
sts_get_caller_identity(struct call *c, const json_t *in, json_t *out)
{
	const struct principal *who = c->who;
	struct span account = span_of(c->settings->account_id);

	(void)in;
	if (who->kind == PRINCIPAL_EVERYBODY) {
		aws_put(out, "Arn",
		    json_sprintf(
			"arn:aws:iam::" SPAN_FMT ":root", SPAN_ARG(account)));
		aws_put_text(out, "UserId", account);
		aws_put_text(out, "Account", account);
		return (RC_OK);
	}
	aws_put_text(out, "Arn", who->arn);
	aws_put_text(out, "UserId", who->id);
	aws_put_text(out, "Account", who->account);
	return (RC_OK);
}

/* --- GetSessionToken ----------------------------------------------------- */

#define SESSION_DEFAULT_S 43200
#define SESSION_ID_PREFIX "ASIA"
#define SESSION_ID_RANDOM 16
#define SESSION_ID_BYTES (sizeof(SESSION_ID_PREFIX) + SESSION_ID_RANDOM)
#define SESSION_SECRET_RANDOM 30 /* 40 characters */
#define SESSION_SECRET_BYTES (BASE64_LEN(SESSION_SECRET_RANDOM) + 1)

struct session {
	int64_t expires_ms;
	char id[SESSION_ID_BYTES];
	char secret[SESSION_SECRET_BYTES];
	char token[TOKEN_MAX_BYTES];
};

/* An id is a name, no secret: letters and digits as AWS has them. */
static void
session_id_make(char out[SESSION_ID_BYTES])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint8_t bytes[SESSION_ID_RANDOM];
	size_t i, at = strlen(SESSION_ID_PREFIX);

	memcpy(out, SESSION_ID_PREFIX, at);
	random_bytes(bytes, sizeof(bytes));
	for (i = 0; i < sizeof(bytes); i++)
		out[at++] = letters[bytes[i] % 32];
	out[at] = '\0';
}

static void
session_secret_make(char out[SESSION_SECRET_BYTES])
{
	uint8_t bytes[SESSION_SECRET_RANDOM];

	random_bytes(bytes, sizeof(bytes));
	base64_encode(bytes, sizeof(bytes), out);
	mem_wipe(bytes, sizeof(bytes));
}

/* Signed with by nobody but its holder; with `auth: none` no signature is
 * looked at. */
static enum rc
session_token_make(struct call *c, int64_t now_ms, struct session *s)
{
	struct token t = {
		.kind = TOKEN_SESSION,
		.account = c->who->account,
		.user = c->who->name,
		.access_key = c->who->access_key,
		.issued_ms = now_ms,
		.expires_ms = s->expires_ms,
		.secret = span_of(s->secret),
		.session_key = span_of(s->id),
	};

	if (c->service->auth == NULL) {
		session_secret_make(s->token);
		return (RC_OK);
	}
	return (token_make(auth_token_key(c->service->auth), &t, s->token));
}

static void
session_put(json_t *out, const struct session *s)
{
	char at[CLOCK_ISO_BYTES];
	json_t *o = json_object();

	aws_put_text(o, "AccessKeyId", span_of(s->id));
	aws_put_text(o, "SecretAccessKey", span_of(s->secret));
	aws_put_text(o, "SessionToken", span_of(s->token));
	aws_put_text(o, "Expiration", span_of(clock_iso(s->expires_ms, at)));
	aws_put(out, "Credentials", o);
}

/* Who asks with temporary credentials could go on for ever. */
enum rc
sts_get_session_token_check(struct call *c, const json_t *in)
{
	if (c->expires_ms != INT64_MAX)
		return (call_fail(c, AWS_ACCESS_DENIED, NULL,
		    "Cannot call GetSessionToken with session credentials"));
	/* What is got with a certificate would outlive it. */
	if (c->who->kind == PRINCIPAL_USER && c->who->access_key.n == 0)
		return (call_fail(c, AWS_ACCESS_DENIED, NULL,
		    "GetSessionToken needs the signature of an access key"));
	if (aws_member(in, "SerialNumber") != NULL ||
	    aws_member(in, "TokenCode") != NULL)
		return (call_fail(c, AWS_ACCESS_DENIED, NULL,
		    "SerialNumber, TokenCode: there are no devices for "
		    "multi-factor authentication here"));
	return (RC_OK);
}

enum rc
sts_get_session_token(struct call *c, const json_t *in, json_t *out)
{
	const json_t *seconds = aws_member(in, "DurationSeconds");
	int64_t now_ms = clock_real_ms(), lifetime_s = SESSION_DEFAULT_S;
	struct session s;
	enum rc rc;

	if (seconds != NULL)
		lifetime_s = json_integer_value(seconds);
	s.expires_ms = now_ms + lifetime_s * 1000;
	session_id_make(s.id);
	session_secret_make(s.secret);
	rc = session_token_make(c, now_ms, &s);
	if (rc == RC_TOOBIG)
		rc = call_fail(c, AWS_INVALID_PARAMETER, NULL,
		    "the name of a user who gets tokens has up to %d bytes",
		    TOKEN_NAME_MAX_BYTES);
	if (rc == RC_OK)
		session_put(out, &s);
	mem_wipe(&s, sizeof(s));
	return (rc);
}
