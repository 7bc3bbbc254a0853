#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/header.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * The input as the value of an Authorization header; and in base64 behind
 * "Basic", where user and password must make up the input again.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
value_check(struct span value)
{
	struct auth_header_room *room = xmalloc(sizeof(*room));
	struct auth_header h;
	enum rc rc;

	rc = auth_header_parse(value, room, &h);
	must(rc == RC_OK || rc == RC_INVALID || rc == RC_TOOBIG);
	must(rc == RC_OK || h.scheme == AUTH_SCHEME_BASIC ||
	     h.scheme == AUTH_SCHEME_BEARER);
	must(h.scheme == AUTH_SCHEME_BASIC ||
	     (h.user.n == 0 && h.password.n == 0));
	must(
	    (h.token.n > 0) == (rc == RC_OK && h.scheme == AUTH_SCHEME_BEARER));
	must(h.token.n == 0 || (h.token.p >= value.p &&
				   h.token.p + h.token.n <= value.p + value.n));
	free(room);
}

static void
basic_check(const uint8_t *data, size_t n)
{
	struct auth_header_room *room = xmalloc(sizeof(*room));
	struct auth_header h;
	char *value;

	value = xmalloc(6 + BASE64_LEN(n) + 1);
	memcpy(value, "basic ", 6);
	base64_encode(data, n, value + 6);
	if (auth_header_parse(span_of(value), room, &h) == RC_OK) {
		must(h.user.n + 1 + h.password.n == n);
		must(memcmp(h.user.p, data, h.user.n) == 0);
		must(data[h.user.n] == ':');
		must(memcmp(h.password.p, data + h.user.n + 1, h.password.n) ==
		     0);
		must(memchr(data, '\0', n) == NULL);
		must(h.user.n == 0 || memchr(h.user.p, ':', h.user.n) == NULL);
	} else {
		must(n > AUTH_HEADER_BASIC_MAX_BYTES || n == 0 ||
		     memchr(data, ':', n) == NULL ||
		     memchr(data, '\0', n) != NULL || h.user.n == 0);
	}
	free(value);
	free(room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	value_check((struct span){ (const char *)data, n });
	basic_check(data, n);
	return (0);
}
