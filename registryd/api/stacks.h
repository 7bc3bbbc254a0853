#ifndef API_STACKS_H
#define API_STACKS_H

#include "registryd/api/aws_int.h"

/*
 * What "registryctl apply" remembers of a template: a stack, by its name, with
 * the resources that it has made or taken over and the outputs of its last
 * application.  ECR has no such thing, so these operations have a target of
 * their own, Registryd_V20261122, and a table of their own: that of ECR holds
 * what ECR's model has.  They are signed for "ecr" like all others, and asked
 * for as registryd:GetStack and so on, of "*".
 *
 *	GetStack	also who this registry is, which a template may ask;
 *			of a stack that there is not, only that
 *	PutStack	whole; its revision must be the one that was read (0: it
 *			is new), so that of two who apply at once one is told
 *	DeleteStack	the memory only, none of what it names
 *	ListStacks
 */
extern const struct aws_operation stack_operations[];
extern const size_t n_stack_operations;

#endif
