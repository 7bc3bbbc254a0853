#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auth/decide.h"
#include "auth/decide_int.h"
#include "auth/policy_int.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

/*
 * Decisions remembered, in pairs of places: a key has one pair where it can
 * stand, and the one of the two that was not used for longer makes room.  The
 * pairs are spread over shards with a lock each, held for a comparison and a
 * copy.
 *
 * Keys are whole: everything that an unconditional decision depends on, as
 * bytes, so that two questions never share an answer because they share a
 * hash.  The policies themselves are named by the epoch.  What a decision
 * points to (label, Sid) is not remembered but found again in the policies of
 * the asker, who keeps those alive.
 */
#define CACHE_SHARDS 32
#define SHARD_PAIRS 64

/* A user name of 64, a repository name of 255, and what stands around. */
#define KEY_MAX_BYTES 648

struct remembered {
	uint64_t epoch[3];
	uint64_t used; /* by the shard's count; 0: never */
	size_t policy, statement;
	enum decide_by by;
	bool allowed, explicit_deny, resource_silent;
	uint16_t key_bytes;
	unsigned char key[KEY_MAX_BYTES];
};

struct shard {
	_Alignas(64) pthread_mutex_t lock; /* of all below */
	uint64_t count;
	struct remembered places[SHARD_PAIRS][2];
};

struct decide_cache {
	uint64_t seed;
	struct shard *shards;
};

struct decide_cache *
decide_cache_new(void)
{
	struct decide_cache *c = xcalloc(1, sizeof(*c));
	size_t i, bytes = CACHE_SHARDS * sizeof(*c->shards);

	/* Without it the hash is one that others can compute: no harm. */
	if (getrandom(&c->seed, sizeof(c->seed), GRND_NONBLOCK) !=
	    sizeof(c->seed))
		c->seed = (uint64_t)(uintptr_t)c;
	c->shards = aligned_alloc(_Alignof(struct shard), bytes);
	must(c->shards != NULL);
	memset(c->shards, 0, bytes);
	for (i = 0; i < CACHE_SHARDS; i++)
		mutex_init(&c->shards[i].lock);
	return (c);
}

void
decide_cache_free(struct decide_cache **c_r)
{
	struct decide_cache *c;
	size_t i;

	if (c_r == NULL || (c = *c_r) == NULL)
		return;
	*c_r = NULL;
	for (i = 0; i < CACHE_SHARDS; i++)
		(void)pthread_mutex_destroy(&c->shards[i].lock);
	free(c->shards);
	free(c);
}

/* --- keys ---------------------------------------------------------------- */

struct key {
	uint64_t hash;
	size_t n;
	bool ok; /* it fits */
	unsigned char bytes[KEY_MAX_BYTES];
};

static void
key_add(struct key *k, const void *p, size_t n)
{
	k->ok = k->ok && n <= sizeof(k->bytes) - k->n;
	if (!k->ok || n == 0)
		return;
	memcpy(k->bytes + k->n, p, n);
	k->n += n;
}

static void
key_span(struct key *k, struct span s)
{
	key_add(k, &s.n, sizeof(s.n));
	key_add(k, s.p, s.n);
}

