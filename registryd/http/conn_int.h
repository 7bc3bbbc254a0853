#ifndef HTTP_CONN_INT_H
#define HTTP_CONN_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "registryd/http/chunked.h"
#include "registryd/http/exchange.h"
#include "registryd/http/head.h"
#include "registryd/http/hub_int.h"
#include "registryd/http/tls.h"
#include "registryd/net/addr.h"
#include "registryd/net/bufpool.h"
#include "registryd/net/deadline.h"
#include "registryd/net/io.h"
#include "registryd/net/loop.h"
#include "registryd/net/workers.h"

/*
 * A connection.
 *
 * It lives on one loop and is always in one of the states below.  Each state
 * has one function, which does what can be done at once and says how it went:
 * STEP_MORE, go on with the state that now is; STEP_WAIT, something was
 * arranged that will run the connection again (readiness, a deadline, a
 * worker, the application); STEP_GONE, the connection is to be destroyed.
 * conn_run() is the only driver, and conn_destroy() the only way to die.
 *
 *   HANDSHAKE -> HEAD -> APP <-> COLLECT | STREAM | OFFLOAD | PARKED
 *                 ^       |
 *                 |     ANSWER -> SEND -> FILE -> FINISH
 *                 +----------------------------------+-> DRAIN -> CLOSE
 *
 * APP is where the application has the exchange: every callback is made from
 * there, and what it asks for changes the state.
 *
 * An idle connection is this struct alone; everything else is a struct msg,
 * which exists from the first byte of a request to the end of its answer.
 */
#define CONN_STATES(S) \
	S(HANDSHAKE, step_handshake) \
	S(HEAD, step_head) \
	S(APP, step_app) \
	S(COLLECT, step_collect) \
	S(STREAM, step_stream) \
	S(OFFLOAD, step_offload) \
	S(PARKED, step_parked) \
	S(ANSWER, step_answer) \
	S(SEND, step_send) \
	S(FILE, step_file) \
	S(FINISH, step_finish) \
	S(DRAIN, step_drain) \
	S(CLOSE, step_close)

enum conn_state {
#define S(name, fn) CONN_##name,
	CONN_STATES(S)
#undef S
};

enum step { STEP_MORE, STEP_WAIT, STEP_GONE };

#define CONN_MAGIC 0x436f6e6eu

struct http_conn {
	unsigned magic;
	int fd;
	uint8_t state;	  /* enum conn_state */
	uint8_t interest; /* IO_* that io watches; 0: not yet */
	bool readable;	  /* a read might give something */
	bool writable;	  /* a write might take something */
	bool dry;	  /* the last read has probably taken all */
	bool hangup;	  /* the peer sends no more */
	bool gone;	  /* the peer cannot be talked to any more */
	bool timed_out;
	bool running;	/* conn_run() is on the stack */
	bool kicked;	/* task is in the loop's list */
	bool dead;	/* destroyed, but for the task */
	bool closing;	/* no request after this one */
	bool unread;	/* the peer may be sending what nobody will read */
	bool counted;	/* in the caps */
	bool idle;	/* counted as such */
	bool has_name;	/* peer_name is filled in */
	unsigned turns; /* requests since the loop last had its turn */
	unsigned listener;
	size_t drained;
	struct hub *hub;
	struct io *io;
	struct tls *tls; /* or NULL */
	struct msg *msg; /* or NULL */
	struct deadline deadline;
	struct loop_task task;
	LIST_ENTRY(http_conn) link;
	struct addr peer;
	char peer_name[ADDR_TEXT_BYTES];
};

/* A body that is gathered. */
struct collect {
	struct http_server *server; /* which counts what is gathered */
	char *p;
	size_t n, room, max;
};

struct stream;

/* Bytes on their way out. */
struct out {
	struct span head; /* with what of the body was put behind it */
	struct span rest; /* of a body in memory */
	bool in_scratch;  /* head lies in the hub's scratch memory */
};

#define MSG_MAGIC 0x4d657367u

/* A request, its exchange and its answer. */
struct msg {
	struct http_exchange x; /* first: an exchange is its message */
	unsigned magic;
	struct msg *next_free;
	size_t total_bytes; /* of this, headers and bytes included */
	size_t room;	    /* of bytes */
	size_t n;	    /* bytes that have arrived */
	size_t pos;	    /* of them used up */
	bool unjudged;	    /* they have not been looked at */
	size_t max_headers;
	int64_t start_ns;
	struct head head;

