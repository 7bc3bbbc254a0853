#include "registryd/replication.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/replicate.h"
#include "registryd/authorize.h"
#include "registryd/http/request.h"
#include "registryd/registry_config.h"
#include "registryd/service.h"

#define REPLICATION_MAGIC 0x5245504cu

struct rule {
	struct span *prefixes; /* none: all repositories */
	size_t n_prefixes;
	struct span *destinations;
	size_t n_destinations;
};

/* Immutable. */
struct rules {
	_Atomic unsigned refs;
	struct arena arena; /* all of it but itself */
	struct rule *items;
	size_t n, n_destinations;
};

struct replication {
	unsigned magic;
	struct meta *meta;
	pthread_mutex_t lock; /* over all below */
	struct rules *rules;  /* NULL: to be read */
	unsigned changes;     /* how often it was changed */
};

/* --- reading ------------------------------------------------------------- */

static struct span
text_of(struct arena *a, const json_t *o, const char *key)
{
	struct span s;

	if (json_get_str(o, key, &s) != RC_OK)
		return (SPAN(""));
	return (arena_span(a, s));
}

/* Filters are PREFIX_MATCH, the only kind there is. */
static void
rule_read(struct arena *a, const json_t *o, struct rule *rule)
{
	const json_t *filters = json_object_get(o, "repositoryFilters");
	const json_t *list = json_object_get(o, "destinations"), *d;
	const char *name;
	size_t i;

	rule->n_prefixes = json_array_size(filters);
	rule->prefixes =
	    arena_calloc(a, rule->n_prefixes + 1, sizeof(struct span));
	for (i = 0; i < rule->n_prefixes; i++)
		rule->prefixes[i] =
		    text_of(a, json_array_get(filters, i), "filter");
	rule->n_destinations = json_array_size(list);
	rule->destinations =
	    arena_calloc(a, rule->n_destinations + 1, sizeof(struct span));
	for (i = 0; i < rule->n_destinations; i++) {
		d = json_array_get(list, i);
		name = arena_printf(a, SPAN_FMT "/" SPAN_FMT,
		    SPAN_ARG(text_of(a, d, "region")),
		    SPAN_ARG(text_of(a, d, "registryId")));
		rule->destinations[i] = span_of(name);
	}
}

static enum rc
rules_read(struct meta *m, struct rules **rules_r)
{
	const json_t *list = NULL;
	struct rules *rules;
	json_t *o = NULL;
	enum rc rc;
	size_t i;

	rc = registry_config_get(m, ENTITY_REGISTRY, CONFIG_REPLICATION, &o);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	rules = xcalloc(1, sizeof(*rules));
	atomic_init(&rules->refs, 1);
	/* What it is made of was bounded when it was put. */
	arena_init(&rules->arena, SIZE_MAX);
	if (rc == RC_OK)
		list = json_object_get(o, "rules");
	rules->n = json_array_size(list);
	rules->items =
	    arena_calloc(&rules->arena, rules->n + 1, sizeof(*rules->items));
	for (i = 0; i < rules->n; i++) {
		rule_read(
		    &rules->arena, json_array_get(list, i), &rules->items[i]);
		rules->n_destinations += rules->items[i].n_destinations;
	}
	json_decref(o);
	*rules_r = rules;
	return (RC_OK);
}

static void
rules_unref(struct rules *rules)
{
	if (rules == NULL || atomic_fetch_sub(&rules->refs, 1) != 1)
		return;
	arena_reset(&rules->arena);
	free(rules);
}

/* Those of now; what was read before a change is not kept. */
static enum rc
rules_get(struct replication *r, struct rules **rules_r)
{
	unsigned changes;
	enum rc rc;

	mutex_lock(&r->lock);
	if ((*rules_r = r->rules) != NULL)
		atomic_fetch_add(&r->rules->refs, 1);
	changes = r->changes;
	mutex_unlock(&r->lock);
	if (*rules_r != NULL)
		return (RC_OK);
	if ((rc = rules_read(r->meta, rules_r)) != RC_OK)
		return (rc);
	mutex_lock(&r->lock);
	if (r->rules == NULL && r->changes == changes) {
		r->rules = *rules_r;
		atomic_fetch_add(&r->rules->refs, 1);
	}
	mutex_unlock(&r->lock);
	return (RC_OK);
}

