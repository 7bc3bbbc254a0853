#include "http_stub.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define CONNS_MAX 512
#define HEAD_MAX_BYTES 65536
#define DAY_S 86400L

struct stub_conn {
	struct stub *stub;
	pthread_t thread;
	unsigned number;
	int fd;
	bool closed; /* under the stub's lock */
	SSL *ssl;
	char head[HEAD_MAX_BYTES + 1];
	size_t n; /* bytes in .head */
};

struct stub {
	struct stub_options options;
	pthread_t thread;
	int fd, port;
	char url[64];
	char ca[64];
	SSL_CTX *tls;
	atomic_bool stopping;
	_Atomic uint64_t sent;
	pthread_mutex_t lock;
	/* Under the lock. */
	struct stub_conn *conns[CONNS_MAX];
	unsigned n_conns;
	char **seen; /* heads */
	unsigned n_seen;
};

/* --- bytes --------------------------------------------------------------- */

static ssize_t
conn_read(struct stub_conn *c, void *p, size_t n)
{
	if (c->ssl != NULL)
		return (SSL_read(c->ssl, p, (int)n));
	return (recv(c->fd, p, n, 0));
}

static bool
conn_write(struct stub_conn *c, const void *p, size_t n)
{
	const char *at = p;
	size_t part;
	ssize_t got;

	while (n > 0) {
		part = n < 65536 ? n : 65536;
		if (c->ssl != NULL)
			got = SSL_write(c->ssl, at, (int)part);
		else
			got = send(c->fd, at, part, MSG_NOSIGNAL);
		if (got <= 0)
			return (false);
		at += got;
		n -= (size_t)got;
		atomic_fetch_add(&c->stub->sent, (uint64_t)got);
	}
	return (true);
}

bool
stub_raw(struct stub_request *r, const void *p, size_t n)
{
	return (conn_write(r->conn, p, n));
}

void
stub_text(struct stub_request *r, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	must(n >= 0);
	(void)stub_raw(r, text, (size_t)n);
	free(text);
}

void
stub_answer_bytes(struct stub_request *r, int status, const char *headers,
    const void *p, size_t n)
{
	stub_text(r, "HTTP/1.1 %d Said\r\n%s", status, headers);
	if (status != 204)
		stub_text(r, "Content-Length: %zu\r\n", n);
	stub_text(r, "\r\n");
	if (strcmp(r->method, "HEAD") != 0)
		(void)stub_raw(r, p, n);
}

void
stub_answer(
    struct stub_request *r, int status, const char *headers, const char *body)
{
	stub_answer_bytes(r, status, headers, body, strlen(body));
}

void
nap_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
		.tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&ts, NULL);
}

void
stub_stall(struct stub_request *r, unsigned ms)
{
	for (; ms > 0 && !atomic_load(&r->stub->stopping);
	     ms -= ms < 10 ? ms : 10)
		nap_ms(10);
}

void
pattern_fill(void *p, size_t n, uint64_t offset)
{
	unsigned char *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		b[i] = (unsigned char)((offset + i) * 31 + ((offset + i) >> 9));
}

bool
pattern_ok(const void *p, size_t n, uint64_t offset)
{
	unsigned char *want = xmalloc(n + 1);
	bool ok;

	pattern_fill(want, n, offset);
	ok = memcmp(want, p, n) == 0;
	free(want);
	return (ok);
}

/* --- requests ------------------------------------------------------------ */

const char *
stub_header(const struct stub_request *r, const char *name, char *out, size_t n)
{
	const char *at = r->head;
	size_t length = strlen(name), value;

	out[0] = '\0';
	while ((at = strstr(at, "\r\n")) != NULL) {
		at += 2;
		if (strncasecmp(at, name, length) != 0 || at[length] != ':')
			continue;
		at += length + 1;
		at += strspn(at, " ");
		value = strcspn(at, "\r");
		must(value < n);
		memcpy(out, at, value);
		out[value] = '\0';
		break;
	}
	return (out);
}

/* The head, with its blank line; false: the connection ended. */
static bool
head_read(struct stub_conn *c, size_t *n_r)
{
	const char *end;
	ssize_t got;

	for (;;) {
		c->head[c->n] = '\0';
		end = strstr(c->head, "\r\n\r\n");
		if (end != NULL) {
			*n_r = (size_t)(end - c->head) + 4;
			return (true);
		}
		must(c->n < HEAD_MAX_BYTES);
		got = conn_read(c, c->head + c->n, HEAD_MAX_BYTES - c->n);
		if (got <= 0)
			return (false);
		c->n += (size_t)got;
	}
}

