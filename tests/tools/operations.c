#include <stdio.h>
#include <string.h>

#include "registryd/api/aws_int.h"
#include "registryd/errors.h"

/*
 * Print what the table of operations says, as JSON, so that it can be held
 * against the models that clients carry and against the documents:
 *
 *	{"operations": [{"name", "service", "input": SHAPE}], "errors": [NAME]}
 *	SHAPE = {"type", "min", "max", "pattern", "enum", "element", "members":
 *	    [{"name", "required", "shape": SHAPE}]}
 */

static const char *const type_names[] = {
	[AWS_STRING] = "string",
	[AWS_INTEGER] = "integer",
	[AWS_BOOLEAN] = "boolean",
	[AWS_LIST] = "list",
	[AWS_MAP] = "map",
	[AWS_STRUCTURE] = "structure",
	[AWS_BLOB] = "blob",
};

static json_t *
values_json(const char *const *values)
{
	json_t *list = json_array();

	for (; *values != NULL; values++)
		aws_append(list, json_string(*values));
	return (list);
}

static json_t *
scalar_json(const struct aws_shape *s)
{
	json_t *o = json_pack("{s:s,s:I,s:I}", "type", type_names[s->type],
	    "min", (json_int_t)s->min, "max", (json_int_t)s->max);

	if (s->expression != NULL)
		aws_put(o, "pattern", json_string(s->expression));
	if (s->values != NULL)
		aws_put(o, "enum", values_json(s->values));
	return (o);
}

/* Shapes hold no cycles, and are not deep: the table fixes them. */
static json_t *
shape_json(const struct aws_shape *s) // NOLINT(misc-no-recursion)
{
	json_t *o = scalar_json(s), *members;
	size_t i;

	if (s->element != NULL)
		aws_put(o, "element", shape_json(s->element));
	if (s->type != AWS_STRUCTURE)
		return (o);
	members = json_array();
	for (i = 0; i < s->n_members; i++)
		aws_append(members,
		    json_pack("{s:s,s:b,s:o}", "name", s->members[i].name,
			"required", s->members[i].required, "shape",
			shape_json(s->members[i].shape)));
	aws_put(o, "members", members);
	return (o);
}

static json_t *
operations_json(void)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < n_aws_operations; i++)
		aws_append(list,
		    json_pack("{s:s,s:s,s:o}", "name", aws_operations[i].name,
			"service", aws_operations[i].service->name, "input",
			shape_json(&aws_operations[i].input)));
	return (list);
}

static json_t *
errors_json(void)
{
	json_t *list = json_array();

#define X(name, code, status, text) aws_append(list, json_string(code));
	AWS_ERRORS(X)
#undef X
	return (list);
}

int
main(void)
{
	json_t *all = json_pack("{s:o,s:o}", "operations", operations_json(),
	    "errors", errors_json());
	int err;

	err = json_dumpf(all, stdout, JSON_INDENT(1));
	json_decref(all);
	return (err == 0 && printf("\n") == 1 ? 0 : 1);
}
