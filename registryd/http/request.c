#include "registryd/http/request.h"

struct span
http_request_next_header(
    const struct http_request *rq, const char *name, size_t *i)
{
	struct span wanted = span_of(name);
	const struct http_header *h;

	while (*i < rq->n_headers) {
		h = &rq->headers[(*i)++];
		if (h->name.n == wanted.n && span_eq_nocase(h->name, wanted))
			return (h->value);
	}
	return (SPAN_NONE);
}

struct span
http_request_header(const struct http_request *rq, const char *name)
{
	size_t i = 0;

	return (http_request_next_header(rq, name, &i));
}

bool
http_request_param(
    const struct http_request *rq, const char *key, struct span *value_r)
{
	size_t i;

	for (i = 0; i < rq->n_params; i++) {
		if (span_is(rq->params[i].key, key)) {
			*value_r = rq->params[i].value;
			return (true);
		}
	}
	return (false);
}
