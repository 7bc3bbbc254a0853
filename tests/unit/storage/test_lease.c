#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/obj.h"
#include "storage/lease.h"

/* Time stands still but for what a test adds. */
static _Atomic int64_t mono_ms, real_ms;

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t ms = clock == CLOCK_REALTIME ? real_ms : mono_ms;

	t->tv_sec = ms / 1000;
	t->tv_nsec = ms % 1000 * 1000000;
	return (0);
}

#define GRACE_MS 1000

struct fixture {
	struct leases *l;
	struct digest a, b;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	mono_ms = 5000;
	real_ms = 1700000000000;
	f->l = leases_new();
	lease_grace_set(f->l, GRACE_MS);
	digest_of(DIGEST_SHA256, "a", 1, &f->a);
	digest_of(DIGEST_SHA256, "b", 1, &f->b);
	*state = f;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	leases_free(&f->l);
	free(f);
	return (0);
}

static bool
claimable(struct leases *l, const struct digest *d)
{
	bool could = lease_claim(l, d);

	if (could)
		lease_give_back(l, d);
	return (could);
}

static void
lease(struct leases *l, const struct digest *d)
{
	assert_int_equal(lease_take(l, d, false), RC_OK);
}

/* --- leases -------------------------------------------------------------- */

static void
test_lease_keeps_the_collector_away_for_a_grace(void **state)
{
	struct fixture *f = *state;

	assert_true(claimable(f->l, &f->a));
	lease(f->l, &f->a);
	assert_false(claimable(f->l, &f->a));
	assert_true(claimable(f->l, &f->b));
	mono_ms += GRACE_MS - 1;
	assert_true(lease_held(f->l, &f->a));
	assert_false(claimable(f->l, &f->a));
	mono_ms++;
	assert_false(lease_held(f->l, &f->a));
	assert_true(claimable(f->l, &f->a));
}

static void
test_later_lease_lasts_longer(void **state)
{
	struct fixture *f = *state;

	lease(f->l, &f->a);
	mono_ms += GRACE_MS / 2;
	lease(f->l, &f->a);
	mono_ms += GRACE_MS - 1;
	assert_false(claimable(f->l, &f->a));
	mono_ms++;
	assert_true(claimable(f->l, &f->a));
}

static void
test_calendar_that_is_set_ends_no_lease(void **state)
{
	struct fixture *f = *state;

	lease(f->l, &f->a);
	real_ms += (int64_t)366 * 24 * 3600 * 1000;
	assert_false(claimable(f->l, &f->a));
}

static void
test_without_a_grace_there_are_no_leases(void **state)
{
	struct fixture *f = *state;
	int64_t left;

	lease_grace_set(f->l, 0);
	lease(f->l, &f->a);
	assert_true(claimable(f->l, &f->a));
	assert_true(lease_settled(f->l, &left));
	assert_int_equal(left, 0);
}

static void
test_longer_grace_lengthens_what_runs(void **state)
{
	struct fixture *f = *state;

	lease(f->l, &f->a);
	lease(f->l, &f->b);
	mono_ms += GRACE_MS - 1;
	lease(f->l, &f->b);
	lease_grace_set(f->l, 3 * GRACE_MS);
	mono_ms += 2 * GRACE_MS;
	assert_false(claimable(f->l, &f->a));
	mono_ms++;
	assert_true(claimable(f->l, &f->a));
	assert_false(claimable(f->l, &f->b));
}

static void
test_longer_grace_brings_back_nothing_that_has_ended(void **state)
{
	struct fixture *f = *state;

	lease(f->l, &f->a);
	mono_ms += GRACE_MS;
	lease_grace_set(f->l, 10 * GRACE_MS);
	assert_true(claimable(f->l, &f->a));
}

