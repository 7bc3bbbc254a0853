#include <poll.h>
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

#include "base/digest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "tests/unit/http/fixture.h"

/* Bodies of requests on their way to the application. */

static int
setup_limited(void **state, int64_t body_ms)
{
	struct fixture *fx = xcalloc(1, sizeof(*fx));

	fixture_init(fx);
	if (body_ms > 0)
		fx->config.limits.body_ms = body_ms;
	fixture_start(fx);
	*state = fx;
	return (0);
}

static int
setup(void **state)
{
	return (setup_limited(state, 0));
}

static int
setup_brief(void **state)
{
	return (setup_limited(state, 400));
}

/* Far more than a client here pauses, unless it does so on purpose. */
#define PACED_MS 3000

static int
setup_paced(void **state)
{
	return (setup_limited(state, PACED_MS));
}

static int
teardown(void **state)
{
	struct fixture *fx = *state;
	struct http_server_stats st;

	assert_true(fixture_settle(&fx->dones,
	    atomic_load(&fx->requests) + atomic_load(&fx->refusals)));
	http_server_stats(fx->server, &st);
	assert_int_equal(st.buffers_used, 0);
	assert_int_equal(st.buffers_waiting, 0);
	assert_int_equal(st.uploads_streaming, 0);
	fixture_fini(fx);
	free(fx);
	return (0);
}

static unsigned char *
make_body(size_t n)
{
	unsigned char *p = xmalloc(n + 1);
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 13 + i / 300);
	return (p);
}

static void
say_head(int fd, const char *path, long length)
{
	char text[200];

	snprintf(text, sizeof(text), "PUT %s HTTP/1.1\r\nHost: h\r\n", path);
	client_say(fd, text);
	if (length < 0)
		snprintf(text, sizeof(text), "Transfer-Encoding: chunked\r\n");
	else
		snprintf(text, sizeof(text), "Content-Length: %ld\r\n", length);
	client_say(fd, text);
	client_say(fd, "\r\n");
}

static void
send_chunked(int fd, const unsigned char *p, size_t n, size_t chunk)
{
	char line[32];
	size_t i, len;

	for (i = 0; i < n; i += len) {
		len = n - i < chunk ? n - i : chunk;
		snprintf(line, sizeof(line),
		    len < 100 ? "%zx\r\n" : "%zx;a=b\r\n", len);
		client_say(fd, line);
		client_send(fd, p + i, len);
		client_say(fd, "\r\n");
	}
	client_say(fd, "0\r\nTrailer: x\r\n\r\n");
}

/* The body of the next answer, which must have ${status}. */
static char *
answered(int fd, int status)
{
	char *p = client_answer(fd), *body = strstr(p, "\r\n\r\n") + 4,
	     want[20];

	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	if (strncmp(p, want, strlen(want)) != 0)
		fail_msg("not %d: %s", status, p);
	memmove(p, body, strlen(body) + 1);
	return (p);
}

static void
expect_answer(int fd, int status, const char *text)
{
	char *p = answered(fd, status);

	assert_string_equal(p, text);
	free(p);
}

static void
expect_sunk(int fd, const unsigned char *p, size_t n)
{
	char text[200], name[DIGEST_STR_BYTES];
	struct digest d;

	digest_of(DIGEST_SHA256, p, n, &d);
	snprintf(text, sizeof(text), "%zu %s", n, digest_str(&d, name));
	expect_answer(fd, 200, text);
}

static const size_t sizes[] = { 0, 1, 100, 16000, 16384, 40000, 262143, 262144,
	262145, 524288, 1000000, 5000000 };

static void
bodies_with_a_length_reach_the_sink_whole(void **state)
{
	int fd = client_connect(*state, 0);
	unsigned char *p;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		p = make_body(sizes[i]);
		say_head(fd, "/sink", (long)sizes[i]);
		client_send(fd, p, sizes[i]);
		expect_sunk(fd, p, sizes[i]);
		free(p);
	}
	close(fd);
}

static void
chunked_bodies_reach_the_sink_whole(void **state)
{
	static const size_t chunks[] = { 7, 4096, 65537, 1000000 };
	int fd = client_connect(*state, 0);
	unsigned char *p;
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		p = make_body(sizes[i]);
		for (k = 0; k < ARRAY_LEN(chunks); k++) {
			if (sizes[i] / chunks[k] > 20000)
				continue;
			say_head(fd, "/sink", -1);
			send_chunked(fd, p, sizes[i], chunks[k]);
			expect_sunk(fd, p, sizes[i]);
		}
		free(p);
	}
	close(fd);
}