	/* body in */
	struct chunked chunked;
	uint64_t body_left; /* HTTP_BODY_LENGTH */
	uint64_t body_in;
	bool body_ended;
	bool continued; /* 100 Continue was sent, or is not needed */

	/* what the application waits for */
	http_body_fn *body_fn;
	uint64_t body_max;
	struct collect *collect;
	struct stream *stream;
	http_exchange_fn *work, *then;
	struct job job;
	struct loop_task job_done;
	bool job_out, job_back; /* also of one that waits to be woken */

	/* body out */
	struct out out;
	uint64_t body_out;
	uint64_t warm_until;   /* file offset up to which pages are in memory */
	uint64_t follow_until; /* file offset up to which it may be sent */
	bool pages_unknown;    /* the filesystem cannot tell */
	bool complete;	       /* the whole answer was handed to the kernel */
	bool refused;

	char client[ADDR_TEXT_BYTES];
	struct http_header *headers;
	char *bytes;
};

static inline struct msg *
msg_of(struct http_exchange *x)
{
	return ((struct msg *)(void *)x);
}

/* conn.c: the life of a connection */

/** conn_start(hub, arrival): the descriptor is the connection's. */
void conn_start(struct hub *, const struct arrival *);
/** conn_run(c): go on; ${c} may be gone afterwards. */
void conn_run(struct http_conn *);
/** conn_go(c, state): from a call of the application. */
void conn_go(struct http_conn *, enum conn_state);
/** conn_kick(c): run in the next turn of the loop. */
void conn_kick(struct http_conn *);
/** conn_wait(c, interest): wait for readiness. */
enum step conn_wait(struct http_conn *, unsigned interest);
/** conn_arm(c, kind): a deadline from now on; conn_keep: unless it is of that
 * kind already; conn_disarm: none. */
void conn_arm(struct http_conn *, enum wait_kind);
void conn_keep(struct http_conn *, enum wait_kind);
void conn_disarm(struct http_conn *);
void conn_set_idle(struct http_conn *, bool idle);

/* conn_io.c: bytes, with or without TLS */

/** conn_recv(c, p, n): bytes read; 0 when there are none now, or c->gone. */
size_t conn_recv(struct http_conn *, void *p, size_t n);
/** conn_send(c, iov, n, more): bytes taken; 0 when none can be now, or
 * c->gone.  ${more}: more follows at once. */
size_t conn_send(struct http_conn *, const struct span *, size_t n, bool more);

/* conn_head.c */
struct msg *msg_take(struct hub *);
void msg_release(struct hub *, struct msg *);
/** conn_refuse(c, status, why): answer with an error and close. */
enum step conn_refuse(struct http_conn *, int status, const char *why);

/* conn_body.c */
enum body_result {
	BODY_DATA, /* some */
	BODY_END,
	BODY_WAIT, /* nothing now */
	BODY_BAD,  /* framing */
	BODY_GONE,
	BODY_FULL, /* no memory for more of it */
};
/** body_begin(m): after the head. */
void body_begin(struct msg *);
/** body_continue(c): the application wants the body. */
void body_continue(struct http_conn *);
/** body_read(c, p, room, n_r): the next part of the body, decoded. */
enum body_result
body_read(struct http_conn *, char *p, size_t room, size_t *n_r);
/** body_skip(c): pass over what is here already; true: that was the rest. */
bool body_skip(struct http_conn *);
/** body_whole(c, body_r): the whole body stands behind the head already, as
 * it is; it is used up. */
bool body_whole(struct http_conn *, struct span *body_r);

/* conn_offload.c */
/** msg_submit(m, w, work): run ${work} on a worker, and the connection when
 * that is done; then msg_job_returned() tells, once. */
void msg_submit(struct msg *, struct workers *, http_exchange_fn *work);
bool msg_job_returned(struct msg *);
/** msg_park(m): http_exchange_wake() will be called; then msg_job_returned()
 * tells, once.  msg_unpark(m): it will not be called after all. */
void msg_park(struct msg *);
void msg_unpark(struct msg *);

/* conn_follow.c */
/** follow_allow(c, m, n): how many of the next ${n} bytes of the file may be
 * sent; 0: none now (the message is parked), or never (c->gone). */
uint64_t follow_allow(struct http_conn *, struct msg *, uint64_t n);
/** follow_end(m): whatever becomes of the answer; once, or more often. */
void follow_end(struct msg *);

/* conn_stream.c */
void stream_flush_due(struct deadline *, void *hub);

/* the states, each where it belongs */
#define S(name, fn) enum step fn(struct http_conn *);
CONN_STATES(S)
#undef S

#endif
