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
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "tests/unit/http/fixture.h"

/* The same over TLS. */

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static int
setup(void **state)
{
	struct fixture *fx = xcalloc(1, sizeof(*fx));

	fixture_init(fx);
	fixture_tls(fx, 0);
	fixture_start(fx);
	*state = fx;
	return (0);
}

static int
setup_brief(void **state)
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
	assert_in_range(now_ms() - start, 600, FIXTURE_AT_ONCE_MS);
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

/* --- certificates of clients --------------------------------------------- */

/* A certificate and its key. */
struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

/* What is out of the ordinary about a certificate. */
struct special {
	bool authority;
	bool expired;
	bool for_servers;
};

static void
name_add(X509 *cert, const char *text, size_t n)
{
	X509_NAME_ENTRY *e;

	/* Past the checks of OpenSSL: others do not make them. */
	e = X509_NAME_ENTRY_create_by_NID(NULL, NID_commonName,
	    V_ASN1_UTF8STRING, (const unsigned char *)text, (int)n);
	assert_non_null(e);
	assert_int_equal(
	    X509_NAME_add_entry(X509_get_subject_name(cert), e, -1, 0), 1);
	X509_NAME_ENTRY_free(e);
}

static void
extension_add(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* Without a name yet, and not signed. */
static void
identity_begin(struct identity *id)
{
	static long number;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	assert_non_null(id->key);
	assert_non_null(id->cert);
	X509_set_version(id->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id->cert), ++number);
	X509_gmtime_adj(X509_getm_notBefore(id->cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(id->cert), 3600);
	X509_set_pubkey(id->cert, id->key);
}

static void
identity_sign(struct identity *id, const struct identity *signer)
{
	X509_set_issuer_name(id->cert, X509_get_subject_name(signer->cert));
	assert_true(X509_sign(id->cert, signer->key, EVP_sha256()) > 0);
}

static void
identity_make(struct identity *id, const struct identity *signer,
    const char *name, struct special special)
{
	identity_begin(id);
	name_add(id->cert, name, strlen(name));
	if (special.authority)
		extension_add(
		    id->cert, NID_basic_constraints, "critical,CA:TRUE");
	if (special.expired)
		X509_gmtime_adj(X509_getm_notAfter(id->cert), -3600);
	if (special.for_servers)
		extension_add(id->cert, NID_ext_key_usage, "serverAuth");
	identity_sign(id, signer != NULL ? signer : id);
}

static void
identity_free(struct identity *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

static void
authorities_write(struct fixture *fx, const struct identity *id)
{
	FILE *f;

	if (fx->listeners[0].client_ca_file == NULL)
		fx->listeners[0].client_ca_file =
		    xasprintf("%s/client-ca.pem", fx->dir);
	f = fopen(fx->listeners[0].client_ca_file, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, id->cert), 1);
	assert_int_equal(fclose(f), 0);
}

/* A server that asks for certificates. */
struct mtls {
	struct fixture fx;
	struct identity ca, alice;
};

#define PLAIN_TLS 1 /* number of the listener that does not */

static int
setup_mtls(void **state)
{
	struct mtls *m = xcalloc(1, sizeof(*m));
	struct fixture *fx = &m->fx;

	identity_make(
	    &m->ca, NULL, "authority", (struct special){ .authority = true });
	identity_make(&m->alice, &m->ca, "alice", (struct special){ 0 });
	fixture_init(fx);
	fixture_tls(fx, 0);
	authorities_write(fx, &m->ca);
	fx->listeners[PLAIN_TLS] =
	    (struct http_listener_config){ .address = "127.0.0.1:0" };
	fx->config.n_listeners = 2;
	fixture_tls(fx, PLAIN_TLS);
	fixture_start(fx);
	*state = m;
	return (0);
}

static int
teardown_mtls(void **state)
{
	struct mtls *m = *state;

	fixture_fini(&m->fx);
	identity_free(&m->alice);
	identity_free(&m->ca);
	free(m);
	return (0);
}

/* As ${id}, which may be NULL. */
static void
tls_open_as(struct client *c, struct fixture *fx, int version,
    const struct identity *id)
{
	tls_open(c, fx, version);
	if (id == NULL)
		return;
	assert_int_equal(SSL_use_certificate(c->ssl, id->cert), 1);
	assert_int_equal(SSL_use_PrivateKey(c->ssl, id->key), 1);
}

/* What /who says to ${id}, for the caller to free. */
static char *
who_as(struct fixture *fx, int version, const struct identity *id)
{
	struct client c;
	size_t n;
	char *p;

	tls_open_as(&c, fx, version, id);
	tls_shake(&c);
	p = ask(&c, "GET /who" END, &n);
	tls_close(&c);
	return (p);
}

static void
assert_who(struct fixture *fx, int version, const struct identity *id,
    const char *expected)
{
	char *p = who_as(fx, version, id);

	assert_string_equal(p, expected);
	free(p);
}

/* Whom the server lets in hears an answer, all others an alert. */
static void
assert_refused(struct fixture *fx, int version, const struct identity *id)
{
	static const char text[] = "GET /who" END;
	struct client c;
	size_t n;
	char room[100];

	tls_open_as(&c, fx, version, id);
	ERR_clear_error();
	/* A client of TLS 1.3 does not wait for the verdict: it asks at
	 * once. */
	if (SSL_connect(c.ssl) == 1 &&
	    SSL_write_ex(c.ssl, text, sizeof(text) - 1, &n) == 1 &&
	    SSL_read_ex(c.ssl, room, sizeof(room), &n) == 1)
		fail_msg("it was answered");
	if (ERR_GET_REASON(ERR_peek_error()) < SSL_AD_REASON_OFFSET)
		fail_msg(
		    "no alert: %s", ERR_reason_error_string(ERR_peek_error()));
	ERR_clear_error();
	tls_close(&c);
}

static void
a_certificate_of_the_authority_names_its_client(void **state)
{
	struct mtls *m = *state;
	struct http_server_stats st;
	struct client c;
	size_t i, n;
	char *p;

	for (i = 0; i < 2; i++) {
		assert_who(&m->fx, versions[i], &m->alice,
		    "h https 127.0.0.1 role 0 certificate alice");
		/* Each request of the connection has it. */
		tls_open_as(&c, &m->fx, versions[i], &m->alice);
		tls_shake(&c);
		p = ask(&c,
		    "GET /bytes HTTP/1.1\r\nHost: h\r\n\r\nGET /who" END, &n);
		assert_non_null(strstr(p, "certificate alice"));
		free(p);
		tls_close(&c);
	}
	http_server_stats(m->fx.server, &st);
	assert_int_equal(st.tls_handshakes, 4);
	assert_int_equal(st.tls_failures, 0);
	assert_memory_equal(http_server_url(m->fx.server, 0), "https://", 8);
}

static void
clients_without_a_good_certificate_get_an_alert(void **state)
{
	static const struct special expired = { .expired = true },
				    for_servers = { .for_servers = true },
				    authority = { .authority = true };
	struct identity other, ids[4];
	struct mtls *m = *state;
	struct http_server_stats st;
	size_t i, j;

	/* Of the same name as ours. */
	identity_make(&other, NULL, "authority", authority);
	identity_make(&ids[0], &other, "alice", (struct special){ 0 });
	identity_make(&ids[1], NULL, "alice", (struct special){ 0 });
	identity_make(&ids[2], &m->ca, "alice", expired);
	identity_make(&ids[3], &m->ca, "alice", for_servers);
	for (i = 0; i < 2; i++) {
		assert_refused(&m->fx, versions[i], NULL);
		for (j = 0; j < ARRAY_LEN(ids); j++)
			assert_refused(&m->fx, versions[i], &ids[j]);
		assert_who(&m->fx, versions[i], &m->alice,
		    "h https 127.0.0.1 role 0 certificate alice");
	}
	http_server_stats(m->fx.server, &st);
	assert_int_equal(st.tls_failures, 2 * (ARRAY_LEN(ids) + 1));
	assert_int_equal(atomic_load(&m->fx.requests), 2);
	for (j = 0; j < ARRAY_LEN(ids); j++)
		identity_free(&ids[j]);
	identity_free(&other);
}

static void
the_authorities_are_told_to_clients(void **state)
{
	const STACK_OF(X509_NAME) * names;
	struct mtls *m = *state;
	struct client c;

	tls_open_as(&c, &m->fx, 0, &m->alice);
	tls_shake(&c);
	names = SSL_get0_peer_CA_list(c.ssl);
	assert_int_equal(sk_X509_NAME_num(names), 1);
	assert_int_equal(X509_NAME_cmp(sk_X509_NAME_value(names, 0),
			     X509_get_subject_name(m->ca.cert)),
	    0);
	tls_close(&c);
}

static void
an_intermediate_authority_may_stand_alone(void **state)
{
	static const struct special authority = { .authority = true };
	struct identity intermediate, carol;
	struct mtls *m = *state;
	struct fixture *fx = &m->fx;

	identity_make(&intermediate, &m->ca, "intermediate", authority);
	identity_make(&carol, &intermediate, "carol", (struct special){ 0 });
	authorities_write(fx, &intermediate);
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_OK);
	assert_who(fx, 0, &carol, "h https 127.0.0.1 role 0 certificate carol");
	assert_refused(fx, 0, &m->alice);
	identity_free(&carol);
	identity_free(&intermediate);
}

