#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/apply_state.h"
#include "registryctl/print.h"
#include "registryctl/template.h"

/*
 * registryctl export-template: the registry as it is, as a template that makes
 * the same of an empty one, and finds nothing to do in this one.
 */
static const char help[] =
    "Usage: registryctl [--data DIR | --endpoint URL] export-template\n"
    "       [NAME...] [--prefix PREFIX] [--format yaml|json]\n"
    "Print a CloudFormation template of the registry as it is: repositories\n"
    "with their settings, policies and tags, the policy of the registry,\n"
    "replication, pull through cache rules, repository creation templates,\n"
    "scanning, signing and pull time update exclusions. \"apply\" takes it, "
    "here\n"
    "or elsewhere. There are no images in it, and no credentials.\n"
    "\n"
    "  NAME...            only these repositories, and nothing of the "
    "registry\n"
    "  --prefix PREFIX    likewise those whose names begin with it\n"
    "  --format yaml|json (yaml; json with --output json)\n"
    "\n" LOGIN_OPTIONS_HELP;

enum own_code { OPT_PREFIX = LOGIN_OWN, OPT_FORMAT };

static const struct option own[] = {
	{ "prefix", required_argument, NULL, OPT_PREFIX },
	{ "format", required_argument, NULL, OPT_FORMAT },
	LOGIN_OPTIONS,
	{ NULL, 0, NULL, 0 },
};

struct options {
	json_t *names; /* an array */
	const char *prefix;
	bool json;
	struct login_options login;
};

struct output {
	struct ecr_client *client;
	json_t *resources; /* by logical id */
};

/* --- names --------------------------------------------------------------- */

static bool
is_letter(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9'));
}

/* "Repository" and "team/app-1" are RepositoryTeamApp1. */
static char *
logical_make(const char *word, const char *id)
{
	struct buf out;
	bool begins = true;

	buf_init(&out, SIZE_MAX);
	buf_str(&out, word);
	for (; *id != '\0'; id++) {
		if (!is_letter(*id)) {
			begins = true;
			continue;
		}
		buf_char(&out, begins && *id >= 'a' && *id <= 'z'
				   ? (char)(*id - 'a' + 'A')
				   : *id);
		begins = false;
	}
	return (buf_take(&out, NULL));
}

#define LOGICAL_MAX_BYTES 240

static char *
logical_find(const json_t *resources, const char *word, const char *id)
{
	char *plain = logical_make(word, id), *name;
	unsigned i = 1;

	if (strlen(plain) > LOGICAL_MAX_BYTES)
		plain[LOGICAL_MAX_BYTES] = '\0';
	name = xstrdup(plain);
	while (json_object_get(resources, name) != NULL) {
		free(name);
		name = xasprintf("%sX%u", plain, ++i);
	}
	free(plain);
	return (name);
}

/* Was it named twice? */
static bool
is_there(const struct output *e, const char *name)
{
	const char *key, *other;
	json_t *one;

	json_object_foreach(e->resources, key, one)
	{
		other = json_string_value(json_object_get(
		    json_object_get(one, "Properties"), "RepositoryName"));
		if (other != NULL && strcmp(other, name) == 0)
			return (true);
	}
	return (false);
}

/* --- resources ----------------------------------------------------------- */

static const char *
identity_name(enum resource_kind kind)
{
	const struct resource_type *t = &resource_types[kind];
	size_t i;

	for (i = 0; i < t->n_properties; i++)
		if (t->properties[i].flags & PROPERTY_IDENTITY)
			return (t->properties[i].name);
	return (NULL);
}

static void
resource_add(struct output *e, enum resource_kind kind, const char *id,
    const json_t *normal)
{
	const struct resource_type *t = &resource_types[kind];
	const char *identity = identity_name(kind);
	json_t *properties = json_object(), *written;
	char *name = logical_find(e->resources, t->word, id);

	/* Its name stands first. */
	if (identity != NULL)
		(void)json_object_set_new(
		    properties, identity, json_string(id));
	written = resource_to_template(kind, normal);
	(void)json_object_update_missing(properties, written);
	json_decref(written);
	(void)json_object_set_new(e->resources, name,
	    json_pack("{s:s,s:o}", "Type", t->name, "Properties", properties));
	free(name);
}

static enum rc
kind_add(struct output *e, enum resource_kind kind)
{
	json_t *list = NULL, *row;
	enum rc rc;
	size_t i;

	if ((rc = resource_list(e->client, kind, &list)) != RC_OK)
		return (rc);
	json_array_foreach(list, i, row)
	{
		resource_add(e, kind,
		    json_string_value(json_object_get(row, "id")),
		    json_object_get(row, "normal"));
	}
	json_decref(list);
	return (RC_OK);
}

static enum rc
registry_add(struct output *e)
{
	enum rc rc = RC_OK;
	unsigned kind;

	for (kind = 0; rc == RC_OK && kind < RESOURCE_KINDS; kind++)
		if (kind != RESOURCE_REPOSITORY)
			rc = kind_add(e, (enum resource_kind)kind);
	return (rc);
}

static enum rc
repository_add(struct output *e, const char *name)
{
	json_t *normal = NULL;
	enum rc rc;

	if (is_there(e, name))
		return (RC_OK);
	rc = resource_read(e->client, RESOURCE_REPOSITORY, name, &normal);
	if (rc == RC_OK && normal == NULL) {
		(void)snprintf(e->client->why, sizeof(e->client->why),
		    "there is no repository %.256s", name);
		return (RC_NOTFOUND);
	}
	if (rc == RC_OK)
		resource_add(e, RESOURCE_REPOSITORY, name, normal);
	json_decref(normal);
	return (rc);
}

