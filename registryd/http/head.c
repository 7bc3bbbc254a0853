#include "registryd/http/head.h"

#include <string.h>

#include "registryd/http/token.h"

/* No method that anybody uses is longer. */
#define METHOD_MAX_BYTES 32

void
head_init(struct head *h, struct http_request *rq, struct http_header *headers)
{
	*h = (struct head){ 0 };
	rq->method = HTTP_METHOD_OTHER;
	rq->method_text = SPAN_NONE;
	rq->target = SPAN_NONE;
	rq->minor_version = 1;
	rq->headers = headers;
	rq->n_headers = 0;
}

static enum head_result
bad(struct head *h, int status, const char *why)
{
	h->status = status;
	h->why = why;
	return (HEAD_BAD);
}

static enum http_method
method_of(struct span s)
{
	static const struct {
		struct span name;
		enum http_method method;
	} methods[] = {
		{ { "GET", 3 }, HTTP_GET },
		{ { "HEAD", 4 }, HTTP_HEAD },
		{ { "PUT", 3 }, HTTP_PUT },
		{ { "POST", 4 }, HTTP_POST },
		{ { "PATCH", 5 }, HTTP_PATCH },
		{ { "DELETE", 6 }, HTTP_DELETE },
		{ { "OPTIONS", 7 }, HTTP_OPTIONS },
	};
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (span_eq(s, methods[i].name))
			return (methods[i].method);
	}
	return (HTTP_METHOD_OTHER);
}

/*
 * method = token
 * Followed by exactly one space.  *${n_r} gets its length.
 */
static enum head_result
method_parse(struct head *h, struct span s, size_t *n_r)
{
	size_t i = 0;

	while (i < s.n && token_char(s.p[i])) {
		if (++i > METHOD_MAX_BYTES)
			return (bad(h, 400, "the method is too long"));
	}
	if (i == s.n)
		return (HEAD_MORE);
	if (i == 0 && s.p[0] == 0x16)
		return (bad(h, 400,
		    "a TLS handshake arrived on a port that speaks plain "
		    "HTTP"));
	if (i == 0 || s.p[i] != ' ')
		return (bad(h, 400, "the request line is malformed"));
	*n_r = i;
	return (HEAD_DONE);
}

/*
 * request-target: visible ASCII; its forms are target.c's business.
 */
static enum head_result
target_scan(struct head *h, struct span s, size_t max, size_t *n_r)
{
	size_t i = 0;

	while (i < s.n && s.p[i] > 0x20 && s.p[i] < 0x7f) {
		if (++i > max)
			return (bad(h, 414, "the request target is too long"));
	}
	if (i == s.n)
		return (HEAD_MORE);
	if (i == 0 || s.p[i] != ' ')
		return (bad(h, 400, "the request line is malformed"));
	*n_r = i;
	return (HEAD_DONE);
}

/*
 * HTTP-version = "HTTP/" DIGIT "." DIGIT, and the end of the line
 */
