#include <errno.h>
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

#include "base/digest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "tests/unit/http/fixture.h"

/* The same over TLS. */

static int
setup(void **state)
{
	struct fixture *fx = xcalloc(1, sizeof(*fx));

	fixture_init(fx);
	fixture_tls(fx, 0);
	fx->config.limits.header_ms = 700;
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

struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};

static void
tls_open(struct client *c, struct fixture *fx, int version)
{
	static const unsigned char protocols[] = "\x02h2\x08http/1.1";

	c->ctx = SSL_CTX_new(TLS_client_method());
	if (version != 0)
		SSL_CTX_set_max_proto_version(c->ctx, version);
	SSL_CTX_set_alpn_protos(c->ctx, protocols, sizeof(protocols) - 1);
	c->fd = client_connect(fx, 0);
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
}

static void
tls_shake(struct client *c)
{
	assert_int_equal(SSL_connect(c->ssl), 1);
}

static void
tls_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

static void
tls_say(struct client *c, const void *p, size_t n)
{
	size_t put, at = 0;

	while (at < n) {
		assert_int_equal(
		    SSL_write_ex(c->ssl, (const char *)p + at, n - at, &put),
		    1);
		at += put;
	}
}

/* To the close, which must be said. */
static char *
tls_read_all(struct client *c, size_t *n_r)
{
	size_t n = 0, room = 65536, got;
	char *p = xmalloc(room + 1);

	while (SSL_read_ex(c->ssl, p + n, room - n, &got) == 1) {
		n += got;
		if (n == room)
			p = xrealloc(p, (room *= 2) + 1);
	}
	assert_int_equal(SSL_get_error(c->ssl, 0), SSL_ERROR_ZERO_RETURN);
	p[n] = '\0';
	*n_r = n;
	return (p);
}

static char *
ask(struct client *c, const char *text, size_t *n_r)
{
	char *p, *body;
	size_t n;

	tls_say(c, text, strlen(text));
	p = tls_read_all(c, &n);
	assert_memory_equal(p, "HTTP/1.1 200 ", 13);
	body = strstr(p, "\r\n\r\n") + 4;
	*n_r = n - (size_t)(body - p);
	memmove(p, body, *n_r + 1);
	return (p);
}

#define END " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static void
both_versions_of_tls_are_spoken_and_http_1_1_is_agreed_on(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct fixture *fx = *state;
	const unsigned char *protocol;
	struct http_server_stats st;
	struct client c;
	unsigned n_protocol;
	size_t i, n;
	char *p;

	for (i = 0; i < 2; i++) {
		tls_open(&c, fx, versions[i]);
		tls_shake(&c);
		assert_int_equal(SSL_version(c.ssl), versions[i]);
		SSL_get0_alpn_selected(c.ssl, &protocol, &n_protocol);
		assert_int_equal(n_protocol, 8);
		assert_memory_equal(protocol, "http/1.1", 8);
		p = ask(&c, "GET /who" END, &n);
		assert_string_equal(p, "h https 127.0.0.1 role 0");
		free(p);
		tls_close(&c);
	}
	http_server_stats(fx->server, &st);
	assert_int_equal(st.tls_handshakes, 2);
	assert_int_equal(st.tls_failures, 0);
}

static void
older_versions_are_not(void **state)
{
	struct fixture *fx = *state;
	struct client c;

	tls_open(&c, fx, TLS1_1_VERSION);
	SSL_CTX_set_security_level(c.ctx, 0);
	SSL_set_security_level(c.ssl, 0);
	assert_int_not_equal(SSL_connect(c.ssl), 1);
	tls_close(&c);
}

static void
files_and_memory_arrive_whole(void **state)
{
	struct fixture *fx = *state;
	struct client c;
	size_t i, n;
	char *p;

	fixture_file(fx, 5000001);
	tls_open(&c, fx, 0);
	tls_shake(&c);
	p = ask(&c, "GET /file?from=3&n=4999998" END, &n);
	assert_int_equal(n, 4999998);
	for (i = 0; i < n; i++) {
		if ((unsigned char)p[i] != fixture_file_byte(i + 3))
			fail_msg("differs at %zu", i);
	}
	free(p);
	tls_close(&c);
	tls_open(&c, fx, 0);
	tls_shake(&c);
	p = ask(&c, "GET /bytes?n=3000000" END, &n);
	assert_int_equal(strspn(p, "x"), 3000000);
	free(p);
	tls_close(&c);
}

static void
a_slow_reader_gets_it_all(void **state)
{
	struct fixture *fx = *state;
	int small = 65536;
	struct client c;
	size_t i, n;
	char *p;

	fixture_file(fx, 5000001);
	tls_open(&c, fx, 0);
	(void)setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	tls_shake(&c);
	tls_say(&c, "GET /file" END, strlen("GET /file" END));
	sleep_ms(300);
	p = tls_read_all(&c, &n);
	assert_in_range(n, 5000001, 5001000);
	for (i = 0; i < 5000001; i++) {
		if ((unsigned char)p[n - 5000001 + i] != fixture_file_byte(i))
			fail_msg("differs at %zu", i);
	}
	free(p);
	tls_close(&c);
}

