#ifndef BENCH_H
#define BENCH_H

/*
 * What the load generators share.  Each of them is one source file and one
 * executable, so this is a header of small inline functions.
 *
 * Two rules: a generator must be cheap, because it runs on the cores that the
 * measured server runs on; and one that meets anything it did not expect says
 * so and exits 1, because a figure with errors in it is no figure.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/span.h"

/* Nobody waits for ever: a peer that is silent for so long has failed. */
#define BENCH_PATIENCE_S 120

static inline void __attribute__((format(printf, 1, 2), noreturn))
bench_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	/* Other threads may be in the middle of anything. */
	_exit(1);
}

static inline uint64_t
bench_number(const char *text, const char *what)
{
	uint64_t n;

	if (num_u64(span_of(text), UINT64_MAX, &n) != RC_OK)
		bench_die("%s: \"%s\" is not a number", what, text);
	return (n);
}

static inline void
bench_need_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

/*
 * A socket towards 127.0.0.1:${port}.  With ${spread} above 1 connection
 * number ${i} comes from one of that many loopback addresses, so that neither
 * ports in TIME_WAIT nor a limit per address is what gets measured.
 */
static inline int
bench_socket(int flags, unsigned spread, uint64_t i)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int fd, on = 1;

	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)) == -1)
		bench_die("socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (spread > 1) {
		setsockopt(
		    fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		from.sin_addr.s_addr =
		    htonl(INADDR_LOOPBACK + 1 + (uint32_t)(i % spread));
		if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == -1)
			bench_die("bind: %s", strerror(errno));
	}
	return (fd);
}

static inline int
bench_connect(int fd, uint16_t port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};

	return (connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

/* As docker, skopeo and podman: no session is ever resumed. */
static inline SSL_CTX *
bench_tls(void)
{
	SSL_CTX *ctx;

	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		bench_die("SSL_CTX_new failed");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, 64 * 1024);
	return (ctx);
}

/* --- a response head ------------------------------------------------------ */

struct bench_head {
	int status;
	size_t bytes; /* of the head, with the empty line */
	bool has_length, close;
	uint64_t length;
	struct span location; /* path and query; in the parsed bytes */
};

static inline void
bench_head_line(struct bench_head *h, struct span line)
{
	struct span name, value = line, slash;

	if (!span_split(&value, ':', &name))
		return;
	value = span_trim(value);
	if (span_eq_nocase(name, SPAN("content-length"))) {
		if (num_u64(value, UINT64_MAX, &h->length) != RC_OK)
			bench_die("a Content-Length that is none");
		h->has_length = true;
	} else if (span_eq_nocase(name, SPAN("connection"))) {
		h->close = span_eq_nocase(value, SPAN("close"));
	} else if (span_eq_nocase(name, SPAN("transfer-encoding"))) {
		bench_die("a chunked answer: none of these needs one");
	} else if (span_eq_nocase(name, SPAN("location"))) {
		slash = value;
		if (span_has_prefix(slash, SPAN("http"))) {
			slash.p += sizeof("https://") - 1;
			slash.n -= sizeof("https://") - 1;
			slash.p = memchr(slash.p, '/', slash.n);
			if (slash.p == NULL)
				bench_die("a Location without a path");
			slash.n = (size_t)(value.p + value.n - slash.p);
		}
		h->location = slash;
	}
}

/* False: more is needed. */
static inline bool
bench_head_parse(const char *p, size_t n, struct bench_head *h)
{
	const char *end;
	struct span rest, line;
	uint64_t status;

	if ((end = memmem(p, n, "\r\n\r\n", 4)) == NULL)
		return (false);
	*h = (struct bench_head){ .bytes = (size_t)(end - p) + 4 };
	rest = (struct span){ p, h->bytes - 2 };
	if (h->bytes < 16 || memcmp(p, "HTTP/1.1 ", 9) != 0 ||
	    num_u64((struct span){ p + 9, 3 }, 599, &status) != RC_OK)
		bench_die("not an answer: %.*s", (int)(n < 80 ? n : 80), p);
	h->status = (int)status;
	(void)span_split(&rest, '\n', &line);
	while (span_split(&rest, '\n', &line))
		bench_head_line(h, span_trim((struct span){
				       line.p, line.n > 0 ? line.n - 1 : 0 }));
	return (true);
}

/* --- a blocking client, keep-alive ---------------------------------------- */

struct bench_client {
	int fd;
	uint16_t port;
	SSL *ssl;
	size_t have;
	char buf[16 * 1024];
	char location[2048];
};

