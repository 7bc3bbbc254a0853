#ifndef REGISTRYCTL_APPLY_H
#define REGISTRYCTL_APPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "registryctl/apply_plan.h"
#include "registryctl/command.h"
#include "registryctl/ecr_client.h"
#include "registryctl/login.h"
#include "registryctl/template.h"

/*
 * registryctl apply, in the order in which it happens:
 *
 *	apply.c		the command line, and what follows from what
 *	apply_prepare.c	the template, the stack and the registry -> a plan
 *	apply_show.c	the plan, and what came of it, for people and programs
 *	apply_do.c	the plan -> the registry and the stack
 */
#define APPLY_PARAMETERS_MAX TEMPLATE_PARAMETERS_MAX

struct apply_options {
	const char *file;
	const char *stack; /* NULL: of the file's name */
	const char *parameters[APPLY_PARAMETERS_MAX];
	size_t n_parameters;
	bool prune, dry_run, yes;
	struct login_options login;
};

struct apply {
	const struct ctl *ctl;
	const struct apply_options *options;
	struct ecr_client *client;
	struct apply_registry registry;
	char *stack;
	json_t *before; /* the stack as the registry has it; NULL: there is
			   none */
	json_t *others; /* the other stacks; NULL: not asked for yet */
	struct template *template;
	struct template_resolved resolved;
	struct plan plan;
};

/** apply_remembered(a): the resources that the stack names, an array of it;
 * NULL: none. */
const json_t *apply_remembered(const struct apply *);

/**
 * apply_prepare(a):
 * Reads the template, asks the registry, and makes the plan; nothing is
 * changed.  false: it cannot be done, and why has been said.  With all else of
 * ${a} ended by apply_end().
 */
bool apply_prepare(struct apply *);
void apply_end(struct apply *);

/** apply_do(a): all of the plan, or up to the first failure, and then the
 * memory of the stack.  false: what failed has been said. */
bool apply_do(struct apply *);

/* --- showing ------------------------------------------------------------- */

/** apply_show_plan(a): for people. */
void apply_show_plan(const struct apply *);
/** apply_show_done(item): one line, when it is done. */
void apply_show_done(const struct plan_item *);
/** apply_show_outputs(a): outputs and exports, for people. */
void apply_show_outputs(const struct apply *);
/** apply_show_json(a, applied): all of it, for programs. */
enum ctl_exit apply_show_json(const struct apply *, bool applied);

/** apply_outputs(a): as PutStack takes them, the caller's. */
json_t *apply_outputs(const struct apply *);

#endif
