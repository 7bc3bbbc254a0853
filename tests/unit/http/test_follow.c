#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "base/thread.h"
#include "tests/unit/http/fixture.h"

/*
 * Exchanges that wait to be woken, and answers out of files that are still
 * being written.  The application of these tests:
 *
 *	/follow?from=N&n=N	of the file as it grows
 *	/wait			until wake_waiters(); then "woken"
 *	/wait?early=1		woken before the call that waits has returned
 *	/not-modified		304 with a file to follow that is not sent
 */
#define PLAIN 0
#define TLS 1

/* A file that grows under the hands of a test, and who waits for that. */
struct growing {
	pthread_mutex_t lock;
	pthread_cond_t change;
	size_t written, available;
	bool cut;
	struct http_exchange *waiting[64];
	unsigned n_waiting;
	struct http_exchange *parked[64]; /* by /wait */
	unsigned n_parked;
	atomic_uint looks, ends, woken;
	int fd;
};

struct bed {
	struct fixture fx;
	struct growing g;
};

static void
wake_all(struct growing *g)
{
	unsigned i;

	for (i = 0; i < g->n_waiting; i++)
		http_exchange_wake(g->waiting[i]);
	g->n_waiting = 0;
}

/* Written is more than may be sent: what must not be seen is nonsense. */
static void
grow_to(struct growing *g, size_t n)
{
	unsigned char *p = xmalloc(n + 100000);
	size_t i;

	for (i = g->written; i < n; i++)
		p[i] = fixture_file_byte(i);
	memset(p + n, 0xee, 100000);
	assert_int_equal(pwrite(g->fd, p + g->available,
			     n + 100000 - g->available, (off_t)g->available),
	    n + 100000 - g->available);
	free(p);
	mutex_lock(&g->lock);
	g->written = g->available = n;
	wake_all(g);
	mutex_unlock(&g->lock);
}

static void
cut_off(struct growing *g)
{
	mutex_lock(&g->lock);
	g->cut = true;
	wake_all(g);
	mutex_unlock(&g->lock);
}

static enum http_follow_state
look(void *arg, struct http_exchange *x, uint64_t sent, uint64_t *until_r)
{
	struct growing *g = arg;
	enum http_follow_state s = FOLLOW_WAIT;

	atomic_fetch_add(&g->looks, 1);
	mutex_lock(&g->lock);
	*until_r = g->available;
	if (g->available > sent)
		s = FOLLOW_SOME;
	else if (g->cut)
		s = FOLLOW_CUT;
	else
		g->waiting[g->n_waiting++] = x;
	pthread_cond_broadcast(&g->change);
	mutex_unlock(&g->lock);
	return (s);
}

static void
end(void *arg)
{
	struct growing *g = arg;

	atomic_fetch_add(&g->ends, 1);
}

static uint64_t
param(const struct http_request *rq, const char *key)
{
	struct span s;
	uint64_t n;

	if (!http_request_param(rq, key, &s))
		return (0);
	must(num_u64(s, UINT64_MAX, &n) == RC_OK);
	return (n);
}

static void
follow(struct http_exchange *x, struct bed *bed)
{
	struct http_follow *f = arena_calloc(&x->arena, 1, sizeof(*f));
	struct http_response *rs = &x->response;

	*f = (struct http_follow){ look, end, &bed->g };
	rs->body = HTTP_FILE;
	rs->fd = open(bed->fx.file, O_RDONLY | O_CLOEXEC);
	must(rs->fd != -1);
	rs->offset = param(&x->request, "from");
	rs->length = param(&x->request, "n");
	rs->follow = f;
	if (span_is(x->request.path, "/not-modified")) {
		close(rs->fd);
		rs->fd = -1;
		rs->status = 304;
		rs->body = HTTP_NO_BODY;
	}
	http_exchange_respond(x);
}

static void
woken(struct http_exchange *x)
{
	http_response_memory(&x->response, "text/plain", SPAN("woken"));
	http_exchange_respond(x);
}

static void
park(struct http_exchange *x, struct growing *g)
{
	http_exchange_wait(x, woken);
	mutex_lock(&g->lock);
	if (param(&x->request, "early"))
		http_exchange_wake(x);
	else
		g->parked[g->n_parked++] = x;
	pthread_cond_broadcast(&g->change);
	mutex_unlock(&g->lock);
}

static void
wake_parked(struct growing *g)
{
	unsigned i;

	mutex_lock(&g->lock);
	for (i = 0; i < g->n_parked; i++)
		http_exchange_wake(g->parked[i]);
	g->n_parked = 0;
	mutex_unlock(&g->lock);
}

