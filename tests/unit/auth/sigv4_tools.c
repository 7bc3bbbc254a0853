#include "tests/unit/auth/sigv4_tools.h"

#include <stdio.h>

#include "base/obj.h"

void
signed_request_init(struct signed_request *s, const char *method,
    const char *target, const char *body)
{
	*s = (struct signed_request){ .rq.method = span_of(method),
		.rq.target = span_of(target) };
	s->rq.headers = s->headers;
	sigv4_body_hash(span_of(body), s->rq.body_hash);
}

void
signed_request_header(
    struct signed_request *s, const char *name, const char *value)
{
	must(s->rq.n_headers < V_HEADERS_MAX);
	s->headers[s->rq.n_headers++] =
	    (struct name_value){ span_of(name), span_of(value) };
}

void
signed_request_set(
    struct signed_request *s, const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < s->rq.n_headers; i++)
		if (span_eq_nocase(s->headers[i].name, span_of(name)))
			break;
	must(i < s->rq.n_headers);
	s->headers[i].value = span_of(value);
}

void
signed_request_authorize(
    struct signed_request *s, const char *signed_headers, const char *signature)
{
	int n;

	n = snprintf(s->authorization, sizeof(s->authorization),
	    "AWS4-HMAC-SHA256 " V_CREDENTIAL ", SignedHeaders=%s, Signature=%s",
	    signed_headers, signature);
	must(n > 0 && (size_t)n < sizeof(s->authorization));
	signed_request_header(s, "Authorization", s->authorization);
}

enum sigv4_error
signed_request_check(const struct signed_request *s, int64_t now_ms, char *why)
{
	const struct sigv4_expect expect = { .service = SPAN("ecr"),
		.now_ms = now_ms };
	struct sigv4_claim claim;
	enum sigv4_error e;

	if ((e = sigv4_read(&s->rq, &claim, why)) != SIGV4_OK)
		return (e);
	must(span_is(claim.access_key, V_ACCESS_KEY));
	return (sigv4_verify(&s->rq, &claim, &expect, SPAN(V_SECRET), why));
}
