#ifndef REGISTRYCTL_TEMPLATE_INT_H
#define REGISTRYCTL_TEMPLATE_INT_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "registryctl/template.h"

/*
 * What the files of a template share.  A template is one tree of JSON, in
 * which a short form of YAML is its long form already and an alias the same
 * node again; so nothing of it is ever changed.
 */
#define TEMPLATE_PATH_BYTES 512

struct template
{
	json_t *doc;
	json_t *lines; /* logical id -> line; empty for JSON */
};

/** template_fail(why, rc, fmt, ...): returns ${rc}.  What a terminal would
 * obey is shown as '?'; a text that is too long is cut behind a character. */
enum rc template_fail(char *why, enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum rc template_vfail(char *why, enum rc, const char *fmt, va_list)
    __attribute__((format(printf, 3, 0)));

/* --- reading ------------------------------------------------------------- */

/** template_yaml_read(text, why, doc_r, lines): as template_read(), but any
 * document; ${lines} takes where the members of "Resources" stand. */
RC_MUST_USE enum rc template_yaml_read(struct span text,
    char why[TEMPLATE_WHY_BYTES], json_t **doc_r, json_t *lines);

/** template_check(doc, why): has it the shape of a template, and do the names
 * that it mentions outside of values exist?  RC_INVALID, RC_TOOBIG. */
RC_MUST_USE enum rc
template_check(const json_t *doc, char why[TEMPLATE_WHY_BYTES]);

/** template_scalar_plain(text): what an unquoted scalar is; the caller's.
 * NULL where ${text} is not UTF-8, or has a NUL. */
json_t *template_scalar_plain(struct span text);

/** template_scalar_text(v): a string, number or boolean as text, which the
 * caller frees; NULL for anything else. */
char *template_scalar_text(const json_t *v);

/* --- resolving ----------------------------------------------------------- */

/* A resource on its way. */
struct template_state {
	const char *logical_id;
	const json_t *node;
	const char *type;
	bool ours;
	bool gone; /* its condition is false */
	enum { STATE_NEW, STATE_BUSY, STATE_DONE } progress;
	json_t *properties;
	enum template_deletion deletion;
	/* Indexes of what it has been found to rest on, each once. */
	size_t *needs;
	size_t n_needs;
	size_t n_needs_seen;
};

struct resolver {
	const struct template *t;
	const struct template_context *context;
	char *why;
	/* Where it is: "Resources.App.Properties.Tags[0]". */
	char path[TEMPLATE_PATH_BYTES];
	size_t path_n;
	/* Name -> string or array of strings; null: only another service
	 * knows. */
	json_t *parameters;
	json_t *secrets;    /* values that no message shows */
	json_t *conditions; /* name -> boolean; null: being looked at */
	unsigned condition_depth;
	char *stack_id;
	struct template_state *states;
	size_t n_states;
	json_t *places; /* logical id -> index into .states */
	/* Whose turn it is.  What it asks of a resource that is not done is
	 * noted with it and answered by an empty string; when the others are
	 * done it is resolved again.  NULL: all are done. */
	struct template_state *current;
	bool in_condition; /* resources are out of sight */
	/* Left of TEMPLATE_NODES_MAX and TEMPLATE_VALUES_MAX_BYTES by what is
	 * kept; and of TEMPLATE_STEPS_MAX by what was put back too. */
	size_t nodes_left;
	size_t bytes_left;
	size_t steps_left;
};

/** template_enter(r, name), template_enter_at(r, i): one step down the path.
 * They return what template_leave() takes to come back. */
size_t template_enter(struct resolver *, const char *name);
size_t template_enter_at(struct resolver *, size_t i);
void template_leave(struct resolver *, size_t where);

/** template_refuse(r, rc, fmt, ...): template_fail() with the path in front. */
enum rc template_refuse(struct resolver *, enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * template_value(r, v, value_r):
 * ${v} with all filled in, the caller's; NULL where it is AWS::NoValue.
 * RC_UNSUPPORTED: it rests on what is not ours.
 */
RC_MUST_USE enum rc
template_value(struct resolver *, const json_t *v, json_t **value_r);
/** template_text(r, v, text_r): the same of what must be a text, number or
 * boolean, as text; the caller frees it. */
RC_MUST_USE enum rc
template_text(struct resolver *, const json_t *v, char **text_r);
/** template_string(r, s, value_r): a string that was made, against the
 * limits.  RC_TOOBIG; RC_INVALID: a dynamic reference. */
RC_MUST_USE enum rc
template_string(struct resolver *, struct span s, json_t **value_r);

/** template_joined(r, b, value_r): the same of what was put together in ${b},
 * which stays the caller's. */
RC_MUST_USE enum rc
template_joined(struct resolver *, const struct buf *, json_t **value_r);

/** template_node_take(r): one value more.  RC_TOOBIG. */
RC_MUST_USE enum rc template_node_take(struct resolver *);

/** template_reference(r, name, value_r): what Ref answers. */
RC_MUST_USE enum rc
template_reference(struct resolver *, const char *name, json_t **value_r);
/** template_attribute(r, logical_id, attribute, value_r): Fn::GetAtt;
 * ${attribute} NULL: Ref of a resource. */
RC_MUST_USE enum rc template_attribute(struct resolver *,
    const char *logical_id, const char *attribute, json_t **value_r);

/** template_is_function(key): is {${key}: ...} one? */
bool template_is_function(const char *key);
/** template_function(r, name, arg, value_r): {${name}: ${arg}}. */
RC_MUST_USE enum rc template_function(
    struct resolver *, const char *name, const json_t *arg, json_t **value_r);
/** template_sub(r, arg, value_r): Fn::Sub. */
RC_MUST_USE enum rc
template_sub(struct resolver *, const json_t *arg, json_t **value_r);

/** template_condition(r, name, is_r): RC_INVALID: no such, or a circle.
 * RC_TOOBIG: more than TEMPLATE_DEPTH_MAX rest on each other. */
RC_MUST_USE enum rc
template_condition(struct resolver *, const char *name, bool *is_r);
/** template_conditions(r): all of them. */
RC_MUST_USE enum rc template_conditions(struct resolver *);

/** template_parameters(r): fills .parameters and .secrets. */
RC_MUST_USE enum rc template_parameters(struct resolver *);

/** template_resources(r): resolves all that is ours; ${order} has room for
 * .n_states indexes. */
RC_MUST_USE enum rc
template_resources(struct resolver *, size_t *order, size_t *n_order_r);

/** template_outputs(r, out): the outputs, also those that are skipped. */
RC_MUST_USE enum rc
template_outputs(struct resolver *, struct template_resolved *out);

/**
 * template_pattern_match(pattern, text, is_r, why):
 * Does all of ${text} match?  RC_INVALID: no such pattern, ${why} says.
 */
RC_MUST_USE enum rc template_pattern_match(const char *pattern,
    const char *text, bool *is_r, char why[TEMPLATE_WHY_BYTES]);

#endif
