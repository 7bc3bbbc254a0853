#include "registryd/http/accept.h"

#include <string.h>

#include "registryd/http/token.h"

/* How well a media range matches; the higher decides. */
enum match { MATCH_NONE, MATCH_ANY, MATCH_TYPE, MATCH_EXACT };

static struct span
cut(struct span *rest, char at)
{
	struct span part = { rest->p, 0 };

	if (!span_split(rest, at, &part))
		part.n = 0;
	return (span_trim(part));
}

/* media-range = "*" "/" "*" / type "/" "*" / type "/" subtype */
static enum match
match(struct span range, struct span type)
{
	const char *slash;
	size_t n;

	if (span_is(range, "*/*") || span_is(range, "*"))
		return (MATCH_ANY);
	if (span_eq_nocase(range, type))
		return (MATCH_EXACT);
	slash = range.n > 0 ? memchr(range.p, '/', range.n) : NULL;
	if (slash == NULL)
		return (MATCH_NONE);
	n = (size_t)(slash + 1 - range.p);
	if (range.n == n + 1 && range.p[n] == '*' && type.n > n &&
	    span_eq_nocase(
		(struct span){ range.p, n }, (struct span){ type.p, n }))
		return (MATCH_TYPE);
	return (MATCH_NONE);
}

/* weight = OWS ";" OWS "q=" qvalue;  is it 0, 0.0, 0.00 or 0.000? */
static bool
is_zero(struct span q)
{
	size_t i;

	if (q.n == 0 || q.p[0] != '0')
		return (false);
	for (i = 1; i < q.n; i++) {
		if (q.p[i] != (i == 1 ? '.' : '0'))
			return (false);
	}
	return (true);
}

static bool
forbids(struct span params)
{
	struct span param, name;

	while (span_split(&params, ';', &param)) {
		param = span_trim(param);
		name = cut(&param, '=');
		if (span_eq_nocase(name, SPAN("q")))
			return (is_zero(span_trim(param)));
	}
	return (false);
}

bool
http_accepts(const struct http_request *rq, struct span media_type)
{
	enum match best = MATCH_NONE, m;
	struct span list, element;
	bool any = false, allowed = false;
	size_t i = 0;

	while ((list = http_request_next_header(rq, "Accept", &i)).p != NULL) {
		while (token_list(&list, &element)) {
			any = true;
			m = match(cut(&element, ';'), media_type);
			if (m == MATCH_NONE || m < best)
				continue;
			/* Of two equally good ones the kinder counts. */
			allowed = !forbids(element) || (m == best && allowed);
			best = m;
		}
	}
	return (!any || allowed);
}

/* entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE, weakly compared */
static bool
tag_matches(struct span tag, struct span etag)
{
	if (span_is(tag, "*"))
		return (true);
	if (tag.n > 2 && tag.p[0] == 'W' && tag.p[1] == '/')
		tag = (struct span){ tag.p + 2, tag.n - 2 };
	if (span_eq(tag, etag))
		return (true);
	return (tag.n > 0 && etag.n == tag.n + 2 && tag.p[0] != '"' &&
		memcmp(tag.p, etag.p + 1, tag.n) == 0);
}

bool
http_etag_matches(const struct http_request *rq, struct span etag)
{
	struct span list, tag;
	size_t i = 0;

	while ((list = http_request_next_header(rq, "If-None-Match", &i)).p !=
	       NULL) {
		while (token_list(&list, &tag)) {
			if (tag_matches(tag, etag))
				return (true);
		}
	}
	return (false);
}
