#include "registryd/net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/net/io.h"

struct ring {
	struct loop *loop;
	pthread_t thread;
};

static void
ring_main(void *arg)
{
	struct ring *r = arg;

	loop_run(r->loop);
}

static void
ring_start(struct ring *r)
{
	assert_int_equal(loop_new(&r->loop), RC_OK);
	assert_int_equal(thread_start("loop", ring_main, r, &r->thread), RC_OK);
}

static void
quit(void *arg)
{
	loop_quit(arg);
}

static void
ring_stop(struct ring *r)
{
	struct loop_task t = { .fn = quit, .arg = r->loop };

	loop_post(r->loop, &t);
	thread_join(r->thread);
	loop_free(&r->loop);
	assert_null(r->loop);
}

struct poster {
	struct ring *ring;
	pthread_t thread;
	unsigned seen, wrong; /* loop thread */
	struct numbered {
		struct loop_task task;
		struct poster *poster;
		unsigned i;
	} tasks[5000];
};

static void
on_task(void *arg)
{
	struct numbered *n = arg;

	n->poster->wrong += n->i != n->poster->seen++;
}

static void
post_all(void *arg)
{
	struct poster *p = arg;
	unsigned i;

	for (i = 0; i < ARRAY_LEN(p->tasks); i++) {
		p->tasks[i] =
		    (struct numbered){ { .fn = on_task, .arg = &p->tasks[i] },
			    p, i };
		loop_post(p->ring->loop, &p->tasks[i].task);
	}
}

static void
what_is_posted_runs_once_and_in_order(void **state)
{
	static struct poster p[3];
	struct ring r;
	size_t i;

	(void)state;
	ring_start(&r);
	for (i = 0; i < ARRAY_LEN(p); i++) {
		p[i].ring = &r;
		assert_int_equal(
		    thread_start("post", post_all, &p[i], &p[i].thread), RC_OK);
	}
	for (i = 0; i < ARRAY_LEN(p); i++)
		thread_join(p[i].thread);
	ring_stop(&r);
	for (i = 0; i < ARRAY_LEN(p); i++) {
		assert_int_equal(p[i].seen, ARRAY_LEN(p[i].tasks));
		assert_int_equal(p[i].wrong, 0);
	}
}

static void
pause_briefly(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	(void)nanosleep(&ts, NULL);
}

static bool
is_patient(int64_t start_ns)
{
	return (clock_mono_ns() - start_ns < INT64_C(60000000000));
}

/* A task that defers itself for ever, and one that is posted meanwhile. */
struct greedy {
	struct ring *ring;
	struct loop_task again, end;
	atomic_uint turns;
	bool over;
};

static void
on_again(void *arg)
{
	struct greedy *g = arg;

	atomic_fetch_add(&g->turns, 1);
	if (!g->over)
		loop_defer(g->ring->loop, &g->again);
}

static void
on_end(void *arg)
{
	struct greedy *g = arg;

	g->over = true;
}

static void
what_defers_itself_does_not_keep_others_out(void **state)
{
	struct ring r;
	struct greedy g = { .ring = &r };
	int64_t start = clock_mono_ns();

	(void)state;
	g.again = (struct loop_task){ .fn = on_again, .arg = &g };
	g.end = (struct loop_task){ .fn = on_end, .arg = &g };
	ring_start(&r);
	loop_post(r.loop, &g.again);
	/* However late a busy machine lets the loop's thread begin. */
	while (atomic_load(&g.turns) <= 10 && is_patient(start))
		pause_briefly();
	assert_true(atomic_load(&g.turns) > 10);
	loop_post(r.loop, &g.end);
	ring_stop(&r);
	assert_true(g.over);
}

struct watcher {
	struct io *io;
	atomic_uint calls, ready;
	struct ring *ring;
	int fd;
};

static void
on_ready(void *arg, unsigned ready)
{
	struct watcher *w = arg;

	atomic_fetch_or(&w->ready, ready);
	atomic_fetch_add(&w->calls, 1);
}

static void
start_watching(void *arg)
{
	struct watcher *w = arg;

	assert_int_equal(io_watch(w->io, w->fd, IO_READ), RC_OK);
}

static void
stop_watching(void *arg)
{
	struct watcher *w = arg;

	io_free(&w->io);
}

static void
turn(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

/* It is told ${n} times, and no more when the loop looks again and again. */
static void
assert_told(struct watcher *w, unsigned n)
{
	int64_t start = clock_mono_ns();
	struct loop_task task;
	atomic_uint turns;
	unsigned i;

	while (atomic_load(&w->calls) < n && is_patient(start))
		pause_briefly();
	atomic_init(&turns, 0);
	for (i = 1; i <= 5; i++) {
		task = (struct loop_task){ .fn = turn, .arg = &turns };
		loop_post(w->ring->loop, &task);
		while (atomic_load(&turns) < i)
			pause_briefly();
	}
	assert_int_equal(atomic_load(&w->calls), n);
}

static void
readiness_is_told_once_for_each_edge(void **state)
{
	struct ring r;
	struct watcher w = { .ring = &r };
	struct loop_task start = { .fn = start_watching, .arg = &w };
	struct loop_task stop = { .fn = stop_watching, .arg = &w };
	unsigned i;
	int sv[2];

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	ring_start(&r);
	w.io = io_new(r.loop, on_ready, &w);
	w.fd = sv[0];
	loop_post(r.loop, &start);
	for (i = 0; i < 3; i++) {
		assert_told(&w, i);
		assert_int_equal(write(sv[1], "x", 1), 1);
	}
	assert_told(&w, 3);
	close(sv[1]);
	assert_told(&w, 4);
	loop_post(r.loop, &stop);
	ring_stop(&r);
	assert_int_equal(atomic_load(&w.calls), 4);
	assert_int_equal(atomic_load(&w.ready), IO_READ | IO_HANGUP);
	close(sv[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_posted_runs_once_and_in_order),
		cmocka_unit_test(what_defers_itself_does_not_keep_others_out),
		cmocka_unit_test(readiness_is_told_once_for_each_edge),
	};

	return (cmocka_run_group_tests_name("net/loop", tests, NULL, NULL));
}
