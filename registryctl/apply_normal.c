#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "lifecycle/policy.h"
#include "registryctl/apply_types.h"

/* What a template says and what the API tells, in the normal form. */

/* --- reading ------------------------------------------------------------- */

/* Of a template, where all is checked; or of the API, where nothing is. */
struct reader {
	bool api;
	const struct apply_registry *registry; /* of a template */
	struct buf path;		       /* likewise */
	char *why;			       /* likewise */
};

static enum rc __attribute__((format(printf, 2, 3)))
refuse(struct reader *r, const char *fmt, ...)
{
	char text[APPLY_WHY_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)snprintf(r->why, APPLY_WHY_BYTES, "%.*s: %.800s", (int)r->path.n,
	    r->path.p != NULL ? r->path.p : "", text);
	return (RC_INVALID);
}

static const char *
type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return ("an object");
	case JSON_ARRAY:
		return ("a list");
	case JSON_STRING:
		return ("text");
	case JSON_INTEGER:
	case JSON_REAL:
		return ("a number");
	case JSON_TRUE:
	case JSON_FALSE:
		return ("a truth value");
	case JSON_NULL:
		break;
	}
	return ("null");
}

static enum rc value_read(
    struct reader *, const struct property *, const json_t *v, json_t **out);
static enum rc members_read(struct reader *, const struct property *p, size_t n,
    bool nested, const json_t *v, json_t **out);

json_t *
resource_text(const json_t *v)
{
	json_t *text;
	char *plain;

	if (json_is_string(v))
		return (json_deep_copy(v));
	if (!json_is_number(v) && !json_is_boolean(v))
		return (NULL);
	plain = json_dumps(v, JSON_ENCODE_ANY);
	text = json_string(plain);
	free(plain);
	return (text);
}

static bool
value_allowed(const struct property *p, const char *text)
{
	const char *const *v;

	for (v = p->values; v != NULL && *v != NULL; v++)
		if (strcmp(*v, text) == 0)
			return (true);
	return (p->values == NULL);
}

static enum rc
value_refuse(struct reader *r, const struct property *p, const char *text)
{
	char all[256] = "";
	const char *const *v;
	size_t n = 0;

	for (v = p->values; *v != NULL; v++)
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s",
		    v == p->values ? "" : ", ", *v);
	return (refuse(r, "\"%.200s\" is none of its values: %s", text, all));
}

static enum rc
text_read(
    struct reader *r, const struct property *p, const json_t *v, json_t **out)
{
	json_t *text = resource_text(v);
	enum rc rc = RC_OK;

	if (text == NULL)
		return (r->api
			    ? RC_INVALID
			    : refuse(r, "is %s, and not text", type_name(v)));
	if (!r->api && !value_allowed(p, json_string_value(text)))
		rc = value_refuse(r, p, json_string_value(text));
	if (rc == RC_OK)
		*out = text;
	else
		json_decref(text);
	return (rc);
}

static enum rc
flag_read(struct reader *r, const json_t *v, json_t **out)
{
	const char *text = json_string_value(v);

	if (json_is_boolean(v))
		*out = json_boolean(json_is_true(v));
	else if (text != NULL && strcasecmp(text, "true") == 0)
		*out = json_true();
	else if (text != NULL && strcasecmp(text, "false") == 0)
		*out = json_false();
	else
		return (r->api ? RC_INVALID
			       : refuse(r, "is neither true nor false"));
	return (RC_OK);
}

/* --- policies ------------------------------------------------------------ */

#define LIFECYCLE_ROOM_BYTES ((size_t)4 << 20)

static enum rc
lifecycle_check(struct reader *r, struct span text)
{
	/* The server's settings say whether its own rules are allowed. */
	static const struct lifecycle_grammar all = { .extensions = true };
	struct lifecycle_policy policy;
	char why[LIFECYCLE_WHY_BYTES];
	struct arena arena;
	enum rc rc;

	arena_init(&arena, LIFECYCLE_ROOM_BYTES);
	rc = lifecycle_policy_parse(text, &all, &arena, &policy, why);
	arena_reset(&arena);
	if (rc == RC_OK)
		return (RC_OK);
	return (refuse(r, "Lifecycle policy validation failure: %s",
	    rc == RC_INVALID ? why : "it is too long"));
}

