#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/token.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * The input as the text of a token, which nobody can make; and, sealed with
 * the right key, as what is inside of one, where anything that is read must
 * lie in the room and make the same token again.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct seal_key key = { { 1, 2, 3 } };

static void
span_check(struct span s, const struct token_room *room)
{
	const char *p = (const char *)room->bytes;

	must(s.n == 0 || (s.p >= p && s.n <= sizeof(room->bytes) &&
			     (size_t)(s.p - p) <= sizeof(room->bytes) - s.n));
}

static void
token_check(const struct token *t, const struct token_room *room)
{
	struct token_room other;
	struct token again;
	char text[TOKEN_MAX_BYTES];

	span_check(t->account, room);
	span_check(t->user, room);
	span_check(t->access_key, room);
	span_check(t->scopes, room);
	span_check(t->secret, room);
	span_check(t->session_key, room);
	must(t->kind >= TOKEN_LOGIN && t->kind <= TOKEN_SESSION);
	if (token_make(&key, t, text) != RC_OK) {
		must(t->user.n > TOKEN_NAME_MAX_BYTES ||
		     t->scopes.n > TOKEN_SCOPES_MAX_BYTES);
		return;
	}
	must(token_read(&key, 1u << t->kind, span_of(text), &other, &again) ==
	     RC_OK);
	must(again.issued_ms == t->issued_ms);
	must(again.expires_ms == t->expires_ms);
	must(span_eq(again.user, t->user));
	must(span_eq(again.session_key, t->session_key));
}

static void
inside_check(const uint8_t *data, size_t n)
{
	struct token_room room;
	struct token t;
	uint8_t *sealed;
	char *text;

	sealed = xmalloc(n + SEAL_OVERHEAD_BYTES);
	text = xmalloc(BASE64URL_LEN(n + SEAL_OVERHEAD_BYTES) + 1);
	seal(&key, SPAN("registryd token"),
	    (struct span){ (const char *)data, n }, sealed);
	base64url_encode(sealed, n + SEAL_OVERHEAD_BYTES, text);
	if (token_read(&key, ~0u, span_of(text), &room, &t) == RC_OK)
		token_check(&t, &room);
	free(text);
	free(sealed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct token_room room;
	struct token t;

	must(token_read(&key, ~0u, (struct span){ (const char *)data, n },
		 &room, &t) == RC_INVALID);
	inside_check(data, n);
	return (0);
}
