#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/attempts_int.h"

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define NOON ((int64_t)1700000000000)

/* Let in or not; what it comes to is another thing. */
static enum rc
begins(struct attempts *t, const char *who, const char *from, int64_t now)
{
	unsigned wait;

	return (attempts_ask(t, span_of(who), span_of(from), now, &wait));
}

static void
cancels(struct attempts *t, const char *who, const char *from, int64_t now)
{
	attempts_cancel(t, span_of(who), span_of(from), now);
}

/* Would it be let in? */
static enum rc
try_as(struct attempts *t, const char *who, const char *from, int64_t now)
{
	enum rc rc = begins(t, who, from, now);

	if (rc == RC_OK)
		cancels(t, who, from, now);
	return (rc);
}

static unsigned
wait_of(struct attempts *t, const char *who, const char *from, int64_t now)
{
	unsigned wait;

	if (attempts_ask(t, span_of(who), span_of(from), now, &wait) == RC_OK)
		cancels(t, who, from, now);
	return (wait);
}

static void
fails(struct attempts *t, const char *who, const char *from, int n, int64_t now)
{
	while (n-- > 0)
		attempts_note(t, span_of(who), span_of(from), false, now);
}

static void
comes(struct attempts *t, const char *who, const char *from, int64_t now)
{
	attempts_note(t, span_of(who), span_of(from), true, now);
}

static void
test_nine_failures_are_free_and_the_tenth_costs_a_second(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	fails(t, "bob", "10.0.0.1", 9, NOON);
	assert_int_equal(try_as(t, "bob", "10.0.0.1", NOON), RC_OK);
	fails(t, "bob", "10.0.0.1", 1, NOON);
	assert_int_equal(try_as(t, "bob", "10.0.0.1", NOON), RC_LIMIT);
	assert_int_equal(wait_of(t, "bob", "10.0.0.1", NOON), 1);
	assert_int_equal(
	    try_as(t, "bob", "10.0.0.1", NOON + SECOND - 1), RC_LIMIT);
	assert_int_equal(try_as(t, "bob", "10.0.0.1", NOON + SECOND), RC_OK);
	attempts_free(&t);
}

static void
test_failures_spread_over_more_than_a_minute_are_free(void **state)
{
	struct attempts *t = attempts_new();
	int64_t now = NOON;
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		fails(t, "bob", "10.0.0.1", 1, now);
		assert_int_equal(try_as(t, "bob", "10.0.0.1", now), RC_OK);
		now += 7 * SECOND;
	}
	/* Ten in 54 seconds are not, wherever a clock's minute begins. */
	for (i = 0; i < 10; i++)
		fails(t, "bob", "10.0.0.1", 1, now += 6 * SECOND);
	assert_int_equal(try_as(t, "bob", "10.0.0.1", now), RC_LIMIT);
	attempts_free(&t);
}

static void
test_the_backoff_doubles_up_to_a_minute_and_stays_there(void **state)
{
	static const unsigned want[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
	struct attempts *t = attempts_new();
	int64_t now = NOON;
	size_t i;

	(void)state;
	fails(t, "bob", "10.0.0.1", 9, now);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(try_as(t, "bob", "10.0.0.1", now), RC_OK);
		fails(t, "bob", "10.0.0.1", 1, now);
		assert_int_equal(wait_of(t, "bob", "10.0.0.1", now), want[i]);
		now += want[i] * SECOND;
	}
	attempts_free(&t);
}

static void
test_a_minute_of_silence_behind_the_backoff_forgets(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	fails(t, "bob", "10.0.0.1", 12, NOON); /* 4 s */
	fails(t, "bob", "10.0.0.1", 1, NOON + 63 * SECOND);
	assert_int_equal(wait_of(t, "bob", "10.0.0.1", NOON + 63 * SECOND), 8);
	fails(t, "bob", "10.0.0.1", 9, NOON + 131 * SECOND);
	assert_int_equal(
	    try_as(t, "bob", "10.0.0.1", NOON + 131 * SECOND), RC_OK);
	attempts_free(&t);
}

static void
test_an_address_is_held_up_for_all_principals(void **state)
{
	struct attempts *t = attempts_new();
	char who[16];
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		snprintf(who, sizeof(who), "user%d", i);
		fails(t, who, "10.0.0.1", 1, NOON);
	}
	assert_int_equal(try_as(t, "another", "10.0.0.1", NOON), RC_LIMIT);
	assert_int_equal(try_as(t, "another", "10.0.0.2", NOON), RC_OK);
	attempts_free(&t);
}

