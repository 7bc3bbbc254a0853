#include "registryd/http/framing.h"

#include "base/num.h"
#include "registryd/http/token.h"

/* What the headers that matter here said. */
struct seen {
	struct span host, length, coding;
	unsigned n_host, n_length, n_coding;
	bool close, keep_alive;
	bool expect, expect_unknown;
};

/* connection-option = token: quotes have no meaning here, and whoever takes
 * them for one could be told another end of the connection. */
static void
see_connection(struct seen *seen, struct span value)
{
	struct span option;

	while (span_split(&value, ',', &option)) {
		option = span_trim(option);
		if (span_eq_nocase(option, SPAN("close")))
			seen->close = true;
		else if (span_eq_nocase(option, SPAN("keep-alive")))
			seen->keep_alive = true;
	}
}

static void
see_expect(struct seen *seen, struct span value)
{
	seen->expect = true;
	if (!span_eq_nocase(value, SPAN("100-continue")))
		seen->expect_unknown = true;
}

/* By length first: most headers are none of these. */
static void
see(struct seen *seen, const struct http_header *h)
{
	switch (h->name.n) {
	case sizeof("Host") - 1:
		if (span_eq_nocase(h->name, SPAN("Host"))) {
			seen->host = h->value;
			seen->n_host++;
		}
		break;
	case sizeof("Expect") - 1:
		if (span_eq_nocase(h->name, SPAN("Expect")))
			see_expect(seen, h->value);
		break;
	case sizeof("Connection") - 1:
		if (span_eq_nocase(h->name, SPAN("Connection")))
			see_connection(seen, h->value);
		break;
	case sizeof("Content-Length") - 1:
		if (span_eq_nocase(h->name, SPAN("Content-Length"))) {
			seen->length = h->value;
			seen->n_length++;
		}
		break;
	case sizeof("Transfer-Encoding") - 1:
		if (span_eq_nocase(h->name, SPAN("Transfer-Encoding"))) {
			seen->coding = h->value;
			seen->n_coding++;
		}
		break;
	default:
		break;
	}
}

static bool
host_char(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
		c == '~');
}

/* "[" IPv6address "]": its digits and colons; nobody resolves it here. */
static size_t
literal_length(struct span s)
{
	size_t i;

	for (i = 1; i < s.n && s.p[i] != ']'; i++) {
		if (token_hex(s.p[i]) < 0 && s.p[i] != ':' && s.p[i] != '.')
			return (0);
	}
	return (i < s.n && i > 2 ? i + 1 : 0);
}

bool
framing_host_ok(struct span s)
{
	uint64_t port;
	size_t i = 0;

	if (s.n > 0 && s.p[0] == '[') {
		i = literal_length(s);
	} else {
		while (i < s.n && host_char(s.p[i]))
			i++;
	}
	if (i == 0)
		return (false);
	if (i == s.n)
		return (true);
	return (s.p[i] == ':' &&
		num_u64_zeros((struct span){ s.p + i + 1, s.n - i - 1 }, 65535,
		    &port) == RC_OK);
}

static int
refuse(int status, const char *why, const char **why_r)
{
	*why_r = why;
	return (status);
}

static int
decide_host(
    struct http_request *rq, const struct seen *seen, const char **why_r)
{
	rq->host = seen->host;
	if (seen->n_host > 1)
		return (refuse(400, "Host is repeated", why_r));
	if (seen->n_host == 0 && rq->minor_version >= 1)
		return (refuse(400, "Host is missing", why_r));
	if (seen->n_host == 1 && !framing_host_ok(seen->host))
		return (refuse(400, "Host is malformed", why_r));
	return (0);
}

static int
decide_chunked(
    struct http_request *rq, const struct seen *seen, const char **why_r)
{
	if (seen->n_length > 0)
		return (refuse(400,
		    "Content-Length and Transfer-Encoding exclude each other",
		    why_r));
	if (rq->minor_version == 0)
		return (
		    refuse(400, "HTTP/1.0 has no Transfer-Encoding", why_r));
	if (seen->n_coding > 1)
		return (refuse(400, "Transfer-Encoding is repeated", why_r));
	if (!span_eq_nocase(seen->coding, SPAN("chunked")))
		return (refuse(501,
		    "the only Transfer-Encoding known is \"chunked\"", why_r));
	rq->framing = HTTP_BODY_CHUNKED;
	return (0);
}

static int
decide_length(
    struct http_request *rq, const struct seen *seen, const char **why_r)
{
	if (seen->n_length > 1)
		return (refuse(400, "Content-Length is repeated", why_r));
	if (num_u64_zeros(seen->length, INT64_MAX, &rq->content_length) !=
	    RC_OK)
		return (refuse(400, "Content-Length is malformed", why_r));
	rq->framing =
	    rq->content_length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
	return (0);
}

static int
decide_body(
    struct http_request *rq, const struct seen *seen, const char **why_r)
{
	rq->framing = HTTP_BODY_NONE;
	rq->content_length = 0;
	if (seen->n_coding > 0)
		return (decide_chunked(rq, seen, why_r));
	if (seen->n_length > 0)
		return (decide_length(rq, seen, why_r));
	return (0);
}

int
framing_decide(struct http_request *rq, const char **why_r)
{
	struct seen seen = { 0 };
	size_t i;
	int status;

	for (i = 0; i < rq->n_headers; i++)
		see(&seen, &rq->headers[i]);
	rq->keep_alive =
	    !seen.close && (rq->minor_version >= 1 || seen.keep_alive);
	rq->expect_continue = false;
	if ((status = decide_host(rq, &seen, why_r)) != 0)
		return (status);
	if ((status = decide_body(rq, &seen, why_r)) != 0)
		return (status);
	if (seen.expect_unknown)
		return (refuse(417,
		    "the only expectation known is \"100-continue\"", why_r));
	/* RFC 9110 section 10.1.1: ignored in HTTP/1.0. */
	rq->expect_continue = seen.expect && rq->minor_version >= 1 &&
			      rq->framing != HTTP_BODY_NONE;
	return (0);
}
