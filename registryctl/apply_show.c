#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/apply.h"
#include "registryctl/print.h"

/* --- the plan ------------------------------------------------------------ */

static const struct {
	const char *mark, *word;
} actions[] = {
	[PLAN_CREATE] = { "+", "create" },
	[PLAN_CHANGE] = { "~", "change" },
	[PLAN_NOTHING] = { "=", "nothing" },
	[PLAN_SKIP] = { "!", "skipped" },
	[PLAN_DELETE] = { "-", "delete" },
	[PLAN_FORGET] = { "-", "forget" },
};

static void
value_show(const json_t *v)
{
	char *text;

	if (v == NULL) {
		(void)fputs("(none)", stdout);
		return;
	}
	text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	print_text(text);
	free(text);
}

static void
changes_show(const struct plan_item *item)
{
	const json_t *one;
	size_t i;

	json_array_foreach(item->changes, i, one)
	{
		(void)fputs("      ", stdout);
		print_text(json_string_value(json_object_get(one, "property")));
		(void)fputs(": ", stdout);
		value_show(json_object_get(one, "old"));
		(void)fputs(" -> ", stdout);
		value_show(json_object_get(one, "new"));
		(void)putchar('\n');
	}
}

static void
notes_show(const struct plan_item *item)
{
	if (item->action == PLAN_SKIP)
		(void)fputs(": not a resource of a registry", stdout);
	if (item->adopted)
		(void)fputs(", there already: taken over", stdout);
	if (item->action == PLAN_DELETE && item->empty &&
	    item->kind == RESOURCE_REPOSITORY)
		(void)fputs(", with its images", stdout);
	if (item->note != NULL) {
		(void)fputs("; ", stdout);
		print_text(item->note);
	}
	if (item->refused != NULL) {
		(void)fputs("\n      REFUSED: ", stdout);
		print_text(item->refused);
	}
	(void)putchar('\n');
}

static int
column_width(const struct plan *p)
{
	size_t i, n = 0, m;

	for (i = 0; i < p->n; i++)
		if ((m = strlen(p->items[i].logical_id)) > n && m <= 40)
			n = m;
	return ((int)n);
}

static void
item_show(const struct plan_item *item, int width)
{
	(void)printf("%s %-8s %-*s  %s", actions[item->action].mark,
	    actions[item->action].word, width, item->logical_id, item->type);
	if (item->id[0] != '\0') {
		(void)fputs("  ", stdout);
		print_text(item->id);
	}
	notes_show(item);
	if (item->action == PLAN_CHANGE)
		changes_show(item);
}

static void
left_show(const struct plan *p)
{
	size_t i;

	if (plan_count(p, PLAN_LEFT) == 0)
		return;
	(void)puts("No longer in the template (--prune removes):");
	for (i = 0; i < p->n; i++)
		if (p->items[i].action == PLAN_LEFT) {
			(void)printf("  %s  %s  ", p->items[i].logical_id,
			    p->items[i].type);
			print_text(p->items[i].id);
			(void)putchar('\n');
		}
}

static void
sum_show(const struct plan *p)
{
	if (plan_changes(p) == 0) {
		(void)puts("Nothing to do.");
		return;
	}
	(void)printf("%zu to create, %zu to change, %zu to delete, %zu "
		     "unchanged.\n",
	    plan_count(p, PLAN_CREATE), plan_count(p, PLAN_CHANGE),
	    plan_count(p, PLAN_DELETE), plan_count(p, PLAN_NOTHING));
}

void
apply_show_plan(const struct apply *a)
{
	int width = column_width(&a->plan);
	size_t i;

	(void)printf(
	    "Stack %s, registry %s at ", a->stack, a->registry.account_id);
	print_text(a->client->where);
	(void)putchar('\n');
	for (i = 0; i < a->plan.n; i++)
		if (a->plan.items[i].action != PLAN_LEFT)
			item_show(&a->plan.items[i], width);
	left_show(&a->plan);
	for (i = 0; i < a->resolved.n_outputs_skipped; i++)
		(void)printf("! skipped  output %s: it is of what no registry "
			     "has\n",
		    a->resolved.outputs_skipped[i]);
	sum_show(&a->plan);
	(void)fflush(stdout);
}

