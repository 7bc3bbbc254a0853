/*
 * http_load [options] PORT PATH: many requests for one thing.
 *
 *   --connections N   that many requests are on their way at any time
 *   --threads N       each with its share of the connections
 *   --ms N            for so long
 *   --warm N          after so many ms with the same load that do not count
 *   --pid PID         count the CPU of this process meanwhile; repeated
 *   --head            HEAD instead of GET
 *   --close           a new connection for every request, and
 *                     "Connection: close" in it, as docker and skopeo do;
 *                     otherwise connections are kept
 *   --tls             TLS, never resumed
 *   --accept TYPE
 *   --authorization VALUE  as the header of that name
 *   --length N        what Content-Length must say
 *   --spread N        connections come from N loopback addresses
 *   --rate N          requests a second in all, evenly; a request's time is
 *                     counted from when it was due, sent or not
 *   --realtime        ahead of everything else on the machine where allowed,
 *                     so that it is the server's delay that is measured
 *
 * The bodies are received and thrown away.  Prints one JSON object.
 */

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "base/thread.h"
#include "tests/bench/bench.h"

#define SCRATCH_BYTES ((size_t)256 * 1024)
#define HEAD_BYTES 8192
#define READS_PER_TURN 16
#define PIDS_MAX 256

struct worker;

/*
 * Between requests of a paced run a connection is idle; otherwise it is
 * sending (sent < request length) or receiving.  fd is -1 only before the
 * first request and, with --close, between two.
 */
struct conn {
	struct worker *worker;
	uint64_t number;
	int fd;
	SSL *ssl;
	bool idle, out; /* what epoll was told: also EPOLLOUT */
	size_t sent;
	bool in_body;
	uint64_t left; /* of the body */
	int64_t began_ns, due_ns;
	size_t have;
	char head[HEAD_BYTES];
};

struct worker {
	pthread_t thread;
	int epoll;
	struct conn *conns;
	size_t n_conns;
	uint64_t opened;
	uint64_t bytes;
	struct bench_times times;
	bool realtime;
	char scratch[SCRATCH_BYTES];
};

static struct {
	bool head, close, tls, realtime, check_length;
	uint16_t port;
	const char *path, *accept, *authorization;
	uint64_t connections, threads, rate, length;
	unsigned spread;
	int64_t ms, warm_ms;
	size_t n_pids;
	pid_t pids[PIDS_MAX];
} opt = { .connections = 1, .threads = 1, .spread = 1, .ms = 1000 };

static char request[4096];
static size_t request_bytes;
static SSL_CTX *tls;
static pthread_barrier_t start;
static int64_t began_ns;
static atomic_bool counting, stopping;

static void conn_next(struct conn *, int64_t now_ns);

static void
conn_open(struct conn *c)
{
	struct worker *w = c->worker;
	struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = c } };

	c->fd = bench_socket(SOCK_NONBLOCK, opt.spread,
	    c->number + w->opened++ * opt.connections);
	if (bench_connect(c->fd, opt.port) == -1 && errno != EINPROGRESS)
		bench_die("connect: %s", strerror(errno));
	c->out = false;
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &ev) == -1)
		bench_die("epoll_ctl: %s", strerror(errno));
	if (tls == NULL)
		return;
	if ((c->ssl = SSL_new(tls)) == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		bench_die("SSL_new failed");
	SSL_set_connect_state(c->ssl);
}

static void
conn_close(struct conn *c)
{
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	c->ssl = NULL;
	close(c->fd);
	c->fd = -1;
}

static void
conn_want_out(struct conn *c, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0),
		.data = { .ptr = c } };

	if (c->out == out)
		return;
	c->out = out;
	if (epoll_ctl(c->worker->epoll, EPOLL_CTL_MOD, c->fd, &ev) == -1)
		bench_die("epoll_ctl: %s", strerror(errno));
}

/* -1: not now; c->out says what is waited for. */
static ssize_t
tls_done(struct conn *c, int n)
{
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_NONE:
		return (n);
	case SSL_ERROR_WANT_READ:
		conn_want_out(c, false);
		return (-1);
	case SSL_ERROR_WANT_WRITE:
		conn_want_out(c, true);
		return (-1);
	case SSL_ERROR_ZERO_RETURN:
		return (0);
	default:
		bench_die("TLS: %s", strerror(errno));
	}
}