static inline void
bench_client_open(struct bench_client *c, uint16_t port, SSL_CTX *tls,
    unsigned spread, uint64_t i)
{
	struct timeval patience = { .tv_sec = BENCH_PATIENCE_S };

	c->port = port;
	c->fd = bench_socket(0, spread, i);
	c->have = 0;
	c->ssl = NULL;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (bench_connect(c->fd, port) == -1)
		bench_die("connect: %s", strerror(errno));
	if (tls != NULL) {
		if ((c->ssl = SSL_new(tls)) == NULL ||
		    SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
			bench_die("the TLS handshake failed");
	}
}

static inline void
bench_client_close(struct bench_client *c)
{
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	close(c->fd);
}

static inline void
bench_send(struct bench_client *c, const char *p, size_t n, bool more)
{
	ssize_t done;

	while (n > 0) {
		if (c->ssl != NULL)
			done = SSL_write(
			    c->ssl, p, n < INT32_MAX ? (int)n : INT32_MAX);
		else
			done = send(
			    c->fd, p, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
		if (done <= 0)
			bench_die("send: %s", strerror(errno));
		p += done;
		n -= (size_t)done;
	}
}

static inline void
bench_fill(struct bench_client *c)
{
	ssize_t got;

	if (c->ssl != NULL)
		got = SSL_read(
		    c->ssl, c->buf + c->have, (int)(sizeof(c->buf) - c->have));
	else
		got =
		    recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, 0);
	if (got <= 0)
		bench_die("the server hung up: %s",
		    got < 0 ? strerror(errno) : "end of stream");
	c->have += (size_t)got;
}

/*
 * Take one answer with its body off the connection; its status must be
 * ${want}.  c->location is kept from the last answer that had one.
 */
static inline void
bench_answer(struct bench_client *c, int want, bool to_head)
{
	struct bench_head h;
	uint64_t left;
	size_t here;

	while (!bench_head_parse(c->buf, c->have, &h)) {
		if (c->have == sizeof(c->buf))
			bench_die("an overlong head");
		bench_fill(c);
	}
	if (h.status != want)
		bench_die("wanted %d, got: %.*s", want, (int)c->have, c->buf);
	if (h.close)
		bench_die("the server closes a kept connection");
	if (h.location.n > 0)
		snprintf(c->location, sizeof(c->location), SPAN_FMT,
		    SPAN_ARG(h.location));
	left = to_head || want == 204 ? 0 : h.length;
	here = h.bytes;
	while (left > c->have - here) {
		left -= c->have - here;
		c->have = here = 0;
		bench_fill(c);
	}
	here += left;
	memmove(c->buf, c->buf + here, c->have - here);
	c->have -= here;
}

/* --- content never seen before -------------------------------------------- */

/*
 * A blob of a size is one random MiB over and over, and at its end a stamp
 * that no other blob has.  So it costs the sender nothing to make, and its
 * digest next to nothing: the state of the hash before the stamp is kept.  The
 * receiver has no such comfort.
 */
#define BENCH_BLOCK_BYTES ((size_t)1 << 20)
#define BENCH_STAMP_BYTES 64
#define BENCH_DIGEST_BYTES 72 /* "sha256:" and 64 digits and a NUL */

struct bench_content {
	uint64_t size;
	char *block;
	EVP_MD_CTX *prefix;
	uint64_t seed;
};

static inline void
bench_block_fill(char *block)
{
	uint64_t x = 88172645463325252u;
	size_t i;

	for (i = 0; i < BENCH_BLOCK_BYTES; i += sizeof(x)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(block + i, &x, sizeof(x));
	}
}

static inline void
bench_content_init(struct bench_content *c, uint64_t size)
{
	uint64_t left, n;

	if (size < BENCH_STAMP_BYTES)
		bench_die("a blob has at least %d bytes", BENCH_STAMP_BYTES);
	c->size = size;
	c->block = xmalloc(BENCH_BLOCK_BYTES);
	bench_block_fill(c->block);
	if (getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed) ||
	    (c->prefix = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(c->prefix, EVP_sha256(), NULL) != 1)
		bench_die("no digest to be had");
	for (left = size - BENCH_STAMP_BYTES; left > 0; left -= n) {
		n = left < BENCH_BLOCK_BYTES ? left : BENCH_BLOCK_BYTES;
		EVP_DigestUpdate(c->prefix, c->block, n);
	}
}

static inline void
bench_stamp(const struct bench_content *c, uint64_t serial,
    char stamp[BENCH_STAMP_BYTES + 1])
{
	snprintf(stamp, BENCH_STAMP_BYTES + 1, "%016llx %046llx\n",
	    (unsigned long long)c->seed, (unsigned long long)serial);
}

static inline void
bench_digest_text(EVP_MD_CTX *ctx, char out[BENCH_DIGEST_BYTES])
{
	uint8_t md[32];

	EVP_DigestFinal_ex(ctx, md, NULL);
	memcpy(out, "sha256:", 7);
	hex_encode(md, sizeof(md), out + 7);
}

/* ${ctx} is the caller's scratch: one for each thread. */
static inline void
bench_content_digest(const struct bench_content *c, EVP_MD_CTX *ctx,
    const char *stamp, char out[BENCH_DIGEST_BYTES])
{
	EVP_MD_CTX_copy_ex(ctx, c->prefix);
	EVP_DigestUpdate(ctx, stamp, BENCH_STAMP_BYTES);
	bench_digest_text(ctx, out);
}

static inline void
bench_text_digest(
    EVP_MD_CTX *ctx, const char *text, size_t n, char out[BENCH_DIGEST_BYTES])
{
	EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	EVP_DigestUpdate(ctx, text, n);
	bench_digest_text(ctx, out);
}

/* The blob's bytes, behind a head that is still held back by MSG_MORE. */
static inline void
bench_content_send(
    const struct bench_content *c, struct bench_client *to, const char *stamp)
{
	uint64_t left, n;

	for (left = c->size - BENCH_STAMP_BYTES; left > 0; left -= n) {
		n = left < BENCH_BLOCK_BYTES ? left : BENCH_BLOCK_BYTES;
		bench_send(to, c->block, n, true);
	}
	bench_send(to, stamp, BENCH_STAMP_BYTES, false);
}

/* --- uploads -------------------------------------------------------------- */

/* Open an upload session; c->location is it. */
static inline void
bench_upload_open(struct bench_client *c, const char *repository)
{
	char head[1024];
	int n;

	n = snprintf(head, sizeof(head),
	    "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\n"
	    "Host: 127.0.0.1:%u\r\nContent-Length: 0\r\n\r\n",
	    repository, c->port);
	bench_send(c, head, (size_t)n, false);
	bench_answer(c, 202, false);
}

/* The head of a PATCH (no digest) or of the PUT that ends the session. */
static inline void
bench_upload_head(struct bench_client *c, const char *method,
    const char *digest, uint64_t length)
{
	char head[4096];
	int n;

	n = snprintf(head, sizeof(head),
	    "%s %s%s%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "Content-Type: application/octet-stream\r\n"
	    "Content-Length: %llu\r\n\r\n",
	    method, c->location,
	    digest == NULL		       ? ""
	    : strchr(c->location, '?') != NULL ? "&digest="
					       : "?digest=",
	    digest == NULL ? "" : digest, c->port, (unsigned long long)length);
	bench_send(c, head, (size_t)n, length > 0);
}

/* --- figures -------------------------------------------------------------- */

struct bench_times {
	uint32_t *us;
	size_t n, room;
};

static inline void
bench_times_add(struct bench_times *t, int64_t ns)
{
	int64_t us = ns / 1000;

	if (t->n == t->room) {
		t->room = t->room > 0 ? 2 * t->room : 4096;
		t->us = xrealloc(t->us, t->room * sizeof(t->us[0]));
	}
	t->us[t->n++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static inline void
bench_times_join(struct bench_times *all, struct bench_times *part)
{
	if (all->n + part->n > all->room) {
		all->room = all->n + part->n;
		all->us = xrealloc(all->us, all->room * sizeof(all->us[0]));
	}
	if (part->n > 0)
		memcpy(
		    all->us + all->n, part->us, part->n * sizeof(part->us[0]));
	all->n += part->n;
	free(part->us);
}

static inline int
bench_times_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return ((x > y) - (x < y));
}

/* The members p50, p90, p99 and max of a JSON object, in microseconds. */
static inline void
bench_times_print(struct bench_times *t)
{
	size_t last = t->n > 0 ? t->n - 1 : 0;
	uint32_t none = 0, *us = t->n > 0 ? t->us : &none;

	if (t->n > 0)
		qsort(us, t->n, sizeof(us[0]), bench_times_order);
	printf("\"p50\": %u, \"p90\": %u, \"p99\": %u, \"max\": %u",
	    us[last / 2], us[last * 90 / 100], us[last * 99 / 100], us[last]);
}

#endif
