#ifndef TESTS_HTTP_FIXTURE_H
#define TESTS_HTTP_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registryd/http/server.h"

/*
 * A server with an application that does what the path of a request says, and
 * blocking clients for it.
 *
 *	/bytes?n=N       N times 'x'
 *	/echo            collect up to 1 MiB and send it back; a failure answers
 *	                 400 and its name
 *	/sink?max=N      stream; answers "BYTES DIGEST" or the failure's name
 *	/sink?ms=N       each write takes so long
 *	/sink?fail=N     write number N fails with RC_NOSPACE
 *	/ignore          401 without looking at the body
 *	/work?ms=N       so long on a worker
 *	/work?held=1     on a worker until ${let_go}
 *	/who             host, scheme, client and the name in its certificate,
 *	                 if any, as the application sees them
 *	/authorization   what the header of that name says
 *	/file?from=N&n=N of the fixture's file
 *	/split           a header that would break out of its line
 */
#define FIXTURE_LISTENERS 3

struct fixture {
	struct http_server *server;
	struct http_server_config config;
	struct http_listener_config listeners[FIXTURE_LISTENERS];
	char why[HTTP_WHY_BYTES];
	char dir[64];
	char file[96]; /* fixture_file() */
	size_t file_bytes;
	atomic_uint requests, refusals, dones, aborts;
	atomic_int status;
	_Atomic uint64_t bytes_in, bytes_out, sunk;
	atomic_int body_rc; /* of the last body */
	atomic_bool let_go; /* what /work?held=1 waits for */
};

/*
 * How long a test waits for what has to happen.  Only a broken server needs so
 * long, however busy the machine is; the time-outs of the server itself are far
 * longer unless a test sets them.  What is to happen at once is given half of
 * it.
 */
#define FIXTURE_PATIENCE_MS 40000
#define FIXTURE_AT_ONCE_MS 20000

/** One plain listener on a free port, two loops, generous limits. */
void fixture_init(struct fixture *);
void fixture_start(struct fixture *);
void fixture_stop(struct fixture *, int64_t timeout_ms);
/** fixture_fini(fx): stops too. */
void fixture_fini(struct fixture *);

/** fixture_tls(fx, i): listener ${i} speaks TLS, with a new certificate. */
void fixture_tls(struct fixture *, size_t i);
void fixture_new_certificate(struct fixture *, size_t i);
/** fixture_file(fx, n): what /file serves; byte i is (i * 7 + i / 256). */
void fixture_file(struct fixture *, size_t n_bytes);
unsigned char fixture_file_byte(size_t i);

/** fixture_settle(counter, n): wait patiently for it to be ${n}. */
bool fixture_settle(atomic_uint *, unsigned n);
/** fixture_connections(fx, n): wait for the server to have just ${n}. */
bool fixture_connections(const struct fixture *, unsigned n);

/* A client: a blocking socket on which nothing takes longer than patience. */
int client_connect(struct fixture *, size_t listener);
void client_send(int fd, const void *p, size_t n);
void client_say(int fd, const char *text);
/** client_read(fd, n_r): all until the close; the caller frees.  *${n_r} may
 * be NULL.  Fails the test at a reset or when the close does not come. */
char *client_read(int fd, size_t *n_r);
/** client_answer(fd): one answer with its body; the caller frees. */
char *client_answer(int fd);
/** client_talk(fx, text): connect, say, read to the close, close. */
char *client_talk(struct fixture *, const char *text);
int64_t now_ms(void);
void sleep_ms(long ms);

#endif
