#include "registryd/api/aws_form.h"

#include <string.h>

#include "registryd/http/token.h"

bool
aws_form_is(const struct http_request *rq)
{
	struct span rest, type;

	rest = http_request_header(rq, "Content-Type");
	return (rest.p != NULL && span_split(&rest, ';', &type) &&
		span_eq_nocase(span_trim(type),
		    SPAN("application/x-www-form-urlencoded")));
}

static size_t
count_pairs(struct span text)
{
	struct span part;
	size_t n = 0;

	while (span_split(&text, '&', &part))
		n += part.n > 0;
	return (n);
}

/* The byte that "%xy" at ${p} stands for; -1: it is none. */
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
	return ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f);
}

static enum rc
decode(struct span s, struct arena *arena, struct span *out_r)
{
	size_t i, n = 0;
	char *out;
	int c;

	out = arena_alloc(arena, s.n + 1);
	if (out == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < s.n; i++) {
		c = (unsigned char)s.p[i];
		if (c == '+')
			c = ' ';
		if (c == '%') {
			c = escape_value(s.p + i, s.n - i);
			i += 2;
		}
		if (is_control(c)) /* -1 too */
			return (RC_INVALID);
		out[n++] = (char)c;
	}
	*out_r = (struct span){ out, n };
	return (RC_OK);
}

static enum rc
pair_decode(struct span pair, struct arena *arena, struct http_param *out)
{
	struct span key = { pair.p, 0 }, value = SPAN("");
	const char *equals;
	enum rc rc;

	equals = memchr(pair.p, '=', pair.n);
	key.n = equals != NULL ? (size_t)(equals - pair.p) : pair.n;
	if (equals != NULL)
		value = (struct span){ equals + 1, pair.n - key.n - 1 };
	if ((rc = decode(key, arena, &out->key)) != RC_OK)
		return (rc);
	return (decode(value, arena, &out->value));
}

enum rc
aws_form_parse(struct span text, struct arena *arena, struct aws_form *form_r)
{
	struct span part;
	size_t n;
	enum rc rc;

	*form_r = (struct aws_form){ .n = 0 };
	n = count_pairs(text);
	if (n > FORM_PAIRS_MAX)
		return (RC_LIMIT);
	form_r->pairs = arena_calloc(arena, n + 1, sizeof(*form_r->pairs));
	if (form_r->pairs == NULL)
		return (RC_TOOBIG);
	while (span_split(&text, '&', &part)) {
		if (part.n == 0)
			continue;
		rc = pair_decode(part, arena, &form_r->pairs[form_r->n]);
		if (rc != RC_OK)
			return (rc);
		form_r->n++;
	}
	return (RC_OK);
}

bool
aws_form_get(
    const struct aws_form *form, const char *name, struct span *value_r)
{
	size_t i;

	for (i = 0; i < form->n; i++) {
		if (!span_is(form->pairs[i].key, name))
			continue;
		*value_r = form->pairs[i].value;
		return (true);
	}
	return (false);
}