static void
test_shorter_grace_takes_nothing_back(void **state)
{
	struct fixture *f = *state;

	lease(f->l, &f->a);
	lease_grace_set(f->l, 10);
	assert_int_equal(lease_grace_ms(f->l), 10);
	lease(f->l, &f->a);
	lease(f->l, &f->b);
	mono_ms += 10;
	assert_false(claimable(f->l, &f->a));
	assert_true(claimable(f->l, &f->b));
	mono_ms += GRACE_MS - 10;
	assert_true(claimable(f->l, &f->a));
}

static void
test_digests_that_meet_in_the_table_only_stay_longer(void **state)
{
	struct fixture *f = *state;
	struct digest twin = f->a;

	twin.bytes[31] ^= 1;
	lease(f->l, &f->a);
	assert_false(claimable(f->l, &twin));
	mono_ms += GRACE_MS;
	assert_true(claimable(f->l, &twin));
	/* A claim is of one of them. */
	assert_true(lease_claim(f->l, &f->a));
	assert_true(claimable(f->l, &twin));
	lease(f->l, &twin);
	lease_give_back(f->l, &f->a);
}

static void
test_nothing_is_settled_until_a_grace_after_the_start(void **state)
{
	struct fixture *f = *state;
	int64_t left;

	assert_false(lease_settled(f->l, &left));
	assert_int_equal(left, GRACE_MS);
	mono_ms += GRACE_MS - 1;
	assert_false(lease_settled(f->l, &left));
	assert_int_equal(left, 1);
	mono_ms++;
	assert_true(lease_settled(f->l, &left));
	assert_int_equal(left, 0);
	lease_grace_set(f->l, 2 * GRACE_MS);
	assert_false(lease_settled(f->l, &left));
	assert_int_equal(left, GRACE_MS);
}

/* --- pins and claims ----------------------------------------------------- */

static void
test_claim_is_had_once(void **state)
{
	struct fixture *f = *state;

	assert_true(lease_claim(f->l, &f->a));
	assert_false(lease_claim(f->l, &f->a));
	assert_false(lease_claim_unpinned(f->l, &f->a));
	assert_true(lease_claim(f->l, &f->b));
	lease_give_back(f->l, &f->a);
	lease_give_back(f->l, &f->b);
	assert_true(claimable(f->l, &f->a));
}

static void
test_what_is_claimed_is_not_leased_without_waiting(void **state)
{
	struct fixture *f = *state;

	assert_true(lease_claim(f->l, &f->a));
	assert_int_equal(lease_take(f->l, &f->a, false), RC_WOULDBLOCK);
	assert_false(lease_held(f->l, &f->a));
	lease_give_back(f->l, &f->a);
	assert_int_equal(lease_take(f->l, &f->a, false), RC_OK);
}

static void
test_pins_keep_every_claim_away(void **state)
{
	struct fixture *f = *state;
	struct lease_pin one, two, other;

	lease_pin(f->l, &one, &f->a);
	lease_pin(f->l, &other, &f->b);
	lease_pin(f->l, &two, &f->a);
	mono_ms += 100 * GRACE_MS;
	assert_true(lease_held(f->l, &f->a));
	assert_false(claimable(f->l, &f->a));
	lease_unpin(f->l, &one);
	assert_false(lease_claim_unpinned(f->l, &f->a));
	lease_unpin(f->l, &two);
	assert_true(claimable(f->l, &f->a));
	assert_false(claimable(f->l, &f->b));
	lease_unpin(f->l, &other);
}

static void
test_file_without_a_record_is_claimed_despite_a_lease(void **state)
{
	struct fixture *f = *state;

	lease(f->l, &f->a);
	assert_true(lease_claim_unpinned(f->l, &f->a));
	lease_give_back(f->l, &f->a);
	assert_true(lease_held(f->l, &f->a));
}

/* --- many at once -------------------------------------------------------- */

struct waiter {
	struct leases *l;
	struct digest d;
	_Atomic bool begun, got;
};