/* --- what came of it ----------------------------------------------------- */

void
apply_show_done(const struct plan_item *item)
{
	static const char *const words[] = {
		[PLAN_CREATE] = "created",
		[PLAN_CHANGE] = "changed",
		[PLAN_DELETE] = "deleted",
	};

	(void)printf("%s %s (%s ", words[item->action], item->logical_id,
	    resource_types[item->kind].what);
	print_text(item->id);
	(void)puts(")");
	(void)fflush(stdout);
}

void
apply_show_outputs(const struct apply *a)
{
	const struct template_output *o = a->resolved.outputs;
	size_t i;

	if (a->resolved.n_outputs == 0)
		return;
	(void)puts("Outputs:");
	for (i = 0; i < a->resolved.n_outputs; i++) {
		(void)printf("  %s = ", o[i].name);
		print_text(o[i].value);
		if (o[i].export_name != NULL) {
			(void)fputs("  (exported as ", stdout);
			print_text(o[i].export_name);
			(void)putchar(')');
		}
		(void)putchar('\n');
	}
}

json_t *
apply_outputs(const struct apply *a)
{
	const struct template_output *o = a->resolved.outputs;
	json_t *list = json_array(), *one;
	size_t i;

	for (i = 0; i < a->resolved.n_outputs; i++) {
		one = json_pack(
		    "{s:s,s:s}", "name", o[i].name, "value", o[i].value);
		if (o[i].export_name != NULL)
			(void)json_object_set_new(
			    one, "exportName", json_string(o[i].export_name));
		if (o[i].description != NULL)
			(void)json_object_set_new(
			    one, "description", json_string(o[i].description));
		(void)json_array_append_new(list, one);
	}
	return (list);
}

/* --- for programs -------------------------------------------------------- */

static json_t *
item_json(const struct plan_item *item)
{
	json_t *o =
	    json_pack("{s:s,s:s,s:s}", "action", plan_action_name(item->action),
		"logicalId", item->logical_id, "type", item->type);

	if (item->id[0] != '\0')
		(void)json_object_set_new(
		    o, "physicalId", json_string(item->id));
	if (json_array_size(item->changes) > 0)
		(void)json_object_set(o, "changes", item->changes);
	if (item->adopted)
		(void)json_object_set_new(o, "adopted", json_true());
	if (item->note != NULL)
		(void)json_object_set_new(o, "note", json_string(item->note));
	if (item->refused != NULL)
		(void)json_object_set_new(
		    o, "refused", json_string(item->refused));
	if (item->done &&
	    (item->action == PLAN_CREATE || item->action == PLAN_CHANGE ||
		item->action == PLAN_DELETE))
		(void)json_object_set_new(o, "done", json_true());
	return (o);
}

enum ctl_exit
apply_show_json(const struct apply *a, bool applied)
{
	json_t *items = json_array(), *skipped = json_array(), *doc;
	enum ctl_exit code;
	size_t i;

	for (i = 0; i < a->plan.n; i++)
		(void)json_array_append_new(
		    items, item_json(&a->plan.items[i]));
	for (i = 0; i < a->resolved.n_outputs_skipped; i++)
		(void)json_array_append_new(
		    skipped, json_string(a->resolved.outputs_skipped[i]));
	doc = json_pack("{s:s,s:s,s:i,s:b,s:o,s:o,s:o}", "stackName", a->stack,
	    "registryId", a->registry.account_id, "toChange",
	    (int)plan_changes(&a->plan), "applied", applied, "plan", items,
	    "outputs", applied ? apply_outputs(a) : json_array(),
	    "outputsSkipped", skipped);
	code = print_json(doc);
	json_decref(doc);
	return (code);
}
