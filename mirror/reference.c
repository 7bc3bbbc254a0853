#include "mirror/reference.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/name.h"
#include "base/num.h"
#include "base/obj.h"

/*
 *	reference = [ scheme "://" ] [ host [ ":" port ] "/" ] name
 *		    [ ":" tag ] [ "@" digest ]
 *	host      = label *( "." label ) / "[" IPv6 "]"
 *
 * Without a host it names something of this registry, or of whatever it is
 * used with; behind "docker://", of Docker Hub, as elsewhere.
 */
#define HUB_HOST "registry-1.docker.io"
#define HOST_MAX_BYTES 253
#define LABEL_MAX_BYTES 63
#define SHOWN_MAX_BYTES 200

enum scheme { SCHEME_NONE, SCHEME_HTTP, SCHEME_HTTPS, SCHEME_DOCKER };

struct authority {
	struct span host; /* an IPv6 address with its brackets */
	struct span port; /* empty: none */
};

static const struct {
	enum scheme scheme;
	struct span text;
} schemes[] = {
	{ SCHEME_HTTP, SPAN_INIT("http://") },
	{ SCHEME_HTTPS, SPAN_INIT("https://") },
	{ SCHEME_DOCKER, SPAN_INIT("docker://") },
};

static struct span
shown(struct span s)
{
	if (s.n > SHOWN_MAX_BYTES)
		s.n = SHOWN_MAX_BYTES;
	return (s);
}

static enum rc
refuse(char why[REFERENCE_WHY_BYTES], struct span s, const char *what)
{
	(void)snprintf(why, REFERENCE_WHY_BYTES, "\"" SPAN_FMT "\" %s",
	    SPAN_ARG(shown(s)), what);
	return (RC_INVALID);
}

static enum rc
refuse_memory(char why[REFERENCE_WHY_BYTES])
{
	(void)snprintf(why, REFERENCE_WHY_BYTES, "it is too long");
	return (RC_INVALID);
}

static struct span
rest_of(struct span s, size_t from)
{
	return ((struct span){ s.p + from, s.n - from });
}

static enum scheme
scheme_take(struct span *s)
{
	struct span front;
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++) {
		front = (struct span){ s->p, schemes[i].text.n };
		if (s->n >= front.n && span_eq_nocase(front, schemes[i].text)) {
			*s = rest_of(*s, front.n);
			return (schemes[i].scheme);
		}
	}
	return (SCHEME_NONE);
}

/* --- host and port ------------------------------------------------------- */

static bool
is_alnum(char c)
{
	return ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z'));
}

