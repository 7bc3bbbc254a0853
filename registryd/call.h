#ifndef REGISTRYD_CALL_H
#define REGISTRYD_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/name.h"
#include "registryd/errors.h"
#include "registryd/http/exchange.h"
#include "storage/store.h"
#include "storage/upload.h"

/*
 * What a handler sees of a request: the parsed head, the matched parts of the
 * path, the body if its route collects it, the store, the settings, and the
 * answer it fills in.
 *
 * A handler is a straight-line function.  It returns RC_OK with c->answer
 * described; or `return (call_fail(c, OCI_..., ...))`; or RC_WOULDBLOCK when it
 * ran on a loop (c->may_block false) and a read would have blocked: then it is
 * run once more, from its beginning, on a worker.  It has changed nothing by
 * then.  Or RC_AWAIT with c->await set: it needs something from outside, and is
 * run once more when that is there; no thread waits meanwhile.  Any other code
 * becomes an error by call_fail_rc().
 */
struct route;
struct settings; /* registryd/settings.h: one immutable snapshot */
struct service;
struct principal; /* auth/principal.h */
struct name_value;
struct directory;
struct permission;
struct aws_operation;

struct call {
	struct http_exchange *x;
	const struct http_request *request;
	struct http_response *answer;
	struct arena *arena;
	const struct route *route;
	const struct settings *settings;
	struct service *service; /* stats, control jobs */
	struct store *store;
	struct meta *meta;
	struct span repository; /* {name}, valid */
	struct span part;	/* {reference}, {digest}, {session}, as sent */
	struct span body;	/* of a collected body */
	enum api_shape shape;	/* of errors */
	struct span principal;	/* who asks, for logs: an ARN, "anonymous" */
	const struct principal *who; /* after identify_call(); lives as long as
					.directory, or the arena */
	struct directory *directory; /* a reference; NULL with `auth: none` */
	struct span granted;	     /* scopes of a bearer token; .p NULL: it
					came otherwise */
	const struct name_value *request_tags; /* in its parameters */
	size_t n_request_tags;
	struct span region; /* that ARNs show: as signed, else as
					configured */
	int64_t expires_ms; /* of the token or the temporary credentials it
			       came with; 0: of neither */
	uint8_t password_mark[16]; /* of the password it came with, or zeros */
	int64_t issued_ms; /* when that token was made, or who asks found */
	const struct permission *permission;   /* of the route or operation */
	const struct aws_operation *operation; /* of POST / */
	bool may_block;
	enum read_mode mode; /* READ_BLOCKING when may_block */
	/* Where a streamed body goes, one of: */
	struct upload *upload; /* between begin and finish; released by the
				  dispatcher when still there at the end */
	enum rc (*write)(struct call *, const void *p, size_t n); /* a worker */
	struct hasher *hasher; /* of a streamed body of POST /, SHA-256, as it
				  arrives */
	const char *body_hash; /* what it came to, in lower-case hexadecimal;
				  NULL: it is of .body */
	uint64_t upload_from;  /* its offset when begin acquired it */
	enum rc body_rc;       /* how the stream ended, for finish */
	void *state; /* the handler's own, from begin to finish; in the
			arena */
	/* With RC_AWAIT: begins what the handler waits for; it calls
	 * http_exchange_wake(c->x) once when that is there, or earlier; on the
	 * loop.  Then the handler runs once more, on a worker. */
	void (*await)(struct call *);
	struct pull *pull; /* what was got from an upstream for this call, or
			      is being got; registryd/pull.h.  In the arena */

	/* The error, when there is one. */
	enum api_error error;
	const char *message;
	const char *detail; /* JSON text or NULL */
};

/**
 * call_fail(c, error, detail, fmt, ...):
 * Record an error and return RC_FAILED.  ${detail}: a JSON value that the call
 * takes over, or NULL.  The message names the offending value.  Headers the
 * answer has got so far go out with the error.
 */
RC_MUST_USE enum rc call_fail(struct call *, enum api_error, json_t *detail,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** call_fail_rc(c, rc, what): the error for a code of the rooms below that the
 * handler has no better word for: NOSPACE 507, LIMIT and BUSY 503 with
 * Retry-After, READONLY 503, TOOBIG 413, all else 500.  Returns RC_FAILED. */
RC_MUST_USE enum rc call_fail_rc(struct call *, enum rc, const char *what);

/** call_text(s): a JSON string, whatever bytes ${s} holds; the caller's. */
json_t *call_text(struct span);

/** call_detail(key, value): {key: value} for call_fail(). */
json_t *call_detail(const char *key, struct span value);

/* A value of the client's in a message: "%.*s" and at most this much. */
#define CALL_SHOWN_BYTES 256
#define CALL_SHOW(s) \
	(int)((s).n < CALL_SHOWN_BYTES ? (s).n : CALL_SHOWN_BYTES), \
	    (s).p != NULL ? (s).p : ""

/** call_location(c, fmt, ...): set Location; relative, or below external-url
 * where that is configured. */
void call_location(struct call *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** call_header(c, name, fmt, ...): a formatted header of the answer. */
void call_header(struct call *, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** call_digest_header(c, d): Docker-Content-Digest. */
void call_digest_header(struct call *, const struct digest *);

/** call_json(c, status, type, text): a JSON body that lives as long as the
 * exchange. */
void call_json(struct call *, int status, const char *type, struct span text);

/** call_json_take(c, status, type, text): the same with memory that the call
 * takes over; outside of the arena's cap.  RC_TOOBIG: ${text} is past its own
 * cap. */
RC_MUST_USE enum rc
call_json_take(struct call *, int status, const char *type, struct buf *text);

/** call_json_secret(c, status, type, text): the same, wiped when it was sent. */
RC_MUST_USE enum rc
call_json_secret(struct call *, int status, const char *type, struct buf *text);

#endif
