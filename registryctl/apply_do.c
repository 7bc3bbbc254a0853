#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/obj.h"
#include "registryctl/apply.h"
#include "registryctl/apply_state.h"

#define STACK_TARGET "Registryd_V20261122."

/* --- one item ------------------------------------------------------------ */

static enum rc
item_do(struct apply *a, const struct plan_item *item)
{
	switch (item->action) {
	case PLAN_CREATE:
		return (resource_create(
		    a->client, item->kind, item->id, item->wanted));
	case PLAN_CHANGE:
		return (resource_change(
		    a->client, item->kind, item->id, item->is, item->wanted));
	case PLAN_DELETE:
		return (resource_delete(
		    a->client, item->kind, item->id, item->empty));
	case PLAN_NOTHING:
	case PLAN_SKIP:
	case PLAN_FORGET:
	case PLAN_LEFT:
		break;
	}
	return (RC_OK);
}

static bool
is_work(const struct plan_item *item)
{
	return (item->action == PLAN_CREATE || item->action == PLAN_CHANGE ||
		item->action == PLAN_DELETE);
}

/* Deleted is last: what is new may take the place of what goes. */
static bool
is_turn(const struct plan_item *item, bool deleting)
{
	return (deleting == (item->action == PLAN_DELETE));
}

/* A repository that came to be without its policies is the stack's, too. */
static bool
is_half_made(struct apply *a, const struct plan_item *item)
{
	json_t *is = NULL;
	bool made;

	if (item->action != PLAN_CREATE)
		return (false);
	made = resource_read(a->client, item->kind, item->id, &is) == RC_OK &&
	       is != NULL;
	json_decref(is);
	return (made);
}

/* --- a failure ----------------------------------------------------------- */

static void
names_add(struct buf *out, const struct plan *p, bool done)
{
	const char *between = "";
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (!is_work(&p->items[i]) || p->items[i].done != done)
			continue;
		buf_printf(out, "%s%s", between, p->items[i].logical_id);
		between = ", ";
	}
	if (between[0] == '\0')
		buf_str(out, "nothing");
}

static void
failure_say(const struct plan *p)
{
	struct buf out;

	buf_init(&out, SIZE_MAX);
	buf_str(&out, "done: ");
	names_add(&out, p, true);
	buf_str(&out, "; not done: ");
	names_add(&out, p, false);
	buf_str(&out, ". Applying again goes on from here");
	ctl_say(SPAN_FMT, SPAN_ARG(buf_as_span(&out)));
	buf_free(&out);
}

/* --- the memory of the stack --------------------------------------------- */

static bool
is_same(const json_t *a, const json_t *b)
{
	if (json_array_size(a) == 0 && json_array_size(b) == 0)
		return (true);
	return (a != NULL && b != NULL && json_equal(a, b));
}

/* Takes ${resources} and ${outputs}. */
static enum rc
stack_put(struct apply *a, json_t *resources, json_t *outputs)
{
	json_int_t revision =
	    json_integer_value(json_object_get(a->before, "revision"));

	return (ecr_client_call(a->client, STACK_TARGET "PutStack",
	    json_pack("{s:s,s:I,s:o,s:o}", "stackName", a->stack, "revision",
		revision, "resources", resources, "outputs", outputs),
	    NULL));
}

static enum rc
stack_forget(struct apply *a)
{
	if (a->before == NULL)
		return (RC_OK);
	return (ecr_client_call(a->client, STACK_TARGET "DeleteStack",
	    json_pack("{s:s}", "stackName", a->stack), NULL));
}

/* Only what is new is written: applying what is so already changes nothing. */
static bool
stack_save(struct apply *a, bool all_done)
{
	json_t *resources = plan_memory(&a->plan, apply_remembered(a));
	json_t *outputs, *was = json_object_get(a->before, "outputs");
	enum rc rc = RC_OK;

	if (all_done)
		outputs = apply_outputs(a);
	else
		outputs = was != NULL ? json_incref(was) : json_array();
	if (json_array_size(resources) == 0)
		rc = stack_forget(a);
	else if (!is_same(resources, apply_remembered(a)) ||
		 !is_same(outputs, was))
		rc = stack_put(a, json_incref(resources), json_incref(outputs));
	json_decref(resources);
	json_decref(outputs);
	if (rc != RC_OK)
		ctl_say("the stack %s is not remembered: %s", a->stack,
		    a->client->why);
	return (rc == RC_OK);
}

/* --- all of it ----------------------------------------------------------- */

static bool
items_do(struct apply *a, bool deleting)
{
	struct plan_item *item;
	enum rc rc;
	size_t i;

	for (i = 0; i < a->plan.n; i++) {
		item = &a->plan.items[i];
		if (!is_turn(item, deleting))
			continue;
		rc = item_do(a, item);
		if (rc != RC_OK) {
			ctl_say("%s (%s %s): %s", item->logical_id,
			    resource_types[item->kind].what, item->id,
			    a->client->why);
			return (false);
		}
		item->done = true;
		if (a->ctl->output == CTL_TEXT && is_work(item))
			apply_show_done(item);
	}
	return (true);
}

static void
half_made_note(struct apply *a)
{
	size_t i;

	for (i = 0; i < a->plan.n; i++)
		if (!a->plan.items[i].done) {
			a->plan.items[i].done =
			    is_half_made(a, &a->plan.items[i]);
			return;
		}
}

bool
apply_do(struct apply *a)
{
	bool ok;

	ok = items_do(a, false) && items_do(a, true);
	if (!ok) {
		failure_say(&a->plan);
		half_made_note(a);
	}
	return (stack_save(a, ok) && ok);
}
