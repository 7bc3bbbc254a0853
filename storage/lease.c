#include "storage/lease.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

/*
 * Leases are times in a table, until when; pins and claims are entries of
 * lists, which are short.  All that is known of a digest is under one of some
 * locks, chosen by its place in the table, so that "is there a lease or a
 * pin?  Then claim it" is one step.  Times are those of the monotonic clock:
 * a calendar that is set does not take back what was promised.
 *
 * Nobody sleeps with a lock but on its condition, and whoever claims never
 * waits for a lease or a pin; so who waits here waits for a collector that
 * waits for its own commit, and for nothing else.
 */
#define LEASES_MAGIC 0x6c656173U
#define STRIPES 64
#define SLOTS ((size_t)1 << 19) /* 4 MiB, touched as they are used */

/* Until gc_grace_set() says otherwise. */
#define GRACE_DEFAULT_MS ((int64_t)3600 * 1000)
#define NS_PER_MS INT64_C(1000000)

struct claim {
	struct claim *next;
	struct digest digest;
};

struct stripe {
	_Alignas(64) pthread_mutex_t lock;
	pthread_cond_t given_back;
	struct lease_pin *pins;
	struct claim *claims;
};

struct leases {
	unsigned magic;
	int64_t started_ns;
	pthread_mutex_t grace_lock; /* of changing it */
	_Atomic int64_t grace_ms;
	int64_t *until_ns; /* SLOTS; that of slot i under stripe i % STRIPES */
	struct stripe stripes[STRIPES];
};

struct leases *
leases_new(void)
{
	struct leases *l;
	size_t i;

	l = aligned_alloc(_Alignof(struct leases), sizeof(*l));
	must(l != NULL);
	memset(l, 0, sizeof(*l));
	l->magic = LEASES_MAGIC;
	l->started_ns = clock_mono_ns();
	mutex_init(&l->grace_lock);
	atomic_init(&l->grace_ms, GRACE_DEFAULT_MS);
	l->until_ns = xcalloc(SLOTS, sizeof(*l->until_ns));
	for (i = 0; i < STRIPES; i++) {
		mutex_init(&l->stripes[i].lock);
		cond_init(&l->stripes[i].given_back);
	}
	return (l);
}

void
leases_free(struct leases **l_p)
{
	struct leases *l = *l_p;
	size_t i;

	if (l == NULL)
		return;
	OBJ_CHECK(l, LEASES_MAGIC);
	*l_p = NULL;
	for (i = 0; i < STRIPES; i++) {
		must(l->stripes[i].pins == NULL);
		must(l->stripes[i].claims == NULL);
		must(pthread_cond_destroy(&l->stripes[i].given_back) == 0);
		must(pthread_mutex_destroy(&l->stripes[i].lock) == 0);
	}
	must(pthread_mutex_destroy(&l->grace_lock) == 0);
	free(l->until_ns);
	l->magic = 0;
	free(l);
}

/* --- grace --------------------------------------------------------------- */

/* What is still running runs so much longer. */
static void
leases_extend(struct leases *l, int64_t by_ns)
{
	int64_t now_ns = clock_mono_ns();
	size_t i, at;

	for (i = 0; i < STRIPES; i++) {
		mutex_lock(&l->stripes[i].lock);
		for (at = i; at < SLOTS; at += STRIPES)
			if (l->until_ns[at] > now_ns)
				l->until_ns[at] += by_ns;
		mutex_unlock(&l->stripes[i].lock);
	}
}

void
lease_grace_set(struct leases *l, int64_t grace_ms)
{
	int64_t was_ms;

	OBJ_CHECK(l, LEASES_MAGIC);
	must(grace_ms >= 0);
	mutex_lock(&l->grace_lock);
	was_ms = atomic_exchange(&l->grace_ms, grace_ms);
	if (grace_ms > was_ms)
		leases_extend(l, (grace_ms - was_ms) * NS_PER_MS);
	mutex_unlock(&l->grace_lock);
}

int64_t
lease_grace_ms(const struct leases *l)
{
	return (atomic_load(&l->grace_ms));
}

