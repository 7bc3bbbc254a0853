#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "scan/layer_int.h"

/*
 * What the readers have in common: lines, fields, and the list that they add
 * to.
 */
#define ROOM_FIRST 64

bool
line_next(struct span *rest, struct span *line_r)
{
	if (!span_split(rest, '\n', line_r))
		return (false);
	if (line_r->n > 0 && line_r->p[line_r->n - 1] == '\r')
		line_r->n--;
	return (true);
}

bool
field_next(struct span *rest, struct field *f_r)
{
	struct span line;
	const char *colon;

	while (line_next(rest, &line)) {
		if (span_trim(line).n == 0)
			return (false);
		if (line.p[0] == ' ' || line.p[0] == '\t')
			continue;
		colon = memchr(line.p, ':', line.n);
		if (colon == NULL)
			continue;
		f_r->name = (struct span){ line.p, (size_t)(colon - line.p) };
		f_r->value = span_trim(
		    (struct span){ colon + 1, line.n - f_r->name.n - 1 });
		return (true);
	}
	return (false);
}

/* One line of text: what a terminal would act on is none. */
static enum rc
text_take(struct package_list *list, struct span in, struct span *out_r)
{
	struct span copy;
	size_t i;
	char *p;

	*out_r = SPAN("");
	if (in.n == 0)
		return (RC_OK);
	if (in.n > PACKAGE_TEXT_MAX_BYTES) {
		(void)snprintf(list->why, READ_WHY_BYTES,
		    "a package with a name or version of more than %zu bytes",
		    PACKAGE_TEXT_MAX_BYTES);
		return (RC_TOOBIG);
	}
	p = arena_dup(list->arena, in.p, in.n);
	if (p == NULL) {
		(void)snprintf(list->why, READ_WHY_BYTES,
		    "more text of packages than is kept");
		return (RC_TOOBIG);
	}
	for (i = 0; i < in.n; i++)
		if ((uint8_t)p[i] < ' ' || p[i] == '\x7f')
			p[i] = ' ';
	copy = span_trim((struct span){ p, in.n });
	if (copy.n > 0)
		*out_r = copy;
	return (RC_OK);
}

enum rc
package_owns(struct package_list *list, struct span folder, struct span name)
{
	char text[2 * LAYER_PATH_MAX_BYTES + 2], out[LAYER_PATH_MAX_BYTES + 1];
	struct span path;

	if (folder.n > LAYER_PATH_MAX_BYTES || name.n > LAYER_PATH_MAX_BYTES)
		return (RC_OK);
	(void)snprintf(text, sizeof(text), SPAN_FMT "/" SPAN_FMT,
	    SPAN_ARG(folder), SPAN_ARG(name));
	if (layer_path(span_of(text), out, &path) != RC_OK ||
	    file_kind_of(path) != FILE_PYTHON_METADATA)
		return (RC_OK);
	if (list->n_owned == LAYER_OWNED_MAX) {
		(void)snprintf(list->why, READ_WHY_BYTES,
		    "more than %d files of packages of Python",
		    LAYER_OWNED_MAX);
		return (RC_TOOBIG);
	}
	if (list->n_owned == list->owned_room) {
		list->owned_room =
		    list->owned_room > 0 ? 2 * list->owned_room : ROOM_FIRST;
		list->owned = xrealloc(
		    list->owned, list->owned_room * sizeof(list->owned[0]));
	}
	list->owned[list->n_owned++] = path_hash(path);
	return (RC_OK);
}

static enum rc
row_take(struct package_list *list, const struct package *in, struct package *p)
{
	enum rc rc;

	*p = (struct package){ .type = in->type };
	if ((rc = text_take(list, in->name, &p->name)) != RC_OK ||
	    (rc = text_take(list, in->version, &p->version)) != RC_OK ||
	    (rc = text_take(list, in->arch, &p->arch)) != RC_OK ||
	    (rc = text_take(list, in->source_name, &p->source_name)) != RC_OK ||
	    (rc = text_take(list, in->source_version, &p->source_version)) !=
		RC_OK)
		return (rc);
	/* Some put the whole text there. */
	if (in->license.n <= PACKAGE_TEXT_MAX_BYTES)
		return (text_take(list, in->license, &p->license));
	return (text_take(list, SPAN("see its text"), &p->license));
}

enum rc
package_add(struct package_list *list, const struct package *in)
{
	struct package p;
	enum rc rc;

	if ((rc = row_take(list, in, &p)) != RC_OK)
		return (rc);
	if (p.name.n == 0 || p.version.n == 0)
		return (RC_OK);
	if (list->n == PACKAGES_MAX) {
		(void)snprintf(list->why, READ_WHY_BYTES,
		    "more than %d packages", PACKAGES_MAX);
		return (RC_TOOBIG);
	}
	if (list->n == list->room) {
		list->room = list->room > 0 ? 2 * list->room : ROOM_FIRST;
		list->rows =
		    xrealloc(list->rows, list->room * sizeof(list->rows[0]));
	}
	list->rows[list->n++] = p;
	return (RC_OK);
}