static void
bodies_are_collected_whole(void **state)
{
	static const size_t lengths[] = { 0, 1, 16384, 70000, 1 << 20 };
	int fd = client_connect(*state, 0);
	unsigned char *p;
	char *got;
	size_t i;
	int chunked;

	for (i = 0; i < ARRAY_LEN(lengths) * 2; i++) {
		size_t n = lengths[i / 2];

		chunked = i % 2;
		p = make_body(n);
		memset(p, 'e', n);
		p[n] = '\0';
		say_head(fd, "/echo", chunked ? -1 : (long)n);
		if (chunked)
			send_chunked(fd, p, n, 10000);
		else
			client_send(fd, p, n);
		got = answered(fd, 200);
		assert_string_equal(got, (char *)p);
		free(got);
		free(p);
	}
	close(fd);
}

static void
what_is_larger_than_allowed_is_refused(void **state)
{
	struct fixture *fx = *state;
	unsigned char *p = make_body(1 << 21);
	int fd;

	fd = client_connect(fx, 0);
	say_head(fd, "/echo", (1 << 20) + 1);
	expect_answer(fd, 400, "TOOBIG");
	close(fd);
	fd = client_connect(fx, 0);
	say_head(fd, "/echo", -1);
	send_chunked(fd, p, (1 << 20) + 1, 100000);
	expect_answer(fd, 400, "TOOBIG");
	close(fd);
	fd = client_connect(fx, 0);
	say_head(fd, "/sink?max=1000", 1001);
	expect_answer(fd, 400, "TOOBIG");
	close(fd);
	assert_int_equal(atomic_load(&fx->sunk), 0);
	fd = client_connect(fx, 0);
	say_head(fd, "/sink?max=1000000", -1);
	send_chunked(fd, p, 1000001, 300000);
	expect_answer(fd, 400, "TOOBIG");
	close(fd);
	assert_in_range(atomic_load(&fx->sunk), 1, 1000000);
	fd = client_connect(fx, 0);
	say_head(fd, "/sink?max=1000000", -1);
	send_chunked(fd, p, 1000000, 300000);
	expect_sunk(fd, p, 1000000);
	close(fd);
	free(p);
}

static void
bad_chunks_end_the_body(void **state)
{
	static const char *const paths[] = { "/echo", "/sink" };
	struct fixture *fx = *state;
	size_t i;
	char *p;
	int fd;

	for (i = 0; i < ARRAY_LEN(paths); i++) {
		fd = client_connect(fx, 0);
		say_head(fd, paths[i], -1);
		client_say(fd, "3\r\nabc\r\n3\nabc\r\n0\r\n\r\n"
			       "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n");
		p = client_read(fd, NULL);
		assert_non_null(strstr(p, "HTTP/1.1 400 "));
		assert_non_null(strstr(p, "INVALID"));
		assert_null(strstr(p, "HTTP/1.1 200 "));
		free(p);
		close(fd);
	}
}

static void
a_client_that_goes_away_cancels_and_what_came_is_written(void **state)
{
	struct fixture *fx = *state;
	unsigned char *p = make_body(700000);
	int fd;

	fd = client_connect(fx, 0);
	say_head(fd, "/sink", 1000000);
	client_send(fd, p, 700000);
	close(fd);
	assert_true(fixture_settle(&fx->dones, 1));
	assert_int_equal(atomic_load(&fx->body_rc), RC_CANCELLED);
	assert_int_equal(atomic_load(&fx->sunk), 700000);
	assert_int_equal(atomic_load(&fx->aborts), 1);
	fd = client_connect(fx, 0);
	say_head(fd, "/echo", 1000000);
	client_send(fd, p, 700000);
	close(fd);
	assert_true(fixture_settle(&fx->dones, 2));
	assert_int_equal(atomic_load(&fx->body_rc), RC_CANCELLED);
	free(p);
}

static void
a_client_that_stops_sending_times_out(void **state)
{
	static const char *const paths[] = { "/echo", "/sink" };
	struct fixture *fx = *state;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_LEN(paths); i++) {
		int64_t start = now_ms();

		fd = client_connect(fx, 0);
		say_head(fd, paths[i], 1000);
		client_say(fd, "abc");
		expect_answer(fd, 400, "TIMEOUT");
		assert_in_range(now_ms() - start, 350, FIXTURE_AT_ONCE_MS);
		close(fd);
	}
	assert_int_equal(atomic_load(&fx->sunk), 3);
}

