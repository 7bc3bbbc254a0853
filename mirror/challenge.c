#include "mirror/challenge.h"

#include <string.h>

#include <curl/curl.h>

#include "base/num.h"

/*
 *	challenges = #challenge
 *	challenge  = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
 *	auth-param = token BWS "=" BWS ( token / quoted-string )
 *
 * A list in a list: after a comma, a word with "=" behind it belongs to the
 * challenge that is open, and one without begins the next.
 */
#define RETRY_MAX_S ((uint64_t)10 * 365 * 86400)
#define DATE_MAX_BYTES 64

static bool
is_token(char c)
{
	return ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') ||
		(c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL));
}

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

static void
skip(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

static void
blanks_skip(struct span *s)
{
	while (s->n > 0 && is_blank(s->p[0]))
		skip(s, 1);
}

/* Between the elements of a list, also of those that are empty. */
static void
commas_skip(struct span *s)
{
	while (s->n > 0 && (is_blank(s->p[0]) || s->p[0] == ','))
		skip(s, 1);
}

static struct span
word_take(struct span *s)
{
	struct span word = { s->p, 0 };

	while (word.n < s->n && is_token(s->p[word.n]))
		word.n++;
	skip(s, word.n);
	return (word);
}

/* DQUOTE *( qdtext / quoted-pair ) DQUOTE */
static enum rc
quoted_take(struct span *s, struct span *value_r)
{
	size_t i;

	for (i = 1; i < s->n && s->p[i] != '"'; i++)
		if (s->p[i] == '\\')
			i++;
	if (i >= s->n)
		return (RC_INVALID);
	*value_r = (struct span){ s->p + 1, i - 1 };
	skip(s, i + 1);
	return (RC_OK);
}

static enum rc
value_take(struct span *s, struct span *value_r)
{
	if (s->n > 0 && s->p[0] == '"')
		return (quoted_take(s, value_r));
	*value_r = word_take(s);
	return (value_r->n > 0 ? RC_OK : RC_INVALID);
}

/* RC_NOTFOUND: what stands there is no parameter, and stays there. */
static enum rc
param_take(struct span *s, struct challenge_param *p_r)
{
	struct span rest = *s;

	p_r->name = word_take(&rest);
	blanks_skip(&rest);
	if (p_r->name.n == 0 || rest.n == 0 || rest.p[0] != '=')
		return (RC_NOTFOUND);
	skip(&rest, 1);
	blanks_skip(&rest);
	if (value_take(&rest, &p_r->value) != RC_OK)
		return (RC_INVALID);
	blanks_skip(&rest);
	if (rest.n > 0 && rest.p[0] != ',')
		return (RC_INVALID);
	*s = rest;
	return (RC_OK);
}

static bool
is_token68(char c)
{
	return ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') ||
		(c != '\0' && strchr("-._~+/", c) != NULL));
}

/* 1*( ALPHA / DIGIT / ... ) *"=", and the end of the challenge behind it. */
static bool
token68_take(struct span *s, struct span *token_r)
{
	struct span rest;
	size_t n = 0;

	while (n < s->n && is_token68(s->p[n]))
		n++;
	if (n == 0)
		return (false);
	while (n < s->n && s->p[n] == '=')
		n++;
	rest = (struct span){ s->p + n, s->n - n };
	blanks_skip(&rest);
	if (rest.n > 0 && rest.p[0] != ',')
		return (false);
	*token_r = (struct span){ s->p, n };
	*s = rest;
	return (true);
}

static enum rc
params_take(struct span *s, struct challenge *c)
{
	struct challenge_param p;
	enum rc rc;

	for (;;) {
		commas_skip(s);
		if ((rc = param_take(s, &p)) != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if (c->n_params == CHALLENGE_PARAMS_MAX)
			return (RC_INVALID);
		c->params[c->n_params++] = p;
	}
}

enum rc
challenge_next(struct span *rest, struct challenge *c_r)
{
	*c_r = (struct challenge){ .n_params = 0 };
	commas_skip(rest);
	if (rest->n == 0)
		return (RC_NOTFOUND);
	c_r->scheme = word_take(rest);
	if (c_r->scheme.n == 0)
		return (RC_INVALID);
	if (rest->n == 0 || rest->p[0] == ',')
		return (RC_OK);
	if (!is_blank(rest->p[0]))
		return (RC_INVALID);
	blanks_skip(rest);
	if (token68_take(rest, &c_r->token68))
		return (RC_OK);
	return (params_take(rest, c_r));
}

static enum rc
unescape(struct span s, char out[CHALLENGE_TEXT_MAX_BYTES], size_t *n_r)
{
	size_t i, n = 0;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ||
		    n + 1 == CHALLENGE_TEXT_MAX_BYTES)
			return (RC_INVALID);
		out[n++] = s.p[i];
	}
	out[n] = '\0';
	*n_r = n;
	return (RC_OK);
}