static ssize_t
plain_done(struct conn *c, ssize_t n, bool sending)
{
	if (n == -1 && errno != EAGAIN)
		bench_die("the server hung up: %s", strerror(errno));
	if (sending)
		conn_want_out(c, n == -1);
	return (n);
}

static void
conn_send(struct conn *c)
{
	const char *p = request + c->sent;
	size_t n = request_bytes - c->sent;
	ssize_t done;

	if (c->ssl != NULL)
		done = tls_done(c, SSL_write(c->ssl, p, (int)n));
	else
		done = plain_done(c, send(c->fd, p, n, MSG_NOSIGNAL), true);
	if (done > 0)
		c->sent += (size_t)done;
	if (c->sent == request_bytes)
		conn_want_out(c, false);
}

static ssize_t
conn_read(struct conn *c, char *to, size_t n)
{
	ssize_t got;

	if (c->ssl != NULL)
		got = tls_done(c, SSL_read(c->ssl, to, (int)n));
	else
		got = plain_done(c, recv(c->fd, to, n, 0), false);
	if (got == 0)
		bench_die("the server hung up in an answer");
	return (got);
}

static void
count_bytes(struct worker *w, uint64_t n)
{
	if (atomic_load_explicit(&counting, memory_order_relaxed))
		w->bytes += n;
}

/* The head is there, and c->have bytes with it. */
static void
conn_begin_body(struct conn *c, const struct bench_head *h)
{
	uint64_t here = c->have - h->bytes;

	if (h->status != 200 || !h->has_length ||
	    (opt.check_length && h->length != opt.length))
		bench_die(
		    "not the answer hoped for: %.*s", (int)c->have, c->head);
	if (h->close && !opt.close)
		bench_die("the server closes a kept connection");
	c->left = opt.head ? 0 : h->length;
	if (here > c->left)
		bench_die("more bytes than the answer has");
	c->left -= here;
	count_bytes(c->worker, here);
	c->in_body = true;
}

/* False: nothing more to be had now. */
static bool
conn_receive(struct conn *c)
{
	struct bench_head h;
	ssize_t got;

	if (c->in_body) {
		got = conn_read(c, c->worker->scratch,
		    c->left < SCRATCH_BYTES ? c->left : SCRATCH_BYTES);
		if (got == -1)
			return (false);
		c->left -= (uint64_t)got;
		count_bytes(c->worker, (uint64_t)got);
		return (true);
	}
	got = conn_read(c, c->head + c->have, HEAD_BYTES - c->have);
	if (got == -1)
		return (false);
	c->have += (size_t)got;
	if (bench_head_parse(c->head, c->have, &h))
		conn_begin_body(c, &h);
	else if (c->have == HEAD_BYTES)
		bench_die("an overlong head");
	return (true);
}

static void
conn_finish(struct conn *c)
{
	struct worker *w = c->worker;
	int64_t now_ns = clock_mono_ns();

	if (atomic_load_explicit(&counting, memory_order_relaxed))
		bench_times_add(&w->times,
		    now_ns - (opt.rate > 0 ? c->due_ns : c->began_ns));
	if (opt.close)
		conn_close(c);
	if (opt.rate > 0)
		c->due_ns +=
		    (int64_t)(opt.connections * 1000000000u / opt.rate);
	conn_next(c, now_ns);
}

/* Begin the next request, or wait until it is due. */
static void
conn_next(struct conn *c, int64_t now_ns)
{
	c->idle = opt.rate > 0 && c->due_ns > now_ns;
	if (c->idle)
		return;
	c->began_ns = now_ns;
	c->sent = c->have = 0;
	c->in_body = false;
	if (c->fd == -1)
		conn_open(c);
	conn_send(c);
}

static void
conn_event(struct conn *c)
{
	unsigned turn;

	if (c->sent < request_bytes) {
		conn_send(c);
		return;
	}
	/* OpenSSL may hold bytes that epoll does not see: to the end. */
	for (turn = 0; c->ssl != NULL || turn < READS_PER_TURN; turn++) {
		if (!conn_receive(c))
			return;
		if (c->in_body && c->left == 0) {
			conn_finish(c);
			return;
		}
	}
}