/* Underscores are no part of host names, but of some that are in use. */
static bool
label_ok(struct span s)
{
	size_t i;

	if (s.n == 0 || s.n > LABEL_MAX_BYTES || !is_alnum(s.p[0]) ||
	    !is_alnum(s.p[s.n - 1]))
		return (false);
	for (i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return (false);
	return (true);
}

static bool
ipv6_ok(struct span s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (s.n < 2 || s.n - 2 >= sizeof(text) || s.p[s.n - 1] != ']' ||
	    memchr(s.p, '\0', s.n) != NULL)
		return (false);
	memcpy(text, s.p + 1, s.n - 2);
	text[s.n - 2] = '\0';
	return (inet_pton(AF_INET6, text, &addr) == 1);
}

static bool
host_ok(struct span s)
{
	struct span label;

	if (s.n > 0 && s.p[0] == '[')
		return (ipv6_ok(s));
	if (s.n == 0 || s.n > HOST_MAX_BYTES || s.p[s.n - 1] == '.')
		return (false);
	while (span_split(&s, '.', &label))
		if (!label_ok(label))
			return (false);
	return (true);
}

static bool
port_ok(struct span s)
{
	uint64_t n;

	return (num_u64(s, UINT16_MAX, &n) == RC_OK && n > 0);
}

/* The last colon that is not inside of brackets. */
static const char *
port_colon(struct span s)
{
	const char *colon = s.n > 0 ? memrchr(s.p, ':', s.n) : NULL;
	const char *bracket = s.n > 0 ? memrchr(s.p, ']', s.n) : NULL;

	return (
	    colon != NULL && bracket != NULL && colon < bracket ? NULL : colon);
}

static bool
authority_parse(struct span s, struct authority *a_r)
{
	const char *colon = port_colon(s);

	*a_r = (struct authority){ .host = s };
	if (colon != NULL) {
		a_r->host.n = (size_t)(colon - s.p);
		a_r->port = rest_of(s, a_r->host.n + 1);
		if (!port_ok(a_r->port))
			return (false);
	}
	return (host_ok(a_r->host));
}

static bool
is_hub(struct span host)
{
	return (span_eq_nocase(host, SPAN("docker.io")) ||
		span_eq_nocase(host, SPAN("index.docker.io")) ||
		span_eq_nocase(host, SPAN(HUB_HOST)));
}

static bool
is_ipv4(struct span s)
{
	struct span part;
	size_t n = 0;
	uint64_t v;

	for (; span_split(&s, '.', &part); n++)
		if (num_u64(part, 255, &v) != RC_OK)
			return (false);
	return (n == 4);
}

static bool
is_loopback(struct span host)
{
	const struct span localhost = SPAN("localhost");
	const struct span below = SPAN(".localhost");

	if (span_eq_nocase(host, localhost) || span_is(host, "[::1]"))
		return (true);
	if (host.n > below.n &&
	    span_eq_nocase(rest_of(host, host.n - below.n), below))
		return (true);
	return (span_has_prefix(host, SPAN("127.")) && is_ipv4(host));
}

static void
lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

/* The URL; NULL: no memory. */
static char *
authority_url(
    const struct authority *a, enum scheme scheme, struct arena *arena)
{
	struct span host = is_hub(a->host) ? SPAN(HUB_HOST) : a->host;
	bool tls = scheme == SCHEME_HTTPS ||
		   (scheme != SCHEME_HTTP && !is_loopback(a->host));
	bool port = a->port.n > 0 && !span_is(a->port, tls ? "443" : "80");
	char *url;

	url = arena_printf(arena, "%s://" SPAN_FMT "%s" SPAN_FMT,
	    tls ? "https" : "http", SPAN_ARG(host), port ? ":" : "",
	    port ? (int)a->port.n : 0, a->port.p != NULL ? a->port.p : "");
	if (url != NULL)
		lower(url);
	return (url);
}

enum rc
registry_url_parse(struct span text, struct arena *arena, const char **url_r,
    char why[REFERENCE_WHY_BYTES])
{
	struct span rest = text;
	enum scheme scheme = scheme_take(&rest);
	struct authority a;

	if (scheme == SCHEME_DOCKER)
		return (refuse(why, text, "is no address of a registry"));
	if (scheme != SCHEME_NONE && rest.n > 0 && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (!authority_parse(rest, &a))
		return (refuse(why, text,
		    "is no address of a registry: it has to be HOST, "
		    "HOST:PORT, or one of them behind http:// or https://"));
	*url_r = authority_url(&a, scheme, arena);
	return (*url_r != NULL ? RC_OK : refuse_memory(why));
}

bool
registry_url_is_hub(const char *url)
{
	struct span rest = span_of(url);

	(void)scheme_take(&rest);
	return (span_is(rest, HUB_HOST));
}

struct span
registry_name(const char *url, struct span name, struct arena *arena)
{
	char *whole;

	if (!registry_url_is_hub(url) || name.n == 0 ||
	    memchr(name.p, '/', name.n) != NULL)
		return (arena_span(arena, name));
	whole = arena_printf(arena, "library/" SPAN_FMT, SPAN_ARG(name));
	return (span_of(whole));
}

/* --- images -------------------------------------------------------------- */

/* Is what stands before the first slash a host? */
static bool
names_host(enum scheme scheme, struct span first)
{
	if (scheme == SCHEME_HTTP || scheme == SCHEME_HTTPS)
		return (true);
	return (memchr(first.p, '.', first.n) != NULL ||
		memchr(first.p, ':', first.n) != NULL ||
		span_eq_nocase(first, SPAN("localhost")));
}

static enum rc
host_take(enum scheme scheme, struct span *rest, struct arena *arena,
    struct image_reference *r, char why[REFERENCE_WHY_BYTES])
{
	struct span first = *rest;
	struct authority a;
	const char *slash;

	slash = rest->n > 0 ? memchr(rest->p, '/', rest->n) : NULL;
	if (slash != NULL)
		first.n = (size_t)(slash - rest->p);
	if (slash != NULL && first.n > 0 && names_host(scheme, first)) {
		if (!authority_parse(first, &a))
			return (refuse(why, first, "is no HOST[:PORT]"));
		*rest = rest_of(*rest, first.n + 1);
	} else if (scheme == SCHEME_DOCKER) {
		first = SPAN("docker.io");
		a = (struct authority){ .host = first };
	} else if (scheme != SCHEME_NONE) {
		return (refuse(why, *rest, "names no repository"));
	} else {
		return (RC_OK);
	}
	r->url = authority_url(&a, scheme, arena);
	r->registry = arena_dup(arena, first.p, first.n);
	if (r->url == NULL || r->registry == NULL)
		return (refuse_memory(why));
	return (RC_OK);
}

/* What stands behind ${c}, cut off; empty: there is none. */
static bool
tail_take(struct span *s, const char *at, struct span *tail_r)
{
	*tail_r = SPAN_NONE;
	if (at == NULL)
		return (true);
	*tail_r = rest_of(*s, (size_t)(at - s->p) + 1);
	s->n = (size_t)(at - s->p);
	return (tail_r->n > 0);
}

static enum rc
tails_take(struct span *rest, struct span *tag_r, struct span *digest_r,
    char why[REFERENCE_WHY_BYTES])
{
	struct digest d;
	const char *at, *slash, *colon;

	at = rest->n > 0 ? memchr(rest->p, '@', rest->n) : NULL;
	if (!tail_take(rest, at, digest_r) ||
	    (digest_r->n > 0 && digest_parse(*digest_r, &d) != RC_OK))
		return (refuse(why, *digest_r, "is no digest"));
	slash = rest->n > 0 ? memrchr(rest->p, '/', rest->n) : NULL;
	colon = rest->n > 0 ? memrchr(rest->p, ':', rest->n) : NULL;
	if (colon != NULL && slash != NULL && colon < slash)
		colon = NULL;
	if (!tail_take(rest, colon, tag_r) ||
	    (tag_r->n > 0 && !name_tag_ok(*tag_r)))
		return (refuse(why, *tag_r, "is no tag"));
	return (RC_OK);
}

static enum rc
name_set(struct span name, struct arena *arena, struct image_reference *r,
    char why[REFERENCE_WHY_BYTES])
{
	if (!name_repository_ok(name))
		return (refuse(why, name,
		    "is no name of a repository (lower-case "
		    "letters, digits, and between them . _ "
		    "__ - /)"));
	r->name = r->url != NULL ? registry_name(r->url, name, arena)
				 : arena_span(arena, name);
	if (r->name.p == NULL)
		return (refuse_memory(why));
	return (RC_OK);
}

enum rc
image_reference_parse(struct span text, struct arena *arena,
    struct image_reference *r_r, char why[REFERENCE_WHY_BYTES])
{
	struct span rest = text, tag, digest;
	enum scheme scheme;
	enum rc rc;

	*r_r = (struct image_reference){ .url = NULL };
	scheme = scheme_take(&rest);
	if ((rc = host_take(scheme, &rest, arena, r_r, why)) != RC_OK)
		return (rc);
	if ((rc = tails_take(&rest, &tag, &digest, why)) != RC_OK)
		return (rc);
	if ((rc = name_set(rest, arena, r_r, why)) != RC_OK)
		return (rc);
	if (tag.n > 0)
		r_r->tag = arena_span(arena, tag);
	if (digest.n > 0)
		r_r->digest = arena_span(arena, digest);
	if ((tag.n > 0 && r_r->tag.p == NULL) ||
	    (digest.n > 0 && r_r->digest.p == NULL))
		return (refuse_memory(why));
	return (RC_OK);
}
