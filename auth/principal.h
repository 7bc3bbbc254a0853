#ifndef AUTH_PRINCIPAL_H
#define AUTH_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Who asks.  A principal borrows from the directory it was found in (see
 * directory.h) or from an arena; it lives as long as that.
 */
struct policy;

enum principal_kind {
	PRINCIPAL_ANONYMOUS, /* showed nothing */
	PRINCIPAL_USER,	     /* of the directory, of an htpasswd file */
	PRINCIPAL_EVERYBODY, /* `auth: none`, or the local administrator at
				the control socket: may do everything */
};

struct name_value {
	struct span name, value;
};

/* A policy that is attached to a principal, directly or through a group. */
struct attached_policy {
	const struct policy *policy;
	const char *label; /* for people: "AmazonEC2ContainerRegistryReadOnly",
			      "inline policy x of user y", ... */
};

struct principal {
	enum principal_kind kind;
	struct span account; /* 12 digits; empty when anonymous */
	struct span name;    /* of the user; "anonymous" */
	struct span arn; /* "arn:aws:iam::111122223333:user/build"; what logs
			    and messages show */
	struct span id;	 /* "AIDA...": aws:userid */
	struct span access_key; /* by which it came; may be empty */
	const struct name_value *tags;
	size_t n_tags;
	const struct attached_policy *policies;
	size_t n_policies;
};

#endif