static enum rc
permission_check(struct reader *r, enum policy_kind kind, struct span text)
{
	char why[POLICY_WHY_BYTES] = "";
	struct policy *policy = NULL;
	enum rc rc;

	rc = policy_parse(kind, text, why, &policy);
	policy_unref(&policy);
	if (rc == RC_OK)
		return (RC_OK);
	return (refuse(
	    r, "is no policy: %s", rc == RC_INVALID ? why : "it is too long"));
}

static enum rc
policy_check(struct reader *r, const struct property *p, const json_t *policy)
{
	char *text = json_dumps(policy, JSON_COMPACT);
	enum rc rc;

	if (p->kind == PROPERTY_LIFECYCLE)
		rc = lifecycle_check(r, span_of(text));
	else
		rc = permission_check(r,
		    p->kind == PROPERTY_POLICY ? POLICY_REPOSITORY
					       : POLICY_REGISTRY,
		    span_of(text));
	free(text);
	return (rc);
}

static bool
is_blank(const char *text)
{
	return (text[strspn(text, " \t\r\n")] == '\0');
}

static enum rc
policy_text_read(struct reader *r, const json_t *v, json_t **out)
{
	struct span text = { json_string_value(v), json_string_length(v) };
	char why[JSON_ERROR_BYTES];

	if (is_blank(text.p)) {
		*out = json_null();
		return (RC_OK);
	}
	if (json_read(text, why, out) == RC_OK)
		return (RC_OK);
	/* What the registry has is what it is. */
	if (r->api) {
		*out = json_deep_copy(v);
		return (RC_OK);
	}
	return (refuse(r, "is not JSON: %s", why));
}

static void
number_write(json_t *o, const char *key, const json_t *v)
{
	if (json_is_number(v))
		(void)json_object_set_new(o, key, resource_text(v));
}

/* {"AWS": 123456789012}, or a list of such. */
static void
principal_write(json_t *principal)
{
	json_t *v, *one;
	const char *key;
	void *next;
	size_t i;

	json_object_foreach_safe(principal, next, key, v)
	{
		json_array_foreach(v, i, one)
		{
			if (json_is_number(one))
				(void)json_array_set_new(
				    v, i, resource_text(one));
		}
		number_write(principal, key, v);
	}
}

/* An account's number is written without quotes in YAML, and means a text. */
static void
principals_write(json_t *policy)
{
	json_t *all = json_object_get(policy, "Statement"), *one;
	size_t i;

	principal_write(json_object_get(all, "Principal"));
	principal_write(json_object_get(all, "NotPrincipal"));
	json_array_foreach(all, i, one)
	{
		principal_write(json_object_get(one, "Principal"));
		principal_write(json_object_get(one, "NotPrincipal"));
	}
}

static enum rc
policy_read(
    struct reader *r, const struct property *p, const json_t *v, json_t **out)
{
	json_t *policy = NULL;
	enum rc rc = RC_OK;

	if (json_is_string(v))
		rc = policy_text_read(r, v, &policy);
	else if (json_is_object(v))
		policy = json_deep_copy(v);
	else
		rc = r->api
			 ? RC_INVALID
			 : refuse(r, "is %s, and not a policy", type_name(v));
	if (!r->api && json_is_object(v) && p->kind != PROPERTY_LIFECYCLE)
		principals_write(policy);
	if (rc == RC_OK && !r->api && !json_is_null(policy))
		rc = policy_check(r, p, policy);
	if (rc == RC_OK)
		*out = policy;
	else
		json_decref(policy);
	return (rc);
}

/* --- lists --------------------------------------------------------------- */

static int
text_order(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return (strcmp(json_string_value(*x), json_string_value(*y)));
}

static int
tag_order(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return (strcmp(json_string_value(json_object_get(*x, "Key")),
	    json_string_value(json_object_get(*y, "Key"))));
}

static void
list_sort(json_t *list, int (*order)(const void *, const void *))
{
	size_t i, n = json_array_size(list);
	json_t **rows = xcalloc(n + 1, sizeof(json_t *));

	for (i = 0; i < n; i++)
		rows[i] = json_incref(json_array_get(list, i));
	qsort(rows, n, sizeof(json_t *), order);
	for (i = 0; i < n; i++)
		(void)json_array_set_new(list, i, rows[i]);
	free(rows);
}

