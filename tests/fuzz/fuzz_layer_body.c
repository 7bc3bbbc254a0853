#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/api/layer_body.h"

/*
 * The first byte says how the text behind it is cut; it is read in one piece
 * too, and both come to the same.  The oracle is the JSON library, which reads
 * the whole text at once: what it takes the reader takes, unless the blob is
 * not base64 or the rest too long, and what it refuses comes to nothing.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct read {
	struct layer_body body;
	struct buf blob;
	enum rc rc;
	json_t *in; /* NULL: refused */
};

static enum rc
blob_add(void *arg, const uint8_t *p, size_t n)
{
	struct read *r = arg;

	must(n > 0 && n <= LAYER_BODY_PIECE_BYTES);
	buf_add(&r->blob, p, n);
	return (RC_OK);
}

/* A fresh piece for each, so that reading past its end is seen. */
static void
piece_feed(struct layer_body *b, struct span text)
{
	char *piece = xmalloc(text.n > 0 ? text.n : 1);

	if (text.n > 0)
		memcpy(piece, text.p, text.n);
	layer_body_feed(b, piece, text.n);
	free(piece);
}

static struct read *
text_read(struct span text, size_t step)
{
	struct read *r = xcalloc(1, sizeof(*r));
	char why[JSON_ERROR_BYTES];
	struct span rest;
	size_t n;

	buf_init(&r->blob, SIZE_MAX);
	layer_body_init(&r->body, blob_add, r);
	for (; text.n > 0; text.p += n, text.n -= n) {
		n = text.n < step ? text.n : step;
		piece_feed(&r->body, (struct span){ text.p, n });
	}
	r->rc = layer_body_end(&r->body, &rest);
	if (r->rc == RC_OK)
		(void)(json_read(rest, why, &r->in) == RC_OK);
	must(r->rc == RC_OK || r->body.why != NULL);
	return (r);
}

static void
read_free(struct read *r)
{
	json_decref(r->in);
	buf_free(&r->blob);
	layer_body_free(&r->body);
	free(r);
}

static void
same_check(const struct read *a, const struct read *b)
{
	must(a->rc == b->rc && a->body.why == b->body.why);
	must((a->in == NULL) == (b->in == NULL));
	if (a->in == NULL)
		return;
	must(span_eq(buf_as_span(&a->body.rest), buf_as_span(&b->body.rest)));
	must(span_eq(buf_as_span(&a->blob), buf_as_span(&b->blob)));
}

/* The library's document, with the blob taken out of it. */
static void
taken_check(const struct read *r, json_t *doc, const json_t *blob)
{
	struct span text = { json_string_value(blob),
		json_string_length(blob) };
	uint8_t *out = xmalloc(3 * (text.n / 4) + 1);
	size_t n = 0;
	enum rc rc = RC_OK;

	if (json_is_string(blob))
		rc = base64_decode(text, out, &n);
	must((rc == RC_OK) == (r->in != NULL));
	if (rc == RC_OK) {
		must(span_eq(buf_as_span(&r->blob),
		    (struct span){ (const char *)out, n }));
		if (json_is_string(blob))
			(void)json_object_set_new(
			    doc, LAYER_BODY_MEMBER, json_string(""));
		must(json_equal(doc, r->in));
	}
	free(out);
}

static void
oracle_check(const struct read *r, struct span text)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc;

	if (r->rc == RC_TOOBIG) {
		must(text.n > LAYER_BODY_REST_MAX_BYTES);
		return;
	}
	if (json_read(text, why, &doc) != RC_OK) {
		must(r->in == NULL);
		return;
	}
	if (json_is_object(doc))
		taken_check(r, doc, json_object_get(doc, LAYER_BODY_MEMBER));
	else
		must(r->in == NULL);
	json_decref(doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct read *whole, *cut;
	struct span text;

	if (n == 0)
		return (0);
	text = (struct span){ (const char *)data + 1, n - 1 };
	whole = text_read(text, SIZE_MAX);
	cut = text_read(text, (size_t)data[0] + 1);
	same_check(whole, cut);
	oracle_check(whole, text);
	read_free(cut);
	read_free(whole);
	return (0);
}
