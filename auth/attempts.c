#include "auth/attempts_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/keyring.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

/*
 * A table is a number of sets of a few places.  A full set gives up the least
 * guilty place, and one in back-off only when all are: so that filling the
 * table takes as many failures as it protects from, each from an address that
 * is itself held up.
 */
struct guilt {
	uint64_t key;		      /* 0: free */
	int64_t times[ATTEMPTS_FREE]; /* the last failures, a ring */
	uint32_t n, next;
	uint32_t backoff_s; /* 0: none */
	int64_t until_ms;   /* end of the back-off */
	int64_t last_ms;    /* touched */
	int64_t pending_ms; /* when the last of these began */
	uint32_t pending;   /* let in, and not heard of since */
	uint64_t about;	    /* addresses: the one principal it failed with, or
			   ABOUT_SEVERAL */
};

#define ABOUT_SEVERAL UINT64_MAX

struct guilt_table {
	struct guilt places[ATTEMPTS_SETS][ATTEMPTS_WAYS];
};

struct attempts {
	pthread_mutex_t lock;
	uint64_t seed[2];
	struct guilt_table principals, addresses, friends;
};

/* The three names that an attempt has. */
struct names {
	uint64_t principal, address, pair;
};

struct attempts *
attempts_new(void)
{
	struct attempts *t = xcalloc(1, sizeof(*t));

	mutex_init(&t->lock);
	random_bytes(t->seed, sizeof(t->seed));
	return (t);
}

void
attempts_free(struct attempts **t_p)
{
	struct attempts *t = *t_p;

	if (t == NULL)
		return;
	*t_p = NULL;
	must(pthread_mutex_destroy(&t->lock) == 0);
	free(t);
}

/* --- names --------------------------------------------------------------- */

/* Multiplications with folding; what collides shares a count, so it is enough
 * that nobody can aim: the seed is secret and no hash is ever shown. */
__extension__ typedef unsigned __int128 wide;

static uint64_t
fold(uint64_t a, uint64_t b)
{
	wide product = (wide)a * b;

	return ((uint64_t)product ^ (uint64_t)(product >> 64));
}

static uint64_t
name_hash(const struct attempts *t, uint64_t kind, const void *p, size_t n)
{
	const uint8_t *bytes = p;
	uint64_t h = t->seed[0] ^ fold(kind + n, 0x9e3779b97f4a7c15u);
	uint64_t word;
	size_t i, step;

	for (i = 0; i < n; i += step) {
		word = 0;
		step = n - i < sizeof(word) ? n - i : sizeof(word);
		memcpy(&word, bytes + i, step);
		h = fold(h ^ word, t->seed[1] | 1) ^ (h >> 29);
	}
	h = fold(h ^ (h >> 32), 0xd6e8feb86659fd93u);
	return (h == 0 || h == ABOUT_SEVERAL ? 1 : h);
}

/* What a household has of IPv6 is a /64. */
static uint64_t
address_hash(const struct attempts *t, struct span text)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;

	if (text.n == 0 || text.n >= sizeof(copy))
		return (name_hash(t, 2, text.p, text.n));
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, &four) == 1)
		return (name_hash(t, 4, &four, sizeof(four)));
	if (inet_pton(AF_INET6, copy, &six) != 1)
		return (name_hash(t, 2, text.p, text.n));
	if (IN6_IS_ADDR_V4MAPPED(&six))
		return (name_hash(t, 4, six.s6_addr + 12, 4));
	return (name_hash(t, 6, six.s6_addr, 8));
}

static struct names
names_of(const struct attempts *t, struct span principal, struct span address)
{
	struct names n;
	uint64_t both[2];

	n.principal = name_hash(t, 1, principal.p, principal.n);
	n.address = address_hash(t, address);
	both[0] = n.principal;
	both[1] = n.address;
	n.pair = name_hash(t, 3, both, sizeof(both));
	return (n);
}

/* --- one place ----------------------------------------------------------- */

/* How long it still has to wait.  No back-off is longer than it was when it
 * began, whatever the clock has done since. */
static int64_t
guilt_wait_ms(const struct guilt *g, int64_t now_ms)
{
	int64_t left;

	if (g == NULL || g->backoff_s == 0)
		return (0);
	left = g->until_ms - now_ms;
	if (left <= 0 || left > (int64_t)g->backoff_s * 1000)
		return (0);
	return (left);
}

/* Is what it did still held against it? */
static bool
guilt_counts(const struct guilt *g, int64_t now_ms)
{
	int64_t since;

	if (g == NULL || g->n == 0)
		return (false);
	since = g->backoff_s > 0
		    ? g->until_ms
		    : g->times[(g->next + ATTEMPTS_FREE - 1) % ATTEMPTS_FREE];
	return (now_ms < since + ATTEMPTS_WINDOW_MS &&
		now_ms > since - 2 * ATTEMPTS_WINDOW_MS);
}

