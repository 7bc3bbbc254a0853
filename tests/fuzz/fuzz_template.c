#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/template_int.h"

/*
 * The input is a template.  What is not one is refused with a reason, which is
 * a line of text.  What is read is resolved, in a world that answers every
 * question; what comes of it has no functions left and every name once.  And
 * whatever YAML says, written down again it says the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char *
attribute(void *arg, const char *logical_id, const char *type,
    const json_t *properties, const char *name, char why[TEMPLATE_WHY_BYTES])
{
	(void)arg;
	(void)type;
	must(json_is_object(properties));
	if (name != NULL && strcmp(name, "None") == 0) {
		(void)template_fail(why, RC_INVALID, "none");
		return (NULL);
	}
	return (xasprintf("%s.%s", logical_id, name != NULL ? name : "Ref"));
}

static bool
ours(void *arg, const char *type)
{
	(void)arg;
	return (strncmp(type, "AWS::ECR::", 10) == 0);
}

static void
why_check(enum rc rc, const char *why)
{
	size_t i, n = strnlen(why, TEMPLATE_WHY_BYTES);

	must(rc == RC_OK || rc == RC_INVALID || rc == RC_TOOBIG);
	must(n < TEMPLATE_WHY_BYTES);
	must((rc == RC_OK) == (n == 0));
	for (i = 0; i < n; i++)
		must((unsigned char)why[i] >= ' ' && why[i] != 0x7f);
}

static void
value_check(const json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;

	must(v != NULL && !json_is_null(v));
	json_object_foreach((json_t *)v, key, item)
	{
		must(strncmp(key, "Fn::", 4) != 0);
		value_check(item);
	}
	json_array_foreach(v, i, item)
	{
		value_check(item);
	}
}

static void
resolved_check(const struct template_resolved *r)
{
	size_t i, k;

	must(r->n_resources <= TEMPLATE_RESOURCES_MAX);
	for (i = 0; i < r->n_resources; i++) {
		must((r->resources[i].properties != NULL) ==
		     ours(NULL, r->resources[i].type));
		if (r->resources[i].properties != NULL)
			value_check(r->resources[i].properties);
		for (k = 0; k < i; k++)
			must(strcmp(r->resources[i].logical_id,
				 r->resources[k].logical_id) != 0);
	}
	for (i = 0; i < r->n_outputs; i++) {
		must(r->outputs[i].value != NULL);
		must(i == 0 ||
		     strcmp(r->outputs[i - 1].name, r->outputs[i].name) < 0);
	}
}

static void
template_try(struct span text)
{
	static const char *const given[] = { "A=1", "B=x,y" };
	struct template_context c = { .account_id = "000000000000",
		.region = "us-east-1",
		.stack_name = "s",
		.parameters = given,
		.attribute = attribute,
		.ours = ours };
	char why[TEMPLATE_WHY_BYTES];
	struct template_resolved r;
	struct template *t;
	enum rc rc;

	memset(why, 'w', sizeof(why));
	rc = template_read(text, why, &t);
	why_check(rc, why);
	must((rc == RC_OK) == (t != NULL));
	if (rc != RC_OK)
		return;
	/* With what it takes, and with all that it may not have. */
	for (c.n_parameters = 0; c.n_parameters <= ARRAY_LEN(given);
	     c.n_parameters++) {
		rc = template_resolve(t, &c, why, &r);
		why_check(rc, why);
		if (rc == RC_OK)
			resolved_check(&r);
		template_resolved_end(&r);
	}
	template_free(&t);
}

static void
yaml_try(struct span text)
{
	char why[TEMPLATE_WHY_BYTES] = "", *written;
	json_t *doc, *again, *lines = json_object();
	struct span rest;
	enum rc rc;

	rc = template_yaml_read(text, why, &doc, lines);
	why_check(rc, why);
	if (rc == RC_OK) {
		rc = template_write_yaml(doc, &written);
		must(rc == RC_OK || rc == RC_TOOBIG);
	}
	if (doc != NULL && rc == RC_OK) {
		rest = span_of(written);
		must(template_yaml_read(rest, why, &again, lines) == RC_OK);
		must(json_equal(doc, again));
		json_decref(again);
		free(written);
	}
	json_decref(doc);
	json_decref(lines);
}

/* The input as a pattern and a text, where a line ends the first one. */
static void
pattern_try(struct span text)
{
	char why[TEMPLATE_WHY_BYTES] = "", *pattern, *value;
	struct span line;
	enum rc rc;
	bool is;

	if (!span_split(&text, '\n', &line) || text.n > 256)
		return;
	pattern = xstrndup(line.p, line.n);
	value = xstrndup(text.p != NULL ? text.p : "", text.n);
	rc = template_pattern_match(pattern, value, &is, why);
	why_check(rc, why);
	free(pattern);
	free(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = { (const char *)data, n };

	template_try(text);
	yaml_try(text);
	pattern_try(text);
	return (0);
}
