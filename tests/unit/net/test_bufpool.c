#include "registryd/net/bufpool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

struct waiter {
	struct bufpool_wait wait;
	unsigned *order;
	unsigned got; /* 1 for the first, and so on */
	struct loop *loop;
	unsigned last;
};

static void
on_buffer(void *arg)
{
	struct waiter *w = arg;

	assert_non_null(w->wait.buffer);
	w->got = ++*w->order;
	if (w->got == w->last)
		loop_quit(w->loop);
}

static void
who_waits_is_served_in_order(void **state)
{
	struct bufpool *bp = bufpool_new(2);
	struct waiter w[3];
	unsigned order = 0, used, waiting;
	struct bufpool_wait unused;
	struct loop *loop;
	void *a, *b;
	size_t i;

	(void)state;
	assert_int_equal(loop_new(&loop), RC_OK);
	a = bufpool_take(bp, &unused);
	b = bufpool_take(bp, &unused);
	assert_non_null(a);
	assert_non_null(b);
	memset(a, 1, BUFPOOL_BUFFER_BYTES);
	memset(b, 2, BUFPOOL_BUFFER_BYTES);
	assert_false(bufpool_contended(bp));
	for (i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = (struct waiter){
			.order = &order, .loop = loop, .last = ARRAY_LEN(w)
		};
		w[i].wait.loop = loop;
		w[i].wait.task =
		    (struct loop_task){ .fn = on_buffer, .arg = &w[i] };
		assert_null(bufpool_take(bp, &w[i].wait));
	}
	assert_true(bufpool_contended(bp));
	bufpool_stats(bp, &used, &waiting);
	assert_int_equal(used, 2);
	assert_int_equal(waiting, 3);
	bufpool_give(bp, a);
	bufpool_give(bp, b);
	assert_true(bufpool_contended(bp));
	bufpool_give(bp, w[0].wait.buffer);
	assert_false(bufpool_contended(bp));
	loop_run(loop);
	for (i = 0; i < ARRAY_LEN(w); i++)
		assert_int_equal(w[i].got, i + 1);
	bufpool_give(bp, w[1].wait.buffer);
	bufpool_give(bp, w[2].wait.buffer);
	bufpool_free(&bp);
	loop_free(&loop);
}

static void
idle_buffers_go_back_to_the_system(void **state)
{
	struct bufpool *bp = bufpool_new(4);
	struct bufpool_wait unused;
	void *a, *b;

	(void)state;
	assert_false(bufpool_trim(bp, 0));
	a = bufpool_take(bp, &unused);
	b = bufpool_take(bp, &unused);
	bufpool_give(bp, a);
	bufpool_give(bp, b);
	assert_true(bufpool_trim(bp, 100000));
	/* The last that was given is taken first: it is warm. */
	assert_ptr_equal(bufpool_take(bp, &unused), b);
	assert_false(bufpool_trim(bp, 0));
	bufpool_give(bp, b);
	bufpool_free(&bp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_is_served_in_order),
		cmocka_unit_test(idle_buffers_go_back_to_the_system),
	};

	return (cmocka_run_group_tests_name("net/bufpool", tests, NULL, NULL));
}
