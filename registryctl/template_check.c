#include "registryctl/template_int.h"

#include <ctype.h>
#include <string.h>

#include "base/obj.h"

/*
 * The shape of a template, and of all its sections, as far as it can be seen
 * without any values.  What is not known is refused, as CloudFormation does:
 * a misspelt DeletionPolicy that is passed over costs somebody a repository.
 * The attributes of a resource are looked at when it turns out to be one of
 * ours.
 */
#define FORMAT_VERSION "2010-09-09"
#define NAME_MAX_BYTES 255

static const char *const sections[] = { "AWSTemplateFormatVersion",
	"Description", "Metadata", "Parameters", "Mappings", "Conditions",
	"Resources", "Outputs", "Transform", "Globals", NULL };
static const char *const parameter_members[] = { "Type", "Default",
	"AllowedValues", "AllowedPattern", "ConstraintDescription",
	"Description", "MinLength", "MaxLength", "MinValue", "MaxValue",
	"NoEcho", NULL };
static const char *const output_members[] = { "Value", "Export", "Description",
	"Condition", NULL };

struct check {
	const json_t *doc;
	char *why;
};

static enum rc
known_check(const struct check *c, const char *where, const json_t *o,
    const char *const *known)
{
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)o, key, v)
	{
		if (strncmp(key, "Fn::", 4) == 0)
			return (template_fail(c->why, RC_INVALID,
			    "%.250s: %.250s is not supported", where, key));
		for (i = 0; known[i] != NULL && strcmp(known[i], key) != 0; i++)
			;
		if (known[i] == NULL)
			return (template_fail(c->why, RC_INVALID,
			    "%.250s%s%.250s is not known", where,
			    where[0] != '\0' ? "." : "", key));
	}
	return (RC_OK);
}

static bool
name_ok(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p))
			return (false);
	return (p != name && p - name <= NAME_MAX_BYTES);
}

/* Of a section: a name and the value that stands there. */
typedef enum rc
member_check_fn(const struct check *, const char *name, const json_t *);

static enum rc
member_fail(const struct check *c, const char *section, const char *name,
    const char *what)
{
	return (template_fail(
	    c->why, RC_INVALID, "%s.%.250s %s", section, name, what));
}

