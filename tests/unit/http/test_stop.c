#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "tests/unit/http/fixture.h"

/* The end of a server. */

static int
setup(void **state)
{
	struct fixture *fx = xcalloc(1, sizeof(*fx));

	fixture_init(fx);
	fixture_start(fx);
	*state = fx;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *fx = *state;

	fixture_fini(fx);
	free(fx);
	return (0);
}

/* In these tests a stop that waits where it need not takes this long. */
#define STOP_MS 90000

struct stopper {
	struct fixture *fx;
	int64_t timeout_ms, took_ms;
	pthread_t thread;
};

static void
stop(void *arg)
{
	struct stopper *s = arg;
	int64_t start = now_ms();

	fixture_stop(s->fx, s->timeout_ms);
	s->took_ms = now_ms() - start;
}

static void
stop_begin(struct stopper *s, struct fixture *fx, int64_t timeout_ms)
{
	*s = (struct stopper){ .fx = fx, .timeout_ms = timeout_ms };
	assert_int_equal(thread_start("stop", stop, s, &s->thread), RC_OK);
}

static void
idle_connections_do_not_hold_it_up(void **state)
{
	struct fixture *fx = *state;
	struct stopper s;
	int fd[3];
	size_t i;
	char *p;

	for (i = 0; i < 3; i++)
		fd[i] = client_connect(fx, 0);
	client_say(fd[1], "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n");
	free(client_answer(fd[1]));
	assert_true(fixture_connections(fx, 3));
	stop_begin(&s, fx, STOP_MS);
	thread_join(s.thread);
	assert_in_range(s.took_ms, 0, FIXTURE_AT_ONCE_MS);
	for (i = 0; i < 3; i++) {
		p = client_read(fd[i], NULL);
		assert_string_equal(p, "");
		free(p);
		close(fd[i]);
	}
}

static void
a_request_that_has_arrived_is_answered(void **state)
{
	struct fixture *fx = *state;
	struct stopper s;
	int fd[16];
	size_t i;
	char *p;

	for (i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = client_connect(fx, 0);
		client_say(fd[i], "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n");
		free(client_answer(fd[i]));
	}
	for (i = 0; i < ARRAY_LEN(fd); i++)
		client_say(fd[i], "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n");
	stop_begin(&s, fx, STOP_MS);
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		p = client_answer(fd[i]);
		assert_non_null(strstr(p, "HTTP/1.1 200 "));
		free(p);
		close(fd[i]);
	}
	thread_join(s.thread);
	assert_in_range(s.took_ms, 0, FIXTURE_AT_ONCE_MS);
}

/* So many that each loop has some of them. */
#define BYSTANDERS 40

/* Idle connections are closed first of all: then the stop has begun. */
static void
wait_for_stop(const int *idle)
{
	size_t i;

	for (i = 0; i < BYSTANDERS; i++) {
		char *p = client_read(idle[i], NULL);

		assert_string_equal(p, "");
		free(p);
		close(idle[i]);
	}
}

static void
requests_in_flight_are_finished(void **state)
{
	struct fixture *fx = *state;
	size_t i, n = 500000;
	char *body = xcalloc(1, n), *p;
	int fd[3], idle[BYSTANDERS];
	struct stopper s;

	fixture_file(fx, 8000000);
	for (i = 0; i < BYSTANDERS; i++)
		idle[i] = client_connect(fx, 0);
	for (i = 0; i < 3; i++)
		fd[i] = client_connect(fx, 0);
	client_say(fd[0], "GET /work?held=1 HTTP/1.1\r\nHost: h\r\n\r\n");
	client_say(fd[1], "PUT /sink HTTP/1.1\r\nHost: h\r\n"
			  "Content-Length: 500000\r\n\r\n");
	client_say(fd[2], "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_true(fixture_settle(&fx->requests, 3));
	assert_true(fixture_connections(fx, BYSTANDERS + 3));
	stop_begin(&s, fx, STOP_MS);
	wait_for_stop(idle);
	atomic_store(&fx->let_go, true);
	client_send(fd[1], body, n);
	p = client_answer(fd[0]);
	assert_non_null(strstr(p, "worked"));
	assert_non_null(strstr(p, "\r\nConnection: close\r\n"));
	free(p);
	p = client_answer(fd[1]);
	assert_non_null(strstr(p, "500000 sha256:"));
	free(p);
	p = client_read(fd[2], &n);
	assert_in_range(n, 8000000, 8001000);
	free(p);
	thread_join(s.thread);
	assert_in_range(s.took_ms, 0, FIXTURE_AT_ONCE_MS);
	assert_int_equal(atomic_load(&fx->dones), 3);
	assert_int_equal(atomic_load(&fx->aborts), 0);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	free(body);
}

static void
what_does_not_end_is_cut_off_and_the_application_hears_of_it(void **state)
{
	static const char *const texts[] = {
		"PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
		"PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
		"GET /bytes?n=10000000 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /file HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /work?held=1 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /half",
	};
	struct fixture *fx = *state;
	int fd[ARRAY_LEN(texts)];
	struct stopper s;
	size_t i;

	fixture_file(fx, 30000000);
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		fd[i] = client_connect(fx, 0);
		client_say(fd[i], texts[i]);
	}
	assert_true(fixture_settle(&fx->requests, ARRAY_LEN(texts) - 1));
	stop_begin(&s, fx, 300);
	/* Only what a worker does is waited for. */
	assert_true(fixture_settle(&fx->aborts, ARRAY_LEN(texts) - 2));
	atomic_store(&fx->let_go, true);
	thread_join(s.thread);
	assert_in_range(s.took_ms, 290, FIXTURE_AT_ONCE_MS);
	assert_int_equal(atomic_load(&fx->dones), ARRAY_LEN(texts) - 1);
	assert_int_equal(atomic_load(&fx->aborts), ARRAY_LEN(texts) - 1);
	assert_int_equal(atomic_load(&fx->sunk), 1);
	for (i = 0; i < ARRAY_LEN(texts); i++)
		close(fd[i]);
}

static void
hammer(void *arg)
{
	struct fixture *fx = arg;
	int i, k, fd;

	for (i = 0; i < 50; i++) {
		fd = client_connect(fx, 0);
		for (k = 0; k < 5; k++) {
			client_say(
			    fd, k % 2 ? "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n"
				      : "PUT /sink HTTP/1.1\r\nHost: h\r\n"
					"Content-Length: 3\r\n\r\nabc");
			free(client_answer(fd));
		}
		close(fd);
	}
}

static void
nothing_is_lost_when_many_come_and_go(void **state)
{
	struct fixture *fx = *state;
	pthread_t t[8];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(
		    thread_start("hammer", hammer, fx, &t[i]), RC_OK);
	for (i = 0; i < ARRAY_LEN(t); i++)
		thread_join(t[i]);
	fixture_stop(fx, 5000);
	assert_int_equal(atomic_load(&fx->requests), 8 * 50 * 5);
	assert_int_equal(atomic_load(&fx->dones), 8 * 50 * 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(idle_connections_do_not_hold_it_up),
		TEST(a_request_that_has_arrived_is_answered),
		TEST(requests_in_flight_are_finished),
		TEST(
		    what_does_not_end_is_cut_off_and_the_application_hears_of_it),
		TEST(nothing_is_lost_when_many_come_and_go),
	};

	return (cmocka_run_group_tests_name("http/stop", tests, NULL, NULL));
}
