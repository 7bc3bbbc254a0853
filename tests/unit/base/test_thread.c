#include "base/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"
#include "tests/unit/base/dies.h"

struct seen {
	char name[32];
	sigset_t blocked;
	size_t stack_bytes;
};

static void
look(void *arg)
{
	struct seen *seen = arg;
	pthread_attr_t attr;

	pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
	pthread_sigmask(SIG_BLOCK, NULL, &seen->blocked);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &seen->stack_bytes);
	pthread_attr_destroy(&attr);
}

static void
a_thread_has_a_name_and_takes_no_signals(void **state)
{
	static const int blocked[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE,
		SIGCHLD, SIGUSR1, SIGALRM };
	static const int open[] = { SIGSEGV, SIGBUS, SIGFPE, SIGABRT };
	struct seen seen;
	pthread_t t;
	sigset_t own;
	size_t i;

	(void)state;
	assert_int_equal(
	    thread_start("a-name-longer-than-fits", look, &seen, &t), RC_OK);
	thread_join(t);
	assert_string_equal(seen.name, "a-name-longer-t");
	for (i = 0; i < ARRAY_LEN(blocked); i++)
		assert_true(sigismember(&seen.blocked, blocked[i]));
	for (i = 0; i < ARRAY_LEN(open); i++)
		assert_false(sigismember(&seen.blocked, open[i]));
	assert_true(seen.stack_bytes >= THREAD_STACK_BYTES);
	assert_true(seen.stack_bytes <= 9 * THREAD_STACK_BYTES);
	/* The caller's own are as they were. */
	pthread_sigmask(SIG_BLOCK, NULL, &own);
	assert_false(sigismember(&own, SIGTERM));
}

struct ball {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int turns;
};

static void
play(void *arg)
{
	struct ball *b = arg;

	mutex_lock(&b->mutex);
	while (b->turns < 1000) {
		while (b->turns % 2 == 0)
			cond_wait(&b->cond, &b->mutex);
		b->turns++;
		pthread_cond_signal(&b->cond);
	}
	mutex_unlock(&b->mutex);
}

static void
threads_take_turns(void **state)
{
	struct ball b = { .turns = 0 };
	pthread_t t;

	(void)state;
	mutex_init(&b.mutex);
	cond_init(&b.cond);
	assert_int_equal(thread_start("ball", play, &b, &t), RC_OK);
	mutex_lock(&b.mutex);
	while (b.turns < 1000) {
		b.turns++;
		pthread_cond_signal(&b.cond);
		while (b.turns % 2 == 1)
			assert_true(cond_wait_ms(&b.cond, &b.mutex, 60000));
	}
	mutex_unlock(&b.mutex);
	thread_join(t);
	assert_int_equal(b.turns, 1000);
	pthread_cond_destroy(&b.cond);
	pthread_mutex_destroy(&b.mutex);
}

static void
a_wait_without_a_signal_ends_in_time(void **state)
{
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int64_t start, took_ms;

	(void)state;
	mutex_init(&mutex);
	cond_init(&cond);
	mutex_lock(&mutex);
	start = clock_mono_ns();
	while (cond_wait_ms(&cond, &mutex, 30))
		continue;
	took_ms = (clock_mono_ns() - start) / 1000000;
	assert_true(took_ms >= 29 && took_ms < 10000);
	assert_false(cond_wait_ms(&cond, &mutex, -5));
	assert_false(cond_wait_ms(&cond, &mutex, 0));
	mutex_unlock(&mutex);
	pthread_cond_destroy(&cond);
	pthread_mutex_destroy(&mutex);
}

static void
lock_twice(void)
{
	pthread_mutex_t mutex;

	mutex_init(&mutex);
	mutex_lock(&mutex);
	mutex_lock(&mutex);
}

static void
unlock_unlocked(void)
{
	pthread_mutex_t mutex;

	mutex_init(&mutex);
	mutex_unlock(&mutex);
}

static void
misuse_of_a_mutex_aborts(void **state)
{
	(void)state;
	assert_true(dies(lock_twice));
	assert_true(dies(unlock_unlocked));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_has_a_name_and_takes_no_signals),
		cmocka_unit_test(threads_take_turns),
		cmocka_unit_test(a_wait_without_a_signal_ends_in_time),
		cmocka_unit_test(misuse_of_a_mutex_aborts),
	};

	return (cmocka_run_group_tests_name("base/thread", tests, NULL, NULL));
}
