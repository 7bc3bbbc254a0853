#include "registryd/route.h"

#include <string.h>

/*
 * Paths are matched from the right, segment by segment, until {name} takes
 * what is left: so the last keyword decides, and a repository may be called
 * after a keyword.
 */

/* Cut the last segment off the end of *${rest}, with its slash. */
static bool
segment_cut(struct span *rest, struct span *segment_r)
{
	const char *slash;

	if (rest->n == 0)
		return (false);
	slash = memrchr(rest->p, '/', rest->n);
	if (slash == NULL)
		return (false);
	segment_r->p = slash + 1;
	segment_r->n = (size_t)(rest->p + rest->n - segment_r->p);
	rest->n = (size_t)(slash - rest->p);
	return (true);
}

/* {name} is what stands behind ${prefix} and a slash. */
static bool
name_take(struct span prefix, struct span path, struct span *name_r)
{
	if (path.n < prefix.n + 2 || !span_has_prefix(path, prefix) ||
	    path.p[prefix.n] != '/')
		return (false);
	name_r->p = path.p + prefix.n + 1;
	name_r->n = path.n - prefix.n - 1;
	return (true);
}

static bool
path_match(struct span pattern, struct span path, struct route_match *m)
{
	struct span want, have;

	m->name = m->part = SPAN_NONE;
	while (segment_cut(&pattern, &want)) {
		if (span_eq(want, SPAN("{name}")))
			return (name_take(pattern, path, &m->name));
		if (!segment_cut(&path, &have))
			return (false);
		if (want.n > 0 && want.p[0] == '{') {
			if (have.n == 0)
				return (false);
			m->part = have;
		} else if (!span_eq(want, have))
			return (false);
	}
	return (path.n == 0);
}

/* The methods that other rows offer on the path. */
static unsigned
methods_of(int role, struct span path)
{
	struct route_match m;
	unsigned allowed = 0;
	size_t i;

	for (i = 0; i < n_routes; i++) {
		if ((routes[i].roles & 1u << role) == 0 ||
		    !path_match(span_of(routes[i].pattern), path, &m))
			continue;
		allowed |= 1u << routes[i].method;
		if (routes[i].method == HTTP_GET)
			allowed |= 1u << HTTP_HEAD;
	}
	return (allowed);
}

void
route_find(int role, enum http_method method, struct span path,
    struct route_match *m_r)
{
	const struct route *r;
	size_t i;

	*m_r = (struct route_match){ .outcome = MATCH_OK };
	if (method == HTTP_HEAD)
		method = HTTP_GET;
	for (i = 0; i < n_routes; i++) {
		r = &routes[i];
		if (r->method == method && (r->roles & 1u << role) != 0 &&
		    path_match(span_of(r->pattern), path, m_r)) {
			m_r->route = r;
			return;
		}
	}
	m_r->name = m_r->part = SPAN_NONE;
	m_r->allowed = methods_of(role, path);
	m_r->outcome = m_r->allowed != 0 ? MATCH_NO_METHOD : MATCH_NO_PATH;
}