/* What it is waited for to end; not for ever, nor for a clock that stepped. */
static uint32_t
guilt_pending(const struct guilt *g, int64_t now_ms)
{

	if (g == NULL || now_ms >= g->pending_ms + ATTEMPTS_PENDING_MS ||
	    now_ms <= g->pending_ms - ATTEMPTS_PENDING_MS)
		return (0);
	return (g->pending);
}

static uint32_t
guilt_recent(const struct guilt *g, int64_t now_ms)
{
	uint32_t i, n = 0;

	for (i = 0; i < g->n; i++)
		if (now_ms - g->times[i] < ATTEMPTS_WINDOW_MS)
			n++;
	return (n);
}

/* Would there be a back-off if all that is pending turned out wrong? */
static bool
guilt_full(const struct guilt *g, int64_t now_ms)
{
	uint32_t pending = guilt_pending(g, now_ms);

	if (pending == 0)
		return (false);
	if (!guilt_counts(g, now_ms))
		return (pending >= ATTEMPTS_FREE);
	return (g->backoff_s > 0 ||
		guilt_recent(g, now_ms) + pending >= ATTEMPTS_FREE);
}

static void
guilt_begin(struct guilt *g, int64_t now_ms)
{

	g->pending = guilt_pending(g, now_ms) + 1;
	g->pending_ms = now_ms;
}

/* Was there one to be ended? */
static bool
guilt_end(struct guilt *g, int64_t now_ms)
{

	if (guilt_pending(g, now_ms) == 0)
		return (false);
	g->pending--;
	return (true);
}

/* What is pending stays: it is other attempts'. */
static void
guilt_forgive(struct guilt *g)
{

	if (g == NULL)
		return;
	g->n = 0;
	g->next = 0;
	g->backoff_s = 0;
	g->until_ms = 0;
	g->about = 0;
}

static void
guilt_add(struct guilt *g, uint64_t about, int64_t now_ms)
{

	if (!guilt_counts(g, now_ms))
		guilt_forgive(g);
	if (g->n == 0)
		g->about = about;
	else if (g->about != about)
		g->about = ABOUT_SEVERAL;
	g->times[g->next] = now_ms;
	g->next = (g->next + 1) % ATTEMPTS_FREE;
	if (g->n < ATTEMPTS_FREE)
		g->n++;
	/* When the ring is full, the oldest is where the next one goes. */
	if (g->backoff_s > 0)
		g->backoff_s = g->backoff_s * 2;
	else if (g->n == ATTEMPTS_FREE &&
		 now_ms - g->times[g->next] < ATTEMPTS_WINDOW_MS)
		g->backoff_s = 1;
	if (g->backoff_s > ATTEMPTS_BACKOFF_MAX_S)
		g->backoff_s = ATTEMPTS_BACKOFF_MAX_S;
	if (g->backoff_s > 0)
		g->until_ms = now_ms + (int64_t)g->backoff_s * 1000;
}

/* --- a table ------------------------------------------------------------- */

static struct guilt *
guilt_find(struct guilt_table *t, uint64_t key)
{
	struct guilt *set = t->places[key % ATTEMPTS_SETS];
	size_t i;

	for (i = 0; i < ATTEMPTS_WAYS; i++)
		if (set[i].key == key)
			return (&set[i]);
	return (NULL);
}

static uint32_t
guilt_weight(const struct guilt *g, int64_t now_ms)
{
	uint32_t weight = guilt_pending(g, now_ms);

	return (
	    guilt_counts(g, now_ms) ? weight + g->n + g->backoff_s : weight);
}

/* The one whose loss protects attackers least: who is free of guilt, then who
 * failed least, then who was here longest ago. */
static bool
guilt_lighter(const struct guilt *a, const struct guilt *b, int64_t now_ms)
{
	uint32_t guilt_a = guilt_weight(a, now_ms);
	uint32_t guilt_b = guilt_weight(b, now_ms);

	if ((a->key == 0) != (b->key == 0))
		return (a->key == 0);
	if (guilt_a != guilt_b)
		return (guilt_a < guilt_b);
	return (a->last_ms < b->last_ms);
}

static struct guilt *
guilt_make(struct guilt_table *t, uint64_t key, int64_t now_ms)
{
	struct guilt *set = t->places[key % ATTEMPTS_SETS];
	struct guilt *g = guilt_find(t, key);
	size_t i;

	if (g == NULL) {
		g = &set[0];
		for (i = 1; i < ATTEMPTS_WAYS; i++)
			if (guilt_lighter(&set[i], g, now_ms))
				g = &set[i];
		*g = (struct guilt){ .key = key };
	}
	g->last_ms = now_ms;
	return (g);
}

