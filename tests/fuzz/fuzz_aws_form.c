#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "registryd/api/aws_int.h"

/*
 * A body of the query protocol.  What is read and written down again, every
 * byte escaped, is read as the same; what a form gives an operation fits its
 * shape or is refused, in XML that holds nothing but characters of XML.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ARENA_BYTES ((size_t)16 << 20)

static size_t
escape(struct span s, char *out)
{
	size_t i, n = 0;

	for (i = 0; i < s.n; i++)
		n += (size_t)snprintf(
		    out + n, 4, "%%%02X", (unsigned char)s.p[i]);
	return (n);
}

static size_t
form_write(const struct aws_form *form, char *out)
{
	size_t i, n = 0;

	for (i = 0; i < form->n; i++) {
		n += escape(form->pairs[i].key, out + n);
		out[n++] = '=';
		n += escape(form->pairs[i].value, out + n);
		out[n++] = '&';
	}
	return (n);
}

static void
again_check(const struct aws_form *form)
{
	struct aws_form again;
	struct arena arena;
	size_t i, room = 1;
	char *text;

	for (i = 0; i < form->n; i++)
		room += 3 * (form->pairs[i].key.n + form->pairs[i].value.n) + 3;
	text = malloc(room);
	must(text != NULL);
	arena_init(&arena, ARENA_BYTES);
	must(aws_form_parse((struct span){ text, form_write(form, text) },
		 &arena, &again) == RC_OK);
	must(again.n == form->n);
	for (i = 0; i < form->n; i++) {
		must(span_eq(again.pairs[i].key, form->pairs[i].key));
		must(span_eq(again.pairs[i].value, form->pairs[i].value));
	}
	arena_reset(&arena);
	free(text);
}

static void
xml_check(struct span xml)
{
	size_t i;

	must(xml.n > 0 && xml.p[0] == '<' && xml.p[xml.n - 1] == '>');
	for (i = 0; i < xml.n; i++)
		must((unsigned char)xml.p[i] >= 0x20 || xml.p[i] == '\t' ||
		     xml.p[i] == '\n');
}

static void
input_try(struct call *c, const struct aws_form *form)
{
	json_t *in = NULL;
	enum rc rc;

	rc = aws_form_input(c, form, &c->operation->input, &in);
	if (rc == RC_OK)
		rc = aws_validate(c, &c->operation->input, in);
	must(rc == RC_OK || rc == RC_FAILED);
	if (rc == RC_FAILED) {
		must(c->error == AWS_SERIALIZATION ||
		     c->error == AWS_INVALID_PARAMETER);
		aws_error(c);
		xml_check(c->answer->bytes);
	}
	json_decref(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct http_exchange x = { .request = { .tls = false } };
	struct call c = { .x = &x,
		.request = &x.request,
		.answer = &x.response,
		.arena = &x.arena,
		.shape = SHAPE_AWS_QUERY };
	struct aws_form form;
	enum rc rc;

	arena_init(&x.arena, ARENA_BYTES);
	http_response_init(&x.response);
	memset(x.request.id, '0', HTTP_REQUEST_ID_BYTES - 1);
	c.operation = aws_operation_find(SPAN("GetSessionToken"), false);
	rc = aws_form_parse(
	    (struct span){ (const char *)data, n }, &x.arena, &form);
	must(rc == RC_OK || rc == RC_INVALID || rc == RC_LIMIT ||
	     rc == RC_TOOBIG);
	must(form.n <= FORM_PAIRS_MAX);
	if (rc == RC_OK) {
		again_check(&form);
		input_try(&c, &form);
	}
	arena_reset(&x.arena);
	return (0);
}
