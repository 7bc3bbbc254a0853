#include "registryd/net/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

static void
sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

static bool
is_patient(int64_t start_ns)
{
	return (clock_mono_ns() - start_ns < INT64_C(60000000000));
}

static unsigned
threads_now(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;
	struct dirent *e;

	must(d != NULL);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return (n);
}

/* A thread is there for a moment after it has been joined. */
static bool
threads_settle(unsigned n)
{
	int64_t start = clock_mono_ns();

	while (threads_now() != n && is_patient(start))
		sleep_ms(1);
	return (threads_now() == n);
}

/* Each stays until the gate is opened. */
struct counted {
	struct job job;
	atomic_uint *n, *at_once, *most;
	atomic_bool *open;
};

static bool
counter_settles(atomic_uint *counter, unsigned n)
{
	int64_t start = clock_mono_ns();

	while (atomic_load(counter) != n && is_patient(start))
		sleep_ms(1);
	return (atomic_load(counter) == n);
}

static void
count(void *arg)
{
	struct counted *c = arg;
	unsigned now = atomic_fetch_add(c->at_once, 1) + 1;
	unsigned most = atomic_load(c->most);
	int64_t start = clock_mono_ns();

	while (now > most && !atomic_compare_exchange_weak(c->most, &most, now))
		;
	while (!atomic_load(c->open) && is_patient(start))
		sleep_ms(1);
	atomic_fetch_sub(c->at_once, 1);
	atomic_fetch_add(c->n, 1);
}

/* What threads there are without ours: a sanitizer's, that it starts with the
 * first of the process. */
static unsigned others;

static void
stay(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		sleep_ms(1);
}

static int
count_others(void **state)
{
	atomic_bool go = false;
	pthread_t thread;

	(void)state;
	if (thread_start("first", stay, &go, &thread) != RC_OK)
		return (-1);
	others = threads_now() - 1;
	atomic_store(&go, true);
	thread_join(thread);
	return (0);
}

static struct workers *
pool(unsigned max, int64_t idle_ms)
{
	struct workers_config config = {
		.name = "w", .max = max, .background = true, .idle_ms = idle_ms
	};
	struct workers *w;

	assert_int_equal(workers_new(&config, &w), RC_OK);
	return (w);
}

static void
jobs_run_at_once_up_to_the_limit_and_each_once(void **state)
{
	atomic_uint n = 0, at_once = 0, most = 0;
	atomic_bool open = false;
	struct counted c[40];
	struct workers *w = pool(4, 1000);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(c); i++) {
		c[i] = (struct counted){ { .fn = count, .arg = &c[i] }, &n,
			&at_once, &most, &open };
		workers_submit(w, &c[i].job);
	}
	assert_true(counter_settles(&at_once, 4));
	assert_int_equal(workers_queued(w), ARRAY_LEN(c) - 4);
	sleep_ms(20); /* for a fifth that must not come */
	atomic_store(&open, true);
	workers_free(&w); /* runs them all */
	assert_null(w);
	assert_int_equal(n, ARRAY_LEN(c));
	assert_int_equal(most, 4);
}

static void
threads_come_with_work_and_go_when_there_is_none(void **state)
{
	atomic_uint n = 0, at_once = 0, most = 0;
	atomic_bool open = false;
	unsigned before = others;
	struct counted c[8];
	struct workers *w;
	size_t i;

	(void)state;
	assert_true(threads_settle(before));
	w = pool(8, 50);
	assert_int_equal(threads_now(), before + 1);
	for (i = 0; i < ARRAY_LEN(c); i++) {
		c[i] = (struct counted){ { .fn = count, .arg = &c[i] }, &n,
			&at_once, &most, &open };
		workers_submit(w, &c[i].job);
	}
	assert_true(counter_settles(&at_once, 8));
	assert_true(threads_settle(before + 8));
	atomic_store(&open, true);
	assert_true(counter_settles(&n, 8));
	assert_true(threads_settle(before + 1));
	sleep_ms(100); /* the last one stays */
	assert_int_equal(threads_now(), before + 1);
	workers_free(&w);
	assert_true(threads_settle(before));
}

struct laned {
	struct job job;
	struct lane *lane;
	unsigned i;
	unsigned *next; /* only touched by jobs of the lane */
	atomic_bool *busy;
	atomic_uint *afters, *wrong;
	bool last;
};

static void
laned_work(void *arg)
{
	struct laned *l = arg;

	if (atomic_exchange(l->busy, true))
		atomic_fetch_add(l->wrong, 1);
	if (*l->next != l->i)
		atomic_fetch_add(l->wrong, 1);
	(*l->next)++;
	atomic_store(l->busy, false);
}

static void
laned_after(void *arg)
{
	struct laned *l = arg;

	/* Nobody but us knows of the lane any more. */
	if (l->last)
		free(l->lane);
	atomic_fetch_add(l->afters, 1);
}

#define LANES 5
#define JOBS 400

static void
a_lane_runs_its_jobs_in_order_and_may_go_with_the_last(void **state)
{
	static struct laned jobs[LANES][JOBS];
	struct workers *w = pool(4, 1000);
	atomic_uint afters = 0, wrong = 0;
	unsigned next[LANES] = { 0 };
	atomic_bool busy[LANES];
	struct lane *lanes[LANES];
	size_t i, k;

	(void)state;
	for (i = 0; i < LANES; i++) {
		lanes[i] = xmalloc(sizeof(struct lane));
		lane_init(lanes[i], w);
		atomic_init(&busy[i], false);
	}
	for (k = 0; k < JOBS; k++) {
		for (i = 0; i < LANES; i++) {
			jobs[i][k] = (struct laned){ { .fn = laned_work,
							 .after = laned_after,
							 .arg = &jobs[i][k] },
				lanes[i], (unsigned)k, &next[i], &busy[i],
				&afters, &wrong, k == JOBS - 1 };
			lane_submit(lanes[i], &jobs[i][k].job);
		}
	}
	workers_free(&w);
	assert_int_equal(afters, LANES * JOBS);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    jobs_run_at_once_up_to_the_limit_and_each_once),
		cmocka_unit_test(
		    threads_come_with_work_and_go_when_there_is_none),
		cmocka_unit_test(
		    a_lane_runs_its_jobs_in_order_and_may_go_with_the_last),
	};

	return (cmocka_run_group_tests_name(
	    "net/workers", tests, count_others, NULL));
}
