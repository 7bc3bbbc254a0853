#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "registryd/http/request.h"

/*
 * An answer, described; the connection writes it.  Content-Length, Date,
 * Connection, X-Request-Id are the connection's; all else is the handler's.
 * Answering HEAD a handler describes the body too, and it is not sent.
 */
#define HTTP_RESPONSE_HEADERS 24

enum http_body_kind { HTTP_NO_BODY, HTTP_MEMORY, HTTP_FILE };

/*
 * How far a file that is still being written may be sent.  ${sent} and
 * ${until} count from the beginning of the file.  All on the loop; end() once,
 * whatever becomes of the answer, and never while it waits.
 */
enum http_follow_state {
	FOLLOW_SOME, /* up to *${until_r}, which is more than ${sent} */
	FOLLOW_WAIT, /* http_exchange_wake(x) will be called, once */
	FOLLOW_CUT,  /* no more will come: the connection is cut, so that the
			client sees that it has not got all */
};

struct http_exchange;
struct http_follow {
	enum http_follow_state (*look)(void *arg, struct http_exchange *x,
	    uint64_t sent, uint64_t *until_r);
	void (*end)(void *arg); /* it will not be asked any more */
	void *arg;
};

/*
 * What a body is read by that does not lie in a file as it is to be sent.  One
 * call at a time: read() on the loop, warm() on a worker; close() once,
 * whatever becomes of the answer.
 */
struct http_source {
	/** read(arg, offset, p, n, may_wait, n_r): from one byte to ${n}, 0
	 * only at the end; as many once more when it is asked once more.
	 * RC_WOULDBLOCK: not ${may_wait}, and the disk would have to be waited
	 * for.  Any other code: the connection is cut; the source has logged
	 * why. */
	enum rc (*read)(void *arg, uint64_t offset, void *p, size_t n,
	    bool may_wait, size_t *n_r);
	/** warm(arg, offset, n): wait for the disk; what fails fails once more
	 * when it is read. */
	void (*warm)(void *arg, uint64_t offset, uint64_t n_bytes);
	void (*close)(void *arg);
	void *arg;
};

struct http_response {
	int status;
	struct http_header headers[HTTP_RESPONSE_HEADERS];
	size_t n_headers;
	enum http_body_kind body;
	struct span bytes; /* HTTP_MEMORY; lives as long as the exchange */
	int fd;		   /* HTTP_FILE; taken: closed when sent */
	/* HTTP_FILE in place of ${fd}, or NULL; taken.  Lives in the exchange's
	 * arena. */
	const struct http_source *source;
	uint64_t offset; /* HTTP_FILE */
	uint64_t length; /* HTTP_FILE */
	/* HTTP_FILE that is still being written; or NULL.  Lives in the
	 * exchange's arena. */
	const struct http_follow *follow;
	bool head_length; /* HTTP_NO_BODY, but say Content-Length: ${length}
			     (HEAD where the content was not opened) */
	bool close;	  /* the connection ends after it */
};

/** http_response_init(rs): status 200, no headers, no body. */
void http_response_init(struct http_response *);

/** http_response_header(rs, name, value): both live as long as the exchange.
 * The name is a literal in canonical case. */
void http_response_header(
    struct http_response *, const char *name, struct span value);

/** http_response_memory(rs, type, bytes): a body with its Content-Type. */
void http_response_memory(
    struct http_response *, const char *type, struct span bytes);

/** http_status_text(status): the reason phrase of RFC 9110. */
const char *http_status_text(int status);

#endif
