#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/obj.h"
#include "registryd/http/framing.h"
#include "registryd/http/head.h"
#include "registryd/http/target.h"
#include "tests/fuzz/http_oracle.h"

/*
 * The head of a request.  What we accept another parser accepts with the same
 * meaning; and the verdict is the same however the bytes are cut.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define HEADERS ORACLE_HEADERS

static const struct head_limits limits = { 4096, HEADERS, 1024 };

struct parsed {
	struct http_request rq;
	struct http_header headers[HEADERS];
	struct head head;
	enum head_result result;
	int status; /* of all checks together */
	struct arena arena;
};

static void
judge(struct parsed *p)
{
	const char *why = NULL;

	p->status = p->result == HEAD_BAD ? p->head.status : 0;
	if (p->result == HEAD_DONE)
		p->status = framing_decide(&p->rq, &why);
	if (p->result == HEAD_DONE && p->status == 0)
		p->status = target_parse(&p->rq, &p->arena, &why);
	must(p->result != HEAD_BAD || p->head.why != NULL);
	must(p->result != HEAD_DONE || (p->status == 0) == (why == NULL));
}

/* In pieces of ${step} bytes. */
static void
parse(struct parsed *p, const char *text, size_t n, size_t step)
{
	size_t end = 0;

	memset(p, 0, sizeof(*p));
	arena_init(&p->arena, 1 << 20);
	head_init(&p->head, &p->rq, p->headers);
	p->result = HEAD_MORE;
	while (p->result == HEAD_MORE && end < n) {
		end = n - end < step ? n : end + step;
		p->result = head_parse(&p->head, text, end, &limits, &p->rq);
	}
	judge(p);
}

static void
same(const struct parsed *a, const struct parsed *b)
{
	size_t i;

	must(a->result == b->result && a->status == b->status);
	must(a->head.length == b->head.length);
	if (a->result != HEAD_DONE)
		return;
	must(a->rq.n_headers == b->rq.n_headers);
	must(span_eq(a->rq.target, b->rq.target));
	must(span_eq(a->rq.path, b->rq.path));
	must(a->rq.framing == b->rq.framing);
	must(a->rq.content_length == b->rq.content_length);
	for (i = 0; i < a->rq.n_headers; i++) {
		must(span_eq(a->headers[i].name, b->headers[i].name));
		must(span_eq(a->headers[i].value, b->headers[i].value));
	}
}

static bool
empty_elements(const struct http_request *rq)
{
	struct span list, element = SPAN_NONE;
	size_t i = 0;

	for (;;) {
		list = http_request_next_header(rq, "Connection", &i);
		if (list.p == NULL)
			return (false);
		while (span_split(&list, ',', &element))
			if (span_trim(element).n == 0)
				return (true);
	}
}

static void
compare(const struct http_request *rq, const struct oracle_head *h)
{
	size_t i;

	must(span_eq(h->url, rq->target));
	must(span_eq(h->method, rq->method_text));
	must(h->minor_version == rq->minor_version);
	must(h->n_headers == rq->n_headers);
	for (i = 0; i < h->n_headers; i++) {
		must(span_eq(h->names[i], rq->headers[i].name));
		must(span_eq(span_trim(h->values[i]), rq->headers[i].value));
	}
	must(h->chunked == (rq->framing == HTTP_BODY_CHUNKED));
	if (rq->framing == HTTP_BODY_LENGTH)
		must(h->content_length == rq->content_length);
	if (rq->framing == HTTP_BODY_NONE)
		must(h->content_length == 0 || h->content_length == UINT64_MAX);
	/* We close in some cases in which it would not, and it does not know
	 * that elements of a list may be empty (RFC 9110 section 5.6.1). */
	must(!rq->keep_alive || h->keep_alive || h->upgrade ||
	     empty_elements(rq));
}

static void
ask_oracle(const struct parsed *p, const char *text)
{
	enum oracle_verdict v;
	struct oracle_head h;

	v = oracle_head(text, p->head.length, &h);
	must(v != ORACLE_REFUSES);
	if (v == ORACLE_ACCEPTS)
		compare(&p->rq, &h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct parsed whole, cut;
	char *text;
	size_t step;

	if (n == 0)
		return (0);
	/* Exactly as large as it is, so that reading on is found. */
	text = malloc(n);
	must(text != NULL);
	memcpy(text, data, n);
	parse(&whole, text, n, n);
	for (step = 1; step < 40; step = 3 * step + 1) {
		parse(&cut, text, n, step);
		same(&whole, &cut);
		arena_reset(&cut.arena);
	}
	if (whole.result == HEAD_DONE && whole.status == 0)
		ask_oracle(&whole, text);
	arena_reset(&whole.arena);
	free(text);
	return (0);
}
