#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/api/aws_int.h"

/* Answers: an object, as JSON 1.1 or as the XML of the query protocol. */

/* Ten digits of seconds and three behind the point. */
#define TIME_DIGITS 13
#define RESULT_NAME_BYTES 128
#define XML_MAX_BYTES ((size_t)1 << 20)

void
aws_put(json_t *out, const char *name, json_t *value)
{
	/* Fails for want of memory alone. */
	must(json_object_set_new(out, name, value) == 0);
}

void
aws_append(json_t *list, json_t *value)
{
	must(json_array_append_new(list, value) == 0);
}

void
aws_put_text(json_t *out, const char *name, struct span text)
{
	aws_put(out, name, call_text(text));
}

void
aws_put_time(json_t *out, const char *name, int64_t ms)
{
	aws_put(out, name, json_real((double)ms / 1000.0));
}

const char *
aws_request_id(struct call *c)
{
	const char *id = c->request->id;
	char *out;

	must(strlen(id) == HTTP_REQUEST_ID_BYTES - 1);
	out = arena_printf(c->arena, "%.8s-%.4s-%.4s-%.4s-%s", id, id + 8,
	    id + 12, id + 16, id + 20);
	return (out != NULL ? out : id);
}

/* --- XML ----------------------------------------------------------------- */

/* XML 1.0 has no place for control characters, escaped or not. */
static void
xml_char(struct buf *out, char c)
{
	switch (c) {
	case '&':
		buf_str(out, "&amp;");
		break;
	case '<':
		buf_str(out, "&lt;");
		break;
	case '>':
		buf_str(out, "&gt;");
		break;
	case '"':
		buf_str(out, "&quot;");
		break;
	case '\r':
		buf_str(out, "&#xD;");
		break;
	default:
		if ((unsigned char)c < 0x20 && c != '\t' && c != '\n')
			buf_str(out, "\xef\xbf\xbd");
		else
			buf_char(out, c);
	}
}

static void
xml_text(struct buf *out, const json_t *value)
{
	const char *p = json_string_value(value);
	size_t i;

	if (json_is_integer(value))
		buf_printf(
		    out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		buf_str(out, json_is_true(value) ? "true" : "false");
	for (i = 0; p != NULL && i < json_string_length(value); i++)
		xml_char(out, p[i]);
}

void
aws_xml(struct buf *out, const char *name, const json_t *value)
{
	json_t *object = (json_t *)(uintptr_t)value, *v;
	const char *key;
	size_t i;

	buf_printf(out, "<%s>", name);
	if (json_is_array(value)) {
		for (i = 0; i < json_array_size(value); i++)
			aws_xml(out, "member", json_array_get(value, i));
	} else if (json_is_object(value)) {
		json_object_foreach(object, key, v)
		{
			aws_xml(out, key, v);
		}
	} else {
		xml_text(out, value);
	}
	buf_printf(out, "</%s>", name);
}

/* --- the answer ---------------------------------------------------------- */

static void
xml_answer(struct call *c, const json_t *out, struct buf *text)
{
	const struct aws_operation *op = c->operation;
	char result[RESULT_NAME_BYTES];

	(void)snprintf(result, sizeof(result), "%sResult", op->name);
	buf_printf(
	    text, "<%sResponse xmlns=\"%s\">", op->name, op->service->xmlns);
	aws_xml(text, result, out);
	buf_printf(text,
	    "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>"
	    "</%sResponse>",
	    aws_request_id(c), op->name);
}

static enum rc
json_answer(struct call *c, const json_t *out)
{
	struct buf copy;
	char *text;

	text = json_dumps(out, JSON_COMPACT | JSON_REAL_PRECISION(TIME_DIGITS));
	must(text != NULL);
	buf_init(&copy, SIZE_MAX);
	buf_str(&copy, text);
	mem_wipe(text, copy.n); /* there may be a token in it */
	free(text);
	return (call_json_secret(c, 200, AWS_JSON_TYPE, &copy));
}

enum rc
aws_answer(struct call *c, const json_t *out)
{
	struct buf text;

	call_header(c, "x-amzn-RequestId", "%s", aws_request_id(c));
	http_response_header(c->answer, "Cache-Control", SPAN("no-store"));
	if (c->shape == SHAPE_AWS_JSON)
		return (json_answer(c, out));
	buf_init(&text, XML_MAX_BYTES);
	xml_answer(c, out, &text);
	return (call_json_secret(c, 200, AWS_XML_TYPE, &text));
}
