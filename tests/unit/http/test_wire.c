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
#include "tests/unit/http/fixture.h"

/* Requests and answers as they are on the wire. */

#define END "Host: h\r\nConnection: close\r\n\r\n"

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

static void
assert_status(const char *answer, int status)
{
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	if (strncmp(answer, line, strlen(line)) != 0)
		fail_msg("not %d: %s", status, answer);
}

static const char *
body_of(const char *answer)
{
	const char *p = strstr(answer, "\r\n\r\n");

	assert_non_null(p);
	return (p + 4);
}

static void
expect(struct fixture *fx, const char *text, int status, const char *body)
{
	char *p = client_talk(fx, text);

	assert_status(p, status);
	if (body != NULL)
		assert_string_equal(body_of(p), body);
	free(p);
}

static void
an_answer_has_its_frame(void **state)
{
	char *p = client_talk(*state, "GET /bytes?n=3 HTTP/1.1\r\n" END);

	assert_status(p, 200);
	assert_non_null(strstr(p, "\r\nDate: "));
	assert_non_null(strstr(p, " GMT\r\n"));
	assert_non_null(strstr(p, "\r\nContent-Length: 3\r\n"));
	assert_non_null(strstr(p, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(p, "\r\nX-Request-Id: "));
	assert_non_null(strstr(p, "\r\nContent-Type: text/plain\r\n"));
	assert_string_equal(body_of(p), "xxx");
	free(p);
}

static void
a_connection_serves_one_request_after_the_other(void **state)
{
	struct fixture *fx = *state;
	int i, fd = client_connect(fx, 0);
	char *p, *before = NULL;

	for (i = 0; i < 5; i++) {
		client_say(fd, "GET /bytes?n=10 HTTP/1.1\r\nHost: h\r\n\r\n");
		p = client_answer(fd);
		assert_status(p, 200);
		assert_null(strstr(p, "Connection:"));
		assert_string_equal(body_of(p), "xxxxxxxxxx");
		/* Ids differ. */
		if (before != NULL)
			assert_string_not_equal(
			    strstr(p, "X-Req"), strstr(before, "X-Req"));
		free(before);
		before = p;
	}
	free(before);
	close(fd);
	assert_int_equal(atomic_load(&fx->requests), 5);
}

static void
pipelined_requests_are_answered_in_order(void **state)
{
	char text[64], *p;
	const char *at;
	int i, fd = client_connect(*state, 0);

	for (i = 1; i <= 100; i++) {
		snprintf(text, sizeof(text), "GET /bytes?n=%d HTTP/1.1\r\n", i);
		client_say(fd, text);
		client_say(fd, i < 100 ? "Host: h\r\n\r\n" : END);
	}
	p = client_read(fd, NULL);
	for (i = 1, at = p; i <= 100; i++) {
		assert_status(at, 200);
		at = body_of(at);
		assert_int_equal(strspn(at, "x"), i);
		at += i;
	}
	assert_int_equal(*at, '\0');
	free(p);
	close(fd);
}

static void
pipelined_bodies_and_work_stay_in_order(void **state)
{
	static const char text[] =
	    "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	    "GET /work?ms=30 HTTP/1.1\r\nHost: h\r\n\r\n"
	    "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
	    "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
	    "PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n1\r\nx\r\n0\r\n\r\n"
	    "GET /bytes?n=1 HTTP/1.1\r\n" END;
	static const char *const bodies[] = { "abc", "worked", "def", "1 sha",
		"1 sha", "x" };
	int fd = client_connect(*state, 0);
	char *p;
	size_t i, k;

	client_say(fd, text);
	for (i = 0; i < ARRAY_LEN(bodies); i++) {
		p = client_answer(fd);
		assert_status(p, 200);
		assert_memory_equal(body_of(p), bodies[i], strlen(bodies[i]));
		free(p);
	}
	close(fd);
	/* And the same a byte at a time. */
	fd = client_connect(*state, 0);
	for (k = 0; k < sizeof(text) - 1; k++)
		client_send(fd, text + k, 1);
	for (i = 0; i < ARRAY_LEN(bodies); i++) {
		p = client_answer(fd);
		assert_memory_equal(body_of(p), bodies[i], strlen(bodies[i]));
		free(p);
	}
	close(fd);
}

static void
head_answers_without_the_body(void **state)
{
	struct fixture *fx = *state;
	char *p = client_talk(fx, "HEAD /bytes?n=30 HTTP/1.1\r\n" END);

	assert_status(p, 200);
	assert_non_null(strstr(p, "\r\nContent-Length: 30\r\n"));
	assert_string_equal(body_of(p), "");
	free(p);
	assert_true(fixture_settle(&fx->dones, 1));
	assert_int_equal(atomic_load(&fx->bytes_out), 0);
	assert_int_equal(atomic_load(&fx->aborts), 0);
}

static void
http_1_0_closes_unless_asked_not_to(void **state)
{
	int fd = client_connect(*state, 0);
	char *p;

	client_say(fd, "GET /bytes HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	p = client_answer(fd);
	assert_status(p, 200);
	assert_non_null(strstr(p, "\r\nConnection: keep-alive\r\n"));
	free(p);
	client_say(fd, "GET /bytes HTTP/1.0\r\n\r\n");
	p = client_read(fd, NULL);
	assert_status(p, 200);
	assert_non_null(strstr(p, "\r\nConnection: close\r\n"));
	free(p);
	close(fd);
}

static void
refused_heads_are_answered_and_closed(void **state)
{
	static const struct {
		const char *text;
		int status;
	} bad[] = {
		{ "GET /\n\n", 400 },
		{ "\x16\x03\x01\x02", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
		{ "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /../b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505 },
		{ "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
		    501 },
		{ "PUT / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417 },
		{ "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		  "Content-Length: 1\r\n\r\nx",
		    400 },
	};
	struct fixture *fx = *state;
	unsigned i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		char *p = client_talk(fx, bad[i].text);

		assert_status(p, bad[i].status);
		assert_non_null(strstr(p, "\r\nConnection: close\r\n"));
		assert_true(strlen(body_of(p)) > 5); /* it says why */
		free(p);
		assert_true(fixture_settle(&fx->dones, i + 1));
		assert_int_equal(atomic_load(&fx->status), bad[i].status);
	}
	assert_int_equal(atomic_load(&fx->requests), 0);
	assert_int_equal(atomic_load(&fx->refusals), i);
}

static void
nothing_behind_a_refused_request_is_served(void **state)
{
	struct fixture *fx = *state;

	expect(fx, "GET / HTTP/1.1\nHost: a\n\nGET /bytes HTTP/1.1\r\n" END,
	    400, NULL);
	assert_true(fixture_settle(&fx->dones, 1));
	assert_int_equal(atomic_load(&fx->requests), 0);
}

/* Send a body of ${n} bytes behind ${head}, and read what is answered. */
static char *
push(struct fixture *fx, const char *head, size_t n)
{
	char *body = xcalloc(1, n), *p;
	int fd = client_connect(fx, 0);

	client_say(fd, head);
	client_send(fd, body, n);
	p = client_read(fd, NULL);
	close(fd);
	free(body);
	return (p);
}

static void
a_refusal_arrives_although_the_body_is_on_its_way(void **state)
{
	char *p;

	p = push(*state, "PUT /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 900000);
	assert_status(p, 400);
	free(p);
	p = push(*state,
	    "PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n"
	    "\r\n",
	    900000);
	assert_status(p, 401);
	assert_non_null(strstr(p, "\r\nConnection: close\r\n"));
	assert_string_equal(body_of(p), "no");
	free(p);
}

static void
a_body_nobody_wants_that_came_whole_costs_no_connection(void **state)
{
	static const char *const bodies[] = {
		"Content-Length: 5\r\n\r\nhello",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	};
	int fd = client_connect(*state, 0);
	char text[200], *p;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bodies); i++) {
		snprintf(text, sizeof(text),
		    "PUT /ignore HTTP/1.1\r\nHost: h\r\n%s", bodies[i]);
		client_say(fd, text);
		p = client_answer(fd);
		assert_status(p, 401);
		assert_null(strstr(p, "Connection:"));
		free(p);
	}
	client_say(fd, "GET /bytes HTTP/1.1\r\n" END);
	p = client_read(fd, NULL);
	assert_status(p, 200);
	free(p);
	close(fd);
}

static void
continue_is_said_when_the_body_is_wanted_and_only_then(void **state)
{
	int fd = client_connect(*state, 0);
	char *p;

	client_say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
		       "Expect: 100-continue\r\n\r\n");
	p = client_answer(fd);
	assert_string_equal(p, "HTTP/1.1 100 Continue\r\n\r\n");
	free(p);
	client_say(fd, "hi");
	p = client_answer(fd);
	assert_status(p, 200);
	assert_string_equal(body_of(p), "hi");
	free(p);
	/* Who does not wait is not told. */
	client_say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
		       "Expect: 100-continue\r\n\r\nho");
	p = client_answer(fd);
	assert_status(p, 200);
	free(p);
	client_say(fd,
	    "PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
	    "Expect: 100-continue\r\n\r\n");
	p = client_read(fd, NULL);
	assert_status(p, 401);
	free(p);
	close(fd);
}

static void
a_half_closed_client_gets_its_answer(void **state)
{
	int fd = client_connect(*state, 0);
	char *p;

	client_say(fd, "GET /work?ms=50 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	p = client_read(fd, NULL);
	assert_status(p, 200);
	assert_string_equal(body_of(p), "worked");
	free(p);
	close(fd);
}

static void
a_header_cannot_be_injected(void **state)
{
	char *p = client_talk(*state, "GET /split HTTP/1.1\r\n" END);

	assert_status(p, 200);
	assert_null(strstr(p, "Injected"));
	free(p);
}

static void
the_application_sees_who_asks(void **state)
{
	expect(*state, "GET /who HTTP/1.1\r\n" END, 200,
	    "h http 127.0.0.1 role 0");
	/* Nobody is trusted here. */
	expect(*state,
	    "GET /who HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\n"
	    "X-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\n" END,
	    200, "h http 127.0.0.1 role 0");
}

static void
answers_of_all_sizes_arrive_whole(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, 16384, 16385, 65536, 70000,
		1000000, 9000000 };
	int fd = client_connect(*state, 0);
	char text[100], *p;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		snprintf(text, sizeof(text),
		    "GET /bytes?n=%zu HTTP/1.1\r\nHost: h\r\n\r\n", sizes[i]);
		client_say(fd, text);
		p = client_answer(fd);
		assert_status(p, 200);
		assert_int_equal(strspn(body_of(p), "x"), sizes[i]);
		free(p);
	}
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_has_its_frame),
		TEST(a_connection_serves_one_request_after_the_other),
		TEST(pipelined_requests_are_answered_in_order),
		TEST(pipelined_bodies_and_work_stay_in_order),
		TEST(head_answers_without_the_body),
		TEST(http_1_0_closes_unless_asked_not_to),
		TEST(refused_heads_are_answered_and_closed),
		TEST(nothing_behind_a_refused_request_is_served),
		TEST(a_refusal_arrives_although_the_body_is_on_its_way),
		TEST(a_body_nobody_wants_that_came_whole_costs_no_connection),
		TEST(continue_is_said_when_the_body_is_wanted_and_only_then),
		TEST(a_half_closed_client_gets_its_answer),
		TEST(a_header_cannot_be_injected),
		TEST(the_application_sees_who_asks),
		TEST(answers_of_all_sizes_arrive_whole),
	};

	return (cmocka_run_group_tests_name("http/wire", tests, NULL, NULL));
}
