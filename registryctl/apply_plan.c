#include "registryctl/apply_plan.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

/* --- items --------------------------------------------------------------- */

static struct plan_item *
item_add(struct plan *p, enum plan_action action, const char *logical_id,
    const char *type, const char *id)
{
	struct plan_item *item;

	p->items = xrealloc(p->items, (p->n + 1) * sizeof(*p->items));
	item = &p->items[p->n++];
	*item = (struct plan_item){
		.action = action,
		.logical_id = xstrdup(logical_id),
		.type = xstrdup(type),
		.id = xstrdup(id),
		.changes = json_array(),
	};
	return (item);
}

void
plan_free(struct plan *p)
{
	struct plan_item *item;

	for (item = p->items; p->n > 0; item++, p->n--) {
		free(item->logical_id);
		free(item->type);
		free(item->id);
		free(item->refused);
		free(item->note);
		json_decref(item->wanted);
		json_decref(item->is);
		json_decref(item->changes);
	}
	free(p->items);
	*p = (struct plan){ 0 };
}

void
plan_skip(struct plan *p, const char *logical_id, const char *type)
{
	(void)item_add(p, PLAN_SKIP, logical_id, type, "");
}

/* The first refusal is told. */
static void __attribute__((format(printf, 2, 3)))
refuse(struct plan_item *item, const char *fmt, ...)
{
	char room[APPLY_WHY_BYTES];
	va_list ap;

	if (item->refused != NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(room, sizeof(room), fmt, ap);
	va_end(ap);
	item->refused = xstrdup(room);
}

/* --- what differs -------------------------------------------------------- */

static void
change_add(
    json_t *changes, const char *path, const json_t *old, const json_t *new)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "property", json_string(path));
	if (old != NULL)
		(void)json_object_set_new(o, "old", json_deep_copy(old));
	if (new != NULL)
		(void)json_object_set_new(o, "new", json_deep_copy(new));
	(void)json_array_append_new(changes, o);
}

static void
walk(json_t *changes, const char *path, const json_t *old, const json_t *new);

static void
walk_member(json_t *changes, const char *path, const char *key,
    const json_t *old, const json_t *new)
{
	char *deeper = xasprintf("%s.%s", path, key);

	walk(changes, deeper, json_object_get(old, key),
	    json_object_get(new, key));
	free(deeper);
}

static void
walk_object(
    json_t *changes, const char *path, const json_t *old, const json_t *new)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)old, key, v)
	    walk_member(changes, path, key, old, new);
	json_object_foreach((json_t *)(uintptr_t) new, key, v)
	{
		if (json_object_get(old, key) == NULL)
			walk_member(changes, path, key, old, new);
	}
}

static void
walk_array(
    json_t *changes, const char *path, const json_t *old, const json_t *new)
{
	size_t n = json_array_size(old), m = json_array_size(new), i;
	char *deeper;

	for (i = 0; i < (n > m ? n : m); i++) {
		deeper = xasprintf("%s[%zu]", path, i);
		walk(changes, deeper, json_array_get(old, i),
		    json_array_get(new, i));
		free(deeper);
	}
}

/* Tags as the map that they are. */
static json_t *
tags_map(const json_t *tags)
{
	json_t *o = json_object(), *one;
	size_t i;

	json_array_foreach(tags, i, one)
	{
		(void)json_object_set(
		    o, text_of(one, "Key"), json_object_get(one, "Value"));
	}
	return (o);
}

/* As deep as a policy is: that is bounded where JSON is read. */
static void
walk(json_t *changes, const char *path, const json_t *old, const json_t *new)
{
	if (old != NULL && new != NULL && json_equal(old, new))
		return;
	if (json_is_object(old) && json_is_object(new))
		walk_object(changes, path, old, new);
	else if (json_is_array(old) && json_is_array(new))
		walk_array(changes, path, old, new);
	else if (old != NULL || new != NULL)
		change_add(changes, path, old, new);
}

static void
walk_property(struct plan_item *item, const struct property *p,
    const json_t *old, const json_t *new)
{
	json_t *a, *b;

	if (p->kind != PROPERTY_TAGS) {
		walk(item->changes, p->name, old, new);
		return;
	}
	a = tags_map(old);
	b = tags_map(new);
	walk_object(item->changes, p->name, a, b);
	json_decref(a);
	json_decref(b);
}

/* Of a lenient structure what the template says is compared. */
static bool
says_the_same(const json_t *old, const json_t *new)
{
	const char *key;
	json_t *v;

	if (!json_is_object(old) || !json_is_object(new))
		return (old != NULL && json_equal(old, new));
	json_object_foreach((json_t *)(uintptr_t) new, key, v)
	{
		if (json_object_get(old, key) == NULL ||
		    !json_equal(v, json_object_get(old, key)))
			return (false);
	}
	return (true);
}

