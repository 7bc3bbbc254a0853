#include "registryd/net/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"

/* All on one thread: the loop runs until the last deadline has expired. */

enum { SHORT, LONG, NEVER };

/* Late, as a busy machine makes it, but not for want of a timer. */
#define SOON_MS 30000

struct item {
	struct deadline deadline;
	int64_t expired_ms;
	unsigned order;
};

struct run {
	struct loop *loop;
	struct deadlines *ds;
	struct item items[6];
	unsigned n, last;
	int64_t start_ms;
	struct item *again; /* set anew when it expires, once */
};

static int64_t
now_ms(void)
{
	return (clock_mono_ns() / 1000000);
}

static void
on_expire(struct deadline *d, void *arg)
{
	struct run *r = arg;
	struct item *item = (struct item *)(void *)d;

	assert_false(deadline_is_set(d, d->kind));
	item->expired_ms = now_ms() - r->start_ms;
	item->order = ++r->n;
	if (item == r->again) {
		r->again = NULL;
		deadline_set(r->ds, d, SHORT);
	} else if (r->n == r->last) {
		loop_quit(r->loop);
	}
}

static void
run_init(struct run *r, unsigned last)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(loop_new(&r->loop), RC_OK);
	r->ds = deadlines_new(r->loop);
	deadlines_kind(r->ds, SHORT, 50, on_expire, r);
	deadlines_kind(r->ds, LONG, 150, on_expire, r);
	deadlines_kind(r->ds, NEVER, 0, on_expire, r);
	r->last = last;
	r->start_ms = now_ms();
}

static void
run_fini(struct run *r)
{
	deadlines_free(&r->ds);
	loop_free(&r->loop);
}

static void
each_expires_after_its_time_in_order(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, 4);
	deadline_set(r.ds, &r.items[0].deadline, LONG);
	deadline_set(r.ds, &r.items[1].deadline, SHORT);
	deadline_set(r.ds, &r.items[2].deadline, SHORT);
	deadline_set(r.ds, &r.items[3].deadline, LONG);
	deadline_set(r.ds, &r.items[4].deadline, NEVER);
	loop_run(r.loop);
	assert_int_equal(r.items[1].order, 1);
	assert_int_equal(r.items[2].order, 2);
	assert_int_equal(r.items[0].order, 3);
	assert_int_equal(r.items[3].order, 4);
	assert_in_range(r.items[1].expired_ms, 50, SOON_MS);
	assert_in_range(r.items[0].expired_ms, 150, SOON_MS);
	assert_true(deadlines_any(r.ds, NEVER));
	deadline_clear(&r.items[4].deadline);
	assert_false(deadlines_any(r.ds, NEVER));
	run_fini(&r);
}

static void
moved_and_cleared_ones_do_not_expire_where_they_were(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, 2);
	deadline_set(r.ds, &r.items[0].deadline, SHORT);
	deadline_set(r.ds, &r.items[1].deadline, SHORT);
	deadline_set(r.ds, &r.items[2].deadline, SHORT);
	deadline_set(r.ds, &r.items[0].deadline, LONG);
	deadline_clear(&r.items[1].deadline);
	deadline_clear(&r.items[1].deadline);
	loop_run(r.loop);
	assert_int_equal(r.items[1].order, 0);
	assert_int_equal(r.items[2].order, 1);
	assert_int_equal(r.items[0].order, 2);
	assert_in_range(r.items[0].expired_ms, 150, SOON_MS);
	run_fini(&r);
}

static void
a_callback_may_set_it_anew(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, 2);
	/* A longer one that waits does not hold it up. */
	deadlines_kind(r.ds, LONG, 2 * SOON_MS, on_expire, &r);
	deadline_set(r.ds, &r.items[1].deadline, LONG);
	r.again = &r.items[0];
	deadline_set(r.ds, &r.items[0].deadline, SHORT);
	loop_run(r.loop);
	assert_in_range(r.items[0].expired_ms, 100, SOON_MS);
	deadline_clear(&r.items[1].deadline);
	run_fini(&r);
}

static void
a_new_length_holds_for_those_that_wait(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, 1);
	deadlines_kind(r.ds, LONG, 2 * SOON_MS, on_expire, &r);
	deadline_set(r.ds, &r.items[0].deadline, LONG);
	deadlines_kind(r.ds, LONG, 60, on_expire, &r);
	loop_run(r.loop);
	assert_in_range(r.items[0].expired_ms, 60, SOON_MS);
	run_fini(&r);
}

static void
all_of_a_kind_can_be_expired_early(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, 100);
	r.again = &r.items[0];
	deadline_set(r.ds, &r.items[0].deadline, LONG);
	deadline_set(r.ds, &r.items[1].deadline, LONG);
	deadline_set(r.ds, &r.items[2].deadline, NEVER);
	deadlines_expire(r.ds, LONG);
	assert_int_equal(r.n, 2);
	assert_false(deadlines_any(r.ds, LONG));
	deadlines_expire(r.ds, LONG);
	deadlines_expire(r.ds, NEVER);
	assert_int_equal(r.n, 3);
	deadline_clear(&r.items[0].deadline);
	run_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_expires_after_its_time_in_order),
		cmocka_unit_test(
		    moved_and_cleared_ones_do_not_expire_where_they_were),
		cmocka_unit_test(a_callback_may_set_it_anew),
		cmocka_unit_test(a_new_length_holds_for_those_that_wait),
		cmocka_unit_test(all_of_a_kind_can_be_expired_early),
	};

	return (cmocka_run_group_tests_name("net/deadline", tests, NULL, NULL));
}
