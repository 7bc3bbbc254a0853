#include "registryd/api/aws_int.h"

#include "base/buf.h"
#include "base/obj.h"

/*
 * Errors in AWS's words.  What the layers below the handlers report is in the
 * words of the distribution API (call_fail_rc) and is translated here.
 */
static enum api_error
error_of(enum api_error e)
{
	static const struct {
		enum api_error from, to;
	} rows[] = {
		{ OCI_INTERNAL, AWS_SERVER },
		{ OCI_KEY_MISSING, AWS_KMS },
		{ OCI_INSUFFICIENT_STORAGE, AWS_SERVER },
		{ OCI_UNAVAILABLE, AWS_SERVICE_UNAVAILABLE },
		{ OCI_UPSTREAM_UNAVAILABLE, AWS_SERVICE_UNAVAILABLE },
		{ OCI_UPSTREAM_TIMEOUT, AWS_SERVICE_UNAVAILABLE },
		{ OCI_TOOMANYREQUESTS, AWS_THROTTLING },
		{ OCI_TOO_LARGE, AWS_REQUEST_TOO_LARGE },
		{ OCI_REQUEST_TIMEOUT, AWS_REQUEST_TIMEOUT },
		{ OCI_REQUEST_INVALID, AWS_SERIALIZATION },
		{ OCI_UNAUTHORIZED, AWS_MISSING_TOKEN },
		{ OCI_DENIED, AWS_ACCESS_DENIED },
		{ OCI_NAME_UNKNOWN, AWS_REPOSITORY_NOT_FOUND },
	};
	size_t i;

	if (e >= AWS_ACCESS_DENIED)
		return (e);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].from == e)
			return (rows[i].to);
	return (
	    api_error_status(e) >= 500 ? AWS_SERVER : AWS_INVALID_PARAMETER);
}

/* --- JSON ---------------------------------------------------------------- */

/* Members of the error's own stand beside __type and message. */
static void
detail_write(struct buf *out, const char *detail)
{
	struct span text = span_of(detail);

	if (text.n <= 2 || text.p[0] != '{')
		return;
	buf_char(out, ',');
	buf_span(out, (struct span){ text.p + 1, text.n - 2 });
}

static void
json_error(
    struct call *c, enum api_error e, const char *message, struct buf *out)
{
	const char *code = api_error_code(e);

	buf_str(out, "{\"__type\":");
	buf_json(out, span_of(code));
	buf_str(out, ",\"message\":");
	buf_json(out, span_of(message));
	detail_write(out, c->detail);
	buf_char(out, '}');
	call_header(c, "x-amzn-ErrorType", "%s", code);
}

/* --- query --------------------------------------------------------------- */

/* STS has names and codes of its own ("Common Errors" of its reference). */
static const struct query_error {
	enum api_error error;
	int status;
	const char *code;
} query_errors[] = {
	{ AWS_ACCESS_DENIED, 403, "AccessDenied" },
	{ AWS_EXPIRED_TOKEN, 403, "ExpiredToken" },
	{ AWS_INCOMPLETE_SIGNATURE, 403, "IncompleteSignature" },
	{ AWS_INVALID_SIGNATURE, 403, "SignatureDoesNotMatch" },
	{ AWS_MISSING_TOKEN, 403, "MissingAuthenticationToken" },
	{ AWS_UNRECOGNIZED_CLIENT, 403, "InvalidClientTokenId" },
	{ AWS_THROTTLING, 400, "Throttling" },
	{ AWS_UNKNOWN_OPERATION, 400, "InvalidAction" },
	{ AWS_SERIALIZATION, 400, "MalformedInput" },
	{ AWS_INVALID_PARAMETER, 400, "ValidationError" },
	{ AWS_VALIDATION, 400, "ValidationError" },
	{ AWS_REQUEST_TOO_LARGE, 413, "RequestEntityTooLarge" },
	{ AWS_REQUEST_TIMEOUT, 408, "RequestTimeout" },
	{ AWS_SERVICE_UNAVAILABLE, 503, "ServiceUnavailable" },
	{ AWS_SERVER, 500, "InternalFailure" },
};

static const struct query_error *
query_error_of(enum api_error e)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(query_errors); i++)
		if (query_errors[i].error == e)
			return (&query_errors[i]);
	return (&query_errors[ARRAY_LEN(query_errors) - 1]);
}

static void
query_write(struct call *c, const struct query_error *e, const char *message,
    struct buf *out)
{
	json_t *error;

	error = json_pack("{s:s,s:s,s:o}", "Type",
	    e->status < 500 ? "Sender" : "Receiver", "Code", e->code, "Message",
	    call_text(span_of(message)));
	buf_printf(out, "<ErrorResponse xmlns=\"%s\">",
	    c->operation != NULL ? c->operation->service->xmlns
				 : AWS_STS_XMLNS);
	aws_xml(out, "Error", error);
	buf_printf(out, "<RequestId>%s</RequestId></ErrorResponse>",
	    aws_request_id(c));
	json_decref(error);
}

/* --- either -------------------------------------------------------------- */

void
aws_error(struct call *c)
{
	enum api_error e = error_of(c->error);
	const char *message, *type = AWS_JSON_TYPE;
	const struct query_error *q;
	int status = api_error_status(e);
	struct span body;
	struct buf b;

	message = c->message != NULL ? c->message : api_error_text(e);
	buf_init(&b, SIZE_MAX);
	if (c->shape == SHAPE_AWS_QUERY) {
		q = query_error_of(e);
		query_write(c, q, message, &b);
		status = q->status;
		type = AWS_XML_TYPE;
	} else {
		json_error(c, e, message, &b);
	}
	body = arena_span(c->arena, buf_as_span(&b));
	buf_free(&b);
	call_header(c, "x-amzn-RequestId", "%s", aws_request_id(c));
	c->answer->head_length = false;
	call_json(c, status, type, body.p != NULL ? body : SPAN("{}"));
}
