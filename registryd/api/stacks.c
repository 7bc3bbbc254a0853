#include "registryd/api/stacks.h"

#include "base/clock.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"

/* --- shapes -------------------------------------------------------------- */

static const struct aws_shape stack_name = {
	.type = AWS_STRING,
	.min = 1,
	.max = 128,
	.expression = "[a-zA-Z0-9][a-zA-Z0-9._-]*",
	.pattern = "^[a-zA-Z0-9][a-zA-Z0-9._-]*$",
};

static const struct aws_shape logical_id = {
	.type = AWS_STRING,
	.min = 1,
	.max = 255,
	.expression = "[a-zA-Z0-9]+",
	.pattern = "^[a-zA-Z0-9]+$",
};

static const struct aws_shape resource_type = {
	.type = AWS_STRING,
	.min = 1,
	.max = 128,
	.expression = "[a-zA-Z0-9:]+",
	.pattern = "^[a-zA-Z0-9:]+$",
};

static const struct aws_shape physical_id = {
	.type = AWS_STRING,
	.min = 1,
	.max = 2048,
};

static const char *const deletion_values[] = { "Delete", "Retain", NULL };

static const struct aws_shape deletion_policy = {
	.type = AWS_STRING,
	.values = deletion_values,
};

static const struct aws_shape flag = { .type = AWS_BOOLEAN };

static const struct aws_member resource_members[] = {
	{ "logicalId", &logical_id, true },
	{ "type", &resource_type, true },
	{ "physicalId", &physical_id, true },
	{ "deletionPolicy", &deletion_policy, false },
	{ "emptyOnDelete", &flag, false },
};

static const struct aws_shape resource = {
	.type = AWS_STRUCTURE,
	.members = resource_members,
	.n_members = ARRAY_LEN(resource_members),
};

/* What a template no longer names stands beside what it does. */
static const struct aws_shape resource_list = {
	.type = AWS_LIST,
	.max = 2000,
	.element = &resource,
};

static const struct aws_shape output_text = {
	.type = AWS_STRING,
	.max = 4096,
};

static const struct aws_member output_members[] = {
	{ "name", &logical_id, true },
	{ "value", &output_text, true },
	{ "exportName", &output_text, false },
	{ "description", &output_text, false },
};

static const struct aws_shape output = {
	.type = AWS_STRUCTURE,
	.members = output_members,
	.n_members = ARRAY_LEN(output_members),
};

static const struct aws_shape output_list = {
	.type = AWS_LIST,
	.max = 200,
	.element = &output,
};

static const struct aws_shape revision = {
	.type = AWS_INTEGER,
	.min = 0,
	.max = INT64_MAX,
};

static const struct aws_shape next_token = { .type = AWS_STRING };

static const struct aws_shape max_results = {
	.type = AWS_INTEGER,
	.min = 1,
	.max = 1000,
};

/* --- what is answered ---------------------------------------------------- */

static json_t *
stack_show(struct span name, const json_t *o)
{
	json_t *shown = json_object();

	aws_put_text(shown, "stackName", name);
	ecr_put_member(shown, "revision", o);
	ecr_put_member(shown, "resources", o);
	ecr_put_member(shown, "outputs", o);
	ecr_put_ms(shown, "updatedAt", o);
	return (shown);
}

/* The account and the addresses that a template's references come to. */
static void
registry_put(struct call *c, json_t *out)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "region", ecr_region(c));
	aws_put_text(out, "registryUri", span_of(ecr_place(c)));
}

