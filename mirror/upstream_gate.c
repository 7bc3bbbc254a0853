#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/fetch_int.h"
#include "mirror/upstream_int.h"

/*
 * Who may ask now.  A request goes when the upstream did not say "not before",
 * when one of its connections is free, and when its turn has come by the
 * configured rates.  Reading and sending have connections of their own: who
 * copies from a registry to the same one holds one of each, and would wait for
 * himself.
 */
#define LOOK_MS 100
#define NS_PER_S INT64_C(1000000000)
#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS 10000
#define REFUSED_FIRST_MS 1000
#define REFUSED_MAX_MS 60000
/* Bytes that may come at once after a rest. */
#define BURST_NS (NS_PER_S / 4)

void
pace_begin(struct pace *p, const struct upstream_wait *wait, const char *what)
{
	*p = (struct pace){ .wait = *wait, .what = what };
	pace_renew(p);
}

void
pace_renew(struct pace *p)
{
	int64_t ms = p->wait.patience_ms > 0 ? p->wait.patience_ms : 0;

	p->until_ns = clock_mono_ns() + ms * UPSTREAM_NS_PER_MS;
	p->tries = 0;
}

int64_t
pace_left_ms(const struct pace *p)
{
	int64_t left_ns = p->until_ns - clock_mono_ns();

	return (left_ns > 0 ? left_ns / UPSTREAM_NS_PER_MS : 0);
}

bool
pace_cancelled(const struct pace *p)
{
	return (p->wait.cancel != NULL && atomic_load(p->wait.cancel));
}

static bool
given_up(const struct upstream *u, const struct pace *p)
{
	return (pace_cancelled(p) || fetcher_stopping(u->set->options.fetcher));
}

/* False: cancelled. */
static bool
nap(const struct upstream *u, const struct pace *p, int64_t ms)
{
	int64_t until_ns = clock_mono_ns() + ms * UPSTREAM_NS_PER_MS, left_ns;
	struct timespec ts = { 0 };

	while (!given_up(u, p)) {
		left_ns = until_ns - clock_mono_ns();
		if (left_ns <= 0)
			return (true);
		if (left_ns > LOOK_MS * UPSTREAM_NS_PER_MS)
			left_ns = LOOK_MS * UPSTREAM_NS_PER_MS;
		ts.tv_nsec = (long)left_ns;
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	return (false);
}

/* Half of it for sure, the rest by chance: those who failed together do not
 * come back together. */
static int64_t
jitter(int64_t ms)
{
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(chance))
		chance = (uint32_t)clock_mono_ns();
	return (ms / 2 + (int64_t)(chance % (uint32_t)(ms / 2 + 1)));
}

static int64_t
doubled(int64_t first, unsigned times, int64_t most)
{
	int64_t ms = first;

	for (; times > 0 && ms < most; times--)
		ms *= 2;
	return (ms < most ? ms : most);
}

bool
pace_again(struct upstream *u, struct pace *p, int64_t at_least_ms)
{
	int64_t ms = jitter(doubled(PAUSE_FIRST_MS, p->tries, PAUSE_MAX_MS));

	p->tries++;
	if (ms < at_least_ms)
		ms = at_least_ms;
	if (ms >= pace_left_ms(p) || !nap(u, p, ms))
		return (false);
	mutex_lock(&u->lock);
	u->state.retries++;
	mutex_unlock(&u->lock);
	return (true);
}

/* --- what it said -------------------------------------------------------- */

int64_t
gate_refused(struct upstream *u, int64_t ms)
{
	int64_t until_ns;

	mutex_lock(&u->lock);
	if (ms < 0)
		ms = jitter(
		    doubled(REFUSED_FIRST_MS, u->refusals, REFUSED_MAX_MS));
	if (ms > UPSTREAM_NOT_BEFORE_MAX_MS)
		ms = UPSTREAM_NOT_BEFORE_MAX_MS;
	u->refusals++;
	until_ns = clock_mono_ns() + ms * UPSTREAM_NS_PER_MS;
	if (until_ns > u->not_before_ns)
		u->not_before_ns = until_ns;
	mutex_unlock(&u->lock);
	return (ms);
}

void
gate_welcomed(struct upstream *u)
{
	mutex_lock(&u->lock);
	u->refusals = 0;
	mutex_unlock(&u->lock);
}

static int64_t
refused_ms(struct upstream *u)
{
	int64_t left_ns;

	mutex_lock(&u->lock);
	left_ns = u->not_before_ns - clock_mono_ns();
	mutex_unlock(&u->lock);
	if (left_ns <= 0)
		return (0);
	return ((left_ns + UPSTREAM_NS_PER_MS - 1) / UPSTREAM_NS_PER_MS);
}

static enum rc
refusal_wait(
    struct upstream *u, const struct pace *p, struct upstream_error *error)
{
	int64_t ms;

	while ((ms = refused_ms(u)) > 0) {
		if (ms >= pace_left_ms(p)) {
			error->status = 429;
			error->retry_after_s = (unsigned)((ms + 999) / 1000);
			return (error_say(u, error, p->what, RC_LIMIT,
			    "it asked us to wait; %u s are left of that",
			    error->retry_after_s));
		}
		if (!nap(u, p, ms))
			return (error_cancelled(u, error, p->what));
	}
	return (RC_OK);
}

