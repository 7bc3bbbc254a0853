#ifndef MIRROR_UPSTREAM_INT_H
#define MIRROR_UPSTREAM_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "mirror/upstream.h"
#include "mirror/url.h"

/*
 * The files of the upstream client:
 *
 *	upstream.c	    the set of upstreams, what is known of one
 *	upstream_gate.c	    who may ask now, and who waits
 *	upstream_auth.c	    challenges, credentials
 *	upstream_token.c    tokens
 *	upstream_aws.c	    the ECR API: passwords that expire
 *	upstream_send.c	    one request with its redirects and its tries
 *	upstream_error.c    what went wrong, in words
 *	upstream_manifest.c, upstream_list.c, upstream_blob.c, upstream_push.c
 *
 * Lock: ->lock of an upstream, held for looking and changing only; nobody
 * sleeps with it but on ->changed.
 */
#define UPSTREAM_MAGIC 0x75707374U
#define UPSTREAMS_MAGIC 0x75707373U

#define UPSTREAM_NS_PER_MS INT64_C(1000000)

struct upstreams {
	unsigned magic;
	struct upstreams_options options;
	char *user_agent;
	pthread_mutex_t lock;
	struct upstream *first; /* each with a reference of the set's */
};

/* A token, by what it is good for. */
struct token {
	struct token *next;
	char *key;  /* realm, service and scope, a line each */
	char *text; /* of the Authorization header, from "Bearer"; or NULL */
	int64_t until_ns;
	bool asked;	  /* somebody is asking for it */
	unsigned waiters; /* for that */
	unsigned answers; /* counts */
	enum rc rc;	  /* of the last answer */
	struct upstream_error error;
};

/* What requests of a kind were told to show. */
struct want {
	struct want *next;
	char *text; /* "pull library/alpine" */
	char *key;
};

enum upstream_side { SIDE_READ, SIDE_SEND, SIDES };

struct upstream {
	unsigned magic;
	struct upstreams *set;
	_Atomic unsigned refs;
	struct upstream *next; /* in the set */
	struct arena arena;    /* of .options */
	struct upstream_options options;
	struct url url;
	char *credential; /* its name */
	char *mark;	  /* or NULL */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	unsigned busy[SIDES]; /* connections */
	unsigned bulk;	      /* of those for reading, with a blob */
	int64_t request_ns;   /* when the next request may go */
	int64_t bytes_ns;     /* when the bytes so far may have come */
	int64_t not_before_ns;
	unsigned refusals; /* 429s in a row */
	char *basic;	   /* of the Authorization header; or NULL */
	bool aws;	   /* its password comes of the ECR API */
	char *aws_password;
	int64_t aws_until_ns;
	bool aws_asking; /* somebody is */
	struct token *tokens;
	size_t n_tokens;
	struct want *wants;
	size_t n_wants;
	struct upstream_state state;
};

/* How long somebody still waits. */
struct pace {
	struct upstream_wait wait;
	int64_t until_ns;
	unsigned tries;	  /* that failed in a row */
	const char *what; /* "manifest latest of library/alpine" */
};

/* A request. */
struct ask {
	const char *method;
	const char *url;
	const char *want; /* what a token has to be good for; NULL: none is
			     shown */
	const char *headers[6];
	size_t n_headers;
	struct span body;
	const char *authorization; /* instead of the upstream's, for the
				      origin of ${url}; or NULL */
	enum upstream_side side;
	bool apart;	   /* takes no connection of the upstream's: tokens */
	bool bulk;	   /* the content of a blob: may take long */
	int64_t answer_ms; /* of struct fetch_request */
	/* Signed, see fetch.h. */
	const char *sigv4, *access_key_id, *secret_access_key;
};

#define ANSWER_CODE_BYTES 64
struct answer {
	struct upstream *u;
	struct fetch *f;
	struct url url; /* where it came from in the end */
	bool slot, bulk;
	enum upstream_side side;
	int status;
	/* Of an answer that is an error. */
	char code[ANSWER_CODE_BYTES];
	bool has_size; /* of 416 */
	uint64_t size_bytes;
};

/* --- gate --- */
/** pace_begin(p, wait, what): ${what} for texts; it lives as long. */
void pace_begin(struct pace *, const struct upstream_wait *, const char *what);
/** pace_renew(p): something arrived. */
void pace_renew(struct pace *);
int64_t pace_left_ms(const struct pace *);
bool pace_cancelled(const struct pace *);
/** pace_again(u, p, at_least_ms): sleep before the next try; false: there is
 * not enough patience for one, or it was cancelled. */
bool pace_again(struct upstream *, struct pace *, int64_t at_least_ms);
/** gate_enter(u, ask, p, error): until the request may go.  With RC_OK and not
 * ->apart it has a connection.  RC_LIMIT without a status: all were in use for
 * as long as there was patience; one that is ->bulk waits for its turn however
 * long that takes, and ${p} is put off by that. */
RC_MUST_USE enum rc gate_enter(struct upstream *, const struct ask *,
    struct pace *, struct upstream_error *);
/** gate_leave(u, side, bulk): it is free again. */
void gate_leave(struct upstream *, enum upstream_side, bool bulk);
/** gate_refused(u, ms): a 429; ${ms}: for how long, -1: it does not say.
 * Returns what was made of it. */