/* Start what is due; how long nothing is, at most 100 ms. */
static int64_t
worker_pace(struct worker *w)
{
	int64_t now_ns = clock_mono_ns(), wait_ns = 100 * 1000000;
	size_t i;

	for (i = 0; i < w->n_conns; i++) {
		if (!w->conns[i].idle)
			continue;
		conn_next(&w->conns[i], now_ns);
		if (w->conns[i].idle && w->conns[i].due_ns - now_ns < wait_ns)
			wait_ns = w->conns[i].due_ns - now_ns;
	}
	return (wait_ns);
}

static void
worker_turn(struct worker *w)
{
	struct epoll_event evs[64];
	int64_t wait_ns = opt.rate > 0 ? worker_pace(w) : 100 * 1000000;
	struct timespec wait = { .tv_nsec = wait_ns };
	int i, n;

	n = epoll_pwait2(w->epoll, evs, 64, &wait, NULL);
	for (i = 0; i < n; i++)
		conn_event(evs[i].data.ptr);
}

static void
worker_run(void *arg)
{
	struct worker *w = arg;
	struct sched_param first = { .sched_priority = 10 };
	size_t i;

	if (opt.realtime)
		w->realtime = pthread_setschedparam(
				  pthread_self(), SCHED_FIFO, &first) == 0;
	pthread_barrier_wait(&start);
	for (i = 0; i < w->n_conns; i++) {
		w->conns[i].due_ns =
		    began_ns +
		    (int64_t)(opt.rate > 0
				  ? w->conns[i].number * 1000000000u / opt.rate
				  : 0);
		conn_next(&w->conns[i], began_ns);
	}
	while (!atomic_load_explicit(&stopping, memory_order_relaxed))
		worker_turn(w);
}

