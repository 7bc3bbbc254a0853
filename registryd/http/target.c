#include "registryd/http/target.h"

#include <string.h>

#include "registryd/http/framing.h"
#include "registryd/http/token.h"

static int
refuse(const char *why, const char **why_r)
{
	*why_r = why;
	return (400);
}

static struct span
behind(struct span s, size_t n)
{
	return ((struct span){ s.p + n, s.n - n });
}

/* Up to ${c}, or all of it. */
static struct span
until(struct span s, char c)
{
	const char *end = memchr(s.p, c, s.n);

	return ((struct span){ s.p, end != NULL ? (size_t)(end - s.p) : s.n });
}

/* "http://" or "https://", or 0. */
static size_t
scheme_length(struct span s)
{
	static const struct span schemes[] = { { "http://", 7 },
		{ "https://", 8 } };
	size_t i, n;

	for (i = 0; i < 2; i++) {
		n = schemes[i].n;
		if (s.n >= n &&
		    span_eq_nocase((struct span){ s.p, n }, schemes[i]))
			return (n);
	}
	return (0);
}

/*
 * absolute-form = scheme "://" authority path-abempty [ "?" query ]
 * *${rest_r} gets what stands behind the authority.
 */
static int
absolute_form(struct http_request *rq, struct span *rest_r, const char **why_r)
{
	struct span authority, s;
	size_t n = scheme_length(rq->target);

	if (n == 0)
		return (refuse(
		    "the request target is neither a path nor a URL", why_r));
	s = behind(rq->target, n);
	authority = until(until(s, '/'), '?');
	if (!framing_host_ok(authority))
		return (refuse(
		    "the authority of the request target is malformed", why_r));
	if (rq->host.n == 0)
		rq->host = authority; /* HTTP/1.0 */
	if (!span_eq_nocase(authority, rq->host))
		return (refuse("the request target names another host than "
			       "Host does",
		    why_r));
	*rest_r = behind(s, authority.n);
	return (0);
}

/* The byte that "%XX" at ${p} stands for, or -1. */
static int
escape_value(const char *p, size_t n)
{
	int high, low;

	if (n < 3 || (high = token_hex(p[1])) < 0 ||
	    (low = token_hex(p[2])) < 0)
		return (-1);
	return (high << 4 | low);
}

static bool
is_control(int c)
{
	return (c < 0x20 || c == 0x7f);
}

/*
 * Decode ${s}; without an escape in it nothing is copied.  The arena is large
 * enough for anything a head can hold.
 */
static int
decode(
    struct span s, struct arena *arena, struct span *out_r, const char **why_r)
{
	size_t i, n = 0;
	char *out;
	int c;

	*out_r = s;
	if (s.n == 0 || memchr(s.p, '%', s.n) == NULL)
		return (0);
	out = arena_alloc(arena, s.n);
	if (out == NULL)
		return (refuse("the request target is too long", why_r));
	for (i = 0; i < s.n; i++) {
		c = (unsigned char)s.p[i];
		if (c == '%') {
			c = escape_value(s.p + i, s.n - i);
			if (c < 0)
				return (refuse("the request target has a "
					       "malformed % escape",
				    why_r));
			i += 2;
		}
		if (is_control(c))
			return (refuse("the request target has an encoded "
				       "control character",
			    why_r));
		out[n++] = (char)c;
	}
	*out_r = (struct span){ out, n };
	return (0);
}

static int
check_segments(struct span path, const char **why_r)
{
	struct span rest = behind(path, 1), part;

	while (span_split(&rest, '/', &part)) {
		if (part.n == 0)
			return (refuse("the path has an empty segment", why_r));
		if (span_is(part, ".") || span_is(part, ".."))
			return (refuse(
			    "the path has a \".\" or \"..\" segment", why_r));
	}
	return (0);
}

static int
parse_path(struct http_request *rq, struct span raw, struct arena *arena,
    const char **why_r)
{
	size_t i;
	int status;

	if (memchr(raw.p, '\\', raw.n) != NULL)
		return (refuse("the path has a backslash", why_r));
	for (i = 0; i < raw.n; i++) {
		if (raw.p[i] != '%')
			continue;
		switch (escape_value(raw.p + i, raw.n - i)) {
		case '/':
			return (refuse("the path has an encoded slash", why_r));
		case '\\':
			return (
			    refuse("the path has an encoded backslash", why_r));
		default:
			break;
		}
	}
	if ((status = decode(raw, arena, &rq->path, why_r)) != 0)
		return (status);
	return (check_segments(rq->path, why_r));
}

static int
parse_param(struct http_request *rq, struct span pair, struct arena *arena,
    const char **why_r)
{
	struct http_param *out = &rq->params[rq->n_params];
	struct span key = until(pair, '='), value = SPAN("");
	int status;

	if (key.n < pair.n)
		value = behind(pair, key.n + 1);
	if ((status = decode(key, arena, &out->key, why_r)) != 0)
		return (status);
	if ((status = decode(value, arena, &out->value, why_r)) != 0)
		return (status);
	rq->n_params++;
	return (0);
}

static size_t
count_pairs(struct span query)
{
	size_t i, n = 1;

	for (i = 0; i < query.n; i++)
		n += query.p[i] == '&';
	return (n);
}

static int
parse_query(struct http_request *rq, struct span query, struct arena *arena,
    const char **why_r)
{
	size_t n = count_pairs(query);
	struct span pair;
	int status = 0;

	if (n > TARGET_PARAMS_MAX)
		return (refuse("the query has too many parameters", why_r));
	rq->params = arena_alloc(arena, n * sizeof(*rq->params));
	if (rq->params == NULL)
		return (refuse("the request target is too long", why_r));
	while (status == 0 && span_split(&query, '&', &pair)) {
		if (pair.n > 0)
			status = parse_param(rq, pair, arena, why_r);
	}
	return (status);
}

int
target_parse(struct http_request *rq, struct arena *arena, const char **why_r)
{
	struct span s = rq->target, path;
	int status;

	rq->params = NULL;
	rq->n_params = 0;
	rq->path = SPAN("/");
	if (s.n == 0)
		return (refuse("the request target is empty", why_r));
	if (memchr(s.p, '#', s.n) != NULL)
		return (refuse("the request target has a fragment", why_r));
	if (s.p[0] != '/' && (status = absolute_form(rq, &s, why_r)) != 0)
		return (status);
	path = until(s, '?');
	if (path.n > 0 && (status = parse_path(rq, path, arena, why_r)) != 0)
		return (status);
	if (path.n + 1 >= s.n)
		return (0);
	return (parse_query(rq, behind(s, path.n + 1), arena, why_r));
}
