#include <pthread.h>
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
#include "tests/unit/http/fixture.h"

/*
 * Bodies that are read by a source, and not out of a file as it lies.  The
 * application of these tests:
 *
 *	/source?from=N&n=N	bytes that follow from where they stand
 *	  &cold=1		that have to be waited for, each megabyte once
 *	  &broken=N		but for that one, which cannot be had
 *	  &short=N		of which there are only so many
 *	  &follow=1		of which there are more each time it is asked
 */
#define PLAIN 0
#define TLS 1
#define FRAME_BYTES 65536
#define FOLLOW_STEP 100000
#define ALL ((size_t)3000000)

struct bed {
	struct fixture fx;
	pthread_t loops[8];
	atomic_uint n_loops;
	atomic_uint reads, waited, warms, closes, ends, warm_on_loop;
};

/* Of one answer. */
struct fake {
	struct http_source source;
	struct http_follow follow;
	struct bed *bed;
	bool cold;
	uint64_t warm_until, broken, end, available;
};

static unsigned char
byte_at(uint64_t i)
{
	return ((unsigned char)(i * 13 + i / FRAME_BYTES));
}

static enum rc
fake_read(
    void *arg, uint64_t offset, void *p, size_t n, bool may_wait, size_t *n_r)
{
	struct fake *f = arg;
	uint64_t i, end = offset - offset % FRAME_BYTES + FRAME_BYTES;
	unsigned char *out = p;

	atomic_fetch_add(&f->bed->reads, 1);
	if (end > offset + n)
		end = offset + n;
	if (end > f->end)
		end = f->end;
	if (f->cold && offset >= f->warm_until) {
		if (!may_wait)
			return (RC_WOULDBLOCK);
		atomic_fetch_add(&f->bed->waited, 1);
	}
	if (f->broken / FRAME_BYTES == offset / FRAME_BYTES)
		return (RC_CORRUPT);
	for (i = offset; i < end; i++)
		out[i - offset] = byte_at(i);
	*n_r = end > offset ? end - offset : 0;
	return (RC_OK);
}

static void
fake_warm(void *arg, uint64_t offset, uint64_t n_bytes)
{
	struct fake *f = arg;
	unsigned i;

	for (i = 0; i < atomic_load(&f->bed->n_loops); i++)
		if (pthread_equal(pthread_self(), f->bed->loops[i]))
			atomic_fetch_add(&f->bed->warm_on_loop, 1);
	atomic_fetch_add(&f->bed->warms, 1);
	f->warm_until = offset + n_bytes;
}

static void
fake_close(void *arg)
{
	struct fake *f = arg;

	atomic_fetch_add(&f->bed->closes, 1);
}

static enum http_follow_state
fake_look(void *arg, struct http_exchange *x, uint64_t sent, uint64_t *until_r)
{
	struct fake *f = arg;

	(void)x;
	f->available = sent + FOLLOW_STEP;
	*until_r = f->available;
	return (FOLLOW_SOME);
}

static void
fake_end(void *arg)
{
	struct fake *f = arg;

	atomic_fetch_add(&f->bed->ends, 1);
}

static uint64_t
param(const struct http_request *rq, const char *key, uint64_t otherwise)
{
	struct span s;
	uint64_t n;

	if (!http_request_param(rq, key, &s))
		return (otherwise);
	must(num_u64(s, UINT64_MAX, &n) == RC_OK);
	return (n);
}

static void
on_request(struct http_exchange *x, void *arg)
{
	struct fake *f = arena_calloc(&x->arena, 1, sizeof(*f));
	const struct http_request *rq = &x->request;
	struct http_response *rs = &x->response;
	struct bed *bed = arg;

	if (atomic_load(&bed->n_loops) < ARRAY_LEN(bed->loops))
		bed->loops[atomic_fetch_add(&bed->n_loops, 1)] = pthread_self();
	*f = (struct fake){
		.source = { fake_read, fake_warm, fake_close, f },
		.follow = { fake_look, fake_end, f },
		.bed = bed,
		.cold = param(rq, "cold", 0) != 0,
		.broken = param(rq, "broken", UINT64_MAX),
		.end = param(rq, "short", UINT64_MAX),
	};
	rs->body = HTTP_FILE;
	rs->source = &f->source;
	rs->offset = param(rq, "from", 0);
	rs->length = param(rq, "n", ALL);
	if (param(rq, "follow", 0) != 0)
		rs->follow = &f->follow;
	http_exchange_respond(x);
}

static int
setup(void **state)
{
	struct bed *bed = xcalloc(1, sizeof(*bed));
	struct fixture *fx = &bed->fx;

	fixture_init(fx);
	fx->listeners[TLS].address = "127.0.0.1:0";
	fixture_tls(fx, TLS);
	fx->config.n_listeners = 2;
	fx->config.app.request = on_request;
	fixture_start(fx);
	*state = bed;
	return (0);
}

static int
teardown(void **state)
{
	struct bed *bed = *state;

	fixture_fini(&bed->fx);
	free(bed);
	return (0);
}

/* --- a client ------------------------------------------------------------ */

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	char *bytes, *body;
	size_t n; /* of the body */
};