static const struct property tag_members[] = {
	{ "Key", "Key", PROPERTY_TEXT, PROPERTY_REQUIRED },
	{ "Value", "Value", PROPERTY_TEXT, PROPERTY_REQUIRED | PROPERTY_EMPTY },
};

static enum rc
element_read(
    struct reader *r, const struct property *p, const json_t *v, json_t **out)
{
	static const struct property any = { .kind = PROPERTY_TEXT };
	struct property text = any;

	if (p->kind == PROPERTY_SET) {
		text.values = p->values;
		return (text_read(r, &text, v, out));
	}
	if (p->kind == PROPERTY_TAGS)
		return (members_read(
		    r, tag_members, ARRAY_LEN(tag_members), true, v, out));
	return (members_read(r, p->members, p->n_members, true, v, out));
}

static enum rc
tags_check(struct reader *r, const json_t *tags)
{
	const char *a, *b;
	size_t i;

	for (i = 1; i < json_array_size(tags); i++) {
		a = json_string_value(
		    json_object_get(json_array_get(tags, i - 1), "Key"));
		b = json_string_value(
		    json_object_get(json_array_get(tags, i), "Key"));
		if (!r->api && strcmp(a, b) == 0)
			return (refuse(r, "there are two tags \"%.200s\"", a));
	}
	return (RC_OK);
}

static enum rc
list_read(
    struct reader *r, const struct property *p, const json_t *v, json_t **out)
{
	size_t i, n = r->path.n;
	json_t *list, *one = NULL;
	enum rc rc = RC_OK;

	if (!json_is_array(v))
		return (r->api
			    ? RC_INVALID
			    : refuse(r, "is %s, and not a list", type_name(v)));
	list = json_array();
	for (i = 0; rc == RC_OK && i < json_array_size(v); i++) {
		buf_printf(&r->path, "[%zu]", i);
		rc = element_read(r, p, json_array_get(v, i), &one);
		if (rc == RC_OK)
			(void)json_array_append_new(list, one);
		r->path.n = n;
	}
	if (rc == RC_OK && p->kind == PROPERTY_SET)
		list_sort(list, text_order);
	if (rc == RC_OK && p->kind == PROPERTY_TAGS) {
		list_sort(list, tag_order);
		rc = tags_check(r, list);
	}
	if (rc == RC_OK)
		*out = list;
	else
		json_decref(list);
	return (rc);
}

/* --- structures ---------------------------------------------------------- */

static bool
is_empty(const json_t *v)
{
	return (json_is_null(v) ||
		(json_is_string(v) && json_string_length(v) == 0) ||
		(json_is_array(v) && json_array_size(v) == 0) ||
		(json_is_object(v) && json_object_size(v) == 0));
}

static enum rc
value_read(
    struct reader *r, const struct property *p, const json_t *v, json_t **out)
{
	switch (p->kind) {
	case PROPERTY_TEXT:
		return (text_read(r, p, v, out));
	case PROPERTY_FLAG:
		return (flag_read(r, v, out));
	case PROPERTY_POLICY:
	case PROPERTY_REGISTRY:
	case PROPERTY_LIFECYCLE:
		return (policy_read(r, p, v, out));
	case PROPERTY_SET:
	case PROPERTY_LIST:
	case PROPERTY_TAGS:
		return (list_read(r, p, v, out));
	case PROPERTY_STRUCTURE:
		return (
		    members_read(r, p->members, p->n_members, true, v, out));
	}
	wrong("no such kind");
}

static enum rc
account_check(struct reader *r, const json_t *v)
{
	const char *own = r->registry->account_id;

	if (r->api || strcmp(json_string_value(v), own) == 0)
		return (RC_OK);
	return (refuse(r, "\"%.200s\" is another registry: this one is %s",
	    json_string_value(v), own));
}

