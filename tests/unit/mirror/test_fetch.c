#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "http_stub.h"
#include "mirror/fetch.h"

#define MIB ((size_t)1024 * 1024)
#define BIG_BYTES (8 * MIB)
#define PATIENT_MS 20000

struct world {
	struct fetcher *fetcher;
	struct stub *stub;
	char *big; /* the pattern */
	atomic_bool cancel;
};

/* --- the other side ------------------------------------------------------ */

static void
big_chunked(struct stub_request *r)
{
	struct world *w = r->arg;
	size_t at, n;

	stub_text(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (at = 0; at < BIG_BYTES; at += n) {
		n = 70001 < BIG_BYTES - at ? 70001 : BIG_BYTES - at;
		stub_text(r, "%zx\r\n", n);
		if (!stub_raw(r, w->big + at, n))
			return;
		stub_text(r, "\r\n");
	}
	stub_text(r, "0\r\nTrailing: yes\r\n\r\n");
}

static void
many_headers(struct stub_request *r, size_t n_bytes)
{
	size_t at;

	stub_text(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
	for (at = 0; at < n_bytes; at += 1000)
		stub_text(r, "X-%zu: %0990d\r\n", at, 0);
	stub_text(r, "\r\n");
}

static void
endless(struct stub_request *r)
{
	struct world *w = r->arg;

	stub_text(r, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
	while (stub_raw(r, w->big, MIB))
		continue;
	r->close = true;
}

static void
interim(struct stub_request *r)
{
	stub_text(r, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\nX-A: 1\r\n\r\n"
		     "HTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 2\r\n\r\n"
		     "ok");
}

static void
broken(struct stub_request *r)
{
	if (strcmp(r->target, "/short") == 0)
		stub_text(r, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
			     "1234");
	else if (strcmp(r->target, "/half-chunk") == 0)
		stub_text(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
			     "chunked\r\n\r\n4\r\n1234\r\n8\r\n12");
	else if (strcmp(r->target, "/no-http") == 0)
		stub_text(r, "220 smtp.example ESMTP\r\n");
	r->close = true;
}

static void
counted(struct stub_request *r)
{
	char text[64];
	size_t i, wrong = 0;

	for (i = 0; i < r->body_n; i += 4096)
		wrong += !pattern_ok(r->body + i,
		    r->body_n - i < 4096 ? r->body_n - i : 4096, i);
	(void)snprintf(text, sizeof(text), "%s %zu bytes, %zu wrong", r->method,
	    r->body_n, wrong);
	stub_answer(r, 200, "", text);
}

static void
serve(struct stub_request *r)
{
	struct world *w = r->arg;
	char text[256];

	if (strcmp(r->target, "/big") == 0)
		stub_answer_bytes(r, 200, "", w->big, BIG_BYTES);
	else if (strcmp(r->target, "/chunked") == 0)
		big_chunked(r);
	else if (strcmp(r->target, "/endless") == 0)
		endless(r);
	else if (strcmp(r->target, "/interim") == 0)
		interim(r);
	else if (strcmp(r->target, "/heads") == 0)
		many_headers(r, 60000);
	else if (strcmp(r->target, "/too-many-heads") == 0)
		many_headers(r, 70000);
	else if (strcmp(r->target, "/too-long-head") == 0)
		stub_text(r, "HTTP/1.1 200 OK\r\nX: %0200000d\r\n\r\n", 0);
	else if (strcmp(r->target, "/stall") == 0)
		stub_stall(r, PATIENT_MS);
	else if (strcmp(r->target, "/half") == 0) {
		stub_text(
		    r, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234");
		stub_stall(r, PATIENT_MS);
	} else if (strcmp(r->target, "/echo") == 0) {
		stub_answer(r, 200, "Content-Type: text/plain\r\n",
		    stub_header(r, "X-Say", text, sizeof(text)));
	} else if (strcmp(r->target, "/moved") == 0) {
		stub_answer(r, 302, "Location: /echo\r\n", "");
	} else if (strcmp(r->target, "/twice") == 0) {
		stub_answer(r, 401, "A: 1\r\nB: 2\r\na:3\r\n", "no");
	} else if (strcmp(r->target, "/nothing") == 0) {
		stub_answer(r, 204, "", "");
	} else if (strcmp(r->target, "/count") == 0) {
		counted(r);
	} else {
		broken(r);
	}
}

static bool
early(struct stub_request *r)
{
	if (strcmp(r->target, "/refused") != 0)
		return (false);
	stub_answer(r, 413, "Connection: close\r\n", "too much");
	/* The client is to see the answer, and not only the reset. */
	stub_stall(r, 300);
	return (true);
}

/* --- this side ----------------------------------------------------------- */

static int
setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	const struct stub_options options = {
		.serve = serve, .early = early, .arg = w
	};

	w->big = xmalloc(BIG_BYTES);
	pattern_fill(w->big, BIG_BYTES, 0);
	must(fetcher_new(&w->fetcher) == RC_OK);
	w->stub = stub_start(&options);
	*state = w;
	return (0);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	fetcher_free(&w->fetcher);
	stub_stop(&w->stub);
	free(w->big);
	free(w);
	return (0);
}

struct asked {
	struct fetch *f;
	enum rc rc;
	char why[FETCH_WHY_BYTES];
};

static struct fetch_request
request_of(const char *method, const char *url)
{
	return ((struct fetch_request){
	    .method = method,
	    .url = url,
	    .proxy = "",
	    .connect_ms = PATIENT_MS,
	    .stall_ms = PATIENT_MS,
	});
}

static enum rc
ask(struct world *w, const char *method, const char *path, struct asked *a)
{
	char *url = xasprintf("%s%s", stub_url(w->stub), path);
	struct fetch_request r = request_of(method, url);

	memset(a, 0, sizeof(*a));
	r.cancel = &w->cancel;
	a->rc = fetch_open(w->fetcher, &r, &a->f, a->why);
	free(url);
	return (a->rc);
}

/* The whole body, which the caller frees. */
static char *
body(struct asked *a, size_t *n_r)
{
	char *text = xmalloc(BIG_BYTES + 1);
	size_t n = 0, got = 1;

	a->rc = RC_OK;
	while (a->rc == RC_OK && got > 0) {
		a->rc = fetch_read(a->f, text + n, BIG_BYTES - n, &got, a->why);
		n += got;
		if (n == BIG_BYTES)
			break;
	}
	text[n] = '\0';
	if (n_r != NULL)
		*n_r = n;
	return (text);
}

static void
body_is(struct asked *a, const char *want)
{
	char *text = body(a, NULL);

	assert_int_equal(a->rc, RC_OK);
	assert_string_equal(text, want);
	free(text);
}

static void
test_answer_has_status_headers_and_body(void **state)
{
	struct world *w = *state;
	struct asked a;
	size_t i = 0;

	assert_int_equal(ask(w, "GET", "/twice", &a), RC_OK);
	assert_int_equal(fetch_status(a.f), 401);
	assert_int_equal(fetch_length(a.f), 2);
	assert_true(span_is(fetch_header(a.f, "b"), "2"));
	assert_true(span_is(fetch_next_header(a.f, "A", &i), "1"));
	assert_true(span_is(fetch_next_header(a.f, "A", &i), "3"));
	assert_null(fetch_next_header(a.f, "A", &i).p);
	assert_null(fetch_header(a.f, "C").p);
	body_is(&a, "no");
	fetch_close(&a.f);
	assert_null(a.f);
	fetch_close(&a.f);
}

static void
test_nothing_is_followed_and_nothing_is_an_error(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(ask(w, "GET", "/moved", &a), RC_OK);
	assert_int_equal(fetch_status(a.f), 302);
	assert_true(span_is(fetch_header(a.f, "Location"), "/echo"));
	fetch_close(&a.f);
	assert_int_equal(stub_count(w->stub, "GET /echo"), 0);
}

static void
test_head_and_no_content_have_no_body(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(ask(w, "HEAD", "/big", &a), RC_OK);
	assert_int_equal(fetch_length(a.f), BIG_BYTES);
	body_is(&a, "");
	fetch_close(&a.f);
	assert_int_equal(ask(w, "GET", "/nothing", &a), RC_OK);
	assert_int_equal(fetch_status(a.f), 204);
	body_is(&a, "");
	fetch_close(&a.f);
}

static void
big_read(struct world *w, const char *path)
{
	struct asked a;
	char *text;
	size_t n, got = 1;

	assert_int_equal(ask(w, "GET", path, &a), RC_OK);
	text = body(&a, &n);
	assert_int_equal(a.rc, RC_OK);
	assert_int_equal(n, BIG_BYTES);
	assert_memory_equal(text, w->big, BIG_BYTES);
	assert_int_equal(fetch_read(a.f, text, 1, &got, a.why), RC_OK);
	assert_int_equal(got, 0);
	assert_null(fetch_header(a.f, "Trailing").p);
	fetch_close(&a.f);
	free(text);
}

static void
test_large_bodies_arrive_whole(void **state)
{
	big_read(*state, "/big");
	big_read(*state, "/chunked");
}

static void
test_sender_is_slowed_down_by_who_does_not_read(void **state)
{
	struct world *w = *state;
	uint64_t sent = 1, before = 0;
	struct asked a;
	char byte;
	size_t n;

	assert_int_equal(ask(w, "GET", "/endless", &a), RC_OK);
	assert_int_equal(fetch_read(a.f, &byte, 1, &n, a.why), RC_OK);
	/* Until it stands still. */
	while (sent != before) {
		before = sent;
		nap_ms(200);
		sent = stub_sent(w->stub);
	}
	/* The ring, and what the system holds on both sides. */
	assert_true(sent < 32 * MIB);
	fetch_close(&a.f);
}

static void
test_interim_answers_are_passed_over(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(ask(w, "GET", "/interim", &a), RC_OK);
	assert_int_equal(fetch_status(a.f), 200);
	assert_null(fetch_header(a.f, "X-A").p);
	assert_true(span_is(fetch_header(a.f, "X-B"), "2"));
	body_is(&a, "ok");
	fetch_close(&a.f);
}

static void
test_heads_have_a_limit(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(ask(w, "GET", "/heads", &a), RC_OK);
	fetch_close(&a.f);
	assert_int_equal(ask(w, "GET", "/too-many-heads", &a), RC_INVALID);
	assert_non_null(strstr(a.why, "too large"));
	assert_null(a.f);
	assert_int_equal(ask(w, "GET", "/too-long-head", &a), RC_INVALID);
	assert_non_null(strstr(a.why, "too large"));
	assert_null(a.f);
}

static void
breaks_after(struct world *w, const char *path, const char *bytes)
{
	struct asked a;
	char *text;

	assert_int_equal(ask(w, "GET", path, &a), RC_OK);
	text = body(&a, NULL);
	assert_int_equal(a.rc, RC_IO);
	assert_string_equal(text, bytes);
	assert_non_null(strstr(a.why, "127.0.0.1"));
	fetch_close(&a.f);
	free(text);
}

static void
test_what_breaks_off_is_told_after_what_arrived(void **state)
{
	breaks_after(*state, "/short", "1234");
	breaks_after(*state, "/half-chunk", "123412");
}

static void
test_answers_that_are_none_are_failures(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(ask(w, "GET", "/no-http", &a), RC_INVALID);
	assert_int_equal(ask(w, "GET", "/cut", &a), RC_IO);
	assert_true(a.why[0] != '\0');
}

static void
test_nobody_there_is_told_with_the_address(void **state)
{
	struct world *w = *state;
	char *url = xstrdup(stub_url(w->stub));
	struct fetch_request r = request_of("GET", url);
	char why[FETCH_WHY_BYTES];
	struct fetch *f;

	stub_stop(&w->stub);
	assert_int_equal(fetch_open(w->fetcher, &r, &f, why), RC_IO);
	assert_non_null(strstr(why, url + strlen("http://")));
	assert_null(f);
	free(url);
}

static void
stalls(struct world *w, const char *path, bool answers)
{
	char *url = xasprintf("%s%s", stub_url(w->stub), path);
	struct fetch_request r = request_of("GET", url);
	char bytes[16], why[FETCH_WHY_BYTES];
	struct fetch *f;
	size_t n = 0;
	enum rc rc;

	r.stall_ms = 150;
	rc = fetch_open(w->fetcher, &r, &f, why);
	if (answers) {
		assert_int_equal(rc, RC_OK);
		while (rc == RC_OK)
			rc = fetch_read(f, bytes, sizeof(bytes), &n, why);
	}
	assert_int_equal(rc, RC_TIMEOUT);
	assert_non_null(strstr(why, "nothing has moved"));
	fetch_close(&f);
	free(url);
}

static void
test_silence_ends_with_a_timeout(void **state)
{
	stalls(*state, "/stall", false);
	stalls(*state, "/half", true);
}

/* Who does not wait does not time out. */
static void
test_silence_counts_only_while_somebody_waits(void **state)
{
	struct world *w = *state;
	char *url = xasprintf("%s/echo", stub_url(w->stub));
	struct fetch_request r = request_of("GET", url);
	const char *lines[] = { "X-Say: hello" };
	char why[FETCH_WHY_BYTES], bytes[16];
	struct fetch *f;
	size_t n;

	r.stall_ms = 100;
	r.headers = lines;
	r.n_headers = 1;
	assert_int_equal(fetch_open(w->fetcher, &r, &f, why), RC_OK);
	nap_ms(300);
	assert_int_equal(fetch_read(f, bytes, sizeof(bytes), &n, why), RC_OK);
	assert_int_equal(n, 5);
	assert_int_equal(fetch_read(f, bytes, sizeof(bytes), &n, why), RC_OK);
	assert_int_equal(n, 0);
	fetch_close(&f);
	free(url);
}

static void
canceller(void *arg)
{
	struct world *w = arg;

	nap_ms(100);
	atomic_store(&w->cancel, true);
}

static void
stopper(void *arg)
{
	struct world *w = arg;

	nap_ms(100);
	fetcher_stop(w->fetcher);
}

static void
ends_by(struct world *w, void (*fn)(void *), const char *path)
{
	struct asked a;
	pthread_t t;
	char *text;

	must(thread_start("test", fn, w, &t) == RC_OK);
	if (ask(w, "GET", path, &a) == RC_OK) {
		text = body(&a, NULL);
		free(text);
	}
	assert_int_equal(a.rc, RC_CANCELLED);
	fetch_close(&a.f);
	thread_join(t);
}

static void
test_cancelling_ends_waiting(void **state)
{
	struct world *w = *state;

	ends_by(w, canceller, "/stall");
	atomic_store(&w->cancel, false);
	ends_by(w, canceller, "/half");
}

static void
test_stopping_ends_all_and_lets_nothing_begin(void **state)
{
	struct world *w = *state;
	struct asked a;

	ends_by(w, stopper, "/half");
	assert_int_equal(ask(w, "GET", "/echo", &a), RC_CANCELLED);
}

static void
test_connections_are_used_again(void **state)
{
	struct world *w = *state;
	struct asked a;
	int i;

	for (i = 0; i < 5; i++) {
		assert_int_equal(ask(w, "GET", "/big", &a), RC_OK);
		free(body(&a, NULL));
		fetch_close(&a.f);
		assert_int_equal(ask(w, "POST", "/count", &a), RC_OK);
		body_is(&a, "POST 0 bytes, 0 wrong");
		fetch_close(&a.f);
	}
	assert_int_equal(stub_connections(w->stub), 1);
}

static void
test_what_was_not_read_does_not_stay_on_a_connection(void **state)
{
	struct world *w = *state;
	struct asked a;
	int i;

	for (i = 0; i < 5; i++) {
		assert_int_equal(ask(w, "GET", "/big", &a), RC_OK);
		fetch_close(&a.f);
		assert_int_equal(ask(w, "GET", "/twice", &a), RC_OK);
		body_is(&a, "no");
		fetch_close(&a.f);
	}
}

static void
test_addresses_that_are_not_asked_for(void **state)
{
	static const char *const urls[] = { "ftp://127.0.0.1/x", "file:///etc",
		"http://user@127.0.0.1/", "http://u:p@127.0.0.1/", "http://",
		"nothing", "", "http://127.0.0.1:99999/" };
	struct world *w = *state;
	struct fetch_request r;
	char why[FETCH_WHY_BYTES];
	struct fetch *f;
	size_t i;

	for (i = 0; i < ARRAY_LEN(urls); i++) {
		r = request_of("GET", urls[i]);
		why[0] = '\0';
		assert_int_equal(
		    fetch_open(w->fetcher, &r, &f, why), RC_INVALID);
		assert_true(why[0] != '\0');
		assert_null(strstr(why, "u:p"));
	}
}

static void
test_headers_cannot_smuggle_others(void **state)
{
	static const char *const lines[] = { "A: b\r\nC: d", "A: b\nC: d",
		"no colon" };
	struct world *w = *state;
	char *url = xasprintf("%s/echo", stub_url(w->stub));
	struct fetch_request r = request_of("GET", url);
	char why[FETCH_WHY_BYTES];
	struct fetch *f;
	size_t i;

	for (i = 0; i < ARRAY_LEN(lines); i++) {
		r.headers = &lines[i];
		r.n_headers = 1;
		assert_int_equal(
		    fetch_open(w->fetcher, &r, &f, why), RC_INVALID);
	}
	assert_int_equal(stub_requests(w->stub), 0);
	free(url);
}

/* --- bodies that are sent ------------------------------------------------ */

static void
test_body_in_memory_is_sent(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "PATCH" };
	struct world *w = *state;
	char *url = xasprintf("%s/count", stub_url(w->stub));
	struct fetch_request r;
	struct asked a;
	char want[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(methods); i++) {
		r = request_of(methods[i], url);
		r.body = (struct span){ w->big, 3 * MIB };
		assert_int_equal(
		    fetch_open(w->fetcher, &r, &a.f, a.why), RC_OK);
		(void)snprintf(want, sizeof(want), "%s 3145728 bytes, 0 wrong",
		    methods[i]);
		body_is(&a, want);
		fetch_close(&a.f);
	}
	assert_int_equal(stub_count(w->stub, "Expect:"), 0);
	assert_int_equal(stub_count(w->stub, "form-urlencoded"), 0);
	free(url);
}

static enum rc
streamed(struct world *w, const char *path, uint64_t announced, size_t n,
    struct asked *a)
{
	char *url = xasprintf("%s%s", stub_url(w->stub), path);
	struct fetch_request r = request_of("PUT", url);
	size_t at, part = 100003;
	enum rc rc;

	r.streams = true;
	r.body_bytes = announced;
	rc = fetch_open(w->fetcher, &r, &a->f, a->why);
	for (at = 0; rc == RC_OK && at < n; at += part) {
		part = part < n - at ? part : n - at;
		rc = fetch_write(a->f, w->big + at, part);
	}
	free(url);
	return (rc);
}

static void
test_streamed_bodies_are_sent(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(
	    streamed(w, "/count", BIG_BYTES, BIG_BYTES, &a), RC_OK);
	assert_int_equal(fetch_answer(a.f, a.why), RC_OK);
	body_is(&a, "PUT 8388608 bytes, 0 wrong");
	fetch_close(&a.f);
	assert_int_equal(
	    streamed(w, "/count", UINT64_MAX, BIG_BYTES, &a), RC_OK);
	assert_int_equal(fetch_answer(a.f, a.why), RC_OK);
	body_is(&a, "PUT 8388608 bytes, 0 wrong");
	fetch_close(&a.f);
	assert_int_equal(streamed(w, "/count", 0, 0, &a), RC_OK);
	assert_int_equal(fetch_answer(a.f, a.why), RC_OK);
	body_is(&a, "PUT 0 bytes, 0 wrong");
	fetch_close(&a.f);
	assert_int_equal(stub_count(w->stub, "Content-Length: 8388608"), 1);
	assert_int_equal(stub_count(w->stub, "Transfer-Encoding: chunked"), 1);
}

static void
test_less_than_announced_fails(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(streamed(w, "/count", 1000, 999, &a), RC_OK);
	assert_int_not_equal(fetch_answer(a.f, a.why), RC_OK);
	fetch_close(&a.f);
}

static void
test_an_early_answer_is_seen_while_sending(void **state)
{
	struct world *w = *state;
	struct asked a;
	enum rc rc;

	rc = streamed(w, "/refused", UINT64_C(1) << 40, BIG_BYTES, &a);
	assert_int_equal(rc, RC_EXISTS);
	assert_int_equal(fetch_answer(a.f, a.why), RC_OK);
	assert_int_equal(fetch_status(a.f), 413);
	body_is(&a, "too much");
	fetch_close(&a.f);
}

/* The other side closed what we keep: the same goes over a new one. */
static void
test_a_kept_connection_that_was_closed_does_no_harm(void **state)
{
	struct world *w = *state;
	struct asked a;

	assert_int_equal(ask(w, "GET", "/short", &a), RC_OK);
	free(body(&a, NULL));
	fetch_close(&a.f);
	assert_int_equal(streamed(w, "/count", 1000, 1000, &a), RC_OK);
	assert_int_equal(fetch_answer(a.f, a.why), RC_OK);
	body_is(&a, "PUT 1000 bytes, 0 wrong");
	fetch_close(&a.f);
}

/* --- ways there ---------------------------------------------------------- */

static void
test_certificates_have_to_be_trusted(void **state)
{
	struct world *w = *state;
	const struct stub_options options = {
		.serve = serve, .arg = w, .tls = true
	};
	struct fetch_request r;
	struct asked a;
	char *url;

	stub_stop(&w->stub);
	w->stub = stub_start(&options);
	url = xasprintf("%s/twice", stub_url(w->stub));
	r = request_of("GET", url);
	assert_int_equal(fetch_open(w->fetcher, &r, &a.f, a.why), RC_DENIED);
	assert_non_null(strstr(a.why, "certificate"));
	r.ca_file = stub_ca(w->stub);
	assert_int_equal(fetch_open(w->fetcher, &r, &a.f, a.why), RC_OK);
	body_is(&a, "no");
	fetch_close(&a.f);
	r.ca_file = "/nonexistent";
	assert_int_equal(fetch_open(w->fetcher, &r, &a.f, a.why), RC_DENIED);
	free(url);
}

static void
test_large_body_over_tls(void **state)
{
	struct world *w = *state;
	const struct stub_options options = {
		.serve = serve, .arg = w, .tls = true
	};
	struct fetch_request r;
	struct asked a;
	char *url, *text;
	size_t n;

	stub_stop(&w->stub);
	w->stub = stub_start(&options);
	url = xasprintf("%s/chunked", stub_url(w->stub));
	r = request_of("GET", url);
	r.ca_file = stub_ca(w->stub);
	assert_int_equal(fetch_open(w->fetcher, &r, &a.f, a.why), RC_OK);
	nap_ms(200); /* so that it is paused */
	text = body(&a, &n);
	assert_int_equal(n, BIG_BYTES);
	assert_memory_equal(text, w->big, BIG_BYTES);
	fetch_close(&a.f);
	free(text);
	free(url);
}

static void
test_unix_sockets(void **state)
{
	struct world *w = *state;
	struct stub_options options = { .serve = serve, .arg = w };
	char dir[] = "/tmp/test-fetch-XXXXXX", path[64];
	struct fetch_request r = request_of("GET", "http://localhost/twice");
	struct asked a;

	must(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	options.unix_path = path;
	stub_stop(&w->stub);
	w->stub = stub_start(&options);
	r.unix_socket = path;
	assert_int_equal(fetch_open(w->fetcher, &r, &a.f, a.why), RC_OK);
	body_is(&a, "no");
	fetch_close(&a.f);
	stub_stop(&w->stub);
	assert_int_equal(rmdir(dir), 0);
}

static void
test_proxies_are_used(void **state)
{
	struct world *w = *state;
	struct fetch_request r =
	    request_of("GET", "http://registry.invalid/twice");
	struct asked a;

	r.proxy = stub_url(w->stub);
	/* The stub answers whatever it does not know by closing. */
	assert_int_equal(fetch_open(w->fetcher, &r, &a.f, a.why), RC_IO);
	assert_int_equal(
	    stub_count(w->stub, "GET http://registry.invalid/twice"), 1);
}

/* --- many ---------------------------------------------------------------- */

static void
one_of_many(void *arg)
{
	struct world *w = arg;
	struct asked a;
	size_t n;
	int i;

	for (i = 0; i < 4; i++) {
		must(ask(w, "GET", i % 2 ? "/big" : "/chunked", &a) == RC_OK);
		if (i == 2) {
			fetch_close(&a.f);
			continue;
		}
		free(body(&a, &n));
		must(a.rc == RC_OK && n == BIG_BYTES);
		fetch_close(&a.f);
		must(streamed(w, "/count", MIB, MIB, &a) == RC_OK);
		must(fetch_answer(a.f, a.why) == RC_OK);
		fetch_close(&a.f);
	}
}

static void
test_many_at_once(void **state)
{
	struct world *w = *state;
	pthread_t threads[12];
	size_t i;

	for (i = 0; i < ARRAY_LEN(threads); i++)
		must(
		    thread_start("many", one_of_many, w, &threads[i]) == RC_OK);
	for (i = 0; i < ARRAY_LEN(threads); i++)
		thread_join(threads[i]);
}

static void
test_freeing_without_use(void **state)
{
	struct fetcher *fr = NULL;

	(void)state;
	fetcher_free(&fr);
	assert_int_equal(fetcher_new(&fr), RC_OK);
	fetcher_free(&fr);
	assert_null(fr);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answer_has_status_headers_and_body),
		TEST(test_nothing_is_followed_and_nothing_is_an_error),
		TEST(test_head_and_no_content_have_no_body),
		TEST(test_large_bodies_arrive_whole),
		TEST(test_sender_is_slowed_down_by_who_does_not_read),
		TEST(test_interim_answers_are_passed_over),
		TEST(test_heads_have_a_limit),
		TEST(test_what_breaks_off_is_told_after_what_arrived),
		TEST(test_answers_that_are_none_are_failures),
		TEST(test_nobody_there_is_told_with_the_address),
		TEST(test_silence_ends_with_a_timeout),
		TEST(test_silence_counts_only_while_somebody_waits),
		TEST(test_cancelling_ends_waiting),
		TEST(test_stopping_ends_all_and_lets_nothing_begin),
		TEST(test_connections_are_used_again),
		TEST(test_what_was_not_read_does_not_stay_on_a_connection),
		TEST(test_addresses_that_are_not_asked_for),
		TEST(test_headers_cannot_smuggle_others),
		TEST(test_body_in_memory_is_sent),
		TEST(test_streamed_bodies_are_sent),
		TEST(test_less_than_announced_fails),
		TEST(test_an_early_answer_is_seen_while_sending),
		TEST(test_a_kept_connection_that_was_closed_does_no_harm),
		TEST(test_certificates_have_to_be_trusted),
		TEST(test_large_body_over_tls),
		TEST(test_unix_sockets),
		TEST(test_proxies_are_used),
		TEST(test_many_at_once),
		cmocka_unit_test(test_freeing_without_use),
	};

	return (cmocka_run_group_tests_name("fetch", tests, NULL, NULL));
}