static void
a_subject_without_exactly_one_fitting_name_names_nobody(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *second, *expected;
	} cases[] = {
		{ NULL, 0, NULL, "" },
		{ "", 0, NULL, "" },
		{ "alice", 5, "alice", "" },
		{ "alice", 5, "bob", "" },
		{ "alice\0.evil", 11, NULL, "" },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		    65, NULL, "" },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		    64, NULL,
		    " certificate xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
		{ "p\xc3\xb6", 3, NULL, " certificate p\xc3\xb6" },
	};
	struct mtls *m = *state;
	struct identity id;
	char expected[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		identity_begin(&id);
		if (cases[i].text != NULL)
			name_add(id.cert, cases[i].text, cases[i].n);
		if (cases[i].second != NULL)
			name_add(
			    id.cert, cases[i].second, strlen(cases[i].second));
		identity_sign(&id, &m->ca);
		(void)snprintf(expected, sizeof(expected),
		    "h https 127.0.0.1 role 0%s", cases[i].expected);
		assert_who(&m->fx, 0, &id, expected);
		identity_free(&id);
	}
}

/* Ask, and then connect again with the session of that connection; was it
 * resumed? */
static bool
resumes(struct fixture *fx, size_t listener, int version,
    const struct identity *first, const struct identity *again)
{
	struct client c, d;
	SSL_SESSION *session;
	bool resumed;
	size_t n;

	tls_open_as(&c, fx, version, first);
	close(c.fd);
	c.fd = client_connect(fx, listener);
	SSL_set_fd(c.ssl, c.fd);
	tls_shake(&c);
	free(ask(&c, "GET /who" END, &n));
	session = SSL_get1_session(c.ssl);
	assert_non_null(session);
	tls_open_as(&d, fx, version, again);
	close(d.fd);
	d.fd = client_connect(fx, listener);
	SSL_set_fd(d.ssl, d.fd);
	assert_int_equal(SSL_set_session(d.ssl, session), 1);
	tls_shake(&d);
	resumed = SSL_session_reused(d.ssl);
	if (SSL_write_ex(d.ssl, "GET /who" END, strlen("GET /who" END), &n) !=
		1 ||
	    SSL_read_ex(d.ssl, &n, 1, &n) != 1)
		resumed = false;
	ERR_clear_error();
	SSL_SESSION_free(session);
	tls_close(&d);
	tls_close(&c);
	return (resumed);
}

