#include "registryctl/apply_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"

/* The normal form written out again, and what resources are called. */

/* --- and out again ------------------------------------------------------- */

/* With the API's names, or with those of a template. */
struct writer {
	bool api;
	bool bare; /* without what is so by default */
};

static json_t *members_write(const struct writer *, const struct property *p,
    size_t n, const json_t *normal);

static json_t *
list_write(const struct writer *w, const struct property *p, const json_t *v)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < json_array_size(v); i++)
		(void)json_array_append_new(
		    list, members_write(w, p->members, p->n_members,
			      json_array_get(v, i)));
	return (list);
}

/* In templates a repository's policy is an object; others are text there. */
static json_t *
policy_write(const struct writer *w, const struct property *p, const json_t *v)
{
	bool object = strcmp(p->name, "RepositoryPolicyText") == 0 ||
		      p->kind == PROPERTY_REGISTRY;
	json_t *text;
	char *plain;

	if (json_is_string(v) || (!w->api && object))
		return (json_deep_copy(v));
	plain = json_dumps(v, w->api ? JSON_COMPACT : JSON_INDENT(2));
	text = json_string(plain);
	free(plain);
	return (text);
}

static json_t *
value_write(const struct writer *w, const struct property *p, const json_t *v)
{
	switch (p->kind) {
	case PROPERTY_POLICY:
	case PROPERTY_REGISTRY:
	case PROPERTY_LIFECYCLE:
		return (policy_write(w, p, v));
	case PROPERTY_LIST:
		return (list_write(w, p, v));
	case PROPERTY_STRUCTURE:
		return (members_write(w, p->members, p->n_members, v));
	case PROPERTY_TEXT:
	case PROPERTY_FLAG:
	case PROPERTY_SET:
	case PROPERTY_TAGS:
		break;
	}
	return (json_deep_copy(v));
}

static bool
is_preset(const struct property *p, const json_t *v)
{
	json_t *preset;
	bool is;

	if (p->preset == NULL || p->flags & PROPERTY_REQUIRED)
		return (false);
	preset = json_loads(p->preset, JSON_DECODE_ANY, NULL);
	is = json_equal(preset, v);
	json_decref(preset);
	return (is);
}

static json_t *
members_write(const struct writer *w, const struct property *p, size_t n,
    const json_t *normal)
{
	json_t *o = json_object(), *v;
	size_t i;

	for (i = 0; i < n; i++) {
		v = json_object_get(normal, p[i].name);
		if (v == NULL || (w->api && p[i].flags & PROPERTY_OWN) ||
		    (w->bare && is_preset(&p[i], v)))
			continue;
		(void)json_object_set_new(
		    o, w->api ? p[i].api : p[i].name, value_write(w, &p[i], v));
	}
	return (o);
}

json_t *
resource_to_api(enum resource_kind kind, const json_t *normal)
{
	const struct resource_type *t = &resource_types[kind];
	const struct writer w = { .api = true };

	return (members_write(&w, t->properties, t->n_properties, normal));
}

json_t *
resource_to_template(enum resource_kind kind, const json_t *normal)
{
	const struct resource_type *t = &resource_types[kind];
	const struct writer w = { .bare = true };

	return (members_write(&w, t->properties, t->n_properties, normal));
}

/* --- where there is none ------------------------------------------------ */

json_t *
resource_vacant(enum resource_kind kind)
{
	if (kind == RESOURCE_REPLICATION)
		return (json_pack(
		    "{s:{s:[]}}", "ReplicationConfiguration", "Rules"));
	if (kind == RESOURCE_SCANNING)
		return (json_pack("{s:s,s:[]}", "ScanType", "BASIC", "Rules"));
	return (NULL);
}

/* --- names --------------------------------------------------------------- */

static const struct property *
identity_of(enum resource_kind kind)
{
	const struct resource_type *t = &resource_types[kind];
	size_t i;

	for (i = 0; i < t->n_properties; i++)
		if (t->properties[i].flags & PROPERTY_IDENTITY)
			return (&t->properties[i]);
	return (NULL);
}

bool
resource_names_itself(enum resource_kind kind, const json_t *properties)
{
	const struct property *p = identity_of(kind);

	return (p == NULL || json_object_get(properties, p->name) != NULL);
}

