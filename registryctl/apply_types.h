#ifndef REGISTRYCTL_APPLY_TYPES_H
#define REGISTRYCTL_APPLY_TYPES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "auth/policy.h"
#include "base/rc.h"

/*
 * The resource types of CloudFormation that a registry has, as AWS's resource
 * reference describes them: their properties, under which names the ECR API has
 * the same, and what a reference to one comes to.  Pure; any thread.
 *
 * What a template says of a resource and what the registry says of it both come
 * to one form, the normal one, in which equal things are equal JSON: members
 * under CloudFormation's names; truth as booleans; policies as the JSON that
 * they are; tags and sets in order; what is empty left out; what is not said by
 * its default.
 */
#define APPLY_WHY_BYTES 1024
#define APPLY_ID_MAX_BYTES 2048

enum property_kind {
	PROPERTY_TEXT,
	PROPERTY_FLAG,
	PROPERTY_POLICY,    /* of a repository: JSON, or text that holds it */
	PROPERTY_REGISTRY,  /* the registry's policy, likewise */
	PROPERTY_LIFECYCLE, /* a lifecycle policy, likewise */
	PROPERTY_SET,	    /* texts whose order means nothing */
	PROPERTY_LIST,	    /* structures of .members */
	PROPERTY_TAGS,
	PROPERTY_STRUCTURE, /* of .members */
};

#define PROPERTY_REQUIRED 0x01u
/* Names the resource: another one is another resource. */
#define PROPERTY_IDENTITY 0x02u
/* Only a new resource can have another. */
#define PROPERTY_FIXED 0x04u
/* What the template does not say may be anything. */
#define PROPERTY_LENIENT 0x08u
/* Can be changed, but not taken away. */
#define PROPERTY_STICKY 0x10u
/* Is the registry's account, if it is said at all. */
#define PROPERTY_ACCOUNT 0x20u
/* No property of the ECR API: what apply itself goes by. */
#define PROPERTY_OWN 0x40u
/* Empty it is something, too. */
#define PROPERTY_EMPTY 0x80u

struct property {
	const char *name; /* in templates */
	const char *api;  /* in the ECR API */
	enum property_kind kind;
	unsigned flags;
	const char *preset;	   /* JSON; NULL: none */
	const char *const *values; /* of an enumeration; NULL at the end */
	const struct property *members;
	size_t n_members;
};

enum resource_kind {
	RESOURCE_REPOSITORY,
	RESOURCE_REGISTRY_POLICY,
	RESOURCE_REPLICATION,
	RESOURCE_CACHE_RULE,
	RESOURCE_CREATION_TEMPLATE,
	RESOURCE_SCANNING,
	RESOURCE_PULL_EXCLUSION,
	RESOURCE_SIGNING,
	RESOURCE_KINDS,
};

struct resource_type {
	const char *name; /* "AWS::ECR::Repository" */
	const char *word; /* begins logical ids that are made up */
	const char *what; /* for people: "repository" */
	const struct property *properties;
	size_t n_properties;
};

extern const struct resource_type resource_types[RESOURCE_KINDS];

/** resource_type_find(name, kind_r): false: not one of ours. */
bool resource_type_find(const char *name, enum resource_kind *kind_r);

/* The registry that is spoken to. */
struct apply_registry {
	char *account_id, *region;
	char *uri; /* what stands before "/NAME" in addresses of repositories */
};

/**
 * resource_normal(kind, properties, registry, normal_r, why):
 * Of a template's properties (NULL: none).  RC_INVALID: ${why} names the member
 * and what is wrong: one that there is not, one that is missing, a value of
 * another form, a policy that no registry would take.  The caller owns the
 * normal form.
 */
RC_MUST_USE enum rc resource_normal(enum resource_kind,
    const json_t *properties, const struct apply_registry *, json_t **normal_r,
    char why[APPLY_WHY_BYTES]);

/** resource_from_api(kind, o): the normal form of what the ECR API tells, with
 * its members' names; what there is beyond the properties is left out.  The
 * caller's. */
json_t *resource_from_api(enum resource_kind, const json_t *o);

/** resource_to_api(kind, normal): the other way, policies as text; the
 * caller's. */
json_t *resource_to_api(enum resource_kind, const json_t *normal);

/** resource_to_template(kind, normal): as it is written in a template: without
 * what is so by default; the caller's. */
json_t *resource_to_template(enum resource_kind, const json_t *normal);

/**
 * resource_id(kind, logical_id, properties, stack, registry, why):
 * What the resource is called in the registry, by its properties, resolved
 * (normal or not): a repository's name, a prefix, an ARN; of what there is one
 * of, the account.  A repository without a name gets one of stack and logical
 * id.  The caller's; NULL: ${why} says why not.
 */
char *resource_id(enum resource_kind, const char *logical_id,
    const json_t *properties, const char *stack, const struct apply_registry *,
    char why[APPLY_WHY_BYTES]);

/** resource_text(v): as CloudFormation does: numbers and truth are text where
 * text is wanted; the caller's.  NULL: it is no text. */
json_t *resource_text(const json_t *);

/** resource_same(kind, a, b): two ids of the same: a prefix is the same with
 * and without '/' at its end. */
bool resource_same(enum resource_kind, const char *a, const char *b);

/** resource_names_itself(kind, properties): is there a name in them, or is it
 * made up? */
bool resource_names_itself(enum resource_kind, const json_t *properties);

/** resource_attribute(kind, id, attribute, registry, why): of Ref (NULL) and
 * Fn::GetAtt; the caller's.  NULL: there is none of that name; ${why}. */
char *
resource_attribute(enum resource_kind, const char *id, const char *attribute,
    const struct apply_registry *, char why[APPLY_WHY_BYTES]);

/** resource_vacant(kind): what is so where there is no such resource, the
 * caller's; NULL: nothing is. */
json_t *resource_vacant(enum resource_kind);

/** property_find(kind, name): of the resource itself; NULL: none. */
const struct property *property_find(enum resource_kind, const char *name);

#endif
