#include "tests/unit/http/fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"

/* What a request needs until its end. */
struct task {
	struct fixture *fx;
	struct hasher *hasher;
	uint64_t taken, writes;
	uint64_t ms, fail;
	bool calling; /* the application is on the stack */
};

int64_t
now_ms(void)
{
	return (clock_mono_ns() / 1000000);
}

void
sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

static uint64_t
param(const struct http_request *rq, const char *key, uint64_t otherwise)
{
	struct span s;
	uint64_t n;

	if (!http_request_param(rq, key, &s))
		return (otherwise);
	must(num_u64(s, UINT64_MAX, &n) == RC_OK);
	return (n);
}

static void
answer(struct http_exchange *x, int status, struct span text)
{
	x->response.status = status;
	http_response_memory(&x->response, "text/plain", text);
	http_exchange_respond(x);
}

static void
answer_bytes(struct http_exchange *x)
{
	size_t n = (size_t)param(&x->request, "n", 1);
	char *p = arena_alloc(&x->arena, n + 1);

	memset(p, 'x', n);
	answer(x, 200, (struct span){ p, n });
}

static void
body_came(struct http_exchange *x, enum rc rc)
{
	struct task *t = x->app;

	must(!t->calling);
	atomic_store(&t->fx->body_rc, (int)rc);
}

static void
echo_collected(struct http_exchange *x, enum rc rc, struct span body)
{
	body_came(x, rc);
	if (rc != RC_OK)
		answer(x, 400, span_of(rc_name(rc)));
	else
		answer(x, 200, body);
}

static enum rc
sink_write(void *arg, const void *p, size_t n)
{
	struct task *t = arg;

	must(n > 0);
	if (t->ms > 0)
		sleep_ms((long)t->ms);
	if (++t->writes == t->fail)
		return (RC_NOSPACE);
	hasher_update(t->hasher, p, n);
	t->taken += n;
	atomic_fetch_add(&t->fx->sunk, n);
	return (RC_OK);
}

static void
sink_done(struct http_exchange *x, enum rc rc, struct span body)
{
	char text[DIGEST_STR_BYTES];
	struct task *t = x->app;
	struct digest d;

	(void)body;
	body_came(x, rc);
	if (rc != RC_OK) {
		answer(x, 400, span_of(rc_name(rc)));
		return;
	}
	hasher_final(t->hasher, &d);
	answer(x, 200,
	    span_of(arena_printf(&x->arena, "%llu %s",
		(unsigned long long)t->taken, digest_str(&d, text))));
}

static void
sink(struct http_exchange *x)
{
	struct task *t = x->app;
	struct http_sink s = { sink_write, t };

	t->ms = param(&x->request, "ms", 0);
	t->fail = param(&x->request, "fail", 0);
	t->hasher = hasher_new(DIGEST_SHA256);
	http_exchange_stream(x, &s, param(&x->request, "max", 0), sink_done);
}

static void
work(struct http_exchange *x)
{
	const struct task *t = x->app;
	int64_t start = now_ms();

	sleep_ms((long)param(&x->request, "ms", 0));
	if (param(&x->request, "held", 0) == 0)
		return;
	while (!atomic_load(&t->fx->let_go) &&
	       now_ms() - start < 2 * FIXTURE_PATIENCE_MS)
		sleep_ms(5);
}

static void
work_done(struct http_exchange *x)
{
	struct task *t = x->app;

	must(!t->calling);
	answer(x, 200, SPAN("worked"));
}

static void
who(struct http_exchange *x)
{
	const struct http_request *rq = &x->request;
	struct span name = rq->client_certificate;

	answer(x, 200,
	    span_of(arena_printf(&x->arena,
		SPAN_FMT " %s " SPAN_FMT " role %d%s" SPAN_FMT,
		SPAN_ARG(rq->host), rq->tls ? "https" : "http",
		SPAN_ARG(rq->client), x->role,
		name.p != NULL ? " certificate " : "", SPAN_ARG(name))));
}

static void
file(struct http_exchange *x)
{
	struct task *t = x->app;

	x->response.body = HTTP_FILE;
	x->response.fd = open(t->fx->file, O_RDONLY | O_CLOEXEC);
	must(x->response.fd != -1);
	x->response.offset = param(&x->request, "from", 0);
	x->response.length =
	    param(&x->request, "n", t->fx->file_bytes - x->response.offset);
	http_exchange_respond(x);
}

static void
task_free(void *arg)
{
	struct task *t = arg;

	hasher_free(&t->hasher);
	free(t);
}

