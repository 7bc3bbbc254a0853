#include <fcntl.h>
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
#include <openssl/ssl.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "tests/unit/http/fixture.h"

/*
 * Clients that do anything at any time: pieces of any size, pauses, aborts in
 * the middle, while the server is reloaded and at last stopped.  Whatever they
 * do, each request the application has seen ends exactly once, and nothing is
 * left over.
 */
#define CLIENTS 12
#define ROUNDS 60

struct chaos {
	struct fixture *fx;
	uint64_t seed;
	pthread_t thread;
	SSL_CTX *ctx;
};

static unsigned
pick(struct chaos *c, unsigned below)
{
	c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
	return ((unsigned)(c->seed >> 33) % below);
}

static const char *const texts[] = {
	"GET /bytes?n=100 HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /bytes?n=300000 HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /file HTTP/1.1\r\nHost: h\r\n\r\n",
	"HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /work?ms=5 HTTP/1.1\r\nHost: h\r\n\r\n",
	"PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
	"PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
	"PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
	"PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
	"Expect: 100-continue\r\n\r\nabcd",
	"PUT /sink?ms=2 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd",
	"PUT /sink?fail=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd",
	"PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n",
	"PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n",
	"GET / HTTP/1.1\r\nHost h\r\n\r\n",
	"GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n",
	"\x16\x03\x01",
	"GET /bytes HTTP/1.0\r\n\r\n",
};

/* One side of a connection, plain or not; nothing here waits for ever. */
struct pipe {
	int fd;
	SSL *ssl;
};

static bool
put(struct pipe *p, const char *s, size_t n)
{
	if (p->ssl != NULL)
		return (SSL_write(p->ssl, s, (int)n) == (int)n);
	return (send(p->fd, s, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n);
}

static void
take_some(struct pipe *p, char *out, size_t n)
{
	if (p->ssl == NULL)
		(void)recv(p->fd, out, n, MSG_DONTWAIT);
	else if (SSL_pending(p->ssl) > 0 ||
		 recv(p->fd, out, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
		(void)SSL_read(p->ssl, out, (int)n);
}

static void
converse(struct chaos *c, struct pipe *p)
{
	static char junk[65536];
	char in[4096];
	unsigned i, requests = 1 + pick(c, 6);

	for (i = 0; i < requests; i++) {
		const char *text = texts[pick(c, ARRAY_LEN(texts))];
		size_t at = 0, len, n = strlen(text);

		while (at < n) {
			len = 1 + pick(c, (unsigned)(n - at));
			if (!put(p, text + at, len))
				return;
			at += len;
			if (pick(c, 8) == 0)
				sleep_ms(1);
			if (pick(c, 40) == 0)
				return;
		}
		if (strstr(text, "600000") != NULL) {
			for (at = 0; at < 8; at++) {
				if (!put(p, junk, 1 + pick(c, 65535)))
					return;
			}
		}
		if (pick(c, 2) == 0)
			take_some(p, in, sizeof(in));
		if (pick(c, 10) == 0)
			(void)shutdown(p->fd, SHUT_WR);
	}
	if (pick(c, 2) == 0)
		sleep_ms(5);
}

static void
client(void *arg)
{
	struct chaos *c = arg;
	struct linger reset = { .l_onoff = 1 };
	struct pipe p;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		bool tls = pick(c, 3) == 0;

		p = (struct pipe){ .fd = client_connect(c->fx, tls) };
		if (tls) {
			p.ssl = SSL_new(c->ctx);
			SSL_set_fd(p.ssl, p.fd);
		}
		if (!tls || SSL_connect(p.ssl) == 1)
			converse(c, &p);
		if (pick(c, 4) == 0)
			(void)setsockopt(
			    p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		SSL_free(p.ssl);
		close(p.fd);
	}
}

static void
whatever_clients_do_every_request_ends_once(void **state)
{
	struct http_server_stats st;
	struct chaos c[CLIENTS];
	struct fixture fx;
	unsigned i;

	(void)state;
	fixture_init(&fx);
	fx.listeners[1] =
	    (struct http_listener_config){ .address = "127.0.0.1:0" };
	fixture_tls(&fx, 1);
	fx.config.n_listeners = 2;
	fx.config.limits.upload_buffers = 3;
	fx.config.limits.header_ms = fx.config.limits.body_ms = 300;
	fx.config.limits.idle_ms = 1000;
	fixture_file(&fx, 3000000);
	fixture_start(&fx);
	for (i = 0; i < CLIENTS; i++) {
		c[i] = (struct chaos){ .fx = &fx,
			.seed = i + 1,
			.ctx = SSL_CTX_new(TLS_client_method()) };
		assert_int_equal(
		    thread_start("chaos", client, &c[i], &c[i].thread), RC_OK);
	}
	for (i = 0; i < 20; i++) {
		fx.config.limits.header_bytes = i % 2 ? 4096 : 16384;
		assert_int_equal(
		    http_server_reload(fx.server, &fx.config, fx.why), RC_OK);
		sleep_ms(20);
	}
	for (i = 0; i < CLIENTS; i++) {
		thread_join(c[i].thread);
		SSL_CTX_free(c[i].ctx);
	}
	assert_true(fixture_connections(&fx, 0));
	http_server_stats(fx.server, &st);
	assert_int_equal(st.connections, 0);
	assert_int_equal(st.connections_idle, 0);
	assert_int_equal(st.uploads_streaming, 0);
	assert_int_equal(st.buffers_used, 0);
	assert_int_equal(st.buffers_waiting, 0);
	assert_int_equal(atomic_load(&fx.dones),
	    atomic_load(&fx.requests) + atomic_load(&fx.refusals));
	assert_true(atomic_load(&fx.requests) > 300);
	fixture_fini(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_clients_do_every_request_ends_once),
	};

	return (cmocka_run_group_tests_name("http/chaos", tests, NULL, NULL));
}