static uint64_t
hash_of(uint64_t hash, const unsigned char *p, size_t n)
{
	uint64_t word;

	for (; n > 0; p += sizeof(word), n -= sizeof(word)) {
		word = n;
		if (n < sizeof(word)) {
			memcpy(&word, p, n);
			n = sizeof(word);
		} else {
			memcpy(&word, p, sizeof(word));
		}
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return (hash);
}

/* The principal's policies and tags are the same array in one directory: two
 * principals of one name but other policies do not share. */
static void
key_make(struct key *k, uint64_t seed, const struct decide_input *input)
{
	const struct principal *p = input->request.principal;
	const struct {
		const void *policies, *tags;
		size_t n_policies, n_tags;
		uint32_t kind, sides;
	} fixed = { p->policies, p->tags, p->n_policies, p->n_tags,
		(uint32_t)p->kind,
		(input->repository != NULL ? 1u : 0u) |
		    (input->registry != NULL ? 2u : 0u) };

	k->n = 0;
	k->ok = true;
	key_add(k, &fixed, sizeof(fixed));
	key_span(k, p->arn);
	key_span(k, p->account);
	key_span(k, p->name);
	key_span(k, p->id);
	key_span(k, input->account);
	key_span(k, input->request.action);
	key_span(k, input->request.resource);
	k->hash = k->ok ? hash_of(seed, k->bytes, k->n) : 0;
}

static struct shard *
shard_of(struct decide_cache *c, const struct key *k)
{
	return (&c->shards[k->hash % CACHE_SHARDS]);
}

static struct remembered *
pair_of(struct shard *s, const struct key *k)
{
	return (s->places[k->hash / CACHE_SHARDS % SHARD_PAIRS]);
}

static bool
is_key(const struct remembered *m, const struct key *k)
{
	return (m->used > 0 && m->key_bytes == k->n &&
		memcmp(m->key, k->bytes, k->n) == 0);
}

/* --- remembering --------------------------------------------------------- */

static bool
recall(struct shard *s, const struct key *k, const uint64_t epoch[3],
    struct remembered *m_r)
{
	struct remembered *pair = pair_of(s, k);
	bool found = false;
	size_t i;

	mutex_lock(&s->lock);
	for (i = 0; i < 2 && !found; i++) {
		if (!is_key(&pair[i], k) ||
		    memcmp(pair[i].epoch, epoch, sizeof(pair[i].epoch)) != 0)
			continue;
		pair[i].used = ++s->count;
		/* All but the key. */
		memcpy(m_r, &pair[i], offsetof(struct remembered, key));
		found = true;
	}
	mutex_unlock(&s->lock);
	return (found);
}

static void
remember(struct shard *s, const struct key *k, const uint64_t epoch[3],
    const struct decision *d, size_t policy)
{
	struct remembered *pair = pair_of(s, k), *m;

	mutex_lock(&s->lock);
	m = pair[1].used < pair[0].used ? &pair[1] : &pair[0];
	/* The same under an epoch that has passed. */
	if (is_key(&pair[0], k))
		m = &pair[0];
	else if (is_key(&pair[1], k))
		m = &pair[1];
	memcpy(m->epoch, epoch, sizeof(m->epoch));
	m->used = ++s->count;
	m->policy = policy;
	m->statement = d->statement;
	m->by = d->by;
	m->allowed = d->allowed;
	m->explicit_deny = d->explicit_deny;
	m->resource_silent = d->resource_silent;
	m->key_bytes = (uint16_t)k->n;
	memcpy(m->key, k->bytes, k->n);
	mutex_unlock(&s->lock);
}

/* As decide() would have said it of these very policies. */
static void
retell(const struct remembered *m, const struct decide_input *input,
    struct decision *d)
{
	const struct principal *p = input->request.principal;

	*d = (struct decision){ .allowed = m->allowed,
		.explicit_deny = m->explicit_deny,
		.by = m->by,
		.resource_silent = m->resource_silent,
		.statement = m->statement };
	if (m->by == DECIDED_BY_IDENTITY) {
		d->label = p->policies[m->policy].label;
		d->sid =
		    policy_sid(p->policies[m->policy].policy, m->statement);
	} else if (m->by == DECIDED_BY_REPOSITORY) {
		d->sid = policy_sid(input->repository, m->statement);
	} else if (m->by == DECIDED_BY_REGISTRY) {
		d->sid = policy_sid(input->registry, m->statement);
	}
}

void
decide_cached(struct decide_cache *c, const uint64_t epoch[3],
    const struct decide_input *input, struct decision *decision_r)
{
	struct remembered m;
	struct shard *s;
	struct key k;
	size_t policy;

	key_make(&k, c->seed, input);
	if (!k.ok || input->request.principal->kind == PRINCIPAL_EVERYBODY) {
		decide(input, decision_r);
		return;
	}
	s = shard_of(c, &k);
	if (recall(s, &k, epoch, &m)) {
		retell(&m, input, decision_r);
		return;
	}
	decide_by_policy(input, decision_r, &policy);
	if (!decision_r->conditional)
		remember(s, &k, epoch, decision_r, policy);
}