#define REPLACING \
	"cannot be changed: CloudFormation would replace the %s, and " \
	"nothing is deleted here to make a change. Write it under another " \
	"logical id and another name, or delete it first"

static void
property_compare(struct plan_item *item, const struct property *p)
{
	const json_t *old = json_object_get(item->is, p->name);
	const json_t *new = json_object_get(item->wanted, p->name);
	size_t before = json_array_size(item->changes);

	if (p->flags & PROPERTY_LENIENT &&
	    (new == NULL || says_the_same(old, new)))
		return;
	walk_property(item, p, old, new);
	if (json_array_size(item->changes) == before)
		return;
	if (p->flags & PROPERTY_FIXED)
		refuse(item, "%s " REPLACING, p->name,
		    resource_types[item->kind].what);
	else if (p->flags & PROPERTY_STICKY && new == NULL)
		refuse(item,
		    "%s can be changed, but not taken away from a %s; delete "
		    "that first",
		    p->name, resource_types[item->kind].what);
}

static void
properties_compare(struct plan_item *item)
{
	const struct resource_type *t = &resource_types[item->kind];
	size_t i;

	for (i = 0; i < t->n_properties; i++)
		if ((t->properties[i].flags &
			(PROPERTY_IDENTITY | PROPERTY_OWN)) == 0)
			property_compare(item, &t->properties[i]);
}

/* What only the stack knows: it is no property of the registry. */
static void
own_compare(struct plan_item *item, const json_t *remembered)
{
	const char *policies[] = { "Delete", "Retain" };
	bool empty = json_is_true(json_object_get(remembered, "emptyOnDelete"));
	bool retain =
	    strcmp(text_of(remembered, "deletionPolicy"), "Retain") == 0;
	json_t *old, *new;

	if (empty != item->empty) {
		old = json_boolean(empty);
		new = json_boolean(item->empty);
		change_add(item->changes, "EmptyOnDelete", old, new);
	}
	if (retain != item->retain) {
		old = json_string(policies[retain]);
		new = json_string(policies[item->retain]);
		change_add(item->changes, "DeletionPolicy", old, new);
		json_decref(old);
		json_decref(new);
	}
}

/* --- what is wanted ------------------------------------------------------ */

static bool
is_vacant_wish(const struct plan_item *item, const json_t *vacant)
{
	return (item->is == NULL && vacant != NULL &&
		json_equal(vacant, item->wanted));
}

static void
action_find(struct plan_item *item, const json_t *remembered)
{
	json_t *vacant = resource_vacant(item->kind);

	if (is_vacant_wish(item, vacant)) {
		item->action = PLAN_NOTHING;
	} else if (item->is != NULL) {
		properties_compare(item);
		if (remembered != NULL)
			own_compare(item, remembered);
		item->action = json_array_size(item->changes) > 0
				   ? PLAN_CHANGE
				   : PLAN_NOTHING;
	}
	json_decref(vacant);
}

/* Another name under the same logical id is another resource. */
static void
name_compare(struct plan_item *item, const json_t *remembered)
{
	const char *was = text_of(remembered, "physicalId");

	if (remembered == NULL || resource_same(item->kind, was, item->id))
		return;
	refuse(item, "the name (%.256s -> %.256s) " REPLACING, was, item->id,
	    resource_types[item->kind].what);
}

/* Under another logical id, perhaps. */
static const json_t *
known_find(const json_t *memory, const struct plan_item *item)
{
	const json_t *one;
	size_t i;

	json_array_foreach(memory, i, one)
	{
		if (strcmp(text_of(one, "type"), item->type) == 0 &&
		    resource_same(
			item->kind, text_of(one, "physicalId"), item->id))
			return (one);
	}
	return (NULL);
}

struct plan_item *
plan_want(struct plan *p, const struct plan_wanted *w)
{
	const struct resource_type *t = &resource_types[w->kind];
	const json_t *remembered = plan_remembered(w->memory, w->logical_id);
	const json_t *known;
	struct plan_item *item;

	/* The same logical id of another type is not the same. */
	if (remembered != NULL &&
	    strcmp(text_of(remembered, "type"), t->name) != 0)
		remembered = NULL;
	item = item_add(p, PLAN_CREATE, w->logical_id, t->name, w->id);
	item->kind = w->kind;
	item->wanted = json_deep_copy(w->wanted);
	item->is = w->is != NULL ? json_deep_copy(w->is) : NULL;
	item->retain = w->retain;
	item->empty = json_is_true(json_object_get(w->wanted, "EmptyOnDelete"));
	name_compare(item, remembered);
	known = remembered != NULL ? remembered : known_find(w->memory, item);
	action_find(item, known);
	item->adopted = item->is != NULL && known == NULL;
	return (item);
}