/* What was read of one member, or its default, into ${o}; takes ${v}. */
static enum rc
member_put(struct reader *r, const struct property *p, json_t *v, json_t *o)
{
	enum rc rc = RC_OK;

	if (v != NULL && p->flags & PROPERTY_ACCOUNT) {
		rc = account_check(r, v);
		json_decref(v);
		return (rc);
	}
	if (v != NULL && is_empty(v) && (p->flags & PROPERTY_EMPTY) == 0) {
		json_decref(v);
		v = NULL;
	}
	if (v == NULL && !r->api && p->flags & PROPERTY_REQUIRED &&
	    p->preset == NULL)
		return (refuse(r, "is empty"));
	if (v == NULL && p->preset != NULL)
		v = json_loads(p->preset, JSON_DECODE_ANY, NULL);
	if (v != NULL)
		(void)json_object_set_new(o, p->name, v);
	return (rc);
}

/* Inside of a property templates of old have the API's names. */
static json_t *
member_get(const struct reader *r, const struct property *p, bool nested,
    const json_t *v)
{
	json_t *found = json_object_get(v, r->api ? p->api : p->name);

	if (found == NULL && nested && !r->api)
		found = json_object_get(v, p->api);
	return (found);
}

static enum rc
member_read(struct reader *r, const struct property *p, bool nested,
    const json_t *v, json_t *o)
{
	const json_t *given = member_get(r, p, nested, v);
	size_t n = r->path.n;
	json_t *value = NULL;
	enum rc rc = RC_OK;

	if ((given == NULL || json_is_null(given)) && r->api)
		return (member_put(r, p, NULL, o));
	if (given == NULL && p->flags & PROPERTY_REQUIRED)
		return (refuse(r, "%s is missing", p->name));
	if (given == NULL)
		return (member_put(r, p, NULL, o));
	buf_printf(&r->path, "%s%s", n > 0 ? "." : "", p->name);
	rc = value_read(r, p, given, &value);
	/* Of the API: what is of another form than it tells is nothing. */
	if (rc != RC_OK && r->api)
		rc = RC_OK;
	if (rc == RC_OK)
		rc = member_put(r, p, value, o);
	r->path.n = n;
	return (rc);
}

static bool
is_member(const struct property *p, size_t n, bool nested, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(p[i].name, name) == 0 ||
		    (nested && strcmp(p[i].api, name) == 0))
			return (true);
	return (false);
}

static enum rc
unknown_refuse(
    struct reader *r, const struct property *p, size_t n, const json_t *v)
{
	struct buf all;
	enum rc rc;
	size_t i;

	buf_init(&all, 600);
	for (i = 0; i < n; i++)
		buf_printf(&all, "%s%s", i > 0 ? ", " : "", p[i].name);
	rc = refuse(r, "there is no property \"%.200s\"; there are " SPAN_FMT,
	    json_string_value(v), SPAN_ARG(buf_as_span(&all)));
	buf_free(&all);
	return (rc);
}

static enum rc
members_check(struct reader *r, const struct property *p, size_t n, bool nested,
    const json_t *v)
{
	const char *name;
	json_t *member, *unknown;
	enum rc rc;

	if (!json_is_object(v))
		return (refuse(r, "is %s, and not an object", type_name(v)));
	json_object_foreach((json_t *)(uintptr_t)v, name, member)
	{
		if (is_member(p, n, nested, name))
			continue;
		unknown = json_string(name);
		rc = unknown_refuse(r, p, n, unknown);
		json_decref(unknown);
		return (rc);
	}
	return (RC_OK);
}

/* How deep it goes is bounded by the tables above. */
static enum rc
members_read(struct reader *r, const struct property *p, size_t n, bool nested,
    const json_t *v, json_t **out)
{
	json_t *o;
	enum rc rc = RC_OK;
	size_t i;

	if (r->api && !json_is_object(v))
		return (RC_INVALID);
	if (!r->api)
		rc = members_check(r, p, n, nested, v);
	if (rc != RC_OK)
		return (rc);
	o = json_object();
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = member_read(r, &p[i], nested, v, o);
	if (rc == RC_OK)
		*out = o;
	else
		json_decref(o);
	return (rc);
}

/* --- one form ------------------------------------------------------------ */

/* Where AWS's names for registries are. */
static const struct {
	const char *name, *url;
} upstreams[] = {
	{ "ecr-public", "public.ecr.aws" },
	{ "quay", "quay.io" },
	{ "k8s", "registry.k8s.io" },
	{ "docker-hub", "registry-1.docker.io" },
	{ "github-container-registry", "ghcr.io" },
	{ "gitlab-container-registry", "registry.gitlab.com" },
	{ "chainguard", "cgr.dev" },
};

