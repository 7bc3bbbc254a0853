#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/obj.h"
#include "registryd/route.h"

/*
 * The first byte chooses method and listener, the rest is the path.  A row
 * that is found must give the path back when its pattern is filled in again;
 * a path that has rows of other methods must be found with one of those.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The pattern with {name} and the other {word} replaced. */
static void
pattern_fill(struct buf *out, const struct route_match *m)
{
	const char *p = m->route->pattern;

	while (*p != '\0') {
		if (*p != '{') {
			buf_char(out, *p++);
			continue;
		}
		if (strncmp(p, "{name}", 6) == 0)
			buf_span(out, m->name);
		else
			buf_span(out, m->part);
		p = strchr(p, '}') + 1;
	}
}

static void
match_check(const struct route_match *m, struct span path)
{
	struct buf b;

	must(m->route >= routes && m->route < routes + n_routes);
	must((m->name.n > 0) == (strstr(m->route->pattern, "{name}") != NULL));
	must(m->part.n == 0 || memchr(m->part.p, '/', m->part.n) == NULL);
	buf_init(&b, SIZE_MAX);
	pattern_fill(&b, m);
	must(span_eq(buf_as_span(&b), path));
	buf_free(&b);
}

static void
allowed_check(int role, const struct route_match *m, struct span path)
{
	struct route_match other;
	enum http_method i;

	for (i = HTTP_GET; i < HTTP_METHOD_OTHER; i++) {
		route_find(role, i, path, &other);
		must((other.outcome == MATCH_OK) == (m->allowed >> i & 1u));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct route_match m;
	struct span path;
	int role;

	if (n == 0)
		return (0);
	role = data[0] / 8 % (ROLE_CONTROL + 1);
	path = (struct span){ (const char *)data + 1, n - 1 };
	route_find(role, (enum http_method)(data[0] % 8), path, &m);
	if (m.outcome == MATCH_OK)
		match_check(&m, path);
	else
		must((m.outcome == MATCH_NO_METHOD) == (m.allowed != 0));
	if (m.outcome == MATCH_NO_METHOD)
		allowed_check(role, &m, path);
	return (0);
}
