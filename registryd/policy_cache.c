#include "registryd/policy_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "base/thread.h"

/*
 * Each place has a lock of its own, so that two requests meet only when they
 * are about the same repository, or by chance.
 */
#define PLACES 1024

struct place {
	pthread_mutex_t lock;
	struct policy *policy;
	uint64_t revision;
	uint64_t told; /* a revision; those of two repositories differ */
	size_t n_name;
	char name[NAME_REPOSITORY_MAX_BYTES];
};

struct policy_cache {
	struct place places[PLACES];
};

struct policy_cache *
policy_cache_new(void)
{
	struct policy_cache *pc = xcalloc(1, sizeof(*pc));
	size_t i;

	for (i = 0; i < PLACES; i++)
		mutex_init(&pc->places[i].lock);
	return (pc);
}

void
policy_cache_free(struct policy_cache **pcp)
{
	struct policy_cache *pc = *pcp;
	size_t i;

	if (pc == NULL)
		return;
	*pcp = NULL;
	for (i = 0; i < PLACES; i++) {
		policy_unref(&pc->places[i].policy);
		must(pthread_mutex_destroy(&pc->places[i].lock) == 0);
	}
	free(pc);
}

/* Who knows the hash can only make two repositories share a place. */
static struct place *
place_of(struct policy_cache *pc, struct span name)
{
	return (&pc->places[span_hash(name) % PLACES]);
}

static bool
place_holds(const struct place *p, struct span name, uint64_t revision)
{
	return (p->policy != NULL && p->revision == revision &&
		span_eq((struct span){ p->name, p->n_name }, name));
}

struct policy *
policy_cache_get(struct policy_cache *pc, struct span name, uint64_t revision)
{
	struct place *p = place_of(pc, name);
	struct policy *policy = NULL;

	mutex_lock(&p->lock);
	if (place_holds(p, name, revision))
		policy = policy_ref(p->policy);
	mutex_unlock(&p->lock);
	return (policy);
}

bool
policy_cache_tell(struct policy_cache *pc, struct span name, uint64_t revision)
{
	struct place *p = place_of(pc, name);
	bool first;

	mutex_lock(&p->lock);
	first = p->told != revision;
	p->told = revision;
	mutex_unlock(&p->lock);
	return (first);
}

void
policy_cache_put(struct policy_cache *pc, struct span name, uint64_t revision,
    struct policy *policy)
{
	struct place *p = place_of(pc, name);
	struct policy *old;

	must(name.n <= sizeof(p->name));
	policy = policy_ref(policy);
	mutex_lock(&p->lock);
	old = p->policy;
	p->policy = policy;
	p->revision = revision;
	p->n_name = name.n;
	memcpy(p->name, name.p, name.n);
	mutex_unlock(&p->lock);
	policy_unref(&old);
}