static void
test_a_principal_under_fire_is_open_to_clean_addresses_once(void **state)
{
	struct attempts *t = attempts_new();
	char from[32];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		snprintf(from, sizeof(from), "10.0.1.%d", i);
		assert_int_equal(try_as(t, "admin", from, NOON), RC_OK);
		fails(t, "admin", from, 1, NOON);
	}
	/* They have failed once: now the principal's back-off is theirs. */
	assert_int_equal(try_as(t, "admin", "10.0.1.3", NOON), RC_LIMIT);
	/* The administrator comes from elsewhere, and is in. */
	assert_int_equal(try_as(t, "admin", "10.9.9.9", NOON), RC_OK);
	comes(t, "admin", "10.9.9.9", NOON);
	assert_int_equal(try_as(t, "admin", "10.0.1.3", NOON), RC_OK);
	attempts_free(&t);
}

static void
test_success_clears_the_count(void **state)
{
	struct attempts *t = attempts_new();
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		fails(t, "bob", "10.0.0.1", 9, NOON);
		comes(t, "bob", "10.0.0.1", NOON);
		assert_int_equal(try_as(t, "bob", "10.0.0.1", NOON), RC_OK);
		assert_int_equal(try_as(t, "eve", "10.0.0.1", NOON), RC_OK);
	}
	attempts_free(&t);
}

static void
test_ones_own_password_does_not_wash_off_guesses_at_others(void **state)
{
	struct attempts *t = attempts_new();
	int tried = 0, i;

	(void)state;
	for (i = 0; i < 100; i++) {
		if (try_as(t, "victim", "10.0.0.1", NOON) == RC_OK) {
			tried++;
			fails(t, "victim", "10.0.0.1", 1, NOON);
		}
		comes(t, "mallory", "10.0.0.1", NOON);
	}
	assert_int_equal(tried, 10);
	attempts_free(&t);
}

static void
test_neighbours_behind_one_address_do_not_lock_out_who_was_in(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	comes(t, "admin", "10.0.0.1", NOON);
	fails(t, "stale-job", "10.0.0.1", 50, NOON);
	assert_int_equal(try_as(t, "stranger", "10.0.0.1", NOON), RC_LIMIT);
	assert_int_equal(try_as(t, "admin", "10.0.0.1", NOON), RC_OK);
	/* But guesses at the administrator from there are held up. */
	fails(t, "admin", "10.0.0.1", 10, NOON);
	assert_int_equal(try_as(t, "admin", "10.0.0.1", NOON), RC_LIMIT);
	attempts_free(&t);
}

static void
test_no_backoff_is_for_good_whatever_is_refused_meanwhile(void **state)
{
	struct attempts *t = attempts_new();
	int64_t now = NOON, longest = 0, since = NOON;
	int i;

	(void)state;
	for (i = 0; i < 3600; i++, now += SECOND) {
		if (try_as(t, "admin", "10.0.0.1", now) != RC_OK)
			continue;
		if (now - since > longest)
			longest = now - since;
		since = now;
		fails(t, "admin", "10.0.0.1", 1, now);
	}
	assert_true(longest > 0 && longest <= 60 * SECOND);
	attempts_free(&t);
}

static void
test_ipv6_is_counted_by_its_network(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	fails(t, "a", "2001:db8:1:2::1", 5, NOON);
	fails(t, "b", "2001:db8:1:2:ffff::9", 5, NOON);
	assert_int_equal(try_as(t, "c", "2001:db8:1:2::77", NOON), RC_LIMIT);
	assert_int_equal(try_as(t, "c", "2001:db8:1:3::77", NOON), RC_OK);
	fails(t, "d", "::ffff:10.1.2.3", 10, NOON);
	assert_int_equal(try_as(t, "c", "10.1.2.3", NOON), RC_LIMIT);
	assert_int_equal(try_as(t, "c", "::ffff:10.1.2.4", NOON), RC_OK);
	attempts_free(&t);
}

static void
test_odd_addresses_are_names_like_others(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	fails(t, "a", "", 10, NOON);
	assert_int_equal(try_as(t, "b", "", NOON), RC_LIMIT);
	assert_int_equal(try_as(t, "b", "unix", NOON), RC_OK);
	attempts_free(&t);
}

