#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/obj.h"
#include "base/thread.h"
#include "cache_tools.h"
#include "mirror/fill_int.h"

/*
 * A fill and its followers, without an upstream.
 */
#define FOLLOWERS 16
#define PIECES 400
#define PIECE ((uint64_t)10000)

struct woken {
	struct fill_waiter waiter;
	unsigned n;
};

static void
note(void *arg)
{
	((struct woken *)arg)->n++;
}

static bool
waits(struct fill *f, enum fill_wish wish, uint64_t bytes, struct woken *w)
{
	*w = (struct woken){ .waiter = { .wake = note, .arg = w } };
	return (fill_wait(f, wish, bytes, &w->waiter));
}

static bool
flows(struct fill *f, uint64_t size_bytes)
{
	struct blob_file file = { .fd = dup(STDIN_FILENO) };

	if (file.fd < 0)
		file.fd = dup(STDERR_FILENO);
	assert_true(file.fd >= 0);
	return (fill_flow(f, size_bytes, &file));
}

static void
test_last_bytes_are_held_until_whole(void **state)
{
	struct fill *f = fill_new();
	struct fill_look look;

	(void)state;
	assert_int_equal(ct_look(f).state, FILL_ASKED);
	assert_true(flows(f, 100000));
	assert_true(fill_publish(f, FILL_HELD_BYTES));
	assert_int_equal(ct_look(f).available_bytes, 0);
	assert_true(fill_publish(f, FILL_HELD_BYTES + 7));
	assert_int_equal(ct_look(f).available_bytes, 7);
	assert_true(fill_publish(f, 100000));
	assert_int_equal(ct_look(f).available_bytes, 100000 - FILL_HELD_BYTES);
	assert_true(fill_whole(f, 100000));
	look = ct_look(f);
	assert_int_equal(look.state, FILL_WHOLE);
	assert_int_equal(look.available_bytes, 100000);
	assert_int_equal(look.size_bytes, 100000);
	assert_true(fill_done(f));
	fill_unref(&f);
	assert_null(f);
}

static void
test_each_is_woken_when_its_wish_is_true_and_once(void **state)
{
	struct fill *f = fill_new();
	struct woken answer, few, many, end;

	(void)state;
	assert_true(waits(f, FILL_UNTIL_ANSWER, 0, &answer));
	assert_true(waits(f, FILL_UNTIL_BYTES, 5, &few));
	assert_true(waits(f, FILL_UNTIL_BYTES, 5000, &many));
	assert_true(waits(f, FILL_UNTIL_END, 0, &end));
	assert_true(flows(f, UINT64_MAX));
	assert_int_equal(answer.n, 1);
	assert_int_equal(few.n + many.n + end.n, 0);
	assert_true(fill_publish(f, FILL_HELD_BYTES + 5));
	assert_int_equal(few.n, 0);
	assert_true(fill_publish(f, FILL_HELD_BYTES + 6));
	assert_int_equal(few.n, 1);
	assert_int_equal(many.n, 0);
	assert_true(fill_whole(f, FILL_HELD_BYTES + 6));
	assert_int_equal(many.n, 1);
	assert_int_equal(end.n, 0);
	assert_true(fill_done(f));
	assert_int_equal(answer.n, 1);
	assert_int_equal(few.n, 1);
	assert_int_equal(many.n, 1);
	assert_int_equal(end.n, 1);
	fill_unref(&f);
}

static void
test_nobody_waits_for_what_is_so_already(void **state)
{
	struct fill *f = fill_new();
	struct woken w;

	(void)state;
	assert_true(flows(f, 10));
	assert_false(waits(f, FILL_UNTIL_ANSWER, 0, &w));
	assert_true(fill_whole(f, 10));
	assert_false(waits(f, FILL_UNTIL_BYTES, 10, &w));
	assert_true(fill_done(f));
	assert_false(waits(f, FILL_UNTIL_END, 0, &w));
	assert_int_equal(w.n, 0);
	fill_unref(&f);
}