static enum rc
section_check(const struct check *c, const char *section, size_t n_max,
    member_check_fn *check)
{
	const json_t *o = json_object_get(c->doc, section);
	const char *name;
	json_t *v;
	enum rc rc;

	if (o == NULL)
		return (RC_OK);
	if (!json_is_object(o))
		return (template_fail(
		    c->why, RC_INVALID, "%s must be a map of names", section));
	if (json_object_size(o) > n_max)
		return (template_fail(c->why, RC_TOOBIG,
		    "%s: more than %zu of them", section, n_max));
	json_object_foreach((json_t *)o, name, v)
	{
		if (strncmp(name, "Fn::", 4) == 0)
			return (
			    member_fail(c, section, name, "is not supported"));
		if (!name_ok(name))
			return (member_fail(c, section, name,
			    "is no name: up to 255 letters and digits"));
		if ((rc = check(c, name, v)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
parameter_check(const struct check *c, const char *name, const json_t *v)
{
	static const char section[] = "Parameters";
	char where[TEMPLATE_PATH_BYTES];

	if (!json_is_string(json_object_get(v, "Type")))
		return (member_fail(c, section, name, "has no Type"));
	if (json_object_get(json_object_get(c->doc, "Resources"), name) != NULL)
		return (member_fail(
		    c, section, name, "is the name of a resource too"));
	(void)snprintf(where, sizeof(where), "%s.%.250s", section, name);
	return (known_check(c, where, v, parameter_members));
}

static bool
mapping_value_ok(const json_t *v)
{
	json_t *item;
	size_t i;

	json_array_foreach(v, i, item)
	{
		if (json_is_object(item) || json_is_array(item) ||
		    json_is_null(item))
			return (false);
	}
	return (!json_is_object(v) && !json_is_null(v));
}

static enum rc
mapping_check(const struct check *c, const char *name, const json_t *v)
{
	const char *top, *second;
	json_t *map, *value;

	if (!json_is_object(v))
		goto bad;
	json_object_foreach((json_t *)v, top, map)
	{
		if (!json_is_object(map))
			goto bad;
		json_object_foreach(map, second, value)
		{
			if (!mapping_value_ok(value))
				goto bad;
		}
	}
	return (RC_OK);
bad:
	return (member_fail(c, "Mappings", name,
	    "must be a map of maps of texts, numbers, booleans or lists of "
	    "them"));
}

static enum rc
condition_check(const struct check *c, const char *name, const json_t *v)
{
	if (!json_is_object(v))
		return (
		    member_fail(c, "Conditions", name, "must be a function"));
	return (RC_OK);
}

/* The member Condition of a resource or an output. */
static enum rc
condition_named_check(const struct check *c, const char *section,
    const char *name, const json_t *of)
{
	const json_t *v = json_object_get(of, "Condition");
	const json_t *all = json_object_get(c->doc, "Conditions");

	if (v == NULL)
		return (RC_OK);
	if (!json_is_string(v))
		return (member_fail(
		    c, section, name, "has a Condition that is not a name"));
	if (json_object_get(all, json_string_value(v)) == NULL)
		return (template_fail(c->why, RC_INVALID,
		    "%s.%.250s.Condition: there is no condition \"%.250s\"",
		    section, name, json_string_value(v)));
	return (RC_OK);
}

static enum rc
dependency_check(const struct check *c, const char *name, const json_t *v)
{
	const json_t *all = json_object_get(c->doc, "Resources");

	if (!json_is_string(v))
		return (member_fail(c, "Resources", name,
		    "has a DependsOn that is no name or list of names"));
	if (json_object_get(all, json_string_value(v)) == NULL)
		return (template_fail(c->why, RC_INVALID,
		    "Resources.%.250s.DependsOn: there is no resource "
		    "\"%.250s\"",
		    name, json_string_value(v)));
	return (RC_OK);
}

static enum rc
dependencies_check(const struct check *c, const char *name, const json_t *of)
{
	const json_t *v = json_object_get(of, "DependsOn");
	json_t *item;
	enum rc rc;
	size_t i;

	if (v == NULL)
		return (RC_OK);
	if (!json_is_array(v))
		return (dependency_check(c, name, v));
	json_array_foreach(v, i, item)
	{
		if ((rc = dependency_check(c, name, item)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
resource_check(const struct check *c, const char *name, const json_t *v)
{
	static const char section[] = "Resources";
	const char *type = json_string_value(json_object_get(v, "Type"));
	const json_t *properties = json_object_get(v, "Properties");
	enum rc rc;

	if (type == NULL || type[0] == '\0')
		return (member_fail(c, section, name, "has no Type"));
	if (properties != NULL && !json_is_object(properties))
		return (member_fail(
		    c, section, name, "has Properties that are not a map"));
	if ((rc = condition_named_check(c, section, name, v)) != RC_OK)
		return (rc);
	return (dependencies_check(c, name, v));
}

static enum rc
output_check(const struct check *c, const char *name, const json_t *v)
{
	static const char section[] = "Outputs";
	const json_t *export = json_object_get(v, "Export");
	const json_t *description = json_object_get(v, "Description");
	char where[TEMPLATE_PATH_BYTES];
	enum rc rc;

	if (json_object_get(v, "Value") == NULL)
		return (member_fail(c, section, name, "has no Value"));
	if (export != NULL && (json_object_size(export) != 1 ||
				  json_object_get(export, "Name") == NULL))
		return (member_fail(c, section, name,
		    "has an Export that is not a map with a Name"));
	if (description != NULL && !json_is_string(description))
		return (member_fail(
		    c, section, name, "has a Description that is not a text"));
	if (json_string_length(description) > TEMPLATE_OUTPUT_MAX_BYTES)
		return (member_fail(
		    c, section, name, "has a Description that is too long"));
	if ((rc = condition_named_check(c, section, name, v)) != RC_OK)
		return (rc);
	(void)snprintf(where, sizeof(where), "%s.%.250s", section, name);
	return (known_check(c, where, v, output_members));
}

static enum rc
transform_check(const struct check *c, const json_t *v)
{
	/* The first adds functions that we have, the second types that are
	 * not ours. */
	static const char *const known[] = { "AWS::LanguageExtensions",
		"AWS::Serverless-2016-10-31" };
	const char *name = json_string_value(v);
	size_t i;

	for (i = 0; name != NULL && i < ARRAY_LEN(known); i++)
		if (strcmp(known[i], name) == 0)
			return (RC_OK);
	return (template_fail(c->why, RC_INVALID,
	    "Transform: %.250s is not supported",
	    name != NULL ? name : "a macro with parameters"));
}

static enum rc
head_check(const struct check *c)
{
	const json_t *version =
	    json_object_get(c->doc, "AWSTemplateFormatVersion");
	const json_t *transform = json_object_get(c->doc, "Transform");
	const json_t *item;
	enum rc rc;
	size_t i;

	if (version != NULL &&
	    (!json_is_string(version) ||
		strcmp(json_string_value(version), FORMAT_VERSION) != 0))
		return (template_fail(c->why, RC_INVALID,
		    "AWSTemplateFormatVersion must be " FORMAT_VERSION));
	if (transform == NULL)
		return (RC_OK);
	if (!json_is_array(transform))
		return (transform_check(c, transform));
	json_array_foreach(transform, i, item)
	{
		if ((rc = transform_check(c, item)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
unsupported_check(const struct check *c)
{
	static const char *const not_here[] = { "Rules", "Hooks" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(not_here); i++)
		if (json_object_get(c->doc, not_here[i]) != NULL)
			return (template_fail(c->why, RC_INVALID,
			    "the section %s is not supported", not_here[i]));
	return (known_check(c, "", c->doc, sections));
}

enum rc
template_check(const json_t *doc, char why[TEMPLATE_WHY_BYTES])
{
	const struct check c = { doc, why };
	enum rc rc;

	if (!json_is_object(doc))
		return (template_fail(
		    why, RC_INVALID, "a template is a map of sections"));
	if ((rc = unsupported_check(&c)) != RC_OK ||
	    (rc = head_check(&c)) != RC_OK)
		return (rc);
	if (json_object_size(json_object_get(doc, "Resources")) == 0)
		return (template_fail(
		    why, RC_INVALID, "Resources: there are none"));
	if ((rc = section_check(&c, "Parameters", TEMPLATE_PARAMETERS_MAX,
		 parameter_check)) != RC_OK ||
	    (rc = section_check(
		 &c, "Mappings", TEMPLATE_NODES_MAX, mapping_check)) != RC_OK ||
	    (rc = section_check(&c, "Conditions", TEMPLATE_NODES_MAX,
		 condition_check)) != RC_OK ||
	    (rc = section_check(&c, "Resources", TEMPLATE_RESOURCES_MAX,
		 resource_check)) != RC_OK)
		return (rc);
	return (
	    section_check(&c, "Outputs", TEMPLATE_OUTPUTS_MAX, output_check));
}
