#include <stdlib.h>
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
 * GetAuthorizationToken: what docker login gets as the password of "AWS".
 * Clients split it at the first ':' or at every ':', so there is none in it.
 */
#define TOKEN_USER "AWS:"
#define TOKEN_RANDOM_BYTES 48

/* A token is not good for longer than what it was got with. */
static int64_t
expiry(const struct call *c, int64_t now_ms)
{
	int64_t at_ms = now_ms + c->settings->token_lifetime_ms;

	return (c->expires_ms < at_ms ? c->expires_ms : at_ms);
}

/* With `auth: none` any password is good. */
static void
token_random(char out[TOKEN_MAX_BYTES])
{
	uint8_t bytes[TOKEN_RANDOM_BYTES];

	random_bytes(bytes, sizeof(bytes));
	base64url_encode(bytes, sizeof(bytes), out);
}

static enum rc
token_write(struct call *c, int64_t now_ms, int64_t expires_ms,
    char out[TOKEN_MAX_BYTES])
{
	struct token t = {
		.kind = TOKEN_LOGIN,
		.account = c->who->account,
		.user = c->who->name,
		.access_key = c->who->access_key,
		.issued_ms = now_ms,
		.expires_ms = expires_ms,
	};
	enum rc rc;

	if (c->service->auth == NULL) {
		token_random(out);
		return (RC_OK);
	}
	rc = token_make(auth_token_key(c->service->auth), &t, out);
	if (rc == RC_TOOBIG)
		return (aws_invalid(c, "Credential",
		    "the name of a user who gets tokens has up to %d bytes",
		    TOKEN_NAME_MAX_BYTES));
	return (rc);
}

/* base64("AWS:" TOKEN) */
static json_t *
password_json(const char *token)
{
	size_t n = strlen(TOKEN_USER) + strlen(token);
	char *plain, *text;
	json_t *value;

	plain = xasprintf("%s%s", TOKEN_USER, token);
	text = xmalloc(BASE64_LEN(n) + 1);
	base64_encode((const uint8_t *)plain, n, text);
	value = json_string(text);
	mem_wipe(plain, n);
	mem_wipe(text, BASE64_LEN(n));
	free(plain);
	free(text);
	return (value);
}

static void
entry_put(struct call *c, json_t *list, const char *token, int64_t expires_ms)
{
	json_t *o = json_object();

	aws_put(o, "authorizationToken", password_json(token));
	aws_put_time(o, "expiresAt", expires_ms);
	aws_put_text(o, "proxyEndpoint", span_of(ecr_endpoint(c)));
	aws_append(list, o);
}

/*
 * registryIds is of the time when a token was for a registry: one entry for
 * each, all of this one.
 */
enum rc
ecr_get_authorization_token(struct call *c, const json_t *in, json_t *out)
{
	size_t i, n = json_array_size(aws_member(in, "registryIds"));
	int64_t now_ms = clock_real_ms(), expires_ms = expiry(c, now_ms);
	char token[TOKEN_MAX_BYTES];
	json_t *list;
	enum rc rc;

	rc = token_write(c, now_ms, expires_ms, token);
	if (rc != RC_OK)
		return (rc);
	list = json_array();
	for (i = 0; i < (n > 0 ? n : 1); i++)
		entry_put(c, list, token, expires_ms);
	mem_wipe(token, sizeof(token));
	aws_put(out, "authorizationData", list);
	return (RC_OK);
}
