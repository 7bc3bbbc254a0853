#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "base/obj.h"
#include "registryd/settings_int.h"

/*
 * Lists of mappings in the configuration file: from the events of the file to
 * texts, and from these to the fields of their entries.
 */

/* --- from the file ------------------------------------------------------- */

static size_t
line_of(const yaml_event_t *e)
{
	return (e->start_mark.line + 1);
}

/* "key:" with nothing behind it says nothing. */
static bool
says_nothing(const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;

	return (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		(text[0] == '\0' || strcmp(text, "~") == 0 ||
		    strcmp(text, "null") == 0));
}

static struct setting_entry *
entry_now(struct entries_reader *r)
{
	return (&r->to->items[r->to->n - 1]);
}

static struct setting_value *
value_now(struct entries_reader *r)
{
	return (&entry_now(r)->values[r->member]);
}

static enum rc
entry_begin(struct entries_reader *r, const yaml_event_t *e, char *why)
{
	struct setting_entry *items;
	size_t room;

	if (r->to->n == SETTING_ENTRIES_MAX)
		return (settings_file_bad(r->path, line_of(e), why,
		    "%s has more than %d entries", r->table->name,
		    SETTING_ENTRIES_MAX));
	if (r->to->n == r->to->room) {
		room = r->to->room == 0 ? 8 : r->to->room * 2;
		items = arena_calloc(r->arena, room, sizeof(*items));
		if (r->to->n > 0)
			memcpy(items, r->to->items, r->to->n * sizeof(*items));
		r->to->items = items;
		r->to->room = room;
	}
	r->to->items[r->to->n++] = (struct setting_entry){
		.line = line_of(e),
		.values = arena_calloc(r->arena, r->table->n_members,
		    sizeof(struct setting_value)),
	};
	r->where = ENTRIES_KEY;
	return (RC_OK);
}

static enum rc
member_unknown(
    struct entries_reader *r, const yaml_event_t *e, const char *key, char *why)
{
	const char *nearest = setting_member_nearest(r->table, span_of(key));

	if (nearest != NULL)
		return (settings_file_bad(r->path, line_of(e), why,
		    "unknown key \"%.60s\" in entry %zu of %s; did you mean "
		    "\"%s\"?",
		    key, r->to->n, r->table->name, nearest));
	return (settings_file_bad(r->path, line_of(e), why,
	    "unknown key \"%.60s\" in entry %zu of %s", key, r->to->n,
	    r->table->name));
}

static enum rc
member_begin(struct entries_reader *r, const yaml_event_t *e, char *why)
{
	const char *key = (const char *)e->data.scalar.value;
	struct setting_value *v;

	r->member = setting_member_find(r->table, span_of(key));
	if (r->member == r->table->n_members)
		return (member_unknown(r, e, key, why));
	v = value_now(r);
	if (v->origin != NULL)
		return (settings_file_bad(r->path, line_of(e), why,
		    "\"%s\" is there twice in entry %zu of %s", key, r->to->n,
		    r->table->name));
	v->origin = arena_printf(r->arena, "%s line %zu", r->path, line_of(e));
	r->where = ENTRIES_MEMBER;
	return (RC_OK);
}

/* One word where a list may stand is its only item: a regular expression may
 * have commas in it. */
static void
member_text(struct entries_reader *r, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	const char *origin = value_now(r)->origin;

	if (!says_nothing(e))
		setting_value_one(r->arena, text, origin, value_now(r));
	r->where = ENTRIES_KEY;
}

#define ITEMS_MAX 1000

static enum rc
item_add(struct entries_reader *r, const yaml_event_t *e, char *why)
{
	struct setting_value *v = value_now(r);
	const char **items;

	if (v->n == ITEMS_MAX)
		return (settings_file_bad(r->path, line_of(e), why,
		    "a list of more than %d items", ITEMS_MAX));
	items = arena_calloc(r->arena, v->n + 1, sizeof(*items));
	if (v->n > 0)
		memcpy(items, v->items, v->n * sizeof(*items));
	items[v->n++] =
	    arena_dup(r->arena, e->data.scalar.value, e->data.scalar.length);
	v->items = items;
	return (RC_OK);
}

static enum rc
list_begin(struct entries_reader *r, const yaml_event_t *e, char *why)
{
	const struct setting_key *key = &r->table->members[r->member];

	if (key->kind != SETTING_LIST)
		return (settings_file_bad(r->path, line_of(e), why,
		    "%s in entry %zu of %s is a list; it must be one value",
		    key->name, r->to->n, r->table->name));
	r->where = ENTRIES_ITEM;
	return (RC_OK);
}

