#ifndef REGISTRYCTL_APPLY_PLAN_H
#define REGISTRYCTL_APPLY_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "registryctl/apply_types.h"

/*
 * What has to be done for a registry to be as a template says: of each resource
 * what is wanted, what is there, and what the stack remembers, and what follows
 * from the three.  Pure.
 *
 * Nothing is ever deleted to make a change: what CloudFormation would do by a
 * replacement is refused.
 */
enum plan_action {
	PLAN_CREATE,
	PLAN_CHANGE,
	PLAN_NOTHING,
	PLAN_SKIP,   /* of a type that no registry has */
	PLAN_DELETE, /* no longer in the template */
	PLAN_FORGET, /* likewise, but it stays, or is gone already */
	PLAN_LEFT,   /* likewise, and nobody said to prune */
};

struct plan_item {
	enum plan_action action;
	enum resource_kind kind; /* not of PLAN_SKIP */
	char *logical_id, *type, *id;
	json_t *wanted, *is; /* normal forms; NULL: not */
	json_t *changes;     /* [{"property","old","new"}], either may be
				missing */
	char *refused;	     /* why it cannot be done; NULL: it can */
	char *note;	     /* for people; or NULL */
	bool adopted;	     /* it is there, and was not of the stack */
	bool retain, empty;  /* DeletionPolicy, EmptyOnDelete */
	bool done;
};

struct plan {
	struct plan_item *items;
	size_t n;
};

void plan_free(struct plan *);

/** plan_skip(p, logical_id, type). */
void plan_skip(struct plan *, const char *logical_id, const char *type);

/* A resource of the template. */
struct plan_wanted {
	enum resource_kind kind;
	const char *logical_id, *id;
	const json_t *wanted, *is; /* borrowed; .is NULL: it is not there */
	const json_t *memory;	   /* all that the stack remembers */
	bool retain;
};

/** plan_want(p, w): the item made of it, which stays valid until the next. */
struct plan_item *plan_want(struct plan *, const struct plan_wanted *);

/** plan_names(p, kind, id): is it wanted by any item?  NULL: no. */
const struct plan_item *
plan_names(const struct plan *, enum resource_kind, const char *id);

/**
 * plan_orphan(p, remembered, there, prune):
 * A resource that the stack remembers, and that no item names: what becomes of
 * it.  The item; NULL: it is wanted, under this or another logical id, or its
 * type is not known here.
 */
struct plan_item *
plan_orphan(struct plan *, const json_t *remembered, bool there, bool prune);

/** plan_refusals(p), plan_changes(p): how many items cannot be done, and how
 * many would change the registry. */
size_t plan_refusals(const struct plan *);
size_t plan_changes(const struct plan *);

/** plan_count(p, action). */
size_t plan_count(const struct plan *, enum plan_action);

/** plan_action_name(action): "create". */
const char *plan_action_name(enum plan_action);

/** plan_memory(p, before): what the stack is to remember, with what has been
 * done so far: an array of resources as PutStack takes it, the caller's.
 * ${before}: as it was. */
json_t *plan_memory(const struct plan *, const json_t *before);

/** plan_remembered(memory, logical_id): NULL: nothing. */
const json_t *plan_remembered(const json_t *memory, const char *logical_id);

#endif
