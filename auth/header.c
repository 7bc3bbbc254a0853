#include "auth/header.h"

#include <stdbool.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"

/*
 *	credentials = auth-scheme [ 1*SP ( token68 / ... ) ]	RFC 9110 11.4
 *	token68     = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" )
 *		      *"="
 *
 * What is decoded here comes from anybody, before anything is known of him:
 * one pass, a fixed room, no allocation.
 */
static bool
is_aws4(struct span scheme)
{
	const struct span prefix = SPAN("AWS4-");

	return (scheme.n > prefix.n &&
		span_eq_nocase((struct span){ scheme.p, prefix.n }, prefix));
}

static enum auth_scheme
scheme_of(struct span scheme)
{
	if (scheme.n == 0)
		return (AUTH_SCHEME_NONE);
	if (span_eq_nocase(scheme, SPAN("Basic")))
		return (AUTH_SCHEME_BASIC);
	if (span_eq_nocase(scheme, SPAN("Bearer")))
		return (AUTH_SCHEME_BEARER);
	return (is_aws4(scheme) ? AUTH_SCHEME_AWS4 : AUTH_SCHEME_OTHER);
}

static bool
is_token68(char c)
{
	return ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || (c != '\0' && strchr("-._~+/", c)));
}

static bool
token68_ok(struct span s)
{
	size_t i;

	while (s.n > 0 && s.p[s.n - 1] == '=')
		s.n--;
	for (i = 0; i < s.n; i++)
		if (!is_token68(s.p[i]))
			return (false);
	return (s.n > 0);
}

static enum rc
bearer_read(struct span rest, struct auth_header *h)
{
	if (rest.n > AUTH_HEADER_BEARER_MAX_BYTES)
		return (RC_TOOBIG);
	if (!token68_ok(rest))
		return (RC_INVALID);
	h->token = rest;
	return (RC_OK);
}

static bool
has_control(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return (true);
	return (false);
}

/* user-pass = user-id ":" password			RFC 7617 section 2 */
static enum rc
user_pass_read(struct span all, struct auth_header *h)
{
	const char *colon;
	struct span user, password;

	colon = all.n > 0 ? memchr(all.p, ':', all.n) : NULL;
	if (colon == NULL)
		return (RC_INVALID);
	user = (struct span){ all.p, (size_t)(colon - all.p) };
	password = (struct span){ colon + 1, all.n - user.n - 1 };
	/* A NUL would end the password for crypt(3), and only for it. */
	if (has_control(user) ||
	    (password.n > 0 && memchr(password.p, '\0', password.n) != NULL))
		return (RC_INVALID);
	h->user = user;
	h->password = password;
	return (RC_OK);
}

static enum rc
basic_read(
    struct span rest, struct auth_header_room *room, struct auth_header *h)
{
	enum rc rc = RC_TOOBIG;
	size_t n;

	if (rest.n <= BASE64_LEN(sizeof(room->bytes)))
		rc = base64_decode(rest, room->bytes, &n);
	if (rc == RC_OK)
		rc = user_pass_read(
		    (struct span){ (const char *)room->bytes, n }, h);
	if (rc != RC_OK)
		mem_wipe(room, sizeof(*room));
	return (rc);
}

enum rc
auth_header_parse(
    struct span value, struct auth_header_room *room, struct auth_header *h_r)
{
	struct span scheme, rest = span_trim(value);

	*h_r = (struct auth_header){ .scheme = AUTH_SCHEME_NONE };
	if (!span_split(&rest, ' ', &scheme))
		return (RC_OK);
	h_r->scheme = scheme_of(scheme);
	rest = span_trim(rest);
	if (h_r->scheme == AUTH_SCHEME_BASIC)
		return (basic_read(rest, room, h_r));
	if (h_r->scheme == AUTH_SCHEME_BEARER)
		return (bearer_read(rest, h_r));
	return (RC_OK);
}