static void
test_a_full_table_still_protects(void **state)
{
	struct attempts *t = attempts_new();
	char who[32], from[32];
	int i;

	(void)state;
	fails(t, "admin", "10.0.0.1", 20, NOON);
	for (i = 0; i < 200000; i++) {
		snprintf(who, sizeof(who), "made-up-%d", i);
		snprintf(from, sizeof(from), "11.%d.%d.%d", i >> 16 & 255,
		    i >> 8 & 255, i & 255);
		fails(t, who, from, 1, NOON + i / 1000);
	}
	/* The guilty are still known... */
	assert_int_equal(try_as(t, "admin", "10.0.0.1", NOON + 500), RC_LIMIT);
	/* ...and new ones are noticed. */
	fails(t, "bob", "10.0.0.2", 10, NOON + 500);
	assert_int_equal(try_as(t, "bob", "10.0.0.2", NOON + 500), RC_LIMIT);
	attempts_free(&t);
}

static void
test_a_clock_that_steps_back_locks_nobody_out(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	fails(t, "bob", "10.0.0.1", 30, NOON);
	assert_int_equal(
	    try_as(t, "bob", "10.0.0.1", NOON - 24 * 60 * MINUTE), RC_OK);
	fails(t, "bob", "10.0.0.1", 10, NOON - 24 * 60 * MINUTE);
	assert_int_equal(
	    wait_of(t, "bob", "10.0.0.1", NOON - 24 * 60 * MINUTE), 1);
	attempts_free(&t);
}

/* --- many at once -------------------------------------------------------- */

static int
begin_many(
    struct attempts *t, const char *who, const char *from, int n, int64_t now)
{
	int in = 0;

	while (n-- > 0)
		in += begins(t, who, from, now) == RC_OK;
	return (in);
}

static void
test_no_more_get_in_at_once_than_one_after_the_other(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	assert_int_equal(begin_many(t, "bob", "10.0.0.1", 60, NOON), 10);
	assert_int_equal(try_as(t, "eve", "10.0.0.1", NOON), RC_LIMIT);
	fails(t, "bob", "10.0.0.1", 10, NOON);
	assert_int_equal(wait_of(t, "bob", "10.0.0.1", NOON), 1);
	/* And from then on one in each back-off. */
	assert_int_equal(
	    begin_many(t, "bob", "10.0.0.1", 60, NOON + SECOND), 1);
	fails(t, "bob", "10.0.0.1", 1, NOON + SECOND);
	assert_int_equal(wait_of(t, "bob", "10.0.0.1", NOON + SECOND), 2);
	attempts_free(&t);
}

static void
test_failures_and_what_is_pending_are_one_count(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	fails(t, "bob", "10.0.0.1", 7, NOON);
	assert_int_equal(begin_many(t, "bob", "10.0.0.1", 60, NOON), 3);
	/* Failures of a minute ago are no more. */
	attempts_free(&t);
	t = attempts_new();
	fails(t, "bob", "10.0.0.1", 7, NOON);
	fails(t, "bob", "10.0.0.1", 1, NOON + 30 * SECOND);
	assert_int_equal(
	    begin_many(t, "bob", "10.0.0.1", 60, NOON + MINUTE), 9);
	attempts_free(&t);
}

static void
test_a_failure_that_was_pending_counts_once(void **state)
{
	struct attempts *t = attempts_new();
	int i;

	(void)state;
	for (i = 0; i < 9; i++) {
		assert_int_equal(begins(t, "bob", "10.0.0.1", NOON), RC_OK);
		fails(t, "bob", "10.0.0.1", 1, NOON);
	}
	assert_int_equal(begins(t, "bob", "10.0.0.1", NOON), RC_OK);
	fails(t, "bob", "10.0.0.1", 1, NOON);
	assert_int_equal(wait_of(t, "bob", "10.0.0.1", NOON), 1);
	attempts_free(&t);
}

static void
test_what_came_to_nothing_is_given_back(void **state)
{
	struct attempts *t = attempts_new();
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		assert_int_equal(begins(t, "bob", "10.0.0.1", NOON), RC_OK);
		cancels(t, "bob", "10.0.0.1", NOON);
	}
	assert_int_equal(begin_many(t, "bob", "10.0.0.1", 60, NOON), 10);
	for (i = 0; i < 10; i++)
		cancels(t, "bob", "10.0.0.1", NOON);
	/* More than there were take nothing away. */
	cancels(t, "bob", "10.0.0.1", NOON);
	assert_int_equal(begin_many(t, "bob", "10.0.0.1", 60, NOON), 10);
	attempts_free(&t);
}