static void
no_session_is_resumed_where_certificates_are_asked_for(void **state)
{
	struct mtls *m = *state;
	struct fixture *fx = &m->fx;
	size_t i;

	for (i = 0; i < 2; i++) {
		/* The server can do that, */
		assert_true(resumes(fx, PLAIN_TLS, versions[i], NULL, NULL));
		/* but not here. */
		assert_false(resumes(fx, 0, versions[i], &m->alice, &m->alice));
	}
	/* A session does not stand for the certificate. */
	assert_false(resumes(fx, 0, TLS1_3_VERSION, &m->alice, NULL));
	assert_int_equal(atomic_load(&fx->requests), 2 * 2 + 2 * 2 + 1);
}

static void
a_reload_reads_the_authorities_anew(void **state)
{
	static const struct special authority = { .authority = true };
	struct identity other, bob;
	struct mtls *m = *state;
	struct fixture *fx = &m->fx;
	struct client old;
	size_t n;
	char *p;

	identity_make(&other, NULL, "other authority", authority);
	identity_make(&bob, &other, "bob", (struct special){ 0 });
	tls_open_as(&old, fx, 0, &m->alice);
	tls_shake(&old);
	assert_refused(fx, 0, &bob);
	authorities_write(fx, &other);
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_OK);
	assert_who(fx, 0, &bob, "h https 127.0.0.1 role 0 certificate bob");
	assert_refused(fx, 0, &m->alice);
	p = ask(&old, "GET /who" END, &n);
	assert_non_null(strstr(p, "certificate alice"));
	free(p);
	tls_close(&old);
	identity_free(&bob);
	identity_free(&other);
}

