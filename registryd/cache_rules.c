#include "registryd/cache_rules.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/reference.h"
#include "mirror/secrets.h"
#include "storage/entities.h"

/*
 * Rules are few (a quota of ECR's is 50), and a name is held against all of
 * them.  The table is read anew by whoever needs it first after a change; the
 * lock is held meanwhile, so that one who looks after a change was answered
 * sees what was changed.
 */
#define RULES_MAGIC 0x52756c65u
#define READ_ROWS 100
#define READ_BYTES ((size_t)8 << 20)

struct rule {
	char *prefix; /* "ROOT": all */
	char *url;
	char *credential;      /* "": the registry's own */
	char *upstream_prefix; /* "": all */
};

struct table {
	atomic_uint references;
	struct rule *rules; /* by prefix */
	size_t n;
};

struct cache_rules {
	unsigned magic;
	struct meta *meta;
	atomic_bool none;     /* there are no rules, for certain */
	pthread_mutex_t lock; /* over what follows */
	bool stale;
	struct table *table; /* NULL: never read */
};

/* --- the table ----------------------------------------------------------- */

static void
rule_free(struct rule *r)
{
	free(r->prefix);
	free(r->url);
	free(r->credential);
	free(r->upstream_prefix);
}

static void
table_unref(struct table *t)
{
	size_t i;

	if (t == NULL || atomic_fetch_sub(&t->references, 1) != 1)
		return;
	for (i = 0; i < t->n; i++)
		rule_free(&t->rules[i]);
	free(t->rules);
	free(t);
}

static struct span
member(const json_t *o, const char *name)
{
	const json_t *text = json_object_get(o, name);

	if (!json_is_string(text))
		return (SPAN_NONE);
	return (
	    (struct span){ json_string_value(text), json_string_length(text) });
}

/* Without the '/' at its end, which is implied; of none, and of "ROOT", "". */
static char *
prefix_dup(struct span prefix)
{
	while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	if (span_is(prefix, "ROOT"))
		prefix.n = 0;
	return (xstrndup(prefix.n > 0 ? prefix.p : "", prefix.n));
}

bool
cache_rule_source(const json_t *o, struct arena *a, const char **url_r,
    struct span *credential_r, char why[CACHE_RULE_WHY_BYTES])
{
	struct span arn = member(o, "credentialArn");
	char text[REFERENCE_WHY_BYTES];

	*credential_r = SPAN("");
	if (registry_url_parse(
		member(o, "upstreamRegistryUrl"), a, url_r, text) != RC_OK) {
		(void)snprintf(why, CACHE_RULE_WHY_BYTES, "%s", text);
		return (false);
	}
	if (arn.n == 0 || secret_arn_name(arn, credential_r))
		return (true);
	(void)snprintf(why, CACHE_RULE_WHY_BYTES,
	    "the credential ARN \"%.*s\" does not name a secret",
	    (int)(arn.n < 256 ? arn.n : 256), arn.p);
	return (false);
}

static bool
rule_read(const struct entity *e, struct arena *a, struct rule *r)
{
	char why[CACHE_RULE_WHY_BYTES], bad[JSON_ERROR_BYTES];
	struct span credential;
	const char *url;
	json_t *o;

	if (json_read(e->record, bad, &o) != RC_OK) {
		log_error("the pull through cache rule \"" SPAN_FMT
			  "\" cannot be read: %s",
		    SPAN_ARG(e->name), bad);
		return (false);
	}
	if (!cache_rule_source(o, a, &url, &credential, why)) {
		log_error("the pull through cache rule \"" SPAN_FMT
			  "\" is of no use: %s",
		    SPAN_ARG(e->name), why);
		json_decref(o);
		return (false);
	}
	r->prefix = prefix_dup(e->name);
	r->url = xstrdup(url);
	r->credential = xstrndup(credential.p, credential.n);
	r->upstream_prefix = prefix_dup(member(o, "upstreamRepositoryPrefix"));
	json_decref(o);
	return (true);
}