/* --- connections --------------------------------------------------------- */

/* Blobs take minutes, and never all of the connections: a manifest does not
 * wait for layers. */
static unsigned
bulk_max(const struct upstream *u)
{
	unsigned n = u->options.connections;

	return (n > 1 ? n - (n + 3) / 4 : n);
}

/* With the lock held. */
static bool
slot_is_free(const struct upstream *u, const struct ask *ask)
{
	if (ask->bulk && u->bulk >= bulk_max(u))
		return (false);
	return (u->busy[ask->side] < u->options.connections);
}

/* A blob waits for as long as others are read: each of those moves, or is given
 * up.  That is not taken off its patience, which is for the upstream. */
static enum rc
slot_take(struct upstream *u, const struct ask *ask, struct pace *p,
    struct upstream_error *error)
{
	int64_t began_ns = clock_mono_ns();
	enum rc rc = RC_OK;

	mutex_lock(&u->lock);
	while (!slot_is_free(u, ask) && rc == RC_OK) {
		(void)cond_wait_ms(&u->changed, &u->lock, LOOK_MS);
		if (given_up(u, p))
			rc = RC_CANCELLED;
		else if (!slot_is_free(u, ask) && !ask->bulk &&
			 pace_left_ms(p) == 0)
			rc = RC_LIMIT;
	}
	if (rc == RC_OK) {
		u->busy[ask->side]++;
		u->bulk += ask->bulk;
	}
	mutex_unlock(&u->lock);
	if (ask->bulk)
		p->until_ns += clock_mono_ns() - began_ns;
	if (rc == RC_CANCELLED)
		return (error_cancelled(u, error, p->what));
	if (rc == RC_LIMIT)
		return (error_say(u, error, p->what, rc,
		    "all %u connections are in use", u->options.connections));
	return (rc);
}

void
gate_leave(struct upstream *u, enum upstream_side side, bool bulk)
{
	mutex_lock(&u->lock);
	must(u->busy[side] > 0 && u->bulk >= bulk);
	u->busy[side]--;
	u->bulk -= bulk;
	must(pthread_cond_broadcast(&u->changed) == 0);
	mutex_unlock(&u->lock);
}

/* --- rates --------------------------------------------------------------- */

/* Evenly, one after the other; how long until the turn that was taken, or -1:
 * there is not enough patience for the next one, which is left to others. */
static int64_t
turn_take(struct upstream *u, const struct pace *p)
{
	int64_t now_ns = clock_mono_ns(), wait_ns = 0;

	mutex_lock(&u->lock);
	if (u->options.requests_per_second > 0) {
		if (u->request_ns < now_ns)
			u->request_ns = now_ns;
		wait_ns = u->request_ns - now_ns;
	}
	if (wait_ns > 0 && p->until_ns < u->request_ns) {
		wait_ns = -UPSTREAM_NS_PER_MS;
	} else {
		u->state.requests++;
		if (u->options.requests_per_second > 0)
			u->request_ns +=
			    NS_PER_S / u->options.requests_per_second;
	}
	mutex_unlock(&u->lock);
	return (wait_ns / UPSTREAM_NS_PER_MS);
}

enum rc
gate_enter(struct upstream *u, const struct ask *ask, struct pace *p,
    struct upstream_error *error)
{
	int64_t ms;
	enum rc rc;

	must(!ask->bulk || (!ask->apart && ask->side == SIDE_READ));
	if ((rc = refusal_wait(u, p, error)) != RC_OK)
		return (rc);
	if (!ask->apart && (rc = slot_take(u, ask, p, error)) != RC_OK)
		return (rc);
	if ((ms = turn_take(u, p)) >= 0 && nap(u, p, ms))
		return (RC_OK);
	if (!ask->apart)
		gate_leave(u, ask->side, ask->bulk);
	if (ms >= 0)
		return (error_cancelled(u, error, p->what));
	return (error_say(u, error, p->what, RC_LIMIT,
	    "too many wait for their turn, of %u a second",
	    u->options.requests_per_second));
}

void
gate_bytes(
    struct upstream *u, enum upstream_side side, size_t n, const struct pace *p)
{
	uint64_t rate = u->options.bytes_per_second;
	int64_t now_ns = clock_mono_ns(), wait_ns = 0;

	mutex_lock(&u->lock);
	if (side == SIDE_READ)
		u->state.bytes_in += n;
	else
		u->state.bytes_out += n;
	if (rate > 0) {
		if (u->bytes_ns < now_ns - BURST_NS)
			u->bytes_ns = now_ns - BURST_NS;
		u->bytes_ns += (int64_t)((double)n / (double)rate * 1e9);
		wait_ns = u->bytes_ns - now_ns;
	}
	mutex_unlock(&u->lock);
	if (wait_ns > UPSTREAM_NS_PER_MS)
		(void)nap(u, p, wait_ns / UPSTREAM_NS_PER_MS);
}