static void
on_request(struct http_exchange *x, void *arg)
{
	struct bed *bed = arg;

	atomic_fetch_add(&bed->fx.requests, 1);
	if (span_is(x->request.path, "/wait"))
		park(x, &bed->g);
	else
		follow(x, bed);
}

static void
bed_init(struct bed *bed)
{
	struct fixture *fx = &bed->fx;

	fixture_init(fx);
	fx->listeners[TLS].address = "127.0.0.1:0";
	fixture_tls(fx, TLS);
	fx->config.n_listeners = 2;
	fx->config.app.request = on_request;
	mutex_init(&bed->g.lock);
	cond_init(&bed->g.change);
	(void)snprintf(fx->file, sizeof(fx->file), "%s/growing", fx->dir);
	bed->g.fd = open(fx->file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_not_equal(bed->g.fd, -1);
}

static int
setup(void **state)
{
	struct bed *bed = xcalloc(1, sizeof(*bed));

	bed_init(bed);
	fixture_start(&bed->fx);
	*state = bed;
	return (0);
}

static int
setup_impatient(void **state)
{
	struct bed *bed = xcalloc(1, sizeof(*bed));

	bed_init(bed);
	bed->fx.config.limits.body_ms = 300;
	fixture_start(&bed->fx);
	*state = bed;
	return (0);
}

static int
teardown(void **state)
{
	struct bed *bed = *state;

	fixture_fini(&bed->fx);
	close(bed->g.fd);
	pthread_cond_destroy(&bed->g.change);
	pthread_mutex_destroy(&bed->g.lock);
	free(bed);
	return (0);
}

/* --- a client ------------------------------------------------------------ */

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	struct bed *bed;
	pthread_t thread;
	char *bytes; /* of the body, all that came */
	size_t n;
	size_t announced;
	int status;
};

static void
client_open(struct client *c, struct bed *bed, size_t listener)
{
	*c = (struct client){ .bed = bed };
	c->fd = client_connect(&bed->fx, listener);
	if (listener == PLAIN)
		return;
	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	assert_int_equal(SSL_connect(c->ssl), 1);
}

static void
client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	free(c->bytes);
}

static void
client_ask(struct client *c, const char *method, const char *path)
{
	char text[300];
	int n;

	n = snprintf(text, sizeof(text),
	    "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", method,
	    path);
	if (c->ssl != NULL)
		assert_int_equal(SSL_write(c->ssl, text, n), n);
	else
		client_send(c->fd, text, (size_t)n);
}

/* 0: the end, however it came. */
static size_t
client_recv(struct client *c, char *p, size_t room)
{
	ssize_t got;

	if (c->ssl == NULL)
		got = recv(c->fd, p, room, 0);
	else
		got = SSL_read(c->ssl, p, (int)room);
	return (got > 0 ? (size_t)got : 0);
}

static void
client_take(void *arg)
{
	struct client *c = arg;
	size_t n = 0, got, room = 1 << 16;
	char *p = xmalloc(room + 1), *body;
	const char *length;

	while ((got = client_recv(c, p + n, room - n)) > 0) {
		n += got;
		if (n == room)
			p = xrealloc(p, (room *= 2) + 1);
	}
	p[n] = '\0';
	body = strstr(p, "\r\n\r\n");
	must(body != NULL && n > 12);
	length = strstr(p, "Content-Length: ");
	c->announced = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
	c->status = atoi(p + 9);
	body += 4;
	c->n = n - (size_t)(body - p);
	memmove(p, body, c->n);
	c->bytes = p;
}

static void
client_start(
    struct client *c, struct bed *bed, size_t listener, const char *path)
{
	client_open(c, bed, listener);
	client_ask(c, "GET", path);
	assert_int_equal(
	    thread_start("client", client_take, c, &c->thread), RC_OK);
}

static void
client_has(const struct client *c, size_t from, size_t n)
{
	size_t i;

	assert_int_equal(c->n, n);
	for (i = 0; i < n; i++) {
		if ((unsigned char)c->bytes[i] != fixture_file_byte(from + i))
			fail_msg("differs at %zu", from + i);
	}
}

/* Until so many wait for the file to grow. */
static void
wait_waiting(struct growing *g, unsigned n)
{
	int64_t until = now_ms() + FIXTURE_PATIENCE_MS;

	mutex_lock(&g->lock);
	while (g->n_waiting < n && now_ms() < until)
		(void)cond_wait_ms(&g->change, &g->lock, 1000);
	assert_int_equal(g->n_waiting, n);
	mutex_unlock(&g->lock);
}

