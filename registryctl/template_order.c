#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Resources, those first that others rest on.  What a resource rests on shows
 * when it is resolved: that asks for another one, which may not be done yet.
 * Then the first one is put back, the other is done, and the first resolved
 * again, until nothing is missing.  So no path through functions, conditions
 * and names that are themselves made of values has to be foreseen, only what
 * really is asked for counts, and a chain of five hundred costs no stack.
 */

/* --- one resource -------------------------------------------------------- */

static enum rc
attributes_check(struct resolver *r, const struct template_state *s)
{
	static const char *const known[] = { "Type", "Properties", "DependsOn",
		"Condition", "DeletionPolicy", "UpdateReplacePolicy",
		"Metadata", "CreationPolicy", "UpdatePolicy" };
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)s->node, key, v)
	{
		for (i = 0; i < ARRAY_LEN(known) && strcmp(known[i], key) != 0;
		     i++)
			;
		if (i == ARRAY_LEN(known))
			return (template_refuse(
			    r, RC_INVALID, "%.250s is not known", key));
	}
	return (RC_OK);
}

static enum rc
deletion_read(struct resolver *r, struct template_state *s)
{
	static const struct {
		const char *name;
		enum template_deletion deletion;
	} policies[] = {
		{ "Delete", TEMPLATE_DELETE },
		{ "Retain", TEMPLATE_RETAIN },
		{ "RetainExceptOnCreate", TEMPLATE_RETAIN },
		{ "Snapshot", TEMPLATE_RETAIN },
	};
	const json_t *v = json_object_get(s->node, "DeletionPolicy");
	size_t i, where;
	char *text;
	enum rc rc;

	s->deletion = TEMPLATE_DELETE;
	if (v == NULL)
		return (RC_OK);
	where = template_enter(r, "DeletionPolicy");
	if ((rc = template_text(r, v, &text)) != RC_OK)
		return (rc);
	for (i = 0; i < ARRAY_LEN(policies); i++)
		if (strcmp(policies[i].name, text) == 0)
			break;
	if (i < ARRAY_LEN(policies))
		s->deletion = policies[i].deletion;
	else
		rc = template_refuse(r, RC_INVALID,
		    "must be Delete, Retain, RetainExceptOnCreate or "
		    "Snapshot, not \"%.100s\"",
		    text);
	free(text);
	template_leave(r, where);
	return (rc);
}

static enum rc
properties_read(struct resolver *r, struct template_state *s)
{
	const json_t *v = json_object_get(s->node, "Properties");
	size_t where;
	enum rc rc;

	if (v == NULL) {
		s->properties = json_object();
		return (RC_OK);
	}
	where = template_enter(r, "Properties");
	rc = template_value(r, v, &s->properties);
	if (rc == RC_OK && !json_is_object(s->properties))
		rc = template_refuse(r, RC_INVALID, "they must be a map");
	template_leave(r, where);
	return (rc);
}

static enum rc
state_read(struct resolver *r, struct template_state *s)
{
	enum rc rc;

	if ((rc = attributes_check(r, s)) != RC_OK ||
	    (rc = deletion_read(r, s)) != RC_OK)
		return (rc);
	return (properties_read(r, s));
}

/* Once through.  When that showed a need, what came of it says nothing, an
 * error included: it rests on an answer that was not there yet. */
static enum rc
state_try(struct resolver *r, struct template_state *s)
{
	size_t nodes_left = r->nodes_left, bytes_left = r->bytes_left;
	size_t n_needs = s->n_needs;
	enum rc rc;

	r->current = s;
	template_leave(r, 0);
	(void)template_enter(r, "Resources");
	(void)template_enter(r, s->logical_id);
	rc = state_read(r, s);
	template_leave(r, 0);
	r->current = NULL;
	if (s->n_needs == n_needs)
		return (rc == RC_UNSUPPORTED ? RC_INVALID : rc);
	json_decref(s->properties);
	s->properties = NULL;
	r->nodes_left = nodes_left;
	r->bytes_left = bytes_left;
	return (RC_OK);
}

