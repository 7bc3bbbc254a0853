#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/apply.h"
#include "registryctl/apply_state.h"
#include "registryctl/input.h"

#define STACK_TARGET "Registryd_V20261122."

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

const json_t *
apply_remembered(const struct apply *a)
{
	return (json_object_get(a->before, "resources"));
}

/* --- the stack and its registry ------------------------------------------ */

static enum rc
stack_get(struct apply *a, const char *name, json_t **answer_r)
{
	return (ecr_client_call(a->client, STACK_TARGET "GetStack",
	    json_pack("{s:s}", "stackName", name), answer_r));
}

static bool
stack_read(struct apply *a)
{
	json_t *answer = NULL;

	if (stack_get(a, a->stack, &answer) != RC_OK) {
		ctl_say("%s", a->client->why);
		return (false);
	}
	a->registry.account_id = xstrdup(text_of(answer, "registryId"));
	a->registry.region = xstrdup(text_of(answer, "region"));
	a->registry.uri = xstrdup(text_of(answer, "registryUri"));
	a->before = json_incref(json_object_get(answer, "stack"));
	json_decref(answer);
	return (true);
}

/* All other stacks, when it matters for the first time. */
static enum rc
others_read(struct apply *a)
{
	json_t *names = NULL, *one, *answer;
	enum rc rc;
	size_t i;

	if (a->others != NULL)
		return (RC_OK);
	a->others = json_array();
	rc = ecr_client_list(a->client, STACK_TARGET "ListStacks",
	    json_object(), "stacks", &names);
	json_array_foreach(names, i, one)
	{
		if (rc != RC_OK ||
		    strcmp(text_of(one, "stackName"), a->stack) == 0)
			continue;
		answer = NULL;
		rc = stack_get(a, text_of(one, "stackName"), &answer);
		(void)json_array_append(
		    a->others, json_object_get(answer, "stack"));
		json_decref(answer);
	}
	json_decref(names);
	return (rc);
}

static bool
stack_names(const json_t *stack, const struct plan_item *item)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(stack, "resources"), i, one)
	{
		if (strcmp(text_of(one, "type"), item->type) == 0 &&
		    resource_same(
			item->kind, text_of(one, "physicalId"), item->id))
			return (true);
	}
	return (false);
}

/* Which other stack names it, too?  *${name_r} NULL: none. */
static enum rc
other_find(struct apply *a, const struct plan_item *item, const char **name_r)
{
	const json_t *stack;
	enum rc rc;
	size_t i;

	*name_r = NULL;
	if ((rc = others_read(a)) != RC_OK)
		return (rc);
	json_array_foreach(a->others, i, stack)
	{
		if (*name_r == NULL && stack_names(stack, item))
			*name_r = text_of(stack, "stackName");
	}
	return (RC_OK);
}

/* --- the template -------------------------------------------------------- */

/* What was called so before keeps its name. */
static char *
id_of(const struct apply *a, enum resource_kind kind, const char *logical_id,
    const json_t *properties, char why[APPLY_WHY_BYTES])
{
	const json_t *was = plan_remembered(apply_remembered(a), logical_id);

	if (was != NULL && !resource_names_itself(kind, properties) &&
	    strcmp(text_of(was, "type"), resource_types[kind].name) == 0)
		return (xstrdup(text_of(was, "physicalId")));
	return (resource_id(
	    kind, logical_id, properties, a->stack, &a->registry, why));
}

static bool
ours(void *arg, const char *type)
{
	enum resource_kind kind;

	(void)arg;
	return (resource_type_find(type, &kind));
}

static char *
attribute_of(void *arg, const char *logical_id, const char *type,
    const json_t *properties, const char *attribute,
    char why[TEMPLATE_WHY_BYTES])
{
	const struct apply *a = arg;
	enum resource_kind kind;
	char *id, *value;

	if (!resource_type_find(type, &kind)) {
		(void)snprintf(why, TEMPLATE_WHY_BYTES,
		    "%s is not a resource of a registry", type);
		return (NULL);
	}
	id = id_of(a, kind, logical_id, properties, why);
	if (id == NULL)
		return (NULL);
	value = resource_attribute(kind, id, attribute, &a->registry, why);
	free(id);
	return (value);
}

static bool
template_take(struct apply *a, struct span text)
{
	const struct template_context context = {
		.account_id = a->registry.account_id,
		.region = a->registry.region,
		.stack_name = a->stack,
		.parameters = a->options->parameters,
		.n_parameters = a->options->n_parameters,
		.attribute = attribute_of,
		.ours = ours,
		.arg = a,
	};
	char why[TEMPLATE_WHY_BYTES] = "";
	enum rc rc;

	rc = template_read(text, why, &a->template);
	if (rc == RC_OK)
		rc = template_resolve(a->template, &context, why, &a->resolved);
	if (rc != RC_OK)
		ctl_say("%s: %s", a->options->file, why);
	return (rc == RC_OK);
}

static bool
template_load(struct apply *a)
{
	char why[INPUT_WHY_BYTES];
	struct buf text;
	bool ok;

	if (input_file(a->options->file, TEMPLATE_MAX_BYTES, &text, why) !=
	    RC_OK) {
		ctl_say("%s", why);
		return (false);
	}
	ok = template_take(a, buf_as_span(&text));
	buf_free(&text);
	return (ok);
}

/* --- one resource -------------------------------------------------------- */

/* A resource of ours, as the template has it; .normal NULL: it is wrong. */
struct wish {
	const struct template_resource *resource;
	enum resource_kind kind;
	char *id;
	json_t *normal;
};