static void
wait_parked(struct growing *g, unsigned n)
{
	int64_t until = now_ms() + FIXTURE_PATIENCE_MS;

	mutex_lock(&g->lock);
	while (g->n_parked < n && now_ms() < until)
		(void)cond_wait_ms(&g->change, &g->lock, 1000);
	assert_int_equal(g->n_parked, n);
	mutex_unlock(&g->lock);
}

/* --- files that grow ----------------------------------------------------- */

static void
a_file_that_grows_is_sent_as_it_comes(void **state)
{
	static const size_t steps[] = { 1, 2, 4095, 4096, 4097, 70000, 1048577,
		1048578, 3000000, 5000001 };
	struct bed *bed = *state;
	struct client c[2];
	size_t i;

	client_start(&c[0], bed, PLAIN, "/follow?n=5000001");
	client_start(&c[1], bed, TLS, "/follow?n=5000001");
	for (i = 0; i < ARRAY_LEN(steps); i++) {
		wait_waiting(&bed->g, 2);
		grow_to(&bed->g, steps[i]);
	}
	for (i = 0; i < 2; i++) {
		thread_join(c[i].thread);
		assert_int_equal(c[i].announced, 5000001);
		client_has(&c[i], 0, 5000001);
		client_close(&c[i]);
	}
	assert_true(fixture_settle(&bed->fx.dones, 2));
	assert_int_equal(atomic_load(&bed->g.ends), 2);
	assert_int_equal(atomic_load(&bed->fx.aborts), 0);
}

static void
a_part_waits_until_the_file_has_come_that_far(void **state)
{
	struct bed *bed = *state;
	struct client c[4];
	size_t i;

	grow_to(&bed->g, 100);
	for (i = 0; i < 2; i++) {
		client_start(&c[i], bed, i, "/follow?from=1000000&n=500000");
		client_start(&c[i + 2], bed, i, "/follow?from=50&n=40");
	}
	wait_waiting(&bed->g, 2);
	grow_to(&bed->g, 999999);
	wait_waiting(&bed->g, 2);
	grow_to(&bed->g, 1000001);
	wait_waiting(&bed->g, 2);
	grow_to(&bed->g, 1600000);
	for (i = 0; i < 4; i++)
		thread_join(c[i].thread);
	for (i = 0; i < 2; i++) {
		client_has(&c[i], 1000000, 500000);
		client_has(&c[i + 2], 50, 40);
	}
	for (i = 0; i < 4; i++)
		client_close(&c[i]);
	assert_true(fixture_settle(&bed->fx.dones, 4));
	assert_int_equal(atomic_load(&bed->g.ends), 4);
	assert_int_equal(atomic_load(&bed->fx.aborts), 0);
}

static void
a_file_that_fails_cuts_the_connection_short_of_its_length(void **state)
{
	struct bed *bed = *state;
	struct client c[2];
	size_t i;

	for (i = 0; i < 2; i++)
		client_start(&c[i], bed, i, "/follow?n=1000000");
	wait_waiting(&bed->g, 2);
	grow_to(&bed->g, 300000);
	wait_waiting(&bed->g, 2);
	cut_off(&bed->g);
	for (i = 0; i < 2; i++) {
		thread_join(c[i].thread);
		assert_int_equal(c[i].status, 200);
		assert_int_equal(c[i].announced, 1000000);
		client_has(&c[i], 0, 300000);
	}
	/* Nor does TLS say that this was all. */
	assert_int_equal(SSL_get_shutdown(c[TLS].ssl), 0);
	for (i = 0; i < 2; i++)
		client_close(&c[i]);
	assert_true(fixture_settle(&bed->fx.aborts, 2));
	assert_true(fixture_settle(&bed->fx.dones, 2));
	assert_int_equal(atomic_load(&bed->g.ends), 2);
	assert_int_equal(atomic_load(&bed->fx.bytes_out), 300000);
}

/* The wait is ours, not the client's. */
static void
no_time_runs_out_while_a_file_does_not_grow(void **state)
{
	struct bed *bed = *state;
	struct client c[2];
	size_t i;

	for (i = 0; i < 2; i++)
		client_start(&c[i], bed, i, "/follow?n=200000");
	wait_waiting(&bed->g, 2);
	sleep_ms(900);
	grow_to(&bed->g, 100000);
	wait_waiting(&bed->g, 2);
	sleep_ms(900);
	grow_to(&bed->g, 200000);
	for (i = 0; i < 2; i++) {
		thread_join(c[i].thread);
		client_has(&c[i], 0, 200000);
		client_close(&c[i]);
	}
	assert_true(fixture_settle(&bed->g.ends, 2));
}