/* What a name of a repository cannot have becomes one '-'. */
static void
words_add(struct buf *out, const char *text)
{
	const char *letters = "abcdefghijklmnopqrstuvwxyz0123456789";
	char c;

	for (; *text != '\0'; text++) {
		c = *text;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (strchr(letters, c) != NULL)
			buf_char(out, c);
		else if (out->n > 0 && out->p[out->n - 1] != '-')
			buf_char(out, '-');
	}
	if (out->n > 0 && out->p[out->n - 1] != '-')
		buf_char(out, '-');
}

#define NAME_SUFFIX_CHARS 12
#define NAME_WORDS_MAX_BYTES (NAME_REPOSITORY_MAX_BYTES - NAME_SUFFIX_CHARS)

/* As CloudFormation names it; but its suffix is the same each time, so that
 * what was made is found again. */
static char *
name_make(const char *stack, const char *logical_id,
    const struct apply_registry *registry)
{
	char *seed =
	    xasprintf("%s/%s/%s", registry->account_id, stack, logical_id);
	char text[DIGEST_STR_BYTES], *name;
	struct digest d;
	struct buf words;

	digest_of(DIGEST_SHA256, seed, strlen(seed), &d);
	(void)digest_str(&d, text);
	buf_init(&words, SIZE_MAX);
	words_add(&words, stack);
	words_add(&words, logical_id);
	if (words.n > NAME_WORDS_MAX_BYTES) {
		words.n = NAME_WORDS_MAX_BYTES;
		words.p[words.n - 1] = '-';
	}
	name =
	    xasprintf("%.*s%.*s", (int)words.n, words.p != NULL ? words.p : "",
		NAME_SUFFIX_CHARS, strchr(text, ':') + 1);
	buf_free(&words);
	free(seed);
	return (name);
}

static char *
identity_read(const struct property *p, const json_t *properties,
    char why[APPLY_WHY_BYTES])
{
	json_t *text = resource_text(json_object_get(properties, p->name));
	char *id = NULL;

	if (text != NULL && json_string_length(text) > 0)
		id = xstrdup(json_string_value(text));
	else
		(void)snprintf(why, APPLY_WHY_BYTES,
		    "Properties: %s is missing, or not text", p->name);
	json_decref(text);
	return (id);
}

char *
resource_id(enum resource_kind kind, const char *logical_id,
    const json_t *properties, const char *stack,
    const struct apply_registry *registry, char why[APPLY_WHY_BYTES])
{
	const struct property *p = identity_of(kind);
	char *id;

	if (p == NULL)
		return (xstrdup(registry->account_id));
	if (!resource_names_itself(kind, properties) &&
	    kind == RESOURCE_REPOSITORY)
		return (name_make(stack, logical_id, registry));
	if ((id = identity_read(p, properties, why)) == NULL)
		return (NULL);
	if (kind != RESOURCE_REPOSITORY || name_repository_ok(span_of(id)))
		return (id);
	(void)snprintf(why, APPLY_WHY_BYTES,
	    "Properties.RepositoryName: \"%.300s\" is no name of a repository",
	    id);
	free(id);
	return (NULL);
}

bool
resource_same(enum resource_kind kind, const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (kind == RESOURCE_CACHE_RULE || kind == RESOURCE_CREATION_TEMPLATE) {
		if (n > 1 && a[n - 1] == '/')
			n--;
		if (m > 1 && b[m - 1] == '/')
			m--;
	}
	return (n == m && memcmp(a, b, n) == 0);
}

static char *
repository_attribute(const char *id, const char *attribute,
    const struct apply_registry *registry)
{
	if (strcmp(attribute, "Arn") == 0)
		return (xasprintf("arn:aws:ecr:%s:%s:repository/%s",
		    registry->region, registry->account_id, id));
	if (strcmp(attribute, "RepositoryUri") == 0)
		return (xasprintf("%s/%s", registry->uri, id));
	return (NULL);
}

char *
resource_attribute(enum resource_kind kind, const char *id,
    const char *attribute, const struct apply_registry *registry,
    char why[APPLY_WHY_BYTES])
{
	char *value = NULL;

	if (attribute == NULL)
		return (xstrdup(id));
	if (kind == RESOURCE_REPOSITORY)
		value = repository_attribute(id, attribute, registry);
	else if (identity_of(kind) == NULL &&
		 strcmp(attribute, "RegistryId") == 0)
		value = xstrdup(registry->account_id);
	if (value == NULL)
		(void)snprintf(why, APPLY_WHY_BYTES,
		    "%s has no attribute \"%.200s\" here",
		    resource_types[kind].name, attribute);
	return (value);
}
