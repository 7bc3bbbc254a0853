#include "registryctl/template_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Text in, a template out.  What begins with a brace is JSON: in YAML it could
 * be a mapping in flow style, which nobody writes a template in, and the
 * reader of JSON says better what is wrong with JSON.
 */

/* --- failures ------------------------------------------------------------ */

/* A cut through a character of several bytes moves to the front of it. */
static void
tail_mend(char *text)
{
	size_t n = strlen(text), i = n, need;
	unsigned char lead;

	while (i > 0 && ((unsigned char)text[i - 1] & 0xc0) == 0x80)
		i--;
	if (i == 0)
		return;
	lead = (unsigned char)text[i - 1];
	need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (n - (i - 1) < need)
		text[i - 1] = '\0';
}

enum rc
template_vfail(char *why, enum rc rc, const char *fmt, va_list ap)
{
	char *c;

	(void)vsnprintf(why, TEMPLATE_WHY_BYTES, fmt, ap);
	for (c = why; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	tail_mend(why);
	return (rc);
}

enum rc
template_fail(char *why, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)template_vfail(why, rc, fmt, ap);
	va_end(ap);
	return (rc);
}

/* --- JSON ---------------------------------------------------------------- */

static enum rc
size_check(const json_t *v, unsigned depth, size_t *n_nodes, char *why)
{
	const char *key;
	json_t *item;
	enum rc rc = RC_OK;
	size_t i;

	if (++*n_nodes > TEMPLATE_NODES_MAX)
		return (template_fail(
		    why, RC_TOOBIG, "more than %d values", TEMPLATE_NODES_MAX));
	if (!json_is_object(v) && !json_is_array(v))
		return (RC_OK);
	if (depth == TEMPLATE_DEPTH_MAX)
		return (template_fail(why, RC_TOOBIG,
		    "nested more than %d levels deep", TEMPLATE_DEPTH_MAX));
	json_object_foreach((json_t *)v, key, item)
	{
		if ((rc = size_check(item, depth + 1, n_nodes, why)) != RC_OK)
			return (rc);
	}
	json_array_foreach(v, i, item)
	{
		if ((rc = size_check(item, depth + 1, n_nodes, why)) != RC_OK)
			return (rc);
	}
	return (rc);
}

static enum rc
json_text_read(struct span text, char *why, json_t **doc_r)
{
	char reason[JSON_ERROR_BYTES];
	size_t n_nodes = 0;
	enum rc rc;

	rc = json_read(text, reason, doc_r);
	if (rc != RC_OK)
		return (template_fail(why, rc, "%s", reason));
	return (size_check(*doc_r, 0, &n_nodes, why));
}

/* --- both ---------------------------------------------------------------- */

/* White space of JSON. */
static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

static struct span
text_begin(struct span text)
{
	static const struct span bom = SPAN_INIT("\xef\xbb\xbf");

	if (span_has_prefix(text, bom)) {
		text.p += bom.n;
		text.n -= bom.n;
	}
	while (text.n > 0 && is_blank(text.p[0])) {
		text.p++;
		text.n--;
	}
	return (text);
}

enum rc
template_read(struct span text, char why[TEMPLATE_WHY_BYTES],
    struct template **template_r)
{
	struct span begin = text_begin(text);
	struct template *t;
	enum rc rc;

	*template_r = NULL;
	why[0] = '\0';
	if (text.n > TEMPLATE_MAX_BYTES)
		return (template_fail(
		    why, RC_TOOBIG, "more than %zu bytes", TEMPLATE_MAX_BYTES));
	if (begin.n == 0)
		return (
		    template_fail(why, RC_INVALID, "there is nothing in it"));
	t = xcalloc(1, sizeof(*t));
	t->lines = json_object();
	must(t->lines != NULL);
	/* JSON from the first line on, so that lines in messages are right;
	 * but without the mark, which is not JSON. */
	if (begin.p[0] == '{')
		rc = json_text_read(
		    text.p[0] == '\xef' ? begin : text, why, &t->doc);
	else
		rc = template_yaml_read(text, why, &t->doc, t->lines);
	if (rc == RC_OK)
		rc = template_check(t->doc, why);
	if (rc != RC_OK)
		template_free(&t);
	*template_r = t;
	return (rc);
}

void
template_free(struct template **t_p)
{
	struct template *t = t_p != NULL ? *t_p : NULL;

	if (t == NULL)
		return;
	*t_p = NULL;
	json_decref(t->doc);
	json_decref(t->lines);
	free(t);
}