static void
a_client_that_does_not_read_runs_out_of_time(void **state)
{
	struct bed *bed = *state;
	struct client c;
	int small = 65536;

	client_open(&c, bed, PLAIN);
	(void)setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	grow_to(&bed->g, 30000000);
	client_ask(&c, "GET", "/follow?n=30000000");
	assert_true(fixture_settle(&bed->fx.aborts, 1));
	assert_int_equal(atomic_load(&bed->g.ends), 1);
	client_close(&c);
}

static void
a_client_that_leaves_is_noticed_when_more_came(void **state)
{
	struct bed *bed = *state;
	struct client c[2];
	size_t i, n = 0;

	for (i = 0; i < 2; i++) {
		client_open(&c[i], bed, i);
		client_ask(&c[i], "GET", "/follow?n=90000000");
	}
	wait_waiting(&bed->g, 2);
	for (i = 0; i < 2; i++)
		client_close(&c[i]);
	/* Nobody but the one who was asked may end it. */
	sleep_ms(50);
	assert_int_equal(atomic_load(&bed->fx.dones), 0);
	for (i = 0; i < 80 && atomic_load(&bed->fx.dones) < 2; i++) {
		grow_to(&bed->g, n += 1000000);
		sleep_ms(10);
	}
	assert_true(fixture_settle(&bed->fx.dones, 2));
	assert_int_equal(atomic_load(&bed->g.ends), 2);
	assert_int_equal(atomic_load(&bed->fx.aborts), 2);
}

static unsigned
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	must(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return (n);
}

static void
what_is_not_sent_is_not_followed_and_ends_all_the_same(void **state)
{
	static const char *const asked[][2] = {
		{ "HEAD", "/follow?n=1000" },
		{ "GET", "/follow?n=0" },
		{ "GET", "/not-modified?n=1000" },
	};
	unsigned before = open_descriptors();
	struct bed *bed = *state;
	struct client c;
	size_t i;

	for (i = 0; i < ARRAY_LEN(asked); i++) {
		client_open(&c, bed, PLAIN);
		client_ask(&c, asked[i][0], asked[i][1]);
		client_take(&c);
		assert_int_equal(c.n, 0);
		client_close(&c);
		assert_true(fixture_settle(&bed->g.ends, (unsigned)i + 1));
	}
	assert_true(fixture_settle(&bed->fx.dones, ARRAY_LEN(asked)));
	assert_true(fixture_connections(&bed->fx, 0));
	assert_int_equal(atomic_load(&bed->g.looks), 0);
	assert_int_equal(atomic_load(&bed->fx.aborts), 0);
	assert_in_range(open_descriptors(), before - 1, before + 1);
}

#define CROWD 40

static void
a_crowd_follows_one_file(void **state)
{
	struct bed *bed = *state;
	struct client c[CROWD];
	size_t i, n;
	char path[64];

	for (i = 0; i < CROWD; i++) {
		(void)snprintf(path, sizeof(path), "/follow?from=%zu&n=%zu",
		    i * 1000, 800000 - i * 1000);
		client_start(&c[i], bed, i % 2, path);
	}
	for (n = 7000; n < 800000; n += 7000)
		grow_to(&bed->g, n);
	grow_to(&bed->g, 800000);
	for (i = 0; i < CROWD; i++) {
		thread_join(c[i].thread);
		client_has(&c[i], i * 1000, 800000 - i * 1000);
		client_close(&c[i]);
	}
	assert_true(fixture_settle(&bed->fx.dones, CROWD));
	assert_int_equal(atomic_load(&bed->g.ends), CROWD);
	assert_int_equal(atomic_load(&bed->fx.aborts), 0);
}

/* --- exchanges that wait ------------------------------------------------- */