/* --- the rule ------------------------------------------------------------ */

#define FULL_MS ((int64_t)1000) /* no back-off yet; until some have ended */

static int64_t
held_ms(const struct guilt *g, bool pending, int64_t now_ms)
{
	int64_t ms = guilt_wait_ms(g, now_ms);

	return (ms == 0 && pending && guilt_full(g, now_ms) ? FULL_MS : ms);
}

/* ${pending}: for what is pending, too. */
static int64_t
wait_ms(struct attempts *t, const struct names *n, bool pending, int64_t now_ms)
{
	const struct guilt *address, *friend;
	int64_t ms;

	if ((friend = guilt_find(&t->friends, n->pair)) != NULL)
		return (held_ms(friend, pending, now_ms));
	address = guilt_find(&t->addresses, n->address);
	if ((ms = held_ms(address, pending, now_ms)) > 0)
		return (ms);
	if (!guilt_counts(address, now_ms) &&
	    (!pending || guilt_pending(address, now_ms) == 0))
		return (0);
	return (
	    held_ms(guilt_find(&t->principals, n->principal), pending, now_ms));
}

static unsigned
seconds_of(int64_t ms)
{

	return ((unsigned)((ms + 999) / 1000));
}

static void
begin(struct attempts *t, const struct names *n, int64_t now_ms)
{
	struct guilt *friend = guilt_find(&t->friends, n->pair);

	if (friend != NULL) {
		guilt_begin(friend, now_ms);
		return;
	}
	guilt_begin(guilt_make(&t->principals, n->principal, now_ms), now_ms);
	guilt_begin(guilt_make(&t->addresses, n->address, now_ms), now_ms);
}

/* Who has become a friend since it began ends elsewhere than it began; as
 * many end as began all the same. */
static void
end(struct attempts *t, const struct names *n, int64_t now_ms)
{

	if (guilt_end(guilt_find(&t->friends, n->pair), now_ms))
		return;
	(void)guilt_end(guilt_find(&t->principals, n->principal), now_ms);
	(void)guilt_end(guilt_find(&t->addresses, n->address), now_ms);
}

enum rc
attempts_ask(struct attempts *t, struct span principal, struct span address,
    int64_t now_ms, unsigned *retry_after_s_r)
{
	struct names n = names_of(t, principal, address);
	int64_t ms;

	mutex_lock(&t->lock);
	ms = wait_ms(t, &n, true, now_ms);
	if (ms == 0)
		begin(t, &n, now_ms);
	mutex_unlock(&t->lock);
	*retry_after_s_r = seconds_of(ms);
	return (ms > 0 ? RC_LIMIT : RC_OK);
}

enum rc
attempts_look(struct attempts *t, struct span principal, struct span address,
    int64_t now_ms, unsigned *retry_after_s_r)
{
	struct names n = names_of(t, principal, address);
	int64_t ms;

	mutex_lock(&t->lock);
	ms = wait_ms(t, &n, false, now_ms);
	mutex_unlock(&t->lock);
	*retry_after_s_r = seconds_of(ms);
	return (ms > 0 ? RC_LIMIT : RC_OK);
}

static void
note_good(struct attempts *t, const struct names *n, int64_t now_ms)
{
	struct guilt *address = guilt_find(&t->addresses, n->address);

	guilt_forgive(guilt_find(&t->principals, n->principal));
	guilt_forgive(guilt_make(&t->friends, n->pair, now_ms));
	if (address != NULL && address->about == n->principal)
		guilt_forgive(address);
}

static void
note_bad(struct attempts *t, const struct names *n, int64_t now_ms)
{
	struct guilt *friend = guilt_find(&t->friends, n->pair);

	if (friend != NULL)
		guilt_add(friend, n->principal, now_ms);
	guilt_add(guilt_make(&t->principals, n->principal, now_ms),
	    n->principal, now_ms);
	guilt_add(guilt_make(&t->addresses, n->address, now_ms), n->principal,
	    now_ms);
}

void
attempts_note(struct attempts *t, struct span principal, struct span address,
    bool good, int64_t now_ms)
{
	struct names n = names_of(t, principal, address);

	mutex_lock(&t->lock);
	end(t, &n, now_ms);
	if (good)
		note_good(t, &n, now_ms);
	else
		note_bad(t, &n, now_ms);
	mutex_unlock(&t->lock);
}

void
attempts_cancel(struct attempts *t, struct span principal, struct span address,
    int64_t now_ms)
{
	struct names n = names_of(t, principal, address);

	mutex_lock(&t->lock);
	end(t, &n, now_ms);
	mutex_unlock(&t->lock);
}