const struct plan_item *
plan_names(const struct plan *p, enum resource_kind kind, const char *id)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->items[i].wanted != NULL && p->items[i].kind == kind &&
		    resource_same(kind, p->items[i].id, id))
			return (&p->items[i]);
	return (NULL);
}

/* --- what is no longer --------------------------------------------------- */

static bool
is_wanted(const struct plan *p, enum resource_kind kind, const char *id,
    const char *logical_id)
{
	size_t i;

	if (plan_names(p, kind, id) != NULL)
		return (true);
	/* Under another name: that is refused. */
	for (i = 0; i < p->n; i++)
		if (p->items[i].wanted != NULL && p->items[i].kind == kind &&
		    strcmp(p->items[i].logical_id, logical_id) == 0)
			return (true);
	return (false);
}

struct plan_item *
plan_orphan(struct plan *p, const json_t *remembered, bool there, bool prune)
{
	const char *logical_id = text_of(remembered, "logicalId");
	const char *id = text_of(remembered, "physicalId");
	enum plan_action action = PLAN_LEFT;
	enum resource_kind kind;
	struct plan_item *item;
	bool retain;

	if (!resource_type_find(text_of(remembered, "type"), &kind) ||
	    is_wanted(p, kind, id, logical_id))
		return (NULL);
	retain = strcmp(text_of(remembered, "deletionPolicy"), "Retain") == 0;
	if (prune)
		action = retain || !there ? PLAN_FORGET : PLAN_DELETE;
	item = item_add(p, action, logical_id, resource_types[kind].name, id);
	item->kind = kind;
	item->retain = retain;
	item->empty =
	    json_is_true(json_object_get(remembered, "emptyOnDelete"));
	if (action == PLAN_FORGET)
		item->note =
		    xstrdup(there ? "it stays: DeletionPolicy is Retain"
				  : "it is gone already");
	return (item);
}

/* --- sums ---------------------------------------------------------------- */

size_t
plan_refusals(const struct plan *p)
{
	size_t i, n = 0;

	for (i = 0; i < p->n; i++)
		n += p->items[i].refused != NULL ? 1 : 0;
	return (n);
}

size_t
plan_count(const struct plan *p, enum plan_action action)
{
	size_t i, n = 0;

	for (i = 0; i < p->n; i++)
		n += p->items[i].action == action ? 1 : 0;
	return (n);
}

size_t
plan_changes(const struct plan *p)
{
	return (plan_count(p, PLAN_CREATE) + plan_count(p, PLAN_CHANGE) +
		plan_count(p, PLAN_DELETE));
}

const char *
plan_action_name(enum plan_action action)
{
	static const char *const names[] = {
		[PLAN_CREATE] = "create",
		[PLAN_CHANGE] = "change",
		[PLAN_NOTHING] = "nothing",
		[PLAN_SKIP] = "skip",
		[PLAN_DELETE] = "delete",
		[PLAN_FORGET] = "forget",
		[PLAN_LEFT] = "left",
	};

	return (names[action]);
}

/* --- what is remembered -------------------------------------------------- */

const json_t *
plan_remembered(const json_t *memory, const char *logical_id)
{
	const json_t *one;
	size_t i;

	json_array_foreach(memory, i, one)
	{
		if (strcmp(text_of(one, "logicalId"), logical_id) == 0)
			return (one);
	}
	return (NULL);
}

static json_t *
record_make(const struct plan_item *item)
{
	return (json_pack("{s:s,s:s,s:s,s:s,s:b}", "logicalId",
	    item->logical_id, "type", item->type, "physicalId", item->id,
	    "deletionPolicy", item->retain ? "Retain" : "Delete",
	    "emptyOnDelete", item->empty));
}

/* Not there any more: deleted, forgotten, or under another logical id now. */
static bool
is_settled(const struct plan *p, const json_t *record)
{
	const struct plan_item *item, *named;
	enum resource_kind kind;
	size_t i;

	if (!resource_type_find(text_of(record, "type"), &kind))
		return (false);
	named = plan_names(p, kind, text_of(record, "physicalId"));
	if (named != NULL)
		return (named->done);
	for (i = 0; i < p->n; i++) {
		item = &p->items[i];
		if ((item->action == PLAN_DELETE ||
			item->action == PLAN_FORGET) &&
		    strcmp(item->logical_id, text_of(record, "logicalId")) ==
			0 &&
		    item->kind == kind)
			return (item->done);
	}
	return (false);
}

json_t *
plan_memory(const struct plan *p, const json_t *before)
{
	json_t *after = json_array(), *record;
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->items[i].wanted != NULL && p->items[i].done)
			(void)json_array_append_new(
			    after, record_make(&p->items[i]));
	json_array_foreach(before, i, record)
	{
		if (!is_settled(p, record))
			(void)json_array_append(after, record);
	}
	return (after);
}
