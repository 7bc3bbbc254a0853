#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Outputs: what the resources came to, by name.  One whose value rests on
 * what is not set up here is named instead.
 */
static enum rc
short_text(struct resolver *r, const json_t *v, char **text_r)
{
	enum rc rc = template_text(r, v, text_r);

	if (rc != RC_OK || strlen(*text_r) <= TEMPLATE_OUTPUT_MAX_BYTES)
		return (rc);
	free(*text_r);
	*text_r = NULL;
	return (template_refuse(r, RC_TOOBIG, "it comes to more than %d bytes",
	    TEMPLATE_OUTPUT_MAX_BYTES));
}

static enum rc
export_read(struct resolver *r, const json_t *node, char **name_r)
{
	const json_t *v =
	    json_object_get(json_object_get(node, "Export"), "Name");
	size_t outer, inner;
	enum rc rc;

	*name_r = NULL;
	if (v == NULL)
		return (RC_OK);
	outer = template_enter(r, "Export");
	inner = template_enter(r, "Name");
	rc = short_text(r, v, name_r);
	template_leave(r, inner);
	template_leave(r, outer);
	return (rc);
}

static enum rc
output_read(struct resolver *r, const char *name, const json_t *node,
    struct template_output *o)
{
	size_t where = template_enter(r, "Value");
	char *exported;
	enum rc rc;

	*o = (struct template_output){ .name = name,
		.description =
		    json_string_value(json_object_get(node, "Description")) };
	rc = short_text(r, json_object_get(node, "Value"), &o->value);
	template_leave(r, where);
	if (rc != RC_OK)
		return (rc);
	if ((rc = export_read(r, node, &exported)) != RC_OK) {
		free(o->value);
		return (rc);
	}
	o->export_name = exported;
	return (RC_OK);
}

static enum rc
output_take(struct resolver *r, const char *name, const json_t *node,
    struct template_resolved *out)
{
	const char *condition =
	    json_string_value(json_object_get(node, "Condition"));
	bool is = true;
	enum rc rc;

	if (condition != NULL &&
	    (rc = template_condition(r, condition, &is)) != RC_OK)
		return (rc);
	if (!is)
		return (RC_OK);
	rc = output_read(r, name, node, &out->outputs[out->n_outputs]);
	if (rc == RC_OK)
		out->n_outputs++;
	else if (rc == RC_UNSUPPORTED) {
		out->outputs_skipped[out->n_outputs_skipped++] = name;
		rc = RC_OK;
	}
	return (rc);
}

static int
name_cmp(const void *a, const void *b)
{
	return (strcmp(*(const char *const *)a, *(const char *const *)b));
}

static int
output_cmp(const void *a, const void *b)
{
	const struct template_output *x = a, *y = b;

	return (strcmp(x->name, y->name));
}

/* Two exports of one name would be one value or the other. */
static enum rc
exports_check(struct resolver *r, const struct template_resolved *out)
{
	size_t i, k;

	for (i = 0; i < out->n_outputs; i++)
		for (k = 0; k < i; k++)
			if (out->outputs[i].export_name != NULL &&
			    out->outputs[k].export_name != NULL &&
			    strcmp(out->outputs[i].export_name,
				out->outputs[k].export_name) == 0)
				return (template_fail(r->why, RC_INVALID,
				    "Outputs.%.250s and Outputs.%.250s are "
				    "exported by one name",
				    out->outputs[k].name,
				    out->outputs[i].name));
	return (RC_OK);
}

enum rc
template_outputs(struct resolver *r, struct template_resolved *out)
{
	const json_t *all = json_object_get(r->t->doc, "Outputs");
	size_t n = json_object_size(all), outer, inner;
	const char *name;
	json_t *node;
	enum rc rc;

	out->outputs = xcalloc(n + 1, sizeof(*out->outputs));
	out->outputs_skipped = xcalloc(n + 1, sizeof(*out->outputs_skipped));
	outer = template_enter(r, "Outputs");
	json_object_foreach((json_t *)all, name, node)
	{
		inner = template_enter(r, name);
		if ((rc = output_take(r, name, node, out)) != RC_OK)
			return (rc);
		template_leave(r, inner);
	}
	template_leave(r, outer);
	qsort(out->outputs, out->n_outputs, sizeof(*out->outputs), output_cmp);
	qsort(out->outputs_skipped, out->n_outputs_skipped,
	    sizeof(*out->outputs_skipped), name_cmp);
	return (exports_check(r, out));
}