static enum rc
misplaced(struct entries_reader *r, const yaml_event_t *e, char *why)
{
	if (r->where == ENTRIES_VALUE || r->where == ENTRIES_LIST)
		return (settings_file_bad(r->path, line_of(e), why,
		    "%s must be a list of mappings: \"- %s: ...\"",
		    r->table->name, r->table->members[0].name));
	if (r->where == ENTRIES_KEY)
		return (settings_file_bad(
		    r->path, line_of(e), why, "a key must be a word"));
	return (settings_file_bad(r->path, line_of(e), why,
	    "%s in entry %zu of %s must be a word%s",
	    r->table->members[r->member].name, r->to->n, r->table->name,
	    r->where == ENTRIES_ITEM ? ", and so must be each of its items"
				     : ""));
}

static enum rc
scalar_take(struct entries_reader *r, const yaml_event_t *e, char *why)
{
	if (e->data.scalar.length != strlen((const char *)e->data.scalar.value))
		return (settings_file_bad(
		    r->path, line_of(e), why, "a NUL in a value"));
	switch (r->where) {
	case ENTRIES_VALUE:
		if (!says_nothing(e))
			break;
		r->table = NULL;
		return (RC_OK);
	case ENTRIES_LIST:
		break;
	case ENTRIES_KEY:
		return (member_begin(r, e, why));
	case ENTRIES_MEMBER:
		member_text(r, e);
		return (RC_OK);
	case ENTRIES_ITEM:
		return (item_add(r, e, why));
	}
	return (misplaced(r, e, why));
}

enum rc
entries_event(struct entries_reader *r, const struct yaml_event_s *e,
    char why[SETTINGS_WHY_BYTES])
{
	if (e->type == YAML_SCALAR_EVENT)
		return (scalar_take(r, e, why));
	if (e->type == YAML_SEQUENCE_START_EVENT && r->where == ENTRIES_VALUE)
		r->where = ENTRIES_LIST;
	else if (e->type == YAML_SEQUENCE_START_EVENT &&
		 r->where == ENTRIES_MEMBER)
		return (list_begin(r, e, why));
	else if (e->type == YAML_MAPPING_START_EVENT &&
		 r->where == ENTRIES_LIST)
		return (entry_begin(r, e, why));
	else if (e->type == YAML_SEQUENCE_END_EVENT && r->where == ENTRIES_LIST)
		r->table = NULL;
	else if (e->type == YAML_SEQUENCE_END_EVENT)
		r->where = ENTRIES_KEY;
	else if (e->type == YAML_MAPPING_END_EVENT)
		r->where = ENTRIES_LIST;
	else
		return (misplaced(r, e, why));
	return (RC_OK);
}

/* --- to the fields ------------------------------------------------------- */

static const char *
title_of(
    const struct settings_all *all, const struct setting_table *t, size_t i)
{
	size_t m = setting_member_find(t, span_of(t->title));
	const struct setting_entries *entries =
	    &all->tables[t - setting_tables];
	const struct setting_value *v = &entries->items[i].values[m];

	return (v->n > 0 ? v->items[0] : "");
}

/* upstreams: entry 2 ("docker.io"): proxy: "x" (FILE line 7): ... */
static int
complaint_begin(const struct settings_all *all, const struct setting_table *t,
    size_t i, const char *member, char why[SETTINGS_WHY_BYTES])
{
	const struct setting_entry *entry =
	    &all->tables[t - setting_tables].items[i];
	const struct setting_value *v;
	size_t m;
	int n;

	n = snprintf(why, SETTINGS_WHY_BYTES,
	    "%s: entry %zu (\"%.120s\"): ", t->name, i + 1,
	    title_of(all, t, i));
	if (member == NULL)
		return (n + snprintf(why + n, SETTINGS_WHY_BYTES - (size_t)n,
				"(line %zu): ", entry->line));
	m = setting_member_find(t, span_of(member));
	must(m < t->n_members);
	v = &entry->values[m];
	if (v->origin == NULL || t->members[m].secret || v->n != 1)
		return (n + snprintf(why + n, SETTINGS_WHY_BYTES - (size_t)n,
				"%s (line %zu): ", member, entry->line));
	return (n + snprintf(why + n, SETTINGS_WHY_BYTES - (size_t)n,
			"%s: \"%.120s\" (%.200s): ", member, v->items[0],
			v->origin));
}

enum rc
settings_entry_bad(const struct settings_all *all,
    const struct setting_table *t, size_t i, const char *member,
    char why[SETTINGS_WHY_BYTES], const char *fmt, ...)
{
	int n = complaint_begin(all, t, i, member, why);
	va_list ap;

	must(n > 0 && n < SETTINGS_WHY_BYTES);
	va_start(ap, fmt);
	(void)vsnprintf(why + n, SETTINGS_WHY_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}
