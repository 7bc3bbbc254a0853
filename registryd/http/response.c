#include "registryd/http/response.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/obj.h"
#include "registryd/http/response_int.h"

/* Status line, Date, Content-Length, Connection, X-Request-Id. */
#define FRAME_BYTES 320

void
http_response_init(struct http_response *rs)
{
	/* The headers themselves are only read below n_headers. */
	rs->status = 200;
	rs->n_headers = 0;
	rs->body = HTTP_NO_BODY;
	rs->bytes = SPAN_NONE;
	rs->fd = -1;
	rs->source = NULL;
	rs->offset = 0;
	rs->length = 0;
	rs->follow = NULL;
	rs->head_length = false;
	rs->close = false;
}

void
http_response_header(
    struct http_response *rs, const char *name, struct span value)
{
	struct http_header *h;

	must(rs->n_headers < HTTP_RESPONSE_HEADERS);
	h = &rs->headers[rs->n_headers++];
	h->name = span_of(name);
	h->value = value;
}

void
http_response_memory(
    struct http_response *rs, const char *type, struct span bytes)
{
	http_response_header(rs, "Content-Type", span_of(type));
	rs->body = HTTP_MEMORY;
	rs->bytes = bytes;
}

const char *
http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].status == status)
			return (table[i].text);
	}
	return ("Unknown");
}

uint64_t
response_body_length(const struct http_response *rs)
{
	switch (rs->body) {
	case HTTP_MEMORY:
		return (rs->bytes.n);
	case HTTP_FILE:
		return (rs->length);
	case HTTP_NO_BODY:
		break;
	}
	return (0);
}

void
response_file_close(struct http_response *rs)
{
	if (rs->source != NULL)
		rs->source->close(rs->source->arg);
	if (rs->fd != -1)
		(void)close(rs->fd);
	rs->source = NULL;
	rs->fd = -1;
}

size_t
response_head_room(const struct http_response *rs)
{
	size_t i, n = FRAME_BYTES;

	for (i = 0; i < rs->n_headers; i++)
		n += rs->headers[i].name.n + rs->headers[i].value.n + 4;
	return (n);
}

static char *
put(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return (p + n);
}

#define PUT(p, literal) put((p), (literal), sizeof(literal) - 1)

static char *
put_u64(char *p, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return (put(p, digits + i, sizeof(digits) - i));
}

static char *
put_status(char *p, int status)
{
	const char *text = http_status_text(status);

	must(status >= 100 && status <= 599);
	if (status == 200)
		return (PUT(p, "HTTP/1.1 200 OK\r\n"));
	p = PUT(p, "HTTP/1.1 ");
	p = put_u64(p, (uint64_t)status);
	*p++ = ' ';
	p = put(p, text, strlen(text));
	return (PUT(p, "\r\n"));
}

/*
 * Content-Length (RFC 9110 section 8.6): never with 204; with 304 only if the
 * handler knows it.
 */
static char *
put_length(
    char *p, const struct http_response *rs, const struct response_frame *f)
{
	uint64_t length = response_body_length(rs);

	if (rs->status == 204)
		return (p);
	if (rs->body == HTTP_NO_BODY && rs->head_length &&
	    (f->head || rs->status == 304))
		length = rs->length;
	else if (rs->body == HTTP_NO_BODY && rs->status == 304)
		return (p);
	p = PUT(p, "Content-Length: ");
	p = put_u64(p, length);
	return (PUT(p, "\r\n"));
}

static bool
value_breaks_out(struct span s)
{
	return (s.n > 0 && (memchr(s.p, '\n', s.n) != NULL ||
			       memchr(s.p, '\r', s.n) != NULL ||
			       memchr(s.p, '\0', s.n) != NULL));
}

static char *
put_header(char *p, const struct http_header *h)
{
	if (value_breaks_out(h->value)) {
		log_error("left out a header with a line break: " SPAN_FMT,
		    SPAN_ARG(h->name));
		return (p);
	}
	p = put(p, h->name.p, h->name.n);
	p = PUT(p, ": ");
	if (h->value.n > 0)
		p = put(p, h->value.p, h->value.n);
	return (PUT(p, "\r\n"));
}

size_t
response_head_write(
    const struct http_response *rs, const struct response_frame *f, char *out)
{
	char *p = out;
	size_t i;

	p = put_status(p, rs->status);
	p = PUT(p, "Date: ");
	p = put(p, f->date.p, f->date.n);
	p = PUT(p, "\r\n");
	p = put_length(p, rs, f);
	if (f->close)
		p = PUT(p, "Connection: close\r\n");
	else if (f->keep_alive)
		p = PUT(p, "Connection: keep-alive\r\n");
	p = PUT(p, "X-Request-Id: ");
	p = put(p, f->id, HTTP_REQUEST_ID_BYTES - 1);
	p = PUT(p, "\r\n");
	for (i = 0; i < rs->n_headers; i++)
		p = put_header(p, &rs->headers[i]);
	p = PUT(p, "\r\n");
	return ((size_t)(p - out));
}