static bool
wish_make(struct apply *a, const struct template_resource *r, struct wish *w)
{
	char why[APPLY_WHY_BYTES];
	enum rc rc;

	w->resource = r;
	rc = resource_normal(
	    w->kind, r->properties, &a->registry, &w->normal, why);
	if (rc == RC_OK)
		w->id = id_of(a, w->kind, r->logical_id, r->properties, why);
	if (w->id != NULL)
		return (true);
	if (r->line > 0)
		ctl_say("%s: line %d: Resources.%s.%s", a->options->file,
		    r->line, r->logical_id, why);
	else
		ctl_say("%s: Resources.%s.%s", a->options->file, r->logical_id,
		    why);
	return (false);
}

static bool
wish_plan(struct apply *a, const struct wish *w)
{
	const struct plan_item *same = plan_names(&a->plan, w->kind, w->id);
	struct plan_wanted wanted = {
		.kind = w->kind,
		.logical_id = w->resource->logical_id,
		.id = w->id,
		.wanted = w->normal,
		.memory = apply_remembered(a),
		.retain = w->resource->deletion == TEMPLATE_RETAIN,
	};
	struct plan_item *item;
	const char *other = NULL;
	json_t *is = NULL;
	enum rc rc;

	if (same != NULL) {
		ctl_say("%s: Resources.%s and Resources.%s are both the %s %s",
		    a->options->file, same->logical_id, wanted.logical_id,
		    resource_types[w->kind].what, w->id);
		return (false);
	}
	rc = resource_read(a->client, w->kind, w->id, &is);
	if (rc == RC_OK) {
		wanted.is = is;
		item = plan_want(&a->plan, &wanted);
		if (item->adopted)
			rc = other_find(a, item, &other);
		if (other != NULL)
			item->note =
			    xasprintf("the stack %s names it, too", other);
	}
	if (rc != RC_OK)
		ctl_say("%s: %s", wanted.logical_id, a->client->why);
	json_decref(is);
	return (rc == RC_OK);
}

/* All that is wrong is told; only then the registry is asked. */
static bool
wishes_make(struct apply *a, struct wish *wishes, size_t *n_r)
{
	const struct template_resource *r;
	bool ok = true;
	size_t i;

	for (i = 0; i < a->resolved.n_resources; i++) {
		r = &a->resolved.resources[i];
		if (!resource_type_find(r->type, &wishes[*n_r].kind))
			plan_skip(&a->plan, r->logical_id, r->type);
		else if (wish_make(a, r, &wishes[(*n_r)++]))
			continue;
		else
			ok = false;
	}
	return (ok);
}

static bool
wishes_plan(struct apply *a)
{
	struct wish *wishes =
	    xcalloc(a->resolved.n_resources + 1, sizeof(*wishes));
	size_t i, n = 0;
	bool ok;

	ok = wishes_make(a, wishes, &n);
	for (i = 0; ok && i < n; i++)
		ok = wish_plan(a, &wishes[i]);
	for (i = 0; i < n; i++) {
		free(wishes[i].id);
		json_decref(wishes[i].normal);
	}
	free(wishes);
	return (ok);
}

/* --- what the template no longer names ----------------------------------- */

/* Is there a reason to leave it? */
static enum rc
delete_check(struct apply *a, struct plan_item *item)
{
	const char *other;
	bool has = false;
	enum rc rc;

	if ((rc = other_find(a, item, &other)) != RC_OK)
		return (rc);
	if (other != NULL) {
		item->action = PLAN_FORGET;
		item->note =
		    xasprintf("it stays: the stack %s names it", other);
		return (RC_OK);
	}
	if (item->kind == RESOURCE_REPOSITORY && !item->empty)
		rc = resource_has_images(a->client, item->id, &has);
	if (has)
		item->refused = xstrdup(
		    "it has images, and was not applied with EmptyOnDelete "
		    "true: delete them first, or apply it with that once more");
	return (rc);
}

static enum rc
orphan_plan(struct apply *a, const json_t *remembered)
{
	enum resource_kind kind;
	struct plan_item *item;
	json_t *is = NULL;
	enum rc rc = RC_OK;

	if (a->options->prune &&
	    resource_type_find(text_of(remembered, "type"), &kind))
		rc = resource_read(
		    a->client, kind, text_of(remembered, "physicalId"), &is);
	if (rc != RC_OK)
		return (rc);
	item = plan_orphan(&a->plan, remembered, is != NULL, a->options->prune);
	json_decref(is);
	if (item != NULL && item->action == PLAN_DELETE)
		rc = delete_check(a, item);
	return (rc);
}

/* What was made last goes first. */
static bool
orphans_plan(struct apply *a)
{
	const json_t *remembered = apply_remembered(a);
	size_t i = json_array_size(remembered);

	while (i-- > 0)
		if (orphan_plan(a, json_array_get(remembered, i)) != RC_OK) {
			ctl_say("%s", a->client->why);
			return (false);
		}
	return (true);
}

bool
apply_prepare(struct apply *a)
{
	char why[ECR_WHY_BYTES];

	if (ecr_client_open(a->ctl, &a->options->login, why, &a->client) !=
	    RC_OK) {
		ctl_say("%s", why);
		return (false);
	}
	return (stack_read(a) && template_load(a) && wishes_plan(a) &&
		orphans_plan(a));
}

void
apply_end(struct apply *a)
{
	plan_free(&a->plan);
	template_resolved_end(&a->resolved);
	template_free(&a->template);
	json_decref(a->before);
	json_decref(a->others);
	free(a->registry.account_id);
	free(a->registry.region);
	free(a->registry.uri);
	free(a->stack);
	ecr_client_close(&a->client);
}
