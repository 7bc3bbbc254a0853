#include "registryd/errors.h"

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/obj.h"

static const struct {
	const char *code;
	int status;
	const char *text;
} rows[] = { [API_OK] = { "OK", 200, "ok" },
#define X(name, code, status, text) [OCI_##name] = { code, status, text },
	OCI_ERRORS(X)
#undef X
#define X(name, code, status, text) [AWS_##name] = { code, status, text },
	    AWS_ERRORS(X)
#undef X
};

const char *
api_error_code(enum api_error e)
{
	must((size_t)e < ARRAY_LEN(rows));
	return (rows[e].code);
}

int
api_error_status(enum api_error e)
{
	must((size_t)e < ARRAY_LEN(rows));
	return (rows[e].status);
}

const char *
api_error_text(enum api_error e)
{
	must((size_t)e < ARRAY_LEN(rows));
	return (rows[e].text);
}

enum api_error
api_error_of_status(int status)
{
	switch (status) {
	case 404:
		return (OCI_NOT_FOUND);
	case 405:
		return (OCI_UNSUPPORTED);
	case 408:
		return (OCI_REQUEST_TIMEOUT);
	case 413:
		return (OCI_TOO_LARGE);
	case 429:
		return (OCI_TOOMANYREQUESTS);
	case 503:
		return (OCI_UNAVAILABLE);
	case 507:
		return (OCI_INSUFFICIENT_STORAGE);
	default:
		return (status >= 500 && status != 501 && status != 505
			    ? OCI_INTERNAL
			    : OCI_REQUEST_INVALID);
	}
}

struct span
api_error_body(
    struct arena *a, enum api_error e, const char *message, const char *detail)
{
	struct span body;
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_str(&b, "{\"errors\":[{\"code\":");
	buf_json(&b, span_of(api_error_code(e)));
	buf_str(&b, ",\"message\":");
	buf_json(&b, span_of(message != NULL ? message : api_error_text(e)));
	if (detail != NULL) {
		buf_str(&b, ",\"detail\":");
		buf_str(&b, detail);
	}
	buf_str(&b, "}]}\n");
	body = arena_span(a, buf_as_span(&b));
	buf_free(&b);
	if (body.p == NULL)
		body = SPAN("{\"errors\":[{\"code\":\"INTERNAL\","
			    "\"message\":\"internal error\"}]}\n");
	return (body);
}