static void
a_client_that_is_slow_but_moves_is_served(void **state)
{
	int i, fd = client_connect(*state, 0);
	unsigned char *p = make_body(10);

	say_head(fd, "/sink", 10);
	for (i = 0; i < 10; i++) {
		client_send(fd, p + i, 1);
		if (i < 9)
			sleep_ms(PACED_MS / 8);
	}
	expect_sunk(fd, p, 10);
	free(p);
	close(fd);
}

static bool
is_sunk_soon(struct fixture *fx, uint64_t n)
{
	int64_t start = now_ms();

	while (
	    atomic_load(&fx->sunk) < n && now_ms() - start < FIXTURE_AT_ONCE_MS)
		sleep_ms(5);
	return (atomic_load(&fx->sunk) >= n);
}

static void
what_trickles_in_is_passed_on_soon(void **state)
{
	struct fixture *fx = *state;
	int fd = client_connect(fx, 0);

	say_head(fd, "/sink", 100000);
	client_say(fd, "abc");
	assert_true(is_sunk_soon(fx, 3));
	assert_int_equal(atomic_load(&fx->sunk), 3);
	close(fd);
}

static void
a_sink_that_fails_ends_the_body(void **state)
{
	struct fixture *fx = *state;
	unsigned char *p = make_body(3000000);
	int fd = client_connect(fx, 0);

	say_head(fd, "/sink?fail=2", 3000000);
	client_send(fd, p, 600000);
	expect_answer(fd, 400, "NOSPACE");
	assert_int_equal(atomic_load(&fx->body_rc), RC_NOSPACE);
	assert_int_equal(atomic_load(&fx->sunk), 262144);
	close(fd);
	free(p);
}

static void
a_slow_sink_stops_the_sender(void **state)
{
	struct fixture *fx = *state;
	size_t total = 0, n = 1 << 20;
	unsigned char *p = make_body(n);
	int i, small = 65536, fd = client_connect(fx, 0);
	ssize_t put;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	say_head(fd, "/sink?ms=100", 1L << 30);
	/* However long that takes: a server that did not care would take a MiB
	 * each time. */
	for (i = 0; i < 60 || (total < 400000 && i < 4000); i++) {
		put = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put > 0)
			total += (size_t)put;
		sleep_ms(5);
	}
	assert_true(total >= 400000);
	/* Two buffers, and what the two sockets hold. */
	assert_in_range(total - atomic_load(&fx->sunk), 0, 16 << 20);
	close(fd);
	free(p);
}

struct pusher {
	struct fixture *fx;
	atomic_bool stop;
	pthread_t thread;
};

/* Sends a byte now and then, so that a buffer of its own would never fill. */
static void
trickle(void *arg)
{
	struct pusher *me = arg;
	int fd = client_connect(me->fx, 0);

	say_head(fd, "/sink", 1000000);
	while (!atomic_load(&me->stop)) {
		client_say(fd, "x");
		sleep_ms(5);
	}
	close(fd);
}

static void
slow_uploads_do_not_keep_the_buffers_from_a_fast_one(void **state)
{
	struct fixture *fx = *state;
	struct pusher slow[32]; /* for 8 buffers */
	size_t i, n = 8 << 20;
	unsigned char *p = make_body(n);
	int64_t start;
	int fd;

	for (i = 0; i < ARRAY_LEN(slow); i++) {
		slow[i].fx = fx;
		atomic_init(&slow[i].stop, false);
		assert_int_equal(
		    thread_start("slow", trickle, &slow[i], &slow[i].thread),
		    RC_OK);
	}
	assert_true(fixture_settle(&fx->requests, ARRAY_LEN(slow)));
	assert_true(is_sunk_soon(fx, ARRAY_LEN(slow)));
	start = now_ms();
	fd = client_connect(fx, 0);
	say_head(fd, "/sink", (long)n);
	client_send(fd, p, n);
	expect_sunk(fd, p, n);
	/* The slow ones would go on for ever. */
	assert_in_range(now_ms() - start, 0, FIXTURE_AT_ONCE_MS);
	for (i = 0; i < ARRAY_LEN(slow); i++)
		atomic_store(&slow[i].stop, true);
	for (i = 0; i < ARRAY_LEN(slow); i++)
		thread_join(slow[i].thread);
	close(fd);
	free(p);
}

