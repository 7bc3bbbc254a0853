#ifndef REGISTRYCTL_TEMPLATE_H
#define REGISTRYCTL_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * CloudFormation templates, as far as a registry needs them (AWS
 * CloudFormation User Guide, "Template reference"): text in YAML or JSON, in,
 * resources whose properties have all values filled in, out.  Pure but for
 * what .attribute asks; one thread.
 *
 *	template_read(text) -> struct template
 *	template_resolve(template, context) -> json
 *
 * YAML is read by libyaml's events: anchors and aliases, merge-free, the short
 * forms (!Ref, !GetAtt, !Sub, !Join, !If, ...) become what their long forms
 * are.  An unquoted scalar is null (~, null, nothing), a boolean (true, yes,
 * on, ...: YAML 1.1, as CloudFormation reads it), a number where it is written
 * as JSON would write it back (12, -1.5; not 012, 1.10, 1e3, 12:30), else a
 * string, a date ("2012-10-17") too.  A quoted one is a string.
 */
#define TEMPLATE_WHY_BYTES 1024
#define TEMPLATE_MAX_BYTES ((size_t)1 << 20) /* CloudFormation's is 1 MB */
#define TEMPLATE_DEPTH_MAX 64
#define TEMPLATE_RESOURCES_MAX 500  /* as CloudFormation's */
#define TEMPLATE_PARAMETERS_MAX 200 /* as CloudFormation's */
#define TEMPLATE_OUTPUTS_MAX 200    /* as CloudFormation's */
#define TEMPLATE_NODES_MAX 100000   /* after aliases are followed */
/* A parameter's value, as CloudFormation's; each text of an output, which the
 * registry remembers; all texts of what is resolved, of which each has at most
 * TEMPLATE_MAX_BYTES; what is written. */
#define TEMPLATE_PARAMETER_MAX_BYTES 4096
#define TEMPLATE_OUTPUT_MAX_BYTES 4096
#define TEMPLATE_VALUES_MAX_BYTES ((size_t)16 << 20)
#define TEMPLATE_WRITE_MAX_BYTES ((size_t)64 << 20)
/* A resource that turns out to rest on another is resolved again behind it:
 * values looked at, in all. */
#define TEMPLATE_STEPS_MAX 2000000

struct template;

/**
 * template_read(text, why, template_r):
 * RC_INVALID: no template: ${why} says what is wrong, with line and column
 * where the syntax is at fault, else the path of the member
 * ("Resources.App.Properties").  RC_TOOBIG: one of the limits above (those of
 * base/json.h, which are wider: RC_INVALID).  Whatever is not known in a
 * section is refused; so are Rules, Hooks and all of Transform but
 * AWS::LanguageExtensions and AWS::Serverless-2016-10-31.  ${why} is "" or a
 * line without control characters.  The caller frees the template.
 */
RC_MUST_USE enum rc template_read(struct span text,
    char why[TEMPLATE_WHY_BYTES], struct template **template_r);
/** template_free(t): takes NULL; sets it to NULL. */
void template_free(struct template **);

enum template_deletion { TEMPLATE_DELETE, TEMPLATE_RETAIN };

struct template_resource {
	const char *logical_id;
	const char *type; /* "AWS::ECR::Repository" */
	/* Resolved, the resource's own reference; but a condition that is false
	 * has taken away what it had to. */
	json_t *properties;
	/* DeletionPolicy; RetainExceptOnCreate and Snapshot are RETAIN.  Of
	 * what is not said: DELETE. */
	enum template_deletion deletion;
	int line; /* where it stands in the text; 0: not known (JSON) */
};

struct template_output {
	const char *name;
	const char *export_name; /* NULL: not exported */
	const char *description; /* NULL */
	char *value;
};

/*
 * What the world outside of the template answers.  AWS::Partition is "aws",
 * AWS::URLSuffix "amazonaws.com", AWS::NoValue takes a member away.
 */
struct template_context {
	const char *account_id;
	const char *region;
	const char *stack_name;
	const char *stack_id; /* NULL: made of the three above */
	/* Parameters as NAME=VALUE were given. */
	const char *const *parameters;
	size_t n_parameters;
	/*
	 * Ref of a resource (attribute NULL) or Fn::GetAtt.  ${properties} are
	 * the resource's, resolved.  Returns the value, the caller's (free());
	 * NULL: the type has no such attribute, or is not one of ours, which
	 * ${why} says.
	 */
	char *(*attribute)(void *arg, const char *logical_id, const char *type,
	    const json_t *properties, const char *attribute,
	    char why[TEMPLATE_WHY_BYTES]);
	/* Is a resource of this type one of ours?  A reference to one that is
	 * not cannot be resolved; one of ours that has such a reference is an
	 * error, one that is skipped anyway is not resolved at all. */
	bool (*ours)(void *arg, const char *type);
	void *arg;
};

struct template_resolved {
	struct template_resource *resources; /* in an order in which what is
						referenced, or DependsOn, stands
						first; all of them, also those
						that are not ours (properties
						NULL), but those whose
						Condition is false */
	size_t n_resources;
	struct template_output *outputs; /* by name */
	size_t n_outputs;
	/* Those whose value rests on what is not ours: named, not printed. */
	const char **outputs_skipped;
	size_t n_outputs_skipped;
};

/**
 * template_resolve(t, context, why, r):
 * Parameters (Default, AllowedValues, AllowedPattern, MinLength, MaxLength,
 * MinValue, MaxValue; types String, Number, List<Number>, CommaDelimitedList;
 * those of AWS, AWS::X::Y and List<AWS::X::Y>, as texts; NoEcho: the value is
 * in no message), Mappings and Fn::FindInMap, Conditions with Fn::If,
 * Fn::Equals, Fn::And, Fn::Or, Fn::Not, Ref, Fn::GetAtt, Fn::Sub (both forms),
 * Fn::Join, Fn::Select, Fn::Split, Fn::Base64, Fn::ToJsonString, Fn::Length
 * and the pseudo parameters.
 *
 * As in CloudFormation the value of a parameter is a text whatever its type
 * ("5"), and that of a list an array of texts.  AllowedPattern is an extended
 * regular expression of POSIX, by bytes, that all of the value has to match;
 * what of Java's is common is translated (\d \w \s, escapes, (?:...), lazy
 * repetition), the rest refused by name.
 *
 * RC_INVALID: ${why} names path and value: an unknown parameter, a missing
 * one, a reference to what is not there, a circle, null, a function that is
 * not known (Fn::ImportValue, Fn::GetAZs, Fn::Transform and dynamic references
 * {{resolve:...}} are told to be not supported).  RC_TOOBIG: the limits above,
 * or more than TEMPLATE_DEPTH_MAX conditions that rest on each other.  The
 * caller ends it with template_resolved_end(), whatever came of it; it borrows
 * from ${t}.
 */
RC_MUST_USE enum rc
template_resolve(const struct template *, const struct template_context *,
    char why[TEMPLATE_WHY_BYTES], struct template_resolved *r);
void template_resolved_end(struct template_resolved *);

/** template_write_yaml(json, text_r): the same as YAML, in the order of
 * members; texts of more than a line as block scalars, where one holds them.
 * RC_TOOBIG: more than TEMPLATE_WRITE_MAX_BYTES.  The caller frees. */
RC_MUST_USE enum rc template_write_yaml(const json_t *, char **text_r);

#endif
