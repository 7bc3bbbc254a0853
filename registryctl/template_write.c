#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * JSON as YAML.  A text stands without quotes only where every reader of YAML
 * 1.1 or 1.2 takes it for one: a date, an octal number, "y" or "12:30" is
 * quoted whatever our own reader makes of it.
 */
#define INDENT 2
#define UNFOLDED (-1)

struct writer {
	yaml_emitter_t emitter;
	struct buf out;
};

static int
bytes_take(void *arg, unsigned char *p, size_t n)
{
	struct writer *w = arg;

	buf_add(&w->out, p, n);
	return (buf_ok(&w->out));
}

static enum rc
emit(struct writer *w, yaml_event_t *event)
{
	return (yaml_emitter_emit(&w->emitter, event) ? RC_OK : RC_TOOBIG);
}

/* --- how a text is written ----------------------------------------------- */

static bool
is_word(const char *text)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off",
		"true", "false", "null" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(words[i], text) == 0)
			return (true);
	return (false);
}

static bool
has_odd_bytes(const char *text, const char *but)
{
	const unsigned char *p;

	for (p = (const unsigned char *)text; *p != '\0'; p++)
		if ((*p < ' ' && strchr(but, *p) == NULL) || *p >= 0x7f)
			return (true);
	return (false);
}

/* Lines that a block holds as they are: none ends in a blank, and the first
 * is no blank. */
static bool
is_block(const char *text)
{
	const char *p;

	if (strchr(text, '\n') == NULL || has_odd_bytes(text, "\n") ||
	    text[0] == ' ' || text[0] == '\n')
		return (false);
	for (p = text; (p = strchr(p, '\n')) != NULL; p++)
		if (p[-1] == ' ')
			return (false);
	return (text[strlen(text) - 1] != ' ');
}

static yaml_scalar_style_t
text_style(const char *text, bool key)
{
	if (!key && is_block(text))
		return (YAML_LITERAL_SCALAR_STYLE);
	if (has_odd_bytes(text, ""))
		return (YAML_DOUBLE_QUOTED_SCALAR_STYLE);
	if (text[0] == '\0' || strchr("0123456789+-.=<~", text[0]) != NULL ||
	    is_word(text))
		return (YAML_SINGLE_QUOTED_SCALAR_STYLE);
	/* The library quotes what it must. */
	return (YAML_ANY_SCALAR_STYLE);
}

static enum rc
scalar_write(struct writer *w, const char *text, yaml_scalar_style_t style)
{
	yaml_event_t event;

	must(yaml_scalar_event_initialize(&event, NULL, NULL,
		 (const yaml_char_t *)text, (int)strlen(text), 1, 1,
		 style) == 1);
	return (emit(w, &event));
}

/* --- values -------------------------------------------------------------- */

static enum rc value_write(struct writer *, const json_t *);

static enum rc
map_write(struct writer *w, const json_t *v)
{
	yaml_mapping_style_t style = json_object_size(v) == 0
					 ? YAML_FLOW_MAPPING_STYLE
					 : YAML_BLOCK_MAPPING_STYLE;
	yaml_event_t event;
	const char *key;
	json_t *item;
	enum rc rc;

	must(yaml_mapping_start_event_initialize(
		 &event, NULL, NULL, 1, style) == 1);
	if ((rc = emit(w, &event)) != RC_OK)
		return (rc);
	json_object_foreach((json_t *)v, key, item)
	{
		rc = scalar_write(w, key, text_style(key, true));
		if (rc != RC_OK || (rc = value_write(w, item)) != RC_OK)
			return (rc);
	}
	must(yaml_mapping_end_event_initialize(&event) == 1);
	return (emit(w, &event));
}

static enum rc
list_write(struct writer *w, const json_t *v)
{
	yaml_sequence_style_t style = json_array_size(v) == 0
					  ? YAML_FLOW_SEQUENCE_STYLE
					  : YAML_BLOCK_SEQUENCE_STYLE;
	yaml_event_t event;
	json_t *item;
	enum rc rc;
	size_t i;

	must(yaml_sequence_start_event_initialize(
		 &event, NULL, NULL, 1, style) == 1);
	if ((rc = emit(w, &event)) != RC_OK)
		return (rc);
	json_array_foreach(v, i, item)
	{
		if ((rc = value_write(w, item)) != RC_OK)
			return (rc);
	}
	must(yaml_sequence_end_event_initialize(&event) == 1);
	return (emit(w, &event));
}

static enum rc
value_write(struct writer *w, const json_t *v)
{
	const char *text = json_string_value(v);
	char *plain;
	enum rc rc;

	if (json_is_object(v))
		return (map_write(w, v));
	if (json_is_array(v))
		return (list_write(w, v));
	if (text != NULL)
		return (scalar_write(w, text, text_style(text, false)));
	plain = json_is_null(v) ? xstrdup("null") : template_scalar_text(v);
	rc = scalar_write(w, plain, YAML_PLAIN_SCALAR_STYLE);
	free(plain);
	return (rc);
}

static enum rc
document_write(struct writer *w, const json_t *v)
{
	yaml_event_t event;
	enum rc rc;

	must(yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) ==
	     1);
	if ((rc = emit(w, &event)) != RC_OK)
		return (rc);
	must(yaml_document_start_event_initialize(
		 &event, NULL, NULL, NULL, 1) == 1);
	if ((rc = emit(w, &event)) != RC_OK ||
	    (rc = value_write(w, v)) != RC_OK)
		return (rc);
	must(yaml_document_end_event_initialize(&event, 1) == 1);
	if ((rc = emit(w, &event)) != RC_OK)
		return (rc);
	must(yaml_stream_end_event_initialize(&event) == 1);
	return (emit(w, &event));
}

enum rc
template_write_yaml(const json_t *v, char **text_r)
{
	struct writer w = { 0 };
	enum rc rc;

	*text_r = NULL;
	buf_init(&w.out, TEMPLATE_WRITE_MAX_BYTES);
	must(yaml_emitter_initialize(&w.emitter) == 1);
	yaml_emitter_set_output(&w.emitter, bytes_take, &w);
	yaml_emitter_set_indent(&w.emitter, INDENT);
	yaml_emitter_set_width(&w.emitter, UNFOLDED);
	yaml_emitter_set_unicode(&w.emitter, 1);
	rc = document_write(&w, v);
	yaml_emitter_delete(&w.emitter);
	if (rc == RC_OK)
		*text_r = buf_take(&w.out, NULL);
	buf_free(&w.out);
	return (rc);
}