static enum rc
get_stack(struct call *c, const json_t *in, json_t *out)
{
	struct span name = aws_string(in, "stackName");
	json_t *o;
	enum rc rc;

	registry_put(c, out);
	rc = registry_config_get(c->meta, ENTITY_STACK, name, &o);
	if (rc == RC_OK)
		aws_put(out, "stack", stack_show(name, o));
	json_decref(o);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- changes ------------------------------------------------------------- */

struct update {
	const json_t *in;
	json_t *done;
	int64_t revision; /* that there is */
};

static int64_t
revision_of(const json_t *o)
{
	return (json_integer_value(aws_member(o, "revision")));
}

static enum rc
stack_change(json_t *o, void *arg)
{
	struct update *u = arg;

	u->revision = revision_of(o);
	if (u->revision != revision_of(u->in))
		return (RC_REFERENCED);
	aws_put(o, "revision", json_integer(u->revision + 1));
	aws_put(o, "resources",
	    ecr_pick(&resource_list, aws_member(u->in, "resources")));
	(void)json_object_del(o, "outputs");
	if (aws_member(u->in, "outputs") != NULL)
		aws_put(o, "outputs",
		    ecr_pick(&output_list, aws_member(u->in, "outputs")));
	aws_put(o, "updatedAt", json_integer(clock_real_ms()));
	json_decref(u->done);
	u->done = json_incref(o);
	return (RC_OK);
}

static enum rc
refuse_revision(struct call *c, struct span name, int64_t is)
{
	return (call_fail(c, AWS_VALIDATION, NULL,
	    "The stack '" SPAN_FMT
	    "' was changed by somebody else meanwhile (it is at revision "
	    "%" JSON_INTEGER_FORMAT "): apply again",
	    SPAN_ARG(name), (json_int_t)is));
}

static enum rc
put_stack(struct call *c, const json_t *in, json_t *out)
{
	struct span name = aws_string(in, "stackName");
	struct update u = { .in = in };
	enum rc rc;

	rc = registry_config_update(
	    c->meta, ENTITY_STACK, name, stack_change, &u);
	if (rc == RC_OK)
		aws_put(out, "stack", stack_show(name, u.done));
	json_decref(u.done);
	if (rc == RC_REFERENCED)
		return (refuse_revision(c, name, u.revision));
	if (rc == RC_TOOBIG)
		return (call_fail(c, AWS_VALIDATION, NULL,
		    "The stack '" SPAN_FMT "' is larger than %zu bytes",
		    SPAN_ARG(name), ENTITY_RECORD_MAX_BYTES));
	return (rc);
}

static enum rc
delete_stack(struct call *c, const json_t *in, json_t *out)
{
	struct span name = aws_string(in, "stackName");
	json_t *o;
	enum rc rc;

	rc = registry_config_delete(c->meta, ENTITY_STACK, name, &o);
	if (rc == RC_OK)
		aws_put(out, "stack", stack_show(name, o));
	json_decref(o);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static json_t *
summary_show(struct call *c, struct span name, const json_t *o)
{
	json_t *shown = json_object();

	(void)c;
	aws_put_text(shown, "stackName", name);
	ecr_put_member(shown, "revision", o);
	aws_put(shown, "resourceCount",
	    json_integer(
		(json_int_t)json_array_size(aws_member(o, "resources"))));
	ecr_put_ms(shown, "updatedAt", o);
	return (shown);
}

static enum rc
list_stacks(struct call *c, const json_t *in, json_t *out)
{
	const struct ecr_config_list l = {
		.kind = ENTITY_STACK,
		.show = summary_show,
	};
	json_t *list = json_array();

	aws_put(out, "stacks", list);
	return (ecr_config_list(c, in, &l, list, out));
}

/* --- the table ----------------------------------------------------------- */

#define INPUT(m) \
	.input = { \
		.type = AWS_STRUCTURE, \
		.members = (m), \
		.n_members = ARRAY_LEN(m), \
	}

static const struct aws_service stacks = {
	.name = "ecr",
	.target = "Registryd_V20261122.",
};

static const struct aws_member name_input[] = {
	{ "stackName", &stack_name, true },
};

static const struct aws_member put_input[] = {
	{ "stackName", &stack_name, true },
	{ "revision", &revision, true },
	{ "resources", &resource_list, true },
	{ "outputs", &output_list, false },
};

static const struct aws_member list_input[] = {
	{ "nextToken", &next_token, false },
	{ "maxResults", &max_results, false },
};

const struct aws_operation stack_operations[] = {
	{
	    .name = "DeleteStack",
	    .service = &stacks,
	    INPUT(name_input),
	    .handler = delete_stack,
	},
	{
	    .name = "GetStack",
	    .service = &stacks,
	    INPUT(name_input),
	    .handler = get_stack,
	},
	{
	    .name = "ListStacks",
	    .service = &stacks,
	    INPUT(list_input),
	    .handler = list_stacks,
	},
	{
	    .name = "PutStack",
	    .service = &stacks,
	    INPUT(put_input),
	    .handler = put_stack,
	},
};

const size_t n_stack_operations = ARRAY_LEN(stack_operations);