static void
push_one(void *arg)
{
	struct pusher *me = arg;
	size_t n = 3000000;
	unsigned char *p = make_body(n);
	int fd = client_connect(me->fx, 0);

	say_head(fd, "/sink", (long)n);
	client_send(fd, p, n);
	expect_sunk(fd, p, n);
	close(fd);
	free(p);
}

static void
more_uploads_than_buffers_all_come_through(void **state)
{
	struct pusher p[24];
	size_t i;

	for (i = 0; i < ARRAY_LEN(p); i++) {
		p[i].fx = *state;
		assert_int_equal(
		    thread_start("push", push_one, &p[i], &p[i].thread), RC_OK);
	}
	for (i = 0; i < ARRAY_LEN(p); i++)
		thread_join(p[i].thread);
}

static void
much_behind_a_chunked_body_costs_the_connection_at_worst(void **state)
{
	struct fixture *fx = *state;
	size_t n = 100000;
	unsigned char *p = make_body(n);
	int fd = client_connect(fx, 0);

	/* What follows the body is no request, and more than a head. */
	memset(p, 'A', n);
	say_head(fd, "/sink", -1);
	client_say(fd, "5\r\nhello\r\n");
	sleep_ms(50);
	client_say(fd, "0\r\n\r\n");
	client_send(fd, p, n);
	expect_sunk(fd, (const unsigned char *)"hello", 5);
	close(fd);
	free(p);
}

/* All but the last byte of a body that is to be gathered. */
static int
begin_to_gather(struct fixture *fx, const unsigned char *p, size_t n)
{
	int fd = client_connect(fx, 0);

	say_head(fd, "/echo", (long)n);
	client_send(fd, p, n - 1);
	return (fd);
}

/* The memory of an answered request is free a moment after its answer. */
static bool
is_gathered_soon(struct fixture *fx, const unsigned char *p, size_t n)
{
	bool fine = false;
	int64_t start = now_ms();
	char *got;
	int fd;

	while (!fine && now_ms() - start < FIXTURE_PATIENCE_MS) {
		fd = begin_to_gather(fx, p, n);
		client_send(fd, p + n - 1, 1);
		got = client_answer(fd);
		fine = strstr(got, "200 OK") != NULL;
		free(got);
		close(fd);
		sleep_ms(fine ? 0 : 20);
	}
	return (fine);
}

static void
bodies_in_memory_share_a_bound(void **state)
{
	struct fixture *fx = *state;
	size_t n = 600000, refused;
	unsigned char *p = make_body(n);
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	char *got;

	fx->config.limits.gathered_bytes = 1000000;
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_OK);
	/* There is memory for one of them. */
	fds[0].fd = begin_to_gather(fx, p, n);
	fds[1].fd = begin_to_gather(fx, p, n);
	assert_int_equal(poll(fds, 2, FIXTURE_PATIENCE_MS), 1);
	refused = fds[1].revents != 0 ? 1 : 0;
	expect_answer(fds[refused].fd, 400, "LIMIT");
	client_send(fds[1 - refused].fd, p + n - 1, 1);
	got = client_answer(fds[1 - refused].fd);
	assert_non_null(strstr(got, "200 OK"));
	free(got);
	close(fds[0].fd);
	close(fds[1].fd);
	assert_true(is_gathered_soon(fx, p, n));
	free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BRIEF(name) cmocka_unit_test_setup_teardown(name, setup_brief, teardown)
#define PACED(name) cmocka_unit_test_setup_teardown(name, setup_paced, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bodies_with_a_length_reach_the_sink_whole),
		TEST(chunked_bodies_reach_the_sink_whole),
		TEST(bodies_are_collected_whole),
		TEST(what_is_larger_than_allowed_is_refused),
		TEST(bodies_in_memory_share_a_bound),
		TEST(bad_chunks_end_the_body),
		TEST(a_client_that_goes_away_cancels_and_what_came_is_written),
		BRIEF(a_client_that_stops_sending_times_out),
		PACED(a_client_that_is_slow_but_moves_is_served),
		TEST(what_trickles_in_is_passed_on_soon),
		TEST(a_sink_that_fails_ends_the_body),
		TEST(a_slow_sink_stops_the_sender),
		TEST(slow_uploads_do_not_keep_the_buffers_from_a_fast_one),
		TEST(more_uploads_than_buffers_all_come_through),
		TEST(much_behind_a_chunked_body_costs_the_connection_at_worst),
	};

	return (cmocka_run_group_tests_name("http/bodies", tests, NULL, NULL));
}