static struct worker *
worker_new(uint64_t number)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	uint64_t i;

	w->conns = xcalloc(opt.connections, sizeof(*w->conns));
	for (i = number; i < opt.connections; i += opt.threads)
		w->conns[w->n_conns++] =
		    (struct conn){ .worker = w, .number = i, .fd = -1 };
	if ((w->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		bench_die("epoll_create1: %s", strerror(errno));
	if (thread_start("load", worker_run, w, &w->thread) != RC_OK)
		bench_die("no thread");
	return (w);
}

static void
option_take(int o)
{
	switch (o) {
	case 'h':
		opt.head = true;
		break;
	case 'x':
		opt.close = true;
		break;
	case 's':
		opt.tls = true;
		break;
	case 'R':
		opt.realtime = true;
		break;
	case 'a':
		opt.accept = optarg;
		break;
	case 'A':
		opt.authorization = optarg;
		break;
	case 'c':
		opt.connections = bench_number(optarg, "--connections");
		break;
	case 't':
		opt.threads = bench_number(optarg, "--threads");
		break;
	case 'r':
		opt.rate = bench_number(optarg, "--rate");
		break;
	case 'W':
		opt.warm_ms = (int64_t)bench_number(optarg, "--warm");
		break;
	case 'p':
		if (opt.n_pids == PIDS_MAX)
			bench_die("too many processes");
		opt.pids[opt.n_pids++] = (pid_t)bench_number(optarg, "--pid");
		break;
	case 'm':
		opt.ms = (int64_t)bench_number(optarg, "--ms");
		break;
	case 'w':
		opt.spread = (unsigned)bench_number(optarg, "--spread");
		break;
	case 'l':
		opt.check_length = true;
		opt.length = bench_number(optarg, "--length");
		break;
	default:
		bench_die("usage: http_load [options] PORT PATH");
	}
}

static void
options_read(int argc, char **argv)
{
	static const struct option table[] = {
		{ "head", no_argument, NULL, 'h' },
		{ "close", no_argument, NULL, 'x' },
		{ "tls", no_argument, NULL, 's' },
		{ "realtime", no_argument, NULL, 'R' },
		{ "accept", required_argument, NULL, 'a' },
		{ "authorization", required_argument, NULL, 'A' },
		{ "connections", required_argument, NULL, 'c' },
		{ "threads", required_argument, NULL, 't' },
		{ "rate", required_argument, NULL, 'r' },
		{ "ms", required_argument, NULL, 'm' },
		{ "warm", required_argument, NULL, 'W' },
		{ "pid", required_argument, NULL, 'p' },
		{ "spread", required_argument, NULL, 'w' },
		{ "length", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", table, NULL)) != -1)
		option_take(o);
	if (optind + 2 != argc)
		bench_die("usage: http_load [options] PORT PATH");
	opt.port = (uint16_t)bench_number(argv[optind], "PORT");
	opt.path = argv[optind + 1];
	if (opt.threads > opt.connections)
		opt.threads = opt.connections;
}

static void
request_make(void)
{
	int n;

	n = snprintf(request, sizeof(request),
	    "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "User-Agent: http_load\r\n%s%s%s%s%s%s%s\r\n",
	    opt.head ? "HEAD" : "GET", opt.path, opt.port,
	    opt.accept != NULL ? "Accept: " : "",
	    opt.accept != NULL ? opt.accept : "",
	    opt.accept != NULL ? "\r\n" : "",
	    opt.authorization != NULL ? "Authorization: " : "",
	    opt.authorization != NULL ? opt.authorization : "",
	    opt.authorization != NULL ? "\r\n" : "",
	    opt.close ? "Connection: close\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof(request))
		bench_die("the request is too long");
	request_bytes = (size_t)n;
}

/* CPU, user and system, of all threads those processes ever had. */
static int64_t
cpu_ns(void)
{
	struct timespec t;
	clockid_t clock;
	int64_t sum = 0;
	size_t i;

	for (i = 0; i < opt.n_pids; i++) {
		if (clock_getcpuclockid(opt.pids[i], &clock) != 0 ||
		    clock_gettime(clock, &t) != 0)
			bench_die("process %d is gone", (int)opt.pids[i]);
		sum += (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	}
	return (sum);
}

static void
sleep_until(int64_t mono_ns)
{
	struct timespec t = { .tv_sec = mono_ns / 1000000000,
		.tv_nsec = mono_ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

/* Let the workers run; how long they were counted, and the CPU of it. */
static double
load_watch(int64_t *cpu_r)
{
	int64_t from_ns, to_ns;

	sleep_until(began_ns + opt.warm_ms * 1000000);
	*cpu_r = -cpu_ns();
	atomic_store(&counting, true);
	from_ns = clock_mono_ns();
	sleep_until(from_ns + opt.ms * 1000000);
	atomic_store(&counting, false);
	to_ns = clock_mono_ns();
	*cpu_r += cpu_ns();
	atomic_store(&stopping, true);
	return ((double)(to_ns - from_ns) / 1e9);
}

int
main(int argc, char **argv)
{
	struct worker **workers;
	struct bench_times times = { 0 };
	uint64_t i, bytes = 0;
	bool realtime = true;
	int64_t cpu;
	double seconds;

	options_read(argc, argv);
	bench_need_files();
	request_make();
	if (opt.tls)
		tls = bench_tls();
	workers = xcalloc(opt.threads, sizeof(*workers));
	pthread_barrier_init(&start, NULL, (unsigned)opt.threads + 1);
	for (i = 0; i < opt.threads; i++)
		workers[i] = worker_new(i);
	began_ns = clock_mono_ns();
	pthread_barrier_wait(&start);
	seconds = load_watch(&cpu);
	for (i = 0; i < opt.threads; i++) {
		thread_join(workers[i]->thread);
		bytes += workers[i]->bytes;
		realtime = realtime && workers[i]->realtime;
		bench_times_join(&times, &workers[i]->times);
	}
	printf("{\"requests\": %zu, \"bytes\": %llu, \"seconds\": %.6f, "
	       "\"cpu\": %.6f, \"realtime\": %s, ",
	    times.n, (unsigned long long)bytes, seconds, (double)cpu / 1e9,
	    realtime ? "true" : "false");
	bench_times_print(&times);
	printf("}\n");
	return (0);
}