static void
test_success_takes_back_its_own_attempt_and_no_other(void **state)
{
	struct attempts *t = attempts_new();
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		assert_int_equal(begins(t, "bob", "10.0.0.1", NOON), RC_OK);
		comes(t, "bob", "10.0.0.1", NOON);
	}
	assert_int_equal(begin_many(t, "eve", "10.0.0.1", 9, NOON), 9);
	assert_int_equal(begins(t, "ada", "10.0.0.1", NOON), RC_OK);
	comes(t, "ada", "10.0.0.1", NOON);
	/* Nine guesses are still out, whoever came in meanwhile. */
	assert_int_equal(begin_many(t, "eve", "10.0.0.1", 9, NOON), 1);
	attempts_free(&t);
}

static void
test_friends_are_not_held_up_by_what_is_pending(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	comes(t, "admin", "10.0.0.1", NOON);
	assert_int_equal(begin_many(t, "eve", "10.0.0.1", 60, NOON), 10);
	assert_int_equal(begin_many(t, "admin", "10.9.9.9", 60, NOON), 10);
	assert_int_equal(begin_many(t, "admin", "10.0.0.1", 60, NOON), 10);
	assert_int_equal(try_as(t, "admin", "10.0.0.1", NOON), RC_LIMIT);
	comes(t, "admin", "10.0.0.1", NOON);
	assert_int_equal(try_as(t, "admin", "10.0.0.1", NOON), RC_OK);
	attempts_free(&t);
}

static void
test_a_friends_logins_do_not_hold_up_the_neighbours(void **state)
{
	struct attempts *t = attempts_new();

	(void)state;
	comes(t, "job", "10.0.0.1", NOON);
	assert_int_equal(begin_many(t, "job", "10.0.0.1", 60, NOON), 10);
	assert_int_equal(try_as(t, "another", "10.0.0.1", NOON), RC_OK);
	assert_int_equal(try_as(t, "job", "10.0.0.2", NOON), RC_OK);
	attempts_free(&t);
}

/* Guesses from many addresses at once do not keep the administrator out who
 * comes from elsewhere, also if they never end. */
static void
test_what_is_pending_locks_nobody_out(void **state)
{
	struct attempts *t = attempts_new();
	char from[32];
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(from, sizeof(from), "10.0.1.%d", i);
		assert_int_equal(begins(t, "admin", from, NOON), RC_OK);
	}
	assert_int_equal(try_as(t, "admin", "10.0.1.3", NOON), RC_LIMIT);
	assert_int_equal(begins(t, "admin", "10.9.9.9", NOON), RC_OK);
	comes(t, "admin", "10.9.9.9", NOON);
	assert_int_equal(try_as(t, "admin", "10.9.9.9", NOON), RC_OK);
	/* What nobody ends is forgotten. */
	assert_int_equal(
	    begins(t, "admin", "10.0.1.3", NOON + ATTEMPTS_PENDING_MS), RC_OK);
	assert_int_equal(
	    begin_many(t, "bob", "10.0.0.1", 60, NOON + MINUTE), 10);
	assert_int_equal(
	    try_as(t, "bob", "10.0.0.1", NOON - 60 * MINUTE), RC_OK);
	attempts_free(&t);
}

static void
test_who_repeats_an_attempt_waits_for_no_other(void **state)
{
	struct attempts *t = attempts_new();
	unsigned wait;

	(void)state;
	assert_int_equal(begin_many(t, "bob", "10.0.0.1", 60, NOON), 10);
	assert_int_equal(try_as(t, "bob", "10.0.0.1", NOON), RC_LIMIT);
	assert_int_equal(
	    attempts_look(t, SPAN("bob"), SPAN("10.0.0.1"), NOON, &wait),
	    RC_OK);
	assert_int_equal(wait, 0);
	/* A look is no attempt; but it sees a back-off. */
	fails(t, "bob", "10.0.0.1", 10, NOON);
	assert_int_equal(
	    attempts_look(t, SPAN("bob"), SPAN("10.0.0.1"), NOON, &wait),
	    RC_LIMIT);
	assert_int_equal(wait, 1);
	assert_int_equal(
	    attempts_look(t, SPAN("bob"), SPAN("10.0.0.2"), NOON, &wait),
	    RC_OK);
	attempts_free(&t);
}

