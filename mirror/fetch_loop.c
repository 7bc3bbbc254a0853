#include <stdio.h>

#include "base/clock.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/fetch_int.h"

/*
 * The thread of the fetcher.  It does what it was told, lets curl move bytes,
 * and tells who waits how it ended.
 */
#define POLL_MS 1000

static struct fetch *
todo_take(struct fetcher *fr, bool *ending_r)
{
	struct fetch *list;

	mutex_lock(&fr->lock);
	list = fr->todo;
	fr->todo = NULL;
	fr->todo_last = &fr->todo;
	*ending_r = fr->ending;
	mutex_unlock(&fr->lock);
	return (list);
}

/* What is to be done with one of the list; from now on it may be told anew,
 * so its link is read before. */
static unsigned
todo_of(struct fetcher *fr, struct fetch *f, struct fetch **next_r)
{
	unsigned todo;

	mutex_lock(&fr->lock);
	*next_r = f->todo_next;
	todo = f->todo;
	f->todo = 0;
	mutex_unlock(&fr->lock);
	return (todo);
}

static void
fetch_unlink(struct fetcher *fr, struct fetch *f)
{
	if (!f->going)
		return;
	(void)curl_multi_remove_handle(fr->multi, f->easy);
	*f->prev = f->next;
	if (f->next != NULL)
		f->next->prev = f->prev;
	f->going = false;
}

static void
fetch_end(struct fetcher *fr, struct fetch *f, enum rc rc, const char *why)
{
	fetch_unlink(fr, f);
	mutex_lock(&f->lock);
	/* A head that says nothing, and no more to come. */
	if (rc == RC_OK && !f->has_head) {
		rc = RC_INVALID;
		why = "its answer has no head";
	}
	f->done = true;
	f->rc = rc;
	if (rc != RC_OK)
		(void)snprintf(f->why, sizeof(f->why), "%s: %s", f->host, why);
	must(pthread_cond_broadcast(&f->changed) == 0);
	mutex_unlock(&f->lock);
}

static void
fetch_begin(struct fetcher *fr, struct fetch *f)
{
	if (fetcher_stopping(fr)) {
		fetch_end(fr, f, RC_CANCELLED, "we are stopping");
		return;
	}
	if (curl_multi_add_handle(fr->multi, f->easy) != CURLM_OK) {
		fetch_end(fr, f, RC_LIMIT, "out of memory");
		return;
	}
	f->going = true;
	f->next = fr->going;
	f->prev = &fr->going;
	if (f->next != NULL)
		f->next->prev = &f->next;
	fr->going = f;
}

/* curl calls back from within, and those may pause again. */
static void
fetch_resume(struct fetch *f)
{
	int pause = CURLPAUSE_CONT;

	if (!f->going)
		return;
	mutex_lock(&f->lock);
	if (f->in_waits && f->in.n > f->in.room / 2)
		pause |= CURLPAUSE_RECV;
	else
		f->in_waits = false;
	if (f->out_waits && f->out.n == 0 && !f->out_ended)
		pause |= CURLPAUSE_SEND;
	else
		f->out_waits = false;
	mutex_unlock(&f->lock);
	(void)curl_easy_pause(f->easy, pause);
}

static void
todo_do(struct fetcher *fr, struct fetch *f, unsigned todo)
{
	if ((todo & FETCH_START) != 0)
		fetch_begin(fr, f);
	if ((todo & FETCH_CLOSE) != 0) {
		fetch_unlink(fr, f);
		fetch_free(f);
	} else if ((todo & FETCH_RESUME) != 0) {
		fetch_resume(f);
	}
}

static void
ended_collect(struct fetcher *fr)
{
	struct fetch *f = NULL;
	CURLcode code;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(fr->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		code = m->data.result;
		must(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &f) ==
		     CURLE_OK);
		OBJ_CHECK(f, FETCH_MAGIC);
		/* What curl says of a line that is longer than it takes. */
		if (code == CURLE_OUT_OF_MEMORY && f->head_ns != 0 &&
		    f->refused == NULL) {
			f->refused = "the head of its answer is too large";
			code = CURLE_WEIRD_SERVER_REPLY;
		}
		fetch_end(fr, f, fetch_code(f, code),
		    f->refused != NULL	  ? f->refused
		    : f->error[0] != '\0' ? f->error
					  : curl_easy_strerror(code));
	}
}

void
fetcher_run(void *arg)
{
	struct fetcher *fr = arg;
	struct fetch *f, *next;
	unsigned todo;
	bool ending;
	int running;

	OBJ_CHECK(fr, FETCHER_MAGIC);
	for (;;) {
		for (f = todo_take(fr, &ending); f != NULL; f = next) {
			todo = todo_of(fr, f, &next);
			todo_do(fr, f, todo);
		}
		while (fetcher_stopping(fr) && fr->going != NULL)
			fetch_end(
			    fr, fr->going, RC_CANCELLED, "we are stopping");
		if (ending)
			break;
		(void)curl_multi_perform(fr->multi, &running);
		ended_collect(fr);
		(void)curl_multi_poll(fr->multi, NULL, 0, POLL_MS, NULL);
	}
	/* All were closed before the end was asked for. */
	must(fr->going == NULL);
}
