#ifndef MIRROR_FETCH_INT_H
#define MIRROR_FETCH_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "mirror/fetch.h"

/*
 * What the two sides of a fetch share: the thread that asked (fetch.c) and the
 * thread of the fetcher, which alone touches curl's handles once they are
 * handed over (fetch_loop.c, fetch_curl.c).  The one tells the other by .todo,
 * under the fetcher's lock; all else that both look at is under the fetch's.
 * Neither lock is taken while the other is held.
 */
#define FETCH_MAGIC 0x66657463U
#define FETCHER_MAGIC 0x66746372U

struct ring {
	char *p; /* NULL: not needed yet */
	size_t room, at, n;
};

enum fetch_todo {
	FETCH_START = 1,
	FETCH_RESUME =
	    2,		 /* one that waits: there is room, or there are bytes */
	FETCH_CLOSE = 4, /* and free it */
};

struct fetcher {
	unsigned magic;
	pthread_t thread;
	CURLM *multi;
	atomic_bool stopping;
	pthread_mutex_t lock;
	struct fetch *todo, **todo_last; /* under the lock */
	bool ending;			 /* under the lock */
	struct fetch *going;		 /* of the thread */
};

struct fetch {
	unsigned magic;
	struct fetcher *fetcher;

	/* As it was asked for. */
	struct curl_slist *headers;
	char *body;
	size_t body_n;
	uint64_t body_bytes;
	char *host;
	int64_t stall_ms, answer_ms;
	const atomic_bool *cancel; /* read by who asked only */

	/* Under the fetcher's lock. */
	struct fetch *todo_next;
	unsigned todo;

	/* Of the fetcher's thread. */
	CURL *easy;
	struct fetch *next, **prev; /* of those that go on */
	bool going;
	curl_off_t moved; /* bytes, both ways */
	char error[CURL_ERROR_SIZE];

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	bool begun;	  /* connected; from now on .alive_ns counts */
	int64_t alive_ns; /* when something moved */
	int64_t head_ns;  /* when the first line of the head came; 0 */
	bool in_waits;	  /* paused: the ring is full */
	bool out_waits;	  /* paused: the ring is empty */
	struct ring in, out;
	uint64_t out_total; /* bytes ever put into .out */
	bool out_ended;
	const char *refused; /* why we broke it off */
	bool done;
	enum rc rc; /* once it is done */
	char why[FETCH_WHY_BYTES];
	bool has_head; /* once set, what follows does not change any more */
	int status;
	uint64_t length;
	struct buf head; /* "Name: value\n"... */
};

/** ring_put(r, p, n): there is room for ${n} bytes. */
void ring_put(struct ring *, const char *p, size_t n);
/** ring_take(r, p, n): at most ${n} bytes; how many. */
size_t ring_take(struct ring *, char *p, size_t n);

/** fetch_setup(f, request, why): make the handle; RC_INVALID, RC_LIMIT. */
RC_MUST_USE enum rc fetch_setup(
    struct fetch *, const struct fetch_request *, char why[FETCH_WHY_BYTES]);
/** fetch_free(f): nobody knows of it any more. */
void fetch_free(struct fetch *);
/** fetch_code(f, code): what curl says, in our words. */
enum rc fetch_code(const struct fetch *, CURLcode);

/** fetcher_tell(fr, f, todo): any thread; without the fetch's lock. */
void fetcher_tell(struct fetcher *, struct fetch *, enum fetch_todo);
/** fetcher_run(fr): the thread. */
void fetcher_run(void *);
/** fetcher_stopping(fr): nothing can be fetched any more. */
bool fetcher_stopping(const struct fetcher *);

#endif