/* Before a page of many is asked for all its sides, it is sifted. */
static enum rc
repositories_add(struct output *e, const json_t *names, const char *prefix)
{
	json_t *rows = NULL, *row, *normal;
	const char *name;
	enum rc rc;
	size_t i;

	rc = ecr_client_list(e->client, "DescribeRepositories", json_object(),
	    "repositories", &rows);
	json_array_foreach(rows, i, row)
	{
		name =
		    json_string_value(json_object_get(row, "repositoryName"));
		if (rc != RC_OK || name == NULL ||
		    strncmp(name, prefix, strlen(prefix)) != 0 ||
		    (json_array_size(names) > 0 && is_there(e, name)))
			continue;
		normal = NULL;
		rc = resource_repository(e->client, row, &normal);
		if (normal != NULL)
			resource_add(e, RESOURCE_REPOSITORY, name, normal);
		json_decref(normal);
	}
	json_decref(rows);
	return (rc);
}

static enum rc
all_add(struct output *e, const struct options *o)
{
	const json_t *name;
	enum rc rc = RC_OK;
	size_t i;

	json_array_foreach(o->names, i, name)
	{
		if (rc == RC_OK)
			rc = repository_add(e, json_string_value(name));
	}
	if (rc == RC_OK && o->prefix != NULL)
		rc = repositories_add(e, o->names, o->prefix);
	if (rc != RC_OK || json_array_size(o->names) > 0 || o->prefix != NULL)
		return (rc);
	rc = repositories_add(e, NULL, "");
	return (rc == RC_OK ? registry_add(e) : rc);
}

/* --- the text ------------------------------------------------------------ */

static enum ctl_exit
text_print(const char *text)
{
	if (strlen(text) > TEMPLATE_MAX_BYTES) {
		ctl_say("the template would be longer than %zu bytes, which "
			"is as long as one can be: export it in parts, with "
			"--prefix",
		    TEMPLATE_MAX_BYTES);
		return (CTL_FAILED);
	}
	(void)fputs(text, stdout);
	if (text[0] == '\0' || text[strlen(text) - 1] != '\n')
		(void)putchar('\n');
	return (print_done(CTL_OK));
}

/* Takes ${resources}. */
static enum ctl_exit
template_print(json_t *resources, bool as_json)
{
	enum ctl_exit code = CTL_FAILED;
	char *text = NULL;
	json_t *doc;

	doc =
	    json_pack("{s:s,s:s,s:o}", "AWSTemplateFormatVersion", "2010-09-09",
		"Description", "A registry as it is", "Resources", resources);
	if (as_json)
		text = json_dumps(doc, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	else if (template_write_yaml(doc, &text) != RC_OK)
		ctl_say("the template cannot be written as YAML");
	if (text != NULL)
		code = text_print(text);
	free(text);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
resources_print(json_t *resources, bool as_json)
{
	size_t n = json_object_size(resources);

	if (n > 0 && n <= TEMPLATE_RESOURCES_MAX)
		return (template_print(resources, as_json));
	if (n == 0)
		ctl_say("there is nothing to write: a template has at least "
			"one resource");
	else
		ctl_say("there are %zu resources, and a template has up to "
			"%d: export it in parts, with --prefix",
		    n, TEMPLATE_RESOURCES_MAX);
	json_decref(resources);
	return (CTL_FAILED);
}

/* --- the command line ---------------------------------------------------- */

static void
format_take(const struct ctl *ctl, struct options *o)
{
	if (strcmp(optarg, "json") != 0 && strcmp(optarg, "yaml") != 0)
		ctl_usage(ctl, "--format is yaml or json, not \"%s\"", optarg);
	o->json = strcmp(optarg, "json") == 0;
}

static void
options_take(struct ctl *ctl, int argc, char **argv, struct options *o)
{
	const char *word = NULL;
	bool said = false;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code == 0) {
			(void)json_array_append_new(
			    o->names, json_string(word));
		} else if (code == OPT_PREFIX) {
			o->prefix = optarg;
		} else if (code == OPT_FORMAT) {
			format_take(ctl, o);
			said = true;
		} else {
			login_option(&o->login, code);
		}
	}
	if (!said)
		o->json = ctl->output == CTL_JSON;
}

static enum ctl_exit
export_template_run(struct ctl *ctl, int argc, char **argv)
{
	struct options o = { .names = json_array() };
	struct output e = { 0 };
	enum ctl_exit code = CTL_FAILED;
	char why[ECR_WHY_BYTES];
	enum rc rc;

	options_take(ctl, argc, argv, &o);
	rc = ecr_client_open(ctl, &o.login, why, &e.client);
	if (rc != RC_OK)
		ctl_say("%s", why);
	e.resources = json_object();
	if (rc == RC_OK && (rc = all_add(&e, &o)) != RC_OK)
		ctl_say("%s", e.client->why);
	if (rc == RC_OK)
		code = resources_print(e.resources, o.json);
	else
		json_decref(e.resources);
	json_decref(o.names);
	ecr_client_close(&e.client);
	return (code);
}

const struct command command_export_template = {
	.name = "export-template",
	.title = "export-template",
	.summary = "write the registry as it is as such a template",
	.help = help,
	.run = export_template_run,
};