static void
bodies_reach_the_sink_whole(void **state)
{
	size_t i, n = 3000001, n_answer;
	char *body = xmalloc(n), text[200], name[DIGEST_STR_BYTES], *p;
	struct client c;
	struct digest d;

	for (i = 0; i < n; i++)
		body[i] = (char)(i * 31 + i / 999);
	digest_of(DIGEST_SHA256, body, n, &d);
	tls_open(&c, *state, 0);
	tls_shake(&c);
	snprintf(text, sizeof(text),
	    "PUT /sink HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    n);
	tls_say(&c, text, strlen(text));
	tls_say(&c, body, n);
	snprintf(text, sizeof(text), "%zu %s", n, digest_str(&d, name));
	p = ask(&c, "", &n_answer);
	assert_string_equal(p, text);
	free(p);
	tls_close(&c);
	free(body);
}

static void
requests_may_come_in_one_record_or_in_many(void **state)
{
	static const char two[] = "GET /bytes?n=2 HTTP/1.1\r\nHost: h\r\n\r\n"
				  "GET /bytes?n=3" END;
	struct client c;
	size_t i, n;
	char *p;

	tls_open(&c, *state, 0);
	tls_shake(&c);
	p = ask(&c, two, &n);
	assert_non_null(strstr(p, "\r\n\r\nxxx"));
	free(p);
	tls_close(&c);
	tls_open(&c, *state, 0);
	tls_shake(&c);
	for (i = 0; i < sizeof(two) - 1; i++)
		tls_say(&c, two + i, 1);
	p = ask(&c, "", &n);
	assert_non_null(strstr(p, "\r\n\r\nxxx"));
	free(p);
	tls_close(&c);
}

static void
plain_http_is_told_that_tls_is_spoken_here(void **state)
{
	struct fixture *fx = *state;
	struct http_server_stats st;
	char *p;

	p = client_talk(fx, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_memory_equal(p, "HTTP/1.1 400 ", 13);
	assert_non_null(strstr(p, "HTTPS"));
	free(p);
	p = client_talk(fx, "nonsense that is no TLS either");
	free(p);
	http_server_stats(fx->server, &st);
	assert_int_equal(st.tls_failures, 2);
	assert_int_equal(atomic_load(&fx->requests), 0);
}

static void
a_handshake_that_does_not_end_is_cut_off(void **state)
{
	int64_t start = now_ms();
	int fd = client_connect(*state, 0);
	char *p;

	client_send(fd, "\x16\x03\x01\x02", 4);
	p = client_read(fd, NULL);
	assert_string_equal(p, "");
	assert_in_range(now_ms() - start, 600, 2000);
	free(p);
	close(fd);
}

static long
serial(struct client *c)
{
	X509 *cert = SSL_get1_peer_certificate(c->ssl);
	long n = ASN1_INTEGER_get(X509_get_serialNumber(cert));

	X509_free(cert);
	return (n);
}

static void
a_reload_takes_a_new_certificate_and_keeps_old_connections(void **state)
{
	struct fixture *fx = *state;
	struct client old, new;
	FILE *f;
	size_t n;
	char *p;

	tls_open(&old, fx, 0);
	tls_shake(&old);
	fixture_new_certificate(fx, 0);
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_OK);
	tls_open(&new, fx, 0);
	tls_shake(&new);
	assert_int_not_equal(serial(&old), serial(&new));
	p = ask(&old, "GET /bytes" END, &n);
	free(p);
	tls_close(&old);
	tls_close(&new);
	/* One that is no good changes nothing. */
	f = fopen(fx->listeners[0].cert_file, "w");
	must(f != NULL);
	fputs("rubbish", f);
	fclose(f);
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_INVALID);
	assert_non_null(strstr(fx->why, fx->listeners[0].cert_file));
	tls_open(&new, fx, 0);
	tls_shake(&new);
	p = ask(&new, "GET /bytes" END, &n);
	free(p);
	tls_close(&new);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_versions_of_tls_are_spoken_and_http_1_1_is_agreed_on),
		TEST(older_versions_are_not),
		TEST(files_and_memory_arrive_whole),
		TEST(a_slow_reader_gets_it_all),
		TEST(bodies_reach_the_sink_whole),
		TEST(requests_may_come_in_one_record_or_in_many),
		TEST(plain_http_is_told_that_tls_is_spoken_here),
		TEST(a_handshake_that_does_not_end_is_cut_off),
		TEST(
		    a_reload_takes_a_new_certificate_and_keeps_old_connections),
	};

	return (cmocka_run_group_tests_name("http/tls", tests, NULL, NULL));
}