static void
test_failure_wakes_all_and_is_the_end(void **state)
{
	const struct upstream_error error = { .status = 404, .why = "gone" };
	struct fill *f = fill_new();
	struct woken a, b;
	struct fill_look look;

	(void)state;
	assert_true(waits(f, FILL_UNTIL_BYTES, 1 << 30, &a));
	assert_true(waits(f, FILL_UNTIL_END, 0, &b));
	assert_true(fill_fail(f, RC_NOTFOUND, &error));
	assert_int_equal(a.n, 1);
	assert_int_equal(b.n, 1);
	assert_false(flows(f, 10));
	assert_false(fill_publish(f, 10));
	assert_false(fill_whole(f, 10));
	assert_false(fill_done(f));
	assert_false(fill_fail(f, RC_IO, NULL));
	look = ct_look(f);
	assert_int_equal(look.state, FILL_FAILED);
	assert_int_equal(look.rc, RC_NOTFOUND);
	assert_int_equal(look.error.status, 404);
	assert_string_equal(look.error.why, "gone");
	fill_unref(&f);
}

static void
test_descriptor_is_one_of_ones_own(void **state)
{
	struct fill *f = fill_new();
	char path[] = "/tmp/registryd-fill-XXXXXX", byte;
	int fd = mkstemp(path);
	struct blob_file file = { .fd = fd }, mine;
	size_t n;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(pwrite(fd, "abc", 3, 0), 3);
	assert_int_equal(fill_reader(f, &mine), RC_NOTFOUND);
	file.size_bytes = 3;
	assert_true(fill_flow(f, 3, &file));
	assert_int_equal(fill_reader(f, &mine), RC_OK);
	assert_true(mine.fd >= 0 && mine.fd != fd);
	fill_unref(&f);
	assert_int_equal(blob_file_read(&mine, 1, &byte, 1, true, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(byte, 'b');
	blob_file_close(&mine);
}

/* --- many threads -------------------------------------------------------- */

struct follower {
	struct fill *fill;
	struct ct_bell bell;
	unsigned rung;
	uint64_t seen;
	enum fill_state end;
};

/* As a connection would: what there is, and then wait for more. */
static void
follow(void *arg)
{
	struct follower *fo = arg;
	struct fill_waiter w = { .wake = ct_ring, .arg = &fo->bell };
	struct fill_look look;

	for (;;) {
		fill_look(fo->fill, &look);
		must(look.available_bytes >= fo->seen);
		fo->seen = look.available_bytes;
		if (look.state >= FILL_WHOLE)
			break;
		if (fill_wait(fo->fill, FILL_UNTIL_BYTES, fo->seen, &w))
			ct_await(&fo->bell, ++fo->rung);
	}
	if (fill_wait(fo->fill, FILL_UNTIL_END, 0, &w))
		ct_await(&fo->bell, ++fo->rung);
	fo->end = ct_look(fo->fill).state;
	fill_unref(&fo->fill);
}

static void
followers_run(bool fails)
{
	struct fill *f = fill_new();
	struct follower fo[FOLLOWERS];
	pthread_t threads[FOLLOWERS];
	uint64_t i;

	for (i = 0; i < FOLLOWERS; i++) {
		fo[i] = (struct follower){ .fill = fill_ref(f) };
		ct_bell_init(&fo[i].bell);
		assert_int_equal(
		    thread_start("follower", follow, &fo[i], &threads[i]),
		    RC_OK);
	}
	assert_true(flows(f, PIECES * PIECE));
	for (i = 1; i <= PIECES; i++)
		assert_true(fill_publish(f, i * PIECE));
	if (fails) {
		assert_true(fill_fail(f, RC_DIGEST, NULL));
	} else {
		assert_true(fill_whole(f, PIECES * PIECE));
		assert_true(fill_done(f));
	}
	fill_unref(&f);
	for (i = 0; i < FOLLOWERS; i++) {
		thread_join(threads[i]);
		assert_int_equal(fo[i].end, fails ? FILL_FAILED : FILL_DONE);
		assert_int_equal(
		    fo[i].seen, PIECES * PIECE - (fails ? FILL_HELD_BYTES : 0));
	}
}

static void
test_many_followers_see_all_of_it(void **state)
{
	(void)state;
	followers_run(false);
}

static void
test_many_followers_never_see_the_end_of_what_failed(void **state)
{
	(void)state;
	followers_run(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_bytes_are_held_until_whole),
		cmocka_unit_test(
		    test_each_is_woken_when_its_wish_is_true_and_once),
		cmocka_unit_test(test_nobody_waits_for_what_is_so_already),
		cmocka_unit_test(test_failure_wakes_all_and_is_the_end),
		cmocka_unit_test(test_descriptor_is_one_of_ones_own),
		cmocka_unit_test(test_many_followers_see_all_of_it),
		cmocka_unit_test(
		    test_many_followers_never_see_the_end_of_what_failed),
	};

	return (cmocka_run_group_tests_name("fill", tests, NULL, NULL));
}
