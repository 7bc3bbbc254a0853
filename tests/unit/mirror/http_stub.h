#ifndef TESTS_MIRROR_HTTP_STUB_H
#define TESTS_MIRROR_HTTP_STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A little HTTP server on loopback, with a thread for each connection, that
 * does what a test tells it, also what no server should.
 */
struct stub;

struct stub_request {
	struct stub *stub;
	void *arg;	     /* the test's */
	unsigned number;     /* of the request, from 0 */
	unsigned connection; /* that it came by, from 0 */
	char method[16];
	char target[4096];
	char *head; /* lines, each with CRLF */
	char *body; /* with a NUL behind it */
	size_t body_n;
	bool close; /* the connection, when it has been answered */
	struct stub_conn *conn;
};

struct stub_options {
	/* Answers, on the connection's thread. */
	void (*serve)(struct stub_request *);
	/* Before the body is read; true: it has answered, and the connection
	 * ends.  May be NULL. */
	bool (*early)(struct stub_request *);
	void *arg;
	const char *unix_path; /* instead of a port */
	bool tls;	       /* with a certificate of its own */
};

struct stub *stub_start(const struct stub_options *);
/** stub_stop(s): cuts what is open, and ends all threads. */
void stub_stop(struct stub **);

/** stub_url(s): "http://127.0.0.1:PORT". */
const char *stub_url(const struct stub *);
int stub_port(const struct stub *);
/** stub_ca(s): the file with the certificate to trust; with .tls. */
const char *stub_ca(const struct stub *);
unsigned stub_connections(struct stub *);
unsigned stub_requests(struct stub *);
/** stub_count(s, text): requests whose line or head has ${text} in it. */
unsigned stub_count(struct stub *, const char *text);
/** stub_sent(s): bytes that were handed to the system. */
uint64_t stub_sent(struct stub *);

/** stub_header(r, name, out, n): "" when it is not there; returns ${out}. */
const char *
stub_header(const struct stub_request *, const char *name, char *out, size_t n);

/** stub_answer(r, status, headers, body): ${headers}: lines with CRLF, or "";
 * with the body's Content-Length, which HEAD gets, too. */
void stub_answer(
    struct stub_request *, int status, const char *headers, const char *body);
void stub_answer_bytes(struct stub_request *, int status, const char *headers,
    const void *p, size_t n);
/** stub_raw(r, p, n): false: the other side has gone. */
bool stub_raw(struct stub_request *, const void *p, size_t n);
void stub_text(struct stub_request *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** stub_stall(r, ms): say nothing for so long, or until it is stopped. */
void stub_stall(struct stub_request *, unsigned ms);

/** pattern_fill(p, n, offset): bytes that tell where they stand. */
void pattern_fill(void *p, size_t n, uint64_t offset);
bool pattern_ok(const void *p, size_t n, uint64_t offset);

/** nap_ms(ms): sleep. */
void nap_ms(unsigned ms);

#endif