/* From what came with the head, then from the connection. */
static bool
bytes_take(struct stub_conn *c, void *p, size_t n)
{
	size_t had = n < c->n ? n : c->n;
	ssize_t got;

	memcpy(p, c->head, had);
	memmove(c->head, c->head + had, c->n - had);
	c->n -= had;
	while (had < n) {
		got = conn_read(c, (char *)p + had, n - had);
		if (got <= 0)
			return (false);
		had += (size_t)got;
	}
	return (true);
}

static size_t
number_read(const char *s, unsigned base)
{
	size_t n = 0;
	const char *digits = "0123456789abcdef", *at;

	for (; *s != '\0'; s++) {
		at = strchr(digits, *s | (*s > '9' ? 0x20 : 0));
		if (at == NULL || (size_t)(at - digits) >= base)
			break;
		n = n * base + (size_t)(at - digits);
	}
	return (n);
}

static bool
body_grow(struct stub_request *r, size_t n)
{
	r->body = xrealloc(r->body, r->body_n + n + 1);
	if (!bytes_take(r->conn, r->body + r->body_n, n))
		return (false);
	r->body_n += n;
	r->body[r->body_n] = '\0';
	return (true);
}

static bool
chunks_read(struct stub_request *r)
{
	char line[32], end[2];
	size_t i, n;

	do {
		for (i = 0; i + 1 < sizeof(line); i++) {
			if (!bytes_take(r->conn, line + i, 1))
				return (false);
			if (line[i] == '\n')
				break;
		}
		line[i] = '\0';
		n = number_read(line, 16);
		if (!body_grow(r, n) || !bytes_take(r->conn, end, 2))
			return (false);
	} while (n > 0);
	return (true);
}

static bool
body_read(struct stub_request *r)
{
	char text[64];

	if (strcmp(stub_header(r, "Transfer-Encoding", text, sizeof(text)),
		"chunked") == 0)
		return (chunks_read(r));
	(void)stub_header(r, "Content-Length", text, sizeof(text));
	return (body_grow(r, number_read(text, 10)));
}

static void
request_note(struct stub *s, struct stub_request *r)
{
	mutex_lock(&s->lock);
	r->number = s->n_seen;
	s->seen = xrealloc(s->seen, (s->n_seen + 1) * sizeof(*s->seen));
	s->seen[s->n_seen++] = xstrdup(r->head);
	mutex_unlock(&s->lock);
}

static bool
request_read(struct stub_conn *c, struct stub_request *r)
{
	size_t n, word;

	if (!head_read(c, &n))
		return (false);
	r->head = xmalloc(n + 1);
	if (!bytes_take(c, r->head, n))
		return (false);
	r->head[n] = '\0';
	word = strcspn(r->head, " ");
	must(word < sizeof(r->method));
	memcpy(r->method, r->head, word);
	n = strcspn(r->head + word + 1, " ");
	must(n < sizeof(r->target));
	memcpy(r->target, r->head + word + 1, n);
	r->body = xstrdup("");
	request_note(c->stub, r);
	return (true);
}

/* False: it was the last one of the connection. */
static bool
request_serve(struct stub_conn *c)
{
	struct stub *s = c->stub;
	struct stub_request r = {
		.stub = s,
		.arg = s->options.arg,
		.connection = c->number,
		.conn = c,
	};
	bool more;

	more = request_read(c, &r);
	if (more && s->options.early != NULL && s->options.early(&r))
		more = false;
	more = more && body_read(&r);
	if (more)
		s->options.serve(&r);
	free(r.head);
	free(r.body);
	return (more && !r.close);
}

/* --- connections --------------------------------------------------------- */

static void
conn_serve(void *arg)
{
	struct stub_conn *c = arg;
	struct stub *s = c->stub;
	bool ok = true;

	if (s->tls != NULL) {
		c->ssl = SSL_new(s->tls);
		must(c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1);
		ok = SSL_accept(c->ssl) == 1;
	}
	while (ok && !atomic_load(&s->stopping) && request_serve(c))
		continue;
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	mutex_lock(&s->lock);
	c->closed = true;
	(void)close(c->fd);
	mutex_unlock(&s->lock);
}

static void
stub_run(void *arg)
{
	struct stub *s = arg;
	struct stub_conn *c;
	int fd, on = 1;

	/* stub_stop() shuts the listening socket down, which ends this. */
	while ((fd = accept(s->fd, NULL, NULL)) != -1) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		c = xcalloc(1, sizeof(*c));
		c->stub = s;
		c->fd = fd;
		mutex_lock(&s->lock);
		must(s->n_conns < CONNS_MAX);
		c->number = s->n_conns;
		s->conns[s->n_conns++] = c;
		must(thread_start("conn", conn_serve, c, &c->thread) == RC_OK);
		mutex_unlock(&s->lock);
	}
}

/* --- TLS ----------------------------------------------------------------- */