static void
route(struct http_exchange *x)
{
	struct span path = x->request.path;

	if (span_is(path, "/bytes"))
		answer_bytes(x);
	else if (span_is(path, "/echo"))
		http_exchange_collect(x, 1 << 20, echo_collected);
	else if (span_is(path, "/sink"))
		sink(x);
	else if (span_is(path, "/work"))
		http_exchange_offload(x, work, work_done);
	else if (span_is(path, "/who"))
		who(x);
	else if (span_is(path, "/authorization"))
		answer(
		    x, 200, http_request_header(&x->request, "Authorization"));
	else if (span_is(path, "/file"))
		file(x);
	else if (span_is(path, "/ignore"))
		answer(x, 401, SPAN("no"));
	else if (span_is(path, "/split")) {
		http_response_header(
		    &x->response, "X-Bad", SPAN("a\r\nX-Injected: b"));
		answer(x, 200, SPAN("fine"));
	} else
		answer(x, 404, SPAN("no such route"));
}

static void
on_request(struct http_exchange *x, void *arg)
{
	struct fixture *fx = arg;
	struct task *t = xcalloc(1, sizeof(*t));

	t->fx = fx;
	t->calling = true;
	x->app = t;
	arena_defer(&x->arena, task_free, t);
	atomic_fetch_add(&fx->requests, 1);
	route(x);
	t->calling = false;
}

static void
on_done(struct http_exchange *x, const struct http_outcome *o, void *arg)
{
	struct fixture *fx = arg;
	struct task *t = x->app;

	must(t == NULL || !t->calling);
	must(o->duration_us >= 0);
	atomic_store(&fx->status, o->status);
	atomic_store(&fx->bytes_in, o->bytes_in);
	atomic_store(&fx->bytes_out, o->bytes_out);
	if (o->aborted)
		atomic_fetch_add(&fx->aborts, 1);
	atomic_fetch_add(&fx->dones, 1);
}

static void
on_refuse(struct http_exchange *x, const char *why, void *arg)
{
	struct fixture *fx = arg;

	must(x->app == NULL && x->request.path.p[0] == '/');
	atomic_fetch_add(&fx->refusals, 1);
	http_response_memory(&x->response, "text/plain", span_of(why));
}

void
fixture_init(struct fixture *fx)
{
	memset(fx, 0, sizeof(*fx));
	(void)snprintf(fx->dir, sizeof(fx->dir), "/tmp/http-test-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	fx->listeners[0] =
	    (struct http_listener_config){ .address = "127.0.0.1:0" };
	fx->config = (struct http_server_config){
		.listeners = fx->listeners,
		.n_listeners = 1,
		.loops = 2,
		.workers = 8,
		.limits = { .header_bytes = 16384,
		    .headers = 100,
		    .uri_bytes = 8192,
		    .connections = 1000,
		    .idle_ms = 600000,
		    .header_ms = 600000,
		    .body_ms = 600000,
		    .upload_buffers = 8 },
		.app = { on_request, on_done, on_refuse, fx },
	};
}

void
fixture_start(struct fixture *fx)
{
	if (http_server_start(&fx->config, fx->why, &fx->server) != RC_OK)
		fail_msg("%s", fx->why);
}

void
fixture_stop(struct fixture *fx, int64_t timeout_ms)
{
	http_server_stop(&fx->server, timeout_ms);
}

void
fixture_fini(struct fixture *fx)
{
	char command[128];
	size_t i;

	fixture_stop(fx, 5000);
	for (i = 0; i < FIXTURE_LISTENERS; i++) {
		free((char *)(uintptr_t)fx->listeners[i].cert_file);
		free((char *)(uintptr_t)fx->listeners[i].key_file);
		free((char *)(uintptr_t)fx->listeners[i].client_ca_file);
	}
	(void)snprintf(command, sizeof(command), "rm -rf %s", fx->dir);
	assert_int_equal(system(command), 0);
}

static void
write_pem(const char *path, EVP_PKEY *key, X509 *cert)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (cert != NULL)
		assert_int_equal(PEM_write_X509(f, cert), 1);
	else
		assert_int_equal(
		    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}

void
fixture_new_certificate(struct fixture *fx, size_t i)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	static long serial;

	assert_non_null(key);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	write_pem(fx->listeners[i].key_file, key, NULL);
	write_pem(fx->listeners[i].cert_file, NULL, cert);
	X509_free(cert);
	EVP_PKEY_free(key);
}

void
fixture_tls(struct fixture *fx, size_t i)
{
	struct http_listener_config *l = &fx->listeners[i];

	l->tls = true;
	l->cert_file = xasprintf("%s/cert%zu.pem", fx->dir, i);
	l->key_file = xasprintf("%s/key%zu.pem", fx->dir, i);
	fixture_new_certificate(fx, i);
}