/* --- all of them --------------------------------------------------------- */

struct walk {
	struct resolver *r;
	size_t *stack; /* each rests on the one behind it */
	size_t n_stack;
	size_t *order;
	size_t n_order;
};

static enum rc
circle_refuse(struct walk *w, size_t at)
{
	const struct resolver *r = w->r;
	char path[TEMPLATE_PATH_BYTES] = "";
	size_t i = 0, n = 0;
	int more;

	while (w->stack[i] != at)
		i++;
	for (; i < w->n_stack && n < sizeof(path); i++) {
		more = snprintf(path + n, sizeof(path) - n, "%s -> ",
		    r->states[w->stack[i]].logical_id);
		must(more >= 0);
		n += (size_t)more;
	}
	return (template_fail(r->why, RC_INVALID,
	    "resources rest on each other in a circle: %s%.250s", path,
	    r->states[at].logical_id));
}

static void
state_push(struct walk *w, size_t at)
{
	w->r->states[at].progress = STATE_BUSY;
	w->stack[w->n_stack++] = at;
}

/* The next that ${s} rests on and that is not done, on top of it. */
static enum rc
need_push(struct walk *w, struct template_state *s, bool *pushed_r)
{
	struct template_state *other;
	size_t at;

	*pushed_r = false;
	while (!*pushed_r && s->n_needs_seen < s->n_needs) {
		at = s->needs[s->n_needs_seen++];
		other = &w->r->states[at];
		if (other->progress == STATE_BUSY)
			return (circle_refuse(w, at));
		*pushed_r = other->progress == STATE_NEW;
		if (*pushed_r)
			state_push(w, at);
	}
	return (RC_OK);
}

static enum rc
top_step(struct walk *w)
{
	size_t at = w->stack[w->n_stack - 1];
	struct template_state *s = &w->r->states[at];
	bool pushed;
	enum rc rc;

	if ((rc = need_push(w, s, &pushed)) != RC_OK || pushed)
		return (rc);
	if (s->ours && !s->gone) {
		if ((rc = state_try(w->r, s)) != RC_OK)
			return (rc);
		if (s->n_needs_seen < s->n_needs)
			return (RC_OK);
	}
	s->progress = STATE_DONE;
	w->n_stack--;
	if (!s->gone)
		w->order[w->n_order++] = at;
	return (RC_OK);
}

/* DependsOn is known before anything is resolved. */
static void
dependency_note(struct resolver *r, struct template_state *s, const json_t *v)
{
	size_t at, i;

	at = (size_t)json_integer_value(
	    json_object_get(r->places, json_string_value(v)));
	for (i = 0; i < s->n_needs; i++)
		if (s->needs[i] == at)
			return;
	s->needs[s->n_needs++] = at;
}

static void
dependencies_note(struct resolver *r, struct template_state *s)
{
	const json_t *v = json_object_get(s->node, "DependsOn");
	json_t *item;
	size_t i;

	s->needs = xcalloc(r->n_states, sizeof(*s->needs));
	if (json_is_string(v))
		dependency_note(r, s, v);
	json_array_foreach(v, i, item)
	{
		dependency_note(r, s, item);
	}
}

enum rc
template_resources(struct resolver *r, size_t *order, size_t *n_order_r)
{
	struct walk w = { .r = r };
	enum rc rc = RC_OK;
	size_t i;

	w.stack = xcalloc(r->n_states, sizeof(*w.stack));
	w.order = order;
	for (i = 0; i < r->n_states; i++)
		dependencies_note(r, &r->states[i]);
	for (i = 0; rc == RC_OK && i < r->n_states; i++) {
		if (r->states[i].progress == STATE_NEW)
			state_push(&w, i);
		while (rc == RC_OK && w.n_stack > 0)
			rc = top_step(&w);
	}
	free(w.stack);
	*n_order_r = w.n_order;
	return (rc);
}