static X509 *
cert_make(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name;
	X509_EXTENSION *san;

	must(cert != NULL);
	must(X509_set_version(cert, 2) == 1);
	must(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
	must(X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S) != NULL);
	must(X509_gmtime_adj(X509_getm_notAfter(cert), DAY_S) != NULL);
	must(X509_set_pubkey(cert, key) == 1);
	name = X509_get_subject_name(cert);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		 (const unsigned char *)"stub", -1, -1, 0) == 1);
	must(X509_set_issuer_name(cert, name) == 1);
	san = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
	must(san != NULL && X509_add_ext(cert, san, -1) == 1);
	X509_EXTENSION_free(san);
	must(X509_sign(cert, key, EVP_sha256()) > 0);
	return (cert);
}

static void
tls_make(struct stub *s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = cert_make(key);
	FILE *f;
	int fd;

	s->tls = SSL_CTX_new(TLS_server_method());
	must(s->tls != NULL);
	must(SSL_CTX_use_certificate(s->tls, cert) == 1);
	must(SSL_CTX_use_PrivateKey(s->tls, key) == 1);
	(void)snprintf(s->ca, sizeof(s->ca), "/tmp/stub-ca-XXXXXX");
	fd = mkstemp(s->ca);
	must(fd != -1 && (f = fdopen(fd, "w")) != NULL);
	must(PEM_write_X509(f, cert) == 1);
	must(fclose(f) == 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* --- the server ---------------------------------------------------------- */

static void
listen_unix(struct stub *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	(void)snprintf(
	    sun.sun_path, sizeof(sun.sun_path), "%s", s->options.unix_path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(s->fd != -1);
	must(bind(s->fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	(void)snprintf(s->url, sizeof(s->url), "http://localhost");
}

static void
listen_port(struct stub *s)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t n = sizeof(sin);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(s->fd != -1);
	must(bind(s->fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	must(getsockname(s->fd, (struct sockaddr *)&sin, &n) == 0);
	s->port = ntohs(sin.sin_port);
	(void)snprintf(s->url, sizeof(s->url), "%s://127.0.0.1:%d",
	    s->options.tls ? "https" : "http", s->port);
}

struct stub *
stub_start(const struct stub_options *options)
{
	struct stub *s = xcalloc(1, sizeof(*s));

	s->options = *options;
	mutex_init(&s->lock);
	if (options->tls)
		tls_make(s);
	if (options->unix_path != NULL)
		listen_unix(s);
	else
		listen_port(s);
	must(listen(s->fd, 128) == 0);
	must(thread_start("stub", stub_run, s, &s->thread) == RC_OK);
	return (s);
}

static void
conns_end(struct stub *s)
{
	unsigned i;

	mutex_lock(&s->lock);
	for (i = 0; i < s->n_conns; i++)
		if (!s->conns[i]->closed)
			(void)shutdown(s->conns[i]->fd, SHUT_RDWR);
	mutex_unlock(&s->lock);
	for (i = 0; i < s->n_conns; i++) {
		thread_join(s->conns[i]->thread);
		free(s->conns[i]);
	}
}

void
stub_stop(struct stub **s_p)
{
	struct stub *s = *s_p;
	unsigned i;

	if (s == NULL)
		return;
	*s_p = NULL;
	atomic_store(&s->stopping, true);
	(void)shutdown(s->fd, SHUT_RDWR);
	thread_join(s->thread);
	conns_end(s);
	(void)close(s->fd);
	if (s->options.unix_path != NULL)
		(void)unlink(s->options.unix_path);
	if (s->tls != NULL) {
		SSL_CTX_free(s->tls);
		(void)unlink(s->ca);
	}
	for (i = 0; i < s->n_seen; i++)
		free(s->seen[i]);
	free(s->seen);
	must(pthread_mutex_destroy(&s->lock) == 0);
	free(s);
}

const char *
stub_url(const struct stub *s)
{
	return (s->url);
}

int
stub_port(const struct stub *s)
{
	return (s->port);
}

const char *
stub_ca(const struct stub *s)
{
	return (s->ca);
}

uint64_t
stub_sent(struct stub *s)
{
	return (atomic_load(&s->sent));
}

unsigned
stub_connections(struct stub *s)
{
	unsigned n;

	mutex_lock(&s->lock);
	n = s->n_conns;
	mutex_unlock(&s->lock);
	return (n);
}

unsigned
stub_count(struct stub *s, const char *text)
{
	unsigned i, n = 0;

	mutex_lock(&s->lock);
	for (i = 0; i < s->n_seen; i++)
		n += strstr(s->seen[i], text) != NULL;
	mutex_unlock(&s->lock);
	return (n);
}

unsigned
stub_requests(struct stub *s)
{
	return (stub_count(s, ""));
}