/* A rule may name its upstream by either. */
static enum rc
upstream_fill(struct reader *r, json_t *normal)
{
	const char *name =
	    json_string_value(json_object_get(normal, "UpstreamRegistry"));
	size_t i;

	if (json_object_get(normal, "UpstreamRegistryUrl") != NULL)
		return (RC_OK);
	for (i = 0; name != NULL && i < ARRAY_LEN(upstreams); i++)
		if (strcmp(upstreams[i].name, name) == 0) {
			(void)json_object_set_new(normal, "UpstreamRegistryUrl",
			    json_string(upstreams[i].url));
			return (RC_OK);
		}
	return (refuse(r, "UpstreamRegistryUrl is missing"));
}

/* --- what goes together -------------------------------------------------- */

/* The server would say so too, but when half of the template is done. */
static enum rc
exclusions_check(struct reader *r, const json_t *normal)
{
	const char *name = "ImageTagMutabilityExclusionFilters";
	const char *mutability =
	    json_string_value(json_object_get(normal, "ImageTagMutability"));
	bool has = json_object_get(normal, name) != NULL;
	bool needs =
	    mutability != NULL && strstr(mutability, "_WITH_EXCLUSION") != NULL;

	if (has == needs)
		return (RC_OK);
	return (refuse(r, "%s %s: ImageTagMutability is %s", name,
	    needs ? "is missing" : "excludes from nothing", mutability));
}

static enum rc
encryption_check(struct reader *r, const json_t *normal)
{
	const json_t *o = json_object_get(normal, "EncryptionConfiguration");
	const char *type =
	    json_string_value(json_object_get(o, "EncryptionType"));

	if (type == NULL)
		return (RC_OK);
	if (strcmp(type, "KMS_DSSE") == 0)
		return (refuse(r,
		    "EncryptionConfiguration.EncryptionType: KMS_DSSE promises "
		    "two layers of encryption, and here content would be "
		    "encrypted once: use KMS"));
	if (strcmp(type, "KMS") != 0 && json_object_get(o, "KmsKey") != NULL)
		return (
		    refuse(r, "EncryptionConfiguration.KmsKey: it is only with "
			      "EncryptionType KMS"));
	return (RC_OK);
}

static enum rc
whole_check(struct reader *r, enum resource_kind kind, json_t *normal)
{
	enum rc rc;

	if (kind == RESOURCE_CACHE_RULE)
		return (upstream_fill(r, normal));
	if (kind != RESOURCE_REPOSITORY && kind != RESOURCE_CREATION_TEMPLATE)
		return (RC_OK);
	if ((rc = exclusions_check(r, normal)) != RC_OK)
		return (rc);
	return (encryption_check(r, normal));
}

enum rc
resource_normal(enum resource_kind kind, const json_t *properties,
    const struct apply_registry *registry, json_t **normal_r,
    char why[APPLY_WHY_BYTES])
{
	const struct resource_type *t = &resource_types[kind];
	struct reader r = { .registry = registry, .why = why };
	json_t *none = json_object(), *normal = NULL;
	enum rc rc;

	why[0] = '\0';
	buf_init(&r.path, SIZE_MAX);
	buf_str(&r.path, "Properties");
	rc = members_read(&r, t->properties, t->n_properties, false,
	    properties != NULL ? properties : none, &normal);
	if (rc == RC_OK)
		rc = whole_check(&r, kind, normal);
	buf_free(&r.path);
	json_decref(none);
	if (rc == RC_OK)
		*normal_r = normal;
	else
		json_decref(normal);
	return (rc);
}

json_t *
resource_from_api(enum resource_kind kind, const json_t *o)
{
	const struct resource_type *t = &resource_types[kind];
	struct reader r = { .api = true };
	json_t *normal = NULL;
	enum rc rc;

	buf_init(&r.path, SIZE_MAX);
	rc =
	    members_read(&r, t->properties, t->n_properties, false, o, &normal);
	buf_free(&r.path);
	must(rc == RC_OK);
	return (normal);
}