/* --- its life ------------------------------------------------------------ */

struct replication *
replication_new(struct meta *m)
{
	struct replication *r = xcalloc(1, sizeof(*r));

	r->magic = REPLICATION_MAGIC;
	r->meta = m;
	mutex_init(&r->lock);
	return (r);
}

void
replication_free(struct replication **r_p)
{
	struct replication *r = *r_p;

	*r_p = NULL;
	if (r == NULL)
		return;
	OBJ_CHECK(r, REPLICATION_MAGIC);
	rules_unref(r->rules);
	must(pthread_mutex_destroy(&r->lock) == 0);
	r->magic = 0;
	free(r);
}

void
replication_changed(struct replication *r)
{
	struct rules *old;

	OBJ_CHECK(r, REPLICATION_MAGIC);
	mutex_lock(&r->lock);
	old = r->rules;
	r->rules = NULL;
	r->changes++;
	mutex_unlock(&r->lock);
	rules_unref(old);
}

/* --- looking ------------------------------------------------------------- */

/* No filters: all repositories. */
static bool
rule_applies(const struct rule *rule, struct span repository)
{
	size_t i;

	for (i = 0; i < rule->n_prefixes; i++)
		if (span_has_prefix(repository, rule->prefixes[i]))
			return (true);
	return (rule->n_prefixes == 0);
}

static bool
listed(const struct span *list, size_t n, struct span s)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (span_eq(list[i], s))
			return (true);
	return (false);
}

static enum rc
rules_apply(const struct rules *rules, struct span repository,
    struct arena *arena, const struct span **list_r, size_t *n_r)
{
	const struct rule *rule;
	struct span *list;
	size_t i, k, n = 0;

	list = arena_calloc(arena, rules->n_destinations + 1, sizeof(*list));
	if (list == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < rules->n; i++) {
		rule = &rules->items[i];
		if (!rule_applies(rule, repository))
			continue;
		for (k = 0; k < rule->n_destinations; k++) {
			if (listed(list, n, rule->destinations[k]))
				continue;
			list[n] = arena_span(arena, rule->destinations[k]);
			if (list[n++].p == NULL)
				return (RC_TOOBIG);
		}
	}
	*list_r = list;
	*n_r = n;
	return (RC_OK);
}

enum rc
replication_destinations_of(struct replication *r, struct span repository,
    struct arena *arena, const struct span **list_r, size_t *n_r)
{
	struct rules *rules;
	enum rc rc;

	OBJ_CHECK(r, REPLICATION_MAGIC);
	*list_r = NULL;
	*n_r = 0;
	if ((rc = rules_get(r, &rules)) != RC_OK)
		return (rc);
	if (rules->n > 0)
		rc = rules_apply(rules, repository, arena, list_r, n_r);
	rules_unref(rules);
	return (rc);
}

/* Scopes of a bearer token know pull and push only; whose it is, counts. */
bool
replication_call(struct call *c)
{
	struct span granted = c->granted;
	enum rc rc;

	if (http_request_header(c->request, REPLICATION_HEADER).p == NULL)
		return (false);
	c->granted = SPAN_NONE;
	rc = authorize_repository(c, "ecr:ReplicateImage", c->repository);
	c->granted = granted;
	return (rc == RC_OK);
}

/* A configuration that cannot be read stops no push; it was logged. */
enum rc
replication_destinations(struct call *c, struct span repository,
    const struct span **list_r, size_t *n_r)
{
	struct replication *r = c->service->replication;
	enum rc rc;

	*list_r = NULL;
	*n_r = 0;
	rc = replication_destinations_of(r, repository, c->arena, list_r, n_r);
	if (rc == RC_CORRUPT)
		return (RC_OK);
	if (rc == RC_OK && *n_r > 0 && replication_call(c))
		*n_r = 0;
	return (rc);
}

void
replication_pushed(struct call *c, size_t n_destinations)
{
	if (n_destinations > 0 && c->service->replicator != NULL)
		replicator_wake(c->service->replicator);
}
