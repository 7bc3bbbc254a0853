#ifndef REGISTRYD_PERMISSIONS_H
#define REGISTRYD_PERMISSIONS_H

#include <stddef.h>

#include "base/span.h"
#include "registryd/rates.h"

/*
 * The one table of who may do what: each route of the distribution API and
 * each operation of the AWS protocols, with the IAM actions it needs and what
 * they are asked of.  What is not in it is not served: a route or operation
 * without a row is denied to everybody, and a unit test finds it.
 */
enum access {
	ACCESS_OPEN,	   /* nobody is asked who they are */
	ACCESS_LOCAL,	   /* the control socket: its peer was asked already */
	ACCESS_SELF,	   /* POST / and /token: the body says who and what;
			      the handler asks */
	ACCESS_KNOWN,	   /* whoever has shown good credentials */
	ACCESS_REPOSITORY, /* the actions, on the repository it is about */
	ACCESS_REGISTRY,   /* the actions, on "*" */
	ACCESS_LISTED,	   /* a list: shows what the actions allow to see,
			      repository by repository */
};

struct permission {
	const char *name; /* of the route, or of the operation */
	enum access access;
	/* Separated by spaces, all are needed; with '|' between two of them
	 * either will do.  ACCESS_LISTED: any one lets see. */
	const char *actions;
	const char *head_actions; /* for HEAD; NULL: the same */
	enum rate rate;		  /* what it counts as, once it is allowed */
	enum rate head_rate;	  /* for HEAD; RATE_NONE: the same */
};

extern const struct permission permissions[];
extern const size_t n_permissions;

/** permission_find(name): NULL: none. */
const struct permission *permission_find(const char *name);

#endif