static enum rc
page_read(struct meta *m, struct table *t, struct buf *last, bool *more_r)
{
	struct entity_page page;
	struct arena arena;
	size_t i;
	enum rc rc;

	arena_init(&arena, READ_BYTES);
	rc = meta_entity_page(
	    m, ENTITY_CACHE_RULE, buf_as_span(last), READ_ROWS, &arena, &page);
	*more_r = rc == RC_OK && page.more;
	for (i = 0; rc == RC_OK && i < page.n; i++) {
		t->rules = xrealloc(t->rules, (t->n + 1) * sizeof(*t->rules));
		if (rule_read(&page.rows[i], &arena, &t->rules[t->n]))
			t->n++;
	}
	if (*more_r) {
		last->n = 0;
		buf_span(last, page.rows[page.n - 1].name);
	}
	arena_reset(&arena);
	return (rc);
}

static enum rc
table_read(struct meta *m, struct table **t_r)
{
	struct table *t = xcalloc(1, sizeof(*t));
	bool more = true;
	struct buf last;
	enum rc rc = RC_OK;

	atomic_init(&t->references, 1);
	buf_init(&last, SIZE_MAX);
	while (rc == RC_OK && more)
		rc = page_read(m, t, &last, &more);
	buf_free(&last);
	if (rc != RC_OK) {
		table_unref(t);
		t = NULL;
	}
	*t_r = t;
	return (rc);
}

/* --- the holder ---------------------------------------------------------- */

struct cache_rules *
cache_rules_new(struct meta *m)
{
	struct cache_rules *r = xcalloc(1, sizeof(*r));

	r->magic = RULES_MAGIC;
	r->meta = m;
	r->stale = true;
	mutex_init(&r->lock);
	return (r);
}

void
cache_rules_free(struct cache_rules **rp)
{
	struct cache_rules *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	OBJ_CHECK(r, RULES_MAGIC);
	table_unref(r->table);
	pthread_mutex_destroy(&r->lock);
	r->magic = 0;
	free(r);
}

void
cache_rules_changed(struct cache_rules *r)
{
	OBJ_CHECK(r, RULES_MAGIC);
	mutex_lock(&r->lock);
	r->stale = true;
	atomic_store(&r->none, false);
	mutex_unlock(&r->lock);
}

/* Under the lock.  What cannot be read now stays as it was, and is tried again
 * the next time. */
static void
table_renew(struct cache_rules *r)
{
	struct table *t;
	enum rc rc;

	rc = table_read(r->meta, &t);
	if (rc != RC_OK) {
		log_error("cannot read the pull through cache rules: %s",
		    rc_text(rc));
		return;
	}
	table_unref(r->table);
	r->table = t;
	r->stale = false;
	atomic_store(&r->none, t->n == 0);
}

/* A reference; NULL: there are none. */
static struct table *
table_ref(struct cache_rules *r)
{
	struct table *t;

	OBJ_CHECK(r, RULES_MAGIC);
	if (atomic_load_explicit(&r->none, memory_order_acquire))
		return (NULL);
	mutex_lock(&r->lock);
	if (r->stale)
		table_renew(r);
	t = r->table;
	if (t != NULL)
		atomic_fetch_add(&t->references, 1);
	mutex_unlock(&r->lock);
	return (t);
}

bool
cache_rules_any(struct cache_rules *r)
{
	struct table *t = table_ref(r);
	bool any = t != NULL && t->n > 0;

	table_unref(t);
	return (any);
}

/* --- which rule ---------------------------------------------------------- */

/* What of ${name} lies below ${prefix}, "" being above all. */
static bool
name_below(struct span name, struct span prefix, struct span *rest_r)
{
	*rest_r = name;
	if (prefix.n == 0)
		return (name.n > 0);
	if (name.n < prefix.n + 2 || !span_has_prefix(name, prefix) ||
	    name.p[prefix.n] != '/')
		return (false);
	*rest_r = (struct span){ name.p + prefix.n + 1, name.n - prefix.n - 1 };
	return (true);
}