struct guessers {
	struct attempts *t;
	pthread_barrier_t all_in;
	_Atomic int in;
};

static void *
guesser(void *arg)
{
	struct guessers *g = arg;
	bool in = begins(g->t, "bob", "10.0.0.1", NOON) == RC_OK;

	/* As if all were hashing at the same time. */
	(void)pthread_barrier_wait(&g->all_in);
	if (in) {
		g->in++;
		fails(g->t, "bob", "10.0.0.1", 1, NOON);
	}
	return (NULL);
}

static void
test_sixty_threads_that_guess_have_ten_guesses(void **state)
{
	struct guessers g = { .t = attempts_new() };
	pthread_t threads[60];
	size_t i;

	(void)state;
	assert_int_equal(pthread_barrier_init(&g.all_in, NULL, 60), 0);
	for (i = 0; i < 60; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, guesser, &g), 0);
	for (i = 0; i < 60; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(g.in, 10);
	assert_int_equal(wait_of(g.t, "bob", "10.0.0.1", NOON), 1);
	pthread_barrier_destroy(&g.all_in);
	attempts_free(&g.t);
}

static void *
hammer(void *arg)
{
	struct attempts *t = arg;
	int i;

	for (i = 0; i < 2000; i++) {
		(void)try_as(t, "bob", "10.0.0.1", NOON + i);
		fails(t, "bob", "10.0.0.1", 1, NOON + i);
		comes(t, "eve", "10.0.0.2", NOON + i);
	}
	return (NULL);
}

static void
test_threads_share_it(void **state)
{
	struct attempts *t = attempts_new();
	pthread_t threads[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, hammer, t), 0);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(try_as(t, "bob", "10.0.0.1", NOON + 2000), RC_LIMIT);
	attempts_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_nine_failures_are_free_and_the_tenth_costs_a_second),
		cmocka_unit_test(
		    test_failures_spread_over_more_than_a_minute_are_free),
		cmocka_unit_test(
		    test_the_backoff_doubles_up_to_a_minute_and_stays_there),
		cmocka_unit_test(
		    test_a_minute_of_silence_behind_the_backoff_forgets),
		cmocka_unit_test(test_an_address_is_held_up_for_all_principals),
		cmocka_unit_test(
		    test_a_principal_under_fire_is_open_to_clean_addresses_once),
		cmocka_unit_test(test_success_clears_the_count),
		cmocka_unit_test(
		    test_ones_own_password_does_not_wash_off_guesses_at_others),
		cmocka_unit_test(
		    test_neighbours_behind_one_address_do_not_lock_out_who_was_in),
		cmocka_unit_test(
		    test_no_backoff_is_for_good_whatever_is_refused_meanwhile),
		cmocka_unit_test(test_ipv6_is_counted_by_its_network),
		cmocka_unit_test(test_odd_addresses_are_names_like_others),
		cmocka_unit_test(test_a_full_table_still_protects),
		cmocka_unit_test(test_a_clock_that_steps_back_locks_nobody_out),
		cmocka_unit_test(
		    test_no_more_get_in_at_once_than_one_after_the_other),
		cmocka_unit_test(
		    test_failures_and_what_is_pending_are_one_count),
		cmocka_unit_test(test_a_failure_that_was_pending_counts_once),
		cmocka_unit_test(test_what_came_to_nothing_is_given_back),
		cmocka_unit_test(
		    test_success_takes_back_its_own_attempt_and_no_other),
		cmocka_unit_test(
		    test_friends_are_not_held_up_by_what_is_pending),
		cmocka_unit_test(
		    test_a_friends_logins_do_not_hold_up_the_neighbours),
		cmocka_unit_test(test_what_is_pending_locks_nobody_out),
		cmocka_unit_test(
		    test_who_repeats_an_attempt_waits_for_no_other),
		cmocka_unit_test(
		    test_sixty_threads_that_guess_have_ten_guesses),
		cmocka_unit_test(test_threads_share_it),
	};

	return (cmocka_run_group_tests_name("attempts", tests, NULL, NULL));
}