static enum head_result
version_parse(struct head *h, struct span s, unsigned *minor_r)
{
	static const char form[] = "HTTP/0.0\r\n";
	size_t i;

	for (i = 0; i < s.n && i < sizeof(form) - 1; i++) {
		if (form[i] == '0' ? s.p[i] < '0' || s.p[i] > '9'
				   : s.p[i] != form[i])
			return (bad(h, 400, "the HTTP version is malformed"));
	}
	if (i < sizeof(form) - 1)
		return (HEAD_MORE);
	if (s.p[5] != '1' || s.p[7] > '1')
		return (bad(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken"));
	*minor_r = (unsigned)(s.p[7] - '0');
	return (HEAD_DONE);
}

static struct span
behind(struct span s, size_t n)
{
	return ((struct span){ s.p + n, s.n - n });
}

/*
 * request-line = method SP request-target SP HTTP-version
 */
static enum head_result
request_line(
    struct head *h, struct span s, size_t uri_bytes, struct http_request *rq)
{
	enum head_result r;
	size_t n = 0;

	if ((r = method_parse(h, s, &n)) != HEAD_DONE)
		return (r);
	rq->method_text = (struct span){ s.p, n };
	rq->method = method_of(rq->method_text);
	s = behind(s, n + 1);
	if ((r = target_scan(h, s, uri_bytes, &n)) != HEAD_DONE)
		return (r);
	rq->target = (struct span){ s.p, n };
	s = behind(s, n + 1);
	return (version_parse(h, s, &rq->minor_version));
}

#define ONES 0x0101010101010101u
#define HIGHS (0x80u * ONES)

/* Has one of eight bytes a value below 0x20, or 0x7f? */
static bool
any_control(const char *p)
{
	uint64_t v, del;

	memcpy(&v, p, sizeof(v));
	del = v ^ 0x7fu * ONES;
	return ((((v - 0x20u * ONES) & ~v) | ((del - ONES) & ~del)) & HIGHS);
}

/*
 * field-vchar = VCHAR / obs-text, and SP and HTAB between them
 */
static bool
value_ok(struct span s)
{
	unsigned char c;
	size_t i;

	for (i = 0; i < s.n; i++) {
		while (s.n - i >= 8 && !any_control(s.p + i))
			i += 8;
		if (i == s.n)
			break;
		c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return (false);
	}
	return (true);
}

/*
 * field-line = field-name ":" OWS field-value OWS
 * White space before the colon, and a line that continues the one before
 * (obs-fold), have no field-name in this sense.
 */
static enum head_result
header_line(struct head *h, struct span s, size_t max, struct http_request *rq)
{
	struct http_header *out = &rq->headers[rq->n_headers];
	size_t n = 0;

	if (rq->n_headers == max)
		return (bad(h, 431, "there are too many headers"));
	while (n < s.n && token_char(s.p[n]))
		n++;
	if (n == 0 || n == s.n || s.p[n] != ':')
		return (bad(h, 400, "a header line is malformed"));
	out->name = (struct span){ s.p, n };
	out->value = span_trim(behind(s, n + 1));
	if (!value_ok(out->value))
		return (bad(h, 400, "a header has a control character"));
	rq->n_headers++;
	return (HEAD_DONE);
}

/* One empty line may precede the request line (RFC 9112 section 2.2). */
static enum head_result
skip_empty_line(struct head *h, const char *p, size_t n)
{
	if (h->line > 0 || n == 0 || p[0] != '\r')
		return (HEAD_DONE);
	if (n == 1)
		return (HEAD_MORE);
	if (p[1] != '\n')
		return (bad(h, 400, "a bare CR"));
	h->line = 2;
	return (HEAD_DONE);
}

static enum head_result
first_line(struct head *h, const char *p, size_t n, size_t uri_bytes,
    struct http_request *rq)
{
	struct span rest;
	enum head_result r;

	if ((r = skip_empty_line(h, p, n)) != HEAD_DONE)
		return (r);
	rest = (struct span){ p + h->line, n - h->line };
	if (rest.n == 0)
		return (HEAD_MORE);
	if ((r = request_line(h, rest, uri_bytes, rq)) != HEAD_DONE)
		return (r);
	h->request_line = true;
	/* The spaces around the target, "HTTP/1.1" and CRLF. */
	h->line += rq->method_text.n + rq->target.n + 12;
	return (HEAD_DONE);
}

/* The header lines that are complete; HEAD_MORE when none is left. */
static enum head_result
header_lines(struct head *h, const char *p, size_t n, size_t max,
    struct http_request *rq)
{
	enum head_result r = HEAD_DONE;
	struct span line;
	const char *lf;

	while (r == HEAD_DONE) {
		line.p = p + h->line;
		lf = memchr(line.p, '\n', n - h->line);
		if (lf == NULL)
			return (HEAD_MORE);
		if (lf == line.p || lf[-1] != '\r')
			return (bad(h, 400, "a line ends in a bare LF"));
		line.n = (size_t)(lf - 1 - line.p);
		h->line = (size_t)(lf + 1 - p);
		if (line.n == 0) {
			h->length = h->line;
			return (HEAD_DONE);
		}
		r = header_line(h, line, max, rq);
	}
	return (r);
}

enum head_result
head_parse(struct head *h, const char *p, size_t n,
    const struct head_limits *limits, struct http_request *rq)
{
	size_t seen = n < limits->bytes ? n : limits->bytes;
	enum head_result r = HEAD_DONE;

	if (!h->request_line)
		r = first_line(h, p, seen, limits->uri_bytes, rq);
	if (r == HEAD_DONE)
		r = header_lines(h, p, seen, limits->headers, rq);
	if (r == HEAD_MORE && n >= limits->bytes)
		return (bad(h, 431, "the head of the request is too large"));
	return (r);
}
