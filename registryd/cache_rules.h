#ifndef REGISTRYD_CACHE_RULES_H
#define REGISTRYD_CACHE_RULES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"
#include "mirror/cache.h"

/*
 * Rules of the pull through cache, compiled from their records
 * (ENTITY_CACHE_RULE) into a counted snapshot that a change replaces.  With no
 * rules a look costs one load.
 */
struct cache_rules; /* the holder, one for the service */
struct meta;

struct cache_rules *cache_rules_new(struct meta *);
void cache_rules_free(struct cache_rules **);

/** cache_rules_changed(r): a rule was made, changed or deleted: read them anew
 * when they are needed next.  Any thread. */
void cache_rules_changed(struct cache_rules *);

struct cache_match {
	struct span prefix; /* of the rule: "docker-hub", "ROOT" */
	struct cache_source source;
};

/** cache_rule_of(r, repository, arena, m_r): the rule with the longest prefix
 * that the name lies below ("a" is above "a/b", not above "ab" nor "a"); "ROOT"
 * is above all.  False: none.  Loop or worker (it may read small rows). */
bool cache_rule_of(struct cache_rules *, struct span repository, struct arena *,
    struct cache_match *m_r);

/**
 * cache_rule_of_namespace(r, ns, name, arena, repository_r, m_r):
 * The other way round, for ?ns=: the repository here in which ${name} of the
 * registry ${ns} ("docker.io", "ghcr.io:443") is kept; of several rules the one
 * with the longest upstream prefix that fits, then the first by prefix.
 * False: no rule keeps it.
 */
bool
cache_rule_of_namespace(struct cache_rules *, struct span ns, struct span name,
    struct arena *, struct span *repository_r, struct cache_match *m_r);

#define CACHE_RULE_WHY_BYTES 1024

/** cache_rule_source(o, arena, url_r, credential_r, why): the address of the
 * upstream of a rule's record, and the name of its credentials (empty: the
 * registry's own).  False: it cannot be used; ${why} names the value. */
bool cache_rule_source(const json_t *o, struct arena *, const char **url_r,
    struct span *credential_r, char why[CACHE_RULE_WHY_BYTES]);

struct service;
/**
 * cache_rule_validate(svc, o, patience_ms, why):
 * Ask the upstream of a rule's record whether it is there and takes the
 * credentials.  RC_OK; else ${why} says what is wrong, in one line.  Worker;
 * waits.
 */
RC_MUST_USE enum rc cache_rule_validate(struct service *, const json_t *o,
    int64_t patience_ms, char why[CACHE_RULE_WHY_BYTES]);

/** cache_rules_any(r): are there rules at all? */
bool cache_rules_any(struct cache_rules *);

#endif
