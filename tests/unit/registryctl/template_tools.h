#ifndef TESTS_UNIT_REGISTRYCTL_TEMPLATE_TOOLS_H
#define TESTS_UNIT_REGISTRYCTL_TEMPLATE_TOOLS_H

#include "registryctl/template.h"

/*
 * Templates and a world around them: the stack "web" of the account
 * 123456789012 in eu-west-1, where what begins with AWS::ECR:: is ours, Ref of
 * a resource is its RepositoryName, or else its logical id in lower case, and
 * the attributes are Arn and RepositoryUri.
 */
struct templated {
	struct template *t;
	struct template_resolved r;
	char why[TEMPLATE_WHY_BYTES];
};

/** templated_try(it, text, given): read and resolved; ${given} are parameters,
 * NULL at their end, or NULL.  templated_end() whatever came of it. */
enum rc
templated_try(struct templated *, const char *text, const char *const *given);
void templated_end(struct templated *);

/** templated_resource(it, logical_id): NULL: not there. */
const struct template_resource *
templated_resource(const struct templated *, const char *logical_id);
/** templated_output(it, name): NULL: not there. */
const struct template_output *
templated_output(const struct templated *, const char *name);

/** templated_expect(text, given, logical_id, json): the properties of the
 * resource are ${json}. */
void templated_expect(const char *text, const char *const *given,
    const char *logical_id, const char *json);

/** templated_refuse(text, given, rc, words): it fails so, and says all of
 * ${words}, which a '|' separates. */
void templated_refuse(
    const char *text, const char *const *given, enum rc rc, const char *words);

/** templated_value(value, json): "P: ${value}" in YAML is ${json}, in a
 * template that has "App", "Other" (both ours), "Bucket" (not ours), the
 * parameters Name (=api), Count (=5), Zones (=a,b,c), the map Regions and the
 * conditions Is and IsNot. */
void templated_value(const char *value, const char *json);
/** templated_value_refuse(value, words): the same template is refused. */
void templated_value_refuse(const char *value, const char *words);

#endif
