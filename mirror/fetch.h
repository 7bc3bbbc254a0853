#ifndef MIRROR_FETCH_H
#define MIRROR_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * HTTP requests to others, on one thread that runs libcurl's multi interface.
 * Whoever asks reads the answer as a stream: between the two threads stands a
 * ring of FETCH_RING_BYTES, and when it is full the transfer is paused, so
 * that memory is bounded whatever the size of the body and a slow disk slows
 * the sender down.  HTTP/1.1 only: several connections are faster than one.
 * Redirects are not followed here, and no answer is an error here: who asked
 * sees the status.
 */
#define FETCH_RING_BYTES ((size_t)512 * 1024)
#define FETCH_HEAD_MAX_BYTES ((size_t)64 * 1024)
#define FETCH_WHY_BYTES 512

struct fetcher;
struct fetch;

/** fetcher_new(f_r): starts the thread.  RC_LIMIT. */
RC_MUST_USE enum rc fetcher_new(struct fetcher **f_r);

/** fetcher_stop(f): what goes on ends with RC_CANCELLED, and so does all that
 * is asked for from now on.  Does not wait.  Any thread. */
void fetcher_stop(struct fetcher *);

/** fetcher_free(f): stops; every fetch has been closed.  Takes NULL. */
void fetcher_free(struct fetcher **);

/* All is copied, or used up, by fetch_open(). */
struct fetch_request {
	const char *method;	 /* "GET" */
	const char *url;	 /* http or https */
	const char *unix_socket; /* the path of one to connect to; NULL: none */
	const char *const *headers; /* "Name: value" */
	size_t n_headers;
	/* A body: in memory, or with .streams by fetch_write(). */
	struct span body;
	bool streams;
	uint64_t body_bytes; /* of .streams; UINT64_MAX: chunked */
	const char *ca_file; /* PEM, instead of the system's; NULL */
	const char *proxy;   /* NULL: of the environment (http_proxy, ...,
				no_proxy); "": none */
	/* Signature Version 4 by libcurl: "aws:amz:REGION:SERVICE", else NULL */
	const char *sigv4;
	const char *access_key_id, *secret_access_key, *session_token;
	int64_t connect_ms; /* at most, with TLS */
	int64_t stall_ms;   /* without a byte either way, while we wait */
	int64_t answer_ms;  /* the same behind a streamed body, for the answer;
			       0: stall_ms */
	const atomic_bool *cancel; /* ends it with RC_CANCELLED; or NULL; lives
				      until the fetch is closed */
};

/**
 * fetch_open(f, request, f_r, why):
 * Begin; with a streamed body returns at once, else when the head of the
 * answer is here.  RC_INVALID: not a URL that may be asked for; RC_IO: no
 * connection, or it broke; RC_DENIED: the certificate is not trusted; RC_TIMEOUT;
 * RC_CANCELLED; RC_LIMIT: out of memory or descriptors; ${why} names host and
 * reason, never a secret.
 */
RC_MUST_USE enum rc fetch_open(struct fetcher *, const struct fetch_request *,
    struct fetch **f_r, char why[FETCH_WHY_BYTES]);

/** fetch_write(f, p, n): of a streamed body; waits for room.  RC_EXISTS: the
 * answer is here before all was sent: read it.  Other codes as fetch_open. */
RC_MUST_USE enum rc fetch_write(struct fetch *, const void *p, size_t n);

/** fetch_answer(f, why): the end of a streamed body; waits for the head. */
RC_MUST_USE enum rc fetch_answer(struct fetch *, char why[FETCH_WHY_BYTES]);

/* Of the answer, once its head is here; spans live with the fetch. */
int fetch_status(const struct fetch *);
/** fetch_header(f, name): the first of that name (any case); .p NULL: none. */
struct span fetch_header(const struct fetch *, const char *name);
/** fetch_next_header(f, name, i): the same from index *${i} on, moved behind
 * it: for headers that come several times. */
struct span
fetch_next_header(const struct fetch *, const char *name, size_t *i);
/** fetch_length(f): of the body; UINT64_MAX: not said. */
uint64_t fetch_length(const struct fetch *);

/** fetch_read(f, p, room, n_r, why): some bytes of the body; 0: its end, as the
 * framing says it.  RC_IO: it broke off before; RC_TIMEOUT: stalled. */
RC_MUST_USE enum rc fetch_read(struct fetch *, void *p, size_t room,
    size_t *n_r, char why[FETCH_WHY_BYTES]);

/** fetch_close(f): with what was not read; the connection is kept for the next
 * request when nothing is left on it.  Takes NULL. */
void fetch_close(struct fetch **);

#endif
