#include "mirror/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/fetch_int.h"

/*
 * The side of who asks.  It sleeps on the fetch's condition and wakes by
 * itself, too: that a request was cancelled, or that nothing has moved for too
 * long, is nobody's event.
 */
#define LOOK_MS 100
#define NS_PER_MS INT64_C(1000000)
#define CONNECTIONS_KEPT 64L

enum rc
fetcher_new(struct fetcher **fr_r)
{
	struct fetcher *fr = xcalloc(1, sizeof(*fr));
	enum rc rc;

	fr->magic = FETCHER_MAGIC;
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	fr->multi = curl_multi_init();
	must(fr->multi != NULL);
	(void)curl_multi_setopt(
	    fr->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	(void)curl_multi_setopt(
	    fr->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	mutex_init(&fr->lock);
	fr->todo_last = &fr->todo;
	rc = thread_start("fetch", fetcher_run, fr, &fr->thread);
	if (rc != RC_OK)
		goto err0;
	*fr_r = fr;
	return (RC_OK);
err0:
	must(pthread_mutex_destroy(&fr->lock) == 0);
	(void)curl_multi_cleanup(fr->multi);
	curl_global_cleanup();
	free(fr);
	return (rc);
}

void
fetcher_stop(struct fetcher *fr)
{
	OBJ_CHECK(fr, FETCHER_MAGIC);
	atomic_store(&fr->stopping, true);
	(void)curl_multi_wakeup(fr->multi);
}

bool
fetcher_stopping(const struct fetcher *fr)
{
	OBJ_CHECK(fr, FETCHER_MAGIC);
	return (atomic_load(&fr->stopping));
}

void
fetcher_free(struct fetcher **fr_p)
{
	struct fetcher *fr = *fr_p;

	if (fr == NULL)
		return;
	OBJ_CHECK(fr, FETCHER_MAGIC);
	*fr_p = NULL;
	mutex_lock(&fr->lock);
	fr->ending = true;
	mutex_unlock(&fr->lock);
	fetcher_stop(fr);
	thread_join(fr->thread);
	(void)curl_multi_cleanup(fr->multi);
	curl_global_cleanup();
	must(pthread_mutex_destroy(&fr->lock) == 0);
	fr->magic = 0;
	free(fr);
}

void
fetcher_tell(struct fetcher *fr, struct fetch *f, enum fetch_todo todo)
{
	bool wake;

	mutex_lock(&fr->lock);
	wake = fr->todo == NULL;
	if (f->todo == 0) {
		f->todo_next = NULL;
		*fr->todo_last = f;
		fr->todo_last = &f->todo_next;
	}
	f->todo |= (unsigned)todo;
	mutex_unlock(&fr->lock);
	if (wake)
		(void)curl_multi_wakeup(fr->multi);
}

/* --- rings --------------------------------------------------------------- */

void
ring_put(struct ring *r, const char *p, size_t n)
{
	size_t at = (r->at + r->n) % r->room, first;

	must(n <= r->room - r->n);
	first = n < r->room - at ? n : r->room - at;
	memcpy(r->p + at, p, first);
	memcpy(r->p, p + first, n - first);
	r->n += n;
}

size_t
ring_take(struct ring *r, char *p, size_t n)
{
	size_t first;

	if (n > r->n)
		n = r->n;
	if (n == 0)
		return (0);
	first = n < r->room - r->at ? n : r->room - r->at;
	memcpy(p, r->p + r->at, first);
	memcpy(p + first, r->p, n - first);
	r->at = (r->at + n) % r->room;
	r->n -= n;
	return (n);
}

/* --- waiting ------------------------------------------------------------- */

/* Until the connection stands, its own limit holds. */
static bool
stalled(const struct fetch *f, int64_t since_ns, int64_t limit_ms)
{
	int64_t from_ns = f->alive_ns > since_ns ? f->alive_ns : since_ns;

	return (f->begun && clock_mono_ns() - from_ns > limit_ms * NS_PER_MS);
}

/* A head that comes line by line moves, and may have no end. */
static bool
head_dawdles(const struct fetch *f, int64_t limit_ms)
{
	return (f->head_ns != 0 && !f->has_head &&
		clock_mono_ns() - f->head_ns > limit_ms * NS_PER_MS);
}

/* With the lock. */
static enum rc
fetch_wait(struct fetch *f, int64_t since_ns, char why[FETCH_WHY_BYTES])
{
	int64_t limit_ms = f->out_ended ? f->answer_ms : f->stall_ms;

	if (f->cancel != NULL && atomic_load(f->cancel)) {
		(void)snprintf(why, FETCH_WHY_BYTES, "%s: cancelled", f->host);
		return (RC_CANCELLED);
	}
	if (head_dawdles(f, limit_ms)) {
		(void)snprintf(why, FETCH_WHY_BYTES,
		    "%s: the head of its answer has no end after %lld ms",
		    f->host, (long long)limit_ms);
		return (RC_TIMEOUT);
	}
	if (stalled(f, since_ns, limit_ms)) {
		(void)snprintf(why, FETCH_WHY_BYTES,
		    "%s: nothing has moved for %lld ms", f->host,
		    (long long)limit_ms);
		return (RC_TIMEOUT);
	}
	(void)cond_wait_ms(&f->changed, &f->lock, LOOK_MS);
	return (RC_OK);
}

static enum rc
failure_tell(const struct fetch *f, char why[FETCH_WHY_BYTES])
{
	memcpy(why, f->why, FETCH_WHY_BYTES);
	return (f->rc);
}

static enum rc
head_wait(struct fetch *f, char why[FETCH_WHY_BYTES])
{
	int64_t since_ns = clock_mono_ns();
	enum rc rc = RC_OK;

	mutex_lock(&f->lock);
	while (!f->has_head && !f->done && rc == RC_OK)
		rc = fetch_wait(f, since_ns, why);
	if (rc == RC_OK && !f->has_head)
		rc = failure_tell(f, why);
	mutex_unlock(&f->lock);
	return (rc);
}

/* --- what is offered ----------------------------------------------------- */

enum rc
fetch_open(struct fetcher *fr, const struct fetch_request *request,
    struct fetch **f_r, char why[FETCH_WHY_BYTES])
{
	struct fetch *f;
	enum rc rc;

	OBJ_CHECK(fr, FETCHER_MAGIC);
	*f_r = NULL;
	f = xcalloc(1, sizeof(*f));
	f->magic = FETCH_MAGIC;
	f->fetcher = fr;
	mutex_init(&f->lock);
	cond_init(&f->changed);
	buf_init(&f->head, FETCH_HEAD_MAX_BYTES);
	if ((rc = fetch_setup(f, request, why)) != RC_OK) {
		fetch_free(f);
		return (rc);
	}
	fetcher_tell(fr, f, FETCH_START);
	if (!request->streams && (rc = head_wait(f, why)) != RC_OK)
		fetch_close(&f);
	*f_r = f;
	return (rc);
}

/* With the lock: wait until ${f}->out takes something. */
static enum rc
out_wait(struct fetch *f, char why[FETCH_WHY_BYTES])
{
	int64_t since_ns = clock_mono_ns();
	enum rc rc = RC_OK;

	while (
	    f->out.n == f->out.room && !f->has_head && !f->done && rc == RC_OK)
		rc = fetch_wait(f, since_ns, why);
	if (rc != RC_OK)
		return (rc);
	if (f->has_head)
		return (RC_EXISTS);
	return (f->done ? f->rc : RC_OK);
}

enum rc
fetch_write(struct fetch *f, const void *p, size_t n)
{
	char why[FETCH_WHY_BYTES];
	const char *from = p;
	size_t part;
	enum rc rc = RC_OK;
	bool tell;

	OBJ_CHECK(f, FETCH_MAGIC);
	must(f->out.p != NULL && !f->out_ended);
	while (n > 0) {
		tell = false;
		mutex_lock(&f->lock);
		if ((rc = out_wait(f, why)) == RC_OK) {
			part = f->out.room - f->out.n;
			part = part < n ? part : n;
			ring_put(&f->out, from, part);
			f->out_total += part;
			from += part;
			n -= part;
			tell = f->out_waits;
		}
		mutex_unlock(&f->lock);
		if (rc != RC_OK)
			break;
		if (tell)
			fetcher_tell(f->fetcher, f, FETCH_RESUME);
	}
	return (rc);
}

enum rc
fetch_answer(struct fetch *f, char why[FETCH_WHY_BYTES])
{
	bool tell;

	OBJ_CHECK(f, FETCH_MAGIC);
	mutex_lock(&f->lock);
	f->out_ended = true;
	tell = f->out_waits;
	mutex_unlock(&f->lock);
	if (tell)
		fetcher_tell(f->fetcher, f, FETCH_RESUME);
	return (head_wait(f, why));
}

int
fetch_status(const struct fetch *f)
{
	OBJ_CHECK(f, FETCH_MAGIC);
	return (f->status);
}

uint64_t
fetch_length(const struct fetch *f)
{
	OBJ_CHECK(f, FETCH_MAGIC);
	return (f->length);
}

struct span
fetch_next_header(const struct fetch *f, const char *name, size_t *i)
{
	struct span rest, line, key;

	OBJ_CHECK(f, FETCH_MAGIC);
	must(*i <= f->head.n);
	rest = (struct span){ f->head.p + *i, f->head.n - *i };
	while (span_split(&rest, '\n', &line)) {
		*i = f->head.n - rest.n;
		if (span_split(&line, ':', &key) &&
		    span_eq_nocase(key, span_of(name)))
			return (span_trim(line));
	}
	return (SPAN_NONE);
}

struct span
fetch_header(const struct fetch *f, const char *name)
{
	size_t i = 0;

	return (fetch_next_header(f, name, &i));
}

enum rc
fetch_read(struct fetch *f, void *p, size_t room, size_t *n_r,
    char why[FETCH_WHY_BYTES])
{
	int64_t since_ns = clock_mono_ns();
	enum rc rc = RC_OK;
	bool tell;

	OBJ_CHECK(f, FETCH_MAGIC);
	mutex_lock(&f->lock);
	while (f->in.n == 0 && !f->done && rc == RC_OK)
		rc = fetch_wait(f, since_ns, why);
	*n_r = rc == RC_OK ? ring_take(&f->in, p, room) : 0;
	tell = f->in_waits && f->in.n <= f->in.room / 2;
	if (rc == RC_OK && *n_r == 0 && room > 0)
		rc = failure_tell(f, why);
	mutex_unlock(&f->lock);
	if (tell)
		fetcher_tell(f->fetcher, f, FETCH_RESUME);
	return (rc);
}

void
fetch_close(struct fetch **f_p)
{
	struct fetch *f = *f_p;

	if (f == NULL)
		return;
	OBJ_CHECK(f, FETCH_MAGIC);
	*f_p = NULL;
	fetcher_tell(f->fetcher, f, FETCH_CLOSE);
}
