#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/obj.h"
#include "auth/principal.h"
#include "registryd/api/aws_int.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * The first line of the input names an operation, the rest is the body of a
 * request for it.  What is refused is refused by one of three errors, in an
 * answer that is JSON itself; what is taken has all that the shape requires.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ARENA_BYTES ((size_t)16 << 20)

static void
refusal_check(struct call *c)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc;

	must(c->error == AWS_SERIALIZATION ||
	     c->error == AWS_INVALID_PARAMETER ||
	     c->error == AWS_INVALID_TAG_PARAMETER ||
	     c->error == AWS_TOO_MANY_RESOURCE_TAGS || c->error == AWS_KMS ||
	     c->error == AWS_ACCESS_DENIED);
	must(c->message != NULL && c->message[0] != '\0');
	aws_error(c);
	must(json_read(c->answer->bytes, why, &doc) == RC_OK);
	must(json_is_string(json_object_get(doc, "__type")));
	must(json_is_string(json_object_get(doc, "message")));
	json_decref(doc);
}

static void
members_check(const struct aws_shape *s, const json_t *in)
{
	size_t i;

	for (i = 0; i < s->n_members; i++)
		must(!s->members[i].required ||
		     aws_member(in, s->members[i].name) != NULL);
}

static enum rc
body_take(struct call *c, const struct aws_operation *op, const json_t *in)
{
	enum rc rc;

	rc = aws_validate(c, &op->input, in);
	if (rc != RC_OK)
		return (rc);
	members_check(&op->input, in);
	return (op->check != NULL ? op->check(c, in) : RC_OK);
}

static void
operation_try(const struct aws_operation *op, struct span body)
{
	static const struct settings settings = {
		.account_id = "123456789012",
		.region = "us-east-1",
		.external_url = "",
		.repository_uri_format = "{host}",
	};
	static struct service service = { .magic = SERVICE_MAGIC };
	static const struct principal who = { .kind = PRINCIPAL_USER };
	struct http_exchange x = { .request = { .tls = false } };
	struct call c = { .x = &x,
		.request = &x.request,
		.answer = &x.response,
		.arena = &x.arena,
		.settings = &settings,
		.service = &service,
		.operation = op,
		.who = &who,
		.expires_ms = INT64_MAX,
		.shape = SHAPE_AWS_JSON };
	char why[JSON_ERROR_BYTES];
	json_t *in;
	enum rc rc;

	if (json_read(body, why, &in) != RC_OK)
		return;
	arena_init(&x.arena, ARENA_BYTES);
	http_response_init(&x.response);
	memset(x.request.id, '0', HTTP_REQUEST_ID_BYTES - 1);
	rc = body_take(&c, op, in);
	must(rc == RC_OK || rc == RC_FAILED || rc == RC_TOOBIG);
	if (rc == RC_FAILED)
		refusal_check(&c);
	json_decref(in);
	arena_reset(&x.arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span body = { (const char *)data, n }, name = SPAN_NONE;
	size_t i;

	(void)span_split(&body, '\n', &name);
	for (i = 0; i < n_aws_operations; i++)
		if (span_is(name, aws_operations[i].name))
			operation_try(&aws_operations[i], body);
	return (0);
}
