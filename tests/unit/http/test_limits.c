#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "tests/unit/http/fixture.h"

/* Time-outs and caps. */

#define GET_CLOSE "GET /bytes HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static int
setup(void **state)
{
	struct fixture *fx = xcalloc(1, sizeof(*fx));

	fixture_init(fx);
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
a_head_that_trickles_in_is_cut_off_with_408(void **state)
{
	struct fixture *fx = *state;
	int64_t start;
	char c, *p;
	int fd;

	fx->config.limits.header_ms = 300;
	fixture_start(fx);
	start = now_ms();
	fd = client_connect(fx, 0);
	client_say(fd, "GET / HTTP/1.1\r\n");
	/* However steadily bytes come. */
	while (now_ms() - start < FIXTURE_AT_ONCE_MS &&
	       recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == -1) {
		client_say(fd, "x");
		sleep_ms(20);
	}
	assert_in_range(now_ms() - start, 250, FIXTURE_AT_ONCE_MS - 1);
	p = client_read(fd, NULL);
	assert_non_null(strstr(p, "HTTP/1.1 408 "));
	free(p);
	close(fd);
	assert_true(fixture_settle(&fx->dones, 1));
	assert_int_equal(atomic_load(&fx->status), 408);
}

static void
an_idle_connection_is_closed_without_a_word(void **state)
{
	struct fixture *fx = *state;
	int64_t start;
	char *p;
	int fd;

	/* Enough to say something in time. */
	fx->config.limits.idle_ms = 1500;
	fixture_start(fx);
	start = now_ms();
	fd = client_connect(fx, 0);
	p = client_read(fd, NULL);
	assert_string_equal(p, "");
	assert_in_range(now_ms() - start, 1450, FIXTURE_AT_ONCE_MS);
	free(p);
	close(fd);
	fd = client_connect(fx, 0);
	start = now_ms();
	client_say(fd, "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n");
	free(client_answer(fd));
	p = client_read(fd, NULL);
	assert_string_equal(p, "");
	assert_in_range(now_ms() - start, 1450, FIXTURE_AT_ONCE_MS);
	free(p);
	close(fd);
}

static void
a_client_that_does_not_read_is_cut_off(void **state)
{
	struct fixture *fx = *state;
	int small = 4096, fd;

	fx->config.limits.body_ms = 300;
	fixture_start(fx);
	fixture_file(fx, 30000000);
	fd = client_connect(fx, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client_say(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_true(fixture_settle(&fx->aborts, 1));
	close(fd);
	fd = client_connect(fx, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client_say(fd, "GET /bytes?n=10000000 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_true(fixture_settle(&fx->aborts, 2));
	close(fd);
}

static void
work_that_takes_long_is_nobodys_fault(void **state)
{
	struct fixture *fx = *state;
	char *p;

	fx->config.limits.body_ms = fx->config.limits.idle_ms =
	    fx->config.limits.header_ms = 1000;
	fixture_start(fx);
	p = client_talk(fx, "GET /work?ms=2000 HTTP/1.1\r\nHost: h\r\n"
			    "Connection: close\r\n\r\n");
	assert_non_null(strstr(p, "worked"));
	free(p);
}

/* What a client is told that connects now.  Who is turned away before the
 * request has arrived may see a reset behind the answer. */
static char *
try(struct fixture *fx, size_t listener)
{
	int fd = client_connect(fx, listener);
	char *p = xcalloc(1, 4096);
	size_t n = 0;
	ssize_t got;

	(void)send(fd, GET_CLOSE, strlen(GET_CLOSE), MSG_NOSIGNAL);
	while ((got = recv(fd, p + n, 4095 - n, 0)) > 0)
		n += (size_t)got;
	if (got == -1 && errno != ECONNRESET)
		fail_msg("recv after %zu bytes: %s", n, strerror(errno));
	close(fd);
	return (p);
}

/* What is idle is counted a moment after its last answer. */
static void
wait_for_idle(struct fixture *fx, unsigned n)
{
	struct http_server_stats st;
	int64_t start = now_ms();

	do {
		sleep_ms(1);
		http_server_stats(fx->server, &st);
	} while (
	    st.connections_idle != n && now_ms() - start < FIXTURE_PATIENCE_MS);
	assert_int_equal(st.connections_idle, n);
}

static void
connections_are_capped_in_total(void **state)
{
	struct fixture *fx = *state;
	struct http_server_stats st;
	int fd[4];
	size_t i;
	char *p;

	fx->config.limits.connections = 4;
	fixture_start(fx);
	for (i = 0; i < 4; i++) {
		fd[i] = client_connect(fx, 0);
		client_say(fd[i], "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n");
		free(client_answer(fd[i]));
	}
	wait_for_idle(fx, 4);
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 503 "));
	free(p);
	http_server_stats(fx->server, &st);
	assert_int_equal(st.connections, 4);
	assert_int_equal(st.connections_idle, 4);
	assert_int_equal(st.refused_limit, 1);
	close(fd[0]);
	assert_true(fixture_connections(fx, 3));
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 200 "));
	free(p);
	for (i = 1; i < 4; i++)
		close(fd[i]);
}

static void
connections_are_capped_for_each_address(void **state)
{
	static const struct span proxies[] = { { "127.0.0.0/8", 11 } };
	struct fixture *fx = *state;
	char path[100], *p;
	int fd[2];
	size_t i;

	snprintf(path, sizeof(path), "unix:%s/sock", fx->dir);
	fx->listeners[1] = (struct http_listener_config){ .address = path };
	fx->listeners[2] =
	    (struct http_listener_config){ .address = "[::1]:0" };
	fx->config.n_listeners = 3;
	fx->config.limits.connections_per_address = 2;
	fixture_start(fx);
	for (i = 0; i < 2; i++)
		fd[i] = client_connect(fx, 0);
	assert_true(fixture_connections(fx, 2));
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 503 "));
	free(p);
	for (i = 1; i < 3; i++) {
		p = try(fx, i); /* other addresses */
		assert_non_null(strstr(p, "HTTP/1.1 200 "));
		free(p);
	}
	/* A proxy speaks for many. */
	fx->config.trusted_proxies = proxies;
	fx->config.n_trusted_proxies = 1;
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_OK);
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 200 "));
	free(p);
	for (i = 0; i < 2; i++)
		close(fd[i]);
}

static void
a_reload_changes_limits_for_what_comes(void **state)
{
	struct fixture *fx = *state;
	char text[4096], *p;
	int i, fd;

	fixture_start(fx);
	snprintf(text, sizeof(text),
	    "GET /bytes HTTP/1.1\r\nHost: h\r\nX: %2000s\r\n\r\n", "y");
	fd = client_connect(fx, 0);
	for (i = 0; i < 3; i++) {
		fx->config.limits.header_bytes = i == 1 ? 1024 : 65536;
		assert_int_equal(
		    http_server_reload(fx->server, &fx->config, fx->why),
		    RC_OK);
		if (i == 1) {
			p = client_talk(fx, text);
			assert_non_null(strstr(p, "HTTP/1.1 431 "));
			free(p);
			continue;
		}
		client_say(fd, text);
		p = client_answer(fd);
		assert_non_null(strstr(p, "HTTP/1.1 200 "));
		free(p);
	}
	close(fd);
	fx->config.n_listeners = 0;
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_INVALID);
}

static void
starting_says_what_is_wrong(void **state)
{
	static const struct span nonsense[] = { { "10.0.0.300", 10 } };
	struct fixture *fx = *state;
	struct http_server *other;

	fixture_start(fx);
	fx->listeners[0].address = http_server_url(fx->server, 0) + 7;
	assert_int_equal(
	    http_server_start(&fx->config, fx->why, &other), RC_BUSY);
	assert_non_null(strstr(fx->why, fx->listeners[0].address));
	fx->listeners[0].address = "127.0.0.1";
	assert_int_equal(
	    http_server_start(&fx->config, fx->why, &other), RC_INVALID);
	fx->listeners[0].address = "localhost:1";
	assert_int_equal(
	    http_server_start(&fx->config, fx->why, &other), RC_INVALID);
	fx->listeners[0].address = "127.0.0.1:0";
	fx->config.trusted_proxies = nonsense;
	fx->config.n_trusted_proxies = 1;
	assert_int_equal(
	    http_server_start(&fx->config, fx->why, &other), RC_INVALID);
	assert_non_null(strstr(fx->why, "10.0.0.300"));
	fx->config.n_trusted_proxies = 0;
	fx->listeners[0].tls = true;
	fx->listeners[0].cert_file = xstrdup("/nonexistent.pem");
	fx->listeners[0].key_file = xstrdup("/nonexistent.key");
	assert_int_equal(
	    http_server_start(&fx->config, fx->why, &other), RC_INVALID);
	assert_non_null(strstr(fx->why, "/nonexistent.pem: No such file"));
}

static void
a_socket_file_is_private_and_taken_over_when_dead(void **state)
{
	struct fixture *fx = *state;
	struct http_server *other;
	char path[100], *p;
	struct stat st;

	snprintf(path, sizeof(path), "unix:%s/sock", fx->dir);
	fx->listeners[0] = (struct http_listener_config){ .address = path,
		.same_user_only = true };
	fixture_start(fx);
	assert_int_equal(stat(path + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 200 "));
	free(p);
	/* It lives: no second one. */
	assert_int_equal(
	    http_server_start(&fx->config, fx->why, &other), RC_BUSY);
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 200 "));
	free(p);
	fixture_stop(fx, 1000);
	assert_int_equal(stat(path + 5, &st), -1);
	/* A dead one, as a killed process leaves it. */
	{
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		struct sockaddr_storage sa = { .ss_family = AF_UNIX };

		strcpy((char *)&sa + sizeof(sa_family_t), path + 5);
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, 110), 0);
		close(fd);
	}
	assert_int_equal(stat(path + 5, &st), 0);
	fixture_start(fx);
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 200 "));
	free(p);
	/* Something else of that name is left alone. */
	fixture_stop(fx, 1000);
	fclose(fopen(path + 5, "w"));
	assert_int_equal(
	    http_server_start(&fx->config, fx->why, &other), RC_BUSY);
	assert_int_equal(stat(path + 5, &st), 0);
}

static void
running_out_of_descriptors_is_survived(void **state)
{
	struct fixture *fx = *state;
	struct rlimit old, rl;
	int fd[600], n = 0;
	char *p;

	fx->config.limits.connections = 100;
	fixture_start(fx);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	rl = old;
	/* The clients of this process take most of what is left. */
	fd[n++] = client_connect(fx, 0);
	rl.rlim_cur = (rlim_t)fd[0] + 20;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	while (n < 10)
		fd[n++] = client_connect(fx, 0);
	sleep_ms(300);
	while (n > 5)
		close(fd[--n]);
	assert_true(fixture_connections(fx, 5));
	p = try(fx, 0);
	assert_non_null(strstr(p, "HTTP/1.1 200 "));
	free(p);
	while (n > 0)
		close(fd[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* Tokens and signed requests are long; the limits are those of the defaults. */
static void
credentials_of_8_kib_fit_in_a_head(void **state)
{
	struct fixture *fx = *state;
	char *head, *p, *body, secret[8193];
	size_t i;

	fixture_start(fx);
	for (i = 0; i < sizeof(secret) - 1; i++)
		secret[i] = (char)('a' + i % 26);
	secret[i] = '\0';
	head = xasprintf("GET /authorization HTTP/1.1\r\nHost: h\r\n"
			 "Authorization: Basic %s\r\n"
			 "Connection: close\r\n\r\n",
	    secret);
	p = client_talk(fx, head);
	assert_memory_equal(p, "HTTP/1.1 200 ", 13);
	body = strstr(p, "\r\n\r\n") + 4;
	assert_memory_equal(body, "Basic ", 6);
	assert_string_equal(body + 6, secret);
	free(p);
	free(head);
	/* Two of them, and the head is too large. */
	head = xasprintf("GET /authorization HTTP/1.1\r\nHost: h\r\n"
			 "Authorization: Basic %s\r\n"
			 "X-Amz-Security-Token: %s\r\n\r\n",
	    secret, secret);
	p = client_talk(fx, head);
	assert_memory_equal(p, "HTTP/1.1 431 ", 13);
	assert_null(strstr(p, secret));
	free(p);
	free(head);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_head_that_trickles_in_is_cut_off_with_408),
		TEST(an_idle_connection_is_closed_without_a_word),
		TEST(a_client_that_does_not_read_is_cut_off),
		TEST(work_that_takes_long_is_nobodys_fault),
		TEST(connections_are_capped_in_total),
		TEST(connections_are_capped_for_each_address),
		TEST(a_reload_changes_limits_for_what_comes),
		TEST(starting_says_what_is_wrong),
		TEST(a_socket_file_is_private_and_taken_over_when_dead),
		TEST(credentials_of_8_kib_fit_in_a_head),
		TEST(running_out_of_descriptors_is_survived),
	};

	return (cmocka_run_group_tests_name("http/limits", tests, NULL, NULL));
}