static void
an_exchange_goes_on_when_it_is_woken(void **state)
{
	struct bed *bed = *state;
	struct client c[3];
	size_t i;

	client_start(&c[0], bed, PLAIN, "/wait");
	client_start(&c[1], bed, TLS, "/wait");
	client_start(&c[2], bed, PLAIN, "/wait?early=1");
	wait_parked(&bed->g, 2);
	assert_true(fixture_settle(&bed->fx.dones, 1));
	wake_parked(&bed->g);
	for (i = 0; i < 3; i++) {
		thread_join(c[i].thread);
		assert_int_equal(c[i].n, 5);
		assert_memory_equal(c[i].bytes, "woken", 5);
		client_close(&c[i]);
	}
	assert_true(fixture_settle(&bed->fx.dones, 3));
	assert_int_equal(atomic_load(&bed->fx.aborts), 0);
}

static void
an_exchange_stays_until_it_is_woken_though_its_client_left(void **state)
{
	struct bed *bed = *state;
	struct linger hard = { 1, 0 };
	struct client c;

	client_open(&c, bed, PLAIN);
	client_ask(&c, "GET", "/wait");
	wait_parked(&bed->g, 1);
	(void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_close(&c);
	sleep_ms(50);
	assert_int_equal(atomic_load(&bed->fx.dones), 0);
	wake_parked(&bed->g);
	assert_true(fixture_settle(&bed->fx.dones, 1));
	assert_true(fixture_connections(&bed->fx, 0));
}

static void
wake_soon(void *arg)
{
	struct bed *bed = arg;

	wait_parked(&bed->g, 8);
	wake_parked(&bed->g);
}

/* Who wakes them may still be at it when the server is already gone. */
static void
a_server_outlives_whoever_wakes_its_exchanges(void **state)
{
	struct bed *bed = *state;
	struct client c[8];
	pthread_t waker;
	size_t i;

	for (i = 0; i < ARRAY_LEN(c); i++) {
		client_open(&c[i], bed, PLAIN);
		client_ask(&c[i], "GET", "/wait");
	}
	assert_true(fixture_settle(&bed->fx.requests, ARRAY_LEN(c)));
	assert_int_equal(thread_start("waker", wake_soon, bed, &waker), RC_OK);
	fixture_stop(&bed->fx, 5000);
	assert_int_equal(atomic_load(&bed->fx.dones), ARRAY_LEN(c));
	thread_join(waker);
	for (i = 0; i < ARRAY_LEN(c); i++)
		client_close(&c[i]);
}

static void
stop(void *arg)
{
	struct bed *bed = arg;

	fixture_stop(&bed->fx, 100);
}

static void
a_server_stops_when_those_were_woken_who_wait(void **state)
{
	struct bed *bed = *state;
	struct client c[4];
	pthread_t stopper;
	size_t i;

	grow_to(&bed->g, 1000);
	for (i = 0; i < 2; i++) {
		client_open(&c[i], bed, i);
		client_ask(&c[i], "GET", "/wait");
		client_open(&c[i + 2], bed, i);
		client_ask(&c[i + 2], "GET", "/follow?n=2000");
	}
	wait_parked(&bed->g, 2);
	wait_waiting(&bed->g, 2);
	assert_int_equal(thread_start("stop", stop, bed, &stopper), RC_OK);
	sleep_ms(300);
	assert_int_equal(atomic_load(&bed->fx.dones), 0);
	cut_off(&bed->g);
	wake_parked(&bed->g);
	thread_join(stopper);
	assert_int_equal(atomic_load(&bed->fx.dones), 4);
	/* On a busy machine the connections were not cut yet. */
	assert_in_range(atomic_load(&bed->fx.aborts), 2, 4);
	assert_int_equal(atomic_load(&bed->g.ends), 2);
	for (i = 0; i < 4; i++)
		client_close(&c[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define IMPATIENT(name) \
	cmocka_unit_test_setup_teardown(name, setup_impatient, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_grows_is_sent_as_it_comes),
		TEST(a_part_waits_until_the_file_has_come_that_far),
		TEST(a_file_that_fails_cuts_the_connection_short_of_its_length),
		IMPATIENT(no_time_runs_out_while_a_file_does_not_grow),
		IMPATIENT(a_client_that_does_not_read_runs_out_of_time),
		TEST(a_client_that_leaves_is_noticed_when_more_came),
		TEST(what_is_not_sent_is_not_followed_and_ends_all_the_same),
		TEST(a_crowd_follows_one_file),
		TEST(an_exchange_goes_on_when_it_is_woken),
		TEST(
		    an_exchange_stays_until_it_is_woken_though_its_client_left),
		TEST(a_server_outlives_whoever_wakes_its_exchanges),
		TEST(a_server_stops_when_those_were_woken_who_wait),
	};

	return (cmocka_run_group_tests_name("http/follow", tests, NULL, NULL));
}