/* "a/b"; of an empty prefix "b".  .p NULL: no memory. */
static struct span
name_join(struct arena *a, struct span prefix, struct span rest)
{
	if (prefix.n == 0)
		return (arena_span(a, rest));
	return (span_of(arena_printf(
	    a, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(prefix), SPAN_ARG(rest))));
}

static bool
match_fill(const struct rule *r, struct span repository, struct arena *a,
    struct cache_match *m_r)
{
	struct span there;

	there = name_join(a, span_of(r->upstream_prefix), repository);
	if (there.p != NULL)
		there = registry_name(r->url, there, a);
	m_r->prefix = r->prefix[0] != '\0' ? arena_span(a, span_of(r->prefix))
					   : SPAN("ROOT");
	m_r->source.url = arena_printf(a, "%s", r->url);
	m_r->source.credential = arena_span(a, span_of(r->credential));
	m_r->source.repository = there;
	return (there.p != NULL && m_r->prefix.p != NULL &&
		m_r->source.url != NULL && m_r->source.credential.p != NULL &&
		name_repository_ok(there));
}

static const struct rule *
rule_above(const struct table *t, struct span repository, struct span *rest_r)
{
	const struct rule *best = NULL;
	struct span rest;
	size_t i;

	for (i = 0; i < t->n; i++) {
		if (!name_below(repository, span_of(t->rules[i].prefix), &rest))
			continue;
		if (best != NULL && rest.n >= rest_r->n)
			continue;
		best = &t->rules[i];
		*rest_r = rest;
	}
	return (best);
}

bool
cache_rule_of(struct cache_rules *r, struct span repository, struct arena *a,
    struct cache_match *m_r)
{
	struct table *t = table_ref(r);
	const struct rule *rule;
	struct span rest;
	bool found;

	if (t == NULL)
		return (false);
	rule = rule_above(t, repository, &rest);
	found = rule != NULL && match_fill(rule, rest, a, m_r);
	table_unref(t);
	return (found);
}

/* Is ${ns}, as containerd says it without a scheme, that registry? */
static bool
url_is_of(const char *url, struct span ns, struct arena *a)
{
	static const char *const schemes[] = { "https://", "http://" };
	char why[REFERENCE_WHY_BYTES];
	const char *text, *as;
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++) {
		text = arena_printf(a, "%s" SPAN_FMT, schemes[i], SPAN_ARG(ns));
		if (text != NULL &&
		    registry_url_parse(span_of(text), a, &as, why) == RC_OK &&
		    strcmp(as, url) == 0)
			return (true);
	}
	return (false);
}

/* The longest upstream prefix leaves the shortest rest. */
static const struct rule *
rule_keeping(const struct table *t, struct span ns, struct span name,
    struct arena *a, struct span *rest_r)
{
	const struct rule *best = NULL;
	struct span there, rest;
	size_t i;

	for (i = 0; i < t->n; i++) {
		there = registry_name(t->rules[i].url, name, a);
		if (there.p == NULL ||
		    !name_below(
			there, span_of(t->rules[i].upstream_prefix), &rest))
			continue;
		if (best != NULL && rest.n >= rest_r->n)
			continue;
		if (!url_is_of(t->rules[i].url, ns, a))
			continue;
		best = &t->rules[i];
		*rest_r = rest;
	}
	return (best);
}

bool
cache_rule_of_namespace(struct cache_rules *r, struct span ns, struct span name,
    struct arena *a, struct span *repository_r, struct cache_match *m_r)
{
	struct table *t = table_ref(r);
	const struct rule *rule;
	struct span rest;
	bool found = false;

	if (t == NULL)
		return (false);
	rule = rule_keeping(t, ns, name, a, &rest);
	if (rule != NULL) {
		*repository_r = name_join(a, span_of(rule->prefix), rest);
		found = repository_r->p != NULL &&
			name_repository_ok(*repository_r) &&
			match_fill(rule, rest, a, m_r);
	}
	table_unref(t);
	return (found);
}