enum rc
challenge_param(const struct challenge *c, const char *name,
    char out[CHALLENGE_TEXT_MAX_BYTES], size_t *n_r)
{
	const struct challenge_param *found = NULL;
	size_t i;

	for (i = 0; i < c->n_params; i++) {
		if (!span_eq_nocase(c->params[i].name, span_of(name)))
			continue;
		if (found != NULL)
			return (RC_INVALID);
		found = &c->params[i];
	}
	if (found == NULL)
		return (RC_NOTFOUND);
	return (unescape(found->value, out, n_r));
}

/* --- ranges -------------------------------------------------------------- */

/* Cut "x" off "x/y"; false: there is no ${sep}. */
static bool
cut(struct span *s, char sep, struct span *front_r)
{
	const char *at = s->n > 0 ? memchr(s->p, sep, s->n) : NULL;

	if (at == NULL)
		return (false);
	*front_r = (struct span){ s->p, (size_t)(at - s->p) };
	skip(s, front_r->n + 1);
	return (true);
}

/* content-range = "bytes" SP ( first "-" last "/" ( size / "*" ) / "*" "/"
 * size )				RFC 9110 section 14.4 */
enum rc
content_range_parse(
    struct span s, uint64_t *first_r, uint64_t *last_r, uint64_t *size_r)
{
	struct span unit, range, first;

	if (!cut(&s, ' ', &unit) || !span_eq_nocase(unit, SPAN("bytes")) ||
	    !cut(&s, '/', &range))
		return (RC_INVALID);
	*size_r = UINT64_MAX;
	if (!span_is(s, "*") && num_u64(s, INT64_MAX, size_r) != RC_OK)
		return (RC_INVALID);
	if (span_is(range, "*") && *size_r != UINT64_MAX) {
		*first_r = 1;
		*last_r = 0;
		return (RC_OK);
	}
	if (!cut(&range, '-', &first) ||
	    num_u64(first, INT64_MAX, first_r) != RC_OK ||
	    num_u64(range, INT64_MAX, last_r) != RC_OK || *first_r > *last_r ||
	    *last_r >= *size_r)
		return (RC_INVALID);
	return (RC_OK);
}

/* --- links --------------------------------------------------------------- */

/* Is "next" one of the words of a rel? */
static bool
rel_is_next(struct span value)
{
	struct span word;

	while (span_split(&value, ' ', &word))
		if (span_eq_nocase(word, SPAN("next")))
			return (true);
	return (false);
}

/* *( OWS ";" OWS token [ BWS "=" BWS ( token / quoted-string ) ] ) */
static enum rc
link_params_take(struct span *s, bool *next_r)
{
	struct span name, value;

	*next_r = false;
	for (;;) {
		blanks_skip(s);
		if (s->n == 0 || s->p[0] == ',')
			return (RC_OK);
		if (s->p[0] != ';')
			return (RC_INVALID);
		skip(s, 1);
		blanks_skip(s);
		name = word_take(s);
		blanks_skip(s);
		if (s->n == 0 || s->p[0] != '=')
			continue;
		skip(s, 1);
		blanks_skip(s);
		if (value_take(s, &value) != RC_OK)
			return (RC_INVALID);
		if (span_eq_nocase(name, SPAN("rel")) && rel_is_next(value))
			*next_r = true;
	}
}

enum rc
link_next(struct span s, struct span *url_r)
{
	struct span url;
	bool next;

	for (;;) {
		commas_skip(&s);
		if (s.n == 0)
			return (RC_NOTFOUND);
		if (s.p[0] != '<')
			return (RC_INVALID);
		skip(&s, 1);
		if (!cut(&s, '>', &url) || link_params_take(&s, &next) != RC_OK)
			return (RC_INVALID);
		if (next) {
			*url_r = url;
			return (RC_OK);
		}
	}
}

/* --- limits -------------------------------------------------------------- */

static enum rc
date_parse(struct span s, int64_t *ms_r)
{
	char text[DATE_MAX_BYTES];
	time_t t;

	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return (RC_INVALID);
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	t = curl_getdate(text, NULL);
	if (t < 0)
		return (RC_INVALID);
	*ms_r = (int64_t)t * 1000;
	return (RC_OK);
}

enum rc
retry_after_parse(struct span s, int64_t now_ms, int64_t *ms_r)
{
	uint64_t seconds = RETRY_MAX_S;
	int64_t at_ms;
	enum rc rc;

	rc = num_u64_zeros(s, RETRY_MAX_S, &seconds);
	if (rc == RC_OK || rc == RC_RANGE) {
		*ms_r = (int64_t)seconds * 1000;
		return (RC_OK);
	}
	if (date_parse(s, &at_ms) != RC_OK)
		return (RC_INVALID);
	*ms_r = at_ms > now_ms ? at_ms - now_ms : 0;
	return (RC_OK);
}

enum rc
rate_limit_parse(struct span s, int64_t *n_r)
{
	struct span number;
	uint64_t n;

	if (!span_split(&s, ';', &number) ||
	    num_u64_zeros(span_trim(number), INT64_MAX, &n) != RC_OK)
		return (RC_INVALID);
	*n_r = (int64_t)n;
	return (RC_OK);
}