static void *
lease_waits(void *arg)
{
	struct waiter *w = arg;

	w->begun = true;
	must(lease_take(w->l, &w->d, true) == RC_OK);
	w->got = true;
	return (NULL);
}

static void *
pin_waits(void *arg)
{
	struct waiter *w = arg;
	struct lease_pin pin;

	w->begun = true;
	lease_pin(w->l, &pin, &w->d);
	w->got = true;
	lease_unpin(w->l, &pin);
	return (NULL);
}

static void
assert_waits(struct fixture *f, void *(*fn)(void *))
{
	struct waiter w = { .l = f->l, .d = f->a };
	pthread_t t;

	assert_true(lease_claim(f->l, &f->a));
	assert_int_equal(pthread_create(&t, NULL, fn, &w), 0);
	while (!w.begun)
		(void)usleep(1000);
	(void)usleep(20000);
	assert_false(w.got);
	lease_give_back(f->l, &f->a);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_true(w.got);
}

static void
test_who_wants_a_lease_or_a_pin_waits_for_the_claim(void **state)
{
	struct fixture *f = *state;

	assert_waits(f, pin_waits);
	assert_true(claimable(f->l, &f->a));
	assert_waits(f, lease_waits);
	assert_false(claimable(f->l, &f->a));
}

#define THREADS 4
#define ROUNDS 2000
#define DIGESTS 3

static struct digest shared[DIGESTS];
static _Atomic int pins_of[DIGESTS], claims_of[DIGESTS];
static _Atomic unsigned claims_had;

static void *
pinner(void *arg)
{
	struct lease_pin pin;
	unsigned i, at;

	for (i = 0; i < ROUNDS; i++) {
		at = i % DIGESTS;
		lease_pin(arg, &pin, &shared[at]);
		pins_of[at]++;
		must(claims_of[at] == 0);
		must(!lease_claim(arg, &shared[at]));
		pins_of[at]--;
		lease_unpin(arg, &pin);
	}
	return (NULL);
}

static void *
claimer(void *arg)
{
	unsigned i, at;

	for (i = 0; i < ROUNDS; i++) {
		at = i % DIGESTS;
		if (!lease_claim(arg, &shared[at]))
			continue;
		claims_had++;
		must(claims_of[at]++ == 0);
		must(pins_of[at] == 0);
		claims_of[at]--;
		lease_give_back(arg, &shared[at]);
	}
	return (NULL);
}

static void
test_pins_and_claims_exclude_each_other(void **state)
{
	struct fixture *f = *state;
	pthread_t t[2 * THREADS];
	unsigned i;

	claims_had = 0;
	for (i = 0; i < DIGESTS; i++)
		digest_of(DIGEST_SHA256, &i, sizeof(i), &shared[i]);
	for (i = 0; i < 2 * THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL,
				     i % 2 == 0 ? pinner : claimer, f->l),
		    0);
	for (i = 0; i < 2 * THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_true(claims_had > 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_lease_keeps_the_collector_away_for_a_grace),
		TEST(test_later_lease_lasts_longer),
		TEST(test_calendar_that_is_set_ends_no_lease),
		TEST(test_without_a_grace_there_are_no_leases),
		TEST(test_longer_grace_lengthens_what_runs),
		TEST(test_longer_grace_brings_back_nothing_that_has_ended),
		TEST(test_shorter_grace_takes_nothing_back),
		TEST(test_digests_that_meet_in_the_table_only_stay_longer),
		TEST(test_nothing_is_settled_until_a_grace_after_the_start),
		TEST(test_claim_is_had_once),
		TEST(test_what_is_claimed_is_not_leased_without_waiting),
		TEST(test_pins_keep_every_claim_away),
		TEST(test_file_without_a_record_is_claimed_despite_a_lease),
		TEST(test_who_wants_a_lease_or_a_pin_waits_for_the_claim),
		TEST(test_pins_and_claims_exclude_each_other),
	};

	return (cmocka_run_group_tests_name("lease", tests, NULL, NULL));
}
