#include "template_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/span.h"

static char *
name_of(const char *logical_id, const json_t *properties)
{
	const char *name =
	    json_string_value(json_object_get(properties, "RepositoryName"));
	char *made = xstrdup(name != NULL ? name : logical_id), *c;

	for (c = made; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return (made);
}

static char *
attribute(void *arg, const char *logical_id, const char *type,
    const json_t *properties, const char *name, char why[TEMPLATE_WHY_BYTES])
{
	char *physical = name_of(logical_id, properties), *made = NULL;

	(void)arg;
	assert_non_null(properties);
	if (name == NULL)
		return (physical);
	if (strcmp(name, "Arn") == 0)
		made = xasprintf("arn:aws:ecr:eu-west-1:123456789012:"
				 "repository/%s",
		    physical);
	else if (strcmp(name, "RepositoryUri") == 0)
		made = xasprintf("registry.example:5000/%s", physical);
	else
		(void)snprintf(why, TEMPLATE_WHY_BYTES,
		    "%s has no attribute %s", type, name);
	free(physical);
	return (made);
}

static bool
ours(void *arg, const char *type)
{
	(void)arg;
	return (strncmp(type, "AWS::ECR::", 10) == 0);
}

enum rc
templated_try(struct templated *it, const char *text, const char *const *given)
{
	struct template_context c = { .account_id = "123456789012",
		.region = "eu-west-1",
		.stack_name = "web",
		.parameters = given,
		.attribute = attribute,
		.ours = ours };
	enum rc rc;

	memset(it, 0, sizeof(*it));
	while (given != NULL && given[c.n_parameters] != NULL)
		c.n_parameters++;
	rc = template_read(span_of(text), it->why, &it->t);
	assert_true((rc == RC_OK) == (it->t != NULL));
	if (rc == RC_OK)
		rc = template_resolve(it->t, &c, it->why, &it->r);
	assert_true((rc == RC_OK) == (it->why[0] == '\0'));
	return (rc);
}

void
templated_end(struct templated *it)
{
	template_resolved_end(&it->r);
	template_free(&it->t);
}

const struct template_resource *
templated_resource(const struct templated *it, const char *logical_id)
{
	size_t i;

	for (i = 0; i < it->r.n_resources; i++)
		if (strcmp(it->r.resources[i].logical_id, logical_id) == 0)
			return (&it->r.resources[i]);
	return (NULL);
}

const struct template_output *
templated_output(const struct templated *it, const char *name)
{
	size_t i;

	for (i = 0; i < it->r.n_outputs; i++)
		if (strcmp(it->r.outputs[i].name, name) == 0)
			return (&it->r.outputs[i]);
	return (NULL);
}

static void
json_expect(const json_t *v, const char *json, const char *of)
{
	json_t *expected = json_loads(json, JSON_DECODE_ANY, NULL);
	char *text;

	if (expected == NULL)
		fail_msg("the test is wrong: %s", json);
	if (!json_equal(v, expected)) {
		text = v != NULL ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
		fail_msg("%s:\nis %s\nnot %s", of,
		    text != NULL ? text : "nothing", json);
	}
	json_decref(expected);
}

void
templated_expect(const char *text, const char *const *given,
    const char *logical_id, const char *json)
{
	const struct template_resource *r;
	struct templated it;

	if (templated_try(&it, text, given) != RC_OK)
		fail_msg("%s:\n%s", text, it.why);
	r = templated_resource(&it, logical_id);
	assert_non_null(r);
	json_expect(r->properties, json, text);
	templated_end(&it);
}

void
templated_refuse(
    const char *text, const char *const *given, enum rc rc, const char *words)
{
	struct span rest = span_of(words), word;
	struct templated it;
	enum rc was = templated_try(&it, text, given);

	if (was != rc)
		fail_msg("%s:\n%s (%s)", text, rc_name(was), it.why);
	while (span_split(&rest, '|', &word))
		if (memmem(it.why, strlen(it.why), word.p, word.n) == NULL)
			fail_msg("%s:\n\"%s\" lacks \"" SPAN_FMT "\"", text,
			    it.why, SPAN_ARG(word));
	templated_end(&it);
}

static char *
around(const char *value)
{
	return (
	    xasprintf("Parameters:\n"
		      "  Name: {Type: String, Default: api}\n"
		      "  Count: {Type: Number, Default: 5}\n"
		      "  Zones: {Type: CommaDelimitedList, Default: 'a, b,c'}\n"
		      "Mappings:\n"
		      "  Regions:\n"
		      "    eu-west-1: {Short: euw1, Keep: 30, All: [x, y]}\n"
		      "    us-east-1: {Short: use1, Keep: 5, All: [z]}\n"
		      "Conditions:\n"
		      "  Is: !Equals [!Ref Name, api]\n"
		      "  IsNot: !Not [Condition: Is]\n"
		      "Resources:\n"
		      "  App:\n"
		      "    Type: AWS::ECR::Repository\n"
		      "    Properties:\n"
		      "      P: %s\n"
		      "  Other:\n"
		      "    Type: AWS::ECR::Repository\n"
		      "    Properties: {RepositoryName: team/other}\n"
		      "  Bucket:\n"
		      "    Type: AWS::S3::Bucket\n",
		value));
}

void
templated_value(const char *value, const char *json)
{
	char *text = around(value);
	char *whole = xasprintf("{%s%s%s}", json != NULL ? "\"P\":" : "",
	    json != NULL ? json : "", "");

	templated_expect(text, NULL, "App", whole);
	free(text);
	free(whole);
}

void
templated_value_refuse(const char *value, const char *words)
{
	char *text = around(value);

	templated_refuse(text, NULL, RC_INVALID, words);
	free(text);
}