bool
lease_settled(const struct leases *l, int64_t *left_ms_r)
{
	int64_t left_ns;

	left_ns =
	    l->started_ns + lease_grace_ms(l) * NS_PER_MS - clock_mono_ns();
	*left_ms_r = left_ns > 0 ? (left_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
	return (left_ns <= 0);
}

/* --- one digest ---------------------------------------------------------- */

/* Digests are as good as random; who searches for two that meet has the one
 * kept a little longer, and nothing else. */
static size_t
slot_of(const struct digest *d)
{
	uint64_t n;

	memcpy(&n, d->bytes, sizeof(n));
	return (n % SLOTS);
}

static struct stripe *
stripe_of(struct leases *l, const struct digest *d)
{
	return (&l->stripes[slot_of(d) % STRIPES]);
}

static struct claim **
claim_find(struct stripe *s, const struct digest *d)
{
	struct claim **c;

	for (c = &s->claims; *c != NULL; c = &(*c)->next)
		if (digest_eq(&(*c)->digest, d))
			return (c);
	return (NULL);
}

static bool
pinned(const struct stripe *s, const struct digest *d)
{
	const struct lease_pin *p;

	for (p = s->pins; p != NULL; p = p->next)
		if (digest_eq(&p->digest, d))
			return (true);
	return (false);
}

static bool
leased(const struct leases *l, const struct digest *d)
{
	return (l->until_ns[slot_of(d)] > clock_mono_ns());
}

enum rc
lease_take(struct leases *l, const struct digest *d, bool wait)
{
	struct stripe *s = stripe_of(l, d);
	int64_t *at = &l->until_ns[slot_of(d)];
	int64_t until_ns;
	enum rc rc = RC_OK;

	OBJ_CHECK(l, LEASES_MAGIC);
	mutex_lock(&s->lock);
	while (wait && claim_find(s, d) != NULL)
		cond_wait(&s->given_back, &s->lock);
	until_ns = clock_mono_ns() + lease_grace_ms(l) * NS_PER_MS;
	if (claim_find(s, d) != NULL)
		rc = RC_WOULDBLOCK;
	else if (until_ns > *at)
		*at = until_ns;
	mutex_unlock(&s->lock);
	return (rc);
}

bool
lease_held(struct leases *l, const struct digest *d)
{
	struct stripe *s = stripe_of(l, d);
	bool held;

	OBJ_CHECK(l, LEASES_MAGIC);
	mutex_lock(&s->lock);
	held = leased(l, d) || pinned(s, d);
	mutex_unlock(&s->lock);
	return (held);
}

/* --- pins ---------------------------------------------------------------- */

void
lease_pin(struct leases *l, struct lease_pin *pin, const struct digest *d)
{
	struct stripe *s = stripe_of(l, d);

	OBJ_CHECK(l, LEASES_MAGIC);
	pin->digest = *d;
	mutex_lock(&s->lock);
	while (claim_find(s, d) != NULL)
		cond_wait(&s->given_back, &s->lock);
	pin->next = s->pins;
	pin->prev = &s->pins;
	if (pin->next != NULL)
		pin->next->prev = &pin->next;
	s->pins = pin;
	mutex_unlock(&s->lock);
}

void
lease_unpin(struct leases *l, struct lease_pin *pin)
{
	struct stripe *s = stripe_of(l, &pin->digest);

	OBJ_CHECK(l, LEASES_MAGIC);
	mutex_lock(&s->lock);
	must(*pin->prev == pin);
	*pin->prev = pin->next;
	if (pin->next != NULL)
		pin->next->prev = pin->prev;
	mutex_unlock(&s->lock);
	*pin = (struct lease_pin){ 0 };
}

/* --- claims -------------------------------------------------------------- */

static bool
claim_take(struct leases *l, const struct digest *d, bool despite_lease)
{
	struct stripe *s = stripe_of(l, d);
	struct claim *c = xcalloc(1, sizeof(*c));
	bool free_to_take;

	OBJ_CHECK(l, LEASES_MAGIC);
	c->digest = *d;
	mutex_lock(&s->lock);
	free_to_take = claim_find(s, d) == NULL && !pinned(s, d) &&
		       (despite_lease || !leased(l, d));
	if (free_to_take) {
		c->next = s->claims;
		s->claims = c;
	}
	mutex_unlock(&s->lock);
	if (!free_to_take)
		free(c);
	return (free_to_take);
}

bool
lease_claim(struct leases *l, const struct digest *d)
{
	return (claim_take(l, d, false));
}

bool
lease_claim_unpinned(struct leases *l, const struct digest *d)
{
	return (claim_take(l, d, true));
}

void
lease_give_back(struct leases *l, const struct digest *d)
{
	struct stripe *s = stripe_of(l, d);
	struct claim **at, *c;

	OBJ_CHECK(l, LEASES_MAGIC);
	mutex_lock(&s->lock);
	at = claim_find(s, d);
	must(at != NULL);
	c = *at;
	*at = c->next;
	must(pthread_cond_broadcast(&s->given_back) == 0);
	mutex_unlock(&s->lock);
	free(c);
}