unsigned char
fixture_file_byte(size_t i)
{
	return ((unsigned char)(i * 7 + i / 256));
}

void
fixture_file(struct fixture *fx, size_t n_bytes)
{
	unsigned char *p = xmalloc(n_bytes);
	size_t i;
	int fd;

	for (i = 0; i < n_bytes; i++)
		p[i] = fixture_file_byte(i);
	(void)snprintf(fx->file, sizeof(fx->file), "%s/file", fx->dir);
	fd = open(fx->file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, p, n_bytes), n_bytes);
	/* Out of the page cache, so that it has to be read ahead. */
	(void)fdatasync(fd);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)close(fd);
	fx->file_bytes = n_bytes;
	free(p);
}

bool
fixture_settle(atomic_uint *counter, unsigned n)
{
	int64_t start = now_ms();

	while (
	    atomic_load(counter) != n && now_ms() - start < FIXTURE_PATIENCE_MS)
		sleep_ms(5);
	return (atomic_load(counter) == n);
}

bool
fixture_connections(const struct fixture *fx, unsigned n)
{
	struct http_server_stats st;
	int64_t start = now_ms();

	http_server_stats(fx->server, &st);
	while (st.connections != n && now_ms() - start < FIXTURE_PATIENCE_MS) {
		sleep_ms(5);
		http_server_stats(fx->server, &st);
	}
	return (st.connections == n);
}

static int
connect_unix(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return (fd);
}

static int
connect_inet(const char *url)
{
	const char *host = strstr(url, "://") + 3, *colon = strrchr(url, ':');
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	uint64_t port;
	int fd;

	must(num_u64(span_of(colon + 1), 65535, &port) == RC_OK);
	in.sin_port = in6.sin6_port = htons((uint16_t)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (*host == '[') {
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
		    connect(fd, (struct sockaddr *)&in6, sizeof(in6)), 0);
	} else {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
		    connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	}
	return (fd);
}

int
client_connect(struct fixture *fx, size_t listener)
{
	const char *url = http_server_url(fx->server, listener);
	struct timeval tv = { .tv_sec = FIXTURE_PATIENCE_MS / 1000 };
	int fd;

	if (strncmp(url, "unix:", 5) == 0)
		fd = connect_unix(url + 5);
	else
		fd = connect_inet(url);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return (fd);
}

void
client_send(int fd, const void *p, size_t n)
{
	size_t at = 0;
	ssize_t put;

	while (at < n) {
		put = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
		if (put <= 0)
			fail_msg("send: %s", strerror(errno));
		at += (size_t)put;
	}
}

void
client_say(int fd, const char *text)
{
	client_send(fd, text, strlen(text));
}

char *
client_read(int fd, size_t *n_r)
{
	size_t n = 0, room = 65536;
	char *p = xmalloc(room + 1);
	ssize_t got;

	while ((got = recv(fd, p + n, room - n, 0)) > 0) {
		n += (size_t)got;
		if (n == room)
			p = xrealloc(p, (room *= 2) + 1);
	}
	p[n] = '\0';
	if (got == -1)
		fail_msg(
		    "recv after %zu bytes: %s\n%.2000s", n, strerror(errno), p);
	if (n_r != NULL)
		*n_r = n;
	return (p);
}

static size_t
body_length(const char *head)
{
	const char *p = strcasestr(head, "\r\nContent-Length: ");
	struct span s;
	uint64_t n;

	if (p == NULL)
		return (0);
	s.p = p + strlen("\r\nContent-Length: ");
	s.n = strcspn(s.p, "\r");
	must(num_u64(s, SIZE_MAX, &n) == RC_OK);
	return ((size_t)n);
}

char *
client_answer(int fd)
{
	size_t n = 0, want = 4, room = 65536;
	char *p = xcalloc(1, room + 1), *end;
	bool head = true;
	ssize_t got;

	/* Byte by byte up to the body: what is behind is another answer's. */
	while (n < want) {
		got = recv(fd, p + n, head ? 1 : want - n, 0);
		if (got <= 0)
			fail_msg("no whole answer: %s\n%s",
			    got == 0 ? "closed" : strerror(errno), p);
		n += (size_t)got;
		p[n] = '\0';
		end = head ? strstr(p, "\r\n\r\n") : NULL;
		if (end == NULL) {
			want = head ? n + 1 : want;
			continue;
		}
		head = false;
		want = n + body_length(p);
		if (want > room)
			p = xrealloc(p, (room = want) + 1);
	}
	return (p);
}

char *
client_talk(struct fixture *fx, const char *text)
{
	int fd = client_connect(fx, 0);
	char *p;

	client_say(fd, text);
	p = client_read(fd, NULL);
	(void)close(fd);
	return (p);
}