static void
client_open(struct client *c, struct bed *bed, size_t listener)
{
	*c = (struct client){ .fd = client_connect(&bed->fx, listener) };
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
client_ask(struct client *c, const char *method, const char *query)
{
	char text[300];
	int n;

	n = snprintf(text, sizeof(text),
	    "%s /source?%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	    method, query);
	if (c->ssl != NULL)
		assert_int_equal(SSL_write(c->ssl, text, n), n);
	else
		client_send(c->fd, text, (size_t)n);
}

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

/* All that comes. */
static void
client_take(struct client *c)
{
	size_t n = 0, got, room = 1 << 16;

	c->bytes = xmalloc(room + 1);
	while ((got = client_recv(c, c->bytes + n, room - n)) > 0) {
		n += got;
		if (n == room)
			c->bytes = xrealloc(c->bytes, (room *= 2) + 1);
	}
	c->bytes[n] = '\0';
	c->body = strstr(c->bytes, "\r\n\r\n");
	assert_non_null(c->body);
	c->body += 4;
	c->n = n - (size_t)(c->body - c->bytes);
}

static void
body_expect(const struct client *c, uint64_t from)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if ((unsigned char)c->body[i] != byte_at(from + i))
			fail_msg("byte %zu is wrong", i);
}

static void
ask(struct bed *bed, size_t listener, const char *query, struct client *c)
{
	client_open(c, bed, listener);
	client_ask(c, "GET", query);
	client_take(c);
}

static void
whole_expect(struct bed *bed, size_t listener, const char *query, uint64_t from,
    size_t n)
{
	struct client c;

	ask(bed, listener, query, &c);
	assert_int_equal(c.n, n);
	body_expect(&c, from);
	client_close(&c);
}

/* --- the tests ----------------------------------------------------------- */

static void
test_what_a_source_gives_is_sent(void **state)
{
	struct bed *bed = *state;
	size_t i;

	for (i = PLAIN; i <= TLS; i++) {
		whole_expect(bed, i, "", 0, ALL);
		whole_expect(bed, i, "from=65535&n=2", 65535, 2);
		whole_expect(bed, i, "from=123456&n=654321", 123456, 654321);
	}
	assert_true(fixture_settle(&bed->closes, 6));
	assert_int_equal(atomic_load(&bed->warms), 0);
}

static void
test_a_source_that_has_to_wait_does_so_on_a_worker(void **state)
{
	struct bed *bed = *state;
	size_t i;

	for (i = PLAIN; i <= TLS; i++)
		whole_expect(bed, i, "cold=1&from=100", 100, ALL);
	assert_int_equal(atomic_load(&bed->waited), 0);
	assert_int_equal(atomic_load(&bed->warm_on_loop), 0);
	assert_in_range(atomic_load(&bed->warms), 6, 12);
	assert_true(fixture_settle(&bed->closes, 2));
}

static void
test_what_is_broken_cuts_the_connection_before_it(void **state)
{
	struct bed *bed = *state;
	struct client c;
	size_t i;

	for (i = PLAIN; i <= TLS; i++) {
		ask(bed, i, "broken=200000", &c);
		assert_int_equal(c.n, 3 * FRAME_BYTES);
		body_expect(&c, 0);
		client_close(&c);
		ask(bed, i, "broken=0&cold=1", &c);
		assert_int_equal(c.n, 0);
		client_close(&c);
	}
	assert_true(fixture_settle(&bed->closes, 4));
}

static void
test_a_source_that_ends_early_cuts_the_connection(void **state)
{
	struct bed *bed = *state;
	struct client c;

	ask(bed, PLAIN, "short=100000", &c);
	assert_int_equal(c.n, 100000);
	body_expect(&c, 0);
	client_close(&c);
	assert_true(fixture_settle(&bed->closes, 1));
}

static void
test_head_reads_nothing(void **state)
{
	struct bed *bed = *state;
	struct client c;

	client_open(&c, bed, PLAIN);
	client_ask(&c, "HEAD", "");
	client_take(&c);
	assert_non_null(strstr(c.bytes, "Content-Length: 3000000\r\n"));
	assert_int_equal(c.n, 0);
	client_close(&c);
	assert_true(fixture_settle(&bed->closes, 1));
	assert_int_equal(atomic_load(&bed->reads), 0);
}

static void
test_a_source_that_grows_is_followed(void **state)
{
	struct bed *bed = *state;
	size_t i;

	for (i = PLAIN; i <= TLS; i++) {
		whole_expect(bed, i, "follow=1", 0, ALL);
		whole_expect(bed, i, "follow=1&cold=1&from=7", 7, ALL);
	}
	assert_true(fixture_settle(&bed->closes, 4));
	assert_int_equal(atomic_load(&bed->ends), 4);
	assert_int_equal(atomic_load(&bed->waited), 0);
}

/* What the socket does not take at once is read once more. */
static void
test_a_client_that_reads_slowly_gets_all(void **state)
{
	struct bed *bed = *state;
	struct client c;
	size_t i;

	for (i = PLAIN; i <= TLS; i++) {
		client_open(&c, bed, i);
		client_ask(&c, "GET", "n=20000000");
		sleep_ms(200);
		client_take(&c);
		assert_int_equal(c.n, 20000000);
		body_expect(&c, 0);
		client_close(&c);
	}
	assert_true(fixture_settle(&bed->closes, 2));
}

static void
test_a_client_that_goes_away_has_the_source_closed(void **state)
{
	const struct linger hard = { 1, 0 };
	struct bed *bed = *state;
	struct client c;

	client_open(&c, bed, PLAIN);
	client_ask(&c, "GET", "n=100000000&cold=1");
	sleep_ms(50);
	(void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_close(&c);
	assert_true(fixture_settle(&bed->closes, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_a_source_gives_is_sent),
		TEST(test_a_source_that_has_to_wait_does_so_on_a_worker),
		TEST(test_what_is_broken_cuts_the_connection_before_it),
		TEST(test_a_source_that_ends_early_cuts_the_connection),
		TEST(test_head_reads_nothing),
		TEST(test_a_source_that_grows_is_followed),
		TEST(test_a_client_that_reads_slowly_gets_all),
		TEST(test_a_client_that_goes_away_has_the_source_closed),
	};

	return (cmocka_run_group_tests_name("http source", tests, NULL, NULL));
}