static void
a_reload_cannot_stop_asking_for_certificates_or_begin(void **state)
{
	struct mtls *m = *state;
	struct fixture *fx = &m->fx;
	const char *file = fx->listeners[0].client_ca_file;

	fx->listeners[0].client_ca_file = NULL;
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_INVALID);
	assert_non_null(strstr(fx->why, "certificates of clients"));
	fx->listeners[0].client_ca_file = file;
	fx->listeners[PLAIN_TLS].client_ca_file = file;
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_INVALID);
	fx->listeners[PLAIN_TLS].client_ca_file = NULL;
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_OK);
}

static void
authorities_that_cannot_be_read_are_named(void **state)
{
	struct mtls *m = *state;
	struct fixture *fx = &m->fx;
	const char *file = fx->listeners[0].client_ca_file;
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	(void)fputs("rubbish", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_INVALID);
	assert_non_null(strstr(fx->why, file));
	assert_int_equal(unlink(file), 0);
	assert_int_equal(
	    http_server_reload(fx->server, &fx->config, fx->why), RC_INVALID);
	assert_non_null(strstr(fx->why, "No such file"));
	/* All stays as it was. */
	assert_who(
	    fx, 0, &m->alice, "h https 127.0.0.1 role 0 certificate alice");
}

static void
no_header_names_a_client_and_no_proxy_is_one(void **state)
{
	static const char text[] =
	    "GET /who HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	    "X-Client-Certificate: alice\r\nX-SSL-Client-CN: alice\r\n"
	    "X-SSL-Client-S-DN: CN=alice\r\n"
	    "X-Forwarded-Client-Cert: Subject=\"CN=alice\"\r\n"
	    "Client-Cert: :MIIB:\r\n\r\n";
	static const struct span proxies[] = { { "127.0.0.1", 9 } };
	struct mtls *m = *state;
	struct fixture *fx = &m->fx;
	struct client c;
	unsigned i;
	size_t n;
	char *p;

	for (i = 0; i < 2; i++) {
		tls_open(&c, fx, 0);
		close(c.fd);
		c.fd = client_connect(fx, PLAIN_TLS);
		SSL_set_fd(c.ssl, c.fd);
		tls_shake(&c);
		p = ask(&c, text, &n);
		assert_null(strstr(p, "certificate"));
		free(p);
		tls_close(&c);
		fx->config.trusted_proxies = proxies;
		fx->config.n_trusted_proxies = 1;
		assert_int_equal(
		    http_server_reload(fx->server, &fx->config, fx->why),
		    RC_OK);
	}
	/* It is let in by its certificate, but speaks for others. */
	assert_who(fx, 0, &m->alice, "h https 127.0.0.1 role 0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BRIEF(name) cmocka_unit_test_setup_teardown(name, setup_brief, teardown)
#define MTLS(name) \
	cmocka_unit_test_setup_teardown(name, setup_mtls, teardown_mtls)

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
		BRIEF(a_handshake_that_does_not_end_is_cut_off),
		TEST(
		    a_reload_takes_a_new_certificate_and_keeps_old_connections),
		MTLS(a_certificate_of_the_authority_names_its_client),
		MTLS(clients_without_a_good_certificate_get_an_alert),
		MTLS(the_authorities_are_told_to_clients),
		MTLS(an_intermediate_authority_may_stand_alone),
		MTLS(a_subject_without_exactly_one_fitting_name_names_nobody),
		MTLS(no_session_is_resumed_where_certificates_are_asked_for),
		MTLS(a_reload_reads_the_authorities_anew),
		MTLS(a_reload_cannot_stop_asking_for_certificates_or_begin),
		MTLS(authorities_that_cannot_be_read_are_named),
		MTLS(no_header_names_a_client_and_no_proxy_is_one),
	};

	return (cmocka_run_group_tests_name("http/tls", tests, NULL, NULL));
}