int64_t gate_refused(struct upstream *, int64_t ms);
void gate_welcomed(struct upstream *);
/** gate_bytes(u, n, p): ${n} bytes have come or gone; sleeps. */
void gate_bytes(
    struct upstream *, enum upstream_side, size_t n, const struct pace *);

/* --- errors --- */
void error_clear(struct upstream_error *);
/** error_say(u, e, what, rc, fmt, ...): "HOST: WHAT: ..."; returns ${rc}. */
enum rc error_say(struct upstream *, struct upstream_error *, const char *what,
    enum rc, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/** error_fetch(u, e, what, rc, why): ${why} is of the fetcher. */
enum rc error_fetch(struct upstream *, struct upstream_error *,
    const char *what, enum rc, const char *why);
enum rc
error_cancelled(struct upstream *, struct upstream_error *, const char *what);
/** error_answered(a, what, error): read an answer that is none of 2xx: its code,
 * .status, .why. */
enum rc
error_answered(struct answer *, const char *what, struct upstream_error *);
/** error_text(text, code, message): what a body says of an error: "" where it
 * does not. */
#define ERROR_MESSAGE_BYTES 320
void error_text(struct span, char code[ANSWER_CODE_BYTES],
    char message[ERROR_MESSAGE_BYTES]);
/** error_passes(rc, status): may it be different in a moment? */
bool error_passes(enum rc, int status);

/* --- auth --- */
/** auth_header(u, want, pace, header_r, error): what to show; NULL: nothing;
 * the caller wipes it (auth_wipe). */
RC_MUST_USE enum rc auth_header(struct upstream *, const char *want,
    const struct pace *, char **header_r, struct upstream_error *);
/** auth_challenged(u, ask, pace, f, shown, error): a 401: find out what is
 * asked for.  RC_OK: try again. */
RC_MUST_USE enum rc
auth_challenged(struct upstream *, const struct ask *, const struct pace *,
    const struct fetch *, const char *shown, struct upstream_error *);
/** auth_expired(u, shown): a 403 to a password that may have expired; true: try
 * again. */
bool auth_expired(struct upstream *, const char *shown);
void auth_wipe(char **);
/** auth_basic(c): "Basic ..."; the caller's (auth_wipe). */
char *auth_basic(const struct credential *);
/** auth_credential(u, pace, c_r, error): user name and password, or
 * CREDENTIAL_NONE; credential_wipe(). */
RC_MUST_USE enum rc auth_credential(struct upstream *, const struct pace *,
    struct credential *c_r, struct upstream_error *);
void auth_free(struct upstream *);

/* --- tokens --- */
/** upstream_token_get(u, key, pace, header_r, error): "Bearer ..." */
RC_MUST_USE enum rc upstream_token_get(struct upstream *, const char *key,
    const struct pace *, char **header_r, struct upstream_error *);
/** token_drop(u, key, shown): it was refused. */
void token_drop(struct upstream *, const char *key, const char *shown);
void tokens_free(struct upstream *);

/* --- AWS --- */
/** aws_credential(u, pace, c, error): turn an access key into user name and
 * password. */
RC_MUST_USE enum rc aws_credential(struct upstream *, const struct pace *,
    struct credential *c, struct upstream_error *);
/** aws_forget(u): the password was refused. */
void aws_forget(struct upstream *);

/* --- send --- */
/** ask_url(u, fmt, ...): the upstream's own address and ...; the caller's. */
char *ask_url(struct upstream *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** ask_header(a, line): one more. */
void ask_header(struct ask *, const char *line);
/**
 * ask_open(u, ask, pace, a_r, error):
 * With all tries: RC_OK: an answer of 2xx, to be closed (answer_close).
 * Else ${a_r} is closed and says .status and .code.
 */
RC_MUST_USE enum rc ask_open(struct upstream *, const struct ask *,
    struct pace *, struct answer *a_r, struct upstream_error *);
/** ask_stream(u, ask, bytes, pace, a_r, error): begin a request with a
 * streamed body; one try, no redirects. */
RC_MUST_USE enum rc ask_stream(struct upstream *, const struct ask *,
    uint64_t bytes, struct pace *, struct answer *a_r, struct upstream_error *);
/** ask_judge(a, what, error): what the answer to a streamed body means; as
 * ask_open. */
RC_MUST_USE enum rc
ask_judge(struct answer *, const char *what, struct upstream_error *);
/** ask_text(u, ask, max_bytes, pace, a_r, text, error): the whole body of an
 * answer; it is closed, but its head can still be read: answer_close(). */
RC_MUST_USE enum rc
ask_text(struct upstream *, const struct ask *, size_t max_bytes, struct pace *,
    struct answer *a_r, struct buf *text, struct upstream_error *);
/** ask_failed(u, rc, error): count it, or clear what is left of tries; returns
 * ${rc}. */
enum rc ask_failed(struct upstream *, enum rc rc, struct upstream_error *);
/** blob_look(u, repository, digest, side, ...): upstream_blob_head(), with a
 * connection of that side. */
RC_MUST_USE enum rc blob_look(struct upstream *, struct span repository,
    const struct digest *, enum upstream_side, const struct upstream_wait *,
    uint64_t *size_r, struct upstream_error *);
void answer_close(struct answer *);
/** answer_drain(a): read what is left, when that is little, so that the
 * connection can be used again. */
void answer_drain(struct answer *);

#endif
