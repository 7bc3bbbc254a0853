#include "tests/fuzz/http_oracle.h"

#include <string.h>

#include "base/obj.h"

#if defined(__has_include)
#if __has_include(<http_parser.h>)
#include <http_parser.h>
#define HAVE_ORACLE 1
#endif
#endif

#ifdef HAVE_ORACLE

struct reading {
	struct oracle_head *head;
	bool in_value, complete;
	char *body;
	size_t n_body;
};

/* Pieces of one thing follow one another in memory. */
static void
join(struct span *s, const char *p, size_t n)
{
	if (s->n == 0)
		s->p = p;
	must(s->p + s->n == p);
	s->n += n;
}

static int
on_url(http_parser *hp, const char *p, size_t n)
{
	join(&((struct reading *)hp->data)->head->url, p, n);
	return (0);
}

static int
on_name(http_parser *hp, const char *p, size_t n)
{
	struct reading *r = hp->data;
	struct oracle_head *h = r->head;

	if (h->n_headers == 0 || r->in_value)
		must(++h->n_headers <= ORACLE_HEADERS);
	r->in_value = false;
	join(&h->names[h->n_headers - 1], p, n);
	return (0);
}

static int
on_value(http_parser *hp, const char *p, size_t n)
{
	struct reading *r = hp->data;

	r->in_value = true;
	join(&r->head->values[r->head->n_headers - 1], p, n);
	return (0);
}

static int
on_body(http_parser *hp, const char *p, size_t n)
{
	struct reading *r = hp->data;

	memcpy(r->body + r->n_body, p, n);
	r->n_body += n;
	return (0);
}

static int
on_headers_complete(http_parser *hp)
{
	struct reading *r = hp->data;
	struct oracle_head *h = r->head;

	if (h == NULL)
		return (0);
	r->complete = true;
	h->method = span_of(http_method_str((enum http_method)hp->method));
	h->minor_version = hp->http_minor;
	h->chunked = (hp->flags & F_CHUNKED) != 0;
	h->content_length = hp->content_length;
	h->keep_alive = http_should_keep_alive(hp) != 0;
	h->upgrade = hp->upgrade != 0;
	return (0);
}

static int
on_message_complete(http_parser *hp)
{
	struct reading *r = hp->data;

	r->complete = true;
	return (0);
}

/* It takes a header for Transfer-Encoding that only begins like that. */
static bool
is_confused(const struct oracle_head *h)
{
	static const struct span name = { "Transfer-Encoding", 17 };
	size_t i;

	for (i = 0; i < h->n_headers; i++) {
		if (h->names[i].n > name.n &&
		    span_eq_nocase(
			(struct span){ h->names[i].p, name.n }, name))
			return (true);
	}
	return (false);
}

enum oracle_verdict
oracle_head(const char *text, size_t n, struct oracle_head *h_r)
{
	static const http_parser_settings settings = { .on_url = on_url,
		.on_header_field = on_name,
		.on_header_value = on_value,
		.on_headers_complete = on_headers_complete };
	struct reading r = { .head = h_r };
	http_parser hp;
	size_t used;

	memset(h_r, 0, sizeof(*h_r));
	http_parser_init(&hp, HTTP_REQUEST);
	hp.data = &r;
	used = http_parser_execute(&hp, &settings, text, n);
	/* The target of one method it reads in another way. */
	if (HTTP_PARSER_ERRNO(&hp) == HPE_INVALID_METHOD ||
	    hp.method == HTTP_CONNECT || hp.method == HTTP_SOURCE ||
	    is_confused(h_r))
		return (ORACLE_ABSENT);
	if (HTTP_PARSER_ERRNO(&hp) != HPE_OK || used != n || !r.complete)
		return (ORACLE_REFUSES);
	return (ORACLE_ACCEPTS);
}

enum oracle_verdict
oracle_chunked(const char *text, size_t n, char *out, size_t *n_r)
{
	static const char head[] =
	    "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const http_parser_settings settings = { .on_body = on_body,
		.on_headers_complete = on_headers_complete,
		.on_message_complete = on_message_complete };
	struct reading r = { .body = out };
	http_parser hp;
	size_t used;

	http_parser_init(&hp, HTTP_REQUEST);
	hp.data = &r;
	used = http_parser_execute(&hp, &settings, head, sizeof(head) - 1);
	must(used == sizeof(head) - 1);
	used = http_parser_execute(&hp, &settings, text, n);
	*n_r = r.n_body;
	if (HTTP_PARSER_ERRNO(&hp) != HPE_OK || used != n || !r.complete)
		return (ORACLE_REFUSES);
	return (ORACLE_ACCEPTS);
}

#else

enum oracle_verdict
oracle_head(const char *text, size_t n, struct oracle_head *h_r)
{
	(void)text, (void)n, (void)h_r;
	return (ORACLE_ABSENT);
}

enum oracle_verdict
oracle_chunked(const char *text, size_t n, char *out, size_t *n_r)
{
	(void)text, (void)n, (void)out, (void)n_r;
	return (ORACLE_ABSENT);
}

#endif
